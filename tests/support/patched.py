"""A program: calls of a blocking client in greenlets of gevent or eventlet, which patch the standard library.

    PYTHONPATH=tests python -m support.patched gevent early http://127.0.0.1:8080 https://127.0.0.1:8443 ca.pem

The second argument is when they patch: "early", as they want it, or "late", when the client is made and was used. The
servers answer as `tests/environments/test_greenlets.py` wants it: they run in another process.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import Any, Callable, List


class Interruption(BaseException):
    """Such as a timeout of the framework, or the death of the greenlet."""


class Framework:
    """What the two have in common.

    Args:
        name: "gevent" or "eventlet".
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._module: Any = import_module(name)
        self.timeout: Any = self._module.Timeout
        self.spawn: Any = self._module.spawn
        self.sleep: Any = self._module.sleep

    def patch(self) -> None:
        """Patch the standard library."""
        if self._name == "gevent":
            import_module("gevent.monkey").patch_all()
        else:
            self._module.monkey_patch()

    def map(self, call: Callable[[int], Any], count: int) -> List[Any]:
        """Make calls side by side, each with its number; return what they return."""
        if self._name == "gevent":
            return list(import_module("gevent.pool").Pool(count).map(call, range(count)))
        return list(self._module.GreenPool(count).imap(call, range(count)))

    def interrupted_at(self, number: int, call: Callable[[], Any]) -> bool:
        """Make a call in a greenlet, and interrupt it where it waits for the so manieth time; whether it has."""
        switches = 0

        def run() -> None:
            with suppress(Interruption):
                call()

        def trace(event: str, greenlets: Any) -> None:
            nonlocal switches
            if greenlets[0] is not greenlet or greenlets[1] is not self._hub():
                return
            switches += 1
            if switches == number:
                self._soon(lambda: greenlet.dead or greenlet.throw(Interruption()))

        greenlet = self.spawn(run)
        settrace: Any = import_module("greenlet").settrace
        settrace(trace)
        try:
            self.wait(greenlet)
        finally:
            settrace(None)
        return switches >= number

    def _hub(self) -> Any:
        return self._module.get_hub() if self._name == "gevent" else import_module("eventlet.hubs").get_hub().greenlet

    def _soon(self, call: Callable[[], Any]) -> None:
        if self._name == "gevent":
            self._hub().loop.run_callback(call)
        else:
            import_module("eventlet.hubs").get_hub().schedule_call_global(0, call)

    def wait(self, greenlet: Any) -> Any:
        """Return what a greenlet returns."""
        return greenlet.get() if self._name == "gevent" else greenlet.wait()


if __name__ == "__main__":
    FRAMEWORK = Framework(sys.argv[1])
    if sys.argv[2] == "early":
        FRAMEWORK.patch()
    import_module("support.patched_calls").main(FRAMEWORK, *sys.argv[2:])
