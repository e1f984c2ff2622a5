"""Machines share the write slots of a server in Redis: its processes see no files of each other."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import time
from pathlib import Path
from typing import Iterator, List

import anyio
import anyio.to_thread
import pytest

from local.conftest import python
from sekha import AsyncSekhaClient, SekhaClient, SekhaTimeoutError
from sekha.local import LocalSekha
from support import facts
from support.eight_programs import PROCESSES, Programs, check_all_is_stored, eight_programs, end
from support.facts import MESSAGES
from support.packages import require_packages
from support.replies import answer
from support.routes import CREATE, HEALTH
from support.server import FakeServer, eventually

require_packages("redis", "redis")

from sekha.integrations.redis import RedisWriteGate  # noqa: E402 - not without the package
from support.redis_server import RedisServer  # noqa: E402

MACHINES = 2


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    with eight_programs() as found:
        yield found


@pytest.mark.slow
@pytest.mark.promise("W18")
@pytest.mark.parametrize("form", ["asyncio", "trio", "blocking"])
def test_machines_that_write_at_the_same_time_do_not_hang_each_other(
    form: str, programs: Programs, redis: RedisServer, tmp_path: Path
) -> None:
    with LocalSekha(profile="controller-0.1") as sekha:
        settings = {**sekha.options, "timeout": 15.0, "deadline": 25.0}
        machines = [tmp_path / f"machine-{number % MACHINES}" for number in range(PROCESSES)]
        for machine in machines:
            machine.mkdir(exist_ok=True)
        check_all_is_stored(sekha, programs, [[form, str(machine), settings, redis.url] for machine in machines])
    assert [*tmp_path.rglob("*.first")] == [], "no files were locked"
    with redis.client() as client:
        assert [key.decode() for key in client.scan_iter()] == ["sekha:{controller:memory}:writes:noted"]


# ---- killed ---------------------------------------------------------------------------------------------------------

HELD, QUEUE = "sekha:{controller:memory}:writes:held", "sekha:{controller:memory}:writes:queue"


def machine(redis: RedisServer, what: str) -> subprocess.Popen[str]:
    """A process that holds the only slot, or waits for it, until it is killed."""
    code = f"""
import time
from sekha.integrations.redis import RedisWriteGate
gate = RedisWriteGate({redis.url!r}, name="memory", limit=1, lease=1)
release = gate.acquire(0) if {what!r} == "holds" else None
print("ready", flush=True)
time.sleep(60) if release else gate.acquire(None)
"""
    command, environment = python("-c", code)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def entries(redis: RedisServer, key: str) -> List[bytes]:
    with redis.client() as client:
        return list(client.zrange(key, 0, -1))


@pytest.mark.promise("W18")
def test_a_killed_machine_frees_its_slot_when_its_lease_ends(redis: RedisServer, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(CREATE, answer(facts.CREATED, 201))
    process = machine(redis, "holds")
    try:
        gate = RedisWriteGate(redis.url, name="memory", limit=1, lease=1)
        with SekhaClient(controller_url=server.url, api_key="k", write_gate=gate) as client:
            with pytest.raises(SekhaTimeoutError) as caught:
                client.with_options(deadline=1.5).controller.create_conversation(messages=MESSAGES)  # it is renewed
            assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)
            process.kill()
            client.with_options(deadline=20.0).controller.create_conversation(messages=MESSAGES)
    finally:
        end(process)
    assert server.lines == [HEALTH, CREATE]
    assert entries(redis, HELD) == []


@pytest.mark.slow
def test_a_killed_machine_that_waited_stops_nobody(redis: RedisServer) -> None:
    gate = RedisWriteGate(redis.url, name="memory", limit=1)
    release = gate.acquire(0)
    process = machine(redis, "waits")
    try:
        eventually(lambda: entries(redis, QUEUE))
    finally:
        end(process)
    assert release is not None
    release()
    assert gate.acquire(0) is None, "it came before"
    release = gate.acquire(20)
    assert release is not None
    release()


# ---- cancelled ------------------------------------------------------------------------------------------------------

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@BACKENDS
def test_a_cancelled_task_leaves_the_queue(backend: str, redis: RedisServer, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(CREATE, answer(facts.CREATED, 201))
    gate = RedisWriteGate(redis.url, name="memory", limit=1)
    release = gate.acquire(0)
    assert release is not None

    async def main() -> None:
        async with AsyncSekhaClient(controller_url=server.url, api_key="k", write_gate=gate) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(create, client)
                while server.lines != [HEALTH]:  # noqa: ASYNC110 - it is asked once, between two questions to Redis
                    await anyio.sleep(0.01)
                while not await anyio.to_thread.run_sync(entries, redis, QUEUE):  # noqa: ASYNC110 - of another process
                    await anyio.sleep(0.01)
                tasks.cancel_scope.cancel()
            assert entries(redis, QUEUE) == []
            release()
            await create(client)

    anyio.run(main, backend=backend)
    assert server.lines == [HEALTH, CREATE]
    assert entries(redis, HELD) == []


async def create(client: AsyncSekhaClient) -> None:
    await client.controller.create_conversation(messages=MESSAGES)


@BACKENDS
def test_a_redis_that_hangs_stops_neither_a_deadline_nor_a_cancellation(backend: str, server: FakeServer) -> None:
    """What the abandoned threads get in the end, they give back."""
    redis = RedisServer().start()
    times: List[float] = []

    async def main() -> None:
        gate = RedisWriteGate(redis.url, name="memory")
        async with AsyncSekhaClient(controller_url=server.url, api_key="k", write_gate=gate) as client:
            redis.pause()
            began = time.monotonic()
            with pytest.raises(SekhaTimeoutError) as caught:
                await create(client.with_options(deadline=0.2))
            assert not caught.value.sent
            times.append(time.monotonic() - began)
            with anyio.move_on_after(0.2):
                await create(client)
            times.append(time.monotonic() - began)
            redis.go_on()

    try:
        anyio.run(main, backend=backend)
        assert max(times) < 4.9, "none waited for the timeout of Redis"
        eventually(lambda: entries(redis, HELD) == entries(redis, QUEUE) == [])
        time.sleep(0.05)
        assert entries(redis, HELD) == entries(redis, QUEUE) == []
    finally:
        redis.close()


# ---- forked ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # it has threads
def test_a_forked_child_has_connections_and_renewals_of_its_own(redis: RedisServer, server: FakeServer) -> None:
    server.always(CREATE, answer(facts.CREATED, 201))
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    gate = RedisWriteGate(redis.url, name="memory", lease=1)
    with SekhaClient(controller_url=server.url, api_key="k", write_gate=gate) as client:
        client.controller.create_conversation(messages=MESSAGES)
        release = gate.acquire(0)
        assert release is not None

        def store() -> None:
            client.controller.create_conversation(messages=MESSAGES)
            results.put((len(gate._leases.get()._held), len(entries(redis, HELD))))

        child = fork.Process(target=store)
        child.start()
        assert results.get(timeout=20) == (0, 1)
        child.join()
        client.controller.create_conversation(messages=MESSAGES)
        release()
    assert entries(redis, HELD) == []
