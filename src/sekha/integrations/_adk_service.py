"""The memory service for ADK, and the conversion of its events and entries to messages; public in `adk`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, Final, Optional, Union, cast

from google.adk.memory.base_memory_service import BaseMemoryService, SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.genai import types

from sekha._api.memory_tools import DEFAULT_RESULTS, NOT_SEARCHED
from sekha._api.prompts import to_memory
from sekha._api.recalled import OnError, StoredIds, check_on_error
from sekha._api.turns import messages_to_remember
from sekha._api.validation import argument_error, type_name
from sekha._async.client import AsyncSekhaClient
from sekha._async.memory import MAX_TOKENS, AsyncTurn
from sekha._concurrency.primitives import AsyncSemaphore
from sekha._utils.public import exported_from
from sekha._utils.sentinel import drop_unset
from sekha.errors import SekhaError
from sekha.memory import AsyncMemory, Scope

from ._shared import recall_options

if TYPE_CHECKING:
    from google.adk.events.event import Event
    from google.adk.sessions.session import Session

_MAX_TURNS: Final = 1_000
"""Turns whose block is kept: more than run at the same time."""
_DELIMITER: Final = re.compile(r"<(?=\s*/?\s*PAST_CONVERSATIONS\b)", re.IGNORECASE)
"""What would end ADK's own quotation of memories, which it does not escape."""


@exported_from("sekha.integrations.adk")
class SekhaMemoryService(BaseMemoryService):
    """Memory of all users of a `Runner`: each user has a folder per app, and each session a label.

    Args:
        client: An `AsyncSekhaClient`, or a function that returns one for a `Scope`, for tenants with separate
            controllers.
        limit: Maximum number of search results; default 5.
        min_score: Minimum score of a result, 0 to 1; default: none.
        max_tokens: Maximum number of tokens of the block that `recall_before_model` adds; default 1,000.
        on_error: Action if the memory fails, as for `AsyncMemory`: ``"warn"``, ``"raise"`` or a function.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.

    Example:
        ```python
        from google.adk.agents import LlmAgent
        from google.adk.runners import Runner
        from google.adk.sessions import InMemorySessionService
        from sekha import AsyncSekhaClient
        from sekha.integrations.adk import (
            SekhaMemoryService,
            recall_before_model,
            remember_after_agent,
        )

        agent = LlmAgent(
            name="seller",
            model="gemini-flash-latest",
            before_model_callback=recall_before_model,
            after_agent_callback=remember_after_agent,
        )
        memory = SekhaMemoryService(AsyncSekhaClient())
        runner = Runner(
            app_name="shop",
            agent=agent,
            session_service=InMemorySessionService(),
            memory_service=memory,
        )
        ```
    """

    def __init__(
        self,
        client: Union[AsyncSekhaClient, Callable[[Scope], AsyncSekhaClient]],
        *,
        limit: int = DEFAULT_RESULTS,
        min_score: Optional[float] = None,
        max_tokens: int = MAX_TOKENS,
        on_error: OnError = "warn",
    ) -> None:
        if not isinstance(cast(object, client), AsyncSekhaClient) and not callable(client):
            problem = f"must be an AsyncSekhaClient, or a function from a Scope to one, not {type_name(client)}"
            raise argument_error("client", problem)
        check_on_error(on_error)
        self._search = recall_options(limit=limit, min_score=min_score)
        self._block = recall_options(limit=limit, min_score=min_score, max_tokens=max_tokens)
        self._client = client
        self._on_error: OnError = on_error
        self._first: Optional[AsyncMemory] = None
        self._read = StoredIds()  # scopes whose stored messages were looked at
        self._reading = AsyncSemaphore(1)
        self._turns: dict[object, AsyncTurn] = {}

    async def add_session_to_memory(self, session: Session) -> None:
        """Store the messages of a session that are not stored yet; further calls store only new messages.

        For the first call with a session in this process, its stored messages are read, since another process may have
        stored some of them; controller 0.1 requires the ``mcp_api_key`` for this. Two processes that do this at the
        same time may store the same messages.

        Args:
            session: The session, with all its events.

        Raises:
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.
        """
        memory = self._memory(Scope(session.app_name, session.user_id, session.id))
        messages = _messages(session.events)
        if messages and await self._mark_stored(memory, messages):
            await memory.remember(messages)

    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: Optional[str] = None,
        custom_metadata: Optional[Mapping[str, object]] = None,
    ) -> None:
        """Store the messages of some events, except those that this process has already stored.

        Args:
            app_name: The app.
            user_id: The user.
            events: Events such as those of the last turn.
            session_id: The session of the events.
            custom_metadata: Must be empty, since Sekha stores no metadata.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.
        """
        _refuse_metadata("custom_metadata", custom_metadata)
        await self._memory(Scope(app_name, user_id, session_id)).remember(_messages(events))

    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Optional[Mapping[str, object]] = None,
    ) -> None:
        """Store facts without a session; a fact with an ID is stored once per process.

        Args:
            app_name: The app.
            user_id: The user.
            memories: Entries with text. Their timestamps are not kept; a memory has the time at which it was stored.
            custom_metadata: Must be empty, as that of the entries: Sekha stores no metadata.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.
        """
        _refuse_metadata("custom_metadata", custom_metadata)
        messages = [_message(entry.id, entry.author, entry.content) for entry in memories]
        for i, entry in enumerate(memories):
            _refuse_metadata(f"memories[{i}].custom_metadata", entry.custom_metadata)
            if not messages_to_remember([messages[i]], tool_results=False):
                raise argument_error(f"memories[{i}].content", "must have text")
        await self._memory(Scope(app_name, user_id)).remember(messages)

    async def search_memory(self, *, app_name: str, user_id: str, query: str) -> SearchMemoryResponse:
        """Search all sessions of a user in an app, including the current one, which ADK does not identify.

        Args:
            app_name: The app.
            user_id: The user.
            query: Text to search for.

        Returns:
            Entries, best first. If the search failed, one entry without an ID that informs the model.

        Raises:
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.
        """
        found = await self._memory(Scope(app_name, user_id)).recall(query, **self._search)
        if found.error is not None:
            content = types.Content(role="user", parts=[types.Part(text=NOT_SEARCHED)])
            return SearchMemoryResponse(memories=[MemoryEntry(content=content, author="memory")])
        return SearchMemoryResponse(memories=[_entry(result) for result in found])

    async def delete_memory(self, *, app_name: str, user_id: str, memory_id: Optional[str] = None) -> None:
        """Raise an error: the controller cannot delete single messages.

        Args:
            app_name: The app.
            user_id: The user.
            memory_id: The ID of an entry.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(
            "Sekha cannot delete single messages; delete the conversation with delete_conversation of the client"
        )

    def _memory(self, scope: Scope) -> AsyncMemory:
        """Return the memory of a scope; all of them share the record of stored messages."""
        if self._first is None:
            self._first = AsyncMemory(self._client, scope, on_error=self._on_error)
        return self._first.in_scope(scope)

    def _turn(self, scope: Scope, invocation: str) -> AsyncTurn:
        key = (scope, invocation)
        if key not in self._turns:
            self._turns[key] = self._memory(scope).turn(**self._block)
        while len(self._turns) > _MAX_TURNS:
            del self._turns[next(iter(self._turns))]
        return self._turns[key]

    async def _mark_stored(self, memory: AsyncMemory, messages: Sequence[Mapping[str, object]]) -> bool:
        """Mark the messages that are already stored in their session; return False if this is unknown.

        Texts are compared, and not counted: a session may be stored in part, in any order, by any process.
        """
        slot = self._reading.slot()
        try:
            await slot.acquire(None)  # whoever adds the same session meanwhile needs the outcome
            if not self._read.claim([memory.scope]):
                return True
            try:
                stored = await _stored_texts(memory)
            except BaseException as error:
                self._read.release([memory.scope])
                if not isinstance(error, SekhaError) or memory._raises(error):
                    raise
                memory._report(error, "the turn was not stored")
                return False
            for one in messages_to_remember(messages, tool_results=False):
                if stored[one.role, one.content.strip()] > 0:
                    stored[one.role, one.content.strip()] -= 1
                    memory._stored.claim([(memory.scope, one.id)])
            return True
        finally:
            slot.release()


def texts_of(content: Optional[types.Content]) -> list[str]:
    parts = (content.parts if content is not None else None) or []
    return [part.text for part in parts if part.text and not part.thought]


def _message(id: Optional[str], author: Optional[str], content: Optional[types.Content]) -> dict[str, object]:
    parts = [{"type": "text", "text": text} for text in texts_of(content)]
    return {"id": id or None, "role": "user" if author == "user" else "assistant", "content": parts}


def _messages(events: Iterable[Event]) -> list[dict[str, object]]:
    said = (event for event in events if not event.partial and "".join(texts_of(event.content)).strip())
    return [_message(event.id, event.author, event.content) for event in said]


def _entry(result: Mapping[str, Any]) -> MemoryEntry:
    memory = to_memory(result)
    text = _DELIMITER.sub("&lt;", memory["content"])
    role = "user" if memory["role"] == "user" else "model"
    return MemoryEntry(
        id=memory["message_id"],
        author=memory["role"],
        timestamp=memory["timestamp"],
        content=types.Content(role=role, parts=[types.Part(text=text)]),
        custom_metadata=drop_unset(session_id=memory["label"], score=memory["score"]),
    )


def _refuse_metadata(field: str, metadata: Optional[Mapping[str, object]]) -> None:
    if metadata:
        raise argument_error(field, "must be empty: Sekha stores no metadata")


async def _stored_texts(memory: AsyncMemory) -> Counter[tuple[str, str]]:
    controller, found = memory.client.controller, Counter[tuple[str, str]]()
    async for row in controller.iter_conversations(label=memory.scope.session):
        messages: Sequence[Any] = await controller.get_messages(row["conversation_id"])
        found.update((message["role"], str(message["content"]).strip()) for message in messages)
    return found
