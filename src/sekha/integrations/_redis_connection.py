"""Connecting to Redis: addresses, and what its errors mean."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

from redis import Redis, RedisCluster, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from sekha._utils.redaction import redact_traceback
from sekha.errors import SekhaConfigError, SekhaConnectionError, SekhaError

_TIMEOUT: Final = 5.0
_DEAD: Final = (exceptions.ConnectionError,)
_NO_PERMISSION: Final = ("NOPERM", "no permissions", "can't run this command")
"""What Redis says of a command that its user may not use; the last of one in a script."""
_URL: Final = re.compile(r"(?i)(rediss?|unix)://")
_UNKNOWN_OPTION: Final = re.compile(r"unexpected keyword argument '(\w{1,50})'")
_DATABASE: Final = re.compile(r"/?[0-9]*/?")


@redact_traceback
def connect(redis: object) -> Any:
    """Return a client of Redis."""
    if isinstance(redis, (Redis, RedisCluster)):
        return redis
    if not isinstance(redis, str):
        kind = f"{type(redis).__module__}.{type(redis).__qualname__}"
        raise SekhaConfigError(
            f"redis: expected an address such as redis://localhost:6379, or a redis.Redis; got {kind}"
        )
    url = redis.strip()
    try:
        problem = _url_problem(url)
        if not problem:
            made: Any = Redis  # the types of its keywords are unknown
            client = made.from_url(
                url,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                retry=Retry(NoBackoff(), 1, supported_errors=_DEAD),  # once: a connection that was idle may be dead
                retry_on_error=list(_DEAD),
            )
            pool = client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # it looks at the options, and does not connect yet
            return client
    except (ValueError, TypeError, AttributeError, exceptions.RedisError) as error:
        unknown = _UNKNOWN_OPTION.search(str(error)) if isinstance(error, TypeError) else None
        problem = f"there is no option {unknown[1]!r}" if unknown else "it is invalid"
    raise SekhaConfigError(f"redis: expected an address such as redis://localhost:6379; {problem}")


def _url_problem(url: str) -> str:
    """Return why an address cannot be meant, or an empty text; redis-py would connect elsewhere."""
    if _URL.match(url) is None:
        return "it must start with redis://, rediss:// or unix://"
    parts = urlsplit(url)
    if parts.scheme != "unix" and (parts.fragment or "@" in parts.query or not _DATABASE.fullmatch(parts.path)):
        return (
            "special characters in the user or password must be percent-encoded, and the path must be the number of a "
            "database, such as /0"
        )
    return ""


def mask(url: str) -> str:
    """Return an address without its password."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if ":" in user:
        user = f"{user.partition(':')[0]}:***"
    query = re.sub(r"(?i)(password=)[^&]*", r"\1***", parts.query)
    return parts._replace(netloc=user + at + host, query=query).geturl()


def address_of(client: Any) -> str:
    """Return where a client of the user connects to."""
    try:
        kwargs = client.connection_pool.connection_kwargs
    except AttributeError:
        node = client.get_default_node()
        kwargs = {"host": node.host, "port": node.port}
    if kwargs.get("path"):
        return f"unix://{kwargs['path']}"
    return f"redis://{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}/{kwargs.get('db') or 0}"


def redis_error(setting: str, shown: str, error: Exception) -> SekhaError:
    """Return the error of the client for one of Redis.

    Args:
        setting: The setting of the gate.
        shown: Where Redis is, without its password.
        error: What redis has raised.
    """
    text, where = " ".join(str(error).split()) or type(error).__name__, f"{setting}: Redis at {shown}"
    if isinstance(error, (exceptions.AuthenticationError, exceptions.AuthorizationError)):
        return SekhaConfigError(f"{where} rejected the user or password: {text}")
    if isinstance(error, exceptions.NoPermissionError) or any(words in text for words in _NO_PERMISSION):
        return SekhaConfigError(f"{where} does not grant its user the required permissions: {text}")
    if isinstance(error, exceptions.ReadOnlyError) or "READONLY" in text or "read only replica" in text:
        return SekhaConnectionError(f"{where} is a read-only replica; pass the address of the primary")
    if isinstance(error, exceptions.OutOfMemoryError) or "OOM command" in text:
        return SekhaConnectionError(f"{where} has no memory left (its maxmemory)")
    if isinstance(error, exceptions.TimeoutError):
        return SekhaConnectionError(f"{where} did not respond in time")
    if isinstance(error, exceptions.BusyLoadingError):
        return SekhaConnectionError(f"{where} has just started and is loading its data")
    if isinstance(error, (exceptions.ConnectionError, exceptions.ClusterDownError, OSError)):
        return SekhaConnectionError(f"{where} cannot be reached: {text}")
    return SekhaConfigError(f"{where} cannot be used: {text}")
