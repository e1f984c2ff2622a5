"""What a recall returns, what is done if it fails, and which messages are stored already."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, List, Literal, Optional, TypeVar, Union

from sekha._concurrency.primitives import InterruptibleLock
from sekha._utils.public import exported_from
from sekha.errors import SekhaError
from sekha.types import SearchResult

K = TypeVar("K")

OnError = Union[Literal["warn", "raise"], Callable[[SekhaError], object]]
"""What is done if the memory fails: warn and go on, raise the error, or call a function with it and go on."""

MAX_STORED_IDS = 100_000
"""Ids of messages that are kept, of all scopes of one memory together."""


@exported_from("sekha.memory")
class Recalled(List[SearchResult]):
    """What a recall returns: the results as a list, best first.

    Attributes:
        error: Why the memory could not be asked; None if it could. A list that is empty for that reason says nothing
            about what is remembered.
    """

    error: Optional[SekhaError] = None

    def __init__(self, results: Iterable[SearchResult] = (), error: Optional[SekhaError] = None) -> None:
        super().__init__(results)
        self.error = error


class StoredIds:
    """Which messages are stored, or may be: none of them is stored again.

    Args:
        limit: How many are kept; those go first that were not met for the longest time.
    """

    def __init__(self, limit: int = MAX_STORED_IDS) -> None:
        self._limit = limit
        self._ids: dict[object, None] = {}
        self._lock = InterruptibleLock()

    def claim(self, ids: Iterable[K]) -> set[K]:
        """Return the ids that were not known, and know them from now on: of two callers one gets each of them."""
        return self._lock.run(self._claim, list(ids))

    def release(self, ids: Iterable[object]) -> None:
        """Forget ids, since nothing was stored of them."""
        for id in ids:
            self._ids.pop(id, None)

    def _claim(self, ids: list[K]) -> set[K]:
        new = {id for id in ids if id not in self._ids}
        for id in ids:
            self._ids.pop(id, None)  # it becomes the youngest
            self._ids[id] = None
        while len(self._ids) > self._limit:
            self._ids.pop(next(iter(self._ids)))
        return new
