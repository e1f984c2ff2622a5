"""What holds for every adapter: names, signatures, sentences for what is missing, size and types."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, List
from unittest.mock import MagicMock

import pytest

from sekha import AsyncSekhaClient
from sekha.memory import AsyncMemory, Scope
from support.examples.blocks import Block, blocks_of
from support.integrations import PACKAGE, ROOT, adapter_of, base_signatures, chosen, load, recorded_signatures
from support.packages import require_packages

EXTRA: Any = next(extra for extra in load().extras if extra.name == chosen())
PAGE = ROOT / "docs" / "integrations" / f"{EXTRA.page or EXTRA.name}.md"
LINES = 150
"""Lines of code of an adapter, at most; what is more belongs below it, in `sekha.memory`."""
INSTALL = f"pip install 'sekha-python-sdk[{EXTRA.name}]'"

IMPORT = f"import sekha.integrations.{EXTRA.module}"
METADATA = (
    "import importlib.metadata as metadata; real = metadata.version; "
    f"metadata.version = lambda name: {{}} if name == {EXTRA.package!r} else real(name)"
)
"""A program in which the version of the package is something else."""


@pytest.fixture(scope="module")
def adapter() -> ModuleType:
    return adapter_of(EXTRA.name)


def run(code: str) -> str:
    """Run a program that fails; the last line that it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    return done.stderr.splitlines()[-1]


def test_its_names_are_all_that_it_shows(adapter: ModuleType) -> None:
    shown = [name for name in dir(adapter) if not name.startswith("__")]
    assert sorted(adapter.__all__) == sorted(shown)
    for name in adapter.__all__:
        assert getattr(adapter, name).__doc__, name
        assert getattr(adapter, name).__module__ == adapter.__name__, name


def test_its_size_is_that_of_an_adapter(adapter: ModuleType) -> None:
    source = Path(str(adapter.__file__)).read_text("utf-8")
    texts = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    documentation = {
        line
        for node in texts
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = [line for number, line in enumerate(source.splitlines(), 1) if line.strip() and number not in documentation]
    assert len(lines) <= LINES


def test_the_documentation_says_how_to_install_it(adapter: ModuleType) -> None:
    assert INSTALL in str(adapter.__doc__)
    page = PAGE.read_text("utf-8")
    installed = re.findall(r"pip install ['\"]sekha-python-sdk\[([\w,-]+)\]['\"]", page)
    assert EXTRA.name in installed[0].split(",")
    for name in adapter.__all__:
        assert f"::: {adapter.__name__}.{name}\n" in page, name


def test_everything_public_has_an_example(adapter: ModuleType) -> None:
    without = [name for name in adapter.__all__ if "```python" not in str(getattr(adapter, name).__doc__)]
    assert without == []


def test_the_base_classes_are_those_that_it_was_written_for(adapter: ModuleType) -> None:
    recorded = recorded_signatures(EXTRA.name)
    changed = {
        method: f"now {found}; written for {recorded.get(method)}"
        for method, found in base_signatures(adapter).items()
        if found not in recorded.get(method, [])
    }
    assert changed == {}, "look at what has changed, then correct tests/frameworks/signatures.json"


def test_nothing_else_of_ours_imports_the_framework() -> None:
    names = _imported_modules()
    code = f"import sys, sekha.memory, sekha.integrations; sys.exit(any(name in sys.modules for name in {names}))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_missing_package_is_one_sentence_with_the_extra() -> None:
    line = f"ModuleNotFoundError: sekha.integrations.{EXTRA.module} requires its extra: {INSTALL}"
    assert run(f"{METADATA.format('real(name + str(name))')}; {IMPORT}") == line
    half = f"import sys; sys.modules[{_imported_modules()[0]!r}] = None; {IMPORT}"
    assert run(half) == line


@pytest.mark.parametrize("version", ["0.0.1", *([f"{EXTRA.below}.0.1"] if EXTRA.below else [])])
def test_a_version_that_is_not_supported_is_one_sentence_with_the_range(version: str) -> None:
    supported = f"{EXTRA.package} {EXTRA.floor} and later" + (f", below {EXTRA.below}" if EXTRA.below else "")
    assert run(f"{METADATA.format(repr(version))}; {IMPORT}") == (
        f"ImportError: sekha.integrations.{EXTRA.module} supports {supported}, not {version}: {INSTALL}"
    )


def test_the_version_is_one_that_is_supported() -> None:
    """At the floor it is that; and the newest may not be older than what the page says."""
    installed = importlib.metadata.version(EXTRA.package)
    if os.environ.get("VERSIONS") == "floor":
        assert installed == EXTRA.floor
    elif os.environ.get("VERSIONS") == "newest" and sys.version_info >= (3, 11):  # some have left older ones behind
        assert _numbers(installed) >= _numbers(EXTRA.newest)


def programs() -> List[Block]:
    """The blocks of the page that are whole programs: they make their client."""
    blocks = blocks_of(PAGE.read_text("utf-8"), PAGE.name)
    return [block for block in blocks if re.search(r"SekhaClient\(", block.source)]


def test_the_page_has_a_program() -> None:
    assert programs()


@pytest.mark.slow
def test_users_see_types(adapter: ModuleType, tmp_path: Path) -> None:
    """The adapter and the programs of its page, as mypy sees them in an environment of a user."""
    if os.environ.get("VERSIONS") == "floor":
        pytest.skip("types are checked with the newest version")
    require_packages("types", "mypy")
    source = Path(str(adapter.__file__)).read_text("utf-8")
    # the files of the repository: beside an installed package, mypy takes all others for modules of the user
    files = [
        str(PACKAGE / f"{EXTRA.module}.py"),
        *(str(file) for file in PACKAGE.glob("_*.py") if f".{file.stem} " in source),
    ]
    for number, block in enumerate(programs(), 1):
        file = tmp_path / f"program_{number}.py"
        file.write_text(as_program(block.source), "utf-8")
        files.append(str(file))
    options = ("--strict", "--no-incremental", "--config-file", os.devnull, "--follow-imports=silent")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, *files], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def as_program(source: str) -> str:
    """A block as mypy takes it: what is awaited at its top level is put into a function."""
    if not any(isinstance(node, ast.Await) for node in ast.walk(ast.parse(source))):
        return source
    try:
        compile(source, "block", "exec")
    except SyntaxError:  # 'await' outside function
        lines = "".join(f"    {line}" if line.strip() else line for line in source.splitlines(keepends=True))
        return f"async def main() -> None:\n{lines}"
    return source


def _numbers(version: str) -> List[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _imported_modules() -> List[str]:
    """What the adapter imports in its block of imports: modules, since of `google` a part is always there."""
    tree = ast.parse((ROOT / "src" / "sekha" / "integrations" / f"{EXTRA.module}.py").read_text("utf-8"))
    imports = [node for block in tree.body if isinstance(block, ast.With) for node in block.body]
    modules = [node.module or "" for node in imports if isinstance(node, ast.ImportFrom) and not node.level]
    modules += [alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names]
    return modules


def objects(adapter: ModuleType) -> List[Any]:
    """One object of each public class of the adapter."""
    settings: Any = {"controller_url": "http://localhost:1", "api_key": KEY}
    client = AsyncSekhaClient(**settings)
    memory = AsyncMemory(client, Scope("shop", "ann"))
    made: List[Any] = []
    for cls in filter(inspect.isclass, (getattr(adapter, name) for name in adapter.__all__)):
        known = {"memory": memory, "client": client}
        needed = [one for one in inspect.signature(cls).parameters.values() if one.kind == one.POSITIONAL_OR_KEYWORD]
        made.append(cls(*(known.get(one.name, MagicMock()) for one in needed if one.default is one.empty)))
    return made


KEY = "sk-adapter-canary-0123456789-0123456789"


def test_no_text_of_an_object_shows_the_key(adapter: ModuleType) -> None:
    for one in objects(adapter):
        assert KEY not in f"{one!r} {one}", type(one)


def test_an_object_is_not_pickled_and_says_why(adapter: ModuleType) -> None:
    """As a client and a memory: with the key in it, and its connections, it belongs to its process."""
    for one in objects(adapter):
        if isinstance(getattr(one, "underlying", None), MagicMock):
            continue
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(one)
