"""Programs of recipes: they are run as a user does, and loaded, so that tests call their functions."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List

import pytest

import sekha as package
from sekha import SekhaClient
from sekha.local import LocalSekha
from support.examples.blocks import blocks_of, promises_of

PAGES = Path(__file__).parents[3] / "docs" / "recipes"
SOURCE = Path(package.__file__ or "").parents[1]


def program_of(page: str, title: str) -> str:
    """The text of a program of a page."""
    (source,) = (one.source for one in blocks_of((PAGES / page).read_text("utf-8"), page) if one.title == title)
    return source


def settings_for(sekha: LocalSekha) -> Dict[str, str]:
    """The settings of a program that finds this server in its environment."""
    return {f"SEKHA_{name.upper()}": str(value) for name, value in sekha.options.items()}


def check_program(page: str, title: str, sekha: LocalSekha, folder: Path) -> None:
    """Run a program as it stands on its page; each of its prints shows what the comment behind it says.

    Its warnings are shown, and none comes from this library.
    """
    source = program_of(page, title)
    (folder / title).write_text(source, "utf-8")
    python_path = os.pathsep.join(part for part in (str(SOURCE), os.environ.get("PYTHONPATH")) if part)
    variables = {**os.environ, **settings_for(sekha), "PYTHONPATH": python_path}
    command = [sys.executable, title]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SekhaWarning" not in done.stderr, done.stderr
    lines = iter(done.stdout.splitlines())
    promises = sorted(promises_of(source), key=lambda promise: promise.first)
    assert promises, "the program says nothing about what it prints"
    for promise in promises:
        assert any(promise.holds(line) for line in lines), f"not printed: {promise.text!r}\n{done.stdout}"


def load(page: str, title: str, sekha: LocalSekha, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import a program, with the settings of the server in the environment."""
    for name, value in settings_for(sekha).items():
        monkeypatch.setenv(name, value)
    path = folder / title
    path.write_text(program_of(page, title), "utf-8")
    spec = importlib.util.spec_from_file_location(f"recipe_{page[:-3]}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_two_sessions(page: str, title: str, sekha: LocalSekha, folder: Path, *answers: str) -> None:
    """Run a program in which Ann says when they ship, and asks for it in another session; look at what is stored."""
    check_program(page, title, sekha, folder)
    with SekhaClient(**sekha.options) as client:
        found = stored(client)
    said = [(one["folder"], one["label"], one["role"], one["content"]) for one in found]
    first, second = answers
    assert sorted(said) == [
        ("/shop/ann", "s1", "assistant", first),
        ("/shop/ann", "s1", "user", "We ship on Fridays."),
        ("/shop/ann", "s2", "assistant", second),
        ("/shop/ann", "s2", "user", "When do we ship?"),
    ]


def stored(client: SekhaClient) -> List[Dict[str, Any]]:
    """All messages that are stored, with their folder and label."""
    found: List[Dict[str, Any]] = []
    for row in client.controller.iter_conversations():
        place = {"folder": row["metadata"]["folder"], "label": row["label"]}
        for message in client.controller.get_messages(row["conversation_id"]):
            found.append({**place, "role": message["role"], "content": message["content"]})
    return found
