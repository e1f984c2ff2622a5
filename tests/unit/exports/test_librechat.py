"""What a conversation of LibreChat says, and what is left out of it and counted."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pytest

from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._kinds import find_kind
from sekha.exports._librechat import parse_librechat
from unit.exports.mutations import check_mutations

ROOT = "00000000-0000-0000-0000-000000000000"


def at(second: int) -> str:
    return f"2025-05-01T09:00:{second:02}.250Z"


def message(id: str, parent: Any, is_user: Any, text: Any, second: int = 0, **more: Any) -> Dict[str, Any]:
    link = {"messageId": id, "parentMessageId": parent, "createdAt": at(second), "error": False}
    return {**link, "isCreatedByUser": is_user, "sender": "User" if is_user else "GPT-4", "text": text, **more}


def asked(id: str, parent: Any, text: Any, second: int = 0, **more: Any) -> Dict[str, Any]:
    return message(id, parent, True, text, second, **more)


def answered(id: str, parent: Any, text: Any, second: int = 0, **more: Any) -> Dict[str, Any]:
    return message(id, parent, False, text, second, **more)


def flat(*messages: Any, **more: Any) -> Dict[str, Any]:
    about = {"conversationId": "l1", "endpoint": "openAI", "title": "Plans", "exportAt": "09:00:00 GMT+0000"}
    return {**about, "branches": True, "recursive": False, "messages": list(messages), **more}


def tree(*messages: Dict[str, Any]) -> Dict[str, Any]:
    """The same as `flat`, with each message in that which it follows."""
    copies: Dict[str, Dict[str, Any]] = {one["messageId"]: {**one, "children": []} for one in messages}
    above: List[Dict[str, Any]] = []
    for one in copies.values():
        parent = copies.get(one["parentMessageId"])
        (above if parent is None else parent["children"]).append(one)
    data = flat(recursive=True, messagesTree=above)
    del data["messages"]
    return data


def read(data: Dict[str, Any]) -> ReadConversation:
    return parse_librechat(data, None)


def said(data: Dict[str, Any]) -> List[str]:
    return [f"{message['role']}: {message['content']}" for message in read(data)["messages"]]


LINE = [
    asked("1", ROOT, "Which port?", 1, files=[{"filename": "plan.pdf"}, {"type": "image/png", "filename": "a"}]),
    answered("2", "1", "Port 9100.", 2),
    answered("3", "2", "", 3, content=[{"type": "think", "think": "Hm."}, {"type": "text", "text": {"value": "Yes."}}]),
]


@pytest.mark.parametrize("data", [flat(*LINE), tree(*LINE)])
def test_a_conversation(data: Dict[str, Any]) -> None:
    found = read(data)
    assert found == {
        "label": "Plans",
        "folder": "/librechat",
        "messages": [
            {
                "role": "user",
                "content": "Which port?\n[plan.pdf]\n[image]",
                "timestamp": "2025-05-01T09:00:01.250000+00:00",
            },
            {"role": "assistant", "content": "Port 9100.", "timestamp": "2025-05-01T09:00:02.250000+00:00"},
            {"role": "assistant", "content": "Yes.", "timestamp": "2025-05-01T09:00:03.250000+00:00"},
        ],
    }
    assert found.source_id == "l1"
    assert found.created_at == "2025-05-01T09:00:01.250000+00:00"
    assert found.updated_at == "2025-05-01T09:00:03.250000+00:00"
    assert found.left_out == {"thinking": 1}
    assert parse_librechat(data, "/old")["folder"] == "/old"


def test_a_tree_that_hangs_on_one_root() -> None:
    children = tree(*LINE)["messagesTree"]
    for root in ({"children": children}, children[0]):
        assert len(read(flat(messages=root))["messages"]) == 3
    assert len(read(flat(messages=children))["messages"]) == 3


def test_a_long_tree_is_no_deep_recursion() -> None:
    deep: Dict[str, Any] = asked("0", ROOT, "End", 59)
    for number in range(1, 3000):
        deep = {**answered(str(number), "", str(number)), "parentMessageId": None, "children": [deep]}
    assert len(read(flat(messagesTree=[deep]))["messages"]) == 3000


# Branches


TREE = [
    asked("1", ROOT, "Old", 1),
    answered("2", "1", "Old answer", 2),
    asked("3", ROOT, "New", 3),
    answered("4", "3", "First try", 4),
    answered("5", "3", "Answer", 5),
]


def test_the_branch_with_the_latest_message_is_taken() -> None:
    for data in (flat(*TREE), flat(*reversed(TREE)), tree(*TREE)):
        assert said(data) == ["user: New", "assistant: Answer"]
        assert read(data).left_out == {"other branches": 3}
    unsaid = [{**one, "parentMessageId": None} if one["parentMessageId"] == ROOT else one for one in TREE]
    assert said(flat(*unsaid)) == ["user: New", "assistant: Answer"]


def test_messages_below_others_need_no_ids() -> None:
    bare = {"isCreatedByUser": False, "text": "Hi"}
    assert said(flat(messagesTree=[{**bare, "isCreatedByUser": True, "children": [bare]}])) == [
        "user: Hi",
        "assistant: Hi",
    ]


# What a message says


ARTIFACT = ':::artifact{identifier="a" type="text/markdown" title="List"}\n```\nTent.\n```\n:::'
MESSAGES: List[Tuple[Dict[str, Any], List[str], Dict[str, int]]] = [
    (answered("2", "1", "A", content=[{"type": "text", "text": "B"}]), ["assistant: B"], {}),
    (answered("2", "1", "A", content=[]), ["assistant: A"], {}),
    (answered("2", "1", "A", content="B"), ["assistant: B"], {}),
    (answered("2", "1", "A", content=[{"type": "tool_call", "tool_call": {"name": "x"}}]), ["assistant: A"],
     {"tools": 1}),
    (answered("2", "1", "", content=[{"type": "tool_call"}, None, {"type": "error", "error": "Boom"}]), [],
     {"tools": 1, "errors": 1, "empty": 1}),
    (answered("2", "1", "", content=[{"type": "image_file", "image_file": {}}, {"type": "agent_update"}]),
     ["assistant: [image]"], {"hidden": 1}),
    (answered("2", "1", ":::thinking\nHm.\n:::\nA"), ["assistant: A"], {"thinking": 1}),
    (answered("2", "1", '{"type":"no_user_key"}', error=True), [], {"errors": 1}),
    (answered("2", "1", "Half", unfinished=True), ["assistant: Half"], {}),
    (answered("2", "1", ""), [], {"empty": 1}),
    (answered("2", "1", "Sunny \ue202turn0search0."), ["assistant: Sunny."], {}),
    (answered("2", "1", f"Here:\n{ARTIFACT}\nDone."),
     ["assistant: Here:\n[List]\n```\nTent.\n```\n\nDone."], {}),
    (answered("2", "1", "A", attachments=[{"filename": "b.csv", "type": "file"}]), ["assistant: A\n[b.csv]"], {}),
    (asked("2", "1", ":::thinking\nHm.\n:::"), ["user: :::thinking\nHm.\n:::"], {}),
    (asked("2", "1", "A", files="x"), ["user: A"], {"unknown: files that are no list": 1}),
    (asked("2", "1", 7), [], {"unknown: content that is no text": 1}),
    (asked("2", "1", "A", children=7), ["user: A"], {"unknown: children that are no list": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("one", "expected", "left_out"), MESSAGES)
def test_messages(one: Dict[str, Any], expected: List[str], left_out: Dict[str, int]) -> None:
    data = flat(asked("1", ROOT, "Hello"), one)
    assert said(data) == ["user: Hello", *expected]
    assert read(data).left_out == left_out


@pytest.mark.parametrize(
    ("is_user", "sender", "model", "role"),
    [
        (True, "x", None, "user"),
        (False, "User", None, "assistant"),
        (None, "User", None, "user"),
        (None, "assistant", None, "assistant"),
        ("yes", "GPT-4", "gpt-4o", "assistant"),
        (None, "GPT-4", None, None),
        (None, None, "gpt-4o", None),
    ],
)
def test_roles(is_user: Any, sender: Any, model: Any, role: Optional[str]) -> None:
    one = message("2", "1", is_user, "A", sender=sender, model=model)
    found = read(flat(asked("1", ROOT, "Hello"), one))
    assert [message["role"] for message in found["messages"][1:]] == ([] if role is None else [role])
    assert found.left_out == ({} if role else {f"unknown: sender {sender}": 1})


# Shapes that none has


@pytest.mark.parametrize("messages", [7, "x", {"a": 1}, None])
def test_messages_that_are_no_list(messages: Any) -> None:
    with pytest.raises(Unreadable, match="'messages' is not a list"):
        read(flat(messages=messages))
    with pytest.raises(Unreadable, match="'messages' is not a list"):
        read({"conversationId": "l1", "messagesTree": messages})


@pytest.mark.parametrize("one", [7, None, "Hello", [], {}, {"messageId": "1"}, {"sender": "?", "text": "Hello"}])
def test_a_conversation_of_which_nothing_is_understood_is_none(one: Any) -> None:
    with pytest.raises(Unreadable, match="no readable messages"):
        read(flat(one))


def test_an_empty_conversation_is_empty() -> None:
    assert read(flat())["messages"] == []
    assert read(flat(messagesTree=[]))["messages"] == []
    assert read(flat(messages=[], messagesTree=None))["messages"] == []


def test_wrong_types_are_no_exceptions_and_never_lost_in_silence() -> None:
    for data in (flat(*LINE), tree(*LINE), flat(*TREE), tree(*TREE)):
        check_mutations(read, data, optional=("children",))


@pytest.mark.parametrize(
    "data",
    [
        flat(*LINE),
        tree(*LINE),
        flat(),
        flat(messages=None),
        {"conversationId": "l1", "messages": [{"isCreatedByUser": True}]},
        {"conversationId": "l1", "messagesTree": None},
    ],
)
def test_its_kind_is_found(data: Dict[str, Any]) -> None:
    kind = find_kind(data)
    assert kind is not None
    assert kind.name == "LibreChat"


@pytest.mark.parametrize(
    "data", [{"messages": LINE}, {"conversationId": "x", "messages": [{"role": "user", "content": "Hello"}]}]
)
def test_the_plain_form_is_another_kind(data: Dict[str, Any]) -> None:
    kind = find_kind(data)
    assert kind is not None
    assert kind.name == "the plain form"
