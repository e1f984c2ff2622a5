"""Exports as they were seen in public, each imported by `sekha import`, and what is in the memory then.

A case is a folder of `tests/data/imports`: its files, `expected.json`, and `next-month/` where a second import follows
with the same journals. Of `expected.json`:

- `conversations` is what is to be in the memory, without archived ones; `empty` and `failed` are counts of the report
- `contains` and `lacks`: it is enough if the words are there, and are not there
- `or_a_clear_error`: exit code 1, nothing stored, and one to three lines will do
- `or_partial`: exit code 1 will do
- `ascii`: characters beyond ASCII are not compared
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, Dict, List

import pytest

from cli.conftest import Done, Run
from sekha import SekhaClient
from sekha.type_guards import extract_text

pytestmark = pytest.mark.promise("W13")

CASES = Path(__file__).parents[1] / "data" / "imports"
NAMES = sorted(path.parent.name for path in CASES.glob("*/expected.json"))


def inputs(folder: Path) -> List[Path]:
    endings = ("expected.json", ".sekha-journal")
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.endswith(endings))


def in_memory(client: SekhaClient) -> List[Any]:
    """What is stored and not archived: label, folder, and the messages."""
    found: List[Any] = []
    for row in client.controller.iter_conversations():
        if row["metadata"].get("status") != "archived":
            messages = client.controller.get_messages(row["conversation_id"])
            found.append(
                [row["label"], row["folder"], [[one["role"], extract_text(one["content"])] for one in messages]]
            )
    return found


def comparable(conversations: List[Any], only_ascii: bool) -> List[str]:
    texts = [json.dumps(one, ensure_ascii=False) for one in conversations]
    return sorted(re.sub(r"[^\x00-\x7f]+", "?", text) if only_ascii else text for text in texts)


def judge(expected: Dict[str, Any], found: List[Any], done: Done) -> str:
    """What is wrong; empty if nothing is."""
    only_ascii = bool(expected.get("ascii"))
    wanted = [[one["label"], one["folder"], one["messages"]] for one in expected["conversations"]]
    reports = list(done.json.values()) if done.out else []
    counts = {key: sum(report[key] for report in reports) for key in ("empty", "failed")}
    if (
        comparable(wanted, only_ascii) == comparable(found, only_ascii)
        and counts.items() >= {key: value for key, value in expected.items() if key in counts}.items()
    ):
        return ""
    text = "\n".join(message[1] for one in found for message in one[2])
    if "contains" in expected and all(word in text for word in expected["contains"]):
        return "" if not any(word in text for word in expected.get("lacks", ())) else f"it has {text!r}"
    if expected.get("or_a_clear_error") and done.code == 1 and not found and 1 <= len(done.err.splitlines()) <= 3:
        return ""
    if expected.get("or_partial") and done.code == 1:
        return ""
    return f"exit {done.code}, {counts}; {found}; {done.err}"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_in_the_memory(name: str, run: Run, client: SekhaClient, here: Path) -> None:
    expected = json.loads((CASES / name / "expected.json").read_text(encoding="utf-8"))
    for month in filter(Path.is_dir, (CASES / name, CASES / name / "next-month")):
        for path in inputs(month):
            shutil.copy(path, here)
        files = [path.name for path in inputs(here)]
        dry = run("import", "--dry-run", "--json", *files)
        done = run("import", "--json", *files, *expected["args"])
    assert judge(expected, in_memory(client), done) == ""
    assert dry.code == done.code, "a dry run says what the import will say"
