"""Searches whose results must meet conditions of ours, and contexts that are built from them."""

from __future__ import annotations

from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaValidationError, SekhaWarning
from sekha.types import SearchResult
from support import facts
from support.facts import ID, OTHER_ID, hit, remembered
from support.replies import answer
from support.routes import CONTEXT, HEALTH, QUERY
from support.server import FakeServer


def numbered(count: int, **more: Any) -> list[dict[str, Any]]:
    """Hits of different messages, each a bit farther away."""
    return [
        hit(number / 20_000, content=f"hit {number}", message_id=f"message {number}", **more) for number in range(count)
    ]


def contents(found: Any) -> list[str]:
    """The texts of results or messages."""
    return [one["content"] for one in found]


# Echoes


async def test_echoes_are_left_out_before_the_limit_and_the_search_grows(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(QUERY, answer(facts.hits(*numbered(20))), answer(facts.hits(*numbered(200))))
    asked: list[str] = []

    def is_echo(result: SearchResult) -> bool:
        asked.append(result["message_id"])
        return int(result["content"].split()[1]) < 30

    found = await client.controller._find("x", limit=3, is_echo=is_echo)
    assert contents(found.results) == ["hit 30", "hit 31", "hit 32"]
    assert (found.total, found.truncated) == (170, False)
    assert [seen.json["limit"] for seen in server.seen] == [20, 200]
    assert len(asked) == len(set(asked)) == 200, "asked once about each, so that it may remember"


async def test_each_text_once_can_be_had_as_echoes_remember(client: AsyncSekhaClient, server: FakeServer) -> None:
    texts = ["A", "A", "B", "A", "C"]
    found = [hit(n / 10, content=text, message_id=str(n), label="L" if n else "M") for n, text in enumerate(texts)]
    server.on(QUERY, answer(facts.hits(*found)))
    server.on(HEALTH, answer(facts.HEALTHY))
    seen: set[str] = set()

    def is_echo(result: SearchResult) -> bool:
        is_repeated = result["content"] in seen
        seen.add(result["content"])
        return is_repeated

    kept = await client.controller._find("x", limit=3, filters={"label": "L"}, is_echo=is_echo)
    assert [result["message_id"] for result in kept.results] == ["1", "2", "4"], "the filters come first"


async def test_what_is_only_echoes_is_nothing(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(QUERY, answer(facts.hits(*numbered(5))))
    found = await client.controller._find("x", limit=1, min_score=0.5, is_echo=lambda result: True)
    assert (found.results, found.total, found.truncated, found.below_min_score) == ([], 0, False, 0)


# Contexts in confines


PLACES = [
    hit(0.1, ID, "A", "/work", content="1", message_id="1"),
    hit(0.2, ID, "B", "/work/deep", content="2", message_id="2"),
    hit(0.3, OTHER_ID, "C", "/workshop", content="3", message_id="3"),
    hit(0.4, OTHER_ID, "D", "/home", content="4", message_id="4"),
    {**hit(0.5, ID, "A", "/home/ada", content="5", message_id="5"), "metadata": {"role": "assistant"}},
]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"folders": ["/work"]}, "12"),
        ({"folders": ["work/"]}, "12"),
        ({"folders": ["/work", "/home/ada"]}, "125"),
        ({"folders": ["/"]}, "12345"),
        ({"folders": ["/"], "excluded_folders": ["/work"]}, "345"),
        ({"folders": ["/work"], "excluded_folders": ["/work/deep"]}, "1"),
        ({"folders": ["/elsewhere"]}, ""),
        ({"roles": ["assistant"]}, "5"),
        ({"roles": ["user", "assistant"], "folders": ["/home"]}, "45"),
        ({"min_score": 0.75}, "12"),
        ({"min_score": 0.75, "folders": ["/workshop", "/home"]}, ""),
        ({"min_score": 0, "preferred_labels": ["A", "D"]}, "14523"),
        ({"min_score": 0, "context_budget": 1, "preferred_labels": ["D"]}, "4123"),
    ],
)
async def test_a_context_keeps_within_its_confines(
    given: Any, expected: str, client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(QUERY, answer(facts.hits(*PLACES)))
    context = await client.controller.assemble_context("???", **given)
    assert "".join(contents(context)) == expected
    assert (server.only.json["limit"], "filters" in server.only.json) == (200, False)
    for message in context:
        found = PLACES[int(str(message["content"])) - 1]
        citation: Any = (message.get("metadata") or {}).get("citation")
        assert (citation["label"], citation["folder"]) == (found["label"], found["folder"])
        assert message.get("conversation_id") == found["conversation_id"]
        assert message.get("score") == pytest.approx(1 - found["score"])


async def test_a_context_asks_for_more_until_its_budget_is_full(client: AsyncSekhaClient, server: FakeServer) -> None:
    theirs = numbered(200, folder="/theirs")
    mine = [hit(0.9, content="x" * 40, message_id=f"mine {n}", folder="/mine") for n in range(300)]
    server.on(QUERY, answer(facts.hits(*theirs)), answer(facts.hits(*theirs, *mine)))
    context = await client.controller.assemble_context("???", context_budget=55, folders=["/mine"])
    assert [seen.json["limit"] for seen in server.seen] == [200, 2000]
    assert [message.get("id") for message in context] == [f"mine {n}" for n in range(5)]


async def test_a_context_that_ten_thousand_hits_do_not_fill_says_so_once(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.on(QUERY, *[answer(facts.hits(*numbered(size, folder="/theirs"))) for size in (200, 2000, 10_000)])
    with pytest.warns(SekhaWarning, match="found only 0 results, which do not fill its budget") as caught:
        assert await client.controller.assemble_context("???", folders=["/mine"]) == []
    assert caught[0].filename == __file__, "it points at the call"


@pytest.mark.parametrize("given", [{"folders": []}, {"roles": []}, {"context_budget": 0, "min_score": 0.5}])
async def test_a_context_of_nothing_asks_nothing(given: Any, client: AsyncSekhaClient, server: FakeServer) -> None:
    """An empty list of allowed folders allows none: it must not be taken for all."""
    assert await client.controller.assemble_context("x", **given) == []
    assert server.seen == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"folders": ["/a/../b"]}, "folders[0]"),
        ({"folders": "/a"}, "folders"),
        ({"roles": ["user", "boss"]}, "roles[1]"),
        ({"roles": "user"}, "roles"),
        ({"min_score": 1.5}, "min_score"),
        ({"min_score": 0.5, "context_budget": -1}, "context_budget"),
    ],
)
async def test_confines_that_cannot_be_used_are_refused_by_name(
    given: Any, field: str, client: AsyncSekhaClient, server: FakeServer
) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        await client.controller.assemble_context("x", **given)
    assert (caught.value.field, caught.value.sent) == (field, False)
    assert server.seen == []


async def test_the_context_route_gives_each_message_once_and_no_echoes(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    found = [remembered(text, id=id) for id, text in (("1", "A"), ("2", "B"), ("1", "A"), ("3", "C"))]
    server.on(CONTEXT, answer(found), answer(found))
    assert contents(await client.controller.assemble_context("x")) == ["A", "B", "C"]
    context = await client.controller._context(
        "x",
        context_budget=50,
        preferred_labels=None,
        excluded_folders=None,
        is_echo=lambda result: result["content"] == "B",
    )
    assert contents(context) == ["A", "C"]
    assert [sorted(seen.json) for seen in server.seen] == [
        ["context_budget", "excluded_folders", "preferred_labels", "query"]
    ] * 2


async def test_a_confined_context_leaves_out_echoes(client: AsyncSekhaClient, server: FakeServer) -> None:
    server.on(QUERY, answer(facts.hits(*PLACES)))
    context = await client.controller._context(
        "???",
        context_budget=50,
        preferred_labels=["D"],
        excluded_folders=None,
        folders=["/work", "/home"],
        is_echo=lambda result: result["content"] == "1",
    )
    assert "".join(contents(context)) == "425"


@pytest.mark.parametrize(("min_score", "got"), [(True, "bool"), ("0.5", "str"), ([0.5], "list")])
async def test_a_floor_that_is_no_number_is_refused_with_that_word(
    client: AsyncSekhaClient, server: FakeServer, min_score: Any, got: str
) -> None:
    with pytest.raises(SekhaValidationError, match=f"min_score: must be a number, not {got}"):
        await client.controller.query("x", min_score=min_score)
    assert server.connections == 0
