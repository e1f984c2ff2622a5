"""Imports many conversations: side by side, and so that an import that was broken off can go on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Literal, NamedTuple, cast

from sekha._api import endpoints
from sekha._api.validation import argument_error, type_name
from sekha._concurrency.tasks import async_for_each, async_in_thread
from sekha._importing.journal import Entry, Journal, Match, compared
from sekha.errors import (
    SekhaAPIError,
    SekhaAuthError,
    SekhaConnectionError,
    SekhaError,
    SekhaNotFoundError,
    SekhaRateLimitError,
    SekhaValidationError,
)
from sekha.types import (
    ImportFailure,
    ImportProgress,
    ImportReport,
    Message,
    UnreadableConversation,
)

from ..operations.pagination import all_conversations
from .conversations import AsyncConversations, complete

_MOST = 100
"""Conversations at a time."""
_ARRIVAL = 10.0
"""Seconds after which a request that was on its way when an import broke off is taken for lost."""
_GROWTH = 10.0
"""Seconds in which one of which a part is there must have grown, if it is still being stored."""
_LOOK = 1.0
"""Seconds between two looks."""
_UNKNOWN = 3
"""Failures in a row that may not be the fault of a conversation, after which a server is not asked any more."""
_BREAKS = 2
"""Unknown outcomes of one conversation, after which a run leaves it out: else it might keep out all others for ever."""
_LIMITED = 10
"""Times that the server's rate limit is waited for."""
_RATE_LIMIT_WINDOW = 60.0
_LONGEST_WAIT = 300.0
"""Seconds that a server may ask to wait."""
_GATEWAY = (502, 503, 504)
_PARTLY = (
    "only a part of it is in the memory, as conversation {id}: the server was interrupted while it stored it. "
    "Delete or archive that one, and import again"
)
_BROKEN = (
    "{times} times nobody knew what became of it, and it is not in the memory: it is left out now, and tried again "
    "by the next import"
)

Kind = Literal["stored", "already_stored", "empty", "failed"]


class Item(NamedTuple):
    """A conversation of an import: its number, from 1, what is to be stored, and what the journal knows of it."""

    position: int
    request: dict[str, Any]
    entry: Entry


class Misfit(NamedTuple):
    """What cannot be stored: its number, where it stands in an export, and why."""

    position: int
    place: str | None
    problem: str


class AsyncImporting(AsyncConversations):
    """The part of `AsyncMemoryController` that imports."""

    async def import_conversations(
        self,
        conversations: Iterable[Mapping[str, object] | UnreadableConversation],
        *,
        concurrency: int = 4,
        journal: str | os.PathLike[str] | None = None,
        on_progress: Callable[[ImportProgress], object] | None = None,
    ) -> ImportReport:
        """Store many conversations; what cannot be stored is reported and left out.

        ``POST /api/v1/conversations`` for each. With a journal an import that was broken off, by Ctrl-C, a lost server
        or the end of the process, is continued by the same call: nothing is stored twice, and nothing is lost. What was
        on its way when it broke off is looked up in the memory (list, get and the MCP tool ``memory_export``, which
        needs the MCP tools' key). Conversations are taken from ``conversations`` as they are stored, so that any number
        of them may come from a generator such as `sekha.exports.read_export`; event loops leave that to threads.
        One that reaches the server more than ten seconds after this import began may be stored once more.

        Args:
            conversations: What `create_conversation` takes, or what an export could not give. Those without messages
                are counted and left out.
            concurrency: How many are stored at a time, 1 to 100; ``max_concurrent_writes`` is a limit too.
            journal: File in which is noted what is stored; it is made, or continued. It belongs to one server, and to
                one import at a time. None: nothing is noted.
            on_progress: Called after each conversation with how many were seen, stored, already stored, empty, failed;
                by blocking clients in the threads that store, one at a time.

        Returns:
            The same numbers, and ``failures``: position from 1, place, label and error of each that failed.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: The journal belongs to another server, is in use, or is no journal.
            SekhaError: The server refuses the key or cannot be reached; with a journal, call again to go on.
            OSError: The journal cannot be read or written.

        Example:
            ```python
            report = await client.controller.import_conversations(
                [{"label": "Greeting", "messages": [{"role": "user", "content": "Hello Sekha!"}]}],
                journal="import.journal",
            )
            print(report["stored"], report["failed"])  # 1 0
            ```
        """
        if isinstance(concurrency, bool) or not isinstance(cast(object, concurrency), int) or concurrency < 1:
            raise argument_error("concurrency", "must be a whole number of at least 1")
        if concurrency > _MOST:
            raise argument_error("concurrency", f"must be at most {_MOST}")
        given = cast(object, conversations)
        if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
            raise argument_error(
                "conversations", f"must be many conversations, not {type_name(cast(object, conversations))}"
            )
        if on_progress is not None and (not callable(on_progress) or iscoroutinefunction(on_progress)):
            raise argument_error("on_progress", "must be a plain function")
        path = None if journal is None else os.fspath(journal)
        notes = Journal(path, self._transport.connections.base_url)
        run = AsyncImport(self, notes, on_progress)
        await async_in_thread(notes.open)
        try:
            if path is not None and notes.since is None:
                since = (await self._transport.send(endpoints.CONTROLLER_HEALTH.request())).get("timestamp")
                await async_in_thread(partial(notes.start, since))
            await async_for_each(numbered(conversations, notes), run.take, concurrency, run.stop)
            await run.settle()
        finally:
            notes.close()
        return run.report


def numbered(
    conversations: Iterable[Mapping[str, object] | UnreadableConversation], notes: Journal
) -> Iterator[Item | Misfit]:
    """The conversations one after another, with what the journal knows of each."""
    for position, one in enumerate(conversations, start=1):
        if isinstance(one, UnreadableConversation):
            yield Misfit(position, one.place, one.problem)
            continue
        try:
            given = cast(object, one)
            if not isinstance(given, Mapping):
                raise argument_error("conversation", f"a dictionary is needed, not {type(one).__name__}")
            request = complete(one)
        except SekhaValidationError as error:
            yield Misfit(position, None, error.message)
            continue
        yield Item(position, request, notes.entry(request))


class Part(NamedTuple):
    """A conversation of which only the beginning is in the memory: its id, and how many messages are there."""

    id: str
    size: int


def place_of(conversation: Mapping[str, Any]) -> tuple[object, object]:
    """Label and folder."""
    return conversation["label"], conversation["folder"]


def is_match(item: Item, place: tuple[object, object], messages: Sequence[Mapping[str, Any]], kind: Match) -> bool:
    """Whether messages that are stored in a place are those of an item, or their beginning."""
    return place_of(item.request) == place and compared(item.request["messages"], messages) == kind


def as_failure(
    position: int,
    problem: str,
    *,
    place: str | None = None,
    label: str | None = None,
    may_have_been_applied: bool = False,
) -> ImportFailure:
    """What the report says of a conversation that was not imported."""
    return {
        "position": position,
        "place": place,
        "label": label,
        "error": problem,
        "may_have_been_applied": may_have_been_applied,
    }


class AsyncImport:
    """One import.

    Args:
        controller: What stores.
        notes: The journal, open.
        on_progress: Who is told how far it is.
    """

    def __init__(
        self,
        controller: AsyncConversations,
        notes: Journal,
        on_progress: Callable[[ImportProgress], object] | None,
    ) -> None:
        self.report: ImportReport = {
            "seen": 0, "stored": 0, "already_stored": 0, "empty": 0, "failed": 0, "failures": []
        }  # fmt: skip
        self._controller = controller
        self._transport = controller._transport
        self._notes = notes
        self._on_progress = on_progress
        self._counting = threading.Lock()
        self._stopped = threading.Event()
        self._unknown = 0
        self._pending: list[Item] = []
        self._clock = self._transport.connections.clock
        self._opened = self._clock.now()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopped.set()

    async def take(self, item: Item | Misfit) -> None:
        """Store a conversation if it has to be, and count it."""
        if isinstance(item, Misfit):
            self._count("failed", as_failure(item.position, item.problem, place=item.place))
        elif not item.request["messages"]:
            self._count("empty")
        elif item.entry.id is not None:
            self._count("already_stored")
        elif self._notes.is_open(item.entry.key):
            self._pending.append(item)  # for the end, when nothing else is on its way that could be taken for it
        else:
            await self._store(item)

    async def settle(self) -> None:
        """Find out what became of those that were on their way when an import broke off, and store the others."""
        patience = _ARRIVAL - (self._clock.now() - self._opened)  # whoever sent them ended before
        parts: dict[int, Part] = {}
        limited = 0
        while any(item.entry.is_open for item in self._pending):
            try:
                found = await self._compare()
            except SekhaRateLimitError as error:
                limited += 1
                if limited > _LIMITED or not await self._waited(error):
                    raise
                continue
            if any(part.size > (parts[at].size if at in parts else -1) for at, part in found.items()):
                patience = max(patience, _GROWTH)
            parts = found
            if patience <= 0:
                break
            patience -= _LOOK
            await self._clock.async_sleep(_LOOK)
        for item in self._pending:
            if item.position in parts and parts[item.position].size:
                self._fail(item, _PARTLY.format(id=parts[item.position].id), may_have_been_applied=True)
            elif item.entry.breaks >= _BREAKS:
                await async_in_thread(partial(self._notes.left_out, item.entry.key))
                self._fail(item, _BROKEN.format(times=item.entry.breaks), may_have_been_applied=True)
            else:
                await self._store(item)

    async def _compare(self) -> dict[int, Part]:
        """Claim what is in the memory as it was sent; of others, by their positions, a part may be there."""
        notes, since = self._notes, self._notes.since or ""
        waiting = [item for item in self._pending if item.entry.is_open]
        wanted, known = {place_of(item.request) for item in waiting}, notes.ids
        rows = await all_conversations(
            self._transport,
            lambda row: place_of(row) in wanted and row["conversation_id"] not in known and row["timestamp"] >= since,
        )
        loose: list[tuple[Part, list[Message], tuple[object, object]]] = []
        for row in rows:
            id = row["conversation_id"]
            try:
                created = (await self._controller.get_conversation(id, count_messages=False))["created_at"]
                if created is not None and created < since:
                    continue
                messages, place = await self._controller.get_messages(id), place_of(row)
            except SekhaNotFoundError:  # somebody has deleted it meanwhile
                continue
            whole = next((item for item in waiting if is_match(item, place, messages, "same")), None)
            if whole is not None:
                await async_in_thread(partial(notes.done, whole.entry.key, id))
                waiting.remove(whole)
                self._pending.remove(whole)
                self._count("already_stored")
            elif row["metadata"].get("status") != "archived":
                loose.append((Part(id, len(messages)), messages, place))
        parts: dict[int, Part] = {}
        for part, messages, place in loose:
            for item in waiting:
                if item.position not in parts and is_match(item, place, messages, "part"):
                    parts[item.position] = part
                    break
        return parts

    async def _store(self, item: Item) -> None:
        if self._stopped.is_set():
            return
        key = item.entry.key
        await async_in_thread(partial(self._notes.begin, key))
        for attempt in range(_LIMITED + 1):
            try:
                stored = await self._controller.create_conversation(item.request)
            except SekhaRateLimitError as error:
                if attempt == _LIMITED or not await self._waited(error):
                    await async_in_thread(partial(self._notes.refused, key))
                    raise
            except SekhaError as error:
                await self._failed(item, error)
                return
            else:
                self._unknown = 0
                await async_in_thread(partial(self._notes.done, key, stored["id"]))
                self._count("stored")
                return

    async def _waited(self, error: SekhaRateLimitError) -> bool:
        """Wait as long as a server wants; False if that is too long, or the import is to end."""
        seconds = error.retry_after or _RATE_LIMIT_WINDOW
        if seconds > _LONGEST_WAIT:
            return False
        while seconds > 0 and not self._stopped.is_set():
            await self._clock.async_sleep(min(seconds, _LOOK))
            seconds -= _LOOK
        return not self._stopped.is_set()

    async def _failed(self, item: Item, error: SekhaError) -> None:
        """Tell of a conversation that was not stored, or may not have been; end the import where the next would fare
        no better."""
        key = item.entry.key
        if not error.may_have_been_applied:
            await async_in_thread(partial(self._notes.refused, key))
            if not isinstance(error, SekhaAPIError) or isinstance(error, SekhaAuthError) or error.status_code >= 500:
                raise error
            self._fail(item, str(error))
            self._unknown += not isinstance(error, SekhaValidationError)  # the others speak of more than this one
            if self._unknown >= _UNKNOWN:
                raise error
            return
        # Whether it is there, the next run looks: the server may be storing it still.
        await async_in_thread(partial(self._notes.broke, key))
        self._fail(item, str(error), may_have_been_applied=True)
        self._unknown += 1
        if isinstance(error, SekhaConnectionError):
            raise error
        if self._unknown >= _UNKNOWN or (isinstance(error, SekhaAPIError) and error.status_code in _GATEWAY):
            raise error

    def _fail(self, item: Item, problem: str, *, may_have_been_applied: bool = False) -> None:
        label = item.request["label"]
        self._count(
            "failed", as_failure(item.position, problem, label=label, may_have_been_applied=may_have_been_applied)
        )

    def _count(self, kind: Kind, failure: ImportFailure | None = None) -> None:
        with self._counting:  # threads count as well
            self.report["seen"] += 1
            self.report[kind] += 1
            if failure is not None:
                self.report["failures"].append(failure)
            if self._on_progress is not None:
                told = {name: number for name, number in self.report.items() if name != "failures"}
                self._on_progress(cast(ImportProgress, told))
