"""A fake server on a real loopback socket: it answers what a test wrote down, and notes every request."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Callable, Deque, Dict, List, Literal, Optional, Set, Tuple, Union

from sekha.testing._ports import reset_when_closed
from sekha.testing._sockets import ReceivedRequest, SocketServer

__all__ = ["FakeServer", "ReceivedRequest", "Reply", "Step", "eventually"]

Step = Union[bytes, float, threading.Event, Callable[[], object]]
"""Bytes are sent, seconds are waited, an event is waited for, a function is called."""


@dataclass(frozen=True)
class Reply:
    """What the server does with one request: some steps, and then what becomes of the connection.

    With "goodbye" it is closed as TLS wants it, with "close" without a word; without TLS there is no difference.
    """

    steps: Tuple[Step, ...] = ()
    end: Literal["keep", "close", "goodbye", "reset", "hang"] = "keep"


def eventually(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is so; only for what needs no event loop to become so."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.001)


class FakeServer(SocketServer):
    """
    Listens on a free port of this machine.

    Args:
        listening: Whether it takes connections at once; before `listen` they are refused.
        host: The address; one of IPv6 has a colon in it.
        tls: Speaks TLS with this.

    Attributes:
        url: Its address.
        seen: Every request in order of arrival.
        unmatched: Those that no script spoke of.
    """

    def __init__(
        self, *, listening: bool = True, host: str = "127.0.0.1", tls: Optional[ssl.SSLContext] = None
    ) -> None:
        self.seen: List[ReceivedRequest] = []
        self.unmatched: List[ReceivedRequest] = []
        self._script: Dict[str, Deque[Reply]] = {}
        self._always: Dict[str, Reply] = {}
        self._busy: Set[int] = set()
        self._most_busy = 0
        super().__init__(listening=listening, host=host, tls=tls)

    # What tests say

    def on(self, line: str, *replies: Reply) -> None:
        """Answer the next requests with this method and path (``GET /health``), one reply each, in order."""
        with self._lock:
            self._script.setdefault(line, deque()).extend(replies)

    def always(self, line: str, reply: Reply) -> None:
        """Answer any number of these requests with the same reply, once the script has no other."""
        with self._lock:
            self._always[line] = reply

    # What tests ask

    @property
    def lines(self) -> List[str]:
        """Method and path of every request so far."""
        return [seen.line for seen in self.seen]

    @property
    def only(self) -> ReceivedRequest:
        """The one request there was."""
        assert len(self.seen) == 1, self.lines
        return self.seen[0]

    @property
    def most_at_once(self) -> int:
        """The largest number of requests that were being answered at the same time."""
        return self._most_busy

    @property
    def left_over(self) -> List[str]:
        """What was written down and never asked for."""
        with self._lock:
            return [f"{len(replies)} x {line}" for line, replies in self._script.items() if replies]

    def check(self) -> None:
        """Fail if something was never asked for, or asked for without a script."""
        assert not self.unmatched, f"no script for {[seen.line for seen in self.unmatched]}"
        assert not self.left_over, f"never asked for: {self.left_over}"

    # In the thread of a connection

    def serve(self, connection: socket.socket, request: ReceivedRequest) -> bool:
        reply = self._take(request)
        try:
            return self._play(connection, reply, request)
        finally:
            self._is_answered(request)

    def _take(self, request: ReceivedRequest) -> Reply:
        assert len(request.headers) == len(request.pairs), f"a header twice: {request.pairs}"
        with self._lock:
            self.seen.append(request)
            self._busy.add(id(request))
            self._most_busy = max(self._most_busy, len(self._busy))
            replies = self._script.get(request.line)
            if replies:
                return replies.popleft()
            if request.line in self._always:
                return self._always[request.line]
            self.unmatched.append(request)
        body = b'{"error":"no script"}'
        return Reply((b"HTTP/1.1 418 No Script\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body),))

    def _is_answered(self, request: ReceivedRequest) -> None:
        with self._lock:
            self._busy.discard(id(request))

    def _play(self, connection: socket.socket, reply: Reply, request: ReceivedRequest) -> bool:
        for position, step in enumerate(reply.steps, 1):
            if isinstance(step, bytes):
                if position == len(reply.steps):  # before it is sent: after that, the next request may be there already
                    self._is_answered(request)
                connection.sendall(step)
            elif isinstance(step, threading.Event):
                while not (step.wait(0.05) or self.closing.is_set()):
                    pass
            elif callable(step):
                step()
            else:
                self.closing.wait(step)
        if reply.end == "hang":
            while connection.recv(65536):
                pass
        if reply.end == "goodbye" and isinstance(connection, ssl.SSLSocket):
            connection.setblocking(False)  # the client's goodbye is not waited for
            with contextlib.suppress(ssl.SSLWantReadError):
                connection.unwrap()
        if reply.end == "reset":
            reset_when_closed(connection)
        return reply.end == "keep"
