"""The process in which one library is timed beside httpx: call by call in turn, so that both meet the same moments.

    python -m timing.child SUBJECT PART URL ROUNDS

Prints one line of JSON: the ratio of each round, and medians in microseconds (or what the part says).
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module, metadata
from typing import Any

from canned import CHUNKS

from timing.subjects import BY_NAME, HTTPX_ITSELF, AsyncCall, Call, Ours, Subject

CALLS = 40  # of each side in a round
PATIENCE = 20.0  # seconds for all callers of one side together

Figures = dict[str, Any]


def compared(spent: Sequence[Sequence[float]]) -> Figures:
    """The ratios and the medians of what both sides spent in each round, in seconds; infinite: nothing was finished."""
    ours, theirs = spent
    medians = [statistics.median(each) * 1e6 for each in spent]
    return {
        "ratios": [mine / other for mine, other in zip(ours, theirs) if other < math.inf],
        "us": [each if each < math.inf else None for each in medians],
    }


def in_turn(ours: Call, theirs: Call, rounds: int) -> Figures:
    """Both sides call by call."""
    spent: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        sums = [0.0, 0.0]
        for _ in range(CALLS):
            for side, call in enumerate((ours, theirs)):
                start = time.perf_counter()
                call()
                sums[side] += time.perf_counter() - start
        if number:  # the first warms up
            for side in (0, 1):
                spent[side].append(sums[side] / CALLS)
    return compared(spent)


async def async_in_turn(ours: AsyncCall, theirs: AsyncCall, rounds: int) -> Figures:
    """The same for awaited calls: a wrapper would add its own time to the calls of both."""
    spent: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        sums = [0.0, 0.0]
        for _ in range(CALLS):
            for side, call in enumerate((ours, theirs)):
                start = time.perf_counter()
                await call()
                sums[side] += time.perf_counter() - start
        if number:
            for side in (0, 1):
                spent[side].append(sums[side] / CALLS)
    return compared(spent)


def blocking(subject: Subject, url: str, rounds: int) -> Figures:
    """One blocking caller."""
    ours, theirs = subject.open(url), HTTPX_ITSELF.open(url)
    return in_turn(subject.call(ours, url), HTTPX_ITSELF.call(theirs, url), rounds)


async def awaited(subject: Subject, url: str, rounds: int) -> Figures:
    """One asyncio or trio caller."""
    ours, theirs = subject.open_async(url), HTTPX_ITSELF.open_async(url)
    return await async_in_turn(subject.async_call(ours, url), HTTPX_ITSELF.async_call(theirs, url), rounds)


def on_asyncio(subject: Subject, url: str, rounds: int) -> Figures:
    """One asyncio caller."""
    return asyncio.run(awaited(subject, url, rounds))


def on_trio(subject: Subject, url: str, rounds: int) -> Figures:
    """One trio caller."""
    found: Figures = import_module("trio").run(awaited, subject, url, rounds)
    return found


async def all_at_once(call: AsyncCall, callers: int) -> float | None:
    """Seconds a call, of so many callers who begin together; what is not done in twenty seconds is not waited for.

    None if none of them was done by then.
    """
    done = 0

    async def one() -> None:
        nonlocal done
        await call()
        done += 1

    start = time.perf_counter()
    tasks = [asyncio.ensure_future(one()) for _ in range(callers)]
    _, late = await asyncio.wait(tasks, timeout=PATIENCE)
    spent = time.perf_counter() - start
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=bool(late))  # a call that failed by itself fails this
    return spent / done if done else None


def together(callers: int) -> Callable[[Subject, str, int], Figures]:
    """So many asyncio callers at once, on a hundred connections."""

    async def main(subject: Subject, url: str, rounds: int) -> Figures:
        calls = [
            subject.async_call(subject.open_async(url), url),
            HTTPX_ITSELF.async_call(HTTPX_ITSELF.open_async(url), url),
        ]
        spent: list[list[float]] = [[], []]
        for number in range(max(2, rounds // 6) + 1):
            for side, call in enumerate(calls):
                seconds = await all_at_once(call, callers if number else 100)
                if number:
                    spent[side].append(seconds or math.inf)
        return compared(spent)

    return lambda subject, url, rounds: asyncio.run(main(subject, url, rounds))


def threads(subject: Subject, url: str, rounds: int, count: int = 16) -> Figures:
    """So many threads on one blocking client."""
    sides = [subject.call(subject.open(url), url), HTTPX_ITSELF.call(HTTPX_ITSELF.open(url), url)]
    spent: list[list[float]] = [[], []]
    with ThreadPoolExecutor(count) as pool:

        def several(call: Call) -> None:
            for _ in range(CALLS):
                call()

        for number in range(rounds // 3 + 2):
            for side, call in enumerate(sides):
                start = time.perf_counter()
                for future in [pool.submit(several, call) for _ in range(count)]:
                    future.result()
                if number:
                    spent[side].append((time.perf_counter() - start) / CALLS / count)
    return compared(spent)


def streamed(model: str) -> Callable[[Subject, str, int], Figures]:
    """A chunk of a stream, read as data; of a paced one, the time of the processor."""
    clock = time.process_time if model == "paced" else time.perf_counter

    def main(subject: Subject, url: str, rounds: int) -> Figures:
        sides = [(subject, subject.open(url)), (HTTPX_ITSELF, HTTPX_ITSELF.open(url))]
        spent: list[list[float]] = [[], []]
        for number in range(rounds + 1):
            for side, (one, client) in enumerate(sides):
                start = clock()
                count = sum(1 for _ in one.stream(client, url, model))
                if number:
                    spent[side].append((clock() - start) / count)
                assert count >= CHUNKS[model], count
        return compared(spent)

    return main


def growth(subject: Subject, url: str, rounds: int) -> Figures:
    """Microseconds of our calls with more hits, longer bodies and more callers."""
    assert isinstance(subject, Ours)
    client = subject.open(url)

    def median(call: Call, times: int) -> float:
        call()
        spent: list[float] = []
        for _ in range(times):
            start = time.perf_counter()
            call()
            spent.append(time.perf_counter() - start)
        return statistics.median(spent) * 1e6

    def store(size: int) -> Call:
        messages = [{"role": "user", "content": "x" * size}]
        return lambda: client.controller.create_conversation(messages=messages)

    def find(hits: int) -> Call:
        return lambda: client.controller.query("docker", limit=hits)

    async def callers() -> dict[int, float]:
        async with subject.open_async(url) as one:
            call = subject.async_call(one, url)
            await all_at_once(call, 100)
            found: dict[int, float] = {}
            for count in (1, 10, 100, 1000, 2000, 5000):
                times = max(3, min(20, 2000 // count))
                spent = [await all_at_once(call, count) or math.inf for _ in range(times)]
                found[count] = statistics.median(spent) * count * 1e6
            return found

    gc.collect()
    return {
        "hits": {hits: median(find(hits), 30) for hits in (10, 30, 100, 300, 1000)},
        "bytes": {size: median(store(size), 10) for size in (2**10, 2**14, 2**17, 2**20, 2**22)},
        "callers": asyncio.run(callers()),
    }


PARTS: dict[str, Callable[[Subject, str, int], Figures]] = {
    "blocking": blocking,
    "asyncio": on_asyncio,
    "trio": on_trio,
    "50 callers": together(50),
    "200 callers": together(200),
    "1000 callers": together(1000),
    "16 threads": threads,
    "stream at once": streamed("burst"),
    "stream paced": streamed("paced"),
    "growth": growth,
}


def main() -> None:
    """Time it."""
    name, part, url, rounds = sys.argv[1:]
    subject = BY_NAME[name]
    figures = PARTS[part](subject, url, int(rounds))
    versions = {
        each.distribution: metadata.version(each.distribution) for each in (subject, HTTPX_ITSELF) if each.distribution
    }
    print(json.dumps({**figures, "versions": versions}))


if __name__ == "__main__":
    main()
