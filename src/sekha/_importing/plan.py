"""The logic of an import: its items, and its report."""

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
"""Number of unknown outcomes of a conversation after which a run skips it, so that it does not block the others."""


class Item(NamedTuple):
    """A conversation of an import.

    Attributes:
        position: Its number, from 1.
        request: The conversation to store.
        entry: Its state in the journal.
        place: Its position in the file; None if unknown.
        origin: The note, for the journal; None if it is not a note.
        dates: Creation and update time, as keys of a request.
        part: The part of a conversation that is too large for one request; None for a complete one. Parts have the same
            position, and are consecutive.
        chat: Metadata of its application, if it has an ID or was stored partially; its pieces are recorded.
        memory_id: Its ID in the memory that it was exported from; None if it is from another application.
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
    """An item that cannot be stored: its number, its position, the problem, its note, and its label."""

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
    """Yield the conversations with their states in the journal; split large ones.

    Args:
        conversations: The conversations to import.
        journal: The journal.
        view: The folder of the view; None for the whole memory.
        drop_images: Whether images may be dropped from a conversation that is too large.

    Yields:
        Items to store, and items that cannot be stored.
    """
    for position, conversation in enumerate(conversations, start=1):
        source, place = _source_of(conversation), getattr(conversation, "place", None)
        if isinstance(conversation, UnreadableConversation):
            yield Rejected(position, conversation.place, conversation.problem, source)
            continue
        try:
            given = cast(object, conversation)
            if not isinstance(given, Mapping):
                raise argument_error("conversation", f"expected a dictionary, got {type(conversation).__name__}")
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
    """Return the metadata of a chat for the journal.

    Args:
        id: Its ID, or a generated one.
        noted: The conversation, with its folder in the form of journals.
        dates: Creation and update time, as keys of a request.

    Returns:
        The metadata.
    """
    return Chat(id, *address_of(noted), dates.get("updated_at", ""))


def _followed(item: Item, noted: Mapping[str, Any], journal: Journal) -> Item:
    """Return a partially stored item as a chat."""
    id = supposed_id(item.entry.key)
    if item.entry.id is None and item.origin is None and journal.pieces(id):
        return item._replace(chat=make_chat(id, noted, item.dates))
    return item


def _noted_folder(conversation: Mapping[str, object], stored: str, view: FolderView | None) -> str:
    """Return the folder of a conversation in the form of journals: absolute for a default folder, without a month.

    Args:
        conversation: The original conversation.
        stored: The folder in which it is stored.
        view: The folder of the view; None for the whole memory.

    Returns:
        The folder.
    """
    undated = conversation.undated_folder if isinstance(conversation, ReadConversation) else None
    if view is not None:
        return stored if undated is None else str(view.absolute(undated) if undated else view.folder)
    # Journals of older versions have the original folder.
    folder = str(conversation.get("folder") or "") if undated is None else undated
    is_relative = isinstance(conversation, ReadConversation) and conversation.has_default_folder
    return (f"/{folder}" if is_relative else folder) or stored


def _dates_of(conversation: object) -> Mapping[str, str]:
    """Return creation and update time of a chat, if known, as keys of a request."""
    if not isinstance(conversation, ReadConversation):
        return {}
    dates = {"created_at": conversation.created_at, "updated_at": conversation.updated_at}
    return {key: moment for key, date in dates.items() if date and is_moment(moment := normalize_timestamp(date))}


def count_left_out(
    conversations: Iterable[Mapping[str, object] | UnreadableConversation], left_out: dict[str, int]
) -> Iterator[Mapping[str, object] | UnreadableConversation]:
    """Yield the conversations; count by kind what was omitted from them and from their files."""
    for conversation in conversations:
        add_counts(left_out, getattr(conversation, "left_out", None))
        yield conversation
    add_counts(left_out, getattr(conversations, "left_out", None))


def preview_split(
    conversation: Mapping[str, object] | UnreadableConversation, position: int, name: str, *, drop_images: bool
) -> tuple[Mapping[str, object] | UnreadableConversation, list[ImportSplit]]:
    """Check the size of a conversation.

    Args:
        conversation: An item of a reader.
        position: Its number, from 1.
        name: Name of the file.
        drop_images: Whether images may be dropped from messages.

    Returns:
        The conversation, or an error if it cannot be split; and the split, if it is too large for one request.
    """
    if isinstance(conversation, UnreadableConversation) or not may_exceed(conversation):
        return conversation, []
    place = getattr(conversation, "place", None)
    try:
        request = complete_conversation(conversation)
        parts = split_conversation(request, drop_images=drop_images)
    except SekhaValidationError:  # reported when it is stored
        return conversation, []
    except TooLarge as error:
        return UnreadableConversation(place or f"{name}, conversation {position}", str(error)), []
    if len(parts) == 1:
        return conversation, []
    return conversation, [make_split(position, place, Part(1, len(parts), request["label"]))]


def _source_of(conversation: object) -> Source | None:
    return conversation.source if isinstance(conversation, (Note, UnreadableNote)) else None


def attach_report(error: BaseException, report: ImportReport | SyncReport) -> None:
    """Set the attribute ``report`` of an error to the report of the import so far."""
    with suppress(AttributeError):  # an exception class of the user may not allow it
        cast(Any, error).report = report


def new_import_report() -> ImportReport:
    """Return an empty report."""
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
