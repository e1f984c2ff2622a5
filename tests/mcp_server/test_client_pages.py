"""What the pages of the clients say is what `sekha mcp` has, and what they tell to write starts a server."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Set

import pytest
import typer

from sekha.cli import main
from sekha.cli.app import program
from sekha.cli.exits import USAGE
from sekha.local import LocalSekha
from support.mcp_programs import (
    SYSTEM,
    TOOLS,
    StdioServer,
    download,
    need_mcp,
    sekha_mcp,
    unavailable,
    variables,
    wheel,
)

FOLDER = Path(__file__).parents[2] / "docs" / "integrations"
PAGES = ("claude-desktop", "claude-code", "vscode", "cursor", "mcp-clients")
SPEC = "sekha-python-sdk[cli,mcp]"
SECRETS = {"SEKHA_API_KEY", "SEKHA_MCP_API_KEY", "SEKHA_MCP_TOKEN"}


class Entry(NamedTuple):
    """A server in a JSON block of a page."""

    page: str
    name: str
    settings: Dict[str, Any]
    inputs: List[Dict[str, Any]]


def page(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text("utf-8")


def blocks(name: str, language: str) -> List[str]:
    """The blocks of a page, also those in lists."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page(name), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(text) for _, text in found]


def entries() -> List[Entry]:
    found = []
    for name in PAGES:
        for block in blocks(name, "json"):
            settings = json.loads(block)
            servers = settings.pop("servers" if name == "vscode" else "mcpServers")
            inputs = settings.pop("inputs", [])
            assert settings == {}
            found += [Entry(name, server, entry, inputs) for server, entry in servers.items()]
    return found


def commands() -> List[List[str]]:
    """Commands of the server in blocks for a terminal: alone, after `claude mcp add ... --`, and for the Inspector."""
    lines = [
        line for name in PAGES for block in blocks(name, "bash") for line in block.splitlines() if "sekha mcp" in line
    ]
    found = []
    for words in map(shlex.split, lines):
        begin = words.index("uvx")
        end = words.index("--method") if "--method" in words else len(words)
        found.append(words[begin:end])
    return found


ENTRIES = entries()
STARTED = [entry for entry in ENTRIES if "command" in entry.settings]
BY_ADDRESS = [entry for entry in ENTRIES if "url" in entry.settings]


def options() -> Dict[str, Any]:
    """The options of `sekha mcp`, with their defaults."""
    group: Any = typer.main.get_command(program(["mcp"]))
    return {name: one.default for one in group.commands["mcp"].params for name in one.opts}


def server_arguments(command: List[str]) -> List[str]:
    """What stands behind `sekha mcp`; the words before it have to be those that are promised."""
    if Path(command[0]).name == "uvx":
        before, _, after = " ".join(command[1:]).partition(f"--from {SPEC} sekha mcp")
        assert re.fullmatch(r"|--env-file \S+ ", before), command
        return after.split()
    assert Path(command[0]).is_absolute()
    assert [Path(command[0]).name, command[1]] == ["sekha", "mcp"]
    return command[2:]


def test_every_page_shows_a_server_that_is_started() -> None:
    assert {entry.page for entry in STARTED} == set(PAGES)
    assert len(commands()) >= 3


def test_only_options_that_there_are_are_named() -> None:
    every = [*commands(), *([entry.settings["command"], *entry.settings["args"]] for entry in STARTED)]
    used: Set[str] = {word for command in every for word in server_arguments(command) if word.startswith("-")}
    known = {*options(), "--help"}
    assert used <= known
    of_others = {
        "--scope",
        "--env",
        "--transport",
        "--env-file",
        "--from",
        "--python",
        "--refresh",
        "--cli",
        "--method",
    }
    in_text = {word for name in PAGES for word in re.findall(r"(?<![\w-])--[a-z][a-z-]+", page(name))}
    assert in_text <= known | of_others | {"--debug"}


def test_addresses_are_those_of_the_server() -> None:
    there = f"http://{options()['--host']}:{options()['--port']}/mcp"
    assert {entry.settings["url"] for entry in BY_ADDRESS} == {there}
    assert [
        line.split()[-1] for block in blocks("claude-code", "bash") for line in block.splitlines() if "http " in line
    ] == [there]


def test_no_shared_file_has_a_key() -> None:
    for entry in ENTRIES:
        values = {**entry.settings.get("env", {}), **entry.settings.get("headers", {})}
        assert set(entry.settings.get("env", {})) <= {"SEKHA_CONTROLLER_URL", *SECRETS}
        for name, value in values.items():
            secret = name in SECRETS or name == "Authorization"
            mine_alone = entry.page in ("claude-desktop", "mcp-clients")
            assert not secret or value.startswith("sk-your-") == mine_alone, (entry, name)
        wanted = set(re.findall(r"\$\{input:([\w-]+)\}", json.dumps(values)))
        assert wanted == {one["id"] for one in entry.inputs if one["password"] and one["type"] == "promptString"}


def test_each_client_gets_variables_in_its_own_form() -> None:
    forms = {"claude-code": r"\$\{[A-Z_]+(:-\S+)?\}", "cursor": r"\$\{(env:[A-Z_]+|workspaceFolder)\}"}
    forms.update({"vscode": r"\$\{(input:[\w-]+|workspaceFolder)\}", "claude-desktop": "never", "mcp-clients": "never"})
    for entry in ENTRIES:
        for variable in re.findall(r"\$\{.*?\}", json.dumps(entry.settings)):
            assert re.fullmatch(forms[entry.page], variable), (entry.page, variable)


@pytest.fixture
def user(tmp_path: Path, sekha: LocalSekha) -> Dict[str, str]:
    """The environment of a client: a stand-in for `uvx` runs this checkout, if it is asked for the right package."""
    need_mcp()
    uvx = tmp_path / "bin" / "uvx"
    uvx.parent.mkdir()
    uvx.write_text(
        textwrap.dedent(
            f"""\
            #!{sys.executable}
            import os, sys
            from dotenv import dotenv_values
            arguments = sys.argv[1:]
            if arguments[0] == "--env-file":
                os.environ.update(dotenv_values(arguments[1]))
                del arguments[:2]
            assert arguments[:3] == ["--from", {SPEC!r}, "sekha"], arguments
            os.execv(sys.executable, [sys.executable, "-m", *arguments[2:]])
            """
        ),
        encoding="utf-8",
    )
    uvx.chmod(uvx.stat().st_mode | stat.S_IXUSR)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables(sekha).items()), "utf-8")
    return {
        "PATH": os.pathsep.join([str(uvx.parent), os.environ["PATH"]]),
        "HOME": str(tmp_path),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }


@pytest.mark.slow
@pytest.mark.parametrize("entry", STARTED, ids=lambda entry: f"{entry.page}-{entry.name}")
def test_what_is_written_into_the_file_starts_a_server(
    entry: Entry, user: Dict[str, str], sekha: LocalSekha, tmp_path: Path
) -> None:
    def filled(value: str) -> str:
        """A value as the client makes it, at this test's Sekha."""
        for name, one in variables(sekha).items():
            value = re.sub(rf"\$\{{(env:)?{name}(:-.*?)?\}}|\$\{{input:{name.lower().replace('_', '-')}\}}", one, value)
        value = value.replace("http://localhost:8080", sekha.controller_url).replace("sk-your-api-key", sekha.api_key)
        return value.replace("${workspaceFolder}", str(tmp_path)).replace(
            "/Users/ann/.config/sekha.env", str(tmp_path / ".env")
        )

    settings = entry.settings
    environment = {**user, **{name: filled(value) for name, value in settings.get("env", {}).items()}}
    if "envFile" in settings:
        pairs = [line.partition("=") for line in Path(filled(settings["envFile"])).read_text("utf-8").splitlines()]
        environment.update({name: value for name, _, value in pairs})
    command = [settings["command"], *map(filled, settings["args"])]
    if Path(command[0]).name == "sekha":  # an installed one
        command[:1] = [sys.executable, "-m", "sekha"]
    else:
        command[0] = str(tmp_path / "bin" / command[0])
    with StdioServer(command, environment) as server:
        server.initialize()
        names = {tool["name"] for tool in server.request("tools/list")["tools"]}
        found = server.request("tools/call", name="memory_search", arguments={"query": "ship"})
        assert not found.get("isError"), found
        code, errors = server.end()
    assert code == 0, errors
    assert ("memory_store" in names) == ("--read-only" not in command)
    assert (len(names) == len(TOOLS)) == ("--folder" not in command)


@pytest.mark.slow
def test_the_server_says_what_is_missing_in_the_words_of_the_table(user: Dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        sekha_mcp(), env=user, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    words = "set SEKHA_CONTROLLER_URL and SEKHA_API_KEY"
    assert words in done.stderr
    assert f"`{words}`" in page("mcp-clients")


@pytest.mark.parametrize("placeholder", ["${SEKHA_API_KEY}", "${env:SEKHA_API_KEY}", " ${SEKHA_API_KEY:-} "])
@pytest.mark.parametrize("name", ["SEKHA_API_KEY", "SEKHA_MCP_API_KEY", "SEKHA_CONTROLLER_URL", "SEKHA_MCP_TOKEN"])
def test_a_placeholder_that_the_client_has_left_is_no_key(
    name: str, placeholder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    need_mcp()
    monkeypatch.setenv(name, placeholder)
    assert main(["mcp"]) == USAGE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"{name} is a placeholder" in shown.err
    assert f"set {name} in the client's environment" in shown.err
    assert "`is a placeholder`" in page("mcp-clients")


@pytest.mark.slow
def test_uvx_starts_the_wheel(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, sekha: LocalSekha) -> None:
    need_mcp()
    uvx = shutil.which("uvx")
    if uvx is None:
        unavailable("not installed: uv")
    spec = f"{SPEC} @ {wheel(tmp_path_factory).as_uri()}"
    command = [uvx, "--python", sys.executable, "--from", spec, "sekha", "mcp"]
    download([*command, "--help"], tmp_path, "the package index cannot be reached")
    with StdioServer(command, {**SYSTEM, **variables(sekha)}) as server:
        assert server.initialize()["serverInfo"]["name"] == "sekha"
        assert server.end()[0] == 0
