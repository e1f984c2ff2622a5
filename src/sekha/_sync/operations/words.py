# Generated from src/sekha/_async/operations/words.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""The full-text part of a hybrid search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sekha._api.compat.capabilities import Capabilities
from sekha._api.endpoints import FULL_TEXT_SEARCH, GET_CONVERSATION
from sekha._api.filters import MAX_SEARCH_SIZE
from sekha._api.hybrid import MAX_LOOKUPS, MAX_ROWS, Fused, Place, Row, fuse, lookups, rank_rows
from sekha._api.search import Search
from sekha._api.words import full_text_query, significant_words
from sekha._concurrency.tasks import Call, gather
from sekha._utils.frames import warn_user
from sekha.errors import SekhaAPIError, SekhaDecodeError, SekhaNotFoundError
from sekha.types import ConversationListItem, Message, SearchResult

from ..transport import Transport
from .pagination import MAX_PARALLEL, PAGE_SIZE, ConversationIterator


class WordSearch:
    """Adds results of a full-text search to the results of a search by meaning.

    The full-text search is made once, however often the results by meaning are requested. Label and folder of a
    conversation are taken from its results, or looked up: up to ten with a request each, more in the list of
    conversations.

    Args:
        transport: The transport of the controller.
        capabilities: The known capabilities of the controller.
        search: The search.
        conversations: All conversations by id, if they were requested.

    Attributes:
        error: The error of the full-text search, if it failed.
        is_cut: Whether messages with the words may be missing: too many match, or too many conversations would have to
            be looked up.
    """

    def __init__(
        self,
        transport: Transport,
        capabilities: Capabilities,
        search: Search,
        conversations: Mapping[str, ConversationListItem],
    ) -> None:
        self.error: str | None = None
        self.is_cut = False
        self._transport = transport
        self._capabilities = capabilities
        self._search = search
        self._rows: Mapping[str, Row] | None = None
        self._has_too_many_rows = False
        self._places: dict[str, Place | None] = {id: (row["label"], row["folder"]) for id, row in conversations.items()}
        self._lookups_left = MAX_LOOKUPS

    def add_to(self, by_meaning: Sequence[SearchResult]) -> list[SearchResult]:
        """Return the results by meaning and those by words, best first."""
        if self._rows is None:
            self._rows = rank_rows(self._search.query, self._fetch_rows())
        for result in by_meaning:
            self._places[result["conversation_id"]] = result["label"], result["folder"]
        if (
            view := self._search.conditions.view
        ) is not None:  # results outside the view must not affect the scores inside
            by_meaning = [result for result in by_meaning if view.contains(result["folder"])]
        fused = self._fuse(by_meaning)
        ids = lookups(fused, self._search)
        if ids and self._lookups_left:
            self._find_places(ids)
            fused = self._fuse(by_meaning)
        self.is_cut = self._has_too_many_rows or bool(fused.unknown)
        return fused.results

    def _fuse(self, by_meaning: Sequence[SearchResult]) -> Fused:
        return fuse(by_meaning, self._rows or {}, self._places, self._search.min_score)

    def _fetch_rows(self) -> list[Message]:
        """Return the messages with any of the words; if there are too many, also those with all of them."""
        words = significant_words(self._search.query)
        if not words:
            return []
        rows: list[Message] = []
        try:
            rows = self._request_rows(full_text_query(words))
            self._has_too_many_rows = len(rows) >= MAX_ROWS
            if self._has_too_many_rows and self._search.conditions.filters_anything:  # most may be outside
                rows = self._request_more_rows(full_text_query(words), rows)
                self._has_too_many_rows = len(rows) >= MAX_SEARCH_SIZE or len(rows) == MAX_ROWS
            if self._has_too_many_rows and len(words) > 1:
                with_all = self._request_rows(full_text_query(words, "AND"))
                if self._search.min_score is not None:  # then the others would not count
                    self._has_too_many_rows = len(with_all) >= MAX_ROWS
                rows += with_all
        except (SekhaAPIError, SekhaDecodeError) as error:
            self.error = str(error)
            self._warn()
        return rows

    def _request_rows(self, query: str, limit: int = MAX_ROWS) -> list[Message]:
        page = self._transport.send(FULL_TEXT_SEARCH.request({"query": query, "limit": limit}))
        return page["results"]

    def _request_more_rows(self, query: str, rows: list[Message]) -> list[Message]:
        """Return more rows than these; the same rows if the response would be too long."""
        try:
            return self._request_rows(query, MAX_SEARCH_SIZE)
        except SekhaDecodeError as error:
            if not error.is_too_long:
                raise
            return rows

    def _find_places(self, ids: Sequence[str]) -> None:
        """Look up label and folder of conversations, with at most ten requests in the whole search."""
        if len(ids) <= self._lookups_left:
            self._lookups_left -= len(ids)
            self._places.update(zip(ids, gather([self._look_up(id) for id in ids], MAX_PARALLEL)))
            return
        missing, rows_left = {*ids}, self._lookups_left * PAGE_SIZE
        self._lookups_left = 0
        for row in ConversationIterator(self._transport):
            self._places[row["conversation_id"]] = row["label"], row["folder"]
            missing.discard(row["conversation_id"])
            rows_left -= 1
            if not missing or not rows_left:
                return
        self._places.update(dict.fromkeys(missing))  # they were deleted in the meantime

    def _look_up(self, id: str) -> Call[[], Place | None]:
        def look_up() -> Place | None:
            try:
                found = self._transport.send(GET_CONVERSATION.request(id=id))
            except SekhaNotFoundError:  # deleted in the meantime
                return None
            return found["label"], found["folder"]

        return look_up

    def _warn(self) -> None:
        if self._capabilities.note_warning("words were not searched"):
            warn_user(
                f"a hybrid search returned results by meaning only, since the full-text search failed: {self.error}"
            )
