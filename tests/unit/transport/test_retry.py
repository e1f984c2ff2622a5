"""Whether a failed attempt is repeated, and when: section 4 of the decisions, R1 and R3 as a table."""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import Future, RetryCallState, Retrying

from sekha._api import endpoints
from sekha._api.endpoints import ENDPOINTS
from sekha._api.error_response import error_from_response
from sekha._api.model import Endpoint, RetryIfUnknown, Service
from sekha._api.validation import argument_error
from sekha._concurrency.clock import Clock
from sekha._http.models import Headers, HTTPRequest
from sekha._transport.options import CallOptions
from sekha._transport.retry import MAX_RETRY_AFTER, RetryState, backoff, not_processed, retry_delay
from sekha.errors import (
    SekhaAuthError,
    SekhaClosedError,
    SekhaConfigError,
    SekhaConflictError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaStreamError,
    SekhaTimeoutError,
)
from support.attempts import CASES, FAULTS, MISFITS, SAMPLES, UNKNOWN, UNREACHABLE, documented
from support.calls import BY_NAME, Call
from support.replies import response_of
from unit.vectors import answer, parse

SAFE, UNSAFE, COSTLY = endpoints.QUERY, endpoints.CREATE_CONVERSATION, endpoints.SUMMARIZE


def server_error(status: int, words: str = "down", retry_after: Optional[float] = None) -> SekhaError:
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return error_from_response("POST", "/x", status, headers, words.encode())


REFUSED = SekhaConnectionError("refused", sent=False)
NO_CONNECTION_IN_TIME = SekhaTimeoutError("connecting", sent=False)
TOO_MANY = server_error(429)
COME_BACK = server_error(503, retry_after=1)
NOT_WHOLE, TOO_EARLY = server_error(408), server_error(425)
READ_TIMEOUT = SekhaTimeoutError("reading", sent=True)
CUT = SekhaConnectionError("cut", sent=True)
INTERNAL = server_error(500)
BAD_GATEWAY = server_error(502)
UNAVAILABLE = server_error(503)
GATEWAY_TIMEOUT = server_error(504)

CERTAINLY_NOTHING_HAPPENED = [REFUSED, NO_CONNECTION_IN_TIME, TOO_MANY, COME_BACK, NOT_WHOLE, TOO_EARLY]
OUTCOME_UNKNOWN = [READ_TIMEOUT, CUT, INTERNAL, BAD_GATEWAY, UNAVAILABLE, GATEWAY_TIMEOUT]


def attempts(endpoint: Endpoint[Any], error: SekhaError, max_retries: int, time_left: Optional[float] = None) -> int:
    """How many attempts a call makes if each ends with this error."""
    attempt = 1
    while (
        retry_delay(endpoint, error, attempt=attempt, max_retries=max_retries, time_left=time_left, jitter=1.0)
        is not None
    ):
        attempt += 1
        assert attempt < 100
    return attempt


@pytest.mark.promise("R1", "W9")
@pytest.mark.parametrize("max_retries", [0, 1, 3])
@pytest.mark.parametrize("error", CERTAINLY_NOTHING_HAPPENED, ids=lambda e: f"{type(e).__name__}-{e}")
def test_where_certainly_nothing_happened_every_call_is_repeated(error: SekhaError, max_retries: int) -> None:
    for endpoint in ENDPOINTS:
        assert attempts(endpoint, error, max_retries) == 1 + max_retries, endpoint.name


@pytest.mark.promise("R1")
@pytest.mark.parametrize("max_retries", [0, 1, 3])
@pytest.mark.parametrize("error", OUTCOME_UNKNOWN, ids=lambda e: f"{type(e).__name__}-{e}")
def test_where_the_outcome_is_unknown_the_class_of_the_call_decides(error: SekhaError, max_retries: int) -> None:
    allowed = {
        RetryIfUnknown.YES: 1 + max_retries,
        RetryIfUnknown.ONCE: 1 + min(1, max_retries),
        RetryIfUnknown.NO: 1,
    }
    for endpoint in ENDPOINTS:
        expected = allowed[endpoint.retry_if_unknown]
        if endpoint.service is Service.BRIDGE and error is INTERNAL:
            expected = 1  # it would open the breaker (D56)
        assert attempts(endpoint, error, max_retries) == expected, endpoint.name


NEVER_REPEATED: List[SekhaError] = [
    server_error(400),
    SekhaAuthError("no", status_code=401),
    SekhaPermissionError("no", status_code=403),
    SekhaNotFoundError("no", status_code=404),
    server_error(405),
    SekhaConflictError("no", status_code=409),
    server_error(413),
    server_error(415),
    server_error(422),
    server_error(307),
    argument_error("query", "empty"),
    SekhaDecodeError("odd"),
    SekhaConfigError("no url"),
    SekhaClosedError("closed"),
    SekhaServerError("a tool said no", status_code=200),
    server_error(507),
]


@pytest.mark.promise("R2")
@pytest.mark.parametrize("error", NEVER_REPEATED, ids=lambda e: f"{type(e).__name__}-{e}")
@pytest.mark.parametrize("endpoint", [SAFE, UNSAFE, COSTLY, endpoints.SCORE], ids=lambda e: str(e.name))
def test_what_will_be_the_same_a_moment_later_is_never_repeated(endpoint: Endpoint[Any], error: SekhaError) -> None:
    assert attempts(endpoint, error, 3) == 1


@pytest.mark.promise("R2")
@pytest.mark.parametrize(
    "words",
    ["Embedding error: LLM Bridge error: timeout", "LLM bridge returned 500", "bridge unreachable"],
)
def test_a_costly_call_is_not_repeated_after_a_500_that_speaks_of_the_bridge(words: str) -> None:
    error = server_error(500, words)
    assert attempts(COSTLY, error, 3) == 1
    assert attempts(endpoints.PRUNE_DRY_RUN, error, 3) == 1
    assert attempts(SAFE, error, 3) == 4


@pytest.mark.promise("R2")
@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        (endpoints.PIN_CONVERSATION, "Entity not found: Conversation 1 not found"),  # D15
        (endpoints.ARCHIVE_CONVERSATION, "Entity not found: Conversation 1 not found"),
        (endpoints.SUMMARIZE, "Entity not found: Conversation 1 not found"),
        (endpoints.SUGGEST_LABELS, "Entity not found: Conversation 1 not found"),
        (endpoints.PRUNE_EXECUTE, "Entity not found: Conversation 1 not found"),
        (endpoints.DELETE_CONVERSATION, "Chroma error: Collection not found: messages"),  # D49
        (endpoints.FULL_TEXT_SEARCH, 'Database error: fts5: syntax error near "AND"'),  # D53
    ],
)
def test_the_500s_that_mean_something_else_are_never_repeated(endpoint: Endpoint[Any], words: str) -> None:
    with pytest.raises(SekhaError) as caught:
        parse(endpoint, answer({"error": words, "code": 500}, 500))
    assert attempts(endpoint, caught.value, 3) == 1
    assert not_processed(caught.value), "nothing was changed"


# ---- how long ----------------------------------------------------------------------------------------------------


@pytest.mark.promise("R3")
@given(st.integers(1, 10_000), st.floats(0, 1))
def test_backoff_is_exponential_with_full_jitter_and_a_cap(attempt: int, chance: float) -> None:
    bound = min(8.0, 0.5 * 2.0 ** min(attempt - 1, 100))
    assert backoff(attempt, 0.0) == 0.0
    assert backoff(attempt, 1.0) == bound
    assert 0 <= backoff(attempt, chance) <= bound


def wait(
    error: SekhaError, attempt: int = 1, chance: float = 0.5, time_left: Optional[float] = None
) -> Optional[float]:
    return retry_delay(SAFE, error, attempt=attempt, max_retries=3, time_left=time_left, jitter=chance)


@pytest.mark.promise("R3")
@pytest.mark.parametrize(
    ("asked", "waited"),
    [(0, 0.25), (0.2, 1.0), (1, 1.0), (1.2, 2.0), (59.5, 60.0), (MAX_RETRY_AFTER, 60.0), (60.1, None), (1e9, None)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_rounded_up_or_too_long(status: int, asked: float, waited: Optional[float]) -> None:
    error = server_error(status, retry_after=asked)
    assert wait(error) == waited
    assert isinstance(error, (SekhaRateLimitError, SekhaServerError))
    assert error.retry_after == asked, "the caller can wait longer"


@pytest.mark.promise("R3")
def test_without_retry_after_the_backoff_counts() -> None:
    assert [wait(TOO_MANY, attempt, 1.0) for attempt in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, None]


@pytest.mark.promise("R4")
@pytest.mark.parametrize(("time_left", "waited"), [(None, 0.25), (0.3, 0.25), (0.25, None), (0.0, None), (-1.0, None)])
def test_a_wait_that_would_end_after_the_deadline_is_not_begun(
    time_left: Optional[float], waited: Optional[float]
) -> None:
    assert wait(CUT, time_left=time_left) == waited


# ---- what is told in the end -------------------------------------------------------------------------------------


def http_request() -> HTTPRequest:
    """An attempt that may have been sent."""
    return HTTPRequest("POST", "http://sekha.test", "/x", Headers([]), None, {}, None)


class StillClock(Clock):
    """A clock that is moved by hand."""

    time = 100.0

    def now(self) -> float:
        return self.time

    def chance(self) -> float:
        return 1.0


def state_after(error: Optional[BaseException], number: int) -> RetryCallState:
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = number
    state.outcome = Future(number)
    if error is None:
        state.outcome.set_result("fine")
    else:
        state.outcome.set_exception(error)
    return state


def ended(endpoint: Endpoint[Any], *errors: SekhaError, options: Optional[CallOptions] = None) -> RetryState:
    """Attempts of a call, of which each ended so."""
    attempts = RetryState(endpoint, options or CallOptions(max_retries=10), StillClock())
    for number, error in enumerate(errors, start=1):
        attempts.start_attempt(http_request())
        attempts.plan_retry(state_after(error, number))
    return attempts


# What the network says when there is no answer, by the name of the fault.
NO_ANSWER: Dict[str, SekhaError] = {
    "closed": CUT,
    "reset": CUT,
    "cut": CUT,
    "no answer": READ_TIMEOUT,
    "refused": REFUSED,
    "connect timeout": NO_CONNECTION_IN_TIME,
    "pool timeout": NO_CONNECTION_IN_TIME,
}


def failure(endpoint: Endpoint[Any], fault: str) -> SekhaError:
    """How an attempt fails after a fault."""
    if fault in NO_ANSWER:
        return copy.copy(NO_ANSWER[fault])
    with pytest.raises(SekhaError) as caught:
        parse(endpoint, response_of(FAULTS[fault][0]))
    return caught.value


@pytest.mark.promise("R2")
@pytest.mark.parametrize(
    ("call", "fault"),
    [
        *(pytest.param(call, fault, id=f"{call.name}-{fault}") for call, fault in CASES),
        *(pytest.param(BY_NAME[name], fault, id=f"{name}-{fault}") for name in SAMPLES for fault in UNREACHABLE),
    ],
)
def test_number_of_attempts_after_each_fault(call: Call, fault: str) -> None:
    (endpoint,) = (row for row in ENDPOINTS if (row.service.value, row.name) == (call.service, call.method))
    for max_retries, expected in documented(call, fault).items():
        clock = StillClock()
        attempts = RetryState(endpoint, CallOptions(max_retries=max_retries), clock)
        waits: List[float] = []
        while True:
            attempts.start_attempt(http_request())
            error = failure(endpoint, fault)
            state = state_after(error, len(waits) + 1)
            if not attempts.plan_retry(state):
                break
            waits.append(attempts.delay(state))
            clock.time += waits[-1]
        error = attempts.with_call_details(error)
        assert type(error) is {**UNREACHABLE, **{name: cls for name, (_, cls) in FAULTS.items()}}[fault]
        assert (error.attempts, error.sent) == (expected, fault not in UNREACHABLE)
        assert f"{error.method} {error.path}" == call.wires[0].line
        assert error.may_have_been_applied == (call.writes and fault in {**UNKNOWN, **MISFITS})
        assert ("it may have been applied" in str(error)) == error.may_have_been_applied
        grown = [2.0, 2.0, 2.0] if fault == "503 with Retry-After" else [0.5, 1.0, 2.0]
        assert waits == grown[: expected - 1]
        assert error.elapsed == sum(waits)


@pytest.mark.promise("R1")
@pytest.mark.parametrize(
    ("endpoint", "errors", "may"),
    [
        (UNSAFE, [READ_TIMEOUT], True),
        (UNSAFE, [CUT], True),
        (UNSAFE, [INTERNAL], True),
        (UNSAFE, [UNAVAILABLE], True),
        (UNSAFE, [SekhaDecodeError("odd 2xx")], True),
        (UNSAFE, [REFUSED], False),
        (UNSAFE, [TOO_MANY, REFUSED], False),
        (UNSAFE, [COME_BACK], False),
        (UNSAFE, [server_error(422)], False),
        (endpoints.UPDATE_LABEL, [CUT, REFUSED], True),
        (endpoints.COMPLETE, [CUT], True),
        (endpoints.STREAM_COMPLETE, [CUT], True),
        (endpoints.MEMORY_STORE, [INTERNAL], True),
        (SAFE, [CUT], False),
        (COSTLY, [CUT], False),
    ],
)
def test_a_write_of_unknown_outcome_is_told(endpoint: Endpoint[Any], errors: List[SekhaError], may: bool) -> None:
    told = ended(endpoint, *errors).with_call_details(SekhaError("end"))
    assert told.may_have_been_applied is may


@pytest.mark.promise("R1")
def test_a_write_that_was_under_way_when_the_call_was_ended_may_have_been_applied() -> None:
    attempts = RetryState(UNSAFE, CallOptions(), StillClock())
    assert not attempts.in_flight
    attempts.start_attempt(http_request())
    assert attempts.in_flight
    assert attempts.with_call_details(SekhaTimeoutError("deadline")).may_have_been_applied is True


def test_an_error_is_told_method_path_attempts_and_time() -> None:
    clock = StillClock()
    attempts = RetryState(SAFE, CallOptions(), clock)
    attempts.start_attempt(http_request())
    attempts.plan_retry(state_after(CUT, 1))
    attempts.start_attempt(http_request())
    clock.time += 2.5
    error = attempts.with_call_details(SekhaError("end"))
    assert (error.method, error.path, error.attempts, error.elapsed) == ("POST", "/api/v1/query", 2, 2.5)


def test_a_success_and_an_error_that_is_not_ours_are_followed_by_nothing() -> None:
    attempts = RetryState(SAFE, CallOptions(max_retries=3), StillClock())
    assert attempts.plan_retry(state_after(None, 1)) is False
    assert attempts.plan_retry(state_after(KeyboardInterrupt(), 1)) is False
    assert attempts.plan_retry(state_after(RuntimeError("not ours"), 1)) is False
    assert attempts.plan_retry(state_after(CUT, 1)) is True


def test_the_wait_is_that_of_the_last_verdict() -> None:
    attempts = RetryState(SAFE, CallOptions(max_retries=3), StillClock())
    state = state_after(server_error(503, retry_after=7), 1)
    assert attempts.plan_retry(state)
    assert attempts.delay(state) == 7.0


@pytest.mark.promise("R4")
def test_a_deadline_that_is_near_ends_the_attempts() -> None:
    options = CallOptions(max_retries=3, deadline=1.0).start_deadline(100.0)
    attempts = RetryState(SAFE, options, StillClock())
    assert attempts.plan_retry(state_after(server_error(503, retry_after=2), 1)) is False


@pytest.mark.parametrize(
    ("endpoint", "errors", "succeeded"),
    [
        (endpoints.DELETE_CONVERSATION, [CUT], True),
        (endpoints.DELETE_CONVERSATION, [REFUSED, INTERNAL], True),
        (endpoints.DELETE_CONVERSATION, [], False),
        (endpoints.DELETE_CONVERSATION, [REFUSED, TOO_MANY], False),
        (endpoints.ARCHIVE_CONVERSATION, [CUT], False),
    ],
)
def test_a_repeated_delete_that_finds_nothing_has_succeeded_if_the_first_may_have_arrived(
    endpoint: Endpoint[Any], errors: List[SekhaError], succeeded: bool
) -> None:
    gone = SekhaNotFoundError("gone", status_code=404)
    attempts = ended(endpoint, *errors, gone)
    assert attempts.delete_already_applied(gone) is succeeded
    assert attempts.delete_already_applied(SekhaServerError("down", status_code=500)) is False


def test_a_cut_stream_is_an_unknown_outcome() -> None:
    assert not not_processed(SekhaStreamError("cut"))
    assert not_processed(REFUSED)
