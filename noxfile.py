"""The checks of this project. CONTRIBUTING.md describes them; .ci/run and .github/workflows/tests.yml run them.

Each session gets an environment of its own with the extra that it needs, on the Python that runs nox;
`--force-python 3.9` takes another one. `nox --no-venv -s ...` runs sessions in the current environment instead, which
needs the extra `dev`. That is quicker: nothing is installed.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2024.10.9"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["fast", "lint", "types"]

FAST = ("-m", "not slow", "tests/unit", "tests/_sync")
LOWEST = ("tests/unit", "tests/_async", "tests/_sync", "tests/local", "tests/cli")
GENERATORS = ("unasync", "requirements", "method_index", "llms", "extras", "badges")
ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "tools"))
INTEGRATIONS = importlib.import_module("extras").load(ROOT)
MKDOCS_ENVIRONMENT = importlib.import_module("pages").MKDOCS_ENVIRONMENT
EXAMPLES = [f"tests/docs/test_code_blocks.py::{name}" for name in ("test_documentation", "test_every_docstring_runs")]


def install(session: nox.Session, extra: str) -> None:
    """Install the package with one of its extras, unless the session runs in the current environment."""
    if session.venv_backend != "none":
        session.install("--quiet", "--editable", f".[{extra}]")


def interpreter(session: nox.Session) -> str:
    """Return the path of the session's Python."""
    path = session.run("python", "-c", "import sys; print(sys.executable)", silent=True, log=False)
    return str(path).strip()


@nox.session
def fast(session: nox.Session) -> None:
    """Run the fast tests of the core, in one process. Arguments go to pytest."""
    install(session, "test")
    session.run("pytest", "-q", *FAST, *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, on all processors. Arguments go to pytest: `nox -s tests -- --cov` measures coverage."""
    install(session, "dev")
    # A package that is not installed makes a test fail here; elsewhere it is skipped (tests/support/packages.py).
    session.run("pytest", "-q", "-n", "auto", *session.posargs, env={"REQUIRE_ALL_PACKAGES": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and the layers (which module may import which)."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types with mypy and pyright."""
    install(session, "dev")  # tests and examples are checked too: all that they import has to be there
    session.run("mypy")
    session.run("pyright", "--pythonpath", interpreter(session))


@nox.session
def generate(session: nox.Session) -> None:
    """Write the generated files: the sync code, pages of the documentation, extras. `-- --check` writes nothing."""
    install(session, "test")
    for tool in GENERATORS:
        session.run("python", f"tools/{tool}.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation in site/; a warning is an error."""
    install(session, "docs")
    session.run("mkdocs", "build", "--strict", silent=True, env=MKDOCS_ENVIRONMENT)


@nox.session(python="3.9", reuse_venv=False)  # an installed package would not be replaced by an older one
def lowest(session: nox.Session) -> None:
    """Run the fast tests on the oldest Python with the lowest versions that pyproject.toml allows."""
    if session.venv_backend == "none":
        session.error("lowest installs old packages: run it without --no-venv")
    session.install("--quiet", "uv")  # pip always takes the newest versions
    lowest_versions = ("--resolution", "lowest-direct", "--python", interpreter(session))
    session.run("uv", "pip", "install", "--quiet", *lowest_versions, "--editable", ".[test]")
    session.run("pytest", "-q", "-n", "auto", "-m", "not slow", *LOWEST, *session.posargs)


def environments() -> list[Any]:
    """Each extra for another package at its oldest and newest version, and each recipe; some have the tag `light`."""
    found = [
        nox.param(extra, versions, id=f"{extra.chosen}-{versions}", tags=["light"] if extra.light else [])
        for extra in INTEGRATIONS.extras
        for versions in ("floor", "newest")
    ]
    found += [
        nox.param(recipe, "recipe", id=recipe.chosen, tags=["light"] if recipe.light else [])
        for recipe in INTEGRATIONS.recipes
    ]
    return found


@nox.session(venv_backend="uv", reuse_venv=False)  # an installed package would not be replaced
@nox.parametrize(("integration", "versions"), environments())
def integrations(session: nox.Session, integration: Any, versions: str) -> None:
    """Test what the built wheel does with a framework: `nox -s "integrations(langchain-floor)"`, or `-newest`."""
    if session.venv_backend == "none":
        session.error("integrations installs packages that do not go together: run it without --no-venv")
    python = session.run("python", "-c", "import sys; print(*sys.version_info[:2])", silent=True, log=False)
    if [int(number) for number in str(python).split()] < [int(number) for number in integration.python.split(".")]:
        session.skip(f"{integration.title} needs Python {integration.python}")
    folder = session.create_tmp()
    session.run("uv", "build", "--quiet", "--wheel", "--out-dir", folder, external=True)
    (wheel,) = Path(folder).glob("*.whl")
    pinned = [f"{integration.package}=={integration.floor}"] if versions == "floor" else []
    if versions != "recipe":
        session.install("--quiet", f"{wheel}[{integration.name}]", *pinned)
    if integration.is_adapter:  # nothing else is installed: the extra has to bring all that it needs
        session.run("python", "-c", f"import sekha.integrations.{integration.module}")
    types = [] if versions == "floor" else ["mypy>=1.13.0"]
    session.install("--quiet", f"{wheel}[test]", *pinned, *integration.test_packages, *types)
    examples = EXAMPLES if integration.is_adapter else []
    variables = {
        "INTEGRATION": integration.chosen,
        "VERSIONS": versions,
        "REQUIRE_ALL_PACKAGES": "1",
        "REQUIRE_REGISTRIES": "1",
        "MCP_VERSIONS": "1.24.0 1.30.0 2.0.0 newest",
    }
    session.run("pytest", "-q", "-n", "auto", *integration.test_paths, *examples, *session.posargs, env=variables)
