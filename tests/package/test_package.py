"""The package as a product: its types (E3), its dependencies (E8), and no event loop of its own (E9)."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set, Tuple

import pytest

from sekha import __version__
from support.integrations import load
from support.packages import require_packages

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "sekha"
EXTRAS = {
    "local": ["local"],
    "cli": ["cli", "local"],
    "testing": ["local", "testing"],
    "exports": ["cli"],
    "mcp_server": ["mcp"],
    "integrations": ["redis"],
}
"""Which extras a folder of the package may lean on."""
ADAPTERS = {
    file
    for extra in load().extras
    if extra.is_adapter
    for name in (f"{extra.module}.py", f"_{extra.module}_*.py")
    for file in (SOURCE / "integrations").glob(name)
}
"""They are imported in environments that have nothing but their extra: the session `integrations` of noxfile.py."""
NOT_OURS = {"sniffio"}
"""Declared for the sake of a package below; docs/contributing/architecture.md says why."""
CAPS = {extra.package: f",<{extra.below}" for extra in load().extras if extra.below}
"""Upper limits, each of which has its reason in `integrations.toml`."""
CPYTHON = 'platform_python_implementation == "CPython"'
OLD_PYTHON = 'python_version < "3.11"'
PYTHONS = {f'python_version >= "{extra.python}"' for extra in load().extras}
MARKERS = {"", CPYTHON, f'{CPYTHON} and sys_platform != "win32"', OLD_PYTHON, *PYTHONS}
MODULES = {"python-dotenv": "dotenv", "pydantic-core": "pydantic_core", "pyyaml": "yaml"}


def run(*command: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


# Types


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Tuple[Path, Path]:
    """A wheel and a source archive."""
    require_packages("types", "hatchling")
    folder = tmp_path_factory.mktemp("built")
    code = f"from hatchling.build import *; print(build_wheel({str(folder)!r})); print(build_sdist({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    wheel, sdist = done.stdout.split()[-2:]
    return folder / wheel, folder / sdist


@pytest.mark.promise("E3")
@pytest.mark.slow
def test_wheel_and_source_archive_say_that_the_package_is_typed(built: Tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        assert "sekha/py.typed" in wheel.namelist()
    with tarfile.open(built[1]) as sdist:
        assert any(name.endswith("/src/sekha/py.typed") for name in sdist.getnames())


@pytest.mark.promise("E3")
@pytest.mark.slow
def test_mypy_agrees_with_user_code_in_both_flavours() -> None:
    require_packages("types", "mypy")
    done = run("mypy", "--strict", "tests/typing")
    assert done.returncode == 0, done.stdout
    for flavour in ("async_user.py", "blocking_user.py"):
        assert "assert_type" in (ROOT / "tests" / "typing" / flavour).read_text("utf-8")


@pytest.mark.promise("E3")
@pytest.mark.slow
def test_pyright_agrees_with_user_code_in_both_flavours() -> None:
    require_packages("types", "pyright")
    done = run("pyright", "--pythonpath", sys.executable, "tests/typing")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.promise("E3")
@pytest.mark.slow
def test_every_public_type_is_known(built: Tuple[Path, Path], tmp_path: Path) -> None:
    require_packages("types", "pyright")
    with zipfile.ZipFile(built[0]) as wheel:
        wheel.extractall(tmp_path / "installed")
    done = run(
        "pyright",
        *("--pythonpath", sys.executable, "--verifytypes", "sekha", "--ignoreexternal", "--outputjson"),
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path / "installed"),
    )
    told: Dict[str, Any] = json.loads(done.stdout)["typeCompleteness"]
    assert str(tmp_path) in told["packageRootDirectory"]
    symbols = {symbol["name"]: symbol for symbol in told["symbols"] if symbol["isExported"]}
    wrong = [name for name, symbol in symbols.items() if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]]
    assert [name for name in wrong if not (_inside_the_local_sekha(name) or _of_an_adapter(name))] == []
    assert {"sekha.SekhaClient", "sekha.AsyncSekhaClient", "sekha.types.Conversation"} <= set(symbols)


def _inside_the_local_sekha(name: str) -> bool:
    """The modules of the server are there for `LocalSekha` alone, which is looked at; starlette has untyped corners."""
    return name.startswith("sekha.local.") and name.split(".")[2].islower()


def _of_an_adapter(name: str) -> bool:
    """Its framework is not here; where it is, mypy looks at the adapter and at programs of users."""
    return any(f"{name}.".startswith(f"sekha.integrations.{file.stem}.") for file in ADAPTERS)


# Dependencies


def files(folder: str = "") -> Iterator[Path]:
    """The modules of the package without those that have an extra; or one module, or those of one folder."""
    for file in [SOURCE / folder] if folder.endswith(".py") else sorted((SOURCE / folder).rglob("*.py")):
        if file in ADAPTERS:
            continue
        if folder or file.relative_to(SOURCE).parts[0] not in (*EXTRAS, "testing.py"):
            yield file


def imported(paths: Iterator[Path]) -> Set[str]:
    """The packages that modules import, by whatever means."""
    names: Set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module or "")
        if path.name == "preload.py":
            names |= set(re.findall(r'"(httpcore)"', path.read_text("utf-8")))
    return {name.partition(".")[0] for name in names} - {"sekha", "__future__"}


def foreign(names: Set[str]) -> Set[str]:
    """Without those that come with Python, on any version."""
    with_python: Set[str] = set(getattr(sys, "stdlib_module_names", ()))
    if not with_python:
        pytest.skip("this Python does not know what it comes with")
    return names - with_python


def declared(requirements: List[str]) -> Set[str]:
    names = {re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0] for requirement in requirements}
    return {MODULES.get(name, name) for name in names} - {"sekha-python-sdk"}


@pytest.mark.promise("E8")
def test_what_is_imported_is_declared_and_what_is_declared_is_imported(project: Dict[str, Any]) -> None:
    core = declared(project["dependencies"])
    assert foreign(imported(files())) - {"opentelemetry"} == core - NOT_OURS
    extras = project["optional-dependencies"]
    for folder, names in EXTRAS.items():
        allowed = core.union(*(declared(extras.get(name, [])) for name in names))
        assert foreign(imported(files(folder))) <= allowed, folder
    assert declared(extras["local"]) <= imported(files("local"))


@pytest.mark.promise("E8")
def test_there_are_lower_bounds_and_upper_ones_only_with_a_reason(project: Dict[str, Any]) -> None:
    for requirements in (project["dependencies"], *project["optional-dependencies"].values()):
        for requirement in requirements:
            if not requirement.startswith("sekha-python-sdk"):
                package, _, marker = requirement.partition("; ")
                found = re.fullmatch(r"([\w-]+)(\[\w+\])?>=[\d.]+(,<[\d.]+)?", package)
                assert found, requirement
                assert (found[3] or "") == CAPS.get(found[1], ""), requirement
                assert marker in MARKERS, requirement


def test_the_extra_of_developers_is_all_extras(project: Dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    frameworks = {extra.name for extra in load().extras if extra.is_adapter}  # each has environments of its own
    assert included(extras, "dev") == set(extras) - frameworks


def test_no_requirement_is_written_twice(project: Dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    written = [requirement for requirements in extras.values() for requirement in requirements]
    ours = [requirement for requirement in written if not requirement.startswith("sekha-python-sdk")]
    assert len(ours) == len(set(ours))


def test_the_tests_of_the_core_need_neither_frameworks_nor_tools(project: Dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    assert included(extras, "test") == {"test", "cli", "local", "mcp", "otel", "redis", "testing"}


def included(extras: Dict[str, List[str]], extra: str) -> Set[str]:
    """An extra with those that it includes."""
    found = {extra}
    for requirement in extras[extra]:
        if requirement.startswith("sekha-python-sdk["):
            for other in requirement.partition("[")[2].rstrip("]").split(","):
                found |= included(extras, other)
    return found


@pytest.mark.promise("E9")
def test_the_library_imports_no_event_loop() -> None:
    for file in files():  # the local Sekha is a server, with a loop that is uvicorn's
        if file.name == "enterable.py":
            continue  # before Python 3.12, only a mark of asyncio says that a function returns coroutines
        assert not {"asyncio", "trio", "uvloop"} & imported(iter([file])), file


def test_the_version_is_written_in_one_place() -> None:
    """Not so the numbers of servers and of the published package, which are those of other versions."""
    version = re.compile(rf"(?<![\d.]){re.escape(__version__)}(?![\d.])")
    folders = (ROOT / name for name in ("src", "tests", "docs", "examples", "tools"))
    files = [file for folder in folders for suffix in ("py", "md") for file in folder.rglob(f"*.{suffix}")]
    files += [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob("*.yml")]
    assert [file for file in files if version.search(file.read_text("utf-8"))] == [SOURCE / "_version.py"]
