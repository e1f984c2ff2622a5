"""R3 and R15: how long is waited before a repetition, and that it is the same request."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaAPIError, SekhaServerError
from sekha._api.model import to_json
from support import facts
from support.clock import FakeClock, give_clock
from support.facts import MESSAGES
from support.nobody import Unreachable
from support.replies import DROP, answer, empty, raw, tool
from support.server import FakeServer

from .conftest import MakeClient

CREATE, QUERY, SEARCH = "POST /api/v1/conversations", "POST /api/v1/query", "POST /mcp/tools/memory_search"
FOUND = answer(facts.hits(facts.hit()))


@pytest.mark.promise("R15")
@pytest.mark.parametrize("fault", ["503 with Retry-After", "refused"])
async def test_a_repetition_sends_the_same_bytes_whatever_became_of_the_arguments(
    fault: str, make: MakeClient, server: FakeServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = {"role": "user", "content": "before"}
    conversation: dict[str, Any] = {"label": "L", "messages": [message]}
    made: list[bytes] = []

    def noted(body: Any) -> bytes:
        made.append(to_json(body))
        return made[-1]

    monkeypatch.setattr("sekha._api.model.to_json", noted)
    with Unreachable() as late:

        def change() -> None:
            message["content"] = f"after {len(clock.waits)}"
            conversation["messages"] = []
            conversation["label"] = "changed"
            late.answer()

        clock.on_wait = change
        first = (empty(503, retry_after="1"),) * 2 if fault != "refused" else ()
        asked = late.server if fault == "refused" else server
        asked.on(CREATE, *first, answer(facts.CREATED, 201))
        client = make(controller_url=asked.url)
        await client.controller.create_conversation(conversation)
        assert [seen.body for seen in asked.seen] == made * (1 + len(first))
        assert len(made) == 1, "it is serialised once"
        assert asked.seen[0].json == {"label": "L", "folder": "/", "messages": [{"role": "user", "content": "before"}]}
        assert len(clock.waits) == max(1, len(first))
        await client.aclose()


@pytest.mark.promise("R15")
async def test_the_bytes_of_a_repeated_search_are_the_same_too(
    client: AsyncSekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    query: dict[str, Any] = {"query": "before", "limit": 3}
    clock.on_wait = lambda: query.update(query="after", limit=9)
    server.on(SEARCH, DROP, empty(502), tool(facts.tool_hits()))
    await client.mcp.memory_search(query)
    assert [seen.json for seen in server.seen] == [{"query": "before", "limit": 3}] * 3


@pytest.mark.promise("R3")
async def test_waits_grow_up_to_a_limit_and_are_spread(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    clock.random = 0.5
    server.always(QUERY, empty(502))
    with pytest.raises(SekhaServerError):
        await make(max_retries=7).controller.query("x")
    assert clock.waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


class SeededClock(FakeClock):
    """Chance as the real clock has it, but the same in every run."""

    def __init__(self) -> None:
        super().__init__()
        self.chance = Random(5).random  # type: ignore[method-assign]


@pytest.mark.promise("R3")
async def test_the_waits_of_a_seeded_run_fill_the_documented_bounds(make: MakeClient, server: FakeServer) -> None:
    seeded = SeededClock()
    client = make(max_retries=7, rate_limit_requests=10**6)
    give_clock(client, seeded)
    server.always(QUERY, empty(502))
    for _ in range(40):
        with pytest.raises(SekhaServerError):
            await client.controller.query("x")
    for number, bound in enumerate((0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)):
        shares = [wait / bound for wait in seeded.waits[number::7]]
        assert len(shares) == 40
        assert max(shares) <= 1.0
        assert min(shares) >= 0.0
        for tenth in (0.2, 0.8):  # full jitter: from nothing to the whole
            assert min(shares) < tenth < max(shares)
        assert len(set(shares)) == 40


@pytest.mark.promise("R3", "W9")
@pytest.mark.parametrize(
    ("header", "waited"),
    [
        ("0", 0.5),
        ("0.0", 0.5),
        ("3, 7", 7.0),
        ("1, 1", 1.0),
        ("soon, 3", 3.0),
        ("0, 0", 0.5),
        ("7", 7.0),
        ("0.2", 1.0),
        ("1.5", 2.0),
        ("60", 60.0),
        ("59.01", 60.0),
        ("-5", 0.5),
        ("soon", 0.5),
        ("7 s", 0.5),
        ("nan", 0.5),
        ("inf", 0.5),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.5),
        ("Sun, 99 Nov 1994 08:49:37 GMT", 0.5),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_obeyed_and_rounded_up(
    header: str, waited: float, status: int, client: AsyncSekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    server.on(QUERY, empty(status, retry_after=header), FOUND)
    assert (await client.controller.query("x"))["total"] == 1
    assert clock.waits == [waited]


@pytest.mark.promise("R3", "W9")
@pytest.mark.parametrize("status", [429, 503])
async def test_a_date_in_retry_after_is_waited_for(
    status: int, client: AsyncSekhaClient, server: FakeServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sekha._api.error_response.time.time", lambda: 784_111_777.25
    )  # Sun, 06 Nov 1994 08:49:37.25 GMT
    dates = ("Sun, 06 Nov 1994 08:49:50 GMT", "Sunday, 06-Nov-94 08:49:51 GMT", "Sun Nov  6 08:50:37 1994")
    server.on(QUERY, *[empty(status, retry_after=date) for date in dates], FOUND)
    await client.controller.query("x")
    assert clock.waits == [13.0, 14.0, 60.0]
    server.on(QUERY, empty(status, retry_after="Sun, 06 Nov 1994 08:50:38 GMT"))
    with pytest.raises(SekhaAPIError) as caught:
        await client.controller.query("x")
    assert (caught.value.attempts, caught.value.retry_after) == (1, 60.75)
    assert len(clock.waits) == 3


@pytest.mark.promise("R3", "W9")
@pytest.mark.parametrize("skew", ["06 Nov 1994 08:49:37", "06 Nov 2093 08:49:37"])
@pytest.mark.parametrize("status", [429, 503])
async def test_a_date_counts_from_the_date_of_the_answer(
    status: int, skew: str, client: AsyncSekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    dates = {"date": f"Sun, {skew} GMT", "retry_after": f"Sun, {skew[:-2]}39 GMT"}
    server.on(QUERY, empty(status, **dates), FOUND)
    await client.controller.query("x")
    assert clock.waits == [2.0]


@pytest.mark.promise("R3", "W9")
async def test_a_retry_after_of_no_time_still_backs_off(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    clock.random = 0.5
    server.always(QUERY, empty(429, retry_after="0"))
    with pytest.raises(SekhaAPIError) as caught:
        await make(max_retries=4).controller.query("x")
    assert clock.waits == [0.25, 0.5, 1.0, 2.0]
    assert caught.value.retry_after == 0.0, "as the server said"


@pytest.mark.promise("R3", "W9")
@pytest.mark.parametrize("lines", [(b"1", b"1"), (b"1", b"4"), (b"4", b"soon")])
async def test_two_lines_of_retry_after_are_understood(
    lines: tuple[bytes, bytes], client: AsyncSekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    head = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n"
    server.on(QUERY, raw(head + b"".join(b"Retry-After: %s\r\n" % line for line in lines) + b"\r\n"), FOUND)
    await client.controller.query("x")
    assert clock.waits == [max(float(line) for line in lines if line != b"soon")]


@pytest.mark.promise("R3")
@pytest.mark.parametrize(("header", "seconds"), [("61", 61.0), ("60.5", 60.5), ("1e9", 1e9), ("9" * 30, 1e30)])
@pytest.mark.parametrize("status", [429, 503])
async def test_a_server_that_asks_for_too_long_is_not_waited_for(
    status: int, header: str, seconds: float, client: AsyncSekhaClient, server: FakeServer, clock: FakeClock
) -> None:
    server.on(CREATE, empty(status, retry_after=header))
    with pytest.raises(SekhaAPIError) as caught:
        await client.controller.create_conversation(messages=MESSAGES)
    assert caught.value.retry_after == seconds
    assert caught.value.may_have_been_applied is False
    assert clock.waits == []
