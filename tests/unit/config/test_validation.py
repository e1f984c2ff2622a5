"""Each setting is checked by its name before it is used; a refusal shows no key (C10, S1, S2)."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any, Dict, List, Optional

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha import SekhaConfig
from sekha._http.addresses import lookup_host
from sekha._http.models import origin
from sekha.errors import SekhaConfigError
from sekha.types import ClientConfig
from support.canary import texts_of
from unit.vectors import CANARY

URL = "http://localhost:8080"

LONGEST = "http://" + ".".join(["a" * 63] * 3 + ["b" * 61])  # a name of 253 characters

# ---- addresses (C10, S2) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("https://sekha.example/prefix/", "https://sekha.example/prefix"),
        ("https://sekha.example/a/b", "https://sekha.example/a/b"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[::1]:8080/p/", "http://[::1]:8080/p"),
        ("  http://localhost  ", "http://localhost"),
        ("HTTP://localhost", "HTTP://localhost"),
        ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
        ("http://bücher.example", "http://xn--bcher-kva.example"),
        ("HTTPS://BÜCHER.Example.:8443/Strasse%20/", "HTTPS://xn--bcher-kva.example.:8443/Strasse%20"),
        ("http://straße.example", "http://xn--strae-oqa.example"),
        ("http://例え。テスト:80", "http://xn--r8jz45g.xn--zckzah:80"),
        ("http://example.com.", "http://example.com."),
        ("http://my_service:80", "http://my_service:80"),
        ("http://_._", "http://_._"),
        ("http://-x-", "http://-x-"),
        ("http://xn--a", "http://xn--a"),
        ("http://127.1", "http://127.1"),
        ("http://1234", "http://1234"),
        ("http://a,b;c=~!", "http://a,b;c=~!"),
        ("http://" + "a" * 63, "http://" + "a" * 63),
        (LONGEST, LONGEST),
        (LONGEST + ".:80/p", LONGEST + ".:80/p"),
        ("http://[fe80::1%25eth0.100]:80", "http://[fe80::1%25eth0.100]:80"),
        ("http://[fe80::1%eth0]", "http://[fe80::1%eth0]"),
        ("http://[FE80::1%251]", "http://[FE80::1%251]"),
        ("http://[::ffff:127.0.0.1]", "http://[::ffff:127.0.0.1]"),
    ],
)
@pytest.mark.parametrize("name", ["controller_url", "bridge_url"])
def test_an_address_keeps_its_prefix_and_loses_its_last_slash(name: str, url: str, kept: str) -> None:
    assert getattr(SekhaConfig(**{name: url}), name) == kept  # type: ignore[arg-type]
    assert ClientConfig(base_url=url).base_url == kept


BAD_URLS: List[Any] = [
    "",
    "   ",
    "localhost:8080",
    "localhost",
    "//localhost",
    "ftp://localhost",
    "file:///etc/passwd",
    "http://",
    "http:///path",
    "http://:8080",
    "http://localhost:port",
    "http://localhost:99999",
    "http://localhost:0",
    "http://localhost?x=1",
    "http://localhost/?",
    "http://localhost#x",
    "http://localhost/#",
    "http://user@localhost",
    "http://user:sekret@localhost",
    "http://user:sekret@exa\u2100mple",
    "http://[::1",
    "http://local host",
    "http://local\nhost",
    "http://localhost\\@evil",
    "http://bücher.example/ü",
    "http://bücher..example",
    "http://bücher.example?",
    "http://user:sekret@bücher.example",
    "http://bü\ncher.example",
    "http://my_bücher.example",
    "http://i❤.example",
    "http://" + "ü" * 64,
    "http://.",
    "http://..:80/",
    "http://localhost/\x7f",
    "http://localhost/a/../b",
    "http://localhost/.",
    "http://localhost/<x>",
    "http://h|x",
    5,
    b"http://localhost",
    ["http://localhost"],
]


@pytest.mark.parametrize("url", BAD_URLS, ids=repr)
def test_what_is_no_plain_http_address_is_refused_by_name_without_its_secrets(url: Any) -> None:
    with pytest.raises(SekhaConfigError, match=r"^controller_url: ") as caught:
        SekhaConfig(controller_url=url)
    assert "sekret" not in str(caught.value)
    with pytest.raises(SekhaConfigError, match=r"^base_url: "):
        ClientConfig(base_url=url)


@pytest.mark.promise("C10")
@pytest.mark.parametrize(
    ("host", "problem"),
    [
        ("ex..com", "a label of its host name is empty"),
        (".ex.com:80", "a label of its host name is empty"),
        ("example.com..", "a label of its host name is empty"),
        ("a.." + "b" * 70, "a label of its host name is empty"),
        ("a" * 64, "a label of its host name has more than 63 characters"),
        ("www." + "a" * 70 + ".com.:80", "a label of its host name has more than 63 characters"),
        ("[fe80::1%25" + "e" * 60 + "]", "a label of its host name has more than 63 characters"),
        (LONGEST[7:] + "b", "its host name has more than 253 characters"),
        (LONGEST[7:] + "b.", "its host name has more than 253 characters"),
        (".".join(["a" * 9] * 40), "its host name has more than 253 characters"),
        ("bücher..example", "its host name cannot be encoded (IDNA)"),
        ("xn--ü.example", "its host name cannot be encoded (IDNA)"),
        ("-ü.example", "its host name cannot be encoded (IDNA)"),
        ("ü" * 64, "its host name cannot be encoded (IDNA)"),
        ("a。。b", "its host name cannot be encoded (IDNA)"),
        ("\u00ad", "its host name cannot be encoded (IDNA)"),
        ("exa mple", "it contains characters that are not allowed in an address"),
        ("exa\tmple", "it contains characters that are not allowed in an address"),
        ("[::1]x", "brackets require an IPv6 address"),
        ("x[::1]:80", "brackets require an IPv6 address"),
        ("[v1.x]", "brackets require an IPv6 address"),
        ("[fe80::1%2500%01]", None),
        ("[fe80::1%25%C3%BC]", None),
        ("[fe80::1%25a%20b]", None),
        ("[fe80::1%]", None),
        ("[127.0.0.1]", None),
        ("[name]", None),
        ("[]", None),
    ],
)
def test_a_host_that_no_machine_can_have_is_refused_in_words(
    host: str, problem: Optional[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url, file = f"http://{host}", tmp_path / "settings"
    for name in ("controller_url", "bridge_url"):
        named: Any = {name: url}
        with pytest.raises(SekhaConfigError, match=f"^{name}: ") as caught:
            SekhaConfig(**named)
        if problem is not None:  # which depends on the version of Python
            assert caught.value.message == f"{name}: {problem}"
        with pytest.raises(SekhaConfigError, match=f"^{name}: "):
            SekhaConfig(controller_url=URL, api_key="k").replace(**named)
        variable = f"SEKHA_{name.upper()}"
        file.write_text(f"{variable}='{url}'\n", encoding="utf-8")
        with pytest.raises(SekhaConfigError, match=f"^{variable}: "):
            SekhaConfig.from_env(env_file=file)
        with monkeypatch.context() as patched:
            patched.setenv(variable, url)
            with pytest.raises(SekhaConfigError, match=f"^{variable}: "):
                SekhaConfig.from_env()
    with pytest.raises(SekhaConfigError, match=r"^proxy: the proxy cannot be used: its host is invalid$"):
        SekhaConfig(proxy=url)


_PARTS = ["a", "-", "_", ".", "..", "ü", "。", "ß", "a" * 60, "b" * 190, "1", "%25", "[", "]", ":", "::1"]


@pytest.mark.promise("C10")
@given(st.lists(st.sampled_from(_PARTS), min_size=1).map("".join))
def test_what_is_accepted_as_a_host_can_be_looked_up(text: str) -> None:
    try:
        url = SekhaConfig(controller_url=f"http://{text}").controller_url
    except SekhaConfigError:
        return
    assert url is not None
    host = lookup_host(origin(url).host)
    assert host
    assert host.isascii()
    host.encode("idna")  # as Python's resolver does it


@given(st.text())
def test_any_text_is_an_address_that_can_be_used_or_refused(text: str) -> None:
    try:
        url = SekhaConfig(controller_url=f"http://{text}").controller_url
    except SekhaConfigError:
        return
    assert url is not None
    parsed = httpx.URL(url + "/api/v1/query")
    assert parsed.host
    assert not parsed.userinfo
    assert not parsed.query
    assert parsed.path.endswith("/api/v1/query")


# ---- keys (S1, S2) -----------------------------------------------------------------------------------------------


@pytest.mark.promise("S1", "S2")
@pytest.mark.parametrize("name", ["api_key", "mcp_api_key", "bridge_api_key"])
@pytest.mark.parametrize(
    "bad", ["", " ", "\t\n", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x85b", "a\u20acb", "a日b", 5, b"key"]
)
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(name: str, bad: Any) -> None:
    value = CANARY + bad + CANARY if isinstance(bad, str) and bad.strip() else bad
    with pytest.raises(SekhaConfigError, match=f"^{name}: ") as caught:
        SekhaConfig(**{name: value})  # type: ignore[arg-type]
    assert CANARY[:6] not in "".join(texts_of(caught.value))
    assert caught.value.__cause__ is None


@pytest.mark.promise("S2")
@pytest.mark.parametrize("key", ["x", "any word", "sk-123", "é", "  padded  ", "\tsk\n", "pass:word,;=", "a" * 5000])
def test_any_other_key_is_taken_without_the_white_space_around_it(key: str) -> None:
    assert SekhaConfig(api_key=key).api_key == key.strip()


@pytest.mark.promise("S1")
@pytest.mark.parametrize("bad", [{"timeout": -1}, {"max_retries": "x"}, {"headers": {"a b": CANARY}}])
def test_no_secret_is_shown_by_the_refusal_of_another_setting(bad: Dict[str, Any]) -> None:
    with pytest.raises(SekhaConfigError) as caught:
        SekhaConfig(api_key=CANARY, **bad)
    assert CANARY not in "".join(texts_of(caught.value))


# ---- numbers and headers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["timeout", "deadline", "rate_limit_window"])
@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), "5", True, [5], 1 + 2j])
def test_seconds_must_be_a_number_above_0(name: str, bad: Any) -> None:
    with pytest.raises(SekhaConfigError, match=f"^{name}: "):
        SekhaConfig(**{name: bad})


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        (name, bad)
        for name in (
            *("rate_limit_requests", "max_connections", "max_concurrent_writes"),
            *("max_response_bytes", "max_retries"),
        )
        for bad in (-1, 1.0, "5", True, None, float("nan"))
        if (name, bad) != ("rate_limit_requests", None)  # no limit
    ],
)
def test_counts_must_be_whole_numbers(name: str, bad: Any) -> None:
    with pytest.raises(SekhaConfigError, match=f"^{name}: "):
        SekhaConfig(**{name: bad})


@pytest.mark.parametrize("value", [None, "none", " None ", "NONE"])
def test_a_rate_limit_may_be_left_out(value: Any) -> None:
    assert SekhaConfig(rate_limit_requests=value).rate_limit_requests is None
    assert ClientConfig(rate_limit_requests=value).rate_limit_requests is None
    assert SekhaConfig().replace(rate_limit_requests=value).rate_limit_requests is None


@pytest.mark.parametrize("value", ["", "no", "unlimited", "1000", 0, -1, 1.5, True, [None]])
def test_no_other_word_means_no_limit(value: Any) -> None:
    with pytest.raises(SekhaConfigError, match=r"^rate_limit_requests: expected a whole number .* None"):
        SekhaConfig(rate_limit_requests=value)


def test_no_retries_is_a_number_of_retries_but_no_connections_are_not_enough() -> None:
    assert SekhaConfig(max_retries=0).max_retries == 0
    for name in ("rate_limit_requests", "max_connections", "max_concurrent_writes", "max_response_bytes"):
        with pytest.raises(SekhaConfigError, match=f"^{name}: "):
            SekhaConfig(**{name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "headers",
    [
        {"": "x"},
        {"a b": "x"},
        {"a:": "x"},
        {"a": "x\ny"},
        {"a": "x\0"},
        {"a": 5},
        {5: "x"},
        {"a": "日"},
        {"é": "x"},
        "a: b",
        5,
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers: Any) -> None:
    with pytest.raises(SekhaConfigError, match=r"^headers: "):
        SekhaConfig(headers=headers)


@pytest.mark.parametrize("name", ["on_request", "on_response", "on_retry", "on_wait"])
@pytest.mark.parametrize("value", [1, "print", True, [print]])
def test_hooks_that_are_no_functions_are_refused(name: str, value: Any) -> None:
    hooks: Dict[str, Any] = {name: value}
    with pytest.raises(SekhaConfigError, match=f"^{name}: expected a plain function"):
        SekhaConfig(**hooks)


@pytest.mark.parametrize("value", [1, "yes", None])
def test_tracing_is_true_or_false(value: Any) -> None:
    with pytest.raises(SekhaConfigError, match=r"^tracing: expected True or False"):
        SekhaConfig(tracing=value)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("ca.pem", "ca.pem"),
        (Path("a") / "ca.pem", os.path.join("a", "ca.pem")),
        (True, True),
        (False, False),
    ],
)
def test_a_path_of_authorities_is_kept_as_text(given: Any, kept: Any) -> None:
    assert SekhaConfig(verify=given).verify == kept
    assert pickle.loads(pickle.dumps(SekhaConfig(verify=given))) == SekhaConfig(verify=kept)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ("c.pem", "c.pem"),
        (Path("c.pem"), "c.pem"),
        ((Path("c.pem"), "k.pem"), ("c.pem", "k.pem")),
        (["c.pem", Path("k.pem")], ("c.pem", "k.pem")),
        (["c.pem", "k.pem", "p"], ("c.pem", "k.pem", "p")),
        (("c.pem", "k.pem", ""), ("c.pem", "k.pem", "")),
    ],
)
def test_the_paths_of_a_client_certificate_are_kept_as_text(given: Any, kept: Any) -> None:
    assert SekhaConfig(cert=given).cert == kept
    assert pickle.loads(pickle.dumps(SekhaConfig(cert=given).with_secrets())) == SekhaConfig(cert=kept)


class BytesPath:
    """A path that is not text."""

    def __fspath__(self) -> bytes:
        return b"ca.pem"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"proxy": "nonsense"}, "proxy: expected an address"),
        ({"proxy": 5}, "proxy: expected an address"),
        ({"proxy": " "}, "proxy: expected an address"),
        ({"proxy": "http://h:no"}, "proxy: the proxy"),
        ({"verify": 5}, "verify: expected True, False"),
        ({"verify": None}, "verify: expected True, False"),
        ({"cert": 5}, "cert: expected a path"),
        ({"verify": ""}, "verify: expected True, False"),
        ({"verify": " "}, "verify: expected True, False"),
        ({"verify": b"ca.pem"}, "verify: expected True, False"),
        ({"verify": BytesPath()}, "verify: expected True, False"),
        ({"cert": ""}, "cert: expected a path"),
        ({"cert": b"c.pem"}, "cert: expected a path"),
        ({"cert": ["c.pem"]}, "cert: expected a path"),
        ({"cert": ("c.pem", "k.pem", "p", "q")}, "cert: expected a path"),
        ({"cert": ("c.pem", "")}, "cert: expected a path"),
        ({"cert": ("c.pem", None)}, "cert: expected a path"),
        ({"cert": ("c.pem", "k.pem", b"p")}, "cert: expected a path"),
        ({"cert": {"c.pem", "k.pem"}}, "cert: expected a path"),
        ({"trust_env": "no"}, "trust_env: expected True or False"),
        ({"timeout": 1e12}, "timeout: expected seconds, above 0 and at most"),
        ({"timeout": float("nan")}, "timeout: expected seconds, above 0"),
        ({"headers": {"Content-Length": "3"}}, "headers: Content-Length"),
    ],
)
def test_a_setting_that_would_fail_later_is_refused_at_once(setting: Dict[str, Any], words: str) -> None:
    with pytest.raises(SekhaConfigError) as caught:
        SekhaConfig(controller_url=URL, api_key="k", **setting)
    assert caught.value.message.startswith(words)
