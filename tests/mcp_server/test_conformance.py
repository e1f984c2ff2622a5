"""The conformance suite of the MCP project against `sekha mcp --http`; what it expects to fail is in a baseline."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Sequence, Set

import pytest

from sekha.local import LocalSekha
from support.facts import REST_KEY
from support.mcp_programs import (
    OLDEST_MCP,
    PINNED,
    environment_with,
    need_second_major,
    npm_program,
    sekha_mcp,
    serving,
)

BASELINE = PINNED / "baseline.yml"
RUNS = (("newest", "2025-11-25"), ("newest", "2026-07-28"), ("oldest", "2025-11-25"))
"""Servers, and the revisions of the protocol whose requirements they meet; `mcp` 1 has the older ones only."""


@pytest.fixture(scope="module")
def sekha() -> Iterator[LocalSekha]:
    """Where the servers store."""
    with LocalSekha(api_key=REST_KEY) as one:
        yield one


@pytest.fixture(scope="module")
def url(sekha: LocalSekha) -> Iterator[str]:
    """A server of this environment."""
    need_second_major()
    with serving(sekha) as address:
        yield address


@pytest.fixture(scope="module")
def suite() -> List[str]:
    """The command of the suite."""
    return npm_program("conformance")


class Run:
    """One run of the suite.

    Args:
        suite: Its command.
        url: The server.
        which: `--requirements` of a revision, or one `--scenario`.
        baseline: The expected failures.
        folder: Where the results go.
    """

    def __init__(self, suite: List[str], url: str, which: Sequence[str], baseline: Path, folder: Path) -> None:
        options = ["--url", url, *which, "--expected-failures", str(baseline), "-o", str(folder)]
        done = subprocess.run(
            [*suite, "server", *options], capture_output=True, text=True, cwd=folder, timeout=300, check=False
        )
        self.code = done.returncode
        self.output = re.sub(r"\x1b\[\d+m", "", done.stdout + done.stderr)
        self.checks: Dict[str, Set[str]] = {}
        for file in folder.glob("server-*/checks.json"):
            scenario = re.sub(r"^server-(.*?)-\d{4}-\d\d-\d\dT.*$", r"\1", file.parent.name)
            for check in json.loads(file.read_text("utf-8")):
                self.checks.setdefault(f"{scenario}:{check['id']}", set()).add(check["status"])

    def those(self, *statuses: str) -> Set[str]:
        """The checks that had one of these statuses."""
        return {name for name, had in self.checks.items() if had & set(statuses)}


Runs = Callable[[str, str], Run]


@pytest.fixture(scope="module")
def runs(suite: List[str], url: str, sekha: LocalSekha, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Give the run of a server for a revision, with the baseline."""

    @cache
    def run(server: str, revision: str) -> Run:
        folder = tmp_path_factory.mktemp(f"{server}-{revision}")
        which = ("--requirements", revision)
        if server == "newest":
            return Run(suite, url, which, BASELINE, folder)
        python = environment_with(OLDEST_MCP, tmp_path_factory).python
        with serving(sekha, command=sekha_mcp(python)) as address:
            return Run(suite, address, which, BASELINE, folder)

    return run


def entries() -> List[str]:
    """What the baseline expects to fail."""
    return re.findall(r"^  - (\S+)$", BASELINE.read_text("utf-8"), re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(("server", "revision"), RUNS)
def test_the_server_meets_all_requirements_but_those_of_the_baseline(runs: Runs, server: str, revision: str) -> None:
    run = runs(server, revision)
    assert run.code == 0, run.output
    # What a product can pass without the tools that the suite expects of an SDK, it passes.
    passed = {name.partition(":")[0] for name in run.those("SUCCESS")}
    passed -= {name.partition(":")[0] for name in run.those("FAILURE")}
    assert passed >= {"tools-list", "resources-list", "prompts-list", "dns-rebinding-protection"}
    alone = {"2025-11-25": {"server-initialize", "ping"}, "2026-07-28": {"caching", "sep-2164-resource-not-found"}}
    assert passed >= alone[revision]


@pytest.mark.slow
@pytest.mark.parametrize(("server", "revision"), RUNS)
def test_every_message_is_one_of_the_protocol(runs: Runs, server: str, revision: str) -> None:
    wire = {name: had for name, had in runs(server, revision).checks.items() if name.endswith(":wire-schema-valid")}
    assert len(wire) > 20
    assert set().union(*wire.values()) == {"SUCCESS"}


@pytest.mark.slow
def test_every_expected_failure_fails(runs: Runs) -> None:
    """The suite tolerates an entry whose check has not been made."""
    failed = set().union(*(runs(*one).those("FAILURE", "WARNING") for one in RUNS if one[0] == "newest"))
    assert set(entries()) <= failed


@pytest.mark.slow
def test_an_expected_failure_that_passes_is_reported(suite: List[str], url: str, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.yml"
    baseline.write_text(f"{BASELINE.read_text('utf-8')}\n  - ping:ping\n", encoding="utf-8")
    run = Run(suite, url, ("--scenario", "ping"), baseline, tmp_path)
    assert run.code == 1
    assert re.search(r"Stale baseline entries.*\n\s+✓ ping:ping\n", run.output), run.output


@pytest.mark.slow
def test_a_failure_that_is_not_expected_is_reported(suite: List[str], url: str, tmp_path: Path) -> None:
    text = BASELINE.read_text("utf-8")
    scenario = "tools-call-image"
    baseline = tmp_path / "baseline.yml"
    baseline.write_text(text.replace(f"  - {scenario}:{scenario}\n", ""), encoding="utf-8")
    assert baseline.read_text("utf-8") != text
    run = Run(suite, url, ("--scenario", scenario), baseline, tmp_path)
    assert run.code == 1
    assert re.search(rf"Unexpected failures.*\n\s+✗ {scenario}\n", run.output), run.output


# These look at the baseline only.


def test_each_group_of_expected_failures_has_its_reason() -> None:
    for group in re.split(r"\n\n+", BASELINE.read_text("utf-8").partition("server:\n")[2].strip("\n")):
        assert re.match(r"  # [A-Z]", group), group
        assert re.search(r"^  - ", group, re.MULTILINE), group


def test_no_whole_scenario_is_excused_and_nothing_twice() -> None:
    assert entries()
    assert [entry for entry in entries() if ":" not in entry or entry.endswith("wire-schema-valid")] == []
    assert [entry for entry, count in Counter(entries()).items() if count > 1] == []
    lines = BASELINE.read_text("utf-8").partition("server:\n")[2].splitlines()
    assert {re.sub(r"  (# .*|- \S+)?$", "", line) for line in lines} == {""}
