# Generated from src/sekha/_async/controller/chat_run.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Matching of chats by ID from one export to the next: they are renamed, replaced or continued."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from sekha._api.stored import complete_replacement, is_unchanged
from sekha._concurrency.tasks import in_thread
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
from .versions import VersionsRun


class ChatRun(VersionsRun):
    """A run that identifies chats by the IDs of their application."""

    def _follow(self, item: Item, action: ChatAction | None = None) -> None:
        """Store what is new in a chat, and count it.

        Args:
            item: The chat.
            action: An additional action for the report.
        """
        try:
            self._update(item, cast(Chat, item.chat), action)
        except TooLarge as error:
            self._fail(item, str(error))
        except SekhaRateLimitError:
            raise
        except SekhaError as error:
            self._report_failure(item, error)

    def _update(self, item: Item, chat: Chat, action: ChatAction | None) -> None:
        known = self._journal.pieces(chat.id)
        if not known and item.entry.id is not None:  # from versions that did not record IDs
            self._adopt(item, item.entry.key, item.entry.id, item.entry.size)
            known = self._journal.pieces(chat.id)
        state = compare_chat(chat, item.request["messages"], known)
        if state == "new" and item.memory_id is not None and self._is_there(item.memory_id):
            self._adopt(item, piece_key(chat_source(chat.id), digests_of(item.request)), item.memory_id)
            self._end(item, "already_stored", action)
        elif state == "new":
            if self._send(item, item.request):
                self._end(item, "stored", action)
        elif state == "renamed":
            is_there = self._rename(item, known, changed_keys(chat, known))
            self._end(item, "renamed" if is_there else "already_stored", "renamed" if is_there else "gone")
        elif state == "grown" and not self._can_delete():
            self._continue(item, known, action)
        elif state in ("grown", "edited"):
            self._replace(item, known, "grown" if state == "grown" else "replaced", action)
        else:
            if state == "older":
                add_counts(self.report["left_out"], {OLDER: 1})
            self._end(item, "already_stored", action)

    def _can_delete(self) -> bool:
        """Return whether the server reports that it can delete conversations; controller 0.1 cannot."""
        if self._capabilities.cannot_delete:
            return False
        features = controller_features(self._transport, self._capabilities)
        return features is not None and features.deletes

    def _adopt(self, item: Item, key: str, id: str, size: int | None = None) -> None:
        """Record that a conversation is the whole chat, or its first messages."""
        origin = whole_origin(cast(Chat, item.chat), item.request["messages"][:size])
        in_thread(partial(self._journal.done, key, id, origin))

    def _rename(self, item: Item, known: Mapping[int, Known], keys: list[str]) -> bool:
        """Change label and folder of all pieces; return whether any is there."""
        is_there = False
        for start, piece in known.items():
            changes = {key: item.request[key] for key in keys}
            if "label" in changes:
                changes["label"] += piece.extent.suffix
            is_there = self._move(piece.id, changes) or is_there
            self._note_piece(piece.id, moved_origin(cast(Chat, item.chat), start, piece))
        return is_there

    def _note_piece(self, id: str, origin: Origin) -> None:
        in_thread(partial(self._journal.done, piece_key(origin.source, origin.digests), id, origin))

    def _continue(self, item: Item, known: Mapping[int, Known], action: ChatAction | None) -> None:
        """Store the messages that are in no piece yet as a separate conversation."""
        chat = cast(Chat, item.chat)
        there = {start: self._get(piece.id) for start, piece in known.items()}
        gone = [known[start].id for start, found in there.items() if found is None]
        for id in gone:
            in_thread(partial(self._journal.removed, id))
        first = there[0]
        if gone or first is None:
            self._update(item._replace(entry=item.entry._replace(id=None)), chat, "restored")
            return
        keys = changed_keys(chat, known)
        if keys:
            self._rename(item, known, keys)
        label = item.request["label"] if "label" in keys else cut_suffix(first["label"], known[0].extent.suffix)
        start = sum(piece.extent.size for piece in known.values())
        request = {
            "label": label + CONTINUED,
            "folder": item.request["folder"] if "folder" in keys else first["folder"],
            "importance_score": int(first.get("importance_score") or item.request["importance_score"]),
            "messages": item.request["messages"][start:],
        }
        if self._send(item, request, label, start):
            self._end(item, "grown", action or "continued", label + CONTINUED)

    def _replace(self, item: Item, known: Mapping[int, Known], name: Count, action: ChatAction | None) -> None:
        """Store a chat in place of its earlier version, whose importance is kept."""
        chat, messages = cast(Chat, item.chat), item.request["messages"]
        for piece in known.values():
            export = self._export(piece.id)
            if export is not None:
                break
            in_thread(partial(self._journal.removed, piece.id))
        else:
            self._update(item._replace(entry=item.entry._replace(id=None)), chat, "restored")
            return
        changes = {key: item.request[key] for key in changed_keys(chat, known)}
        replacement = complete_replacement({"messages": messages, **changes}, export)
        if "label" not in changes:
            replacement["label"] = cut_suffix(replacement["label"], piece.extent.suffix)
        if len(known) == 1 and is_unchanged(replacement, export):
            self._adopt(item, piece_key(chat_source(chat.id), digests_of(replacement)), piece.id)
            self._end(item, "already_stored", action)
        elif self._send(item, replacement, replacement["label"], known={} if changes else known):
            self._end(item, name, action or ("grown" if name == "grown" else "replaced"), replacement["label"])

    def _send(
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
                self._note_piece(before.id, piece.origin)
                continue
            key = piece_key(piece.origin.source, piece.sent)
            id = self._create(item, piece.request, key, piece.origin, piece.sent)
            if id is None:
                return False
            in_thread(partial(self._journal.done, key, id, piece.origin))
        if len(pieces) > 1:
            self.report["split"].append(make_split(item.position, item.place, Part(1, len(pieces), request["label"])))
        return True

    def _end(self, item: Item, name: Count, action: ChatAction | None = None, label: str | None = None) -> None:
        """Remove earlier versions of a chat that is stored now, and count it.

        Args:
            item: The chat.
            name: The outcome.
            action: The action for the report.
            label: The label under which it, or the rest of it, is stored.
        """
        chat = cast(Chat, item.chat)
        self._remove_earlier(list(self._journal.stale(chat_source(chat.id))))
        if chat.is_supposed:
            id = self._journal.pieces(chat.id)[0].id
            in_thread(partial(self._journal.done, item.entry.key, id))
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
