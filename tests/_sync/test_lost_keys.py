# Generated from tests/_async/test_lost_keys.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""A client warns of what it passes on and the server does not keep."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from sekha import MCPClient, SekhaClient, SekhaClosedError, SekhaWarning
from sekha._concurrency.tasks import gather
from sekha.exports import read_export
from sekha.local import LocalSekha
from support import facts
from support.facts import ID, MCP_KEY, MESSAGES
from support.replies import DROP, answer, empty, tool
from support.routes import CREATE, HEALTH, STORE
from support.server import FakeServer

from .conftest import MakeClient

NAMED: list[dict[str, Any]] = [{"role": "user", "content": "Hello Sekha!", "name": "Ada"}]
DATED: list[dict[str, Any]] = [{"role": "user", "content": "Hello Sekha!", "timestamp": "2020-01-31T09:30:00Z"}]
LOST = "'name' of messages is lost: this server stores only role and content"


def message(**more: Any) -> list[dict[str, Any]]:
    """One message with further keys."""
    return [{"role": "user", "content": "x", **more}]


def test_each_lost_key_is_warned_of_once_before_anything_is_sent(
    client: SekhaClient, server: FakeServer
) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.always(CREATE, answer(facts.CREATED, 201))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SekhaWarning, match="'name' of messages is lost"):
            client.controller.create_conversation(messages=NAMED)
    assert server.lines == [HEALTH]
    client.controller.create_conversation(messages=NAMED)  # that warning is done
    with pytest.warns(SekhaWarning) as caught:
        client.controller.create_conversation(messages=message(name="Ada", metadata={"a": 1}, id=ID, odd=0))
    assert [str(warning.message).split("'")[1] for warning in caught] == ["metadata", "id", "odd"]
    assert {warning.filename for warning in caught} == {__file__}
    for view in (client, client.with_options(timeout=5)):
        view.controller.create_conversation(messages=message(name="Bob", metadata={"b": 1}, id="x"))
    assert server.lines == [HEALTH, *[CREATE] * 4]
    assert server.seen[1].json["messages"] == NAMED  # it is sent all the same


def test_keys_that_hold_nothing_are_not_lost(client: SekhaClient, server: FakeServer) -> None:
    server.on(CREATE, answer(facts.CREATED, 201))
    client.controller.create_conversation(messages=message(name=None, metadata={}, parts=[], id=""))
    assert server.lines == [CREATE]


def test_twenty_keys_are_warned_of_at_most(client: SekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.always(CREATE, answer(facts.CREATED, 201))
    with pytest.warns(SekhaWarning) as caught:
        client.controller.create_conversation(messages=message(**{f"k{number}": 1 for number in range(30)}))
    assert len(caught) == 20
    client.controller.create_conversation(messages=message(another=1))


@pytest.mark.parametrize(
    ("keeps", "lost"),
    [
        (["timestamp"], ["name"]),
        (["name", "timestamp"], []),
        ([], ["name", "timestamp"]),
        ("name timestamp", ["name", "timestamp"]),
        ({"name": True}, ["name", "timestamp"]),
        ([["name"], None, "timestamp"], ["name"]),
    ],
)
def test_what_the_server_says_it_keeps_is_not_lost(
    keeps: Any, lost: list[str], client: SekhaClient, server: FakeServer
) -> None:
    server.on(HEALTH, answer({**facts.HEALTHY, "keeps": keeps}))
    server.always(CREATE, answer(facts.CREATED, 201))
    messages = message(name="Ada", timestamp="2020-01-31T09:30:00Z")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            client.controller.create_conversation(messages=messages)
    assert [str(warning.message).split("'")[1] for warning in caught] == lost
    assert server.lines == [HEALTH, CREATE, CREATE]


@pytest.mark.parametrize("health", [DROP, empty(500), answer({"status": "unhealthy", "checks": {}})])
def test_if_it_cannot_be_asked_it_is_warned_of(health: Any, make: MakeClient, server: FakeServer) -> None:
    server.on(HEALTH, health)
    server.always(CREATE, answer(facts.CREATED, 201))
    controller = make().controller
    with pytest.warns(SekhaWarning, match="'name' of messages may be lost: it is unknown"):
        controller.create_conversation(messages=NAMED)
    controller.create_conversation(messages=NAMED)
    assert server.lines == [HEALTH, CREATE, CREATE]


def test_a_closed_client_says_that_it_is_closed(make: MakeClient) -> None:
    client = make()
    client.close()
    with pytest.raises(SekhaClosedError):
        client.controller.create_conversation(messages=NAMED)


def test_all_that_stores_warns(make: MakeClient, server: FakeServer) -> None:
    server.always(HEALTH, answer(facts.HEALTHY))
    server.always(CREATE, answer(facts.CREATED, 201))
    server.always(STORE, tool(facts.STORED))
    server.always(f"GET /api/v1/conversations/{ID}", answer(facts.READ))
    server.always("POST /api/v1/search/fts", answer({"results": [], "total": 0}))
    server.always("POST /mcp/tools/memory_export", tool(facts.EXPORT))
    server.always(f"DELETE /api/v1/conversations/{ID}", empty())
    server.always("POST /api/v1/query", answer(facts.hits()))
    for store in (
        lambda: make().controller.create_conversation(messages=NAMED),
        lambda: make().controller.create_conversation({"messages": NAMED}, importance_score=8),
        lambda: make().controller.create_conversation(messages=NAMED, skip_existing=True),
        lambda: make().controller.replace_conversation(ID, messages=[*NAMED, *MESSAGES]),
        lambda: make().controller.import_conversations([{"messages": NAMED}]),
        lambda: make().mcp.memory_store(messages=NAMED),
        lambda: make().store_and_query(NAMED, "x"),
    ):
        before = len(server.lines)
        with pytest.warns(SekhaWarning) as caught:
            store()
        assert [str(warning.message) for warning in caught] == [LOST]
        assert server.lines[before] == HEALTH


def test_services_of_one_client_warn_once(client: SekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(STORE, tool(facts.STORED))
    server.on(CREATE, answer(facts.CREATED, 201))
    with pytest.warns(SekhaWarning, match="'name'"):
        client.mcp.memory_store(messages=NAMED)
    client.controller.create_conversation(messages=NAMED)
    assert server.lines == [HEALTH, STORE, CREATE]


def test_an_import_warns_once_and_asks_once(client: SekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.always(CREATE, answer(facts.CREATED, 201))
    many = [{"messages": [{**DATED[0], "content": f"note {number}"}]} for number in range(20)]
    with pytest.warns(SekhaWarning) as caught:
        report = client.controller.import_conversations(many, concurrency=10)
    assert report["stored"] == 20
    assert [str(warning.message) for warning in caught] == [
        "'timestamp' of messages is lost: this server stores only role and content"
    ]
    assert server.lines == [HEALTH, *[CREATE] * 20]


def test_an_import_of_plain_messages_asks_nothing(client: SekhaClient, server: FakeServer) -> None:
    server.always(CREATE, answer(facts.CREATED, 201))
    client.controller.import_conversations([{"messages": MESSAGES}])
    assert server.lines == [CREATE]


def test_many_calls_at_a_time_warn_once(client: SekhaClient, server: FakeServer) -> None:
    server.always(HEALTH, answer(facts.HEALTHY))
    server.always(CREATE, answer(facts.CREATED, 201))

    def store() -> None:
        client.controller.create_conversation(messages=NAMED)

    with pytest.warns(SekhaWarning) as caught:
        gather([store] * 8, 8)
    assert len(caught) == 1


def test_the_documented_server_keeps_the_time_of_a_message(local: SekhaClient, tmp_path: Path) -> None:
    moment = "2020-01-31T09:30:00.250000+00:00"
    given = ("2020-01-31T09:30:00.25Z", "2020-01-31 10:30:00.25+01:00", moment)
    messages = [{"role": "user", "content": f"number {number}", "timestamp": text} for number, text in enumerate(given)]
    for store in (local.controller.create_conversation, local.mcp.memory_store):
        stored: Any = store(messages=[*messages, {"role": "user", "content": "now", "timestamp": None}])
        *found, now = local.controller.get_messages(stored["id"])
        assert [one.get("timestamp") for one in found] == [moment] * 3
        assert str(now.get("timestamp")) > "2026"
    period = {"start_date": "2020-01-31", "end_date": "2020-01-31"}
    results = (local.controller.query("number", filters=period))["results"]
    assert {result["timestamp"] for result in results} == {moment}
    assert len(results) == 6
    export = tmp_path / "conversations.json"
    export.write_text(
        json.dumps([{"chat_messages": [{"sender": "human", "text": "Hi", "created_at": moment}], "name": "A"}])
    )
    report = local.controller.import_conversations(read_export(export))
    assert report["stored"] == 1
    (row,) = (local.controller.list_conversations(label="A"))["results"]
    (message,) = local.controller.get_messages(row["id"])
    assert message.get("timestamp") == moment


def test_the_controller_0_1_keeps_no_time(real: SekhaClient) -> None:
    with pytest.warns(SekhaWarning, match="'timestamp' of messages is lost: this server stores only role and content"):
        made = real.controller.create_conversation(messages=DATED)
    (message,) = real.controller.get_messages(made["id"])
    assert str(message.get("timestamp")) > "2026"


def test_a_client_of_the_tools_alone_warns_too(sekha_0_1: LocalSekha) -> None:
    with MCPClient(base_url=sekha_0_1.controller_url, api_key=MCP_KEY) as mcp:
        with pytest.warns(SekhaWarning, match="'timestamp'"):
            mcp.memory_store(messages=DATED)
