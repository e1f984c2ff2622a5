"""The REST routes as the documentation describes them."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import httpx
import pytest

from local.conftest import UNKNOWN, change, create, tool, wait_for
from sekha.local.records import format_timestamp

DAY = 86_400 * 10**9


def listed(api: httpx.Client, **query: Any) -> List[str]:
    answer = api.get("/api/v1/conversations", params=query).json()
    assert answer["total"] >= len(answer["results"])
    return [row["conversation_id"] for row in answer["results"]]


def found(api: httpx.Client, query: str, **more: Any) -> Dict[str, Any]:
    answer = api.post("/api/v1/query", json={"query": query, **more})
    assert answer.status_code == 200, answer.text
    body: Dict[str, Any] = answer.json()
    return body


def context(api: httpx.Client, query: str, **more: Any) -> List[Dict[str, Any]]:
    body = {"query": query, "preferred_labels": [], "context_budget": 4000, **more}
    answer = api.post("/api/v1/context/assemble", json=body)
    assert answer.status_code == 200, answer.text
    messages: List[Dict[str, Any]] = answer.json()
    return messages


def age(file: Path, identity: str, days: float) -> None:
    """Makes a conversation older, as only time could."""
    moment = format_timestamp(time.time_ns() - int(days * DAY))
    change(file, f"UPDATE conversations SET updated_at = '{moment}', created_at = '{moment}' WHERE id = '{identity}'")
    of = f"conversation = (SELECT number FROM conversations WHERE id = '{identity}')"
    change(file, f"UPDATE messages SET timestamp = '{moment}' WHERE {of}")


def test_create_answers_what_was_stored(api: httpx.Client) -> None:
    body = {"label": "Größe 日本語", "folder": "/ünï", "importance_score": 8, "metadata": {"ignored": 1}}
    messages = [
        {"role": "banana", "content": ""},
        {"role": "user", "content": "It's \0 'quoted'; DROP TABLE messages;--"},
    ]
    made = api.post("/api/v1/conversations", json={**body, "messages": messages}).json()
    assert made["conversation_id"] == made["id"]
    assert (made["label"], made["folder"], made["status"]) == ("Größe 日本語", "/ünï", "active")
    assert (made["message_count"], made["importance_score"]) == (2, 8)
    got = api.get(f"/api/v1/conversations/{made['id']}").json()
    assert got == {key: made[key] for key in ("id", "label", "folder", "status", "message_count", "created_at")}
    exported = tool(api, "memory_export", conversation_id=made["id"])["messages"]
    assert [{"role": row["role"], "content": row["content"]} for row in exported] == messages


def test_content_parts_become_text(api: httpx.Client) -> None:
    parts = [
        {"type": "text", "text": "Look at this:"},
        {"type": "image_url", "image_url": {"url": "https://example.test/cat.png", "detail": "low"}},
        {"type": "image_url", "image_url": "https://example.test/dog.png"},
    ]
    body = {"label": "Parts", "folder": "/parts", "messages": [{"role": "user", "content": parts}]}
    identity = api.post("/api/v1/conversations", json=body).json()["id"]
    message = tool(api, "memory_export", conversation_id=identity)["messages"][0]
    assert message["content"] == "Look at this:\nhttps://example.test/cat.png\nhttps://example.test/dog.png"


def test_list_filters_sorts_and_pages(fresh: Tuple[httpx.Client, Path]) -> None:
    api, _ = fresh
    first = create(api, "x", label="A", folder="/work")
    second = create(api, "x", label="A", folder="/work/deep", importance_score=10)
    third = create(api, "x", label="a", folder="/home")
    api.put(f"/api/v1/conversations/{third}/archive")
    assert listed(api) == [third, second, first]
    api.put(f"/api/v1/conversations/{first}/label", json={"label": "A", "folder": "/work"})
    assert listed(api) == [first, third, second]
    assert listed(api, label="A") == [first, second]
    assert listed(api, folder="/work") == [first]
    assert listed(api, pinned="true") == [second]
    assert listed(api, pinned="false") == [first, third]
    assert listed(api, archived="true") == [third]
    assert listed(api, archived="false", label="A", folder="/work/deep", pinned="true") == [second]
    assert listed(api, page=2, page_size=2) == [second]
    assert listed(api, page=0) == listed(api, page_size=0) == []
    huge = api.get("/api/v1/conversations", params={"page": 2**32 - 1, "page_size": 2**32 - 1}).json()
    assert (huge["results"], huge["total"], huge["page"]) == ([], 3, 2**32 - 1)
    row = api.get("/api/v1/conversations", params={"pinned": "true"}).json()["results"][0]
    assert row["metadata"] == {"folder": "/work/deep", "status": "active", "importance_score": 10}
    assert (row["content"], row["score"], row["message_id"]) == ("A", 1.0, "00000000-0000-0000-0000-000000000000")


def test_folder_keeps_the_label(api: httpx.Client) -> None:
    identity = create(api, "x", label="Stays")
    assert api.put(f"/api/v1/conversations/{identity}/folder", json={"folder": "/moved"}).content == b""
    got = api.get(f"/api/v1/conversations/{identity}").json()
    assert (got["label"], got["folder"]) == ("Stays", "/moved")


def test_count_takes_characters_literally(own_api: httpx.Client) -> None:
    for label in ("100% sure", "100 sure", "a_b", "axb", "Größe"):
        create(own_api, label=label, folder="/count")

    def count(**query: str) -> Any:
        return own_api.get("/api/v1/conversations/count", params=query).json()

    assert count() == {"count": 5, "label": None, "folder": None}
    assert count(label="100% SURE") == {"count": 1, "label": "100% SURE", "folder": None}
    assert count(label="_")["count"] == 1
    assert count(label="%")["count"] == 1
    assert count(label="GRÖSSE")["count"] == 1
    assert count(label="")["count"] == 5
    assert count(folder="/count") == {"count": 5, "label": None, "folder": "/count"}
    assert count(folder="/coun")["count"] == 0
    answer = own_api.get("/api/v1/conversations/count", params={"label": "a", "folder": "/b"})
    assert (answer.status_code, answer.json()["code"]) == (400, 400)


def test_query_ranks_pages_and_filters(fresh: Tuple[httpx.Client, Path]) -> None:
    api, file = fresh
    docker = create(
        api, "We deploy with docker.", "Docker and kubernetes.", label="Ops", folder="/work", importance_score=8
    )
    pie = create(api, "Apple pie needs cinnamon.", label="Pie", folder="/home")
    whole = found(api, "deploy with docker", limit=100)
    scores = [hit["score"] for hit in whole["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert (whole["total"], whole["page"], whole["page_size"]) == (3, 1, 100)
    best = whole["results"][0]
    assert (best["conversation_id"], best["label"], best["folder"]) == (docker, "Ops", "/work")
    assert best["metadata"]["role"] == "user"
    assert best["metadata"]["content_preview"] == best["content"] == "We deploy with docker."
    assert found(api, "We deploy with docker.")["results"][0]["score"] == 1.0
    second = found(api, "deploy with docker", limit=1, offset=1)
    assert second["results"] == whole["results"][1:2]
    assert (second["total"], second["page"]) == (3, 2)
    nothing = {"results": [], "total": 3, "page": 1, "page_size": 0, "score_kind": "similarity"}
    assert found(api, "deploy", limit=0) == nothing
    assert found(api, "  ")["results"] == found(api, "?!")["results"] == []

    def only(**filters: Any) -> List[str]:
        return sorted({hit["conversation_id"] for hit in found(api, "docker", filters=filters)["results"]})

    age(file, pie, 30)
    now, month_ago = format_timestamp(time.time_ns() + DAY), format_timestamp(time.time_ns() - 20 * DAY)
    both = sorted([docker, pie])
    assert only() == only(unknown="key") == only(labels=[]) == both
    assert only(label="Pie") == only(labels=["Pie", "None"]) == only(folder="/home") == [pie]
    assert only(label="Pie", labels=["Ops"]) == only(folder="/hom") == []
    assert only(min_importance=8) == only(min_importance=7.5) == only(start_date=month_ago) == [docker]
    assert only(start_date=now) == only(end_date="2020-01-01") == []
    assert only(end_date=f"{month_ago}Z") == [pie]
    assert only(start_date="2020-01-01T00:00:00+02:00", end_date=format_timestamp(time.time_ns())[:10]) == both
    for odd in ("text", 3, None, ["x"]):
        assert found(api, "docker", filters=odd)["total"] == 3
    answer = api.post("/api/v1/query", json={"query": "x", "filters": {"start_date": "yesterday"}})
    assert answer.status_code == 422
    assert "filters.start_date: invalid value" in answer.text


def test_full_text_search(own_api: httpx.Client) -> None:
    create(
        own_api,
        "We deploy the controller on Friday after a long and thorough security review of it.",
        "Bread and butter.",
    )
    create(own_api, "Deploy, deploy, deploy!")

    def search(query: str, **more: Any) -> httpx.Response:
        return own_api.post("/api/v1/search/fts", json={"query": query, **more})

    rows = search("deploying").json()["results"]
    assert [row["content"][:9] for row in rows] == ["Deploy, d", "We deploy"]
    assert (rows[0]["embedding_id"], rows[0]["metadata"], rows[0]["role"]) == (None, {}, "user")
    assert search("secur* review").json()["total"] == 1
    assert search("deploy NOT review", limit=2**64 - 1).json()["total"] == 1
    assert search("deploy", limit=1).json()["total"] == 1
    assert search("deploy", limit=0).json() == search("zyzzyva").json() == {"results": [], "total": 0}
    for query, reason in [
        ("", 'fts5: syntax error near ""'),
        ("it's", 'fts5: syntax error near "\'"'),
        ("re-index", "no such column: index"),
        ("label:x", "no such column: label"),
        ('"open', "unterminated string"),
        ("*", "unknown special query: "),
    ]:
        answer = search(query)
        error = f"Database error: Query Error: error returned from database: (code: 1) {reason}"
        assert (answer.status_code, answer.json()) == (500, {"error": error, "code": 500})


def test_context_keeps_to_its_terms(fresh: Tuple[httpx.Client, Path]) -> None:
    api, _ = fresh
    assert context(api, "docker") == []
    ops = create(api, "We deploy with docker.", "Docker it is.", label="Ops", folder="/work")
    create(api, "Docker is secret here.", label="Secret", folder="/work/secret")
    create(api, "Docker is no secret here.", label="Shop", folder="/workshop", importance_score=10)
    put_away = create(api, "Docker was put away.", label="Old", folder="/old")
    api.put(f"/api/v1/conversations/{put_away}/archive")
    pie = create(api, "Cinnamon.", label="Pie", folder="/home")

    everything = context(api, "docker")
    assert len(everything) == 5
    assert len({row["id"] for row in everything}) == 5
    assert everything[-1]["conversation_id"] == pie
    assert context(api, "docker", preferred_labels=["Pie"], context_budget=3)[0]["conversation_id"] == pie
    cited = next(row for row in everything if row["conversation_id"] == ops)
    citation = cited["metadata"]["citation"]
    assert citation == {"label": "Ops", "folder": "/work", "timestamp": cited["timestamp"].replace("T", " ")}
    assert cited["embedding_id"] is None
    assert context(api, "docker", context_budget=0) == []
    for budget in range(1, 30):
        chosen = context(api, "docker", context_budget=budget)
        assert sum(len(row["content"].encode()) for row in chosen) <= 4 * budget
    left = {row["metadata"]["citation"]["folder"] for row in context(api, "docker", excluded_folders=["/work"])}
    assert left == {"/workshop", "/home"}
    assert context(api, "docker", excluded_folders=["/work/", "/workshop", "/home"]) == []
    assert len(context(api, "docker", excluded_folders=[""])) == 5


def test_summaries_look_back_as_far_as_they_say(fresh: Tuple[httpx.Client, Path]) -> None:
    api, file = fresh

    def summary(identity: str, level: str) -> str:
        body = {"conversation_id": identity, "level": level}
        answer = api.post("/api/v1/summarize", json=body).json()
        assert {key: answer[key] for key in body} == body
        return str(answer["summary"])

    old = create(api, "Three days ago we chose PostgreSQL.")
    older = create(api, "Three weeks ago we chose Python.")
    age(file, old, 3)
    age(file, older, 21)
    assert summary(old, "daily") == summary(older, "weekly") == "No messages to summarize"
    assert "PostgreSQL" in summary(old, "weekly")
    assert "PostgreSQL" in summary(old, "monthly")
    assert "Python" in summary(older, "monthly")
    assert "Hello" in summary(create(api, "Hello there."), "daily")
    answer = api.post("/api/v1/summarize", json={"conversation_id": UNKNOWN, "level": "Daily"})
    assert answer.json() == {"error": "Invalid level: must be daily, weekly, or monthly", "code": 400}


def test_pruning(fresh: Tuple[httpx.Client, Path]) -> None:
    api, file = fresh
    old = create(api, "We never speak of this again.", "Never.", label="Old", importance_score=2)
    kept = create(api, "The most important decision.", label="Kept")
    create(api, "Fresh.")
    age(file, old, 40)
    age(file, kept, 50)

    def suggestions(days: int) -> Dict[str, Dict[str, Any]]:
        answer = api.post("/api/v1/prune/dry-run", json={"threshold_days": days}).json()
        assert answer["total"] == len(answer["suggestions"])
        return {row["conversation_label"]: row for row in answer["suggestions"]}

    assert set(suggestions(30)) == {"Old", "Kept"}
    assert set(suggestions(45)) == {"Kept"}
    assert set(suggestions(-1)) == {"Old", "Kept", "Label"}
    assert suggestions(2**63 - 1) == {}
    assert len(suggestions(-(2**63))) == 3
    row = suggestions(30)["Old"]
    assert (row["message_count"], row["token_estimate"], row["importance_score"]) == (2, 8, 2.0)
    assert (row["recommendation"], row["preview"]) == ("archive", "We never speak of this again.")
    assert suggestions(30)["Kept"]["recommendation"] == "keep"

    def first(limit: object) -> httpx.Response:
        return api.post("/api/v1/prune/dry-run", json={"threshold_days": -1, "limit": limit})

    for limit, labels in ((0, []), (1, ["Old"]), (2, ["Old", "Kept"]), (None, ["Old", "Kept", "Label"])):
        answer = first(limit).json()
        assert [row["conversation_label"] for row in answer["suggestions"]] == labels
        assert answer["total"] == 3
    assert [first(wrong).status_code for wrong in (-1, "1", 2**32)] == [422] * 3
    assert api.get("/health").json()["prune_limit"] is True

    def execute(*identities: str) -> int:
        return api.post("/api/v1/prune/execute", json={"conversation_ids": identities}).status_code

    assert execute(old, UNKNOWN) == 404
    assert api.get(f"/api/v1/conversations/{old}").json()["status"] == "active"
    assert execute(old, old) == execute() == 200
    assert api.get(f"/api/v1/conversations/{old}").json()["status"] == "archived"
    assert set(suggestions(30)) == {"Kept"}


def test_label_suggestions(own_api: httpx.Client) -> None:
    create(own_api, "x", label="Billing")
    identity = create(own_api, "Our billing service runs on PostgreSQL.", "Billing needs backups.", label="Own")
    answer = own_api.post("/api/v1/labels/suggest", json={"conversation_id": identity}).json()
    assert answer["conversation_id"] == identity
    first, *others = answer["suggestions"]
    assert (first["label"], first["confidence"], first["is_existing"]) == ("Billing", 0.9, True)
    assert 0 < len(others) < 5
    assert all((row["confidence"], row["is_existing"]) == (0.6, False) and row["reason"] for row in others)
    empty = own_api.post("/api/v1/labels/suggest", json={"conversation_id": create(own_api)}).json()
    assert empty["suggestions"] == []


def test_delete_removes_everything(fresh: Tuple[httpx.Client, Path]) -> None:
    api, file = fresh
    kept, gone = create(api, "Docker stays."), create(api, "Docker goes.")
    assert api.delete(f"/api/v1/conversations/{gone}").content == b""
    assert api.get(f"/api/v1/conversations/{gone}").status_code == 404
    assert api.delete(f"/api/v1/conversations/{gone}").status_code == 404
    assert listed(api) == [kept]
    assert found(api, "docker")["total"] == 1
    assert api.post("/api/v1/search/fts", json={"query": "docker"}).json()["total"] == 1
    database = sqlite3.connect(file)
    assert database.execute("SELECT COUNT(*) FROM messages").fetchone() == (1,)
    database.close()


def test_rebuild_makes_the_vectors_anew(fresh: Tuple[httpx.Client, Path]) -> None:
    api, file = fresh
    for number in range(70):
        create(api, f"Docker number {number}.")
    wait_for(lambda: embedded(api) == 70)
    change(file, "DELETE FROM vectors")
    assert embedded(api) == 0
    answer = api.post("/api/v1/rebuild-embeddings", json={"anything": 1})
    assert (answer.status_code, answer.content) == (202, b"")
    wait_for(lambda: embedded(api) == 70)
    assert found(api, "docker")["total"] == 70


def embedded(api: httpx.Client) -> int:
    """How many messages can be found by their vectors."""
    return int(api.get("/health").json()["searchable"]["embedded"])


def test_health_and_metrics(fresh: Tuple[httpx.Client, Path]) -> None:
    api, file = fresh
    create(api, "x", "y")
    health = api.get("/health").json()
    assert health["status"] == "healthy"
    wait_for(lambda: embedded(api) == 2)
    health = api.get("/health").json()
    assert health["searchable"] == {"messages": 2, "embedded": 2, "model": "local-hash"}
    assert health["checks"] == {name: {"status": "ok"} for name in ("database", "chroma", "embeddings")}
    assert (health["filters"], health["parallel_writes"]) == (True, True)
    metrics = api.get("/metrics").text
    assert "# TYPE sekha_conversations_total gauge\nsekha_conversations_total 1\n" in metrics
    assert "sekha_messages_total 2\n" in metrics
    change(file, "ALTER TABLE conversations RENAME TO lost")
    try:
        answer = api.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
        assert answer.json()["checks"]["database"] == {"status": "error", "error": "no such table: conversations"}
        answer = api.get("/api/v1/conversations")
        assert answer.status_code == 500
        assert answer.json()["error"].startswith("Database error: ")
        answer = api.post("/mcp/tools/memory_stats", json={})
        assert (answer.status_code, answer.content) == (500, b"")
    finally:
        change(file, "ALTER TABLE lost RENAME TO conversations")


@pytest.mark.parametrize("text", ["🚀" * 40, "x" + "🚀" * 40, "日本語" * 100, "é" * 99])
def test_no_text_is_lost(api: httpx.Client, text: str) -> None:
    identity = create(api, text)
    assert tool(api, "memory_export", conversation_id=identity)["messages"][0]["content"] == text
