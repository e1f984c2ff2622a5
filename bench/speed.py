"""What a call costs, beside httpx and other libraries: ratios measured side by side, over loopback.

    python bench/speed.py                  # makes environments (with pip, once), times, and writes what was found
    python bench/speed.py --rounds 5 --parts blocking,asyncio --subjects ours

A canned server in a process of its own answers about 8 KB. Each library is timed in an environment and a process of its
own, call by call in turn with a bare httpx client in the same process; a figure is the median of the rounds' ratios to
httpx, with the smallest and the largest. Results go to ``bench/results/speed.json``, the table to the standard output,
and the picture to ``docs/assets/performance.svg``, if matplotlib is there (extra ``bench``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

from canned import canned_server
from timing.child import PARTS as TIMED_PARTS
from timing.subjects import HTTPX_ITSELF, SUBJECTS, Subject

BENCH = Path(__file__).parent
PARTS = (*TIMED_PARTS, "start")
RESULTS = BENCH / "results" / "speed.json"
PICTURE = BENCH.parent / "docs" / "assets" / "performance.svg"
TARGETS = {"blocking": 0.60, "asyncio": 0.65, "200 callers": 0.30, "stream at once": 0.70}
"""What ours may cost at most, in times httpx."""
START = {"import and first client": 40.0, "second client": 1.0}
"""Milliseconds that ours may take: the first above httpx, the second at all."""
STARTS = 7
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
    """Whether a library can do what a part times."""
    cls = type(subject)
    if part == "blocking":
        return cls.call is not Subject.call
    if cls.open_async is Subject.open_async:
        return False
    if part == "16 threads":
        return cls.call is not Subject.call
    if part == "trio":
        return subject.trio
    if part.startswith("stream"):
        return subject.streams
    if part in ("1000 callers", "50 callers"):
        return subject.name in ("ours", "httpcore")
    if part == "growth":
        return subject.name == "ours"
    return True


def timed(subject: Subject, part: str, url: str, rounds: int, python: Path) -> dict[str, Any]:
    """What the child says; an ``error`` if it could not."""
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
        return {"error": (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def starts(subject: Subject, url: str, environments: Path) -> dict[str, Any]:
    """Medians of fresh processes, in turn with those of httpx in the same environment."""
    python = python_of(subject, environments)
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "httpx": []}
    for number in range(STARTS + 1):
        for side, one in (("ours", subject), ("httpx", HTTPX_ITSELF)):
            figures = timed(one, "start", url, 1, python)
            if "error" in figures:
                return figures
            if number:  # the first compiles
                found[side].append(figures)

    def medians(side: str) -> dict[str, float]:
        names = found[side][0]["ms"]
        return {name: statistics.median(each["ms"][name] for each in found[side]) for name in names}

    above = [
        sum(ours["ms"].get(name, 0.0) - theirs["ms"].get(name, 0.0) for name in ("import", "first client"))
        for ours, theirs in zip(found["ours"], found["httpx"])
    ]
    return {
        "ms": medians("ours"),
        "httpx_ms": medians("httpx"),
        "above_httpx_ms": above,
        "megabytes": statistics.median(each["megabytes"] for each in found["ours"]),
        "httpx_megabytes": statistics.median(each["megabytes"] for each in found["httpx"]),
    }


def cell(figures: Mapping[str, Any] | None) -> str:
    """A ratio with its spread."""
    if figures is None:
        return "-"
    if "error" in figures:
        return "failed"
    ratios = figures["ratios"]
    if not ratios:
        return "httpx finished none"
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def markdown(results: Mapping[str, Any]) -> str:
    """The tables, to be put into a page."""
    parts: Mapping[str, Mapping[str, Any]] = results["parts"]
    names = [name for name in results["subjects"] if any(name in row for row in parts.values())]
    heads = [f"{name} {results['versions'].get(name, '')}".strip() for name in names]
    lines = ["| times httpx | " + " | ".join(heads) + " | ours at most |", "|---" * (len(names) + 2) + "|"]
    for part, row in parts.items():
        if part not in ("start", "growth"):
            target = f"{TARGETS[part]:.2f}" if part in TARGETS else ""
            lines.append(f"| {part} | " + " | ".join(cell(row.get(name)) for name in names) + f" | {target} |")
    if "start" in parts:
        lines += ["", "| start | " + " | ".join(heads) + " | httpx |", "|---" * (len(names) + 2) + "|"]
        lines += _start_rows(parts["start"], names)
    if "growth" in parts and "ours" in parts["growth"]:
        growth = parts["growth"]["ours"]
        lines += ["", "| growth | |", "|---|---|"]
        for what in ("hits", "bytes", "callers"):
            said = ", ".join(f"{int(size):,}: {us / 1000:.2f} ms" for size, us in growth[what].items())
            lines.append(f"| {what} | {said} |")
    return "\n".join(lines)


def _start_rows(row: Mapping[str, Any], names: Sequence[str]) -> Iterable[str]:
    good = {name: row[name] for name in names if name in row and "error" not in row[name]}
    for what in ("import", "first client", "first call", "second client"):
        cells = [
            f"{good[name]['ms'][what]:.1f} ms" if what in good.get(name, {}).get("ms", {}) else "-" for name in names
        ]
        httpx = f"{good['ours']['httpx_ms'][what]:.1f} ms" if "ours" in good else "-"
        yield f"| {what} | " + " | ".join(cells) + f" | {httpx} |"
    cells = [f"{good[name]['megabytes']:.0f} MB" if name in good else "-" for name in names]
    httpx = f"{good['ours']['httpx_megabytes']:.0f} MB" if "ours" in good else "-"
    yield "| memory then | " + " | ".join(cells) + f" | {httpx} |"


def missed(results: Mapping[str, Any]) -> list[str]:
    """The targets that ours does not meet, and by how much."""
    parts, found = results["parts"], []
    for part, target in TARGETS.items():
        figures = parts.get(part, {}).get("ours")
        if figures and statistics.median(figures["ratios"]) > target:
            found.append(f"{part}: {statistics.median(figures['ratios']):.2f} times httpx, at most {target:.2f}")
    start = parts.get("start", {}).get("ours")
    if start:
        above, second = statistics.median(start["above_httpx_ms"]), start["ms"]["second client"]
        for name, value in (("import and first client", above), ("second client", second)):
            if value > START[name]:
                found.append(f"{name}: {value:.1f} ms, at most {START[name]:g}")
    growth = parts.get("growth", {}).get("ours")
    if growth:
        hits, callers = growth["hits"], growth["callers"]
        for name, ratio, limit in (
            ("1000 hits over 10", hits["1000"] / hits["10"], 100),
            ("2000 callers over 100", callers["2000"] / callers["100"], 20),
        ):
            if ratio > limit:
                found.append(f"{name}: {ratio:.0f} times, at most {limit}")
    return found


def draw(results: Mapping[str, Any], path: Path) -> None:
    """The picture: bars for one caller, and what many callers cost."""
    matplotlib, pyplot = import_module("matplotlib"), import_module("matplotlib.pyplot")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "sekha", "font.size": 9, "axes.spines.top": False})
    parts = results["parts"]
    shown = [
        part for part in ("blocking", "asyncio", "trio", "16 threads", "200 callers", "stream at once") if part in parts
    ]
    names = results["subjects"]
    figure, axes = pyplot.subplots(figsize=(9, 4))
    width = 0.8 / len(names)
    for place, name in enumerate(names):
        found = [(at, parts[part][name]) for at, part in enumerate(shown) if parts[part].get(name, {}).get("ratios")]
        middles = [statistics.median(figures["ratios"]) for _, figures in found]
        spans = [
            [middle - min(figures["ratios"]) for middle, (_, figures) in zip(middles, found)],
            [max(figures["ratios"]) - middle for middle, (_, figures) in zip(middles, found)],
        ]
        axes.bar([at + place * width for at, _ in found], middles, width, yerr=spans, label=name, error_kw={"lw": 0.6})
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_xticks([at + 0.4 - width / 2 for at in range(len(shown))], shown)
    axes.set_ylabel("times httpx (1.0), less is better")
    axes.legend(frameon=False, ncols=3)
    axes.set_title("The time of a call: median, smallest and largest of the rounds' ratios")
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
        if options.parts and not options.subjects and RESULTS.exists():  # the other parts stay as they were
            before = json.loads(RESULTS.read_text(encoding="utf-8"))
            results["parts"] = {**before["parts"], **results["parts"]}
            results["versions"] = {**before["versions"], **results["versions"]}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(markdown(results))
    for line in missed(results):
        print(f"missed: {line}")
    try:
        draw(results, PICTURE)
    except ImportError:
        print(f"no picture: install matplotlib for {PICTURE.name}", file=sys.stderr)


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
                said = figures.get("error") or (cell(figures) if "ratios" in figures else "done")
                print(f"{part:16} {subject.name:14} {said}", file=sys.stderr, flush=True)
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
