"""Hybrid search by words and by vectors, with one list of results."""

from __future__ import annotations

from itertools import accumulate, islice
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from sekha.local.match import has_operators, or_phrases, rare_query
from sekha.local.ranking import by_rank, falling, fuse
from sekha.local.records import Filter, Message, SearchResult
from sekha.local.store import Store
from sekha.local.vector_index import Selection, VectorIndex
from sekha.local.vectors import Target, pack

POOL_SIZE = 200
"""Number of results by words, and by vectors, that are ranked exactly; others follow in estimated order."""

_MAX_WORD_HITS = 3000  # maximum number of ranked texts, unless each word of the query occurs in more
_FEW = 2000  # up to this number of messages, all results by words are ranked


class Query(NamedTuple):
    """A query.

    Attributes:
        text: The text.
        vector: The embedding of the text; None to search by words only.
        model: The number of the model in the store.
        words_weight: Weight of results by words, from 0 to 1.
    """

    text: str
    vector: Optional[Sequence[float]]
    model: Optional[int]
    words_weight: float


class HybridSearch:
    """Searches of a store, on the calling thread.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index = VectorIndex(store)

    def prepare(self, query: Query) -> bool:
        """Update a part of the index in memory; return whether there is more to do."""
        return self._index.refresh(query.model if query.vector else None, len(query.vector or ()))

    def warm_up(self, model: int, dimension: int) -> bool:
        """Read a part of the vectors of a model; return whether there is more to do."""
        return self._index.refresh(model, dimension)

    def find(self, query: Query, matching: Filter, limit: int, offset: int = 0) -> Tuple[List[SearchResult], int]:
        """Return the best results of a query, best first, and the number of messages that match the filter.

        Pagination is consistent: the rank of a message does not depend on the limit and the offset.
        """
        while self.prepare(query):
            pass
        selection = self._index.select(matching)
        by_words = self._by_words(query.text, matching, selection)
        if query.vector is None or not any(query.vector):
            return self._page([*zip(by_rank(len(by_words)), by_words)][offset : offset + limit]), len(by_words)
        packed = pack(query.vector)
        candidates = dict.fromkeys([*by_words, *self._index.nearest(packed, selection, POOL_SIZE)])
        similarities = self._similarities(packed, query.model, [*candidates])
        by_vectors = sorted(candidates, key=lambda number: (-similarities[number], number))
        ranked = fuse(by_words, by_vectors, query.words_weight)
        scores = falling([similarities[number] for number in ranked])
        missing = min(offset + limit, selection.size) - len(ranked)
        if missing > 0:
            others = (number for number in self._index.by_estimate(packed, selection) if number not in candidates)
            more = [*islice(others, missing)]
            similarities = self._similarities(packed, query.model, more)
            ranked += more
            scores = [*accumulate([*scores, *(similarities[number] for number in more)], min)]
        return self._page([*zip(scores, ranked)][offset : offset + limit]), selection.size

    def full_text_search(self, query: str, limit: int) -> List[Message]:
        """Return the matches of an FTS5 query; if there are none and it has no operators, the matches of any word."""
        found = self._store.full_text_search(query, limit)
        if found or not limit or has_operators(query):
            return found
        any_word = self._any_word(or_phrases(query))
        return self._store.full_text_search(any_word, limit) if any_word else []

    def _any_word(self, phrases: Sequence[str]) -> str:
        """Return a query for messages with any of the words that are not too common."""
        return rare_query({phrase: self._store.count_word_hits(phrase) for phrase in phrases}, _MAX_WORD_HITS)

    def _by_words(self, text: str, matching: Filter, selection: Selection) -> List[int]:
        """Return the best results by words, best first."""
        phrases = or_phrases(text)
        if selection.size <= _FEW:
            hits = self._store.word_hits(" OR ".join(phrases), selection.numbers())
        else:
            hits = self._store.word_hits(self._any_word(phrases))
            if matching != Filter():
                hits = [hit for hit in hits if hit[1] in selection]
        return [number for _, number in sorted(hits)[:POOL_SIZE]]

    def _similarities(self, packed: bytes, model: Optional[int], numbers: Sequence[int]) -> Dict[int, float]:
        """Return the similarity of messages; 0 for those without a vector."""
        similarity = Target(packed).similarity
        found = dict.fromkeys(numbers, 0.0)
        if model is not None:
            found.update((number, similarity(vector)) for number, vector in self._store.vectors(model, numbers))
        return found

    def _page(self, page: Sequence[Tuple[float, int]]) -> List[SearchResult]:
        messages = self._store.messages_by_number([number for _, number in page])
        return [SearchResult(score, messages[number]) for score, number in page]
