"""Ports of `sekha.testing`, also as Windows has them: no two sockets share one, and options have other forms."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any, Dict, List, Tuple

import pytest

from sekha.testing import _faults, _ports
from sekha.testing._exchange import Answer, Exchange
from sekha.testing._faults import stale_keep_alive
from sekha.testing._ports import Port, bind_socket, linger_option, reset_when_closed

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
    monkeypatch.setattr(_ports.socket, "socket", Recorded)
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


class _Response:
    status, reason = 200, "OK"

    def __init__(self) -> None:
        self._pieces = [b"on", b"e", b""]

    def getheaders(self) -> List[Tuple[str, str]]:
        return [("content-length", "3")]

    def read1(self, size: int) -> bytes:
        return self._pieces.pop(0)


@pytest.mark.parametrize("cork", [None, 3])
def test_the_end_of_a_stale_connection_leaves_with_the_end_of_the_answer(
    cork: "int | None", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_faults, "_CORK_OPTION", cork)
    wire = _Wire()
    known: Dict[str, Any] = {"connection": wire, "ask": lambda: Answer(_Response())}  # type: ignore[arg-type]  # a part of it
    exchange = Exchange.__new__(Exchange)
    vars(exchange).update(known)
    assert stale_keep_alive().play(exchange) is False
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none"
    if cork is None:  # the last byte waits until the others are acknowledged, or until the connection ends
        without_delay = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        assert wire.done == [without_delay, ("send", answer[:-1]), ("send", answer[-1:])]
    else:
        assert wire.done == [(socket.IPPROTO_TCP, 3, 1), ("send", answer)]


@pytest.mark.parametrize("cork", [None, _faults._CORK_OPTION])
def test_a_stale_connection_has_sent_its_whole_answer(cork: "int | None", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_faults, "_CORK_OPTION", cork)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        connection, _ = server.accept()
        exchange = Exchange.__new__(Exchange)
        vars(exchange).update(connection=connection, ask=lambda: Answer(_Response()))  # type: ignore[arg-type]  # a part of it
        stale_keep_alive().play(exchange)
        connection.close()
        client.settimeout(10)
        received = b""
        with suppress(OSError):
            while piece := client.recv(100):
                received += piece
    assert received.endswith(b"\r\n\r\none")
