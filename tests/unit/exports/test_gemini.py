"""Gemini's activity of Google's Takeout, as JSON and as HTML, and shapes that none has."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest

from sekha.exports import read_export
from sekha.exports._building import ReadConversation, Unreadable
from sekha.exports._gemini import parse_gemini
from sekha.exports._gemini_html import is_gemini_html, parse_gemini_html
from sekha.exports._kinds import find_kind
from sekha.types import UnreadableConversation
from unit.exports.mutations import check_mutations

STYLES = f"<html><head><title>My Activity</title><style>{'.a {margin: 0} ' * 20000}</style></head><body>"


def entry(title: Any, time: Any = "2025-05-01T09:00:00.000Z", answer: Any = None, **more: Any) -> Dict[str, Any]:
    found = {"header": "Gemini Apps", "title": title, "time": time, "products": ["Gemini Apps"]}
    return {**found, **({} if answer is None else {"safeHtmlItem": [{"html": answer}]}), **more}


def card(content: str, header: str = "Gemini Apps") -> str:
    """An entry of the HTML."""
    return (
        '<div class="outer-cell mdl-cell mdl-cell--12-col mdl-shadow--2dp"><div class="mdl-grid">'
        f'<div class="header-cell mdl-cell"><p class="mdl-typography--title">{header}<br></p></div>'
        f'<div class="content-cell mdl-cell mdl-cell--6-col mdl-typography--body-1">{content}</div>'
        '<div class="content-cell mdl-cell mdl-cell--6-col mdl-typography--body-1 mdl-typography--text-right"></div>'
        '<div class="content-cell mdl-cell mdl-cell--12-col mdl-typography--caption"><b>Products:</b><br>&emsp;Gemini'
        " Apps</div></div></div>"
    )


def read(*entries: Any) -> List[ReadConversation]:
    return list(parse_gemini(entries, None))


def said(conversation: ReadConversation) -> List[str]:
    return [f"{message['role']}: {message['content']}" for message in conversation["messages"]]


def said_on_one_day(*entries: Any) -> List[str]:
    (found,) = read(*entries)
    return said(found)


def said_in_html(*contents: str) -> List[str]:
    (found,) = parse_gemini_html([STYLES, *map(card, contents), "</body></html>"], None)
    return said(found)


# Days


def test_a_day_is_a_conversation_with_the_oldest_first() -> None:
    found = read(
        entry("Prompted Good night", "2025-05-02T00:30:00.000Z", "<p>Sleep well.</p>"),
        entry("Prompted And why?", "2025-05-01T23:59:59.999Z", "<p>Nobody knows.</p>"),
        entry("Prompted Which port?\nTell me.", "2025-05-01T09:00:00.500Z", "<p>Port <b>9100</b>.</p>"),
    )
    assert [said(one) for one in found] == [
        ["user: Good night", "assistant: Sleep well."],
        ["user: Which port?\nTell me.", "assistant: Port 9100.", "user: And why?", "assistant: Nobody knows."],
    ]
    day = found[1]
    assert (day["label"], day["folder"]) == ("Which port?", "/gemini")
    assert day.source_id == "gemini 2025-05-01T09:00:00+00:00"
    assert day.created_at == day["messages"][0]["timestamp"] == "2025-05-01T09:00:00.500000+00:00"
    assert day.updated_at == "2025-05-01T23:59:59.999000+00:00"
    assert day.left_out == {}


def test_the_order_of_the_file_counts_only_where_the_times_do_not() -> None:
    old, new = entry("Prompted Old", "2025-05-01T08:00:00Z"), entry("Prompted New", "2025-05-01T09:00:00Z")
    assert said_on_one_day(old, new) == said_on_one_day(new, old) == ["user: Old", "user: New"]
    assert said_on_one_day(new, entry("Prompted B", None), old) == ["user: Old", "user: B", "user: New"]
    assert said_on_one_day(new, old, {**old, "title": "Prompted First"}) == ["user: First", "user: Old", "user: New"]
    assert said_on_one_day(entry("Prompted B", None), entry("Prompted A", "soon")) == ["user: A", "user: B"]


def test_where_all_have_the_same_time_each_is_a_conversation() -> None:
    found = read(entry("Prompted A", answer="1"), entry("Prompted B", answer="2"), entry("Selected preferred draft"))
    assert [said(one) for one in found] == [["user: A", "assistant: 1"], ["user: B", "assistant: 2"]]
    assert [one.source_id for one in found] == [None, None]
    assert found[0].left_out == {"activities without words": 1}


def test_before_1970_and_days_that_come_back() -> None:
    times = ["2025-05-01T09:00:00Z", "1969-12-31T23:00:00Z", "2025-05-01T08:00:00Z"]
    assert [said(one) for one in read(*(entry(f"Prompted {time[:10]}", time) for time in times))] == [
        [f"user: {time[:10]}"] for time in times
    ]


def test_memory_holds_one_day() -> None:
    def entries() -> Iterator[Dict[str, Any]]:
        for number in range(3000):
            yield entry(f"Prompted {number}", 1.7e9 - number * 10000, f"<p>{'words ' * 200}</p>")

    tracemalloc.start()
    try:
        messages = sum(len(one["messages"]) for one in parse_gemini(entries(), None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert messages == 6000
    assert peak < 1e6


# What was said


@pytest.mark.parametrize(
    ("title", "prompt"),
    [
        ("Prompted Which port?", "Which port?"),
        ("Prompted\xa0Which port?", "Which port?"),
        ("Prompted with: Which port?", "Which port?"),
        ("Live Prompt Which port?", "Which port?"),
        ("Asked Which port?", "Which port?"),
        ("Asked Gemini: Which port?", "Which port?"),
        ("Asked Bard: Which port?", "Which port?"),
        ("Said Which port?", "Which port?"),
        ("Eingegebener Prompt: Welcher Port?", "Welcher Port?"),
        ("Prompt\xa0: Quel port\xa0?", "Quel port ?"),
        ("Gav instruktionen vilken port?", "vilken port?"),
        ("Prompted Which port? Attached 2 files.", "Which port?"),
        ("Has preguntado: qué puerto", "Has preguntado: qué puerto"),
        ("Demandé Améliore ce Prompt: x", "Demandé Améliore ce Prompt: x"),
        ("Added chat from link", "Added chat from link"),
    ],
)
def test_the_verb_is_cut_off_and_what_is_not_known_stays(title: str, prompt: str) -> None:
    assert said_on_one_day(entry(title)) == [f"user: {prompt}"]


@pytest.mark.parametrize(
    "title",
    [
        "Used an Assistant feature",
        "Selected preferred draft",
        "Gave feedback: Good response",
        "Cleared previous feedback",
    ],
)
def test_what_was_done_without_words_is_counted(title: str) -> None:
    (found,) = read(entry("Prompted Hi"), entry(title), entry(title, "2020-01-01T09:00:00Z", subtitles=[{"name": "x"}]))
    assert said(found) == ["user: Hi"]
    assert found.left_out == {"activities without words": 2, "notes": 1}


def test_a_canvas_and_several_answers() -> None:
    assert said_on_one_day(entry("Created Gemini Canvas titled A plan", answer="<p>Tent.</p>")) == [
        "assistant: [A plan]\nTent."
    ]
    assert said_on_one_day(entry("Prompted Hi", safeHtmlItem=[{"html": "<p>One</p>"}, {"html": "Two"}])) == [
        "user: Hi",
        "assistant: One\n\nTwo",
    ]


def test_files_and_notes() -> None:
    note = {"name": "Helper was used in this chat. Manage your Gems.", "url": "https://gemini.google.com/gems/x"}
    files = [note, {"name": "Attached 1 file."}, {"name": "-  a.png", "url": "a-1.png"}]
    (found,) = read(entry("Prompted What is it?", answer="A cat.", subtitles=files, imageFile="a-1.png"))
    assert said(found) == ["user: What is it?\n[a.png]", "assistant: A cat."]
    assert found.left_out == {"notes": 2}
    attached = entry("Prompted ", attachedFiles=["a.pdf", {"name": "b.pdf"}], imageFile="c.png", audioFiles=["d.ogg"])
    assert said_on_one_day(attached) == ["user: [a.pdf]\n[b.pdf]\n[c.png]\n[d.ogg]"]
    assert said_on_one_day(entry("Prompted Hi", subtitles=[{"name": "Hello"}])) == ["user: Hi", "assistant: Hello"]


def test_products_in_all_languages_and_no_others() -> None:
    entries = [
        entry("Prompted A", header="Gemini \u30a2\u30d7\u30ea", products=[]),
        entry("Prompted B", "2025-05-01T08:00:00Z", header=None, products=["App Gemini"]),
        entry("Prompted C", "2025-05-01T07:00:00Z", header="Bard", products=None),
        entry("Searched for gemini", header="Search", products=["Search"]),
    ]
    (found,) = read(*entries)
    assert said(found) == ["user: C", "user: B", "user: A"]
    assert found.left_out == {"activities of other products": 1}
    assert [getattr(find_kind(one), "name", None) for one in entries] == ["Gemini", "Gemini", "Gemini", None]


def test_what_is_left_out_behind_the_last_day_is_counted() -> None:
    (found,) = read(entry("Prompted Hi"), entry("Gave feedback: Bad", "2020-01-01T09:00:00Z"), 7)
    assert found.left_out == {"activities without words": 1, "unknown: an entry that is no JSON object": 1}


def test_nothing_and_nothing_understood() -> None:
    (found,) = read(entry("Selected preferred draft"))
    assert (found["messages"], found.left_out) == ([], {"activities without words": 1})
    with pytest.raises(Unreadable, match="an entry without a title"):
        read(entry(None), entry(7))
    assert said_on_one_day(entry(None, answer="Words")) == ["assistant: Words"]


def test_wrong_types_anywhere_lose_nothing_in_silence() -> None:
    entries = [
        entry("Prompted B", "2025-05-02T09:00:00Z", "<p>2</p>", subtitles=[{"name": "-  a.png", "url": "x"}]),
        entry("Prompted A", "2025-05-01T09:00:00Z", "<p>1</p>", attachedFiles=["a"], imageFile="b"),
    ]
    optional = ("safeHtmlItem", "html", "title")
    check_mutations(lambda data: parse_gemini(data, None), entries, optional=optional)


# HTML


def test_html() -> None:
    answer = "<p>Nobody <i>knows</i>.</p><ul><li>One</li></ul>"
    new = card(f"Prompted&nbsp;And <b>why</b>?<br>May 1, 2025, 5:00:00\u202fPM PDT<br>{answer}")
    old = card("Prompted&nbsp;Which port?<br>Tell me &amp; you.<br>May 1, 2025, 9:00:00 AM UTC<p>Port 9100.</p>")
    text = f"{STYLES}{new}{old}</body>"
    for size in (1, 7, 1000, len(text)):
        if size == 1:
            pieces = [text[: len(STYLES)], *text[len(STYLES) :]]
        else:
            pieces = [text[at : at + size] for at in range(0, len(text), size)]
        second, first = parse_gemini_html(pieces, None)
        assert said(second) == ["user: And why?", "assistant: Nobody knows.\n\n- One"]
        assert said(first) == ["user: Which port?\nTell me & you.", "assistant: Port 9100."]
        assert (first["label"], first["folder"]) == ("Which port?", "/gemini")
        assert first.source_id == "gemini 2025-05-01T09:00:00+00:00"
        assert second.created_at == "2025-05-02T00:00:00.000000+00:00"


@pytest.mark.parametrize(
    "content",
    [
        "Prompted&nbsp;Hi<br>1 May 2025, 09:00:00 UTC<br><p>Hello</p>",
        "Prompted\xa0Hi<br>1 May 2025, 09:00:00 UTC<br>Hello",
        'Prompted <a href="https://gemini.google.com/app/1">Hi</a><br>1 May 2025, 09:00:00 UTC<p>Hello</p>',
        "Eingegebener Prompt:&nbsp;Hi<br>01.05.2025, 11:00:00 MESZ<br><p>Hello</p>",
        "Gav instruktionen&nbsp;Hi<br>1 maj 2025 09:00:00 UTC<br><p>Hello</p><br>",
        "Has preguntado:&nbsp;Hi<br>1 may 2025, 09:00:00 UTC<br><div><p>Hello</p></div>",
        "Zapytano&nbsp;Hi<BR/>1 dzień 2025, 09:00:00<BR/><P>Hello</P>",
    ],
)
def test_html_of_all_languages(content: str) -> None:
    assert said_in_html(content) == ["user: Hi", "assistant: Hello"]


def test_html_files_and_notes() -> None:
    gem = '<a href="https://gemini.google.com/gems/view">Helper was used in this chat.</a>'
    files = 'Attached 1 file.<br>-  <a href="a-1.png">a.png</a>'
    content = f"Prompted&nbsp;What?<br>{files}<br>{gem}<br>1 May 2025, 09:00:00 UTC<br>A cat."
    (found,) = parse_gemini_html([card(content)], None)
    assert said(found) == ["user: What?\n[a.png]", "assistant: A cat."]
    assert found.left_out == {"notes": 1}


def test_html_of_other_kinds_of_entries() -> None:
    (found,) = parse_gemini_html(
        [
            card("Prompted&nbsp;Hi<br>1 May 2025, 09:00:00 UTC<br>"),
            card("Searched for <a>gemini</a><br>1 May 2025, 09:00:00 UTC", "Search"),
            card("Gave feedback:&nbsp;Good response<br>1 May 2025, 09:00:00 UTC"),
            card("Created Gemini Canvas titled&nbsp;A plan<br>1 May 2025, 08:00:00 UTC"),
            card("Prompted&nbsp;No date<p>Answer</p>"),
            '<div class="outer-cell"><p>x</p></div>',
        ],
        None,
    )
    assert said(found) == ["user: No date", "assistant: Answer", "assistant: [A plan]", "user: Hi"]
    assert found.left_out == {
        "activities of other products": 1, "activities without words": 1, "unknown: an entry without its cells": 1,
    }  # fmt: skip


@pytest.mark.parametrize("header", ["Search", "YouTube", "Geminids"])
def test_pages_of_other_products_are_none(header: str) -> None:
    page = STYLES + card("Searched for gemini<br>1 May 2025, 09:00:00 UTC", header)
    assert not is_gemini_html(page)
    assert is_gemini_html(STYLES + card("x", "Gemini-Apps"))
    assert not is_gemini_html("Gemini Apps outer-cell")


# Files


def takeout(folder: Path, *, is_html: bool = True) -> Path:
    path = folder / "takeout.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if is_html:
            name = "Takeout/Meine Aktivit\xe4ten/Gemini-Apps/MeineAktivit\xe4ten.html"
            archive.writestr(name, STYLES + card("Eingegebener Prompt:&nbsp;Hi<br>01.05.2025, 09:00:00 UTC<br>Hello"))
            archive.writestr("Takeout/Meine Aktivit\xe4ten/Suche/MeineAktivit\xe4ten.html", STYLES + card("x", "Suche"))
        else:
            archive.writestr(
                "Takeout/My Activity/Gemini Apps/MyActivity.json", json.dumps([entry("Prompted Hi", answer="Hello")])
            )
            archive.writestr(
                "Takeout/My Activity/Search/MyActivity.json", json.dumps([entry("x", header="Search", products=[])])
            )
        archive.writestr("Takeout/archive_browser.html", "<!doctype html><html><body>Takeout</body></html>")
    return path


def whole(path: Path) -> List[Optional[str]]:
    found = list(read_export(path))
    assert not [one for one in found if isinstance(one, UnreadableConversation)], found
    return [one.get("label") for one in found if not isinstance(one, UnreadableConversation)]


@pytest.mark.parametrize("is_html", [True, False])
def test_it_is_found_in_an_archive_and_in_a_folder(tmp_path: Path, is_html: bool) -> None:
    path = takeout(tmp_path, is_html=is_html)
    assert whole(path) == ["Hi"]
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    assert whole(tmp_path / "unpacked") == ["Hi"]


def test_broken_bytes_of_a_page_are_counted(tmp_path: Path) -> None:
    page = card("Prompted&nbsp;H\xffi<br>1 May 2025, 09:00:00 UTC<br>Hello")
    (tmp_path / "gemini.html").write_bytes(page.encode("latin-1"))
    found = read_export(tmp_path / "gemini.html")
    assert [one.get("label") for one in found if not isinstance(one, UnreadableConversation)] == ["H\ufffdi"]
    assert getattr(found, "left_out", None) == {"replaced characters": 1}
