"""Gates of users in async clients: those of blocking code in worker threads, and those that are awaited."""

from __future__ import annotations

import threading
from typing import Any, Callable, List, Optional

import anyio
import pytest

from sekha import AsyncSekhaClient, SekhaClient
from support import facts
from support.facts import MESSAGES
from support.replies import after, answer
from support.routes import CREATE, HEALTH
from support.server import FakeServer, eventually

MADE, OLD = answer(facts.CREATED, 201), answer(facts.HEALTHY)
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


class Blocking:
    """One place, by a lock of threads."""

    def __init__(self) -> None:
        self.semaphore = threading.Semaphore(1)
        self.threads: List[str] = []
        self.asked: List[Optional[float]] = []
        self.waits = threading.Event()

    def acquire(self, deadline: Optional[float]) -> Any:
        self.threads.append(threading.current_thread().name)
        self.asked.append(deadline)
        if deadline != 0:
            self.waits.set()
        return self.semaphore.release if self.semaphore.acquire(timeout=deadline) else None


class Awaited:
    """One place, by a semaphore of anyio; giving it back is awaited, too."""

    def __init__(self) -> None:
        self.semaphore = anyio.Semaphore(1)
        self.asked: List[Optional[float]] = []
        self.released = 0

    async def acquire(self, deadline: Optional[float]) -> Optional[Callable[[], object]]:
        self.asked.append(deadline)
        if deadline == 0:
            try:
                self.semaphore.acquire_nowait()
            except anyio.WouldBlock:
                return None
            return self.release
        with anyio.move_on_after(deadline) as scope:
            await self.semaphore.acquire()
        return None if scope.cancelled_caught else self.release

    async def release(self) -> None:
        await anyio.sleep(0.01)
        self.released += 1
        self.semaphore.release()


async def create(client: AsyncSekhaClient) -> None:
    await client.controller.create_conversation(messages=MESSAGES)


@BACKENDS
def test_a_task_that_is_cancelled_while_its_thread_waits_takes_nothing(backend: str, server: FakeServer) -> None:
    server.on(HEALTH, OLD)
    server.on(CREATE, MADE)
    gate = Blocking()
    gate.semaphore.acquire()

    async def main() -> None:
        async with AsyncSekhaClient(controller_url=server.url, api_key="k", write_gate=gate) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(create, client)
                while not gate.waits.is_set():  # noqa: ASYNC110 - it is set in a thread
                    await anyio.sleep(0.005)
                tasks.cancel_scope.cancel()
            gate.semaphore.release()  # the thread of the cancelled task may get it now
            await create(client)

    anyio.run(main, backend=backend)
    assert threading.main_thread().name not in gate.threads
    assert max(asked for asked in gate.asked if asked is not None) <= 1.0, "so long is a thread away"
    eventually(lambda: gate.semaphore._value == 1)


@BACKENDS
def test_tasks_wait_for_a_gate_that_is_awaited(backend: str, server: FakeServer) -> None:
    server.always(HEALTH, OLD)
    server.always(CREATE, after(0.01, MADE))

    async def main() -> None:
        gate = Awaited()
        async with AsyncSekhaClient(controller_url=server.url, api_key="k", write_gate=gate, deadline=20.0) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(create, client)
        assert gate.released == 5
        assert server.most_at_once <= 2, "a write and a question for the health"
        waits = [asked for asked in gate.asked if asked != 0]
        assert waits
        assert all(asked is not None and 0 < asked <= 20 for asked in waits)

    anyio.run(main, backend=backend)


@BACKENDS
def test_a_cancelled_write_gives_back_what_is_awaited(backend: str, server: FakeServer) -> None:
    release = threading.Event()
    server.on(CREATE, after(release, MADE))

    async def main() -> None:
        gate = Awaited()
        async with AsyncSekhaClient(controller_url=server.url, api_key="k", write_gate=gate) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(create, client)
                while server.lines != [CREATE]:  # noqa: ASYNC110 - it happens in a thread
                    await anyio.sleep(0.005)
                tasks.cancel_scope.cancel()
            assert gate.released == 1
        release.set()

    anyio.run(main, backend=backend)


def test_what_a_signal_raises_in_a_gate_comes_out(server: FakeServer) -> None:
    class Interrupted:
        def acquire(self, deadline: Optional[float]) -> Any:
            raise KeyboardInterrupt

    with SekhaClient(controller_url=server.url, api_key="k", write_gate=Interrupted()) as client:
        with pytest.raises(KeyboardInterrupt):
            client.controller.create_conversation(messages=MESSAGES)
