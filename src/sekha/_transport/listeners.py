"""A call in progress, and its listeners: the log and the user's hooks."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from typing_extensions import Self

from sekha._api.model import Request
from sekha._concurrency.clock import Clock
from sekha._transport.options import CallOptions
from sekha.errors import SekhaTimeoutError, SekhaWarning
from sekha.events import RequestEvent, ResponseEvent, RetryEvent, WaitEvent, WaitReason

log = logging.getLogger("sekha")

LONG_WAIT: Final = 1.0
"""Minimum seconds of a wait that is logged at INFO and reported as import progress."""


class CallContext:
    """A call in progress. Each attempt is a block: ``with call: ...``.

    Args:
        request: The call.
        options: Its options.
        clock: The clock that measures it.
        server: Host and port of the server.
        listeners: The listeners.

    Attributes:
        request: The call.
        call_options: Its options, the same for all attempts.
        options: The options of this attempt; a listener may have added headers.
        server: Host and port of the server.
        attempt: Number of this attempt, starting at 1.
        status: HTTP status of this attempt; set when the response headers arrive.
        error: Class of the error of this attempt.
        elapsed: Duration of this attempt in seconds.
        span: The span of this attempt; it belongs to the listener for tracing.
    """

    __slots__ = (
        "_clock",
        "_listeners",
        "_started_at",
        "attempt",
        "call_options",
        "elapsed",
        "error",
        "options",
        "request",
        "server",
        "span",
        "status",
    )

    def __init__(
        self,
        request: Request[Any],
        options: CallOptions,
        clock: Clock,
        server: str,
        listeners: tuple[CallListener, ...],
    ) -> None:
        self.request: Request[Any] = request
        self.call_options: CallOptions = options
        self.options: CallOptions = options
        self.server: str = server
        self.attempt: int = 0
        self.elapsed: float = 0.0
        self.status: int | None = None
        self.error: type[BaseException] | None = None
        self._clock = clock
        self._listeners = listeners

    def __enter__(self) -> Self:
        if self._listeners:
            self.attempt += 1
            self.options, self.status, self.error, self.elapsed = self.call_options, None, None, 0.0
            self.span: Any = None
            self._started_at = self._clock.now()
            for listener in self._listeners:
                _notify(listener, listener.on_attempt_start, self)
        return self

    def __exit__(self, cls: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._listeners:
            now = self._clock.now()
            self.elapsed = now - self._started_at
            self.error = cls
            left = self.options.time_left(now)
            if cls is not None and not issubclass(cls, Exception) and left is not None and left <= 0:
                self.error = SekhaTimeoutError  # the error for this cancellation
            for listener in reversed(self._listeners):
                _notify(listener, listener.on_attempt_end, self)

    def wait_for(self, reason: WaitReason, seconds: float | None = None, what: str = "") -> None:
        """Report that an attempt waits before it is sent.

        Args:
            reason: The reason for the wait.
            seconds: Expected duration; None if unknown.
            what: The reason in words, for the log; empty if it is already logged.
        """
        endpoint, is_long = self.request.endpoint, seconds is not None and seconds > LONG_WAIT
        if what:
            level, text = (logging.INFO, f"{seconds:.0f} s for {what}") if is_long else (logging.DEBUG, f"for {what}")
            log.log(level, "%s %s: waiting %s", endpoint.method, endpoint.path, text)
        event = WaitEvent(reason, endpoint.service.value, seconds)
        for listener in self._listeners:
            _notify(listener, listener.on_wait, event)
        if self.call_options.on_wait is not None:
            self.call_options.on_wait(event)

    def wait_for_connection(self) -> None:
        """Report that an attempt waits for a free connection; the pool has logged it."""
        self.wait_for("connection")

    def retry_in(self, delay: float) -> None:
        """Report that a retry follows after some seconds."""
        for listener in self._listeners:
            _notify(listener, listener.on_retry, self, delay)


class CallListener:
    """Base of the listeners. Their errors are reported and do not affect the call.

    Attributes:
        name: Its name in reports of its errors.
    """

    name = ""

    def on_wait(self, event: WaitEvent) -> None:
        """Handle an attempt that waits before it is sent."""

    def on_attempt_start(self, call: CallContext) -> None:
        """Handle an attempt that is about to be sent."""

    def on_attempt_end(self, call: CallContext) -> None:
        """Handle an attempt that has a result or an error."""

    def on_retry(self, call: CallContext, delay: float) -> None:
        """Handle a failed attempt that is retried after some seconds."""


class DebugLog(CallListener):
    """Logs attempts and retries at level DEBUG."""

    name = "the log"

    def on_attempt_end(self, call: CallContext) -> None:
        """Log the attempt."""
        endpoint = call.request.endpoint
        log.debug(
            "%s %s: attempt %d got %s in %.3f s%s",
            endpoint.method,
            endpoint.path,
            call.attempt,
            call.status or "no response",
            call.elapsed,
            f": {call.error.__name__}" if call.error else "",
        )

    def on_retry(self, call: CallContext, delay: float) -> None:
        """Log the retry."""
        endpoint, error = call.request.endpoint, call.error or Exception
        log.debug(
            "%s %s: attempt %d failed with %s, retry in %.2f s",
            endpoint.method,
            endpoint.path,
            call.attempt,
            error.__name__,
            delay,
        )


class RequestHook(CallListener):
    """Calls the user's ``on_request``."""

    name = "on_request"

    def __init__(self, hook: Callable[[RequestEvent], object]) -> None:
        self._hook = hook

    def on_attempt_start(self, call: CallContext) -> None:
        """Call the hook."""
        self._hook(RequestEvent(*_event_fields(call)))


class ResponseHook(CallListener):
    """Calls the user's ``on_response``."""

    name = "on_response"

    def __init__(self, hook: Callable[[ResponseEvent], object]) -> None:
        self._hook = hook

    def on_attempt_end(self, call: CallContext) -> None:
        """Call the hook."""
        self._hook(ResponseEvent(*_event_fields(call), call.status, call.error, call.elapsed))


class RetryHook(CallListener):
    """Calls the user's ``on_retry``."""

    name = "on_retry"

    def __init__(self, hook: Callable[[RetryEvent], object]) -> None:
        self._hook = hook

    def on_retry(self, call: CallContext, delay: float) -> None:
        """Call the hook."""
        self._hook(RetryEvent(*_event_fields(call), call.status, call.error or Exception, call.elapsed, delay))


class WaitHook(CallListener):
    """Calls the user's ``on_wait``."""

    name = "on_wait"

    def __init__(self, hook: Callable[[WaitEvent], object]) -> None:
        self._hook = hook

    def on_wait(self, event: WaitEvent) -> None:
        """Call the hook."""
        self._hook(event)


def _event_fields(call: CallContext) -> tuple[str, str, str, str, int]:
    endpoint = call.request.endpoint
    return (endpoint.service.value, endpoint.method, endpoint.path, call.server, call.attempt)


_REGISTRIES: Final[dict[str, dict[Any, Any]]] = {}
"""The registry of `warnings` for each file, so that it shows an error once at each line."""


def _notify(listener: CallListener, method: Callable[..., None], *arguments: object) -> None:
    try:
        method(*arguments)
    except Exception as error:
        warn_listener_failed(listener.name, error)


def warn_listener_failed(name: str, error: Exception) -> None:
    """Warn about an error in a listener, at the line that raised it; never raise, even if warnings are errors."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    file, line = (frame.tb_frame.f_code.co_filename, frame.tb_lineno) if frame is not None else (__file__, 1)
    text = f"{name} raised {type(error).__name__}; the call is not affected"
    with suppress(Exception):
        try:
            warnings.warn_explicit(text, SekhaWarning, file, line, registry=_REGISTRIES.setdefault(file, {}))
        except SekhaWarning:
            log.warning("%s (%s:%d)", text, file, line)
        log.debug("%s", text, exc_info=error)
