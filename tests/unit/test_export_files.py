"""Files of exports: folders, archives, and what is broken in them."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from pathlib import Path
from typing import Any, Dict, List

import pytest

from sekha import SekhaConfigError
from sekha.exports import ExportItem, read_export
from sekha.exports._building import ConversationBuilder, Unreadable
from sekha.exports._decoding import TextReader
from sekha.types import UnreadableConversation

pytestmark = pytest.mark.promise("W13")


def chat(title: str, text: str = "Which port?", **more: Any) -> Dict[str, Any]:
    said = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": [text]}}
    return {"title": title, "mapping": {"a": {"id": "a", "parent": None, "message": said}}, "current_node": "a", **more}


def labels(items: List[ExportItem]) -> List[str]:
    return ["?" if isinstance(item, UnreadableConversation) else item.get("label", "-") for item in items]


def read(path: Path, data: bytes) -> tuple[List[ExportItem], Dict[str, int]]:
    path.write_bytes(data)
    reader = read_export(path)
    return list(reader), getattr(reader, "left_out")  # noqa: B009 - the iterator's own attribute


def said(item: ExportItem) -> str:
    assert not isinstance(item, UnreadableConversation), item
    content = item.get("messages", [])[0]["content"]
    assert isinstance(content, str)
    return content


GOOD = json.dumps(chat("Good")).encode()


@pytest.mark.parametrize(
    ("bad", "read_as", "replaced"),
    [
        (b"caf\xe9", "caf\ufffd", 1),
        (b"\xff\xfe", "\ufffd\ufffd", 2),
        (b"\xf0\x9f\x98 cut", "\ufffd cut", 1),
        (b"\xed\xa0\xbd\xed\xb8\x82", "\U0001f602", 0),
        (b"half \xed\xa0\xbd", "half \ufffd", 1),
        (b"\xc0\x80", "\ufffd\ufffd", 2),
        (rb"half \ud83d here", "half \ufffd here", 1),
        (rb"half \udE02 here", "half \ufffd here", 1),
        (rb"\ud83d\ude02 \ud83d\ud83d\ude02", "\U0001f602 \ufffd\U0001f602", 1),
        (rb"no \\ud83d", r"no \ud83d", 0),
        (b"bell \x07 and \x1b", "bell \ufffd and \ufffd", 2),
        (b"a\tb\nc", "a\tb\nc", 0),
        (rb"nul \u0000!", "nul !", 0),
        ("\ufffd itself".encode(), "\ufffd itself", 0),
    ],
)
@pytest.mark.parametrize("form", ["list", "wrapped", "lines", "object"])
def test_what_is_no_character_costs_one_character(
    bad: bytes, read_as: str, replaced: int, form: str, tmp_path: Path
) -> None:
    damaged = json.dumps(chat("Bad", "@")).encode().replace(b"@", bad)
    joined = {
        "list": b"[%s, %s]" % (damaged, GOOD),
        "wrapped": b'{"conversations": [%s, %s], "x": 1}' % (damaged, GOOD),
        "lines": b"%s\n%s\n" % (damaged, GOOD),
        "object": damaged,
    }[form]
    items, left_out = read(tmp_path / "conversations.json", joined)
    assert labels(items) == (["Bad"] if form == "object" else ["Bad", "Good"])
    assert said(items[0]) == read_as
    assert left_out.get("replaced characters", 0) == replaced


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", str(2**64), "-" + "9" * 5000, "1e999"])
def test_numbers_that_are_none_cost_nothing_else(number: str, tmp_path: Path) -> None:
    damaged = json.dumps(chat("Bad", create_time="@")).replace('"@"', number).encode()
    items, left_out = read(tmp_path / "conversations.json", b"[%s, %s]" % (damaged, GOOD))
    assert labels(items) == ["Bad", "Good"]
    assert left_out == ({} if number == "1e999" else {"unusable numbers": 1})


@pytest.mark.parametrize("size", [1, 2, 3, 5, 262_139, 262_140, 262_143, 262_144])
@pytest.mark.parametrize("bad", [b"\xed\xa0\xbd\xed\xb8\x82", b"\xf0\x9f\x98\x82", b"\xed\x95\x9c", b"\xff", b"\xed"])
def test_what_stands_where_pieces_meet(bad: bytes, size: int) -> None:
    reader = TextReader(io.BytesIO(b"a" * size + bad + b"z"))
    text = "".join(reader)
    expected = bad.decode("utf-8", "replace") if bad[:2] != b"\xed\xa0" else "\U0001f602"
    assert text == "a" * size + expected + "z"
    assert reader.replaced == expected.count("\ufffd")


@pytest.mark.parametrize("garbage", [b"\xff", b"\0\0\0", b"\x07", b"\xff\xfe\x00"])
def test_bytes_between_words_of_json_cost_nothing(garbage: bytes, tmp_path: Path) -> None:
    data = b"[%s, %s %s,%s]" % (GOOD, garbage, GOOD, GOOD[:1] + garbage + GOOD[1:])
    items, _ = read(tmp_path / "conversations.json", data)
    assert labels(items) == ["Good", "Good", "Good"]


@pytest.mark.parametrize("form", [b"[%s]", b'{"conversations": [%s]}', b"[\n%s\n]"])
@pytest.mark.parametrize("at", [b'"message"', b'"parent": null', b"]", b'"title": "B'])
def test_a_conversation_that_is_no_json_does_not_take_those_behind_it_along(
    form: bytes, at: bytes, tmp_path: Path
) -> None:
    first = b", ".join(json.dumps(chat(f"A{number}")).encode() for number in range(3))
    bad = json.dumps(chat("B")).encode().replace(at, b'"', 1)
    last = b", ".join(json.dumps(chat(f"C{number}", "x" * 5000)).encode() for number in range(200))
    items, _ = read(tmp_path / "conversations.json", form % b", ".join([first, bad, last]))
    found = labels(items)
    assert found[:3] == ["A0", "A1", "A2"]
    assert found[-199:] == [f"C{number}" for number in range(1, 200)]
    assert "?" in found
    lost = next(item for item in items if isinstance(item, UnreadableConversation))
    assert (lost.place, "invalid JSON" in lost.problem) == ("conversations.json, conversation 4", True)


def test_lists_may_follow_each_other_and_commas_may_be_missing(tmp_path: Path) -> None:
    items, _ = read(tmp_path / "conversations.json", b"[%s %s,,]\n\xef\xbb\xbf[%s]" % (GOOD, GOOD, GOOD))
    assert labels(items) == ["Good"] * 3


def test_objects_in_several_lines_may_follow_each_other(tmp_path: Path) -> None:
    pretty = json.dumps(chat("Good"), indent=2).encode()
    items, _ = read(tmp_path / "chats.json", pretty + b"\n" + pretty)
    assert labels(items) == ["Good"] * 2


def test_what_stands_beside_a_list_is_counted(tmp_path: Path) -> None:
    before: Dict[str, Any] = {"version": 2, "projects": [1], "notes": [], "none": None}
    behind: Dict[str, Any] = {"more": [chat("B")], "tasks": [{"x": 1}], "size": 7, "memory": "Tea", "empty": {}}
    data = {**before, "conversations": [chat("A")], **behind}
    items, left_out = read(tmp_path / "conversations.json", json.dumps(data).encode())
    assert labels(items) == ["A", "B"]
    assert left_out == {f"'{key}' beside the conversations": 1 for key in ("projects", "tasks", "memory")}


def test_a_number_is_not_cut_where_pieces_meet(tmp_path: Path) -> None:
    for size in range(262_130, 262_150):
        items, _ = read(tmp_path / "x.jsonl", b'{"messages": [], "importance_score": 10}' + b" " * size + b"\n" + GOOD)
        assert labels(items) == ["-", "Good"]


def test_what_is_nested_too_deeply_is_said_to_be(tmp_path: Path) -> None:
    deep = b'{"messages": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    items, _ = read(tmp_path / "x.jsonl", deep + b"\n" + GOOD)
    assert items[0] == UnreadableConversation("x.jsonl, line 1", "nested too deeply")
    assert labels(items) == ["?", "Good"]


# What is not read

TELEGRAM = {"name": "Ana", "messages": [{"id": 1, "date_unixtime": "1", "text": "Hi"}]}


def test_a_file_of_another_kind_is_named_once(tmp_path: Path) -> None:
    items, _ = read(tmp_path / "log.jsonl", b'{"a": 1, "b": 2}\n' * 5000)
    assert items == [("log.jsonl", "unrecognized format (it has 5,000 items with a, b)")]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[01.05.25, 09:00:00] Ana: Hello\n" * 30, "WhatsApp's text"),
        ("1/5/25, 9:00\u202fAM - Ana: Hello\n" * 30, "WhatsApp's text"),
        ("Conversation,Time,Author,Message\na,b,c,d\n", "Copilot's CSV"),
        ("a;b;c\n1;2;3\n", "a table (CSV)"),
        ("<!DOCTYPE html>\n<html><body>Hello</body></html>", "HTML"),
        (json.dumps(TELEGRAM), "Telegram's history"),
        (
            json.dumps({"about": "x", "chats": {"about": "y", "list": [{"messages": []}, TELEGRAM]}}),
            "Telegram's history",
        ),
        (json.dumps({"guild": {}, "channel": {}, "messages": []}), "Discord's history"),
        (json.dumps([{"type": "message", "ts": "1.2", "text": "Hi"}] * 30), "Slack's history"),
        (
            json.dumps({"participants": [], "messages": [{"sender_name": "Ana", "timestamp_ms": 1, "content": "Hi"}]}),
            "Messenger's or Instagram's history",
        ),
        (
            json.dumps({"messages": [{"creator": {"name": "Ana"}, "created_date": "x", "text": "Hi"}]}, indent=1),
            "Google Chat's history",
        ),
        (
            json.dumps({"runSettings": {}, "chunkedPrompt": {"chunks": [{"text": "Hi", "role": "user"}]}}, indent=1),
            "a prompt of Google AI Studio",
        ),
        (
            json.dumps({"metadata": {}, "conversations": [{"query": "Hi", "answer": "Hello", "sources": []}] * 2}),
            "a thread of Perplexity",
        ),
        (json.dumps({"status": "x", "entries": [{"query_str": "Hi", "blocks": []}]}), "a thread of Perplexity"),
        (
            json.dumps({"info": {}, "histories": {"histories": [{"msgs": [{"text": "Hi", "src": {}}]}]}}),
            "a character's chats of Character.AI",
        ),
        (
            '{"user_name": "Ana", "chat_metadata": {}}\n' + '{"name": "Ana", "is_user": true, "mes": "Hi"}\n' * 30,
            "SillyTavern's chat",
        ),
    ],
)
def test_a_kind_that_is_known_and_not_read_is_named(text: str, name: str, tmp_path: Path) -> None:
    items, _ = read(tmp_path / "chat.txt", text.encode())
    (only,) = items
    assert isinstance(only, UnreadableConversation)
    assert only.problem.startswith(f"{name} is not supported; ")


@pytest.mark.parametrize("data", [b"", b" \n\t\n", b"\xef\xbb\xbf", b"\0" * 1000])
def test_a_file_without_anything_is_a_failure(data: bytes, tmp_path: Path) -> None:
    items, _ = read(tmp_path / "conversations.json", data)
    assert items == [("conversations.json", "the file is empty")]
    items, _ = read(tmp_path / "x.zip", zipped(**{"conversations.json": data}))
    assert items == [("conversations.json", "the file is empty")]


def test_a_list_without_conversations_is_none(tmp_path: Path) -> None:
    for data in (b"[]", b'{"conversations": []}', b"[,,]"):
        assert read(tmp_path / "conversations.json", data) == ([], {})


def test_what_begins_and_never_ends_takes_no_long_time(tmp_path: Path) -> None:
    began = time.process_time()
    items, _ = read(tmp_path / "conversations.json", b'[{"mapping":{' * 400_000)
    assert labels(items) == ["?"]
    assert time.process_time() - began < 10


def test_blanks_need_no_memory(tmp_path: Path) -> None:
    tracemalloc = pytest.importorskip("tracemalloc", reason="PyPy cannot trace its memory")
    path = tmp_path / "conversations.json"
    path.write_bytes(b"[" + b" " * 20_000_000 + GOOD + b"]")
    tracemalloc.start()
    try:
        assert labels(list(read_export(path))) == ["Good"]
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_title_without_end_is_cut() -> None:
    built = ConversationBuilder("T" * 5_000_000, None)
    assert built.finish()["label"] == "T" * 499 + "…"


def test_shells_before_the_first_conversation_are_of_its_kind(tmp_path: Path) -> None:
    shells = b", ".join([b'{"title": "Shell", "id": "s"}'] * 3)
    items, _ = read(tmp_path / "conversations.json", b"[%s, %s]" % (shells, GOOD))
    assert labels(items)[-1] == "Good"
    assert len(items) == 4


# Nothing is lost in silence


@pytest.mark.parametrize(
    "other",
    [
        {"foo": 1},
        {"title": "T", "id": "x", "turns": [{"speaker": "human", "body": "Hi"}]},
        {"id": "x", "mapping": None, "messages": {"1": {"text": "Hi"}}},
        {},
    ],
)
def test_a_conversation_of_another_shape_among_others_is_a_failure(other: Dict[str, Any], tmp_path: Path) -> None:
    items, _ = read(tmp_path / "conversations.json", listed(chat("A"), other, chat("B")))
    assert labels(items) == ["A", "?", "B"]
    bad = items[1]
    assert isinstance(bad, UnreadableConversation)
    assert bad.problem == f"no 'mapping'; found: {', '.join(other) or 'nothing'}"


def test_nothing_understood_is_a_failure_and_a_part_is_counted() -> None:
    built = ConversationBuilder("Plans", "/x")
    built.not_understood({"fragments": [], "id": 1})
    built.not_understood("content_type \ud800 x")
    built.leave_out("hidden", 2)
    with pytest.raises(Unreadable, match=r"no readable messages \(2: a message with fragments, id; "):
        built.finish()
    built.add("user", ["Half \ud83d\0"], 0)
    built.add("assistant", [" "])
    found = built.finish(source_id="c1")
    assert found["messages"] == [
        {"role": "user", "content": "Half \ufffd", "timestamp": "1970-01-01T00:00:00.000000+00:00"}
    ]
    assert (found.source_id, found.left_out["hidden"], found.left_out["empty"]) == ("c1", 2, 1)
    assert found.left_out["unknown: a message with fragments, id"] == 1


def test_unknown_names_do_not_fill_the_report() -> None:
    built = ConversationBuilder(None, None)
    for number in range(1000):
        built.not_understood(f"kind {number}")
    built.add("user", ["x"])
    found = built.finish()
    assert len(found.left_out) == 11
    assert found.left_out["unknown: other"] == 990


def test_a_conversation_that_was_hidden_is_empty_and_no_failure() -> None:
    built = ConversationBuilder("Plans", None)
    built.leave_out("hidden")
    assert built.finish() == {"label": "Plans", "messages": []}


@pytest.mark.parametrize(
    ("title", "words", "expected"),
    [
        (None, "\n  Which port? \nAnd why?", "Which port?"),
        (" ", "x" * 81, "x" * 79 + "…"),
        (None, "x" * 80, "x" * 80),
        ("Ports", "Which port?", "Ports"),
    ],
)
def test_a_title_may_come_from_the_words_of_the_user(title: Any, words: str, expected: str) -> None:
    built = ConversationBuilder(title, None)
    built.add("assistant", ["Hello, I am here."])
    built.add("user", [words])
    built.take_title_from_words()
    assert built.finish()["label"] == expected


def test_without_words_of_the_user_there_is_no_title() -> None:
    built = ConversationBuilder(None, None)
    built.add("assistant", ["Hello"])
    built.take_title_from_words()
    assert "label" not in built.finish()


# Folders and archives


def zipped(**files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def listed(*chats: Dict[str, Any]) -> bytes:
    return json.dumps(chats).encode()


EXPORT = {"conversations-000.json": listed(chat("A")), "conversations-001.json": listed(chat("B"))}


def test_a_folder_is_read_and_so_is_what_is_below_it(tmp_path: Path) -> None:
    below = tmp_path / "export" / "part 1"
    below.mkdir(parents=True)
    for name, content in EXPORT.items():
        (below / name).write_bytes(content)
    (below / "more.zip").write_bytes(zipped(**{"conversations.json": listed(chat("C"))}))
    (below / "photos.zip").write_bytes(zipped(**{"a.png": b"x"}))
    (below / "user.json").write_text("{}")
    (below / "a.png").write_text("x")
    reader = read_export(tmp_path / "export")
    assert labels(list(reader)) == ["A", "B", "C"]
    assert getattr(reader, "left_out") == {  # noqa: B009
        "file part 1/user.json": 1,
        ".png files": 1,
        "file part 1/photos.zip": 1,
    }


def test_an_archive_in_an_archive(tmp_path: Path) -> None:
    inner = zipped(**EXPORT)
    data = zipped(
        **{"report.html": b"<html>", "Online/Conversations_1.zip": inner, "Online/Files_1.zip": zipped(a=b"")}
    )
    items, _ = read(tmp_path / "archive.zip", data)
    assert labels(items) == ["A", "B"]


def test_names_with_backslashes_and_what_macos_adds(tmp_path: Path) -> None:
    data = zipped(**{"export\\conversations.json": listed(chat("A")), "__MACOSX/._conversations.json": b"x"})
    items, _ = read(tmp_path / "archive.zip", data)
    assert labels(items) == ["A"]


@pytest.mark.parametrize("name", ["conversations (1).json", "copy/conversations.json", "conversations - Copy.json"])
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_copy_is_not_read_again(name: str, is_folder: bool, tmp_path: Path) -> None:
    files = {"conversations.json": listed(chat("A"), chat("B")), name: listed(chat("A"), chat("B"))}
    path = tmp_path / "export"
    if is_folder:
        for each, content in files.items():
            (path / each).parent.mkdir(parents=True, exist_ok=True)
            (path / each).write_bytes(content)
    else:
        path.write_bytes(zipped(**files))
    reader = read_export(path)
    assert labels(list(reader)) == ["A", "B"]
    assert getattr(reader, "left_out") == {f"file {name} (a copy)": 1}  # noqa: B009


def test_a_copy_that_is_written_otherwise_is_none_the_less_one(tmp_path: Path) -> None:
    older = json.dumps([chat("A", id="1")], indent=1).encode()
    newer = listed(chat("A", id="1"), chat("A", id="2"))
    items, left_out = read(tmp_path / "x.zip", zipped(**{"conversations.json": newer, "conversations (1).json": older}))
    assert labels(items) == ["A", "A"]
    assert left_out == {"copies": 1}


def test_of_copies_that_are_many_ten_are_named(tmp_path: Path) -> None:
    files = {f"conversations ({n}).json": listed(chat("A")) for n in range(13)}
    items, left_out = read(tmp_path / "x.zip", zipped(**files))
    assert labels(items) == ["A"]
    assert len(left_out) == 11
    assert left_out[".json files (a copy)"] == 2


def test_files_of_the_same_size_are_no_copies(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(listed(chat("A")))
    (tmp_path / "b.json").write_bytes(listed(chat("B")))
    assert labels(list(read_export(tmp_path))) == ["A", "B"]


def test_a_broken_archive_beside_others_is_a_failure(tmp_path: Path) -> None:
    good = zipped(**EXPORT)
    (tmp_path / "good.zip").write_bytes(good)
    (tmp_path / "cut.zip").write_bytes(good[:-40])
    (tmp_path / "photos.zip").write_bytes(zipped(**{"1.zip": zipped(**{"a.png": b"x"})}))
    reader = read_export(tmp_path)
    broken, *rest = list(reader)
    assert isinstance(broken, UnreadableConversation)
    assert broken.place == "cut.zip"
    assert broken.problem == "the archive is damaged (File is not a zip file); download it again"
    assert labels(rest) == ["A", "B"]
    assert getattr(reader, "left_out") == {"file photos.zip": 1}  # noqa: B009


CUT = [
    b'[{"title": "Plans", "mapp',
    b'[{"title": "Plans", "mapping": {"a": {"id": "a"}, ',
    b'{"name": "Plans", "messages": [{"versions": [{"role": "us',
    b'{\n  "name": "Plans",\n  "messages": [\n    {\n',
    b'{"conversations": [{"title": "Pl',
    b"[",
]
"""Files that end in the middle of their first object."""


@pytest.mark.parametrize("data", CUT)
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_file_that_is_cut_beside_others_is_a_failure(data: bytes, is_folder: bool, tmp_path: Path) -> None:
    files = {"chat-1.json": listed(chat("A")), "chat-2.json": data}
    path = tmp_path / "export"
    if is_folder:
        path.mkdir()
        for name, content in files.items():
            (path / name).write_bytes(content)
    else:
        path.write_bytes(zipped(**files))
    good, broken = read_export(path)
    assert labels([good]) == ["A"]
    assert isinstance(broken, UnreadableConversation)
    assert broken.place == "chat-2.json"
    assert "unexpected end" in broken.problem


@pytest.mark.parametrize(
    "data", [b'{"a": 1}', b'{\n  // a comment\n  "a": 1,\n}\n', b'{"a": 1}\n{"b": [', b"{", b"[[[", b"[ ] Buy milk"]
)
def test_settings_and_notes_beside_others_are_no_failures(data: bytes, tmp_path: Path) -> None:
    name = "settings.json" if data.startswith(b'{"a"') or b"//" in data else "todo.txt"
    (tmp_path / "chats.json").write_bytes(listed(chat("A")))
    (tmp_path / name).write_bytes(data)
    reader = read_export(tmp_path)
    assert labels(list(reader)) == ["A"]
    assert getattr(reader, "left_out") == {f"file {name}": 1}  # noqa: B009


@pytest.mark.parametrize(("data", "problem"), [(b"", "the file is empty"), (b"<html>Sign in", "HTML is not supported")])
def test_an_archive_that_is_none_is_a_failure(data: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "chats.zip").write_bytes(zipped(**EXPORT))
    (tmp_path / "more.zip").write_bytes(data)
    *good, broken = read_export(tmp_path)
    assert labels(good) == ["A", "B"]
    assert isinstance(broken, UnreadableConversation)
    assert (broken.place, broken.problem[: len(problem)]) == ("more.zip", problem)
    (only,) = read_export(tmp_path / "more.zip")
    assert isinstance(only, UnreadableConversation)
    assert only.problem.startswith(problem)


def test_an_encrypted_archive_is_named_once(tmp_path: Path) -> None:
    data = bytearray(zipped(**EXPORT))
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 1)
    with pytest.raises(SekhaConfigError, match=r"x\.zip: the archive is encrypted; extract it"):
        read(tmp_path / "x.zip", bytes(data))


def test_archives_in_too_many_archives_are_not_looked_at(tmp_path: Path) -> None:
    data = listed(chat("A"))
    for depth in range(6):
        data = zipped(**{"conversations.json" if depth == 0 else "conversations.zip": data})
    with pytest.raises(SekhaConfigError, match=r"x\.zip contains no supported export: it has conversations\.zip"):
        read(tmp_path / "x.zip", data)


def test_what_is_no_file_is_a_failure_and_nobody_waits_for_it(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("Windows has no such files")
    (tmp_path / "conversations.json").write_bytes(GOOD)
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "loop").symlink_to(tmp_path)
    items = list(read_export(tmp_path))
    assert labels(items) == ["Good", "?"]
    assert items[1] == ("pipe.json", "cannot be read (not a regular file)")


def test_what_an_archive_has_instead_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(zipped(**{"MyActivity.txt": b"Dear diary"}))
    with pytest.raises(SekhaConfigError, match=r"x\.zip contains no supported export: it has MyActivity\.txt"):
        list(read_export(path))


def test_what_an_archive_has_beside_is_named(tmp_path: Path) -> None:
    files = {**EXPORT, "chat.html": b"<html>", "user.json": b"{}", **{f"{n}.dat": b"" for n in range(3)}}
    items, left_out = read(tmp_path / "x.zip", zipped(**files))
    assert labels(items) == ["A", "B"]
    assert left_out == {"file chat.html": 1, "file user.json": 1, ".dat files": 3}


@pytest.mark.parametrize("form", ["list", "wrapped", "zip"])
def test_memory_stays_the_same_for_any_size(form: str, tmp_path: Path) -> None:
    tracemalloc = pytest.importorskip("tracemalloc", reason="PyPy cannot trace its memory")
    path = tmp_path / "conversations.json"
    one = json.dumps(chat("A", "x" * 4000))

    def peak_of(count: int) -> int:
        data = f"[{','.join([one] * count)}]".encode()
        data = b'{"conversations": %s}' % data if form == "wrapped" else data
        path.write_bytes(zipped(**{"conversations.json": data}) if form == "zip" else data)
        del data
        tracemalloc.start()
        try:
            assert sum(1 for _ in read_export(path)) == count
            peak: int = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        return peak

    peak_of(10)  # whatever has to be loaded
    few, many = peak_of(500), peak_of(3000)
    assert many - few < 2500 * len(one) / 8
