"""Whoever uses one flavour as the other is told its name."""

from __future__ import annotations

from typing import Any, Tuple

import pytest

from sekha._concurrency.misuse import AsyncIterationGuard, AsyncMisuseGuard, IterationGuard, MisuseGuard


class AsyncThing(AsyncIterationGuard):
    __module__ = "sekha.things"  # as if it were one of ours
    closed = 0

    async def aclose(self) -> None:
        self.closed += 1


class Thing(IterationGuard):
    __module__ = "sekha.things"


class TheirThing(Thing):
    """What a user derives from it; the other flavour has no such class."""


def test_with_on_the_async_flavour_names_the_blocking_one() -> None:
    with pytest.raises(TypeError, match=r"AsyncThing is used with `async with`; for `with` there is Thing"):
        AsyncThing().__enter__()
    with pytest.raises(TypeError, match="Thing"), AsyncThing():
        pass


async def test_async_with_on_the_blocking_flavour_names_the_async_one() -> None:
    for thing in (Thing(), TheirThing()):
        with pytest.raises(TypeError, match=r"^Thing is used with `with`; for `async with` there is AsyncThing"):
            async with thing:
                pass


async def test_loops_of_the_other_flavour_name_it_too() -> None:
    async_thing: Any = AsyncThing()
    with pytest.raises(TypeError, match=r"`async for`; for `for` there is Thing"):
        for _ in async_thing:
            pass
    thing: Any = Thing()
    with pytest.raises(TypeError, match=r"`for`; for `async for` there is AsyncThing"):
        async for _ in thing:
            pass


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
