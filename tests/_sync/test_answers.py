# Generated from tests/_async/test_answers.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Answers of all kinds over a socket: those of newer servers, and any status with any body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sekha import (
    SekhaClient,
    SekhaAPIError,
    SekhaDecodeError,
)
from sekha._api.endpoints import ENDPOINTS
from sekha.errors import BODY_LIMIT
from support import facts, mutants
from support.bodies import BODIES, REFUSALS, TYPES, check_refusal
from support.calls import CALLS, MODELS, Call
from support.facts import MESSAGES
from support.mutants import NEW_KEY, NEW_VALUE, NEW_WORD, body_of, changed, without
from support.replies import DONE, answer, body, chunked, event
from support.server import FakeServer, Reply

from .conftest import MakeClient

CHAT, QUERY = "POST /v1/chat/completions", "POST /api/v1/query"

# C6: newer servers

READ = [call for call in CALLS if any(body_of(wire.reply) is not None for wire in call.wires)]
ADAPTED = {
    ("controller.suggest_labels", ()),  # the list inside is the result
    ("controller.count_conversations", ()),
    *(
        ("controller.replace_conversation", place)
        for place in (("data",), ("data", "conversation"), ("data", "messages", 0))
    ),
    ("controller.replace_conversation", ("data", "messages", 0, "metadata")),  # the old one is only compared
    ("bridge.health", ("ollama_status",)),
    ("mcp.memory_export", ("data", "messages", 0, "metadata")),  # the call asks for none
}
"""What is taken apart, so that what was added to it has no place in the result."""


def answers(call: Call, nth: int, data: Any, client: SekhaClient, asked: FakeServer) -> Any:
    """What a call gives whose n-th request is answered by this."""
    for index, wire in enumerate(call.wires):
        status = 201 if call.method == "create_conversation" else 200
        asked.on(wire.line, answer(data, status) if index == nth else wire.reply)
    return call.on(client)


def kept(call: Call, place: mutants.Place, data: Any) -> bool:
    """Whether something new at that place has to be in the result."""
    wrapped = place == () and "success" in data
    made_of_others = call.method in (
        "get_messages",
        "update_folder",
        "prune_execute",
        "memory_stats",
        "delete_conversations",
    )
    return not (wrapped or made_of_others or (call.name, place) in ADAPTED)


@pytest.mark.promise("C6")
@pytest.mark.parametrize("call", READ, ids=lambda call: call.name)
def test_what_a_newer_server_adds_is_kept(
    call: Call, client: SekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    asked = bridge if call.service == MODELS else server
    for nth, wire in enumerate(call.wires):
        data = body_of(wire.reply)
        for place, item in mutants.fields(data):
            found = answers(call, nth, changed(data, place, **{NEW_KEY: NEW_VALUE}), client, asked)
            assert not kept(call, place, data) or json.dumps(NEW_VALUE) in json.dumps(found), place
            for key in mutants.WORDS & {key for key, value in item.items() if isinstance(value, str)}:
                found = answers(call, nth, changed(data, place, **{key: NEW_WORD}), client, asked)
                same = key != "object" and kept(call, place, data) and "ollama_status" not in place
                assert not same or NEW_WORD in json.dumps(found), (place, key)


@pytest.mark.promise("C6")
@pytest.mark.parametrize("call", READ, ids=lambda call: call.name)
def test_what_is_optional_may_be_missing_or_null(
    call: Call, client: SekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    asked = bridge if call.service == MODELS else server
    shapes = {f"{row.service.value}.{row.name}": row.parser._schema for row in ENDPOINTS}
    shape = shapes.get(call.name)
    if shape is None:
        return  # made of others, or nothing comes back
    for nth, wire in enumerate(call.wires[:1]):
        data = body_of(wire.reply)
        for place, item in mutants.fields(data):
            for key in mutants.optional_keys(shape) & set(item):
                answers(call, nth, without(data, place, key), client, asked)
                answers(call, nth, changed(data, place, **{key: None}), client, asked)


CHUNK: Any = {
    "id": "c1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


@pytest.mark.promise("C6")
def test_chunks_of_newer_servers_are_kept_as_they_are(client: SekhaClient, bridge: FakeServer) -> None:
    odd: list[Any] = []
    for place, item in mutants.fields(CHUNK):
        odd.append(changed(CHUNK, place, **{NEW_KEY: NEW_VALUE}))
        odd += [changed(CHUNK, place, **{key: NEW_WORD}) for key in mutants.WORDS & set(item)]
    assert len(odd) == 4 + 3
    bridge.on(CHAT, chunked(*map(event, odd), DONE))
    assert [chunk for chunk in client.bridge.stream_complete(MESSAGES)] == odd
    less = [without(CHUNK, place, key) for place, item in mutants.fields(CHUNK) for key in item]
    less += [changed(CHUNK, place, **{key: None}) for place, item in mutants.fields(CHUNK) for key in item]
    bridge.on(CHAT, chunked(*map(event, less), DONE))
    assert len([chunk for chunk in client.bridge.stream_complete(MESSAGES)]) == len(less)


# C7: any body


@pytest.mark.promise("C7")
@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_with_any_body_is_the_right_error(status: int, make: MakeClient, server: FakeServer) -> None:
    client = make(max_retries=0, rate_limit_requests=1_000_000)
    for number, (data, words, _) in enumerate(BODIES):
        content_type = TYPES[(number + status) % len(TYPES)]  # all of them: unit/api/test_error_response.py
        server.on(QUERY, body(data, status, content_type))
        with pytest.raises(SekhaAPIError) as caught:
            client.controller.query("x")
        check_refusal(caught.value, status, data, words, content_type)
    assert len(server.seen) == len(BODIES)


@pytest.mark.promise("C7")
@pytest.mark.parametrize("content_type", TYPES)
def test_an_answer_of_another_shape_is_named_with_its_first_wrong_place(
    content_type: str, client: SekhaClient, server: FakeServer
) -> None:
    for data, _, place in BODIES:
        server.on(QUERY, body(data, 200, content_type))
        with pytest.raises(SekhaDecodeError) as caught:
            client.controller.query("x")
        error = caught.value
        assert (error.status_code, error.method, error.path) == (200, "POST", "/api/v1/query")
        assert place in error.message, data
        assert error.body == data.decode("utf-8", "replace")[:BODY_LIMIT]
        assert "status 200, POST /api/v1/query" in str(error)
        assert len(str(error)) < 500
    assert len(server.seen) == len(BODIES)  # none of them is repeated


@pytest.mark.promise("C7")
@pytest.mark.parametrize("content_type", TYPES)
def test_a_204_has_no_body_whatever_stands_behind_it(
    content_type: str, client: SekhaClient, server: FakeServer
) -> None:
    for data, _, _ in BODIES:
        reply = body(data, 204, content_type)
        server.on(QUERY, Reply(reply.steps, "close"))
        with pytest.raises(SekhaDecodeError) as caught:
            client.controller.query("x")
        assert (caught.value.status_code, caught.value.body) == (204, "")
        assert "not valid JSON" in caught.value.message
        assert "status 204, POST /api/v1/query" in str(caught.value)
        server.on(QUERY, answer(facts.hits()))
        assert (client.controller.query("x"))["results"] == []
