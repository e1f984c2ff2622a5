"""An argument beats the config beats the environment beats the default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict

import httpx
import pytest

from sekha import SekhaConfig
from sekha.config._resolve import resolve_config, resolve_service_config
from sekha.errors import SekhaConfigError
from sekha.types import ClientConfig

URL = "http://localhost:8080"
KEY = "sk-secret"


# ---- who beats whom ------------------------------------------------------------------------------------------------


VARIABLES = {
    "controller_url": ("SEKHA_CONTROLLER_URL", "http://env:1"),
    "api_key": ("SEKHA_API_KEY", "env-key"),
    "bridge_url": ("SEKHA_BRIDGE_URL", "http://env:2"),
    "bridge_api_key": ("SEKHA_BRIDGE_API_KEY", "env-bridge"),
    "mcp_api_key": ("SEKHA_MCP_API_KEY", "env-mcp"),
    "timeout": ("SEKHA_TIMEOUT", "7.5"),
    "max_retries": ("SEKHA_MAX_RETRIES", "7"),
    "rate_limit_requests": ("SEKHA_RATE_LIMIT_REQUESTS", "7"),
    "rate_limit_window": ("SEKHA_RATE_LIMIT_WINDOW", "7.5"),
    "write_gate": ("SEKHA_WRITE_GATE", "process"),
    "proxy": ("SEKHA_PROXY", "http://env:3"),
}
FROM_ENV: Dict[str, Any] = {name: value for name, (_, value) in VARIABLES.items()}
FROM_ENV.update(timeout=7.5, max_retries=7, rate_limit_requests=7, rate_limit_window=7.5)
OTHER: Dict[str, Any] = {
    "controller_url": "http://arg:1",
    "api_key": "arg-key",
    "bridge_url": "http://arg:2",
    "bridge_api_key": "arg-bridge",
    "mcp_api_key": "arg-mcp",
    "timeout": 1.5,
    "max_retries": 1,
    "rate_limit_requests": 1,
    "rate_limit_window": 1.5,
    "write_gate": "shared",
    "proxy": "http://arg:3",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in VARIABLES.values():
        monkeypatch.setenv(variable, value)


@pytest.mark.parametrize("name", VARIABLES)
def test_an_argument_beats_the_config_beats_the_environment(name: str, environment: None) -> None:
    base = SekhaConfig(controller_url="http://config:1", api_key="config-key")
    named = SekhaConfig(**{**base._explicit(), name: OTHER[name]})
    assert getattr(resolve_config(None, {}), name) == FROM_ENV[name]
    assert getattr(resolve_config(named, {}), name) == OTHER[name]
    assert getattr(resolve_config(base, {name: OTHER[name]}), name) == OTHER[name]
    assert getattr(resolve_config(named, {name: FROM_ENV[name]}), name) == FROM_ENV[name]


def test_a_given_none_is_no_limit_and_beats_the_environment_but_a_none_string_is_not_given(environment: None) -> None:
    config = resolve_config(None, {"timeout": None, "api_key": None, "bridge_url": None, "headers": None})
    assert config.timeout is None
    assert (config.api_key, config.bridge_url, config.headers) == ("env-key", "http://env:2", None)


def test_the_defaults_of_a_config_object_do_not_beat_the_environment(environment: None) -> None:
    assert resolve_config(SekhaConfig(controller_url=URL), {}).max_retries == 7


@pytest.mark.parametrize(
    ("name", "variable"), [("controller_url", "SEKHA_CONTROLLER_URL"), ("api_key", "SEKHA_API_KEY")]
)
def test_what_is_missing_is_named_as_argument_and_as_variable(name: str, variable: str) -> None:
    full = {"controller_url": URL, "api_key": KEY}
    del full[name]
    with pytest.raises(SekhaConfigError) as caught:
        resolve_config(None, full)
    assert f"{name}=" in str(caught.value)
    assert variable in str(caught.value)


@pytest.mark.parametrize("text", ["none", " None "])
def test_a_variable_may_say_that_there_is_no_rate_limit(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEKHA_RATE_LIMIT_REQUESTS", text)
    assert SekhaConfig.from_env().rate_limit_requests is None
    for service in ("controller", "mcp", "bridge"):
        config = resolve_service_config(service, None, {"base_url": URL, "api_key": KEY})
        assert config.rate_limit_requests is None


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_counts_as_not_set(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEKHA_TIMEOUT", text)
    monkeypatch.setenv("SEKHA_API_KEY", text)
    config = SekhaConfig.from_env()
    assert config.timeout == 30.0
    assert config.api_key is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SEKHA_TIMEOUT", "soon"),
        ("SEKHA_MAX_RETRIES", "1.5"),
        ("SEKHA_MAX_RETRIES", "many"),
        ("SEKHA_RATE_LIMIT_REQUESTS", "few"),
        ("SEKHA_RATE_LIMIT_REQUESTS", "0"),
        ("SEKHA_RATE_LIMIT_WINDOW", "none"),
    ],
)
def test_a_variable_that_is_no_number_is_named(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SekhaConfigError, match=variable):
        SekhaConfig.from_env()


def test_a_config_must_be_one() -> None:
    with pytest.raises(SekhaConfigError, match="controller_url="):
        resolve_config("http://localhost:8080", {})  # type: ignore[arg-type]
    with pytest.raises(SekhaConfigError, match="base_url="):
        resolve_service_config("controller", "http://localhost", {})  # type: ignore[arg-type]


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
        resolve_config(None, {})
    for env_file in (file, str(file)):
        config = SekhaConfig.from_env(env_file)
        assert (config.controller_url, config.api_key, config.timeout) == ("http://file:1", "process-key", 2.0)
    assert dict(os.environ) == before


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(SekhaConfigError, match=r"env_file.*nowhere\.env"):
        SekhaConfig.from_env(tmp_path / "nowhere.env")
    bad = tmp_path / "bad.env"
    bad.write_bytes(b"SEKHA_API_KEY=\xff\xfe")
    with pytest.raises(SekhaConfigError, match=r"env_file.*bad\.env is not UTF-8"):
        SekhaConfig.from_env(bad)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_may_be_that_of_an_editor_of_windows(encoding: str, end: str, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(f"SEKHA_CONTROLLER_URL=http://file:1{end}# Schlüssel{end}SEKHA_API_KEY=k{end}".encode(encoding))
    config = SekhaConfig.from_env(file)
    assert (config.controller_url, config.api_key) == ("http://file:1", "k")


def test_a_file_that_powershell_has_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("\ufeffSEKHA_API_KEY=sk-secret\r\n", "utf-16-le")
    with pytest.raises(SekhaConfigError, match="is not UTF-8; save it as UTF-8") as caught:
        SekhaConfig.from_env(file)
    assert "secret" not in str(caught.value)


# ---- clients of one service ----------------------------------------------------------------------------------------


def test_a_client_config_becomes_the_config_of_its_service() -> None:
    given_ = ClientConfig(base_url=URL, api_key=KEY, rate_limit_requests=500)
    merged = resolve_service_config("bridge", given_, {"max_retries": 1, "timeout": None})
    assert (merged.bridge_url, merged.bridge_api_key, merged.api_key) == (URL, KEY, None)
    assert (merged.rate_limit_requests, merged.max_retries, merged.timeout) == (500, 1, None)


def test_a_client_of_one_service_reads_the_variables_of_its_service(environment: None) -> None:
    merged = resolve_service_config("bridge", None, {})
    assert (merged.bridge_url, merged.bridge_api_key) == ("http://env:2", "env-bridge")
    merged = resolve_service_config("mcp", None, {"base_url": URL})
    assert (merged.controller_url, merged.mcp_api_key) == (URL, "env-mcp")


def test_a_missing_address_of_a_service_is_named_with_its_variable() -> None:
    with pytest.raises(SekhaConfigError, match=r"base_url=.*SEKHA_BRIDGE_URL"):
        resolve_service_config("bridge", None, {"api_key": KEY})


def test_no_proxy_at_all_goes_with_a_client_that_brings_its_own() -> None:
    with httpx.Client(trust_env=False) as client:
        found = resolve_config(None, {"controller_url": URL, "api_key": KEY, "http_client": client, "proxy": " None "})
    assert found.proxy == "none"


@pytest.mark.parametrize(("name", "value"), [("verify", False), ("cert", "x.pem"), ("proxy", URL), ("trust_env", True)])
def test_a_client_of_the_users_brings_its_own_settings(name: str, value: Any) -> None:
    with httpx.Client(trust_env=False) as client:
        resolve_service_config("bridge", None, {"base_url": URL, "http_client": client})
        with pytest.raises(SekhaConfigError, match=f"http_client.*{name}"):
            resolve_service_config("bridge", None, {"base_url": URL, "http_client": client, name: value})
        with pytest.raises(SekhaConfigError, match=name):
            resolve_config(None, {"controller_url": URL, "api_key": KEY, "http_client": client, name: value})


@pytest.mark.parametrize("service", ["controller", "mcp"])
def test_a_client_of_the_controllers_server_needs_a_key(service: str) -> None:
    with pytest.raises(SekhaConfigError, match=r"api_key is missing: pass api_key=\.\.\. or set SEKHA_"):
        resolve_service_config(service, None, {"base_url": URL})
    assert resolve_service_config("bridge", None, {"base_url": URL}).bridge_api_key is None


def test_what_is_given_makes_a_bad_variable_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEKHA_TIMEOUT", "soon")
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", "nowhere")
    full = {"controller_url": URL, "api_key": KEY, "timeout": 5.0}
    assert resolve_config(None, full).timeout == 5.0
    assert resolve_service_config("bridge", None, {"base_url": URL, "timeout": None}).timeout is None
    with pytest.raises(SekhaConfigError, match="SEKHA_TIMEOUT"):
        resolve_config(None, {"controller_url": URL, "api_key": KEY})


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SEKHA_TIMEOUT", "nan", "SEKHA_TIMEOUT: expected seconds, above 0"),
        ("SEKHA_CONTROLLER_URL", "localhost:8080", "SEKHA_CONTROLLER_URL: it must start with http"),
        ("SEKHA_MAX_RETRIES", "3.0", "SEKHA_MAX_RETRIES: expected a whole number"),
        ("SEKHA_RATE_LIMIT_REQUESTS", "few", "SEKHA_RATE_LIMIT_REQUESTS: expected a whole number, or none"),
        (
            "SEKHA_RATE_LIMIT_REQUESTS",
            "-1",
            "SEKHA_RATE_LIMIT_REQUESTS: expected a whole number of at least 1",
        ),
        ("SEKHA_RATE_LIMIT_WINDOW", "none", "SEKHA_RATE_LIMIT_WINDOW: expected a number"),
    ],
)
def test_a_bad_variable_is_called_by_its_name(
    variable: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SekhaConfigError) as caught:
        SekhaConfig.from_env()
    assert caught.value.message.startswith(words)
