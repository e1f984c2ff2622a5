"""Notes and the memory in step: what is new, changed, moved or gone, what it costs, and what interrupts it."""

from __future__ import annotations

import os
import random
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaConfigError, SekhaServerError, SekhaValidationError, SekhaWarning
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
def memory(request: pytest.FixtureRequest, local: AsyncSekhaClient, real: AsyncSekhaClient) -> AsyncSekhaClient:
    """A client of either local server."""
    return local if request.param == "documented" else real


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def files(notes: Path) -> list[Path]:
    """All notes."""
    return sorted(notes.rglob("*.md"))


async def sync(client: AsyncSekhaClient, notes: Path, **options: Any) -> dict[str, int]:
    """Sync, and return what was counted."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "this server cannot delete", SekhaWarning)
        report: dict[str, Any] = dict(await client.controller.sync_notes(notes, **options))
    assert report["seen"] == sum(report[name] for name in (*COUNTS[:4], "empty", "failed"))
    return {name: report[name] for name in COUNTS if report[name]}


async def active(client: AsyncSekhaClient) -> list[tuple[str, str, str]]:
    """Label, folder and text of all that is not archived."""
    found: list[tuple[str, str, str]] = []
    async for row in client.controller.iter_conversations(archived=False):
        for message in await client.controller.get_messages(row["id"]):  # none where the server was interrupted
            found.append((row["label"], row["folder"], str(message["content"]).strip()))
    return sorted(found)


async def ids(client: AsyncSekhaClient) -> dict[str, str]:
    """The id of each label."""
    return {row["label"]: row["id"] async for row in client.controller.iter_conversations(archived=False)}


async def test_new_changed_moved_and_gone(memory: AsyncSekhaClient, notes: Path) -> None:
    assert await sync(memory, notes) == {"stored": 2}
    assert await sync(memory, notes) == {"already_stored": 2}
    before = await ids(memory)
    write(notes, "a.md", "More about a")
    write(notes, "c.md", "About c")
    assert await sync(memory, notes) == {"stored": 1, "replaced": 1, "already_stored": 1}
    assert await active(memory) == [
        ("a", "/notes", "More about a"),
        ("b", "/notes/sub", "About b"),
        ("c", "/notes", "About c"),
    ]
    (notes / "sub").rename(notes / "other")
    (notes / "c.md").rename(notes / "d.md")
    assert await sync(memory, notes) == {"moved": 2, "already_stored": 1}
    after = await ids(memory)
    assert after["b"] == before["b"], "it is the same conversation"
    assert await active(memory) == [
        ("a", "/notes", "More about a"),
        ("b", "/notes/other", "About b"),
        ("d", "/notes", "About c"),
    ]
    (notes / "d.md").unlink()
    assert await sync(memory, notes) == {"gone": 1, "already_stored": 2}
    assert len(await active(memory)) == 3
    counted = await sync(memory, notes, delete=True)
    assert counted in ({"deleted": 1, "already_stored": 2}, {"archived": 1, "already_stored": 2})
    assert await sync(memory, notes, delete=True) == {"already_stored": 2}
    assert len(await active(memory)) == 2


async def test_a_server_that_cannot_delete_archives_and_says_so_once(real: AsyncSekhaClient, notes: Path) -> None:
    await sync(real, notes, concurrency=1)  # first writes side by side are not embedded, and then it can delete
    for text in ("second", "third"):
        write(notes, "a.md", text)
        write(notes, "sub/b.md", text)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            await real.controller.sync_notes(notes)
        assert ["archived" in str(one.message) for one in warned] == ([True] if text == "second" else [])
    archived = [row["label"] async for row in real.controller.iter_conversations(archived=True)]
    assert sorted(archived) == ["a", "a", "b", "b"]


async def test_files_that_are_no_notes_are_told(local: AsyncSekhaClient, notes: Path) -> None:
    (notes / "photo.png").touch()
    for dry_run in (True, False):
        with pytest.warns(SekhaWarning, match=r"skipped files that are not notes: 1 \.png"):
            await local.controller.sync_notes(notes, dry_run=dry_run)


@pytest.mark.filterwarnings("ignore:skipped files that are not notes")
async def test_the_report_says_what_became_of_each(local: AsyncSekhaClient, notes: Path) -> None:
    (notes / "photo.png").touch()
    first = await local.controller.sync_notes(notes, dry_run=True)
    assert not (notes / ".sekha-journal").exists()
    assert await active(local) == []
    report = await local.controller.sync_notes(notes)
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
        planned = await local.controller.sync_notes(notes, dry_run=True, delete=delete)
        assert planned["changes"] == [
            {"place": "notes/a.md", "label": "a", "action": "replaced"},
            {"place": "notes/sub/b.md", "label": None, "action": action},
        ]
    assert await active(local) == [("a", "/notes", "About a"), ("b", "/notes/sub", "About b")]
    report = await local.controller.sync_notes(notes, delete=True)
    assert report == planned
    assert (report["empty"], report["failed"], report["failures"][0]["place"]) == (1, 1, "notes/bad.md")


async def test_progress(local: AsyncSekhaClient, notes: Path) -> None:
    told: list[ImportProgress] = []
    await local.controller.sync_notes(notes, on_progress=told.append)
    assert [one["seen"] for one in told] == [1, 2]
    assert {"replaced": 0, "moved": 0, "stored": 2}.items() <= dict(told[-1]).items()
    write(notes, "empty.md", "")
    (notes / "bad.md").write_bytes(b"\0")
    report = await local.controller.sync_notes(notes, on_progress=told.append)
    assert [one["seen"] for one in told[2:]] == [4], "once: nothing is new"
    assert (report["already_stored"], report["empty"], report["failed"]) == (2, 1, 1)
    assert report == await local.controller.sync_notes(notes, dry_run=True)


# What it costs


async def test_unchanged_notes_cost_no_request(client: AsyncSekhaClient, server: FakeServer, notes: Path) -> None:
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(LIST, NO_ROWS)
    second = "22222222-2222-4222-8222-222222222222"
    created = [answer({**facts.CREATED, "id": id, "conversation_id": id}, 201) for id in (facts.ID, second)]
    server.on(CREATE, *created)
    await sync(client, notes, concurrency=1)
    assert server.lines == [HEALTH, LIST, CREATE, CREATE]
    assert await sync(client, notes) == {"already_stored": 2}
    assert await sync(client, notes, dry_run=True) == {"already_stored": 2}
    assert len(server.lines) == 4
    # A changed one: an export, a create, a delete.
    write(notes, "a.md", "changed")
    server.on(EXPORT, tool(facts.EXPORT))
    server.on(CREATE, answer({**facts.CREATED, "id": second[::-1], "conversation_id": second[::-1]}, 201))
    server.on(f"DELETE {ONE}", empty(200))
    assert await sync(client, notes) == {"already_stored": 1, "replaced": 1}
    assert server.lines[4:] == [EXPORT, CREATE, f"DELETE {ONE}"]
    # One whose folder alone has changed: the label is read, and both are set.
    (notes / "sub").rename(notes / "other")
    server.on(f"GET /api/v1/conversations/{second}", answer({**facts.CREATED, "id": second}))
    server.on(f"PUT /api/v1/conversations/{second}/label", empty(200))
    assert await sync(client, notes) == {"already_stored": 1, "moved": 1}
    assert server.lines[7:] == [
        f"GET /api/v1/conversations/{second}",
        f"PUT /api/v1/conversations/{second}/label",
    ]


async def test_wrong_arguments_are_refused_before_anything_is_read_or_sent(
    client: AsyncSekhaClient, server: FakeServer, notes: Path
) -> None:
    for path in (7, b"notes", "", None):
        with pytest.raises(SekhaValidationError) as caught:
            await client.controller.sync_notes(path)  # type: ignore[arg-type]  # wrong on purpose
        assert caught.value.field == "path"
    for field, arguments in (
        ("folder", {"folder": "/a/../b"}),
        ("concurrency", {"concurrency": 0}),
        ("on_progress", {"on_progress": 7}),
    ):
        with pytest.raises(SekhaValidationError) as caught:
            await client.controller.sync_notes(notes, **arguments)
        assert (caught.value.field, caught.value.sent) == (field, False)
    with pytest.raises(FileNotFoundError):
        await client.controller.sync_notes(notes / "missing")
    assert server.seen == []
    assert not (notes / ".sekha-journal").exists()


# What was done in the memory meanwhile


async def test_what_was_changed_in_the_memory_only_is_kept(memory: AsyncSekhaClient, notes: Path) -> None:
    await sync(memory, notes)
    id = (await ids(memory))["a"]
    await memory.controller.update_label(id, label="Mine", folder="/mine")
    await memory.controller.pin_conversation(id)
    write(notes, "a.md", "changed")
    assert await sync(memory, notes) == {"replaced": 1, "already_stored": 1}
    (row,) = (await memory.controller.list_conversations(folder="/mine", archived=False))["results"]
    assert (row["label"], row["metadata"]["importance_score"]) == ("Mine", 10)
    write(notes, "a.md", "---\ntitle: New\n---\nchanged")
    assert await sync(memory, notes) == {"moved": 1, "already_stored": 1}
    (row,) = (await memory.controller.list_conversations(folder="/mine", archived=False))["results"]
    assert row["label"] == "New", "the note's title has changed, and its folder has not"


async def test_what_was_deleted_in_the_memory_comes_back_when_its_note_changes(
    local: AsyncSekhaClient, notes: Path
) -> None:
    await sync(local, notes)
    for id in (await ids(local)).values():
        await local.controller.delete_conversation(id)
    assert await sync(local, notes) == {"already_stored": 2}
    write(notes, "a.md", "changed")
    (notes / "sub" / "b.md").rename(notes / "sub" / "c.md")
    assert await sync(local, notes) == {"stored": 1, "moved": 1}
    assert await active(local) == [("a", "/notes", "changed")]
    (notes / "sub" / "c.md").unlink()
    assert await sync(local, notes, delete=True) == {"already_stored": 1, "deleted": 1}


# Moved folders, other machines


async def test_the_journal_moves_with_the_folder(local: AsyncSekhaClient, notes: Path) -> None:
    await sync(local, notes)
    moved = notes.parent / "elsewhere"
    shutil.move(notes, moved)
    assert await sync(local, moved) == {"already_stored": 2}
    shutil.copytree(moved, notes)
    assert await sync(local, notes) == {"already_stored": 2}, "a copy on another machine, journal and all"


async def test_without_a_journal_what_is_there_is_found(memory: AsyncSekhaClient, notes: Path) -> None:
    write(notes, "a.txt", "About a")  # the same label, folder and text
    write(notes, "a.markdown", "Something else")
    assert await sync(memory, notes) == {"stored": 4}
    (notes / ".sekha-journal").unlink()
    assert await sync(memory, notes) == {"already_stored": 4}
    write(notes, "a.md", "changed")
    assert await sync(memory, notes) == {"already_stored": 3, "replaced": 1}
    assert len(await active(memory)) == 4


async def test_an_import_can_be_kept_in_step_later(local: AsyncSekhaClient, notes: Path) -> None:
    journal = notes / ".sekha-journal"
    await local.controller.import_conversations(read_notes(notes), journal=journal)
    write(notes, "a.md", "changed")
    assert await sync(local, notes) == {"already_stored": 1, "replaced": 1}
    write(notes, "a.md", "changed again")
    report = await local.controller.import_conversations(read_notes(notes), journal=journal)
    assert (report["stored"], report["already_stored"]) == (1, 1), "an import replaces nothing"
    assert len(await active(local)) == 3
    assert await sync(local, notes) == {"already_stored": 2}
    assert await active(local) == [("a", "/notes", "changed again"), ("b", "/notes/sub", "About b")]


async def test_another_folder_in_the_memory(local: AsyncSekhaClient, notes: Path) -> None:
    await sync(local, notes)
    assert await sync(local, notes, folder="/mine") == {"moved": 2}
    assert [folder for _, folder, _ in await active(local)] == ["/mine", "/mine/sub"]


async def test_one_file(local: AsyncSekhaClient, notes: Path) -> None:
    for text, counted in (("one", {"stored": 1}), ("two", {"replaced": 1})):
        write(notes, "a.md", text)
        assert await sync(local, notes / "a.md") == counted
    assert (notes / "a.md.sekha-journal").exists()


# Sections


async def test_a_changed_file_loses_its_old_sections(memory: AsyncSekhaClient, notes: Path) -> None:
    write(notes, "a.md", "# One\n1\n# Two\n2\n# Three\n3")
    assert await sync(memory, notes, split=True) == {"stored": 4}
    write(notes, "a.md", "# One\n1\n# Two\nchanged\n# Four\n4")
    counted = await sync(memory, notes, split=True)
    assert counted.pop("deleted", 0) + counted.pop("archived", 0) == 1, "without delete=True: the file is there"
    assert counted == {"already_stored": 2, "replaced": 1, "stored": 1}
    assert [label for label, _, _ in await active(memory)] == ["Four", "One", "Two", "b"]
    counted = await sync(memory, notes)
    assert [label for label, _, _ in await active(memory)] == ["One", "b"], "the whole note begins with that heading"
    assert counted["already_stored"] == 1


# What is not to be deleted


async def test_nothing_is_deleted_if_nothing_is_there(local: AsyncSekhaClient, notes: Path) -> None:
    journal = notes.parent / "journal"
    await sync(local, notes, journal=journal)
    elsewhere = notes.parent / "unmounted"
    elsewhere.mkdir()
    write(elsewhere, "new.md", "new")
    with pytest.raises(SekhaConfigError, match="none of the 2 notes in the journal exists"):
        await local.controller.sync_notes(elsewhere, journal=journal, delete=True)
    assert len(await active(local)) == 2


async def test_what_cannot_be_read_or_has_become_empty_is_not_gone(
    local: AsyncSekhaClient, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(notes, "c.md", "About c")
    await sync(local, notes)
    (notes / "a.md").write_bytes(b"\0")
    (notes / "c.md").write_bytes(b"")
    assert await sync(local, notes) == {"already_stored": 1, "empty": 1, "failed": 1, "gone": 1}
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr("sekha.exports._note_files.os.scandir", refuse)
    assert await sync(local, notes, delete=True) == {"deleted": 1, "empty": 1, "failed": 2}
    assert [label for label, _, _ in await active(local)] == ["a", "b"]


# Interrupted


async def test_what_was_on_its_way_is_looked_up(memory: AsyncSekhaClient, clock: FakeClock, notes: Path) -> None:
    """As a killed sync leaves it: a replacement is stored, and there is no word of it."""
    give_clock(memory, clock)
    await sync(memory, notes)
    before = (notes / ".sekha-journal").read_bytes()
    id = (await ids(memory))["a"]
    await memory.controller.update_label(id, label="Mine", folder="/mine")
    write(notes, "a.md", "changed")
    await sync(memory, notes)
    lines = (notes / ".sekha-journal").read_bytes()[len(before) :].splitlines(keepends=True)
    assert [line[:8] for line in lines] == [b'{"begin"', b'{"done":', b'{"remove']
    assert b"changed" not in b"".join(lines), "nothing that was said"
    # Killed before the old one was removed: that is done now.
    (notes / ".sekha-journal").write_bytes(before + b"".join(lines[:2]))
    assert await sync(memory, notes) == {"already_stored": 2}
    assert (notes / ".sekha-journal").read_bytes().endswith(lines[2])
    assert [label for label, _, _ in await active(memory)] == ["Mine", "b"]


async def test_a_new_one_that_was_begun_is_looked_up(memory: AsyncSekhaClient, clock: FakeClock, notes: Path) -> None:
    give_clock(memory, clock)
    await sync(memory, notes)
    lines = (notes / ".sekha-journal").read_bytes().splitlines(keepends=True)
    begun = [line for line in lines if b'"done"' not in line]
    (notes / ".sekha-journal").write_bytes(b"".join(begun))
    assert await sync(memory, notes) == {"already_stored": 2}
    assert len(await active(memory)) == 2


@pytest.mark.parametrize("then", ["changed", "gone", "changed, and it was not stored"])
async def test_what_was_begun_of_a_note_that_is_not_like_that_any_more(
    then: str, memory: AsyncSekhaClient, clock: FakeClock, notes: Path
) -> None:
    give_clock(memory, clock)
    await sync(memory, notes)
    write(notes, "a.md", "second")
    await sync(memory, notes)
    lines = (notes / ".sekha-journal").read_bytes().splitlines(keepends=True)
    assert (lines[-2][:8], lines[-1][:8]) == (b'{"done":', b'{"remove')
    (notes / ".sekha-journal").write_bytes(b"".join(lines[:-2]))  # killed when the second was stored
    if then == "gone":
        (notes / "a.md").unlink()
        counted = await sync(memory, notes, delete=True)
        assert counted.pop("deleted", 0) + counted.pop("archived", 0) == 1
        assert await active(memory) == [("b", "/notes/sub", "About b")]
        return
    if then == "changed, and it was not stored":
        await memory.controller.archive_conversation((await ids(memory))["a"])
        (row,) = [row async for row in memory.controller.iter_conversations(label="a", archived=True)][:1]
        await memory.controller.update_label(row["id"], label="another")
    write(notes, "a.md", "third")
    counted = await sync(memory, notes)
    assert counted.pop("replaced", 0) + counted.pop("stored", 0) == 1
    assert await active(memory) == [("a", "/notes", "third"), ("b", "/notes/sub", "About b")]
    assert await sync(memory, notes) == {"already_stored": 2}


async def test_an_old_version_that_cannot_be_removed_is_told_and_removed_later(
    make: MakeClient, server: FakeServer, notes: Path
) -> None:
    client = make(max_retries=0)
    (notes / "sub" / "b.md").unlink()
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(LIST, NO_ROWS)
    server.on(CREATE, answer(facts.CREATED, 201))
    await sync(client, notes)
    new = "22222222-2222-4222-8222-222222222222"
    write(notes, "a.md", "changed")
    server.on(EXPORT, tool(facts.EXPORT))
    server.on(CREATE, answer({**facts.CREATED, "id": new, "conversation_id": new}, 201))
    server.on(f"DELETE {ONE}", app_error("Database error: locked", 500))
    report = await client.controller.sync_notes(notes)
    (failure,) = report["failures"]
    assert (failure["place"], report["failed"], report["replaced"]) == ("notes/a.md", 1, 0)
    assert f"its earlier version, conversation {facts.ID}, was not deleted" in failure["error"]
    server.on(f"DELETE {ONE}", empty(200))
    assert await sync(client, notes) == {"already_stored": 1}
    assert server.lines[-1] == f"DELETE {ONE}"
    assert await sync(client, notes) == {"already_stored": 1}


async def test_a_note_that_is_as_before_an_interrupted_sync(
    local: AsyncSekhaClient, clock: FakeClock, notes: Path
) -> None:
    give_clock(local, clock)
    await sync(local, notes)
    write(notes, "a.md", "changed")
    before = (notes / ".sekha-journal").read_bytes()
    id = (await ids(local))["a"]
    new = (await local.controller.create_conversation(label="a", folder="/notes", messages=[user("changed")]))["id"]
    journal = Journal(str(notes / ".sekha-journal"), local.controller._transport.base_url)
    journal.open()
    source, known = next((source, known) for source, known in journal.notes().items() if known.id == id)
    key = f"{'0' * 32}.0"
    journal.begin(key)
    journal.done(key, new, Origin(source, known.digests._replace(messages="changed")))
    journal.close()
    assert len((notes / ".sekha-journal").read_bytes()) > len(before)
    write(notes, "a.md", "About a")
    assert await sync(local, notes) == {"replaced": 1, "already_stored": 1}
    assert (await ids(local))["a"] == id
    assert await active(local) == [("a", "/notes", "About a"), ("b", "/notes/sub", "About b")]


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def test_a_server_that_fails_ends_it_and_the_same_call_goes_on(
    client: AsyncSekhaClient, server: FakeServer, notes: Path, clock: FakeClock
) -> None:
    (notes / "sub" / "b.md").unlink()
    server.on(HEALTH, answer(facts.HEALTHY))
    server.on(LIST, *[NO_ROWS] * 3)
    server.on(CREATE, answer({"error": "gone"}, 502))
    with pytest.raises(SekhaServerError):
        await client.controller.sync_notes(notes)
    server.always(LIST, NO_ROWS)
    server.on(CREATE, answer(facts.CREATED, 201))
    report = await client.controller.sync_notes(notes)
    assert (report["stored"], report["failed"]) == (1, 0)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_edited_and_wherever_it_breaks_off_the_memory_follows(
    seed: int, memory: AsyncSekhaClient, clock: FakeClock, notes: Path
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
            await sync(memory, notes, delete=True, on_progress=interrupt, concurrency=chance.choice((1, 3)))
        except KeyError:
            continue
        except SekhaConfigError:  # none of the notes is there any more
            (notes / ".sekha-journal").unlink()
            for row in [row async for row in memory.controller.iter_conversations(archived=False)]:
                await memory.controller.archive_conversation(row["id"])
    await sync(memory, notes, delete=True)
    expected = [
        (file.stem, "/".join(("/notes", *file.relative_to(notes).parts[:-1])), file.read_text())
        for file in files(notes)
    ]
    assert await active(memory) == sorted(expected)
