"""Turns in the chat memory of LlamaIndex, with messages that look like LlamaIndex's, which need not be installed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, List, Tuple

import pytest

from sekha._api.prompts import UNAVAILABLE
from sekha.integrations._llamaindex_turns import count_answered, find_question, place_block, shorten_block, to_remember

ASKED, CALL, ANSWER = ("user", "When?"), ("assistant", ""), ("assistant", "On Fridays.")
RESULT = ("tool", "It is noon.")
PROGRAM, PRINTED = ("assistant", "<execute>x</execute>"), ("user", "Result of executing the code given:\n\n1")


def message(role: str, content: Any, *calls: str) -> Any:
    blocks = [SimpleNamespace(block_type=one) for one in calls]
    return SimpleNamespace(role=SimpleNamespace(value=role), content=content, blocks=blocks, additional_kwargs={})


def chat(*messages: Tuple[str, Any]) -> List[Any]:
    return [message(*one) for one in messages]


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([], (-1, "")),
        ([ANSWER], (-1, "")),
        ([ASKED], (0, "When?")),
        ([ASKED, ASKED], (0, "When?")),
        ([ASKED, CALL, RESULT, ASKED], (0, "When?")),
        ([ASKED, CALL, RESULT, ANSWER], (0, "When?")),
        ([ASKED, ANSWER, ASKED], (2, "When?")),
        ([("user", "First."), ASKED], (1, "When?")),
        ([ASKED, PROGRAM, PRINTED], (0, "When?")),
        ([("user", None)], (0, "")),
    ],
)
def test_the_question_stands_where_its_turn_begins(messages: Any, found: Any) -> None:
    assert find_question(chat(*messages)) == found


@pytest.mark.parametrize(
    ("messages", "count"),
    [
        ([], 0),
        ([ASKED, CALL, RESULT], 0),
        ([ASKED, ANSWER], 2),
        ([ASKED, ANSWER, ASKED, CALL], 2),
        ([ASKED, ("model", "On Fridays.")], 2),
        ([ASKED, ("assistant", " ")], 0),
    ],
)
def test_what_is_answered(messages: Any, count: int) -> None:
    assert count_answered(chat(*messages)) == count


@pytest.mark.parametrize("name", ["tool_calls", "function_call"])
def test_a_text_beside_a_call_is_no_answer(name: str) -> None:
    one = message("assistant", "I look.")
    one.additional_kwargs[name] = [{"id": "c1"}]
    assert count_answered([one, message("assistant", "I look.", "text", "tool_call")]) == 0


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Thought: a\nAnswer: b", "b"),
        ("Thought: a\nAnswer: b\nAnswer: c", "b\nAnswer: c"),
        ("Thought: a\nAction: t\nAction Input: {}\nObservation: x\nAnswer: no\nThought: b\nAnswer: c", "c"),
        ("My Thought: a\nAnswer: b", "My Thought: a\nAnswer: b"),
        ("Answer: b", "Answer: b"),
    ],
)
def test_of_a_react_agent_the_answer_is_kept(text: str, kept: str) -> None:
    assert to_remember(chat(ASKED, ("assistant", text)))[1] == {"role": "assistant", "content": kept}
    assert to_remember(chat(("user", text)))[0]["content"] == text


def test_programs_and_what_was_tried_again_are_left_out() -> None:
    said = to_remember(chat(ASKED, ASKED, PROGRAM, PRINTED, ("chatbot", "On Fridays."), ASKED))
    kept = [(one["role"], one["content"]) for one in said if one["role"] in ("user", "assistant") and one["content"]]
    assert kept == [ASKED, ANSWER, ASKED]


def test_the_block_goes_before_the_last_message_of_the_user() -> None:
    block = ("user", UNAVAILABLE)
    messages = chat(("system", "Be brief."), block, ASKED, ANSWER, ASKED)
    placed = place_block(messages, lambda text: message("user", text))
    assert [one.content for one in placed] == ["Be brief.", "When?", "On Fridays.", UNAVAILABLE, "When?"]
    assert placed[-1] is messages[-1]
    assert place_block(messages[2:], lambda text: pytest.fail("there is no block")) == messages[2:]


def test_a_block_is_shortened_as_a_whole_if_it_has_one_part() -> None:
    assert shorten_block(UNAVAILABLE, 0, str.split) == UNAVAILABLE
    assert shorten_block(UNAVAILABLE, 1, str.split) == shorten_block("", 1, str.split) == ""
