"""What is new in a chat, without a server: how it compares with its pieces, and what is noted of them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import pytest

from sekha._importing.chats import (
    Chat,
    changed_keys,
    compare_chat,
    cut_suffix,
    is_same_piece,
    make_pieces,
    moved_origin,
    part_origin,
)
from sekha._importing.digests import Digests, digest_messages, fingerprint, fingerprints_of_beginnings
from sekha._importing.journal import Journal
from sekha._importing.pending import find_sought, match_sought
from sekha._importing.plan import Item, iter_items
from sekha._importing.sources import Extent, Known, Origin, SourceIndex, chat_source
from sekha.exports._building import ReadConversation
from sekha.exports._notes import Source

URL = "http://localhost:8080"
Messages = List[Dict[str, Any]]


def said(texts: str) -> Messages:
    """A message for each character."""
    return [{"role": "user", "content": text} for text in texts]


def known(*pieces: str, label: str = "L", folder: str = "F", updated_at: str = "") -> Dict[int, Known]:
    """Pieces with these texts, one behind the other; ``3:xy`` is one that begins elsewhere."""
    found: Dict[int, Known] = {}
    start = 0
    for piece in pieces:
        place, _, texts = piece.rpartition(":")
        start = int(place or start)
        digests = Digests(label, folder, digest_messages(said(texts)))
        found[start] = Known(piece, digests, Extent(len(texts), updated_at))
        start += len(texts)
    return found


@pytest.mark.parametrize(
    ("before", "now", "state"),
    [
        ([], "ab", "new"),
        (["ab"], "ab", "unchanged"),
        (["ab", "c"], "abc", "unchanged"),
        (["ab"], "abc", "grown"),
        (["ab", "c"], "abcd", "grown"),
        (["ab"], "ax", "edited"),
        (["ab"], "axc", "edited"),
        (["ab", "c"], "abx", "edited"),
        (["ab", "c"], "axcd", "edited"),
        (["ab", "5:c"], "abcdef", "edited"),
        (["ab", "1:b"], "abc", "edited"),
        (["1:ab"], "xab", "edited"),
        (["ab"], "a", "older"),
        (["ab", "c"], "ab", "older"),
        (["ab", "c"], "xy", "older"),
    ],
)
def test_a_chat_is_compared_with_its_pieces(before: Sequence[str], now: str, state: str) -> None:
    assert compare_chat(Chat("1", "L", "F"), said(now), known(*before)) == state


@pytest.mark.parametrize(
    ("before", "now", "state"),
    [
        ("2024-01", "2024-02", "edited"),
        ("2024-02", "2024-01", "older"),
        ("2024-01", "2024-01", "edited"),
        ("", "2024-01", "older"),
        ("2024-01", "", "older"),
    ],
)
def test_of_two_versions_the_later_one_counts_or_else_the_longer_one(before: str, now: str, state: str) -> None:
    chat = Chat("1", "L", "F", now)
    assert compare_chat(chat, said("a"), known("ab", updated_at=before)) == state


@pytest.mark.parametrize(
    ("label", "folder", "keys"),
    [("L", "F", []), ("M", "F", ["label"]), ("L", "G", ["folder"]), ("M", "G", ["label", "folder"])],
)
def test_label_and_folder(label: str, folder: str, keys: List[str]) -> None:
    chat, pieces = Chat("1", label, folder), known("ab", "c")
    assert changed_keys(chat, pieces) == keys
    assert compare_chat(chat, said("abc"), pieces) == ("renamed" if keys else "unchanged")
    moved = {
        start: Known(one.id, origin.digests, origin.extent)
        for start, one in pieces.items()
        for origin in [moved_origin(chat, start, one)]
    }
    assert compare_chat(chat, said("abc"), moved) == "unchanged"


@pytest.mark.parametrize(
    ("label", "suffix", "cut"),
    [("A (1 of 2)", " (1 of 2)", "A"), ("Mine", " (1 of 2)", "Mine"), ("A", "", "A")],
)
def test_what_was_put_behind_a_label(label: str, suffix: str, cut: str) -> None:
    assert cut_suffix(label, suffix) == cut


def test_pieces_of_a_large_chat_are_noted_with_what_was_said() -> None:
    """Also where images were left out of what is sent."""
    chat = Chat("1", "L", "F", "2024-01")
    parts = [{"label": f"A ({n} of 2)", "folder": "/f", "messages": said(texts)} for n, texts in ((1, "xy"), (2, "z"))]
    pieces = make_pieces(chat, parts, "A", said("abc"), 4)
    assert [piece.origin.source for piece in pieces] == [chat_source("1", 4), chat_source("1", 6)]
    assert [piece.origin.extent for piece in pieces] == [
        Extent(2, "2024-01", " (1 of 2)", False),
        Extent(1, "2024-01", " (2 of 2)", True),
    ]
    index = SourceIndex()
    for number, piece in enumerate(pieces):
        source, digests, extent = piece.origin
        index.add(source, Known(f"{number}", digests, extent._replace(is_last=False)))
    stored = index.pieces("1")
    assert all(is_same_piece(piece, stored[piece.start]) for piece in pieces)
    assert not is_same_piece(pieces[0], stored[6])
    assert not is_same_piece(pieces[0], None)


def index_of(*pieces: str, last: Optional[int] = None) -> SourceIndex:
    """The pieces of a chat, noted one after the other; the ids are their texts."""
    index = SourceIndex()
    for start, piece in known(*pieces).items():
        index.add(chat_source("1", start), piece._replace(extent=piece.extent._replace(is_last=start == last)))
    return index


@pytest.mark.parametrize(
    ("pieces", "last", "left", "stale"),
    [
        (["ab", "cd"], 2, ["ab", "cd"], []),
        (["ab", "cd", "4:e"], 2, ["ab", "cd", "4:e"], []),
        (["2:cd", "0:ab", "1:xyz"], 1, ["0:ab", "2:cd"], ["1:xyz"]),
        (["2:cd", "0:xyz"], 0, ["0:xyz"], ["2:cd"]),
        (["2:cd", "9:e", "0:ab"], 0, ["0:ab", "2:cd"], ["9:e"]),
    ],
)
def test_pieces_of_an_earlier_version_are_stale(
    pieces: Sequence[str], last: int, left: List[str], stale: List[str]
) -> None:
    index = index_of(*pieces, last=last)
    assert [one.id for one in index.pieces("1").values()] == left
    assert list(index.stale) == stale
    for id in stale:
        index.remove(id)
        assert id not in index.stale
    for id in left:
        assert index.owns(id)
        index.remove(id)
        assert not index.owns(id)
    assert index.pieces("1") == {}


def test_notes_and_chats_are_told_apart() -> None:
    journal = Journal(None, URL)
    note = Source("a.md")
    journal.done("1.n", "note", Origin(note, Digests("l", "f", "m")))
    journal.done("1.c", "chat", Origin(chat_source("a.md"), Digests("l", "f", "m"), Extent(1)))
    assert list(journal.notes()) == [note]
    assert [one.id for one in journal.pieces("a.md").values()] == ["chat"]
    for source in (note, chat_source("a.md")):
        journal.begin("2.x", Origin(source, Digests("l", "f", "n"), Extent(source != note)), Digests("l", "f", "n"))
        assert [begun.key for begun in journal.begun()] == (["2.x"] if source == note else [])
        assert [begun.key for begun in journal.begun(chat_source("a.md"))] == (["2.x"] if source != note else [])
        journal.done("2.x", f"new {source.file}", Origin(source, Digests("l", "f", "n"), Extent(source != note)))
    assert journal.stale() == {"note": note, "chat": chat_source("a.md")}
    assert journal.stale(chat_source("a.md", 7)) == {"chat": chat_source("a.md")}, "any piece of it"
    assert journal.stale(note) == {"note": note}


# ---- what was on its way ---------------------------------------------------------------------------------------------


def chat_item(journal: Journal, texts: str, label: str = "A", **more: Any) -> Item:
    """The item of a chat."""
    conversation = ReadConversation(label=label, folder="/f", messages=said(texts))
    conversation.source_id = "7b1c9d3e-52a4-4f60-8e1d-0a9b6c5f4e32"
    for name, value in more.items():
        setattr(conversation, name, value)
    (item,) = iter_items([conversation], journal)
    assert isinstance(item, Item)
    return item


@pytest.mark.parametrize(
    ("now", "stored", "match"),
    [
        ("abc", "abc", "same"),
        ("abc", "ab", "part"),
        ("abcd", "abc", "same"),
        ("abcd", "ab", "part"),
        ("xyz", "abc", "same"),
        ("xyz", "ab", "other"),
        ("xyz", "x", "part"),
        ("abx", "ab", "part"),
        ("abc", "abcd", "other"),
    ],
)
def test_what_was_begun_of_a_chat_is_found_whatever_it_is_now(now: str, stored: str, match: str) -> None:
    journal = Journal(None, URL)
    before = chat_item(journal, "abc")
    assert before.chat is not None
    (piece,) = make_pieces(before.chat, [before.request], "A", before.request["messages"])
    sent = Digests(before.chat.label, before.chat.folder, digest_messages(said("abc")))
    journal.begin("k.s", piece.origin, sent)
    (sought,) = find_sought(chat_item(journal, now, label="another"), journal)
    assert match_sought(sought, (sent.label, sent.folder), said(stored)) == match
    assert match_sought(sought, (sent.folder, sent.label), said(stored)) == "other"


def test_a_part_is_noted_as_what_it_was_when_it_was_sent() -> None:
    chat, begun = (
        Chat("1", "M", "G", "2024-02"),
        Origin(chat_source("1", 2), Digests("L", "F", "m"), Extent(5, "2024-01", " (2 of 2)", True)),
    )
    assert part_origin(chat, said("ab"), 2, begun) == Origin(
        chat_source("1", 2), Digests("L", "F", digest_messages(said("ab"))), Extent(2, "2024-01", " (2 of 2)", False)
    )
    assert part_origin(chat, said("ab"), 0, None) == Origin(
        chat_source("1"), Digests("M", "G", digest_messages(said("ab"))), Extent(2, "2024-02")
    )


@pytest.mark.parametrize(
    ("numbers", "found"),
    [({}, None), ({1: "done"}, "id 1"), ({1: "begun"}, None), ({1: "done", 2: "done"}, "id 1")],
)
def test_what_older_versions_have_noted(numbers: Mapping[int, str], found: Optional[str]) -> None:
    journal = Journal(None, URL)
    plain = {"label": "A", "folder": "/f", "importance_score": 5, "messages": said("ab")}
    for number, how in numbers.items():
        key = journal.entry(plain).key
        journal.begin(key)
        if how == "done":
            journal.done(key, f"id {number}")
    entries = [chat_item(journal, "ab").entry for _ in range(3)]
    ids: Tuple[Optional[str], ...] = tuple(entry.id for entry in entries)
    assert ids[0] == found
    assert [entry.is_open for entry in entries] == [how == "begun" for how in numbers.values()] + [False] * (
        3 - len(numbers)
    )
    assert len({id for id in ids if id is not None}) == len([id for id in ids if id is not None]), "each to one chat"
    assert chat_item(journal, "ab", label="B").entry.id is None


def test_what_older_versions_have_noted_of_a_chat_that_has_grown_since() -> None:
    journal = Journal(None, URL)
    plain = {"label": "A", "folder": "/f", "importance_score": 5}
    for texts in ("ab", "abc", "x"):
        journal.done(journal.entry({**plain, "messages": said(texts)}).key, texts)
    entries = [chat_item(journal, texts).entry for texts in ("abcde", "abcdef", "abc", "ax", "xy")]
    assert [(entry.id, entry.size) for entry in entries] == [
        ("abc", 3),
        ("ab", 2),
        (None, None),
        (None, None),
        ("x", 1),
    ]
    whole = {**plain, "messages": said("abc")}
    assert fingerprints_of_beginnings(whole)[-1] == fingerprint(whole)
    assert fingerprints_of_beginnings({**plain, "messages": []}) == []
