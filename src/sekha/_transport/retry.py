"""Decides whether a failed attempt is retried, and after which delay: pure functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

from sekha._api.model import Endpoint, RetryIfUnknown, Service
from sekha._concurrency.clock import Clock
from sekha._http.models import HTTPRequest
from sekha._transport.options import CallOptions
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

INITIAL_BACKOFF = 0.5
MAX_BACKOFF = 8.0
MAX_RETRY_AFTER = 60.0
"""Seconds. If a server requests a longer wait, there is no retry, and the error has its ``retry_after``."""

_NO_ROOM = 507
"""The server has no storage left: it stored nothing, and a retry cannot help."""

_REFUSED_FOR_NOW = frozenset({408, 425})
"""Statuses that request a retry: the request did not arrive completely (408), or too early in TLS (425)."""


def retry_delay(
    endpoint: Endpoint[Any],
    error: SekhaError,
    *,
    attempt: int,
    max_retries: int,
    time_left: float | None,
    jitter: float,
) -> float | None:
    """Return the seconds to wait before the next attempt, None for no retry.

    Args:
        endpoint: The endpoint of the call; its ``retry_if_unknown`` decides if the outcome is unknown.
        error: The error of the attempt.
        attempt: Its number, starting at 1.
        max_retries: Number of allowed retries.
        time_left: Seconds until the deadline, or None.
        jitter: A random number in 0..1 that spreads the retries of many clients (full jitter).
    """
    if attempt > _max_retries(endpoint, error, max_retries):
        return None
    retry_after = error.retry_after if isinstance(error, SekhaAPIError) else None
    if retry_after is not None and retry_after > MAX_RETRY_AFTER:
        return None
    delay = float(math.ceil(retry_after)) if retry_after else backoff(attempt, jitter)  # 0 means unknown
    return None if time_left is not None and delay >= time_left else delay


def backoff(attempt: int, jitter: float) -> float:
    """Return a random delay between 0 and a bound in seconds that doubles with each attempt, up to 8."""
    return jitter * min(MAX_BACKOFF, INITIAL_BACKOFF * 2.0 ** min(attempt - 1, 16))


def not_processed(error: SekhaError) -> bool:
    """Return whether the server certainly did nothing: the request was not sent, or it was rejected unprocessed."""
    if isinstance(error, SekhaConnectionError):
        return not error.sent
    if isinstance(error, SekhaServerError):
        asks_to_wait = error.status_code == 503 and error.retry_after is not None
        return not error._retryable or asks_to_wait or error.status_code == _NO_ROOM
    return not isinstance(error, SekhaDecodeError)


def _max_retries(endpoint: Endpoint[Any], error: SekhaError, max_retries: int) -> int:
    if not error._retryable or not _is_transient(error):
        return 0
    if not_processed(error):
        return max_retries
    if isinstance(error, SekhaServerError) and endpoint.service is Service.BRIDGE and error.status_code == 500:
        return 0  # three of them open the bridge's circuit breaker for a minute
    if endpoint.retry_if_unknown is RetryIfUnknown.YES:
        return max_retries
    if endpoint.retry_if_unknown is RetryIfUnknown.ONCE and not _mentions_bridge(error):
        return min(1, max_retries)
    return 0


def _is_transient(error: SekhaError) -> bool:
    """Return whether a retry may succeed."""
    if isinstance(error, SekhaValidationError):
        return False
    if isinstance(error, SekhaServerError):
        return error.status_code >= 500 and error.status_code != _NO_ROOM
    return isinstance(error, (SekhaConnectionError, SekhaRateLimitError)) or (
        isinstance(error, SekhaAPIError) and error.status_code in _REFUSED_FOR_NOW
    )


def _mentions_bridge(error: SekhaError) -> bool:
    message = error.message.lower()
    return isinstance(error, SekhaServerError) and ("bridge" in message or "embedding error" in message)


class RetryState:
    """State of the attempts of one call, for tenacity and for the error of the call.

    Args:
        endpoint: The endpoint of the call.
        options: Number of retries, and deadline.
        clock: Time and jitter.
    """

    def __init__(self, endpoint: Endpoint[Any], options: CallOptions, clock: Clock) -> None:
        self.endpoint = endpoint
        self._options = options
        self._clock = clock
        self._started_at = clock.now()
        self._delay = 0.0
        self._attempts_sent = 0
        self._in_flight: HTTPRequest | None = None
        self._was_sent = False
        self._outcome_is_unknown = False

    def start_attempt(self, http_request: HTTPRequest) -> None:
        """Record that an attempt is about to be sent."""
        self._attempts_sent += 1
        self._in_flight = http_request

    def plan_retry(self, state: RetryCallState) -> bool:
        """Decide whether and when to retry the attempt that just ended; return whether to retry."""
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, SekhaError):
            return False  # it succeeded, or was cancelled
        self.note_failure(error)
        delay = retry_delay(
            self.endpoint,
            error,
            attempt=state.attempt_number,
            max_retries=self._options.max_retries,
            time_left=self._options.time_left(self._clock.now()),
            jitter=self._clock.jitter(),
        )
        self._delay = delay or 0.0
        return delay is not None

    def note_failure(self, error: SekhaError) -> None:
        """Record how an attempt has ended."""
        self._in_flight = None
        self._was_sent = self._was_sent or error.sent
        self._outcome_is_unknown = self._outcome_is_unknown or not not_processed(error)

    @property
    def may_retry(self) -> bool:
        """Whether a call may have more than one attempt."""
        return self._options.max_retries > 0

    def delay(self, state: RetryCallState) -> float:
        """Return the seconds until the next attempt."""
        return self._delay

    @property
    def has_begun(self) -> bool:
        """Whether an attempt was about to be sent."""
        return self._attempts_sent > 0

    @property
    def was_asked(self) -> bool:
        """Whether an attempt has tried to reach the server."""
        waits = self._in_flight is not None and self._in_flight.phase == "waiting for a free connection"
        return self._attempts_sent > (1 if waits else 0)

    @property
    def in_flight(self) -> bool:
        """Whether an attempt may have been in flight when the call was ended."""
        return self._in_flight is not None and self._in_flight.may_have_been_sent

    @property
    def response(self) -> Any:
        """The response of the last attempt from our own pool, possibly not received yet; None if there is none."""
        return self._in_flight and self._in_flight.response

    def delete_already_applied(self, error: SekhaError) -> bool:
        """Return whether a retried delete found nothing because an earlier attempt succeeded."""
        is_delete = self.endpoint.method == "DELETE" and isinstance(error, SekhaNotFoundError)
        return is_delete and self._outcome_is_unknown

    def with_call_details(self, error: E) -> E:
        """Add the details of the call to an error."""
        error.method = error.method or self.endpoint.method
        error.path = error.path or self.endpoint.path
        error.attempts = self._attempts_sent
        error.elapsed = self._clock.now() - self._started_at
        error.sent = error.sent or self._was_sent
        error.may_have_been_applied = self.endpoint.outcome_matters and (self._outcome_is_unknown or self.in_flight)
        if not self._options.shows_bodies and isinstance(error, (SekhaAPIError, SekhaDecodeError)):
            error.body = None
        return error
