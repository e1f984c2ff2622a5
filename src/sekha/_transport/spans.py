"""OpenTelemetry: a span for each operation, whose children are the spans of its attempts.

A span belongs to a view of the client, and through that to each of its requests, in whichever task or thread they are
made. Nothing is attached to the context of OpenTelemetry, so that nothing can be left in it: not by a coroutine that is
closed, and not by a stream that is never read.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, Optional, Protocol, TypeVar, cast

from typing_extensions import Self

from sekha._concurrency.clock import monotonic
from sekha._transport import conventions as names
from sekha._transport.listeners import warn_listener_failed
from sekha._transport.operations import Attributes, Operation, captures_content, span_name
from sekha._transport.tracing import Tracing, full_name, has_opentelemetry, server_attributes
from sekha._utils.redaction import Secret, mask
from sekha._version import __version__

F = TypeVar("F", bound=Callable[..., Any])
CallArguments = tuple[tuple[str, ...], tuple[Any, ...], dict[str, Any]]
"""The names of the positional parameters after the first one, and the arguments after the first one."""
_log = logging.getLogger("sekha")


class OperationSpan:
    """The span of one operation, from its beginning to its end. It fails no call: its errors are warnings.

    It is used as a context manager around the operation, which ends it with the class of an error.

    Args:
        span: The span.
        context: The context of OpenTelemetry in which the attempts of the operation are made.
        operation: What it is.
        secrets: The keys, which stand in no attribute; None where no texts are captured.

    Attributes:
        context: As above.
    """

    __slots__ = ("_has_chunk", "_operation", "_pid", "_secrets", "_span", "_started_at", "context")

    def __init__(self, span: Any, context: Any, operation: Operation, secrets: Optional[Collection[Secret]]) -> None:
        self.context: Any = context
        self._span: Any = span
        self._operation = operation
        self._secrets = secrets
        self._started_at = monotonic()
        self._has_chunk = False
        self._pid = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, cls: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if cls is not None:
            self.end(error=cls)

    def succeed(self, result: Any) -> None:
        """End the span of an operation that has succeeded; a stream does that itself, with its end."""
        if not self._operation.is_stream:
            self.end(lambda: result)

    def first_chunk(self) -> None:
        """Note that a chunk of the stream has arrived; only the first one counts."""
        span = self._span
        if span is not None and not self._has_chunk:
            self._has_chunk = True
            elapsed = monotonic() - self._started_at
            with _NoError():
                span.set_attribute(names.RESPONSE_TIME_TO_FIRST_CHUNK, elapsed)

    def end(self, result: Optional[Callable[[], Any]] = None, error: Optional[type[BaseException]] = None) -> None:
        """End the span; calling it again does nothing, and a process that was forked leaves it to its parent.

        Args:
            result: Returns the result, or what there is of it.
            error: The class of the error with which the operation failed.
        """
        span, self._span = self._span, None
        if span is None or self._pid != os.getpid():
            return
        with _NoError():
            try:
                if result is not None and span.is_recording():
                    self._describe(span, result())
                if error is not None:
                    from opentelemetry.trace import Status, StatusCode  # it was loaded with the client

                    span.set_attribute(names.ERROR_TYPE, full_name(error))
                    span.set_status(Status(StatusCode.ERROR))
            finally:
                span.end()

    def _describe(self, span: Any, result: Any) -> None:
        span.set_attributes(_clean(self._operation.found(result)))
        if self._secrets is not None:
            span.set_attributes(_clean(self._operation.found_texts(result), self._secrets))


class OperationTracer:
    """Starts the spans of the operations of one server.

    Args:
        base_url: Address of the server.
        captures: Whether spans have the texts of queries, records and messages.
    """

    def __init__(self, base_url: str, *, captures: bool) -> None:
        from opentelemetry import context, trace

        self._provider = trace.get_tracer_provider
        self._no_provider = trace.ProxyTracerProvider
        self._start_span = trace.get_tracer("sekha", __version__).start_span
        self._with_span = trace.set_span_in_context
        self._current_context = context.get_current
        self._kind = trace.SpanKind.CLIENT
        self._captures = captures
        self._of_server: Attributes = {names.PROVIDER_NAME: names.PROVIDER, **server_attributes(base_url)}
        self._store_id = base_url

    def start(self, operation: Operation, call: CallArguments, secrets: Collection[Secret]) -> Optional[OperationSpan]:
        """Return the span of an operation that begins; None if it has none.

        Args:
            operation: What it is.
            call: The arguments of the call.
            secrets: The keys, which stand in no attribute.
        """
        parameters, args, kwargs = call
        with _NoError():
            if isinstance(self._provider(), self._no_provider):  # none is set up yet
                return None
            arguments = {**dict(zip(parameters, args)), **kwargs}
            if not operation.applies(arguments):
                return None
            attributes: Attributes = {
                names.OPERATION_NAME: operation.name,
                **self._of_server,
                **_clean(operation.asked(arguments)),
            }
            if operation.name.endswith("_memory"):
                attributes[names.STORE_ID] = self._store_id
            parent = self._current_context()
            name = span_name(operation, attributes)
            span = self._start_span(name, context=parent, kind=self._kind, attributes=attributes)
            if not span.get_span_context().is_valid:
                return None
            captures = self._captures and span.is_recording()
            started = OperationSpan(span, self._with_span(span, parent), operation, secrets if captures else None)
            if captures:
                with _NoError():  # a span that has started is ended in any case
                    span.set_attributes(_clean(operation.asked_texts(arguments), secrets))
            return started
        return None


def operation_tracer(base_url: str) -> OperationTracer | None:
    """Return what starts spans for operations; None where OpenTelemetry is not installed."""
    with _NoError():
        if has_opentelemetry():
            value = os.environ.get(names.CONTENT_VARIABLE, "")
            captures = captures_content(value)
            if captures is None:
                _log.warning("%s has an unknown value, so spans contain no texts", names.CONTENT_VARIABLE)
            return OperationTracer(base_url, captures=bool(captures))
    return None


class Traceable(Protocol):
    """What has traced methods: a client of a service, or its transport."""

    def _start_operation(self, operation: Operation, arguments: CallArguments) -> OperationSpan | None:
        """Return the span of an operation that begins; None if it has none, or is a part of another one."""

    def _in_operation(self, span: OperationSpan) -> Self:
        """Return a view whose requests belong to an operation."""
        raise NotImplementedError


def async_traced(operation: Operation) -> Callable[[F], F]:
    """Decorate a method, or a function whose first argument is a transport, that is an operation with a span.

    It is called with a view whose requests belong to the span. Operations that it is made of have no span of their own.
    """

    def decorate(function: F) -> F:
        parameters = _parameters(function)

        @wraps(function)
        async def call(owner: Traceable, *args: Any, **kwargs: Any) -> Any:
            span = owner._start_operation(operation, (parameters, args, kwargs))
            if span is None:
                return await function(owner, *args, **kwargs)
            with span:
                result = await function(owner._in_operation(span), *args, **kwargs)
                span.succeed(result)
            return result

        return cast(F, call)

    return decorate


def traced(operation: Operation) -> Callable[[F], F]:
    """Do the same for blocking code."""

    def decorate(function: F) -> F:
        parameters = _parameters(function)

        @wraps(function)
        def call(owner: Traceable, *args: Any, **kwargs: Any) -> Any:
            span = owner._start_operation(operation, (parameters, args, kwargs))
            if span is None:
                return function(owner, *args, **kwargs)
            with span:
                result = function(owner._in_operation(span), *args, **kwargs)
                span.succeed(result)
            return result

        return cast(F, call)

    return decorate


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of the positional parameters after the first one."""
    code = function.__code__
    return code.co_varnames[1 : code.co_argcount]


def _clean(attributes: Attributes, secrets: Collection[Secret] = ()) -> Attributes:
    """Return attributes without keys, and without halves of characters, which exporters cannot send."""
    for name, value in attributes.items():
        if isinstance(value, str):
            text = mask(value, secrets) if secrets else value
            attributes[name] = text if text.isascii() else text.encode("utf-8", "replace").decode()
    return attributes


class _NoError:
    """A block whose errors are warnings; interruptions go through."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, cls: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, Exception):
            warn_listener_failed(Tracing.name, error)
            return True
        return False
