"""How the real controller 0.1 stands on the wire: its rate limit, CORS, handlers that die or are dropped."""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address
from typing import Callable, Dict, Optional, Tuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PER_MINUTE = 1000
WINDOW = 60.0
_CORS = {"access-control-allow-origin": "*"}
_PREFLIGHT = {**_CORS, "access-control-allow-methods": "*", "access-control-allow-headers": "*"}


class Closed(Response):
    """No answer: the connection closes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["sekha.close"]()
        while (await receive())["type"] != "http.disconnect":
            pass


class Wire:
    """The application of the controller as clients meet it."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self._clock = clock
        self._windows: Dict[str, Tuple[float, int]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if self.allows(request.headers.get("x-forwarded-for")):
            preflight = request.method == "OPTIONS"
            await _while_there(self.app, scope, receive, _with_cors(send, preflight))
        else:
            text = "Rate limit exceeded. Please try again later."  # and no Retry-After
            await PlainTextResponse(text, 429, headers=_CORS)(scope, receive, send)

    def allows(self, forwarded_for: Optional[str]) -> bool:
        """Counts a request: 1000 a minute for each first address of X-Forwarded-For, and for all others together."""
        try:
            client = str(ip_address((forwarded_for or "").partition(",")[0].strip()))
        except ValueError:
            client = "127.0.0.1"
        now = self._clock()
        begin, count = self._windows.get(client, (now, 0))
        if now - begin >= WINDOW:
            begin, count = now, 0
        self._windows[client] = (begin, count + 1)
        return count < PER_MINUTE


def _with_cors(send: Send, preflight: bool) -> Send:
    """Whoever asks may read the answer; OPTIONS is answered with 200 whatever the path is."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = _PREFLIGHT if preflight else _CORS
            headers = [(name.encode(), value.encode()) for name, value in more.items()]
            status = 200 if preflight else message["status"]
            message = {**message, "status": status, "headers": [*message.get("headers", []), *headers]}
        await send(message)

    return sending


async def _while_there(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The real server drops a handler, with all that it holds, when its client hangs up."""
    messages: asyncio.Queue[Message] = asyncio.Queue()

    async def answer() -> None:
        await app(scope, messages.get, send)

    work = asyncio.ensure_future(answer())

    async def listen() -> None:
        message: Message = {}
        while message.get("type") != "http.disconnect":
            message = await receive()
            messages.put_nowait(message)
        work.cancel()

    listener = asyncio.ensure_future(listen())
    try:
        await asyncio.wait({work})
        if not work.cancelled():
            work.result()
    finally:
        work.cancel()
        listener.cancel()
        await asyncio.wait({work, listener})
