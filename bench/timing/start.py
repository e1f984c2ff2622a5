"""The process in which a library starts: nothing is loaded before it but what every side needs.

    python -m timing.start SUBJECT URL

Prints one line of JSON: milliseconds of import, first client, first call and second client, and megabytes after the
first client.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module

from timing.subjects import BY_NAME, Subject


def main() -> None:
    """Start, and tell what it took."""
    name, url = sys.argv[1:]
    subject, clock = BY_NAME[name], time.perf_counter
    moments = [clock()]
    import_module(subject.module)
    moments.append(clock())
    has_blocking = type(subject).open is not Subject.open
    client = subject.open(url) if has_blocking else None
    moments.append(clock())
    memory = megabytes()
    if has_blocking:
        subject.call(client, url)()
    moments.append(clock())
    second = subject.open(url) if has_blocking else None
    moments.append(clock())
    del second
    names = ("import", "first client", "first call", "second client") if has_blocking else ("import",)
    figures = {name: (later - earlier) * 1e3 for name, earlier, later in zip(names, moments, moments[1:])}
    print(json.dumps({"ms": figures, "megabytes": memory}))


def megabytes() -> float:
    """Memory of this process, on Linux."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096 / 2**20


if __name__ == "__main__":
    main()
