"""Whether a failed attempt is repeated, and after how long: decided by nothing but the arguments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from sekha._api.model import CallOptions, Departure, Endpoint, Repeat, Service
from sekha._concurrency.clock import Clock
from sekha.errors import (
    SekhaAPIError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaNotFoundError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaValidationError,
)

if TYPE_CHECKING:
    from tenacity import RetryCallState

E = TypeVar("E", bound=SekhaError)

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 8.0
LONGEST_RETRY_AFTER = 60.0
"""Seconds. A server that asks for more is not waited for; the error carries its ``retry_after``."""


def verdict(
    endpoint: Endpoint[Any],
    error: SekhaError,
    *,
    attempt: int,
    max_retries: int,
    time_left: float | None,
    chance: float,
) -> float | None:
    """Seconds to wait before the next attempt, or None for no further one.

    Args:
        endpoint: What was called; its ``repeat`` says how careful to be.
        error: How the attempt ended.
        attempt: Its number, from 1.
        max_retries: Attempts allowed after the first.
        time_left: Seconds until the deadline, or None.
        chance: A random number in 0..1 that spreads the waits of many clients (full jitter).
    """
    if attempt > _attempts_allowed(endpoint, error, max_retries):
        return None
    asked = error.retry_after if isinstance(error, SekhaAPIError) else None
    if asked is not None and asked > LONGEST_RETRY_AFTER:
        return None
    wait = float(math.ceil(asked)) if asked is not None else backoff(attempt, chance)
    return None if time_left is not None and wait >= time_left else wait


def backoff(attempt: int, chance: float) -> float:
    """Seconds between 0 and a bound that doubles with each attempt, up to 8."""
    return chance * min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(attempt - 1, 16))


def untouched(error: SekhaError) -> bool:
    """Whether the server certainly did nothing: the request never left, or was turned away at the door."""
    if isinstance(error, SekhaConnectionError):
        return not error.sent
    if isinstance(error, SekhaServerError):
        return not error._retryable or (error.status_code == 503 and error.retry_after is not None)
    return not isinstance(error, SekhaDecodeError)


def _attempts_allowed(endpoint: Endpoint[Any], error: SekhaError, max_retries: int) -> int:
    if not error._retryable or not _passing(error):
        return 0
    if untouched(error):
        return max_retries
    if isinstance(error, SekhaServerError) and endpoint.service is Service.BRIDGE and error.status_code == 500:
        return 0  # three of them open the bridge's breaker for a minute
    if endpoint.repeat is Repeat.SAFE:
        return max_retries
    if endpoint.repeat is Repeat.COSTLY and not _speaks_of_the_bridge(error):
        return min(1, max_retries)
    return 0


def _passing(error: SekhaError) -> bool:
    """Whether the fault may be gone a moment later."""
    if isinstance(error, SekhaValidationError):
        return False
    return isinstance(error, (SekhaConnectionError, SekhaRateLimitError)) or (
        isinstance(error, SekhaServerError) and error.status_code >= 500
    )


def _speaks_of_the_bridge(error: SekhaError) -> bool:
    words = error.message.lower()
    return isinstance(error, SekhaServerError) and ("bridge" in words or "embedding error" in words)


class Attempts:
    """What tenacity asks while it drives one call, and what the caller is told in the end.

    Args:
        endpoint: What is called.
        options: How often and how long.
        clock: Time and chance.
    """

    def __init__(self, endpoint: Endpoint[Any], options: CallOptions, clock: Clock) -> None:
        self.endpoint = endpoint
        self._options = options
        self._clock = clock
        self._started = clock.now()
        self._wait = 0.0
        self._on_the_wire = 0
        self._departure: Departure | None = None  # of the attempt that is under way
        self._unknown = False

    def begin(self) -> Departure:
        """An attempt is about to be sent."""
        self._on_the_wire += 1
        self._departure = Departure()
        return self._departure

    def again(self, state: RetryCallState) -> bool:
        """Whether the attempt that just ended is followed by another."""
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, SekhaError):
            return False  # it succeeded, or was cancelled
        self._departure = None
        self._unknown = self._unknown or not untouched(error)
        wait = verdict(
            self.endpoint,
            error,
            attempt=state.attempt_number,
            max_retries=self._options.max_retries,
            time_left=self._options.time_left(self._clock.now()),
            chance=self._clock.jitter(),
        )
        self._wait = wait or 0.0
        return wait is not None

    def wait(self, state: RetryCallState) -> float:
        """Seconds until the next attempt."""
        return self._wait

    @property
    def in_flight(self) -> bool:
        """Whether an attempt may have been on its way when the call was ended."""
        return self._departure is not None and self._departure.possible

    def has_succeeded_all_the_same(self, error: SekhaError) -> bool:
        """Whether a repeated delete found nothing because an earlier attempt arrived."""
        return self.endpoint.method == "DELETE" and isinstance(error, SekhaNotFoundError) and self._unknown

    def told(self, error: E) -> E:
        """The error with all that is known of the call."""
        error.method = error.method or self.endpoint.method
        error.path = error.path or self.endpoint.path
        error.attempts = self._on_the_wire
        error.elapsed = self._clock.now() - self._started
        error.may_have_been_applied = self.endpoint.writes and (self._unknown or self.in_flight)
        return error
