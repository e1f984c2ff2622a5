"""R14: making a client opens no socket, starts no thread, reads a CA file once, and is cheap; what a client shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

import sekha as package
from sekha import SekhaClient

SOURCE = str(Path(package.__file__ or "").parents[1])
URL = "http://localhost:8080"

# Everything the interpreter is asked for is counted from before the first client on; OpenSSL reads files unseen by the
# interpreter, so what it is told to read is counted too. What the first client imports was imported before.
PROGRAM = """
import collections, json, ssl, sys, threading, time
import sekha

counts = collections.Counter()
watching = False

def hook(event, arguments):
    if watching and (event.startswith("socket.") or event in ("open", "_thread.start_new_thread",
                                                              "_thread.start_joinable_thread")):
        counts[event] += 1

def counted(name):
    original = getattr(ssl.SSLContext, name)
    def count(*arguments, **keywords):
        counts[name] += 1
        return original(*arguments, **keywords)
    setattr(ssl.SSLContext, name, staticmethod(count) if name == "__new__" else count)

sys.addaudithook(hook)
for name in ("__new__", "load_verify_locations"):
    counted(name)
url, number = sys.argv[1], int(sys.argv[2])
for flavour in ("SekhaClient", "AsyncSekhaClient"):
    getattr(sekha, flavour)(controller_url="http://127.0.0.1:9", api_key="k")
watching = True
started = time.process_time()
clients = [
    getattr(sekha, flavour)(controller_url=url, bridge_url=url, api_key="k")
    for flavour in ("SekhaClient", "AsyncSekhaClient")
    for _ in range(number)
]
spent = time.process_time() - started
watching = False
print(json.dumps({**counts, "threads": threading.active_count() - 1, "milliseconds": spent * 500 / number}))
"""


def constructing(url: str, number: int) -> Dict[str, Any]:
    """What making so many clients of each flavour asks the system for."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url, str(number)],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: Dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.promise("R14")
def test_a_client_for_http_opens_nothing_at_all() -> None:
    found = constructing("http://127.0.0.1:9", 50)
    spent = found.pop("milliseconds")
    assert found == {"threads": 0}, "no socket, no thread, no file, no SSL context"
    assert spent < 20


@pytest.mark.promise("R14")
def test_clients_for_https_share_one_context() -> None:
    one, many = constructing("https://127.0.0.1:9", 1), constructing("https://127.0.0.1:9", 50)
    one.pop("milliseconds")
    assert many.pop("milliseconds") < 20
    assert (one["__new__"], one["load_verify_locations"], one["threads"]) == (1, 1, 0)
    assert not [event for event in one if event.startswith(("socket", "_thread"))]
    assert many == one, "the second client opens no file more"


def test_a_client_shows_where_it_sends_and_no_key() -> None:
    client = SekhaClient(controller_url=URL, api_key="sk-very-secret")
    assert repr(client) == f"<SekhaClient controller {URL}, bridge not configured>"
    client.close()
    assert repr(client.controller) == f"<MemoryController {URL} (closed)>"
