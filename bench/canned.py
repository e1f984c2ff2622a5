"""A canned server in a process of its own: it answers what the compared libraries ask, and does no work for it."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

from timing import HITS

CHUNKS = {"burst": 1000, "paced": 100, "short": 10}
"""How many chunks a stream has, by the name of the model: all at once, one after another, a few at once."""
PACE = 0.002
"""Seconds between the chunks of a paced stream."""

_ID = "550e8400-e29b-41d4-a716-446655440000"
_HIT = {
    "conversation_id": _ID,
    "message_id": "650e8400-e29b-41d4-a716-446655440000",
    "score": 0.5,
    "content": "We deploy the api and the worker on kubernetes with docker. " * 8,
    "metadata": {"role": "user", "timestamp": "2026-01-31T09:30:00.065414408"},
    "label": "Architecture",
    "folder": "/work",
    "timestamp": "2026-01-31T09:30:00.063957476",
}
_TIME = "2026-01-31T09:30:00Z"


@cache
def answer(path: str, body: bytes) -> bytes:
    """The whole answer to a request; a search has as many hits of about 800 bytes as it asks for."""
    if path == "/api/v1/query":
        limit = json.loads(body)["limit"]
        results = [{**_HIT, "score": 0.9 - i / 10000} for i in range(limit)]
        return _whole({"results": results, "total": limit, "page": 1, "page_size": limit})
    if path == "/v1/chat/completions":
        message = {"role": "assistant", "content": str(_HIT["content"]) * 16}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 99, "total_tokens": 108}
        chat = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        return _whole({**chat, "choices": [choice], "usage": usage})
    if path == "/store/items/search":
        items = [{"namespace": ["memories"], "key": _ID, "value": _HIT, "created_at": _TIME, "updated_at": _TIME}]
        return _whole({"items": items * HITS})
    if path.rstrip("/").endswith("/memories/search"):
        memory = {"id": _ID, "memory": _HIT["content"], "user_id": "u", "score": 0.5, "metadata": _HIT["metadata"]}
        return _whole({"results": [{**memory, "created_at": _TIME, "updated_at": _TIME, "categories": []}] * HITS})
    if path.rstrip("/").endswith("/ping"):
        return _whole({"status": "ok", "org_id": "o", "project_id": "p", "user_email": "someone@example.org"})
    made = {"id": _ID, "conversation_id": _ID, "label": "x", "folder": "/", "status": "active", "message_count": 1}
    return _whole({**made, "created_at": "2026-01-31T09:30:00.123456789"})


def _whole(data: Any) -> bytes:
    body = json.dumps(data).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _event(delta: dict[str, str], finish_reason: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


_CHUNK = _event({"content": "word "}, None)
_LAST = _event({}, "stop") + b"data: [DONE]\n\n"


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class CannedProtocol(asyncio.Protocol):
    """Answers when the body of a request has arrived.

    Args:
        delay: Seconds to think before an answer.
    """

    def __init__(self, delay: float) -> None:
        self._delay = delay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._data = bytearray()

    def data_received(self, data: bytes) -> None:
        """Answer a whole request."""
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._data[:end])
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        if len(self._data) < end + 4 + int(lengths[0] if lengths else 0):
            return
        path, body = head.split(b" ", 2)[1].decode().partition("?")[0], bytes(self._data[end + 4 : end + 4 + 4096])
        self._data.clear()
        if b'"stream":true' in body.replace(b" ", b""):
            self._stream(next(name for name in (*CHUNKS, "") if f'"{name}"'.encode() in body or not name) or "short")
        elif self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer(path, body))
        else:
            self._transport.write(answer(path, body))

    def _stream(self, model: str) -> None:
        count, write, loop = CHUNKS[model], self._transport.write, asyncio.get_running_loop()
        if model != "paced":
            write(_HEAD + _framed(_CHUNK) * count + _framed(_LAST) + b"0\r\n\r\n")
            return
        write(_HEAD)
        for position in range(count):
            loop.call_later(position * PACE, write, _framed(_CHUNK))
        loop.call_later(count * PACE, write, _framed(_LAST) + b"0\r\n\r\n")


def serve(ready: Connection, delay: float) -> None:
    """Run the canned server until the process is ended; its port goes through the pipe."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: CannedProtocol(delay), "127.0.0.1", 0, backlog=2048)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def canned_server(delay: float = 0.0) -> Iterator[str]:
    """The address of a canned server; it ends with the block.

    Args:
        delay: Seconds that it thinks before each answer.
    """
    context = multiprocessing.get_context("spawn")
    received, ready = context.Pipe(duplex=False)
    server = context.Process(target=serve, args=(ready, delay), daemon=True)
    server.start()
    ready.close()
    try:
        if not received.poll(30):
            raise TimeoutError("the canned server does not start")
        yield f"http://127.0.0.1:{received.recv()}"
    finally:
        received.close()
        server.kill()
        server.join()
