"""Requests, responses and settings of HTTP, as the pool and the adapter for httpx share them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx

    AsyncHTTPClient = httpx.AsyncClient
    HTTPClient = httpx.Client
else:  # httpx takes long to import, and most clients never need it; evaluated annotations do without it as well
    AsyncHTTPClient = HTTPClient = Any

Headers = tuple[tuple[bytes, bytes], ...]

KEEPALIVE_EXPIRY = 2.0
"""Seconds that an idle connection is kept: servers close them after about 5 s, and a write must not meet that."""


class HTTPSettings(NamedTuple):
    """The settings that connecting depends on."""

    verify: bool | str | ssl.SSLContext
    cert: str | tuple[str, str] | tuple[str, str, str] | None
    proxy: str | None
    trust_env: bool
    max_connections: int
    http_client: AsyncHTTPClient | HTTPClient | None


@dataclass(eq=False)
class HTTPRequest:
    """One attempt of a call, as it is sent.

    Attributes:
        method: HTTP method.
        base_url: Address of the server.
        path: The path after that address; ASCII, with its query.
        headers: All headers.
        content: The body, if there is one.
        timeout: Seconds for each phase, by httpx's names.
        deadline_at: Time of the clock at which the call must end; None for no limit.
        may_have_been_sent: False as long as no byte can have reached the server. Only our own pool sets it; httpx does
            not report it.
    """

    method: str
    base_url: str
    path: str
    headers: Headers = field(repr=False)  # with the key
    content: bytes | None = field(repr=False)
    timeout: dict[str, float | None]
    deadline_at: float | None
    may_have_been_sent: bool = True


class AsyncHTTPResponse(Protocol):
    """A response whose head has arrived, and whose body can be read.

    Attributes:
        status: HTTP status.
        headers: Response headers, names in lower case.
    """

    status: int
    headers: Mapping[str, str]

    def iter_raw(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it arrives, still compressed; may be called once."""
        ...

    async def aclose(self) -> None:
        """Free the connection, whether the body was read or not."""

    def abandon(self) -> None:
        """Do the same where nothing can be awaited, such as in a finalizer."""

    def limit_read_until(self, at: float) -> bool:
        """Stop waiting for bytes at a time of the clock; return False where that cannot be kept."""
        ...


class HTTPResponse(Protocol):
    """The same for blocking code."""

    status: int
    headers: Mapping[str, str]

    def iter_raw(self) -> Iterator[bytes]:
        """Iterate over the body as it arrives, still compressed; may be called once."""
        ...

    def close(self) -> None:
        """Free the connection, whether the body was read or not."""

    def abandon(self) -> None:
        """Do the same where nothing can be awaited, such as in a finalizer."""

    def limit_read_until(self, at: float) -> bool:
        """Stop waiting for bytes at a time of the clock; return False where that cannot be kept."""
        ...


class AsyncHTTPTransport(Protocol):
    """Sends requests to one server."""

    async def send(self, request: HTTPRequest) -> AsyncHTTPResponse:
        """Send a request; return the response when its head has arrived."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""


class HTTPTransport(Protocol):
    """The same for blocking code."""

    def send(self, request: HTTPRequest) -> HTTPResponse:
        """Send a request; return the response when its head has arrived."""
        ...

    def close(self) -> None:
        """Close the connections."""


def shorter_timeout(seconds: float | None, time_left: float | None) -> float | None:
    """Return the shorter of a timeout and the time left until the deadline, in seconds; None means no limit."""
    if time_left is None:
        return seconds
    left = max(time_left, 0.001)
    return left if seconds is None else min(seconds, left)


class Origin(NamedTuple):
    """The parts of a server's address.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Name or IP address, in lower case and without brackets.
        port: The default port of the scheme if the address has none.
        authority: Host and port as the ``Host`` header has them.
        prefix: The path before the path of each request, without a slash at its end.
    """

    scheme: str
    host: str
    port: int
    authority: str
    prefix: str


@lru_cache(maxsize=256)
def origin(base_url: str) -> Origin:
    """Split an address, which must be ASCII and have a host."""
    parts = urlsplit(base_url)
    host, default_port = parts.hostname or "", 443 if parts.scheme == "https" else 80
    port = parts.port or default_port
    authority = f"[{host}]" if ":" in host else host
    return Origin(
        parts.scheme,
        host,
        port,
        authority if port == default_port else f"{authority}:{port}",
        parts.path.rstrip("/"),
    )
