"""Common code of all readers: roles, and the builder of conversations, which counts omitted items."""

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
"""Kinds of omitted items; readers may use others, too."""
UNKNOWN = "unknown"
"""Prefix of the kind of unrecognized items."""

ROLES: Mapping[str, str] = {
    "user": "user", "human": "user",
    "assistant": "assistant", "ai": "assistant", "bot": "assistant", "chatgpt": "assistant", "gpt": "assistant",
    "model": "assistant", "bing": "assistant", "bard": "assistant", "gemini": "assistant",
    "system": "system", "developer": "system",
    "tool": "tool", "function": "tool", "observation": "tool",
}  # fmt: skip
"""Roles by the names that applications use, in lower case."""

_STORED_ROLES = frozenset(role.value for role in MessageRole)
_NOT_SHOWN: Mapping[str, str] = {"system": SYSTEM, "tool": TOOLS}
_NOTHING: Mapping[str, object] = MappingProxyType({})
_SURROGATES = re.compile("[\ud800-\udfff]")
_MAX_NAMES = 10
_MAX_NAME = 60
_MAX_LABEL = 500
_MAX_TITLE = 80


class Unreadable(Exception):
    """A conversation does not have the expected structure."""


class ReadConversation(Dict[str, Any]):
    """A conversation of an export: arguments of `create_conversation`, with information about its source.

    Attributes:
        left_out: Number of omitted items, by kind.
        source_id: ID of the application; None if it has none.
        application: Name of the application; IDs are unique per application.
        created_at: Creation time, as ISO 8601; None if unknown.
        updated_at: Time of the last update; None if unknown.
        place: Its position, for messages.
        is_built: Whether `ConversationBuilder` has created the messages, so that they need no further validation.
        undated_folder: Its folder without the month; None if it has no month.
        has_default_folder: Whether the folder is the default of the reader.
        memory_id: Its ID in the memory that it was exported from; None if it is from another application.
        is_archived: Whether it is archived there.
        is_chat: Whether it is a chat, not a note.
        directory: Working directory of the agent, for a session of a coding agent.
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
    """Builds a conversation message by message, and counts omitted items.

    For each item, a reader calls one of these methods, so that nothing is dropped silently: `add` for a message (blank
    ones are counted as ``empty``), `leave_out` for an item that is omitted on purpose, and `not_understood` for an item
    of unknown structure. `finish` rejects a conversation without any recognized message.

    Args:
        label: The title; ignored if it is not a string.
        folder: Folder of the conversation.

    Attributes:
        messages: The messages so far.
        left_out: Number of omitted items so far, by kind.
        counted: Total number of omitted items.
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
            role: The role, as the application names it; see `ROLES`.
            texts: Its texts, each of which starts a line. A generator may count omitted items.
            time: Its timestamp: ISO 8601, or seconds since 1970.
            more: Additional keys of the message.
            if_blank: The kind to count a blank message as; None for ``empty``, unless `texts` has counted any item.
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
        """Return the role of a message of user or assistant; otherwise count the message, and return None."""
        role = role_of(message.get("role"))
        if role is None:
            self.not_understood(f"role {message['role']}" if "role" in message else message)
        elif role in _NOT_SHOWN:
            self.leave_out(_NOT_SHOWN[role])
            return None
        return role

    def take_title_from_words(self) -> None:
        """Without a title, use the first line of the first user message."""
        said = [message["content"] for message in self.messages if message["role"] == "user"]
        line = said[0].strip().partition("\n")[0].strip() if said and not self._label else ""
        self._label = self._label or _shorten(line, _MAX_TITLE)

    def leave_out(self, kind: str, number: int = 1) -> None:
        """Count an item that is omitted on purpose, such as `HIDDEN`, `TOOLS` or `THINKING`."""
        if number:
            self.left_out[kind] += number
            self.counted += number

    def not_understood(self, what: object) -> None:
        """Count a message, or a part of one, of unknown structure.

        Args:
            what: Its description, such as ``content_type x``; for a message, the message, of which the keys are used.
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
        """Return the items of a list; count other values, except None, as not understood."""
        found = as_list(value)
        if found is None and value is not None:
            self.not_understood(f"{name} that are no list")
        return found or []

    def include(self, other: ConversationBuilder) -> None:
        """Add the counts of another builder, for a part of the conversation."""
        self.left_out.update(other.left_out)
        self.counted += other.counted
        self._not_understood += other._not_understood

    def finish(
        self, *, source_id: object = None, created_at: object = None, updated_at: object = None
    ) -> ReadConversation:
        """Return the conversation.

        Args:
            source_id: ID of the application.
            created_at: Creation time: ISO 8601, or seconds since 1970.
            updated_at: Time of the last update.

        Returns:
            The conversation.

        Raises:
            Unreadable: It has messages, but none was recognized.
        """
        if self._not_understood and not self.messages:
            names = [kind[len(UNKNOWN) + 2 :] for kind in self.left_out if kind.startswith(UNKNOWN)]
            raise Unreadable(f"no readable messages ({self._not_understood}: {'; '.join(names)})")
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
        """Return a text without NUL characters, and with lone surrogates replaced by U+FFFD."""
        try:
            text.encode()
        except UnicodeEncodeError:
            text, number = _SURROGATES.subn("\ufffd", text)
            self.leave_out(REPLACED, number)
        return text.replace("\0", "")


def _shorten(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1].rstrip() + "…"


def role_of(name: object) -> str | None:
    """Return the role for a name of an application; None if the name is unknown."""
    return ROLES.get(name.strip().lower()) if isinstance(name, str) else None


def stored_role(name: object) -> str | None:
    """Return the role to store for a name, including roles such as ``function``; None if the name is unknown."""
    return name if isinstance(name, str) and name in _STORED_ROLES else role_of(name)
