"""Requests, responses and settings of HTTP, as the pool and the adapter for httpx share them."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol
from urllib.parse import urlsplit

from sekha._http.addresses import server_name

if TYPE_CHECKING:
    import httpx

    AsyncHTTPClient = httpx.AsyncClient
    HTTPClient = httpx.Client
else:  # httpx takes long to import, and most clients never need it; evaluated annotations do without it as well
    AsyncHTTPClient = HTTPClient = Any

_HEADER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: [\t -~\x80-\xff]*\r\n")

_METHODS_WITH_LENGTH = ("POST", "PUT", "PATCH")
"""Methods whose requests have a length even where they have no body."""

Phase = Literal["waiting for a free connection", "connecting", "sending", "waiting for the response"]
"""What a request is at, in the words of errors."""

_TIMEOUT_NAMES: Mapping[str, str] = {
    "waiting for a free connection": "pool",
    "connecting": "connect",
    "sending": "write",
    "waiting for the response": "read",
}
"""The timeouts of the phases, by httpx's names."""

KEEPALIVE_EXPIRY = 2.0
"""Seconds that an idle connection is kept: servers close them after about 5 s, and a write must not meet that."""


class ProtocolError(OSError):
    """What was received is not HTTP/1.1 or not complete, or what is to be sent cannot be.

    Its text quotes nothing that was received: a key in a quotation that is cut could not be found and masked.
    """


class OtherProtocolError(ProtocolError):
    """The server has chosen a protocol other than HTTP/1.1, which TLS offered to it."""


class Headers:
    """The headers of a request without its length, prepared once for all requests that have the same.

    Args:
        pairs: Names and values.

    Attributes:
        pairs: The same.
        block: The lines that are sent.

    Raises:
        ProtocolError: A name or a value has characters that would end its line, or that HTTP does not allow.
    """

    __slots__ = ("block", "pairs")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self.pairs: tuple[tuple[bytes, bytes], ...] = tuple(pairs)
        lines = [b"%s: %s\r\n" % pair for pair in self.pairs]
        for line, (name, _) in zip(lines, self.pairs):
            if not _HEADER_LINE.fullmatch(line):
                raise ProtocolError(
                    f"the header {name!r} contains characters that cannot be sent"
                )  # the value may be a key
        self.block: bytes = b"".join(lines)


class HTTPSettings(NamedTuple):
    """The settings that connecting depends on. Which proxy applies to an address is decided by `proxy_for`."""

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
        headers: All headers but the length.
        content: The body, if there is one.
        timeout: Seconds for each phase, by httpx's names; `UntilDeadline` where the deadline was nearer.
        deadline_at: Time of the clock at which the call must end; None for no limit.
        phase: What is being done with it; None if a client of the user sends it, which does not report that.
        proxy: The proxy that it goes through, in the words of errors; None if it goes directly.
        sent_at_once: Whether it must not wait for a free connection.
        on_wait: Called when it begins to wait for a free connection of our own pool.
        response: Its response, which owns what it has of our own pool, from before there is anything to own.
    """

    method: str
    base_url: str
    path: str
    headers: Headers = field(repr=False)  # with the key
    content: bytes | None = field(repr=False)
    timeout: dict[str, float | None]
    deadline_at: float | None
    phase: Phase | None = None
    proxy: str | None = None
    sent_at_once: bool = False
    on_wait: Callable[[], object] | None = field(default=None, repr=False)
    response: Any = field(default=None, repr=False)  # of the async or of the blocking pool

    @property
    def content_length(self) -> int | None:
        """The length to send; None for a request that has neither a body nor a length."""
        if self.content is None and self.method not in _METHODS_WITH_LENGTH:
            return None
        return len(self.content or b"")

    def ends_at_deadline(self, phase: str) -> bool:
        """Return whether the deadline was nearer than the timeout of a phase, when this attempt began."""
        return isinstance(self.timeout.get(_TIMEOUT_NAMES.get(phase, "")), UntilDeadline)

    @property
    def may_have_been_sent(self) -> bool:
        """False as long as no byte can have reached the server."""
        return self.phase in (None, "sending", "waiting for the response")


class AsyncHTTPResponse(Protocol):
    """A response whose head has arrived, and whose body can be read.

    Attributes:
        status: HTTP status.
        headers: Response headers, names in lower case.
        resumable: Whether reading can go on after a read was cancelled.
    """

    status: int
    headers: Mapping[str, str]
    resumable: bool

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
    resumable: bool

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


class UntilDeadline(float):
    """Seconds until the deadline of a call, which is nearer than a timeout.

    It is known before a wait which of the two will end it. After the wait it could not be told: the clock may move in
    steps (of 15.6 ms on Windows), and the timer of the system may be early.
    """


class DeadlinePassed(TimeoutError):
    """A wait ended at the deadline of the call, and not at a timeout."""


def timed_out(seconds: float | None) -> TimeoutError:
    """Return the error for a wait that has ended after these seconds."""
    return DeadlinePassed("the deadline passed") if isinstance(seconds, UntilDeadline) else TimeoutError("timed out")


def shorter_timeout(seconds: float | None, time_left: float | None) -> float | None:
    """Return the shorter of a timeout and the time left until the deadline, in seconds; None means no limit."""
    if time_left is None:
        return seconds
    left = max(time_left, 0.001)
    return UntilDeadline(left) if seconds is None or left <= seconds else seconds


def timeout_before_deadline(seconds: float | None, deadline_at: float | None, now: Callable[[], float]) -> float | None:
    """Return a timeout that ends at the deadline at the latest.

    Args:
        seconds: The timeout; None means no limit.
        deadline_at: Time of the deadline on that clock, or None.
        now: Returns the time.

    Raises:
        DeadlinePassed: The deadline passed.
    """
    if deadline_at is None:
        return seconds
    left = deadline_at - now()
    if left <= 0:
        raise DeadlinePassed("the deadline passed")
    return shorter_timeout(seconds, left)


class Origin(NamedTuple):
    """The parts of a server's address.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Name or IP address as the URL has it, in lower case and without brackets.
        port: The default port of the scheme if the address has none.
        authority: Host and port as the ``Host`` header has them: without a zone, and without a dot at the end.
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
    name = server_name(host)
    authority = f"[{name}]" if ":" in name else name
    return Origin(
        parts.scheme,
        host,
        port,
        authority if port == default_port else f"{authority}:{port}",
        parts.path.rstrip("/"),
    )
