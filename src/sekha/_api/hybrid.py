"""Hybrid search: results by meaning and rows of a full-text search, fused by their ranks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from sekha._api.search import Search
from sekha._api.words import fold, significant_words, words_in
from sekha.type_guards import extract_text
from sekha.types import Message, SearchResult

MAX_ROWS = 1000
"""Rows that a full-text search requests. Servers may return the oldest first, so all that match are needed."""

MAX_LOOKUPS = 10
"""Requests at most for label and folder of conversations."""

MAX_SPECIFIC = 3
"""Texts at most that a query can point to by its words."""

SPECIFIC_PLACES = 5
"""Results among which a message is to which the words of a query point."""

_K = 60  # as usual for reciprocal rank fusion
_MEANING, _WORDS = 2 / 3, 1 / 3

Place = tuple[str, str]
"""Label and folder of a conversation."""


class Row(NamedTuple):
    """A row of a full-text search.

    Attributes:
        message: The message.
        text: Its content as text.
        has_query: Whether it contains the whole query.
        is_specific: Whether the query points to it, by its whole text or by words that few messages share.
    """

    message: Message
    text: str
    has_query: bool
    is_specific: bool


def rank_rows(query: str, messages: Iterable[Message]) -> dict[str, Row]:
    """Return the rows of a full-text search by the id of the message, best first.

    Those with many words of the query come first, and rare words count more. The order of the server decides between
    equals. Rows without ids are left out.
    """
    by_id = {
        id: message for message in messages if (id := message.get("id")) is not None and message.get("conversation_id")
    }
    texts = {id: extract_text(message["content"]) for id, message in by_id.items()}
    words = significant_words(query)
    held = {id: words_in(text, words) for id, text in texts.items()}
    counts = Counter(word for some in held.values() for word in some)
    weights = {word: math.log(1 + len(held) / count) for word, count in counts.items()}
    order = sorted(texts, key=lambda id: -math.fsum(weights[word] for word in held[id]))
    whole, folded = fold(query), {id: fold(text) for id, text in texts.items()}
    specific = _specific(
        folded,
        lambda id: folded[id] == whole,
        lambda id: whole in folded[id],
        lambda id: held[id].issuperset(words),
    )
    return {id: Row(by_id[id], texts[id], whole in folded[id], id in specific) for id in order}


def _specific(texts: Mapping[str, str], *tests: Callable[[str], bool]) -> frozenset[str]:
    """Return the ids that the first test chooses that chooses any, one for each text, if these are few."""
    for is_chosen in tests:
        chosen: dict[str, str] = {}
        for id, text in texts.items():
            if is_chosen(id):
                chosen.setdefault(text, id)
        if 0 < len(chosen) <= MAX_SPECIFIC:
            return frozenset(chosen.values())
    return frozenset()


class Fused(NamedTuple):
    """Results of a hybrid search, before filters.

    Attributes:
        results: The results, best first.
        unknown: Conversations whose place is not known, each with the number of results before it: their messages are
            not among the results.
    """

    results: list[SearchResult]
    unknown: list[tuple[int, str]]


def fuse(
    by_meaning: Sequence[SearchResult],
    rows: Mapping[str, Row],
    places: Mapping[str, Place | None],
    min_score: float | None,
) -> Fused:
    """Return the results of both searches, best first, each with ``found_by``.

    Args:
        by_meaning: Results by meaning, best first.
        rows: Rows by words, best first, by the id of the message.
        places: Where conversations are; None for one that is gone.
        min_score: With it, of the rows that were found by words only those with the whole query are kept.
    """
    word_ranks = {id: rank for rank, id in enumerate(rows, 1)}
    ranked: list[_Ranked] = []
    for rank, result in enumerate(by_meaning, 1):
        row = rows.get(result["message_id"])
        with_origin = cast(SearchResult, {**result, "found_by": "meaning" if row is None else "both"})
        ranked.append(_Ranked(_fused_score(rank, word_ranks.get(result["message_id"]), row), with_origin, row))
    found = {result["message_id"] for result in by_meaning}
    for id, row in rows.items():
        if id not in found and (min_score is None or row.has_query):
            ranked.append(_Ranked(_fused_score(None, word_ranks[id], row), None, row))
    ranked.sort(key=lambda one: -one.score)
    worst = min((result["score"] for result in by_meaning), default=0.0)
    fused = Fused([], [])
    for _, of_meaning, row in _with_specific_ahead(ranked):
        if of_meaning is not None:
            fused.results.append(of_meaning)
        elif row is not None:
            conversation = str(row.message.get("conversation_id"))
            place = places.get(conversation)
            if place is not None:
                fused.results.append(_result(row, place, worst))
            elif conversation not in places:
                fused.unknown.append((len(fused.results), conversation))
    return fused


def lookups(fused: Fused, search: Search) -> list[str]:
    """Return the conversations to look up: those whose messages may be among the results that are returned."""
    is_cut = not search.grows and search.min_score is None  # else any number of results may be left out
    ids = [id for before, id in fused.unknown if not is_cut or before < search.end]
    return list(dict.fromkeys(ids))


class _Ranked(NamedTuple):
    score: float
    result: SearchResult | None
    row: Row | None


def _fused_score(meaning_rank: int | None, word_rank: int | None, row: Row | None) -> float:
    if row is not None and row.is_specific and row.has_query:
        meaning_rank = 1  # nothing can be nearer to the query
    ranks = ((_MEANING, meaning_rank), (_WORDS, word_rank))
    return math.fsum(weight / (_K + rank) for weight, rank in ranks if rank is not None)


def _with_specific_ahead(ranked: Sequence[_Ranked]) -> Iterable[_Ranked]:
    """Return the entries in their order, but each that the query points to in one of the first places."""
    late = [one for one in ranked[SPECIFIC_PLACES:] if one.row is not None and one.row.is_specific]
    others = [one for one in ranked[SPECIFIC_PLACES:] if one.row is None or not one.row.is_specific]
    first = SPECIFIC_PLACES - len(late)
    return [*ranked[:first], *late, *ranked[first:SPECIFIC_PLACES], *others]


def _result(row: Row, place: Place, worst: float) -> SearchResult:
    message = cast("dict[str, Any]", row.message)
    timestamp = message.get("timestamp") or ""
    result: dict[str, Any] = {
        "conversation_id": message["conversation_id"],
        "message_id": message["id"],
        "score": 1.0 if row.has_query else worst,
        "content": row.text,
        "metadata": {**(message.get("metadata") or {}), "role": message["role"], "timestamp": timestamp},
        "label": place[0],
        "folder": place[1],
        "timestamp": timestamp,
        "found_by": "words",
    }
    return cast(SearchResult, result)
