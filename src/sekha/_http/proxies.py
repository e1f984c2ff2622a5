"""Which proxy applies to the address of a server: decided here, so that httpx never reads the environment.

``proxy`` applies to every address. Otherwise, with ``trust_env``, the variables ``<scheme>_proxy`` and ``all_proxy``
count, and on macOS and Windows the settings of the system, except for addresses that ``no_proxy`` exempts.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any, Final, NamedTuple, NoReturn, Union
from urllib.parse import unquote

from sekha._http.addresses import encode_host
from sekha._http.models import HTTPSettings, Origin, origin
from sekha._utils.redaction import redact_traceback
from sekha.errors import SekhaConfigError

DIRECT: Final = "none"
"""As ``proxy``: no proxy at all, whatever the environment and the system say."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,63}")
_PORT = re.compile(r"[0-9]{1,5}")
_NOT_ENCODED = re.compile(r"[\s#/?\x00-\x1f\x7f-\x9f]|%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MAX_SOCKS_BYTES = 255
_SYSTEM = "the system's proxy settings"

_IPAddress = Union[IPv4Address, IPv6Address]


@dataclass(frozen=True)
class Proxy:
    """A proxy that can be used.

    Attributes:
        scheme: ``http``, ``https``, ``socks5`` or ``socks5h``.
        host: Name or IP address, without brackets.
        port: The default port of the scheme if the address has none.
        source: ``proxy``, the variable as it is written in the environment, or words for the system.
        auth: User and password, decoded; None if there are none.
    """

    scheme: str
    host: str
    port: int
    source: str
    auth: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The address without user and password."""
        return f"{self.scheme}://{_authority(self.host, self.port)}"

    @property
    def uses_socks(self) -> bool:
        """Whether it speaks SOCKS5 instead of HTTP."""
        return self.scheme.startswith("socks")

    def __str__(self) -> str:
        """Return what errors show: host and port, and where they were found."""
        where = "" if self.source == "proxy" else f" ({self.source})"
        return f"{_authority(self.host, self.port)}{where}"


@redact_traceback
def proxy_for(settings: HTTPSettings, base_url: str) -> Proxy | None:
    """Return the proxy that applies to the address of a server; None to connect directly.

    Raises:
        SekhaConfigError: One applies and cannot be used. One that does not apply is not even looked at.
    """
    if settings.http_client is not None or settings.proxy == DIRECT:
        return None
    if settings.proxy is not None:
        return parse_proxy("proxy", settings.proxy)
    if not settings.trust_env:
        return None
    server = origin(base_url)
    found = _proxy_of_environment(os.environ, server.scheme)
    if found is None and sys.platform in ("darwin", "win32"):
        found = _proxy_of_system(server)
    no_proxy = _find_variable(os.environ, "no_proxy")
    if found is None or (no_proxy is not None and is_exempt(server, no_proxy.value)):
        return None
    return parse_proxy(found.name, found.value, needs_scheme=False)


class _Variable(NamedTuple):
    name: str
    value: str


def _proxy_of_environment(environment: Mapping[str, str], scheme: str) -> _Variable | None:
    """Return the variable that names the proxy for a scheme, if there is one."""
    return _find_variable(environment, f"{scheme}_proxy") or _find_variable(environment, "all_proxy")


def _find_variable(environment: Mapping[str, str], wanted: str) -> _Variable | None:
    """Return a variable that is not blank, in lower case rather than in upper or mixed case."""
    names = [name for name in environment if name.lower() == wanted]
    if "REQUEST_METHOD" in environment and wanted == "http_proxy":
        names = [name for name in names if name == wanted]  # in a CGI script, HTTP_PROXY is a header of the visitor
    for name in sorted(names, key=lambda name: (name != wanted, name != wanted.upper(), name)):
        if value := environment[name].strip():
            return _Variable(name, value)
    return None


def _proxy_of_system(server: Origin) -> _Variable | None:
    """Return the proxy of the system's settings, unless they exempt the server."""
    from urllib import request  # imports much

    read: Any = request.getproxies
    exempts: Any = request.proxy_bypass
    if any(name.lower().endswith("_proxy") and value for name, value in os.environ.items()):
        # The functions above look no further than any such variable, which may be FTP_PROXY or NO_PROXY.
        for system in ("macosx_sysconf", "registry"):
            read = getattr(request, f"getproxies_{system}", read)
            exempts = getattr(request, f"proxy_bypass_{system}", exempts)
    found: Mapping[str, str] = read()
    value = (found.get(server.scheme) or found.get("all") or "").strip()
    if not value or any(exempts(name) for name in dict.fromkeys((server.host, server.authority))):
        return None
    return _Variable(_SYSTEM, value)


# Exemptions


def is_exempt(server: Origin, no_proxy: str) -> bool:
    """Return whether ``no_proxy`` exempts a server: a list of hosts, domains, IP addresses and networks."""
    host = server.host.rstrip(".")
    address = _ip(host)
    return any(_exempts(item, server, host, address) for item in re.split(r"[\s,]+", no_proxy.lower()))


def _exempts(item: str, server: Origin, host: str, address: _IPAddress | None) -> bool:
    """Return whether one item exempts a server; it may begin with a scheme and end with a port."""
    scheme, mark, rest = item.partition("://")
    if mark and scheme not in ("all", server.scheme):
        return False
    item = (rest if mark else item).rstrip("/")
    if item == "*":
        return True
    if "/" in item:
        return _is_in_network(address, item.replace("[", "").replace("]", ""))
    name, port = (item, "") if _ip(item) is not None else _split_port(item)
    if port and port != str(server.port):
        return False
    if address is not None:
        return address == _ip(name)
    name = _ascii(name[1:] if name.startswith("*.") else name).strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _is_in_network(address: _IPAddress | None, network: str) -> bool:
    try:
        return address is not None and address in ip_network(network, strict=False)
    except ValueError:
        return False


def _ip(host: str) -> _IPAddress | None:
    """Return a host as an IP address, in its IPv4 form if it has one; None for a name."""
    try:
        address = ip_address(host.partition("%")[0])  # without the zone, which is the name of an interface here
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _split_port(text: str) -> tuple[str, str]:
    """Split ``host:port`` or ``[host]:port``; the port is empty if there is none."""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        return host, port[1:]
    host, _, port = text.partition(":")
    return host, port


def _ascii(name: str) -> str:
    """Return a name as DNS has it; empty if it cannot be one."""
    try:
        return encode_host(name)
    except UnicodeError:
        return ""


# The address of a proxy


@redact_traceback
def parse_proxy(source: str, value: str, *, needs_scheme: bool = True) -> Proxy:
    """Return the proxy at an address.

    Args:
        source: What the address was given by, for errors.
        value: The address.
        needs_scheme: Whether ``http://`` must be written; variables of the environment may leave it out.

    Raises:
        SekhaConfigError: It cannot be used. The text shows host and port where they are certain, and never anything
            that may be a part of the user or the password.
    """
    text = value.strip()
    scheme, mark, rest = text.partition("://")
    if not mark and needs_scheme:
        raise SekhaConfigError(f"{source}: expected an address such as http://localhost:3128")
    scheme, rest = (scheme.lower(), rest) if mark else ("http", text)
    # Split at the last @, wherever a / or # stands: a password may hold one that should have been encoded.
    userinfo, at, authority = rest.rpartition("@")
    authority = authority.partition("/")[0]
    host, port = _host(authority), _port(authority, _DEFAULT_PORTS.get(scheme, 0))
    shown = _shown(authority, host, port, after_user=bool(at))

    def refuse(problem: str) -> NoReturn:
        raise refuse_proxy(source, shown, problem)

    if scheme not in _DEFAULT_PORTS:
        refuse("its address must start with http://, https://, socks5:// or socks5h://")
    if _NOT_ENCODED.search(userinfo):
        refuse("in its user and password, blanks and characters such as # / ? % must be percent-encoded")
    if host is None:
        refuse("its host is invalid")
    if port is None:
        refuse("its port must be a number from 1 to 65535")
    shown, auth = f" at {_authority(host, port)}", _decode(userinfo)
    if auth is None:
        refuse("its user or password contains characters that cannot be sent")
    proxy = Proxy(scheme, host, port, source, auth if any(auth) else None)
    if proxy.uses_socks and any(len(part.encode()) > _MAX_SOCKS_BYTES for part in auth):
        refuse(f"SOCKS allows at most {_MAX_SOCKS_BYTES} bytes for a user and a password")
    if proxy.uses_socks and find_spec("socksio") is None:
        refuse("SOCKS requires another package: pip install 'httpx[socks]'")
    return proxy


def refuse_proxy(source: str, shown: str, problem: str) -> SekhaConfigError:
    """Return the error for a proxy that cannot be used."""
    advice = "" if source == "proxy" else " (NO_PROXY exempts single servers; trust_env=False ignores such settings)"
    return SekhaConfigError(f"{source}: the proxy{shown} cannot be used: {problem}{advice}")


def _host(authority: str) -> str | None:
    """Return the host of an address, in ASCII and without brackets; None if it is none."""
    if authority.startswith("["):
        inner, bracket, port = authority[1:].partition("]")
        if not bracket or (port and not port.startswith(":")) or "%" in inner:
            return None
        return inner if ":" in inner and _ip(inner) is not None else None
    host = _ascii(authority.partition(":")[0])
    labels = host[:-1].split(".") if host.endswith(".") else host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return None
    if labels[-1].isdigit() and not isinstance(_ip(host), IPv4Address):
        return None
    return host


def _port(authority: str, default: int) -> int | None:
    """Return the port of an address, or the default if it has none; None if it cannot be one."""
    port = authority.rpartition("]")[2].partition(":")[2]
    if not port:
        return default
    return int(port) if _PORT.fullmatch(port) and 1 <= int(port) <= 65535 else None


def _shown(authority: str, host: str | None, port: int | None, *, after_user: bool) -> str:
    """Return host and port for an error, as far as they cannot be a user and the beginning of a password."""
    if host is None:
        return ""
    has_port = authority.rpartition("]")[2].partition(":")[2] != ""
    if not (after_user or "." in host or ":" in host or host == "localhost" or (has_port and port)):
        return ""
    return f" at {_authority(host, port or 0) if has_port and port else host}"


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _decode(userinfo: str) -> tuple[str, str] | None:
    """Return user and password without percent-encoding; None if they cannot be sent."""
    user, _, password = userinfo.partition(":")
    try:
        auth = unquote(user, errors="strict"), unquote(password, errors="strict")
        "".join(auth).encode()  # what the environment has need not be UTF-8
    except UnicodeError:
        return None
    return None if ":" in auth[0] or _CONTROL.search("".join(auth)) else auth
