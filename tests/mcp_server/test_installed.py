"""`sekha mcp` from the built wheel in a fresh environment: it starts, and does its job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest

from sekha.local import LocalSekha
from support.mcp_programs import (
    NEWEST_MCP,
    ROOT,
    TOOLS,
    StdioServer,
    environment_with,
    mcp_versions,
    need_mcp,
    variables,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("version", mcp_versions())
def test_the_installed_server_stores_and_finds(
    version: str, sekha: LocalSekha, tmp_path_factory: pytest.TempPathFactory
) -> None:
    need_mcp()
    environment = environment_with(version, tmp_path_factory)
    assert version in (NEWEST_MCP, environment.version("mcp"))
    env = {**os.environ, **variables(sekha)}
    with StdioServer([str(environment.sekha), "mcp"], env) as server:
        assert server.initialize()["serverInfo"]["name"] == "sekha"
        assert {tool["name"] for tool in server.request("tools/list")["tools"]} == {name for name, _ in TOOLS}

        def call(name: str, arguments: Any) -> List[Any]:
            result = server.request("tools/call", name=name, arguments=arguments)
            assert not result.get("isError"), result
            return [item["text"] for item in result["content"]]

        call(*TOOLS[0])
        assert "We ship on Fridays." in "".join(call(*TOOLS[1]))
        code, errors = server.end()
    assert code == 0, errors
    assert "Traceback" not in errors


@pytest.mark.skipif(sys.version_info >= (3, 10), reason="this Python can run the server")
def test_a_python_that_is_too_old_for_mcp_is_named(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    environment = environment_with(NEWEST_MCP, tmp_path_factory)
    done = subprocess.run(
        [environment.sekha, "mcp"],
        env={**os.environ, "SEKHA_CONTROLLER_URL": "http://localhost:1", "SEKHA_API_KEY": "none"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    words = "requires Python 3.10 or later and the extra mcp"
    assert words in done.stderr
    assert f"`{words}`" in (ROOT / "docs" / "integrations" / "mcp-clients.md").read_text("utf-8")
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
