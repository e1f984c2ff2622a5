"""Interruptions in the middle of a call, at a line that can be counted: as a signal handler raises them."""

from __future__ import annotations

import contextlib
import linecache
import sys
from types import FrameType, ModuleType
from typing import Any, Callable, Iterator, Optional

SCOPE = "with async_move_on_after("


class Interruption(BaseException):
    """One that only its user knows."""


@contextlib.contextmanager
def interrupted_at(number: int, error: BaseException, *modules: ModuleType) -> Iterator[Callable[[], bool]]:
    """Raise an error in front of the line that this thread runs as the so manieth one in the code of some modules.

    Lines where a cancel scope begins and ends do not count: one that is entered and never left cancels its task later,
    and nobody can help that. The error keeps no frames, which would keep connections.

    Args:
        number: Which line, from 1.
        error: What is raised there.
        modules: The modules whose lines count.

    Yields:
        Whether there was such a line.
    """
    files = {module.__file__ for module in modules}
    before, count = sys.gettrace(), 0

    def in_frame(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        if event == "line" and SCOPE not in linecache.getline(frame.f_code.co_filename, frame.f_lineno):
            count += 1
            if count == number:
                raise error  # it ends the tracing, too
        return in_frame

    def in_call(frame: FrameType, event: str, argument: Any) -> Optional[Any]:
        return in_frame if frame.f_code.co_filename in files else None

    sys.settrace(in_call)
    try:
        yield lambda: count >= number
    finally:
        sys.settrace(before)
        error.with_traceback(None)
