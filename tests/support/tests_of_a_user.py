"""Tests of a user, whose clients outlive their event loops: run by pytest with each warning as an error."""

from __future__ import annotations

import asyncio
import gc
import os
from importlib import import_module
from typing import Any, Awaitable, Callable, List

import anyio
import pytest

from sekha import AsyncSekhaClient

BACKEND = os.environ["BACKEND"]
kept: List[object] = []


def make() -> AsyncSekhaClient:
    return AsyncSekhaClient(controller_url=os.environ["URL"], verify=os.environ["CA"], api_key="k")


client = make()


def run(work: Callable[[], Awaitable[Any]]) -> None:
    """Run some work in a loop of its own."""
    if BACKEND == "uvloop":
        import_module("uvloop").run(work())
    else:
        anyio.run(work, backend=BACKEND)


async def call() -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(client.controller.health)


@pytest.mark.parametrize("number", range(3))
def test_a_client_at_the_top_of_a_module(number: int) -> None:
    run(call)


def test_a_loop_that_is_kept() -> None:
    if BACKEND == "trio":
        pytest.skip("trio has no loops to keep")
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if BACKEND == "uvloop":
        new_event_loop = import_module("uvloop").new_event_loop
    loop = new_event_loop()
    for _ in range(2):
        loop.run_until_complete(call())
    loop.close()
    kept.append(loop)


def test_a_client_of_the_test() -> None:
    own = make()
    run(own.controller.health)
    run(own.controller.health)


def test_a_client_that_is_closed_in_another_loop() -> None:
    own = make()
    run(own.controller.health)
    run(own.aclose)


def test_nothing_is_found_later() -> None:
    gc.collect()


def test_nor_when_loops_and_clients_are_gone() -> None:
    global client
    kept.clear()
    gc.collect()
    del client
    gc.collect()
