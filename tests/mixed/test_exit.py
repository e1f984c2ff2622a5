"""Calls while Python exits, when no thread can be started any more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sekha
from support import facts
from support.replies import answer, tool
from support.server import FakeServer

SOURCE = str(Path(sekha.__file__).parents[1])
EMBED = "POST /embed"

PROGRAM = """
import asyncio, atexit, sys
import trio
import sekha

settings = {"controller_url": sys.argv[1], "bridge_url": sys.argv[2], "api_key": "k", "trust_env": False}
blocking = sekha.SekhaClient(**settings)

def show(health):
    print(*(one["status"] for one in health.values()))

def at_exit():
    show(blocking.health_check())
    print(len(blocking.bridge.embed(["a", "b", "c"])["data"]))
    show(asyncio.run(sekha.AsyncSekhaClient(**settings).health_check()))
    show(trio.run(sekha.AsyncSekhaClient(**settings).health_check))

async def by_name():
    settings["controller_url"] = sys.argv[1].replace("127.0.0.1", "localhost")
    async with sekha.AsyncSekhaClient(**settings) as client:
        show(await client.health_check())
        try:
            await client.controller.count_conversations()
        except sekha.SekhaError as error:
            print(type(error).__name__, error.sent, error.attempts, "Python is exiting" in str(error))

atexit.register(at_exit if sys.argv[3] == "address" else lambda: asyncio.run(by_name()))
"""


@pytest.fixture
def well(server: FakeServer, bridge: FakeServer) -> None:
    """All services are healthy."""
    server.always("GET /health", answer(facts.HEALTHY))
    server.always("GET /api/v1/conversations", answer(facts.rows()))
    server.always("POST /mcp/tools/memory_stats", tool(facts.STATS))
    bridge.always("GET /health", answer(facts.BRIDGE_HEALTHY))
    bridge.always(EMBED, answer(facts.EMBEDDING))


def output(server: FakeServer, bridge: FakeServer, how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, server.url, bridge.url, how],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.promise("W4")
def test_health_is_asked_and_several_calls_are_made_one_by_one(
    well: None, server: FakeServer, bridge: FakeServer
) -> None:
    healthy = "healthy healthy healthy\n"
    assert output(server, bridge, "address") == f"{healthy}3\n{healthy}{healthy}"


@pytest.mark.promise("W4")
def test_a_name_that_asyncio_cannot_look_up_any_more_is_an_error_of_ours(
    well: None, server: FakeServer, bridge: FakeServer
) -> None:
    words = output(server, bridge, "name")
    assert words == "unknown healthy unknown\nSekhaConnectionError False 1 True\n"
    assert server.seen == []
