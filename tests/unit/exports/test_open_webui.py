"""What a chat of Open WebUI says, and what is left out of it and counted."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pytest

from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._kinds import find_kind
from sekha.exports._open_webui import parse_open_webui
from unit.exports.mutations import check_mutations

MAY = 1746090000


def message(id: str, parent: Optional[str], role: str, content: Any, second: int = 0, **more: Any) -> Dict[str, Any]:
    link: Dict[str, Any] = {"id": id, "parentId": parent, "childrenIds": []}
    return {**link, "role": role, "content": content, "timestamp": MAY + second, **more}


def asked(id: str, parent: Optional[str], content: Any, second: int = 0, **more: Any) -> Dict[str, Any]:
    return message(id, parent, "user", content, second, **more)


def answered(id: str, parent: Optional[str], content: Any, second: int = 0, **more: Any) -> Dict[str, Any]:
    return message(id, parent, "assistant", content, second, **more)


def inner(*messages: Dict[str, Any], current: Any = None, **more: Any) -> Dict[str, Any]:
    tree = {one["id"]: one for one in messages}
    return {"title": "Plans", "history": {"messages": tree, "currentId": current}, "messages": [], **more}


def chat(*messages: Dict[str, Any], current: Any = None, **more: Any) -> Dict[str, Any]:
    about = {"id": "o1", "title": "Plans", "created_at": MAY, "updated_at": MAY + 60}
    return {**about, "chat": inner(*messages, current=current), **more}


def read(data: Dict[str, Any]) -> ReadConversation:
    return parse_open_webui(data, None)


def said(data: Dict[str, Any]) -> List[str]:
    return [f"{message['role']}: {message['content']}" for message in read(data)["messages"]]


THOUGHT = '<details type="reasoning" done="true"><summary>Thought</summary>\n> Hm.\n</details>\n'
SAMPLE = chat(
    asked("1", None, "Which port?", 1, files=[{"type": "image", "url": "data:"}, {"type": "file", "name": "plan.pdf"}]),
    answered("2", "1", f"{THOUGHT}Port 9100.", 2, done=True),
    asked("3", "2", [{"type": "text", "text": "And now?"}, {"type": "image_url", "image_url": {"url": "data:"}}], 3),
    current="3",
)


def test_a_chat() -> None:
    found = read(SAMPLE)
    assert found == {
        "label": "Plans",
        "messages": [
            {
                "role": "user",
                "content": "Which port?\n[image]\n[plan.pdf]",
                "timestamp": "2025-05-01T09:00:01.000000+00:00",
            },
            {"role": "assistant", "content": "Port 9100.", "timestamp": "2025-05-01T09:00:02.000000+00:00"},
            {"role": "user", "content": "And now?\n[image]", "timestamp": "2025-05-01T09:00:03.000000+00:00"},
        ],
    }
    assert found.source_id == "o1"
    assert found.created_at == "2025-05-01T09:00:00.000000+00:00"
    assert found.updated_at == "2025-05-01T09:01:00.000000+00:00"
    assert found.left_out == {"thinking": 1}
    assert parse_open_webui(SAMPLE, "/old")["folder"] == "/old"


@pytest.mark.parametrize(
    ("phases", "answer", "left_out"),
    [
        ([{"content": "Hm.", "phase": "think"}, {"content": "Port 9100.", "phase": "answer"}], True, {"thinking": 1}),
        ([{"content": "", "phase": "web_search"}, {"content": "Port 9100.", "phase": None}], True, {"tools": 1}),
        ([{"content": "Hm.", "phase": "thinking_summary"}], False, {"thinking": 1, "empty": 1}),
        ([7], False, {"unknown: an item of content_list that is no JSON object": 1, "empty": 1}),
        ("x", False, {"unknown: content_list that is no list": 1, "empty": 1}),
        (None, False, {"empty": 1}),
    ],
)
def test_an_answer_of_qwen(phases: Any, answer: bool, left_out: Dict[str, int]) -> None:
    found = read(chat(asked("1", None, "Which port?"), answered("2", "1", "", content_list=phases)))
    assert [one["content"] for one in found["messages"]] == ["Which port?", "Port 9100."][: 1 + answer]
    assert found.left_out == left_out


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_times_of_all_units(unit: int) -> None:
    found = read(chat({**asked("1", None, "Hello"), "timestamp": MAY * unit}, created_at=MAY * unit))
    assert found.created_at == found["messages"][0]["timestamp"] == "2025-05-01T09:00:00.000000+00:00"


def test_a_single_chat_without_what_the_server_knows_of_it() -> None:
    found = read(inner(*SAMPLE["chat"]["history"]["messages"].values(), current="3", id="o2", timestamp=MAY * 1000))
    assert found["messages"] == read(SAMPLE)["messages"]
    assert (found["label"], found.source_id) == ("Plans", "o2")
    assert found.created_at == "2025-05-01T09:00:00.000000+00:00"
    assert read(inner(asked("1", None, "Hello"), id="")).source_id is None


def test_older_chats_have_a_list_of_messages() -> None:
    messages: List[Any] = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    older: List[Dict[str, Any]] = [
        {"title": "Old", "chat": {"messages": messages}},
        {"chat": {"title": "Old", "history": {}, "messages": messages}},
        {"chat": {"title": "Old", "history": {"messages": {}}, "messages": messages}},
        {"chat": {"title": "Old", "history": {"messages": messages}}},
    ]
    for one in older:
        assert said(one) == ["user: Hello", "assistant: Hi"]
        assert read(one)["label"] == "Old"
    linked = [asked("1", None, "Old", 1), asked("2", None, "New", 2), answered("3", "2", "Hi", 3)]
    assert said({"chat": {"messages": linked}}) == ["user: New", "assistant: Hi"]


def test_the_title_of_the_chat_is_taken_where_the_server_has_none() -> None:
    assert read(chat(asked("1", None, "Hello"), title=""))["label"] == "Plans"


# Branches


TREE = [
    asked("1", None, "Old", 1),
    answered("2", "1", "Old answer", 2),
    asked("3", None, "New", 3),
    answered("4", "3", "Answer of one model", 4, model="a", modelIdx=0),
    answered("5", "3", "Answer of another", 5, model="b", modelIdx=1),
    asked("6", "4", "Thanks", 6),
]


def test_the_branch_that_was_shown_last_is_taken() -> None:
    assert said(chat(*TREE, current="6")) == ["user: New", "assistant: Answer of one model", "user: Thanks"]
    assert said(chat(*TREE, current="5")) == ["user: New", "assistant: Answer of another"]
    assert said(chat(*TREE, current="2")) == ["user: Old", "assistant: Old answer"]
    assert said(chat(*TREE)) == said(chat(*TREE, current="gone")) == said(chat(*TREE, current="6"))
    assert read(chat(*TREE, current="6")).left_out == {"other branches": 3}


def test_a_parent_that_is_missing_is_a_gap() -> None:
    assert said(chat(TREE[0], TREE[3], TREE[5], current="6"))[-2:] == ["assistant: Answer of one model", "user: Thanks"]


# What a message says


MESSAGES: List[Tuple[Dict[str, Any], List[str], Dict[str, int]]] = [
    (answered("2", "1", "A", merged={"status": True, "content": "Both say B"}), ["assistant: A\nBoth say B"], {}),
    (answered("2", "1", "", output=[{"type": "reasoning"},
                                    {"type": "message", "content": [{"type": "output_text", "text": "A"}]}]),
     ["assistant: A"], {}),
    (answered("2", "1", "A", output=[{"type": "message", "content": "A"}]), ["assistant: A"], {}),
    (answered("2", "1", "", error={"content": "No model"}), [], {"errors": 1}),
    (answered("2", "1", ""), [], {"empty": 1}),
    (answered("2", "1", THOUGHT), [], {"thinking": 1, "empty": 1}),
    (answered("2", "1", None, files=[{"type": "image", "url": "/x"}]), ["assistant: [image]"], {}),
    (asked("2", "1", "A", images=["iVBOR", "iVBOR"]), ["user: A\n[image]\n[image]"], {}),
    (asked("2", "1", THOUGHT), [f"user: {THOUGHT.strip()}"], {}),
    (message("2", "1", "system", "Be kind"), [], {"system": 1}),
    (message("2", "1", "tool", "18C"), [], {"tools": 1}),
    (message("2", "1", "critic", "A"), [], {"unknown: role critic": 1}),
    (asked("2", "1", [{"type": "hologram"}, {"type": "text", "text": "A"}]), ["user: A"],
     {"unknown: part hologram": 1}),
    (asked("2", "1", "A", files={}), ["user: A"], {"unknown: files that are no list": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("one", "expected", "left_out"), MESSAGES)
def test_messages(one: Dict[str, Any], expected: List[str], left_out: Dict[str, int]) -> None:
    data = chat(asked("1", None, "Hello"), one, current="2")
    assert said(data) == ["user: Hello", *expected]
    assert read(data).left_out == left_out


@pytest.mark.parametrize("more", [{"system": "Be kind"}, {"params": {"system": "Be kind"}}])
def test_a_prompt_of_the_system_is_counted(more: Dict[str, Any]) -> None:
    data = {"chat": inner(asked("1", None, "Hello"), **more)}
    assert read(data).left_out == {"system": 1}
    assert read({"chat": inner(asked("1", None, "Hello"), system="", params={"system": 7})}).left_out == {}


# Shapes that none has


@pytest.mark.parametrize(
    "data",
    [
        {"chat": {"history": 7}},
        {"chat": {"history": {"messages": 7}}},
        {"chat": {"history": {"messages": "x"}, "messages": []}},
        {"chat": {"history": None, "messages": []}},
        {"chat": {"messages": 7}},
        {"chat": {}},
    ],
)
def test_a_chat_without_messages(data: Dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match="'history' has no messages"):
        read(data)


@pytest.mark.parametrize("one", [7, None, "Hello", [], {}, {"id": "1"}, {"role": "nobody", "content": "Hello"}])
def test_a_chat_of_which_nothing_is_understood_is_none(one: Any) -> None:
    with pytest.raises(Unreadable, match="no readable messages"):
        read({"chat": {"history": {"messages": {"1": one}}}})


def test_an_empty_chat_is_empty() -> None:
    empty: List[Dict[str, Any]] = [chat(), {"chat": {"history": {}, "messages": []}}, {"chat": {"messages": []}}]
    for data in empty:
        assert read(data)["messages"] == []


def test_wrong_types_are_no_exceptions_and_never_lost_in_silence() -> None:
    for data in (SAMPLE, chat(*TREE, current="6"), SAMPLE["chat"]):
        check_mutations(read, data, optional=("messages",))
    check_mutations(read, {"chat": {"messages": TREE[:2]}})


@pytest.mark.parametrize(
    "data", [SAMPLE, SAMPLE["chat"], {"chat": {"messages": []}}, {"chat": {"history": {"currentId": None}}}]
)
def test_its_kind_is_found(data: Dict[str, Any]) -> None:
    kind = find_kind(data)
    assert kind is not None
    assert kind.name == "Open WebUI"


@pytest.mark.parametrize(
    "data",
    [
        {"messages": [], "history": []},
        {"chat": "x", "messages": []},
        {"chat": {"id": 1}, "messages": [], "history": {}},
    ],
)
def test_other_kinds_are_others(data: Dict[str, Any]) -> None:
    kind = find_kind(data)
    assert kind is not None
    assert kind.name == "the plain form"
