"""Documents of ChatGPT's canvas: the last content of each, once, with its name."""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List, Optional

import pytest

from sekha.exports._chatgpt_canvas import apply_update
from unit.exports.chats import answer, line, node, read, said, text, tool

CREATE, UPDATE = "canmore.create_textdoc", "canmore.update_textdoc"


def call(id: str, recipient: str, payload: Any, *, kind: str = "code", **more: Any) -> Dict[str, Any]:
    arguments = payload if isinstance(payload, str) else json.dumps(payload)
    content = {"content_type": "code", "text": arguments} if kind == "code" else text(arguments)
    return answer(id, None, content, recipient=recipient, **more)


def create(id: str, content: str, name: str = "packing_list", **more: Any) -> Dict[str, Any]:
    return call(id, CREATE, {"name": name, "type": "document", "content": content}, **more)


def update(id: str, *updates: Any, **more: Any) -> Dict[str, Any]:
    pairs = [{"pattern": one[0], "multiple": len(one) > 2, "replacement": one[1]} for one in updates]
    return call(id, UPDATE, {**more, "updates": pairs})


def reply(id: str, textdoc_id: Optional[str] = None, title: Optional[str] = None, **more: Any) -> Dict[str, Any]:
    canvas = {"textdoc_id": textdoc_id, "title": title} if textdoc_id else None
    content = more.pop("content", text("Successfully did it"))
    return tool(id, None, content, name=CREATE, metadata={"canvas": canvas} if canvas else {}, **more)


LIST = "Tent, stove, map."
BEFORE = (node("q", None, "Write it"), create("c", LIST), reply("r", "d1"), answer("a", None, "Done."))


def documents(*messages: Dict[str, Any]) -> List[str]:
    return [one for one in said(line(*messages)) if one.startswith("assistant: [")]


@pytest.mark.parametrize("kind", ["code", "text"])
def test_a_document_stands_where_it_was_made(kind: str) -> None:
    found = read(line(BEFORE[0], create("c", LIST, kind=kind, create_time=1.7e9), *BEFORE[2:]))
    assert [message["content"] for message in found["messages"]] == ["Write it", f"[packing_list]\n{LIST}", "Done."]
    assert found["messages"][1]["role"] == "assistant"
    assert found["messages"][1]["timestamp"].startswith("2023-11-14")
    assert found.left_out == {"tools": 1}


@pytest.mark.parametrize(
    ("pattern", "replacement", "content"),
    [
        (".*", "Tent, map.", "Tent, map."),
        ("(?s).*", "Tent\\d", "Tent\\d"),
        ("^[\\s\\S]*$", "Tent", "Tent"),
        ("stove", "lamp", "Tent, lamp, map."),
        ("map.", "map!", "Tent, stove, map!"),
        ("map\\.", "map!", "Tent, stove, map!"),
        ("Tent.*map", "Lamp", "Lamp."),
        ("Tent.*?,", "Lamp,", "Lamp, stove, map."),
        ("stove.*", "lamp", "Tent, lamp"),
        ("stove.*$", "lamp\\nmap", "Tent, lamp\nmap"),
    ],
)
def test_an_update_changes_it_and_it_stands_there_once(pattern: str, replacement: str, content: str) -> None:
    more = (node("q2", None, "Other"), update("u", (pattern, replacement)), reply("r2", "d1"), answer("z", None, "Ok."))
    assert said(line(*BEFORE, *more)) == [
        "user: Write it",
        "assistant: Done.",
        "user: Other",
        f"assistant: [packing_list]\n{content}",
        "assistant: Ok.",
    ]


@pytest.mark.parametrize("pattern", ["(a|b)+", "lost", "\\d{3}", "", None, 7, "lost.*and gone"])
def test_what_a_pattern_that_is_not_found_puts_in_is_kept(pattern: Any) -> None:
    more = (update("u", (pattern, "A lamp.")), reply("r2", "d1"))
    assert documents(*BEFORE, *more) == [f"assistant: [packing_list]\n{LIST}\nA lamp."]


def test_all_written_anew_also_replaces_what_had_no_place() -> None:
    more = (update("u", ("lost", "A lamp.")), reply("r2", "d1"), update("v", (".*", "New.")), reply("r3", "d1"))
    assert documents(*BEFORE, *more) == ["assistant: [packing_list]\nNew."]


def test_two_documents_and_their_titles() -> None:
    messages = (
        create("1", "One", "one"), reply("r1", "d1", "First one"),
        create("2", "Two", "two"), reply("r2", "d2", "Second one"),
        update("3", ("One", "1")), reply("r3", "d1", "Renamed"),
        update("4", ("Two", "2"), textdoc_id="d2"),
    )  # fmt: skip
    assert documents(*messages) == ["assistant: [Renamed]\n1", "assistant: [Second one]\n2"]


def test_without_ids_a_name_or_the_latest_document_is_meant() -> None:
    assert documents(create("1", "One"), create("2", "Two")) == ["assistant: [packing_list]\nTwo"]
    assert documents(create("1", "One"), update("2", ("One", "1"))) == ["assistant: [packing_list]\n1"]
    assert documents(create("1", "One"), update("2", ("One", "1")), reply("r", "d")) == ["assistant: [packing_list]\n1"]


def test_the_id_may_stand_in_the_words_of_the_tool() -> None:
    said_id = text("Successfully created text document 'a' with the unique identifier textdoc_id: 'd-1'")
    messages = (
        create("1", "One", "a"), reply("r1", content=said_id),
        create("2", "Two", "b"), reply("r2", "d-2"),
        update("3", ("One", "1")), reply("r3", "d-1"),
    )  # fmt: skip
    assert documents(*messages) == ["assistant: [b]\nTwo", "assistant: [a]\n1"]


def test_a_document_whose_beginning_is_on_no_branch() -> None:
    assert documents(update("u", (".*", "All of it."))) == ["assistant: [document]\nAll of it."]
    assert documents(update("u", ("x", "Some of it.")), reply("r", "d", "Plan")) == ["assistant: [Plan]\nSome of it."]


def test_a_call_that_failed_made_nothing() -> None:
    error = {"content_type": "system_error", "text": "no"}
    found = read(line(node("q", None, "?"), create("1", "One"), reply("r", content=error)))
    assert [message["content"] for message in found["messages"]] == ["?"]
    assert found.left_out == {"tools": 2}


@pytest.mark.parametrize("cut", ["}", '"}'])
def test_calls_that_were_cut_are_read(cut: str) -> None:
    whole = json.dumps({"name": "a", "content": "Tent, sto"})
    assert documents(call("1", CREATE, whole[: -len(cut)])) == ["assistant: [a]\nTent, sto"]
    whole = json.dumps({"updates": [{"pattern": ".*", "replacement": "Tent, sto"}]})
    assert documents(call("1", UPDATE, whole[: -len("]}")])) == ["assistant: [document]\nTent, sto"]


@pytest.mark.parametrize("arguments", ["Just text", '{"name": broken', "[1]", "7"])
def test_what_is_no_call_is_kept_as_it_is(arguments: str) -> None:
    for recipient in (CREATE, UPDATE):
        assert documents(call("1", recipient, arguments)) == [f"assistant: [document]\n{arguments}"]


@pytest.mark.parametrize("payload", [{}, {"content": None}, {"content": 7}, {"content": ""}])
def test_a_document_without_words_is_none(payload: Any) -> None:
    found = read(line(node("q", None, "?"), call("1", CREATE, payload)))
    assert [message["content"] for message in found["messages"]] == ["?"]
    assert found.left_out == {"tools": 1}


@pytest.mark.parametrize("updates", ["[]", "[null]", "[7, {}]", '[{"pattern": "a", "replacement": 7}]'])
def test_an_update_without_words_changes_nothing(updates: str) -> None:
    assert documents(*BEFORE, call("1", UPDATE, f'{{"updates": {updates}}}')) == [f"assistant: [packing_list]\n{LIST}"]


def test_a_comment_is_no_document() -> None:
    found = read(line(node("q", None, "?"), call("1", "canmore.comment_textdoc", {"comments": []})))
    assert found.left_out == {"tools": 1}


def test_where_it_is_found_more_than_once() -> None:
    assert apply_update("a b a", "a", "c", is_repeated=False) == "c b a"
    assert apply_update("a b a", "a", "c", is_repeated=True) == "c b c"
    assert apply_update("<a><b>", "<.*?>", "x", is_repeated=True) == "xx"
    assert apply_update("<a><b>", "<.*>", "x", is_repeated=True) == "x"
    assert apply_update("# A\none\n# B\ntwo", "# A[\\s\\S]*?# B", "# C", is_repeated=False) == "# C\ntwo"
    assert apply_update("a b", "a(.*)b", "\\1", is_repeated=False) is None
    assert apply_update("", "a", "c", is_repeated=True) is None


def test_patterns_take_little_time() -> None:
    begin = time.process_time()
    for pattern in ("(a+)+$", "a.*" * 50 + "b", ".*?" * 50 + "b", "(a|aa)*c", "a.*?a.*b"):
        apply_update("a" * 100_000, pattern, "x", is_repeated=True)
    assert time.process_time() - begin < 10
