"""Standard input and output: the protocol, and not one foreign byte."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple, cast

import anyio
from anyio.from_thread import BlockingPortal

from .server import MemoryServer

_GRACE = 0.75
"""Seconds that calls have to end after the client has closed its side; clients wait about two before they kill."""

_LAST_ANSWERS = 0.25
"""Seconds that the answers of those calls have to be written."""

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
"""An escape in JSON; the group is one half of a surrogate pair without the other."""


class Wire(NamedTuple):
    """The streams of the protocol.

    Attributes:
        stdin: What the client sends.
        stdout: What it reads.
    """

    stdin: BinaryIO
    stdout: BinaryIO


def claim_wire() -> Wire:
    """Keep the standard streams for the protocol, and lead everything else away from them.

    What is printed from now on, also by C code and child processes, goes to stderr, and so does what was printed before
    and still waits in a buffer. Whoever reads stdin finds its end.
    """
    null = _above_standard(os.open(os.devnull, os.O_RDWR))
    try:
        stdin = _above_standard(os.dup(0))
    except OSError:  # stdin is closed, and so at its end
        stdin = _above_standard(os.dup(null))
    stdout = _above_standard(os.dup(1))
    os.dup2(null, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # stderr is closed
        os.dup2(null, 1)
        os.dup2(null, 2)
    os.close(null)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    if cast(object, sys.stderr) is None:  # it is closed
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    sys.stdout = sys.stderr
    wire = Wire(os.fdopen(stdin, "rb", closefd=False), os.fdopen(stdout, "wb", buffering=0, closefd=False))
    if wire.stdin.isatty():
        print("sekha mcp: waiting for a client on standard input; Ctrl-C stops the server", file=sys.stderr)
    return wire


def _above_standard(descriptor: int) -> int:
    """Return the same file under a number above those of the standard streams, which may be closed and so free."""
    if descriptor > 2:
        return descriptor
    try:
        return _above_standard(os.dup(descriptor))
    finally:
        os.close(descriptor)


async def serve_stdio(server: Any, memory: MemoryServer, wire: Wire) -> None:
    """Serve one client until it closes its side, or SIGTERM or SIGINT.

    Args:
        server: The server of the SDK.
        memory: The `MemoryServer` behind it.
        wire: The streams of the protocol.
    """
    from mcp.server.stdio import stdio_server

    async with BlockingPortal() as portal:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_stop_by_signal, scope)
                lines: Any = _Lines(wire.stdin, portal, memory, scope)
                output: Any = _Output(wire.stdout)
                try:
                    async with stdio_server(stdin=lines, stdout=output) as (read, write):
                        await server.run(read, write, server.create_initialization_options())
                except Exception:
                    if not lines.has_ended:
                        raise  # else calls have found nobody to answer
                tasks.cancel_scope.cancel()
        await portal.stop(cancel_remaining=True)


class _Lines:
    """The lines of stdin as the SDK iterates over them, read by a thread that may stay behind when the server ends.

    Args:
        stream: The stream.
        portal: Leads from the thread to the event loop.
        memory: Tells when no call is being served.
        scope: What is cancelled if calls take too long after the end.
    """

    def __init__(
        self, stream: BinaryIO, portal: BlockingPortal, memory: MemoryServer, scope: anyio.CancelScope
    ) -> None:
        self._memory = memory
        self._scope = scope
        self.has_ended = False
        send, self._lines = anyio.create_memory_object_stream[str](0)
        threading.Thread(target=_read_lines, args=(stream, portal, send), name="stdin", daemon=True).start()

    async def __aiter__(self) -> AsyncIterator[str]:
        async for line in self._lines:
            yield line
        self.has_ended = True
        with anyio.move_on_after(_GRACE):
            await anyio.sleep(0.05)  # the last line may not have become a call yet
            await self._memory.wait_idle()
        self._scope.deadline = anyio.current_time() + _LAST_ANSWERS


def _read_lines(stream: BinaryIO, portal: BlockingPortal, lines: Any) -> None:
    # The loop may have ended, or end now.
    with suppress(RuntimeError, CancelledError, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        try:
            for line in io.TextIOWrapper(stream, encoding="utf-8", errors="replace"):
                portal.call(lines.send, replace_halves(line))
        finally:
            portal.call(lines.aclose)


def replace_halves(line: str) -> str:
    """Return a line of JSON with U+FFFD for each half of a surrogate pair, such as of an emoji that a client has cut.

    The SDK drops a message with one, and its sender would wait for the answer in vain.
    """
    return _ESCAPE.sub(lambda found: r"\ufffd" if found[1] else found[0], line)


class _Output:
    """Stdout as the SDK writes to it; once the client has gone, nothing is written."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    async def write(self, text: str) -> None:
        data = memoryview(text.encode())
        with suppress(BrokenPipeError):
            await anyio.to_thread.run_sync(self._write, data)

    async def flush(self) -> None:
        """Do nothing: the stream has no buffer."""

    def _write(self, data: memoryview) -> None:
        while data:
            data = data[self._stream.write(data) :]


async def _stop_by_signal(scope: anyio.CancelScope) -> None:
    if sys.platform == "win32":
        return  # Ctrl-C is a KeyboardInterrupt there, and nothing else can be caught
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return
