"""A forked child takes nothing of what its parent receives: neither of a stream nor of a call that is under way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Callable, Iterator, List, Tuple
from weakref import WeakSet

import pytest

import sekha as package
from sekha._concurrency.sockets import wait_for
from sekha._http import sockets
from sekha._http.sockets import ConnectionAttempts, PlainSocket
from support import facts
from support.certificates import Certificates
from support.replies import DONE, after, answer, body, chunked, delta, empty
from support.server import FakeServer, Reply

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.promise("W11"),
]

SOURCE = str(Path(package.__file__ or "").parents[1])
COMPLETE = "POST /v1/chat/completions"
WORDS = ["Once ", "upon ", "a time ", "there was ", "a fork."]
START = """
import json, os, signal, sys, time
import anyio
from sekha import AsyncSekhaClient, SekhaClient, SekhaError

url, ca, backend = sys.argv[1:4]
settings = dict(controller_url=url, bridge_url=url, api_key="k", max_retries=0, verify=ca or True)
messages = [{"role": "user", "content": "Tell me a story"}]


def facts(error):
    return [type(error).__name__, error.sent, error.may_have_been_applied, error.text, error.message]


def in_child(work, *arguments):
    \"\"\"Fork, and do something in the child; return what it returned there, or the facts about its error.\"\"\"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            try:
                said = work(*arguments)
            except SekhaError as error:
                said = facts(error)
            os.write(writer, json.dumps(said).encode())
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader, "rb") as said:
        text = said.read()
    assert os.waitpid(child, 0)[1] == 0
    return json.loads(text)
"""


@pytest.fixture(params=["plain", "tls"])
def story(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tuple[FakeServer, str]]:
    """A fake server of all services, and the path of its authority; empty without TLS."""
    certificates = Certificates(tmp_path) if request.param == "tls" else None
    server = FakeServer(tls=certificates.server() if certificates else None)
    server.always("GET /api/v1/conversations/count", answer({"count": 3}))
    server.always("GET /health", answer(facts.BRIDGE_HEALTHY))
    try:
        yield server, certificates.ca if certificates else ""
    finally:
        server.close()
    server.check()


def run(code: str, server: FakeServer, ca: str = "", backend: str = "asyncio", *, dev: bool = False) -> List[str]:
    """Run a program of ours, which with ``dev`` shows every warning; return its lines."""
    options = ["-X", "dev", "-W", "error::ResourceWarning"] if dev else []
    done = subprocess.run(
        [sys.executable, *options, "-c", START + code, server.url, ca, backend],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


def in_chunks() -> Reply:
    """A stream whose events come one by one, in a chunk and a packet of their own."""
    events = [delta(word) for word in WORDS]
    steps = [step for event in events for step in (event, 0.03)]
    return chunked(*steps, delta("", "stop"), DONE)


def with_length() -> Reply:
    """The same with a length instead of chunks."""
    events = [delta(word) for word in WORDS] + [delta("", "stop"), DONE]
    whole = body(b"".join(events), content_type="text/event-stream")
    (data,) = whole.steps
    assert isinstance(data, bytes)
    head = data[: -sum(map(len, events))]
    return Reply((head, *(step for event in events for step in (event, 0.03))))


@pytest.mark.parametrize("reply", [in_chunks, with_length])
def test_a_child_cannot_read_the_stream_of_its_parent(
    reply: Callable[[], Reply], story: Tuple[FakeServer, str]
) -> None:
    server, ca = story
    server.on(COMPLETE, reply())
    code = """
client = SekhaClient(**settings)
stream = client.bridge.stream_complete(messages)
texts = stream.text_stream()
begin = next(texts)

def read_in_block():
    with stream:
        next(stream)

readers = [
    read_in_block,
    lambda: next(stream),
    lambda: next(texts),
    lambda: next(stream.text_stream()),
    lambda: list(stream),
    stream.get_final_text,
    stream.get_final_completion,
]

def work(read):
    try:
        read()
    except SekhaError as error:
        said = facts(error)
    try:
        next(stream)  # it stays so
    except SekhaError as error:
        assert facts(error) == said
    stream.close()
    said.append(client.controller.count_conversations()["count"])  # on a connection of the child
    client.close()
    return said

for read in readers:
    print(*in_child(work, read), sep="|")
print(os.getpid())
print(begin + "".join(texts))
print(client.bridge.health()["status"])  # on the connection of the stream
client.close()
"""
    *in_children, pid, text, status = run(code, server, ca, dev=True)
    message = f"the stream belongs to process {pid}; a forked process cannot read it"
    assert in_children == [f"SekhaClosedError|True|True|Once |{message}|3"] * 7
    assert text == "".join(WORDS)
    assert status == "healthy"
    assert server.connections == 1 + 7


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_child_cannot_read_an_async_stream_in_its_own_loop(backend: str, story: Tuple[FakeServer, str]) -> None:
    server, ca = story
    server.on(COMPLETE, in_chunks())
    code = """
client = AsyncSekhaClient(**settings)

async def begin():
    stream = await client.bridge.stream_complete(messages)
    texts = stream.text_stream()
    return stream, texts, await texts.__anext__()

async def read(how):
    try:
        await how()
    except SekhaError as error:
        said = facts(error)
    await stream.aclose()
    assert (await client.controller.count_conversations())["count"] == 3
    await client.aclose()
    return said

async def end():
    text = "".join([text async for text in texts])
    await client.aclose()
    return text

stream, texts, first = anyio.run(begin, backend=backend)
for how in (stream.__anext__, texts.__anext__, stream.get_final_text):
    print(*in_child(lambda: anyio.run(read, how, backend=backend))[:4], sep="|")
print(first + anyio.run(end, backend=backend))
"""
    *in_children, text = run(code, server, ca, backend)
    assert in_children == ["SekhaClosedError|True|True|Once "] * 3
    assert text == "".join(WORDS)


@pytest.mark.parametrize("http_client", [False, True])
def test_what_a_child_closes_goes_on_in_the_parent(http_client: bool, story: Tuple[FakeServer, str]) -> None:
    server, ca = story
    server.on(COMPLETE, in_chunks())
    code = f"""
import gc, httpx, ssl
if {http_client}:
    del settings["verify"]
    settings["http_client"] = httpx.Client(verify=ssl.create_default_context(cafile=ca) if ca else True)
client = SekhaClient(**settings)
stream = client.bridge.stream_complete(messages)
texts = stream.text_stream()
begin = next(texts)

def close():
    stream.close()
    client.close()
    return "closed"

def drop():
    global stream, texts
    del stream, texts
    gc.collect()
    return "dropped"

print(in_child(close), in_child(drop), in_child(list, stream)[0])
print(begin + "".join(texts))
client.close()
if {http_client}:
    settings["http_client"].close()
"""
    assert run(code, server, ca, dev=True) == ["closed dropped SekhaClosedError", "".join(WORDS)]


def test_what_a_child_closes_in_its_own_loop_goes_on_in_the_parent_with_httpx(story: Tuple[FakeServer, str]) -> None:
    server, ca = story
    server.on(COMPLETE, in_chunks())
    code = """
import asyncio, gc, httpx, ssl
del settings["verify"]

async def close(stream, client, http_client):
    try:
        await stream.__anext__()
    except SekhaError as error:
        said = type(error).__name__
    await stream.aclose()
    await client.aclose()
    return said

async def main():
    http_client = httpx.AsyncClient(verify=ssl.create_default_context(cafile=ca) if ca else True)
    async with AsyncSekhaClient(**settings, http_client=http_client) as client, http_client:
        stream = await client.bridge.stream_complete(messages)
        texts = stream.text_stream()
        begin = await texts.__anext__()
        print(in_child(lambda: asyncio.run(close(stream, client, http_client))))
        print(begin + "".join([text async for text in texts]))

asyncio.run(main())
"""
    assert run(code, server, ca) == ["SekhaClosedError", "".join(WORDS)]


def test_a_stream_that_was_read_to_its_end_can_be_asked_in_a_child(story: Tuple[FakeServer, str]) -> None:
    server, ca = story
    server.on(COMPLETE, in_chunks())
    code = """
client = SekhaClient(**settings)
stream = client.bridge.stream_complete(messages)
print(stream.get_final_text() == in_child(stream.get_final_text))
client.close()
"""
    assert run(code, server, ca) == ["True"]


def test_parent_and_child_iterate_over_conversations_each_by_its_own_requests(story: Tuple[FakeServer, str]) -> None:
    server, ca = story
    pages = [
        {"results": [facts.row(id=f"{number}{facts.ID[1:]}")], "total": 3, "page": number + 1, "page_size": 1}
        for number in range(3)
    ]
    first, *others = map(answer, pages)
    server.on("GET /api/v1/conversations", first, *others, *others)
    code = """
client = SekhaClient(**settings)
rows = client.controller.iter_conversations(page_size=1)
first = next(rows)["label"]
rest = in_child(lambda: [row["conversation_id"] for row in rows])
print(len(rest), rest == [row["conversation_id"] for row in rows])
client.close()
"""
    assert run(code, server, ca) == ["2 True"]


@pytest.mark.parametrize(
    ("call", "retries", "said_in_child"),
    [
        ("client.controller.update_label(id, label='x', folder='/')", 1, "[None]"),
        ("client.controller.update_label(id, label='x', folder='/')", 0, "['SekhaConnectionError', True, True]"),
        ("client.controller.count_conversations()", 0, "['SekhaConnectionError', True, False]"),
        ("client.bridge.complete(messages)", 3, "['SekhaConnectionError', True, True]"),
    ],
)
def test_a_child_that_goes_on_with_a_call_of_its_parent_does_not_take_the_answer(
    call: str, retries: int, said_in_child: str, story: Tuple[FakeServer, str]
) -> None:
    """A signal handler forks when the server has the request, and returns in both processes."""
    server, ca = story
    answers = {
        "update": (f"PUT /api/v1/conversations/{facts.ID}/label", empty()),
        "count": ("GET /api/v1/conversations/count", answer({"count": 3})),
        "complete": (COMPLETE, answer(facts.COMPLETION)),
    }
    ((line, reply),) = [answers[name] for name in answers if name in call]

    def fork() -> None:
        os.kill(int(server.seen[0].headers["x-pid"]), signal.SIGALRM)

    server.on(line, after(fork, after(0.3, reply)), *([reply] if retries == 1 else []))
    code = f"""
client = SekhaClient(**{{**settings, "max_retries": {retries}}}, headers={{"X-Pid": str(os.getpid())}})
id = {facts.ID!r}
children = []
signal.signal(signal.SIGALRM, lambda *_: children.append(os.fork()))
try:
    said = [{call}]
except SekhaError as error:
    said = facts(error)[:3]
if children == [0]:
    print(said, flush=True)
    os._exit(0)
assert os.waitpid(children[0], 0)[1] == 0
print("Error" not in str(said))
client.close()
"""
    assert run(code, server, ca) == [said_in_child, "True"]


def test_a_socket_of_another_process_is_neither_read_nor_written() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.sendall(b"answer")
        inherited = PlainSocket(ours, os.getpid() + 1)
        with pytest.raises(ConnectionAbortedError, match="belongs to process"):
            inherited.try_read()
        with pytest.raises(ConnectionAbortedError, match="belongs to process"):
            inherited.try_write(memoryview(b"request"))
        assert inherited.is_readable()
        assert PlainSocket(ours, os.getpid()).try_read() == b"answer"
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)


def test_a_child_that_goes_on_connecting_stops(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    host, port = server.url[len("http://") :].split(":")
    monkeypatch.setattr(sockets, "_sockets", WeakSet())
    attempts = ConnectionAttempts(host, socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM))
    attempts.begin_next()
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        sockets._close_inherited()
        assert wait_for((), attempts.sockets, 10)
        with pytest.raises(ConnectionAbortedError, match="belongs to process"):
            attempts.take_connected()
    attempts.close()
