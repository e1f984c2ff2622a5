"""Conversations whose messages say which one they follow, and the branch of them that was shown last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

K = TypeVar("K", int, str)

ROOT = ""
"""The parent of a message that begins the conversation."""


class Link(NamedTuple):
    """Where a message stands.

    Attributes:
        id: Its id; None if it has none.
        parent: The id of the message that it follows, or `ROOT`; None if it does not say.
        time: When it was written, in seconds.
    """

    id: str | None
    parent: str | None
    time: float | None


class Branch(NamedTuple):
    """One way through the messages.

    Attributes:
        numbers: The numbers of its messages, from the first to the last.
        others: How many messages stand on other branches.
    """

    numbers: list[int]
    others: int


def latest_branch(links: Sequence[Link], last: object = None) -> Branch:
    """Return the branch with the latest message.

    Its order is that of the parents. What does not say what it follows, follows the message before it in time; where
    no time is known, in the file. If no message follows another, all are one branch.

    Args:
        links: Where the messages stand, in the order of the file.
        last: The id of a message, if it is known which branch was shown: the branch leads through it.
    """
    order = _by_time(links)
    numbers: dict[str, int] = {}
    kept: list[int] = []
    for number in order:
        id = links[number].id
        if id is None or numbers.setdefault(id, number) == number:  # a second one of the same id is a copy
            kept.append(number)
    parents = _find_parents(links, kept, numbers)
    places = {number: place for place, number in enumerate(kept)}
    at: int | None = numbers.get(last) if isinstance(last, str) else None
    at = kept[-1] if at is None and kept else at
    at = max(ends_below(at, children_of(parents)), key=places.__getitem__) if at is not None else None
    way: list[int] = []
    visited: set[int] = set()
    while at is not None and at not in visited:
        visited.add(at)
        way.append(at)
        at = parents[at]
    return Branch(way[::-1], len(links) - len(way))


def _by_time(links: Sequence[Link]) -> list[int]:
    times: list[float] = []
    time = float("-inf")
    for link in links:
        time = time if link.time is None else link.time  # without one, it stays behind the message before it
        times.append(time)
    return sorted(range(len(links)), key=lambda number: times[number])


def _find_parents(links: Sequence[Link], order: Sequence[int], numbers: dict[str, int]) -> dict[int, int | None]:
    """Return what each message follows. Those of one parent that the export does not have stay side by side."""
    is_tree = any(numbers.get(links[number].parent or "", number) != number for number in order)
    parents: dict[int, int | None] = {}
    missing: dict[str, int | None] = {}
    previous: int | None = None
    for number in order:
        parent = links[number].parent
        if not is_tree or parent is None or parent == links[number].id:
            parents[number] = previous
        elif parent in numbers:
            parents[number] = numbers[parent]
        else:
            parents[number] = None if parent == ROOT else missing.setdefault(parent, previous)
        previous = number
    return parents


def children_of(parents: Mapping[K, K | None]) -> dict[K, list[K]]:
    """Return the children of each node that has some, in the order of the nodes."""
    children: dict[K, list[K]] = {}
    for node, parent in parents.items():
        if parent is not None:
            children.setdefault(parent, []).append(node)
    return children


def ends_below(node: K, children: Mapping[K, Sequence[K]]) -> list[K]:
    """Return the nodes that end a branch through this one; in a ring, the last one before it."""
    ends: list[K] = []
    visited = {node}
    waiting = [node]
    while waiting:
        at = waiting.pop()
        below = [child for child in children.get(at, ()) if child not in visited]
        visited.update(below)
        waiting += below
        if not below:
            ends.append(at)
    return ends
