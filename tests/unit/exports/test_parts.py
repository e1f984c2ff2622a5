"""The parts of a message, and the files that came along with it."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import pytest

from sekha.exports._building import ConversationBuilder
from sekha.exports._content import read_parts
from sekha.exports._file_words import read_files, word_for

PARTS: List[Tuple[Any, List[str], Dict[str, int]]] = [
    (None, [], {}),
    ("Hello", ["Hello"], {}),
    ([], [], {}),
    (["A", {"type": "text", "text": "B"}, {"type": "output_text", "text": "C"}], ["A", "B", "C"], {}),
    ({"type": "text", "text": {"value": "A", "annotations": []}}, ["A"], {}),
    ([{"type": "text", "text": ""}], [""], {}),
    ([{"text": "A"}, {"type": "new", "text": "B"}, {"type": "refusal", "refusal": "C"}], ["A", "B", "C"], {}),
    ([{"type": "input_audio"}, {"type": "image_url", "image_url": {"url": "x"}}], ["[audio]", "[image]"], {}),
    ([{"type": "file", "file": {"filename": "a.pdf"}}, {"type": "video_url"}], ["[a.pdf]", "[video]"], {}),
    ([{"type": "think", "think": "Hm."}, {"type": "reasoning"}], [], {"thinking": 2}),
    ([{"type": "tool_call", "tool_call": {}}, {"type": "toolCallResult", "content": "x"}], [], {"tools": 2}),
    ([{"type": "error", "error": "Boom"}, {"type": "agent_update"}], [], {"errors": 1, "hidden": 1}),
    ([None], [], {"unknown: a part that is null": 1}),
    ([7, {"type": "hologram"}, {}], [],
     {"unknown: a part that is no JSON object": 1, "unknown: part hologram": 1, "unknown: a part with nothing": 1}),
    ([{"type": "text", "text": 7}, {"type": ["x"], "text": None}], [],
     {"unknown: part text": 1, "unknown: a part with type, text": 1}),
    (7, [], {"unknown: content that is no text": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("content", "texts", "left_out"), PARTS)
def test_parts(content: Any, texts: List[str], left_out: Dict[str, int]) -> None:
    built = ConversationBuilder("", None)
    assert read_parts(content, built) == texts
    assert built.left_out == left_out


FILES: List[Tuple[Any, str]] = [
    ({"type": "image", "url": "data:image/png;base64,AA"}, "[image]"),
    ({"type": "file", "name": " plan.pdf "}, "[plan.pdf]"),
    ({"filename": "Photo.JPG"}, "[image]"),
    ({"type": "image/jpeg", "filename": "x"}, "[image]"),
    ({"type": "file", "file": {"filename": "a.txt", "data": {"content": "A"}}}, "[a.txt]"),
    ({"type": "file", "fileIdentifier": "1 - 2.pdf", "fileType": "text"}, "[1 - 2.pdf]"),
    ({"type": "collection", "name": "Manuals", "file": None}, "[Manuals]"),
    ({"name": "", "title": " "}, "[file]"),
    ("data:image/png;base64,AA", "[image]"),
    ("plan.pdf", "[plan.pdf]"),
    ("photo.png", "[image]"),
    ("https://example.org/plan.pdf", "[file]"),
    ("0b7f-11", "[file]"),
    (7, "[file]"),
    ({}, "[file]"),
]


@pytest.mark.parametrize(("file", "word"), FILES)
def test_a_word_stands_for_a_file(file: Any, word: str) -> None:
    assert word_for(file) == word


LISTS: List[Tuple[Any, List[str], Dict[str, int]]] = [
    (None, [], {}),
    ([], [], {}),
    (["a.pdf", None, {"name": "b.pdf"}], ["[a.pdf]", "[b.pdf]"], {}),
    ("a.pdf", [], {"unknown: files that are no list": 1}),
    ({}, [], {"unknown: files that are no list": 1}),
]


@pytest.mark.parametrize(("files", "words", "left_out"), LISTS)
def test_files(files: Any, words: List[str], left_out: Dict[str, int]) -> None:
    built = ConversationBuilder("", None)
    assert read_files(files, "files", built) == words
    assert built.left_out == left_out
