"""`sekha mcp` as somebody types it: wrong usage and missing settings. How it serves is in `tests/mcp_server`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, List

import pytest

from cli.conftest import Run

TOOLS = "memory_search, memory_get_context, memory_store, memory_update, memory_prune, memory_export, memory_stats"


@pytest.fixture(autouse=True)
def _with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these tests comes so far that the package is needed."""
    real = importlib.util.find_spec
    monkeypatch.setattr("sekha.cli.mcp.find_spec", lambda name: object() if name == "mcp" else real(name))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tools", "memory_delete"], f"--tools: there is no tool 'memory_delete'; there are {TOOLS}"),
        (["--tools", "memory_stats,"], ""),
        (["--tools", ","], f"--tools: names no tool; there are {TOOLS}"),
        (["--tools", "memory_store", "--read-only"], "--tools: memory_store changes the memory, which --read-only"),
        (
            ["--tools", "memory_prune", "--folder", "/a"],
            "--tools: memory_prune applies to the whole memory, and --folder",
        ),
        (["--folder", "/"], "--folder: '/' is not a folder below /, such as /work/shop\n"),
        (
            ["--folder", "/a/"],
            "--folder: '/a/' ends with /: use /a for that folder, or add the missing name",
        ),
        (["--folder", "a/b/"], "--folder: 'a/b/' ends with /: use /a/b for that folder"),
        (["--folder", "/a//"], "--folder: '/a//' contains an empty name between two /\n"),
        (["--folder", "/a/ /b"], "--folder: '/a/ /b' contains an empty name between two /\n"),
        (["--folder", "/a/../b"], "--folder: must not contain . or .. as a name"),
        (["--folder", " "], "must not be blank"),
        (["--port", "1"], "--host, --port and --allow-host require --http"),
        (["--host", "::"], "--host, --port and --allow-host require --http"),
        (["--http", "--port", "65536"], "--port"),
        (["--http", "--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines: set SEKHA_MCP_TOKEN to a token"),
        (["--http", "--host", "::"], ":: can be reached from other machines: set SEKHA_MCP_TOKEN to a token"),
        (["--http", "--allow-host", "x:1"], "--allow-host: must be a name without scheme and port, such as memory."),
        (["--url", "localhost"], "--url: it must start with http://"),
    ],
)
def test_wrong_usage_is_2_and_nothing_is_served(
    words: List[str], said: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sekha.mcp_server.stdio.claim_wire", lambda: None)
    monkeypatch.setattr("sekha.mcp_server.run.run_stdio", lambda *_: None)
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", "http://localhost:9")
    monkeypatch.setenv("SEKHA_API_KEY", "canary")
    done = run("mcp", *words)
    assert (done.code, done.out) == (2 if said else 0, "")
    assert said in done.err


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "SEKHA_MCP_TOKEN is empty: set it to a token, or unset it"),
        ("short", "SEKHA_MCP_TOKEN must have 16 characters or more"),
        ("sixteen letters and more", "SEKHA_MCP_TOKEN must be printable ASCII without spaces"),
        ("sixteenlettersé", "SEKHA_MCP_TOKEN must be printable ASCII without spaces"),
    ],
)
@pytest.mark.parametrize("from_file", [False, True])
def test_a_token_that_cannot_be_used(
    token: str, said: str, from_file: bool, run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if from_file:
        (here / "my.env").write_text(f"SEKHA_MCP_TOKEN='{token}'\n", "utf-8")
    else:
        monkeypatch.setenv("SEKHA_MCP_TOKEN", token)
    done = run("mcp", "--http", *(["--env-file", "my.env"] if from_file else []))
    assert (done.code, done.out, done.err) == (2, "", f"sekha mcp: {said}\n")


def test_the_settings_and_options_are_passed_on(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: List[Any] = []
    monkeypatch.setattr("sekha.mcp_server.run.run_http", lambda *given: served.extend(given))
    monkeypatch.setenv("SEKHA_API_KEY", "canary")
    (here / "my.env").write_text("SEKHA_CONTROLLER_URL=http://file:9\nSEKHA_MCP_TOKEN=a-token-in-a-file\n", "utf-8")
    options = [
        "--env-file",
        "my.env",
        "--folder",
        "/work/shop",
        "--read-only",
        "--tools",
        "memory_stats, memory_search",
    ]
    done = run("mcp", "--http", "--host", "::1", "--port", "0", "--allow-host", "memory.example", *options)
    assert done == (0, "", "")
    config, chosen, http = served
    assert config.controller_url == "http://file:9"
    assert (chosen.folder, chosen.read_only, list(chosen.offered())) == (
        "/work/shop",
        True,
        ["memory_search", "memory_stats"],
    )
    assert (http.host, http.port, http.token, http.allowed_hosts) == (
        "::1",
        0,
        "a-token-in-a-file",
        ("memory.example",),
    )


@pytest.mark.parametrize("address", ["", "http://localhost:9"])
def test_a_project_cannot_send_the_key_elsewhere(
    address: str, run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: List[Any] = []
    monkeypatch.setattr("sekha.mcp_server.run.run_http", lambda *given: served.extend(given))
    monkeypatch.setenv("SEKHA_API_KEY", "canary")
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", address)
    (here / ".env").write_text("SEKHA_PROXY=http://evil:9\nSEKHA_CONTROLLER_URL=http://evil:9\n", "utf-8")
    done = run("mcp", "--http")
    if address:
        assert done == (0, "", "")
        assert (served[0].controller_url, served[0].proxy) == (address, None)
    else:
        assert (done.code, served) == (1, [])
        assert "set SEKHA_CONTROLLER_URL in the environment" in done.err


def test_it_asks_for_nothing_at_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.mcp_server.stdio.claim_wire", lambda: None)
    where = "in the environment, or pass --env-file FILE"
    done = run("mcp", terminal="a key\n")
    assert (done.code, done.out) == (1, "")
    assert f"set SEKHA_CONTROLLER_URL and SEKHA_API_KEY {where}" in done.err
    done = run("mcp", "--url", "http://localhost:9", terminal="a key\n")
    assert (done.code, done.out) == (1, "")
    assert f"set SEKHA_API_KEY {where}" in done.err
    assert run("mcp", "--env-file", "gone").code == 2


def test_without_the_package_it_says_what_it_needs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.cli.mcp.find_spec", lambda name: None)
    assert run("mcp") == (
        1,
        "",
        "sekha mcp: requires Python 3.10 or later and the extra mcp: pip install 'sekha-python-sdk[cli,mcp]'\n",
    )
