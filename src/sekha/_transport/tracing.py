"""OpenTelemetry: a span for each attempt, by the semantic conventions for HTTP clients, where it is installed.

Where the attempt belongs to an operation, its parent is the span of that (`spans`), else the current one.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from urllib.parse import urlsplit

from sekha._transport.listeners import CallContext, CallListener, warn_listener_failed
from sekha._version import __version__


class Tracing(CallListener):
    """Starts and ends the spans, and puts their context into the headers.

    Args:
        base_url: Address of the server.
    """

    name = "OpenTelemetry"

    def __init__(self, base_url: str) -> None:
        from opentelemetry import propagate, trace

        self._start_span = trace.get_tracer("sekha", __version__).start_span
        self._with_span = trace.set_span_in_context
        self._inject = propagate.inject
        self._kind = trace.SpanKind.CLIENT
        self._error_status = trace.Status(trace.StatusCode.ERROR)
        self._base_url, self._prefix = base_url, urlsplit(base_url).path
        self._server_attributes = server_attributes(base_url)

    def on_attempt_start(self, call: CallContext) -> None:
        """Start a span, and add its context to the headers of the attempt."""
        endpoint, template = call.request.endpoint, self._prefix + call.request.endpoint.path
        attributes: dict[str, str | int] = {
            **self._server_attributes,
            "http.request.method": endpoint.method,
            "url.full": self._base_url + call.request.path.partition("?")[0],  # a query contains text of the user
            "url.template": template,
        }
        if call.attempt > 1:
            attributes["http.request.resend_count"] = call.attempt - 1
        operation = call.call_options.operation
        context = operation.context if operation is not None else None  # None: the current one
        name = f"{endpoint.method} {template}"
        call.span = self._start_span(name, context=context, kind=self._kind, attributes=attributes)
        carrier: dict[str, str] = {}
        is_valid = call.span.get_span_context().is_valid  # not so where no provider is set up
        self._inject(carrier, self._with_span(call.span, context) if is_valid else None)
        headers = {name: text for name, text in carrier.items() if (name + text).isascii() and text.isprintable()}
        if headers:
            call.options = replace(call.options, headers={**call.options.headers, **headers})

    def on_attempt_end(self, call: CallContext) -> None:
        """End the span."""
        span, status, error = call.span, call.status, call.error
        if span is None:
            return
        if status is not None:
            span.set_attribute("http.response.status_code", status)
        is_error_status = status is not None and status >= 400
        if is_error_status or error is not None:
            span.set_attribute("error.type", str(status) if is_error_status else full_name(error))
            span.set_status(self._error_status)
        span.end()


def tracing_listeners(base_url: str) -> list[CallListener]:
    """Return the listener for tracing, or nothing where OpenTelemetry is not installed."""
    try:
        return [Tracing(base_url)] if has_opentelemetry() else []
    except Exception as error:  # it reads settings of its own while it is imported
        warn_listener_failed(Tracing.name, error)
        return []


@cache
def has_opentelemetry() -> bool:
    """Return whether OpenTelemetry is installed."""
    try:
        import_module("opentelemetry.trace")
    except ImportError:
        return False
    return True


def server_attributes(base_url: str) -> dict[str, str | int]:
    """Return the attributes that name a server."""
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}


def full_name(cls: type[BaseException] | None) -> str:
    """Return the path of a class, which is the type of an error; empty for None."""
    return f"{cls.__module__}.{cls.__qualname__}" if cls is not None else ""
