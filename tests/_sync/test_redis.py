# Generated from tests/_async/test_redis.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""The write gate and the rate limit in Redis: what each kind of client does with them."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, Optional

import pytest

from sekha import (
    BridgeClient,
    MCPClient,
    MemoryController,
    SekhaClient,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaRateLimitError,
    SekhaTimeoutError,
    SekhaValidationError,
    SekhaWarning,
    WaitEvent,
)
from sekha._concurrency.tasks import gather
from support import facts
from support.facts import MESSAGES
from support.packages import require_packages
from support.replies import after, answer, empty, tool
from support.routes import CREATE, HEALTH, QUERY, STORE
from support.server import FakeServer, eventually

from .conftest import MakeClient

require_packages("redis", "redis")

from sekha.integrations.redis import RedisRateLimiter, RedisWriteGate  # noqa: E402 - not without the package

if TYPE_CHECKING:
    from support.redis_server import RedisServer

MADE, OLD, PARALLEL = answer(facts.CREATED, 201), answer(facts.HEALTHY), {**facts.HEALTHY, "parallel_writes": True}
FOUND = answer(facts.hits())
HELD, QUEUE, NOTED = (f"sekha:{{controller:m}}:writes:{what}" for what in ("held", "queue", "noted"))
LOG, TOKENS_QUEUE = "sekha:{controller:m}:requests:log", "sekha:{controller:m}:requests:queue"


@pytest.fixture
def gate(redis: RedisServer) -> RedisWriteGate:
    return RedisWriteGate(redis.url, name="m")


@pytest.fixture
def limiter(redis: RedisServer) -> RedisRateLimiter:
    return RedisRateLimiter(redis.url, name="m")


def count(redis: RedisServer, key: str) -> int:
    """How many entries a sorted set has."""
    with redis.client() as client:
        return int(client.zcard(key))


def create(client: SekhaClient) -> Any:
    return client.controller.create_conversation(messages=MESSAGES)


# ---- writes --------------------------------------------------------------------------------------------------------


def test_a_write_takes_a_slot_and_gives_it_back(
    make: MakeClient, server: FakeServer, redis: RedisServer, gate: RedisWriteGate
) -> None:
    seen: list[int] = []
    client = make(write_gate=gate)
    server.on(CREATE, after(lambda: seen.append(count(redis, HELD)), MADE), empty(422))
    create(client)
    with pytest.raises(SekhaValidationError):
        create(client)
    assert seen == [1]
    assert (count(redis, HELD), count(redis, QUEUE)) == (0, 0)


def test_clients_share_the_slots_and_the_first_write_goes_alone(
    make: MakeClient, server: FakeServer, redis: RedisServer
) -> None:
    at_once: list[int] = []
    waits: list[WaitEvent] = []
    clients = [
        make(write_gate=RedisWriteGate(redis.url, name="m"), max_concurrent_writes=2, on_wait=waits.append)
        for _ in range(3)
    ]
    server.always(HEALTH, OLD)
    server.always(CREATE, after(lambda: at_once.append(count(redis, HELD)), after(0.02, MADE)))
    gather([lambda client=client: create(client) for client in clients * 4], 12)  # type: ignore[misc]  # a default
    assert at_once[0] == 1
    assert max(at_once) == 2
    assert len(at_once) == 12
    assert {(wait.reason, wait.seconds) for wait in waits} == {("write_slot", None)}


def test_after_the_first_write_of_another_machine_several_go_at_a_time(
    make: MakeClient, server: FakeServer, redis: RedisServer, gate: RedisWriteGate
) -> None:
    server.on(CREATE, MADE)
    create(make(write_gate=gate))
    other = make(write_gate=RedisWriteGate(redis.url, name="m"))
    server.always(HEALTH, OLD)

    def together() -> None:
        eventually(lambda: server.lines.count(CREATE) == 6)

    server.on(CREATE, MADE, *[after(together, MADE)] * 4)
    create(other)  # it learns that there was one
    gather([lambda: create(other)] * 4, 4)


def test_the_slot_of_another_machine_is_waited_for(
    make: MakeClient, server: FakeServer, redis: RedisServer, gate: RedisWriteGate
) -> None:
    client = make(write_gate=gate, deadline=0.3)
    server.always(HEALTH, OLD)
    release = RedisWriteGate(redis.url, name="m").acquire(0)
    assert release is not None
    with pytest.raises(SekhaTimeoutError) as caught:
        create(client)
    assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)
    assert (count(redis, HELD), count(redis, QUEUE)) == (1, 0)
    release()
    server.on(CREATE, MADE)
    create(client)


def test_a_server_that_supports_parallel_writes_needs_no_gate(
    make: MakeClient, server: FakeServer, redis: RedisServer, gate: RedisWriteGate
) -> None:
    client = make(write_gate=gate)
    release = RedisWriteGate(redis.url, name="m").acquire(0)
    server.on(HEALTH, answer(PARALLEL))
    server.on(CREATE, MADE, MADE)
    create(client)
    create(client)
    assert release is not None
    assert count(redis, HELD) == 1
    release()


class Around:
    """A gate of the user around one in Redis."""

    def __init__(self, gate: RedisWriteGate) -> None:
        self.gate = gate

    def acquire(self, deadline: Optional[float]) -> Any:
        return self.gate.acquire(deadline)


def test_a_gate_around_one_in_redis_learns_whether_a_write_has_succeeded(
    make: MakeClient, server: FakeServer, redis: RedisServer, gate: RedisWriteGate
) -> None:
    client = make(write_gate=Around(gate), max_retries=0)
    server.on(CREATE, empty(422), MADE)
    with pytest.raises(SekhaValidationError):
        create(client)
    assert not has_noted(redis)
    create(client)
    assert has_noted(redis)


def has_noted(redis: RedisServer) -> bool:
    with redis.client() as client:
        return bool(client.exists(NOTED))


def test_a_long_write_keeps_its_slot(make: MakeClient, server: FakeServer, redis: RedisServer) -> None:
    gate = RedisWriteGate(redis.url, name="m", lease=1.0)
    client = make(write_gate=gate)
    found: list[Any] = []

    def wait_longer_than_the_lease() -> None:
        with redis.client() as one:
            first = one.zrange(HELD, 0, -1, withscores=True)
            eventually(lambda: one.zrange(HELD, 0, -1, withscores=True)[0][1] > first[0][1] + 1.2e6)
        found.append(RedisWriteGate(redis.url, name="m").acquire(0))

    server.on(CREATE, after(wait_longer_than_the_lease, MADE))
    create(client)
    assert found == [None]
    eventually(lambda: gate._leases.get()._thread is None)


def test_redis_that_is_gone_after_the_write_is_a_line_in_the_log(
    make: MakeClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    from support.redis_server import RedisServer

    redis = RedisServer().start()
    client = make(write_gate=RedisWriteGate(redis.url, name="m"))
    server.on(CREATE, after(redis.kill, MADE))
    with caplog.at_level(logging.WARNING, "sekha"):
        assert (create(client))["id"] == facts.ID
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.getMessage().startswith("write_gate: a slot was not released; it is freed when its lease expires: ")
    try:
        with pytest.raises(SekhaConnectionError) as caught:
            create(client.with_options(max_retries=0))
        assert caught.value.message.startswith(f"write_gate: Redis at {redis.url} cannot be reached: ")
        assert (caught.value.sent, caught.value.may_have_been_applied, caught.value.attempts) == (False, False, 0)
        redis.start()
        server.on(CREATE, MADE)
        create(client)
    finally:
        redis.close()


def test_a_call_that_could_not_ask_redis_reports_no_lost_slot(
    make: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(write_gate=RedisWriteGate("redis://127.0.0.1:9", name="m"), max_retries=0)
    with caplog.at_level(logging.WARNING, "sekha"), pytest.raises(SekhaConnectionError, match="cannot be reached"):
        create(client)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == []


def test_redis_that_comes_back_is_waited_for(make: MakeClient, server: FakeServer) -> None:
    from support.redis_server import RedisServer

    redis = RedisServer()
    client = make(write_gate=RedisWriteGate(redis.url, name="m"), on_retry=lambda event: redis.start())
    server.on(CREATE, MADE)
    try:
        create(client)
    finally:
        redis.close()


def test_scripts_that_redis_has_forgotten_are_loaded_again(
    make: MakeClient, server: FakeServer, redis: RedisServer, gate: RedisWriteGate
) -> None:
    client = make(write_gate=gate)
    server.on(CREATE, MADE, MADE)
    create(client)
    with redis.client() as one:
        one.script_flush()
    create(client)
    assert count(redis, HELD) == 0


# ---- the rate limit ------------------------------------------------------------------------------------------------


def test_clients_share_the_rate_limit(
    make: MakeClient, server: FakeServer, redis: RedisServer, limiter: RedisRateLimiter
) -> None:
    waits: list[WaitEvent] = []
    options: dict[str, Any] = {"rate_limit_requests": 3, "rate_limit_window": 0.5}
    one = make(rate_limiter=limiter, **options)
    other = make(rate_limiter=RedisRateLimiter(redis.url, name="m"), on_wait=waits.append, **options)
    server.always(QUERY, FOUND)
    for _ in range(3):
        one.controller.query("tea")
    assert count(redis, LOG) == 3
    other.controller.query("tea")
    assert [wait.reason for wait in waits] == ["rate_limit"]
    assert waits[0].seconds is not None
    assert 0 < waits[0].seconds <= 0.5
    assert count(redis, TOKENS_QUEUE) == 0


def test_a_deadline_ends_the_wait_for_a_token(
    make: MakeClient, server: FakeServer, redis: RedisServer, limiter: RedisRateLimiter
) -> None:
    client = make(rate_limiter=RedisRateLimiter(redis.url, name="m", requests=1, window=60), deadline=0.3)
    server.on(QUERY, FOUND)
    client.controller.query("tea")
    with pytest.raises(SekhaTimeoutError) as caught:
        client.controller.query("tea")
    assert not caught.value.sent
    assert (count(redis, LOG), count(redis, TOKENS_QUEUE)) == (1, 0)


def test_health_checks_count_and_do_not_wait(make: MakeClient, server: FakeServer, redis: RedisServer) -> None:
    client = make(rate_limiter=RedisRateLimiter(redis.url, name="m", requests=1, window=60))
    server.always(HEALTH, OLD)
    server.always("GET /api/v1/conversations?page=1&page_size=1", answer({"conversations": [], "total": 0}))
    for _ in range(3):
        client.controller.health()
    assert count(redis, LOG) >= 3


def test_health_checks_work_without_redis(
    make: MakeClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(rate_limiter=RedisRateLimiter("redis://127.0.0.1:1", name="m"))
    server.always(HEALTH, OLD)
    server.always("GET /api/v1/conversations?page=1&page_size=1", answer({"conversations": [], "total": 0}))
    for _ in range(2):
        assert (client.controller.health())["status"] == "healthy"
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 1
    assert told[0].startswith("rate_limiter: requests that do not wait are not counted: rate_limiter: Redis at ")


def test_all_wait_when_the_server_has_refused_a_request(
    make: MakeClient, server: FakeServer, redis: RedisServer, limiter: RedisRateLimiter
) -> None:
    one, other = make(rate_limiter=limiter, max_retries=0), make(rate_limiter=RedisRateLimiter(redis.url, name="m"))
    server.on(QUERY, empty(429, retry_after="7"))
    with pytest.raises(SekhaRateLimitError):
        one.controller.query("tea")
    with pytest.raises(SekhaTimeoutError):
        other.with_options(deadline=0.1).controller.query("tea")
    with redis.client() as client:
        assert 5_000 < client.pttl("sekha:{controller:m}:requests:pause") <= 8_001


def test_no_limit_asks_nobody(make: MakeClient, server: FakeServer) -> None:
    client = make(rate_limiter=RedisRateLimiter("redis://127.0.0.1:1", name="m"), rate_limit_requests=None)
    server.on(QUERY, FOUND)
    client.controller.query("tea")


def test_clients_of_one_service_share_by_the_same_names(
    server: FakeServer, bridge: FakeServer, redis: RedisServer, gate: RedisWriteGate, limiter: RedisRateLimiter
) -> None:
    shared: dict[str, Any] = {"write_gate": gate, "rate_limiter": limiter, "api_key": "k"}
    seen: list[int] = []
    server.on(STORE, after(lambda: seen.append(count(redis, HELD)), tool(facts.STORED)))
    server.on(CREATE, after(lambda: seen.append(count(redis, HELD)), MADE))
    bridge.on("POST /embed", answer(facts.EMBEDDING))
    with MCPClient(base_url=server.url, **shared) as mcp:
        mcp.memory_store(messages=MESSAGES)
    with MemoryController(base_url=server.url, **shared) as controller:
        controller.create_conversation(messages=MESSAGES)
    with BridgeClient(base_url=bridge.url, **shared) as client:
        client.embed("tea")
    assert seen == [1, 1]
    assert (count(redis, LOG), count(redis, "sekha:{bridge:m}:requests:log")) == (2, 1)


# ---- settings ------------------------------------------------------------------------------------------------------


def test_a_server_of_this_machine_needs_a_name_that_others_know(make: MakeClient, redis: RedisServer) -> None:
    with pytest.warns(
        SekhaWarning,
        match=r"^other machines use another address for http://127.* pass the same name=\.\.\. to RedisWriteGate and",
    ):
        make(write_gate=RedisWriteGate(redis.url))
    with pytest.warns(SekhaWarning, match="^other machines"):
        make(rate_limiter=RedisRateLimiter(redis.url), bridge_url=None)


def test_two_gates_without_a_name_are_one_warning(make: MakeClient, redis: RedisServer) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # as in a program: a text is shown once for a line
        make(write_gate=RedisWriteGate(redis.url), rate_limiter=RedisRateLimiter(redis.url), bridge_url=None)
    assert [str(one.message).partition(" use")[0] for one in caught] == ["other machines"]


def test_what_is_for_the_other_setting_is_refused(
    make: MakeClient, gate: RedisWriteGate, limiter: RedisRateLimiter
) -> None:
    with pytest.raises(SekhaConfigError, match=r"^rate_limiter: .*: a RedisWriteGate is for write_gate"):
        make(rate_limiter=gate)
    with pytest.raises(SekhaConfigError, match=r"^write_gate: .*: a RedisRateLimiter is for rate_limiter"):
        make(write_gate=limiter)
