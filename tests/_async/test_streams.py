"""Streams: events and plain answers, text, what is collected, breaking off, and every way to be cut."""

from __future__ import annotations

import gzip
import threading

import pytest

from sekha import (
    AsyncSekhaClient,
    AsyncStream,
    SekhaClosedError,
    SekhaDecodeError,
    SekhaError,
    SekhaServerError,
    SekhaStreamError,
    SekhaTimeoutError,
)
from sekha._concurrency.clock import Clock
from sekha._concurrency.tasks import async_gather
from support import facts
from support.clock import FakeClock
from support.facts import MESSAGES
from support.replies import DONE, answer, body, chunked, cut, delta, event, head, in_chunks, raw
from support.server import FakeServer, Reply, eventually

from .conftest import MakeClient

CHAT = "POST /v1/chat/completions"
USAGE = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
ROLE = event({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
STORY = (ROLE, delta("Once "), delta("upon "), delta("a time."), delta("", "stop", usage=USAGE), DONE)
TEXT = "Once upon a time."


async def begin(client: AsyncSekhaClient, bridge: FakeServer, *replies: Reply) -> AsyncStream:
    """A stream of what the bridge answers."""
    bridge.on(CHAT, *replies)
    return await client.bridge.stream_complete(MESSAGES)


async def read(stream: AsyncStream, said: list[str]) -> None:
    """Read a stream to its end, noting the text."""
    async for text in stream.text_stream():
        said.append(text)


# D31
async def test_chunks_come_as_they_were_sent(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    stream = await begin(client, bridge, chunked(*STORY))
    chunks = [chunk async for chunk in stream]
    assert len(chunks) == 5
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == TEXT
    assert chunks[1]["id"] == "chatcmpl-1"
    assert chunks[-1]["choices"][0].get("finish_reason") == "stop"
    assert chunks[-1].get("usage") == USAGE
    assert bridge.only.json["stream"] is True


async def test_a_chunk_is_there_before_the_next_one_is_sent(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    go_on = threading.Event()
    stream = await begin(client, bridge, chunked(ROLE, delta("Once "), go_on, *STORY[2:]))
    texts = stream.text_stream()
    assert await texts.__anext__() == "Once "
    go_on.set()
    assert [text async for text in texts] == ["upon ", "a time."]


@pytest.mark.promise("C2")
async def test_events_may_be_cut_anywhere(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    whole = b"".join((delta("Grüße, "), b": ping\r\n\r\n", delta("日本\u2028"), delta("", "stop"), DONE))
    pieces = [whole[at : at + 1] for at in range(len(whole))]
    stream = await begin(client, bridge, chunked(*pieces))
    assert await stream.get_final_text() == "Grüße, 日本\u2028"


async def test_a_call_can_be_entered_at_once(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    bridge.on(CHAT, chunked(*STORY), chunked(*STORY[:2], threading.Event()))
    async with client.bridge.stream_complete(MESSAGES) as stream:
        assert isinstance(stream, AsyncStream)
        assert await stream.get_final_text() == TEXT
    with pytest.raises(ZeroDivisionError):
        async with client.bridge.stream_complete(MESSAGES) as stopped:
            raise ZeroDivisionError
    with pytest.raises(SekhaClosedError):
        await stopped.get_final_text()


async def test_a_call_that_fails_is_not_entered(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    bridge.on(CHAT, answer({"detail": "no model"}, 500))
    with pytest.raises(SekhaServerError, match="no model"):
        async with client.bridge.stream_complete(MESSAGES):
            raise AssertionError("it was entered")


async def test_the_collected_answer_is_what_complete_gives(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    stream = await begin(client, bridge, chunked(*STORY))
    assert await stream.get_final_completion() == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1767225600,
        "model": "llama3",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    assert await stream.get_final_text() == TEXT
    bridge.on(CHAT, answer(facts.COMPLETION), answer(facts.COMPLETION))
    whole = await client.bridge.complete(MESSAGES)
    streamed = await (await client.bridge.stream_complete(MESSAGES)).get_final_completion()
    assert streamed == whole


# D31
async def test_a_plain_answer_becomes_two_chunks(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    stream = await begin(client, bridge, answer(facts.COMPLETION))
    text, end = [chunk async for chunk in stream]
    assert text["choices"][0]["delta"] == {"role": "assistant", "content": "Hi there."}
    assert text["choices"][0].get("finish_reason") is None
    assert end["choices"][0].get("finish_reason") == "stop"
    assert end.get("usage") == facts.COMPLETION["usage"]
    assert text.get("object") == end.get("object") == "chat.completion.chunk"
    assert text.get("model") == end.get("model") == "llama3"


async def test_the_documented_loops_work(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    bridge.on(CHAT, chunked(*STORY), answer(facts.COMPLETION))
    for expected in (TEXT, "Hi there."):
        said = ""
        async for chunk in await client.bridge.stream_complete(messages=MESSAGES, model="gpt-4"):
            if "choices" in chunk:
                content = chunk["choices"][0].get("delta", {}).get("content", "")
                if content:
                    said += content
        assert said == expected


@pytest.mark.promise("C3", "C8")
@pytest.mark.parametrize(
    "events",
    [
        pytest.param((delta("a"), delta("b", "stop")), id="no DONE"),
        pytest.param((delta("a"), delta("b"), DONE), id="no finish_reason"),
        pytest.param((delta("a"), delta("b"), b"data: [DONE]"), id="no blank line behind DONE"),
        pytest.param((delta("a"), delta("b", "stop").rstrip()), id="no blank line behind the last"),
        pytest.param((delta("a"), delta("b"), DONE, delta("c"), event("{no json")), id="more behind DONE"),
        pytest.param((event({"choices": []}), delta("a"), event({"choices": None}), delta("b"), DONE), id="no choices"),
        pytest.param(
            (
                event({"choices": [{"index": 0, "delta": None}]}),
                event({"choices": [{"index": 0, "delta": {"content": None}}]}),
                event({"choices": [{"index": 1, "delta": {"content": "other"}}]}),
                delta("a"),
                delta("b", "length"),
                event({"choices": [], "usage": {"total_tokens": 7}}),
                DONE,
            ),
            id="nulls, two choices, usage in a chunk of its own",
        ),
        pytest.param(
            (
                b"\xef\xbb\xbf: hello\n\n",
                b"event: ping\ndata: {}\n\nid: 1\nretry: 5\n\ndata:\n\n",
                delta("a"),
                b"event: ping\ndata: nothing\n\n",
                delta("b"),
                DONE,
            ),
            id="keep-alives",
        ),
    ],
)
async def test_what_model_servers_send_is_read(
    events: tuple[bytes, ...], client: AsyncSekhaClient, bridge: FakeServer
) -> None:
    stream = await begin(client, bridge, chunked(*events))
    texts = [text async for text in stream.text_stream()]
    assert texts == ["a", "b"]
    completion = await stream.get_final_completion()
    assert completion["choices"][0]["message"]["content"] == "ab"
    assert set(completion["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}


async def test_a_stream_without_a_length_ends_with_its_connection(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    bytes_ = b"".join(STORY)
    stream = await begin(client, bridge, raw(head(content_type="text/event-stream") + b"\r\n" + bytes_, end="close"))
    assert await stream.get_final_text() == TEXT


CUTS = {
    "a clean end": chunked(ROLE, delta("Once "), delta("upon ")),
    "no last chunk": chunked(ROLE, delta("Once "), delta("upon "), end="close"),
    "a reset": chunked(ROLE, delta("Once "), delta("upon "), 0.02, end="reset"),
    "inside an event": chunked(ROLE, delta("Once "), delta("upon "), delta("a time.", "stop")[:-20], end="close"),
    "inside an event, cleanly": chunked(ROLE, delta("Once "), delta("upon "), delta("a time.", "stop")[:-20]),
    "inside a character": chunked(ROLE, delta("Once "), delta("upon "), b'data: {"choices": "\xe6\x97'),
    "its length": raw(
        head(content_type="text/event-stream", content_length="9999")
        + b"\r\n"
        + b"".join((ROLE, delta("Once "), delta("upon "))),
        end="close",
    ),
}


@pytest.mark.promise("C1")
@pytest.mark.parametrize("kind", CUTS)
async def test_a_cut_stream_is_an_error_with_the_text_so_far(
    kind: str, client: AsyncSekhaClient, bridge: FakeServer
) -> None:
    stream = await begin(client, bridge, CUTS[kind])
    said: list[str] = []
    with pytest.raises(SekhaStreamError) as caught:
        await read(stream, said)
    error = caught.value
    assert said == ["Once ", "upon "]
    assert error.text == "Once upon "
    assert (error.sent, error.may_have_been_applied) == (True, True)
    assert f"{error.method} {error.path}" == CHAT
    assert "10 characters" in str(error)
    for again in (stream.__anext__, stream.get_final_text, stream.get_final_completion):
        with pytest.raises(SekhaStreamError):
            await again()
    assert len(bridge.seen) == 1
    await client.aclose()
    eventually(lambda: bridge.open_connections == 0)


@pytest.mark.promise("C5")
@pytest.mark.parametrize(
    ("reply", "cls", "words"),
    [
        pytest.param(
            chunked(delta("Once "), event({"error": {"message": "model crashed", "type": "server_error"}}), *STORY),
            SekhaServerError,
            "model crashed",
            id="error data",
        ),
        pytest.param(
            chunked(delta("Once "), event({"message": "model crashed"}, "error"), *STORY),
            SekhaServerError,
            "model crashed",
            id="error event",
        ),
        pytest.param(
            chunked(delta("Once "), event("model crashed", "error"), *STORY),
            SekhaServerError,
            "model crashed",
            id="error event in words",
        ),
        pytest.param(chunked(delta("Once "), b"event: error\n\n", *STORY), SekhaServerError, "", id="bare error event"),
        pytest.param(
            chunked(delta("Once "), event("not json"), *STORY),
            SekhaDecodeError,
            "an event is not valid JSON",
            id="no JSON",
        ),
        pytest.param(
            chunked(delta("Once "), event({"choices": [{"delta": {"content": 5}}]}), *STORY),
            SekhaDecodeError,
            "choices[0].delta.content",
            id="another format",
        ),
        pytest.param(
            chunked(delta("Once "), event([1, 2]), *STORY),
            SekhaDecodeError,
            "the stream cannot be decoded",
            id="a list",
        ),
    ],
)
async def test_an_error_inside_a_stream_ends_it(
    reply: Reply, cls: type[SekhaError], words: str, client: AsyncSekhaClient, bridge: FakeServer
) -> None:
    stream = await begin(client, bridge, reply)
    said: list[str] = []
    with pytest.raises(cls) as caught:
        await read(stream, said)
    assert said == ["Once "]
    assert type(caught.value) is cls
    assert words in str(caught.value)
    assert caught.value.may_have_been_applied is True
    for again in (stream.__anext__, stream.get_final_text):
        with pytest.raises(cls):
            await again()
    eventually(lambda: bridge.open_connections == 0)  # though the rest of it is there


@pytest.mark.parametrize(
    ("reply", "cls"),
    [
        (body(b"<html>Hello</html>", 200, "text/html"), SekhaDecodeError),
        (answer({"choices": "none"}), SekhaDecodeError),
        (answer([]), SekhaDecodeError),
        (body(b""), SekhaDecodeError),
        (answer({"error": "no model"}), SekhaServerError),
        (cut(b'{"choices": ['), SekhaStreamError),
    ],
)
async def test_a_plain_answer_that_is_no_completion_is_an_error(
    reply: Reply, cls: type[SekhaError], client: AsyncSekhaClient, bridge: FakeServer
) -> None:
    stream = await begin(client, bridge, reply)
    with pytest.raises(cls) as caught:
        await stream.get_final_text()
    assert type(caught.value) is cls


async def test_a_stream_can_be_iterated_once(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    stream = await begin(client, bridge, chunked(*STORY))
    assert len([chunk async for chunk in stream]) == 5
    assert [chunk async for chunk in stream] == []
    assert [text async for text in stream.text_stream()] == []


async def test_a_stream_goes_on_where_a_loop_was_left(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    stream = await begin(client, bridge, chunked(*STORY))
    async for chunk in stream:
        if chunk["choices"][0]["delta"].get("content"):
            break
    assert [text async for text in stream.text_stream()] == ["upon ", "a time."]
    assert await stream.get_final_text() == TEXT


@pytest.mark.promise("R6")
async def test_breaking_off_inside_with_frees_the_connection_at_once(make: MakeClient, bridge: FakeServer) -> None:
    client = make(max_connections=1, max_retries=0)
    bridge.always("GET /health", answer(facts.BRIDGE_HEALTHY))
    for _ in range(3):
        bridge.on(CHAT, chunked(*STORY[:3], end="hang"))
        async with await client.bridge.stream_complete(MESSAGES) as stream:
            async for _ in stream:
                break
            with pytest.raises(SekhaTimeoutError):  # there is no other connection
                await client.with_options(timeout=0.01).bridge.models()
        assert (await client.bridge.health())["status"] == "healthy"
        with pytest.raises(SekhaClosedError, match="closed before its end"):
            await stream.__anext__()
        with pytest.raises(SekhaClosedError):
            await stream.get_final_text()
        await stream.aclose()
    eventually(lambda: bridge.open_connections <= 1)


@pytest.mark.promise("R6")
async def test_an_error_inside_with_frees_the_connection_too(make: MakeClient, bridge: FakeServer) -> None:
    client = make(max_connections=1, max_retries=0)
    bridge.on(CHAT, chunked(*STORY[:3], end="hang"))
    with pytest.raises(ZeroDivisionError):
        await fail_inside(client)
    bridge.on("GET /health", answer(facts.BRIDGE_HEALTHY))
    await client.bridge.health()


async def fail_inside(client: AsyncSekhaClient) -> None:
    """Fail while a stream is read."""
    async with await client.bridge.stream_complete(MESSAGES) as stream:
        async for _ in stream:
            raise ZeroDivisionError


@pytest.mark.promise("R6")
async def test_a_stream_that_was_read_frees_its_connection_by_itself(make: MakeClient, bridge: FakeServer) -> None:
    client = make(max_connections=1, max_retries=0)
    bridge.always("GET /health", answer(facts.BRIDGE_HEALTHY))
    for reply in (chunked(*STORY), chunked(*STORY[:-1]), answer(facts.COMPLETION)):
        stream = await begin(client, bridge, reply)
        await stream.get_final_text()
        await client.bridge.health()  # the stream is still there, and was not closed
        del stream
    for reply in (chunked(*STORY), answer(facts.COMPLETION)):
        stream = await begin(client, bridge, reply)
        async for _ in stream:
            pass
        await client.bridge.health()
    assert bridge.connections == 1  # what is behind [DONE] is read too


async def test_closing_the_text_closes_the_stream(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    bridge.on(CHAT, chunked(*STORY[:3], end="hang"))
    texts = (await client.bridge.stream_complete(MESSAGES)).text_stream()
    assert await texts.__anext__() == "Once "
    await texts.aclose()
    eventually(lambda: bridge.open_connections == 0)
    with pytest.raises(SekhaClosedError):
        await texts.__anext__()


@pytest.mark.promise("R6")
async def test_a_forgotten_stream_warns(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    stream = await begin(client, bridge, chunked(*STORY))
    with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
        stream.__del__()
    await stream.aclose()


@pytest.mark.promise("R6")
async def test_a_stream_that_was_read_or_closed_does_not_warn(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    stream = await begin(client, bridge, chunked(*STORY))
    await stream.get_final_text()
    stream.__del__()
    stream = await begin(client, bridge, chunked(*STORY))
    await stream.aclose()
    stream.__del__()


async def test_a_stream_is_bounded(make: MakeClient, bridge: FakeServer) -> None:
    client = make(max_response_bytes=1000)
    stream = await begin(client, bridge, chunked(*STORY, *[b"data: " + b"x" * 100] * 20, end="close"))
    assert await stream.get_final_text() == TEXT  # what stands behind [DONE] is not looked at
    stream = await begin(client, bridge, chunked(delta("Once "), b"data: ", *[b"x" * 100] * 20, end="close"))
    with pytest.raises(SekhaDecodeError, match="1000 bytes"):
        await stream.get_final_text()
    stream = await begin(client, bridge, body(b" " * 2000))
    with pytest.raises(SekhaDecodeError, match="1000 bytes"):
        await stream.get_final_text()


async def test_a_stream_whose_many_events_are_longer_than_the_limit_is_fine(
    make: MakeClient, bridge: FakeServer, clock: FakeClock
) -> None:
    stream = await begin(make(max_response_bytes=1000), bridge, chunked(*[delta("x")] * 50, DONE))
    assert await stream.get_final_text() == "x" * 50


async def test_what_is_wrong_behind_the_end_of_a_stream_is_nobodys_business(
    client: AsyncSekhaClient, bridge: FakeServer
) -> None:
    start = head(content_type="text/event-stream", content_encoding="gzip", transfer_encoding="chunked") + b"\r\n"
    stream = await begin(
        client, bridge, raw(start, *in_chunks(gzip.compress(b"".join(STORY)), 0.01, b"no gzip"), b"0\r\n\r\n")
    )
    assert await stream.get_final_text() == TEXT
    assert stream._closed
    bridge.on(CHAT, chunked(*STORY))
    assert await (await client.bridge.stream_complete(MESSAGES)).get_final_text() == TEXT


async def test_a_stream_that_is_closed_wakes_its_reader(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    stream = await begin(client, bridge, chunked(delta("Once "), end="hang"))
    texts = stream.text_stream()
    assert await texts.__anext__() == "Once "

    async def read_on() -> Exception:
        with pytest.raises(SekhaClosedError) as caught:
            await texts.__anext__()
        return caught.value

    async def close() -> None:
        await Clock().async_sleep(0.05)
        await stream.aclose()

    started = Clock().now()
    await async_gather([read_on, close], 2)
    assert Clock().now() - started < 5.0
    eventually(lambda: bridge.open_connections == 0)
