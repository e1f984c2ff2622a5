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


def async_load_ahead(module: str) -> None:
    """Import a module that only some calls need, which import it as they begin: an event loop would wait for it."""
    import_module(module)


def load_ahead(module: str) -> None:
    """Leave it to the first of these calls, which makes many requests: no deadline is for all of them together."""


@cache
def preload_retries() -> None:
    """Import what further attempts of a call need; a client that makes none does without."""
    import_module("tenacity")
