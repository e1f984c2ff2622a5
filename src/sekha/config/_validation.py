"""Validators of settings: each takes a name and a value, and returns the value in the form in which it is used.

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
"""Three years; the clocks of operating systems end somewhere beyond."""
_SSL_CONTEXT: Final = SSLContext.__mro__[-2]
"""The class in C of every context: `ssl.SSLContext` may be another class, since truststore and gevent replace it."""
NO_LIMIT: Final = "none"
"""How an environment, or options that are all text, say that there is no limit."""
_RESERVED_HEADERS: Final = frozenset({"content-length", "content-type", "host", "transfer-encoding"})


def validate_url(name: str, value: object) -> str:
    """Return an http address without a slash at its end; its prefix path is kept."""
    if not isinstance(value, str) or not value.strip():
        raise SekhaConfigError(f"{name}: an address such as http://localhost:8080 is needed")
    url = value.strip()
    problem = ""
    try:
        url = _with_ascii_host(url)
        parts = urlsplit(url)
        port = parts.port
        if parts.scheme not in ("http", "https"):
            problem = "it must begin with http:// or https://"
        elif "@" in parts.netloc:
            problem = "it must not hold a user or password; pass the key as api_key"
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
            problem = "it has characters that an address cannot have"
        elif not {".", ".."}.isdisjoint(parts.path.split("/")):
            problem = "it must not have . or .. in its path"
    except UnicodeError:
        problem = "the name of its host cannot be encoded (IDNA)"
    except ValueError:  # its text may hold a password; which hosts in brackets are one depends on the Python
        authority = url.partition("://")[2].partition("/")[0]
        problem = (host_problem(authority) if "[" in authority else "") or "its host or port cannot be read"
    if problem:
        raise SekhaConfigError(f"{name}: {problem}")
    return url.rstrip("/")


def validate_key(name: str, value: object) -> str:
    """Return a key without white space around it."""
    if not isinstance(value, str) or not value.strip():
        raise SekhaConfigError(f"{name}: a key that is not blank is needed")
    key = value.strip()
    if not _fits_a_header(key):
        raise SekhaConfigError(f"{name}: it has a character that a header cannot hold, such as a line end")
    return key


def validate_seconds(name: str, value: object) -> float:
    """Return a time in seconds, above 0."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_SECONDS:
        raise SekhaConfigError(f"{name}: a number above 0 and at most {MAX_SECONDS:g} is needed (seconds)")
    return float(value)


def validate_seconds_or_none(name: str, value: object) -> float | None:
    """Return a time in seconds, or None for no limit."""
    return None if value is None else validate_seconds(name, value)


def validate_wait(name: str, value: object) -> float | None:
    """Return a time in seconds, 0 for not waiting, or None for no limit."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0:
        return 0.0
    try:
        return validate_seconds_or_none(name, value)
    except SekhaConfigError as error:
        raise SekhaConfigError(f"{error.message}, 0 for not waiting, or None for no limit") from None


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
    try:
        return _integer(name, value, minimum=1)
    except SekhaConfigError as error:
        raise SekhaConfigError(f"{error.message}, or None for no limit") from None


def parse_limit(text: str) -> int | str:
    """Return the number in a text, or the text itself if it says that there is no limit."""
    return text if text.lower() == NO_LIMIT else int(text)


def validate_write_gate(name: str, value: object) -> object:
    """Return who shares the limit of writes: a word, or a gate."""
    return _gate(name, value, "shared", "process")


def validate_rate_limiter(name: str, value: object) -> object:
    """Return who shares the rate limit: a word, or a gate."""
    return _gate(name, value, "process")


def validate_flag(name: str, value: object) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise SekhaConfigError(f"{name}: True or False is needed")
    return value


def validate_hook(name: str, value: object) -> object:
    """Return a function that can be called without awaiting it."""
    if not callable(value) or iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):
        raise SekhaConfigError(f"{name}: a plain function is needed; the async clients call it without awaiting it")
    return value


def validate_verify(name: str, value: object) -> bool | str | SSLContext:
    """Return what server certificates are checked against; a path as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, _SSL_CONTEXT):
        return cast(SSLContext, value)
    path = _path(value)
    if path is None:
        raise SekhaConfigError(f"{name}: True, False, a path, or an ssl.SSLContext is needed")
    return path


def validate_cert(name: str, value: object) -> object:
    """Return a client certificate: None, a path as text, or a tuple of certificate, key, and perhaps password."""
    if value is None:
        return None
    path = _path(value)
    if path is not None:
        return path
    parts = tuple(cast("tuple[object, ...]", value)) if isinstance(value, (tuple, list)) else ()
    paths, password = tuple(map(_path, parts[:2])), parts[2:]
    if len(parts) not in (2, 3) or None in paths or not all(isinstance(part, str) for part in password):
        raise SekhaConfigError(f"{name}: a path, or two paths (certificate, key) and perhaps a password are needed")
    return (*paths, *password)


def validate_proxy(name: str, value: object) -> str:
    """Return the address of a proxy that can be used, or "none" for no proxy at all."""
    if not isinstance(value, str):
        raise SekhaConfigError(f"{name}: an address such as http://localhost:3128 is needed")
    if value.strip().lower() == DIRECT:
        return DIRECT
    parse_proxy(name, value)
    return value.strip()


def validate_headers(name: str, value: object) -> dict[str, str]:
    """Return a copy of headers whose names and values can be sent."""
    if not isinstance(value, Mapping):
        raise SekhaConfigError(f"{name}: a mapping from names to values is needed")
    headers: dict[str, str] = {}
    for key, text in cast("Mapping[object, object]", value).items():
        if (
            not isinstance(key, str)
            or not key
            or not all(33 <= ord(c) < 127 and c not in ':"(),/;<=>?@[\\]{}' for c in key)
        ):
            raise SekhaConfigError(f"{name}: a name must be a word such as X-Request-ID")
        if key.lower() in _RESERVED_HEADERS:
            raise SekhaConfigError(f"{name}: {key} is set for each request and cannot be given")
        if not isinstance(text, str) or not _fits_a_header(text):
            raise SekhaConfigError(f"{name}: the value of {key} must be one line of Latin text")
        headers[key] = text.strip()
    return headers


def accept_any(name: str, value: Any) -> Any:
    """Return a value that is checked where it is used: a client of httpx, which is not imported here."""
    return value


def _with_ascii_host(url: str) -> str:
    parts = urlsplit(url)
    if parts.netloc.isascii() or "@" in parts.netloc:
        return url
    host, colon, port = parts.netloc.partition(":")
    return url.replace(parts.netloc, encode_host(host) + colon + port, 1)


def _gate(name: str, value: object, *words: str) -> object:
    """Return one of some words, or an object that can be asked as `sekha.gates.Gate` is."""
    problem, acquire, meant_for = "", getattr(value, "acquire", None), getattr(value, "_setting", name)
    if isinstance(value, str):
        word = value.strip().lower()
        if word in words:
            return word
        problem = ", not an address; see sekha.integrations.redis" if "://" in value else f", not {word[:20]!r}"
    elif isinstance(value, type):
        problem = f": make one of the class, {value.__name__}(...)"
    elif not callable(acquire):
        problem = f", not {type(value).__name__}"
    elif meant_for != name:
        problem = f": a {type(value).__name__} is for {meant_for}"
    else:
        try:
            signature(acquire).bind(0.0)
        except TypeError:
            problem = f": acquire() of {type(value).__name__} cannot be called with the seconds that are left"
        except ValueError:
            pass  # a function in C that does not say what it takes
    if problem:
        choices = " or ".join(map(_quoted, words))
        raise SekhaConfigError(f"{name}: {choices}, or a gate with acquire(deadline) is needed{problem}")
    return value


def _quoted(word: str) -> str:
    return f'"{word}"'


def _path(value: object) -> str | None:
    """Return a path as text, None if it is none."""
    path = os.fspath(cast("os.PathLike[Any]", value)) if isinstance(value, (str, os.PathLike)) else None
    return path if isinstance(path, str) and path.strip() else None


def _fits_a_header(text: str) -> bool:
    return all(32 <= ord(c) < 127 or 160 <= ord(c) < 256 for c in text)


def _integer(name: str, value: object, *, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise SekhaConfigError(f"{name}: a whole number of at least {minimum} is needed")
    return value
