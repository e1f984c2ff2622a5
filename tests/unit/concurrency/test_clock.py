"""The clock: time, sleep and random, also where somebody has stopped the time."""

from __future__ import annotations

import threading
import time
from importlib import reload

import anyio
import pytest

from sekha._concurrency import clock as module
from sekha._concurrency.clock import Clock, RealTimeLimit, is_replaced, monotonic
from sekha._concurrency.primitives import AsyncWakeup, async_move_on_after


def real_time() -> float:
    """The time of the system by a function that nobody replaces here."""
    return time.perf_counter()


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is told that time passes, and asyncio neither."""
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)


def test_the_clock_never_jumps_back_and_chance_is_a_fraction() -> None:
    clock = Clock()
    times = [clock.now() for _ in range(100)]
    assert times == sorted(times)
    chances = [clock.chance() for _ in range(100)]
    assert all(0 <= chance < 1 for chance in chances)
    assert len(set(chances)) > 50


async def test_the_clock_waits_nothing_when_asked_for_nothing() -> None:
    await Clock().async_sleep(0)
    Clock().sleep(0)


@pytest.mark.promise("W12")
def test_the_clock_goes_on_where_the_time_was_stopped(stopped: None) -> None:
    before = Clock().now()
    Clock().sleep(0.01)
    assert 0.01 <= Clock().now() - before < 10
    assert abs(Clock().now() - monotonic()) < 10
    assert is_replaced()


def test_a_clock_that_nobody_has_replaced_is_that_of_the_system() -> None:
    assert not is_replaced()
    assert time.monotonic() <= monotonic() <= time.monotonic()


@pytest.mark.promise("W12")
@pytest.mark.skipif(not hasattr(time, "clock_gettime"), reason="there is no other clock here")
def test_the_clock_goes_on_though_it_is_loaded_when_the_time_was_stopped(
    stopped: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dict(vars(module))
    try:
        late = reload(module).Clock()
        first = late.now()
        late.sleep(0.01)
        assert 0.01 <= late.now() - first < 10
    finally:
        vars(module).update(before)  # others have imported these


@pytest.mark.promise("W12")
async def test_waits_of_tasks_end_where_the_clock_of_their_loop_stands_still(stopped: None) -> None:
    begin = real_time()
    await Clock().async_sleep(0.05)
    with async_move_on_after(0.05) as limit:
        await anyio.sleep_forever()
    assert limit.cancelled_caught
    assert not await AsyncWakeup().wait(0.05)
    assert 0.15 <= real_time() - begin < 10


@pytest.mark.promise("W12")
async def test_what_ends_in_time_is_not_cut(stopped: None) -> None:
    with async_move_on_after(60.0) as limit:
        await anyio.lowlevel.checkpoint()
    assert not limit.cancelled_caught
    with async_move_on_after(0.0) as limit:  # no time at all
        await anyio.sleep_forever()
    assert limit.cancelled_caught
    with pytest.raises(ZeroDivisionError), async_move_on_after(60.0):
        raise ZeroDivisionError
    timers = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    for timer in timers:
        timer.join(5)  # each was cancelled
        assert not timer.is_alive()


async def test_a_timer_that_comes_late_cancels_nothing(stopped: None) -> None:
    limit = RealTimeLimit(60.0)
    with limit:
        pass
    limit._end()
    await anyio.wait_all_tasks_blocked()
    await anyio.lowlevel.checkpoint()
    assert not limit.cancelled_caught


def test_a_timer_that_comes_after_its_loop_does_nothing(stopped: None) -> None:
    limits = []

    async def main() -> None:
        with RealTimeLimit(60.0) as limit:
            limits.append(limit)

    for backend in ("asyncio", "trio"):
        anyio.run(main, backend=backend)
    for limit in limits:
        limit._end()
