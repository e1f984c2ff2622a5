"""A conversation is stored only if it is not there, and replaced by another one (create, replace)."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

from sekha import (
    AsyncSekhaClient,
    SekhaAuthError,
    SekhaConnectionError,
    SekhaError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaServerError,
    SekhaValidationError,
    SekhaWarning,
)
from support import facts
from support.facts import ID, MESSAGE_ID, MESSAGES, OTHER_ID, row, rows
from support.replies import DROP, answer, app_error, empty, tool
from support.routes import CREATE, EXPORT, FULL_TEXT, LIST, STORE
from support.server import FakeServer

from .conftest import MakeClient

ONE = f"/api/v1/conversations/{ID}"
DELETE, ARCHIVE = f"DELETE {ONE}", f"PUT {ONE}/archive"
CANNOT_DELETE = app_error("Chroma error: Collection not found: messages", 500)
CREATED = {**facts.CREATED, "id": OTHER_ID, "conversation_id": OTHER_ID}
NOTHING: dict[str, Any] = {"results": [], "total": 0}


def said(*texts: str) -> list[dict[str, str]]:
    """Messages of a user."""
    return [{"role": "user", "content": text} for text in texts]


def export(messages: Any = MESSAGES, id: str = ID, **about: Any) -> dict[str, Any]:
    """What `memory_export` answers about a conversation with such messages."""
    conversation = {**facts.EXPORT["conversation"], "id": id, "folder": "/", **about}
    stored = [{**facts.EXPORT["messages"][0], **message} for message in messages]
    return {**facts.EXPORT, "conversation": conversation, "messages": stored}


def hits(*found: tuple[str, str]) -> dict[str, Any]:
    """What the full-text search answers: ids of conversations with the content that was found in them."""
    return {
        "results": [{**facts.MESSAGE, "conversation_id": id, "content": content} for id, content in found],
        "total": len(found),
    }


def ids(count: int) -> list[str]:
    """Different ids of conversations."""
    return [f"{number:08}{ID[8:]}" for number in range(count)]


def outcome(error: SekhaError) -> tuple[bool, bool]:
    """Whether anything was sent, and whether it may have been applied."""
    return error.sent, error.may_have_been_applied


# ---- skip_existing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["local", "real"])
@pytest.mark.parametrize(
    "messages",
    [
        MESSAGES,
        [],
        said('What is "C++" AND (it\'s) NEAR* ^it?', "An answer."),
        said("   ", "second"),
        said("!!! ???", "🙂"),
        said("日本語のメモ", "我们"),
        said("word " * 500),
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}],
        said("ä" * 80),  # byte 100 is inside a character
        [{"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "text", "text": "there"}]}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]}],
    ],
)
async def test_a_conversation_is_stored_once(
    kind: str, messages: Any, request: pytest.FixtureRequest, local: AsyncSekhaClient, real: AsyncSekhaClient
) -> None:
    client = {"local": local, "real": real}[kind]
    first = await client.controller.create_conversation(messages=messages, folder="/a", skip_existing=True)
    again = await client.controller.create_conversation(messages=messages, folder="a/", skip_existing=True)
    assert (first.get("already_stored"), again.get("already_stored")) == (False, True)
    assert again["id"] == again["conversation_id"] == first["id"]
    assert {name: again.get(name) for name in ("label", "folder", "status", "message_count", "importance_score")} == {
        **{"label": first["label"], "folder": "/a", "status": "active"},
        **{"message_count": len(messages), "importance_score": 5},
    }
    assert (await client.controller.count_conversations())["count"] == 1


@pytest.mark.parametrize("kind", ["local", "real"])
async def test_what_differs_is_stored_all_the_same(kind: str, local: AsyncSekhaClient, real: AsyncSekhaClient) -> None:
    client = {"local": local, "real": real}[kind]
    messages = said("We ship on Fridays.", "Why?")
    image = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    base: dict[str, Any] = {"label": "Shipping", "folder": "/a", "messages": messages}
    others: list[dict[str, Any]] = [
        {"label": "shipping"},
        {"folder": "/a/b"},
        {"messages": messages[:1]},
        {"messages": [*messages, *said("Because.")]},
        {"messages": messages[::-1]},
        {"messages": [messages[0], {"role": "assistant", "content": "Why?"}]},
        {"messages": said("We ship on Fridays", "Why?")},
        {"messages": said("We ship on Fridays.\n", "Why?")},
        {"messages": said("We ship on fridays.", "Why?")},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "We ship on Fridays."}, image]}]},
    ]
    made = [await client.controller.create_conversation(base, skip_existing=True)]
    for other in others:
        made.append(await client.controller.create_conversation({**base, **other}, skip_existing=True))
    assert not any(one.get("already_stored") for one in made)
    assert (await client.controller.count_conversations())["count"] == len({one["id"] for one in made}) == 11
    for other in [{}, *others]:
        found = await client.controller.create_conversation({**base, **other}, skip_existing=True)
        assert found.get("already_stored")


@pytest.mark.parametrize("kind", ["local", "real"])
async def test_an_archived_conversation_does_not_count_and_importance_does_not_matter(
    kind: str, local: AsyncSekhaClient, real: AsyncSekhaClient
) -> None:
    client = {"local": local, "real": real}[kind]
    first = await client.controller.create_conversation(messages=MESSAGES, importance_score=8, skip_existing=True)
    again = await client.controller.create_conversation(messages=MESSAGES, importance_score=3, skip_existing=True)
    assert (again["id"], again.get("already_stored"), again.get("importance_score")) == (first["id"], True, 8)
    await client.controller.archive_conversation(first["id"])
    other = await client.controller.create_conversation(messages=MESSAGES, skip_existing=True)
    assert other["id"] != first["id"]
    assert not other.get("already_stored")


@pytest.mark.parametrize("kind", ["local", "real"])
async def test_it_is_found_among_many_that_begin_alike(
    kind: str, local: AsyncSekhaClient, real: AsyncSekhaClient
) -> None:
    client = {"local": local, "real": real}[kind]
    for number in range(14):
        await client.controller.create_conversation(messages=said("Hi", f"Tell me about number {number}."))
        await client.controller.create_conversation(messages=said("Hello"), folder=f"/{number}")
    for messages, folder in ((said("Hi", "Tell me about number 13."), "/"), (said("Hello"), "/13")):
        found = await client.controller.create_conversation(messages=messages, folder=folder, skip_existing=True)
        assert found.get("already_stored")
    new = await client.controller.create_conversation(messages=said("Hi", "Tell me more."), skip_existing=True)
    assert not new.get("already_stored")


async def test_where_nothing_is_there_it_takes_two_requests(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(FULL_TEXT, answer(NOTHING))
    server.on(CREATE, answer(facts.CREATED, 201))
    made = await client.controller.create_conversation(messages=said('Say "hi"\n to it'), skip_existing=True)
    assert made["already_stored"] is False
    assert server.lines == [FULL_TEXT, CREATE]
    assert server.seen[0].json == {"query": '"Say ""hi"" to it"', "limit": 100}


async def test_with_an_importance_it_takes_three(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(FULL_TEXT, answer(NOTHING))
    server.on(STORE, tool(facts.STORED))
    server.on(f"GET {ONE}", answer(facts.READ))
    await client.controller.create_conversation(messages=MESSAGES, importance_score=8, skip_existing=True)
    assert server.lines == [FULL_TEXT, STORE, f"GET {ONE}"]


async def test_where_it_is_there_it_takes_two(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(FULL_TEXT, answer(hits((ID, "Hello Sekha!"), (ID, "Hello Sekha! Once more."))))
    server.on(EXPORT, tool(export()))
    found = await client.controller.create_conversation(messages=MESSAGES, skip_existing=True)
    assert (found["id"], found["already_stored"], found["message_count"]) == (ID, True, 1)
    assert server.lines == [FULL_TEXT, EXPORT]


async def test_the_list_is_read_only_where_messages_have_no_words(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(LIST, answer(rows(row(folder="/"), row(OTHER_ID, folder="/", status="archived"))))
    server.on(EXPORT, tool(export([])))
    server.on(CREATE, answer(CREATED, 201))
    made = await client.controller.create_conversation(
        label="Hello Sekha!", messages=said("…", "?"), skip_existing=True
    )
    assert made["already_stored"] is False
    assert server.lines == [LIST, EXPORT, CREATE]


async def test_a_crowd_of_the_same_words_is_told_apart_by_others_and_by_the_list(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    crowd = ids(100)
    server.on(
        FULL_TEXT, answer(hits(*((id, "Hi") for id in crowd))), answer(hits(*((id, "Long one") for id in crowd[:11])))
    )
    listed = [row(id, "Hi", "/") for id in crowd[5:]]
    server.on(LIST, answer(rows(*listed)))
    server.on(EXPORT, *(tool(export(said("Hi", "x"), id)) for id in crowd[5:11]))
    server.on(CREATE, answer(CREATED, 201))
    made = await client.controller.create_conversation(messages=said("Hi", "Long one", "x"), skip_existing=True)
    assert made["already_stored"] is False
    assert server.lines == [FULL_TEXT, FULL_TEXT, LIST, *[EXPORT] * 6, CREATE]
    assert [seen.json["query"] for seen in server.seen[:2]] == ['"Hi"', '"Long one"']


async def test_ten_exports_are_the_most(client: AsyncSekhaClient, server: FakeServer) -> None:
    crowd = ids(12)
    server.on(FULL_TEXT, answer(hits(*((id, "Hi") for id in crowd))))
    server.on(LIST, answer(rows(*(row(id, "Hi", "/") for id in crowd))))
    server.on(EXPORT, *(tool(export(said("Hi", "x"), id)) for id in crowd[:10]))
    server.on(CREATE, answer(CREATED, 201))
    await client.controller.create_conversation(messages=said("Hi"), skip_existing=True)
    assert server.lines == [FULL_TEXT, LIST, *[EXPORT] * 10, CREATE]


async def test_hits_without_the_id_of_a_conversation_do_not_decide(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(
        FULL_TEXT, answer({"results": [{"role": "user", "content": "Hello Sekha!", "id": MESSAGE_ID}], "total": 1})
    )
    server.on(LIST, answer(rows(row(folder="/"))))
    server.on(EXPORT, tool(export()))
    found = await client.controller.create_conversation(messages=MESSAGES, skip_existing=True)
    assert found["already_stored"]


async def test_what_was_deleted_in_the_meantime_is_not_there(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(FULL_TEXT, answer(hits((ID, "Hello Sekha!"))))
    server.on(EXPORT, answer({"success": False, "data": None, "error": "Conversation not found"}))
    server.on(CREATE, answer(CREATED, 201))
    made = await client.controller.create_conversation(messages=MESSAGES, skip_existing=True)
    assert made["already_stored"] is False


async def test_where_it_cannot_be_looked_up_nothing_is_stored(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(FULL_TEXT, answer(hits((ID, "Hello Sekha!"))))
    server.on(EXPORT, answer({"error": "Invalid API key"}, 401))
    with pytest.raises(SekhaAuthError) as caught:
        await client.controller.create_conversation(messages=MESSAGES, skip_existing=True)
    assert outcome(caught.value) == (True, False)
    assert server.lines == [FULL_TEXT, EXPORT]


async def test_after_an_unknown_outcome_it_is_looked_for_once(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(FULL_TEXT, answer(NOTHING), answer(hits((OTHER_ID, "Hello Sekha!"))))
    server.on(CREATE, DROP)
    server.on(EXPORT, tool(export(id=OTHER_ID)))
    made = await client.controller.create_conversation(messages=MESSAGES, skip_existing=True)
    assert (made["id"], made["already_stored"]) == (OTHER_ID, False)
    assert server.lines == [FULL_TEXT, CREATE, FULL_TEXT, EXPORT]


@pytest.mark.parametrize("there", [[], said("Hello Sekha!")])
async def test_what_is_not_there_whole_is_not_stored_again(
    there: Any, client: AsyncSekhaClient, server: FakeServer
) -> None:
    """The controller 0.1 may have stored a part."""
    server.on(FULL_TEXT, answer(NOTHING), answer(hits(*((OTHER_ID, one["content"]) for one in there))))
    server.on(CREATE, DROP)
    if there:
        server.on(EXPORT, tool(export(there, OTHER_ID)))
    with pytest.raises(SekhaConnectionError) as caught:
        await client.controller.create_conversation(messages=said("Hello Sekha!", "Are you there?"), skip_existing=True)
    assert outcome(caught.value) == (True, True)
    assert (caught.value.method, caught.value.path) == ("POST", "/api/v1/conversations")
    assert server.lines.count(CREATE) == 1


async def test_if_the_look_fails_too_the_error_is_that_of_the_store(make: MakeClient, server: FakeServer) -> None:
    server.on(FULL_TEXT, answer(NOTHING), empty(500))
    server.on(CREATE, DROP)
    with pytest.raises(SekhaConnectionError) as caught:
        await make(max_retries=0).controller.create_conversation(messages=MESSAGES, skip_existing=True)
    assert (caught.value.path, *outcome(caught.value)) == ("/api/v1/conversations", True, True)


async def test_what_was_certainly_not_stored_is_not_looked_for(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(FULL_TEXT, answer(NOTHING))
    server.on(CREATE, app_error("no", 403))
    with pytest.raises(SekhaPermissionError) as caught:
        await client.controller.create_conversation(messages=MESSAGES, skip_existing=True)
    assert outcome(caught.value) == (True, False)


async def test_without_it_nothing_is_looked_up(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(CREATE, answer(facts.CREATED, 201))
    assert "already_stored" not in await client.controller.create_conversation(messages=MESSAGES)
    assert server.lines == [CREATE]


# ---- replace_conversation --------------------------------------------------------------------------------------------


async def test_a_conversation_is_replaced_and_the_old_one_deleted(local: AsyncSekhaClient) -> None:
    old = await local.controller.create_conversation(
        label="Notes", folder="/a", importance_score=8, messages=said("one", "two")
    )
    new = await local.controller.replace_conversation(old["id"], messages=said("one", "three"))
    assert new["replaced"] == {"id": old["id"], "how": "deleted"}
    assert (new["label"], new["folder"], new.get("importance_score")) == ("Notes", "/a", 8)
    assert [one["content"] for one in await local.controller.get_messages(new["id"])] == ["one", "three"]
    with pytest.raises(SekhaNotFoundError):
        await local.controller.get_conversation(old["id"])
    other = await local.controller.replace_conversation(
        new["id"], {"messages": said("one", "three"), "folder": "/a"}, folder="/b", label="Other", importance_score=5
    )
    assert (other["label"], other["folder"], other.get("importance_score")) == ("Other", "/b", 5)
    assert (await local.controller.count_conversations())["count"] == 1


async def test_where_the_server_cannot_delete_the_old_one_is_archived(real: AsyncSekhaClient) -> None:
    first = await real.controller.create_conversation(messages=said("one"), folder="/a")
    with pytest.warns(SekhaWarning, match="cannot delete: .* searches of controller 0.1 still find them") as caught:
        second = await real.controller.replace_conversation(first["id"], messages=said("two"))
    third = await real.with_options(timeout=5).controller.replace_conversation(second["id"], messages=said("three"))
    assert [(warning.filename, warning.category) for warning in caught] == [(__file__, SekhaWarning)]
    assert second["replaced"] == {"id": first["id"], "how": "archived"}
    assert third["replaced"] == {"id": second["id"], "how": "archived"}
    statuses = {
        one["id"]: one["metadata"].get("status") for one in (await real.controller.list_conversations())["results"]
    }
    assert statuses == {first["id"]: "archived", second["id"]: "archived", third["id"]: "active"}


@pytest.mark.parametrize("kind", ["local", "real"])
async def test_the_same_content_changes_nothing(kind: str, local: AsyncSekhaClient, real: AsyncSekhaClient) -> None:
    client = {"local": local, "real": real}[kind]
    messages: list[Any] = [*said("ä" * 80), {"role": "user", "content": [{"type": "text", "text": "Look."}]}]
    old = await client.controller.create_conversation(messages=messages, importance_score=8, folder="/a")
    before = (await client.controller.list_conversations())["results"]
    alike: list[dict[str, Any]] = [{}, {"label": old["label"]}, {"folder": "a/"}, {"importance_score": 8}]
    for more in alike:
        same = await client.controller.replace_conversation(old["id"], messages=messages, **more)
        assert same["replaced"] == {"id": old["id"], "how": "unchanged"}
        assert (same["id"], same["label"], same["folder"], same["message_count"]) == (old["id"], old["label"], "/a", 2)
    assert (await client.controller.list_conversations())["results"] == before
    changes: list[dict[str, Any]] = [{"label": "x"}, {"folder": "/b"}, {"importance_score": 9}]
    for more in changes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SekhaWarning)
            changed = await client.controller.replace_conversation(old["id"], messages=messages, **more)
        assert changed["replaced"]["how"] == {"local": "deleted", "real": "archived"}[kind]
        assert (await client.controller.list_conversations(archived=False))["total"] == 1
        old = changed


async def test_replacing_takes_three_requests_and_one_where_nothing_changes(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(EXPORT, tool(export(folder="work//a/")), tool(export()))
    server.on(CREATE, answer(CREATED, 201))
    server.on(DELETE, empty(204))
    new = await client.controller.replace_conversation(ID.upper(), messages=said("new"))
    assert server.lines == [EXPORT, CREATE, DELETE]
    assert server.seen[1].json == {"label": "Hello Sekha!", "folder": "work//a/", "messages": said("new")}
    assert (new["id"], new["replaced"]) == (OTHER_ID, {"id": ID, "how": "deleted"})
    same = await client.controller.replace_conversation(ID, messages=MESSAGES)
    assert server.lines[3:] == [EXPORT]
    assert (same["id"], same["replaced"]["how"]) == (ID, "unchanged")


async def test_that_a_server_cannot_delete_is_remembered(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(EXPORT, *[tool(export())] * 3)
    server.on(CREATE, *[answer(CREATED, 201)] * 3)
    server.on(DELETE, CANNOT_DELETE)
    server.on(ARCHIVE, *[empty()] * 3)
    with pytest.warns(SekhaWarning, match="cannot delete"):
        await client.with_options(max_retries=1).controller.replace_conversation(ID, messages=said("new"))
    for view in (client, client.with_options(deadline=60)):  # without a warning
        new = await view.controller.replace_conversation(ID, messages=said("new"))
        assert new["replaced"]["how"] == "archived"
    assert server.lines == [EXPORT, CREATE, DELETE, ARCHIVE, *[EXPORT, CREATE, ARCHIVE] * 2]


async def test_the_old_one_may_be_gone_when_it_is_to_be_deleted(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(EXPORT, tool(export()))
    server.on(CREATE, answer(CREATED, 201))
    server.on(DELETE, app_error("Conversation not found", 404))
    assert (await client.controller.replace_conversation(ID, messages=said("new")))["replaced"]["how"] == "deleted"


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (app_error("no", 403), SekhaPermissionError),
        (empty(500), SekhaServerError),
        (DROP, SekhaConnectionError),
    ],
)
@pytest.mark.parametrize("by", ["delete", "archive"])
async def test_if_the_old_one_stays_the_error_has_the_new_one(
    by: str, refusal: Any, error: Any, make: MakeClient, server: FakeServer
) -> None:
    client = make(max_retries=0)
    server.on(EXPORT, tool(export()))
    server.on(CREATE, answer(CREATED, 201))
    if by == "archive":
        server.on(DELETE, CANNOT_DELETE)
    server.on(DELETE if by == "delete" else ARCHIVE, refusal)
    with pytest.raises(error, match=f"conversation {OTHER_ID}, which replaces it, is stored") as caught:
        await client.controller.replace_conversation(ID, messages=said("new"))
    assert caught.value.conversation is not None
    assert caught.value.conversation["id"] == OTHER_ID
    assert outcome(caught.value) == (True, True)


@pytest.mark.parametrize(("reply", "unknown"), [(DROP, True), (app_error("no", 403), False)])
async def test_if_the_new_one_is_not_stored_the_old_one_stays(
    reply: Any, unknown: bool, make: MakeClient, server: FakeServer
) -> None:
    server.on(EXPORT, tool(export()))
    server.on(CREATE, reply)
    with pytest.raises(SekhaError) as caught:
        await make(max_retries=0).controller.replace_conversation(ID, messages=said("new"))
    assert (*outcome(caught.value), caught.value.conversation) == (True, unknown, None)
    assert server.lines == [EXPORT, CREATE]


async def test_what_is_not_there_cannot_be_replaced(local: AsyncSekhaClient, real: AsyncSekhaClient) -> None:
    for client in (local, real):
        with pytest.raises(SekhaNotFoundError) as caught:
            await client.controller.replace_conversation(ID, messages=MESSAGES)
        assert outcome(caught.value) == (True, False)
        assert (await client.controller.count_conversations())["count"] == 0


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "messages"),
        ({"messages": said(" ", "\n")}, "messages"),
        ({"messages": MESSAGES, "label": ""}, "label"),
        ({"messages": MESSAGES, "folder": ".."}, "folder"),
        ({"messages": MESSAGES, "importance_score": 11}, "importance_score"),
        ({"conversation": {"messages": MESSAGES, "lable": "x"}}, "lable"),
        ({"conversation": json.dumps({})}, "conversation"),
    ],
)
async def test_what_cannot_replace_is_refused_before_anything_is_sent(
    arguments: Any, field: str, client: AsyncSekhaClient
) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        await client.controller.replace_conversation(ID, **arguments)
    assert (caught.value.field, caught.value.sent) == (field, False)
