"""`examples/trio_worker`, started by the command of its README."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

import pytest

from sekha import SekhaClient
from sekha.testing import Clock, Exchange, Fault, ScriptedSekha, answer_with, hold

ROOT = Path(__file__).parents[2]
README = ROOT / "examples" / "trio_worker" / "README.md"
FOLDER = "/work"
SUMMARIZE = "POST /api/v1/summarize"
AT_A_TIME = 4
PATIENCE = 60.0  # seconds; nothing here should take more than two


@pytest.fixture
def memory() -> Iterator[ScriptedSekha]:
    """Eight conversations in the folder, and two elsewhere; time is real, since the worker is another process."""
    with ScriptedSekha(clock=Clock()) as memory:
        with SekhaClient(**memory.sekha.options) as client:
            for folder, count in ((FOLDER, 8), ("/private", 1), (f"{FOLDER}/below", 1)):
                for number in range(count):
                    messages = [{"role": "user", "content": f"Note {number} of {folder}."}]
                    client.controller.create_conversation(folder=folder, messages=messages)
        yield memory


def ids_of(memory: ScriptedSekha) -> Set[str]:
    with SekhaClient(**memory.sekha.options) as client:
        return {row["conversation_id"] for row in client.controller.iter_conversations(folder=FOLDER)}


def command(*more: str) -> List[str]:
    """The last command of the README, with further arguments."""
    words = shlex.split(re.findall(r"```bash\n(.+?)\n```", README.read_text("utf-8"))[-1])
    assert words[0] == "python"
    return [sys.executable, *words[1:], *more]


def environment(memory: ScriptedSekha) -> Dict[str, str]:
    return {**os.environ, "SEKHA_CONTROLLER_URL": memory.controller_url, "SEKHA_API_KEY": memory.api_key}


def finished(memory: ScriptedSekha, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*more), cwd=ROOT, env=environment(memory), capture_output=True, text=True, timeout=PATIENCE
    )


@contextmanager
def running(memory: ScriptedSekha) -> Iterator[subprocess.Popen[str]]:
    """A worker that ends with the block, and after a while come what may."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(), cwd=ROOT, env=environment(memory), stdout=pipe, stderr=pipe, text=True) as process:
        limit = threading.Timer(PATIENCE, process.kill)
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            process.kill()


def summaries(stdout: str) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]


def asked_for(memory: ScriptedSekha) -> List[str]:
    """The conversations whose summaries were asked for."""
    return [request.json["conversation_id"] for request in memory.requests if request.line == SUMMARIZE]


def test_all_of_the_folder_is_summarized_once_and_nothing_else(memory: ScriptedSekha) -> None:
    ids = ids_of(memory)
    done = finished(memory, "--level", "weekly")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "8 of 8 summarized, 0 failed")
    found = summaries(done.stdout)
    assert sorted(summary["conversation_id"] for summary in found) == sorted(ids)
    assert all(summary["level"] == "weekly" and "Note" in summary["summary"] for summary in found)
    assert sorted(asked_for(memory)) == sorted(ids)
    assert done.stderr.splitlines()[:-1] == [f"{number} of 8" for number in range(1, 9)]  # this is no terminal


def test_four_at_a_time_and_never_more(memory: ScriptedSekha) -> None:
    four = threading.Barrier(AT_A_TIME)
    lock = threading.Lock()
    now, most = 0, 0

    def counted(exchange: Exchange) -> bool:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        four.wait(PATIENCE)  # broken if there are ever less
        exchange.wait(0.2)  # a fifth would come now
        data = b"".join(exchange.ask().wire())
        with lock:
            now -= 1  # before the worker can know that it is over
        exchange.send(data)
        return True

    memory.fail(SUMMARIZE, Fault("counted()", counted), times=8)
    done = finished(memory)
    assert (done.returncode, len(summaries(done.stdout)), most) == (0, 8, AT_A_TIME)


def test_one_that_fails_is_named_and_the_others_go_on(memory: ScriptedSekha) -> None:
    memory.fail(SUMMARIZE, answer_with(404, {"error": "it was deleted meanwhile", "code": 404}))
    done = finished(memory)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "7 of 8 summarized, 1 failed")
    failed = next(request for request in memory.requests if request.fault).json["conversation_id"]
    assert re.search(f"^{failed} failed: it was deleted meanwhile", done.stderr, re.MULTILINE)
    assert {summary["conversation_id"] for summary in summaries(done.stdout)} == ids_of(memory) - {failed}


def test_a_folder_that_cannot_be_listed_is_told(memory: ScriptedSekha) -> None:
    memory.fail("GET /api/v1/conversations", answer_with(401, {"error": "wrong key", "code": 401}))
    done = finished(memory)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("/work cannot be listed: wrong key")
    assert "Traceback" not in done.stderr


def test_missing_settings_and_wrong_arguments_are_told() -> None:
    for words, told in (([], "SEKHA_CONTROLLER_URL"), (["--deadline", "0"], "--deadline"), (["--level", "x"], "daily")):
        done = subprocess.run(command(*words), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


def test_the_deadline_ends_it_and_what_is_done_is_printed(memory: ScriptedSekha) -> None:
    memory.fail(SUMMARIZE, served(), times=2)
    memory.fail(SUMMARIZE, hold(), times=AT_A_TIME)
    began = time.monotonic()
    done = finished(memory, "--deadline", "4")
    assert 4 <= time.monotonic() - began < 4 + PATIENCE / 2
    assert done.returncode == 124
    assert done.stderr.splitlines()[-1] == "out of time; 2 of 8 summarized, 0 failed"
    assert len(summaries(done.stdout)) == 2
    assert len(asked_for(memory)) == 2 + AT_A_TIME


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a single process")
def test_ctrl_c_ends_it_at_once_and_what_is_done_is_printed(memory: ScriptedSekha) -> None:
    memory.fail(SUMMARIZE, served(), times=3)
    memory.fail(SUMMARIZE, hold(), times=AT_A_TIME)
    with running(memory) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        wait_until_asked(memory, 3 + AT_A_TIME)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        rest, told = process.communicate(timeout=PATIENCE)
        assert time.monotonic() - began < PATIENCE / 2
    assert (process.returncode, rest) == (130, "")
    assert {json.loads(line)["conversation_id"] for line in lines} < ids_of(memory)
    assert told.splitlines()[-1] == "stopped by Ctrl-C; 3 of 8 summarized, 0 failed"
    assert "Traceback" not in told


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")
def test_a_terminal_shows_a_bar_and_the_summaries_stay_apart(memory: ScriptedSekha) -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        settings = {**environment(memory), "TERM": "xterm", "COLUMNS": "80"}
        with subprocess.Popen(command(), cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=theirs) as process:
            os.close(theirs)
            shown: List[bytes] = []
            reader = threading.Thread(target=read_all, args=(ours, shown))
            reader.start()
            try:
                out, _ = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
                reader.join()
    finally:
        os.close(ours)
    assert (process.returncode, len(summaries(out.decode()))) == (0, 8)
    assert "━" in b"".join(shown).decode()
    assert "8/8" in b"".join(shown).decode()
    assert "1 of 8" not in b"".join(shown).decode()


def served() -> Fault:
    """No fault, where others are to come later."""

    def play(exchange: Exchange) -> bool:
        exchange.send(b"".join(exchange.ask().wire()))
        return True

    return Fault("served()", play)


def wait_until_asked(memory: ScriptedSekha, count: int) -> None:
    limit = time.monotonic() + PATIENCE
    while len(asked_for(memory)) < count:
        assert time.monotonic() < limit, f"{len(asked_for(memory))} of {count} were asked for"
        time.sleep(0.01)


def read_all(terminal: int, shown: List[bytes]) -> None:
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            return
        shown.append(data)
