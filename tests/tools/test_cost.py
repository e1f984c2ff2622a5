"""What a call costs does not grow unnoticed: function calls of a search and modules of an import, counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import cost  # noqa: E402

COMMAND = "python bench/cost.py shows the difference; --write notes it, if it is worth it"


def test_a_search_and_an_import_cost_what_they_did() -> None:
    then = cost.noted()
    if then is None:
        pytest.skip(f"nothing was noted for Python {cost.python()}: the oldest and the newest are looked at")
    code = "import cost, json; print(json.dumps(cost.counted()))"  # without coverage and pytest, which count too
    done = subprocess.run([sys.executable, "-c", code], cwd=BENCH, capture_output=True, text=True, check=True)
    assert cost.grown(json.loads(done.stdout), then) == [], COMMAND


def test_growth_is_named_where_it_is() -> None:
    then = {"calls of a search": {"sekha._http.network": 50, "h11": 50}, "modules of an import": {"sekha": 10}}
    assert cost.grown(then, then) == []
    assert cost.grown({**then, "modules of an import": {"sekha": 11}}, then) == []
    now = {**then, "calls of a search": {"sekha._http.network": 50, "h11": 40, "httpx": 30}}
    assert cost.grown(now, then) == ["calls of a search: 120, and not 100; httpx 0 -> 30; h11 50 -> 40"]
