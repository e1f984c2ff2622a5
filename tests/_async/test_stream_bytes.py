"""Streams, byte by byte: every way to be cut, every cut of the bytes, keep-alives, and the chunks of all servers."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from sekha import AsyncSekhaClient, AsyncStream, SekhaStreamError
from sekha.types import ChatCompletionChunk
from support.chunks import NOISE, SERVERS, USAGE, chunk
from support.facts import MESSAGES
from support.replies import DONE, answer, chunked, delta, event, head, raw
from support.server import FakeServer, Reply, Step, eventually

CHAT = "POST /v1/chat/completions"
BEGINNING = (delta("Once "), delta("upon "))
HALF = b'data: {"choices": [{"delta": {"content": "\xe6\x97'
"""The beginning of an event, up to the middle of a character."""


async def begin(client: AsyncSekhaClient, bridge: FakeServer, *replies: Reply) -> AsyncStream:
    """A stream of what the bridge answers."""
    bridge.on(CHAT, *replies)
    return await client.bridge.stream_complete(MESSAGES)


# C1: how a stream may end


def with_length(*steps: Step) -> Reply:
    """A stream that breaks off before its promised length."""
    return raw(head(content_type="text/event-stream", content_length="9999") + b"\r\n", *steps, end="close")


def without_length(*steps: Step) -> Reply:
    """A stream that ends with its connection."""
    return raw(head(content_type="text/event-stream") + b"\r\n", *steps, end="close")


ENDS: dict[str, Any] = {
    "a clean end": chunked,
    "the end of the connection": without_length,
    "no last chunk": lambda *steps: chunked(*steps, end="close"),
    "less than its length": with_length,
    "a reset": lambda *steps: chunked(*steps, end="reset"),
    "a clean end inside a character": lambda *steps: chunked(*steps, HALF),
    "the end of the connection inside a character": lambda *steps: without_length(*steps, HALF),
    "no last chunk inside a character": lambda *steps: chunked(*steps, HALF, end="close"),
    "less than its length inside a character": lambda *steps: with_length(*steps, HALF),
    "a reset inside a character": lambda *steps: chunked(*steps, HALF, end="reset"),
}


@pytest.mark.promise("C1")
@pytest.mark.parametrize("end", ENDS)
async def test_a_stream_that_says_neither_is_cut(end: str, client: AsyncSekhaClient, bridge: FakeServer) -> None:
    read = threading.Event()
    stream = await begin(client, bridge, ENDS[end](*BEGINNING, read))
    texts = stream.text_stream()
    assert [await texts.__anext__(), await texts.__anext__()] == ["Once ", "upon "]
    read.set()
    with pytest.raises(SekhaStreamError) as caught:
        await texts.__anext__()
    assert caught.value.text == "Once upon "
    assert caught.value.may_have_been_applied is True
    for again in (texts.__anext__, stream.get_final_text, stream.get_final_completion):
        with pytest.raises(SekhaStreamError):
            await again()
    assert len(bridge.seen) == 1
    if not end.startswith("a clean end"):
        eventually(lambda: bridge.open_connections == 0)


@pytest.mark.promise("C1")
@pytest.mark.parametrize("end", ENDS)
async def test_a_finish_reason_without_done_is_the_end(end: str, client: AsyncSekhaClient, bridge: FakeServer) -> None:
    read = threading.Event()
    stream = await begin(client, bridge, ENDS[end](*BEGINNING, delta("", "stop"), read))
    chunks = [await stream.__anext__() for _ in range(3)]
    read.set()
    assert chunks[-1]["choices"][0].get("finish_reason") == "stop"
    assert [one async for one in stream] == []
    completion = await stream.get_final_completion()
    assert completion["choices"][0]["message"]["content"] == await stream.get_final_text() == "Once upon "
    assert completion["choices"][0].get("finish_reason") == "stop"


@pytest.mark.promise("C1")
@pytest.mark.parametrize("end", ENDS)
async def test_done_without_a_finish_reason_is_the_end(end: str, client: AsyncSekhaClient, bridge: FakeServer) -> None:
    read = threading.Event()
    stream = await begin(client, bridge, ENDS[end](*BEGINNING, DONE, read))
    assert len([one async for one in stream]) == 2
    read.set()
    completion = await stream.get_final_completion()
    assert completion["choices"][0]["message"]["content"] == await stream.get_final_text() == "Once upon "
    assert completion["choices"][0].get("finish_reason") is None


# C2: how its bytes may be cut

ODD = "é\u2028日\u2029\u0085\x0b\x0c\x1c\x1d\x1e\U0001f600"


def lines(content: str, end: bytes, field: bytes) -> bytes:
    """An event in two lines of data; none but LF, CR and CRLF ends a line."""
    data = json.dumps({"choices": [{"delta": {"content": content}}]}, ensure_ascii=False).encode()
    first, _, rest = data.partition(b" ")
    return field + first + end + field + rest + end + end


WIRE = b"".join(
    (
        "\ufeff: \x0b\x0c\x1c\x1d\x1e\u2028\u2029\u0085\r\n\r\n".encode(),
        lines(ODD, b"\n", b"data: "),
        lines(ODD, b"\r\n", b"data:"),
        lines(ODD, b"\r", b"data: "),
        b"data:[DONE]\r\r",
    )
)


async def chunks_of(client: AsyncSekhaClient, bridge: FakeServer, *pieces: bytes) -> list[ChatCompletionChunk]:
    """What a stream gives whose bytes come in these pieces."""
    return [one async for one in await begin(client, bridge, chunked(*pieces))]


@pytest.mark.promise("C2")
async def test_every_cut_of_the_bytes_gives_the_same(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    whole = await chunks_of(client, bridge, WIRE)
    assert [one["choices"][0]["delta"].get("content") for one in whole] == [ODD] * 3
    for at in range(1, len(WIRE)):
        assert await chunks_of(client, bridge, WIRE[:at], WIRE[at:]) == whole, at
    assert await chunks_of(client, bridge, *[WIRE[at : at + 1] for at in range(len(WIRE))]) == whole


# C3: what keeps it alive


@pytest.mark.promise("C3")
@pytest.mark.parametrize("noise", NOISE)
async def test_keep_alives_between_any_two_events_change_nothing(
    noise: str, client: AsyncSekhaClient, bridge: FakeServer
) -> None:
    events = [*BEGINNING, delta("", "stop", usage=USAGE), DONE]
    clean = await chunks_of(client, bridge, *events)
    assert len(clean) == 3
    for at in range(len(events) + 1):
        assert await chunks_of(client, bridge, *events[:at], noise.encode(), *events[at:]) == clean
    assert await chunks_of(client, bridge, *[part for one in events for part in (noise.encode(), one)]) == clean


# C5: what must not come through


@pytest.mark.promise("C5")
@pytest.mark.parametrize("at_once", [True, False])
async def test_the_connection_of_a_stream_with_an_error_is_closed_at_once(
    at_once: bool, client: AsyncSekhaClient, bridge: FakeServer
) -> None:
    error = event({"error": {"message": "out of memory"}})
    steps = [*BEGINNING, error, *BEGINNING, DONE]
    stream = await begin(client, bridge, chunked(b"".join(steps)) if at_once else chunked(*steps, end="hang"))
    with pytest.raises(Exception, match="out of memory"):
        await stream.get_final_completion()
    eventually(lambda: bridge.open_connections == 0)
    with pytest.raises(Exception, match="out of memory"):
        await stream.__anext__()


# C8: what servers make of it


@pytest.mark.promise("C8")
@pytest.mark.parametrize("kind", SERVERS)
async def test_the_chunks_of_every_server_are_the_answer_without_streaming(
    kind: str, client: AsyncSekhaClient, bridge: FakeServer
) -> None:
    head = {"created": 1700000000, "model": "m", "object": "chat.completion.chunk"}
    chunks = [{**head, **one} if one.get("id") else one for one in SERVERS[kind]]
    message = {"role": "assistant", "content": "Hello"}
    plain = {**head, "id": "c1", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}
    bridge.on(CHAT, answer({**plain, "object": "chat.completion"}))
    whole = await client.bridge.complete(MESSAGES)
    events = chunked(*map(event, chunks), DONE)
    streamed = await (await begin(client, bridge, events)).get_final_completion()
    assert {**streamed, "usage": {key: streamed["usage"].get(key) for key in USAGE}} == whole
    said = [text async for text in (await begin(client, bridge, events)).text_stream()]
    assert "".join(said) == "Hello"
    assert "" not in said


@pytest.mark.promise("C8")
@pytest.mark.parametrize(
    "odd",
    [
        {"choices": []},
        {"choices": None},
        {},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 0, "delta": {}}]},
        {"choices": [{"delta": {"content": None}}]},
        {"choices": [{"index": None, "delta": {"content": None, "role": None}, "finish_reason": None}]},
        {"choices": [], "usage": USAGE},
        {"usage": None},
        {"choices": [{"index": 1, "delta": None}]},
    ],
    ids=json.dumps,
)
async def test_an_odd_chunk_may_come_anywhere(odd: Any, client: AsyncSekhaClient, bridge: FakeServer) -> None:
    chunks = [chunk("Hel"), chunk("lo"), chunk(None, "stop")]
    for at in range(len(chunks) + 1):
        events = chunked(*map(event, [*chunks[:at], odd, *chunks[at:]]), DONE)
        assert [text async for text in (await begin(client, bridge, events)).text_stream()] == ["Hel", "lo"]
        completion = await (await begin(client, bridge, events)).get_final_completion()
        assert completion["choices"][0] == {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello"},
            "finish_reason": "stop",
        }
        assert completion["usage"].get("total_tokens") == (odd.get("usage") or {}).get("total_tokens")
