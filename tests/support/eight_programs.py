"""Eight processes that store conversations at the same time, each as ``write_together.py`` says."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Iterator, List, Sequence

import httpx

from local.conftest import python
from sekha.local import LocalSekha

PROGRAM = str(Path(__file__).parent / "write_together.py")
PROCESSES, WRITES = 8, 6

Programs = List["subprocess.Popen[str]"]


@contextmanager
def eight_programs() -> Iterator[Programs]:
    """Eight processes that have loaded all they need."""
    command, environment = python(PROGRAM)
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        found = [stack.enter_context(subprocess.Popen(command, env=environment, **pipes)) for _ in range(PROCESSES)]
        for process in found:
            stack.callback(process.kill)
        yield found


def check_all_is_stored(sekha: LocalSekha, programs: Programs, tasks: Sequence[object]) -> None:
    """Give each program its task, and check that all that they store is there."""
    for program, task in zip(programs, tasks):
        assert program.stdin is not None
        program.stdin.write(f"{json.dumps(task)}\n")
        program.stdin.flush()
    told = [program.stdout.readline() for program in programs if program.stdout is not None]
    assert told == [f"{WRITES}\n"] * PROCESSES
    found = httpx.post(f"{sekha.controller_url}/api/v1/search/fts", json={"query": "more", "limit": 100}).json()
    assert found["total"] == PROCESSES * WRITES


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process whose output nobody reads any more."""
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
