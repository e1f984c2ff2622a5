"""What a client may hold of the local Sekha: bodies without end, half-sent requests, and connections."""

from __future__ import annotations

import http.client
import logging
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Dict, Generator, Iterator, List, Tuple
from unittest import mock
from urllib.parse import urlsplit

import httpx
import pytest

from local.conftest import KEY, python, wait_for
from sekha.local import LocalSekha
from sekha.local import protocol as limits
from sekha.local.profiles import PROFILES

CONTROLLER = (
    "POST /api/v1/query HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\ncontent-type: application/json\r\n"
)
BRIDGE = "POST /embed HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture(scope="module", params=[*PROFILES])
def server(request: pytest.FixtureRequest) -> Iterator[LocalSekha]:
    with LocalSekha(profile=request.param) as sekha:
        yield sekha


@pytest.fixture(autouse=True)
def _nothing_is_logged(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """None of this is a fault of the server."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert "Traceback" not in capfd.readouterr().err


@contextmanager
def connected(url: str) -> Generator[socket.socket, None, None]:
    address = urlsplit(url)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        yield connection


def read_all(connection: socket.socket) -> str:
    """What arrives until the connection is closed, orderly or not."""
    received = b""
    with suppress(ConnectionError):
        while piece := connection.recv(65536):
            received += piece
    return received.decode()


def read_status(connection: socket.socket) -> int:
    """The status of the next answer, which is read to its end."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    return answer.status


def both(server: LocalSekha) -> List[Tuple[str, str]]:
    """The address of each port, and the head of a request with a body."""
    return [(server.controller_url, CONTROLLER), (server.bridge_url, BRIDGE)]


# Bodies


def send_for_ever(connection: socket.socket, piece: bytes) -> int:
    """Send until the other side does not take it any more, and return how much it took."""
    sent = 0
    with suppress(ConnectionError):
        while sent < 2**28:
            connection.sendall(piece)
            sent += len(piece)
    return sent


@pytest.mark.parametrize(
    ("more", "piece"),
    [
        ("transfer-encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
        (f"content-length: {2**40}\r\n\r\n", b" " * 65536),
    ],
    ids=["chunked", "length"],
)
def test_a_body_without_end_is_cut(
    server: LocalSekha, more: str, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http", "protocol"):
        monkeypatch.setattr(f"sekha.local.{name}.DRAIN_LIMIT", 2**20)
    monkeypatch.setattr("sekha.local.documented.bridge.MAX_BODY", 2**19)
    monkeypatch.setattr("sekha.local.http.read_body.__defaults__", (2**19,))
    for url, head in both(server):
        with connected(url) as connection:
            connection.sendall((head + more).encode())
            sent = send_for_ever(connection, piece)
            answer = read_all(connection)
        assert answer.startswith("HTTP/1.1 413 ")
        assert "\r\nconnection: close\r\n" in answer.lower()
        assert sent < 2**24, "what the system takes, but nobody reads, is not much"


def test_what_follows_an_answer_is_dropped_up_to_a_limit(server: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.local.protocol.DRAIN_LIMIT", 2**20)
    for url, _ in both(server):
        with connected(url) as connection:
            connection.sendall(b"POST /none HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n")
            assert read_status(connection) == 404
            connection.sendall(b" " * 100_000 + HEALTH)
            assert read_status(connection) == 200
        with connected(url) as connection:
            connection.sendall(b"POST /none HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
            assert read_status(connection) == 404
            assert send_for_ever(connection, b"10000\r\n" + b" " * 65536 + b"\r\n") < 2**24
            assert read_all(connection) == ""


def test_a_body_that_is_too_long_is_read_to_its_end(server: LocalSekha) -> None:
    with httpx.Client(verify=False, base_url=server.controller_url, headers=KEY) as api:
        for _ in range(2):
            answer = api.post("/api/v1/query", content=b" " * 2**22, headers={"content-type": "application/json"})
            assert (answer.status_code, "connection" in answer.headers) == (413, False)


# Requests that do not arrive


@pytest.mark.parametrize(
    "sent",
    [
        "GET /health HTTP/1.1\r\n",
        "GET /health HTTP/1.1\r\nhost: localhost\r\nx-a: b",
        "G",
        "{}content-length: 99\r\n\r\n",
        "{}content-length: 99\r\n\r\n{{",
        "{}transfer-encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_half_a_request_is_closed(server: LocalSekha, sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.1)
    for url, head in both(server):
        with connected(url) as connection:
            connection.sendall(sent.format(head).encode())
            assert read_all(connection).startswith("HTTP/1.1 408 ")


def test_half_a_request_behind_a_whole_one_is_closed(server: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.1)
    for url, _ in both(server):
        with connected(url) as connection:
            connection.sendall(HEALTH)
            assert read_status(connection) == 200
            connection.sendall(HEALTH[:20])
            assert read_all(connection).startswith("HTTP/1.1 408 ")


def test_a_connection_without_a_request_is_closed_in_silence(
    server: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.1)
    for url, _ in both(server):
        with connected(url) as connection:
            assert read_all(connection) == ""


def test_the_head_has_its_time_in_all(server: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.3)
    begin = time.monotonic()
    with connected(server.controller_url) as connection, suppress(ConnectionError):
        while time.monotonic() < begin + 5:
            connection.sendall(b"x")
            time.sleep(0.02)
    assert time.monotonic() < begin + 3


def test_a_slow_upload_that_goes_on_is_taken(server: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.4)
    body = b'{"query": "x"}'
    with connected(server.controller_url) as connection:
        connection.sendall(f"{CONTROLLER}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode())
        for number in range(len(body)):
            time.sleep(0.05)
            connection.sendall(body[number : number + 1])
        assert read_all(connection).startswith("HTTP/1.1 200 ")


def test_an_idle_connection_is_kept(server: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.05)
    with connected(server.controller_url) as connection:
        for _ in range(2):
            connection.sendall(HEALTH)
            assert read_status(connection) == 200
            time.sleep(0.2)


# Models that take their time


@contextmanager
def slow_model() -> Generator[Tuple[LocalSekha, socket.socket], None, None]:
    """A Sekha, and the socket on which it asks its model."""
    with socket.socket() as model:
        model.bind(("127.0.0.1", 0))
        model.listen()
        with (
            mock.patch("sekha.local.models.model_server.PROBE_SECONDS", 0.05),
            LocalSekha(llm_url=f"http://127.0.0.1:{model.getsockname()[1]}/v1", llm_model="x") as sekha,
        ):
            model.accept()[0].close()  # it was asked for its models
            model.settimeout(10)
            yield sekha, model


def chat(sekha: LocalSekha, answers: List[str], stream: bool = True) -> threading.Thread:
    """Ask for a chat in a thread, which notes what it gets."""
    body = f'{{"stream": {str(stream).lower()}, "messages": [{{"role": "user", "content": "Hello"}}]}}'
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"

    def ask() -> None:
        with connected(sekha.bridge_url) as connection:
            connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
            answers.append(read_all(connection))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def begin_stream(model: socket.socket) -> socket.socket:
    """Let the model answer with the first piece of a stream."""
    asked, _ = model.accept()
    asked.recv(65536)
    event = 'data: {"choices": [{"index": 0, "delta": {"content": "Hello"}, "finish_reason": null}]}\n\n'
    chunk = f"{len(event):x}\r\n{event}\r\n"
    head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    asked.sendall((head + chunk).encode())
    return asked


def test_an_answer_may_take_longer_than_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_SECONDS", 0.1)
    answers: List[str] = []
    with slow_model() as (sekha, model):
        asking = chat(sekha, answers, stream=False)
        with model.accept()[0] as asked:
            asked.recv(65536)
            time.sleep(0.4)
            text = '{"choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}'
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n"
            asked.sendall((head + text).encode())
            asking.join()
    assert answers[0].startswith("HTTP/1.1 200 ")


def test_a_stop_in_the_middle_of_a_stream_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GRACE_SECONDS", 0.1)
    answers: List[str] = []
    with slow_model() as (sekha, model):
        asking = chat(sekha, answers)
        with begin_stream(model):
            time.sleep(0.2)  # for the piece to get through
            begin = time.monotonic()
            sekha.stop()
            assert time.monotonic() - begin < 3
            asking.join()
    assert answers[0].startswith("HTTP/1.1 200 ")
    assert "Hello" in answers[0]
    assert "[DONE]" not in answers[0]
    assert not answers[0].endswith("0\r\n\r\n"), "the client must see that the answer is incomplete"


# Connections


def test_more_connections_than_there_may_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 8)
    with slow_model() as (sekha, model), ExitStack() as stack:
        answers: List[str] = []
        asking = [chat(sekha, answers, stream=False) for _ in range(8)]
        asked = [stack.enter_context(model.accept()[0]) for _ in asking]
        with connected(sekha.bridge_url) as connection:
            assert read_all(connection).startswith("HTTP/1.1 503 Service Unavailable\r\n")
        assert httpx.get(f"{sekha.bridge_url}/health", verify=False).status_code == 503
        assert httpx.get(f"{sekha.controller_url}/health", verify=False).status_code == 200
        for connection in asked:
            connection.close()
        for thread in asking:
            thread.join()
        wait_for(lambda: httpx.get(f"{sekha.bridge_url}/api/v1/tasks", verify=False).status_code == 200)


def test_one_that_does_not_ask_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CONNECTIONS", 8)
    monkeypatch.setattr(limits, "_UNUSED_SECONDS", 0.0)
    with LocalSekha() as sekha, ExitStack() as stack:
        held = [stack.enter_context(connected(sekha.controller_url)) for _ in range(8)]
        for connection in held:
            connection.sendall(b"GET /health")
        for _ in range(3):
            assert httpx.get(f"{sekha.controller_url}/health", verify=False).status_code == 200
        assert read_all(held[0]) == ""
        held[-1].sendall(b" HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert read_status(held[-1]) == 200


FLOOD = """
import resource, socket, subprocess, sys, time, urllib.request
from urllib.parse import urlsplit
pipe = subprocess.PIPE
server = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=pipe, stderr=pipe, text=True)
urls = server.stdout.readline().split()
held = []
for number in range(300):
    address = urlsplit(urls[number % 2])
    connection = socket.create_connection((address.hostname, address.port))
    connection.settimeout(5)
    try:
        connection.sendall(b"GET /health")
    except ConnectionError:
        pass
    held.append(connection)
time.sleep(1.2)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for url in urls:
    begin = time.monotonic()
    assert opener.open(f"{url}/health", timeout=5).status == 200
    print(time.monotonic() - begin)
server.terminate()
print(server.stderr.read())
"""
LIMITED = """
import resource, time
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
from sekha.local import LocalSekha
with LocalSekha() as sekha:
    print(sekha.controller_url, sekha.bridge_url, flush=True)
    time.sleep(60)
"""


def test_more_connections_than_descriptors_are_no_trouble() -> None:
    pytest.importorskip("resource")
    command, environment = python("-c", FLOOD, LIMITED)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    first, second, *said = done.stdout.splitlines()
    assert max(float(first), float(second)) < 1.0
    assert [line for line in said if line] == []


def test_the_limit_leaves_descriptors_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    for most, expected in ((128, 21), (256, 64), (1024, 320), (20_000, 1000), (resource.RLIM_INFINITY, 1000), (40, 8)):
        monkeypatch.setattr(resource, "getrlimit", mock.Mock(return_value=(most, most)))
        assert limits.connection_limit() == expected


# What is no HTTP, or not ours


@pytest.mark.parametrize(
    "sent",
    [
        "\x16\x03\x01\x02\x00 a TLS handshake\r\n\r\n",
        "no http at all\r\n\r\n",
        "GET /health HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
        "{}transfer-encoding: chunked\r\n\r\nnot hexadecimal\r\n",
        "{}content-length: 5\r\ncontent-length: 6\r\n\r\n",
        "{}content-length: -5\r\n\r\n",
    ],
)
def test_what_is_no_request_is_a_400(server: LocalSekha, sent: str) -> None:
    for url, head in both(server):
        with connected(url) as connection:
            connection.sendall(sent.format(head).encode("latin-1"))
            assert read_all(connection).startswith("HTTP/1.1 400 ")


def test_a_broken_body_behind_an_answer_closes_the_connection(server: LocalSekha) -> None:
    with connected(server.controller_url) as connection:
        connection.sendall(b"POST /none HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n")
        assert read_status(connection) == 404
        connection.sendall(b"not hexadecimal\r\n")
        assert read_all(connection) == ""


def test_an_upgrade_is_passed_over_in_silence(server: LocalSekha) -> None:
    headers: Dict[str, Any] = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13"}
    for url, _ in both(server):
        assert httpx.get(f"{url}/health", headers=headers, verify=False).status_code == 200
