"""The pytest plugin of the Sekha Python SDK: fixtures for tests of applications.

pytest imports this module at every start, even if it is not used, or the extra ``testing`` is not installed. Therefore
it is outside the package `sekha`, and imports it only when a fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, AsyncIterator, Dict, Iterator
from weakref import WeakKeyDictionary

import pytest

if TYPE_CHECKING:
    from sekha import AsyncSekhaClient, SekhaClient
    from sekha.local import LocalSekha
    from sekha.testing import Clock, ScriptedSekha

# No `__dir__` here: pytest finds fixtures and hooks, including private ones, with `dir`.
__all__ = [
    "async_sekha_client",
    "local_sekha",
    "local_sekha_options",
    "sekha_client",
    "sekha_client_options",
    "sekha_clock",
]

_in_use: WeakKeyDictionary[Any, ScriptedSekha] = WeakKeyDictionary()


@pytest.fixture(scope="session")
def _shared_local_sekha() -> Iterator[LocalSekha]:
    from sekha.local import LocalSekha

    with LocalSekha() as sekha:
        yield sekha


@pytest.fixture
def local_sekha_options() -> Dict[str, Any]:
    """Return arguments for `sekha.local.LocalSekha`; override this to use another profile or a key."""
    return {}


@pytest.fixture
def sekha_client_options() -> Dict[str, Any]:
    """Return settings for the clients of the fixtures; override this to use other settings."""
    return {}


@pytest.fixture
def sekha_clock() -> Clock:
    """Return the clock of the local server and its clients, a `FakeClock`; override this to use another clock."""
    from sekha.testing import FakeClock

    return FakeClock()


@pytest.fixture
def local_sekha(
    request: pytest.FixtureRequest, local_sekha_options: Dict[str, Any], sekha_clock: Clock
) -> Iterator[ScriptedSekha]:
    """Provide an empty local server with scripted faults; see `sekha.testing.ScriptedSekha`."""
    from sekha.local import LocalSekha

    if local_sekha_options:
        with LocalSekha(**local_sekha_options) as own:
            yield from _scripted(request, own, sekha_clock)
    else:
        shared: LocalSekha = request.getfixturevalue("_shared_local_sekha")
        shared.forget()
        yield from _scripted(request, shared, sekha_clock)


def _scripted(request: pytest.FixtureRequest, sekha: LocalSekha, clock: Clock) -> Iterator[ScriptedSekha]:
    from sekha.testing import ScriptedSekha

    scripted = ScriptedSekha(sekha, clock=clock)
    scripted.start()
    _in_use[request.node] = scripted
    try:
        yield scripted
    finally:
        _in_use.pop(request.node, None)
        scripted.stop()


@pytest.fixture
def sekha_client(local_sekha: ScriptedSekha, sekha_client_options: Dict[str, Any]) -> Iterator[SekhaClient]:
    """Provide a sync client of `local_sekha`."""
    with local_sekha.client(**sekha_client_options) as client:
        yield client


@pytest.fixture
async def async_sekha_client(
    local_sekha: ScriptedSekha, sekha_client_options: Dict[str, Any]
) -> AsyncIterator[AsyncSekhaClient]:
    """Provide an async client of `local_sekha`; requires the anyio plugin, or pytest-asyncio in mode ``auto``."""
    async with local_sekha.async_client(**sekha_client_options) as client:
        yield client


@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Fail a passed test if a scripted fault was not triggered, or if a request had an unknown route."""
    __tracebackhide__ = True
    if item in _in_use:
        _in_use[item].check()
