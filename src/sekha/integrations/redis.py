"""Limits that several machines share through Redis: concurrent writes, and requests in a sliding window.

Install the extra: `pip install 'sekha-python-sdk[redis]'`. Requires Redis 5 or later, or a server that supports its Lua
scripts, such as Valkey. Both gates work with both client types.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Optional, Union

from sekha._concurrency.clock import monotonic
from sekha._concurrency.primitives import PerProcess
from sekha._transport.gates import PolledGate, ServerLimits, WriteRelease
from sekha._transport.write_locks import is_loopback, lock_name
from sekha._utils.frames import warn_user
from sekha._utils.redaction import redact_traceback
from sekha.config._validation import validate_positive_count, validate_seconds, validate_wait
from sekha.errors import SekhaConfigError

from . import _redis_scripts as scripts
from ._extra import extra_imports

with extra_imports("redis"):
    from redis import Redis, RedisCluster, exceptions

    from ._redis_connection import address_of, connect, mask, redis_error
    from ._redis_leases import Leases

__all__ = ["RedisRateLimiter", "RedisWriteGate", "WriteRelease"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


_MICRO: Final = 1_000_000
_PATIENCE: Final = 5 * _MICRO
"""Microseconds after which a caller that has stopped polling is removed from the queue."""
_NOTE: Final = 600_000
"""Milliseconds for which a successful write is remembered: after a longer pause, the next write runs alone again."""
_SHORT_POLL: Final = 0.02
_LONG_POLL: Final = 0.25
_MAX_WAIT: Final = 1.0
"""Seconds between two polls of a waiting caller."""
_NAME: Final = re.compile(r"[^\s{}\x00-\x20]{1,200}")


class _RedisGate(PolledGate):
    """Base of both gates: Redis, names of keys, and errors."""

    def __init__(self, redis: object, name: object, prefix: object) -> None:
        self._url: str | None = redis.strip() if isinstance(redis, str) else None
        self._name = _checked_name("name", name) if name is not None else None
        self._prefix = _checked_name("prefix", prefix)
        self._redis: Any = connect(redis)
        self._shown = mask(self._url) if self._url is not None else address_of(self._redis)
        self._scripts: dict[str, Any] = {}

    def _options(self) -> dict[str, object]:
        """Return the arguments other than Redis that differ from their defaults."""
        options: dict[str, object] = {"name": self._name}
        if self._prefix != "sekha":
            options["prefix"] = self._prefix
        return {name: value for name, value in options.items() if value is not None}

    def __repr__(self) -> str:
        shown = [repr(self._shown), *(f"{name}={value!r}" for name, value in self._options().items())]
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)) or self._url is None:
            return self is other
        return (self._url, self._options()) == (other._url, other._options())

    def __hash__(self) -> int:
        return hash((type(self), self._url or id(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        if self._url is None:
            raise TypeError(
                f"{type(self).__name__} cannot be pickled with your own Redis client, which belongs to this process; "
                "create it from an address such as redis://localhost:6379"
            )
        return (_make, (type(self), self._url, self._options()))

    def _check(self, server: ServerLimits) -> None:
        if self._name is None and is_loopback(server.base_url):
            warn_user(
                f"other machines use another address for {server.base_url} and do not share its limits in Redis; pass "
                "the same name=... to RedisWriteGate and RedisRateLimiter on all machines"  # the same text: shown once
            )

    def _keys(self, server: ServerLimits | None, *names: str) -> list[str]:
        """Return the names of keys; the part in braces keeps them on one node of a cluster."""
        if self._name is None and server is None:
            raise SekhaConfigError("name: required if the gate is used without a client")
        server_name = self._name or (lock_name(server.base_url) if server is not None else "")
        where = f"{server.service if server is not None else 'controller'}:{server_name}"
        return [f"{self._prefix}:{{{where}}}:{name}" for name in names]

    def _run(self, script: str, keys: Sequence[str], arguments: Sequence[object]) -> Any:
        """Run a script in Redis, and return its result.

        Raises:
            SekhaError: Redis cannot be reached, or rejects the script.
        """
        registered = self._scripts.get(script)
        if registered is None:
            registered = self._scripts[script] = self._redis.register_script(script)
        try:
            return registered(keys=keys, args=arguments)
        except (exceptions.RedisError, exceptions.RedisClusterException, OSError) as error:
            found = redis_error(self._setting, self._shown, error)
        raise found  # not from within: the frames of redis contain the password

    def _wait_for(self, turn: _WriteTurn | _TokenTurn, deadline: float | None) -> bool:
        """Wait in the calling thread; return False if the deadline passed first."""
        ends = None if deadline is None else monotonic() + deadline
        try:
            while (wait := turn.try_enter()) > 0:
                left = None if ends is None else ends - monotonic()
                if left is not None and left <= 0:
                    turn.leave(stored=False)
                    return False
                time.sleep(wait if left is None else min(wait, left))
        except BaseException:
            turn.leave(stored=False)
            raise
        return True


class RedisWriteGate(_RedisGate):
    """Write gate that limits concurrent writes of all clients on all machines together.

    Pass it to a client as ``write_gate``. The first write to a server runs alone, on whichever machine; a write is the
    first one if none has succeeded for ten minutes. Callers are served in order of arrival.

    A write holds its slot with a lease, which a thread renews as long as the write takes. The slots of a killed process
    or machine are freed when their leases expire.

    Args:
        redis: Address of Redis, such as ``redis://:password@redis:6379/0``, ``rediss://...`` for TLS, ``unix://...``;
            or your own ``redis.Redis`` or ``redis.RedisCluster``.
        name: Name of the Sekha server, the same on all machines; default: host and port of its address. Required if
            machines use different addresses for the server, such as ``localhost``.
        limit: Concurrent writes; default: ``max_concurrent_writes`` of the client. Use the same value on all machines.
        lease: Seconds after which the slot of a killed process is freed; default 30, at least 1.
        prefix: Prefix of the names of all keys; default ``sekha``.

    Raises:
        SekhaConfigError: An argument is invalid.

    Example:
        ```python
        from sekha import SekhaClient
        from sekha.integrations.redis import RedisWriteGate

        gate = RedisWriteGate("redis://localhost:6379", name="memory")
        with SekhaClient(
            controller_url="http://localhost:8080", api_key="sk-your-api-key", write_gate=gate
        ) as client:
            client.controller.create_conversation(
                messages=[{"role": "user", "content": "Hello Sekha!"}]
            )
        ```
    """

    _setting = "write_gate"

    @redact_traceback
    def __init__(
        self,
        redis: Union[str, Redis, RedisCluster],
        *,
        name: Optional[str] = None,
        limit: Optional[int] = None,
        lease: float = 30.0,
        prefix: str = "sekha",
    ) -> None:
        super().__init__(redis, name, prefix)
        self._limit = None if limit is None else validate_positive_count("limit", limit)
        self._lease = validate_seconds("lease", lease)
        if self._lease < 1:
            raise SekhaConfigError("lease: expected at least 1 second")
        self._leases = PerProcess(lambda: Leases(self._renew, self._lease / 3))

    def _options(self) -> dict[str, object]:
        options = super()._options()
        if self._limit is not None:
            options["limit"] = self._limit
        if self._lease != 30.0:
            options["lease"] = self._lease
        return options

    def _turn(self, server: Optional[ServerLimits]) -> _WriteTurn:
        """Return the turn of one write; for the clients."""
        limit = self._limit or (server.max_concurrent_writes if server is not None else 4)
        return _WriteTurn(self, self._keys(server, *_WRITE_KEYS), limit)

    def acquire(self, deadline: Optional[float] = None, /) -> Optional[WriteRelease]:
        """Wait for a slot without a client, for programs that write in another way; requires ``name``.

        Args:
            deadline: Seconds that it may wait, 0 for none; None means no limit.

        Returns:
            A function that releases the slot; None if the deadline passed first. Call it with ``stored=True`` if the
            write has succeeded: until one has, writes run one by one. Without it, the write counts as failed.

        Raises:
            SekhaConfigError: ``name`` is missing, ``deadline`` is invalid, or Redis does not grant the required
                permissions.
            SekhaConnectionError: Redis cannot be reached.
        """
        seconds, turn = validate_wait("deadline", deadline), self._turn(None)
        return WriteRelease(lambda stored: turn.leave(stored=stored)) if self._wait_for(turn, seconds) else None

    def _renew(self, key: str, tokens: Sequence[str]) -> None:
        self._run(scripts.RENEW_WRITES, [key], [int(self._lease * _MICRO), *tokens])


_WRITE_KEYS: Final = ("writes:held", "writes:queue", "writes:seen", "writes:noted")


class _WriteTurn:
    """The turn of one write.

    Args:
        gate: The gate.
        keys: The names of its keys.
        limit: Concurrent writes.
    """

    def __init__(self, gate: RedisWriteGate, keys: Sequence[str], limit: int) -> None:
        self._gate = gate
        self._keys = keys
        self._limit = limit
        self._token = _new_token()
        self._has_asked = self._has_left = False
        self.others_have_written = False

    def try_enter(self) -> float:
        """Return 0 if the write may be sent, else the seconds until the next poll."""
        self._has_asked = True
        arguments = [self._token, self._limit, int(self._gate._lease * _MICRO), _PATIENCE]
        ahead, noted = self._gate._run(scripts.ENTER_WRITE, self._keys, arguments)
        self.others_have_written = bool(noted)
        if ahead <= 0:
            self._gate._leases.get().add(self._token, self._keys[0])
        if self._has_left:  # in the meantime, in another thread
            self._leave(stored=False)
        elif ahead <= 0:
            return 0.0
        return min(_SHORT_POLL * int(ahead), _LONG_POLL)

    def enter_now(self) -> None:
        """Count a write that is sent regardless of the limit."""
        self.try_enter()

    def leave(self, *, stored: bool) -> None:
        """Release the slot, or stop waiting for it."""
        self._has_left = True
        if self._has_asked:
            self._leave(stored=stored)
            self._has_asked = False

    def _leave(self, *, stored: bool) -> None:
        self._gate._leases.get().discard(self._token)
        self._gate._run(scripts.LEAVE_WRITE, self._keys, [self._token, int(stored), _NOTE])


class RedisRateLimiter(_RedisGate):
    """Rate limiter for all clients on all machines together, with a sliding window.

    Pass it to a client as ``rate_limiter``. Any sliding window has at most the given number of requests; callers are
    served in order of arrival. Health checks count, but do not wait. When the server responds 429, all machines wait
    for the time in its response, at most one window.

    Args:
        redis: Address of Redis, such as ``redis://:password@redis:6379/0``, ``rediss://...`` for TLS, ``unix://...``;
            or your own ``redis.Redis`` or ``redis.RedisCluster``.
        name: Name of the Sekha server, the same on all machines; default: host and port of its address. Controller and
            bridge are counted separately under one name.
        requests: Requests in any sliding window; default: ``rate_limit_requests`` of the client.
        window: Length of the window in seconds; default: ``rate_limit_window`` of the client.
        prefix: Prefix of the names of all keys; default ``sekha``.

    Raises:
        SekhaConfigError: An argument is invalid.

    Example:
        ```python
        from sekha import SekhaClient
        from sekha.integrations.redis import RedisRateLimiter

        limiter = RedisRateLimiter("redis://localhost:6379", name="memory")
        with SekhaClient(
            controller_url="http://localhost:8080",
            api_key="sk-your-api-key",
            rate_limiter=limiter,
        ) as client:
            print(client.controller.health()["status"])  # healthy
        ```
    """

    _setting = "rate_limiter"

    @redact_traceback
    def __init__(
        self,
        redis: Union[str, Redis, RedisCluster],
        *,
        name: Optional[str] = None,
        requests: Optional[int] = None,
        window: Optional[float] = None,
        prefix: str = "sekha",
    ) -> None:
        super().__init__(redis, name, prefix)
        self._requests = None if requests is None else validate_positive_count("requests", requests)
        self._window = None if window is None else validate_seconds("window", window)

    def _options(self) -> dict[str, object]:
        options = {**super()._options(), "requests": self._requests, "window": self._window}
        return {name: value for name, value in options.items() if value is not None}

    def _turn(self, server: Optional[ServerLimits]) -> _TokenTurn:
        """Return the turn of one request; for the clients."""
        capacity = self._requests or (server.rate_limit_requests if server is not None else 1000)
        return _TokenTurn(self, self._keys(server, *_LIMIT_KEYS), capacity, self._window_of(server))

    def _window_of(self, server: ServerLimits | None) -> float:
        return self._window or (server.rate_limit_window if server is not None else 60.0)

    def _drain(self, server: ServerLimits, seconds: Optional[float]) -> None:
        """Block all requests for a while, since the server rejected one; for the clients."""
        window = self._window_of(server)
        length = min(seconds if seconds is not None else window, window)
        self._run(scripts.PAUSE, self._keys(server, "requests:pause"), [int(length * _MICRO)])

    def acquire(self, deadline: Optional[float] = None, /) -> Optional[Callable[[], object]]:
        """Wait for a token without a client, for programs that make requests in another way; requires ``name``.

        Args:
            deadline: Seconds that it may wait, 0 for none; None means no limit.

        Returns:
            A function that does nothing, since tokens return by themselves; None if the deadline passed first.

        Raises:
            SekhaConfigError: ``name`` is missing, ``deadline`` is invalid, or Redis does not grant the required
                permissions.
            SekhaConnectionError: Redis cannot be reached.
        """
        seconds, turn = validate_wait("deadline", deadline), self._turn(None)
        return _nothing_to_give_back if self._wait_for(turn, seconds) else None


_LIMIT_KEYS: Final = ("requests:log", "requests:queue", "requests:seen", "requests:pause", "requests:window")


class _TokenTurn:
    """The turn of one request.

    Args:
        limiter: The limiter.
        keys: The names of its keys.
        capacity: Requests in any window; None for no limit.
        window: Length of the window in seconds.
    """

    others_have_written = True

    def __init__(self, limiter: RedisRateLimiter, keys: Sequence[str], capacity: int | None, window: float) -> None:
        self._limiter = limiter
        self._keys = keys
        self._capacity = capacity
        self._window = window
        self._token = _new_token()
        self._waits = self._has_left = False

    def try_enter(self) -> float:
        """Return 0 if the request may be sent, else the seconds until the next poll."""
        self._waits = self._capacity is not None
        wait = self._take(waits=True)
        if wait <= 0:
            self._waits = False
        elif self._has_left:  # in the meantime, in another thread
            self._leave()
        return wait

    def enter_now(self) -> None:
        """Count a request that does not wait."""
        self._take(waits=False)

    def _take(self, *, waits: bool) -> float:
        if self._capacity is None:
            return 0.0
        arguments = [self._token, self._capacity, int(self._window * _MICRO), _PATIENCE, int(waits)]
        wait = int(self._limiter._run(scripts.TAKE_TOKEN, self._keys, arguments)) / _MICRO
        return min(wait, _MAX_WAIT)

    def leave(self, *, stored: bool) -> None:
        """Stop waiting; a taken token stays taken."""
        self._has_left = True
        if self._waits:
            self._leave()
            self._waits = False

    def _leave(self) -> None:
        self._limiter._run(scripts.LEAVE_QUEUE, self._keys[1:3], [self._token])


def _nothing_to_give_back() -> None:
    """Do nothing: tokens return by themselves."""


def _make(cls: type[_RedisGate], url: str, options: dict[str, Any]) -> _RedisGate:
    """Create a gate from its pickle."""
    made: Any = cls
    found: _RedisGate = made(url, **options)
    return found


def _new_token() -> str:
    """Return a unique token, which shows in Redis which process holds a slot."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(8)}"


def _checked_name(argument: str, value: object) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise SekhaConfigError(f"{argument}: expected a text of up to 200 characters without whitespace or braces")
    return value
