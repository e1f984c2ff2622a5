"""`sekha import`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Dict, List

import pytest

from cli.conftest import Run, connect
from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha, cut_before_work

CHATGPT: List[Dict[str, Any]] = [
    {
        "title": title,
        "current_node": "b",
        "mapping": {
            "a": {
                "parent": None,
                "children": ["b"],
                "message": {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [f"{title}?"]}},
            },
            "b": {
                "parent": "a",
                "children": [],
                "message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["Yes."]}},
            },
        },
    }
    for title in ("Docker", "Tokens")
]


@pytest.fixture
def chats(here: Path) -> Path:
    """An export of ChatGPT: two conversations, an empty one, and one that cannot be read."""
    file = here / "conversations.json"
    file.write_text(json.dumps([*CHATGPT, {"title": "Nothing", "mapping": {}}, {"title": "Bad", "mapping": 7}]))
    return file


def labels(client: SekhaClient) -> List[str]:
    return sorted(row["label"] for row in client.controller.iter_conversations())


def test_a_file_is_imported_once_and_what_cannot_be_read_is_told(run: Run, client: SekhaClient, chats: Path) -> None:
    done = run("import", "conversations.json")
    assert done.code == 1
    assert done.err == "not imported: conversations.json, conversation 4 ('Bad'): 'mapping' is not a JSON object\n"
    assert done.out.split() == [
        "FILE",
        "STORED",
        "ALREADY",
        "STORED",
        "EMPTY",
        "FAILED",
        "conversations.json",
        "2",
        "0",
        "1",
        "1",
    ]
    again = run("import", "conversations.json", "--json")
    report = again.json["conversations.json"]
    assert (report["stored"], report["already_stored"], report["empty"], report["failed"]) == (0, 2, 1, 1)
    assert labels(client) == ["Docker", "Tokens"]
    (row,) = client.controller.list_conversations(label="Docker")["results"]
    assert row["folder"] == "/chatgpt"
    messages = client.controller.get_messages(row["conversation_id"])
    assert [(one["role"], one["content"]) for one in messages] == [("user", "Docker?"), ("assistant", "Yes.")]


def test_several_files_have_one_journal(run: Run, client: SekhaClient, here: Path) -> None:
    for name in ("a", "b"):
        (here / f"{name}.jsonl").write_text(json.dumps({"label": name, "messages": [{"role": "user", "content": "x"}]}))
    done = run("import", "a.jsonl", "b.jsonl", "--folder", "/old", "--concurrency", "1")
    assert (done.code, done.err) == (0, "")
    assert {row["folder"] for row in client.controller.iter_conversations()} == {"/old"}
    assert (here / ".sekha-journal").exists()
    (here / "a.jsonl").rename(here / "c.jsonl")
    done = run("import", "c.jsonl", "b.jsonl", "--folder", "/old")
    assert done.code == 0
    assert labels(client) == ["a", "b"], "whatever the files are called"
    done = run("import", "c.jsonl", "--folder", "/old", "--journal", "mine")
    assert done.code == 0
    assert (here / "mine").exists()
    assert labels(client) == ["a", "a", "b"], "another journal knows nothing of the first"


def test_a_dry_run_shows_and_sends_nothing(run: Run, client: SekhaClient, chats: Path) -> None:
    done = run("import", "conversations.json", "--dry-run")
    assert done.code == 1, "not all can be read"
    assert done.out.split() == ["LABEL", "FOLDER", "MESSAGES", "Docker", "/chatgpt", "2", "Tokens", "/chatgpt", "2"]
    assert "2 conversations, 4 messages, 1 empty, 1 unreadable; nothing was sent" in done.err
    assert "unreadable: conversations.json, conversation 4 ('Bad')" in done.err
    told = run("import", "conversations.json", "--dry-run", "--json").json
    assert told["files"]["conversations.json"] == {
        "conversations": 2,
        "messages": 4,
        "empty": 1,
        "unreadable": 1,
        "left_out": {},
    }
    assert told["unreadable"] == [
        {"place": "conversations.json, conversation 4 ('Bad')", "problem": "'mapping' is not a JSON object"}
    ]
    assert labels(client) == []
    assert sorted(os.listdir(".")) == ["conversations.json"]


def test_a_dry_run_says_what_goes_along_and_may_be_lost(run: Run, client: SekhaClient, here: Path) -> None:
    message: Dict[str, Any] = {
        "role": "user",
        "content": "x",
        "timestamp": "2020-01-31T09:30:00Z",
        "metadata": {},
        "n\name": "y",
    }
    (here / "a.jsonl").write_text(json.dumps({"messages": [message, message]}) + "\n" + json.dumps({"messages": []}))
    done = run("import", "a.jsonl", "--dry-run")
    assert "messages have the extra key 'timestamp'; it is sent, but a server may not store it" in done.err
    assert done.err.count("messages have the extra key") == 2
    assert "metadata" not in done.err
    assert run("import", "a.jsonl", "--dry-run", "--json").json["message_keys"] == ["timestamp", "n\name"]
    del message["n\name"]
    (here / "b.jsonl").write_text(json.dumps({"messages": [message]}))
    assert "lost" not in run("import", "b.jsonl").err, "the documented server keeps it"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Missing argument"),
        (["missing.json"], "missing.json"),
        (["a.txt", "b", "--journal", "j"], "--journal"),
        (["a", "--concurrency", "0"], "--concurrency"),
        (["a", "--folder", " "], "must not be blank"),
    ],
)
def test_wrong_usage(words: List[str], said: str, run: Run, here: Path) -> None:
    for name in ("a", "b", "a.txt"):
        (here / name).touch()
    done = run("import", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_server_that_goes_away_ends_it_and_the_same_command_goes_on(
    run: Run, faulty: ScriptedSekha, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sekha._sync.controller.import_run.IN_FLIGHT_GRACE", 0.5)
    lines = [json.dumps({"label": f"{n}", "messages": [{"role": "user", "content": f"{n}"}]}) for n in range(5)]
    (here / "chats.jsonl").write_text("\n".join(lines[:2]))
    assert run("import", "chats.jsonl").code == 0
    (here / "chats.jsonl").write_text("\n".join(lines))
    for as_json in (False, True):
        faulty.fail("POST /api/v1/conversations", cut_before_work())
        done = run("import", "chats.jsonl", "--concurrency", "1", *(["--json"] if as_json else []))
        assert done.code == 5
        *_, before, last = done.err.splitlines()
        assert before == "import of chats.jsonl was interrupted; run the same command to resume"
        assert last.startswith('{"error": ' if as_json else "sekha import: ")
        if as_json:
            report = done.json["chats.jsonl"]
            assert (report["already_stored"], report["failed"]) == (2, 1), "what was stored before it"
        else:
            assert done.out.split()[-5:] == ["chats.jsonl", "0", "2", "0", "1"], "what was stored before it"
    done = run("import", "chats.jsonl")
    assert done.code == 0
    with SekhaClient(**faulty.options) as client:
        assert labels(client) == ["0", "1", "2", "3", "4"]


def test_ctrl_c_ends_it_and_the_same_command_goes_on(connected: LocalSekha, client: SekhaClient, here: Path) -> None:
    """In a terminal of its own, where the bar is drawn."""
    pty = pytest.importorskip("pty", reason="Windows has no pty", exc_type=ImportError)
    lines = [json.dumps({"label": f"{n}", "messages": [{"role": "user", "content": f"{n}"}]}) for n in range(300)]
    (here / "chats.jsonl").write_text("\n".join(lines))
    command = [sys.executable, "-m", "sekha", "import", "chats.jsonl"]
    screen, terminal = pty.openpty()
    with subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        while b"/300" not in shown or b"/s" not in shown:
            shown += os.read(screen, 4096)
        process.send_signal(signal.SIGINT)
        try:
            while part := os.read(screen, 4096):
                shown += part
        except OSError:  # how a terminal ends
            pass
        out, _ = process.communicate(timeout=60)
    os.close(screen)
    assert process.returncode == 130, shown[-2000:]
    assert int(out.split()[-4]) > 0, "what was stored before it"
    assert b"run the same command to resume" in shown
    assert b"Traceback" not in shown
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=120)
    report = json.loads(done.stdout)["chats.jsonl"]
    assert report["already_stored"] > 0
    assert report["stored"] + report["already_stored"] == 300
    assert len(labels(client)) == 300


# Notes


@pytest.fixture
def notes(here: Path) -> Path:
    """A folder of notes."""
    folder = here / "notes"
    (folder / "kitchen").mkdir(parents=True)
    (folder / "kitchen" / "bread.md").write_text("---\ntitle: Bread\ntags: [flour]\n---\n# Dough\nx\n# Crust\ny\n")
    (folder / "plans.txt").write_text("We ship on Fridays.")
    (folder / "empty.md").write_text("\n")
    (folder / ".git").mkdir()
    (folder / "photo.png").write_bytes(b"\x89PNG")
    return folder


def test_a_folder_of_notes(run: Run, client: SekhaClient, notes: Path) -> None:
    done = run("import", "notes/")
    assert (done.code, done.err) == (0, "sekha import: skipped files that are not notes: 1 .png\n")
    assert done.out.split()[-5:] == ["notes", "2", "0", "1", "0"]
    rows = {row["label"]: row["folder"] for row in client.controller.iter_conversations()}
    assert rows == {"Bread": "/notes/kitchen", "plans": "/notes"}
    assert (
        client.controller.query("ship", filters={"folder": "/notes"})["results"][0]["content"] == "We ship on Fridays."
    )
    assert (notes / ".sekha-journal").exists(), "it moves with the folder"
    again = run("import", "notes", "--json").json["notes"]
    assert (again["stored"], again["already_stored"], again["empty"]) == (0, 2, 1)
    (notes / "bad.md").write_bytes(b"a\0b")
    done = run("import", "notes", "--folder", "/mine", "--split", "--journal", "j")
    assert done.code == 1
    assert "not imported: notes/bad.md: not a text file: NUL character in line 1\n" in done.err
    labels_of = sorted(row["label"] for row in client.controller.iter_conversations(folder="/mine", subfolders=True))
    assert labels_of == ["Bread > Crust", "Bread > Dough", "plans"]


def test_a_dry_run_of_notes(run: Run, client: SekhaClient, notes: Path) -> None:
    done = run("import", "notes", "--dry-run")
    assert (done.code, "notes: 2 conversations, 2 messages, 1 empty, 0 unreadable" in done.err) == (0, True)
    assert "1 .png" in done.err
    assert run("import", "notes", "--dry-run", "--json").json["files"] == {
        "notes": {
            "conversations": 2,
            "messages": 2,
            "empty": 1,
            "unreadable": 0,
            "left_out": {".png": 1, "hidden": 1},
        }
    }
    assert labels(client) == []
    assert not (notes / ".sekha-journal").exists()


def test_one_note(run: Run, client: SekhaClient, here: Path) -> None:
    (here / "README.md").write_text("# Read me\n\nfirst")
    done = run("import", "README.md")
    assert (done.code, done.err, labels(client)) == (0, "", ["Read me"])
    (here / "chats.txt").write_text(json.dumps({"label": "A chat", "messages": [{"role": "user", "content": "x"}]}))
    assert run("import", "chats.txt").code == 0
    assert labels(client) == ["A chat", "Read me"], "what is in it counts, not its name"


@pytest.mark.parametrize("text", ["Dear diary\n" * 50, "Dear diary"])
def test_a_file_that_is_nothing_is_told_in_one_line_and_leaves_nothing_behind(
    text: str, run: Run, client: SekhaClient, here: Path
) -> None:
    (here / "README").write_text(text)
    done = run("import", "README")
    assert (done.code, done.err) == (
        1,
        "not imported: README: unrecognized format (line 1 is not JSON)\n",
    )
    assert os.listdir(".") == ["README"]


def test_a_folder_with_an_export_is_an_export(run: Run, client: SekhaClient, chats: Path, notes: Path) -> None:
    (notes / "chatgpt").mkdir()
    chats.rename(notes / "chatgpt" / "conversations.json")
    (notes / "package.json").write_text('{"name": "no export"}')
    (notes / "list.json").write_text("[1, 2")
    done = run("import", "notes")
    assert done.code == 1, "one of its conversations cannot be read"
    assert "not imported: chatgpt/conversations.json, conversation 4 ('Bad')" in done.err
    named = [f"1 file {name}" for name in ("empty.md", "kitchen/bread.md", "list.json", "package.json", "plans.txt")]
    assert f"notes: omitted: 1 .png files, {', '.join(named)}\n" in done.err
    assert labels(client) == ["Docker", "Tokens"]
    assert (notes / ".sekha-journal").exists()
    done = run("import", "notes", "--split")
    assert (done.code, "--split is only for notes" in done.err) == (2, True)


def test_pages_of_a_folder_are_exports_if_they_can_be_read(run: Run, client: SekhaClient, notes: Path) -> None:
    (notes / "page.html").write_text("<html><body>Hello</body></html>")
    assert run("import", "notes").code == 0
    assert labels(client) == ["Bread", "plans"], "a page does not make an export of notes"
    (notes / "MyActivity.html").write_text(
        '<html><body><div class="outer-cell"><div class="header-cell"><p>Gemini Apps<br></p></div>'
        '<div class="content-cell">Prompted&nbsp;Which port?<br>1 May 2025, 09:00:00 UTC<br><p>9100.</p></div></div>'
    )
    assert run("import", "notes").code == 0
    assert labels(client) == ["Bread", "Which port?", "plans"]


def test_a_copy_in_a_folder_is_named_and_not_read(run: Run, client: SekhaClient, here: Path) -> None:
    (here / "chatgpt").mkdir()
    for name in ("conversations.json", "conversations (1).json"):
        (here / "chatgpt" / name).write_text(json.dumps(CHATGPT))
    told = run("import", "chatgpt", "--dry-run", "--json").json
    copy = {"file conversations (1).json (a copy)": 1}
    assert told["files"] == {
        "chatgpt": {"conversations": 2, "messages": 4, "empty": 0, "unreadable": 0, "left_out": copy}
    }
    report = run("import", "chatgpt", "--json").json["chatgpt"]
    assert (report["stored"], report["already_stored"], report["left_out"]) == (2, 0, copy)
    assert labels(client) == ["Docker", "Tokens"]


def test_copies_side_by_side_are_read_once(run: Run, client: SekhaClient, here: Path) -> None:
    names = ["conversations.json", "conversations (1).json"]
    (here / names[0]).write_text(json.dumps(CHATGPT))
    (here / names[1]).write_text(json.dumps([*CHATGPT, {**CHATGPT[0], "title": "New"}]))
    told = run("import", *names, "--dry-run", "--json").json["files"]
    assert [(told[name]["conversations"], told[name]["left_out"]) for name in names] == [(2, {}), (1, {"copies": 2})]
    done = run("import", *names, names[0], "--json")
    assert done.err == "conversations.json was passed twice; it is read once\n"
    assert [(report["stored"], report["left_out"]) for report in done.json.values()] == [(2, {}), (1, {"copies": 2})]
    assert labels(client) == ["Docker", "New", "Tokens"]


def test_notes_beside_an_archive_of_other_things_are_notes(run: Run, client: SekhaClient, notes: Path) -> None:
    inner = notes / "photo.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.png", "x")
    with zipfile.ZipFile(notes / "backup.zip", "w") as archive:
        archive.write(inner)
    (notes / "cut.zip").write_bytes(inner.read_bytes()[:-9])
    done = run("import", "notes")
    assert (done.code, "skipped files that are not notes: 1 .png, 3 .zip\n" in done.err) == (0, True)


def test_a_note_that_begins_like_a_table_is_a_note(run: Run, client: SekhaClient, here: Path) -> None:
    (here / "letter.txt").write_text("Dear Ana, dear Bo, hello\nWe ship on Fridays.\n")
    assert run("import", "letter.txt").code == 0
    assert labels(client) == ["letter"]


def test_memories_of_claude_come_along_when_asked_for(run: Run, client: SekhaClient, here: Path) -> None:
    project: Dict[str, Any] = {"uuid": "p1", "name": "Bikes", "prompt_template": "Be brief.", "docs": []}
    chat = {"uuid": "c1", "name": "Plans", "chat_messages": [{"sender": "human", "text": "Hello"}]}
    with zipfile.ZipFile(here / "data.zip", "w") as archive:
        archive.writestr("conversations.json", json.dumps([chat]))
        archive.writestr("memories.json", json.dumps([{"conversations_memory": "Tea", "account_uuid": "a1"}]))
        archive.writestr("projects/p1.json", json.dumps(project))
    hint = "data.zip: use --with-memories to import the memories and projects as notes\n"
    for words in (["--dry-run"], []):
        done = run("import", "data.zip", *words)
        assert (done.code, done.err.endswith(f"omitted: 2 files of memories and projects\n{hint}")) == (0, True)
    assert run("import", "data.zip", "--with-memories", "--dry-run").out.split()[-9:] == [
        *("Plans", "/claude", "1", "Memory", "/claude/memories", "1", "Bikes", "/claude/projects/Bikes", "1")
    ]
    report = run("import", "data.zip", "--with-memories", "--json").json["data.zip"]
    assert (report["stored"], report["already_stored"]) == (2, 1)
    assert labels(client) == ["Bikes", "Memory", "Plans"]
    again = run("import", "data.zip", "--with-memories", "--json").json["data.zip"]
    assert (again["stored"], again["already_stored"]) == (0, 3)
    (here / "a.md").write_text("x")
    assert "--with-memories is only for exports" in run("import", "a.md", "--with-memories").err


def test_a_folder_with_a_kind_that_is_not_read(run: Run, client: SekhaClient, here: Path) -> None:
    (here / "export").mkdir()
    (here / "export" / "chat.html").write_text("<html><body>Hello")
    done = run("import", "export")
    assert done.code == 1
    assert done.err.startswith("not imported: chat.html: HTML is not supported; ")


def test_a_folder_with_nothing(run: Run, client: SekhaClient, here: Path) -> None:
    (here / "empty").mkdir()
    (here / "empty" / "a.png").touch()
    done = run("import", "empty")
    assert done.code == 1
    assert done.err == "sekha import: empty contains no supported export and no notes (.md, .markdown, .txt)\n"
    assert sorted(os.listdir("empty")) == ["a.png"]


# Kept in step


def test_changed_notes_are_replaced_and_gone_ones_deleted_when_asked(
    run: Run, client: SekhaClient, notes: Path
) -> None:
    done = run("import", "notes", "--sync", "--dry-run")
    assert done.code == 0
    assert done.out.split() == [
        *("ACTION", "LABEL", "FILE"),
        *("store", "Bread", "notes/kitchen/bread.md"),
        *("store", "plans", "notes/plans.txt"),
    ]
    assert (
        "notes: 2 stored, 0 replaced, 0 moved, 0 unchanged, 0 removed, 0 gone, 1 empty, 0 failed; nothing was sent."
        in done.err
    )
    assert labels(client) == []
    assert run("import", "notes").code == 0
    done = run("import", "notes", "--sync")
    assert (done.code, done.out.split()[-9:]) == (0, ["notes", "0", "0", "0", "2", "0", "0", "1", "0"])
    assert done.err == "sekha import: skipped files that are not notes: 1 .png\n"
    (notes / "plans.txt").write_text("We ship on Mondays.")
    (notes / "kitchen" / "bread.md").unlink()
    done = run("import", "notes", "--sync")
    assert (done.code, done.out.split()[-9:]) == (0, ["notes", "0", "1", "0", "0", "0", "1", "1", "0"])
    assert (
        "files were deleted, but are still in the memory: notes/kitchen/bread.md; use --delete to delete them\n"
        in done.err
    )
    told = run("import", "notes", "--sync", "--delete", "--dry-run", "--json").json["notes"]
    assert told["changes"] == [{"place": "notes/kitchen/bread.md", "label": None, "action": "deleted"}]
    report = run("import", "notes", "--sync", "--delete", "--json").json["notes"]
    assert report == told
    assert labels(client) == ["plans"]


def test_sections_are_kept_in_step(run: Run, client: SekhaClient, notes: Path) -> None:
    assert run("import", "notes", "--sync", "--split", "--folder", "/mine").code == 0
    assert labels(client) == ["Bread > Crust", "Bread > Dough", "plans"]
    (notes / "kitchen" / "bread.md").write_text("# Dough\nx\n# Oven\ny\n")
    report = run("import", "notes", "--sync", "--split", "--folder", "/mine", "--json").json["notes"]
    assert sum(report[name] for name in ("stored", "replaced", "moved", "deleted")) == 3
    assert labels(client) == ["Dough", "Oven", "plans"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["notes", "--delete"], "--delete requires --sync"),
        (["chats.jsonl", "--sync"], "--sync is only for notes"),
        (["chats.jsonl", "notes", "--sync"], "--sync is only for notes"),
    ],
)
def test_wrong_usage_of_sync(words: List[str], said: str, run: Run, notes: Path) -> None:
    (notes.parent / "chats.jsonl").write_text('{"messages": []}')
    done = run("import", *words)
    assert (done.code, done.out, said in done.err) == (2, "", True)


def test_a_folder_that_is_not_there_any_more_deletes_nothing(run: Run, client: SekhaClient, notes: Path) -> None:
    assert run("import", "notes", "--sync", "--journal", "j").code == 0
    for file in list(notes.rglob("*.md")) + list(notes.rglob("*.txt")):
        file.unlink()
    (notes / "new.md").write_text("new")
    done = run("import", "notes", "--sync", "--delete", "--journal", "j")
    assert (done.code, "none of the 2 notes in the journal exists" in done.err) == (1, True)
    assert labels(client) == ["Bread", "plans"]


def test_the_working_directory_itself(
    run: Run, client: SekhaClient, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(notes)
    for words in ([], ["--sync"]):
        done = run("import", ".", *words)
        assert (done.code, "\nnotes  " in done.out) == (0, True)


@pytest.mark.promise("W13")
def test_of_failures_that_are_alike_ten_are_named(run: Run, client: SekhaClient, here: Path) -> None:
    good = '{"messages": [{"role": "user", "content": "A"}]}'
    (here / "chats.jsonl").write_text("\n".join([good, *['{"messages": 7}'] * 500, "nonsense"]))
    for done in (run("import", "chats.jsonl", "--dry-run"), run("import", "chats.jsonl")):
        lines = [line for line in done.err.splitlines() if "'messages' is not a list" in line]
        assert len(lines) == 11
        assert lines[-1] == "and 490 more: 'messages' is not a list (use --json to list all)"
        assert "line 502: invalid JSON" in done.err
    assert run("import", "chats.jsonl", "--json").json["chats.jsonl"]["failed"] == 501


def test_a_large_chat_is_stored_in_parts_and_both_runs_say_so(run: Run, client: SekhaClient, here: Path) -> None:
    def line(label: str, count: int, size: int) -> str:
        messages = [{"role": "user", "content": f"{n} " + "x" * size} for n in range(count)]
        return json.dumps({"label": label, "messages": messages}) + "\n"

    (here / "a.jsonl").write_text(line("Small", 2, 10) + line("A long year", 40, 100_000) + line("Book", 1, 2_000_000))
    done = run("import", "a.jsonl", "--dry-run")
    assert done.code == 1
    assert "a.jsonl: 2 conversations, 42 messages, 0 empty, 1 unreadable; nothing was sent." in done.err
    assert "a.jsonl, line 2 (A long year): too large for one request; to be stored in 3 parts\n" in done.err
    assert "unreadable: a.jsonl, line 3: messages[0] has 2,000," in done.err
    told = run("import", "a.jsonl", "--dry-run", "--json").json
    split = {"position": 2, "place": "a.jsonl, line 2", "label": "A long year", "parts": 3}
    assert told["split"] == [split]
    assert labels(client) == []
    done = run("import", "a.jsonl", "--json")
    assert done.code == 1
    assert "not imported: a.jsonl, line 3 (Book): messages[0] has 2,000," in done.err
    report = done.json["a.jsonl"]
    assert (report["stored"], report["failed"], report["split"]) == (2, 1, [split])
    assert labels(client) == [*(f"A long year ({n} of 3)" for n in (1, 2, 3)), "Small"]
    (here / ".sekha-journal").unlink()
    done = run("import", "a.jsonl", "--folder", "/again")
    assert "a.jsonl, line 2 (A long year): too large for one request; stored in 3 parts\n" in done.err


# Coming back


def claude(*texts: str, id: str = "c-1", name: str = "Plans") -> Dict[str, Any]:
    """A chat of Claude."""
    messages = [{"sender": ("human", "assistant")[number % 2], "text": text} for number, text in enumerate(texts)]
    return {"uuid": id, "name": name, "chat_messages": messages}


def export(here: Path, *chats: Dict[str, Any], name: str = "conversations.json") -> None:
    (here / name).write_text(json.dumps(chats))


@pytest.mark.promise("W14")
def test_next_months_export(run: Run, client: SekhaClient, here: Path) -> None:
    chats = [claude("Q", id=f"c-{number}", name=f"Chat {number}") for number in range(5)]
    chats[2] = claude("Q", "A", id="c-2", name="Chat 2")
    export(here, *chats)
    assert "since the last import" not in run("import", "conversations.json", "--dry-run").err
    assert run("import", "conversations.json").code == 0
    new = claude("Q", id="c-5", name="Chat 5")
    grown, renamed = claude("Q", "A", id="c-0", name="Chat 0"), claude("Q", id="c-1", name="Another")
    export(here, new, grown, renamed, claude("Q", "x", id="c-2", name="Chat 2"), *chats[3:], name="other.json")
    dry = run("import", "other.json", "--dry-run")
    assert "other.json: since the last import: 1 new, 1 grown, 1 renamed, 1 replaced, 2 unchanged.\n" in dry.err
    counts = {"new": 1, "grown": 1, "renamed": 1, "replaced": 1, "unchanged": 2}
    for _ in range(2):  # it notes nothing
        told = run("import", "other.json", "--dry-run", "--json").json
        assert told["files"]["other.json"]["since_last_import"] == counts
    done = run("import", "other.json")
    assert (done.code, done.err) == (0, "")
    header = "FILE STORED ALREADY STORED GROWN RENAMED REPLACED EMPTY FAILED"
    assert done.out.split() == [*header.split(), "other.json", "1", "2", "1", "1", "1", "0", "0"]
    assert labels(client) == ["Another", "Chat 0", "Chat 2", "Chat 3", "Chat 4", "Chat 5"]
    report = run("import", "other.json", "--json").json["other.json"]
    assert (report["already_stored"], report["changes"]) == (6, [])


@pytest.mark.promise("W14")
def test_what_the_table_does_not_tell_is_told(run: Run, client: SekhaClient, here: Path) -> None:
    export(here, *[claude("Q", id=f"c-{number}") for number in range(15)])
    assert run("import", "conversations.json").code == 0
    for row in list(client.controller.iter_conversations()):
        client.controller.delete_conversation(row["id"])
    export(here, *[claude("Q", "A", id=f"c-{number}") for number in range(15)])
    done = run("import", "conversations.json")
    assert done.code == 0
    words = "was deleted from the memory and has changed since; stored again"
    assert done.err.count(f"(Plans): {words}\n") == 10
    assert f"and 5 more: {words} (use --json to list all)" in done.err


@pytest.mark.promise("W14")
def test_a_chat_that_stands_in_two_files_is_counted_once(run: Run, client: SekhaClient, here: Path) -> None:
    export(here, claude("Q", id="c-0"))
    assert run("import", "conversations.json").code == 0
    export(here, claude("Q", "A"), name="a.json")
    export(here, claude("Q", "A", "Q2"), name="b.json")
    told = run("import", "a.json", "b.json", "--dry-run", "--json").json["files"]
    assert [told[name]["since_last_import"]["new"] for name in ("a.json", "b.json")] == [1, 0]
    assert told["b.json"]["since_last_import"]["grown"] == 1
    done = run("import", "a.json", "b.json", "--json").json
    assert (done["a.json"]["stored"], done["b.json"]["grown"]) == (1, 1)


def test_a_dry_run_beside_what_is_no_journal(run: Run, client: SekhaClient, here: Path) -> None:
    export(here, claude("Q"))
    (here / ".sekha-journal").write_text('{"no": "journal"}\n{}\n')
    for words in (["--dry-run"], []):
        done = run("import", "conversations.json", *words)
        assert (done.code, "not a journal of an import" in done.err) == (1, True)


@pytest.mark.parametrize("profile", ["documented", "controller-0.1"])
def test_a_full_export_comes_back_once(
    profile: str, run: Run, client: SekhaClient, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("Plans", "Old"):
        stored = client.controller.create_conversation(label=label, messages=[{"role": "user", "content": label}])
    client.controller.archive_conversation(stored["id"])
    assert run("export", "--all", "--format", "full", "-o", "all.jsonl").err == "Wrote 2 conversations to all.jsonl.\n"
    same = run("import", "all.jsonl", "--json").json["all.jsonl"]
    assert (same["stored"], same["already_stored"]) == (0, 2)
    assert len(labels(client)) == 2
    with LocalSekha(profile=profile) as other, SekhaClient(**other.options) as there:
        connect(other.options, monkeypatch)
        for expected in ("stored", "already_stored"):
            done = run("import", "all.jsonl", "--json", "--journal", "other")
            assert (done.code, done.json["all.jsonl"][expected]) == (0, 2)
            statuses = {row["label"]: row["metadata"].get("status") for row in there.controller.iter_conversations()}
            assert statuses == {"Plans": "active", "Old": "archived"}
