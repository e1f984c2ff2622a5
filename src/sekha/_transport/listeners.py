"""Who is told of a call while it runs: the log, the user's hooks and spans, of the same three moments of an attempt."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

from typing_extensions import Self

from sekha._api.model import CallOptions, Request
from sekha._concurrency.clock import Clock
from sekha._version import __version__
from sekha.config import SekhaConfig
from sekha.errors import SekhaTimeoutError, SekhaWarning
from sekha.events import RequestEvent, ResponseEvent, RetryEvent

log = logging.getLogger("sekha")


class Watched:
    """One call while it runs. Each attempt is a block inside it: ``with call: ...``.

    Args:
        request: The call.
        options: How it is made.
        clock: Time.
        server: Host and port of the server.
        listeners: Who is told.

    Attributes:
        request: The call.
        options: How this attempt is made; a listener may have put headers there.
        server: Host and port of the server.
        attempt: Number of this attempt, from 1.
        status: What it was answered; whoever sees the head of the answer sets it.
        error: What class of error it ended with.
        elapsed: Seconds that it took.
        span: Belongs to the listener for spans.
    """

    __slots__ = (
        "_clock",
        "_given_options",
        "_listeners",
        "_started",
        "attempt",
        "elapsed",
        "error",
        "options",
        "request",
        "server",
        "span",
        "status",
    )

    def __init__(
        self, request: Request[Any], options: CallOptions, clock: Clock, server: str, listeners: tuple[Listener, ...]
    ) -> None:
        self.request: Request[Any] = request
        self._given_options = options
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
            self.options, self.status, self.error, self.elapsed = self._given_options, None, None, 0.0
            self.span: Any = None
            self._started = self._clock.now()
            for listener in self._listeners:
                _tell(listener, listener.begun, self)
        return self

    def __exit__(self, cls: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._listeners:
            now = self._clock.now()
            self.elapsed = now - self._started
            self.error = cls
            left = self.options.time_left(now)
            if cls is not None and not issubclass(cls, Exception) and left is not None and left <= 0:
                self.error = SekhaTimeoutError  # what the caller will see of this cancellation
            for listener in reversed(self._listeners):
                _tell(listener, listener.ended, self)

    def repeated(self, wait: float) -> None:
        """Another attempt follows after so many seconds."""
        for listener in self._listeners:
            _tell(listener, listener.repeated, self, wait)


class Watch:
    """Who listens to the calls of one server.

    Args:
        config: The hooks, and whether spans are wanted.
        base_url: Address of the server.
    """

    def __init__(self, config: SekhaConfig, base_url: str) -> None:
        self._server = urlsplit(base_url).netloc
        listeners: list[Listener] = []
        if config.on_request is not None:
            listeners.append(_OnRequest(config.on_request))
        if config.on_response is not None:
            listeners.append(_OnResponse(config.on_response))
        if config.on_retry is not None:
            listeners.append(_OnRetry(config.on_retry))
        if config.tracing:
            listeners += _spans(base_url)
        self._listeners = tuple(listeners)
        self._listeners_and_log = (_Log(), *listeners)

    def call(self, request: Request[Any], options: CallOptions, clock: Clock) -> Watched:
        """A call that begins."""
        listeners = self._listeners_and_log if log.isEnabledFor(logging.DEBUG) else self._listeners
        return Watched(request, options, clock, self._server, listeners)


# Listeners


class Listener:
    """Is told of the moments of an attempt. Whatever it raises is reported, and the call goes on.

    Attributes:
        name: What users call it.
    """

    name = ""

    def begun(self, call: Watched) -> None:
        """An attempt is about to be sent."""

    def ended(self, call: Watched) -> None:
        """It has an answer, or an error."""

    def repeated(self, call: Watched, wait: float) -> None:
        """Another follows after so many seconds."""


class _Log(Listener):
    name = "the log"

    def ended(self, call: Watched) -> None:
        endpoint = call.request.endpoint
        log.debug(
            "%s %s: attempt %d got %s in %.3f s%s",
            endpoint.method,
            endpoint.path,
            call.attempt,
            call.status or "no answer",
            call.elapsed,
            f": {call.error.__name__}" if call.error else "",
        )

    def repeated(self, call: Watched, wait: float) -> None:
        endpoint, error = call.request.endpoint, call.error or Exception
        log.debug(
            "%s %s: attempt %d failed with %s, again in %.2f s",
            endpoint.method,
            endpoint.path,
            call.attempt,
            error.__name__,
            wait,
        )


class _OnRequest(Listener):
    name = "on_request"

    def __init__(self, hook: Callable[[RequestEvent], object]) -> None:
        self._hook = hook

    def begun(self, call: Watched) -> None:
        self._hook(RequestEvent(*_facts(call)))


class _OnResponse(Listener):
    name = "on_response"

    def __init__(self, hook: Callable[[ResponseEvent], object]) -> None:
        self._hook = hook

    def ended(self, call: Watched) -> None:
        self._hook(ResponseEvent(*_facts(call), call.status, call.error, call.elapsed))


class _OnRetry(Listener):
    name = "on_retry"

    def __init__(self, hook: Callable[[RetryEvent], object]) -> None:
        self._hook = hook

    def repeated(self, call: Watched, wait: float) -> None:
        self._hook(RetryEvent(*_facts(call), call.status, call.error or Exception, call.elapsed, wait))


def _facts(call: Watched) -> tuple[str, str, str, str, int]:
    endpoint = call.request.endpoint
    return (endpoint.service.value, endpoint.method, endpoint.path, call.server, call.attempt)


class _Spans(Listener):
    """A span for each attempt, by OpenTelemetry's conventions for HTTP clients, and its identity in the headers."""

    name = "OpenTelemetry"

    def __init__(self, base_url: str) -> None:
        from opentelemetry import propagate, trace

        self._start = trace.get_tracer("sekha", __version__).start_span
        self._around = trace.set_span_in_context
        self._inject = propagate.inject
        self._client = trace.SpanKind.CLIENT
        self._failed = trace.Status(trace.StatusCode.ERROR)
        parts = urlsplit(base_url)
        self._base_url, self._prefix = base_url, parts.path
        self._server: dict[str, str | int] = {
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        }

    def begun(self, call: Watched) -> None:
        endpoint, template = call.request.endpoint, self._prefix + call.request.endpoint.path
        attributes: dict[str, str | int] = {
            **self._server,
            "http.request.method": endpoint.method,
            "url.full": self._base_url + call.request.path.partition("?")[0],  # queries hold what users wrote
            "url.template": template,
        }
        if call.attempt > 1:
            attributes["http.request.resend_count"] = call.attempt - 1
        call.span = self._start(f"{endpoint.method} {template}", kind=self._client, attributes=attributes)
        carrier: dict[str, str] = {}
        traced = call.span.get_span_context().is_valid  # not so where nobody has set up a provider
        self._inject(carrier, self._around(call.span) if traced else None)
        headers = {name: text for name, text in carrier.items() if (name + text).isascii() and text.isprintable()}
        if headers:
            call.options = replace(call.options, headers={**call.options.headers, **headers})

    def ended(self, call: Watched) -> None:
        span, status, error = call.span, call.status, call.error
        if span is None:
            return
        if status is not None:
            span.set_attribute("http.response.status_code", status)
        refused = status is not None and status >= 400
        if refused or error is not None:
            span.set_attribute("error.type", str(status) if refused else _full_name(error))
            span.set_status(self._failed)
        span.end()


@cache
def _has_opentelemetry() -> bool:
    try:
        import_module("opentelemetry.trace")
    except ImportError:
        return False
    return True


def _spans(base_url: str) -> list[Listener]:
    """The listener for spans, where OpenTelemetry is installed."""
    try:
        return [_Spans(base_url)] if _has_opentelemetry() else []
    except Exception as error:  # it reads settings of its own while it is imported
        _report(_Spans.name, error)
        return []


def _full_name(cls: type[BaseException] | None) -> str:
    return f"{cls.__module__}.{cls.__qualname__}" if cls is not None else ""


# Faults of listeners

_REPORTED: Final[dict[str, dict[Any, Any]]] = {}
"""What `warnings` remembers of each file, so that it shows a fault once a place."""


def _tell(listener: Listener, moment: Callable[..., None], *facts: object) -> None:
    try:
        moment(*facts)
    except Exception as error:
        _report(listener.name, error)


def _report(name: str, error: Exception) -> None:
    """Warn of a fault at the place where it happened; nothing comes out of here, even where warnings are errors."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    file, line = (place.tb_frame.f_code.co_filename, place.tb_lineno) if place is not None else (__file__, 1)
    text = f"{name} raised {type(error).__name__}; the call is not affected"
    with suppress(Exception):
        try:
            warnings.warn_explicit(text, SekhaWarning, file, line, registry=_REPORTED.setdefault(file, {}))
        except SekhaWarning:
            log.warning("%s (%s:%d)", text, file, line)
        log.debug("%s", text, exc_info=error)
