"""What a call costs, counted and not timed: function calls of one search, modules that starting loads.

    python bench/cost.py            # counts, and shows where they differ from what was noted
    python bench/cost.py --write    # notes them, for this Python, in bench/results/cost.json

`tests/tools/test_cost.py` fails where a count has grown by more than a tenth.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

from canned import canned_server
from timing import HITS

NOTED = Path(__file__).parent / "results" / "cost.json"
GROWTH = 1.1
"""How many times what was noted a count may be."""

Counts = dict[str, dict[str, int]]


def package_of(module: str) -> str:
    """The package of a module; of ours, the module itself."""
    return module if module.startswith("sekha.") else module.partition(".")[0]


def calls_of_a_search() -> dict[str, int]:
    """Function calls, Python's and C's, of one blocking search on a warm client, by who makes them."""
    from sekha import SekhaClient

    found: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event in ("call", "c_call"):
            found[package_of(str(frame.f_globals.get("__name__")))] += 1

    with canned_server() as url:
        with SekhaClient(controller_url=url, api_key="k", rate_limit_requests=10**9, tracing=False) as client:
            for _ in range(3):
                client.controller.query("docker", limit=HITS)
            sys.setprofile(count)
            try:
                client.controller.query("docker", limit=HITS)
            finally:
                sys.setprofile(None)
    found.pop("__main__", None)
    return dict(sorted(found.items()))


def modules_of(start: str) -> dict[str, int]:
    """Modules that a way to start loads, by package; without tornado, which tenacity takes where it finds it."""
    code = "import json, sys; sys.modules['tornado'] = None; before = set(sys.modules); "
    code += f"{start}; print(json.dumps(list({{*sys.modules}} - before)))"
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return dict(sorted(Counter(name.partition(".")[0] for name in json.loads(output)).items()))


def counted() -> Counts:
    """All counts."""
    first = "import sekha; sekha.{}(controller_url='http://localhost', api_key='k')"
    return {
        "calls of a search": calls_of_a_search(),
        "modules of an import": modules_of("import sekha"),
        "modules of a first client": modules_of(first.format("SekhaClient")),
        "modules of a first async client": modules_of(first.format("AsyncSekhaClient")),
    }


def all_noted() -> dict[str, Counts]:
    """What was noted, for each Python."""
    return dict(json.loads(NOTED.read_text(encoding="utf-8"))) if NOTED.exists() else {}


def noted() -> Counts | None:
    """What was noted for this Python; None if nothing was."""
    return all_noted().get(python())


def python() -> str:
    """The version of this Python, as far as it matters."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def grown(now: Counts, then: Counts) -> list[str]:
    """The counts that have grown too much, and where."""
    found: list[str] = []
    for name, counts in now.items():
        before, after = sum(then.get(name, {}).values()), sum(counts.values())
        if after > before * GROWTH:
            found.append(f"{name}: {after}, and not {before}; {'; '.join(differences(counts, then.get(name, {})))}")
    return found


def differences(now: dict[str, int], then: dict[str, int]) -> list[str]:
    """Where two counts differ, the largest difference first."""
    names = sorted({*now, *then}, key=lambda name: -abs(now.get(name, 0) - then.get(name, 0)))
    return [
        f"{name} {then.get(name, 0)} -> {now.get(name, 0)}" for name in names if now.get(name, 0) != then.get(name, 0)
    ]


def main() -> None:
    """Count, and show or note."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    now, then = counted(), noted() or {}
    for name, counts in now.items():
        print(f"{name}: {sum(counts.values())}")
        for line in differences(counts, then.get(name, {})):
            print(f"    {line}")
    if write:
        every = all_noted()
        NOTED.parent.mkdir(exist_ok=True)
        NOTED.write_text(json.dumps({**every, python(): now}, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
