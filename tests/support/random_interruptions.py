"""A program: calls of a blocking client, interrupted at random moments, and then calls that must all succeed.

    PYTHONPATH=tests python tests/support/random_interruptions.py signals 10000
    PYTHONPATH=tests python -m gevent.monkey tests/support/random_interruptions.py gevent 2000

The first raises in a signal handler; the second kills greenlets, and lets a ``gevent.Timeout`` pass. A third argument
chooses other moments.
"""

from __future__ import annotations

import random
import signal
import sys
from importlib import import_module
from typing import Any, Callable, List

from sekha import SekhaClient
from support import facts
from support.facts import MESSAGES
from support.interrupting import Interruption, held
from support.replies import answer
from support.server import FakeServer

COUNT = int(sys.argv[2])
chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 7)


def by_signals(calls: List[Callable[[], Any]]) -> int:
    """Interrupt calls by a timer; return how many calls it took."""

    def interrupt(*_: Any) -> None:
        raise Interruption

    signal.signal(signal.SIGALRM, interrupt)
    seconds, interrupted, tried = 0.001, 0, 0
    while interrupted < COUNT:
        tried += 1
        try:
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, seconds))
                chance.choice(calls)()
                seconds *= 0.98  # some calls come to their end, so that the end is interrupted, too
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except Interruption:
            interrupted += 1
            seconds *= 1.01
    return tried


def by_gevent(calls: List[Callable[[], Any]]) -> int:
    """Kill greenlets, which is noticed where they wait, and let calls time out; return how many calls it took."""
    gevent: Any = import_module("gevent")  # which not everybody has

    tried = 0
    for _ in range(COUNT // 10):
        greenlets = [gevent.spawn(chance.choice(calls)) for _ in range(10)]
        tried += len(greenlets)
        for greenlet in greenlets:
            gevent.sleep(chance.uniform(0, 0.001))
            greenlet.kill()
        with gevent.Timeout(chance.choice([0, chance.uniform(0, 0.003)]), False):
            chance.choice(calls)()
    return tried


def main() -> None:
    """Print what is still in use; nothing should be."""
    server = FakeServer()
    server.always("POST /api/v1/query", answer(facts.hits()))
    server.always("POST /api/v1/conversations", answer(facts.CREATED, 201))
    server.always("GET /health", answer(facts.HEALTHY))
    with SekhaClient(
        controller_url=server.url,
        bridge_url=server.url,
        api_key="k",
        max_connections=4,
        max_concurrent_writes=2,
        max_retries=0,
        timeout=5.0,
        deadline=5.0,
        rate_limit_requests=10**9,
    ) as client:

        def read() -> Any:
            return client.controller.query("x")

        def write() -> Any:
            return client.controller.create_conversation(messages=MESSAGES)

        read()  # the first call builds pydantic's schemas, where an interruption becomes an error of pydantic's
        write()
        tried = {"signals": by_signals, "gevent": by_gevent}[sys.argv[1]]([read, write])
        found = held(client)
        for _ in range(100):
            read()
            write()
        found += held(client)
        print(f"{tried} calls, held: {found}")
    server.close()
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
