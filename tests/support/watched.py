"""A proxy in front of a Sekha server: counts the writes at a time, notes when requests come, and holds writes back."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, List, Sequence, Set

import httpx

from sekha.testing._sockets import ReceivedRequest, SocketServer

from .routes import CREATE, HEALTH
from .running import PATIENCE
from .server import eventually

_DROPPED = frozenset({"connection", "content-length", "host", "transfer-encoding", "accept-encoding"})


@dataclass
class Held:
    """A write that is held back: the server has stored it, or it never gets there.

    Attributes:
        port: The port of the client, by which its process is found.
        is_stored: Whether the server has stored it, so that only the answer is held.
    """

    port: int
    is_stored: bool
    is_lost: bool = False
    released: threading.Event = field(default_factory=threading.Event)


class WatchedServer(SocketServer):
    """A proxy that sees all requests of several processes.

    Args:
        target: The address of the server.
        hold_after: How many writes are let through before it holds all that follow, until `release`.
        loses: Whether every other write that is held does not reach the server before it is released.

    Attributes:
        arrivals: When each request came, by the monotonic clock; without health checks, which wait for no limit.
        most_writes: The largest number of writes at the same time.
    """

    def __init__(self, target: str, hold_after: int, *, loses: bool = False) -> None:
        self.arrivals: List[float] = []
        self.most_writes = 0
        self._hold_after: int | None = hold_after
        self._loses = loses
        self._writes = 0
        self._busy = 0
        self._held: List[Held] = []
        self._held_so_far = 0
        self._target = httpx.Client(base_url=target, trust_env=False, timeout=PATIENCE)
        super().__init__()

    def close(self) -> None:
        """Close all sockets."""
        self.release()
        super().close()
        self._target.close()

    def wait_for_held(self, number: int) -> None:
        """Wait until so many writes are held, and no other is in progress."""
        eventually(lambda: len(self._held) >= number and len(self._held) == self._busy, PATIENCE)

    def kill_one_that_writes(self, among: int | None = None) -> None:
        """Kill the one that has most of the held writes, of the descendants of a process, by default this one."""
        ports = {held.port for held in self._held}
        counts = {process: len(self._ports_of(process) & ports) for process in _family(among)}
        process = max(counts, key=lambda one: counts[one])
        assert counts[process] > 0, "none of them writes"
        self._kill([process])

    def kill_all(self, family: int) -> None:
        """Kill a process and its descendants."""
        self._kill(_family(family))

    def _kill(self, processes: Sequence[Any]) -> None:
        """Kill processes, and with them their writes that are held, which are not in progress any more."""
        ports = set().union(*map(self._ports_of, processes))
        with self._lock:
            lost = [held for held in self._held if held.port in ports]
            self._held = [held for held in self._held if held.port not in ports]
            self._busy -= len(lost)
        for process in processes:
            process.kill()
        for held in lost:
            held.is_lost = True
            held.released.set()

    def _ports_of(self, process: Any) -> Set[int]:
        """Return the ports of the connections that a process has to this server."""
        with suppress(import_module("psutil").Error):  # it has ended meanwhile
            connections = [one for one in process.net_connections("tcp4") if one.raddr]
            return {one.laddr.port for one in connections if self.url.endswith(f":{one.raddr.port}")}
        return set()

    def release(self) -> None:
        """Hold no write any more."""
        with self._lock:
            self._hold_after = None
            held, self._held = self._held, []
        for one in held:
            one.released.set()

    def most_requests_in(self, seconds: float) -> int:
        """Return the largest number of requests in any window of so many seconds."""
        times = sorted(self.arrivals)
        return max(sum(1 for at in times[first:] if at < start + seconds) for first, start in enumerate(times))

    # In the thread of a connection

    def serve(self, connection: socket.socket, request: ReceivedRequest) -> bool:
        is_write = request.line == CREATE
        held: Held | None = None
        with self._lock:
            if request.line != HEALTH:
                self.arrivals.append(time.monotonic())
            if is_write:
                self._writes += 1
                self._busy += 1
                self.most_writes = max(self.most_writes, self._busy)
                if self._hold_after is not None and self._writes > self._hold_after:
                    held = Held(connection.getpeername()[1], is_stored=not (self._loses and self._held_so_far % 2))
                    self._held_so_far += 1
        response: Any = None
        if held is None or held.is_stored:
            response = self._forward(request)
        if held is not None:
            with self._lock:
                if self._hold_after is None:
                    held.released.set()
                else:
                    self._held.append(held)
            held.released.wait(PATIENCE)
            if held.is_lost:
                return False
            if response is None:
                response = self._forward(request)
        if is_write:
            with self._lock:
                self._busy -= 1
        head = [f"HTTP/1.1 {response.status_code} -", f"content-length: {len(response.content)}"]
        head += [f"{name}: {value}" for name, value in response.headers.items() if name.lower() not in _DROPPED]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + response.content)
        return True

    def _forward(self, request: ReceivedRequest) -> httpx.Response:
        headers = {name: value for name, value in request.headers.items() if name not in _DROPPED}
        headers["accept-encoding"] = "identity"
        return self._target.request(request.method, request.target, headers=headers, content=request.body)


def _family(pid: int | None) -> List[Any]:
    """Return a process, by default this one, and its descendants."""
    process: Any = import_module("psutil").Process(pid)
    return [process, *process.children(recursive=True)]
