"""`bench/speed.py`: which targets a result misses, and the tables that are made of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import speed  # noqa: E402
from timing import child, clocks, tables  # noqa: E402


def compared(processor: Sequence[float], wall: Sequence[float]) -> dict[str, Any]:
    """The figures of one cell."""
    return {"processor": {"ratios": processor, "us": [1, 1]}, "wall": {"ratios": wall, "us": [1, 1]}}


def started(above: float, second: float) -> dict[str, Any]:
    """The figures of a start: so many milliseconds above httpx, and for the second client."""
    ms = {"import": 30.0, "first client": 70.0 + above, "first call": 3.0, "second client": second}
    httpx = {"import": 60.0, "first client": 40.0, "first call": 2.0, "second client": 20.0}
    return {
        "ms": {"processor": ms, "wall": ms},
        "httpx_ms": {"processor": httpx, "wall": httpx},
        "above_httpx_ms": {"processor": [above, above - 1, above + 1], "wall": [2 * above]},
        "megabytes": 35.0,
        "httpx_megabytes": 27.0,
    }


def grown(hits: float, callers: float) -> dict[str, Any]:
    """The figures of growth: so many times the processor time of ten hits, and the wall time of a hundred callers."""
    return {
        "hits": {"processor": {"10": 300.0, "1000": hits * 300}, "wall": {"10": 400.0, "1000": 40_000.0}},
        "bytes": {"processor": {"1024": 250.0}, "wall": {"1024": 300.0}},
        "callers": {"processor": {"100": 100.0, "2000": 9000.0}, "wall": {"100": 100.0, "2000": callers * 100}},
    }


def results(**parts: Any) -> dict[str, Any]:
    """What a run of some parts found, for ours and a bare socket."""
    rows = {part.replace("_", " "): {"ours": figures} for part, figures in parts.items()}
    return {"subjects": ["ours", "bare socket"], "versions": {"ours": "0.3.0"}, "parts": rows}


def test_the_median_of_the_processor_time_is_held_against_the_target() -> None:
    assert tables.missed(results(blocking=compared([0.60, 0.44, 0.30], [0.9, 0.9, 0.9]))) == []
    assert tables.missed(results(blocking=compared([0.45, 0.50, 0.30], [0.1, 0.1, 0.1]))) == [
        "blocking: 0.45 times httpx (processor time), at most 0.44"
    ]


def test_of_many_callers_the_wall_time_is() -> None:
    name = "200 callers"
    assert tables.missed({**results(), "parts": {name: {"ours": compared([0.9], [0.2])}}}) == []
    assert tables.missed({**results(), "parts": {name: {"ours": compared([0.2], [0.3])}}}) == [
        "200 callers: 0.30 times httpx (wall time), at most 0.25"
    ]
    assert tables.missed({**results(), "parts": {name: {"ours": compared([], [])}}}) == []  # httpx finished no call


def test_starts_and_growth_have_targets_too() -> None:
    assert tables.missed(results(start=started(40.0, 1.0), growth=grown(25, 20))) == []
    assert tables.missed(results(start=started(41.0, 1.5), growth=grown(26, 21))) == [
        "import and first client: 41.00 ms above httpx (processor time), at most 40",
        "second client: 1.50 ms (processor time), at most 1",
        "1000 hits over 10: 26.00 times (processor time), at most 25",
        "2000 callers over 100: 21.00 times (wall time), at most 20",
    ]


@pytest.mark.parametrize("part", ["blocking", "start", "growth"])
def test_a_part_that_failed_has_missed(part: str) -> None:
    assert tables.missed(results(**{part: {"error": "no output"}})) == [f"{part}: no output"]


def test_the_tables_show_both_clocks_and_the_targets() -> None:
    found = results(
        blocking=compared([0.40, 0.41, 0.43], [0.50, 0.48, 0.47]), start=started(38.0, 0.4), growth=grown(21, 18)
    )
    found["parts"]["200 callers"] = {"ours": compared([0.2, 0.2], [0.24, 0.26]), "bare socket": {"error": "no output"}}
    found["parts"]["blocking"]["bare socket"] = compared([], [])
    assert tables.markdown(found).splitlines() == [
        "| times httpx: processor · wall | ours | bare socket | ours at most |",
        "|---|---|---|---|",
        "| blocking | 0.41 (0.40 to 0.43) · 0.48 | httpx finished none | 0.44 |",
        "| 200 callers | 0.20 (0.20 to 0.20) · 0.25 (0.24 to 0.26) | failed | 0.25 wall |",
        "",
        "| ms: processor · wall | ours | httpx | ours at most |",
        "|---|---|---|---|",
        "| import | 30.0 · 30.0 | 60.0 · 60.0 |  |",
        "| first client | 108.0 · 108.0 | 40.0 · 40.0 |  |",
        "| import and first client, above httpx | 38 (37 to 39) · 76 |  | 40 |",
        "| first call | 3.0 · 3.0 | 2.0 · 2.0 |  |",
        "| second client | 0.4 · 0.4 | 20.0 · 20.0 | 1 |",
        "| memory after the first client | 35 MB | 27 MB |  |",
        "",
        "| ms: processor · wall |  | growth | at most |",
        "|---|---|---|---|",
        "| hits | 10: 0.30 · 0.40, 1,000: 6.30 · 40.00 | 1,000 over 10: 21.0 · 100.0 times | 25 |",
        "| bytes | 1,024: 0.25 · 0.30 |  |  |",
        "| callers | 100: 0.10 · 0.10, 2,000: 9.00 · 1.80 | 2,000 over 100: 90.0 · 18.0 times | 20 wall |",
    ]


def test_a_run_of_some_parts_leaves_the_other_figures_as_they_are() -> None:
    before, now = results(blocking=compared([0.5], [0.5]), trio=compared([0.6], [0.6])), results()
    before["parts"]["blocking"]["bare socket"] = compared([0.1], [0.1])
    now.update(subjects=["ours"], versions={"ours": "0.4.0"}, parts={"blocking": {"ours": compared([0.4], [0.4])}})
    merged = speed.merged(before, now)
    assert merged["subjects"] == ["ours", "bare socket"]
    assert merged["versions"] == {"ours": "0.4.0"}
    assert merged["parts"]["blocking"] == {"ours": compared([0.4], [0.4]), "bare socket": compared([0.1], [0.1])}
    assert merged["parts"]["trio"] == before["parts"]["trio"]


def test_the_results_that_are_there_can_be_shown() -> None:
    found = json.loads(speed.RESULTS.read_text(encoding="utf-8"))
    assert "| blocking |" in tables.markdown(found)
    assert isinstance(tables.missed(found), list)


def test_a_ratio_is_of_what_was_finished() -> None:
    def watch(seconds: float, calls: int) -> clocks.Stopwatch:
        found = clocks.Stopwatch(calls)
        found.spent = {"processor": seconds, "wall": 2 * seconds}
        return found

    rounds = [(watch(1.0, 10), watch(1.0, 5)), (watch(1.0, 10), watch(20.0, 0)), (watch(1.0, 10), watch(20.0, 0))]
    assert child.compared(rounds) == {
        "processor": {"ratios": [0.5], "us": [100_000.0, None]},
        "wall": {"ratios": [0.5], "us": [200_000.0, None]},
    }
