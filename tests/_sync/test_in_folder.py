# Generated from tests/_async/test_in_folder.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""`in_folder`, call by call: what is sent, what is dropped, and what is refused."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from sekha import (
    MCPClient,
    MemoryController,
    SekhaClient,
    SekhaConfigError,
    SekhaDecodeError,
    SekhaError,
    SekhaNotFoundError,
    SekhaServerError,
    SekhaValidationError,
    SekhaWarning,
)
from support import facts
from support.facts import ID, MESSAGES, OTHER_ID
from support.replies import answer, empty, text, tool
from support.routes import CONTEXT, DETAILS, EXPORT, FULL_TEXT, LIST, QUERY
from support.server import FakeServer

from .conftest import MakeClient

pytestmark = pytest.mark.promise("W17")

ONE = f"/api/v1/conversations/{ID}"
MINE, THEIRS = "/users/4", "/users/42"


def read(folder: str = MINE, id: str = ID) -> Any:
    """The answer to a GET of one conversation."""
    return answer({**facts.READ, "id": id, "folder": folder, "message_count": 2})


def exported(folder: str = MINE) -> Any:
    """An export of one conversation."""
    return tool({**facts.EXPORT, "conversation": {**facts.EXPORT["conversation"], "folder": folder}})


@pytest.fixture
def view(client: SekhaClient) -> SekhaClient:
    """The view of a user of the fake servers."""
    return client.in_folder("/users", "4")


# The view itself


def test_a_view_has_its_folder_and_keeps_it(client: SekhaClient, server: FakeServer) -> None:
    view = client.in_folder("/users", "ann@example.com")
    assert client.folder is client.controller.folder is client.mcp.folder is None
    for one in (view, view.with_options(max_retries=0), view.with_options(api_key="sk-other").with_options(deadline=5)):
        assert one.folder == one.controller.folder == one.mcp.folder == "/users/ann@example.com"
        assert one.controller.with_options(timeout=1).folder == one.mcp.with_options(timeout=1).folder == one.folder
        assert "in '/users/ann@example.com'" in repr(one)
        assert "in '/users/ann@example.com'" in repr(one.controller)
        assert type(one) is type(client)
    nested = view.in_folder("/chats", "2026/01")
    assert nested.folder == nested.mcp.folder == "/users/ann@example.com/chats/2026%2F01"
    assert view.controller.in_folder("/users").folder == "/users/ann@example.com/users"
    assert client.folder is None
    assert "in '" not in repr(client)
    assert not server.seen
    view.close()
    server.on(LIST, answer(facts.rows()))
    client.controller.list_conversations()


@pytest.mark.parametrize("cls", [MemoryController, MCPClient])
def test_standalone_clients_have_views(cls: Any, server: FakeServer) -> None:
    with cls(base_url=server.url, api_key=facts.MCP_KEY) as client:
        view = client.in_folder("/users", "4")
        assert (type(view), view.folder, client.folder) == (cls, MINE, None)
        assert view.with_options(max_retries=0).in_folder("x").folder == "/users/4/x"
        with pytest.raises(SekhaValidationError) as caught:
            client.in_folder("/users", "")
        assert caught.value.field == "folder"
        with pytest.raises(AttributeError):
            view.folder = "/users/42"


@pytest.mark.parametrize("folder", ["", " ", "/", "/users/", "/users//4", "/users/.", "/users/..", "..", "/a\nb"])
def test_what_is_no_folder_is_refused(folder: str, client: SekhaClient) -> None:
    for one in (client, client.controller, client.mcp, client.in_folder("/users"), client.in_folder("/users").mcp):
        with pytest.raises(SekhaValidationError) as caught:
            one.in_folder(folder)
        assert (caught.value.field, caught.value.sent) == ("folder", False)


# Folders of arguments


def test_folders_are_below_the_view(view: SekhaClient, server: FakeServer) -> None:
    for folder, sent in (
        (None, MINE),
        ("a//b/", f"{MINE}/a/b"),
        (f"{MINE}/a", f"{MINE}/a"),
        ("users/42", MINE + THEIRS),
    ):
        server.on("POST /api/v1/conversations", answer(facts.CREATED, 201))
        view.controller.create_conversation(messages=MESSAGES, folder=folder)
        assert server.seen[-1].json["folder"] == sent
        server.on("POST /mcp/tools/memory_store", tool(facts.STORED))
        view.mcp.memory_store({"messages": MESSAGES, **({} if folder is None else {"folder": folder})})
        assert server.seen[-1].json["folder"] == sent
        if folder is not None:
            server.on(f"GET {ONE}", read())
            server.on(f"PUT {ONE}/label", empty())
            view.controller.update_folder(ID, folder=folder)
            assert server.seen[-1].json["folder"] == sent
            server.on(f"GET {ONE}", read())
            server.on("POST /mcp/tools/memory_update", tool({"conversation_id": ID, "updated_fields": []}))
            view.mcp.memory_update(ID, folder=folder)
            assert server.seen[-1].json["folder"] == sent


def test_a_folder_outside_is_refused_before_anything_is_sent(view: SekhaClient, server: FakeServer) -> None:
    for folder in (THEIRS, "/", "/users", "/users/4x", "/users/4/../42", "../42", "", " "):
        for field, call in (
            ("folder", lambda f: view.controller.create_conversation(messages=MESSAGES, folder=f)),
            ("folder", lambda f: view.controller.create_conversation({"messages": MESSAGES, "folder": f})),
            ("folder", lambda f: view.controller.replace_conversation(ID, messages=MESSAGES, folder=f)),
            ("folder", lambda f: view.controller.list_conversations(folder=f)),
            ("folder", lambda f: view.controller.count_conversations(folder=f)),
            ("folder", lambda f: view.controller.delete_conversations(folder=f, dry_run=False)),
            ("folder", lambda f: view.controller.update_label(ID, folder=f)),
            ("folder", lambda f: view.controller.update_folder(ID, folder=f)),
            ("folder", lambda f: view.mcp.memory_store(messages=MESSAGES, folder=f)),
            ("folder", lambda f: view.mcp.memory_update(ID, folder=f)),
            ("folder", lambda f: view.mcp.memory_stats(folder=f)),
            ("folder", lambda f: view.mcp.memory_stats({"folder": f})),
            ("folder", lambda f: view.mcp.memory_search(query="x", folder=f)),
            ("filters.folder", lambda f: view.mcp.memory_search(query="x", filters={"folder": f})),
            ("filters.folder", lambda f: view.controller.query("x", filters={"folder": f})),
            ("filters.folder", lambda f: view.store_and_query(MESSAGES, "x", filters={"folder": f})),
            ("folder", lambda f: view.store_and_query(MESSAGES, "x", folder=f)),
            ("filters.folder", lambda f: view.complete_with_memory("x", filters={"folder": f})),
            ("filters.folder", lambda f: view.build_messages("x", search_query="x", filters={"folder": f})),
            ("folders[1]", lambda f: view.build_messages("x", folders=["a", f])),
            ("folders[0]", lambda f: view.controller.assemble_context("x", folders=[f])),
            ("excluded_folders[1]", lambda f: view.controller.assemble_context("x", excluded_folders=["a", f])),
            ("excluded_folders[0]", lambda f: view.complete_with_context("x", excluded_folders=[f])),
        ):
            with pytest.raises(SekhaValidationError) as caught:
                call(folder)
            assert (caught.value.field, caught.value.sent) == (field, False)
        with pytest.raises(SekhaValidationError):
            view.controller.iter_conversations(folder=folder)
    report = view.controller.import_conversations([{"messages": MESSAGES, "folder": THEIRS}])
    assert (report["failed"], report["stored"]) == (1, 0)
    assert "folder: must be inside /users/4" in report["failures"][0]["error"]
    assert not server.seen


def test_folders_of_other_types_are_refused_as_without_a_view(view: SekhaClient) -> None:
    bad: Any = 5
    for call in (
        lambda: view.controller.query("x", filters={"folder": bad}),
        lambda: view.controller.query("x", filters=bad),
        lambda: view.controller.create_conversation({"messages": MESSAGES, "folder": None}),
        lambda: view.controller.assemble_context("x", folders=bad),
        lambda: view.controller.assemble_context("x", folders="/users/4"),
        lambda: view.controller.assemble_context("x", excluded_folders=[bad]),
        lambda: view.mcp.memory_stats({"folder": bad}),
    ):
        with pytest.raises(SekhaValidationError) as caught:
            call()
        assert not caught.value.sent


def test_what_was_read_goes_back_as_it_was(view: SekhaClient, server: FakeServer) -> None:
    server.on(f"GET {ONE}", read("users//4/a/"))
    server.on(f"PUT {ONE}/label", empty())
    view.controller.update_label(ID, label="New")
    assert server.seen[-1].json == {"label": "New", "folder": "users//4/a/"}


# What is refused


def test_methods_about_the_whole_memory_are_refused(view: SekhaClient, server: FakeServer) -> None:
    for name, call in (
        ("rebuild_embeddings", lambda: view.controller.rebuild_embeddings()),
        ("metrics", lambda: view.controller.metrics()),
        ("prune_dry_run", lambda: view.controller.prune_dry_run(threshold_days=-1)),
        ("suggest_labels", lambda: view.controller.suggest_labels("no id")),
        ("memory_prune", lambda: view.mcp.memory_prune()),
    ):
        with pytest.raises(SekhaConfigError, match=rf"^{name}\(\) applies to the whole memory") as caught:
            call()
        assert not caught.value.sent
    assert not server.seen


def test_health_says_nothing_of_the_memory(
    view: SekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    report = {**facts.HEALTHY, "conversations": 7, "checks": {"database": {"status": "ok", "rows": 7}}}
    server.on("GET /health", answer(report))
    health = view.controller.health()
    assert health["status"] == "healthy"
    assert health["checks"] == {"database": {"status": "ok"}}
    assert "7" not in repr({**health, "timestamp": None})
    server.on("GET /health", answer(report))
    server.on(LIST, answer(facts.rows(facts.row(folder=THEIRS))))
    server.on("POST /mcp/tools/memory_stats", tool(facts.STATS))
    bridge.on("GET /health", answer(facts.BRIDGE_HEALTHY))
    checked = view.health_check()
    assert [one["status"] for one in checked.values()] == ["healthy"] * 3
    assert "rows" not in repr(checked)
    bridge.on("GET /api/v1/tasks", answer(["embedding"]))
    assert view.bridge.tasks() == ["embedding"]


# Ids


@pytest.mark.parametrize("folder", [MINE, "users/4", f"{MINE}/a/", " /users/4 "])
def test_what_an_id_costs(folder: str, view: SekhaClient, server: FakeServer) -> None:
    look = f"GET {ONE}"
    lines: list[str] = []
    for call, *script in (
        (lambda: view.controller.get_conversation(ID), (look, read(folder))),
        (lambda: view.controller.get_messages(ID), (EXPORT, exported(folder))),
        (lambda: view.mcp.memory_export(ID), (EXPORT, exported(folder))),
        (lambda: view.mcp.memory_get_context(ID), (DETAILS, tool({**facts.CONTEXT, "folder": folder}))),
        (lambda: view.controller.pin_conversation(ID), (look, read(folder)), (f"PUT {ONE}/pin", empty())),
        (lambda: view.controller.archive_conversation(ID), (look, read(folder)), (f"PUT {ONE}/archive", empty())),
        (lambda: view.controller.delete_conversation(ID), (look, read(folder)), (f"DELETE {ONE}", empty())),
        (
            lambda: view.controller.update_label(ID, label="a", folder="b"),
            (look, read(folder)),
            (f"PUT {ONE}/label", empty()),
        ),
        (
            lambda: view.mcp.memory_update(ID, status="archived"),
            (look, read(folder)),
            (f"PUT {ONE}/archive", empty()),
        ),
        (
            lambda: view.controller.prune_execute([ID]),
            (LIST, answer(facts.rows(facts.row(folder=folder)))),
            ("POST /api/v1/prune/execute", empty()),
        ),
        (
            lambda: view.controller.replace_conversation(ID, messages=MESSAGES),
            (EXPORT, exported(folder)),
        ),
    ):
        for line, reply in script:
            server.on(line, reply)
            lines.append(line)
        call()
    assert server.lines == lines


@pytest.mark.parametrize("folder", [THEIRS, "/users", "/", "/users/4/../42", "/users/4\n", "/users/4/.", ""])
def test_an_id_outside_is_unknown(folder: str, view: SekhaClient, server: FakeServer) -> None:
    look = f"GET {ONE}"
    for call, line, reply in (
        (lambda: view.controller.get_conversation(ID), look, read(folder)),
        (lambda: view.controller.get_messages(ID), EXPORT, exported(folder)),
        (lambda: view.mcp.memory_export(ID, format="markdown"), EXPORT, exported(folder)),
        (lambda: view.mcp.memory_get_context(ID), DETAILS, tool({**facts.CONTEXT, "folder": folder})),
        (lambda: view.controller.replace_conversation(ID, messages=MESSAGES), EXPORT, exported(folder)),
        (lambda: view.controller.pin_conversation(ID), look, read(folder)),
        (lambda: view.controller.delete_conversation(ID), look, read(folder)),
        (lambda: view.controller.update_label(ID, label="a"), look, read(folder)),
        (lambda: view.controller.summarize(ID), look, read(folder)),
        (lambda: view.mcp.memory_update(ID, importance_score=10), look, read(folder)),
    ):
        said = []
        for answered in (reply, answer({"error": "Conversation not found", "code": 404}, 404, x_request_id="r")):
            server.on(line, answered)
            with pytest.raises(SekhaNotFoundError) as caught:
                call()
            error = caught.value
            assert (error.message, error.body, error.status_code) == ("Conversation not found", None, 404)
            assert error.__cause__ is None
            assert error.__context__ is sys.exc_info()[1]  # what this test itself runs in, if anything
            assert (dict(error.headers), error.request_id) == ({}, None)
            said.append((str(error), vars(error)))
        assert said[0] == said[1]


def test_a_conversation_that_vanishes_meanwhile_is_unknown(view: SekhaClient, server: FakeServer) -> None:
    server.on(f"GET {ONE}", read())
    server.on(f"PUT {ONE}/pin", answer({"error": facts.NO_CONVERSATION, "code": 500}, 500))
    with pytest.raises(SekhaNotFoundError, match=r"^Conversation not found") as caught:
        view.controller.pin_conversation(ID)
    assert caught.value.body is None


def test_ids_that_are_pruned_must_all_be_inside(view: SekhaClient, server: FakeServer) -> None:
    server.on(LIST, answer(facts.rows(facts.row(folder=MINE), facts.row(OTHER_ID, folder=THEIRS))))
    with pytest.raises(SekhaNotFoundError, match=f"conversation {OTHER_ID} does not exist; nothing was archived"):
        view.controller.prune_execute([ID, OTHER_ID])


# Errors


def test_errors_hold_nothing_that_the_server_sent(view: SekhaClient, server: FakeServer) -> None:
    secret = facts.hit(folder=THEIRS, content="SECRET")
    for reply, cls in (
        (answer({"results": [{**secret, "score": "SECRET"}], "total": 1, "page": 0, "page_size": 1}), SekhaDecodeError),
        (text("SECRET", 200), SekhaDecodeError),
        (answer({"error": "it failed", "results_before": [secret]}, 400), SekhaValidationError),
    ):
        server.on(QUERY, reply)
        with pytest.raises(cls) as caught:
            view.controller.query("x")
        error: Any = caught.value
        assert "SECRET" not in f"{error} {error!r} {vars(error)}"
        assert error.body is None


def test_what_cannot_be_read_is_asked_for_where_it_is(make: MakeClient, server: FakeServer) -> None:
    """A long export of another user is no other error than an unknown one."""
    view = make(max_response_bytes=2000).in_folder("/users", "4")
    long = tool({**facts.EXPORT, "messages": [{"role": "user", "content": "x" * 3000}]})
    for call in (lambda: view.controller.get_messages(ID), lambda: view.mcp.memory_export(ID)):
        server.on(EXPORT, long)
        server.on(f"GET {ONE}", read(THEIRS))
        with pytest.raises(SekhaNotFoundError):
            call()
        server.on(EXPORT, long)
        server.on(f"GET {ONE}", read())
        with pytest.raises(SekhaDecodeError):
            call()


def test_the_client_itself_still_shows_bodies(client: SekhaClient, server: FakeServer) -> None:
    client.in_folder("/users")
    server.on(QUERY, answer({"error": "it failed"}, 400))
    with pytest.raises(SekhaValidationError) as caught:
        client.controller.query("x")
    assert caught.value.body == '{"error": "it failed"}'


# Searches


def forged(folder: str, claimed: str, message_id: str, **more: Any) -> dict[str, Any]:
    """A hit whose text and metadata claim another folder."""
    found = facts.hit(folder=folder, message_id=message_id, content=f'{{"folder": "{claimed}"}}', **more)
    citation = {"citation": {"folder": claimed, "label": "L"}, "folder": claimed}
    return {**found, "metadata": {**found["metadata"], **citation}}


def test_only_the_folder_that_the_server_states_counts(view: SekhaClient, server: FakeServer) -> None:
    found = [forged(THEIRS, MINE, "theirs"), forged(MINE, THEIRS, "mine"), forged("/users/4/../42", MINE, "dots")]
    for endpoint, reply, search in (
        (QUERY, answer({**facts.hits(*found), "folders": [THEIRS]}), view.controller.query),
        ("POST /mcp/tools/memory_search", tool({**facts.tool_hits(*found), "near": THEIRS}), view.mcp.memory_search),
    ):
        server.on(endpoint, reply)
        page: Any = search(query="x")
        assert [hit["message_id"] for hit in page["results"]] == ["mine"]
        assert (page.get("total", page.get("total_results")), page["truncated"]) == (1, False)
        assert not {"folders", "near"} & set(page)
        assert "filters" not in server.seen[-1].json


def test_a_context_is_a_search(view: SekhaClient, server: FakeServer) -> None:
    server.always(FULL_TEXT, answer({"results": [], "total": 0}))
    found = [
        forged(THEIRS, MINE, "theirs"),
        forged(MINE, THEIRS, "mine"),
        forged(f"{MINE}/b", MINE, "b"),
        forged(f"{MINE}/private", MINE, "private", label="P"),
    ]
    for keywords, expected in (
        ({}, ["mine", "b", "private"]),
        ({"preferred_labels": ["P"]}, ["private", "mine", "b"]),
        ({"excluded_folders": ["private"]}, ["mine", "b"]),
        ({"folders": ["b", f"{MINE}/private"]}, ["b", "private"]),
        ({"folders": []}, []),
    ):
        if expected:
            server.on(QUERY, answer(facts.hits(*found)))
        context = view.controller.assemble_context("x", **keywords)
        assert [message.get("id") for message in context] == expected
        cited: Any = [(message.get("metadata") or {}).get("citation") for message in context]
        assert all(citation["folder"].startswith(f"{MINE}") for citation in cited)
        assert all(not citation["folder"].startswith(THEIRS) for citation in cited)
    assert CONTEXT not in server.lines


def test_a_search_grows_until_there_is_enough(view: SekhaClient, server: FakeServer) -> None:
    theirs = [facts.hit(folder=THEIRS, message_id=f"t{n}", distance=0.1) for n in range(20)]
    mine = [facts.hit(folder=MINE, message_id=f"m{n}", distance=0.2) for n in range(2)]
    server.on(QUERY, answer(facts.hits(*theirs)))
    server.on(QUERY, answer(facts.hits(*theirs, *mine)))
    page = view.controller.query("x", limit=2)
    assert [hit["message_id"] for hit in page["results"]] == ["m0", "m1"]
    assert [seen.json["limit"] for seen in server.seen] == [20, 200]
    assert page["truncated"] is False


def crowd(size: int) -> Any:
    """As many hits of another user as were asked for."""
    return answer(facts.hits(*(facts.hit(folder=THEIRS, message_id=f"t{n}", distance=0.1) for n in range(size))))


def test_each_view_warns_once_if_others_crowd_it_out(client: SekhaClient, server: FakeServer) -> None:
    def script() -> None:
        for size in (20, 200, 2000, 10_000):
            server.on(QUERY, crowd(size))

    one, other = client.in_folder("/users", "4"), client.in_folder("/users", "5")
    for view, warned in ((one, 1), (one.with_options(max_retries=0), 0), (other, 1), (one, 0), (other, 0)):
        script()
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            page = view.controller.query("x", limit=5)
        assert page["truncated"] is True
        assert [one.category for one in found] == [SekhaWarning] * warned


# Full text


def row(id: str, message_id: str) -> dict[str, Any]:
    """A message that the words were found in; it claims a folder of the view."""
    return {
        **facts.MESSAGE,
        "id": message_id,
        "conversation_id": id,
        "metadata": {"citation": {"folder": MINE, "label": ""}},
    }


def test_full_text_looks_up_each_conversation_once(view: SekhaClient, server: FakeServer) -> None:
    gone = "11111111-1111-4111-8111-111111111111"
    found = [row(OTHER_ID, "1"), row(ID, "2"), row(gone, "3"), row(OTHER_ID, "4"), row(ID, "5")]
    server.on(FULL_TEXT, answer({"results": found, "total": 5, "facets": [THEIRS]}))
    server.always(f"GET {ONE}", read(f"{MINE}/a"))
    server.always(f"GET /api/v1/conversations/{OTHER_ID}", read(THEIRS, OTHER_ID))
    server.always(f"GET /api/v1/conversations/{gone}", answer({"error": "Conversation not found"}, 404))
    page = view.controller.full_text_search("tea")
    assert [(hit.get("id"), hit.get("label"), hit.get("folder")) for hit in page["results"]] == [
        ("2", "Hello Sekha!", f"{MINE}/a"),
        ("5", "Hello Sekha!", f"{MINE}/a"),
    ]
    assert page == {"results": page["results"], "total": 2, "truncated": False}
    assert len(server.lines) == 4
    assert server.most_at_once <= 4


def test_a_hybrid_search_finds_only_words_that_are_inside(view: SekhaClient, server: FakeServer) -> None:
    third, fourth = "33333333-3333-4333-8333-333333333333", "44444444-4444-4444-8444-444444444444"
    theirs = facts.hit(0.9, OTHER_ID, folder=THEIRS, message_id="theirs")
    server.on(QUERY, answer(facts.hits(facts.hit(0.25, folder=MINE, message_id="mine"), theirs)))
    found = [row(OTHER_ID, "words of theirs"), row(third, "inside"), row(fourth, "outside"), row(ID, "mine")]
    server.on(FULL_TEXT, answer({"results": found, "total": 4}))
    server.on(f"GET /api/v1/conversations/{third}", read(f"{MINE}/a", third))
    server.on(f"GET /api/v1/conversations/{fourth}", read("/users/4/../42", fourth))
    page = view.controller.query("Hello there", hybrid=True)
    assert [(hit["message_id"], hit["folder"], hit.get("found_by"), hit["score"]) for hit in page["results"]] == [
        ("mine", MINE, "both", 0.75),
        ("inside", f"{MINE}/a", "words", 0.75),  # the score of the worst hit that is inside
    ]


def test_full_text_looks_up_no_more_than_it_takes(view: SekhaClient, server: FakeServer) -> None:
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(20)]
    for id in ids:
        server.always(f"GET /api/v1/conversations/{id}", read(MINE, id))
    server.on(FULL_TEXT, answer({"results": [row(id, id) for id in ids], "total": 20}))
    page = view.controller.full_text_search("tea", limit=2)
    assert [hit.get("id") for hit in page["results"]] == ids[:2]
    assert len(server.lines) == 1 + 4


def test_full_text_asks_for_the_list_rather_than_for_many(view: SekhaClient, server: FakeServer) -> None:
    ids = [f"00000000-0000-4000-8000-{number:012}" for number in range(60)]
    server.on(FULL_TEXT, answer({"results": [row(id, id) for id in ids], "total": 60}))
    for id in ids[:12]:
        server.on(f"GET /api/v1/conversations/{id}", read(THEIRS, id))
    listed = [facts.row(id, folder=MINE if id == ids[-2] else THEIRS) for id in ids[:-1]]
    server.on(LIST, answer(facts.rows(*listed)))
    server.on(f"GET /api/v1/conversations/{ids[-1]}", read(MINE, ids[-1]))  # made in the meantime
    page = view.controller.full_text_search("tea", limit=20)
    assert [hit.get("id") for hit in page["results"]] == ids[-2:]


def test_full_text_grows_and_says_if_it_was_crowded_out(view: SekhaClient, server: FakeServer) -> None:
    server.always(f"GET /api/v1/conversations/{OTHER_ID}", read(THEIRS, OTHER_ID))
    for size in (20, 200, 2000, 10_000):
        server.on(FULL_TEXT, answer({"results": [row(OTHER_ID, str(n)) for n in range(size)], "total": size}))
    with pytest.warns(SekhaWarning, match="a full-text search in a folder found 0 of 3 requested messages"):
        page = view.controller.full_text_search("tea", limit=3)
    assert page == {"results": [], "total": 0, "truncated": True}
    assert [seen.json["limit"] for seen in server.seen if seen.line == FULL_TEXT] == [20, 200, 2000, 10_000]


def test_a_failed_look_up_is_an_error_and_no_short_answer(make: MakeClient, server: FakeServer) -> None:
    view = make(max_retries=0).in_folder("/users", "4")
    server.on(FULL_TEXT, answer({"results": [row(ID, "1")], "total": 1}))
    server.on(f"GET {ONE}", answer({"error": "no"}, 503))
    with pytest.raises(SekhaServerError):
        view.controller.full_text_search("tea")


# Lists, counts, statistics


ROWS = [
    facts.row(ID, "Work", MINE, importance=10),
    facts.row(OTHER_ID, "Work", THEIRS),
    facts.row("22222222-2222-4222-8222-222222222222", "a workshop", f"{MINE}/a"),
    facts.row("33333333-3333-4333-8333-333333333333", "Secret", "/users/4/../42"),
]


def test_lists_and_counts_come_from_what_is_inside(view: SekhaClient, server: FakeServer) -> None:
    server.always(LIST, answer({**facts.rows(*ROWS, page_size=1000), "folders": [THEIRS]}))
    server.on("GET /health", answer(facts.HEALTHY))
    page = view.controller.list_conversations(page_size=1)
    assert [row["label"] for row in page["results"]] == ["Work"]
    assert {**page, "results": []} == {"results": [], "total": 2, "page": 1, "page_size": 1}
    assert [row["label"] for row in view.controller.iter_conversations()] == ["Work", "a workshop"]
    assert [row["label"] for row in view.controller.iter_conversations(folder="a")] == ["a workshop"]
    conditions: list[tuple[dict[str, Any], int]] = [
        ({}, 2),
        ({"folder": "a"}, 1),
        ({"folder": MINE}, 1),
        ({"label": "Work"}, 1),
        ({"label_contains": "WORK"}, 2),
        ({"label_contains": "%"}, 0),
        ({"label_contains": "ecr"}, 0),
    ]
    for keywords, count in conditions:
        found: Any = view.controller.count_conversations(**keywords)
        assert found["count"] == count, keywords
    assert {*server.lines} == {LIST, "GET /health"}


def test_statistics_are_never_those_of_the_server(view: SekhaClient, server: FakeServer) -> None:
    server.always(LIST, answer(facts.rows(*ROWS, page_size=1000)))
    server.always(EXPORT, exported())
    stats = view.mcp.memory_stats()
    assert stats == {
        "total_conversations": 2,
        "total_messages": 2,
        "average_importance": 7.5,
        "folders": [MINE, f"{MINE}/a"],
        "labels": ["Work", "a workshop"],
    }
    assert (view.mcp.memory_stats(folder="a", count_messages=False))["folders"] == [f"{MINE}/a"]
    assert (view.mcp.memory_stats({"label": "Secret"}))["total_conversations"] == 0
    assert set(server.lines) == {LIST, EXPORT}


def test_only_what_is_inside_is_deleted(view: SekhaClient, server: FakeServer) -> None:
    server.always(LIST, answer(facts.rows(*ROWS, page_size=1000)))
    for keywords, found in (({}, 2), ({"subfolders": True}, 2), ({"folder": "a"}, 1), ({"folder": MINE}, 1)):
        report: Any = view.controller.delete_conversations(**keywords)
        assert (report["found"], report["deleted"]) == (found, [])
    server.on(f"DELETE {ONE}", empty())
    server.on(f"DELETE /api/v1/conversations/{ROWS[2]['conversation_id']}", empty())
    report = view.controller.delete_conversations(dry_run=False)
    assert report["deleted"] == [ID, ROWS[2]["conversation_id"]]


def test_subfolders_need_no_folder_in_a_view(view: SekhaClient, server: FakeServer) -> None:
    server.always(LIST, answer(facts.rows(*ROWS, page_size=1000)))
    server.on("GET /health", answer(facts.HEALTHY))
    server.always(QUERY, answer(facts.hits(facts.hit(folder=f"{MINE}/a"), facts.hit(folder=THEIRS))))
    for subfolders in (True, False):
        assert (view.controller.count_conversations(subfolders=subfolders))["count"] == 2
        assert (view.mcp.memory_stats(subfolders=subfolders, count_messages=False))["total_conversations"] == 2
        assert (view.controller.list_conversations(subfolders=subfolders))["total"] == 2
        page = view.controller.query("x", filters={"subfolders": subfolders})
        assert [hit["folder"] for hit in page["results"]] == [f"{MINE}/a"]
    assert (view.controller.count_conversations(folder=MINE, subfolders=True))["count"] == 2
    assert (view.controller.count_conversations(folder=MINE, subfolders=False))["count"] == 1


# Imports


def test_a_journal_belongs_to_the_folder_of_its_view(
    client: SekhaClient, server: FakeServer, tmp_path: Path
) -> None:
    view = client.in_folder("/users", "4")
    path = tmp_path / "import.journal"
    server.on("GET /health", answer(facts.HEALTHY))
    server.on("POST /api/v1/conversations", answer(facts.CREATED, 201))
    items = [{"messages": MESSAGES, "folder": "notes"}]
    report = view.controller.import_conversations(items, journal=path)
    assert report["stored"] == 1
    assert server.seen[-1].json["folder"] == f"{MINE}/notes"
    header = json.loads(path.read_text().splitlines()[0])
    assert header["folder"] == MINE
    again = client.in_folder("users/4").controller.import_conversations(items, journal=path)
    assert (again["stored"], again["already_stored"]) == (0, 1)
    before = path.read_bytes()
    for other in (client, client.in_folder("/users", "42"), view.in_folder("notes"), client.in_folder("/users")):
        with pytest.raises(
            SekhaConfigError, match=r"journal: import.journal is for an import into another folder"
        ) as e:
            other.controller.import_conversations(items, journal=path)
        assert MINE not in str(e.value)
    assert path.read_bytes() == before


def test_a_journal_of_the_whole_memory_is_refused_in_a_view(
    client: SekhaClient, server: FakeServer, tmp_path: Path
) -> None:
    path = tmp_path / "import.journal"
    server.on("GET /health", answer(facts.HEALTHY))
    server.on("POST /api/v1/conversations", answer(facts.CREATED, 201))
    client.controller.import_conversations([{"messages": MESSAGES}], journal=path)
    assert "folder" not in json.loads(path.read_text().splitlines()[0])
    with pytest.raises(SekhaConfigError, match="another folder"):
        client.in_folder("/users", "4").controller.import_conversations([{"messages": MESSAGES}], journal=path)


def test_a_conversation_of_another_user_is_not_the_one_that_is_stored_already(
    local: SekhaClient,
) -> None:
    other = local.in_folder("/users", "42")
    first = other.controller.create_conversation(messages=MESSAGES, label="L", skip_existing=True)
    view = local.in_folder("/users", "4")
    mine = view.controller.create_conversation(messages=MESSAGES, label="L", skip_existing=True)
    assert (mine.get("already_stored"), mine["folder"]) == (False, MINE)
    assert mine["id"] != first["id"]
    again = view.controller.create_conversation(messages=MESSAGES, label="L", skip_existing=True)
    assert (again.get("already_stored"), again["id"]) == (True, mine["id"])


def test_a_long_conversation_of_another_user_is_in_nobodys_way(make: MakeClient, server: FakeServer) -> None:
    view = make(max_response_bytes=2000).in_folder("/users", "4")
    server.on(FULL_TEXT, answer({"results": [facts.MESSAGE], "total": 1}))
    server.on(EXPORT, tool({**facts.EXPORT, "messages": [{"role": "user", "content": "x" * 3000}]}))
    server.on(f"GET {ONE}", read(THEIRS))
    server.on("POST /api/v1/conversations", answer({**facts.CREATED, "id": OTHER_ID}, 201))
    stored = view.controller.create_conversation(messages=MESSAGES, skip_existing=True)
    assert (stored["id"], stored.get("already_stored")) == (OTHER_ID, False)


def test_no_call_of_a_view_raises_anything_but_our_errors_for_odd_ids(view: SekhaClient) -> None:
    for id in ("count", "", "../x", 4, None, f"{ID}/../{OTHER_ID}"):
        bad: Any = id
        for call in (view.controller.get_conversation, view.controller.delete_conversation, view.mcp.memory_export):
            with pytest.raises(SekhaError) as caught:
                call(bad)
            assert isinstance(caught.value, SekhaValidationError)
