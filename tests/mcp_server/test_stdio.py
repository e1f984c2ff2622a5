"""The server as a process that a client starts: its streams, its end, and that stdout has nothing but the protocol."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import anyio
import pytest
import trio.testing
from anyio.from_thread import BlockingPortal

from cli.conftest import settings
from mcp_server.peer import Peer
from sekha.local import LocalSekha
from sekha.mcp_server.stdio import _Lines
from support.programs import free_ports

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
WAIT = 60
WAITING = b"sekha mcp: waiting for a client on standard input; Ctrl-C stops the server\n"


def call(number: int, tool: str, **arguments: Any) -> Dict[str, Any]:
    """A request to call a tool."""
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def environment(options: Any, **more: str) -> Dict[str, str]:
    """The environment of the process; with `PYTHONUNBUFFERED`, what a start prints could not be held back."""
    found = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**found, **settings(options), **more}


class Server:
    """A running server and its streams.

    Args:
        options: Settings of the memory.
        words: Options of the command.
        more: Further variables.
    """

    def __init__(self, options: Any, words: Sequence[str] = (), **more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sekha", "mcp", *words],
            env=environment(options, **more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def send(self, *messages: Any) -> None:
        """Send messages, each as a line."""
        assert self.process.stdin is not None
        for message in messages:
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self) -> Dict[str, Any]:
        """The next line of stdout."""
        assert self.process.stdout is not None
        found: Dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def start(self) -> None:
        """Introduce the client."""
        self.send(INITIALIZE)
        assert self.receive()["result"]["serverInfo"]["name"] == "sekha"
        self.send(INITIALIZED)

    def end(self) -> List[str]:
        """Close stdin, and wait for the end; the lines that were still on stdout."""
        out, self.err = self.process.communicate(timeout=WAIT)
        return out.decode().splitlines()


@contextmanager
def running(options: Any, words: Sequence[str] = (), **more: str) -> Iterator[Server]:
    """A server, which is killed at the end if it has not ended."""
    server = Server(options, words, **more)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()
        for stream in (server.process.stdin, server.process.stdout, server.process.stderr):
            assert stream is not None
            with suppress(OSError):  # what was not sent yet
                stream.close()


async def test_a_client_of_the_sdk(options: Any) -> None:
    from mcp import ClientSession, StdioServerParameters, stdio_client

    command = ["-m", "sekha", "mcp", "--folder", "/work"]
    parameters = StdioServerParameters(command=sys.executable, args=command, env=environment(options))
    with anyio.fail_after(WAIT):
        async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            peer = Peer(session)
            id = await peer.store("We ship on Fridays. \N{SAILBOAT}\r\n\u2028end")
            [page] = await peer.export(id)
            assert page["messages"][0]["content"] == "We ship on Fridays. \N{SAILBOAT}\r\n\u2028end"
            assert page["conversation"]["folder"] == "/work"
            assert (await peer.data("memory_search", query="ship"))["results"][0]["conversation_id"] == id


def test_it_ends_when_the_client_closes_its_side(sekha: LocalSekha) -> None:
    with running(sekha.options) as server:
        server.start()
        assert server.end() == []
        assert (server.process.returncode, server.err) == (0, b"")


def test_what_was_asked_before_the_end_is_answered(sekha: LocalSekha) -> None:
    with running(sekha.options) as server:
        server.send(INITIALIZE, INITIALIZED, call(2, "memory_stats"))
        lines = [json.loads(line) for line in server.end()]
        assert [line["id"] for line in lines] == [1, 2]
        assert lines[1]["result"]["structuredContent"]["total_conversations"] == 0
        assert (server.process.returncode, server.err) == (0, b"")


def test_a_client_that_never_spoke(sekha: LocalSekha) -> None:
    with running(sekha.options) as server:
        assert server.end() == []
        assert (server.process.returncode, server.err) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that a process can handle")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("is_busy", [False, True])
def test_a_signal_ends_it_quietly(number: signal.Signals, is_busy: bool, sekha: LocalSekha) -> None:
    with running(sekha.options) as server:
        server.start()
        if is_busy:
            server.send(*(call(number, "memory_search", query="x") for number in range(2, 40)))
        server.process.send_signal(number)
        server.process.wait(WAIT)
        server.end()
        assert (server.process.returncode, server.err) == (0, b"")


def test_a_client_that_reads_no_more(sekha: LocalSekha) -> None:
    with running(sekha.options) as server:
        server.start()
        assert server.process.stdout is not None
        server.process.stdout.close()
        server.send(*(call(number, "memory_stats") for number in range(2, 6)))
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert server.process.wait(WAIT) == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == b""


NOISE = """
import atexit, os, subprocess, sys, warnings
print("noise of a start")


def shout(*_):
    print("noise of a hook")
    os.write(1, b"noise of C code\\n")
    subprocess.run([sys.executable, "-S", "-c", "print('noise of a child')"], env={})
    warnings.warn("noise of a warning")


def find_spec(name, path=None, target=None):
    if name == "mcp.server.stdio":
        shout()


class Finder:
    find_spec = staticmethod(find_spec)


sys.meta_path.insert(0, Finder)
atexit.register(print, "noise of the end")
"""


def test_not_one_foreign_byte_is_on_stdout(sekha: LocalSekha, tmp_path: Path) -> None:
    """What waits in a buffer at the start, what is printed later, by C code and by children, and at the end."""
    (tmp_path / "sitecustomize.py").write_text(NOISE)
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with running(sekha.options, PYTHONPATH=paths) as server:
        server.start()
        server.send(call(2, "memory_stats"), {"not": "JSON-RPC"}, call(3, "memory_search", query="x", filter=1))
        lines = [json.loads(line) for line in server.end()]
        assert all(line["jsonrpc"] == "2.0" for line in lines)
        assert {2, 3} <= {line.get("id") for line in lines}
        assert server.process.returncode == 0
        for noise in ("a start", "a hook", "C code", "a child", "a warning", "the end"):
            assert f"noise of {noise}".encode() in server.err, noise


def test_lines_that_are_no_message_do_not_end_it(sekha: LocalSekha) -> None:
    with running(sekha.options) as server:
        server.start()
        assert server.process.stdin is not None
        server.process.stdin.write(b"nonsense\n\xff\xfe\n[1, 2]\n\n")
        server.send(call(2, "memory_stats"))
        lines = [json.loads(line) for line in server.end()]
        [answer] = [line for line in lines if line.get("id") == 2]
        assert answer["result"]["structuredContent"]["total_conversations"] == 0
        assert server.process.returncode == 0


def test_an_emoji_that_a_client_has_cut_is_answered(sekha: LocalSekha) -> None:
    with running(sekha.options) as server:
        server.start()
        server.send(call(2, "memory_store", messages=[{"role": "user", "content": "Ships \ud83d"}]))
        assert server.receive()["result"]["isError"] is False
        server.send(call(3, "memory_search", query="ships \ude80"))
        [found] = server.receive()["result"]["structuredContent"]["results"]
        assert found["preview"] == "Ships \ufffd"


def test_a_memory_that_never_answers_does_not_keep_it(sekha: LocalSekha) -> None:
    """It ends while the call is in flight, and before the memory has answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as connections:
        listener.settimeout(WAIT)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with running(sekha.options, SEKHA_CONTROLLER_URL=url) as server:
            server.start()
            server.send(call(2, "memory_stats"))
            connections.enter_context(listener.accept()[0])
            assert all("error" in json.loads(line) for line in server.end())
            assert (server.process.returncode, server.err) == (0, b"")


def test_its_end_with_a_call_in_flight_takes_at_most_a_second() -> None:
    """Of a clock that runs only while all wait; clients kill after two seconds."""
    clock = trio.testing.MockClock(autojump_threshold=0)

    class Busy:
        async def wait_idle(self) -> None:
            await anyio.sleep_forever()

    async def main() -> float:
        memory: Any = Busy()
        start = anyio.current_time()
        async with BlockingPortal() as portal:
            with anyio.CancelScope() as scope:
                lines = _Lines(io.BytesIO(), portal, memory, scope)
                async for _ in lines:
                    raise AssertionError("there is no line")
                lines._lines.close()
                await anyio.sleep_forever()
        return anyio.current_time() - start

    took = anyio.run(main, backend="trio", backend_options={"clock": clock})
    assert 0 < took <= 1 + 1e-9


def test_it_starts_without_a_memory_and_lives_on() -> None:
    [port] = free_ports(1)
    options = {"controller_url": f"http://127.0.0.1:{port}", "api_key": "canary-of-rest"}
    with running(options, SEKHA_MAX_RETRIES="0") as server:
        server.start()
        server.send(call(2, "memory_stats"))
        result = server.receive()["result"]
        assert result["isError"] is True
        assert f"127.0.0.1:{port}" in result["content"][0]["text"]
        with LocalSekha(port=port, api_key="canary-of-rest"):
            server.send(call(3, "memory_stats"))
            assert server.receive()["result"]["structuredContent"]["total_conversations"] == 0
        server.end()
        assert (server.process.returncode, server.err) == (0, b"")


@pytest.mark.parametrize("closed", [0, 2])
def test_a_stream_that_is_closed_from_the_start(closed: int, sekha: LocalSekha) -> None:
    """A client may start it without stderr; without stdin there is nobody to serve."""
    redirection = {0: "<&-", 2: "2>&-"}[closed]
    line = f"exec {sys.executable} -m sekha mcp {redirection}"
    sent = f"{json.dumps(INITIALIZE)}\n".encode() if closed == 2 else b""
    done = subprocess.run(
        ["sh", "-c", line], input=sent, capture_output=True, env=environment(sekha.options), timeout=WAIT, check=False
    )
    if closed == 2:
        assert json.loads(done.stdout)["id"] == 1
        assert done.returncode == 0
    else:
        assert done.stdout == b""
        assert done.returncode != 0 or done.stderr == b""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_somebody_who_types_the_command_is_told_what_it_waits_for(sekha: LocalSekha) -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-m", "sekha", "mcp"]
        streams: Any = {"stdin": theirs, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, env=environment(sekha.options), **streams) as process:
            assert process.stderr is not None
            line = process.stderr.readline()
            process.terminate()
            out, err = process.communicate(timeout=WAIT)
        assert (line, out, err) == (WAITING, b"", b"")
    finally:
        os.close(ours)
        os.close(theirs)
