"""gevent and eventlet, which patch the standard library: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator, List

import pytest

from support import facts
from support.certificates import Certificates
from support.packages import require_packages
from support.patched_calls import SIDE_BY_SIDE
from support.replies import DONE, HANG, after, answer, chunked, delta, text, tool
from support.server import FakeServer, Reply

require_packages("environments", "eventlet", "gevent")

TESTS = Path(__file__).parents[1]
HELLO = chunked(delta("Hel"), delta("lo", "stop"), DONE)
CHAT, QUERY = "POST /bridge/v1/chat/completions", "POST /api/v1/query"


def program(*arguments: str) -> str:
    """Run a program of `tests/support`; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
            "EVENTLET_NO_GREENDNS": "yes",  # it would import dnspython, and that trio, which cannot be patched
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Answering(FakeServer):
    """Answers what `support.patched_calls` asks."""

    def script(self) -> None:
        together = threading.Barrier(SIDE_BY_SIDE, timeout=30)
        self.always(QUERY, answer(facts.hits()))
        self.always("GET /metrics", Reply(text("up 1").steps, "close"))
        self.always("POST /api/v1/search/fts", after(together.wait, answer({"results": [], "total": 0})))
        self.on(CHAT, *[after(together.wait, HELLO)] * SIDE_BY_SIDE)
        self.on(CHAT, *[chunked(delta("Hel"), end="hang")] * 2)
        self.always(CHAT, HELLO)
        self.always("POST /api/v1/conversations", answer(facts.CREATED, 201))
        self.always("GET /api/v1/conversations/count", HANG)
        self.always("GET /health", answer(facts.HEALTHY))
        self.always("GET /bridge/health", answer(facts.BRIDGE_HEALTHY))
        self.always("GET /api/v1/conversations", answer(facts.rows()))
        self.always("POST /mcp/tools/memory_stats", tool(facts.STATS))
        self.always("POST /bridge/embed", answer(facts.EMBEDDING))


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[List[str]]:
    """Arguments for the program: the addresses of a server without TLS and of one with it, and whom to trust."""
    certificates = Certificates(tmp_path)
    servers = [Answering(), Answering(tls=certificates.server())]
    for server in servers:
        server.script()
    yield [*(server.url for server in servers), certificates.ca]
    for server in servers:
        server.close()
        server.check()


@pytest.mark.promise("R5", "W8", "W12")
@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("framework", ["gevent", "eventlet"])
def test_everything_works_in_greenlets(framework: str, when: str, servers: List[str]) -> None:
    assert program("support.patched", framework, when, *servers) == "all is well\n"
