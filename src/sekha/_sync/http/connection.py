# Generated from src/sekha/_async/http/connection.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""One connection to a server: it sends a request and receives its response, and never waits beyond the deadline."""

from __future__ import annotations

import os
import ssl
from traceback import clear_frames

from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import ReadGuard
from sekha._http.http11 import HTTP11, ResponseHead
from sekha._http.models import HTTPRequest, timeout_before_deadline

from .network import NetworkStream

_WRITE_SIZE = 64 * 1024
"""Bytes sent at a time, each in the time of a write; between them, an early answer is noticed."""


class Connection:
    """A connection of the pool.

    Args:
        stream: The open socket.
        clock: The clock of the deadline.

    Attributes:
        deadline_at: Time of the deadline on that clock; None if there is none.
    """

    def __init__(self, stream: NetworkStream, clock: Clock) -> None:
        self.deadline_at: float | None = None
        self._stream = stream
        self._clock = clock
        self._http = HTTP11()
        self._read_timeout: float | None = None
        self._read_guard = ReadGuard()
        self._is_shut_down = False
        self._is_cut = False  # whether a request was not sent to its end

    def start_tls(self, context: ssl.SSLContext, host: str, seconds: float | None) -> None:
        """Speak TLS from now on.

        Args:
            context: The context.
            host: Name of the server.
            seconds: Time for the handshake; None means no limit.

        Raises:
            OSError: There is no trusted connection, or it was shut down.
        """
        with self._read_guard:
            self._stream.start_tls(context, host, seconds)

    def exchange(self, request: HTTPRequest) -> ResponseHead:
        """Send a request, its head and the start of its body at once, and wait for the head of its response.

        The sending ends in one of four ways:

        1. All is sent, and the response follows.
        2. The server responds before: it has decided, and the rest is not sent.
        3. The connection breaks: the server may have responded all the same.
        4. The time is over, or the caller is cancelled.
        """
        self.deadline_at, self._read_timeout = request.deadline_at, request.timeout["read"]
        data = memoryview(self._http.encode_request(request))
        self._is_cut = True
        try:
            while data:
                seconds = self._timeout(request.timeout["write"])
                request.phase = "sending"
                try:
                    data = data[self._stream.write(data[:_WRITE_SIZE], seconds) :]
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
        except BaseException as error:  # the frames of a cancelled call may be shown, and these hold the key
            data = memoryview(b"")
            if error.__traceback__ is not None:
                clear_frames(error.__traceback__.tb_next)
            raise
        request.phase = "waiting for the response"
        while True:
            self._receive()
            if (head := self._http.response_head()) is not None:
                return head

    def next_chunk(self) -> bytes:
        """Return the next chunk of the body; empty at its end."""
        while (chunk := self._http.next_chunk()) is None:
            self._receive()
        return chunk

    def try_reuse(self) -> bool:
        """Prepare for the next exchange; return False if this one is not complete, so that it must be closed."""
        return not self._is_cut and not self._is_shut_down and self._http.start_next_cycle()

    def is_stale(self) -> bool:
        """Return whether the server has closed it while it was idle, or has sent something unasked."""
        return self._stream.has_unread_data()

    def close(self) -> None:
        """Close it, after the task or thread that still reads from it was interrupted."""
        if not self.owned_by_this_process():
            self._stream.close()  # our copy of the socket; a thread of the parent may have been reading
            return
        self.shut_down()
        with self._read_guard:
            self._stream.close()

    def discard(self) -> None:
        """Close it without waiting, where no other task or thread uses it: an idle one, or one of an ended loop."""
        self._is_shut_down = True
        self._stream.discard(shut_down=self.owned_by_this_process())

    def owned_by_this_process(self) -> bool:
        """Return False after a fork: then it still belongs to the parent."""
        return self._stream.pid == os.getpid()

    def shut_down(self) -> None:
        """Interrupt another task or thread that reads or writes."""
        if not self.owned_by_this_process():
            return
        self._is_shut_down = True
        self._stream.shut_down()

    def _early_head(self) -> ResponseHead | None:
        """Return the head of a response that has arrived already."""
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

    def _receive(self) -> None:
        with self._read_guard:
            try:
                data = self._stream.read(self._timeout(self._read_timeout))
            except OSError:
                self._raise_if_shut_down()
                raise
            self._raise_if_shut_down()
            self._http.receive_data(data)

    def _raise_if_shut_down(self) -> None:
        if self._is_shut_down:  # by this process: it is not the server that ended the response
            raise ConnectionAbortedError("the connection was closed by the client")

    def _timeout(self, seconds: float | None) -> float | None:
        return timeout_before_deadline(seconds, self.deadline_at, self._clock.now)
