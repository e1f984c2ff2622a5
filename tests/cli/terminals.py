"""A real terminal with a command in it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from types import TracebackType
from typing import Optional, Type

from local.conftest import python

_RUN = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C reaches it
from sekha.cli import main
sys.exit(main())
"""
_PATIENCE = 60.0


class TerminalOf:
    """A process whose input and output are a terminal; used in a ``with`` block, which ends it.

    Args:
        words: The command.
        variables: Further variables of its environment.

    Attributes:
        screen: Everything that was shown so far.
    """

    def __init__(self, *words: str, **variables: str) -> None:
        self.screen = ""
        self._read = 0
        command, environment = python("-c", _RUN, *words)
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            command,
            env={**environment, "TERM": "dumb", **variables},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> TerminalOf:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> str:
        """Wait until a text is shown, after what was waited for before; what was shown until then."""
        limit = time.monotonic() + _PATIENCE
        while text not in self.screen[self._read :]:
            assert self._take(limit), f"{text!r} is not shown: {self.screen!r}"
        end = self.screen.index(text, self._read) + len(text)
        shown, self._read = self.screen[self._read : end], end
        return shown

    def press_until(self, key: str, text: str) -> str:
        """Press a key, again and again until a text is shown; what was shown until then."""
        limit = time.monotonic() + _PATIENCE
        while text not in self.screen[self._read :]:
            assert time.monotonic() < limit, f"{text!r} is not shown: {self.screen!r}"
            self.type(key)
            self._take(time.monotonic() + 2)
        return self.wait_for(text)

    def ends(self) -> int:
        """Wait for the end of the process; its exit code."""
        limit = time.monotonic() + _PATIENCE
        while self._take(limit):
            pass
        return self._process.wait(_PATIENCE)

    def _take(self, limit: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, limit - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # how Linux says that nobody has the other end any more
            return False
        self.screen += re.sub("\r", "", data.decode("utf-8", "replace"))
        return bool(data)
