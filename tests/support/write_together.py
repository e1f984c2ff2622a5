"""A program: for each line of its input, stores six conversations side by side, and prints how many were stored.

A line is JSON: ``asyncio``, ``trio`` or ``blocking``; the runtime folder; the settings of the client; and the address
of a Redis, or an empty text.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio

import sekha
from sekha import SekhaError

WRITES = 6
TURN: Any = [
    {"role": "user", "content": "note " * 10},
    {"role": "assistant", "content": "ok " * 20},
    {"role": "user", "content": "and more"},
]


def blocking(options: Any) -> int:
    with sekha.SekhaClient(**options) as client, ThreadPoolExecutor(WRITES) as pool:

        def store(_: int) -> bool:
            try:
                client.controller.create_conversation(messages=TURN)
            except SekhaError as error:
                print(repr(error), file=sys.stderr)
                return False
            return True

        return sum(pool.map(store, range(WRITES)))


async def awaited(options: Any) -> int:
    stored = []
    async with sekha.AsyncSekhaClient(**options) as client:

        async def store() -> None:
            try:
                stored.append(await client.controller.create_conversation(messages=TURN))
            except SekhaError as error:
                print(repr(error), file=sys.stderr)

        async with anyio.create_task_group() as tasks:
            for _ in range(WRITES):
                tasks.start_soon(store)
    return len(stored)


if __name__ == "__main__":
    for line in sys.stdin:
        form, os.environ["XDG_RUNTIME_DIR"], settings, redis = json.loads(line)
        if redis:
            from sekha.integrations.redis import RedisWriteGate

            settings["write_gate"] = RedisWriteGate(redis, name="memory")
        print(blocking(settings) if form == "blocking" else anyio.run(awaited, settings, backend=form), flush=True)
