# Generated from src/sekha/_async/http/httpx_adapter.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Requests through httpx, which manages the connections if a proxy applies or the user passes a client.

It is imported when such a client is created, not by ``import sekha``. httpx never reads proxies from the environment:
the applicable one is passed to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, cast

import httpx

from sekha._concurrency.tasks import Call
from sekha._http.addresses import server_name
from sekha._http.error_mapping import network_errors
from sekha._http.httpx_proxy import httpx_proxy, is_refusal_by_proxy, phase_at
from sekha._http.httpx_teardown import abandon, end_iteration
from sekha._http.models import KEEPALIVE_EXPIRY, HTTPResponse, HTTPTransport, HTTPRequest, HTTPSettings
from sekha._http.proxies import Proxy
from sekha._http.sockets import KEEPALIVE_OPTIONS
from sekha._http.tls import context_for_httpx
from sekha._utils.public import class_name
from sekha.errors import SekhaConfigError


class HTTPXTransport:
    """Sends requests with the user's client.

    Args:
        send: Sends a request and returns the response before its body is read.
    """

    def __init__(self, send: Call[[httpx.Request], httpx.Response]) -> None:
        self._send = send

    def send(self, request: HTTPRequest) -> HTTPResponse:
        """Send a request; return the response when its headers have arrived."""
        return _HTTPXResponse(self._send(_httpx_request(request)))

    def close(self) -> None:
        """Do nothing: the connections belong to the user's client."""


class _ProxiedTransport:
    """Sends requests through a proxy with a transport of httpx."""

    def __init__(self, transport: httpx.HTTPTransport, proxy: Proxy) -> None:
        self._transport = transport
        self._proxy = proxy

    def send(self, request: HTTPRequest) -> HTTPResponse:
        """Send a request; return the response when its headers have arrived.

        Raises:
            httpx.ProxyError: The proxy rejected the request, or its response is not that of a proxy.
        """
        request.phase, request.proxy = "waiting for a free connection", str(self._proxy)
        streams: list[Any] = []

        def trace(event: str, info: dict[str, Any]) -> None:
            request.phase = phase_at(event, info) or request.phase
            if event.endswith("setup_socks5_connection.started"):  # httpcore would wait forever
                streams.append(info["stream"])
                info["stream"] = _TimedStream(info["stream"], request.timeout["connect"])
            elif event.endswith("setup_socks5_connection.failed"):  # httpcore would not close it
                streams.pop().close()

        made = _httpx_request(request)
        made.extensions["trace"] = trace
        if made.url.host.endswith("."):  # the proxy looks it up, and httpcore checks the certificate with the same name
            made.url = made.url.copy_with(host=server_name(made.url.host))
        try:
            response = _HTTPXResponse(self._transport.handle_request(made))
        except network_errors():
            raise
        except Exception as error:
            if self._proxy.uses_socks and not request.may_have_been_sent:  # socksio has its own errors and asserts
                raise httpx.ProxyError("something that is not SOCKS5") from error
            raise
        if is_refusal_by_proxy(self._proxy, request, response.status, response.headers):
            response.close()
            raise httpx.ProxyError(f"{response.status} {httpx.codes.get_reason_phrase(response.status)}")
        return response

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class _TimedStream:
    """A stream of httpcore whose reads and writes end after a timeout."""

    def __init__(self, stream: Any, seconds: float | None) -> None:
        self._stream = stream
        self._seconds = seconds

    def read(self, max_bytes: int) -> bytes:
        data: bytes = self._stream.read(max_bytes, self._seconds)
        return data

    def write(self, buffer: bytes) -> None:
        self._stream.write(buffer, self._seconds)


class _HTTPXResponse:
    resumable = False  # cancelling a read ends the generators of httpx, which are then exhausted
    _chunks: Iterator[bytes] | None = None

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._pid = os.getpid()
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        if response.is_stream_consumed:  # a hook of the user's client has read and decompressed it
            self.headers = {name: value for name, value in response.headers.items() if name != "content-encoding"}

    def iter_raw(self) -> Iterator[bytes]:
        if self._response.is_stream_consumed:
            self._chunks = self._response.iter_bytes()
        else:
            self._chunks = cast("httpx.SyncByteStream", self._response.stream).__iter__()
        return self._chunks

    def close(self) -> None:
        if self._pid != os.getpid():  # after a fork: closing would affect the event loop of the parent
            return
        try:
            self._response.close()
        finally:  # closing does not end the generators of httpx and httpcore
            if self._chunks is not None:
                end_iteration(self._chunks)

    def abandon(self) -> None:
        if self._pid == os.getpid():
            abandon(self._response)

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
    if made.url.host.endswith("."):
        made.extensions["sni_hostname"] = server_name(made.url.host)
    made.stream = _Body(request.content or b"")
    return made


class _Body(httpx.ByteStream):
    """The body of a request.

    httpx would iterate over it with a generator, which causes a warning of the event loop if the call is cancelled.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        return _SingleChunk(self._data)


class _SingleChunk(Iterator[bytes]):
    def __init__(self, data: bytes) -> None:
        self._left = [data]

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        return self._left.pop()


def check_proxy(proxy: Proxy | None) -> None:
    """Raise an error for a proxy whose address httpx does not support.

    Raises:
        SekhaConfigError: httpx does not support the address.
    """
    if proxy is not None:
        httpx_proxy(proxy, None)


def check_client(client: object) -> None:
    """Raise an error if an ``http_client`` is not an `httpx.Client`.

    Raises:
        SekhaConfigError: The value is neither that nor None.
    """
    if client is not None and not isinstance(client, httpx.Client):
        raise SekhaConfigError(f"http_client: must be an httpx.Client, not {class_name(client)}")


def make_transport(settings: HTTPSettings, proxy: Proxy | None, base_url: str) -> HTTPTransport:
    """Return the transport to one server through a proxy, or with the user's client."""
    if proxy is not None:
        context = context_for_httpx(settings, base_url)
        transport = httpx.HTTPTransport(
            verify=context,
            trust_env=False,
            proxy=httpx_proxy(proxy, context),
            socket_options=KEEPALIVE_OPTIONS,
            limits=httpx.Limits(
                max_connections=settings.max_connections,
                max_keepalive_connections=settings.max_connections,
                keepalive_expiry=KEEPALIVE_EXPIRY,
            ),
        )
        return _ProxiedTransport(transport, proxy)
    client = cast("httpx.Client", settings.http_client)

    def send(request: httpx.Request) -> httpx.Response:
        with_defaults_of_client = client.build_request(
            request.method, request.url, content=request.content, headers=request.headers, extensions=request.extensions
        )
        return client.send(with_defaults_of_client, stream=True, follow_redirects=False)

    return HTTPXTransport(send)
