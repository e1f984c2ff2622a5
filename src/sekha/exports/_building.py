"""What the readers of all kinds have in common: messages, times, and the conversation that they make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, cast

from sekha.types import CreateConversationRequest

ROLES: Mapping[str, str] = {"human": "user", "user": "user", "assistant": "assistant"}

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MARKS = re.compile("\ue200[^\ue201]*\ue201")
"""Where ChatGPT shows a source of the web."""


class Unreadable(Exception):
    """A conversation does not have the expected shape."""


def make_conversation(label: object, folder: str, messages: list[dict[str, Any]]) -> CreateConversationRequest:
    found: dict[str, Any] = {"folder": folder, "messages": messages}
    if isinstance(label, str) and label.strip():
        found["label"] = label.replace("\0", "").strip()
    return cast(CreateConversationRequest, found)


def append_message(messages: list[dict[str, Any]], role: str | None, texts: list[Any], time: object) -> None:
    cleaned = [_MARKS.sub("", str(text)).strip("\n") for text in texts if str(text).strip()]
    content = "\n".join(text for text in cleaned if text != "[audio]" or len(cleaned) == 1)
    if role is None or not content:
        return
    message: dict[str, Any] = {"role": role, "content": content.replace("\0", "")}
    timestamp = format_time(time)
    if timestamp:
        message["timestamp"] = timestamp
    messages.append(message)


def format_time(time: object) -> str | None:
    """Return the timestamp of ChatGPT (seconds since 1970) or Claude (ISO) as ISO, None if it is neither."""
    if isinstance(time, str):
        return time
    if isinstance(time, (int, float)) and not isinstance(time, bool):
        try:  # not by fromtimestamp, which on Windows takes no time before 1970
            return (_EPOCH + timedelta(seconds=time)).isoformat(timespec="microseconds")
        except (OverflowError, ValueError):  # beyond the years 1 to 9999, or no number
            return None
    return None
