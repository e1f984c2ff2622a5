"""How results by meaning and by words become one list."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, cast

import pytest

from sekha._api.hybrid import Place, fuse, lookups, rank_rows
from sekha._api.search import Search
from sekha.types import Message, SearchResult

HERE: Dict[str, Optional[Place]] = {"c": ("L", "/f")}


def result(id: str, score: float = 0.5) -> SearchResult:
    found = {
        **{"conversation_id": "c", "message_id": id, "score": score, "content": id, "label": "L", "folder": "/f"},
        **{"timestamp": "2026-01-15T12:00:00.000000+00:00"},
    }
    return cast(SearchResult, found)


def row(id: Optional[str], content: Any = "", conversation: Optional[str] = "c") -> Message:
    found = {"id": id, "conversation_id": conversation, "role": "user", "content": content or id, "timestamp": "T"}
    return cast(Message, {**found, "metadata": {"source": "a.md"}})


def ids(results: List[SearchResult]) -> str:
    return "".join(one["message_id"] for one in results)


@pytest.mark.parametrize(
    ("query", "contents", "order"),
    [
        ("box 17", ["box 16", "box 17", "box 18"], "bac"),  # the rare word counts more
        ("box 17 coats", ["box 17", "coats", "17 coats of box"], "cab"),
        ("box", ["box", "the box", "a box of boxes"], "abc"),  # the server's order, if nothing else
        ("boxes", ["box", "boxes"], "ba"),  # a server may find other forms
        ("box", [[{"type": "text", "text": "none"}], [{"type": "text", "text": "box"}]], "ba"),
    ],
)
def test_rows_with_many_and_rare_words_come_first(query: str, contents: List[Any], order: str) -> None:
    assert "".join(rank_rows(query, map(row, "abcdef", contents))) == order


def test_a_row_without_ids_is_left_out_and_a_row_is_there_once() -> None:
    assert list(rank_rows("a", [row("a"), row(None), row("b", conversation=None), row("a")])) == ["a"]


@pytest.mark.parametrize(
    ("query", "contents", "specific"),
    [
        ("Note 1", ["Note 1", "note  1 ", "Note 10", "Note 11", "Note 12"], "a"),  # the text itself
        ("box 17", ["I: box 17!", "17, a box", "box 18"], "a"),  # what contains it
        ("What is in box 17?", ["box 17 holds coats", "box 18 does too"], "a"),  # all its significant words
        ("What is in box 17?", [f"box 17 and {n}" for n in range(4)], ""),  # too many for the words to point to one
        ("What is in box 17?", ["box 17"] * 6, "a"),  # but a text that is there often is one text
        ("What is in box 17?", ["box", "17"], ""),
    ],
)
def test_a_query_points_to_a_text_by_its_words(query: str, contents: List[str], specific: str) -> None:
    rows = rank_rows(query, map(row, "abcdef", contents))
    assert "".join(sorted(id for id, one in rows.items() if one.is_specific)) == specific


def test_ranks_are_fused_and_each_result_says_what_found_it() -> None:
    found = fuse([result(id) for id in "abc"], rank_rows("x y", map(row, "cd", ["x", "x"])), HERE, None)
    assert ids(found.results) == "cabd"  # 2/3 / 63 + 1/3 / 61, 2/3 / 61, 2/3 / 62, 1/3 / 62
    assert [one.get("found_by") for one in found.results] == ["both", "meaning", "meaning", "words"]
    assert found.unknown == []


def test_what_contains_the_whole_query_comes_first() -> None:
    rows = rank_rows("box 17", map(row, "wc", ["box 17", "box 18"]))
    assert ids(fuse([result(id) for id in "abc"], rows, HERE, None).results) == "wcab"
    assert ids(fuse([result(id) for id in "abcw"], rows, HERE, None).results) == "wcab", "also if meaning ranks it low"


def test_what_the_words_point_to_is_among_the_first_five() -> None:
    rows = rank_rows("Where is box 17?", map(row, "wc", ["17, a box", "box 18"]))
    assert ids(fuse([result(id) for id in "ab"], rows, HERE, None).results) == "abwc"
    assert ids(fuse([result(id) for id in "abdefghi"], rows, HERE, None).results) == "abdewfghic"
    assert ids(fuse([result(id) for id in "abdefghiw"], rows, HERE, None).results)[0] == "w"
    assert ids(fuse([result(id) for id in "abcdefghi"], rows, HERE, None).results) == "cabdwefghi"
    far = [result(id) for id in [*map(str, range(100)), "w"]]
    assert fuse(far, rows, HERE, None).results[4]["message_id"] == "w", "also if meaning ranks it low"


def test_a_result_by_words_has_the_worst_score_or_that_of_the_whole_query() -> None:
    rows = rank_rows("Box  17", map(row, "xyz", ["so, box\n17", "box 18", "17"]))
    meaning = [result("a", 0.75), result("b", 0.25)]
    scores = {one["message_id"]: one["score"] for one in fuse(meaning, rows, HERE, None).results}
    assert scores == {"x": 1.0, "y": 0.25, "z": 0.25, "a": 0.75, "b": 0.25}
    assert {one["score"] for one in fuse([], rows, HERE, None).results} == {1.0, 0.0}
    assert ids(fuse(meaning, rows, HERE, 0.0).results) == "xab", "with a floor only the whole query counts"


def test_a_result_by_words_has_the_keys_of_any_result() -> None:
    (found,) = fuse([], rank_rows("x", [row("x")]), HERE, None).results
    assert found == {
        **{"conversation_id": "c", "message_id": "x", "score": 1.0, "content": "x", "label": "L", "folder": "/f"},
        **{"timestamp": "T", "metadata": {"source": "a.md", "role": "user", "timestamp": "T"}, "found_by": "words"},
    }


def test_conversations_are_looked_up_where_it_matters() -> None:
    rows = rank_rows("x", [row(f"m{n}", "x", f"c{n // 2}") for n in range(40)])
    places: Dict[str, Optional[Place]] = {"c0": ("L", "/"), "c1": None}
    found = fuse([result("a"), result("b")], rows, places, None)
    assert len(found.results) == 4
    assert [id for _, id in found.unknown[:4]] == ["c2", "c2", "c3", "c3"]
    assert lookups(found, Search("x", 3)) == []
    assert lookups(found, Search("x", 5)) == [f"c{n}" for n in range(2, 20)]
    assert lookups(found, Search("x", 3, min_score=0.5)) == [f"c{n}" for n in range(2, 20)]
    assert lookups(found, Search("x", 3, is_echo=lambda result: False)) != []


def test_equal_ids_of_results_by_meaning_stay_as_they_are() -> None:
    assert ids(fuse([result("a"), result("a")], {}, {}, None).results) == "aa"
