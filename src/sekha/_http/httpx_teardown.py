"""What tasks and threads need in two forms to leave a response of httpx before its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from sekha._http.error_mapping import network_errors

if TYPE_CHECKING:
    import httpx


async def async_end_iteration(chunks: AsyncIterator[bytes]) -> None:
    """Exhaust the iterator of a closed response: event loops warn of generators that are left in their middle."""
    with suppress(*network_errors(), RuntimeError, ValueError):  # the last two: another task is reading
        async for _ in chunks:
            pass


def end_iteration(chunks: Iterator[bytes]) -> None:
    """Do nothing: blocking generators may be left in their middle."""


def async_abandon(response: httpx.Response) -> None:
    """Do nothing: an async connection cannot be closed without waiting."""


def abandon(response: httpx.Response) -> None:
    """Close the response."""
    with suppress(*network_errors()):
        response.close()
