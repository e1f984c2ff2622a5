"""What the responses of a controller have shown about it, so that the same refusal is not provoked with every call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from sekha._utils.json_access import as_list
from sekha._utils.redaction import Secret


class Features(NamedTuple):
    """What a controller says that it can do beyond the controller 0.1, in its report of health.

    Attributes:
        filters: Whether searches apply filters (D20).
        keeps: The keys of messages that it stores, beside ``role`` and ``content``.
        keeps_dates: Whether it stores when a conversation was begun, and changed last.
        parallel_writes: Whether it supports any number of writes side by side (D52, D65).
        deletes: Whether it deletes conversations that have messages (D49).
        prune_limit: Whether it limits how many conversations it suggests to put away.
    """

    filters: bool = False
    keeps: frozenset[str] = frozenset()
    keeps_dates: bool = False
    parallel_writes: bool = False
    deletes: bool = False
    prune_limit: bool = False


def parse_features(health: Mapping[str, object]) -> Features:
    """Return what a report of health says."""
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
    """Return the words of the warning that a key of messages is not stored; without features, it may be."""
    if features is None:
        return f"{key!r} of messages may be lost: it is unknown whether the server stores it"
    kept = ["role", "content", *sorted(features.keeps)]
    return f"{key!r} of messages is lost: this server stores only {', '.join(kept[:-1])} and {kept[-1]}"


LOST_DATES = "the dates of conversations are lost: this server sets the time of the import instead"

MAX_KEY_WARNINGS = 20
"""Keys of messages of whose loss a client warns."""


Warned = Literal["archived instead of deleted", "results may be missing", "words were not searched"]
"""What a client warns of once."""


class Capabilities:
    """What was learned about a controller; its clients and their views share one.

    Attributes:
        text_only: Whether it refused content parts, as the controller 0.1 does (D4).
        features: What it says that it can do; None if it was not asked yet.
        times_asked: How often it was asked for that, with or without an answer.
        cannot_delete: Whether it failed to delete a conversation, as the controller 0.1 does (D49).
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
        """Return whether a warning has told that a key of messages is lost, or too many others have."""
        return key in self._lost_keys or len(self._lost_keys) >= MAX_KEY_WARNINGS

    def note_lost_key(self, key: str) -> bool:
        """Note that a key of messages is lost; return whether to warn of it: once, and of twenty keys at most."""
        return _add(key, self._lost_keys) and len(self._lost_keys) <= MAX_KEY_WARNINGS

    def note_warning(self, about: Warned, view: object = None) -> bool:
        """Note that there is a reason to warn; return whether it is the first, so that there is one warning.

        Args:
            about: What the warning is about.
            view: The view of a folder that it is about; None for the whole memory.
        """
        return _add(about, self._warnings if view is None else self._warnings_of_views.setdefault(view, {}))

    def reject_mcp_key(self, key: Secret | None) -> None:
        """Note that the MCP tools refused a key."""
        if key is not None:
            self._rejected_keys.add(key)

    def is_mcp_key_rejected(self, key: Secret | None) -> bool:
        """Return whether the MCP tools refused this key before."""
        return key in self._rejected_keys


def _add(name: str, names: dict[str, object]) -> bool:
    """Add a name, and return whether it is new. Threads add names as well: one of them finds its own token."""
    token = object()
    return names.setdefault(name, token) is token
