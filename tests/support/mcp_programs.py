"""MCP servers, clients and test programs as users have them: from npm, or from a wheel in a fresh environment.

What is downloaded is pinned (`tests/mcp_server/conformance/package-lock.json`) or named by its version. Tests are
skipped with a reason where a registry cannot be reached; `REQUIRE_REGISTRIES=1`, which the session `integrations` of
noxfile.py sets, makes them fail instead.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Dict, Iterator, List, NoReturn, Optional, Sequence, Tuple

import pytest

from sekha.local import LocalSekha
from support.packages import require_packages
from support.programs import free_ports, listens

REQUIRE = "REQUIRE_REGISTRIES"
"""The variable with which the session `integrations` forbids skips."""
ROOT = Path(__file__).parents[2]
PINNED = ROOT / "tests" / "mcp_server" / "conformance"
NPM_PROGRAMS = {
    "conformance": "@modelcontextprotocol/conformance/dist/index.js",
    "inspector": "@modelcontextprotocol/inspector/clients/launcher/build/index.js",
}
OLDEST_NODE = (22, 19)
OLDEST_MCP = "1.24.0"
NEWEST_MCP = "newest"
SYSTEM = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
"""The environment with which the tests began: certificates and proxies of the machine, which no test else may see."""


_OFFLINE = "dns error|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|network|from versions: none"
"""What programs print that reach no registry."""
_UNREACHABLE: Dict[str, str] = {}
"""What could not be reached, by the reason of the skip: it is tried once only."""


def mcp_versions() -> Tuple[str, ...]:
    """The versions of `mcp` to test with: the oldest and the newest, or those of the variable `MCP_VERSIONS`."""
    return tuple(os.environ.get("MCP_VERSIONS", f"{OLDEST_MCP} {NEWEST_MCP}").split())


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail where everything has to be there."""
    if os.environ.get(REQUIRE):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def need_mcp() -> None:
    """Skip the test where `mcp` cannot be installed, or is not."""
    if sys.version_info < (3, 10):
        pytest.skip("the package mcp needs Python 3.10")
    require_packages("mcp", "mcp")


def need_second_major() -> None:
    """Skip the test where `mcp` is not installed, or is of its first major."""
    need_mcp()
    if version("mcp").startswith("1."):
        pytest.skip("installed is the first major of mcp, which has not all revisions of the protocol")


# Programs from npm


def npm_program(name: str) -> List[str]:
    """The beginning of the command of a program of `conformance/package.json`, which is installed if it is not yet.

    Args:
        name: A key of `NPM_PROGRAMS`.
    """
    if shutil.which("npm") is None:
        unavailable("not installed: npm (a package of the system)")
    folder = _installed_from_npm()
    node = folder / "node_modules" / ".bin" / "node"
    if node.exists():
        return [str(node), str(folder / "node_modules" / NPM_PROGRAMS[name])]
    system = shutil.which("node")
    found = subprocess.run([system or "node", "--version"], capture_output=True, text=True, timeout=60).stdout
    version = tuple(int(part) for part in re.findall(r"\d+", found)[:2])
    if system is None or version < OLDEST_NODE:
        unavailable(f"Node.js {'.'.join(map(str, OLDEST_NODE))} or newer is needed, and this is {found.strip()}")
    return [system, str(folder / "node_modules" / NPM_PROGRAMS[name])]


def _installed_from_npm() -> Path:
    """A folder outside the checkout with what the lock file lists, for as long as the lock file stays the same."""
    lock = (PINNED / "package-lock.json").read_bytes()
    base = Path(SYSTEM.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sekha-python-sdk-tests"
    folder = base / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    with locked(folder):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=base) as unfinished:
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(PINNED / name, unfinished)
                options = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0", "--loglevel=error")
                download(["npm", "ci", *options], Path(unfinished), "the registry of npm cannot be reached")
                folder.mkdir()
                os.replace(Path(unfinished, "node_modules"), folder / "node_modules")
    return folder


# Environments of Python


def wheel(factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built once in a run of the tests.

    Args:
        factory: The fixture `tmp_path_factory`.
    """
    require_packages("types", "hatchling")
    folder = _shared(factory) / "wheel"
    with locked(folder):
        if not folder.exists():
            folder.mkdir()
            code = f"from hatchling.build import build_wheel; build_wheel({str(folder)!r})"
            done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


def _shared(factory: pytest.TempPathFactory) -> Path:
    """A folder of all processes of this run of the tests."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


class Environment:
    """A fresh environment with the wheel, its extras `cli` and `mcp`, and one version of `mcp`.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin" / "python"
        self.sekha = folder / "bin" / "sekha"

    def version(self, package: str) -> str:
        """The version of an installed package."""
        code = f"from importlib.metadata import version; print(version({package!r}))"
        done = subprocess.run([self.python, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip()


def environment_with(mcp: str, factory: pytest.TempPathFactory) -> Environment:
    """Make the environment, once in a run of the tests.

    Args:
        mcp: The version of `mcp`, or `newest`.
        factory: The fixture `tmp_path_factory`.
    """
    folder = _shared(factory) / f"mcp-{mcp}"
    built = wheel(factory)
    with locked(folder):
        if not folder.exists():
            wanted = [] if mcp == NEWEST_MCP else [f"mcp=={mcp}"]
            python = str(folder / "bin" / "python")
            install = [python, "-m", "pip", "install", "-q", "--retries=0", f"{built}[cli,mcp]", *wanted]
            try:
                subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
                download(install, folder, "the package index cannot be reached")
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)  # the next test tries again
                raise
    return Environment(folder)


def download(command: Sequence[str], folder: Path, reason: str) -> None:
    """Run a program that needs the network; without it, the test is skipped.

    Args:
        command: The program.
        folder: Where it runs.
        reason: What cannot be reached then.
    """
    if reason not in _UNREACHABLE:
        done = subprocess.run(command, cwd=folder, env=SYSTEM, capture_output=True, text=True, timeout=300)
        if done.returncode == 0:
            return
        output = done.stdout + done.stderr
        sign = re.search(_OFFLINE, output)
        if sign is None:
            pytest.fail(f"{' '.join(command)}:\n{output}", pytrace=False)
        _UNREACHABLE[reason] = sign.group()
    unavailable(f"{reason} ({_UNREACHABLE[reason]})")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes of the tests away from a path in this block."""
    import fcntl  # Windows has none, and runs none of these tests

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# Servers


TOOLS: List[Tuple[str, Dict[str, Any]]] = [
    ("memory_store", {"messages": [{"role": "user", "content": "We ship on Fridays."}], "label": "Shipping"}),
    ("memory_search", {"query": "When do we ship?"}),
    ("memory_get_context", {"query": "When do we ship?"}),
    ("memory_update", {"conversation_id": "$id", "label": "Delivery"}),
    ("memory_prune", {}),
    ("memory_export", {"conversation_id": "$id"}),
    ("memory_stats", {}),
]
"""One call of each tool; `$id` stands for the conversation that the first one stores."""


def variables(sekha: LocalSekha) -> Dict[str, str]:
    """The environment in which `sekha mcp` uses a local Sekha, as a client of MCP would set it."""
    return {
        "SEKHA_CONTROLLER_URL": sekha.controller_url,
        "SEKHA_BRIDGE_URL": sekha.bridge_url,
        "SEKHA_API_KEY": str(sekha.api_key),
    }


def sekha_mcp(python: Optional[Path] = None) -> List[str]:
    """The command `sekha mcp` of this checkout, or of another environment."""
    return [str(python or sys.executable), "-m", "sekha", "mcp"]


@contextmanager
def serving(sekha: LocalSekha, *options: str, command: Optional[Sequence[str]] = None) -> Iterator[str]:
    """Run `sekha mcp --http` until the end of the block, and give its address.

    Args:
        sekha: Where it stores.
        options: Further options.
        command: The command, if not that of this checkout.
    """
    (port,) = free_ports(1)
    whole = [*(command or sekha_mcp()), "--http", "--port", str(port), *options]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        environment = {**os.environ, **variables(sekha)}
        process = subprocess.Popen(
            whole, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )

        def printed() -> str:
            output.seek(0)
            return output.read()

        try:
            limit = time.monotonic() + 60
            while not listens(port):
                assert process.poll() is None, f"{whole} does not start:\n{printed()}"
                assert time.monotonic() < limit, f"{whole} does not listen:\n{printed()}"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(30)
                raise AssertionError(f"{whole} goes on after SIGTERM:\n{printed()}") from None


class StdioServer:
    """An MCP server on stdin and stdout, and an exchange of JSON-RPC with it.

    Args:
        command: What starts it.
        environment: Its environment.
    """

    def __init__(self, command: Sequence[str], environment: Dict[str, str]) -> None:
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
        )
        self._number = 0

    def __enter__(self) -> StdioServer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def request(self, method: str, **params: Any) -> Any:
        """Send a request, and give the result. A line that is no JSON-RPC message fails the test."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._number:
                assert "result" in message, message
                return message["result"]
            assert "method" in message, message  # a notification

    def notify(self, method: str) -> None:
        """Send a notification."""
        self._send({"method": method})

    def initialize(self) -> Any:
        """Begin the session, as clients do, and give the server's answer."""
        version, client = "2025-06-18", {"name": "test", "version": "1"}
        result = self.request("initialize", protocolVersion=version, capabilities={}, clientInfo=client)
        self.notify("notifications/initialized")
        return result

    def end(self) -> Tuple[int, str]:
        """Close its stdin, and give its exit code and what it printed on stderr; stdout must have had no more lines."""
        rest, _ = self._process.communicate(timeout=30)
        assert rest == ""
        return self._process.returncode, self.errors()

    def errors(self) -> str:
        """What it printed on stderr."""
        self._errors.seek(0)
        return self._errors.read()

    def _send(self, message: Dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self._process.stdin.flush()

    def _receive(self) -> Dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the server has ended: {self.errors()}"
        message = json.loads(line)
        assert message["jsonrpc"] == "2.0", line
        return dict(message)
