"""How the hits of two searches, by words and by vectors, become one list."""

from __future__ import annotations

from typing import Dict, List, Sequence

_K = 10
"""How much more the first places count than the next ones: the smaller, the more."""

HASHED_WORDS_WEIGHT = 2 / 3
"""What the ranks by words count beside those by hashed words, which know less about words than the full-text index."""

MODEL_WORDS_WEIGHT = 1 / 5
"""What they count beside those of a model, which finds what is said in other words."""


def fuse(by_words: Sequence[int], by_vectors: Sequence[int], words_weight: float) -> List[int]:
    """Return what either list has, best first, by the ranks in both (reciprocal rank fusion).

    Args:
        by_words: What was found by words, best first.
        by_vectors: What was found by vectors, best first.
        words_weight: How much the first list counts, from 0 to 1; the second one counts the rest.
    """
    scores: Dict[int, float] = {}
    for weight, found in ((words_weight, by_words), (1.0 - words_weight, by_vectors)):
        for rank, number in enumerate(found, 1):
            scores[number] = scores.get(number, 0.0) + weight / (_K + rank)
    return sorted(scores, key=lambda number: -scores[number])


def falling(similarities: Sequence[float]) -> List[float]:
    """Return the scores of hits, best first: the similarity of each, but never less than the score of the next one."""
    scores = [min(1.0, max(0.0, similarity)) for similarity in similarities]
    for place in range(len(scores) - 2, -1, -1):
        scores[place] = max(scores[place], scores[place + 1])
    return scores


def by_rank(count: int) -> List[float]:
    """Return the scores of hits of which only the order is known, from below 1 towards 0."""
    return [_K / (_K + rank) for rank in range(1, count + 1)]
