"""Fixtures of both flavours. Coroutine tests run on asyncio and on trio, without a mark."""

from __future__ import annotations

import inspect
import os
from typing import Iterator

import pytest
from opentelemetry import trace

from sekha.local import LocalSekha
from support.clock import FakeClock
from support.server import FakeServer
from support.spans import Spans

_LEAKS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Module, name: str, obj: object) -> None:
    if inspect.iscoroutinefunction(obj) and collector.istestfunction(obj, name):
        pytest.mark.anyio(obj)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the machine has set changes a test."""
    for name in list(os.environ):
        if name.startswith("SEKHA_") or name.upper() in _LEAKS:
            monkeypatch.delenv(name)


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


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """What clients trace that are made in this test; no others do."""
    spans = Spans()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: spans.provider)
    yield spans
    spans.provider.shutdown()


@pytest.fixture(scope="session")
def _local_sekha() -> Iterator[LocalSekha]:
    with LocalSekha() as sekha:
        yield sekha


@pytest.fixture
def sekha(_local_sekha: LocalSekha) -> LocalSekha:
    """A local Sekha with nothing in it."""
    _local_sekha.forget()
    return _local_sekha
