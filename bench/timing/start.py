"""The process in which a library starts: nothing is loaded before it but what every side needs.

    python -m timing.start SUBJECT URL

Prints one line of JSON: milliseconds of import, first client, first call and second client, by clock, and megabytes
after the first client.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

from timing.clocks import CLOCKS, Stopwatch
from timing.subjects import BY_NAME, Subject


def main() -> None:
    """Start, and print what it took."""
    name, url = sys.argv[1:]
    subject = BY_NAME[name]
    sys.modules["trio"] = None  # type: ignore[assignment]  # the way to hide it: httpcore loads it where it finds it
    found: dict[str, Stopwatch] = {}
    with found.setdefault("import", Stopwatch()):
        import_module(subject.module)
    memory = megabytes()
    if type(subject).open is not Subject.open:
        with found.setdefault("first client", Stopwatch()):
            client = subject.open(url)
        memory = megabytes()
        with found.setdefault("first call", Stopwatch()):
            subject.call(client, url)()
        with found.setdefault("second client", Stopwatch()):
            second = subject.open(url)
        del second
    figures = {clock: {what: watch.spent[clock] * 1e3 for what, watch in found.items()} for clock in CLOCKS}
    print(json.dumps({**figures, "megabytes": memory}))


def megabytes() -> float:
    """Memory of this process, on Linux."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096 / 2**20


if __name__ == "__main__":
    main()
