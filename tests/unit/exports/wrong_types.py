"""The same data with one value after another of a type that it never has."""

from __future__ import annotations

import json
from typing import Any, Iterator, List, Tuple

from sekha._utils.json_access import as_list, as_object

WRONG: List[Any] = [
    None, True, 7, -1.5, "x", "", [], {}, [None], [7], ["x"], [[]], {"a": 1}, [{"type": []}], "\ud83d", "\0",
]  # fmt: skip


def broken(whole: Any) -> Iterator[Any]:
    """Yield copies of the data, each with one value replaced or taken away; the outermost one stays."""
    for path in places(whole, ()):
        for wrong in WRONG:
            yield changed(whole, path, wrong)
        copy = changed(whole, path, None)
        parent = _at(copy, path[:-1])
        del parent[path[-1]]
        yield copy


def places(data: Any, path: Tuple[Any, ...]) -> Iterator[Tuple[Any, ...]]:
    """Yield the path of each value below that at `path`."""
    keys: List[Any] = [*(as_object(data) or ()), *range(len(as_list(data) or ()))]
    for key in keys:
        yield (*path, key)
        yield from places(data[key], (*path, key))


def _at(data: Any, path: Tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def changed(whole: Any, path: Tuple[Any, ...], value: Any) -> Any:
    """Return a copy of the data with another value in one place."""
    copy = json.loads(json.dumps(whole))
    _at(copy, path[:-1])[path[-1]] = value
    return copy
