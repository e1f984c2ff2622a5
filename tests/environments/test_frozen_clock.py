"""freezegun stops the clock, also that of event loops: nobody waits for ever, and times of the day are frozen."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from importlib import import_module
from inspect import isawaitable
from pathlib import Path
from typing import Any, Callable, Dict, List

import anyio
import pytest

import sekha as package
from sekha import AsyncSekhaClient, SekhaClient, SekhaError, SekhaTimeoutError
from sekha._api.error_response import parse_retry_after
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha
from support import facts
from support.packages import require_packages
from support.replies import DONE, HANG, answer, chunked, delta, text
from support.server import FakeServer

require_packages("environments", "freezegun")

freeze_time: Any = import_module("freezegun").freeze_time

pytestmark = pytest.mark.promise("W12")

FLAVOURS = ["blocking", "asyncio", "trio"]
COUNT = "GET /api/v1/conversations/count"
COUNTED = answer({"count": 3})
REFUSED = text("Rate limit exceeded", 429, retry_after="1")
_PATIENCE = 20.0

Step = Callable[[Any], Any]


def count(client: Any) -> Any:
    """A call, of a client of either flavour."""
    return client.controller.count_conversations()


def in_time(work: Callable[[], Any]) -> Any:
    """Do something in a thread; fail if it is not done in a time that is measured by the system."""
    done: List[Any] = []

    def run() -> None:
        try:
            done.append((work(), None))
        except BaseException as error:
            done.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    assert done, "it waits for ever"
    result, error = done[0]
    if error is not None:
        raise error
    return result


def play(flavour: str, settings: Dict[str, Any], *steps: Step, tick: bool = False) -> List[str]:
    """Make some calls while the clock is frozen; return what each returned, or the name of its error."""

    def shown(result: Any) -> str:
        return str(result.get("count", "")) if isinstance(result, dict) else str(result)

    def blocking() -> List[str]:
        said: List[str] = []
        with SekhaClient(**settings) as client:
            for step in steps:
                try:
                    said.append(shown(step(client)))
                except SekhaError as error:
                    said.append(type(error).__name__)
        return said

    async def awaited() -> List[str]:
        said: List[str] = []
        async with AsyncSekhaClient(**settings) as client:
            for step in steps:
                try:
                    result = step(client)
                    said.append(shown(await result if isawaitable(result) else result))
                except SekhaError as error:
                    said.append(type(error).__name__)
        return said

    with freeze_time("2026-01-01", tick=tick):
        return list(in_time(blocking if flavour == "blocking" else lambda: anyio.run(awaited, backend=flavour)))


def settings_for(server: FakeServer, **more: Any) -> Dict[str, Any]:
    return {"controller_url": server.url, "bridge_url": server.url, "api_key": "k", "max_retries": 0, **more}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_after_a_429_that_was_given_up_the_next_call_waits_and_goes_on(flavour: str, server: FakeServer) -> None:
    server.on(COUNT, REFUSED, COUNTED)
    options = settings_for(server, rate_limit_window=0.2)  # longer is not waited for
    assert play(flavour, options, count, count) == ["SekhaRateLimitError", "3"]


@pytest.mark.parametrize("tick", [False, True])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_rate_limit_lets_the_next_call_through_after_its_window(
    flavour: str, tick: bool, server: FakeServer
) -> None:
    server.always(COUNT, COUNTED)
    options = settings_for(server, rate_limit_requests=2, rate_limit_window=0.2)
    assert play(flavour, options, count, count, count, tick=tick) == ["3"] * 3


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_deadline_ends_the_wait_for_the_rate_limit(flavour: str, server: FakeServer) -> None:
    server.on(COUNT, COUNTED)
    options = settings_for(server, rate_limit_requests=1, rate_limit_window=60.0, deadline=1.0)
    assert play(flavour, options, count, count) == ["3", "SekhaTimeoutError"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_retries_wait_as_long_as_ever(flavour: str, server: FakeServer) -> None:
    server.on(COUNT, text("busy", 503), COUNTED)
    assert play(flavour, settings_for(server, max_retries=1), count) == ["3"]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("limit", [{"deadline": 0.5}, {"timeout": 0.5, "max_retries": 1}])
def test_a_server_that_does_not_answer_is_given_up(limit: Dict[str, Any], flavour: str, server: FakeServer) -> None:
    server.on(COUNT, *[HANG] * (1 + int(limit.get("max_retries", 0))))
    assert play(flavour, settings_for(server, **limit), count) == ["SekhaTimeoutError"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_streams_end_and_stall_as_ever(flavour: str, server: FakeServer) -> None:
    whole = chunked(delta("Once", "stop"), DONE)
    without_done = chunked(delta("Once", "stop"), end="hang")
    server.on("POST /v1/chat/completions", whole, without_done, chunked(delta("Once"), end="hang"))

    def read(client: Any) -> Any:
        if flavour == "blocking":
            return client.bridge.stream_complete(facts.MESSAGES).get_final_text()

        async def awaited() -> str:
            return str(await (await client.bridge.stream_complete(facts.MESSAGES)).get_final_text())

        return awaited()

    assert play(flavour, settings_for(server, timeout=1.0), read, read, read) == ["Once", "Once", "SekhaTimeoutError"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_who_waits_for_a_connection_is_given_up(flavour: str, server: FakeServer) -> None:
    server.on("POST /v1/chat/completions", chunked(delta("Once"), end="hang"))

    def stream_and_call(client: Any) -> Any:
        if flavour == "blocking":
            with client.bridge.stream_complete(facts.MESSAGES):
                return client.bridge.embed("x")

        async def awaited() -> Any:
            async with await client.bridge.stream_complete(facts.MESSAGES):
                return await client.bridge.embed("x")

        return awaited()

    options = settings_for(server, max_connections=1, timeout=1.0)
    assert play(flavour, options, stream_and_call) == ["SekhaTimeoutError"]


def test_servers_for_tests_start_answer_and_stop() -> None:
    def work() -> None:
        with LocalSekha() as local, ScriptedSekha() as scripted:
            for options in (local.options, scripted.options):
                with SekhaClient(**options) as client:
                    assert count(client)["count"] == 0
            local.forget()

    with freeze_time("2026-01-01"):
        in_time(work)


def test_a_local_server_stops_though_the_clock_was_stopped_in_between() -> None:
    def work() -> None:
        with LocalSekha() as local, SekhaClient(**local.options) as client:
            with freeze_time("2026-01-01"):
                time.sleep(0.3)  # its event loop has a turn
                made = client.controller.create_conversation(messages=facts.MESSAGES)
            assert made["created_at"] == "2026-01-01T00:00:00.000000+00:00"
            client.controller.health()

    in_time(work)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_client_that_was_there_before_goes_on_after_it(backend: str, server: FakeServer) -> None:
    server.on(COUNT, COUNTED, COUNTED, COUNTED, HANG, COUNTED)

    async def work() -> None:
        async with AsyncSekhaClient(**settings_for(server, timeout=1.0)) as client:
            await count(client)
            with freeze_time("2026-01-01"):
                await count(client)
            await count(client)
            with freeze_time("2036-01-01"), pytest.raises(SekhaTimeoutError):
                await count(client)
            assert (await count(client))["count"] == 3

    in_time(lambda: anyio.run(work, backend=backend))


def test_the_time_of_the_day_is_frozen() -> None:
    with freeze_time("2026-01-01 12:00:00"):
        assert parse_retry_after("Thu, 01 Jan 2026 12:00:05 GMT") == 5.0


def test_what_is_imported_while_the_clock_stands_still_does_not_stand_still() -> None:
    code = """
import sys
from freezegun import freeze_time
with freeze_time("2026-01-01"):
    import sekha
    from sekha.local import LocalSekha
    limit = dict(rate_limit_requests=1, rate_limit_window=0.1)
    with LocalSekha() as local, sekha.SekhaClient(**{**local.options, **limit}) as client:
        for _ in range(3):
            print(client.controller.count_conversations()["count"])
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__ or "").parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "0\n" * 3), done.stderr
