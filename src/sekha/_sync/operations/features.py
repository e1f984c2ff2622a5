# Generated from src/sekha/_async/operations/features.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Features of a controller, requested on first use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sekha._api.compat.capabilities import Capabilities, Features, parse_features
from sekha._api.endpoints import CONTROLLER_HEALTH
from sekha._concurrency.primitives import move_on_after
from sekha.errors import SekhaClosedError, SekhaError, SekhaNotFoundError
from sekha.types import ServiceHealth

from ..transport import Transport


def controller_features(transport: Transport, capabilities: Capabilities) -> Features | None:
    """Return the features that the controller reports; None if the request failed, which is retried next time.

    ``GET /health``, once for a client and its views: concurrent callers share one response.
    """
    if capabilities.features is not None:
        return capabilities.features
    question, times_asked, left = transport.question(), capabilities.times_asked, transport.time_left()
    try:
        with move_on_after(left):
            question.acquire(left)
        if capabilities.features is None and capabilities.times_asked == times_asked:
            capabilities.features = _ask(transport)
            capabilities.times_asked += 1
    finally:
        question.release()
    return capabilities.features


def filters_to_send(
    transport: Transport, capabilities: Capabilities, filters: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return filters if the controller applies them, else none; the results are filtered here nevertheless."""
    if not filters:
        return {}
    features = controller_features(transport, capabilities)
    return filters if features is not None and features.filters else {}


def _ask(transport: Transport) -> Features | None:
    try:
        health = transport.with_options(max_retries=0).send(CONTROLLER_HEALTH.request())
    except SekhaNotFoundError:
        health = ServiceHealth(status="unknown", checks={})
    except SekhaClosedError:
        raise
    except SekhaError:
        return None
    return None if health["status"] == "unhealthy" else parse_features(health)
