"""Renewing the leases of writes that take long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from sekha._concurrency.primitives import InterruptibleLock
from sekha._transport.listeners import log


class Leases:
    """Renews the leases of writes that take long, in a thread that ends when there are none.

    Args:
        renew: Renews those of one key.
        interval: Seconds between two renewals.
    """

    def __init__(self, renew: Callable[[str, Sequence[str]], None], interval: float) -> None:
        self._renew = renew
        self._interval = interval
        self._held: dict[str, str] = {}  # the key of each token
        self._thread: threading.Thread | None = None
        self._lock = InterruptibleLock()
        self._has_warned = False

    def add(self, token: str, key: str) -> None:
        """Renew a lease from now on."""
        self._lock.run(self._add, token, key)

    def _add(self, token: str, key: str) -> None:
        self._held[token] = key
        if self._thread is None or not self._thread.is_alive():  # whatever has ended it
            thread = threading.Thread(target=self._run, name="sekha-redis-leases", daemon=True)
            with suppress(RuntimeError):  # the interpreter ends: the lease has to be long enough
                thread.start()
                self._thread = thread

    def discard(self, token: str) -> None:
        """Renew it no more."""
        self._held.pop(token, None)

    def _run(self) -> None:
        wait = threading.Event().wait
        while True:
            wait(self._interval)
            held = self._lock.run(self._list)
            if not held:
                return
            for key in dict.fromkeys(held.values()):
                self._renew_one(key, [token for token, one in held.items() if one == key])

    def _renew_one(self, key: str, tokens: Sequence[str]) -> None:
        try:
            self._renew(key, tokens)
            self._has_warned = False
        except BaseException as error:  # the thread goes on: Redis may come back; gevent's timeouts are no Exception
            if not self._has_warned:
                with suppress(Exception):  # of a log handler of the user, which must not cost the other leases
                    log.warning("the lease of a write was not renewed: %s", str(error) or type(error).__name__)
            self._has_warned = True

    def _list(self) -> dict[str, str]:
        if not self._held:
            self._thread = None
        return dict(self._held)
