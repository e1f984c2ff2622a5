"""Dates in requests, at the edges of what there is."""

from __future__ import annotations

from typing import Any, Dict

import httpx
import pytest

from local.conftest import create, tool

OUTSIDE = [
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59.999999999-00:01",
    "9999-12-31 23:59 -0100",
    "0001-01-01T00:00:00+23:59",
    "0001-01-01T00:00+00:01",
]
NO_DATE = ["0000-01-01", "10000-01-01", "2026-02-30", "2026-01-01T24:01:00Z", "2026-01-01T00:00:00+24:00", "now", ""]
EDGES = ["0001-01-01", "0001-01-01T00:00:00-23:59", "9999-12-31", "9999-12-31T23:59:59+23:59", "9999-12-31T23:59:59Z"]


@pytest.mark.parametrize("date", [*OUTSIDE, *NO_DATE])
@pytest.mark.parametrize("name", ["start_date", "end_date"])
def test_a_date_that_cannot_be_compared_is_refused(api: httpx.Client, name: str, date: str) -> None:
    answers = [
        api.post("/api/v1/query", json={"query": "x", "filters": {name: date}}),
        api.post("/mcp/tools/memory_search", json={"query": "x", "filters": {name: date}}),
        api.post("/mcp/tools/memory_search", json={"query": "x", name: date}),
        api.post("/mcp/tools/memory_stats", json={name: date}),
    ]
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert f"{name}: invalid value: " in answer.text
        assert "expected a timestamp" in answer.text or date in NO_DATE


@pytest.mark.parametrize("date", EDGES)
def test_the_first_and_the_last_date_can_be_compared(api: httpx.Client, date: str) -> None:
    create(api, "An edge of time.", label="Edges", folder="/edges")
    for name, found in (("start_date", date < "2000"), ("end_date", date > "2000")):
        body: Dict[str, Any] = {"query": "edge of time", "filters": {name: date, "folder": "/edges"}}
        assert (api.post("/api/v1/query", json=body).json()["total"] > 0) is found
        assert (tool(api, "memory_search", **body)["total_results"] > 0) is found


@pytest.mark.parametrize(
    "date", [*OUTSIDE, *NO_DATE, "2026-01-01", "2026-02-30T00:00:00+00:00", "x+00:00", "+00:00", "2026-13-01T00:00:00Z"]
)
def test_a_message_with_a_time_that_is_none_is_refused(api: httpx.Client, date: str) -> None:
    message = {"role": "user", "content": "x", "timestamp": date}
    for path in ("/api/v1/conversations", "/mcp/tools/memory_store"):
        answer = api.post(path, json={"label": "x", "folder": "/x", "messages": [message]})
        assert answer.status_code == 422, answer.text
        assert "must be a date with a time" in answer.text


@pytest.mark.parametrize("days", [0, 10**9, 2**63 - 1, -(2**63)])
def test_any_number_of_days_can_be_asked_for(api: httpx.Client, days: int) -> None:
    assert api.post("/api/v1/prune/dry-run", json={"threshold_days": days}).status_code == 200
    assert api.post("/mcp/tools/memory_prune", json={"threshold_days": days}).status_code == 200
