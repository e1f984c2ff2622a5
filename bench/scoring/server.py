"""A server that misbehaves as it is told, on a real loopback socket, in threads of the judging process."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Literal, Union

Step = Union[bytes, float]
"""Bytes are sent, seconds are waited."""


@dataclass
class Request:
    """A request as it stood on the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)
    left: bool = False
    """Whether the client went away before it had its whole answer."""

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]


@dataclass(frozen=True)
class Reply:
    """Some steps, and then what becomes of the connection."""

    steps: Iterable[Step] = ()
    end: Literal["keep", "close", "reset", "hang"] = "keep"


Script = Callable[[Request, int], Reply]
"""What to do with the n-th request, the first being number 1."""

DROP = Reply(end="close")
HANG = Reply(end="hang")


def body(data: bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> Reply:
    """A whole answer; ``retry_after`` stands for the header ``retry-after``."""
    headers = {"content-type": content_type, "content-length": str(len(data)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return Reply((f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode() + data,))


def answer(data: Any, status: int = 200, **headers: str) -> Reply:
    """A whole answer of JSON."""
    return body(json.dumps(data).encode(), status, **headers)


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def stream(pieces: Iterable[bytes], end: Literal["whole", "reset", "close"] = "whole") -> Reply:
    """An event stream in HTTP chunks; unless it is ``whole``, the last chunk that says so is missing."""

    def steps() -> Iterator[Step]:
        yield STREAM
        for piece in pieces:
            yield b"%x\r\n%s\r\n" % (len(piece), piece)
            yield 0.01
        if end == "whole":
            yield b"0\r\n\r\n"

    return Reply(steps(), "keep" if end == "whole" else end)


class FaultServer:
    """Answers by a script, and keeps every request.

    Args:
        script: Says what to do with a request.
        aside: Ends of paths that a client asks for by itself, with their answers. They are not counted.
        elsewhere: The address that takes the place of ``{elsewhere}`` in what is sent.
    """

    def __init__(self, script: Script, aside: Mapping[str, Any] | None = None, elsewhere: str = "") -> None:
        self.requests: list[Request] = []
        self._script = script
        self._aside = aside or {}
        self._elsewhere = elsewhere.encode()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections, and break those that are open."""
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        rest = b""
        try:
            while True:
                request, rest = _read_request(connection, rest)
                if request is None or not self._play(connection, request, self._reply(request)):
                    return
        except OSError:
            pass  # the client went away
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _reply(self, request: Request) -> Reply:
        with self._lock:
            for path, data in self._aside.items():
                if request.path.endswith(path):
                    return answer(data)
            self.requests.append(request)
            return self._script(request, len(self.requests))

    def _play(self, connection: socket.socket, request: Request, reply: Reply) -> bool:
        try:
            for step in reply.steps:
                if isinstance(step, bytes):
                    connection.sendall(step.replace(b"{elsewhere}", self._elsewhere))
                else:
                    time.sleep(step)
        except OSError:
            request.left = True
            raise
        if reply.end == "hang":
            while connection.recv(65536):
                pass
            request.left = True
        if reply.end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return reply.end == "keep"


def _read_request(connection: socket.socket, received: bytes) -> tuple[Request | None, bytes]:
    """The next request, and the bytes behind it; None if the client closed the connection."""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return None, b""
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    length = int(headers.get("content-length", 0))
    while len(rest) < length:
        piece = connection.recv(65536)
        if not piece:
            return None, b""
        rest += piece
    return Request(method, target, headers, rest[:length]), rest[length:]
