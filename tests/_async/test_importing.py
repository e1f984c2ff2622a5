"""Importing: each conversation once, whatever happens; what is wrong is told with its place."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, cast

import pytest

from sekha import (
    AsyncSekhaClient,
    SekhaAPIError,
    SekhaAuthError,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaPermissionError,
    SekhaServerError,
    SekhaValidationError,
)
from sekha._importing.journal import Journal
from sekha.local import LocalSekha
from sekha.types import ImportProgress, UnreadableConversation
from support import facts
from support.clock import FakeClock, give_clock
from support.fake_msvcrt import use_msvcrt
from support.replies import DROP, answer, app_error, empty, text
from support.server import FakeServer

from .conftest import MakeClient

CREATE, LIST = "POST /api/v1/conversations", "GET /api/v1/conversations"


def chat(label: str, *texts: str, **more: Any) -> dict[str, Any]:
    """A conversation of user messages."""
    return {"label": label, "messages": [{"role": "user", "content": each} for each in texts or (label,)], **more}


async def stored(client: AsyncSekhaClient) -> list[tuple[str, list[str]]]:
    """Label and texts of everything in the memory, in order of labels."""
    found: list[tuple[str, list[str]]] = []
    async for row in client.controller.iter_conversations():
        messages = await client.controller.get_messages(row["conversation_id"])
        found.append((row["label"], [str(message["content"]) for message in messages]))
    return sorted(found)


async def test_what_is_imported_is_in_the_memory_and_counted(local: AsyncSekhaClient) -> None:
    told: list[ImportProgress] = []
    conversations: list[Any] = [
        chat("A", "one", "two", folder="/work", importance_score=8),
        chat("A", "one", "two", folder="/work", importance_score=8),
        {"messages": [{"role": "user", "content": "no label"}]},
        chat("nothing") | {"messages": []},
    ]
    report = await local.controller.import_conversations(iter(conversations), on_progress=told.append)
    assert report == {
        "seen": 4,
        "stored": 3,
        "already_stored": 0,
        "empty": 1,
        "failed": 0,
        "grown": 0,
        "renamed": 0,
        "replaced": 0,
        "failures": [],
        "left_out": {},
        "split": [],
        "changes": [],
    }
    assert await stored(local) == [("A", ["one", "two"]), ("A", ["one", "two"]), ("no label", ["no label"])]
    rows = (await local.controller.list_conversations(folder="/work"))["results"]
    assert [row["metadata"]["importance_score"] for row in rows] == [8, 8]
    assert [progress["seen"] for progress in told] == [1, 2, 3, 4]
    assert {"seen": 4, "stored": 3, "already_stored": 0, "empty": 1, "failed": 0}.items() <= told[-1].items()


async def test_what_cannot_be_stored_is_told_and_the_rest_is_stored(local: AsyncSekhaClient) -> None:
    conversations: list[Any] = [
        chat("A"),
        UnreadableConversation("chats.json, conversation 2", "not a JSON object"),
        7,
        {"label": "B"},
        chat("C", "\0"),
        {"label": "D", "messages": [{"role": "user"}]},
        chat("E"),
    ]
    report = await local.controller.import_conversations(conversations)
    assert (report["stored"], report["failed"], report["seen"]) == (2, 5, 7)
    assert sorted((each["position"], each["place"]) for each in report["failures"]) == [
        (2, "chats.json, conversation 2"),
        (3, None),
        (4, None),
        (5, None),
        (6, None),
    ]
    problems = {each["position"]: each["error"] for each in report["failures"]}
    assert problems[2] == "not a JSON object"
    assert "expected a dictionary, got int" in problems[3]
    assert "messages: is required" in problems[4]
    assert "messages[0].content" in problems[5]
    assert "NUL" in problems[5]
    assert "messages[0].content: is required" in problems[6]
    assert [label for label, _ in await stored(local)] == ["A", "E"]


async def test_a_journal_makes_the_second_run_store_nothing(local: AsyncSekhaClient, tmp_path: Path) -> None:
    conversations = [chat("A"), chat("A"), chat("B")]
    journal = tmp_path / "import.journal"
    first = await local.controller.import_conversations(conversations, journal=journal)
    again = await local.controller.import_conversations([chat("C"), *conversations, chat("A")], journal=str(journal))
    assert (first["stored"], first["already_stored"]) == (3, 0)
    assert (again["stored"], again["already_stored"]) == (2, 3), "a third A and C are new"
    assert [label for label, _ in await stored(local)] == ["A", "A", "A", "B", "C"]


@pytest.mark.parametrize("how", ["it was stored", "it was not", "only another one like it, known from before"])
async def test_what_was_on_its_way_is_looked_up(
    how: str, local: AsyncSekhaClient, sekha: LocalSekha, clock: FakeClock, tmp_path: Path
) -> None:
    """As a killed import leaves it: begun, with no word of how it ended."""
    give_clock(local, clock)
    one = {**chat("A", "one", "two"), "folder": "/"}
    if how == "only another one like it, known from before":
        await local.controller.create_conversation(one)
    notes = Journal(str(tmp_path / "j"), str(sekha.controller_url))
    notes.open()
    notes.start((await local.controller.health()).get("timestamp"))
    notes.begin(notes.entry({"importance_score": 5, **one}).key)
    notes.close()
    if how == "it was stored":
        await local.controller.create_conversation(one)
    report = await local.controller.import_conversations([one], journal=tmp_path / "j")
    assert (report["stored"], report["already_stored"]) == ((0, 1) if how == "it was stored" else (1, 0))
    expected = 2 if how == "only another one like it, known from before" else 1
    assert await stored(local) == [("A", ["one", "two"])] * expected
    report = await local.controller.import_conversations([one], journal=tmp_path / "j")
    assert (report["stored"], report["already_stored"]) == (0, 1)


async def test_two_alike_of_which_one_was_on_its_way_are_two(
    local: AsyncSekhaClient, sekha: LocalSekha, clock: FakeClock, tmp_path: Path
) -> None:
    give_clock(local, clock)
    one = {**chat("A"), "folder": "/"}
    notes = Journal(str(tmp_path / "j"), str(sekha.controller_url))
    notes.open()
    notes.start(None)
    for _ in range(2):
        notes.begin(notes.entry({"importance_score": 5, **one}).key)
    notes.close()
    await local.controller.create_conversation(one)
    report = await local.controller.import_conversations([one, one, one], journal=tmp_path / "j")
    assert (report["stored"], report["already_stored"]) == (2, 1)
    assert len(await stored(local)) == 3


async def test_what_a_server_refuses_is_told_and_tried_again_the_next_time(
    client: AsyncSekhaClient, server: FakeServer, tmp_path: Path
) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    server.on(CREATE, text("length limit exceeded", 413), answer(facts.CREATED, 201))
    conversations = [chat("A"), chat("B")]
    report = await client.controller.import_conversations(conversations, journal=tmp_path / "j", concurrency=1)
    (failure,) = report["failures"]
    assert (failure["position"], failure["label"], failure["may_have_been_applied"]) == (1, "A", False)
    assert "length limit exceeded" in failure["error"]
    server.on(CREATE, answer(facts.CREATED, 201))
    report = await client.controller.import_conversations(conversations, journal=tmp_path / "j")
    assert (report["stored"], report["already_stored"]) == (1, 1)


async def test_an_unknown_outcome_is_told_and_left_to_the_next_run(
    client: AsyncSekhaClient, server: FakeServer, tmp_path: Path
) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    server.on(CREATE, app_error("Database error: locked", 500), answer(facts.CREATED, 201))
    report = await client.controller.import_conversations([chat("A"), chat("B")], journal=tmp_path / "j", concurrency=1)
    assert (report["stored"], report["failed"]) == (1, 1)
    assert report["failures"][0]["may_have_been_applied"] is True
    assert server.lines.count(CREATE) == 2, "it was not sent again"


@pytest.mark.parametrize("refusal", [empty(401), DROP])
async def test_what_will_not_be_better_for_the_next_ends_it_and_it_goes_on_later(
    refusal: Any, make: MakeClient, server: FakeServer, tmp_path: Path
) -> None:
    client = make(max_retries=0)
    server.always("GET /health", answer(facts.HEALTHY))
    server.on(CREATE, answer(facts.CREATED, 201), refusal)
    conversations = [chat("A"), chat("B"), chat("C")]
    with pytest.raises((SekhaAuthError, SekhaConnectionError)):
        await client.controller.import_conversations(conversations, journal=tmp_path / "j", concurrency=1)
    assert server.lines.count(CREATE) == 2
    server.always(LIST, answer(facts.rows()))
    server.on(CREATE, answer(facts.CREATED, 201), answer(facts.CREATED, 201))
    report = await client.controller.import_conversations(conversations, journal=tmp_path / "j", concurrency=1)
    assert (report["stored"], report["already_stored"], report["failed"]) == (2, 1, 0)


async def test_it_waits_where_the_server_limits_it(
    make: MakeClient, server: FakeServer, clock: FakeClock, tmp_path: Path
) -> None:
    client = make(max_retries=0)
    server.always("GET /health", answer(facts.HEALTHY))
    server.on(CREATE, text("Rate limit exceeded. Please try again later.", 429), answer(facts.CREATED, 201))
    report = await client.controller.import_conversations([chat("A")], journal=tmp_path / "j")
    assert report["stored"] == 1
    assert sum(clock.waits) >= 60


async def test_at_most_so_many_are_stored_at_a_time_and_no_more_are_taken(
    client: AsyncSekhaClient, server: FakeServer
) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    server.always(CREATE, answer(facts.CREATED, 201))
    taken: list[int] = []

    def source() -> Any:
        for number in range(20):
            taken.append(number - server.lines.count(CREATE))
            yield chat(f"{number}")

    report = await client.controller.import_conversations(source(), concurrency=2)
    assert report["stored"] == 20
    assert max(taken) <= 2, "conversations are taken as they are stored"


async def test_bad_arguments_are_refused_before_anything_is_sent(
    client: AsyncSekhaClient, server: FakeServer, tmp_path: Path
) -> None:
    for field, arguments in (
        ("concurrency", {"concurrency": 0}),
        ("concurrency", {"concurrency": 101}),
        ("concurrency", {"concurrency": True}),
        ("conversations", {"conversations": chat("A")}),
        ("conversations", {"conversations": "chats.json"}),
        ("on_progress", {"on_progress": 7}),
    ):
        with pytest.raises(SekhaValidationError) as caught:
            await client.controller.import_conversations(**{"conversations": [], **arguments})  # type: ignore[arg-type]  # wrong on purpose
        assert (caught.value.field, caught.value.sent) == (field, False)
    assert server.seen == []


@pytest.mark.parametrize("locks", ["of this system", "of Windows"])
async def test_a_journal_is_of_one_server_and_one_import(
    locks: str, client: AsyncSekhaClient, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if locks == "of Windows":
        use_msvcrt(monkeypatch)
    server.always("GET /health", answer(facts.HEALTHY))
    other = Journal(str(tmp_path / "j"), "http://elsewhere.test")
    other.open()
    other.start(None)
    other.begin(other.entry({**chat("B"), "folder": "/", "importance_score": 5}).key)
    with pytest.raises(SekhaConfigError, match="in use"):
        await client.controller.import_conversations([chat("A")], journal=tmp_path / "j")
    other.close()
    with pytest.raises(SekhaConfigError, match=r"elsewhere\.test"):
        await client.controller.import_conversations([chat("A")], journal=tmp_path / "j")
    (tmp_path / "notes.txt").write_text("Dear diary,\nno journal\n")
    with pytest.raises(SekhaConfigError, match="is not a journal"):
        await client.controller.import_conversations([chat("A")], journal=tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "Dear diary,\nno journal\n"
    with pytest.raises(OSError, match="missing"):
        await client.controller.import_conversations([chat("A")], journal=tmp_path / "missing" / "j")
    assert CREATE not in server.lines


async def test_no_journal_is_left_where_nothing_was_begun(local: AsyncSekhaClient, tmp_path: Path) -> None:
    bad = UnreadableConversation("README, line 1", "invalid JSON")
    for conversations in ([], [bad], [chat("nothing") | {"messages": []}]):
        await local.controller.import_conversations(conversations, journal=tmp_path / "j")
        assert not (tmp_path / "j").exists()
    await local.controller.import_conversations([bad, chat("A")], journal=tmp_path / "j")
    await local.controller.import_conversations([], journal=os.devnull)
    assert os.access(os.devnull, os.F_OK), "it is not removed"
    noted = (tmp_path / "j").read_bytes()
    await local.controller.import_conversations([bad], journal=tmp_path / "j")
    assert (tmp_path / "j").read_bytes() == noted, "one with notes stays"


async def test_a_line_that_was_cut_is_no_harm(local: AsyncSekhaClient, tmp_path: Path) -> None:
    journal = tmp_path / "j"
    await local.controller.import_conversations([chat("A")], journal=journal)
    whole = journal.read_text()
    journal.write_text(whole + '{"begin": "someth')
    report = await local.controller.import_conversations([chat("A"), chat("B")], journal=journal)
    assert (report["stored"], report["already_stored"]) == (1, 1)
    assert [json.loads(line) for line in journal.read_text().splitlines() if not line.startswith('{"begin": "someth')]


async def test_an_error_of_who_watches_comes_out_and_nothing_is_lost(
    local: AsyncSekhaClient, clock: FakeClock, tmp_path: Path
) -> None:
    give_clock(local, clock)

    def on_progress(progress: ImportProgress) -> None:
        if progress["seen"] == 2:
            raise KeyError("mine")

    conversations = [chat(label) for label in "ABCD"]
    with pytest.raises(KeyError, match="mine"):
        await local.controller.import_conversations(conversations, journal=tmp_path / "j", on_progress=on_progress)
    report = await local.controller.import_conversations(conversations, journal=tmp_path / "j")
    assert report["failed"] == 0
    assert [label for label, _ in await stored(local)] == list("ABCD")


async def test_of_two_of_which_one_is_the_beginning_of_the_other_each_is_known(
    local: AsyncSekhaClient, sekha: LocalSekha, clock: FakeClock, tmp_path: Path
) -> None:
    """The short one arrived: it is not a part of the long one, which comes first and is stored."""
    give_clock(local, clock)
    long, short = ({**chat("A", *texts), "folder": "/"} for texts in (("one", "two"), ("one",)))
    notes = Journal(str(tmp_path / "j"), str(sekha.controller_url))
    notes.open()
    notes.start(None)
    for one in (long, short):
        notes.begin(notes.entry({"importance_score": 5, **one}).key)
    notes.close()
    await local.controller.create_conversation(short)
    report = await local.controller.import_conversations([long, short], journal=tmp_path / "j")
    assert (report["stored"], report["already_stored"], report["failed"]) == (1, 1, 0)
    assert await stored(local) == [("A", ["one"]), ("A", ["one", "two"])]


@pytest.mark.parametrize("status", [502, 500])
async def test_a_server_that_is_broken_is_not_asked_for_each(
    status: int, make: MakeClient, server: FakeServer, tmp_path: Path
) -> None:
    client = make(max_retries=0)
    server.always("GET /health", answer(facts.HEALTHY))
    server.always(CREATE, text("bad gateway", status))
    with pytest.raises(SekhaServerError):
        await client.controller.import_conversations(
            [chat(f"{number}") for number in range(20)], journal=tmp_path / "j", concurrency=1
        )
    assert server.lines.count(CREATE) == (1 if status == 502 else 3)


async def test_one_that_breaks_every_connection_does_not_keep_the_others_out(
    make: MakeClient, server: FakeServer, clock: FakeClock, tmp_path: Path
) -> None:
    client = make(max_retries=0)
    server.always("GET /health", answer(facts.HEALTHY))
    server.always(LIST, answer(facts.rows()))
    give_clock(client, clock)
    for _ in range(2):
        server.on(CREATE, DROP)
        with pytest.raises(SekhaConnectionError):
            await client.controller.import_conversations([chat("A")], journal=tmp_path / "j", concurrency=1)
    server.on(CREATE, answer(facts.CREATED, 201))
    report = await client.controller.import_conversations([chat("A"), chat("B")], journal=tmp_path / "j")
    assert (report["stored"], report["failed"]) == (1, 1)
    assert report["failures"][0]["error"].startswith("its outcome was unknown 2 times")
    server.on(CREATE, answer(facts.CREATED, 201))
    report = await client.controller.import_conversations([chat("A"), chat("B")], journal=tmp_path / "j")
    assert (report["stored"], report["already_stored"]) == (1, 1), "it is tried again"


async def test_without_a_note_nothing_is_sent(client: AsyncSekhaClient, server: FakeServer, tmp_path: Path) -> None:
    """As on a full disk: the system writes a part of a line and says so."""
    server.always("GET /health", answer(facts.HEALTHY))
    server.always(CREATE, answer(facts.CREATED, 201))
    notes = Journal(str(tmp_path / "j"), "http://sekha.test")
    notes.open()
    journal_file = cast(Any, notes)._file
    file = journal_file._file

    class Full:
        def write(self, data: bytes) -> int:
            return int(file.write(data[:7]))

        def __getattr__(self, name: str) -> Any:
            return getattr(file, name)

    notes.start(None)
    journal_file._file = Full()
    for _ in range(2):
        with pytest.raises(OSError, match="journal"):
            notes.begin(notes.entry(chat("A", folder="/")).key)
    assert not notes.is_open(notes.entry(chat("A", folder="/")).key)
    notes.close()
    with pytest.raises(OSError, match="journal"):
        notes.begin("x.1")


@pytest.mark.parametrize("torn", ['{"sekha_im', '{"sekha_import": 1, "server": "ht'])
async def test_a_first_line_that_was_cut_is_no_harm(torn: str, local: AsyncSekhaClient, tmp_path: Path) -> None:
    (tmp_path / "j").write_text(torn)
    for stored_now in (1, 0, 0):
        report = await local.controller.import_conversations([chat("A")], journal=tmp_path / "j")
        assert report["stored"] == stored_now


async def test_a_file_of_one_line_is_no_journal(client: AsyncSekhaClient, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "conversations.json").write_text('[{"title": "x"}]')
    with pytest.raises(SekhaConfigError, match="is not a journal"):
        await client.controller.import_conversations([chat("A")], journal=tmp_path / "conversations.json")
    assert (tmp_path / "conversations.json").read_text() == '[{"title": "x"}]'
    assert server.seen == []


async def test_what_is_refused_for_other_reasons_is_told_unless_it_is_all_of_them(
    make: MakeClient, server: FakeServer, tmp_path: Path
) -> None:
    client = make(max_retries=0)
    server.always("GET /health", answer(facts.HEALTHY))
    server.on(CREATE, empty(403), answer(facts.CREATED, 201))
    report = await client.controller.import_conversations([chat("A"), chat("B")], journal=tmp_path / "j", concurrency=1)
    assert (report["stored"], report["failed"]) == (1, 1)
    server.always(CREATE, empty(403))
    with pytest.raises(SekhaPermissionError):
        await client.controller.import_conversations(
            [chat(f"{number}") for number in range(9)], journal=tmp_path / "j", concurrency=1
        )


async def test_the_usual_importance_is_no_difference(local: AsyncSekhaClient, tmp_path: Path) -> None:
    await local.controller.import_conversations([chat("A")], journal=tmp_path / "j")
    report = await local.controller.import_conversations([chat("A", importance_score=5)], journal=tmp_path / "j")
    assert report["already_stored"] == 1


async def test_failures_side_by_side_are_all_counted(
    client: AsyncSekhaClient, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the journal is written for one, others fail too: the import gives up after three."""
    note = Journal.refused

    def slowly(journal: Journal, key: str) -> None:
        time.sleep(0.02)
        note(journal, key)

    monkeypatch.setattr(Journal, "refused", slowly)
    server.always("GET /health", answer(facts.HEALTHY))
    server.always(CREATE, empty(418))
    with pytest.raises(SekhaAPIError):
        await client.controller.import_conversations(
            [chat(f"{number}") for number in range(40)], journal=tmp_path / "j", concurrency=4
        )
    assert server.lines.count(CREATE) <= 3 + 4


@pytest.mark.parametrize("outcome", ["done", "stored, and not noted", "not stored"])
async def test_journals_that_older_versions_made_for_each_file_count(
    outcome: str, local: AsyncSekhaClient, sekha: LocalSekha, clock: FakeClock, tmp_path: Path
) -> None:
    give_clock(local, clock)
    one, other = {**chat("A"), "folder": "/", "importance_score": 5}, chat("B")
    older = Journal(str(tmp_path / "conversations-000.json.sekha-journal"), str(sekha.controller_url))
    older.open()
    older.start((await local.controller.health()).get("timestamp"))
    key = older.entry(one).key
    older.begin(key)
    if outcome != "not stored":
        id = (await local.controller.create_conversation(one))["id"]
        if outcome == "done":
            older.done(key, id)
    older.close()
    elsewhere = Journal(str(tmp_path / "conversations-001.json.sekha-journal"), "http://elsewhere")
    elsewhere.open()
    elsewhere.start(None)
    elsewhere.done(elsewhere.entry({**other, "folder": "/", "importance_score": 5}).key, facts.ID)
    elsewhere.close()
    (tmp_path / "x.sekha-journal").write_bytes(b"no journal")
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    report = await local.controller.import_conversations([one, other], journal=tmp_path / ".sekha-journal")
    known = outcome != "not stored"
    assert (report["stored"], report["already_stored"]) == (2 - known, known)
    assert await stored(local) == [("A", ["A"]), ("B", ["B"])]
    report = await local.controller.import_conversations([other, one], journal=tmp_path / ".sekha-journal")
    assert (report["stored"], report["already_stored"]) == (0, 2)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before, "they are only read"


async def test_images_may_be_dropped_where_the_server_stores_text_only(real: AsyncSekhaClient, tmp_path: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    one = {"label": "A", "messages": [{"role": "user", "content": [{"type": "text", "text": "Look"}, image]}]}
    report = await real.controller.import_conversations([one], journal=tmp_path / "j")
    assert (report["stored"], report["failed"]) == (0, 1)
    assert "drop_images" in report["failures"][0]["error"]
    report = await real.controller.import_conversations([one], journal=tmp_path / "j", drop_images=True)
    assert (report["stored"], report["failed"]) == (1, 0)
    ((_, (text_of_it,)),) = await stored(real)
    assert "Look" in text_of_it
    assert "base64" not in text_of_it
