"""Idle connections: timers of event loops, threads, forks, and loops that have ended."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Awaitable, Callable, ClassVar, Iterator, List, Type

import anyio
import anyio.lowlevel
import pytest
import trio

from sekha import AsyncSekhaClient, SekhaClient
from sekha._concurrency.clock import Clock
from sekha._concurrency.tasks import async_gather, gather
from sekha._concurrency.timers import AsyncTimer
from sekha._http import idle_pools, pool_state
from sekha._sync.http import connection, network, pool
from support import facts
from support.certificates import Certificates
from support.clock import FakeClock, give_clock
from support.ended_loops import run_strictly
from support.interrupting import Interruption, interrupted_at, interrupted_between
from support.replies import after, answer
from support.server import FakeServer, eventually

HEALTH, QUERY = "GET /health", "POST /api/v1/query"
WELL = answer(facts.HEALTHY)
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
SOURCE = str(Path(sys.modules["sekha"].__file__ or "").parents[1])


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds for which idle connections are kept in this test."""
    seconds = 0.5
    monkeypatch.setattr("sekha._async.http.pool.KEEPALIVE_EXPIRY", seconds)
    return seconds


def make(server: FakeServer, **options: Any) -> AsyncSekhaClient:
    return AsyncSekhaClient(controller_url=server.url, api_key="k", max_retries=0, **options)


async def burst(client: AsyncSekhaClient, server: FakeServer, count: int) -> None:
    """Make calls at the same time, each on a connection of its own."""
    together = threading.Barrier(count)
    server.on(HEALTH, *[after(lambda: together.wait(10), WELL)] * count)
    await async_gather([client.controller.health] * count, count)


async def closed(server: FakeServer) -> None:
    """Wait until the server has no connections, and let the loop run meanwhile."""
    with anyio.fail_after(5):
        while server.open_connections:  # noqa: ASYNC110 - it happens in a thread
            await anyio.sleep(0.005)


def timers() -> List[object]:
    """The timers that are under way in the loop that runs."""
    loop: Any = getattr(anyio.lowlevel.current_token(), "native_token", None)
    if hasattr(loop, "_scheduled"):
        handles = [handle for handle in loop._scheduled if not handle.cancelled()]
        return [one for one in handles if isinstance(getattr(one._callback, "__self__", None), AsyncTimer)]
    root = trio.lowlevel.current_root_task()
    assert root is not None
    tasks = [task for nursery in root.child_nurseries for task in nursery.child_tasks]
    return [task for task in tasks if "sekha" in task.name]


def collect() -> None:
    """Collect garbage. PyPy, which counts no references, takes several times where finalizers free more."""
    for _ in range(3 if sys.implementation.name == "pypy" else 1):
        gc.collect()


# Timers


@BACKENDS
def test_after_a_burst_the_loop_closes_what_is_idle(backend: str, soon: float, server: FakeServer) -> None:
    async def main() -> None:
        async with make(server) as client:
            await burst(client, server, 30)
            assert server.open_connections >= 20
            await closed(server)
            await burst(client, server, 30)
            assert server.connections == 60
            await closed(server)

    anyio.run(main, backend=backend)


@pytest.mark.slow
@BACKENDS
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="this system has no list of its sockets")
def test_three_seconds_after_a_burst_no_socket_waits_for_its_close(backend: str, server: FakeServer) -> None:
    port = f":{int(server.url.rpartition(':')[2]):04X}"

    def sockets(*states: str) -> List[List[str]]:
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return [line for line in lines if line[2].endswith(port) and line[3] in states]

    async def main() -> None:
        async with make(server) as client:
            await burst(client, server, 30)
            server.drop()
            eventually(lambda: len(sockets("08")) == 20)  # CLOSE_WAIT
            await anyio.sleep(3.0)
            assert sockets("01", "08") == []

    anyio.run(main, backend=backend)


@BACKENDS
def test_there_is_one_timer_and_none_when_the_client_is_closed(backend: str, server: FakeServer) -> None:
    async def main() -> None:
        async with make(server) as client:
            assert timers() == []
            for _ in range(3):
                await burst(client, server, 5)
                assert len(timers()) == 1
        await anyio.sleep(0.01)
        assert timers() == []

    anyio.run(main, backend=backend)


@BACKENDS
def test_a_timer_begins_again_as_long_as_something_is_idle(backend: str, soon: float, server: FakeServer) -> None:
    async def main() -> None:
        async with make(server) as client:
            until = time.monotonic() + 3 * soon
            while time.monotonic() < until:
                await burst(client, server, 1)
                assert len(timers()) <= 1
            await closed(server)
            await anyio.sleep(0.01)
            assert timers() == []
            await burst(client, server, 1)
            await closed(server)

    anyio.run(main, backend=backend)


@BACKENDS
def test_each_is_closed_in_its_time_while_another_is_used(backend: str, soon: float, server: FakeServer) -> None:
    async def main() -> None:
        async with make(server) as client:
            await burst(client, server, 5)
            with anyio.fail_after(5):
                while server.open_connections > 1:
                    await burst(client, server, 1)
                    await anyio.sleep(0.005)
            assert server.connections == 5

    anyio.run(main, backend=backend)


@BACKENDS
def test_a_clock_that_stands_still_keeps_no_connection_and_no_timer(
    backend: str, soon: float, server: FakeServer
) -> None:
    async def main() -> None:
        async with make(server) as client:
            give_clock(client, FakeClock())
            await burst(client, server, 3)
            await closed(server)
            await anyio.sleep(0.01)
            assert timers() == []

    anyio.run(main, backend=backend)


class Thing:
    """Something that can be gone."""


variable: contextvars.ContextVar[Thing] = contextvars.ContextVar("variable")


@BACKENDS
@pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning"
)  # as it should: the client is forgotten while its loop runs
def test_a_timer_keeps_alive_neither_the_client_nor_what_its_caller_has_put_into_the_context(
    backend: str, server: FakeServer
) -> None:
    async def call(client: AsyncSekhaClient) -> weakref.ref[Thing]:
        thing = Thing()
        variable.set(thing)
        await burst(client, server, 1)
        return weakref.ref(thing)

    async def main() -> None:
        client = make(server, timeout=None)  # asyncio keeps a cancelled timeout as long as there is an earlier timer
        state = weakref.ref(client._controller_transport._state)
        found: List[Any] = []

        async def run(client: AsyncSekhaClient) -> None:
            found.append(await call(client))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, client)
        assert len(timers()) == 1
        collect()
        assert found[0]() is None
        del client
        collect()
        assert state() is None
        await closed(server)

    contextvars.Context().run(lambda: anyio.run(main, backend=backend))


@BACKENDS
def test_a_timer_delays_no_end(backend: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha._async.http.pool.KEEPALIVE_EXPIRY", 60.0)
    client = make(server)
    started = time.monotonic()
    anyio.run(burst, client, server, 5, backend=backend)
    assert time.monotonic() - started < 30.0
    if backend == "trio" or sys.implementation.name != "pypy":  # which keeps a closed loop of asyncio for long
        collect()
        eventually(lambda: server.open_connections == 0)


@BACKENDS
def test_a_timer_that_was_interrupted_begins_anew(backend: str, soon: float, server: FakeServer) -> None:
    async def main() -> None:
        async with make(server) as client:
            pool: Any = client._controller_transport._state.http_transport()
            schedule = pool._timer._schedule

            def interrupted(seconds: float, at: float) -> None:
                schedule(seconds, at)
                pool._timer.is_stopped = True  # as if it had not come so far
                raise Interruption

            pool._timer._schedule = interrupted
            server.on(HEALTH, WELL)
            with pytest.raises(Interruption):
                await client.controller.health()
            pool._timer._schedule = schedule
            await burst(client, server, 3)
            assert len(timers()) == 2, "the first of them does nothing"
            await closed(server)
            await anyio.sleep(soon)
            assert timers() == []

    anyio.run(main, backend=backend)


def test_a_connection_that_comes_back_outside_of_its_loop_starts_no_timer() -> None:
    calls: List[float] = []

    class Owner:
        def method(self, at: float) -> None:
            calls.append(at)

    owner = Owner()

    async def make_timer() -> AsyncTimer:
        return AsyncTimer(owner.method)

    async def start(timer: AsyncTimer) -> List[object]:
        timer.start(0.0, 1.0)
        await anyio.sleep(0.01)
        return timers()

    for backend in ("asyncio", "trio"):
        timer = anyio.run(make_timer, backend=backend)
        timer.start(0.0, 1.0)
        for other in ("asyncio", "trio"):
            assert anyio.run(start, timer, backend=other) == []
        assert timer.is_stopped
    assert calls == []


def test_a_loop_whose_timers_have_no_weak_references_is_no_error() -> None:
    """As those of some event loops in compiled code."""

    class Handle:
        __slots__ = ("inner",)

        def __init__(self, inner: asyncio.TimerHandle) -> None:
            self.inner = inner

        def cancel(self) -> None:
            self.inner.cancel()

    class Loop(asyncio.SelectorEventLoop):
        def call_later(self, delay: float, callback: Any, *arguments: Any, context: Any = None) -> Any:  # type: ignore[override]  # it gives another type of handle
            return Handle(super().call_later(delay, callback, *arguments, context=context))

    class Owner:
        times: ClassVar[List[float]] = []

        def work(self, at: float) -> None:
            self.times.append(at)

    async def main(owner: Owner, cancel: bool) -> None:
        timer = AsyncTimer(owner.work)
        timer.start(0.0, 7.0)
        if cancel:
            timer.cancel()
        for _ in range(5):
            await asyncio.sleep(0)

    for cancel in (False, True):
        loop, owner = Loop(), Owner()
        loop.run_until_complete(main(owner, cancel))
        loop.close()
        assert owner.times == [7.0]


@pytest.mark.parametrize("error", [RuntimeError, OSError])
def test_what_goes_wrong_in_a_timer_ends_no_program(error: Type[Exception], caplog: pytest.LogCaptureFixture) -> None:
    class Owner:
        def method(self, at: float) -> None:
            raise error("of a clock")

    owner = Owner()

    async def main() -> None:
        AsyncTimer(owner.method).start(0.0, 1.0)
        await anyio.sleep(0.05)

    trio.run(main)
    assert "closing idle connections failed" in caplog.text


# Threads


@contextmanager
def in_a_loop(backend: str, work: Callable[[], Awaitable[None]]) -> Iterator[Callable[[], None]]:
    """Run some work in an event loop in another thread, and again whenever the function is called that this yields."""
    begin, done, over = threading.Semaphore(0), threading.Semaphore(0), threading.Event()

    async def main() -> None:
        while not over.is_set():
            begin.acquire()  # the loop is held up meanwhile
            if not over.is_set():
                await work()
            done.release()

    def again() -> None:
        begin.release()
        assert done.acquire(timeout=10)

    thread = threading.Thread(target=lambda: anyio.run(main, backend=backend))
    thread.start()
    again()
    yield again
    over.set()
    again()
    thread.join(10)


@BACKENDS
@pytest.mark.parametrize("tls", [False, True])
def test_a_call_in_another_thread_closes_what_is_idle_in_a_loop_that_is_held_up(
    tls: bool, backend: str, server: FakeServer, bridge: FakeServer, clock: FakeClock, tmp_path: Path
) -> None:
    certificates = Certificates(tmp_path)
    server = FakeServer(tls=certificates.server()) if tls else server
    client = make(server, verify=certificates.ca)
    give_clock(client, clock)
    bridge.always(HEALTH, WELL)
    with SekhaClient(controller_url=bridge.url, api_key="k") as other:
        give_clock(other, clock)

        async def work() -> None:
            await burst(client, server, 5)

        with in_a_loop(backend, work) as again:
            for number in range(3):
                assert server.open_connections == 5
                clock.move(2.0)
                other.controller.health()
                eventually(lambda: server.open_connections == 0)
                again()
                assert server.connections == 5 * (number + 2)
        clock.move(2.0)
        other.controller.health()
        eventually(lambda: server.open_connections == 0)
    if tls:
        server.close()


def test_threads_that_call_and_close_at_the_same_time_lose_nothing(server: FakeServer, bridge: FakeServer) -> None:
    class Quick(Clock):
        """A clock on which a connection expires after a millisecond."""

        def now(self) -> float:
            return time.monotonic() * 2000

    server.always(QUERY, answer(facts.hits()))
    bridge.always(HEALTH, WELL)
    with SekhaClient(controller_url=server.url, api_key="k", max_connections=4, rate_limit_requests=10**9) as first:
        with SekhaClient(controller_url=bridge.url, api_key="k", rate_limit_requests=10**9) as other:
            for client in (first, other):
                give_clock(client, Quick())
            calls = [lambda: first.controller.query("x"), lambda: other.controller.health()]
            gather(calls * 400, 12)
            http: Any = first._controller_transport._state.http_transport()
            assert not http._state.slots.tickets()
            time.sleep(0.005)
            other.controller.health()
            eventually(lambda: server.open_connections == 0)


@pytest.mark.promise("R5")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # what is interrupted before anybody has it is collected
@pytest.mark.parametrize("between", [False, True], ids=["before a line", "in a line"])
def test_wherever_closing_is_interrupted_nothing_is_lost(between: bool, server: FakeServer, clock: FakeClock) -> None:
    server.always(QUERY, answer(facts.hits()))
    interrupted = interrupted_between if between else interrupted_at
    with SekhaClient(controller_url=server.url, api_key="k", max_connections=3) as client:
        give_clock(client, clock)
        http: Any = client._controller_transport._state.http_transport()
        number, there_was_one = 0, True
        while there_was_one:
            number += 1
            gather([lambda: client.controller.query("x")] * 3, 3)
            clock.move(2.0)
            with interrupted(number, Interruption(), pool, connection, network, pool_state, idle_pools) as happened:
                with suppress(Interruption):
                    http.close_expired()
            there_was_one = happened()
            http.close_expired()
            eventually(lambda: server.open_connections == 0)
            clock.move(60.0)
        assert number > 20


# Clients and loops that are gone


@needs_fork
@pytest.mark.promise("R10")
def test_a_child_closes_only_its_own_copies(server: FakeServer, bridge: FakeServer) -> None:
    server.always(HEALTH, WELL)
    bridge.always(HEALTH, WELL)
    code = """
import os, sys
from sekha import SekhaClient
from sekha.testing import FakeClock, use_clock

clock = FakeClock()
first, other = [SekhaClient(controller_url=url, api_key="k") for url in sys.argv[1:]]
for client in (first, other):
    use_clock(client, clock)
    client.controller.health()
child = os.fork()
if child == 0:
    clock.move(2.0)
    for client in (other, first, other):
        client.controller.health()
    first.close()
    other.close()
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
first.controller.health()
clock.move(2.0)
other.controller.health()
input()
first.close()
other.close()
"""
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code, server.url, bridge.url],
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        eventually(lambda: len(server.seen) == 3, 30)
        eventually(lambda: server.open_connections == 0)
        _, err = process.communicate("\n", timeout=30)
    assert (process.returncode, err) == (0, "")
    assert [seen.connection for seen in server.seen] == [1, 2, 1]


def test_what_was_idle_in_a_closed_loop_is_closed_by_the_next_call(
    server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    bridge.always(HEALTH, WELL)
    client, loop = make(server), asyncio.new_event_loop()
    give_clock(client, clock)
    loop.run_until_complete(burst(client, server, 5))
    loop.close()
    with SekhaClient(controller_url=bridge.url, api_key="k") as other:
        give_clock(other, clock)
        clock.move(2.0)
        other.controller.health()
        eventually(lambda: server.open_connections == 0)


@pytest.mark.promise("R9", "R13")
@pytest.mark.parametrize("how", ["call", "close"])
def test_the_next_loop_closes_what_the_one_before_has_left(how: str, server: FakeServer) -> None:
    client = make(server)
    loops = [asyncio.new_event_loop() for _ in range(2)]
    loops[0].run_until_complete(burst(client, server, 5))
    loops[0].close()
    assert server.open_connections == 5
    loops[1].run_until_complete(burst(client, server, 1) if how == "call" else client.aclose())
    collect()
    eventually(lambda: server.open_connections == (how == "call"))
    loops[1].run_until_complete(client.aclose())
    loops[1].close()


@pytest.mark.slow
@pytest.mark.promise("R9", "R13")
@BACKENDS
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_a_client_that_outlives_its_loops_fails_no_test(backend: str, tls: bool, tmp_path: Path) -> None:
    run_strictly(backend, tls, tmp_path)


def forget(clients: List[Any]) -> None:
    """Leave clients to the garbage collector, which finds them now."""
    clients.clear()
    collect()


@pytest.mark.promise("R13")
@pytest.mark.parametrize("flavour", [AsyncSekhaClient, SekhaClient])
def test_a_client_that_was_forgotten_while_it_could_be_closed_is_warned_of(flavour: Any, server: FakeServer) -> None:
    server.always(HEALTH, WELL)

    async def main() -> None:
        client = flavour(controller_url=server.url, api_key="k")
        found = client.controller.health()
        if flavour is AsyncSekhaClient:
            await found
        del found
        clients = [client]
        del client
        with pytest.warns(ResourceWarning, match="unclosed <socket"):
            forget(clients)

    asyncio.run(main())
