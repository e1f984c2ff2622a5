# Generated from tests/_async/test_connecting.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Connecting: the reason of each failure, names in every form, hosts with several addresses, and silent servers."""

from __future__ import annotations

import errno
import gc
import os
import re
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from sekha import SekhaConfigError, SekhaConnectionError
from sekha._sync.http import network
from sekha._sync.http.network import Network
from sekha._concurrency.tasks import gather
from sekha._http.sockets import _system_error
from support import facts
from support.certificates import Certificates
from support.clock import FakeClock
from support.facts import MESSAGES
from support.nobody import Unreachable
from support.replies import after, answer, empty, head, raw
from support.server import FakeServer, eventually

from .conftest import MakeClient

HEALTH, CREATE = "GET /health", "POST /api/v1/conversations"
KNOWN = socket.getaddrinfo
CLOSING = raw(
    head(connection="close", content_type="application/json", content_length="35") + b"\r\n",
    b'{"status": "healthy", "checks": {}}',
    end="close",
)


def resolve(monkeypatch: pytest.MonkeyPatch, host: str, *addresses: str | tuple[str, int] | OSError) -> list[str]:
    """Let a host have these addresses, some with a port of their own, or an error; the hosts that are looked up."""
    looked_up: list[str] = []

    def getaddrinfo(name: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        text = name.decode() if isinstance(name, bytes) else name
        if text != host or (options.get("flags") and ":" not in host):  # a name is no IP address
            return KNOWN(name, port, *arguments, **options)
        looked_up.append(text)
        found: list[Any] = []
        for one in addresses:
            if isinstance(one, OSError):
                raise one
            address = (one, port) if isinstance(one, str) else one
            found.append((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", address))
        return found

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return looked_up


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The addresses to which connecting was begun."""
    tried: list[tuple[str, int]] = []
    known = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.gettimeout() == 0:  # not a fake server, which connects to itself when it closes
            tried.append(address)
        known(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


# Why there is no connection


def words(number: int) -> str:
    """How the system says why; on Windows, sockets have errors of their own."""
    return str(_system_error(number))


def failure(make: MakeClient, url: str) -> SekhaConnectionError:
    """How a write to a server that cannot be reached fails."""
    with pytest.raises(SekhaConnectionError) as caught:
        make(controller_url=url, max_retries=0).controller.create_conversation(messages=MESSAGES)
    error = caught.value
    assert re.match(rf"{re.escape(urlsplit(url).netloc)}: cannot connect: \[(Errno|WinError) ", str(error))
    assert (error.sent, error.may_have_been_applied) == (False, False)
    assert isinstance(error.__cause__, OSError)
    return error


@pytest.mark.promise("C4")
@pytest.mark.parametrize(
    "number",
    [
        errno.ECONNREFUSED,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EADDRNOTAVAIL,  # no local port is left
        errno.EACCES,
        errno.EMFILE,
        errno.ENOBUFS,
        errno.ETIMEDOUT,  # the system gave up before we did
    ],
    ids=errno.errorcode.get,
)
@pytest.mark.parametrize("at_once", [False, True])
def test_the_reason_of_the_system_is_named(
    at_once: bool, number: int, make: MakeClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, reach = socket.socket.getsockopt, socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if at_once:
            raise OSError(number, os.strerror(number))
        reach(self, address)  # so that the socket can be written; on Windows it cannot before

    def getsockopt(self: socket.socket, level: int, option: int, *size: int) -> Any:
        return number if option == socket.SO_ERROR else known(self, level, option, *size)

    with monkeypatch.context() as patched:  # the fake servers connect to themselves when they close
        patched.setattr(socket.socket, "connect", connect)
        patched.setattr(socket.socket, "getsockopt", getsockopt)
        error = failure(make, server.url)
    assert (os.strerror(number) if at_once else words(number)) in str(error)
    assert isinstance(error.__cause__, OSError)
    assert error.__cause__.errno == number


@pytest.mark.promise("C4")
def test_a_refused_connection_is_named(make: MakeClient) -> None:
    nobody = FakeServer(listening=False)
    try:
        error = failure(make, nobody.url)
    finally:
        nobody.close()
    assert words(errno.ECONNREFUSED) in str(error)
    assert isinstance(error.__cause__, ConnectionRefusedError)


@pytest.mark.promise("C4")
def test_too_many_open_files_are_named_and_the_next_call_works(make: MakeClient, server: FakeServer) -> None:
    resource = pytest.importorskip("resource", reason="a limit of open files that Windows does not have")
    server.on(HEALTH, answer(facts.HEALTHY))
    client = make(max_retries=0)
    gc.collect()  # what other tests have left must not be collected, and warned of, while nothing can be opened
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        error = failure(make, server.url)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "Too many open files" in str(error)
    assert (client.controller.health())["status"] == "healthy"


@pytest.mark.promise("C4")
@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL])
def test_the_reason_of_the_resolver_is_named(
    number: int, make: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, "sekha.test", socket.gaierror(number, "the resolver's words"))
    error = failure(make, "http://sekha.test:8080")
    assert "the resolver's words" in str(error)
    assert isinstance(error.__cause__, socket.gaierror)


@pytest.mark.promise("C4")
@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ((errno.ECONNREFUSED, errno.ENETUNREACH), errno.ECONNREFUSED),
        ((errno.ENETUNREACH, errno.ECONNREFUSED), errno.ECONNREFUSED),
        ((errno.EADDRNOTAVAIL, errno.ENETUNREACH), errno.EADDRNOTAVAIL),
        ((errno.EHOSTUNREACH, errno.EACCES, errno.ECONNREFUSED), errno.EACCES),
    ],
)
def test_of_several_addresses_the_one_is_named_that_can_be_reached(
    numbers: tuple[int, ...], named: int, make: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = list(numbers)

    def connect(self: socket.socket, address: Any) -> None:
        number = left.pop(0)
        raise OSError(number, os.strerror(number))

    resolve(monkeypatch, "sekha.test", *(f"192.0.2.{n}" for n in range(len(numbers))))
    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "connect", connect)
        error = failure(make, "http://sekha.test:80")
    assert os.strerror(named) in str(error)
    assert left == []


# Hosts with several addresses


@pytest.fixture
def silent_first(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server whose host has another address first, where nobody answers."""
    with Unreachable(silent=True) as nobody:
        server = FakeServer()
        resolve(monkeypatch, "sekha.test", *(("127.0.0.1", urlsplit(one.url).port or 0) for one in (nobody, server)))
        yield server
        server.close()


@pytest.mark.promise("R11", "W7")
@pytest.mark.parametrize("timeout", [None, 10.0])
@pytest.mark.parametrize("deadline", [None, 10.0])
def test_a_silent_first_address_costs_little_and_once(
    deadline: float | None,
    timeout: float | None,
    make: MakeClient,
    clock: FakeClock,
    silent_first: FakeServer,
    tried: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "_NEXT_ADDRESS_AFTER", 0.02)
    good = ("127.0.0.1", urlsplit(silent_first.url).port)
    silent_first.always(HEALTH, CLOSING)
    client = make(controller_url="http://sekha.test:80", timeout=timeout, deadline=deadline, max_retries=0)
    for _ in range(3):
        client.controller.health()
    assert len(tried) == 4
    assert tried[1:] == [good, good, good]
    clock.move(600.0)
    tried.clear()
    client.controller.health()
    client.controller.health()
    assert len(tried) == 3
    assert tried[1:] == [good, good]


@pytest.mark.promise("R11", "W7")
def test_the_other_addresses_are_tried_when_the_one_that_worked_is_gone(
    make: MakeClient, server: FakeServer, tried: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = urlsplit(server.url).port
    resolve(monkeypatch, "sekha.test", "127.0.0.2", "127.0.0.1", "127.0.0.3")
    server.always(HEALTH, CLOSING)
    client = make(controller_url=f"http://sekha.test:{port}", max_retries=0)
    for _ in range(2):
        client.controller.health()
    assert [host for host, _ in tried] == ["127.0.0.2", "127.0.0.1", "127.0.0.1"]
    tried.clear()
    server.refuse()
    with pytest.raises(SekhaConnectionError, match="Connection refused"):
        client.controller.query("x")
    assert [host for host, _ in tried] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    server.listen()


# Silent servers


@pytest.mark.promise("R11", "W7")
def test_the_system_asks_after_a_silent_server(server: FakeServer) -> None:
    stream = Network().connect_tcp("127.0.0.1", urlsplit(server.url).port or 0, 5.0)
    sock = stream._socket.sock
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    if sys.platform == "linux":
        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        assert [sock.getsockopt(socket.IPPROTO_TCP, name) for name in names] == [60, 15, 4, 120_000]
    stream.close()


# After a burst


@pytest.mark.promise("R16")
def test_after_a_burst_few_connections_stay_open(make: MakeClient, server: FakeServer) -> None:
    all_there = threading.Barrier(50)
    server.always(HEALTH, after(lambda: all_there.wait(10), answer(facts.HEALTHY)))
    client = make(max_connections=50)
    gather([client.controller.health] * 50, 50)
    assert server.connections == 50
    eventually(lambda: server.open_connections == 20)


# Names


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.promise("C10", "S7")
@pytest.mark.parametrize(
    ("host", "looked_up", "name"),
    [
        ("sekha.test", "sekha.test", "sekha.test"),
        ("sekha.test.", "sekha.test.", "sekha.test"),
        ("Sekha.TEST", "sekha.test", "sekha.test"),
        ("SEKHA.test.", "sekha.test.", "sekha.test"),
        ("münchen.test", "xn--mnchen-3ya.test", "xn--mnchen-3ya.test"),
        ("MÜNCHEN.test.", "xn--mnchen-3ya.test.", "xn--mnchen-3ya.test"),
    ],
)
def test_a_name_is_looked_up_and_checked_in_the_right_form(
    host: str,
    looked_up: str,
    name: str,
    make: MakeClient,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []
    context = certificates.server(name)
    context.sni_callback = lambda _, sni, __: asked.append(sni)
    server = FakeServer(tls=context)
    server.on(HEALTH, answer(facts.HEALTHY))
    names = resolve(monkeypatch, looked_up, "127.0.0.1")
    port = urlsplit(server.url).port
    try:
        client = make(controller_url=f"https://{host}:{port}", verify=certificates.ca)
        assert (client.controller.health())["status"] == "healthy"
    finally:
        server.close()
    assert set(names) == {looked_up}
    assert asked == [name]
    assert server.only.headers["host"] == f"{name}:{port}"


@pytest.mark.promise("C10", "S7")
def test_a_client_of_the_user_checks_a_rooted_name_too(
    make: MakeClient, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeServer(tls=certificates.server("sekha.test"))
    server.on(HEALTH, answer(facts.HEALTHY))
    names = resolve(monkeypatch, "sekha.test.", "127.0.0.1")
    try:
        with httpx.Client(verify=ssl.create_default_context(cafile=certificates.ca)) as lent:
            url = f"https://sekha.test.:{urlsplit(server.url).port}"
            assert (make(controller_url=url, http_client=lent).controller.health())["status"] == "healthy"
    finally:
        server.close()
    assert set(names) == {"sekha.test."}


@pytest.mark.promise("C10")
def test_a_proxy_is_asked_for_a_rooted_name_without_its_dot(make: MakeClient, server: FakeServer) -> None:
    server.on("CONNECT 443", empty(403))
    with pytest.raises(SekhaConnectionError, match="the proxy responded 403"):
        make(controller_url="https://sekha.test.", proxy=server.url).controller.query("x")
    assert server.only.target == "sekha.test:443"


@pytest.mark.promise("C10")
@pytest.mark.parametrize("written", ["%25lo", "%lo"])
def test_an_address_with_a_zone_is_looked_up_with_it(
    written: str, make: MakeClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = urlsplit(server.url).port
    looked_up = resolve(monkeypatch, "fe80::1%lo", "127.0.0.1")
    server.on(HEALTH, answer(facts.HEALTHY))
    make(controller_url=f"http://[fe80::1{written}]:{port}").controller.health()
    assert looked_up == ["fe80::1%lo"]
    assert server.only.headers["host"] == f"[fe80::1]:{port}"


# Certificates of the client


@pytest.mark.promise("S7", "R1")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_certificate_is_named_once(
    version: ssl.TLSVersion, make: MakeClient, certificates: Certificates, clock: FakeClock
) -> None:
    context = certificates.server(asks_for_client=True)
    context.minimum_version = context.maximum_version = version
    server = FakeServer(tls=context)
    try:
        client = make(controller_url=server.url, verify=certificates.ca)
        for call in (
            lambda: client.controller.query("x"),
            lambda: client.controller.create_conversation(messages=MESSAGES),
            lambda: client.controller.create_conversation(messages=[{"role": "user", "content": "x" * 3_000_000}]),
        ):
            with pytest.raises(SekhaConnectionError) as caught:
                call()
            error = caught.value
            assert str(error).startswith(f"{urlsplit(server.url).netloc}: cannot connect: [SSL: ")
            assert "ALERT" in str(error)
            assert (error.sent, error.may_have_been_applied, error.attempts) == (False, False, 1)
    finally:
        server.close()
    assert (server.seen, clock.waits) == ([], [])


# Clients of other libraries


@pytest.mark.promise("C4")
@pytest.mark.parametrize(
    ("module", "shown"), [("httpx2", "httpx2.Client"), ("httpx2._client", "httpx2.Client"), ("builtins", "Client")]
)
def test_a_client_of_another_library_is_refused_by_its_whole_name(
    module: str, shown: str, make: MakeClient
) -> None:
    cls = type("Client", (), {"__module__": module})
    with pytest.raises(SekhaConfigError, match=rf"^http_client: must be an httpx\.\w+, not {shown}$"):
        make(http_client=cls())
    with pytest.raises(SekhaConfigError, match=rf"not the class {shown}$"):
        make(http_client=cls)
