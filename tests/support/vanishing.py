"""A program: the way to a server is gone, before or after it has acknowledged a request; each client prints its error.

    PYTHONPATH=tests unshare --user --map-root-user --net python tests/support/vanishing.py

It has a network of its own, whose only interface it switches off. The system asks after a second instead of a minute.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import Any, List, Tuple

import anyio

from sekha import AsyncSekhaClient, SekhaClient, SekhaError
from sekha._http import sockets
from support import facts
from support.facts import MESSAGES
from support.replies import HANG, answer
from support.server import FakeServer, eventually

SECONDS = 60.0


def switch(state: str) -> None:
    """Switch the network on or off."""
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


def async_call(options: Any, ready: threading.Barrier) -> SekhaError:
    """The error of a write of the async client."""

    async def call() -> SekhaError:
        async with AsyncSekhaClient(**options) as client:
            await client.controller.count_conversations()
            ready.wait(SECONDS)
            ready.wait(SECONDS)
            try:
                with anyio.fail_after(SECONDS):
                    await client.controller.create_conversation(messages=MESSAGES)
            except SekhaError as error:
                return error
        raise AssertionError

    return anyio.run(call, backend=threading.current_thread().name)


def blocking_call(options: Any, ready: threading.Barrier) -> SekhaError:
    """The same of the blocking client."""
    with SekhaClient(**options) as client:
        client.controller.count_conversations()
        ready.wait(SECONDS)
        ready.wait(SECONDS)
        try:
            client.controller.create_conversation(messages=MESSAGES)
        except SekhaError as error:
            return error
    raise AssertionError


def main(*, acknowledged: bool) -> List[Tuple[str, str]]:
    """Return which client has which error."""
    server, found = FakeServer(), []
    server.always("GET /api/v1/conversations/count", answer({"count": 0}))
    server.always("POST /api/v1/conversations", HANG)
    options: Any = {"controller_url": server.url, "api_key": facts.REST_KEY, "timeout": None, "max_retries": 0}
    options["write_gate"] = "process"  # none waits for the first write of another
    ready = threading.Barrier(4)

    def run(call: Any) -> None:
        error = call(options, ready)
        told = f"{type(error).__name__} {error.sent} {error.may_have_been_applied} {error.message}"
        found.append((threading.current_thread().name, told.replace(server.url.rpartition("/")[2], "server")))

    calls = {"asyncio": async_call, "trio": async_call, "blocking": blocking_call}
    threads = [threading.Thread(target=run, args=[call], name=name, daemon=True) for name, call in calls.items()]
    for thread in threads:
        thread.start()
    ready.wait(SECONDS)
    if not acknowledged:
        switch("down")
    ready.wait(SECONDS)
    if acknowledged:
        eventually(lambda: len(server.seen) == 6)
        switch("down")
    for thread in threads:
        thread.join(SECONDS)
    switch("up")
    return sorted(found)


if __name__ == "__main__":
    sockets._KEEPALIVE_IDLE = sockets._KEEPALIVE_INTERVAL = 1  # type: ignore[misc]  # not final for this program
    sockets._KEEPALIVE_COUNT = 2  # type: ignore[misc]  # as above
    sockets.KEEPALIVE_OPTIONS[:] = sockets.keepalive_options(vars(socket), sys.platform)
    switch("up")
    for is_acknowledged in (True, False):
        for name, told in main(acknowledged=is_acknowledged):
            print(name, told)
    sys.stdout.flush()
    os._exit(0)  # whoever waits on
