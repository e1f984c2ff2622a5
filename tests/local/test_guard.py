"""Whose requests the local Sekha answers: the headers Host and Origin on both ports, in both profiles."""

from __future__ import annotations

import http.client
from typing import Dict, Iterator, Tuple
from urllib.parse import urlsplit

import pytest

from sekha._http.host_check import our_names
from sekha.local import LocalSekha, LocalSekhaError
from sekha.local.guard import find_refusal
from sekha.local.profiles import PROFILES


def test_the_refusal_of_a_name_names_the_option() -> None:
    refusal = find_refusal([(b"host", b"Evil.Example:80")], our_names("127.0.0.1", ()))
    assert refusal is not None
    text = "This Sekha is not evil.example. If it shall be: --allow-host evil.example (allowed_hosts of LocalSekha)."
    assert bytes(refusal.body).decode() == text


@pytest.mark.parametrize(
    "name", ["", " ", "http://sekha", "sekha:8080", "*", "*.example", "a b", "a..b", "user@x", "[::1]:80", "x/"]
)
def test_a_name_that_is_none_is_told(name: str) -> None:
    with pytest.raises(LocalSekhaError, match="allowed_hosts: expected a name without scheme and port"):
        LocalSekha(allowed_hosts=["sekha", name])


def test_two_lengths_are_refused() -> None:
    headers = [(b"host", b"localhost"), (b"content-length", b"0"), (b"transfer-encoding", b"chunked")]
    refusal = find_refusal(headers, our_names("127.0.0.1", ()))
    assert refusal is not None
    assert refusal.status_code == 400


# On the wire


@pytest.fixture(scope="module", params=[*PROFILES])
def server(request: pytest.FixtureRequest) -> Iterator[LocalSekha]:
    with LocalSekha(profile=request.param, allowed_hosts=["sekha"]) as sekha:
        yield sekha


CONTROLLER = ["GET /health", "GET /metrics", "GET /api/v1/conversations", "POST /mcp/tools/memory_stats", "GET /none"]
BRIDGE = ["GET /health", "GET /", "POST /v1/chat/completions", "POST /embed", "OPTIONS /embed"]


def ask(url: str, line: str, headers: Dict[str, str]) -> Tuple[int, Dict[str, str], str]:
    """The answer to a request with just these headers."""
    method, path = line.split(" ")
    address = urlsplit(url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("port", ["controller", "bridge"])
def test_both_ports_refuse_foreign_names_and_pages_whatever_the_route(server: LocalSekha, port: str) -> None:
    url = server.controller_url if port == "controller" else server.bridge_url
    for line in CONTROLLER if port == "controller" else BRIDGE:
        for host in ("evil.example", "localhost.evil.example:8080"):
            code, _, text = ask(url, line, {"Host": host, "Authorization": "Bearer x"})
            assert (code, "--allow-host" in text) == (421, True), line
        for origin in ("http://evil.example", "null"):
            code, headers, _ = ask(url, line, {"Host": "localhost", "Origin": origin, "Authorization": "Bearer x"})
            assert code == 403, line
            assert "access-control-allow-origin" not in headers
        for host in ("localhost", "sekha", "[::1]"):
            for more in ({}, {"Origin": "http://localhost:3000"}, {"Origin": "http://sekha"}):
                code, _, _ = ask(url, line, {"Host": host, "Authorization": "Bearer x", **more})
                assert code not in (421, 403), line


def test_a_foreign_page_may_not_even_ask_whether_it_may_ask(server: LocalSekha) -> None:
    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for url in (server.controller_url, server.bridge_url):
        code, headers, _ = ask(url, "OPTIONS /health", {"Host": "localhost", "Origin": "http://evil.example", **asking})
        assert (code, [name for name in headers if name.startswith("access-control")]) == (403, [])


def test_a_request_without_a_host_is_refused(server: LocalSekha) -> None:
    for url in (server.controller_url, server.bridge_url):
        assert ask(url, "GET /health", {})[0] == 400  # HTTP itself demands one


def test_two_lengths_end_the_connection(server: LocalSekha) -> None:
    lengths = {"Host": "localhost", "Content-Length": "5", "Transfer-Encoding": "chunked"}
    for url in (server.controller_url, server.bridge_url):
        code, headers, text = ask(url, "POST /embed", lengths)
        assert (code, headers["connection"]) == (400, "close")
        assert text == "A request must have either Content-Length or Transfer-Encoding, not both."
