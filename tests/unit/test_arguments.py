"""What callers pass is copied, checked and refused by the name of the field before a byte is sent (C11, S4)."""

from __future__ import annotations

import json
import math
from collections import UserDict, UserList
from datetime import date, datetime, timezone
from enum import Enum
from typing import Any, Dict, List, Mapping
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._api.arguments import (
    ChatRequest,
    EmbedRequest,
    ListRequest,
    PromptRequest,
    SummarizeRequest,
    ToolPruneRequest,
    UpdateRequest,
)
from sekha._api.validation import drop_unset as only_given
from sekha._api.validation import (
    format_path,
    merge_arguments,
    parse_conversation_id,
    parse_conversation_ids,
    to_jsonable,
    validate,
)
from sekha._utils.sentinel import NOT_GIVEN
from sekha.errors import SekhaValidationError
from sekha.types import (
    ContextAssembleRequest,
    CreateConversationRequest,
    MemorySearchRequest,
    MemoryStatsRequest,
    MessageRole,
    PruneRequest,
    QueryRequest,
    SummaryLevel,
)

ID = "235d17ae-25e0-4333-8d1b-d7131be02c24"
USER = {"role": "user", "content": "Hello"}


class Word(str):
    """A text that is not quite a str."""


class Level(Enum):
    HIGH = 3


def refusal(shape: Any, values: Mapping[str, object]) -> SekhaValidationError:
    with pytest.raises(SekhaValidationError) as caught:
        validate(shape, values)
    error = caught.value
    assert error.sent is False
    assert error.status_code == 400
    assert error.may_have_been_applied is False
    assert isinstance(error, ValueError)
    assert str(error).startswith(f"{error.field}: ")
    return error


# ---- plain data ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (5.0, 5.0),
        ("text", "text"),
        (Word("text"), "text"),
        (MessageRole.USER, "user"),
        (Level.HIGH, 3),
        ((1, 2), [1, 2]),
        (UserList([1]), [1]),
        (UserDict({"a": {"b": (1,)}}), {"a": {"b": [1]}}),
        (UUID(ID), ID),
        (date(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 9, 30, tzinfo=timezone.utc), "2026-01-31T09:30:00+00:00"),
        ({"a": NOT_GIVEN, "b": None}, {"b": None}),
        ("\U0001f600", "\U0001f600"),
        (2**70, 2**70),
    ],
)
def test_what_json_can_carry_becomes_plain(value: object, expected: object) -> None:
    found = to_jsonable(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "field", "words"),
    [
        (math.nan, "top", "finite"),
        ({"a": [1.0, math.inf]}, "top.a[1]", "finite"),
        ({"a": {"b": -math.inf}}, "top.a.b", "finite"),
        ("nul\0", "top", "NUL"),
        ({"messages": [{"content": "a"}, {"content": "\ud800"}]}, "top.messages[1].content", "surrogate"),
        ({"messages": [{"content": [{"text": "\udfff x"}]}]}, "top.messages[0].content[0].text", "surrogate"),
        ({"key\0": 1}, "top", "NUL"),
        ({"\ud83d": 1}, "top", "surrogate"),
        ({1: 1}, "top", "keys must be strings"),
        (b"bytes", "top", "not bytes"),
        (bytearray(b"bytes"), "top", "not bytearray"),
        ({1, 2}, "top", "not set"),
        (object(), "top", "not object"),
        ([1, complex(1)], "top[1]", "not complex"),
    ],
)
def test_what_json_cannot_carry_is_refused_by_the_name_of_its_place(value: object, field: str, words: str) -> None:
    with pytest.raises(SekhaValidationError, match=words) as caught:
        to_jsonable(value, ("top",))
    assert caught.value.field == field
    assert caught.value.sent is False


def test_data_that_holds_itself_is_refused_and_not_followed_for_ever() -> None:
    endless: List[object] = []
    endless.append(endless)
    assert "deep" in str(refusal(CreateConversationRequest, {"messages": endless}))
    message: Dict[str, object] = {**USER}
    message["metadata"] = message
    assert "deep" in str(refusal(CreateConversationRequest, {"messages": [message]}))


any_text = st.text(st.characters())
json_like = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), any_text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(any_text, inner, max_size=4)),
    max_leaves=12,
)


@given(json_like)
def test_any_data_either_survives_a_trip_through_json_or_is_refused(value: object) -> None:
    def bad(value: object) -> bool:
        if isinstance(value, float):
            return not math.isfinite(value)
        if isinstance(value, str):
            return "\0" in value or any("\ud800" <= c <= "\udfff" for c in value)
        if isinstance(value, dict):
            return any(bad(key) or bad(item) for key, item in value.items())
        return isinstance(value, list) and any(map(bad, value))

    try:
        found = to_jsonable(value)
    except SekhaValidationError:
        assert bad(value)
    else:
        assert not bad(value)
        wire = json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
        assert json.loads(wire) == value


def test_the_callers_data_is_copied_and_not_changed() -> None:
    mine = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]}
    before = json.dumps(mine)
    request = validate(CreateConversationRequest, mine)
    request["messages"][0]["role"] = "changed"
    request["messages"][0]["content"][0]["text"] = "changed"  # type: ignore[index]
    assert json.dumps(mine) == before


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), "the request"),
        (("query",), "query"),
        (("messages", 1, "content"), "messages[1].content"),
        (("messages", 0, "content", 2, "image_url", "url"), "messages[0].content[2].image_url.url"),
    ],
)
def test_a_place_is_written_as_python_would_reach_it(path: tuple[object, ...], text: str) -> None:
    assert format_path(path) == text


# ---- requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "values", "field", "words"),
    [
        (CreateConversationRequest, {"messages": [USER, {"content": "x"}]}, "messages[1].role", "is missing"),
        (CreateConversationRequest, {"messages": [{"role": "user"}]}, "messages[0].content", "is missing"),
        (
            CreateConversationRequest,
            {"messages": [{**USER, "role": 5}]},
            "messages[0].role",
            "must be a string, not int",
        ),
        (CreateConversationRequest, {"messages": [{**USER, "role": ""}]}, "messages[0].role", "not be empty"),
        (CreateConversationRequest, {"messages": [{**USER, "role": None}]}, "messages[0].role", "not None"),
        (CreateConversationRequest, {"messages": [{**USER, "content": 5}]}, "messages[0].content", "not int"),
        (CreateConversationRequest, {"messages": [{**USER, "content": None}]}, "messages[0].content", "not None"),
        (
            CreateConversationRequest,
            {"messages": [USER, {"role": "user", "content": [{"type": "text", "text": 5}]}]},
            "messages[1].content[0].text",
            "must be a string, not int",
        ),
        (
            CreateConversationRequest,
            {"messages": [{"role": "user", "content": [{"text": "no type"}]}]},
            "messages[0].content[0].type",
            "is missing",
        ),
        (
            CreateConversationRequest,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
            "is missing",
        ),
        (CreateConversationRequest, {"messages": ["hi"]}, "messages[0]", "must be a dictionary, not str"),
        (CreateConversationRequest, {"messages": "hi"}, "messages", "must be a list, not str"),
        (CreateConversationRequest, {"messages": USER}, "messages", "must be a list, not dict"),
        (CreateConversationRequest, {"label": ""}, "label", "not be empty"),
        (CreateConversationRequest, {"label": 5}, "label", "must be a string, not int"),
        (CreateConversationRequest, {"labell": "x"}, "labell", "misspelt"),
        (CreateConversationRequest, {"importance_score": 0}, "importance_score", "at least 1"),
        (CreateConversationRequest, {"importance_score": 11}, "importance_score", "at most 10"),
        (CreateConversationRequest, {"importance_score": 7.0}, "importance_score", "whole number, not float"),
        (CreateConversationRequest, {"importance_score": 7.5}, "importance_score", "whole number, not float"),
        (CreateConversationRequest, {"importance_score": True}, "importance_score", "whole number, not bool"),
        (CreateConversationRequest, {"importance_score": "7"}, "importance_score", "whole number, not str"),
        (QueryRequest, {}, "query", "is missing"),
        (QueryRequest, {"query": ""}, "query", ""),
        (QueryRequest, {"query": " \n\t"}, "query", ""),
        (QueryRequest, {"query": "x", "limit": 0}, "limit", "at least 1"),
        (QueryRequest, {"query": "x", "limit": -1}, "limit", "at least 1"),
        (QueryRequest, {"query": "x", "limit": 2**32}, "limit", "at most"),
        (QueryRequest, {"query": "x", "limit": 1.0}, "limit", "whole number, not float"),
        (QueryRequest, {"query": "x", "limit": True}, "limit", "whole number, not bool"),
        (QueryRequest, {"query": "x", "offset": -1}, "offset", "at least 0"),
        (QueryRequest, {"query": "x", "filters": {"folders": "/x"}}, "filters.folders", "misspelt"),
        (QueryRequest, {"query": "x", "filters": {"labels": "x"}}, "filters.labels", "must be a list, not str"),
        (QueryRequest, {"query": "x", "filters": {"min_importance": "5"}}, "filters.min_importance", "not str"),
        (QueryRequest, {"query": "x", "filters": {"min_importance": True}}, "filters.min_importance", "not bool"),
        (QueryRequest, {"query": "x", "filters": {"min_importance": math.nan}}, "filters.min_importance", "finite"),
        (QueryRequest, {"query": "x", "filters": [1]}, "filters", "must be a dictionary, not list"),
        (ContextAssembleRequest, {"query": "x", "context_budget": 1.5}, "context_budget", "whole number"),
        (ContextAssembleRequest, {"query": "x", "context_budget": -1}, "context_budget", "at least 0"),
        (ContextAssembleRequest, {"query": "x", "preferred_labels": "x"}, "preferred_labels", "list, not str"),
        (ContextAssembleRequest, {"query": "x", "excluded_folders": ["/a", 5]}, "excluded_folders[1]", "not int"),
        (PruneRequest, {"threshold_days": -1}, "threshold_days", "at least 0"),
        (PruneRequest, {"threshold_days": 36501}, "threshold_days", "at most 36500"),
        (PruneRequest, {"threshold_days": 1.5}, "threshold_days", "whole number"),
        (PruneRequest, {"threshold_days": None}, "threshold_days", "not None"),
        (MemoryStatsRequest, {"date": "x"}, "date", "misspelt"),
        (MemorySearchRequest, {"query": " "}, "query", ""),
        (SummarizeRequest, {"level": "yearly"}, "level", "daily"),
        (SummarizeRequest, {"level": 1}, "level", "daily"),
        (ListRequest, {"pinned": 1}, "pinned", "True or False, not int"),
        (ListRequest, {"pinned": "true"}, "pinned", "True or False, not str"),
        (ListRequest, {"page": 0}, "page", "at least 1"),
        (ChatRequest, {"messages": []}, "messages", "not be empty"),
        (ChatRequest, {"messages": [USER], "temperature": 2.1}, "temperature", "at most 2"),
        (ChatRequest, {"messages": [USER], "temperature": True}, "temperature", "not bool"),
        (ChatRequest, {"messages": [USER], "temperature": "0.5"}, "temperature", "not str"),
        (ChatRequest, {"messages": [USER], "max_tokens": 0}, "max_tokens", "at least 1"),
        (EmbedRequest, {"input": []}, "input", "not be empty"),
        (EmbedRequest, {"input": ["a", ""]}, "input[1]", "not be empty"),
        (EmbedRequest, {"input": ["a", 5]}, "input[1]", "string, not int"),
        (UpdateRequest, {"status": "deleted"}, "status", "active"),
        (ToolPruneRequest, {"threshold_days": 1, "importance_threshold": 11}, "importance_threshold", "10"),
        (PromptRequest, {"prompt": "x", "system": " "}, "system", ""),
    ],
)
def test_a_bad_argument_is_refused_by_its_name(
    shape: Any, values: Mapping[str, object], field: str, words: str
) -> None:
    error = refusal(shape, values)
    assert error.field == field
    assert words in error.message


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        (CreateConversationRequest, {"messages": []}),
        (CreateConversationRequest, {"messages": [{**USER, "name": "Ada", "metadata": {"a": [1, None]}}]}),
        (CreateConversationRequest, {"messages": [{"role": "wizard", "content": ""}]}),
        (
            CreateConversationRequest,
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "Look"},
                            {"type": "image_url", "image_url": {"url": "https://x.org/a.png", "detail": "low"}},
                            {"type": "image_url", "image_url": "https://x.org/a.png"},
                            {"type": "later", "what": {"is": "new"}},
                        ],
                    }
                ]
            },
        ),
        (CreateConversationRequest, {"label": "x", "folder": "/", "importance_score": 10}),
        (QueryRequest, {"query": "x", "limit": 1, "offset": 0, "filters": {}}),
        (QueryRequest, {"query": "x", "filters": {"min_importance": 5, "labels": []}}),
        (QueryRequest, {"query": "x", "filters": {"min_importance": 5.5}}),
        (PruneRequest, {"threshold_days": 0}),
        (PruneRequest, {"threshold_days": 36500}),
        (ChatRequest, {"messages": [USER], "temperature": 0, "max_tokens": 1}),
        (EmbedRequest, {"input": "text"}),
        (EmbedRequest, {"input": ["a", "b"]}),
        (MemoryStatsRequest, {}),
    ],
)
def test_good_arguments_come_through_unchanged(shape: Any, values: Dict[str, object]) -> None:
    found = validate(shape, values)
    assert found == values
    assert json.dumps(found, sort_keys=True) == json.dumps(values, sort_keys=True), "5 stays 5, and 5.0 stays 5.0"


def test_enumerations_may_be_given_as_members_and_are_sent_as_plain_strings() -> None:
    found = validate(SummarizeRequest, {"level": SummaryLevel.WEEKLY})
    assert found == {"level": "weekly"}
    assert type(found["level"]) is str


def test_sequences_and_mappings_that_are_no_list_and_no_dict_will_do() -> None:
    message = UserDict(USER)
    assert validate(CreateConversationRequest, {"messages": (message,)}) == {"messages": [USER]}


def test_a_refusal_does_not_drag_pydantics_error_along() -> None:
    error = refusal(QueryRequest, {})
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_given_leaves_out_what_was_not_given_and_keeps_falsehoods() -> None:
    assert only_given(a=NOT_GIVEN, b=None, c=0, d=False, e="", f=[]) == {"c": 0, "d": False, "e": "", "f": []}


def test_a_dictionary_and_keywords_may_be_mixed_and_a_keyword_wins() -> None:
    first = {"label": "a", "folder": "/a"}
    assert merge_arguments(first, {"label": "b"}, "request") == {"label": "b", "folder": "/a"}
    assert merge_arguments(None, {"label": "b"}, "request") == {"label": "b"}
    assert first == {"label": "a", "folder": "/a"}


@pytest.mark.parametrize("what", ["text", 5, [("label", "x")]])
def test_what_stands_for_the_dictionary_must_be_one(what: object) -> None:
    with pytest.raises(SekhaValidationError, match="request: a dictionary is needed") as caught:
        merge_arguments(what, {}, "request")
    assert caught.value.field == "request"


# ---- ids -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        ID,
        ID.upper(),
        ID.replace("-", ""),
        f"urn:uuid:{ID}",
        f"{{{ID}}}",
        UUID(ID),
    ],
)
def test_every_usual_form_of_a_uuid_becomes_the_one_with_hyphens(value: object) -> None:
    assert parse_conversation_id(value) == ID


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1234",
        "count",
        "..",
        ".",
        f"{ID}/label",
        f"../{ID}",
        f"{ID}?x=1",
        f"{ID}#x",
        f" {ID[1:]}",
        f"{ID}\n",
        f"0x{ID.replace('-', '')[2:]}",
        f"1_{ID.replace('-', '')[2:]}",
        f"+{ID.replace('-', '')[1:]}",
        "".join(chr(ord("\uff10") + int(c, 16) % 10) for c in ID.replace("-", "")),
        "2-3-5d17ae25e043338d1bd7131be02c24",
        f"{{{ID}",
        None,
        5,
        b"235d17ae25e043338d1bd7131be02c24",
        [ID],
    ],
)
def test_what_is_no_uuid_is_refused(value: object) -> None:
    with pytest.raises(SekhaValidationError, match="UUID") as caught:
        parse_conversation_id(value)
    assert caught.value.field == "conversation_id"
    assert caught.value.sent is False


@given(st.one_of(any_text, st.text("0123456789abcdefABCDEF-{}_ x+urn:id", max_size=45), st.uuids().map(str)))
def test_any_text_is_a_uuid_in_its_usual_form_or_refused(text: str) -> None:
    try:
        found = parse_conversation_id(text)
    except SekhaValidationError:
        return
    assert str(UUID(found)) == found
    digits = [c for c in text.lower().replace("urn:uuid:", "") if c not in "-{}"]
    assert "".join(digits) == found.replace("-", ""), "another id than the one that was given"


def test_ids_keep_their_order_and_are_each_there_once() -> None:
    other = "11111111-2222-4333-8444-555555555555"
    assert parse_conversation_ids([other, UUID(ID), ID.upper(), other]) == [other, ID]
    assert parse_conversation_ids([]) == []


@pytest.mark.parametrize("value", [ID, ID.encode(), None, 5, {ID}])
def test_a_single_id_is_no_list_of_ids(value: object) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        parse_conversation_ids(value)
    assert caught.value.field == "conversation_ids"


def test_a_bad_id_in_a_list_is_named_by_its_position() -> None:
    with pytest.raises(SekhaValidationError) as caught:
        parse_conversation_ids([ID, "x"])
    assert caught.value.field == "conversation_ids[1]"
