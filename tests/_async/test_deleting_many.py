"""All conversations of a folder are counted, deleted, or archived where the server cannot delete."""

from __future__ import annotations

from typing import Any

import pytest

from sekha import (
    AsyncSekhaClient,
    SekhaAuthError,
    SekhaConnectionError,
    SekhaError,
    SekhaServerError,
    SekhaValidationError,
    SekhaWarning,
)
from support.facts import ID, MESSAGES, row, rows
from support.replies import DROP, answer, app_error, empty
from support.routes import LIST
from support.server import FakeServer

from .conftest import MakeClient

CANNOT_DELETE = app_error("Chroma error: Collection not found: messages", 500)
IDS = [f"{number:08}{ID[8:]}" for number in range(4)]


def one(id: str, verb: str = "DELETE") -> str:
    """The request that removes a conversation."""
    return f"{verb} /api/v1/conversations/{id}{'/archive' if verb == 'PUT' else ''}"


async def fill(client: AsyncSekhaClient) -> dict[str, list[str]]:
    """Store conversations in several folders; their ids by folder, the last changed first."""
    ids: dict[str, list[str]] = {}
    for folder in ("/a", "/a", "/a/b", "/ab", "/", "/A"):
        made = await client.controller.create_conversation(messages=MESSAGES, folder=folder)
        ids[folder] = [made["id"], *ids.get(folder, [])]
    await client.controller.archive_conversation(ids["/a"][0])
    return ids


async def left(client: AsyncSekhaClient) -> set[str]:
    """The ids of all conversations."""
    return {found["id"] async for found in client.controller.iter_conversations()}


async def test_a_dry_run_is_the_default_and_changes_nothing(local: AsyncSekhaClient, real: AsyncSekhaClient) -> None:
    for client in (local, real):
        await fill(client)
        before = [found async for found in client.controller.iter_conversations()]
        for folder, subfolders, count in (("/a", False, 2), ("a/", True, 3), ("/", False, 1), ("/none", True, 0)):
            assert await client.controller.delete_conversations(folder=folder, subfolders=subfolders) == {
                **{"found": count, "deleted": [], "archived": [], "failed": []},
                **{"dry_run": True, "cannot_delete": False},
            }
        assert [found async for found in client.controller.iter_conversations()] == before


async def test_a_folder_is_deleted_with_what_is_archived_in_it(local: AsyncSekhaClient) -> None:
    ids = await fill(local)
    report = await local.controller.delete_conversations(folder="/a", dry_run=False)
    assert report == {
        **{"found": 2, "deleted": ids["/a"], "archived": [], "failed": []},
        **{"dry_run": False, "cannot_delete": False},
    }
    assert await left(local) == {*ids["/a/b"], *ids["/ab"], *ids["/"], *ids["/A"]}
    report = await local.controller.delete_conversations(folder="/a", subfolders=True, dry_run=False)
    assert report["deleted"] == ids["/a/b"]
    assert await left(local) == {*ids["/ab"], *ids["/"], *ids["/A"]}


async def test_in_a_view_its_folder_is_the_default(local: AsyncSekhaClient) -> None:
    ids = await fill(local)
    view = local.in_folder("/a")
    assert (await view.controller.delete_conversations())["found"] == 3
    report = await view.controller.delete_conversations(folder="b", dry_run=False)
    assert report["deleted"] == ids["/a/b"]
    for outside in ("/", "/ab", "/A"):
        with pytest.raises(SekhaValidationError, match="must be inside /a"):
            await view.controller.delete_conversations(folder=outside, subfolders=True, dry_run=False)
    report = await view.controller.delete_conversations(dry_run=False)
    assert report["deleted"] == ids["/a"]
    assert await left(local) == {*ids["/ab"], *ids["/"], *ids["/A"]}


async def test_a_server_that_cannot_delete_says_so_and_nothing_is_archived(real: AsyncSekhaClient) -> None:
    ids = await fill(real)
    before = [found async for found in real.controller.iter_conversations()]
    with pytest.raises(SekhaServerError, match=r"cannot delete .*0 of 3 .* archive_instead=True to archive") as caught:
        await real.controller.delete_conversations(folder="/a", subfolders=True, dry_run=False)
    assert (caught.value.sent, caught.value.status_code) == (True, 500)
    assert [found async for found in real.controller.iter_conversations()] == before
    assert (await real.controller.delete_conversations(folder="/a"))["cannot_delete"] is True
    with pytest.warns(SekhaWarning, match="cannot delete") as warned:
        report = await real.controller.delete_conversations(
            folder="/a", subfolders=True, dry_run=False, archive_instead=True
        )
    assert [warning.filename for warning in warned] == [__file__]
    assert (report["found"], report["deleted"], report["failed"]) == (3, [], [])
    assert set(report["archived"]) == {*ids["/a"], *ids["/a/b"]}
    archived = await real.controller.list_conversations(archived=True)
    assert {found["id"] for found in archived["results"]} == set(report["archived"])


async def test_that_it_cannot_delete_is_learned_from_the_first(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(LIST, *[answer(rows(*(row(id, folder="/a") for id in IDS)))] * 3)
    server.on(one(IDS[0]), *[CANNOT_DELETE] * 2)
    with pytest.raises(SekhaServerError) as caught:
        await client.controller.delete_conversations(folder="/a", dry_run=False)
    assert server.lines == [LIST, one(IDS[0])]
    assert caught.value.attempts == 1
    with pytest.raises(SekhaServerError):  # it may have been mended
        await client.controller.delete_conversations(folder="/a", dry_run=False)
    for id in IDS:
        server.on(one(id, "PUT"), empty())
    with pytest.warns(SekhaWarning):
        await client.controller.delete_conversations(folder="/a", dry_run=False, archive_instead=True)
    assert server.lines[4:] == [LIST, *(one(id, "PUT") for id in IDS)]


async def test_empty_conversations_may_be_deleted_before_one_cannot_be(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    """The controller 0.1 deletes those that have no messages."""
    server.on(LIST, answer(rows(*(row(id, folder="/a") for id in IDS))))
    server.on(one(IDS[0]), empty())
    server.on(one(IDS[1]), CANNOT_DELETE)
    with pytest.raises(SekhaServerError, match="1 of 4 conversations") as caught:
        await client.controller.delete_conversations(folder="/a", dry_run=False)
    assert caught.value.may_have_been_applied


async def test_what_fails_is_reported_with_its_reason_and_the_rest_goes_on(
    make: MakeClient, server: FakeServer
) -> None:
    server.on(LIST, answer(rows(*(row(id, f"L{id[7]}", "/a") for id in IDS))))
    server.on(one(IDS[0]), app_error("it is held", 409))
    server.on(one(IDS[1]), app_error("Conversation not found", 404))
    server.on(one(IDS[2]), empty(500))
    server.on(one(IDS[3]), empty())
    report = await make(max_retries=0).controller.delete_conversations(folder="/a", dry_run=False)
    assert report["deleted"] == [IDS[1], IDS[3]]  # somebody else was faster
    assert [(failure["id"], failure["label"]) for failure in report["failed"]] == [(IDS[0], "L0"), (IDS[2], "L2")]
    assert "it is held (status 409" in report["failed"][0]["error"]
    assert [failure["may_have_been_applied"] for failure in report["failed"]] == [False, True]


@pytest.mark.parametrize(
    ("reply", "error", "unknown"),
    [(DROP, SekhaConnectionError, True), (app_error("key", 401), SekhaAuthError, False)],
)
@pytest.mark.parametrize("done", [0, 2])
async def test_a_lost_server_or_a_refused_key_ends_it(
    done: int, reply: Any, error: Any, unknown: bool, make: MakeClient, server: FakeServer
) -> None:
    server.on(LIST, answer(rows(*(row(id, folder="/a") for id in IDS))))
    for id in IDS[:done]:
        server.on(one(id), empty())
    server.on(one(IDS[done]), reply)
    with pytest.raises(error, match=f"{done} of 4 conversations were deleted or archived") as caught:
        await make(max_retries=0).controller.delete_conversations(folder="/a", dry_run=False)
    assert caught.value.sent
    assert caught.value.may_have_been_applied is (unknown or done > 0)
    assert len(server.lines) == done + 2


async def test_three_failures_in_a_row_end_it(make: MakeClient, server: FakeServer) -> None:
    server.on(LIST, answer(rows(*(row(id, folder="/a") for id in IDS))))
    for id in IDS[:3]:
        server.on(one(id), empty(500))
    with pytest.raises(SekhaError, match="0 of 4"):
        await make(max_retries=0).controller.delete_conversations(folder="/a", dry_run=False)


async def test_the_whole_is_one_call_with_one_deadline(make: MakeClient, server: FakeServer) -> None:
    server.on(LIST, answer(rows(page_size=1000)))
    report = await make(deadline=5.0).controller.delete_conversations(folder="/a", subfolders=True, dry_run=False)
    assert (report["found"], server.lines) == (0, [LIST])


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "folder"),
        ({"folder": None}, "folder"),
        ({"folder": ""}, "folder"),
        ({"folder": " "}, "folder"),
        ({"folder": "/a/.."}, "folder"),
        ({"folder": "/", "subfolders": True}, "folder"),
        ({"folder": "///", "subfolders": True, "dry_run": False}, "folder"),
        ({"folder": 5}, "folder"),
        ({"folder": "/a", "subfolders": "no"}, "subfolders"),
        ({"folder": "/a", "dry_run": "no"}, "dry_run"),
        ({"folder": "/a", "dry_run": None}, "dry_run"),
        ({"folder": "/a", "archive_instead": 1}, "archive_instead"),
    ],
)
async def test_nothing_is_deleted_by_accident(arguments: Any, field: str, client: AsyncSekhaClient) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        await client.controller.delete_conversations(**arguments)
    assert (caught.value.field, caught.value.sent) == (field, False)
