"""The command `bench/local.py`: measures in processes of their own, and prints a table."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

OURS = Path(__file__).parents[2] / "src"
SIZES = "1000,10000,100000"

Figures = Mapping[str, Any]


def measure(source: Path, messages: int, options: argparse.Namespace) -> Figures:
    """Measure one tree, in a process that has loaded it."""
    texts = hashlib.sha256(options.texts.read_bytes()).hexdigest()[:8] if options.texts else "made"
    given = {
        "store": str(options.stores / f"{fingerprint(source)}-{texts}-{messages}.db"),
        "folder": str(options.stores),
        "messages": messages,
        "only": options.only,
        "texts": options.texts and str(options.texts),
        "questions": options.questions and str(options.questions),
    }
    environment = {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{Path(__file__).parents[1]}"}
    code = "import sys; from keeping.measuring import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, json.dumps(given)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return dict(json.loads(output))


def fingerprint(source: Path) -> str:
    """What tells the local server of one tree from that of another."""
    digest = hashlib.sha256()
    for file in sorted((source / "sekha" / "local").rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:8]


def cell(figure: object) -> str:
    """A figure as the table shows it."""
    if isinstance(figure, Mapping):
        waits = f"{amount(figure['p50'])} / {amount(figure['p95'])}"
        return f"{waits} · {amount(figure['processor'])}"
    return amount(figure) if isinstance(figure, (int, float)) else "-"


def amount(number: float) -> str:
    """A number with the digits that count."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def table(columns: Mapping[str, Figures]) -> str:
    """All figures as a table in Markdown, a column for each tree and size."""
    names = list(dict.fromkeys(name for figures in columns.values() for name in figures))
    head: list[Sequence[str]] = [["ms: p50 / p95 · processor", *columns], ["---"] * (1 + len(columns))]
    rows = [[name, *(cell(figures.get(name)) for figures in columns.values())] for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*head, *rows])


def main(about: str) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=Path, required=True, metavar="FOLDER", help="where stores are kept")
    parser.add_argument("--messages", default=SIZES, metavar="NUMBERS", help=f"default: {SIZES}")
    parser.add_argument("--against", type=Path, metavar="SRC", help="another tree to measure before this one")
    parser.add_argument("--texts", type=Path, metavar="FILE", help="each line is a text; default: made sentences")
    parser.add_argument("--questions", type=Path, metavar="FILE", help="also the recall of questions")
    parser.add_argument("--only", default="", metavar="PART", help="only the calls whose name has it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    options.stores.mkdir(parents=True, exist_ok=True)
    trees = {**({"before": options.against.resolve()} if options.against else {}), "now": OURS}
    columns: dict[str, Figures] = {}
    for size in options.messages.split(","):
        for name, source in trees.items():
            print(f"{int(size):,} messages, {name}", file=sys.stderr)
            columns[f"{int(size):,} {name}"] = measure(source, int(size), options)
            if options.json:
                options.json.write_text(json.dumps(columns, indent=1) + "\n", encoding="utf-8")
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    system = f"Python {platform.python_version()} on {os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    print(f"{date.today().isoformat()}, {system}{load}\n\n{table(columns)}")
