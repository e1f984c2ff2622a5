"""One connection to a server: it sends a request and receives its response, and never waits beyond the deadline."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from traceback import clear_frames

from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import AsyncReadGuard
from sekha._http.http11 import HTTP11, ResponseHead
from sekha._http.models import HTTPRequest
from sekha._http.network import (
    AsyncNetworkStream,
    ReadError,
    WriteError,
    async_has_buffered_data,
    timeout_before_deadline,
)

_WRITE_SIZE = 16 * 1024
"""Bytes written at a time if there is a deadline: each write may take the time that is left."""

_READ_SIZE = 64 * 1024
"""Bytes read at a time."""


class AsyncConnection:
    """A connection of the pool.

    Args:
        stream: The open socket, perhaps with TLS.
        clock: The clock of the deadline.

    Attributes:
        deadline_at: Time of the deadline on that clock; None if there is none.
    """

    def __init__(self, stream: AsyncNetworkStream, clock: Clock) -> None:
        self.deadline_at: float | None = None
        self._pid = os.getpid()
        self._stream = stream
        self._socket = stream.get_extra_info("socket")  # now: some event loops have none left when it is closed
        self._clock = clock
        self._http = HTTP11()
        self._read_timeout: float | None = None
        self._read_guard = AsyncReadGuard()
        self._is_shut_down = False

    async def exchange(self, request: HTTPRequest) -> ResponseHead:
        """Send a request, and wait for the head of its response."""
        self.deadline_at, self._read_timeout = request.deadline_at, request.timeout["read"]
        await self._write(self._http.encode_request(request), request)
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
        return self._http.start_next_cycle()

    def is_stale(self) -> bool:
        """Return whether the server has closed it while it was idle, or has sent something unasked."""
        return bool(self._stream.get_extra_info("is_readable")) or async_has_buffered_data(self._stream)

    async def aclose(self) -> None:
        """Close it, after the task or thread that still reads from it was interrupted."""
        if not self.owned_by_this_process():
            await self._stream.aclose()  # our copy of the socket; a thread of the parent may have been reading
            return
        self.shut_down()
        with self._read_guard:
            await self._stream.aclose()

    def owned_by_this_process(self) -> bool:
        """Return False after a fork: then it still belongs to the parent."""
        return self._pid == os.getpid()

    def shut_down(self) -> None:
        """Interrupt another task or thread that reads or writes."""
        if not self.owned_by_this_process():
            return
        self._is_shut_down = True
        with suppress(OSError):
            if isinstance(self._socket, socket.socket):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # the method of an SSLSocket would do more
            else:  # the socket objects of some event loops have no shutdown()
                with socket.fromfd(self._socket.fileno(), socket.AF_INET, socket.SOCK_STREAM) as copy:
                    copy.shutdown(socket.SHUT_RDWR)

    async def _write(self, data: bytes, request: HTTPRequest) -> None:
        size = _WRITE_SIZE if self.deadline_at is not None else len(data)
        try:
            for start in range(0, len(data), size):
                seconds = self._timeout(request.timeout["write"], sent=start > 0)
                request.may_have_been_sent = True
                await self._stream.write(data[start : start + size], seconds)
        except WriteError:
            pass  # a server that does not read to the end may have sent a response all the same
        except BaseException as error:  # the frames of a cancelled call may be shown, and these hold the key
            data = b""
            if error.__traceback__ is not None:
                clear_frames(error.__traceback__.tb_next)
            raise

    async def _receive(self) -> None:
        with self._read_guard:
            data = await self._stream.read(_READ_SIZE, self._timeout(self._read_timeout, sent=True))
            if self._is_shut_down:  # by this process: it is not the server that ended the response
                raise ReadError("the connection was closed by the client")
            self._http.receive_data(data)

    def _timeout(self, seconds: float | None, *, sent: bool) -> float | None:
        return timeout_before_deadline(seconds, self.deadline_at, self._clock.now, sent=sent)
