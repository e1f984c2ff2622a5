"""`sekha init`."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import List

import pytest

from cli.conftest import Run
from sekha import SekhaClient, SekhaConfig
from sekha.local import LocalSekha


@pytest.fixture
def type_keys(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """The keys that somebody types, in turn."""
    keys: List[str] = []
    monkeypatch.setattr("getpass.getpass", lambda prompt: keys.pop(0))
    monkeypatch.setenv("SEKHA_PROXY", "none")
    return keys


def test_it_asks_checks_and_writes(run: Run, sekha: LocalSekha, here: Path, type_keys: List[str]) -> None:
    type_keys.extend([sekha.api_key] * 2)
    done = run("init", terminal=f"{sekha.controller_url}\n{sekha.bridge_url}\n")
    assert (done.code, done.out) == (0, "")
    assert "URL of the controller [http://localhost:8080]: " in done.err
    assert 'SekhaConfig.from_env(env_file=".env")' in done.err
    assert sekha.api_key not in done.err
    assert os.name == "nt" or stat.S_IMODE((here / ".env").stat().st_mode) == 0o600
    assert os.listdir(here) == [".env"]
    with SekhaClient(SekhaConfig.from_env(here / ".env")) as client:
        assert client.health_check()["bridge"]["status"] == "healthy"
        assert client.bridge.tasks()
    assert run("list").code == 0


def test_a_key_in_a_file_needs_no_terminal(run: Run, sekha: LocalSekha, here: Path, type_keys: List[str]) -> None:
    (here / "key").write_text(f"{sekha.api_key}\n", encoding="utf-8")
    words = ["init", "--url", sekha.controller_url, "--api-key-file", "key", "--env-file", "my.env"]
    done = run(*words, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["file"] == "my.env"
    assert done.json["settings"] == ["SEKHA_CONTROLLER_URL", "SEKHA_API_KEY"]
    assert done.json["services"]["controller"]["status"] == "healthy"
    assert sekha.api_key not in done.out
    assert SekhaConfig.from_env(here / "my.env").bridge_url is None


def test_nothing_is_overwritten_silently(
    run: Run, sekha: LocalSekha, here: Path, type_keys: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEKHA_BRIDGE_API_KEY", sekha.api_key)
    file = here / ".env"
    before = "# mine\nSEKHA_API_KEY=sk-old\nDEBUG=1\n"
    file.write_text(before, encoding="utf-8")
    words = ("init", "--url", sekha.controller_url, "--bridge-url", sekha.bridge_url)
    type_keys.extend([sekha.api_key] * 3)
    done = run(*words, terminal="\n")
    assert done.code == 1
    assert ".env has a different SEKHA_API_KEY. Replace it? [y/N] Nothing was written." in done.err
    (here / "key").write_text(sekha.api_key, encoding="utf-8")
    done = run(*words, "--api-key-file", "key")
    assert (done.code, done.err) == (1, "sekha init: .env has a different SEKHA_API_KEY; use --force to replace it\n")
    assert file.read_text("utf-8") == before
    assert run(*words, terminal="y\n").code == 0
    assert file.read_text("utf-8").startswith("# mine\nSEKHA_API_KEY=")
    assert "sk-old" not in file.read_text("utf-8")
    assert "\nDEBUG=1\nSEKHA_CONTROLLER_URL=http" in file.read_text("utf-8")
    assert "Replace" not in run(*words, terminal="").err, "the same again replaces nothing"


@pytest.mark.parametrize(
    ("url", "bridge", "key", "code", "said"),
    [
        (None, "", "sk-wrong", 4, "controller: unauthorized: "),
        ("http://127.0.0.1:1", "", None, 5, "controller: unreachable: "),
        (None, "http://127.0.0.1:1", None, 5, "bridge: unreachable: "),
        ("localhost:8080", "", None, 2, "URL of the controller: it must start with http:// or https://"),
        (None, "localhost:5001", None, 2, "URL of the LLM bridge: it must start with http:// or https://"),
    ],
)
def test_what_does_not_work_is_not_written(
    url: str,
    bridge: str,
    key: str,
    code: int,
    said: str,
    run: Run,
    sekha: LocalSekha,
    here: Path,
    type_keys: List[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEKHA_MAX_RETRIES", "0")
    type_keys.append(key or sekha.api_key)
    done = run("init", terminal=f"{url or sekha.controller_url}\n{bridge}\n")
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert os.listdir(here) == []


def test_a_bridge_that_is_none_is_not_written(run: Run, sekha: LocalSekha, here: Path, type_keys: List[str]) -> None:
    type_keys.append(sekha.api_key)
    done = run("init", terminal=f"{sekha.controller_url}\n{sekha.controller_url}\n")
    assert done.code == 1
    assert "this address is not a bridge" in done.err
    assert os.listdir(here) == []


def test_a_model_that_is_down_is_said_and_written(run: Run, here: Path, type_keys: List[str]) -> None:
    type_keys.append("any key")
    with LocalSekha(llm_url="http://127.0.0.1:1/v1") as sekha:
        done = run("init", terminal=f"{sekha.controller_url}\n{sekha.bridge_url}\n")
    assert done.code == 0
    assert "bridge: degraded; for details: sekha health\n" in done.err
    assert (here / ".env").exists()


def test_a_second_key_for_the_tools_is_asked_for(
    run: Run, sekha_0_1: LocalSekha, here: Path, type_keys: List[str]
) -> None:
    options = sekha_0_1.options
    type_keys.extend([options["api_key"], options["mcp_api_key"]])
    done = run("init", terminal=f"{options['controller_url']}\n\n")
    assert done.code == 0
    assert "The MCP tools, which `sekha show` and `sekha export` use, require a different API key." in done.err
    assert SekhaConfig.from_env(here / ".env").mcp_api_key == options["mcp_api_key"]


def test_a_key_for_the_bridge_is_asked_for(
    run: Run, sekha: LocalSekha, here: Path, type_keys: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    type_keys.extend([sekha.api_key, sekha.api_key])
    done = run("init", terminal=f"{sekha.controller_url}\n{sekha.bridge_url}\n")
    assert done.code == 0
    assert "The bridge requires an API key, too. (A local server uses the same key for both.)\n" in done.err
    assert SekhaConfig.from_env(here / ".env").bridge_api_key == sekha.api_key
    (here / ".env").unlink()
    type_keys.extend([sekha.api_key, "sk-wrong"])
    done = run("init", terminal=f"{sekha.controller_url}\n{sekha.bridge_url}\n")
    assert (done.code, (here / ".env").exists()) == (4, False)
    assert "bridge: unauthorized: API key rejected; nothing was written" in done.err
    (here / "key").write_text(sekha.api_key, "utf-8")
    words = ("init", "--url", sekha.controller_url, "--bridge-url", sekha.bridge_url, "--api-key-file", "key")
    done = run(*words)
    assert (done.code, (here / ".env").exists()) == (4, False)
    assert "set SEKHA_BRIDGE_API_KEY" in done.err
    monkeypatch.setenv("SEKHA_BRIDGE_API_KEY", sekha.api_key)
    assert run(*words).code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
def test_it_asks_in_a_real_terminal(sekha: LocalSekha, here: Path) -> None:
    from cli.terminals import TerminalOf

    with TerminalOf("init", SEKHA_PROXY="none") as terminal:
        terminal.wait_for("URL of the controller [http://localhost:8080]: ")
        terminal.type(f"{sekha.controller_url}\n")
        terminal.wait_for("API key: ")
        terminal.type(f"{sekha.api_key}\n")
        terminal.wait_for("URL of the LLM bridge, for chat and completions [none]: ")
        terminal.type("\n")
        terminal.wait_for("Settings written to .env, which only you can read.")
        assert terminal.ends() == 0
        assert sekha.api_key not in terminal.screen
    assert SekhaConfig.from_env(here / ".env").api_key == sekha.api_key


def test_the_end_of_the_input_is_no_answer(run: Run, sekha: LocalSekha, here: Path, type_keys: List[str]) -> None:
    assert run("init", terminal="").err.endswith("\nsekha init: end of input; nothing was written\n")
    type_keys.append(sekha.api_key)
    assert run("init", terminal=f"{sekha.controller_url}\n").code == 1
    assert os.listdir(here) == []


def test_a_file_that_cannot_be_one_is_reported_before_a_question(
    run: Run, here: Path, type_keys: List[str], sekha: LocalSekha
) -> None:
    (here / ".env").mkdir()
    done = run("init", terminal="x\n")
    assert (done.code, done.err) == (1, "sekha init: .env is not a file\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "use --url and --api-key-file"),
        (["--url", "http://127.0.0.1:1"], "use --url and --api-key-file"),
        (["--url", "localhost"], "--url: it must start"),
        (["--bridge-url", "localhost"], "--bridge-url: it must start"),
        (["--api-key-file", "missing"], "does not exist"),
        (["--env-file", " "], "must not be blank"),
    ],
)
def test_wrong_usage_is_2(words: List[str], said: str, run: Run, here: Path) -> None:
    done = run("init", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert os.listdir(here) == []
