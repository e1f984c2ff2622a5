"""What the readers of all kinds have in common: roles, times, and the builder, which counts what is left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Dict, Optional, cast

from sekha._utils.json_access import as_list
from sekha.exports._times import format_time
from sekha.types import MessageRole

HIDDEN = "hidden"
SYSTEM = "system"
TOOLS = "tools"
THINKING = "thinking"
EMPTY = "empty"
ERRORS = "errors"
BRANCHES = "other branches"
REPLACED = "replaced characters"
"""Kinds of what is left out; a reader may use other words too."""
UNKNOWN = "unknown"
"""What is not understood is counted as ``unknown: `` and its name."""

ROLES: Mapping[str, str] = {
    "user": "user", "human": "user",
    "assistant": "assistant", "ai": "assistant", "bot": "assistant", "chatgpt": "assistant", "gpt": "assistant",
    "model": "assistant", "bing": "assistant", "bard": "assistant", "gemini": "assistant",
    "system": "system", "developer": "system",
    "tool": "tool", "function": "tool", "observation": "tool",
}  # fmt: skip
"""The role of a message, by what applications call it, in lower case."""

_STORED_ROLES = frozenset(role.value for role in MessageRole)
_NOT_SHOWN: Mapping[str, str] = {"system": SYSTEM, "tool": TOOLS}
_NOTHING: Mapping[str, object] = MappingProxyType({})
_SURROGATES = re.compile("[\ud800-\udfff]")
_MAX_NAMES = 10
_MAX_NAME = 60
_MAX_LABEL = 500
_MAX_TITLE = 80


class Unreadable(Exception):
    """A conversation does not have the expected shape."""


class ReadConversation(Dict[str, Any]):
    """A conversation of an export as `create_conversation` takes it, which also knows where it is from.

    Attributes:
        left_out: How much of it was left out, by kind.
        source_id: The id that the application gave it; None if it has none.
        application: Which one that is; chats of several may have the same id.
        created_at: When it was begun, as ISO 8601; None if nobody knows.
        updated_at: When it was changed last.
        place: Where it stands, for people.
        is_built: Whether `ConversationBuilder` has made its messages, so that they can be stored as they are.
        undated_folder: Its folder without the month that is part of it; None if none is.
        has_default_folder: Whether nobody asked for its folder, and its reader chose it.
        memory_id: Its id in the memory that it was exported from; None if it is of another application.
        is_archived: Whether it is archived there.
        is_chat: Whether it is a chat, and no note.
        directory: The folder in which an agent worked, if it is a session of one.
    """

    left_out: Dict[str, int]
    source_id: Optional[str] = None
    application: str = ""
    created_at: Optional[str] = None
    updated_at: Optional[str] = None
    place: Optional[str] = None
    is_built: bool = False
    undated_folder: Optional[str] = None
    has_default_folder: bool = False
    memory_id: Optional[str] = None
    is_archived: bool = False
    is_chat: bool = True
    directory: Optional[str] = None


class ConversationBuilder:
    """Builds a conversation message by message, and counts what is left out of it.

    A reader calls one of these for everything that it finds, so that nothing vanishes in silence: `add` for a message
    (blank ones are counted as ``empty``), `leave_out` for what is left out on purpose, and `not_understood` for what
    has a shape that the reader does not know. `finish` refuses a conversation of which nothing was understood.

    Args:
        label: The title; anything but a text is no title.
        folder: Where the conversation goes.

    Attributes:
        messages: The messages so far.
        left_out: How much was left out so far, by kind.
        counted: How much that is.
    """

    def __init__(self, label: object, folder: str | None) -> None:
        self.left_out: Counter[str] = Counter()
        self.messages: list[dict[str, Any]] = []
        self.counted = 0
        self._label = _shorten(self._clean(label).strip(), _MAX_LABEL) if isinstance(label, str) else ""
        self._folder = folder
        self._not_understood = 0

    def add(
        self,
        role: object,
        texts: Iterable[object],
        time: object = None,
        *,
        more: Mapping[str, object] = _NOTHING,
        if_blank: str | None = None,
    ) -> None:
        """Add a message.

        Args:
            role: Who says it, in the words of the application; see `ROLES`.
            texts: What it says; each begins a line. A generator may count what it leaves out.
            time: When it was written: ISO 8601, or seconds since 1970.
            more: Further keys of the message.
            if_blank: What it is counted as if it says nothing; None: as ``empty``, unless `texts` has counted any.
        """
        before = self.counted
        content = self._clean("\n".join([text.strip("\n") for text in map(str, texts) if text.strip()]))
        if not content.strip():
            self.leave_out(if_blank or EMPTY, if_blank is not None or self.counted == before)
        elif (known := stored_role(role)) is None:
            self.not_understood("role" if role is None else f"role {role}")
        else:
            timestamp = format_time(time)
            times = {"timestamp": timestamp} if timestamp else {}
            self.messages.append({"role": known, "content": content, **times, **more})

    def speaker_of(self, message: Mapping[str, Any]) -> str | None:
        """Return whether the user or the assistant says a message; None, and it is counted, if it is neither."""
        role = role_of(message.get("role"))
        if role is None:
            self.not_understood(f"role {message['role']}" if "role" in message else message)
        elif role in _NOT_SHOWN:
            self.leave_out(_NOT_SHOWN[role])
            return None
        return role

    def take_title_from_words(self) -> None:
        """Make the first line of what the user said first the title, where there is none."""
        said = [message["content"] for message in self.messages if message["role"] == "user"]
        line = said[0].strip().partition("\n")[0].strip() if said and not self._label else ""
        self._label = self._label or _shorten(line, _MAX_TITLE)

    def leave_out(self, kind: str, number: int = 1) -> None:
        """Count what is left out on purpose, such as `HIDDEN`, `TOOLS` or `THINKING`."""
        if number:
            self.left_out[kind] += number
            self.counted += number

    def not_understood(self, what: object) -> None:
        """Count a message, or a part of one, of an unknown shape.

        Args:
            what: Its name, such as ``content_type x``; of a message itself, its keys.
        """
        if isinstance(what, Mapping):
            what = "a message with " + (", ".join(map(str, cast("Mapping[str, Any]", what))) or "nothing")
        elif not isinstance(what, str):
            what = "a message that is no JSON object"
        name = " ".join(self._clean(what).split())[:_MAX_NAME]
        known = f"{UNKNOWN}: {name}"
        if known not in self.left_out and sum(kind.startswith(UNKNOWN) for kind in self.left_out) >= _MAX_NAMES:
            known = f"{UNKNOWN}: other"
        self.leave_out(known)
        self._not_understood += 1

    def items_of(self, value: object, name: str) -> list[Any]:
        """Return the items of a list; anything else but None is not understood, and has none."""
        found = as_list(value)
        if found is None and value is not None:
            self.not_understood(f"{name} that are no list")
        return found or []

    def include(self, other: ConversationBuilder) -> None:
        """Count what another one, of a part of the conversation, has left out and not understood."""
        self.left_out.update(other.left_out)
        self.counted += other.counted
        self._not_understood += other._not_understood

    def finish(
        self, *, source_id: object = None, created_at: object = None, updated_at: object = None
    ) -> ReadConversation:
        """Return the conversation.

        Args:
            source_id: The id that the application gave it.
            created_at: When it was begun: ISO 8601, or seconds since 1970.
            updated_at: When it was changed last.

        Raises:
            Unreadable: It has messages, and nothing of them was understood.
        """
        if self._not_understood and not self.messages:
            names = [kind[len(UNKNOWN) + 2 :] for kind in self.left_out if kind.startswith(UNKNOWN)]
            raise Unreadable(f"none of its messages was understood ({self._not_understood}: {'; '.join(names)})")
        found = ReadConversation(messages=self.messages)
        if self._folder is not None:
            found["folder"] = self._folder
        if self._label:
            found["label"] = self._label
        found.is_built = True
        found.has_default_folder = self._folder is not None
        found.left_out = dict(self.left_out)
        found.source_id = source_id if isinstance(source_id, str) and source_id else None
        found.created_at, found.updated_at = format_time(created_at), format_time(updated_at)
        return found

    def _clean(self, text: str) -> str:
        """Return a text without NUL characters, and with U+FFFD for halves of characters."""
        try:
            text.encode()
        except UnicodeEncodeError:
            text, number = _SURROGATES.subn("\ufffd", text)
            self.leave_out(REPLACED, number)
        return text.replace("\0", "")


def _shorten(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1].rstrip() + "…"


def role_of(name: object) -> str | None:
    """Return the role that an application calls by this name; None if it is none."""
    return ROLES.get(name.strip().lower()) if isinstance(name, str) else None


def stored_role(name: object) -> str | None:
    """Return the role that is stored for this name: itself if it is one, such as ``function``; None if it is none."""
    return name if isinstance(name, str) and name in _STORED_ROLES else role_of(name)
