"""Servers that cannot be reached yet: nobody listens, or nobody takes the connections."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import List

import pytest
from typing_extensions import Self

from support.server import FakeServer


class Unreachable:
    """
    A fake server behind an address that refuses connections, or lets them wait in vain, until it is told to answer.

    Args:
        silent: Whether connecting times out; otherwise it is refused.

    Attributes:
        server: The server, to be scripted.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self.server = FakeServer(listening=False)
        self._waiting: List[socket.socket] = []
        self._listener = self.server._port.listen(0) if silent else None
        if silent:
            self._fill(self.server._port.address)

    @property
    def url(self) -> str:
        """Its address."""
        return self.server.url

    def answer(self) -> None:
        """Take connections from now on."""
        self._close()
        self.server.listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()
        self.server.close()

    def _close(self) -> None:
        for one in self._waiting:
            one.close()
        self._waiting.clear()
        if self._listener is not None:
            self.server._port.refuse(self._listener)
            self._listener = None

    def _fill(self, address: tuple[str, int]) -> None:
        """Fill the queue of those whose connection nobody has taken; the kernel ignores who comes after them."""
        for _ in range(20):
            one = socket.socket()
            one.settimeout(0.1)
            try:
                one.connect(address)
            except socket.timeout:
                one.close()
                return
            except ConnectionRefusedError:
                one.close()
                break
            self._waiting.append(one)
        self._close()
        pytest.skip("this system takes any number of connections that nobody accepts, or refuses them")
