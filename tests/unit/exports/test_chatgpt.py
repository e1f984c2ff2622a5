"""What a ChatGPT conversation says, and what is left out of it and counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._utils.json_access import get
from sekha.exports._building import Unreadable
from sekha.exports._chatgpt import is_chatgpt, parse_chatgpt
from unit.exports.chats import answer, line, node, read, said, text, tool
from unit.exports.wrong_types import broken

CASES = Path(__file__).parents[2] / "data" / "imports"

QUESTION = node("q", None, "Which port?")
IMAGE = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1", "width": 1, "height": 1}
SOUND = {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://g", "format": "wav"}
LIVE = {"content_type": "real_time_user_audio_video_asset_pointer", "audio_asset_pointer": SOUND}


def spoken(words: Any) -> Dict[str, Any]:
    return {"content_type": "audio_transcription", "text": words, "direction": "in"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (text("One", "Two"), "One\nTwo"),
        (text(None, "One", "", None), "One"),
        (text("One\n", "\nTwo"), "One\nTwo"),
        ({"content_type": "text", "parts": "One"}, "One"),
        ({"content_type": "code", "language": "python", "text": "print(1)"}, "print(1)"),
        ({"content_type": "newthing", "text": "One"}, "One"),
        ({"content_type": "newthing", "result": "One"}, "One"),
        ({"content_type": "newthing", "parts": ["One", {"text": "Two"}]}, "One\nTwo"),
        ({"parts": [{"content_type": "text", "text": "One"}]}, "One"),
        (text(IMAGE, "What?", kind="multimodal_text"), "[image]\nWhat?"),
        (text(IMAGE, IMAGE, kind="multimodal_text"), "[image]\n[image]"),
        (IMAGE, "[image]"),
        (text(spoken("Hello"), LIVE), "Hello"),
        (text(LIVE, spoken("Hello"), SOUND), "Hello"),
        (text(spoken(""), LIVE), "[audio]"),
        (text(spoken(None), SOUND), "[audio]"),
        (text(SOUND, LIVE), "[audio]"),
        (text("Listen:", SOUND), "Listen:\n[audio]"),
        (text({"content_type": "video_container_asset_pointer"}), "[video]"),
        (text("Half \ud83d of it"), "Half \ufffd of it"),
    ],
)
def test_what_a_message_says(content: Any, expected: str) -> None:
    assert said(line(node("q", None, content))) == [f"user: {expected}"]
    assert said(line(QUESTION, answer("a", None, content)))[1:] == [f"assistant: {expected}"]


@pytest.mark.parametrize(
    ("message", "left_out"),
    [
        (answer("a", None, text("?"), metadata={"is_visually_hidden_from_conversation": True}), "hidden"),
        (node("a", None, {"content_type": "user_editable_context", "user_profile": "I am"}), "hidden"),
        (answer("a", None, {"content_type": "model_editable_context", "model_set_context": "x"}), "hidden"),
        (node("a", None, {"content_type": "app_pairing_content", "workspaces": []}), "hidden"),
        (node("a", None, "Be brief", role="system"), "system"),
        (node("a", None, "Be brief", metadata={"is_user_system_message": True}), "system"),
        (answer("a", None, {"content_type": "thoughts", "thoughts": [{"content": "hm"}]}), "thinking"),
        (answer("a", None, {"content_type": "reasoning_recap", "content": "Thought for 2s"}), "thinking"),
        (answer("a", None, "hm", channel="analysis"), "thinking"),
        (answer("a", None, {"content_type": "code", "text": "1"}, recipient="python"), "tools"),
        (answer("a", None, "search(1)", recipient="web.run"), "tools"),
        (tool("a", None, {"content_type": "execution_output", "text": "1"}), "tools"),
        (tool("a", None, {"content_type": "tether_quote", "text": "1"}), "tools"),
        (tool("a", None, text(IMAGE, "page 1"), name="file_search"), "tools"),
        (tool("a", None, text(IMAGE), name="computer.get"), "tools"),
        (answer("a", None, ""), "empty"),
        (answer("a", None, text(None)), "empty"),
        (answer("a", None, {"content_type": "text"}), "empty"),
        (node("a", None, "1", role="critic"), "unknown: role critic"),
        (answer("a", None, {"content_type": "newthing"}), "unknown: content_type newthing"),
        (answer("a", None, text({"x": 1})), "unknown: part without a kind"),
        (answer("a", None, text(7)), "unknown: part that is int"),
        (answer("a", None, {"content_type": "text", "body": "Hi"}), "unknown: content with body"),
        (answer("a", None, {"content_type": "text", "parts": None, "language": "en"}), "empty"),
        ({"id": "a", "message": {"author": {"role": "user"}, "body": 1}}, "unknown: a message with author, body"),
        ({"id": "a", "message": {"author": {"role": "user"}, "content": None}}, "empty"),
        (answer("a", None, [1]), "unknown: content that is no JSON object"),
        ({"id": "a", "message": 7}, "unknown: a message that is no JSON object"),
        ({"id": "a", "parent": None, "words": "Hi"}, "unknown: a message with id, parent, words"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_counted(message: Dict[str, Any], left_out: str) -> None:
    found = read(line(QUESTION, message))
    assert [one["content"] for one in found["messages"]] == ["Which port?"]
    assert found.left_out == {left_out: 1}


@pytest.mark.parametrize("recipient", ["all", None, "", "user", 7])
def test_what_is_addressed_to_people_is_shown(recipient: Any) -> None:
    assert said(line(QUESTION, answer("a", None, "Look", channel="commentary", recipient=recipient)))[1:] == [
        "assistant: Look"
    ]


def test_a_part_of_an_unknown_kind_is_a_word_and_counted() -> None:
    found = read(line(node("q", None, text("Look", {"content_type": "hologram"}))))
    assert [one["content"] for one in found["messages"]] == ["Look\n[hologram]"]
    assert found.left_out == {"unknown: part hologram": 1}


def test_a_conversation_of_which_nothing_is_understood_is_unreadable() -> None:
    with pytest.raises(Unreadable, match=r"no readable messages \(2: content_type new"):
        read(line(*(node(id, None, {"content_type": "new"}) for id in "ab")))
    with pytest.raises(Unreadable, match="no JSON object"):
        read({"mapping": {"a": 7}})


@pytest.mark.parametrize(
    ("attachments", "expected"),
    [
        ([{"id": "file-1", "name": "leaf.png"}, {"id": "file-2", "name": "a.pdf"}], "[image]\nWhat?\n[a.pdf]"),
        ([{"name": "leaf.png"}], "[image]\nWhat?"),
        ([{"id": "other", "name": "leaf", "mimeType": "image/png"}], "[image]\nWhat?"),
        ([{"name": "leaf.png"}, {"name": "tree.PNG"}], "[image]\nWhat?\n[tree.PNG]"),
        ([{"id": "file-1", "name": "x"}, {"name": "tree.png"}], "[image]\nWhat?\n[tree.png]"),
        ([{"name": None}, {}, None, 7], "[image]\nWhat?\n[file]\n[file]\n[file]"),
        ("no list", "[image]\nWhat?"),
    ],
)
def test_uploads_have_their_names_once(attachments: Any, expected: str) -> None:
    message = node("q", None, text(IMAGE, "What?"), metadata={"attachments": attachments})
    assert said(line(message)) == [f"user: {expected}"]


@pytest.mark.parametrize("name", ["dalle.text2im", "t2uay3k.sj1i4kz", None, "image_gen", "python", 7])
def test_an_image_that_the_model_made_is_a_word(name: Any) -> None:
    made = text(IMAGE, "GPT-4o returned 1 image. Do not say anything.", kind="multimodal_text")
    copy = tool("c", None, made, name=name, metadata={"is_visually_hidden_from_conversation": True})
    found = read(line(QUESTION, tool("t", None, made, name=name), copy))
    assert [f"{one['role']}: {one['content']}" for one in found["messages"]][1:] == ["assistant: [image]"]
    assert found.left_out == {"hidden": 1}


def test_several_images_and_a_chart_of_python() -> None:
    four = tool("t", None, text(*[IMAGE] * 4), name="dalle.text2im")
    drawn = {"aggregate_result": {"messages": [{"message_type": "image"}, {"message_type": "stream"}]}}
    chart = tool("u", None, {"content_type": "execution_output", "text": ""}, name="python", metadata=drawn)
    assert said(line(QUESTION, four, chart))[1:] == ["assistant: " + "\n".join(["[image]"] * 4), "assistant: [image]"]


REPORT = {"id": "r1", "author": {"role": "assistant"}, "content": text("Tent A is the lightest【1†source】.")}


def widget(id: str, report: Any, **more: Any) -> Dict[str, Any]:
    state = {"status": "completed", "report_message": report}
    return tool(id, None, text(""), metadata={"chatgpt_sdk": {"widget_state": json.dumps(state)}, **more})


@pytest.mark.parametrize(
    "carrier",
    [
        widget("w", REPORT),
        widget("w", REPORT, is_visually_hidden_from_conversation=True),
        tool("w", None, text(""), metadata={"chatgpt_sdk": {"widget_state": {"report_message": REPORT}}}),
        tool("w", None, text(""), metadata={"venus_widget_state": {"report_message": REPORT}}),
        tool("w", None, text(""), metadata={"venus_widget_state": {"widget_state": {"report_message": REPORT}}}),
        tool(
            "w", None, text(""),
            metadata={"chatgpt_sdk": {"tool_response_metadata": {"venus_widget_state": {"report_message": REPORT}}}},
        ),
        tool("w", None, "The latest state of the widget is: " + json.dumps({"report_message": REPORT})),
    ],
    ids=["text", "hidden", "object", "metadata", "wrapped", "response", "words"],
)  # fmt: skip
def test_a_report_of_deep_research_is_an_answer(carrier: Dict[str, Any]) -> None:
    found = read(line(QUESTION, carrier, answer("z", None, "")))
    assert [f"{one['role']}: {one['content']}" for one in found["messages"]][1:] == [
        "assistant: Tent A is the lightest."
    ]


def test_a_report_that_a_tool_hands_over_is_an_answer() -> None:
    result = tool("t", None, "Tent A is the lightest.", metadata={"is_async_task_result_message": True})
    assert said(line(QUESTION, result))[1:] == ["assistant: Tent A is the lightest."]


def test_each_report_is_there_once_as_it_was_last() -> None:
    first = {**REPORT, "content": text("Not ready.")}
    other = {"content": text("Another report.")}
    same = answer("s", None, "Another report.")
    assert said(line(QUESTION, widget("1", first), widget("2", REPORT), widget("3", REPORT), widget("4", other)))[
        1:
    ] == [
        "assistant: Tent A is the lightest.",
        "assistant: Another report.",
    ]
    assert said(line(QUESTION, widget("4", other), same))[1:] == ["assistant: Another report."]


@pytest.mark.parametrize(
    "state", ["", "no JSON", "[", "[1]", "7", None, 7, {"report_message": 7}, {"report_message": {"content": None}}]
)
def test_a_widget_without_a_report_is_a_tool(state: Any) -> None:
    found = read(line(QUESTION, tool("w", None, text(""), metadata={"chatgpt_sdk": {"widget_state": state}})))
    assert [one["content"] for one in found["messages"]] == ["Which port?"]
    assert found.left_out == {"tools": 1}


@pytest.mark.parametrize("flag", [{"is_do_not_remember": True}, {"metadata": {"is_do_not_remember": True}}])
def test_what_is_not_to_be_remembered_is_not_read_but_counted(flag: Dict[str, Any]) -> None:
    found = read(line(QUESTION, **flag))
    assert found["messages"] == []
    assert found.left_out == {"not to be remembered": 1}


@pytest.mark.parametrize("flag", [False, None, 0, "no"])
def test_others_are_remembered(flag: Any) -> None:
    assert said(line(QUESTION, is_do_not_remember=flag, metadata=flag)) == ["user: Which port?"]


@pytest.mark.parametrize("more", [{}, {"mapping": None}, {"mapping": {}}, {"mapping": {"root": node("root", None)}}])
def test_a_shell_is_empty(more: Dict[str, Any]) -> None:
    shell: Dict[str, Any] = {
        "title": "Shell",
        "create_time": 1.7e9,
        "update_time": 1.7e9,
        "id": "s1",
        "safe_urls": [],
        **more,
    }
    assert is_chatgpt(shell)
    found = parse_chatgpt(shell, "/old")
    assert (found["messages"], found.left_out, found.source_id) == ([], {}, "s1")


def test_what_else_has_times_is_no_shell() -> None:
    assert not is_chatgpt({"title": "T", "create_time": 1, "update_time": 2, "turns": [{"text": "Hi"}]})
    assert not is_chatgpt({"title": "T", "create_time": 1, "update_time": 2, "chat": {"a": 1}})
    assert not is_chatgpt({"title": "T"})


@pytest.mark.parametrize("mapping", [[], [QUESTION], "x", 7])
def test_a_mapping_of_another_type_is_unreadable(mapping: Any) -> None:
    with pytest.raises(Unreadable, match="'mapping' is not a JSON object"):
        read({"mapping": mapping})


def test_ids_and_dates_come_along() -> None:
    found = read(line(QUESTION, conversation_id="c1", id="c2", create_time=1.7e9, update_time=None))
    assert (found.source_id, found.created_at, found.updated_at) == ("c1", "2023-11-14T22:13:20.000000+00:00", None)


KEYS: List[str] = [
    "message", "parent", "children", "author", "role", "content", "parts", "content_type", "text", "metadata",
    "recipient", "create_time", "attachments", "chatgpt_sdk", "widget_state", "report_message", "canvas", "textdoc_id",
    "content_references", "matched_text", "is_visually_hidden_from_conversation", "name", "id",
]  # fmt: skip
WORDS = [
    "a",
    "b",
    "user",
    "assistant",
    "tool",
    "canmore.create_textdoc",
    "canmore.update_textdoc",
    "thoughts",
    "\udc00",
]
LEAVES = st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.sampled_from(WORDS)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
)


@given(st.dictionaries(st.sampled_from("ab"), ANYTHING | st.fixed_dictionaries({"message": ANYTHING})), ANYTHING)
def test_whatever_stands_there_is_read_or_refused(mapping: Dict[str, Any], current: Any) -> None:
    data = {"title": current, "mapping": mapping, "current_node": current, "create_time": current, "id": current}
    try:
        found = read(data)
    except Unreadable:
        return
    given_messages = [node for node in mapping.values() if get(node, "message") is not None]
    counted = sum(number for kind, number in found.left_out.items() if kind != "replaced characters")
    assert found["messages"] or counted or not given_messages


@pytest.mark.parametrize(
    "case",
    ["g05-gap", "g10-context", "g13-image", "g14-canvas", "g15-marks", "g17-voice", "g18-upload", "g21-research"],
)
def test_a_value_of_a_wrong_type_costs_no_conversation(case: str) -> None:
    (path,) = (CASES / case).glob("conversations*.json")
    for conversation in json.loads(path.read_text(encoding="utf-8")):
        for data in broken(conversation):
            try:
                found = read(data)
            except Unreadable:
                continue
            assert found["messages"] or found.left_out or not data.get("mapping")
