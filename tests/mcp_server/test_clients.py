"""Clients of both majors of the package `mcp` at servers of both, from the wheel, over stdio and HTTP."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, Union

import pytest

from sekha.local import LocalSekha
from support import mcp_client
from support.mcp_programs import TOOLS, environment_with, mcp_versions, need_mcp, sekha_mcp, serving, variables

CLIENT = mcp_client.__file__
FAILS = [("memory_search", {"query": " "}), ("memory_export", {"conversation_id": "no id"}), ("memory_search", {})]
ONE_LINE = 300
"""Characters of an error that a model can read, and no traceback."""


def newest(version: str) -> bool:
    return not version.startswith("1.")


def texts(result: Dict[str, Any]) -> str:
    return "".join(item["text"] for item in result["content"])


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("client", mcp_versions())
@pytest.mark.parametrize("server", mcp_versions())
def test_any_client_uses_every_tool_of_any_server(
    server: str,
    client: str,
    transport: str,
    sekha: LocalSekha,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    need_mcp()
    ours, theirs = environment_with(server, tmp_path_factory), environment_with(client, tmp_path_factory)
    end = tmp_path / "exit code"
    command = sekha_mcp(ours.python)
    with ExitStack() as stack:
        target: Union[str, List[str]]
        if transport == "http":
            target = stack.enter_context(serving(sekha, command=command))
        else:
            target = ["/bin/sh", "-c", f'"$@"; echo $? > "{end}"', "sh", *command]
        plan = {
            "server": target,
            "environment": {**variables(sekha), "PATH": os.environ["PATH"]},
            "calls": [*TOOLS, *FAILS],
            "reads": ["sekha://conversations/$id"],
            "prompts": [["recall", {"topic": "When do we ship?"}]],
        }
        done = subprocess.run(
            [theirs.python, CLIENT, json.dumps(plan)], capture_output=True, text=True, timeout=120, cwd=tmp_path
        )
    assert done.returncode == 0, done.stderr
    came = json.loads(done.stdout)
    assert came["mcp"] == theirs.version("mcp")
    both_new = newest(came["mcp"]) and newest(ours.version("mcp"))
    assert came["protocol"] == ("2026-07-28" if both_new else "2025-11-25")
    if transport == "stdio":
        assert end.read_text("utf-8").strip() == "0"  # by itself: a server that is killed writes nothing

    assert {tool["name"] for tool in came["tools"]} == {name for name, _ in TOOLS}
    results = came["calls"]
    for (name, _), result in zip(TOOLS, results):
        assert not result.get("isError"), (name, texts(result))
        assert result["structuredContent"], name
    assert "We ship on Fridays." in texts(results[1])
    assert "We ship on Fridays." in texts(results[5])
    for (name, _), result in zip(FAILS, results[len(TOOLS) :]):
        assert result["isError"], name
        assert len(texts(result)) < ONE_LINE, texts(result)
    assert "query" in texts(results[len(TOOLS)])
    assert "conversation_id" in texts(results[len(TOOLS) + 1])

    assert [template["uriTemplate"] for template in came["resources"]] == ["sekha://conversations/{id}"]
    assert "We ship on Fridays." in came["reads"][0]["contents"][0]["text"]
    assert [prompt["name"] for prompt in came["listed_prompts"]] == ["recall"]
    assert "We ship on Fridays." in json.dumps(came["prompts"][0]["messages"])
