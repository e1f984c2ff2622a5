"""The pools of all clients in this process: each call closes what was idle for too long in any of them."""

from __future__ import annotations

from itertools import count
from typing import Final, Protocol
from weakref import ref

from sekha._http.models import KEEPALIVE_EXPIRY


class Pool(Protocol):
    """A pool of connections."""

    def close_expired(self) -> float | None:
        """Close connections that were idle for too long, from any thread.

        Returns:
            Seconds until the next one expires; None if none is idle.
        """


class IdlePools:
    """All pools of the process, of all event loops; each is dropped with its client.

    A connection becomes idle now and expires later, so after a look at all pools it is known until when nothing can
    expire. Until then a call compares two numbers. They need no lock: two threads may look at the same time.
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._pools: dict[int, ref[Pool]] = {}
        self._quiet = (0.0, 0.0)  # from the last look until something can expire

    def add(self, pool: Pool) -> None:
        """Add a pool."""
        self._pools[next(self._numbers)] = ref(pool)

    def close_expired(self, now: float) -> None:
        """Close connections that were idle for too long.

        Args:
            now: The time of the clock of who asks. With another clock than before, all pools are looked at.
        """
        since, until = self._quiet
        if since <= now < until:
            return
        until = now + KEEPALIVE_EXPIRY
        for number, reference in self._pools.copy().items():
            pool = reference()
            if pool is None:
                self._pools.pop(number, None)
            elif (seconds := pool.close_expired()) is not None:
                until = min(until, now + seconds)
        self._quiet = (now, until)


IDLE_POOLS: Final = IdlePools()
"""Those of this process. After a fork, the child closes only its own copies of what its parent has in them."""
