"""Warnings about keys of messages that the server does not store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sekha._api.compat.capabilities import LOST_DATES, Capabilities, lost_key_message
from sekha._api.compat.requests import extra_keys
from sekha._utils.frames import warn_user

from ..transport import AsyncTransport
from .features import controller_features


async def warn_of_lost_keys(
    transport: AsyncTransport, capabilities: Capabilities, messages: Iterable[Mapping[str, Any]]
) -> None:
    """Warn once for each key other than ``role`` and ``content`` that the server does not report as stored.

    ``GET /health``, for the first such key. Called before anything is sent.
    """
    keys = [key for key in extra_keys(messages) if not capabilities.warned_of(key)]
    if not keys:
        return
    features = await controller_features(transport, capabilities)
    kept = frozenset[str]() if features is None else features.keeps
    for key in keys:
        if key not in kept and capabilities.note_lost_key(key):
            warn_user(lost_key_message(key, features))


async def kept_dates(
    transport: AsyncTransport, capabilities: Capabilities, dates: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the dates of a conversation if the server stores them; else warn once that they are lost.

    ``GET /health``, for the first such date.
    """
    if not dates:
        return {}
    features = await controller_features(transport, capabilities)
    if features is not None and features.keeps_dates:
        return dates
    if capabilities.note_lost_key("timestamp"):
        warn_user(LOST_DATES)
    return {}
