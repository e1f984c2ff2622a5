"""Cancelling: nothing is wrapped, nothing is lost, the next calls work."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import warnings
from typing import Any, AsyncIterator, Iterator

import anyio
import anyio.abc
import anyio.lowlevel
import httpx
import pytest

from sekha import AsyncSekhaClient, SekhaClosedError, SekhaStreamError
from sekha._async import stream as stream_module
from sekha._concurrency.clock import Clock
from sekha.memory import AsyncMemory, Scope
from support import facts
from support.clock import give_clock
from support.facts import MESSAGES
from support.replies import DONE, HANG, after, answer, chunked, delta, empty
from support.routes import CHAT, CREATE, QUERY
from support.server import FakeServer

# On Python 3.9 asyncio forgets a socket when it is cancelled while it connects; nothing of ours holds it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <(function _SelectorTransp|socket.socket):pytest.PytestUnraisableExceptionWarning"
)
FOUND = answer(facts.hits())


@pytest.fixture
def swept() -> Iterator[None]:
    """What a test leaves to the garbage collector is not found in the next one."""
    yield
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed", ResourceWarning)
        gc.collect()


@pytest.fixture
async def client(swept: None, server: FakeServer, bridge: FakeServer) -> AsyncIterator[AsyncSekhaClient]:
    async with AsyncSekhaClient(
        controller_url=server.url, bridge_url=bridge.url, api_key="k", max_concurrent_writes=1
    ) as client:
        yield client


async def seen(server: FakeServer, count: int) -> None:
    """Wait until the server has seen so many requests."""
    with anyio.fail_after(5):
        while len(server.seen) < count:  # noqa: ASYNC110 - it happens in a thread
            await anyio.sleep(0.002)


async def closed(server: FakeServer, left: int = 0) -> None:
    """Wait until the server has no more connections than these."""
    with anyio.fail_after(5):
        while server.open_connections > left:  # noqa: ASYNC110 - it happens in a thread
            await anyio.sleep(0.002)


async def test_a_cancelled_call_is_not_wrapped_and_frees_its_connection(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(QUERY, HANG)
    caught = []

    async def call() -> None:
        try:
            await client.controller.query("x")
        except BaseException as error:
            caught.append(type(error))
            raise

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await seen(server, 1)
        tasks.cancel_scope.cancel()
    assert caught == [anyio.get_cancelled_exc_class()]
    await closed(server)
    server.on(QUERY, FOUND)
    assert (await client.controller.query("x"))["total"] == 0


async def test_a_cancelled_wait_between_attempts_ends_at_once(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(QUERY, empty(503, retry_after="50"))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.controller.query, "x")
            await seen(server, 1)
            await anyio.sleep(0.1)  # it has its answer, and waits
            tasks.cancel_scope.cancel()
    assert len(server.seen) == 1


async def test_a_cancelled_write_gives_its_place_back(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(CREATE, HANG)
    server.always(CREATE, answer(facts.CREATED, 201))
    server.on("GET /health", answer(facts.HEALTHY))
    async with anyio.create_task_group() as tasks:
        for _ in range(3):  # one is sent, two wait for its place
            tasks.start_soon(lambda: client.controller.create_conversation(messages=MESSAGES))
        await seen(server, 2)
        tasks.cancel_scope.cancel()
    with anyio.fail_after(5):
        await client.controller.create_conversation(messages=MESSAGES)
    assert server.lines.count(CREATE) in (2, 3), "one that has just woken up may be sent before it is cancelled"


class Ahead(Clock):
    """The real clock, put forward by hand."""

    by = 0.0

    def now(self) -> float:
        return super().now() + self.by


@pytest.mark.promise("R12")
async def test_a_cancelled_wait_for_the_limiter_gives_its_slot_to_the_next(swept: None, server: FakeServer) -> None:
    server.always(QUERY, FOUND)
    clock = Ahead()
    async with AsyncSekhaClient(
        controller_url=server.url, api_key="k", rate_limit_requests=1, rate_limit_window=60.0
    ) as client:
        give_clock(client, clock)
        await client.controller.query("x")
        with anyio.move_on_after(0.05) as scope:
            await client.controller.query("x")
        assert scope.cancelled_caught
        assert not client._controller_transport._state.rate_limiter.get()._queue, "nobody is waiting any more"
        clock.by = 60.0
        with anyio.fail_after(10):
            await client.controller.query("x")
    assert len(server.seen) == 2


CALLERS, PLACES, STORM = 200, 10, 0.8
"""200 tasks on 10 connections are cancelled at random, for seconds."""


def numbered(server: FakeServer, number: int) -> None:
    """From now on searches find this number."""
    server.always(QUERY, answer(facts.hits(facts.hit(content=str(number)))))


async def calm(client: AsyncSekhaClient, server: FakeServer, count: int = 50) -> None:
    """The next calls get the answers that belong to them, and leave nothing."""
    for number in range(count):
        numbered(server, number)
        with anyio.fail_after(10):
            found = await client.controller.query("x")
        assert found["results"][0]["content"] == str(number)
    pool: Any = client._controller_transport._state.http_transport()
    assert not pool._state.slots.tickets()
    assert not pool._state.slots.waiting()
    assert len(pool._state._idle) >= 1


@pytest.mark.promise("R5")
async def test_cancelled_callers_leave_nothing_behind(swept: None, server: FakeServer) -> None:
    server.always(QUERY, after(0.05, FOUND))
    chance, cancelled = random.Random(7), 0

    async def caller() -> None:
        nonlocal cancelled
        while not over.cancel_called:
            with anyio.move_on_after(chance.uniform(0, 0.4)) as scope:
                await client.controller.query("x")
            cancelled += scope.cancelled_caught

    async with AsyncSekhaClient(
        controller_url=server.url, api_key="k", max_connections=PLACES, rate_limit_requests=10**9
    ) as client:
        with anyio.move_on_after(STORM) as over:
            async with anyio.create_task_group() as tasks:
                for _ in range(CALLERS):
                    tasks.start_soon(caller)
        assert cancelled > PLACES
        await calm(client, server)


@pytest.mark.promise("R5")
def test_natively_cancelled_asyncio_tasks_leave_nothing_behind(swept: None, server: FakeServer) -> None:
    server.always(QUERY, after(0.05, FOUND))
    chance = random.Random(7)

    async def main() -> None:
        async with AsyncSekhaClient(
            controller_url=server.url, api_key="k", max_connections=PLACES, rate_limit_requests=10**9
        ) as client:
            loop = asyncio.get_running_loop()
            over, cancelled = loop.time() + STORM, 0
            tasks = [asyncio.ensure_future(client.controller.query("x")) for _ in range(CALLERS)]
            while loop.time() < over:
                await asyncio.sleep(0.001)
                place = chance.randrange(CALLERS)
                tasks[place].cancel()
                done = await asyncio.gather(tasks[place], return_exceptions=True)
                assert type(done[0]) in (dict, asyncio.CancelledError)
                cancelled += type(done[0]) is asyncio.CancelledError
                tasks[place] = asyncio.ensure_future(client.controller.query("x"))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert cancelled > 5
            await calm(client, server)

    asyncio.run(main())


async def cancelled_at(checkpoint: int, work: Any) -> bool:
    """Cancel some work after it has given way so often; whether it was still running then."""
    finished = False

    async def run() -> None:
        nonlocal finished
        await work()
        finished = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        for _ in range(checkpoint):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    return not finished


@pytest.mark.promise("R5")
async def test_answers_belong_to_their_requests_wherever_a_call_was_cancelled(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    for checkpoint in range(0, 120, 4):
        server.always(QUERY, answer(facts.hits(facts.hit(content="cancelled"))))
        await cancelled_at(checkpoint, lambda: client.controller.query("cancelled"))
        await calm(client, server, 3)
    await calm(client, server)


@pytest.mark.promise("R5")
async def test_a_stream_can_be_cancelled_anywhere(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    bridge.always(CHAT, chunked(delta("Once "), 0.001, delta("upon "), 0.001, delta("a time."), DONE))

    async def read() -> None:
        async with await client.bridge.stream_complete(MESSAGES) as stream:
            async for _ in stream:
                pass

    for checkpoint in range(0, 200, 8):
        await cancelled_at(checkpoint, read)
    with anyio.fail_after(5):
        stream = await client.bridge.stream_complete(MESSAGES)
        assert await stream.get_final_text() == "Once upon a time."


@pytest.mark.promise("R7")
@pytest.mark.parametrize("deadline", [None, 30.0])
async def test_a_stream_may_move_from_task_to_task(deadline: Any, client: AsyncSekhaClient, bridge: FakeServer) -> None:
    bridge.on(CHAT, chunked(delta("Once "), delta("upon "), end="hang"))
    view = client.with_options(deadline=deadline)
    streams: list[Any] = []
    texts: list[str] = []

    async def start() -> None:
        with anyio.fail_after(5):
            streams.append(await view.bridge.stream_complete(MESSAGES))

    async def read() -> None:
        with anyio.fail_after(5):
            texts.append(await streams[0].text_stream().__anext__())

    async def close() -> None:
        with anyio.fail_after(5):
            await streams[0].aclose()

    for step in (start, read, read, close):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(step)
    assert texts == ["Once ", "upon "]
    await closed(bridge)
    with pytest.raises(SekhaClosedError):
        await read()


@pytest.mark.promise("R7")
async def test_three_tasks_of_one_group_share_a_stream(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    bridge.on(CHAT, chunked(delta("Once "), delta("upon "), end="hang"))
    streams: list[Any] = []
    texts: list[str] = []
    started, was_read = anyio.Event(), anyio.Event()

    async def start() -> None:
        streams.append(await client.with_options(deadline=30.0).bridge.stream_complete(MESSAGES))
        started.set()

    async def read() -> None:
        await started.wait()
        texts.append(await streams[0].text_stream().__anext__())
        was_read.set()

    async def close() -> None:
        await was_read.wait()
        await streams[0].aclose()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for step in (close, read, start):
                tasks.start_soon(step)
    assert texts == ["Once "]
    await closed(bridge)


@pytest.mark.promise("R4")
async def test_a_deadline_of_ours_is_no_cancellation_of_the_callers(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(QUERY, HANG)
    with anyio.move_on_after(5) as scope:
        with pytest.raises(Exception, match="deadline"):
            await client.with_options(deadline=0.05).controller.query("x")
        await anyio.lowlevel.checkpoint()
    assert not scope.cancelled_caught


@pytest.mark.promise("R5")
async def test_a_stream_closed_in_a_cancelled_scope_leaves_nothing_behind(
    client: AsyncSekhaClient, bridge: FakeServer
) -> None:
    bridge.on(CHAT, chunked(delta("Once "), end="hang"))
    stream = await client.bridge.stream_complete(MESSAGES)
    await stream.__anext__()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await stream.aclose()
    await closed(bridge)


@pytest.mark.promise("R5", "R13")
async def test_a_client_closed_in_a_cancelled_scope_leaves_nothing_open(
    client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    together = threading.Barrier(3)
    server.always(QUERY, after(lambda: together.wait(10), FOUND))
    bridge.always("GET /health", answer(facts.BRIDGE_HEALTHY))
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(client.controller.query, "x")
        tasks.start_soon(client.bridge.health)
    assert (server.open_connections, bridge.open_connections) == (3, 1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await client.aclose()
    await closed(server)
    await closed(bridge)


# Reads of a stream that are cancelled, as a heartbeat does it


@pytest.mark.promise("C1", "R5")
async def test_a_read_of_a_stream_can_be_cancelled_and_made_again(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    go_on = threading.Event()
    bridge.on(CHAT, chunked(delta("Half an "), go_on, delta("answer", "stop"), DONE))
    stream = await client.bridge.stream_complete(MESSAGES)
    await stream.__anext__()
    for _ in range(3):
        with pytest.raises(TimeoutError), anyio.fail_after(0.02):
            await stream.__anext__()
    go_on.set()
    assert await stream.get_final_text() == "Half an answer"


@pytest.mark.promise("C1")
async def test_by_way_of_httpx_a_cancelled_read_is_said_to_end_the_stream(
    swept: None, server: FakeServer, bridge: FakeServer
) -> None:
    bridge.on(CHAT, chunked(delta("Half an "), end="hang"))
    async with (
        httpx.AsyncClient() as own,
        AsyncSekhaClient(controller_url=server.url, bridge_url=bridge.url, api_key="k", http_client=own) as client,
    ):
        stream = await client.bridge.stream_complete(MESSAGES)
        await stream.__anext__()
        with pytest.raises(TimeoutError), anyio.fail_after(0.02):
            await stream.__anext__()
        for _ in range(2):
            with pytest.raises(SekhaStreamError, match="a read was cancelled; with httpx, the stream cannot") as caught:
                await stream.__anext__()
            assert (caught.value.text, caught.value.may_have_been_applied) == ("Half an ", True)
    await closed(bridge)


@pytest.mark.promise("C1")
async def test_by_way_of_httpx_a_finish_reason_without_an_end_is_not_waited_for_either(
    swept: None, server: FakeServer, bridge: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "_USAGE_TIMEOUT", 0.1)
    bridge.on(CHAT, chunked(delta("An answer", "stop"), end="hang"), chunked(delta("An answer", "stop"), end="hang"))
    async with (
        httpx.AsyncClient() as own,
        AsyncSekhaClient(controller_url=server.url, bridge_url=bridge.url, api_key="k", http_client=own) as client,
    ):
        with anyio.fail_after(10):
            assert await (await client.bridge.stream_complete(MESSAGES)).get_final_text() == "An answer"
            stream = await client.bridge.stream_complete(MESSAGES)
            await stream.__anext__()
            with pytest.raises(TimeoutError), anyio.fail_after(0.02):
                await stream.__anext__()
            assert await stream.get_final_text() == "An answer"  # nothing was missing
    await closed(bridge)


@pytest.mark.parametrize("workflow", ["complete_with_context", "stream_with_context", "build_messages"])
async def test_a_cancelled_workflow_is_no_memory_that_is_down(
    workflow: str, client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    server.on("POST /api/v1/context/assemble", HANG)
    with anyio.move_on_after(5) as scope, warnings.catch_warnings():
        warnings.simplefilter("error")
        async with anyio.create_task_group() as tasks:

            async def call() -> None:
                await getattr(client, workflow)("x", on_memory_error="ignore")
                raise AssertionError("it went on")

            tasks.start_soon(call)
            await seen(server, 1)
            tasks.cancel_scope.cancel()
    assert not scope.cancelled_caught
    await closed(server)
    assert bridge.connections == 0


@pytest.mark.promise("F6", "F8")
async def test_a_cancelled_remember_counts_as_stored(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(CREATE, HANG)
    memory = AsyncMemory(client, Scope("shop", "ann"))
    turn = [{"id": "m1", "role": "user", "content": "We ship on Fridays."}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(memory.remember, turn)
            await seen(server, 1)
            tasks.cancel_scope.cancel()
        assert await memory.remember(turn) is None
    server.on(CREATE, answer(facts.CREATED, 201))
    assert await memory.remember([*turn, {"id": "m2", "role": "assistant", "content": "Noted."}]) is not None
    assert [message["content"] for message in server.seen[-1].json["messages"]] == ["Noted."]


@pytest.mark.promise("F3")
async def test_a_turn_whose_first_call_is_cancelled_asks_again(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(QUERY, HANG)
    turn = AsyncMemory(client, Scope("shop", "ann")).turn()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(turn.block, "ship")
        await seen(server, 1)
        tasks.cancel_scope.cancel()
    server.on(QUERY, FOUND)
    server.on("POST /api/v1/search/fts", answer({"results": [], "total": 0}))
    assert await turn.block("ship") == ""


@pytest.mark.promise("F3")
async def test_calls_side_by_side_are_one_turn(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(QUERY, FOUND)
    server.on("POST /api/v1/search/fts", answer({"results": [], "total": 0}))
    turn = AsyncMemory(client, Scope("shop", "ann")).turn()
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(turn.block, "ship")
    assert server.lines.count(QUERY) == 1
