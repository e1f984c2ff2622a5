"""`sekha store`, `export` and `prune`."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path
from typing import Callable

import pytest

from cli.conftest import Run
from sekha import SekhaClient
from sekha.testing import ScriptedSekha, answer_with, cut_after_work, hold

Remember = Callable[..., str]
UNKNOWN = "11111111-2222-4333-8444-555555555555"


# store


def test_store_prints_the_id(run: Run, client: SekhaClient) -> None:
    done = run("store", "We ship on Fridays.", "--label", "Plans", "--folder", "/work", "--importance", "9")
    assert (done.code, done.err) == (0, "")
    stored = client.mcp.memory_export(done.out.strip())
    assert {name: stored["conversation"][name] for name in ("label", "folder", "importance_score")} == {
        "label": "Plans",
        "folder": "/work",
        "importance_score": 9,
    }
    assert [(message["role"], message["content"]) for message in stored["messages"]] == [
        ("user", "We ship on Fridays.")
    ]


def test_store_takes_several_messages_and_the_standard_input(run: Run, client: SekhaClient) -> None:
    words = ("store", "When?", "-", "--role", "user", "--role", "assistant", "--json")
    done = run(*words, stdin="On Fridays.\nAt noon.\n")
    assert (done.json["label"], done.json["message_count"]) == ("When?", 2)
    messages = client.controller.get_messages(done.json["id"])
    assert [(message["role"], message["content"]) for message in messages] == [
        ("user", "When?"),
        ("assistant", "On Fridays.\nAt noon.\n"),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["store"], "Missing argument"),
        (["store", " "], "a message must not be blank"),
        (["store", "-"], "a message must not be blank"),
        (["store", "-", "-"], "only once"),
        (["store", "x", "--importance", "11"], "--importance"),
        (["store", "x", "--role", "king"], "--role"),
        (["store", "x", "--role", "user", "--role", "user"], "--role is used 2 times for 1 messages"),
        (["store", "x", "--label", ""], "must not be blank"),
        (["store", "x", "--folder", " "], "must not be blank"),
    ],
)
def test_store_sends_nothing_that_cannot_be_used(words: list[str], said: str, run: Run, faulty: ScriptedSekha) -> None:
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert faulty.requests == []


def test_store_says_when_nobody_knows_whether_it_was_stored(run: Run, faulty: ScriptedSekha) -> None:
    faulty.fail("POST /api/v1/conversations", cut_after_work())
    done = run("store", "x")
    assert (done.code, done.out) == (5, "")
    assert done.err.count("\n") == 1
    assert "it may have been applied" in done.err
    assert "check with `sekha list` before you retry" in done.err


def test_a_warning_of_the_library_is_one_line(run: Run, faulty: ScriptedSekha) -> None:
    faulty.fail("POST /mcp/tools/memory_store", answer_with(401, {"error": "wrong key"}))
    done = run("store", "x", "--importance", "7")
    assert done.code == 0
    assert len(done.out.strip()) == 36
    assert done.err.startswith("sekha store: importance_score=7 cannot be stored: wrong key")
    assert done.err.count("\n") == 1


# export


def test_export_of_one_as_json_and_markdown(run: Run, remember: Remember) -> None:
    id = remember("Which database?", "PostgreSQL ✓", label="Billing")
    done = run("export", id)
    assert (done.code, done.err) == (0, "")
    assert done.json["conversation"]["id"] == id
    assert done.json["messages"][1]["content"] == "PostgreSQL ✓"
    done = run("export", id, "--format", "markdown")
    assert done.out.startswith("# Billing\n\nFolder: /work\nCreated: ")
    assert done.out.endswith("## Assistant\n\nPostgreSQL ✓\n")
    assert json.loads(run("export", id, "--format", "jsonl").out) == {
        "label": "Billing",
        "folder": "/work",
        "messages": [{"role": "user", "content": "Which database?"}, {"role": "assistant", "content": "PostgreSQL ✓"}],
    }


def test_an_export_of_all_can_be_stored_again(run: Run, remember: Remember, client: SekhaClient, here: Path) -> None:
    for number in range(3):
        remember(f"question {number}", "an answer\nin two lines", label=f"Talk {number}", importance=5 + number)
    remember("elsewhere", folder="/home")
    done = run("export", "--all", "--output", "all.jsonl")
    assert (done.code, done.out) == (0, "")
    assert done.err == (
        "Wrote 4 conversations to all.jsonl.\nomitted: IDs, dates and status (--format full includes them)\n"
    )
    lines = [json.loads(line) for line in (here / "all.jsonl").read_text("utf-8").splitlines()]
    before = run("export", "--all").out
    for line in reversed(lines):
        client.controller.create_conversation(line)
    assert sorted(run("export", "--all").out.splitlines()) == sorted(before.splitlines() * 2)
    assert len(run("export", "--folder", "/work").out.splitlines()) == 6
    assert run("export", "--folder", "/", "--subfolders", "--label", "Talk 1").out.count("\n") == 2
    assert run("export", "--folder", "/nothing").err == "", "nothing is left out of nothing"


def test_the_full_form_has_all_that_is_known(run: Run, remember: Remember) -> None:
    id = remember("Which database?", "PostgreSQL ✓", label="Billing", importance=8)
    remember("elsewhere", folder="/home")
    alone = run("export", id, "--format", "full")
    assert (alone.code, alone.err, alone.out.count("\n")) == (0, "", 1)
    assert alone.json == run("export", id).json
    about, messages = alone.json["conversation"], alone.json["messages"]
    assert (about["id"], about["importance_score"], about["status"]) == (id, 8, "active")
    assert about["created_at"] <= about["updated_at"]
    assert all(message["id"] and message["timestamp"] for message in messages)
    many = run("export", "--all", "--format", "full")
    assert (many.code, many.err) == (0, "")
    lines = [json.loads(line) for line in many.out.splitlines()]
    assert {one["conversation"]["label"] for one in lines} == {"Billing", "Label"}
    assert alone.json in lines


def test_export_overwrites_nothing_without_force(run: Run, remember: Remember, here: Path) -> None:
    id = remember("Hello")
    file = here / "kept.json"
    file.write_text("precious")
    done = run("export", id, "-o", "kept.json")
    assert (done.code, done.err) == (1, "sekha export: kept.json already exists; use --force to overwrite it\n")
    assert file.read_text() == "precious"
    assert run("export", id, "-o", "kept.json", "--force").code == 0
    assert json.loads(file.read_text("utf-8"))["conversation"]["id"] == id
    assert os.name == "nt" or stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(here) == ["kept.json"]


def test_a_file_that_appears_meanwhile_is_not_overwritten(
    run: Run, remember: Remember, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = remember("Hello")
    sync = os.fsync

    def and_somebody_writes(number: int) -> None:
        sync(number)
        (here / "mine.json").write_text("precious")

    monkeypatch.setattr(os, "fsync", and_somebody_writes)
    done = run("export", id, "-o", "mine.json")
    assert (done.code, done.out) == (1, "")
    assert (here / "mine.json").read_text() == "precious"
    _, kept = sorted(here.iterdir(), reverse=True)
    assert done.err == f"sekha export: mine.json was created in the meantime; the complete output is in {kept}\n"
    assert json.loads(kept.read_text("utf-8"))["conversation"]["id"] == id


def test_an_export_that_fails_leaves_no_file(run: Run, faulty: ScriptedSekha, here: Path) -> None:
    for number in range(2):
        run("store", f"x {number}")
    done_at_once = threading.Event()
    done_at_once.set()
    faulty.fail("POST /mcp/tools/memory_export", hold(done_at_once))  # the first is all right
    faulty.fail("POST /mcp/tools/memory_export", answer_with(503, {"error": "overloaded"}))
    done = run("export", "--all", "-o", "all.jsonl")
    assert done.code == 1
    assert "overloaded" in done.err
    assert os.listdir(here) == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["export"], 2, "pass the ID of one conversation, or --all"),
        (["export", UNKNOWN, "--all"], 2, "pass the ID of one conversation, or --all"),
        (["export", "--all", "--format", "markdown"], 2, "use jsonl"),
        (["export", "--all", "--subfolders"], 2, "--subfolders requires --folder"),
        (["export", "nonsense"], 2, "ID: must be the UUID of a conversation"),
        (["export", UNKNOWN, "-o", "no/such/folder/x"], 1, "No such file or directory"),
        (["export", UNKNOWN, "-o", ".", "--force"], 1, "is not a file"),
    ],
)
def test_export_sends_nothing_that_cannot_be_used(
    words: list[str], code: int, said: str, run: Run, faulty: ScriptedSekha
) -> None:
    done = run(*words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert faulty.requests == []


# prune


@pytest.fixture
def old(remember: Remember) -> list[str]:
    """Two conversations that may go, and one that is important."""
    ids = [remember("old", label="Old", importance=2), remember("older", label="Older", importance=1)]
    remember("gold", label="Gold", importance=9)
    return ids


def archived(client: SekhaClient) -> set[str]:
    return {row["conversation_id"] for row in client.controller.iter_conversations(archived=True)}


def test_prune_shows_and_does_nothing_in_a_dry_run(run: Run, old: list[str], client: SekhaClient) -> None:
    done = run("prune", "--threshold-days", "0", "--dry-run")
    assert done.code == 0
    assert done.out.split("\n")[0].split()[:4] == ["ID", "LABEL", "LAST", "USED"]
    assert {line.split()[0] for line in done.out.splitlines()[1:]} == {id[:8] for id in old}
    assert done.err == "Unused for as long but kept because of their importance: 1.\n"
    assert archived(client) == set()


def test_prune_archives_the_longest_unused_up_to_a_limit(run: Run, old: list[str], client: SekhaClient) -> None:
    done = run("prune", "--threshold-days", "0", "--limit", "1", "--yes")
    assert (done.code, done.err) == (0, "Archived: 1.\n")
    assert archived(client) == {old[0]}
    assert run("prune", "--limit", "0", "--dry-run").code == 2


def test_prune_archives_with_yes(run: Run, old: list[str], client: SekhaClient) -> None:
    done = run("prune", "--threshold-days", "0", "--yes", "--json")
    assert done.code == 0
    assert set(done.json) == {"suggestions", "archived"}
    assert set(done.json["archived"]) == {one["conversation_id"] for one in done.json["suggestions"]} == set(old)
    assert archived(client) == set(old)
    done = run("prune", "--threshold-days", "0", "--yes")
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith("Nothing to archive.\n")


def test_prune_refuses_where_nobody_can_be_asked(run: Run, faulty: ScriptedSekha) -> None:
    done = run("prune", "--threshold-days", "0", stdin="y\n")
    assert (done.code, done.out) == (2, "")
    assert "use --yes or --dry-run" in done.err
    assert run("prune", "--yes", "--dry-run").code == 2
    assert run("prune", "--threshold-days", "-1", "--yes").code == 2
    assert faulty.requests == []


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("Yes\n", 0), ("\n", 1), ("n\n", 1), ("", 1)])
def test_prune_asks(answer: str, code: int, run: Run, old: list[str], client: SekhaClient) -> None:
    done = run("prune", "--threshold-days", "0", terminal=answer)
    assert done.code == code
    assert "Archive these 2 conversations? [y/N] " in done.err
    assert archived(client) == (set() if code else set(old))
    assert ("Nothing was archived." in done.err) == bool(code)
