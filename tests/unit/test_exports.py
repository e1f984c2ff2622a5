"""Exports of other applications, as they are and broken."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from sekha import SekhaConfigError
from sekha.exports import ExportItem, read_export
from sekha.types import UnreadableConversation


def written(folder: Path, data: Any, name: str = "conversations.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def read(path: Path, **options: Any) -> List[ExportItem]:
    return list(read_export(path, **options))


def texts(item: ExportItem) -> List[str]:
    assert not isinstance(item, UnreadableConversation), item
    return [f"{message['role']}: {message['content']}" for message in item["messages"]]


# ChatGPT


def node(id: str, parent: Optional[str], *children: str, role: str = "user", **message: Any) -> Dict[str, Any]:
    """A node of ChatGPT's tree; without content, one without a message."""
    told = {"id": id, "author": {"role": role}, "create_time": 1700000000.5, "recipient": "all", **message}
    return {"id": id, "parent": parent, "children": list(children), "message": told if "content" in message else None}


def says(*parts: Any, kind: str = "text") -> Dict[str, Any]:
    return {"content_type": kind, "parts": list(parts)}


def chatgpt(*nodes: Dict[str, Any], current: Any = None, **more: Any) -> Dict[str, Any]:
    mapping = {each["id"]: each for each in nodes}
    return {"title": "A chat", "create_time": 1.7e9, "mapping": mapping, "current_node": current, **more}


EDITED = (
    node("root", None, "system"),
    node("system", "root", "q1", "q2", role="system", content=says("You are kind")),
    node("q1", "system", "a1", content=says("First wording")),
    node("a1", "q1", role="assistant", content=says("First answer")),
    node("q2", "system", "a2", "a3", content=says("Second wording")),
    node("a2", "q2", role="assistant", content=says("Answer")),
    node("a3", "q2", role="assistant", content=says("Answer, once more")),
)


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        ("a2", ["user: Second wording", "assistant: Answer"]),
        ("a1", ["user: First wording", "assistant: First answer"]),
        ("a3", ["user: Second wording", "assistant: Answer, once more"]),
        (None, ["user: Second wording", "assistant: Answer, once more"]),
        ("gone", ["user: Second wording", "assistant: Answer, once more"]),
    ],
)
def test_the_branch_that_was_shown_last_is_taken_else_the_latest_edits(
    current: Any, expected: List[str], tmp_path: Path
) -> None:
    (item,) = read(written(tmp_path, [chatgpt(*EDITED, current=current)]))
    assert texts(item) == expected


def test_label_folder_and_times_come_along(tmp_path: Path) -> None:
    path = written(tmp_path, [chatgpt(*EDITED, current="a1")])
    (item,) = read(path)
    assert item == {
        "label": "A chat",
        "folder": "chatgpt",
        "messages": [
            {"role": "user", "content": "First wording", "timestamp": "2023-11-14T22:13:20.500000+00:00"},
            {"role": "assistant", "content": "First answer", "timestamp": "2023-11-14T22:13:20.500000+00:00"},
        ],
    }
    (item,) = read(path, folder="/old")
    assert not isinstance(item, UnreadableConversation)
    assert item["folder"] == "/old"


def test_what_is_no_text_is_a_word_and_what_nobody_saw_is_left_out(tmp_path: Path) -> None:
    nodes = (
        node("1", None, "2", content=says("Look:", {"content_type": "image_asset_pointer"}, kind="multimodal_text")),
        node(
            "2", "1", "3", role="assistant", content={"content_type": "code", "text": "import os"}, recipient="python"
        ),
        node("3", "2", "4", role="tool", content={"content_type": "execution_output", "text": "done"}),
        node("4", "3", "5", role="assistant", content={"content_type": "thoughts", "thoughts": [{"content": "hm"}]}),
        node("5", "4", "6", role="assistant", content=says("Nice\0 picture")),
        node("6", "5", "7", content=says("unseen"), metadata={"is_visually_hidden_from_conversation": True}),
        node(
            "7",
            "6",
            "8",
            content=says({"content_type": "audio_transcription", "text": "spoken"}, {"content_type": "x"}),
        ),
        node("8", "7", content=says("Read this"), metadata={"attachments": [{"name": "plan.pdf"}]}),
    )
    (item,) = read(written(tmp_path, [chatgpt(*nodes, current="8")]))
    assert texts(item) == [
        "user: Look:\n[image]",
        "assistant: Nice picture",
        "user: spoken\n[x]",
        "user: Read this\n[plan.pdf]",
    ]


def test_a_tree_without_sense_is_unreadable(tmp_path: Path) -> None:
    nodes = {"a": {"parent": ["x"], "message": 7}, "b": {"parent": None, "children": [{}, "a"]}, "c": 1}
    for current in (["a"], "a", "c", None):
        (item,) = read(written(tmp_path, [{"title": "T", "mapping": nodes, "current_node": current}]))
        assert isinstance(item, UnreadableConversation) or current == "c", "what is no node has no message"


def test_a_tree_that_is_a_ring_ends(tmp_path: Path) -> None:
    ring = (node("1", "2", "2", content=says("one")), node("2", "1", "1", content=says("two")))
    (item,) = read(written(tmp_path, [chatgpt(*ring, current="2")]))
    assert texts(item) == ["user: one", "user: two"]
    (item,) = read(written(tmp_path, [chatgpt(*ring)]))
    assert not isinstance(item, UnreadableConversation)


# Claude


def test_claude(tmp_path: Path) -> None:
    data = {
        "uuid": "1",
        "name": "Plans",
        "chat_messages": [
            {
                "sender": "human",
                "text": "Hello",
                "content": [{"type": "text", "text": "Hello"}, {"type": "thinking", "thinking": "?"}],
                "created_at": "2025-01-31T09:30:00.123456Z",
                "attachments": [{"file_name": "a.txt", "extracted_content": "what it says"}],
                "files": [{"file_name": "b.png"}],
            },
            {"sender": "assistant", "text": "Hi", "created_at": "2025-01-31T09:30:01Z"},
            {"sender": "assistant", "text": " ", "content": []},
        ],
    }
    (item,) = read(written(tmp_path, [data]))
    assert texts(item) == ["user: Hello\n[a.txt]\nwhat it says\n[b.png]", "assistant: Hi"]
    assert not isinstance(item, UnreadableConversation)
    assert (item["label"], item["folder"]) == ("Plans", "claude")
    assert item["messages"][0].get("timestamp") == "2025-01-31T09:30:00.123456Z"


def test_a_chat_without_a_name_or_without_messages(tmp_path: Path) -> None:
    nameless, empty = read(written(tmp_path, [{"name": "", "chat_messages": []}, chatgpt(title=None)]))
    assert nameless == {"folder": "claude", "messages": []}
    assert empty == {"folder": "chatgpt", "messages": []}


# The plain form


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(
        '\ufeff{"messages": [{"role": "user", "content": "A"}], '
        '"label": "L", "folder": "/f", "importance_score": 8, "x": 1}\n'
        "\n"
        '{"messages": [{"role": "user", "content": "B"}]}',
        encoding="utf-8",
    )
    first, second = read(path)
    assert first == {
        "label": "L",
        "folder": "/f",
        "importance_score": 8,
        "messages": [{"role": "user", "content": "A"}],
    }
    assert second == {"messages": [{"role": "user", "content": "B"}]}
    assert all(item.get("folder") == "/all" for item in read(path, folder="/all"))  # type: ignore[union-attr]  # both can be read


# What is wrong


BROKEN = [
    7,
    {},
    {"title": "T", "mapping": []},
    {"name": "N", "chat_messages": {}},
    {"name": "N", "chat_messages": ["x"]},
    {"messages": 1},
    {"messages": [{"role": "user"}]},
    {"messages": [{"content": "x"}]},
    {"messages": ["x"]},
    {"label": 5, "messages": []},
    {"importance_score": 11, "messages": []},
    {"messages": [{"role": "user", "content": 7}]},
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_what_cannot_be_read_is_told_with_its_place_and_the_rest_is_read(number: int, tmp_path: Path) -> None:
    good = {"messages": [{"role": "user", "content": "A"}]}
    first, bad, last = read(written(tmp_path, [good, BROKEN[number], good]))
    assert first == last == good
    assert isinstance(bad, UnreadableConversation)
    assert bad.place.startswith("conversations.json, conversation 2")
    assert bad.problem


def test_the_title_of_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (bad,) = read(written(tmp_path, [{"title": "My plans", "mapping": 1}]))
    assert isinstance(bad, UnreadableConversation)
    assert bad == ("conversations.json, conversation 1 ('My plans')", "'mapping' is not a JSON object")


@pytest.mark.parametrize(
    ("time", "timestamp"),
    [
        (0, "1970-01-01T00:00:00.000000+00:00"),
        (-1.5, "1969-12-31T23:59:58.500000+00:00"),
        (-2208988800, "1900-01-01T00:00:00.000000+00:00"),
        (-62135596800, "0001-01-01T00:00:00.000000+00:00"),
        (1700000000.123456, "2023-11-14T22:13:20.123456+00:00"),
        (32536850400, "3001-01-19T22:00:00.000000+00:00"),  # beyond what the C library of Windows takes
        (253402300799, "9999-12-31T23:59:59.000000+00:00"),
        (253402300800, None),
        (-62135596801, None),
        (1e300, None),
        (True, None),
        (None, None),
        ("2023-11-14T22:13:20Z", "2023-11-14T22:13:20Z"),
        ("2023-11-14 22:13:20.123456789+01:00", "2023-11-14 22:13:20.123456789+01:00"),
        ("2023-02-30T22:13:20Z", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_time_of_a_message_is_known_for_all_years(time: object, timestamp: str | None, tmp_path: Path) -> None:
    data = chatgpt(node("q", None, content=says("x"), create_time=time), current="q")
    (item,) = read(written(tmp_path, [data]))
    assert not isinstance(item, UnreadableConversation)
    assert item["messages"][0].get("timestamp") == timestamp


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["\ufeff", "", "\ufeff\ufeff"])
def test_any_encoding_of_unicode_is_read(encoding: str, mark: str, tmp_path: Path) -> None:
    """Such as UTF-16, which PowerShell writes behind ``>``."""
    path = tmp_path / "all.jsonl"
    good = {"messages": [{"role": "user", "content": "Grüße \U0001f642"}]}
    path.write_text(mark + f"{json.dumps(good, ensure_ascii=False)}\n" * 10_000, encoding)
    assert read(path) == [good] * 10_000


def test_a_line_that_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_bytes(b'{"messages": []}\nnonsense\n\xff7\n{"messages": []}\n')
    good, *bad, last = read(path)
    assert good == last == {"messages": []}
    assert bad == [("chats.jsonl, line 2", "invalid JSON"), ("chats.jsonl, line 3", "invalid JSON")]


@pytest.mark.parametrize("lines", [1, 9, 10, 1000])
def test_a_file_that_is_none_is_not_told_line_by_line(lines: int, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("\n" + "Dear diary\n" * lines)
    assert read(path) == [("notes.txt", "unrecognized format (line 2 is not JSON)")]


def test_lines_before_the_first_good_one_are_told(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text("nonsense\n" * 9 + '{"messages": []}\n')
    *bad, good = read(path)
    assert good == {"messages": []}
    assert bad == [(f"chats.jsonl, line {number}", "invalid JSON") for number in range(1, 10)]


def test_one_conversation_in_several_lines(tmp_path: Path) -> None:
    """As `sekha export ID` writes it."""
    exported = {
        "conversation": {"label": "L", "folder": "/f", "importance_score": 7, "id": "1"},
        "messages": [{"role": "user", "content": "x", "id": "2"}],
        "format": "json",
    }
    path = tmp_path / "one.json"
    path.write_text(json.dumps(exported, indent=2))
    (item,) = read(path)
    assert not isinstance(item, UnreadableConversation)
    assert (item["label"], item["folder"], item["importance_score"], texts(item)) == ("L", "/f", 7, ["user: x"])


@pytest.mark.parametrize("end", ["", ', {"messages": [', ", nonsense]", "}"])
def test_a_list_that_breaks_off(end: str, tmp_path: Path) -> None:
    path = tmp_path / "conversations.json"
    path.write_text('[{"messages": []}' + end)
    good, bad = read(path)
    assert good == {"messages": []}
    assert isinstance(bad, UnreadableConversation)
    assert bad.place == "conversations.json, conversation 2"
    assert "invalid JSON" in bad.problem


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text(" \n")
    assert read(tmp_path / "none.jsonl") == []
    assert read(written(tmp_path, [])) == []


def test_a_file_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_export(tmp_path / "missing.json")


def test_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("user.json", "{}")
        archive.writestr("folder/conversations-001.json", json.dumps([{"name": "B", "chat_messages": []}]))
        archive.writestr("folder/conversations-000.json", json.dumps([{"name": "A", "chat_messages": []}, 1]))
    a, bad, b = read(tmp_path / "export.zip")
    assert [a["label"], b["label"]] == ["A", "B"]  # type: ignore[call-overload]  # both can be read
    assert isinstance(bad, UnreadableConversation)
    assert bad.place == "folder/conversations-000.json, conversation 2"
    data = bytearray((tmp_path / "export.zip").read_bytes())
    at = data.index(b'"name": "A"')
    data[at : at + 4] = b"broke"[:4]  # its checksum is wrong now
    (tmp_path / "broken.zip").write_bytes(bytes(data))
    *_, b = found = read(tmp_path / "broken.zip")
    assert not isinstance(b, UnreadableConversation)
    assert b["label"] == "B", "the next of its files is read"
    assert any("archive" in one.problem for one in found if isinstance(one, UnreadableConversation))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("user.json", "{}")
    with pytest.raises(SekhaConfigError, match=r"other\.zip"):
        read(tmp_path / "other.zip")


def test_three_thousand_conversations_are_never_in_memory_together(tmp_path: Path) -> None:
    """What is read by itself takes memory, and more of it takes no more."""
    tracemalloc = pytest.importorskip("tracemalloc", reason="PyPy cannot trace its memory")
    path = tmp_path / "conversations.json"
    one = json.dumps({"name": "A", "chat_messages": [{"sender": "human", "text": "x" * 400}]})

    def most(count: int) -> int:
        path.write_text(f"[{','.join([one] * count)}]")
        tracemalloc.start()
        try:
            assert sum(1 for _ in read_export(path)) == count
            peak: int = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        return peak

    most(10)  # whatever has to be loaded
    few, size = most(500), path.stat().st_size
    many, growth = most(3_000), path.stat().st_size - size
    assert many - few < growth / 8


@pytest.mark.parametrize(
    ("line", "folder", "expected"),
    [
        ({"created_at": "2023-11-14"}, "old", "old"),  # no moment, so no month
        ({"created_at": "2023-11-14T10:00:00Z"}, "/old/", "/old/2023/11"),
        ({"created_at": "2023-11-14T10:00:00Z"}, None, "2023/11"),
        ({"created_at": "2023-11-14 10:00:00", "folder": "/own"}, None, "/own/2023/11"),
        ({"folder": "/own"}, None, "/own"),
    ],
)
def test_the_month_becomes_a_folder(line: Dict[str, Any], folder: Optional[str], expected: str, tmp_path: Path) -> None:
    data = {"messages": [{"role": "user", "content": "Hi"}], **line}
    item: Any = next(read_export(written(tmp_path, data), folder=folder, dated=True))
    assert item.get("folder") == expected
