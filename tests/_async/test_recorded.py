"""Every recorded answer of the real servers, byte for byte, on a socket: a result as recorded, or the right error."""

from __future__ import annotations

from typing import Any

import pytest

from sekha import AsyncStream, SekhaError, SekhaValidationError
from sekha._api.model import Endpoint, ResponseParser, RetryIfUnknown, Service
from support import recorded
from support.recorded import FILES, TOTALS, Exchange, Row, Tally
from support.server import FakeServer

from .conftest import MakeClient

QUICK: dict[str, Any] = {"max_retries": 0, "rate_limit_requests": 1_000_000}


async def to_its_method(exchange: Exchange, row: Row, client: Any, asked: FakeServer, tally: Tally) -> list[str]:
    """Give an answer to the public method that it is for; what went wrong."""
    result: Any = None
    failed: Any = None
    arguments = row.arguments(exchange)
    if "Timeout" in exchange.fault:
        client = client.with_options(timeout=0.5)
    method = getattr(getattr(client, row.service), row.name)
    for attempt in (arguments, row.usual):
        for line, reply in row.before(attempt).items():
            asked.always(line, reply)
        asked.always(row.asks(attempt), exchange.reply)
        before = len(asked.seen)
        try:
            result = await method(**attempt)
            if isinstance(result, AsyncStream):
                result = await result.get_final_completion()
        except SekhaValidationError as error:
            if not error.sent:
                if len(asked.seen) > before:
                    return [f"{error!r} after something was sent"]
                continue
            failed = error
        except SekhaError as error:
            failed = error
        arguments = attempt
        made = [seen for seen in asked.seen[before:] if seen.line not in row.before(arguments)]
        if made:
            break
    else:
        return ["nothing was sent"]
    problems = [] if {seen.line for seen in made} == {row.asks(arguments)} else [f"asked for {made}"]
    if row.is_made_by(made[0], exchange):
        tally.as_recorded += 1
    else:
        tally.with_others += 1
    if failed is not None:
        tally.errors += 1
        return [*problems, *recorded.problems_of_error(failed, exchange, row)]
    tally.results += 1
    if recorded.error_class(exchange, row) is not None:
        return [*problems, f"no error, but {result!r}"]
    return [*problems, *recorded.problems_of_result(result, exchange, row, arguments)]


async def to_the_transport(exchange: Exchange, client: Any, asked: FakeServer, tally: Tally) -> list[str]:
    """Send a request that no public method makes, and read its answer as any other; what went wrong."""
    recorded.reason(exchange)
    asked.always(f"{exchange.method} {exchange.path}", exchange.reply)
    transport = (client.bridge if exchange.bridge else client.controller)._transport
    service = Service.BRIDGE if exchange.bridge else Service.CONTROLLER
    endpoint = Endpoint(
        "recorded", service, exchange.method, exchange.target, RetryIfUnknown.YES, ResponseParser[None](None)
    )
    tally.elsewhere += 1
    try:
        await transport.send(endpoint.request(exchange.body if isinstance(exchange.body, dict) else None))
    except SekhaError as error:
        tally.errors += 1
        return list(recorded.problems_of_error(error, exchange, None))
    tally.results += 1
    return [] if recorded.error_class(exchange, None) is None else ["no error"]


@pytest.mark.parametrize(
    "file", [pytest.param(file, marks=[pytest.mark.slow] if "parallel" in file else []) for file in FILES]
)
async def test_every_recorded_answer_is_taken_rightly(
    file: str, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    client, tally, problems = make(**QUICK), Tally(), []
    for number, exchange in enumerate(recorded.exchanges(file)):
        asked = bridge if exchange.bridge else server
        row = recorded.row_of(exchange)
        if row is None:
            found = await to_the_transport(exchange, client, asked, tally)
        else:
            found = await to_its_method(exchange, row, client, asked, tally)
        problems += [f"{file} {number} {exchange.name}: {problem}" for problem in found]
        if exchange.status == 429:
            client = make(**QUICK)  # it empties the client's own limiter
    assert problems == []
    assert tally == TOTALS[file]
