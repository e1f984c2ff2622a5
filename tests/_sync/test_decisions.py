# Generated from tests/_async/test_decisions.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""The decisions about what servers do, each by its number: on fake servers, and on one with the real ones' mistakes.

`real` is a client of a local Sekha with the profile controller-0.1. The other tests that bear a number stand beside
what they are about, most of them in `test_servers.py`.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from sekha import (
    SekhaClient,
    SekhaConfigError,
    SekhaNotFoundError,
    SekhaServerError,
    SekhaValidationError,
    SekhaWarning,
)
from sekha._concurrency.tasks import Call, gather
from support import facts
from support.facts import ID, MESSAGES, remembered, row
from support.replies import after, answer, empty, text
from support.server import FakeServer

from .conftest import MakeClient

ONE = f"/api/v1/conversations/{ID}"
LIST, CREATE = "GET /api/v1/conversations", "POST /api/v1/conversations"
CONTEXT, CHAT, DRY_RUN = "POST /api/v1/context/assemble", "POST /v1/chat/completions", "POST /api/v1/prune/dry-run"
NOBODY = "11111111-2222-4333-8444-555555555555"


def fill(client: SekhaClient) -> dict[str, str]:
    """Store five conversations of all kinds; their ids by label."""
    ids: dict[str, str] = {}
    for label, folder, importance, contents in (
        ("Deploy", "/work", 8, ["We deploy with docker.", "On Fridays."]),
        ("Deploy", "/work/ops", 5, ["Docker needs kubernetes."]),
        ("deployment", "/home", 3, ["The pie needs cinnamon."]),
        ("Pinned", "/work", 10, ["The docker password is in the safe.", "Which one?", "The green one."]),
        ("Empty", "/", 5, []),
    ):
        made = client.controller.create_conversation(
            label=label,
            folder=folder,
            importance_score=importance,
            messages=[{"role": "user", "content": content} for content in contents],
        )
        ids[folder if label == "Deploy" else label] = made["id"]
    return ids


# What is sent


# D1, D2, D3
def test_a_create_with_nothing_but_messages_and_importance_is_stored(real: SekhaClient) -> None:
    made = real.controller.create_conversation(messages=MESSAGES, importance_score=8)
    (stored,) = (real.controller.list_conversations())["results"]
    assert (stored["label"], stored["folder"]) == ("Hello Sekha!", "/")
    assert stored["metadata"].get("importance_score") == made.get("importance_score") == 8


# D3
def test_an_importance_that_cannot_be_set_is_warned_about_and_the_rest_is_stored(
    real: SekhaClient,
) -> None:
    wrong = real.with_options(mcp_api_key="a-key-that-this-controller-does-not-know")
    with pytest.warns(SekhaWarning, match="importance_score=8 cannot be stored"):
        made = wrong.controller.create_conversation(messages=MESSAGES, importance_score=8)
    with pytest.warns(SekhaWarning, match="importance_score=10 cannot be stored"):
        pinned = wrong.controller.create_conversation(messages=MESSAGES, importance_score=10)
    rows = (real.controller.list_conversations())["results"]
    assert {one["conversation_id"]: one["metadata"].get("importance_score") for one in rows} == {
        made["id"]: 5,
        pinned["id"]: 10,
    }
    assert (made.get("importance_score"), pinned.get("importance_score")) == (5, 10)


# D4
def test_parts_are_stored_as_text_and_no_image_is_lost_unasked(real: SekhaClient) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.test/cat.png"}}
    parts = [{"role": "user", "content": [{"type": "text", "text": "Look:"}, picture]}]
    made = real.controller.create_conversation(label="L", messages=parts)
    (message,) = real.controller.get_messages(made["id"])
    assert message["content"] == "Look:\nhttps://example.test/cat.png"
    inside = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}]
    with pytest.raises(SekhaValidationError, match="would be lost"):
        real.controller.create_conversation(label="L", messages=inside)
    assert (real.controller.list_conversations())["total"] == 1


# D6
@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {"preferred_labels": [], "context_budget": 4000, "excluded_folders": []}),
        (
            {"preferred_labels": ["A"], "context_budget": 0, "excluded_folders": ["/x"]},
            {"preferred_labels": ["A"], "context_budget": 0, "excluded_folders": ["/x/"]},
        ),
    ],
)
def test_labels_and_budget_of_a_context_are_always_sent(
    given: Any, sent: Any, client: SekhaClient, server: FakeServer
) -> None:
    server.on(CONTEXT, answer([]))
    assert client.controller.assemble_context("x", **given) == []
    assert server.only.json == {"query": "x", **sent}
    with pytest.raises(SekhaValidationError, match="context_budget"):
        client.controller.assemble_context("x", context_budget=10.5)  # type: ignore[arg-type]


# D7
@pytest.mark.parametrize("flat", [False, True])
def test_a_prompt_cites_where_a_memory_comes_from_however_the_server_says_it(
    flat: bool, client: SekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    found = remembered("We use PostgreSQL.", folder="/work", label="Decision")
    if flat:
        found = {**found, "metadata": {}, "label": "Decision", "folder": "/work"}
    server.on(CONTEXT, answer([found]))
    bridge.on(CHAT, answer(facts.COMPLETION))
    client.complete_with_context("What now?", "x")
    assert 'label="Decision" folder="/work">\nWe use PostgreSQL.' in bridge.only.json["messages"][0]["content"]


# D14
def test_a_folder_is_set_without_losing_the_label(
    client: SekhaClient, server: FakeServer, real: SekhaClient
) -> None:
    server.on(f"GET {ONE}", answer(facts.READ))
    server.on(f"PUT {ONE}/label", empty())
    client.controller.update_folder(ID, folder="/new")
    assert server.seen[1].json == {"label": "Hello Sekha!", "folder": "/new"}
    made = real.controller.create_conversation(label="Kept", folder="/old", messages=MESSAGES)
    real.controller.update_folder(made["id"], folder="/new")
    now = real.controller.get_conversation(made["id"])
    assert (now["label"], now["folder"]) == ("Kept", "/new")
    real.controller.update_label(made["id"], label="Other")  # D13
    now = real.controller.get_conversation(made["id"])
    assert (now["label"], now["folder"]) == ("Other", "/new")


# D28
@pytest.mark.parametrize("key", ["x", "sk-anything", "no prefix at all"])
def test_any_key_that_is_not_blank_is_sent(key: str, make: MakeClient, server: FakeServer) -> None:
    server.on("GET /health", answer(facts.HEALTHY))
    make(api_key=key).controller.health()
    assert server.only.headers["authorization"] == f"Bearer {key}"
    for blank in ("", "  "):
        with pytest.raises(SekhaConfigError, match="api_key"):
            SekhaClient(controller_url=server.url, api_key=blank)


# D40
def test_the_days_of_a_prune_are_90_and_never_below_0(client: SekhaClient, server: FakeServer) -> None:
    server.always(DRY_RUN, answer({"suggestions": [], "total": 0}))
    client.controller.prune_dry_run()
    for days in (0, 36500):
        client.controller.prune_dry_run(threshold_days=days)
    assert [seen.json["threshold_days"] for seen in server.seen] == [90, 0, 36500]
    for wrong in (-1, 36501, 1.5, True, "30"):
        with pytest.raises(SekhaValidationError) as caught:
            client.controller.prune_dry_run(threshold_days=wrong)  # type: ignore[arg-type]
        assert (caught.value.field, caught.value.sent) == ("threshold_days", False)
    assert len(server.seen) == 3


@pytest.mark.parametrize("known", [True, False])
def test_a_limit_of_a_prune_is_sent_where_it_is_known_and_applied_anyway(
    known: bool, client: SekhaClient, server: FakeServer
) -> None:
    """Those recommended for the archive come first, and of these the longest unused."""
    old, new = "2025-01-01T00:00:00.5", "2025-02-01T00:00:00"
    rows = [
        {**facts.SUGGESTION, "conversation_label": label, "recommendation": advice, "last_accessed": time}
        for label, advice, time in (
            ("1", "keep", old),
            ("2", "archive", new),
            ("3", "archive", old),
            ("4", "keep", new),
        )
    ]
    server.on("GET /health", answer({**facts.HEALTHY, "prune_limit": known}))
    server.always(DRY_RUN, answer({"suggestions": rows, "total": 9}))
    for limit, labels in ((1, "3"), (3, "321"), (5, "3214")):
        found = client.controller.prune_dry_run(limit=limit)
        assert "".join(one["conversation_label"] for one in found["suggestions"]) == labels
        assert found["total"] == 9
        assert server.seen[-1].json == {"threshold_days": 90, **({"limit": limit} if known else {})}
    found = client.controller.prune_dry_run()
    assert [one["conversation_label"] for one in found["suggestions"]] == ["1", "2", "3", "4"]
    assert server.lines.count("GET /health") == 1


# D44
def test_nothing_is_offered_that_no_server_has(client: SekhaClient) -> None:
    absent = ("stats", "labels", "folders", "export", "tools", "list_tools", "memory_query", "vision", "messages")
    for service in (client.controller, client.mcp, client.bridge):
        assert [name for name in absent if hasattr(service, name)] == []


# D51
def test_a_message_that_would_kill_the_server_is_stored_whole_and_so_are_those_behind_it(
    real: SekhaClient,
) -> None:
    contents = ["x" * (100 - n) + character + " and more" for n, character in ((1, "ü"), (2, "日"), (3, "🐈"))]
    made = real.controller.create_conversation(
        label="L", messages=[{"role": "user", "content": one} for one in [*contents, "the last"]]
    )
    stored = real.controller.get_messages(made["id"])
    assert [str(one["content"]).lstrip(" ") for one in stored] == [*contents, "the last"]
    tool = real.mcp.memory_store(label="L", messages=[{"role": "user", "content": contents[0]}])
    assert len(real.controller.get_messages(tool["id"])) == 1


# D52
def test_fifty_creates_at_once_succeed_four_at_a_time(
    client: SekhaClient, server: FakeServer, real: SekhaClient
) -> None:
    def create(which: SekhaClient, number: int) -> Call[[], Any]:
        message = {"role": "user", "content": f"number {number}"}
        return lambda: which.controller.create_conversation(label="L", messages=[message])

    server.always(CREATE, after(0.002, answer(facts.CREATED, 201)))
    server.on("GET /health", answer(facts.HEALTHY))
    server.on("POST /api/v1/query", answer(facts.hits()))
    client.controller.query("x", filters={"label": "x"})  # asks what the server can do
    gather([create(client, number) for number in range(50)], 50)
    assert server.lines.count(CREATE) == 50
    assert 1 < server.most_at_once <= 4
    made = gather([create(real, number) for number in range(50)], 50)
    assert len({one["id"] for one in made}) == 50
    assert (real.controller.list_conversations())["total"] == 50


# What is answered


# D5, D9, D60
def test_contexts_and_labels_are_lists_and_excluded_folders_stay_out(real: SekhaClient) -> None:
    ids = fill(real)
    context = real.controller.assemble_context("docker")
    assert "The docker password is in the safe." in [message["content"] for message in context]
    context = real.controller.assemble_context("docker", excluded_folders=["/work"])
    cited: list[Any] = [message.get("metadata") for message in context]
    assert all(not one["citation"]["folder"].startswith("/work") for one in cited)
    suggested = real.controller.suggest_labels(ids["/work"])
    assert all(0 <= one["confidence"] <= 1 and one["label"] for one in suggested)


# D11, D63
def test_lists_and_counts_are_right_where_the_servers_filters_are_not(real: SekhaClient) -> None:
    ids = fill(real)
    real.controller.archive_conversation(ids["deployment"])
    for filters, expected in (
        ({"label": "Deploy"}, {"/work", "/work/ops"}),
        ({"folder": "/work"}, {"/work", "Pinned"}),
        ({"folder": "/work", "subfolders": True}, {"/work", "/work/ops", "Pinned"}),
        ({"pinned": True}, {"Pinned"}),
        ({"archived": True}, {"deployment"}),
        ({"label": "Deploy", "folder": "/work"}, {"/work"}),
    ):
        found = real.controller.list_conversations(**filters)
        assert {one["conversation_id"] for one in found["results"]} == {ids[name] for name in expected}
        assert found["total"] == len(expected)
    assert (real.controller.count_conversations(label="Deploy"))["count"] == 2
    assert (real.controller.count_conversations(label_contains="deploy"))["count"] == 3
    assert (real.controller.count_conversations(folder="/work"))["count"] == 2


# D11
@pytest.mark.promise("C12")
def test_a_list_that_changes_while_it_is_walked_repeats_nothing_and_ends(real: SekhaClient) -> None:
    fill(real)
    seen: list[str] = []
    for one in real.controller.iter_conversations(page_size=2):
        seen.append(one["conversation_id"])
        if len(seen) < 20:  # a new one pushes the others a place further
            real.controller.create_conversation(label="New", messages=[])
    assert len(seen) == len(set(seen))
    assert len(seen) >= 5


# D15
def test_an_unknown_conversation_is_not_found_whatever_the_status(real: SekhaClient) -> None:
    controller, mcp = real.controller, real.mcp
    for call, status in (
        (controller.get_conversation, 404),
        (controller.get_messages, 404),
        (controller.pin_conversation, 500),
        (controller.archive_conversation, 500),
        (controller.summarize, 500),
        (controller.suggest_labels, 500),
        (controller.delete_conversation, 404),
        (mcp.memory_get_context, 404),
        (mcp.memory_export, 404),
    ):
        with pytest.raises(SekhaNotFoundError) as caught:
            call(NOBODY)
        assert caught.value.status_code == status, call


# D17
def test_messages_are_counted_rightly(real: SekhaClient) -> None:
    ids = fill(real)
    for name, expected in (("/work", 2), ("Pinned", 3), ("Empty", 0)):
        assert (real.controller.get_conversation(ids[name]))["message_count"] == expected
    wrong = real.with_options(mcp_api_key="a-key-that-this-controller-does-not-know")
    assert (wrong.controller.get_conversation(ids["/work"]))["message_count"] is None


# D18, D19
def test_the_best_hit_has_the_highest_score_and_pages_join(real: SekhaClient) -> None:
    fill(real)
    whole = (real.controller.query("We deploy with docker.", limit=6))["results"]
    scores = [hit["score"] for hit in whole]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1.0, abs=1e-5)
    assert whole[0]["content"] == "We deploy with docker."
    assert [hit.get("distance") for hit in whole] == [pytest.approx(1 - score) for score in scores]
    pages = [real.controller.query("We deploy with docker.", limit=2, offset=start) for start in (0, 2, 4)]
    assert [hit["message_id"] for page in pages for hit in page["results"]] == [hit["message_id"] for hit in whole]
    assert [page["page"] for page in pages] == [1, 2, 3]
    (only,) = (real.mcp.memory_search(query="We deploy with docker.", limit=1))["results"]
    assert only["score"] == pytest.approx(1.0, abs=1e-5)


# D20, D26
def test_filters_of_searches_hold(real: SekhaClient) -> None:
    fill(real)
    for filters, expected in (
        ({"label": "Deploy"}, {"/work", "/work/ops"}),
        ({"labels": ["deployment", "Pinned"]}, {"/home", "/work"}),
        ({"folder": "/home"}, {"/home"}),
        ({"min_importance": 8}, {"/work"}),
        ({"min_importance": 9, "label": "Deploy"}, set()),
        ({"end_date": "2020-01-01"}, set()),
    ):
        found = real.controller.query("docker", filters=filters)
        assert {hit["folder"] for hit in found["results"]} == expected
        assert found.get("truncated") is False
        searched = real.mcp.memory_search({"query": "docker", **filters})
        assert {hit["folder"] for hit in searched["results"]} == expected
    with pytest.raises(SekhaValidationError, match="is not a known argument"):
        real.controller.query("docker", filters={"author": "Ada"})


# D22, D23
def test_the_tools_results_come_without_their_envelope(real: SekhaClient) -> None:
    ids = fill(real)
    context = real.mcp.memory_get_context(ids["/work"])
    assert (context["label"], context["importance_score"], context["created_at"][-6:]) == ("Deploy", 8, "+00:00")
    assert "success" not in context


# D24, D25
def test_statistics_are_right_whatever_they_are_asked_by(real: SekhaClient) -> None:
    fill(real)
    everything = real.mcp.memory_stats()
    assert (everything["total_conversations"], everything["total_messages"]) == (5, 7)
    assert everything["average_importance"] == pytest.approx(6.2)
    assert everything["folders"] == ["/", "/home", "/work", "/work/ops"]
    assert everything["labels"] == ["Deploy", "Empty", "Pinned", "deployment"]
    for request, conversations, messages, average in (
        ({"labels": ["Deploy", "Pinned"]}, 3, 6, 23 / 3),
        ({"label": "Deploy"}, 2, 3, 6.5),
        ({"folder": "/work"}, 2, 5, 9.0),
        ({"folder": "/work", "label": "Deploy"}, 1, 2, 8.0),
        ({"start_date": "2020-01-01T00:00:00Z", "labels": ["Empty"]}, 1, 0, 5.0),
        ({"end_date": "2020-01-01"}, 0, 0, 0.0),
    ):
        stats = real.mcp.memory_stats(request)
        assert (stats["total_conversations"], stats["total_messages"]) == (conversations, messages)
        assert stats["average_importance"] == pytest.approx(average)


# D29, D30, D31, D61
def test_the_bridge_embeds_lists_and_streams_what_it_sends_at_once(
    real: SekhaClient,
) -> None:
    found = real.bridge.embed(["one", "two"])
    assert len(found["data"]) == 2
    assert len(found["data"][1]["embedding"]) == found["dimension"]
    chunks = [chunk for chunk in real.bridge.stream_complete(MESSAGES, temperature=0)]
    assert len(chunks) == 2
    assert chunks[0]["choices"][0]["delta"].get("content")
    assert chunks[1]["choices"][0].get("finish_reason") == "stop"


# D32, D33
def test_health_has_one_shape_on_the_real_servers(real: SekhaClient) -> None:
    health = real.health_check()
    assert {name: one["status"] for name, one in health.items()} == {
        "controller": "healthy",
        "bridge": "healthy",
        "mcp": "healthy",
    }
    assert {"database", "chroma"} <= set(health["controller"]["checks"])
    assert health["bridge"]["checks"]
    wrong = real.with_options(mcp_api_key="a-key-that-this-controller-does-not-know")
    assert (wrong.health_check())["mcp"]["status"] == "unauthorized"


# D41
def test_a_prune_of_ten_with_one_unknown_archives_none_and_says_so(real: SekhaClient) -> None:
    ids = [(real.controller.create_conversation(label=f"{n}", messages=[]))["id"] for n in range(9)]
    with pytest.raises(SekhaNotFoundError, match="nothing was archived") as caught:
        real.controller.prune_execute([*ids[:4], NOBODY, *ids[4:]])
    assert NOBODY in caught.value.message
    assert caught.value.archived == []
    assert (real.controller.list_conversations(archived=True))["total"] == 0
    real.controller.prune_execute(ids)
    assert (real.controller.list_conversations(archived=True))["total"] == 9


# D41
def test_a_prune_whose_ids_vanish_meanwhile_tells_what_was_archived(
    client: SekhaClient, server: FakeServer
) -> None:
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(10)]
    server.on(LIST, answer(facts.rows(*[row(id) for id in ids])))
    words = f"Entity not found: Conversation {ids[6]} not found"
    server.on("POST /api/v1/prune/execute", answer({"error": words, "code": 500}, 500))
    with pytest.raises(SekhaNotFoundError) as caught:
        client.controller.prune_execute(ids)
    assert caught.value.archived == ids[:6]


# D42
@pytest.mark.parametrize("level", ["daily", "weekly", "monthly"])
def test_a_summary_has_the_level_that_was_asked_for_and_a_regular_time(
    level: str, client: SekhaClient, server: FakeServer
) -> None:
    said = {"conversation_id": ID, "level": level, "summary": "S", "generated_at": "2026-01-31T09:30:00.5"}
    server.on("POST /api/v1/summarize", answer(said))
    summary = client.controller.summarize(ID, level=level)
    assert server.only.json == {"conversation_id": ID, "level": level}
    assert (summary["level"], summary["generated_at"]) == (level, "2026-01-31T09:30:00.500000+00:00")


# D45
def test_a_real_export_is_written_as_markdown(real: SekhaClient) -> None:
    ids = fill(real)
    export = real.mcp.memory_export(ids["/work"], format="markdown")
    assert "## User\n\nOn Fridays.\n" in export["content"]
    assert export["format"] == "markdown"


# D46
def test_metrics_are_text(client: SekhaClient, server: FakeServer) -> None:
    said = "# TYPE sekha_conversations_total counter\nsekha_conversations_total 0\n"
    server.on("GET /metrics", text(said), text('{"metrics":"not_implemented"}'))
    assert client.controller.metrics() == said
    assert client.controller.metrics() == '{"metrics":"not_implemented"}'


# D49
def test_a_delete_that_fails_leaves_the_conversation_as_it_was(real: SekhaClient) -> None:
    ids = fill(real)
    with pytest.raises(SekhaServerError, match=r"archive_conversation\(\)") as caught:
        real.controller.delete_conversation(ids["/work"])
    assert caught.value.may_have_been_applied is False
    assert (real.controller.get_conversation(ids["/work"]))["status"] == "active"
    real.controller.delete_conversation(ids["Empty"])
    with pytest.raises(SekhaNotFoundError):
        real.controller.get_conversation(ids["Empty"])


# D53
def test_words_are_found_as_they_are_written(real: SekhaClient) -> None:
    messages = [{"role": "user", "content": "It's written in C++ and re-indexed."}]
    real.controller.create_conversation(label="L", messages=messages)
    for words in ("C++", "it's", "re-indexed", 'C++ "written"', "AND"):
        assert (real.controller.full_text_search(words))["total"] == 1, words
    with pytest.raises(SekhaValidationError):
        real.controller.full_text_search("it's", raw=True)
    with pytest.raises(SekhaValidationError) as caught:
        real.controller.full_text_search("  ")
    assert caught.value.sent is False


# D57
def test_an_empty_result_stays_empty_and_health_tells_why(
    client: SekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    server.on("POST /api/v1/query", answer({"results": [], "total": 0, "page": 0, "page_size": 10}))
    found = client.controller.query("x")
    assert (found["results"], found["total"], len(server.seen)) == ([], 0, 1)
    server.on("GET /health", empty(503))
    server.on("GET /api/v1/conversations", answer(facts.rows()))
    server.on("POST /mcp/tools/memory_stats", empty(500))
    bridge.on("GET /health", answer({"detail": "the embedder is down"}, 503))
    health = client.health_check()
    assert {one["status"] for one in health.values()} == {"unhealthy"}
    assert health["bridge"].get("error") == "the embedder is down"


# D58
def test_nothing_is_reported_as_written_that_was_not(real: SekhaClient) -> None:
    ids = fill(real)
    id = ids["/work/ops"]
    with pytest.raises(SekhaServerError, match="did not write importance_score,"):
        real.mcp.memory_update(id, label="New", importance_score=7)
    now = real.mcp.memory_get_context(id)
    assert (now["label"], now["folder"], now["importance_score"]) == ("New", "/work/ops", 5)
    updated = real.mcp.memory_update(id, folder="/new", status="archived", importance_score=10)
    assert updated["updated_fields"] == ["folder", "status", "importance_score"]
    now = real.mcp.memory_get_context(id)
    assert (now["label"], now["folder"], now["status"], now["importance_score"]) == ("New", "/new", "archived", 10)
    with pytest.raises(SekhaServerError, match="did not write status,"):
        real.mcp.memory_update(id, status="active")


# D59
def test_the_prune_tool_fails_where_the_dry_run_works(real: SekhaClient) -> None:
    assert (real.mcp.memory_prune(threshold_days=30))["total_suggestions"] == 0
    fill(real)
    with pytest.raises(SekhaServerError, match=r"prune_dry_run\(\)"):
        real.mcp.memory_prune(threshold_days=0)
    assert (real.controller.prune_dry_run(threshold_days=0))["total"] > 0


# D62
def test_what_was_stored_is_told_when_the_search_fails(client: SekhaClient, server: FakeServer) -> None:
    once = client.with_options(max_retries=0)
    server.on(CREATE, answer(facts.CREATED, 201))
    server.on("POST /api/v1/query", answer({"error": "Database error: locked", "code": 500}, 500))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SekhaServerError, match="locked") as caught:
            once.store_and_query(MESSAGES, "hello")
    stored: Any = caught.value.conversation
    assert stored["id"] == ID
