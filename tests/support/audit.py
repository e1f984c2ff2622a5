"""What Python's audit hooks see while a block runs: files that are opened, addresses that are asked for."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import Any, Iterator, List, Set, Tuple

_wanted: Set[str] = set()
_seen: List[Tuple[Any, ...]] = []
_hooked: List[bool] = []


def _hook(event: str, arguments: Tuple[Any, ...]) -> None:
    if event in _wanted:
        _seen.append((event, *arguments))


@contextmanager
def watched(*events: str) -> Iterator[List[Tuple[Any, ...]]]:
    """The events of these names, in all threads, each with its arguments."""
    if not _hooked:  # a hook cannot be taken away
        _hooked.append(True)
        sys.addaudithook(_hook)
    _seen.clear()
    _wanted.update(events)
    try:
        yield _seen
    finally:
        _wanted.clear()
