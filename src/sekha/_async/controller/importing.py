"""Importing many conversations: several at a time, and so that an interrupted import can be resumed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Literal, Optional, TypeVar, Union, cast

from sekha._api import endpoints
from sekha._api.compat.capabilities import Capabilities
from sekha._api.compat.error_overrides import CONTROLLER_RATE_LIMIT_WINDOW
from sekha._api.compat.requests import extra_keys
from sekha._api.stored import label_and_folder
from sekha._api.validation import argument_error, type_name
from sekha._concurrency.primitives import AsyncSemaphore
from sekha._concurrency.tasks import AsyncCall, async_for_each, async_in_thread
from sekha._importing.digests import digests_of
from sekha._importing.journal import Journal
from sekha._importing.plan import (
    MAX_UNKNOWN_OUTCOMES,
    Item,
    PartialMatch,
    Rejected,
    attach_report,
    count_left_out,
    is_match,
    iter_items,
    judge_failure,
    make_failure,
)
from sekha._importing.split import SplitTally, make_split
from sekha._transport.listeners import LONG_WAIT
from sekha.errors import SekhaError, SekhaNotFoundError, SekhaRateLimitError
from sekha.events import WaitEvent
from sekha.exports._note_files import JOURNAL
from sekha.types import ImportFailure, ImportProgress, ImportReport, ImportWait, Message, UnreadableConversation

from ..operations.lost_keys import kept_dates, warn_of_lost_keys
from ..operations.pagination import all_conversations
from ..operations.store import create_conversation
from ..transport import AsyncTransport
from .conversations import AsyncConversationMixin

_MAX_CONCURRENCY = 100
_IN_FLIGHT_GRACE = 10.0
"""Seconds after which a request that was in flight when an import was interrupted counts as lost."""
_GROWTH_GRACE = 10.0
"""Seconds in which a partly stored conversation must have grown, if the server is still storing it."""
_POLL_INTERVAL = 1.0
_MAX_RATE_LIMIT_WAITS = 10
_MAX_RETRY_AFTER = 300.0
"""Seconds. If the server asks for more, the import ends."""
_PARTLY_STORED = (
    "only a part of it is in the memory, as conversation {id}: the server was interrupted while it stored it. "
    "Delete or archive that one, and import again"
)
_SKIPPED = (
    "{times} times nobody knew what became of it, and it is not in the memory: it is left out now, and tried again "
    "by the next import"
)

Count = Literal["stored", "already_stored", "empty", "failed", "replaced", "moved"]
"""The last two are those of a sync."""
T = TypeVar("T")


class AsyncImportMixin(AsyncConversationMixin):
    """The part of `AsyncMemoryController` that imports."""

    async def import_conversations(
        self,
        conversations: Iterable[Union[Mapping[str, object], UnreadableConversation]],
        *,
        concurrency: int = 4,
        journal: Union[str, os.PathLike[str], None] = None,
        drop_images: bool = False,
        on_progress: Optional[Callable[[ImportProgress], object]] = None,
    ) -> ImportReport:
        """Store many conversations; what cannot be stored is reported and left out.

        ``POST /api/v1/conversations`` for each. With a journal an import that was broken off, by Ctrl-C, a lost server
        or the end of the process, is continued by the same call: nothing is stored twice, and nothing is lost. What was
        on its way when it broke off is looked up in the memory (list, get and the MCP tool ``memory_export``, which
        needs the MCP tools' key). Conversations are taken from ``conversations`` as they are stored, so that any number
        of them may come from a generator such as `sekha.exports.read_export`; event loops leave that to threads.
        One that reaches the server more than ten seconds after this import began may be stored once more.
        A conversation above 1.9 MB, of which servers accept 2 MiB, is stored in parts with whole messages, called
        ``A long year (1 of 3)``; one with a message above that is a failure, and nothing of it is stored.

        Args:
            conversations: What `create_conversation` takes, or what an export could not give. Those without messages
                are counted and left out.
            concurrency: How many are stored at a time, 1 to 100; ``max_concurrent_writes`` is a limit too.
            journal: File in which is noted what is stored; it is made, or continued. It belongs to one server, and to
                one import at a time. None: nothing is noted. One called ``.sekha-journal`` also reads those that
                older versions made beside each file of its folder.
            drop_images: Whether an image that is part of a message may be lost where the server stores text only, or
                where the conversation is too large; else such a conversation is a failure.
            on_progress: Called after each conversation with how many were seen, stored, already stored, empty, failed;
                by blocking clients in the threads that store, one at a time. Also called when a wait of more than a
                second begins, with the same numbers and ``waiting``: for what ``reason``, and how many ``seconds``.

        Returns:
            The same numbers, ``failures``: position from 1, place, label and error of each that failed;
            ``left_out``: how much was left out of what `sekha.exports.read_export` has read, by kind; and ``split``:
            what was stored in parts. Such a conversation is one in all numbers.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaConfigError: The journal belongs to another server, is in use, or is no journal.
            SekhaError: The server refuses the key or cannot be reached; with a journal, call again to go on. ``report``
                of the error has what was done before it.
            OSError: The journal cannot be read or written; it has a ``report`` as well, and so has `KeyboardInterrupt`.

        Warns:
            SekhaWarning: The server does not keep a key of the messages, such as ``timestamp``; once, as for
                `create_conversation`.

        Example:
            ```python
            report = await client.controller.import_conversations(
                [{"label": "Greeting", "messages": [{"role": "user", "content": "Hello Sekha!"}]}],
                journal="import.journal",
            )
            print(report["stored"], report["failed"])  # 1 0
            ```
        """
        check_import_options(concurrency, on_progress)
        given = cast(object, conversations)
        if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
            raise argument_error(
                "conversations", f"must be many conversations, not {type_name(cast(object, conversations))}"
            )
        path = None if journal is None else os.fspath(journal)
        is_default = path is not None and os.path.basename(path) == JOURNAL
        notes = Journal(path, self._transport.base_url, self.folder, reads_older=is_default)
        run = AsyncImportRun(self._transport, self._capabilities, notes, on_progress, drop_images)
        await async_in_thread(notes.open)
        try:
            if path is not None and notes.since is None:
                since = (await self._transport.send(endpoints.CONTROLLER_HEALTH.request())).get("timestamp")
                await async_in_thread(partial(notes.start, since))
            counted = count_left_out(conversations, run.report["left_out"])
            items = iter_items(counted, notes, self._view, drop_images=drop_images)
            await async_for_each(items, run.process, concurrency, run.stop)
            await run.resolve_pending()
        except BaseException as error:
            attach_report(error, run.report)
            raise
        finally:
            notes.close()
        return run.report


def check_import_options(concurrency: int, on_progress: object) -> None:
    """Raise SekhaValidationError for what imports and syncs cannot use."""
    if isinstance(concurrency, bool) or not isinstance(cast(object, concurrency), int) or concurrency < 1:
        raise argument_error("concurrency", "must be a whole number of at least 1")
    if concurrency > _MAX_CONCURRENCY:
        raise argument_error("concurrency", f"must be at most {_MAX_CONCURRENCY}")
    if on_progress is not None and (not callable(on_progress) or iscoroutinefunction(on_progress)):
        raise argument_error("on_progress", "must be a plain function")


class AsyncImportRun:
    """One run of an import.

    An item is one of five:

    1. It cannot be stored, or has no messages: it is counted.
    2. The journal knows its id: it is counted as already stored.
    3. The journal has an open entry for it, or for an identical one, of a run that was interrupted: it waits for the
       end of the run, when nothing else is in flight that it could be confused with.
    4. Of those, one that is found in the memory is noted and counted. One of which only a part is found is a failure,
       and so is one that is not found and had an unknown outcome too often.
    5. All others are stored: noted as begun, sent, and noted as done, refused, or of unknown outcome.

    Args:
        transport: The transport of the controller.
        capabilities: What is known of the controller.
        journal: The journal, open.
        on_progress: Called after each item.
        drop_images: Whether an image that is part of a message may be lost (D4).
    """

    def __init__(
        self,
        transport: AsyncTransport,
        capabilities: Capabilities,
        journal: Journal,
        on_progress: Callable[[ImportProgress], object] | None,
        drop_images: bool = False,
    ) -> None:
        self._drop_images = drop_images
        self.report: ImportReport = {
            "seen": 0, "stored": 0, "already_stored": 0, "empty": 0, "failed": 0, "failures": [], "left_out": {},
            "split": [],
        }  # fmt: skip
        self._transport = transport.with_wait_listener(self._on_wait)
        self._capabilities = capabilities
        self._journal = journal
        self._on_progress = on_progress
        self._count_lock = threading.Lock()
        self._asking = AsyncSemaphore(1)
        self._stopped = threading.Event()
        self._failure_streak = 0
        self._pending: list[Item] = []
        self._splits: dict[int, SplitTally] = {}  # by position
        self._clock = transport.clock
        self._started_at = self._clock.now()

    def stop(self) -> None:
        """Start nothing more."""
        self._stopped.set()

    async def process(self, item: Item | Rejected) -> None:
        """Store an item if necessary, and count it."""
        if isinstance(item, Rejected):
            self._count("failed", make_failure(item.position, item.problem, place=item.place, label=item.label))
        elif not item.request["messages"]:
            self._count("empty")
        elif item.entry.id is not None:
            self._count("already_stored", item=item)
        elif self._journal.is_open(item.entry.key):
            self._pending.append(item)
        else:
            await self._store(item)

    async def resolve_pending(self) -> None:
        """Find out which items an interrupted run has stored, and store the others."""
        time_left = _IN_FLIGHT_GRACE - (self._clock.now() - self._started_at)  # the interrupted run ended before
        parts: dict[str, PartialMatch] = {}
        rate_limit_waits = 0
        while any(item.entry.is_open for item in self._pending):
            try:
                found = await self._reconcile()
            except SekhaRateLimitError as error:
                rate_limit_waits += 1
                if rate_limit_waits > _MAX_RATE_LIMIT_WAITS or not await self._wait_for_rate_limit(error):
                    raise
                continue
            if any(part.size > (parts[key].size if key in parts else -1) for key, part in found.items()):
                time_left = max(time_left, _GROWTH_GRACE)
            parts = found
            if time_left <= 0:
                break
            time_left -= _POLL_INTERVAL
            await self._clock.async_sleep(_POLL_INTERVAL)
        for item in self._pending:
            part = parts.get(item.entry.key)
            if part is not None and part.size:
                self._fail(item, _PARTLY_STORED.format(id=part.id), may_have_been_applied=True)
            elif item.entry.unknown_outcomes >= MAX_UNKNOWN_OUTCOMES:
                await async_in_thread(partial(self._journal.mark_skipped, item.entry.key))
                self._fail(item, _SKIPPED.format(times=item.entry.unknown_outcomes), may_have_been_applied=True)
            else:
                await self._store(item)

    async def _reconcile(self) -> dict[str, PartialMatch]:
        """Count the pending items that are in the memory as they were sent; return, by key, partial matches."""
        since = self._journal.since or ""
        open_items = [item for item in self._pending if item.entry.is_open]
        wanted, known_ids = {label_and_folder(item.request) for item in open_items}, self._journal.ids
        dated = {label_and_folder(item.request) for item in open_items if item.dates}  # the server may keep their dates
        rows = await all_conversations(
            self._transport,
            lambda row: (
                label_and_folder(row) in wanted
                and row["conversation_id"] not in known_ids
                and (row["timestamp"] >= since or label_and_folder(row) in dated)
            ),
        )
        others: list[tuple[PartialMatch, list[Message], tuple[object, object]]] = []
        for row in rows:
            id, stored_as = row["conversation_id"], label_and_folder(row)
            try:
                created_at = (await self._transport.send(endpoints.GET_CONVERSATION.request(id=id)))["created_at"]
                if created_at is not None and created_at < since and stored_as not in dated:
                    continue
                export = await self._transport.send(endpoints.MEMORY_EXPORT.request({"conversation_id": id}))
            except SekhaNotFoundError:  # it was deleted in the meantime
                continue
            messages = export["messages"]
            whole = next((item for item in open_items if is_match(item, stored_as, messages, "same")), None)
            if whole is not None:
                open_items.remove(whole)
                self._pending.remove(whole)
                await self._finish(whole, id, "already_stored")
            elif row["metadata"].get("status") != "archived":
                others.append((PartialMatch(id, len(messages)), messages, stored_as))
        parts: dict[str, PartialMatch] = {}
        for part, messages, stored_as in others:
            for item in open_items:
                if item.entry.key not in parts and is_match(item, stored_as, messages, "part"):
                    parts[item.entry.key] = part
                    break
        return parts

    async def _store(self, item: Item) -> None:
        if self._stopped.is_set():
            return
        key = item.entry.key
        request = {**item.request, **await self._kept_dates(item)}
        sent = None if item.origin is None else digests_of(item.request)
        await async_in_thread(partial(self._journal.begin, key, item.origin, sent))
        try:
            stored = await self._patiently(
                partial(
                    create_conversation, self._transport, self._capabilities, request, drop_images=self._drop_images
                )
            )
        except SekhaRateLimitError:
            await async_in_thread(partial(self._journal.refused, key))
            raise
        except SekhaError as error:
            await self._handle_failure(item, error)
            return
        self._failure_streak = 0
        await self._finish(item, stored["id"], "stored")

    async def _patiently(self, call: AsyncCall[[], T]) -> T:
        """Make a call, and make it again after each wait that the server asks for."""
        for _ in range(_MAX_RATE_LIMIT_WAITS):
            try:
                return await call()
            except SekhaRateLimitError as error:
                if not await self._wait_for_rate_limit(error):
                    raise
        return await call()

    async def _finish(self, item: Item, id: str, name: Count) -> None:
        """Note and count an item that is in the memory."""
        await async_in_thread(partial(self._journal.done, item.entry.key, id, item.origin))
        self._count(name, item=item)

    async def _kept_dates(self, item: Item) -> Mapping[str, str]:
        """Return the dates that are kept; warn of what is lost, one item after the other: the server is asked once."""
        messages, slot = item.request["messages"], self._asking.slot()
        try:
            if self._capabilities.features is None and (item.dates or extra_keys(messages)):
                await slot.acquire(None)
            await warn_of_lost_keys(self._transport, self._capabilities, messages)
            return await kept_dates(self._transport, self._capabilities, item.dates)
        finally:
            slot.release()

    async def _wait_for_rate_limit(self, error: SekhaRateLimitError) -> bool:
        """Wait as long as the server asks for; return False if that is too long, or the import is stopped."""
        seconds = error.retry_after or CONTROLLER_RATE_LIMIT_WINDOW
        if seconds > _MAX_RETRY_AFTER:
            return False
        self._transport.report_wait(endpoints.CREATE_CONVERSATION.request(), seconds)
        while seconds > 0 and not self._stopped.is_set():
            await self._clock.async_sleep(min(seconds, _POLL_INTERVAL))
            seconds -= _POLL_INTERVAL
        return not self._stopped.is_set()

    async def _handle_failure(self, item: Item, error: SekhaError) -> None:
        """Note and report the failure of an item; raise it where it ends the import."""
        is_unknown = error.may_have_been_applied
        note = self._journal.mark_unknown if is_unknown else self._journal.refused
        await async_in_thread(partial(note, item.entry.key))
        self._report_failure(item, error)

    def _report_failure(self, item: Item, error: SekhaError) -> None:
        """Report the failure of an item; raise it where it ends the import."""
        with self._count_lock:  # items fail side by side, and each has to be counted
            verdict = judge_failure(error, self._failure_streak)
            self._failure_streak = verdict.streak
        if verdict.is_reported:
            self._fail(item, str(error), may_have_been_applied=error.may_have_been_applied)
        if verdict.ends_import:
            raise error

    def _fail(self, item: Item, problem: str, *, may_have_been_applied: bool = False) -> None:
        self._count(
            "failed",
            make_failure(
                item.position,
                problem,
                place=item.place,
                label=item.request["label"],
                may_have_been_applied=may_have_been_applied,
            ),
            item=item,
        )

    def _count(self, name: Count, failure: ImportFailure | None = None, *, item: Item | None = None) -> None:
        with self._count_lock:  # threads count as well
            if item is not None and item.part is not None:
                tally = self._splits.setdefault(item.position, SplitTally(item.part))
                if not tally.add(name, failure):
                    return
                name, failure = cast(Count, tally.outcome), tally.failure
                if tally.has_stored:
                    self.report["split"].append(make_split(item.position, item.place, item.part))
                del self._splits[item.position]
            self.report["seen"] += 1
            cast("dict[str, int]", self.report)[name] += 1
            if failure is not None:
                self.report["failures"].append(failure)
            self._report()

    def _on_wait(self, event: WaitEvent) -> None:
        if event.seconds is not None and event.seconds > LONG_WAIT:
            with self._count_lock:
                self._report(waiting={"reason": event.reason, "seconds": event.seconds})

    def _report(self, **more: ImportWait) -> None:
        if self._on_progress is not None:
            progress: dict[str, Any] = {key: one for key, one in self.report.items() if isinstance(one, int)}
            self._on_progress(cast(ImportProgress, {**progress, **more}))
