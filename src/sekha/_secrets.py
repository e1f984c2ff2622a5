"""Keys that cannot be shown by accident."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TypeVar

from sekha.errors import BODY_LIMIT, SekhaError

E = TypeVar("E", bound=SekhaError)

_SPOKEN = ("message", "body", "code", "text", "field")
"""The attributes of errors that hold what a server, or a caller, said."""


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


_GUESSABLE = 8  # a shorter key is hidden as a word of its own only, or it would tear other words apart


def hidden(error: E, secrets: Iterable[Secret]) -> E:
    """The same error without the keys, which servers like to echo, as they are or escaped in JSON."""
    keys = {form for secret in secrets for form in (secret.reveal(), json.dumps(secret.reveal())[1:-1])}
    for key in sorted(keys, key=len, reverse=True):  # one key may contain another
        pattern = re.compile(re.escape(key) if len(key) >= _GUESSABLE else rf"(?<!\w){re.escape(key)}(?!\w)")
        for name in _SPOKEN:
            text = getattr(error, name, None)
            if isinstance(text, str):
                setattr(error, name, _without_beginning_of(key, pattern.sub("***", text)))
    error.args = (error.message,)
    return error


def _without_beginning_of(key: str, text: str) -> str:
    """A long answer is cut, and the cut may have gone through a key."""
    if len(text) >= BODY_LIMIT:
        for length in range(len(key) - 1, 3, -1):
            if text.endswith(key[:length]):
                return text[:-length] + "***"
    return text
