"""A refusal becomes an error: its class, the server's words, redirects, Retry-After (C7, S3, R3)."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Dict, Iterator, Optional, Type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._api import endpoints
from sekha._api.error_response import error_class, error_from_response, has_error, parse_retry_after
from sekha._api.model import Response
from sekha.errors import (
    BODY_LIMIT,
    SekhaAPIError,
    SekhaAuthError,
    SekhaConflictError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaValidationError,
)
from support import bodies
from unit.vectors import exchanges, parse

PATH = "/api/v1/conversations/{id}"


# ---- an answer becomes an error (C7) -----------------------------------------------------------------------------


@pytest.mark.promise("C7")
@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, SekhaValidationError),
        (401, SekhaAuthError),
        (402, SekhaAPIError),
        (403, SekhaPermissionError),
        (404, SekhaNotFoundError),
        (405, SekhaAPIError),
        (408, SekhaAPIError),
        (409, SekhaConflictError),
        (413, SekhaValidationError),
        (415, SekhaValidationError),
        (418, SekhaAPIError),
        (422, SekhaValidationError),
        (429, SekhaRateLimitError),
        (500, SekhaServerError),
        (501, SekhaServerError),
        (502, SekhaServerError),
        (503, SekhaServerError),
        (504, SekhaServerError),
        (599, SekhaServerError),
        (301, SekhaAPIError),
        (304, SekhaAPIError),
    ],
)
def test_the_status_decides_the_class(status: int, cls: Type[SekhaAPIError]) -> None:
    assert error_class(status) is cls
    error = error_from_response("GET", "/x", status, {}, b"")
    assert type(error) is cls
    assert error.status_code == status
    assert error.sent is True


BODIES: Dict[str, bytes] = {
    "object": b'{"error": "the server says this", "code": 77}',
    "other object": b'{"foo": 1}',
    "list": b"[1, 2]",
    "scalar": b"5",
    "empty": b"",
    "html": b"<!doctype html><html><body><h1>502   Bad Gateway</h1></body></html>",
    "cut": b'{"error": "the ser',
    "bad utf-8": b'{"error": "\xff\xfe"}',
    "nul": b"\0\0",
    "long": b"x" * 100_000,
    "long json": b'{"error": "' + b"y" * 100_000 + b'"}',
    "deep": b'{"error":' * 3000 + b"1" + b"}" * 3000,
    "deep detail": b'{"detail": [' + b"[" * 900 + b"]" * 900 + b"]}",
    "deep list": b"[" * 100_000,
    "odd detail": b'{"detail": [{"loc": 5, "msg": "x"}, 7, null, {"loc": [1, {}]}]}',
    "odd error": b'{"error": {"error": {"message": ["a"]}}}',
    "nan": b'{"error": NaN, "code": Infinity}',
}
STATUSES = [301, 307, 400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503, 504]


@pytest.mark.promise("C7")
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("content_type", ["application/json", "text/html; charset=utf-8", None])
def test_any_body_becomes_an_error_with_a_bounded_text(body: str, content_type: Optional[str]) -> None:
    headers = {"content-type": content_type} if content_type else {}
    for status in STATUSES:
        error = error_from_response("PUT", PATH, status, headers, BODIES[body])
        assert type(error) is error_class(status)
        assert (error.status_code, error.method, error.path) == (status, "PUT", PATH)
        assert error.message.strip(), "it always says something"
        assert len(error.message) <= BODY_LIMIT
        assert error.body is not None
        assert len(error.body) <= BODY_LIMIT
        assert BODIES[body].decode("utf-8", "replace").startswith(error.body)
        assert "\n" not in str(error)
        json.dumps([error.message, error.body, error.code])


@pytest.mark.promise("C7", "W3")
@pytest.mark.parametrize("status", bodies.REFUSALS)
def test_a_refusal_with_any_body_is_the_right_error(status: int) -> None:
    for data, words, _ in bodies.BODIES:
        for content_type in bodies.TYPES:
            headers = {"content-type": content_type} if content_type else {}
            with pytest.raises(SekhaAPIError) as caught:
                parse(endpoints.QUERY, Response(status, headers, data))
            bodies.check_refusal(caught.value, status, data, words, content_type)


@pytest.mark.promise("C7")
@given(st.binary(max_size=200), st.sampled_from(STATUSES), st.text(max_size=20))
def test_no_bytes_break_the_making_of_an_error(body: bytes, status: int, content_type: str) -> None:
    assert str(error_from_response("GET", "/x", status, {"content-type": content_type}, body))


json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["error", "detail", "message", "code", "loc", "msg"]), inner, max_size=4),
    ),
    max_leaves=10,
)


@pytest.mark.promise("C7")
@given(json_values)
def test_no_json_breaks_the_making_of_an_error(body: object) -> None:
    error = error_from_response("GET", "/x", 500, {}, json.dumps(body).encode())
    assert error.message
    assert error.code is None or isinstance(error.code, (int, str))


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ('{"error": "Conversation not found", "code": 404}', "Conversation not found", 404),
        ('{"error": "Invalid API key"}', "Invalid API key", None),
        ('{"detail": "Method Not Allowed"}', "Method Not Allowed", None),
        ('{"message": "later servers"}', "later servers", None),
        ('{"error": {"message": "OpenAI style", "code": "model_not_found"}}', "OpenAI style", "model_not_found"),
        (
            '{"detail": [{"type": "missing", "loc": ["body", "task"], "msg": "Field required", "input": {}}]}',
            "body.task: Field required",
            None,
        ),
        ("Rate limit exceeded. Please try again later.", "Rate limit exceeded. Please try again later.", None),
        ('"a bare string"', '"a bare string"', None),
    ],
)
def test_the_servers_own_words_are_found_in_every_form(body: str, message: str, code: object) -> None:
    error = error_from_response("GET", "/x", 500, {}, body.encode())
    assert (error.message, error.code) == (message, code)


def test_an_empty_answer_says_so() -> None:
    assert error_from_response("GET", "/x", 404, {}, b"").message == "Not Found (the response was empty)"
    assert error_from_response("GET", "/x", 404, {}, b" \n ").message == "Not Found (the response was empty)"
    assert "599" in error_from_response("GET", "/x", 599, {}, b"").message


def test_a_page_of_a_proxy_is_named_as_such_and_shown_in_short() -> None:
    for content_type in ("text/html", ""):
        error = error_from_response(
            "GET", "/x", 502, {"content-type": content_type}, b"<html>\n<p>Bad " + b"gateway " * 100
        )
        assert "HTML" in error.message
        assert "Bad gateway" in error.message
        assert len(error.message) < 200


def test_a_hint_comes_after_the_servers_words_and_a_class_can_be_chosen() -> None:
    error = error_from_response("GET", "/x", 500, {}, b'{"error": "odd"}', cls=SekhaNotFoundError, hint="Do this")
    assert type(error) is SekhaNotFoundError
    assert error.message == "odd. Do this"
    assert error.status_code == 500, "always the one on the wire"


@pytest.mark.parametrize("file", ["controller", "mcp", "bridge", "story"])
def test_every_recorded_refusal_becomes_its_error_with_the_servers_words(file: str) -> None:
    refusals = [exchange for exchange in exchanges(file) if exchange.answer.status >= 400]
    assert refusals
    for exchange in refusals:
        answer = exchange.answer
        error = error_from_response(exchange.method, PATH, answer.status, answer.headers, answer.body)
        assert type(error) is error_class(answer.status)
        try:
            said = json.loads(answer.text)
        except ValueError:
            assert error.message == (answer.text[:2000] or error.message), exchange.name
            continue
        words = said.get("error", said.get("detail"))
        if isinstance(words, str):
            assert error.message == words[:2000], exchange.name
            assert error.code == said.get("code")
        else:
            assert str(words[0]["msg"]) in error.message, exchange.name
            assert ".".join(map(str, words[0]["loc"])) in error.message


@pytest.mark.promise("C7")
@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<h1>502 Bad Gateway</h1>\r\n"
         "<hr><center>nginx/1.22</center>\r\n</body>\r\n</html>\r\n", "502 Bad Gateway nginx/1.22"),
        ("<html><head><title>Only &amp; title</title></head><body></body></html>", "Only & title"),
        ("<style>a{}</style><script>var x = '<p>';</script><!-- no --><p>Yes</p>", "Yes"),
        ("<script>never closed <p>Yes</p>", "never closed Yes"),
        ("<p>cut <b", "cut"),
        ("<", "<"),
        ("<!-- -->", "<!-- -->"),
    ],
)  # fmt: skip
def test_a_page_is_shown_as_its_text(page: str, shown: str) -> None:
    error = error_from_response("GET", "/x", 502, {}, page.encode())
    assert error.message == f"an HTML page instead of JSON: {shown}"
    assert error.body == page


@pytest.mark.promise("C7", "W3")
def test_why_a_body_is_not_whole_is_said() -> None:
    assert error_from_response("GET", "/x", 502, {}, b"", problem="it broke").message == "Bad Gateway (it broke)"
    assert error_from_response("GET", "/x", 502, {}, b"bus", problem="it broke").message == "bus (it broke)"


@pytest.mark.promise("W6")
@pytest.mark.parametrize(
    ("data", "words_count", "certain"),
    [
        ({"error": "x"}, True, True),
        ({"Error": {"message": "x"}}, True, True),
        ({"error": {}}, True, False),
        ({"error": None}, False, False),
        ({"error": False}, False, False),
        ({"object": "ERROR"}, True, True),
        ({"type": "error"}, True, True),
        ({"status": "failed"}, True, True),
        ({"success": False}, True, True),
        ({"message": "x"}, True, False),
        ({"Detail": [{"msg": "x"}]}, True, False),
        ({"message": ""}, False, False),
        ({"message": {"content": "Hi"}}, False, False),
        ({"message": 5}, False, False),
        ({"status": "ok", "success": True}, False, False),
        ({}, False, False),
        ([{"error": "x"}], False, False),
        (None, False, False),
    ],
)
def test_what_is_an_error_by_its_words(data: Any, words_count: bool, certain: bool) -> None:
    assert has_error(data) is words_count
    assert has_error(data, certain=True) is certain


@pytest.mark.promise("C7")
@given(json_values)
def test_no_json_breaks_the_look_for_an_error(data: object) -> None:
    assert has_error(data) in (True, False)


# ---- redirects (S3) ----------------------------------------------------------------------------------------------


@pytest.mark.promise("S3")
@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://other.example/login?token=sekret#sekret", "https://other.example/login"),
        ("https://user:sekret@other.example:444/a?sekret", "https://other.example:444/a"),
        ("/login?next=sekret", "/login"),
        ("http://[bad", "?"),
    ],
)
def test_a_redirect_names_its_target_without_query_and_user(location: str, shown: str) -> None:
    error = error_from_response("GET", "/x", 307, {"location": location}, b"")
    assert f"to {shown};" in error.message
    assert "sekret" not in str(error)


@pytest.mark.promise("S3")
def test_a_redirect_without_a_target_says_so() -> None:
    assert "to ?;" in error_from_response("GET", "/x", 302, {}, b"").message


# ---- Retry-After (R3) --------------------------------------------------------------------------------------------


NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.fixture
def far_from_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):  # Windows takes the zone of the machine, whichever that is
        yield
        return
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    yield
    monkeypatch.undo()
    os.environ.get("TZ")
    time.tzset()


@pytest.mark.promise("R3")
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("99999999999", 99999999999.0),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("1e999", None),
        ("soon", None),
        ("7 seconds", None),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        ("Sun, 06 Nov 1994 08:49:27 GMT", 0.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:49:47 1994", 10.0),
        ("Sun, 06 Nov 1994 08:49:47 -0000", 10.0),
        ("Sun, 06 Nov 1994 10:49:47 +0200", 10.0),
        ("Sun, 99 Nov 1994 08:49:47 GMT", None),
        ("Sun, 06 Nov 99999 08:49:47 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(value: str, seconds: object, far_from_greenwich: None) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.promise("R3", "W9")
@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:47 GMT", "Sun, 06 Nov 1994 08:39:45 GMT", 602.0),
        ("Sun, 06 Nov 1994 08:49:47 GMT", "Sun, 06 Nov 1994 08:49:45 GMT", 2.0),
        ("Sun, 06 Nov 1994 08:49:47 GMT", "Sun, 06 Nov 1994 08:59:45 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:49:47 GMT", "soon", 10.0),
        ("Sun, 06 Nov 1994 08:49:47 GMT", "", 10.0),
        ("7", "Sun, 06 Nov 1994 08:59:45 GMT", 7.0),
        ("1, 1", None, 1.0),
        ("1,3, soon", None, 3.0),
        ("soon, 4", None, 4.0),
        ("Sun, 4", None, None),
        (", ,", None, None),
        ("Sun, 06 Nov 1994 08:49:47 GMT, Sun, 06 Nov 1994 08:49:57 GMT", None, 20.0),
        ("Sunday, 06-Nov-94 08:49:47 GMT, 5", None, 10.0),
        ("120, Sun Nov  6 08:49:47 1994", None, 120.0),
    ],
)
def test_retry_after_by_the_clock_of_the_server_and_in_several_lines(value: str, date: Any, seconds: object) -> None:
    assert parse_retry_after(value, date=date, now=NOW) == seconds


@pytest.mark.promise("R3")
@given(st.text(max_size=40))
def test_no_retry_after_breaks_an_error(value: str) -> None:
    found = parse_retry_after(value, now=NOW)
    assert found is None or 0 <= found < float("inf")


@pytest.mark.promise("R3")
def test_without_a_moment_given_a_date_counts_from_now() -> None:
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT") == 0.0
    found = parse_retry_after("Fri, 06 Nov 2093 08:49:37 GMT")
    assert found is not None
    assert found > 1e8


def test_an_error_carries_what_the_server_asked_for() -> None:
    assert error_from_response("GET", "/x", 429, {"retry-after": "12"}, b"").retry_after == 12.0
    assert error_from_response("GET", "/x", 503, {"retry-after": "1.2"}, b"").retry_after == 1.2
    assert error_from_response("GET", "/x", 429, {}, b"").retry_after is None
