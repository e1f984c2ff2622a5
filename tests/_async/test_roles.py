"""Roles of messages that are stored are those of `MessageRole`; others are refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaValidationError
from sekha.types import MessageRole
from support.facts import ID
from support.server import FakeServer

WRONG: Any = [{"role": "user", "content": "x"}, {"role": "ai", "content": "y"}]
WORDS = r"messages\[1\].role: must be one of system, user, assistant, function, tool, not 'ai'"


async def test_a_role_that_is_none_is_refused_by_all_that_store(client: AsyncSekhaClient, server: FakeServer) -> None:
    calls: list[Any] = [
        lambda: client.controller.create_conversation(messages=WRONG),
        lambda: client.controller.create_conversation({"messages": WRONG}, skip_existing=True, importance_score=8),
        lambda: client.controller.replace_conversation(ID, messages=WRONG),
        lambda: client.mcp.memory_store(messages=WRONG),
        lambda: client.store_and_query(WRONG, "x"),
    ]
    for call in calls:
        with pytest.raises(SekhaValidationError, match=WORDS) as caught:
            await call()
        assert (caught.value.field, caught.value.sent) == ("messages[1].role", False)
    assert server.connections == 0


async def test_an_import_reports_it_and_goes_on(local: AsyncSekhaClient) -> None:
    report = await local.controller.import_conversations([{"messages": WRONG}, {"messages": WRONG[:1]}])
    assert (report["stored"], report["failed"]) == (1, 1)
    assert report["failures"][0]["error"].startswith("messages[1].role: must be one of system, user")


async def test_each_role_is_stored(local: AsyncSekhaClient, real: AsyncSekhaClient) -> None:
    for client in (local, real):
        messages = [{"role": role, "content": "x"} for role in MessageRole]
        made = await client.controller.create_conversation(messages=messages)
        assert [one["role"] for one in await client.controller.get_messages(made["id"])] == [*MessageRole]
