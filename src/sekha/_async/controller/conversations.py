"""Single conversations of the controller: store, read, update, archive and delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union, cast
from uuid import UUID

from sekha._api import endpoints
from sekha._api.arguments import LabelRequest
from sekha._api.validation import argument_error, merge_arguments, validate
from sekha._api.validation import parse_conversation_id as checked_id
from sekha._transport.operations import CREATE, DELETE, UPDATE
from sekha._transport.spans import async_traced
from sekha._utils.sentinel import drop_unset
from sekha.errors import SekhaError
from sekha.types import Conversation, Message

from ..folder_client import AsyncFolderClient, folder_of_conversation, folder_of_export
from ..operations.existing import create_if_missing
from ..operations.pagination import count_messages
from ..operations.store import create_conversation
from ..transport import AsyncTransport


class AsyncConversationMixin(AsyncFolderClient):
    """Mixin of `AsyncMemoryController` for single conversations."""

    @async_traced(CREATE)
    async def create_conversation(
        self,
        conversation: Optional[Mapping[str, object]] = None,
        *,
        label: Optional[str] = None,
        folder: Optional[str] = None,
        importance_score: Optional[int] = None,
        messages: Optional[Sequence[Mapping[str, object]]] = None,
        drop_images: bool = False,
        skip_existing: bool = False,
    ) -> Conversation:
        """Store a conversation; `query` finds it as soon as this call returns.

        ``POST /api/v1/conversations``. An importance other than 5 is stored with the MCP tool ``memory_store`` and read
        back with a second request, since controller 0.1 ignores it otherwise. If the server rejects content parts, they
        are sent again as text. At most ``max_concurrent_writes`` calls run concurrently. The request is not retried if
        its outcome is unknown; then ``error.may_have_been_applied`` is True.

        Args:
            conversation: The first four keyword arguments below as one dictionary; keyword arguments take precedence.
            label: Name, not empty; default: the first line of the first user message, up to 60 characters.
            folder: Path, not empty; default ``/``.
            importance_score: 1 to 10; default 5, and 10 means pinned.
            messages: Dictionaries with ``role`` and ``content`` (a text, or a list of content parts); may be empty.
            drop_images: Whether to drop ``data:`` images if the server stores text only; otherwise such messages raise
                an error.
            skip_existing: Whether to store nothing if an active conversation has the same label, folder and messages.
                The check takes a full-text search and at most ten exports, and the list of conversations if the
                messages have no words or only frequent ones. After an unknown outcome, the check is made again. Two
                processes that store the same conversation at the same time may both store it.

        Returns:
            The stored conversation, with ``id``, ``label``, ``folder``, ``status``, ``message_count`` and
            ``created_at``; with ``skip_existing`` also ``already_stored``, True if it existed before.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaError: Any other failure; ``may_have_been_applied`` is True if the conversation may be stored
                nevertheless.

        Warns:
            SekhaWarning: The importance cannot be set because the MCP tools reject the key; or the server does not
                store a key of the messages, such as ``timestamp`` (once per key; `health` reports the stored keys as
                ``keeps``).

        Example:
            ```python title="python -m asyncio"
            conversation = await client.controller.create_conversation(
                label="Greeting", messages=[{"role": "user", "content": "Hello Sekha!"}]
            )
            print(conversation["label"])  # Greeting
            ```
        """
        keywords = drop_unset(label=label, folder=folder, importance_score=importance_score, messages=messages)
        completed = self._complete(merge_arguments(conversation, keywords, "conversation"))
        create = create_if_missing if skip_existing else create_conversation
        return await create(self._transport, self._capabilities, completed, drop_images=drop_images)

    async def get_conversation(self, conversation_id: Union[str, UUID], *, count_messages: bool = True) -> Conversation:
        """Return a conversation without its messages; see `get_messages` for these.

        ``GET /api/v1/conversations/{id}``. Controller 0.1 always returns ``message_count`` 0; then a second request, an
        export, counts the messages.

        Args:
            conversation_id: UUID of the conversation.
            count_messages: Whether to make this second request; default True.

        Returns:
            The conversation; ``message_count`` is None if it is not known.

        Raises:
            SekhaValidationError: The ID is not a UUID.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            conversation = await client.controller.get_conversation(conversation_id)
            print(conversation["message_count"])  # 2
            ```
        """
        id = checked_id(conversation_id)
        transport = self._transport.start_deadline()
        request = endpoints.GET_CONVERSATION.request(id=id)
        conversation = await self._read(transport, request, folder_of_conversation)
        if conversation["message_count"] == 0:
            conversation["message_count"] = await _count_or_none(transport, id) if count_messages else None
        return conversation

    async def get_messages(self, conversation_id: Union[str, UUID]) -> list[Message]:
        """Return the messages of a conversation, in the order in which they were stored.

        ``POST /mcp/tools/memory_export``, the only route that returns messages; it requires the key of the MCP tools.

        Args:
            conversation_id: UUID of the conversation.

        Returns:
            A list of dictionaries with ``role``, ``content``, ``id`` and ``timestamp``.

        Raises:
            SekhaValidationError: The ID is not a UUID.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            for message in await client.controller.get_messages(conversation_id):
                print(message["role"], message["content"])
            ```
        """
        id = checked_id(conversation_id)
        request = endpoints.MEMORY_EXPORT.request({"conversation_id": id})
        return (await self._read(self._transport, request, folder_of_export, id))["messages"]

    @async_traced(UPDATE)
    async def update_label(
        self, conversation_id: Union[str, UUID], *, label: Optional[str] = None, folder: Optional[str] = None
    ) -> None:
        """Change the label of a conversation, its folder, or both.

        ``PUT /api/v1/conversations/{id}/label``, which sets both. If one is not given, its current value is read first,
        with one more request.

        Args:
            conversation_id: UUID of the conversation.
            label: New label, not empty.
            folder: New folder, not empty.

        Raises:
            SekhaValidationError: An argument is invalid, or both are missing.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            await client.controller.update_label(
                conversation_id, label="Updated Label", folder="/new/folder"
            )
            ```
        """
        id = checked_id(conversation_id)
        body: dict[str, Any] = {**validate(LabelRequest, drop_unset(label=label, folder=self._absolute(folder)))}
        if not body:
            raise argument_error("label", "is required unless folder is given")
        transport = self._transport.start_deadline()
        if len(body) < 2 or self._view is not None:
            request = endpoints.GET_CONVERSATION.request(id=id)
            current = await self._read(transport, request, folder_of_conversation)
            body = {"label": current["label"], "folder": current["folder"], **body}
        await self._send(transport, endpoints.UPDATE_LABEL.request(body, id=id))

    async def update_folder(self, conversation_id: Union[str, UUID], *, folder: str) -> None:
        """Move a conversation to another folder; its label is kept.

        Two requests: the label is read, then set together with the folder (``PUT /api/v1/conversations/{id}/label``),
        since the folder route of controller 0.1 overwrites the label.

        Args:
            conversation_id: UUID of the conversation.
            folder: New folder, not empty.

        Raises:
            SekhaValidationError: An argument is invalid; ``field`` names it.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            await client.controller.update_folder(conversation_id, folder="/work/archived")
            ```
        """
        if cast(object, folder) is None:
            raise argument_error("folder", "is required")
        await self.update_label(conversation_id, folder=folder)

    @async_traced(UPDATE)
    async def pin_conversation(self, conversation_id: Union[str, UUID]) -> None:
        """Pin a conversation: set its importance to 10. No route unpins it.

        ``PUT /api/v1/conversations/{id}/pin``.

        Args:
            conversation_id: UUID of the conversation.

        Raises:
            SekhaValidationError: The ID is not a UUID.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            await client.controller.pin_conversation(conversation_id)
            ```
        """
        id = checked_id(conversation_id)
        await self._send_inside(endpoints.PIN_CONVERSATION.request(id=id), id)

    @async_traced(UPDATE)
    async def archive_conversation(self, conversation_id: Union[str, UUID]) -> None:
        """Archive a conversation. No route restores it.

        ``PUT /api/v1/conversations/{id}/archive``.

        Args:
            conversation_id: UUID of the conversation.

        Raises:
            SekhaValidationError: The ID is not a UUID.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            await client.controller.archive_conversation(conversation_id)
            ```
        """
        id = checked_id(conversation_id)
        await self._send_inside(endpoints.ARCHIVE_CONVERSATION.request(id=id), id)

    @async_traced(DELETE)
    async def delete_conversation(self, conversation_id: Union[str, UUID]) -> None:
        """Delete a conversation and its messages.

        ``DELETE /api/v1/conversations/{id}``. Controller 0.1 cannot delete a conversation that has messages; the error
        explains the alternatives.

        Args:
            conversation_id: UUID of the conversation.

        Raises:
            SekhaValidationError: The ID is not a UUID.
            SekhaNotFoundError: There is no conversation with this ID.
            SekhaServerError: The server does not support this; nothing was deleted.
            SekhaError: Any other failure; see `sekha.errors`.

        Example:
            ```python title="python -m asyncio"
            await client.controller.delete_conversation(conversation_id)
            ```
        """
        id = checked_id(conversation_id)
        await self._send_inside(endpoints.DELETE_CONVERSATION.request(id=id), id)


async def _count_or_none(transport: AsyncTransport, id: str) -> int | None:
    try:
        return await count_messages(transport, [id])
    except SekhaError:
        return None
