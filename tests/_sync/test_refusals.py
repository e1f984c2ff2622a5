# Generated from tests/_async/test_refusals.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""What is refused before a byte is sent: the kind of error, the field it names, and that nothing was sent."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from sekha import (
    BridgeClient,
    MCPClient,
    MemoryController,
    SekhaClient,
    SekhaClosedError,
    SekhaConfig,
    SekhaConfigError,
    SekhaError,
    SekhaValidationError,
    create_sekha_client,
)
from support import facts
from support.calls import CALLS, MODELS, Call
from support.canary import texts_of
from support.facts import ID
from support.refusals import REFUSED, WORKFLOWS, one_of_each
from support.replies import answer, empty
from support.server import FakeServer

from .conftest import MakeClient

NAN, INFINITY = float("nan"), float("inf")


# Pure code refuses arguments: unit/api/test_refusals.py has the whole table. On the wire stands one row of each method.


@pytest.mark.parametrize(("name", "arguments", "keywords", "field"), one_of_each(REFUSED))
def test_bad_arguments_are_refused_before_anything_is_sent(
    name: str,
    arguments: Any,
    keywords: Any,
    field: str,
    client: SekhaClient,
    server: FakeServer,
    bridge: FakeServer,
) -> None:
    service, _, method = name.partition(".")
    with pytest.raises(SekhaValidationError) as caught:
        getattr(getattr(client, service), method)(*arguments, **keywords)
    error = caught.value
    assert error.field == field
    assert str(error).startswith(f"{field}: ")
    assert (error.sent, error.status_code, error.attempts, error.may_have_been_applied) == (False, 400, 0, False)
    assert isinstance(error, ValueError)
    assert server.connections == bridge.connections == 0


@pytest.mark.parametrize(
    ("keywords", "field"),
    [({"page_size": 0}, "page_size"), ({"label": ""}, "label"), ({"archived": 1}, "archived")],
)
def test_a_walk_is_refused_when_it_is_made(keywords: Any, field: str, client: SekhaClient) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        client.controller.iter_conversations(**keywords)
    assert caught.value.field == field


@pytest.mark.parametrize(("workflow", "arguments", "keywords", "field"), one_of_each(WORKFLOWS))
def test_workflows_refuse_before_anything_is_sent(
    workflow: str, arguments: Any, keywords: Any, field: str, client: SekhaClient, server: FakeServer
) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        getattr(client, workflow)(*arguments, **keywords)
    assert caught.value.field == field
    assert caught.value.sent is False
    assert server.connections == 0


@pytest.mark.promise("S4")
def test_any_form_of_a_uuid_is_one(client: SekhaClient, server: FakeServer) -> None:
    for form in (ID, uuid.UUID(ID), ID.upper(), ID.replace("-", ""), f"urn:uuid:{ID}", f"{{{ID}}}"):
        server.on(f"PUT /api/v1/conversations/{ID}/pin", empty())
        client.controller.pin_conversation(form)
    assert len(server.seen) == 6


# Settings


@pytest.mark.parametrize("cls", [SekhaClient, create_sekha_client])
def test_what_is_missing_is_named_with_its_variable(cls: Any) -> None:
    with pytest.raises(SekhaConfigError, match=r"controller_url=\.\.\. or set SEKHA_CONTROLLER_URL"):
        cls(api_key="k")
    with pytest.raises(SekhaConfigError, match=r"api_key=\.\.\. or set SEKHA_API_KEY"):
        cls(controller_url="http://127.0.0.1:9")


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SekhaConfigError) as caught:
        SekhaClient()
    assert caught.value.message == (
        "controller_url is missing: pass controller_url=... or set SEKHA_CONTROLLER_URL; "
        "api_key is missing: pass api_key=... or set SEKHA_API_KEY"
    )
    with pytest.raises(SekhaConfigError, match=r"^base_url is missing: .*; api_key is missing: "):
        MemoryController()


def test_a_file_with_settings_that_is_not_read_is_mentioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SEKHA_CONTROLLER_URL=http://127.0.0.1:9\nSEKHA_API_KEY=k\n", encoding="utf-8")
    for make in (SekhaClient, MemoryController):
        with pytest.raises(SekhaConfigError, match=r"\.env .* SekhaConfig\.from_env\(env_file=\"\.env\"\)"):
            make()
    with SekhaClient(SekhaConfig.from_env(env_file=".env")):
        pass
    with pytest.raises(SekhaConfigError, match=r"SEKHA_API_KEY$"):
        SekhaClient(SekhaConfig(controller_url="http://127.0.0.1:9"))


@pytest.mark.parametrize(
    ("cls", "variable"),
    [
        (MemoryController, "SEKHA_CONTROLLER_URL"),
        (MCPClient, "SEKHA_CONTROLLER_URL"),
        (BridgeClient, "SEKHA_BRIDGE_URL"),
    ],
)
def test_a_setting_that_a_client_of_one_service_misses_is_named(cls: Any, variable: str) -> None:
    with pytest.raises(SekhaConfigError, match=rf"base_url=\.\.\. or set {variable}") as caught:
        cls(api_key="k")
    assert caught.value.sent is False


@pytest.mark.promise("C10")
@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080",
        "ftp://x",
        "http://",
        "http://x?a=b",
        "http://x#f",
        "",
        "http://u:p@x",
        "http://x:0",
        "http://x:99999",
        "http://x y",
        5,
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: Any) -> None:
    for name in ("controller_url", "bridge_url"):
        settings: dict[str, Any] = {"controller_url": "http://x", "bridge_url": "http://x", "api_key": "k", name: url}
        with pytest.raises(SekhaConfigError, match=name):
            SekhaClient(**settings)


@pytest.mark.promise("S1", "S2")
@pytest.mark.parametrize(
    "key", ["", "  ", "sk-CANARY\nx", "sk-CANARY\0", "sk-CANARY€", "sk-CANARY\r\nx: y", "\x7fsk-CANARY", 5]
)
@pytest.mark.parametrize("name", ["api_key", "mcp_api_key", "bridge_api_key"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(
    name: str, key: Any, client: SekhaClient
) -> None:
    settings: dict[str, Any] = {"controller_url": "http://x", "api_key": "k", name: key}
    with pytest.raises(SekhaConfigError, match=name) as caught:
        SekhaClient(**settings)
    with pytest.raises(SekhaConfigError, match=name) as again:
        client.with_options(**{name: key})
    for error in (caught.value, again.value):
        assert "CANARY" not in "".join(texts_of(error))
        assert error.sent is False


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": "30"},
        {"timeout": NAN},
        {"timeout": True},
        {"deadline": 0},
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"max_retries": None},
        {"headers": {"a b": "c"}},
        {"headers": {"a": "b\r\nc: d"}},
        {"headers": ["a"]},
    ],
)
def test_options_that_cannot_be_used_are_refused(options: Any, client: SekhaClient) -> None:
    (name,) = options
    with pytest.raises(SekhaConfigError, match=name):
        SekhaClient(controller_url="http://x", api_key="k", **options)
    for view in (client, client.controller, client.bridge, client.mcp):
        with pytest.raises(SekhaConfigError, match=name):
            view.with_options(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"rate_limit_requests": 0},
        {"rate_limit_window": 0},
        {"rate_limit_window": INFINITY},
        {"max_connections": 0},
        {"max_concurrent_writes": 0},
        {"max_response_bytes": 0},
        {"verify": "/no/such/file"},
        {"cert": "/no/such/file"},
        {"config": "http://x"},
    ],
)
def test_settings_that_cannot_be_used_are_refused(options: Any) -> None:
    with pytest.raises(SekhaConfigError) as caught:
        SekhaClient(**{"controller_url": "https://x", "api_key": "k", **options})
    (name,) = options
    assert name in str(caught.value)


# Calls that cannot be made


@pytest.mark.parametrize("call", [call for call in CALLS if call.service == MODELS], ids=lambda call: call.name)
def test_without_a_bridge_a_bridge_call_says_what_to_set(
    call: Call, make: MakeClient, server: FakeServer
) -> None:
    client = make(bridge_url=None)
    for one in (client, client.with_options(max_retries=0)):
        with pytest.raises(SekhaConfigError, match=r"bridge_url=\.\.\. or set SEKHA_BRIDGE_URL") as caught:
            call.on(one)
        assert caught.value.sent is False
    server.on("GET /health", answer(facts.HEALTHY))
    assert (client.controller.health())["status"] == "healthy"


@pytest.mark.parametrize(
    "workflow", ["complete_with_context", "stream_with_context", "complete_with_memory", "stream_with_memory"]
)
def test_a_workflow_without_a_bridge_is_refused_before_it_asks_the_controller(
    workflow: str, make: MakeClient, server: FakeServer
) -> None:
    with pytest.raises(SekhaConfigError, match="SEKHA_BRIDGE_URL"):
        getattr(make(bridge_url=None), workflow)("x", "x")
    assert server.connections == 0


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_closed_client_refuses(call: Call, client: SekhaClient, server: FakeServer) -> None:
    view = client.with_options(max_retries=0)
    client.close()
    for one in (client, view):
        with pytest.raises(SekhaClosedError, match="closed") as caught:
            call.on(one)
        error: SekhaError = caught.value
        assert (error.sent, error.attempts, error.may_have_been_applied) == (False, 0, False)
    assert server.connections == 0
