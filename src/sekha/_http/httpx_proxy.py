"""What httpx needs to know of a proxy, and what it reports of a request that goes through one."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import httpcore
import httpx

from sekha._http.models import HTTPRequest, Phase
from sekha._http.proxies import Proxy, refuse_proxy


class _HiddenBytes(bytes):
    """Bytes whose repr does not show them: httpcore writes the password for SOCKS into its log."""

    def __repr__(self) -> str:
        return "b'***'"


class _HTTPXProxy(httpx.Proxy):
    @property
    def raw_auth(self) -> tuple[bytes, bytes] | None:
        auth = super().raw_auth
        return None if auth is None else (_HiddenBytes(auth[0]), _HiddenBytes(auth[1]))


def httpx_proxy(proxy: Proxy, context: ssl.SSLContext | None) -> httpx.Proxy:
    """Return a proxy as httpx takes it.

    Args:
        proxy: The proxy that applies.
        context: The context for TLS with the proxy, which is that for TLS with servers.

    Raises:
        SekhaConfigError: httpx does not accept its address.
    """
    try:
        return _HTTPXProxy(proxy.url, auth=proxy.auth, ssl_context=context if proxy.scheme == "https" else None)
    except (httpx.InvalidURL, ValueError):
        pass
    raise refuse_proxy(proxy.source, f" at {proxy.host}", "its host is invalid")


def phase_at(event: str, info: Mapping[str, Any]) -> Phase | None:
    """Return what a request is at, by an event that httpcore reports; None if it does not say.

    Until a CONNECT has succeeded, the server has seen nothing.
    """
    sent: httpcore.Request | None = info.get("request")
    if sent is not None and sent.method != b"CONNECT":
        return "waiting for the response" if ".receive_" in event else "sending"
    return "connecting" if event.endswith("connect_tcp.started") else None


def is_refusal_by_proxy(proxy: Proxy, request: HTTPRequest, status: int, headers: Mapping[str, str]) -> bool:
    """Return whether a response is that of the proxy, which asks for a user and a password.

    Only for plain HTTP: a refusal of CONNECT is an error of httpx, and through a tunnel the server itself answers.
    """
    if proxy.uses_socks or not request.base_url.lower().startswith("http:"):
        return False
    if status == 401:  # tinyproxy answers a wrong password as if it were the server
        asks = "proxy-authenticate" in headers and "www-authenticate" not in headers
        return asks or headers.get("server", "").lower().startswith("tinyproxy")
    return status == 407
