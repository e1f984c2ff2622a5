"""Every type checker that is installed refuses one client type that is used as the other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List

import pytest

ROOT = Path(__file__).parents[2]
MIX_UPS = ROOT / "tests" / "typing" / "mix_ups.py"
CHECKERS: Dict[str, str] = {
    "mypy": "--strict",
    "pyright": "--pythonpath PYTHON",
    "pyrefly": "check --preset default --output-format min-text --python-interpreter-path PYTHON --search-path src",
    "ty": "check --output-format concise --python PYTHON --extra-search-path src",
}
"""Their arguments. The last two are large and in no extra: they are asked where they are installed."""
_COMMENT = re.compile(r" *# type: ignore.*")
_REPORTED = re.compile(rf"{MIX_UPS.name}:(\d+)")


@pytest.mark.promise("W10")
@pytest.mark.slow
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_type_checker_refuses_each_mix_up_and_nothing_else(checker: str, tmp_path: Path) -> None:
    program = shutil.which(checker, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        pytest.skip(f"not installed: {checker}")
    lines = MIX_UPS.read_text("utf-8").splitlines()
    refused = [number for number, line in enumerate(lines, 1) if _COMMENT.search(line)]
    copy = tmp_path / MIX_UPS.name
    copy.write_text("\n".join(_COMMENT.sub("", line) for line in lines) + "\n", "utf-8")
    arguments = [sys.executable if word == "PYTHON" else word for word in CHECKERS[checker].split()]
    done = subprocess.run([program, *arguments, str(copy)], cwd=ROOT, capture_output=True, text=True, timeout=300)
    reported: List[int] = sorted({int(number) for number in _REPORTED.findall(done.stdout)})
    assert reported == refused, done.stdout + done.stderr
    assert len(refused) >= 14
