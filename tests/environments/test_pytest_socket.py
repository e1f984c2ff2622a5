"""pytest-socket, with which tests make sure that nothing goes out: it catches our calls, and disturbs no closing."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest

from sekha import AsyncSekhaClient, SekhaClient
from support import facts
from support.facts import MESSAGES
from support.packages import require_packages
from support.replies import answer, chunked, delta
from support.server import FakeServer, eventually

require_packages("environments", "pytest_socket")

pytest_socket: Any = import_module("pytest_socket")

QUERY, CHAT = "POST /api/v1/query", "POST /v1/chat/completions"

pytestmark = pytest.mark.filterwarnings("ignore:A test tried to use:UserWarning")  # it warns before it raises


@pytest.fixture
def settings(server: FakeServer) -> Iterator[Any]:
    """Settings of a client of a server whose streams do not end. When its test ends, sockets are allowed again."""
    server.always(QUERY, answer(facts.hits()))
    server.always(CHAT, chunked(delta("Hi"), end="hang"))
    yield {"controller_url": server.url, "bridge_url": server.url, "api_key": "k"}
    pytest_socket.enable_socket()


@pytest.mark.promise("W12")
def test_what_was_open_before_is_closed(settings: Any, server: FakeServer) -> None:
    client = SekhaClient(**settings)
    client.controller.query("x")
    streams = [client.bridge.stream_complete(MESSAGES) for _ in range(2)]
    for stream in streams:
        next(stream)
    pytest_socket.disable_socket()
    assert client.controller.query("x")["total"] == 0  # on a connection that is there
    streams[0].close()
    client.close()
    streams[1].close()
    eventually(lambda: server.open_connections == 0)


@pytest.mark.promise("W12")
async def test_what_was_open_before_is_closed_by_tasks(settings: Any, server: FakeServer) -> None:
    client = AsyncSekhaClient(**settings)
    await client.controller.query("x")
    streams = [await client.bridge.stream_complete(MESSAGES) for _ in range(2)]
    for stream in streams:
        await stream.__anext__()
    pytest_socket.disable_socket(allow_unix_socket=True)
    assert (await client.controller.query("x"))["total"] == 0
    await streams[0].aclose()
    await client.aclose()
    await streams[1].aclose()
    eventually(lambda: server.open_connections == 0)


def test_a_new_connection_is_an_error_of_the_plugin(settings: Any, server: FakeServer) -> None:
    with SekhaClient(**settings) as client:
        pytest_socket.disable_socket()
        with pytest.raises(pytest_socket.SocketBlockedError):
            client.controller.query("x")
        with pytest.raises(pytest_socket.SocketBlockedError):
            client.bridge.stream_complete(MESSAGES)
        shown = client.health_check()["controller"]
        pytest_socket.enable_socket()
        assert client.controller.query("x")["total"] == 0  # nothing stays taken
    assert (shown["status"], shown["error"]) == ("unknown", "the check itself failed: SocketBlockedError")
    assert (server.lines, server.connections) == ([QUERY], 1)


async def test_a_new_connection_is_an_error_of_the_plugin_for_tasks(settings: Any, server: FakeServer) -> None:
    async with AsyncSekhaClient(**settings) as client:
        pytest_socket.disable_socket(allow_unix_socket=True)
        with pytest.raises(pytest_socket.SocketBlockedError):
            await client.controller.query("x")
        with pytest.raises(pytest_socket.SocketBlockedError):
            await client.bridge.stream_complete(MESSAGES)
        shown = (await client.health_check())["controller"]
        pytest_socket.enable_socket()
        assert (await client.controller.query("x"))["total"] == 0
    assert (shown["status"], shown["error"]) == ("unknown", "the check itself failed: SocketBlockedError")
    assert (server.lines, server.connections) == ([QUERY], 1)


OPTIONS: List[Tuple[Tuple[str, ...], str]] = [
    (
        ("--disable-socket", "--allow-unix-socket"),
        """
        import pytest
        from pytest_socket import SocketBlockedError
        from sekha import AsyncSekhaClient, SekhaClient

        OPTIONS = {"controller_url": "http://127.0.0.1:9", "api_key": "k"}

        def test_blocking():
            with SekhaClient(**OPTIONS) as client, pytest.raises(SocketBlockedError):
                client.controller.health()

        @pytest.mark.anyio
        async def test_awaited():
            async with AsyncSekhaClient(**OPTIONS) as client:
                with pytest.raises(SocketBlockedError):
                    await client.controller.health()
        """,
    ),
    (
        ("--allow-hosts=127.0.0.1,::1",),
        """
        import pytest
        from pytest_socket import SocketConnectBlockedError
        from sekha import AsyncSekhaClient, SekhaClient

        OTHER = {"controller_url": "http://127.0.0.2:9", "api_key": "k"}

        def test_with_a_fixture(sekha_client):
            assert sekha_client.controller.health()["status"] == "healthy"

        def test_blocking():
            with SekhaClient(**OTHER) as client, pytest.raises(SocketConnectBlockedError, match="127.0.0.2"):
                client.controller.health()

        @pytest.mark.anyio
        async def test_awaited():
            async with AsyncSekhaClient(**OTHER) as client:
                with pytest.raises(SocketConnectBlockedError, match="127.0.0.2"):
                    await client.controller.health()
        """,
    ),
]


@pytest.mark.parametrize(("options", "program"), OPTIONS, ids=lambda one: one[0] if isinstance(one, tuple) else "")
def test_its_options(options: Tuple[str, ...], program: str, tmp_path: Path) -> None:
    """With them, a test of a user fails if it forgets that its client is a real one."""
    file = tmp_path / "test_user.py"
    lines = program.strip("\n").splitlines()
    file.write_text("\n".join(line[8:] for line in lines), "utf-8")
    plugins = [option for plugin in ("anyio", "pytest_sekha", "pytest_socket") for option in ("-p", plugin)]
    warnings = ("-W", "error", "-W", "ignore:A test tried to use:UserWarning")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, *warnings, *options, str(file)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
