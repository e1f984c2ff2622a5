"""The SDK's own tests of sessions, from its source distribution, with each session of SQLite in one of ours."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from importlib.metadata import version
from pathlib import Path
from typing import Dict

import pytest

from support.mcp_programs import SYSTEM, unavailable

HASHES = {
    "0.19.4": "fe21778ee1e8216c9cdb775fa86d11b08be68c0184e14023993088d3f812c0be",
    "0.24.0": "4b4b285f4fed81fdf1b4ac426a9101658d9cd29b4fb1aaeee18f639b77e704e3",
}
"""By version: the SHA-256 of the source distribution."""
NUMBERS = {"0.19.4": 161, "0.24.0": 361}
"""By version: how many of them pass."""
FAILING = {
    "0.19.4": {},
    "0.24.0": {
        "test_sqlite_session_rollback_failure_evicts_connection": "replaces a private method twice, and pytest looks "
        "into the __dict__ of the session for what it was",
    },
}
"""By version: those that fail, and why."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of the version that is installed, unpacked."""
    installed = version("openai-agents")
    if installed not in HASHES:
        pytest.skip(f"the hash of the source distribution of openai-agents {installed} is not a known argument")
    into = tmp_path_factory.mktemp("sdist")
    requirements = into / "requirements.txt"
    requirements.write_text(f"openai-agents=={installed} --hash=sha256:{HASHES[installed]}\n", "utf-8")
    options = ("--no-binary=:all:", "--no-build-isolation", "--require-hashes", "--dest", str(into))
    pip("download", *options, "--requirement", str(requirements))
    (archive,) = into.glob("*.tar.gz")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == HASHES[installed]
    with tarfile.open(archive) as packed:
        for one in packed.getmembers():
            if re.match(r"[^/]+/(tests/|pyproject\.toml)", one.name):
                packed.extract(one, into, filter="data")
    return into / f"openai_agents-{installed}"


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin that they need: if it were installed, it would have to be configured for our tests."""
    into = tmp_path_factory.mktemp("runner")
    pip(
        "install",
        "--target",
        str(into),
        "pytest-asyncio==1.3.0",
        'backports.asyncio.runner==1.2.0; python_version < "3.11"',
    )
    return into


def pip(command: str, *arguments: str) -> None:
    """Run pip, or skip the test where no index can be reached."""
    command_line = [sys.executable, "-m", "pip", command, "--quiet", "--no-deps", *arguments]
    done = subprocess.run(command_line, capture_output=True, text=True, timeout=300, env=SYSTEM)
    if done.returncode:
        unavailable(f"pip {command}: {done.stderr[-500:]}")


@pytest.mark.slow
def test_the_session_passes_the_tests_of_the_sdk(folder: Path, runner: Path) -> None:
    installed = version("openai-agents")
    report = folder / "report.xml"
    paths = os.pathsep.join(
        [str(Path(__file__).parent), str(folder), str(runner), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    environment = {**SYSTEM, "PYTHONPATH": paths, "OPENAI_AGENTS_DISABLE_TRACING": "1"}
    options = ("-q", "-p", "sdk_plugin", "-p", "no:cacheprovider", "-p", "no:xdist", f"--junitxml={report}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "tests/memory"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    passed, failed = _outcomes(report)
    assert {name: failed[name] for name in failed if name not in FAILING[installed]} == {}, done.stdout[-5000:]
    assert sorted(failed) == sorted(FAILING[installed]), "they pass now: take them out of the list"
    assert passed == NUMBERS[installed]
    sessions, remembered = re.findall(r"sessions: (\d+); remembered: (\d+)", done.stdout)[0]
    assert int(sessions) > 50
    assert int(remembered) > 50


def _outcomes(report: Path) -> tuple[int, Dict[str, str]]:
    """How many have passed, and those that have not, each with why."""
    failed: Dict[str, str] = {}
    passed = set()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = str(case.get("name"))
        problems = [one for kind in ("failure", "error") for one in case.findall(kind)]
        if problems:
            failed[name] = str(problems[0].get("message"))
        elif case.find("skipped") is None:
            passed.add((case.get("classname"), name))
    return len(passed), failed
