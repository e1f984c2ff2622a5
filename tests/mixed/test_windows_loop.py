"""The async client on a loop as Windows has it, and sockets as there: shutting one down wakes nobody."""

from __future__ import annotations

import asyncio
import errno
import select
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from sekha import AsyncSekhaClient, SekhaClient, SekhaConnectionError, SekhaTimeoutError
from sekha._concurrency import sockets
from sekha._http.sockets import PlainSocket
from sekha.local import LocalSekha
from support import facts
from support.facts import MESSAGES, REST_KEY
from support.replies import HANG, answer, raw
from support.server import FakeServer

QUERY, CREATE = "POST /api/v1/query", "POST /api/v1/conversations"
T = TypeVar("T")


class ProactorLike(asyncio.SelectorEventLoop):
    """A loop that lacks what `asyncio.ProactorEventLoop` lacks."""

    add_reader: Any = asyncio.AbstractEventLoop.add_reader
    add_writer: Any = asyncio.AbstractEventLoop.add_writer
    remove_reader: Any = asyncio.AbstractEventLoop.remove_reader
    remove_writer: Any = asyncio.AbstractEventLoop.remove_writer
    add_signal_handler: Any = asyncio.AbstractEventLoop.add_signal_handler
    remove_signal_handler: Any = asyncio.AbstractEventLoop.remove_signal_handler


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on such a loop."""
    loop = ProactorLike()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@pytest.fixture(autouse=True)
def _as_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look whether a loop can wait for sockets, as on Windows."""
    monkeypatch.setattr(sockets, "_MAY_LACK_READERS", True)


def client_of(server: FakeServer, **options: Any) -> AsyncSekhaClient:
    return AsyncSekhaClient(controller_url=server.url, api_key=REST_KEY, **{"max_retries": 0, **options})


def test_a_client_works_on_a_loop_without_readers(sekha: LocalSekha) -> None:
    async def main() -> tuple[object, str]:
        async with AsyncSekhaClient(**sekha.options) as client:
            stored = await client.controller.create_conversation(messages=MESSAGES)
            found = await asyncio.gather(*(client.controller.query("x") for _ in range(8)))
            assert all(hits["results"] for hits in found)
            async with await client.bridge.stream_complete(MESSAGES) as stream:
                assert await stream.get_final_text()
            health = await client.health_check()
            return stored["message_count"], health["bridge"]["status"]

    assert run(main()) == (len(MESSAGES), "healthy")


def test_timeouts_and_cancellation_hold_on_such_a_loop(server: FakeServer) -> None:
    async def main() -> None:
        server.always(QUERY, HANG)
        async with client_of(server, timeout=0.05) as client:
            with pytest.raises(SekhaTimeoutError):
                await client.controller.query("x")
        async with client_of(server) as client:
            for _ in range(3):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.controller.query("x"), 0.05)
            server.always(QUERY, answer(facts.hits()))
            assert await client.controller.query("x")

    run(main())


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets that, shut down, wake nobody; reading from one is an error then."""
    shut: set[PlainSocket] = set()
    read = PlainSocket.try_read

    def try_read(self: PlainSocket) -> bytes | None:
        if self in shut:
            raise OSError(errno.ESHUTDOWN, "Cannot send after transport endpoint shutdown")
        return read(self)

    monkeypatch.setattr(PlainSocket, "shut_down", lambda self: shut.add(self))
    monkeypatch.setattr(PlainSocket, "try_read", try_read)


@pytest.mark.promise("C1")
@pytest.mark.usefixtures("asleep")
@pytest.mark.parametrize("starter", [run, asyncio.run], ids=["proactor", "asyncio"])
def test_closing_a_client_ends_its_calls_though_shutting_down_wakes_nobody(
    starter: Callable[[Awaitable[None]], None], server: FakeServer
) -> None:
    busy = threading.Event()
    server.on(CREATE, raw(busy.set, end="hang"))

    async def main() -> None:
        client = client_of(server)
        call = asyncio.ensure_future(client.controller.create_conversation(messages=MESSAGES))
        await asyncio.get_running_loop().run_in_executor(None, busy.wait, 10)
        await asyncio.sleep(0.02)
        await client.aclose()
        with pytest.raises(SekhaConnectionError, match="closed by the client") as caught:
            await asyncio.wait_for(call, 10)
        assert caught.value.may_have_been_applied

    starter(main())


@pytest.mark.promise("C1")
def test_a_thread_that_waits_by_select_ends_when_its_client_is_closed(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(select, "poll", raising=False)
    busy = threading.Event()
    server.on(CREATE, raw(busy.set, end="hang"))
    client = SekhaClient(controller_url=server.url, api_key=REST_KEY, max_retries=0)
    errors: list[BaseException] = []

    def call() -> None:
        try:
            client.controller.create_conversation(messages=MESSAGES)
        except SekhaConnectionError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert busy.wait(10)
    started = time.monotonic()
    client.close()
    thread.join(10)
    assert time.monotonic() - started < 5
    assert [error.may_have_been_applied for error in errors if isinstance(error, SekhaConnectionError)] == [True]
