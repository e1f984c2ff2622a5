# Generated from tests/_async/test_any_words.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""An error in any words is an error: in a stream, in a 200, under any content type; and what odd servers stream."""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import httpx
import pytest

from sekha import (
    SekhaClient,
    Stream,
    SekhaDecodeError,
    SekhaError,
    SekhaServerError,
    SekhaStreamError,
    SekhaTimeoutError,
)
from sekha._sync import stream as stream_module
from sekha._concurrency.clock import Clock
from support import facts
from support.clock import give_clock
from support.facts import ID, MESSAGES
from support.replies import DONE, answer, body, chunked, delta, event, head, in_chunks, raw
from support.server import FakeServer, Reply, eventually

from .conftest import MakeClient

CHAT, COUNT = "POST /v1/chat/completions", "GET /api/v1/conversations/count"
STORY = (delta("Half an "), delta("answer", "stop"), DONE)
TEXT = "Half an answer"


def begin(client: SekhaClient, bridge: FakeServer, *replies: Reply) -> Stream:
    """A stream of what the bridge answers."""
    bridge.on(CHAT, *replies)
    return client.bridge.stream_complete(MESSAGES)


def failing(stream: Stream, cls: Any = SekhaError) -> Any:
    """The error of a stream."""
    with pytest.raises(cls) as caught:
        stream.get_final_text()
    return caught.value


def choice(reason: Any, content: str = "", **more: Any) -> Any:
    """A chunk that ends its choice."""
    return {"id": "c", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": reason, **more}]}


# Errors in a stream

WORDS: list[Any] = [
    ({"error": {"message": "boom"}}, None),
    ({"error": {"message": "boom", "code": 500}}, 500),
    ({"error": {"message": "boom", "code": "oom"}}, "oom"),
    ({"error": {"message": "boom"}, "code": 500}, 500),
    ({"error": "boom"}, None),
    ({"Error": "boom", "Code": 500}, 500),
    ({"ERROR": {"Message": "boom"}}, None),
    ({"object": "error", "message": "boom", "code": 500}, 500),
    ({"object": "Error", "Message": "boom", "type": "BadRequestError", "code": "500"}, "500"),
    ({"object": "error", "id": "c1", "model": "m", "message": "boom"}, None),
    ({"type": "error", "error": {"type": "overloaded", "message": "boom"}}, None),
    ({"detail": "boom"}, None),
    ({"Detail": {"error": {"message": "boom", "code": 7}}}, 7),
    ({"detail": [{"loc": ["body"], "msg": "boom"}]}, None),
    ({"message": "boom", "code": 500}, 500),
    ({"message": "boom", "choices": []}, None),
    ({"message": "boom", "choices": None, "usage": None}, None),
    ({"message": {"message": "boom"}}, None),
    ({"errors": [{"message": "boom"}]}, None),
    ({"msg": "boom"}, None),
    ({"status": "error", "reason": "boom"}, None),
    ({"success": False, "message": "boom"}, None),
    (choice("error", error={"message": "boom", "code": 502}), 502),
    (choice("error", error="boom"), None),
    ({**choice("error"), "error": {"message": "boom"}}, None),
    ({**choice(None), "error": "boom", "code": 1}, 1),
    (choice(None, error={"message": "boom"}), None),
]


@pytest.mark.promise("C5", "W6")
@pytest.mark.parametrize(("said", "code"), WORDS, ids=[json.dumps(case[0]) for case in WORDS])
def test_an_error_in_a_stream_is_one_in_any_words(
    said: Any, code: Any, client: SekhaClient, bridge: FakeServer
) -> None:
    stream = begin(client, bridge, chunked(delta("Half an "), event(said), DONE))
    error = failing(stream, SekhaServerError)
    assert "boom" in error.message
    assert (error.text, error.code, error.may_have_been_applied, error.sent) == ("Half an ", code, True, True)
    eventually(lambda: bridge.open_connections == 0)


@pytest.mark.promise("C5", "W6")
@pytest.mark.parametrize(
    "reason",
    ["error", "ERROR", "internal_error", "ERROR_TOXIC", "failed", "exception", "abort", "cancelled", "timeout"],
)
def test_a_finish_reason_of_error_is_an_error(reason: str, client: SekhaClient, bridge: FakeServer) -> None:
    stream = begin(client, bridge, chunked(delta("Half an "), event(choice(reason, "answer")), DONE))
    error = failing(stream, SekhaServerError)
    assert f"finish_reason: {reason}" in error.message
    assert error.text == TEXT
    whole = {**facts.COMPLETION, "choices": [{**facts.COMPLETION["choices"][0], "finish_reason": reason}]}
    bridge.on(CHAT, answer(whole), answer(whole))
    with pytest.raises(SekhaServerError, match=f"finish_reason: {reason}") as caught:
        client.bridge.complete(MESSAGES)
    assert caught.value.text == facts.COMPLETION["choices"][0]["message"]["content"]
    assert (caught.value.status_code, caught.value.may_have_been_applied, caught.value.attempts) == (200, True, 1)
    error = failing(client.bridge.stream_complete(MESSAGES), SekhaServerError)
    assert error.text == caught.value.text


@pytest.mark.promise("C5", "W6")
@pytest.mark.parametrize("name", ["error", "Error", "exception", "response.failed", "server_error", "aborted"])
def test_an_event_with_the_name_of_an_error_is_one(
    name: str, client: SekhaClient, bridge: FakeServer
) -> None:
    for data in ("boom", '"boom"', '{"message": "boom"}', '{"a": "boom"}'):
        stream = begin(client, bridge, chunked(delta("Half"), event(data, name), DONE))
        error = failing(stream, SekhaServerError)
        assert "boom" in error.message
        assert error.text == "Half"


@pytest.mark.promise("C5", "W6")
@pytest.mark.parametrize(
    "unknown",
    [
        event({"type": "message_start", "message": {"id": "m", "content": []}}),
        event({"outcome": "lost", "why": "out of memory"}),
        event({"id": "c", "status": "lost"}),
        event("out of memory", "trouble"),
        event({"run_id": "1"}, "metadata"),
    ],
)
def test_what_is_not_understood_is_no_success(
    unknown: bytes, client: SekhaClient, bridge: FakeServer
) -> None:
    stream = begin(client, bridge, chunked(delta("Half"), unknown, DONE))
    error = failing(stream, SekhaDecodeError)
    assert "an event is not a chunk, and there was no finish_reason" in error.message
    assert error.text == "Half"
    stream = begin(client, bridge, chunked(STORY[0], unknown, *STORY[1:]))
    assert stream.get_final_text() == TEXT  # the model said its end
    stream = begin(client, bridge, chunked(delta("Half"), unknown))
    assert (failing(stream, SekhaStreamError)).text == "Half"


# Errors with status 200


@pytest.mark.promise("C5", "C7", "W6")
@pytest.mark.parametrize(("said", "code"), WORDS, ids=[json.dumps(case[0]) for case in WORDS])
def test_a_200_that_is_an_error_is_one(
    said: Any, code: Any, client: SekhaClient, bridge: FakeServer
) -> None:
    bridge.on(CHAT, answer(said), answer(said), body(json.dumps(said).encode(), 200, "text/event-stream"))
    with pytest.raises(SekhaServerError, match="boom") as caught:
        client.bridge.complete(MESSAGES)
    assert (caught.value.status_code, caught.value.code, caught.value.attempts) == (200, code, 1)
    assert (caught.value.sent, caught.value.may_have_been_applied) == (True, True)
    for _ in range(2):
        error = failing(client.bridge.stream_complete(MESSAGES), SekhaServerError)
        assert "boom" in error.message
        assert error.code == code
    if "choices" not in said:
        bridge.on("POST /embed", answer(said))
        with pytest.raises(SekhaServerError, match="boom") as caught:
            client.bridge.embed("x")
        assert (caught.value.path, caught.value.may_have_been_applied) == ("/embed", False)


@pytest.mark.promise("C7", "W6")
@pytest.mark.parametrize("said", [{"error": "boom"}, {"object": "error", "message": "boom"}], ids=json.dumps)
def test_every_call_knows_an_error_with_status_200(
    said: Any, client: SekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    pin, stats = f"PUT /api/v1/conversations/{ID}/pin", "POST /mcp/tools/memory_stats"
    server.on("POST /api/v1/query", answer(said))
    server.on("GET /metrics", answer(said))
    server.on(stats, answer(said), answer({"success": True, "data": said}))
    server.on(pin, answer(said))
    bridge.on("GET /api/v1/tasks", answer(said))
    calls: list[Any] = [
        lambda: client.controller.query("x"),
        client.controller.metrics,
        client.mcp.memory_stats,
        client.mcp.memory_stats,
        client.bridge.tasks,
        lambda: client.controller.pin_conversation(ID),
    ]
    for call in calls:
        with pytest.raises(SekhaServerError) as caught:
            call()
        assert caught.value.status_code == 200
        assert caught.value.may_have_been_applied is (call is calls[-1])
    server.on(pin, answer({"message": "pinned"}), answer({"error": None}), answer({"success": True}))
    for _ in range(3):
        client.controller.pin_conversation(ID)


# What a body is, by its first bytes

TYPES = ["text/event-stream", "Text/Event-Stream; charset=UTF-8", "text/plain", "application/octet-stream", "", "x/y"]


@pytest.mark.promise("C8", "W6")
@pytest.mark.parametrize("content_type", [*TYPES, "application/json", "text/html"])
@pytest.mark.parametrize(
    "start", [b"", b": hello\n\n", b"\xef\xbb\xbf", b"\r\n\r\n", b"retry: 5\nid: 1\n", b"event: x\n"]
)
def test_events_are_events_under_any_content_type(
    content_type: str, start: bytes, client: SekhaClient, bridge: FakeServer
) -> None:
    go_on = threading.Event()
    first, *rest = STORY
    stream = begin(client, bridge, chunked(start + first, go_on, *rest, content_type=content_type))
    texts = stream.text_stream()
    assert texts.__next__() == "Half an "  # before the next one is sent
    go_on.set()
    assert [text for text in texts] == ["answer"]
    whole = start + b"".join(STORY)
    pieces = [whole[at : at + 1] for at in range(len(whole))]
    assert (begin(client, bridge, chunked(*pieces, content_type=content_type))).get_final_text() == TEXT


LOGIN = b"<!DOCTYPE html>\n<html><head><title>Acme</title></head><body><h1>Log in</h1></body></html>"


@pytest.mark.promise("C5", "C8", "W6")
@pytest.mark.parametrize("content_type", TYPES)
def test_what_is_no_stream_of_events_is_read_under_any_content_type(
    content_type: str, client: SekhaClient, bridge: FakeServer
) -> None:
    completion = json.dumps(facts.COMPLETION, indent=2).encode()
    for data in (completion, b"\n " + completion, b"\xef\xbb\xbf" + completion):
        stream = begin(client, bridge, body(data, 200, content_type))
        assert stream.get_final_text() == "Hi there."
    stream = begin(client, bridge, chunked(*(completion[at : at + 1] for at in range(len(completion)))))
    assert stream.get_final_text() == "Hi there."
    for data, words in (
        (LOGIN, "Log in"),
        (b"\n<html>Log in", "Log in"),
        (b"upstream connect error", "upstream connect error"),
        (b"[]", "not a chat completion"),
        (b'{"choices": [{"message": {"con', "neither events nor JSON"),
    ):
        error = failing(begin(client, bridge, body(data, 200, content_type)), SekhaDecodeError)
        assert words in error.message
        assert error.body == data.decode()
        assert error.may_have_been_applied is True


@pytest.mark.promise("C5", "S5")
def test_a_stream_that_cannot_be_decompressed_is_an_error_with_the_text_so_far(
    client: SekhaClient, bridge: FakeServer
) -> None:
    start = head(content_type="text/event-stream", content_encoding="gzip", transfer_encoding="chunked") + b"\r\n"
    packed = gzip.compress(STORY[0])
    bridge.on(CHAT, raw(start, *in_chunks(packed, 0.02, b"no gzip")), body(b"x", 200, content_encoding="br"))
    for text in ("Half an ", ""):
        error = failing(client.bridge.stream_complete(MESSAGES), SekhaDecodeError)
        assert (error.text, error.may_have_been_applied, error.path) == (text, True, "/v1/chat/completions")


@pytest.mark.parametrize("value", [None, False, ""])
def test_an_answer_with_an_empty_error_is_an_answer(
    value: Any, client: SekhaClient, bridge: FakeServer
) -> None:
    stream = begin(client, bridge, chunked(event({**choice("stop", TEXT, error=value), "error": value}), DONE))
    assert stream.get_final_text() == TEXT
    bridge.on(CHAT, answer({**facts.COMPLETION, "error": value}))
    client.bridge.complete(MESSAGES)


# Odd chunks


@pytest.mark.promise("C8")
def test_chunks_with_other_types_of_numbers_and_texts(client: SekhaClient, bridge: FakeServer) -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    parts = [thought, {"type": "text", "text": "Half "}, "an "]
    first = {"id": "c", "created": 1.5, "choices": [{"index": "0", "delta": {"role": "assistant", "content": parts}}]}
    last = {
        "created": "7",
        "choices": [{"index": 0.0, "delta": {"content": {"type": "text", "text": "answer"}}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3.0, "completion_tokens": "2", "total_tokens": 5},
    }
    stream = begin(client, bridge, chunked(event(first), event(choice(None, "")), event(last), DONE))
    chunks: list[Any] = [chunk for chunk in stream]
    assert chunks[0]["choices"][0] == {
        "index": 0,
        "delta": {"role": "assistant", "content": "Half an ", "content_parts": parts},
    }
    assert (chunks[0]["created"], chunks[2]["created"]) == (1, 7)
    whole = stream.get_final_completion()
    assert (whole["created"], whole["choices"][0]["message"]["content"]) == (1, TEXT)
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    message = {"role": "assistant", "content": parts}
    plain = {**facts.COMPLETION, "created": 1.5, "choices": [{**facts.COMPLETION["choices"][0], "message": message}]}
    plain["choices"][0]["index"] = "0"
    bridge.on(CHAT, answer(plain), answer(plain))
    found = client.bridge.complete(MESSAGES)
    assert (found["created"], found["choices"][0]["index"]) == (1, 0)
    assert found["choices"][0]["message"]["content"] == "Half an "
    assert (client.bridge.stream_complete(MESSAGES)).get_final_text() == "Half an "


@pytest.mark.promise("C8")
def test_chunks_of_the_older_kind_of_completions_have_text(client: SekhaClient, bridge: FakeServer) -> None:
    texts = [event({"object": "text_completion", "choices": [{"index": 0, "text": text}]}) for text in ("Half ", "an ")]
    end = event({"choices": [{"index": 0, "text": "answer", "finish_reason": "stop"}]})
    stream = begin(client, bridge, chunked(*texts, end, DONE))
    assert [text for text in stream.text_stream()] == ["Half ", "an ", "answer"]


@pytest.mark.promise("C3")
@pytest.mark.parametrize(
    "noise",
    [
        event("ok", "keepalive"),
        event("ok", "Keep-Alive"),
        event({}, "heartbeat"),
        event("null"),
        event(None),
        event(""),
        event({"type": "ping"}),
        b": OPENROUTER PROCESSING\n\n",
    ],
)
def test_more_that_keeps_a_stream_alive(noise: bytes, client: SekhaClient, bridge: FakeServer) -> None:
    stream = begin(client, bridge, chunked(noise, STORY[0], noise, STORY[1], noise, DONE))
    assert [text for text in stream.text_stream()] == ["Half an ", "answer"]
    assert len((begin(client, bridge, chunked(noise, noise, *STORY))).get_final_text()) == len(TEXT)


@pytest.mark.promise("C1")
def test_a_choice_that_is_cut_is_no_success(client: SekhaClient, bridge: FakeServer) -> None:
    other = event({"choices": [{"index": 1, "delta": {"content": "Another"}}]})
    stream = begin(client, bridge, chunked(STORY[0], other, STORY[1]))
    assert (failing(stream, SekhaStreamError)).text == TEXT
    end = event({"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]})
    stream = begin(client, bridge, chunked(STORY[0], other, STORY[1], end))
    assert [one["finish_reason"] for one in (stream.get_final_completion())["choices"]] == ["stop", "length"]


# Stalls


@pytest.mark.promise("C1", "C4", "W6")
@pytest.mark.parametrize("lent", [False, True], ids=["own pool", "httpx"])
def test_a_stream_that_stalls_is_a_timeout_that_names_the_setting(
    lent: bool, make: MakeClient, bridge: FakeServer
) -> None:
    with httpx.Client() as own:
        client = make(timeout=1.0, **({"http_client": own} if lent else {}))
        stream = begin(client, bridge, chunked(delta("Half an "), end="hang"))
        error = failing(stream, SekhaTimeoutError)
    assert "the stream stalled: nothing arrived for 1 s, the timeout (after 8 characters)" in str(error)
    assert (error.text, error.sent, error.may_have_been_applied) == ("Half an ", True, True)
    eventually(lambda: bridge.open_connections == 0)


@pytest.mark.promise("C1", "R4")
@pytest.mark.parametrize("lent", [False, True], ids=["own pool", "httpx"])
def test_a_deadline_in_a_stream_keeps_the_text(lent: bool, make: MakeClient, bridge: FakeServer) -> None:
    with httpx.Client() as own:
        client = make(deadline=1.0, **({"http_client": own} if lent else {}))
        give_clock(client, Clock())
        stream = begin(client, bridge, chunked(delta("Half an "), end="hang"))
        error = failing(stream, SekhaTimeoutError)
    assert "the deadline of 1 s passed" in str(error)
    assert error.text == "Half an "


@pytest.mark.promise("C1")
@pytest.mark.parametrize("end", ["hang", "close"])
def test_a_finish_reason_without_an_end_is_not_waited_for(
    end: Any, client: SekhaClient, bridge: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "_USAGE_TIMEOUT", 0.2)
    usage = event({"choices": [], "usage": {"total_tokens": 5}})
    start = head(content_type="text/event-stream", transfer_encoding="chunked") + b"\r\n"
    reply = raw(start, *in_chunks(STORY[0], STORY[1], 0.05, usage), end=end)
    started = Clock().now()
    completion = (begin(client, bridge, reply)).get_final_completion()
    assert Clock().now() - started < 2.0
    assert completion["choices"][0]["message"]["content"] == TEXT
    assert completion["usage"]["total_tokens"] == 5
    eventually(lambda: bridge.open_connections == 0)


@pytest.mark.promise("C1")
def test_keep_alives_after_a_finish_reason_are_not_waited_for(
    make: MakeClient, bridge: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "_USAGE_TIMEOUT", 0.1)
    client = make()
    give_clock(client, Clock())
    pings = [step for _ in range(200) for step in (0.02, b": ping\n\n")]
    started = Clock().now()
    assert (begin(client, bridge, chunked(*STORY[:2], *pings))).get_final_text() == TEXT
    assert Clock().now() - started < 2.0
