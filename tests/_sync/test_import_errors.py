# Generated from tests/_async/test_import_errors.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""An import that ends with an error: the error has what was done before it."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sekha import (
    SekhaClient,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaError,
    SekhaTimeoutError,
)
from sekha._importing.journal import Journal
from sekha.types import ImportReport, SyncReport
from support import facts
from support.replies import DROP, answer
from support.server import FakeServer

from .conftest import MakeClient

CREATE = "POST /api/v1/conversations"
GOOD: list[dict[str, Any]] = [{"label": label, "messages": [{"role": "user", "content": label}]} for label in "ABC"]


def numbers(report: ImportReport | SyncReport | None) -> dict[str, Any]:
    """What of a report is not zero, without failures."""
    assert report is not None
    return {key: one for key, one in report.items() if one and key != "failures"}


def test_the_error_has_what_was_stored_before_it(make: MakeClient, server: FakeServer, tmp_path: Path) -> None:
    client = make(max_retries=0)
    server.always("GET /health", answer(facts.HEALTHY))
    server.on(CREATE, answer(facts.CREATED, 201), DROP)
    conversations: list[dict[str, Any]] = [*GOOD[:1], {"messages": []}, {"label": "bad"}, *GOOD[1:]]
    with pytest.raises(SekhaConnectionError) as caught:
        client.controller.import_conversations(conversations, journal=tmp_path / "j", concurrency=1)
    report = caught.value.report
    assert numbers(report) == {"seen": 4, "stored": 1, "empty": 1, "failed": 2}
    assert report is not None
    assert [one["position"] for one in report["failures"]] == [3, 4]
    assert pickle.loads(pickle.dumps(caught.value)).report == report


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), SekhaTimeoutError("too late"), ValueError("odd")])
def test_whatever_ends_it_has_it(
    error: Exception, local: SekhaClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun: list[object] = []
    begin = Journal.begin

    def refuse(*args: Any) -> None:
        begun.append(args)
        if len(begun) == 3:
            raise error
        begin(*args)

    monkeypatch.setattr(Journal, "begin", refuse)
    with pytest.raises(type(error)) as caught:
        local.controller.import_conversations(GOOD, journal=tmp_path / "j", concurrency=1)
    assert caught.value is error
    assert numbers(getattr(error, "report", None)) == {"seen": 2, "stored": 2}


class Frozen(Exception):
    """An error that takes no attributes but those of Python itself."""

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("__"):
            raise AttributeError(name)
        super().__setattr__(name, value)


def test_an_error_of_the_conversations_comes_as_it_is(local: SekhaClient) -> None:
    def source(error: Exception) -> Iterator[dict[str, Any]]:
        yield GOOD[0]
        raise error

    with pytest.raises(Frozen):
        local.controller.import_conversations(source(Frozen()))
    with pytest.raises(ZeroDivisionError) as caught:
        local.controller.import_conversations(source(ZeroDivisionError()), concurrency=1)
    assert numbers(getattr(caught.value, "report", None))["seen"] == 1


def test_there_is_none_where_it_had_not_begun(local: SekhaClient, tmp_path: Path) -> None:
    (tmp_path / "j").write_text("something else\n")
    calls: list[Callable[[], Any]] = [
        lambda: local.controller.import_conversations(GOOD, journal=tmp_path / "j"),
        lambda: local.controller.import_conversations(GOOD, concurrency=0),
        lambda: local.controller.get_conversation("7c4232c1-6731-4135-af20-23919a1243dd"),
    ]
    for call in calls:
        with pytest.raises(SekhaError) as caught:
            call()
        assert caught.value.report is None
    assert SekhaConfigError("x").report is None


def test_a_sync_has_it_too(make: MakeClient, server: FakeServer, tmp_path: Path) -> None:
    client = make(max_retries=0)
    for name in "abc":
        (tmp_path / f"{name}.md").write_text(name)
    server.always("GET /health", answer(facts.HEALTHY))
    server.always("GET /api/v1/conversations", answer(facts.rows()))
    server.on(CREATE, answer(facts.CREATED, 201), DROP)
    with pytest.raises(SekhaConnectionError) as caught:
        client.controller.sync_notes(tmp_path, concurrency=1)
    found = numbers(caught.value.report)
    assert (found["seen"], found["stored"], found["failed"]) == (2, 1, 1)
    assert [change["label"] for change in found["changes"]] == ["a"]
