"""What Claude remembers, and its projects with their documents, as notes."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from sekha.exports import ExportItem, read_export
from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._claude_memories import is_memories, is_project, parse_memories, parse_project
from sekha.types import UnreadableConversation
from unit.exports.wrong_types import broken

pytestmark = pytest.mark.promise("W13")

DAY, LATER = "2025-05-01T09:00:00.000000Z", "2025-06-01T09:00:00.000000Z"
MEMORIES: Dict[str, Any] = {
    "conversations_memory": "They repair bicycles.",
    "project_memories": {"p1": "Uses metric parts."},
    "account_uuid": "a1",
}
FILES: Dict[str, Any] = {
    "account_uuid": "a1",
    "memory_files": [{"path": "/areas/bikes.md", "content": "# Bikes", "created_at": DAY, "updated_at": LATER}],
}
PROJECT: Dict[str, Any] = {
    "uuid": "p1",
    "name": "Bikes / spare\nparts",
    "description": "All about bicycles.",
    "prompt_template": "Be brief.",
    "is_private": True,
    "is_starter_project": False,
    "creator": {"uuid": "a1", "full_name": "Ana"},
    "created_at": DAY,
    "updated_at": LATER,
    "docs": [{"uuid": "d1", "filename": "parts.md", "content": "Chain, brake.", "created_at": DAY}],
}
CHAT: Dict[str, Any] = {"uuid": "c1", "name": "Plans", "chat_messages": [{"sender": "human", "text": "Hello"}]}


def shown(notes: List[ReadConversation]) -> List[Tuple[Any, Any, Any, List[str]]]:
    return [
        (note.source_id, note["folder"], note.get("label"), [one["content"] for one in note["messages"]])
        for note in notes
    ]


def test_memories_are_notes() -> None:
    assert is_memories(MEMORIES)
    assert shown(list(parse_memories(MEMORIES, None))) == [
        ("a1/project/p1", "/claude/memories", "Memory of project p1", ["Uses metric parts."]),
        ("a1/memory", "/claude/memories", "Memory", ["They repair bicycles."]),
    ]


def test_files_of_the_memory_are_notes() -> None:
    assert is_memories(FILES)
    (note,) = parse_memories(FILES, "/old")
    assert shown([note]) == [("a1/file//areas/bikes.md", "/old/memories", "areas/bikes.md", ["# Bikes"])]
    assert (note.created_at, note.updated_at) == (DAY, LATER)
    assert note["messages"][0] == {"role": "user", "content": "# Bikes", "timestamp": LATER}


def test_a_project_and_its_documents_are_notes() -> None:
    assert is_project(PROJECT)
    notes = list(parse_project(PROJECT, None))
    folder = "/claude/projects/Bikes spare parts"
    assert shown(notes) == [
        ("p1/document/d1", folder, "parts.md", ["Chain, brake."]),
        ("p1/project", folder, "Bikes / spare\nparts", ["All about bicycles.\nBe brief."]),
    ]
    assert [(note.created_at, note.updated_at) for note in notes] == [(DAY, None), (DAY, LATER)]


def test_notes_have_no_month(tmp_path: Path) -> None:
    (tmp_path / "projects.json").write_text(json.dumps([PROJECT, FILES]))
    notes: Any = list(read_export(tmp_path / "projects.json", with_memories=True, dated=True))
    assert [note["folder"].partition("/")[2] for note in notes] == ["projects/Bikes spare parts"] * 2 + ["memories"]


@pytest.mark.parametrize(
    ("name", "folder"),
    [("..", "p1"), (" . ", "p1"), (None, "p1"), ("", "p1"), ("a/../b", "a .. b"), ("x\x00\x85y", "x y"), ("/", "p1")],
)
def test_the_name_of_a_project_is_one_folder(name: Any, folder: str) -> None:
    (note, *_) = parse_project({**PROJECT, "name": name}, None)
    assert note["folder"] == f"/claude/projects/{folder}"


def test_what_is_nothing_is_empty_once() -> None:
    for notes in (
        list(parse_project({"uuid": "p", "name": "New", "prompt_template": "", "docs": []}, None)),
        list(parse_memories({"conversations_memory": "", "account_uuid": "a1"}, None)),
    ):
        assert [note["messages"] for note in notes] == [[]]


def test_a_project_that_claude_made_is_counted() -> None:
    (note,) = parse_project({**PROJECT, "is_starter_project": True}, None)
    assert (note["messages"], note.left_out) == ([], {"projects made by Claude": 1})


def test_what_is_not_understood_costs_nothing_else() -> None:
    docs = [7, {"filename": "a.md", "content": ["x"]}, *PROJECT["docs"]]
    notes = list(parse_project({**PROJECT, "docs": docs, "colour": "red"}, None))
    assert [note.get("label") for note in notes] == ["parts.md", "Bikes / spare\nparts"]
    assert notes[1].left_out == {
        "unknown: key colour": 1,
        "unknown: docs that are no objects": 1,
        "unknown: document whose text is no text": 1,
    }
    found = parse_memories({"conversations_memory": ["x"], "project_memories": {"p": "Tea"}}, None)
    assert next(found)["messages"][0]["content"] == "Tea"
    with pytest.raises(Unreadable, match="memory whose text is no text"):
        next(found)


def test_whatever_stands_there_is_read_or_counted() -> None:
    for whole, parse in ((MEMORIES, parse_memories), (FILES, parse_memories), (PROJECT, parse_project)):
        for data in broken(whole):
            try:
                for note in parse(data, None):
                    assert len(note["messages"]) <= 1
            except Unreadable:
                continue


def archive(path: Path, *files: Tuple[str, Any]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, data in files:
            made.writestr(name, data if isinstance(data, bytes) else json.dumps(data))
    return path


def zipped(*files: Tuple[str, Any]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        for name, content in files:
            made.writestr(name, json.dumps(content))
    return data.getvalue()


def labels(items: List[ExportItem]) -> List[Any]:
    return ["?" if isinstance(item, UnreadableConversation) else item.get("label") for item in items]


ONE_ARCHIVE = [("conversations.json", [CHAT]), ("memories.json", [MEMORIES]), ("users.json", [{"uuid": "a1"}])]


@pytest.mark.parametrize("projects", [[("projects.json", [PROJECT])], [("projects/p1.json", PROJECT)]])
def test_memories_are_read_when_asked_for(projects: List[Tuple[str, Any]], tmp_path: Path) -> None:
    path = archive(tmp_path / "data.zip", *ONE_ARCHIVE, *projects)
    reader = read_export(path)
    assert labels(list(reader)) == ["Plans"]
    assert getattr(reader, "left_out") == {"files of memories and projects": 2, "file users.json": 1}  # noqa: B009
    reader = read_export(path, with_memories=True)
    assert labels(list(reader)) == ["Plans", "Memory of project p1", "Memory", "parts.md", "Bikes / spare\nparts"]
    assert getattr(reader, "left_out") == {"file users.json": 1}  # noqa: B009
    folders = {item["folder"] for item in read_export(path, with_memories=True) if isinstance(item, ReadConversation)}
    assert folders == {"claude", "claude/memories", "claude/projects/Bikes spare parts"}


def test_an_archive_for_each_thing(tmp_path: Path) -> None:
    (tmp_path / "conversations-000.zip").write_bytes(zipped(("conversations.json", [CHAT])))
    (tmp_path / "memories-000.zip").write_bytes(zipped(("memories/a1.json", FILES)))
    (tmp_path / "projects-000.zip").write_bytes(zipped(("projects/p1.json", PROJECT)))
    reader = read_export(tmp_path)
    assert labels(list(reader)) == ["Plans"]
    assert getattr(reader, "left_out") == {"files of memories and projects": 2}  # noqa: B009
    assert labels(list(read_export(tmp_path, with_memories=True))) == [
        "Plans",
        "areas/bikes.md",
        "parts.md",
        "Bikes / spare\nparts",
    ]


@pytest.mark.parametrize("form", ["file", "archive"])
def test_memories_alone_are_named_with_the_option(form: str, tmp_path: Path) -> None:
    path = tmp_path / "memories.json"
    path.write_text(json.dumps([MEMORIES] * 20))
    if form == "archive":
        path = archive(tmp_path / "x.zip", (path.name, path.read_bytes()))
    (item,) = read_export(path)
    assert isinstance(item, UnreadableConversation)
    assert item.problem.startswith("Claude's memories: imported only with --with-memories")


def test_what_stands_beside_the_chats_of_chatgpt_is_named(tmp_path: Path) -> None:
    said = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Hello"]}}
    chat = {"title": "Plans", "current_node": "a", "mapping": {"a": {"id": "a", "parent": None, "message": said}}}
    beside: Dict[str, Any] = {
        "user.json": {"id": "user-1", "email": "ana@example.org", "chatgpt_plus_user": True},
        "user_settings.json": {"user_id": "user-1", "settings": {}},
        "message_feedback.json": [
            {"id": "f1", "conversation_id": "c1", "user_id": "u", "rating": "thumbs_up", "content": "{}"}
        ],
        "shared_conversations.json": [{"id": "s1", "conversation_id": "c1", "title": "Plans", "is_anonymous": True}],
        "model_comparisons.json": [{"id": "m1", "user_id": "u", "input": {}, "output": {}, "create_time": "x"}],
        "export_manifest.json": {"files": [{"name": "conversations.json"}]},
        "conversation_asset_file_names.json": {"file-1.dat": "a.png"},
        "group_chats.json": {"chats": []},
        "chat.html": b"<html>",
        "file-1.png": b"x",
    }
    reader = read_export(archive(tmp_path / "x.zip", ("conversations.json", [chat]), *beside.items()))
    assert labels(list(reader)) == ["Plans"]
    files = {f"file {name}": 1 for name in beside if not name.endswith(".png")}
    assert getattr(reader, "left_out") == {**files, ".png files": 1}  # noqa: B009
