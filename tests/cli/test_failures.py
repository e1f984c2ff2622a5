"""What a command says when it fails: to people in one line, to programs as JSON, and with advice that helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import typer

from cli.conftest import Run
from sekha.cli import COMMANDS, main
from sekha.cli.app import program
from sekha.local import LocalSekha
from sekha.testing import ScriptedSekha, answer_with, cut_after_work
from support.replies import answer
from support.server import FakeServer

Remember = Callable[..., str]
UNKNOWN = "11111111-2222-4333-8444-555555555555"
LISTING = "GET /api/v1/conversations"


def error_of(err: str) -> Dict[str, Any]:
    """The error that a program reads: the last line of stderr."""
    found = json.loads(err.splitlines()[-1])
    assert set(found) == {"error"}
    return {**found["error"]}


# JSON


def test_an_error_of_a_server_as_json(run: Run, faulty: ScriptedSekha) -> None:
    faulty.fail(LISTING, answer_with(500, {"error": "disk full: “/”"}))
    done = run("list", "--json")
    assert (done.code, done.out) == (1, "")
    error = error_of(done.err)
    assert "disk full: “/”" in error.pop("message")
    assert error == {
        "type": "SekhaServerError",
        "exit_code": 1,
        "status_code": 500,
        "sent": True,
        "may_have_been_applied": False,
    }
    assert done.err.isascii()


def test_an_unknown_outcome_as_json(run: Run, faulty: ScriptedSekha) -> None:
    faulty.fail("POST /api/v1/conversations", cut_after_work())
    error = error_of(run("store", "x", "--json").err)
    assert (error["exit_code"], error["may_have_been_applied"]) == (5, True)


@pytest.mark.parametrize(
    ("words", "code", "kind", "said"),
    [
        (["show", UNKNOWN], 3, "SekhaNotFoundError", "there is no such conversation"),
        (["show", "12345678"], 3, "CommandError", "an ID that starts with 12345678"),
        (["show", "nonsense"], 2, "SekhaValidationError", "ID: must be the UUID"),
        (["query", "x", "--since", "soon"], 2, "SekhaValidationError", "--since: must be a date"),
        (["list", "--url", "localhost"], 2, "CommandError", "--url: it must start with http://"),
        (["list", "--limit", "many"], 2, "UsageError", "--limit"),
        (["list", "--colour"], 2, "UsageError", "--colour"),
        (["list", "--subfolders"], 2, "UsageError", "--subfolders requires --folder"),
        (["delete", UNKNOWN], 2, "UsageError", "use --yes"),
        (["move", UNKNOWN, ".."], 2, "UsageError", "FOLDER"),
        (["label", UNKNOWN], 2, "UsageError", "LABEL"),
        (["bake"], 2, "UsageError", "bake"),
    ],
)
def test_every_kind_of_error_as_json(
    words: List[str], code: int, kind: str, said: str, run: Run, connected: LocalSekha
) -> None:
    done = run(*words, "--json")
    assert (done.code, done.out) == (code, "")
    assert done.err.count("\n") == 1
    error = error_of(done.err)
    assert (error["type"], error["exit_code"]) == (kind, code)
    assert said in error["message"]


def test_missing_settings_as_json(run: Run) -> None:
    done = run("list", "--json")
    assert (done.code, error_of(done.err)["type"]) == (1, "SekhaConfigError")


def test_what_stands_behind_two_dashes_is_no_option(run: Run) -> None:
    done = run("list", "--colour", "--", "--json")
    assert done.code == 2
    assert "Usage: sekha list" in done.err


# Usage


def _commands() -> Dict[str, List[Any]]:
    found: Dict[str, List[Any]] = {}
    for command in COMMANDS:
        group: Any = typer.main.get_command(program([command]))
        found[command] = group.commands[command].params
    return found


BAD_VALUES = ["abc", "1.5", "", "-5", "99999999", "nan", "[]", "é"]


@pytest.mark.parametrize("command", COMMANDS)
def test_no_library_speaks_in_an_error_of_usage(
    command: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every option of every command, with values that numbers, choices and files do not have."""
    monkeypatch.setattr("sekha.cli.app._run_command", lambda *_, **__: 0)  # only the words are read
    for param in _commands()[command]:
        if getattr(param, "is_flag", True):  # arguments have no such attribute
            continue
        for value in BAD_VALUES:
            code = main([command, f"{param.opts[0]}={value}", UNKNOWN, "x"])
            out, err = capsys.readouterr()
            assert code in (0, 2)
            assert out == ""
            for word in ("Input should", "Value error", "unable to parse", "pydantic", "type=", "Traceback"):
                assert word not in err, err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "--limit", "abc"], "'--limit': 'abc' is not a"),
        (["list", "--limit", "1.5"], "'--limit': '1.5' is not a"),
        (["list", "--limit", "0"], "'--limit': 0 is "),
        (["query", "x", "--min-score", "high"], "'--min-score': 'high' is not a"),
        (["query", "x", "--min-score", "1.5"], "'--min-score': 1.5 is "),
        (["query", "x", "--min-score", "-0.1"], "'--min-score': -0.1 is "),
        (["query", "x", "--min-importance", "11"], "'--min-importance': 11"),
        (["store", "x", "--role", "bot"], "'--role': 'bot' is not one of 'system', 'user'"),
        (["store", "x", "--importance", "abc"], "'--importance': 'abc' is not a"),
        (["store", "x", "--label", "\udcff"], "'--label': must be text"),
        (["export", "--all", "--format", "pdf"], "'--format': 'pdf' is not one of 'json', 'markdown', 'jsonl', 'full'"),
        (["sear", "x"], "No such command 'sear'"),
    ],
)
def test_wrong_usage_names_the_option_and_the_value(words: List[str], said: str, run: Run) -> None:
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Usage: sekha" in done.err


# Advice


def test_a_wrong_address_is_not_said_to_be_a_wrong_id(
    run: Run, connected: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (f"{connected.controller_url}/api", connected.bridge_url):
        for words in (["list"], ["stats"], ["query", "x"], ["store", "x"]):
            done = run(*words, "--url", url)
            assert done.code == 3
            assert "check that the URL is the one of a controller, without a path" in done.err
            assert "check the ID" not in done.err


def test_an_unknown_id_names_no_route(run: Run, connected: LocalSekha) -> None:
    for command in ("show", "export", "pin"):
        done = run(command, UNKNOWN)
        assert done.code == 3
        assert done.err.endswith("; check the ID with `sekha list`\n")
        assert "/mcp/" not in done.err
        assert "/api/" not in done.err


def test_a_server_that_is_not_there_can_be_started(run: Run, faulty: ScriptedSekha) -> None:
    with faulty.refusing():
        done = run("list")
    assert "to start a local server: `sekha serve`" in done.err


def test_a_model_that_is_down_is_not_said_to_have_stored_something(run: Run, faulty: ScriptedSekha) -> None:
    faulty.fail("POST /v1/chat/completions", answer_with(500, {"error": "no model"}))
    done = run("chat", "--no-store", stdin="Hello?")
    assert done.code == 1
    assert "no model" in done.err
    assert done.err.endswith("; check that the model is running: `sekha health`\n")
    assert "applied" not in done.err
    assert "sekha list" not in done.err


def test_all_that_is_missing_is_said_at_once(run: Run) -> None:
    done = run("chat", stdin="Hello?")
    assert done.code == 1
    for name in ("SEKHA_CONTROLLER_URL", "SEKHA_API_KEY", "SEKHA_BRIDGE_URL", "sekha init"):
        assert name in done.err
    assert done.err.count("\n") == 1


def test_health_leads_to_the_right_key(
    run: Run, connected: LocalSekha, sekha_0_1: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEKHA_API_KEY", "wrong")
    out = run("health").out
    assert "set SEKHA_API_KEY to a key that the server accepts" in out
    assert "SEKHA_MCP_API_KEY" not in out
    assert "same API key, also rejected" in out
    done = run("health", "--url", sekha_0_1.controller_url)  # its tools have a key of their own
    assert "SEKHA_MCP_API_KEY" in done.out


def test_the_key_of_a_model_is_not_taken_for_ours(
    run: Run, connected: LocalSekha, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET /v1/models", answer({"data": [{"id": "llama3"}]}))
    server.on("POST /v1/chat/completions", answer({"error": "wrong key"}, 401))
    with LocalSekha(llm_url=f"{server.url}/v1", llm_key="sk-of-the-model") as sekha:
        monkeypatch.setenv("SEKHA_BRIDGE_URL", sekha.bridge_url)
        done = run("chat", "--no-store", stdin="Hello?")
    assert "the model's server, not Sekha, rejects the key in SEKHA_LLM_KEY" in done.err
    assert "SEKHA_BRIDGE_API_KEY" not in done.err


def test_health_says_why_a_model_is_down(run: Run, connected: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalSekha(llm_url="http://127.0.0.1:1/v1") as sekha:
        done = run("health", "--url", connected.controller_url, "--bridge-url", sekha.bridge_url)
    assert done.code == 1
    (line,) = [line for line in done.out.splitlines() if line.startswith("bridge")]
    assert "degraded" in line
    assert "chat error" in line
    assert "127.0.0.1:1" in line
