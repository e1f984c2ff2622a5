"""A config is a value: its defaults, what it shows, copies and pickles."""

from __future__ import annotations

import copy
import functools
import pickle
from typing import Any, Dict

import pytest

from sekha import SekhaConfig
from sekha.config._models import is_set
from sekha.types import ClientConfig
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
    assert (config.on_request, config.on_response, config.on_retry, config.on_wait) == (None, None, None, None)
    assert config.tracing is True
    client = ClientConfig()
    assert (client.base_url, client.api_key, client.timeout, client.max_retries) == (None, None, 30.0, 3)
    assert (client.rate_limit_requests, client.rate_limit_window) == (1000, 60.0)


# ---- keys (S1, S2) -----------------------------------------------------------------------------------------------


SECRETS: Dict[str, Any] = {
    "api_key": CANARY,
    "mcp_api_key": CANARY,
    "bridge_api_key": CANARY,
    "headers": {"X-Key": CANARY},
    "proxy": f"http://user:{CANARY}@proxy:1",
    "cert": ("cert.pem", "key.pem", CANARY),
}


@pytest.mark.promise("S1")
@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_shown_by_a_config(name: str) -> None:
    config = SekhaConfig(controller_url=URL, **{name: SECRETS[name]})
    for text in (repr(config), str(config), f"{config}", repr([config]), repr({"c": config})):
        assert CANARY not in text
        assert name in text
        assert URL in text


@pytest.mark.promise("S1")
def test_a_client_config_does_not_show_its_key() -> None:
    assert CANARY not in repr(ClientConfig(URL, CANARY))


# ---- numbers and headers -----------------------------------------------------------------------------------------


def test_none_means_no_limit_for_timeout_and_deadline_and_is_remembered_as_given() -> None:
    config = SekhaConfig(timeout=None, deadline=None)
    assert config.timeout is None
    assert is_set(config, "timeout")
    assert not is_set(SekhaConfig(), "timeout")


def test_a_hook_is_shown_by_its_name_alone() -> None:
    hook: Any = functools.partial(print, CANARY)
    assert repr(SekhaConfig(on_request=hook, on_retry=print)) == "SekhaConfig(on_request=<partial>, on_retry=<print>)"


def test_headers_are_copied() -> None:
    mine = {"X-Request-ID": "1"}
    config = SekhaConfig(headers=mine)
    mine["X-Request-ID"] = "2"
    assert config.headers == {"X-Request-ID": "1"}


# ---- a config is a value -----------------------------------------------------------------------------------------


def test_a_config_cannot_be_changed_but_compared_copied_and_pickled() -> None:
    config = SekhaConfig(controller_url=URL, api_key=KEY, headers={"a": "b"})
    with pytest.raises(AttributeError, match="is immutable"):
        config.timeout = 5.0
    with pytest.raises(AttributeError, match="is immutable"):
        del config.api_key
    same, other = SekhaConfig(controller_url=URL + "/", api_key=KEY, headers={"a": "b"}), SekhaConfig(api_key=KEY)
    assert config == same
    assert hash(config) == hash(same)
    assert config != other
    assert config != URL
    for twin in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config.with_secrets()))):
        assert twin == config
        assert twin.api_key == KEY


def test_replace_changes_some_settings_and_leaves_the_others() -> None:
    config = SekhaConfig(controller_url=URL, api_key=KEY)
    changed = config.replace(max_retries=5, timeout=None, api_key=None)
    assert (changed.max_retries, changed.timeout, changed.api_key) == (5, None, KEY)
    assert (config.max_retries, config.timeout) == (3, 30.0)
