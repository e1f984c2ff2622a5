"""Requests as they are sent, and answers as the promised result or the right error (C6, C7), by recorded exchanges."""

from __future__ import annotations

import copy
import json
from itertools import product
from typing import Any, Dict, Tuple
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._api import endpoints
from sekha._api.endpoints import ENDPOINTS
from sekha._api.error_response import error_class
from sekha._api.model import Endpoint, Response, RetryIfUnknown, Service, to_json
from sekha._transport.options import CallOptions
from sekha.errors import (
    BODY_LIMIT,
    SekhaAPIError,
    SekhaDecodeError,
    SekhaNotFoundError,
    SekhaServerError,
    SekhaValidationError,
)
from support.mutants import MAPS, WORDS, at, objects
from unit.vectors import Exchange, answer, exchanges, parse

OUR_VERDICTS = (SekhaServerError, SekhaNotFoundError, SekhaValidationError)
WITH_ENDPOINT = [e for e in exchanges() if e.endpoint is not None]
GOOD = [e for e in WITH_ENDPOINT if 200 <= e.answer.status < 300]
BAD = [e for e in WITH_ENDPOINT if e.answer.status >= 400]


def endpoint_of(exchange: Exchange) -> Endpoint[Any]:
    assert exchange.endpoint is not None
    return exchange.endpoint


def bodies() -> Dict[str, Tuple[Endpoint[Any], Any]]:
    """One good JSON answer for each endpoint: the longest that was recorded."""
    found: Dict[str, Tuple[Endpoint[Any], Any]] = {}
    for exchange in sorted(GOOD, key=lambda e: len(e.answer.body)):
        endpoint = endpoint_of(exchange)
        if (
            len(exchange.answer.body) < 20_000
            and exchange.answer.body[:1] in (b"{", b"[")
            and exchange.name != "count_both"
        ):
            found[f"{endpoint.service.value}.{endpoint.name}"] = (endpoint, json.loads(exchange.answer.body))
    return found


BODIES = bodies()


def test_a_good_answer_was_recorded_for_every_endpoint_that_answers_json() -> None:
    silent = {e.name for e in ENDPOINTS if e.parser._schema in (None, str)} | {"stream_complete"}
    assert {f"{e.service.value}.{e.name}" for e in ENDPOINTS if e.name not in silent} == set(BODIES)


ONLY_LOOKS_GOOD = ("count_both", "breaker_open_score", "summarize_llm_down", "stats_both")


@pytest.mark.parametrize("name", sorted({endpoint_of(exchange).name for exchange in GOOD}))
def test_every_recorded_success_is_understood(name: str) -> None:
    for exchange in GOOD:
        endpoint = endpoint_of(exchange)
        if endpoint.name == name and exchange.name not in ONLY_LOOKS_GOOD:
            found = parse(endpoint, exchange.answer)
            if endpoint.parser._schema is not None:
                assert found is not None, exchange.name
                json.dumps(found)


@pytest.mark.parametrize("exchange", [e for e in GOOD if e.name in ONLY_LOOKS_GOOD], ids=lambda e: str(e.name))
def test_a_success_that_only_looks_like_one_is_an_error(exchange: Exchange) -> None:
    with pytest.raises(OUR_VERDICTS):
        parse(endpoint_of(exchange), exchange.answer)


@pytest.mark.parametrize("name", sorted({endpoint_of(exchange).name for exchange in BAD}))
def test_every_recorded_refusal_is_an_error_with_the_status_of_the_wire(name: str) -> None:
    for exchange in BAD:
        endpoint = endpoint_of(exchange)
        if endpoint.name == name:
            with pytest.raises(SekhaAPIError) as caught:
                parse(endpoint, exchange.answer)
            error = caught.value
            assert error.status_code == exchange.answer.status, exchange.name
            assert (error.method, error.path) == (endpoint.method, endpoint.path)
            assert error.sent


# ---- newer servers do not break us (C6) --------------------------------------------------------------------------


@pytest.mark.promise("C6")
@pytest.mark.parametrize("name", BODIES)
def test_an_unknown_key_at_every_level_survives(name: str) -> None:
    endpoint, body = BODIES[name]
    later = {"deep": [1, {"null": None}], "x": 1.5}
    for path, item in objects(body):
        wrapping = path == () and ("success" in item or name == "controller.suggest_labels")
        if not wrapping and path[-1:] not in MAPS:
            mutant = copy.deepcopy(body)
            at(mutant, path)["added_later"] = later
            assert json.dumps(later) in json.dumps(parse(endpoint, answer(mutant))), path


@pytest.mark.promise("C6")
@pytest.mark.parametrize("name", BODIES)
def test_a_status_role_or_level_that_nobody_knows_yet_survives(name: str) -> None:
    endpoint, body = BODIES[name]
    for path, item in objects(body):
        for key in WORDS & set(item):
            if isinstance(item[key], str):
                mutant = copy.deepcopy(body)
                at(mutant, path)[key] = "invented-later"
                if key == "object" or (name == "bridge.health" and "ollama_status" in path):
                    parse(endpoint, answer(mutant))
                else:
                    assert "invented-later" in json.dumps(parse(endpoint, answer(mutant)))


# ---- any body gets the right error (C7) --------------------------------------------------------------------------

ODD_BODIES: Dict[str, bytes] = {
    "object": b'{"foo": 1}',
    "list": b"[1, 2]",
    "list of objects": b"[{}]",
    "scalar": b"5",
    "string": b'"text"',
    "null": b"null",
    "empty": b"",
    "html": b"<!doctype html><html></html>",
    "cut": b'{"results": [{"conversation_id": "',
    "bad utf-8": b'{"results": "\xff"}',
    "surrogate": b'{"results": "\\ud800"}',
    "deep": b"[" * 5000,
    "long": b"x" * 100_000,
}
# What a server may say with any of these bodies without breaking its promise.
LENIENT = {"metrics", "health"}


def name_of(endpoint: Endpoint[Any]) -> str:
    return f"{endpoint.service.value}.{endpoint.name}"


@pytest.mark.promise("C7")
@pytest.mark.parametrize(
    "endpoint", [e for e in ENDPOINTS if e.parser._schema is not None and e.name not in LENIENT], ids=name_of
)
@pytest.mark.parametrize("content_type", ["application/json", "text/html", ""])
def test_a_2xx_that_does_not_fit_names_the_call_the_status_and_the_place(
    endpoint: Endpoint[Any], content_type: str
) -> None:
    for status, body in product((200, 204), ODD_BODIES.values()):
        with pytest.raises(SekhaDecodeError) as caught:
            parse(endpoint, answer(body, status, content_type))
        error = caught.value
        assert (error.method, error.path, error.status_code) == (endpoint.method, endpoint.path, status)
        assert error.may_have_been_applied is endpoint.outcome_matters
        assert error.body is not None
        assert body.decode("utf-8", "replace").startswith(error.body)
        assert len(error.body) <= BODY_LIMIT
        assert endpoint.path in str(error)
        assert len(str(error)) < 500
        assert error.__cause__ is None


@pytest.mark.promise("C7")
@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.name != "health"], ids=name_of)
def test_any_refusal_with_any_body_is_an_error_of_ours(endpoint: Endpoint[Any]) -> None:
    statuses = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503, 504)
    for status, body in product(statuses, ODD_BODIES.values()):
        with pytest.raises(error_class(status)) as caught:
            parse(endpoint, answer(body, status))
        assert caught.value.status_code == status


@pytest.mark.promise("C7")
@pytest.mark.parametrize(
    ("endpoint", "body", "place"),
    [
        (endpoints.QUERY, {"results": [{}], "total": 0, "page": 1, "page_size": 1}, "results[0].conversation_id"),
        (endpoints.LIST_CONVERSATIONS, {"results": {}, "total": 0, "page": 1, "page_size": 1}, "results"),
        (endpoints.ASSEMBLE_CONTEXT, [{"role": "user", "content": "x"}, {"role": 5, "content": "x"}], "[1].role"),
        (endpoints.ASSEMBLE_CONTEXT, [{"role": "user", "content": [{"type": 1}]}], "[0].content"),
        (endpoints.MODELS, [{"model_id": "x", "provider_id": "y"}], "[0].task"),
        (endpoints.TASKS, ["a", 5], "[1]"),
        (endpoints.COUNT_CONVERSATIONS, {"count": "5"}, "count"),
        (endpoints.COUNT_CONVERSATIONS, {"count": True}, "count"),
        (endpoints.COUNT_CONVERSATIONS, [], "the response"),
    ],
)
def test_the_first_wrong_place_of_an_answer_is_named(endpoint: Endpoint[Any], body: Any, place: str) -> None:
    with pytest.raises(SekhaDecodeError) as caught:
        parse(endpoint, answer(body))
    assert f": {place}" in caught.value.message


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.parser._schema is None], ids=lambda e: str(e.name))
@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_call_whose_answer_has_no_body_gives_none(endpoint: Endpoint[Any], status: int) -> None:
    assert parse(endpoint, answer(b"", status)) is None


def test_metrics_are_text() -> None:
    assert parse(endpoints.CONTROLLER_METRICS, answer(b"# HELP x\n\xff", 200, "text/plain")) == "# HELP x\n\ufffd"


def test_numbers_stay_as_the_server_wrote_them_and_times_become_regular() -> None:
    body = {
        "conversation_id": "x",
        "label": "L",
        "folder": "/",
        "status": "active",
        "created_at": "2026-01-01 10:00:00.1",
    }
    for score in (5, 5.5):
        found = parse(endpoints.MEMORY_GET_CONTEXT, answer({**body, "importance_score": score, "updated_at": "odd"}))
        assert json.dumps(found["importance_score"]) == json.dumps(score)
        assert found["created_at"] == "2026-01-01T10:00:00.100000+00:00"
        assert found["updated_at"] == "odd"


def test_a_readers_validator_is_made_once() -> None:
    assert endpoints.QUERY.parser.validator is endpoints.QUERY.parser.validator


def test_an_answer_is_text_and_json() -> None:
    found = Response(200, {}, b'{"a": "\xc3\xa9"}')
    assert found.text == '{"a": "é"}'
    assert found.json() == {"a": "é"}
    with pytest.raises(ValueError, match=r"JSON|EOF|expected"):
        Response(200, {}, b"{").json()


# ---- requests ----------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.text("abc_", min_size=1), st.one_of(st.none(), st.booleans(), st.integers(), st.text())))
def test_a_query_says_what_was_given_and_leaves_out_none(query: Dict[str, Any]) -> None:
    try:
        path = endpoints.LIST_CONVERSATIONS.request(query=query).path
    except UnicodeEncodeError:
        assert any("\ud800" <= c <= "\udfff" for value in query.values() if isinstance(value, str) for c in value)
        return
    route, _, sent = path.partition("?")
    words = {True: "true", False: "false"}
    expected = {
        key: words[value] if isinstance(value, bool) else str(value)
        for key, value in query.items()
        if value is not None
    }
    assert route == "/api/v1/conversations"
    assert dict(parse_qsl(sent, keep_blank_values=True, strict_parsing=bool(sent))) == expected
    assert path.isascii()


def test_a_call_without_query_has_no_question_mark() -> None:
    assert endpoints.LIST_CONVERSATIONS.request(query={"label": None}).path == "/api/v1/conversations"
    assert endpoints.LIST_CONVERSATIONS.request().path == "/api/v1/conversations"


@pytest.mark.promise("R15")
def test_the_body_is_compact_utf_8_made_once() -> None:
    body: Dict[str, Any] = {"query": "Größe 日本語 \U0001f600", "limit": 10, "x": [1.5, None, True]}
    request = endpoints.QUERY.request(body)
    assert request.content == '{"query":"Größe 日本語 \U0001f600","limit":10,"x":[1.5,null,true]}'.encode()
    body["query"] = "changed"
    assert b"changed" not in (request.content or b"")
    assert endpoints.QUERY.request().content is None
    assert endpoints.QUERY.request({}).content == b"{}"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_has_not_never_reaches_the_wire(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json({"x": value})


def test_a_request_and_its_options_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        endpoints.QUERY.request().path = "/other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        CallOptions().max_retries = 5  # type: ignore[misc]
    with pytest.raises(AttributeError):
        endpoints.QUERY.retry_if_unknown = RetryIfUnknown.NO  # type: ignore[misc]


def test_services_are_known_by_their_names() -> None:
    assert [service.value for service in Service] == ["controller", "mcp", "bridge"]
