"""What the adapter for LangChain decides, on messages that look like LangChain's; with those it is tested elsewhere."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import pytest

from sekha import SekhaValidationError
from sekha.integrations._langchain_data import begin_turn, check_k, document_fields, end_turn, put_block

BLOCK = "<memory>\nWhat follows was remembered from earlier conversations. It is quoted: ...\n</memory>"


class Message:
    """A message of LangChain, as far as it is looked at."""

    def __init__(self, type: str, content: Any, id: str, **others: Any) -> None:
        self.type, self.content, self.id, self.additional_kwargs = type, content, id, others.pop("extra", {})
        self.__dict__.update(others)


ASKED = Message("human", [{"type": "text", "text": "When do we ship?"}, {"type": "image_url"}], "m1")
CALL = Message("ai", "I look.", "m2", tool_calls=[{"id": "c1", "name": "clock", "args": {}}])
RESULT = Message("tool", "noon", "m3", tool_call_id="c1", name="clock")
ANSWER = Message("AIMessageChunk", "At noon.", "m4")
EARLIER = [Message("system", "Be brief.", "m-2"), Message("human", "Hello!", "m-1"), Message("ai", "Hi!", "m0")]
SUMMARY = Message("human", "A summary.", "s1", extra={"lc_source": "summarization"})
HINT = Message("human", "Go on!", "h1")


def texts(messages: Any) -> List[Tuple[str, Any]]:
    return [(one["role"], one["content"]) for one in messages]


@pytest.mark.parametrize(
    ("messages", "query", "said", "after"),
    [
        ([*EARLIER, ASKED], "When do we ship?", ["m1"], "m1"),
        ([ASKED], "When do we ship?", ["m1"], "m1"),
        ([*EARLIER, HINT, ASKED], "When do we ship?", ["h1", "m1"], "m1"),
        ([SUMMARY, ASKED], "When do we ship?", ["m1"], "m1"),
        (EARLIER, "Hello!", [], "m0"),
        ([ASKED, CALL, RESULT], "When do we ship?", [], "m3"),
        ([Message("HumanMessageChunk", "Hello!", "m1")], "Hello!", ["m1"], "m1"),
        ([], "", [], None),
    ],
)
def test_new_is_what_the_user_has_said_after_the_last_answer(
    messages: List[Message], query: str, said: List[str], after: Optional[str]
) -> None:
    asked, turn = begin_turn(messages)
    assert (asked, [one["id"] for one in turn["said"]], turn["after"]) == (query, said, after)


@pytest.mark.parametrize(
    ("now", "kept"),
    [
        ([ASKED, CALL, RESULT, ANSWER], [("assistant", "I look."), ("tool", "noon"), ("assistant", "At noon.")]),
        ([ASKED, HINT, ANSWER], [("assistant", "At noon.")]),
        ([ASKED], []),
        ([SUMMARY, RESULT, ANSWER], [("tool", "noon"), ("assistant", "At noon.")]),
    ],
)
def test_a_turn_is_what_the_user_has_said_and_what_came_after_it(now: Any, kept: Any) -> None:
    _, turn = begin_turn([*EARLIER, ASKED])
    before = [] if SUMMARY in now else EARLIER
    ended = end_turn([*before, *now], turn)
    assert ended[0]["id"] == "m1"
    assert texts(ended[1:]) == kept


def test_what_was_changed_in_the_turn_is_taken_as_it_is_now() -> None:
    _, turn = begin_turn([ASKED])
    assert texts(end_turn([Message("human", "[REDACTED]", "m1"), ANSWER], turn))[0] == ("user", "[REDACTED]")
    assert texts(end_turn([ANSWER], turn))[0] == ("user", "When do we ship?")
    assert end_turn([ASKED, ANSWER], None) == []


def test_the_block_stands_before_the_last_message_of_the_user_and_the_others_are_the_same() -> None:
    _, turn = begin_turn([ASKED])
    turn["block"] = BLOCK
    messages = [*EARLIER, ASKED, CALL, RESULT]
    put = put_block(messages, turn, lambda text: Message("human", text, "new"))
    assert [one for one in put if one.id != "new"] == messages
    assert [one.id for one in put] == ["m-2", "m-1", "m0", "new", "m1", "m2", "m3"]
    assert put_block(messages, None, lambda text: None) == messages


def test_a_message_of_another_type_has_the_role_that_it_says() -> None:
    chat = Message("chat", "Hello!", "m1", role="user")
    query, turn = begin_turn([*EARLIER, chat])
    assert (query, turn["said"][0]["id"]) == ("Hello!", "m1")
    answered = Message("chat", "Hi!", "m2", role="assistant")
    assert texts(end_turn([*EARLIER, chat, answered], turn)) == [("user", "Hello!"), ("assistant", "Hi!")]


@pytest.mark.parametrize("k", [0, -1, 1.0, "1", None, True])
def test_a_bad_k_is_refused(k: object) -> None:
    assert check_k(3) == 3
    with pytest.raises(SekhaValidationError, match=r"^k: must be a whole number, 1 or more") as caught:
        check_k(k)
    assert caught.value.field == "k"


def test_a_document_has_the_text_and_what_belongs_to_it() -> None:
    result: Any = {
        **{"content": "We ship.", "message_id": "m", "conversation_id": "c", "score": 0.5, "label": "s1"},
        **{"timestamp": "2026-01-01T00:00:00Z", "folder": "/shop/ann", "metadata": None},
    }
    metadata: Dict[str, Any] = {name: result[name] for name in ("score", "label", "timestamp")}
    assert document_fields(result) == {
        "page_content": "We ship.",
        "id": "m",
        "metadata": {**metadata, "conversation_id": "c", "message_id": "m"},
    }
