"""Where httpx keeps the connections: a proxy applies, or the user brings a client.

It is loaded when such a client is made, and not by ``import sekha``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

import httpx

from sekha._http.models import (
    IDLE_SECONDS,
    AsyncHTTPAnswer,
    AsyncHTTPTransport,
    HTTPAnswer,
    HTTPRequest,
    HTTPSettings,
    HTTPTransport,
    network_errors,
)
from sekha._http.tls import ssl_context
from sekha.errors import SekhaConfigError

AsyncHTTPClient = httpx.AsyncClient
HTTPClient = httpx.Client


class AsyncByHTTPX:
    """Sends by httpx's own means.

    Args:
        send: Sends a request; the body of its answer is not read yet.
        close: Closes the connections; None if they are somebody else's.
    """

    def __init__(
        self,
        send: Callable[[httpx.Request], Awaitable[httpx.Response]],
        close: Callable[[], Awaitable[None]] | None,
    ) -> None:
        self._send = send
        self._close = close

    async def send(self, request: HTTPRequest) -> AsyncHTTPAnswer:
        """The answer, when its head has arrived."""
        return _AsyncAnswerOfHTTPX(await self._send(_request_of_httpx(request)))

    async def aclose(self) -> None:
        """Close the connections, if they are ours."""
        if self._close is not None:
            await self._close()


class ByHTTPX:
    """The same for blocking code."""

    def __init__(self, send: Callable[[httpx.Request], httpx.Response], close: Callable[[], None] | None) -> None:
        self._send = send
        self._close = close

    def send(self, request: HTTPRequest) -> HTTPAnswer:
        """The answer, when its head has arrived."""
        return _AnswerOfHTTPX(self._send(_request_of_httpx(request)))

    def close(self) -> None:
        """Close the connections, if they are ours."""
        if self._close is not None:
            self._close()


class _OfHTTPX:
    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        if response.is_stream_consumed:  # a hook of the user's client has read it, and what it read was opened
            self.headers = {name: value for name, value in response.headers.items() if name != "content-encoding"}

    def hurry(self, moment: float) -> bool:
        return False


class _AsyncAnswerOfHTTPX(_OfHTTPX):
    _pieces: AsyncIterator[bytes] | None = None

    def pieces(self) -> AsyncIterator[bytes]:
        if self._response.is_stream_consumed:
            return self._response.aiter_bytes()
        self._pieces = cast("httpx.AsyncByteStream", self._response.stream).__aiter__()
        return self._pieces

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        finally:  # that does not end the iterators of httpx and httpcore, and event loops would complain of them
            if self._pieces is not None:
                with suppress(*network_errors(), RuntimeError, ValueError):  # the last two: somebody reads right now
                    async for _ in self._pieces:
                        pass

    def forget(self) -> None:
        """Nothing can be done without waiting."""


class _AnswerOfHTTPX(_OfHTTPX):
    def pieces(self) -> Iterator[bytes]:
        if self._response.is_stream_consumed:
            return self._response.iter_bytes()
        return cast("httpx.SyncByteStream", self._response.stream).__iter__()

    def close(self) -> None:
        self._response.close()

    def forget(self) -> None:
        with suppress(*network_errors()):
            self._response.close()


def _request_of_httpx(request: HTTPRequest) -> httpx.Request:
    found = httpx.Request(
        request.method,
        request.base_url + request.path,
        headers=request.headers,
        content=request.content,
        extensions={"timeout": request.timeout},
    )
    found.stream = _Body(request.content or b"")
    return found


class _Body(httpx.ByteStream):
    """The bytes of a request. httpx hands them out by a generator, and an event loop complains of one that was left in
    its middle because the call was cancelled."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _OnePiece(self._data)


class _OnePiece(AsyncIterator[bytes]):
    def __init__(self, data: bytes) -> None:
        self._left = [data]

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


def _by_client(client: httpx.AsyncClient | httpx.Client, request: httpx.Request) -> httpx.Request:
    return client.build_request(
        request.method, request.url, content=request.content, headers=request.headers, extensions=request.extensions
    )


def check_async_client(given: object) -> None:
    """Refuse a client of the other flavour, or what is none.

    Raises:
        SekhaConfigError: It is neither None nor an `httpx.AsyncClient`.
    """
    _check(given, AsyncHTTPClient)


def check_client(given: object) -> None:
    """The same for blocking code."""
    _check(given, HTTPClient)


def _check(given: object, cls: type) -> None:
    if given is not None and not isinstance(given, cls):
        raise SekhaConfigError(f"http_client: must be an httpx.{cls.__name__}, not {type(given).__name__}")


def make_async_transport(settings: HTTPSettings, base_url: str) -> AsyncHTTPTransport:
    """What sends requests to one server by httpx's own means."""
    if settings.proxy is not None and settings.http_client is None:
        transport = httpx.AsyncHTTPTransport(**_connection_options(settings, base_url), proxy=settings.proxy)
        return AsyncByHTTPX(transport.handle_async_request, transport.aclose)
    lent = settings.http_client if isinstance(settings.http_client, httpx.AsyncClient) else None
    client = lent or httpx.AsyncClient(**_connection_options(settings, base_url))

    def send(request: httpx.Request) -> Awaitable[httpx.Response]:
        return client.send(_by_client(client, request), stream=True, follow_redirects=False)

    return AsyncByHTTPX(send, None if lent else client.aclose)


def make_transport(settings: HTTPSettings, base_url: str) -> HTTPTransport:
    """What sends requests to one server by httpx's own means."""
    if settings.proxy is not None and settings.http_client is None:
        transport = httpx.HTTPTransport(**_connection_options(settings, base_url), proxy=settings.proxy)
        return ByHTTPX(transport.handle_request, transport.close)
    lent = settings.http_client if isinstance(settings.http_client, httpx.Client) else None
    client = lent or httpx.Client(**_connection_options(settings, base_url))

    def send(request: httpx.Request) -> httpx.Response:
        return client.send(_by_client(client, request), stream=True, follow_redirects=False)

    return ByHTTPX(send, None if lent else client.close)


def _connection_options(settings: HTTPSettings, base_url: str) -> dict[str, Any]:
    return {
        "verify": ssl_context(settings, base_url),
        "trust_env": settings.trust_env,
        "limits": httpx.Limits(
            max_connections=settings.max_connections,
            max_keepalive_connections=settings.max_connections,
            keepalive_expiry=IDLE_SECONDS,
        ),
    }
