"""Modules of the standard library whose contents were replaced, as pytest-socket, eventlet and mocks do it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import facts
from support.certificates import Certificates
from support.facts import MESSAGES
from support.forbidden import Forbidden
from support.replies import answer, chunked, delta
from support.server import FakeServer, eventually

from .conftest import MakeClient

QUERY, CHAT = "POST /api/v1/query", "POST /v1/chat/completions"


@pytest.fixture(params=["plain", "TLS"])
def patient(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[FakeServer, dict[str, Any]]]:
    """A server whose streams do not end, and the settings of its clients."""
    certificates = Certificates(tmp_path)
    server = FakeServer(tls=certificates.server() if request.param == "TLS" else None)
    server.always(QUERY, answer(facts.hits()))
    server.always(CHAT, chunked(delta("Hi"), end="hang"))
    yield server, {"controller_url": server.url, "bridge_url": server.url, "verify": certificates.ca}
    server.close()


@pytest.mark.promise("C4", "W12")
async def test_closing_looks_up_nothing_in_a_patched_module(
    patient: tuple[FakeServer, dict[str, Any]], make: MakeClient
) -> None:
    server, settings = patient
    client, forbidden = make(**settings), Forbidden()
    await client.controller.query("x")
    streams = [await client.bridge.stream_complete(MESSAGES) for _ in range(3)]
    for stream in streams:
        await stream.__anext__()
    text = streams[0].text_stream()
    assert server.open_connections == 4
    await forbidden.async_call(text.aclose)
    await forbidden.async_call(streams[1].aclose)
    eventually(lambda: server.open_connections == 2)
    await forbidden.async_call(client.aclose)  # one connection is idle, and one in use
    await forbidden.async_call(streams[2].aclose)
    eventually(lambda: server.open_connections == 0)
    await forbidden.async_call(client.aclose)
    assert forbidden.found == []
