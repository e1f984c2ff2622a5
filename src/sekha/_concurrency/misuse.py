"""Errors for a client that is used like one of the other type. The generated tree cannot name the other type itself."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, NoReturn


class AsyncMisuseGuard:
    """Base of the async classes: ``with`` raises a `TypeError` that names the class to use instead."""

    async def aclose(self) -> None:
        """Close; see the subclass."""
        raise NotImplementedError

    def close(self) -> Awaitable[None]:
        """The same as `aclose`: ``await client.close()``."""
        return self.aclose()

    def __enter__(self) -> NoReturn:
        """Raise a `TypeError` that names the blocking class."""
        raise _type_error(self, "async with", "with")

    def __exit__(self, *_: object) -> None:
        """Never reached: Python looks it up before it calls ``__enter__``."""


class MisuseGuard:
    """Base of the blocking classes: ``async with`` raises a `TypeError` that names the class to use instead."""

    async def __aenter__(self) -> NoReturn:
        """Raise a `TypeError` that names the async class."""
        raise _type_error(self, "with", "async with")

    async def __aexit__(self, *_: object) -> None:
        """Never reached: Python looks it up before it calls ``__aenter__``."""


class AsyncIterationGuard(AsyncMisuseGuard):
    """The same for what is iterated."""

    def __iter__(self) -> NoReturn:
        raise _type_error(self, "async for", "for")


class IterationGuard(MisuseGuard):
    """The same for what is iterated."""

    def __aiter__(self) -> Any:
        raise _type_error(self, "for", "async for")


def _type_error(misused: object, keyword: str, other_keyword: str) -> TypeError:
    # The class may be a subclass of the user's.
    name = next(cls for cls in type(misused).__mro__ if cls.__module__.partition(".")[0] == "sekha").__name__
    other = name[len("Async") :] if name.startswith("Async") else f"Async{name}"
    return TypeError(
        f"{name} is used with `{keyword}`; for `{other_keyword}` there is {other}, the same in the other flavour"
    )
