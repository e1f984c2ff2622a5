"""Answers of the controller that differ between servers: scores, lists, citations, counts."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._api import endpoints
from sekha._api.compat.controller import get_citation
from sekha.errors import (
    SekhaValidationError,
)
from unit.vectors import answer, parse, recorded

# ---- full text (D53) ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fts() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.execute("create virtual table m using fts5(content)")
    return database


# ---- scores (D18) ------------------------------------------------------------------------------------------------


def page(scores: List[float], number: int = 1) -> Dict[str, Any]:
    hits = [
        {
            "conversation_id": "c",
            "message_id": "m",
            "score": s,
            "content": "",
            "label": "",
            "folder": "",
            "timestamp": "",
        }
        for s in scores
    ]
    return {"results": hits, "total": len(hits), "page": number, "page_size": 10}


@pytest.mark.parametrize(
    ("scores", "number", "found"),
    [
        ([0.1, 0.4], 1, [0.9, 0.6]),
        ([0.1, 0.4], 0, [0.9, 0.6]),
        ([0.9, 0.6], 0, [0.9, 0.6]),
        ([0.9, 0.6], 1, [0.9, 0.6]),
        ([0.2], 0, [0.8]),
        ([0.2], 1, [0.2]),
        ([0.3, 0.3], 0, [0.7, 0.7]),
        ([0.3, 0.3], 1, [0.3, 0.3]),
        ([0.0, 0.0, 1.5], 1, [1.0, 1.0, -0.5]),
        ([], 0, []),
    ],
)
def test_scores_are_similarities_whatever_the_server_means(
    scores: List[float], number: int, found: List[float]
) -> None:
    result = parse(endpoints.QUERY, answer(page(scores, number)))
    assert [hit["score"] for hit in result["results"]] == pytest.approx(found)
    distances: List[Any] = [hit.get("distance") for hit in result["results"]]
    turned = scores != [] and found != pytest.approx(scores)
    assert distances == [score if turned else None for score in scores]


@given(st.lists(st.floats(0, 2), max_size=6), st.booleans())
def test_the_order_stays_and_higher_is_better(scores: List[float], distances: bool) -> None:
    ranked = sorted(scores, reverse=not distances)
    result = parse(endpoints.QUERY, answer(page(ranked, 0 if distances else 1)))
    assert [hit.get("distance", hit["score"]) for hit in result["results"]] == ranked
    found = [hit["score"] for hit in result["results"]]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("name", ["query_docker", "query_all", "query_offset_ignored"])
def test_recorded_distances_become_similarities(name: str) -> None:
    exchange = recorded(name, "story")
    said = json.loads(exchange.answer.body)["results"]
    found = parse(endpoints.QUERY, exchange.answer)["results"]
    assert [hit.get("distance") for hit in found] == [hit["score"] for hit in said]
    assert [hit["score"] for hit in found] == [1 - hit["score"] for hit in said]
    assert [hit["message_id"] for hit in found] == [hit["message_id"] for hit in said]


# ---- shapes of several servers (D5, D7, D9, D22, D23, D29-D33, D43) ------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
def test_lists_come_bare_or_wrapped(wrapped: bool) -> None:
    message = {"role": "user", "content": "x"}
    label = {"label": "L", "confidence": 0.9, "reason": "r"}
    assert parse(endpoints.ASSEMBLE_CONTEXT, answer({"messages": [message]} if wrapped else [message])) == [message]
    assert parse(endpoints.SUGGEST_LABELS, answer({"suggestions": [label]} if wrapped else [label])) == [label]


@pytest.mark.parametrize(
    "message",
    [
        {"metadata": {"citation": {"label": "L", "folder": "/f"}}},
        {"metadata": {"label": "L", "folder": "/f"}},
        {"label": "L", "folder": "/f"},
        {"label": "L", "folder": "/f", "metadata": None},
        {"label": "other", "folder": "/other", "metadata": {"citation": {"label": "L", "folder": "/f"}}},
    ],
)
def test_a_citation_is_found_wherever_a_server_puts_it(message: Dict[str, Any]) -> None:
    assert get_citation(message) == {"label": "L", "folder": "/f"}


@pytest.mark.parametrize("message", [{}, {"metadata": None}, {"metadata": {"citation": None}}, {"label": 5}])
def test_no_citation_is_no_citation(message: Dict[str, Any]) -> None:
    assert get_citation(message) == {}


def test_a_count_that_admits_an_error_is_one() -> None:
    with pytest.raises(SekhaValidationError, match="Cannot specify both") as caught:
        parse(endpoints.COUNT_CONVERSATIONS, recorded("count_both").answer)
    assert caught.value.status_code == 200, "the one on the wire"
