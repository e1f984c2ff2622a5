# Generated from tests/_async/test_tls.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""TLS is a setting (S7), over real sockets, with certificates that nobody else knows."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sekha import SekhaClient, SekhaConfigError, SekhaConnectionError, SekhaWarning
from support import facts
from support.certificates import Certificates
from support.clock import FakeClock
from support.facts import MESSAGES
from support.replies import DONE, answer, chunked, delta, healthy, lie, raw
from support.server import FakeServer, eventually

from .conftest import MakeClient

HEALTH, CHAT, QUERY = "GET /health", "POST /v1/chat/completions", "POST /api/v1/query"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def serving(tls: ssl.SSLContext) -> FakeServer:
    """A server that speaks TLS."""
    server = FakeServer(tls=tls)
    server.always(HEALTH, answer(facts.HEALTHY))
    server.always(CHAT, chunked(delta("Hi"), delta("", "stop"), DONE))
    return server


@pytest.fixture
def safe(certificates: Certificates) -> Iterator[FakeServer]:
    """Shows a certificate for its address."""
    server = serving(certificates.server())
    yield server
    server.close()


@pytest.fixture
def other(certificates: Certificates) -> Iterator[FakeServer]:
    """Shows a certificate for another address."""
    server = serving(certificates.server("sekha.test"))
    yield server
    server.close()


@pytest.fixture
def careful(certificates: Certificates) -> Iterator[FakeServer]:
    """Asks for the certificate of its client."""
    server = serving(certificates.server(asks_for_client=True))
    yield server
    server.close()


def works(client: SekhaClient) -> None:
    """Whether calls and streams get their answers."""
    assert (client.controller.health())["status"] == "healthy"
    stream = client.bridge.stream_complete(MESSAGES)
    assert stream.get_final_text() == "Hi"


@pytest.mark.promise("S7")
def test_a_custom_certificate_authority(make: MakeClient, safe: FakeServer, certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=certificates.ca)
    for verify in (certificates.ca, context):
        works(make(controller_url=safe.url, bridge_url=safe.url, verify=verify))
    assert (safe.connections, safe.unmatched) == (4, [])


@pytest.mark.promise("S7")
def test_a_client_certificate(make: MakeClient, careful: FakeServer, certificates: Certificates) -> None:
    for cert in (certificates.client, certificates.both):
        client = make(controller_url=careful.url, bridge_url=careful.url, verify=certificates.ca, cert=cert)
        works(client)
    without = make(controller_url=careful.url, verify=certificates.ca, max_retries=0)
    with pytest.raises(SekhaConnectionError) as caught:
        without.controller.query("x")
    assert careful.url.partition("//")[2] in str(caught.value)
    assert "certificate required" in str(caught.value).lower().replace("_", " ")


@pytest.mark.promise("S7")
def test_verify_false_warns_once_and_works(make: MakeClient, other: FakeServer) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = make(controller_url=other.url, bridge_url=other.url, verify=False)
        works(client)
        works(client.with_options(max_retries=0))
        make(verify=False)  # there is nothing to check
    (warning,) = caught
    assert warning.category is SekhaWarning
    host = other.url.partition("//")[2]
    assert str(warning.message) == f"verify=False: the identity of {host} is not checked"
    assert Path(warning.filename).name == "conftest.py", "where the client is made"


@pytest.mark.promise("S7")
def test_the_warning_names_every_host(make: MakeClient) -> None:
    with pytest.warns(SekhaWarning, match="of a.test and b.test:81 is not checked") as caught:
        make(controller_url="https://a.test", bridge_url="https://b.test:81", verify=False)
    assert len(caught) == 1


@pytest.mark.promise("C7")
@pytest.mark.parametrize("size", [1000, 16384, 32768])  # TLS has records of 16 KiB
def test_what_a_server_says_beyond_its_answer_is_no_answer(
    size: int, make: MakeClient, safe: FakeServer, certificates: Certificates
) -> None:
    client = make(controller_url=safe.url, verify=certificates.ca)
    for steps in [(healthy(size) + lie(),), (healthy(size), lie()), (healthy(size), 0.0005, lie())] * 10:
        said = threading.Event()
        safe.on(HEALTH, raw(*steps, said.set))
        safe.on(QUERY, answer(facts.hits()))
        client.controller.health()
        eventually(said.is_set)
        assert (client.controller.query("x"))["total"] == 0


def test_connections_are_used_again(make: MakeClient, safe: FakeServer, certificates: Certificates) -> None:
    client = make(controller_url=safe.url, verify=certificates.ca)
    for _ in range(5):
        client.controller.health()
    assert safe.connections == 1


@pytest.mark.promise("S7")
@pytest.mark.parametrize("method", ["query", "create_conversation"])
def test_a_failure_names_host_and_reason(
    method: str, make: MakeClient, safe: FakeServer, other: FakeServer, certificates: Certificates, clock: FakeClock
) -> None:
    arguments: dict[str, Any] = {"query": "x"} if method == "query" else {"messages": MESSAGES}
    cases: list[tuple[FakeServer, dict[str, Any], str]] = [
        (safe, {}, "certificate verify failed: unable to get local issuer certificate"),
        (other, {"verify": certificates.ca}, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
    ]
    for server, options, reason in cases:
        client = make(controller_url=server.url, **options)
        with pytest.raises(SekhaConnectionError) as caught:
            getattr(client.controller, method)(**arguments)
        error = caught.value
        assert server.url.partition("//")[2] in str(error)
        assert reason in str(error)
        assert (error.sent, error.may_have_been_applied) == (False, False)
        assert error.attempts == 1, "the next handshake would show the same certificate"
        assert isinstance(error.__cause__, Exception)
        assert server.seen == []
    assert clock.waits == []


@pytest.fixture
def plain() -> Iterator[str]:
    """The address of a server that has no TLS, and says so in plain HTTP."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    thread.join(10)
    listener.close()


@pytest.mark.promise("S7")
def test_a_server_without_tls_is_named(make: MakeClient, plain: str) -> None:
    with pytest.raises(SekhaConnectionError) as caught:
        make(controller_url=f"https://{plain}", max_retries=0).controller.query("x")
    assert str(caught.value).startswith(f"{plain}: cannot connect: [SSL")
    assert caught.value.sent is False


@pytest.mark.promise("S7")
def test_files_that_cannot_be_used_are_refused_at_construction(
    make: MakeClient, certificates: Certificates, tmp_path: Path
) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    wrong: list[dict[str, Any]] = [
        {"verify": str(tmp_path / "nowhere")},
        {"verify": str(nothing)},
        {"verify": certificates.ca, "cert": certificates.ca},
        {"verify": certificates.ca, "cert": (certificates.client[0], str(nothing))},
    ]
    for options in wrong:
        with pytest.raises(SekhaConfigError, match="verify or cert"):
            make(controller_url="https://a.test", **options)
