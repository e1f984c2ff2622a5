"""A process that is forked while an import runs does not keep the journal locked, and writes nothing into it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sekha as package
from sekha import SekhaClient
from sekha._importing.journal import Journal
from sekha.local import LocalSekha

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),  # it has threads
]

PROGRAM = """
import os, signal, sys
import anyio
from sekha import AsyncSekhaClient, SekhaClient

url, key, journal, form, ends = sys.argv[1:]
settings = dict(controller_url=url, api_key=key, proxy="none")

def conversations():
    for number in range(3):
        yield {"label": str(number), "messages": [{"role": "user", "content": str(number)}]}
        if number == 0:
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            print(child, flush=True)
    if ends == "killed":
        os.kill(os.getpid(), signal.SIGKILL)

def blocking():
    with SekhaClient(**settings) as client:
        return client.controller.import_conversations(conversations(), journal=journal, concurrency=1)

async def awaited():
    async with AsyncSekhaClient(**settings) as client:
        return await client.controller.import_conversations(conversations(), journal=journal, concurrency=1)

print((blocking() if form == "blocking" else anyio.run(awaited, backend=form))["stored"], flush=True)
"""
FORMS = ["blocking", "asyncio", "trio"]


def start(sekha: LocalSekha, journal: Path, form: str, ends: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM),  # a fork beside threads
            *(sekha.controller_url, sekha.api_key, str(journal), form, ends),
        ],
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__ or "").parents[1])},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.promise("W14")
@pytest.mark.parametrize("ends", ["ended", "killed"])
@pytest.mark.parametrize("form", FORMS)
def test_a_child_that_lives_on_does_not_keep_the_journal(
    form: str, ends: str, sekha: LocalSekha, tmp_path: Path
) -> None:
    journal = tmp_path / "j"
    with start(sekha, journal, form, ends) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            assert process.wait(60) == (0 if ends == "ended" else -signal.SIGKILL)
            with SekhaClient(**sekha.options) as client:
                same = [
                    {"label": str(number), "messages": [{"role": "user", "content": str(number)}]}
                    for number in range(3)
                ]
                report = client.controller.import_conversations(same, journal=journal)
                assert (report["seen"], report["failed"]) == (3, 0)
                assert client.controller.count_conversations()["count"] == 3
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_child_writes_nothing_into_the_journal_of_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(str(path), "http://sekha.test")
    journal.open()
    journal.start(None)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            journal.begin("a.1")
        except OSError as error:
            code = 0 if "its fork" in str(error) else 2
        finally:
            journal.close()
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert path.read_bytes() == b"", "it is there, and empty"
    journal.begin("b.1")
    journal.close()
    assert b"b.1" in path.read_bytes()
    assert b"a.1" not in path.read_bytes()
