"""Read files of exports, one conversation after another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, groupby
from typing import IO, Optional, Union, cast

from sekha._utils.json_access import as_object
from sekha._utils.public import exported_from
from sekha.errors import SekhaConfigError
from sekha.exports._building import REPLACED, ReadConversation
from sekha.exports._containers import COPIES, Container, archive_of, folder_of
from sekha.exports._conversations import ExportItem, add_counts, put_in_month
from sekha.exports._copies import Copies
from sekha.exports._decoding import TextReader
from sekha.exports._elements import NO_JSON, Element, ElementOrBroken, Elements
from sekha.exports._kind import Kind
from sekha.exports._kinds import (
    describe_unknown,
    find_kind,
    find_list_kind,
    find_text_kind,
    read_object,
    read_several,
)
from sekha.exports._verdicts import head_of, judge
from sekha.types import UnreadableConversation

_MAX_WAITING = 1000
"""Maximum number of unrecognized objects to keep until the kind of a file is known."""
_LINES = (".jsonl", ".ndjson")
"""Suffixes of files that may be empty."""
_ASKED = "imported only with --with-memories (in a program: with_memories=True)"


@exported_from("sekha.exports")
def read_export(
    path: Union[str, os.PathLike[str]],
    *,
    folder: Optional[str] = None,
    dated: bool = False,
    with_memories: bool = False,
) -> Iterator[ExportItem]:
    """Read the conversations of an export, one after another, without loading the whole file.

    If edits of a conversation form a tree, as in ChatGPT, the current branch is returned. Hidden messages and messages
    of tools are omitted. Images and recordings without text are replaced by a placeholder in brackets. Times of
    messages are returned as ``timestamp``. Invalid characters are replaced by U+FFFD.

    Args:
        path: A ``conversations.json``, a file of JSON lines, a ``.zip`` with such files, or a folder of them.
        folder: The folder for the conversations. The default depends on the application, such as ``chatgpt`` or
            ``claude``; JSON lines may contain a folder. It is relative to the folder of the client: ``/chatgpt``, or
            ``/users/ana/chatgpt`` in the view of ``/users/ana``.
        dated: Whether to append the month in which a chat was created (UTC) to its folder: ``chatgpt/2023/11``.
        with_memories: Whether to read the memories and the projects of Claude, too, as notes in ``claude/memories`` and
            ``claude/projects/NAME``.

    Returns:
        An iterable of arguments of `MemoryController.create_conversation`, and of an `UnreadableConversation` with its
            position for each conversation that cannot be read, also for the end of a truncated file. The attribute
            ``left_out`` of the iterable, and of each conversation, has the number of omitted items by kind.

    Raises:
        OSError: The file cannot be opened.
        SekhaConfigError: While iterating: the archive or folder has no conversations.

    Example:
        ```python
        from pathlib import Path

        from sekha.exports import read_export

        Path("chats.jsonl").write_text('{"messages": [{"role": "user", "content": "Hello"}]}')
        for conversation in read_export("chats.jsonl"):
            print(conversation)  # {'messages': [{'role': 'user', 'content': 'Hello'}]}
        ```
    """
    return ExportReader(os.fspath(path), folder, dated=dated, with_memories=with_memories)


class ExportReader(Iterator[ExportItem]):
    """Reads an export.

    Args:
        path: The file, archive or folder.
        folder: Folder of the conversations; None for the default.
        dated: Whether to append the month of their creation to their folders.
        with_memories: Whether to read memories, too.
        copies: The conversations of earlier exports, if there are several.

    Attributes:
        left_out: Number of omitted items of the files so far, by kind; each conversation has its own counts.
    """

    def __init__(
        self,
        path: str,
        folder: str | None,
        *,
        dated: bool = False,
        with_memories: bool = False,
        copies: Copies | None = None,
    ) -> None:
        self.left_out: dict[str, int] = {}
        self._with_memories = with_memories
        self._dated = dated
        self._folder = folder
        self._path = path
        self._copies = copies
        self._file_number = 0
        if not os.path.isdir(path):
            with open(path, "rb"):  # raises an error now, not with the first conversation
                pass
        self._items = self._read(path)

    def __next__(self) -> ExportItem:
        item = next(self._items)
        self._place(item)
        return item

    def _place(self, conversation: ExportItem) -> None:
        if not isinstance(conversation, ReadConversation):
            return
        # A default folder is relative to the folder of the client; a folder in a line is kept unchanged.
        conversation.has_default_folder = conversation.has_default_folder and self._folder is None
        if conversation.has_default_folder:
            conversation["folder"] = conversation["folder"].lstrip("/")
        if self._dated and conversation.is_chat:
            put_in_month(conversation)

    def _read(self, path: str) -> Iterator[ExportItem]:
        name = os.path.basename(os.path.abspath(path))
        if os.path.isdir(path):
            yield from self._read_container(folder_of(path, name))
        else:
            with open(path, "rb") as file:
                yield from self._read_file(name, file)

    def _read_file(self, name: str, file: IO[bytes]) -> Iterator[ExportItem]:
        with archive_of(file, name) as archive:
            if archive is not None:
                yield from self._read_container(archive)
                return
            self._file_number += 1
            kind = find_text_kind(head_of(file))
            if kind is not None:
                text = TextReader(file)
                try:
                    yield from self._without_copies(_read_text(kind, name, text, self._folder))
                finally:
                    add_counts(self.left_out, {REPLACED: text.replaced} if text.replaced else {})
                return
            elements = Elements(name, file)
            try:
                yield from self._without_copies(_read_elements(name, elements, self._folder, self._with_memories))
            finally:
                add_counts(self.left_out, elements.left_out)

    def _without_copies(self, items: Iterator[ExportItem]) -> Iterator[ExportItem]:
        """Yield conversations that no earlier file has, and count the others."""
        for item in items:
            if self._copies is not None and self._copies.is_copy(item, (self._path, self._file_number)):
                add_counts(self.left_out, {COPIES: 1})
            else:
                yield item

    def _read_container(self, container: Container) -> Iterator[ExportItem]:
        """Read the exports in an archive or a folder."""
        chosen = container.choose(partial(judge, with_memories=self._with_memories))
        add_counts(self.left_out, container.left_out)
        if len(chosen) > 1 and self._copies is None:
            self._copies = Copies()
        for member in chosen:
            try:
                with member.open() as file:
                    yield from self._read_file(member.name, file)
            except SekhaConfigError as error:
                yield UnreadableConversation(member.name, error.message.removeprefix(f"{member.name}: "))
            except Exception as error:  # of zipfile and of the compression methods: broken, encrypted, not supported
                how = "taken from the archive" if container.is_archive else "read"
                reason = (error.strerror if isinstance(error, OSError) else None) or error
                yield UnreadableConversation(member.name, f"cannot be {how} ({reason})")


def _read_elements(name: str, elements: Elements, folder: str | None, with_memories: bool) -> Iterator[ExportItem]:
    """Yield the conversations of a file, whose kind is detected from its objects."""
    found = iter(elements)
    waiting: list[ElementOrBroken] = []  # objects before the first one of a known kind
    dropped, kind = 0, None
    for element in found:
        if isinstance(element, Element):
            kind = find_kind(element.data) or find_list_kind(element.data)
        if kind is not None or len(waiting) < _MAX_WAITING:
            waiting.append(element)
        else:
            dropped += 1
        if kind is not None:
            break
    elements.kind = kind
    if kind is None:
        if waiting:
            yield _unknown_file(name, waiting, len(waiting) + dropped)
        elif elements.is_blank and not name.lower().endswith(_LINES):
            yield UnreadableConversation(name, "the file is empty")
    elif kind.parse_file is not None:
        yield from _read_groups(kind, name, chain(waiting, found), folder)
    elif kind.is_memory and not with_memories:
        yield UnreadableConversation(name, f"{kind.name}: {_ASKED}")
    elif not kind.is_read:
        yield _unsupported(name, kind)
    else:
        for element in chain(waiting, found):
            if not isinstance(element, Element):
                yield element
            elif (inner := find_list_kind(element.data)) is not None:
                yield from _read_inner_list(inner, element, folder)
            else:
                yield from read_object(element.data, element.place, folder, kind)


def _read_groups(
    kind: Kind, name: str, elements: Iterator[ElementOrBroken], folder: str | None
) -> Iterator[ExportItem]:
    """Yield the conversations of a file whose objects are parts of them; errors come last."""
    assert kind.parse_file is not None
    broken: list[UnreadableConversation] = []

    def whole() -> Iterator[Element]:
        for element in elements:
            if isinstance(element, Element):
                yield element
            else:
                broken.append(element)

    last: list[tuple[int, str]] = []

    def group_of(element: Element) -> tuple[int, str]:
        """Return the number of the list that contains a part of a conversation."""
        if find_list_kind(element.data) is not None:
            return element.group, element.place
        if last and last[0][0] != element.group and find_kind(element.data) is not kind:
            return last[0]  # another list, between the lines of a conversation
        last[:] = [(element.group, "")]
        return last[0]

    for number, group in groupby(whole(), group_of):
        first = next(group)
        if (inner := find_list_kind(first.data)) is not None:
            yield from _read_inner_list(inner, first, folder)
            continue
        records = (element.data for element in chain((first,), group))
        place = name if number[0] <= 1 else f"{name}, list {number[0]}"
        yield from read_several(kind, kind.parse_file(records, folder), place)
    yield from broken


def _read_inner_list(kind: Kind, element: Element, folder: str | None) -> Iterator[ExportItem]:
    """Yield the conversations of a list whose items are parts of them."""
    assert kind.parse_file is not None
    yield from read_several(kind, kind.parse_file(cast("list[object]", element.data), folder), element.place)


def _read_text(kind: Kind, name: str, text: TextReader, folder: str | None) -> Iterator[ExportItem]:
    if kind.parse_text is None:
        yield _unsupported(name, kind)
        return
    yield from read_several(kind, kind.parse_text(iter(text), folder), name)


def _unsupported(name: str, kind: Kind) -> UnreadableConversation:
    return UnreadableConversation(name, f"{kind.name} is not supported" + (kind.advice and f"; {kind.advice}"))


def _unknown_file(name: str, elements: Sequence[ElementOrBroken], number: int) -> UnreadableConversation:
    """Return the error for a file of unknown kind."""
    first = next((one for one in elements if isinstance(one, Element)), None)
    if first is None:
        broken = cast(UnreadableConversation, elements[0])
        where = broken.place[len(name) + 2 :] or "it"
        what = f"{where} is not JSON" if broken.problem == NO_JSON else f"{where}: {broken.problem}"
        return UnreadableConversation(name, f"unrecognized format ({what})")
    found = as_object(first.data)
    if number == 1:
        problem = "not a JSON object" if found is None else describe_unknown(found)
        return UnreadableConversation(first.place, problem)
    what = "that are no JSON objects" if found is None else f"with {', '.join(list(found)[:6]) or 'nothing'}"
    return UnreadableConversation(name, f"unrecognized format (it has {number:,} items {what})")
