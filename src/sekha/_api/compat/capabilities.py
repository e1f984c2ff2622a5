"""Capabilities of a controller that its responses have shown, so that later calls avoid known errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from sekha._utils.json_access import as_list
from sekha._utils.redaction import Secret


class Features(NamedTuple):
    """Features beyond controller 0.1 that a controller reports in its health response.

    Attributes:
        filters: Whether searches apply filters (D20).
        keeps: The keys of messages that it stores in addition to ``role`` and ``content``.
        keeps_dates: Whether it stores when a conversation was created and last updated.
        parallel_writes: Whether it supports any number of concurrent writes (D52, D65).
        deletes: Whether it deletes conversations that have messages (D49).
        prune_limit: Whether it supports a limit for pruning suggestions.
    """

    filters: bool = False
    keeps: frozenset[str] = frozenset()
    keeps_dates: bool = False
    parallel_writes: bool = False
    deletes: bool = False
    prune_limit: bool = False


def parse_features(health: Mapping[str, object]) -> Features:
    """Return the features in a health response."""
    keeps = as_list(health.get("keeps")) or ()
    return Features(
        filters=health.get("filters") is True,
        keeps=frozenset(key for key in keeps if isinstance(key, str)),
        keeps_dates=health.get("keeps_dates") is True,
        parallel_writes=health.get("parallel_writes") is True,
        deletes=health.get("deletes") is True,
        prune_limit=health.get("prune_limit") is True,
    )


def lost_key_message(key: str, features: Features | None) -> str:
    """Return the message of the warning that a key of messages is not stored, or may not be without features."""
    if features is None:
        return f"{key!r} of messages may be lost: it is unknown whether the server stores it"
    kept = ["role", "content", *sorted(features.keeps)]
    return f"{key!r} of messages is lost: this server stores only {', '.join(kept[:-1])} and {kept[-1]}"


LOST_DATES = "the dates of conversations are lost: this server sets the time of the import instead"

MAX_KEY_WARNINGS = 20
"""Maximum number of lost keys that a client warns about."""


Warned = Literal["archived instead of deleted", "results may be missing", "words were not searched"]
"""Subjects of warnings that a client issues once."""


class Capabilities:
    """Known capabilities of a controller, shared by its clients and their views.

    Attributes:
        text_only: Whether it rejected content parts, as controller 0.1 does (D4).
        features: The features that it reports; None if they were not requested yet.
        times_asked: Number of requests for the features, successful or not.
        cannot_delete: Whether it failed to delete a conversation, as controller 0.1 does (D49).
    """

    def __init__(self) -> None:
        self.text_only: bool = False
        self.features: Features | None = None
        self.times_asked: int = 0
        self.cannot_delete: bool = False
        self._warnings: dict[str, object] = {}
        self._warnings_of_views: WeakKeyDictionary[Any, dict[str, object]] = WeakKeyDictionary()
        self._rejected_keys: set[Secret] = set()
        self._lost_keys: dict[str, object] = {}

    def warned_of(self, key: str) -> bool:
        """Return whether a warning about a lost key was issued, or the maximum number of them."""
        return key in self._lost_keys or len(self._lost_keys) >= MAX_KEY_WARNINGS

    def note_lost_key(self, key: str) -> bool:
        """Record that a key of messages is lost; return whether to warn: once per key, for at most twenty keys."""
        return _add(key, self._lost_keys) and len(self._lost_keys) <= MAX_KEY_WARNINGS

    def note_warning(self, about: Warned, view: object = None) -> bool:
        """Record a reason to warn; return whether it is the first, so that the warning is issued once.

        Args:
            about: The subject of the warning.
            view: The view of a folder that it concerns; None for the whole memory.
        """
        return _add(about, self._warnings if view is None else self._warnings_of_views.setdefault(view, {}))

    def reject_mcp_key(self, key: Secret | None) -> None:
        """Record that the MCP tools rejected a key."""
        if key is not None:
            self._rejected_keys.add(key)

    def is_mcp_key_rejected(self, key: Secret | None) -> bool:
        """Return whether the MCP tools rejected this key before."""
        return key in self._rejected_keys


def _add(name: str, names: dict[str, object]) -> bool:
    """Add a name, and return whether it is new. If several threads add it, only one of them finds its own token."""
    token = object()
    return names.setdefault(name, token) is token
