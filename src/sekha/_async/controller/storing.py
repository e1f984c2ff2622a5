"""Storage of the items of an import: journal entries, counts, failures, and waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar, cast

from sekha._api import endpoints
from sekha._api.compat.capabilities import Capabilities
from sekha._api.compat.error_overrides import CONTROLLER_RATE_LIMIT_WINDOW
from sekha._api.folder_view import FolderView
from sekha._concurrency.primitives import AsyncSemaphore
from sekha._concurrency.tasks import AsyncCall, async_in_thread
from sekha._importing.digests import Digests, digests_of
from sekha._importing.failures import judge_failure
from sekha._importing.journal import Journal
from sekha._importing.plan import Item, make_failure
from sekha._importing.sources import Origin
from sekha._importing.split import SplitTally, make_split
from sekha._transport.listeners import LONG_WAIT
from sekha._transport.operations import CREATE
from sekha._transport.spans import async_traced
from sekha.errors import SekhaError, SekhaRateLimitError
from sekha.events import WaitEvent
from sekha.types import Conversation, ImportFailure, ImportProgress, ImportReport, ImportWait, SyncReport

from ..operations.change import archive
from ..operations.lost_keys import kept_dates, warn_of_lost_keys
from ..operations.store import create_conversation
from ..transport import AsyncTransport

POLL_INTERVAL = 1.0
MAX_RATE_LIMIT_WAITS = 10
_MAX_RETRY_AFTER = 300.0
"""Seconds. If the server requests a longer wait, the import ends."""

Count = Literal["stored", "already_stored", "empty", "failed", "grown", "renamed", "replaced", "moved"]
"""Outcome of an item; ``moved`` is for a sync, ``grown`` and ``renamed`` for an import."""
T = TypeVar("T")


class AsyncStoringRun:
    """Base of all runs of imports and syncs: storing an item, and recording its outcome.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        journal: The journal, open.
        on_progress: Called after each item.
        view: The folder that the client is restricted to; None for the whole memory.
        report: The counts.
        drop_images: Whether to drop images that are part of a message (D4).
    """

    def __init__(
        self,
        transport: AsyncTransport,
        capabilities: Capabilities,
        journal: Journal,
        on_progress: Callable[[ImportProgress], object] | None,
        view: FolderView | None,
        report: ImportReport | SyncReport,
        *,
        drop_images: bool = False,
    ) -> None:
        self.report = report
        self._drop_images = drop_images
        self._transport = transport.with_wait_listener(self._on_wait)
        self._capabilities = capabilities
        self._journal = journal
        self._on_progress = on_progress
        self._view = view
        self._count_lock = threading.Lock()
        self._asking = AsyncSemaphore(1)
        self._stopped = threading.Event()
        self._failure_streak = 0
        self._ids: set[str] | None = None  # of all conversations, if requested
        self._splits: dict[int, SplitTally] = {}  # by position
        self._clock = transport.clock
        self._started_at = self._clock.now()
        self._pending: list[Item] = []
        self._held: set[str] = set()  # chats that are in progress, or wait
        self._later: list[Item] = []  # versions of those

    def stop(self) -> None:
        """Start nothing more."""
        self._stopped.set()

    async def _store(self, item: Item) -> None:
        """Store an item, and count it."""
        try:
            id = await self._create(item, item.request, item.entry.key, item.origin)
        except SekhaRateLimitError:
            raise
        except SekhaError as error:
            self._report_failure(item, error)
        else:
            if id is not None:
                await self._finish(item, id, "stored")

    async def _create(
        self,
        item: Item,
        request: dict[str, Any],
        key: str,
        origin: Origin | None = None,
        sent: Digests | None = None,
    ) -> str | None:
        """Record the start of a request for an item, and store it.

        Args:
            item: The item.
            request: The conversation to store.
            key: Its key in the journal.
            origin: Its origin, if it is recorded under that.
            sent: The hashes of the request, if known.

        Returns:
            The ID; None if the run was stopped.

        Raises:
            SekhaError: The request failed; this is recorded, not reported.
        """
        if self._stopped.is_set():
            return None
        if origin is not None and sent is None:
            sent = digests_of(request)
        dates = await self._kept_dates(item)
        status = {"status": "archived"} if item.is_archived and dates else {}  # what keeps those keeps that
        request = {**request, **dates, **status}
        await async_in_thread(partial(self._journal.begin, key, origin, sent))
        try:
            stored = await _create_patiently(self._transport, request, self)
        except SekhaRateLimitError:
            await async_in_thread(partial(self._journal.refused, key))
            raise
        except SekhaError as error:
            note = self._journal.mark_unknown if error.may_have_been_applied else self._journal.refused
            await async_in_thread(partial(note, key))
            raise
        self._failure_streak = 0
        if item.is_archived and stored["status"] != "archived":
            await self._archive(stored["id"])
        return stored["id"]

    async def _archive(self, id: str) -> None:
        """Archive an item that was archived at its origin; it is recorded as stored only after that.

        Raises:
            SekhaError: Archiving failed; the message states that the conversation is stored.
        """
        try:
            await self._patiently(partial(archive, self._transport, id))
        except SekhaError as error:
            error.message = f"conversation {id} is stored, but not archived yet: {error.message}"
            raise

    async def _patiently(self, call: AsyncCall[[], T]) -> T:
        """Make a call, and retry it after each wait that the server requests."""
        for _ in range(MAX_RATE_LIMIT_WAITS):
            try:
                return await call()
            except SekhaRateLimitError as error:
                if not await self._wait_for_rate_limit(error):
                    raise
        return await call()

    async def _finish(self, item: Item, id: str, name: Count) -> None:
        """Record and count a stored item."""
        await async_in_thread(partial(self._journal.done, item.entry.key, id, item.origin))
        self._count(name, item=item)

    async def _kept_dates(self, item: Item) -> Mapping[str, str]:
        """Return the dates that the server stores; warn about lost ones."""
        await warn_of_lost_keys(self._transport, self._capabilities, item.request["messages"])
        return await kept_dates(self._transport, self._capabilities, item.dates)

    async def _wait_for_rate_limit(self, error: SekhaRateLimitError) -> bool:
        """Wait as long as the server requests; return False if that is too long, or the import is stopped."""
        seconds = error.retry_after or CONTROLLER_RATE_LIMIT_WINDOW
        if seconds > _MAX_RETRY_AFTER:
            return False
        self._transport.report_wait(endpoints.CREATE_CONVERSATION.request(), seconds)
        while seconds > 0 and not self._stopped.is_set():
            await self._clock.async_sleep(min(seconds, POLL_INTERVAL))
            seconds -= POLL_INTERVAL
        return not self._stopped.is_set()

    def _report_failure(self, item: Item, error: SekhaError) -> None:
        """Report the failure of an item; raise it if it ends the import."""
        with self._count_lock:  # items fail concurrently, and each must be counted
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


@async_traced(CREATE)
async def _create_patiently(
    transport: AsyncTransport, conversation: dict[str, Any], run: AsyncStoringRun
) -> Conversation:
    """Store a conversation of a run; all waits for the rate limit of the server belong to one operation."""
    create = partial(create_conversation, transport, run._capabilities, conversation, drop_images=run._drop_images)
    return await run._patiently(create)
