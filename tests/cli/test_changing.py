"""`sekha label`, `move`, `pin`, `archive` and `delete`, and IDs that are cut short."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import pytest

from cli.conftest import Run, connect
from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha, answer_with

Remember = Callable[..., str]
UNKNOWN = "11111111-2222-4333-8444-555555555555"
LISTING = "GET /api/v1/conversations"
CHANGES = (["label", "New"], ["move", "/new"], ["pin"], ["archive"], ["delete", "--yes"])


def a_page(number: int, rows: List[Dict[str, str]], total: int) -> Dict[str, Any]:
    """A page of the list of conversations."""
    full = [{"folder": "/a", "timestamp": "2026-01-01T00:00:00Z", "metadata": {}, **row} for row in rows]
    return {"results": full, "total": total, "page": number, "page_size": 1000}


def about(client: SekhaClient, id: str) -> Dict[str, Any]:
    return {**client.controller.get_conversation(id)}


# One change each


def test_label_replaces_the_label(run: Run, remember: Remember, client: SekhaClient) -> None:
    id = remember("a", label="Old", folder="/work")
    done = run("label", id, "New name")
    assert (done.code, done.out, done.err) == (0, "", "Label changed: New name (was: Old).\n")
    assert (about(client, id)["label"], about(client, id)["folder"]) == ("New name", "/work")
    assert run("label", id[:8], "Newer", "--json").json["label"] == "Newer"


def test_move_changes_the_folder_alone(run: Run, remember: Remember, client: SekhaClient) -> None:
    id = remember("a", label="Plans", folder="/work")
    done = run("move", id, "home/later/")
    assert (done.code, done.out, done.err) == (0, "", "Moved: Plans, from /work to /home/later.\n")
    assert (about(client, id)["label"], about(client, id)["folder"]) == ("Plans", "/home/later")
    assert run("move", id[:8], "/", "--json").json["folder"] == "/"


def test_pin_and_archive_take_several(run: Run, remember: Remember, client: SekhaClient) -> None:
    first, second = remember("a", label="A"), remember("b", label="B")
    done = run("pin", first, second[:10])
    assert (done.code, done.out) == (0, "")
    assert done.err == f"Pinned: A (/work, {first}).\nPinned: B (/work, {second}).\n"
    assert {row["conversation_id"] for row in client.controller.iter_conversations(pinned=True)} == {first, second}
    assert run("archive", first[:8], first, second, "--json").json == {"archived": [first, second]}
    assert {row["conversation_id"] for row in client.controller.iter_conversations(archived=True)} == {first, second}


@pytest.mark.parametrize(
    ("answer", "code", "said"), [("y\n", 0, "Deleted: Pie"), ("\n", 1, "Nothing was deleted."), ("", 1, "Nothing")]
)
def test_delete_shows_what_goes_and_asks(
    answer: str, code: int, said: str, run: Run, remember: Remember, client: SekhaClient
) -> None:
    remember("a", label="Plans")
    id = remember("b", label="Pie", folder="/home")
    done = run("delete", id[:8], terminal=answer)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"Pie (/home, {id})\nDelete this conversation with all messages? [y/N] {said}")
    assert len([*client.controller.iter_conversations()]) == 1 + code


def test_delete_does_not_ask_with_yes(run: Run, remember: Remember, client: SekhaClient) -> None:
    ids = [remember("a", label="A"), remember("b", label="B")]
    assert run("delete", "--yes", "--json", *ids).json == {"deleted": ids}
    assert [*client.controller.iter_conversations()] == []
    done = run("delete", "-y", ids[0])
    assert (done.code, done.out) == (3, "")


def test_delete_asks_once_for_several(run: Run, remember: Remember) -> None:
    ids = [remember("a", label="A"), remember("b", label="B")]
    assert "Delete these 2 conversations with all messages? [y/N] " in run("delete", *ids, terminal="no\n").err
    assert run("delete", *ids, "--json", terminal="no\n").json == {"deleted": []}


def test_delete_needs_somebody_to_ask(run: Run, faulty: ScriptedSekha) -> None:
    done = run("delete", UNKNOWN, stdin="y\n")
    assert (done.code, done.out) == (2, "")
    assert "use --yes" in done.err
    assert faulty.requests == []


def test_a_server_that_cannot_delete_says_what_can_be_done(
    run: Run, sekha_0_1: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(sekha_0_1.options, monkeypatch)
    with SekhaClient(**sekha_0_1.options) as client:
        id = client.controller.create_conversation(label="Kept", messages=[{"role": "user", "content": "x"}])["id"]
        done = run("delete", "--yes", id[:8])
        assert (done.code, done.out) == (1, "")
        assert "cannot delete a conversation that has messages, and nothing was deleted" in done.err
        assert "Archive it with `sekha archive`" in done.err
        assert "is running" not in done.err
        assert run("archive", id[:8]).code == 0
        assert client.controller.get_conversation(id)["status"] == "archived"


def test_what_was_done_before_a_failure_is_reported(run: Run, remember: Remember, faulty: ScriptedSekha) -> None:
    first, second = [run("store", text).out.strip() for text in "ab"]
    faulty.fail("DELETE /api/v1/conversations/{id}", answer_with(200, {}))
    faulty.fail("DELETE /api/v1/conversations/{id}", answer_with(503, {"error": "overloaded"}))
    done = run("delete", "--yes", "--json", first, second)
    assert (done.code, done.json) == (1, {"deleted": [first]})
    assert "overloaded" in done.err


# IDs


@pytest.mark.parametrize("change", CHANGES, ids=lambda words: words[0])
def test_the_beginning_of_an_id_will_do(change: List[str], run: Run, remember: Remember) -> None:
    command, *more = change
    ids = {remember(str(number), label=f"Number {number}"): number for number in range(5)}
    id = next(iter(ids))
    for text in (id[:8], id[:8].upper(), id[:14], id.replace("-", "")[:20], f"{id[:8]}…", f"{id[:8]}...", id):
        if command == "delete" and text != id:
            assert "Number 0" in run("delete", text, terminal="n\n").err
        else:
            assert run(command, text, *more).code == 0, text


@pytest.mark.parametrize("words", [["show"], ["export"]])
def test_reading_takes_it_too(words: List[str], run: Run, remember: Remember) -> None:
    id = remember("Hello", label="Plans")
    assert run(*words, id[:8]) == run(*words, id)


def test_it_is_looked_for_among_all_conversations(run: Run, faulty: ScriptedSekha) -> None:
    """On every page, and in every folder."""
    tail = "2222-4333-8444-555555555555"
    pages = [
        [{"conversation_id": f"{page:04}{number:04}-{tail}", "label": "x"} for number in range(1000)] for page in (1, 2)
    ]
    pages.append([{"conversation_id": UNKNOWN, "label": "The last"}])
    for number, rows in enumerate(pages, 1):
        faulty.fail(LISTING, answer_with(200, a_page(number, rows, 2001)))
    assert "The last" in run("delete", "11111111-2", terminal="n\n").err


@pytest.mark.parametrize("change", [*CHANGES, ["show"], ["export"]], ids=lambda words: words[0])
def test_two_that_begin_alike_are_both_listed(change: List[str], run: Run, faulty: ScriptedSekha) -> None:
    command, *more = change
    ids = [f"{UNKNOWN[:-1]}{number}" for number in range(2)]
    rows = [{"conversation_id": id, "label": f"Number {id[-1]}"} for id in ids]
    faulty.fail(LISTING, answer_with(200, a_page(1, rows, 2)))
    done = run(command, UNKNOWN[:8], *more)
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"sekha {command}: 2 conversations have an ID that starts with 11111111; use more characters: "
        f"Number 0 (/a, {ids[0]}); Number 1 (/a, {ids[1]})\n"
    )
    assert [request.line for request in faulty.requests] == [LISTING]


@pytest.mark.parametrize("change", [*CHANGES, ["show"], ["export"]], ids=lambda words: words[0])
def test_one_that_nothing_begins_with_is_3(change: List[str], run: Run, remember: Remember) -> None:
    remember("Hello")
    command, *more = change
    done = run(command, "00000000", *more)
    assert (done.code, done.out) == (3, "")
    assert done.err == (
        f"sekha {command}: no conversation has an ID that starts with 00000000; check with `sekha list`\n"
    )
    assert run(command, UNKNOWN, *more).code == 3


@pytest.mark.parametrize("change", [*CHANGES, ["show"], ["export"]], ids=lambda words: words[0])
@pytest.mark.parametrize(
    "id", ["1234567", "12345-6", "nonsense", "", " ", "..", "1" * 33, "11111111-2222-4333-8444-55555555555g"]
)
def test_what_is_no_id_is_wrong_usage(change: List[str], id: str, run: Run, faulty: ScriptedSekha) -> None:
    command, *more = change
    done = run(command, id, *more)
    assert (done.code, done.out) == (2, "")
    assert "ID: must be the UUID of a conversation" in done.err
    assert faulty.requests == []


@pytest.mark.parametrize(
    "words",
    [
        ["move", UNKNOWN, "/a/../b"],
        ["move", UNKNOWN, " "],
        ["move", UNKNOWN, "/a\tb\x00"],
        ["label", UNKNOWN, " "],
        ["label", UNKNOWN, ""],
        ["move", UNKNOWN],
        ["label", UNKNOWN],
        ["pin"],
        ["archive"],
        ["delete", "--yes"],
    ],
)
def test_nothing_is_sent_that_cannot_be_used(words: List[str], run: Run, faulty: ScriptedSekha) -> None:
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert "Usage: sekha" in done.err
    assert faulty.requests == []
