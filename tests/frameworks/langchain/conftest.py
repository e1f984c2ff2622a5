"""Applications, on local Sekhas."""

from __future__ import annotations

from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaClient
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha, use_clock

from .scripted import KINDS, Shop, Shops


@pytest.fixture
def server(any_sekha: LocalSekha) -> LocalSekha:
    """An empty local Sekha of each profile."""
    return any_sekha


@pytest.fixture(params=["blocking on controller-0.1", "thread on documented", "async on controller-0.1"])
async def shop(request: pytest.FixtureRequest, sekha: LocalSekha, sekha_0_1: LocalSekha) -> Shops:
    """An application of each kind, on an empty local Sekha of a profile."""
    kind, _, profile = request.param.partition(" on ")
    server = sekha if profile == "documented" else sekha_0_1
    with SekhaClient(**server.options) as blocking:
        async with AsyncSekhaClient(**server.options) as client:
            yield Shop(kind, blocking, client)


@pytest.fixture
def faulty(sekha: LocalSekha) -> Any:
    """An empty local Sekha whose script must have been played in the end."""
    with ScriptedSekha(sekha) as scripted:
        yield scripted


@pytest.fixture(params=KINDS)
async def faulty_shop(request: pytest.FixtureRequest, faulty: ScriptedSekha) -> Shops:
    """An application on it."""
    with SekhaClient(**faulty.options, max_retries=0) as blocking:
        async with AsyncSekhaClient(**faulty.options, max_retries=0) as client:
            use_clock(blocking, faulty.clock)
            use_clock(client, faulty.clock)
            yield Shop(request.param, blocking, client)
