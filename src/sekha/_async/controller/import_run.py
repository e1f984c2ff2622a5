"""One run of an import: new items, items that an earlier run stored, and items that were in flight when it ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from sekha._api import endpoints
from sekha._api.compat.capabilities import Capabilities
from sekha._api.compat.error_overrides import is_unable_to_delete
from sekha._api.folder_view import FolderView
from sekha._concurrency.tasks import async_for_each, async_in_thread
from sekha._importing.chats import make_supposed, part_origin
from sekha._importing.digests import address_of
from sekha._importing.journal import Journal
from sekha._importing.pending import PartialMatch, Sought, find_sought, match_sought
from sekha._importing.plan import (
    MAX_UNKNOWN_OUTCOMES,
    Item,
    Rejected,
    attach_report,
    count_left_out,
    iter_items,
    make_failure,
    new_import_report,
)
from sekha.errors import SekhaError, SekhaNotFoundError, SekhaRateLimitError, SekhaServerError
from sekha.exports._note_files import JOURNAL
from sekha.types import ConversationListItem, ImportProgress, ImportReport, Message, UnreadableConversation

from ..operations.pagination import all_conversations
from ..operations.remove import delete
from ..transport import AsyncTransport
from .chat_run import AsyncChatRun
from .storing import MAX_RATE_LIMIT_WAITS, POLL_INTERVAL

IN_FLIGHT_GRACE = 10.0
"""Seconds after which a request that was in flight when an import was interrupted is considered lost."""
_GROWTH_GRACE = 10.0
"""Seconds within which a partly stored conversation grows if the server is still storing it."""
_SKIPPED = (
    "its outcome was unknown {times} times, and it is not stored; this import skips it, and the next one tries it again"
)


class AsyncImportRun(AsyncChatRun):
    """One run of an import.

    An item is one of six:

    1. It cannot be stored, or has no messages: it is counted.
    2. The journal contains its ID: it is counted as already stored.
    3. The journal contains the chat: its new messages are stored.
    4. The journal has an open entry for it, or for an identical one, of a run that was interrupted: it waits for the
       end of the run, when nothing else is in flight that it could be confused with. So does a chat that stands in the
       export twice.
    5. Of those, one that is found in the memory is noted and counted. One of which only a part is found is completed,
       and one that is not found and had an unknown outcome too often is a failure.
    6. All others are stored: noted as begun, sent, and noted as done, refused, or of unknown outcome.
    """

    async def process(self, item: Item | Rejected) -> None:
        """Store an item if necessary, and count it."""
        if isinstance(item, Rejected):
            self._count("failed", make_failure(item.position, item.problem, place=item.place, label=item.label))
        elif not item.request["messages"]:
            self._count("empty")
        elif item.chat is not None:
            await self._process_chat(item, item.chat.id)
        elif item.entry.id is not None:
            self._count("already_stored", item=item)
        elif self._journal.is_open(item.entry.key):
            self._pending.append(item)
        else:
            await self._store(item)

    async def _process_chat(self, item: Item, id: str) -> None:
        """Store what is new in a chat, unless it is waiting or in progress."""
        if self._stopped.is_set():
            return
        with self._count_lock:
            is_held = id in self._held
            self._held.add(id)
        if is_held:
            self._later.append(item)
        elif any(find_sought(item, self._journal)):
            self._pending.append(item)
        else:
            await self._follow(item)
            self._held.discard(id)

    async def resolve_pending(self) -> None:
        """Determine which items an interrupted run has stored, and store the others."""
        await self._settle_pending()
        while self._later and not self._stopped.is_set():
            later, self._later = self._later, []
            for item in later:
                await self.process(item)
            await self._settle_pending()

    async def _settle_pending(self) -> None:
        sought, parts = await self._look_for_pending()
        pending, self._pending = self._pending, []
        for item in pending:
            missing = [one for one in sought if one.item is item]
            try:
                await self._settle(item, missing, parts)
            except SekhaRateLimitError:
                raise
            except SekhaError as error:
                self._report_failure(item, error)
            if item.chat is not None:
                self._held.discard(item.chat.id)

    async def _look_for_pending(self) -> tuple[list[Sought], dict[str, PartialMatch]]:
        """Look for started items until they are stored or considered lost; return missing and partly stored items."""
        time_left = IN_FLIGHT_GRACE - (self._clock.now() - self._started_at)  # the interrupted run ended before
        sought = [one for item in self._pending for one in find_sought(item, self._journal)]
        parts: dict[str, PartialMatch] = {}
        rate_limit_waits = 0
        while sought:
            try:
                found = await self._reconcile(sought)
            except SekhaRateLimitError as error:
                rate_limit_waits += 1
                if rate_limit_waits > MAX_RATE_LIMIT_WAITS or not await self._wait_for_rate_limit(error):
                    raise
                continue
            if any(part.size > (parts[key].size if key in parts else -1) for key, part in found.items()):
                time_left = max(time_left, _GROWTH_GRACE)
            parts = found
            if time_left <= 0:
                break
            time_left -= POLL_INTERVAL
            await self._clock.async_sleep(POLL_INTERVAL)
        return sought, parts

    async def _reconcile(self, sought: list[Sought]) -> dict[str, PartialMatch]:
        """Record and remove items that are stored completely; return, by key, those that are stored partly."""
        since, known_ids = self._journal.since or "", self._journal.ids
        wanted = {one.address for one in sought}
        dated = {one.address for one in sought if one.item.dates}  # the server may store their dates

        def may_be_sought(row: ConversationListItem) -> bool:
            if row["conversation_id"] in known_ids or not self._is_inside(row["folder"]):
                return False
            address = address_of(row)
            return address in wanted and (row["timestamp"] >= since or address in dated)

        others: list[tuple[PartialMatch, list[Message], tuple[str, str]]] = []
        for row in await all_conversations(self._transport, may_be_sought):
            id, address = row["conversation_id"], address_of(row)
            try:
                created_at = (await self._transport.send(endpoints.GET_CONVERSATION.request(id=id)))["created_at"]
                if created_at is not None and created_at < since and address not in dated:
                    continue
                export = await self._transport.send(endpoints.MEMORY_EXPORT.request({"conversation_id": id}))
            except SekhaNotFoundError:  # it was deleted in the meantime
                continue
            messages = export["messages"]
            whole = next((one for one in sought if match_sought(one, address, messages) == "same"), None)
            if whole is not None:
                sought.remove(whole)
                await self._note_found(whole, id)
            elif row["metadata"].get("status") != "archived":
                is_ours = bool(since) and created_at is not None and created_at >= since
                others.append((PartialMatch(id, len(messages), is_ours), messages, address))
        parts: dict[str, PartialMatch] = {}
        for part, messages, address in sorted(
            others, key=lambda other: -other[0].size
        ):  # an empty one may belong to any item
            for one in sought:
                if one.key not in parts and match_sought(one, address, messages) == "part":
                    parts[one.key] = part
                    break
        return parts

    async def _note_found(self, whole: Sought, id: str) -> None:
        """Record items that are stored as they were sent."""
        if whole.item.is_archived:
            await self._archive(id)
        if whole.item.chat is None:
            self._pending.remove(whole.item)
            await self._finish(whole.item, id, "already_stored")
        elif whole.origin is None:
            await self._adopt(whole.item, whole.key, id)
        else:
            await async_in_thread(partial(self._journal.done, whole.key, id, whole.origin))

    async def _settle(self, item: Item, missing: list[Sought], parts: dict[str, PartialMatch]) -> None:
        """Store the missing part of a pending item.

        Raises:
            SekhaError: A request failed.
        """
        is_mended = False
        for one in missing:
            part, times = parts.get(one.key), self._journal.unknown_outcomes(one.key)
            if part is not None:
                item = await self._mend(item, one, part)
                is_mended = is_mended or part.size > 0
            elif times >= MAX_UNKNOWN_OUTCOMES:
                await async_in_thread(partial(self._journal.mark_skipped, one.key))
                self._fail(item, _SKIPPED.format(times=times), may_have_been_applied=True)
                return
            elif item.chat is not None:
                await async_in_thread(partial(self._journal.refused, one.key))
        if item.chat is not None:
            await self._follow(item, "mended" if is_mended else None)
            return
        if is_mended:
            self._note_change(item, "mended")
        await self._store(item)

    async def _mend(self, item: Item, sought: Sought, part: PartialMatch) -> Item:
        """Delete a partly stored conversation; if the server cannot delete, keep it as the start, which is continued.

        Raises:
            SekhaError: A request failed.
        """
        if part.is_ours and (part.size == 0 or not self._capabilities.cannot_delete):
            try:
                await self._patiently(partial(delete, self._transport, self._capabilities, part.id))
            except SekhaServerError as error:
                if not is_unable_to_delete(error):
                    raise
            else:
                await async_in_thread(partial(self._journal.refused, sought.key))
                return item
        if part.size == 0 or item.origin is not None:
            return item
        chat = item.chat or make_supposed(sought.key, item.request)
        origin = part_origin(chat, sought.messages[: part.size], sought.start, sought.origin)
        await self._note_piece(part.id, origin)
        if not chat.is_supposed:
            await async_in_thread(partial(self._journal.refused, sought.key))
        return item._replace(chat=chat)


async def async_import_all(
    transport: AsyncTransport,
    capabilities: Capabilities,
    view: FolderView | None,
    conversations: Iterable[Mapping[str, object] | UnreadableConversation],
    *,
    concurrency: int,
    journal: str | None,
    drop_images: bool,
    on_progress: Callable[[ImportProgress], object] | None,
) -> ImportReport:
    """Import conversations; see `AsyncMemoryController.import_conversations`.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        view: The folder that the client is restricted to; None for the whole memory.
        conversations: The conversations to store.
        concurrency: Maximum number of concurrent requests.
        journal: The file of the journal; None for no journal.
        drop_images: Whether to drop images that are part of messages.
        on_progress: Called after each conversation.

    Raises:
        SekhaError: The import ended early; ``report`` of the error has the result so far.
    """
    is_default = journal is not None and os.path.basename(journal) == JOURNAL
    notes = Journal(journal, transport.base_url, None if view is None else view.folder, reads_older=is_default)
    report = new_import_report()
    run = AsyncImportRun(transport, capabilities, notes, on_progress, view, report, drop_images=drop_images)
    await async_in_thread(notes.open)
    try:
        if journal is not None and notes.since is None:
            since = (await transport.send(endpoints.CONTROLLER_HEALTH.request())).get("timestamp")
            await async_in_thread(partial(notes.start, since))
        counted = count_left_out(conversations, report["left_out"])
        items = iter_items(counted, notes, view, drop_images=drop_images)
        await async_for_each(items, run.process, concurrency, run.stop)
        await run.resolve_pending()
    except BaseException as error:
        attach_report(error, run.report)
        raise
    finally:
        notes.close()
    return report
