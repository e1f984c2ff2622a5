"""Clients of both kinds of servers; nothing of these tests leaves the machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import agents
import pytest

from sekha import AsyncSekhaClient
from sekha.local import LocalSekha

from .scripted import SESSIONS


@pytest.fixture(autouse=True)
def _no_traces() -> None:
    """The SDK would send traces to OpenAI."""
    agents.set_tracing_disabled(True)


@pytest.fixture(autouse=True)
def _sessions_are_closed() -> Iterator[None]:
    yield
    while SESSIONS:
        SESSIONS.pop().close()


@pytest.fixture(params=["documented", "controller-0.1"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[AsyncSekhaClient]:
    """A client of an empty local Sekha of either kind."""
    local: LocalSekha = request.getfixturevalue("sekha" if request.param == "documented" else "sekha_0_1")
    async with AsyncSekhaClient(**local.options) as client:
        yield client
