"""Whether a conversation is stored already: the words to search for, and what matches."""

from __future__ import annotations

from typing import Any, List

import pytest

from sekha._api.stored import Phrase, is_same_message, search_phrases

IMAGE = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
DATA = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}


def text(value: str) -> Any:
    return {"type": "text", "text": value}


def user(content: Any) -> Any:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("contents", "queries"),
    [
        (["Hello"], ['"Hello"']),
        (["", " \n", "… 🙂 !?", "at last"], ['"at last"']),
        (["Hi", "short", "a longer one", "mid one"], ['"Hi"', '"a longer one"']),
        (['say "x"\tor\nnot'], ['"say ""x"" or not"']),
        ([[IMAGE, text("..."), text("Look"), text("again")]], ['"Look"']),
        ([[IMAGE]], []),
        ([], []),
        (["--- word " * 100], ['"' + " ".join(["--- word"] * 64) + '"']),
        (["我们 ½"], ['"我们 ½"']),
    ],
)
def test_the_first_words_are_searched_for_and_the_longest_of_the_rest(contents: List[Any], queries: List[str]) -> None:
    messages = [user(content) for content in contents]
    found = search_phrases(messages)
    assert [phrase.query for phrase in found] == queries
    assert all(isinstance(phrase, Phrase) and phrase.message in messages for phrase in found)


@pytest.mark.parametrize(
    ("sent", "stored", "same"),
    [
        ("x", "x", True),
        ("x", "   x", True),  # padded
        ("x", "    x", False),
        ("x", "\n x", False),
        ("x", "x ", False),
        ("", "", True),
        ([text("a"), text("b")], "a\nb", True),
        ([text("a"), IMAGE], "a\nhttps://x.test/a.png", True),
        ([text("a"), IMAGE], "a", False),
        ([text("a"), DATA], "a", True),
        ([text("a"), DATA], "a\ndata:image/png;base64,AA", True),
        ([text("a"), IMAGE], [text("a"), {**IMAGE, "id": 1}], True),
        ([text("a"), IMAGE], [text("a"), DATA], False),
        ([text("a"), IMAGE], [IMAGE, text("a")], False),
        ("a", [text("a")], True),
        ("a", [text("a"), IMAGE], False),
        ([{"type": "sound"}], "", False),
        ([{"type": "sound"}], [{"type": "sound"}], True),
        ([], "", True),
    ],
)
def test_messages_are_compared_letter_by_letter(sent: Any, stored: Any, same: bool) -> None:
    assert is_same_message(user(sent), user(stored)) is same
    assert not is_same_message(user(sent), {"role": "assistant", "content": stored})
