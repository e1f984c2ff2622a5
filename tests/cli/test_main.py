"""The command line as a whole: help, exit codes, settings, keys, and what is loaded."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest
import typer
from typer.testing import CliRunner

from cli.conftest import Run, settings
from local.conftest import python
from sekha import __version__
from sekha.cli import COMMANDS, main
from sekha.cli.app import program
from sekha.cli.exits import MEANINGS
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha, answer_with, hold

UNKNOWN = "11111111-2222-4333-8444-555555555555"
RUN = "import sys; from sekha.cli import main; sys.exit(main())"
EVERY_READING = [["list"], ["query", "x"], ["show", UNKNOWN], ["stats"], ["export", UNKNOWN], ["export", "--all"]]


# Help


def test_the_help_has_every_command_and_every_exit_code() -> None:
    done = CliRunner().invoke(program([]), ["--help"])
    assert done.exit_code == 0
    for command, about in COMMANDS.items():
        assert f"  {command} " in done.output
        assert about[1:40] in done.output
    for code, meaning in MEANINGS.items():
        assert f"{code}  {meaning}" in done.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(command: str, run: Run) -> None:
    done = run(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"{COMMANDS[command][1:]}." in " ".join(done.out.split())
    assert ("--json" in done.out) == (command not in ("demo", "serve", "export", "hook", "mcp"))
    assert ("key" in done.out.lower()) == (command in ("serve", "init"))
    assert run(command, "-h") == done


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_use_options_that_exist(command: str, run: Run) -> None:
    help = run(command, "--help").out
    examples = help.split("Examples:\n")[1].split("\n\n")[0].splitlines()
    names = {"search", "query"} if command in ("search", "query") else {command}
    for words in map(shlex.split, examples):
        assert words[0] == "sekha"
        assert words[1] in names
        for option in (word for word in words if word.startswith("--")):
            assert re.search(rf"^  .*{option}\b", help.split("Examples:")[0], re.MULTILINE), option


def test_the_version(run: Run) -> None:
    assert run("--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("words", [["bake"], ["list", "--colour"], ["list", "--limit", "0"], ["show"], ["query"]])
def test_wrong_usage_is_2(words: list[str], run: Run) -> None:
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert "Usage: sekha" in done.err


def test_the_help_loads_no_command_and_nothing_that_they_need() -> None:
    check = "import sys, sekha.cli; sekha.cli.main(['--help']); print(sorted(sys.modules))"
    command, environment = python("-c", check)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    for name in ("typer", "sekha.cli.app"):
        assert repr(name) in loaded
    for name in (
        "httpx",
        "rich.table",
        "sekha.cli.ids",
        "sekha.cli.tables",
        "sekha._sync",
        "sekha.local",
        "starlette",
        "sekha.cli.chat",
        "sekha.cli.listing",
    ):
        assert repr(name) not in loaded


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_extra_there_is_one_line(package: str) -> None:
    command, environment = python("-c", f"import sys; sys.modules[{package!r}] = None; {RUN}", "list")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    line = "sekha: the command line requires the extra cli: pip install 'sekha-python-sdk[cli]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_the_demo_says_that_it_needs_the_other_extra() -> None:
    command, environment = python("-c", f"import sys; sys.modules['uvicorn'] = None; {RUN}", "demo")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == 'sekha demo: the local server requires the extra local: pip install "sekha-python-sdk[local]"\n'
    )


# Completion


@pytest.mark.parametrize(("so_far", "expected"), [("sekha sh", "show"), ("sekha list --arch", "--archived")])
def test_completion_knows_commands_and_options(
    so_far: str, expected: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_SEKHA_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", so_far)
    assert expected in run().out


def test_completion_can_be_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")  # else it is for the shell of the tests
    done = run("--show-completion", "bash")
    assert done.code == 0
    assert "_SEKHA_COMPLETE=complete_bash" in done.out


# Settings and keys


def test_without_an_address_the_line_says_what_to_set(run: Run) -> None:
    done = run("list")
    assert (done.code, done.out) == (1, "")
    assert "pass --url or set SEKHA_CONTROLLER_URL (environment or .env)" in done.err
    done = run("list", "--url", "http://127.0.0.1:1")
    assert (done.code, done.out) == (1, "")
    assert "set SEKHA_API_KEY (environment or .env)" in done.err
    assert done.err.count("\n") == 1


def test_options_beat_the_environment_and_that_beats_the_file(
    run: Run, sekha: LocalSekha, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = {**settings(sekha.options), "SEKHA_CONTROLLER_URL": "http://127.0.0.1:1", "SEKHA_MAX_RETRIES": "0"}
    (here / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    assert run("list").code == 5
    assert run("list", "--url", sekha.controller_url).code == 0
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", sekha.controller_url)
    assert run("list").code == 0
    monkeypatch.setenv("SEKHA_API_KEY", "wrong")
    assert run("list").code == 4


def test_a_missing_key_is_asked_for_at_a_terminal(
    run: Run, connected: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEKHA_API_KEY")
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return connected.api_key

    monkeypatch.setattr("getpass.getpass", answer)
    assert run("list", "--json", terminal="").code == 0
    assert asked == ["API key (SEKHA_API_KEY): "]
    assert run("list").code == 1
    assert len(asked) == 1


# Exit codes


@pytest.mark.parametrize("words", [["show", UNKNOWN], ["export", UNKNOWN]])
def test_3_is_not_found(words: list[str], run: Run, connected: LocalSekha) -> None:
    done = run(*words)
    assert (done.code, done.out) == (3, "")
    assert done.err.endswith("; check the ID with `sekha list`\n")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("words", EVERY_READING)
def test_4_is_a_refused_key(words: list[str], run: Run, connected: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEKHA_API_KEY", "wrong")
    done = run(*words)
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith(f"sekha {words[0]}: ")
    assert "_API_KEY to an API key that the server accepts" in done.err
    assert done.err.count("\n") == 1


def test_4_is_a_key_that_may_not(run: Run, faulty: ScriptedSekha) -> None:
    faulty.fail("GET /api/v1/conversations", answer_with(403, {"error": "read only"}))
    assert run("list").code == 4


def test_a_server_that_says_what_it_lacks_is_running(run: Run, faulty: ScriptedSekha) -> None:
    faulty.fail("POST /api/v1/conversations", answer_with(507, {"error": "the disk is full: nothing was stored"}))
    done = run("store", "x")
    assert "nothing was stored" in done.err
    assert "is running" not in done.err


@pytest.mark.parametrize("words", EVERY_READING)
def test_5_is_a_server_that_cannot_be_reached(words: list[str], run: Run, faulty: ScriptedSekha) -> None:
    with faulty.refusing():
        done = run(*words)
    assert (done.code, done.out) == (5, "")
    assert "check that the server is running: `sekha health`" in done.err
    assert done.err.count("\n") == 1


def test_5_is_a_server_that_takes_too_long(run: Run, faulty: ScriptedSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEKHA_TIMEOUT", "0.2")
    faulty.fail("GET /api/v1/conversations", hold())
    assert run("list").code == 5


def test_1_is_a_server_that_fails(run: Run, faulty: ScriptedSekha) -> None:
    faulty.fail("GET /api/v1/conversations", answer_with(500, {"error": "disk full"}))
    done = run("list", "--json")
    assert (done.code, done.out) == (1, "")
    assert "disk full" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "nonsense"], "ID: must be the UUID"),
        (["query", " "], "WORDS: must not be blank"),
        (["query", "x", "--since", "soon"], "--since: must be a date"),
        (["stats", "--until", "soon"], "--until: must be a date"),
        (["list", "--since", "soon"], "--since: must be a date"),
        (["query", "x", "--limit", "99999999999"], "--limit: must be at most"),
        (["list", "--folder", "/a/.."], "--folder: must not contain"),
        (["query", "x", "--folder", "/a/.."], "--folder: must not contain"),
        (["stats", "--folder", "/a/.."], "--folder: must not contain"),
        (["export", "--folder", "/a/.."], "--folder: must not contain"),
        (["store", "x", "--folder", "/a/.."], "--folder: must not contain"),
        (["export", "--until", "soon"], "--until: must be a date"),
        (["query", "x", "--since", "2026-02-01", "--until", "2026-01-01"], "--until: must not be before"),
    ],
)
def test_2_is_what_the_library_refuses_before_it_sends(
    words: list[str], said: str, run: Run, faulty: ScriptedSekha
) -> None:
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert faulty.requests == []


def test_130_is_ctrl_c(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("sekha.cli.listing.run", interrupted)
    assert run("list") == (130, "", "")


# The process


def test_a_reader_that_goes_away_is_no_traceback(
    connected: LocalSekha, client: object, remember: Callable[..., str]
) -> None:
    id = remember("x" * 200_000)
    command, environment = python("-c", RUN, "show", id)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait(60) == 1
        finally:
            process.kill()


def test_an_encoding_without_the_character_is_no_traceback(remember: Callable[..., str]) -> None:
    id = remember("✓ done", label="✓")
    for words in (["list"], ["show", "--json", id]):
        command, environment = python("-c", RUN, *words)
        done = subprocess.run(command, env={**environment, "PYTHONIOENCODING": "ascii"}, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert ("\\u2713" if "--json" in words else "?") in done.stdout


def test_typer_and_main_are_one_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(program(["list"]), typer.Typer)
    assert main([]) == 2
    assert "Usage: sekha" in capsys.readouterr().err
    assert sys.modules["sekha.cli.app"]


def test_ctrl_c_ends_a_command_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("sekha.cli.health.run", interrupted)
    assert main(["health"]) == 130


# Proxies


@pytest.mark.promise("W1")
def test_a_proxy_that_cannot_be_used_is_one_line(
    run: Run, connected: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEKHA_PROXY")
    monkeypatch.setenv("ALL_PROXY", f"socks://me:{connected.api_key}@127.0.0.1:7890")
    for command in ("health", "list"):
        done = run(command)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"sekha {command}: ALL_PROXY: the proxy at 127.0.0.1:7890 cannot be used: ")
        assert done.err.count("\n") == 1


@pytest.mark.promise("W1")
def test_a_proxy_that_cannot_be_reached_is_named(
    run: Run, connected: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEKHA_MAX_RETRIES", "0")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert run("list").code == 0, "the printed settings say SEKHA_PROXY=none"
    monkeypatch.delenv("SEKHA_PROXY")
    done = run("list")
    assert done.code == 5
    assert "through the proxy 127.0.0.1:1 (HTTP_PROXY)" in done.err
    assert "NO_PROXY" in done.err


@pytest.mark.promise("W1")
def test_the_demo_needs_no_proxy(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert run("demo").code == 0
