"""Which listeners the calls of a client have."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from sekha._api.model import Request
from sekha._concurrency.clock import Clock
from sekha._transport.listeners import (
    CallContext,
    CallListener,
    DebugLog,
    RequestHook,
    ResponseHook,
    RetryHook,
    WaitHook,
    log,
)
from sekha._transport.options import CallOptions
from sekha._transport.spans import OperationTracer, operation_tracer
from sekha._transport.tracing import tracing_listeners
from sekha.config import SekhaConfig


class Instrumentation:
    """The listeners for the calls to one server.

    Args:
        config: The hooks, and whether there is tracing.
        base_url: Address of the server.

    Attributes:
        tracer: Starts the spans of operations; None without tracing.
    """

    def __init__(self, config: SekhaConfig, base_url: str) -> None:
        self._server = urlsplit(base_url).netloc
        listeners: list[CallListener] = []
        if config.on_request is not None:
            listeners.append(RequestHook(config.on_request))
        if config.on_response is not None:
            listeners.append(ResponseHook(config.on_response))
        if config.on_retry is not None:
            listeners.append(RetryHook(config.on_retry))
        if config.on_wait is not None:
            listeners.append(WaitHook(config.on_wait))
        self.tracer: OperationTracer | None = None
        if config.tracing:
            listeners += tracing_listeners(base_url)
            self.tracer = operation_tracer(base_url) if listeners else None
        self._listeners = tuple(listeners)
        self._listeners_and_log = (DebugLog(), *listeners)

    def start_call(self, request: Request[Any], options: CallOptions, clock: Clock) -> CallContext:
        """Return the context of a call that starts."""
        listeners = self._listeners_and_log if log.isEnabledFor(logging.DEBUG) else self._listeners
        return CallContext(request, options, clock, self._server, listeners)
