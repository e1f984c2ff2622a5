# Generated from tests/_async/test_security.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Settings with secrets in them (S1), and where requests go (S6)."""

from __future__ import annotations

import getpass
import platform
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sekha import (
    BridgeClient,
    MCPClient,
    MemoryController,
    SekhaClient,
    SekhaConfig,
    SekhaConfigError,
    __version__,
    create_sekha_client,
)
from sekha.types import ClientConfig
from support.audit import watched
from support.calls import CALLS
from support.canary import frames_of, in_sight, texts_of
from support.facts import REST_KEY
from support.server import FakeServer

from .conftest import MakeClient

# Secrets in settings

SECRETS: dict[str, Any] = {
    "api_key": REST_KEY,
    "headers": {"X-Key": REST_KEY},
    "proxy": f"http://user:{REST_KEY}@127.0.0.1:9",
    "cert": ("/no/such/file", "/no/such/key", REST_KEY),
}
WRONG: list[dict[str, Any]] = [
    {"timeout": -1},
    {"max_retries": "x"},
    {"deadline": 0},
    {"verify": "/no/such/file"},
    {"url": "nowhere"},
    {"url": f"http://user:{REST_KEY}@127.0.0.1:9"},
    {"url": None},
    {"headers": {"a b": REST_KEY}},
    {"headers": {"x-key": REST_KEY + "\n"}},
    {"proxy": f"nowhere://{REST_KEY}"},
    {"cert": ("/no/such/file", REST_KEY, REST_KEY, REST_KEY)},
    {"api_key": REST_KEY + "\n"},
    {"check the spelling": 5},
]


@pytest.mark.promise("S1")
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(
    "cls",
    [
        SekhaClient,
        create_sekha_client,
        MemoryController,
        MCPClient,
        BridgeClient,
        SekhaConfig,
        ClientConfig,
    ],
)
def test_no_secret_is_shown_by_a_client_that_cannot_be_made(cls: Any, wrong: Any) -> None:
    url = "controller_url" if cls in (SekhaClient, create_sekha_client, SekhaConfig) else "base_url"
    secrets = {"api_key": REST_KEY} if cls is ClientConfig else SECRETS
    arguments = {"url": "https://127.0.0.1:9", **secrets, **wrong}
    arguments[url] = arguments.pop("url")
    try:
        cls(**arguments)
    except (SekhaConfigError, TypeError) as error:
        shown = [*([] if isinstance(error, TypeError) else texts_of(error)), frames_of(error)]
        assert not any(in_sight(text) for text in shown)
    else:
        assert cls in (SekhaConfig, ClientConfig), "only a config can wait for the rest"


@pytest.mark.promise("S1")
def test_no_secret_is_shown_by_a_view_or_another_config_that_cannot_be_made(
    make: MakeClient, tmp_path: Path
) -> None:
    client, config = make(), SekhaConfig(api_key=REST_KEY)
    file = tmp_path / "sekha.env"
    file.write_text(f"SEKHA_API_KEY={REST_KEY}\nSEKHA_TIMEOUT=soon\n")
    views: list[Any] = [client, client.controller, client.mcp, client.bridge]
    for view in views:
        with pytest.raises(SekhaConfigError) as caught:
            view.with_options(api_key=REST_KEY, headers={"X-Key": REST_KEY}, timeout=-1)
        assert not any(in_sight(text) for text in texts_of(caught.value))
    with pytest.raises(SekhaConfigError) as caught:
        config.replace(api_key=REST_KEY, timeout=-1)
    assert not any(in_sight(text) for text in texts_of(caught.value))
    with pytest.raises(SekhaConfigError, match="SEKHA_TIMEOUT") as caught:
        SekhaConfig.from_env(file)
    assert not any(in_sight(text) for text in texts_of(caught.value))


# Destinations


@pytest.mark.promise("S6")
def test_no_other_destination_is_contacted_and_nothing_else_is_told(
    client: SekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    with watched("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto") as seen:
        for call in CALLS:
            call.script(server, bridge)
            result = call.on(client)
            if hasattr(result, "get_final_text"):
                result.get_final_text()
    ours = {(url.hostname, url.port) for url in (parts(server), parts(bridge))}
    asked = {tuple(event[-1][:2]) if event[0] == "socket.connect" else tuple(event[1:3]) for event in seen}
    assert asked <= ours
    assert {event[0] for event in seen} <= {"socket.connect", "socket.getaddrinfo"}
    assert sum(event[0] == "socket.connect" for event in seen) == server.connections + bridge.connections
    names = {"host", "accept", "accept-encoding", "user-agent", "authorization"}
    for request in (*server.seen, *bridge.seen):
        body = {"content-type", "content-length"} if request.body else {"content-length"} & set(request.headers)
        assert set(request.headers) - {"connection"} == names | body
        assert request.headers["user-agent"] == f"sekha-python-sdk/{__version__}"
        told = str(request)
        for secret in (socket.gethostname(), getpass.getuser(), platform.platform()):
            assert len(secret) < 5 or secret not in told


def parts(server: FakeServer) -> Any:
    """The address of a server in its parts."""
    return urlsplit(server.url)
