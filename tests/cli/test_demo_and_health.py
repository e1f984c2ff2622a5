"""`sekha demo` and `sekha health`, as somebody types them."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import Terminal, connect
from sekha import SekhaClient
from sekha.cli import main
from sekha.cli.demo import FOLDER
from sekha.cli.terminal import has_color, styled
from sekha.local import LocalSekha


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEKHA_API_KEY", "sk-demo")


def test_the_demo_tells_the_main_job_from_start_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    said, complaints = capsys.readouterr()
    assert complaints == ""
    story = [
        "Started a local server",
        "Storing 5 conversations",
        "Searching: ",
        "Which services do we deploy with docker and kubernetes?",
        "Assembling context",
        "Completing with context",
        "local-extractive",
        "The same, streamed",
        "5 conversations, 10 messages",
        "The async client",
        "login tokens       How long should login tokens live?",
        'an answer: "When does the beta ship?"',
        "Next steps",
        "sekha serve",
        "from sekha import SekhaClient",
    ]
    places = [said.find(words) for words in story]
    assert -1 not in places, story[places.index(-1)]
    assert places == sorted(places)
    assert "\033[" not in said  # no colour where there is no terminal


def test_the_demo_streams_what_it_completes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    answers = [line for line in lines if line.startswith("  I can only quote")]
    assert len(answers) == 3
    assert answers[0] == answers[1]


@pytest.mark.parametrize("profile", ["documented", "controller-0.1"])
def test_the_demo_shows_what_is_relevant_and_nothing_else(
    profile: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalSekha(profile=profile) as sekha:
        connect(sekha.options, monkeypatch)
        assert main(["demo", "--url", sekha.controller_url]) == 0
    said = capsys.readouterr().out
    found, context, *_, last = (part.splitlines()[1:] for part in re.split("\n[*●] ", said)[3:-1])
    assert len(found) == 3
    assert len(context) >= 3
    deployment = re.compile("deploy|docker|kubernetes|database")
    assert all(deployment.search(line) for line in [*found, *context])
    whole = said.partition("Reading statistics")[0].partition("Searching")[2]
    assert not re.search("cinnamon|pie|login|beta", whole)
    assert "beta" in last[-1]
    assert not re.search("kubernetes|cinnamon|login", last[-1])


def test_the_help_of_the_demo_says_that_it_stores(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--help"]) == 0
    assert "stores in the folder /sekha-demo" in " ".join(capsys.readouterr().out.split())


def test_the_demo_runs_on_a_sekha_that_is_there_and_stores_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalSekha() as sekha:
        words = ["demo", "--url", sekha.controller_url, "--bridge-url", sekha.bridge_url]
        assert main(words) == 0
        assert "Storing 5 conversations\n" in capsys.readouterr().out
        assert main(words) == 0
        assert "Storing 0 conversations (5 already stored)" in capsys.readouterr().out
        with SekhaClient(**sekha.options) as client:
            assert client.controller.list_conversations(folder=FOLDER)["total"] == 5


def test_the_demo_without_a_bridge_leaves_the_model_out(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalSekha() as sekha:
        assert main(["demo", "--url", sekha.controller_url]) == 0
    said = capsys.readouterr().out
    assert "No bridge URL" in said
    assert "Completing" not in said


@pytest.mark.parametrize("command", ["demo", "health"])
def test_a_wrong_address_is_one_line_and_no_traceback(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--url", "--bridge-url"):
        assert main([command, option, "localhost:8080"]) == 2
        complaint = capsys.readouterr().err
        assert complaint == f"sekha {command}: {option}: it must start with http:// or https://\n"


def test_a_server_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEKHA_MAX_RETRIES", "0")
    assert main(["demo", "--url", "http://127.0.0.1:1"]) == 5
    complaint = capsys.readouterr().err
    assert complaint.startswith("sekha demo: 127.0.0.1:1: cannot connect")
    assert complaint.count("\n") == 1


def test_health_shows_a_table_and_succeeds_when_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    with LocalSekha() as sekha:
        words = ["health", "--url", sekha.controller_url, "--bridge-url", sekha.bridge_url]
        assert main(words) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["SERVICE", "STATUS", "ADDRESS", "DETAIL"]
    assert [row.split()[:2] for row in rows] == [["controller", "healthy"], ["bridge", "healthy"], ["mcp", "healthy"]]


def test_health_fails_when_a_service_is_not_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEKHA_API_KEY", "sk-wrong")
    with LocalSekha(api_key="sk-right") as sekha:
        assert main(["health", "--url", sekha.controller_url]) == 1
    rows = {row.split()[0]: row.split()[1] for row in capsys.readouterr().out.splitlines()[1:]}
    assert rows == {"controller": "unauthorized", "bridge": "not_configured", "mcp": "unauthorized"}


def test_the_command_line_reads_a_file_named_dot_env(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with LocalSekha() as sekha:
        (tmp_path / ".env").write_text(
            f"SEKHA_CONTROLLER_URL={sekha.controller_url}\nSEKHA_API_KEY=sk\nSEKHA_BRIDGE_URL={sekha.bridge_url}\n"
        )
        assert main(["health"]) == 0
    assert "healthy" in capsys.readouterr().out


def test_without_settings_the_line_says_what_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health"]) == 1
    assert "SEKHA_CONTROLLER_URL" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="no console has this terminal; tests/unit/cli has one")
def test_colour_is_for_terminals_whose_users_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert has_color(Terminal())
    assert not has_color(io.StringIO())
    assert styled("well", "bold", "green", stream=Terminal()) == "\033[1;32mwell\033[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert not has_color(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not has_color(Terminal())


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sekha", "health", "--help"], capture_output=True, text=True, check=True
    )
    assert "--bridge-url" in done.stdout
