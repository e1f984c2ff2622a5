"""The whole suite runs with keys that can be recognised, and fails where one of them shows (S1)."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import traceback
from types import TracebackType
from typing import Any, Iterator, List, Optional, Type

import pytest

from sekha import SekhaError, SekhaWarning

WORD = "canary"
"""Stands in every key of the tests, in this or another case."""

_LOGGERS = ("sekha", "httpx", "httpcore")
_LIBRARIES = ("sekha", "httpx", "httpcore", "h11", "anyio", "trio", "ssl", "socket", "tenacity")


def in_sight(text: str) -> bool:
    """Whether a text shows a key."""
    return WORD in text.lower()


def texts_of(error: BaseException) -> List[str]:
    """All that an error says: by itself, in a copy, and in the traceback of an error tracker that looks into every
    frame of the library."""
    texts: List[str] = []
    for one in (error, copy.copy(error)):
        texts += [str(one), repr(one), repr(one.args), repr(vars(one)), pickle.dumps(one).decode("latin-1")]
    return [*texts, frames_of(error)]


def frames_of(error: BaseException) -> str:
    """The traceback with the local variables of the library and of those below; the frames of tests hold the keys.

    The lines of source are left out: they hold no value, and every test that raises would wait for them.
    """
    lines: List[str] = []
    waiting, met = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in met:
            continue
        met.add(id(one))
        for frame, line in traceback.walk_tb(one.__traceback__):
            code = frame.f_code
            if f"{os.sep}tests{os.sep}" not in code.co_filename:
                lines.append(f'File "{code.co_filename}", line {line}, in {code.co_name}')
                lines += [f"{name} = {_shown(value)}" for name, value in frame.f_locals.items()]
        lines += traceback.format_exception_only(type(one), one)
        context = None if one.__suppress_context__ else one.__context__
        waiting += [other for other in (one.__cause__, context) if other is not None]
        waiting += getattr(one, "exceptions", ())
    return "\n".join(lines)


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:
        return "<cannot be shown>"


class Noted(logging.Handler):
    """Keeps what our loggers and those of httpx and httpcore say, at every level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record if it shows a key."""
        if record.name.partition(".")[0] in _LOGGERS:
            text = f"{record.name}: {record.getMessage()} {record.__dict__}"
            if in_sight(text):
                self.said.append(text)


class Watched:
    """A ``pytest.raises`` that looks at what was raised."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(
        self, cls: Optional[Type[BaseException]], error: Optional[BaseException], frames: Optional[TracebackType]
    ) -> Any:
        done = self._inner.__exit__(cls, error, frames)
        if isinstance(error, (SekhaError, SekhaWarning)):
            shown = [text for text in texts_of(error) if in_sight(text)]
            assert not shown, f"a key shows: {shown[0]}"
        return done


_raises: Any = pytest.raises


def watched_raises(*arguments: Any, **keywords: Any) -> Any:
    """`pytest.raises`, watched."""
    made = _raises(*arguments, **keywords)
    return Watched(made) if hasattr(made, "__exit__") else made


def no_key_shows(patch: pytest.MonkeyPatch, *, logs: bool) -> Iterator[None]:
    """Watch log records, warnings and raised errors while a test runs."""
    warned: List[str] = []
    make = SekhaWarning.__init__

    def warn(self: SekhaWarning, *arguments: object) -> None:
        warned.append(repr(arguments))
        make(self, *arguments)

    patch.setattr(SekhaWarning, "__init__", warn)
    patch.setattr(pytest, "raises", watched_raises)
    root, noted = logging.getLogger(), Noted()
    level = root.level
    if logs:
        root.addHandler(noted)
        root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(noted)
        root.setLevel(level)
    shown = [*noted.said, *(text for text in warned if in_sight(text))]
    assert not shown, f"a key shows: {shown[0]}"
