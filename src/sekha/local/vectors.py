"""Vectors as the store keeps them: a signed byte for each number, and how near they are to each other."""

from __future__ import annotations

import math
from array import array
from operator import itemgetter, mul
from struct import Struct
from typing import Sequence

SQUARES = Struct("<I")
"""What follows the numbers of a packed vector: the sum of their squares."""


def pack(vector: Sequence[float]) -> bytes:
    """Scale a vector so that its largest number is 127, and return its numbers as signed bytes, and their length.

    The similarity of two vectors does not depend on their lengths, so the scale is not kept.
    """
    largest = max(map(abs, vector), default=0.0) or 1.0
    numbers = array("b", [round(number * 127.0 / largest) for number in vector])
    return numbers.tobytes() + SQUARES.pack(sum(map(mul, numbers, numbers)))


class Target:
    """A packed vector that others are compared with. Of two vectors that are the same, the similarity is 1.0.

    Args:
        packed: The vector.
    """

    def __init__(self, packed: bytes) -> None:
        numbers = unpack(packed)
        used = [place for place, number in enumerate(numbers) if number]
        self._pick = itemgetter(*used, 0, 0)  # for one place alone it would return no tuple
        self._weights = (*(numbers[place] for place in used), 0, 0)
        self._squares = sum(map(mul, numbers, numbers))

    def similarity(self, packed: bytes) -> float:
        """Return the cosine of the two vectors; 0 if one of them is all zeros."""
        squares = self._squares * SQUARES.unpack_from(packed, len(packed) - SQUARES.size)[0]
        product = sum(map(mul, self._weights, self._pick(memoryview(packed).cast("b"))))
        return product / math.sqrt(squares) if squares else 0.0


def unpack(packed: bytes) -> Sequence[int]:
    """Return the numbers of a packed vector."""
    return memoryview(packed)[: -SQUARES.size].cast("b")
