"""The checks of this project. CONTRIBUTING.md describes them; .ci/run and .github/workflows/tests.yml run them.

Each session gets an environment of its own with the extra that it needs, on the Python that runs nox;
`--force-python 3.9` takes another one. `nox --no-venv -s ...` runs sessions in the current environment instead, which
needs the extra `dev`. That is quicker: nothing is installed.
"""

from __future__ import annotations

import nox

nox.needs_version = ">=2024.10.9"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["fast", "lint", "types"]

FAST = ("-m", "not slow", "tests/unit", "tests/_sync")
LOWEST = ("tests/unit", "tests/_async", "tests/_sync", "tests/local", "tests/cli")
INTEGRATIONS = {"mcp": ("tests/mcp_server", "hatchling>=1.26", "uv")}
"""Integrations whose tests need versions and programs that only they need: the tests, and packages besides `test`."""
GENERATORS = ("unasync", "requirements", "method_index", "llms")


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
    """Write the generated files: the sync code, three pages of the documentation. `-- --check` writes nothing."""
    install(session, "test")
    for tool in GENERATORS:
        session.run("python", f"tools/{tool}.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation in site/; a warning is an error."""
    install(session, "docs")
    session.run("mkdocs", "build", "--strict", silent=True, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(python="3.9", reuse_venv=False)  # an installed package would not be replaced by an older one
def lowest(session: nox.Session) -> None:
    """Run the fast tests on the oldest Python with the lowest versions that pyproject.toml allows."""
    if session.venv_backend == "none":
        session.error("lowest installs old packages: run it without --no-venv")
    session.install("--quiet", "uv")  # pip always takes the newest versions
    lowest_versions = ("--resolution", "lowest-direct", "--python", interpreter(session))
    session.run("uv", "pip", "install", "--quiet", *lowest_versions, "--editable", ".[test]")
    session.run("pytest", "-q", "-n", "auto", "-m", "not slow", *LOWEST, *session.posargs)


@nox.session
@nox.parametrize("integration", list(INTEGRATIONS), ids=list(INTEGRATIONS))
def integrations(session: nox.Session, integration: str) -> None:
    """Run all tests of an integration, in all its versions; nothing is skipped. `nox -s "integrations(mcp)"`."""
    install(session, "test")
    tests, *packages = INTEGRATIONS[integration]
    if session.venv_backend != "none":
        session.install("--quiet", *packages)
    variables = {"REQUIRE_ALL_PACKAGES": "1", "REQUIRE_REGISTRIES": "1", "MCP_VERSIONS": "1.24.0 1.30.0 2.0.0 newest"}
    session.run("pytest", "-q", "-n", "auto", tests, *session.posargs, env=variables)
