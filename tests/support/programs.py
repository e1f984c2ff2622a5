"""Programs of the system, such as web servers, that tests start; and calls of a client of any kind to them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple, Type

import pytest
from anyio.from_thread import start_blocking_portal

from sekha import AsyncSekhaClient, SekhaClient, SekhaError
from support.facts import MESSAGES

Make = Callable[[Callable[[Any], Any]], Any]
"""Makes a call of a client, and returns its result: ``make(lambda client: client.controller.health())``."""

KINDS = ("blocking", "asyncio", "trio")


def program(name: str) -> str:
    """The path of a program; the test is skipped if it is not installed."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
    if found is None:
        pytest.skip(f"not installed: {name} (a package of the system)")
    return found


def listens(port: int) -> bool:
    """Whether a port of this machine takes connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> List[int]:
    """Ports of this machine that nobody uses."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@contextmanager
def running(arguments: Sequence[str], ports: Sequence[int], **options: Any) -> Iterator[None]:
    """Run a program until the end of the block; it has started when it takes connections on all ports."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        limit = time.monotonic() + 20
        while not all(map(listens, ports)):
            assert process.poll() is None, f"{arguments[0]} does not start"
            assert time.monotonic() < limit, f"{arguments[0]} does not listen"
            time.sleep(0.01)
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def calling(kind: str, **options: Any) -> Iterator[Make]:
    """Make calls of one client, one after another.

    Args:
        kind: ``blocking``, or the event loop of an async client, which goes on between the calls.
        options: Settings of the client.
    """
    if kind == "blocking":
        with SekhaClient(**options) as client:
            yield lambda call: call(client)
        return
    with start_blocking_portal(kind) as portal, portal.wrap_async_context_manager(AsyncSekhaClient(**options)) as ours:

        async def wait_for(call: Callable[[AsyncSekhaClient], Any]) -> Any:
            return await call(ours)

        yield lambda call: portal.call(wait_for, call)


def calling_one_server(kind: str, url: str, **options: Any) -> AbstractContextManager[Make]:
    """The same of a client for which one address is the controller and the bridge, and which repeats nothing."""
    return calling(kind, controller_url=url, bridge_url=url, api_key="k", max_retries=0, timeout=20.0, **options)


def write(case: str, size: int = 10) -> Callable[[Any], Any]:
    """A call that stores a conversation.

    Args:
        case: A word in its headers, by which a server decides what becomes of it.
        size: Characters of its message.
    """
    headers, messages = {"x-case": case}, [{"role": "user", "content": "x" * size}]
    return lambda client: client.controller.with_options(headers=headers).create_conversation(messages=messages)


def outcome(error: SekhaError) -> Tuple[Type[SekhaError], Optional[int], bool, bool]:
    """What an error says: its class, its status if there is one, and whether it was sent and may have been applied."""
    return type(error), getattr(error, "status_code", None), error.sent, error.may_have_been_applied


def read_stream(client: Any, note: Callable[[str], object]) -> Any:
    """Read the stream of a completion; each piece of its text is noted as it arrives."""

    def texts(chunk: Any) -> str:
        return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])

    async def read() -> None:
        async with await client.bridge.stream_complete(MESSAGES) as stream:
            async for chunk in stream:
                note(texts(chunk))

    if isinstance(client, AsyncSekhaClient):
        return read()
    with client.bridge.stream_complete(MESSAGES) as stream:
        for chunk in stream:
            note(texts(chunk))
    return None
