"""What is refused before a byte is sent: the kind of error, the field it names, and that nothing was sent."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from sekha import (
    AsyncBridgeClient,
    AsyncMCPClient,
    AsyncMemoryController,
    AsyncSekhaClient,
    SekhaClosedError,
    SekhaConfigError,
    SekhaError,
    SekhaValidationError,
    create_async_sekha_client,
)
from support import facts
from support.calls import CALLS, MODELS, Call
from support.canary import texts_of
from support.facts import ID, MESSAGES
from support.replies import answer, empty
from support.server import FakeServer

from .conftest import MakeClient

NAN, INFINITY, HALF = float("nan"), float("inf"), "\ud800"
USER = {"role": "user", "content": "Hi"}


def messages(*faulty: Any) -> dict[str, Any]:
    """Good messages, and bad ones behind them."""
    return {"messages": [USER, *faulty]}


BAD: list[Any] = [
    # messages
    ("controller.create_conversation", [], {}, "messages"),
    ("controller.create_conversation", [{"label": "L"}], {}, "messages"),
    ("controller.create_conversation", ["text"], {}, "conversation"),
    ("controller.create_conversation", [], {"messages": "Hi"}, "messages"),
    ("controller.create_conversation", [], {"messages": b"Hi"}, "messages"),
    ("controller.create_conversation", [], messages({"content": "Hi"}), "messages[1].role"),
    ("controller.create_conversation", [], messages({"role": 5, "content": "Hi"}), "messages[1].role"),
    ("controller.create_conversation", [], messages({"role": "", "content": "Hi"}), "messages[1].role"),
    ("controller.create_conversation", [], messages({"role": "user"}), "messages[1].content"),
    ("controller.create_conversation", [], messages({"role": "user", "content": None}), "messages[1].content"),
    ("controller.create_conversation", [], messages({"role": "user", "content": 5}), "messages[1].content"),
    ("controller.create_conversation", [], messages({"role": "user", "content": NAN}), "messages[1].content"),
    ("controller.create_conversation", [], messages({"role": "user", "content": HALF}), "messages[1].content"),
    ("controller.create_conversation", [], messages({"role": "user", "content": "\0"}), "messages[1].content"),
    ("controller.create_conversation", [], messages({**USER, "extra": INFINITY}), "messages[1].extra"),
    ("controller.create_conversation", [], messages({**USER, "extra": [{"deep": NAN}]}), "messages[1].extra[0].deep"),
    ("controller.create_conversation", [], messages({**USER, "extra": object()}), "messages[1].extra"),
    ("controller.create_conversation", [], messages({**USER, 5: "x"}), "messages[1]"),
    ("controller.create_conversation", [], messages("Hi"), "messages[1]"),
    (
        "controller.create_conversation",
        [],
        messages({"role": "user", "content": [{"type": "text", "text": 5}]}),
        "messages[1].content[0].text",
    ),
    ("controller.create_conversation", [], messages({"role": "user", "content": [{}]}), "messages[1].content[0].type"),
    ("controller.create_conversation", [{"messages": [USER], "lable": "L"}], {}, "lable"),
    ("controller.create_conversation", [], {"messages": [USER], "label": ""}, "label"),
    ("controller.create_conversation", [], {"messages": [USER], "label": 5}, "label"),
    ("controller.create_conversation", [], {"messages": [USER], "label": HALF}, "label"),
    ("controller.create_conversation", [], {"messages": [USER], "folder": ""}, "folder"),
    *(
        ("controller.create_conversation", [], {"messages": [USER], "importance_score": bad}, "importance_score")
        for bad in (0, 11, 7.0, "7", True, NAN)
    ),
    ("mcp.memory_store", [], {}, "messages"),
    ("mcp.memory_store", [], messages({"role": "user"}), "messages[1].content"),
    ("mcp.memory_store", [], {"messages": [USER], "importance_score": 0}, "importance_score"),
    ("mcp.memory_store", [5], {}, "request"),
    ("bridge.complete", [[]], {}, "messages"),
    ("bridge.complete", [[{"role": 5, "content": "Hi"}]], {}, "messages[0].role"),
    ("bridge.stream_complete", [[{"content": "Hi"}]], {}, "messages[0].role"),
    *(("bridge.complete", [[USER]], {"temperature": bad}, "temperature") for bad in (-0.1, 2.1, NAN, "1", True)),
    *(("bridge.complete", [[USER]], {"max_tokens": bad}, "max_tokens") for bad in (0, -1, 1.5, "9")),
    ("bridge.complete", [[USER]], {"model": ""}, "model"),
    # ids
    *(
        (f"controller.{method}", [bad], more, "conversation_id")
        for bad in ("", "count", "../count", "3f0c1a52-8d1e-4c55-9d0a", 5, None, ID + "/pin", ID + "\n", "٣" * 32)
        for method, more in (("get_conversation", {}), ("update_label", {"label": "L", "folder": "/"}))
    ),
    *(
        (f"controller.{method}", ["no id"], more, "conversation_id")
        for method, more in (
            ("get_messages", {}),
            ("update_folder", {"folder": "/"}),
            ("pin_conversation", {}),
            ("archive_conversation", {}),
            ("delete_conversation", {}),
            ("summarize", {}),
            ("suggest_labels", {}),
        )
    ),
    *(
        (f"mcp.{method}", ["no id"], more, "conversation_id")
        for method, more in (("memory_update", {"label": "L"}), ("memory_get_context", {}), ("memory_export", {}))
    ),
    ("controller.prune_execute", [[ID, "x"]], {}, "conversation_ids[1]"),
    ("controller.prune_execute", [ID], {}, "conversation_ids"),
    ("controller.prune_execute", [None], {}, "conversation_ids"),
    # queries
    *(("controller.query", [bad], {}, "query") for bad in ("", " \n", 5, None, HALF, "\0")),
    *(("controller.query", ["x"], {"limit": bad}, "limit") for bad in (0, -1, 1.0, "5", True, 2**32, NAN)),
    *(("controller.query", ["x"], {"offset": bad}, "offset") for bad in (-1, 1.5, "0")),
    ("controller.query", ["x"], {"filters": {"lable": "A"}}, "filters.lable"),
    ("controller.query", ["x"], {"filters": {"labels": "A"}}, "filters.labels"),
    ("controller.query", ["x"], {"filters": {"min_importance": 11}}, "filters.min_importance"),
    ("controller.query", ["x"], {"filters": {"min_importance": "7"}}, "filters.min_importance"),
    ("controller.query", ["x"], {"filters": {"start_date": "yesterday"}}, "filters.start_date"),
    ("controller.query", ["x"], {"filters": {"end_date": "2026-02-30"}}, "filters.end_date"),
    (
        "controller.query",
        ["x"],
        {"filters": {"start_date": "2026-02-02", "end_date": "2026-02-01"}},
        "filters.end_date",
    ),
    ("controller.query", ["x"], {"filters": ["A"]}, "filters"),
    ("controller.full_text_search", [" "], {}, "query"),
    ("controller.full_text_search", ["x"], {"limit": 0}, "limit"),
    ("controller.full_text_search", ["x"], {"raw": 1}, "raw"),
    ("controller.assemble_context", [""], {}, "query"),
    ("controller.assemble_context", ["x"], {"context_budget": -1}, "context_budget"),
    ("controller.assemble_context", ["x"], {"context_budget": 1.5}, "context_budget"),
    ("controller.assemble_context", ["x"], {"preferred_labels": "A"}, "preferred_labels"),
    ("controller.assemble_context", ["x"], {"excluded_folders": [5]}, "excluded_folders[0]"),
    ("mcp.memory_search", [], {}, "query"),
    ("mcp.memory_search", [{"query": ""}], {}, "query"),
    ("mcp.memory_search", [{"query": "x", "limit": -1}], {}, "limit"),
    ("mcp.memory_search", [{"query": "x", "labls": ["A"]}], {}, "labls"),
    ("mcp.memory_search", ["x"], {}, "request"),
    ("mcp.memory_search", [], {"query": "x", "end_date": "soon"}, "end_date"),
    ("mcp.memory_stats", [{"lables": ["A"]}], {}, "lables"),
    ("mcp.memory_stats", [{"labels": "A"}], {}, "labels"),
    ("mcp.memory_stats", [{"start_date": "soon"}], {}, "start_date"),
    ("mcp.memory_stats", [], {"start_date": "2026-02-02", "end_date": "2026-02-01"}, "end_date"),
    ("mcp.memory_stats", [["A"]], {}, "request"),
    # the rest
    ("controller.update_label", [ID], {}, "label"),
    ("controller.update_label", [ID], {"label": ""}, "label"),
    ("controller.update_folder", [ID], {"folder": None}, "folder"),
    ("controller.update_folder", [ID], {"folder": ""}, "folder"),
    ("controller.list_conversations", [], {"page": 0}, "page"),
    ("controller.list_conversations", [], {"page_size": 0}, "page_size"),
    ("controller.list_conversations", [], {"page_size": -5}, "page_size"),
    ("controller.list_conversations", [], {"pinned": "yes"}, "pinned"),
    ("controller.count_conversations", [], {"label": "a", "label_contains": "b"}, "label and label_contains"),
    ("controller.count_conversations", [], {"folder": ""}, "folder"),
    ("controller.summarize", [ID], {"level": "yearly"}, "level"),
    *(("controller.prune_dry_run", [], {"threshold_days": bad}, "threshold_days") for bad in (-1, 36501, 1.5, "9")),
    ("mcp.memory_prune", [], {"threshold_days": -1}, "threshold_days"),
    ("mcp.memory_prune", [], {"importance_threshold": 11}, "importance_threshold"),
    ("mcp.memory_prune", [], {"importance_threshold": NAN}, "importance_threshold"),
    ("mcp.memory_update", [ID], {}, "label"),
    ("mcp.memory_update", [ID], {"status": "deleted"}, "status"),
    ("mcp.memory_update", [ID], {"importance_score": 11}, "importance_score"),
    ("mcp.memory_export", [ID], {"format": "pdf"}, "format"),
    ("mcp.memory_export", [ID], {"include_metadata": "no"}, "include_metadata"),
    ("bridge.embed", [], {}, "input"),
    ("bridge.embed", [""], {}, "input"),
    ("bridge.embed", [[]], {}, "input"),
    ("bridge.embed", [["a", ""]], {}, "input[1]"),
    ("bridge.embed", [["a", 5]], {}, "input[1]"),
    ("bridge.embed", ["a"], {"text": "b"}, "input"),
    ("bridge.route", [""], {}, "task"),
    ("bridge.route", ["embedding"], {"max_cost": INFINITY}, "max_cost"),
    ("bridge.route", ["embedding"], {"require_vision": "yes"}, "require_vision"),
    ("bridge.summarize", [[]], {}, "messages"),
    ("bridge.summarize", ["text"], {}, "messages"),
    ("bridge.summarize", [["a"]], {"level": "yearly"}, "level"),
    ("bridge.extract", [" "], {}, "text"),
    ("bridge.score", [""], {}, "conversation"),
    ("bridge.score", [{"role": "user"}], {}, "conversation"),
]


@pytest.mark.parametrize(("name", "arguments", "keywords", "field"), BAD)
async def test_bad_arguments_are_refused_before_anything_is_sent(
    name: str,
    arguments: Any,
    keywords: Any,
    field: str,
    client: AsyncSekhaClient,
    server: FakeServer,
    bridge: FakeServer,
) -> None:
    service, _, method = name.partition(".")
    with pytest.raises(SekhaValidationError) as caught:
        await getattr(getattr(client, service), method)(*arguments, **keywords)
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
async def test_a_walk_is_refused_when_it_is_made(keywords: Any, field: str, client: AsyncSekhaClient) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        client.controller.iter_conversations(**keywords)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("workflow", "arguments", "keywords", "field"),
    [
        ("store_and_query", [MESSAGES, ""], {}, "query"),
        ("store_and_query", [MESSAGES, "x"], {"limit": -1}, "limit"),
        ("store_and_query", [MESSAGES, "x"], {"filters": {"lable": "A"}}, "filters.lable"),
        ("store_and_query", [MESSAGES, "x"], {"filters": {"start_date": "soon"}}, "filters.start_date"),
        ("store_and_query", [[{"role": "user"}], "x"], {}, "messages[0].content"),
        ("complete_with_context", ["", "x"], {}, "prompt"),
        ("complete_with_context", ["x", " "], {}, "context_query"),
        ("complete_with_context", ["x", "x"], {"context_budget": -1}, "context_budget"),
        ("complete_with_context", ["x", "x"], {"system": ""}, "system"),
        ("complete_with_context", ["x", "x"], {"temperature": 3}, "temperature"),
        ("complete_with_context", ["x", "x"], {"max_tokens": 0}, "max_tokens"),
        ("stream_with_context", ["x", "x"], {"model": ""}, "model"),
        ("stream_with_context", ["x", 5], {}, "context_query"),
        ("complete_with_memory", [None, "x"], {}, "prompt"),
        ("complete_with_memory", ["x", ""], {}, "search_query"),
        ("complete_with_memory", ["x", "x"], {"limit": 0}, "limit"),
        ("complete_with_memory", ["x", "x"], {"temperature": NAN}, "temperature"),
    ],
)
async def test_workflows_refuse_before_anything_is_sent(
    workflow: str, arguments: Any, keywords: Any, field: str, client: AsyncSekhaClient, server: FakeServer
) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        await getattr(client, workflow)(*arguments, **keywords)
    assert caught.value.field == field
    assert caught.value.sent is False
    assert server.connections == 0


@pytest.mark.promise("S4")
async def test_any_form_of_a_uuid_is_one(client: AsyncSekhaClient, server: FakeServer) -> None:
    for form in (ID, uuid.UUID(ID), ID.upper(), ID.replace("-", ""), f"urn:uuid:{ID}", f"{{{ID}}}"):
        server.on(f"PUT /api/v1/conversations/{ID}/pin", empty())
        await client.controller.pin_conversation(form)
    assert len(server.seen) == 6


# Settings


@pytest.mark.parametrize("cls", [AsyncSekhaClient, create_async_sekha_client])
async def test_what_is_missing_is_named_with_its_variable(cls: Any) -> None:
    with pytest.raises(SekhaConfigError, match=r"controller_url=\.\.\. or set SEKHA_CONTROLLER_URL"):
        cls(api_key="k")
    with pytest.raises(SekhaConfigError, match=r"api_key=\.\.\. or set SEKHA_API_KEY"):
        cls(controller_url="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("cls", "variable"),
    [
        (AsyncMemoryController, "SEKHA_CONTROLLER_URL"),
        (AsyncMCPClient, "SEKHA_CONTROLLER_URL"),
        (AsyncBridgeClient, "SEKHA_BRIDGE_URL"),
    ],
)
async def test_a_setting_that_a_client_of_one_service_misses_is_named(cls: Any, variable: str) -> None:
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
async def test_a_url_that_cannot_be_used_is_refused(url: Any) -> None:
    for name in ("controller_url", "bridge_url"):
        settings: dict[str, Any] = {"controller_url": "http://x", "bridge_url": "http://x", "api_key": "k", name: url}
        with pytest.raises(SekhaConfigError, match=name):
            AsyncSekhaClient(**settings)


@pytest.mark.promise("S1", "S2")
@pytest.mark.parametrize(
    "key", ["", "  ", "sk-CANARY\nx", "sk-CANARY\0", "sk-CANARY€", "sk-CANARY\r\nx: y", "\x7fsk-CANARY", 5]
)
@pytest.mark.parametrize("name", ["api_key", "mcp_api_key", "bridge_api_key"])
async def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(
    name: str, key: Any, client: AsyncSekhaClient
) -> None:
    settings: dict[str, Any] = {"controller_url": "http://x", "api_key": "k", name: key}
    with pytest.raises(SekhaConfigError, match=name) as caught:
        AsyncSekhaClient(**settings)
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
async def test_options_that_cannot_be_used_are_refused(options: Any, client: AsyncSekhaClient) -> None:
    (name,) = options
    with pytest.raises(SekhaConfigError, match=name):
        AsyncSekhaClient(controller_url="http://x", api_key="k", **options)
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
async def test_settings_that_cannot_be_used_are_refused(options: Any) -> None:
    with pytest.raises(SekhaConfigError) as caught:
        AsyncSekhaClient(**{"controller_url": "https://x", "api_key": "k", **options})
    (name,) = options
    assert name in str(caught.value)


# Calls that cannot be made


@pytest.mark.parametrize("call", [call for call in CALLS if call.service == MODELS], ids=lambda call: call.name)
async def test_without_a_bridge_a_bridge_call_says_what_to_set(
    call: Call, make: MakeClient, server: FakeServer
) -> None:
    client = make(bridge_url=None)
    for one in (client, client.with_options(max_retries=0)):
        with pytest.raises(SekhaConfigError, match=r"bridge_url=\.\.\. or set SEKHA_BRIDGE_URL") as caught:
            await call.on(one)
        assert caught.value.sent is False
    server.on("GET /health", answer(facts.HEALTHY))
    assert (await client.controller.health())["status"] == "healthy"


@pytest.mark.parametrize("workflow", ["complete_with_context", "stream_with_context", "complete_with_memory"])
async def test_a_workflow_without_a_bridge_is_refused_before_it_asks_the_controller(
    workflow: str, make: MakeClient, server: FakeServer
) -> None:
    with pytest.raises(SekhaConfigError, match="SEKHA_BRIDGE_URL"):
        await getattr(make(bridge_url=None), workflow)("x", "x")
    assert server.connections == 0


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_a_closed_client_refuses(call: Call, client: AsyncSekhaClient, server: FakeServer) -> None:
    view = client.with_options(max_retries=0)
    await client.aclose()
    for one in (client, view):
        with pytest.raises(SekhaClosedError, match="closed") as caught:
            await call.on(one)
        error: SekhaError = caught.value
        assert (error.sent, error.attempts, error.may_have_been_applied) == (False, 0, False)
    assert server.connections == 0
