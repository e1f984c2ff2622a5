"""Approximate nearest-neighbor search of vectors that are quantized to three bits per component.

Vectors are grouped in blocks. For each component and each of the three bits, a block has one integer with one bit for
each of its vectors: a bit plane. Integers with thousands of bits are added with `&` and `^`, so that all vectors of a
block are compared simultaneously, without a numeric library. If the best few hundred candidates are then ranked
exactly, the result is nearly the same as that of an exact search.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import islice
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from sekha.local.vectors import SQUARES, unpack

MAX_PLACES = 128
"""Maximum number of compared components: those with the largest values in the query vector."""

_BITS = 3
_ZERO = 4  # code of 0; the codes 1 to 7 stand for -3 to 3
_STEP = 1.1  # quantization step, relative to the typical size of a component
_MAX_WEIGHT = 4
_count_bits: Callable[[int], int] = getattr(int, "bit_count", lambda mask: bin(mask).count("1"))  # from Python 3.10
_DIGITS = [bytes(b"01"[code >> bit & 1] for code in range(256)) for bit in range(_BITS)]

Counts = Sequence[int]
"""One number for each vector of a block; the integer at index `i` has bit `i` of all of them."""


class Probes(NamedTuple):
    """The planes to add to compare a vector with others: those at index `i` have the weight 2 ** i."""

    planes: Sequence[Sequence[int]]
    inverted: Sequence[Sequence[int]]


def make_planes(vectors: Sequence[Optional[bytes]], dimension: int) -> List[int]:
    """Return the planes of a block: three for each component, lowest bit first.

    Args:
        vectors: Packed vectors of the same dimension; None for a vector that is far from all others.
        dimension: Number of components of each vector.
    """
    stride = dimension + SQUARES.size
    missing = bytes([_ZERO]) * stride
    if not dimension:
        return []
    codes = b"".join(missing if vector is None else _encode(vector, dimension) for vector in reversed(vectors))
    columns = (codes[place::stride] for place in range(dimension))
    return [int(column.translate(digits), 2) for column in columns for digits in _DIGITS]


def make_probes(packed: bytes) -> Probes:
    """Return the planes to add to compare a query vector with the vectors of a block."""
    numbers = unpack(packed)
    height = _BITS + _MAX_WEIGHT.bit_length() - 1
    planes: List[List[int]] = [[] for _ in range(height)]
    inverted: List[List[int]] = [[] for _ in range(height)]
    for place in sorted(range(len(numbers)), key=lambda place: -abs(numbers[place]))[:MAX_PLACES]:
        weight = round(abs(numbers[place]) * _MAX_WEIGHT / 127)
        columns = planes if numbers[place] > 0 else inverted
        for shift in positions(weight):
            for bit in range(_BITS):
                columns[shift + bit].append(_BITS * place + bit)
    return Probes(planes, inverted)


def compare(planes: Sequence[int], probes: Probes, full: int) -> Counts:
    """Return the estimated similarity of each vector of a block; larger is nearer.

    Args:
        planes: The planes of the block.
        probes: The planes to add.
        full: An integer with a bit for each vector of the block.
    """
    sums: List[int] = []
    carries: List[int] = []
    for plain, inverted in zip(probes.planes, probes.inverted):
        column = [*carries, *[planes[index] for index in plain], *[full ^ planes[index] for index in inverted]]
        total, carries = _add(column)
        sums.append(total)
    while any(carries):
        total, carries = _add(carries)
        sums.append(total)
    return sums


def choose(counts: Sequence[Counts], masks: Sequence[int], limit: int) -> List[Tuple[int, int]]:
    """Return block and index of the vectors with the largest numbers; among equal ones, the last.

    Args:
        counts: The numbers of each block.
        masks: The vectors of each block to consider.
        limit: Maximum number of results.
    """
    chosen, undecided, missing = [0] * len(masks), [*masks], limit
    height = max(map(len, counts), default=0)
    for level in range(height - 1, -1, -1):
        larger = [mask & count[level] if level < len(count) else 0 for mask, count in zip(undecided, counts)]
        found = sum(map(_count_bits, larger))
        if found >= missing:
            undecided = larger
        else:
            missing -= found
            chosen = [mask | more for mask, more in zip(chosen, larger)]
            undecided = [mask ^ less for mask, less in zip(undecided, larger)]
    places = [(block, index) for block, mask in enumerate(chosen) for index in positions(mask)]
    equal = ((block, index) for block in range(len(masks) - 1, -1, -1) for index in positions(undecided[block]))
    return [*places, *islice(equal, missing)]


def values(count: Counts, size: int) -> List[int]:
    """Return the numbers of a block, one for each of its vectors."""
    digits = (format(bit, f"0{size}b")[::-1] for bit in reversed(count))
    return [int("".join(column), 2) for column in zip(*digits)]


def positions(mask: int) -> Iterator[int]:
    """Yield the indexes of the set bits of a mask, highest first."""
    while mask:
        highest = mask.bit_length() - 1
        yield highest
        mask ^= 1 << highest


def _add(column: Sequence[int]) -> Tuple[int, List[int]]:
    """Add one-bit numbers; return the lowest bit of the sum, and the carries for the next column."""
    total = 0
    carries: List[int] = []
    pairs = iter(column)
    for a in pairs:
        b = next(pairs, 0)
        either = a ^ b
        carries.append(a & b | either & total)
        total ^= either
    return total, carries


def _encode(packed: bytes, dimension: int) -> bytes:
    squares: Tuple[int] = SQUARES.unpack_from(packed, dimension)
    return packed.translate(_codes(round(2 * math.sqrt(squares[0] / dimension))))


@lru_cache(maxsize=256)
def _codes(size: int) -> bytes:
    """Return the three-bit code of each signed byte, for vectors with a typical component of half this size."""
    step = _STEP * max(1, size) / 2
    signed = (byte - 256 if byte > 127 else byte for byte in range(256))
    return bytes(_ZERO + max(-3, min(3, round(number / step))) for number in signed)
