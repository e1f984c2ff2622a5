"""The tutorial for the terminal: its commands, one after the other, print what the page shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from sekha.cli import main
from sekha.config._settings import ENVIRONMENT
from sekha.local import LocalSekha

PAGE = Path(__file__).parents[2] / "docs" / "get-started" / "terminal.md"
ON_PAGE = "http://127.0.0.1:8080"
ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f-]{27})?\b")


def steps() -> List[Tuple[str, List[str]]]:
    """The commands of the page, and the lines that it shows below each."""
    found: List[Tuple[str, List[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def comparable(lines: List[str], url: str = ON_PAGE) -> List[str]:
    """Lines in any order, since two streams are one on a terminal; without IDs, addresses and the width of columns."""
    text = ID.sub("ID", "\n".join(lines).replace(url, ON_PAGE))
    text = re.sub(r"bridge( +healthy +)http://\S+", r"bridge\1http://127.0.0.1:5001", text)
    return sorted(" ".join(line.split()) for line in text.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="the page makes a note with a shell of POSIX")
def test_the_tutorial_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    ids: Dict[str, str] = {}
    with LocalSekha(data=str(tmp_path / "memory.db")) as server:
        for name, value in server.options.items():
            monkeypatch.setenv(ENVIRONMENT[name], str(value))
        for command, shown in steps():
            command = ID.sub(lambda found: ids[found[0]], command)
            if command.startswith("sekha "):
                assert main(shlex.split(command)[1:]) == 0, command
            else:
                subprocess.run(command, shell=True, check=True)
            out, err = capfd.readouterr()
            if shown:
                assert comparable((out + err).splitlines(), server.controller_url) == comparable(shown), command
            for on_page, printed in zip(ID.findall("\n".join(shown)), ID.findall(out)):
                ids[on_page], ids[on_page[:8]] = printed, printed[:8]
