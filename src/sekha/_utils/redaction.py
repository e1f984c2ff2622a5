"""API keys that cannot be shown by accident: not in a repr, not in an error, not in a traceback with locals."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from traceback import clear_frames
from types import TracebackType
from typing import Any, NoReturn, TypeVar, cast
from urllib.parse import quote

from sekha.errors import BODY_LIMIT, ELLIPSIS, SekhaAPIError, SekhaError

E = TypeVar("E", bound=SekhaError)
X = TypeVar("X", bound=BaseException)
F = TypeVar("F", bound=Callable[..., Any])

_TEXT_FIELDS = ("message", "body", "code", "text", "field")
"""The attributes of errors that hold text of a server or of a caller."""

_MAY_WAIT = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR

_MIN_MASK_LENGTH = 8
"""A shorter key is masked only where it stands as a word of its own, or it would tear other words apart."""


class Secret:
    """A key with the name of the setting that it came from; only `reveal` returns it.

    Args:
        value: The key.
        name: The setting, such as ``api_key``.
    """

    __slots__ = ("_value", "name")

    def __init__(self, value: str, name: str) -> None:
        self._value = value
        self.name: str = name

    def reveal(self) -> str:
        """Return the key itself, to be sent."""
        return self._value

    def __repr__(self) -> str:
        return f"<{self.name} ***>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self.name} cannot be pickled or copied")


def redact(error: E, secrets: Iterable[Secret], outer_exception: BaseException | None = None) -> E:
    """Remove the keys from an error and its causes: servers echo them, as they are or escaped, whole or truncated.

    Tracebacks keep the file and line of their frames, and lose the local variables of those that have ended, which hold
    what was sent and received. Frames of causes that have not ended are left out: they belong to another task. Before
    Python 3.13 all frames of coroutines and generators are left out of causes of other packages, since it does not show
    which of them have ended.

    Args:
        error: The error; it is changed in place.
        secrets: The keys.
        outer_exception: What the caller was handling when the call began: it belongs to the caller and is not changed.

    Returns:
        The same error.
    """
    keys = _forms(secrets)

    def mask_keys(text: str) -> str:
        for key in keys:
            text = _mask(key, text)
        return text

    for name in _TEXT_FIELDS:
        text: object = getattr(error, name, None)
        if isinstance(text, str):
            setattr(error, name, mask_keys(text))
    if isinstance(error, SekhaAPIError) and error._headers:
        error._headers = {
            name: mask_keys(value)
            for name, value in error._headers.items()
            if all(_mask(key.lower(), name) == name for key in keys)
        }
    error.args = error._arguments()
    for cause in _cause_chain(error, outer_exception):
        if mask_keys(str(cause)) != str(cause):
            cause.args = (mask_keys(str(cause)),)
    return _clear_locals(error, outer_exception)


def mask(text: str, secrets: Iterable[Secret]) -> str:
    """Return a text without the keys that are in it, as they are or escaped, whole or truncated."""
    for key in _forms(secrets):
        text = _mask(key, text)
    return text


def redact_traceback(function: F) -> F:
    """Decorate a function that takes keys: if it fails, no frame of the traceback holds its arguments."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        outer_exception = sys.exc_info()[1]
        try:
            return function(*args, **kwargs)
        except Exception as error:
            args, kwargs = (), {}  # this frame is still running and keeps its variables
            raise _clear_locals(error, outer_exception) from error.__cause__

    return cast(F, call)


def _clear_locals(error: X, outer_exception: BaseException | None) -> X:
    """Remove the local variables from the frames of an error and its causes, and contexts that are not shown."""
    if error.__cause__ is None and error.__context__ is not outer_exception:
        error.__context__ = None  # it is raised again without its context
    chain: list[BaseException] = [error, *_cause_chain(error, outer_exception)]
    for one in chain:
        if one.__suppress_context__ and one.__cause__ is None:
            one.__context__ = None
        if isinstance(one, SekhaError):  # of this call alone
            clear_frames(one.__traceback__)
        else:
            one.__traceback__ = _without_locals(one.__traceback__)
    return error


def _without_locals(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without local variables, and without frames that still run or wait.

    Several tasks may share one exception: httpcore raises the same one in all streams of an HTTP/2 connection. A frame
    of another task that waits must not be cleared, which before Python 3.13 would end its coroutine.
    """
    entries: list[TracebackType] = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    cleared: TracebackType | None = None
    for entry in reversed(entries):
        frame = entry.tb_frame
        if sys.version_info < (3, 13) and frame.f_code.co_flags & _MAY_WAIT:
            continue
        try:
            frame.clear()
        except RuntimeError:  # it runs, or waits
            continue
        cleared = TracebackType(cleared, frame, entry.tb_lasti, entry.tb_lineno)
    return cleared


def _cause_chain(error: BaseException, outer_exception: BaseException | None) -> Iterator[BaseException]:
    """Yield the causes and contexts of an error, up to the exception that the caller was handling."""
    cause = error.__cause__
    while cause is not None and cause is not outer_exception:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _forms(secrets: Iterable[Secret]) -> list[str]:
    """Return all forms in which keys may be echoed, the longest first: one key may contain another."""
    return sorted({form for secret in secrets for form in _encodings(secret.reveal())}, key=len, reverse=True)


def _encodings(key: str) -> Iterator[str]:
    """Yield the forms in which a key may be echoed."""
    yield key
    yield json.dumps(key)[1:-1]
    yield json.dumps(key, ensure_ascii=False)[1:-1]
    yield repr(key.encode("latin-1", "replace"))[2:-1]  # in the errors of h11
    yield quote(key, safe="")


def _mask(key: str, text: str) -> str:
    pattern = re.escape(key) if len(key) >= _MIN_MASK_LENGTH else rf"(?<!\w){re.escape(key)}(?!\w)"
    text = re.sub(pattern, "***", text)
    if ELLIPSIS in text or len(text) >= BODY_LIMIT:  # a long text is truncated, perhaps in the middle of the key
        for length in range(len(key) - 1, 3, -1):
            text = text.replace(key[:length] + ELLIPSIS, f"***{ELLIPSIS}")
            if len(text) >= BODY_LIMIT and text.endswith(key[:length]):
                text = f"{text[:-length]}***"
    return text
