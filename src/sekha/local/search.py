"""Hybrid search: what shares words with a text, and what has a vector near to its own, in one list."""

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
"""Hits by words, and as many by vectors, that are ranked exactly. The others follow in the order of an estimate."""

_MAX_WORD_HITS = 3000  # that are ranked, unless each word of the query has more
_FEW = 2000  # messages of which all hits by words are ranked


class Query(NamedTuple):
    """What is looked for.

    Attributes:
        text: The words.
        vector: What a model made of them; None without one, and then only hits by words are found.
        model: The number under which the store has vectors of the same model.
        words_weight: What the hits by words count, from 0 to 1.
    """

    text: str
    vector: Optional[Sequence[float]]
    model: Optional[int]
    words_weight: float


class HybridSearch:
    """Searches in a store, on the thread that calls it.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._index = VectorIndex(store)

    def prepare(self, query: Query) -> bool:
        """Bring a part of what is kept in memory up to date; return whether there is more to do."""
        return self._index.refresh(query.model if query.vector else None, len(query.vector or ()))

    def warm_up(self, model: int, dimension: int) -> bool:
        """Read a part of the vectors of a model; return whether there is more to do."""
        return self._index.refresh(model, dimension)

    def find(self, query: Query, matching: Filter, limit: int, offset: int = 0) -> Tuple[List[SearchResult], int]:
        """Return the messages that fit a query best, the best first, and the number of all that match the filter.

        Pages join: which message has which place does not depend on the limit and the offset.
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
        """Return what matches an FTS5 query, or has any of its words if nothing does and it has no operators."""
        found = self._store.full_text_search(query, limit)
        if found or not limit or has_operators(query):
            return found
        any_word = self._any_word(or_phrases(query))
        return self._store.full_text_search(any_word, limit) if any_word else []

    def _any_word(self, phrases: Sequence[str]) -> str:
        """Return the query for what has any of some words, if they are not too common."""
        return rare_query({phrase: self._store.count_word_hits(phrase) for phrase in phrases}, _MAX_WORD_HITS)

    def _by_words(self, text: str, matching: Filter, selection: Selection) -> List[int]:
        """Return the best hits by words, the best first."""
        phrases = or_phrases(text)
        if selection.size <= _FEW:
            hits = self._store.word_hits(" OR ".join(phrases), selection.numbers())
        else:
            hits = self._store.word_hits(self._any_word(phrases))
            if matching != Filter():
                hits = [hit for hit in hits if hit[1] in selection]
        return [number for _, number in sorted(hits)[:POOL_SIZE]]

    def _similarities(self, packed: bytes, model: Optional[int], numbers: Sequence[int]) -> Dict[int, float]:
        """Return how near messages are, 0 for those without a vector."""
        similarity = Target(packed).similarity
        found = dict.fromkeys(numbers, 0.0)
        if model is not None:
            found.update((number, similarity(vector)) for number, vector in self._store.vectors(model, numbers))
        return found

    def _page(self, page: Sequence[Tuple[float, int]]) -> List[SearchResult]:
        messages = self._store.messages_by_number([number for _, number in page])
        return [SearchResult(score, messages[number]) for score, number in page]
