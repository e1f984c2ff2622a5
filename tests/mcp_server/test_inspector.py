"""The command line of the MCP Inspector at `sekha mcp`, over stdio and HTTP."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from sekha.local import LocalSekha
from support.mcp_programs import TOOLS, need_mcp, need_second_major, npm_program, sekha_mcp, serving, variables

pytestmark = pytest.mark.slow

TOOL_FAILED = 5
"""The exit code of the Inspector for a result that is an error."""


class Inspector:
    """The Inspector and one server.

    Args:
        command: The Inspector.
        target: Its arguments for the server.
        home: A folder for its settings.
    """

    def __init__(self, command: List[str], target: List[str], home: Path) -> None:
        self._command, self._target, self._home = command, target, home

    def __call__(self, method: str, *options: str, code: int = 0) -> Any:
        """Run it, and give the result."""
        done = subprocess.run(
            [*self._command, "--cli", *self._target, "--method", method, "--format", "json", "-q", *options],
            env={**os.environ, "HOME": str(self._home)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)["result"]

    def call(self, tool: str, arguments: Any, code: int = 0) -> Any:
        """Call a tool."""
        return self("tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments), code=code)


@pytest.fixture(params=["stdio", "http"])
def inspect(request: pytest.FixtureRequest, sekha: LocalSekha, tmp_path: Path) -> Iterator[Inspector]:
    """An Inspector of a server."""
    need_mcp()
    program = npm_program("inspector")
    if request.param == "stdio":
        needed = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}  # it passes on no others
        needed.update(variables(sekha))
        environment = [part for name, value in needed.items() for part in ("-e", f"{name}={value}")]
        yield Inspector(program, [*environment, *sekha_mcp()], tmp_path)
        return
    with serving(sekha) as url:
        yield Inspector(program, [url, "--transport", "http"], tmp_path)


def test_the_inspector_lists_calls_and_reads_all_that_the_server_has(inspect: Inspector) -> None:
    tools = inspect("tools/list", "--strict")["tools"]  # fails if a schema is not portable
    assert {tool["name"] for tool in tools} == {name for name, _ in TOOLS}
    assert all(tool["outputSchema"]["type"] == "object" and tool["annotations"] for tool in tools)

    stored = inspect.call(*TOOLS[0])["structuredContent"]
    assert "We ship on Fridays." in json.dumps(inspect.call(*TOOLS[1])["structuredContent"])
    failed = inspect.call("memory_search", {"query": " "}, code=TOOL_FAILED)
    assert "query" in failed["content"][0]["text"]

    (template,) = inspect("resources/templates/list")["resourceTemplates"]
    uri = template["uriTemplate"].replace("{id}", stored["conversation_id"])
    assert "We ship on Fridays." in json.dumps(inspect("resources/read", "--uri", uri))

    (prompt,) = inspect("prompts/list")["prompts"]
    assert prompt["description"]
    read = inspect("prompts/get", "--prompt-name", prompt["name"], "--prompt-args", "topic=When do we ship?")
    assert "We ship on Fridays." in json.dumps(read["messages"])


def test_the_newer_era_of_the_protocol_can_be_negotiated(inspect: Inspector) -> None:
    need_second_major()
    assert len(inspect("tools/list", "--protocol-era", "modern")["tools"]) == len(TOOLS)
