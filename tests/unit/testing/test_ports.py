"""Ports of `sekha.testing`, also as Windows has them: no two sockets share one, and options have other forms."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any, List, Tuple

import pytest

from sekha.testing import _ports
from sekha.testing._ports import Port, bind_socket, linger_option, reset_when_closed, send_and_end

on_posix = pytest.mark.skipif(os.name != "posix", reason="the test replaces what Windows does not have")


@pytest.fixture(params=["shared", "alone"])
def port(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Port]:
    """A port that two sockets share, and one that only one of them can have."""
    if request.param == "alone":
        monkeypatch.setattr(_ports, "_CAN_SHARE", False)
        if os.name == "posix":  # there, as on Windows without any option, connections that end keep no new socket away
            monkeypatch.setattr(_ports, "_REUSE_OPTION", socket.SO_REUSEADDR)
    elif not hasattr(socket, "SO_REUSEPORT"):
        pytest.skip("no two sockets share a port on this system")
    with closing(Port("127.0.0.1")) as port:
        yield port


def is_refused(port: Port) -> bool:
    try:
        socket.create_connection(port.address, 10).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_port_refuses_and_accepts_by_turns(port: Port) -> None:
    address = port.address
    for _ in range(3):
        assert is_refused(port)
        listener = port.listen()
        with socket.create_connection(address, 10) as client:
            connection, _ = listener.accept()
            port.refuse(listener)
            assert is_refused(port)
            connection.sendall(b"x")  # an open connection is not touched
            assert client.recv(1) == b"x"
            connection.close()
    assert port.address == address


def test_nobody_else_gets_a_port_that_refuses(port: Port) -> None:
    listener = port.listen()
    port.refuse(listener)
    with closing(socket.socket()) as other, pytest.raises(OSError, match=r"."):
        other.bind(port.address)


@on_posix
def test_where_sockets_cannot_share_a_port_no_option_lets_others_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: List[Tuple[Any, ...]] = []

    class Recorded(socket.socket):
        def setsockopt(self, *option: Any) -> None:
            asked.append(option)

    monkeypatch.setattr(_ports, "_REUSE_OPTION", None)
    monkeypatch.setattr(socket, "socket", Recorded)
    bind_socket(("127.0.0.1", 0)).close()
    assert asked == []


def test_the_option_for_a_reset_has_the_form_of_the_system() -> None:
    assert linger_option("win32") == struct.pack("=HH", 1, 0)
    assert linger_option("linux") == linger_option("darwin") == struct.pack("=II", 1, 0)


def test_a_connection_is_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        connection, _ = server.accept()
        reset_when_closed(connection)
        connection.close()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


class _Wire:
    """A connection that notes what is done with it."""

    def __init__(self) -> None:
        self.done: List[Tuple[Any, ...]] = []

    def setsockopt(self, *option: Any) -> None:
        self.done.append(option)

    def sendall(self, data: bytes) -> None:
        self.done.append(("send", data))

    def setblocking(self, blocks: bool) -> None:
        self.done.append(("blocking", blocks))

    def fileno(self) -> int:
        return 2**40 + 7


class _Winsock:
    """The functions of sockets on Windows.

    Args:
        wire: Notes what is done.
        result: What `send` returns: the number of bytes, or -1.
    """

    def __init__(self, wire: _Wire, result: int) -> None:
        self._done, self._result = wire.done, result

    def send(self, handle: Any, data: bytes, size: int, flags: int) -> int:
        self._done.append(("send at once", handle.value, data[:size], flags))
        return self._result

    def shutdown(self, handle: Any, how: int) -> int:
        self._done.append(("end", handle.value, how))
        return 0


def ended(monkeypatch: pytest.MonkeyPatch, *, platform: str, cork: int | None = None, result: int = 1) -> List[Any]:
    """What is done to send the last bytes and the end of a connection."""
    wire = _Wire()
    monkeypatch.setattr(_ports, "_CORK_OPTION", cork)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "PyDLL", lambda name: {"ws2_32": _Winsock(wire, result)}[name])
    send_and_end(wire, b"an answer")  # type: ignore[arg-type]  # as far as it is needed
    return wire.done


def test_the_end_of_a_connection_leaves_with_the_last_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    with_cork = [(socket.IPPROTO_TCP, 3, 1), ("send", b"an answer")]
    assert ended(monkeypatch, platform="linux", cork=3) == with_cork
    handle = 2**40 + 7
    assert ended(monkeypatch, platform="win32") == [
        ("send", b"an answe"),
        ("blocking", False),
        ("send at once", handle, b"r", 0),
        ("end", handle, 1),
        ("blocking", True),
    ]


def test_a_full_buffer_does_not_stop_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    done = ended(monkeypatch, platform="win32", result=-1)
    assert done[-2:] == [("blocking", True), ("send", b"r")]
    assert ended(monkeypatch, platform="other") == [("send", b"an answe"), ("send", b"r")]


@pytest.mark.parametrize("cork", [None, _ports._CORK_OPTION])
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_connection_that_ends_has_sent_everything(
    size: int, cork: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ports, "_CORK_OPTION", cork)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        connection, _ = server.accept()
        thread = threading.Thread(target=send_and_end, args=(connection, b"x" * size))
        thread.start()
        client.settimeout(10)
        received = 0
        while received < size:
            received += len(client.recv(65536))
        thread.join()
        connection.close()
        assert client.recv(1) == b""
