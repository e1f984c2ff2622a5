"""The branch of a conversation that was shown last."""

from __future__ import annotations

import random
from typing import List, Optional, Tuple

import pytest

from sekha.exports._tree import ROOT, Link, latest_branch


def branch(*links: Tuple[Optional[str], Optional[str], Optional[float]], last: object = None) -> str:
    found = latest_branch([Link(*link) for link in links], last)
    assert len(found.numbers) + found.others == len(links)
    return "".join(links[number][0] or "?" for number in found.numbers)


def test_without_parents_the_order_is_that_of_the_times() -> None:
    assert branch(("c", None, 3), ("a", None, 1), ("b", None, 2)) == "abc"
    assert branch(("a", None, None), ("b", None, None)) == "ab"


def test_a_message_without_a_time_stays_behind_the_one_before_it() -> None:
    assert branch(("c", None, 3), ("d", None, None), ("a", None, 1), ("b", None, None)) == "abcd"


def test_the_order_of_parents_comes_before_that_of_times() -> None:
    assert branch(("a", ROOT, 9), ("b", "a", 5), ("c", "b", 1)) == "abc"
    assert branch(("c", "b", None), ("b", "a", None), ("a", ROOT, None)) == "abc"


def test_the_branch_with_the_latest_message_is_taken() -> None:
    tree = (("a", ROOT, 1), ("b", "a", 2), ("A", ROOT, 3), ("B", "A", 4), ("C", "A", 5))
    assert branch(*tree) == "AC"
    assert branch(*reversed(tree)) == "AC"
    assert branch(*tree, ("c", "b", 9)) == "abc"


def test_the_branch_that_was_shown_is_taken_where_it_is_known() -> None:
    tree = (("a", ROOT, 1), ("b", "a", 2), ("c", "b", 3), ("d", "a", 4))
    assert branch(*tree, last="b") == "abc"
    assert branch(*tree, last="gone") == branch(*tree, last=7) == "ad"


def test_messages_below_one_that_is_missing_stay_side_by_side() -> None:
    assert branch(("a", "gone", 1), ("b", "a", 2), ("A", "gone", 3), ("B", "A", 4)) == "AB"
    assert branch(("a", ROOT, 1), ("b", "a", 2), ("c", "gone", 3), ("d", "c", 4)) == "abcd"


def test_some_say_what_they_follow_and_others_do_not() -> None:
    assert branch(("a", None, 1), ("b", None, 2), ("c", "b", 3), ("d", None, 4)) == "abcd"


def test_if_no_message_follows_another_all_are_one_branch() -> None:
    assert branch(("a", ROOT, 1), ("b", ROOT, 2), ("c", "gone", 3)) == "abc"
    assert branch((None, None, 1), (None, ROOT, 2)) == "??"


def test_a_copy_is_left_out() -> None:
    assert branch(("a", ROOT, 1), ("b", "a", 2), ("a", ROOT, 1), ("b", "a", 2)) == "ab"


@pytest.mark.parametrize(
    "rings", [(("a", "a", 1),), (("a", "b", 1), ("b", "a", 2)), (("a", "b", 1), ("b", "a", 1), ("c", "b", 3))]
)
def test_a_ring_ends(rings: Tuple[Tuple[str, str, float], ...]) -> None:
    assert branch(*rings)


def test_nothing_has_no_branch() -> None:
    assert latest_branch([]) == ([], 0)


def test_any_tree_has_a_branch_that_leads_to_a_message_that_nothing_follows() -> None:
    chance = random.Random(18)
    for _ in range(300):
        ids = [str(number) for number in range(chance.randrange(1, 12))]
        links: List[Link] = [
            Link(id, chance.choice([*ids, ROOT, None, "gone"]), chance.choice([None, chance.randrange(5)]))
            for id in ids
        ]
        found = latest_branch(links)
        assert found.numbers
        assert len(set(found.numbers)) == len(found.numbers)
        assert len(found.numbers) + found.others == len(links)


def test_a_long_branch_is_quick() -> None:
    links = [Link(str(number), str(number - 1) if number else ROOT, number) for number in range(50_000)]
    assert latest_branch(links).numbers == list(range(50_000))
