"""Values for each loop and each process, semaphores and time limits: asyncio, trio and threads behave alike."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import weakref
from typing import List

import anyio
import anyio.lowlevel
import pytest
import trio

from sekha._concurrency import primitives
from sekha._concurrency.primitives import (
    AsyncPerLoop,
    AsyncSemaphore,
    PerProcess,
    Semaphore,
    Wakeup,
    async_move_on_after,
    move_on_after,
)


class Thing:
    """Something that can be made, and be gone."""


# ---- a value for each loop -----------------------------------------------------------------------------------------


async def test_a_loop_has_one_value_of_each_and_two_are_not_mixed_up() -> None:
    one, other = AsyncPerLoop(Thing), AsyncPerLoop(Thing)
    assert one.get() is one.get()
    assert other.get() is not one.get()


async def test_a_value_that_was_taken_out_is_made_anew_and_only_when_asked_for() -> None:
    made: List[Thing] = []

    def make() -> Thing:
        made.append(Thing())
        return made[-1]

    per_loop = AsyncPerLoop(make)
    assert per_loop.pop() is None
    assert made == []
    first = per_loop.get()
    assert per_loop.pop() is first
    assert per_loop.pop() is None
    assert len(made) == 1
    assert per_loop.get() is not first


def test_every_loop_has_its_own_value() -> None:
    per_loop = AsyncPerLoop(Thing)

    async def get() -> Thing:
        return per_loop.get()

    found = [asyncio.run(get()), asyncio.run(get()), trio.run(get)]
    assert len(set(map(id, found))) == 3


def test_loops_of_four_threads_each_have_their_own_value() -> None:
    per_loop = AsyncPerLoop(Thing)
    found: List[Thing] = []

    async def twice() -> None:
        first = per_loop.get()
        await anyio.lowlevel.checkpoint()
        assert per_loop.get() is first
        found.append(first)

    threads = [threading.Thread(target=lambda: asyncio.run(twice())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 4


async def test_values_go_with_what_held_them_and_do_not_pile_up_in_the_loop() -> None:
    per_loop = AsyncPerLoop(Thing)
    gone = weakref.ref(per_loop.get())
    del per_loop
    gc.collect()
    assert gone() is None


def test_outside_a_loop_there_is_no_value() -> None:
    with pytest.raises(Exception, match=r"(?i)async|event loop"):
        AsyncPerLoop(Thing).get()


@pytest.mark.promise("R9")
def test_loops_may_come_and_go_in_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    per_loop = AsyncPerLoop(Thing)
    monkeypatch.setattr(primitives, "running_loop", Thing)  # a new one every time
    errors: List[BaseException] = []

    def work() -> None:
        try:
            for _ in range(3000):
                per_loop.get()
        except BaseException as error:
            errors.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert errors == []


# ---- a value for each process ---------------------------------------------------------------------------------------


def test_a_process_has_one_value_whichever_thread_asks_first() -> None:
    made: List[Thing] = []
    start = threading.Barrier(16)

    def make() -> Thing:
        made.append(Thing())
        return made[-1]

    per_process, found = PerProcess(make), set()

    def get() -> None:
        start.wait()
        found.add(id(per_process.get()))

    threads = [threading.Thread(target=get) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == len(found) == 1
    assert per_process.pop() is made[0]
    assert per_process.pop() is None
    assert per_process.get() is not made[0]


def test_after_a_fork_the_child_makes_its_own_even_if_a_thread_was_making_one(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def make() -> Thing:
        if threading.current_thread() is not threading.main_thread():
            inside.set()
            assert go_on.wait(5)
        return Thing()

    per_process = PerProcess(make)
    thread = threading.Thread(target=per_process.get)
    thread.start()
    try:
        assert inside.wait(5)
        # What a fork leaves behind: another process number, and a lock that nobody will ever release.
        with monkeypatch.context() as child:
            child.setattr(os, "getpid", lambda: -1)
            found: List[Thing] = []
            getter = threading.Thread(target=lambda: found.append(per_process.get()), daemon=True)
            make_thread = threading.main_thread
            child.setattr(threading, "main_thread", lambda: getter)
            getter.start()
            getter.join(5)
            assert len(found) == 1, "it waits for a lock that is never released"
            child.setattr(threading, "main_thread", make_thread)
    finally:
        go_on.set()
        thread.join()


def test_a_forked_child_does_not_use_its_parents_value(monkeypatch: pytest.MonkeyPatch) -> None:
    per_process = PerProcess(Thing)
    parents = per_process.get()
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        childs = per_process.get()
        assert childs is not parents
        assert per_process.get() is childs
    assert PerProcess(Thing).pop() is None


async def test_a_forked_child_does_not_close_its_parents_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child may go on in the same loop, such as one of trio."""
    per_loop = AsyncPerLoop(Thing)
    per_loop.get()
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        assert per_loop.pop() is None


# ---- semaphores -----------------------------------------------------------------------------------------------------


async def test_tasks_get_through_a_few_at_a_time_and_in_order() -> None:
    places, inside, most, order = AsyncSemaphore(3), 0, 0, []  # type: AsyncSemaphore, int, int, List[int]

    async def work(number: int) -> None:
        nonlocal inside, most
        slot = places.slot()
        assert await slot.acquire(None)
        order.append(number)
        inside += 1
        most = max(most, inside)
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        inside -= 1
        slot.release()

    async with anyio.create_task_group() as tasks:
        for number in range(12):
            tasks.start_soon(work, number)
    assert most == 3
    assert sorted(order) == list(range(12))


async def test_a_cancelled_task_gives_up_its_wait_for_a_place() -> None:
    places = AsyncSemaphore(1)
    first, second, third = places.slot(), places.slot(), places.slot()
    assert await first.acquire(None)
    with anyio.move_on_after(0) as scope:
        await second.acquire(None)
    assert scope.cancelled_caught
    second.release()
    first.release()
    with anyio.fail_after(5):
        assert await third.acquire(None)
    third.release()


def test_threads_get_a_place_or_hear_that_the_time_is_over() -> None:
    places = Semaphore(2)
    slots = [places.slot() for _ in range(6)]
    assert slots[0].acquire(None)
    assert slots[1].acquire(0.0)
    for slot, seconds in zip(slots[2:5], (0.0, -5.0, 0.01)):
        assert slot.acquire(seconds) is False
        slot.release()
    slots[0].release()
    assert slots[5].acquire(None)


def test_a_thread_never_waits_longer_at_once_than_a_system_can(monkeypatch: pytest.MonkeyPatch) -> None:
    places, asked = Semaphore(1), []  # type: Semaphore, List[float]
    first, second = places.slot(), places.slot()
    assert first.acquire(None)

    def wait(self: Wakeup, seconds: float) -> bool:
        asked.append(seconds)
        first.release()
        return False

    monkeypatch.setattr(Wakeup, "wait", wait)
    assert second.acquire(2.0 * threading.TIMEOUT_MAX)
    assert max(asked) <= 60


# ---- time limits ----------------------------------------------------------------------------------------------------


async def test_a_time_limit_ends_the_block_and_tells() -> None:
    with async_move_on_after(0) as scope:
        await anyio.sleep(60)
    assert scope.cancelled_caught
    with async_move_on_after(-5) as scope:
        await anyio.sleep(60)
    assert scope.cancelled_caught


async def test_without_a_time_limit_a_block_ends_by_itself() -> None:
    with async_move_on_after(None) as scope:
        await anyio.lowlevel.checkpoint()
    assert not scope.cancelled_caught
    with async_move_on_after(60) as scope:
        await anyio.lowlevel.checkpoint()
    assert not scope.cancelled_caught


def test_blocking_code_is_not_interrupted() -> None:
    with move_on_after(0) as scope:
        done = True
    assert done
    assert not scope.cancelled_caught


def test_what_belongs_to_an_ended_loop_is_forgotten_when_the_next_begins() -> None:
    class Holder:
        def __init__(self) -> None:
            self.loop = asyncio.get_running_loop()  # as a connection does

    per_loop = AsyncPerLoop(Holder)

    async def use() -> None:
        assert per_loop.get() is per_loop.get()

    for _ in range(5):
        asyncio.run(use())
    assert len(per_loop._made) == 1
