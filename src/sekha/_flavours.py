"""What one flavour says about the other. The generated tree cannot: it has no word for what it is not."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, NoReturn


class AsyncFlavour:
    """Base of what is awaited: tells whoever uses it as blocking code what to use instead."""

    async def aclose(self) -> None:
        """Close; see the subclass."""
        raise NotImplementedError

    def close(self) -> Awaitable[None]:
        """The same as `aclose`: ``await client.close()``."""
        return self.aclose()

    def __enter__(self) -> NoReturn:
        raise TypeError(_use(self, "async with", type(self).__name__.replace("Async", "", 1), "with"))

    def __exit__(self, *_: object) -> None:
        """Never reached; Python looks for it before it enters."""


class BlockingFlavour:
    """Base of what blocks: tells whoever awaits it what to use instead."""

    async def __aenter__(self) -> NoReturn:
        raise TypeError(_use(self, "with", "Async" + type(self).__name__, "async with"))

    async def __aexit__(self, *_: object) -> None:
        """Never reached; Python looks for it before it enters."""


class AsyncIteration(AsyncFlavour):
    """The same for what is iterated."""

    def __iter__(self) -> NoReturn:
        raise TypeError(_use(self, "async for", type(self).__name__.replace("Async", "", 1), "for"))


class BlockingIteration(BlockingFlavour):
    """The same for what is iterated."""

    def __aiter__(self) -> Any:
        raise TypeError(_use(self, "for", "Async" + type(self).__name__, "async for"))


def _use(one: object, its_word: str, other: str, others_word: str) -> str:
    name = type(one).__name__
    return f"{name} is used with `{its_word}`; for `{others_word}` there is {other}, the same in the other flavour"
