"""Memory for Strands Agents: a store for their `MemoryManager`, and the words in which memories are quoted.

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
    """The memory of one user as a store of a `MemoryManager`, which recalls before each turn and remembers after it.

    Args:
        memory: The memory. Its session is the running chat, which is left out of a search; so make a store for each.
        name: How the model and the manager call the store.
        description: What the model is told of it.
        max_search_results: Results of a search at most, unless the manager asks for another number; default 5.
        writable: Whether it remembers; default True.
        extraction: When it remembers: by default after each turn; a configuration of Strands, or False for never. An
            extractor lets a model choose the facts that are stored.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.

    Example:
        ```python
        from strands.memory import MemoryManager
        from sekha import AsyncSekhaClient
        from sekha.integrations.strands import SekhaMemoryStore, quote_memories
        from sekha.memory import AsyncMemory, Scope

        memory = AsyncMemory(AsyncSekhaClient(), Scope("shop", "ann", session="s1"))
        manager = MemoryManager(stores=[SekhaMemoryStore(memory)], injection={"format": quote_memories})
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
        """Search what the user has said in other sessions.

        Args:
            query: Text to search for.
            options: How many results there may be, as ``max_search_results``.

        Returns:
            Entries, best first. If the memory could not be asked, one without metadata that says so to the model.

        Raises:
            SekhaError: It failed, and ``on_error`` of the memory is ``"raise"``; the manager goes on without it.
        """
        limit = (options or {}).get("max_search_results") or self.max_search_results or DEFAULT_RESULTS
        found = await self._memory.recall(query, limit=limit)
        if found.error is not None:
            return [MemoryEntry(content=NOT_SEARCHED)]
        return [_entry(result) for result in found]

    async def add(self, content: str, metadata: Optional[Mapping[str, Any]] = None) -> None:
        """Store a fact. The same text is stored once while your program runs, since the manager may repeat writes.

        Args:
            content: The fact.
            metadata: Must be empty: Sekha stores no metadata.

        Raises:
            SekhaValidationError: The text is blank, or there is metadata.
            SekhaError: It is certain that it was not stored.
        """
        if metadata:
            raise argument_error("metadata", "must be empty: Sekha stores no metadata")
        if not isinstance(cast(object, content), str) or not content.strip():
            raise argument_error("content", "must be a text that is not blank")
        await self._store([{"id": f"fact: {content}", "role": "assistant", "content": content}])

    async def add_messages(self, messages: Sequence[Message], context: Optional[AddMessagesContext] = None) -> None:
        """Store what was said in some turns; what the user has said last is left out if it was not answered.

        The manager repeats a write that raises. So only one that has certainly not stored anything raises; if that is
        not known, a warning says so. Sequence numbers are not needed for it: they begin at 0 in every agent.

        Args:
            messages: The messages.
            context: Not needed.

        Raises:
            SekhaError: It is certain that nothing was stored.
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
    """Quote memories with the hint that they are no instructions: ``format`` of a manager's ``injection``.

    Args:
        context: The entries.
        _: What newer versions of Strands may pass.

    Example:
        ```python
        from strands.memory import InjectionFormatContext, MemoryEntry
        from sekha.integrations.strands import quote_memories

        print(quote_memories(InjectionFormatContext(entries=[MemoryEntry("Ann likes tea.")]))[:8])  # <memory>
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
