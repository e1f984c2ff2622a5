"""What a call is, before anything is sent: an endpoint of the table, its path, query and body, and its options."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote, urlencode

from sekha._api.response import Answer, Reader
from sekha._utils.sentinel import NOT_GIVEN, NotGiven

T = TypeVar("T")


class Service(str, Enum):
    """Who answers; decides which key is sent."""

    CONTROLLER = "controller"
    MCP = "mcp"
    BRIDGE = "bridge"


class Repeat(Enum):
    """May a call be repeated whose outcome is unknown?"""

    SAFE = "safe"  # yes: it changes nothing, or the same thing again
    UNSAFE = "unsafe"  # no: it would happen twice
    COSTLY = "costly"  # once: nothing is stored, but a model works for it


@dataclass(frozen=True)
class Endpoint(Generic[T]):
    """A row of the table of endpoints.

    Attributes:
        name: The name of the call.
        service: Who answers.
        method: HTTP method.
        path: Path with ``{id}`` where an id goes.
        repeat: Whether it may be repeated.
        reader: How an answer becomes the result.
        writes: Whether it changes something, so that an unknown outcome must be told.
        slow: Whether a model or an embedder works before the answer.
        stores: Whether it stores messages, of which the controller stands only a few at a time.
    """

    name: str
    service: Service
    method: str
    path: str
    repeat: Repeat
    reader: Reader[T]
    writes: bool = False
    slow: bool = False
    stores: bool = False

    def read(self, answer: Answer) -> T:
        """The result that an answer carries.

        Raises:
            SekhaAPIError: The server refused or failed.
            SekhaDecodeError: The answer does not have the promised shape.
        """
        return self.reader.read(answer, self)

    def request(
        self,
        body: Mapping[str, Any] | None = None,
        *,
        id: str = "",
        query: Mapping[str, object] | None = None,
    ) -> Request[T]:
        """A call of this endpoint.

        Args:
            body: JSON body, plain data; it is serialised here, once.
            id: What stands for ``{id}``.
            query: Query parameters; those that are None are left out.
        """
        path = self.path.replace("{id}", quote(id, safe=""))
        shown = {key: _query_value(value) for key, value in (query or {}).items() if value is not None}
        if shown:
            path = f"{path}?{urlencode(shown)}"
        return Request(self, path, to_json(body) if body is not None else None)


@dataclass(frozen=True)
class Request(Generic[T]):
    """One call, ready to be sent as often as it takes: the bytes are the same each time."""

    endpoint: Endpoint[T]
    path: str
    content: bytes | None = None


DEFAULT_TIMEOUT: Final = 30.0
SLOW_TIMEOUT: Final = 300.0
"""Seconds to wait for an answer that a model or an embedder keeps busy, where ``timeout`` is not given."""


@dataclass(frozen=True)
class CallOptions:
    """How a call is made, where it can differ from call to call."""

    timeout: float | NotGiven | None = NOT_GIVEN
    max_retries: int = 3
    deadline: float | None = None
    expires: float | None = None
    """The moment at which a call that has begun must end, on the transport's clock."""
    headers: Mapping[str, str] = field(default_factory=lambda: dict[str, str](), repr=False)  # may hold secrets

    def begun(self, now: float) -> CallOptions:
        """The options of a call that begins now: the deadline becomes a moment, once."""
        if self.expires is not None or self.deadline is None:
            return self
        return replace(self, expires=now + self.deadline)

    def time_left(self, now: float) -> float | None:
        """Seconds until the deadline, or None for no limit."""
        return None if self.expires is None else self.expires - now


class Departure:
    """Whether an attempt may have left: only then can the server have done something about it.

    Attributes:
        possible: True unless our own pool says otherwise; httpx does not tell.
    """

    __slots__ = ("possible",)

    def __init__(self) -> None:
        self.possible: bool = True


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def to_json(body: Mapping[str, Any]) -> bytes:
    """Plain data as compact UTF-8 JSON."""
    return _ENCODER.encode(body).encode()


def _query_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
