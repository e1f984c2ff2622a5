"""Fixtures of both flavours. Coroutine tests run on asyncio and on trio, without a mark."""

from __future__ import annotations

import inspect
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

import pytest
from hypothesis import HealthCheck, settings
from opentelemetry import trace

from sekha.local import LocalSekha
from sekha.local.v0_1 import edge
from sekha.testing import ScriptedSekha
from support.canary import no_key_shows
from support.clock import FakeClock
from support.facts import MCP_KEY, REST_KEY
from support.integrations import IGNORED_WARNINGS, chosen
from support.packages import require_packages
from support.server import FakeServer
from support.spans import Spans

if TYPE_CHECKING:
    from support.redis_server import RedisServer

# How long an example takes says something about the machine, not about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

_LEAKS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--promise", metavar="ID", help="only tests of this promise in docs/contributing/promises.md, such as C1"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Tolerate the sockets that anyio before 4.16 loses: the newest on Python 3.9, where nothing else is to be had.

    It loses a connection whose caller is cancelled in the moment in which it is made; the garbage collector closes it.
    Newer Pythons stay strict, and so do the tests of leaks that look at descriptors.
    """
    if sys.version_info < (3, 10):
        lost = r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"
        config.addinivalue_line("filterwarnings", lost)
    for line in IGNORED_WARNINGS.get(chosen(), ()):
        config.addinivalue_line("filterwarnings", f"ignore:{line}")


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """Leave out what has no mark of the promise that was asked for, and begin with the slow ones."""
    one = config.getoption("--promise")
    if one is not None:
        chosen: Dict[bool, List[pytest.Item]] = {True: [], False: []}
        for item in items:
            chosen[any(one in mark.args for mark in item.iter_markers("promise"))].append(item)
        config.hook.pytest_deselected(items=chosen[False])
        items[:] = chosen[True]
    if hasattr(config, "workerinput"):  # of several processes, none shall begin with the longest when the others end
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module, name: str, obj: object) -> None:
    if inspect.iscoroutinefunction(obj) and collector.istestfunction(obj, name):
        pytest.mark.anyio(obj)


@pytest.fixture(scope="session")
def _runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("runtime"))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, _runtime_folder: str) -> None:
    """Nothing that the machine has set changes a test, and no other process that tests is waited for when it writes."""
    for name in list(os.environ):
        if name.startswith("SEKHA_") or name.upper() in _LEAKS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_RUNTIME_DIR", _runtime_folder)


@pytest.fixture(autouse=True)
def _no_key_shows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """S1 in every test: the keys are canaries, and no log record, warning or error of the library shows one."""
    yield from no_key_shows(monkeypatch, logs=request.node.get_closest_marker("logs_may_show_keys") is None)


@pytest.fixture(scope="session")
def project() -> Dict[str, Any]:
    """What `pyproject.toml` says of the package."""
    tomllib: Any = pytest.importorskip("tomllib", reason="this Python reads no TOML")
    with (Path(__file__).parents[1] / "pyproject.toml").open("rb") as file:
        loaded: Dict[str, Any] = tomllib.load(file)["project"]
    return loaded


@pytest.fixture
def clock() -> FakeClock:
    """A clock on which waiting takes no time."""
    return FakeClock()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A fake controller; the test fails if it was asked for more or less than was written down."""
    server = FakeServer()
    try:
        yield server
    finally:
        server.close()
    server.check()


@pytest.fixture
def bridge() -> Iterator[FakeServer]:
    """A fake bridge."""
    bridge = FakeServer()
    try:
        yield bridge
    finally:
        bridge.close()
    bridge.check()


@pytest.fixture(scope="session")
def _redis() -> Iterator[RedisServer]:
    require_packages("redis", "redis")
    from support.redis_server import RedisServer

    server = RedisServer().start()
    yield server
    server.close()


@pytest.fixture
def redis(_redis: RedisServer) -> RedisServer:
    """A Redis with nothing in it, which many tests share."""
    with _redis.client() as client:
        client.flushall()
    return _redis


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """What clients trace that are made in this test; no others do."""
    spans = Spans()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: spans.provider)
    yield spans
    spans.provider.shutdown()


@pytest.fixture(scope="session")
def _local_sekha() -> Iterator[LocalSekha]:
    with LocalSekha(api_key=REST_KEY) as sekha:
        yield sekha


@pytest.fixture
def sekha(_local_sekha: LocalSekha) -> LocalSekha:
    """A local Sekha with nothing in it."""
    _local_sekha.forget()
    return _local_sekha


@pytest.fixture(scope="session")
def _local_sekha_0_1() -> Iterator[LocalSekha]:
    with LocalSekha(profile="controller-0.1", api_key=REST_KEY, mcp_api_key=MCP_KEY) as sekha:
        yield sekha


@pytest.fixture
def sekha_0_1(_local_sekha_0_1: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> LocalSekha:
    """A local Sekha with the known bugs of controller 0.1 and bridge 0.2, with nothing in it."""
    monkeypatch.setattr(edge, "MAX_REQUESTS", 10**9)  # all tests are one client
    _local_sekha_0_1.forget()
    return _local_sekha_0_1


@pytest.fixture(params=["documented", "controller-0.1"])
def any_sekha(request: pytest.FixtureRequest) -> LocalSekha:
    """An empty local Sekha of each profile."""
    found: LocalSekha = request.getfixturevalue("sekha" if request.param == "documented" else "sekha_0_1")
    return found


@pytest.fixture
def faulty(any_sekha: LocalSekha) -> Iterator[ScriptedSekha]:
    """The same, with faults; what was written down for it must have happened in the end."""
    with ScriptedSekha(any_sekha) as scripted:
        yield scripted


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Optional[bool]:
    """Run tests that interrupt Python in the middle of anything in a thread of its own.

    Python may take the exception that was handled there for one that is handled for ever, in that thread: all that are
    raised later would have it as their context, and it would keep what its frames have.
    """
    if not hasattr(pyfuncitem.module, "interrupted_at") or inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    with ThreadPoolExecutor(1) as thread:
        thread.submit(pyfuncitem.obj, **arguments).result()
    return True
