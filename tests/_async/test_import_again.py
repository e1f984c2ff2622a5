"""Coming back next month: chats that have an id are renamed, replaced or continued, and nothing is there twice."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional
from uuid import NAMESPACE_OID, uuid5

import pytest

from sekha import AsyncSekhaClient, SekhaError, SekhaWarning
from sekha._async.transport import AsyncTransport
from sekha._concurrency.clock import Clock
from sekha._importing.journal import Journal
from sekha.exports._building import ConversationBuilder, ReadConversation
from sekha.types import ImportProgress, ImportReport
from support import facts
from support.clock import FakeClock, give_clock
from support.replies import DROP, answer, app_error, empty, tool
from support.server import FakeServer

from .conftest import MakeClient

pytestmark = pytest.mark.promise("W14")

CREATE, LIST, HEALTH = "POST /api/v1/conversations", "GET /api/v1/conversations", "GET /health"
EXPORT = "POST /mcp/tools/memory_export"
ONE = f"/api/v1/conversations/{facts.ID}"
OTHER = "22222222-2222-4222-8222-222222222222"
COUNTS = ("stored", "already_stored", "grown", "renamed", "replaced", "empty", "failed")
Stored = list[tuple[str, str, list[str]]]


@pytest.fixture(params=["documented", "controller 0.1"])
def memory(request: pytest.FixtureRequest, local: AsyncSekhaClient, real: AsyncSekhaClient) -> AsyncSekhaClient:
    """A client of either local server."""
    return local if request.param == "documented" else real


def chat(
    id: Optional[str], *texts: str, label: str = "Plans", updated_at: Optional[str] = None, folder: str = "chatgpt"
) -> ReadConversation:
    """A chat of an export, with a UUID for its id."""
    builder = ConversationBuilder(label, folder)
    for number, text in enumerate(texts):
        builder.add(("user", "assistant")[number % 2], [text])
    return builder.finish(source_id=None if id is None else str(uuid5(NAMESPACE_OID, id)), updated_at=updated_at)


async def bring(
    client: AsyncSekhaClient, journal: Optional[Path], *chats: Any, **options: Any
) -> tuple[dict[str, int], ImportReport]:
    """Import, and return what was counted, and the report."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "this server cannot delete", SekhaWarning)
        warnings.filterwarnings("ignore", ".*dates", SekhaWarning)
        report = await client.controller.import_conversations(chats, journal=journal, **options)
    numbers: dict[str, Any] = dict(report)
    assert report["seen"] == sum(numbers[name] for name in COUNTS)
    return {name: numbers[name] for name in COUNTS if numbers[name]}, report


async def active(client: AsyncSekhaClient) -> Stored:
    """Label, folder and texts of all that is not archived."""
    found: Stored = []
    async for row in client.controller.iter_conversations(archived=False):
        messages = await client.controller.get_messages(row["id"])
        found.append((row["label"], row["folder"], [str(message["content"]).strip() for message in messages]))
    return sorted(found)


def said(report: ImportReport) -> list[tuple[str, str]]:
    """Action and label of what has changed."""
    return [(change["action"], change["label"]) for change in report["changes"]]


async def test_a_chat_is_known_by_its_id_wherever_it_stands(memory: AsyncSekhaClient, tmp_path: Path) -> None:
    one, two = chat("1", "Q", "A"), chat("2", "Q", "A")
    assert (await bring(memory, tmp_path / "j", one, two))[0] == {"stored": 2}
    assert (await bring(memory, tmp_path / "j", two))[0] == {"already_stored": 1}
    assert (await bring(memory, tmp_path / "j", chat("3", "Q", "A"), two, one))[0] == {
        "stored": 1,
        "already_stored": 2,
    }
    assert len(await active(memory)) == 3


async def test_chats_with_the_same_number_do_not_replace_each_other(memory: AsyncSekhaClient, tmp_path: Path) -> None:
    def numbered(number: str, *texts: str, application: str = "") -> ReadConversation:
        found = chat(None, *texts)
        found.source_id, found.application = number, application
        return found

    journal = tmp_path / "j"
    one, other = numbered("conv-1", "Q", "A"), numbered("conv-1", "Another", "A", "Q2")
    assert (await bring(memory, journal, one))[0] == {"stored": 1}
    assert (await bring(memory, journal, other))[0] == {"stored": 1}
    assert (await bring(memory, journal, other, one))[0] == {"already_stored": 2}
    assert (await bring(memory, journal, numbered("conv-1", "Q", "A", "Q2")))[0] == {"grown": 1}
    texts = sorted(text for _, _, texts in await active(memory) for text in texts)
    assert texts == ["A", "A", "Another", "Q", "Q2", "Q2"]
    counts, _ = await bring(memory, journal, numbered("conv-1", "Q", "A", "Q2", application="ChatGPT"))
    assert counts == {"stored": 1}


async def test_chats_of_two_applications_with_the_same_id(memory: AsyncSekhaClient, tmp_path: Path) -> None:
    one, other = chat("1", "Q", "A"), chat("1", "x", "y")
    one.application, other.application = "ChatGPT", "Claude"
    for counts in ({"stored": 2}, {"already_stored": 2}):
        assert (await bring(memory, tmp_path / "j", one, other))[0] == counts


async def test_a_chat_that_has_grown(memory: AsyncSekhaClient, local: AsyncSekhaClient, tmp_path: Path) -> None:
    journal = tmp_path / "j"
    await bring(memory, journal, chat("1", "Q", "A"))
    counts, report = await bring(memory, journal, chat("1", "Q", "A", "Q2", "A2"))
    assert counts == {"grown": 1}
    if memory is local:
        assert said(report) == [("grown", "Plans")]
        assert await active(memory) == [("Plans", "/chatgpt", ["Q", "A", "Q2", "A2"])]
    else:
        assert said(report) == [("continued", "Plans (continued)")]
        assert await active(memory) == [
            ("Plans", "/chatgpt", ["Q", "A"]),
            ("Plans (continued)", "/chatgpt", ["Q2", "A2"]),
        ]
    assert (await bring(memory, journal, chat("1", "Q", "A", "Q2", "A2")))[0] == {"already_stored": 1}
    assert (await bring(memory, journal, chat("1", "Q", "A", "Q2", "A2", "Q3")))[0] == {"grown": 1}
    texts = [text for _, _, texts in await active(memory) for text in texts]
    assert sorted(texts) == sorted(["Q", "A", "Q2", "A2", "Q3"])
    assert len(await active(memory)) == (1 if memory is local else 3)
    archived = [row["id"] async for row in memory.controller.iter_conversations(archived=True)]
    assert archived == []


async def test_a_chat_that_was_renamed_stays_the_same_conversation(memory: AsyncSekhaClient, tmp_path: Path) -> None:
    journal = tmp_path / "j"
    await bring(memory, journal, chat("1", "Q", "A"))
    (before,) = [row["id"] async for row in memory.controller.iter_conversations()]
    counts, report = await bring(memory, journal, chat("1", "Q", "A", label="Printer"))
    assert (counts, said(report)) == ({"renamed": 1}, [("renamed", "Printer")])
    (row,) = [row async for row in memory.controller.iter_conversations()]
    assert (row["id"], row["label"], row["folder"]) == (before, "Printer", "/chatgpt")
    assert (await bring(memory, journal, chat("1", "Q", "A", label="Printer")))[0] == {"already_stored": 1}
    await memory.controller.update_label(before, label="Printer", folder="/mine")
    assert (await bring(memory, journal, chat("1", "Q", "A", label="Ports")))[0] == {"renamed": 1}
    assert await active(memory) == [("Ports", "/mine", ["Q", "A"])], "it stays where the user has moved it"
    assert (await bring(memory, journal, chat("1", "Q", "A", label="Ports", folder="/work")))[0] == {"renamed": 1}
    assert await active(memory) == [("Ports", "/work", ["Q", "A"])]


async def test_a_chat_that_was_edited_replaces_its_earlier_version(memory: AsyncSekhaClient, tmp_path: Path) -> None:
    journal = tmp_path / "j"
    await bring(memory, journal, chat("1", "Q", "A"))
    (row,) = [row async for row in memory.controller.iter_conversations()]
    await memory.controller.pin_conversation(row["id"])
    await memory.controller.update_label(row["id"], label="Mine", folder="/mine")
    counts, report = await bring(memory, journal, chat("1", "Q", "Another answer"))
    assert (counts, said(report)) == ({"replaced": 1}, [("replaced", "Mine")])
    assert await active(memory) == [("Mine", "/mine", ["Q", "Another answer"])]
    (row,) = [row async for row in memory.controller.iter_conversations(archived=False)]
    assert row["metadata"].get("importance_score") == 10
    assert (await bring(memory, journal, chat("1", "Q", "Another answer")))[0] == {"already_stored": 1}
    assert (await bring(memory, journal, chat("1", "Q")))[0] == {"already_stored": 1}, "the longer one is the later one"


async def test_what_was_continued_and_is_edited_then_becomes_one(real: AsyncSekhaClient, tmp_path: Path) -> None:
    journal = tmp_path / "j"
    for texts in (("Q", "A"), ("Q", "A", "Q2", "A2"), ("Q", "A", "Q2", "A2", "Q3", "A3")):
        await bring(real, journal, chat("1", *texts))
    assert [label for label, _, _ in await active(real)] == ["Plans", "Plans (continued)", "Plans (continued)"]
    counts, report = await bring(real, journal, chat("1", "Q", "A", "Q2", "A2", "Q3", "A3", label="Ports"))
    assert (counts, said(report)) == ({"renamed": 1}, [("renamed", "Ports")])
    assert [label for label, _, _ in await active(real)] == ["Ports", "Ports (continued)", "Ports (continued)"]
    edited = chat("1", "Q", "A", "Another", "A2", "Q3", "A3", "Q4", label="Ports")
    assert (await bring(real, journal, edited))[0] == {"replaced": 1}
    assert await active(real) == [("Ports", "/chatgpt", ["Q", "A", "Another", "A2", "Q3", "A3", "Q4"])]
    assert (await bring(real, journal, edited))[0] == {"already_stored": 1}


async def test_what_has_grown_and_was_renamed(memory: AsyncSekhaClient, tmp_path: Path) -> None:
    journal = tmp_path / "j"
    await bring(memory, journal, chat("1", "Q", "A"))
    assert (await bring(memory, journal, chat("1", "Q", "A", "Q2", label="Ports")))[0] == {"grown": 1}
    labels = {label for label, _, _ in await active(memory)}
    assert labels in ({"Ports"}, {"Ports", "Ports (continued)"})


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("order", ["later first", "earlier first"])
async def test_two_versions_in_one_command(
    dated: bool, order: str, memory: AsyncSekhaClient, local: AsyncSekhaClient, tmp_path: Path
) -> None:
    times = ("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z") if dated else (None, None)
    short, long = chat("1", "Q", "A", updated_at=times[0]), chat("1", "Q", "A", "Q2", updated_at=times[1])
    chats = (long, short) if order == "later first" else (short, long)
    counts, report = await bring(memory, tmp_path / "j", *chats, chat("2", "x"))
    expected = {"already_stored": 1} if order == "later first" else {"grown": 1}
    assert counts == {"stored": 2, **expected}
    assert report["left_out"] == ({"earlier versions": 1} if order == "later first" else {})
    texts = sorted(text for _, _, texts in await active(memory) for text in texts)
    assert texts == ["A", "Q", "Q2", "x"]
    again, report = await bring(memory, tmp_path / "j", short)
    assert (again, report["left_out"]) == ({"already_stored": 1}, {"earlier versions": 1}), "nothing is rolled back"
    assert sorted(text for _, _, texts in await active(memory) for text in texts) == texts


async def test_a_later_version_may_be_shorter(memory: AsyncSekhaClient, tmp_path: Path) -> None:
    journal = tmp_path / "j"
    await bring(memory, journal, chat("1", "Q", "A", "Q2", "A2", updated_at="2024-01-01T00:00:00Z"))
    edited = chat("1", "Another", "A", updated_at="2024-02-01T00:00:00Z")
    assert (await bring(memory, journal, edited))[0] == {"replaced": 1}
    assert await active(memory) == [("Plans", "/chatgpt", ["Another", "A"])]


async def test_without_a_journal_a_chat_that_stands_there_twice_is_stored_once(memory: AsyncSekhaClient) -> None:
    assert (await bring(memory, None, *[chat("1", "Q", "A")] * 5))[0] == {"stored": 1, "already_stored": 4}
    assert len(await active(memory)) == 1


async def test_what_was_deleted_in_the_memory(local: AsyncSekhaClient, tmp_path: Path) -> None:
    journal = tmp_path / "j"
    await bring(local, journal, chat("1", "Q", "A"), chat("2", "Q", "A"))
    for row in [row async for row in local.controller.iter_conversations()]:
        await local.controller.delete_conversation(row["id"])
    assert (await bring(local, journal, chat("1", "Q", "A")))[0] == {"already_stored": 1}
    counts, report = await bring(local, journal, chat("1", "Q", "A", label="Ports"))
    assert (counts, said(report)) == ({"already_stored": 1}, [("gone", "Ports")])
    counts, report = await bring(local, journal, chat("1", "Q", "A", "Q2", label="Ports"))
    assert (counts, said(report)) == ({"stored": 1}, [("restored", "Ports")])
    counts, report = await bring(local, journal, chat("2", "Q", "Another"))
    assert (counts, said(report)) == ({"stored": 1}, [("restored", "Plans")])
    assert [texts for _, _, texts in await active(local)] == [["Q", "Another"], ["Q", "A", "Q2"]]


async def test_what_was_deleted_of_a_chat_that_was_continued(
    make: MakeClient, server: FakeServer, tmp_path: Path
) -> None:
    """On a server that can delete now, and does not say so."""
    server.always(HEALTH, answer(facts.HEALTHY))
    server.on(CREATE, answer(facts.CREATED, 201))
    client = make(max_retries=0)
    await bring(client, tmp_path / "j", chat("1", "Q", "A"))
    server.on(f"GET {ONE}", app_error("Conversation not found", 404))
    server.on(CREATE, answer({**facts.CREATED, "id": OTHER, "conversation_id": OTHER}, 201))
    counts, report = await bring(client, tmp_path / "j", chat("1", "Q", "A", "Q2"))
    assert (counts, said(report)) == ({"stored": 1}, [("restored", "Plans")])
    assert len(server.seen[-1].json["messages"]) == 3, "it is stored whole"


async def test_what_it_costs(make: MakeClient, server: FakeServer, tmp_path: Path) -> None:
    client, journal = make(), tmp_path / "j"
    server.always(HEALTH, answer({**facts.HEALTHY, "deletes": True, "parallel_writes": True}))
    server.on(CREATE, answer(facts.CREATED, 201))
    await bring(client, journal, chat("1", "Q", "A"))
    assert server.lines == [HEALTH, CREATE]
    await bring(client, journal, chat("1", "Q", "A"))
    assert len(server.lines) == 2, "an unchanged one: nothing"
    server.on(f"GET {ONE}", answer(facts.CREATED))
    server.on(f"PUT {ONE}/label", empty(200))
    await bring(client, journal, chat("1", "Q", "A", label="Ports"))
    assert server.lines[2:] == [f"GET {ONE}", f"PUT {ONE}/label"]
    server.on(EXPORT, tool(facts.EXPORT))
    server.on(CREATE, answer({**facts.CREATED, "id": OTHER, "conversation_id": OTHER}, 201))
    server.on(f"DELETE {ONE}", empty(200))
    await bring(client, journal, chat("1", "Q", "A", "Q2", label="Ports"))
    assert [line for line in server.lines[4:] if line != HEALTH] == [EXPORT, CREATE, f"DELETE {ONE}"]


# Older journals, months in folders, views


@pytest.mark.parametrize("then", ["done", "stored, and not noted", "not stored"])
async def test_journals_without_ids_are_still_read(
    then: str, memory: AsyncSekhaClient, clock: FakeClock, tmp_path: Path
) -> None:
    give_clock(memory, clock)
    one = chat("1", "Q", "A")
    as_it_was: Any = {**one, "folder": "/chatgpt", "importance_score": 5}
    notes = Journal(str(tmp_path / "j"), memory.controller._transport.base_url)
    notes.open()
    notes.start((await memory.controller.health()).get("timestamp"))
    key = notes.entry(as_it_was).key
    notes.begin(key)
    if then != "not stored":
        id = (await memory.controller.create_conversation(as_it_was))["id"]
        if then == "done":
            notes.done(key, id)
    notes.close()
    one["folder"], one.undated_folder = "chatgpt/2024/01", "chatgpt"  # as --dated gives it
    other = chat("2", "Q", "A")  # just alike, and another one
    expected = {"stored": 2} if then == "not stored" else {"already_stored": 1, "stored": 1}
    assert (await bring(memory, tmp_path / "j", one, other, concurrency=1))[0] == expected
    assert (await bring(memory, tmp_path / "j", other, one))[0] == {"already_stored": 2}
    assert (await bring(memory, tmp_path / "j", chat("1", "Q", "A", "Q2")))[0] == {"grown": 1}
    assert len([one for one in await active(memory) if "Q2" in one[2]]) == 1


async def test_what_has_grown_since_an_import_without_ids(
    memory: AsyncSekhaClient, local: AsyncSekhaClient, tmp_path: Path
) -> None:
    await bring(memory, tmp_path / "j", chat(None, "Q", "A"), chat(None, "gone", "A"))
    for row in [row async for row in memory.controller.iter_conversations()]:
        messages = await memory.controller.get_messages(row["id"])
        if memory is local and messages[0]["content"] == "gone":
            await memory.controller.delete_conversation(row["id"])
    grown = [chat("1", "Q", "A", "Q2"), chat("2", "gone", "A", "Q2")]
    counts, report = await bring(memory, tmp_path / "j", *grown, concurrency=1)
    if memory is local:
        assert (counts, [action for action, _ in said(report)]) == ({"stored": 1, "grown": 1}, ["grown", "restored"])
    else:
        assert counts == {"grown": 2}
    assert (await bring(memory, tmp_path / "j", *grown))[0] == {"already_stored": 2}
    texts = sorted(text for _, _, texts in await active(memory) for text in texts)
    assert texts == ["A", "A", "Q", "Q2", "Q2", "gone"]


async def test_the_month_in_the_folder_is_no_move(memory: AsyncSekhaClient, tmp_path: Path) -> None:
    for client in (memory, memory.in_folder("/users", "ana")):
        journal = tmp_path / f"j{client is memory}"
        one = chat("1", "Q", "A")
        one["folder"], one.undated_folder = "chatgpt/2024/01", "chatgpt"
        assert (await bring(client, journal, one))[0] == {"stored": 1}
        assert (await bring(client, journal, chat("1", "Q", "A")))[0] == {"already_stored": 1}
        assert (await bring(client, journal, chat("1", "Q", "B")))[0] == {"replaced": 1}
    folders = [folder for _, folder, _ in await active(memory)]
    assert folders == ["/chatgpt/2024/01", "/users/ana/chatgpt/2024/01"]


async def test_in_a_view_what_was_moved_out_of_it_is_as_deleted(local: AsyncSekhaClient, tmp_path: Path) -> None:
    view = local.in_folder("/users", "ana")
    await bring(view, tmp_path / "j", chat("1", "Q", "A"))
    (row,) = [row async for row in local.controller.iter_conversations()]
    await local.controller.update_folder(row["id"], folder="/users/bob")
    assert (await bring(view, tmp_path / "j", chat("1", "Q", "A", "Q2")))[0] == {"stored": 1}
    assert await active(local) == [
        ("Plans", "/users/ana/chatgpt", ["Q", "A", "Q2"]),
        ("Plans", "/users/bob", ["Q", "A"]),
    ]


# Large ones


async def test_a_large_chat_is_one_in_several_pieces(
    memory: AsyncSekhaClient, local: AsyncSekhaClient, tmp_path: Path
) -> None:
    journal, text = tmp_path / "j", "x" * 700_000
    large = [f"{number} {text}" for number in range(4)]
    counts, report = await bring(memory, journal, chat("1", *large))
    assert (counts, [one["parts"] for one in report["split"]]) == ({"stored": 1}, [2])
    assert (await bring(memory, journal, chat("1", *large)))[0] == {"already_stored": 1}
    assert (await bring(memory, journal, chat("1", *large, label="Ports")))[0] == {"renamed": 1}
    assert [label for label, _, _ in await active(memory)] == ["Ports (1 of 2)", "Ports (2 of 2)"]
    assert (await bring(memory, journal, chat("1", *large, *large[:2], label="Ports")))[0] == {"grown": 1}
    labels = [(label, len(texts)) for label, _, texts in await active(memory)]
    if memory is local:
        assert labels == [("Ports (1 of 3)", 2), ("Ports (2 of 3)", 2), ("Ports (3 of 3)", 2)]
    else:
        assert labels == [("Ports (1 of 2)", 2), ("Ports (2 of 2)", 2), ("Ports (continued)", 2)]
    assert (await bring(memory, journal, chat("1", "small", *large, "end", label="Ports")))[0] == {"replaced": 1}
    counts, report = await bring(memory, journal, chat("1", "y" * 2_000_000, *large, "end", "more", label="Ports"))
    assert counts == {"failed": 1}
    assert "has 2,0" in report["failures"][0]["error"]
    texts = [texts[0][:5] for _, _, texts in await active(memory)]
    assert texts == ["small", "2 xxx"], "what is there stays"


# Interrupted


PAUSE = 0.1
"""Seconds in which a server notices that a client has gone; the clock of the client does not wait for it."""


class Interrupted(Exception):
    """Ctrl-C, or the end of the process."""


def transcript(chance: random.Random, months: int) -> list[list[ReadConversation]]:
    """Exports of several months: chats that grow, are renamed, edited, and new ones."""
    chats: dict[str, tuple[str, list[str]]] = {}
    exports: list[list[ReadConversation]] = []
    for month in range(months):
        for number in range(chance.randint(1, 3)):
            chats[f"{month}-{number}"] = ("New chat", [f"{month} {number}"])
        for id in chance.sample(sorted(chats), min(3, len(chats))):
            label, texts = chats[id]
            how = chance.choice(("grow", "grow", "rename", "edit"))
            if how == "grow":
                chats[id] = (label, [*texts, *(f"{id} {chance.random()}" for _ in range(chance.randint(1, 3)))])
            elif how == "rename":
                chats[id] = (f"{id} in {month}", texts)
            else:
                at = chance.randrange(len(texts))
                chats[id] = (label, [*texts[:at], f"{id} {chance.random()}"])
        exports.append(
            [
                chat(id, *texts, label=label, updated_at=f"2024-{month + 1:02}-01T00:00:00Z")
                for id, (label, texts) in chats.items()
            ]
        )
    return exports


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("how", ["before the note", "after the note", "after a request", "in the report"])
async def test_wherever_it_is_interrupted_nothing_is_lost_or_there_twice(
    seed: int, how: str, memory: AsyncSekhaClient, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two notes of the journal, and after each request, of which there is no note yet then."""
    give_clock(memory, clock)
    chance = random.Random(seed)
    note: Any = Journal._note
    send: Any = AsyncTransport.send
    left = [0]

    async def sending(transport: AsyncTransport, request: Any) -> Any:
        answer = await send(transport, request)
        left[0] -= how == "after a request"
        if left[0] == 0 and how == "after a request":
            raise Interrupted
        return answer

    def interrupting(journal: Journal, data: Any) -> None:
        left[0] -= "the note" in how
        if left[0] == 0 and how == "before the note":
            raise Interrupted
        note(journal, data)
        if left[0] == 0 and how == "after the note":
            raise Interrupted

    def on_progress(progress: ImportProgress) -> None:
        if how == "in the report" and chance.random() < 0.3:
            raise Interrupted

    monkeypatch.setattr(Journal, "_note", interrupting)
    monkeypatch.setattr(AsyncTransport, "send", sending)
    export: list[ReadConversation] = []
    for export in transcript(chance, 5):
        for _ in range(chance.randint(0, 4)):
            left[0] = chance.randint(1, 9)
            try:
                await bring(memory, tmp_path / "j", *export, on_progress=on_progress, concurrency=chance.choice((1, 3)))
            except Interrupted:
                await Clock().async_sleep(PAUSE)
        left[0] = 0
        if chance.random() < 0.7:
            await bring(memory, tmp_path / "j", *export)
    await bring(memory, tmp_path / "j", *export)
    await check(memory, export)
    assert (await bring(memory, tmp_path / "j", *export))[0] == {"already_stored": len(export)}


async def check(client: AsyncSekhaClient, export: Sequence[ReadConversation]) -> None:
    """Each chat is there, once, in one piece or in several."""
    expected: dict[str, list[str]] = {}
    for one in export:
        for message in one["messages"]:
            expected.setdefault(str(message["content"]), []).append(one["label"])
    found: dict[str, list[str]] = {}
    for label, _, texts in await active(client):
        for text in texts:
            found.setdefault(text, []).append(label.replace(" (continued)", ""))
    assert found == expected


async def test_an_earlier_version_that_cannot_be_removed_is_told_and_removed_later(
    make: MakeClient, server: FakeServer, tmp_path: Path
) -> None:
    client, journal = make(max_retries=0), tmp_path / "j"
    server.always(HEALTH, answer({**facts.HEALTHY, "deletes": True, "parallel_writes": True}))
    server.on(CREATE, answer(facts.CREATED, 201), answer({**facts.CREATED, "id": OTHER, "conversation_id": OTHER}, 201))
    server.on(EXPORT, tool(facts.EXPORT))
    await bring(client, journal, chat("1", "Q", "A"))
    server.on(f"DELETE {ONE}", app_error("Database error: locked", 500))
    counts, report = await bring(client, journal, chat("1", "Q", "A", "Q2"))
    assert counts == {"failed": 1}
    assert f"its earlier version, conversation {facts.ID}, was not deleted" in report["failures"][0]["error"]
    server.on(f"DELETE {ONE}", empty(200))
    assert (await bring(client, journal, chat("1", "Q", "A", "Q2")))[0] == {"already_stored": 1}
    assert server.lines[-1] == f"DELETE {ONE}"


async def test_a_lost_connection_ends_it_and_the_same_call_goes_on(
    make: MakeClient, server: FakeServer, clock: FakeClock, tmp_path: Path
) -> None:
    client, journal = make(max_retries=0), tmp_path / "j"
    give_clock(client, clock)
    server.always(HEALTH, answer(facts.HEALTHY))
    server.always(LIST, answer(facts.rows()))
    for outcome in (DROP, DROP):
        server.on(CREATE, outcome)
        with pytest.raises(SekhaError):
            await bring(client, journal, chat("1", "Q", "A"))
    server.on(CREATE, answer(facts.CREATED, 201))
    counts, report = await bring(client, journal, chat("1", "Q", "A"), chat("2", "x"))
    assert counts == {"stored": 1, "failed": 1}
    assert report["failures"][0]["error"].startswith("its outcome was unknown 2 times")
    server.on(CREATE, answer({**facts.CREATED, "id": OTHER, "conversation_id": OTHER}, 201))
    assert (await bring(client, journal, chat("1", "Q", "A"), chat("2", "x")))[0] == {"stored": 1, "already_stored": 1}


# Parts


def forget_outcomes(journal: Path) -> None:
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"done"' not in line))


async def interrupted(memory: AsyncSekhaClient, journal: Path, one: Any, stored: int) -> None:
    """As a server leaves it that was killed while it stored a conversation: begun, and in the memory in part."""
    await bring(memory, journal, one)
    forget_outcomes(journal)
    (row,) = [row async for row in memory.controller.iter_conversations()]
    await memory.controller.archive_conversation(row["id"])
    await memory.controller.update_label(row["id"], label="out of the way")
    part = {**one, "messages": one["messages"][:stored], "folder": "/chatgpt"}
    await memory.controller.create_conversation(part)


@pytest.mark.parametrize("id", ["1", None])
async def test_a_part_is_completed(
    id: Optional[str], memory: AsyncSekhaClient, local: AsyncSekhaClient, clock: FakeClock, tmp_path: Path
) -> None:
    give_clock(memory, clock)
    one, journal = chat(id, "Q", "A", "Q2"), tmp_path / "j"
    await interrupted(memory, journal, one, 2)
    counts, report = await bring(memory, journal, one)
    assert (counts, [action for action, _ in said(report)]) == ({"stored": 1}, ["mended"])
    if memory is local:
        assert await active(memory) == [("Plans", "/chatgpt", ["Q", "A", "Q2"])]
    else:
        assert await active(memory) == [("Plans", "/chatgpt", ["Q", "A"]), ("Plans (continued)", "/chatgpt", ["Q2"])]
    assert (await bring(memory, journal, one))[0] == {"already_stored": 1}


async def test_a_part_of_a_chat_that_has_grown_since(
    memory: AsyncSekhaClient, local: AsyncSekhaClient, clock: FakeClock, tmp_path: Path
) -> None:
    give_clock(memory, clock)
    await interrupted(memory, tmp_path / "j", chat("1", "Q", "A", "Q2"), 1)
    counts, report = await bring(memory, tmp_path / "j", chat("1", "Q", "A", "Q2", "A2", label="Ports"))
    assert (counts, [action for action, _ in said(report)]) == ({"stored": 1}, ["mended"])
    texts = [(label, texts) for label, _, texts in await active(memory)]
    if memory is local:
        assert texts == [("Ports", ["Q", "A", "Q2", "A2"])]
    else:
        assert texts == [("Ports", ["Q"]), ("Ports (continued)", ["A", "Q2", "A2"])]


async def test_a_conversation_without_any_message_is_deleted(
    memory: AsyncSekhaClient, clock: FakeClock, tmp_path: Path
) -> None:
    give_clock(memory, clock)
    for id in ("1", None):
        journal, one = tmp_path / f"j{id}", chat(id, "Q", "A", label=f"Chat {id}")
        before = [row["id"] async for row in memory.controller.iter_conversations()]
        await bring(memory, journal, one)
        forget_outcomes(journal)
        (row,) = [row async for row in memory.controller.iter_conversations() if row["id"] not in before]
        await memory.controller.archive_conversation(row["id"])
        await memory.controller.update_label(row["id"], label="out of the way")
        empty_one: Any = {"label": f"Chat {id}", "folder": "/chatgpt", "messages": []}
        await memory.controller.create_conversation(empty_one)
        assert (await bring(memory, journal, one))[0] == {"stored": 1}
        assert [texts for label, _, texts in await active(memory) if label == f"Chat {id}"] == [["Q", "A"]]


@pytest.mark.parametrize("id", ["1", None])
@pytest.mark.parametrize("left", range(1, 6))
async def test_completing_may_be_interrupted_too(
    id: Optional[str],
    left: int,
    memory: AsyncSekhaClient,
    clock: FakeClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give_clock(memory, clock)
    one, journal = chat(id, "Q", "A", "Q2"), tmp_path / "j"
    await interrupted(memory, journal, one, 2)
    note: Any = Journal._note
    notes = [left]

    def interrupting(journal: Journal, data: Any) -> None:
        note(journal, data)
        notes[0] -= 1
        if notes[0] == 0:
            raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_note", interrupting)
        with suppress(Interrupted):
            await bring(memory, journal, one)
    await Clock().async_sleep(PAUSE)
    await bring(memory, journal, one)
    assert [text for _, _, texts in await active(memory) for text in texts] == ["Q", "A", "Q2"]
    assert (await bring(memory, journal, one))[0] == {"already_stored": 1}
