"""The pool, told random stories: calls, cancellations, servers that break off, few places; and many threads."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Awaitable, Callable, List, Literal, NamedTuple, Optional, Set

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekha import SekhaClient, SekhaClosedError, SekhaTimeoutError
from sekha._api.model import Endpoint, Request, ResponseParser, RetryIfUnknown, Service
from sekha._async.body import close_quietly
from sekha._async.http.pool import AsyncPool
from sekha._concurrency.clock import Clock
from sekha._http.models import AsyncHTTPResponse
from sekha._sync.http.connection import Connection
from sekha._transport.attempt import make_headers, make_http_request
from sekha._transport.options import CallOptions
from support import facts
from support.certificates import Certificates
from support.replies import after, answer, chunked, delta, raw, text
from support.server import FakeServer

URL = "http://sekha.test"
Manner = Literal["fine", "closes", "surplus", "mutters", "dies", "cuts", "stale"]
LIE = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n9999"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


class Call(NamedTuple):
    """One caller of a story; times are counted in turns of the event loop."""

    starts: int
    cancelled: Optional[int]
    manner: Manner
    thinks: int


class Wire:
    """A connection to a server in memory, which answers with the number that it was asked with."""

    def __init__(self, network: Network) -> None:
        self.pid = os.getpid()
        self._network = network
        self._to_come: List[bytes] = []
        self._asked: Optional[int] = None
        self._gone = False
        self._closed = False

    async def write(self, data: memoryview, seconds: Optional[float]) -> int:
        await anyio.lowlevel.checkpoint()
        if self._gone or self._closed:
            raise OSError("gone")
        assert self._asked is None, "a request on a connection that is busy"
        self._asked = int(bytes(data).split(b" ")[1][1:])
        return len(data)

    async def read(self, seconds: Optional[float]) -> bytes:
        await anyio.lowlevel.checkpoint()
        if self._asked is not None:
            number, self._asked = self._asked, None
            await self._think(self._network.story[number].thinks)
            self._to_come = self._answer(number)
        await anyio.lowlevel.checkpoint()
        if self._closed:
            raise OSError("closed")
        return self._to_come.pop(0) if self._to_come else b""

    def _answer(self, number: int) -> List[bytes]:
        manner = self._network.story[number].manner
        body = b"%d" % number
        more = b"connection: close\r\n" if manner == "closes" else b""
        whole = b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n" % (more, len(body)) + body
        self._gone = manner in ("closes", "dies", "cuts", "stale")
        if manner == "dies":
            return []
        if manner == "cuts":
            return [whole[:-1]]
        if manner == "surplus":
            return [whole + LIE]
        if manner == "mutters":
            return [whole, LIE]
        return [whole[:20], whole[20:]]

    async def _think(self, turns: int) -> None:
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._network.open.discard(self)
        await anyio.lowlevel.checkpoint()

    def discard(self, *, shut_down: bool) -> None:
        self._closed = True
        self._network.open.discard(self)

    def has_unread_data(self) -> bool:
        return self._gone or bool(self._to_come)

    def shut_down(self) -> None:
        pass


class Network:
    """Makes such connections, and counts them."""

    def __init__(self, story: List[Call]) -> None:
        self.story = story
        self.open: Set[Wire] = set()
        self.most = 0

    async def connect_tcp(self, *_: Any) -> Wire:
        await anyio.lowlevel.checkpoint()
        wire = Wire(self)
        self.open.add(wire)
        self.most = max(self.most, len(self.open))
        try:
            await anyio.lowlevel.checkpoint()
        except BaseException:
            self.open.discard(wire)
            raise
        return wire


async def begin(pool: AsyncPool, number: int) -> AsyncHTTPResponse:
    """Send a number; the answer's body is still to be read."""
    endpoint: Any = Endpoint("ask", Service.CONTROLLER, "GET", f"/{number}", RetryIfUnknown.YES, ResponseParser(None))
    headers = make_headers(URL, {}, None, accept="*/*", has_body=False)
    call = Request(endpoint, f"/{number}")
    return await pool.send(make_http_request(call, URL, CallOptions(), headers, time_left=None))


async def ask(pool: AsyncPool, number: int) -> bytes:
    """What the server answers to a number."""
    answer = await begin(pool, number)
    try:
        return b"".join([piece async for piece in answer.iter_raw()])
    finally:
        await close_quietly(answer)


async def turns(count: int) -> None:
    """Let the others have so many turns."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def scoped(call: Call, work: Callable[[], Awaitable[Any]]) -> None:
    """Some work that a scope cancels."""
    with anyio.CancelScope() as scope:

        async def cancel() -> None:
            if call.cancelled is not None:
                await turns(call.cancelled)
                scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel)
            await work()


async def natively(call: Call, work: Callable[[], Awaitable[Any]]) -> None:
    """Some work in a task of asyncio's, which is cancelled as asyncio does."""
    task = asyncio.ensure_future(work())
    if call.cancelled is not None:
        await turns(call.cancelled)
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def tell(story: List[Call], limit: int, cancelling: Callable[..., Awaitable[None]]) -> None:
    """Play a story, and look at what is left of it."""
    network = Network([*story, *[Call(0, None, "fine", 1)] * limit])
    pool = AsyncPool(URL, None, limit, Clock())
    pool._network = network  # type: ignore[assignment]  # as much of a network as the pool asks for
    outcomes: List[Any] = []

    async def one(number: int) -> None:
        await turns(story[number].starts)

        async def work() -> None:
            try:
                outcomes.append((number, await ask(pool, number)))
            except OSError:
                assert story[number].manner in ("dies", "cuts")

        await cancelling(story[number], work)

    async with anyio.create_task_group() as tasks:
        for number in range(len(story)):
            tasks.start_soon(one, number)

    uncancelled = {number for number, call in enumerate(story) if call.cancelled is None}
    answered = {number for number, _ in outcomes}
    assert answered >= {number for number in uncancelled if story[number].manner not in ("dies", "cuts")}
    assert all(said == b"%d" % number for number, said in outcomes), outcomes

    places = pool._state
    assert not places.slots.waiting()
    assert not places.slots.tickets()
    assert places.slots.limit - places.slots.taken() == limit
    streams: Set[Any] = {connection._stream for _, connection in places._idle}
    assert network.open == streams
    assert network.most <= limit

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for number in range(len(story), len(story) + limit):
                tasks.start_soon(ask, pool, number)
    await pool.aclose()
    assert not network.open


calls = st.builds(
    Call,
    starts=st.integers(0, 8),
    cancelled=st.one_of(st.none(), st.integers(0, 40)),
    manner=st.sampled_from(["fine", "fine", "fine", "closes", "surplus", "mutters", "dies", "cuts", "stale"]),
    thinks=st.integers(0, 5),
)


@pytest.mark.promise("R5")
@pytest.mark.parametrize("how", ["asyncio", "asyncio, natively", "trio"])
def test_no_story_leaves_anything_behind(how: str) -> None:
    @settings(max_examples=60, database=None)
    @given(story=st.lists(calls, min_size=1, max_size=12), limit=st.integers(1, 4))
    def play(story: List[Call], limit: int) -> None:
        cancelling = natively if "natively" in how else scoped
        anyio.run(tell, story, limit, cancelling, backend="trio" if how == "trio" else "asyncio")

    play()


async def break_off(pool: AsyncPool, number: int) -> None:
    """Read the head of an answer, and no more."""
    answer = await begin(pool, number)
    await close_quietly(answer)


async def close(pool: AsyncPool, number: int) -> None:
    """Close a pool that has two idle connections."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, pool, number)
        tasks.start_soon(ask, pool, 12)
    await pool.aclose()


@pytest.mark.promise("R5")
@pytest.mark.parametrize("how", ["asyncio", "asyncio, natively", "trio"])
@pytest.mark.parametrize("work", [ask, break_off, close])
@pytest.mark.parametrize("warm", [False, True])
def test_cancelled_at_any_checkpoint(work: Callable[..., Awaitable[Any]], warm: bool, how: str) -> None:
    cancelling = natively if "natively" in how else scoped
    limit, last = 2, 45

    async def main(checkpoint: int) -> bool:
        network = Network([Call(0, checkpoint, "fine", 2)] + [Call(0, None, "fine", 0)] * 12)
        pools = [AsyncPool(URL, None, limit, Clock()) for _ in range(2)]
        for pool in pools:
            pool._network = network  # type: ignore[assignment]  # as above
        finished = False

        async def run() -> None:
            nonlocal finished
            await work(pools[0], 0)
            finished = True

        if warm:
            await ask(pools[0], 1)
        await cancelling(network.story[0], run)
        # A pool that was being closed stays closed; its client would make another.
        pool = pools[1] if work is close else pools[0]
        if work is close:
            await pools[0].aclose()
        for number in range(2, 12):
            assert await ask(pool, number) == b"%d" % number
        assert not pool._state.slots.tickets()
        assert pool._state.slots.limit - pool._state.slots.taken() == limit
        await pool.aclose()
        assert not network.open
        return finished

    backend = "trio" if how == "trio" else "asyncio"
    ends = [anyio.run(main, checkpoint, backend=backend) for checkpoint in range(last)]
    assert ends[-1], "cancel later: the work is not over yet"
    assert not ends[0]


@pytest.mark.promise("C4")
@pytest.mark.parametrize("how", ["asyncio", "asyncio, natively", "trio"])
def test_who_is_cancelled_in_the_moment_of_a_close_is_cancelled(how: str) -> None:
    caught: List[type] = []

    async def main() -> None:
        network = Network([Call(0, None, "fine", 50)] * 2)
        pool = AsyncPool(URL, None, 1, Clock())
        pool._network = network  # type: ignore[assignment]  # as above

        async def work() -> None:
            try:
                await ask(pool, 1)
            except BaseException as error:
                caught.append(type(error))
                raise

        async def close() -> None:
            await turns(10)
            task.cancel()
            await pool.aclose()

        first = await begin(pool, 0)
        async with anyio.create_task_group() as tasks:
            if "natively" in how:
                task: Any = asyncio.ensure_future(work())
                await close()
                await asyncio.gather(task, return_exceptions=True)
            else:
                tasks.start_soon(close)
                with anyio.CancelScope() as task:
                    await work()
        await close_quietly(first)
        assert caught == [anyio.get_cancelled_exc_class()]
        assert not network.open

    anyio.run(main, backend="trio" if how == "trio" else "asyncio")


@pytest.mark.promise("R8")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_callers_are_served_in_the_order_in_which_they_came(backend: str) -> None:
    served: List[int] = []
    count, limit = 500, 7

    async def main() -> None:
        network = Network([Call(0, None, "fine", 3)] * count)
        pool = AsyncPool(URL, None, limit, Clock())
        pool._network = network  # type: ignore[assignment]  # as above

        async def one(number: int) -> None:
            assert await ask(pool, number) == b"%d" % number
            served.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(one, number)
                await anyio.lowlevel.checkpoint()
        await pool.aclose()

    anyio.run(main, backend=backend)
    assert sorted(served) == list(range(count))
    # Each begins in its turn; those that are being answered side by side may end in any order.
    assert all(abs(place - number) < 2 * limit for place, number in enumerate(served))


@pytest.mark.promise("R8", "R10")
def test_threads_queue_up_and_get_their_own_answers(server: FakeServer) -> None:
    line = "GET /api/v1/conversations/count"
    whole = b'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{"count": 7}'
    server.on(line, *[answer({"count": 7}), raw(whole, end="close"), after(0.002, answer({"count": 7}))] * 100)
    with SekhaClient(controller_url=server.url, api_key="k", max_connections=3) as client:
        with ThreadPoolExecutor(32) as threads:
            folders = [f"/{number}" for number in range(300)]
            counts = list(threads.map(lambda folder: client.controller.count_conversations(folder=folder), folders))
        assert [count["count"] for count in counts] == [7] * 300
        assert server.most_at_once <= 3
        pool: Any = client._controller_transport._state.http_transport()
        assert not pool._state.slots.waiting()
        assert not pool._state.slots.tickets()
        assert pool._state.slots.limit - pool._state.slots.taken() == 3


class Silent:
    """A connection whose reader takes a while to hear that it is shut down."""

    def __init__(self) -> None:
        self.events: List[str] = []
        self.reads, self.hears = threading.Event(), threading.Event()
        self.pid = os.getpid()

    def read(self, seconds: Optional[float]) -> bytes:
        self.reads.set()
        assert self.hears.wait(10)
        self.events.append("heard")
        return b""

    def write(self, data: memoryview, seconds: Optional[float]) -> int:
        return len(data)

    def close(self) -> None:
        self.events.append("closed")

    def shut_down(self) -> None:
        pass


@pytest.mark.promise("R10")
def test_a_connection_is_closed_when_its_reader_has_heard_of_it() -> None:
    """Else the system gives its number to somebody else at once, whose bytes the reader would get."""
    stream = Silent()
    connection = Connection(stream, Clock())  # type: ignore[arg-type]  # as much of a stream as it asks for
    endpoint: Any = Endpoint("ask", Service.CONTROLLER, "GET", "/", RetryIfUnknown.YES, ResponseParser(None))
    headers = make_headers(URL, {}, None, accept="*/*", has_body=False)
    request = make_http_request(Request(endpoint, "/"), URL, CallOptions(), headers, time_left=None)
    outcomes: List[type] = []

    def read() -> None:
        try:
            connection.exchange(request)
        except OSError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=target) for target in (read, connection.close)]
    threads[0].start()
    assert stream.reads.wait(10)
    threads[1].start()
    threads[1].join(0.05)
    assert threads[1].is_alive()
    stream.hears.set()
    for thread in threads:
        thread.join(10)
    assert stream.events == ["heard", "closed"]
    assert outcomes == [ConnectionAbortedError]


@pytest.mark.promise("R10")
def test_streams_closed_by_other_threads_hurt_nobody(certificates: Certificates) -> None:
    server = FakeServer(tls=certificates.server())
    server.always("POST /v1/chat/completions", chunked(delta("Once "), end="hang"))
    server.always("GET /health", answer(facts.HEALTHY))
    wrong: List[BaseException] = []

    def stream() -> None:
        for _ in range(25):
            stream = client.bridge.stream_complete([{"role": "user", "content": "x"}])
            texts = stream.text_stream()
            next(texts)
            closer = threading.Timer(0.002, stream.close)
            closer.start()
            with pytest.raises(SekhaClosedError):
                next(texts)
            closer.join()

    def call() -> None:
        for _ in range(150):
            client.controller.health()

    def watched(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            wrong.append(error)

    with SekhaClient(
        controller_url=server.url, bridge_url=server.url, api_key="k", verify=certificates.ca, timeout=20, max_retries=0
    ) as client:
        threads = [threading.Thread(target=watched, args=(work,)) for work in (stream, call, stream, call)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    server.close()
    assert wrong == []


def test_closing_sends_away_the_threads_that_wait(server: FakeServer) -> None:
    server.always("GET /metrics", raw(end="hang"))
    client = SekhaClient(controller_url=server.url, api_key="k", max_connections=1, max_retries=0)
    outcomes: List[str] = []

    def call() -> None:
        try:
            client.controller.metrics()
        except Exception as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    pool: Any = client._controller_transport._state.http_transport()
    while len(pool._state.slots.waiting()) < 2 or not server.seen:
        pass
    client.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert sorted(outcomes) == ["SekhaClosedError", "SekhaClosedError", "SekhaConnectionError"]


@pytest.mark.promise("R5")
def test_a_caller_who_gives_up_at_the_last_moment_passes_its_place_on(server: FakeServer) -> None:
    server.always("GET /metrics", after(0.03, text("none")))
    with SekhaClient(controller_url=server.url, api_key="k", max_connections=1, max_retries=0) as client:

        def call(number: int) -> bool:
            try:
                # Some of them stop waiting in the moment in which they are called.
                client.with_options(timeout=0.04 + number % 7 / 100).controller.metrics()
            except SekhaTimeoutError:
                return False
            return True

        with ThreadPoolExecutor(12) as threads:
            list(threads.map(call, range(60)))
        assert call(1000)
        pool: Any = client._controller_transport._state.http_transport()
        assert not pool._state.slots.waiting()
        assert not pool._state.slots.tickets()
