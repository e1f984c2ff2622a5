"""Memory for Strands Agents: a store for their `MemoryManager`, and a format for quoted memories.

Install the extra: `pip install 'sekha-python-sdk[strands]'`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union, cast

from sekha._api.memory_tools import DEFAULT_RESULTS, NOT_SEARCHED
from sekha._api.prompts import UNAVAILABLE, quote_texts, to_memory
from sekha._api.validation import argument_error
from sekha._utils.json_access import as_text, get
from sekha._utils.sentinel import drop_unset
from sekha.errors import SekhaError
from sekha.memory import AsyncMemory

from ._extra import extra_imports
from ._shared import check_memory

with extra_imports("strands"):
    from strands.memory import ExtractionConfig, InvocationTrigger, MemoryEntry, MemoryMessageFilter, MemoryStore

if TYPE_CHECKING:
    from strands.memory import AddMessagesContext, InjectionFormatContext, SearchOptions
    from strands.types.content import Message

__all__ = ["SekhaMemoryStore", "quote_memories"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


class SekhaMemoryStore(MemoryStore):
    """Store of a `MemoryManager` with the memory of one user: recalls before each turn and stores it afterwards.

    Args:
        memory: The memory. Its session is the current chat, which searches exclude; create a store for each session.
        name: Name of the store for the model and the manager.
        description: Description of the store for the model.
        max_search_results: Maximum number of search results, unless the manager requests another number; default 5.
        writable: Whether to store turns and facts; default True.
        extraction: When to store: after each turn (default), as in a configuration of Strands, or never (False). With
            an extractor, a model selects the facts to store.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.

    Example:
        ```python
        from strands.memory import MemoryManager
        from sekha import AsyncSekhaClient
        from sekha.integrations.strands import SekhaMemoryStore, quote_memories
        from sekha.memory import AsyncMemory, Scope

        memory = AsyncMemory(AsyncSekhaClient(), Scope("shop", "ann", session="s1"))
        manager = MemoryManager(
            stores=[SekhaMemoryStore(memory)], injection={"format": quote_memories}
        )
        ```
    """

    def __init__(
        self,
        memory: AsyncMemory,
        *,
        name: str = "sekha",
        description: Optional[str] = "What was said in earlier chats with this user.",
        max_search_results: int = DEFAULT_RESULTS,
        writable: bool = True,
        extraction: Union[ExtractionConfig, bool, None] = None,
    ) -> None:
        self._memory = check_memory(memory, AsyncMemory)
        if not isinstance(cast(object, name), str) or not name.strip():
            raise argument_error("name", "must be a text that is not blank")
        number = cast(object, max_search_results)
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise argument_error("max_search_results", "must be 1 or more")
        self.name = name
        self.description = description
        self.max_search_results: Optional[int] = max_search_results
        self.writable = writable
        self.extraction = _extraction(extraction) if writable else None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {self._memory}>"

    async def search(self, query: str, options: Optional[SearchOptions] = None) -> list[MemoryEntry]:
        """Search the user's other sessions.

        Args:
            query: Text to search for.
            options: The maximum number of results, as ``max_search_results``.

        Returns:
            Entries, best first. If the search failed, one entry without metadata that informs the model.

        Raises:
            SekhaError: The search failed, and ``on_error`` of the memory is ``"raise"``; the manager continues without
                memories.
        """
        limit = (options or {}).get("max_search_results") or self.max_search_results or DEFAULT_RESULTS
        found = await self._memory.recall(query, limit=limit)
        if found.error is not None:
            return [MemoryEntry(content=NOT_SEARCHED)]
        return [_entry(result) for result in found]

    async def add(self, content: str, metadata: Optional[Mapping[str, Any]] = None) -> None:
        """Store a fact. The same text is stored only once per process, since the manager may retry writes.

        Args:
            content: The fact.
            metadata: Must be empty, since Sekha stores no metadata.

        Raises:
            SekhaValidationError: The text is blank, or ``metadata`` is not empty.
            SekhaError: The fact was certainly not stored.
        """
        if metadata:
            raise argument_error("metadata", "must be empty: Sekha stores no metadata")
        if not isinstance(cast(object, content), str) or not content.strip():
            raise argument_error("content", "must be a text that is not blank")
        await self._store([{"id": f"fact: {content}", "role": "assistant", "content": content}])

    async def add_messages(self, messages: Sequence[Message], context: Optional[AddMessagesContext] = None) -> None:
        """Store the messages of turns, without an unanswered message at the end.

        The manager retries a write that raises, so only a write that certainly stored nothing raises; an unknown
        outcome is reported as a warning. Sequence numbers cannot help: they start at 0 in every agent.

        Args:
            messages: The messages.
            context: Ignored.

        Raises:
            SekhaError: Certainly nothing was stored.
        """
        await self._store([{"role": one["role"], "content": list(_parts(one))} for one in _answered(messages)])

    async def _store(self, messages: Sequence[Mapping[str, object]]) -> None:
        try:
            await self._memory._store(messages)
        except SekhaError as error:
            if not error.may_have_been_applied:
                raise
            self._memory._report(error, "it is unknown whether the turn was stored")


def quote_memories(context: InjectionFormatContext, **_: object) -> str:
    """Quote memories with a hint that they are not instructions: ``format`` of a manager's ``injection``.

    Args:
        context: The entries.
        _: Arguments that newer versions of Strands may pass; ignored.

    Example:
        ```python
        from strands.memory import InjectionFormatContext, MemoryEntry
        from sekha.integrations.strands import quote_memories

        print(
            quote_memories(InjectionFormatContext(entries=[MemoryEntry("Ann likes tea.")]))[:8]
        )  # <memory>
        ```
    """
    if [entry.content for entry in context.entries] == [NOT_SEARCHED]:
        return UNAVAILABLE
    cited = ("role", "timestamp", "label")
    return quote_texts(({name: get(one.metadata, name) for name in cited}, one.content) for one in context.entries)


def _extraction(given: Union[ExtractionConfig, bool, None]) -> Union[ExtractionConfig, bool]:
    """Return when it is remembered: with the calls of tools, which say whether a turn was answered."""
    if given is False:
        return False
    config = cast(ExtractionConfig, {} if given is None or given is True else given)
    if not isinstance(cast(object, config), Mapping):
        raise argument_error("extraction", "must be a dictionary as ExtractionConfig, True or False")
    return {"trigger": InvocationTrigger(), "filter": MemoryMessageFilter(exclude=[]), **config}


def _entry(result: Mapping[str, Any]) -> MemoryEntry:
    memory = to_memory(result)
    cited = {name: memory.get(name) for name in ("role", "timestamp", "label", "score")}
    return MemoryEntry(content=memory["content"], metadata=drop_unset(**cited))


def _answered(messages: Sequence[Message]) -> Sequence[Message]:
    """Return messages without those of the user at their end, to which the model has said nothing."""
    end = len(messages)
    while end and not _ends_a_turn(messages[end - 1]):
        end -= 1
    return messages[:end]


def _ends_a_turn(message: Message) -> bool:
    return message["role"] != "user" or any("toolResult" in block for block in message["content"])


def _parts(message: Message) -> Iterator[dict[str, str]]:
    """Yield the texts of a message as parts, as `AsyncMemory.remember` takes them."""
    for block in message["content"]:
        cited = get(block, "citationsContent", "content") or []
        for text in (get(block, "text"), get(block, "guardContent", "text", "text"), *(get(c, "text") for c in cited)):
            if as_text(text):
                yield {"type": "text", "text": as_text(text)}
