"""Every argument that is refused, with clients that must not send (C11): the field, and what the error says of it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Dict, Iterator, List

import httpx
import pytest

from sekha import AsyncSekhaClient, SekhaClient, SekhaValidationError
from support.facts import BRIDGE_KEY, MCP_KEY, REST_KEY
from support.refusals import REFUSED, WORKFLOWS


@pytest.fixture(scope="module")
def clients() -> Iterator[List[Any]]:
    """One of each flavour."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.method} {request.url} was sent")

    settings: Dict[str, Any] = {
        "controller_url": "http://sekha.test",
        "bridge_url": "http://bridge.test",
        "api_key": REST_KEY,
        "mcp_api_key": MCP_KEY,
        "bridge_api_key": BRIDGE_KEY,
    }
    transport = httpx.MockTransport(refuse)
    with httpx.Client(transport=transport) as lent:
        awaited = httpx.AsyncClient(transport=transport)  # it opens nothing, so there is nothing to close
        yield [SekhaClient(**settings, http_client=lent), AsyncSekhaClient(**settings, http_client=awaited)]


def outcome(method: Any, *arguments: Any, **keywords: Any) -> Any:
    """What a call gives at once: without an event loop, a coroutine has to end before it waits for anything."""
    result = method(*arguments, **keywords)
    return result.send(None) if isinstance(result, Coroutine) else result


@pytest.mark.parametrize(("name", "arguments", "keywords", "field"), [*REFUSED, *WORKFLOWS])
def test_bad_arguments_are_refused_before_anything_is_sent(
    name: str, arguments: List[Any], keywords: Dict[str, Any], field: str, clients: List[Any]
) -> None:
    for client in clients:
        method = client
        for part in name.split("."):
            method = getattr(method, part)
        with pytest.raises(SekhaValidationError) as caught:
            outcome(method, *arguments, **keywords)
        error = caught.value
        assert error.field == field
        assert str(error).startswith(f"{field}: ")
        assert (error.sent, error.status_code, error.attempts, error.may_have_been_applied) == (False, 400, 0, False)
        assert isinstance(error, ValueError)
