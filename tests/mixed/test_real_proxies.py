"""Calls through tinyproxy, squid and dante, as packages of the system have them; without one its tests are skipped."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List
from urllib.parse import quote

import pytest

from sekha import AsyncSekhaClient, SekhaClient, SekhaConnectionError, SekhaError
from support import facts
from support.canary import in_sight, texts_of
from support.certificates import Certificates
from support.facts import MESSAGES
from support.programs import free_ports, program, running
from support.replies import answer
from support.server import FakeServer

USER, PASSWORD = "me@corp.test", "p@s/s:#w% ?&=[é"
TINY_USER, TINY_PASSWORD = "me", "secret"  # tinyproxy takes nothing but letters and digits
HEALTH, CREATE = "GET /health", "POST /api/v1/conversations"

SQUID = """
http_port 127.0.0.1:{port}
auth_param basic program /bin/sh {folder}/check.sh
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
cache deny all
access_log none
cache_log {folder}/log
pid_filename {folder}/pid
coredump_dir {folder}
shutdown_lifetime 0 seconds
pinger_enable off
"""
CHECK = """
while read -r line; do if [ "$line" = '{known}' ]; then echo OK; else echo ERR; fi; done
"""
TINYPROXY = """
Port {port}
Listen 127.0.0.1
Timeout 10
MaxClients 20
BasicAuth {user} {password}
"""
DANTE = """
logoutput: {folder}/log
internal: 127.0.0.1 port = {port}
external: lo
clientmethod: none
socksmethod: none
user.privileged: {login}
user.unprivileged: {login}
client pass {{ from: 127.0.0.1/32 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.1/32 to: 127.0.0.1/32 }}
"""


@contextmanager
def started(name: str, config: str, arguments: List[str], **files: str) -> Iterator[int]:
    """Run a proxy on a free port until the end of the block."""
    path = program(name)
    folder = Path(tempfile.mkdtemp())  # not in a folder of pytest: started by root, squid has a user of its own
    folder.chmod(0o777)
    (port,) = free_ports(1)
    known: Dict[str, Any] = {
        "port": port,
        "folder": folder,
        "login": os.environ.get("USER", "root"),
    }
    for file, text in {"config": config, **files}.items():
        written = folder / file.replace("_", ".")
        written.write_text(text.format(**known, user=TINY_USER, password=TINY_PASSWORD) if file == "config" else text)
        written.chmod(0o644)
    try:
        with running([path, *(argument.format(**known) for argument in arguments)], [port]):
            yield port
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def tinyproxy() -> Iterator[int]:
    with started("tinyproxy", TINYPROXY, ["-d", "-c", "{folder}/config"]) as port:
        yield port


@pytest.fixture(scope="module")
def squid() -> Iterator[int]:
    check = CHECK.format(known="me@corp.test p@s/s:%23w%25%20?&=%5B%C3%A9")  # as squid encodes them for its helpers
    with started("squid", SQUID, ["-N", "-f", "{folder}/config"], check_sh=check) as port:
        yield port


@pytest.fixture(scope="module")
def dante() -> Iterator[int]:
    pytest.importorskip("socksio", reason="not installed: socksio, which httpx needs for SOCKS")
    with started("danted", DANTE, ["-f", "{folder}/config", "-p", "{folder}/pid"]) as port:
        yield port


@pytest.fixture(params=["tinyproxy", "squid"])
def proxy(request: pytest.FixtureRequest) -> str:
    """The address of each proxy in turn, with user and password."""
    port: int = request.getfixturevalue(request.param)
    user, password = (USER, PASSWORD) if request.param == "squid" else (TINY_USER, TINY_PASSWORD)
    return f"http://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{port}"


def through(proxy: str) -> str:
    """What errors say of it."""
    return f"through the proxy {proxy.rpartition('@')[2]}"


@pytest.fixture(params=["http", "https"])
def behind(request: pytest.FixtureRequest, server: FakeServer, tmp_path: Path) -> Iterator[FakeServer]:
    """A server behind the proxy, without and with TLS."""
    if request.param == "http":
        yield server
        return
    certificates = Certificates(tmp_path)
    safe = FakeServer(tls=certificates.server())
    yield safe
    safe.close()
    safe.check()


@pytest.fixture(params=["blocking", "async"])
async def call(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """A call of a client of either flavour, which goes through a proxy."""

    async def call(server: FakeServer, proxy: str, *, write: bool = False, **options: Any) -> Any:
        settings: Dict[str, Any] = {"controller_url": server.url, "api_key": "k", "proxy": proxy, **options}
        if server.url.startswith("https"):
            settings["verify"] = str(tmp_path / "ca.pem")
        if request.param == "blocking":
            with SekhaClient(**settings) as client:
                return client.controller.create_conversation(messages=MESSAGES) if write else client.controller.health()
        async with AsyncSekhaClient(**settings) as waiting:
            if write:
                return await waiting.controller.create_conversation(messages=MESSAGES)
            return await waiting.controller.health()

    return call


@pytest.mark.promise("W1")
async def test_user_and_password_with_any_characters_reach_the_proxy(
    proxy: str, behind: FakeServer, call: Callable[..., Any]
) -> None:
    behind.on(HEALTH, answer(facts.HEALTHY))
    behind.on(CREATE, answer(facts.CREATED))
    assert (await call(behind, proxy))["status"] == "healthy"
    await call(behind, proxy, write=True)


@pytest.mark.promise("W1")
@pytest.mark.parametrize("write", [False, True])
async def test_a_wrong_password_is_sent_once_and_not_shown(
    write: bool, proxy: str, behind: FakeServer, call: Callable[..., Any]
) -> None:
    wrong = f"http://me:canary-of-the-proxy@{proxy.rpartition('@')[2]}"
    with pytest.raises(SekhaConnectionError) as caught:
        await call(behind, wrong, write=write)
    error = caught.value
    assert f"{through(proxy)}: the proxy responded 40" in error.message
    assert (error.attempts, error.sent, error.may_have_been_applied) == (1, False, False)
    assert not any(in_sight(text) for text in texts_of(error))
    assert behind.seen == []


@pytest.mark.promise("W1")
async def test_a_server_that_is_down_behind_the_proxy_is_our_error(
    proxy: str, behind: FakeServer, call: Callable[..., Any]
) -> None:
    behind.refuse()
    with pytest.raises(SekhaError) as caught:
        await call(behind, proxy, write=True, max_retries=0)
    assert through(proxy) in caught.value.message


@pytest.mark.promise("W1")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_socks_reaches_the_server(scheme: str, dante: int, behind: FakeServer, call: Callable[..., Any]) -> None:
    behind.on(HEALTH, answer(facts.HEALTHY))
    assert (await call(behind, f"{scheme}://127.0.0.1:{dante}"))["status"] == "healthy"


@pytest.mark.promise("W1")
async def test_what_socks_refuses_is_final(dante: int, server: FakeServer, call: Callable[..., Any]) -> None:
    server.url = "http://192.0.2.1:9"
    for user in ("", "me:canary@"):  # the rules allow this machine alone; and nobody has a password here
        with pytest.raises(
            SekhaConnectionError, match=f"through the proxy 127.0.0.1:{dante}: the proxy resp"
        ) as caught:
            await call(server, f"socks5://{user}127.0.0.1:{dante}")
        assert (caught.value.attempts, caught.value.sent) == (1, False)
        assert not any(in_sight(text) for text in texts_of(caught.value))


@pytest.mark.promise("W1")
@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05", b"", b"\x05\x00\x00", None])
async def test_what_does_not_speak_socks_is_named_in_time(
    reply: Any, call: Callable[..., Any], server: FakeServer
) -> None:
    pytest.importorskip("socksio", reason="not installed: socksio, which httpx needs for SOCKS")
    with odd_socks(reply) as port, pytest.raises(SekhaConnectionError) as caught:
        await call(server, f"socks5://127.0.0.1:{port}", write=True, timeout=0.3, max_retries=0)
    assert f"through the proxy 127.0.0.1:{port}: " in caught.value.message
    assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)


@contextmanager
def odd_socks(reply: Any) -> Iterator[int]:
    """A server that answers these bytes, or none at all."""
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                if reply is not None:
                    connection.sendall(reply)
                    connection.shutdown(socket.SHUT_WR)
                while connection.recv(100):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)
