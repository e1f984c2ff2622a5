"""Known kinds that are not supported, so that each is reported with advice, once per file."""

from __future__ import annotations

import re
from typing import Any

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._kind import Kind, begins_with, has_keys, never

_WHATSAPP = re.compile(
    r"[\s\u200e\ufeff]*\[?\d{1,4}[./-]\d{1,2}[./-]\d{1,4},? \d{1,2}[:.]\d{2}(?:[:.]\d{2})?"
    r"(?:[ \u202f][APap]\.?[Mm]\.?)?(?:\]| -) [^\n]"
)
_CSV = re.compile(r"\s*(?:[^,;\n\"]{1,40}|\"[^\n\"]{1,40}\")(?:[,;]\s?(?:[^,;\n\"]{1,40}|\"[^\n\"]{1,40}\")){2,}\r?\n")
_COPILOT = re.compile(r'\s*"?Conversation"?,"?Time"?,"?Author"?,"?Message"?', re.IGNORECASE)
_HTML = re.compile(r"\s*(?:<!doctype html|<html|<head|<body)", re.IGNORECASE)
_MAX_LOOK = 50
"""Maximum number of chats to check for the detection."""
_PLAIN = "to import it, convert it to JSON lines: see docs/guides/import.md"
_CHATS = "only exports of chats with a model are supported"


def _first(data: dict[str, Any]) -> object:
    messages = as_list(data.get("messages"))
    return messages[0] if messages else None


def _is_telegram(data: dict[str, Any]) -> bool:
    chats = as_list(get(data.get("chats"), "list"))  # of all chats, not of one
    if chats:
        return any(_is_telegram(as_object(chat) or {}) for chat in chats[:_MAX_LOOK])
    return get(_first(data), "date_unixtime") is not None or (
        get(_first(data), "from_id") is not None and get(_first(data), "type") is not None
    )


def _is_slack(data: dict[str, Any]) -> bool:
    return data.get("type") == "message" and isinstance(data.get("ts"), str)


def _is_messenger(data: dict[str, Any]) -> bool:
    first = _first(data)
    return "participants" in data and get(first, "sender_name") is not None and get(first, "timestamp_ms") is not None


def _is_google_chat(data: dict[str, Any]) -> bool:
    return get(_first(data), "creator", "name") is not None and get(_first(data), "created_date") is not None


def _is_character_ai(data: dict[str, Any]) -> bool:
    histories = as_list(get(data.get("histories"), "histories"))
    return histories is not None and (not histories or get(histories[0], "msgs") is not None)


def _is_perplexity(data: dict[str, Any]) -> bool:
    entries = as_list(data.get("entries")) or ()
    is_turn = "query" in data and "answer" in data and ("sources" in data or "related_queries" in data)
    return is_turn or "query_str" in data or any(get(entry, "query_str") is not None for entry in entries)


def _is_silly_tavern(data: dict[str, Any]) -> bool:
    return ("is_user" in data and "mes" in data) or ("chat_metadata" in data and "user_name" in data)


UNSUPPORTED: tuple[Kind, ...] = (
    Kind("WhatsApp's text", never, advice=f"{_CHATS}; {_PLAIN}", fits_text=begins_with(_WHATSAPP)),
    Kind(
        "Copilot's CSV",
        never,
        advice=_PLAIN,
        fits_text=begins_with(_COPILOT),
    ),
    Kind("Telegram's history", _is_telegram, advice=f"{_CHATS}; {_PLAIN}"),
    Kind("Discord's history", has_keys("guild", "channel"), advice=f"{_CHATS}; {_PLAIN}"),
    Kind("Slack's history", _is_slack, advice=f"{_CHATS}; {_PLAIN}"),
    Kind("Messenger's or Instagram's history", _is_messenger, advice=f"{_CHATS}; {_PLAIN}"),
    Kind("Google Chat's history", _is_google_chat, advice=f"{_CHATS}; {_PLAIN}"),
    Kind("a prompt of Google AI Studio", has_keys("chunkedPrompt"), advice=_PLAIN),
    Kind("a thread of Perplexity", _is_perplexity, advice=_PLAIN),
    Kind("a character's chats of Character.AI", _is_character_ai, advice=_PLAIN),
    Kind("SillyTavern's chat", _is_silly_tavern, advice=_PLAIN),
)
"""Kinds to check before all others; HTML and tables, which may be anything, are in `LAST`."""
LAST: tuple[Kind, ...] = (
    Kind(
        "HTML",
        never,
        advice="use the JSON of the same export, such as conversations.json",
        fits_text=begins_with(_HTML),
    ),
    Kind("a table (CSV)", never, advice=_PLAIN, fits_text=begins_with(_CSV)),
)
