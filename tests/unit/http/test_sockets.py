"""Sockets: options that let the system ask after a silent server, and closing what others have patched."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Dict, List, Tuple

import pytest

from sekha._http.sockets import PlainSocket, keepalive_options

NAMES = {"SOL_SOCKET": 1, "SO_KEEPALIVE": 9, "IPPROTO_TCP": 6, "TCP_NODELAY": 1}
ON = (1, 9, 1)


@pytest.mark.promise("R11", "W7")
@pytest.mark.parametrize(
    ("platform", "names", "options"),
    [
        (
            "linux",
            {"TCP_KEEPIDLE": 4, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 6, "TCP_USER_TIMEOUT": 18},
            [(6, 4, 60), (6, 5, 15), (6, 6, 4), (6, 18, 120_000)],
        ),
        ("win32", {"TCP_KEEPIDLE": 3, "TCP_KEEPINTVL": 17}, [(6, 3, 60), (6, 17, 15)]),
        (
            "darwin",
            {"TCP_KEEPALIVE": 16, "TCP_KEEPINTVL": 257, "TCP_KEEPCNT": 258},
            [(6, 16, 60), (6, 257, 15), (6, 258, 4)],
        ),
        ("darwin", {}, [(6, 16, 60)]),
        ("freebsd", {"TCP_KEEPIDLE": 256, "TCP_KEEPALIVE": 1}, [(6, 256, 60)]),
        ("elsewhere", {}, []),
    ],
)
def test_the_system_asks_after_sixty_seconds(
    platform: str, names: Dict[str, Any], options: List[Tuple[int, int, int]]
) -> None:
    assert keepalive_options({**NAMES, **names}, platform) == [ON, *options]


class Interrupted(BaseException):
    """Such as Ctrl-C, or a timeout of gevent."""


class Patched(socket.socket):
    """A socket whose methods were replaced."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def shutdown(self, how: int) -> None:
        raise self.error

    def close(self) -> None:
        super().close()
        raise self.error


@pytest.mark.promise("C4", "W12")
@pytest.mark.parametrize(
    "error",
    [
        AttributeError("type object 'GreenSocket' has no attribute 'shutdown'"),
        RuntimeError("a test tried to use a socket"),
        OSError(errno.EBADF, os.strerror(errno.EBADF)),  # a daemon has closed all its descriptors
    ],
)
def test_closing_raises_nothing_that_is_not_ours(error: Exception) -> None:
    sock = PlainSocket(Patched(error), os.getpid())
    sock.shut_down()
    sock.close()
    assert sock.sock.fileno() == -1


@pytest.mark.promise("R5")
def test_an_interruption_while_closing_is_raised() -> None:
    sock = PlainSocket(Patched(Interrupted()), os.getpid())
    for close in (sock.shut_down, sock.close):
        with pytest.raises(Interrupted):
            close()
