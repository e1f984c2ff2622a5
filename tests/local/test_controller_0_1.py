"""What the profile `controller-0.1` does and no recorded exchange shows by itself: hanging, dying, limits, failures."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import httpx
import pytest

from local.conftest import UNKNOWN, change, create, tool
from local.stub_models import NAMES, StubModels, stub_models
from sekha.local import LocalSekha, LocalSekhaError
from sekha.local.v0_1 import bridge as bridge_02
from sekha.local.v0_1.controller import DEFAULT_MCP_KEY
from sekha.local.v0_1.edge import ServerEdge

PROFILE = "controller-0.1"
KEY = {"authorization": f"Bearer {DEFAULT_MCP_KEY}"}
CREATE: Dict[str, Any] = {"label": "L", "folder": "/f", "messages": [{"role": "user", "content": "at the same time"}]}


@pytest.fixture(scope="module")
def filed_sekha(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuple[LocalSekha, Path]]:
    file = tmp_path_factory.mktemp("controller") / "memory.db"
    with LocalSekha(file, profile=PROFILE) as sekha:
        yield sekha, file


@pytest.fixture
def old(filed_sekha: Tuple[LocalSekha, Path]) -> Iterator[httpx.Client]:
    """An empty controller 0.1."""
    sekha, _ = filed_sekha
    sekha.forget()
    with httpx.Client(verify=False, base_url=sekha.controller_url, headers=KEY) as client:
        yield client


@pytest.fixture
def models() -> Iterator[StubModels]:
    with stub_models() as stub:
        yield stub


def test_options_and_arguments() -> None:
    with LocalSekha(profile=PROFILE) as sekha:
        assert sekha.options.get("mcp_api_key") == DEFAULT_MCP_KEY
        assert sekha.options["api_key"] == "sk-local"
        assert "rate_limit_requests" not in sekha.options, "it has the limit of the real server"
        health = httpx.get(f"{sekha.controller_url}/health", verify=False).json()
        assert set(health) == {"status", "timestamp", "checks"}, "and says nothing of what it cannot do"
    with LocalSekha(profile="documented") as sekha:
        assert "mcp_api_key" not in sekha.options
    with pytest.raises(
        LocalSekhaError, match=r"unknown profile 'controller-9': expected documented or controller-0\.1"
    ):
        LocalSekha(profile="controller-9")
    with pytest.raises(LocalSekhaError, match="mcp_api_key is not used in the profile"):
        LocalSekha(mcp_api_key="k" * 32)


@pytest.mark.parametrize(("key", "status"), [("k" * 32, 200), ("k" * 31, 401), ("k", 401)])
def test_a_short_mcp_key_is_refused_to_everybody(key: str, status: int) -> None:
    with LocalSekha(profile=PROFILE, mcp_api_key=key, api_key="other") as sekha:
        with httpx.Client(verify=False, base_url=sekha.controller_url) as api:
            answer = api.post("/mcp/tools/memory_stats", json={}, headers={"authorization": f"Bearer {key}"})
            assert answer.status_code == status
            assert api.get("/api/v1/conversations").status_code == 200


def write(sekha: LocalSekha, at_once: int, path: str = "/api/v1/conversations") -> List[int]:
    """The statuses of writes at once; 0 for those whose client gave up."""
    ready, statuses = threading.Barrier(at_once), []

    def one() -> None:
        with httpx.Client(verify=False, base_url=sekha.controller_url, timeout=0.7, headers=KEY) as client:
            client.get("/health")
            ready.wait()
            try:
                statuses.append(client.post(path, json=CREATE).status_code)
            except httpx.ReadTimeout:
                statuses.append(0)

    threads = [threading.Thread(target=one) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def test_many_writes_at_once_hang_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.local.v0_1.memory.EMBEDDING_SECONDS", 0.04)
    with LocalSekha(profile=PROFILE) as sekha, httpx.Client(verify=False, base_url=sekha.controller_url) as api:
        assert write(sekha, 4) == [201] * 4
        assert write(sekha, 4, "/mcp/tools/memory_store") == [200] * 4
        statuses = write(sekha, 16)
        assert set(statuses) == {0, 201}
        assert statuses.count(0) > 5
        # The clients are gone, and the server works again. The rows of what they wrote are there, without messages.
        assert api.post("/api/v1/conversations", json=CREATE, timeout=5).status_code == 201
        assert api.get("/api/v1/conversations").json()["total"] == 4 + 4 + 16 + 1
        found = api.post("/api/v1/search/fts", json={"query": "time", "limit": 100}).json()
        assert found["total"] == 4 + 4 + statuses.count(201) + 1


def test_searches_hang_with_the_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.local.v0_1.memory.EMBEDDING_SECONDS", 0.04)
    with LocalSekha(profile=PROFILE) as sekha:
        writing = threading.Thread(target=write, args=(sekha, 16))
        writing.start()
        with httpx.Client(verify=False, base_url=sekha.controller_url) as api:
            while api.get("/api/v1/conversations").json()["total"] < 16:
                pass
            with pytest.raises(httpx.ReadTimeout):
                api.post("/api/v1/query", json={"query": "x"}, timeout=0.3)
            assert api.get("/health").status_code == 200
            writing.join()
            assert api.post("/api/v1/query", json={"query": "x"}, timeout=5).status_code == 200


def found(api: httpx.Client, text: str, limit: int = 1000) -> List[str]:
    """The messages that a search finds, best first."""
    rows = api.post("/api/v1/query", json={"query": text, "limit": limit}).json()["results"]
    return [row["content"] for row in rows]


@pytest.mark.parametrize("path", ["/api/v1/conversations", "/mcp/tools/memory_store"])
def test_first_writes_side_by_side_lose_their_vectors(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.local.v0_1.memory.EMBEDDING_SECONDS", 0.1)
    with LocalSekha(profile=PROFILE) as sekha, httpx.Client(verify=False, base_url=sekha.controller_url) as api:
        assert set(write(sekha, 4, path)) <= {200, 201}
        assert len(found(api, "at the same time")) == 1, "of four, one has created the collection"
        full_text = api.post("/api/v1/search/fts", json={"query": "time", "limit": 100}).json()
        assert full_text["total"] == 4, "full text finds all"
        assert set(write(sekha, 4, path)) <= {200, 201}
        assert len(found(api, "at the same time")) == 5, "later ones lose nothing"


def test_first_writes_one_after_the_other_keep_their_vectors(old: httpx.Client) -> None:
    for number in range(4):
        create(old, f"number {number}")
    assert len(found(old, "number")) == 4


@pytest.mark.parametrize(("size", "hidden"), [(32, 0), (40, 13), (200, 66)])
def test_a_crowd_hides_a_part_of_itself(size: int, hidden: int, old: httpx.Client) -> None:
    texts = [f"Invoice {number} was paid in full." for number in range(size)]
    create(old, *texts)
    create(old, "Something else about invoices.")
    assert "Something else about invoices." in found(old, "Invoice")
    seen = found(old, "Invoice 1 was paid in full.", 100_000)
    missing = [text for text in texts if text not in seen]
    assert len(missing) == hidden
    for text in missing[:20]:
        assert text not in found(old, text, 5), "not even by itself"
    full_text = old.post("/api/v1/search/fts", json={"query": "paid", "limit": 1000}).json()
    assert full_text["total"] == size, "full text finds all"


def test_different_texts_do_not_hide_each_other(old: httpx.Client) -> None:
    words = [f"{one}{other}" for one in "abcdefghij" for other in "klmnopqrst"]
    create(old, *(f"The {word} is here." for word in words))
    assert len(found(old, "The is here.")) == 100


@pytest.mark.parametrize("path", ["/api/v1/conversations", "/mcp/tools/memory_store"])
def test_a_message_with_a_character_across_byte_100_is_death(old: httpx.Client, path: str) -> None:
    texts = ["first", "x" + "ü" * 60, "last"]
    messages = [{"role": "user", "content": text} for text in texts]
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        old.post(path, json={**CREATE, "messages": messages})
    row = old.get("/api/v1/conversations").json()["results"][0]
    exported = tool(old, "memory_export", conversation_id=row["conversation_id"])
    assert [message["content"] for message in exported["messages"]] == ["first"]
    for harmless in ("ü" * 60, "x" * 100 + "ü", "x" + "ü" * 49 + "y"):
        create(old, harmless)


def test_a_threshold_beyond_the_calendar_is_death(old: httpx.Client) -> None:
    for path in ("/api/v1/prune/dry-run", "/mcp/tools/memory_prune"):
        for days in (-(10**8), 2**63 - 1):
            with pytest.raises(httpx.RemoteProtocolError):
                old.post(path, json={"threshold_days": days})
        assert old.post(path, json={"threshold_days": 10_000}).status_code == 200


def test_numbers_of_32_bits(old: httpx.Client) -> None:
    answer = tool(old, "memory_prune", threshold_days=10_000, importance_threshold=0.1)
    assert answer["importance_threshold"] == 0.10000000149011612


@pytest.mark.parametrize("path", ["/api/v1/conversations", "/mcp/tools/memory_store"])
def test_content_parts_are_refused_with_the_name_of_the_field(old: httpx.Client, path: str) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "x"}]}]
    answer = old.post(path, json={**CREATE, "messages": messages})
    assert answer.status_code == 422
    assert "messages[0].content: " in answer.text


def test_a_thousand_requests_a_minute() -> None:
    now = 0.0
    edge = ServerEdge(lambda scope, receive, send: None, lambda: now)  # type: ignore[arg-type,return-value]
    assert [edge.admit(None) for _ in range(1001)] == [True] * 1000 + [False]
    assert not edge.admit("no address")
    assert edge.admit("192.0.2.1, 127.0.0.1")
    now = 59.9
    assert not edge.admit("")
    now = 60.0
    assert [edge.admit("127.0.0.1") for _ in range(1001)] == [True] * 1000 + [False]


def test_over_the_limit_is_text_without_retry_after(old: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.local.v0_1.edge.MAX_REQUESTS", 0)
    for path in ("/health", "/mcp/tools/memory_stats", "/nothing"):
        answer = old.get(path)
        assert (answer.status_code, answer.text) == (429, "Rate limit exceeded. Please try again later.")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert "retry-after" not in answer.headers


def test_search_gives_distances_and_ignores_the_rest(old: httpx.Client) -> None:
    identity = create(old, "We deploy with docker.", "Docker again.", label="Ops", folder="/ops")
    create(old, "Apple pie.", label="Pie", folder="/home")
    more = {"filters": {"labels": ["Pie"]}, "offset": 2, "limit": 2}
    plain = old.post("/api/v1/query", json={"query": "docker", "limit": 2}).json()
    ignored = old.post("/api/v1/query", json={"query": "docker", **more}).json()
    assert plain["results"] == ignored["results"]
    assert (plain["page"], ignored["page"], plain["total"]) == (0, 1, 2)
    scores = [hit["score"] for hit in plain["results"]]
    assert 0 <= scores[0] < scores[1] < 0.9
    assert {hit["conversation_id"] for hit in plain["results"]} == {identity}
    found = tool(old, "memory_search", query="docker", labels=["Pie"], min_importance=9, limit=2)
    assert [hit["score"] for hit in found["results"]] == pytest.approx(scores, abs=1e-6)
    assert " " in found["results"][0]["timestamp"]
    assert "T" in found["results"][0]["metadata"]["timestamp"]


def test_context_has_duplicates_and_leaks_what_is_excluded(old: httpx.Client) -> None:
    work = create(old, "docker one", label="A", folder="/work")
    create(old, "docker two", label="B", folder="/workshop")
    create(old, "docker three", label="C", folder="/home")
    old.put(f"/api/v1/conversations/{work}/pin")

    def context(**more: Any) -> List[str]:
        body = {"query": "docker", "preferred_labels": [], "context_budget": 4000, **more}
        return [row["content"] for row in old.post("/api/v1/context/assemble", json=body).json()]

    assert context(excluded_folders=["/work"]) == ["docker one", "docker three"]
    assert context(preferred_labels=["A"])[:3] == ["docker one"] * 3
    assert sorted(context()) == ["docker one", "docker one", "docker three", "docker two"]
    assert context(context_budget=0) == []
    assert context(context_budget=5) == ["docker one", "docker one"]  # 2 tokens each, 85 % of 5


def test_what_is_gone_or_only_said(old: httpx.Client) -> None:
    identity = create(old, "Kept.", label="50%", folder="/a")
    for path in ("pin", "archive"):
        answer = old.put(f"/api/v1/conversations/{UNKNOWN}/{path}")
        text = f"Entity not found: Conversation {UNKNOWN} not found"
        assert (answer.status_code, answer.json()) == (500, {"error": text, "code": 500})
    updated = tool(old, "memory_update", conversation_id=identity, status="archived", importance_score=9)
    assert updated["updated_fields"] == ["status", "importance_score"]
    got = tool(old, "memory_get_context", conversation_id=identity)
    assert (got["status"], got["importance_score"]) == ("active", 5)
    counts = [
        old.get("/api/v1/conversations/count", params={"label": text}).json()["count"] for text in ("%", "_", "x")
    ]
    assert counts == [1, 1, 0]
    assert old.post("/mcp/tools/memory_prune", json={"threshold_days": -1}).status_code == 500
    answer = old.post("/mcp/tools/memory_stats", json={"folder": "/a", "label": "b"}).json()
    assert answer == {"success": False, "data": None, "error": "Cannot specify both folder and label"}


def test_a_database_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    with LocalSekha(file, profile=PROFILE) as sekha:
        with httpx.Client(verify=False, base_url=sekha.controller_url) as api:
            change(file, "DROP TABLE vectors; DROP TABLE messages; DROP TABLE conversations;")
            empty = {"results": [], "total": 0, "page": 1, "page_size": 50}
            assert api.get("/api/v1/conversations").json() == empty
            answer = api.put(f"/api/v1/conversations/{UNKNOWN}/label", json={"label": "x", "folder": "/"})
            assert (answer.status_code, answer.json()["error"][:16]) == (404, "Database error: ")
            for path, status in (("/api/v1/conversations/count", 500), ("/health", 503)):
                answer = api.get(path)
                assert (answer.status_code, answer.content) == (status, b"")


def test_models_that_fail(models: StubModels) -> None:
    with LocalSekha(profile=PROFILE, llm_url=models.url, embeddings_url=models.url, **NAMES) as sekha:
        with httpx.Client(verify=False, base_url=sekha.controller_url) as api:
            identity = create(api, "docker", label="Zebra")
            create(api, label="Ant")
            models.text = "docker, Ant,  two words"
            asked = {"conversation_id": identity}
            found = api.post("/api/v1/labels/suggest", json=asked).json()["suggestions"]
            assert [(row["label"], row["confidence"]) for row in found] == [
                ("docker", 0.6),
                ("Ant", 0.9),
                ("two words", 0.6),
            ]
            models.fault = (500, "out of memory")
            found = api.post("/api/v1/labels/suggest", json=asked).json()["suggestions"]
            assert [(row["label"], row["is_existing"]) for row in found] == [("Ant", True)]
            answer = api.post("/api/v1/summarize", json={**asked, "level": "weekly"}).json()
            assert (answer["summary"], answer["level"]) == ("Daily summary: 1 messages (LLM offline)", "weekly")
            assert api.post("/api/v1/query", json={"query": "docker"}).json()["results"] == []
            answer = api.post("/api/v1/prune/dry-run", json={"threshold_days": -1})
            assert (answer.status_code, answer.json()["error"][:36]) == (500, "Embedding error: LLM Bridge error: o")
            unseen = create(api, "docker, stored without a vector")
            assert api.delete(f"/api/v1/conversations/{unseen}").status_code == 200


def test_the_bridge_has_a_breaker_and_makes_0_7_of_0(models: StubModels, monkeypatch: pytest.MonkeyPatch) -> None:
    body: Dict[str, Any] = {"messages": [{"role": "user", "content": "x"}], "temperature": 0}
    with LocalSekha(profile=PROFILE, llm_url=models.url, llm_model=NAMES["llm_model"]) as sekha:
        with httpx.Client(verify=False, base_url=sekha.bridge_url) as bridge:
            assert bridge.post("/v1/chat/completions", json=body).status_code == 200
            assert models.asked[-1]["body"]["options"] == {"temperature": 0.7, "num_predict": 2000}
            models.fault = (500, "no")
            for _ in range(2):
                for _ in range(3):
                    answer = bridge.post("/v1/chat/completions", json=body).json()
                    assert answer["detail"].startswith("Chat completion failed for ollama: ")
                count = len(models.asked)
                answer = bridge.post("/embed", json={"text": "embeddings have another server, but the same breaker"})
                assert answer.json() == {"detail": "No suitable providers available for task 'embedding'"}
                assert len(models.asked) == count
                assert bridge.get("/health").json()["status"] == "degraded"
                monkeypatch.setattr(bridge_02, "BREAKER_SECONDS", 0.0)
                models.fault = None
                assert bridge.post("/v1/chat/completions", json=body).status_code == 200
                assert bridge.get("/health").json()["status"] == "healthy"
                monkeypatch.undo()
                models.fault = (500, "no")


@pytest.mark.parametrize(
    ("model", "status"),
    [
        ("gpt-4", 200),
        ("gpt-4o-mini", 500),
        ("Mistral-Large", 500),
        ("llama3.1:8b", 200),
        ("nomic-embed-text", 500),
    ],
)
def test_names_of_models(filed_sekha: Tuple[LocalSekha, Path], model: str, status: int) -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "model": model, "stream": True}
    with httpx.Client(verify=False, base_url=filed_sekha[0].bridge_url) as bridge:
        answer = bridge.post("/v1/chat/completions", json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        if status == 200:
            assert answer.json()["model"] == model
