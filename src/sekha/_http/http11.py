"""HTTP/1.1: requests become bytes, and bytes become responses. Nothing here waits."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import h11
import httpcore

from sekha._http.models import Headers, HTTPRequest, origin

_MAX_HEAD_SIZE = 100 * 1024
"""Bytes that h11 keeps while it waits for the end of a line or of a head."""


class ResponseHead(NamedTuple):
    """The head of a response.

    Attributes:
        status: HTTP status.
        headers: Response headers, names in lower case; repeated ones are joined by a comma.
    """

    status: int
    headers: dict[str, str]


class HTTP11:
    """The state of HTTP/1.1 on one connection, kept by h11. It does no I/O."""

    def __init__(self) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_SIZE)
        self._end: object = None  # how the body ended: an event or an error
        self._is_read = False

    def encode_request(self, request: HTTPRequest) -> bytes:
        """Return the bytes of a request.

        Raises:
            LocalProtocolError: It cannot be sent as HTTP/1.1.
        """
        target = (origin(request.base_url).prefix + request.path).encode("ascii")
        self._end, self._is_read = None, False
        try:
            head = self._h11.send(_request(request.method, target, request.headers))
            body = self._h11.send(h11.Data(data=request.content)) if request.content else b""
            end = self._h11.send(h11.EndOfMessage())
        except h11.LocalProtocolError as error:
            raise httpcore.LocalProtocolError(error) from error
        return b"".join(part for part in (head, body, end) if part)

    def receive_data(self, data: bytes) -> None:
        """Add received bytes; none mean that the server has closed the connection."""
        if not data and self._h11.their_state is h11.SEND_RESPONSE:
            raise httpcore.RemoteProtocolError("Server disconnected without sending a response.")
        self._h11.receive_data(data)

    def response_head(self) -> ResponseHead | None:
        """Return the head of the response, None if more data is needed."""
        while True:
            event = self._next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Response):
                return ResponseHead(event.status_code, _headers(event.headers))

    def next_chunk(self) -> bytes | None:
        """Return the received part of the body, empty at its end; None if more data is needed."""
        chunks: list[bytes] = []
        while self._end is None:
            try:
                event = self._next_event()
            except httpcore.RemoteProtocolError as error:
                self._end = error
                break
            if isinstance(event, h11.Data):
                chunks.append(event.data)
            elif event is h11.NEED_DATA:
                break
            else:
                self._end = event
        if chunks:  # an error after them is raised by the next call
            return b"".join(chunks)
        if isinstance(self._end, httpcore.RemoteProtocolError):
            raise self._end
        self._is_read = self._end is not None
        return b"" if self._is_read else None

    def start_next_cycle(self) -> bool:
        """Prepare for another request; return False if the exchange is not complete or the connection must be closed.

        Bytes after a response must not be taken for the response to the next request, so they forbid a reuse too.
        """
        complete = self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE
        if not (complete and self._is_read) or self._h11.trailing_data[0]:
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
    return h11.Request(method=method, target=target, headers=list(headers))  # validated once: most calls are alike


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
