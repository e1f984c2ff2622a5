"""The same faults against this library and others: what each makes of them, and whether the promise is kept.

    python bench/scorecard.py                                # only ours
    python bench/scorecard.py --make-environments DIR        # the only part that needs a package index
    python bench/scorecard.py --environments DIR --markdown  # all clients that are found there

Everything happens on this machine: a server that misbehaves as it is told, and one process for each client and fault.
A cell says whether the promise was kept, how many requests were on the wire, what the last call gave, and how long the
slowest call took (where it makes its client first, that too).
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Optional

from scoring.clients import CLIENTS, Client
from scoring.faults import FAULTS, Fault
from scoring.judging import Verdict
from scoring.running import judge, make_environment, observe, python_of

WORDS = {True: "yes", False: "NO", None: "-"}


@dataclass(frozen=True)
class Cell:
    """What one client made of one fault."""

    verdict: Verdict
    requests: int = 0
    seconds: Optional[float] = None
    version: str = ""

    def __str__(self) -> str:
        if self.verdict.kept is None:
            return f"- {self.verdict.seen}"
        seconds = "" if self.seconds is None else f" · {self.seconds:.2f} s"
        return f"{WORDS[self.verdict.kept]} · {self.requests} · {self.verdict.seen}{seconds}"


def score(fault: Fault, client: Client, python: str) -> Cell:
    """Play a fault and judge it."""
    if not fault.applies_to(client):
        return Cell(Verdict(None, f"no {fault.needs}"))
    seen = observe(fault, client, python)
    return Cell(judge(fault, seen), len(seen.requests), seen.elapsed, seen.version)


Table = Mapping[Fault, Mapping[Client, Cell]]


def versions(table: Table, clients: Iterable[Client]) -> dict[Client, str]:
    """Each client's version; those that were not found are missing."""
    cells = {client: [row[client].version for row in table.values() if client in row] for client in clients}
    return {client: max(found) for client, found in cells.items() if found}


def markdown(table: Table, clients: list[Client], command: str) -> str:
    """The whole table, to be put into a page."""
    found = versions(table, clients)
    heads = [f"{each.name} {found[each]}" for each in found]
    lines = [
        f"`{command}`, {date.today().isoformat()}, Python {platform.python_version()} on {platform.system()}. A cell:",
        "promise kept? · requests on the wire · what the last call gave · seconds of the slowest. `-`: does not apply.",
        "",
        "| ID | fault | promise | " + " | ".join(heads) + " |",
        "|---" * (3 + len(found)) + "|",
    ]
    for fault, row in table.items():
        cells = [str(row[client]).replace("NO ·", "**NO** ·").replace("|", "\\|") for client in found]
        lines.append(f"| {fault.id} | {fault.words} | {fault.promise} | " + " | ".join(cells) + " |")
    kept = [f"**{sum(c.verdict.kept is True for c in column)} of {sum(c.verdict.kept is not None for c in column)}**"
            for column in ([row[client] for row in table.values()] for client in found)]  # fmt: skip
    lines.append("| | | **kept** | " + " | ".join(kept) + " |")
    lines += ["", *(f"- {each.name}: {each.note}." for each in found if each.note)]
    lines += [f"- {each.name}: not installed." for each in clients if each not in found]
    return "\n".join(lines)


def main() -> None:
    """Play the faults and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--make-environments", type=Path, metavar="DIR", help="make them with pip, and end")
    parser.add_argument("--environments", type=Path, metavar="DIR", help="where they were made")
    parser.add_argument("--only", default="", metavar="IDS", help="such as C1,R1")
    parser.add_argument("--clients", default="", metavar="NAMES", help="such as ours,openai")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    clients = [each for each in CLIENTS if not options.clients or each.name in options.clients.split(",")]
    if options.make_environments:
        for client in clients:
            if client.requirement:
                make_environment(client, options.make_environments.resolve())
        return
    faults = [fault for fault in FAULTS if not options.only or fault.id in options.only.split(",")]
    environments = options.environments.resolve() if options.environments else None
    pythons = {client: python_of(client, environments) for client in clients}
    log = sys.stderr if options.markdown else sys.stdout
    for client in (each for each, python in pythons.items() if python is None):
        print(f"{client.name}: not installed", file=log)
    table: dict[Fault, dict[Client, Cell]] = {}
    for fault in faults:
        table[fault] = {}
        print(f"{fault.id}: {fault.words}: {fault.promise}", file=log)
        for client, python in pythons.items():
            if python is not None:
                table[fault][client] = score(fault, client, python)
                print(f"    {client.name:14} {table[fault][client]}", file=log, flush=True)
    if options.markdown:
        words = ["--environments DIR"] if environments else []
        print(markdown(table, clients, " ".join(["python bench/scorecard.py", *words, "--markdown"])))


if __name__ == "__main__":
    main()
