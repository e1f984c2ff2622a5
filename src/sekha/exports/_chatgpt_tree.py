"""The tree of a ChatGPT conversation, and its current branch.

An edited question, or a second answer, starts a branch. Newer exports contain only the parent of each node, so this
code does not require ``children`` or ``current_node``. Nothing is recursive, since a branch may have any length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from sekha._utils.json_access import as_list, as_object, get
from sekha.exports._building import role_of
from sekha.exports._times import as_seconds
from sekha.exports._tree import children_of, ends_below

_SHOWN = 2
_LINKS = frozenset({"id", "parent", "children"})
"""Keys of a node without a message."""


class Branch(NamedTuple):
    """A branch of the tree.

    Attributes:
        messages: The messages of its nodes in order; unvalidated values of the export.
        gaps: Number of nodes whose parent is missing in the export.
        others: Number of messages on other branches.
    """

    messages: list[Any]
    gaps: int
    others: int


class _Facts(NamedTuple):
    """The rank of a branch, from its last node or the next ancestor with these values.

    Attributes:
        worth: 2 for a visible message, 1 for another message.
        time: The timestamp of the message.
        root: The root of the branch.
    """

    worth: int
    time: float
    root: str


def current_branch(mapping: Mapping[str, Any], current: object) -> Branch:
    """Return the branch that ends at the current node, or below it.

    Without a current node, or if its branch has no visible message, return the branch of the latest message. If a
    parent is missing, the branch continues at the latest message before the gap.

    Args:
        mapping: The nodes by ID.
        current: The ID of the current node.

    Returns:
        The branch.
    """
    tree = _Tree(mapping)
    way, gaps = tree.way_to(tree.find_end(current))
    messages = [message for id in reversed(way) if (message := tree.message(id)) is not None]
    messages += [node for id, node in mapping.items() if id not in tree.nodes]  # their position is unknown
    others = tree.nodes.keys() - way
    return Branch(messages, gaps, sum(tree.message(id) is not None for id in others))


class _Tree:
    """The nodes that are JSON objects; expensive values are computed on demand."""

    def __init__(self, mapping: Mapping[str, Any]) -> None:
        self.nodes = {id: node for id, data in mapping.items() if (node := as_object(data)) is not None}
        self._parents, self._below_gaps = find_parents(self.nodes)
        self._inner = {parent for parent in self._parents.values() if parent is not None}

    def message(self, id: str) -> Any:
        """Return the message of a node; the node itself if it has other content but no message."""
        node = self.nodes[id]
        return node.get("message") if "message" in node or node.keys() <= _LINKS else node

    def find_end(self, current: object) -> str | None:
        """Return the last node of the branch."""
        last = current if isinstance(current, str) and current in self.nodes else None
        if last in self._inner:
            leaves = [id for id in ends_below(last, children_of(self._parents)) if id not in self._inner]
            last = max(leaves, key=self._rank, default=last)
        if last is not None and (_is_shown(self.message(last)) or self._facts[last].worth == _SHOWN):
            return last
        return max(self._leaves, key=self._rank, default=None)

    def way_to(self, last: str | None) -> tuple[list[str], int]:
        """Return a node with its ancestors, and the number of gaps between them."""
        way: dict[str, None] = {}
        used: set[str] = set()
        earlier: list[str] | None = None
        gaps = 0
        while last is not None and last not in way:
            way[last] = None
            top, last = last, self._parents[last]
            if top in self._below_gaps:
                begin = self._first_time(reversed(way))
                gaps += 1
                used.add(self._facts[top].root)  # after a missing parent, continue in another part
                if earlier is None:
                    shown = (id for id in self._leaves if self._facts[id].worth == _SHOWN)
                    earlier = sorted(shown, key=self._rank)
                while earlier and last is None:
                    id = earlier.pop()
                    is_before = self._order[id] < self._order[top] if begin is None else self._facts[id].time <= begin
                    last = id if is_before and self._facts[id].root not in used else None
        return list(way), gaps

    def _first_time(self, ids: Iterable[str]) -> float | None:
        times = (as_seconds(get(self.message(id), "create_time")) for id in ids)
        return next((time for time in times if time is not None), None)

    def _rank(self, id: str) -> tuple[int, float, int]:
        facts = self._facts[id]
        return facts.worth, facts.time, self._order[id]

    @cached_property
    def _leaves(self) -> list[str]:
        return [id for id in self.nodes if id not in self._inner] or list(self.nodes)  # a cycle has no leaf

    @cached_property
    def _order(self) -> dict[str, int]:
        return {id: number for number, id in enumerate(self.nodes)}

    @cached_property
    def _facts(self) -> dict[str, _Facts]:
        return _find_facts(self.nodes, self._parents)


def find_parents(nodes: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, str | None], set[str]]:
    """Return the parent or next known ancestor of each node, and the nodes whose parent is missing.

    Args:
        nodes: The nodes by ID: JSON objects with ``parent``, ``children``, or both.

    Returns:
        The parents by node ID, and the IDs of nodes with a missing parent.
    """
    parents: dict[str, str | None] = {}
    orphans: list[str] = []
    for id, node in nodes.items():
        parent: object = node.get("parent")
        if isinstance(parent, str) and parent in nodes and parent != id:
            parents[id] = parent
        else:
            parents[id] = None
            orphans.append(id)
    claimed = _claimed_children(nodes) if len(orphans) > 1 else {}  # a single node without a parent is the root
    below_gaps: set[str] = set()
    for id in orphans:
        parent, parents[id] = nodes[id].get("parent"), claimed.get(id)
        if parents[id] is None and parent is not None and parent not in ("", id, "client-created-root"):
            below_gaps.add(id)
            above = (
                claimed.get(parent) if isinstance(parent, str) else None
            )  # a node that has the missing node as a child
            parents[id] = above if above != id else None
    return parents, below_gaps


def _claimed_children(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the parent of each node, from ``children``."""
    claimed: dict[str, str] = {}
    for id, node in nodes.items():
        for child in as_list(node.get("children")) or ():
            if isinstance(child, str) and child != id:
                claimed.setdefault(child, id)
    return claimed


def _find_facts(nodes: Mapping[str, Mapping[str, Any]], parents: Mapping[str, str | None]) -> dict[str, _Facts]:
    found: dict[str, _Facts] = {}
    for id in nodes:
        way: list[str] = []
        on_way: set[str] = set()
        at: str | None = id
        while at is not None and at not in found and at not in on_way:
            way.append(at)
            on_way.add(at)
            at = parents[at]
        worth, time, root = found[at] if at in found else _Facts(0, -math.inf, way[-1])
        for one in reversed(way):
            message: object = nodes[one].get("message")
            own_time = as_seconds(get(message, "create_time"))
            time = time if own_time is None else own_time
            worth = max(worth, 0 if message is None else _SHOWN if _is_shown(message) else 1)
            found[one] = _Facts(worth, time, root)
    return found


def _is_shown(message: object) -> bool:
    """Return whether a message is visible, for ranking branches: it has content, and is not hidden."""
    if get(message, "metadata", "is_visually_hidden_from_conversation"):
        return False
    if role_of(get(message, "author", "role")) not in ("user", "assistant"):
        return False
    content = get(message, "content")
    return any(as_list(get(content, "parts")) or ()) or bool(get(content, "text"))
