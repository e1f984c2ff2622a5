from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import httpx
import pytest

import sekha as package
from sekha.local import LocalSekha

Create = Callable[..., str]
CONTRACT: List[Dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "contract.json").read_text("utf-8"))
UNKNOWN = "11111111-2222-4333-8444-555555555555"
KEY = {"authorization": "Bearer any key at all"}


@pytest.fixture(scope="session")
def shared() -> Iterator[LocalSekha]:
    """One server for all tests that do not mind what others have stored."""
    with LocalSekha() as sekha:
        yield sekha


@pytest.fixture(scope="session")
def api(shared: LocalSekha) -> Iterator[httpx.Client]:
    with httpx.Client(verify=False, base_url=shared.controller_url, headers=KEY) as client:
        yield client


@pytest.fixture(scope="session")
def bridge(shared: LocalSekha) -> Iterator[httpx.Client]:
    with httpx.Client(verify=False, base_url=shared.bridge_url) as client:
        yield client


@pytest.fixture(scope="module")
def own_api() -> Iterator[httpx.Client]:
    """A server for one module alone."""
    with LocalSekha() as sekha, httpx.Client(verify=False, base_url=sekha.controller_url, headers=KEY) as client:
        yield client


@pytest.fixture(scope="session")
def filed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuple[LocalSekha, httpx.Client, Path]]:
    file = tmp_path_factory.mktemp("local") / "memory.db"
    with (
        LocalSekha(data=file, no_key=True) as sekha,
        httpx.Client(verify=False, base_url=sekha.controller_url, headers=KEY) as client,
    ):
        yield sekha, client, file


@pytest.fixture
def fresh(filed: Tuple[LocalSekha, httpx.Client, Path]) -> Tuple[httpx.Client, Path]:
    """A server with an empty data file, and the file."""
    sekha, client, file = filed
    sekha.forget()
    return client, file


def change(file: Path, script: str) -> None:
    """Changes a data file behind the back of its server."""
    database = sqlite3.connect(file)
    database.executescript(script)
    database.close()


def create(api: httpx.Client, *texts: str, label: str = "Label", folder: str = "/folder", **more: Any) -> str:
    """Stores a conversation, user and assistant in turns, and gives its id."""
    messages = [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(texts)]
    answer = api.post("/api/v1/conversations", json={"label": label, "folder": folder, "messages": messages, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def tool(api: httpx.Client, name: str, **arguments: Any) -> Any:
    """The data of an MCP tool's answer."""
    answer = api.post(f"/mcp/tools/{name}", json=arguments)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"success", "data", "error"}
    assert body["success"] is True
    assert body["error"] is None
    return body["data"]


def python(*arguments: str) -> Tuple[List[str], Dict[str, str]]:
    """A command line for another Python with this package, and its environment."""
    source = str(Path(package.__file__ or "").parents[1])
    path = os.pathsep.join(part for part in (source, os.environ.get("PYTHONPATH")) if part)
    return [sys.executable, "-W", "error", *arguments], {**os.environ, "PYTHONPATH": path}


def output(code: str, *arguments: str) -> str:
    """What a program prints in another Python; it must not complain."""
    command, environment = python("-c", code, *arguments)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@contextmanager
def running(command: List[str], environment: Dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process with pipes that ends with the block, come what may."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(ready: Callable[[], bool], seconds: float = 10.0) -> None:
    limit = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.01)
