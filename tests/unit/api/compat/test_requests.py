"""What is changed in a request for the servers that people run."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Dict, List

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sekha._api.compat.requests import (
    default_label,
    has_content_parts,
    is_text_only_error,
    nonzero_temperature,
    pad_for_preview_bug,
    parts_to_text,
    quote_full_text_query,
    to_chat_messages,
)
from sekha._api.error_response import error_from_response
from sekha.errors import SekhaValidationError
from unit.vectors import recorded

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def user(content: Any, role: str = "user") -> Dict[str, Any]:
    return {"role": role, "content": content}


def text_part(text: str) -> Dict[str, Any]:
    return {"type": "text", "text": text}


def image(url: str) -> Dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


# ---- labels (D2) -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "label"),
    [
        ([], "Conversation"),
        ([user("Hi", "assistant")], "Conversation"),
        ([user("")], "Conversation"),
        ([user(" \n\t ")], "Conversation"),
        ([user("Plan the release\nand more")], "Plan the release"),
        ([user("\n\n   Indented first line\nsecond")], "Indented first line"),
        ([user("no", "system"), user("First"), user("Second")], "First"),
        ([user("x" * 100)], "x" * 60),
        ([user("x" * 59 + "  y")], "x" * 59),
        ([user("日" * 100)], "日" * 60),
        ([user([image("https://x.org/a.png"), text_part("Look at this")])], "Look at this"),
        ([user([image("https://x.org/a.png")])], "Conversation"),
    ],
)
def test_a_label_is_the_first_line_of_the_first_user_message(messages: List[Dict[str, Any]], label: str) -> None:
    assert default_label(messages) == label


@given(st.lists(st.builds(user, texts, st.sampled_from(["user", "assistant"])), max_size=3))
def test_a_label_is_one_line_of_1_to_60_characters(messages: List[Dict[str, Any]]) -> None:
    label = default_label(messages)
    assert 1 <= len(label) <= 60
    assert label == label.strip()
    assert len(label.splitlines()) == 1


# ---- byte 100 (D51) ----------------------------------------------------------------------------------------------


def kills(text: str) -> bool:
    """Whether the controller 0.1 dies of this message; from the contract."""
    data = text.encode()
    return len(data) > 100 and (data[100] & 0xC0) == 0x80


@given(texts.map(lambda text: text * 9), st.integers(0, 5))
def test_a_message_that_kills_the_controller_gets_one_to_three_spaces_and_no_other(text: str, shift: int) -> None:
    text = "x" * shift + text
    sent = pad_for_preview_bug([user(text)])[0]["content"]
    assert not kills(sent)
    assert sent.endswith(text)
    spaces = len(sent) - len(text)
    assert sent[:spaces] == " " * spaces
    assert spaces <= 3
    assert (spaces > 0) == kills(text)


@pytest.mark.parametrize("character", ["é", "日", "\U0001f600"])
@pytest.mark.parametrize("before", range(90, 101))
def test_every_position_of_a_long_character_is_survived(character: str, before: int) -> None:
    text = "a" * before + character * 10
    sent = pad_for_preview_bug([user(text)])[0]["content"]
    assert not kills(sent)
    assert (sent != text) == kills(text)


def test_the_message_that_was_recorded_to_kill_the_controller_is_padded_and_its_neighbour_is_not() -> None:
    aligned = recorded("create_emoji_aligned").body["messages"]
    assert pad_for_preview_bug(aligned) == aligned
    shifted = [user("x" + str(aligned[0]["content"]))]
    assert kills(shifted[0]["content"])
    assert pad_for_preview_bug(shifted) != shifted


def test_content_parts_and_other_keys_are_left_alone_and_the_callers_messages_unchanged() -> None:
    mine = [{**user("é" * 99 + "日" * 9), "name": "Ada"}, user([text_part("x")])]
    before = json.dumps(mine)
    sent = pad_for_preview_bug(mine)
    assert json.dumps(mine) == before
    assert sent[0]["name"] == "Ada"
    assert sent[1] == mine[1]


# ---- content parts (D4) ------------------------------------------------------------------------------------------


def test_parts_become_lines_of_text_and_addresses() -> None:
    parts = [text_part("Look:"), image("https://x.org/a.png"), {"type": "image_url", "image_url": "https://x.org/b"}]
    messages = [user("plain"), {**user(parts), "name": "Ada"}]
    assert has_content_parts(messages)
    flat = parts_to_text(messages, drop_images=False)
    assert flat == [user("plain"), {**user("Look:\nhttps://x.org/a.png\nhttps://x.org/b"), "name": "Ada"}]
    assert not has_content_parts(flat)


@pytest.mark.parametrize("url", ["data:image/png;base64,AAAA", "DATA:image/png,x"])
def test_an_image_that_would_be_lost_is_refused_by_its_place_unless_it_may(url: str) -> None:
    messages = [user("plain"), user([text_part("Look:"), image(url), text_part("Nice")])]
    with pytest.raises(SekhaValidationError, match="drop_images=True") as caught:
        parts_to_text(messages, drop_images=False)
    assert caught.value.field == "messages[1].content[1]"
    assert caught.value.sent is False
    assert parts_to_text(messages, drop_images=True)[1]["content"] == "Look:\nNice"


def test_a_part_that_no_text_can_stand_for_is_not_lost_silently() -> None:
    messages = [user([text_part("Listen:"), {"type": "input_audio", "input_audio": {"data": "AAAA"}}])]
    with pytest.raises(SekhaValidationError) as caught:
        parts_to_text(messages, drop_images=False)
    assert caught.value.field == "messages[0].content[1]"


@pytest.mark.parametrize(
    ("status", "words", "refused"),
    [
        (422, "Failed to deserialize: messages[0].content: invalid type: sequence, expected a string", True),
        (422, "Failed to deserialize the JSON body into the target type: missing field `label`", False),
        (400, "content", False),
        (500, "content", False),
    ],
)
def test_only_a_422_that_names_content_means_text_only(status: int, words: str, refused: bool) -> None:
    assert is_text_only_error(error_from_response("POST", "/x", status, {}, words.encode())) is refused


# ---- chats (D8, D61) ---------------------------------------------------------------------------------------------


def test_a_remembered_message_is_sent_to_a_model_without_what_only_the_memory_knows() -> None:
    remembered = {**user("Hi"), "id": "x", "timestamp": "t", "metadata": {"citation": {}}, "name": "Ada"}
    assert to_chat_messages([remembered]) == [{**user("Hi"), "name": "Ada"}]


@pytest.mark.parametrize(("given_", "sent"), [(0, 1e-6), (0.0, 1e-6), (0.5, 0.5), (2, 2)])
def test_a_temperature_of_zero_stays_cold(given_: float, sent: float) -> None:
    assert nonzero_temperature(given_) == sent


# ---- full text (D53) ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["C++", "it's", "re-index", "what?", 'say "hi"', "AND", "(x", "label:x", "*", '"'])
def test_words_that_fts_trips_over_find_themselves(words: str) -> None:
    with sqlite3.connect(":memory:") as database:
        database.execute("create virtual table m using fts5(content)")
        database.execute("insert into m values (?)", (f"before {words} after",))
        found = database.execute("select 1 from m where m match ?", (quote_full_text_query(words),)).fetchall()
    assert bool(found) == any(c.isalnum() for c in words)
    database.close()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_no_words_are_an_fts_syntax_error(words: str) -> None:
    assume(words.strip())
    database = sqlite3.connect(":memory:")
    try:
        database.execute("create virtual table m using fts5(content)")
        database.execute("select 1 from m where m match ?", (quote_full_text_query(words),)).fetchall()
    finally:
        database.close()
