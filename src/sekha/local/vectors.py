"""Vectors as the store keeps them: a signed byte for each number, and how near they are to each other."""

from __future__ import annotations

import math
from array import array
from operator import mul
from typing import Sequence


def pack(vector: Sequence[float]) -> bytes:
    """Scale a vector so that its largest number is 127, and return its numbers as signed bytes.

    The similarity of two vectors does not depend on their lengths, so the scale is not kept.
    """
    largest = max(map(abs, vector), default=0.0) or 1.0
    scale = 127.0 / largest
    return array("b", [round(number * scale) for number in vector]).tobytes()


def similarity(one: bytes, other: bytes) -> float:
    """Return the cosine of two packed vectors; 0 if one of them is all zeros."""
    a, b = memoryview(one).cast("b"), memoryview(other).cast("b")
    length = math.sqrt(sum(map(mul, a, a)) * sum(map(mul, b, b)))
    return sum(map(mul, a, b)) / length if length else 0.0
