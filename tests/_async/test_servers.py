"""Where servers differ from the documentation: what is sent, and what becomes of their answers, by D number."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytest

from sekha import (
    AsyncSekhaClient,
    SekhaAPIError,
    SekhaAuthError,
    SekhaDecodeError,
    SekhaNotFoundError,
    SekhaServerError,
    SekhaValidationError,
    SekhaWarning,
)
from support import facts
from support.facts import ID, MCP_KEY, MESSAGES, NO_CONVERSATION, OTHER_ID, REST_KEY, hit, remembered, row
from support.replies import DROP, after, answer, app_error, body, cut, empty, text, tool
from support.routes import CREATE, EXPORT, HEALTH, LIST, QUERY, SEARCH, STORE
from support.server import FakeServer, Reply

from .conftest import MakeClient

ONE = f"/api/v1/conversations/{ID}"
PARTS: list[dict[str, Any]] = [
    {"type": "text", "text": "Look:"},
    {"type": "image_url", "image_url": {"url": "https://example.test/cat.png"}},
    {"type": "text", "text": "A cat."},
]
TEXT_ONLY = text(
    "Failed to deserialize the JSON body into the target type: messages[0].content: invalid type: sequence, "
    "expected a string at line 1 column 66",
    422,
)


# D1, D2: folder and label


@pytest.mark.parametrize(
    ("messages", "label"),
    [
        ([{"role": "user", "content": "\n  First line \nSecond line"}], "First line"),
        ([{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "Asked"}], "Asked"),
        ([{"role": "user", "content": "x" * 70}], "x" * 60),
        ([{"role": "user", "content": PARTS}], "Look:"),
        ([{"role": "assistant", "content": "Hi"}], "Conversation"),
        ([{"role": "user", "content": " \n "}, {"role": "assistant", "content": "Hi"}], "Conversation"),
        ([], "Conversation"),
    ],
)
async def test_a_missing_label_is_made_and_the_folder_is_the_root(
    messages: list[dict[str, Any]], label: str, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(CREATE, answer(facts.CREATED, 201))
    await client.controller.create_conversation(messages=messages)
    assert (server.only.json["label"], server.only.json["folder"]) == (label, "/")


# D3: importance


@pytest.mark.parametrize("importance", [None, 5])
async def test_the_usual_importance_goes_by_rest(importance: Any, client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(CREATE, answer(facts.CREATED, 201))
    made = await client.controller.create_conversation(messages=MESSAGES, importance_score=importance)
    assert "importance_score" not in server.only.json
    assert made["importance_score"] == 5
    assert made["created_at"] == "2026-01-31T09:30:00.123456+00:00"


@pytest.mark.parametrize("importance", [1, 8, 10])
async def test_another_importance_goes_by_the_tool_and_the_rest_is_read(
    importance: int, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(STORE, tool(facts.STORED))
    server.on(f"GET {ONE}", answer(facts.READ))
    made = await client.controller.create_conversation(
        label="Hello Sekha!", folder="/work", messages=MESSAGES, importance_score=importance
    )
    assert server.lines == [STORE, f"GET {ONE}"]
    assert server.seen[0].json == {
        "label": "Hello Sekha!",
        "folder": "/work",
        "messages": MESSAGES,
        "importance_score": importance,
    }
    assert made["importance_score"] == importance
    assert (made["message_count"], made["status"], made["folder"]) == (1, "active", "/work")
    assert made["created_at"] == "2026-01-31T09:30:00.123456+00:00"


async def test_what_was_stored_by_the_tool_is_not_reported_as_failed(make: MakeClient, server: FakeServer) -> None:
    server.on(STORE, tool(facts.STORED))
    server.on(f"GET {ONE}", empty(500))
    with pytest.warns(SekhaWarning, match=f"conversation {ID} is stored, but its time could not be read") as caught:
        made = await make(max_retries=0).controller.create_conversation(messages=MESSAGES, importance_score=8)
    assert caught[0].filename == __file__
    assert (made["id"], made["importance_score"], made["created_at"]) == (ID, 8, None)


@pytest.mark.parametrize("importance", [8, 10])
async def test_if_the_tools_refuse_the_key_a_warning_comes_before_anything_is_written(
    importance: int, client: AsyncSekhaClient, server: FakeServer
) -> None:
    refused = answer({"error": "Invalid API key"}, 401)
    server.on(STORE, refused)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SekhaWarning, match=f"importance_score={importance} cannot be stored: Invalid API key"):
            await client.controller.create_conversation(messages=MESSAGES, importance_score=importance)
    assert server.lines == [STORE]  # nothing was written, and the refusal is remembered
    server.on(CREATE, answer(facts.CREATED, 201))
    if importance == 10:
        server.on(f"PUT {ONE}/pin", empty())
    with pytest.warns(SekhaWarning, match="rejected the key before") as caught:
        made = await client.controller.create_conversation(messages=MESSAGES, importance_score=importance)
    assert caught[0].filename == __file__
    assert server.lines == [STORE, CREATE] + [f"PUT {ONE}/pin"] * (importance == 10)
    assert made["importance_score"] == (10 if importance == 10 else 5)


async def test_a_refused_key_is_forgotten_with_another_key(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(STORE, answer({"error": "Invalid API key"}, 401), tool(facts.STORED))
    server.on(CREATE, answer(facts.CREATED, 201))
    server.on(f"GET {ONE}", answer(facts.READ))
    with pytest.warns(SekhaWarning):
        await client.controller.create_conversation(messages=MESSAGES, importance_score=8)
    other = client.with_options(mcp_api_key="another-key-of-at-least-32-characters")
    made = await other.controller.create_conversation(messages=MESSAGES, importance_score=8)
    assert made["importance_score"] == 8


async def test_a_pin_that_fails_does_not_make_the_create_fail(make: MakeClient, server: FakeServer) -> None:
    server.on(STORE, answer({"error": "Invalid API key"}, 401))
    server.on(CREATE, answer(facts.CREATED, 201))
    server.on(f"PUT {ONE}/pin", app_error(NO_CONVERSATION, 500))
    with pytest.warns(SekhaWarning) as caught:
        made = await make(max_retries=0).controller.create_conversation(messages=MESSAGES, importance_score=10)
    assert [("could not be pinned" in str(one.message)) for one in caught] == [False, True]
    assert made["importance_score"] == 5


async def test_another_fault_of_the_tool_is_no_reason_to_store_again(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(STORE, DROP)
    with pytest.raises(Exception) as caught:  # noqa: PT011
        await client.controller.create_conversation(messages=MESSAGES, importance_score=8)
    assert getattr(caught.value, "may_have_been_applied", False) is True
    assert server.lines == [STORE]


# D4: content parts


async def test_content_parts_are_sent_as_they_are(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(CREATE, answer(facts.CREATED, 201))
    await client.controller.create_conversation(label="L", messages=[{"role": "user", "content": PARTS}])
    assert server.only.json["messages"] == [{"role": "user", "content": PARTS}]


@pytest.mark.parametrize("line", [CREATE, STORE])
async def test_where_only_text_is_taken_parts_become_text_and_that_is_remembered(
    line: str, client: AsyncSekhaClient, server: FakeServer
) -> None:
    stored = answer(facts.CREATED, 201) if line == CREATE else tool(facts.STORED)
    server.on(line, TEXT_ONLY, stored, stored)
    store: Any = client.controller.create_conversation if line == CREATE else client.mcp.memory_store
    for _ in range(2):
        await store(label="L", messages=[{"role": "user", "content": PARTS}])
    flat = [{"role": "user", "content": "Look:\nhttps://example.test/cat.png\nA cat."}]
    assert [seen.json["messages"] for seen in server.seen] == [[{"role": "user", "content": PARTS}], flat, flat]


async def test_an_image_inside_the_message_is_not_lost_unasked(client: AsyncSekhaClient, server: FakeServer) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages: list[dict[str, Any]] = [
        *MESSAGES,
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, picture]},
    ]
    server.on(CREATE, TEXT_ONLY)
    with pytest.raises(SekhaValidationError) as caught:
        await client.controller.create_conversation(label="L", messages=messages)
    assert caught.value.field == "messages[1].content[1]"
    assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)
    server.on(CREATE, answer(facts.CREATED, 201))
    await client.controller.create_conversation(label="L", messages=messages, drop_images=True)
    assert server.seen[-1].json["messages"][1]["content"] == "Look:"


async def test_another_422_is_not_taken_for_that(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(CREATE, text("Failed to deserialize the JSON body into the target type: missing field `folder`", 422))
    with pytest.raises(SekhaValidationError, match="missing field"):
        await client.controller.create_conversation(label="L", messages=[{"role": "user", "content": PARTS}])
    server.on(CREATE, TEXT_ONLY)
    with pytest.raises(SekhaValidationError):  # all is text already: nothing to turn into text
        await client.controller.create_conversation(label="L", messages=MESSAGES)


# D5, D7, D60: context


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_context_is_a_list_of_messages(wrapped: bool, client: AsyncSekhaClient, server: FakeServer) -> None:
    found = [remembered("One"), remembered("Two", role="assistant")]
    server.on("POST /api/v1/context/assemble", answer({"messages": found} if wrapped else found))
    context = await client.controller.assemble_context("x")
    assert [{"role": m["role"], "content": m["content"]} for m in context] == [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": "Two"},
    ]
    assert context[0]["timestamp"] == "2026-01-31T09:30:00.123456+00:00"
    assert server.only.json == {
        "query": "x",
        "preferred_labels": [],
        "context_budget": 4000,
        "excluded_folders": [],
    }


async def test_excluded_folders_stay_out_however_they_came_in(client: AsyncSekhaClient, server: FakeServer) -> None:
    folders = ["/work", "/work/secret", "/work/secret/deep", "/work/secretary", "/private"]
    flat = {key: value for key, value in remembered("flat", "/private").items() if key != "metadata"}
    found = [*(remembered(folder, folder) for folder in folders), {**flat, "folder": "/private/x", "label": "L"}]
    server.on("POST /api/v1/context/assemble", answer(found))
    context = await client.controller.assemble_context("x", excluded_folders=["/work/secret", "/private/"])
    assert [message["content"] for message in context] == ["/work", "/work/secretary"]


# D9


@pytest.mark.parametrize("wrapped", [False, True])
async def test_suggested_labels_are_a_list(wrapped: bool, client: AsyncSekhaClient, server: FakeServer) -> None:
    found = [{"label": "A", "confidence": 0.9, "is_existing": True, "reason": "Matches"}]
    server.on(
        "POST /api/v1/labels/suggest", answer({"conversation_id": ID, "suggestions": found} if wrapped else found)
    )
    assert await client.controller.suggest_labels(ID) == found


# D11, D63: lists and counts

STORED_ROWS = [
    row("00000000-0000-4000-8000-000000000001", "A", "/work", 10),
    row("00000000-0000-4000-8000-000000000002", "a", "/work/deep", 5, "archived"),
    row("00000000-0000-4000-8000-000000000003", "A", "/workshop", 9),
    row("00000000-0000-4000-8000-000000000004", "AB", "/", 10, "archived"),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"label": "A"}, [1, 3]),
        ({"folder": "/work"}, [1]),
        ({"folder": "/work", "subfolders": True}, [1, 2]),
        ({"folder": "/", "subfolders": True}, [1, 2, 3, 4]),
        ({"folder": "/work/", "subfolders": True}, [1, 2]),
        ({"pinned": True}, [1, 4]),
        ({"pinned": False}, [2, 3]),
        ({"archived": True}, [2, 4]),
        ({"archived": False}, [1, 3]),
        ({"pinned": True, "archived": True, "label": "AB", "folder": "/"}, [4]),
        ({"label": "%"}, []),
    ],
)
async def test_lists_are_filtered_here(
    filters: Any, expected: list[int], client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.always(LIST, answer(facts.rows(*STORED_ROWS)))
    server.always(HEALTH, answer(facts.HEALTHY))
    found = await client.controller.list_conversations(**filters)
    assert [int(one["conversation_id"][-1]) for one in found["results"]] == expected
    assert (found["total"], found["page"], found["page_size"]) == (len(expected), 1, 50)
    assert server.seen[-1].query == {"page": "1", "page_size": "1000"}
    assert server.lines.count(LIST) == 1
    walked = [one async for one in client.controller.iter_conversations(**filters)]
    assert walked == found["results"]
    assert server.lines.count(HEALTH) <= 1


async def test_a_filtered_list_has_pages(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.always(LIST, answer(facts.rows(*STORED_ROWS)))
    pages = [
        await client.controller.list_conversations(folder="/", subfolders=True, page=n, page_size=3) for n in (1, 2, 3)
    ]
    assert [len(page["results"]) for page in pages] == [3, 1, 0]
    assert [(page["total"], page["page"], page["page_size"]) for page in pages] == [(4, 1, 3), (4, 2, 3), (4, 3, 3)]


async def test_labels_are_counted_exactly(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.always(LIST, answer(facts.rows(*STORED_ROWS)))
    server.on(HEALTH, answer(facts.HEALTHY))
    assert (await client.controller.count_conversations(label="A"))["count"] == 2
    server.on("GET /api/v1/conversations/count", answer({"count": 4, "label": "a", "folder": None}))
    assert (await client.controller.count_conversations(label_contains="a"))["count"] == 4
    assert server.seen[-1].query == {"label": "a"}
    server.on("GET /api/v1/conversations/count", answer({"count": 9, "label": None, "folder": None}))
    assert (await client.controller.count_conversations())["count"] == 9
    assert server.seen[-1].query == {}


# D43
async def test_two_things_to_count_by_are_refused_even_by_a_server_that_says_200(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        await client.controller.count_conversations(label="a", folder="/")
    assert caught.value.sent is False
    server.on("GET /api/v1/conversations/count", answer({"count": 0, "error": "Cannot specify both label and folder"}))
    with pytest.raises(SekhaValidationError, match="Cannot specify both"):
        await client.controller.count_conversations(folder="/")


def many(start: int, count: int) -> list[dict[str, Any]]:
    """Rows with ids of their own."""
    return [row(f"00000000-0000-4000-8000-{number:012}") for number in range(start, start + count)]


@pytest.mark.promise("C12")
@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        pytest.param([many(0, 2), many(0, 2)], 2, id="the same page for ever"),
        pytest.param([many(0, 2), []], 2, id="a wrong total"),
        pytest.param([[]], 0, id="nothing"),
        pytest.param([many(0, 2), many(1, 2), many(3, 1)], 4, id="a list that moved meanwhile"),
    ],
)
async def test_walking_ends(
    pages: list[list[dict[str, Any]]], expected: int, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(LIST, *[answer(facts.rows(*page, total=99)) for page in pages])
    walked = [one["conversation_id"] async for one in client.controller.iter_conversations(page_size=2)]
    assert len(walked) == len(set(walked)) == expected
    assert len(server.seen) == len(pages)


@pytest.mark.promise("C12")
async def test_a_list_that_grows_by_a_page_hides_nothing_that_was_there(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    known, rest = many(0, 2), many(2, 2)
    pages = [(known, 4), (known, 6), (rest, 6), ([], 6)]
    server.on(LIST, *[answer(facts.rows(*page, total=total)) for page, total in pages])
    walked = [one["conversation_id"] async for one in client.controller.iter_conversations(page_size=2)]
    assert walked == [one["conversation_id"] for one in [*known, *rest]]


async def test_a_large_memory_is_read_by_the_thousand(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(LIST, answer(facts.rows(*many(0, 1000), total=1500)), answer(facts.rows(*many(1000, 500), total=1500)))
    server.on(HEALTH, answer(facts.HEALTHY))
    assert (await client.controller.count_conversations(label="Hello Sekha!"))["count"] == 1500
    assert [seen.query for seen in server.seen[1:]] == [
        {"page": "1", "page_size": "1000"},
        {"page": "2", "page_size": "1000"},
    ]


# D13, D14: label and folder


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"label": "New"}, {"label": "New", "folder": "/work"}),
        ({"folder": "/new"}, {"label": "Hello Sekha!", "folder": "/new"}),
    ],
)
async def test_what_is_left_out_of_an_update_stays(
    given: dict[str, str], sent: dict[str, str], client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(f"GET {ONE}", answer(facts.READ))
    server.on(f"PUT {ONE}/label", empty())
    await client.controller.update_label(ID, **given)
    assert server.lines == [f"GET {ONE}", f"PUT {ONE}/label"]
    assert server.seen[1].json == sent


# D15, D16, D49, D53: statuses that mean something else


@pytest.mark.parametrize(
    ("line", "method", "arguments"),
    [
        (f"PUT {ONE}/pin", "pin_conversation", [ID]),
        (f"PUT {ONE}/archive", "archive_conversation", [ID]),
        ("POST /api/v1/summarize", "summarize", [ID]),
        ("POST /api/v1/labels/suggest", "suggest_labels", [ID]),
        (f"DELETE {ONE}", "delete_conversation", [ID]),
    ],
)
async def test_a_missing_conversation_is_not_found_though_the_status_is_500(
    line: str, method: str, arguments: Any, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(line, app_error(NO_CONVERSATION, 500))
    with pytest.raises(SekhaNotFoundError) as caught:
        await getattr(client.controller, method)(*arguments)
    assert (caught.value.status_code, caught.value.attempts) == (500, 1)
    assert ID in str(caught.value)


async def test_a_broken_database_is_no_missing_conversation(make: MakeClient, server: FakeServer) -> None:
    server.on(f"PUT {ONE}/label", app_error("Database error: Query Error: database is locked", 404))
    with pytest.raises(SekhaServerError, match="database is locked") as caught:
        await make(max_retries=0).controller.update_label(ID, label="A", folder="/")
    assert caught.value.status_code == 404


async def test_a_delete_that_this_controller_cannot_do_says_what_to_do(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(f"DELETE {ONE}", app_error("Chroma error: Collection not found: messages", 500))
    with pytest.raises(SekhaServerError) as caught:
        await client.controller.delete_conversation(ID)
    assert "archive_conversation()" in str(caught.value)
    assert "`messages`" in str(caught.value)
    assert caught.value.attempts == 1
    assert caught.value.may_have_been_applied is False
    assert server.lines == [f"DELETE {ONE}"]  # never archived silently


async def test_a_raw_query_with_a_fault_is_a_validation_error(client: AsyncSekhaClient, server: FakeServer) -> None:
    words = 'Database error: (code: 1) fts5: syntax error near "+"'
    server.on("POST /api/v1/search/fts", app_error(words, 500))
    with pytest.raises(SekhaValidationError, match="raw=True") as caught:
        await client.controller.full_text_search("C++", raw=True)
    assert server.only.json == {"query": "C++", "limit": 10}
    assert (caught.value.status_code, caught.value.sent, caught.value.attempts) == (500, True, 1)


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ("refresh tokens", '"refresh" "tokens"'),
        ('say "hello"', '"say" """hello"""'),
        ("AND OR NOT", '"AND" "OR" "NOT"'),
    ],
)
async def test_words_are_quoted(words: str, sent: str, client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on("POST /api/v1/search/fts", answer({"results": [], "total": 0}))
    await client.controller.full_text_search(words)
    assert server.only.json["query"] == sent


# D17: numbers of messages


async def test_messages_are_counted_where_the_server_says_none(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(f"GET {ONE}", answer(facts.READ))
    server.on(EXPORT, tool(facts.EXPORT))
    assert (await client.controller.get_conversation(ID))["message_count"] == 1
    assert server.seen[1].headers["authorization"] == f"Bearer {MCP_KEY}"
    server.on(f"GET {ONE}", answer(facts.READ))
    assert (await client.controller.get_conversation(ID, count_messages=False))["message_count"] is None
    server.on(f"GET {ONE}", answer({**facts.READ, "message_count": 7}))
    assert (await client.controller.get_conversation(ID))["message_count"] == 7
    assert len(server.seen) == 4


async def test_a_number_that_cannot_be_had_is_none_and_never_0(make: MakeClient, server: FakeServer) -> None:
    server.on(f"GET {ONE}", answer(facts.READ))
    server.on(EXPORT, answer({"error": "Invalid API key"}, 401))
    assert (await make().controller.get_conversation(ID))["message_count"] is None


async def test_a_conversation_without_messages_has_0(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(f"GET {ONE}", answer(facts.READ))
    server.on(EXPORT, tool({**facts.EXPORT, "messages": []}))
    assert (await client.controller.get_conversation(ID))["message_count"] == 0


# D18: scores


@pytest.mark.parametrize(
    ("scores", "page", "expected"),
    [
        ([0.125, 0.25, 0.5], 0, [0.875, 0.75, 0.5]),
        ([0.125, 0.25, 0.5], 1, [0.875, 0.75, 0.5]),
        ([0.5, 0.25, 0.125], 0, [0.5, 0.25, 0.125]),
        ([0.25], 0, [0.75]),
        ([0.25], 1, [0.25]),
        ([0.25, 0.25], 0, [0.75, 0.75]),
        ([0.25, 0.25], 1, [0.25, 0.25]),
        ([], 0, []),
    ],
)
async def test_a_score_is_what_was_promised(
    scores: list[float], page: int, expected: list[float], client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(QUERY, answer({**facts.hits(*[hit(score) for score in scores]), "page": page}))
    found = (await client.controller.query("x"))["results"]
    assert [one["score"] for one in found] == expected
    turned = scores != expected
    assert [one.get("distance") for one in found] == (scores if turned else [None] * len(scores))


@pytest.mark.parametrize(
    ("scores", "separator", "expected"),
    [
        ([0.125, 0.25], " ", [0.875, 0.75]),
        ([0.25], " ", [0.75]),
        ([0.25], "T", [0.25]),
        ([0.5, 0.25], " ", [0.5, 0.25]),
    ],
)
async def test_a_score_of_the_tool_is_what_was_promised(
    scores: list[float], separator: str, expected: list[float], client: AsyncSekhaClient, server: FakeServer
) -> None:
    found = [{**hit(score), "timestamp": f"2026-01-31{separator}09:30:00.123456789"} for score in scores]
    server.on(SEARCH, tool({"query": "x", "total_results": len(found), "limit": 10, "results": found}))
    results = (await client.mcp.memory_search(query="x"))["results"]
    assert [one["score"] for one in results] == expected
    assert {one["timestamp"] for one in results} == {"2026-01-31T09:30:00.123456+00:00"}


# D19, D20, D26: offset and filters


def numbered(count: int, **more: Any) -> list[dict[str, Any]]:
    """Hits, each a bit farther away."""
    return [hit(number / 1024, content=f"hit {number}", **more) for number in range(count)]


@pytest.mark.parametrize(
    ("offset", "limit", "asked", "page"), [(0, 3, 3, 1), (3, 3, 6, 2), (7, 2, 9, 4), (20, 2, 22, 11)]
)
async def test_an_offset_is_applied_here(
    offset: int, limit: int, asked: int, page: int, client: AsyncSekhaClient, server: FakeServer
) -> None:
    found = numbered(min(asked, 10))
    server.on(QUERY, answer(facts.hits(*found, page_size=asked)))
    result = await client.controller.query("x", limit=limit, offset=offset)
    assert [one["content"] for one in result["results"]] == [f"hit {n}" for n in range(offset, min(offset + limit, 10))]
    assert server.only.json == {"query": "x", "limit": asked, "offset": 0}
    assert (result["page"], result["page_size"], "truncated" in result) == (page, limit, False)
    server.on(SEARCH, tool(facts.tool_hits(*found)))
    searched = await client.mcp.memory_search(query="x", limit=limit, offset=offset)
    assert [one["content"] for one in searched["results"]] == [one["content"] for one in result["results"]]
    assert server.seen[1].json == {"query": "x", "limit": asked}
    assert searched["limit"] == limit


MIXED = [
    hit(0.1, ID, "A", "/work", "2026-01-01T00:00:00", "1"),
    hit(0.2, ID, "B", "/work", "2026-01-31T23:59:59.999999", "2"),
    hit(0.3, OTHER_ID, "A", "/home", "2026-02-01T00:00:00", "3"),
    hit(0.4, OTHER_ID, "C", "/work/deep", "2026-02-01T12:00:00", "4"),
]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"label": "A"}, "13"),
        ({"labels": ["A", "C"]}, "134"),
        ({"labels": []}, ""),
        ({"label": "A", "labels": ["B", "C"]}, ""),
        ({"folder": "/work"}, "12"),
        ({"start_date": "2026-01-31"}, "234"),
        ({"end_date": "2026-01-31"}, "12"),
        ({"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-02-01T00:00:00Z"}, "123"),
        ({"start_date": "2026-02-01T01:00:00+01:00"}, "34"),
        ({"min_importance": 7}, "34"),
        ({"min_importance": 7.5, "label": "C"}, "4"),
        ({"min_importance": 10}, ""),
    ],
)
@pytest.mark.parametrize("by", ["query", "search", "search, nested"])
async def test_filters_are_applied_here(
    filters: Any, expected: str, by: str, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(HEALTH, *[answer(facts.HEALTHY)] * (filters != {"labels": []}))
    if "min_importance" in filters:
        server.on(LIST, answer(facts.rows(row(ID, importance=5), row(OTHER_ID, importance=8))))
    result: Any
    if by == "query":
        server.on(QUERY, answer(facts.hits(*MIXED)))
        result = await client.controller.query("x", limit=10, filters=filters)
        total = result["total"]
    else:
        server.on(SEARCH, tool(facts.tool_hits(*MIXED)))
        given = {"filters": filters} if "nested" in by else filters
        result = await client.mcp.memory_search({"query": "x", **given})
        total = result["total_results"]
    assert "".join(one["content"] for one in result["results"]) == expected
    assert (total, result["truncated"]) == (len(expected), False)
    assert server.seen[-1].json["limit"] == 40
    assert "filters" not in server.seen[-1].json


async def test_further_rounds_ask_for_ten_times_as_much(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    few = numbered(20, label="no")
    more = [*few, *numbered(180, label="A")]
    server.on(QUERY, answer(facts.hits(*few)), answer(facts.hits(*more)))
    result = await client.controller.query("x", limit=2, filters={"label": "A"})
    assert [seen.json["limit"] for seen in server.seen[1:]] == [20, 200]
    assert (len(result["results"]), result["total"], result["truncated"]) == (2, 180, False)


async def test_what_ten_thousand_hits_do_not_show_is_told_once(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    sizes = [20, 200, 2000, 10_000]
    server.on(QUERY, *[answer(facts.hits(*numbered(size, label="no"))) for size in sizes])
    with pytest.warns(SekhaWarning, match="found 0 of 1 requested results"):
        result = await client.controller.query("x", limit=1, filters={"label": "A"})
    assert [seen.json["limit"] for seen in server.seen[1:]] == sizes
    assert (result["results"], result["total"], result["truncated"]) == ([], 0, True)
    server.on(SEARCH, *[tool(facts.tool_hits(*numbered(size, label="no"))) for size in sizes[1:]])
    found = await client.with_options(max_retries=0).mcp.memory_search(query="x", limit=50, filters={"label": "A"})
    assert (found["results"], found["total_results"], found["truncated"]) == ([], 0, True), "no second warning"


async def test_a_round_that_is_too_long_ends_with_what_is_there(make: MakeClient, server: FakeServer) -> None:
    client = make(max_response_bytes=20_000)
    server.on(HEALTH, answer(facts.HEALTHY))
    few, many = [*numbered(19), hit(0.9, label="A")], numbered(200)
    server.on(QUERY, answer(facts.hits(*few)), answer(facts.hits(*many)))
    with pytest.warns(SekhaWarning, match="found 1 of 2 requested results"):
        result = await client.controller.query("x", limit=2, filters={"label": "A"})
    assert (len(result["results"]), result["total"], result["truncated"]) == (1, 1, True)
    server.on(QUERY, answer(facts.hits(*many)))
    with pytest.raises(SekhaDecodeError, match="longer than max_response_bytes") as caught:
        await client.controller.query("x", limit=2, filters={"label": "A"})
    assert caught.value.is_too_long


@pytest.mark.parametrize(
    ("health", "sent", "asked"),
    [
        (answer({**facts.HEALTHY, "filters": True}), True, 1),
        (answer({**facts.HEALTHY, "filters": "yes"}), False, 1),
        (answer(facts.HEALTHY), False, 1),
        (answer({}, 404), False, 1),
        (answer({}, 500), False, 2),
        (cut(), False, 2),
    ],
)
async def test_filters_are_sent_to_a_server_that_says_that_it_applies_them(
    health: Any, sent: bool, asked: int, client: AsyncSekhaClient, server: FakeServer
) -> None:
    """And applied here all the same; where it could not be asked, it is asked again for the next search."""
    server.always(HEALTH, health)
    server.on(QUERY, answer(facts.hits(*MIXED)), answer(facts.hits(*MIXED)))
    server.on(SEARCH, tool(facts.tool_hits(*MIXED)))
    filters = {"labels": ["A"], "folder": "/work", "roles": ["system"]}
    for _ in range(2):
        result = await client.controller.query("x", filters=filters)
        assert result["results"] == [], "filtered here as well"
    at_first = server.lines.count(HEALTH)
    found = await client.mcp.memory_search(query="x", folder="/work")
    assert [one["content"] for one in found["results"]] == ["1", "2"]
    bodies = [seen.json for seen in server.seen if seen.line != HEALTH]
    assert [body.get("filters") for body in bodies] == (
        [{"labels": ["A"], "folder": "/work"}] * 2 + [{"folder": "/work"}] if sent else [None] * 3
    )
    assert at_first == asked


async def test_a_first_round_that_found_all_there_is_is_enough(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(QUERY, answer(facts.hits(*MIXED)))
    result = await client.controller.query("x", limit=2, offset=1, filters={"label": "A"})
    assert [one["content"] for one in result["results"]] == ["3"]
    assert (server.seen[1].json["limit"], result["page"], result["truncated"]) == (20, 1, False)


async def test_filters_that_the_server_cannot_know_ask_nothing(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(QUERY, *[answer(facts.hits(*MIXED))] * 2)
    found = await client.controller.query("x", filters={"folder": "/work", "subfolders": True, "exclude_labels": ["B"]})
    assert [one["content"] for one in found["results"]] == ["1", "4"]
    assert HEALTH not in server.lines
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(LIST, answer(facts.rows(row(ID, status="archived"), row(OTHER_ID))))
    found = await client.controller.query("x", filters={"archived": False})
    assert [one["content"] for one in found["results"]] == ["3", "4"]
    assert "filters" not in server.seen[-1].json


# A floor of relevance


@pytest.mark.parametrize(
    ("more", "expected", "below", "total"),
    [
        ({"min_score": 0}, "1234", 0, 4),
        ({"min_score": 0.7}, "123", 1, 3),
        ({"min_score": 0.75, "limit": 1}, "1", 0, 1),
        ({"min_score": 0.75, "offset": 1}, "2", 2, 2),
        ({"min_score": 1}, "", 4, 0),
        ({"min_score": 0.85, "filters": {"label": "A"}}, "1", 1, 1),
        ({"min_score": 0.65, "filters": {"label": "C"}}, "", 1, 0),
    ],
)
async def test_a_floor_is_applied_after_filters_and_before_the_limit(
    more: Any, expected: str, below: int, total: int, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.always(HEALTH, answer(facts.HEALTHY))
    found = MIXED[: more.get("limit", 4)]
    server.on(QUERY, answer(facts.hits(*found)))
    server.on(SEARCH, tool(facts.tool_hits(*found)))
    page = await client.controller.query("x", **more)
    assert "".join(one["content"] for one in page["results"]) == expected
    assert (page["below_min_score"], page["total"]) == (below, total)
    searched = await client.mcp.memory_search({"query": "x", **more})
    assert searched["results"] == page["results"]
    assert (searched["below_min_score"], searched["total_results"]) == (below, total)


async def test_a_search_ends_where_hits_are_below_the_floor(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(QUERY, answer(facts.hits(*numbered(20, label="no"))))
    page = await client.controller.query("x", limit=2, filters={"label": "A"}, min_score=0.99)
    assert (page["results"], page["below_min_score"], page["truncated"]) == ([], 0, False)


async def test_without_a_floor_nothing_is_counted(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(QUERY, answer(facts.hits(*MIXED)))
    assert "below_min_score" not in await client.controller.query("x")


@pytest.mark.parametrize("min_score", [-0.1, 1.1, "0.5", True, float("nan")])
async def test_what_is_no_floor_is_refused(min_score: Any, client: AsyncSekhaClient) -> None:
    calls: Any = [
        (client.controller.query, ["x"]),
        (client.mcp.memory_search, [{"query": "x"}]),
        (client.store_and_query, [MESSAGES, "x"]),
        (client.complete_with_memory, ["x", "x"]),
    ]
    for call, arguments in calls:
        with pytest.raises(SekhaValidationError) as caught:
            await call(*arguments, min_score=min_score)
        assert (caught.value.field, caught.value.sent) == ("min_score", False)


# D18: the kind of score that the server names


@pytest.mark.parametrize("scores", [[0.2, 0.4], [0.5], [0.5, 0.5], [0.9, 0.1]])
@pytest.mark.parametrize("kind", ["similarity", None])
async def test_scores_that_are_called_similarities_are_believed(
    scores: list[float], kind: Any, client: AsyncSekhaClient, server: FakeServer
) -> None:
    more = {"score_kind": kind} if kind else {}
    found = [hit(score) for score in scores]
    server.on(QUERY, answer({**facts.hits(*found), **more}))
    server.on(SEARCH, tool({**facts.tool_hits(*found), **more}))
    are_distances = kind is None and scores != [0.9, 0.1]
    expected = [pytest.approx(1 - score if are_distances else score) for score in scores]
    for page in (await client.controller.query("x"), await client.mcp.memory_search(query="x")):
        assert [one["score"] for one in page["results"]] == expected


# D22, D23: the envelope of the tools


async def test_an_answer_without_an_envelope_is_read(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on("POST /mcp/tools/memory_get_context", answer(facts.CONTEXT))
    found = await client.mcp.memory_get_context(ID)
    assert (found["label"], found["word_count"]) == ("Hello Sekha!", 12)
    assert found["created_at"] == "2026-01-31T09:30:00.123456+00:00"


@pytest.mark.parametrize(
    ("words", "cls"),
    [
        ("Conversation not found", SekhaNotFoundError),
        ("Cannot specify both folder and label", SekhaValidationError),
        ("the database is gone", SekhaServerError),
        (None, SekhaServerError),
    ],
)
async def test_a_tool_that_says_no_is_an_error(
    words: Any, cls: type[SekhaAPIError], client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on("POST /mcp/tools/memory_get_context", answer({"success": False, "data": None, "error": words}))
    with pytest.raises(cls) as caught:
        await client.mcp.memory_get_context(ID)
    assert type(caught.value) is cls
    assert (words or "without an error message") in str(caught.value)
    assert (caught.value.status_code, caught.value.attempts) == (200, 1)


# D24, D25: statistics


async def test_statistics_of_everything_are_the_servers_and_ours_where_it_has_none(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(
        "POST /mcp/tools/memory_stats",
        tool({"total_conversations": 2, "average_importance": 6.5, "folders": ["/", "/work"]}),
    )
    server.on(LIST, answer(facts.rows(row(ID, "B"), row(OTHER_ID, "A"))))
    server.on(EXPORT, tool({**facts.EXPORT, "messages": facts.EXPORT["messages"] * 3}), tool(facts.EXPORT))
    assert await client.mcp.memory_stats({}) == {
        "total_conversations": 2,
        "average_importance": 6.5,
        "folders": ["/", "/work"],
        "labels": ["A", "B"],
        "total_messages": 4,
    }
    assert server.seen[0].json == {}


@pytest.mark.parametrize(
    ("request_", "total", "average", "folders", "labels"),
    [
        ({"labels": ["A", "AB"]}, 3, 29 / 3, ["/", "/work", "/workshop"], ["A", "AB"]),
        ({"labels": []}, 0, 0.0, [], []),
        ({"labels": ["A"], "folder": "/work"}, 1, 10.0, ["/work"], ["A"]),
        ({"label": "A", "folder": "/workshop"}, 1, 9.0, ["/workshop"], ["A"]),
        ({"start_date": "2026-02-01"}, 0, 0.0, [], []),
        ({"end_date": "2026-01-31"}, 4, 8.5, ["/", "/work", "/work/deep", "/workshop"], ["A", "AB", "a"]),
    ],
)
async def test_statistics_that_the_server_would_get_wrong_are_made_here(
    request_: Any,
    total: int,
    average: float,
    folders: list[str],
    labels: list[str],
    client: AsyncSekhaClient,
    server: FakeServer,
) -> None:
    server.on(LIST, answer(facts.rows(*STORED_ROWS)))
    server.on(EXPORT, *[tool(facts.EXPORT)] * total)
    stats = await client.mcp.memory_stats(request_)
    assert stats["total_conversations"] == stats["total_messages"] == total
    assert stats["average_importance"] == pytest.approx(average)
    assert (stats["folders"], stats["labels"]) == (folders, labels)


async def test_a_server_that_knows_it_all_is_asked_once(client: AsyncSekhaClient, server: FakeServer) -> None:
    whole = {**facts.STATS, "labels": ["A"], "total_messages": 12, "newer": True}
    server.on("POST /mcp/tools/memory_stats", tool(whole))
    assert await client.mcp.memory_stats() == whole


@pytest.mark.parametrize(("conversations", "asked", "exports"), [(100, None, 100), (101, None, 0), (3, False, 0)])
async def test_messages_are_counted_for_a_hundred_conversations_unasked(
    conversations: int, asked: Any, exports: int, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on("POST /mcp/tools/memory_stats", tool(facts.STATS))
    server.on(LIST, answer(facts.rows(*many(0, conversations))))
    server.on(EXPORT, *[after(0.004, tool(facts.EXPORT))] * exports)
    stats = await client.mcp.memory_stats(count_messages=asked)
    assert stats["total_messages"] == (exports or None)
    assert server.most_at_once <= 4


async def test_messages_are_counted_for_more_conversations_when_asked(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on("POST /mcp/tools/memory_stats", tool(facts.STATS))
    server.on(LIST, answer(facts.rows(*many(0, 101))))
    server.always(EXPORT, after(0.004, tool(facts.EXPORT)))
    assert (await client.mcp.memory_stats(count_messages=True))["total_messages"] == 101


# D27: which key


async def test_a_key_that_the_tools_refuse_is_named(make: MakeClient, server: FakeServer) -> None:
    server.always("POST /mcp/tools/memory_get_context", answer({"error": "Invalid API key"}, 401))
    for options, name in (({"mcp_api_key": None}, "api_key"), ({}, "mcp_api_key")):
        with pytest.raises(SekhaAuthError) as caught:
            await make(**options).mcp.memory_get_context(ID)
        assert f"The key sent was {name};" in str(caught.value)
        assert "SEKHA_MCP_API_KEY" in str(caught.value)
        assert REST_KEY not in str(caught.value)


# D29, D30: embeddings


@pytest.mark.parametrize("keyword", ["input", "text"])
async def test_an_embedding_has_both_shapes(keyword: str, client: AsyncSekhaClient, bridge: FakeServer) -> None:
    bridge.on("POST /embed", answer(facts.EMBEDDING))
    found: Any = await client.bridge.embed(**{keyword: "hello"})
    assert bridge.only.json == {"text": "hello"}
    assert found["data"] == [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}]
    assert (found["embedding"], found["dimension"], found["object"]) == ([0.25, -0.5], 2, "list")
    assert found["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


async def test_several_texts_are_several_requests_in_order(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    texts = [f"text {number}" for number in range(9)]
    bridge.always("POST /embed", after(0.004, answer(facts.EMBEDDING)))
    found = await client.bridge.embed(texts, model="m")
    assert sorted(seen.json["text"] for seen in bridge.seen) == texts
    assert {seen.json["model"] for seen in bridge.seen} == {"m"}
    assert [item["index"] for item in found["data"]] == list(range(9))
    assert found["usage"]["total_tokens"] == found["tokens_used"] == 27
    assert bridge.most_at_once <= 4


async def test_the_answers_are_put_to_their_texts(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    late = Reply((0.05, *answer({**facts.EMBEDDING, "embedding": [1.0, 0.0]}).steps))
    bridge.on("POST /embed", late, answer({**facts.EMBEDDING, "embedding": [0.0, 1.0]}))
    await client.bridge.embed(["a", "b"])
    first = bridge.seen[0].json["text"]
    bridge.on("POST /embed", late, answer({**facts.EMBEDDING, "embedding": [0.0, 1.0]}))
    found = await client.bridge.embed(["a", "b"])
    by_text = dict(zip(("a", "b"), [item["embedding"] for item in found["data"]]))
    assert by_text[bridge.seen[2].json["text"]] == [1.0, 0.0]
    assert first in by_text


async def test_a_bridge_with_openais_shape_is_read(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    item = {"object": "embedding", "index": 0, "embedding": [1, 0]}
    shape = {"object": "list", "data": [item], "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
    bridge.on("POST /embed", answer(shape))
    found = await client.bridge.embed("x")
    assert (found["embedding"], found["dimension"]) == ([1, 0], 2)


# D32, D33: health


@pytest.mark.parametrize(
    ("reply", "status", "checks"),
    [
        (answer(facts.HEALTHY), "healthy", {"database": {"status": "ok"}, "chroma": {"status": "ok"}}),
        (answer({"status": "healthy", "version": "0.2.0", "uptime_seconds": 0}), "healthy", {}),
        (text("OK"), "healthy", {}),
        (empty(503), "unhealthy", {}),
        (app_error("chroma is down", 500), "unhealthy", {}),
        (answer({"status": "healthy", "checks": {"database": True, "chroma": False}}), "healthy", None),
    ],
)
async def test_any_controllers_health_has_one_shape(
    reply: Reply, status: str, checks: Any, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on("GET /health", reply)
    health = await client.controller.health()
    assert health["status"] == status
    assert health["checks"] == (
        {"database": {"status": "ok"}, "chroma": {"status": "failed"}} if checks is None else checks
    )
    assert bool(health.get("error")) == (status == "unhealthy")


@pytest.mark.parametrize(
    ("reply", "status", "checks", "error"),
    [
        (answer(facts.BRIDGE_HEALTHY), "healthy", {"ollama": {"status": "ok"}}, None),
        (
            answer(
                {
                    "status": "degraded",
                    "ollama_status": {"providers": {"ollama": {"circuit_breaker": {"state": "open"}}}},
                }
            ),
            "degraded",
            None,
            None,
        ),
        (answer({"detail": "Ollama is down"}, 503), "unhealthy", {}, "Ollama is down"),
        (empty(503), "unhealthy", {}, "the bridge is not ready"),
        (answer({"status": "healthy", "checks": {"ollama": True}}), "healthy", {"ollama": {"status": "ok"}}, None),
    ],
)
async def test_the_bridges_health_has_checks(
    reply: Reply, status: str, checks: Any, error: Any, client: AsyncSekhaClient, bridge: FakeServer
) -> None:
    bridge.on("GET /health", reply)
    health = await client.bridge.health()
    assert health["status"] == status
    assert health.get("error") == error
    if checks is None:
        assert health["checks"]["ollama"]["status"] != "ok"
    else:
        assert health["checks"] == checks


# D41: pruning


async def test_an_unknown_id_keeps_everything_from_being_pruned(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(LIST, answer(facts.rows(row(ID))))
    with pytest.raises(SekhaNotFoundError, match="nothing was archived") as caught:
        await client.controller.prune_execute([ID, OTHER_ID])
    assert OTHER_ID in str(caught.value)
    assert caught.value.archived == []
    assert server.lines == [LIST]


async def test_an_id_that_vanished_meanwhile_tells_what_was_archived(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    third = "11111111-2222-4333-8444-555555555555"
    server.on(LIST, answer(facts.rows(row(ID), row(OTHER_ID), row(third))))
    server.on("POST /api/v1/prune/execute", app_error(f"Entity not found: Conversation {OTHER_ID} not found", 500))
    with pytest.raises(SekhaNotFoundError) as caught:
        await client.controller.prune_execute([ID, OTHER_ID.upper(), third, ID])
    assert caught.value.archived == [ID]
    assert OTHER_ID in str(caught.value)
    assert server.seen[1].json == {"conversation_ids": [ID, OTHER_ID, third]}


async def test_pruning_nothing_asks_nobody(client: AsyncSekhaClient, server: FakeServer) -> None:
    await client.controller.prune_execute([])
    assert server.seen == []


# D45


async def test_markdown_is_written_here(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(EXPORT, tool(facts.EXPORT), tool(facts.EXPORT))
    export = await client.mcp.memory_export(ID, format="markdown")
    assert export["content"].startswith("# Hello Sekha!\n")
    assert "## User\n\nHello Sekha!\n" in export["content"]
    assert export["format"] == "markdown"
    bare = await client.mcp.memory_export(ID, include_metadata=False)
    assert "metadata" not in bare["messages"][0]
    assert "content" not in bare


# D51: byte 100


@pytest.mark.parametrize(
    ("before", "spaces"), [("x" * 99 + "ü", 1), ("x" * 99 + "日", 1), ("x" * 98 + "日", 2), ("x" * 97 + "🐈", 3)]
)
async def test_a_character_across_byte_100_is_moved(
    before: str, spaces: int, client: AsyncSekhaClient, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    content = before + " and more"
    assert content.encode()[100] & 0xC0 == 0x80
    server.on(CREATE, answer(facts.CREATED, 201))
    with caplog.at_level(logging.INFO, "sekha"):
        await client.controller.create_conversation(
            label="L", messages=[{"role": "user", "content": content}, {"role": "user", "content": "x" * 99}]
        )
    first, second = (message["content"] for message in server.only.json["messages"])
    assert first == " " * spaces + content
    assert first.encode()[100] & 0xC0 != 0x80
    assert second == "x" * 99
    assert "added leading spaces" in caplog.text


async def test_other_messages_are_stored_to_the_byte(client: AsyncSekhaClient, server: FakeServer) -> None:
    contents = ["x" * 98 + "üü", "ü" * 50 + "x", "ü" * 50, "", "日本語"]
    server.on(STORE, tool(facts.STORED))
    await client.mcp.memory_store(label="L", messages=[{"role": "user", "content": one} for one in contents])
    assert [message["content"] for message in server.only.json["messages"]] == contents


# D58, D59: tools that say what is not so


async def test_archiving_and_pinning_go_by_rest(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(f"PUT {ONE}/pin", empty())
    server.on(f"PUT {ONE}/archive", empty())
    updated = await client.mcp.memory_update(ID, status="archived", importance_score=10)
    assert sorted(updated["updated_fields"]) == ["importance_score", "status"]
    assert {seen.headers["authorization"] for seen in server.seen} == {f"Bearer {REST_KEY}"}


@pytest.mark.parametrize(
    ("wanted", "now", "failed"),
    [
        ({"importance_score": 7}, {"importance_score": 5}, "importance_score"),
        ({"importance_score": 7}, {"importance_score": 7}, ""),
        ({"status": "active"}, {"status": "archived"}, "status"),
        ({"status": "active"}, {"status": "active"}, ""),
        ({"status": "active", "importance_score": 7, "label": "L"}, {"status": "archived"}, "status, importance_score"),
    ],
)
async def test_what_the_tool_does_not_write_is_an_error(
    wanted: Any, now: Any, failed: str, client: AsyncSekhaClient, server: FakeServer
) -> None:
    says = {"conversation_id": ID, "updated_fields": ["status", "importance_score"], "message": "updated"}
    server.on("POST /mcp/tools/memory_update", tool(says))
    server.on("POST /mcp/tools/memory_get_context", tool({**facts.CONTEXT, **now}))
    if not failed:
        assert (await client.mcp.memory_update(ID, **wanted))["updated_fields"] == list(wanted)
        return
    with pytest.raises(SekhaServerError) as caught:
        await client.mcp.memory_update(ID, **wanted)
    assert f"did not write {failed}," in str(caught.value)
    assert f"written: {'label' if 'label' in wanted else 'nothing'}" in str(caught.value)


async def test_a_prune_tool_that_fails_points_elsewhere(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on("POST /mcp/tools/memory_prune", empty(500), empty(500))
    with pytest.raises(SekhaServerError, match=r"prune_dry_run\(\)"):
        await client.mcp.memory_prune()


# D61, D8, D64


@pytest.mark.parametrize(("given", "sent"), [(0, 1e-6), (0.0, 1e-6), (0.7, 0.7), (2, 2)])
async def test_a_temperature_of_0_is_nearly_that(
    given: float, sent: float, client: AsyncSekhaClient, bridge: FakeServer
) -> None:
    bridge.on("POST /v1/chat/completions", answer(facts.COMPLETION))
    await client.bridge.complete(MESSAGES, temperature=given)
    assert bridge.only.json["temperature"] == sent


async def test_only_what_a_model_knows_of_a_message_is_sent(client: AsyncSekhaClient, bridge: FakeServer) -> None:
    bridge.on("POST /v1/chat/completions", answer(facts.COMPLETION))
    await client.bridge.complete([remembered("One"), {"role": "user", "content": "Two", "name": "Ada", "x": 1}])
    assert bridge.only.json == {
        "messages": [{"role": "user", "content": "One"}, {"role": "user", "content": "Two", "name": "Ada"}]
    }


async def test_a_model_that_is_down_gives_no_answer_that_looks_like_one(
    client: AsyncSekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    said = {"conversation_id": ID, "level": "daily", "summary": "Daily: 2 messages (LLM offline)"}
    server.on("POST /api/v1/summarize", answer({**said, "generated_at": "2026-01-31T09:30:00"}))
    with pytest.raises(SekhaServerError, match="the response is not a summary"):
        await client.controller.summarize(ID)
    bridge.on("POST /api/v1/score", answer({"score": 5.0, "reasoning": "Failed to score importance", "model": "m"}))
    with pytest.raises(SekhaServerError, match="the response is not a score"):
        await client.bridge.score("x")


# Answers of newer servers


async def test_what_a_newer_server_adds_is_kept(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(CREATE, answer({**facts.CREATED, "status": "frozen", "owner": {"name": "Ada"}}, 201))
    made: Any = await client.controller.create_conversation(messages=MESSAGES)
    assert (made["status"], made["owner"]) == ("frozen", {"name": "Ada"})


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        (answer({**facts.READ, "id": 5}), "id"),
        (answer({key: value for key, value in facts.READ.items() if key != "label"}), "label"),
        (answer({**facts.READ, "message_count": "2"}), "message_count"),
        (body(b"[1"), "the response is not valid JSON"),
        (answer([]), "the response"),
    ],
)
async def test_an_answer_of_another_shape_names_the_place(
    reply: Reply, place: str, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(f"GET {ONE}", reply)
    with pytest.raises(SekhaDecodeError) as caught:
        await client.controller.get_conversation(ID)
    assert place in str(caught.value)
    assert "GET /api/v1/conversations/{id}" in str(caught.value)
    assert (caught.value.status_code, caught.value.attempts) == (200, 1)
    assert caught.value.body
