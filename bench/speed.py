"""What a call costs, beside httpx and other libraries: ratios measured side by side, over loopback.

    python bench/speed.py                  # makes environments (with pip, once), times, and writes the results
    python bench/speed.py --rounds 5 --parts blocking,asyncio --subjects ours

A canned server in a process of its own answers about 8 KB. Each library is timed in an environment and a process of its
own, in turn with a bare httpx client in the same process. A figure is the median of the rounds' ratios to httpx, with
the smallest and the largest: of processor time, which the targets are for, and of wall time beside it. Of many callers
the wall time counts. Results go to ``bench/results/speed.json``, the tables to the standard output, and the picture to
``docs/assets/performance.svg``, if matplotlib is there (extra ``bench``). A run of some parts or some libraries
replaces their figures only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

from canned import canned_server
from timing.child import PARTS as TIMED_PARTS
from timing.child import in_order
from timing.clocks import CLOCKS
from timing.subjects import HTTPX_ITSELF, SUBJECTS, Subject
from timing.tables import cell, clock_of, markdown, missed

BENCH = Path(__file__).parent
PARTS = (*TIMED_PARTS, "start")
RESULTS = BENCH / "results" / "speed.json"
PICTURE = BENCH.parent / "docs" / "assets" / "performance.svg"
TOP = 3.0
"""Where the picture ends, in times httpx; the median of a longer bar is written into it."""
COLORS = ("#27499e", "#d99114", "#17693f", "#7a2f9a", "#566077", "#b01c56", "#5a45b8", "#8f5300")
"""Of the bars; the site has the same."""
LABELS = {"ours": "this library"}
STARTS = 11
"""Fresh processes for each library."""


def python_of(subject: Subject, environments: Path) -> Path:
    """The interpreter of a library's environment."""
    return environments / subject.name.replace(" ", "-") / "bin" / "python"


def make_environment(subject: Subject, environments: Path) -> None:
    """A virtual environment with the library, httpx and trio; ours from this checkout, as users would have it."""
    python = python_of(subject, environments)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
    requirements = [str(BENCH.parent) if each == "." else each for each in subject.requirements]
    install = [str(python), "-m", "pip", "install", "-q"]
    subprocess.run([*install, *requirements, "httpx", "trio"], check=True)
    if "." in subject.requirements:  # the checkout may have changed, its version has not
        subprocess.run([*install, "--force-reinstall", "--no-deps", *requirements], check=True)


def applies(subject: Subject, part: str) -> bool:
    """Whether a library can do what a part times, and whether it is of interest there."""
    cls = type(subject)
    has_blocking, has_async = cls.call is not Subject.call, cls.open_async is not Subject.open_async
    if part in ("50 callers", "1000 callers", "200 callers after 100"):
        return subject.name in ("ours", "httpcore")
    return {
        "blocking": has_blocking,
        "asyncio": has_async,
        "trio": subject.trio,
        "200 callers": has_async and subject.shared,
        "16 threads": has_blocking and subject.shared,
        "stream at once": subject.streams,
        "stream paced": subject.streams,
        "growth": subject.name == "ours",
        "start": bool(subject.module),
    }[part]


def timed(subject: Subject, part: str, url: str, rounds: int, python: Path) -> dict[str, Any]:
    """The figures of the child process; an ``error`` if it failed."""
    kept = ("PATH", "LANG", "LC_ALL")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    arguments = ["child", subject.name, part, url, str(rounds)] if part != "start" else ["start", subject.name, url]
    done = subprocess.run(
        [str(python), "-m", f"timing.{arguments[0]}", *arguments[1:]],
        env={**environment, "PYTHONPATH": str(BENCH), "HOME": "/nonexistent", "MEM0_TELEMETRY": "False"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1][:200]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def starts(subject: Subject, url: str, environments: Path) -> dict[str, Any]:
    """Medians of fresh processes, in turn with those of httpx in the same environment."""
    python = python_of(subject, environments)
    found: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for number in range(STARTS + 1):
        for side in in_order(number):
            figures = timed((subject, HTTPX_ITSELF)[side], "start", url, 1, python)
            if "error" in figures:
                return figures
            if number:  # the first compiles
                found[side].append(figures)

    def medians(side: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
        return {
            clock: {name: statistics.median(each[clock][name] for each in side) for name in side[0][clock]}
            for clock in CLOCKS
        }

    def both(figures: dict[str, Any], clock: str) -> float:
        return float(figures[clock]["import"] + figures[clock].get("first client", 0.0))

    library, httpx = found
    return {
        "ms": medians(library),
        "httpx_ms": medians(httpx),
        "above_httpx_ms": {
            clock: [both(one, clock) - both(other, clock) for one, other in zip(library, httpx)] for clock in CLOCKS
        },
        "megabytes": statistics.median(each["megabytes"] for each in library),
        "httpx_megabytes": statistics.median(each["megabytes"] for each in httpx),
    }


def draw(results: Mapping[str, Any], path: Path) -> None:
    """The picture: bars for one caller, and what many callers cost."""
    matplotlib, pyplot = import_module("matplotlib"), import_module("matplotlib.pyplot")
    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "sekha", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    )
    parts = results["parts"]
    shown = [
        part for part in ("blocking", "asyncio", "trio", "16 threads", "200 callers", "stream at once") if part in parts
    ]
    names = results["subjects"]
    figure, axes = pyplot.subplots(figsize=(4.6, 6.4))  # narrow, so that it can be read on a phone
    height = 0.8 / len(names)
    for place, name in enumerate(names):
        cells = [(at, parts[part].get(name, {}).get(clock_of(part), {}).get("ratios")) for at, part in enumerate(shown)]
        found = [(at, ratios) for at, ratios in cells if ratios]
        middles = [statistics.median(ratios) for _, ratios in found]
        spans = [
            [middle - min(ratios) for middle, (_, ratios) in zip(middles, found)],
            [max(ratios) - middle for middle, (_, ratios) in zip(middles, found)],
        ]
        rows = [at + place * height for at, _ in found]
        axes.barh(
            rows, middles, height, xerr=spans, label=LABELS.get(name, name), color=COLORS[place], error_kw={"lw": 0.6}
        )
        for row, middle in zip(rows, middles):
            if middle > TOP:  # a long bar would make the others too short to compare
                axes.text(TOP - 0.05, row, f"{middle:.1f}", ha="right", va="center", color="white", fontsize=8)
    axes.set_xlim(0, TOP)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_yticks([at + 0.4 - height / 2 for at in range(len(shown))], shown)
    axes.invert_yaxis()
    axes.set_xlabel("times httpx (1.0), less is better")
    axes.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.4, -0.1))
    axes.set_title(
        "Processor time of a call (200 callers: wall time):\nmedian and range of the rounds", fontsize=9, x=0.4
    )
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Time everything that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, default=BENCH / "environments", metavar="DIR")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--parts", default="", metavar="NAMES", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--subjects", default="", metavar="NAMES", help="such as ours,openai")
    parser.add_argument("--again", action="store_true", help="time nothing: show the results that are there")
    options = parser.parse_args()
    if options.again:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    else:
        results = measured(options)
        if RESULTS.exists() and (options.parts or options.subjects):
            results = merged(json.loads(RESULTS.read_text(encoding="utf-8")), results)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(markdown(results))
    for line in missed(results):
        print(f"missed: {line}")
    try:
        draw(results, PICTURE)
    except ImportError:
        print(f"no picture: install matplotlib for {PICTURE.name}", file=sys.stderr)


def merged(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The results of a run of some parts or some libraries, and beside them what earlier runs had found."""
    parts = {part: {**before["parts"].get(part, {}), **now["parts"].get(part, {})} for part in PARTS}
    names = {*before["subjects"], *now["subjects"]}
    return {
        **now,
        "subjects": [subject.name for subject in SUBJECTS if subject.name in names],
        "versions": {**before["versions"], **now["versions"]},
        "parts": {part: row for part, row in parts.items() if row},
    }


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Make the environments, and time the libraries in them."""
    subjects = [each for each in SUBJECTS if not options.subjects or each.name in options.subjects.split(",")]
    names = [part for part in PARTS if not options.parts or part in options.parts.split(",")]
    for subject in subjects:
        make_environment(subject, options.environments.resolve())
    found: dict[str, dict[str, Any]] = {}
    versions: dict[str, str] = {}
    with canned_server() as url:
        for part in names:
            row = found[part] = {}
            for subject in subjects:
                if not applies(subject, part):
                    continue
                if part == "start":
                    figures = starts(subject, url, options.environments.resolve())
                else:
                    python = python_of(subject, options.environments.resolve())
                    figures = timed(subject, part, url, options.rounds, python)
                row[subject.name] = figures
                if subject.distribution in figures.get("versions", ()):
                    versions[subject.name] = figures["versions"][subject.distribution]
                said = figures.get("error") or ("done" if part in ("start", "growth") else cell(figures, part))
                print(f"{part:21} {subject.name:14} {said}", file=sys.stderr, flush=True)
    return {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "rounds": options.rounds,
        "subjects": [subject.name for subject in subjects],
        "versions": versions,
        "parts": found,
    }


if __name__ == "__main__":
    main()
