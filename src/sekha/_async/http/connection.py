"""A connection to a server, which never waits beyond the deadline of a call."""

from __future__ import annotations

import os
import ssl
from traceback import clear_frames

from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import AsyncReadGuard
from sekha._http.http11 import HTTP11, ResponseHead
from sekha._http.models import HTTPRequest, timeout_before_deadline

from .network import AsyncNetworkStream

_WRITE_SIZE = 64 * 1024
"""Bytes sent in one write, each with its own timeout; between writes, an early response is noticed."""


class AsyncConnection:
    """A connection of the pool.

    Args:
        stream: The open socket.
        clock: The clock of the deadline.

    Attributes:
        deadline_at: Time of the deadline on this clock; None if there is none.
    """

    def __init__(self, stream: AsyncNetworkStream, clock: Clock) -> None:
        self.deadline_at: float | None = None
        self._stream = stream
        self._clock = clock
        self._http = HTTP11()
        self._read_timeout: float | None = None
        self._read_guard = AsyncReadGuard()
        self._is_shut_down = False
        self._is_cut = False  # whether a request was not sent completely

    async def start_tls(self, context: ssl.SSLContext, host: str, seconds: float | None) -> None:
        """Start TLS.

        Args:
            context: The context.
            host: Name of the server.
            seconds: Time for the handshake; None means no limit.

        Raises:
            OSError: The handshake failed, or the connection was shut down.
        """
        with self._read_guard:
            await self._stream.start_tls(context, host, seconds)

    async def exchange(self, request: HTTPRequest) -> ResponseHead:
        """Send a request, its headers together with the start of its body, and wait for the response headers.

        The sending ends in one of four ways:

        1. The whole request is sent, and the response follows.
        2. The server responds early: the rest of the request is not sent.
        3. The connection breaks: the server may have responded nevertheless.
        4. A timeout passes, or the caller is cancelled.
        """
        self.deadline_at, self._read_timeout = request.deadline_at, request.timeout["read"]
        data = memoryview(self._http.encode_request(request))
        self._is_cut = True
        try:
            while data:
                seconds = self._timeout(request.timeout["write"])
                request.phase = "sending"
                try:
                    data = data[await self._stream.write(data[:_WRITE_SIZE], seconds) :]
                except TimeoutError:
                    raise
                except OSError:
                    break
                if data and (head := self._early_head()) is not None:
                    return head
            else:
                self._is_cut = False
        except OSError:
            raise
        except BaseException as error:  # the frames of a cancelled call may be shown, and contain the key
            data = memoryview(b"")
            if error.__traceback__ is not None:
                clear_frames(error.__traceback__.tb_next)
            raise
        request.phase = "waiting for the response"
        while True:
            await self._receive()
            if (head := self._http.response_head()) is not None:
                return head

    async def next_chunk(self) -> bytes:
        """Return the next chunk of the body; empty at its end."""
        while (chunk := self._http.next_chunk()) is None:
            await self._receive()
        return chunk

    def try_reuse(self) -> bool:
        """Prepare for the next exchange; return False if this one is not complete, so that it must be closed."""
        return not self._is_cut and not self._is_shut_down and self._http.start_next_cycle()

    def is_stale(self) -> bool:
        """Return whether the server has closed the idle connection, or has sent unexpected data."""
        return self._stream.has_unread_data()

    async def aclose(self) -> None:
        """Close the connection, after interrupting a task or thread that still reads from it."""
        if not self.owned_by_this_process():
            await self._stream.aclose()  # our copy of the socket; a thread of the parent may have been reading
            return
        self.shut_down()
        with self._read_guard:
            await self._stream.aclose()

    def discard(self) -> None:
        """Close, without waiting, a connection that is not in use: an idle one, or one of an ended loop."""
        self._is_shut_down = True
        self._stream.discard(shut_down=self.owned_by_this_process())

    def owned_by_this_process(self) -> bool:
        """Return False after a fork, since the connection belongs to the parent."""
        return self._stream.pid == os.getpid()

    def shut_down(self) -> None:
        """Interrupt another task or thread that reads or writes."""
        if not self.owned_by_this_process():
            return
        self._is_shut_down = True
        self._stream.shut_down()

    def _early_head(self) -> ResponseHead | None:
        """Return the headers of a response that has already arrived."""
        with self._read_guard:
            try:
                data = self._stream.read_now()
            except OSError:
                self._raise_if_shut_down()
                raise
            self._raise_if_shut_down()
            if data is None:
                return None
            self._http.receive_data(data)
        return self._http.response_head()

    async def _receive(self) -> None:
        with self._read_guard:
            try:
                data = await self._stream.read(self._timeout(self._read_timeout))
            except OSError:
                self._raise_if_shut_down()
                raise
            self._raise_if_shut_down()
            self._http.receive_data(data)

    def _raise_if_shut_down(self) -> None:
        if self._is_shut_down:  # by this process: it was not the server that ended the response
            raise ConnectionAbortedError("the connection was closed by the client")

    def _timeout(self, seconds: float | None) -> float | None:
        return timeout_before_deadline(seconds, self.deadline_at, self._clock.now)
