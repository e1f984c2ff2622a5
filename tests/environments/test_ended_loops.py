"""Event loops that end before the client is closed: one for each request, or for each test; no warning remains."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest

from sekha import AsyncSekhaClient
from support import facts
from support.ended_loops import run_strictly
from support.packages import require_packages
from support.replies import answer
from support.server import FakeServer, eventually


@pytest.fixture
def client(server: FakeServer) -> Iterator[AsyncSekhaClient]:
    """A client at the top of a module, which nobody closes."""
    server.always("GET /health", answer(facts.HEALTHY))
    yield AsyncSekhaClient(controller_url=server.url, api_key="k")
    gc.collect()
    eventually(lambda: server.open_connections == 0)


def test_fastapi_without_lifespan(client: AsyncSekhaClient, server: FakeServer) -> None:
    require_packages("environments", "fastapi", "httpx2")
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    app = FastAPI()

    @app.get("/")
    async def health() -> Any:
        return await client.controller.health()

    browser = TestClient(app)
    for _ in range(3):
        assert browser.get("/").json()["status"] == "healthy"
        gc.collect()
    assert server.connections == 3, "a loop for each request"


def test_async_views_of_flask(client: AsyncSekhaClient, server: FakeServer) -> None:
    require_packages("environments", "flask", "asgiref")
    from flask import Flask

    app = Flask(__name__)

    @app.get("/")
    async def health() -> Dict[str, Any]:
        return dict(await client.controller.health())

    browser = app.test_client()
    for _ in range(3):
        assert browser.get("/").get_json()["status"] == "healthy"
        gc.collect()
    assert server.connections == 3, "a loop for each request"


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_loops_of_uvloop(tls: bool, tmp_path: Path) -> None:
    require_packages("environments", "uvloop")
    run_strictly("uvloop", tls, tmp_path)
