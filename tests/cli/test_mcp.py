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
            "--tools: memory_prune is about the whole memory, and --folder",
        ),
        (["--folder", "/"], "--folder: '/' is not a folder below /, such as /work/shop\n"),
        (
            ["--folder", "/a/"],
            "--folder: '/a/' ends with /: write /a for that folder, or add the name that is",
        ),
        (["--folder", "a/b/"], "--folder: 'a/b/' ends with /: write /a/b for that folder"),
        (["--folder", "/a//"], "--folder: '/a//' has an empty name between two /\n"),
        (["--folder", "/a/ /b"], "--folder: '/a/ /b' has an empty name between two /\n"),
        (["--folder", "/a/../b"], "--folder: must not have . or .. for a folder"),
        (["--folder", " "], "must not be blank"),
        (["--port", "1"], "--host, --port and --allow-host need --http"),
        (["--host", "::"], "--host, --port and --allow-host need --http"),
        (["--http", "--port", "65536"], "--port"),
        (["--http", "--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines: set SEKHA_MCP_TOKEN to a token"),
        (["--http", "--host", "::"], ":: can be reached from other machines: set SEKHA_MCP_TOKEN to a token"),
        (["--http", "--allow-host", "x:1"], "--allow-host: must be a name without scheme and port, such as memory."),
        (["--url", "localhost"], "--url: it must begin with http://"),
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
        (here / ".env").write_text(f"SEKHA_MCP_TOKEN='{token}'\n", "utf-8")
    else:
        monkeypatch.setenv("SEKHA_MCP_TOKEN", token)
    done = run("mcp", "--http")
    assert (done.code, done.out, done.err) == (2, "", f"sekha mcp: {said}\n")


def test_the_settings_and_options_are_passed_on(run: Run, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: List[Any] = []
    monkeypatch.setattr("sekha.mcp_server.run.run_http", lambda *given: served.extend(given))
    monkeypatch.setenv("SEKHA_API_KEY", "canary")
    (here / ".env").write_text("SEKHA_CONTROLLER_URL=http://file:9\nSEKHA_MCP_TOKEN=a-token-in-a-file\n", "utf-8")
    options = ["--folder", "/work/shop", "--read-only", "--tools", "memory_stats, memory_search"]
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


@pytest.mark.parametrize("has_option", [False, True])
def test_a_project_cannot_send_the_key_of_a_client_elsewhere(
    has_option: bool, run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: List[Any] = []
    monkeypatch.setattr("sekha.mcp_server.run.run_http", lambda *given: served.extend(given))
    monkeypatch.setenv("SEKHA_API_KEY", "canary")
    if not has_option:
        monkeypatch.setenv("SEKHA_CONTROLLER_URL", "http://localhost:9")
    (here / ".env").write_text("SEKHA_PROXY=http://evil:9\nSEKHA_CONTROLLER_URL=http://evil:9\n", "utf-8")
    assert run("mcp", "--http", *(["--url", "http://localhost:9"] if has_option else [])) == (0, "", "")
    assert (served[0].controller_url, served[0].proxy) == ("http://localhost:9", None)


def test_it_asks_for_nothing_at_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.mcp_server.stdio.claim_wire", lambda: None)
    done = run("mcp", terminal="a key\n")
    assert (done.code, done.out) == (1, "")
    assert "which Sekha? give --url, or set SEKHA_CONTROLLER_URL" in done.err
    done = run("mcp", "--url", "http://localhost:9", terminal="a key\n")
    assert (done.code, done.out) == (1, "")
    assert "with which key? set SEKHA_API_KEY" in done.err


def test_without_the_package_it_says_what_it_needs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.cli.mcp.find_spec", lambda name: None)
    assert run("mcp") == (
        1,
        "",
        "sekha mcp: this needs Python 3.10 or later and the extra mcp: pip install 'sekha-python-sdk[cli,mcp]'\n",
    )
