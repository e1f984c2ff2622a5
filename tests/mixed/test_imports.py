"""What importing (E6), a first call (E7) and blocking calls (E4) do to a process; each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, List

import pytest

import sekha
from support import facts
from support.certificates import Certificates
from support.replies import answer, tool
from support.server import FakeServer

SOURCE = str(Path(sekha.__file__ or "").parents[1])
TESTS = str(Path(__file__).parents[1])


def python(arguments: List[str], folder: Path) -> List[str]:
    """The lines that a program prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((SOURCE, TESTS))},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


IMPORT = """
import json, os, sys, threading
seen = []
sys.addaudithook(lambda event, arguments: seen.append((event, str(arguments[0]) if arguments else "")))
before, loaded = (dict(os.environ), threading.active_count(), os.getcwd()), set(sys.modules)
import sekha, sekha.types, sekha.type_guards
assert (dict(os.environ), threading.active_count(), os.getcwd()) == before
heavy = {"starlette", "uvicorn", "dotenv", "trio", "sekha.local", "sekha.cli", "argparse", "sqlite3"}
heavy &= set(sys.modules) - loaded
print(json.dumps([sorted(heavy), [list(event) for event in seen]]))
"""
CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".zip", ".pyi")
HARMLESS = ("import", "exec", "compile", "marshal.", "object.", "sys.", "ctypes.", "code.", "os.listdir", "builtins.id")


def test_e6_importing_reads_no_file_but_modules_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SEKHA_API_KEY=from-a-file\nSEKHA_TIMEOUT=nonsense\n")
    (line,) = python(["-c", IMPORT], tmp_path)
    heavy, seen = json.loads(line)
    assert heavy == []
    opened = [name for event, name in seen if event == "open"]
    assert [name for name in opened if not name.endswith(CODE)] == []
    assert any(name.endswith(".pyc") or name.endswith(".py") for name in opened), "the hook sees something"
    others = {event for event, *_ in seen if event != "open" and not event.startswith(HARMLESS)}
    assert not {event for event in others if event.startswith(("socket.", "subprocess.", "os.putenv", "shutil."))}, (
        others
    )


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Any]:
    certificates = Certificates(tmp_path)
    server = FakeServer(tls=certificates.server())
    server.always("GET /health", answer(facts.HEALTHY))
    yield server.url, certificates.ca
    server.close()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_e7_no_call_and_no_error_imports_or_opens_anything_on_the_thread_of_the_loop(
    backend: str, secure: Any, tmp_path: Path
) -> None:
    requests, *seen = python(["-m", "support.first_calls", backend, *secure], tmp_path)
    assert int(requests) > 100
    assert [line for line in seen if line] == []


LOOPLESS = """
import asyncio, sys, threading
touched = []
for name in ("get_event_loop", "new_event_loop", "set_event_loop", "get_event_loop_policy", "set_event_loop_policy"):
    setattr(asyncio, name, lambda *_, name=name: touched.append(name))
    setattr(asyncio.events, name, lambda *_, name=name: touched.append(name))
from sekha import SekhaClient
threads = []
start = threading.Thread.start
threading.Thread.start = lambda self: (threads.append(self.name), start(self))
with SekhaClient(controller_url=sys.argv[1], bridge_url=sys.argv[1], api_key="sk-CANARY-4") as client:
    assert client.controller.health()["status"] == "healthy"
    client.mcp.memory_stats()
    assert list(client.controller.iter_conversations()) == []
print(touched, threads)
"""


def test_e4_blocking_calls_start_no_thread_and_touch_no_event_loop(server: FakeServer, tmp_path: Path) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    server.always("POST /mcp/tools/memory_stats", tool({**facts.STATS, "labels": [], "total_messages": 0}))
    server.always("GET /api/v1/conversations", answer(facts.rows()))
    assert python(["-c", LOOPLESS, server.url], tmp_path) == ["[] []"]
