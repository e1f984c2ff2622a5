"""`sekha serve` and the command line around it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

import httpx
import pytest

from local.conftest import create, python, running
from sekha.cli import main

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
            told = [process.stdout.readline() for _ in range(9)]
            found = dict(re.findall(r"^(SEKHA_\w+)=(.*)$", "".join(told), re.MULTILINE))
            names = ("CONTROLLER_URL", "API_KEY", "BRIDGE_URL", "PROXY", "RATE_LIMIT_REQUESTS")
            assert set(found) == {f"SEKHA_{name}" for name in names}
            assert found["SEKHA_RATE_LIMIT_REQUESTS"] == "none"
            assert str(file) in told[0]
            headers = {"authorization": f"Bearer {found['SEKHA_API_KEY']}"}
            with httpx.Client(verify=False, base_url=found["SEKHA_CONTROLLER_URL"], headers=headers) as api:
                assert api.get("/api/v1/conversations").json()["total"] == count
                create(api, "x")
                assert httpx.get(found["SEKHA_BRIDGE_URL"] + "/health", verify=False).json()["status"] == "healthy"
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=10)
            assert (process.returncode, out, err) == (0, "stopped\n", "")


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["serve", *arguments]) == 1
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
    assert "a port is a number" in fails(capsys, "--port", "70000")
    assert "cannot listen on no.such.host.invalid:0" in fails(capsys, *FREE, "--host", "no.such.host.invalid")
    assert "no profile 'wrong'" in fails(capsys, *FREE, "--profile", "wrong")
    assert "the URL of a model" in fails(capsys, *FREE, "--llm-url", "localhost")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_says_how_to_install_the_extra() -> None:
    command, environment = serve(*FREE, before="import sys; sys.modules['uvicorn'] = None; ")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    line = 'sekha serve: the local Sekha needs its extra: pip install "sekha-python-sdk[local]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_warns_when_everybody_may_write_and_serves_until_sigterm() -> None:
    command, environment = serve(*FREE, "--host", "0.0.0.0")
    with running(command, environment) as process:
        assert process.stderr is not None
        assert "use --api-key" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out.splitlines()[-1], err) == (0, "stopped", "")


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has the real Ctrl-Break")
def test_ctrl_break_stops_it_too() -> None:
    """On Windows, where SIGTERM ends a process at once."""
    before = "import signal; signal.SIGBREAK = signal.SIGUSR1; "
    command, environment = serve(*FREE, before=before)
    with running(command, environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Sekha is running")
        process.send_signal(signal.SIGUSR1)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out.splitlines()[-1], err) == (0, "stopped", "")


def test_the_other_profile_has_a_key_for_the_tools_and_none_for_the_rest() -> None:
    command, environment = serve(*FREE, "--profile", "controller-0.1", "--mcp-api-key", "k" * 32, "--host", "0.0.0.0")
    with running(command, environment) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = [process.stdout.readline() for _ in range(9)]
        found = dict(re.findall(r"^(SEKHA_\w+)=(.*)$", "".join(told), re.MULTILINE))
        assert found["SEKHA_MCP_API_KEY"] == "k" * 32
        assert httpx.get(found["SEKHA_CONTROLLER_URL"] + "/api/v1/conversations", verify=False).status_code == 200
        assert process.stderr.readline() == "Whoever reaches 0.0.0.0 can read and write this memory.\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "serve" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "local Sekha in the foreground" in capsys.readouterr().out
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
