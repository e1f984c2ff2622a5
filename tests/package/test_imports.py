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
from support.replies import answer, empty, tool
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
heavy = {"pydantic", "starlette", "uvicorn", "dotenv", "trio", "sekha.local", "sekha.cli", "argparse", "sqlite3"}
heavy &= set(sys.modules) - loaded
print(json.dumps([sorted(heavy), [list(event) for event in seen]]))
"""
CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".zip", ".pyi")
HARMLESS = ("import", "exec", "compile", "marshal.", "object.", "sys.", "ctypes.", "code.", "os.listdir", "builtins.id")


@pytest.mark.promise("E6")
def test_importing_reads_no_file_but_modules_and_changes_nothing(tmp_path: Path) -> None:
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


@pytest.mark.promise("E7")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_call_and_no_error_imports_or_opens_anything_on_the_thread_of_the_loop(
    backend: str, secure: Any, tmp_path: Path
) -> None:
    requests, *seen = python(["-m", "support.first_calls", backend, *secure], tmp_path)
    assert int(requests) > 100
    assert [line for line in seen if line] == []


MAKING = """
import sys
from sekha import AsyncSekhaClient, SekhaClient
for one in (SekhaClient, AsyncSekhaClient):
    one(controller_url="http://127.0.0.1:9", api_key="k")
print(sorted({"httpx", "pydantic"} & set(sys.modules)))
"""


def test_a_first_client_loads_no_package_that_takes_long_and_may_not_be_needed(tmp_path: Path) -> None:
    assert python(["-c", MAKING], tmp_path) == ["[]"]


AFTER_MAKING = """
import sys
from sekha import SekhaClient, SekhaError
from sekha.testing import FakeClock, use_clock
client = SekhaClient(controller_url=sys.argv[1], bridge_url=sys.argv[1], api_key="sk-CANARY-4")
gone = SekhaClient(controller_url="http://127.0.0.1:9", api_key="sk-CANARY-4")
for one in (client, gone):
    use_clock(one, FakeClock())
seen = []
sys.addaudithook(lambda event, arguments: seen.append(arguments[0]) if event == "import" else None)
client.controller.health()
client.controller.query("x")
client.store_and_query(messages=[{"role": "user", "content": "x"}], query="x")
for failing in (gone.controller.health, client.mcp.memory_stats):
    try:
        failing()
    except SekhaError:
        pass
    else:
        raise AssertionError(failing)
print(sorted(set(seen)))
"""


@pytest.mark.promise("R10")
def test_a_blocking_client_has_all_that_its_calls_need(server: FakeServer, tmp_path: Path) -> None:
    """An import in the middle of a call would count against its deadline, and a fork meanwhile would hang the child."""
    server.always("GET /health", answer(facts.HEALTHY))
    server.always("POST /api/v1/query", answer(facts.hits(facts.hit())))
    server.always("POST /api/v1/search/fts", answer({"results": [facts.MESSAGE], "total": 1}))
    server.always("POST /api/v1/conversations", answer(facts.CREATED, 201))
    server.always("POST /mcp/tools/memory_stats", empty(500))
    assert python(["-c", AFTER_MAKING, server.url], tmp_path) == ["[]"]


OWN_CONNECTIONS = """
import sys
import anyio
anyio.get_all_backends()  # loads sniffio, if it is there
loaded = set(sys.modules)
from sekha import AsyncSekhaClient, SekhaClient
url, verify = sys.argv[1], sys.argv[2]
with SekhaClient(controller_url=url, api_key="k", verify=verify) as client:
    client.controller.health()

async def main():
    async with AsyncSekhaClient(controller_url=url, api_key="k", verify=verify) as client:
        await client.controller.health()

anyio.run(main)
SekhaClient(controller_url="https://sekha.test", api_key="k")
print(sorted({"httpx", "httpcore", "h11", "sniffio"} & (set(sys.modules) - loaded)))
"""


@pytest.mark.promise("E6")
def test_a_client_without_a_proxy_loads_no_other_client(secure: Any, tmp_path: Path) -> None:
    assert python(["-c", OWN_CONNECTIONS, *secure], tmp_path) == ["[]"]


ONE_AFTER_THE_OTHER = """
from sekha import SekhaClient, SekhaConnectionError
address = "http://127.0.0.1:9"

def failing(**options):
    try:
        SekhaClient(controller_url=address, api_key="k", max_retries=0, **options).controller.health()
    except SekhaConnectionError as error:
        print(error.sent)

failing()
failing(proxy=address)
import httpx
failing(http_client=httpx.Client())
"""


@pytest.mark.promise("C4")
@pytest.mark.parametrize("first", ["import httpx", ""])
def test_errors_of_httpx_are_known_whenever_it_is_loaded(first: str, tmp_path: Path) -> None:
    assert python(["-W", "ignore::ResourceWarning", "-c", first + ONE_AFTER_THE_OTHER], tmp_path) == ["False"] * 3


LATE = """
import sekha
assert sekha.types.Message and sekha.type_guards.extract_text
for name in sekha.__all__:
    assert getattr(sekha, name) is not None, name
assert set(sekha._LATE) < set(sekha.__all__) <= set(dir(sekha))
from sekha import *
assert SekhaClient is sekha.SekhaClient
try:
    sekha.nonsense
except AttributeError as error:
    print(error)
"""


def test_names_that_are_loaded_late_are_like_the_others(tmp_path: Path) -> None:
    assert python(["-c", LATE], tmp_path) == ["module 'sekha' has no attribute 'nonsense'"]


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


@pytest.mark.promise("E4")
def test_blocking_calls_start_no_thread_and_touch_no_event_loop(server: FakeServer, tmp_path: Path) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    server.always("POST /mcp/tools/memory_stats", tool({**facts.STATS, "labels": [], "total_messages": 0}))
    server.always("GET /api/v1/conversations", answer(facts.rows()))
    assert python(["-c", LOOPLESS, server.url], tmp_path) == ["[] []"]
