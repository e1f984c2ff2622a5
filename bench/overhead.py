"""What the library costs beside bare httpx: ratios measured side by side, in one run, over loopback.

    python bench/overhead.py [--rounds 30]

A canned server in a process of its own answers every request with ten search hits (about 8 KB). Calls alternate between
the two sides; the figures are medians of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable

import httpx
from canned import BODY, HITS, canned_server

from sekha import AsyncSekhaClient, SekhaClient, SekhaConfig

CALLS = 50  # of each side in a round
LIMITS = {"blocking": 1.2, "asyncio": 1.2, "import": 80.0, "second client": 2.0}


def ratio(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> list[float]:
    """Our time over theirs, one figure a round, calls alternating."""
    figures: list[float] = []
    for _ in range(rounds):
        spent = [0.0, 0.0]
        for _ in range(CALLS):
            for side, call in enumerate((ours, theirs)):
                start = time.perf_counter()
                call()
                spent[side] += time.perf_counter() - start
        figures.append(spent[0] / spent[1])
    return figures


async def async_ratio(
    ours: Callable[[], Awaitable[object]], theirs: Callable[[], Awaitable[object]], rounds: int
) -> list[float]:
    """The same for awaited calls."""
    figures: list[float] = []
    for _ in range(rounds):
        spent = [0.0, 0.0]
        for _ in range(CALLS):
            for side, call in enumerate((ours, theirs)):
                start = time.perf_counter()
                await call()
                spent[side] += time.perf_counter() - start
        figures.append(spent[0] / spent[1])
    return figures


def blocking(url: str, rounds: int) -> list[float]:
    """`query` beside `httpx.Client.post(...).json()`."""
    with (
        SekhaClient(controller_url=url, api_key="sk-bench", rate_limit_requests=10**9) as client,
        httpx.Client() as bare,
    ):
        return ratio(
            lambda: client.controller.query("docker", limit=HITS),
            lambda: bare.post(url + "/api/v1/query", json=BODY).json(),
            rounds,
        )


async def awaited(url: str, rounds: int) -> list[float]:
    """The same on asyncio."""
    async with AsyncSekhaClient(controller_url=url, api_key="sk-bench", rate_limit_requests=10**9) as client:
        async with httpx.AsyncClient() as bare:

            async def theirs() -> object:
                return (await bare.post(url + "/api/v1/query", json=BODY)).json()

            return await async_ratio(lambda: client.controller.query("docker", limit=HITS), theirs, rounds)


IMPORTS = {
    "ours": "import sekha; sekha.SekhaClient(controller_url='http://localhost:8080', api_key='k')",
    "theirs": "import httpx; httpx.Client()",
}


def import_difference(rounds: int) -> list[float]:
    """Milliseconds that importing us and making a client takes beyond httpx, in fresh processes."""
    timed = "import time; start = time.perf_counter(); {}; print((time.perf_counter() - start) * 1000)"
    figures: list[float] = []
    with tempfile.TemporaryDirectory() as cache:  # compiled once, as an installed package is
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for _ in range(rounds + 1):
            spent = {
                side: float(subprocess.check_output([sys.executable, "-c", timed.format(code)], env=environment))
                for side, code in IMPORTS.items()
            }
            figures.append(spent["ours"] - spent["theirs"])
    return figures[1:]


def second_client(rounds: int) -> list[float]:
    """Milliseconds that a second client takes."""
    config = SekhaConfig(controller_url="https://localhost:8080", api_key="k")
    kept = [SekhaClient(config)]
    figures: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        kept.append(SekhaClient(config))
        figures.append((time.perf_counter() - start) * 1000)
    for client in kept:
        client.close()
    return figures


def main() -> None:
    """Print one line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    with canned_server() as url:
        figures = {
            "blocking": (blocking(url, rounds), "times httpx"),
            "asyncio": (asyncio.run(awaited(url, rounds)), "times httpx"),
            "import": (import_difference(max(5, rounds // 3)), "ms above httpx"),
            "second client": (second_client(rounds), "ms"),
        }
    for name, (values, unit) in figures.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name:14} {middle:8.2f} {unit:15} (limit {LIMITS[name]:g}; {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
