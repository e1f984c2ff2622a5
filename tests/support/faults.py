"""Faults that no HTTP server makes: errors from inside the libraries below, and servers that speak nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Optional, Tuple, Type

import httpcore
import httpx

from sekha.testing._ports import reset_when_closed

STAGES = ("send", "first byte", "middle", "close")
LIBRARIES = ("httpx", "httpcore", "the system")
INTERRUPTIONS = (KeyboardInterrupt, SystemExit, GeneratorExit)


def network_errors(library: str) -> List[Type[Exception]]:
    """Every error that a library, or the system with TLS, has for a call, told by its class tree."""
    own = [cls for cls in vars(httpcore).values() if isinstance(cls, type) and issubclass(cls, Exception)]
    roots: Dict[str, List[Type[Exception]]] = {
        "httpx": [httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, httpx.CookieConflict],
        "httpcore": own,
        "the system": [OSError],
    }
    modules = ("ssl", "socket", "builtins") if library == "the system" else (library,)
    waiting, found = list(roots[library]), set()
    while waiting:
        cls = waiting.pop()
        if cls.__module__.split(".")[0] in modules:
            found.add(cls)
            waiting += cls.__subclasses__()
    assert len(found) > 14
    return sorted(found, key=lambda cls: (cls.__module__, cls.__name__))


def made(cls: Any) -> BaseException:
    """An error of a class."""
    if cls is httpx.HTTPStatusError:
        request = httpx.Request("GET", "http://x.test")
        return cls("it broke", request=request, response=httpx.Response(500))
    try:
        return cls("it broke")  # type: ignore[no-any-return]
    except TypeError:
        return cls()  # type: ignore[no-any-return]


class _Breaking(httpx.ByteStream):
    """A body whose reading or closing fails, in either flavour."""

    def __init__(self, pieces: Tuple[bytes, ...], while_reading: Any, while_closing: Any) -> None:
        self._pieces = pieces
        self._while_reading = while_reading
        self._while_closing = while_closing

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._while_reading is not None:
            raise self._while_reading

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        if self._while_closing is not None:
            raise self._while_closing

    async def aclose(self) -> None:
        self.close()


def breaking(error: BaseException, stage: str, body: Tuple[bytes, ...], content_type: str) -> httpx.MockTransport:
    """A transport, for either flavour, that fails with an error at one stage of every call."""

    def handle(request: httpx.Request) -> httpx.Response:
        if stage == "send":
            raise error
        pieces = {"first byte": (), "middle": body[:1], "close": body}[stage]
        stream = _Breaking(pieces, None if stage == "close" else error, error if stage == "close" else None)
        return httpx.Response(200, headers={"content-type": content_type}, stream=stream)

    return httpx.MockTransport(handle)


@contextlib.contextmanager
def listening(act: Callable[[socket.socket], object], buffer: Optional[int] = None) -> Iterator[str]:
    """The address of a server that does this with each connection, and then resets it when the test ends.

    Args:
        act: What it does.
        buffer: How many bytes the system keeps for it that it has not read, about; None for any number.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)  # its connections inherit it
        connections: List[socket.socket] = []

        def accept() -> None:
            while True:
                connection = _accepted(listener)
                if connection is None:
                    return
                connections.append(connection)
                with contextlib.suppress(OSError):
                    act(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
            thread.join(5)
            for connection in connections:
                reset(connection)


def _accepted(listener: socket.socket) -> Optional[socket.socket]:
    try:
        return listener.accept()[0]
    except OSError:
        return None


def reset(connection: socket.socket) -> None:
    """Close a connection by a reset."""
    with contextlib.suppress(OSError):
        reset_when_closed(connection)
        connection.close()
