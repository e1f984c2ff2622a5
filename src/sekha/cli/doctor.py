"""`sekha doctor`: check the data file of a local server."""

from collections.abc import Mapping
from typing import Any

from sekha.cli.data_files import Data, find_data_file
from sekha.cli.exits import FAILED, OK, CommandError
from sekha.cli.options import Json, Url
from sekha.cli.tables import Column, Shrink, echo_table
from sekha.cli.terminal import echo, echo_json

DETAILS = "The file is only read. The exit code is 1 if a problem is found."
EXAMPLES = ("sekha doctor", "sekha doctor --data memory.db")


def run(data: Data = None, url: Url = None, json: Json = False) -> int:
    """Print facts about the file and a line for each problem; return 0 if there is none, else 1."""
    from sekha.local.diagnosis import diagnose

    file = find_data_file(data, url)
    try:
        facts, problems = diagnose(file)
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}") from None
    if json:
        echo_json({**facts, "problems": [problem._asdict() for problem in problems]})
    else:
        echo_table((Column("CHECK", Shrink.NO), Column("RESULT", Shrink.WRAP)), _describe(facts))
        for problem in problems:
            echo(f"PROBLEM: {problem.what}; {problem.advice}")
        if not problems:
            echo("No problems found.")
    return FAILED if problems else OK


def _describe(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    size = f"{facts['bytes'] / 2**20:,.1f} MiB"
    rows = [("file", facts["file"]), ("size", size)]
    if "mode" in facts:
        rows.append(("mode, owner", f"{facts['mode']}, {facts['owner']}"))
    rows.append(("in use by a server", "yes" if facts["served"] else "no"))
    rows.append(("free disk space", f"{facts['free_bytes'] / 2**20:,.0f} MiB"))
    if "version" in facts:
        rows.append(("version", str(facts["version"])))
    if "profile" in facts:
        rows.append(("profile", facts["profile"] or "not set yet"))
    if "damage" in facts:
        rows.append(("pages", "damaged" if facts["damage"] else "intact"))
    if "vectors" in facts:
        vectors = ", ".join(f"{count:,} ({model})" for model, count in facts["vectors"].items()) or "none"
        if max(facts["vectors"].values(), default=0) < facts["messages"]:
            vectors += "; `sekha serve` computes the others in the background"
        rows += [
            ("conversations", f"{facts['conversations']:,}"),
            ("messages", f"{facts['messages']:,}"),
            ("messages with a vector", vectors),
            ("last backup", facts["last_backup"] or "none; create one with `sekha backup FILE`"),
        ]
    if facts["older_copies"]:
        names = ", ".join(facts["older_copies"])
        rows.append(
            ("copies from before an upgrade", f"{names}; delete them: they still contain data that was deleted since")
        )
    software = ("python", "sqlite", "sekha-python-sdk")
    rows.append(("software", ", ".join(f"{name} {facts[name]}" for name in software)))
    return rows
