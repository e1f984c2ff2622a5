"""What `sekha import` shows while it waits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Optional

import pytest

from cli.conftest import Run, Terminal
from sekha import SekhaConfig
from sekha.cli.import_progress import Waits, format_seconds, import_progress, seconds_left
from sekha.local import LocalSekha
from sekha.testing import FakeClock

COUNTS: Dict[str, Any] = {"seen": 1000, "stored": 1000, "already_stored": 0, "empty": 0, "failed": 0}
LIMITED, FREE = SekhaConfig(), SekhaConfig(rate_limit_requests=None)


def waiting(seconds: float) -> Any:
    return {**COUNTS, "waiting": {"reason": "rate_limit", "seconds": seconds}}


def test_a_wait_is_shown_once_and_counts_down() -> None:
    clock = FakeClock()
    waits = Waits("1000 requests per minute", clock.now)
    assert not waits.begin(COUNTS)  # type: ignore[arg-type]  # counts without a wait
    assert waits.text() == ""
    assert waits.begin(waiting(57.2))
    assert not waits.begin(waiting(57.3)), "four conversations wait for the same"
    assert waits.text() == "waiting 58 s for the rate limit (1000 requests per minute)"
    clock.move(40.0)
    assert waits.text() == "waiting 18 s for the rate limit (1000 requests per minute)"
    clock.move(20.0)
    assert waits.text() == ""
    assert waits.begin(waiting(60.0))


@pytest.mark.parametrize(
    ("rest", "speed", "wait", "config", "left"),
    [
        (100, 10.0, 0.0, FREE, 10.0),
        (100, 10.0, 57.0, FREE, 67.0),
        (0, 10.0, 0.0, LIMITED, 0.0),
        (1000, 200.0, 57.0, LIMITED, 62.0),
        (1001, 200.0, 0.0, LIMITED, 60.0),
        (5000, 200.0, 57.0, LIMITED, 297.0),
        (5000, 1.0, 0.0, LIMITED, 5000.0),
        (100, None, 0.0, FREE, None),
        (None, 10.0, 0.0, FREE, None),
    ],
)
def test_the_remaining_time_counts_the_waits(
    rest: Optional[float], speed: Optional[float], wait: float, config: SekhaConfig, left: Optional[float]
) -> None:
    assert seconds_left(rest, speed, wait, config) == left


def test_times_are_written_as_people_do() -> None:
    assert [format_seconds(seconds) for seconds in (0, 0.2, 61, 3725)] == ["0:00:00", "0:00:01", "0:01:01", "1:02:05"]


def test_without_a_terminal_only_waits_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    with import_progress("chats.json", lambda: range(5000), LIMITED, clock.now) as on_progress:
        for progress in (COUNTS, waiting(57.0), waiting(57.0), COUNTS):
            on_progress(progress)  # type: ignore[arg-type]  # as above
    assert capsys.readouterr().err == "chats.json: waiting 57 s for the rate limit (1000 requests per minute)\n"


def test_a_bar_shows_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "160")
    clock = FakeClock()
    with import_progress("chats.json", lambda: range(5000), LIMITED, clock.now) as on_progress:
        on_progress(waiting(57.0))
    shown = terminal.getvalue()
    assert "1000/5000" in shown
    assert "waiting 57 s for the rate limit (1000 requests per minute)" in shown


def test_an_import_that_waits_says_so(
    run: Run, connected: LocalSekha, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEKHA_RATE_LIMIT_REQUESTS", "3")
    monkeypatch.setenv("SEKHA_RATE_LIMIT_WINDOW", "1.5")
    lines = [json.dumps({"label": f"{n}", "messages": [{"role": "user", "content": f"{n}"}]}) for n in range(4)]
    (here / "chats.jsonl").write_text("\n".join(lines))
    done = run("import", "chats.jsonl")
    assert done.code == 0
    assert done.err == "chats.jsonl: waiting 2 s for the rate limit (3 requests in 1.5 s)\n"
