"""Requests by way of httpx, which keeps the connections where a proxy applies or the user passes a client.

It is loaded when such a client is made, and not by ``import sekha``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import httpx

from sekha._concurrency.tasks import AsyncCall
from sekha._http.httpx_teardown import async_abandon, async_end_iteration
from sekha._http.models import KEEPALIVE_EXPIRY, AsyncHTTPResponse, AsyncHTTPTransport, HTTPRequest, HTTPSettings
from sekha._http.tls import ssl_context
from sekha._utils.public import class_name
from sekha.errors import SekhaConfigError


class AsyncHTTPXTransport:
    """Sends requests by a client or a transport of httpx.

    Args:
        send: Sends a request, and returns the response before its body is read.
        close: Closes the connections; None if they belong to the user's client.
    """

    def __init__(
        self,
        send: AsyncCall[[httpx.Request], httpx.Response],
        close: AsyncCall[[], None] | None,
    ) -> None:
        self._send = send
        self._close = close

    async def send(self, request: HTTPRequest) -> AsyncHTTPResponse:
        """Send a request; return the response when its head has arrived."""
        return _AsyncHTTPXResponse(await self._send(_httpx_request(request)))

    async def aclose(self) -> None:
        """Close the connections, unless they belong to the user's client."""
        if self._close is not None:
            await self._close()


class _AsyncHTTPXResponse:
    _chunks: AsyncIterator[bytes] | None = None

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        if response.is_stream_consumed:  # a hook of the user's client has read it, and what it read was decompressed
            self.headers = {name: value for name, value in response.headers.items() if name != "content-encoding"}

    def iter_raw(self) -> AsyncIterator[bytes]:
        if self._response.is_stream_consumed:
            return self._response.aiter_bytes()
        self._chunks = cast("httpx.AsyncByteStream", self._response.stream).__aiter__()
        return self._chunks

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        finally:  # closing does not end the generators of httpx and httpcore
            if self._chunks is not None:
                await async_end_iteration(self._chunks)

    def abandon(self) -> None:
        async_abandon(self._response)

    def limit_read_until(self, at: float) -> bool:
        return False


def _httpx_request(request: HTTPRequest) -> httpx.Request:
    length = request.content_length
    made = httpx.Request(
        request.method,
        request.base_url + request.path,
        headers=[*request.headers.pairs, *([] if length is None else [(b"content-length", b"%d" % length)])],
        content=request.content,
        extensions={"timeout": request.timeout},
    )
    made.stream = _Body(request.content or b"")
    return made


class _Body(httpx.ByteStream):
    """The body of a request.

    httpx would iterate over it by a generator, of which an event loop warns if the call is cancelled in its middle.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _SingleChunk(self._data)


class _SingleChunk(AsyncIterator[bytes]):
    def __init__(self, data: bytes) -> None:
        self._left = [data]

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


def check_client(client: object) -> None:
    """Refuse what is not an `httpx.AsyncClient`.

    Raises:
        SekhaConfigError: It is neither that nor None.
    """
    if client is not None and not isinstance(client, httpx.AsyncClient):
        raise SekhaConfigError(f"http_client: must be an httpx.AsyncClient, not {class_name(client)}")


def make_transport(settings: HTTPSettings, base_url: str) -> AsyncHTTPTransport:
    """Return what sends requests to one server by way of httpx."""
    if settings.proxy is not None and settings.http_client is None:
        transport = httpx.AsyncHTTPTransport(**_connection_options(settings, base_url), proxy=settings.proxy)
        return AsyncHTTPXTransport(transport.handle_async_request, transport.aclose)
    given = settings.http_client if isinstance(settings.http_client, httpx.AsyncClient) else None
    client = given or httpx.AsyncClient(**_connection_options(settings, base_url))

    async def send(request: httpx.Request) -> httpx.Response:
        with_defaults_of_client = client.build_request(
            request.method, request.url, content=request.content, headers=request.headers, extensions=request.extensions
        )
        return await client.send(with_defaults_of_client, stream=True, follow_redirects=False)

    return AsyncHTTPXTransport(send, None if given else client.aclose)


def _connection_options(settings: HTTPSettings, base_url: str) -> dict[str, Any]:
    return {
        "verify": ssl_context(settings, base_url),
        "trust_env": settings.trust_env,
        "limits": httpx.Limits(
            max_connections=settings.max_connections,
            max_keepalive_connections=settings.max_connections,
            keepalive_expiry=KEEPALIVE_EXPIRY,
        ),
    }
