"""A pickle of a config leaves this process without its secrets, unless it is asked for them; a copy has them."""

from __future__ import annotations

import copy
import pickle
import ssl
from functools import partial
from typing import Any, Dict, List

import httpx
import pytest

from sekha import AsyncSekhaClient, BridgeClient, MCPClient, MemoryController, SekhaClient, SekhaConfig
from sekha.errors import SekhaConfigError
from sekha.types import ClientConfig
from unit.vectors import CANARY

URL = "http://localhost:8080"
SECRETS: Dict[str, Any] = {
    "api_key": CANARY,
    "mcp_api_key": CANARY,
    "bridge_api_key": CANARY,
    "headers": {"X-Key": CANARY, "X-Team": "search"},
    "proxy": f"http://user:{CANARY}@proxy:1",
    "cert": ("cert.pem", "key.pem", CANARY),
}
NO_SECRETS: Dict[str, Any] = {
    "controller_url": URL,
    "bridge_url": "http://localhost:5001",
    "timeout": None,
    "max_retries": 5,
    "verify": "/ca.pem",
    "cert": ("cert.pem", "key.pem"),
    "proxy": "http://proxy:3128",
    "trust_env": False,
    "headers": {},
    "on_request": print,
    "tracing": False,
}
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def sent(config: Any, protocol: int = pickle.DEFAULT_PROTOCOL) -> Any:
    """What arrives of a config in another process."""
    return pickle.loads(pickle.dumps(config, protocol))


@pytest.mark.promise("S1")
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", SECRETS)
def test_a_pickle_leaves_each_secret_out(name: str, protocol: int) -> None:
    config = SekhaConfig(**{"controller_url": URL, "max_retries": 5, name: SECRETS[name]})
    data = pickle.dumps(config, protocol)
    assert CANARY.encode() not in data
    arrived = pickle.loads(data)
    assert getattr(arrived, name) is None
    assert (arrived.controller_url, arrived.max_retries, arrived.timeout) == (URL, 5, 30.0)
    assert arrived != config
    assert arrived != SekhaConfig(controller_url=URL, max_retries=5)  # which a client takes as it is
    assert f"{name}=<omitted from the pickle>" in repr(arrived)
    assert CANARY.encode() not in pickle.dumps(sent(arrived, protocol), protocol)


@pytest.mark.promise("S1")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_of_a_client_config_leaves_its_key_out(protocol: int) -> None:
    config = ClientConfig(URL, CANARY, max_retries=5)
    assert CANARY.encode() not in pickle.dumps(config, protocol)
    arrived = sent(config, protocol)
    assert (arrived.base_url, arrived.api_key, arrived.max_retries) == (URL, None, 5)
    assert sent(config.with_secrets(), protocol) == config


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_all_else_is_in_the_pickle(protocol: int) -> None:
    config = SekhaConfig(**NO_SECRETS)
    assert sent(config, protocol) == config
    assert repr(sent(config, protocol)) == repr(config)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_with_secrets_the_pickle_has_everything(protocol: int) -> None:
    config = SekhaConfig(**{**NO_SECRETS, **SECRETS})
    asked = config.with_secrets()
    assert asked == config
    assert asked is not config
    assert repr(asked) == repr(config)
    arrived = sent(asked, protocol)
    assert arrived == config
    assert (
        sent(sent(arrived, protocol).replace(max_retries=1)).api_key == CANARY
    )  # on its way through further processes
    assert sent(config, protocol).api_key is None  # the first one was not changed


def test_a_copy_stays_in_this_process_and_has_everything() -> None:
    context, client = ssl.create_default_context(), httpx.Client()
    with client:
        for config in (
            SekhaConfig(**{**NO_SECRETS, **SECRETS, "verify": context}),
            SekhaConfig(http_client=client, on_retry=partial(print, CANARY)),
            ClientConfig(URL, CANARY),
        ):
            for twin in (copy.copy(config), copy.deepcopy(config)):
                assert twin == config
                assert twin is not config
                assert vars(twin) == vars(config)
    mine = SekhaConfig(headers={"a": "b"})
    assert copy.deepcopy(mine).headers is not mine.headers
    assert copy.deepcopy({"config": [mine]}) == {"config": [mine]}
    assert sent(copy.deepcopy(SekhaConfig(api_key=CANARY).with_secrets())).api_key == CANARY


@pytest.mark.skipif(not hasattr(copy, "replace"), reason="copy.replace is new in Python 3.13")
def test_copy_replace_is_replace() -> None:
    replace: Any = vars(copy)["replace"]
    config = SekhaConfig(controller_url=URL, api_key=CANARY)
    assert replace(config, max_retries=5) == config.replace(max_retries=5)


# ---- a client of what arrived --------------------------------------------------------------------------------------


def test_a_client_takes_what_was_left_out_from_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = sent(SekhaConfig(controller_url=URL, api_key="parents", mcp_api_key="parents", headers={"a": "b"}))
    with pytest.raises(SekhaConfigError) as raised:
        SekhaClient(arrived)
    assert raised.value.message == (
        "api_key, headers, mcp_api_key are missing: the pickle of the SekhaConfig omits them; "
        "pass api_key=... or set SEKHA_API_KEY in this process, pass headers=..., "
        "pass mcp_api_key=... or set SEKHA_MCP_API_KEY in this process, or pickle config.with_secrets()"
    )
    monkeypatch.setenv("SEKHA_API_KEY", "childs")
    with pytest.raises(SekhaConfigError, match=r"^headers, mcp_api_key are missing: "):
        AsyncSekhaClient(arrived)  # and not the api_key for the MCP tools, or requests without the header
    with pytest.raises(SekhaConfigError, match=r"^headers is missing: .* omits it; pass headers=\.\.\., or"):
        SekhaClient(arrived, mcp_api_key="childs")
    for client in (
        SekhaClient(arrived, mcp_api_key="childs", headers={"a": "c"}),
        SekhaClient(arrived.replace(mcp_api_key="childs", headers={"a": "c"})),
    ):
        client.close()


def test_without_the_proxy_that_was_left_out_no_client_goes_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    arrived = sent(SekhaConfig(controller_url=URL, api_key="k", proxy="http://user:pass@proxy:1").with_secrets())
    SekhaClient(arrived).close()
    arrived = sent(SekhaConfig(controller_url=URL, proxy="http://user:pass@proxy:1"))
    with pytest.raises(SekhaConfigError, match=r"^proxy is missing: .* set SEKHA_PROXY in this process"):
        SekhaClient(arrived, api_key="k")
    monkeypatch.setenv("SEKHA_PROXY", "http://user:pass@proxy:2")
    SekhaClient(arrived, api_key="k").close()


@pytest.mark.parametrize(
    ("make", "variables"),
    [
        (MemoryController, ["SEKHA_API_KEY"]),
        (MCPClient, ["SEKHA_MCP_API_KEY", "SEKHA_API_KEY"]),
        (BridgeClient, ["SEKHA_BRIDGE_API_KEY"]),
    ],
)
def test_a_client_of_one_service_asks_for_its_key(
    make: Any, variables: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = sent(ClientConfig(URL, "parents"))
    with pytest.raises(SekhaConfigError) as raised:
        make(arrived)
    assert raised.value.message == (
        "api_key is missing: the pickle of the ClientConfig omits it; "
        f"pass api_key=... or set {variables[0]} in this process, or pickle config.with_secrets()"
    )
    make(arrived, api_key="childs").close()
    for variable in variables:
        with monkeypatch.context() as patch:
            patch.setenv(variable, "childs")
            make(arrived).close()


def test_a_config_that_never_had_a_key_says_what_it_always_said() -> None:
    with pytest.raises(SekhaConfigError, match=r"^api_key is missing: pass api_key=\.\.\. or set SEKHA_API_KEY$"):
        SekhaClient(sent(SekhaConfig(controller_url=URL)))
    BridgeClient(sent(ClientConfig(URL))).close()


# ---- what cannot leave its process -----------------------------------------------------------------------------------


@pytest.mark.parametrize("with_secrets", [False, True])
@pytest.mark.parametrize(
    ("name", "make"), [("verify", ssl.create_default_context), ("http_client", partial(httpx.Client, trust_env=False))]
)
def test_what_belongs_to_the_process_is_named(name: str, make: Any, with_secrets: bool) -> None:
    config = SekhaConfig(**{"api_key": CANARY, name: make()})
    if with_secrets:
        config = config.with_secrets()
    with pytest.raises(TypeError) as raised:
        pickle.dumps(config)
    assert str(raised.value) == (
        f"SekhaConfig cannot be pickled with {name}=<{type(getattr(config, name)).__name__}>, which belongs to this "
        f"process; remove {name} from the config and pass it to the client in the other process"
    )


def a_hook(event: object) -> None:
    """A function that another process can import."""


def test_a_hook_is_pickled_as_any_function() -> None:
    assert sent(SekhaConfig(on_request=a_hook)).on_request is a_hook
    with pytest.raises((AttributeError, pickle.PicklingError), match="lambda"):
        pickle.dumps(SekhaConfig(on_request=lambda event: None))
