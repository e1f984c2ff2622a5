"""Answers as newer or stricter servers would give them: with more keys, other words, or without what is optional."""

from __future__ import annotations

import copy
import json
from typing import Any, Dict, Iterator, List, Set, Tuple, get_args

from typing_extensions import get_type_hints, is_typeddict

from support.server import Reply

Place = Tuple[Any, ...]

NEW_KEY, NEW_VALUE = "added_later", {"deep": [1, {"null": None}], "x": 1.5}
NEW_WORD = "invented-later"
WORDS = {"status", "role", "level", "recommendation", "state", "task", "finish_reason", "object"}
"""Keys whose values are one of a few words."""
MAPS = (("checks",), ("providers",), ("entities",))
"""Objects whose keys are names of things, not fields."""


def objects(value: Any, place: Place = ()) -> Iterator[Tuple[Place, Dict[str, Any]]]:
    """Every object inside some JSON, with its place."""
    if isinstance(value, dict):
        yield place, value
        for key, item in value.items():
            yield from objects(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value[:2]):
            yield from objects(item, (*place, index))


def fields(value: Any) -> Iterator[Tuple[Place, Dict[str, Any]]]:
    """Every object whose keys are fields."""
    return ((place, item) for place, item in objects(value) if place[-1:] not in MAPS)


def at(value: Any, place: Place) -> Any:
    """What is there."""
    for part in place:
        value = value[part]
    return value


def changed(value: Any, place: Place, **more: Any) -> Any:
    """A copy with further or other keys at one place."""
    found = copy.deepcopy(value)
    at(found, place).update(more)
    return found


def without(value: Any, place: Place, key: str) -> Any:
    """A copy without a key at one place."""
    found = copy.deepcopy(value)
    del at(found, place)[key]
    return found


def body_of(reply: Reply) -> Any:
    """The JSON that a reply holds; None if it holds none."""
    head, _, data = reply.steps[0].partition(b"\r\n\r\n") if isinstance(reply.steps[0], bytes) else (b"", b"", b"")
    if b"transfer-encoding" in head or data[:1] not in (b"{", b"["):
        return None
    return json.loads(data)


def optional_keys(shape: Any) -> Set[str]:
    """The keys of a type that may be missing, wherever in it they stand."""
    optional: Set[str] = set()
    required: Set[str] = set()
    waiting: List[Any] = [shape]
    met: List[Any] = []
    while waiting:
        one = waiting.pop()
        if one in met:
            continue
        met.append(one)
        if is_typeddict(one):
            optional |= one.__optional_keys__
            required |= one.__required_keys__
            waiting += get_type_hints(one).values()
        else:
            waiting += get_args(one)
    return optional - required
