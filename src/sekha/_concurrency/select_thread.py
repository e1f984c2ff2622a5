"""Waiting for sockets on an event loop that cannot, as asyncio's usual one on Windows: a thread waits by `select`.

anyio has such a thread as well. It ends for good when a socket is closed for which it waits, and later waits never end.
"""

from __future__ import annotations

import atexit
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, cast

from sekha._concurrency.event_loops import running_loop
from sekha._concurrency.primitives import PerProcess

_MAX_SOCKETS = 500
"""Sockets that `select` can wait for at once; Windows limits it to 512."""
_TURN = 0.01
"""Seconds for which each group of sockets is waited for, if there are more."""


class _Loop(Protocol):
    """What is needed of an event loop of asyncio, which is not imported here."""

    def create_future(self) -> Any: ...
    def call_soon_threadsafe(self, callback: Callable[[], object]) -> object: ...


class _Wait(NamedTuple):
    sock: socket.socket
    writing: bool
    loop: _Loop
    ended: Any

    def end(self) -> None:
        """Wake the task that waits."""
        with suppress(RuntimeError):  # its loop was closed
            self.loop.call_soon_threadsafe(self._set_result)

    def _set_result(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def thread_for(loop: object) -> SelectThread | None:
    """Return the thread of this process; None for an event loop that can wait for sockets itself."""
    # In asyncio, the class of all loops has the method, but it does nothing.
    method = getattr(type(loop), "add_reader", None)
    return _threads.get() if getattr(method, "__qualname__", "") == "AbstractEventLoop.add_reader" else None


class SelectThread:
    """A thread that waits for the sockets of tasks, until it is stopped: at the latest when Python exits."""

    def __init__(self) -> None:
        self._is_stopped = False
        self._lock = threading.Lock()
        self._waits: set[_Wait] = set()
        self._alarm, self._bell = socket.socketpair()
        for sock in (self._alarm, self._bell):
            sock.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="sekha-sockets", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    async def wait(self, sock: socket.socket, *, writing: bool) -> None:
        """Wait until a socket can be read or written, or is closed."""
        loop = cast(_Loop, running_loop())
        wait = _Wait(sock, writing, loop, loop.create_future())
        try:
            with self._lock:
                self._waits.add(wait)
            self._ring()
            if not self._is_stopped:
                await wait.ended
        finally:
            with self._lock:
                self._waits.discard(wait)

    def end_waits(self, sock: socket.socket) -> None:
        """Wake the tasks that wait for a socket."""
        with self._lock:
            found = [wait for wait in self._waits if wait.sock is sock]
        for wait in found:
            wait.end()

    def stop(self) -> None:
        """End the thread."""
        self._is_stopped = True
        self._ring()
        self._thread.join()
        self._alarm.close()
        self._bell.close()
        atexit.unregister(self.stop)

    def _ring(self) -> None:
        with suppress(OSError):  # it has been rung often enough, or is stopped
            self._bell.send(b"\0")

    def _run(self) -> None:
        while not self._is_stopped:
            with self._lock:
                waits = list(self._waits)
            groups = [waits[start : start + _MAX_SOCKETS] for start in range(0, len(waits), _MAX_SOCKETS)] or [[]]
            for group in groups:
                self._wait_for(group, None if len(groups) == 1 else _TURN)

    def _wait_for(self, waits: list[_Wait], seconds: float | None) -> None:
        readers = [wait.sock for wait in waits if not wait.writing]
        writers = [wait.sock for wait in waits if wait.writing]
        ready: set[socket.socket] = set()
        with suppress(OSError, ValueError):  # a socket was closed, now or before
            # On Windows, a connection that failed is exceptional and not writable.
            ready.update(*select.select([self._alarm, *readers], writers, writers, seconds))
        with suppress(BlockingIOError):
            self._alarm.recv(4096)
        ended = [wait for wait in waits if wait.sock in ready or wait.sock.fileno() < 0]
        with self._lock:
            self._waits.difference_update(ended)
        for wait in ended:
            wait.end()


_threads = PerProcess(SelectThread)
