"""Fixtures of the recipes: `PAGE` of a test module names its page, and `TITLE` the program on it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Iterator

import pytest

from sekha import SekhaClient
from sekha.local import LocalSekha

from .programs import load


@pytest.fixture
def client(sekha: LocalSekha) -> Iterator[SekhaClient]:
    with SekhaClient(**sekha.options) as client:
        yield client


@pytest.fixture
def down() -> Iterator[SekhaClient]:
    """A client of a server that is not there."""
    with SekhaClient(controller_url="http://127.0.0.1:9", api_key="sk-x", max_retries=0) as client:
        yield client


@pytest.fixture(autouse=True)
def _commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs find the command `sekha` of this environment."""
    monkeypatch.setenv("PATH", os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))


@pytest.fixture
def recipe(
    request: pytest.FixtureRequest, sekha: LocalSekha, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ModuleType:
    """The program of the page, imported, with the settings of `sekha` in the environment."""
    return load(request.module.PAGE, request.module.TITLE, sekha, tmp_path, monkeypatch)
