"""The HTTP edge of the controller 0.1: its rate limit, CORS, and connections that close without a response."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import Callable, Dict, Optional, Tuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sekha._concurrency.clock import monotonic

MAX_REQUESTS = 1000
WINDOW_SECONDS = 60.0
_CORS = {"access-control-allow-origin": "*"}
_PREFLIGHT = {**_CORS, "access-control-allow-methods": "*", "access-control-allow-headers": "*"}


class NoResponse(Response):
    """The connection closes without a response."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["sekha.close"]()
        while (await receive())["type"] != "http.disconnect":
            pass


class ServerEdge:
    """The middleware in front of the controller's application."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = monotonic) -> None:
        self.app = app
        self._clock = clock
        self._windows: Dict[str, Tuple[float, int]] = {}  # start and number of requests, by client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if self.admit(request.headers.get("x-forwarded-for")):
            preflight = request.method == "OPTIONS"
            await _cancel_on_disconnect(self.app, scope, receive, _with_cors(send, preflight))
        else:
            text = "Rate limit exceeded. Please try again later."  # and no Retry-After
            await PlainTextResponse(text, 429, headers=_CORS)(scope, receive, send)

    def admit(self, forwarded_for: Optional[str]) -> bool:
        """Count a request; return whether it is within the limit.

        The limit is 1000 a minute for each first address of X-Forwarded-For, and for all other requests together.
        """
        try:
            client = str(ip_address((forwarded_for or "").partition(",")[0].strip()))
        except ValueError:
            client = "127.0.0.1"
        now = self._clock()
        start, count = self._windows.get(client, (now, 0))
        if now - start >= WINDOW_SECONDS:
            start, count = now, 0
        self._windows[client] = (start, count + 1)
        return count < MAX_REQUESTS


def _with_cors(send: Send, preflight: bool) -> Send:
    """Allow every origin; answer OPTIONS with 200 on any path."""

    async def send_with_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = _PREFLIGHT if preflight else _CORS
            headers = [(name.encode(), value.encode()) for name, value in more.items()]
            status = 200 if preflight else message["status"]
            message = {**message, "status": status, "headers": [*message.get("headers", []), *headers]}
        await send(message)

    return send_with_cors


async def _cancel_on_disconnect(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run a handler until its client disconnects; then cancel it, which releases its resources."""
    messages: asyncio.Queue[Message] = asyncio.Queue()

    async def handle() -> None:
        await app(scope, messages.get, send)

    handler = asyncio.ensure_future(handle())

    async def forward_messages() -> None:
        message: Message = {}
        while message.get("type") != "http.disconnect":
            message = await receive()
            messages.put_nowait(message)
        handler.cancel()

    forwarder = asyncio.ensure_future(forward_messages())
    try:
        await asyncio.wait({handler})
        if not handler.cancelled():
            handler.result()
    finally:
        handler.cancel()
        forwarder.cancel()
        await asyncio.wait({handler, forwarder})
