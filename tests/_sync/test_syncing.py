# Generated from tests/_async/test_syncing.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Notes and the memory in step: what is new, changed, moved or gone, what it costs, and what interrupts it."""

from __future__ import annotations

import os
import random
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from sekha import SekhaClient, SekhaConfigError, SekhaServerError, SekhaValidationError, SekhaWarning
from sekha._importing.journal import Journal
from sekha._importing.sources import Origin
from sekha.exports import read_notes
from sekha.types import ImportProgress
from support import facts
from support.clock import FakeClock, give_clock
from support.replies import answer, app_error, empty, tool
from support.server import FakeServer

from .conftest import MakeClient

CREATE, LIST, HEALTH = "POST /api/v1/conversations", "GET /api/v1/conversations", "GET /health"
EXPORT = "POST /mcp/tools/memory_export"
ONE = f"/api/v1/conversations/{facts.ID}"
NO_ROWS = answer({"results": [], "total": 0, "page": 1, "page_size": 1000})
COUNTS = ("stored", "replaced", "moved", "already_stored", "deleted", "archived", "gone", "empty", "failed")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A folder with two notes."""
    folder = tmp_path / "notes"
    write(folder, "a.md", "About a")
    write(folder, "sub/b.md", "About b")
    return folder


@pytest.fixture(params=["documented", "controller 0.1"])
def memory(request: pytest.FixtureRequest, local: SekhaClient, real: SekhaClient) -> SekhaClient:
    """A client of either local server."""
    return local if request.param == "documented" else real


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def files(notes: Path) -> list[Path]:
    """All notes."""
    return sorted(notes.rglob("*.md"))


def sync(client: SekhaClient, notes: Path, **options: Any) -> dict[str, int]:
    """Sync, and return what was counted."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "this server cannot delete", SekhaWarning)
        report: dict[str, Any] = dict(client.controller.sync_notes(notes, **options))
    assert report["seen"] == sum(report[name] for name in (*COUNTS[:4], "empty", "failed"))
    return {name: report[name] for name in COUNTS if report[name]}


def active(client: SekhaClient) -> list[tuple[str, str, str]]:
    """Label, folder and text of all that is not archived."""
    found: list[tuple[str, str, str]] = []
    for row in client.controller.iter_conversations(archived=False):
        for message in client.controller.get_messages(row["id"]):  # none where the server was interrupted
            found.append((row["label"], row["folder"], str(message["content"]).strip()))
    return sorted(found)


def ids(client: SekhaClient) -> dict[str, str]:
    """The id of each label."""
    return {row["label"]: row["id"] for row in client.controller.iter_conversations(archived=False)}


def test_new_changed_moved_and_gone(memory: SekhaClient, notes: Path) -> None:
    assert sync(memory, notes) == {"stored": 2}
    assert sync(memory, notes) == {"already_stored": 2}
    before = ids(memory)
    write(notes, "a.md", "More about a")
    write(notes, "c.md", "About c")
    assert sync(memory, notes) == {"stored": 1, "replaced": 1, "already_stored": 1}
    assert active(memory) == [
        ("a", "/notes", "More about a"),
        ("b", "/notes/sub", "About b"),
        ("c", "/notes", "About c"),
    ]
    (notes / "sub").rename(notes / "other")
    (notes / "c.md").rename(notes / "d.md")
    assert sync(memory, notes) == {"moved": 2, "already_stored": 1}
    after = ids(memory)
    assert after["b"] == before["b"], "it is the same conversation"
    assert active(memory) == [
        ("a", "/notes", "More about a"),
        ("b", "/notes/other", "About b"),
        ("d", "/notes", "About c"),
    ]
    (notes / "d.md").unlink()
    assert sync(memory, notes) == {"gone": 1, "already_stored": 2}
    assert len(active(memory)) == 3
    counted = sync(memory, notes, delete=True)
    assert counted in ({"deleted": 1, "already_stored": 2}, {"archived": 1, "already_stored": 2})
    assert sync(memory, notes, delete=True) == {"already_stored": 2}
    assert len(active(memory)) == 2


def test_a_server_that_cannot_delete_archives_and_says_so_once(real: SekhaClient, notes: Path) -> None:
    sync(real, notes, concurrency=1)  # first writes side by side are not embedded, and then it can delete
    for text in ("second", "third"):
        write(notes, "a.md", text)
        write(notes, "sub/b.md", text)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            real.controller.sync_notes(notes)
        assert ["archived" in str(one.message) for one in warned] == ([True] if text == "second" else [])
    archived = [row["label"] for row in real.controller.iter_conversations(archived=True)]
    assert sorted(archived) == ["a", "a", "b", "b"]


def test_files_that_are_no_notes_are_told(local: SekhaClient, notes: Path) -> None:
    (notes / "photo.png").touch()
    for dry_run in (True, False):
        with pytest.warns(SekhaWarning, match=r"skipped files that are not notes: 1 \.png"):
            local.controller.sync_notes(notes, dry_run=dry_run)


@pytest.mark.filterwarnings("ignore:skipped files that are not notes")
def test_the_report_says_what_became_of_each(local: SekhaClient, notes: Path) -> None:
    (notes / "photo.png").touch()
    first = local.controller.sync_notes(notes, dry_run=True)
    assert not (notes / ".sekha-journal").exists()
    assert active(local) == []
    report = local.controller.sync_notes(notes)
    assert report == first, "a dry run says what happens"
    assert report["changes"] == [
        {"place": "notes/a.md", "label": "a", "action": "stored"},
        {"place": "notes/sub/b.md", "label": "b", "action": "stored"},
    ]
    assert report["left_out"] == {".png": 1}
    write(notes, "a.md", "changed")
    (notes / "sub" / "b.md").unlink()
    write(notes, "empty.md", "")
    (notes / "bad.md").write_bytes(b"\0")
    for delete, action in ((False, "gone"), (True, "deleted")):
        planned = local.controller.sync_notes(notes, dry_run=True, delete=delete)
        assert planned["changes"] == [
            {"place": "notes/a.md", "label": "a", "action": "replaced"},
            {"place": "notes/sub/b.md", "label": None, "action": action},
        ]
    assert active(local) == [("a", "/notes", "About a"), ("b", "/notes/sub", "About b")]
    report = local.controller.sync_notes(notes, delete=True)
    assert report == planned
    assert (report["empty"], report["failed"], report["failures"][0]["place"]) == (1, 1, "notes/bad.md")


def test_progress(local: SekhaClient, notes: Path) -> None:
    told: list[ImportProgress] = []
    local.controller.sync_notes(notes, on_progress=told.append)
    assert [one["seen"] for one in told] == [1, 2]
    assert {"replaced": 0, "moved": 0, "stored": 2}.items() <= dict(told[-1]).items()
    write(notes, "empty.md", "")
    (notes / "bad.md").write_bytes(b"\0")
    report = local.controller.sync_notes(notes, on_progress=told.append)
    assert [one["seen"] for one in told[2:]] == [4], "once: nothing is new"
    assert (report["already_stored"], report["empty"], report["failed"]) == (2, 1, 1)
    assert report == local.controller.sync_notes(notes, dry_run=True)


# What it costs


def test_unchanged_notes_cost_no_request(client: SekhaClient, server: FakeServer, notes: Path) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(LIST, NO_ROWS)
    second = "22222222-2222-4222-8222-222222222222"
    created = [answer({**facts.CREATED, "id": id, "conversation_id": id}, 201) for id in (facts.ID, second)]
    server.on(CREATE, *created)
    sync(client, notes, concurrency=1)
    assert server.lines == [HEALTH, LIST, CREATE, CREATE]
    assert sync(client, notes) == {"already_stored": 2}
    assert sync(client, notes, dry_run=True) == {"already_stored": 2}
    assert len(server.lines) == 4
    # A changed one: an export, a create, a delete.
    write(notes, "a.md", "changed")
    server.on(EXPORT, tool(facts.EXPORT))
    server.on(CREATE, answer({**facts.CREATED, "id": second[::-1], "conversation_id": second[::-1]}, 201))
    server.on(f"DELETE {ONE}", empty(200))
    assert sync(client, notes) == {"already_stored": 1, "replaced": 1}
    assert server.lines[4:] == [EXPORT, CREATE, f"DELETE {ONE}"]
    # One whose folder alone has changed: the label is read, and both are set.
    (notes / "sub").rename(notes / "other")
    server.on(f"GET /api/v1/conversations/{second}", answer({**facts.CREATED, "id": second}))
    server.on(f"PUT /api/v1/conversations/{second}/label", empty(200))
    assert sync(client, notes) == {"already_stored": 1, "moved": 1}
    assert server.lines[7:] == [
        f"GET /api/v1/conversations/{second}",
        f"PUT /api/v1/conversations/{second}/label",
    ]


def test_wrong_arguments_are_refused_before_anything_is_read_or_sent(
    client: SekhaClient, server: FakeServer, notes: Path
) -> None:
    for path in (7, b"notes", "", None):
        with pytest.raises(SekhaValidationError) as caught:
            client.controller.sync_notes(path)  # type: ignore[arg-type]  # wrong on purpose
        assert caught.value.field == "path"
    for field, arguments in (
        ("folder", {"folder": "/a/../b"}),
        ("concurrency", {"concurrency": 0}),
        ("on_progress", {"on_progress": 7}),
    ):
        with pytest.raises(SekhaValidationError) as caught:
            client.controller.sync_notes(notes, **arguments)
        assert (caught.value.field, caught.value.sent) == (field, False)
    with pytest.raises(FileNotFoundError):
        client.controller.sync_notes(notes / "missing")
    assert server.seen == []
    assert not (notes / ".sekha-journal").exists()


# What was done in the memory meanwhile


def test_what_was_changed_in_the_memory_only_is_kept(memory: SekhaClient, notes: Path) -> None:
    sync(memory, notes)
    id = (ids(memory))["a"]
    memory.controller.update_label(id, label="Mine", folder="/mine")
    memory.controller.pin_conversation(id)
    write(notes, "a.md", "changed")
    assert sync(memory, notes) == {"replaced": 1, "already_stored": 1}
    (row,) = (memory.controller.list_conversations(folder="/mine", archived=False))["results"]
    assert (row["label"], row["metadata"]["importance_score"]) == ("Mine", 10)
    write(notes, "a.md", "---\ntitle: New\n---\nchanged")
    assert sync(memory, notes) == {"moved": 1, "already_stored": 1}
    (row,) = (memory.controller.list_conversations(folder="/mine", archived=False))["results"]
    assert row["label"] == "New", "the note's title has changed, and its folder has not"


def test_what_was_deleted_in_the_memory_comes_back_when_its_note_changes(
    local: SekhaClient, notes: Path
) -> None:
    sync(local, notes)
    for id in (ids(local)).values():
        local.controller.delete_conversation(id)
    assert sync(local, notes) == {"already_stored": 2}
    write(notes, "a.md", "changed")
    (notes / "sub" / "b.md").rename(notes / "sub" / "c.md")
    assert sync(local, notes) == {"stored": 1, "moved": 1}
    assert active(local) == [("a", "/notes", "changed")]
    (notes / "sub" / "c.md").unlink()
    assert sync(local, notes, delete=True) == {"already_stored": 1, "deleted": 1}


# Moved folders, other machines


def test_the_journal_moves_with_the_folder(local: SekhaClient, notes: Path) -> None:
    sync(local, notes)
    moved = notes.parent / "elsewhere"
    shutil.move(notes, moved)
    assert sync(local, moved) == {"already_stored": 2}
    shutil.copytree(moved, notes)
    assert sync(local, notes) == {"already_stored": 2}, "a copy on another machine, journal and all"


def test_without_a_journal_what_is_there_is_found(memory: SekhaClient, notes: Path) -> None:
    write(notes, "a.txt", "About a")  # the same label, folder and text
    write(notes, "a.markdown", "Something else")
    assert sync(memory, notes) == {"stored": 4}
    (notes / ".sekha-journal").unlink()
    assert sync(memory, notes) == {"already_stored": 4}
    write(notes, "a.md", "changed")
    assert sync(memory, notes) == {"already_stored": 3, "replaced": 1}
    assert len(active(memory)) == 4


def test_an_import_can_be_kept_in_step_later(local: SekhaClient, notes: Path) -> None:
    journal = notes / ".sekha-journal"
    local.controller.import_conversations(read_notes(notes), journal=journal)
    write(notes, "a.md", "changed")
    assert sync(local, notes) == {"already_stored": 1, "replaced": 1}
    write(notes, "a.md", "changed again")
    report = local.controller.import_conversations(read_notes(notes), journal=journal)
    assert (report["stored"], report["already_stored"]) == (1, 1), "an import replaces nothing"
    assert len(active(local)) == 3
    assert sync(local, notes) == {"already_stored": 2}
    assert active(local) == [("a", "/notes", "changed again"), ("b", "/notes/sub", "About b")]


def test_another_folder_in_the_memory(local: SekhaClient, notes: Path) -> None:
    sync(local, notes)
    assert sync(local, notes, folder="/mine") == {"moved": 2}
    assert [folder for _, folder, _ in active(local)] == ["/mine", "/mine/sub"]


def test_one_file(local: SekhaClient, notes: Path) -> None:
    for text, counted in (("one", {"stored": 1}), ("two", {"replaced": 1})):
        write(notes, "a.md", text)
        assert sync(local, notes / "a.md") == counted
    assert (notes / "a.md.sekha-journal").exists()


# Sections


def test_a_changed_file_loses_its_old_sections(memory: SekhaClient, notes: Path) -> None:
    write(notes, "a.md", "# One\n1\n# Two\n2\n# Three\n3")
    assert sync(memory, notes, split=True) == {"stored": 4}
    write(notes, "a.md", "# One\n1\n# Two\nchanged\n# Four\n4")
    counted = sync(memory, notes, split=True)
    assert counted.pop("deleted", 0) + counted.pop("archived", 0) == 1, "without delete=True: the file is there"
    assert counted == {"already_stored": 2, "replaced": 1, "stored": 1}
    assert [label for label, _, _ in active(memory)] == ["Four", "One", "Two", "b"]
    counted = sync(memory, notes)
    assert [label for label, _, _ in active(memory)] == ["One", "b"], "the whole note begins with that heading"
    assert counted["already_stored"] == 1


# What is not to be deleted


def test_nothing_is_deleted_if_nothing_is_there(local: SekhaClient, notes: Path) -> None:
    journal = notes.parent / "journal"
    sync(local, notes, journal=journal)
    elsewhere = notes.parent / "unmounted"
    elsewhere.mkdir()
    write(elsewhere, "new.md", "new")
    with pytest.raises(SekhaConfigError, match="none of the 2 notes in the journal exists"):
        local.controller.sync_notes(elsewhere, journal=journal, delete=True)
    assert len(active(local)) == 2


def test_what_cannot_be_read_or_has_become_empty_is_not_gone(
    local: SekhaClient, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(notes, "c.md", "About c")
    sync(local, notes)
    (notes / "a.md").write_bytes(b"\0")
    (notes / "c.md").write_bytes(b"")
    assert sync(local, notes) == {"already_stored": 1, "empty": 1, "failed": 1, "gone": 1}
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr("sekha.exports._note_files.os.scandir", refuse)
    assert sync(local, notes, delete=True) == {"deleted": 1, "empty": 1, "failed": 2}
    assert [label for label, _, _ in active(local)] == ["a", "b"]


# Interrupted


def test_what_was_on_its_way_is_looked_up(memory: SekhaClient, clock: FakeClock, notes: Path) -> None:
    """As a killed sync leaves it: a replacement is stored, and there is no word of it."""
    give_clock(memory, clock)
    sync(memory, notes)
    before = (notes / ".sekha-journal").read_bytes()
    id = (ids(memory))["a"]
    memory.controller.update_label(id, label="Mine", folder="/mine")
    write(notes, "a.md", "changed")
    sync(memory, notes)
    lines = (notes / ".sekha-journal").read_bytes()[len(before) :].splitlines(keepends=True)
    assert [line[:8] for line in lines] == [b'{"begin"', b'{"done":', b'{"remove']
    assert b"changed" not in b"".join(lines), "nothing that was said"
    # Killed before the old one was removed: that is done now.
    (notes / ".sekha-journal").write_bytes(before + b"".join(lines[:2]))
    assert sync(memory, notes) == {"already_stored": 2}
    assert (notes / ".sekha-journal").read_bytes().endswith(lines[2])
    assert [label for label, _, _ in active(memory)] == ["Mine", "b"]


def test_a_new_one_that_was_begun_is_looked_up(memory: SekhaClient, clock: FakeClock, notes: Path) -> None:
    give_clock(memory, clock)
    sync(memory, notes)
    lines = (notes / ".sekha-journal").read_bytes().splitlines(keepends=True)
    begun = [line for line in lines if b'"done"' not in line]
    (notes / ".sekha-journal").write_bytes(b"".join(begun))
    assert sync(memory, notes) == {"already_stored": 2}
    assert len(active(memory)) == 2


@pytest.mark.parametrize("then", ["changed", "gone", "changed, and it was not stored"])
def test_what_was_begun_of_a_note_that_is_not_like_that_any_more(
    then: str, memory: SekhaClient, clock: FakeClock, notes: Path
) -> None:
    give_clock(memory, clock)
    sync(memory, notes)
    write(notes, "a.md", "second")
    sync(memory, notes)
    lines = (notes / ".sekha-journal").read_bytes().splitlines(keepends=True)
    assert (lines[-2][:8], lines[-1][:8]) == (b'{"done":', b'{"remove')
    (notes / ".sekha-journal").write_bytes(b"".join(lines[:-2]))  # killed when the second was stored
    if then == "gone":
        (notes / "a.md").unlink()
        counted = sync(memory, notes, delete=True)
        assert counted.pop("deleted", 0) + counted.pop("archived", 0) == 1
        assert active(memory) == [("b", "/notes/sub", "About b")]
        return
    if then == "changed, and it was not stored":
        memory.controller.archive_conversation((ids(memory))["a"])
        (row,) = [row for row in memory.controller.iter_conversations(label="a", archived=True)][:1]
        memory.controller.update_label(row["id"], label="another")
    write(notes, "a.md", "third")
    counted = sync(memory, notes)
    assert counted.pop("replaced", 0) + counted.pop("stored", 0) == 1
    assert active(memory) == [("a", "/notes", "third"), ("b", "/notes/sub", "About b")]
    assert sync(memory, notes) == {"already_stored": 2}


def test_an_old_version_that_cannot_be_removed_is_told_and_removed_later(
    make: MakeClient, server: FakeServer, notes: Path
) -> None:
    client = make(max_retries=0)
    (notes / "sub" / "b.md").unlink()
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(LIST, NO_ROWS)
    server.on(CREATE, answer(facts.CREATED, 201))
    sync(client, notes)
    new = "22222222-2222-4222-8222-222222222222"
    write(notes, "a.md", "changed")
    server.on(EXPORT, tool(facts.EXPORT))
    server.on(CREATE, answer({**facts.CREATED, "id": new, "conversation_id": new}, 201))
    server.on(f"DELETE {ONE}", app_error("Database error: locked", 500))
    report = client.controller.sync_notes(notes)
    (failure,) = report["failures"]
    assert (failure["place"], report["failed"], report["replaced"]) == ("notes/a.md", 1, 0)
    assert f"its earlier version, conversation {facts.ID}, was not deleted" in failure["error"]
    server.on(f"DELETE {ONE}", empty(200))
    assert sync(client, notes) == {"already_stored": 1}
    assert server.lines[-1] == f"DELETE {ONE}"
    assert sync(client, notes) == {"already_stored": 1}


def test_a_note_that_is_as_before_an_interrupted_sync(
    local: SekhaClient, clock: FakeClock, notes: Path
) -> None:
    give_clock(local, clock)
    sync(local, notes)
    write(notes, "a.md", "changed")
    before = (notes / ".sekha-journal").read_bytes()
    id = (ids(local))["a"]
    new = (local.controller.create_conversation(label="a", folder="/notes", messages=[user("changed")]))["id"]
    journal = Journal(str(notes / ".sekha-journal"), local.controller._transport.base_url)
    journal.open()
    source, known = next((source, known) for source, known in journal.notes().items() if known.id == id)
    key = f"{'0' * 32}.0"
    journal.begin(key)
    journal.done(key, new, Origin(source, known.digests._replace(messages="changed")))
    journal.close()
    assert len((notes / ".sekha-journal").read_bytes()) > len(before)
    write(notes, "a.md", "About a")
    assert sync(local, notes) == {"replaced": 1, "already_stored": 1}
    assert (ids(local))["a"] == id
    assert active(local) == [("a", "/notes", "About a"), ("b", "/notes/sub", "About b")]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_a_server_that_fails_ends_it_and_the_same_call_goes_on(
    client: SekhaClient, server: FakeServer, notes: Path, clock: FakeClock
) -> None:
    (notes / "sub" / "b.md").unlink()
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(LIST, *[NO_ROWS] * 3)
    server.on(CREATE, answer({"error": "gone"}, 502))
    with pytest.raises(SekhaServerError):
        client.controller.sync_notes(notes)
    server.always(LIST, NO_ROWS)
    server.on(CREATE, answer(facts.CREATED, 201))
    report = client.controller.sync_notes(notes)
    assert (report["stored"], report["failed"]) == (1, 0)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_edited_and_wherever_it_breaks_off_the_memory_follows(
    seed: int, memory: SekhaClient, clock: FakeClock, notes: Path
) -> None:
    give_clock(memory, clock)
    chance = random.Random(seed)
    names = [f"{folder}{name}.md" for folder in ("", "x/", "x/y/") for name in "abc"]
    number = 0
    for _ in range(6):
        for _ in range(chance.randint(1, 5)):
            number += 1
            there = files(notes)
            name, how = notes / chance.choice(names), chance.choice(("write", "write", "move", "delete"))
            if how == "write" or not there:
                write(notes, str(name.relative_to(notes)), f"text {chance.randint(1, 4)} or {number}")
            elif how == "delete":
                chance.choice(there).unlink()
            elif not name.exists():
                name.parent.mkdir(parents=True, exist_ok=True)
                chance.choice(there).rename(name)

        def interrupt(progress: ImportProgress) -> None:
            if chance.random() < 0.3:
                raise KeyError("interrupted")

        if not files(notes):
            write(notes, "a.md", f"text {number}")
        try:
            sync(memory, notes, delete=True, on_progress=interrupt, concurrency=chance.choice((1, 3)))
        except KeyError:
            continue
        except SekhaConfigError:  # none of the notes is there any more
            (notes / ".sekha-journal").unlink()
            for row in [row for row in memory.controller.iter_conversations(archived=False)]:
                memory.controller.archive_conversation(row["id"])
    sync(memory, notes, delete=True)
    expected = [
        (file.stem, "/".join(("/notes", *file.relative_to(notes).parts[:-1])), file.read_text())
        for file in files(notes)
    ]
    assert active(memory) == sorted(expected)
