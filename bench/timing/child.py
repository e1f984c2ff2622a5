"""The process in which one library is timed beside httpx: in turn, so that both meet the same moments.

    python -m timing.child SUBJECT PART URL ROUNDS

Prints one line of JSON: for processor and wall time, the ratio of each round, and medians in microseconds (or the
figures of ``growth``).
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

from timing.clocks import CLOCKS, Stopwatch
from timing.subjects import BY_NAME, CONNECTIONS, HTTPX_ITSELF, AsyncCall, Call, Ours, Subject

CALLS = 40  # of each side in a round
PATIENCE = 20.0  # seconds for all callers of one side together
SETTLED = 12.0
"""Seconds of calls after which the pools have settled: httpx closes a connection that was idle for five seconds."""
ENOUGH = 60.0  # seconds, after which many callers begin no further round, if there were three

Figures = dict[str, Any]
Round = tuple[Stopwatch, Stopwatch]
"""What the library that is timed and httpx spent."""


def in_order(number: int) -> tuple[int, int]:
    """Which side begins a round: they take turns, since the second may meet what the first left behind."""
    return (0, 1) if number % 2 else (1, 0)


def compared(rounds: Sequence[Round]) -> Figures:
    """The ratio of each round and the medians in microseconds, by clock.

    A round in which httpx finished no call has no ratio; the median of a side that finished none is None.
    """
    figures: Figures = {}
    for clock in CLOCKS:
        pairs = [(ours.per_call(clock), httpx.per_call(clock)) for ours, httpx in rounds]
        medians = [statistics.median(side) * 1e6 for side in zip(*pairs)]
        figures[clock] = {
            "ratios": [ours / httpx for ours, httpx in pairs if httpx < math.inf],
            "us": [each if each < math.inf else None for each in medians],
        }
    return figures


def in_turn(ours: Call, theirs: Call, rounds: int) -> Figures:
    """Both sides call by call."""
    found: list[Round] = []
    for _ in range(rounds + 1):
        watches = Stopwatch(CALLS), Stopwatch(CALLS)
        for _ in range(CALLS):
            for watch, call in zip(watches, (ours, theirs)):
                with watch:
                    call()
        found.append(watches)
    return compared(found[1:])  # the first warms up


async def async_in_turn(ours: AsyncCall, theirs: AsyncCall, rounds: int) -> Figures:
    """The same for awaited calls: a wrapper would add its own time to the calls of both."""
    found: list[Round] = []
    for _ in range(rounds + 1):
        watches = Stopwatch(CALLS), Stopwatch(CALLS)
        for _ in range(CALLS):
            for watch, call in zip(watches, (ours, theirs)):
                with watch:
                    await call()
        found.append(watches)
    return compared(found[1:])


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


async def all_at_once(call: AsyncCall, callers: int, watch: Stopwatch | None = None) -> Stopwatch:
    """Time a call of each of so many callers who begin together, and return the watch.

    What is not done in twenty seconds is not waited for, and does not count as a call.
    """
    watch = watch or Stopwatch(calls=0)

    async def one() -> None:
        await call()
        watch.calls += 1

    with watch:
        tasks = [asyncio.ensure_future(one()) for _ in range(callers)]
        _, late = await asyncio.wait(tasks, timeout=PATIENCE)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=bool(late))  # a call that failed by itself fails this
    return watch


def together(callers: int) -> Callable[[Subject, str, int], Figures]:
    """So many asyncio callers at once, again and again on the same two clients, until their pools have settled.

    httpx opens a connection for each of the callers that begin first, up to a hundred, and looks at each connection
    that it holds at each step of each call. Once those that it does not need have expired, its calls take a tenth of
    the time. Both sides are timed from then on.
    """
    bursts = max(1, 600 // callers)  # in a round

    async def main(subject: Subject, url: str, rounds: int) -> Figures:
        sides = [one.async_call(one.open_async(url), url) for one in (subject, HTTPX_ITSELF)]
        settled = time.perf_counter() + SETTLED
        while time.perf_counter() < settled:
            for call in sides:
                await all_at_once(call, callers)
        found: list[Round] = []
        ends = time.perf_counter() + ENOUGH
        while len(found) < rounds and (len(found) < 3 or time.perf_counter() < ends):
            watches = Stopwatch(calls=0), Stopwatch(calls=0)
            for side in in_order(len(found)):
                for _ in range(bursts):
                    await all_at_once(sides[side], callers, watches[side])
            found.append(watches)
        return compared(found)

    return lambda subject, url, rounds: asyncio.run(main(subject, url, rounds))


def first_burst(callers: int) -> Callable[[Subject, str, int], Figures]:
    """So many asyncio callers at once, on new clients that have just been used by a hundred others."""

    async def main(subject: Subject, url: str, rounds: int) -> Figures:
        found: list[Round] = []
        for number in range(max(3, rounds // 4)):
            watches = Stopwatch(calls=0), Stopwatch(calls=0)
            for side in in_order(number):
                one = (subject, HTTPX_ITSELF)[side]
                async with one.open_async(url) as client:
                    call = one.async_call(client, url)
                    await all_at_once(call, CONNECTIONS)
                    await all_at_once(call, callers, watches[side])
            found.append(watches)
        return compared(found)

    return lambda subject, url, rounds: asyncio.run(main(subject, url, rounds))


def threads(subject: Subject, url: str, rounds: int, count: int = 16) -> Figures:
    """So many threads on one blocking client."""
    sides = [one.call(one.open(url), url) for one in (subject, HTTPX_ITSELF)]
    found: list[Round] = []
    with ThreadPoolExecutor(count) as pool:

        def several(call: Call) -> None:
            for _ in range(CALLS):
                call()

        for number in range(rounds // 3 + 2):
            watches = Stopwatch(CALLS * count), Stopwatch(CALLS * count)
            for side in in_order(number):
                with watches[side]:
                    for future in [pool.submit(several, sides[side]) for _ in range(count)]:
                        future.result()
            found.append(watches)
    return compared(found[1:])


def streamed(model: str) -> Callable[[Subject, str, int], Figures]:
    """A chunk of a stream, read as data."""

    def main(subject: Subject, url: str, rounds: int) -> Figures:
        sides = [(one, one.open(url)) for one in (subject, HTTPX_ITSELF)]
        found: list[Round] = []
        for number in range(rounds + 1):
            watches = Stopwatch(), Stopwatch()
            for side in in_order(number):
                one, client = sides[side]
                with watches[side]:
                    count = sum(1 for _ in one.stream(client, url, model))
                watches[side].calls = count
                assert count >= CHUNKS[model], count
            found.append(watches)
        return compared(found[1:])

    return main


def growth(subject: Subject, url: str, rounds: int) -> Figures:
    """Microseconds of our calls with more hits, longer bodies and more callers, by clock."""
    assert isinstance(subject, Ours)
    client = subject.open(url)

    def store(size: int) -> Call:
        messages = [{"role": "user", "content": "x" * size}]
        return lambda: client.controller.create_conversation(messages=messages)

    def find(hits: int) -> Call:
        return lambda: client.controller.query("docker", limit=hits)

    def timed(make: Callable[[int], Call], sizes: tuple[int, ...], times: int) -> Figures:
        found: dict[int, list[Stopwatch]] = {}
        for size in sizes:
            call = make(size)
            call()
            found[size] = [Stopwatch() for _ in range(times)]
            for watch in found[size]:
                with watch:
                    call()
        return medians(found)

    async def callers() -> Figures:
        async with subject.open_async(url) as one:
            call = subject.async_call(one, url)
            await all_at_once(call, 100)
            found: dict[int, list[Stopwatch]] = {}
            for count in (1, 10, 100, 1000, 2000, 5000):
                found[count] = [await all_at_once(call, count) for _ in range(max(3, min(20, 2000 // count)))]
            return medians(found, all_calls=True)

    def medians(found: dict[int, list[Stopwatch]], all_calls: bool = False) -> Figures:
        return {
            clock: {
                size: statistics.median(watch.per_call(clock) for watch in watches) * 1e6 * (size if all_calls else 1)
                for size, watches in found.items()
            }
            for clock in CLOCKS
        }

    gc.collect()
    return {
        "hits": timed(find, (10, 30, 100, 300, 1000), times=30),
        "bytes": timed(store, (2**10, 2**14, 2**17, 2**20, 2**22), times=10),
        "callers": asyncio.run(callers()),
    }


PARTS: dict[str, Callable[[Subject, str, int], Figures]] = {
    "blocking": blocking,
    "asyncio": on_asyncio,
    "trio": on_trio,
    "50 callers": together(50),
    "200 callers": together(200),
    "1000 callers": together(1000),
    "200 callers after 100": first_burst(200),
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
