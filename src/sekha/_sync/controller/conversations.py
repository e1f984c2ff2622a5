# Generated from src/sekha/_async/controller/conversations.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""One conversation of the controller: store, read, change, archive and delete it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union, cast
from uuid import UUID

from sekha._api import endpoints
from sekha._api.arguments import LabelRequest
from sekha._api.validation import argument_error, merge_arguments, validate
from sekha._api.validation import parse_conversation_id as checked_id
from sekha._transport.operations import CREATE, DELETE, UPDATE
from sekha._transport.spans import traced
from sekha._utils.sentinel import drop_unset
from sekha.errors import SekhaError
from sekha.types import Conversation, Message

from ..folder_client import FolderClient, folder_of_conversation, folder_of_export
from ..operations.existing import create_if_missing
from ..operations.pagination import count_messages
from ..operations.store import create_conversation
from ..transport import Transport


class ConversationMixin(FolderClient):
    """The part of `MemoryController` that deals with single conversations."""

    @traced(CREATE)
    def create_conversation(
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
        """Store a conversation; when this returns it can be found by `query`.

        ``POST /api/v1/conversations``. An importance other than 5 is stored by the MCP tool ``memory_store`` and read
        back by a second request (the controller 0.1 ignores it otherwise). Content parts that the server refuses are
        sent once more as text. At most ``max_concurrent_writes`` run at a time, and none is repeated whose outcome is
        unknown: look at ``error.may_have_been_applied``.

        Args:
            conversation: The first four keywords below as one dictionary; a keyword beats its entry.
            label: Name, not empty; default: the first line of the first user message, at most 60 characters.
            folder: Path, not empty; default ``/``.
            importance_score: 1 to 10; default 5, and 10 means pinned.
            messages: Dictionaries with ``role`` and ``content`` (a text, or a list of content parts); may be empty.
            drop_images: Whether ``data:`` images may be lost where the server takes text only.
            skip_existing: Whether to store nothing if an active conversation has the same label, folder and messages.
                It is found by a full-text search and one export (ten at most; the list too, if the messages have no
                words, or words that many have); after an unknown outcome it is looked for once more. Two processes
                that do this at the same time may both store it.

        Returns:
            The stored conversation: ``id``, ``label``, ``folder``, ``status``, ``message_count``, ``created_at``; with
            ``skip_existing`` also ``already_stored``, whether it was there before.

        Raises:
            SekhaValidationError: An argument cannot be used; ``field`` names it.
            SekhaError: It failed; ``may_have_been_applied`` says whether it may have been stored all the same.

        Warns:
            SekhaWarning: The importance cannot be set because the MCP tools refuse the key; or the server does not keep
                a key of the messages, such as ``timestamp``: once for each key; `health` says what it ``keeps``.

        Example:
            ```python
            conversation = client.controller.create_conversation(
                label="Greeting", messages=[{"role": "user", "content": "Hello Sekha!"}]
            )
            print(conversation["label"])  # Greeting
            ```
        """
        keywords = drop_unset(label=label, folder=folder, importance_score=importance_score, messages=messages)
        completed = self._complete(merge_arguments(conversation, keywords, "conversation"))
        create = create_if_missing if skip_existing else create_conversation
        return create(self._transport, self._capabilities, completed, drop_images=drop_images)

    def get_conversation(self, conversation_id: Union[str, UUID], *, count_messages: bool = True) -> Conversation:
        """A conversation without its messages; for those see `get_messages`.

        ``GET /api/v1/conversations/{id}``. The controller 0.1 says ``message_count`` 0 for every conversation; then the
        messages are counted by one more request, an export.

        Args:
            conversation_id: UUID of the conversation.
            count_messages: Whether that request may be made.

        Returns:
            The conversation; ``message_count`` is None where it is not known.

        Raises:
            SekhaValidationError: The id is no UUID.
            SekhaNotFoundError: There is no such conversation.
            SekhaError: It failed.

        Example:
            ```python
            conversation = client.controller.get_conversation(conversation_id)
            print(conversation["message_count"])  # 2
            ```
        """
        id = checked_id(conversation_id)
        transport = self._transport.start_deadline()
        request = endpoints.GET_CONVERSATION.request(id=id)
        conversation = self._read(transport, request, folder_of_conversation)
        if conversation["message_count"] == 0:
            conversation["message_count"] = _count_or_none(transport, id) if count_messages else None
        return conversation

    def get_messages(self, conversation_id: Union[str, UUID]) -> list[Message]:
        """The messages of a conversation, in the order in which they were stored.

        ``POST /mcp/tools/memory_export``: the only route that gives messages back; it needs the MCP tools' key.

        Args:
            conversation_id: UUID of the conversation.

        Returns:
            Dictionaries with ``role``, ``content``, ``id`` and ``timestamp``.

        Raises:
            SekhaValidationError: The id is no UUID.
            SekhaNotFoundError: There is no such conversation.
            SekhaError: It failed.

        Example:
            ```python
            for message in client.controller.get_messages(conversation_id):
                print(message["role"], message["content"])
            ```
        """
        id = checked_id(conversation_id)
        request = endpoints.MEMORY_EXPORT.request({"conversation_id": id})
        return (self._read(self._transport, request, folder_of_export, id))["messages"]

    @traced(UPDATE)
    def update_label(
        self, conversation_id: Union[str, UUID], *, label: Optional[str] = None, folder: Optional[str] = None
    ) -> None:
        """Give a conversation another label, another folder, or both.

        ``PUT /api/v1/conversations/{id}/label`` takes both; where one is left out, a request before it reads what is
        there.

        Args:
            conversation_id: UUID of the conversation.
            label: New label, not empty.
            folder: New folder, not empty.

        Raises:
            SekhaValidationError: An argument cannot be used, or both are missing.
            SekhaNotFoundError: There is no such conversation.
            SekhaError: It failed.

        Example:
            ```python
            client.controller.update_label(conversation_id, label="Updated Label", folder="/new/folder")
            ```
        """
        id = checked_id(conversation_id)
        body: dict[str, Any] = {**validate(LabelRequest, drop_unset(label=label, folder=self._absolute(folder)))}
        if not body:
            raise argument_error("label", "is missing; give a label, a folder, or both")
        transport = self._transport.start_deadline()
        if len(body) < 2 or self._view is not None:
            request = endpoints.GET_CONVERSATION.request(id=id)
            current = self._read(transport, request, folder_of_conversation)
            body = {"label": current["label"], "folder": current["folder"], **body}
        self._send(transport, endpoints.UPDATE_LABEL.request(body, id=id))

    def update_folder(self, conversation_id: Union[str, UUID], *, folder: str) -> None:
        """Move a conversation to another folder; its label stays.

        Two requests: the label is read and set again together with the folder
        (``PUT /api/v1/conversations/{id}/label``), since the controller 0.1 loses it on its folder route.

        Args:
            conversation_id: UUID of the conversation.
            folder: New folder, not empty.

        Raises:
            SekhaValidationError: An argument cannot be used.
            SekhaNotFoundError: There is no such conversation.
            SekhaError: It failed.

        Example:
            ```python
            client.controller.update_folder(conversation_id, folder="/work/archived")
            ```
        """
        if cast(object, folder) is None:
            raise argument_error("folder", "is missing")
        self.update_label(conversation_id, folder=folder)

    @traced(UPDATE)
    def pin_conversation(self, conversation_id: Union[str, UUID]) -> None:
        """Pin a conversation: its importance becomes 10. No route takes a pin away.

        ``PUT /api/v1/conversations/{id}/pin``.

        Args:
            conversation_id: UUID of the conversation.

        Raises:
            SekhaValidationError: The id is no UUID.
            SekhaNotFoundError: There is no such conversation.
            SekhaError: It failed.

        Example:
            ```python
            client.controller.pin_conversation(conversation_id)
            ```
        """
        id = checked_id(conversation_id)
        self._send_inside(endpoints.PIN_CONVERSATION.request(id=id), id)

    @traced(UPDATE)
    def archive_conversation(self, conversation_id: Union[str, UUID]) -> None:
        """Archive a conversation. No route brings it back into use.

        ``PUT /api/v1/conversations/{id}/archive``.

        Args:
            conversation_id: UUID of the conversation.

        Raises:
            SekhaValidationError: The id is no UUID.
            SekhaNotFoundError: There is no such conversation.
            SekhaError: It failed.

        Example:
            ```python
            client.controller.archive_conversation(conversation_id)
            ```
        """
        id = checked_id(conversation_id)
        self._send_inside(endpoints.ARCHIVE_CONVERSATION.request(id=id), id)

    @traced(DELETE)
    def delete_conversation(self, conversation_id: Union[str, UUID]) -> None:
        """Delete a conversation and its messages.

        ``DELETE /api/v1/conversations/{id}``. The controller 0.1 cannot delete a conversation that has messages; the
        error says what to do.

        Args:
            conversation_id: UUID of the conversation.

        Raises:
            SekhaValidationError: The id is no UUID.
            SekhaNotFoundError: There is no such conversation.
            SekhaServerError: The server cannot delete it; nothing was deleted.
            SekhaError: It failed.

        Example:
            ```python
            client.controller.delete_conversation(conversation_id)
            ```
        """
        id = checked_id(conversation_id)
        self._send_inside(endpoints.DELETE_CONVERSATION.request(id=id), id)


def _count_or_none(transport: Transport, id: str) -> int | None:
    try:
        return count_messages(transport, [id])
    except SekhaError:
        return None
