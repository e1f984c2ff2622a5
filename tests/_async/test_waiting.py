"""A call that waits before it is sent says so: to a hook, in the log, and in the progress of an import."""

from __future__ import annotations

import logging
import threading
from dataclasses import astuple
from typing import Any, Callable

import pytest

from sekha import AsyncMemoryController, AsyncSekhaClient, SekhaRateLimitError, SekhaTimeoutError, WaitEvent
from sekha._concurrency.tasks import AsyncCall, async_gather
from sekha.local import LocalSekha
from support import facts
from support.clock import FakeClock, give_clock
from support.facts import MESSAGES
from support.replies import after, answer, text
from support.routes import CREATE, QUERY
from support.server import FakeServer

from .conftest import MakeClient

TASKS = "GET /api/v1/tasks"
MADE, FOUND = answer(facts.CREATED, 201), answer(facts.hits())
SLOW_DOWN = text("Rate limit exceeded", 429)


@pytest.fixture
def waits() -> list[WaitEvent]:
    return []


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[int], list[str]]:
    """Our records of waits at a level."""
    caplog.set_level(logging.DEBUG, "sekha")
    return lambda level: [
        record.getMessage() for record in caplog.records if record.levelno == level and "waiting" in record.getMessage()
    ]


# ---- the rate limit ------------------------------------------------------------------------------------------------


async def test_a_wait_for_the_rate_limit_says_how_long_it_takes(
    make: MakeClient, server: FakeServer, clock: FakeClock, waits: list[WaitEvent], logged: Any
) -> None:
    client = make(rate_limit_requests=2, rate_limit_window=60.0, on_wait=waits.append)
    server.always(QUERY, FOUND)
    for _ in range(2):
        await client.controller.query("x")
        clock.move(1.5)
    assert waits == []
    await client.with_options(max_retries=1).controller.query("x")
    assert [astuple(wait) for wait in waits] == [("rate_limit", "controller", pytest.approx(57.0))]
    assert logged(logging.INFO) == ["POST /api/v1/query: waiting 57 s for the rate limit (2 requests per minute)"]


@pytest.mark.parametrize(("window", "level"), [(0.9, logging.DEBUG), (1.0, logging.DEBUG), (1.1, logging.INFO)])
async def test_waits_of_more_than_a_second_are_logged_at_info(
    window: float, level: int, make: MakeClient, server: FakeServer, waits: list[WaitEvent], logged: Any
) -> None:
    client = make(rate_limit_requests=1, rate_limit_window=window, on_wait=waits.append)
    server.always(QUERY, FOUND)
    for _ in range(2):
        await client.controller.query("x")
    assert [wait.reason for wait in waits] == ["rate_limit"]
    assert len(logged(level)) == 1
    assert len(logged(logging.INFO)) == (level == logging.INFO)


async def test_the_event_names_the_service(
    make: MakeClient, server: FakeServer, bridge: FakeServer, waits: list[WaitEvent]
) -> None:
    client = make(rate_limit_requests=1, rate_limit_window=10.0, on_wait=waits.append)
    server.always(QUERY, FOUND)
    bridge.always(TASKS, answer([]))
    for _ in range(2):
        await client.controller.query("x")
    for _ in range(2):
        await client.bridge.tasks()
    assert [wait.service for wait in waits] == ["controller", "bridge"]


async def test_a_client_of_one_service_has_the_hook_too(server: FakeServer, waits: list[WaitEvent]) -> None:
    server.always(QUERY, FOUND)
    async with AsyncMemoryController(
        base_url=server.url, api_key="k", rate_limit_requests=1, on_wait=waits.append
    ) as controller:
        give_clock(controller, FakeClock())
        for _ in range(2):
            await controller.query("x")
    assert [wait.reason for wait in waits] == ["rate_limit"]


async def test_a_refusal_by_the_server_makes_the_next_call_wait_and_say_so(
    make: MakeClient, server: FakeServer, waits: list[WaitEvent]
) -> None:
    client = make(max_retries=0, on_wait=waits.append)
    server.on(QUERY, SLOW_DOWN, FOUND)
    with pytest.raises(SekhaRateLimitError):
        await client.controller.query("x")
    assert waits == []
    await client.controller.query("x")
    assert [astuple(wait) for wait in waits] == [("rate_limit", "controller", pytest.approx(60.0))]


async def test_a_wait_that_the_deadline_ends_was_reported(
    make: MakeClient, server: FakeServer, waits: list[WaitEvent]
) -> None:
    client = make(rate_limit_requests=1, rate_limit_window=60.0, deadline=5.0, on_wait=waits.append)
    server.on(QUERY, FOUND)
    await client.controller.query("x")
    with pytest.raises(SekhaTimeoutError) as caught:
        await client.controller.query("x")
    assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)
    assert [wait.seconds for wait in waits] == pytest.approx([60.0])


async def test_a_hook_that_fails_breaks_no_call(make: MakeClient, server: FakeServer) -> None:
    def fail(event: WaitEvent) -> None:
        raise RuntimeError("not now")

    client = make(rate_limit_requests=1, rate_limit_window=10.0, on_wait=fail)
    server.always(QUERY, FOUND)
    await client.controller.query("x")
    with pytest.warns(match="on_wait raised RuntimeError; the call is not affected"):
        await client.controller.query("x")


@pytest.mark.parametrize("value", [None, "none"])
async def test_without_a_limit_nothing_waits(
    value: Any, make: MakeClient, server: FakeServer, clock: FakeClock, waits: list[WaitEvent]
) -> None:
    client = make(rate_limit_requests=value, rate_limit_window=60.0, max_retries=0, on_wait=waits.append)
    server.on(QUERY, *[FOUND] * 30, SLOW_DOWN, FOUND)
    for _ in range(30):
        await client.controller.query("x")
    with pytest.raises(SekhaRateLimitError):
        await client.controller.query("x")
    await client.controller.query("x")
    assert (waits, clock.waits) == ([], [])


async def test_the_environment_sets_the_limit(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, waits: list[WaitEvent]
) -> None:
    monkeypatch.setenv("SEKHA_RATE_LIMIT_REQUESTS", "1")
    monkeypatch.setenv("SEKHA_RATE_LIMIT_WINDOW", "7.5")
    server.always(QUERY, FOUND)
    async with AsyncMemoryController(base_url=server.url, api_key="k", on_wait=waits.append) as controller:
        give_clock(controller, FakeClock())
        for _ in range(2):
            await controller.query("x")
    assert [wait.seconds for wait in waits] == pytest.approx([7.5])


async def test_nothing_waits_for_a_local_sekha(sekha: LocalSekha, waits: list[WaitEvent]) -> None:
    assert all(isinstance(value, str) for value in sekha.options.values())
    assert sekha.options["rate_limit_requests"] == "none"
    async with AsyncSekhaClient(**sekha.options, rate_limit_window=3600.0, on_wait=waits.append) as client:
        for _ in range(1010):
            await client.controller.health()
    assert waits == []


# ---- connections and write slots -----------------------------------------------------------------------------------


async def test_a_wait_for_a_connection_is_reported(
    make: MakeClient, server: FakeServer, waits: list[WaitEvent]
) -> None:
    release = threading.Event()

    def on_wait(event: WaitEvent) -> None:
        waits.append(event)
        release.set()

    client = make(max_connections=1, on_wait=on_wait)
    server.on(QUERY, after(release, FOUND), FOUND)

    def query() -> AsyncCall[[], Any]:
        return lambda: client.controller.query("x")

    await async_gather([query(), query()], 2)
    assert waits == [WaitEvent("connection", "controller", None)]


async def test_a_wait_for_a_write_slot_is_reported(
    make: MakeClient, server: FakeServer, waits: list[WaitEvent], logged: Any
) -> None:
    release = threading.Event()

    def on_wait(event: WaitEvent) -> None:
        waits.append(event)
        release.set()

    client = make(max_concurrent_writes=1, on_wait=on_wait)
    server.on("GET /health", answer(facts.HEALTHY))
    server.on(CREATE, after(release, MADE), MADE)

    def create() -> AsyncCall[[], Any]:
        return lambda: client.controller.create_conversation(messages=MESSAGES)

    await async_gather([create(), create()], 2)
    assert waits == [WaitEvent("write_slot", "controller", None)]
    assert logged(logging.DEBUG) == [f"{CREATE}: waiting for a write slot"]
    assert logged(logging.INFO) == []


# ---- imports -------------------------------------------------------------------------------------------------------


def notes(number: int) -> Any:
    return [{"messages": [{"role": "user", "content": f"note {index}"}]} for index in range(number)]


async def test_an_import_shows_that_it_waits(
    make: MakeClient, server: FakeServer, clock: FakeClock, waits: list[WaitEvent]
) -> None:
    client = make(rate_limit_requests=3, rate_limit_window=60.0, on_wait=waits.append)
    server.always(CREATE, after(lambda: clock.move(1.0), MADE))
    shown: list[Any] = []
    report = await client.controller.import_conversations(notes(5), concurrency=1, on_progress=shown.append)
    assert (report["stored"], "waiting" in report) == (5, False)
    assert [progress["seen"] for progress in shown] == [1, 2, 3, 3, 4, 5]
    waiting = [progress for progress in shown if "waiting" in progress]
    assert waiting == [
        {
            **{"seen": 3, "stored": 3, "already_stored": 0, "grown": 0, "renamed": 0, "replaced": 0},
            **{"empty": 0, "failed": 0},
            "waiting": {"reason": "rate_limit", "seconds": pytest.approx(57.0)},
        }
    ]
    assert [wait.reason for wait in waits] == ["rate_limit"], "the hook of the user is called as well"


async def test_an_import_shows_that_the_server_made_it_wait(
    make: MakeClient, server: FakeServer, waits: list[WaitEvent], logged: Any
) -> None:
    client = make(max_retries=0, rate_limit_requests=None, on_wait=waits.append)
    server.on(CREATE, SLOW_DOWN, MADE)
    shown: list[Any] = []
    await client.controller.import_conversations(notes(1), on_progress=shown.append)
    assert [progress.get("waiting") for progress in shown] == [{"reason": "rate_limit", "seconds": 60.0}, None]
    assert waits == [WaitEvent("rate_limit", "controller", 60.0)]
    assert logged(logging.INFO) == [f"{CREATE}: waiting 60 s for the rate limit of the server"]
