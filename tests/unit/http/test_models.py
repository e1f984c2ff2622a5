"""The address of a server, taken apart; timeouts and deadlines."""

from __future__ import annotations

import httpx
import pytest

from sekha import SekhaConfig
from sekha._http.models import (
    DeadlinePassed,
    UntilDeadline,
    origin,
    shorter_timeout,
    timed_out,
    timeout_before_deadline,
)

# ---- addresses (C10, S2) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://localhost:8080",
        "http://LOCALHOST:80/",
        "https://Sekha.example/Prefix",
        "https://sekha.example:443/a/b;c,d/e:f@g/~h",
        "https://sekha.example:8443/a%20b/%zz/!$&'()*+=",
        "http://[::1]",
        "http://[fe80::1%25eth0]:8080/p",
        "http://127.0.0.1:65535//a",
    ],
)
def test_an_address_is_taken_apart_as_httpx_does_it(url: str) -> None:
    mine, theirs = origin(str(SekhaConfig(controller_url=url).controller_url)), httpx.URL(url)
    usual = 443 if theirs.scheme == "https" else 80
    assert (mine.scheme, mine.host, mine.port) == (theirs.scheme, theirs.raw_host.decode(), theirs.port or usual)
    assert mine.authority == theirs.netloc.decode().replace("%25eth0", "")
    assert mine.prefix == theirs.raw_path.decode().rstrip("/")


# ---- timeouts and the deadline (R4) ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "time_left", "expected", "is_deadline"),
    [
        (None, None, None, False),
        (2.0, None, 2.0, False),
        (None, 3.0, 3.0, True),
        (2.0, 3.0, 2.0, False),
        (3.0, 2.0, 2.0, True),
        (2.0, 2.0, 2.0, True),  # both at once: a repetition would come too late
        (2.0, -1.0, 0.001, True),
        (UntilDeadline(2.0), None, 2.0, True),
        (UntilDeadline(2.0), 2.0, 2.0, True),
        (UntilDeadline(2.0), 2.015, 2.0, True),  # a clock that moves in steps
        (UntilDeadline(2.0), 1.0, 1.0, True),
    ],
)
def test_the_shorter_limit_says_which_of_the_two_it_is(
    seconds: float | None, time_left: float | None, expected: float | None, is_deadline: bool
) -> None:
    found = shorter_timeout(seconds, time_left)
    assert found == expected
    assert isinstance(found, UntilDeadline) == is_deadline
    assert isinstance(timed_out(found), DeadlinePassed) == is_deadline


def test_a_deadline_that_has_passed_ends_a_wait_before_it_begins() -> None:
    assert timeout_before_deadline(2.0, None, lambda: 5.0) == 2.0
    assert isinstance(timeout_before_deadline(2.0, 6.0, lambda: 5.0), UntilDeadline)
    for at in (5.0, 4.0):
        with pytest.raises(DeadlinePassed):
            timeout_before_deadline(2.0, at, lambda: 5.0)
