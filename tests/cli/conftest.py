"""A command as somebody types it, with its settings in the environment as they would be."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

import pytest

from sekha import SekhaClient
from sekha.cli import main
from sekha.config._settings import ENVIRONMENT
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, which is JSON and nothing else."""
        return json.loads(self.out)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


Run = Callable[..., Done]


def settings(options: Any) -> Dict[str, str]:
    """The settings of a client, as variables."""
    return {ENVIRONMENT[name]: value for name, value in options.items()}


def connect(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the environment name a server."""
    for name, value in settings(options).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width of tables is not that of the terminal in which the tests run."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process; ``stdin`` is what is piped into it, ``terminal`` what somebody types."""

    def run(*words: str, stdin: str = "", terminal: Optional[str] = None) -> Done:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin) if terminal is None else Terminal(terminal))
        code = main(words)
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def connected(sekha: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> LocalSekha:
    """An empty Sekha, which the environment names."""
    connect(sekha.options, monkeypatch)
    return sekha


@pytest.fixture
def faulty(sekha: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedSekha]:
    """The same behind scripted faults, of which none is met twice."""
    monkeypatch.setenv("SEKHA_MAX_RETRIES", "0")
    with ScriptedSekha(sekha) as scripted:
        connect(scripted.options, monkeypatch)
        yield scripted


@pytest.fixture
def client(connected: LocalSekha) -> Iterator[SekhaClient]:
    """Looks into the memory."""
    with SekhaClient(**connected.options) as client:
        yield client


@pytest.fixture
def remember(client: SekhaClient) -> Callable[..., str]:
    """Stores messages, of user and assistant in turns, and gives the id."""

    def remember(*texts: str, label: str = "Label", folder: str = "/work", importance: Optional[int] = None) -> str:
        messages: List[Dict[str, str]] = [
            {"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(texts)
        ]
        return client.controller.create_conversation(
            label=label, folder=folder, importance_score=importance, messages=messages
        )["id"]

    return remember
