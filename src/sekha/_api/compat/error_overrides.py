"""Meaning of errors whose status alone is misleading."""

from __future__ import annotations

import re

from sekha._api.model import ErrorOverride, Service
from sekha.errors import (
    SekhaAPIError,
    SekhaAuthError,
    SekhaError,
    SekhaNotFoundError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaValidationError,
)

CONTROLLER_RATE_LIMIT_WINDOW = 60.0
"""Window of the controller's own rate limit in seconds; its 429 has no ``Retry-After`` (D38)."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NO_COLLECTION = "Collection not found"
_FTS_ERRORS = (
    "fts5",
    "malformed match",
    "no such column",
    "syntax error",
    "unknown special query",
    "unterminated string",
)


def controller_override(status: int, message: str) -> ErrorOverride:
    """Handle a missing ID, which is a 500 on some routes (D15), and a broken database, a 404 on another (D16)."""
    if status >= 500 and message.startswith("Entity not found"):
        return ErrorOverride(SekhaNotFoundError)
    if status == 404 and message.startswith("Database error"):
        return ErrorOverride(SekhaServerError)
    return ErrorOverride()


def delete_override(status: int, message: str) -> ErrorOverride:
    """Handle a delete: controller 0.1 fails if the messages of the conversation were embedded (D49)."""
    if status == 500 and _NO_COLLECTION in message:
        return ErrorOverride(
            SekhaServerError,
            "This controller cannot delete a conversation that has messages, and nothing was deleted. Archive it with "
            "archive_conversation(), or create an empty Chroma collection named `messages`, after which deletion works",
            retryable=False,
        )
    return controller_override(status, message)


def is_unable_to_delete(error: SekhaError) -> bool:
    """Return whether an error means that this server cannot delete conversations (D49)."""
    return isinstance(error, SekhaServerError) and error.status_code == 500 and _NO_COLLECTION in error.message


def full_text_override(status: int, message: str) -> ErrorOverride:
    """Handle a query that FTS5 cannot parse, which is a 500 (D53)."""
    if status == 500 and any(part in message.lower() for part in _FTS_ERRORS):
        return ErrorOverride(SekhaValidationError, "Omit raw=True to search for the words literally", retryable=False)
    return controller_override(status, message)


def prune_override(status: int, message: str) -> ErrorOverride:
    """Handle a prune: controller 0.1 fails if there is any candidate (D59)."""
    if status == 500:
        return ErrorOverride(
            SekhaServerError,
            "Some controllers fail here if there is any candidate; use controller.prune_dry_run() instead",
        )
    return ErrorOverride()


def add_hints(error: SekhaAPIError, service: Service, *, key_name: str) -> None:
    """Add details that the server omits: which key was sent (D27), and the window of its rate limit (D38)."""
    if service is Service.MCP and isinstance(error, SekhaAuthError):
        error.message += (
            f". The key sent was {key_name}; the MCP tools require the controller's own mcp_api_key (32 characters or "
            "more): pass it as mcp_api_key=... or set SEKHA_MCP_API_KEY"
        )
    if service is not Service.BRIDGE and isinstance(error, SekhaRateLimitError) and error.retry_after is None:
        error.retry_after = CONTROLLER_RATE_LIMIT_WINDOW


def find_conversation_id(message: str) -> str | None:
    """Return the ID of the conversation in an error message, if there is one."""
    found = _UUID.search(message)
    return found.group().lower() if found else None
