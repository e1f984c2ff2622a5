"""Modules in which nobody may look for anything: whatever tests and frameworks replace in them then does not matter."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from types import ModuleType
from typing import Any, Awaitable, Callable, Generator, Iterator, List

MODULES = (socket, select, ssl)


class Forbidden:
    """What this thread looks up in `socket`, `select` and `ssl` in a block, where that is an error.

    Attributes:
        found: The names.
    """

    def __init__(self) -> None:
        self.found: List[str] = []

    @contextlib.contextmanager
    def block(self) -> Iterator[None]:
        """Return the block."""
        thread, found = threading.get_ident(), self.found

        class Guarded(ModuleType):
            def __getattribute__(self, name: str) -> Any:
                if name[:2] != "__" and threading.get_ident() == thread:
                    found.append(f"{super().__getattribute__('__name__')}.{name}")
                    raise AttributeError(found[-1])
                return super().__getattribute__(name)

        for module in MODULES:
            module.__class__ = Guarded
        try:
            yield
        finally:
            for module in MODULES:
                module.__class__ = ModuleType

    async def async_call(self, call: Callable[[], Awaitable[object]]) -> None:
        """Make a call in such blocks; while it waits, the event loop may look up what it likes."""
        await _Steps(call(), self)

    def call(self, call: Callable[[], object]) -> None:
        """Make a call in such a block."""
        with self.block():
            call()


class _Steps:
    """The steps of something awaitable, each in a block."""

    def __init__(self, steps: Awaitable[object], forbidden: Forbidden) -> None:
        self._steps = steps
        self._forbidden = forbidden

    def __await__(self) -> Generator[Any, Any, None]:
        steps: Any = self._steps.__await__()
        sent: Any = None
        while True:
            try:
                with self._forbidden.block():
                    waits = steps.send(sent)
            except StopIteration:
                return
            sent = yield waits
