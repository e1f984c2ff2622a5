"""One client meets one fault, in a process of its own; and the environments that the clients live in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from scoring.clients import Client
from scoring.faults import Fault, good, no_server
from scoring.judging import Observation, Verdict
from scoring.server import FaultServer

BENCH = Path(__file__).parents[1]
PATIENCE = 60.0  # for one process, its import included


def python_of(client: Client, environments: Path | None) -> str | None:
    """The interpreter that has this client; None where it is not installed."""
    if client.name == "ours":
        return sys.executable
    if environments is None:
        return None
    path = environments / client.folder / "bin" / "python"
    return str(path) if path.exists() else None


def make_environment(client: Client, environments: Path) -> None:
    """A virtual environment with the client, from the package index."""
    folder = environments / client.folder
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", client.requirement], check=True)


def observe(fault: Fault, client: Client, python: str) -> Observation:
    """Let the client meet the fault."""
    seen = Observation(client)
    with closing(FaultServer(good(client), client.aside)) as other:
        warm = "" if fault.cold else other.url
        if fault.script is no_server:
            with socket.socket() as bound:  # a port that is taken, and where nobody listens
                bound.bind(("127.0.0.1", 0))
                _child(fault, client, python, warm, f"http://127.0.0.1:{bound.getsockname()[1]}", seen)
        else:
            with closing(FaultServer(fault.script(client), client.aside, other.url)) as server:
                _child(fault, client, python, warm, server.url, seen)
                seen.requests = list(server.requests)
        seen.elsewhere = [each for each in other.requests if each.path == "/other"]
    return seen


def judge(fault: Fault, seen: Observation) -> Verdict:
    """Was the promise kept?"""
    if not seen.outcomes and fault.play != "nothing":
        return Verdict(False, seen.summary)
    return fault.rule(seen)


def _child(fault: Fault, client: Client, python: str, warm: str, url: str, seen: Observation) -> None:
    with tempfile.TemporaryDirectory() as home:
        Path(home, ".env").write_text("SEKHA_TIMEOUT=7\nSCORECARD=1\n", encoding="utf-8")
        arguments = [client.name, fault.play, url, json.dumps(fault.wishes), warm]
        process = subprocess.Popen(
            [python, *fault.flags, "-m", "scoring.child", *arguments],
            cwd=home,
            env=_environment(client, home, fault.loud),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        try:
            output, seen.stderr = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            output, seen.stderr = process.communicate()
            seen.ended = False
        seen.returned = process.returncode
    for line in output.splitlines():
        if line.startswith('{"scorecard": '):
            _take(json.loads(line)["scorecard"], seen)


def _take(line: dict[str, Any], seen: Observation) -> None:
    if line["what"] == "imported":
        seen.imported = line
    elif line["what"] == "noted":
        seen.noted = line
    elif line["what"] == "version":
        seen.version = line["version"]
    else:
        seen.outcomes.append(line)


def _environment(client: Client, home: str, loud: bool) -> dict[str, str]:
    """Little of ours: no proxies, no settings, no other home; only our own client finds the source of this checkout."""
    kept = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", *(name for name in os.environ if name.startswith("COVERAGE")))
    paths: Sequence[object] = [BENCH]
    if client.name == "ours":
        paths = [BENCH, BENCH.parent / "src", *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        **({} if loud else client.quiet),
        "HOME": home,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
