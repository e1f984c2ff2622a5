"""An index in memory for searches: conversation, timestamp and quantized vector of each message.

Messages are grouped in blocks of consecutive numbers. A block is read from the store at its first use, and again after
a change.
"""

from __future__ import annotations

from array import array
from typing import AbstractSet, Dict, Iterable, List, NamedTuple, Optional, Tuple

from sekha.local.bit_planes import choose, compare, make_planes, make_probes, positions, values
from sekha.local.records import Filter
from sekha.local.store import Store
from sekha.local.store_vectors import BLOCK_SIZE

_EARLIEST, _LATEST = "", "~"  # before and after all timestamps
_BINARY = bytes(b"01"[byte & 1] for byte in range(256))
_FULL = (1 << BLOCK_SIZE) - 1


class _Block(NamedTuple):
    """Messages by the last digits of their numbers; conversation 0 stands for a message that does not exist."""

    conversations: array[int]
    times: List[str]
    present: int
    planes: List[int]


class Selection(NamedTuple):
    """The messages that match a filter: a mask for each block."""

    masks: Dict[int, int]
    size: int

    def __contains__(self, number: object) -> bool:
        assert isinstance(number, int)
        return bool(self.masks.get(number // BLOCK_SIZE, 0) >> number % BLOCK_SIZE & 1)

    def numbers(self) -> List[int]:
        """Return the numbers of the messages, newest first."""
        blocks = sorted(self.masks, reverse=True)
        return [block * BLOCK_SIZE + position for block in blocks for position in positions(self.masks[block])]


class VectorIndex:
    """The messages of a store. Use it on the thread of the store.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._model: Optional[Tuple[int, int]] = None
        self._blocks: Dict[int, _Block] = {}
        self._stale: List[int] = []

    def refresh(self, model: Optional[int], dimension: int) -> bool:
        """Read one of the changed blocks, newest first; return whether there are more.

        Args:
            model: The number of the model whose vectors are needed; None for no vectors.
            dimension: Number of components of the vectors.
        """
        changed = self._store.take_changed_blocks()
        if model is not None and self._model != (model, dimension):
            self._model, changed = (model, dimension), None
        if changed is None:
            self._blocks.clear()
            self._stale = [*range(self._store.last_number() // BLOCK_SIZE + 1)]
        elif changed:
            self._stale = sorted({*self._stale, *changed})
        if self._stale:
            block = self._stale.pop()
            self._blocks[block] = self._read(block)
            if not self._blocks[block].present:
                del self._blocks[block]
        return bool(self._stale)

    def select(self, matching: Filter) -> Selection:
        """Return the messages that match a filter."""
        if matching == Filter():
            masks = {number: block.present for number, block in self._blocks.items()}
        else:
            without_times = matching._replace(start=None, end=None)
            conversations = None if without_times == Filter() else self._store.conversation_numbers(without_times)
            masks = {number: _mask(block, conversations, matching) for number, block in self._blocks.items()}
        return Selection(masks, sum(bin(mask).count("1") for mask in masks.values()))

    def nearest(self, packed: bytes, selection: Selection, limit: int) -> List[int]:
        """Return the messages whose vectors are estimated to be nearest to a vector, in no order."""
        probes, blocks = make_probes(packed), [*selection.masks]
        counts = [compare(self._blocks[block].planes, probes, _FULL) for block in blocks]
        chosen = choose(counts, [*selection.masks.values()], limit)
        return [blocks[place] * BLOCK_SIZE + position for place, position in chosen]

    def by_estimate(self, packed: bytes, selection: Selection) -> List[int]:
        """Return all selected messages, by estimated similarity, nearest first."""
        probes = make_probes(packed)
        estimates: Dict[int, int] = {}
        for block in selection.masks:
            found = values(compare(self._blocks[block].planes, probes, _FULL), BLOCK_SIZE)
            estimates.update(enumerate(found, block * BLOCK_SIZE))
        return sorted(selection.numbers(), key=lambda number: (-estimates[number], number))

    def _read(self, block: int) -> _Block:
        model, dimension = self._model or (None, 0)
        conversations, times = array("q", bytes(8 * BLOCK_SIZE)), [_EARLIEST] * BLOCK_SIZE
        vectors: List[Optional[bytes]] = [None] * BLOCK_SIZE
        same: Dict[str, str] = {}  # messages of a conversation often have the same timestamp
        first = block * BLOCK_SIZE
        for number, conversation, time, vector in self._store.message_block(block, model):
            place = number - first
            conversations[place], times[place], vectors[place] = conversation, same.setdefault(time, time), vector
        return _Block(conversations, times, _to_mask(map(bool, conversations)), make_planes(vectors, dimension))


def _mask(block: _Block, conversations: Optional[AbstractSet[int]], matching: Filter) -> int:
    mask = block.present
    if conversations is not None:
        mask &= _to_mask(map(conversations.__contains__, block.conversations))
    if matching.start is not None or matching.end is not None:
        start, end = matching.start or _EARLIEST, matching.end or _LATEST
        mask &= _to_mask([start <= time <= end for time in block.times])
    return mask


def _to_mask(flags: Iterable[bool]) -> int:
    return int(bytes(flags)[::-1].translate(_BINARY), 2)
