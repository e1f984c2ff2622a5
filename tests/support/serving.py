"""Servers of the examples, started by the command of their README."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import List

ROOT = Path(__file__).parents[2]


@dataclass
class Serving:
    """A server that runs.

    Attributes:
        process: Its process.
        url: Its address, as it said itself.
        output: The lines that it has printed so far.
    """

    process: subprocess.Popen[str]
    url: str = ""
    output: List[str] = field(default_factory=list)


def readme_command(readme: Path, program: str) -> List[str]:
    """The one line of a README's code blocks that starts a program, in words."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", readme.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (line,) = [line for block in blocks for line in block.splitlines() if line.split()[:1] == [program]]
    return shlex.split(line)


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str], seconds: float = 60.0) -> Iterator[Serving]:
    """Run a server from the root of the checkout until the end of the block; it has said its address when this begins.

    Its program is the one that is installed beside this Python.
    """
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    quiet = {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "always::ResourceWarning"}
    environment = {**os.environ, **quiet, **environment, "PATH": path}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True
    ) as process:
        server = Serving(process)
        ready = threading.Event()

        def listen() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                server.output.append(line)
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
                if found and not server.url:
                    server.url = found[0]
                    ready.set()
            ready.set()  # it ended

        listener = threading.Thread(target=listen, name="serving")
        listener.start()
        try:
            assert ready.wait(seconds), f"{command[0]} says no address: {server.output}"
            assert server.url, f"{command[0]} did not start: {''.join(server.output)}"
            yield server
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
            listener.join()
