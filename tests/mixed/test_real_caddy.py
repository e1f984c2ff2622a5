"""Calls to a server behind caddy, as the system's package has it; without it, the tests are skipped."""

from __future__ import annotations

import os
import socket
import ssl
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
    SekhaServerError,
    SekhaStreamError,
    SekhaTimeoutError,
)
from support import facts
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
from support.replies import DONE, DROP, HANG, answer, chunked, cut, delta, raw, text
from support.server import FakeServer, Reply, eventually

HEALTH, CREATE, QUERY, METRICS = "GET /health", "POST /api/v1/conversations", "POST /api/v1/query", "GET /metrics"
CHAT = "POST /v1/chat/completions"
MADE = answer(facts.CREATED, 201)

CADDY = """
{{
    admin off
    auto_https disable_redirects
    skip_install_trust
    servers {{
        timeouts {{
            idle 300ms
        }}
    }}
}}
http://127.0.0.1:{plain}, https://127.0.0.1:{tls} {{
    tls internal
    encode gzip
    request_body {{
        max_size 1MB
    }}
    @401 header X-Case 401
    respond @401 401
    @closed header X-Case closed
    respond @closed "We are closed" 503
    @down header X-Case down
    reverse_proxy @down 127.0.0.1:{nobody}
    @hasty header X-Case hasty
    reverse_proxy @hasty 127.0.0.1:{port} {{
        transport http {{
            response_header_timeout 300ms
        }}
    }}
    @buffered header X-Case buffered
    reverse_proxy @buffered 127.0.0.1:{port} {{
        buffer_responses
    }}
    @flushed header X-Case flushed
    reverse_proxy @flushed 127.0.0.1:{port} {{
        flush_interval -1
    }}
    reverse_proxy 127.0.0.1:{port}
}}
"""


@dataclass(frozen=True)
class Caddy:
    """A caddy in front of a fake server.

    Attributes:
        urls: Its address without and with TLS.
        ca: The CA that it has made for its certificate.
    """

    urls: Dict[str, str]
    ca: str


def speaks_tls(port: int) -> bool:
    """Whether caddy has a certificate, which it makes while it listens already."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(("127.0.0.1", port)) as sock, context.wrap_socket(sock):
            return True
    except OSError:
        return False


@pytest.fixture
def caddy(server: FakeServer, tmp_path: Path) -> Iterator[Caddy]:
    path = program("caddy")
    plain, tls, nobody = free_ports(3)
    config = tmp_path / "Caddyfile"
    config.write_text(CADDY.format(plain=plain, tls=tls, nobody=nobody, port=server.url.rpartition(":")[2]))
    folders = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(tmp_path))
    with running([path, "run", "--config", str(config)], [plain, tls], env={**os.environ, **folders}):
        eventually(lambda: speaks_tls(tls))
        urls = {"http": f"http://127.0.0.1:{plain}", "https": f"https://127.0.0.1:{tls}"}
        yield Caddy(urls, str(tmp_path / "caddy" / "pki" / "authorities" / "local" / "root.crt"))


@pytest.fixture(params=["http", "https"])
def make(request: Any, kind: str, caddy: Caddy) -> Iterator[Make]:
    """Makes calls through caddy, without and with TLS."""
    with calling_one_server(kind, caddy.urls[request.param], verify=caddy.ca) as make:
        yield make


@pytest.mark.promise("C7", "R1", "W2", "W3")
@pytest.mark.parametrize(
    ("name", "size", "cls", "status", "unknown", "words"),
    [
        ("down", 10, SekhaServerError, 502, True, "Bad Gateway (the response was empty)"),
        ("closed", 10, SekhaServerError, 503, True, "We are closed"),
        ("closed", 8_000_000, SekhaServerError, 503, True, "We are closed"),
        ("401", 10, SekhaAuthError, 401, False, "Unauthorized (the response was empty)"),
        ("401", 1_100_000, SekhaAuthError, 401, False, "Unauthorized (the response was empty)"),
        ("401", 8_000_000, SekhaAuthError, 401, False, "Unauthorized (the response was empty)"),
        ("x" * 2_000_000, 10, SekhaAPIError, 431, False, "431 Request Header Fields Too Large"),
    ],
    ids=["server down", "closed", "closed, long", "401", "401, long", "401, longer", "431"],
)
def test_an_answer_of_caddy_itself_is_the_right_error(
    name: str,
    size: int,
    cls: Type[SekhaAPIError],
    status: int,
    unknown: bool,
    words: str,
    make: Make,
    server: FakeServer,
) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    with pytest.raises(SekhaAPIError) as caught:
        make(write(name, size))
    assert outcome(caught.value) == (cls, status, True, unknown)
    assert caught.value.message == words
    assert server.seen == []
    assert make(lambda client: client.controller.health())["status"] == "healthy"


@pytest.mark.promise("C7", "R1")
@pytest.mark.parametrize("size", [1_100_000, 8_000_000])
def test_a_request_that_is_too_long_for_caddy(size: int, make: Make, server: FakeServer) -> None:
    """Caddy notices it when it passes it on, and answers 502 (later versions 413); the server may have a part of it."""
    server.always(CREATE, MADE)
    with pytest.raises(SekhaAPIError) as caught:
        make(write("good", size))
    assert caught.value.status_code in (502, 413)
    assert (caught.value.sent, caught.value.may_have_been_applied) == (True, caught.value.status_code == 502)
    make(write("good"))


@pytest.mark.promise("C7", "R1")
@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (HANG, 504),
        (DROP, 502),
        (raw(b"SSH-2.0-x\r\n", end="close"), 502),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-le", end="close"), 502),
    ],
    ids=["slow", "closes", "no HTTP", "half a head"],
)
def test_a_write_that_reached_the_server_may_have_been_applied(
    reply: Reply, status: int, make: Make, server: FakeServer
) -> None:
    server.on(CREATE, reply, MADE)
    with pytest.raises(SekhaServerError, match="the response was empty") as caught:
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


@pytest.mark.promise("R2")
def test_reads_are_repeated_after_an_empty_502(kind: str, caddy: Caddy, server: FakeServer) -> None:
    server.on(QUERY, DROP, answer(facts.hits()))
    with calling(kind, controller_url=caddy.urls["http"], api_key="k") as make:
        assert make(lambda client: client.controller.query("x"))["results"] == []


def test_an_empty_502_is_the_reason_of_bad_health(make: Make, server: FakeServer) -> None:
    health = make(lambda client: client.with_options(headers={"x-case": "down"}).health_check())
    assert {one["status"] for one in health.values()} == {"unhealthy"}
    assert all("Bad Gateway (the response was empty)" in one["error"] for one in health.values())


@pytest.mark.promise("R11")
def test_a_connection_that_caddy_has_closed_is_not_used_again(make: Make, server: FakeServer) -> None:
    server.on(CREATE, *[MADE] * 4)
    for pause in (0.0, 0.0, 0.5, 0.5):
        time.sleep(pause)
        make(write("good"))
    assert len(server.seen) == 4


# Its certificate


@pytest.mark.promise("S7")
def test_the_ca_of_caddy_has_to_be_named(
    kind: str, caddy: Caddy, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    settings = {"controller_url": caddy.urls["https"], "api_key": "k"}
    with calling(kind, **settings) as make, pytest.raises(SekhaConnectionError, match="VERIFY_FAILED") as caught:
        make(write("good"))
    assert outcome(caught.value) == (SekhaConnectionError, None, False, False)
    assert caught.value.attempts == 1
    monkeypatch.setenv("SSL_CERT_FILE", caddy.ca)
    with calling(kind, **settings) as make:
        assert make(lambda client: client.controller.health())["status"] == "healthy"


# Compression, and buffers


def test_what_caddy_compresses_is_opened(make: Make, server: FakeServer) -> None:
    """It does so only if it is asked to: by itself, the client asks for no compression."""
    lines = "sekha_up 1\n" * 5000
    server.on(METRICS, text(lines), text(lines))
    assert make(lambda client: client.controller.metrics()) == lines
    assert make(lambda client: client.controller.with_options(headers={"accept-encoding": "gzip"}).metrics()) == lines
    assert [seen.headers["accept-encoding"] for seen in server.seen] == ["identity", "gzip"]


@pytest.mark.parametrize("name", ["good", "flushed"])
@pytest.mark.parametrize("content_type", ["text/event-stream", "text/plain"])
def test_a_stream_arrives_as_it_is_sent(name: str, content_type: str, make: Make, server: FakeServer) -> None:
    go_on, texts = threading.Event(), []  # type: threading.Event, List[str]

    def note(piece: str) -> None:
        texts.append(piece)
        go_on.set()

    server.on(CHAT, chunked(delta("Once " * 1000), go_on, delta("upon", "stop"), DONE, content_type=content_type))
    server.on(HEALTH, answer(facts.BRIDGE_HEALTHY))
    make(lambda client: read_stream(client.with_options(headers={"x-case": name}), note))
    assert "".join(texts) == "Once " * 1000 + "upon"
    assert make(lambda client: client.bridge.health())["status"] == "healthy"


@pytest.mark.parametrize("headers", [{"x-case": "buffered"}, {"accept-encoding": "gzip"}], ids=["buffered", "gzip"])
def test_a_stream_that_caddy_holds_back_is_whole_or_stalls(headers: Any, make: Make, server: FakeServer) -> None:
    """Compression holds it back as well: caddy sends what it has compressed in large pieces."""
    server.on(CHAT, chunked(delta("Once "), 0.1, delta("upon", "stop"), DONE), chunked(delta("Once "), end="hang"))
    server.on(HEALTH, answer(facts.BRIDGE_HEALTHY))
    texts: List[str] = []
    make(lambda client: read_stream(client.with_options(headers=headers), texts.append))
    assert "".join(texts) == "Once upon"
    with pytest.raises(SekhaTimeoutError) as caught:
        make(lambda client: read_stream(client.with_options(headers=headers, timeout=0.3), texts.append))
    assert (caught.value.sent, caught.value.may_have_been_applied) == (True, True)
    assert make(lambda client: client.bridge.health())["status"] == "healthy"


@pytest.mark.promise("C1")
def test_a_stream_that_is_cut_is_an_error(make: Make, server: FakeServer) -> None:
    server.on(CHAT, chunked(delta("Once "), end="close"))
    server.on(HEALTH, answer(facts.BRIDGE_HEALTHY))
    texts: List[str] = []
    with pytest.raises(SekhaStreamError) as caught:
        make(lambda client: read_stream(client, texts.append))
    error = caught.value
    assert (error.text, texts, error.sent, error.may_have_been_applied) == ("Once ", ["Once "], True, True)
    assert make(lambda client: client.bridge.health())["status"] == "healthy"
