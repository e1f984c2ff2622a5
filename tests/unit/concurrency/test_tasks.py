"""Calls side by side, in tasks and in threads."""

from __future__ import annotations

import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Awaitable, Callable, List

import anyio.lowlevel
import pytest

from sekha._concurrency.tasks import async_gather, for_each, gather

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
    over = threading.Event()

    def calling(number: int) -> Callable[[], int]:
        def call() -> int:
            began.append(number)
            if number == 0:
                raise KeyError(number)
            over.wait(10)
            return number

        return call

    with pytest.raises(KeyError):
        gather([calling(number) for number in range(50)], 2)
    over.set()
    assert len(began) <= 3  # the first, the one beside it, and the one that took its thread


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


# ---- while Python exits ---------------------------------------------------------------------------------------------


@pytest.fixture
def exiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread can be started."""

    def submit(self: ThreadPoolExecutor, *_: object) -> Any:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)


def test_without_threads_the_calls_are_made_one_by_one(exiting: None) -> None:
    threads: List[int] = []

    def call() -> int:
        threads.append(threading.get_ident())
        return len(threads)

    assert gather([call] * 3, 3) == [1, 2, 3]
    for_each(iter("ab"), lambda _: threads.append(threading.get_ident()), 4, lambda: None)
    assert threads == [threading.get_ident()] * 5


def test_without_threads_the_first_error_comes_out_as_it_is(exiting: None) -> None:
    stopped: List[bool] = []

    def fail(*_: object) -> Any:
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        gather([fail, fail], 2)
    with pytest.raises(ValueError, match="as it is"):
        for_each(iter("ab"), fail, 4, lambda: stopped.append(True))
    assert stopped == [True]


def test_another_lack_of_threads_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def submit(self: ThreadPoolExecutor, *_: object) -> Any:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        gather([list, list], 2)
