"""Clients that can be restricted to a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional, TypeVar, Union, cast

from typing_extensions import Self

from sekha._api.arguments import complete_conversation
from sekha._api.endpoints import GET_CONVERSATION
from sekha._api.filters import ResultFilter, parse_filters
from sekha._api.folder_view import FolderView, unknown_conversation
from sekha._api.model import Request
from sekha.errors import SekhaDecodeError, SekhaNotFoundError
from sekha.types import Conversation, ConversationListItem, Filters, MemoryContext, MemoryExport

from .base import AsyncServiceClient
from .transport import AsyncTransport

T = TypeVar("T")


class AsyncFolderClient(AsyncServiceClient):
    """Base of the clients of the controller and of its MCP tools.

    In the view of a folder, a conversation outside the folder is treated like one that does not exist.
    """

    @property
    def folder(self) -> Optional[str]:
        """The folder that this view is restricted to; None for the whole memory."""
        return None if self._view is None else self._view.folder

    def in_folder(self, folder: str, *segments: str) -> Self:
        """Return a view of this client that is restricted to a folder and its subfolders.

        No request is made, and closing the view closes nothing. The guide "Users and folders" describes the
        guarantees, the unsupported methods, and the cost of each call.

        Args:
            folder: A folder below ``/``; in a view, below the folder of the view. It is not normalized: an empty name,
                ``.``, ``..`` or a trailing ``/`` is rejected.
            segments: Any non-empty texts, such as the ID of a user. Each becomes one name below the folder,
                percent-encoded if needed.

        Raises:
            SekhaValidationError: The folder is invalid, or a segment is empty; ``field`` is ``folder``.

        Example:
            ```python
            notes = client.controller.in_folder("/users", "ann@example.com")
            print(notes.folder)  # /users/ann@example.com
            ```
        """
        view = FolderView.parse(folder, segments, self._view)
        return self._from_transport(self._transport, self._capabilities, view)

    def _refuse_in_view(self, method: str) -> None:
        """Raise a `SekhaConfigError` if this is a view: the method applies to the whole memory."""
        if self._view is not None:
            raise self._view.refusal(method)

    def _absolute(self, folder: Optional[str]) -> Any:
        """Return the argument ``folder``; in a view, as an absolute path inside it."""
        return folder if self._view is None else self._view.absolute(folder)

    def _absolute_folder(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        """Return arguments; in a view, with ``folder`` as an absolute path inside it."""
        return arguments if self._view is None else self._view.absolute_folder(arguments)

    def _absolute_each(self, folders: Optional[Sequence[str]], field: str) -> Any:
        """Return an argument that lists folders; in a view, each as an absolute path inside it."""
        if self._view is None or isinstance(folders, str) or not isinstance(cast(object, folders), Sequence):
            return folders
        return [self._view.absolute(folder, f"{field}[{i}]") for i, folder in enumerate(folders or ())]

    def _absolute_filters(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        """Return arguments; in a view, with the folder of ``filters`` as an absolute path inside it."""
        filters = arguments.get("filters")
        if self._view is None or not isinstance(filters, Mapping):
            return arguments
        filters = self._view.absolute_folder(cast("Mapping[str, object]", filters), "filters.")
        return {**arguments, "filters": filters}

    def _conditions(self, filters: Filters, prefix: str = "filters.") -> ResultFilter:
        """Return the conditions for results; in a view, including that they are inside it.

        Args:
            filters: The filters of the caller.
            prefix: Prefix of filter names in errors.
        """
        if self._view is None:
            return parse_filters(filters, prefix)
        if "folder" not in filters:  # the whole view is searched
            filters = cast(Filters, {name: value for name, value in filters.items() if name != "subfolders"})
        return parse_filters(filters, prefix)._replace(view=self._view)

    def _complete(self, conversation: Mapping[str, object]) -> dict[str, Any]:
        """Return a conversation in its stored form; in a view, inside it."""
        return complete_conversation(conversation) if self._view is None else self._view.complete(conversation)

    def _keep(
        self, keep: Optional[Callable[[ConversationListItem], bool]]
    ) -> Optional[Callable[[ConversationListItem], bool]]:
        """Return the filter of a list; in a view, one that excludes everything outside."""
        return keep if self._view is None else self._view.keep(keep)

    async def _send(self, transport: AsyncTransport, request: Request[T]) -> T:
        """Send a call about one conversation; in a view, an unknown one always raises the same error."""
        try:
            return await transport.send(request)
        except SekhaNotFoundError:
            if self._view is None:
                raise
        raise unknown_conversation(request.endpoint)

    async def _read(
        self, transport: AsyncTransport, request: Request[T], folder_of: Callable[[T], object], id: str = ""
    ) -> T:
        """Send a call about one conversation whose response includes its folder; in a view, it must be inside.

        Args:
            transport: The transport of the controller.
            request: The call.
            folder_of: Returns the folder in a response.
            id: The conversation, which is requested if the response is invalid; empty if the call itself requests it.
        """
        try:
            answer = await self._send(transport, request)
        except SekhaDecodeError:
            if id:
                await self._require_inside(transport, id)
            raise
        if self._view is not None and not self._view.contains(folder_of(answer)):
            raise unknown_conversation(request.endpoint)
        return answer

    async def _require_inside(self, transport: AsyncTransport, id: str) -> None:
        """In a view, request a conversation, and raise the error for an unknown one if it is outside."""
        if self._view is not None:
            await self._read(transport, GET_CONVERSATION.request(id=id), folder_of_conversation)

    async def _send_inside(self, request: Request[T], id: str) -> T:
        """Send a call about one conversation whose response has no folder; in a view, request the folder first."""
        transport = self._transport.start_deadline()
        await self._require_inside(transport, id)
        return await self._send(transport, request)


def folder_of_conversation(conversation: Union[Conversation, MemoryContext]) -> str:
    """Return the folder of a conversation."""
    return conversation["folder"]


def folder_of_export(export: MemoryExport) -> str:
    """Return the folder of an exported conversation."""
    return export["conversation"]["folder"]
