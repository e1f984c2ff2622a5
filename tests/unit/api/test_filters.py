"""What servers do not filter is filtered here (D11, D20, D24, D26, D60)."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._api.arguments import ListRequest
from sekha._api.filters import (
    MAX_SEARCH_SIZE,
    Period,
    ends_below,
    exclude_folders,
    in_folder,
    list_filter,
    parse_filters,
    parse_period,
    search_sizes,
    server_filters,
    split_by_score,
    stats_filter,
)
from sekha.errors import SekhaValidationError
from sekha.types import ConversationListItem, Filters, MemoryStatsRequest, Message, SearchResult
from sekha.types._base import normalize_timestamp


def row(
    id: str = "a",
    label: str = "L",
    folder: str = "/f",
    importance: Optional[float] = 5,
    status: str = "active",
    time: str = "2026-01-15T12:00:00.000000+00:00",
) -> ConversationListItem:
    return {
        "id": id,
        "conversation_id": id,
        "label": label,
        "folder": folder,
        "timestamp": time,
        "metadata": {"importance_score": importance, "status": status, "folder": folder},
    }


def hit(
    id: str = "a",
    label: str = "L",
    folder: str = "/f",
    time: str = "2026-01-15T12:00:00",
    message_time: str = "",
    role: str = "",
) -> SearchResult:
    found: SearchResult = {
        "conversation_id": id,
        "message_id": "m" + id,
        "score": 0.5,
        "content": "text",
        "label": label,
        "folder": folder,
        "timestamp": normalize_timestamp(time),
    }
    if message_time:
        found["metadata"] = {"timestamp": normalize_timestamp(message_time)}
    if role:
        found["metadata"] = {"role": role}
    return found


# ---- periods -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "time", "inside"),
    [
        (None, None, None, True),
        (None, None, "2026-01-15T12:00:00", True),
        ("2026-01-15", None, "2026-01-15T00:00:00", True),
        ("2026-01-15", None, "2026-01-14T23:59:59.999999", False),
        (None, "2026-01-15", "2026-01-15 23:59:59.999999999", True),
        (None, "2026-01-15", "2026-01-16T00:00:00", False),
        ("2026-01-15", "2026-01-15", "2026-01-15T12:00:00Z", True),
        ("2026-01-15T12:00:00", "2026-01-15T12:00:00Z", "2026-01-15T13:00:00+01:00", True),
        ("2026-01-15T12:00:00+02:00", None, "2026-01-15T10:00:00", True),
        ("2026-01-15T12:00:00+02:00", None, "2026-01-15T09:59:59", False),
        ("2026-01-15", None, None, False),
        (None, "2026-01-15", "", False),
    ],
)
def test_bounds_are_included_and_in_utc_without_a_zone(
    start: Optional[str], end: Optional[str], time: Optional[str], inside: bool
) -> None:
    assert parse_period(start, end).contains(time) is inside


@pytest.mark.parametrize("text", ["yesterday", "2026", "2026-02-30", "2026-13-01", "31.01.2026", "2026-01-01T25:00:00"])
@pytest.mark.parametrize("name", ["start_date", "end_date"])
def test_what_is_no_date_is_refused_by_its_name(name: str, text: str) -> None:
    with pytest.raises(SekhaValidationError, match="2026-01-31") as caught:
        parse_period(**{"start": None, "end": None, name.partition("_")[0]: text}, prefix="filters.")
    assert caught.value.field == f"filters.{name}"
    assert caught.value.sent is False


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(SekhaValidationError) as caught:
        parse_period("2026-01-02", "2026-01-01")
    assert caught.value.field == "end_date"


# ---- hits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        (None, "abcd"),
        ({}, "abcd"),
        ({"label": "Work"}, "ab"),
        ({"label": "work"}, ""),
        ({"labels": ["Work", "Home"]}, "abc"),
        ({"labels": []}, ""),
        ({"label": "Work", "labels": ["Home"]}, ""),
        ({"label": "Home", "labels": ["Home", "Work"]}, "c"),
        ({"folder": "/w"}, "a"),
        ({"min_importance": 7}, "bd"),
        ({"min_importance": 7, "label": "Work"}, "b"),
        ({"min_importance": 0}, "abcd"),
        ({"start_date": "2026-01-02"}, "bcd"),
        ({"end_date": "2026-01-02"}, "ab"),
        ({"start_date": "2026-01-02", "end_date": "2026-01-03", "label": "Home"}, "c"),
        ({"exclude_labels": ["Work"]}, "cd"),
        ({"exclude_labels": []}, "abcd"),
        ({"exclude_labels": ["Work"], "labels": ["Work", "Home"]}, "c"),
        ({"folder": "/w", "subfolders": True}, "ab"),
        ({"folder": "/w", "subfolders": False}, "a"),
        ({"folder": "/", "subfolders": True}, "abcd"),
        ({"archived": False}, "acd"),
        ({"archived": True}, "b"),
        ({"archived": False, "min_importance": 7}, "d"),
        ({"roles": ["user"]}, "ac"),
        ({"roles": ["assistant", "tool"]}, "b"),
        ({"roles": []}, ""),
    ],
)
def test_all_given_filters_must_hold_and_the_order_stays(filters: Optional[Filters], kept: str) -> None:
    hits = [
        hit("a", "Work", "/w", "2026-01-01T10:00:00", role="user"),
        hit("b", "Work", "/w/x", "2026-01-02T10:00:00", role="assistant"),
        hit("c", "Home", "/h", "2026-01-03T10:00:00", role="user"),
        hit("d", "Other", "/W", "2026-01-04T10:00:00"),
    ]
    rows = [row("a"), row("b", importance=7, status="archived"), row("c", importance=6.5), row("d", importance=10)]
    found = parse_filters(filters).keep(hits, {one["conversation_id"]: one for one in rows})
    assert "".join(each["conversation_id"] for each in found) == kept


def test_dates_compare_the_time_of_the_message_where_the_server_tells_it() -> None:
    old_message = hit("a", time="2026-01-20T00:00:00", message_time="2026-01-01T00:00:00")
    assert parse_filters({"end_date": "2026-01-10"}).keep([old_message], {}) == [old_message]
    assert parse_filters({"start_date": "2026-01-10"}).keep([old_message], {}) == []


def test_a_conversation_of_unknown_importance_does_not_pass_for_an_important_one() -> None:
    assert parse_filters({"min_importance": 1}).keep([hit("gone")], {}) == []


def test_a_conversation_that_is_in_no_list_is_not_archived() -> None:
    assert parse_filters({"archived": False}).keep([hit("new")], {}) == [hit("new")]
    assert parse_filters({"archived": True}).keep([hit("new")], {}) == []


@pytest.mark.parametrize("subfolders", [True, False])
def test_subfolders_of_no_folder_are_refused(subfolders: bool) -> None:
    with pytest.raises(SekhaValidationError, match="requires a folder") as caught:
        parse_filters({"subfolders": subfolders}, "")
    assert (caught.value.field, caught.value.sent) == ("subfolders", False)


@pytest.mark.parametrize(
    ("filters", "sent"),
    [
        (
            {"label": "A", "labels": ["A", "B"], "min_importance": 0},
            {"label": "A", "labels": ["A", "B"], "min_importance": 0},
        ),
        ({"labels": []}, {}),  # which a server takes for any label
        ({"folder": "/w", "end_date": "2026-01-01"}, {"folder": "/w", "end_date": "2026-01-01"}),
        ({"folder": "/w", "subfolders": False}, {"folder": "/w"}),
        ({"folder": "/w", "subfolders": True}, {}),
        ({"roles": ["user"], "archived": False, "exclude_labels": ["A"]}, {}),
    ],
)
def test_a_server_is_sent_the_filters_that_are_documented(filters: Filters, sent: Dict[str, Any]) -> None:
    assert server_filters(filters) == sent


@pytest.mark.parametrize(
    ("filters", "does"),
    [(None, False), ({}, False), ({"labels": []}, True), ({"min_importance": 0}, True), ({"folder": "/"}, True)],
)
def test_a_filter_knows_whether_it_filters(filters: Optional[Filters], does: bool) -> None:
    assert parse_filters(filters).filters_anything is does


def test_a_bad_date_in_filters_is_named_with_its_prefix() -> None:
    with pytest.raises(SekhaValidationError) as caught:
        parse_filters({"start_date": "soon"})
    assert caught.value.field == "filters.start_date"


@pytest.mark.parametrize(
    ("min_score", "kept", "below", "ends"),
    [(None, 3, None, False), (0, 3, 0, False), (0.5, 2, 1, True), (0.9, 1, 2, True), (1, 0, 3, True)],
)
def test_a_floor_is_included(min_score: Optional[float], kept: int, below: Optional[int], ends: bool) -> None:
    hits = [hit("a"), hit("b"), hit("c")]
    for one, score in zip(hits, (0.9, 0.5, 0.1)):
        one["score"] = score
    assert split_by_score(hits, min_score) == (hits[:kept], below)
    assert ends_below(hits, min_score) is ends
    assert ends_below([], min_score) is False


@pytest.mark.parametrize(
    ("wanted", "sizes"),
    [
        (1, (20, 200, 2000, 10_000)),
        (10, (40, 400, 4000, 10_000)),
        (249, (996, 9960, 10_000)),
        (250, (1000, 10_000)),
        (2500, (10_000,)),
        (9999, (10_000,)),
        (50_000, (50_000,)),
    ],
)
def test_a_filtered_search_asks_for_four_times_as_much_and_then_for_ten_times_as_much(wanted: int, sizes: Any) -> None:
    assert tuple(search_sizes(wanted)) == sizes


@given(st.integers(1, 100_000))
def test_a_filtered_search_takes_at_most_four_rounds_and_never_asks_for_less_than_wanted(wanted: int) -> None:
    sizes = list(search_sizes(wanted))
    assert 1 <= len(sizes) <= 4
    assert sizes[0] >= wanted
    assert sizes == sorted(set(sizes))
    assert sizes[-1] >= MAX_SEARCH_SIZE


# ---- folders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "root", "inside"),
    [
        ("/work", "/work", True),
        ("/work/a", "/work", True),
        ("/work/a/b", "/work/", True),
        ("/work/", "/work", True),
        ("/workshop", "/work", False),
        ("/work", "/work/a", False),
        ("/Work", "/work", False),
        ("/", "/", True),
        ("/anything", "/", True),
        ("work", "work", True),
        ("work/a", "work", True),
    ],
)
def test_a_folder_lies_in_another_by_whole_names(folder: str, root: str, inside: bool) -> None:
    assert in_folder(folder, root) is inside


def message(folder: Optional[str], *, flat: bool = False) -> Message:
    if folder is None:
        return {"role": "user", "content": "x"}
    citation = {"label": "L", "folder": folder}
    metadata: Any = {"citation": citation}
    if flat:
        metadata = citation
    return cast(Message, {"role": "user", "content": "x", "metadata": metadata})


@pytest.mark.parametrize("flat", [False, True])
def test_messages_of_excluded_folders_and_below_are_left_out(flat: bool) -> None:
    context = [message(folder, flat=flat) for folder in ("/work", "/work/a", "/workshop", "/home")]
    assert exclude_folders(context, ["/work"]) == context[2:]
    assert exclude_folders(context, ["/work/", "/home"]) == context[2:3]
    assert exclude_folders(context, []) == context


def test_a_message_without_a_citation_is_not_excluded_by_a_named_folder() -> None:
    assert exclude_folders([message(None)], ["/work"]) == [message(None)]


# ---- lists and statistics ------------------------------------------------------------------------------------------

ROWS: List[ConversationListItem] = [
    row("a", "Work", "/w", 10),
    row("b", "Work", "/w/sub", 9, status="archived"),
    row("c", "Home", "/h", None, time="2026-02-01T00:00:00.000000+00:00"),
]


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({"label": "Work"}, "ab"),
        ({"label": "work"}, ""),
        ({"folder": "/w"}, "a"),
        ({"folder": "/w", "subfolders": True}, "ab"),
        ({"folder": "/", "subfolders": True}, "abc"),
        ({"pinned": True}, "a"),
        ({"pinned": False}, "bc"),
        ({"archived": True}, "b"),
        ({"archived": False}, "ac"),
        ({"label": "Work", "archived": False, "pinned": True}, "a"),
        ({"label": "Home", "pinned": True}, ""),
    ],
)
def test_a_list_is_filtered_by_exact_words(filters: Dict[str, Any], kept: str) -> None:
    keep = list_filter(cast("ListRequest", filters))
    assert keep is not None
    assert "".join(each["conversation_id"] for each in ROWS if keep(each)) == kept


@pytest.mark.parametrize("filters", [{}, {"page": 2, "page_size": 5}, {"subfolders": True}])
def test_a_list_without_filters_needs_none(filters: Dict[str, Any]) -> None:
    assert list_filter(cast("ListRequest", filters)) is None


@pytest.mark.parametrize(
    ("request_", "kept"),
    [
        ({}, "abc"),
        ({"folder": "/w"}, "a"),
        ({"label": "Work"}, "ab"),
        ({"labels": ["Home", "Other"]}, "c"),
        ({"labels": []}, ""),
        ({"label": "Work", "labels": ["Home"]}, ""),
        ({"start_date": "2026-02-01"}, "c"),
        ({"end_date": "2026-01-31"}, "ab"),
        ({"folder": "/w", "start_date": "2026-02-01"}, ""),
    ],
)
def test_statistics_are_about_what_all_filters_keep(request_: MemoryStatsRequest, kept: str) -> None:
    keep = stats_filter(request_)
    assert "".join(each["conversation_id"] for each in ROWS if keep(each)) == kept


def test_an_empty_period_has_no_bounds() -> None:
    assert parse_period(None, None) == Period()
