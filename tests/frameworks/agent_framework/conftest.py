"""An empty local Sekha, and a user who has said something in an earlier session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from sekha import AsyncSekhaClient
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Scope


@pytest.fixture(params=["documented", "controller-0.1"])
async def each(
    request: pytest.FixtureRequest, sekha: LocalSekha, sekha_0_1: LocalSekha
) -> AsyncIterator[AsyncSekhaClient]:
    """A client of an empty local Sekha of either kind."""
    async with AsyncSekhaClient(**(sekha if request.param == "documented" else sekha_0_1).options) as client:
        yield client


@pytest.fixture
async def client(sekha: LocalSekha) -> AsyncIterator[AsyncSekhaClient]:
    """A client of an empty local Sekha."""
    async with AsyncSekhaClient(**sekha.options) as client:
        yield client


@pytest.fixture
async def ann(client: AsyncSekhaClient) -> AsyncMemory:
    """The memory of a user who has said something in an earlier session."""
    memory = AsyncMemory(client, Scope("shop", "ann"))
    await memory.in_session("earlier").remember([{"role": "user", "content": "We ship on Fridays."}])
    return memory
