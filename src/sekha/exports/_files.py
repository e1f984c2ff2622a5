"""Files of exports, read conversation by conversation: lists, lines, and the archives that they come in."""

from __future__ import annotations

import json
import os
import zipfile
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import PurePath
from typing import IO, NamedTuple, Optional, Union, cast

from sekha._utils.json_access import as_object
from sekha.errors import SekhaConfigError
from sekha.exports._kinds import ExportItem, describe_unknown, find_kind, read_conversation, read_whole
from sekha.types import UnreadableConversation

_MAX_WAITING = 1000
"""Objects of no known kind that are kept until there is one that says what kind a file is."""


class _Element(NamedTuple):
    """An object of a file, and where it stands."""

    place: str
    data: object


_MAX_FIRST = 64 * 2**20
"""Bytes of a first conversation that are read to see whether a file is an export."""


def read_export(path: Union[str, os.PathLike[str]], *, folder: Optional[str] = None) -> Iterator[ExportItem]:
    """The conversations of an export, one after another: the whole of it is never in memory.

    Of a ChatGPT conversation, whose edits form a tree, the branch that was shown last is taken; what is hidden, and
    what tools said, is left out. What has no text (an image, a recording) becomes a word in brackets. Times of messages
    go along as ``timestamp``.

    Args:
        path: A ``conversations.json``, a file of JSON lines, or a ``.zip`` that has a ``conversations.json``.
        folder: Where the conversations are to go; default ``/chatgpt``, ``/claude``, or what a line says, else ``/``.

    Returns:
        What `MemoryController.create_conversation` takes, or an `UnreadableConversation` with its place. A file that
        breaks off ends with one of those.

    Raises:
        OSError: The file cannot be opened.
        SekhaConfigError: While iterating: the archive has no conversations, or ijson is missing (extra ``cli``).

    Example:
        ```python
        from pathlib import Path

        from sekha.exports import read_export

        Path("chats.jsonl").write_text('{"messages": [{"role": "user", "content": "Hello"}]}')
        for conversation in read_export("chats.jsonl"):
            print(conversation)  # {'messages': [{'role': 'user', 'content': 'Hello'}]}
        ```
    """
    with open(path, "rb"):  # an error comes now, and not with the first conversation
        return ExportReader(os.fspath(path), folder)


class ExportReader(Iterator[ExportItem]):
    """Reads an export.

    Args:
        path: The file.
        folder: Where the conversations are to go.

    Attributes:
        left_out: What was left out of the files so far, by kind; what is left out of a conversation it says itself.
    """

    def __init__(self, path: str, folder: str | None) -> None:
        self.left_out: dict[str, int] = {}
        self._items = _read(path, folder)

    def __next__(self) -> ExportItem:
        return next(self._items)


def _read(path: str, folder: str | None) -> Iterator[ExportItem]:
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            yield from _read_file(PurePath(path).name, file, folder)
        return
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise SekhaConfigError(f"{PurePath(path).name}: the archive is broken ({error})") from None
    with archive:
        names = [name for name in archive.namelist() if _has_conversations(name)]
        if not names:
            raise SekhaConfigError(f"{PurePath(path).name}: the archive has no conversations.json")
        for name in sorted(names):
            try:
                with archive.open(name) as member:
                    yield from _read_file(name, member, folder)
            except SekhaConfigError:
                raise
            except Exception as error:  # of zipfile and of the compression methods: broken, encrypted, not supported
                yield UnreadableConversation(name, f"it cannot be taken from the archive ({error})")


def _has_conversations(name: str) -> bool:
    return PurePath(name).name.startswith("conversations") and PurePath(name).suffix == ".json"


def is_export(path: str) -> bool:
    """Return whether a file is an export of a known kind: its first conversation, or the files of an archive, tell.

    Raises:
        OSError: The file cannot be read.
        SekhaConfigError: It is a list, and ijson is missing (extra ``cli``).
    """
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                return any(map(_has_conversations, archive.namelist()))
        except zipfile.BadZipFile:
            return False
    with open(path, "rb") as file:
        begin, first = _find_begin(file)
        file.seek(begin)
        if first == b"[":
            try:
                return find_kind(next(_iter_json_list(file), None)) is not None
            except ValueError:
                return False
        if first != b"{":
            return False
        data = _parse_json(file.readline(_MAX_FIRST))
        if data is None:
            file.seek(begin)
            data = _parse_json(file.read(_MAX_FIRST))
        return find_kind(data) is not None


def _find_begin(file: IO[bytes]) -> tuple[int, bytes]:
    """Return the position behind the mark of UTF-8, and the first byte that is no white space."""
    begin = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
    file.seek(begin)
    first = file.read(1)
    while first.isspace():
        first = file.read(1)
    return begin, first


def _read_file(name: str, file: IO[bytes], folder: str | None) -> Iterator[ExportItem]:
    if file.read(len(BOM_UTF16_LE)) in (BOM_UTF16_LE, BOM_UTF16_BE):
        yield UnreadableConversation(name, "it is UTF-16, as PowerShell writes it behind >; UTF-8 is needed")
        return
    file.seek(0)
    elements = _iter_elements(name, file)
    waiting: list[_Element | UnreadableConversation] = []  # those before the first of a known kind
    dropped, kind = 0, None
    for element in elements:
        if len(waiting) < _MAX_WAITING:
            waiting.append(element)
        else:
            dropped += 1
        if isinstance(element, _Element) and (kind := find_kind(element.data)) is not None:
            if dropped:
                waiting[-1] = element
            break
    if kind is None:
        if waiting:
            yield _unknown_file(name, waiting, len(waiting) + dropped)
    elif kind.parse_file is not None:
        broken: list[UnreadableConversation] = []
        yield from read_whole(kind, _records(chain(waiting, elements), broken), name, folder)
        yield from broken
    elif kind.parse is None:
        yield UnreadableConversation(name, f"this is {kind.name}, which is not supported{kind.advice}")
    else:
        for element in chain(waiting, elements):
            if isinstance(element, _Element):
                yield read_conversation(element.data, element.place, folder, kind)
            else:
                yield element


def _records(
    elements: Iterator[_Element | UnreadableConversation], broken: list[UnreadableConversation]
) -> Iterator[object]:
    """Yield the objects of a file; what is no JSON is put aside."""
    for element in elements:
        if isinstance(element, _Element):
            yield element.data
        else:
            broken.append(element)


def _unknown_file(
    name: str, elements: Sequence[_Element | UnreadableConversation], number: int
) -> UnreadableConversation:
    """Return what is said once about a file of no known kind."""
    first = next((one for one in elements if isinstance(one, _Element)), None)
    if first is None:
        where = elements[0].place[len(name) + 2 :] or "it"
        return UnreadableConversation(name, f"it is no export that is known ({where} is no JSON)")
    found = as_object(first.data)
    if number == 1:
        problem = "it is no JSON object" if found is None else describe_unknown(found)
        return UnreadableConversation(first.place, problem)
    what = "no JSON objects" if found is None else f"things with {', '.join(list(found)[:6]) or 'nothing'}"
    return UnreadableConversation(name, f"it is no export that is known (it has {number:,} {what})")


def _iter_elements(name: str, file: IO[bytes]) -> Iterator[_Element | UnreadableConversation]:
    """Yield what a file holds: the items of a list, the lines, or the one object."""
    begin, first = _find_begin(file)
    file.seek(begin)
    if first == b"[":
        yield from _iter_list(name, file)
        return
    line = file.readline()
    file.seek(begin)
    if first == b"{" and _parse_json(line) is None and (whole := as_object(_parse_json(file.read()))) is not None:
        yield _Element(name, whole)
        return
    file.seek(begin)
    for number, line in enumerate(file, start=1):
        if line.strip():
            data = _parse_json(line)
            yield _not_json(name, number) if data is None else _Element(f"{name}, line {number}", data)


def _not_json(name: str, number: int) -> UnreadableConversation:
    return UnreadableConversation(f"{name}, line {number}", "it is no JSON")


def _parse_json(data: bytes) -> object:
    """Return the data of JSON; None if it is not JSON."""
    try:
        return cast(object, json.loads(data))
    except (ValueError, RecursionError):
        return None


def _iter_json_list(file: IO[bytes]) -> Iterator[object]:
    """Yield the items of a list.

    Raises:
        ValueError: The list is broken.
    """
    try:
        import ijson  # type: ignore[import-untyped,unused-ignore]  # it has no types
    except ModuleNotFoundError:
        raise SekhaConfigError(
            "reading a list of conversations needs ijson: pip install 'sekha-python-sdk[cli]'"
        ) from None
    try:
        yield from ijson.items(file, "item", use_float=True)
    except ijson.JSONError as error:
        raise ValueError(str(error)) from None


def _iter_list(name: str, file: IO[bytes]) -> Iterator[_Element | UnreadableConversation]:
    number = 0
    try:
        for data in _iter_json_list(file):
            number += 1
            yield _Element(f"{name}, conversation {number}", data)
    except ValueError as error:
        yield UnreadableConversation(
            f"{name}, conversation {number + 1}",
            f"the file is broken here, and what follows cannot be read ({str(error).splitlines()[0]})",
        )
