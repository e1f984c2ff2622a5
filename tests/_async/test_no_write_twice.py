"""R1: a write whose outcome is unknown is sent once; one that certainly did nothing is repeated."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaConnectionError, SekhaError, SekhaServerError, SekhaTimeoutError
from sekha._concurrency.clock import Clock
from sekha._concurrency.tasks import async_gather
from support import facts
from support.calls import BY_NAME, MODELS, Call
from support.clock import FakeClock
from support.nobody import Unreachable
from support.replies import DROP, after, answer, app_error, body, empty, text
from support.server import FakeServer, Reply, eventually

from .conftest import MakeClient

WRITES = [
    BY_NAME[name]
    for name in ("controller.create_conversation", "mcp.memory_store", "bridge.complete", "bridge.stream_complete")
]
PERHAPS_DONE: dict[str, tuple[Reply, type[SekhaError]]] = {
    "dropped": (DROP, SekhaConnectionError),
    "500": (app_error("Database error: locked", 500), SekhaServerError),
    "502": (body(b"<html>Bad Gateway</html>", 502, "text/html"), SekhaServerError),
    "503": (empty(503), SekhaServerError),
}
TURNED_AWAY = {
    "408": empty(408),
    "425": empty(425),
    "429": text("Rate limit exceeded. Please try again later.", 429),
    "503 with Retry-After": empty(503, retry_after="2"),
}
write = pytest.mark.parametrize("call", WRITES, ids=lambda call: call.name)


async def finish(call: Call, result: Any) -> None:
    """Read a stream to its end."""
    if call.method == "stream_complete":
        assert await result.get_final_text() == "Hi"


@pytest.mark.promise("R1")
@pytest.mark.parametrize("fault", PERHAPS_DONE)
@write
async def test_what_may_have_been_stored_is_not_sent_again(
    call: Call, fault: str, client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    reply, cls = PERHAPS_DONE[fault]
    stored: list[str] = []
    asked = bridge if call.service == MODELS else server
    asked.on(call.wires[0].line, after(lambda: stored.append("stored"), reply))
    with pytest.raises(cls) as caught:
        await call.on(client)
    error = caught.value
    assert type(error) is cls
    assert stored == ["stored"]
    assert asked.lines == [call.wires[0].line]
    assert (error.attempts, error.sent, error.may_have_been_applied) == (1, True, True)
    assert "it may have been applied" in str(error)
    assert clock.waits == []


@pytest.mark.promise("R1")
@pytest.mark.slow
@write
async def test_an_answer_after_the_read_timeout_is_not_asked_for_again_and_is_nobody_elses(
    call: Call, make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client, late = make(max_connections=1), threading.Event()
    asked = bridge if call.service == MODELS else server
    asked.on(call.wires[0].line, after(late, call.wires[0].reply))
    with pytest.raises(SekhaTimeoutError) as caught:
        await call.on(client.with_options(timeout=0.5))
    error = caught.value
    assert (error.attempts, error.sent, error.may_have_been_applied) == (1, True, True)
    assert asked.lines == [call.wires[0].line]
    late.set()
    eventually(lambda: asked.open_connections == 0)
    asked.on("GET /health", answer(facts.BRIDGE_HEALTHY if asked is bridge else facts.HEALTHY))
    health = (client.bridge if asked is bridge else client.controller).health
    assert (await health())["status"] == "healthy"
    assert [seen.connection for seen in asked.seen] == [1, 2]
    assert clock.waits == []


@pytest.mark.promise("R1", "W9")
@pytest.mark.parametrize("fault", TURNED_AWAY)
@write
async def test_what_was_turned_away_untouched_is_sent_again(
    call: Call, fault: str, client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    asked = bridge if call.service == MODELS else server
    asked.on(call.wires[0].line, TURNED_AWAY[fault], TURNED_AWAY[fault])
    call.script(server, bridge)
    await finish(call, await call.on(client))
    assert len(asked.seen) == 3
    assert len({seen.body for seen in asked.seen}) == 1
    assert clock.waits == ([2.0, 2.0] if "503" in fault else [0.5, 1.0])


@pytest.mark.promise("R1")
@pytest.mark.parametrize(
    "silent", [pytest.param(False, id="refused"), pytest.param(True, id="connect timeout", marks=pytest.mark.slow)]
)
@write
async def test_what_could_not_connect_is_sent_again(
    call: Call, silent: bool, make: MakeClient, clock: FakeClock
) -> None:
    with Unreachable(silent=silent) as nobody:
        call.script(nobody.server, nobody.server)
        client = make(controller_url=nobody.url, bridge_url=nobody.url, timeout=1.0 if silent else 30.0)
        with pytest.raises(SekhaConnectionError) as caught:
            await call.on(client.with_options(max_retries=1, timeout=0.05) if silent else client)
        error = caught.value
        assert isinstance(error, SekhaTimeoutError) is silent
        assert (error.attempts, error.sent, error.may_have_been_applied) == (2 if silent else 4, False, False)
        clock.on_wait = nobody.answer
        await finish(call, await call.on(client))
        assert nobody.server.lines == [call.wires[0].line]
        await client.aclose()
    nobody.server.check()


@pytest.mark.promise("C4")
@pytest.mark.parametrize("fault", [*PERHAPS_DONE, *TURNED_AWAY])
async def test_an_error_says_that_an_attempt_before_it_was_sent(
    fault: str, client: AsyncSekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    call = BY_NAME["controller.update_label"]
    server.on(call.wires[0].line, PERHAPS_DONE[fault][0] if fault in PERHAPS_DONE else TURNED_AWAY[fault])
    clock.on_wait = server.refuse
    with pytest.raises(SekhaConnectionError, match="cannot connect") as caught:
        await call.on(client)
    error = caught.value
    assert (error.attempts, error.sent, error.may_have_been_applied) == (4, True, fault in PERHAPS_DONE)


@pytest.mark.promise("R1")
@pytest.mark.slow
@write
async def test_what_got_no_connection_from_the_pool_in_time_is_sent_again(
    call: Call, make: MakeClient, server: FakeServer, bridge: FakeServer, clock: FakeClock
) -> None:
    client, go_on = make(max_connections=1, timeout=1.0), threading.Event()
    asked = bridge if call.service == MODELS else server
    asked.on("GET /health", after(go_on, answer(facts.BRIDGE_HEALTHY if asked is bridge else facts.HEALTHY)))
    call.script(server, bridge)

    async def hold() -> Any:
        view = client.with_options(timeout=None)
        return await (view.bridge if asked is bridge else view.controller).health()

    async def wait_in_vain() -> Any:
        while not asked.seen:
            await Clock().async_sleep(0.002)
        try:
            with pytest.raises(SekhaTimeoutError) as caught:
                await call.on(client.with_options(max_retries=1, timeout=0.05))
            clock.on_wait = go_on.set
            await finish(call, await call.on(client))
        finally:
            go_on.set()
        return caught.value

    _, error = await async_gather([hold, wait_in_vain], 2)
    assert (error.attempts, error.sent, error.may_have_been_applied) == (2, False, False)
    assert asked.lines == ["GET /health", call.wires[0].line]
    assert len(clock.waits) == 2
