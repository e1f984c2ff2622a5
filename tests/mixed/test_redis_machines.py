"""Machines share the write slots of a server in Redis: its processes see no files of each other."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, List

import httpx
import pytest

from local.conftest import python
from sekha.local import LocalSekha

if TYPE_CHECKING:
    from support.redis_server import RedisServer

PROGRAM = str(Path(__file__).parents[1] / "support" / "write_together.py")
MACHINES, PROCESSES, WRITES = 2, 8, 6


@pytest.fixture(scope="module")
def programs() -> Iterator[List[subprocess.Popen[str]]]:
    """Eight processes that have loaded all they need."""
    command, environment = python(PROGRAM)
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        found = [stack.enter_context(subprocess.Popen(command, env=environment, **pipes)) for _ in range(PROCESSES)]
        for process in found:
            stack.callback(process.kill)
        yield found


@pytest.mark.slow
@pytest.mark.promise("W18")
@pytest.mark.parametrize("form", ["asyncio", "trio", "blocking"])
def test_machines_that_write_at_the_same_time_do_not_hang_each_other(
    form: str, programs: List[subprocess.Popen[str]], redis: RedisServer, tmp_path: Path
) -> None:
    with LocalSekha(profile="controller-0.1") as sekha:
        settings = {**sekha.options, "timeout": 15.0, "deadline": 25.0}
        for number, program in enumerate(programs):
            machine = tmp_path / f"machine-{number % MACHINES}"
            machine.mkdir(exist_ok=True)
            assert program.stdin is not None
            program.stdin.write(f"{json.dumps([form, str(machine), settings, redis.url])}\n")
            program.stdin.flush()
        told = [program.stdout.readline() for program in programs if program.stdout is not None]
        assert told == [f"{WRITES}\n"] * PROCESSES
        found = httpx.post(f"{sekha.controller_url}/api/v1/search/fts", json={"query": "more", "limit": 100}).json()
        assert found["total"] == PROCESSES * WRITES
    assert [*tmp_path.rglob("*.first")] == [], "no files were locked"
    with redis.client() as client:
        assert [key.decode() for key in client.scan_iter()] == ["sekha:{controller:memory}:writes:noted"]
