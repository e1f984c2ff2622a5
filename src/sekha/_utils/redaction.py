"""Keys that cannot be shown by accident."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import quote

from sekha.errors import BODY_LIMIT, CUT, SekhaError

E = TypeVar("E", bound=SekhaError)
X = TypeVar("X", bound=BaseException)
F = TypeVar("F", bound=Callable[..., Any])

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


def hidden(error: E, secrets: Iterable[Secret], handled: BaseException | None = None) -> E:
    """The same error without the keys, which servers like to echo, as they are or escaped, whole or cut.

    What led to the error says what it says, so the keys are taken out of that too; and its frames are dropped, which
    hold the bytes that were sent and received.

    Args:
        error: The error.
        secrets: The keys.
        handled: What the caller was handling when the call began; that is the caller's own, and stays as it is.
    """
    keys = sorted({form for secret in secrets for form in _forms(secret.reveal())}, key=len, reverse=True)

    def without_keys(said: str) -> str:
        for key in keys:  # the longest first: one key may contain another
            said = _without(key, said)
        return said

    for name in _SPOKEN:
        said: object = getattr(error, name, None)
        if isinstance(said, str):
            setattr(error, name, without_keys(said))
    error.args = (error.message,)
    for cause in _led_to(error, handled):
        if without_keys(str(cause)) != str(cause):
            cause.args = (without_keys(str(cause)),)
    return _frameless(error, handled)


def discreet(function: F) -> F:
    """Makes a function that takes keys fail without them: no frame that holds its arguments is in the traceback."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        handled = sys.exc_info()[1]
        try:
            return function(*args, **kwargs)
        except Exception as error:
            args, kwargs = (), {}
            raise _frameless(error, handled) from error.__cause__

    return cast(F, call)


def _frameless(error: X, handled: BaseException | None) -> X:
    """The error, and what led to it, without frames."""
    chain: list[BaseException] = [error, *_led_to(error, handled)]
    for one in chain:
        if one.__suppress_context__ and one.__cause__ is None:
            one.__context__ = None
        one.__traceback__ = None
    return error


def _led_to(error: BaseException, handled: BaseException | None) -> Iterator[BaseException]:
    """The causes of an error, and what they happened in, up to what the caller was handling."""
    cause = error.__cause__
    while cause is not None and cause is not handled:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _forms(key: str) -> Iterator[str]:
    """How a key may look where somebody shows it."""
    yield key
    yield json.dumps(key)[1:-1]
    yield json.dumps(key, ensure_ascii=False)[1:-1]
    yield repr(key.encode("latin-1", "replace"))[2:-1]  # in the errors of h11
    yield quote(key, safe="")


def _without(key: str, text: str) -> str:
    pattern = re.escape(key) if len(key) >= _GUESSABLE else rf"(?<!\w){re.escape(key)}(?!\w)"
    text = re.sub(pattern, "***", text)
    if CUT in text or len(text) >= BODY_LIMIT:  # a long answer is cut, and the cut may have gone through the key
        for length in range(len(key) - 1, 3, -1):
            text = text.replace(key[:length] + CUT, f"***{CUT}")
            if len(text) >= BODY_LIMIT and text.endswith(key[:length]):
                text = f"{text[:-length]}***"
    return text
