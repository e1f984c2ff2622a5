"""What the full-text index is given, and what it is asked: run on a real index."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Dict, Generator, List

import pytest

from sekha.local.match import MAX_PHRASES, full_text_query, or_phrases, rare_query, searchable_text

TEXTS = [
    "We deploy with Helm on Fridays",
    "Running the meeting in 東京都 with Ms. Tanaka",
    "昨日はりんごを食べました",
    "ฉันชอบกินข้าวผัด",
    "저는 서울에서 삽니다",
    "Die Straßenbahn fährt im Café vorbei",
    "ｆｕｌｌｗｉｄｔｈ ﾊﾝｶｸ ＂quoted＂",
    "हिन्दी में लिखा",
]


@pytest.fixture
def empty_index() -> Generator[sqlite3.Connection, None, None]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE VIRTUAL TABLE words USING fts5 (content, content = '', tokenize = 'porter unicode61')")
        yield database


@pytest.fixture
def index(empty_index: sqlite3.Connection) -> sqlite3.Connection:
    for number, text in enumerate(TEXTS):
        empty_index.execute("INSERT INTO words (rowid, content) VALUES (?, ?)", (number, searchable_text(text)))
    return empty_index


def find(index: sqlite3.Connection, query: str) -> List[int]:
    return [number for (number,) in index.execute("SELECT rowid FROM words WHERE words MATCH ? ORDER BY 1", (query,))]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("helm", [0]),
        ("helm OR meeting", [0, 1]),
        ('"helm" NOT "meeting"', [0]),
        ("deploying", [0]),
        ("東京", [1]),
        ("東京 都", [1]),
        ("京東", []),
        ('"東京"*', [1]),
        ('"meeting in 東京"', [1]),
        ("meeting 東京 OR helm", [0, 1]),
        ("content : 東京", [1]),
        ("NEAR(running 東京, 5)", [1]),
        ("りんご", [2]),
        ("リンゴ", []),
        ("ข้าว", [3]),
        ("서울", [4]),
        ("straßenbahn", [5]),
        ("cafe", [5]),
        ("fullwidth", [6]),
        ("ｆｕｌｌｗｉｄｔｈ", [6]),
        ("ハンカク", [6]),
        ('"＂quoted"', [6]),
        ('"a""b" OR "東""京"', [1]),
        ("हिन्दी", [7]),
    ],
)
def test_a_query_finds_parts_of_texts_in_all_scripts(
    index: sqlite3.Connection, query: str, expected: List[int]
) -> None:
    assert find(index, full_text_query(query)) == expected


@pytest.mark.parametrize("query", ['"東京', "東京 OR", "(東京"])
def test_what_is_no_query_of_fts5_stays_none(index: sqlite3.Connection, query: str) -> None:
    with pytest.raises(sqlite3.OperationalError):
        find(index, full_text_query(query))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("When is the meeting?", [1]),
        ("helm, or apples: りんごはどこ", [0, 2]),
        ("where is 東京?", [1]),
        ("อยากกินข้าว", [3]),
        ("STRASSENBAHN straßenbahn", [5]),
        ('"helm" AND (', [0]),
        ("the in", [1]),
        ("😀 Fridays", [0]),
        ("हिन्दी", [7]),
    ],
)
def test_a_text_finds_what_shares_words_with_it(index: sqlite3.Connection, text: str, expected: List[int]) -> None:
    assert find(index, " OR ".join(or_phrases(text))) == expected


def test_common_words_are_asked_for_if_there_are_no_others() -> None:
    assert or_phrases("What is the plan?") == ['"plan"']
    assert or_phrases("to be or not to be") == ['"to"', '"be"', '"or"', '"not"']
    assert or_phrases(" ?! ") == []


def test_of_a_long_text_the_longest_words_are_asked_for() -> None:
    text = " ".join("x" * length for length in range(1, 200))
    phrases = or_phrases(text)
    assert len(phrases) == MAX_PHRASES
    assert f'"{"x" * 199}"' in phrases


def test_a_text_of_ascii_is_given_as_it_is() -> None:
    text = "plain words " * 100_000
    before = time.process_time()
    assert searchable_text(text) is text
    assert time.process_time() - before < 0.05


@pytest.mark.parametrize("text", TEXTS)
def test_an_entry_is_removed_by_its_text(empty_index: sqlite3.Connection, text: str) -> None:
    empty_index.execute("INSERT INTO words (rowid, content) VALUES (1, ?)", (searchable_text(text),))
    assert find(empty_index, " OR ".join(or_phrases(text))) == [1]
    remove = "INSERT INTO words (words, rowid, content) VALUES ('delete', 1, ?)"
    empty_index.execute(remove, (searchable_text(text),))
    assert find(empty_index, " OR ".join(or_phrases(text))) == []


@pytest.mark.parametrize(
    ("counts", "limit", "expected"),
    [
        ({"a": 3, "b": 2}, 5, "b OR a"),
        ({"a": 3, "b": 2}, 4, "(b) AND (b OR a OR a)"),
        ({"a": 3, "b": 2, "c": 1}, 3, "(c OR b) AND (c OR b OR a OR a)"),
        ({"a": 3}, 2, "a"),
        ({"a": 3, "b": 0}, 9, "a"),
        ({"a": 0}, 9, ""),
        ({}, 9, ""),
    ],
)
def test_common_words_count_only_beside_rare_ones(counts: Dict[str, int], limit: int, expected: str) -> None:
    assert rare_query(counts, limit) == expected
