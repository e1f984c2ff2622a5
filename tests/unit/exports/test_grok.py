"""What a conversation of Grok says, and what is left out of it and counted."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest

from sekha.exports import read_export
from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._grok import parse_grok
from sekha.exports._kinds import find_kind
from unit.exports.mutations import check_mutations

MAY = 1746090000


def at(second: int) -> Dict[str, Any]:
    return {"$date": {"$numberLong": str((MAY + second) * 1000)}}


def response(id: str, parent: Optional[str], sender: str, text: Any, second: int, **more: Any) -> Dict[str, Any]:
    message = {"_id": id, "parent_response_id": parent, "sender": sender, "message": text, "create_time": at(second)}
    return {"response": {**message, "error": None, "file_attachments": [], **more}, "share_link": None}


def asked(id: str, parent: Optional[str], text: Any, second: int = 0, **more: Any) -> Dict[str, Any]:
    return response(id, parent, "human", text, second, **more)


def answered(id: str, parent: Optional[str], text: Any, second: int = 0, **more: Any) -> Dict[str, Any]:
    return response(id, parent, "ASSISTANT", text, second, **more)


def chat(*responses: Any, **more: Any) -> Dict[str, Any]:
    about = {"id": "g1", "title": "Plans", "create_time": "2025-05-01T09:00:00.250000Z", "leaf_response_id": None}
    return {"conversation": {**about, "modify_time": "2025-05-02T09:00:00Z", **more}, "responses": list(responses)}


def read(data: Dict[str, Any]) -> ReadConversation:
    return parse_grok(data, None)


def said(*responses: Any, **more: Any) -> List[str]:
    return [f"{message['role']}: {message['content']}" for message in read(chat(*responses, **more))["messages"]]


SAMPLE = chat(
    asked("1", None, "Which port?", 1, image_attachments=["https://example.org/1.png"], file_attachments=["0b7f"]),
    answered("2", "1", "Port 9100.", 2, agent_thinking_traces=[{"thinking_trace": "Hm."}], steps=[{"tag_order": []}]),
    asked("3", "2", "And now?", 3, query=""),
    answered("4", "3", "", 4, generated_image_urls=["https://example.org/2.png"]),
)


def test_a_conversation() -> None:
    found = read(SAMPLE)
    assert found == {
        "label": "Plans",
        "folder": "/grok",
        "messages": [
            {
                "role": "user",
                "content": "Which port?\n[image]\n[file]",
                "timestamp": "2025-05-01T09:00:01.000000+00:00",
            },
            {"role": "assistant", "content": "Port 9100.", "timestamp": "2025-05-01T09:00:02.000000+00:00"},
            {"role": "user", "content": "And now?", "timestamp": "2025-05-01T09:00:03.000000+00:00"},
            {"role": "assistant", "content": "[image]", "timestamp": "2025-05-01T09:00:04.000000+00:00"},
        ],
    }
    assert found.source_id == "g1"
    assert found.created_at == "2025-05-01T09:00:00.250000+00:00"
    assert found.updated_at == "2025-05-02T09:00:00.000000+00:00"
    assert found.left_out == {"thinking": 1, "tools": 1}
    assert parse_grok(SAMPLE, "/old")["folder"] == "/old"


def test_older_exports_have_other_names_for_ids_and_times_as_text() -> None:
    message = {"response_id": "1", "sender": "human", "message": "Hello", "create_time": "2025-05-01T09:00:01Z"}
    found = read({"conversation": {"conversation_id": "g2"}, "responses": [{"response": message}, message]})
    assert [one["content"] for one in found["messages"]] == ["Hello"]
    assert (found.source_id, found.left_out) == ("g2", {"other branches": 1})
    assert found["messages"][0]["timestamp"] == "2025-05-01T09:00:01.000000+00:00"
    assert "label" not in found
    assert read({"conversation": {"id": {"$oid": "o1"}}, "responses": []}).source_id == "o1"


@pytest.mark.parametrize(
    ("sender", "model", "role"),
    [
        ("human", None, "user"),
        ("Human", None, "user"),
        ("assistant", None, "assistant"),
        ("ASSISTANT", None, "assistant"),
        ("grok-3", None, "assistant"),
        ("Grok", None, "assistant"),
        ("tahoe-1", "tahoe-1", "assistant"),
        ("system", None, "system"),
    ],
)
def test_roles(sender: str, model: Optional[str], role: str) -> None:
    assert said(response("1", None, sender, "Hello", 1, model=model)) == [f"{role}: Hello"]


# Branches


TREE = [
    asked("1", None, "Old", 1),
    answered("2", "1", "Old answer", 2),
    asked("3", None, "New", 3),
    answered("4", "3", "First try", 4),
    answered("5", "3", "Answer", 5),
]


def test_the_branch_that_was_shown_last_is_taken() -> None:
    assert said(*TREE) == said(*reversed(TREE)) == ["user: New", "assistant: Answer"]
    assert read(chat(*TREE)).left_out == {"other branches": 3}
    assert said(*TREE, leaf_response_id="4") == ["user: New", "assistant: First try"]
    assert said(*TREE, leaf_response_id="gone") == ["user: New", "assistant: Answer"]


def test_without_parents_it_is_the_order_of_the_times() -> None:
    flat = [asked("1", None, "A", 1), answered("2", None, "B", 2), asked("3", None, "C", 3), answered("4", "3", "D", 4)]
    assert said(*flat[:3]) == said(*reversed(flat[:3])) == ["user: A", "assistant: B", "user: C"]
    assert said(*flat) == ["user: A", "assistant: B", "user: C", "assistant: D"], "only newer ones name their parent"


# What an answer consists of


def card(kind: str) -> str:
    return f'<grok:render card_id="1" card_type="x" type="{kind}">\n<argument name="id">8</argument>\n</grok:render>'


CITED, PICTURE = card("render_inline_citation"), card("render_searched_image")
DOCUMENT = '<xaiArtifact artifact_id="a" title="b.py" contentType="text/python">\nx = 1\n</xaiArtifact>'


@pytest.mark.parametrize(
    ("text", "shown", "left_out"),
    [
        (f"Port 9100.{CITED}{CITED} Good.", "Port 9100. Good.", {}),
        (f"Look:\n{PICTURE}\nDone.", "Look:\n[image]\nDone.", {}),
        ('A <grok:render type="render_map"/>B', "A B", {"unknown: card render_map": 1}),
        ("The tag `<grok:render>` shows.", "The tag `<grok:render>` shows.", {}),
        ("A <grok:render without an end", "A <grok:render without an end", {}),
        (DOCUMENT, "[b.py]\nx = 1", {}),
    ],
)
def test_marks_of_an_answer(text: str, shown: str, left_out: Dict[str, int]) -> None:
    assert said(answered("1", None, text)) == [f"assistant: {shown}"]
    assert read(chat(answered("1", None, text))).left_out == left_out
    assert said(asked("1", None, text)) == [f"user: {text}"], "what a user writes stays as it is"


def test_a_document_stands_once_where_it_was_changed_last() -> None:
    def document(text: str) -> str:
        return f'<xaiArtifact artifact_id="a" artifact_version_id="{text}" title="List">\n{text}\n</xaiArtifact>'

    responses = [
        asked("1", None, "Write", 1),
        answered("2", "1", f"Here.\n{document('Tent.')}", 2),
        asked("3", "2", "Longer", 3),
        answered("4", "3", document("Tent, map."), 4),
    ]
    assert said(*responses) == ["user: Write", "assistant: Here.", "user: Longer", "assistant: [List]\nTent, map."]


OTHERS: List[Tuple[Dict[str, Any], List[str], Dict[str, int]]] = [
    (answered("2", "1", "", error="Failed to respond."), [], {"errors": 1}),
    (answered("2", "1", "Half", error="Cut off."), ["assistant: Half"], {}),
    (answered("2", "1", None), [], {"empty": 1}),
    (asked("2", "1", "", query="A red bicycle"), ["user: A red bicycle"], {}),
    (answered("2", "1", "A", thinking_trace="Hm.", web_search_results=[{}]), ["assistant: A"],
     {"thinking": 1, "tools": 1}),
    (asked("2", "1", "A", file_attachments=[{"name": "plan.pdf"}, None]), ["user: A\n[plan.pdf]"], {}),
    (answered("2", "1", 7), [], {"unknown: a message that is no text": 1, "empty": 1}),
    (answered("2", "1", "A", file_attachments="x"), ["assistant: A"],
     {"unknown: file_attachments that are no list": 1}),
    (response("2", "1", "nobody", "A", 1), [], {"unknown: role nobody": 1}),
    ({"response": None}, [], {"unknown: a message with response": 1}),
    ({"response": {"_id": "2"}}, [], {"unknown: a message with _id": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("item", "expected", "left_out"), OTHERS)
def test_what_is_left_out_is_counted(item: Dict[str, Any], expected: List[str], left_out: Dict[str, int]) -> None:
    first = asked("1", None, "Hello")
    assert said(first, item) == ["user: Hello", *expected]
    assert read(chat(first, item)).left_out == left_out


@pytest.mark.parametrize("begin", ["<grok:render ", "<grok:render>", "<xaiArtifact ", '<xaiArtifact title="'])
def test_tags_without_an_end_take_no_long_time(begin: str) -> None:
    assert len(said(answered("1", None, begin * 20_000))) == 1  # it would take an hour, not a second


# Shapes that none has


@pytest.mark.parametrize("responses", [None, {}, "x", 7])
def test_responses_that_are_no_list(responses: Any) -> None:
    with pytest.raises(Unreadable, match="'responses' is not a list"):
        read({"conversation": {}, "responses": responses})


@pytest.mark.parametrize("item", [7, None, "Hello", [], {}, {"response": 7}, {"response": {"text": "Hello"}}])
def test_a_conversation_of_which_nothing_is_understood_is_none(item: Any) -> None:
    with pytest.raises(Unreadable, match="no readable messages"):
        read(chat(item))


def test_wrong_types_are_no_exceptions_and_never_lost_in_silence() -> None:
    check_mutations(read, SAMPLE, optional=("generated_image_urls",))
    check_mutations(read, chat(*TREE))


# Files


@pytest.mark.parametrize("key_first", [True, False])
def test_the_archive(key_first: bool, tmp_path: Path) -> None:
    others: Dict[str, Any] = {"projects": [{"name": "Garden"}], "tasks": [], "media_posts": [{"original_prompt": "A"}]}
    conversations = {"conversations": [SAMPLE, chat(asked("1", None, "Hello"), id="g2", title="Other")]}
    backend = {**others, **conversations} if key_first else {**conversations, **others}
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        base = "ttl/30d/export_data/3f/"
        archive.writestr(base + "prod-grok-backend.json", json.dumps(backend))
        archive.writestr(base + "prod-mc-auth-mgmt-api.json", json.dumps({"user": {"email": "a@example.org"}}))
        archive.writestr(base + "prod-mc-billing.json", json.dumps({"balance": 0}))
        archive.writestr(base + "prod-mc-asset-server/0b7f/content", b"\x89PNG")
    reader = read_export(path)
    assert [item["label"] for item in reader if isinstance(item, ReadConversation)] == ["Plans", "Other"]
    assert getattr(reader, "left_out") == {  # noqa: B009 - the iterator's own attribute
        f"file {base}prod-mc-auth-mgmt-api.json": 1,
        f"file {base}prod-mc-billing.json": 1,
        "other files": 1,
        "'projects' beside the conversations": 1,
        "'media_posts' beside the conversations": 1,
    }


def test_its_kind_is_found() -> None:
    kind = find_kind(SAMPLE)
    assert kind is not None
    assert kind.name == "Grok"
