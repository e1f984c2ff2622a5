"""Connecting, and the deadlines of reads and writes: the only module that uses the sockets and the TLS of httpcore.

It is loaded with the first client, and not by ``import sekha``.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, cast

import httpcore

from sekha._http.models import shorter_timeout

AsyncNetwork = cast("type[httpcore.AsyncNetworkBackend]", httpcore.AnyIOBackend)  # supports trio too
AsyncNetworkStream = httpcore.AsyncNetworkStream
NetworkStream = httpcore.NetworkStream
PoolTimeout = httpcore.PoolTimeout
ReadError = httpcore.ReadError
WriteError = httpcore.WriteError


class Network(httpcore.SyncBackend):
    """Connects to the addresses of a host one after another; the timeout is for all of them together."""

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *arguments: Any, **options: Any
    ) -> NetworkStream:
        """Return a connection to the first address that accepts one."""
        deadline_at = None if timeout is None else monotonic() + timeout
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # the latter for what cannot be a host name
            raise httpcore.ConnectError(error) from error
        for others, (*_, address) in zip(range(len(addresses) - 1, -1, -1), addresses):
            share = None if deadline_at is None else shorter_timeout(None, (deadline_at - monotonic()) / (others + 1))
            with suppress(*((httpcore.ConnectError, httpcore.ConnectTimeout) if others else ())):
                return super().connect_tcp(_numeric_host(address), port, share, *arguments, **options)
        raise httpcore.ConnectError(f"{host} has no address")


def _numeric_host(address: tuple[Any, ...]) -> str:
    """Return the IP address of a socket address, with the zone of a link-local one of IPv6."""
    return f"{address[0]}%{address[3]}" if len(address) == 4 and address[3] else str(address[0])


def timeout_before_deadline(
    seconds: float | None, deadline_at: float | None, now: Callable[[], float], *, sent: bool
) -> float | None:
    """Return a timeout that ends at the deadline at the latest.

    Args:
        seconds: The timeout; None means no limit.
        deadline_at: Time of the deadline on that clock, or None.
        now: Returns the time.
        sent: Whether the server may have received a part of the request.

    Raises:
        ReadTimeout: The deadline passed.
        PoolTimeout: The same, before anything was sent.
    """
    if deadline_at is None:
        return seconds
    left = deadline_at - now()
    if left <= 0:
        raise (httpcore.ReadTimeout if sent else httpcore.PoolTimeout)("the deadline passed")
    return shorter_timeout(seconds, left)


def async_has_buffered_data(stream: AsyncNetworkStream) -> bool:
    """Return whether bytes were received that nobody has read; no read may be under way.

    httpcore checks the socket alone. What TLS or asyncio have buffered would be taken for the response to the next
    call.
    """
    if _tls_has_buffered_data(stream.get_extra_info("ssl_object")):
        return True
    inner = getattr(stream, "_stream", None)  # anyio's, which has no public way to ask
    protocol = getattr(getattr(inner, "transport_stream", inner), "_protocol", None)
    return bool(getattr(protocol, "read_queue", None))


def has_buffered_data(stream: NetworkStream) -> bool:
    """Return whether bytes were received that nobody has read."""
    tls = stream.get_extra_info("ssl_object")
    return tls is not None and tls.pending() > 0


def _tls_has_buffered_data(tls: ssl.SSLObject | None) -> bool:
    if tls is None:
        return False
    try:
        tls.read(1)
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        pass  # there is something, if not valid TLS
    return True
