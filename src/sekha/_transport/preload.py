"""What the first call would otherwise import or read: it would hold up an event loop, count against a deadline, and a
fork in its middle would leave the locks of imports taken for ever. Done when a client is made."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import cache
from importlib import import_module

import anyio
from pydantic import TypeAdapter


@cache
def async_warm_up() -> None:
    """Load it, once in a process."""
    warm_up()
    import_module("sniffio")
    for backend in anyio.get_all_backends():
        if backend in sys.modules:
            with suppress(ImportError):
                import_module(f"anyio._backends._{backend}")


@cache
def warm_up() -> None:
    """The same for blocking code, which has no event loop."""
    TypeAdapter(int)  # pydantic looks through all installed packages for plugins when it builds its first validator
    import_module("encodings.idna")
