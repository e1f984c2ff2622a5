"""Calls that are awaited, or entered: whatever takes coroutines takes them, too."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from collections.abc import Awaitable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, AsyncIterable, Iterable, List, Optional, Type
from unittest.mock import AsyncMock, create_autospec

import anyio
import pytest

from sekha._concurrency.enterable import async_enterable, enterable


class Resource:
    """Something to be closed."""

    def __init__(self) -> None:
        self.closed: List[object] = []

    async def __aenter__(self) -> Resource:
        return self

    async def __aexit__(
        self, exc_type: Optional[Type[BaseException]], exc: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.closed.append(exc_type)


class Maker:
    """Makes resources."""

    @async_enterable
    async def make(self, seconds: float = 0.0) -> Resource:
        """Make one."""
        if seconds < 0:
            raise ValueError(seconds)
        await anyio.sleep(seconds)
        return Resource()


async def test_a_call_is_awaited_or_entered() -> None:
    assert (await Maker().make()).closed == []
    async with Maker().make() as resource:
        assert resource.closed == []
    assert resource.closed == [None]
    with pytest.raises(ZeroDivisionError):
        async with Maker().make() as resource:
            raise ZeroDivisionError
    assert resource.closed == [ZeroDivisionError]


async def test_a_call_that_fails_raises_its_error() -> None:
    with pytest.raises(ValueError, match="-1"):
        await Maker().make(-1)
    with pytest.raises(ValueError, match="-1"):
        async with Maker().make(-1):
            raise AssertionError("it was entered")


async def test_a_cancelled_call_is_not_entered() -> None:
    with anyio.move_on_after(0.01) as scope:
        async with Maker().make(60):
            raise AssertionError("it was entered")
    assert scope.cancelled_caught


async def test_a_call_is_made_once() -> None:
    call = Maker().make()
    await call
    with pytest.raises(RuntimeError, match="already awaited"):
        await call
    with pytest.raises(RuntimeError, match="already awaited"):
        async with call:
            raise AssertionError("it was entered")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_takes_it_for_a_coroutine() -> None:
    task = asyncio.create_task(Maker().make())
    assert isinstance(await task, Resource)
    both = await asyncio.gather(Maker().make(), Maker().make())
    assert [type(one) for one in both] == [Resource, Resource]
    assert isinstance(await asyncio.wait_for(Maker().make(), 5), Resource)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(Maker().make(60), 0.01)
    task = asyncio.create_task(Maker().make(60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_loop_runs_it() -> None:
    assert isinstance(asyncio.run(Maker().make()), Resource)
    assert isinstance(anyio.run(Maker().make, backend="trio"), Resource)


def test_a_call_that_is_never_awaited_warns() -> None:
    with pytest.warns(RuntimeWarning, match=r"coroutine 'Maker\.make' was never awaited"):
        forget(Maker().make())


def forget(call: object) -> None:
    """Collect a call whose last reference this is."""
    del call
    gc.collect()


def test_a_call_that_is_closed_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Maker().make().close()
        gc.collect()


def test_it_looks_like_the_coroutine_function_that_it_is() -> None:
    assert str(inspect.signature(Maker.make)) == "(self, seconds: 'float' = 0.0) -> 'Resource'"
    assert (Maker.make.__name__, Maker.make.__doc__) == ("make", "Make one.")
    assert inspect.iscoroutinefunction(inspect.unwrap(Maker.make))
    if hasattr(inspect, "markcoroutinefunction"):
        assert inspect.iscoroutinefunction(Maker().make)
    else:
        assert asyncio.iscoroutinefunction(Maker().make)


async def test_a_mock_of_it_is_awaited() -> None:
    mock = create_autospec(Maker, instance=True)
    assert isinstance(mock.make, AsyncMock)
    mock.make.return_value = Resource()
    assert isinstance(await mock.make(1.0), Resource)


def test_a_call_is_a_coroutine_and_an_async_context_manager_and_nothing_else() -> None:
    call: Any = Maker().make()
    for one in (Awaitable, Coroutine, AbstractAsyncContextManager):
        assert isinstance(call, one)
    for other in (Iterable, AsyncIterable, AbstractContextManager):
        assert not isinstance(call, other)
    call.close()


async def test_a_call_that_is_used_without_being_awaited_says_what_to_do() -> None:
    async def iterate(call: Any) -> None:
        async for _ in call:
            raise AssertionError("it was iterated")

    async def list_all(call: Any) -> None:
        list(call)

    async def read_closed(call: Any) -> None:
        _ = call.closed

    for use in (iterate, list_all, read_closed):
        call = Maker().make()
        with pytest.raises((TypeError, AttributeError), match=r"make\(\.\.\.\) \(await it first\)"):
            await use(call)
        call.close()


def test_blocking_functions_stay_as_they_are() -> None:
    assert enterable(len) is len
