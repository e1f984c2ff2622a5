# Generated from src/sekha/_async/operations/store.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Stores messages as each server can take them; REST's create and the MCP tool's store stand on it."""

from __future__ import annotations

import logging
from typing import Any, TypeVar

from sekha._api import compat as dialect
from sekha._api.model import Endpoint
from sekha.errors import SekhaAPIError

from ..transport import Transport

T = TypeVar("T")
log = logging.getLogger("sekha")


def store(transport: Transport, endpoint: Endpoint[T], body: dict[str, Any], *, drop_images: bool) -> T:
    """Send a conversation; where the server takes text only, once more with content parts turned into text.

    Args:
        transport: Where to send it.
        endpoint: REST's create or the tool's store.
        body: Label, folder, messages, and importance where the endpoint takes it.
        drop_images: Whether an image that is part of the message may be lost (D4).

    Raises:
        SekhaValidationError: An image would be lost; nothing was stored.
    """
    connections = transport.connections
    parts = dialect.has_parts(body["messages"])
    if not (parts and connections.takes_text_only):
        try:
            return transport.send(endpoint.request(_safe(body)))
        except SekhaAPIError as error:
            if not (parts and dialect.refuses_parts(error)):
                raise
        connections.takes_text_only = True
    body = {**body, "messages": dialect.as_text(body["messages"], drop_images=drop_images)}
    return transport.send(endpoint.request(_safe(body)))


def _safe(body: dict[str, Any]) -> dict[str, Any]:
    messages = dialect.padded(body["messages"])
    moved = sum(a["content"] != b["content"] for a, b in zip(messages, body["messages"]))
    if moved:
        log.info("put spaces in front of %d messages that the controller 0.1 could not store", moved)
    return {**body, "messages": messages}
