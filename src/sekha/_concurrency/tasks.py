"""Several calls at a time: in tasks of an event loop, or in threads."""

from __future__ import annotations

import contextvars
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Callable as TypingCallable
from typing import TypeVar

import anyio
from typing_extensions import ParamSpec

P = ParamSpec("P")
T = TypeVar("T")

AsyncCall = TypingCallable[P, Awaitable[T]]
Call = TypingCallable[P, T]


async def async_gather(calls: Sequence[Callable[[], Awaitable[T]]], limit: int) -> list[T]:
    """Make the calls concurrently, at most ``limit`` at a time; return results in order, or raise the first error."""
    results: dict[int, T] = {}
    errors: list[Exception] = []
    slots = anyio.Semaphore(limit)

    async def run(index: int, call: Callable[[], Awaitable[T]]) -> None:
        async with slots:
            try:
                results[index] = await call()
            except Exception as error:
                errors.append(error)
                tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for index, call in enumerate(calls):
            tasks.start_soon(run, index, call)
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(calls))]


def gather(calls: Sequence[Callable[[], T]], limit: int) -> list[T]:
    """Make the calls in threads, at most ``limit`` at a time; return the results in order, or raise the first error."""
    if len(calls) < 2:
        return [call() for call in calls]
    pool = ThreadPoolExecutor(min(limit, len(calls)), thread_name_prefix="sekha")
    try:
        futures = [_submit(pool, call) for call in calls]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in futures:
            if future in done:
                future.result()  # the first error, if there is one
        return [future.result() for future in futures]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # after an error or Ctrl-C nothing more is started


async def async_in_thread(call: Callable[[], T]) -> T:
    """Make a call that reads or writes a file, in a thread and not in the event loop."""
    return await anyio.to_thread.run_sync(call)


def in_thread(call: Callable[[], T]) -> T:
    """Make the call, in this thread."""
    return call()


async def async_for_each(
    items: Iterator[T], work: Callable[[T], Awaitable[None]], limit: int, stop: Callable[[], object]
) -> None:
    """Work on items as they come, on at most ``limit`` at a time; the first error calls ``stop`` and ends it."""
    errors: list[Exception] = []
    lock = anyio.Lock()

    async def worker() -> None:
        try:
            while True:
                async with lock:
                    item = await anyio.to_thread.run_sync(next, items, _END)
                if isinstance(item, _End):
                    return
                await work(item)
        except Exception as error:
            errors.append(error)
            stop()
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for _ in range(limit):
            tasks.start_soon(worker)
    if errors:
        raise errors[0]


def for_each(items: Iterator[T], work: Callable[[T], None], limit: int, stop: Callable[[], object]) -> None:
    """Work on items as they come, in at most ``limit`` threads.

    The first error, or Ctrl-C, calls ``stop`` and ends it: what has started is finished, and nothing more is started.
    """
    started: set[Future[None]] = set()
    with ThreadPoolExecutor(limit, thread_name_prefix="sekha") as pool:
        try:
            for item in items:
                started.add(_submit(pool, partial(work, item)))
                if len(started) == limit:
                    done, started = wait(started, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            for future in started:
                future.result()
        except BaseException:
            stop()
            raise


def _submit(pool: ThreadPoolExecutor, call: Callable[[], T]) -> Future[T]:
    """Start a call in a thread; while Python is exiting it starts none, and the call is made here."""
    try:
        return pool.submit(contextvars.copy_context().run, call)
    except RuntimeError as error:
        if "interpreter shutdown" not in str(error):
            raise
    future: Future[T] = Future()
    try:
        future.set_result(call())
    except Exception as error:
        future.set_exception(error)
    return future


class _End:
    """The default of `next`: the iterator is exhausted."""


_END = _End()
