"""truststore, which puts a class of its own in the place of `ssl.SSLContext`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support import facts
from support.certificates import Certificates
from support.replies import answer
from support.server import FakeServer
from support.tunnel import Tunnel

pytest.importorskip("truststore", reason="truststore, which httpx2 brings on Python 3.10 and newer, is not installed")

TESTS = Path(__file__).parents[1]


@pytest.mark.promise("S7")
@pytest.mark.parametrize("when", ["early", "late"])
def test_certificates_are_checked_with_and_without_a_proxy(when: str, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    server, proxy = FakeServer(tls=certificates.server()), Tunnel()
    server.always("POST /api/v1/query", answer(facts.hits()))
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore:verify=False",
            "-m",
            "support.injected",
            when,
            server.url,
            proxy.url,
            certificates.ca,
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    proxy.close()
    server.close()
    assert (done.returncode, done.stdout) == (0, "all is well\n"), done.stderr
