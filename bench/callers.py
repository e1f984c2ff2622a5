"""Many callers on one client, beside bare httpx: ratios measured side by side, in one run, over loopback.

    python bench/callers.py [--rounds 7]

- 200 asyncio callers on 100 connections, and 32 threads on one blocking client: our time over httpx's.
- 2000 asyncio callers on 100 connections, to a server that thinks for 20 ms: our calls a second over httpx's. httpx
  is given twenty seconds; its pool's work grows with the square of those who wait.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
from canned import canned_server
from timing import BODY, HITS
from timing.child import PATIENCE, all_at_once
from timing.subjects import CONNECTIONS

from sekha import AsyncSekhaClient, SekhaClient


def limits() -> httpx.Limits:
    """As many connections as ours has."""
    return httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)


async def asyncio_rates(url: str, callers: int, rounds: int) -> list[float]:
    """Our calls a second over httpx's, a figure for each round."""
    figures: list[float] = []
    async with AsyncSekhaClient(
        controller_url=url, api_key="sk-bench", rate_limit_requests=10**9, max_connections=CONNECTIONS
    ) as client:
        for _ in range(rounds):
            async with httpx.AsyncClient(limits=limits(), timeout=None) as bare:

                async def theirs() -> object:
                    return (await bare.post(url + "/api/v1/query", json=BODY)).json()

                await all_at_once(theirs, 100)  # connections are made before the clock runs
                await all_at_once(lambda: client.controller.query("docker", limit=HITS), 100)
                ours = await all_at_once(lambda: client.controller.query("docker", limit=HITS), callers)
                others = await all_at_once(theirs, callers)
                figures.append(others.per_call("wall") / ours.per_call("wall"))  # httpx may not have finished one
    return figures


def thread_rates(url: str, rounds: int, threads: int = 32, calls: int = 40) -> list[float]:
    """Our time over httpx's, with so many threads on one blocking client."""
    figures: list[float] = []
    with SekhaClient(controller_url=url, api_key="sk-bench", rate_limit_requests=10**9) as client:
        with httpx.Client(limits=limits()) as bare, ThreadPoolExecutor(threads) as pool:

            def timed(call: Callable[[], object]) -> float:
                def several() -> None:
                    for _ in range(calls):
                        call()

                start = time.perf_counter()
                for future in [pool.submit(several) for _ in range(threads)]:
                    future.result()
                return time.perf_counter() - start

            sides = (
                lambda: client.controller.query("docker", limit=HITS),
                lambda: bare.post(url + "/api/v1/query", json=BODY).json(),
            )
            for side in sides:
                timed(side)
            for _ in range(rounds):
                ours, theirs = (timed(side) for side in sides)
                figures.append(ours / theirs)
    return figures


def main() -> None:
    """Print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with canned_server() as url:
        few = [1 / rate for rate in asyncio.run(asyncio_rates(url, 200, rounds))]
        threads = thread_rates(url, rounds)
    with canned_server(delay=0.02) as url:
        many = asyncio.run(asyncio_rates(url, 2000, max(1, rounds // 3)))
    for name, figures, limit in (
        ("200 asyncio callers, time", few, "at most 0.45"),
        ("32 threads, time", threads, "at most 1"),
        ("2000 asyncio callers, calls a second", many, "at least 2.5"),
    ):
        low, middle, high = min(figures), statistics.median(figures), max(figures)
        times = f"{middle:8.2f} times httpx" if middle < math.inf else f"httpx finished none in {PATIENCE:g} s"
        print(f"{name:38} {times} ({limit}; {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
