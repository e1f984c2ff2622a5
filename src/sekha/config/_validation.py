"""Validators of settings: each takes a name and a value, and returns the value normalized.

All raise `SekhaConfigError`, whose message starts with the name and never shows a secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from inspect import iscoroutinefunction, signature
from ssl import SSLContext
from typing import Any, Final, cast
from urllib.parse import urlsplit

from sekha._http.addresses import encode_host, host_problem
from sekha._http.proxies import DIRECT, parse_proxy
from sekha.errors import SekhaConfigError

MAX_SECONDS: Final = 1e8
"""Three years; operating systems do not support much longer timeouts."""
_SSL_CONTEXT: Final = SSLContext.__mro__[-2]
"""The C base class of every context: truststore and gevent replace `ssl.SSLContext` itself."""
NO_LIMIT: Final = "none"
"""Text for "no limit" in environment variables and command-line options."""
_RESERVED_HEADERS: Final = frozenset({"content-length", "content-type", "host", "transfer-encoding"})


def validate_url(name: str, value: object) -> str:
    """Return an HTTP address without its trailing slash; a path prefix is kept."""
    if not isinstance(value, str) or not value.strip():
        raise SekhaConfigError(f"{name}: expected an address such as http://localhost:8080")
    url = value.strip()
    problem = ""
    try:
        url = _with_ascii_host(url)
        parts = urlsplit(url)
        port = parts.port
        if parts.scheme not in ("http", "https"):
            problem = "it must start with http:// or https://"
        elif "@" in parts.netloc:
            problem = "it must not contain a user or password; pass the key as api_key"
        elif not parts.hostname or not parts.hostname.strip("."):
            problem = "it has no host"
        elif found := host_problem(parts.netloc):
            problem = found
        elif port == 0:
            problem = "port 0 cannot be used"
        elif "?" in url:
            problem = "it must not have a query"
        elif "#" in url:
            problem = "it must not have a fragment"
        elif not url.isascii() or any(c <= " " or c in '\x7f\\<>"{}|^`' for c in url):
            problem = "it contains characters that are not allowed in an address"
        elif not {".", ".."}.isdisjoint(parts.path.split("/")):
            problem = "its path must not contain . or .."
    except UnicodeError:
        problem = "its host name cannot be encoded (IDNA)"
    except ValueError:  # its text may contain a password, and depends on the Python version
        authority = url.partition("://")[2].partition("/")[0]
        problem = (host_problem(authority) if "[" in authority else "") or "its host or port is invalid"
    if problem:
        raise SekhaConfigError(f"{name}: {problem}")
    return url.rstrip("/")


def validate_key(name: str, value: object) -> str:
    """Return a key without surrounding whitespace."""
    if not isinstance(value, str) or not value.strip():
        raise SekhaConfigError(f"{name}: expected a key that is not blank")
    key = value.strip()
    if not _fits_a_header(key):
        raise SekhaConfigError(f"{name}: it contains a character that is not allowed in a header, such as a line end")
    return key


def validate_seconds(name: str, value: object, *, also: str = "") -> float:
    """Return a time in seconds, above 0.

    Args:
        name: The setting.
        value: Its value.
        also: Other values that the setting accepts, for the error.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_SECONDS:
        raise _unexpected(name, f"seconds, above 0 and at most {MAX_SECONDS:,.0f}{also}", value)
    return float(value)


def validate_seconds_or_none(name: str, value: object) -> float | None:
    """Return a time in seconds, or None for no limit."""
    return None if value is None else validate_seconds(name, value, also=", or None for no limit")


def validate_wait(name: str, value: object) -> float | None:
    """Return a time in seconds, 0 to not wait, or None for no limit."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0:
        return 0.0
    also = ", 0 to not wait, or None for no limit"
    return None if value is None else validate_seconds(name, value, also=also)


def validate_count(name: str, value: object) -> int:
    """Return a whole number of at least 0."""
    return _integer(name, value, minimum=0)


def validate_positive_count(name: str, value: object) -> int:
    """Return a whole number of at least 1."""
    return _integer(name, value, minimum=1)


def validate_limit(name: str, value: object) -> int | None:
    """Return a whole number of at least 1, or None for no limit, which may be written as "none"."""
    if value is None or (isinstance(value, str) and value.strip().lower() == NO_LIMIT):
        return None
    return _integer(name, value, minimum=1, also=", or None for no limit")


def parse_limit(text: str) -> int | str:
    """Return the number in a text, or the text itself if it says that there is no limit."""
    return text if text.lower() == NO_LIMIT else int(text)


def validate_write_gate(name: str, value: object) -> object:
    """Return the scope of the write limit: a word, or a gate."""
    return _gate(name, value, "shared", "process")


def validate_rate_limiter(name: str, value: object) -> object:
    """Return the scope of the rate limit: a word, or a gate."""
    return _gate(name, value, "process")


def validate_flag(name: str, value: object) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise _unexpected(name, "True or False", value)
    return value


def validate_hook(name: str, value: object) -> object:
    """Return a function that is not a coroutine function."""
    if not callable(value) or iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):
        raise SekhaConfigError(f"{name}: expected a plain function; async clients do not await it")
    return value


def validate_verify(name: str, value: object) -> bool | str | SSLContext:
    """Return how server certificates are verified; a path as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, _SSL_CONTEXT):
        return cast(SSLContext, value)
    path = _path(value)
    if path is None:
        raise _unexpected(name, "True, False, a path, or an ssl.SSLContext", value)
    return path


def validate_cert(name: str, value: object) -> object:
    """Return a client certificate: None, a path as text, or a tuple of certificate, key, and optionally password."""
    if value is None:
        return None
    path = _path(value)
    if path is not None:
        return path
    parts = tuple(cast("tuple[object, ...]", value)) if isinstance(value, (tuple, list)) else ()
    paths, password = tuple(map(_path, parts[:2])), parts[2:]
    if len(parts) not in (2, 3) or None in paths or not all(isinstance(part, str) for part in password):
        raise SekhaConfigError(f"{name}: expected a path, (certificate, key), or (certificate, key, password)")
    return (*paths, *password)


def validate_proxy(name: str, value: object) -> str:
    """Return the address of a supported proxy, or "none" to connect directly."""
    if not isinstance(value, str):
        raise _unexpected(name, "an address such as http://localhost:3128", value)
    if value.strip().lower() == DIRECT:
        return DIRECT
    parse_proxy(name, value)
    return value.strip()


def validate_headers(name: str, value: object) -> dict[str, str]:
    """Return a copy of headers with valid names and values."""
    if not isinstance(value, Mapping):
        raise _unexpected(name, "a mapping of names to values", value)
    headers: dict[str, str] = {}
    for key, text in cast("Mapping[object, object]", value).items():
        if (
            not isinstance(key, str)
            or not key
            or not all(33 <= ord(c) < 127 and c not in ':"(),/;<=>?@[\\]{}' for c in key)
        ):
            raise SekhaConfigError(f"{name}: invalid header name; expected one such as X-Request-ID")
        if key.lower() in _RESERVED_HEADERS:
            raise SekhaConfigError(f"{name}: {key} is set by the library and cannot be changed")
        if not isinstance(text, str) or not _fits_a_header(text):
            raise SekhaConfigError(f"{name}: the value of {key} must be a single line of Latin-1 text")
        headers[key] = text.strip()
    return headers


def accept_any(name: str, value: Any) -> Any:
    """Return the value unchecked: an httpx client is checked where it is used, since httpx is not imported here."""
    return value


def _with_ascii_host(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc.isascii() or "@" in parts.netloc:
        return url
    host, colon, port = parts.netloc.partition(":")
    return url.replace(parts.netloc, encode_host(host) + colon + port, 1)


def _gate(name: str, value: object, *words: str) -> object:
    """Return one of the allowed words, or an object that has the interface of `sekha.gates.Gate`."""
    problem, acquire, meant_for = "", getattr(value, "acquire", None), getattr(value, "_setting", name)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in words:
            return word
        problem = ", not an address; see sekha.integrations.redis" if "://" in value else f"; got {word[:20]!r}"
    elif isinstance(value, type):
        problem = f": pass an instance, {value.__name__}(...)"
    elif not callable(acquire):
        problem = f"; got {type(value).__name__}"
    elif meant_for != name:
        problem = f": a {type(value).__name__} is for {meant_for}"
    else:
        try:
            signature(acquire).bind(0.0)
        except TypeError:
            problem = f": acquire() of {type(value).__name__} must accept one argument, the remaining seconds"
        except ValueError:
            pass  # a C function without a signature
    if problem:
        choices = " or ".join(map(_quoted, words))
        raise SekhaConfigError(f"{name}: expected {choices}, or a gate with acquire(deadline){problem}")
    return value


def _quoted(word: str) -> str:
    return f'"{word}"'


def _path(value: object) -> str | None:
    """Return a path as text, or None if it is not a path."""
    path = os.fspath(cast("os.PathLike[Any]", value)) if isinstance(value, (str, os.PathLike)) else None
    return path if isinstance(path, str) and path.strip() else None


def _fits_a_header(text: str) -> bool:
    return all(32 <= ord(c) < 127 or 160 <= ord(c) < 256 for c in text)


def _integer(name: str, value: object, *, minimum: int, also: str = "") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise _unexpected(name, f"a whole number of at least {minimum}{also}", value)
    return value


def _unexpected(name: str, expected: str, value: object) -> SekhaConfigError:
    """Return the error for a value; of anything but a number or a flag, it names the type: a text may be a secret."""
    got = repr(value) if value is None or isinstance(value, (bool, int, float)) else type(value).__name__
    return SekhaConfigError(f"{name}: expected {expected}; got {got}")
