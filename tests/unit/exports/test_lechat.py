"""Chats of Le Chat, as its exports have them, and of shapes that none has."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, Dict, List

import pytest

from sekha.exports import read_export
from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._kinds import find_kind
from sekha.exports._lechat import parse_lechat
from sekha.types import UnreadableConversation
from unit.exports.mutations import check_mutations


def message(id: str, content: Any, second: int = 0, *, role: str = "user", **more: Any) -> Dict[str, Any]:
    """A message as the export has it, with all of its keys."""
    return {
        "id": id, "version": 0, "chatId": "c1", "content": content, "contentChunks": None, "role": role,
        "createdAt": f"2025-09-19T16:18:{second:02}.236Z", "reaction": "neutral", "reactionDetail": None,
        "reactionComment": None, "preference": None, "preferenceOver": None, "context": None, "canvas": [],
        "quotes": [], "files": [], **more,
    }  # fmt: skip


def answer(*chunks: Any, **more: Any) -> Dict[str, Any]:
    parts = [{"type": "text", "text": chunk} if isinstance(chunk, str) else chunk for chunk in chunks]
    text = "".join(chunk for chunk in chunks if isinstance(chunk, str))
    return {**message("a", text, 1, role="assistant", contentChunks=parts), **more}


def read(*messages: Any, folder: Any = None) -> ReadConversation:
    (found,) = parse_lechat(messages, folder)
    return found


def said(*messages: Any) -> List[str]:
    return [f"{one['role']}: {one['content']}" for one in read(*messages)["messages"]]


def at(second: int) -> str:
    return f"2025-09-19T16:18:{second:02}.236000+00:00"


def test_a_chat_in_the_order_of_its_times() -> None:
    found = read(
        message("3", "And why?", 20),
        message("2", "Port 9100.", 10, role="assistant"),
        message("1", "Which port?\nTell me.", 0),
    )
    assert found == {
        "label": "Which port?",
        "folder": "/le-chat",
        "messages": [
            {"role": "user", "content": "Which port?\nTell me.", "timestamp": at(0)},
            {"role": "assistant", "content": "Port 9100.", "timestamp": at(10)},
            {"role": "user", "content": "And why?", "timestamp": at(20)},
        ],
    }
    assert (found.source_id, found.created_at, found.updated_at, found.left_out) == ("c1", at(0), at(20), {})
    assert read(message("1", "Hello"), folder="/old")["folder"] == "/old"


def test_of_the_versions_of_a_message_the_latest_is_taken() -> None:
    old, new = message("1", "Old"), message("1", "New", version=1)
    for messages in ((old, new), (new, old)):
        found = read(*messages, message("2", "Yes.", 1, role="assistant"))
        assert [one["content"] for one in found["messages"]] == ["New", "Yes."]
        assert found.left_out == {"other branches": 1}


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (answer("Port ", "9100."), "Port 9100."),
        (answer("It is", {"type": "reference", "referenceIds": [1, 2]}, " 9100."), "It is 9100."),
        (answer("I search.", {"type": "tool_call", "name": "web_search"}, "It is 9100."), "I search.\nIt is 9100."),
        (answer("Here:", {"type": "image_url", "imageUrl": "https://x/y.jpg"}, "A cat."), "Here:\n[image]\nA cat."),
        (answer("Here:", {"type": "file_reference", "fileReference": "plan.docx"}), "Here:\n[plan.docx]"),
        (answer(contentChunks=[], content="Port 9100."), "Port 9100."),
        (answer({"type": "tool_call"}, content="Port 9100."), "Port 9100."),
        (answer(contentChunks=None, content=[{"type": "text", "text": "Port 9100."}]), "Port 9100."),
        (answer({"type": "something_new", "text": "Port 9100."}), "Port 9100."),
        (
            answer("See.", files=[{"type": "image", "name": "a.png"}, {"type": "text"}, {}]),
            "See.\n[a.png]\n[text]\n[file]",
        ),
        (
            answer("Here.\n", {"type": "canva", "id": "d"}, "Good?", canvas=[{"title": "Plan", "content": "# Plan"}]),
            "Here.\nGood?\n[Plan]\n# Plan",
        ),
        (answer(canvas=[{"content": "Words"}]), "[document]\nWords"),
    ],
)
def test_where_the_words_stand(one: Dict[str, Any], expected: str) -> None:
    assert said(one) == [f"assistant: {expected}"]


def test_a_document_stands_where_it_was_changed_last() -> None:
    first, other = {"title": "Plan", "content": "Tent."}, {"content": "Map."}
    found = said(
        answer("One.", id="1", canvas=[first, other]),
        answer("Two.", id="2", canvas=[{"title": "Plan", "content": "Stove."}]),
    )
    assert found == ["assistant: One.\n[Plan]\n[document]\nMap.", "assistant: Two.\n[Plan]\nStove."]


def test_what_is_left_out_is_counted() -> None:
    found = read(
        answer(
            "Yes.", {"type": "tool_call"}, {"type": "reference"}, {"type": "custom_element"}, {"type": "thinking"},
            {"type": "new"}, {"type": "canva", "id": "d"}, 7, quotes=["x"], canvas=[7],
        ),
        message("2", " "),
        7,
    )  # fmt: skip
    assert [one["content"] for one in found["messages"]] == ["Yes."]
    assert found.left_out == {
        "tools": 1, "references": 1, "custom elements": 1, "thinking": 1, "quotes": 1, "empty": 1,
        "unknown: part of a message: new": 1, "unknown: part of a message": 1, "unknown: canvas": 1,
        "unknown: a message that is no JSON object": 1,
    }  # fmt: skip


def test_messages_without_a_chat_belong_to_the_one_that_is_there() -> None:
    assert said(message("2", "B", 1, chatId=None), message("1", "A")) == ["user: A", "user: B"]
    chats = list(parse_lechat([message("1", "A"), message("2", "B", chatId="c2")], None))
    assert [one.source_id for one in chats] == ["c1", "c2"]
    (alone,) = parse_lechat([message("1", "A", chatId="")], None)
    assert (len(alone["messages"]), alone.source_id) == (1, None)


def test_a_chat_that_cannot_be_read_costs_no_other() -> None:
    chats = parse_lechat([message("1", "A", role="nobody"), message("2", "B", chatId="c2")], None)
    assert next(chats).source_id == "c2"
    with pytest.raises(Unreadable, match="role nobody"):
        next(chats)


def test_roles() -> None:
    with pytest.raises(Unreadable, match="role nobody"):
        read(message("1", "A", role="nobody"))
    assert said(message("1", "A", role="nobody"), message("2", "B", role="system")) == ["system: B"]


def test_the_files_of_an_archive_are_chats(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("chat-1.json", json.dumps([message("2", "Yes.", 1, role="assistant"), message("1", "One")]))
        archive.writestr("chat-1-files/notes.pdf", "x")
        archive.writestr("chat-2.json", json.dumps([message("1", "Two", chatId="c2")]))
        archive.writestr("chat-3.json", "[]")
    found = [one for one in read_export(tmp_path / "export.zip") if not isinstance(one, UnreadableConversation)]
    assert [one.get("label") for one in found] == ["One", "Two"]
    assert [one.get("folder") for one in found] == ["le-chat", "le-chat"]


@pytest.mark.parametrize("data", [{"chatId": "x"}, {"role": "user", "content": "x"}, {"chatId": "x", "createdAt": "y"}])
def test_other_things_are_not_taken_for_it(data: Dict[str, Any]) -> None:
    kind = find_kind(data)
    assert kind is None or kind.name != "Le Chat"


def test_wrong_types_anywhere_lose_nothing_in_silence() -> None:
    chat = [
        message("1", "Which port?", files=[{"type": "image", "name": "a.png"}], quotes=[]),
        answer("It is", {"type": "reference", "referenceIds": [1]}, " 9100.", canvas=[{"title": "T", "content": "C"}]),
        message("3", [{"type": "text", "text": "Thanks"}], 2),
    ]
    check_mutations(lambda data: parse_lechat(data, None), chat, optional=("content", "text", "contentChunks"))
