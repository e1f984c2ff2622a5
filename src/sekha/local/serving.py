"""Run two servers in a thread: their sockets, their event loop, and background tasks."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from contextlib import asynccontextmanager
from typing import AsyncGenerator, Optional, Sequence, Union

from starlette.types import ASGIApp

from sekha._concurrency.clock import monotonic
from sekha.local.errors import LocalSekhaError
from sekha.local.models import ChatModel, Embedder, ModelSettingsError
from sekha.local.profiles import BackgroundTask
from sekha.local.protocol import make_server, on_loop_error
from sekha.local.upkeep import Upkeep


class Serving:
    """Servers that run in a thread.

    Args:
        apps: The application of each server.
        sockets: The listening socket of each server.
        models: Models to check before the start, and to close after the stop.
        tasks: Background tasks that run until the stop.
        upkeep: Maintenance of the store until the stop.
    """

    def __init__(
        self,
        apps: Sequence[ASGIApp],
        sockets: Sequence[socket.socket],
        models: Sequence[Union[Embedder, ChatModel]],
        tasks: Sequence[BackgroundTask],
        upkeep: Upkeep,
    ) -> None:
        self._servers = [make_server(app) for app in apps]
        self._sockets = sockets
        self._models = models
        self._tasks = tasks
        self._upkeep = upkeep
        self._fault: Optional[ModelSettingsError] = None
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="sekha-local", daemon=True)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop of the started thread."""
        assert self._loop is not None
        return self._loop

    def start(self, seconds: float) -> None:
        """Start the thread, and wait until the servers answer. Raise LocalSekhaError if they do not."""
        self._thread.start()
        limit = monotonic() + seconds
        while not all(server.started for server in self._servers):
            if not self._thread.is_alive() or monotonic() > limit:
                self._ask_to_stop()
                raise LocalSekhaError(str(self._fault or "the local server did not start"))
            time.sleep(0.002)

    def stop(self, seconds: float) -> None:
        """Stop the servers. Raise LocalSekhaError if it takes longer."""
        self._ask_to_stop()
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise LocalSekhaError(f"the local server did not stop within {seconds:.0f} s")

    async def wait_until_idle(self) -> None:
        """Wait until no request is running."""
        idle = 0
        # A new request may have no handler yet: require 20 consecutive idle iterations of the event loop.
        while idle < 20:
            busy = any(server.server_state.tasks for server in self._servers)
            idle = 0 if busy else idle + 1
            await asyncio.sleep(0.002 if busy else 0)

    def _ask_to_stop(self) -> None:
        for server in self._servers:
            server.should_exit = True

    async def _run(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        loop.time = monotonic  # type: ignore[method-assign]  # a test may freeze the clock, and uvicorn would never stop
        loop.set_exception_handler(on_loop_error)
        try:
            await asyncio.gather(*(model.check() for model in self._models))
            async with self._upkeep, _in_background(self._tasks):
                pairs = zip(self._servers, self._sockets)
                await asyncio.gather(*(server.serve(sockets=[sock]) for server, sock in pairs))
        except ModelSettingsError as error:
            self._fault = error
        finally:
            for model in self._models:
                await model.close()


@asynccontextmanager
async def _in_background(tasks: Sequence[BackgroundTask]) -> AsyncGenerator[None, None]:
    """Run tasks while the block runs."""
    running = [asyncio.ensure_future(task()) for task in tasks]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket; uvicorn itself would end the process if it cannot bind."""
    if not 0 <= port <= 65_535:
        raise LocalSekhaError(f"a port must be a number from 0 to 65535, not {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(128)
        except BaseException:
            sock.close()
            raise
        return sock
    except OSError as error:
        reason = error.strerror or str(error)
        raise LocalSekhaError(f"cannot listen on {host}:{port}: {reason[:1].lower()}{reason[1:]}") from error


def url_of(host: str, sock: socket.socket) -> str:
    """Return the URL of a socket for clients on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{sock.getsockname()[1]}"
