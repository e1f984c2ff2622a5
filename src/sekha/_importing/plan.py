"""The decisions of an import: its items, what stored messages match, and what a failure means for the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from sekha._api.arguments import complete_conversation
from sekha._api.folder_view import FolderView
from sekha._api.validation import argument_error
from sekha._importing.chat_ids import chat_id
from sekha._importing.chats import Chat, supposed_id
from sekha._importing.digests import address_of, digests_of
from sekha._importing.journal import NO_ENTRY, Entry, Journal
from sekha._importing.sources import Origin
from sekha._importing.split import Part, TooLarge, make_split, may_exceed, split_conversation
from sekha.errors import (
    SekhaValidationError,
)
from sekha.exports._building import ReadConversation
from sekha.exports._conversations import add_counts
from sekha.exports._notes import Note, Source, UnreadableNote
from sekha.exports._times import is_moment
from sekha.types import ImportFailure, ImportReport, ImportSplit, SyncReport, UnreadableConversation
from sekha.types._base import normalize_timestamp

MAX_UNKNOWN_OUTCOMES = 2
"""Unknown outcomes of one conversation after which a run skips it, so that it does not block all others for ever."""


class Item(NamedTuple):
    """A conversation of an import.

    Attributes:
        position: Its number, from 1.
        request: What is to be stored.
        entry: What the journal says about it.
        place: Where it stands; None if nobody knows.
        origin: The note that it is, for the journal; None if it is none.
        dates: When it was begun, and changed last, as the keys of a request.
        part: Which part of a conversation it is that is too large for one request; None if it is all of it. The parts
            of one have the same position, and come one after another.
        chat: What its application says of it, if it has an id, or if it was stored in part; its pieces are noted.
        memory_id: Its id in the memory that it was exported from; None if it is of another application.
        is_archived: Whether it is archived there.
    """

    position: int
    request: dict[str, Any]
    entry: Entry
    place: str | None = None
    origin: Origin | None = None
    dates: Mapping[str, str] = MappingProxyType({})
    part: Part | None = None
    chat: Chat | None = None
    memory_id: str | None = None
    is_archived: bool = False


class Rejected(NamedTuple):
    """An item that cannot be stored: its number, its place, the problem, the note that it is, and its label."""

    position: int
    place: str | None
    problem: str
    source: Source | None = None
    label: str | None = None


def iter_items(
    conversations: Iterable[Mapping[str, object] | UnreadableConversation],
    journal: Journal,
    view: FolderView | None = None,
    *,
    drop_images: bool = False,
) -> Iterator[Item | Rejected]:
    """Yield the conversations one by one, with what the journal says about each; large ones in parts.

    Args:
        conversations: What is to be imported.
        journal: The journal.
        view: The folder in which they are stored; None for the whole memory.
        drop_images: Whether images that are part of messages may be lost where a conversation is too large.
    """
    for position, conversation in enumerate(conversations, start=1):
        source, place = _source_of(conversation), getattr(conversation, "place", None)
        if isinstance(conversation, UnreadableConversation):
            yield Rejected(position, conversation.place, conversation.problem, source)
            continue
        try:
            given = cast(object, conversation)
            if not isinstance(given, Mapping):
                raise argument_error("conversation", f"a dictionary is needed, not {type(conversation).__name__}")
            request = complete_conversation(conversation) if view is None else view.complete(conversation)
        except SekhaValidationError as error:
            yield Rejected(position, place, error.message, source)
            continue
        folder = _noted_folder(conversation, request["folder"], view)
        noted, dates = {**request, "folder": folder}, _dates_of(conversation)
        if source is None and isinstance(conversation, ReadConversation) and conversation.source_id:
            chat = make_chat(chat_id(conversation, conversation.source_id), noted, dates)
            entry = NO_ENTRY if journal.pieces(chat.id) else journal.older_entry(noted)
            memory_id, is_archived = conversation.memory_id, conversation.is_archived
            yield Item(position, request, entry, place, None, dates, None, chat, memory_id, is_archived)
            continue
        origin = None if source is None else Origin(source, digests_of(request))
        entry = journal.entry(noted, source)
        whole = _followed(Item(position, request, entry, place, origin, dates), noted, journal)
        if entry.id is not None or entry.is_open:  # older versions did not split
            yield whole
            continue
        try:
            parts = split_conversation(request, drop_images=drop_images)
        except TooLarge as error:
            yield Rejected(position, place, str(error), source, request["label"])
            continue
        if len(parts) == 1:
            yield whole._replace(request=parts[0])
            continue
        for number, one in enumerate(parts, start=1):
            noted = {**one, "folder": folder}
            item = whole._replace(request=one, entry=journal.entry(noted, source))
            yield _followed(item._replace(part=Part(number, len(parts), request["label"])), noted, journal)


def make_chat(id: str, noted: Mapping[str, Any], dates: Mapping[str, str]) -> Chat:
    """Return what is noted of a chat.

    Args:
        id: Its id, or what stands for it.
        noted: The conversation with its folder as journals note it.
        dates: When it was begun, and changed last, as keys of a request.
    """
    return Chat(id, *address_of(noted), dates.get("updated_at", ""))


def _followed(item: Item, noted: Mapping[str, Any], journal: Journal) -> Item:
    """Return an item of which a part was stored as what it is: the beginning of a chat."""
    id = supposed_id(item.entry.key)
    if item.entry.id is None and item.origin is None and journal.pieces(id):
        return item._replace(chat=make_chat(id, noted, item.dates))
    return item


def _noted_folder(conversation: Mapping[str, object], stored: str, view: FolderView | None) -> str:
    """Return the folder of a conversation as journals note it: absolute if its reader chose it, and without a month.

    Args:
        conversation: As it was given.
        stored: The folder in which it is stored.
        view: The folder to which the client is confined; None for the whole memory.
    """
    undated = conversation.undated_folder if isinstance(conversation, ReadConversation) else None
    if view is not None:
        return stored if undated is None else str(view.absolute(undated) if undated else view.folder)
    # Journals of older versions note the folder as it was given.
    folder = str(conversation.get("folder") or "") if undated is None else undated
    is_relative = isinstance(conversation, ReadConversation) and conversation.has_default_folder
    return (f"/{folder}" if is_relative else folder) or stored


def _dates_of(conversation: object) -> Mapping[str, str]:
    """Return when a chat was begun and changed last, as far as that is known, as keys of a request."""
    if not isinstance(conversation, ReadConversation):
        return {}
    dates = {"created_at": conversation.created_at, "updated_at": conversation.updated_at}
    return {key: moment for key, date in dates.items() if date and is_moment(moment := normalize_timestamp(date))}


def count_left_out(
    conversations: Iterable[Mapping[str, object] | UnreadableConversation], left_out: dict[str, int]
) -> Iterator[Mapping[str, object] | UnreadableConversation]:
    """Yield the conversations, and count by kind what their reader has left out of them and of its files."""
    for conversation in conversations:
        add_counts(left_out, getattr(conversation, "left_out", None))
        yield conversation
    add_counts(left_out, getattr(conversations, "left_out", None))


def preview_split(
    conversation: Mapping[str, object] | UnreadableConversation, position: int, name: str, *, drop_images: bool
) -> tuple[Mapping[str, object] | UnreadableConversation, list[ImportSplit]]:
    """Return a conversation, or why it cannot be stored if it is too large, and in how many parts it would be stored.

    Args:
        conversation: What a reader has read.
        position: Its number, from 1.
        name: Name of the file.
        drop_images: Whether images that are part of messages may be lost.
    """
    if isinstance(conversation, UnreadableConversation) or not may_exceed(conversation):
        return conversation, []
    place = getattr(conversation, "place", None)
    try:
        request = complete_conversation(conversation)
        parts = split_conversation(request, drop_images=drop_images)
    except SekhaValidationError:  # said when it is stored
        return conversation, []
    except TooLarge as error:
        return UnreadableConversation(place or f"{name}, conversation {position}", str(error)), []
    if len(parts) == 1:
        return conversation, []
    return conversation, [make_split(position, place, Part(1, len(parts), request["label"]))]


def _source_of(conversation: object) -> Source | None:
    return conversation.source if isinstance(conversation, (Note, UnreadableNote)) else None


def attach_report(error: BaseException, report: ImportReport | SyncReport) -> None:
    """Set as ``report`` of an error, of whatever class, what an import had done before it."""
    with suppress(AttributeError):  # an error of the user's own may refuse it
        cast(Any, error).report = report


def new_import_report() -> ImportReport:
    """Return a report of nothing."""
    return {
        "seen": 0, "stored": 0, "already_stored": 0, "empty": 0, "failed": 0, "grown": 0, "renamed": 0, "replaced": 0,
        "failures": [], "left_out": {}, "split": [], "changes": [],
    }  # fmt: skip


def make_failure(
    position: int,
    problem: str,
    *,
    place: str | None = None,
    label: str | None = None,
    may_have_been_applied: bool = False,
) -> ImportFailure:
    """Return the entry of the report for an item that was not imported."""
    return {
        "position": position,
        "place": place,
        "label": label,
        "error": problem,
        "may_have_been_applied": may_have_been_applied,
    }
