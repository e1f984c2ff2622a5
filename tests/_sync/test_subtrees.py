# Generated from tests/_async/test_subtrees.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Folders with what is below them, and dates, in counts, statistics and lists."""

from __future__ import annotations

from typing import Any

import pytest

from sekha import SekhaClient, SekhaValidationError
from support import facts
from support.facts import ID, MESSAGES, OTHER_ID, row, rows
from support.replies import answer, tool
from support.routes import COUNT, EXPORT, LIST, STATS
from support.server import FakeServer

FOLDERS = ("/a", "/a/b", "/a/b/c", "/ab", "/", "/A")
DATED = [
    row(ID, "A", "/a", timestamp="2026-01-31T09:30:00.5"),
    row(OTHER_ID, "B", "/a/b", timestamp="2025-12-31T23:59:59.999999999"),
]


def fill(client: SekhaClient) -> None:
    """Store a conversation in each of these folders."""
    for folder in FOLDERS:
        client.controller.create_conversation(label=folder, folder=folder, messages=MESSAGES, importance_score=8)


@pytest.mark.parametrize(
    ("folder", "below"),
    [("/a", ["/a", "/a/b", "/a/b/c"]), ("a/b/", ["/a/b", "/a/b/c"]), ("/", sorted(FOLDERS)), ("/b", [])],
)
@pytest.mark.parametrize("kind", ["local", "real"])
def test_what_is_below_a_folder_counts(
    kind: str, folder: str, below: list[str], local: SekhaClient, real: SekhaClient
) -> None:
    client = {"local": local, "real": real}[kind]
    fill(client)
    count = client.controller.count_conversations(folder=folder, subfolders=True)
    assert count["count"] == len(below)
    stats = client.mcp.memory_stats(folder=folder, subfolders=True)
    assert (stats["total_conversations"], stats["total_messages"]) == (len(below), len(below))
    assert stats["folders"] == stats["labels"] == sorted(below)
    assert stats["average_importance"] == (8.0 if below else 0.0)
    assert client.mcp.memory_stats({"folder": folder, "subfolders": True}) == stats
    listed = client.controller.list_conversations(folder=folder, subfolders=True)
    assert sorted(one["folder"] for one in listed["results"]) == sorted(below)
    walked = [one for one in client.controller.iter_conversations(folder=folder, subfolders=True)]
    assert walked == listed["results"]
    alone = client.mcp.memory_stats({"folder": folder, "subfolders": False})
    assert alone["total_conversations"] == (client.controller.count_conversations(folder=folder))["count"]


def test_a_subtree_is_counted_from_the_list(client: SekhaClient, server: FakeServer) -> None:
    server.always(LIST, answer(rows(*DATED)))
    found = client.controller.count_conversations(folder="a", subfolders=True)
    assert found == {"count": 2, "label": None, "folder": "/a"}
    assert server.lines == [LIST]
    server.on(EXPORT, *[tool(facts.EXPORT)] * 2)
    stats = client.mcp.memory_stats(folder="/a", subfolders=True, label="A", count_messages=True)
    assert (stats["total_conversations"], stats["folders"], stats["total_messages"]) == (1, ["/a"], 1)
    client.mcp.memory_stats(folder="/a/b", subfolders=True)
    assert server.lines[1:] == [LIST, EXPORT, LIST, EXPORT]


def test_without_subfolders_the_server_counts(client: SekhaClient, server: FakeServer) -> None:
    server.on(COUNT, answer({"count": 4, "label": None, "folder": "/a"}))
    assert (client.controller.count_conversations(folder="/a", subfolders=False))["count"] == 4
    complete = {**facts.STATS, "labels": [], "total_messages": 3}
    server.on(STATS, tool(complete))
    client.mcp.memory_stats({"folder": "/a"}, subfolders=False)
    assert server.seen[-1].json == {"folder": "/a"}


def test_in_a_view_all_of_it_counts(local: SekhaClient, real: SekhaClient) -> None:
    for client in (local, real):
        fill(client)
        view = client.in_folder("/a")
        for subfolders in (False, True):
            assert (view.controller.count_conversations(subfolders=subfolders))["count"] == 3
            assert (view.mcp.memory_stats(subfolders=subfolders))["total_conversations"] == 3
            below = view.controller.count_conversations(folder="b", subfolders=subfolders)
            assert below["count"] == 1 + subfolders
            stats = view.mcp.memory_stats(folder="/a/b", subfolders=subfolders)
            assert stats["total_conversations"] == 1 + subfolders


def test_subfolders_need_a_folder(client: SekhaClient) -> None:
    calls: list[Any] = [
        lambda: client.controller.count_conversations(subfolders=True),
        lambda: client.controller.count_conversations(label="A", subfolders=True),
        lambda: client.mcp.memory_stats(subfolders=True),
        lambda: client.mcp.memory_stats({"subfolders": True, "labels": ["A"]}),
    ]
    for call in calls:
        with pytest.raises(SekhaValidationError, match="requires a folder") as caught:
            call()
        assert (caught.value.field, caught.value.sent) == ("subfolders", False)


def test_a_folder_of_a_list_has_one_form(local: SekhaClient, real: SekhaClient) -> None:
    for client in (local, real):
        fill(client)
        for folder in ("a", "/a/", "//a"):
            listed = client.controller.list_conversations(folder=folder)
            assert [one["folder"] for one in listed["results"]] == ["/a"]
            assert [one for one in client.controller.iter_conversations(folder=folder)] == listed["results"]


@pytest.mark.parametrize(
    ("period", "labels"),
    [
        ({"start_date": "2026-01-31"}, ["A"]),
        ({"end_date": "2026-01-30"}, ["B"]),
        ({"end_date": "2026-01-31"}, ["A", "B"]),
        ({"end_date": "2025-12-31"}, ["B"]),
        ({"start_date": "2025-12-31T23:59:59.999999Z", "end_date": "2026-01-31T10:30:00.5+01:00"}, ["A", "B"]),
        ({"start_date": "2026-01-31T09:30:00.500001Z"}, []),
        ({"start_date": "2026-01-01", "folder": "/a", "subfolders": True}, ["A"]),
        ({"start_date": "2026-01-01", "label": "B"}, []),
    ],
)
def test_a_list_is_narrowed_by_the_last_change(
    period: dict[str, Any], labels: list[str], client: SekhaClient, server: FakeServer
) -> None:
    server.always(LIST, answer(rows(*DATED)))
    server.always("GET /health", answer(facts.HEALTHY))
    found = client.controller.list_conversations(**period)
    assert ([one["label"] for one in found["results"]], found["total"]) == (labels, len(labels))
    assert [one for one in client.controller.iter_conversations(**period)] == found["results"]
    first = next(seen for seen in server.seen if seen.line == LIST)
    assert first.query == {"page": "1", "page_size": "1000"}


@pytest.mark.parametrize(
    ("period", "field"),
    [
        ({"start_date": "yesterday"}, "start_date"),
        ({"end_date": ""}, "end_date"),
        ({"start_date": 5}, "start_date"),
        ({"start_date": "2026-02-01", "end_date": "2026-01-01"}, "end_date"),
    ],
)
def test_what_is_no_period_is_refused_before_anything_is_sent(
    period: dict[str, Any], field: str, client: SekhaClient
) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        client.controller.list_conversations(**period)
    assert (caught.value.field, caught.value.sent) == (field, False)
    with pytest.raises(SekhaValidationError) as caught:
        client.controller.iter_conversations(**period)
    assert (caught.value.field, caught.value.sent) == (field, False)


def test_the_last_change_is_what_a_list_is_narrowed_by(local: SekhaClient, real: SekhaClient) -> None:
    for client in (local, real):
        fill(client)
        (first, *_) = (client.controller.list_conversations())["results"]
        newest = client.controller.list_conversations(start_date=first["timestamp"])
        assert [one["id"] for one in newest["results"]] == [first["id"]]
        assert (client.controller.list_conversations(end_date="2020-01-01"))["total"] == 0
