"""Calls whose result is a context manager, such as a stream: awaited, or entered at once by ``async with``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar

from typing_extensions import ParamSpec

P = ParamSpec("P")
F = TypeVar("F")
T = TypeVar("T", bound=AbstractAsyncContextManager[Any])


class AsyncEnterable(Coroutine[Any, Any, T]):
    """A coroutine that is a context manager too: entering it awaits it, and enters its result.

    Args:
        coroutine: What is awaited; if it never is, it warns as any other coroutine does.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        """Resume the coroutine."""
        return self._coroutine.send(value)

    def throw(self, *args: Any) -> Any:
        """Raise an exception in the coroutine."""
        return self._coroutine.throw(*args)

    def close(self) -> None:
        """Close the coroutine."""
        self._coroutine.close()

    async def __aenter__(self) -> T:
        self._result = await self._coroutine
        await self._result.__aenter__()
        return self._result

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._result.__aexit__(exc_type, exc, traceback)


def async_enterable(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, AsyncEnterable[T]]:
    """Decorate a coroutine function whose results are context managers, so that its calls can be entered."""

    class Call(AsyncEnterable[Any]):
        """Python names the class of what is used as if it had been awaited, so it says what to do."""

    Call.__name__ = f"{function.__name__}(...) (await it first)"

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> AsyncEnterable[T]:
        return Call(function(*args, **kwargs))

    _mark_coroutine_function(call)
    return call


def enterable(function: F) -> F:
    """Return a blocking function as it is: its results can be entered anyway."""
    return function


def _mark_coroutine_function(function: Any) -> None:
    """Mark what returns coroutines; mocks and frameworks decide by that whether they await its results."""
    mark: Callable[[Any], Any] | None = getattr(inspect, "markcoroutinefunction", None)  # from Python 3.12
    if mark is not None:
        mark(function)
    else:
        from asyncio import coroutines  # which has the mark of older versions

        function._is_coroutine = vars(coroutines)["_is_coroutine"]
