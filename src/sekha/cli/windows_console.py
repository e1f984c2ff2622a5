"""Escape codes in the classic Windows console, which shows them as text unless they are enabled."""

from __future__ import annotations

import ctypes
import sys
from typing import Any, TextIO

_ENABLE_VIRTUAL_TERMINAL_PROCESSING = 0x4


def enable_escape_codes(stream: TextIO) -> bool:
    """Enable escape codes in the console of a stream; return whether it supports them (Windows 10 or later)."""
    if sys.platform != "win32":
        return True
    import msvcrt

    try:
        handle = ctypes.c_void_p(msvcrt.get_osfhandle(stream.fileno()))
    except (OSError, ValueError):
        return False
    kernel32: Any = ctypes.WinDLL("kernel32")
    mode = ctypes.c_uint32()
    if not kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    return bool(kernel32.SetConsoleMode(handle, ctypes.c_uint32(mode.value | _ENABLE_VIRTUAL_TERMINAL_PROCESSING)))
