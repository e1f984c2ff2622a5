"""`bench/scorecard.py`: some of its faults are played against this library, and its judge can say no."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from scoring.clients import CLIENTS, Client  # noqa: E402
from scoring.faults import FAULTS, Fault  # noqa: E402
from scoring.judging import Observation  # noqa: E402
from scoring.running import judge, observe  # noqa: E402
from scoring.server import Request  # noqa: E402

OURS = CLIENTS[0]


def the(id: str, words: str = "") -> Fault:
    """The fault with this ID, and with these words in its name."""
    (found,) = [fault for fault in FAULTS if fault.id == id and words in fault.words]
    return found


@pytest.mark.parametrize(
    "fault", [the("C1", "cleanly"), the("R1", "create: 500"), the("S3"), the("S4")], ids=lambda fault: fault.id
)
def test_ours_keeps_the_promise(fault: Fault) -> None:
    seen = observe(fault, OURS, sys.executable)
    verdict = judge(fault, seen)
    assert verdict.kept, (verdict, seen.outcomes, seen.stderr)


def test_what_did_not_play_has_kept_nothing() -> None:
    for fault in FAULTS:
        verdict = judge(fault, Observation(Client()))
        assert verdict.kept is False, fault.words


def test_a_second_request_or_a_silent_end_is_a_broken_promise() -> None:
    cut, failed = the("C1", "cleanly"), the("R1", "create: 500")
    silent = Observation(OURS, outcomes=[{"what": "value", "value": "Hello", "text": "Hello", "elapsed": 0.1}])
    assert judge(cut, silent).kept is False

    requests = [Request("POST", "/api/v1/conversations", {}, b"{}") for _ in range(2)]
    twice = Observation(OURS, requests, outcomes=[{"what": "error", "type": "SekhaServerError", "elapsed": 0.1}])
    assert judge(failed, twice).kept is False
    for request in requests:
        request.headers["idempotency-key"] = "the same"
    assert judge(failed, twice).kept is True


def test_the_table_names_who_is_not_installed() -> None:
    command = [sys.executable, str(BENCH / "scorecard.py"), "--only", "C11", "--markdown"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("| C11 ")]
    assert row.split("|")[4].strip().startswith("yes · 0 · SekhaValidationError"), row
    assert "- openai: not installed." in done.stdout
