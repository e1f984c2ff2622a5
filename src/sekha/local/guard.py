"""Reject requests to other host names, from other web sites, or with an ambiguous length."""

from __future__ import annotations

from typing import FrozenSet, Optional, Sequence, Tuple

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sekha._http.host_check import our_names, refuse_host
from sekha.local.errors import LocalSekhaError

Headers = Sequence[Tuple[bytes, bytes]]
_LENGTHS = {b"content-length", b"transfer-encoding"}


class HostGuard:
    """Middleware of both ports that rejects other host names in `Host`, and other sites in `Origin`.

    Args:
        app: The application for all other requests.
        names: Accepted host names, as `own_names` returns them.
    """

    def __init__(self, app: ASGIApp, names: FrozenSet[str]) -> None:
        self.app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (find_refusal(scope["headers"], self._names) or self.app)(scope, receive, send)


def own_names(host: str, allowed_hosts: Sequence[str]) -> FrozenSet[str]:
    """Return the accepted host names of a local server; see `our_names`.

    Raises:
        LocalSekhaError: An allowed host is not a valid host name.
    """
    try:
        return our_names(host, allowed_hosts)
    except ValueError as error:
        raise LocalSekhaError(f"allowed_hosts: expected {error}") from None


def find_refusal(headers: Headers, names: FrozenSet[str]) -> Optional[Response]:
    """Return an error response: 400 for two lengths, 421 for the `Host`, 403 for the `Origin`; or None."""
    if {name for name, _ in headers} >= _LENGTHS:
        # A proxy may have used the other length; the rest of the body could be a smuggled request.
        text = "A request must have either Content-Length or Transfer-Encoding, not both."
        return PlainTextResponse(text, 400, headers={"connection": "close"})
    refusal = refuse_host(headers, names, "Sekha", " (allowed_hosts of LocalSekha)")
    return None if refusal is None else PlainTextResponse(refusal.text, refusal.status)
