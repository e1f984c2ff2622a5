"""What a conversation of LM Studio says, and what is left out of it and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from sekha.exports import read_export
from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._kinds import find_kind, read_conversation
from sekha.exports._lm_studio import parse_lm_studio
from unit.exports.mutations import check_mutations

MAY = 1746090000000


def text(words: Any, **more: Any) -> Dict[str, Any]:
    return {"type": "text", "text": words, **more}


def block(*content: Any, **more: Any) -> Dict[str, Any]:
    """A step; plain strings are text."""
    parts = [text(part) if isinstance(part, str) else part for part in content]
    return {"type": "contentBlock", "stepIdentifier": f"{MAY + 2000}-0.25", "content": parts, **more}


def single(role: str, *content: Any, **more: Any) -> Dict[str, Any]:
    parts = [text(part) if isinstance(part, str) else part for part in content]
    return {"type": "singleStep", "role": role, "content": parts, **more}


def steps(*given: Any, **more: Any) -> Dict[str, Any]:
    return {"type": "multiStep", "role": "assistant", "steps": list(given), **more}


def message(*versions: Any, selected: Any = 0) -> Dict[str, Any]:
    return {"versions": list(versions), "currentlySelected": selected}


def chat(*messages: Any, **more: Any) -> Dict[str, Any]:
    times = {"createdAt": MAY, "userLastMessagedAt": MAY + 60000, "assistantLastMessagedAt": MAY + 61500}
    return {"name": "Plans", **times, "systemPrompt": "", "messages": list(messages), **more}


def read(data: Dict[str, Any]) -> ReadConversation:
    return parse_lm_studio(data, None)


def said(data: Dict[str, Any]) -> List[str]:
    return [f"{message['role']}: {message['content']}" for message in read(data)["messages"]]


THINKING = {"type": "thinking", "ended": True, "title": "Thought for 3 seconds"}
SAMPLE = chat(
    message(single("user", "Which port?", {"type": "file", "fileIdentifier": "1.jpg", "fileType": "image"})),
    message(steps(block("Hm.", style=THINKING), block("Port 9100."))),
    message(single("user", "Why?", {"type": "file", "fileIdentifier": "plan.pdf", "fileType": "text/pdf"})),
)


def test_a_conversation() -> None:
    found = read(SAMPLE)
    assert found == {
        "label": "Plans",
        "folder": "/lm-studio",
        "messages": [
            {"role": "user", "content": "Which port?\n[image]"},
            {"role": "assistant", "content": "Port 9100.", "timestamp": "2025-05-01T09:00:02.000000+00:00"},
            {"role": "user", "content": "Why?\n[plan.pdf]"},
        ],
    }
    assert found.created_at == "2025-05-01T09:00:00.000000+00:00"
    assert found.updated_at == "2025-05-01T09:01:01.500000+00:00"
    assert found.left_out == {"thinking": 1}
    assert parse_lm_studio(SAMPLE, "/old")["folder"] == "/old"


@pytest.mark.parametrize(
    ("selected", "shown"),
    [(0, "First"), (1, "Second"), (None, "Second"), (7, "Second"), (-1, "Second"), (True, "Second")],
)
def test_the_selected_version_is_taken(selected: Any, shown: str) -> None:
    data = chat(
        message(single("user", "Hello")), message(steps(block("First")), steps(block("Second")), selected=selected)
    )
    assert said(data) == ["user: Hello", f"assistant: {shown}"]
    assert read(data).left_out == {"other branches": 1}


VERSIONS: List[Tuple[Dict[str, Any], List[str], Dict[str, int]]] = [
    (single("assistant", "A"), ["assistant: A"], {}),
    (steps(block("A"), block("B", "C")), ["assistant: A\nB\nC"], {}),
    (single("assistant", "<think>Hm.</think>\nA"), ["assistant: A"], {"thinking": 1}),
    (steps(block("Hm.", prefix="<|channel|>analysis<|message|>"), block("A")), ["assistant: A"], {"thinking": 1}),
    (steps(block(text("<|channel|>final<|message|>", isStructural=True), "A")), ["assistant: A"], {}),
    (steps(block({"type": "toolCallRequest", "name": "x"}), block({"type": "toolCallResult", "content": "[]"}),
           block("A")), ["assistant: A"], {"tools": 2}),
    (steps({"type": "debugInfoBlock", "debugInfo": "x"}, {"type": "citationBlock"}, {"type": "status"}, block("A")),
     ["assistant: A"], {"hidden": 3}),
    (steps(block("Hm.", style=THINKING)), [], {"thinking": 1}),
    (steps(block("")), [], {"empty": 1}),
    (steps(), [], {"empty": 1}),
    (steps({"type": "hologram"}, 7, block("A")), ["assistant: A"],
     {"unknown: step hologram": 1, "unknown: a step that is no JSON object": 1}),
    (steps({"type": "newBlock", "content": [text("A")]}), ["assistant: A"], {}),
    ({"role": "assistant", "steps": "x"}, [], {"unknown: steps that are no list": 1}),
    (single("user", "<think>?</think>"), ["user: <think>?</think>"], {}),
    ({"role": "user", "content": "A"}, ["user: A"], {}),
    (single("system", "Be kind"), [], {"system": 1}),
    (single("tool", "18C"), [], {"tools": 1}),
    (single("critic", "A"), [], {"unknown: role critic": 1}),
    ({"type": "singleStep", "content": []}, [], {"unknown: a message with type, content": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("version", "expected", "left_out"), VERSIONS)
def test_versions(version: Dict[str, Any], expected: List[str], left_out: Dict[str, int]) -> None:
    data = chat(message(single("user", "Hello")), message(version))
    assert said(data) == ["user: Hello", *expected]
    assert read(data).left_out == left_out


PROMPTS: List[Dict[str, Any]] = [
    {"systemPrompt": "Be kind"},
    {"perChatPredictionConfig": {"fields": [7, {"key": "llm.prediction.systemPrompt", "value": "Be kind"}]}},
]


@pytest.mark.parametrize("more", PROMPTS)
def test_a_prompt_of_the_system_is_counted(more: Dict[str, Any]) -> None:
    assert read(chat(message(single("user", "Hello")), **more)).left_out == {"system": 1}


def test_a_time_is_taken_from_a_step_only_where_it_is_one() -> None:
    for identifier in ("x-0.25", "1-2", 7, None):
        data = chat(message(steps(block("A", stepIdentifier=identifier))))
        assert "timestamp" not in read(data)["messages"][0]
    data = chat(message(steps(block("A", stepIdentifier=None), block("B"))))
    assert read(data)["messages"][0].get("timestamp") == "2025-05-01T09:00:02.000000+00:00"


# Its file


@pytest.mark.parametrize(
    ("place", "id", "folder"),
    [
        ("1746090000000.conversation.json", "1746090000000", "/lm-studio"),
        ("1746090000000.conversation.json, line 1", "1746090000000", "/lm-studio"),
        ("work/plans/1746090000000.conversation.json", "1746090000000", "/lm-studio/work/plans"),
        ("a/conversations/work/1746090000000.conversation.json", "1746090000000", "/lm-studio/work"),
        ("conversations/1746090000000.conversation.json", "1746090000000", "/lm-studio"),
        ("a\tb/../1746090000000.conversation.json", "1746090000000", "/lm-studio/a b"),
        ("work/Plans.conversation.json", None, "/lm-studio"),
        ("1746090000000.json", None, "/lm-studio"),
    ],
)
def test_the_place_of_a_file_is_its_id_and_folder(place: str, id: Any, folder: str) -> None:
    found = read_conversation(SAMPLE, place, None, find_kind(SAMPLE))
    assert isinstance(found, ReadConversation), found
    assert (found.source_id, found["folder"], found.place) == (id, folder, place)
    asked = read_conversation(SAMPLE, place, "/old", find_kind(SAMPLE))
    assert isinstance(asked, ReadConversation), asked
    assert (asked.source_id, asked["folder"]) == (id, "/old")


def test_the_folder_of_the_application(tmp_path: Path) -> None:
    work = tmp_path / "conversations" / "work"
    work.mkdir(parents=True)
    for number, folder in enumerate((work.parent, work)):
        path = folder / f"{MAY + number}.conversation.json"
        path.write_text(json.dumps({**SAMPLE, "name": folder.name}, indent=2), encoding="utf-8")
    for start in (tmp_path, work.parent):
        found = [item for item in read_export(start) if isinstance(item, ReadConversation)]
        assert [(one["label"], one["folder"], one.source_id) for one in found] == [
            ("conversations", "lm-studio", f"{MAY}"),
            ("work", "lm-studio/work", f"{MAY + 1}"),
        ]


# Shapes that none has


@pytest.mark.parametrize("messages", [7, "x", {}, None])
def test_messages_that_are_no_list(messages: Any) -> None:
    with pytest.raises(Unreadable, match="'messages' is not a list"):
        read(chat(messages=messages))


@pytest.mark.parametrize(
    "one", [7, None, [], {}, {"versions": 7}, {"versions": [7]}, message({}), message({"role": 7})]
)
def test_a_conversation_of_which_nothing_is_understood_is_none(one: Any) -> None:
    with pytest.raises(Unreadable, match="no readable messages"):
        read(chat(one))


def test_an_empty_message_is_counted() -> None:
    assert read(chat({"versions": []})).left_out == {"empty": 1}


def test_wrong_types_are_no_exceptions_and_never_lost_in_silence() -> None:
    check_mutations(read, SAMPLE)
    check_mutations(read, chat(message(steps(block("A"))), message(steps(block("B")), steps(block("C")), selected=1)))


KNOWN: List[Dict[str, Any]] = [
    SAMPLE,
    chat(),
    chat(messages=None),
    {"messages": [None, {"versions": []}]},
    {"messages": [{"versions": 7}]},
]


@pytest.mark.parametrize("data", KNOWN)
def test_its_kind_is_found(data: Dict[str, Any]) -> None:
    kind = find_kind(data)
    assert kind is not None
    assert kind.name == "LM Studio"


def test_the_plain_form_is_another_kind() -> None:
    kind = find_kind({"name": "x", "messages": [{"role": "user", "content": "Hello"}]})
    assert kind is not None
    assert kind.name == "the plain form"
