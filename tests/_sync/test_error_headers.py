# Generated from tests/_async/test_error_headers.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""An error has the headers of the response that it stands for, without secrets, and the id of the request."""

from __future__ import annotations

import base64
import copy
import pickle
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from sekha import (
    SekhaClient,
    SekhaAPIError,
    SekhaConnectionError,
    SekhaNotFoundError,
    SekhaServerError,
    SekhaValidationError,
)
from support import facts
from support.facts import BRIDGE_KEY, ID, MCP_KEY, MESSAGES, REST_KEY
from support.replies import DROP, answer, app_error, body, chunked, delta, empty, event
from support.server import FakeServer

from .conftest import MakeClient

ONE = f"GET /api/v1/conversations/{ID}"


def refusal(client: SekhaClient) -> SekhaAPIError:
    """The error of a call that the server refuses."""
    with pytest.raises(SekhaAPIError) as caught:
        client.controller.get_conversation(ID)
    return caught.value


def test_headers_are_found_in_any_case_and_cannot_be_changed(
    client: SekhaClient, server: FakeServer
) -> None:
    server.on(ONE, answer({"error": "no"}, 404, X_Request_ID="r-1", x_trace="a, b"))
    error = refusal(client)
    headers: Any = error.headers
    assert isinstance(error.headers, Mapping)
    assert headers["X-TRACE"] == headers["x-trace"] == headers.get("X-Trace") == "a, b"
    assert "x-TRACE" in headers
    assert ("x-other" in headers, headers.get("x-other"), 5 in headers) == (False, None, False)
    assert set(headers) == {"content-type", "content-length", "x-request-id", "x-trace"}
    assert dict(headers)["content-type"] == "application/json"
    assert len(headers) == 4
    assert "'x-trace': 'a, b'" in repr(headers)
    for change in (lambda: headers.update(a="b"), lambda: setattr(error, "headers", {})):
        with pytest.raises(AttributeError):
            change()
    with pytest.raises(TypeError):
        headers["x-trace"] = "c"
    with pytest.raises(KeyError):
        headers["x-other"]


@pytest.mark.parametrize(
    ("headers", "id"),
    [
        ({"x_request_id": "r-1", "request_id": "r-2"}, "r-1"),
        ({"Request_Id": "r-2"}, "r-2"),
        ({"x_request_id": "", "request_id": "r-2"}, "r-2"),
        ({"x_request_id": ""}, None),
        ({"x_correlation_id": "r-3"}, None),
        ({}, None),
    ],
)
def test_the_id_of_the_request(
    headers: Any, id: str | None, client: SekhaClient, server: FakeServer
) -> None:
    server.on(ONE, answer({"error": "no"}, 404, **headers))
    assert (refusal(client)).request_id == id


def test_secrets_are_left_out_and_our_keys_are_masked(client: SekhaClient, server: FakeServer) -> None:
    basic = base64.b64encode(f"x:{REST_KEY}".encode()).decode()
    hidden = {"Set_Cookie": "session=1", "Authorization": "Bearer x", "Proxy_Authorization": "Basic y"}
    echoes = {"x_echo": f"Bearer {REST_KEY}", "x_mcp": f"key={MCP_KEY};", "x_request_id": f"{REST_KEY}-7"}
    server.on(ONE, answer({"error": "no"}, 404, **hidden, **echoes, x_encoded=basic))
    error = refusal(client)
    assert not {"set-cookie", "authorization", "proxy-authorization"} & set(error.headers)
    shown = repr([error.headers, error.request_id, vars(error), pickle.dumps(error)])
    assert not any(key in shown for key in (REST_KEY, MCP_KEY, BRIDGE_KEY))
    assert error.headers["x-echo"] == "Bearer ***"
    assert error.headers["x-mcp"] == "key=***;"
    assert error.request_id == "***-7"


def test_names_and_addresses_show_no_secret_either(client: SekhaClient, server: FakeServer) -> None:
    names = {f"x_{REST_KEY}": "a", f"x_{MCP_KEY.upper()}_b": "b", "location": "http://u:p@x.test/a?token=1#f"}
    server.on(ONE, empty(302, **names, content_location="/b?token=2"))
    error = refusal(client)
    assert dict(error.headers) == {"location": "http://x.test/a", "content-location": "/b", "content-length": "0"}


def test_every_kind_of_refusal_has_headers(make: MakeClient, server: FakeServer, bridge: FakeServer) -> None:
    client = make(max_retries=0)
    told: Any = {"x_request_id": "r-1"}
    tool_error = {"success": False, "data": None, "error": "Conversation not found"}
    server.on("POST /api/v1/query", answer({"error": "busy", "code": 503}, 503, **told), body(b"", 429, "", **told))
    server.on("POST /mcp/tools/memory_export", answer(tool_error, **told))
    server.on("GET /api/v1/conversations/count", answer({"count": 0, "error": "no"}, **told))
    server.on(f"DELETE {ONE[4:]}", answer({"error": "Collection not found: messages"}, 500, **told))
    bridge.on("POST /v1/chat/completions", answer({"detail": "no"}, 500, **told))
    calls: list[Any] = [
        lambda: client.controller.query("x"),
        lambda: client.controller.query("x"),
        lambda: client.controller.get_messages(ID),
        lambda: client.controller.count_conversations(),
        lambda: client.controller.delete_conversation(ID),
        lambda: client.bridge.complete(MESSAGES),
    ]
    for call in calls:
        with pytest.raises(SekhaAPIError) as caught:
            call()
        assert caught.value.request_id == "r-1"


def test_an_error_in_a_stream_has_the_headers_of_the_stream(client: SekhaClient, bridge: FakeServer) -> None:
    reply = chunked(delta("Hel"), event({"error": {"message": f"no {BRIDGE_KEY}"}}))
    head = reply.steps[0]
    assert isinstance(head, bytes)
    told = head.replace(b"\r\n\r\n", f"\r\nx-request-id: {BRIDGE_KEY}-9\r\n\r\n".encode())
    bridge.on("POST /v1/chat/completions", type(reply)((told, *reply.steps[1:]), reply.end))
    stream = client.bridge.stream_complete(MESSAGES)
    with pytest.raises(SekhaServerError) as caught:
        stream.get_final_text()
    assert (caught.value.request_id, caught.value.text) == ("***-9", "Hel")


def test_what_no_server_has_answered_has_none(make: MakeClient, server: FakeServer) -> None:
    client = make(max_retries=0)
    with pytest.raises(SekhaValidationError) as refused:
        client.controller.get_conversation("no id")
    assert (dict(refused.value.headers), refused.value.request_id) == ({}, None)
    server.on(ONE, DROP)
    with pytest.raises(SekhaConnectionError) as broken:
        client.controller.get_conversation(ID)
    assert not hasattr(broken.value, "headers")
    server.on("GET /api/v1/conversations", answer(facts.rows()))
    with pytest.raises(SekhaNotFoundError) as unknown:
        client.controller.prune_execute([ID])  # this client knows it from the list
    assert dict(unknown.value.headers) == {}
    assert dict(SekhaAPIError("made by hand", 404).headers) == {}


@pytest.mark.logs_may_show_keys  # httpcore notes each head as it came
def test_a_client_of_httpx_gives_them_too(make: MakeClient, server: FakeServer) -> None:
    server.on(ONE, answer({"error": "no"}, 404, X_Request_Id="r-1", Set_Cookie="a=1", x_echo=REST_KEY))
    with httpx.Client() as lent:
        error = refusal(make(http_client=lent))
    assert (error.request_id, error.headers["X-Echo"], "set-cookie" in error.headers) == ("r-1", "***", False)


def test_a_retried_call_has_the_headers_of_its_last_answer(client: SekhaClient, server: FakeServer) -> None:
    server.on(ONE, empty(503, x_request_id="first"), app_error("no", 404))
    error = refusal(client)
    assert (error.attempts, error.request_id) == (2, None)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_and_copies_keep_them(protocol: int, client: SekhaClient, server: FakeServer) -> None:
    server.on(ONE, answer({"error": "no"}, 404, x_request_id="r-1"))
    error = refusal(client)
    for other in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is SekhaNotFoundError
        assert (other.headers, other.request_id) == (error.headers, "r-1")
    headers = pickle.loads(pickle.dumps(error.headers, protocol))
    assert headers == copy.deepcopy(error.headers) == error.headers
    assert headers["X-Request-ID"] == "r-1"
