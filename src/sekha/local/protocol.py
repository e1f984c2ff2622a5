"""HTTP on both ports: uvicorn with limits for slow clients, endless requests, and too many connections."""

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
"""Maximum time for the headers of a request, and for each chunk of its body."""
GRACE_SECONDS = 2.0
"""Time for running requests when the server stops."""
MAX_CONNECTIONS = 1000
"""Maximum number of connections of a port; fewer if the process has fewer file descriptors."""

_OWN_DESCRIPTORS = 64  # file descriptors for the database, models, and the rest of the process
_UNUSED_SECONDS = 1.0  # after this, a connection without a complete request may be closed for a new one
_ACCEPTED_AT_ONCE = 8  # asyncio accepts this number before the first can be rejected
_BACKLOG = 1024
_LAST_WORDS_SECONDS = 0.5  # time for clients to read the rest of a response when the server stops
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_CLOSE = (b"connection", b"close")

_logger = logging.getLogger("sekha.local.http")
_logger.setLevel(logging.ERROR)  # warnings of uvicorn are about clients, such as invalid HTTP or an unsupported upgrade


def make_server(app: ASGIApp) -> uvicorn.Server:
    """Build the server of one port."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=LimitedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,  # with the next line: do not configure the loggers of the process
        log_level=None,
        proxy_headers=False,
        server_header=False,
        backlog=_ACCEPTED_AT_ONCE,
    )
    return _Server(config)


def connection_limit() -> int:
    """Return the maximum number of connections of a port; both ports leave file descriptors for other uses."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(_ACCEPTED_AT_ONCE, min(MAX_CONNECTIONS, (limit - _OWN_DESCRIPTORS) // 3))


def on_loop_error(loop: asyncio.AbstractEventLoop, context: Dict[str, Any]) -> None:
    """Handle an error of the event loop; log a lack of file descriptors without a traceback."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in _OUT_OF_DESCRIPTORS:
        _logger.error("out of file descriptors; new connections are accepted again in a second")
    else:
        loop.default_exception_handler(context)


class _Server(uvicorn.Server):
    async def startup(self, sockets: Optional[List[socket.socket]] = None) -> None:
        await super().startup(sockets)
        for sock in sockets or []:
            with suppress(OSError):
                sock.listen(_BACKLOG)  # the queue of the system may be longer than one batch of asyncio

    async def shutdown(self, sockets: Optional[List[socket.socket]] = None) -> None:
        timer = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._end_requests)
        try:
            await super().shutdown(sockets)
        finally:
            timer.cancel()

    def _end_requests(self) -> None:
        """Cancel running requests; the limit of uvicorn would report them as errors."""
        for task in [*self.server_state.tasks]:
            task.cancel()
        asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self._drop_connections)

    def _drop_connections(self) -> None:
        for connection in [*self.server_state.connections]:
            connection.transport.abort()


class LimitedProtocol(H11Protocol):
    """A connection. Applications can call `scope["sekha.close"]` to close it without a response.

    If a client sends nothing more of an incomplete request for 30 seconds, it gets a 408, and the connection is closed.
    Data after the response is dropped up to `DRAIN_LIMIT`. If there are too many connections, a new one gets a 503,
    unless a connection that has not sent a complete first request can be closed instead.
    """

    _refused = False
    _deadline: Optional[asyncio.TimerHandle] = None
    _begun = 0.0
    _dropped = 0

    @property
    def _request(self) -> Optional[RequestResponseCycle]:
        """The last request, if any."""
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
            except asyncio.CancelledError:  # the server is stopping, and the request did not end in time
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
        return None  # uvicorn would suggest to install a WebSocket library

    def _watch(self) -> None:
        """Start the timeout for the next data of the client: request headers, or the next chunk of a body."""
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
        if self.flow.read_paused:  # reading is paused on this side
            self._watch()
        elif self._request is None and not self.conn.trailing_data[0]:
            self._hang_up()  # no request, so no response
        else:
            self._refuse(408, "The request did not arrive in time.")

    def _refuse(self, status: int, text: str) -> None:
        """Send a response in place of the application, if it has not started one, and close the connection."""
        if not self.transport.is_closing() and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.write(_response(status, text))
        self._hang_up()

    def _hang_up(self) -> None:
        request = self._request
        if request is not None and not request.response_complete:
            request.disconnected = True  # drops further output of the application
            request.message_event.set()
        self.transport.close()

    def _make_room(self) -> bool:
        """Close the oldest connection without a complete first request; return whether there was one."""
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
