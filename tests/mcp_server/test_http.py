"""The server over HTTP: who may use it, many clients at a time, and its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import Any, AsyncIterator, Dict, Iterator, List, Sequence, Tuple

import anyio
import httpx
import pytest

from cli.conftest import settings
from mcp_server.peer import ALL_TOOLS, Peer
from sekha.local import LocalSekha
from sekha.mcp_server.sdk import MAJOR

TOKEN = "a-token-for-tests"
WAIT = 60
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPT = {"Accept": "application/json, text/event-stream"}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it is stopped by a signal")


@pytest.fixture
def anyio_backend() -> str:
    """On trio, the client of the SDK leaves generators open, which Python reports."""
    return "asyncio"


@contextmanager
def serving(options: Any, words: Sequence[str] = (), **more: str) -> Iterator[Tuple[str, subprocess.Popen[str]]]:
    """The address of a server on a free port, and its process; it is stopped at the end, and must end well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sekha", "mcp", "--http", "--port", "0", *words],
        env={**os.environ, **settings(options), **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        found = re.search(r"listening on (http://\S+/mcp);", process.stderr.readline())
        assert found
        yield found[1], process
        process.terminate()
        out, err = process.communicate(timeout=WAIT)
        assert (process.returncode, out) == (0, "")
        assert "Traceback" not in err
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def client_of(url: str, token: str = "") -> AsyncIterator[Peer]:
    """A client of the SDK."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if MAJOR == 1:
        http: Any = httpx.AsyncClient(headers=headers, timeout=WAIT)
    else:
        import httpx2

        http = httpx2.AsyncClient(headers=headers, timeout=WAIT)
    async with http:
        streams: Any
        async with streamable_http_client(url, http_client=http) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                yield Peer(session)


async def test_clients_are_served_at_the_same_time(sekha: LocalSekha) -> None:
    with serving(sekha.options, ["--folder", "/work"]) as (url, _), anyio.fail_after(WAIT):
        ids: List[str] = []

        async def use(number: int) -> None:
            async with client_of(url) as peer:
                assert set(await peer.tools()) == set(ALL_TOOLS) - {"memory_prune"}
                ids.append(await peer.store(f"We ship on day {number}."))
                assert (await peer.data("memory_search", query=f"ship day {number}"))["results"]
                assert "is not a known argument" in await peer.error("memory_search", query="x", colour=1)

        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(use, number)
        assert len(set(ids)) == 4


async def test_it_ends_while_clients_are_connected(sekha: LocalSekha) -> None:
    """Though they keep a stream open."""
    with serving(sekha.options) as (url, process), anyio.fail_after(WAIT):
        async with client_of(url) as peer:
            await peer.data("memory_stats")
            process.send_signal(signal.SIGINT)
            assert await anyio.to_thread.run_sync(process.wait) == 0


def post(url: str, **headers: str) -> httpx.Response:
    """Send a request without a session; a server that lets it through asks for one."""
    return httpx.post(url, json=PING, headers={**ACCEPT, **headers}, timeout=WAIT, trust_env=False)


def test_only_this_machine_and_no_foreign_page(sekha: LocalSekha) -> None:
    with serving(sekha.options, ["--allow-host", "memory.example"]) as (url, _):
        port = httpx.URL(url).port
        for host in (f"localhost:{port}", "LOCALHOST", "a.localhost", "localhost.", "127.0.0.2", "[::1]:80"):
            assert post(url, Host=host).status_code == 400, host
        for host in ("memory.example", "Memory.example:1"):
            assert post(url, Host=host).status_code == 400, host
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example:80", ""):
            assert post(url, Host=host).status_code == 421, host
        assert post(url, Host="evil.example:1").text == (
            "This server is not evil.example. If it shall be: --allow-host evil.example."
        )
        for origin in ("http://localhost:3000", "http://app.localhost", "http://127.0.0.1", "https://memory.example"):
            assert post(url, Origin=origin).status_code == 400, origin
        for origin in ("http://evil.example", "null", "http://localhost.evil.example", "https://evil.example:80"):
            assert post(url, Origin=origin).status_code == 403, origin
        assert httpx.get(url.replace("/mcp", "/"), trust_env=False).status_code == 404


async def test_with_a_token_nothing_works_without_it(sekha: LocalSekha) -> None:
    with serving(sekha.options, SEKHA_MCP_TOKEN=TOKEN) as (url, _), anyio.fail_after(WAIT):
        wrong: List[Dict[str, str]] = [{}, *({"Authorization": value} for value in _WRONG)]
        for headers in wrong:
            for path in ("/mcp", "/"):
                refused = post(url.replace("/mcp", path), **headers)
                assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer"), headers
                assert TOKEN not in refused.text
        async with client_of(url, TOKEN) as peer:
            assert (await peer.data("memory_stats"))["total_conversations"] == 0


_WRONG = (TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}")


def test_another_host_with_a_token(sekha: LocalSekha) -> None:
    with serving(sekha.options, ["--host", "0.0.0.0"], SEKHA_MCP_TOKEN=TOKEN) as (url, _):
        here = url.replace("0.0.0.0", "127.0.0.1")
        assert post(here).status_code == 401
        assert post(here, Authorization=f"Bearer {TOKEN}").status_code == 400
        assert post(here, Authorization=f"Bearer {TOKEN}", Host="evil.example").status_code == 421


def test_a_port_that_is_taken(sekha: LocalSekha) -> None:
    with serving(sekha.options) as (url, _):
        port = str(httpx.URL(url).port)
        done = subprocess.run(
            [sys.executable, "-m", "sekha", "mcp", "--http", "--port", port],
            env={**os.environ, **settings(sekha.options)},
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"sekha mcp: cannot listen on 127.0.0.1, port {port}: ")
        assert done.stderr.count("\n") == 1
