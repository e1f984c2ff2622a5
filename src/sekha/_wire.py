"""The one place that knows httpcore: what the pool puts on its connections, and what it gets from them.

It is imported when the first client is made, and not by ``import sekha``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import httpcore
import httpx

AsyncHTTPConnection = httpcore.AsyncHTTP11Connection
AsyncNetwork = cast("type[httpcore.AsyncNetworkBackend]", httpcore.AnyIOBackend)  # knows trio too
AsyncNetworkStream = httpcore.AsyncNetworkStream
HTTPConnection = httpcore.HTTP11Connection
Network = httpcore.SyncBackend
NetworkStream = httpcore.NetworkStream
Origin = httpcore.Origin
PoolTimeout = httpcore.PoolTimeout
WriteError = httpcore.WriteError


def wire_origin(base_url: str) -> httpcore.Origin:
    """Scheme, host and port of a server."""
    url = httpx.URL(base_url)
    return httpcore.Origin(url.raw_scheme, url.raw_host, url.port or (443 if url.scheme == "https" else 80))


def wire_request(request: httpx.Request, origin: httpcore.Origin) -> httpcore.Request:
    """A request as a connection takes it."""
    return httpcore.Request(
        request.method,
        _url(origin.scheme, origin.host, origin.port, request.url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


@lru_cache(maxsize=256)
def _url(scheme: bytes, host: bytes, port: int, target: bytes) -> httpcore.URL:
    return httpcore.URL(scheme=scheme, host=host, port=port, target=target)  # most calls go to the same few


def wire_response(answer: httpcore.Response, body: httpx.AsyncByteStream | httpx.SyncByteStream) -> httpx.Response:
    """An answer as a connection gives it, with its body."""
    return httpx.Response(answer.status, headers=answer.headers, stream=body)


def passed_deadline() -> Exception:
    """The error for a wait that would go past the deadline."""
    return httpcore.ReadTimeout("the deadline passed")
