# Generated from src/sekha/_async/transport.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Sends requests to one server: waits its turn, makes the attempts, reads the answer."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any, TypeVar, cast

from tenacity import Retrying

from sekha._api import compat as dialect
from sekha._api.chat_stream import ChunkReader
from sekha._api.model import CallOptions, Departure, Request, Service
from sekha._api.response import Answer
from sekha._concurrency.clock import Clock
from sekha._concurrency.primitives import PerProcess, Semaphore, move_on_after
from sekha._concurrency.tasks import Call
from sekha._http.models import (
    HTTPAnswer,
    HTTPTransport,
    Headers,
    TranslatedErrors,
    http_headers,
    http_request,
    needs_httpx,
)
from sekha._http.tls import read_certificates, tls_for
from sekha._transport.listeners import Watch, Watched
from sekha._transport.options import merged_keys
from sekha._transport.preload import warm_up
from sekha._transport.rate_limit import ProcessBucket, bucket_per_process
from sekha._transport.retry import Attempts
from sekha._utils.redaction import Secret, redact
from sekha.config import SekhaConfig, http_settings, was_given
from sekha.errors import (
    SekhaAPIError,
    SekhaClosedError,
    SekhaConfigError,
    SekhaDecodeError,
    SekhaError,
    SekhaRateLimitError,
    SekhaTimeoutError,
)

from .http.pool import Pool
from .stream import Stream, end, pieces_of

T = TypeVar("T")

_MOMENT = 0.001
"""Seconds by which a timeout may come before the deadline that it stands for."""


class Connections:
    """What all clients and views of one server share: connections, limiter, write cap, and what was learnt of it.

    Args:
        config: The settings.
        base_url: Address of the server.
        clock: Time and waiting.
    """

    def __init__(self, config: SekhaConfig, base_url: str, clock: Clock) -> None:
        settings = http_settings(config)
        read_certificates(settings, base_url)
        self._by_httpx: bool = needs_httpx(settings)
        if self._by_httpx:
            from sekha._httpx import check_client  # most clients do without it

            check_client(settings.http_client)
        warm_up()
        self.base_url = base_url
        self.clock = clock
        self.watch: Watch = Watch(config, base_url)
        self.bucket: ProcessBucket = bucket_per_process(config.rate_limit_requests, config.rate_limit_window)
        self.writes: Semaphore = Semaphore(config.max_concurrent_writes)
        self.limit: int = config.max_response_bytes
        self.closed: bool = False
        self.takes_text_only: bool = False
        self.refused: set[Secret] = set()
        self._settings = settings
        self._open = PerProcess(self._make)

    def _make(self) -> HTTPTransport:
        if self._by_httpx:
            from sekha._httpx import make_transport

            return make_transport(self._settings, self.base_url)
        tls = tls_for(self._settings, self.base_url)
        return Pool(self.base_url, tls, self._settings.max_connections, self.clock)

    def get(self) -> HTTPTransport:
        """What to send with.

        Raises:
            SekhaClosedError: It was closed.
        """
        if self.closed:
            raise SekhaClosedError("the client is closed; make a new one")
        return self._open.get()

    def close(self) -> None:
        """Close the connections; a client that was lent to us stays open."""
        self.closed = True
        transport = self._open.pop()
        if transport is not None:
            transport.close()


class Transport:
    """Makes the calls to one server.

    Args:
        connections: What is shared with other views.
        keys: The key for each service; None where none is sent.
        options: Timeouts, retries, deadline and headers.
    """

    def __init__(self, connections: Connections, keys: Mapping[Service, Secret], options: CallOptions) -> None:
        self.connections = connections
        self._keys = dict(keys)
        self._options = options
        self._made_headers: dict[tuple[Service, str, bool], Headers] = {}

    @classmethod
    def from_config(
        cls, config: SekhaConfig, base_url: str, keys: Mapping[Service, Secret], clock: Clock | None = None
    ) -> Transport:
        """A transport with connections of its own."""
        options = CallOptions(
            max_retries=config.max_retries, deadline=config.deadline, headers=dict(config.headers or {})
        )
        if was_given(config, "timeout"):
            options = replace(options, timeout=config.timeout)
        return cls(Connections(config, base_url, clock or Clock()), keys, options)

    def view(self, options: Mapping[str, Any], keys: Mapping[Service, Secret]) -> Transport:
        """The same transport with other options and keys; connections, limiter and write cap are shared."""
        other = copy(self)
        other._options = replace(self._options, **options)
        other._keys = merged_keys(self._keys, keys)
        other._made_headers = {}
        return other

    def begun(self) -> Transport:
        """A view for a call of several requests, which share one deadline that runs from now."""
        options = self._options.begun(self.connections.clock.now())
        return self if options is self._options else self.view({"expires": options.expires}, {})

    def use_clock(self, clock: Clock) -> None:
        """Read another clock from now on, together with all views."""
        self.connections.clock = clock

    def __str__(self) -> str:
        return f"{self.connections.base_url}{' (closed)' if self.connections.closed else ''}"

    def require(self) -> None:
        """Make sure that there is something to send to."""

    @property
    def mcp_key_is_refused(self) -> bool:
        """Whether the MCP tools have refused the key before."""
        return self._keys.get(Service.MCP) in self.connections.refused

    def remember_refused_mcp_key(self) -> None:
        """The MCP tools have refused the key: do not try it again."""
        key = self._keys.get(Service.MCP)
        if key is not None:
            self.connections.refused.add(key)

    @property
    def headers(self) -> Mapping[str, str]:
        """Further headers of every request."""
        return self._options.headers

    def close(self) -> None:
        """Close the connections."""
        self.connections.close()

    def send(self, request: Request[T]) -> T:
        """The result of a call, after as many attempts as its endpoint allows.

        Raises:
            SekhaError: It failed; the error says whether it may have been applied.
        """

        def exchange(call: Watched, departure: Departure) -> T:
            return request.endpoint.read(self._exchange(call, departure))

        return self._attempt(request, exchange)

    def open_stream(self, request: Request[Any]) -> Stream:
        """A stream of chunks, once its head has arrived; nothing is repeated after that.

        Raises:
            SekhaError: The stream did not begin.
        """
        return self._attempt(request, self._open)

    def _attempt(self, request: Request[Any], exchange: Call[[Watched, Departure], T]) -> T:
        """The one loop of attempts."""
        endpoint, clock, handled = request.endpoint, self.connections.clock, sys.exc_info()[1]
        options = self._options.begun(clock.now())
        attempts = Attempts(endpoint, options, clock)
        call = self.connections.watch.call(request, options, clock)

        def one() -> T:
            if not endpoint.stores:
                return in_turn()
            if not self.connections.writes.acquire(options.time_left(clock.now())):
                raise self._too_late(options, sent=False)
            try:
                return in_turn()
            finally:
                self.connections.writes.release()

        def in_turn() -> T:
            self._take_token(options)
            departure = attempts.begin()
            with call:
                return exchange(call, departure)

        try:
            self.connections.get()  # a closed client refuses before anything waits
            with move_on_after(options.time_left(clock.now())):
                try:
                    return one()
                except SekhaError as error:
                    failures = [error]
                return self._repeat(one, failures, attempts, call)
            raise self._too_late(options, sent=attempts.in_flight)
        except SekhaError as error:
            if attempts.has_succeeded_all_the_same(error):
                return cast(T, None)
            cause, left = error.__cause__, options.time_left(clock.now())
            if isinstance(error, SekhaTimeoutError) and left is not None and left <= _MOMENT:
                error.message = _passed(options)  # and stays the same error: `hidden` has to see all that led to it
            raise self._told(error, attempts, handled) from cause

    def _repeat(self, one: Call[[], T], failures: list[SekhaError], attempts: Attempts, call: Watched) -> T:
        """Further attempts after a failed one, if there may be any: the first is made without tenacity's help."""

        def attempt() -> T:
            if failures:
                raise failures.pop()  # and kept by no frame: it may show a key
            return one()

        retrying = Retrying(
            sleep=self.connections.clock.sleep,
            retry=attempts.again,
            wait=attempts.wait,
            before_sleep=lambda state: call.repeated(attempts.wait(state)),
            reraise=True,
        )
        return retrying(attempt)

    def _take_token(self, options: CallOptions) -> None:
        """Wait until the limiter lets a request through."""
        clock, bucket = self.connections.clock, self.connections.bucket.get()
        if bucket.try_take(clock.now()):
            return
        ticket = bucket.join()
        try:
            while (wait := bucket.claim(ticket, clock.now())) > 0:
                left = options.time_left(clock.now())
                if left is not None and left <= 0:
                    raise self._too_late(options, sent=False)
                clock.sleep(wait if left is None else min(wait, left))
        finally:
            bucket.leave(ticket)

    def _exchange(self, call: Watched, departure: Departure) -> Answer:
        """One attempt on the wire: the whole answer."""
        with TranslatedErrors(call.request.endpoint, self.connections.base_url):
            return self._read(self._send(call, departure, "application/json"), call.options)

    def _open(self, call: Watched, departure: Departure) -> Stream:
        """One attempt on the wire: the head of a stream, or the error that came instead."""
        endpoint, options, connections = call.request.endpoint, call.options, self.connections
        with TranslatedErrors(endpoint, connections.base_url):
            answer = self._send(call, departure, "text/event-stream, application/json")
            if not 200 <= answer.status < 300:
                endpoint.read(self._read(answer, options))
        reader = ChunkReader(
            events="event-stream" in answer.headers.get("content-type", ""),
            limit=connections.limit,
            method=endpoint.method,
            path=endpoint.path,
        )
        return Stream(answer, reader, options, connections.clock, self._keys.values())

    def _send(self, call: Watched, departure: Departure, accept: str) -> HTTPAnswer:
        options, connections = call.options, self.connections
        attempt = http_request(
            call.request,
            connections.base_url,
            options,
            self._headers(call, accept),
            time_left=options.time_left(connections.clock.now()),
            departure=departure,
        )
        answer = connections.get().send(attempt)
        call.status = answer.status
        return answer

    def _headers(self, call: Watched, accept: str) -> Headers:
        """The headers of an attempt, made once for all that are alike."""
        service, has_body = call.request.endpoint.service, call.request.content is not None
        are_alike = call.options.headers is self._options.headers  # a span has its own
        made = self._made_headers.get((service, accept, has_body)) if are_alike else None
        if made is None:
            made = http_headers(
                self.connections.base_url,
                call.options.headers,
                self._keys.get(service),
                accept=accept,
                has_body=has_body,
            )
            if are_alike:
                self._made_headers[service, accept, has_body] = made
        return made

    def _read(self, answer: HTTPAnswer, options: CallOptions) -> Answer:
        """The whole answer, bounded in length and time; the connection is free afterwards."""
        limit, clock = self.connections.limit, self.connections.clock
        body = bytearray()
        try:
            for piece in pieces_of(answer):
                body += piece
                if len(body) > limit:
                    raise SekhaDecodeError(
                        f"the answer is longer than max_response_bytes={limit}", status_code=answer.status
                    )
                left = options.time_left(clock.now())
                if left is not None and left <= 0:
                    raise self._too_late(options, sent=True)
        finally:
            end(answer)
        return Answer(answer.status, answer.headers, bytes(body))

    def _too_late(self, options: CallOptions, *, sent: bool) -> SekhaTimeoutError:
        error = SekhaTimeoutError(_passed(options), sent=sent)
        error._retryable = False
        return error

    def _told(self, error: SekhaError, attempts: Attempts, handled: BaseException | None) -> SekhaError:
        """The error as the caller sees it: with all that is known, and without a key."""
        endpoint, connections = attempts.endpoint, self.connections
        if isinstance(error, SekhaAPIError):
            key = self._keys.get(endpoint.service)
            dialect.explain(error, endpoint.service, key_name=key.name if key else "none")
        if isinstance(error, SekhaRateLimitError):
            connections.bucket.get().drain(connections.clock.now(), error.retry_after)
        return redact(attempts.told(error), self._keys.values(), handled)


def _passed(options: CallOptions) -> str:
    return f"the deadline of {options.deadline or 0:g} s passed"


class NoTransport(Transport):
    """Stands where a service has no address: every call says what to set.

    Args:
        problem: What is missing.
    """

    def __init__(self, problem: str) -> None:
        self._problem = problem
        self._options = CallOptions()

    def __str__(self) -> str:
        return "not configured"

    def require(self) -> None:
        """Refuse."""
        raise SekhaConfigError(self._problem)

    def view(self, options: Mapping[str, Any], keys: Mapping[Service, Secret]) -> Transport:
        """The same: options do not help."""
        return self

    def use_clock(self, clock: Clock) -> None:
        """Nothing waits here."""

    def begun(self) -> Transport:
        """The same: there is nothing to begin."""
        return self

    def close(self) -> None:
        """Nothing is open."""

    def send(self, request: Request[T]) -> T:
        """Refuse."""
        raise SekhaConfigError(self._problem)

    def open_stream(self, request: Request[Any]) -> Stream:
        """Refuse."""
        raise SekhaConfigError(self._problem)
