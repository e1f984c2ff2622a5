"""Which names of a host stand for this machine, and which requests are refused for their Host and Origin."""

from __future__ import annotations

import subprocess
import sys
from typing import List, Optional, Tuple

import pytest

from sekha._http.host_check import is_loopback, our_names, refuse_host

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
BAD_NAMES = ["", " ", "http://sekha", "sekha:8080", "*", "*.example", "a b", "a..b", "user@x", "[::1]:80", "x/"]


def status(headers: List[Tuple[str, str]], names: Tuple[str, ...] = (), host: str = "127.0.0.1") -> Optional[int]:
    """The status of the refusal of a request with these headers."""
    raw = [(name.encode(), value.encode("utf-8")) for name, value in headers]
    refusal = refuse_host(raw, our_names(host, names), "server")
    if refusal is None:
        return None
    assert "\n" not in refusal.text
    return refusal.status


@pytest.mark.parametrize("host", OURS)
def test_a_host_that_is_ours_is_answered(host: str) -> None:
    assert status([("host", host)]) is None


@pytest.mark.parametrize("host", [*FOREIGN, *NO_HOST])
def test_any_other_host_is_refused(host: str) -> None:
    assert status([("host", host)]) == 421


def test_a_host_that_is_missing_or_doubled_is_refused() -> None:
    assert status([]) == 421
    assert status([("host", "localhost"), ("host", "localhost")]) == 421


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


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ((b"host", b"Evil.Example:80"), "This server is not evil.example. If it shall be: --allow-host evil.example."),
        ((b"host", b"user@localhost"), "The header Host is no host."),
        ((b"cookie", b"x"), "The header Host is missing."),
    ],
)
def test_a_refusal_says_what_was_refused(header: Tuple[bytes, bytes], text: str) -> None:
    assert refuse_host([header], our_names("127.0.0.1", ()), "server") == (421, text)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_no_host_has(name: str) -> None:
    with pytest.raises(ValueError, match=r"^a name without scheme and port, such as memory\.example\.com, not "):
        our_names("127.0.0.1", ["sekha", name])


def test_no_server_is_imported_for_it() -> None:
    code = "import sys, sekha._http.host_check; print(*{'starlette', 'h11', 'anyio', 'mcp'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
