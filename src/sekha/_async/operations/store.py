"""Storage of a conversation as the server supports it, by REST or by the MCP tool."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from sekha._api.arguments import DEFAULT_IMPORTANCE, PINNED_IMPORTANCE
from sekha._api.compat.capabilities import Capabilities
from sekha._api.compat.requests import has_content_parts, is_text_only_error, pad_body, parts_to_text
from sekha._api.endpoints import CREATE_CONVERSATION, GET_CONVERSATION, MEMORY_STORE, PIN_CONVERSATION
from sekha._api.model import Endpoint, Request, Service
from sekha._transport.operations import CREATE
from sekha._transport.options import WriteMustWait
from sekha._transport.spans import async_traced
from sekha._utils.frames import warn_user
from sekha.errors import SekhaAPIError, SekhaAuthError, SekhaError
from sekha.types import Conversation

from ..transport import AsyncTransport
from .features import controller_features
from .lost_keys import warn_of_lost_keys

T = TypeVar("T")


@async_traced(CREATE)
async def create_conversation(
    transport: AsyncTransport, capabilities: Capabilities, conversation: dict[str, Any], *, drop_images: bool
) -> Conversation:
    """Store a conversation; with an importance other than the default, use the MCP tool, since REST ignores it.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        conversation: The result of `complete_conversation`.
        drop_images: Whether to drop images that are part of a message (D4).

    Raises:
        SekhaError: The conversation was not stored, or its outcome is unknown (``may_have_been_applied``).
    """
    transport = transport.start_deadline()
    await warn_of_lost_keys(transport, capabilities, conversation["messages"])
    importance = conversation["importance_score"]
    if importance == DEFAULT_IMPORTANCE:
        return await _create_by_rest(transport, capabilities, conversation, drop_images)
    mcp_key = transport.key(Service.MCP)
    if not capabilities.is_mcp_key_rejected(mcp_key):
        try:
            return await _create_by_tool(transport, capabilities, conversation, drop_images)
        except SekhaAuthError as error:
            capabilities.reject_mcp_key(mcp_key)
            reason = error.message
    else:
        reason = "the MCP tools rejected the key before"
    result = "it is pinned instead, which sets 10" if importance == PINNED_IMPORTANCE else "has the default of 5"
    warn_user(f"importance_score={importance} cannot be stored: {reason}. The conversation is stored, and {result}.")
    return await _create_by_rest(transport, capabilities, conversation, drop_images)


async def _create_by_tool(
    transport: AsyncTransport, capabilities: Capabilities, conversation: dict[str, Any], drop_images: bool
) -> Conversation:
    stored = await store(transport, capabilities, MEMORY_STORE, conversation, drop_images=drop_images)
    found: dict[str, Any] = {"status": "active", "created_at": None, **stored}
    try:
        read = await transport.send(GET_CONVERSATION.request(id=stored["id"]))
        found.update(read)
    except SekhaError as error:
        _warn_partly_stored(stored["id"], "its time could not be read", error)
    found.update(
        importance_score=conversation["importance_score"],
        message_count=len(conversation["messages"]),
    )
    return cast(Conversation, found)


async def _create_by_rest(
    transport: AsyncTransport, capabilities: Capabilities, conversation: dict[str, Any], drop_images: bool
) -> Conversation:
    body = {name: value for name, value in conversation.items() if name != "importance_score"}
    stored = await store(transport, capabilities, CREATE_CONVERSATION, body, drop_images=drop_images)
    stored.setdefault("importance_score", DEFAULT_IMPORTANCE)
    if conversation["importance_score"] == PINNED_IMPORTANCE:
        try:
            await transport.send(PIN_CONVERSATION.request(id=stored["id"]))
            stored["importance_score"] = PINNED_IMPORTANCE
        except SekhaError as error:
            _warn_partly_stored(stored["id"], "it could not be pinned", error)
    return stored


def _warn_partly_stored(id: str, problem: str, error: SekhaError) -> None:
    warn_user(f"conversation {id} is stored, but {problem}: {error}")


async def store(
    transport: AsyncTransport,
    capabilities: Capabilities,
    endpoint: Endpoint[T],
    body: dict[str, Any],
    *,
    drop_images: bool,
) -> T:
    """Send a conversation; if the server supports text only, send it again with its content parts as text.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        endpoint: The REST route, or the MCP tool.
        body: Label, folder, messages, and importance if the endpoint supports it.
        drop_images: Whether to drop images that are part of a message (D4).

    Raises:
        SekhaValidationError: An image would be lost; nothing was stored.
    """
    has_parts = has_content_parts(body["messages"])
    if not (has_parts and capabilities.text_only):
        try:
            return await _send_write(transport, capabilities, endpoint.request(pad_body(body)))
        except SekhaAPIError as error:
            if not (has_parts and is_text_only_error(error)):
                raise
        capabilities.text_only = True
    body = {**body, "messages": parts_to_text(body["messages"], drop_images=drop_images)}
    return await _send_write(transport, capabilities, endpoint.request(pad_body(body)))


async def _send_write(transport: AsyncTransport, capabilities: Capabilities, request: Request[T]) -> T:
    """Send a write. If it would have to wait for others, check first whether the server requires this (D52, D65)."""
    transport, features = transport.start_deadline(), capabilities.features
    if features is None:
        try:
            return await transport.without_waiting_to_write().send(request)
        except WriteMustWait:
            pass
        features = await controller_features(transport, capabilities)
    if features is not None and features.parallel_writes:
        transport.allow_parallel_writes()
    return await transport.send(request)
