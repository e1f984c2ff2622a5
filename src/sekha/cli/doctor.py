"""`sekha doctor`: check the data file of a local Sekha."""

from collections.abc import Mapping
from typing import Any

from sekha.cli.data_files import Data, find_data_file
from sekha.cli.exits import FAILED, OK, CommandError
from sekha.cli.options import Json, Url
from sekha.cli.tables import Column, Shrink, echo_table
from sekha.cli.terminal import echo, echo_json


def run(data: Data = None, url: Url = None, json: Json = False) -> int:
    """Print what the file is like, and a line for each problem; return 0 if there is none, else 1."""
    from sekha.local.diagnosis import diagnose

    file = find_data_file(data, url)
    try:
        facts, problems = diagnose(file)
    except OSError as error:
        raise CommandError(f"{file} cannot be looked at: {error.strerror}") from None
    if json:
        echo_json({**facts, "problems": [problem._asdict() for problem in problems]})
    else:
        echo_table((Column("WHAT", Shrink.NO), Column("HOW IT IS", Shrink.WRAP)), _describe(facts))
        for problem in problems:
            echo(f"PROBLEM: {problem.what}; {problem.advice}")
        if not problems:
            echo("No problem was found.")
    return FAILED if problems else OK


def _describe(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    size = f"{facts['bytes'] / 2**20:,.1f} MiB"
    rows = [("file", facts["file"]), ("size", size)]
    if "mode" in facts:
        rows.append(("mode, owner", f"{facts['mode']}, {facts['owner']}"))
    rows.append(("served now", "yes" if facts["served"] else "no"))
    rows.append(("free on its disk", f"{facts['free_bytes'] / 2**20:,.0f} MiB"))
    if "version" in facts:
        rows.append(("version", str(facts["version"])))
    if "profile" in facts:
        rows.append(("profile", facts["profile"] or "not known yet"))
    if "damage" in facts:
        rows.append(("pages", "damaged" if facts["damage"] else "sound"))
    if "vectors" in facts:
        vectors = ", ".join(f"{count:,} ({model})" for model, count in facts["vectors"].items()) or "none"
        if max(facts["vectors"].values(), default=0) < facts["messages"]:
            vectors += "; `sekha serve` makes the others in the background"
        rows += [
            ("conversations", f"{facts['conversations']:,}"),
            ("messages", f"{facts['messages']:,}"),
            ("messages with a vector", vectors),
            ("last backup", facts["last_backup"] or "none; sekha backup FILE makes one"),
        ]
    if facts["older_copies"]:
        names = ", ".join(facts["older_copies"])
        rows.append(("copies before an update", f"{names}; they hold what was deleted since: remove them"))
    software = ("python", "sqlite", "sekha-python-sdk")
    rows.append(("software", ", ".join(f"{name} {facts[name]}" for name in software)))
    return rows
