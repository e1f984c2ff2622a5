"""The memory of one user, as frameworks use it: recall before the model is called, remember after the turn."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Callable, Literal, Optional, TypeVar, Union, cast

from typing_extensions import Self

from sekha._api.arguments import MemoryRecallRequest
from sekha._api.chats import MAX_QUERY, is_memory_error
from sekha._api.memory_tools import (
    DEFAULT_RESULTS,
    NOT_REMEMBERED,
    NOT_SEARCHED,
    PERHAPS_REMEMBERED,
    REMEMBERED,
    nothing_to_remember,
    parse_tool_arguments,
    results_for_model,
    tool_schemas,
)
from sekha._api.prompts import UNAVAILABLE, Echoes, quote_results
from sekha._api.recalled import OnError, Recalled, StoredIds, ToolResult, check_on_error
from sekha._api.scopes import Scope
from sekha._api.turns import last_user_text, messages_to_remember, storable, text_of_chunk, with_block
from sekha._api.validation import argument_error, validate, wrong_object
from sekha._concurrency.misuse import AsyncMisuseGuard
from sekha._concurrency.primitives import AsyncSemaphore
from sekha._concurrency.process_bound import ProcessBound, make_view
from sekha._utils.frames import warn_user
from sekha._utils.public import class_name, exported_from
from sekha._utils.sentinel import drop_unset
from sekha.errors import SekhaError
from sekha.types import Conversation

from .client import AsyncSekhaClient

T = TypeVar("T")

MAX_TOKENS = 1000
"""Tokens of a block, unless it is told otherwise."""


@exported_from("sekha.memory")
class AsyncMemory(AsyncMisuseGuard, ProcessBound):
    """The memory of one user, for programs and frameworks that call a model themselves.

    It recalls before the model is called, and remembers after the turn. It is a view: making one sends nothing, and
    closing it closes nothing. The guide has its rules, under "Memory for agents".

    Args:
        client: A client; or a function that returns one for a `Scope`, for tenants with a controller of their own. It
            is called once for each memory that is made.
        scope: Whose memory it is.
        on_error: What to do if the memory fails: ``"warn"`` with a `SekhaWarning` and go on, ``"raise"`` the error, or
            a function that is called with it, and then go on. Errors of arguments and settings are always raised.

    Attributes:
        scope: Whose memory it is.
        client: The view of the client, which sees and changes only this user's memory.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.

    Example:
        ```python
        from sekha.memory import AsyncMemory, Scope

        memory = AsyncMemory(client, Scope("shop", "ann", session="s1"))
        turn = [{"role": "user", "content": "We ship on Fridays."}, {"role": "assistant", "content": "Noted."}]
        await memory.remember(turn)

        later = memory.in_session("s2")
        print([result["content"] for result in await later.recall("When do we ship?", limit=1)])
        # ['We ship on Fridays.']
        ```
    """

    def __init__(
        self,
        client: Union[AsyncSekhaClient, Callable[[Scope], AsyncSekhaClient]],
        scope: Scope,
        *,
        on_error: OnError = "warn",
    ) -> None:
        check_on_error(on_error)
        self._source = client
        self._on_error = on_error
        self._stored = StoredIds()
        self._enter(scope)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.scope} of {self.client}>"

    def _enter(self, scope: Scope) -> None:
        if not isinstance(cast(object, scope), Scope):
            raise argument_error("scope", f"must be a Scope, not {class_name(scope)}")
        source: Any = self._source
        found: object = source if isinstance(source, AsyncSekhaClient) or not callable(source) else source(scope)
        if not isinstance(found, AsyncSekhaClient):
            raise wrong_object("client", "must be an AsyncSekhaClient, or a function that returns one", found)
        self.scope: Scope = scope
        self.client: AsyncSekhaClient = found.in_folder(scope.folder)

    def in_scope(self, scope: Scope) -> Self:
        """The memory of another scope; it knows what is stored already, as this one does.

        Args:
            scope: Whose memory it is.

        Raises:
            SekhaValidationError: It is no scope.

        Example:
            ```python
            from sekha.memory import AsyncMemory, Scope

            memory = AsyncMemory(client, Scope("shop", "ann"))
            print(memory.in_scope(Scope("shop", "bob")).client.folder)  # /shop/bob
            ```
        """
        view = make_view(self)
        view._enter(scope)
        return view

    def in_session(self, session: Optional[str]) -> Self:
        """The memory of the same user in another session.

        Args:
            session: The session that goes on now; None for none.

        Raises:
            SekhaValidationError: It is blank or no text.

        Example:
            ```python
            from sekha.memory import AsyncMemory, Scope

            memory = AsyncMemory(client, Scope("shop", "ann", session="s1")).in_session("s2")
            print(memory.scope.session)  # s2
            ```
        """
        return self.in_scope(replace(self.scope, session=session))

    async def recall(self, query: str, *, limit: int = DEFAULT_RESULTS, min_score: Optional[float] = None) -> Recalled:
        """What the user's other sessions say about a query, best first, each text once.

        A hybrid search, as `AsyncMemoryController.query` makes it in the view of a folder. What the running session
        has stored is left out, since the model sees it anyway.

        Args:
            query: What to look for; its first 2,000 characters. With a blank one, nothing is found or asked.
            limit: Results at most, 1 or more.
            min_score: Minimum score of a result, 0 to 1; default: none. A suitable value depends on the embedding
                model.

        Returns:
            Results with ``content``, ``score``, ``label``, ``timestamp``; ``error`` says why the memory could not be
            asked.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

        Example:
            ```python
            from sekha.memory import AsyncMemory, Scope

            memory = AsyncMemory(client, Scope("shop", "ann"))
            for result in await memory.recall("When do we ship?", min_score=0.2):
                print(result["timestamp"][:10], result["label"], result["content"])
            ```
        """
        request = _request(query, limit=limit, min_score=min_score)
        return await self._recall(request, Echoes(()))

    async def block(
        self,
        query: str,
        *,
        limit: int = DEFAULT_RESULTS,
        min_score: Optional[float] = None,
        max_tokens: int = MAX_TOKENS,
    ) -> str:
        """What `recall` finds, as quoted data for a prompt: put it before the user's message, never into `system`.

        The query itself is left out, if it was asked before. `with_block` puts a block where it belongs.

        Args:
            query: What the user has just said.
            limit: As for `recall`.
            min_score: As for `recall`.
            max_tokens: Tokens at most, four bytes each. What does not fit is left out; if all is too long, the best
                is shortened.

        Returns:
            The block; empty if nothing was found. If the memory could not be asked, it says that.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

        Example:
            ```python
            from sekha.memory import AsyncMemory, Scope

            memory = AsyncMemory(client, Scope("shop", "ann"))
            print(await memory.block("Who knows about ships?") or "nothing is remembered")  # nothing is remembered
            ```
        """
        request = _request(query, limit=limit, min_score=min_score, max_tokens=max_tokens)
        found = await self._recall(request, Echoes([{"content": query}]))
        if found.error is not None:
            return UNAVAILABLE
        return quote_results(found, request.get("max_tokens", MAX_TOKENS))

    async def remember(
        self, messages: Sequence[Mapping[str, object]], *, tool_results: bool = False
    ) -> Optional[Conversation]:
        """Store what was said in a turn: the texts of user and assistant.

        Blocks of memories are taken out, and `system` messages, calls of tools and thoughts are left out. A message
        whose ``id`` was stored before, by this memory or one that was made of it, is not stored again. Nothing is
        stored twice: if it is not known whether a message was stored, it counts as stored. Characters that no server
        takes (NUL, half of a character pair) become U+FFFD.

        Args:
            messages: The messages of the turn, as OpenAI's and Anthropic's interfaces have them; with an ``id`` also
                those of earlier turns.
            tool_results: Whether results of tools are stored, too, as ``[name] text``.

        Returns:
            The conversation that was stored; None if there was nothing to store, or it failed.

        Raises:
            SekhaValidationError: The messages are no list of dictionaries.
            SekhaError: Nothing was stored, or the outcome is unknown (``may_have_been_applied``), and ``on_error`` is
                ``"raise"``.

        Example:
            ```python
            from sekha.memory import AsyncMemory, Scope

            memory = AsyncMemory(client, Scope("shop", "ann", session="s1"))
            turn = [{"id": "m1", "role": "user", "content": "I like tea."}]
            stored = await memory.remember(turn)
            print(stored["label"], await memory.remember(turn))  # s1 None
            ```
        """
        try:
            return await self._store(messages, tool_results=tool_results)
        except SekhaError as error:
            if self._raises(error):
                raise
            self._report(error, "the turn was not stored")
            return None

    async def remember_stream(
        self,
        messages: Sequence[Mapping[str, object]],
        chunks: AsyncIterable[T],
        *,
        text_of: Optional[Callable[[T], Optional[str]]] = None,
        tool_results: bool = False,
    ) -> AsyncIterator[T]:
        """The chunks of an answer as they come; when they have ended well, the turn is remembered.

        If the stream fails, or you leave it before its end, nothing is.

        Args:
            messages: What was said before the answer, as for `remember`.
            chunks: The answer: texts, or chunks as `AsyncBridgeClient.stream_complete` has them.
            text_of: Returns what a chunk adds to the text of the answer; needed for chunks of other kinds.
            tool_results: As for `remember`.

        Raises:
            SekhaError: It could not be stored, and ``on_error`` is ``"raise"``; the answer was complete before that.

        Example:
            ```python
            from sekha.memory import AsyncMemory, Scope

            memory = AsyncMemory(client, Scope("shop", "ann"))
            turn = [{"role": "user", "content": "Tell me about ships."}]
            chunks = await client.bridge.stream_complete(turn)
            async for chunk in memory.remember_stream(turn, chunks):
                print(chunk["choices"][0]["delta"].get("content") or "", end="")
            ```
        """
        said: list[str] = []
        async for chunk in chunks:
            said.append((text_of or text_of_chunk)(chunk) or "")
            yield chunk
        await self.remember([*messages, {"role": "assistant", "content": "".join(said)}], tool_results=tool_results)

    def turn(
        self, *, limit: int = DEFAULT_RESULTS, min_score: Optional[float] = None, max_tokens: int = MAX_TOKENS
    ) -> AsyncTurn:
        """One turn of a chat, in which the memory is asked once, however often the model is called.

        Args:
            limit: As for `block`.
            min_score: As for `block`.
            max_tokens: As for `block`.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.

        Example:
            ```python
            from sekha.memory import AsyncMemory, Scope

            turn = AsyncMemory(client, Scope("shop", "ann")).turn()
            chat = [{"role": "user", "content": "When do we ship?"}]
            request = await turn.with_memory(chat)  # for each call of the model; `chat` stays as it is
            ```
        """
        _request("", limit=limit, min_score=min_score, max_tokens=max_tokens)
        return AsyncTurn(self, limit=limit, min_score=min_score, max_tokens=max_tokens)

    def tool_schemas(self, format: Literal["openai", "anthropic"] = "openai") -> list[dict[str, Any]]:
        """The tools ``search_memory`` and ``remember``, as a model is told of them.

        Args:
            format: ``"openai"`` (chat completions) or ``"anthropic"``.

        Raises:
            SekhaValidationError: There is no such format.

        Example:
            ```python
            from sekha.memory import AsyncMemory, Scope

            tools = AsyncMemory(client, Scope("shop", "ann")).tool_schemas("anthropic")
            print([tool["name"] for tool in tools])  # ['search_memory', 'remember']
            ```
        """
        return tool_schemas(format)

    async def call_tool(self, name: str, arguments: Union[str, Mapping[str, object]]) -> ToolResult:
        """Call a tool for a model. A failure is a result for the model, too, and `ToolResult.is_error` tells it.

        Args:
            name: ``search_memory`` or ``remember``.
            arguments: What the model gave: a dictionary, or one as JSON.

        Returns:
            The text for the model. Results of a search are quoted, with time and label, and at most 400 characters
            of each: those around the words of the query.

        Raises:
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

        Example:
            ```python
            from sekha.memory import AsyncMemory, Scope

            memory = AsyncMemory(client, Scope("shop", "ann"))
            print(await memory.call_tool("remember", {"text": "Ann likes tea."}))  # Remembered.
            result = await memory.call_tool("search_memory", '{"limit": 3}')
            print(result.is_error, result)  # True query: is required
            ```
        """
        try:
            parsed: Mapping[str, Any] = parse_tool_arguments(name, arguments)
        except SekhaError as error:
            return ToolResult(error.message, error)
        if "query" in parsed:
            found = await self.recall(parsed["query"], limit=parsed.get("limit", DEFAULT_RESULTS))
            return ToolResult(
                results_for_model(found, parsed["query"]) if found.error is None else NOT_SEARCHED, found.error
            )
        try:
            stored = await self._store([{"role": "assistant", "content": parsed["text"]}])
        except SekhaError as error:
            if self._raises(error):
                raise
            self._report(error, "the fact from the model was not stored")
            return ToolResult(PERHAPS_REMEMBERED if error.may_have_been_applied else NOT_REMEMBERED, error)
        return ToolResult(REMEMBERED) if stored is not None else nothing_to_remember()

    async def aclose(self) -> None:
        """Close nothing: a memory borrows the client, and who made that closes it."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: Optional[type[BaseException]] = None,
        exc: Optional[BaseException] = None,
        traceback: Optional[TracebackType] = None,
    ) -> None:
        await self.aclose()

    async def _recall(self, request: MemoryRecallRequest, echoes: Echoes) -> Recalled:
        query = request["query"].strip()[:MAX_QUERY].strip()
        if not query:
            return Recalled()
        running = [] if self.scope.session is None else [self.scope.session]
        try:
            found = await self.client.controller._find(
                query,
                limit=request.get("limit", DEFAULT_RESULTS),
                filters={"exclude_labels": running},
                min_score=request.get("min_score"),
                hybrid=True,
                is_echo=echoes,
            )
        except SekhaError as error:
            if self._raises(error):
                raise
            self._report(error, "the memory search failed, and nothing is recalled")
            return Recalled(error=error)
        return Recalled(found.results)

    async def _store(
        self, messages: Sequence[Mapping[str, object]], *, tool_results: bool = False
    ) -> Optional[Conversation]:
        """Store the messages of a turn that are not stored yet."""
        kept = messages_to_remember(messages, tool_results=tool_results)
        claimed = self._stored.claim((self.scope, one.id) for one in kept if one.id is not None)
        new = [one for one in kept if one.id is None or (self.scope, one.id) in claimed]
        if not new:
            return None
        plain = [{"role": one.role, "content": one.content} for one in new]
        try:
            return await self.client.controller.create_conversation(messages=plain, label=self.scope.session)
        except SekhaError as error:
            if not error.may_have_been_applied:
                self._stored.release(claimed)
            raise

    def _raises(self, error: SekhaError) -> bool:
        return self._on_error == "raise" or not is_memory_error(error)

    def _report(self, error: SekhaError, problem: str) -> None:
        if callable(self._on_error):
            self._on_error(error)
        else:
            warn_user(f"{problem}: {error}")


def _request(query: object, **options: object) -> MemoryRecallRequest:
    """Return the arguments of a recall, checked."""
    text = storable(query) if isinstance(query, str) else query
    return validate(MemoryRecallRequest, drop_unset(query=text, **options))


@exported_from("sekha.memory")
class AsyncTurn:
    """One turn of a chat: the memory is asked once, and each call of the model gets the same block.

    `AsyncMemory.turn` makes one. Make another for each turn.
    """

    def __init__(self, memory: AsyncMemory, *, limit: int, min_score: Optional[float], max_tokens: int) -> None:
        self._memory = memory
        self._options: dict[str, Any] = {"limit": limit, "min_score": min_score, "max_tokens": max_tokens}
        self._asking = AsyncSemaphore(1)
        self._block: str | None = None

    async def block(self, query: str) -> str:
        """What `AsyncMemory.block` returned for the first query of this turn.

        Args:
            query: What the user has just said; only that of the first call counts.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

        Example:
            ```python
            from sekha.memory import AsyncMemory, Scope

            turn = AsyncMemory(client, Scope("shop", "ann")).turn()
            print(await turn.block("When do we ship?") == await turn.block("something else"))  # True
            ```
        """
        slot = self._asking.slot()
        try:
            await slot.acquire(None)
            if self._block is None:
                self._block = await self._memory.block(query, **self._options)
            return self._block
        finally:
            slot.release()

    async def with_memory(self, messages: Sequence[Mapping[str, object]]) -> list[dict[str, Any]]:
        """The messages for a call of the model, with the block before the last one of the user; see `with_block`.

        Args:
            messages: The chat, with the calls of tools of this turn and their results, if there are any already.

        Raises:
            SekhaValidationError: The messages are no list of dictionaries; ``field`` names the place.
            SekhaError: The memory failed, and ``on_error`` is ``"raise"``.

        Example:
            ```python
            from sekha.memory import AsyncMemory, Scope

            turn = AsyncMemory(client, Scope("shop", "ann")).turn()
            print(await turn.with_memory([{"role": "user", "content": "When do we ship?"}]))
            # [{'role': 'user', 'content': 'When do we ship?'}]
            ```
        """
        return with_block(messages, await self.block(last_user_text(messages)))
