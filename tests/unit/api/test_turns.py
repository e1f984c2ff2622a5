"""What of a turn is remembered, and where a block of memories is put."""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import Any, Dict, List, Tuple, cast

import pytest

from sekha import SekhaValidationError
from sekha._api.prompts import UNAVAILABLE, quote_results
from sekha._api.turns import (
    last_user_text,
    messages_to_remember,
    name_turn,
    open_turn,
    place_block,
    text_of_chunk,
)
from sekha.memory import with_block
from unit.api.test_prompts import hit

BLOCK = quote_results([hit("We ship on Fridays.")], 1000)

USER = {"role": "user", "content": "When do we ship?"}
ASSISTANT = {"role": "assistant", "content": "On Fridays."}
SYSTEM = {"role": "system", "content": "Be brief."}
CALLED = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
CALL = {"role": "assistant", "content": None, "tool_calls": [CALLED]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "It is noon."}
TOOL_USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "c2", "name": "clock", "input": {}}]}
TOOL_RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c2", "content": "It is noon."}]}
PARTS = [{"type": "text", "text": "It is noon."}, {"type": "image", "source": {}}]
TOOL_PARTS = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c2", "content": PARTS}]}
FUNCTION_CALL = {"type": "function_call", "call_id": "c3", "name": "clock", "arguments": "{}"}
FUNCTION_OUTPUT = {"type": "function_call_output", "call_id": "c3", "output": "It is noon."}


def remembered(*messages: Any, tool_results: bool = False) -> List[Tuple[str, str]]:
    return [(one.role, one.content) for one in messages_to_remember(messages, tool_results=tool_results)]


@pytest.mark.promise("F1")
def test_only_texts_of_user_and_assistant_are_remembered() -> None:
    thought = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]}
    reasoning = {"type": "reasoning", "summary": []}
    odd = {"role": "developer", "content": "Be brief."}
    turn = [SYSTEM, odd, USER, thought, reasoning, CALL, RESULT, TOOL_USE, TOOL_RESULT, ASSISTANT]
    assert remembered(*turn, FUNCTION_CALL, FUNCTION_OUTPUT) == [
        ("user", USER["content"]),
        ("assistant", "On Fridays."),
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Hello", "Hello"),
        ("  Hello\n", "  Hello\n"),
        (
            [{"type": "text", "text": "A"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "B"}],
            "A\nB",
        ),
        ([{"type": "input_text", "text": "A"}], "A"),
        (({"type": "output_text", "text": "A"}, "B"), "A\nB"),
        ([{"type": "text", "text": None}, {"type": "text"}, 5], None),
        ([], None),
        (None, None),
        (" \n", None),
        (5, None),
    ],
)
def test_texts_of_contents(content: Any, text: Any) -> None:
    assert remembered({"role": "user", "content": content}) == ([] if text is None else [("user", text)])


@pytest.mark.parametrize(
    "turn",
    [
        [CALL, RESULT],
        [{"role": "tool", "name": "clock", "content": "It is noon."}],
        [{"role": "function", "name": "clock", "content": "It is noon."}],
        [TOOL_USE, TOOL_RESULT],
        [TOOL_USE, TOOL_PARTS],
        [FUNCTION_CALL, FUNCTION_OUTPUT],
        [MappingProxyType(FUNCTION_CALL), MappingProxyType(FUNCTION_OUTPUT)],
    ],
)
def test_results_of_tools_are_remembered_if_that_is_wanted(turn: Any) -> None:
    assert remembered(*turn) == []
    assert remembered(*turn, tool_results=True) == [("tool", "[clock] It is noon.")]


def test_a_tool_without_a_name_is_called_that() -> None:
    assert remembered(RESULT, tool_results=True) == [("tool", "[tool] It is noon.")]
    both = {"role": "user", "content": [*TOOL_RESULT["content"], {"type": "text", "text": "And now?"}]}
    assert remembered(TOOL_USE, both, tool_results=True) == [("user", "And now?"), ("tool", "[clock] It is noon.")]


@pytest.mark.promise("F2")
@pytest.mark.parametrize("role", ["user", "assistant", "tool"])
@pytest.mark.parametrize(
    "block",
    [
        BLOCK,
        UNAVAILABLE,
        "< Memory >\n\n what follows\n was remembered\n</ MEMORY >",
        r"<memory>\nWhat follows was remembered</memory>",
    ],
)
def test_what_was_put_in_is_never_remembered(block: str, role: str) -> None:
    def texts(content: Any) -> List[str]:
        found = remembered({"role": role, "name": "t", "content": content}, tool_results=True)
        return [text.replace("[t] ", "") for _, text in found]

    assert texts(block) == []
    assert texts(f"\n{block}\n\n") == []
    assert texts(f"{block}\n\nHello") == texts(f"Hello\n\n{block}") == ["Hello"]
    assert texts([{"type": "text", "text": block}, {"type": "text", "text": "Hello"}]) == ["Hello"]
    assert texts(f"A {block} and {block} B") == ["A  and  B"]
    assert texts(f"<memory>{block} {block}</memory>") == ["<memory> </memory>"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (BLOCK[:150], None),  # cut
        (f"Hello {BLOCK[:150]}", "Hello"),
        (f"I like <memory> tags. {BLOCK} Hello", "I like <memory> tags.  Hello"),
        ("How does <memory> work?", "How does <memory> work?"),
        ("</memory> alone ", "</memory> alone "),
        ("<memory>4Gi</memory> limits", "<memory>4Gi</memory> limits"),
        (f"<memory>4Gi</memory> {BLOCK}", "<memory>4Gi</memory>"),
        (f"<memory>4Gi {BLOCK} </memory>", "<memory>4Gi  </memory>"),
        ("<memory>What follows was</memory>", "<memory>What follows was</memory>"),
        ('<memory unit="KiB">1024</memory>', '<memory unit="KiB">1024</memory>'),  # somebody else's XML
        ("<memory_pool>x</memory_pool>", "<memory_pool>x</memory_pool>"),
        ("no tags\n", "no tags\n"),
    ],
)
def test_blocks_are_told_from_other_texts(text: str, kept: Any) -> None:
    assert remembered({"role": "user", "content": text}) == ([] if kept is None else [("user", kept)])


def test_blocks_are_found_in_a_time_that_grows_with_the_text() -> None:
    text = "<memory>" * 50_000
    assert remembered({"role": "user", "content": text}) == [("user", text)]


@pytest.mark.promise("F8")
def test_messages_keep_their_ids_and_each_is_there_once() -> None:
    turn: List[Any] = [
        {**USER, "id": 7},
        {**ASSISTANT, "id": "m2"},
        {**USER, "id": "7"},
        USER,
        USER,
        {**RESULT, "id": "m3"},
    ]
    found = messages_to_remember(turn, tool_results=True)
    assert [one.id for one in found] == ["7", "m2", None, None, "m3/c1"]


@pytest.mark.parametrize("call", [lambda turn: remembered(*turn), lambda turn: with_block(turn, BLOCK), last_user_text])
def test_what_is_no_message_is_refused_by_its_place(call: Any) -> None:
    for wrong in (None, "Hello", 5):
        with pytest.raises(SekhaValidationError, match=r"messages\[1\]: must be a dictionary, not"):
            call([USER, wrong])


@pytest.mark.parametrize("wrong", [None, "Hello", b"Hello", 5, USER])
def test_what_is_no_list_of_messages_is_refused(wrong: Any) -> None:
    for call in (lambda: messages_to_remember(wrong, tool_results=False), lambda: with_block(wrong, BLOCK)):
        with pytest.raises(SekhaValidationError, match="messages: must be a list, not"):
            call()


# Where the block is put

INJECTED = {"role": "user", "content": BLOCK}


@pytest.mark.promise("F1", "F3")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [USER]),
        ([SYSTEM], [USER]),
        ([SYSTEM, USER, ASSISTANT], [USER]),
        ([SYSTEM], [USER, CALL, RESULT]),
        ([SYSTEM, USER, CALL, RESULT, ASSISTANT], [USER]),
        ([USER, ASSISTANT], [USER, TOOL_USE, TOOL_RESULT]),
        ([USER, ASSISTANT], [USER, FUNCTION_CALL, FUNCTION_OUTPUT]),
        ([SYSTEM, USER], [CALL, USER, RESULT]),  # the user speaks while a tool works
        ([SYSTEM, USER], [FUNCTION_CALL, CALL, RESULT, USER, FUNCTION_OUTPUT]),
        ([SYSTEM], [CALL, RESULT]),  # the user's message was cut off
        ([SYSTEM, {"role": "developer", "content": "x"}], [ASSISTANT]),
        ([SYSTEM], []),
        ([], []),
    ],
)
def test_the_block_is_before_the_last_message_of_the_user(before: Any, after: Any) -> None:
    chat = [*before, *after]
    as_it_was = copy.deepcopy(chat)
    assert with_block(chat, BLOCK) == [*before, INJECTED, *after]
    assert chat == as_it_was
    assert with_block(chat, "") == chat


def test_a_block_is_there_once() -> None:
    once = with_block([SYSTEM, USER], BLOCK)
    assert with_block(once, BLOCK) == once
    assert with_block(once, "") == [SYSTEM, USER]
    assert with_block([*once, ASSISTANT, USER], UNAVAILABLE)[1:] == [
        USER,
        ASSISTANT,
        {"role": "user", "content": UNAVAILABLE},
        USER,
    ]


def test_messages_are_copies() -> None:
    chat: List[Dict[str, Any]] = [dict(USER)]
    with_block(chat, "")[0]["content"] = "changed"
    assert chat == [USER]


@pytest.mark.parametrize(
    ("chat", "text"),
    [
        ([USER], "When do we ship?"),
        ([USER, TOOL_USE, TOOL_RESULT], "When do we ship?"),
        ([USER, {"role": "user", "content": f"{BLOCK}\n\nHello"}], "Hello"),
        ([USER, {"role": "user", "content": BLOCK}], "When do we ship?"),
        ([{"role": "user", "content": [{"type": "input_text", "text": "A"}]}, ASSISTANT], "A"),
        ([SYSTEM, ASSISTANT], ""),
        ([{"role": "user", "content": [{"type": "image"}]}], ""),
        ([], ""),
    ],
)
def test_the_last_text_of_the_user(chat: Any, text: str) -> None:
    assert last_user_text(chat) == text


@pytest.mark.parametrize(
    ("chunk", "text"),
    [
        ("Hello", "Hello"),
        ({"choices": [{"delta": {"content": "Hello"}}]}, "Hello"),
        ({"choices": [{"delta": {"content": None}}]}, ""),
        ({"choices": []}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_texts_of_chunks(chunk: Any, text: str) -> None:
    assert text_of_chunk(chunk) == text


def test_placed_messages_are_the_very_ones() -> None:
    placed = place_block([SYSTEM, USER, ASSISTANT], BLOCK)
    assert placed == with_block([SYSTEM, USER, ASSISTANT], BLOCK)
    assert [placed[0] is SYSTEM, placed[2] is USER, placed[3] is ASSISTANT] == [True] * 3
    assert place_block([USER], "")[0] is USER


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ([], 0),
        ([ASSISTANT], 0),
        ([USER], 1),
        ([USER, ASSISTANT], 0),
        ([USER, ASSISTANT, USER], 1),
        ([USER, ASSISTANT, USER, TOOL_USE, TOOL_RESULT], 3),
        ([USER, USER, {"type": "function_call", "call_id": "c1", "name": "clock"}], 2),
    ],
)
def test_the_turn_that_is_open_in_a_history(history: Any, expected: int) -> None:
    assert open_turn(history) == history[len(history) - expected :]


def test_a_turn_begins_with_the_last_message_of_the_user() -> None:
    turn = name_turn([SYSTEM, USER, ASSISTANT, {"role": "user", "content": "Why?"}, TOOL_USE, TOOL_RESULT, ASSISTANT])
    assert [{**message, "id": None} for message in turn] == [
        {**message, "id": None} for message in ({"role": "user", "content": "Why?"}, TOOL_USE, TOOL_RESULT, ASSISTANT)
    ]
    assert len({message["id"] for message in turn}) == 4
    assert name_turn([SYSTEM, ASSISTANT]) == name_turn([]) == []


@pytest.mark.parametrize(
    "messages",
    [
        [USER],
        [{"role": "system", "content": "It is noon."}, USER],
        [{"role": "user", "content": BLOCK}, USER],
        [{"role": "user", "content": [{"type": "text", "text": USER["content"], "cache_control": {}}], "id": "m1"}],
    ],
)
def test_what_the_user_did_not_say_does_not_change_the_name_of_a_turn(messages: List[Dict[str, Any]]) -> None:
    assert name_turn(messages)[0]["id"] == name_turn([USER])[0]["id"]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": "When do we ship"}],
        [{"role": "user", "content": "Hello"}, USER],
        [ASSISTANT, USER],
        [{"role": "user", "content": "\ud83d"}],
    ],
)
def test_what_was_said_before_belongs_to_the_name_of_a_turn(messages: List[Dict[str, Any]]) -> None:
    assert name_turn(messages)[0]["id"] != name_turn([USER])[0]["id"]


def test_a_turn_is_made_of_messages() -> None:
    with pytest.raises(SekhaValidationError, match=r"messages\[1\]: must be a dictionary"):
        name_turn(cast(Any, [USER, "Hello"]))


@pytest.mark.parametrize("kind", ["custom_tool", "computer", "local_shell", "shell", "apply_patch"])
def test_other_calls_of_openai_keep_their_outputs(kind: str) -> None:
    call = {"type": f"{kind}_call", "call_id": "c9", "name": "clock"}
    output = {"type": f"{kind}_call_output", "call_id": "c9", "output": "It is noon."}
    assert [one.get("content") == BLOCK for one in with_block([call, USER, output], BLOCK)] == [
        True,
        False,
        False,
        False,
    ]
