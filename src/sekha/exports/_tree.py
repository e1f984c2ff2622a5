"""Conversations whose messages have the ID of the previous one, and their current branch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

K = TypeVar("K", int, str)

ROOT = ""
"""The parent of the first message of a conversation."""


class Link(NamedTuple):
    """The position of a message.

    Attributes:
        id: Its ID; None if it has none.
        parent: The ID of the previous message, or `ROOT`; None if it has none.
        time: Its timestamp in seconds.
    """

    id: str | None
    parent: str | None
    time: float | None


class Branch(NamedTuple):
    """A branch of the messages.

    Attributes:
        numbers: The numbers of its messages, in order.
        others: Number of messages on other branches.
    """

    numbers: list[int]
    others: int


def latest_branch(links: Sequence[Link], last: object = None) -> Branch:
    """Return the branch with the latest message.

    Messages are ordered by their parents. A message without a parent follows the previous message by time, or, if the
    time is unknown, in the file. If no message has a parent, all are one branch.

    Args:
        links: The positions of the messages, in the order of the file.
        last: The ID of a message on the current branch, if known.

    Returns:
        The branch.
    """
    order = _by_time(links)
    numbers: dict[str, int] = {}
    kept: list[int] = []
    for number in order:
        id = links[number].id
        if id is None or numbers.setdefault(id, number) == number:  # a second message with the same ID is a copy
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
        time = time if link.time is None else link.time  # without a time, it stays after the previous message
        times.append(time)
    return sorted(range(len(links)), key=lambda number: times[number])


def _find_parents(links: Sequence[Link], order: Sequence[int], numbers: dict[str, int]) -> dict[int, int | None]:
    """Return the parent of each message. Messages with the same missing parent stay siblings."""
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
    """Return the children of each node with children, in the order of the nodes."""
    children: dict[K, list[K]] = {}
    for node, parent in parents.items():
        if parent is not None:
            children.setdefault(parent, []).append(node)
    return children


def ends_below(node: K, children: Mapping[K, Sequence[K]]) -> list[K]:
    """Return the leaves below a node; in a cycle, the last node before it."""
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
