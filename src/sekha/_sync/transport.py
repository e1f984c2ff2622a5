# Generated from src/sekha/_async/transport.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Calls to one server: each waits for limits, makes attempts, and reads the response."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any, TypeVar, cast

from sekha._api.chat_stream import ChatStreamDecoder
from sekha._api.compat.error_overrides import add_hints
from sekha._api.model import Request, Service
from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import Slot, move_on_after
from sekha._http.error_mapping import map_network_errors, name_proxy
from sekha._http.idle_pools import IDLE_POOLS
from sekha._http.models import HTTPResponse, Headers
from sekha._transport.attempt import make_headers, make_http_request
from sekha._transport.listeners import CallContext
from sekha._transport.operations import Operation
from sekha._transport.options import (
    CallOptions,
    WriteMustWait,
    deadline_error,
    deadline_message,
    merge_keys,
    option_overrides,
)
from sekha._transport.preload import preload_retries
from sekha._transport.rate_limit import new_ticket
from sekha._transport.retry import RetryState
from sekha._transport.spans import CallArguments, OperationSpan
from sekha._utils.redaction import Secret, redact
from sekha.config import SekhaConfig
from sekha.config._models import is_set
from sekha.errors import (
    SekhaAPIError,
    SekhaConfigError,
    SekhaError,
    SekhaRateLimitError,
    SekhaTimeoutError,
)
from sekha.events import WaitEvent

from .body import close_quietly, read_error_body, read_whole
from .gates import CustomTurn, SharedTurn
from .server_state import ServerState
from .stream import Stream
from .write_gate import WriteTurn

T = TypeVar("T")


class Transport:
    """Makes the calls to one server.

    Args:
        state: The state that is shared with other views.
        keys: The key for each service that has one.
        options: Timeouts, retries, deadline and headers.
    """

    def __init__(self, state: ServerState, keys: Mapping[Service, Secret], options: CallOptions) -> None:
        if options.max_retries:
            preload_retries()
        self._state = state
        self._keys = dict(keys)
        self._options = options
        self._header_cache: dict[tuple[Service, str, bool], Headers] = {}

    @classmethod
    def from_config(
        cls,
        config: SekhaConfig,
        base_url: str,
        keys: Mapping[Service, Secret],
        clock: Clock | None = None,
        *,
        service: Service = Service.CONTROLLER,
    ) -> Transport:
        """Return a transport with connections of its own."""
        options = CallOptions(
            max_retries=config.max_retries, deadline=config.deadline, headers=dict(config.headers or {})
        )
        if is_set(config, "timeout"):
            options = replace(options, timeout=config.timeout)
        return cls(ServerState(config, base_url, clock or Clock(), service), keys, options)

    @property
    def base_url(self) -> str:
        """Address of the server."""
        return self._state.base_url

    @property
    def clock(self) -> Clock:
        """The clock of this transport and its views."""
        return self._state.clock

    @property
    def deadline(self) -> float | None:
        """Seconds for a whole call; None for no limit."""
        return self._options.deadline

    def key(self, service: Service) -> Secret | None:
        """Return the key for a service, None if there is none."""
        return self._keys.get(service)

    def with_options(self, **options: object) -> Transport:
        """Return a view with other options; the connections, rate limit and write slots are shared.

        Raises:
            SekhaConfigError: An option cannot be used.
        """
        view = copy(self)
        view._options = replace(self._options, **option_overrides(self._options.headers, **options))
        if view._options.max_retries:
            preload_retries()
        view._header_cache = {}
        return view

    def with_keys(self, keys: Mapping[Service, Secret]) -> Transport:
        """Return a view with other keys, which shares the same state."""
        view = copy(self)
        view._keys = merge_keys(self._keys, keys)
        view._header_cache = {}
        return view

    def without_bodies(self) -> Transport:
        """Return a view whose errors omit the response body, which may concern other users."""
        view = copy(self)
        view._options = replace(self._options, shows_bodies=False)
        return view

    def with_wait_listener(self, on_wait: Callable[[WaitEvent], object]) -> Transport:
        """Return a view that reports the waits of its calls, in addition to the user's hook."""
        view = copy(self)
        view._options = replace(self._options, on_wait=on_wait)
        return view

    def report_wait(self, request: Request[Any], seconds: float) -> None:
        """Report that the caller waits, since the server rejected a request for now."""
        call = self._state.instrumentation.start_call(request, self._options, self._state.clock)
        call.wait_for("rate_limit", seconds, "the rate limit of the server")

    def without_waiting_to_write(self) -> Transport:
        """Return a view whose writes raise `WriteMustWait` before anything is sent, if they would have to wait."""
        view = copy(self)
        view._options = replace(self._options, raises_instead_of_waiting=True)
        return view

    def allow_parallel_writes(self) -> None:
        """Allow concurrent writes, whatever other processes do: the server reports that it supports them."""
        self._state.write_gate.allow_parallel()

    def question(self) -> Slot:
        """Return the slot for the request of the server's features, so that concurrent callers make only one."""
        return self._state.questions.slot()

    def time_left(self) -> float | None:
        """Return the seconds until the deadline of this view, None for no limit."""
        return self._options.time_left(self._state.clock.now())

    def start_deadline(self) -> Transport:
        """Return a view whose requests share one deadline, which starts now."""
        options = self._options.start_deadline(self._state.clock.now())
        if options is self._options:
            return self
        view = copy(self)
        view._options = options
        return view

    def _start_operation(self, operation: Operation, arguments: CallArguments) -> OperationSpan | None:
        """Return the span of an operation that starts; None if it has none, or is part of another operation."""
        tracer = self._state.instrumentation.tracer
        if tracer is None or self._options.operation is not None:
            return None
        return tracer.start(operation, arguments, self._keys.values())

    def _in_operation(self, span: OperationSpan) -> Transport:
        """Return a view whose requests belong to an operation."""
        view = copy(self)
        view._options = replace(self._options, operation=span)
        return view

    def use_clock(self, clock: Clock) -> None:
        """Use another clock from now on, together with all views."""
        self._state.clock = clock

    def __str__(self) -> str:
        return f"{self._state.base_url}{' (closed)' if self._state.closed else ''}"

    def require_configured(self) -> None:
        """Raise a `SekhaConfigError` if there is no server to send to."""

    def close(self) -> None:
        """Close the connections."""
        self._state.close()

    def send(self, request: Request[T]) -> T:
        """Make a call, with as many attempts as its endpoint allows, and return its result.

        Raises:
            SekhaError: The call failed; ``may_have_been_applied`` is True if its outcome is unknown.
        """
        return cast(T, self._call(request, stream=False))

    def open_stream(self, request: Request[Any]) -> Stream:
        """Make a call, and return a stream when the response headers have arrived; nothing is retried after that.

        Raises:
            SekhaError: The stream did not start.
        """
        return cast(Stream, self._call(request, stream=True))

    def _call(self, request: Request[Any], *, stream: bool) -> Any:
        """Make attempts until one succeeds or no retry is allowed."""
        state, clock, outer_exception = self._state, self._state.clock, sys.exc_info()[1]
        now = clock.now()
        options = self._options.start_deadline(now)
        IDLE_POOLS.close_expired(now)
        retries = RetryState(request.endpoint, options, clock)
        call = state.instrumentation.start_call(request, options, clock)
        try:
            state.http_transport()  # a closed client raises an error before anything waits
            with move_on_after(options.time_left(clock.now())):
                try:  # the first attempt does not need tenacity
                    return self._attempt(call, retries, stream=stream)
                except SekhaError as error:
                    if not retries.may_retry:
                        retries.note_failure(error)
                        raise
                    failures = [error]
                return self._retry(failures, call, retries, stream=stream)
            raise deadline_error(options, sent=retries.in_flight, asked=retries.was_asked)
        except SekhaError as error:
            if retries.delete_already_applied(error):
                return None
            if isinstance(error, SekhaRateLimitError) and state.shared_limiter is not None:
                state.shared_limiter.drain(error.retry_after)
            cause = error.__cause__
            raise self._finalize_error(error, retries, options, outer_exception) from cause

    def _retry(self, failures: list[SekhaError], call: CallContext, retries: RetryState, *, stream: bool) -> Any:
        """Retry a failed attempt as long as retries are allowed."""

        def attempt() -> Any:
            if failures:
                raise failures.pop()  # no frame keeps it, since it may show a key
            return self._attempt(call, retries, stream=stream)

        from tenacity import Retrying  # imported in advance by `preload_retries`

        retrying = Retrying(
            sleep=self._state.clock.sleep,
            retry=retries.plan_retry,
            wait=retries.delay,
            before_sleep=lambda state: call.retry_in(retries.delay(state)),
            reraise=True,
        )
        return retrying(attempt)

    def _attempt(self, call: CallContext, retries: RetryState, *, stream: bool) -> Any:
        """Make one attempt, after acquiring a write slot and a token of the rate limit.

        Both are released twice, since the first release may be interrupted.
        """
        options, clock = call.call_options, self._state.clock
        limiter = self._state.shared_limiter
        passage = limiter.turn() if limiter is not None else None
        turn = self._state.write_gate.turn() if call.request.endpoint.uses_write_slot else None
        try:
            try:
                if turn is not None and not turn.try_enter():
                    if options.raises_instead_of_waiting and not retries.has_begun:
                        raise WriteMustWait
                    call.wait_for("write_slot", what="a write slot")
                    if not turn.enter(options, clock):
                        raise deadline_error(options, sent=False, asked=False)
                self._take_token(call)
                if passage is not None:
                    self._pass_limiter(call, passage)
                with call:
                    result = self._exchange(call, retries, stream=stream)
                if turn is not None:
                    turn.has_succeeded = True
                return result
            finally:
                _leave(passage, turn)
        except BaseException:
            _leave(passage, turn)
            if (response := retries.response) is not None:
                close_quietly(response)
            raise

    def _take_token(self, call: CallContext) -> None:
        """Wait until the rate limit allows a request."""
        options, clock, bucket = call.call_options, self._state.clock, self._state.rate_limiter.get()
        if call.request.endpoint.sent_at_once:
            bucket.take_now(clock.now())
            return
        if bucket.try_take(clock.now()):
            return
        ticket = new_ticket()
        try:
            try:
                bucket.join(ticket)
                if (seconds := bucket.time_until(ticket, clock.now())) > 0:
                    call.wait_for("rate_limit", seconds, f"the rate limit ({self._state.rate_limit})")
                while (wait := bucket.claim(ticket, clock.now())) > 0:
                    left = options.time_left(clock.now())
                    if left is not None and left <= 0:
                        raise deadline_error(options, sent=False, asked=False)
                    clock.sleep(wait if left is None else min(wait, left))
            finally:
                bucket.leave(ticket)
        except BaseException:
            bucket.leave(ticket)
            raise

    def _pass_limiter(self, call: CallContext, passage: SharedTurn | CustomTurn) -> None:
        """Wait until the shared rate limit allows a request."""
        options = call.call_options
        if call.request.endpoint.sent_at_once:
            passage.enter_now()
        elif not passage.try_enter():
            call.wait_for("rate_limit", passage.seconds, "the shared rate limit")
            if not passage.enter(options, self._state.clock):
                raise deadline_error(options, sent=False, asked=False)

    def _exchange(self, call: CallContext, retries: RetryState, *, stream: bool) -> Any:
        """Send one HTTP request; return its result, or a stream when the response headers have arrived."""
        endpoint, options, state = call.request.endpoint, call.options, self._state
        accept = "text/event-stream, application/json" if stream else "application/json"
        time_left = options.time_left(state.clock.now())
        http_request = make_http_request(
            call.request, state.base_url, options, self._headers(call, accept), time_left=time_left
        )
        http_request.on_wait = call.wait_for_connection
        retries.start_attempt(http_request)
        with map_network_errors(http_request, endpoint.path):
            transport = state.http_transport(sent_at_once=endpoint.sent_at_once)
            http_response = transport.send(http_request)
            call.status = http_response.status
            succeeded = 200 <= http_response.status < 300
            if stream and succeeded:
                return self._make_stream(http_response, call, http_request.timeout["read"])
            read = read_whole if succeeded else read_error_body
            response = read(http_response, state.max_response_bytes, options, state.clock)
        return endpoint.parser.parse(response, endpoint)

    def _make_stream(
        self, http_response: HTTPResponse, call: CallContext, read_timeout: float | None
    ) -> Stream:
        endpoint, state = call.request.endpoint, self._state
        decoder = ChatStreamDecoder(
            events="event-stream" in http_response.headers.get("content-type", "").lower(),
            limit=state.max_response_bytes,
            method=endpoint.method,
            path=endpoint.path,
        )
        secrets = self._keys.values()
        return Stream(http_response, decoder, call.options, state.clock, secrets, read_timeout, state.proxy)

    def _headers(self, call: CallContext, accept: str) -> Headers:
        """Return the headers of an attempt, cached for all that have the same."""
        service, has_body = call.request.endpoint.service, call.request.content is not None
        is_cached = call.options.headers is self._options.headers  # tracing adds its own headers
        headers = self._header_cache.get((service, accept, has_body)) if is_cached else None
        if headers is None:
            headers = make_headers(
                self._state.base_url,
                call.options.headers,
                self._keys.get(service),
                accept=accept,
                has_body=has_body,
            )
            if is_cached:
                self._header_cache[service, accept, has_body] = headers
        return headers

    def _finalize_error(
        self, error: SekhaError, retries: RetryState, options: CallOptions, outer_exception: BaseException | None
    ) -> SekhaError:
        """Return the error for the caller: with the details of the call, and without keys."""
        state, service = self._state, retries.endpoint.service
        left = options.time_left(state.clock.now())
        if isinstance(error, SekhaTimeoutError) and (error._at_deadline or (left is not None and left <= 0)):
            error.message = deadline_message(options)
        name_proxy(error, state.proxy)
        if isinstance(error, SekhaAPIError):
            key = self._keys.get(service)
            add_hints(error, service, key_name=key.name if key else "none")
        if isinstance(error, SekhaRateLimitError):
            state.rate_limiter.get().drain(state.clock.now(), error.retry_after)
        return redact(retries.with_call_details(error), self._keys.values(), outer_exception)


def _leave(passage: SharedTurn | CustomTurn | None, turn: WriteTurn | None) -> None:
    """Release the slots and tokens of an attempt."""
    if turn is not None:
        turn.leave()
    if passage is not None:
        passage.leave()


class UnconfiguredTransport(Transport):
    """Transport of a service without an address: every call raises an error that names the missing setting.

    Args:
        problem: The missing setting.
    """

    def __init__(self, problem: str) -> None:
        self._problem = problem
        self._keys = {}

    def __str__(self) -> str:
        return "not configured"

    def require_configured(self) -> None:
        """Raise the error."""
        raise SekhaConfigError(self._problem)

    def with_options(self, **options: object) -> Transport:
        """Return the same transport; the options are validated but have no effect."""
        option_overrides({}, **options)
        return self

    def with_keys(self, keys: Mapping[Service, Secret]) -> Transport:
        """Return the same transport."""
        return self

    def start_deadline(self) -> Transport:
        """Return the same transport."""
        return self

    def _start_operation(self, operation: Operation, arguments: CallArguments) -> OperationSpan | None:
        """Return None: nothing is sent."""

    def use_clock(self, clock: Clock) -> None:
        """Do nothing: no call waits."""

    def close(self) -> None:
        """Do nothing: there are no connections."""

    def send(self, request: Request[T]) -> T:
        """Raise the error."""
        raise SekhaConfigError(self._problem)

    def open_stream(self, request: Request[Any]) -> Stream:
        """Raise the error."""
        raise SekhaConfigError(self._problem)
