"""Waiting for sockets."""

from __future__ import annotations

import select
import socket

import pytest

from sekha._concurrency.sockets import ReadWatch, is_writable, wait_for


@pytest.mark.parametrize("has_poll", [True, False], ids=["poll", "select"])
@pytest.mark.parametrize("seconds", [0, 0.0001, 5.0, 1e8, None])
def test_a_socket_is_waited_for_however_long(seconds: float, has_poll: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_poll:
        monkeypatch.delattr(select, "poll", raising=False)
    near, far = socket.socketpair()
    with near, far:
        watch = ReadWatch(near)
        assert not watch.wait(0)
        assert is_writable(near)
        assert not wait_for([near], [], 0)
        far.send(b"x")
        assert watch.wait(seconds)
        assert wait_for([near], [near], seconds)
    assert watch.wait(seconds)  # closed
