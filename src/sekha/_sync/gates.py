# Generated from src/sekha/_async/gates.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Waiting at shared gates: those of this package, which are polled, and custom ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from sekha._concurrency.blocking_calls import (
    acquire,
    call_blocking,
    finish_blocking,
    gate_problem,
    give_back,
)
from sekha._concurrency.clock import Clock
from sekha._transport.gates import PolledGate, PolledTurn, ServerLimits, checked_release, gate_error, with_outcome
from sekha._transport.listeners import log
from sekha._transport.options import CallOptions
from sekha.errors import SekhaConfigError, SekhaError

POLL_INTERVAL = 0.02
"""Seconds between two polls of a waiting caller."""


class SharedGate:
    """A gate that a setting names, for one server.

    Args:
        setting: The name of the setting.
        gate: The gate.
        server: The server and its limits.

    Raises:
        SekhaConfigError: A client of this type cannot use it.
    """

    def __init__(self, setting: str, gate: Any, server: ServerLimits) -> None:
        if isinstance(gate, PolledGate):
            gate._check(server)
        elif problem := gate_problem(gate):
            raise SekhaConfigError(f"{setting}: {problem}")
        self.setting = setting
        self.gate = gate
        self._server = server
        self._has_warned = False

    def turn(self) -> SharedTurn | CustomTurn:
        """Return the turn of one request."""
        if isinstance(self.gate, PolledGate):
            return SharedTurn(self, self.gate._turn(self._server))
        return CustomTurn(self)

    def drain(self, seconds: float | None) -> None:
        """Block all requests for a while, because the server rejected one."""
        gate, server = self.gate, self._server
        if isinstance(gate, PolledGate):
            try:
                finish_blocking(lambda: gate._drain(server, seconds))
            except Exception as error:
                self.warn("other clients were not informed that the server rejected a request", error)

    def warn(self, what: str, error: Exception) -> None:
        """Log once that a gate has failed, in places where this must not fail a call."""
        if not self._has_warned:
            self._has_warned = True
            log.warning("%s: %s: %s", self.setting, what, str(error) or type(error).__name__)


class SharedTurn:
    """The turn of one request at a gate of this package.

    Args:
        shared: The gate.
        turn: The turn there.

    Attributes:
        seconds: Expected duration of the wait, if known.
    """

    def __init__(self, shared: SharedGate, turn: PolledTurn) -> None:
        self._shared = shared
        self._turn = turn
        self.seconds: float | None = None
        self._has_failed = False
        self._has_left = False

    @property
    def others_have_written(self) -> bool:
        """Whether the first write is known to have succeeded."""
        return self._turn.others_have_written

    def try_enter(self) -> bool:
        """Return whether the request may be sent now; if not, `enter` waits."""
        try:
            self.seconds = call_blocking(self._turn.try_enter)
        except Exception:
            self._has_failed = True
            raise
        return self.seconds <= 0

    def enter_now(self) -> None:
        """Count a request that is sent regardless of the limit, and of failures of the gate."""
        try:
            call_blocking(self._turn.enter_now)
        except Exception as error:
            self._shared.warn("requests that do not wait are not counted", error)

    def enter(self, options: CallOptions, clock: Clock) -> bool:
        """Wait until the request may be sent; return False if its deadline passed first."""
        while True:
            wait, left = self.seconds or 0.0, options.time_left(clock.now())
            if left is not None and left <= 0:
                return False
            clock.sleep(wait if left is None else min(wait, left))
            if self.try_enter():
                return True

    def leave(self, *, stored: bool = False) -> None:
        """Release the slot or token, or stop waiting. May be called repeatedly."""
        if not self._has_left:
            try:
                finish_blocking(lambda: self._turn.leave(stored=stored))
            except Exception as error:
                if not self._has_failed:  # otherwise the error of the call reports it
                    self._shared.warn("a slot was not released; it is freed when its lease expires", error)
            self._has_left = True


class CustomTurn:
    """The turn of one request at a custom gate.

    Args:
        shared: The gate.

    Attributes:
        seconds: None, since the duration of the wait is unknown.
    """

    others_have_written = False

    def __init__(self, shared: SharedGate) -> None:
        self._shared = shared
        self.seconds: float | None = None
        self._releases: deque[Callable[[], object]] = deque()
        self._has_left = False

    def try_enter(self) -> bool:
        """Return whether the request may be sent now; if not, `enter` waits."""
        return self._acquire(0.0)

    def enter_now(self) -> None:
        """Acquire what is available for a request that does not wait."""
        try:
            self._acquire(0.0)
        except Exception as error:
            self._shared.warn("requests that do not wait are not counted", error)

    def enter(self, options: CallOptions, clock: Clock) -> bool:
        """Wait until the request may be sent; return False if its deadline passed first."""
        while True:
            left = options.time_left(clock.now())
            if left is not None and left <= 0:
                return False
            if self._acquire(left):
                return True
            clock.sleep(POLL_INTERVAL)  # it need not wait itself

    def leave(self, *, stored: bool = False) -> None:
        """Release what was acquired. May be called repeatedly."""
        self._has_left = True
        while self._releases:
            release = self._releases.popleft()
            try:
                give_back(self._shared.gate, with_outcome(release, stored=stored))
            except Exception as error:
                self._shared.warn("release failed", error)

    def _acquire(self, deadline: float | None) -> bool:
        try:
            return acquire(self._shared.gate, deadline, self._keep)
        except SekhaError:
            raise
        except Exception as error:
            raise gate_error(self._shared.setting, self._shared.gate, error) from error

    def _keep(self, release: Any) -> bool:
        """Keep the release function, and return whether there is one; in a worker thread, whose task may be gone."""
        found = checked_release(self._shared.setting, self._shared.gate, release)
        if found is None:
            return False
        self._releases.append(found)
        if self._has_left:
            while self._releases:
                self._releases.popleft()()
        return True
