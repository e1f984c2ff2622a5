"""What users get for their own tests: every fault does what it says, seen by a client on a real socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Callable

import httpx
import pytest

from sekha import (
    AsyncMemoryController,
    AsyncSekhaClient,
    AsyncStream,
    SekhaAPIError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaNotFoundError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaStreamError,
    SekhaTimeoutError,
    SekhaValidationError,
)
from sekha.local import LocalSekha, LocalSekhaError
from sekha.testing import (
    Clock,
    Exchange,
    FakeClock,
    Fault,
    ScriptedSekha,
    answer_with,
    cut_after_work,
    cut_before_work,
    cut_in_answer,
    delay,
    drip,
    garbage,
    hold,
    stale_keep_alive,
    use_clock,
)
from support.facts import ID, MESSAGES
from support.server import eventually

CREATE, LIST, COUNT = "POST /api/v1/conversations", "GET /api/v1/conversations", "GET /api/v1/conversations/count"
READ, CHAT = "GET /api/v1/conversations/{id}", "POST /v1/chat/completions"
MakeFaulty = Callable[..., AsyncSekhaClient]


@pytest.fixture
async def faulty(sekha: LocalSekha) -> AsyncIterator[ScriptedSekha]:
    """An empty Sekha whose script must have been played in the end."""
    with ScriptedSekha(sekha) as scripted:
        yield scripted


@pytest.fixture
async def connect(faulty: ScriptedSekha) -> AsyncIterator[MakeFaulty]:
    """Makes clients of it, on its clock."""
    made: list[AsyncSekhaClient] = []

    def connect(**options: Any) -> AsyncSekhaClient:
        client = AsyncSekhaClient(**{**faulty.options, **options})
        use_clock(client, faulty.clock)
        made.append(client)
        return client

    yield connect
    for client in made:
        await client.aclose()


@pytest.fixture
async def one(connect: MakeFaulty) -> AsyncSekhaClient:
    """A client of it."""
    return connect()


async def create(client: AsyncSekhaClient) -> None:
    """Store something."""
    await client.controller.create_conversation(messages=MESSAGES)


async def break_off(faulty: ScriptedSekha) -> None:
    """Fail before all that was written down has happened."""
    with faulty:
        faulty.fail(CREATE, garbage(), times=2)
        async with AsyncSekhaClient(**faulty.options) as client:
            await create(client)


async def stored(client: AsyncSekhaClient) -> int:
    """How many conversations there are."""
    return (await client.controller.count_conversations())["count"]


async def read(stream: AsyncStream, said: list[str]) -> None:
    """Read a stream to its end, noting the text."""
    async for text in stream.text_stream():
        said.append(text)


def length_of_stream(faulty: ScriptedSekha) -> int:
    """How many bytes of a stream arrive."""
    key = {"authorization": f"Bearer {faulty.api_key}"}
    received = 0
    with (
        httpx.Client(base_url=faulty.bridge_url, headers=key, trust_env=False) as raw,
        raw.stream("POST", CHAT[5:], json={"messages": MESSAGES, "stream": True}) as answer,
        suppress(httpx.RemoteProtocolError),
    ):
        for piece in answer.iter_raw():
            received += len(piece)
    return received


def lines(faulty: ScriptedSekha) -> list[str]:
    """Method and path of every request."""
    return [request.line for request in faulty.requests]


def waits(faulty: ScriptedSekha) -> list[float]:
    """What its clock was asked to wait."""
    assert isinstance(faulty.clock, FakeClock)
    return faulty.clock.waits


# Cuts


@pytest.mark.promise("E10")
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("fault", "done"), [(cut_before_work, 0), (cut_in_answer, 1), (cut_after_work, 1)], ids=["before", "in", "after"]
)
async def test_a_create_that_is_cut_is_sent_once(
    fault: Callable[..., Fault], done: int, reset: bool, faulty: ScriptedSekha, one: AsyncSekhaClient
) -> None:
    faulty.fail(CREATE, fault(reset=reset))
    with pytest.raises(SekhaConnectionError) as caught:
        await create(one)
    assert lines(faulty) == [CREATE]
    assert caught.value.may_have_been_applied is True
    assert caught.value.attempts == 1
    assert await stored(one) == done
    await create(one)
    assert await stored(one) == done + 1


@pytest.mark.promise("E10")
@pytest.mark.parametrize("fault", [cut_before_work(), cut_after_work(reset=True), cut_in_answer(0), garbage()])
async def test_a_read_that_fails_twice_is_made_a_third_time(
    fault: Fault, faulty: ScriptedSekha, one: AsyncSekhaClient
) -> None:
    faulty.fail(COUNT, fault, times=2)
    begin = time.monotonic()
    assert await stored(one) == 0
    assert lines(faulty) == [COUNT] * 3
    assert [request.fault for request in faulty.requests] == [fault.name, fault.name, None]
    assert [request.connection for request in faulty.requests] == [1, 2, 3]
    assert sum(waits(faulty)) > 1
    assert time.monotonic() - begin < 1 + sum(waits(faulty))


@pytest.mark.promise("E10")
@pytest.mark.parametrize("at", [0, 1, 20])
async def test_an_answer_is_cut_behind_so_many_bytes(at: int, faulty: ScriptedSekha, connect: MakeFaulty) -> None:
    faulty.fail(COUNT, cut_in_answer(at))
    with socket.create_connection(("127.0.0.1", int(faulty.controller_url.rpartition(":")[2]))) as raw:
        raw.sendall(f"{COUNT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {faulty.api_key}\r\n\r\n".encode())
        received = b""
        while piece := raw.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert len(body) == at


@pytest.mark.promise("E10")
@pytest.mark.parametrize("at", [0, 1, 150, 500])
async def test_a_stream_is_cut_behind_so_many_bytes(at: int, faulty: ScriptedSekha, one: AsyncSekhaClient) -> None:
    faulty.fail(CHAT, cut_in_answer(at))
    stream = await one.bridge.stream_complete(MESSAGES)
    said: list[str] = []
    with pytest.raises(SekhaStreamError):
        await read(stream, said)
    whole = await one.bridge.complete(MESSAGES)
    content = whole["choices"][0]["message"]["content"]
    assert isinstance(content, str)
    assert content.startswith("".join(said))
    assert len("".join(said)) < len(content)
    assert bool(said) is (at == 500)
    faulty.fail(CHAT, cut_in_answer(at))
    assert length_of_stream(faulty) == at
    assert length_of_stream(faulty) > 500


@pytest.mark.promise("E10")
async def test_a_cut_behind_the_end_of_an_answer_is_told(faulty: ScriptedSekha, one: AsyncSekhaClient) -> None:
    faulty.fail(COUNT, cut_in_answer(1000))
    assert await stored(one) == 0
    with pytest.raises(AssertionError, match=r"cut_in_answer\(at=1000\): the answer to GET \S+ has only \d+ bytes"):
        faulty.check()


@pytest.mark.promise("E10")
async def test_a_cut_behind_the_end_of_a_stream_is_told(faulty: ScriptedSekha, one: AsyncSekhaClient) -> None:
    faulty.fail(CHAT, cut_in_answer(100_000))
    stream = await one.bridge.stream_complete(MESSAGES)
    assert await stream.get_final_text()
    eventually(lambda: faulty._problems)  # the client does not wait for the end behind the last event
    with pytest.raises(AssertionError, match=r"cut_in_answer\(at=100000\): the answer to POST \S+ has only \d+ bytes"):
        faulty.check()


@pytest.mark.promise("E10")
async def test_a_stale_connection_is_noticed_before_a_write(faulty: ScriptedSekha, one: AsyncSekhaClient) -> None:
    faulty.fail(COUNT, stale_keep_alive())
    assert await stored(one) == 0
    await create(one)
    assert await stored(one) == 1
    assert lines(faulty) == [COUNT, CREATE, COUNT]
    assert [request.connection for request in faulty.requests] == [1, 2, 2]
    assert waits(faulty) == []


@pytest.mark.promise("E10")
async def test_refused_connections_are_refused_until_they_are_taken_again(
    faulty: ScriptedSekha, one: AsyncSekhaClient
) -> None:
    assert isinstance(faulty.clock, FakeClock)
    assert await stored(one) == 0
    with faulty.refusing():
        with pytest.raises(SekhaConnectionError, match="cannot connect") as caught:
            await create(one)
        with pytest.raises(SekhaConnectionError, match="cannot connect"):
            await one.bridge.complete(MESSAGES)
    assert (caught.value.sent, caught.value.may_have_been_applied, caught.value.attempts) == (False, False, 4)
    assert await stored(one) == 0
    faulty.refuse("controller")
    await one.bridge.complete(MESSAGES)
    faulty.clock.on_wait = faulty.accept
    await create(one)
    assert await stored(one) == 1
    assert lines(faulty).count(CREATE) == 1


# Time


@pytest.mark.promise("E10")
async def test_a_delay_passes_on_the_clock(faulty: ScriptedSekha, connect: MakeFaulty) -> None:
    begin = time.monotonic()
    faulty.fail(COUNT, delay(3600), times=2)
    assert await stored(connect()) == 0
    with pytest.raises(SekhaTimeoutError, match="deadline of 60 s"):
        await stored(connect(deadline=60))
    assert waits(faulty) == []
    assert time.monotonic() - begin < 60


@pytest.mark.promise("E10")
async def test_a_delay_on_the_real_clock_is_real(sekha: LocalSekha) -> None:
    with ScriptedSekha(sekha, clock=Clock()) as faulty:
        faulty.fail(COUNT, delay(0.05))
        async with AsyncSekhaClient(**faulty.options) as client:
            begin = time.monotonic()
            assert await stored(client) == 0
            assert time.monotonic() - begin >= 0.05


@pytest.mark.promise("E10")
async def test_an_answer_that_is_held_back_comes_in_the_end_or_never(
    faulty: ScriptedSekha, connect: MakeFaulty
) -> None:
    go_on = threading.Event()
    faulty.fail(COUNT, hold(go_on))
    threading.Timer(0.05, go_on.set).start()
    assert await stored(connect()) == 0
    assert go_on.is_set()
    faulty.fail(CREATE, hold())
    with pytest.raises(SekhaTimeoutError, match="waiting for the response") as caught:
        await create(connect(timeout=1.0))
    assert caught.value.may_have_been_applied is True
    assert lines(faulty) == [COUNT, CREATE]
    assert await stored(connect()) == 1


@pytest.mark.promise("E10")
async def test_an_answer_drips(faulty: ScriptedSekha, connect: MakeFaulty) -> None:
    faulty.fail(COUNT, drip())
    faulty.fail(COUNT, drip(7, pause=1.0))
    faulty.fail(CHAT, drip(3))
    client = connect()
    assert await stored(client) == 0
    with pytest.raises(SekhaTimeoutError, match="deadline"):
        await stored(connect(deadline=5))
    stream = await client.bridge.stream_complete(MESSAGES)
    whole = await client.bridge.complete(MESSAGES)
    assert await stream.get_final_text() == whole["choices"][0]["message"]["content"]


@pytest.mark.promise("E10")
async def test_a_storm_of_repetitions_takes_no_time(faulty: ScriptedSekha, connect: MakeFaulty) -> None:
    faulty.fail(COUNT, answer_with(503, headers={"Retry-After": "59"}), times=30)
    begin = time.monotonic()
    assert await stored(connect(max_retries=40)) == 0
    assert waits(faulty) == [59.0] * 30
    assert time.monotonic() - begin < 60


@pytest.mark.promise("E10")
async def test_the_limiter_waits_on_the_clock(faulty: ScriptedSekha, connect: MakeFaulty) -> None:
    client = connect(rate_limit_requests=2, rate_limit_window=3600.0)
    begin = time.monotonic()
    for _ in range(5):
        await stored(client)
    assert sum(waits(faulty)) == pytest.approx(7200)
    assert time.monotonic() - begin < 3600


@pytest.mark.promise("E10")
async def test_a_client_of_one_service_takes_the_clock_too(faulty: ScriptedSekha) -> None:
    async with AsyncMemoryController(base_url=faulty.controller_url, api_key=faulty.api_key) as controller:
        use_clock(controller, faulty.clock)
        faulty.fail(COUNT, cut_before_work())
        assert (await controller.count_conversations())["count"] == 0
        assert len(waits(faulty)) == 1


@pytest.mark.promise("E10")
async def test_a_client_without_a_bridge_takes_the_clock(faulty: ScriptedSekha) -> None:
    async with AsyncSekhaClient(controller_url=faulty.controller_url, api_key=faulty.api_key) as client:
        use_clock(client, faulty.clock)
        faulty.fail(COUNT, cut_before_work())
        assert await stored(client) == 0
        assert len(waits(faulty)) == 1


# Answers


@pytest.mark.promise("E10")
@pytest.mark.parametrize(
    ("body", "code", "error", "message"),
    [
        ({"error": "no", "code": 422}, 422, SekhaValidationError, "no"),
        ("broken", 500, SekhaServerError, "broken"),
        (b'{"error": "slow down", "code": 429}', 429, SekhaRateLimitError, "slow down"),
        (None, 503, SekhaServerError, "503"),
    ],
)
async def test_an_answer_with_a_status_and_a_body(
    body: object, code: int, error: Any, message: str, faulty: ScriptedSekha, connect: MakeFaulty
) -> None:
    faulty.fail(CREATE, answer_with(code, body, {"X-Request-Id": "abc"}))
    with pytest.raises(error, match=message) as caught:
        await create(connect(max_retries=0))
    assert caught.value.status_code == code
    assert lines(faulty) == [CREATE]
    assert await stored(connect()) == 0


@pytest.mark.promise("E10")
async def test_an_answer_with_headers(faulty: ScriptedSekha, one: AsyncSekhaClient) -> None:
    faulty.fail(COUNT, answer_with(429, headers={"Retry-After": "7", "Connection": "close"}))
    faulty.fail(COUNT, answer_with(200, "not JSON", {"content-type": "application/json"}))
    with pytest.raises(SekhaDecodeError):
        await stored(one)
    assert [request.connection for request in faulty.requests] == [1, 2]
    assert sum(waits(faulty)) == pytest.approx(7)


@pytest.mark.promise("E10")
async def test_a_fault_of_your_own(faulty: ScriptedSekha, one: AsyncSekhaClient) -> None:
    def wrong(exchange: Exchange) -> bool:
        raise RuntimeError("a slip")

    faulty.fail(COUNT, Fault("wrong()", wrong))
    assert await stored(one) == 0
    with pytest.raises(AssertionError, match=r"wrong\(\) on GET \S+ raised RuntimeError\('a slip'\)"):
        faulty.check()


# What is matched


@pytest.mark.promise("E10")
async def test_a_template_is_for_every_id_and_a_path_for_its_own(faulty: ScriptedSekha, connect: MakeFaulty) -> None:
    client, other = connect(max_retries=0), ID[:-1] + "2"
    faulty.fail(READ.replace("id", "conversation"), answer_with(418), times=2)
    faulty.fail(READ.replace("{id}", other), answer_with(423))
    seen: list[int] = []
    await stored(client)  # `count` is a route of its own, and no id
    for identity in (ID, other, other, other, ID):
        with pytest.raises(SekhaAPIError) as caught:
            await client.controller.get_conversation(identity)
        seen.append(caught.value.status_code)
    assert seen == [418, 418, 423, 404, 404]


@pytest.mark.promise("E10")
async def test_a_server_can_be_named(faulty: ScriptedSekha, connect: MakeFaulty) -> None:
    client = connect(max_retries=0)
    faulty.fail("GET /health", answer_with(500, "bad"), server="bridge")
    assert (await client.controller.health())["status"] == "healthy"
    assert (await client.bridge.health())["status"] != "healthy"
    assert [(request.server, request.line) for request in faulty.requests] == [
        ("controller", "GET /health"),
        ("bridge", "GET /health"),
    ]


@pytest.mark.promise("E10")
async def test_a_fault_that_never_happened_is_told_once(faulty: ScriptedSekha, connect: MakeFaulty) -> None:
    faulty.fail(COUNT, cut_after_work(reset=True), times=3)
    with pytest.raises(SekhaConnectionError):
        await stored(connect(max_retries=1))
    faulty.fail(READ, delay(1.5))
    with pytest.raises(AssertionError) as caught:
        faulty.check()
    assert str(caught.value) == (
        f"local server: cut_after_work(reset=True) on {COUNT} happened 2 of 3 times; "
        f"delay(1.5) on {READ} happened 0 of 1 times"
    )
    faulty.check()


@pytest.mark.promise("E10")
@pytest.mark.parametrize("calls", [0, 1, 3])
async def test_a_fault_without_a_number_happens_always(calls: int, faulty: ScriptedSekha, connect: MakeFaulty) -> None:
    faulty.fail(COUNT, answer_with(500), times=None)
    client = connect(max_retries=2)
    for _ in range(calls):
        with pytest.raises(SekhaServerError) as caught:
            await client.controller.count_conversations()
        assert caught.value.attempts == 3
    assert [request.fault for request in faulty.requests] == ["answer_with(500)"] * 3 * calls
    faulty.check()
    await client.controller.count_conversations()  # the check has ended the script


@pytest.mark.promise("E10")
async def test_a_request_that_no_route_is_for_is_told(faulty: ScriptedSekha, connect: MakeFaulty) -> None:
    with pytest.raises(SekhaNotFoundError):
        await connect(controller_url=f"{faulty.controller_url}/v9").controller.count_conversations()
    with pytest.raises(AssertionError, match="GET /v9/api/v1/conversations/count: the controller has no"):
        faulty.check()
    with pytest.raises(SekhaNotFoundError):
        await connect().controller.get_conversation(ID)  # this has a route


@pytest.mark.promise("E10")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("POST /api/v1/conversatons", "similar: .*POST /api/v1/conversations"),
        ("POST /api/v1/conversations/{id}", "similar: .*GET /api/v1/conversations/{id}"),
        ("/health", "GET /health"),
        ("get /health", "similar: GET /health"),
        ("nonsense", "unknown route 'nonsense'$"),
    ],
)
async def test_a_fault_for_no_route_is_refused(line: str, told: str, faulty: ScriptedSekha) -> None:
    with pytest.raises(ValueError, match=told):
        faulty.fail(line, garbage())
    with pytest.raises(ValueError, match="unknown route"):
        faulty.fail(CREATE, garbage(), server="bridge")
    with pytest.raises(ValueError, match="times=0"):
        faulty.fail(CREATE, garbage(), times=0)


@pytest.mark.promise("E10")
async def test_a_body_in_chunks_is_told(faulty: ScriptedSekha) -> None:
    with socket.create_connection(("127.0.0.1", int(faulty.controller_url.rpartition(":")[2]))) as raw:
        raw.sendall(f"{CREATE} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        received = b""
        while piece := raw.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 411 ")
    with pytest.raises(AssertionError, match="chunked request bodies are not supported"):
        faulty.check()


# The log


@pytest.mark.promise("E10")
async def test_every_request_is_noted_without_its_key(faulty: ScriptedSekha, connect: MakeFaulty) -> None:
    key = faulty.api_key
    client = connect(headers={"x-api-key": key, "x-team": "blue"})
    before = time.time()
    await create(client)
    await client.controller.list_conversations(page_size=7)
    first, second = faulty.requests
    assert (first.server, first.method, first.path, first.query) == ("controller", "POST", CREATE[5:], {})
    assert first.json["messages"] == MESSAGES
    assert first.headers["authorization"] == "Bearer ***"
    assert first.headers["x-api-key"] == "***"
    assert first.headers["x-team"] == "blue"
    assert key not in repr(faulty.requests)
    assert second.query["page_size"] == "7"
    assert second.json is None
    assert (first.connection, second.connection) == (1, 1)
    assert before <= first.time <= second.time <= time.time()


# How it stands


@pytest.mark.promise("E10")
async def test_scripted_sekha_starts_a_server_of_its_own() -> None:
    own = ScriptedSekha()
    with pytest.raises(LocalSekhaError, match="not running"):
        _ = own.options
    with own:
        async with AsyncSekhaClient(**own.options) as client:
            await create(client)
            assert await stored(client) == 1
        assert own.sekha.routes["bridge"]
    with pytest.raises(LocalSekhaError, match="not running"):
        own.fail(CREATE, garbage())


@pytest.mark.promise("E10")
async def test_the_block_fails_only_if_it_has_not_failed_already(sekha: LocalSekha) -> None:
    with pytest.raises(AssertionError, match="happened 0 of 1"), ScriptedSekha(sekha) as faulty:
        faulty.fail(CREATE, garbage())
    faulty = ScriptedSekha(sekha)
    with pytest.raises(SekhaConnectionError):
        await break_off(faulty)


@pytest.mark.promise("E10")
async def test_the_real_servers_mistakes_come_through() -> None:
    with LocalSekha(profile="controller-0.1") as real, ScriptedSekha(real) as faulty:
        async with AsyncSekhaClient(**faulty.options) as client:
            await create(client)
            faulty.fail(CREATE, cut_after_work())
            with pytest.raises(SekhaConnectionError):
                await create(client)
            assert await stored(client) == 2


@pytest.mark.promise("E10")
async def test_a_client_that_leaves_is_noticed_while_sekha_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.local.protocol.GRACE_SECONDS", 0)
    monkeypatch.setattr("sekha.local.models.model_server.PROBE_SECONDS", 0.05)
    with socket.socket() as model:
        model.bind(("127.0.0.1", 0))
        model.listen()
        url = f"http://127.0.0.1:{model.getsockname()[1]}/v1"
        with LocalSekha(llm_url=url, llm_model="x", profile="controller-0.1") as sekha, ScriptedSekha(sekha) as faulty:
            async with AsyncSekhaClient(**faulty.options, timeout=0.3, max_retries=0) as client:
                with pytest.raises(SekhaTimeoutError):
                    await client.bridge.complete(MESSAGES)
            eventually(lambda: faulty._proxy("bridge").open_connections == 0)
