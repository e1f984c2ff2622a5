"""What a search requests, and which of the results count."""

from __future__ import annotations

from typing import Any, List, cast

import pytest

from sekha._api.filters import ResultFilter, parse_filters
from sekha._api.search import ResultSelector, Search, search_of
from sekha.types import SearchResult

FOLDERS = ("/work", "/work/deep", "/workshop", "/home", "/")


def result(id: str, folder: str = "/", score: float = 0.5, content: str = "text") -> SearchResult:
    found = {"conversation_id": "c", "message_id": id, "score": score, "content": content, "label": "L"}
    return cast(SearchResult, {**found, "folder": folder, "timestamp": "2026-01-15T12:00:00.000000+00:00"})


@pytest.mark.parametrize(
    ("search", "sizes"),
    [
        (Search("x", 10), [10]),
        (Search("x", 10, 5), [15]),
        (Search("x", 10, hybrid=True), [40]),
        (Search("x", 1, 2, hybrid=True), [20]),
        (Search("x", 20_000, hybrid=True), [20_000]),
        (Search("x", 10, min_score=0.5), [10]),
        (Search("x", 10, conditions=ResultFilter(folder="/")), [40, 400, 4000, 10_000]),
        (Search("x", 10, is_echo=bool), [40, 400, 4000, 10_000]),
        (Search("x", 50, is_enough=bool), [200, 2000, 10_000]),
    ],
)
def test_how_many_results_are_requested(search: Search, sizes: List[int]) -> None:
    assert list(search.sizes) == sizes


def test_enough_is_offset_and_limit_or_what_is_asked() -> None:
    results = [result(id) for id in "abcde"]
    assert Search("x", 2, 3).has_enough(results)
    assert not Search("x", 3, 3).has_enough(results)
    assert Search("x", 2, 3).cut(results) == results[3:]
    assert Search("x", 1, is_enough=lambda found: len(found) == 5).has_enough(results)
    assert Search("x", 1, is_enough=bool).cut(results) == results


def test_arguments_become_a_search() -> None:
    filters: Any = {"folder": "/a", "subfolders": True, "label": "L"}
    conditions = parse_filters(filters)
    arguments = {"query": "x", "limit": 3, "offset": 2, "min_score": 0.5, "hybrid": True}
    assert search_of(arguments, filters, conditions) == Search("x", 3, 2, conditions, {"label": "L"}, 0.5, True)
    assert search_of({"query": "x"}, {}, ResultFilter()) == Search("x", 10)


@pytest.mark.parametrize(
    ("folders", "excluded", "kept"),
    [
        (None, (), FOLDERS),
        ((), (), ()),
        (("/work",), (), ("/work", "/work/deep")),
        (("/work", "/home"), (), ("/work", "/work/deep", "/home")),
        (("/",), ("/work",), ("/workshop", "/home", "/")),
        (None, ("/work/deep", "/home"), ("/work", "/workshop", "/")),
        (("/work",), ("/",), ()),
    ],
)
def test_several_folders_with_what_is_below_them(folders: Any, excluded: Any, kept: Any) -> None:
    conditions = ResultFilter(folders=folders, excluded_folders=excluded)
    found = conditions.keep([result(folder, folder) for folder in FOLDERS], {})
    assert tuple(one["folder"] for one in found) == kept
    assert conditions.filters_anything is (folders is not None or excluded != ())


def test_echoes_are_asked_about_once_and_repeats_are_left_out() -> None:
    asked: List[str] = []

    def is_echo(one: SearchResult) -> bool:
        asked.append(one["content"])
        return one["content"] == "echo"

    selector = ResultSelector(Search("x", 2, min_score=0.4, is_echo=is_echo), {})
    first = [result("a"), result("b", content="echo"), result("a"), result("c", score=0.1)]
    assert selector.select(first) == ([first[0]], 1)
    more = [*first, result("d")]
    assert selector.select(more) == ([first[0], more[-1]], 1)
    assert asked == ["text", "echo", "text", "text"]
