"""Every promise has tests with its mark, and the page of promises names them."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
tool: Any = importlib.import_module("requirements")
sys.path.pop(0)

PAGE = (ROOT / tool.PROMISES).read_text("utf-8")
SECTIONS = {
    "Correctness": [f"C{number}" for number in range(1, 14)],
    "Reliability": [f"R{number}" for number in range(1, 17)],
    "Networks": [f"W{number}" for number in range(1, 10)],
    "Environments": ["W10", "W11", "W12", "W13", "W14", "W16", "W18"],
    "Security": [*(f"S{number}" for number in range(1, 8)), "W17"],
    "Frameworks": [f"F{number}" for number in range(1, 10)],
    "Comfort": [f"E{number}" for number in range(1, 11)],
}
IDS = [one for ids in SECTIONS.values() for one in ids]

ELSEWHERE: Dict[str, Tuple[str, str]] = {
    "C9": ("tests/package/test_twins.py", "compares the two flavours"),
    "C13": ("tests/package/test_twins.py", "compares both flavours with the table of endpoints"),
    "R5": ("tests/mixed", "blocking calls cannot be cancelled"),
    "R7": ("tests/mixed", "there are no tasks in blocking code"),
    "R9": ("tests/mixed", "there are no event loops in blocking code"),
    "R10": ("tests/mixed", "threads and forks are for the blocking client"),
    "R16": ("tests/mixed", "is counted in processes of their own, one for each flavour"),
    "W10": ("tests/environments", "is about frameworks, and what each of them is given"),
    "W11": ("tests/mixed", "a fork is a process"),
    "W12": ("tests/unit", "is about the clock, which all share; tests/environments have freezegun"),
    "W16": ("tests/mixed", "is about processes, each of which has one form"),
    "W18": ("tests/mixed", "is about machines, which are processes too"),
    "W13": ("tests/unit", "is about files, which have no flavour; tests/cli imports them"),
    "E3": ("tests", "is checked by type checkers, of the whole package"),
    "E4": ("tests/mixed", "is about the blocking client alone"),
    "E6": ("tests", "importing has no flavour"),
    "E7": ("tests", "only an event loop can be blocked"),
    "E8": ("tests", "the package has no flavour"),
    "E9": ("tests", "is about the source, and about event loops"),
    "E10": ("tests", "is about the fixtures that users get"),
}
"""Where the tests of an ID are that are not in both generated trees, and why."""

BY_ID: Dict[str, List[str]] = tool.tests_by_id(ROOT)


def rows() -> Dict[str, List[str]]:
    """What the page says: the IDs of each section in order."""
    parts = re.split(r"^## (.+)\n", PAGE, flags=re.MULTILINE)[1:]
    return {title: re.findall(r"^\| (\w\d+) \|", text, re.MULTILINE) for title, text in zip(parts[::2], parts[1::2])}


@pytest.mark.parametrize("one", IDS)
def test_every_promise_has_a_test_in_every_flavour(one: str) -> None:
    tests = BY_ID.get(one, [])
    if one in ELSEWHERE:
        place, _ = ELSEWHERE[one]
        assert [test for test in tests if re.match(rf"{re.escape(place)}(/|::)", test)], f"no test of {one} in {place}"
    else:
        names = {tree: {test.split("/")[-1] for test in tests if f"/{tree}/" in test} for tree in ("_async", "_sync")}
        assert names["_async"], f"no test of {one} in tests/_async"
        assert names["_async"] == names["_sync"]


def test_no_mark_has_an_id_that_is_no_promise() -> None:
    assert set(BY_ID) <= set(IDS)
    assert set(ELSEWHERE) <= set(IDS)


def test_the_page_has_a_row_for_every_promise_in_its_section() -> None:
    found = rows()
    assert {title: found[title] for title in SECTIONS} == SECTIONS


@pytest.mark.parametrize("one", IDS)
def test_every_row_names_tests_that_exist(one: str) -> None:
    (row,) = re.findall(rf"^\| {one} \| ([^|]+) \| ([^|]*) \|$", PAGE, re.MULTILINE)
    words, cell = row
    assert words.endswith(".")
    named: List[str] = []
    for part in filter(None, cell.split("<br>")):
        file, *names = re.findall(r"`([^`]+)`", part)
        source = (ROOT / file).read_text("utf-8")
        for name in names:
            assert re.search(rf"^ *(async )?def {name}\(", source, re.MULTILINE), f"{file} has no {name}"
            assert f"{file}::{name}" in BY_ID[one]
        named += names
    assert named, f"{one} is shown by no test"


@pytest.mark.promise("R1")
def test_the_pages_say_what_the_code_and_the_tests_say(capsys: pytest.CaptureFixture[str]) -> None:
    """And so does the page of retries, whose table is made from the table of endpoints and from `retry_delay`."""
    status = tool.main(["--check"])
    assert (status, capsys.readouterr().out) == (0, "")
