"""The thread that waits for sockets where the event loop cannot, as asyncio's usual one on Windows."""

from __future__ import annotations

import asyncio
import errno
import gc
import select
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio

from sekha._concurrency import select_thread
from sekha._concurrency.select_thread import SelectThread, _Wait, thread_for


@pytest.fixture(scope="module")
def thread() -> Iterator[SelectThread]:
    thread = SelectThread()
    yield thread
    thread.stop()


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def within_time() -> None:
        await asyncio.wait_for(main(), 20)

    asyncio.run(within_time())


def connected_pair() -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    return near, far


async def woken(thread: SelectThread) -> None:
    """Show that the thread still waits."""
    near, far = connected_pair()
    with near, far:
        task = asyncio.ensure_future(thread.wait(near, writing=False))
        await asyncio.sleep(0.01)
        assert not task.done()
        far.send(b"x")
        await asyncio.wait_for(task, 10)


def test_a_socket_is_waited_for_until_it_can_be_read_or_written(thread: SelectThread) -> None:
    async def main() -> None:
        near, far = connected_pair()
        with near, far:
            await thread.wait(near, writing=True)
            far.send(b"x")
            await thread.wait(near, writing=False)
            near.recv(10)
        for _ in range(50):
            await woken(thread)

    run(main)


def test_a_socket_that_is_closed_ends_no_wait_but_its_own(thread: SelectThread) -> None:
    """anyio's thread would end here, and with it every later wait of the process."""

    async def main() -> None:
        other, its_peer = connected_pair()
        waiting = asyncio.ensure_future(thread.wait(other, writing=False))
        for _ in range(50):
            near, far = connected_pair()
            with far:
                task = asyncio.ensure_future(thread.wait(near, writing=False))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                near.close()
            await asyncio.sleep(0)
        await woken(thread)
        assert not waiting.done()
        its_peer.send(b"x")
        await waiting
        other.close()
        its_peer.close()

    run(main)


@pytest.mark.parametrize("error", [OSError(errno.EBADF, "not a socket"), ValueError("file descriptor cannot be -1")])
def test_an_error_of_select_is_looked_into_and_goes_by(
    error: Exception, thread: SelectThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, errors = select.select, [error, error]

    def fail_twice(*arguments: Any) -> Any:
        if errors:
            raise errors.pop()
        return wait(*arguments)

    async def main() -> None:
        monkeypatch.setattr(select, "select", fail_twice)
        await woken(thread)
        await woken(thread)
        assert not errors

    run(main)


def test_a_wait_for_a_closed_socket_ends_at_once(thread: SelectThread) -> None:
    async def main() -> None:
        near, far = connected_pair()
        near.close()
        far.close()
        await thread.wait(near, writing=False)
        await woken(thread)

    run(main)


def test_the_waits_for_a_socket_can_be_ended(thread: SelectThread) -> None:
    async def main() -> None:
        near, far = connected_pair()
        with near, far:
            tasks = [asyncio.ensure_future(thread.wait(near, writing=False)) for _ in range(3)]
            await asyncio.sleep(0.01)
            thread.end_waits(near)
            await asyncio.gather(*tasks)
        await woken(thread)

    run(main)


def test_more_sockets_than_select_takes_are_waited_for_by_turns(
    thread: SelectThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select_thread, "_MAX_SOCKETS", 2)
    most: list[int] = []
    wait = select.select

    def count(readers: Any, *others: Any) -> Any:
        most.append(len(readers))
        return wait(readers, *others)

    monkeypatch.setattr(select, "select", count)

    async def main() -> None:
        pairs = [connected_pair() for _ in range(7)]
        tasks = [asyncio.ensure_future(thread.wait(near, writing=False)) for near, _ in pairs]
        for task, (_, far) in zip(tasks[::-1], pairs[::-1]):
            assert not task.done()
            far.send(b"x")
            await asyncio.wait_for(task, 10)
        for near, far in pairs:
            near.close()
            far.close()
        await woken(thread)

    run(main)
    assert max(most) == 3  # with that by which it is woken


def test_a_loop_that_was_closed_meanwhile_is_no_error() -> None:
    loop = asyncio.new_event_loop()
    ended = loop.create_future()
    loop.close()
    near, far = connected_pair()
    with near, far:
        _Wait(near, False, loop, ended).end()
    assert not ended.done()


def test_a_thread_that_is_stopped_leaves_nothing(recwarn: pytest.WarningsRecorder) -> None:
    before = {*threading.enumerate()}
    threads = [SelectThread()]
    run(lambda: woken(threads[0]))
    threads.pop().stop()
    assert {*threading.enumerate()} <= before
    gc.collect()
    assert not list(recwarn)


def test_the_thread_rests_while_nothing_happens(thread: SelectThread, monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[float] = []
    wait = select.select

    def count(*arguments: Any) -> Any:
        turns.append(time.monotonic())
        return wait(*arguments)

    async def main() -> None:
        near, far = connected_pair()
        with near, far:
            far.send(b"x")
            await thread.wait(near, writing=False)  # which stays readable, but is not waited for any more
            await asyncio.sleep(0.02)
            monkeypatch.setattr(select, "select", count)
            await asyncio.sleep(0.1)
            assert turns == []

    run(main)


def test_only_loops_that_cannot_wait_need_it() -> None:
    class Without(asyncio.SelectorEventLoop):
        add_reader: Any = asyncio.AbstractEventLoop.add_reader

    for cls, needs in ((asyncio.SelectorEventLoop, False), (Without, True)):
        loop = cls()
        assert (thread_for(loop) is not None) is needs
        loop.close()
    assert trio.run(is_none_on_trio)


async def is_none_on_trio() -> bool:
    return thread_for(trio.lowlevel.current_trio_token()) is None
