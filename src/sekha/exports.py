"""What other applications let their users take along, read conversation by conversation.

`read_export` knows the exports of ChatGPT and Claude (``conversations.json``, or the archive that it came in) and a
plain form: JSON lines, each a dictionary as `MemoryController.create_conversation` takes it.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import PurePath
from typing import IO, Any, Union, cast

from sekha._api.validation import validate
from sekha._utils.json_access import as_list, as_object, get
from sekha.errors import SekhaConfigError, SekhaValidationError
from sekha.types import CreateConversationRequest, UnreadableConversation

__all__ = ["ExportItem", "UnreadableConversation", "read_export"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


_BOM = b"\xef\xbb\xbf"
_ROLES: Mapping[str, str] = {"human": "user", "user": "user", "assistant": "assistant"}
_PARTS: Mapping[str, str] = {
    "image_asset_pointer": "[image]",
    "audio_asset_pointer": "[audio]",
    "video_container_asset_pointer": "[video]",
    "real_time_user_audio_video_asset_pointer": "[audio]",
}


ExportItem = Union[CreateConversationRequest, UnreadableConversation]
"""What `read_export` gives."""


_MARKS = re.compile("\ue200[^\ue201]*\ue201")
"""Where ChatGPT shows a source of the web."""
_ENOUGH = 10
"""Lines that are no JSON, before it is clear that a file has none."""


class _Unreadable(Exception):
    """A conversation does not have the expected shape."""


def read_export(path: str | os.PathLike[str], *, folder: str | None = None) -> Iterator[ExportItem]:
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
    with open(path, "rb"):  # if it cannot be, that is said now, and not with the first conversation
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
            except Exception as error:  # of zipfile and of each way to compress: broken, encrypted, not supported
                yield UnreadableConversation(name, f"it cannot be taken from the archive ({error})")


def _read_file(name: str, file: IO[bytes], folder: str | None) -> Iterator[ExportItem]:
    begin = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
    file.seek(begin)
    first = file.read(1)
    while first.isspace():
        first = file.read(1)
    file.seek(begin)
    if first == b"[":
        yield from _items(name, file, folder)
        return
    line = file.readline()
    file.seek(begin)
    if first == b"{" and _json(line) is None and (whole := as_object(_json(file.read()))) is not None:
        yield _conversation(whole, name, folder)
        return
    file.seek(begin)
    yield from _lines(name, file, folder)


def _lines(name: str, file: IO[bytes], folder: str | None) -> Iterator[ExportItem]:
    bad, good = 0, False
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        data = _json(line)
        if data is not None:
            good = True
            yield _conversation(data, f"{name}, line {number}", folder)
            continue
        bad += 1
        yield UnreadableConversation(f"{name}, line {number}", "it is no JSON")
        if bad == _ENOUGH and not good:
            yield UnreadableConversation(name, "it is no export that is known; the rest of it is not looked at")
            return


def _json(data: bytes) -> object:
    """What JSON says; None if it is none."""
    try:
        return cast(object, json.loads(data))
    except (ValueError, RecursionError):
        return None


def _items(name: str, file: IO[bytes], folder: str | None) -> Iterator[ExportItem]:
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
            yield _conversation(data, f"{name}, conversation {number}", folder)
    except (ijson.JSONError, ValueError) as error:
        yield UnreadableConversation(
            f"{name}, conversation {number + 1}",
            f"the file is broken here, and what follows cannot be read ({str(error).splitlines()[0]})",
        )


def _conversation(data: object, place: str, folder: str | None) -> ExportItem:
    """A conversation in any of the known forms."""
    try:
        found = _of_any_form(data, folder)
        validate(CreateConversationRequest, found)
        return found
    except _Unreadable as error:
        problem = str(error)
    except SekhaValidationError as error:
        problem = error.message
    except Exception as error:  # a form of which nobody has thought is no reason to leave out the rest
        problem = f"it has another shape than others of its kind ({type(error).__name__}: {error})"
    title = next((title for key in ("title", "name", "label") if (title := get(data, key))), None)
    return UnreadableConversation(f"{place} ({str(title)[:60]!r})" if title else place, problem)


def _of_any_form(data: object, folder: str | None) -> CreateConversationRequest:
    found = as_object(data)
    if found is None:
        raise _Unreadable("it is no JSON object")
    if "mapping" in found:
        return _of_chatgpt(found, folder or "/chatgpt")
    if "chat_messages" in found:
        return _of_claude(found, folder or "/claude")
    if "messages" in found:
        return _plain({**found, **(as_object(found.get("conversation")) or {})}, folder)
    raise _Unreadable("it has no messages (none of mapping, chat_messages, messages)")


def _made(label: object, folder: str, messages: list[dict[str, Any]]) -> CreateConversationRequest:
    found: dict[str, Any] = {"folder": folder, "messages": messages}
    if isinstance(label, str) and label.strip():
        found["label"] = label.replace("\0", "").strip()
    return cast(CreateConversationRequest, found)


def _plain(data: dict[str, Any], folder: str | None) -> CreateConversationRequest:
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


def _of_claude(data: dict[str, Any], folder: str) -> CreateConversationRequest:
    listed = as_list(data["chat_messages"])
    if listed is None:
        raise _Unreadable("chat_messages is no list")
    messages: list[dict[str, Any]] = []
    for number, message in enumerate(listed):
        if as_object(message) is None:
            raise _Unreadable(f"chat_messages[{number}] is no JSON object")
        role = _ROLES.get(str(get(message, "sender")))
        texts = [get(part, "text") for part in as_list(get(message, "content")) or () if get(part, "type") == "text"]
        shown = [text for text in texts if isinstance(text, str)]
        if as_list(get(message, "content")) is None:  # else it says that something is not supported
            shown = [str(get(message, "text") or "")]
        for attachment in as_list(get(message, "attachments")) or ():
            shown.append(
                f"[{get(attachment, 'file_name') or 'attachment'}]\n{get(attachment, 'extracted_content') or ''}"
            )
        shown += [f"[{get(file, 'file_name') or 'file'}]" for file in as_list(get(message, "files")) or ()]
        _add(messages, role, shown, get(message, "created_at"))
    return _made(data.get("name"), folder, messages)


def _of_chatgpt(data: dict[str, Any], folder: str) -> CreateConversationRequest:
    nodes = as_object(data["mapping"])
    if nodes is None:
        raise _Unreadable("mapping is no JSON object")
    messages: list[dict[str, Any]] = []
    for node in _branch(nodes, data.get("current_node")):
        message = get(node, "message")
        told_to = get(message, "recipient") or "all"
        if get(message, "metadata", "is_visually_hidden_from_conversation") or told_to != "all":
            continue
        role = _ROLES.get(str(get(message, "author", "role")))
        content = get(message, "content")
        if get(content, "content_type") in ("thoughts", "reasoning_recap", "user_editable_context"):
            continue
        parts = as_list(get(content, "parts"))
        shown = [_part(part) for part in parts] if parts is not None else [get(content, "text") or ""]
        shown += [f"[{get(one, 'name') or 'file'}]" for one in as_list(get(message, "metadata", "attachments")) or ()]
        _add(messages, role, shown, get(message, "create_time"))
    return _made(data.get("title"), folder, messages)


def _branch(nodes: Mapping[str, Any], last: object) -> list[object]:
    """From the root to the message that was shown last; where that is not said, along the latest edits."""
    if not isinstance(last, str) or last not in nodes:
        last = next((id for id, node in nodes.items() if _key(get(node, "parent")) not in nodes), None)
        met: set[object] = set()
        while last not in met:
            met.add(last)
            last = next(
                (id for id in reversed(as_list(get(nodes.get(str(last)), "children")) or []) if _key(id) in nodes), last
            )
    found: list[object] = []
    met = set()
    while isinstance(last, str) and last in nodes and last not in met:
        met.add(last)
        found.append(nodes[last])
        last = get(nodes[last], "parent")
    return found[::-1]


def _key(id: object) -> str:
    return id if isinstance(id, str) else ""


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    kind, text = get(part, "content_type"), get(part, "text")
    if isinstance(text, str):
        return text
    return _PARTS.get(str(kind), f"[{kind or 'something'}]")


def _add(messages: list[dict[str, Any]], role: str | None, shown: list[Any], time: object) -> None:
    said = [_MARKS.sub("", str(text)).strip("\n") for text in shown if str(text).strip()]
    content = "\n".join(text for text in said if text != "[audio]" or len(said) == 1)
    if role is None or not content:
        return
    message: dict[str, Any] = {"role": role, "content": content.replace("\0", "")}
    moment = _moment(time)
    if moment:
        message["timestamp"] = moment
    messages.append(message)


def _moment(time: object) -> str | None:
    """A time stamp of ChatGPT (seconds since 1970) or Claude (ISO)."""
    if isinstance(time, str):
        return time
    if isinstance(time, (int, float)) and not isinstance(time, bool):
        try:
            return datetime.fromtimestamp(time, timezone.utc).isoformat(timespec="microseconds")
        except (OverflowError, OSError, ValueError):
            return None
    return None
