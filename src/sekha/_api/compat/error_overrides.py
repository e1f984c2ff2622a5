"""What errors mean, where the status alone would mislead."""

from __future__ import annotations

import re

from sekha._api.model import Service
from sekha._api.response import Meaning
from sekha.errors import (
    SekhaAPIError,
    SekhaAuthError,
    SekhaNotFoundError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaValidationError,
)

CONTROLLER_WINDOW = 60.0
"""Seconds of the controller's own rate limit; its 429 does not say when to come back (D38)."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FTS_FAULTS = (
    "fts5",
    "malformed match",
    "no such column",
    "syntax error",
    "unknown special query",
    "unterminated string",
)


def controller_meaning(status: int, words: str) -> Meaning:
    """A missing id is a 500 on some routes (D15), and a broken database a 404 on another (D16)."""
    if status >= 500 and words.startswith("Entity not found"):
        return Meaning(SekhaNotFoundError)
    if status == 404 and words.startswith("Database error"):
        return Meaning(SekhaServerError)
    return Meaning()


def delete_meaning(status: int, words: str) -> Meaning:
    """The controller 0.1 cannot delete a conversation whose messages were embedded (D49)."""
    if status == 500 and "Collection not found" in words:
        return Meaning(
            SekhaServerError,
            "This controller cannot delete a conversation that has messages, and nothing was deleted. Archive it with "
            "archive_conversation(), or create an empty Chroma collection named `messages`, after which deletion works",
            final=True,
        )
    return controller_meaning(status, words)


def full_text_meaning(status: int, words: str) -> Meaning:
    """A query that FTS5 cannot read is a 500 (D53)."""
    if status == 500 and any(sign in words.lower() for sign in _FTS_FAULTS):
        return Meaning(SekhaValidationError, "Leave raw=True out to search for the words as they are", final=True)
    return controller_meaning(status, words)


def prune_meaning(status: int, words: str) -> Meaning:
    """The controller 0.1 fails as soon as there is something to prune (D59)."""
    if status == 500:
        return Meaning(
            SekhaServerError,
            "Some controllers fail here as soon as there is a candidate; use controller.prune_dry_run() instead",
        )
    return Meaning()


def explain(error: SekhaAPIError, service: Service, *, key_name: str) -> None:
    """Add what only our side knows: which key was sent (D27), and how long the controller's window is (D38)."""
    if service is Service.MCP and isinstance(error, SekhaAuthError):
        error.message += (
            f". The key sent was {key_name}; the MCP tools need the controller's own mcp_api_key "
            "(32 characters or more): pass it as mcp_api_key=... or set SEKHA_MCP_API_KEY"
        )
    if service is not Service.BRIDGE and isinstance(error, SekhaRateLimitError) and error.retry_after is None:
        error.retry_after = CONTROLLER_WINDOW


def id_in(words: str) -> str | None:
    """The conversation that an error speaks of, if it names one."""
    found = _UUID.search(words)
    return found.group().lower() if found else None
