"""The words of a query, and full-text searches for them."""

from __future__ import annotations

import sqlite3
from typing import List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekha._api.words import MAX_WORDS, Word, excerpt, full_text_query, significant_words, words_in


def texts(query: str) -> List[str]:
    return [word.text + "*" * word.is_start for word in significant_words(query)]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("When do we ship?", ["ship"]),
        ("How do we rotate refresh tokens?", ["rotate", "refresh", "tokens"]),
        ("What is in box 17?", ["box", "17"]),
        ("box Box BOX 1 1", ["box", "1"]),
        ("Which TLS version does the proxy speak?", ["TLS", "version", "proxy", "speak"]),
        ("it's C++, isn't it? (re-index v1.2)", ["C", "re-index", "v1.2"]),
        ("Ada's key", ["Ada", "key"]),
        ("l’architecture d'hier", ["architecture"]),
        ("ask ada@example.com about src/main.py", ["ask", "ada@example.com", "src/main.py"]),
        ('say "hello world"', ["hello", "world"]),
        ("Wann werden die Schlüssel gewechselt?", ["die", "Schlüssel", "gewechselt"]),
        ("¿Cuándo cambiamos las claves?", ["cambiamos", "claves"]),
        ("Quand est-ce que nous changeons les clés ?", ["changeons", "clés"]),
        ("To be or not to be", ["To", "be", "or", "not"]),  # common words are better than none
        ("I want plan B or a plan b", ["plan", "B"]),
        ("", []),
        (" ?! -- ___ 🙂 \n", []),
        ("東京タワー", ["東京*", "京タ*", "タワ*", "ワー*"]),
        ("猫はどこですか", ["猫は*"]),  # pairs of particles say little
        ("猫", ["猫*"]),
        ("密钥在1Password里", ["1Password*", "密钥*", "钥在*", "里*"]),
        ("서울에서 만나요", ["서울*", "울에*", "에서*", "만나*", "나요*"]),
        ("Где лежит ключ?", ["Где", "лежит", "ключ"]),
    ],
)
def test_the_significant_words_of_a_query(query: str, words: List[str]) -> None:
    assert texts(query) == words


def test_a_long_query_keeps_its_rare_words_in_their_order() -> None:
    filler = [f"{letter}{other}" for letter in "bcdfghjk" for other in "qwxzvpmn"]
    found = texts(" ".join(["x1", *filler, "deployment", "9"]))
    assert len(found) == MAX_WORDS
    assert (found[0], found[-2:]) == ("x1", ["deployment", "9"])


def test_a_full_text_query_finds_words_literally() -> None:
    words = [Word('say "x"'), Word("C++"), Word("東京", is_start=True)]
    assert full_text_query(words) == '"say ""x""" OR "C++" OR "東京"*'
    assert full_text_query(words, "AND") == '"say ""x""" AND "C++" AND "東京"*'


@pytest.mark.parametrize(
    ("query", "text", "held"),
    [
        ("box 17", "Box 17: winter coats", 2),
        ("box 17", "Boxes of 1723 things", 0),
        ("re-index", "We RE-INDEX it", 1),
        ("re-index", "We re and then index it", 0),
        ("cat", "concatenate category cat", 1),
        ("cat", "concatenate category", 0),
        ("Größe", "GRÖSSE", 1),
        ("密钥在哪", "部署密钥在1Password", 2),
    ],
)
def test_what_of_the_words_a_text_holds(query: str, text: str, held: int) -> None:
    assert len(words_in(text, significant_words(query))) == held


@settings(max_examples=200)
@given(st.text(max_size=60), st.sampled_from(["OR", "AND"]))
def test_every_query_is_valid_and_finds_its_own_text(query: str, operator: str) -> None:
    query = query.replace("\0", " ").encode("utf-8", "ignore").decode()
    words = significant_words(query)
    if not words:
        return
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE VIRTUAL TABLE t USING fts5 (content, tokenize = 'porter unicode61')")
        database.execute("INSERT INTO t VALUES (?)", ["unrelated"])
        database.execute("SELECT * FROM t WHERE t MATCH ?", [full_text_query(words, operator)]).fetchall()
    database.close()


@pytest.mark.parametrize(
    "text",
    ["We ship on Fridays.", "Box 17 holds (winter) coats, it's C++!", "Größe & Straße", "東京タワーの高さ", "it is"],
)
def test_a_text_is_found_by_its_own_words(text: str) -> None:
    words = significant_words(text)
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE VIRTUAL TABLE t USING fts5 (content, tokenize = 'porter unicode61')")
        database.executemany("INSERT INTO t VALUES (?)", [[text], ["something else"]])
        found = database.execute("SELECT content FROM t WHERE t MATCH ?", [full_text_query(words)]).fetchall()
    database.close()
    assert found == [(text,)]
    assert words_in(text, words) == set(words)


# Excerpts

FILLING = "Lorem ipsum dolor sit amet. " * 40
SIT_AMET = "dolor sit amet. Lorem ipsum dolor sit amet."


@pytest.mark.parametrize(
    ("text", "query", "shown"),
    [
        ("short text", "nothing", "short text"),
        (f"{FILLING}The port is 9100. {FILLING}", "port?", "…dolor sit amet. The port is 9100. Lorem ipsum dolor si…"),
        (f"{FILLING}{'port ' * 9}{FILLING}shop port", "port, shop", f"…{SIT_AMET} shop port"),
        (f"The shop. {FILLING}The port.", "port", f"…{SIT_AMET} The port."),
        (FILLING, "Dolor ipsum", "Lorem ipsum dolor sit amet. Lorem ipsum dolor sit amet.…"),
        (f"report {FILLING}", "port", "report Lorem ipsum dolor sit amet. Lorem ipsum dolor si…"),
        (f"{'x' * 200} port", "port", f"…{'x' * 50} port"),
        (f"{'天气很好。' * 40}船期是星期五", "船期", f"…{'气很好。' + '天气很好。' * 9}船期是星期五"),
    ],
)  # fmt: skip
def test_an_excerpt_shows_the_words_of_a_query(text: str, query: str, shown: str) -> None:
    assert excerpt(text, significant_words(query), 56) == shown


@given(st.text(st.characters(exclude_characters="…"), max_size=400), st.text(max_size=40), st.integers(3, 60))
def test_an_excerpt_is_a_part_of_the_text_that_is_not_too_long(text: str, query: str, length: int) -> None:
    shown = excerpt(text, significant_words(query), length)
    assert len(shown) <= length
    assert (shown == text) == (len(text) <= length)
    assert shown.strip("…") in text


@given(st.lists(st.sampled_from(["aa", "bb", "cc", "dddd."]), max_size=100).map(" ".join))
def test_an_excerpt_has_no_fewer_words_than_the_beginning(text: str) -> None:
    words = significant_words("aa bb cc")
    assert len(words_in(excerpt(text, words, 20), words)) >= len(words_in(text[:18], words))
