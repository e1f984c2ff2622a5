"""What `sekha export --format full` writes comes back once: into the same memory, and into another one."""

from __future__ import annotations

import json
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sekha import AsyncSekhaClient, SekhaServerError, SekhaWarning
from sekha.exports import read_export
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha, answer_with
from support.clock import FakeClock, give_clock

DATES = {"created_at": "2023-03-01T08:00:00+00:00", "updated_at": "2024-02-01T08:00:00+00:00"}
ARCHIVE = "PUT /api/v1/conversations/{id}/archive"


def chat(label: str, *texts: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text, "timestamp": "2023-03-01T09:00:00Z"} for text in texts or (label,)]
    return {"label": label, "folder": "/work", "messages": messages, **more}


@pytest.fixture
async def export(local: AsyncSekhaClient, tmp_path: Path) -> Path:
    """What a memory with four conversations exports: a plain one, an important one, an archived and a pinned one."""
    path = tmp_path / "a.jsonl"
    dated = [{**DATES, **chat("Plans", " When?\n", "On Fridays.")}, {**DATES, **chat("Pie", importance_score=8)}]
    path.write_text("".join(json.dumps(one) + "\n" for one in dated))
    await local.controller.import_conversations(read_export(path))
    old = await local.controller.create_conversation(chat("Old"))
    await local.controller.archive_conversation(old["id"])
    pinned = await local.controller.create_conversation(chat("Pinned"))
    await local.controller.pin_conversation(pinned["id"])
    full = tmp_path / "full.jsonl"
    full.write_text(await exported(local))
    return full


async def exported(client: AsyncSekhaClient) -> str:
    """All conversations as the command line writes them."""
    lines: list[str] = []
    async for row in client.controller.iter_conversations():
        found = await client.mcp.memory_export(row["conversation_id"])
        lines.append(json.dumps({"conversation": found["conversation"], "messages": found["messages"]}) + "\n")
    return "".join(lines)


async def described(client: AsyncSekhaClient, *, dates: bool = True) -> list[dict[str, Any]]:
    """All that is to come back of each conversation, in order of labels."""
    found: list[dict[str, Any]] = []
    async for row in client.controller.iter_conversations():
        data = await client.mcp.memory_export(row["conversation_id"])
        about = data["conversation"]
        names = ["label", "folder", "status", "importance_score", *(DATES if dates else ())]
        keys = ["role", "content", *(["timestamp"] if dates else [])]
        whole: dict[str, Any] = {name: dict(about)[name] for name in names}
        whole["messages"] = [{key: dict(message)[key] for key in keys} for message in data["messages"]]
        found.append(whole)
    return sorted(found, key=lambda one: str(one["label"]))


@pytest.fixture
async def other() -> AsyncIterator[AsyncSekhaClient]:
    """A client of another memory."""
    with LocalSekha() as sekha:
        async with AsyncSekhaClient(**sekha.options) as client:
            yield client


async def test_nothing_is_stored_twice_in_the_same_memory(
    local: AsyncSekhaClient, export: Path, tmp_path: Path
) -> None:
    before = await described(local)
    for journal in (None, tmp_path / "j", tmp_path / "j", tmp_path / "another"):
        report = await local.controller.import_conversations(read_export(export), journal=journal)
        assert (report["seen"], report["already_stored"]) == (4, 4)
    assert await described(local) == before


async def test_what_was_deleted_since_comes_back(local: AsyncSekhaClient, export: Path, tmp_path: Path) -> None:
    before = await described(local)
    (row,) = (await local.controller.list_conversations(label="Pie"))["results"]
    await local.controller.delete_conversation(row["id"])
    report = await local.controller.import_conversations(read_export(export))
    assert (report["stored"], report["already_stored"]) == (1, 3)
    assert await described(local) == before


async def test_another_memory_has_it_once_with_dates_status_and_importance(
    local: AsyncSekhaClient, other: AsyncSekhaClient, export: Path, tmp_path: Path
) -> None:
    before = await described(local)
    assert {one["status"] for one in before} == {"active", "archived"}
    assert [one["importance_score"] for one in before] == [5, 8, 10, 5]
    assert sum(str(one["created_at"]).startswith("2023-03-01T08:00:00") for one in before) == 2
    for expected in ("stored", "already_stored"):
        report = await other.controller.import_conversations(read_export(export), journal=tmp_path / "j")
        assert {key: one for key, one in report.items() if one} == {"seen": 4, expected: 4}
        assert await described(other) == before
    again = tmp_path / "again.jsonl"
    again.write_text(await exported(other))
    report = await other.controller.import_conversations(read_export(again))
    assert report["already_stored"] == 4, "under the ids that it has there"


async def test_the_controller_0_1_has_it_once_with_status_and_importance(
    local: AsyncSekhaClient, real: AsyncSekhaClient, export: Path, tmp_path: Path
) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", SekhaWarning)
        for expected in ("stored", "already_stored"):
            report = await real.controller.import_conversations(read_export(export), journal=tmp_path / "j")
            assert report[expected] == 4
    assert ["timestamp" in str(one.message) or "lost" in str(one.message) for one in warned] == [True]
    assert await described(real, dates=False) == await described(local, dates=False)


async def test_in_a_view_what_is_elsewhere_is_not_there(local: AsyncSekhaClient, export: Path) -> None:
    view = local.in_folder("/users", "ana")
    report = await view.controller.import_conversations(read_export(export, folder="mine"))
    assert report["stored"] == 4
    rows = (await local.controller.list_conversations(folder="/users/ana/mine"))["results"]
    assert {row["metadata"].get("status") for row in rows} == {"active", "archived"}
    assert len(await described(local)) == 8


async def test_one_that_could_not_be_archived_is_archived_by_the_next_run(
    local: AsyncSekhaClient, export: Path, clock: FakeClock, tmp_path: Path
) -> None:
    with LocalSekha(profile="controller-0.1") as sekha, ScriptedSekha(sekha) as faulty, warnings.catch_warnings():
        warnings.simplefilter("ignore", SekhaWarning)
        async with AsyncSekhaClient(**faulty.options, max_retries=0) as client:
            give_clock(client, clock)
            faulty.fail(ARCHIVE, answer_with(503, {"error": "busy", "code": 503}))
            with pytest.raises(SekhaServerError, match=r"conversation \S+ is stored, but not archived yet"):
                await client.controller.import_conversations(read_export(export), journal=tmp_path / "j", concurrency=1)
            await client.controller.import_conversations(read_export(export), journal=tmp_path / "j")
            assert await described(client, dates=False) == await described(local, dates=False)
