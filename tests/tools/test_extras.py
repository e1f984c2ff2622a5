"""The command that writes what `integrations.toml` says (`tools/extras.py`)."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
tool: Any = importlib.import_module("extras")
sys.path.pop(0)

ROW = """
[extras.one-two]
title = "One"
package = "one"
floor = "1.2.0"
python = "3.11"
newest = "1.4.1"
light = true
"""
CAP = 'below = "2"\nbecause = "two is new"\n'
PROJECT = f"[project]\n{tool.BEGIN}\nold = []\n{tool.END}\n[other]\n"


def repository(folder: Path, toml: str) -> Path:
    (folder / tool.SOURCE).write_text(toml, "utf-8")
    (folder / tool.PROJECT).write_text(PROJECT, "utf-8")
    for file in (tool.VERSIONS, tool.PAGE):
        (folder / file).parent.mkdir(parents=True)
    return folder


def test_all_is_up_to_date() -> None:
    assert tool.main(["--check"]) == 0, "run: python tools/extras.py"


def test_it_writes_what_differs_and_only_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = repository(tmp_path, ROW + CAP)
    assert tool.main(["--check", "--root", str(root)]) == 1
    assert (root / tool.PROJECT).read_text("utf-8") == PROJECT
    assert "is out of date, run: python tools/extras.py" in capsys.readouterr().out
    assert tool.main(["--root", str(root)]) == 0
    assert capsys.readouterr().out.count("wrote ") == 3
    assert tool.main(["--check", "--root", str(root)]) == 0
    assert (root / tool.PROJECT).read_text("utf-8") == (
        f"""[project]\n{tool.BEGIN}\none-two = ['one>=1.2.0,<2; python_version >= "3.11"']\n{tool.END}\n[other]\n"""
    )
    names: Dict[str, Any] = {"__name__": "versions"}
    exec((root / tool.VERSIONS).read_text("utf-8"), names)
    assert names["SUPPORTED"] == {"one-two": ("one", "1.2.0", "2", "3.11")}
    page = (root / tool.PAGE).read_text("utf-8")
    assert "| `one-two` | One: `one` | 1.2.0 and later, below 2 | 1.4.1 | 3.11 and later |" in page
    assert "| `one` | 2 | two is new |" in page


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        (ROW + 'colour = "red"\n', r"\[extras.one-two\]: `colour` is not known"),
        (ROW + 'below = "2"\n', r"\[extras.one-two\]: `below` and `because` belong together"),
        (ROW.replace('floor = "1.2.0"', "floor = 1.2"), r"\[extras.one-two\]: `floor` must be a str"),
        (ROW.replace("light = true", 'light = "yes"'), r"\[extras.one-two\]: `light` must be a bool"),
        (ROW.replace('newest = "1.4.1"\n', ""), r"\[extras.one-two\]: .* missing .*'newest'"),
        (ROW + 'also = "two"\n', r"\[extras.one-two\]: `also` must be a list"),
        ("[extra.one]\n", r"\[extra\] is neither of extras nor of recipes"),
    ],
)
def test_what_cannot_be_understood_is_named(toml: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=problem):
        tool.wanted(repository(tmp_path, toml))


def test_a_project_without_a_place_for_the_extras_is_refused(tmp_path: Path) -> None:
    root = repository(tmp_path, ROW)
    (root / tool.PROJECT).write_text("[project]\n", "utf-8")
    with pytest.raises(ValueError, match=r"pyproject\.toml has 0 places for the extras"):
        tool.wanted(root)


def test_the_two_type_checkers_leave_the_same_adapters_out() -> None:
    """Their frameworks are not here; mypy looks at them where they are."""
    project = (ROOT / tool.PROJECT).read_text("utf-8")
    pyright = project.partition("[tool.pyright]")[2].partition("\n]")[0]
    left_out = set(re.findall(r'"src/sekha/integrations/(\w+)\.py"', pyright))
    (pattern,) = re.findall(r'"(\^src/sekha/integrations/.*)"', project)
    modules = {file.stem for file in (ROOT / "src" / "sekha" / "integrations").glob("*.py")}
    not_checked = {name for name in modules if re.match(pattern, f"src/sekha/integrations/{name}.py")}
    assert not_checked == left_out & modules
    adapters = {extra.module for extra in tool.load(ROOT).extras if extra.is_adapter}
    assert {name for name in not_checked if not name.startswith("_")} == adapters
