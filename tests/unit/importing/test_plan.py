"""The decisions of an import: items, matches, and what a failure means for the rest."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest

from sekha._api.stored import compare_messages
from sekha._importing.digests import address_of
from sekha._importing.failures import FailureVerdict, judge_failure
from sekha._importing.journal import Journal
from sekha._importing.pending import find_sought, match_sought
from sekha._importing.plan import (
    Item,
    Rejected,
    iter_items,
    make_failure,
)
from sekha.errors import (
    SekhaAuthError,
    SekhaClosedError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaPermissionError,
    SekhaServerError,
    SekhaTimeoutError,
    SekhaValidationError,
)
from sekha.types import UnreadableConversation

URL = "http://localhost:8080"


def message(content: Any, role: str = "user") -> Dict[str, Any]:
    return {"role": role, "content": content}


def conversation(label: Optional[str] = None, *contents: str) -> Dict[str, Any]:
    found: Dict[str, Any] = {"messages": [message(content) for content in contents]}
    return {**found, "label": label} if label else found


# ---- items -----------------------------------------------------------------------------------------------------------


def test_items_are_numbered_completed_and_known_to_the_journal() -> None:
    journal = Journal(None, URL)
    first, second = iter_items([conversation("A", "x"), conversation(None, "Hello")], journal)
    assert isinstance(first, Item)
    assert isinstance(second, Item)
    assert (first.position, second.position) == (1, 2)
    assert second.request["label"] == "Hello"
    assert list(second.request) == ["label", "folder", "messages", "importance_score"]
    assert (first.entry.is_open, first.entry.unknown_outcomes, first.entry.id) == (False, 0, None)
    journal.begin(first.entry.key)
    journal.mark_unknown(first.entry.key)
    assert journal.is_open(first.entry.key)
    assert not journal.is_open(second.entry.key)


def test_identical_conversations_are_separate_items() -> None:
    one, other = iter_items([conversation("A", "x"), conversation("A", "x")], Journal(None, URL))
    assert isinstance(one, Item)
    assert isinstance(other, Item)
    assert one.request == other.request
    assert one.entry.key != other.entry.key


@pytest.mark.parametrize(
    ("given", "place", "problem"),
    [
        (UnreadableConversation("a.json, line 2", "invalid JSON"), "a.json, line 2", "invalid JSON"),
        ("text", None, "conversation: expected a dictionary, got str"),
        ({"messages": [{"role": "user"}]}, None, "messages[0].content: is required"),
        ({"label": "A"}, None, "messages: is required"),
    ],
)
def test_what_cannot_be_stored_is_rejected_with_its_position(given: Any, place: Optional[str], problem: str) -> None:
    good, bad, last = iter_items([conversation("A", "x"), given, conversation("B", "y")], Journal(None, URL))
    assert bad == Rejected(2, place, problem)
    assert isinstance(good, Item)
    assert isinstance(last, Item)


# ---- matches ---------------------------------------------------------------------------------------------------------

SENT: List[Dict[str, Any]] = [message("one"), message("two", "assistant")]


@pytest.mark.parametrize(
    ("stored", "match"),
    [
        (SENT, "same"),
        (SENT[:1], "part"),
        ([], "part"),
        ([*SENT, message("three")], "other"),
        ([message("one", "assistant"), SENT[1]], "other"),
        ([message("  one"), SENT[1]], "same"),
        ([message("ones"), SENT[1]], "other"),
    ],
)
def test_stored_messages_are_the_same_or_their_beginning(stored: List[Dict[str, Any]], match: str) -> None:
    assert compare_messages(SENT, stored) == match


def test_content_parts_match_the_text_that_a_server_made_of_them() -> None:
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "http://x/a.png"}}]
    assert compare_messages([message(parts)], [message("look\nhttp://x/a.png")]) == "same"
    assert compare_messages([message(parts)], [message("look\nhttp://x/b.png")]) == "other"


def test_content_that_no_text_stands_for_matches_no_text() -> None:
    sound = [{"type": "input_audio", "input_audio": {"data": "..."}}]
    assert compare_messages([message(sound)], [message("...")]) == "other"


def test_a_match_has_the_same_label_and_folder() -> None:
    (item,) = iter_items([{"label": "A", "folder": "/f", "messages": SENT}], journal := Journal(None, URL))
    assert isinstance(item, Item)
    journal.begin(item.entry.key)
    (sought,) = find_sought(item._replace(entry=item.entry._replace(is_open=True)), journal)
    here, elsewhere = (address_of({"label": "A", "folder": folder}) for folder in ("/f", "/g"))
    assert match_sought(sought, here, SENT) == "same"
    assert match_sought(sought, elsewhere, SENT) == "other"
    assert match_sought(sought, here, SENT[:1]) == "part"


# ---- failures --------------------------------------------------------------------------------------------------------


def unknown(error: SekhaError) -> SekhaError:
    error.may_have_been_applied = True
    return error


@pytest.mark.parametrize(
    ("error", "streak", "verdict"),
    [
        # Certainly not stored, and not the fault of the conversation: the import ends.
        (SekhaAuthError("key", status_code=401), 0, FailureVerdict(False, 0, True)),
        (SekhaServerError("busy", status_code=503, retry_after=1), 1, FailureVerdict(False, 1, True)),
        (SekhaConnectionError("refused", sent=False), 0, FailureVerdict(False, 0, True)),
        (SekhaClosedError("closed"), 2, FailureVerdict(False, 2, True)),
        # Certainly not stored, and refused: the next is tried, unless that is no exception.
        (SekhaValidationError("bad", status_code=422), 2, FailureVerdict(True, 2, False)),
        (SekhaPermissionError("no", status_code=403), 0, FailureVerdict(True, 1, False)),
        (SekhaPermissionError("no", status_code=403), 2, FailureVerdict(True, 3, True)),
        # The outcome is unknown.
        (unknown(SekhaServerError("failed", status_code=500)), 0, FailureVerdict(True, 1, False)),
        (unknown(SekhaServerError("failed", status_code=500)), 2, FailureVerdict(True, 3, True)),
        (unknown(SekhaDecodeError("odd")), 1, FailureVerdict(True, 2, False)),
        (unknown(SekhaServerError("gateway", status_code=502)), 0, FailureVerdict(True, 1, True)),
        (unknown(SekhaTimeoutError("reading", sent=True)), 0, FailureVerdict(True, 1, True)),
    ],
)
def test_a_failure_is_reported_counted_or_ends_the_import(
    error: SekhaError, streak: int, verdict: FailureVerdict
) -> None:
    assert judge_failure(error, streak) == verdict


def test_a_failure_in_the_report_names_its_place_and_label() -> None:
    assert make_failure(3, "bad", place="a.json, line 3", label="A", may_have_been_applied=True) == {
        "position": 3,
        "place": "a.json, line 3",
        "label": "A",
        "error": "bad",
        "may_have_been_applied": True,
    }
