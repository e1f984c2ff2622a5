"""Settings: an argument beats the config beats the environment beats the default; keys never show."""

from __future__ import annotations

import copy
import functools
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, Dict, List

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha import SekhaConfig
from sekha._http.models import address
from sekha.config import bridge_config, controller_config, mcp_config, resolved_config, was_given
from sekha.errors import SekhaConfigError
from sekha.types import ClientConfig
from support.canary import texts_of
from unit.vectors import CANARY

URL = "http://localhost:8080"
KEY = "sk-secret"


def test_the_defaults_are_those_of_the_decisions() -> None:
    config = SekhaConfig()
    assert (config.controller_url, config.api_key, config.bridge_url) == (None, None, None)
    assert (config.timeout, config.max_retries, config.deadline) == (30.0, 3, None)
    assert (config.rate_limit_requests, config.rate_limit_window) == (1000, 60.0)
    assert (config.max_connections, config.max_concurrent_writes) == (100, 4)
    assert config.max_response_bytes == 64 * 1024 * 1024
    assert (config.verify, config.cert, config.proxy, config.trust_env) == (True, None, None, True)
    assert (config.headers, config.http_client) == (None, None)
    assert (config.on_request, config.on_response, config.on_retry, config.tracing) == (None, None, None, True)
    client = ClientConfig()
    assert (client.base_url, client.api_key, client.timeout, client.max_retries) == (None, None, 30.0, 3)
    assert (client.rate_limit_requests, client.rate_limit_window) == (1000, 60.0)


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
    "http://bücher.example",
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


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://localhost:8080",
        "http://LOCALHOST:80/",
        "https://Sekha.example/Prefix",
        "https://sekha.example:443/a/b;c,d/e:f@g/~h",
        "https://sekha.example:8443/a%20b/%zz/!$&'()*+=",
        "http://[::1]",
        "http://[fe80::1%25eth0]:8080/p",
        "http://127.0.0.1:65535//a",
    ],
)
def test_an_address_is_taken_apart_as_httpx_does_it(url: str) -> None:
    mine, theirs = address(str(SekhaConfig(controller_url=url).controller_url)), httpx.URL(url)
    usual = 443 if theirs.scheme == "https" else 80
    assert (mine.scheme, mine.host, mine.port) == (theirs.scheme, theirs.raw_host.decode(), theirs.port or usual)
    assert mine.authority == theirs.netloc.decode()
    assert mine.prefix == theirs.raw_path.decode().rstrip("/")


# ---- keys (S1, S2) -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["api_key", "mcp_api_key", "bridge_api_key"])
@pytest.mark.parametrize(
    "bad", ["", " ", "\t\n", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x85b", "a\u20acb", "a日b", 5, b"key"]
)
def test_s1_s2_a_key_that_no_header_can_hold_is_refused_without_showing_it(name: str, bad: Any) -> None:
    value = CANARY + bad + CANARY if isinstance(bad, str) and bad.strip() else bad
    with pytest.raises(SekhaConfigError, match=f"^{name}: ") as caught:
        SekhaConfig(**{name: value})  # type: ignore[arg-type]
    assert CANARY[:6] not in "".join(texts_of(caught.value))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("key", ["x", "any word", "sk-123", "é", "  padded  ", "\tsk\n", "pass:word,;=", "a" * 5000])
def test_s2_any_other_key_is_taken_without_the_white_space_around_it(key: str) -> None:
    assert SekhaConfig(api_key=key).api_key == key.strip()


SECRETS: Dict[str, Any] = {
    "api_key": CANARY,
    "mcp_api_key": CANARY,
    "bridge_api_key": CANARY,
    "headers": {"X-Key": CANARY},
    "proxy": f"http://user:{CANARY}@proxy:1",
    "cert": ("cert.pem", "key.pem", CANARY),
}


@pytest.mark.parametrize("name", SECRETS)
def test_s1_no_secret_is_shown_by_a_config(name: str) -> None:
    config = SekhaConfig(controller_url=URL, **{name: SECRETS[name]})
    for text in (repr(config), str(config), f"{config}", repr([config]), repr({"c": config})):
        assert CANARY not in text
        assert name in text
        assert URL in text


def test_s1_a_client_config_does_not_show_its_key() -> None:
    assert CANARY not in repr(ClientConfig(URL, CANARY))


@pytest.mark.parametrize("bad", [{"timeout": -1}, {"max_retries": "x"}, {"headers": {"a b": CANARY}}])
def test_s1_no_secret_is_shown_by_the_refusal_of_another_setting(bad: Dict[str, Any]) -> None:
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
    "name", ["rate_limit_requests", "max_connections", "max_concurrent_writes", "max_response_bytes", "max_retries"]
)
@pytest.mark.parametrize("bad", [-1, 1.0, "5", True, None, float("nan")])
def test_counts_must_be_whole_numbers(name: str, bad: Any) -> None:
    with pytest.raises(SekhaConfigError, match=f"^{name}: "):
        SekhaConfig(**{name: bad})


def test_no_retries_is_a_number_of_retries_but_no_connections_are_not_enough() -> None:
    assert SekhaConfig(max_retries=0).max_retries == 0
    for name in ("rate_limit_requests", "max_connections", "max_concurrent_writes", "max_response_bytes"):
        with pytest.raises(SekhaConfigError, match=f"^{name}: "):
            SekhaConfig(**{name: 0})  # type: ignore[arg-type]


def test_none_means_no_limit_for_timeout_and_deadline_and_is_remembered_as_given() -> None:
    config = SekhaConfig(timeout=None, deadline=None)
    assert config.timeout is None
    assert was_given(config, "timeout")
    assert not was_given(SekhaConfig(), "timeout")


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


@pytest.mark.parametrize("name", ["on_request", "on_response", "on_retry"])
@pytest.mark.parametrize("value", [1, "print", True, [print]])
def test_hooks_that_are_no_functions_are_refused(name: str, value: Any) -> None:
    hooks: Dict[str, Any] = {name: value}
    with pytest.raises(SekhaConfigError, match=f"^{name}: a plain function is needed"):
        SekhaConfig(**hooks)


@pytest.mark.parametrize("value", [1, "yes", None])
def test_tracing_is_true_or_false(value: Any) -> None:
    with pytest.raises(SekhaConfigError, match=r"^tracing: True or False is needed"):
        SekhaConfig(tracing=value)


def test_a_hook_is_shown_by_its_name_alone() -> None:
    hook: Any = functools.partial(print, CANARY)
    assert repr(SekhaConfig(on_request=hook, on_retry=print)) == "SekhaConfig(on_request=<partial>, on_retry=<print>)"


def test_headers_are_copied() -> None:
    mine = {"X-Request-ID": "1"}
    config = SekhaConfig(headers=mine)
    mine["X-Request-ID"] = "2"
    assert config.headers == {"X-Request-ID": "1"}


# ---- who beats whom ------------------------------------------------------------------------------------------------

VARIABLES = {
    "controller_url": ("SEKHA_CONTROLLER_URL", "http://env:1"),
    "api_key": ("SEKHA_API_KEY", "env-key"),
    "bridge_url": ("SEKHA_BRIDGE_URL", "http://env:2"),
    "bridge_api_key": ("SEKHA_BRIDGE_API_KEY", "env-bridge"),
    "mcp_api_key": ("SEKHA_MCP_API_KEY", "env-mcp"),
    "timeout": ("SEKHA_TIMEOUT", "7.5"),
    "max_retries": ("SEKHA_MAX_RETRIES", "7"),
}
FROM_ENV: Dict[str, Any] = {name: value for name, (_, value) in VARIABLES.items()}
FROM_ENV.update(timeout=7.5, max_retries=7)
OTHER: Dict[str, Any] = {
    "controller_url": "http://arg:1",
    "api_key": "arg-key",
    "bridge_url": "http://arg:2",
    "bridge_api_key": "arg-bridge",
    "mcp_api_key": "arg-mcp",
    "timeout": 1.5,
    "max_retries": 1,
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in VARIABLES.values():
        monkeypatch.setenv(variable, value)


@pytest.mark.parametrize("name", VARIABLES)
def test_an_argument_beats_the_config_beats_the_environment(name: str, environment: None) -> None:
    base = SekhaConfig(controller_url="http://config:1", api_key="config-key")
    named = SekhaConfig(**{**base._as_given(), name: OTHER[name]})
    assert getattr(resolved_config(None, {}), name) == FROM_ENV[name]
    assert getattr(resolved_config(named, {}), name) == OTHER[name]
    assert getattr(resolved_config(base, {name: OTHER[name]}), name) == OTHER[name]
    assert getattr(resolved_config(named, {name: FROM_ENV[name]}), name) == FROM_ENV[name]


def test_a_given_none_is_no_limit_and_beats_the_environment_but_a_none_string_is_not_given(environment: None) -> None:
    config = resolved_config(None, {"timeout": None, "api_key": None, "bridge_url": None, "headers": None})
    assert config.timeout is None
    assert (config.api_key, config.bridge_url, config.headers) == ("env-key", "http://env:2", None)


def test_the_defaults_of_a_config_object_do_not_beat_the_environment(environment: None) -> None:
    assert resolved_config(SekhaConfig(controller_url=URL), {}).max_retries == 7


@pytest.mark.parametrize(
    ("name", "variable"), [("controller_url", "SEKHA_CONTROLLER_URL"), ("api_key", "SEKHA_API_KEY")]
)
def test_what_is_missing_is_named_as_argument_and_as_variable(name: str, variable: str) -> None:
    full = {"controller_url": URL, "api_key": KEY}
    del full[name]
    with pytest.raises(SekhaConfigError) as caught:
        resolved_config(None, full)
    assert f"{name}=" in str(caught.value)
    assert variable in str(caught.value)


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_counts_as_not_set(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEKHA_TIMEOUT", text)
    monkeypatch.setenv("SEKHA_API_KEY", text)
    config = SekhaConfig.from_env()
    assert config.timeout == 30.0
    assert config.api_key is None


@pytest.mark.parametrize(
    ("variable", "value"), [("SEKHA_TIMEOUT", "soon"), ("SEKHA_MAX_RETRIES", "1.5"), ("SEKHA_MAX_RETRIES", "many")]
)
def test_a_variable_that_is_no_number_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SekhaConfigError, match=variable):
        SekhaConfig.from_env()


def test_a_config_must_be_one() -> None:
    with pytest.raises(SekhaConfigError, match="controller_url="):
        resolved_config("http://localhost:8080", {})  # type: ignore[arg-type]
    with pytest.raises(SekhaConfigError, match="base_url="):
        controller_config("http://localhost", {})  # type: ignore[arg-type]


# ---- a .env file -------------------------------------------------------------------------------------------------


def test_a_file_is_read_only_by_name_and_the_process_environment_beats_it_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_text("SEKHA_CONTROLLER_URL=http://file:1\nSEKHA_API_KEY='file-key'\nSEKHA_TIMEOUT=2\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEKHA_API_KEY", "process-key")
    before = dict(os.environ)
    assert SekhaConfig.from_env().controller_url is None
    with pytest.raises(SekhaConfigError, match="controller_url"):
        resolved_config(None, {})
    for env_file in (file, str(file)):
        config = SekhaConfig.from_env(env_file)
        assert (config.controller_url, config.api_key, config.timeout) == ("http://file:1", "process-key", 2.0)
    assert dict(os.environ) == before


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SekhaConfigError, match=r"env_file.*nowhere\.env"):
        SekhaConfig.from_env(tmp_path / "nowhere.env")
    bad = tmp_path / "bad.env"
    bad.write_bytes(b"SEKHA_API_KEY=\xff\xfe")
    with pytest.raises(SekhaConfigError, match=r"env_file.*bad\.env"):
        SekhaConfig.from_env(bad)


# ---- a config is a value -----------------------------------------------------------------------------------------


def test_a_config_cannot_be_changed_but_compared_copied_and_pickled() -> None:
    config = SekhaConfig(controller_url=URL, api_key=KEY, headers={"a": "b"})
    with pytest.raises(AttributeError, match="cannot be changed"):
        config.timeout = 5.0
    same, other = SekhaConfig(controller_url=URL + "/", api_key=KEY, headers={"a": "b"}), SekhaConfig(api_key=KEY)
    assert config == same
    assert hash(config) == hash(same)
    assert config != other
    assert config != URL
    for twin in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert twin == config
        assert twin.api_key == KEY


def test_replace_changes_some_settings_and_leaves_the_others() -> None:
    config = SekhaConfig(controller_url=URL, api_key=KEY)
    changed = config.replace(max_retries=5, timeout=None, api_key=None)
    assert (changed.max_retries, changed.timeout, changed.api_key) == (5, None, KEY)
    assert (config.max_retries, config.timeout) == (3, 30.0)


# ---- clients of one service ----------------------------------------------------------------------------------------


def test_a_client_config_becomes_the_config_of_its_service() -> None:
    given_ = ClientConfig(base_url=URL, api_key=KEY, rate_limit_requests=500)
    merged = bridge_config(given_, {"max_retries": 1, "timeout": None})
    assert (merged.bridge_url, merged.bridge_api_key, merged.api_key) == (URL, KEY, None)
    assert (merged.rate_limit_requests, merged.max_retries, merged.timeout) == (500, 1, None)


def test_a_client_of_one_service_reads_the_variables_of_its_service(environment: None) -> None:
    merged = bridge_config(None, {})
    assert (merged.bridge_url, merged.bridge_api_key) == ("http://env:2", "env-bridge")
    merged = mcp_config(None, {"base_url": URL})
    assert (merged.controller_url, merged.mcp_api_key) == (URL, "env-mcp")


def test_a_missing_address_of_a_service_is_named_with_its_variable() -> None:
    with pytest.raises(SekhaConfigError, match=r"base_url=.*SEKHA_BRIDGE_URL"):
        bridge_config(None, {"api_key": KEY})


@pytest.mark.parametrize(("name", "value"), [("verify", False), ("cert", "x.pem"), ("proxy", URL), ("trust_env", True)])
def test_a_client_of_the_users_brings_its_own_settings(name: str, value: Any) -> None:
    with httpx.Client(trust_env=False) as client:
        bridge_config(None, {"base_url": URL, "http_client": client})
        with pytest.raises(SekhaConfigError, match=f"http_client.*{name}"):
            bridge_config(None, {"base_url": URL, "http_client": client, name: value})
        with pytest.raises(SekhaConfigError, match=name):
            resolved_config(None, {"controller_url": URL, "api_key": KEY, "http_client": client, name: value})


@pytest.mark.parametrize("make", [controller_config, mcp_config])
def test_a_client_of_the_controllers_server_needs_a_key(make: Callable[..., SekhaConfig]) -> None:
    with pytest.raises(SekhaConfigError, match=r"api_key is missing: pass api_key=\.\.\. or set SEKHA_"):
        make(None, {"base_url": URL})
    assert bridge_config(None, {"base_url": URL}).bridge_api_key is None


def test_what_is_given_makes_a_bad_variable_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEKHA_TIMEOUT", "soon")
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", "nowhere")
    full = {"controller_url": URL, "api_key": KEY, "timeout": 5.0}
    assert resolved_config(None, full).timeout == 5.0
    assert bridge_config(None, {"base_url": URL, "timeout": None}).timeout is None
    with pytest.raises(SekhaConfigError, match="SEKHA_TIMEOUT"):
        resolved_config(None, {"controller_url": URL, "api_key": KEY})
