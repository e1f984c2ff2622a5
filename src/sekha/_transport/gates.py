"""What the clients ask of gates that others share. Nothing here waits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

from sekha.errors import SekhaConfigError, SekhaError


class ServerLimits(NamedTuple):
    """A server and its limits, as a client has them.

    Attributes:
        service: ``controller`` or ``bridge``.
        base_url: Its address.
        max_concurrent_writes: Conversations stored at the same time.
        rate_limit_requests: Requests in any window; None for no limit.
        rate_limit_window: Length of the window in seconds.
    """

    service: str
    base_url: str
    max_concurrent_writes: int
    rate_limit_requests: int | None
    rate_limit_window: float


class PolledTurn(Protocol):
    """The turn of one request at a gate, which is asked again and again. Its caller has it before it asks.

    Attributes:
        others_have_written: Whether the write that was let through is not the first of all, which goes alone.
    """

    others_have_written: bool

    def try_enter(self) -> float:
        """Return 0 if the request may be sent, else the seconds after which to ask again."""
        ...

    def enter_now(self) -> None:
        """Count a request that is sent whether there is room for it or not."""
        ...

    def leave(self, *, stored: bool) -> None:
        """Give back what was taken, or stop waiting; doing so again does nothing.

        Args:
            stored: Whether a write has succeeded.
        """
        ...


class PolledGate(ABC):
    """Base of the gates of this package that others share; its calls take a moment, and never wait."""

    _setting: str
    """The setting that it is for."""

    def _check(self, server: ServerLimits) -> None:  # noqa: B027 - most have nothing to say
        """Warn where a client gets a gate that others will not share with it."""

    @abstractmethod
    def _turn(self, server: ServerLimits) -> PolledTurn:
        """Return the turn of one request to a server."""

    def _drain(self, server: ServerLimits, seconds: float | None) -> None:  # noqa: B027 - a gate for writes has nothing to do
        """Let nobody through for a while, because the server has refused a request.

        Args:
            server: The server.
            seconds: How long; default, and at most: one window.
        """


class WriteRelease:
    """Gives back the slot of a write.

    Args:
        leave: Gives it back, and is told whether the write has succeeded.
    """

    def __init__(self, leave: Callable[[bool], object]) -> None:
        self._leave = leave

    def __call__(self, *, stored: bool = False) -> None:
        """Give the slot back; doing so again does nothing.

        Args:
            stored: Whether the write has succeeded. The first write goes alone until one has.
        """
        self._leave(bool(stored))


def with_outcome(release: Callable[[], object], *, stored: bool) -> Callable[[], object]:
    """Return the same release, which says whether the write has succeeded if it can.

    A gate of the user around one of this package returns what that has returned.
    """
    return partial(release, stored=stored) if isinstance(release, WriteRelease) else release


def checked_release(setting: str, gate: object, release: Any) -> Callable[[], object] | None:
    """Return what the ``acquire`` of a user's gate has returned, if it can be used.

    Raises:
        SekhaConfigError: It is neither a function nor None.
    """
    if release is not None and not callable(release):
        raise SekhaConfigError(
            f"{setting}: acquire() of {type(gate).__name__} must return a function that releases what was acquired, "
            f"or None, not {type(release).__name__}"
        )
    return release  # type: ignore[no-any-return]  # a callable with any arguments; there is no way to see more of it


def gate_error(setting: str, gate: object, error: Exception) -> SekhaError:
    """Return the error of a call for what a gate of the user has raised."""
    return SekhaError(f"{setting}: {type(gate).__name__} raised {type(error).__name__}: {error}")
