"""Whose requests the local Sekha answers: the headers Host and Origin on both ports, in both profiles."""

from __future__ import annotations

import http.client
from typing import Dict, Iterator, List, Optional, Tuple
from urllib.parse import urlsplit

import pytest

from sekha.local import LocalSekha, LocalSekhaError
from sekha.local.guard import find_refusal, is_loopback, our_names
from sekha.local.profiles import PROFILES

OURS = [
    "localhost",
    "localhost:8080",
    "LOCALHOST:8080",
    "LocalHost.",
    "localhost.:8080",
    "localhost:",
    "sekha.localhost",
    "127.0.0.1",
    "127.0.0.1:8080",
    "127.0.0.1.:8080",
    "127.1.2.3",
    "192.168.1.5:8080",
    "8.8.8.8",
    "[::1]",
    "[::1]:8080",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]:8080",
    "[FE80::1]",
]
FOREIGN = [
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example.",
    "notlocalhost",
    "localhost-evil.example",
    "2130706433",  # 127.0.0.1 in ways that browsers write as 127.0.0.1
    "0x7f000001",
    "0x7f.1",
    "127.1",
    "0177.0.0.1",
    "127.0.0.01",
    "xn--lcalhost-54a",
]
NO_HOST = [
    "",
    " ",
    ":8080",
    ".",
    "localhost..",
    ".localhost",
    "a..localhost",
    "user@localhost",
    "localhost@evil.example",
    "user:secret@127.0.0.1",
    "localhost/",
    "localhost/evil.example",
    "localhost#",
    "localhost?",
    "localhost,evil.example",
    "localhost evil.example",
    "localhost:8080:8080",
    "localhost:evil",
    "localhost:123456",
    "http://localhost",
    "::1",
    "[::1",
    "[::1]evil.example",
    "[localhost]",
    "[127.0.0.1]",
    "[]",
    "[::1%25eth0]",
    "loc\u0430lhost",
    "localhost\u0661",
    "a." * 200 + "localhost",
]


def status(headers: List[Tuple[str, str]], names: Tuple[str, ...] = (), host: str = "127.0.0.1") -> Optional[int]:
    """The status of the refusal of a request with these headers."""
    raw = [(name.encode(), value.encode("utf-8")) for name, value in headers]
    refusal = find_refusal(raw, our_names(host, names))
    if refusal is None:
        return None
    assert bytes(refusal.body).count(b"\n") == 0
    return refusal.status_code


@pytest.mark.parametrize("host", OURS)
def test_a_host_that_is_ours_is_answered(host: str) -> None:
    assert status([("host", host)]) is None


@pytest.mark.parametrize("host", [*FOREIGN, *NO_HOST])
def test_any_other_host_is_refused(host: str) -> None:
    assert status([("host", host)]) == 421


def test_a_host_that_is_missing_or_doubled_is_refused() -> None:
    assert status([]) == 421
    assert status([("host", "localhost"), ("host", "localhost")]) == 421


def test_the_refusal_of_a_name_names_the_option() -> None:
    refusal = find_refusal([(b"host", b"Evil.Example:80")], our_names("127.0.0.1", ()))
    assert refusal is not None
    text = "This Sekha is not evil.example. If it shall be: --allow-host evil.example (allowed_hosts of LocalSekha)."
    assert bytes(refusal.body).decode() == text


@pytest.mark.parametrize(
    ("names", "host"),
    [
        (("sekha",), "sekha:8080"),
        (("sekha_local",), "SEKHA_LOCAL"),
        (("Sekha.Example.",), "sekha.example"),
        (("m\u00fcnchen.example",), "xn--mnchen-3ya.example"),
        (("other", "host.docker.internal"), "host.docker.internal:5001"),
    ],
)
def test_more_names_are_answered(names: Tuple[str, ...], host: str) -> None:
    assert status([("host", host)]) == 421
    assert status([("host", host)], names) is None
    assert status([("host", f"x.{host}")], names) == 421


@pytest.mark.parametrize(
    "name", ["", " ", "http://sekha", "sekha:8080", "*", "*.example", "a b", "a..b", "user@x", "[::1]:80", "x/"]
)
def test_a_name_that_is_none_is_told(name: str) -> None:
    with pytest.raises(LocalSekhaError, match="an allowed host is a name without scheme and port"):
        LocalSekha(allowed_hosts=["sekha", name])


def test_the_name_of_the_machine_counts_where_others_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "My-Laptop.lan")
    request = [("host", "my-laptop.lan:8080")]
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.2"):
        assert status(request, host=host) == 421
    for host in ("0.0.0.0", "::", "", "192.168.1.5", "sekha.lan"):
        assert status(request, host=host) is None
    assert status([("host", "sekha.lan")], host="sekha.lan") is None
    assert status([("host", "sekha.lan")], host="0.0.0.0") == 421


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST.", "a.localhost")),
        *((host, True) for host in ("[::1]", "::ffff:127.0.0.1")),
        *((host, False) for host in ("0.0.0.0", "::", "", "10.0.0.1", "sekha", "localhost.example", "127.1", "a b")),
    ],
)
def test_what_is_reached_from_this_machine_only(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "https://localhost:3000",
        "http://app.localhost:3000",
        "http://127.0.0.1:5173",
        "http://127.9.9.9",
        "http://[::1]:3000",
        "HTTP://LOCALHOST",
        "tauri://localhost",
        "http://192.168.1.5:3000",  # the page comes from the host that was asked
        "https://notes.example",
    ],
)
def test_pages_of_this_machine_and_of_allowed_hosts_are_answered(origin: str) -> None:
    assert status([("host", "192.168.1.5:8080"), ("origin", origin)], ("notes.example",)) is None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://evil.example:8080",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://192.168.1.6",
        "http://notes.example.evil",
        "http://2130706433",
        "http://user@localhost",
        "http://evil.example@localhost",
        "http://localhost@evil.example",
        "http://localhost/",
        "http://localhost, http://evil.example",
        "null",
        "NULL",
        "",
        "localhost",
        "//localhost",
        "file://",
        "chrome-extension://abcdefghijklmnop",
        "http://",
        "http://:80",
    ],
)
def test_any_other_page_is_refused(origin: str) -> None:
    assert status([("host", "192.168.1.5:8080"), ("origin", origin)], ("notes.example",)) == 403


def test_an_origin_that_is_doubled_is_refused() -> None:
    assert status([("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://localhost")]) == 403


def test_a_page_of_a_foreign_host_that_stands_for_this_machine_is_refused_by_its_host() -> None:
    assert status([("host", "evil.example"), ("origin", "http://evil.example")]) == 421


def test_two_lengths_are_refused() -> None:
    assert status([("host", "localhost"), ("content-length", "0"), ("transfer-encoding", "chunked")]) == 400


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
        assert text == "A request has either Content-Length or Transfer-Encoding."
