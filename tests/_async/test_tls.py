"""TLS is a setting (S7), over real sockets, with certificates that nobody else knows."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaConfigError, SekhaConnectionError, SekhaWarning
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


async def works(client: AsyncSekhaClient) -> None:
    """Whether calls and streams get their answers."""
    assert (await client.controller.health())["status"] == "healthy"
    stream = await client.bridge.stream_complete(MESSAGES)
    assert await stream.get_final_text() == "Hi"


@pytest.mark.promise("S7")
async def test_a_custom_certificate_authority(make: MakeClient, safe: FakeServer, certificates: Certificates) -> None:
    context = ssl.create_default_context(cafile=certificates.ca)
    for verify in (certificates.ca, context):
        await works(make(controller_url=safe.url, bridge_url=safe.url, verify=verify))
    assert (safe.connections, safe.unmatched) == (4, [])


@pytest.mark.promise("S7")
async def test_a_client_certificate(make: MakeClient, careful: FakeServer, certificates: Certificates) -> None:
    for cert in (certificates.client, certificates.both):
        client = make(controller_url=careful.url, bridge_url=careful.url, verify=certificates.ca, cert=cert)
        await works(client)
    without = make(controller_url=careful.url, verify=certificates.ca, max_retries=0)
    with pytest.raises(SekhaConnectionError) as caught:
        await without.controller.query("x")
    assert careful.url.partition("//")[2] in str(caught.value)
    assert "certificate required" in str(caught.value).lower().replace("_", " ")


@pytest.mark.promise("S7")
async def test_verify_false_warns_once_and_works(make: MakeClient, other: FakeServer) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client = make(controller_url=other.url, bridge_url=other.url, verify=False)
        await works(client)
        await works(client.with_options(max_retries=0))
        make(verify=False)  # there is nothing to check
    (warning,) = caught
    assert warning.category is SekhaWarning
    host = other.url.partition("//")[2]
    assert str(warning.message) == f"verify=False: the identity of {host} is not checked"
    assert Path(warning.filename).name == "conftest.py", "where the client is made"


@pytest.mark.promise("S7")
async def test_the_warning_names_every_host(make: MakeClient) -> None:
    with pytest.warns(SekhaWarning, match="of a.test and b.test:81 is not checked") as caught:
        make(controller_url="https://a.test", bridge_url="https://b.test:81", verify=False)
    assert len(caught) == 1


@pytest.mark.promise("C7")
@pytest.mark.parametrize("size", [1000, 16384, 32768])  # TLS has records of 16 KiB
async def test_what_a_server_says_beyond_its_answer_is_no_answer(
    size: int, make: MakeClient, safe: FakeServer, certificates: Certificates
) -> None:
    client = make(controller_url=safe.url, verify=certificates.ca)
    for steps in [(healthy(size) + lie(),), (healthy(size), lie()), (healthy(size), 0.0005, lie())] * 10:
        said = threading.Event()
        safe.on(HEALTH, raw(*steps, said.set))
        safe.on(QUERY, answer(facts.hits()))
        await client.controller.health()
        eventually(said.is_set)
        assert (await client.controller.query("x"))["total"] == 0


async def test_connections_are_used_again(make: MakeClient, safe: FakeServer, certificates: Certificates) -> None:
    client = make(controller_url=safe.url, verify=certificates.ca)
    for _ in range(5):
        await client.controller.health()
    assert safe.connections == 1


@pytest.mark.promise("S7")
@pytest.mark.parametrize("method", ["query", "create_conversation"])
async def test_a_failure_names_host_and_reason(
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
            await getattr(client.controller, method)(**arguments)
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
async def test_a_server_without_tls_is_named(make: MakeClient, plain: str) -> None:
    with pytest.raises(SekhaConnectionError) as caught:
        await make(controller_url=f"https://{plain}", max_retries=0).controller.query("x")
    assert str(caught.value).startswith(f"{plain}: cannot connect: [SSL")
    assert caught.value.sent is False


@pytest.mark.promise("S7", "W5")
async def test_files_that_cannot_be_used_are_refused_at_construction_by_name(
    make: MakeClient, certificates: Certificates, tmp_path: Path
) -> None:
    nothing, nowhere = tmp_path / "nothing.pem", str(tmp_path / "nowhere")
    nothing.write_text("nothing")
    certificate, key = certificates.client
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"verify": nowhere}, f"verify={nowhere}: no such file"),
        ({"verify": "a\0b"}, "verify=a\0b: "),
        ({"verify": nothing}, f"verify={nothing}: it contains no valid PEM certificate"),
        ({"cert": certificates.ca}, f"cert={certificates.ca}: no valid PEM certificate and key"),
        ({"cert": (certificate, nothing)}, f"cert={certificate}, {nothing}: no valid PEM certificate and key"),
        ({"cert": (certificate, nowhere)}, f"cert={nowhere}: no such file"),
        ({"cert": (nowhere, key)}, f"cert={nowhere}: no such file"),
        ({"cert": (certificate, tmp_path)}, f"cert={tmp_path}: "),
    ]
    for options, words in wrong:
        with pytest.raises(SekhaConfigError) as caught:
            make(controller_url="https://a.test", **options)
        assert str(caught.value).startswith(words)
        make(controller_url="http://a.test", **options)  # which reads no certificates


@pytest.mark.promise("S7", "W5")
async def test_files_named_by_the_environment(
    make: MakeClient, safe: FakeServer, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = tmp_path / "folder"
    hashed.mkdir()
    (hashed / f"{subject_hash(certificates.ca)}.0").write_text((certificates.folder / "ca.pem").read_text())
    for variable, good in (("SSL_CERT_FILE", certificates.ca), ("SSL_CERT_DIR", str(hashed))):
        nowhere, kind = str(tmp_path / "nowhere"), "file" if variable == "SSL_CERT_FILE" else "folder"
        monkeypatch.setenv(variable, nowhere)
        with pytest.raises(SekhaConfigError) as caught:
            make(controller_url=safe.url, bridge_url=safe.url)
        assert str(caught.value) == f"{variable}={nowhere}: no such {kind}"
        for others in ({"trust_env": False}, {"verify": certificates.ca}, {"controller_url": "http://a.test"}):
            make(**{"controller_url": safe.url, **others})
        monkeypatch.setenv(variable, good)
        await works(make(controller_url=safe.url, bridge_url=safe.url))
        monkeypatch.delenv(variable)


def subject_hash(certificate: str) -> str:
    """The name under which OpenSSL looks for an authority in a folder."""
    command = ["openssl", "x509", "-subject_hash", "-noout", "-in", certificate]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.promise("S7")
async def test_paths_are_paths(make: MakeClient, careful: FakeServer, certificates: Certificates) -> None:
    certificate, key = certificates.client
    pairs: list[Any] = [Path(certificates.both), (Path(certificate), key), [certificate, Path(key)]]
    for cert in pairs:
        await works(make(controller_url=careful.url, bridge_url=careful.url, verify=Path(certificates.ca), cert=cert))


@pytest.mark.promise("S7")
async def test_an_encrypted_key_asks_nobody(
    make: MakeClient, careful: FakeServer, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = certificates.client[0], certificates.encrypted_key("open sesame")
    settings: dict[str, Any] = {"controller_url": careful.url, "bridge_url": careful.url, "verify": certificates.ca}
    wrong: list[tuple[Any, str]] = [
        ((certificate, key), "the key is encrypted; pass its password: cert=(certificate, key, password)"),
        ((certificate, key, "open barley"), "the password does not decrypt the key"),
        ((certificate, key, ""), "the password does not decrypt the key"),
        ((certificate, key, "x" * 2000), "password cannot be longer than 1024 bytes"),
    ]
    for cert, words in wrong:
        with pytest.raises(SekhaConfigError) as caught:
            make(**settings, cert=cert)
        assert str(caught.value) == f"cert={key}: {words}"
    await works(make(**settings, cert=[certificate, key, "open sesame"]))
    await works(make(**settings, cert=(*certificates.client, "not needed")))


async def test_a_key_of_another_certificate_is_named(make: MakeClient, tmp_path: Path) -> None:
    first, second = (tmp_path / "first"), (tmp_path / "second")
    first.mkdir()
    second.mkdir()
    key = Certificates(second).client[1]
    with pytest.raises(SekhaConfigError) as caught:
        make(controller_url="https://a.test", cert=(Certificates(first).client[0], key))
    assert str(caught.value) == f"cert={key}: the key does not belong to the certificate"


# Files that change while the process runs


@pytest.fixture
def renewed(tmp_path: Path) -> Certificates:
    """Certificates that a test may renew."""
    return Certificates(tmp_path)


@pytest.mark.promise("S7", "W5")
@pytest.mark.parametrize("named_by", ["verify", "SSL_CERT_FILE"])
async def test_a_new_client_reads_a_file_that_was_replaced(
    named_by: str, make: MakeClient, renewed: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"verify": renewed.ca} if named_by == "verify" else {}
    if named_by != "verify":
        monkeypatch.setenv(named_by, renewed.ca)
    for _ in range(3):
        renewed.renew()
        server = serving(renewed.server(asks_for_client=True))
        try:
            client = make(controller_url=server.url, bridge_url=server.url, cert=renewed.client, **settings)
            await works(client)
        finally:
            server.close()


@pytest.mark.promise("S7", "W5")
async def test_a_running_client_keeps_what_it_has_read(make: MakeClient, renewed: Certificates) -> None:
    server = serving(renewed.server(asks_for_client=True))
    try:
        client = make(controller_url=server.url, bridge_url=server.url, verify=renewed.ca, cert=renewed.both)
        renewed.renew()
        (renewed.folder / "both.pem").unlink()
        await works(client)
    finally:
        server.close()


@pytest.mark.promise("W5")
async def test_equal_clients_share_a_context_until_a_file_changes(make: MakeClient, renewed: Certificates) -> None:
    folder = str(renewed.folder)

    def context(**options: Any) -> object:
        client = make(controller_url="https://a.test", bridge_url="https://b.test", **options)
        used = {id(one._state._settings.verify) for one in (client._controller_transport, client._bridge_transport)}
        assert len(used) == 1
        return client._controller_transport._state._settings.verify

    for options in ({}, {"verify": renewed.ca}, {"verify": folder}, {"cert": renewed.client}, {"cert": renewed.both}):
        before = context(**options)
        assert context(**options) is before
        renewed.renew()
        assert (context(**options) is before) == (options == {})
    kept = context(verify=folder)
    (renewed.folder / "another.pem").write_text("")
    assert context(verify=folder) is not kept, "the folder has another entry"


# A context of the user


def chosen_protocol(context: ssl.SSLContext, server: FakeServer) -> str | None:
    """What a server that speaks HTTP/2 as well chooses of what a context offers."""
    port = int(server.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            return connection.selected_alpn_protocol()


@pytest.mark.promise("S7")
@pytest.mark.parametrize("proxy", [False, True])
async def test_a_context_of_the_user_is_left_as_it_is(
    proxy: bool, make: MakeClient, safe: FakeServer, certificates: Certificates
) -> None:
    context = ssl.create_default_context(cafile=certificates.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    options = context.options
    if proxy:
        tunnel = Tunnel(safe)
        await works(make(controller_url=safe.url, bridge_url=safe.url, verify=context, proxy=tunnel.url))
        tunnel.close()
    else:
        await works(make(controller_url=safe.url, bridge_url=safe.url, verify=context))
    assert context.options == options
    both = FakeServer(tls=certificates.server(protocols=["h2", "http/1.1"]))
    try:
        assert chosen_protocol(context, both) == "h2"
    finally:
        both.close()


@pytest.mark.promise("S7")
@pytest.mark.parametrize("proxy", [False, True])
async def test_a_server_that_chooses_another_protocol_is_an_error_that_says_so(
    proxy: bool, make: MakeClient, certificates: Certificates, clock: FakeClock
) -> None:
    context = ssl.create_default_context(cafile=certificates.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    both = FakeServer(tls=certificates.server(protocols=["h2", "http/1.1"]))
    tunnel = Tunnel(both) if proxy else None
    settings = {"controller_url": both.url, **({"proxy": tunnel.url} if tunnel is not None else {})}
    try:
        with pytest.raises(SekhaConnectionError) as caught:
            await make(**settings, verify=context).controller.create_conversation(messages=MESSAGES)
        assert "the server chose the protocol h2, which the ssl.SSLContext passed as verify offers" in str(caught.value)
        assert (caught.value.attempts, caught.value.may_have_been_applied) == (1, False)
        assert caught.value.sent is False
        assert (both.seen, clock.waits) == ([], [])
        for ours in ({"verify": certificates.ca}, {"verify": ssl.create_default_context(cafile=certificates.ca)}):
            both.on(QUERY, answer(facts.hits()))
            await make(**settings, **ours).controller.query("x")
    finally:
        both.close()
        if tunnel is not None:
            tunnel.close()


class Tunnel:
    """A proxy that connects everybody with one server."""

    def __init__(self, server: FakeServer) -> None:
        self._target = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.recv(65536)
                server = socket.create_connection(self._target)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        source.close()

    def close(self) -> None:
        self._listener.close()


@pytest.mark.promise("C7")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("size", [10, 16_384, 16_385, 70_000, 5_000_000])
async def test_a_request_of_any_length_arrives(
    size: int, version: ssl.TLSVersion, make: MakeClient, certificates: Certificates
) -> None:
    context = certificates.server()
    context.maximum_version = version
    server = serving(context)
    server.always("POST /api/v1/conversations", answer(facts.CREATED, 201))
    client = make(controller_url=server.url, verify=str(certificates.ca), timeout=5.0, max_retries=0)
    messages = [{"role": "user", "content": "x" * size}]
    for _ in range(3):  # on a new connection, and on one that was used
        await client.controller.create_conversation(messages=messages, label="x")
    assert [request.body.count(b"x") >= size for request in server.seen] == [True] * 3
    assert server.connections == 1
    server.close()


@pytest.mark.promise("C4")
async def test_a_call_that_is_under_way_when_its_client_is_closed_blames_nobody_else(
    make: MakeClient, safe: FakeServer, certificates: Certificates
) -> None:
    safe.on(CHAT, chunked(delta("Hi"), end="hang"))
    client = make(controller_url=safe.url, bridge_url=safe.url, verify=str(certificates.ca), max_retries=0)
    stream = await client.bridge.stream_complete(MESSAGES)
    async for _ in stream:
        break
    await client.aclose()
    with pytest.raises(SekhaConnectionError, match="the connection was closed by the client"):
        await stream.get_final_text()


async def test_a_connection_that_ends_without_a_close_is_told_in_words(
    make: MakeClient, safe: FakeServer, certificates: Certificates
) -> None:
    safe.on("GET /health", raw(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", end="close"))
    client = make(controller_url=safe.url, verify=str(certificates.ca), max_retries=0)
    with pytest.raises(SekhaConnectionError, match="the connection ended without a TLS close"):
        await client.controller.health()
