# Generated from tests/_async/test_filtered_lists.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Lists and counts of a controller that applies filters: it is asked for what matches, and what it says is checked."""

from __future__ import annotations

from typing import Any

import pytest

from sekha import SekhaClient
from support import facts
from support.facts import MESSAGES, row
from support.replies import answer
from support.routes import HEALTH, LIST, QUERY
from support.server import FakeServer

FILTERING = {**facts.HEALTHY, "filters": True}
WORK = [row(f"00000000-0000-4000-8000-{number:012}", "A", "/work") for number in range(3)]
OTHER = row("00000000-0000-4000-8000-000000000009", "B", "/workshop", 10, "archived")


def page(*rows: dict[str, Any], total: int, page: int = 1, page_size: int = 2) -> Any:
    """The reply with a page."""
    return answer({**facts.rows(*rows, total=total, page_size=page_size), "page": page, "more": "of the server"})


@pytest.mark.parametrize(
    ("keywords", "sent"),
    [
        ({"folder": "work/"}, {"folder": "/work"}),
        ({"label": "A", "folder": "/work"}, {"label": "A", "folder": "/work"}),
        ({"pinned": False, "archived": False}, {"pinned": "false", "archived": "false"}),
    ],
)
def test_a_page_of_what_matches_is_one_request(
    keywords: Any, sent: dict[str, str], client: SekhaClient, server: FakeServer
) -> None:
    server.on(HEALTH, answer(FILTERING))
    server.on(LIST, page(*WORK[:2], total=3), page(WORK[2], total=3, page=2), page(total=3, page=3))
    for number, rows in ((1, WORK[:2]), (2, WORK[2:]), (3, [])):
        found = client.controller.list_conversations(**keywords, page=number, page_size=2)
        assert [one["conversation_id"] for one in found["results"]] == [one["conversation_id"] for one in rows]
        assert {**found, "results": []} == {"results": [], "total": 3, "page": number, "page_size": 2}
        assert server.seen[-1].query == {**sent, "page": str(number), "page_size": "2"}
    assert server.lines == [HEALTH, LIST, LIST, LIST]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(page(WORK[0], OTHER, total=3), id="it filters nothing"),
        pytest.param(page(*WORK[:2], total=1), id="it counts less than it gives"),
        pytest.param(page(*WORK[:1], total=2), id="it gives less than it counts"),
        pytest.param(page(*WORK[:2], total=3, page=2), id="it gives another page"),
        pytest.param(page(*WORK, total=3, page_size=50), id="it gives a page of another size"),
        pytest.param(page(total=-1), id="it counts less than nothing"),
    ],
)
def test_a_page_that_cannot_be_right_is_no_answer(
    wrong: Any, client: SekhaClient, server: FakeServer
) -> None:
    server.on(HEALTH, answer(FILTERING))
    server.on(LIST, wrong, page(*WORK, OTHER, total=4, page_size=1000))
    found = client.controller.list_conversations(folder="/work", page_size=2)
    assert [one["conversation_id"] for one in found["results"]] == [one["conversation_id"] for one in WORK[:2]]
    assert (found["total"], found["page"], found["page_size"]) == (3, 1, 2)
    assert server.seen[-1].query == {"folder": "/work", "page": "1", "page_size": "1000"}


def test_what_a_controller_cannot_filter_is_filtered_in_the_smallest_list(
    client: SekhaClient, server: FakeServer
) -> None:
    server.on(HEALTH, answer(FILTERING))
    server.always(LIST, page(*WORK, total=3, page_size=1000))
    whole = {"page": "1", "page_size": "1000"}
    calls: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"label": "A", "folder": "/", "subfolders": True}, {"label": "A"}),
        ({"label": "A", "start_date": "2020-01-01"}, {"label": "A"}),
        ({"label": "A" * 301, "folder": "/work"}, {}),
    ]
    for keywords, sent in calls:
        client.controller.list_conversations(**keywords)
        assert server.seen[-1].query == {**sent, **whole}
        walked = [one for one in client.controller.iter_conversations(**keywords)]
        assert server.seen[-1].query == {**sent, **whole, "page_size": "100"}
        assert len(walked) == (0 if len(keywords["label"]) > 1 else 3)
    assert server.lines.count(HEALTH) == 1


def test_a_walk_sends_its_filters_with_each_page(client: SekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(FILTERING))
    server.on(LIST, page(*WORK[:2], total=4), page(WORK[2], OTHER, total=4, page=2))
    walk = client.controller.iter_conversations(folder="/work", page_size=2)
    assert server.seen == []
    assert [one["conversation_id"] for one in walk] == [one["conversation_id"] for one in WORK]
    assert [seen.query for seen in server.seen[1:]] == [
        {"folder": "/work", "page": str(number), "page_size": "2"} for number in (1, 2)
    ]


def test_a_label_is_counted_with_one_request(client: SekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(FILTERING))
    server.on(LIST, page(WORK[0], total=1234, page_size=1), page(total=0, page_size=1))
    assert client.controller.count_conversations(label="A") == {"count": 1234, "label": "A", "folder": None}
    assert (client.controller.count_conversations(label="none"))["count"] == 0
    assert server.seen[1].query == {"label": "A", "page": "1", "page_size": "1"}


def test_the_wall_of_a_view_holds_for_filters_of_a_server(client: SekhaClient, server: FakeServer) -> None:
    """Without a folder, a page of the server may be all inside and its sum is not; so it is not asked for one."""
    view = client.in_folder("/work")
    server.on(HEALTH, answer(FILTERING))
    inside, whole = WORK[:1], page(*WORK, OTHER, total=4, page_size=1000)
    server.on(LIST, whole, whole, page(*inside, total=1, page_size=1), page(OTHER, total=1, page_size=1), whole)
    assert (view.controller.count_conversations(label="A"))["count"] == 3
    assert (view.controller.list_conversations(label="A", page_size=1))["total"] == 3
    assert [seen.query for seen in server.seen[1:]] == [{"label": "A", "page": "1", "page_size": "1000"}] * 2
    assert (view.controller.count_conversations(folder="/work"))["count"] == 1
    assert server.seen[-1].query == {"folder": "/work", "page": "1", "page_size": "1"}
    assert (view.controller.count_conversations(folder="/work"))["count"] == 3, "one from outside was shown"


def test_importance_is_filtered_by_the_server_alone(client: SekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(FILTERING))
    server.on(QUERY, answer(facts.hits(facts.hit(0.9, folder="/work"), facts.hit(0.8, folder="/other"))))
    found = client.controller.query("x", filters={"min_importance": 8, "folder": "/work"})
    assert [one["folder"] for one in found["results"]] == ["/work"]
    assert server.lines == [HEALTH, QUERY]


def test_only_the_archive_is_listed_for_a_search_without_it(client: SekhaClient, server: FakeServer) -> None:
    server.on(HEALTH, answer(FILTERING))
    server.on(LIST, page(OTHER, total=1, page_size=1000))
    hits = [{**facts.hit(0.9), "conversation_id": one["conversation_id"]} for one in (WORK[0], OTHER)]
    server.on(QUERY, answer(facts.hits(*hits)))
    found = client.controller.query("x", filters={"archived": False})
    assert [one["conversation_id"] for one in found["results"]] == [WORK[0]["conversation_id"]]
    assert server.seen[1].query == {"archived": "true", "page": "1", "page_size": "1000"}


@pytest.mark.parametrize("kind", ["local", "real"])
def test_both_kinds_of_servers_list_the_same(kind: str, local: SekhaClient, real: SekhaClient) -> None:
    client = {"local": local, "real": real}[kind]
    for label, folder, importance in (("A", "/work", 10), ("a", "/work", 5), ("A", "/work/deep", 9), ("B", "/", 10)):
        stored = client.controller.create_conversation(
            label=label, folder=folder, importance_score=importance, messages=MESSAGES
        )
        if folder == "/":
            client.controller.archive_conversation(stored["id"])
    conditions: list[tuple[dict[str, Any], set[str]]] = [
        ({"label": "A"}, {"A /work", "A /work/deep"}),
        ({"folder": "/work"}, {"A /work", "a /work"}),
        ({"folder": "/work", "subfolders": True}, {"A /work", "a /work", "A /work/deep"}),
        ({"folder": "/work", "label": "A"}, {"A /work"}),
        ({"pinned": True}, {"A /work", "B /"}),
        ({"pinned": False}, {"a /work", "A /work/deep"}),
        ({"archived": True}, {"B /"}),
        ({"archived": False}, {"A /work", "a /work", "A /work/deep"}),
        ({"label": "none"}, set()),
    ]
    for keywords, names in conditions:
        found = client.controller.list_conversations(**keywords)
        assert {f"{one['label']} {one['folder']}" for one in found["results"]} == names, keywords
        assert found["total"] == len(names)
        assert [one for one in client.controller.iter_conversations(**keywords)] == found["results"]
        pages = [client.controller.list_conversations(**keywords, page=n, page_size=1) for n in (1, 2)]
        assert [one for page in pages for one in page["results"]] == found["results"][:2]
    assert (client.controller.count_conversations(label="A"))["count"] == 2
    view = client.in_folder("/work")
    assert (view.controller.count_conversations(label="A"))["count"] == 2
    assert (view.controller.list_conversations(folder="/work", label="A"))["total"] == 1
