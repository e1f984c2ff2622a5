"""What goes over HTTP: requests, answers, timeouts, headers, and what the errors of the network become.

Our own pool keeps the connections (`sekha._async.http.pool`). Where a proxy applies, or the user brings a client, httpx
does (`sekha._httpx`).
"""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from sekha._api.model import DEFAULT_TIMEOUT, SLOW_TIMEOUT, CallOptions, Departure, Endpoint, Request
from sekha._utils.redaction import Secret
from sekha._utils.sentinel import NOT_GIVEN
from sekha._version import __version__
from sekha.errors import (
    SekhaClosedError,
    SekhaConnectionError,
    SekhaTimeoutError,
)

if TYPE_CHECKING:
    import httpx

    AsyncHTTPClient = httpx.AsyncClient
    HTTPClient = httpx.Client
else:  # httpx takes its time, and most clients never need it; whoever evaluates annotations is spared as well
    AsyncHTTPClient = HTTPClient = Any

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


def _errors(*names: str) -> tuple[type[Exception], ...]:
    """The classes of these names, which httpx and httpcore have alike."""
    return _classes(names, ("httpcore", "httpx") if "httpx" in sys.modules else ("httpcore",))


@cache
def _classes(names: tuple[str, ...], modules: tuple[str, ...]) -> tuple[type[Exception], ...]:
    loaded = [import_module(module) for module in modules]  # now: `import sekha` does without them
    return tuple(getattr(module, name) for module in loaded for name in names if hasattr(module, name))


def network_errors() -> tuple[type[Exception], ...]:
    """What the network may raise, at every stage of an exchange."""
    return (*_errors(*_FAILURES), OSError)


class HTTPSettings(NamedTuple):
    """What connecting has to know of a `SekhaConfig`, by the same names."""

    verify: bool | str | ssl.SSLContext
    cert: str | tuple[str, str] | tuple[str, str, str] | None
    proxy: str | None
    trust_env: bool
    max_connections: int
    http_client: AsyncHTTPClient | HTTPClient | None


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
        "host": address(base_url).authority,
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


class Address(NamedTuple):
    """The parts of a server's address.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Its name or number, in lower case and without brackets.
        port: Also where the address names none.
        authority: Host and port as the ``Host`` header has them.
        prefix: The path that stands before all others.
    """

    scheme: str
    host: str
    port: int
    authority: str
    prefix: str


@lru_cache(maxsize=256)
def address(base_url: str) -> Address:
    """The parts of an address that `sekha.config` has checked: it is ASCII, and has a host."""
    parts = urlsplit(base_url)
    host, usual = parts.hostname or "", 443 if parts.scheme == "https" else 80
    port = parts.port or usual
    authority = f"[{host}]" if ":" in host else host
    return Address(
        parts.scheme,
        host,
        port,
        authority if port == usual else f"{authority}:{port}",
        parts.path.rstrip("/"),
    )


def needs_httpx(settings: HTTPSettings) -> bool:
    """Whether httpx has to keep the connections: it knows about proxies, and a client of the user's is its own."""
    return settings.http_client is not None or settings.proxy is not None or _environment_proxies(settings)


def _environment_proxies(settings: HTTPSettings) -> bool:
    """Whether the environment may name a proxy for a server; httpx knows for which."""
    if not settings.trust_env:
        return False
    if sys.platform not in ("darwin", "win32") and not any(name.lower().endswith("_proxy") for name in os.environ):
        return False  # there, nothing else names one
    from urllib.request import getproxies  # loads much

    return bool(getproxies().keys() - {"no"})


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
        found._retryable = False  # a retry gets the same certificate
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
