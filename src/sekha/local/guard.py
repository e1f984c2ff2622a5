"""Whose requests are answered: those that name this machine, and come from no foreign web page.

A page of any site can send requests to this machine. After DNS rebinding, when the name of its site stands for
127.0.0.1, it can read the answers too: then the name of that site is in the header `Host`. Addresses in `Host` are
harmless, since nobody can rebind them.
"""

from __future__ import annotations

import re
import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Dict, FrozenSet, List, Optional, Sequence, Tuple, Union

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sekha._http.addresses import encode_host
from sekha.local.errors import LocalSekhaError

Headers = Sequence[Tuple[bytes, bytes]]
_HOST = r"\[[0-9a-f:.]+\]|[\w.-]+"
_MAX_LENGTH = 300  # more than any name of a host has, with scheme and port
_AUTHORITY = re.compile(rf"({_HOST})(?::\d{{0,5}})?", re.ASCII | re.IGNORECASE)
_ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://({_HOST})(?::\d{{0,5}})?", re.ASCII | re.IGNORECASE)


class HostGuard:
    """The middleware in front of both ports: it refuses a `Host` that is not ours, and a foreign `Origin`.

    Args:
        app: What answers all other requests.
        names: The names that are ours, as `our_names` returns them.
    """

    def __init__(self, app: ASGIApp, names: FrozenSet[str]) -> None:
        self.app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (find_refusal(scope["headers"], self._names) or self.app)(scope, receive, send)


def our_names(host: str, allowed_hosts: Sequence[str]) -> FrozenSet[str]:
    """Return the names under which this machine is reached, besides `localhost`.

    Args:
        host: The address to listen on. If it is not the loopback, the name of the machine is ours too.
        allowed_hosts: More names.

    Raises:
        LocalSekhaError: One of the names is none.
    """
    names: List[str] = []
    for given in allowed_hosts:
        name = _parse_own(given)
        if name is None:
            raise LocalSekhaError(f"an allowed host is a name without scheme and port, such as sekha, not {given!r}")
        names.append(name)
    more = (host,) if is_loopback(host) else (host, socket.gethostname())
    return frozenset([*names, *filter(None, map(_parse_own, more))])


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether a host, as one listens on it or as a URL names it, can be reached from this machine only."""
    name = _parse_own(host)
    if name is None:
        return False
    address = _address(name)
    if address is None:
        return name == "localhost" or name.endswith(".localhost")
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def find_refusal(headers: Headers, names: FrozenSet[str]) -> Optional[Response]:
    """Return the refusal of a request: 400 for two lengths, 421 for its `Host`, 403 for its `Origin`; or None."""
    values: Dict[bytes, List[str]] = {name: [] for name in _LOOKED_AT}
    for name, value in headers:
        if name in values:
            values[name].append(value.decode("latin-1"))
    if values[b"content-length"] and values[b"transfer-encoding"]:
        # Somebody between here and the client may have believed the other one; the rest could be another request.
        text = "A request has either Content-Length or Transfer-Encoding."
        return PlainTextResponse(text, 400, headers={"connection": "close"})
    hosts, origins = values[b"host"], values[b"origin"]
    host = parse_host(hosts[0]) if len(hosts) == 1 else None
    if host is None:
        said = "is no host" if len(hosts) == 1 else "is missing" if not hosts else "is there more than once"
        return PlainTextResponse(f"The header Host {said}.", 421)
    if not (_address(host) or is_loopback(host) or host in names):
        text = f"This Sekha is not {host}. If it shall be: --allow-host {host} (allowed_hosts of LocalSekha)."
        return PlainTextResponse(text, 421)
    if origins:
        origin = _parse_origin(origins[0]) if len(origins) == 1 else None
        if origin is None or not (origin == host or is_loopback(origin) or origin in names):
            option = f" If it shall: --allow-host {origin} (allowed_hosts of LocalSekha)." if origin else ""
            return PlainTextResponse(f"A web page of this Origin may not use this Sekha.{option}", 403)
    return None


_LOOKED_AT = (b"host", b"origin", b"content-length", b"transfer-encoding")


@lru_cache(maxsize=256)  # most clients send the same again and again
def parse_host(text: str) -> Optional[str]:
    """Return the host of a header `Host` in lower case, an IPv6 address without brackets; None if it is no host."""
    match = _AUTHORITY.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    return None if match is None else _normalize(match.group(1))


def _parse_origin(text: str) -> Optional[str]:
    match = _ORIGIN.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    return None if match is None else _normalize(match.group(1))


def _parse_own(text: str) -> Optional[str]:
    """Return a host that the user gives: a name in any alphabet, or an address, also an IPv6 one without brackets."""
    address = _address(text)
    if address is not None:
        return str(address)
    try:
        host = encode_host(text)
    except UnicodeError:
        return None
    return _normalize(host) if re.fullmatch(_HOST, host, re.ASCII | re.IGNORECASE) else None


def _normalize(host: str) -> Optional[str]:
    if host.startswith("["):
        address = _address(host[1:-1])
        return str(address) if isinstance(address, IPv6Address) else None
    name = host[:-1] if host.endswith(".") else host
    return name.lower() if all(name.split(".")) else None


@lru_cache(maxsize=256)
def _address(host: str) -> Union[IPv4Address, IPv6Address, None]:
    try:
        return ip_address(host)
    except ValueError:
        return None
