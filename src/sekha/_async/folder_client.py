"""The clients of a memory, which can be confined to a folder."""

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

    In the view of a folder, a conversation outside is as unknown as one that does not exist.
    """

    @property
    def folder(self) -> Optional[str]:
        """The folder that this view is confined to; None for the whole memory."""
        return None if self._view is None else self._view.folder

    def in_folder(self, folder: str, *segments: str) -> Self:
        """A view of this client that sees and changes only what is in a folder and below it.

        No request is made; closing the view closes nothing. What it is a wall against, what it refuses and what its
        calls cost is in the guide, under "One memory per user".

        Args:
            folder: A folder below ``/``; in a view, below the folder of that. It is not brought into one form: an
                empty name, ``.``, ``..`` or a ``/`` at its end is refused.
            segments: Any texts that are not empty, such as the id of a user. Each becomes one name below the folder,
                percent-encoded where needed.

        Raises:
            SekhaValidationError: The folder is not one, or a segment is empty; ``field`` is ``folder``.

        Example:
            ```python
            notes = client.controller.in_folder("/users", "ann@example.com")
            print(notes.folder)  # /users/ann@example.com
            ```
        """
        view = FolderView.parse(folder, segments, self._view)
        return self._from_transport(self._transport, self._capabilities, view)

    def _refuse_in_view(self, method: str) -> None:
        """Raise a `SekhaConfigError` if this is a view: the method is about the whole memory."""
        if self._view is not None:
            raise self._view.refusal(method)

    def _absolute(self, folder: Optional[str]) -> Any:
        """Return the argument ``folder``; in a view, an absolute path that is inside."""
        return folder if self._view is None else self._view.absolute(folder)

    def _absolute_folder(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        """Return arguments whose ``folder`` is, in a view, an absolute path that is inside."""
        return arguments if self._view is None else self._view.absolute_folder(arguments)

    def _absolute_each(self, folders: Optional[Sequence[str]], field: str) -> Any:
        """Return an argument that lists folders; in a view, each as an absolute path that is inside."""
        if self._view is None or isinstance(folders, str) or not isinstance(cast(object, folders), Sequence):
            return folders
        return [self._view.absolute(folder, f"{field}[{i}]") for i, folder in enumerate(folders or ())]

    def _absolute_filters(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        """Return arguments whose ``filters`` have, in a view, an absolute folder that is inside."""
        filters = arguments.get("filters")
        if self._view is None or not isinstance(filters, Mapping):
            return arguments
        filters = self._view.absolute_folder(cast("Mapping[str, object]", filters), "filters.")
        return {**arguments, "filters": filters}

    def _conditions(self, filters: Filters, prefix: str = "filters.") -> ResultFilter:
        """Return what results must meet; in a view, to be inside, too.

        Args:
            filters: The filters of the caller.
            prefix: What precedes the name of a filter in an error.
        """
        if self._view is None:
            return parse_filters(filters, prefix)
        if "folder" not in filters:  # all of the view is searched
            filters = cast(Filters, {name: value for name, value in filters.items() if name != "subfolders"})
        return parse_filters(filters, prefix)._replace(view=self._view)

    def _complete(self, conversation: Mapping[str, object]) -> dict[str, Any]:
        """Return a conversation as it is stored; in a view, inside of it."""
        return complete_conversation(conversation) if self._view is None else self._view.complete(conversation)

    def _keep(
        self, keep: Optional[Callable[[ConversationListItem], bool]]
    ) -> Optional[Callable[[ConversationListItem], bool]]:
        """Return the filter of a list; in a view, one that keeps nothing outside."""
        return keep if self._view is None else self._view.keep(keep)

    async def _send(self, transport: AsyncTransport, request: Request[T]) -> T:
        """Send a call about one conversation; in a view, an unknown one is always the same error."""
        try:
            return await transport.send(request)
        except SekhaNotFoundError:
            if self._view is None:
                raise
        raise unknown_conversation(request.endpoint)

    async def _read(
        self, transport: AsyncTransport, request: Request[T], folder_of: Callable[[T], object], id: str = ""
    ) -> T:
        """Send a call about one conversation whose answer states its folder; in a view, it must be inside.

        Args:
            transport: The transport of the controller.
            request: The call.
            folder_of: Returns the folder that an answer states.
            id: The conversation, to be asked for where the answer cannot be read; empty if the call does just that.
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
        """Ask for a conversation, and raise the error of an unknown one if it is outside; nothing without a view."""
        if self._view is not None:
            await self._read(transport, GET_CONVERSATION.request(id=id), folder_of_conversation)

    async def _send_inside(self, request: Request[T], id: str) -> T:
        """Send a call about one conversation whose answer does not state its folder; in a view, ask for that first."""
        transport = self._transport.start_deadline()
        await self._require_inside(transport, id)
        return await self._send(transport, request)


def folder_of_conversation(conversation: Union[Conversation, MemoryContext]) -> str:
    """Return the folder of a conversation."""
    return conversation["folder"]


def folder_of_export(export: MemoryExport) -> str:
    """Return the folder of the conversation of an export."""
    return export["conversation"]["folder"]
