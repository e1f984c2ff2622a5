"""One HTTP request of a call: its headers, body and timeouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sekha._api.model import Endpoint, Request
from sekha._http.models import Headers, HTTPRequest, origin, shorter_timeout
from sekha._transport.options import CallOptions
from sekha._utils.redaction import Secret
from sekha._utils.sentinel import NOT_GIVEN
from sekha._version import __version__
from sekha.config._settings import DEFAULT_TIMEOUT

MODEL_TIMEOUT: Final = 300.0
"""Seconds to wait for a response that a model or an embedder works for, where ``timeout`` is not given."""

_BRIEF_WAIT: Final = 1.0
"""Seconds that a request which is to be sent at once waits for a free connection of a user's own HTTP client."""


def make_http_request(
    request: Request[Any], base_url: str, options: CallOptions, headers: Headers, *, time_left: float | None
) -> HTTPRequest:
    """Return the HTTP request of one attempt.

    Args:
        request: The call.
        base_url: Address of the server.
        options: Timeout and deadline.
        headers: The headers that `make_headers` returned.
        time_left: Seconds until the deadline, or None.
    """
    endpoint, timeouts = request.endpoint, _timeouts(options, request.endpoint, time_left)
    return HTTPRequest(
        endpoint.method,
        base_url,
        request.path,
        headers,
        request.content,
        timeouts,
        options.deadline_at,
        sent_at_once=endpoint.sent_at_once,
    )


def _timeouts(options: CallOptions, endpoint: Endpoint[Any], time_left: float | None) -> dict[str, float | None]:
    """Return the timeouts of the phases: as given, longer to wait for a model, never past the deadline."""
    if options.timeout is NOT_GIVEN:
        phase: float | None = DEFAULT_TIMEOUT
        read: float | None = MODEL_TIMEOUT if endpoint.waits_for_model else DEFAULT_TIMEOUT
    else:
        phase = read = options.timeout
    phase, read = shorter_timeout(phase, time_left), shorter_timeout(read, time_left)
    # A call may keep its connection for as long as it reads, so others wait that long for one.
    pool = read
    if endpoint.sent_at_once:
        pool = _BRIEF_WAIT if read is None else min(read, _BRIEF_WAIT)
    return {"connect": phase, "read": read, "write": phase, "pool": pool}


def make_headers(
    base_url: str, headers: Mapping[str, str], key: Secret | None, *, accept: str, has_body: bool
) -> Headers:
    """Return the headers of a request without its length, which many requests have in common.

    Args:
        base_url: Address of the server.
        headers: Additional headers of the user.
        key: The key to send, or None.
        accept: Content types of the response.
        has_body: Whether the request has a body.
    """
    pairs: dict[str, str] = {
        "host": origin(base_url).authority,
        "accept": accept,
        "accept-encoding": "identity",  # an uncompressed response cannot expand beyond its limit
        "user-agent": f"sekha-python-sdk/{__version__}",
        **{name.lower(): value for name, value in headers.items()},
    }
    if has_body:
        pairs["content-type"] = "application/json"
    if key is not None:
        pairs["authorization"] = f"Bearer {key.reveal()}"
    return Headers((name.encode("ascii"), value.encode("latin-1")) for name, value in pairs.items())
