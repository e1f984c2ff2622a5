"""Calls to a server behind haproxy, as the system's package has it; without it, the tests are skipped."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Type

import pytest

from sekha import (
    SekhaAPIError,
    SekhaAuthError,
    SekhaConnectionError,
    SekhaError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaStreamError,
    SekhaValidationError,
)
from support import facts
from support.certificates import Certificates
from support.faults import listening
from support.programs import (
    Make,
    calling,
    calling_one_server,
    free_ports,
    outcome,
    program,
    read_stream,
    running,
    write,
)
from support.replies import DONE, DROP, HANG, answer, chunked, cut, delta, empty, raw
from support.server import FakeServer, Reply, eventually

HEALTH, CREATE, QUERY = "GET /health", "POST /api/v1/conversations", "POST /api/v1/query"
CHAT = "POST /v1/chat/completions"
MADE = answer(facts.CREATED, 201)

HAPROXY = """
defaults
    mode http
    timeout connect 1s
    timeout client 20s
    timeout server 20s
    timeout http-keep-alive 200ms
frontend all
    bind 127.0.0.1:{plain}
    bind 127.0.0.1:{tls} ssl crt {folder}/server.pem
    http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt 1000000 }}
    http-request deny deny_status 429 if {{ req.hdr(x-case) 429 }}
    http-request deny deny_status 401 if {{ req.hdr(x-case) 401 }}
    http-request return status 503 hdr retry-after 1 if {{ req.hdr(x-case) maintenance }}
    use_backend empty if {{ req.hdr(x-case) empty }}
    use_backend down if {{ req.hdr(x-case) down }}
    use_backend hasty if {{ req.hdr(x-case) hasty }}
    default_backend good
frontend hasty
    bind 127.0.0.1:{hasty}
    timeout http-request 300ms
    default_backend good
backend good
    server one 127.0.0.1:{port}
backend hasty
    timeout server 300ms
    server one 127.0.0.1:{port}
backend down
    retries 0
    server one 127.0.0.1:{nobody}
backend empty
"""


@dataclass(frozen=True)
class HAProxy:
    """An haproxy in front of a fake server.

    Attributes:
        urls: Its address without and with TLS.
        ca: The CA of its certificate.
        hasty: Port where a request must arrive within 0.3 s.
    """

    urls: Dict[str, str]
    ca: str
    hasty: int


@pytest.fixture
def haproxy(server: FakeServer, tmp_path: Path) -> Iterator[HAProxy]:
    path = program("haproxy")
    certificates = Certificates(tmp_path)
    certificates.write_server("server.pem")
    plain, tls, hasty, nobody = free_ports(4)
    port = server.url.rpartition(":")[2]
    config = tmp_path / "haproxy.cfg"
    config.write_text(HAPROXY.format(folder=tmp_path, plain=plain, tls=tls, hasty=hasty, nobody=nobody, port=port))
    with running([path, "-db", "-f", str(config)], [plain, tls, hasty]):
        urls = {"http": f"http://127.0.0.1:{plain}", "https": f"https://127.0.0.1:{tls}"}
        yield HAProxy(urls, certificates.ca, hasty)


@pytest.fixture(params=["http", "https"])
def make(request: Any, kind: str, haproxy: HAProxy) -> Iterator[Make]:
    """Makes calls through haproxy, without and with TLS."""
    with calling_one_server(kind, haproxy.urls[request.param], verify=haproxy.ca) as make:
        yield make


@pytest.mark.promise("C7", "W3")
@pytest.mark.parametrize(
    ("name", "cls", "status", "unknown", "words"),
    [
        ("empty", SekhaServerError, 503, True, "No server is available to handle this request."),
        ("down", SekhaServerError, 503, True, "No server is available to handle this request."),
        ("maintenance", SekhaServerError, 503, False, "Service Unavailable (the response was empty)"),
        ("429", SekhaRateLimitError, 429, False, "You have sent too many requests"),
        ("401", SekhaAuthError, 401, False, "You need a valid user and password"),
        ("x" * 20_000, SekhaValidationError, 400, False, "Your browser sent an invalid request."),
    ],
    ids=["no server", "server down", "maintenance", "429", "401", "400"],
)
def test_an_answer_of_haproxy_itself_is_the_right_error(
    name: str, cls: Type[SekhaError], status: int, unknown: bool, words: str, make: Make, server: FakeServer
) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    with pytest.raises(SekhaAPIError) as caught:
        make(write(name))
    assert outcome(caught.value) == (cls, status, True, unknown)
    assert words in caught.value.message
    assert "<" not in caught.value.message
    assert caught.value.retry_after == {"maintenance": 1.0, "429": 60.0}.get(
        name
    )  # a 429 is taken for the controller's
    assert server.seen == []
    assert make(lambda client: client.controller.health())["status"] == "healthy"


@pytest.mark.promise("C7", "R1")
@pytest.mark.parametrize(
    ("reply", "status", "words"),
    [
        (HANG, 504, "The server didn't respond in time."),
        (DROP, 502, "The server returned an invalid or incomplete response."),
        (raw(b"SSH-2.0-x\r\n", end="close"), 502, "The server returned an invalid or incomplete response."),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-le", end="close"), 502, "The server returned an invalid or incomplete"),
    ],
    ids=["slow", "closes", "no HTTP", "half a head"],
)
def test_a_write_that_reached_the_server_may_have_been_applied(
    reply: Reply, status: int, words: str, make: Make, server: FakeServer
) -> None:
    server.on(CREATE, reply, MADE)
    with pytest.raises(SekhaServerError, match=words) as caught:
        make(write("hasty"))
    assert outcome(caught.value) == (SekhaServerError, status, True, True)
    eventually(lambda: len(server.seen) == 1)  # the proxy may have given up before the server has read it
    make(write("good"))


@pytest.mark.promise("C1")
def test_an_answer_that_the_server_breaks_off_is_no_answer(make: Make, server: FakeServer) -> None:
    server.on(CREATE, cut(), MADE)
    with pytest.raises(SekhaConnectionError, match="in the middle of a response") as caught:
        make(write("good"))
    assert outcome(caught.value) == (SekhaConnectionError, None, True, True)
    make(write("good"))


@pytest.mark.promise("C7", "R1", "W2")
@pytest.mark.parametrize("size", [1_000_001, 8_000_000])
@pytest.mark.parametrize("deadline", [None, 20.0])
def test_a_long_request_that_haproxy_refuses_early(deadline: Any, size: int, make: Make, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    message = {"role": "user", "content": "x" * size}
    with pytest.raises(SekhaValidationError, match="The request entity exceeds the maximum allowed") as caught:
        make(lambda client: client.with_options(deadline=deadline).controller.create_conversation(messages=[message]))
    assert outcome(caught.value) == (SekhaValidationError, 413, True, False)
    assert server.seen == []
    assert make(lambda client: client.controller.health())["status"] == "healthy"


@pytest.mark.promise("R2")
def test_reads_are_repeated_until_haproxy_has_a_server(kind: str, haproxy: HAProxy, server: FakeServer) -> None:
    server.on(QUERY, DROP, empty(503), answer(facts.hits()))
    with calling(kind, controller_url=haproxy.urls["http"], api_key="k") as make:
        assert make(lambda client: client.controller.query("x"))["results"] == []
    assert len(server.seen) == 3


# Requests that do not arrive in time


@pytest.mark.promise("R1", "W9")
@pytest.mark.parametrize("writes", [False, True], ids=["read", "write"])
def test_a_request_of_which_haproxy_gets_half_is_sent_again(
    writes: bool, kind: str, haproxy: HAProxy, server: FakeServer
) -> None:
    server.on(*((CREATE, MADE) if writes else (QUERY, answer(facts.hits()))))
    with half_of_the_first(haproxy.hasty) as url, calling(kind, controller_url=url, api_key="k") as make:
        call = write("good") if writes else lambda client: client.controller.query("x")
        with pytest.raises(SekhaAPIError, match="Your browser didn't send a complete request in time") as caught:
            make(lambda client: call(client.with_options(max_retries=0)))
        assert outcome(caught.value) == (SekhaAPIError, 408, True, False)
    with half_of_the_first(haproxy.hasty) as url, calling(kind, controller_url=url, api_key="k") as make:
        make(call)
    assert len(server.seen) == 1


@contextlib.contextmanager
def half_of_the_first(port: int) -> Iterator[str]:
    """The address of a way to a port of this machine, on which the rest of the first request is lost."""
    connections: List[socket.socket] = []

    def act(near: socket.socket) -> None:
        far = socket.create_connection(("127.0.0.1", port))
        connections.append(far)
        data = near.recv(65536)
        far.sendall(data[:30] if len(connections) == 1 else data)
        threading.Thread(target=pass_on, args=(far, near), daemon=True).start()

    def pass_on(far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(65536):
                near.sendall(data)
            near.shutdown(socket.SHUT_RDWR)

    with listening(act) as address:
        yield f"http://{address}"
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)  # wakes the thread
        connection.close()


# Connections that haproxy keeps, and closes after a while


@pytest.mark.promise("R11")
def test_a_connection_that_haproxy_has_closed_is_not_used_again(make: Make, server: FakeServer) -> None:
    server.on(CREATE, *[MADE] * 4)
    for pause in (0.0, 0.0, 0.4, 0.4):
        time.sleep(pause)
        make(write("good"))
    assert len(server.seen) == 4


@pytest.mark.slow
@pytest.mark.promise("R1", "R11")
def test_writes_in_the_moment_in_which_haproxy_closes_are_stored_once(
    kind: str, haproxy: HAProxy, server: FakeServer
) -> None:
    server.always(CREATE, MADE)
    errors: List[SekhaConnectionError] = []
    with calling(kind, controller_url=haproxy.urls["http"], api_key="k") as make:
        for number in range(20):
            time.sleep(0.195 + 0.0005 * number)
            try:
                make(write("good"))
            except SekhaConnectionError as error:
                errors.append(error)
    assert all(error.may_have_been_applied for error in errors)
    assert 20 - len(errors) <= len(server.seen) <= 20
    assert len(errors) <= 5, "haproxy has closed most connections before, or not yet"


# Streams


def test_a_stream_arrives_as_it_is_sent(make: Make, server: FakeServer) -> None:
    go_on, texts = threading.Event(), []  # type: threading.Event, List[str]

    def note(text: str) -> None:
        texts.append(text)
        go_on.set()

    server.on(CHAT, chunked(delta("Once "), go_on, delta("upon", "stop"), DONE))
    server.on(HEALTH, answer(facts.BRIDGE_HEALTHY))
    make(lambda client: read_stream(client, note))
    assert "".join(texts) == "Once upon"
    assert make(lambda client: client.bridge.health())["status"] == "healthy"


@pytest.mark.promise("C1")
@pytest.mark.parametrize("end", ["close", "hang"])
def test_a_stream_that_is_cut_is_an_error(end: Any, make: Make, server: FakeServer) -> None:
    """By the server, or by haproxy, for which the next piece takes too long."""
    server.on(CHAT, chunked(delta("Once "), end=end))
    server.on(HEALTH, answer(facts.BRIDGE_HEALTHY))
    texts: List[str] = []
    with pytest.raises(SekhaStreamError) as caught:
        make(lambda client: read_stream(client.with_options(headers={"x-case": "hasty"}), texts.append))
    error = caught.value
    assert (error.text, texts, error.sent, error.may_have_been_applied) == ("Once ", ["Once "], True, True)
    assert make(lambda client: client.bridge.health())["status"] == "healthy"


@pytest.mark.promise("C7")
def test_a_stream_that_does_not_begin_is_the_error_of_haproxy(make: Make, server: FakeServer) -> None:
    server.on(CHAT, HANG)
    for name, status in (("empty", 503), ("hasty", 504)):
        with pytest.raises(SekhaServerError) as caught:
            make(lambda client: read_stream(client.with_options(headers={"x-case": name}), print))  # noqa: B023
        assert (caught.value.status_code, caught.value.sent, caught.value.text) == (status, True, "")


# Health


def test_the_page_of_haproxy_is_the_reason_of_bad_health(make: Make, server: FakeServer) -> None:
    health = make(lambda client: client.with_options(headers={"x-case": "empty"}).health_check())
    assert {one["status"] for one in health.values()} == {"unhealthy"}
    assert all("No server is available to handle this request." in one["error"] for one in health.values())
