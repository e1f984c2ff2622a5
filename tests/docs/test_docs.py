"""What the documentation lists is what the code has."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, Set

import pytest
import typer

import sekha
import sekha.errors
import sekha.types
from sekha import BridgeClient, MCPClient, MemoryController, SekhaClient, SekhaConfig
from sekha.cli import COMMANDS
from sekha.cli.app import program
from sekha.cli.exits import MEANINGS
from support.integrations import load
from support.prose import MODULES, public_docstrings, without_blocks

ROOT = Path(__file__).parents[2]
MAIN_JOB = 'pip install -e ".[cli,local]" && sekha demo'
TESTS = 'pip install -e ".[dev]" && pytest -n auto'


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def rows(name: str, heading: str) -> Dict[str, str]:
    """The first table below a heading: first cell to the whole row."""
    text = f"\n{page(name)}".split(f"\n{heading}\n", 1)[1]
    lines = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)[0].splitlines()[2:]
    return {line.split("|")[1].strip(): line for line in lines}


def code_in(text: str) -> Set[str]:
    return set(re.findall(r"`([^`]+)`", text))


def public_methods(cls: type) -> Set[str]:
    found = {name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")}
    return found - {"close", "with_options", "in_folder"}


def test_the_readme_has_two_commands() -> None:
    assert re.findall(r"```bash\n(.*?)```", page("README.md"), re.DOTALL) == [f"{MAIN_JOB}\n", f"{TESTS}\n"]


def test_the_readme_shows_a_short_program_of_each_client_type() -> None:
    """Whole programs, which run when they are pasted into a file."""
    sync, awaited = re.findall(r"```python\n(.*?)```", page("README.md"), re.DOTALL)
    assert len(sync.splitlines()) <= 8
    assert len(awaited.splitlines()) <= 16
    for source in (sync, awaited):
        compile(source, "README.md", "exec")  # no `await` outside of a function
    assert " SekhaClient\n" in sync
    assert " AsyncSekhaClient\n" in awaited
    assert awaited.endswith("\nasyncio.run(main())\n")


def test_a_chat_with_history_and_sources_takes_less_than_forty_lines() -> None:
    (program,) = re.findall(r'```python title="chat.py"\n(.*?)```', page("docs/recipes/fastapi.md"), re.DOTALL)
    assert len(program.splitlines()) < 40


def methods_tables() -> Dict[str, Set[str]]:
    """Which methods the guides describe, by class: the links in the first cells of tables headed by "method of"."""
    found: Dict[str, Set[str]] = {}
    tables = re.compile(r"^\| method of `client.*\n\|.*\n((?:^\|.*\n)+)", re.MULTILINE)
    for path in sorted((ROOT / "docs" / "guides").glob("*.md")):
        for table in tables.findall(path.read_text("utf-8")):
            for cell in (line.split("|")[1] for line in table.splitlines()):
                links = re.findall(r"\[`(\w+)`\]\(\.\./reference/sync/\w+\.md#sekha\.(\w+)\.\1\)", cell)
                assert {name for name, _ in links} == code_in(cell), f"{path.name}: {cell}"
                for name, cls in links:
                    found.setdefault(cls, set()).add(name)
    return found


@pytest.mark.parametrize("cls", [MemoryController, BridgeClient, MCPClient, SekhaClient], ids=lambda cls: cls.__name__)
def test_every_method_is_in_the_table_of_a_guide(cls: type) -> None:
    """With a link to the reference, and nothing else is in these tables."""
    assert methods_tables()[cls.__name__] == public_methods(cls)


def test_every_integration_is_in_the_overview() -> None:
    overview, integrations = page("docs/integrations/index.md"), load()
    extras = [one for one in integrations.extras if one.is_adapter]
    adapters = {f"`{one.name}`": f"]({one.page or one.name}.md)" for one in extras}
    recipes = {f"[{one.title}]": f"](../recipes/{one.name}.md)" for one in integrations.recipes}
    for heading, expected in (("## Adapters", adapters), ("## Recipes", recipes)):
        below = overview.split(f"\n{heading}\n")[1].split("\n## ")[0]
        assert [name for name, link in expected.items() if name not in below or link not in below] == []


def test_what_others_call_something_else_is_there() -> None:
    """The right columns of the tables for who comes from mem0 or openai name methods, functions and errors of ours."""
    right = re.findall(r"^\|[^|\n]+\|(.+)\|$", page("docs/help/coming-from.md"), re.MULTILINE)
    called = {name for cell in right for name in re.findall(r"\b([a-z_]+)\(", cell)}
    methods = {name for cls in (SekhaClient, MemoryController, BridgeClient) for name in dir(cls)}
    methods |= set(dir(sekha.Stream))
    assert len(called) > 12
    assert called - methods == set()
    classes = re.findall(r"\bSekha\w+Error\b", "\n".join(right))
    assert len(classes) > 10
    assert [name for name in classes if not hasattr(sekha, name)] == []


def test_the_error_tree_is_the_tree_of_the_classes() -> None:
    drawn = page("docs/guides/errors.md").split("```text\n")[1].split("```")[0]
    assert drawn.strip().replace("`", "") in (sekha.errors.__doc__ or "").replace("`", "")
    parents: Dict[int, str] = {}
    for line in drawn.splitlines():
        match = re.search(r"Sekha\w+", line)
        if match:
            cls = getattr(sekha, match.group())
            depth = match.start() // 4
            parents[depth] = match.group()
            expected = parents[depth - 1] if depth else ("UserWarning" if "Warning" in match.group() else "Exception")
            assert cls.__bases__[0].__name__ == expected
    classes = {name for name, cls in vars(sekha.errors).items() if inspect.isclass(cls) and name.startswith("Sekha")}
    assert set(re.findall(r"Sekha\w+", drawn)) == classes


def test_every_error_and_warning_has_its_trouble() -> None:
    text = page("docs/help/troubleshooting.md")
    headings = [line[3:] for line in text.splitlines() if line.startswith("## Sekha")]
    tree = page("docs/guides/errors.md").split("```text\n")[1].split("```")[0]
    assert headings == re.findall(r"Sekha\w+", tree)


def test_every_option_of_the_import_is_in_its_table() -> None:
    table = rows("docs/guides/import.md", "## Command line options {: #in-the-terminal }")
    assert {cell.strip("`").split(" ")[0] for cell in table} | {"--url", "--help"} == {*options_of("import"), "--help"}


def test_every_format_of_exports_has_its_section() -> None:
    text = page("docs/guides/import.md")
    headings = {heading.partition(" {:")[0] for heading in re.findall(r"^##+ (.+)$", text, re.MULTILINE)}
    formats = rows("docs/guides/import.md", "## Supported formats {: #what-is-read }")
    names = {cell.strip("[").partition("]")[0] for cell in formats}
    elsewhere = {"Sekha", "notes"}  # longer sections of their own
    assert {name.lower() for name in names - elsewhere} <= {heading.lower() for heading in headings}
    assert "JSON lines" in names


def settings() -> Dict[str, Dict[str, str]]:
    """The settings in the order of their page: the default (or "required") and the variable of each."""
    text = page("docs/reference/settings.md").split("\n## All settings", 1)[1].split("\n## ", 1)[0]
    first_line = (
        r"^`(?P<name>\w+)` \{: #(?P<id>\w+) \}\n"
        r":   (?:Required|Default: (?P<default>.+?))\.?(?: Variable: `(?P<variable>\w+)`)?\n:   \S"
    )
    found = {match["name"]: match.groupdict("") for match in re.finditer(first_line, text, re.MULTILINE)}
    assert len(found) == len(re.findall(r"^`", text, re.MULTILINE))
    assert [one["id"] for one in found.values()] == list(found)
    return found


def test_every_setting_is_on_its_page() -> None:
    listed = settings()
    assert list(listed) == list(inspect.signature(SekhaConfig).parameters)
    variables = {name: one["variable"] for name, one in listed.items() if one["variable"]}
    assert list(variables.values()) == [f"SEKHA_{name.upper()}" for name in variables]
    assert set(variables.values()) == set(re.findall(r"SEKHA_\w+", sekha.config.__doc__ or ""))


def test_the_defaults_are_those_of_the_page() -> None:
    listed = settings()
    assert [name for name, one in listed.items() if not one["default"]] == ["controller_url", "api_key"]
    assert listed["timeout"]["default"].startswith(f"{SekhaConfig().timeout:g} s, ")
    assert listed["mcp_api_key"]["default"] == "`api_key`"
    words = {"none": None, "60 s": 60.0, "64 MiB": 64 * 2**20}
    for name in listed.keys() - {"controller_url", "api_key", "mcp_api_key", "timeout"}:
        default = listed[name]["default"].replace("`", "").strip('"')
        assert str(words.get(default, default)) == str(getattr(SekhaConfig(), name)), name


def options_of(command: str) -> Dict[str, Any]:
    """The options of a command, with their defaults."""
    group: Any = typer.main.get_command(program([command]))
    options = [parameter for parameter in group.commands[command].params if parameter.opts[0].startswith("--")]
    return {option: one.default for one in options for option in one.opts if option.startswith("--")}


def test_every_command_and_its_options_are_described() -> None:
    pages = {command: page("docs/command-line.md") for command in COMMANDS}
    pages.update(dict.fromkeys(("demo", "serve"), page("docs/get-started/local-server.md")))
    table = rows("docs/command-line.md", "# Command line (CLI)")
    assert [code_in(cell) for cell in table] == [{f"sekha {command}"} for command in COMMANDS]
    for command, text in pages.items():
        assert f"\n## `sekha {command}`\n" in text
        for option in options_of(command):
            assert f"`{option}" in text or f" {option}" in text, f"{command} {option}"


def test_the_options_of_serve_are_in_its_table() -> None:
    table = rows("docs/get-started/local-server.md", "## `sekha serve`")
    options = options_of("serve")
    assert {cell.strip("`").split(" ")[0] for cell in table} == set(options)
    for name in ("--host", "--port", "--bridge-port"):
        assert table[f"`{name}`"].split("|")[2].strip().strip("`") == str(options[name])


def test_the_exit_codes_are_those_of_the_table() -> None:
    table = rows("docs/command-line.md", "## Exit codes")
    assert {int(code): row.split("|")[2].strip() for code, row in table.items()} == MEANINGS


def test_every_number_in_the_source_is_explained() -> None:
    numbers = re.findall(r"\bD\d+\b", "\n".join(path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")))
    terms = re.findall(r"^(D.*)\n:   ", page("docs/contributing/server-differences.md"), re.MULTILINE)
    listed = re.findall(r"\bD\d+\b", "\n".join(terms))
    assert len(listed) == len(set(listed))
    assert set(numbers) <= set(listed)


def test_the_changelog_knows_the_version() -> None:
    released = sekha.__version__.partition(".dev")[0]
    assert re.findall(r"^## \[([\d.]+)\]", page("CHANGELOG.md"), re.MULTILINE)[0] == released


def test_the_reference_has_every_public_name() -> None:
    """And each once, so that links know where to go."""
    pages = [path.read_text("utf-8") for path in (ROOT / "docs" / "reference").rglob("*.md")]
    listed = re.findall(r"^::: sekha\.(\w+)$", "\n".join(pages), re.MULTILINE)
    names = [name for name in listed if name != "types"]
    assert sorted(names) == sorted({*sekha.__all__, "type_guards"} - {"__version__"})
    assert ["Async" in name or "async" in name for name in names].count(True) == 7


def test_the_reference_has_every_type_once() -> None:
    pages = [path.read_text("utf-8") for path in (ROOT / "docs" / "reference" / "types").glob("*.md")]
    listed = re.findall(r"^      members: \[(.+)\]$", "\n".join(pages), re.MULTILINE)
    names = ", ".join(listed).split(", ")
    assert sorted([*names, "ClientConfig"]) == sorted(sekha.types.__all__)  # which has a page beside SekhaConfig
    assert [list(one.split(", ")) for one in listed] == [sorted(one.split(", ")) for one in listed]


PRIVATE_NUMBER = re.compile(r"\b[DWCA]\d{1,3}\b")
"""Numbers of decisions and promises, which are for contributors."""


def cited(text: str) -> Set[str]:
    """Words that may be private: numbers such as D1, others such as C1 in brackets or a cell, and names of tests."""
    brackets = re.findall(r"[(|,] *[A-Z]\d+(?=[),| ])", text)
    return {*re.findall(r"\bD\d+\b|\btest_\w+", text), *(one.strip("(|, ") for one in brackets)}


def private_names() -> Set[str]:
    """The numbers of promises and of differences between servers, and the names of tests."""
    promises = re.findall(r"^\| ([A-Z]\d+) \|", page("docs/contributing/promises.md"), re.MULTILINE)
    terms = re.findall(r"^(D.*)\n:   ", page("docs/contributing/server-differences.md"), re.MULTILINE)
    tests = (path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    names = re.findall(r"^ *(?:async )?def (test_\w+)", "\n".join(tests), re.MULTILINE)
    found = {*promises, *re.findall(r"\bD\d+\b", "\n".join(terms)), *names}
    assert {"C1", "D1", "test_pages_for_users_have_no_private_names"} <= found
    assert {"C1", "D1"} <= cited("shown (C1) and D1") & found
    return found


def test_pages_for_users_have_no_private_names() -> None:
    """Blocks of code are left out: they may be tests."""
    pages = [path for name in ("docs", "examples", "skills") for path in (ROOT / name).rglob("*.md")]
    private = private_names()
    for path in [*pages, ROOT / "README.md", ROOT / "SECURITY.md"]:
        if "contributing" not in path.parts:
            assert private & cited(without_blocks(path.read_text("utf-8"))) == set(), path


def test_public_docstrings_have_no_private_names() -> None:
    public = [getattr(module, name) for module in map(import_module, MODULES) for name in module.__all__]
    members = [member for one in public if inspect.isclass(one) for member in vars(one).values()]
    docs = [inspect.getdoc(one) or "" for one in (*public, *members)]
    assert sum(map(bool, docs)) > 300
    assert private_names() & cited("\n".join(docs)) == set()
    assert [name for name, text in public_docstrings() if PRIVATE_NUMBER.search(text)] == []
