"""A server that is gone without a word, such as behind a firewall that forgets connections, ends a call in time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / "support" / "vanishing.py"
OWN_NETWORK = ["unshare", "--user", "--map-root-user", "--net"]


@pytest.fixture
def own_network() -> None:
    """Skips a test where the system gives a program no network of its own that it can switch off."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("not installed: unshare and ip (packages of the system, which is Linux)")
    tried = subprocess.run([*OWN_NETWORK, "ip", "link", "set", "lo", "up"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no network for a program alone: {tried.stderr.strip()}")


@pytest.mark.slow
@pytest.mark.promise("W7", "R1", "C4")
def test_a_server_that_vanishes_ends_a_call_that_has_no_timeout(own_network: None) -> None:
    """Three clients, first with a request that has arrived, and then with one that has not."""
    done = subprocess.run(
        [*OWN_NETWORK, sys.executable, str(PROGRAM)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PROGRAM.parents[1]), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = "SekhaConnectionError True True server: [Errno 110] Connection timed out"
    assert done.stdout.splitlines() == [f"{client} {told}" for client in ("asyncio", "blocking", "trio")] * 2
