"""Answers are bounded (S5): long ones, endless ones and compressed ones are refused while they are small in memory."""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sekha import SekhaAPIError, SekhaDecodeError, SekhaError, SekhaServerError, SekhaValidationError
from support import facts
from support.facts import ID, MESSAGES
from support.replies import DONE, answer, body, chunked, delta, event, head, in_chunks, raw, text
from support.server import FakeServer

from .conftest import MakeClient

QUERY, CHAT = "POST /api/v1/query", "POST /v1/chat/completions"
LIMIT = 1_000_000
PIECE = b" " * 65536
ENDLESS = (PIECE,) * 50
OPENED = json.dumps(facts.hits()).encode()
measures_memory = pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy cannot trace its memory")


@contextmanager
def little_memory() -> Iterator[None]:
    """Twice the limit is not reached while the block runs."""
    import tracemalloc

    tracemalloc.start()
    tracemalloc.reset_peak()  # somebody may trace already
    before, _ = tracemalloc.get_traced_memory()
    try:
        yield
    finally:
        most = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
        assert most < 2 * LIMIT


def bomb(start: bytes, size: int = 10 * LIMIT) -> bytes:
    """Very much white space, in very few bytes."""
    return gzip.compress(start + b" " * size)


@pytest.mark.promise("S5")
@pytest.mark.parametrize("length", [True, False])
async def test_a_long_answer_is_refused(length: bool, make: MakeClient, server: FakeServer) -> None:
    client = make(max_response_bytes=10_000)
    data = b'{"results": [' + b" " * 20_000
    endless = raw(head(content_type="application/json") + b"\r\n", data, end="close")
    server.on(QUERY, body(data) if length else endless)
    with pytest.raises(SekhaDecodeError, match="max_response_bytes=10000") as caught:
        await client.controller.query("x")
    assert (caught.value.attempts, caught.value.sent) == (1, True)


@pytest.mark.promise("S5")
@pytest.mark.parametrize("status", [500, 422])
async def test_a_long_error_is_read_up_to_the_limit(status: int, make: MakeClient, server: FakeServer) -> None:
    server.on(f"PUT /api/v1/conversations/{ID}/pin", text("x" * 20_000, status))
    with pytest.raises(SekhaAPIError, match=r"xxx.*longer than 10000 bytes") as caught:
        await make(max_response_bytes=10_000, max_retries=0).controller.pin_conversation(ID)
    assert caught.value.status_code == status


@pytest.mark.promise("S5")
async def test_an_answer_of_just_the_limit_is_fine(make: MakeClient, server: FakeServer) -> None:
    data = json.dumps(facts.hits()).encode()
    server.on(QUERY, body(data.ljust(10_000)))
    assert (await make(max_response_bytes=10_000).controller.query("x"))["results"] == []


@pytest.mark.promise("S5")
async def test_a_write_whose_answer_is_too_long_may_have_been_applied(make: MakeClient, server: FakeServer) -> None:
    server.on("POST /api/v1/conversations", answer({**facts.CREATED, "more": "x" * 20_000}, 201))
    with pytest.raises(SekhaDecodeError) as caught:
        await make(max_response_bytes=10_000).controller.create_conversation(messages=MESSAGES)
    assert caught.value.may_have_been_applied is True


# Compressed, although nobody asked for it


@pytest.mark.promise("S5")
@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", gzip.compress(OPENED)),
        ("GZIP", gzip.compress(OPENED[:9]) + gzip.compress(OPENED[9:])),
        ("x-gzip", gzip.compress(OPENED)),
        ("deflate", zlib.compress(OPENED)),
        ("deflate", zlib.compress(OPENED)[2:-4]),
        ("identity", OPENED),
    ],
    ids=["gzip", "two files", "x-gzip", "deflate", "deflate without its header", "identity"],
)
async def test_an_answer_that_was_compressed_all_the_same_is_read(
    coding: str, data: bytes, make: MakeClient, server: FakeServer
) -> None:
    start = head(content_length=str(len(data)), content_encoding=coding) + b"\r\n"
    server.on(QUERY, raw(start, data), raw(start, *(data[i : i + 1] for i in range(len(data)))))
    client = make(max_response_bytes=10_000)
    for _ in range(2):
        assert (await client.controller.query("x"))["results"] == []
    assert server.seen[0].headers["accept-encoding"] == "identity"
    assert server.connections == 1


@pytest.mark.promise("S5")
@pytest.mark.parametrize(
    ("coding", "data"), [("br", b"x"), ("gzip, br", b"x"), ("gzip", b"no gzip"), ("deflate", b"\xff\xff\xff")]
)
async def test_an_answer_that_cannot_be_opened_is_an_error(
    coding: str, data: bytes, make: MakeClient, server: FakeServer
) -> None:
    server.on("POST /api/v1/conversations", body(data, 201, content_encoding=coding))
    with pytest.raises(SekhaDecodeError, match=coding.split(",")[0]) as caught:
        await make().controller.create_conversation(messages=MESSAGES)
    assert caught.value.status_code == 201
    assert caught.value.may_have_been_applied is True
    assert len(server.seen) == 1


@measures_memory
@pytest.mark.promise("S5")
@pytest.mark.parametrize(
    ("status", "cls", "words"),
    [(200, SekhaDecodeError, f"max_response_bytes={LIMIT}"), (422, SekhaValidationError, "longer than 262144 bytes")],
)
async def test_a_bomb_does_not_explode(
    status: int, cls: type[SekhaError], words: str, make: MakeClient, server: FakeServer
) -> None:
    data = bomb(b'{"results": [')
    server.on(QUERY, body(data, status, content_encoding="gzip"))
    client = make(max_response_bytes=LIMIT)
    with pytest.raises(cls, match=words), little_memory():
        await client.controller.query("x")


@measures_memory
@pytest.mark.promise("S5")
async def test_a_bomb_in_a_stream_does_not_explode(make: MakeClient, bridge: FakeServer) -> None:
    bridge.on(CHAT, body(bomb(b"data: "), 200, "text/event-stream", content_encoding="gzip"))
    stream = await make(max_response_bytes=LIMIT).bridge.stream_complete(MESSAGES)
    with pytest.raises(SekhaDecodeError, match=f"longer than {LIMIT} bytes"), little_memory():
        await stream.get_final_text()


@pytest.mark.promise("S5")
async def test_a_stream_that_was_compressed_all_the_same_is_read(make: MakeClient, bridge: FakeServer) -> None:
    whole = delta("Hi") + delta(" there", "stop") + DONE
    bridge.on(CHAT, body(gzip.compress(whole), 200, "text/event-stream", content_encoding="gzip"))
    stream = await make().bridge.stream_complete(MESSAGES)
    assert await stream.get_final_text() == "Hi there"


# Endless


@measures_memory
@pytest.mark.promise("S5")
@pytest.mark.parametrize(
    ("status", "cls", "words"),
    [(200, SekhaDecodeError, f"max_response_bytes={LIMIT}"), (500, SekhaServerError, "longer than 262144 bytes")],
)
async def test_an_endless_answer_is_refused_early(
    status: int, cls: type[SekhaError], words: str, make: MakeClient, server: FakeServer
) -> None:
    server.on(QUERY, chunked(b"[", *ENDLESS, status=status, content_type="application/json", end="close"))
    with pytest.raises(cls, match=words), little_memory():
        await make(max_response_bytes=LIMIT, max_retries=0).controller.query("x")


@measures_memory
@pytest.mark.promise("S5")
@pytest.mark.parametrize(
    "steps",
    [
        (b"data: ", *ENDLESS),
        (b": a comment ", *ENDLESS),
        (b"data: x\n", b"data: ", *(PIECE,) * 15, b" " * 20_000 + b"\n\n", DONE),
        (*(b"data: " + PIECE + b"\n" for _ in ENDLESS),),
        (b"event: ", *ENDLESS),
        (delta("Hi"), b"data: ", *ENDLESS),
    ],
    ids=["data", "comment", "just too long", "many lines", "name", "behind another"],
)
async def test_an_endless_event_is_refused_early(steps: Any, make: MakeClient, bridge: FakeServer) -> None:
    bridge.on(CHAT, chunked(*steps, end="close"))
    client = make(max_response_bytes=LIMIT)
    with pytest.raises(SekhaDecodeError, match=f"an event is longer than {LIMIT} bytes"), little_memory():
        async for _ in await client.bridge.stream_complete(MESSAGES):
            pass


@measures_memory
@pytest.mark.promise("S5")
async def test_an_endless_answer_of_a_bridge_that_cannot_stream_is_refused_early(
    make: MakeClient, bridge: FakeServer
) -> None:
    steps = (head(transfer_encoding="chunked") + b"\r\n", *in_chunks(b"[", *ENDLESS))
    bridge.on(CHAT, raw(*steps, end="close"))
    with pytest.raises(SekhaDecodeError, match=f"longer than {LIMIT} bytes"), little_memory():
        async for _ in await make(max_response_bytes=LIMIT).bridge.stream_complete(MESSAGES):
            pass


@pytest.mark.promise("S5")
async def test_the_limit_is_for_one_event_not_for_all(make: MakeClient, bridge: FakeServer) -> None:
    pieces = [delta("x" * 5_000)] * 10
    bridge.on(CHAT, chunked(*pieces, delta("", "stop"), event("[DONE]")))
    stream = await make(max_response_bytes=10_000).bridge.stream_complete(MESSAGES)
    assert len(await stream.get_final_text()) == 50_000
