"""What users may import: the same names, kinds, signatures and paths as are written down, and nothing else."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Dict

import pytest

from support import surface


def test_the_public_surface_is_the_one_that_is_written_down() -> None:
    """It is looked at in a process of its own, since fixtures of ours patch the warnings of the package."""
    then, now = surface.FILE.read_text(encoding="utf-8"), _described_by_the_command()
    if then != now:
        changes = difflib.unified_diff(then.splitlines(), now.splitlines(), "written down", "now", lineterm="", n=6)
        command = "python tests/support/surface.py --write"
        pytest.fail("\n".join(["the public surface has changed; if it shall:", command, *changes]), pytrace=False)


def _described_by_the_command() -> str:
    source = str(Path(import_module("sekha").__file__ or "").parents[1])
    done = subprocess.run(
        [sys.executable, surface.__file__],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", surface.MODULES)
def test_a_star_import_gives_the_public_names(name: str) -> None:
    scope: Dict[str, Any] = {}
    exec(f"from {name} import *", scope)
    assert sorted(scope.keys() - {"__builtins__"}) == import_module(name).__all__


@pytest.mark.parametrize("name", [name for name in surface.MODULES if name != "pytest_sekha"])
def test_dir_shows_the_public_names_and_no_submodules_or_imports(name: str) -> None:
    module = import_module(name)
    shown = {one for one in dir(module) if not (one.startswith("__") and one.endswith("__"))}
    assert shown == {*module.__all__, *surface.SUBMODULES.get(name, ())} - {"__version__"}
    assert {"__all__", "__doc__", "__name__"} <= set(dir(module))


def test_dir_of_the_plugin_shows_all_that_pytest_looks_for() -> None:
    """pytest finds fixtures and hooks by `dir`; so here it may hide nothing."""
    plugin = import_module("pytest_sekha")
    assert set(vars(plugin)) == set(dir(plugin)) >= {*plugin.__all__, "_shared_local_sekha", "pytest_runtest_call"}
