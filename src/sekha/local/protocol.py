"""HTTP on both ports: uvicorn, with limits for clients that send slowly, or never stop, or are too many."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from contextlib import suppress
from typing import Any, Dict, Iterable, List, Optional

import h11
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from sekha.local.http import DRAIN_LIMIT

REQUEST_SECONDS = 30.0
"""Time for the head of a request, and for each next piece of its body."""
GRACE_SECONDS = 2.0
"""Time for running requests when the server stops."""
MAX_CONNECTIONS = 1000
"""Most connections of a port; fewer where the process may not have so many descriptors."""

_OWN_DESCRIPTORS = 64  # of the database, of models, of the process around us
_UNUSED_SECONDS = 1.0  # a connection without a whole request gives its place to another one after that
_ACCEPTED_AT_ONCE = 8  # asyncio accepts so many before the first of them can be refused
_BACKLOG = 1024
_LAST_WORDS_SECONDS = 0.5  # for clients to read the end of an answer when the server stops
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_CLOSE = (b"connection", b"close")

_logger = logging.getLogger("sekha.local.http")
_logger.setLevel(logging.ERROR)  # uvicorn's warnings are about clients: no HTTP, an upgrade that is not there


def make_server(app: ASGIApp) -> uvicorn.Server:
    """Build the server of one port."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=LimitedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,  # this and the next line leave the loggers of the process alone
        log_level=None,
        proxy_headers=False,
        server_header=False,
        backlog=_ACCEPTED_AT_ONCE,
    )
    return _Server(config)


def connection_limit() -> int:
    """Return how many connections a port may have: both together leave descriptors for all else."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(_ACCEPTED_AT_ONCE, min(MAX_CONNECTIONS, (limit - _OWN_DESCRIPTORS) // 3))


def on_loop_error(loop: asyncio.AbstractEventLoop, context: Dict[str, Any]) -> None:
    """Handle an error of the event loop; that there are no more descriptors needs no traceback."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in _OUT_OF_DESCRIPTORS:
        _logger.error("the process has no more file descriptors; new connections wait for a second")
    else:
        loop.default_exception_handler(context)


class _Server(uvicorn.Server):
    async def startup(self, sockets: Optional[List[socket.socket]] = None) -> None:
        await super().startup(sockets)
        for sock in sockets or []:
            with suppress(OSError):
                sock.listen(_BACKLOG)  # the system's queue may be longer than what asyncio takes from it at once

    async def shutdown(self, sockets: Optional[List[socket.socket]] = None) -> None:
        timer = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._end_requests)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()

    def _end_requests(self) -> None:
        """End what still runs; uvicorn's own limit would report it as an error."""
        for task in [*self.server_state.tasks]:
            task.cancel()
        asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self._drop_connections)

    def _drop_connections(self) -> None:
        for connection in [*self.server_state.connections]:
            connection.transport.abort()


class LimitedProtocol(H11Protocol):
    """A connection. An application finds `scope["sekha.close"]`, which closes it without a response.

    A client that does not go on with its request for 30 seconds is told so (408), and its connection is closed. What
    it sends after the response is dropped up to `DRAIN_LIMIT`. A connection that is one too many gets a 503, unless
    one that waits for the head of its first request can give way.
    """

    _refused = False
    _deadline: Optional[asyncio.TimerHandle] = None
    _begun = 0.0
    _dropped = 0

    @property
    def _request(self) -> Optional[RequestResponseCycle]:
        """The last request; the connection may have had none."""
        return self.cycle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base
        if len(self.connections) >= connection_limit() and not self._make_room():
            self._refused = True
            transport.write(_response(503, "Too many connections."))
            transport.close()
            return
        super().connection_made(transport)
        self.logger = _logger
        self._begun = self.loop.time()
        app = self.app

        async def run(scope: Scope, receive: Receive, send: Send) -> None:
            cycle = self.cycle

            async def send_and_close(message: Message) -> None:
                if message.get("status") == 413 and cycle.more_body:  # the rest will not be read
                    message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
                await send(message)

            try:
                await app({**scope, "sekha.close": transport.close}, receive, send_and_close)
            except asyncio.CancelledError:  # the server stops, and the request has not ended in time
                if cycle.response_started:
                    self._hang_up()
                else:
                    await cycle.send_500_response()

        self.app = run
        self._watch()

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._stop_watching()
        if not self._refused:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        answered = self._request is not None and self._request.response_complete
        self._dropped = self._dropped + len(data) if answered and self.conn.their_state is h11.SEND_BODY else 0
        if self._dropped > DRAIN_LIMIT:
            self.transport.close()
            return
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _get_upgrade(self) -> Optional[bytes]:
        return None  # uvicorn would advise to install a library for WebSockets

    def _watch(self) -> None:
        """Give the client its time for what it owes us: the head of a request, or the next piece of a body."""
        state = self.conn.their_state
        if state is h11.IDLE and (self._request is None or self.conn.trailing_data[0]):
            if self._deadline is None:
                self._deadline = self.loop.call_later(REQUEST_SECONDS, self._on_deadline)
        else:
            self._stop_watching()
            if state is h11.SEND_BODY and not self.transport.is_closing():
                self._deadline = self.loop.call_later(REQUEST_SECONDS, self._on_deadline)

    def _stop_watching(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_deadline(self) -> None:
        self._deadline = None
        if self.flow.read_paused:  # it is we who do not read
            self._watch()
        elif self._request is None and not self.conn.trailing_data[0]:
            self._hang_up()  # nothing was asked, so nothing is answered
        else:
            self._refuse(408, "The request did not arrive in time.")

    def _refuse(self, status: int, text: str) -> None:
        """Answer instead of the application, if it has not begun to, and close the connection."""
        if not self.transport.is_closing() and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_response(status, text))
        self._hang_up()

    def _hang_up(self) -> None:
        request = self._request
        if request is not None and not request.response_complete:
            request.disconnected = True  # what the application still sends is dropped
            request.message_event.set()
        self.transport.close()

    def _make_room(self) -> bool:
        """Close the connection that has waited longest for its first request; return whether there is one."""
        limit = self.loop.time() - _UNUSED_SECONDS
        oldest = min(_without_request(self.connections), key=lambda one: one._begun, default=None)
        if oldest is None or oldest._begun > limit:
            return False
        oldest._hang_up()
        self.connections.discard(oldest)
        return True


def _without_request(connections: Iterable[object]) -> List[LimitedProtocol]:
    return [one for one in connections if isinstance(one, LimitedProtocol) and one._request is None]


def _response(status: int, text: str) -> bytes:
    reason = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}[status]
    head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}"
    return f"{head}\r\nconnection: close\r\n\r\n{text}".encode("ascii")
