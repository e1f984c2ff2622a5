"""What a recall returns, what is done if it fails, and which messages are stored already."""

from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Literal, Optional, Set, TypeVar, Union

from sekha._api.validation import argument_error
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


@exported_from("sekha.memory")
@dataclass(frozen=True)
class ToolResult:
    """What a call of a tool comes to.

    Args:
        text: What the model is told.
        error: Why it failed; None if it did not.

    Attributes:
        text: What the model is told; of an error too.
        error: Why it failed: a `SekhaValidationError` for arguments that cannot be used; None if it did not fail.
        is_error: Whether it failed.
    """

    text: str
    error: Optional[SekhaError] = None

    @property
    def is_error(self) -> bool:
        """Whether it failed."""
        return self.error is not None

    def __str__(self) -> str:
        return self.text


def check_on_error(on_error: object) -> None:
    """Check what is to be done if the memory fails.

    Raises:
        SekhaValidationError: It is none of `OnError`; ``field`` is ``"on_error"``.
    """
    if on_error not in ("warn", "raise") and not callable(on_error):
        raise argument_error("on_error", "must be 'warn', 'raise' or a function")


class StoredIds:
    """Which messages are stored, or may be: none of them is stored again.

    Args:
        limit: How many are kept; those go first that were not met for the longest time.
    """

    def __init__(self, limit: int = MAX_STORED_IDS) -> None:
        self._limit = limit
        self._ids: Dict[object, None] = {}
        self._lock = InterruptibleLock()

    def claim(self, ids: Iterable[K]) -> Set[K]:
        """Return the ids that were not known, and know them from now on: of two callers one gets each of them."""
        return self._lock.run(self._claim, list(ids))

    def release(self, ids: Iterable[object]) -> None:
        """Forget ids, since nothing was stored of them."""
        for id in ids:
            self._ids.pop(id, None)

    def _claim(self, ids: List[K]) -> Set[K]:
        new = {id for id in ids if id not in self._ids}
        for id in ids:
            self._ids.pop(id, None)  # it becomes the youngest
            self._ids[id] = None
        while len(self._ids) > self._limit:
            self._ids.pop(next(iter(self._ids)))
        return new
