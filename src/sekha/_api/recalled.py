"""Results of a recall, handling of its errors, and the record of stored messages."""

from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Literal, Optional, Set, TypeVar, Union

from sekha._api.validation import argument_error
from sekha._concurrency.primitives import InterruptibleLock
from sekha._utils.public import exported_from
from sekha.errors import SekhaError
from sekha.types import SearchResult

K = TypeVar("K")

OnError = Union[Literal["warn", "raise"], Callable[[SekhaError], object]]
"""Action if the memory fails: warn and continue, raise the error, or call a function with the error and continue."""

MAX_STORED_IDS = 100_000
"""Maximum number of message IDs that are kept, for all scopes of one memory together."""


@exported_from("sekha.memory")
class Recalled(List[SearchResult]):
    """Result of a recall: a list of results, best first.

    Attributes:
        error: The error if the search failed, else None. With an error, the list is empty, whatever is stored.
    """

    error: Optional[SekhaError] = None

    def __init__(self, results: Iterable[SearchResult] = (), error: Optional[SekhaError] = None) -> None:
        super().__init__(results)
        self.error = error


@exported_from("sekha.memory")
@dataclass(frozen=True)
class ToolResult:
    """Result of a tool call.

    Args:
        text: The text for the model.
        error: The error if the call failed, else None.

    Attributes:
        text: The text for the model, also for an error.
        error: The error if the call failed, such as a `SekhaValidationError` for invalid arguments; else None.
        is_error: Whether the call failed.
    """

    text: str
    error: Optional[SekhaError] = None

    @property
    def is_error(self) -> bool:
        """Whether the call failed."""
        return self.error is not None

    def __str__(self) -> str:
        return self.text


def check_on_error(on_error: object) -> None:
    """Validate an ``on_error`` argument.

    Raises:
        SekhaValidationError: The argument is not one of `OnError`; ``field`` is ``"on_error"``.
    """
    if on_error not in ("warn", "raise") and not callable(on_error):
        raise argument_error("on_error", "must be 'warn', 'raise' or a function")


class StoredIds:
    """IDs of messages that are stored, or may be; none of them is stored again.

    Args:
        limit: Maximum number of IDs; the least recently used are dropped first.
    """

    def __init__(self, limit: int = MAX_STORED_IDS) -> None:
        self._limit = limit
        self._ids: Dict[object, None] = {}
        self._lock = InterruptibleLock()

    def claim(self, ids: Iterable[K]) -> Set[K]:
        """Add IDs and return those that are new; if two callers add the same ID, only one gets it."""
        return self._lock.run(self._claim, list(ids))

    def release(self, ids: Iterable[object]) -> None:
        """Remove IDs, since their messages were not stored."""
        for id in ids:
            self._ids.pop(id, None)

    def _claim(self, ids: List[K]) -> Set[K]:
        new = {id for id in ids if id not in self._ids}
        for id in ids:
            self._ids.pop(id, None)  # it becomes the most recently used
            self._ids[id] = None
        while len(self._ids) > self._limit:
            self._ids.pop(next(iter(self._ids)))
        return new
