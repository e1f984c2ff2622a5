"""Commands in processes of their own, with pipes and encodings as Windows and macOS have them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest

from cli.conftest import Run
from local.conftest import python
from sekha import SekhaClient
from sekha.local import LocalSekha

RUN = "import sys; from sekha.cli import main; sys.exit(main())"
AS_WINDOWS = """
import io, os, sys

class Raw(io.RawIOBase):  # Windows says "Invalid argument" where the reader of a pipe has gone
    def __init__(self, number):
        self._number = number

    def writable(self):
        return True

    def fileno(self):
        return self._number

    def write(self, data):
        try:
            return os.write(self._number, data)
        except BrokenPipeError:
            raise OSError(22, "Invalid argument") from None

sys.stdout = io.TextIOWrapper(io.BufferedWriter(Raw(1)), encoding="cp1252", line_buffering=False)
"""
POSIX = pytest.mark.skipif(os.name != "posix", reason="the test replaces what Windows does by itself")


def with_closed_pipe(*words: str, before: str = "", both: bool = False) -> Tuple[int, str]:
    """The exit code and the messages of a command whose output nobody reads; with ``both``, nor its messages."""
    command, environment = python("-c", before + RUN, *words)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer if both else subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize("before", ["", pytest.param(AS_WINDOWS, marks=POSIX)], ids=["as it is", "as on Windows"])
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["list"], ["list", "--json"], ["export", "--all"]])
def test_nobody_reads_the_output(words: List[str], before: str, remember: Callable[..., str]) -> None:
    remember("Hello")
    assert with_closed_pipe(*words, before=before) == (1, "")


def test_nobody_reads_the_messages_either(connected: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEKHA_API_KEY", "wrong")
    assert with_closed_pipe("list", both=True)[0] == 4
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("SEKHA_MAX_RETRIES", "0")
    assert with_closed_pipe("list", both=True)[0] == 5


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_output_that_cannot_be_written_is_one_line(remember: Callable[..., str]) -> None:
    remember("Hello")
    command, environment = python("-c", RUN, "list")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "sekha list: [Errno 28] No space left on device\n")


# Encodings

ENCODINGS: List[Dict[str, str]] = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp437"},
    {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
]


EVERY_COMMAND = """
import json, os, sys
from sekha.cli import main
codes = [main(words) for words in json.loads(sys.argv[1])]
print(file=sys.stderr)
print(json.dumps(codes), file=sys.stderr)
"""


def run_all(variables: Dict[str, str], *commands: List[str], stdin: str = "") -> Tuple[List[int], bytes]:
    """The exit codes of commands with an encoding, and what they print."""
    command, environment = python("-c", EVERY_COMMAND, json.dumps(commands))
    done = subprocess.run(command, env={**environment, **variables}, input=stdin.encode(), capture_output=True)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert b"Unicode" not in done.stderr
    codes: List[int] = json.loads(done.stderr.splitlines()[-1])
    return codes, done.stdout


@pytest.mark.parametrize("variables", ENCODINGS, ids=lambda variables: "-".join(variables.values()))
def test_every_command_gets_along_with_every_encoding(
    variables: Dict[str, str], remember: Callable[..., str], client: SekhaClient, here: Path
) -> None:
    id = remember("“Zürich” → 東京 ● ✓", "Ω ≠ €\x1b[31m", label="✓ Zürich → 東京", folder="/東京")
    (here / "in.jsonl").write_text(
        '{"label": "東京", "messages": [{"role": "user", "content": "● ✓"}]}\nno JSON: 東京\n', encoding="utf-8"
    )
    good = [
        ["list"],
        ["list", "--json"],
        ["query", "東京"],
        ["search", "東京", "--no-hybrid"],
        ["pin", id],
        ["label", id, "✓ Zürich → 東京"],
        ["move", id[:8], "/東京/Zürich"],
        ["stats"],
        ["health"],
        ["show", id],
        ["export", id],
        ["export", id, "--format", "markdown"],
        ["export", "--all"],
        ["prune", "--threshold-days", "0", "--dry-run"],
        ["store", "東京 ✓"],
        ["chat", "--no-store"],
        ["demo"],
    ]
    bad = [
        ["delete", "東京"],
        ["list", "--limit", "東京", "--json"],
        ["import", "--dry-run", "in.jsonl"],
        ["import", "in.jsonl"],
        ["show", "東京"],
    ]
    codes, out = run_all(variables, *good, *bad, stdin="Where is it?")
    assert codes == [0] * len(good) + [2, 2, 1, 1, 2]
    assert b"Started a local server" in out
    labels = [row["label"] for row in client.controller.iter_conversations(subfolders=True, folder="/")]
    assert sorted(labels) == sorted(["✓ Zürich → 東京", "東京 ✓", "東京"])


def test_a_file_has_all_characters_whatever_the_terminal_has(
    remember: Callable[..., str], run: Run, here: Path
) -> None:
    id = remember("東京 ✓", label="Zürich")
    forms = {"json": "one.json", "jsonl": "one.jsonl", "markdown": "one.md"}
    commands = [["export", id, "--format", form, "-o", file] for form, file in forms.items()]
    assert run_all({"PYTHONIOENCODING": "ascii"}, *commands) == ([0, 0, 0], b"")
    for file in forms.values():
        data = (here / file).read_bytes()
        assert "東京 ✓".encode() in data
        assert b"\r" not in data
    assert json.loads((here / "one.json").read_text("utf-8"))["conversation"]["label"] == "Zürich"


@pytest.mark.skipif(sys.version_info < (3, 10), reason="this Python does not look for it")
def test_every_file_is_opened_with_an_encoding(client: SekhaClient, here: Path) -> None:
    """On Windows, the usual one is that of the machine."""
    (here / "in.jsonl").write_text('{"messages": [{"role": "user", "content": "x"}]}\n', encoding="utf-8")
    (here / ".env").write_text("SEKHA_TIMEOUT=5\n", encoding="utf-8")
    commands = [["demo"], ["import", "in.jsonl"], ["import", "in.jsonl", "--dry-run"], ["export", "--all", "-o", "out"]]
    command, environment = python(
        "-X", "warn_default_encoding", "-W", "always", "-c", EVERY_COMMAND, json.dumps(commands)
    )
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[0, 0, 0, 0]"
    assert not [line for line in done.stderr.splitlines() if "EncodingWarning" in line and "sekha" in line]


# Keys


def test_the_chat_names_the_key_that_ends_it(run: Run, connected: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = "Ctrl-Z and Enter" if sys.platform == "win32" else "Ctrl-D"
    assert f"{usual} or /quit: end the chat" in run("chat", terminal="/quit\n").err
    monkeypatch.setattr("sekha.cli.chat._END_KEY", "Ctrl-Z and Enter")
    assert "Ctrl-Z and Enter or /quit: end the chat" in run("chat", terminal="/quit\n").err
