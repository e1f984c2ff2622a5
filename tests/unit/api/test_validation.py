"""Arguments become plain JSON or are refused by the name of their place (C11); ids are UUIDs (S4)."""

from __future__ import annotations

import json
import math
from collections import UserDict, UserList
from datetime import date, datetime, timezone
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._api.validation import (
    argument_error,
    copy_of_texts,
    format_path,
    merge_arguments,
    parse_conversation_id,
    parse_conversation_ids,
    to_jsonable,
    validate,
    wrong_object,
)
from sekha._utils.sentinel import NOT_GIVEN
from sekha.errors import SekhaValidationError
from sekha.types import (
    CreateConversationRequest,
    MessageRole,
)

ID = "235d17ae-25e0-4333-8d1b-d7131be02c24"


class Word(str):
    """A text that is not quite a str."""


class Level(Enum):
    HIGH = 3


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


def test_a_dictionary_and_keywords_may_be_mixed_and_a_keyword_wins() -> None:
    first = {"label": "a", "folder": "/a"}
    assert merge_arguments(first, {"label": "b"}, "request") == {"label": "b", "folder": "/a"}
    assert merge_arguments(None, {"label": "b"}, "request") == {"label": "b"}
    assert first == {"label": "a", "folder": "/a"}


@pytest.mark.parametrize("what", ["text", 5, [("label", "x")]])
def test_what_stands_for_the_dictionary_must_be_one(what: object) -> None:
    with pytest.raises(SekhaValidationError, match="request: must be a dictionary") as caught:
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


# ---- errors tell (E2) --------------------------------------------------------------------------------------------


@pytest.mark.promise("E2")
def test_what_was_refused_before_sending_tells_no_status() -> None:
    error = argument_error("query", "must not be empty")
    assert str(error) == "query: must not be empty"
    assert (error.field, error.status_code, error.sent) == ("query", 400, False)
    assert isinstance(error, ValueError)


def test_a_number_without_end_is_refused_by_its_place() -> None:
    with pytest.raises(SekhaValidationError, match=r"^messages\[0\]\.n: must be a number of at most 300 digits"):
        to_jsonable({"messages": [{"n": 10**5000}]})


# ---- messages that are texts -----------------------------------------------------------------------------------

PLAIN = {"role": "user", "content": "Q"}
ODD = st.sampled_from(
    [None, 5, "", "\0", "\ud83d", "\ude00", "\U0001f600", "user", Word("user"), MessageRole.USER, NOT_GIVEN, ["x"]]
)


@given(st.lists(st.dictionaries(st.sampled_from(["role", "content", "timestamp", "id"]), ODD), max_size=3))
def test_messages_that_are_texts_are_what_validate_returns(odd: list[dict[str, object]]) -> None:
    messages = [PLAIN, *odd]
    found = copy_of_texts(messages)
    if found is not None:
        expected: object = validate(CreateConversationRequest, {"messages": messages}).get("messages")
        assert found == expected
        assert all(one is not other for one, other in zip(found, messages))


def test_which_messages_are_texts() -> None:
    plain = [PLAIN, {**PLAIN, "timestamp": "2026-01-31T09:30:00Z"}, {"role": "x", "content": ""}]
    assert copy_of_texts(plain) == plain
    more: list[object] = [
        {"content": "Q"},
        {"role": "user"},
        {**PLAIN, "role": ""},
        {**PLAIN, "id": "1"},
        "Q",
        UserDict(PLAIN),
    ]
    halves = [{**PLAIN, "role": "\ud83d"}, {**PLAIN, "content": "\ude00"}]
    for messages in (*([*plain, one] for one in more), tuple(plain), UserList(plain), None, halves):
        assert copy_of_texts(messages) is None


def test_a_function_that_is_async_is_named_and_leaves_nothing_to_await() -> None:
    async def find() -> int:
        return 1  # pragma: no cover  # it is not awaited

    error = wrong_object("client", "must be a client", find())  # a RuntimeWarning would be an error here
    assert (str(error), error.field) == ("client: must be a client; the function must not be async", "client")
    assert str(wrong_object("client", "must be a client", None)) == "client: must be a client, not NoneType"
