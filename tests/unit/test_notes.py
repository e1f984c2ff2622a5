"""Folders of notes: which files are notes, what their front matter states, and what a heading begins."""

from __future__ import annotations

import os
import sys
import unicodedata
import warnings
from pathlib import Path
from typing import Any, Dict, List, Tuple, Union

import pytest

from sekha import SekhaConfigError, SekhaValidationError, SekhaWarning
from sekha.exports import ExportItem, read_notes
from sekha.exports._note_files import scan_folder
from sekha.exports._note_text import split_sections
from sekha.types import UnreadableConversation

Files = Dict[str, Union[str, bytes]]


def written(folder: Path, files: Files) -> Path:
    root = folder / "notes"
    root.mkdir(exist_ok=True)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def read(path: Path, **options: Any) -> List[ExportItem]:
    return list(read_notes(path, **options))


def one(folder: Path, text: Union[str, bytes], name: str = "a.md", **options: Any) -> Dict[str, Any]:
    """The only note of a folder."""
    (note,) = read(written(folder, {name: text}), **options)
    assert not isinstance(note, UnreadableConversation), note
    return dict(note)


def text_of(note: Any) -> str:
    assert not isinstance(note, UnreadableConversation), note
    (message,) = note["messages"]
    assert message["role"] == "user"
    return str(message["content"])


def refused(folder: Path, text: Union[str, bytes], name: str = "a.md", **options: Any) -> UnreadableConversation:
    (note,) = read(written(folder, {name: text}), **options)
    assert isinstance(note, UnreadableConversation), note
    return note


# Files and folders


def test_a_note_is_a_conversation_and_a_folder_a_folder(tmp_path: Path) -> None:
    root = written(tmp_path, {"b/c/d.markdown": "D", "a.md": "# Title\n\nA", "b/B.TXT": "# B", "a/z.txt": "Z"})
    assert read(root) == [
        {"label": "z", "folder": "notes/a", "messages": [{"role": "user", "content": "Z"}]},
        {"label": "Title", "folder": "notes", "messages": [{"role": "user", "content": "# Title\n\nA"}]},
        {"label": "B", "folder": "notes/b", "messages": [{"role": "user", "content": "# B"}]},
        {"label": "d", "folder": "notes/b/c", "messages": [{"role": "user", "content": "D"}]},
    ]
    folders = [note["folder"] for note in read(root, folder="/mine/") if not isinstance(note, UnreadableConversation)]
    assert folders == ["/mine/a", "/mine", "/mine/b", "/mine/b/c"]
    folders = [note["folder"] for note in read(root, folder="/") if not isinstance(note, UnreadableConversation)]
    assert folders == ["/a", "/", "/b", "/b/c"]


def test_one_file(tmp_path: Path) -> None:
    root = written(tmp_path, {"a.md": "A", "b.md": "B"})
    (note,) = read(root / "a.md")
    assert text_of(note) == "A"
    with pytest.raises(FileNotFoundError):
        read_notes(root / "missing.md")


@pytest.mark.parametrize("folder", ["", " ", "/a/../b", "a/.", "a\nb", 7])
def test_a_folder_that_cannot_be_used_is_refused_at_once(folder: Any, tmp_path: Path) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        read_notes(tmp_path, folder=folder)
    assert caught.value.field == "folder"


def test_empty_notes_have_no_messages_so_that_they_are_counted(tmp_path: Path) -> None:
    root = written(tmp_path, {"a.md": "", "b.md": " \n\t\n", "c.md": "---\ntitle: C\n---\n", "d.txt": b"\xef\xbb\xbf"})
    for split in (False, True):
        assert [note["messages"] for note in read(root, split=split)] == [[], [], [], []]  # type: ignore[call-overload]  # all can be read


def test_what_is_hidden_or_no_note_is_left_out_and_told(tmp_path: Path) -> None:
    root = written(tmp_path, {"a.md": "A", ".hidden.md": "", ".git/b.md": "", "p.png": "", "q.PNG": "", "LICENSE": ""})
    with pytest.warns(SekhaWarning, match=r"skipped files that are not notes: 2 \.png, 1 no ending$"):
        (note,) = read(root)
    assert text_of(note) == "A"
    assert scan_folder(str(root)).left_out == {"hidden": 2, ".png": 2, "no ending": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_followed_and_nothing_is_read_twice(tmp_path: Path) -> None:
    root = written(tmp_path, {"real/a.md": "A", "b.md": "B"})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "c.md").write_text("C")
    (root / "real" / "loop").symlink_to(root)
    (root / "all").symlink_to(tmp_path)  # the folder itself is in it
    (root / "again").symlink_to(root / "real")
    (root / "aa.md").symlink_to(root / "b.md")
    (root / "other").symlink_to(tmp_path / "elsewhere")
    (root / "other2").symlink_to(tmp_path / "elsewhere")
    (root / "file.md").symlink_to(tmp_path / "elsewhere" / "c.md")
    (root / "gone.md").symlink_to(tmp_path / "missing.md")
    with pytest.warns(SekhaWarning, match="6 links to what is read already"):
        notes = read(root)
    bad = [note for note in notes if isinstance(note, UnreadableConversation)]
    assert bad == [("notes/gone.md", "cannot be read (broken symbolic link)")]
    good = [note for note in notes if not isinstance(note, UnreadableConversation)]
    assert [(note["folder"], text_of(note)) for note in good] == [
        ("notes", "B"),
        ("notes/other", "C"),
        ("notes/real", "A"),
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    root = written(tmp_path, {})
    os.mkfifo(root / "a.md")
    assert read(root) == [("notes/a.md", "not a regular file")]


@pytest.mark.skipif(sys.platform != "linux", reason="only there, names may be any bytes")
def test_names_that_are_no_text_and_names_that_are_the_same(tmp_path: Path) -> None:
    root = written(tmp_path, {"é.md": "composed"})
    (root / unicodedata.normalize("NFD", "é.md")).write_text("taken apart")
    (root / os.fsdecode(b"\xff.md")).write_text("x")
    (root / "a\nb").mkdir()
    (root / "a\nb" / "c.md").write_text("x")
    names = {note.place: note.problem for note in read(root) if isinstance(note, UnreadableConversation)}
    assert names == {
        "notes/é.md": "another file has the same name in a different Unicode form",
        "notes/\N{REPLACEMENT CHARACTER}.md": "its name is not UTF-8",
        "notes/a\nb/c.md": "the name of its folder must not contain control characters",
    }


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the user may read everything")
def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    root = written(tmp_path, {"a/b.md": "B", "c.md": "C"})
    (root / "a").chmod(0)
    try:
        bad, good = read(root)
    finally:
        (root / "a").chmod(0o700)
    assert bad == ("notes/a", "cannot be read (Permission denied)")
    assert text_of(good) == "C"


# Characters


@pytest.mark.parametrize(
    "data",
    [
        "Grüße\nzwei".encode(),
        b"\xef\xbb\xbf" + "Grüße\r\nzwei\r\n".encode(),
        "\ufeffGrüße\rzwei".encode("utf-16-le"),
        "\ufeffGrüße\nzwei\n\n".encode("utf-16-be"),
    ],
)
def test_encodings_and_ends_of_lines(data: bytes, tmp_path: Path) -> None:
    assert text_of(one(tmp_path, data)) == "Grüße\nzwei"


def test_a_bad_byte_costs_one_character_and_is_told_with_its_place(tmp_path: Path) -> None:
    root = written(tmp_path, {"a.txt": b"a line that is long enough\nGr\xfc\xdfe \xef\xbf\xbd\n"})
    with pytest.warns(
        SekhaWarning, match=r"notes/a\.txt: bytes that are not UTF-8 are replaced by . \(2, the first in line 2\)"
    ):
        (note,) = read(root)
    assert text_of(note) == "a line that is long enough\nGr\ufffd\ufffde \ufffd"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"one\ntwo\0three", "not a text file: NUL character in line 2"),
        ("ohne Marke".encode("utf-16-le"), "not a text file: NUL character in line 1"),
        (b"ok\n" + bytes(range(128, 256)), "not UTF-8 text (line 2: invalid start byte)"),
    ],
)
def test_what_is_no_text_is_told(data: bytes, problem: str, tmp_path: Path) -> None:
    assert refused(tmp_path, data) == ("notes/a.md", problem)


def test_huge_files(tmp_path: Path) -> None:
    big = "x" * 1_950_000
    assert refused(tmp_path, big).problem.startswith("it has 1,950,")
    assert "split it by headings" in refused(tmp_path, big).problem
    parts = f"# A\n{'x' * 1_000_000}\n# B\n{'y' * 1_000_000}\n# C\n{'z' * 1_950_000}"
    *good, bad = read(written(tmp_path, {"a.md": parts}), split=True)
    assert [len(text_of(note)) for note in good] == [1_000_004, 1_000_004]
    assert isinstance(bad, UnreadableConversation)
    assert bad.place == "notes/a.md, line 5"
    with open(tmp_path / "notes" / "a.md", "wb") as file:
        file.truncate(2**34)  # it has no end worth reading
    (bad,) = read(tmp_path / "notes")
    assert bad == ("notes/a.md", "it has 17,179,869,184 bytes; the maximum is 16,777,216")


# Front matter


@pytest.mark.parametrize(
    ("front", "label", "text"),
    [
        ("title: Bread", "Bread", "# Body"),
        ('title: "A: b"  # a comment', "A: b", "# Body"),
        ("title: 'it''s'", "it's", "# Body"),
        ("title: >-\n  folded\n  text", "folded text", "# Body"),
        ("title: 1984", "1984", "# Body"),
        ("title: no", "no", "# Body"),
        ("Title: x", "x", "# Body"),
        ("title:", "Body", "# Body"),
        ("tags: [a, b c]", "Body", "Tags: a, b c\n\n# Body"),
        ("tags:\n  - a\n  - b", "Body", "Tags: a, b\n\n# Body"),
        ("tags:\n- a\n- b", "Body", "Tags: a, b\n\n# Body"),
        ("tags: a,b ,c", "Body", "Tags: a, b, c\n\n# Body"),
        ("tags: []", "Body", "# Body"),
        ("tag: a", "Body", "Tags: a\n\n# Body"),
        ("date: 2024-01-31", "Body", "Date: 2024-01-31\n\n# Body"),
        (
            "author: Ann\ntitle: T\nsource:\n  url: x\n\n  page: 2",
            "T",
            "author: Ann\nsource:\n  url: x\n  page: 2\n\n# Body",
        ),
        ("# what it is\ntitle: T", "T", "# what it is\n\n# Body"),
        ("tags: [a]\ndate: 2024-01-31", "Body", "Date: 2024-01-31\nTags: a\n\n# Body"),
    ],
)
def test_front_matter(front: str, label: str, text: str, tmp_path: Path) -> None:
    note = one(tmp_path, f"---\n{front}\n---\n\n# Body\n")
    assert (note["label"], text_of(note)) == (label, text)
    note = one(tmp_path, f"\ufeff---  \r\n{front}\r\n...\r\n# Body\r\n")
    assert (note["label"], text_of(note)) == (label, text)


@pytest.mark.parametrize(
    ("date", "timestamp"),
    [
        ("2024-01-31", "2024-01-31T00:00:00.000000+00:00"),
        ("2024-01-31 09:30", "2024-01-31T09:30:00.000000+00:00"),
        ("2024-01-31T09:30:05.5Z", "2024-01-31T09:30:05.500000+00:00"),
        ("2024-01-31T09:30:00+02:00", "2024-01-31T07:30:00.000000+00:00"),
        ("2024-01-31 09:30:00 -0700", "2024-01-31T16:30:00.000000+00:00"),
        ('"2024-01-31"', "2024-01-31T00:00:00.000000+00:00"),
    ],
)
def test_dates_are_timestamps(date: str, timestamp: str, tmp_path: Path) -> None:
    for key in ("date", "created"):
        assert one(tmp_path, f"---\n{key}: {date}\n---\nx")["messages"][0]["timestamp"] == timestamp
    note = one(tmp_path, "---\ncreated: 2020-01-01\ndate: 2024-01-31\n---\nx")
    assert text_of(note) == "Date: 2020-01-01\ndate: 2024-01-31\n\nx", "nothing is lost"


@pytest.mark.parametrize(
    ("front", "told"),
    [
        ("date: yesterday", "the date of the front matter is not valid; it is kept as text"),
        ("date: 2024-02-30", "the date of the front matter is not valid; it is kept as text"),
        ("title: [a, b]", "the title of the front matter is not valid; it is kept as text"),
        ("tags: {a: b}", "the tags of the front matter is not valid; it is kept as text"),
        ("tags: [[a], b]", "the tags of the front matter is not valid; it is kept as text"),
    ],
)
def test_what_is_not_understood_stays_in_the_text_and_is_told(front: str, told: str, tmp_path: Path) -> None:
    root = written(tmp_path, {"a.md": f"---\n{front}\nx: 1\n---\nBody"})
    with pytest.warns(SekhaWarning) as warned:
        (note,) = read(root)
    assert [str(warning.message) for warning in warned] == [f"notes/a.md: {told}"]
    assert text_of(note) == f"{front}\nx: 1\n\nBody"


@pytest.mark.parametrize(
    ("front", "told"),
    [
        ("title: a: b", "line 2: the front matter is not valid YAML (mapping values are not allowed here)"),
        ("title: x\n\ttags: y", "line 3: the front matter is not valid YAML"),
        ("title: 'x", "the front matter is not valid YAML"),
        ("title: " + "[" * 5000, "the front matter is not valid YAML"),
        ("a: &x [*x]\nb: !!python/object/apply:os.system [ls]\nx: \x07", "the front matter is not valid YAML"),
        ("x: " + "y" * 70_000, "the front matter is too long"),
    ],
)
def test_a_front_matter_that_cannot_be_read_stays_as_it_is(front: str, told: str, tmp_path: Path) -> None:
    text = f"---\n{front}\n---\nBody"
    with pytest.warns(SekhaWarning) as warned:
        note = one(tmp_path, text)
    assert told in str(warned[0].message)
    assert text_of(note) == text


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nA line above, and one below.\n\n---\n",
        "---\ntitle: it has no end\n",
        "text\n---\ntitle: x\n---",
        "--- title: x\n---",
        "---\n---\ntext",
        "+++\ntitle = 'x'\n+++\ntext",
        "---\nhttp://example.com\n---",
    ],
)
def test_what_is_no_front_matter_is_text(text: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        note = one(tmp_path, text)
    assert (note["label"], text_of(note)) == ("a", text.strip("\n"))


def test_no_yaml_no_front_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert text_of(one(tmp_path, "plain")) == "plain"
    with pytest.raises(SekhaConfigError, match=r"PyYAML.*\[cli\]"):
        one(tmp_path, "---\ntitle: x\n---\n")


# Headings


def sections(text: str) -> List[Tuple[Tuple[str, ...], int, str]]:
    return [(one.path, one.line, one.text) for one in split_sections(text)]


def test_sections() -> None:
    text = "before\n# A\nin A\n## B ##\n\nin B\n#### C\nin C\n## D\n# E\n"
    assert sections(text) == [
        ((), 1, "before"),
        (("A",), 2, "# A\nin A"),
        (("A", "B"), 4, "## B ##\n\nin B"),
        (("A", "B", "C"), 7, "#### C\nin C"),
        (("A", "D"), 9, "## D"),
        (("E",), 10, "# E"),
    ]


def test_a_heading_alone_belongs_to_the_deeper_one_below_it() -> None:
    assert sections("# A\n\n## B\nx\n## C\n### D\ny") == [
        (("A", "B"), 1, "# A\n\n## B\nx"),
        (("A", "C", "D"), 5, "## C\n### D\ny"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "#tag and #another",
        "####### seven",
        "    # code",
        "```\n# a comment\n```",
        "~~~ python\n```\n# a comment\n~~~",
        "````\n```\n# a comment\n````",
        "```\n# no end",
    ],
)
def test_what_is_no_heading(text: str) -> None:
    assert sections(text) == [((), 1, text)]


def test_code_between_ticks_begins_no_block() -> None:
    assert [path for path, _, _ in sections("```not a block```\n# A")] == [(), ("A",)]
    assert sections("") == sections("\n \n") == []


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("# Garden\nx\n## Tomatoes\ny", ["Garden", "Garden > Tomatoes"]),
        ("before\n## Tomatoes\ny", ["a", "a > Tomatoes"]),
        ("# A\nx\n# A\ny", ["A", "A"]),
        ("---\ntitle: T\n---\nx\n# A\ny", ["T", "T > A"]),
        ("---\ntitle: T\n---\n# t\ny", ["t"]),
        ("no heading", ["a"]),
        ("#\nx", ["a"]),
    ],
)
def test_labels_of_sections(text: str, labels: List[str], tmp_path: Path) -> None:
    notes = read(written(tmp_path, {"a.md": text}), split=True)
    assert [note["label"] for note in notes] == labels  # type: ignore[call-overload]  # all can be read


def test_each_section_has_date_and_tags_and_the_first_all_else(tmp_path: Path) -> None:
    text = "---\ntags: [t]\nauthor: Ann\ndate: 2024-01-31\n---\n# A\nx\n# B\ny"
    first, second = read(written(tmp_path, {"a.md": text}), split=True)
    assert text_of(first) == "Date: 2024-01-31\nTags: t\nauthor: Ann\n\n# A\nx"
    assert text_of(second) == "Date: 2024-01-31\nTags: t\n\n# B\ny"
    places = [getattr(note, "place", None) for note in (first, second)]
    assert places == ["notes/a.md", "notes/a.md, line 8"], "the lines are those of the file"


def test_text_is_no_markdown(tmp_path: Path) -> None:
    (note,) = read(written(tmp_path, {"a.txt": "# one\n# two"}), split=True)
    assert (note["label"], text_of(note)) == ("a", "# one\n# two")  # type: ignore[call-overload]  # it can be read
