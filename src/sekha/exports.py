"""What other applications let their users take along, read conversation by conversation.

`read_export` knows the exports of ChatGPT and Claude (``conversations.json``, or the archive that it came in) and a
plain form: JSON lines, each a dictionary as `MemoryController.create_conversation` takes it.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import PurePath
from typing import IO, Any, Optional, Union, cast

from sekha._api.validation import validate
from sekha._utils.json_access import as_list, as_object, get
from sekha.errors import SekhaConfigError, SekhaValidationError
from sekha.types import CreateConversationRequest, UnreadableConversation

__all__ = ["ExportItem", "UnreadableConversation", "read_export"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


_ROLES: Mapping[str, str] = {"human": "user", "user": "user", "assistant": "assistant"}
_PARTS: Mapping[str, str] = {
    "image_asset_pointer": "[image]",
    "audio_asset_pointer": "[audio]",
    "video_container_asset_pointer": "[video]",
    "real_time_user_audio_video_asset_pointer": "[audio]",
}


ExportItem = Union[CreateConversationRequest, UnreadableConversation]
"""What `read_export` gives."""


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MARKS = re.compile("\ue200[^\ue201]*\ue201")
"""Where ChatGPT shows a source of the web."""
_MAX_BAD_LINES = 10
"""Lines that are no JSON, before it is clear that a file has none."""


class _Unreadable(Exception):
    """A conversation does not have the expected shape."""


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
        names = [
            name
            for name in archive.namelist()
            if PurePath(name).name.startswith("conversations") and PurePath(name).suffix == ".json"
        ]
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


def _read_file(name: str, file: IO[bytes], folder: str | None) -> Iterator[ExportItem]:
    if file.read(len(BOM_UTF16_LE)) in (BOM_UTF16_LE, BOM_UTF16_BE):
        yield UnreadableConversation(name, "it is UTF-16, as PowerShell writes it behind >; UTF-8 is needed")
        return
    file.seek(0)
    begin = len(BOM_UTF8) if file.read(len(BOM_UTF8)) == BOM_UTF8 else 0
    file.seek(begin)
    first = file.read(1)
    while first.isspace():
        first = file.read(1)
    file.seek(begin)
    if first == b"[":
        yield from _read_json_list(name, file, folder)
        return
    line = file.readline()
    file.seek(begin)
    if first == b"{" and _parse_json(line) is None and (whole := as_object(_parse_json(file.read()))) is not None:
        yield _read_conversation(whole, name, folder)
        return
    file.seek(begin)
    yield from _read_json_lines(name, file, folder)


def _read_json_lines(name: str, file: IO[bytes], folder: str | None) -> Iterator[ExportItem]:
    bad, good = 0, False
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        data = _parse_json(line)
        if data is not None:
            good = True
            yield _read_conversation(data, f"{name}, line {number}", folder)
            continue
        bad += 1
        yield UnreadableConversation(f"{name}, line {number}", "it is no JSON")
        if bad == _MAX_BAD_LINES and not good:
            yield UnreadableConversation(name, "it is no export that is known; the rest of it is not looked at")
            return


def _parse_json(data: bytes) -> object:
    """Return the data of JSON; None if it is not JSON."""
    try:
        return cast(object, json.loads(data))
    except (ValueError, RecursionError):
        return None


def _read_json_list(name: str, file: IO[bytes], folder: str | None) -> Iterator[ExportItem]:
    try:
        import ijson  # type: ignore[import-untyped,unused-ignore]  # it has no types
    except ModuleNotFoundError:
        raise SekhaConfigError(
            "reading a list of conversations needs ijson: pip install 'sekha-python-sdk[cli]'"
        ) from None
    number = 0
    try:
        for data in ijson.items(file, "item", use_float=True):
            number += 1
            yield _read_conversation(data, f"{name}, conversation {number}", folder)
    except (ijson.JSONError, ValueError) as error:
        yield UnreadableConversation(
            f"{name}, conversation {number + 1}",
            f"the file is broken here, and what follows cannot be read ({str(error).splitlines()[0]})",
        )


def _read_conversation(data: object, place: str, folder: str | None) -> ExportItem:
    """Return a conversation of any known form, or why it cannot be read."""
    try:
        found = _parse_conversation(data, folder)
        validate(CreateConversationRequest, found)
        return found
    except _Unreadable as error:
        problem = str(error)
    except SekhaValidationError as error:
        problem = error.message
    except Exception as error:  # an unknown form must not end the import
        problem = f"it has another shape than others of its kind ({type(error).__name__}: {error})"
    title = next((title for key in ("title", "name", "label") if (title := get(data, key))), None)
    return UnreadableConversation(f"{place} ({str(title)[:60]!r})" if title else place, problem)


def _parse_conversation(data: object, folder: str | None) -> CreateConversationRequest:
    found = as_object(data)
    if found is None:
        raise _Unreadable("it is no JSON object")
    if "mapping" in found:
        return _parse_chatgpt(found, folder or "/chatgpt")
    if "chat_messages" in found:
        return _parse_claude(found, folder or "/claude")
    if "messages" in found:
        return _parse_plain({**found, **(as_object(found.get("conversation")) or {})}, folder)
    raise _Unreadable("it has no messages (none of mapping, chat_messages, messages)")


def _make_conversation(label: object, folder: str, messages: list[dict[str, Any]]) -> CreateConversationRequest:
    found: dict[str, Any] = {"folder": folder, "messages": messages}
    if isinstance(label, str) and label.strip():
        found["label"] = label.replace("\0", "").strip()
    return cast(CreateConversationRequest, found)


def _parse_plain(data: dict[str, Any], folder: str | None) -> CreateConversationRequest:
    messages = as_list(data["messages"])
    if messages is None:
        raise _Unreadable("messages is no list")
    for number, message in enumerate(messages):
        if not isinstance(get(message, "role"), str) or get(message, "content") is None:
            raise _Unreadable(f"messages[{number}] has no role or no content")
    known = {key: data[key] for key in ("label", "folder", "importance_score") if data.get(key) is not None}
    if folder is not None:
        known["folder"] = folder
    return cast(CreateConversationRequest, {**known, "messages": messages})


def _parse_claude(data: dict[str, Any], folder: str) -> CreateConversationRequest:
    listed = as_list(data["chat_messages"])
    if listed is None:
        raise _Unreadable("chat_messages is no list")
    messages: list[dict[str, Any]] = []
    for number, message in enumerate(listed):
        if as_object(message) is None:
            raise _Unreadable(f"chat_messages[{number}] is no JSON object")
        role = _ROLES.get(str(get(message, "sender")))
        parts = [get(part, "text") for part in as_list(get(message, "content")) or () if get(part, "type") == "text"]
        texts = [text for text in parts if isinstance(text, str)]
        if as_list(get(message, "content")) is None:  # otherwise it says that something is not supported
            texts = [str(get(message, "text") or "")]
        for attachment in as_list(get(message, "attachments")) or ():
            texts.append(
                f"[{get(attachment, 'file_name') or 'attachment'}]\n{get(attachment, 'extracted_content') or ''}"
            )
        texts += [f"[{get(file, 'file_name') or 'file'}]" for file in as_list(get(message, "files")) or ()]
        _append_message(messages, role, texts, get(message, "created_at"))
    return _make_conversation(data.get("name"), folder, messages)


def _parse_chatgpt(data: dict[str, Any], folder: str) -> CreateConversationRequest:
    nodes = as_object(data["mapping"])
    if nodes is None:
        raise _Unreadable("mapping is no JSON object")
    messages: list[dict[str, Any]] = []
    for node in _current_branch(nodes, data.get("current_node")):
        message = get(node, "message")
        recipient = get(message, "recipient") or "all"
        if get(message, "metadata", "is_visually_hidden_from_conversation") or recipient != "all":
            continue
        role = _ROLES.get(str(get(message, "author", "role")))
        content = get(message, "content")
        if get(content, "content_type") in ("thoughts", "reasoning_recap", "user_editable_context"):
            continue
        parts = as_list(get(content, "parts"))
        texts = [_part_text(part) for part in parts] if parts is not None else [get(content, "text") or ""]
        texts += [f"[{get(one, 'name') or 'file'}]" for one in as_list(get(message, "metadata", "attachments")) or ()]
        _append_message(messages, role, texts, get(message, "create_time"))
    return _make_conversation(data.get("title"), folder, messages)


def _current_branch(nodes: Mapping[str, Any], last: object) -> list[object]:
    """From the root to the message that was texts last; where that is not said, along the latest edits."""
    if not isinstance(last, str) or last not in nodes:
        last = next((id for id, node in nodes.items() if _as_id(get(node, "parent")) not in nodes), None)
        visited: set[object] = set()
        while last not in visited:
            visited.add(last)
            last = next(
                (id for id in reversed(as_list(get(nodes.get(str(last)), "children")) or []) if _as_id(id) in nodes),
                last,
            )
    found: list[object] = []
    visited = set()
    while isinstance(last, str) and last in nodes and last not in visited:
        visited.add(last)
        found.append(nodes[last])
        last = get(nodes[last], "parent")
    return found[::-1]


def _as_id(id: object) -> str:
    return id if isinstance(id, str) else ""


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return part
    kind, text = get(part, "content_type"), get(part, "text")
    if isinstance(text, str):
        return text
    return _PARTS.get(str(kind), f"[{kind or 'something'}]")


def _append_message(messages: list[dict[str, Any]], role: str | None, texts: list[Any], time: object) -> None:
    cleaned = [_MARKS.sub("", str(text)).strip("\n") for text in texts if str(text).strip()]
    content = "\n".join(text for text in cleaned if text != "[audio]" or len(cleaned) == 1)
    if role is None or not content:
        return
    message: dict[str, Any] = {"role": role, "content": content.replace("\0", "")}
    timestamp = _format_time(time)
    if timestamp:
        message["timestamp"] = timestamp
    messages.append(message)


def _format_time(time: object) -> str | None:
    """Return the timestamp of ChatGPT (seconds since 1970) or Claude (ISO) as ISO, None if it is neither."""
    if isinstance(time, str):
        return time
    if isinstance(time, (int, float)) and not isinstance(time, bool):
        try:  # not by fromtimestamp, which on Windows takes no time before 1970
            return (_EPOCH + timedelta(seconds=time)).isoformat(timespec="microseconds")
        except (OverflowError, ValueError):  # beyond the years 1 to 9999, or no number
            return None
    return None
