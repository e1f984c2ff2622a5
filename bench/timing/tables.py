"""What the results of `bench/speed.py` say: the tables of the page, and the targets that are missed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from timing.clocks import CLOCKS

TARGETS = {"blocking": 0.44, "asyncio": 0.46, "trio": 0.50, "200 callers": 0.25, "stream at once": 0.50}
"""What ours may cost at most, in times httpx."""
FIRST = "import and first client"
START = {FIRST: 40.0, "second client": 1.0}
"""Milliseconds of processor time that ours may take: the first above httpx, the second at all."""
GROWTH = {"hits": ("10", "1000", 25), "callers": ("100", "2000", 20)}
"""How many times the cost of the first size the second one may have."""


def clock_of(part: str) -> str:
    """The clock whose figure counts: many callers wait for each other, which is no processor time."""
    return "wall" if "callers" in part else "processor"


def spread(figures: Sequence[float], digits: int = 2) -> str:
    """The median with the smallest and the largest."""
    return f"{statistics.median(figures):.{digits}f} ({min(figures):.{digits}f} to {max(figures):.{digits}f})"


def cell(figures: Mapping[str, Any] | None, part: str) -> str:
    """The ratios of processor and wall time; the latter with its spread where it counts."""
    if figures is None:
        return "-"
    if "error" in figures:
        return "failed"
    processor, wall = (figures[clock]["ratios"] for clock in CLOCKS)
    if not wall:
        return "httpx finished none"
    return f"{spread(processor)} · {spread(wall) if clock_of(part) == 'wall' else f'{statistics.median(wall):.2f}'}"


def markdown(results: Mapping[str, Any]) -> str:
    """The tables, to be put into a page."""
    parts: Mapping[str, Mapping[str, Any]] = results["parts"]
    names = [name for name in results["subjects"] if any(name in row for row in parts.values())]
    titles = [name if name == "ours" else f"{name} {results['versions'].get(name, '')}".strip() for name in names]
    tables: list[list[Sequence[str]]] = []
    compared = [part for part in parts if part not in ("start", "growth")]
    if compared:
        rows = [[part, *(cell(parts[part].get(name), part) for name in names), _target(part)] for part in compared]
        tables.append([["times httpx: processor · wall", *titles, "ours at most"], *rows])
    if "start" in parts:
        started = [title for name, title in zip(names, titles) if name in parts["start"]]
        head = ["ms: processor · wall", *started, "httpx", "ours at most"]
        tables.append([head, *_start_rows(parts["start"], [name for name in names if name in parts["start"]])])
    if "error" not in parts.get("growth", {}).get("ours", {"error": "not timed"}):
        tables.append([["ms: processor · wall", "", "growth", "at most"], *_growth_rows(parts["growth"]["ours"])])
    return "\n\n".join(_table(rows) for rows in tables)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *others = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|---" * len(rows[0]) + "|", *others])


def _target(part: str) -> str:
    return "" if part not in TARGETS else f"{TARGETS[part]:.2f}{' wall' if clock_of(part) == 'wall' else ''}"


def _start_rows(row: Mapping[str, Any], names: Sequence[str]) -> Iterable[Sequence[str]]:
    good = {name: row[name] for name in names if "error" not in row[name]}

    def milliseconds(figures: Mapping[str, Mapping[str, float]] | None, what: str) -> str:
        if figures is None or what not in figures["processor"]:
            return "-"
        return " · ".join(f"{figures[clock][what]:.1f}" for clock in CLOCKS)

    def above(name: str) -> str:
        if "first client" not in good.get(name, {}).get("ms", {}).get("processor", {}):
            return "-"
        processor, wall = (good[name]["above_httpx_ms"][clock] for clock in CLOCKS)
        return f"{spread(processor, 0)} · {statistics.median(wall):.0f}"

    for what in ("import", "first client", "first call", "second client"):
        cells = [milliseconds(good.get(name, {}).get("ms"), what) for name in names]
        httpx = milliseconds(good.get("ours", {}).get("httpx_ms"), what)
        yield [what, *cells, httpx, f"{START[what]:g}" if what in START else ""]
        if what == "first client":
            yield [f"{FIRST}, above httpx", *(above(name) for name in names), "", f"{START[FIRST]:g}"]
    cells = [f"{good[name]['megabytes']:.0f} MB" if name in good else "-" for name in names]
    httpx = f"{good['ours']['httpx_megabytes']:.0f} MB" if "ours" in good else "-"
    yield ["memory after the first client", *cells, httpx, ""]


def _growth_rows(growth: Mapping[str, Any]) -> Iterable[Sequence[str]]:
    for what in ("hits", "bytes", "callers"):
        sizes = [
            f"{int(size):,}: " + " · ".join(f"{growth[what][clock][size] / 1000:.2f}" for clock in CLOCKS)
            for size in growth[what]["processor"]
        ]
        few, many, limit = GROWTH.get(what, ("", "", 0))
        ratios = " · ".join(f"{growth[what][clock][many] / growth[what][clock][few]:.1f}" for clock in CLOCKS if few)
        times = f"{int(many):,} over {int(few):,}: {ratios} times" if few else ""
        clock = " wall" if clock_of(what) == "wall" else ""
        yield [what, ", ".join(sizes), times, f"{limit}{clock}" if few else ""]


def missed(results: Mapping[str, Any]) -> list[str]:
    """The targets that ours does not meet, and by how much; and the parts that failed."""
    ours = {part: row["ours"] for part, row in results["parts"].items() if "ours" in row}
    found = [f"{part}: {figures['error']}" for part, figures in ours.items() if "error" in figures]
    good = {part: figures for part, figures in ours.items() if "error" not in figures}
    for name, value, limit, unit in _against_targets(good):
        if value > limit:
            found.append(f"{name}: {value:.2f} {unit}, at most {limit:g}")
    return found


def _against_targets(ours: Mapping[str, Mapping[str, Any]]) -> Iterable[tuple[str, float, float, str]]:
    """What was measured, its target and its unit, for each target."""
    for part, target in TARGETS.items():
        clock = clock_of(part)
        if part in ours and ours[part][clock]["ratios"]:  # none: httpx finished no call
            yield part, statistics.median(ours[part][clock]["ratios"]), target, f"times httpx ({clock} time)"
    if "start" in ours:
        above = statistics.median(ours["start"]["above_httpx_ms"]["processor"])
        yield FIRST, above, START[FIRST], "ms above httpx (processor time)"
        second = ours["start"]["ms"]["processor"]["second client"]
        yield "second client", second, START["second client"], "ms (processor time)"
    if "growth" in ours:
        for what, (few, many, limit) in GROWTH.items():
            figures = ours["growth"][what][clock_of(what)]
            yield f"{many} {what} over {few}", figures[many] / figures[few], limit, f"times ({clock_of(what)} time)"
