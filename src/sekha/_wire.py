"""The one place that knows httpcore: what the pool puts on its connections, and what it gets from them.

It is imported when the first client is made, and not by ``import sekha``.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from functools import lru_cache
from time import monotonic
from typing import Any, cast

import httpcore
import httpx

from sekha._http import Body, HTTPRequest, least

AsyncHTTPConnection = httpcore.AsyncHTTP11Connection
AsyncNetwork = cast("type[httpcore.AsyncNetworkBackend]", httpcore.AnyIOBackend)  # knows trio too
AsyncNetworkStream = httpcore.AsyncNetworkStream
HTTPConnection = httpcore.HTTP11Connection
NetworkStream = httpcore.NetworkStream
Origin = httpcore.Origin
PoolTimeout = httpcore.PoolTimeout
WriteError = httpcore.WriteError


class Network(httpcore.SyncBackend):
    """Connects to one address of a host after another; the time is for all of them together."""

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *arguments: Any, **options: Any
    ) -> NetworkStream:
        """A connection to the first address that takes one."""
        expires = None if timeout is None else monotonic() + timeout
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(error) from error
        for others, (*_, place) in zip(range(len(addresses) - 1, -1, -1), addresses):
            share = None if expires is None else least(None, (expires - monotonic()) / (others + 1))
            with suppress(*((httpcore.ConnectError, httpcore.ConnectTimeout) if others else ())):
                return super().connect_tcp(str(place[0]), port, share, *arguments, **options)
        raise httpcore.ConnectError(f"{host} has no address")


def wire_origin(base_url: str) -> httpcore.Origin:
    """Scheme, host and port of a server."""
    url = httpx.URL(base_url)
    return httpcore.Origin(url.raw_scheme, url.raw_host, url.port or (443 if url.scheme == "https" else 80))


def wire_request(request: HTTPRequest, origin: httpcore.Origin) -> httpcore.Request:
    """A request as a connection takes it."""
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=_target(request)),
        headers=request.headers,
        content=Body(request.content or b""),
        extensions={"timeout": request.timeout},
    )


def _target(request: HTTPRequest) -> bytes:
    return _prefix(request.base_url) + request.path.encode("ascii")


@lru_cache(maxsize=256)
def _prefix(base_url: str) -> bytes:
    return httpx.URL(base_url).raw_path.rstrip(b"/")


def wire_headers(answer: httpcore.Response) -> dict[str, str]:
    """The headers of an answer, names in lower case; those of one name are one."""
    found: dict[str, str] = {}
    for raw_name, raw_value in answer.headers:
        name, value = raw_name.lower().decode("latin-1"), _text(raw_value)
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def within(seconds: float | None, time_left: float | None, *, sent: bool) -> float | None:
    """A timeout that does not go past the deadline; nothing is begun after it.

    Args:
        seconds: The timeout; None means no limit.
        time_left: Seconds until the deadline, or None.
        sent: Whether the server may have heard of the call.

    Raises:
        ReadTimeout: The deadline passed.
        PoolTimeout: The same, before anything was sent.
    """
    if time_left is not None and time_left <= 0:
        raise (httpcore.ReadTimeout if sent else httpcore.PoolTimeout)("the deadline passed")
    return least(seconds, time_left)


def async_holds_bytes(stream: AsyncNetworkStream) -> bool:
    """Whether bytes have been taken from the socket that nobody has asked for; nobody may be reading.

    httpcore looks at the socket alone. What TLS or asyncio hold would be taken for the answer to the next call.
    """
    if _tls_holds_bytes(stream.get_extra_info("ssl_object")):
        return True
    inner = getattr(stream, "_stream", None)  # anyio's; it has no public way to ask
    protocol = getattr(getattr(inner, "transport_stream", inner), "_protocol", None)
    return bool(getattr(protocol, "read_queue", None))


def holds_bytes(stream: NetworkStream) -> bool:
    """Whether bytes have been taken from the socket that nobody has asked for."""
    tls = stream.get_extra_info("ssl_object")
    return tls is not None and tls.pending() > 0


def _tls_holds_bytes(tls: ssl.SSLObject | None) -> bool:
    if tls is None:
        return False
    try:
        tls.read(1)
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        pass  # something is there, if nothing sensible
    return True
