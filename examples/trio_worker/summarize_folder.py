"""Summarize every conversation of a folder, four at a time; one JSON line for each summary on stdout."""

from __future__ import annotations

import argparse
import json
import math
import signal
import sys
from dataclasses import dataclass

import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sekha import AsyncSekhaClient, SekhaConfigError, SekhaError
from sekha.types import SummaryLevel

AT_A_TIME = 4
FAILED = 1
OUT_OF_TIME = 124  # like the command `timeout`
INTERRUPTED = 130  # like shells


@dataclass
class Outcome:
    """The outcome of the conversations so far."""

    total: int = 0
    done: int = 0
    failed: int = 0
    interrupted: bool = False
    out_of_time: bool = False

    def __str__(self) -> str:
        reason = "stopped by Ctrl-C; " if self.interrupted else "out of time; " if self.out_of_time else ""
        return f"{reason}{self.done} of {self.total} summarized, {self.failed} failed"

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return INTERRUPTED
        if self.out_of_time:
            return OUT_OF_TIME
        return FAILED if self.failed else 0


async def run(folder: str, level: str, deadline: float) -> int:
    """Summarize until all is done, the deadline passes or Ctrl-C is pressed; the exit code."""
    outcome = Outcome()
    async with AsyncSekhaClient() as client:
        with progress_bar() as progress, trio.move_on_after(deadline) as limit:
            async with trio.open_nursery() as nursery:
                await nursery.start(cancel_on_ctrl_c, nursery.cancel_scope, outcome)
                try:
                    await summarize_folder(client, folder, level, progress, outcome)
                except SekhaError as error:
                    outcome.failed += 1
                    say(f"{folder} cannot be listed: {error}")
                nursery.cancel_scope.cancel()  # the task that waits for Ctrl-C is not needed any more
        outcome.out_of_time = limit.cancelled_caught
    say(str(outcome))
    return outcome.exit_code


async def cancel_on_ctrl_c(
    scope: trio.CancelScope, outcome: Outcome, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            outcome.interrupted = True
            scope.cancel()


async def summarize_folder(
    client: AsyncSekhaClient, folder: str, level: str, progress: Progress, outcome: Outcome
) -> None:
    """Summarize a folder; a conversation that fails is reported and counted, and the others continue."""
    ids = [row["conversation_id"] async for row in client.controller.iter_conversations(folder=folder)]
    outcome.total = len(ids)
    bar = progress.add_task(folder, total=len(ids))
    limiter = trio.CapacityLimiter(AT_A_TIME)

    async def summarize(id: str) -> None:
        async with limiter:
            try:
                summary = await client.controller.summarize(id, level=level)
            except SekhaError as error:
                outcome.failed += 1
                say(f"{id} failed: {error}")
            else:
                outcome.done += 1
                print(json.dumps(summary), flush=True)
        progress.advance(bar)
        if progress.disable:
            say(f"{outcome.done + outcome.failed} of {outcome.total}")

    async with trio.open_nursery() as nursery:
        for id in ids:
            nursery.start_soon(summarize, id)


def progress_bar() -> Progress:
    """A progress bar on stderr; it shows nothing if stderr is not a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        redirect_stdout=sys.stdout.isatty(),  # on a terminal, print lines above the bar
        disable=not console.is_terminal,
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def seconds(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise ValueError
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="such as /work; the folders below it are left out")
    parser.add_argument("--level", choices=[level.value for level in SummaryLevel], default=SummaryLevel.DAILY.value)
    parser.add_argument("--deadline", type=seconds, default=math.inf, metavar="SECONDS", help="for all (default: none)")
    args = parser.parse_args()
    try:
        return trio.run(run, args.folder, args.level, args.deadline)
    except SekhaConfigError as error:
        parser.error(str(error))
    except KeyboardInterrupt:  # before the cancel scope was open, or pressed twice
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
