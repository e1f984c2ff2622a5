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
        raise TypeError(_use(self, "async with", "with"))

    def __exit__(self, *_: object) -> None:
        """Never reached; Python looks for it before it enters."""


class BlockingFlavour:
    """Base of what blocks: tells whoever awaits it what to use instead."""

    async def __aenter__(self) -> NoReturn:
        raise TypeError(_use(self, "with", "async with"))

    async def __aexit__(self, *_: object) -> None:
        """Never reached; Python looks for it before it enters."""


class AsyncIteration(AsyncFlavour):
    """The same for what is iterated."""

    def __iter__(self) -> NoReturn:
        raise TypeError(_use(self, "async for", "for"))


class BlockingIteration(BlockingFlavour):
    """The same for what is iterated."""

    def __aiter__(self) -> Any:
        raise TypeError(_use(self, "for", "async for"))


def _use(one: object, its_word: str, others_word: str) -> str:
    cls = next(cls for cls in type(one).__mro__ if cls.__module__.startswith("sekha."))  # not a subclass of the user's
    name = cls.__name__
    other = name[len("Async") :] if name.startswith("Async") else f"Async{name}"
    return f"{name} is used with `{its_word}`; for `{others_word}` there is {other}, the same in the other flavour"
