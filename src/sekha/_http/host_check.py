"""Which names of a host stand for this machine, and whether a server answers a request by its `Host` and `Origin`.

A page of any site can send requests to this machine. After DNS rebinding, when the name of its site stands for
127.0.0.1, it can read the answers too: then the name of that site is in the header `Host`. Addresses in `Host` are
harmless, since nobody can rebind them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from .addresses import encode_host

_HOST = r"\[[0-9a-f:.]+\]|[\w.-]+"
_MAX_LENGTH = 300  # more than any name of a host has, with scheme and port
_AUTHORITY = re.compile(rf"({_HOST})(?::\d{{0,5}})?", re.ASCII | re.IGNORECASE)
_ORIGIN = re.compile(rf"[a-z][a-z0-9+.-]*://({_HOST})(?::\d{{0,5}})?", re.ASCII | re.IGNORECASE)


class HostRefusal(NamedTuple):
    """Why a request is not answered.

    Attributes:
        status: The status of HTTP: 421 for the `Host`, 403 for the `Origin`.
        text: What the client is told.
    """

    status: int
    text: str


def our_names(host: str, allowed_hosts: Sequence[str]) -> frozenset[str]:
    """Return the names under which this machine is reached, besides `localhost`.

    Args:
        host: The address to listen on. If it is not the loopback, the name of the machine is ours too.
        allowed_hosts: More names.

    Raises:
        ValueError: One of the names is none; the message is what it would have to be.
    """
    names: list[str] = []
    for given in allowed_hosts:
        name = _parse_own(given)
        if name is None:
            raise ValueError(f"a name without scheme and port, such as memory.example.com, not {given!r}")
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


def refuse_host(
    headers: Iterable[tuple[bytes, bytes]], names: frozenset[str], service: str, also: str = ""
) -> HostRefusal | None:
    """Return the refusal of a request: 421 for its `Host`, 403 for its `Origin`; None for one that is answered.

    Args:
        headers: The headers, their names in lower case.
        names: The names that are ours, as `our_names` returns them.
        service: What the server is called.
        also: What stands behind the option that allows a name; with a space at its begin.
    """
    hosts: list[str] = []
    origins: list[str] = []
    for name, value in headers:
        if name in (b"host", b"origin"):
            (hosts if name == b"host" else origins).append(value.decode("latin-1"))
    host = parse_host(hosts[0]) if len(hosts) == 1 else None
    if host is None:
        said = "is no host" if len(hosts) == 1 else "is missing" if not hosts else "is there more than once"
        return HostRefusal(421, f"The header Host {said}.")
    if not (_address(host) or is_loopback(host) or host in names):
        return HostRefusal(421, f"This {service} is not {host}. If it shall be: --allow-host {host}{also}.")
    if origins:
        origin = _parse_origin(origins[0]) if len(origins) == 1 else None
        if origin is None or not (origin == host or is_loopback(origin) or origin in names):
            option = f" If it shall: --allow-host {origin}{also}." if origin else ""
            return HostRefusal(403, f"A web page of this Origin may not use this {service}.{option}")
    return None


@lru_cache(maxsize=256)  # most clients send the same again and again
def parse_host(text: str) -> str | None:
    """Return the host of a header `Host` in lower case, an IPv6 address without brackets; None if it is no host."""
    match = _AUTHORITY.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    return None if match is None else _normalize(match.group(1))


def _parse_origin(text: str) -> str | None:
    match = _ORIGIN.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    return None if match is None else _normalize(match.group(1))


def _parse_own(text: str) -> str | None:
    """Return a host that the user gives: a name in any alphabet, or an address, also an IPv6 one without brackets."""
    address = _address(text)
    if address is not None:
        return str(address)
    try:
        host = encode_host(text)
    except UnicodeError:
        return None
    return _normalize(host) if re.fullmatch(_HOST, host, re.ASCII | re.IGNORECASE) else None


def _normalize(host: str) -> str | None:
    if host.startswith("["):
        address = _address(host[1:-1])
        return str(address) if isinstance(address, IPv6Address) else None
    name = host[:-1] if host.endswith(".") else host
    return name.lower() if all(name.split(".")) else None


@lru_cache(maxsize=256)
def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
