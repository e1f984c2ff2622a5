# Generated from tests/_async/test_network_faults.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Whatever fails below comes out as one of our errors, at every stage of a call; interruptions come out as they are."""

from __future__ import annotations

import json
import threading
from typing import Any, cast

import httpx
import pytest

from sekha import SekhaClient, SekhaConnectionError, SekhaError, SekhaStreamError, SekhaTimeoutError
from sekha._concurrency.tasks import Call, gather
from support import facts
from support.clock import FakeClock, give_clock
from support.facts import MESSAGES
from support.faults import INTERRUPTIONS, LIBRARIES, STAGES, breaking, listening, made, network_errors, reset
from support.replies import DONE, DROP, HANG, RESET, chunked, cut, delta, head, in_chunks, raw
from support.server import FakeServer, Reply

from .conftest import MakeClient

QUERY, CHAT = "POST /api/v1/query", "POST /v1/chat/completions"
FOUND = json.dumps(facts.hits()).encode()
PIECES = {
    "application/json": (FOUND[:10], FOUND[10:]),
    "text/event-stream": (delta("Once "), delta("upon ", "stop") + DONE),
}


def client_of(lent: httpx.Client, clock: FakeClock) -> SekhaClient:
    """A client that sends with a client of httpx."""
    client = SekhaClient(
        controller_url="http://x.test", bridge_url="http://y.test", api_key="k", max_retries=0, http_client=lent
    )
    give_clock(client, clock)
    return client


def is_from_below(error: BaseException | None) -> bool:
    """Whether this is an error of the libraries below, or of the system."""
    return isinstance(error, tuple(cls for library in LIBRARIES for cls in network_errors(library)))


# Errors of every class, at every stage


def ours(found: object, error: BaseException) -> bool:
    """Whether this is our error for one from below."""
    timeout = "Timeout" in type(error).__name__ and not isinstance(error, OSError)
    if isinstance(found, SekhaTimeoutError) and "stalled" in str(found):  # what our own pool raises is a TimeoutError
        timeout = timeout or type(error) is TimeoutError
    return (
        isinstance(found, SekhaConnectionError)
        and found.__cause__ is error
        and (isinstance(found, SekhaTimeoutError) == timeout or isinstance(found, SekhaStreamError))
    )


@pytest.mark.promise("C4")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_error_from_below_becomes_ours(library: str, stage: str, clock: FakeClock) -> None:
    wrong: list[Any] = []
    for cls in network_errors(library):
        error = made(cls)
        found: object = None
        transport = breaking(error, stage, PIECES["application/json"], "application/json")
        with httpx.Client(transport=cast(Any, transport)) as lent:
            try:
                found = (client_of(lent, clock).controller.query("x"))["results"]
            except Exception as caught:
                found = caught
        if not (ours(found, error) or (stage == "close" and found == [])):  # the answer was there
            wrong.append((cls, found))
    assert wrong == []


@pytest.mark.promise("C4")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_error_in_a_stream_becomes_ours(library: str, stage: str, clock: FakeClock) -> None:
    wrong: list[Any] = []
    for cls in network_errors(library):
        error = made(cls)
        found: object = None
        transport = breaking(error, stage, PIECES["text/event-stream"], "text/event-stream")
        with httpx.Client(transport=cast(Any, transport)) as lent:
            client = client_of(lent, clock)
            try:
                with client.bridge.stream_complete(MESSAGES) as stream:
                    found = stream.get_final_text()
            except Exception as caught:
                found = caught
        expected = {"first byte": "", "middle": "Once "}.get(stage)
        good = found == "Once upon " if stage == "close" else ours(found, error)
        if not good or (expected is not None and getattr(found, "text", None) != expected):
            wrong.append((cls, found))
    assert wrong == []


# Interruptions


@pytest.mark.promise("C4")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("cls", INTERRUPTIONS)
def test_an_interruption_is_never_wrapped(cls: type[BaseException], stage: str, clock: FakeClock) -> None:
    error = cls("stop")
    transport = breaking(error, stage, PIECES["application/json"], "application/json")
    with httpx.Client(transport=cast(Any, transport)) as lent:
        for view in (client_of(lent, clock), client_of(lent, clock).with_options(max_retries=3, deadline=60)):
            with pytest.raises(cls) as caught:
                view.controller.query("x")
            assert caught.value is error
    assert clock.waits == []


@pytest.mark.promise("C4")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("cls", INTERRUPTIONS)
def test_an_interruption_in_a_stream_is_never_wrapped(
    cls: type[BaseException], stage: str, clock: FakeClock
) -> None:
    error = cls("stop")
    transport = breaking(error, stage, PIECES["text/event-stream"], "text/event-stream")
    with httpx.Client(transport=cast(Any, transport)) as lent:
        client = client_of(lent, clock)
        said: list[str] = []

        def read() -> None:
            with client.bridge.stream_complete(MESSAGES) as stream:
                for text in stream.text_stream():
                    said.append(text)

        with pytest.raises(cls) as caught:
            read()
        assert caught.value is error
        assert said == {"middle": ["Once "], "close": ["Once ", "upon "]}.get(stage, [])


# Faults on the wire

TWICE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n"
WIRE: dict[str, Reply] = {
    "closed instead of an answer": DROP,
    "reset instead of an answer": RESET,
    "no answer": HANG,
    "garbage": raw(b"\x00\x01 what?\r\n\r\n", end="close"),
    "another protocol": raw(b"SSH-2.0-OpenSSH_9.9\r\n", end="close"),
    "half a head": raw(b"HTTP/1.1 200 OK\r\ncontent-le", end="close"),
    "half a head, reset": raw(b"HTTP/1.1 200 OK\r\ncontent-le", end="reset"),
    "half a head, silence": raw(b"HTTP/1.1 200 OK\r\ncontent-le", end="hang"),
    "two lengths": raw(TWICE + b"{}", end="close"),
    "half a body": cut(),
    "half a body, reset": raw(*cut().steps, end="reset"),
    "half a body, silence": raw(*cut().steps, end="hang"),
    "half a chunk": raw(head(transfer_encoding="chunked") + b"\r\n10\r\n{", end="close"),
    "no chunk": raw(head(transfer_encoding="chunked") + b"\r\nno chunk\r\n", end="close"),
}
SILENT = ("no answer", "half a head, silence", "half a body, silence")


@pytest.mark.promise("C4")
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] if kind in SILENT else []) for kind in WIRE]
)
def test_every_fault_on_the_wire_becomes_ours(
    kind: str, make: MakeClient, server: FakeServer, bridge: FakeServer
) -> None:
    silent = kind in SILENT
    client = make(max_retries=0, timeout=0.3 if silent else 30.0)
    server.on(QUERY, WIRE[kind])
    bridge.on(CHAT, *[WIRE[kind]] * 2)

    def stream() -> str:
        return (client.bridge.stream_complete(MESSAGES)).get_final_text()

    def fails(call: Call[[], Any]) -> None:
        with pytest.raises(SekhaConnectionError) as caught:
            call()
        assert caught.value.sent is True
        assert is_from_below(caught.value.__cause__)
        if silent:
            assert "imeout" in type(caught.value).__name__ + type(caught.value.__cause__).__name__

    calls: list[Call[[], Any]] = [
        lambda: fails(lambda: client.controller.query("x")),
        lambda: fails(lambda: client.bridge.complete(MESSAGES)),
        lambda: fails(stream),
    ]
    gather(calls, len(calls))  # so that all of them wait for the silence together
    assert len(server.seen) + len(bridge.seen) == 3


IN_A_STREAM: dict[str, Any] = {
    "reset": lambda gate: chunked(delta("Once "), gate, end="reset"),
    "closed": lambda gate: chunked(delta("Once "), gate, end="close"),
    "silence": lambda gate: chunked(delta("Once "), gate, end="hang"),
    "no chunk": lambda gate: raw(
        head(content_type="text/event-stream", transfer_encoding="chunked") + b"\r\n",
        *in_chunks(delta("Once ")),
        gate,
        b"no chunk\r\n",
        end="close",
    ),
}


@pytest.mark.promise("C4")
@pytest.mark.parametrize("kind", IN_A_STREAM)
def test_every_fault_in_the_middle_of_a_stream_becomes_ours(
    kind: str, make: MakeClient, bridge: FakeServer
) -> None:
    read = threading.Event()
    bridge.on(CHAT, IN_A_STREAM[kind](read))
    client = make(timeout=1.0 if kind == "silence" else 30.0)
    texts = (client.bridge.stream_complete(MESSAGES)).text_stream()
    assert texts.__next__() == "Once "
    read.set()
    with pytest.raises(SekhaTimeoutError if kind == "silence" else SekhaStreamError) as caught:
        texts.__next__()
    assert caught.value.text == "Once "
    assert (caught.value.sent, caught.value.may_have_been_applied) == (True, True)
    assert is_from_below(caught.value.__cause__)
    texts.close()


@pytest.mark.promise("C4")
def test_closing_a_stream_whose_connection_broke_is_no_error(
    client: SekhaClient, bridge: FakeServer
) -> None:
    read = threading.Event()
    bridge.on(CHAT, chunked(delta("Once "), read, end="reset"))
    with client.bridge.stream_complete(MESSAGES) as stream:
        stream.__next__()
        read.set()
    stream.close()
    client.close()


# Faults before anything is sent, and while it is


def fault(client: SekhaClient, text: str = "Hi") -> SekhaConnectionError:
    """How a call fails."""
    with pytest.raises(SekhaError) as caught:
        client.controller.create_conversation(messages=[{"role": "user", "content": text}])
    assert isinstance(caught.value, SekhaConnectionError)
    assert is_from_below(caught.value.__cause__)
    return caught.value


@pytest.mark.promise("C4")
def test_a_refused_connection_becomes_ours(make: MakeClient) -> None:
    nobody = FakeServer(listening=False)
    try:
        error = fault(make(controller_url=nobody.url, max_retries=0))
    finally:
        nobody.close()
    assert (error.sent, error.may_have_been_applied) == (False, False)


@pytest.mark.promise("C4")
def test_a_server_without_tls_becomes_ours(make: MakeClient) -> None:
    with listening(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as address:
        error = fault(make(controller_url=f"https://{address}", max_retries=0))
    assert (error.sent, error.may_have_been_applied) == (False, False)
    assert address in str(error)


@pytest.mark.promise("C4")
def test_a_connection_that_is_reset_at_once_becomes_ours(make: MakeClient) -> None:
    with listening(reset) as address:
        fault(make(controller_url=f"http://{address}", max_retries=0))


@pytest.mark.promise("C4")
def test_a_server_that_does_not_take_what_is_sent_becomes_ours(make: MakeClient) -> None:
    with listening(lambda connection: None, buffer=4096) as address:
        client = make(controller_url=f"http://{address}", max_retries=0, timeout=0.3)
        error = fault(client, "x" * 8_000_000)  # more than the system keeps for a sender
    assert isinstance(error, SekhaTimeoutError)
    assert error.may_have_been_applied is True


@pytest.mark.promise("C4")
def test_no_free_connection_becomes_ours(make: MakeClient, bridge: FakeServer) -> None:
    read = threading.Event()
    bridge.on(CHAT, chunked(delta("Hi"), read, DONE))
    client = make(max_connections=1, max_retries=0)
    with client.bridge.stream_complete(MESSAGES):
        with pytest.raises(SekhaTimeoutError) as caught:
            client.with_options(timeout=0.3).bridge.complete(MESSAGES)
        read.set()
    assert (caught.value.sent, caught.value.may_have_been_applied) == (False, False)
    assert is_from_below(caught.value.__cause__)
