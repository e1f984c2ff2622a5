"""What a conversation of DeepSeek says, and what is left out of it and counted."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pytest

from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._deepseek import parse_deepseek
from sekha.exports._kinds import find_kind
from unit.exports import chats
from unit.exports.mutations import check_mutations


def node(id: str, parent: Optional[str], *fragments: Any, **message: Any) -> Dict[str, Any]:
    """A node; fragments are pairs of kind and content. Without anything, it has no message."""
    if fragments:
        message["fragments"] = [
            {"type": one[0], "content": one[1]} if isinstance(one, tuple) else one for one in fragments
        ]
    return {"id": id, "parent": parent, "children": [], "message": message or None}


def asked(id: str, parent: Optional[str], text: str, **message: Any) -> Dict[str, Any]:
    return node(id, parent, ("REQUEST", text), **message)


def answered(id: str, parent: Optional[str], text: str, **message: Any) -> Dict[str, Any]:
    return node(id, parent, ("THINK", "Hm."), ("RESPONSE", text), **message)


def chat(*nodes: Dict[str, Any], **more: Any) -> Dict[str, Any]:
    mapping = {"root": node("root", None), **{one["id"]: one for one in nodes}}
    return {"id": "d1", "title": "Plans", "inserted_at": at(0), "updated_at": at(9), "mapping": mapping, **more}


def at(second: int) -> str:
    return f"2025-05-01T17:00:{second:02}.635000+08:00"


def read(data: Dict[str, Any]) -> ReadConversation:
    return parse_deepseek(data, None)


def said(*nodes: Dict[str, Any], **more: Any) -> List[str]:
    return [f"{message['role']}: {message['content']}" for message in read(chat(*nodes, **more))["messages"]]


SAMPLE = chat(
    asked("1", "root", "Which port?", inserted_at=at(1), model=None, files=[{"file_name": "plan.pdf", "content": "P"}]),
    answered("2", "1", "Port 9100.", inserted_at=at(2), model="deepseek-reasoner", files=[]),
    asked("3", "2", "And now?", inserted_at=at(3), files=[]),
)


def test_a_conversation() -> None:
    found = read(SAMPLE)
    assert found == {
        "label": "Plans",
        "folder": "/deepseek",
        "messages": [
            {
                "role": "user",
                "content": "Which port?\n[plan.pdf]\nP",
                "timestamp": "2025-05-01T09:00:01.635000+00:00",
            },
            {"role": "assistant", "content": "Port 9100.", "timestamp": "2025-05-01T09:00:02.635000+00:00"},
            {"role": "user", "content": "And now?", "timestamp": "2025-05-01T09:00:03.635000+00:00"},
        ],
    }
    assert found.source_id == "d1"
    assert found.created_at == "2025-05-01T09:00:00.635000+00:00"
    assert found.updated_at == "2025-05-01T09:00:09.635000+00:00"
    assert found.left_out == {"thinking": 1}
    assert parse_deepseek(SAMPLE, "/old")["folder"] == "/old"


OLD = [
    node("1", "root", content="Which port?"),
    node("2", "1", content="Port 9100.", reasoning_content="It is 9100."),
    node("3", "2", content=""),
    node("4", "3", content="Sorry?"),
]


def test_older_exports_do_not_say_who_speaks() -> None:
    assert said(*OLD) == ["user: Which port?", "assistant: Port 9100.", "assistant: Sorry?"]
    assert read(chat(*OLD)).left_out == {"thinking": 1, "empty": 1}


def test_a_role_is_taken_where_there_is_one() -> None:
    nodes = [node("1", "root", content="A", role="ASSISTANT"), node("2", "1", content="B")]
    assert said(*nodes) == ["assistant: A", "user: B"]


def test_the_latest_branch_is_taken() -> None:
    tree = [
        asked("1", "root", "Old", inserted_at=at(1)),
        answered("2", "1", "Old answer", inserted_at=at(2)),
        asked("3", "root", "New", inserted_at=at(3)),
        answered("4", "3", "Answer", inserted_at=at(5)),
        answered("5", "3", "First try", inserted_at=at(4)),
    ]
    assert said(*tree) == said(*reversed(tree)) == ["user: New", "assistant: Answer"]
    assert read(chat(*tree)).left_out == {"other branches": 3, "thinking": 1}
    assert said(*tree, current_node="5") == ["user: New", "assistant: First try"]
    without = [{key: value for key, value in one.items() if key != "parent"} for one in tree[:2]]
    without[0]["children"] = ["2"]
    assert said(*reversed(without)) == ["user: Old", "assistant: Old answer"]


FRAGMENTS: List[Tuple[List[Any], List[str], Dict[str, int]]] = [
        ([("RESPONSE", "A"), ("THINK", "B"), ("RESPONSE", "C")], ["assistant: A\nC"], {"thinking": 1}),
        ([("REQUEST", "A"), ("RESPONSE", "B")], ["user: A", "assistant: B"], {}),
        ([("request", "A")], ["user: A"], {}),
        ([("SEARCH", "x"), ("TOOL_OPEN", None), ("RESPONSE", "A")], ["assistant: A"], {"tools": 2}),
        ([("FILE", None), ("REQUEST", "A")], ["user: [file]\nA"], {}),
        ([("REQUEST", "A"), ("HOLOGRAM", "B")], ["user: A"], {"unknown: fragment HOLOGRAM": 1}),
        ([("REQUEST", "A"), 7, {}], ["user: A"],
         {"unknown: a fragment that is no JSON object": 1, "unknown: fragment None": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("fragments", "expected", "left_out"), FRAGMENTS)
def test_fragments(fragments: List[Any], expected: List[str], left_out: Dict[str, int]) -> None:
    assert said(node("1", "root", *fragments)) == expected
    assert read(chat(node("1", "root", *fragments))).left_out == left_out


@pytest.mark.parametrize(
    ("message", "left_out"),
    [
        ({"fragments": []}, "empty"),
        ({"fragments": None}, "empty"),
        ({"content": None}, "unknown: a message with content"),
        ({"content": 7}, "unknown: content that is no text"),
        ({"fragments": 7}, "unknown: fragments that are no list"),
        ({"content": "A", "role": "critic"}, "unknown: role critic"),
        ({"body": "A"}, "unknown: a message with body"),
        ({"fragments": [{"type": "THINK", "content": "A"}]}, "thinking"),
    ],
)
def test_what_is_left_out_is_counted(message: Dict[str, Any], left_out: str) -> None:
    found = read(chat(asked("1", "root", "Hello"), node("2", "1", **message)))
    assert len(found["messages"]) == 1
    assert found.left_out == {left_out: 1}


def test_a_conversation_of_which_nothing_is_understood_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="fragment NEW"):
        read(chat(node("1", "root", ("NEW", "x"))))
    with pytest.raises(Unreadable, match="'mapping' is not a JSON object"):
        read(chat(mapping=[]))
    with pytest.raises(Unreadable, match="'mapping' is not a JSON object"):
        read({"title": "Plans", "turns": [{"speaker": "human", "body": "Hi"}]})


@pytest.mark.parametrize(
    "data",
    [
        SAMPLE,
        {"inserted_at": None, "mapping": {}},
        {"mapping": {"root": node("root", None), "1": node("1", "root", content="A")}},
        {"mapping": {"1": asked("1", None, "A")}},
    ],
)
def test_it_is_told_from_chatgpt(data: Dict[str, Any]) -> None:
    kind = find_kind(data)
    assert kind is not None
    assert kind.name == "DeepSeek"
    other = find_kind(chats.line(chats.node("q", None, "Hello")))
    assert other is not None
    assert other.name == "ChatGPT"


def test_wrong_types_are_no_exceptions_and_never_lost_in_silence() -> None:
    check_mutations(read, SAMPLE, optional=("mapping", "message"))
    check_mutations(read, chat(*OLD[:2]), optional=("mapping", "message"))
