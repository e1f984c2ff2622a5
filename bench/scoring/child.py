"""The process in which one client meets one fault: it reports what came of it in lines of JSON.

    python -m scoring.child CLIENT PLAY URL WISHES WARM

A call's outcome is a line ``{"what": "value" | "error", ...}``. Whatever the library connects to is noted, and refused
where it is not this machine. Nothing of a library's traceback is reported, only its errors' names and words. With the
address of a good server in WARM, a first read goes there, so that what libraries import in their first call is not in
any figure.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import threading
import time
from typing import Any

noted: dict[str, list[str]] = {"connects": [], "elsewhere": [], "opened": []}
LOOPBACK = ("127.0.0.1", "::1", "localhost")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: note connections, and files that a client has no business with."""
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        host = address[0] if isinstance(address, tuple) else address
        host = host.decode() if isinstance(host, bytes) else host
        if host in LOOPBACK or host is None or str(host).startswith("/"):
            if event == "socket.connect":
                noted["connects"].append(str(host))
        else:
            noted["elsewhere"].append(str(host))
            raise OSError(f"the scorecard lets nothing out of this machine: {host}")
    elif event == "open" and isinstance(arguments[0], str):
        path, _, flags = arguments
        inside = os.path.abspath(path).startswith((os.environ.get("HOME", "/nowhere"), os.getcwd()))
        if inside and ((flags or 0) & WRITING or os.path.basename(path) == ".env"):
            noted["opened"].append(os.path.basename(path))


def say(line: dict[str, Any]) -> None:
    """One line for the judge."""
    print(json.dumps({"scorecard": line}, default=str), file=sys.__stdout__, flush=True)


def main() -> None:
    """Import the library, watched, and play."""
    name, play, url, wishes, warm = sys.argv[1:]
    atexit.register(lambda: say({"what": "noted", **noted}))  # the first to be registered is the last to be called
    sys.addaudithook(watch)
    before, start = dict(os.environ), time.perf_counter()
    threads = threading.active_count()
    from scoring.clients import BY_NAME

    client = BY_NAME[name]
    __import__(client.module)
    imported = {
        "what": "imported",
        "seconds": time.perf_counter() - start,
        "environment": sorted(key for key in {*before, *os.environ} if before.get(key) != os.environ.get(key)),
        "threads": threading.active_count() - threads,
        "opened": list(noted["opened"]),
        "connects": noted["connects"] + noted["elsewhere"],
    }
    from scoring import plays

    say(imported)
    say({"what": "version", "version": plays.version(client)})
    if warm:
        list(plays.read(client, warm, {}))
        noted["connects"].clear()
    for outcome in getattr(plays, play)(client, url, json.loads(wishes)):
        say(outcome)


if __name__ == "__main__":
    main()
