"""Where in the user's program a call comes from."""

from __future__ import annotations

import os
import re
import sys
import warnings
from types import FrameType
from typing import Final

from sekha.errors import SekhaWarning

_INSTALLED: Final = re.compile(r"[\\/](site|dist)-packages[\\/]|^<frozen ")
_STANDARD_LIBRARY: Final = os.path.join(os.path.dirname(os.__file__), "")


def user_stacklevel() -> int:
    """Return the ``stacklevel`` with which the caller warns at the user's line.

    It is the first one that is neither of this package nor installed, since a framework may stand between. If all are
    installed, it is the first one outside of this package.
    """
    level, outside = 1, 0
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] != "sekha":
            outside = outside or level
            if not _is_installed(frame.f_code.co_filename):
                return level
        if not frame.f_code.co_filename.startswith("<frozen importlib._bootstrap"):  # `warnings` does not count these
            level += 1
        frame = frame.f_back
    return outside or level


def warn_user(message: str) -> None:
    """Give a `SekhaWarning` at the user's line; see `user_stacklevel`."""
    warnings.warn(message, SekhaWarning, stacklevel=user_stacklevel())


def _is_installed(file: str) -> bool:
    is_command = os.path.dirname(file) == os.path.dirname(sys.executable)  # such as that of a server
    return is_command or file.startswith(_STANDARD_LIBRARY) or bool(_INSTALLED.search(file))
