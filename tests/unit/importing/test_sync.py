"""What a sync does with each note, without a server: the plan."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

import pytest

from sekha import SekhaConfigError
from sekha._importing.digests import Digests
from sekha._importing.journal import Entry, Journal
from sekha._importing.plan import Item, Rejected
from sekha._importing.sources import Known, Origin
from sekha._importing.sync import Survey, SyncPlan, find_orphans, is_unchanged_plan, plan_sync
from sekha.exports._notes import Source

Notes = Mapping[str, Optional[str]]


def source(name: str) -> Source:
    """``a.md`` or ``a.md#section``."""
    return Source(*name.split("#"))


def digests(text: str) -> Digests:
    """``text``, or ``label/folder/text``."""
    parts = text.split("/")
    return Digests(*parts) if len(parts) == 3 else Digests("l", "f", text)


def survey(notes: Notes, *unreadable: str) -> Survey:
    """What there is, by name; a note that is None is empty."""
    items: List[Union[Item, Rejected]] = [Rejected(0, name, "it is no text", source(name)) for name in unreadable]
    for name, text in notes.items():
        request: Dict[str, Any] = {"label": "l", "folder": "/f", "messages": [] if text is None else [{}]}
        items.append(Item(0, request, Entry(name, False, 0, None), name, Origin(source(name), digests(text or ""))))
    return Survey(items)


def known(notes: Mapping[str, str]) -> Dict[Source, Known]:
    """What the journal knows; the name is the id."""
    return {source(name): Known(name, digests(text)) for name, text in notes.items()}


def shown(plan: SyncPlan) -> Tuple[Dict[str, str], Dict[str, bool]]:
    """Kind of each note, and where it is from if that is elsewhere; and what is gone."""
    steps = {
        "#".join(filter(None, one)): step.kind
        + (f" from {step.known.id}" if step.kind == "moved" and step.known is not None else "")
        for one, step in plan.steps.items()
    }
    return steps, {gone.id: gone.is_removed for gone in plan.gone}


@pytest.mark.parametrize(
    ("before", "now", "steps", "gone"),
    [
        ({}, {"a": "1"}, {"a": "new"}, {}),
        ({"a": "1"}, {"a": "1"}, {"a": "unchanged"}, {}),
        ({"a": "1"}, {"a": "2"}, {"a": "replaced"}, {}),
        ({"a": "1"}, {"a": "x/y/1"}, {"a": "moved from a"}, {}),
        ({"a": "1"}, {"a": "x/y/2"}, {"a": "replaced"}, {}),
        ({"a": "1"}, {"b": "1"}, {"b": "moved from a"}, {}),
        ({"a": "1"}, {"a": "1", "b": "1"}, {"a": "unchanged", "b": "new"}, {}),
        ({"a": "1"}, {"a": "2", "b": "1"}, {"a": "replaced", "b": "new"}, {}),
        ({"a": "1", "b": "1"}, {"c": "1"}, {"c": "moved from a"}, {"b": False}),
        ({"a": "x/f/1", "b": "l/f/1"}, {"c": "l/g/1"}, {"c": "moved from b"}, {"a": False}),
        ({"a": "1", "b": "2"}, {"a": "2", "b": "1"}, {"a": "replaced", "b": "replaced"}, {}),
        ({"a": "1"}, {}, {}, {"a": False}),
        ({"a": "1"}, {"a": None}, {}, {"a": False}),
        ({"a": "1"}, {"b": None}, {}, {"a": False}),
        (
            {"a": "0", "a#s": "1", "a#t": "2"},
            {"a": "0", "a#t": "2"},
            {"a": "unchanged", "a#t": "unchanged"},
            {"a#s": True},
        ),
        ({"a": "0"}, {"a#s": "1", "a#t": "2"}, {"a#s": "new", "a#t": "new"}, {"a": True}),
        ({"a#s": "1"}, {"a#t": "1"}, {"a#t": "moved from a#s"}, {}),
    ],
)
def test_the_plan(before: Dict[str, str], now: Notes, steps: Dict[str, str], gone: Dict[str, bool]) -> None:
    assert shown(plan_sync(survey(now), known(before), delete=False)) == (steps, gone)
    if steps:
        deleted = dict.fromkeys(gone, True)
        there = {**known(before), **known({"z": "there"})}
        plan = plan_sync(survey({**now, "z": "there"}), there, delete=True)
        assert shown(plan) == ({**steps, "z": "unchanged"}, deleted)


@pytest.mark.parametrize(
    ("unreadable", "gone"),
    [
        ([], {"a.md", "x/b.md", "x/y/c.md", "x/y/c.md#s"}),
        (["a.md"], {"x/b.md", "x/y/c.md", "x/y/c.md#s"}),
        (["x/"], {"a.md"}),
        (["x/y/"], {"a.md", "x/b.md"}),
        (["x/y/c.md"], {"a.md", "x/b.md"}),
        (["x/y/c.md#s"], {"a.md", "x/b.md", "x/y/c.md"}),
        (["/"], set()),
    ],
)
def test_what_cannot_be_read_is_not_gone(unreadable: List[str], gone: Any) -> None:
    before = known({"a.md": "1", "x/b.md": "2", "x/y/c.md": "3", "x/y/c.md#s": "4", "z.md": "5"})
    plan = plan_sync(survey({"z.md": "5"}, *unreadable), before, delete=True)
    assert {one.id for one in plan.gone} == gone


def test_nothing_is_deleted_where_nothing_is_there() -> None:
    for now in ({}, {"new": "9"}, {"new": None}):
        with pytest.raises(SekhaConfigError, match="none of the 2 notes"):
            plan_sync(survey(now), known({"a": "1", "b": "2"}), delete=True)
        assert plan_sync(survey(now), known({"a": "1", "b": "2"}), delete=False).gone
    assert plan_sync(survey({}, "/"), known({"a": "1"}), delete=True).gone == []


def test_what_was_begun_of_notes_that_have_changed() -> None:
    journal = Journal(None, "http://localhost")
    for name in ("same", "changed", "gone"):
        journal.begin(f"{name}.1", Origin(source(name), digests("1")), digests("1"))
    journal.begin("no note.1")
    orphans = find_orphans(survey({"same": "1", "changed": "2"}), journal.begun())
    assert [orphan.key for orphan in orphans] == ["changed.1", "gone.1"]
    journal.done("changed.1", "id", Origin(source("changed"), digests("1")))
    journal.refused("gone.1")
    assert [begun.key for begun in journal.begun()] == ["same.1"]


def test_an_unchanged_plan() -> None:
    assert is_unchanged_plan(plan_sync(survey({"a": "1"}), known({"a": "1", "b": "2"}), delete=False))
    assert not is_unchanged_plan(plan_sync(survey({"a": "2"}), known({"a": "1"}), delete=False))


def test_what_the_journal_knows_of_sources() -> None:
    journal = Journal(None, "http://localhost")
    a, b = source("a"), source("b")
    journal.done("1.a", "first", Origin(a, digests("1")))
    journal.done("2.a", "second", Origin(a, digests("2")))
    assert (journal.notes(), journal.stale()) == ({a: Known("second", digests("2"))}, {"first": a})
    journal.done("1.a", "first", Origin(a, digests("1")))
    assert (journal.notes(), journal.stale()) == ({a: Known("first", digests("1"))}, {"second": a})
    journal.removed("second")
    assert (journal.stale(), journal.ids) == ({}, {"first"})
    journal.done("1.b", "first", Origin(b, digests("1")))
    assert journal.notes() == {b: Known("first", digests("1"))}, "it has moved"
    assert journal.entry({"messages": []}, a).id is None
    journal.removed("first")
    assert (journal.notes(), journal.ids) == ({}, set())
