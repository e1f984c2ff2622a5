"""The dates of imported chats: in the folder, in the memory where the server can, else a word about it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaWarning
from sekha._importing.journal import Journal
from sekha.exports import read_export
from sekha.local import LocalSekha
from support.clock import FakeClock, give_clock

BEGUN, CHANGED = "2023-11-30T23:30:00-02:00", "2024-02-01T08:00:00Z"


@pytest.fixture(params=[True, False], ids=["times of messages", "no times of messages"])
def export(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A chat of Claude."""
    message: dict[str, Any] = {"sender": "human", "text": "When do we ship?"}
    if request.param:
        message["created_at"] = BEGUN
    chat = {"uuid": "u1", "name": "Shipping", "created_at": BEGUN, "updated_at": CHANGED, "chat_messages": [message]}
    path = tmp_path / "conversations.json"
    path.write_text(json.dumps([chat]))
    return path


async def test_the_documented_profile_keeps_the_dates(local: AsyncSekhaClient, export: Path) -> None:
    report = await local.controller.import_conversations(read_export(export))
    assert report["stored"] == 1
    (row,) = (await local.controller.list_conversations(start_date="2024-02-01", end_date="2024-02-01"))["results"]
    assert row["folder"] == "/claude"
    found = await local.controller.get_conversation(row["id"])
    assert str(found["created_at"]).startswith("2023-12-01T01:30:00")
    assert row["timestamp"].startswith("2024-02-01T08:00:00")
    (message,) = await local.controller.get_messages(row["id"])
    assert str(message["timestamp"]).startswith("2023-12-01T01:30:00")


async def test_elsewhere_the_client_says_once_that_they_are_lost(real: AsyncSekhaClient, export: Path) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for folder in ("/a", "/b"):
            report = await real.controller.import_conversations(read_export(export, folder=folder))
            assert report["stored"] == 1
    assert len(warned) == 1
    assert issubclass(warned[0].category, SekhaWarning)
    assert "lost" in str(warned[0].message)


async def test_the_month_is_in_the_folder_and_not_in_the_journal(local: AsyncSekhaClient, export: Path) -> None:
    journal = export.with_name("j")
    report = await local.controller.import_conversations(read_export(export, dated=True), journal=journal)
    assert report["stored"] == 1
    (row,) = (await local.controller.list_conversations())["results"]
    assert row["folder"] == "/claude/2023/12"
    report = await local.controller.import_conversations(read_export(export), journal=journal)
    assert (report["stored"], report["already_stored"]) == (0, 1)


async def test_folders_of_readers_are_below_that_of_a_view(local: AsyncSekhaClient, export: Path) -> None:
    view = local.in_folder("/users", "ana")
    report = await view.controller.import_conversations(read_export(export, dated=True), journal=export.with_name("j"))
    assert (report["stored"], report["failed"]) == (1, 0)
    (row,) = (await local.controller.list_conversations())["results"]
    assert row["folder"] == "/users/ana/claude/2023/12"


async def test_what_has_its_old_date_and_was_on_its_way_is_looked_up(
    local: AsyncSekhaClient, sekha: LocalSekha, clock: FakeClock, export: Path
) -> None:
    give_clock(local, clock)
    chat: Any = next(read_export(export))
    await local.controller.import_conversations([chat])
    notes = Journal(str(export.with_name("j")), str(sekha.controller_url))
    notes.open()
    notes.start((await local.controller.health()).get("timestamp"))
    notes.begin(notes.entry({"importance_score": 5, **chat, "folder": "/claude"}).key)
    notes.close()
    report = await local.controller.import_conversations(read_export(export), journal=export.with_name("j"))
    assert (report["stored"], report["already_stored"]) == (0, 1)
