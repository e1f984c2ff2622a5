# Generated from tests/_async/test_deadlines.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""R4: a deadline bounds a whole call, whatever the server does and whatever the call waits for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from sekha import SekhaClient, Stream, SekhaError, SekhaServerError, SekhaTimeoutError
from sekha._concurrency.clock import Clock
from sekha._concurrency.tasks import Call, gather
from sekha._http.http11 import HTTP11
from sekha._http.models import HTTPRequest
from support import facts
from support.clock import FakeClock, give_clock
from support.facts import ID, MESSAGES
from support.nobody import Unreachable
from support.replies import DONE, HANG, after, answer, app_error, chunked, delta, empty, head, raw
from support.server import FakeServer, Reply, Step, eventually

from .conftest import MakeClient

CREATE, QUERY, CHAT = "POST /api/v1/conversations", "POST /api/v1/query", "POST /v1/chat/completions"
MADE, FOUND = answer(facts.CREATED, 201), answer(facts.hits())
DEADLINE, TRIES = 0.15, 10


def drops(drop: bytes) -> tuple[Step, ...]:
    """Two seconds of drops, none of them long after the one before."""
    return tuple(step for _ in range(200) for step in (drop, 0.01))


SLOW: dict[str, Reply] = {
    "never an answer": HANG,
    "a head, drop by drop": raw(b"HTTP/1.1 200 OK\r\nx-drops: ", *drops(b"x")),
    "many heads": raw(*drops(b"HTTP/1.1 103 Early Hints\r\n\r\n")),
    "never a body": raw(head(content_length="99") + b"\r\n", end="hang"),
    "a body, drop by drop": raw(head(content_length="9999") + b"\r\n", *drops(b" ")),
    "chunks, drop by drop": chunked(*drops(b" "), content_type="application/json", end="close"),
    "sizes of chunks, drop by drop": raw(head(transfer_encoding="chunked") + b"\r\n", *drops(b"0")),
    "an error, drop by drop": raw(head(500, content_length="9999") + b"\r\n", *drops(b" ")),
}
SLOW_STREAMS: dict[str, Reply] = {
    **{name: SLOW[name] for name in ("never an answer", "a head, drop by drop", "an error, drop by drop")},
    "never an event": chunked(end="hang"),
    "never another event": chunked(delta("Once "), end="hang"),
    "an event, drop by drop": chunked(delta("Once ") + b"data: ", *drops(b"x"), end="close"),
    "many events": chunked(*drops(delta("x")), end="close"),
    "nothing but keep-alives": chunked(*drops(b": ping\n\n"), end="close"),
    "a plain answer, drop by drop": SLOW["a body, drop by drop"],
}


def was_sent(error: SekhaError) -> bool:
    return error.sent


def timed(make: MakeClient, **options: Any) -> SekhaClient:
    """A client on the real clock with a deadline, and no other limit."""
    client = make(**{"deadline": DEADLINE, "timeout": None, **options})
    give_clock(client, Clock())
    return client


def in_time(
    call: Call[[], Any], has_come_far: Callable[[SekhaError], object] = lambda _: True
) -> SekhaError:
    """The error of a call that ends at most 0.1 s after its deadline.

    The best of some tries counts: the machine may have been busy with something else once, but a deadline that is not
    kept is late every time.

    Args:
        call: The call.
        has_come_far: Whether a call that failed with an error had come as far as it must; default: however far.
    """
    late: list[float] = []
    while True:
        started = Clock().now()
        with pytest.raises(SekhaError) as caught:
            call()
        late.append(Clock().now() - started - DEADLINE)
        if late[-1] <= 0.1 and has_come_far(caught.value):
            return caught.value
        assert len(late) < TRIES, f"too late by {late} s, or not far enough: {caught.value}"


def is_the_deadline(error: SekhaError, cls: type[SekhaError] = SekhaTimeoutError, **expected: Any) -> None:
    """Check that an error says that the time is over; if the status had arrived, it is the error of that status."""
    assert type(error) is cls
    assert {name: getattr(error, name) for name in expected} == expected


def told(how: str) -> type[SekhaError]:
    """The error of a slow answer."""
    return SekhaServerError if how == "an error, drop by drop" else SekhaTimeoutError


@pytest.mark.promise("R4")
@pytest.mark.slow
@pytest.mark.parametrize("how", SLOW)
def test_a_slow_answer_ends_at_the_deadline(how: str, make: MakeClient, server: FakeServer) -> None:
    client = timed(make, max_retries=0)  # the error with its slow body would be repeated in the time that is left
    server.always(QUERY, SLOW[how])
    error = in_time(lambda: client.controller.query("x"), lambda error: error.sent and type(error) is told(how))
    is_the_deadline(error, told(how), sent=True, attempts=1, may_have_been_applied=False)
    eventually(lambda: server.open_connections == 0)


@pytest.mark.promise("R4")
@pytest.mark.parametrize("how", ["never an answer", "a body, drop by drop"])
def test_a_write_that_the_deadline_ends_may_have_been_applied(
    how: str, make: MakeClient, server: FakeServer
) -> None:
    client = timed(make)
    server.always(CREATE, SLOW[how])
    error = in_time(lambda: client.controller.create_conversation(messages=MESSAGES), was_sent)
    is_the_deadline(error, sent=True, attempts=1, may_have_been_applied=True)


@pytest.mark.promise("R4")
@pytest.mark.slow
@pytest.mark.parametrize("how", SLOW_STREAMS)
def test_a_slow_stream_ends_at_the_deadline(how: str, make: MakeClient, bridge: FakeServer) -> None:
    client = timed(make)
    bridge.always(CHAT, SLOW_STREAMS[how])

    def read() -> str:
        stream: Stream = client.bridge.stream_complete(MESSAGES)
        return stream.get_final_text()

    error = in_time(read, lambda error: error.sent and type(error) is told(how))
    is_the_deadline(error, told(how), sent=True, may_have_been_applied=True)
    eventually(lambda: bridge.open_connections == 0)


@pytest.mark.promise("R4")
def test_a_reader_that_is_slow_itself_hears_of_the_deadline(make: MakeClient, bridge: FakeServer) -> None:
    client = timed(make, deadline=0.6)
    bridge.on(CHAT, chunked(delta("Once "), delta("upon "), 1.5, delta("a time."), DONE))
    stream = client.bridge.stream_complete(MESSAGES)
    assert stream.text_stream().__next__() == "Once "
    Clock().sleep(0.6)
    with pytest.raises(SekhaTimeoutError) as caught:
        stream.get_final_text()
    is_the_deadline(caught.value)


@pytest.mark.promise("R4")
def test_a_timeout_may_come_shortly_before_the_deadline_of_a_stream(
    make: MakeClient, bridge: FakeServer, clock: FakeClock
) -> None:
    client = make(deadline=60.0, timeout=None)
    bridge.on(CHAT, chunked(delta("Once "), end="hang"))
    stream = client.bridge.stream_complete(MESSAGES)
    assert stream.text_stream().__next__() == "Once "
    clock.move(59.9995)  # the last half millisecond passes on the socket, but not on this clock
    with pytest.raises(SekhaTimeoutError) as caught:
        stream.get_final_text()
    is_the_deadline(caught.value, sent=True, may_have_been_applied=True)


@pytest.mark.promise("R4")
def test_connecting_ends_at_the_deadline(make: MakeClient) -> None:
    with Unreachable(silent=True) as nobody:
        client = timed(make, controller_url=nobody.url)
        error = in_time(lambda: client.controller.create_conversation(messages=MESSAGES))
        is_the_deadline(error, sent=False, attempts=1, may_have_been_applied=False)
        client.close()


def resolve(monkeypatch: pytest.MonkeyPatch, url: str, *hosts: str) -> str:
    """Give a host with these addresses the port of a server; what its URL is then."""
    port, known = urlsplit(url).port, socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in ("sekha.test", b"sekha.test"):
            return known(host, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (one, port)) for one in hosts]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return f"http://sekha.test:{port}"


@pytest.mark.promise("R4")
def test_connecting_to_one_address_after_another_ends_at_the_deadline(
    make: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Unreachable(silent=True) as nobody:
        url = resolve(monkeypatch, nobody.url, *["127.0.0.1"] * 3)
        error = in_time(lambda: timed(make, controller_url=url).controller.query("x"))
        is_the_deadline(error, sent=False)


@pytest.mark.parametrize("deadline", [None, 10.0])
def test_an_address_that_refuses_is_followed_by_the_next(
    deadline: float | None, make: MakeClient, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on(QUERY, FOUND)
    url = resolve(monkeypatch, server.url, "127.0.0.2", "127.0.0.1")
    timed(make, controller_url=url, deadline=deadline).controller.query("x")
    assert len(server.seen) == 1


@pytest.mark.promise("R4")
def test_waiting_for_a_connection_ends_at_the_deadline(make: MakeClient, server: FakeServer) -> None:
    client, go_on = timed(make, max_connections=1), threading.Event()
    server.on(QUERY, after(go_on, FOUND))

    def hold() -> Any:
        return client.with_options(deadline=None).controller.query("x")

    def wait() -> SekhaError:
        while not server.seen:
            Clock().sleep(0.002)
        try:
            return in_time(lambda: client.controller.create_conversation(messages=MESSAGES))
        finally:
            go_on.set()

    _, error = gather([hold, wait], 2)
    is_the_deadline(error, sent=False, attempts=1, may_have_been_applied=False)
    assert server.lines == [QUERY]


@pytest.mark.promise("R4")
def test_waiting_to_store_ends_at_the_deadline(make: MakeClient, server: FakeServer) -> None:
    client, go_on = timed(make, max_concurrent_writes=1), threading.Event()
    server.always("GET /health", answer(facts.HEALTHY))
    server.on(CREATE, after(go_on, MADE))

    def hold() -> Any:
        return client.with_options(deadline=None).controller.create_conversation(messages=MESSAGES)

    def wait() -> SekhaError:
        while not server.seen:
            Clock().sleep(0.002)
        try:
            return in_time(lambda: client.controller.create_conversation(messages=MESSAGES))
        finally:
            go_on.set()

    made, error = gather([hold, wait], 2)
    assert made["id"] == ID
    is_the_deadline(error, sent=False, attempts=0, may_have_been_applied=False)
    assert (server.lines.count(CREATE), set(server.lines)) == (1, {CREATE, "GET /health"})


@pytest.mark.promise("R4")
def test_waiting_for_the_limiter_ends_at_the_deadline(make: MakeClient, server: FakeServer) -> None:
    client = timed(make, rate_limit_requests=1, rate_limit_window=60.0)
    server.on(QUERY, FOUND)
    client.with_options(deadline=None).controller.query("x")
    error = in_time(lambda: client.controller.create_conversation(messages=MESSAGES))
    is_the_deadline(error, sent=False, attempts=0, may_have_been_applied=False)
    assert server.lines == [QUERY]


@pytest.mark.promise("R4")
def test_a_call_that_gave_up_waiting_for_the_limiter_delays_no_other(
    make: MakeClient, server: FakeServer, clock: FakeClock
) -> None:
    client = make(rate_limit_requests=1, rate_limit_window=60.0, deadline=5.0)
    server.on(QUERY, FOUND)
    client.controller.query("x")
    before = clock.now()
    with pytest.raises(SekhaTimeoutError) as caught:
        client.controller.create_conversation(messages=MESSAGES)
    assert clock.now() - before == pytest.approx(5.0)
    assert (caught.value.sent, caught.value.attempts, caught.value.may_have_been_applied) == (False, 0, False)
    assert len(server.seen) == 1
    clock.move(60.0)
    server.on(QUERY, FOUND)
    client.controller.query("x")


class Hasty(Clock):
    """Never waits between attempts."""

    def chance(self) -> float:
        return 0.0


@pytest.mark.promise("R4")
def test_attempts_end_at_the_deadline(make: MakeClient, server: FakeServer) -> None:
    client = timed(make, max_retries=10**6)
    give_clock(client, Hasty())
    server.always(QUERY, after(0.02, empty(502)))
    error = in_time(lambda: client.controller.query("x"), lambda error: error.attempts > 1)
    assert isinstance(error, (SekhaServerError, SekhaTimeoutError))


@pytest.mark.promise("R4", "S1")
def test_a_deadline_that_passes_before_the_bytes_leave(
    make: MakeClient, server: FakeServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    say = HTTP11.encode_request

    def say_slowly(http: HTTP11, request: HTTPRequest) -> bytes:
        clock.move(70.0)
        return say(http, request)

    monkeypatch.setattr(HTTP11, "encode_request", say_slowly)
    with pytest.raises(SekhaTimeoutError) as caught:  # none of its frames shows the bytes that wait, with the key
        make(deadline=60.0).controller.create_conversation(messages=MESSAGES)
    is_the_deadline(caught.value, sent=False, attempts=1, may_have_been_applied=False)
    assert "deadline of 60 s" in str(caught.value)
    assert not server.seen


@pytest.mark.promise("R4")
def test_no_connection_is_made_after_the_deadline(make: MakeClient, server: FakeServer, clock: FakeClock) -> None:
    client = make(deadline=60.0, on_request=lambda event: clock.move(70.0))
    with pytest.raises(SekhaTimeoutError, match="deadline of 60 s") as caught:
        client.controller.create_conversation(messages=MESSAGES)
    is_the_deadline(caught.value, sent=False, attempts=1, may_have_been_applied=False)
    assert server.connections == 0


@pytest.mark.promise("R4")
def test_a_wait_between_attempts_that_would_end_too_late_is_not_begun(
    make: MakeClient, server: FakeServer
) -> None:
    client = timed(make)
    server.always(QUERY, empty(503, retry_after="50"))
    error = in_time(lambda: client.controller.query("x"), lambda error: isinstance(error, SekhaServerError))
    assert isinstance(error, SekhaServerError)
    assert (error.attempts, error.retry_after) == (1, 50.0)


@pytest.mark.promise("R4")
def test_a_deadline_holds_for_all_attempts_and_the_waits_between_them(
    make: MakeClient, server: FakeServer, clock: FakeClock
) -> None:
    client = make(deadline=4.0, max_retries=9)
    server.on(QUERY, *[after(lambda: clock.move(0.5), app_error("locked", 500))] * 3)
    with pytest.raises(SekhaServerError) as caught:
        client.controller.query("x")
    # 0.5 s each, and waits of 0.5 and 1.0 s: the third wait, of 2.0 s, would end too late.
    assert (caught.value.attempts, clock.waits) == (3, [0.5, 1.0])
    assert caught.value.elapsed == pytest.approx(3.0)


@pytest.mark.promise("R4")
def test_a_call_of_several_requests_has_one_deadline(make: MakeClient, server: FakeServer) -> None:
    client = timed(make)
    server.always(f"GET /api/v1/conversations/{ID}", after(0.1, answer(facts.READ)))
    server.always(f"PUT /api/v1/conversations/{ID}/label", HANG)
    error = in_time(lambda: client.controller.update_folder(ID, folder="/new"))
    is_the_deadline(error)


@pytest.mark.promise("R4")
def test_the_deadline_of_a_view_begins_with_its_call(
    make: MakeClient, server: FakeServer, clock: FakeClock
) -> None:
    view = make().with_options(deadline=5.0)
    server.always(QUERY, FOUND)
    for _ in range(3):
        clock.move(100.0)
        view.controller.query("x")
    assert len(server.seen) == 3


@pytest.mark.promise("R4")
@pytest.mark.slow
def test_a_timeout_is_for_each_phase_of_an_attempt(make: MakeClient, server: FakeServer) -> None:
    client = timed(make, deadline=None)
    server.on(QUERY, after(0.1, FOUND))
    client.controller.query("x")
    server.on(QUERY, after(0.3, FOUND), FOUND)
    with pytest.raises(SekhaTimeoutError, match="waiting for the response"):
        client.with_options(timeout=0.1, max_retries=0).controller.query("x")
    client.controller.query("x")
    body = head(content_length="240") + b"\r\n"
    server.on(QUERY, raw(body, *(step for _ in range(12) for step in (b" " * 20, 0.1)), end="close"))
    with pytest.raises(SekhaError) as caught:  # each piece came in time: it is the answer that is wrong
        client.with_options(timeout=1.0, max_retries=0).controller.query("x")
    assert not isinstance(caught.value, SekhaTimeoutError)
