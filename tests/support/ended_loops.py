"""Clients that outlive their event loops, in tests of a user for whom each warning is an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import sekha
from support import facts
from support.certificates import Certificates
from support.replies import answer
from support.server import FakeServer


def run_strictly(backend: str, tls: bool, folder: Path) -> None:
    """Run `tests_of_a_user.py`.

    Args:
        backend: Which loops.
        tls: Whether the server speaks TLS.
        folder: Where the certificates go.
    """
    certificates = Certificates(folder)
    server = FakeServer(tls=certificates.server() if tls else None)
    server.always("GET /health", answer(facts.HEALTHY))
    program = Path(__file__).with_name("tests_of_a_user.py")
    python = [sys.executable, "-X", "dev"]
    source = str(Path(sekha.__file__ or "").parents[1])
    done = subprocess.run(
        [*python, "-m", "pytest", "-q", "-W", "error", "-c", os.devnull, "--rootdir", str(folder), str(program)],
        env={**os.environ, "PYTHONPATH": source, "URL": server.url, "CA": certificates.ca, "BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    server.close()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
