"""Errors for a client that is used like one of the other type. The generated tree cannot name the other type itself."""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import TYPE_CHECKING, NoReturn


class MisuseError(TypeError, AttributeError):
    """A `with` of the other type; `hasattr` takes it for a missing attribute."""


class WrongWith:
    """The one special method that Python looks up first in a `with` of the other type; looking it up raises.

    The second method is missing, so that neither `isinstance` nor a type checker takes the object for a context manager
    of the other type. Frameworks decide by that.

    Args:
        keyword: How the class is used.
        other_keyword: How it was used.
    """

    def __init__(self, keyword: str, other_keyword: str) -> None:
        self._keyword = keyword
        self._other_keyword = other_keyword

    def __get__(self, instance: object, owner: type) -> NoReturn:
        # The class may be a subclass of the user's.
        name = next(cls for cls in owner.__mro__ if cls.__module__.partition(".")[0] == "sekha").__name__
        other = name[len("Async") :] if name.startswith("Async") else f"Async{name}"
        raise MisuseError(f"{name} requires `{self._keyword}`; for `{self._other_keyword}`, use {other}")


class AsyncMisuseGuard:
    """Base of the async clients: ``with`` raises a `TypeError` that names the class to use instead."""

    if not TYPE_CHECKING:
        if sys.version_info >= (3, 14):
            __exit__ = WrongWith("async with", "with")
        else:
            __enter__ = WrongWith("async with", "with")

    async def aclose(self) -> None:
        """Close; see the subclass."""
        raise NotImplementedError

    def close(self) -> Awaitable[None]:
        """The same as `aclose`: ``await client.close()``."""
        return self.aclose()


class MisuseGuard:
    """Base of the blocking clients: ``async with`` raises a `TypeError` that names the class to use instead."""

    if not TYPE_CHECKING:
        if sys.version_info >= (3, 14):
            __aexit__ = WrongWith("with", "async with")
        else:
            __aenter__ = WrongWith("with", "async with")
