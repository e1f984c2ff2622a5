"""Whose requests are answered: those that name this machine, come from no foreign web page, and have one length."""

from __future__ import annotations

from typing import FrozenSet, Optional, Sequence, Tuple

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sekha._http.host_check import our_names, refuse_host
from sekha.local.errors import LocalSekhaError

Headers = Sequence[Tuple[bytes, bytes]]
_LENGTHS = {b"content-length", b"transfer-encoding"}


class HostGuard:
    """The middleware in front of both ports: it refuses a `Host` that is not ours, and a foreign `Origin`.

    Args:
        app: What answers all other requests.
        names: The names that are ours, as `own_names` returns them.
    """

    def __init__(self, app: ASGIApp, names: FrozenSet[str]) -> None:
        self.app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (find_refusal(scope["headers"], self._names) or self.app)(scope, receive, send)


def own_names(host: str, allowed_hosts: Sequence[str]) -> FrozenSet[str]:
    """Return the names of a local Sekha; see `our_names`.

    Raises:
        LocalSekhaError: One of the allowed hosts is none.
    """
    try:
        return our_names(host, allowed_hosts)
    except ValueError as error:
        raise LocalSekhaError(f"an allowed host is {error}") from None


def find_refusal(headers: Headers, names: FrozenSet[str]) -> Optional[Response]:
    """Return the refusal of a request: 400 for two lengths, 421 for its `Host`, 403 for its `Origin`; or None."""
    if {name for name, _ in headers} >= _LENGTHS:
        # Somebody between here and the client may have believed the other one; the rest could be another request.
        text = "A request has either Content-Length or Transfer-Encoding."
        return PlainTextResponse(text, 400, headers={"connection": "close"})
    refusal = refuse_host(headers, names, "Sekha", " (allowed_hosts of LocalSekha)")
    return None if refusal is None else PlainTextResponse(refusal.text, refusal.status)
