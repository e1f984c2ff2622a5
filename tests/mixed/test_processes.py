"""Threads, event loops, forks, and the end of a process."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator, List, Tuple

import anyio
import pytest

import sekha as package
from sekha import AsyncSekhaClient, MemoryController, SekhaClient
from sekha.local import LocalSekha
from support import facts
from support.facts import MESSAGES
from support.replies import DONE, after, answer, chunked, delta
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
    """Run a program in a Python that shows every warning, and raises those of resources: exit code, output, errors."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


# Threads


@pytest.mark.promise("R10")
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


@pytest.mark.promise("R10")
def test_32_threads_share_a_blocking_client_and_each_gets_its_own_answer(server: FakeServer) -> None:
    ids = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(40)]
    for one in ids:
        server.always(f"GET /api/v1/conversations/{one}", answer({**facts.READ, "id": one, "message_count": 2}))
    together = threading.Barrier(32)

    def work(number: int) -> None:
        together.wait(30)
        for turn in range(20):
            one = ids[(number * 7 + turn) % len(ids)]
            assert client.controller.get_conversation(one)["id"] == one

    with SekhaClient(controller_url=server.url, api_key="k", max_connections=4) as client:
        with ThreadPoolExecutor(32) as pool:
            list(pool.map(work, range(32)))
    assert len(server.seen) == 640
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


@pytest.mark.promise("R9")
@module_level
def test_one_client_in_several_loops(swept: None, server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    server.always("POST /api/v1/conversations", answer(facts.CREATED, 201))
    client = AsyncSekhaClient(controller_url=server.url, api_key="k", max_retries=0)

    async def main() -> str:
        with anyio.fail_after(20):
            await client.controller.create_conversation(messages=MESSAGES)  # has a place to wait for in every loop
            answers = [(await client.controller.health())["status"] for _ in range(2)]
        return answers[-1]

    for _ in range(3):
        assert asyncio.run(main()) == "healthy"
    assert anyio.run(main, backend="trio") == "healthy"
    assert asyncio.run(main()) == "healthy"
    assert server.connections == 5


@pytest.mark.promise("R9")
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


@pytest.mark.promise("R13")
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


@pytest.mark.promise("R10")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_stream_that_a_child_closes_goes_on_in_the_parent(bridge: FakeServer) -> None:
    bridge.on("POST /v1/chat/completions", chunked(delta("Once "), 0.5, delta("upon a time.", "stop"), DONE))
    bridge.on("GET /health", answer(facts.BRIDGE_HEALTHY))
    code = """
import os, sys
from sekha import SekhaClient

client = SekhaClient(controller_url=sys.argv[1], bridge_url=sys.argv[1], api_key="k", max_retries=0)
stream = client.bridge.stream_complete([{"role": "user", "content": "Tell me a story"}])
texts = stream.text_stream()
assert next(texts) == "Once "
child = os.fork()
if child == 0:
    stream.close()
    client.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert list(texts) == ["upon a time."]
client.bridge.health()
client.close()
print("fine")
"""
    assert python(code, bridge.url) == (0, "fine\n", "")
    assert bridge.connections == 1


@pytest.mark.promise("R10")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("hold", [False, True])
def test_a_client_works_in_parent_and_children(hold: bool, server: FakeServer) -> None:
    server.always("GET /api/v1/conversations/count", answer({"count": 3}))
    server.always("POST /api/v1/conversations", answer(facts.CREATED, 201))
    server.always("GET /health", after(1.0, answer(facts.HEALTHY)))
    code = f"""
import os, sys, threading, time
from sekha import SekhaClient

KINDS = (type(threading.Lock()), type(threading.RLock()))


def locks_of(thing, seen):
    \"\"\"Every lock that an object of ours or of the HTTP packages holds, however deep.\"\"\"
    if id(thing) in seen:
        return []
    seen[id(thing)] = thing
    if isinstance(thing, KINDS):
        return [thing]
    if isinstance(thing, dict):
        inside = list(thing.values())
    elif isinstance(thing, (list, tuple, set, frozenset)) or type(thing).__name__ == "deque":
        inside = list(thing)
    elif type(thing).__module__.split(".")[0] in ("sekha", "httpx", "httpcore", "threading"):
        slots = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
        inside = list(getattr(thing, "__dict__", {{}}).values()) + [getattr(thing, name, None) for name in slots]
    else:
        inside = []
    return [lock for one in inside for lock in locks_of(one, seen)]


client = SekhaClient(controller_url=sys.argv[1], api_key="k", max_retries=0, timeout=20.0)
messages = [{{"role": "user", "content": "Hello"}}]


def works():
    assert client.controller.count_conversations()["count"] == 3
    assert client.controller.create_conversation(messages=messages)["id"]


works()
stop, held = threading.Event(), threading.Event()


def hold():
    locks = locks_of(client, {{}})
    assert len(locks) > 3, locks
    for lock in locks:
        lock.acquire()
    held.set()
    stop.wait()
    for lock in locks:
        lock.release()


busy = threading.Thread(target=hold if {hold} else client.controller.health)
busy.start()
held.wait(10) if {hold} else time.sleep(0.2)
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        try:
            for _ in range(5):
                works()
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    children.append(child)
    {hold} or works()
late = time.monotonic() + 30
codes = []
for child in children:
    while not (done := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < late:
        time.sleep(0.01)
    if not done[0]:
        os.kill(child, 9)
        done = os.waitpid(child, 0)
    codes.append(done[1])
stop.set()
busy.join()
assert codes == [0, 0, 0], codes
works()
client.close()
print("fine")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, server.url],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "fine\n", done.stderr
    # Of each process one connection; in the parent the call that is under way has another.
    assert server.connections == (4 if hold else 5)


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
    "in trio": """
import trio
from sekha import AsyncSekhaClient
async def main():
    client = AsyncSekhaClient(controller_url=url, api_key="k")
    await client.controller.health()
trio.run(main)
""",
    "a stream": """
from sekha import SekhaClient
client = SekhaClient(controller_url=url, bridge_url=url, api_key="k")
stream = client.bridge.stream_complete([{"role": "user", "content": "Hello"}])
next(iter(stream))
del stream
""",
    "a stream at the end": """
from sekha import SekhaClient
client = SekhaClient(controller_url=url, bridge_url=url, api_key="k")
stream = client.bridge.stream_complete([{"role": "user", "content": "Hello"}])
next(iter(stream))
""",
    "a stream in a loop": """
import asyncio
from sekha import AsyncSekhaClient
async def main():
    client = AsyncSekhaClient(controller_url=url, bridge_url=url, api_key="k")
    stream = await client.bridge.stream_complete([{"role": "user", "content": "Hello"}])
    await stream.__anext__()
asyncio.run(main())
""",
    "a loop that still runs": """
import asyncio, threading
from sekha import AsyncSekhaClient
client = AsyncSekhaClient(controller_url=url, api_key="k")
called = threading.Event()
async def main():
    await client.controller.health()
    called.set()
    await asyncio.sleep(3600)
threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
assert called.wait(30)
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


@pytest.mark.promise("R13")
@pytest.mark.parametrize("how", FORGOTTEN)
def test_a_forgotten_client_does_no_harm(how: str, server: FakeServer) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    server.always("POST /v1/chat/completions", chunked(delta("Once "), end="hang"))
    code, out, err = python("import sys\nurl = sys.argv[1]\n" + FORGOTTEN[how] + 'print("fine")', server.url)
    assert (code, out) == (0, "fine\n"), err
    # A warning that is an error, inside the collector: "Exception ignored in ...", a traceback, and its last line.
    raised = re.findall(r"(?m)^([A-Za-z_.]*(?:Error|Exception|Warning|Interrupt|Exit|Cancelled))\b(?! ignored)", err)
    assert set(raised) <= {"ResourceWarning"}, err
    assert ("never used" not in how) or err == ""
    if "stream" in how and sys.implementation.name != "pypy":  # which finalizes nothing when it ends
        assert "was neither read to its end nor closed" in err


@pytest.mark.promise("R13")
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


@pytest.mark.promise("E4")
def test_blocking_calls_start_no_thread_and_no_loop(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    started: List[threading.Thread] = []
    start, here = threading.Thread.start, threading.current_thread()

    def note(thread: threading.Thread) -> None:
        if threading.current_thread() is here:  # the server starts threads as well, in its own
            started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", note)
    with SekhaClient(controller_url=server.url, api_key="k") as client:
        client.controller.health()
    assert not started
