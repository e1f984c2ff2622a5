# Generated from tests/_async/test_ids.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Whatever stands for a conversation has its id under both names; the servers have one of them, and it differs."""

from __future__ import annotations

from typing import Any

import pytest

from sekha import SekhaClient
from support import facts
from support.facts import ID, MESSAGES, OTHER_ID
from support.replies import answer, tool
from support.server import FakeServer

STORED = {"label": "L", "folder": "/", "status": "active", "message_count": 1, "created_at": None}
SUGGESTED = {name: value for name, value in facts.SUGGESTION.items() if name != "conversation_id"}
DETAILS = {name: value for name, value in facts.CONTEXT.items() if name not in ("id", "conversation_id")}
EXPORTED = {name: value for name, value in facts.EXPORT["conversation"].items() if name != "id"}
ROW = {name: value for name, value in facts.row().items() if name != "conversation_id"}


@pytest.mark.parametrize("given", [{"id": ID}, {"conversation_id": ID}, {"id": ID, "conversation_id": OTHER_ID}])
def test_the_id_has_both_names_and_the_servers_own_stay(
    given: dict[str, str], client: SekhaClient, server: FakeServer
) -> None:
    whole = {"id": ID, "conversation_id": ID, **given}

    def ids(found: Any) -> dict[str, Any]:
        return {name: found[name] for name in ("id", "conversation_id")}

    server.on("POST /api/v1/conversations", answer({**STORED, **given}, 201))
    assert ids(client.controller.create_conversation(messages=MESSAGES)) == whole
    server.on(f"GET /api/v1/conversations/{ID}", answer({**STORED, **given}))
    assert ids(client.controller.get_conversation(ID)) == whole
    server.on("GET /api/v1/conversations", answer(facts.rows({**ROW, **given})))
    assert ids((client.controller.list_conversations())["results"][0]) == whole
    server.on("POST /api/v1/prune/dry-run", answer({"suggestions": [{**SUGGESTED, **given}], "total": 1}))
    assert ids((client.controller.prune_dry_run())["suggestions"][0]) == whole
    server.on("POST /mcp/tools/memory_store", tool({"label": "L", "folder": "/", **given}))
    assert ids(client.mcp.memory_store(messages=MESSAGES)) == whole
    server.on("POST /mcp/tools/memory_get_context", tool({**DETAILS, **given}))
    assert ids(client.mcp.memory_get_context(ID)) == whole
    server.on("POST /mcp/tools/memory_update", tool({"updated_fields": ["label"], **given}))
    assert ids(client.mcp.memory_update(ID, label="L")) == whole
    server.on("POST /mcp/tools/memory_export", tool({**facts.EXPORT, "conversation": {**EXPORTED, **given}}))
    assert ids((client.mcp.memory_export(ID))["conversation"]) == whole
    suggestions = {"suggestions": [{**SUGGESTED, **given}], "total_suggestions": 1, "threshold_days": 90}
    server.on("POST /mcp/tools/memory_prune", tool(suggestions))
    assert ids((client.mcp.memory_prune())["suggestions"][0]) == whole


def test_a_hit_is_a_message_and_keeps_its_own_ids(client: SekhaClient, server: FakeServer) -> None:
    server.on("POST /api/v1/query", answer(facts.hits(facts.hit(0.1, ID))))
    (hit,) = (client.controller.query("x"))["results"]
    assert hit["conversation_id"] == ID
    assert "id" not in hit
