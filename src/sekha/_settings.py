"""Settings one by one: what each may be, what the environment says of it, and how it is shown."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from importlib.util import find_spec
from inspect import iscoroutinefunction
from ssl import SSLContext
from typing import Any, Final, cast
from urllib.parse import urlsplit

from sekha._utils.sentinel import NOT_GIVEN
from sekha.errors import SekhaConfigError

ENVIRONMENT: Final[Mapping[str, str]] = {
    "controller_url": "SEKHA_CONTROLLER_URL",
    "api_key": "SEKHA_API_KEY",
    "bridge_url": "SEKHA_BRIDGE_URL",
    "bridge_api_key": "SEKHA_BRIDGE_API_KEY",
    "mcp_api_key": "SEKHA_MCP_API_KEY",
    "timeout": "SEKHA_TIMEOUT",
    "max_retries": "SEKHA_MAX_RETRIES",
}
LONGEST: Final = 1e8
"""Seconds, three years; the clocks of operating systems end somewhere beyond."""
_OURS: Final = frozenset({"content-length", "content-type", "host", "transfer-encoding"})
_URLS: Final = frozenset({"controller_url", "bridge_url", "base_url"})
_KEYS: Final = frozenset({"api_key", "bridge_api_key", "mcp_api_key"})
_HOOKS: Final = frozenset({"on_request", "on_response", "on_retry"})
_NONE_IS_MISSING: Final = _URLS | _KEYS | _HOOKS | {"proxy", "headers", "http_client"}


def from_environment(
    environment: Mapping[str, str | None], names: Iterable[str] = ENVIRONMENT, *, but: Container[str] = ()
) -> dict[str, Any]:
    """The settings that an environment holds, as values; an empty variable counts as not set.

    Args:
        environment: Variables and their values.
        names: The settings to look for.
        but: Settings to leave out, since something stronger says what they are.
    """
    found: dict[str, Any] = {}
    for name in names:
        variable = ENVIRONMENT[name]
        text = (environment.get(variable) or "").strip()
        if not text or name in but:
            continue
        try:
            value = int(text) if name == "max_retries" else float(text) if name == "timeout" else text
        except ValueError:
            kind = "whole number" if name == "max_retries" else "number"
            raise SekhaConfigError(f"{variable}: a {kind} is needed, not {text[:40]!r}") from None
        try:
            found[name] = checked_setting(name, value)
        except SekhaConfigError as error:
            raise SekhaConfigError(f"{variable}: {error.message.partition(': ')[2]}") from None
    return found


def without_missing(values: Mapping[str, object]) -> dict[str, Any]:
    """The values that were given; None means something for numbers only."""
    return {
        name: value
        for name, value in values.items()
        if value is not NOT_GIVEN and not (value is None and name in _NONE_IS_MISSING)
    }


def shown(name: str, value: object) -> str:
    if name in _KEYS:
        return "'***'"
    if name == "headers" and isinstance(value, Mapping):
        return repr(dict.fromkeys(cast("Mapping[str, str]", value), "***"))
    if name == "proxy":
        return "'***'"  # may hold a password
    if name == "cert" and isinstance(value, (tuple, list)):
        parts = cast("tuple[object, ...]", value)
        return repr((*parts[:2], *("***" for _ in parts[2:])))  # the third is a password
    if name in _HOOKS:
        return f"<{getattr(value, '__qualname__', type(value).__qualname__)}>"  # its repr may show what it holds
    return repr(value)


def checked_setting(name: str, value: Any) -> Any:
    """A setting in the form in which it is used.

    Raises:
        SekhaConfigError: It cannot be used; the message names it.
    """
    if name in _URLS:
        return checked_url(name, value)
    if name in _KEYS:
        return checked_key(name, value)
    if name in ("timeout", "deadline"):
        return None if value is None else _number(name, value, above=0)
    if name == "rate_limit_window":
        return _number(name, value, above=0)
    if name == "max_retries":
        return _integer(name, value, least=0)
    if name in ("rate_limit_requests", "max_connections", "max_concurrent_writes", "max_response_bytes"):
        return _integer(name, value, least=1)
    if name == "headers":
        return checked_headers(value)
    if name == "proxy":
        return _checked_proxy(value)
    if name == "verify" and not isinstance(value, (bool, str, SSLContext)):
        raise SekhaConfigError("verify: True, False, a path, or an ssl.SSLContext is needed")
    if name == "cert" and not _is_cert(value):
        raise SekhaConfigError("cert: a path, or two or three strings (certificate, key, password) are needed")
    if name in ("trust_env", "tracing") and not isinstance(value, bool):
        raise SekhaConfigError(f"{name}: True or False is needed")
    if name in _HOOKS and (
        not callable(value) or iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__)
    ):
        raise SekhaConfigError(f"{name}: a plain function is needed; the async clients call it without awaiting it")
    return value


def checked_url(name: str, value: object) -> str:
    """An address without a slash at its end; a prefix path stays.

    Raises:
        SekhaConfigError: It is no http address, or has user, password, query or fragment.
    """
    if not isinstance(value, str) or not value.strip():
        raise SekhaConfigError(f"{name}: an address such as http://localhost:8080 is needed")
    url = value.strip()
    problem = ""
    try:
        parts = urlsplit(url)
        port = parts.port
        if parts.scheme not in ("http", "https"):
            problem = "it must begin with http:// or https://"
        elif "@" in parts.netloc:
            problem = "it must not hold a user or password; pass the key as api_key"
        elif not parts.hostname:
            problem = "it has no host"
        elif port == 0:
            problem = "port 0 cannot be used"
        elif "?" in url:
            problem = "it must not have a query"
        elif "#" in url:
            problem = "it must not have a fragment"
        elif not url.isascii() or any(c <= " " or c in '\x7f\\<>"{}|^`' for c in url):
            problem = "it has characters that an address cannot have"
        elif not {".", ".."}.isdisjoint(parts.path.split("/")):
            problem = "it must not have . or .. in its path"
    except ValueError:  # its text may hold a password
        problem = "its host or port cannot be read"
    if problem:
        raise SekhaConfigError(f"{name}: {problem}")
    return url.rstrip("/")


def checked_key(name: str, value: object) -> str:
    """A key without white space around it.

    Raises:
        SekhaConfigError: It is blank or cannot stand in a header; the message shows no part of it.
    """
    if not isinstance(value, str) or not value.strip():
        raise SekhaConfigError(f"{name}: a key that is not blank is needed")
    inner = value.strip()
    if not _fits_a_header(inner):
        raise SekhaConfigError(f"{name}: it has a character that a header cannot hold, such as a line end")
    return inner


def checked_headers(value: object) -> dict[str, str]:
    """Headers as text, with names and values that can be sent."""
    if not isinstance(value, Mapping):
        raise SekhaConfigError("headers: a mapping from names to values is needed")
    pairs = cast("Mapping[object, object]", value).items()
    headers: dict[str, str] = {}
    for key, text in pairs:
        if (
            not isinstance(key, str)
            or not key
            or not all(33 <= ord(c) < 127 and c not in ':"(),/;<=>?@[\\]{}' for c in key)
        ):
            raise SekhaConfigError("headers: a name must be a word such as X-Request-ID")
        if key.lower() in _OURS:
            raise SekhaConfigError(f"headers: {key} is set for each request and cannot be given")
        if not isinstance(text, str) or not _fits_a_header(text):
            raise SekhaConfigError(f"headers: the value of {key} must be one line of Latin text")
        headers[key] = text.strip()
    return headers


def _checked_proxy(value: object) -> str:
    scheme = urlsplit(value).scheme if isinstance(value, str) else ""
    if scheme not in ("http", "https", "socks5", "socks5h"):
        raise SekhaConfigError("proxy: an address such as http://localhost:3128 is needed")
    if scheme.startswith("socks") and find_spec("socksio") is None:
        raise SekhaConfigError("proxy: a SOCKS proxy needs another package: pip install 'httpx[socks]'")
    return str(value)


def _is_cert(value: object) -> bool:
    if value is None or isinstance(value, str):
        return True
    return (
        isinstance(value, tuple)
        and len(cast("tuple[object, ...]", value)) in (2, 3)
        and all(isinstance(part, str) for part in cast("tuple[object, ...]", value))
    )


def _fits_a_header(text: str) -> bool:
    return all(32 <= ord(c) < 127 or 160 <= ord(c) < 256 for c in text)


def _number(name: str, value: object, *, above: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not above < value <= LONGEST:
        raise SekhaConfigError(f"{name}: a number above {above:g} and at most {LONGEST:g} is needed (seconds)")
    return float(value)


def _integer(name: str, value: object, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SekhaConfigError(f"{name}: a whole number of at least {least} is needed")
    return value
