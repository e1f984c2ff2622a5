"""Calls side by side, in tasks and in threads."""

from __future__ import annotations

import contextvars
import threading
import time
from typing import Any, Awaitable, Callable, List

import anyio.lowlevel
import pytest

from sekha._concurrency.tasks import async_gather, gather

# ---- side by side ---------------------------------------------------------------------------------------------------


async def test_calls_side_by_side_give_their_results_in_order_and_stay_below_the_limit() -> None:
    running, most = 0, 0

    def calling(number: int) -> Callable[[], Awaitable[int]]:
        async def call() -> int:
            nonlocal running, most
            running += 1
            most = max(most, running)
            for _ in range(5 - number % 5):
                await anyio.lowlevel.checkpoint()
            running -= 1
            return number

        return call

    assert await async_gather([calling(number) for number in range(20)], 4) == list(range(20))
    assert most == 4
    assert await async_gather([], 4) == []


async def test_the_first_error_ends_the_calls_and_comes_out_as_it_is() -> None:
    began: List[int] = []

    def calling(number: int) -> Callable[[], Awaitable[int]]:
        async def call() -> int:
            began.append(number)
            await anyio.lowlevel.checkpoint()
            if number == 1:
                raise KeyError("one")
            await anyio.sleep(60)
            return number

        return call

    with anyio.fail_after(5), pytest.raises(KeyError, match="one"):
        await async_gather([calling(number) for number in range(3)], 3)
    assert 1 in began


async def test_cancellation_goes_through_calls_side_by_side() -> None:
    async def wait() -> None:
        await anyio.sleep(60)

    with anyio.move_on_after(0) as scope:
        await async_gather([wait, wait], 2)
    assert scope.cancelled_caught


def test_threads_side_by_side_give_their_results_in_order_and_stay_below_the_limit() -> None:
    lock, running, most = threading.Lock(), 0, 0
    together = threading.Barrier(4)

    def calling(number: int) -> Callable[[], int]:
        def call() -> int:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            together.wait(5)  # passes only if four run side by side
            with lock:
                running -= 1
            return number

        return call

    assert gather([calling(number) for number in range(12)], 4) == list(range(12))
    assert most == 4
    assert gather([], 4) == []


def test_a_single_call_takes_no_thread() -> None:
    assert gather([threading.current_thread], 4) == [threading.current_thread()]


def test_threads_see_the_callers_context() -> None:
    request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")
    request_id.set("r-7")
    assert gather([request_id.get, request_id.get], 4) == ["r-7", "r-7"]


def test_the_first_error_of_threads_keeps_the_waiting_from_beginning() -> None:
    began: List[int] = []

    def calling(number: int) -> Callable[[], int]:
        def call() -> int:
            began.append(number)
            raise KeyError(number)

        return call

    with pytest.raises(KeyError):
        gather([calling(number) for number in range(50)], 2)
    assert len(began) < 50


def test_an_interrupted_fan_out_begins_nothing_more() -> None:
    begun: List[int] = []
    interrupted = threading.Event()

    def call(number: int) -> Any:
        def run() -> None:
            begun.append(number)
            if number == 0:
                interrupted.set()
                raise KeyboardInterrupt
            interrupted.wait(5)
            time.sleep(0.05)

        return run

    with pytest.raises(KeyboardInterrupt):
        gather([call(number) for number in range(40)], 2)
    assert len(begun) < 20
