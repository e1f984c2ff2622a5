"""The faults that can be scripted."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Callable, Mapping, Optional

from sekha.testing._exchange import Exchange, head
from sekha.testing._ports import send_and_end


@dataclass(frozen=True)
class Fault:
    """A fault that is injected into a request.

    Args:
        name: Its name in messages.
        play: A function that injects it, and returns whether the connection stays open.

    Example:
        ```python
        from sekha.testing import Fault, ScriptedSekha

        def shout(exchange):
            answer = exchange.ask()
            exchange.send(answer.head)
            for piece in answer.pieces():
                exchange.send(answer.framed(piece.upper()))
            return True

        with ScriptedSekha() as sekha, sekha.client() as client:
            sekha.fail("GET /metrics", Fault("shout()", shout))
            print(client.controller.metrics()[:6])  # # HELP
        ```
    """

    name: str
    play: Callable[[Exchange], bool] = field(repr=False)


def relay(exchange: Exchange) -> bool:
    """Relay Sekha's response unchanged: no fault."""
    answer = exchange.ask()
    for data in answer.wire():
        exchange.send(data)
    return answer.keeps_connection


def cut_before_work(*, reset: bool = False) -> Fault:
    """Close the connection after the request was read: Sekha does nothing.

    Args:
        reset: Whether to close it with a TCP reset.
    """

    def play(exchange: Exchange) -> bool:
        return _close(exchange, reset)

    return Fault(_format_call("cut_before_work", reset=reset or None), play)


def cut_in_answer(at: int = 1, *, reset: bool = False) -> Fault:
    """Close the connection in the middle of Sekha's response or stream, after it has done the work.

    Args:
        at: The number of bytes of the body to send; 0 sends the headers only.
        reset: Whether to close it with a TCP reset.
    """

    def play(exchange: Exchange) -> bool:
        answer, remaining = exchange.ask(), at
        problem = f"cut_in_answer(at={at}): the answer to {exchange.request.line} has only "
        length = next((int(value) for name, value in answer.headers if name.lower() == "content-length"), at + 1)
        if at >= length:  # reported before the client has the whole response, after which its test may end
            exchange.complain(f"{problem}{length} bytes")
        exchange.send(answer.head)
        for piece in answer.pieces() if remaining else ():
            exchange.send(answer.framed(piece[:remaining]))
            remaining -= len(piece[:remaining])
            if not remaining:
                break
        if remaining and at < length:
            exchange.complain(f"{problem}{at - remaining} bytes")
        return _close(exchange, reset)

    return Fault(_format_call("cut_in_answer", at=at, reset=reset or None), play)


def cut_after_work(*, reset: bool = False) -> Fault:
    """Close the connection instead of sending Sekha's response, after it has done the work: a write is stored.

    Args:
        reset: Whether to close it with a TCP reset.
    """

    def play(exchange: Exchange) -> bool:
        for _ in exchange.ask().wire():
            pass
        return _close(exchange, reset)

    return Fault(_format_call("cut_after_work", reset=reset or None), play)


def stale_keep_alive() -> Fault:
    """Relay Sekha's response and then close the idle connection, so that the client's next request finds it stale.

    The connection is closed together with the end of the response, so that the close arrives before the next request.
    """

    def play(exchange: Exchange) -> bool:
        send_and_end(exchange.connection, b"".join(exchange.ask().wire()))
        return False

    return Fault("stale_keep_alive()", play)


def delay(seconds: float) -> Fault:
    """Delay Sekha's response; the work is done without delay.

    Args:
        seconds: The delay; a `FakeClock` is advanced instead. For a real wait, see `hold`.
    """

    def play(exchange: Exchange) -> bool:
        answer = exchange.ask()
        data = b"".join(answer.wire())
        exchange.wait(seconds)
        exchange.send(data)
        return answer.keeps_connection

    return Fault(_format_call("delay", seconds), play)


def hold(until: Optional[threading.Event] = None) -> Fault:
    """Hold back Sekha's response until an event; the work is done without delay.

    Args:
        until: The event; None waits forever, so that the client's timeout ends the call.
    """

    def play(exchange: Exchange) -> bool:
        answer = exchange.ask()
        data = b"".join(answer.wire())
        exchange.hold(until or threading.Event())
        exchange.send(data)
        return answer.keeps_connection

    return Fault("hold()", play)


def drip(size: int = 1, pause: float = 0.0) -> Fault:
    """Send Sekha's response slowly, in small pieces, headers included.

    Args:
        size: Bytes of a piece.
        pause: Seconds after each piece; a `FakeClock` is advanced instead.
    """

    def play(exchange: Exchange) -> bool:
        answer = exchange.ask()
        for data in answer.wire():
            for start in range(0, len(data), size):
                exchange.send(data[start : start + size])
                exchange.wait(pause)
        return answer.keeps_connection

    return Fault(_format_call("drip", size, pause), play)


def answer_with(status: int, body: object = None, headers: Optional[Mapping[str, str]] = None) -> Fault:
    """Send this response without asking Sekha.

    Args:
        status: The status code.
        body: Bytes are sent unchanged, a string as plain text, other values as JSON; None for no body.
        headers: Additional headers, such as ``{"retry-after": "2"}``.
    """
    kind, data = _encode_body(body)
    named = {"content-type": kind, **{name.lower(): value for name, value in (headers or {}).items()}}
    pairs = [(name, value) for name, value in named.items() if value]
    wire = head(status, "Scripted", [*pairs, ("content-length", str(len(data)))]) + data

    def play(exchange: Exchange) -> bool:
        exchange.send(wire)
        return named.get("connection", "").lower() != "close"

    return Fault(_format_call("answer_with", status), play)


def garbage(data: bytes = b"\x00\xff this is not HTTP\r\n\r\n") -> Fault:
    """Send bytes that are not HTTP and close the connection, without asking Sekha.

    Args:
        data: The bytes.
    """

    def play(exchange: Exchange) -> bool:
        exchange.send(data)
        return False

    return Fault("garbage()", play)


def _close(exchange: Exchange, reset: bool) -> bool:
    if reset:
        exchange.reset()
    return False


def _encode_body(body: object) -> tuple[str, bytes]:
    if body is None:
        return "", b""
    if isinstance(body, bytes):
        return "application/json", body
    if isinstance(body, str):
        return "text/plain; charset=utf-8", body.encode()
    return "application/json", json.dumps(body).encode()


def _format_call(function: str, *given: object, **named: object) -> str:
    shown = [repr(value) for value in given]
    shown += [f"{name}={value!r}" for name, value in named.items() if value is not None]
    return f"{function}({', '.join(shown)})"
