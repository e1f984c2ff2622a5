"""Threads, event loops, forks, and the end of a process."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import anyio
import pytest

import sekha as package
from sekha import AsyncSekhaClient, MemoryController, SekhaClient
from sekha.local import LocalSekha
from support import facts
from support.facts import MESSAGES
from support.replies import after, answer
from support.server import FakeServer

SOURCE = str(Path(package.__file__ or "").parents[1])


@pytest.fixture
def swept() -> Iterator[None]:
    """Connections of a loop that is gone are left to the garbage collector: no other test meets them."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def python(code: str, *arguments: str) -> Tuple[int, str, str]:
    """Run a program in a Python that shows every warning: its exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


# Threads


def test_threads_share_a_blocking_client(sekha: LocalSekha) -> None:
    with SekhaClient(**sekha.options) as client:
        labels = [f"Label {number}" for number in range(16)]
        made = [client.controller.create_conversation(label=label, messages=MESSAGES) for label in labels]
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda one: client.controller.get_conversation(one["id"]), made * 4))
        assert [one["label"] for one in made] == labels
        assert [one["label"] for one in found] == labels * 4
        stats = client.mcp.memory_stats()
    assert (stats["total_conversations"], stats["labels"]) == (16, sorted(labels))


def test_every_thread_gets_its_own_answer(server: FakeServer) -> None:
    line = "GET /api/v1/conversations/count"
    server.always(line, answer({"count": 0}))
    with SekhaClient(controller_url=server.url, api_key="k", max_connections=4) as client:
        with ThreadPoolExecutor(32) as pool:
            folders = [f"/{number}" for number in range(200)]
            list(pool.map(lambda folder: client.controller.count_conversations(folder=folder), folders))
    # httpcore's pool now and then closes a connection that another thread has just taken; such a call is repeated.
    assert {seen.query["folder"] for seen in server.seen} == set(folders)
    assert server.most_at_once <= 4


def test_one_thread_closes_while_others_call(server: FakeServer) -> None:
    server.always("GET /health", after(0.01, answer(facts.HEALTHY)))
    client = MemoryController(base_url=server.url, api_key="k", max_retries=0)
    outcomes: List[str] = []

    def call() -> None:
        for _ in range(50):
            try:
                outcomes.append(client.health()["status"])
            except package.SekhaError as error:
                outcomes.append(type(error).__name__)
                return

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(outcomes) < 8:
        time.sleep(0.001)
    client.close()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert set(outcomes) <= {"healthy", "SekhaClosedError", "SekhaConnectionError", "SekhaTimeoutError"}
    assert outcomes.count("healthy") < 200


# Event loops

module_level = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <(function _SelectorTransp|socket.socket):pytest.PytestUnraisableExceptionWarning",
    "ignore::ResourceWarning",
)


@module_level
def test_one_client_in_several_loops(swept: None, server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    client = AsyncSekhaClient(controller_url=server.url, api_key="k")

    async def main() -> str:
        answers = [(await client.controller.health())["status"] for _ in range(2)]
        return answers[-1]

    for _ in range(3):
        assert asyncio.run(main()) == "healthy"
    assert anyio.run(main, backend="trio") == "healthy"
    assert asyncio.run(main()) == "healthy"
    assert server.connections == 5


@module_level
def test_one_client_in_a_loop_of_each_thread(swept: None, server: FakeServer) -> None:
    server.always("POST /api/v1/query", after(0.002, answer(facts.hits())))
    client = AsyncSekhaClient(controller_url=server.url, api_key="k")

    async def main() -> int:
        found = await asyncio.gather(*(client.controller.query("x") for _ in range(10)))
        return len(found)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: asyncio.run(main()), range(4))) == [10] * 4
    assert len(server.seen) == 40


def test_loops_that_close_the_client_leave_nothing(server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))

    async def main() -> None:
        async with AsyncSekhaClient(controller_url=server.url, api_key="k") as client:
            await client.controller.health()

    for _ in range(3):
        asyncio.run(main())
    gc.collect()
    while server.open_connections:
        time.sleep(0.001)


# Forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("hold", [False, True])
def test_a_client_works_in_parent_and_child(hold: bool, server: FakeServer) -> None:
    server.always("GET /api/v1/conversations/count", answer({"count": 3}))
    code = f"""
import os, sys, threading, time
from sekha import SekhaClient

client = SekhaClient(controller_url=sys.argv[1], api_key="k")
count = lambda: client.controller.count_conversations()["count"]
assert count() == 3
if {hold}:
    transport = client._server
    lock = transport.connections.bucket.get()._lock
    threading.Thread(target=lambda: (lock.acquire(), time.sleep(0.5), lock.release()), daemon=True).start()
    time.sleep(0.1)
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if [count() for _ in range(5)] == [3] * 5 else 1)
    children.append(child)
    assert {hold} or count() == 3
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
assert count() == 3
client.close()
print("fine")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, server.url],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "fine\n", done.stderr
    assert server.connections == 4


# The end


FORGOTTEN = {
    "blocking": """
from sekha import SekhaClient
client = SekhaClient(controller_url=url, api_key="k")
client.controller.health()
""",
    "blocking, deleted": """
from sekha import SekhaClient
client = SekhaClient(controller_url=url, api_key="k")
client.controller.health()
del client
""",
    "never used": """
from sekha import AsyncSekhaClient, SekhaClient
clients = SekhaClient(controller_url=url, api_key="k"), AsyncSekhaClient(controller_url=url, api_key="k")
""",
    "in a loop": """
import asyncio
from sekha import AsyncSekhaClient
async def main():
    client = AsyncSekhaClient(controller_url=url, api_key="k")
    await client.controller.health()
asyncio.run(main())
""",
    "behind a loop": """
import asyncio
from sekha import AsyncSekhaClient
client = AsyncSekhaClient(controller_url=url, api_key="k")
async def main():
    await client.controller.health()
asyncio.run(main())
del client
""",
}


@pytest.mark.parametrize("how", FORGOTTEN)
def test_a_forgotten_client_does_no_harm(how: str, server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    code, out, err = python("import sys\nurl = sys.argv[1]\n" + FORGOTTEN[how] + 'print("fine")', server.url)
    assert (code, out) == (0, "fine\n"), err
    complaints = [line for line in err.splitlines() if "Warning" in line or "Error" in line or "Exception" in line]
    assert [line for line in complaints if "ResourceWarning" not in line] == [], err


@pytest.mark.parametrize("flavour", ["SekhaClient", "AsyncSekhaClient"])
def test_a_closed_client_says_nothing_at_all(flavour: str, server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    lines = {
        "SekhaClient": "with SekhaClient(controller_url=url, api_key='k') as c: c.controller.health()",
        "AsyncSekhaClient": (
            "async def main():\n"
            "    async with AsyncSekhaClient(controller_url=url, api_key='k') as c: await c.controller.health()\n"
            "import asyncio\nasyncio.run(main(), debug=False)"
        ),
    }
    code = f"import sys\nfrom sekha import {flavour}\nurl = sys.argv[1]\n{lines[flavour]}"
    assert python(code, server.url) == (0, "", "")


def test_e4_blocking_calls_start_no_thread_and_no_loop(server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    before: Any = set(threading.enumerate())
    with SekhaClient(controller_url=server.url, api_key="k") as client:
        client.controller.health()
        new = {thread for thread in threading.enumerate() if thread not in before}
        assert {thread.name for thread in new} <= {"fake-server"}
