"""The faults that can be scripted."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field
from typing import Callable, Mapping, Optional

from sekha.testing._exchange import Exchange, head

_CORK: Optional[int] = getattr(socket, "TCP_CORK", getattr(socket, "TCP_NOPUSH", None))


@dataclass(frozen=True)
class Fault:
    """Something that happens to a request.

    Args:
        name: How messages call it.
        play: Does it, and says whether the connection stays open.

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
    """No fault: Sekha's answer as it is."""
    answer = exchange.ask()
    for data in answer.wire():
        exchange.send(data)
    return answer.keeps_connection


def cut_before_work(*, reset: bool = False) -> Fault:
    """The request is read, and the connection ends: Sekha has done nothing.

    Args:
        reset: Whether it ends with a reset.
    """

    def play(exchange: Exchange) -> bool:
        return _cut(exchange, reset)

    return Fault(_name("cut_before_work", reset=reset or None), play)


def cut_in_answer(at: int = 1, *, reset: bool = False) -> Fault:
    """Sekha does the work, and the connection ends in the middle of its answer, or of its stream.

    Args:
        at: After how many bytes of the body; 0 is behind the headers.
        reset: Whether it ends with a reset.
    """

    def play(exchange: Exchange) -> bool:
        answer, left = exchange.ask(), at
        told = f"cut_in_answer(at={at}): the answer to {exchange.request.line} has only "
        length = next((int(value) for name, value in answer.headers if name.lower() == "content-length"), at + 1)
        if at >= length:  # said before the client has it all, and its test may end
            exchange.complain(f"{told}{length} bytes")
        exchange.send(answer.head)
        for piece in answer.pieces() if left else ():
            exchange.send(answer.framed(piece[:left]))
            left -= len(piece[:left])
            if not left:
                break
        if left and at < length:
            exchange.complain(f"{told}{at - left} bytes")
        return _cut(exchange, reset)

    return Fault(_name("cut_in_answer", at=at, reset=reset or None), play)


def cut_after_work(*, reset: bool = False) -> Fault:
    """Sekha does the work, and the connection ends instead of its answer: what was to be stored is stored.

    Args:
        reset: Whether it ends with a reset.
    """

    def play(exchange: Exchange) -> bool:
        for _ in exchange.ask().wire():
            pass
        return _cut(exchange, reset)

    return Fault(_name("cut_after_work", reset=reset or None), play)


def stale_keep_alive() -> Fault:
    """A good answer, and then the idle connection is closed without a word: the client's next request finds it dead."""

    def play(exchange: Exchange) -> bool:
        if _CORK is not None:  # the end leaves together with the answer, so that the client's next call comes after it
            exchange.connection.setsockopt(socket.IPPROTO_TCP, _CORK, 1)
        relay(exchange)
        return False

    return Fault("stale_keep_alive()", play)


def delay(seconds: float) -> Fault:
    """Sekha does the work at once, and its answer comes later.

    Args:
        seconds: How much later; a `FakeClock` moves on instead of waiting. To wait really, see `hold`.
    """

    def play(exchange: Exchange) -> bool:
        answer = exchange.ask()
        data = b"".join(answer.wire())
        exchange.wait(seconds)
        exchange.send(data)
        return answer.keeps_connection

    return Fault(_name("delay", seconds), play)


def hold(until: Optional[threading.Event] = None) -> Fault:
    """Sekha does the work at once, and its answer is held back.

    Args:
        until: What lets the answer go; None never does, so that the client's timeout ends the call.
    """

    def play(exchange: Exchange) -> bool:
        answer = exchange.ask()
        data = b"".join(answer.wire())
        exchange.hold(until or threading.Event())
        exchange.send(data)
        return answer.keeps_connection

    return Fault("hold()", play)


def drip(size: int = 1, pause: float = 0.0) -> Fault:
    """Sekha's answer in small pieces, its headers too.

    Args:
        size: Bytes of a piece.
        pause: Seconds after each piece; a `FakeClock` moves on instead of waiting.
    """

    def play(exchange: Exchange) -> bool:
        answer = exchange.ask()
        for data in answer.wire():
            for start in range(0, len(data), size):
                exchange.send(data[start : start + size])
                exchange.wait(pause)
        return answer.keeps_connection

    return Fault(_name("drip", size, pause), play)


def answer_with(status: int, body: object = None, headers: Optional[Mapping[str, str]] = None) -> Fault:
    """This answer instead of Sekha's, which is not asked.

    Args:
        status: The status code.
        body: Bytes are sent as they are, text as plain text, everything else as JSON; None is no body.
        headers: Further headers, such as ``{"retry-after": "2"}``.
    """
    kind, data = _encoded(body)
    named = {"content-type": kind, **{name.lower(): value for name, value in (headers or {}).items()}}
    pairs = [(name, value) for name, value in named.items() if value]
    wire = head(status, "Scripted", [*pairs, ("content-length", str(len(data)))]) + data

    def play(exchange: Exchange) -> bool:
        exchange.send(wire)
        return named.get("connection", "").lower() != "close"

    return Fault(_name("answer_with", status), play)


def garbage(data: bytes = b"\x00\xff this is not HTTP\r\n\r\n") -> Fault:
    """Something that is no answer, and then the end of the connection; Sekha is not asked.

    Args:
        data: The bytes.
    """

    def play(exchange: Exchange) -> bool:
        exchange.send(data)
        return False

    return Fault("garbage()", play)


def _cut(exchange: Exchange, reset: bool) -> bool:
    if reset:
        exchange.reset()
    return False


def _encoded(body: object) -> tuple[str, bytes]:
    if body is None:
        return "", b""
    if isinstance(body, bytes):
        return "application/json", body
    if isinstance(body, str):
        return "text/plain; charset=utf-8", body.encode()
    return "application/json", json.dumps(body).encode()


def _name(function: str, *given: object, **named: object) -> str:
    shown = [repr(value) for value in given]
    shown += [f"{name}={value!r}" for name, value in named.items() if value is not None]
    return f"{function}({', '.join(shown)})"
