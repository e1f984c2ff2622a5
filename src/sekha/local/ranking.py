"""Merge the results of two searches, by words and by vectors."""

from __future__ import annotations

from typing import Dict, List, Sequence

_K = 10
"""Constant of reciprocal rank fusion: smaller values give more weight to the first ranks."""

HASHED_WORDS_WEIGHT = 2 / 3
"""Weight of ranks by words against built-in word hashing, which is less precise than the full-text index."""

MODEL_WORDS_WEIGHT = 1 / 5
"""Weight of ranks by words against an embedding model, which also finds paraphrases."""


def fuse(by_words: Sequence[int], by_vectors: Sequence[int], words_weight: float) -> List[int]:
    """Merge two lists of results by their ranks (reciprocal rank fusion); return them best first.

    Args:
        by_words: Results by words, best first.
        by_vectors: Results by vectors, best first.
        words_weight: Weight of the first list, from 0 to 1; the second list has the rest.
    """
    scores: Dict[int, float] = {}
    for weight, found in ((words_weight, by_words), (1.0 - words_weight, by_vectors)):
        for rank, number in enumerate(found, 1):
            scores[number] = scores.get(number, 0.0) + weight / (_K + rank)
    return sorted(scores, key=lambda number: -scores[number])


def falling(similarities: Sequence[float]) -> List[float]:
    """Return the scores of results, best first: their similarities, raised where needed to be in descending order."""
    scores = [min(1.0, max(0.0, similarity)) for similarity in similarities]
    for place in range(len(scores) - 2, -1, -1):
        scores[place] = max(scores[place], scores[place + 1])
    return scores


def by_rank(count: int) -> List[float]:
    """Return scores, descending from below 1 towards 0, for results with a known order only."""
    return [_K / (_K + rank) for rank in range(1, count + 1)]
