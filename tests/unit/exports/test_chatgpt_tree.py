"""Which branch of a ChatGPT conversation is taken, however its tree is damaged."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unit.exports.chats import answer, chat, node, read, said

ROOT = node("root", None)
QUESTION = node("q", "root", "Where?", create_time=1.0)
OLD = answer("old", "q", "Old answer", create_time=2.0)
NEW = answer("new", "q", "New answer", create_time=50.0)
EMPTY_ROOT = node("empty", None)


@pytest.mark.parametrize(
    ("nodes", "current", "expected"),
    [
        ((ROOT, QUESTION, NEW), "new", ["user: Where?", "assistant: New answer"]),
        ((ROOT, QUESTION, NEW), None, ["user: Where?", "assistant: New answer"]),
        ((ROOT, QUESTION, NEW, OLD), "gone", ["user: Where?", "assistant: New answer"]),
        ((ROOT, QUESTION, NEW, OLD), "old", ["user: Where?", "assistant: Old answer"]),
        ((ROOT, QUESTION, OLD, NEW), ["no text"], ["user: Where?", "assistant: New answer"]),
        ((EMPTY_ROOT, ROOT, QUESTION, NEW), None, ["user: Where?", "assistant: New answer"]),
        ((ROOT, QUESTION, NEW, EMPTY_ROOT), "", ["user: Where?", "assistant: New answer"]),
        ((EMPTY_ROOT, ROOT, QUESTION, NEW), "empty", ["user: Where?", "assistant: New answer"]),
        ((ROOT, QUESTION, OLD, NEW), "root", ["user: Where?", "assistant: New answer"]),
        ((ROOT, QUESTION, OLD, NEW), "q", ["user: Where?", "assistant: New answer"]),
        ((NEW, OLD, QUESTION, ROOT), None, ["user: Where?", "assistant: New answer"]),
    ],
    ids=[
        "current", "none", "dangling", "an older one", "no text", "an empty root first", "an empty root last",
        "an empty root is current", "the root is current", "a question is current", "children before parents",
    ],
)  # fmt: skip
def test_without_a_usable_current_node_the_latest_leaf_of_any_root_counts(
    nodes: Tuple[Dict[str, Any], ...], current: Any, expected: List[str]
) -> None:
    assert said(chat(*nodes, current_node=current)) == expected


def test_the_latest_of_several_roots_counts() -> None:
    first = [node("a", None, "First", create_time=5), answer("b", "a", "Yes", create_time=6)]
    second = [node("c", None, "Second", create_time=7), answer("d", "c", "No", create_time=8)]
    for nodes in (first + second, second + first):
        found = read(chat(*nodes))
        assert [message["content"] for message in found["messages"]] == ["Second", "No"]
        assert found.left_out == {"other branches": 2}


def test_a_leaf_without_a_time_has_that_of_what_is_above_it() -> None:
    late = answer("late", "q", "Late", create_time=9)
    hidden = answer("hidden", "late", "unseen", create_time=None, metadata={"is_visually_hidden_from_conversation": 1})
    assert said(chat(ROOT, QUESTION, hidden, late, OLD)) == ["user: Where?", "assistant: Late"]


def test_something_hidden_that_is_later_is_no_reason_to_choose_a_branch() -> None:
    setup = node("s", None, "You are kind", role="system", create_time=1e9)
    assert said(chat(setup, ROOT, QUESTION, NEW)) == ["user: Where?", "assistant: New answer"]


@pytest.mark.parametrize("time", [None, "yesterday", True, [1], float("nan"), 10**400])
def test_times_that_are_none_leave_the_order_of_the_file(time: Any) -> None:
    nodes = [answer(name, "q", name, create_time=time) for name in ("one", "two")]
    assert said(chat(ROOT, QUESTION, *nodes)) == ["user: Where?", "assistant: two"]


def test_times_may_be_iso_8601() -> None:
    times = {"late": "2025-01-31T09:30:00Z", "early": "2024-01-31T09:30:00Z"}
    nodes = [answer(name, "q", name, create_time=time) for name, time in times.items()]
    assert said(chat(ROOT, QUESTION, *nodes)) == ["user: Where?", "assistant: late"]


def test_children_count_where_no_parent_is_named() -> None:
    nodes = [{**node("a", None, "Hi"), "children": ["b", 7, None]}, answer("b", None, "Hello")]
    for one in nodes:
        del one["parent"]
    found = read(chat(*nodes))
    assert [message["content"] for message in found["messages"]] == ["Hi", "Hello"]
    assert found.left_out == {}


PARTS = (
    node("a", None, "one", create_time=1),
    answer("b", "a", "two", create_time=2),
    node("d", "c", "four", create_time=4),
    answer("e", "d", "five", create_time=5),
)


@pytest.mark.parametrize("current", ["e", None, "gone"])
@pytest.mark.parametrize("nodes", [PARTS, PARTS[::-1]], ids=["in order", "backwards"])
def test_a_missing_parent_is_counted_and_what_is_before_it_is_not_lost(
    current: Optional[str], nodes: Tuple[Dict[str, Any], ...]
) -> None:
    found = read(chat(*nodes, current_node=current))
    assert [message["content"] for message in found["messages"]] == ["one", "two", "four", "five"]
    assert found.left_out == {"missing in the export": 1}


def test_a_missing_parent_that_is_named_as_a_child_is_bridged_there() -> None:
    nodes = list(PARTS)
    nodes[0] = {**nodes[0], "children": ["b", "c"]}
    found = read(chat(*nodes, current_node="e"))
    assert [message["content"] for message in found["messages"]] == ["one", "four", "five"]
    assert found.left_out == {"missing in the export": 1, "other branches": 1}


def test_nothing_later_is_put_before_a_gap() -> None:
    nodes = (answer("late", "gone", "Late", create_time=99), node("d", "c", "four", create_time=4))
    found = read(chat(*nodes, current_node="d"))
    assert [message["content"] for message in found["messages"]] == ["four"]
    assert found.left_out == {"missing in the export": 1, "other branches": 1}


def test_without_times_what_stands_before_in_the_file_is_before_a_gap() -> None:
    nodes = (node("a", None, "one"), answer("x", "gone", "two"))
    assert said(chat(*nodes, current_node="x")) == ["user: one", "assistant: two"]


def test_the_usual_root_is_not_missed() -> None:
    found = read(chat(node("a", "client-created-root", "Hi")))
    assert found.left_out == {}


@pytest.mark.parametrize("current", ["a", "b", None, "gone"])
def test_a_ring_ends_and_has_all(current: Optional[str]) -> None:
    found = read(chat(node("a", "b", "one"), answer("b", "a", "two"), current_node=current))
    assert sorted(message["content"] for message in found["messages"]) == ["one", "two"]


def test_a_ring_with_a_tail_and_a_node_that_is_its_own_parent() -> None:
    ring = (node("a", "b", "one"), answer("b", "a", "two"), node("c", "b", "three"))
    assert sorted(said(chat(*ring))) == ["assistant: two", "user: one", "user: three"]
    assert said(chat(node("a", "a", "one"), answer("b", "a", "two"))) == ["user: one", "assistant: two"]


@pytest.mark.parametrize("parents", ["a line", "all missing"])
def test_depth_costs_no_stack_and_little_time(parents: str) -> None:
    number = 20_000
    nodes = [
        node(str(i), str(i - 1) if parents == "a line" else f"gone{i}", f"m{i}", create_time=i) for i in range(number)
    ]
    begin = time.process_time()
    found = read(chat(*nodes))
    assert [message["content"] for message in found["messages"]] == [f"m{i}" for i in range(number)]
    assert time.process_time() - begin < 20


IDS = st.sampled_from(["a", "b", "c", "d", "e", "f"])


@given(
    st.dictionaries(IDS, st.tuples(st.one_of(IDS, st.just("gone"), st.none()), st.integers(0, 9)), min_size=1),
    st.one_of(IDS, st.none()),
)
def test_each_message_is_on_the_branch_or_counted(
    tree: Dict[str, Tuple[Optional[str], int]], current: Optional[str]
) -> None:
    nodes = [node(id, parent, id, create_time=time) for id, (parent, time) in tree.items()]
    found = read(chat(*nodes, current_node=current))
    contents = [message["content"] for message in found["messages"]]
    assert len(contents) == len(set(contents)) > 0
    assert len(contents) + found.left_out.get("other branches", 0) == len(tree)
