"""The arguments of a chat with memories: the prompt, the query, the options, and what is refused."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from sekha._api.chats import is_memory_error, parse_chat, parse_messages
from sekha.errors import (
    SekhaClosedError,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaError,
    SekhaServerError,
    SekhaValidationError,
)

USER: Dict[str, Any] = {"role": "user", "content": "Hello"}
ANSWER: Dict[str, Any] = {"role": "assistant", "content": "Hi."}
CALL: Dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]}
RESULT: Dict[str, Any] = {"role": "tool", "content": "42", "tool_call_id": "1"}
IMAGE: Dict[str, Any] = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}


@pytest.mark.parametrize(
    ("arguments", "before", "prompt"),
    [
        ({"prompt": "What?"}, [], {"role": "user", "content": "What?"}),
        ({"prompt": "What?", "messages": []}, [], {"role": "user", "content": "What?"}),
        ({"prompt": "What?", "messages": [USER]}, [USER], {"role": "user", "content": "What?"}),
        ({"prompt": "What?", "messages": (USER, ANSWER)}, [USER, ANSWER], {"role": "user", "content": "What?"}),
        ({"messages": [USER]}, [], USER),
        ({"messages": [USER, ANSWER, USER]}, [USER, ANSWER], USER),
        ({"messages": [USER], "system": "Be brief."}, [{"role": "system", "content": "Be brief."}], USER),
        (
            {"messages": [{"role": "system", "content": "Be kind."}, USER], "system": "Be brief."},
            [{"role": "system", "content": "Be brief."}, {"role": "system", "content": "Be kind."}],
            USER,
        ),
    ],
)
def test_the_prompt_and_what_comes_before_it(arguments: Any, before: Any, prompt: Any) -> None:
    for chat in (parse_chat(arguments, searches=False), parse_messages(arguments)):
        assert (chat.before, chat.prompt) == (before, prompt)


@pytest.mark.parametrize(
    ("prompt", "query"),
    [
        ("What?", "What?"),
        ("x" * 2000, "x" * 2000),
        ("x" * 2001, "x" * 2000),
        (" \n" * 3000 + "What?", "What?"),
        ("日本" * 5000, "日本" * 1000),
    ],
)
@pytest.mark.parametrize("searches", [False, True])
def test_the_query_is_the_prompt_if_none_is_given(searches: bool, prompt: str, query: str) -> None:
    assert parse_chat({"prompt": prompt}, searches=searches).query == query
    assert parse_chat({"messages": [{"role": "user", "content": prompt}]}, searches=searches).query == query
    name = "search_query" if searches else "context_query"
    assert parse_chat({"prompt": prompt, name: "y" * 9000}, searches=searches).query == "y" * 9000


def test_the_query_of_a_prompt_of_parts_is_its_text() -> None:
    parts = [{"type": "text", "text": "What"}, IMAGE, {"type": "text", "text": "is this?"}]
    assert parse_chat({"messages": [{"role": "user", "content": parts}]}, searches=True).query == "What\nis this?"


OPTIONS: Dict[str, Any] = {
    "context_budget": 4000,
    "preferred_labels": None,
    "excluded_folders": None,
    "folders": None,
    "roles": None,
    "min_score": None,
    "hybrid": None,
}


def test_the_options_of_the_memory_go_on_as_they_were_given() -> None:
    assert parse_chat({"prompt": "x"}, searches=False).recall == OPTIONS
    given: Any = {"context_budget": 9, "folders": ("work",), "roles": ["user"], "min_score": 0.5, "hybrid": True}
    assert parse_messages({"prompt": "x", **given}).recall == {**OPTIONS, **given}
    searching = parse_messages({"prompt": "x", "search_query": "y"})
    assert (searching.query, searching.searches) == ("y", True)
    assert searching.recall == {"limit": 5, "filters": None, "hybrid": True, "min_score": None}
    filters = {"folder": "work", "subfolders": True}
    assert parse_chat({"prompt": "x", "filters": filters, "hybrid": False}, searches=True).recall == {
        "limit": 5,
        "filters": filters,
        "hybrid": False,
        "min_score": None,
    }


def test_the_options_of_the_completion_are_kept_apart() -> None:
    given = {"model": "gpt-4", "temperature": 0, "max_tokens": 9, "extra_body": {"top_p": 0.5}}
    assert parse_chat({"prompt": "x", **given}, searches=True).completion == given
    assert parse_chat({"prompt": "x"}, searches=True).completion == {}


REFUSED: List[Any] = [
    ({}, "prompt"),
    ({"messages": []}, "prompt"),
    ({"context_query": "x"}, "prompt"),
    ({"prompt": " "}, "prompt"),
    ({"prompt": [USER]}, "prompt"),
    ({"messages": [USER, ANSWER]}, "messages"),
    ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
    ({"messages": "Hello"}, "messages"),
    ({"messages": USER}, "messages"),
    ({"messages": ["Hello"]}, "messages[0]"),
    ({"messages": [ANSWER, {"role": "user", "content": " "}]}, "messages[1].content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [{"content": "x"}], "prompt": "x"}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": 5}], "prompt": "x"}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [IMAGE]}]}, "context_query"),
    ({"prompt": "x", "context_query": " "}, "context_query"),
    ({"prompt": "x", "system": ""}, "system"),
    ({"prompt": "x", "roles": ["wizard"]}, "roles[0]"),
    ({"prompt": "x", "roles": "user"}, "roles"),
    ({"prompt": "x", "folders": ["/a/../b"]}, "folders[0]"),
    ({"prompt": "x", "folders": "/a"}, "folders"),
    ({"prompt": "x", "min_score": 1.5}, "min_score"),
    ({"prompt": "x", "min_score": -0.1}, "min_score"),
    ({"prompt": "x", "min_score": True}, "min_score"),
    ({"prompt": "x", "on_memory_error": "warn"}, "on_memory_error"),
    ({"prompt": "x", "on_memory_error": None}, "on_memory_error"),
]


@pytest.mark.parametrize(("arguments", "field"), REFUSED)
def test_what_cannot_be_used_is_refused_by_its_name(arguments: Any, field: str) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        parse_chat(arguments, searches=False)
    assert (caught.value.field, caught.value.sent) == (field, False)
    with pytest.raises(SekhaValidationError) as caught:
        parse_messages(arguments)
    assert (caught.value.field, caught.value.sent) == (field, False)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"extra_body": {"messages": []}}, "extra_body.messages"),
        ({"extra_body": {"stream": False}}, "extra_body.stream"),
        ({"extra_body": [("top_p", 1)]}, "extra_body"),
        ({"extra_body": {"top_p": float("nan")}}, "extra_body.top_p"),
        ({"extra_body": {"stop": [b"x"]}}, "extra_body.stop[0]"),
        ({"messages": [USER, RESULT]}, "messages[1].role"),
        ({"messages": [{"role": "developer", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "User", "content": "x"}]}, "messages[0].role"),
        ({"messages": [USER, CALL]}, "messages[1].content"),
        ({"messages": [{"role": "assistant"}]}, "messages[0].content"),
    ],
)
def test_what_the_bridge_refuses_is_refused_before(arguments: Any, field: str) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        parse_chat({"prompt": "x", **arguments}, searches=False)
    assert caught.value.field == field


def test_messages_for_a_model_of_your_own_may_call_tools() -> None:
    messages = [USER, CALL, RESULT, {"role": "developer", "content": "x"}, {"role": "assistant", "tool_calls": []}]
    assert parse_messages({"prompt": "x", "messages": messages}).before == messages


@pytest.mark.parametrize(
    "options",
    [
        {"context_budget": 9},
        {"preferred_labels": ["A"]},
        {"excluded_folders": ["/a"]},
        {"folders": ["/a"]},
        {"roles": ["user"]},
    ],
)
def test_a_search_takes_no_option_of_a_context(options: Any) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        parse_messages({"prompt": "x", "search_query": "y", **options})
    assert [caught.value.field] == list(options)
    assert parse_messages({"prompt": "x", **options}).searches is False


@pytest.mark.parametrize("options", [{"limit": 9}, {"filters": {}}])
def test_a_context_takes_no_option_of_a_search(options: Any) -> None:
    for query in ({}, {"context_query": "y"}):
        with pytest.raises(SekhaValidationError) as caught:
            parse_messages({"prompt": "x", **query, **options})
        assert [caught.value.field] == list(options)
    assert parse_messages({"prompt": "x", "search_query": "y", **options}).searches is True


def test_there_is_one_query() -> None:
    with pytest.raises(SekhaValidationError) as caught:
        parse_messages({"prompt": "x", "search_query": "y", "context_query": "z"})
    assert caught.value.field == "search_query"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SekhaConnectionError("refused"), True),
        (SekhaServerError("broken", status_code=500, sent=True), True),
        (SekhaError("any"), True),
        (SekhaValidationError("too long", status_code=413, sent=True), True),
        (SekhaValidationError("limit: no", status_code=400, sent=False), False),
        (SekhaConfigError("no key"), False),
        (SekhaClosedError("closed"), False),
    ],
)
def test_the_memory_is_not_to_blame_for_everything(error: SekhaError, expected: bool) -> None:
    assert is_memory_error(error) is expected
