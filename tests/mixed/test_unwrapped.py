"""A cancelled call ends with the cancellation itself, wherever it was (C4)."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any, Callable, Dict, List

import anyio
import pytest

from sekha import AsyncSekhaClient
from support import facts
from support.canary import frames_of, in_sight
from support.facts import MESSAGES, REST_KEY
from support.replies import DONE, HANG, answer, chunked, cut, delta, empty, raw
from support.server import FakeServer, Reply

QUERY, CHAT = "POST /api/v1/query", "POST /v1/chat/completions"
WHERE: Dict[str, Reply] = {
    "before the first byte": HANG,
    "in the head": raw(b"HTTP/1.1 200 OK\r\ncontent-le", end="hang"),
    "in the body": raw(*cut().steps, end="hang"),
    "between attempts": empty(503, retry_after="50"),
}


def client_of(server: FakeServer, **more: Any) -> AsyncSekhaClient:
    return AsyncSekhaClient(controller_url=server.url, bridge_url=server.url, api_key="k", **more)


async def cancelled(call: Callable[[], Any], arrived: Callable[[], object]) -> BaseException:
    """How a call ends that is cancelled once something is so."""
    ends: List[BaseException] = []

    async def run() -> None:
        try:
            await call()
        except BaseException as error:
            ends.append(error)
            raise

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        with anyio.fail_after(5):
            while not arrived():  # noqa: ASYNC110 - it happens in a thread
                await anyio.sleep(0.002)
        await anyio.sleep(0.02)  # anywhere behind that will do
        tasks.cancel_scope.cancel()
    (end,) = ends
    return end


@pytest.mark.promise("C4")
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("deadline", [None, 60.0])
async def test_a_cancellation_is_never_wrapped(where: str, deadline: Any, server: FakeServer) -> None:
    server.on(QUERY, WHERE[where], answer(facts.hits()))
    async with client_of(server, deadline=deadline) as client:
        end = await cancelled(lambda: client.controller.query("x"), lambda: server.seen)
        assert type(end) is anyio.get_cancelled_exc_class()
        assert (await client.controller.query("x"))["results"] == []


@pytest.mark.promise("C4")
async def test_a_cancellation_in_a_stream_is_never_wrapped(server: FakeServer) -> None:
    said: List[str] = []
    server.on(CHAT, chunked(delta("Hi"), end="hang"), chunked(delta("Hi"), DONE))
    async with client_of(server) as client:

        async def read() -> None:
            async with await client.bridge.stream_complete(MESSAGES) as stream:
                async for text in stream.text_stream():
                    said.append(text)

        assert type(await cancelled(read, lambda: said)) is anyio.get_cancelled_exc_class()
        assert await (await client.bridge.stream_complete(MESSAGES)).get_final_text() == "Hi"


@pytest.mark.promise("C4")
@pytest.mark.parametrize("where", WHERE)
def test_a_cancellation_of_asyncio_is_never_wrapped(where: str, server: FakeServer) -> None:
    server.on(QUERY, WHERE[where])

    async def main() -> None:
        async with client_of(server, deadline=60.0) as client:
            task = asyncio.ensure_future(client.controller.query("x"))
            while not server.seen:  # noqa: ASYNC110 - it happens in a thread
                await asyncio.sleep(0.002)
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert task.cancelled()

    asyncio.run(asyncio.wait_for(main(), 10))


@pytest.mark.promise("S1")
async def test_a_cancellation_does_not_show_the_key_in_the_frames_that_were_sending() -> None:
    accepted: List[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:  # takes in nothing of what is sent
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # and the system little
        thread = threading.Thread(target=lambda: accepted.append(listener.accept()[0]))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with AsyncSekhaClient(controller_url=url, api_key=REST_KEY) as client:
            text = "x" * 8_000_000
            end = await cancelled(
                lambda: client.controller.create_conversation(messages=[{"role": "user", "content": text}]),
                lambda: accepted,
            )
        thread.join(10)
        accepted[0].close()
    assert "_write" in frames_of(end)
    assert not in_sight(frames_of(end))
