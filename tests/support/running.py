"""Programs that a test starts as their README says, and ends."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Dict, Iterator, List, Match, Optional

PATIENCE = 60.0
"""Seconds that anything may take on a slow machine."""


def command_of(readme: Path, beginning: str) -> str:
    """The one line of a README's shell blocks that begins so."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", readme.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    found = [line for block in blocks for line in block.splitlines() if line.startswith(beginning)]
    assert len(found) == 1, f"{readme} has {len(found)} commands that begin with {beginning!r}"
    return str(found[0])


def environment(**more: str) -> Dict[str, str]:
    """The environment of a user whose terminal has this Python's commands."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **more}


class Program:
    """A program that runs, and what it has printed.

    Args:
        process: The program; its output is a pipe of text.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.output = ""
        self._ended = False
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._news:
                    self.output += line
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def says(self, pattern: str) -> Match[str]:
        """Wait until it has printed something, and give that."""
        found: List[Optional[Match[str]]] = []

        def is_there() -> bool:
            found[:] = [re.search(pattern, self.output, re.DOTALL)]
            return found[0] is not None or self._ended

        with self._news:
            self._news.wait_for(is_there, PATIENCE)
        assert found[0] is not None, f"no {pattern!r} in:\n{self.output}"
        return found[0]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end of the program and of its output, and give the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of the program and of its output, and give the exit code."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code


@contextmanager
def running(command: str, folder: Path, variables: Dict[str, str]) -> Iterator[Program]:
    """A program that runs in this block; whatever is left of it, and of its children, is killed in the end.

    Args:
        command: A line for a terminal.
        folder: Where it is typed.
        variables: The environment.
    """
    with TemporaryDirectory() as private:  # for sockets that it would share with other programs of its kind
        process = subprocess.Popen(
            shlex.split(command),
            cwd=folder,
            env={**variables, "XDG_RUNTIME_DIR": private},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # its children are found by its number
        )
        program = Program(process)
        try:
            yield program
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            program.wait()
