"""Where in the user's program a call comes from."""

from __future__ import annotations

import sys
import warnings

from sekha.errors import SekhaWarning


def user_stacklevel() -> int:
    """Return the ``stacklevel`` with which the caller warns at the first line outside of this package."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "sekha":
        level, frame = level + 1, frame.f_back
    return level


def warn_user(message: str) -> None:
    """Give a `SekhaWarning` at the first line outside of this package."""
    warnings.warn(message, SekhaWarning, stacklevel=user_stacklevel())
