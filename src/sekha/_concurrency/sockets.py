"""Waiting for sockets and for names, in two forms. The sockets themselves must not block."""

from __future__ import annotations

import math
import select
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
from anyio import lowlevel

from sekha._concurrency.clock import monotonic
from sekha._concurrency.event_loops import running_loop
from sekha._concurrency.primitives import async_move_on_after

if TYPE_CHECKING:
    from sekha._concurrency.select_thread import SelectThread

AddressInfo = tuple[int, int, int, str, Any]
"""Family, type, protocol, name and address, as `socket.getaddrinfo` has them."""

_MAX_MILLISECONDS = 2**31 - 1
"""The longest that the system waits at once: 24 days."""

_SELECT_INTERVAL = 0.25
"""Seconds after which a wait by `select` looks whether it is to go on."""

_MAY_LACK_READERS = sys.platform == "win32"
"""Whether there are event loops that cannot wait for sockets."""

_Wait = Callable[[socket.socket], Awaitable[None]]


async def async_wait_for(
    readers: Sequence[socket.socket], writers: Sequence[socket.socket], seconds: float | None
) -> bool:
    """Wait until one of the sockets can be read or written, or is closed; return False if the time was over first."""
    waits = [*((_wait_readable, sock) for sock in readers), *((_wait_writable, sock) for sock in writers)]
    with async_move_on_after(seconds):
        if len(waits) == 1:
            await _ready(*waits[0])
        else:
            await _first_ready(waits)
        return True
    return False


async def _wait_readable(sock: socket.socket) -> None:
    thread = _select_thread()
    await (anyio.wait_readable(sock) if thread is None else thread.wait(sock, writing=False))


async def _wait_writable(sock: socket.socket) -> None:
    thread = _select_thread()
    await (anyio.wait_writable(sock) if thread is None else thread.wait(sock, writing=True))


def _select_thread() -> SelectThread | None:
    """Return the thread that waits for sockets; None where the event loop does so itself."""
    if not _MAY_LACK_READERS:
        return None
    from sekha._concurrency.select_thread import thread_for

    return thread_for(running_loop())


async def _ready(wait: _Wait, sock: socket.socket) -> None:
    if sock.fileno() >= 0:
        with suppress(anyio.ClosedResourceError):
            await wait(sock)


async def _first_ready(waits: Sequence[tuple[_Wait, socket.socket]]) -> None:
    async with anyio.create_task_group() as tasks:

        async def one(wait: _Wait, sock: socket.socket) -> None:
            await _ready(wait, sock)
            tasks.cancel_scope.cancel()

        for wait, sock in waits:
            tasks.start_soon(one, wait, sock)


def wait_for(readers: Sequence[socket.socket], writers: Sequence[socket.socket], seconds: float | None) -> bool:
    """Do the same in blocking code."""
    try:
        return _poll(readers, writers, seconds)
    except (OSError, ValueError):  # a socket is closed; after a fork, those of the parent are
        if all(sock.fileno() >= 0 for sock in (*readers, *writers)):
            raise
        return True


def _poll(readers: Sequence[socket.socket], writers: Sequence[socket.socket], seconds: float | None) -> bool:
    if not hasattr(select, "poll"):  # on Windows
        return _select(readers, writers, seconds)
    poll, events = select.poll(), dict.fromkeys(readers, select.POLLIN)
    for sock in writers:
        events[sock] = events.get(sock, 0) | select.POLLOUT
    for sock, event in events.items():
        poll.register(sock, event)
    return bool(poll.poll(_milliseconds(seconds)))


def _select(readers: Sequence[socket.socket], writers: Sequence[socket.socket], seconds: float | None) -> bool:
    """Wait where there is only `select`, which on Windows neither Ctrl-C ends nor a thread that shuts a socket down."""
    ends_at = math.inf if seconds is None else monotonic() + seconds
    left = math.inf if seconds is None else seconds
    while True:
        # On Windows, a connection that failed is exceptional and not writable.
        is_ready = any(select.select(readers, writers, writers, min(left, _SELECT_INTERVAL)))
        if is_ready or any(map(_is_shut_down, readers)):
            return True
        left = ends_at - monotonic()
        if left <= 0:
            return False


def _is_shut_down(sock: socket.socket) -> bool:
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else min(_MAX_MILLISECONDS, math.ceil(seconds * 1000))


class ReadWatch:
    """Tells when a socket can be read; prepared once, since every call asks.

    Args:
        sock: The socket.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._poll = select.poll() if hasattr(select, "poll") else None  # Windows has none
        if self._poll is not None:
            self._poll.register(sock, select.POLLIN)

    def wait(self, seconds: float | None) -> bool:
        """Wait until there are bytes to read, or the connection is closed; return False if the time was over first."""
        if self.sock.fileno() < 0:
            return True
        if self._poll is None:
            return wait_for([self.sock], (), seconds)
        return bool(self._poll.poll(_milliseconds(seconds)))


async def async_wait_readable(watch: ReadWatch, seconds: float | None) -> bool:
    """Wait until a socket can be read, or is closed; return False if the time was over first."""
    with async_move_on_after(seconds):
        await _ready(_wait_readable, watch.sock)
        return True
    return False


def wait_readable(watch: ReadWatch, seconds: float | None) -> bool:
    """Do the same in blocking code."""
    return watch.wait(seconds)


def is_writable(sock: socket.socket) -> bool:
    """Return whether bytes can be written, or connecting has ended."""
    return sock.fileno() < 0 or wait_for((), [sock], 0)


async def async_resolve(host: str, port: int) -> Sequence[AddressInfo]:
    """Return the addresses of a host, in the order of the system.

    Raises:
        OSError: There are none.
    """
    try:  # an IP address needs no thread
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def resolve(host: str, port: int) -> Sequence[AddressInfo]:
    """Do the same in blocking code."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def async_before_closing(sock: socket.socket) -> None:
    """Wake the task that waits for a socket: the event loop would not report a closed one."""
    thread = _select_thread()
    if thread is None:
        anyio.notify_closing(sock)
    else:
        thread.end_waits(sock)


def before_closing(sock: socket.socket) -> None:
    """Do nothing: a thread is woken by `shutdown`."""


async def async_checkpoint() -> None:
    """Let other tasks have a turn, and notice a cancellation."""
    await lowlevel.checkpoint()


def checkpoint() -> None:
    """Do nothing."""
