"""Write what `integrations.toml` says: extras of `pyproject.toml`, versions in the package, and the page "Tested with".

    python tools/extras.py           write what differs
    python tools/extras.py --check   write nothing; exit 1 if a file is not what would be written

Its comment at the top describes the fields. `load` reads it, for `noxfile.py` and the tests, too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, Optional

from pages import run_all

SOURCE = "integrations.toml"
PROJECT = "pyproject.toml"
VERSIONS = "src/sekha/integrations/_versions.py"
PAGE = "docs/integrations/tested-with.md"

BEGIN = "# Written by tools/extras.py from integrations.toml:"
END = "# The end of what is written."
LEAST = "3.9"
"""The oldest Python of the library itself."""


@dataclass(frozen=True)
class Extra:
    """An extra for another package; the fields are those of `integrations.toml`."""

    name: str
    title: str
    package: str
    floor: str
    python: str
    newest: str
    light: bool
    below: str = ""
    because: str = ""
    page: str = ""
    also: tuple[str, ...] = ()
    test_packages: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The name of the adapter's module."""
        return self.name.replace("-", "_")

    @property
    def requirements(self) -> list[str]:
        """What the extra requires, as in `pyproject.toml`."""
        cap = f",<{self.below}" if self.below else ""
        marker = f'; python_version >= "{self.python}"' if self.python != LEAST else ""
        return [f"{self.package}>={self.floor}{cap}{marker}", *self.also]

    @property
    def chosen(self) -> str:
        """What the variable `INTEGRATION` is for its tests."""
        return self.name

    @property
    def range(self) -> str:
        """The versions that are supported, for a reader."""
        return f"{self.floor} and later" + (f", below {self.below}" if self.below else "")

    @property
    def test_paths(self) -> tuple[str, ...]:
        """Where the tests are."""
        return self.tests or (f"tests/frameworks/{self.module}", "tests/frameworks/test_adapter.py")

    @property
    def is_adapter(self) -> bool:
        """Whether it is tested by what all adapters have in common."""
        return not self.tests


@dataclass(frozen=True)
class Recipe:
    """A page on a framework without an adapter; the fields are those of `integrations.toml`."""

    name: str
    title: str
    python: str
    light: bool
    test_packages: tuple[str, ...]

    @property
    def chosen(self) -> str:
        """What the variable `INTEGRATION` is for its tests."""
        return f"recipe-{self.name}"

    @property
    def test_paths(self) -> tuple[str, ...]:
        """Where the tests are; they run the program of the page, too."""
        return ("tests/frameworks/recipes",)

    @property
    def is_adapter(self) -> bool:
        """Whether it is tested by what all adapters have in common."""
        return False


@dataclass(frozen=True)
class Integrations:
    """What `integrations.toml` says."""

    extras: tuple[Extra, ...]
    recipes: tuple[Recipe, ...]


def load(root: Path) -> Integrations:
    """Read `integrations.toml`.

    Args:
        root: The repository.

    Raises:
        ValueError: A field is not known, missing or of another type; the message names it.
    """
    toml: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    with (root / SOURCE).open("rb") as file:
        tables: Mapping[str, Mapping[str, Any]] = toml.load(file)
    unknown = set(tables) - {"extras", "recipes"}
    if unknown:
        raise ValueError(f"{SOURCE}: [{min(unknown)}] is neither of extras nor of recipes")
    extras = [_row(Extra, "extras", name, table) for name, table in tables.get("extras", {}).items()]
    recipes = [_row(Recipe, "recipes", name, table) for name, table in tables.get("recipes", {}).items()]
    for extra in extras:
        if bool(extra.below) != bool(extra.because):
            raise ValueError(f"{SOURCE}: [extras.{extra.name}]: `below` and `because` belong together")
    return Integrations(tuple(extras), tuple(recipes))


def _row(cls: Any, kind: str, name: str, table: Mapping[str, Any]) -> Any:
    where = f"{SOURCE}: [{kind}.{name}]"
    known = {field.name: field for field in fields(cls) if field.name != "name"}
    for key, value in table.items():
        if key not in known:
            raise ValueError(f"{where}: `{key}` is not known")
        wanted: Any = {"bool": bool, "str": str}.get(str(known[key].type), list)
        if not isinstance(value, wanted):
            raise ValueError(f"{where}: `{key}` must be a {wanted.__name__}")
    values: dict[str, Any] = {**table, **{key: tuple(table[key]) for key in table if isinstance(table[key], list)}}
    try:
        return cls(name=name, **values)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


def project(integrations: Integrations, text: str) -> str:
    """Return `pyproject.toml` with the extras.

    Args:
        integrations: What `integrations.toml` says.
        text: The file as it is.
    """
    lines = [f"{extra.name} = [{', '.join(map(_quoted, extra.requirements))}]\n" for extra in integrations.extras]
    pattern = re.compile(rf"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)}\n)", re.DOTALL)
    changed, count = pattern.subn(lambda _: "".join(lines), text)
    if count != 1:
        raise ValueError(f"{PROJECT} has {count} places for the extras, between {BEGIN!r} and {END!r}")
    return changed


def _quoted(requirement: str) -> str:
    return f"'{requirement}'" if '"' in requirement else f'"{requirement}"'


def versions(integrations: Integrations) -> str:
    """Return the module of the package that has the versions."""
    rows = [
        f'    "{extra.name}": ("{extra.package}", "{extra.floor}", "{extra.below}", "{extra.python}"),\n'
        for extra in integrations.extras
    ]
    return f'''"""What each extra supports. Written by tools/extras.py from integrations.toml."""

from __future__ import annotations

from typing import Final

SUPPORTED: Final = {{
{"".join(rows)}}}
"""By extra: the package, the oldest version, the first that is too new (empty if none is), and the oldest Python."""
'''


PAGE_TEXT = """\
# Tested versions of frameworks

Each extra is tested with the oldest version of its framework that it supports, and with the newest. For each of them,
the tests create a new environment, install the built wheel with the extra, and run the framework's own tests for such
extensions (if any), the tests of the adapter, and the programs of its page.

| extra | package | supported | newest tested | Python |
|---|---|---|---|---|
{extras}

With another version, importing the adapter raises an `ImportError` with the range of supported versions. On an older
Python, the extra installs nothing, and the error has the Python version that is required.

## Upper limits

An upper limit is set only if a new version is known to break the interfaces that the adapter uses:

| package | below | why |
|---|---|---|
{caps}

## Recipes

Frameworks without an adapter have a page with a complete program. The programs are run with these versions:

| framework | tested with | Python |
|---|---|---|
{recipes}

## Run the tests

`integrations.toml` contains these versions; this page and the extras of `pyproject.toml` are generated from it.
`nox -s "integrations(langchain-floor)"` and `nox -s "integrations(langchain-newest)"` run the tests of one extra.
"""


def page(integrations: Integrations, root: Path) -> str:
    """Return the page of the tested versions.

    Args:
        integrations: What `integrations.toml` says.
        root: The repository: a page that is not there yet is not linked.
    """

    def link(title: str, file: str) -> str:
        target = (root / PAGE).parent / file
        return f"[{title}]({file})" if target.exists() else title

    extras = [
        f"| `{one.name}` | {link(one.title, f'{one.page or one.name}.md')}: `{one.package}` | {one.range} "
        f"| {one.newest} | {one.python} and later |"
        for one in integrations.extras
    ]
    caps = [f"| `{one.package}` | {one.below} | {one.because} |" for one in integrations.extras if one.below]
    recipes = [
        f"| {link(one.title, f'../recipes/{one.name}.md')} | {', '.join(f'`{it}`' for it in one.test_packages)} "
        f"| {one.python} and later |"
        for one in integrations.recipes
    ]
    rows = {"extras": extras, "caps": caps, "recipes": recipes or ["| none yet | | |"]}
    return PAGE_TEXT.format(**{name: "\n".join(lines) for name, lines in rows.items()})


def wanted(root: Path) -> dict[str, str]:
    """Return what the files have to be, by their paths.

    Args:
        root: The repository.
    """
    integrations = load(root)
    return {
        PROJECT: project(integrations, (root / PROJECT).read_text(encoding="utf-8")),
        VERSIONS: versions(integrations),
        PAGE: page(integrations, root),
    }


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command.

    Args:
        arguments: The words after its name; None takes those of the process.
    """
    about = "Write what integrations.toml says: extras, supported versions, and the page of them."
    return run_all("extras.py", about, wanted, arguments)


if __name__ == "__main__":
    sys.exit(main())
