"""Clients of both kinds of servers; nothing of these tests leaves the machine."""

from __future__ import annotations

from collections.abc import Iterator

import agents
import pytest

from sekha import AsyncSekhaClient

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


@pytest.fixture
async def client(each: AsyncSekhaClient) -> AsyncSekhaClient:
    """A client of an empty local Sekha of each profile."""
    return each
