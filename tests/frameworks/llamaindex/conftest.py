"""A shop on a local Sekha of either profile.

LlamaIndex is imported by fixtures and tests only: at its floor, importing it warns, and when pytest loads this file, it
does not yet ignore that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, AsyncIterator, Iterator

import pytest

from sekha import AsyncSekhaClient, SekhaClient
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha, use_clock

if TYPE_CHECKING:
    from .shop import Shop


@pytest.fixture
def server(any_sekha: LocalSekha) -> LocalSekha:
    """An empty local Sekha of each profile."""
    return any_sekha


@pytest.fixture
async def shop(request: pytest.FixtureRequest, server: LocalSekha) -> AsyncIterator[Shop]:
    """A shop: of each client type, on one of the profiles."""
    from .shop import Shop

    kind = "AsyncMemory" if request.getfixturevalue("sekha") is server else "Memory"
    with SekhaClient(**server.options) as blocking:
        async with AsyncSekhaClient(**server.options) as client:
            yield Shop(kind, blocking, client)


@pytest.fixture
def faulty(sekha: LocalSekha) -> Iterator[ScriptedSekha]:
    """An empty local Sekha whose script must have been played in the end."""
    with ScriptedSekha(sekha) as scripted:
        yield scripted


@pytest.fixture(params=["AsyncMemory", "Memory"])
async def faulty_shop(request: pytest.FixtureRequest, faulty: ScriptedSekha) -> AsyncIterator[Shop]:
    """A shop on it."""
    from .shop import Shop

    with SekhaClient(**faulty.options, max_retries=0) as blocking:
        async with AsyncSekhaClient(**faulty.options, max_retries=0) as client:
            use_clock(blocking, faulty.clock)
            use_clock(client, faulty.clock)
            yield Shop(request.param, blocking, client)
