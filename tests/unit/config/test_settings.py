"""The table of settings, and the signatures, types and documentation that must agree with it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from ssl import SSLContext
from typing import Any, Callable, Dict, List, Literal, Optional, Set, Tuple, Union, get_args, get_origin, get_type_hints

import pytest

import sekha.config
from sekha import AsyncSekhaClient, SekhaClient, SekhaConfig
from sekha._async.base import AsyncClientOptions
from sekha._http.models import AsyncHTTPClient, HTTPClient
from sekha._sync.base import ClientOptions
from sekha._utils.sentinel import NOT_GIVEN, NotGiven
from sekha.config._models import ClientSettings, ConfigChanges, ConnectionSettings, StrPath
from sekha.config._settings import ENVIRONMENT, HTTP_CLIENT_CONFLICTS, SETTINGS, masked_repr, validate_setting
from sekha.gates import AsyncGate
from sekha.types import ClientConfig

OF_ONE_SERVICE = "base_url"
NAMES = [name for name in SETTINGS if name != OF_ONE_SERVICE]
OWN_ARGUMENTS = ("controller_url", "api_key", "bridge_url", "bridge_api_key", "mcp_api_key", "timeout", "max_retries")
"""Settings that clients of one service have as arguments of their own, or not at all."""

CONFIGS: List[Any] = [SekhaConfig, ClientConfig]
CLIENTS: List[Any] = [SekhaClient, AsyncSekhaClient]
DIFFERING = {"http_client", "write_gate", "rate_limiter"}
"""Whose types are those of the client type."""
HTTP_CLIENTS: Dict[Any, Any] = {SekhaClient: Optional[HTTPClient], AsyncSekhaClient: Optional[AsyncHTTPClient]}

DESCRIBED_OTHERWISE = {
    # A client reads the variable itself; a config reads it only in `from_env`.
    AsyncSekhaClient: {"controller_url", "api_key", "bridge_url"},
    SekhaClient: {"controller_url", "api_key", "bridge_url"},
    # Its key and address are those of whatever service it is for.
    ClientConfig: {"base_url", "api_key"},
}
PATHS: Dict[str, Any] = {
    "rate_limit_requests": Union[int, Literal["none"], None],
    "verify": Union[bool, StrPath, SSLContext],
    "cert": Union[StrPath, Sequence[StrPath], None],
}
"""What is accepted for a path, or as a word; fields have it as text, or as what it stands for."""
IN_WORDS = {64 * 1024 * 1024: "64 MiB", 30.0: "30", 60.0: "60"}


def parameters(made: Any) -> Dict[str, inspect.Parameter]:
    found = dict(inspect.signature(made).parameters)
    found.pop("config", None)
    return found


def documented(cls: Any) -> Dict[str, str]:
    """The descriptions of the arguments, each in one line."""
    section = (inspect.getdoc(cls) or "").partition("\nArgs:\n")[2].partition("\n\n")[0]
    entries = re.split(r"^    (?=\w+: )", section, flags=re.MULTILINE)[1:]
    pairs = [entry.split(": ", 1) for entry in entries]
    return {name: " ".join(text.split()) for name, text in pairs if name != "config"}


def types_in(hint: Any) -> Set[Any]:
    """The types of a union."""
    return set(get_args(hint)) if get_origin(hint) is Union else {hint}


# ---- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [SekhaConfig, *CLIENTS])
def test_the_constructors_have_all_settings_in_the_order_of_the_table(made: Any) -> None:
    found = parameters(made)
    assert list(found) == NAMES
    assert {one.kind for one in found.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert list(documented(made)) == NAMES


@pytest.mark.parametrize("cls", CONFIGS)
def test_a_config_has_a_field_for_each_argument(cls: Any) -> None:
    assert list(cls.__annotations__) == list(parameters(cls)) == list(documented(cls))
    assert set(cls.__annotations__) <= set(SETTINGS)


def test_the_keywords_of_clients_are_the_settings() -> None:
    assert set(ClientSettings.__annotations__) == set(NAMES) - DIFFERING
    assert list(ConnectionSettings.__annotations__) == [
        name for name in NAMES if name not in (*OWN_ARGUMENTS, *DIFFERING)
    ]
    assert set(ConfigChanges.__annotations__) == set(NAMES) - {"http_client"}
    for options in (ClientOptions, AsyncClientOptions):
        assert set(options.__annotations__) == set(NAMES)


# ---- defaults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [*CONFIGS, *CLIENTS])
def test_the_default_of_an_argument_is_none_where_that_means_not_given(made: Any) -> None:
    for name, one in parameters(made).items():
        assert one.default is (None if SETTINGS[name].none_is_missing else NOT_GIVEN), name


@pytest.mark.parametrize("cls", CONFIGS)
def test_the_defaults_of_a_config_are_those_of_the_table(cls: Any) -> None:
    for name in parameters(cls):
        assert getattr(cls(), name) is SETTINGS[name].default
        assert getattr(cls, name) is SETTINGS[name].default


@pytest.mark.parametrize("name", SETTINGS)
def test_a_default_is_a_value_that_can_be_used_or_the_absence_of_one(name: str) -> None:
    setting = SETTINGS[name]
    if setting.none_is_missing:
        assert setting.default is None
    else:
        assert validate_setting(name, setting.default) == setting.default


# ---- types ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [*CONFIGS, *CLIENTS])
def test_an_argument_has_the_type_of_its_field(made: Any) -> None:
    hints = get_type_hints(made.__init__)
    for name in parameters(made):
        field = {**get_type_hints(SekhaConfig), **get_type_hints(ClientConfig), **PATHS}[name]
        if name == "http_client":
            field = HTTP_CLIENTS.get(made, field)
        if name in ("write_gate", "rate_limiter") and made is SekhaClient:
            field = Union[tuple(types_in(field) - {AsyncGate})]
        absent: Set[Any] = set() if SETTINGS[name].none_is_missing else {NotGiven}
        assert types_in(hints[name]) == types_in(field) | absent, name


def test_a_keyword_has_the_type_of_its_field() -> None:
    fields = {**get_type_hints(SekhaConfig), **PATHS}
    for name, hint in get_type_hints(ConfigChanges).items():
        assert hint == fields[name], name


@pytest.mark.parametrize("cls", CONFIGS)
def test_the_types_of_a_config_can_be_evaluated(cls: Any) -> None:
    """They are looked up in the public module, which the classes name as theirs."""
    assert cls.__module__ == "sekha.config"
    assert set(cls.__annotations__) < set(get_type_hints(cls))


# ---- documentation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [ClientConfig, *CLIENTS])
def test_a_setting_is_described_everywhere_in_the_same_words(cls: Any) -> None:
    reference, others = documented(SekhaConfig), documented(cls)
    differing = {name for name, text in others.items() if text != reference.get(name)}
    assert differing == DESCRIBED_OTHERWISE[cls]


def test_the_description_has_the_default() -> None:
    for name, text in documented(SekhaConfig).items():
        default = SETTINGS[name].default
        stated = re.search(r"[Dd]efault ([^.,]+)|Not given: (\d+)", text)
        if stated is not None:
            assert (stated[1] or stated[2]) == IN_WORDS.get(default, str(default)), name
        else:
            assert default is None or name == "verify", name


def test_the_variables_are_those_of_the_public_documentation() -> None:
    rows: List[Tuple[str, str]] = re.findall(r"^\| ``(\w+)`` \| ``(\w+)``", sekha.config.__doc__ or "", re.MULTILINE)
    assert [(name, variable) for variable, name in rows] == list(ENVIRONMENT.items())
    assert all(variable == f"SEKHA_{name.upper()}" for name, variable in ENVIRONMENT.items())


# ---- what follows from a row ---------------------------------------------------------------------------------------


def test_an_http_client_brings_its_own_tls_and_proxy() -> None:
    assert HTTP_CLIENT_CONFLICTS == ("verify", "cert", "proxy", "trust_env")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("api_key", "sk-secret", "'***'"),
        ("mcp_api_key", "sk-secret", "'***'"),
        ("bridge_api_key", "sk-secret", "'***'"),
        ("proxy", "http://user:secret@proxy:1", "'***'"),
        ("headers", {"X-Key": "secret"}, "{'X-Key': '***'}"),
        ("cert", ("cert.pem", "key.pem", "secret"), "('cert.pem', 'key.pem', '***')"),
        ("cert", ("cert.pem", "key.pem"), "('cert.pem', 'key.pem')"),
        ("cert", "cert.pem", "'cert.pem'"),
        ("on_request", print, "<print>"),
        ("controller_url", "http://localhost", "'http://localhost'"),
        ("timeout", None, "None"),
    ],
)
def test_how_a_value_is_shown(name: str, value: object, shown: str) -> None:
    assert masked_repr(name, value) == shown


@pytest.mark.parametrize("name", [name for name in SETTINGS if name.endswith("_key")])
def test_every_key_is_masked(name: str) -> None:
    assert "secret" not in masked_repr(name, "sk-secret")


@pytest.mark.parametrize("make", [SekhaConfig, SekhaClient])
def test_an_unknown_setting_is_refused_even_as_none(make: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="nonsense"):
        make(controller_url="http://localhost", api_key="k", nonsense=None)
