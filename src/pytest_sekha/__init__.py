"""The pytest plugin of the Sekha Python SDK: fixtures for the tests of its users.

pytest imports this at every start, also where nobody uses it or where the extra ``testing`` is missing. So it is
outside of the package `sekha`, and imports nothing of it before a fixture is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, AsyncIterator, Dict, Iterator
from weakref import WeakKeyDictionary

import pytest

if TYPE_CHECKING:
    from sekha import AsyncSekhaClient, SekhaClient
    from sekha.local import LocalSekha
    from sekha.testing import Clock, ScriptedSekha

# No `__dir__` here: pytest finds fixtures and hooks by `dir`, the private ones too.
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
    """Arguments for `sekha.local.LocalSekha`; override it to have another profile or a key."""
    return {}


@pytest.fixture
def sekha_client_options() -> Dict[str, Any]:
    """Settings for the clients of the fixtures; override it to have other ones."""
    return {}


@pytest.fixture
def sekha_clock() -> Clock:
    """The clock of the local Sekha and its clients, on which waiting takes no time; override it to have another."""
    from sekha.testing import FakeClock

    return FakeClock()


@pytest.fixture
def local_sekha(
    request: pytest.FixtureRequest, local_sekha_options: Dict[str, Any], sekha_clock: Clock
) -> Iterator[ScriptedSekha]:
    """An empty local Sekha for which faults can be scripted; see `sekha.testing.ScriptedSekha`."""
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
    """A blocking client of `local_sekha`."""
    with local_sekha.client(**sekha_client_options) as client:
        yield client


@pytest.fixture
async def async_sekha_client(
    local_sekha: ScriptedSekha, sekha_client_options: Dict[str, Any]
) -> AsyncIterator[AsyncSekhaClient]:
    """An awaited client of `local_sekha`; needs the anyio plugin, or pytest-asyncio in its mode ``auto``."""
    async with local_sekha.async_client(**sekha_client_options) as client:
        yield client


@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """After a test that has passed so far: it fails if a fault never happened, or if a request was unknown."""
    __tracebackhide__ = True
    if item in _in_use:
        _in_use[item].check()
