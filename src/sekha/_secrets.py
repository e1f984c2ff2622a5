"""Keys that cannot be shown by accident."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from sekha.errors import SekhaAPIError, SekhaDecodeError, SekhaError, SekhaStreamError

E = TypeVar("E", bound=SekhaError)


class Secret:
    """A key with the name of the setting that it came from; only `reveal` gives it.

    Args:
        value: The key.
        name: The setting, such as ``api_key``.
    """

    __slots__ = ("_value", "name")

    def __init__(self, value: str, name: str) -> None:
        self._value = value
        self.name = name

    def reveal(self) -> str:
        """The key itself, to put on the wire."""
        return self._value

    def __repr__(self) -> str:
        return f"<{self.name} ***>"


def hidden(error: E, secrets: Iterable[Secret]) -> E:
    """The same error without the keys, which servers like to echo."""
    for secret in secrets:
        key = secret.reveal()
        error.message = error.message.replace(key, "***")
        if isinstance(error, (SekhaAPIError, SekhaDecodeError)) and error.body:
            error.body = error.body.replace(key, "***")
        if isinstance(error, SekhaStreamError):
            error.text = error.text.replace(key, "***")
        error.args = (error.message,)
    return error
