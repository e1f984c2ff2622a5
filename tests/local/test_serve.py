"""`sekha serve` and the command line around it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import httpx
import pytest

from local.conftest import create, python, running
from sekha import SekhaConfig
from sekha.cli import main
from sekha.cli.serve import Profile
from sekha.local.profiles import PROFILES
from sekha.local.records import NewMessage
from sekha.local.store import Store
from support.replies import answer
from support.server import FakeServer

FREE = ("--port", "0", "--bridge-port", "0")
RUN = "import sys; from sekha.cli import main; sys.exit(main())"


def serve(*arguments: str, before: str = "") -> Tuple[List[str], Dict[str, str]]:
    return python("-c", before + RUN, "serve", *arguments)


def test_serves_until_ctrl_c(tmp_path: Path) -> None:
    file = tmp_path / "memory.db"
    for count in range(2):
        command, environment = serve(*FREE, "--data", str(file), "--api-key", "sk-mine")
        with running(command, environment) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            told = read_greeting(process.stderr)
            assert str(file) in told[3]
            found = read_settings(process.stdout)
            assert set(found) >= {"SEKHA_CONTROLLER_URL", "SEKHA_API_KEY", "SEKHA_BRIDGE_URL", "SEKHA_PROXY"}
            headers = {"authorization": f"Bearer {found['SEKHA_API_KEY']}"}
            with httpx.Client(verify=False, base_url=found["SEKHA_CONTROLLER_URL"], headers=headers) as api:
                assert api.get("/api/v1/conversations").json()["total"] == count
                create(api, "x")
                assert httpx.get(found["SEKHA_BRIDGE_URL"] + "/health", verify=False).json()["status"] == "healthy"
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=10)
            assert (process.returncode, err) == (0, "stopped\n")
            assert all(line.startswith("SEKHA_") for line in out.splitlines())


def read_greeting(stderr: Any) -> List[str]:
    """Reads what is said up to the settings."""
    said = [stderr.readline()]
    while not said[-1].startswith("Client settings"):
        said.append(stderr.readline())
        assert said[-1], said
    return said


def read_settings(stdout: Any, last: str = "SEKHA_PROXY") -> Dict[str, str]:
    """Reads the settings up to one of them."""
    found: Dict[str, str] = {}
    while last not in found:
        name, _, value = stdout.readline().rstrip("\n").partition("=")
        assert re.fullmatch(r"SEKHA_\w+", name)
        found[name] = value
    return found


def test_greets_with_what_it_has_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "memory.db"
    store = Store(file)
    for number in range(3):
        store.add("x", "/", 5, [NewMessage("user", f"Number {number}.")] * 400)
    store.set_fact("last_backup", "2026-01-31T09:30:00Z")
    store.close()
    assert running_serve(monkeypatch, "--data", str(file)) == 0
    out, err = capsys.readouterr()
    assert all(line.startswith("SEKHA_") for line in out.splitlines())
    lines = err.splitlines()
    counted = "  3 conversations, 1,200 messages, version 2, last backup 2026-01-31T09:30:00Z"
    assert counted in lines
    found = re.compile(r"  ([\d,]+) of 1,200 messages searchable by parts of words(; the rest is being computed)?")
    assert found.fullmatch(lines[lines.index(counted) + 1])
    embeddings = "Embeddings: built-in word hashing, which matches words, not meaning. For a model: --embeddings-url."
    assert embeddings in lines
    assert "Model: none; answers quote memories. For a model: --llm-url." in lines
    assert running_serve(monkeypatch, "--data", str(file), "--embeddings-url", "http://127.0.0.1:1/v1") == 0
    lines = capsys.readouterr().err.splitlines()
    assert any(
        line.startswith("  0 of 1,200 messages searchable by meaning; the rest is computed once") for line in lines
    )
    assert not any(line.startswith("Embeddings: ") for line in lines)


def test_a_new_file_and_one_in_memory_are_greeted_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for profile in PROFILES:
        words = ("--profile", profile, "--data", str(tmp_path / profile))
        assert running_serve(monkeypatch, *words) == 0
        said = "  0 conversations, 0 messages, version 2, last backup none (create one with sekha backup FILE)"
        assert said in capsys.readouterr().err.splitlines()
    assert running_serve(monkeypatch) == 0
    assert "conversations" not in capsys.readouterr().err


def fails(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 1) -> str:
    assert main(["serve", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("sekha serve: ")
    assert err.count("\n") == 1
    return err


def test_failures_are_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1:{port}: " in fails(capsys, "--port", port, "--bridge-port", "0")
    assert "cannot use the data file" in fails(capsys, *FREE, "--data", str(tmp_path / "no" / "such"))
    assert "cannot listen on no.such.host.invalid:0" in fails(
        capsys, *FREE, "--no-key", "--host", "no.such.host.invalid"
    )
    assert "the profile documented" in fails(capsys, *FREE, "--mcp-api-key", "k" * 32, code=2)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "70000"], "'--port': 70000 is "),
        (["--bridge-port", "-1"], "'--bridge-port': -1 is "),
        (["--profile", "wrong"], "'--profile': 'wrong' is not one of 'documented', 'controller-0.1'"),
        (["--llm-url", "localhost"], "the URL of a model must look like http://host:port/v1"),
        (["--embeddings-url", "http://[::1"], "the URL of a model must look like http://host:port/v1"),
        (["--host", " "], "must not be blank"),
        (["--force"], "--force requires --env-file"),
        (["--api-key-file", "missing"], "does not exist"),
        (["--api-key-file", __file__, "--api-key", "k"], "cannot be combined"),
    ],
)
def test_wrong_usage_is_2(words: List[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *FREE, *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in " ".join(err.split())


def test_the_profiles_are_those_of_the_local_sekha() -> None:
    assert [profile.value for profile in Profile] == [*PROFILES]


# Settings for others


def running_serve(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Runs the command in this process, and stops it as soon as it is up."""
    monkeypatch.setattr("time.sleep", lambda seconds: signal.raise_signal(signal.SIGTERM) if seconds == 0.1 else None)
    return main(["serve", *FREE, *words])


def test_the_standard_output_has_the_settings_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("sk mine #1\n", encoding="utf-8")
    assert running_serve(monkeypatch, "--api-key-file", str(tmp_path / "key")) == 0
    out, err = capsys.readouterr()
    assert all(line.startswith("SEKHA_") for line in out.splitlines())
    (tmp_path / ".env").write_text(out, encoding="utf-8")
    assert SekhaConfig.from_env(tmp_path / ".env").api_key == "sk mine #1"
    assert "SEKHA_RATE_LIMIT_REQUESTS=none" in out.splitlines()
    assert "Sekha is running. Press Ctrl-C to stop it." in err
    assert "sk mine" not in err
    assert err.endswith("stopped\n")


def test_a_file_gets_the_settings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("# mine\nDEBUG=1\n", encoding="utf-8")
    assert running_serve(monkeypatch, "--env-file", str(file)) == 0
    out, err = capsys.readouterr()
    assert f"Client settings, written to {file}:" in err
    assert file.read_text("utf-8") == f"# mine\nDEBUG=1\n{out}"
    assert os.name == "nt" or file.stat().st_mode & 0o077 == 0
    before = file.read_text("utf-8")
    assert running_serve(monkeypatch, "--env-file", str(file)) == 1, "the free ports are others now"
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"sekha serve: {file} has a different SEKHA_CONTROLLER_URL and SEKHA_BRIDGE_URL; use --force")
    assert file.read_text("utf-8") == before
    assert running_serve(monkeypatch, "--env-file", str(file), "--force") == 0
    out, _ = capsys.readouterr()
    assert file.read_text("utf-8") == f"# mine\nDEBUG=1\n{out}"


def test_a_model_that_does_not_answer_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert running_serve(monkeypatch, "--llm-url", "http://127.0.0.1:1/v1") == 0
    _, err = capsys.readouterr()
    assert "Models, not all available: embedding ok, chat error (openai server http://127.0.0.1:1/v1: " in err


def test_models_that_answer_are_named(
    server: FakeServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEKHA_LLM_KEY", "sk-llm")
    monkeypatch.setenv("SEKHA_EMBEDDINGS_KEY", "sk-embeddings")
    server.always("GET /v1/models", answer({"data": [{"id": "qwen3:8b"}, {"id": "bge-m3"}]}))
    url = f"{server.url}/v1"
    named = ("--llm-url", url, "--llm-model", "qwen3:8b", "--embeddings-url", url, "--embeddings-model", "bge-m3")
    prefixes = ("--query-prefix", "query: ", "--passage-prefix", "passage: ")
    assert running_serve(monkeypatch, *named, *prefixes) == 0
    out, err = capsys.readouterr()
    assert "Models: embedding bge-m3, chat qwen3:8b\n" in err
    assert "sk-" not in err.replace("sk-local", "")
    assert "sk-llm" not in out
    assert {seen.headers["authorization"] for seen in server.seen} == {"Bearer sk-llm", "Bearer sk-embeddings"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 1, "has several models: set one with llm_model (--llm-model); it has bge-m3, qwen3:8b"),
        (
            ("--llm-model", "gpt-4"),
            1,
            "has no model gpt-4 (set with llm_model (--llm-model)); it has bge-m3, qwen3:8b",
        ),
        (("--llm-model", " "), 2, "llm_model must not be blank"),
        (("--embeddings-model", "bge-m3"), 2, "embeddings_model requires embeddings_url"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(
    server: FakeServer, capsys: pytest.CaptureFixture[str], words: Tuple[str, ...], code: int, said: str
) -> None:
    server.always("GET /v1/models", answer({"data": [{"id": "bge-m3"}, {"id": "qwen3:8b"}]}))
    assert said in fails(capsys, *FREE, "--llm-url", f"{server.url}/v1", *words, code=code)


def test_a_key_that_cannot_be_sent_is_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEKHA_LLM_KEY", "sk secret")
    said = fails(capsys, *FREE, "--llm-url", "http://host/v1", code=2)
    assert "llm_key must consist of ASCII" in said
    assert "secret" not in said


@pytest.mark.parametrize("content", [b"", b" \n", b"one\ntwo\n"])
def test_a_file_without_a_key_is_wrong_usage(
    content: bytes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "key").write_bytes(content)
    assert main(["serve", *FREE, "--api-key-file", str(tmp_path / "key")]) == 2
    assert "must contain an API key on a single line" in capsys.readouterr().err


def test_says_how_to_install_the_extra() -> None:
    command, environment = serve(*FREE, before="import sys; sys.modules['uvicorn'] = None; ")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    line = 'sekha serve: the local server requires the extra local: pip install "sekha-python-sdk[local]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_warns_when_everybody_may_write_and_serves_until_sigterm() -> None:
    command, environment = serve(*FREE, "--host", "0.0.0.0", "--no-key")
    with running(command, environment) as process:
        assert process.stderr is not None
        said = [*read_greeting(process.stderr), process.stderr.readline()]
        assert said[-1].endswith("can read and write this memory.\n")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
        assert (process.returncode, err) == (0, "stopped\n")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has the real Ctrl-Break")
def test_ctrl_break_stops_it_too() -> None:
    """On Windows, where SIGTERM ends a process at once."""
    before = "import signal; signal.SIGBREAK = signal.SIGUSR1; "
    command, environment = serve(*FREE, before=before)
    with running(command, environment) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Sekha is running")
        process.send_signal(signal.SIGUSR1)
        _, err = process.communicate(timeout=10)
        assert (process.returncode, err.splitlines()[-1]) == (0, "stopped")


def test_the_other_profile_has_a_key_for_the_tools_and_none_for_the_rest() -> None:
    reachable = ("--host", "0.0.0.0", "--no-key")
    command, environment = serve(*FREE, "--profile", "controller-0.1", "--mcp-api-key", "k" * 32, *reachable)
    with running(command, environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        found = read_settings(process.stdout, "SEKHA_MCP_API_KEY")
        assert found["SEKHA_MCP_API_KEY"] == "k" * 32
        assert httpx.get(found["SEKHA_CONTROLLER_URL"] + "/api/v1/conversations", verify=False).status_code == 200
        said = [*read_greeting(process.stderr), process.stderr.readline()]
        who = "everyone who can reach 0.0.0.0"
        assert said[-1] == f"Warning: without an API key, {who} can read and write this memory.\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "serve" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "local server in the foreground" in capsys.readouterr().out
    assert main(["serve", "--help"]) == 0
    assert "--embeddings-url" in capsys.readouterr().out
    for words in (["bake"], ["serve", "--port", "many"]):
        assert main(words) == 2


def test_a_command_is_imported_when_it_is_chosen() -> None:
    check = "import sys, sekha.cli; sekha.cli.main([]); print(sys.modules.keys() & {'starlette', 'sekha.cli.serve'})"
    command, environment = python("-c", check)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    assert sys.modules["sekha.cli"]
