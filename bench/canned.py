"""A canned server in a process of its own: ten search hits of 8 KB together, or chunks where a chat is asked for."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

HITS = 10
BODY = {"query": "docker", "limit": HITS, "offset": 0}


def canned_answer() -> bytes:
    """A search with ten hits of about 800 bytes."""
    hit = {
        "conversation_id": "550e8400-e29b-41d4-a716-446655440000",
        "message_id": "650e8400-e29b-41d4-a716-446655440000",
        "score": 0.5,
        "content": "We deploy the api and the worker on kubernetes with docker. " * 8,
        "metadata": {"role": "user", "timestamp": "2026-01-31T09:30:00.065414408"},
        "label": "Architecture",
        "folder": "/work",
        "timestamp": "2026-01-31T09:30:00.063957476",
    }
    results = [{**hit, "score": 0.9 - i / 100} for i in range(HITS)]
    body = json.dumps({"results": results, "total": HITS, "page": 1, "page_size": HITS}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def canned_stream() -> bytes:
    """Ten chunks, and the end of them."""
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
    events = chunk * 10 + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(events), events)


class CannedProtocol(asyncio.Protocol):
    """Answers when the body of a request has arrived.

    Args:
        delay: Seconds to think before an answer.
    """

    found = canned_answer()
    stream = canned_stream()

    def __init__(self, delay: float) -> None:
        self._delay = delay

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """Answer a whole request."""
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        if len(body) >= int(lengths[0] if lengths else 0):
            answer = self.stream if head.startswith(b"POST /v1/chat") else self.found
            self._data = b""
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._transport.write, answer)
            else:
                self._transport.write(answer)


def serve(port: int, delay: float) -> None:
    """Run the canned server until the process is ended."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: CannedProtocol(delay), "127.0.0.1", port, backlog=2048)
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def canned_server(delay: float = 0.0) -> Iterator[str]:
    """The address of a canned server; it ends with the block.

    Args:
        delay: Seconds that it thinks before each answer.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(port, delay), daemon=True)
    server.start()
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.join()
