"""Matching of chats by ID from one export to the next: they are renamed, replaced or continued."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from sekha._api.stored import complete_replacement, is_unchanged
from sekha._concurrency.tasks import async_in_thread
from sekha._importing.chats import (
    CONTINUED,
    OLDER,
    Chat,
    ChatAction,
    changed_keys,
    compare_chat,
    cut_suffix,
    is_same_piece,
    make_pieces,
    moved_origin,
    whole_origin,
)
from sekha._importing.digests import digests_of
from sekha._importing.journal import piece_key
from sekha._importing.plan import Item
from sekha._importing.sources import Known, Origin, chat_source
from sekha._importing.split import Part, TooLarge, make_split, split_conversation
from sekha.errors import SekhaError, SekhaRateLimitError
from sekha.exports._conversations import add_counts
from sekha.types import ImportReport

from ..operations.features import controller_features
from .storing import Count
from .versions import AsyncVersionsRun


class AsyncChatRun(AsyncVersionsRun):
    """A run that identifies chats by the IDs of their application."""

    async def _follow(self, item: Item, action: ChatAction | None = None) -> None:
        """Store what is new in a chat, and count it.

        Args:
            item: The chat.
            action: An additional action for the report.
        """
        try:
            await self._update(item, cast(Chat, item.chat), action)
        except TooLarge as error:
            self._fail(item, str(error))
        except SekhaRateLimitError:
            raise
        except SekhaError as error:
            self._report_failure(item, error)

    async def _update(self, item: Item, chat: Chat, action: ChatAction | None) -> None:
        known = self._journal.pieces(chat.id)
        if not known and item.entry.id is not None:  # from versions that did not record IDs
            await self._adopt(item, item.entry.key, item.entry.id, item.entry.size)
            known = self._journal.pieces(chat.id)
        state = compare_chat(chat, item.request["messages"], known)
        if state == "new" and item.memory_id is not None and await self._is_there(item.memory_id):
            await self._adopt(item, piece_key(chat_source(chat.id), digests_of(item.request)), item.memory_id)
            await self._end(item, "already_stored", action)
        elif state == "new":
            if await self._send(item, item.request):
                await self._end(item, "stored", action)
        elif state == "renamed":
            is_there = await self._rename(item, known, changed_keys(chat, known))
            await self._end(item, "renamed" if is_there else "already_stored", "renamed" if is_there else "gone")
        elif state == "grown" and not await self._can_delete():
            await self._continue(item, known, action)
        elif state in ("grown", "edited"):
            await self._replace(item, known, "grown" if state == "grown" else "replaced", action)
        else:
            if state == "older":
                add_counts(self.report["left_out"], {OLDER: 1})
            await self._end(item, "already_stored", action)

    async def _can_delete(self) -> bool:
        """Return whether the server reports that it can delete conversations; controller 0.1 cannot."""
        if self._capabilities.cannot_delete:
            return False
        features = await controller_features(self._transport, self._capabilities)
        return features is not None and features.deletes

    async def _adopt(self, item: Item, key: str, id: str, size: int | None = None) -> None:
        """Record that a conversation is the whole chat, or its first messages."""
        origin = whole_origin(cast(Chat, item.chat), item.request["messages"][:size])
        await async_in_thread(partial(self._journal.done, key, id, origin))

    async def _rename(self, item: Item, known: Mapping[int, Known], keys: list[str]) -> bool:
        """Change label and folder of all pieces; return whether any is there."""
        is_there = False
        for start, piece in known.items():
            changes = {key: item.request[key] for key in keys}
            if "label" in changes:
                changes["label"] += piece.extent.suffix
            is_there = await self._move(piece.id, changes) or is_there
            await self._note_piece(piece.id, moved_origin(cast(Chat, item.chat), start, piece))
        return is_there

    async def _note_piece(self, id: str, origin: Origin) -> None:
        await async_in_thread(partial(self._journal.done, piece_key(origin.source, origin.digests), id, origin))

    async def _continue(self, item: Item, known: Mapping[int, Known], action: ChatAction | None) -> None:
        """Store the messages that are in no piece yet as a separate conversation."""
        chat = cast(Chat, item.chat)
        there = {start: await self._get(piece.id) for start, piece in known.items()}
        gone = [known[start].id for start, found in there.items() if found is None]
        for id in gone:
            await async_in_thread(partial(self._journal.removed, id))
        first = there[0]
        if gone or first is None:
            await self._update(item._replace(entry=item.entry._replace(id=None)), chat, "restored")
            return
        keys = changed_keys(chat, known)
        if keys:
            await self._rename(item, known, keys)
        label = item.request["label"] if "label" in keys else cut_suffix(first["label"], known[0].extent.suffix)
        start = sum(piece.extent.size for piece in known.values())
        request = {
            "label": label + CONTINUED,
            "folder": item.request["folder"] if "folder" in keys else first["folder"],
            "importance_score": int(first.get("importance_score") or item.request["importance_score"]),
            "messages": item.request["messages"][start:],
        }
        if await self._send(item, request, label, start):
            await self._end(item, "grown", action or "continued", label + CONTINUED)

    async def _replace(self, item: Item, known: Mapping[int, Known], name: Count, action: ChatAction | None) -> None:
        """Store a chat in place of its earlier version, whose importance is kept."""
        chat, messages = cast(Chat, item.chat), item.request["messages"]
        for piece in known.values():
            export = await self._export(piece.id)
            if export is not None:
                break
            await async_in_thread(partial(self._journal.removed, piece.id))
        else:
            await self._update(item._replace(entry=item.entry._replace(id=None)), chat, "restored")
            return
        changes = {key: item.request[key] for key in changed_keys(chat, known)}
        replacement = complete_replacement({"messages": messages, **changes}, export)
        if "label" not in changes:
            replacement["label"] = cut_suffix(replacement["label"], piece.extent.suffix)
        if len(known) == 1 and is_unchanged(replacement, export):
            await self._adopt(item, piece_key(chat_source(chat.id), digests_of(replacement)), piece.id)
            await self._end(item, "already_stored", action)
        elif await self._send(item, replacement, replacement["label"], known={} if changes else known):
            await self._end(item, name, action or ("grown" if name == "grown" else "replaced"), replacement["label"])

    async def _send(
        self,
        item: Item,
        request: dict[str, Any],
        label: str | None = None,
        start: int = 0,
        known: Mapping[int, Known] | None = None,
    ) -> bool:
        """Store a chat, or the rest of it, in as many pieces as needed; return False if it was stopped.

        Args:
            item: The chat.
            request: The conversation to store.
            label: The label of the whole chat; default: that of the request.
            start: The number of messages before it.
            known: The pieces that need not be stored again.
        """
        chat = cast(Chat, item.chat)
        parts = split_conversation(request, drop_images=self._drop_images)
        pieces = make_pieces(chat, parts, label or request["label"], item.request["messages"][start:], start)
        for piece in pieces:
            before = (known or {}).get(piece.start)
            if before is not None and is_same_piece(piece, before):
                await self._note_piece(before.id, piece.origin)
                continue
            key = piece_key(piece.origin.source, piece.sent)
            id = await self._create(item, piece.request, key, piece.origin, piece.sent)
            if id is None:
                return False
            await async_in_thread(partial(self._journal.done, key, id, piece.origin))
        if len(pieces) > 1:
            self.report["split"].append(make_split(item.position, item.place, Part(1, len(pieces), request["label"])))
        return True

    async def _end(self, item: Item, name: Count, action: ChatAction | None = None, label: str | None = None) -> None:
        """Remove earlier versions of a chat that is stored now, and count it.

        Args:
            item: The chat.
            name: The outcome.
            action: The action for the report.
            label: The label under which it, or the rest of it, is stored.
        """
        chat = cast(Chat, item.chat)
        await self._remove_earlier(list(self._journal.stale(chat_source(chat.id))))
        if chat.is_supposed:
            id = self._journal.pieces(chat.id)[0].id
            await async_in_thread(partial(self._journal.done, item.entry.key, id))
        if name == "grown" and (chat.is_supposed or action in ("mended", "restored")):
            name = "stored"
        self._count(name, item=item)
        if action is not None:
            self._note_change(item, action, label)

    def _note_change(self, item: Item, action: ChatAction, label: str | None = None) -> None:
        with self._count_lock:
            cast(ImportReport, self.report)["changes"].append(
                {"place": item.place, "label": label or item.request["label"], "action": action}
            )
