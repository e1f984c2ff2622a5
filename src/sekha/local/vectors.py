"""Vectors of the store, packed to one signed byte per component, and their similarity."""

from __future__ import annotations

import math
from array import array
from operator import itemgetter, mul
from struct import Struct
from typing import Sequence

SQUARES = Struct("<I")
"""Format of the sum of squares, which follows the components of a packed vector."""


def pack(vector: Sequence[float]) -> bytes:
    """Pack a vector: scale its largest component to 127, round to signed bytes, and append the sum of squares.

    The scale is not stored, since the similarity of two vectors does not depend on their lengths.
    """
    largest = max(map(abs, vector), default=0.0) or 1.0
    numbers = array("b", [round(number * 127.0 / largest) for number in vector])
    return numbers.tobytes() + SQUARES.pack(sum(map(mul, numbers, numbers)))


class Target:
    """A packed vector to compare others with. Equal vectors have the similarity 1.0.

    Args:
        packed: The vector.
    """

    def __init__(self, packed: bytes) -> None:
        numbers = unpack(packed)
        used = [place for place, number in enumerate(numbers) if number]
        self._pick = itemgetter(*used, 0, 0)  # with a single index, itemgetter returns no tuple
        self._weights = (*(numbers[place] for place in used), 0, 0)
        self._squares = sum(map(mul, numbers, numbers))

    def similarity(self, packed: bytes) -> float:
        """Return the cosine of the two vectors; 0 if one of them is all zeros."""
        squares = self._squares * SQUARES.unpack_from(packed, len(packed) - SQUARES.size)[0]
        product = sum(map(mul, self._weights, self._pick(memoryview(packed).cast("b"))))
        return product / math.sqrt(squares) if squares else 0.0


def unpack(packed: bytes) -> Sequence[int]:
    """Return the components of a packed vector."""
    return memoryview(packed)[: -SQUARES.size].cast("b")
