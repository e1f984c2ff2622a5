"""A server that refuses a long request before it has read it: its answer arrives, and the rest is not sent."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from sekha import (
    AsyncSekhaClient,
    SekhaAuthError,
    SekhaConnectionError,
    SekhaError,
    SekhaServerError,
    SekhaTimeoutError,
    SekhaValidationError,
)
from support.certificates import Certificates
from support.clock import FakeClock
from support.early import early_server
from support.server import eventually

from .conftest import MakeClient

SIZES = [50_000, 300_000, 2_500_000, 16_000_000]
BODY = b'{"error": "said early"}'


def said(status: int, *, before: bytes = b"", headers: bytes = b"") -> bytes:
    """The bytes of an answer."""
    lines = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n" % (status, len(BODY))
    return before + lines + headers + b"\r\n" + BODY


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ANSWERS: dict[str, tuple[bytes, type[SekhaError], int]] = {
    "413": (said(413, headers=b"Connection: close\r\n"), SekhaValidationError, 413),
    "401": (said(401), SekhaAuthError, 401),
    "401 after a 100": (said(401, before=CONTINUE), SekhaAuthError, 401),
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["plain", "tls"])
def tls(request: Any, certificates: Certificates) -> ssl.SSLContext | None:
    """What a server needs to speak TLS, if it does."""
    return certificates.server() if request.param == "tls" else None


def message(size: int) -> list[Any]:
    """The messages of a long conversation."""
    return [{"role": "user", "content": "x" * size}]


async def refused(client: AsyncSekhaClient, size: int) -> SekhaError:
    """The error of storing that much."""
    with pytest.raises(SekhaError) as caught:
        await client.controller.create_conversation(messages=message(size))
    return caught.value


@pytest.mark.promise("C7", "R1", "W2")
@pytest.mark.parametrize("deadline", [None, 10.0])
@pytest.mark.parametrize("closes", [True, False], ids=["closes", "stays"])
@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.parametrize("size", [*SIZES[:-1], pytest.param(SIZES[-1], marks=pytest.mark.slow)])
async def test_the_answer_is_the_error(
    size: int,
    kind: str,
    closes: bool,
    deadline: float | None,
    tls: ssl.SSLContext | None,
    certificates: Certificates,
    make: MakeClient,
    clock: FakeClock,
) -> None:
    answer, cls, status = ANSWERS[kind]
    with early_server(answer, closes=closes, tls=tls) as server:
        client = make(controller_url=server.url, verify=certificates.ca, deadline=deadline, timeout=10.0)
        for _ in range(3 if size < 1_000_000 and kind == "413" else 1):
            error = await refused(client, size)
            assert (type(error), getattr(error, "status_code", None)) == (cls, status)
            assert error.message == "said early"
            assert (error.sent, error.may_have_been_applied, error.attempts) == (True, False, 1)
        assert clock.waits == []
        if not closes and (kind == "413" or size == SIZES[-1]):  # what the system takes at once is not cut short
            server.go_on()
            eventually(lambda: server.ended == server.accepted)
        await client.aclose()


@pytest.mark.promise("C7", "R1", "W2")
@pytest.mark.parametrize("closes", [True, False], ids=["closes", "stays"])
async def test_an_answer_in_pieces_is_the_error(
    closes: bool, tls: ssl.SSLContext | None, certificates: Certificates, make: MakeClient
) -> None:
    answer = said(413, before=CONTINUE)
    cuts = [0, 10, len(CONTINUE) + 5, answer.index(b"Content-Length"), len(answer) - len(BODY), len(answer) - 3, None]
    pieces = [answer[start:end] for start, end in zip(cuts, cuts[1:])]
    with early_server(*pieces, closes=closes, tls=tls, buffer=4096) as server:
        client = make(controller_url=server.url, verify=certificates.ca, timeout=10.0)
        error = await refused(client, 6_000_000)  # more than the system keeps for a sender
        assert (type(error), error.message) == (SekhaValidationError, "said early")
        assert (error.sent, error.may_have_been_applied, error.attempts) == (True, False, 1)
        await client.aclose()


@pytest.mark.promise("C4", "R1")
@pytest.mark.parametrize("deadline", [None, 10.0])
@pytest.mark.parametrize("closes", [True, False], ids=["closes", "stays"])
@pytest.mark.parametrize(
    ("kind", "answer"),
    [("garbage", b"\x00\x01 what?\r\n\r\n"), ("another protocol", b"SSH-2.0-OpenSSH_9.9\r\n")],
)
async def test_what_is_no_answer_ends_the_sending(
    kind: str,
    answer: bytes,
    closes: bool,
    deadline: float | None,
    tls: ssl.SSLContext | None,
    certificates: Certificates,
    make: MakeClient,
) -> None:
    with early_server(answer, closes=closes, tls=tls) as server:
        client = make(controller_url=server.url, verify=certificates.ca, deadline=deadline, timeout=10.0)
        for size in SIZES[:3]:
            error = await refused(client, size)
            assert type(error) is SekhaConnectionError
            assert "the response does not start" in str(error) or "does not allow" in str(error)
            assert (error.sent, error.may_have_been_applied, error.attempts) == (True, True, 1)
        if not closes:
            server.go_on()
            eventually(lambda: server.ended == server.accepted)


@pytest.mark.promise("C4", "R1")
@pytest.mark.parametrize("before", [b"", CONTINUE], ids=["at once", "after a 100"])
@pytest.mark.parametrize("deadline", [None, 10.0])
async def test_a_server_that_leaves_without_an_answer(
    before: bytes,
    deadline: float | None,
    tls: ssl.SSLContext | None,
    certificates: Certificates,
    make: MakeClient,
) -> None:
    with early_server(before, closes=True, tls=tls) as server:
        client = make(controller_url=server.url, verify=certificates.ca, deadline=deadline, timeout=10.0)
        for size in SIZES[:3]:
            error = await refused(client, size)
            assert type(error) is SekhaConnectionError
            assert (error.sent, error.may_have_been_applied, error.attempts) == (True, True, 1)
        assert server.accepted == 3


@pytest.mark.slow
@pytest.mark.promise("R4", "R1")
@pytest.mark.parametrize("before", [b"", CONTINUE, b"HTTP/1.1 413 "], ids=["nothing", "a 100", "half a head"])
async def test_a_server_that_neither_reads_nor_answers_ends_at_the_timeout(
    before: bytes, tls: ssl.SSLContext | None, certificates: Certificates, make: MakeClient
) -> None:
    with early_server(before, closes=False, tls=tls, buffer=4096) as server:
        client = make(controller_url=server.url, verify=certificates.ca, timeout=0.2)
        error = await refused(client, SIZES[3])  # more than the system keeps for a sender
        assert isinstance(error, SekhaTimeoutError)
        assert (error.sent, error.may_have_been_applied, error.attempts) == (True, True, 1)


@pytest.mark.promise("R1", "R2", "W2")
async def test_what_an_early_answer_allows_is_retried(
    tls: ssl.SSLContext | None, certificates: Certificates, make: MakeClient, clock: FakeClock
) -> None:
    # Without "close", a request that the system took whole at once would leave a connection that looks reusable.
    answer = said(503, headers=b"Retry-After: 1\r\nConnection: close\r\n")
    with early_server(answer, closes=True, tls=tls) as server:
        client = make(controller_url=server.url, verify=certificates.ca, max_retries=2)
        error = await refused(client, SIZES[2])
        assert isinstance(error, SekhaServerError)
        assert (error.attempts, server.accepted, len(clock.waits)) == (3, 3, 2)
        assert error.may_have_been_applied is False
