"""Conversations of a Sekha memory, with their ids, dates and status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from sekha.exports import read_export
from sekha.exports._building import ReadConversation
from sekha.exports._kinds import find_kind
from sekha.exports._sekha import parse_sekha
from sekha.types import UnreadableConversation
from unit.exports.mutations import check_mutations

ID = "7c4232c1-6731-4135-af20-23919a1243dd"
PARTS = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]


def exported(**more: Any) -> Dict[str, Any]:
    """A conversation as `memory_export` returns it."""
    about = {
        "id": ID, "conversation_id": ID, "label": "Releases", "folder": "/work", "status": "archived",
        "importance_score": 8.0, "word_count": 5, "session_count": 1,
        "created_at": "2023-11-22T18:53:13.115557+00:00", "updated_at": "2024-01-02T03:04:05+00:00",
    }  # fmt: skip
    messages: List[Dict[str, Any]] = [
        {"id": "m1", "role": "user", "content": "  When?\n", "timestamp": "2023-11-22T18:53:14Z", "metadata": {}},
        {"id": "m2", "role": "assistant", "content": PARTS, "timestamp": None, "metadata": {"citation": None}},
        {"id": "m3", "role": "system", "content": "", "embedding_id": "e"},
    ]
    return {"conversation": {**about, **more}, "messages": messages}


def test_all_that_another_memory_can_keep_is_read_as_it_is() -> None:
    found = parse_sekha(exported(), None)
    assert dict(found) == {
        "label": "Releases",
        "folder": "/work",
        "importance_score": 8,
        "messages": [
            {"role": "user", "content": "  When?\n", "timestamp": "2023-11-22T18:53:14Z"},
            {"role": "assistant", "content": PARTS, "metadata": {"citation": None}},
        ],
    }
    assert (found.source_id, found.memory_id, found.is_archived) == (ID, ID, True)
    assert found.created_at == "2023-11-22T18:53:13.115557+00:00"
    assert found.updated_at == "2024-01-02T03:04:05+00:00"
    assert found.left_out == {"empty": 1}


def test_what_is_asked_for_beats_its_folder_and_an_active_one_is_active() -> None:
    found = parse_sekha(exported(status="active"), "/elsewhere")
    assert (found["folder"], found.is_archived) == ("/elsewhere", False)


@pytest.mark.parametrize(
    ("given", "expected"), [(10, 10), (6.6, 7), (0, None), (11, None), ("8", None), (None, None), (float("nan"), None)]
)
def test_an_importance_that_is_none_is_the_usual_one(given: Any, expected: Any) -> None:
    assert parse_sekha(exported(importance_score=given), None).get("importance_score") == expected


@pytest.mark.parametrize("form", ["json", "full"])
def test_both_forms_with_an_id_are_read(form: str, tmp_path: Path) -> None:
    path = tmp_path / "export"
    path.write_text(json.dumps(exported(), indent=2) if form == "json" else f"{json.dumps(exported())}\n" * 2)
    found = list(read_export(path))
    assert len(found) == (1 if form == "json" else 2)
    for one in found:
        assert isinstance(one, ReadConversation)
        assert (one.memory_id, one["label"], len(one["messages"])) == (ID, "Releases", 2)
    kind = find_kind(exported())
    assert kind is not None
    assert kind.name == "Sekha's own full form"


def test_what_is_not_understood_is_counted(tmp_path: Path) -> None:
    data = exported()
    data["messages"][1:] = [7, {"role": "user", "content": 7}]
    found = parse_sekha(data, None)
    assert len(found["messages"]) == 1
    assert sum(found.left_out.values()) == 2
    bad: List[Dict[str, Any]] = [{**exported(), "messages": 7}, {**exported(), "messages": [7]}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in bad))
    assert all(isinstance(one, UnreadableConversation) for one in read_export(tmp_path / "a.jsonl"))


def test_no_wrong_type_is_lost_in_silence() -> None:
    check_mutations(lambda data: parse_sekha(data, None), exported(), optional=("content", "url"))
