"""Chats of VS Code (GitHub Copilot): an export, a session, or the log of a session, whose changes are replayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Callable

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import ERRORS, HIDDEN, ConversationBuilder, ReadConversation, Unreadable
from sekha.exports._conversations import read_each
from sekha.exports._times import as_seconds, period_of
from sekha.exports._vscode_words import answered, asked

_SNAPSHOT, _SET, _PUSH, _DELETE = range(4)
"""The kinds of the lines of a log."""


def is_vscode(data: dict[str, Any]) -> bool:
    """Return whether an object is a session of VS Code."""
    requests = as_list(data.get("requests"))
    if requests is None:
        return False
    is_session = "sessionId" in data and ("creationDate" in data or "version" in data)
    if is_session or "responderUsername" in data or "requesterUsername" in data:
        return True
    return any(get(request, "message") is not None and "response" in request for request in requests)


def is_vscode_log(data: dict[str, Any]) -> bool:
    """Return whether an object is a line of the log of a session."""
    kind = data.get("kind")
    if type(kind) is not int or not _SNAPSHOT <= kind <= _DELETE:
        return False
    if kind == _SNAPSHOT:
        return is_vscode(as_object(data.get("v")) or {})
    return as_list(data.get("k")) is not None


def parse_vscode_log(lines: Iterable[object], folder: str | None) -> Iterator[ReadConversation]:
    """Return the sessions of a log."""
    return read_each(_sessions(lines, folder))


def _sessions(lines: Iterable[object], folder: str | None) -> Iterator[Callable[[], ReadConversation]]:
    session: dict[str, Any] | None = None
    unknown: Counter[str] = Counter()
    for line in lines:
        found = as_object(get(line, "v"))
        if get(line, "kind") == _SNAPSHOT and found is not None:
            if session is not None and session.get("sessionId") != found.get("sessionId"):
                yield partial(_read, session, folder, unknown)
                unknown = Counter()
            session = found
        elif session is None or not _change(session, line):
            unknown[_name_of(line)] += 1
    if session is None:
        raise Unreadable(f"the log has no session ({', '.join(unknown)})")
    yield partial(_read, session, folder, unknown)


def parse_vscode(data: dict[str, Any], folder: str | None) -> ReadConversation:
    """Parse a session."""
    return _read(data, folder, {})


def _read(data: dict[str, Any], folder: str | None, unknown: dict[str, int]) -> ReadConversation:
    requests = as_list(data.get("requests"))
    if requests is None:
        raise Unreadable("'requests' is not a list")
    built = ConversationBuilder(data.get("customTitle"), folder)
    for name, number in unknown.items():
        for _ in range(number):
            built.not_understood(name)
    for one in requests:
        request = as_object(one)
        if request is None:
            built.not_understood("a request that is no JSON object")
        elif request.get("shouldBeRemovedOnSend") or request.get("isHidden"):
            built.leave_out(HIDDEN)  # the user went back to an earlier request
        else:
            _add(request, built)
    built.take_title_from_words()
    first, last = period_of(as_seconds(get(request, "timestamp")) for request in requests)
    created, updated = as_seconds(data.get("creationDate")), as_seconds(data.get("lastMessageDate"))
    return built.finish(
        source_id=data.get("sessionId"),
        created_at=created if created is not None else first,
        updated_at=updated if updated is not None else last,
    )


def _add(request: dict[str, Any], built: ConversationBuilder) -> None:
    time = as_seconds(request.get("timestamp"))
    if request.get("isSystemInitiated"):  # a message of VS Code, such as the end of a command
        built.leave_out(HIDDEN)
    else:
        built.add("user", asked(request, built), time)
    ends = (get(request, "modelState", "completedAt"), request.get("responseTimestamp"))
    end = next((end for end in map(as_seconds, ends) if end is not None), time)
    if_blank = None if get(request, "result", "errorDetails") is None else ERRORS
    built.add("assistant", answered(request.get("response"), built), end, if_blank=if_blank)


def _change(session: dict[str, Any], line: object) -> bool:
    """Apply a change of a log; return False if it is not supported."""
    kind, path, value = get(line, "kind"), as_list(get(line, "k")), get(line, "v")
    if not path or type(kind) is not int:
        return False
    parent: object = session
    for key in path[:-1]:
        parent = _at(parent, key)
    if kind == _SET:
        return _set(parent, path[-1], value)
    if kind == _DELETE:
        return _delete(parent, path[-1])
    return kind == _PUSH and _push(parent, path[-1], get(line, "i"), [] if value is None else as_list(value))


def _at(parent: object, key: object) -> object:
    items = as_list(parent)
    if items is None:
        return get(parent, key) if isinstance(key, str) else None
    place = _place(key)
    return items[place] if place is not None and place < len(items) else None


def _set(parent: object, key: object, value: object) -> bool:
    items, members, place = as_list(parent), as_object(parent), _place(key)
    if members is not None and isinstance(key, str):
        members[key] = value
    elif items is not None and place is not None and place <= len(items):
        items[place : place + 1] = [value]
    else:
        return False
    return True


def _delete(parent: object, key: object) -> bool:
    items, members, place = as_list(parent), as_object(parent), _place(key)
    if members is not None and isinstance(key, str):
        members.pop(key, None)
    elif items is not None and place is not None and place < len(items):
        del items[place]
    else:
        return False
    return True


def _push(parent: object, key: object, begin: object, values: Sequence[object] | None) -> bool:
    """Truncate a list at `begin`, unless it is None, and append values."""
    items, place = as_list(_at(parent, key)), _place(begin)
    if values is None or (begin is not None and place is None):
        return False
    if items is None:
        return _at(parent, key) is None and _set(parent, key, list(values))
    if place is not None:
        del items[place:]
    items += values
    return True


def _place(key: object) -> int | None:
    """Return an index of a list; None for other values, such as True."""
    return key if isinstance(key, int) and not isinstance(key, bool) and key >= 0 else None


def _name_of(line: object) -> str:
    path = as_list(get(line, "k")) or ()
    place = ".".join("*" if isinstance(key, int) else str(key) for key in path)
    return f"a change of {place or 'nothing'} (kind {get(line, 'kind')})"
