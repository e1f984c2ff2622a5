"""Event loops of asyncio and trio, asked alike."""

from __future__ import annotations

from anyio.lowlevel import current_token


def running_loop() -> object:
    """Return the event loop that runs here, or what trio has in its place.

    Raises:
        RuntimeError: There is none.
    """
    token: object = current_token()
    return getattr(token, "native_token", token)  # newer anyio wraps it, anew each time


def is_closed(loop: object) -> bool:
    """Return whether an event loop was closed; what trio has in its place never says so, but goes with its loop."""
    return bool(getattr(loop, "is_closed", bool)())
