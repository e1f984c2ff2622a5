"""Whether anything grows: memory, tasks, threads and open files after very many calls and streams.

    python bench/endurance.py [--calls 100000] [--streams 1000] [--flavours blocking asyncio trio] [--trace]

A canned server in a process of its own answers. What is in use is counted after a warm-up of a tenth, and again at the
end: blocks of memory after a full collection, and with ``--trace`` (which makes it slower) KiB too. The exit code is 1
if a figure is beyond its limit. The limiter is told a window of a tenth of a second: it remembers every request of its
last window, which is growth by design.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import anyio
from canned import canned_server

from sekha import AsyncSekhaClient, SekhaClient

LIMITS = {"blocks": 500, "KiB": 64, "files": 0, "threads": 0, "tasks": 0}
"""So much may there be more in the end than after the warm-up, however many calls were made."""
IDLE = 2.5  # after so many seconds the next call drops the connections that nobody uses

Counts = dict[str, float]
MESSAGES = [{"role": "user", "content": "Tell me a story"}]


def open_files() -> int:
    """How many file descriptors this process has."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            return len(os.listdir(folder))
    return 0


def counts(tasks: int) -> Counts:
    """What is in use now."""
    for _ in range(3):
        gc.collect()
    return {
        "blocks": sys.getallocatedblocks(),
        "KiB": tracemalloc.get_traced_memory()[0] / 1024,
        "files": open_files(),
        "threads": threading.active_count(),
        "tasks": tasks,
    }


OPTIONS: dict[str, Any] = {"api_key": "sk-bench", "rate_limit_requests": 10**9, "rate_limit_window": 0.1}


def blocking(url: str, calls: int, streams: int) -> tuple[Counts, Counts]:
    """What is in use after the warm-up and in the end."""
    with SekhaClient(controller_url=url, bridge_url=url, **OPTIONS) as client:

        def work(calls: int, streams: int) -> None:
            for _ in range(calls):
                client.controller.query("docker")
            for number in range(streams):
                with client.bridge.stream_complete(MESSAGES) as stream:
                    for _ in stream:
                        if number % 2:
                            break

        work(calls // 10 + 1, streams // 10 + 2)
        before = counts(0)
        work(calls, streams)
        return before, counts(0)


async def awaited(url: str, calls: int, streams: int, tasks: Callable[[], int]) -> tuple[Counts, Counts]:
    """The same for tasks, ten at a time."""
    async with AsyncSekhaClient(controller_url=url, bridge_url=url, **OPTIONS) as client:

        async def ask(calls: int) -> None:
            for _ in range(calls):
                await client.controller.query("docker")

        async def work(calls: int, streams: int) -> None:
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(ask, calls // 10 + 1)
            for number in range(streams):
                async with await client.bridge.stream_complete(MESSAGES) as stream:
                    async for _ in stream:
                        if number % 2:
                            break

        async def settled() -> Counts:
            await anyio.sleep(IDLE)
            await client.controller.query("docker")
            await (await client.bridge.stream_complete(MESSAGES)).get_final_text()
            await anyio.sleep(0.2)  # sockets are closed a turn of the loop later
            return counts(tasks())

        await work(calls // 10 + 1, streams // 10 + 2)
        before = await settled()
        await work(calls, streams)
        return before, await settled()


def on_asyncio(url: str, calls: int, streams: int) -> tuple[Counts, Counts]:
    """Run it on asyncio."""
    return asyncio.run(awaited(url, calls, streams, lambda: len(asyncio.all_tasks())))


def on_trio(url: str, calls: int, streams: int) -> tuple[Counts, Counts]:
    """Run it on trio."""
    import trio

    return trio.run(awaited, url, calls, streams, lambda: trio.lowlevel.current_statistics().tasks_living)


FLAVOURS: dict[str, Callable[[str, int, int], tuple[Counts, Counts]]] = {
    "blocking": blocking,
    "asyncio": on_asyncio,
    "trio": on_trio,
}


def main() -> int:
    """Print one line for each flavour; 1 if something grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--flavours", nargs="+", choices=FLAVOURS, default=list(FLAVOURS))
    parser.add_argument("--trace", action="store_true")
    options = parser.parse_args()
    if options.trace:
        tracemalloc.start()
    print(f"{options.calls} calls and {options.streams} streams: in use after a warm-up -> in the end")
    grew = False
    with canned_server() as url:
        for flavour in options.flavours:
            before, after = FLAVOURS[flavour](url, options.calls, options.streams)
            shown = "  ".join(f"{name} {before[name]:.0f} -> {after[name]:.0f}" for name in before)
            more = any(after[name] - before[name] > limit for name, limit in LIMITS.items())
            print(f"{flavour:9} {shown}  {'GREW' if more else 'flat'}", flush=True)
            grew = grew or more
    return int(grew)


if __name__ == "__main__":
    sys.exit(main())
