"""Whoever uses a client of one flavour as one of the other is told its name, and nothing else takes it for one."""

from __future__ import annotations

import platform
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Optional, Tuple, Type

import pytest

from sekha._concurrency.misuse import AsyncMisuseGuard, MisuseGuard

only_where_words_are_ours = pytest.mark.skipif(
    platform.python_implementation() == "PyPy",
    reason="PyPy looks both special methods up, and says it in its own words",
)


class AsyncThing(AsyncMisuseGuard):
    __module__ = "sekha.things"  # as if it were one of ours
    closed = 0

    async def aclose(self) -> None:
        self.closed += 1

    async def __aenter__(self) -> AsyncThing:
        return self

    async def __aexit__(
        self, cls: Optional[Type[BaseException]], error: Optional[BaseException], frames: Optional[TracebackType]
    ) -> None:
        await self.aclose()


class Thing(MisuseGuard):
    __module__ = "sekha.things"

    def __enter__(self) -> Thing:
        return self

    def __exit__(
        self, cls: Optional[Type[BaseException]], error: Optional[BaseException], frames: Optional[TracebackType]
    ) -> None:
        pass


class TheirThing(Thing):
    """What a user derives from it; the other flavour has no such class."""


@only_where_words_are_ours
def test_with_on_the_async_flavour_names_the_blocking_one() -> None:
    with pytest.raises(TypeError, match=r"^AsyncThing requires `async with`; for `with`, use Thing"):
        with AsyncThing():  # type: ignore[attr-defined]  # type checkers see it, too
            pass


@only_where_words_are_ours
async def test_async_with_on_the_blocking_flavour_names_the_async_one() -> None:
    for thing in (Thing(), TheirThing()):
        with pytest.raises(TypeError, match=r"^Thing requires `with`; for `async with`, use AsyncThing"):
            async with thing:  # type: ignore[attr-defined]  # the same
                pass


@pytest.mark.promise("W10")
@pytest.mark.parametrize("thing", [Thing(), TheirThing(), AsyncThing()], ids=lambda thing: type(thing).__name__)
def test_nobody_takes_one_flavour_for_the_other(thing: object) -> None:
    is_async = isinstance(thing, AsyncThing)
    assert isinstance(thing, AbstractAsyncContextManager) is is_async
    assert isinstance(thing, AbstractContextManager) is not is_async
    others = ("__enter__", "__exit__") if is_async else ("__aenter__", "__aexit__")
    for name in others:
        assert not hasattr(thing, name)
        assert not hasattr(type(thing), name)
        assert getattr(thing, name, None) is None


async def test_close_of_the_async_flavour_is_awaited_like_aclose() -> None:
    thing = AsyncThing()
    await thing.close()
    await thing.aclose()
    assert thing.closed == 2
    with pytest.raises(NotImplementedError):
        await AsyncMisuseGuard().aclose()


@pytest.mark.parametrize("cls", [AsyncMisuseGuard, MisuseGuard])
def test_the_flavours_add_no_state(cls: type) -> None:
    found: Tuple[str, ...] = tuple(vars(cls()))
    assert found == ()
