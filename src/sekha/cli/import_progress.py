"""Progress of `sekha import` on stderr: a bar with rate and remaining time, and rate-limit waits."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sekha._concurrency.clock import monotonic
from sekha._transport.rate_limit import describe_limit
from sekha.cli.terminal import echo_err, one_line
from sekha.cli.windows_console import enable_escape_codes
from sekha.config import SekhaConfig
from sekha.types import ImportProgress

if TYPE_CHECKING:
    from rich.progress import Task

OnProgress = Callable[[ImportProgress], object]


@contextmanager
def import_progress(
    name: str, read: Callable[[], Iterable[object]], config: SekhaConfig, now: Callable[[], float] = monotonic
) -> Generator[OnProgress, None, None]:
    """Show the progress of an import: a bar, or only waits if stderr is not a terminal that supports escape codes.

    Args:
        name: Name of the file.
        read: Starts to read the conversations, to count them.
        config: The settings, with the rate limit.
        now: Returns the time in seconds.

    Yields:
        A function to call with the progress.
    """
    limit = describe_limit(config.rate_limit_requests, config.rate_limit_window)
    waits = Waits(limit, now)
    if not (sys.stderr.isatty() and enable_escape_codes(sys.stderr)):

        def on_wait(progress: ImportProgress) -> None:
            if waits.begin(progress):
                echo_err(f"{one_line(name, 40)}: {waits.text()}")

        yield on_wait
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
    from rich.text import Text

    class RateColumn(ProgressColumn):
        max_refresh = 0.2

        def render(self, task: Task) -> Text:
            return Text(waits.text() or (f"{task.speed:.0f}/s" if task.speed else ""))

    class RemainingColumn(ProgressColumn):
        max_refresh = 0.2

        def render(self, task: Task) -> Text:
            left = seconds_left(task.remaining, task.speed, waits.seconds(), config)
            return Text("-:--:--" if left is None else format_seconds(left), style="progress.remaining")

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        RemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True, legacy_windows=False)) as bar:
        task = bar.add_task(one_line(name, 40), total=None)
        bar.update(task, total=sum(1 for _ in read()))

        def on_progress(progress: ImportProgress) -> None:
            waits.begin(progress)
            bar.update(task, completed=progress["seen"])

        yield on_progress


class Waits:
    """The current wait of an import, which several conversations may report.

    Args:
        limit: Description of the rate limit.
        now: Returns the time in seconds.
    """

    def __init__(self, limit: str, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._until = -math.inf

    def begin(self, progress: ImportProgress) -> bool:
        """Record a reported wait; return whether a new wait starts."""
        waiting = progress.get("waiting")
        if waiting is None:
            return False
        is_new = self.seconds() <= 0
        self._until = max(self._until, self._now() + waiting["seconds"])
        return is_new

    def seconds(self) -> float:
        """Return the remaining seconds of the wait; 0 if there is none."""
        return max(0.0, self._until - self._now())

    def text(self) -> str:
        """Return a description of the wait; empty if there is none."""
        seconds = math.ceil(self.seconds())
        return f"waiting {seconds} s for the rate limit ({self._limit})" if seconds else ""


def seconds_left(rest: float | None, speed: float | None, wait: float, config: SekhaConfig) -> float | None:
    """Return the remaining time of an import.

    Args:
        rest: Number of remaining conversations, one request each.
        speed: Conversations per second, without waits.
        wait: Remaining seconds of the current wait.
        config: The settings, with the rate limit.

    Returns:
        Seconds; None if not known yet.
    """
    if rest is None or not speed:
        return None
    windows = (rest - 1) // config.rate_limit_requests if config.rate_limit_requests and rest else 0
    return wait + max(rest / speed, windows * config.rate_limit_window)


def format_seconds(seconds: float) -> str:
    """Format a duration as hours, minutes and seconds."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
