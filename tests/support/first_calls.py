"""A program: makes every call for the first time, and prints what was imported and opened meanwhile by its thread.

Arguments: ``asyncio`` or ``trio``; an address that speaks TLS, and the path of its authority.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
import traceback
from contextlib import suppress
from typing import Any, Iterator, List, Set, Tuple

import trio

import sekha
from sekha import SekhaError
from sekha._transport.write_locks import runtime_folder
from support.calls import CALLS
from support.clock import FakeClock, give_clock
from support.facts import MESSAGES, REST_KEY
from support.replies import DONE, DROP, RESET, answer, body, chunked, cut, delta, empty, event, text
from support.server import FakeServer, Reply

QUERY, CHAT, CREATE = "POST /api/v1/query", "POST /v1/chat/completions", "POST /api/v1/conversations"
FAULTS: List[Reply] = [
    DROP,
    RESET,
    cut(),
    *(text("no", status) for status in (400, 401, 403, 404, 409, 413, 415, 422, 500, 501)),
    *(empty(status, retry_after="Fri, 31 Jan 2031 23:59:59 GMT") for status in (429, 502, 503, 504)),
    empty(302, location="http://elsewhere.test/?x"),
    answer({"detail": [{"loc": ["body"], "msg": "no"}]}, 422),
    body(b"<html>", 502, "text/html"),
    body(b"\xff{", 200),
    body(b"x", 200, content_encoding="gzip"),
    answer({}),
]
STREAMS: List[Reply] = [
    chunked(delta("Hi"), end="close"),
    chunked(event({"error": {"message": "no"}})),
    chunked(event("no json")),
    chunked(delta("Hi"), delta("", "stop"), DONE),
]


class Watcher:
    """Notes what one thread imports and opens while it is on."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.on = False
        self.seen: List[str] = []
        self._places: Set[str] = set()
        sys.addaudithook(self._hook)

    def _hook(self, name: str, arguments: Tuple[Any, ...]) -> None:
        if name == "open" and str(arguments[0]).startswith(runtime_folder()):
            return  # the files of `write_gate` are empty and in memory: a thread would take longer
        if self.on and name in ("import", "open") and threading.get_ident() == self.thread:
            self.on = False  # the traceback opens files itself
            where = "".join(traceback.format_stack()[:-1]).partition('  File "<frozen importlib')[0]
            if where not in self._places:  # what an import leads to is no place of its own
                self._places.add(where)
                self.seen.append(f"{name} {arguments[0]}\n{where}")
            self.on = True


def steps(client: Any, secure: Any, server: FakeServer, bridge: FakeServer) -> Iterator[Any]:
    """Everything once: each step is awaited where it must be."""
    yield secure.controller.health()
    for call in CALLS:
        call.script(server, bridge)
        yield call.on(client)
    once = client.with_options(max_retries=0, timeout=5.0)
    for fault in FAULTS:
        server.on(QUERY, fault)
        server.on(CREATE, fault)
        bridge.on(CHAT, fault, fault)
        yield once.controller.query("x")
        yield once.controller.create_conversation(messages=MESSAGES)
        yield once.bridge.complete(MESSAGES)
        yield once.bridge.stream_complete(MESSAGES)
    for reply in STREAMS:
        bridge.on(CHAT, reply)
        yield once.bridge.stream_complete(MESSAGES)
    yield client.controller.query("")
    yield client.controller.get_conversation("no id")
    yield client.bridge.complete([{"role": "user", "content": float("nan")}])
    server.on(QUERY, Reply(end="hang"))
    yield client.with_options(deadline=0.05).controller.query("x")
    server.on(QUERY, Reply(end="hang"))
    yield client.with_options(timeout=0.05, max_retries=0).controller.query("x")
    server.on(QUERY, DROP, answer({"results": [], "total": 0, "page": 0, "page_size": 10}))
    yield client.controller.query("x")
    yield client.health_check()
    yield client.with_options(max_retries=0, deadline=5.0).store_and_query(MESSAGES, "x")


async def awaited(client: Any, secure: Any, servers: Tuple[FakeServer, FakeServer], watcher: Watcher) -> None:
    """All steps in a loop; a backend's own work before the first of them is not ours."""
    watcher.on = True
    for step in steps(client, secure, *servers):
        with suppress(SekhaError):
            result = await step if inspect.isawaitable(step) else step
            if hasattr(result, "get_final_text"):
                async with result:
                    await result.get_final_text()
    watcher.on = False
    await client.aclose()
    await secure.aclose()


def main(backend: str, url: str, ca: str) -> None:
    """Run, and print."""
    server, bridge = FakeServer(), FakeServer()
    watcher = Watcher()
    options: Any = {"bridge_url": bridge.url, "api_key": REST_KEY}

    async def run() -> None:
        client = sekha.AsyncSekhaClient(controller_url=server.url, **options)
        secure = sekha.AsyncSekhaClient(controller_url=url, verify=ca, **options)
        give_clock(client, FakeClock())
        await awaited(client, secure, (server, bridge), watcher)

    if backend == "trio":
        trio.run(run)
    else:
        asyncio.run(run())  # natively: `anyio.run` imports what anyio needs beforehand
    print(len(server.seen) + len(bridge.seen))
    print("\n".join(watcher.seen))
    server.close()
    bridge.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
