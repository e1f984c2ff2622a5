"""R16: nothing grows. The full figure is that of ``python bench/endurance.py``; this is a small one of the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sekha as package

SOURCE = Path(package.__file__ or "").parents[1]
SCRIPT = Path(__file__).parents[2] / "bench" / "endurance.py"


@pytest.mark.promise("R16")
@pytest.mark.slow
@pytest.mark.parametrize("flavour", ["blocking", "asyncio", "trio"])
def test_memory_tasks_threads_and_open_files_stay_flat(flavour: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--calls", "300", "--streams", "30", "--flavours", flavour],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("flat")
    assert done.stderr == ""
