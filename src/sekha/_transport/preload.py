"""Imports that the first call would make otherwise, done when a client is made.

In a call they would block an event loop and count against a deadline, and a fork in the middle of an import would leave
its lock taken in the child for ever.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from importlib import import_module

import anyio


@cache
def async_preload() -> None:
    """Import it, once in a process."""
    preload()
    for backend in anyio.get_all_backends():
        if backend in sys.modules:
            with suppress(ImportError):
                import_module(f"anyio._backends._{backend}")


@cache
def preload() -> None:
    """Do the same for blocking code, which has no event loop."""
    import_module("encodings.idna")
