"""The one place that knows httpcore, for sockets and TLS, and h11, for what is said and heard on them.

It is loaded with the first flavour, and not by ``import sekha``.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from time import monotonic
from typing import Any, NamedTuple, cast

import h11
import httpcore

from sekha._http.models import Headers, HTTPRequest, address, least

AsyncNetwork = cast("type[httpcore.AsyncNetworkBackend]", httpcore.AnyIOBackend)  # knows trio too
AsyncNetworkStream = httpcore.AsyncNetworkStream
NetworkStream = httpcore.NetworkStream
PoolTimeout = httpcore.PoolTimeout
ReadError = httpcore.ReadError
WriteError = httpcore.WriteError

_LONGEST_HEAD = 100 * 1024
"""Bytes that h11 keeps while it waits for the end of a line or of a head."""


class Network(httpcore.SyncBackend):
    """Connects to one address of a host after another; the time is for all of them together."""

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *arguments: Any, **options: Any
    ) -> NetworkStream:
        """A connection to the first address that takes one."""
        expires = None if timeout is None else monotonic() + timeout
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:  # the latter: what cannot be a name
            raise httpcore.ConnectError(error) from error
        for others, (*_, place) in zip(range(len(addresses) - 1, -1, -1), addresses):
            share = None if expires is None else least(None, (expires - monotonic()) / (others + 1))
            with suppress(*((httpcore.ConnectError, httpcore.ConnectTimeout) if others else ())):
                return super().connect_tcp(_numeric(place), port, share, *arguments, **options)
        raise httpcore.ConnectError(f"{host} has no address")


def _numeric(place: tuple[Any, ...]) -> str:
    """The address in what `socket.getaddrinfo` gives; one of IPv6 may be good on one link only."""
    return f"{place[0]}%{place[3]}" if len(place) == 4 and place[3] else str(place[0])


class Head(NamedTuple):
    """The head of an answer.

    Attributes:
        status: Its status.
        headers: Its headers, names in lower case; those of one name are one.
    """

    status: int
    headers: dict[str, str]


class HTTP11:
    """What is said and heard on one connection, by h11; nothing waits here."""

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
        self._end: object = None  # of the answer's body: an event, or an error
        self._is_read = False

    def say(self, request: HTTPRequest) -> bytes:
        """The bytes of a request.

        Raises:
            LocalProtocolError: It cannot be said.
        """
        target = (address(request.base_url).prefix + request.path).encode("ascii")
        self._end, self._is_read = None, False
        try:
            head = self._h11.send(_request(request.method, target, request.headers))
            body = self._h11.send(h11.Data(data=request.content)) if request.content else b""
            end = self._h11.send(h11.EndOfMessage())
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(error) from error
        return b"".join(part for part in (head, body, end) if part)

    def hear(self, data: bytes) -> None:
        """Take in some bytes; none mean that the server has closed the connection."""
        if not data and self._h11.their_state is h11.SEND_RESPONSE:
            raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
        self._h11.receive_data(data)

    def head(self) -> Head | None:
        """The head of the answer; None if more has to be heard."""
        while True:
            event = self._next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Response):
                return Head(event.status_code, _headers(event.headers))

    def piece(self) -> bytes | None:
        """What was heard of the answer's body, none at its end; None if more has to be heard."""
        found: list[bytes] = []
        while self._end is None:
            try:
                event = self._next_event()
            except httpcore.RemoteProtocolError as error:
                self._end = error
                break
            if isinstance(event, h11.Data):
                found.append(event.data)
            elif event is h11.NEED_DATA:
                break
            else:
                self._end = event
        if found:  # what is wrong behind it is for the next time
            return b"".join(found)
        if isinstance(self._end, httpcore.RemoteProtocolError):
            raise self._end
        self._is_read = self._end is not None
        return b"" if self._is_read else None

    def begin_again(self) -> bool:
        """Be ready for another request; False if the last exchange is not over, or leaves no room for another.

        What a server says beyond its answer is no answer to the next call.
        """
        over = self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE
        if not (over and self._is_read) or self._h11.trailing_data[0]:
            return False
        self._h11.start_next_cycle()
        return True

    def _next_event(self) -> object:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise httpcore.RemoteProtocolError(error) from error


@lru_cache(maxsize=256)
def _request(method: str, target: bytes, headers: Headers) -> h11.Request:
    return h11.Request(method=method, target=target, headers=list(headers))  # looked at once: most calls are alike


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("ascii"), _text(raw_value)
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def within(seconds: float | None, expires: float | None, now: Callable[[], float], *, sent: bool) -> float | None:
    """A timeout that does not go past the deadline; nothing is begun after it.

    Args:
        seconds: The timeout; None means no limit.
        expires: The moment of the deadline, or None.
        now: Tells the time.
        sent: Whether the server may have heard of the call.

    Raises:
        ReadTimeout: The deadline passed.
        PoolTimeout: The same, before anything was sent.
    """
    if expires is None:
        return seconds
    left = expires - now()
    if left <= 0:
        raise (httpcore.ReadTimeout if sent else httpcore.PoolTimeout)("the deadline passed")
    return least(seconds, left)


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
