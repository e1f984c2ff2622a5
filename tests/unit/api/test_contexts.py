"""Contexts that are built from the results of a search."""

from __future__ import annotations

from typing import Any, List, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._api.contexts import context_from_results, fills_budget, without_echoes, without_repeated_ids
from sekha.types import Message, SearchResult


def result(id: str, content: str = "1234", label: str = "L", **more: Any) -> SearchResult:
    """A result of four bytes, one token, or of another content."""
    found = {
        **{"conversation_id": "c", "message_id": id, "score": 0.5, "content": content, "label": label, "folder": "/f"},
        **{"timestamp": "2026-01-15T12:00:00.000000+00:00", "metadata": {"role": "assistant"}, **more},
    }
    return cast(SearchResult, found)


def ids(context: List[Message]) -> str:
    return "".join(str(message.get("id")) for message in context)


RESULTS = [result("a"), result("b", "x" * 12), result("c", label="P"), result("d"), result("a")]


@pytest.mark.parametrize(
    ("budget", "labels", "expected"),
    [
        (0, [], ""),
        (1, [], "a"),
        (2, [], "ac"),  # the second is too long for what is left
        (3, [], "acd"),
        (6, [], "abcd"),
        (1, ["P"], "c"),
        (4, ["P"], "cad"),
        (100, ["P", "L"], "abcd"),
        (100, ["unknown"], "abcd"),
    ],
)
def test_a_context_has_preferred_labels_first_then_the_best_as_many_as_fit(
    budget: int, labels: List[str], expected: str
) -> None:
    assert ids(context_from_results(RESULTS, budget, labels)) == expected


def test_a_message_of_a_context_says_where_it_comes_from() -> None:
    time = "2026-01-15T12:00:00.000000+00:00"
    said = "2026-01-14T12:00:00.000000+00:00"
    found = result("a", metadata={"role": "user", "timestamp": said}, found_by="both")
    assert context_from_results([found], 10, []) == [
        {
            "id": "a",
            "conversation_id": "c",
            "role": "user",
            "content": "1234",
            "timestamp": said,
            "metadata": {"citation": {"label": "L", "folder": "/f", "timestamp": time}},
            "score": 0.5,
            "found_by": "both",
        }
    ]
    (plain,) = context_from_results([result("a", metadata=None)], 10, [])
    assert (plain["role"], plain.get("timestamp"), "found_by" in plain) == ("user", time, False)


def test_bytes_count_and_not_characters() -> None:
    assert ids(context_from_results([result("a", "日本語日")], 2, [])) == ""
    assert ids(context_from_results([result("a", "日本語日")], 3, [])) == "a"


@pytest.mark.parametrize(
    ("sizes", "budget", "enough"),
    [([], 1, False), ([4], 1, True), ([3], 1, False), ([8, 8], 1, False), ([8, 4], 1, True), ([3, 3], 1, True)],
)
def test_results_are_enough_when_those_that_fit_fill_the_budget(sizes: List[int], budget: int, enough: bool) -> None:
    assert fills_budget(budget)([result("a", "x" * size) for size in sizes]) is enough


@given(st.lists(st.integers(1, 40)), st.integers(1, 30))
def test_a_context_never_exceeds_its_budget_and_enough_results_leave_no_room_for_the_longest(
    sizes: List[int], budget: int
) -> None:
    found = [result(str(number), "x" * size) for number, size in enumerate(sizes)]
    used = sum(len(message["content"]) for message in context_from_results(found, budget, []))
    assert used <= 4 * budget
    if fills_budget(budget)(found):
        assert used + max(size for size in sizes if size <= 4 * budget) > 4 * budget or used == 4 * budget


def test_a_context_has_each_id_once_and_no_echoes() -> None:
    context = [
        cast(Message, {"role": "user", "content": content, **({"id": id} if id else {})})
        for id, content in (("a", "1"), ("b", "2"), ("a", "1"), ("", "3"), ("", "3"))
    ]
    assert [message["content"] for message in without_repeated_ids(context)] == ["1", "2", "3", "3"]
    assert without_echoes(context, None) == context
    assert [message["content"] for message in without_echoes(context, lambda one: one["content"] == "1")] == [
        "2",
        "3",
        "3",
    ]
