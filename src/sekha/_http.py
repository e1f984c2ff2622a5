"""What goes over HTTP, and the one place that knows httpx: its timeouts, TLS settings, and what its errors become.

Our own pool keeps the connections (`sekha._async.pool`, over httpcore's, which `sekha._wire` knows). Where a proxy
applies, or the user brings a client, httpx does.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

from sekha._request import DEFAULT_TIMEOUT, SLOW_TIMEOUT, CallOptions, Departure, Endpoint, Request
from sekha._secrets import Secret
from sekha._sentinel import NOT_GIVEN
from sekha._version import __version__
from sekha._warm_up import warm_up
from sekha.errors import (
    SekhaClosedError,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaTimeoutError,
)

AsyncHTTPClient = httpx.AsyncClient
HTTPClient = httpx.Client
Headers = tuple[tuple[bytes, bytes], ...]

IDLE_SECONDS = 2.0
"""How long an idle connection is kept: servers close them after about 5 s, and a write must not meet that."""

_WITH_A_LENGTH = ("POST", "PUT", "PATCH")
"""Methods whose requests have a length even where they have no body."""

_NEVER_SENT = (
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
    "LocalProtocolError",
    "InvalidURL",
    "ConnectionNotAvailable",
)
_FAILURES = (
    "HTTPError",
    "InvalidURL",
    "StreamError",
    "CookieConflict",
    "TimeoutException",
    "NetworkError",
    "ProtocolError",
    "ProxyError",
    "UnsupportedProtocol",
    "ConnectionNotAvailable",
)
_PHASES = {
    "ConnectTimeout": "connecting",
    "PoolTimeout": "waiting for a free connection",
    "WriteTimeout": "sending",
    "ReadTimeout": "waiting for the answer",
}


@cache
def _errors(*names: str) -> tuple[type[Exception], ...]:
    """The classes of these names, which httpx and httpcore have alike."""
    modules = (httpx, import_module("httpcore"))  # late: it takes its time, and `import sekha` does not need it
    return tuple(getattr(module, name) for module in modules for name in names if hasattr(module, name))


@cache
def network_errors() -> tuple[type[Exception], ...]:
    """What the network may raise, at every stage of an exchange."""
    return (*_errors(*_FAILURES), OSError)


@dataclass(frozen=True)
class HTTPSettings:
    """What httpx has to know of a `SekhaConfig`, by the same names."""

    verify: bool | str | ssl.SSLContext
    cert: str | tuple[str, str] | tuple[str, str, str] | None
    proxy: str | None
    trust_env: bool
    max_connections: int
    http_client: httpx.AsyncClient | httpx.Client | None


@dataclass(frozen=True)
class HTTPRequest:
    """One attempt of a call, as it goes on the wire.

    Attributes:
        method: HTTP method.
        base_url: Address of the server.
        path: What follows the address; ASCII, with its query.
        headers: All of them.
        content: The body, if there is one.
        timeout: Seconds for each phase, by httpx's names.
        expires: The moment at which the call must end, on the transport's clock; or None.
        departure: Where it is noted that the first byte may have left.
    """

    method: str
    base_url: str
    path: str
    headers: Headers = field(repr=False)  # with the key
    content: bytes | None = field(repr=False)
    timeout: dict[str, float | None]
    expires: float | None
    departure: Departure


class AsyncHTTPAnswer(Protocol):
    """The head of an answer, and the way to its body.

    Attributes:
        status: Its status.
        headers: Its headers, names in lower case.
    """

    status: int
    headers: Mapping[str, str]

    def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives; may be asked for once."""
        ...

    async def aclose(self) -> None:
        """Free the connection, whether the body was read or not."""

    def forget(self) -> None:
        """The same where nothing can be waited for."""

    def hurry(self, moment: float) -> bool:
        """Wait for no more bytes after that moment; whether that can be promised."""
        ...


class HTTPAnswer(Protocol):
    """The same for blocking code."""

    status: int
    headers: Mapping[str, str]

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives; may be asked for once."""
        ...

    def close(self) -> None:
        """Free the connection, whether the body was read or not."""

    def forget(self) -> None:
        """The same where nothing can be waited for."""

    def hurry(self, moment: float) -> bool:
        """Wait for no more bytes after that moment; whether that can be promised."""
        ...


class AsyncHTTPTransport(Protocol):
    """What sends requests to one server."""

    async def send(self, request: HTTPRequest) -> AsyncHTTPAnswer:
        """The answer, when its head has arrived."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""


class HTTPTransport(Protocol):
    """The same for blocking code."""

    def send(self, request: HTTPRequest) -> HTTPAnswer:
        """The answer, when its head has arrived."""
        ...

    def close(self) -> None:
        """Close the connections."""


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


def needs_httpx(settings: HTTPSettings) -> bool:
    """Whether httpx has to keep the connections: it knows about proxies, and a client of the user's is its own."""
    return settings.http_client is not None or settings.proxy is not None or _environment_proxies(settings)


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


def _environment_proxies(settings: HTTPSettings) -> bool:
    """Whether the environment may name a proxy for a server; httpx knows for which."""
    return settings.trust_env and bool(getproxies().keys() - {"no"})


def _connection_options(settings: HTTPSettings, base_url: str) -> dict[str, Any]:
    return {
        "verify": _ssl_context(settings, base_url),
        "trust_env": settings.trust_env,
        "limits": httpx.Limits(
            max_connections=settings.max_connections,
            max_keepalive_connections=settings.max_connections,
            keepalive_expiry=IDLE_SECONDS,
        ),
    }


def prepare(settings: HTTPSettings, base_url: str) -> None:
    """Read what connecting will need and complain about it now, not at the first call.

    Raises:
        SekhaConfigError: The CA or client certificate cannot be read.
    """
    warm_up()
    if settings.http_client is None and (settings.proxy or urlsplit(base_url).scheme == "https"):
        _ssl_context(settings, base_url)


def tls_for(settings: HTTPSettings, base_url: str) -> ssl.SSLContext | None:
    """How to speak TLS to a server; None for plain HTTP."""
    if urlsplit(base_url).scheme == "http":
        return None
    context = _ssl_context(settings, base_url)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _ssl_context(settings: HTTPSettings, base_url: str) -> ssl.SSLContext:
    if isinstance(settings.verify, ssl.SSLContext):
        return settings.verify
    if urlsplit(base_url).scheme == "http" and not settings.proxy:
        return _no_tls()
    cert = (settings.cert,) if isinstance(settings.cert, str) else settings.cert
    try:
        return _shared_context(settings.verify, cert, settings.trust_env)
    except (OSError, ssl.SSLError) as error:
        raise SekhaConfigError(f"verify or cert: a certificate file cannot be used: {error}") from error


@cache
def _no_tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody and has read no file


@cache
def _shared_context(verify: bool | str, cert: tuple[str, ...] | None, trust_env: bool) -> ssl.SSLContext:
    """One context for all clients with the same settings: the CA file is read once."""
    if verify is True:
        context = httpx.create_ssl_context(trust_env=trust_env)
    elif verify is False:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif os.path.isdir(verify):
        context = ssl.create_default_context(capath=verify)
    else:
        context = ssl.create_default_context(cafile=verify)
    if cert is not None:
        context.load_cert_chain(*cert)
    return context


def http_request(
    request: Request[Any],
    base_url: str,
    options: CallOptions,
    headers: Headers,
    *,
    time_left: float | None,
    departure: Departure,
) -> HTTPRequest:
    """One attempt of a call.

    Args:
        request: The call.
        base_url: Address of the server.
        options: Timeout and deadline.
        headers: What `http_headers` made.
        time_left: Seconds until the deadline, or None.
        departure: What our own pool tells of it.
    """
    method, content = request.endpoint.method, request.content
    if content is not None or method in _WITH_A_LENGTH:
        headers = (*headers, (b"content-length", b"%d" % len(content or b"")))
    return HTTPRequest(
        method,
        base_url,
        request.path,
        headers,
        content,
        _timeout(options, request.endpoint, time_left),
        options.expires,
        departure,
    )


def _timeout(options: CallOptions, endpoint: Endpoint[Any], time_left: float | None) -> dict[str, float | None]:
    """The timeouts of one attempt: as given, longer to wait for a model, never past the deadline."""
    if options.timeout is NOT_GIVEN:
        phase: float | None = DEFAULT_TIMEOUT
        read: float | None = SLOW_TIMEOUT if endpoint.slow else DEFAULT_TIMEOUT
    else:
        phase = read = options.timeout
    phase, read = least(phase, time_left), least(read, time_left)
    # Whoever has a connection may keep it as long as it reads, and so long others wait for one.
    return {"connect": phase, "read": read, "write": phase, "pool": read}


def least(seconds: float | None, time_left: float | None) -> float | None:
    """The shorter of a timeout and what is left until the deadline, in seconds; None means no limit."""
    if time_left is None:
        return seconds
    left = max(time_left, 0.001)
    return left if seconds is None else min(seconds, left)


def http_headers(
    base_url: str, headers: Mapping[str, str], key: Secret | None, *, accept: str, has_body: bool
) -> Headers:
    """The headers of a request, but for its length: the same for many.

    Args:
        base_url: Address of the server.
        headers: Further ones, by the user.
        key: What to authorise it with.
        accept: The types of answers that can be read.
        has_body: Whether there is a body.
    """
    pairs: dict[str, str] = {
        "host": httpx.URL(base_url).netloc.decode("ascii"),
        "accept": accept,
        "accept-encoding": "identity",  # what is not compressed cannot explode
        "user-agent": f"sekha-python-sdk/{__version__}",
        **{name.lower(): value for name, value in headers.items()},
    }
    if has_body:
        pairs["content-type"] = "application/json"
    if key is not None:
        pairs["authorization"] = f"Bearer {key.reveal()}"
    return tuple((name.encode("ascii"), value.encode("latin-1")) for name, value in pairs.items())


class TranslatedErrors:
    """A block out of which every error of the network comes as one of ours.

    Args:
        endpoint: What is called.
        base_url: Address of the server.
    """

    def __init__(self, endpoint: Endpoint[Any], base_url: str) -> None:
        self._endpoint = endpoint
        self._base_url = base_url

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, cls: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        """Translate."""
        if error is None:
            return
        if isinstance(error, network_errors()):
            raise connection_error(error, self._endpoint, self._base_url) from error
        if isinstance(error, RuntimeError) and "closed" in str(error) and "client" in str(error):
            method, path = self._endpoint.method, self._endpoint.path
            raise SekhaClosedError("the HTTP client was closed", method=method, path=path) from error


def connection_error(error: Exception, endpoint: Endpoint[Any], base_url: str) -> SekhaConnectionError:
    """The error for a call that got no answer; ``sent`` is False if the server cannot have seen the request."""
    host = urlsplit(base_url).netloc
    sent = not isinstance(error, _errors(*_NEVER_SENT))
    cls: type[SekhaConnectionError] = SekhaConnectionError
    reason = next(filter(None, (str(one).strip() for one in _chain(error))), type(error).__name__)
    if isinstance(error, _errors("TimeoutException")):
        cls = SekhaTimeoutError
        reason = f"timeout while {_PHASES.get(type(error).__name__, 'waiting')}"
    elif isinstance(error, _errors("ConnectError")):
        reason = f"cannot connect: {reason}"
    found = cls(f"{host}: {reason}", method=endpoint.method, path=endpoint.path, sent=sent)
    if _is_certificate_fault(error):
        found._final = True  # asking again gives the same certificate
    return found


def _is_certificate_fault(error: BaseException) -> bool:
    return any(
        isinstance(one, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(one)
        for one in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes; on trio only the last of them tells the reason. No context: it may be the caller's."""
    while error is not None:
        yield error
        inner = error.args[0] if error.args else None  # httpcore's pool drops causes, but its errors hold them
        error = error.__cause__ or (inner if isinstance(inner, BaseException) else None)
