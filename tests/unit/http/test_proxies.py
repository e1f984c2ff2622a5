"""Which proxy applies to an address, and which addresses of proxies can be used."""

from __future__ import annotations

import os
import sys
import traceback
import urllib.request
from typing import Any, Dict, Optional
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._http import proxies
from sekha._http.models import HTTPSettings, origin
from sekha._http.proxies import Proxy, is_exempt, parse_proxy, proxy_for
from sekha.errors import SekhaConfigError

SETTINGS = HTTPSettings(True, None, None, True, 10, None)
ONE, TWO, THREE = "http://one.test:1", "http://two.test:2", "http://three.test:3"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "REQUEST_METHOD":
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "platform", "linux")


def applies(variables: Dict[str, str], monkeypatch: pytest.MonkeyPatch, url: str = "http://sekha.test:8080") -> str:
    """The source and the address of the proxy that applies; empty if there is none."""
    # A dictionary, because Windows does not tell the case of a name.
    monkeypatch.setattr(os, "environ", {**os.environ, **variables})
    found = proxy_for(SETTINGS, url)
    return f"{found.source} {found.url}" if found is not None else ""


# Which one applies


@pytest.mark.promise("W1")
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ""),
        ({"HTTP_PROXY": ONE}, f"HTTP_PROXY {ONE}"),
        ({"http_proxy": ONE}, f"http_proxy {ONE}"),
        ({"Http_Proxy": ONE}, f"Http_Proxy {ONE}"),
        ({"HTTP_PROXY": ONE, "http_proxy": TWO}, f"http_proxy {TWO}"),
        ({"HTTP_PROXY": ONE, "http_proxy": ""}, f"HTTP_PROXY {ONE}"),
        ({"HTTP_PROXY": ONE, "http_proxy": "  "}, f"HTTP_PROXY {ONE}"),
        ({"HTTP_PROXY": " "}, ""),
        ({"ALL_PROXY": ONE}, f"ALL_PROXY {ONE}"),
        ({"all_proxy": ONE, "HTTP_PROXY": TWO}, f"HTTP_PROXY {TWO}"),
        ({"ALL_PROXY": ONE, "HTTP_PROXY": " "}, f"ALL_PROXY {ONE}"),
        ({"HTTPS_PROXY": ONE, "FTP_PROXY": TWO, "WS_PROXY": THREE, "NO_PROXY": "x"}, ""),
        ({"HTTP_PROXY": "one.test:1"}, f"HTTP_PROXY {ONE}"),
        ({"HTTP_PROXY": ONE, "NO_PROXY": "sekha.test"}, ""),
        ({"HTTP_PROXY": ONE, "no_proxy": "sekha.test"}, ""),
        ({"HTTP_PROXY": ONE, "no_proxy": "other.test", "NO_PROXY": "sekha.test"}, f"HTTP_PROXY {ONE}"),
        ({"HTTP_PROXY": ONE, "no_proxy": " ", "NO_PROXY": "sekha.test"}, ""),
        ({"HTTP_PROXY": ONE, "REQUEST_METHOD": "GET"}, ""),
        ({"http_proxy": ONE, "REQUEST_METHOD": "GET"}, f"http_proxy {ONE}"),
        ({"ALL_PROXY": ONE, "HTTP_PROXY": TWO, "REQUEST_METHOD": "GET"}, f"ALL_PROXY {ONE}"),
    ],
)
def test_the_environment_names_a_proxy_for_a_scheme_or_for_all(
    variables: Dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert applies(variables, monkeypatch) == expected


@pytest.mark.promise("W1")
def test_each_address_has_its_own_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"HTTP_PROXY": ONE, "HTTPS_PROXY": TWO, "NO_PROXY": "bridge.test"}
    assert applies(variables, monkeypatch, "https://sekha.test") == f"HTTPS_PROXY {TWO}"
    assert applies(variables, monkeypatch, "http://sekha.test") == f"HTTP_PROXY {ONE}"
    assert applies(variables, monkeypatch, "http://bridge.test") == ""


@pytest.mark.promise("W1")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"proxy": TWO}, TWO),
        ({"proxy": TWO, "trust_env": False}, TWO),
        ({"proxy": "none"}, None),
        ({"trust_env": False}, None),
        ({"http_client": object()}, None),
        ({"http_client": object(), "proxy": TWO}, None),
    ],
)
def test_a_setting_beats_the_environment(
    changes: Any, expected: Optional[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", ONE)
    monkeypatch.setenv("NO_PROXY", "other.test" if changes.get("proxy") is None else "*")
    found = proxy_for(SETTINGS._replace(**changes), "http://sekha.test")
    assert (found.url if found is not None else None) == expected


# Exemptions


EXEMPT = [
    ("sekha.test", "sekha.test"),
    ("SEKHA.test", "Sekha.TEST"),
    ("sekha.test", ".sekha.test"),
    ("sekha.test", "*.sekha.test"),
    ("a.sekha.test", "sekha.test"),
    ("a.b.sekha.test", ".sekha.test"),
    ("a.sekha.test", "*.sekha.test"),
    ("sekha.test.", "sekha.test"),
    ("sekha.test", "sekha.test."),
    ("sekha.test", "*"),
    ("sekha.test", "other.test,*"),
    ("sekha.test", " ,, other.test ,sekha.test, "),
    ("sekha.test", "other.test sekha.test"),
    ("sekha.test", "other.test,\tsekha.test\n"),
    ("sekha.test:8080", "sekha.test:8080"),
    ("sekha.test", "sekha.test:80"),
    ("a.sekha.test:8080", ".sekha.test:8080"),
    ("sekha.test", "http://sekha.test"),
    ("sekha.test", "all://sekha.test/"),
    ("sekha.test", "all://*"),
    ("localhost:8080", "localhost"),
    ("sub.localhost", "localhost"),
    ("10.1.2.3", "10.1.2.3"),
    ("10.1.2.3:8080", "10.1.2.3:8080"),
    ("10.1.2.3", "10.0.0.0/8"),
    ("10.1.2.3", "10.9.9.9/8"),
    ("10.1.2.3", "10.0.0.0/255.0.0.0"),
    ("[::1]", "::1"),
    ("[::1]", "[::1]"),
    ("[::1]:8080", "[::1]:8080"),
    ("[::1]", "0:0:0:0:0:0:0:1"),
    ("[FD00::5]", "fd00::5"),
    ("[fd00::5]", "fd00::/8"),
    ("[fd00::5]", "[fd00::]/8"),
    ("[fe80::1%25eth0]", "fe80::/10"),
    ("[::ffff:10.1.2.3]", "10.0.0.0/8"),
    ("10.1.2.3", "::ffff:10.1.2.3"),
    ("xn--mnchen-3ya.test", "münchen.test"),
    ("xn--strae-oqa.test", "straße.test"),  # as addresses are encoded
]
NOT_EXEMPT = [
    ("sekha.test", ""),
    ("sekha.test", "other.test"),
    ("notsekha.test", "sekha.test"),
    ("sekha.test", "a.sekha.test"),
    ("sekha.test", "test.sekha"),
    ("sekha.test", "."),
    ("sekha.test", "*."),
    ("sekha.test:8080", "sekha.test:80"),
    ("sekha.test", "sekha.test:http"),
    ("sekha.test", "https://sekha.test"),
    ("sekha.test", "10.0.0.0/8"),
    ("11.1.2.3", "10.0.0.0/8"),
    ("10.1.2.3", "2.3"),
    ("10.1.2.3", ".2.3"),
    ("10.1.2.3", "10.0.0.0/99"),
    ("10.1.2.3", "10.0.0.0/"),
    ("10.1.2.3:8080", "10.1.2.3:80"),
    ("127.0.0.1", "localhost"),
    ("localhost", "127.0.0.1"),
    ("[::1]:8080", "[::1]:80"),
    ("[::1]", "fd00::/8"),
    ("[fd00::5]", "0.0.0.0/0"),
    ("sekha.test", "[::1,fe80::/10,]:x,://,@,%,#,\\,ü.."),
]


@pytest.mark.promise("W1")
@pytest.mark.parametrize(("host", "no_proxy"), EXEMPT)
def test_no_proxy_exempts(host: str, no_proxy: str) -> None:
    assert is_exempt(origin(f"http://{host}"), no_proxy)


@pytest.mark.promise("W1")
@pytest.mark.parametrize(("host", "no_proxy"), NOT_EXEMPT)
def test_no_proxy_does_not_exempt(host: str, no_proxy: str) -> None:
    assert not is_exempt(origin(f"http://{host}"), no_proxy)


@given(st.text(max_size=30), st.sampled_from(["sekha.test", "10.1.2.3", "[fd00::5]"]))
def test_an_odd_no_proxy_breaks_nothing(no_proxy: str, host: str) -> None:
    assert is_exempt(origin(f"http://{host}"), no_proxy) in (True, False)


@pytest.mark.promise("W1")
def test_an_exempt_server_does_not_care_whether_the_proxy_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"HTTP_PROXY": "socks4://x", "HTTPS_PROXY": "http://h:no", "NO_PROXY": "[::1],fe80::/10,sekha.test"}
    assert applies(variables, monkeypatch) == ""
    with pytest.raises(SekhaConfigError, match=r"^HTTP_PROXY: "):
        applies({}, monkeypatch, "http://other.test")
    with pytest.raises(SekhaConfigError, match=r"^HTTPS_PROXY: "):
        applies({}, monkeypatch, "https://other.test")


# Settings of the system, which only macOS and Windows have


def set_up_system(monkeypatch: pytest.MonkeyPatch, platform: str, found: Dict[str, str], exempt: str = "") -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(urllib.request, "getproxies", lambda: found)
    monkeypatch.setattr(urllib.request, "proxy_bypass", lambda host: host == exempt)


@pytest.mark.promise("W1")
@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_the_settings_of_the_system_count_with_their_exemptions(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up_system(monkeypatch, platform, {"http": ONE, "socks": TWO}, exempt="exempt.test")
    assert applies({}, monkeypatch).endswith(f"settings {ONE}")
    assert applies({}, monkeypatch, "https://sekha.test") == ""
    assert applies({}, monkeypatch, "http://exempt.test:8080") == ""
    assert applies({"NO_PROXY": "sekha.test"}, monkeypatch) == ""
    assert applies({"HTTP_PROXY": THREE}, monkeypatch) == ""
    assert applies({"NO_PROXY": ""}, monkeypatch, "http://exempt.test:8080") == f"HTTP_PROXY {THREE}"
    assert proxy_for(SETTINGS._replace(trust_env=False), "http://sekha.test") is None


@pytest.mark.promise("W1")
def test_an_unrelated_variable_does_not_hide_the_settings_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up_system(monkeypatch, "darwin", {"ftp": TWO}, exempt="sekha.test")  # so the standard library is with FTP_PROXY
    for name in ("getproxies_registry", "proxy_bypass_registry"):
        monkeypatch.delattr(urllib.request, name, raising=False)
    monkeypatch.setattr(urllib.request, "getproxies_macosx_sysconf", lambda: {"all": ONE}, raising=False)
    monkeypatch.setattr(
        urllib.request, "proxy_bypass_macosx_sysconf", lambda host: host == "exempt.test", raising=False
    )
    assert applies({"FTP_PROXY": TWO}, monkeypatch).endswith(f"settings {ONE}")
    assert applies({}, monkeypatch, "http://exempt.test") == ""


def test_a_system_proxy_that_cannot_be_used_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up_system(monkeypatch, "win32", {"http": "socks4://10.0.0.1:1080"})
    with pytest.raises(SekhaConfigError, match=r"^the system's proxy settings: the proxy at 10\.0\.0\.1:1080 cannot"):
        applies({}, monkeypatch)


def test_other_systems_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up_system(monkeypatch, "linux", {"http": ONE})
    assert applies({}, monkeypatch) == ""


# The address of a proxy


@pytest.mark.parametrize(
    ("value", "url", "auth"),
    [
        ("http://h.test:3128", "http://h.test:3128", None),
        (" http://h.test:3128/ ", "http://h.test:3128", None),
        ("HTTP://H.test", "http://H.test:80", None),
        ("https://h.test", "https://h.test:443", None),
        ("http://h.test:/", "http://h.test:80", None),
        ("http://my_proxy:1", "http://my_proxy:1", None),
        ("http://h.test.:1", "http://h.test.:1", None),
        ("http://10.1.2.3:1", "http://10.1.2.3:1", None),
        ("http://[::1]", "http://[::1]:80", None),
        ("http://[fd00::5]:3128", "http://[fd00::5]:3128", None),
        ("http://münchen.test:1", "http://xn--mnchen-3ya.test:1", None),
        ("http://straße.test:1", "http://xn--strae-oqa.test:1", None),
        ("http://@h.test", "http://h.test:80", None),
        ("http://:@h.test", "http://h.test:80", None),
        ("http://me@h.test", "http://h.test:80", ("me", "")),
        ("http://me:secret@h.test", "http://h.test:80", ("me", "secret")),
        ("http://me:a%40b%3A%2F%23%25%20%C3%BC@h.test", "http://h.test:80", ("me", "a@b:/#% ü")),
        ("http://me@corp.test:a:b@h.test", "http://h.test:80", ("me@corp.test", "a:b")),
        ("http://corp\\me:ü&=+[]@h.test", "http://h.test:80", ("corp\\me", "ü&=+[]")),
    ],
)
def test_an_address_of_a_proxy_is_understood(value: str, url: str, auth: Any) -> None:
    found = parse_proxy("proxy", value)
    assert (found.url, found.auth) == (url, auth)
    assert "secret" not in repr(found)


def test_a_variable_may_leave_the_scheme_out() -> None:
    found = parse_proxy("http_proxy", "me:secret@h.test:3128", needs_scheme=False)
    assert (found.url, found.auth, str(found)) == ("http://h.test:3128", ("me", "secret"), "h.test:3128 (http_proxy)")


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_needs_its_package(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "find_spec", lambda name: None)
    with pytest.raises(SekhaConfigError, match=r"proxy at h:1080 cannot be used: .*pip install 'httpx\[socks\]'"):
        parse_proxy("ALL_PROXY", f"{scheme}://h")
    monkeypatch.setattr(proxies, "find_spec", lambda name: object())
    assert parse_proxy("ALL_PROXY", f"{scheme}://h") == Proxy(scheme, "h", 1080, "ALL_PROXY")
    with pytest.raises(SekhaConfigError, match="255 bytes"):
        parse_proxy("ALL_PROXY", f"{scheme}://me:{'x' * 256}@h")


@pytest.mark.promise("W1")
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("socks://127.0.0.1:7890", "at 127.0.0.1:7890 cannot be used: its address must start with"),
        ("socks4://me:secret@h:1080", "at h:1080 cannot be used: its address must start with"),
        ("secret://h", "proxy cannot be used: its address must start with"),
        ("nowhere://secret", "proxy cannot be used: its address must start with"),
        ("http://h.test:notaport", "at h.test cannot be used: its port"),
        ("http://me:secret", "proxy cannot be used: its port"),
        ("http://127.0.0.1:99999", "at 127.0.0.1 cannot be used: its port"),
        ("http://127.0.0.1:0", "its port"),
        ("http://127.0.0.1:-1", "its port"),
        ("http://127.0.0.1:+80", "its port"),
        ("http://127.0.0.1:٣", "its port"),
        ("http://me:secret@h:1:2", "at h cannot be used: its port"),
        ("http://", "its host"),
        ("http://:3128", "its host"),
        ("http:///x", "its host"),
        ("http://[::1:3128", "its host"),
        ("http://::1]:3128", "its host"),
        ("http://[::1]3128", "its host"),
        ("http://[secret]:3128", "its host"),
        ("http://[127.0.0.1]:3128", "its host"),
        ("http://[fe80::1%25eth0]:3128", "its host"),
        ("http://::1:3128", "its host"),
        ("http://h..test", "its host"),
        ("http://.test", "its host"),
        (f"http://{'x' * 64}.test", "its host"),
        (f"http://{'x.' * 130}test", "its host"),
        ("http://999.1.1.1", "its host"),
        ("http://h test:1", "its host"),
        ("http://h%20test:1", "its host"),
        ("http://h\\secret:1", "its host"),
        ("http://h,secret:1", "its host"),
        ("http://h?secret", "its host"),
        ("http://h#secret", "its host"),
        ("http://h\x00:1", "its host"),
        ("http://me:secret#x@h.test:3128", "at h.test:3128 cannot be used: in its user and password"),
        ("http://me:secret/x@h.test", "at h.test cannot be used: in its user and password"),
        ("http://me:secret?x@h.test", "in its user and password"),
        ("http://me:sec ret@h.test", "in its user and password"),
        ("http://me:sec\tret@h.test", "in its user and password"),
        ("http://me:secret%@h.test", "in its user and password"),
        ("http://me:secret%zz@h.test", "in its user and password"),
        ("http://me:secret\x01@h.test", "in its user and password"),
        ("http://me:secret%0A@h.test", "at h.test:80 cannot be used: its user or password"),
        ("http://me:secret%FF@h.test", "its user or password"),
        ("http://me:secret\udcff@h.test", "its user or password"),
        ("http://me%3Ax:secret@h.test", "its user or password"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_user_and_password(value: str, problem: str) -> None:
    with pytest.raises(SekhaConfigError) as caught:
        parse_proxy("HTTP_PROXY", value)
    message = caught.value.message
    assert message.startswith("HTTP_PROXY: the proxy")
    assert problem in message
    assert "trust_env=False" in message
    shown = "".join(traceback.format_exception(type(caught.value), caught.value, None))
    assert "secret" not in shown
    assert "me:" not in shown


# Letters that no text of ours has, besides what could end a password early.
PASSWORDS = st.text(st.sampled_from("ØJQXZ07@:/#?%[]\\ \t\n\x00é"), min_size=1, max_size=12).map("ØJ7".__add__)


@pytest.mark.promise("W1")
@given(
    st.sampled_from(["http://", "socks://", "https://", "", "socks5://"]),
    PASSWORDS,
    st.sampled_from(["@h.test:3128", "@h.test:x", "@h:99999", "@[::1:1", "", "@", ":80", "#@h", "@h/x", "@\x00"]),
    st.booleans(),
)
def test_no_password_shows(scheme: str, password: str, rest: str, encoded: bool) -> None:
    secret = quote(password, safe="") if encoded else password
    try:
        found = parse_proxy("HTTP_PROXY", f"{scheme}me:{secret}{rest}", needs_scheme=False)
    except SekhaConfigError as error:
        texts = [str(error), repr(error), "".join(traceback.format_exception(type(error), error, error.__traceback__))]
    else:
        texts = [str(found), repr(found), found.url]
    for text in texts:
        assert "ØJ7" not in text
        assert secret not in text
