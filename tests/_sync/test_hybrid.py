# Generated from tests/_async/test_hybrid.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Searching by meaning and by words at once."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from sekha import SekhaClient, SekhaConnectionError, SekhaServerError, SekhaValidationError, SekhaWarning
from support import facts
from support.facts import ID, OTHER_ID, READ, hit, row
from support.replies import DROP, answer, app_error, empty, tool
from support.routes import FULL_TEXT, HEALTH, LIST, QUERY, SEARCH
from support.server import FakeServer

from .conftest import MakeClient


def message(
    content: str, id: str, conversation_id: str = ID, role: str = "user", timestamp: str = "2026-01-31T09:30:00"
) -> dict[str, Any]:
    """A row of the full-text search."""
    ids = {"id": id, "conversation_id": conversation_id}
    return {**facts.MESSAGE, **ids, "content": content, "role": role, "timestamp": timestamp}


def messages(*found: dict[str, Any]) -> Any:
    """What a full-text search answers."""
    return answer({"results": list(found), "total": len(found)})


def uuid(number: int) -> str:
    """The id of one of many conversations."""
    return f"3f0c1a52-8d1e-4c55-9d0a-{number:012}"


def found_by(results: Any) -> list[tuple[str, str]]:
    """The texts of results, and what found them."""
    return [(one["content"], one["found_by"]) for one in results]


DEPLOY = [
    hit(0.25, content="We deploy with docker.", message_id="1"),
    hit(0.5, content="Rollouts are on Fridays.", message_id="2"),
]
ROWS = [message("The docker password is in the safe.", "3"), message("We deploy with docker.", "1")]


@pytest.mark.parametrize("by_tool", [False, True])
def test_a_hybrid_search_is_one_request_more(by_tool: bool, client: SekhaClient, server: FakeServer) -> None:
    server.on(FULL_TEXT, messages(*ROWS))
    if by_tool:
        server.on(SEARCH, tool(facts.tool_hits(*DEPLOY)))
        page: Any = client.mcp.memory_search(query="How do we deploy docker?", hybrid=True)
        assert (page["total_results"], page["limit"], page["query"]) == (3, 10, "How do we deploy docker?")
    else:
        server.on(QUERY, answer(facts.hits(*DEPLOY)))
        page = client.controller.query("How do we deploy docker?", hybrid=True)
        assert (page["total"], page["page"], page["page_size"]) == (3, 1, 10)
    assert found_by(page["results"]) == [
        ("We deploy with docker.", "both"),
        ("Rollouts are on Fridays.", "meaning"),
        ("The docker password is in the safe.", "words"),
    ]
    assert [one["score"] for one in page["results"]] == [0.75, 0.5, 0.5]
    assert "words_error" not in page
    assert server.lines == [SEARCH if by_tool else QUERY, FULL_TEXT]
    assert server.seen[0].json["limit"] == 40
    assert "hybrid" not in server.seen[0].json
    assert server.seen[1].json == {"query": '"deploy" OR "docker"', "limit": 1000}


def test_a_search_is_hybrid_only_if_it_is_asked_for(client: SekhaClient, server: FakeServer) -> None:
    server.on(QUERY, answer(facts.hits(*DEPLOY)))
    server.on(SEARCH, tool(facts.tool_hits(*DEPLOY)))
    for page in (client.controller.query("docker"), client.mcp.memory_search(query="docker")):
        assert not any("found_by" in one for one in page["results"])
    assert server.lines == [QUERY, SEARCH]
    with pytest.raises(SekhaValidationError, match="hybrid: must be True or False"):
        client.controller.query("docker", hybrid="yes")  # type: ignore[arg-type]  # what users do
    with pytest.raises(SekhaValidationError, match="hybrid: must be True or False"):
        client.mcp.memory_search({"query": "docker", "hybrid": 1})


def test_a_query_without_words_asks_for_none(client: SekhaClient, server: FakeServer) -> None:
    server.on(QUERY, answer(facts.hits(*DEPLOY)))
    page = client.controller.query("?! 🙂", hybrid=True)
    assert [by for _, by in found_by(page["results"])] == ["meaning", "meaning"]


NOTES = [f"Note number {n}: the box on the shelf holds winter coats." for n in range(40)]


def test_each_note_of_a_crowd_is_found_by_its_own_text(client: SekhaClient, server: FakeServer) -> None:
    """The controller 0.1 does not find all that resemble each other, whatever the limit."""
    crowd = [message(note, f"m{n}", uuid(n)) for n, note in enumerate(NOTES)]
    shown = [hit(0.01 * n, uuid(n), content=NOTES[n], message_id=f"m{n}") for n in range(0, 40, 3)]
    for number, note in enumerate(NOTES):
        server.on(QUERY, answer(facts.hits(*shown)))
        server.on(FULL_TEXT, messages(*crowd))
        if number % 3:
            server.always(f"{LIST}/{uuid(number)}", answer({**READ, "id": uuid(number)}))
        page = client.controller.query(note, limit=1, hybrid=True)
        (best,) = page["results"]
        assert (best["content"], best["conversation_id"]) == (note, uuid(number))
        assert best.get("found_by") == ("words" if number % 3 else "both")
        assert best["score"] == (1.0 if number % 3 else 1 - 0.01 * number)


def test_rare_words_of_a_question_point_to_a_message(client: SekhaClient, server: FakeServer) -> None:
    server.on(QUERY, answer(facts.hits(*[hit(0.1, content=note, message_id=note) for note in NOTES[:30]])))
    server.on(FULL_TEXT, messages(*[message(note, note) for note in NOTES]))
    page = client.controller.query("Where is the note 38?", limit=5, hybrid=True)
    assert (page["results"][4]["content"], page["results"][4].get("found_by")) == (NOTES[38], "words")
    assert page["results"][4]["score"] == pytest.approx(0.9), "that of the worst by meaning: not the whole query"


# Where a message is


def test_label_and_folder_are_looked_up_once_for_each_of_ten_conversations(
    client: SekhaClient, server: FakeServer
) -> None:
    server.on(QUERY, answer(facts.hits(hit(0.5, ID, "Known", "/known", content="x", message_id="0"))))
    numbers = [0, 0, *range(1, 10)]
    server.on(
        FULL_TEXT,
        messages(message("docker", "k", ID), *[message("docker", f"m{at}", uuid(n)) for at, n in enumerate(numbers)]),
    )
    for number in range(10):
        place = {"id": uuid(number), "label": f"L{number}", "folder": f"/{number}"}
        server.on(f"{LIST}/{uuid(number)}", empty(404) if number == 3 else answer({**READ, **place}))
    page = client.controller.query("docker", limit=50, hybrid=True)
    places = [(one["label"], one["folder"]) for one in page["results"] if one.get("found_by") == "words"]
    expected = [f"L{n}" for n in (0, 0, 1, 2, 4, 5, 6, 7, 8, 9)]
    assert places == [("Known", "/known"), *[(label, "/" + label[1:]) for label in expected]]
    assert len(server.seen) == 12


def test_more_than_ten_conversations_are_looked_up_in_the_list(
    client: SekhaClient, server: FakeServer
) -> None:
    server.on(QUERY, answer(facts.hits()))
    server.on(FULL_TEXT, messages(*[message("docker", f"m{n}", uuid(n)) for n in range(40)]))
    server.on(LIST, answer(facts.rows(*[row(uuid(n), label=f"L{n}", folder=f"/{n}") for n in range(40) if n != 3])))
    page = client.controller.query("docker", limit=50, hybrid=True)
    places = [(one["label"], one["folder"]) for one in page["results"]]
    assert places == [(f"L{n}", f"/{n}") for n in range(40) if n != 3], "the third was deleted in the meantime"
    assert server.lines == [QUERY, FULL_TEXT, LIST]


def test_the_list_is_read_as_far_as_it_is_needed(client: SekhaClient, server: FakeServer) -> None:
    def page_of(first: int) -> Any:
        rows = facts.rows(*[row(uuid(n)) for n in range(first, first + 1000)])
        return answer({**rows, "total": 50_000})

    server.on(QUERY, answer(facts.hits()))
    server.on(FULL_TEXT, messages(*[message("docker", f"m{n}", uuid(1000 * n)) for n in range(13)]))
    server.on(LIST, *[page_of(1000 * number) for number in range(10)])
    page = client.controller.query("docker", limit=50, hybrid=True)
    assert [one["message_id"] for one in page["results"]] == [f"m{n}" for n in range(10)]


@pytest.mark.parametrize("is_too_long", [False, True])
def test_with_filters_all_rows_with_the_words_are_requested(
    is_too_long: bool, make: MakeClient, server: FakeServer
) -> None:
    client = make(max_response_bytes=600_000)
    rows = [message("Is the box ready?", str(n), uuid(0)) for n in range(1000)]
    mine = message("The box is ready.", "mine", uuid(1))
    more = [message("x" * 600, "long", uuid(0))] * 1000 if is_too_long else [*rows, mine]
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(QUERY, answer(facts.hits()))
    server.on(FULL_TEXT, messages(*rows), messages(*more))
    server.always(FULL_TEXT, messages())
    for number, folder in enumerate(("/theirs", "/mine")):
        server.always(f"{LIST}/{uuid(number)}", answer({**READ, "id": uuid(number), "folder": folder}))
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        page = client.controller.query("Is the box ready?", hybrid=True, filters={"folder": "/mine"})
    assert [one["message_id"] for one in page["results"]] == ([] if is_too_long else ["mine"])
    assert page["truncated"] is is_too_long
    assert [seen.json["limit"] for seen in server.seen if seen.line == FULL_TEXT][:2] == [1000, 10_000]


def test_nothing_is_looked_up_that_would_not_be_returned(client: SekhaClient, server: FakeServer) -> None:
    known = [hit(n / 100, content=f"docker {n}", message_id=str(n)) for n in range(40)]
    rows = [message(f"docker {n}", str(n), uuid(n)) for n in range(100, 110)]
    server.on(QUERY, answer(facts.hits(*known)))
    server.on(FULL_TEXT, messages(*rows))
    page = client.controller.query("docker", limit=5, hybrid=True)
    assert [one["content"] for one in page["results"]] == [f"docker {n}" for n in range(5)]


def test_the_list_tells_places_too(client: SekhaClient, server: FakeServer) -> None:
    server.on(LIST, answer(facts.rows(row(ID, importance=9, label="L", folder="/f"), row(OTHER_ID, importance=1))))
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(QUERY, answer(facts.hits()))
    server.on(FULL_TEXT, messages(message("docker", "1"), message("docker", "2", OTHER_ID)))
    page = client.controller.query("docker", hybrid=True, filters={"min_importance": 7})
    assert [(one["message_id"], one["label"], one["folder"]) for one in page["results"]] == [("1", "L", "/f")]


# What applies to results by meaning applies to those by words

BY_WORDS = [
    message("docker 1", "1"),
    message("docker 2", "2", OTHER_ID),
    message("docker 3", "3", role="assistant"),
    message("docker 4", "4", timestamp="2026-02-10T00:00:00"),
]
PLACES = [
    row(ID, "A", "/work", 8),
    row(OTHER_ID, "B", "/home", 5, "archived"),
]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"filters": {"label": "A"}}, "134"),
        ({"filters": {"exclude_labels": ["A"]}}, "2"),
        ({"filters": {"folder": "/home"}}, "2"),
        ({"filters": {"folder": "/", "subfolders": True}}, "1234"),
        ({"filters": {"archived": False}}, "134"),
        ({"filters": {"archived": True}}, "2"),
        ({"filters": {"min_importance": 6}}, "134"),
        ({"filters": {"roles": ["assistant"]}}, "3"),
        ({"filters": {"start_date": "2026-02-01"}}, "4"),
        ({"filters": {"end_date": "2026-02-01"}}, "123"),
        ({"min_score": 0.9}, "1234"),
        ({"limit": 2}, "12"),
        ({"limit": 2, "offset": 2}, "34"),
    ],
)
def test_conditions_hold_for_results_by_words(
    more: Any, expected: str, client: SekhaClient, server: FakeServer
) -> None:
    filters = more.get("filters", {})
    if filters.keys() & {"archived", "min_importance"}:
        server.always(LIST, answer(facts.rows(*PLACES)))
    else:
        for place in PLACES:
            about = {"id": place["conversation_id"], "label": place["label"], "folder": place["folder"]}
            server.always(f"{LIST}/{place['conversation_id']}", answer({**READ, **about}))
    server.always(HEALTH, answer(facts.HEALTHY))
    server.always(QUERY, answer(facts.hits()))
    server.always(SEARCH, tool(facts.tool_hits()))
    server.always(FULL_TEXT, messages(*BY_WORDS))
    page = client.controller.query("docker", hybrid=True, **more)
    searched = client.mcp.memory_search(query="docker", hybrid=True, **more)
    assert "".join(one["message_id"] for one in page["results"]) == expected
    assert page["results"] == searched["results"]
    assert {one["score"] for one in page["results"]} == {1.0}, "they have the whole query"


def test_a_floor_leaves_only_results_with_the_whole_query_of_those_by_words(
    client: SekhaClient, server: FakeServer
) -> None:
    rows = [message("Rotate the refresh   TOKENS!", "3"), message("Refresh them as tokens", "4")]
    server.on(QUERY, answer(facts.hits(*DEPLOY)))
    server.on(FULL_TEXT, messages(*rows))
    page = client.controller.query("refresh tokens", hybrid=True, min_score=0.6)
    assert [(one["message_id"], one["score"]) for one in page["results"]] == [("3", 1.0), ("1", 0.75)]
    assert (page["below_min_score"], page["total"]) == (1, 2)


def test_echoes_are_left_out_whatever_found_them(client: SekhaClient, server: FakeServer) -> None:
    server.on(QUERY, answer(facts.hits(*DEPLOY)))
    server.on(FULL_TEXT, messages(*ROWS))
    found = client.controller._find(
        "docker", limit=1, hybrid=True, is_echo=lambda result: "deploy" in result["content"]
    )
    assert found_by(found.results) == [("The docker password is in the safe.", "words")]
    assert (found.total, found.truncated) == (2, False)


def test_words_are_searched_once_however_often_the_search_grows(
    client: SekhaClient, server: FakeServer
) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    many = [hit(n / 1000, label="no", content=f"hit {n}", message_id=f"h{n}") for n in range(200)]
    server.on(QUERY, answer(facts.hits(*many[:20])), answer(facts.hits(*many)), answer(facts.hits(*many)))
    server.on(FULL_TEXT, messages(message("docker", "1", OTHER_ID)))
    server.on(f"{LIST}/{OTHER_ID}", answer({**READ, "id": OTHER_ID, "label": "A"}))
    page = client.controller.query("docker", limit=2, hybrid=True, filters={"label": "A"})
    assert [one["message_id"] for one in page["results"]] == ["1"]
    assert page["truncated"] is False
    assert sorted(server.lines) == sorted([HEALTH, QUERY, QUERY, QUERY, FULL_TEXT, f"{LIST}/{OTHER_ID}"])


def test_too_many_rows_are_narrowed_to_those_with_all_words(client: SekhaClient, server: FakeServer) -> None:
    server.on(QUERY, answer(facts.hits(*DEPLOY)))
    boxes = [message("box", str(n)) for n in range(1000, 2000)]
    server.on(FULL_TEXT, messages(*boxes), messages(message("17, a box", "a")))
    page = client.controller.query("box 17", limit=3, hybrid=True)
    assert [one["message_id"] for one in page["results"]] == ["1", "2", "a"]
    assert [seen.json["query"] for seen in server.seen[1:]] == ['"box" OR "17"', '"box" AND "17"']


@pytest.mark.parametrize(
    ("rows", "more", "truncated"),
    [
        ([message("box", str(n), uuid(n)) for n in range(10)], {}, False),
        ([message("box", str(n), uuid(n)) for n in range(11)], {}, False),
        ([message("box", str(n), uuid(0)) for n in range(999)], {}, False),
        ([message("box", str(n), uuid(0)) for n in range(1000)], {}, True),
        ([message("box", str(n), uuid(0)) for n in range(1000)], {"min_score": 0.5}, False),
    ],
)
def test_what_words_may_have_missed_is_told(
    rows: Any, more: Any, truncated: bool, client: SekhaClient, server: FakeServer
) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(QUERY, answer(facts.hits()))
    server.on(FULL_TEXT, *[messages(*rows)] * (2 if len(rows) == 1000 else 1))  # more than 1000 it does not return
    server.always(FULL_TEXT, messages())
    server.always(LIST, answer(facts.rows(*[row(uuid(number), folder="/theirs") for number in range(11)])))
    for number in range(10):
        server.always(f"{LIST}/{uuid(number)}", answer({**READ, "id": uuid(number), "folder": "/theirs"}))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        page = client.controller.query("Which box 17?", hybrid=True, filters={"folder": "/mine"}, **more)
    assert (page["results"], page["truncated"]) == ([], truncated)
    assert len(caught) == truncated


# Half of it fails


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (empty(404), "status 404"),
        (empty(405), "status 405"),
        (app_error("Database error: fts is gone", 500), "fts is gone"),
        (answer({"unknown": "shape"}), "documented format"),
        (empty(401), "status 401"),
    ],
)
def test_a_full_text_search_that_is_refused_is_reported_and_the_rest_is_there(
    reply: Any, reason: str, make: MakeClient, server: FakeServer
) -> None:
    client = make(max_retries=0)
    server.always(QUERY, answer(facts.hits(*DEPLOY)))
    server.always(SEARCH, tool(facts.tool_hits(*DEPLOY)))
    server.always(FULL_TEXT, reply)
    with pytest.warns(SekhaWarning, match="by meaning only, since the full-text search failed") as caught:
        page: Any = client.controller.query("docker", hybrid=True)
    assert caught[0].filename == __file__, "it points at the call"
    assert reason in page["words_error"]
    assert [by for _, by in found_by(page["results"])] == ["meaning", "meaning"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = client.with_options(max_retries=0).mcp.memory_search(query="docker", hybrid=True)
    assert reason in page["words_error"], "it warns once, and says it each time"


def test_a_connection_that_is_lost_is_an_error(make: MakeClient, server: FakeServer) -> None:
    client = make(max_retries=0)
    server.on(QUERY, answer(facts.hits(*DEPLOY)))
    server.on(FULL_TEXT, DROP)
    with pytest.raises(SekhaConnectionError) as caught:
        client.controller.query("docker", hybrid=True)
    assert (caught.value.sent, caught.value.may_have_been_applied) == (True, False)


def test_a_search_by_meaning_that_fails_is_an_error_and_words_are_not_asked_for(
    make: MakeClient, server: FakeServer
) -> None:
    client = make(max_retries=0)
    server.on(QUERY, app_error("Database error: gone", 500))
    with pytest.raises(SekhaServerError):
        client.controller.query("docker", hybrid=True)


def test_a_place_that_cannot_be_looked_up_is_an_error(make: MakeClient, server: FakeServer) -> None:
    client = make(max_retries=0)
    server.on(QUERY, answer(facts.hits(*DEPLOY)))
    server.on(FULL_TEXT, messages(message("docker", "9", OTHER_ID)))
    server.on(f"{LIST}/{OTHER_ID}", app_error("Database error: gone", 500))
    with pytest.raises(SekhaServerError):
        client.controller.query("docker", hybrid=True)


# Contexts


def test_a_confined_context_is_hybrid(client: SekhaClient, server: FakeServer) -> None:
    server.on(QUERY, answer(facts.hits(*DEPLOY)))
    server.on(FULL_TEXT, messages(*ROWS, message("docker at home", "4", OTHER_ID)))
    server.on(f"{LIST}/{OTHER_ID}", answer({**READ, "id": OTHER_ID, "folder": "/home", "label": "Home"}))
    context = client.controller.assemble_context("How do we deploy docker?", folders=["/work"])
    assert [(one.get("id"), one.get("found_by"), one.get("score")) for one in context] == [
        ("1", "both", 0.75),
        ("2", "meaning", 0.5),
        ("3", "words", 0.5),
    ]
    assert server.lines == [QUERY, FULL_TEXT, f"{LIST}/{OTHER_ID}"]


# Against servers with a real full-text search


def store_notes(client: SekhaClient) -> None:
    for number, note in enumerate(NOTES[:12]):
        client.controller.create_conversation(
            folder=f"/notes/{number % 3}", label=f"N{number}", messages=[{"role": "user", "content": note}]
        )


def check_hybrid(client: SekhaClient) -> None:
    store_notes(client)
    for note in NOTES[:12]:
        page = client.controller.query(note, limit=2, hybrid=True)
        assert page["results"][0]["content"] == note
        assert page["results"][0].get("found_by") == "both"
        searched = client.mcp.memory_search(query=note, limit=2, hybrid=True)
        assert searched["results"][0]["message_id"] == page["results"][0]["message_id"]
    page = client.controller.query(
        "Where is note 7?", hybrid=True, filters={"folder": "/notes/1", "archived": False}
    )
    assert page["results"][0]["content"] == NOTES[7]
    assert {one["folder"] for one in page["results"]} == {"/notes/1"}
    context = client.controller.assemble_context("Where is note 5?", folders=["/notes/2"], context_budget=30)
    assert NOTES[5] in [one["content"] for one in context]
    assert len(context) == 2
    for query in ('say "x" AND (y OR', "C++", "it's", "*", "NEAR(a b)", "日本語の文", "-a", "col:x", "a" * 3000):
        assert "words_error" not in client.controller.query(query, hybrid=True)


def test_a_hybrid_search_of_the_documented_server(local: SekhaClient) -> None:
    check_hybrid(local)


def test_a_hybrid_search_of_the_controller_0_1(real: SekhaClient) -> None:
    check_hybrid(real)


def test_a_note_that_the_controller_0_1_loses_in_a_crowd_is_found(real: SekhaClient) -> None:
    conversations = [{"label": note, "messages": [{"role": "user", "content": note}]} for note in NOTES]
    report = real.controller.import_conversations(conversations)
    assert report["stored"] == len(NOTES)
    everything = real.controller.query(NOTES[0], limit=1000)
    lost = set(NOTES) - {one["content"] for one in everything["results"]}
    assert len(lost) > 5
    for note in NOTES:
        (found,) = (real.controller.query(note, limit=1, hybrid=True))["results"]
        assert (found["content"], found["label"]) == (note, note)
        assert found.get("found_by") == ("words" if note in lost else "both")
    for note in lost:
        (plain,) = (real.controller.query(note, limit=1))["results"]
        assert plain["content"] != note
        number = note.split(":")[0].split()[-1]
        page = real.controller.query(f"Where is the note {number}?", limit=5, hybrid=True)
        assert note in [one["content"] for one in page["results"]]
        context = real.controller.assemble_context(note, folders=["/"], context_budget=20)
        assert [message["content"] for message in context] == [note]


@pytest.mark.parametrize("profile", ["documented", "controller-0.1"])
def test_words_find_nothing_outside_of_a_view(
    profile: str, local: SekhaClient, real: SekhaClient
) -> None:
    client = local if profile == "documented" else real
    for user in ("ann", "bob"):
        for number in range(3):
            said = f"The password number {number} of {user} is in the green box."
            client.controller.create_conversation(
                folder=f"/users/{user}", messages=[{"role": "user", "content": said}]
            )
    ann = client.in_folder("/users", "ann")
    for query in ("password of bob", "The password number 1 of bob is in the green box.", "green"):
        for results in (
            (ann.controller.query(query, hybrid=True))["results"],
            (ann.mcp.memory_search(query=query, hybrid=True))["results"],
        ):
            assert {one["folder"] for one in results} == {"/users/ann"}
        context = ann.controller.assemble_context(query)
        assert len(context) == 3
        assert all("ann" in str(message["content"]) for message in context)
