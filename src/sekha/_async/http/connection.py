"""One connection to a server: a request goes out, its answer comes in, and nothing waits past the deadline."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from traceback import clear_frames

from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import AsyncReadGuard
from sekha._http.models import HTTPRequest
from sekha._http.network import HTTP11, AsyncNetworkStream, Head, ReadError, WriteError, async_holds_bytes, within

_PIECE = 16 * 1024
"""Bytes written at a time where a deadline is to be kept: each write may take the time that is left."""

_MOST = 64 * 1024
"""Bytes read at a time."""


class AsyncConnection:
    """A connection of the pool.

    Args:
        stream: Where the bytes go to and come from.
        clock: Tells the time.

    Attributes:
        expires: The moment of the deadline on that clock; None if there is none.
    """

    def __init__(self, stream: AsyncNetworkStream, clock: Clock) -> None:
        self.expires: float | None = None
        self._pid = os.getpid()
        self._stream = stream
        self._socket = stream.get_extra_info("socket")  # now: some event loops have none left when it is closed
        self._clock = clock
        self._http = HTTP11()
        self._patience: float | None = None
        self._reading = AsyncReadGuard()
        self._is_shut_down = False

    async def exchange(self, request: HTTPRequest) -> Head:
        """Send a request, and wait for the head of its answer."""
        self.expires, self._patience = request.expires, request.timeout["read"]
        await self._say(self._http.say(request), request)
        while True:
            await self._listen()
            if (head := self._http.head()) is not None:
                return head

    async def piece(self) -> bytes:
        """The next piece of the answer's body; none at its end."""
        while (piece := self._http.piece()) is None:
            await self._listen()
        return piece

    def can_be_used_again(self) -> bool:
        """Whether its exchange is over, so that another may begin."""
        return self._http.begin_again()

    def has_expired(self) -> bool:
        """Whether the server has closed it while it was idle, or has said something that nobody asked for."""
        return bool(self._stream.get_extra_info("is_readable")) or async_holds_bytes(self._stream)

    async def aclose(self) -> None:
        """Close it, once those who still read from it have heard of that."""
        if not self.is_ours():
            await self._stream.aclose()  # our end of it; a thread of the parent may have been reading
            return
        self.shut_down()
        with self._reading:
            await self._stream.aclose()

    def is_ours(self) -> bool:
        """Whether it belongs to this process; after a fork, it is still the parent's."""
        return self._pid == os.getpid()

    def shut_down(self) -> None:
        """Break off what another task or thread does with it."""
        if not self.is_ours():
            return
        self._is_shut_down = True
        with suppress(OSError):
            if isinstance(self._socket, socket.socket):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # one of TLS would do more
            else:  # not every event loop's can do it
                with socket.fromfd(self._socket.fileno(), socket.AF_INET, socket.SOCK_STREAM) as twin:
                    twin.shutdown(socket.SHUT_RDWR)

    async def _say(self, data: bytes, request: HTTPRequest) -> None:
        size = _PIECE if self.expires is not None else len(data)
        try:
            for start in range(0, len(data), size):
                seconds = self._bounded(request.timeout["write"], sent=start > 0)
                request.departure.possible = True
                await self._stream.write(data[start : start + size], seconds)
        except WriteError:
            pass  # who does not listen to the end may have answered all the same
        except BaseException as error:  # the frames of a cancelled call may be shown, and these hold the key
            data = b""
            if error.__traceback__ is not None:
                clear_frames(error.__traceback__.tb_next)
            raise

    async def _listen(self) -> None:
        with self._reading:
            data = await self._stream.read(_MOST, self._bounded(self._patience, sent=True))
            if self._is_shut_down:  # by ourselves: this is not how the server ended its answer
                raise ReadError("the connection was closed by the client")
            self._http.hear(data)

    def _bounded(self, timeout: float | None, *, sent: bool) -> float | None:
        return within(timeout, self.expires, self._clock.now, sent=sent)
