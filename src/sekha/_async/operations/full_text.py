"""Full-text search in the view of a folder, which servers do not support."""

from __future__ import annotations

from collections.abc import Iterable

from sekha._api.compat.capabilities import Capabilities
from sekha._api.endpoints import FULL_TEXT_SEARCH, GET_CONVERSATION
from sekha._api.filters import MAX_SEARCH_SIZE, search_sizes
from sekha._api.folder_view import FolderView
from sekha._api.hybrid import MAX_LOOKUPS
from sekha._concurrency.tasks import AsyncCall, async_gather
from sekha._utils.frames import warn_user
from sekha.errors import SekhaDecodeError, SekhaNotFoundError
from sekha.types import Conversation, ConversationListItem, FullTextResponse, Message

from ..transport import AsyncTransport
from .pagination import MAX_PARALLEL, all_conversations


class AsyncFullTextSearch:
    """A full-text search restricted to a folder.

    Results have no folder, so their conversations are requested: each once, at most four concurrently, and only until
    enough results are found. After ten of them, the list of all conversations is requested instead.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        view: The folder.
    """

    def __init__(self, transport: AsyncTransport, capabilities: Capabilities, view: FolderView) -> None:
        self._transport = transport
        self._capabilities = capabilities
        self._view = view
        self._known: dict[str | None, Conversation | ConversationListItem | None] = {None: None}  # None if outside
        self._lookups_left = MAX_LOOKUPS
        self._has_list = False

    async def find(self, words: str, limit: int) -> FullTextResponse:
        """Request as many results as needed, with at most four requests, and return those inside the folder.

        Args:
            words: The query, in the syntax of the server.
            limit: Maximum number of results.
        """
        found: list[Message] = []
        truncated = True
        for size in search_sizes(limit):
            try:
                page = await self._transport.send(FULL_TEXT_SEARCH.request({"query": words, "limit": size}))
            except SekhaDecodeError as error:
                if not (error.is_too_long and found):
                    raise
                break  # earlier results are still valid
            found = await self._select(page["results"], limit)
            truncated = len(found) < limit and len(page["results"]) >= size
            if not truncated:
                break
        if truncated and self._capabilities.note_warning("results may be missing", self._view):
            warn_user(
                f"a full-text search in a folder found {len(found)} of {limit} requested messages and may have missed "
                f"others: it covers only the first {MAX_SEARCH_SIZE:,} messages that the server finds (truncated is "
                "True)"
            )
        return FullTextResponse(results=found, total=len(found), truncated=truncated)

    async def _select(self, messages: list[Message], limit: int) -> list[Message]:
        """Return the first messages inside the folder, with label and folder of their conversations."""
        selected: list[Message] = []
        for position, message in enumerate(messages):
            if len(selected) == limit:
                break
            id = message.get("conversation_id")
            while id not in self._known:
                await self._look_up(message.get("conversation_id") for message in messages[position:])
            conversation = self._known[id]
            if conversation is not None:
                message["label"], message["folder"] = conversation["label"], conversation["folder"]
                selected.append(message)
        return selected

    async def _look_up(self, ids: Iterable[str | None]) -> None:
        """Request the first unknown conversations, or all."""
        if self._lookups_left <= 0 and not self._has_list:
            self._has_list = True
            for row in await all_conversations(self._transport):
                self._known[row["conversation_id"]] = row if self._view.contains(row["folder"]) else None
            return
        wanted: list[str] = []
        for id in ids:
            if id is not None and id not in self._known and id not in wanted:
                wanted.append(id)
            if len(wanted) == MAX_PARALLEL:
                break
        conversations = await async_gather([self._call_for(id) for id in wanted], MAX_PARALLEL)
        self._known.update(zip(wanted, conversations))
        self._lookups_left -= len(wanted)

    def _call_for(self, id: str) -> AsyncCall[[], Conversation | None]:
        async def ask() -> Conversation | None:
            try:
                conversation = await self._transport.send(GET_CONVERSATION.request(id=id))
            except SekhaNotFoundError:  # it was deleted in the meantime
                return None
            return conversation if self._view.contains(conversation["folder"]) else None

        return ask
