"""Every number of `docs/contributing/server-differences.md` has a test that a comment names, in both client types."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Set

import pytest

TESTS = Path(__file__).parents[1]
DECISIONS = [
    *range(1, 10),
    11,
    *range(13, 21),
    *range(22, 35),
    *range(37, 47),
    49,
    *range(51, 66),
]
"""Section 3 of the decisions; the numbers that are missing were given up."""


_COMMENT = re.compile(r"^# (D\d+(?:, D\d+)*)(?=:|$)", re.MULTILINE)


@cache
def numbers(tree: str) -> Set[int]:
    """The numbers in the comments above tests, or above a section of them: ``# D22, D23: the envelope`` has two."""
    found: Set[int] = set()
    for file in (TESTS / tree).glob("test_*.py"):
        for words in _COMMENT.findall(file.read_text(encoding="utf-8")):
            found |= {int(number) for number in re.findall(r"\d+", words)}
    return found


@pytest.mark.parametrize("number", DECISIONS, ids=lambda number: f"D{number}")
def test_every_decision_has_a_test(number: int) -> None:
    assert number in numbers("_async")
    assert number in numbers("_sync")


def test_no_test_bears_a_number_that_is_no_decision() -> None:
    assert numbers("_async") <= set(DECISIONS)


def test_the_documentation_speaks_of_every_decision() -> None:
    page = (TESTS.parent / "docs" / "contributing" / "server-differences.md").read_text(encoding="utf-8")
    told = {int(number) for number in re.findall(r"\bD(\d+)\b", page)}
    assert told == set(DECISIONS)
