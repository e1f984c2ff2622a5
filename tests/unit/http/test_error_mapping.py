"""What an error of the network says about a call: whether the server has seen it, and whether it is worth a retry."""

from __future__ import annotations

import errno
import ssl
from typing import Optional

import pytest

from sekha import SekhaConnectionError, SekhaTimeoutError
from sekha._http.error_mapping import connection_error
from sekha._http.models import Headers, HTTPRequest, Phase


def mapped(error: Exception, phase: Optional[Phase]) -> SekhaConnectionError:
    """Our error for one in a phase of a write."""
    request = HTTPRequest("POST", "https://sekha.test", "/api", Headers(()), b"{}", {}, None, phase)
    return connection_error(error, request, "/api")


def alert(name: str) -> ssl.SSLError:
    """An error as OpenSSL raises it for an alert of the server."""
    return ssl.SSLError(1, f"[SSL: {name}] {name.lower().replace('_', ' ')} (_ssl.c:2580)")


@pytest.mark.promise("S7", "R1")
@pytest.mark.parametrize("phase", ["connecting", "sending", "waiting for the response", None])
@pytest.mark.parametrize(
    "name",
    [
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",  # in TLS 1.2
    ],
)
def test_a_server_that_refuses_the_certificate_has_not_seen_the_request(name: str, phase: Optional[Phase]) -> None:
    error = mapped(alert(name), phase)
    assert str(error).startswith(f"sekha.test: cannot connect: [SSL: {name}]")
    assert (error.sent, error.may_have_been_applied, error._retryable) == (False, False, False)


@pytest.mark.promise("R1")
@pytest.mark.parametrize("name", ["TLSV1_ALERT_INTERNAL_ERROR", "SSLV3_ALERT_BAD_RECORD_MAC", "DECRYPTION_FAILED"])
def test_another_error_of_tls_says_nothing_about_the_request(name: str) -> None:
    assert mapped(alert(name), "waiting for the response").sent is True
    assert mapped(alert(name), "connecting").sent is False


@pytest.mark.promise("C4")
@pytest.mark.parametrize("phase", ["connecting", "sending", "waiting for the response"])
def test_a_timeout_of_ours_names_what_it_ended(phase: Phase) -> None:
    error = mapped(TimeoutError("timed out"), phase)
    assert isinstance(error, SekhaTimeoutError)
    assert f"sekha.test: timeout while {phase}" in str(error)


@pytest.mark.promise("C4", "R1", "W7")
def test_a_server_that_no_longer_answers_the_system_is_a_broken_connection() -> None:
    gone = OSError(errno.ETIMEDOUT, "Connection timed out")
    for phase, words, sent in (
        ("connecting", "cannot connect: [Errno", False),
        ("waiting for the response", "sekha.test: [Errno", True),
    ):
        error = mapped(gone, phase)  # type: ignore[arg-type]  # the tuple makes plain texts of them
        assert type(error) is SekhaConnectionError
        assert words in str(error)
        assert "Connection timed out" in str(error)
        assert error.sent is sent
