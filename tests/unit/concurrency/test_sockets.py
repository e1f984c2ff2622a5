"""Waiting for sockets."""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import Any

import pytest

from sekha._concurrency import sockets
from sekha._concurrency.sockets import ReadWatch, is_writable, wait_for


def connected_pair() -> tuple[socket.socket, socket.socket]:
    """Two sockets that are connected; as those of the library, the first does not block."""
    near, far = socket.socketpair()
    near.setblocking(False)
    return near, far


@pytest.mark.parametrize("has_poll", [True, False], ids=["poll", "select"])
@pytest.mark.parametrize("seconds", [0, 0.0001, 5.0, 1e8, None])
def test_a_socket_is_waited_for_however_long(seconds: float, has_poll: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_poll:
        monkeypatch.delattr(select, "poll", raising=False)
    near, far = connected_pair()
    with near, far:
        watch = ReadWatch(near)
        assert not watch.wait(0)
        assert is_writable(near)
        assert not wait_for([near], [], 0)
        far.send(b"x")
        assert watch.wait(seconds)
        assert wait_for([near], [near], seconds)
    assert watch.wait(seconds)  # closed


# Windows: there is no `poll`, and `select` is interrupted neither by Ctrl-C nor by `shutdown`


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of a `select` that reports no socket which this program has shut down."""
    pauses: list[float] = []
    wait = select.select

    def blind(readers: Any, writers: Any, broken: Any, seconds: float) -> Any:
        pauses.append(seconds)
        ready = wait(readers, writers, broken, 0)
        if writers or any(is_open(sock) for sock in ready[0]):
            return ready
        time.sleep(min(seconds, 0.01))
        return [], [], []

    def is_open(sock: socket.socket) -> bool:
        return bool(sock.recv(1, socket.MSG_PEEK))

    monkeypatch.delattr(select, "poll", raising=False)
    monkeypatch.setattr(select, "select", blind)
    return pauses


@pytest.mark.parametrize("seconds", [None, 60.0])
@pytest.mark.parametrize("end", ["shut down", "closed"])
def test_another_thread_ends_a_wait_on_windows(seconds: float, end: str, pauses: list[float]) -> None:
    near, far = connected_pair()
    with near, far:
        watch = ReadWatch(near)
        timer = threading.Timer(0.05, (lambda: near.shutdown(socket.SHUT_RDWR)) if end == "shut down" else near.close)
        timer.start()
        assert watch.wait(seconds)
        timer.join()
    assert max(pauses) == sockets._SELECT_INTERVAL, "between them, Python calls the handlers of signals"


@pytest.mark.parametrize("error", [OSError(10038, "not a socket"), ValueError("file descriptor cannot be -1")])
def test_a_socket_that_is_closed_during_a_wait_on_windows(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = connected_pair()

    def select_while_it_is_closed(*_: object) -> None:
        near.close()
        raise error

    monkeypatch.delattr(select, "poll", raising=False)
    with near, far:
        watch = ReadWatch(near)
        monkeypatch.setattr(select, "select", select_while_it_is_closed)
        assert watch.wait(None)
        with pytest.raises(type(error)):
            wait_for([], [far], None)  # which is open


def test_a_wait_on_windows_ends_in_time(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = connected_pair()
    with near, far:
        started = time.monotonic()
        assert not wait_for([near], (), 0.05)
        assert time.monotonic() - started < 5
        assert max(pauses) == 0.05
        assert not wait_for([near], (), 0)
        assert pauses[-1] == 0
        far.send(b"x")
        assert wait_for([near], (), None)


@pytest.mark.skipif(not hasattr(select, "poll"), reason="this system has no other way")
def test_where_there_is_poll_a_wait_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "select")
    near, far = connected_pair()
    with near, far:
        assert not wait_for([near], (), 0.01)
