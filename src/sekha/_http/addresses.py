"""Hosts as URLs name them, and which of their addresses is tried first. Nothing here looks a name up."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:  # importing sekha loads this module, and waiting for sockets needs anyio
    from sekha._concurrency.sockets import AddressInfo

ADDRESS_MEMORY: Final = 600.0
"""Seconds for which the address that worked is tried first: the first one may work again by then."""

_MAX_LABEL = 63
_MAX_NAME = 253


def encode_host(host: str) -> str:
    """Return a host in ASCII, with the names that browsers encode in the same way (IDNA 2008 with UTS #46).

    Raises:
        UnicodeError: It cannot be the name of a host.
    """
    if host.isascii():
        return host
    import idna  # its tables are large, and most hosts are ASCII

    return idna.encode(host, uts46=True).decode("ascii")


def host_problem(authority: str) -> str:
    """Return why no machine can have the host of an address, in words; empty if one may have it.

    Only what the system refuses without asking anybody is a problem: a file of hosts or a name server may know any
    other name, such as ``my_service`` or ``-x-``.

    Args:
        authority: Host and perhaps port, in ASCII.
    """
    host, port = authority.partition(":")[::2]
    if "[" in authority or "]" in authority:
        host, bracket, port = authority[1:].partition("]")
        if not authority.startswith("[") or not bracket or port[:1] not in ("", ":") or not _is_ipv6(host):
            return "brackets require an IPv6 address"
    name = lookup_host(host).removesuffix(".")  # the resolver of Python takes a zone for a part of the name
    labels = name.split(".")
    if "" in labels:
        return "a label of its host name is empty"
    if max(map(len, labels)) > _MAX_LABEL:
        return f"a label of its host name has more than {_MAX_LABEL} characters"
    return f"its host name has more than {_MAX_NAME} characters" if len(name) > _MAX_NAME else ""


def _is_ipv6(host: str) -> bool:
    address, mark, zone = lookup_host(host).partition("%")
    try:
        IPv6Address(address)
    except ValueError:
        return False
    return not mark or (bool(zone) and zone.isascii() and zone.isprintable() and " " not in zone)


def lookup_host(host: str) -> str:
    """Return a host of a URL as the system looks it up: ``fe80::1%eth0`` for ``fe80::1%25eth0`` (RFC 6874)."""
    address, _, zone = host.partition("%")
    if ":" not in address or not zone:
        return host
    return f"{address}%{unquote(zone[2:]) if zone.startswith('25') and len(zone) > 2 else zone}"


def server_name(host: str) -> str:
    """Return a host as its server knows it, in TLS and the ``Host`` header.

    A zone means something to this machine only, and the dot at the end of a rooted name only to the system's resolver.
    """
    return host.partition("%")[0] if ":" in host else host.removesuffix(".")


class AddressMemory:
    """Which address of a host worked last; it is tried first for ten minutes, the others in the system's order.

    So an address that drops packets costs a quarter of a second once, and not for each new connection.
    """

    def __init__(self) -> None:
        self._remembered: tuple[object, float] | None = None  # with the time at which it is forgotten

    def order(self, addresses: Sequence[AddressInfo], now: float) -> Sequence[AddressInfo]:
        """Return addresses in the order in which they are to be tried."""
        remembered = self._remembered
        if remembered is None or remembered[1] <= now:
            return addresses
        return sorted(addresses, key=lambda info: info[4] != remembered[0])  # keeps the order of the others

    def remember(self, address: object, now: float) -> None:
        """Note that an address has worked. The ten minutes begin when it is noted anew."""
        remembered = self._remembered
        if remembered is None or remembered[1] <= now or remembered[0] != address:
            self._remembered = (address, now + ADDRESS_MEMORY)
