"""Every method against a local Sekha: what comes back is what was stored."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaAuthError, SekhaNotFoundError, SekhaServerError, SekhaValidationError
from sekha.local import LocalSekha
from sekha.types import MessageRole, SummaryLevel
from support.facts import OTHER_ID

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
TOKENS = "How do we rotate refresh tokens?"
SOUP = "Where is the best noodle soup in town?"
OAUTH = "Use OAuth for the public API."


def said(*texts: str) -> list[dict[str, object]]:
    """Messages, user and assistant in turns."""
    return [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(texts)]


class Memory:
    """Three conversations that every test knows: ids by short names."""

    def __init__(self, auth: str, lunch: str, api: str) -> None:
        self.auth = auth
        self.lunch = lunch
        self.api = api


@pytest.fixture
async def memory(local: AsyncSekhaClient) -> Memory:
    """Importance 8, 5 and 10; 2, 1 and 3 messages."""
    create = local.controller.create_conversation
    auth = await create(
        label="Auth", folder="/work", importance_score=8, messages=said(TOKENS, "Every day, by a cron job.")
    )
    lunch = await create(label="Lunch", folder="/home", messages=said(SOUP))
    api = await create(
        {"label": "Auth", "folder": "/work/api", "importance_score": 10, "messages": said(OAUTH, "Agreed.", "Decided.")}
    )
    return Memory(auth["id"], lunch["id"], api["id"])


# The controller


async def test_create_and_get(local: AsyncSekhaClient) -> None:
    messages: list[dict[str, object]] = [
        {"role": MessageRole.USER, "content": "Größe 日本語 🐈\nzweite Zeile"},
        *said("x" * 99 + "é long"),
    ]
    made = await local.controller.create_conversation(folder="/ünï/x", messages=messages)
    assert (made["label"], made["folder"], made["status"]) == ("Größe 日本語 🐈", "/ünï/x", "active")
    assert made["message_count"] == 2
    assert TIME.fullmatch(made["created_at"] or "")
    found = await local.controller.get_conversation(made["id"])
    for key in ("id", "label", "folder", "status", "message_count", "created_at"):
        assert found[key] == made[key]
    stored = await local.controller.get_messages(made["id"])
    assert [(one["role"], one["content"]) for one in stored] == [
        ("user", "Größe 日本語 🐈\nzweite Zeile"),
        ("user", " " + "x" * 99 + "é long"),
    ]
    assert all(TIME.fullmatch(one["timestamp"] or "") for one in stored)


async def test_a_conversation_may_be_empty(local: AsyncSekhaClient) -> None:
    made = await local.controller.create_conversation(messages=[])
    assert (made["label"], made["message_count"]) == ("Conversation", 0)
    assert await local.controller.get_messages(made["id"]) == []
    assert (await local.controller.get_conversation(made["id"]))["message_count"] == 0


async def test_importance_is_stored(local: AsyncSekhaClient, memory: Memory) -> None:
    for id, importance in ((memory.auth, 8), (memory.lunch, 5), (memory.api, 10)):
        assert (await local.mcp.memory_get_context(id))["importance_score"] == importance


async def test_content_parts_are_stored_as_text(local: AsyncSekhaClient) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://x.test/cat.png"}}
    made = await local.controller.create_conversation(
        messages=[{"role": "user", "content": [{"type": "text", "text": "A cat"}, image]}]
    )
    (message,) = await local.controller.get_messages(made["id"])
    assert message["content"] == "A cat\nhttps://x.test/cat.png"


async def test_what_is_not_there_is_not_found(local: AsyncSekhaClient) -> None:
    controller, mcp = local.controller, local.mcp
    calls: list[Any] = [
        lambda: controller.get_conversation(OTHER_ID),
        lambda: controller.get_messages(OTHER_ID),
        lambda: controller.update_label(OTHER_ID, label="L", folder="/"),
        lambda: controller.update_folder(OTHER_ID, folder="/"),
        lambda: controller.pin_conversation(OTHER_ID),
        lambda: controller.archive_conversation(OTHER_ID),
        lambda: controller.delete_conversation(OTHER_ID),
        lambda: controller.summarize(OTHER_ID),
        lambda: controller.suggest_labels(OTHER_ID),
        lambda: controller.prune_execute([OTHER_ID]),
        lambda: mcp.memory_get_context(OTHER_ID),
        lambda: mcp.memory_export(OTHER_ID),
        lambda: mcp.memory_update(OTHER_ID, label="L"),
    ]
    for call in calls:
        with pytest.raises(SekhaNotFoundError):
            await call()


async def test_list(local: AsyncSekhaClient, memory: Memory) -> None:
    async def ids(**filters: Any) -> list[str]:
        return [one["conversation_id"] for one in (await local.controller.list_conversations(**filters))["results"]]

    assert await ids() == [memory.api, memory.lunch, memory.auth]
    assert await ids(page=2, page_size=2) == [memory.auth]
    assert await ids(label="Auth") == [memory.api, memory.auth]
    assert await ids(label="auth") == []
    assert await ids(folder="/work") == [memory.auth]
    assert await ids(folder="/work", subfolders=True) == [memory.api, memory.auth]
    assert await ids(pinned=True) == [memory.api]
    assert await ids(pinned=False, label="Auth") == [memory.auth]
    await local.controller.archive_conversation(memory.lunch)
    assert await ids(archived=True) == [memory.lunch]
    assert await ids(archived=False, page=1, page_size=1) == [memory.api]
    page = await local.controller.list_conversations(archived=False, page=2, page_size=1)
    assert (page["total"], page["page"], page["page_size"]) == (2, 2, 1)
    row = page["results"][0]
    assert (row["label"], row["folder"]) == ("Auth", "/work")
    assert row["metadata"] == {"folder": "/work", "status": "active", "importance_score": 8}
    assert TIME.fullmatch(row["timestamp"])


async def test_iterate(local: AsyncSekhaClient, memory: Memory) -> None:
    walked = [one["conversation_id"] async for one in local.controller.iter_conversations(page_size=2)]
    assert walked == [memory.api, memory.lunch, memory.auth]
    work = local.controller.iter_conversations(folder="/work", subfolders=True)
    assert [one["label"] async for one in work] == ["Auth", "Auth"]


async def test_count(local: AsyncSekhaClient, memory: Memory) -> None:
    async def count(**what: Any) -> int:
        return (await local.controller.count_conversations(**what))["count"]

    assert [await count(), await count(folder="/work"), await count(folder="/nothing")] == [3, 1, 0]
    assert [await count(label="Auth"), await count(label="auth"), await count(label="Au")] == [2, 0, 0]
    assert [await count(label_contains="au"), await count(label_contains="UNC")] == [2, 1]


async def test_label_and_folder(local: AsyncSekhaClient, memory: Memory) -> None:
    async def now() -> tuple[str, str]:
        found = await local.controller.get_conversation(memory.auth)
        return found["label"], found["folder"]

    await local.controller.update_label(memory.auth, label="New", folder="/new")
    assert await now() == ("New", "/new")
    await local.controller.update_label(memory.auth, label="Newer")
    assert await now() == ("Newer", "/new")
    await local.controller.update_folder(memory.auth, folder="/newer")
    assert await now() == ("Newer", "/newer")


async def test_pin_archive_delete(local: AsyncSekhaClient, memory: Memory) -> None:
    await local.controller.pin_conversation(memory.lunch)
    assert (await local.mcp.memory_get_context(memory.lunch))["importance_score"] == 10
    await local.controller.archive_conversation(memory.lunch)
    assert (await local.controller.get_conversation(memory.lunch))["status"] == "archived"
    await local.controller.delete_conversation(memory.lunch)
    with pytest.raises(SekhaNotFoundError):
        await local.controller.get_conversation(memory.lunch)
    assert (await local.controller.count_conversations())["count"] == 2


async def test_query(local: AsyncSekhaClient, memory: Memory) -> None:
    found = await local.controller.query("How do we rotate refresh tokens?", limit=10)
    assert len(found["results"]) == 6
    best = found["results"][0]
    assert (best["content"], best["label"], best["folder"]) == (TOKENS, "Auth", "/work")
    assert best["conversation_id"] == memory.auth
    scores = [one["score"] for one in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1.0, abs=0.01)
    assert TIME.fullmatch(best["timestamp"])
    first, second = [await local.controller.query("tokens", limit=1, offset=offset) for offset in (0, 1)]
    assert first["results"][0]["content"] == TOKENS
    assert first["results"][0]["message_id"] != second["results"][0]["message_id"]
    assert (first["page"], second["page"]) == (1, 2)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"label": "Lunch"}, 1),
        ({"labels": ["Lunch", "Auth"]}, 6),
        ({"folder": "/work"}, 2),
        ({"folder": "/work", "label": "Lunch"}, 0),
        ({"min_importance": 8}, 5),
        ({"min_importance": 9}, 3),
        ({"start_date": "2020-01-01"}, 6),
        ({"end_date": "2020-01-01"}, 0),
    ],
)
async def test_query_and_search_with_filters(
    filters: Any, expected: int, local: AsyncSekhaClient, memory: Memory
) -> None:
    queried = await local.controller.query("token", filters=filters)
    searched = await local.mcp.memory_search({"query": "token", **filters})
    assert len(queried["results"]) == queried["total"] == expected
    assert len(searched["results"]) == searched["total_results"] == expected
    assert [one["message_id"] for one in queried["results"]] == [one["message_id"] for one in searched["results"]]
    assert queried["truncated"] is searched["truncated"] is False


async def test_full_text(local: AsyncSekhaClient, memory: Memory) -> None:
    await local.controller.create_conversation(messages=said("It's C++, what? re-index AND more"))
    for words in ("C++", "it's", "what?", "re-index", "AND", "more it's"):
        found = await local.controller.full_text_search(words)
        assert [one["content"] for one in found["results"]] == ["It's C++, what? re-index AND more"], words
        assert found["total"] == 1
    assert (await local.controller.full_text_search("nowhere"))["results"] == []
    raw = await local.controller.full_text_search("tokens OR soup", raw=True)
    assert {one["content"] for one in raw["results"]} == {TOKENS, SOUP}
    with pytest.raises(SekhaValidationError, match="raw=True"):
        await local.controller.full_text_search('"', raw=True)


async def test_context(local: AsyncSekhaClient, memory: Memory) -> None:
    context = await local.controller.assemble_context("rotate refresh tokens")
    contents = [one["content"] for one in context]
    assert TOKENS in contents
    assert OAUTH in contents
    citation: Any = (context[contents.index(TOKENS)].get("metadata") or {}).get("citation")
    assert (citation["label"], citation["folder"]) == ("Auth", "/work")
    assert TIME.fullmatch(citation["timestamp"])
    assert await local.controller.assemble_context("tokens", context_budget=0) == []
    outside = await local.controller.assemble_context("tokens", excluded_folders=["/work"])
    assert {one["content"] for one in outside} <= {SOUP}
    small = await local.controller.assemble_context("rotate refresh tokens", context_budget=10)
    assert sum(len(str(one["content"])) for one in small) <= 40


async def test_summarize(local: AsyncSekhaClient, memory: Memory) -> None:
    for level in ("daily", SummaryLevel.WEEKLY, SummaryLevel.MONTHLY):
        summary = await local.controller.summarize(memory.auth, level=level)
        assert summary["level"] == getattr(level, "value", level)
        assert summary["conversation_id"] == memory.auth
        assert "refresh tokens" in summary["summary"]
        assert TIME.fullmatch(summary["generated_at"])


async def test_prune(local: AsyncSekhaClient, memory: Memory) -> None:
    assert (await local.controller.prune_dry_run())["suggestions"] == []
    found = await local.controller.prune_dry_run(threshold_days=0)
    assert found["total"] == len(found["suggestions"]) == 3
    lunch = next(one for one in found["suggestions"] if one["conversation_id"] == memory.lunch)
    assert (lunch["conversation_label"], lunch["message_count"], lunch["importance_score"]) == ("Lunch", 1, 5.0)
    await local.controller.prune_execute([memory.lunch, memory.auth])
    archived = await local.controller.list_conversations(archived=True)
    assert {one["conversation_id"] for one in archived["results"]} == {memory.lunch, memory.auth}
    assert (await local.controller.prune_dry_run(threshold_days=0))["total"] == 1
    with pytest.raises(SekhaNotFoundError):
        await local.controller.prune_execute([memory.api, OTHER_ID])
    assert (await local.controller.get_conversation(memory.api))["status"] == "active"


async def test_suggest_labels(local: AsyncSekhaClient, memory: Memory) -> None:
    suggestions = await local.controller.suggest_labels(memory.lunch)
    assert 0 < len(suggestions) <= 5
    assert {"soup", "noodle"} & {one["label"] for one in suggestions}
    assert all(0 <= one["confidence"] <= 1 and one["reason"] for one in suggestions)


async def test_the_rest_of_the_controller(local: AsyncSekhaClient, memory: Memory) -> None:
    await local.controller.rebuild_embeddings()
    health = await local.controller.health()
    assert (health["status"], health["checks"]["database"]["status"]) == ("healthy", "ok")
    assert "sekha_conversations_total 3" in await local.controller.metrics()


# The tools


async def test_store_by_the_tool(local: AsyncSekhaClient) -> None:
    stored = await local.mcp.memory_store({"importance_score": 9, "messages": said("Decided.")}, folder="/decisions")
    assert (stored["label"], stored["folder"]) == ("Decided.", "/decisions")
    assert stored["id"] == stored["conversation_id"]
    context = await local.mcp.memory_get_context(stored["id"])
    assert (context["importance_score"], context["status"]) == (9, "active")
    assert TIME.fullmatch(context["created_at"])
    assert TIME.fullmatch(context["updated_at"])


async def test_export(local: AsyncSekhaClient, memory: Memory) -> None:
    export = await local.mcp.memory_export(memory.auth)
    assert [one["content"] for one in export["messages"]] == [TOKENS, "Every day, by a cron job."]
    about = export["conversation"]
    assert (about["id"], about["label"], about["importance_score"]) == (memory.auth, "Auth", 8)
    markdown = (await local.mcp.memory_export(memory.auth, format="markdown"))["content"]
    assert markdown.startswith("# Auth\n")
    assert f"## User\n\n{TOKENS}\n" in markdown
    assert "## Assistant\n\nEvery day, by a cron job.\n" in markdown


async def test_update(local: AsyncSekhaClient, memory: Memory) -> None:
    updated = await local.mcp.memory_update(memory.lunch, label="Dinner", status="archived", importance_score=3)
    assert sorted(updated["updated_fields"]) == ["importance_score", "label", "status"]
    now = await local.mcp.memory_get_context(memory.lunch)
    assert (now["label"], now["folder"], now["status"], now["importance_score"]) == ("Dinner", "/home", "archived", 3)
    await local.mcp.memory_update(memory.lunch, status="active", importance_score=10, folder="/town")
    now = await local.mcp.memory_get_context(memory.lunch)
    assert (now["label"], now["folder"], now["status"], now["importance_score"]) == ("Dinner", "/town", "active", 10)


@pytest.mark.parametrize(
    ("wanted", "conversations", "messages", "average", "folders", "labels"),
    [
        ({}, 3, 6, 23 / 3, ["/home", "/work", "/work/api"], ["Auth", "Lunch"]),
        ({"label": "Auth"}, 2, 5, 9.0, ["/work", "/work/api"], ["Auth"]),
        ({"labels": ["Auth"]}, 2, 5, 9.0, ["/work", "/work/api"], ["Auth"]),
        ({"labels": ["Auth", "Lunch"], "folder": "/work"}, 1, 2, 8.0, ["/work"], ["Auth"]),
        ({"folder": "/home"}, 1, 1, 5.0, ["/home"], ["Lunch"]),
        ({"labels": ["important"], "start_date": "2026-01-01T00:00:00Z"}, 0, 0, 0.0, [], []),
        ({"start_date": "2020-01-01T00:00:00Z"}, 3, 6, 23 / 3, ["/home", "/work", "/work/api"], ["Auth", "Lunch"]),
        ({"end_date": "2020-12-31T23:59:59Z"}, 0, 0, 0.0, [], []),
    ],
)
async def test_statistics(
    wanted: Any,
    conversations: int,
    messages: int,
    average: float,
    folders: list[str],
    labels: list[str],
    local: AsyncSekhaClient,
    memory: Memory,
) -> None:
    stats = await local.mcp.memory_stats(wanted)
    assert (stats["total_conversations"], stats["total_messages"]) == (conversations, messages)
    assert stats["average_importance"] == pytest.approx(average, abs=1e-4)
    assert (stats["folders"], stats["labels"]) == (folders, labels)


async def test_prune_by_the_tool(local: AsyncSekhaClient, memory: Memory) -> None:
    assert (await local.mcp.memory_prune())["suggestions"] == []
    found = await local.mcp.memory_prune(threshold_days=0, importance_threshold=9.0)
    assert found["total_suggestions"] == 3
    advice = {one["conversation_id"]: one["recommendation"] for one in found["suggestions"]}
    assert advice == {memory.auth: "archive", memory.lunch: "archive", memory.api: "keep"}


# The bridge


async def test_complete(local: AsyncSekhaClient) -> None:
    completion = await local.bridge.complete(
        [*said("The capital of France is Paris."), {"role": "user", "content": "What is the capital of France?"}],
        model="gpt-4",
        temperature=0,
    )
    choice = completion["choices"][0]
    assert "The capital of France is Paris." in (choice["message"]["content"] or "")
    assert (choice["message"]["role"], choice["finish_reason"]) == ("assistant", "stop")
    usage = completion["usage"]
    assert usage["total_tokens"] == (usage["prompt_tokens"] or 0) + (usage.get("completion_tokens") or 0) > 0
    short = await local.bridge.complete(said("Hello?"), max_tokens=2)
    assert len((short["choices"][0]["message"]["content"] or "").split()) == 2


async def test_stream(local: AsyncSekhaClient) -> None:
    messages = said("The capital of France is Paris.", "I see.", "What is the capital of France?")
    whole = await local.bridge.complete(messages)
    async with await local.bridge.stream_complete(messages) as stream:
        pieces = [text async for text in stream.text_stream()]
        final = await stream.get_final_completion()
    assert len(pieces) > 5
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]
    assert final["choices"] == whole["choices"]
    assert final["usage"] == whole["usage"]


async def test_a_role_that_the_bridge_does_not_know_is_its_error(local: AsyncSekhaClient) -> None:
    for call in (local.bridge.complete, local.bridge.stream_complete):
        with pytest.raises(SekhaServerError, match="is not a valid MessageRole") as caught:
            await call([{"role": "tool", "content": "42"}])
        assert caught.value.attempts == 1


async def test_embed(local: AsyncSekhaClient) -> None:
    one = await local.bridge.embed(TOKENS)
    many = await local.bridge.embed([SOUP, TOKENS, "Rotate the refresh tokens"])
    assert [item["index"] for item in many["data"]] == [0, 1, 2]
    assert many["data"][1]["embedding"] == one["embedding"] == one["data"][0]["embedding"]
    assert len(one["embedding"]) == one["dimension"] == many["dimension"]

    def near(a: int, b: int) -> float:
        left, right = many["data"][a]["embedding"], many["data"][b]["embedding"]
        return sum(x * y for x, y in zip(left, right))

    assert near(1, 1) == pytest.approx(1.0, abs=1e-3)
    assert near(1, 2) > near(0, 1)


async def test_the_rest_of_the_bridge(local: AsyncSekhaClient) -> None:
    health = await local.bridge.health()
    assert health["status"] == "healthy"
    assert {check["status"] for check in health["checks"].values()} == {"ok"}
    assert {model["task"] for model in await local.bridge.models()} == {"embedding", "chat_smart"}
    assert "chat_smart" in await local.bridge.tasks()
    assert (await local.bridge.route("chat_smart"))["model_id"] == "local-extractive"
    with pytest.raises(SekhaValidationError, match="poetry"):
        await local.bridge.route("poetry")
    with pytest.raises(SekhaServerError, match="No providers"):
        await local.bridge.with_options(max_retries=0).route("vision", require_vision=True)
    providers = await local.bridge.provider_health()
    assert providers["total_providers"] == providers["healthy_providers"] == len(providers["providers"])
    summary = await local.bridge.summarize(["We ship on Friday.", "The review is done."], level="weekly")
    assert (summary["level"], "Friday" in summary["summary"]) == ("weekly", True)
    extraction = await local.bridge.extract("Ada Lovelace wrote to Charles Babbage.")
    assert "Ada Lovelace" in extraction["entities"]["people"]
    serious = await local.bridge.score("We decided on the release; the deadline is critical.")
    trivial = await local.bridge.score("lol ok")
    assert 1 <= trivial["score"] < serious["score"] <= 10
    assert serious["reasoning"]


# Keys


async def test_a_wrong_key_is_refused_and_the_right_one_taken() -> None:
    key = "sk-the-only-key"
    with LocalSekha(api_key=key) as guarded:
        url = guarded.controller_url
        async with AsyncSekhaClient(controller_url=url, api_key="sk-wrong") as client:
            for call in (client.controller.list_conversations, client.mcp.memory_stats):
                with pytest.raises(SekhaAuthError):
                    await call()
            right = client.with_options(api_key=key)
            assert (await right.controller.list_conversations())["total"] == 0
            assert (await right.mcp.memory_stats())["total_conversations"] == 0
