# Generated from tests/_async/test_import_sizes.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Chats above the 2 MiB that servers accept: stored in parts, each whole message once, whatever happens."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from sekha import SekhaClient, SekhaServerError, SekhaValidationError, SekhaWarning
from sekha.exports import read_export
from sekha.local import LocalSekha
from support import facts
from support.clock import FakeClock, give_clock
from support.replies import answer, app_error, text
from support.server import FakeServer

CREATE = "POST /api/v1/conversations"


def long_chat(count: int = 29, label: str = "A long year", **more: Any) -> dict[str, Any]:
    """A conversation of count times 100 kB, with characters of three bytes and such as JSON escapes."""
    messages = [{"role": "user", "content": f"{n} " + '中"\n' * 14_300} for n in range(count)]
    return {"label": label, "messages": messages, **more}


@pytest.fixture(params=["documented", "controller-0.1"])
def memory(request: pytest.FixtureRequest, local: SekhaClient, real: SekhaClient) -> SekhaClient:
    """A client of a local Sekha of each profile."""
    return local if request.param == "documented" else real


def contents(client: SekhaClient) -> dict[str, list[str]]:
    """The beginnings of the messages of everything in the memory, by label."""
    found: dict[str, list[str]] = {}
    for row in client.controller.iter_conversations():
        messages = client.controller.get_messages(row["conversation_id"])
        assert row["label"] not in found, "stored twice"
        found[row["label"]] = [str(message["content"]).split()[0] for message in messages]
    return dict(sorted(found.items()))


def test_servers_refuse_more_than_two_mebibytes(memory: SekhaClient) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        memory.controller.create_conversation(long_chat())
    assert caught.value.status_code == 413


def test_a_large_chat_is_stored_in_parts_and_counted_once(memory: SekhaClient, tmp_path: Path) -> None:
    conversations = [{"messages": [{"role": "user", "content": "small"}]}, long_chat(folder="/work")]
    journal = tmp_path / "j"
    report = memory.controller.import_conversations(conversations, journal=journal)
    assert {key: one for key, one in report.items() if one} == {
        "seen": 2,
        "stored": 2,
        "split": [{"position": 2, "place": None, "label": "A long year", "parts": 2}],
    }
    expected = {
        "A long year (1 of 2)": [str(n) for n in range(18)],
        "A long year (2 of 2)": [str(n) for n in range(18, 29)],
        "small": ["small"],
    }
    assert contents(memory) == expected
    assert len((memory.controller.list_conversations(folder="/work"))["results"]) == 2
    again = memory.controller.import_conversations(conversations, journal=journal)
    assert {key: one for key, one in again.items() if one} == {"seen": 2, "already_stored": 2}
    assert contents(memory) == expected


def test_importance_and_dates_are_those_of_each_part(memory: SekhaClient, tmp_path: Path) -> None:
    chat = {
        "uuid": "u1",
        "name": "A long year",
        "created_at": "2023-03-01T08:00:00Z",
        "chat_messages": [
            {"sender": "human", "text": one["content"], "created_at": f"2023-03-{n + 1:02}T08:00:00Z"}
            for n, one in enumerate(long_chat()["messages"])
        ],
    }
    (tmp_path / "conversations.json").write_text(json.dumps([chat]), encoding="utf-8")
    (read,) = read_export(tmp_path / "conversations.json", dated=True)
    assert isinstance(read, dict)
    read["importance_score"] = 8
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SekhaWarning)  # the controller 0.1 keeps no dates
        report = memory.controller.import_conversations([read])
    assert report["split"][0]["place"] is not None
    rows = (memory.controller.list_conversations(folder="/claude/2023/03"))["results"]
    assert [row["metadata"].get("importance_score") for row in rows] == [8, 8]
    keeps = (memory.controller.health()).get("keeps")
    for row in rows:
        created = str((memory.controller.get_conversation(row["id"]))["created_at"])
        assert created.startswith("2023-03-01T08:00:00") == bool(keeps)


def test_nothing_is_stored_of_a_chat_with_a_message_that_is_too_large(memory: SekhaClient) -> None:
    chat = long_chat()
    chat["messages"][20]["content"] = "x" * 2_000_000
    report = memory.controller.import_conversations([chat, long_chat(1, "B")])
    (failure,) = report["failures"]
    assert (failure["position"], failure["label"], failure["may_have_been_applied"]) == (1, "A long year", False)
    assert failure["error"].startswith("messages[20] has 2,000,")
    assert list(contents(memory)) == ["B"]
    assert report["split"] == []


def test_images_are_left_out_before_it_is_split(memory: SekhaClient) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 2_000_000}}
    chat = {"label": "A", "messages": [{"role": "user", "content": [{"type": "text", "text": "Look:"}, image]}]}
    report = memory.controller.import_conversations([chat])
    assert "drop_images" in report["failures"][0]["error"]
    report = memory.controller.import_conversations([chat], drop_images=True)
    assert (report["stored"], report["split"]) == (1, [])
    (row,) = (memory.controller.list_conversations())["results"]
    (message,) = memory.controller.get_messages(row["id"])
    assert message["content"] == "Look:\n[image]"


def test_an_import_that_broke_off_between_parts_goes_on(
    client: SekhaClient, server: FakeServer, tmp_path: Path
) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    server.on(CREATE, answer(facts.CREATED, 201), text("Bad Gateway", 502))
    chat = long_chat(50)
    with pytest.raises(SekhaServerError):
        client.controller.import_conversations([chat], journal=tmp_path / "j", concurrency=1)
    server.always("GET /api/v1/conversations", answer(facts.rows()))
    server.on(CREATE, *[answer(facts.CREATED, 201)] * 2)
    report = client.controller.import_conversations([chat], journal=tmp_path / "j", concurrency=1)
    assert (report["seen"], report["stored"], report["split"][0]["parts"]) == (1, 1, 3)
    sent = [json.loads(one.body)["label"] for one in server.seen if one.line == CREATE]
    parts = [f"A long year ({n} of 3)" for n in (1, 2, 3)]
    assert sent == [parts[0], parts[1], parts[2], parts[1]], "what was on its way is looked up first"


def test_parts_that_an_interrupted_import_has_stored_are_found(
    sekha: LocalSekha, local: SekhaClient, clock: FakeClock, tmp_path: Path
) -> None:
    journal, chat = tmp_path / "j", long_chat()
    local.controller.import_conversations([chat], journal=journal)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if '"done"' not in line))
    give_clock(local, clock)
    report = local.controller.import_conversations([chat], journal=journal)
    assert (report["seen"], report["stored"], report["already_stored"], report["split"]) == (1, 0, 1, [])
    assert len(contents(local)) == 2


def test_a_part_that_is_refused_is_tried_again_alone(
    client: SekhaClient, server: FakeServer, tmp_path: Path
) -> None:
    server.always("GET /health", answer(facts.HEALTHY))
    server.on(CREATE, answer(facts.CREATED, 201), app_error("no such folder", 400))
    report = client.controller.import_conversations([long_chat()], journal=tmp_path / "j", concurrency=1)
    (failure,) = report["failures"]
    assert (report["seen"], report["failed"], failure["label"]) == (1, 1, "A long year (2 of 2)")
    assert [one["parts"] for one in report["split"]] == [2], "one of them is in the memory"
    server.on(CREATE, answer(facts.CREATED, 201))
    report = client.controller.import_conversations([long_chat()], journal=tmp_path / "j")
    assert (report["seen"], report["stored"], report["failed"]) == (1, 1, 0)
