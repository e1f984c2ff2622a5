"""Walking through pages ends, whatever the server does; every request is counted."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaServerError
from support import facts
from support.replies import answer, app_error
from support.server import FakeServer

from .conftest import MakeClient

LIST, HEALTH = "GET /api/v1/conversations", "GET /health"


def rows(start: int, number: int, label: str = "Hello Sekha!") -> list[dict[str, Any]]:
    """Conversations with ids of their own."""
    return [facts.row(f"00000000-0000-4000-8000-{id:012}", label=label) for id in range(start, start + number)]


def page(found: list[dict[str, Any]], total: int = 99, page_size: int = 2) -> Any:
    """The reply with a page."""
    return answer(facts.rows(*found, total=total, page_size=page_size))


A, B = rows(0, 2), rows(2, 2)

# What the server says to one request after the other, the last for ever; how many are made, and how many rows come.
SERVERS: dict[str, tuple[list[Any], int, int]] = {
    "it repeats its only page": ([page(A)], 2, 2),
    "it repeats its second page": ([page(A), page(B)], 3, 4),
    "it begins again": ([page(A), page(B), page(A), page(B)], 3, 4),
    "it repeats one row": ([page(A[:1] * 2)], 2, 1),
    "it has one page and tells of more": ([page(A), page([])], 2, 2),
    "it has nothing and tells of more": ([page([])], 1, 0),
    "it has nothing, in pages of nothing": ([page([], page_size=0)], 2, 0),
    "its pages are empty and it grows": ([page([], 99 + n, 0) for n in range(20)], 3, 0),
    "it repeats its only page and grows": ([page(A, 99 + n) for n in range(20)], 4, 2),
    "it tells of less than there is": ([page(A, 1), page(B, 1), page(rows(4, 1), 1)], 3, 5),
    "it tells of nothing": ([page(A, 0), page(B, 0), page(rows(4, 1), 0)], 3, 5),
    "it tells of less than nothing": ([page(A, -1), page(B, -7), page([], -1)], 3, 4),
    "it tells of ever less": ([page(A, 9), page(A, 8), page(A, 7)], 2, 2),
    "it tells the truth": ([page(A, 4), page(B, 4)], 2, 4),
    "its pages are of another size": ([page(rows(0, 7), 7, 7)], 1, 7),
    "it gives all of it each time": ([page(rows(0, 7), 99, 7)], 2, 7),
    "its pages are smaller than they say": ([page(A[:1], 99, 2)], 1, 1),
    "its pages are smaller than asked for": ([page(rows(n, 1), 3, 1) for n in range(3)], 3, 3),
    "its pages have a size below nothing": ([page(A, 99, -5)], 2, 2),
    "it moves on by one row": ([page(rows(0, 2)), page(rows(1, 2)), page(rows(2, 2)), page(rows(3, 1))], 4, 4),
}


@pytest.mark.promise("C12")
@pytest.mark.parametrize("kind", SERVERS)
async def test_a_walk_ends_whatever_the_server_says(kind: str, client: AsyncSekhaClient, server: FakeServer) -> None:
    replies, requests, found = SERVERS[kind]
    for reply in replies[:requests]:
        server.on(LIST, reply)
    server.always(LIST, replies[-1])
    walked: list[str] = []
    async for one in client.controller.iter_conversations(page_size=2):
        walked.append(one["conversation_id"])
        assert len(walked) <= found, "it goes on for ever"
    assert len(server.seen) == requests
    assert [seen.query["page"] for seen in server.seen] == [str(number + 1) for number in range(requests)]
    assert len(walked) == len(set(walked)) == found


@pytest.mark.promise("C12")
@pytest.mark.parametrize("kind", SERVERS)
async def test_every_call_that_reads_all_pages_ends(kind: str, client: AsyncSekhaClient, server: FakeServer) -> None:
    for reply in SERVERS[kind][0]:
        server.on(LIST, reply)
    server.always(LIST, SERVERS[kind][0][-1])
    server.always(HEALTH, answer(facts.HEALTHY))
    calls: tuple[Any, ...] = (
        lambda: client.controller.list_conversations(label="none"),
        lambda: client.controller.count_conversations(label="none"),
        lambda: client.mcp.memory_stats({"labels": ["none"]}),
    )
    for call in calls:
        before = len(server.seen)
        await call()
        assert 1 <= server.lines[before:].count(LIST) <= 5
    for _ in range(20):  # the rest of the script
        await client.controller.list_conversations()


@pytest.mark.promise("C12")
async def test_a_page_is_asked_for_when_the_last_one_is_used_up(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(LIST, page(A, 5), page(B, 5), page(rows(4, 1), 5))
    walk = client.controller.iter_conversations(page_size=2)
    assert server.connections == 0
    for number, requests in zip(count(1), (1, 1, 2, 2, 3)):
        await walk.__anext__()
        assert len(server.seen) == requests, number
    assert [one async for one in walk] == []
    assert [one async for one in walk] == []
    assert len(server.seen) == 3


@pytest.mark.promise("C12")
@pytest.mark.parametrize(("taken", "requests"), [(0, 0), (1, 1), (2, 1), (3, 2)])
async def test_breaking_off_sends_nothing_more(
    taken: int, requests: int, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(LIST, *[page(A), page(B)][:requests])
    walk = client.controller.iter_conversations(page_size=2)
    for _ in range(taken):
        await walk.__anext__()
    await walk.aclose()
    assert [one async for one in walk] == []
    assert len(server.seen) == requests


@pytest.mark.promise("C12")
async def test_a_filter_does_not_read_ahead(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    wanted = rows(2, 1, label="wanted")
    server.on(LIST, page(A), page([*wanted, *rows(3, 1)]))
    walk = client.controller.iter_conversations(label="wanted", page_size=2)
    assert (await walk.__anext__())["conversation_id"] == wanted[0]["conversation_id"]
    assert server.lines == [HEALTH, LIST, LIST]
    await walk.aclose()


@pytest.mark.promise("C12")
async def test_a_fault_ends_a_walk_and_repeats_no_page(make: MakeClient, server: FakeServer) -> None:
    server.on(LIST, page(A), app_error("Database error: locked", 500), page(B, 4))
    walk = make(max_retries=0).controller.iter_conversations(page_size=2)
    assert [(await walk.__anext__())["conversation_id"] for _ in range(2)] == [one["conversation_id"] for one in A]
    with pytest.raises(SekhaServerError):
        await walk.__anext__()
    assert [one["conversation_id"] async for one in walk] == [one["conversation_id"] for one in B]
    assert [seen.query["page"] for seen in server.seen] == ["1", "2", "2"]
