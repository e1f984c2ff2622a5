"""Messages of many applications, and conversations that are lists of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from sekha.exports import read_export
from sekha.exports._building import ConversationBuilder, ReadConversation, Unreadable
from sekha.exports._message_forms import add_message, is_message
from sekha.exports._message_lists import parse_chat, parse_messages
from sekha.exports._plain import parse_plain
from sekha.type_guards import extract_text
from unit.exports.mutations import check_mutations

QUESTION = {"role": "user", "content": "Which port?"}
ANSWER = {"role": "assistant", "content": "Port 9100."}
SAID = ["user: Which port?", "assistant: Port 9100."]
CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
DATA_IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
WEB_IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}


def texts(found: ReadConversation) -> List[str]:
    return [f"{message['role']}: {message['content']}" for message in found["messages"]]


def from_file(path: Path, data: Any, *, lines: bool = False) -> List[Any]:
    """What is read of data that is written as one JSON value, or as lines."""
    path.write_text("\n".join(map(json.dumps, data)) if lines else json.dumps(data), encoding="utf-8")
    return list(read_export(path))


def one(message: Any, **options: Any) -> ConversationBuilder:
    built = ConversationBuilder(None, None)
    add_message(message, built, **options)
    return built


def serialised(name: str, **kwargs: Any) -> Dict[str, Any]:
    """A message as LangChain's `dumps` writes it."""
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", name], "kwargs": kwargs}


@pytest.mark.parametrize("key", ["time", "texts", "more", "self"])
def test_a_further_key_may_have_any_name(key: str) -> None:
    found = parse_plain({"messages": [{**QUESTION, key: 7}]}, None)
    assert found["messages"][0][key] == 7


MESSAGES: List[Tuple[Dict[str, Any], str]] = [
    (QUESTION, "user: Which port?"),
    ({"role": "developer", "content": "Be brief."}, "system: Be brief."),
    ({"role": "Human", "content": "A"}, "user: A"),
    ({"role": "function", "name": "f", "content": "A"}, "function: A"),
    ({"role": "tool", "tool_call_id": "1", "content": "rain"}, "tool: rain"),
    ({"role": "model", "parts": [{"text": "A"}, {"text": "B"}]}, "assistant: A\nB"),
    ({"role": "user", "content": "", "parts": [{"type": "text", "text": "A"}]}, "user: A"),
    ({"role": "user", "content": {"type": "text", "text": "A"}}, "user: A"),
    ({"from": "human", "value": "A"}, "user: A"),
    ({"from": "gpt", "value": "A", "weight": 1}, "assistant: A"),
    ({"from": "observation", "value": "A"}, "tool: A"),
    ({"sender": "ai", "text": "A"}, "assistant: A"),
    ({"author": {"role": "user"}, "content": "A"}, "user: A"),
    ({"type": "human", "data": {"content": "A", "type": "human"}}, "user: A"),
    ({"type": "chat", "data": {"content": "A", "role": "assistant"}}, "assistant: A"),
    ({"type": "AIMessageChunk", "content": "A"}, "assistant: A"),
    ({"type": "user", "content": [{"type": "text", "text": "A"}]}, "user: A"),
    ({"type": "gemini", "content": "A"}, "assistant: A"),
    ({"type": "system", "content": "A", "additional_kwargs": {}}, "system: A"),
    (serialised("HumanMessage", content="A"), "user: A"),
    (serialised("ChatMessage", content="A", role="assistant"), "assistant: A"),
    (serialised("AIMessageChunk", content=[{"type": "text", "text": "A", "index": 0}], type="AIMessageChunk"),
     "assistant: A"),
    ({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A"}]}, "assistant: A"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), MESSAGES)
def test_a_message_in_any_form(message: Dict[str, Any], expected: str) -> None:
    assert is_message(message)
    built = one(message)
    assert f"{built.messages[0]['role']}: {extract_text(built.messages[0]['content'])}" == expected
    assert not built.left_out


PARTS: List[Tuple[List[Any], Any, Dict[str, int]]] = [
    ([{"type": "text", "text": "A"}], [{"type": "text", "text": "A"}], {}),
    ([{"type": "text", "text": "A"}, WEB_IMAGE], [{"type": "text", "text": "A"}, WEB_IMAGE], {}),
    ([{"type": "text", "text": "A"}, DATA_IMAGE], "A\n[image]", {}),
    ([DATA_IMAGE, WEB_IMAGE], [{"type": "text", "text": "[image]"}, WEB_IMAGE], {}),
    ([{"type": "image", "source": {"type": "base64", "data": "AAAA"}}], "[image]", {}),
    ([{"type": "image", "source": {"type": "url", "url": WEB_IMAGE["image_url"]["url"]}}], [WEB_IMAGE], {}),  # type: ignore[index]  # it is a dictionary
    ([{"inlineData": {"data": "AAAA"}}, {"text": "A"}], "[image]\nA", {}),
    (["A", {"type": "input_text", "text": "B"}], "A\nB", {}),
    ([{"type": "refusal", "refusal": "No."}], "No.", {}),
    ([{"type": "input_audio", "input_audio": {"data": "AAAA"}}], "[audio]", {}),
    ([{"type": "audio", "audio": {"transcript": "Hello"}}], "Hello", {}),
    ([{"type": "file", "file": {"filename": "a.pdf", "file_data": "AAAA"}}], "[a.pdf]", {}),
    ([{"type": "text", "text": "A"}, {"type": "tool_use", "input": {}}], "A", {"tools": 1}),
    ([{"type": "tool_result", "content": "x"}, {"functionCall": {}}, "A"], "A", {"tools": 2}),
    ([{"type": "thinking", "thinking": "Hm."}, {"text": "x", "thought": True}, "A"], "A", {"thinking": 2}),
    ([{"type": "step-start"}, "A"], "A", {"hidden": 1}),
    ([{"type": "hologram"}, "A"], "A", {"unknown: part hologram": 1}),
    ([{"x": 1}, "A"], "A", {"unknown: a part with x": 1}),
    ([7, None, "A"], "A", {"unknown: a part that is no JSON object": 1, "unknown: a part that is null": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "content", "left_out"), PARTS)
def test_parts(parts: List[Any], content: Any, left_out: Dict[str, int]) -> None:
    built = one({"role": "user", "content": parts})
    assert [message["content"] for message in built.messages] == [content]
    assert built.left_out == left_out


LEFT_OUT: List[Tuple[Any, str]] = [
    ({"role": "assistant", "content": None, "tool_calls": [CALL]}, "tools"),
    ({"role": "assistant", "content": "", "function_call": {"name": "f"}}, "tools"),
    ({"role": "assistant", "content": [{"type": "tool_use", "input": {}}]}, "tools"),
    ({"from": "function_call", "value": "{}"}, "tools"),
    ({"type": "function_call", "name": "f", "arguments": "{}"}, "tools"),
    ({"type": "function_call_output", "output": "x"}, "tools"),
    ({"type": "tool_result", "content": "x"}, "tools"),
    ({"type": "ai", "data": {"content": "", "additional_kwargs": {"tool_calls": [CALL]}}}, "tools"),
    ({"type": "reasoning", "summary": []}, "thinking"),
    ({"role": "assistant", "content": None, "reasoning_content": "Hm."}, "thinking"),
    ({"type": "chat", "data": {"content": "A", "role": []}}, "unknown: role chat"),
    ({"type": "remove", "data": {"content": "", "id": "1"}}, "hidden"),
    ({"role": "user", "content": ""}, "empty"),
    ({"role": "user", "content": None}, "empty"),
    ({"role": "user", "content": []}, "empty"),
    ({"role": "user", "content": [{"type": "text", "text": " "}]}, "empty"),
    ({"role": "user"}, "unknown: a message with role"),
    ({"content": "A"}, "unknown: a message with content"),
    ({"role": 7, "content": "A"}, "unknown: a message with role, content"),
    ({"role": "wizard", "content": "A"}, "unknown: role wizard"),
    ({"role": "user", "content": 7}, "unknown: content that is no text"),
    ({"role": "user", "content": {"x": 1}}, "unknown: a part with x"),
    ("A", "unknown: a message that is no JSON object"),
    (None, "unknown: a message that is no JSON object"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "kind"), LEFT_OUT)
def test_what_is_left_out_is_counted(message: Any, kind: str) -> None:
    built = one(message)
    assert built.messages == []
    assert built.left_out == {kind: 1}


def test_words_beside_a_call_and_thoughts_are_kept() -> None:
    built = one({"role": "assistant", "content": "Let me look.", "tool_calls": [CALL], "reasoning_content": "Hm."})
    assert built.messages == [{"role": "assistant", "content": "Let me look."}]
    assert built.left_out == {"tools": 1, "thinking": 1}


@pytest.mark.parametrize(
    ("given", "timestamp"),
    [
        ({"timestamp": "2025-05-01T09:00:00Z"}, "2025-05-01T09:00:00Z"),
        ({"created_at": 1746090000}, "2025-05-01T09:00:00.000000+00:00"),
        ({"createdAt": "1746090000000"}, "2025-05-01T09:00:00.000000+00:00"),
        ({"timestamp": "soon", "time": 1746090000}, "2025-05-01T09:00:00.000000+00:00"),
        ({"date": "2025-05-01"}, None),
        ({"timestamp": "soon"}, None),
        ({"timestamp": []}, None),
    ],
)
def test_times(given: Dict[str, Any], timestamp: Any) -> None:
    assert one({**QUESTION, **given}).messages[0].get("timestamp") == timestamp
    assert one({"type": "human", "data": {"content": "A"}, **given}).messages[0].get("timestamp") == timestamp


# The plain form


def test_the_plain_form_keeps_further_keys_and_addresses_of_images() -> None:
    parts = [{"type": "text", "text": "Look"}, WEB_IMAGE]
    message = {
        "role": "user",
        "content": parts,
        "metadata": {"a": 1},
        "name": "ana",
        "timestamp": "2025-05-01T09:00:00Z",
    }
    assert parse_plain({"messages": [message]}, None) == {"messages": [message]}


@pytest.mark.parametrize(
    ("keys", "label"),
    [
        ({"title": "T", "name": "N"}, "T"),
        ({"name": "N"}, "N"),
        ({"label": "L", "title": "T"}, "L"),
        ({"label": "", "title": "T"}, "T"),
        ({"title": 7}, None),
    ],
)
def test_the_title_is_the_label(keys: Dict[str, Any], label: Any) -> None:
    assert parse_plain({"messages": [QUESTION], **keys}, None).get("label") == label


def test_lines_for_training_with_tools() -> None:
    messages = [{"role": "system", "content": "Be brief."}, QUESTION, {"role": "assistant", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "1", "content": "9100"}, {**ANSWER, "weight": 1}]  # fmt: skip
    found = parse_plain({"messages": messages, "tools": []}, None)
    assert texts(found) == ["system: Be brief.", SAID[0], "tool: 9100", SAID[1]]
    assert found.left_out == {"tools": 1}


def test_dates_of_the_plain_form() -> None:
    found = parse_plain({"messages": [QUESTION], "created_at": "2025-05-01T09:00:00Z", "update_time": 1746090000}, "/f")
    assert found["folder"] == "/f"
    assert found.created_at == "2025-05-01T09:00:00Z"
    assert found.updated_at == "2025-05-01T09:00:00.000000+00:00"


# Lists


LISTS: List[List[Any]] = [
    [QUESTION, ANSWER],
    [{"from": "human", "value": "Which port?"}, {"from": "gpt", "value": "Port 9100."}],
    [{"type": "human", "data": {"content": "Which port?"}}, {"type": "ai", "data": {"content": "Port 9100."}}],
    [serialised("HumanMessage", content="Which port?"), serialised("AIMessage", content="Port 9100.")],
]


@pytest.mark.parametrize("messages", LISTS)
def test_one_list_of_messages_is_one_conversation(messages: List[Any], tmp_path: Path) -> None:
    wrapped: List[Any] = [{key: messages} for key in ("conversations", "history", "messages")]
    for data in (messages, [messages], *wrapped, [wrapped[0]], {"title": "T", "messages": messages}):
        (found,) = from_file(tmp_path / "chat.json", data)
        assert texts(found) == SAID, data
    (found,) = from_file(tmp_path / "chat.jsonl", messages, lines=True)
    assert texts(found) == SAID
    first, second = from_file(tmp_path / "chats.jsonl", [messages, messages], lines=True)
    assert texts(first) == texts(second) == SAID
    found = from_file(
        tmp_path / "sharegpt.jsonl", [{"id": str(n), "conversations": messages} for n in range(3)], lines=True
    )
    assert [texts(one) for one in found] == [SAID] * 3


def test_broken_messages_of_a_list_are_counted(tmp_path: Path) -> None:
    (found,) = from_file(tmp_path / "chat.json", [7, QUESTION, {"x": 1}, ANSWER, []])
    assert texts(found) == SAID
    assert sum(found.left_out.values()) == 3


def test_a_conversation_that_cannot_be_read_costs_no_other() -> None:
    wizard = {"role": "wizard", "content": "A", "session_id": "a"}
    found = parse_messages([wizard, {**QUESTION, "session_id": "b"}], None)
    assert texts(next(found)) == SAID[:1]
    with pytest.raises(Unreadable, match="role wizard"):
        next(found)


def test_messages_that_say_to_which_conversation_they_belong() -> None:
    records = [{**QUESTION, "session_id": "a"}, {**QUESTION, "session_id": "b"}, {**ANSWER, "session_id": "a"}, 7]
    first, second = parse_messages(records, "/f")
    assert (texts(first), first["folder"]) == (SAID, "/f")
    assert first.left_out == {"unknown: a message that is no JSON object": 1}
    assert texts(second) == SAID[:1]
    assert first.source_id is None, "the next file of a log may have the rest of it, and must not replace it"
    *_, last = parse_messages([*records, ANSWER], None)
    assert texts(last) == SAID[1:]


def test_a_chat_of_a_data_set() -> None:
    data = {"title": "T", "system": "Be brief.", "conversations": LISTS[1], "chosen": {}, "rejected": ANSWER}
    found = parse_chat({**data, "createdAt": 1746090000}, None)
    assert (found["label"], texts(found)) == ("T", ["system: Be brief.", *SAID])
    assert found.left_out == {"other answers": 1}
    assert found.created_at == "2025-05-01T09:00:00.000000+00:00"
    assert parse_chat({"conversations": LISTS[1], "system": 7}, None).left_out == {"unknown: system that is no text": 1}


def test_a_list_of_which_nothing_is_understood_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="role wizard"):
        next(parse_messages([{"role": "wizard", "content": "A"}], None))
    with pytest.raises(Unreadable, match="no list of messages"):
        parse_chat({"conversations": [7]}, None)


@pytest.mark.parametrize(
    "data", [{"role": "admin"}, {"type": "human"}, {"from": "Berlin", "to": "Rome"}, {"author": "Ana", "text": "x"}, 7]
)
def test_what_is_no_message(data: Any) -> None:
    assert not is_message(data)


@pytest.mark.parametrize("messages", [*LISTS, [QUESTION, {"role": "assistant", "content": [WEB_IMAGE, {"text": "A"}]}]])
def test_wrong_types_are_no_exceptions_and_never_lost_in_silence(messages: List[Any]) -> None:
    check_mutations(lambda data: parse_messages(data, None), messages)
    check_mutations(lambda data: parse_plain(data, None), {"title": "T", "messages": messages})
    check_mutations(lambda data: parse_chat(data, None), {"title": "T", "conversations": messages})
