"""Connections: used again while they are good, never while they are not."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaClosedError, SekhaConnectionError, SekhaNotFoundError, SekhaTimeoutError
from sekha._concurrency.clock import Clock
from sekha._concurrency.tasks import AsyncCall, async_gather
from support import facts
from support.certificates import Certificates
from support.clock import FakeClock, give_clock
from support.facts import MESSAGES
from support.nobody import Unreachable
from support.replies import after, answer, chunked, delta, empty, head, healthy, lie, raw
from support.server import FakeServer, eventually

from .conftest import MakeClient

QUERY, CREATE, HEALTH = "POST /api/v1/query", "POST /api/v1/conversations", "GET /health"
FOUND, MADE, WELL = answer(facts.hits()), answer(facts.CREATED, 201), answer(facts.HEALTHY)


def connections_of(server: FakeServer) -> list[int]:
    """The connection that each request came by."""
    return [seen.connection for seen in server.seen]


async def test_calls_share_a_connection(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, WELL, empty(404), WELL)
    await client.controller.health()
    with pytest.raises(SekhaNotFoundError):
        await client.controller.health()
    await client.controller.health()
    assert connections_of(server) == [1, 1, 1]


@pytest.mark.promise("R11")
@pytest.mark.parametrize("line", [QUERY, CREATE])
async def test_a_connection_that_the_server_has_closed_is_not_used_again(
    line: str, client: AsyncSekhaClient, server: FakeServer
) -> None:
    calls: dict[str, Any] = {
        QUERY: lambda: client.controller.query("x"),
        CREATE: lambda: client.controller.create_conversation(messages=MESSAGES),
    }
    body = b'{"status": "healthy", "checks": {}}'
    server.on(HEALTH, *[raw(head(content_length=str(len(body))) + b"\r\n" + body, end="close")] * 3)
    server.on(line, *[FOUND if line == QUERY else MADE] * 3)
    for _ in range(3):
        await client.controller.health()
        eventually(lambda: server.open_connections == 0)
        await calls[line]()
        server.drop()
        eventually(lambda: server.open_connections == 0)
    assert server.lines.count(line) == 3  # none was repeated: the dead connection was seen before it was used


@pytest.mark.promise("R11")
async def test_a_write_on_a_connection_that_dies_under_it_is_sent_once(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(HEALTH, WELL)
    server.on(CREATE, raw(end="close"))
    await client.controller.health()
    with pytest.raises(SekhaConnectionError) as caught:
        await client.controller.create_conversation(messages=MESSAGES)
    assert caught.value.may_have_been_applied
    assert connections_of(server) == [1, 1]


async def test_a_connection_that_was_idle_for_long_is_not_used_again(
    client: AsyncSekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    server.always(HEALTH, WELL)
    for seconds in (0.0, 1.9, 2.1, 0.0):
        clock.move(seconds)
        await client.controller.health()
    assert connections_of(server) == [1, 1, 2, 2]
    eventually(lambda: server.open_connections == 1)


async def test_the_connection_used_last_is_used_first(
    client: AsyncSekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    both = threading.Barrier(2)
    server.on(HEALTH, *[after(lambda: both.wait(10), WELL)] * 2, *[WELL] * 3)
    await async_gather([client.controller.health, client.controller.health], 2)
    used = []
    for _ in range(3):
        clock.move(1.5)
        await client.controller.health()
        used.append(server.seen[-1].connection)
    assert len(set(used)) == 1
    eventually(lambda: server.open_connections == 1)  # the other one grew old


@pytest.mark.promise("C7")
async def test_what_a_server_says_beyond_its_answer_is_no_answer(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, raw(healthy(1000) + lie()))
    server.on(QUERY, FOUND)
    await client.controller.health()
    assert (await client.controller.query("x"))["total"] == 0
    assert connections_of(server) == [1, 2]


@pytest.mark.promise("C7")
@pytest.mark.parametrize("size", [65536, 65535, 131072, 1000])
async def test_however_long_the_answer_is_what_follows_it_is_no_answer(
    size: int, client: AsyncSekhaClient, server: FakeServer
) -> None:
    whole, surplus = healthy(size), lie()
    assert len(whole) == size
    for _ in range(5):
        server.on(HEALTH, raw(whole + surplus))
        server.on(QUERY, FOUND)
        await client.controller.health()
        assert (await client.controller.query("x"))["total"] == 0


@pytest.mark.promise("C7")
async def test_what_a_server_says_a_moment_later_is_no_answer(client: AsyncSekhaClient, server: FakeServer) -> None:
    surplus = lie()
    for number in range(40):
        said = threading.Event()
        server.on(HEALTH, raw(healthy(1000), number % 4 / 10000, surplus, said.set))
        server.on(QUERY, FOUND)
        await client.controller.health()
        eventually(said.is_set)
        assert (await client.controller.query("x"))["total"] == 0


async def test_a_server_that_says_goodbye_is_believed(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY, connection="close"), WELL)
    await client.controller.health()
    await client.controller.health()
    assert connections_of(server) == [1, 2]


async def test_whoever_waits_too_long_for_a_connection_is_told(make: MakeClient, server: FakeServer) -> None:
    client, release = make(max_connections=1, max_retries=0), threading.Event()
    server.on(QUERY, after(release, FOUND))

    async def first() -> Any:
        return await client.controller.query("x")

    async def second() -> Any:
        while not server.seen:
            await Clock().async_sleep(0.002)
        try:
            with pytest.raises(SekhaTimeoutError, match="waiting for a free connection") as caught:
                await client.with_options(timeout=0.05).controller.create_conversation(messages=MESSAGES)
        finally:
            release.set()
        return caught.value

    _, error = await async_gather([first, second], 2)
    assert (error.sent, error.may_have_been_applied) == (False, False)
    assert len(server.seen) == 1


@pytest.mark.promise("R8")
async def test_many_callers_queue_and_nobody_fails(make: MakeClient, server: FakeServer) -> None:
    client = make(max_connections=20, rate_limit_requests=10**9, max_retries=0)
    server.always(QUERY, after(0.002, FOUND))

    def query(number: int) -> AsyncCall[[], Any]:
        return lambda: client.controller.query(f"query {number}")

    await async_gather([query(number) for number in range(400)], 400)
    assert sorted(seen.json["query"] for seen in server.seen) == sorted(f"query {number}" for number in range(400))
    assert server.most_at_once <= 20
    assert server.connections <= 20


async def test_closing_breaks_off_what_is_under_way(make: MakeClient, server: FakeServer) -> None:
    client, busy = make(max_retries=0), threading.Event()
    server.on(QUERY, raw(busy.set, end="hang"))

    async def call() -> Any:
        with pytest.raises(SekhaConnectionError) as caught:
            await client.controller.query("x")
        return caught.value

    async def close() -> None:
        while not busy.is_set():
            await Clock().async_sleep(0.002)
        await client.aclose()

    started = time.monotonic()
    await async_gather([call, close], 2)
    assert time.monotonic() - started < 10.0  # and not after the timeout of 30 s
    eventually(lambda: server.open_connections == 0)


@pytest.mark.promise("C1")
async def test_closing_a_client_is_no_end_of_an_answer(make: MakeClient, server: FakeServer) -> None:
    client, busy = make(max_retries=0), threading.Event()
    start = head(content_type="text/plain", connection="close") + b"\r\n"
    server.on("GET /metrics", raw(start + b"sekha_up 1\nsekha_half_of_a_li", busy.set, end="hang"))

    async def call() -> Any:
        with pytest.raises(SekhaConnectionError, match="closed by the client") as caught:
            await client.controller.metrics()
        return caught.value

    async def close() -> None:
        while not busy.is_set():
            await Clock().async_sleep(0.002)
        await Clock().async_sleep(0.02)
        await client.aclose()

    error, _ = await async_gather([call, close], 2)
    assert error.sent


CALLS: dict[str, Callable[[AsyncSekhaClient], Any]] = {
    "read": lambda client: client.controller.query("x"),
    "write": lambda client: client.controller.create_conversation(messages=MESSAGES),
    "stream": lambda client: client.bridge.stream_complete(MESSAGES),
}


@pytest.mark.promise("R13")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("timeout", [None, 30.0])
@pytest.mark.parametrize("deadline", [None, 30.0])
@pytest.mark.parametrize("kind", CALLS)
async def test_closing_ends_a_call_that_still_connects(
    kind: str, deadline: float | None, timeout: float | None, scheme: str, make: MakeClient
) -> None:
    """The server takes no connections, or takes them and says nothing of TLS."""
    with Unreachable(silent=scheme == "http") as nobody:
        if scheme == "https":
            nobody.server.listen()
        url = nobody.url.replace("http:", f"{scheme}:")
        client = make(controller_url=url, bridge_url=url, timeout=timeout, deadline=deadline)
        give_clock(client, Clock())

        async def call() -> Any:
            with pytest.raises(SekhaClosedError) as caught:
                await CALLS[kind](client)
            return caught.value

        async def close() -> None:
            await Clock().async_sleep(0.05)
            while scheme == "https" and not nobody.server.connections:
                await Clock().async_sleep(0.002)
            await client.aclose()

        started = time.monotonic()
        error, _ = await async_gather([call, close], 2)
        assert time.monotonic() - started < 10.0  # and not after 30 s, or never
        assert (error.sent, error.may_have_been_applied) == (False, False)
        eventually(lambda: nobody.server.open_connections == 0)


async def close_when_seen(client: AsyncSekhaClient, server: FakeServer) -> None:
    while not server.seen:
        await Clock().async_sleep(0.002)
    await client.aclose()


@pytest.mark.promise("C4")
async def test_what_was_sent_before_closing_was_sent(make: MakeClient, server: FakeServer) -> None:
    """The attempt after it is not even begun, since the client is closed."""
    client = make()
    server.on(QUERY, raw(end="hang"))

    async def call() -> Any:
        with pytest.raises(SekhaClosedError) as caught:
            await client.controller.query("x")
        return caught.value

    error, _ = await async_gather([call, lambda: close_when_seen(client, server)], 2)
    assert (error.sent, error.may_have_been_applied) == (True, False)


@pytest.mark.promise("R13")
async def test_a_host_that_is_looked_up_after_closing_is_not_connected_to(
    make: MakeClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, found = threading.Event(), threading.Event()
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if "sekha.test" not in str(host) or options.get("flags") or any(arguments[4:]):  # a name is no IP address
            return resolve(host, *arguments, **options)
        looks.set()
        assert found.wait(10)
        return resolve("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    client = make(controller_url=server.url.replace("127.0.0.1", "sekha.test"))

    async def call() -> None:
        with pytest.raises(SekhaClosedError):
            await client.controller.query("x")

    async def close() -> None:
        while not looks.is_set():
            await Clock().async_sleep(0.002)
        await client.aclose()
        found.set()

    await async_gather([call, close], 2)
    assert server.connections == 0


@pytest.mark.promise("R16")
async def test_a_handshake_that_fails_leaves_no_connection_and_no_slot_taken(make: MakeClient, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    server = FakeServer(tls=certificates.server())
    try:
        client = make(controller_url=server.url, max_connections=1, max_retries=0)
        for _ in range(3):
            with pytest.raises(SekhaConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.controller.health()
        eventually(lambda: server.open_connections == 0)
        pool: Any = client._controller_transport._state.http_transport()
        assert (pool._state.slots.taken(), len(pool._state._idle)) == (0, 0)
    finally:
        server.close()


def drop(streams: list[Any]) -> None:
    """Forget streams, so that the garbage collector finds them: on PyPy it counts no references."""
    streams.clear()
    gc.collect()


async def test_a_forgotten_stream_frees_its_place(make: MakeClient, server: FakeServer, bridge: FakeServer) -> None:
    client = make(max_connections=1)
    give_clock(client, Clock())
    bridge.on("POST /v1/chat/completions", raw(head(content_type="text/event-stream") + b"\r\n", end="hang"))
    bridge.on("GET /api/v1/tasks", answer(["chat"]))
    streams: list[Any] = [await client.bridge.stream_complete(MESSAGES)]
    with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
        drop(streams)
    await client.with_options(timeout=5.0).bridge.tasks()
    eventually(lambda: bridge.open_connections == 1)


@pytest.mark.promise("R8")
async def test_a_forgotten_stream_holds_up_nobody_who_waits_already(
    make: MakeClient, bridge: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sekha._async.http.pool._SWEEP_INTERVAL", 0.02)
    client = make(max_connections=1, timeout=None)
    bridge.on("POST /v1/chat/completions", chunked(delta("Once "), end="hang"))
    bridge.on("GET /api/v1/tasks", answer(["chat"]))
    streams: list[Any] = []
    pool: Any = client._bridge_transport._state.http_transport()  # ours, not any transport

    async def wait() -> Any:
        while not streams:
            await Clock().async_sleep(0.002)
        return await client.bridge.tasks()

    async def forget() -> None:
        # In the thread that drops it: without a GIL, another thread leaves it to the garbage collector, which may find
        # the socket first.
        streams.append(await client.bridge.stream_complete(MESSAGES))
        while not pool._state.slots.waiting():
            await Clock().async_sleep(0.002)
        with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
            drop(streams)

    found, _ = await async_gather([wait, forget], 2)
    assert found == ["chat"]
