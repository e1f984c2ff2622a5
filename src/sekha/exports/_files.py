"""Files of exports, read conversation by conversation: lists, lines, and the archives that they come in."""

from __future__ import annotations

import json
import os
import zipfile
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import PurePath
from typing import IO, Optional, Union, cast

from sekha._utils.json_access import as_object
from sekha.errors import SekhaConfigError
from sekha.exports._kinds import ExportItem, find_reader, read_conversation
from sekha.types import UnreadableConversation

_MAX_BAD_LINES = 10
"""Lines that are no JSON, before it is clear that a file has none."""

_MAX_FIRST = 64 * 2**20
"""Bytes of a first conversation that are read to see whether a file is an export."""


def read_export(path: Union[str, os.PathLike[str]], *, folder: Optional[str] = None) -> Iterator[ExportItem]:
    """The conversations of an export, one after another: the whole of it is never in memory.

    Of a ChatGPT conversation, whose edits form a tree, the branch that was texts last is taken; what is hidden, and
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
        return _read(os.fspath(path), folder)


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
                return find_reader(next(_iter_json_list(file), None)) is not None
            except ValueError:
                return False
        if first != b"{":
            return False
        data = _parse_json(file.readline(_MAX_FIRST))
        if data is None:
            file.seek(begin)
            data = _parse_json(file.read(_MAX_FIRST))
        return find_reader(data) is not None


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
    begin, first = _find_begin(file)
    file.seek(begin)
    if first == b"[":
        yield from _read_json_list(name, file, folder)
        return
    line = file.readline()
    file.seek(begin)
    if first == b"{" and _parse_json(line) is None and (whole := as_object(_parse_json(file.read()))) is not None:
        yield read_conversation(whole, name, folder)
        return
    file.seek(begin)
    yield from _read_json_lines(name, file, folder)


def _read_json_lines(name: str, file: IO[bytes], folder: str | None) -> Iterator[ExportItem]:
    bad: list[int] | None = []  # lines that are no JSON, until there is one that is
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        data = _parse_json(line)
        if data is not None:
            yield from (_not_json(name, before) for before in bad or ())
            bad = None
            yield read_conversation(data, f"{name}, line {number}", folder)
        elif bad is None:
            yield _not_json(name, number)
        else:
            bad.append(number)
            if len(bad) == _MAX_BAD_LINES:
                break
    if bad:
        yield UnreadableConversation(name, f"it is no export that is known (line {bad[0]} is no JSON)")


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


def _read_json_list(name: str, file: IO[bytes], folder: str | None) -> Iterator[ExportItem]:
    number = 0
    try:
        for data in _iter_json_list(file):
            number += 1
            yield read_conversation(data, f"{name}, conversation {number}", folder)
    except ValueError as error:
        yield UnreadableConversation(
            f"{name}, conversation {number + 1}",
            f"the file is broken here, and what follows cannot be read ({str(error).splitlines()[0]})",
        )
