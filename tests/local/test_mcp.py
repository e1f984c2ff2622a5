"""The MCP tools as the documentation describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Tuple

import httpx

from local.conftest import change, create, tool, wait_for


def test_store_and_update_write(api: httpx.Client) -> None:
    messages = [{"role": "user", "content": "We use PostgreSQL."}]
    stored = tool(api, "memory_store", label="A", folder="/a", messages=messages, importance_score=9)
    identity = stored["id"]
    assert stored == {"conversation_id": identity, "id": identity, "label": "A", "folder": "/a"}
    got = tool(api, "memory_get_context", conversation_id=identity)
    assert (got["importance_score"], got["word_count"], got["session_count"]) == (9, 3, 1)
    assert (got["status"], got["created_at"]) == ("active", got["updated_at"])

    updated = tool(api, "memory_update", conversation_id=identity, label="B", status="archived", importance_score=2)
    assert updated["updated_fields"] == ["label/folder", "status", "importance_score"]
    assert updated["message"] == "Conversation updated successfully"
    got = tool(api, "memory_get_context", conversation_id=identity)
    assert (got["label"], got["folder"], got["status"], got["importance_score"]) == ("B", "/a", "archived", 2)
    assert got["updated_at"] > got["created_at"]
    assert tool(api, "memory_update", conversation_id=identity)["updated_fields"] == []
    assert tool(api, "memory_update", conversation_id=identity, folder="/c")["updated_fields"] == ["label/folder"]


def test_store_has_a_default_importance(api: httpx.Client) -> None:
    for more in ({}, {"importance_score": None}):
        identity = tool(api, "memory_store", label="A", folder="/a", messages=[], **more)["id"]
        assert tool(api, "memory_get_context", conversation_id=identity)["importance_score"] == 5
    body = {"label": "A", "folder": "/a", "messages": [], "importance_score": 7.0}
    assert api.post("/mcp/tools/memory_store", json=body).status_code == 422


def test_search_filters_and_pages(own_api: httpx.Client) -> None:
    for label, importance in (("technical", 9), ("technical", 3), ("other", 9)):
        create(
            own_api,
            f"Architecture, {label} and {importance}.",
            label=label,
            importance_score=importance,
            folder=f"/{label}",
        )

    def search(**more: Any) -> Any:
        return tool(own_api, "memory_search", query="architecture", **more)

    whole = search()
    assert (whole["query"], whole["total_results"], whole["limit"]) == ("architecture", 3, 10)
    assert search(labels=["technical"])["total_results"] == 2
    assert search(labels=["technical"], min_importance=7)["total_results"] == 1
    assert search(folder="/other", filters={"labels": ["technical"]})["total_results"] == 0
    assert search(filters={"min_importance": 9, "label": "other"}, folder="/other")["total_results"] == 1
    assert search(limit=1, offset=2)["results"] == whole["results"][2:]
    assert search(limit=0)["results"] == []
    hit = whole["results"][0]
    assert 0.0 < hit["score"] <= 1.0
    # The real tool writes a space here, and distances. A "T" tells the client that these are similarities.
    assert hit["timestamp"] == hit["metadata"]["timestamp"]
    assert "T" in hit["timestamp"]


def test_export(api: httpx.Client) -> None:
    identity = create(api, "How?", "So.", label="Answer", folder="/work")
    plain = tool(api, "memory_export", conversation_id=identity)
    assert (plain["format"], plain["include_metadata"], "content" in plain) == ("json", True, False)
    assert plain["conversation"]["id"] == identity
    assert [row["metadata"] for row in plain["messages"]] == [{}, {}]
    document = tool(api, "memory_export", conversation_id=identity, format="markdown", include_metadata=False)
    assert document["messages"][0]["metadata"] is None
    assert document["content"].startswith("# Answer\n")
    assert "## User\n\nHow?\n" in document["content"]
    assert document["content"].endswith("## Assistant\n\nSo.\n")


def test_stats(fresh: Tuple[httpx.Client, Path]) -> None:
    api, file = fresh
    nothing = {"total_conversations": 0, "total_messages": 0, "average_importance": 0.0, "folders": [], "labels": []}
    assert tool(api, "memory_stats") == {**nothing, "searchable_messages": 0}
    create(api, "x", "y", label="important", folder="/work", importance_score=8)
    create(api, "x", label="important", folder="/home")
    old = create(api, label="other", folder="/home", importance_score=2)
    change(file, f"UPDATE conversations SET updated_at = '2020-06-15T12:00:00.000000000' WHERE id = '{old}'")
    wait_for(lambda: tool(api, "memory_stats")["searchable_messages"] == 3)
    assert tool(api, "memory_stats", folder=None, label=None) == {
        "searchable_messages": 3,
        "total_conversations": 3,
        "total_messages": 3,
        "average_importance": 5.0,
        "folders": ["/home", "/work"],
        "labels": ["important", "other"],
    }
    important = tool(api, "memory_stats", labels=["important", "work"])
    assert (important["total_conversations"], important["average_importance"]) == (2, 6.5)
    assert important["labels"] == ["important"]
    assert tool(api, "memory_stats", folder="/home")["total_messages"] == 1
    assert tool(api, "memory_stats", label="other")["folders"] == ["/home"]
    assert tool(api, "memory_stats", start_date="2026-01-01T00:00:00Z")["total_conversations"] == 2
    year = {"start_date": "2020-01-01T00:00:00Z", "end_date": "2020-12-31T23:59:59Z"}
    assert tool(api, "memory_stats", **year)["labels"] == ["other"]
    assert tool(api, "memory_stats", end_date="2020-06-15")["total_conversations"] == 1
    assert tool(api, "memory_stats", end_date="2020-06-15T11:59:59")["total_conversations"] == 0
    answer = api.post("/mcp/tools/memory_stats", json={"folder": "/a", "label": "b"})
    assert answer.status_code == 200
    assert answer.json() == {"success": False, "data": None, "error": "Cannot specify both folder and label"}


def test_prune(fresh: Tuple[httpx.Client, Path]) -> None:
    api, _ = fresh
    create(api, "Eight bytes or more.", label="Low", importance_score=4)
    create(api, "Eight bytes or more.", label="High", importance_score=6)
    assert tool(api, "memory_prune")["suggestions"] == []
    found = tool(api, "memory_prune", threshold_days=-1)
    assert (found["threshold_days"], found["importance_threshold"]) == (-1, 5.0)
    assert (found["total_suggestions"], found["estimated_token_savings"]) == (2, 10)
    advice = {row["conversation_label"]: row["recommendation"] for row in found["suggestions"]}
    assert advice == {"Low": "archive", "High": "keep"}
    assert " " in found["suggestions"][0]["last_accessed"]
    found = tool(api, "memory_prune", threshold_days=-1, importance_threshold=7)
    assert {row["recommendation"] for row in found["suggestions"]} == {"archive"}
    found = tool(api, "memory_prune", threshold_days=-1, limit=1)
    assert [row["conversation_label"] for row in found["suggestions"]] == ["Low"]
    assert (found["total_suggestions"], found["estimated_token_savings"]) == (2, 10)
    for wrong in ({"importance_threshold": None}, {"threshold_days": "30"}, {"threshold_days": None}):
        assert api.post("/mcp/tools/memory_prune", json=wrong).status_code == 422
