"""Options and keys of calls: those of a client, and those that a view of it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sekha._api.model import Service
from sekha._utils.redaction import Secret, redact_traceback
from sekha._utils.sentinel import NOT_GIVEN, NotGiven, drop_unset
from sekha.config import SekhaConfig
from sekha.config._settings import NONE_IS_MISSING, validate_setting
from sekha.errors import SekhaTimeoutError
from sekha.events import WaitEvent

if TYPE_CHECKING:
    from sekha._transport.spans import OperationSpan


class WriteMustWait(Exception):
    """A write would have to wait for others; nothing was sent."""


@dataclass(frozen=True)
class CallOptions:
    """The options that may differ from call to call.

    Attributes:
        timeout: Seconds for each phase of an attempt; None means no limit.
        max_retries: Retries after the first attempt.
        deadline: Seconds for a whole call; None means no limit.
        deadline_at: Time of the clock at which a call that has started must end.
        headers: Additional headers.
        raises_instead_of_waiting: Whether a write that others are in the way of raises `WriteMustWait`.
        shows_bodies: Whether errors hold the beginning of a response.
        on_wait: Called when a call begins to wait before it is sent, besides the hook of the user.
        operation: The span of the operation to which the calls belong; None if they belong to none.
    """

    timeout: float | NotGiven | None = NOT_GIVEN
    max_retries: int = 3
    deadline: float | None = None
    deadline_at: float | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: dict[str, str](), repr=False)  # may hold secrets
    raises_instead_of_waiting: bool = False
    shows_bodies: bool = True
    on_wait: Callable[[WaitEvent], object] | None = field(default=None, repr=False)
    operation: OperationSpan | None = field(default=None, repr=False, compare=False)

    def start_deadline(self, now: float) -> CallOptions:
        """Return the options of a call that starts now; if its deadline has been started before, it stays."""
        if self.deadline_at is not None or self.deadline is None:
            return self
        return replace(self, deadline_at=now + self.deadline)

    def time_left(self, now: float) -> float | None:
        """Return the seconds until the deadline, None for no limit."""
        return None if self.deadline_at is None else self.deadline_at - now


def deadline_message(options: CallOptions) -> str:
    """Return the message of the error for a call whose deadline passed."""
    return f"the deadline of {options.deadline or 0:g} s passed"


def deadline_error(options: CallOptions, *, sent: bool, asked: bool = True) -> SekhaTimeoutError:
    """Return the error for a call whose deadline passed; a retry cannot help.

    Args:
        options: The options of the call.
        sent: Whether the server may have received a part of the request.
        asked: Whether this client has tried to reach the server.
    """
    error = SekhaTimeoutError(deadline_message(options), sent=sent)
    error._retryable = False
    if not asked:
        error._asked = False
    return error


@redact_traceback
def option_overrides(inherited: Mapping[str, str], **options: object) -> dict[str, Any]:
    """Return the options of a view that differ from those of its parent, validated.

    Args:
        inherited: The headers of the parent, which are kept.
        options: What was passed, by name.
    """
    given = drop_unset(NONE_IS_MISSING, **options)
    overrides = {name: validate_setting(name, value) for name, value in given.items()}
    if "headers" in overrides:
        overrides["headers"] = {**inherited, **overrides["headers"]}
    if "deadline" in overrides:
        overrides["deadline_at"] = None
    return overrides


@redact_traceback
def key_overrides(
    api_key: str | None = None, mcp_api_key: str | None = None, bridge_api_key: str | None = None
) -> dict[Service, Secret]:
    """Return the keys of a view that differ from those of its parent; each goes only to its own service."""
    keys: dict[Service, Secret] = {}
    if api_key is not None:
        keys[Service.CONTROLLER] = keys[Service.MCP] = _secret("api_key", api_key)
    if mcp_api_key is not None:
        keys[Service.MCP] = _secret("mcp_api_key", mcp_api_key)
    if bridge_api_key is not None:
        keys[Service.BRIDGE] = _secret("bridge_api_key", bridge_api_key)
    return keys


def merge_keys(old: Mapping[Service, Secret], new: Mapping[Service, Secret]) -> dict[Service, Secret]:
    """Return the keys of a view; a new ``api_key`` does not replace an ``mcp_api_key``."""
    merged = {**old, **new}
    if Service.MCP in old and old[Service.MCP].name == "mcp_api_key" and merged[Service.MCP].name == "api_key":
        merged[Service.MCP] = old[Service.MCP]
    return merged


def controller_keys(config: SekhaConfig) -> dict[Service, Secret]:
    """Return the keys for the controller's server: one for its REST routes, one for its MCP tools."""
    keys = key_overrides(config.api_key, config.mcp_api_key)
    if Service.MCP in keys:
        keys.setdefault(Service.CONTROLLER, keys[Service.MCP])
    return keys


def bridge_keys(config: SekhaConfig) -> dict[Service, Secret]:
    """Return the key for the bridge, if there is one of its own."""
    return key_overrides(bridge_api_key=config.bridge_api_key)


def _secret(name: str, value: str) -> Secret:
    return Secret(validate_setting(name, value), name)
