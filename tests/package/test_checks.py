"""The checks of the project: noxfile.py, and what speaks of it in CONTRIBUTING.md, `.ci/run` and `.github`."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import Any, Dict, Set

import pytest

from support.packages import REQUIRE_ALL, require_packages

ROOT = Path(__file__).parents[2]
WORKFLOW = ".github/workflows/tests.yml"
YAML = [
    ".pre-commit-config.yaml",
    WORKFLOW,
    *(f".github/ISSUE_TEMPLATE/{name}.yml" for name in ("bug", "config", "feature")),
]


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def loaded(name: str) -> Any:
    require_packages("docs", "yaml")
    return importlib.import_module("yaml").safe_load(text(name))


@pytest.fixture(scope="module")
def sessions() -> Dict[str, str]:
    """The sessions of noxfile.py, with the source of each."""
    functions = [node for node in ast.parse(text("noxfile.py")).body if isinstance(node, ast.FunctionDef)]
    return {one.name: ast.unparse(one) for one in functions if "nox.session" in map(callee, one.decorator_list)}


def callee(decorator: ast.expr) -> str:
    return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)


def run_by(script: str) -> Set[str]:
    """The sessions that a script runs, with `nox` or with `.ci/run`'s function of that purpose."""
    commands = re.findall(r"(?:\bnox\b.* -s|^ *sessions|sessions(?= tests)) ([a-z ]+)", script, re.MULTILINE)
    return {name for names in commands for name in names.split()}


def test_contributing_lists_every_session_with_its_extra(sessions: Dict[str, str]) -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| `(\w+)` \|$", text("CONTRIBUTING.md"), re.MULTILINE)
    assert [name for name, _ in rows] == list(sessions)
    for name, extra in rows:
        assert re.search(rf"'{extra}'|\[{extra}\]'", sessions[name]), name


def test_everything_is_run_before_a_change_lands(sessions: Dict[str, str]) -> None:
    here, there = run_by(text(".ci/run")), run_by(text(WORKFLOW))
    # `tests` has the fast tests too, and `lowest` is not quick to install; neither are some of the integrations.
    assert here == set(sessions) - {"fast", "lowest", "integrations"}
    assert "-t light" in text(".ci/run")
    assert there == set(sessions)
    for script in (text(".ci/run"), text(WORKFLOW)):
        assert "generate -- --check" in script


def test_every_generator_is_run(sessions: Dict[str, str]) -> None:
    tools = {file.stem for file in (ROOT / "tools").glob("*.py") if '"--check"' in file.read_text("utf-8")}
    tools |= {file.stem for file in (ROOT / "tools").glob("*.py") if "from pages import" in file.read_text("utf-8")}
    assert {f'"{tool}"' for tool in tools - {"pages"}} <= set(re.findall(r'"\w+"', text("noxfile.py")))
    assert all(f"tools/{tool}.py --check" in text(".pre-commit-config.yaml") for tool in tools - {"pages"})


def test_the_same_pythons_are_supported_everywhere(project: Dict[str, Any]) -> None:
    found = re.findall(r"for version in ([\d. ]+);", text(".ci/run"))[0].split()
    jobs = loaded(WORKFLOW)["jobs"]
    for job in ("tests", "fast"):
        assert jobs[job]["strategy"]["matrix"]["python"] == found
    oldest = project["requires-python"].partition(">=")[2]
    classified = [line.rpartition(" ")[2] for line in project["classifiers"] if re.search(r"Python :: 3\.\d", line)]
    assert found[0] == classified[0] == oldest == jobs["lowest"]["steps"][1]["with"]["python-version"]
    assert classified == found[: len(classified)]  # a Python is classified when the tests have passed on it
    assert f'python="{oldest}"' in text("noxfile.py")


@pytest.mark.parametrize("name", YAML)
def test_forms_and_workflows_can_be_read(name: str) -> None:
    assert isinstance(loaded(name), dict)


def test_every_yaml_file_is_looked_at() -> None:
    assert sorted(YAML[1:]) == sorted(file.relative_to(ROOT).as_posix() for file in (ROOT / ".github").rglob("*.yml"))


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_a_form_has_what_forms_need(name: str) -> None:
    form = loaded(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert set(form) == {"name", "description", "labels", "body"}
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert len(ids) == len(set(ids))
    assert all(field["attributes"]["label"] for field in fields)


def test_addresses_of_the_project_are_those_of_the_specification(project: Dict[str, Any]) -> None:
    known = re.findall(r"https://[\w./-]+\w", text("tests/data/python-sdk.md"))
    assert set(project["urls"].values()) <= set(known)


def test_what_is_not_installed_is_skipped_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE_ALL, raising=False)
    require_packages("test", "pytest")
    with pytest.raises(pytest.skip.Exception, match=r"not installed: nothing_like_it \(extra test\)"):
        require_packages("test", "pytest", "nothing_like_it")


def test_it_fails_in_the_run_of_all_tests(monkeypatch: pytest.MonkeyPatch, sessions: Dict[str, str]) -> None:
    assert f"{{'{REQUIRE_ALL}': '1'}}" in sessions["tests"]
    monkeypatch.setenv(REQUIRE_ALL, "1")
    with pytest.raises(pytest.fail.Exception, match="not installed: nothing_like_it"):
        require_packages("test", "nothing_like_it")
