# Generated from src/sekha/_async/write_gate.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Limit of concurrent writes; until the first one has succeeded, one at a time (D52, D65)."""

from __future__ import annotations

from sekha._concurrency.blocking_calls import call_blocking
from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import Semaphore, Slot
from sekha._transport.listeners import log
from sekha._transport.options import CallOptions
from sekha._transport.write_locks import LockTurn, WriteLocks

from .gates import POLL_INTERVAL, SharedGate


class WriteGate:
    """Limits the concurrent writes to one server.

    Args:
        limit: Maximum number of concurrent writes.
        locks: The lock files for sharing the limit between processes; None if another gate is used, or none.
        shared: The gate to use instead; None if there is none.
    """

    def __init__(self, limit: int, locks: WriteLocks | None, shared: SharedGate | None = None) -> None:
        self._limit = limit
        self._semaphore = Semaphore(1)
        self._is_open = False
        self.locks: WriteLocks | None = locks
        self.shared: SharedGate | None = shared

    def turn(self) -> WriteTurn:
        """Return the turn of one write."""
        return WriteTurn(self)

    def slot(self) -> Slot:
        """Return the slot of one write within this client."""
        return self._semaphore.slot()

    def open(self) -> None:
        """Allow concurrent writes, since the first one has succeeded."""
        if not self._is_open:
            self._is_open = True
            self._semaphore.resize(self._limit)

    def allow_parallel(self) -> None:
        """Allow concurrent writes without limits of other processes, since the server does not require them."""
        locks, self.locks, self.shared = self.locks, None, None
        if locks is not None:
            locks.close()
        self.open()

    def give_up_sharing(self, problem: OSError) -> None:
        """Count only the writes of this client, since the files cannot be locked."""
        if self.locks is not None:
            self.locks = None
            reason = problem.strerror or str(problem) or type(problem).__name__
            log.warning(
                "write_gate: writes of other processes are not counted, since files cannot be locked: %s", reason
            )

    def close(self) -> None:
        """Release the files that stay locked between writes."""
        if self.locks is not None:
            self.locks.close()


class WriteTurn:
    """The turn of one write: first within its client, then at the shared gate.

    Args:
        gate: The gate.

    Attributes:
        has_succeeded: Set when the server has stored something.
    """

    def __init__(self, gate: WriteGate) -> None:
        self._gate = gate
        self._slot = gate.slot()
        self._locks: LockTurn | None = None
        self._shared = gate.shared.turn() if gate.shared is not None else None
        self.has_succeeded = False

    def try_enter(self) -> bool:
        """Return whether the write may be sent now; if not, `enter` waits."""
        if not self._slot.try_acquire():
            return False
        if self._shared is None:
            return self._try_lock()
        return self._opens_gate(self._shared.try_enter())

    def enter(self, options: CallOptions, clock: Clock) -> bool:
        """Wait until the write may be sent; return False if its deadline passed first."""
        if not self._slot.acquire(options.time_left(clock.now())):
            return False
        if self._shared is not None:
            return self._opens_gate(self._shared.enter(options, clock))
        while not self._try_lock():
            left = options.time_left(clock.now())
            if left is not None and left <= 0:
                return False
            clock.sleep(POLL_INTERVAL if left is None else min(POLL_INTERVAL, left))
        return True

    def leave(self) -> None:
        """End the turn, or the wait for it. May be called repeatedly."""
        if self._shared is not None:
            self._shared.leave(stored=self.has_succeeded)
        if self._locks is not None:
            self._locks.leave(stored=self.has_succeeded)
        if self.has_succeeded:
            self._gate.open()
        self._slot.release()

    def _opens_gate(self, may_enter: bool) -> bool:
        """Open the gate of this client if another one has written before; return the argument."""
        if may_enter and self._shared is not None and self._shared.others_have_written:
            self._gate.open()
        return may_enter

    def _try_lock(self) -> bool:
        """Return whether no other process holds the required locks."""
        locks = self._gate.locks
        if locks is None:
            return True
        try:
            try:
                may_enter = self._lock(locks)
            except FileNotFoundError:  # the folder was removed, as some systems do when a user logs out
                self._locks = None
                locks.forget_folder()
                may_enter = self._lock(locks)
        except OSError as problem:
            self._gate.give_up_sharing(problem)
            return True
        if not may_enter:
            return False
        if locks.has_note:
            self._gate.open()
        return True

    def _lock(self, locks: WriteLocks) -> bool:
        if not locks.has_folder:  # in a thread: some development servers allow no such call in the event loop
            call_blocking(locks.make_folder)
        if self._locks is None:
            self._locks = locks.turn()
        return self._locks.try_enter()
