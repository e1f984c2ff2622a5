"""Connections that are idle: whatever lies there unread is seen, in the system or in TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from typing import Any, Callable, Iterator, List, Optional, Tuple

import pytest

from sekha._async.http.network import AsyncNetwork, AsyncNetworkStream
from support.certificates import Certificates
from support.faults import reset
from support.server import eventually

TLS_RECORD = b"\x17\x03\x03\x00\x20"


class Peer:
    """
    The other end of a connection.

    Args:
        connection: Its socket.
        context: Speaks TLS with this.
    """

    def __init__(self, connection: socket.socket, context: Optional[ssl.SSLContext]) -> None:
        self.connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True) if context else None

    def shake_hands(self) -> None:
        """Let the client begin to speak TLS."""
        if self._tls is None:
            return
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.connection.sendall(self._outgoing.read())
                self._incoming.write(self.connection.recv(65536))
        self.connection.sendall(self._outgoing.read())

    def say(self, *texts: bytes, then: bytes = b"", goodbye: bool = False) -> None:
        """Send some texts in one packet, each as a record if it is TLS, and then some bytes as they are."""
        for text in texts:
            if self._tls is None:
                self._outgoing.write(text)
            else:
                self._tls.write(text)
        if goodbye and self._tls is not None:
            with pytest.raises(ssl.SSLWantReadError):
                self._tls.unwrap()
        self.connection.sendall(self._outgoing.read() + then)

    def leave(self) -> None:
        """Close the connection."""
        self.connection.close()

    def reset(self) -> None:
        """Close it by a reset."""
        reset(self.connection)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["plain", "tls"])
def contexts(request: Any, certificates: Certificates) -> Tuple[Optional[ssl.SSLContext], Optional[ssl.SSLContext]]:
    """The contexts of a client and of a server, if they speak TLS."""
    if request.param == "plain":
        return None, None
    return ssl.create_default_context(cafile=certificates.ca), certificates.server()


Accept = Callable[[socket.socket], Peer]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def peers(listener: socket.socket, contexts: Any) -> Iterator[List[Peer]]:
    """The other ends of the connections so far; a thread takes the first, and shakes hands."""
    peers: List[Peer] = []

    def accept() -> None:
        peer = Peer(listener.accept()[0], contexts[1])
        peer.shake_hands()
        peers.append(peer)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield peers
    thread.join(5)
    peers[0].leave()


async def opened(listener: socket.socket, peers: List[Peer], context: Any) -> Tuple[AsyncNetworkStream, Peer]:
    """Both ends of a connection on which something was said, so that no ticket of TLS is under way any more."""
    stream = await AsyncNetwork().connect_tcp("127.0.0.1", listener.getsockname()[1], 5.0)
    if context is not None:
        await stream.start_tls(context, "127.0.0.1", 5.0)
    eventually(lambda: peers)
    peers[0].say(b"hello")
    assert await stream.read(5.0) == b"hello"
    assert not stream.has_unread_data()
    return stream, peers[0]


UNREAD: List[Any] = [
    pytest.param(lambda peer: peer.say(b"x"), id="a byte"),
    pytest.param(lambda peer: peer.say(then=b"x"), id="a byte as it is"),
    pytest.param(lambda peer: peer.say(goodbye=True, then=b"x"), id="a goodbye and a byte"),
    pytest.param(lambda peer: peer.leave(), id="the end"),
    pytest.param(lambda peer: peer.reset(), id="a reset"),
]
AFTER_A_RECORD: List[Any] = [
    pytest.param(lambda peer: peer.say(b"x", b"y"), id="another text of the same packet"),
    pytest.param(lambda peer: peer.say(b"x", then=b"no record"), id="nonsense in the same packet"),
    pytest.param(lambda peer: peer.say(b"x", then=TLS_RECORD[:1]), id="the beginning of a record"),
    pytest.param(lambda peer: peer.say(b"x", then=TLS_RECORD + b"x"), id="half a record"),
    pytest.param(lambda peer: peer.say(b"x", goodbye=True, then=b"x"), id="a goodbye in the same packet"),
]


@pytest.mark.promise("C7", "R11")
@pytest.mark.parametrize("act", UNREAD)
async def test_what_lies_there_is_seen(
    act: Callable[[Peer], None], listener: socket.socket, peers: List[Peer], contexts: Any
) -> None:
    stream, peer = await opened(listener, peers, contexts[0])
    act(peer)
    eventually(stream.has_unread_data)
    await stream.aclose()
    assert stream.has_unread_data()


@pytest.mark.promise("C7", "R11")
@pytest.mark.parametrize("contexts", ["tls"], indirect=True)
@pytest.mark.parametrize("act", AFTER_A_RECORD)
async def test_what_tls_keeps_after_a_record_is_seen(
    act: Callable[[Peer], None], listener: socket.socket, peers: List[Peer], contexts: Any
) -> None:
    stream, peer = await opened(listener, peers, contexts[0])
    act(peer)
    assert await stream.read(5.0) == b"x"
    assert stream.has_unread_data()
    await stream.aclose()
