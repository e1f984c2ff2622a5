"""Packed vectors, and which of them are nearest: an estimate by bits against the exact answer."""

from __future__ import annotations

import math
import random
from typing import List, Sequence

import pytest

from sekha.local.bit_planes import MAX_PLACES, choose, compare, make_planes, make_probes, positions, values
from sekha.local.text import hash_embedding
from sekha.local.vectors import Target, pack, unpack


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))
    return sum(a * b for a, b in zip(one, other)) / lengths


def random_vector(chance: random.Random, dimension: int) -> List[float]:
    return [chance.gauss(0, 1) for _ in range(dimension)]


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ([0.5, -0.25, 0.0], [127, -64, 0]),
        ([0.0, 0.0], [0, 0]),
        ([-1e-9], [-127]),
        ([], []),
        ([1e300, 1e-300], [127, 0]),
    ],
)
def test_a_vector_is_kept_in_signed_bytes(vector: List[float], expected: List[int]) -> None:
    packed = pack(vector)
    assert [*unpack(packed)] == expected
    assert len(packed) == len(vector) + 4


@pytest.mark.parametrize("dimension", [1, 2, 384, 1536])
def test_the_similarity_is_that_of_the_vectors(dimension: int) -> None:
    chance = random.Random(1)
    one, other = random_vector(chance, dimension), random_vector(chance, dimension)
    near = [a + 0.5 * b for a, b in zip(one, other)]
    for vector in (other, near, [-number for number in one]):
        assert Target(pack(one)).similarity(pack(vector)) == pytest.approx(cosine(one, vector), abs=0.01)


@pytest.mark.parametrize("text", ["a", "docker", "We deploy with Helm on Fridays. " * 50, "東京でりんごを食べた"])
def test_the_same_text_has_the_similarity_1(text: str) -> None:
    packed = pack(hash_embedding(text))
    assert Target(packed).similarity(pack(hash_embedding(text))) == 1.0


def test_nothing_is_near_to_zeros() -> None:
    zeros, ones = pack([0.0, 0.0]), pack([1.0, 1.0])
    assert Target(zeros).similarity(ones) == Target(ones).similarity(zeros) == Target(zeros).similarity(zeros) == 0.0


@pytest.mark.parametrize("is_sparse", [True, False])
@pytest.mark.parametrize("dimension", [64, 384])
def test_the_estimate_finds_what_is_nearest(dimension: int, is_sparse: bool) -> None:
    chance = random.Random(2)
    target = random_vector(chance, dimension)
    vectors: List[List[float]] = []
    for number in range(1000):
        vector = [a * (number % 7) / 20 + b for a, b in zip(target, random_vector(chance, dimension))]
        if is_sparse:
            vector = [x if chance.random() < 0.3 else 0.0 for x in vector]
        vectors.append(vector)
    packed = [pack(vector) for vector in vectors]
    half, full = 500, (1 << 500) - 1
    probes = make_probes(pack(target))
    counts = [compare(make_planes(packed[start : start + half], dimension), probes, full) for start in (0, half)]
    chosen = {half * block + index for block, index in choose(counts, [full, full], 150)}
    assert len(chosen) == 150
    exact = sorted(range(1000), key=lambda number: -cosine(target, vectors[number]))
    assert len(chosen.intersection(exact[:20])) >= 19
    assert len(chosen.intersection(exact[:50])) >= 45


def test_the_estimate_is_a_sum_over_the_places() -> None:
    chance = random.Random(3)
    vectors = [random_vector(chance, 8) for _ in range(50)]
    packed = [pack(vector) for vector in vectors]
    target = pack([4.0, -4.0, 2.0, 1.0, 0.2, 0.0, -1.0, -3.0])
    counts = compare(make_planes(packed, 8), make_probes(target), (1 << 50) - 1)
    weights = [4, -4, 2, 1, 0, 0, -1, -3]
    found = values(counts, 50)
    for vector, value in zip(vectors, found):
        size = math.sqrt(sum(x * x for x in unpack(pack(vector))) / 8)
        codes = [max(-3, min(3, round(x / (1.1 * max(1, round(2 * size)) / 2)))) for x in unpack(pack(vector))]
        assert value == sum(w * (c + 4) if w > 0 else -w * (3 - c) for w, c in zip(weights, codes))
    best = sorted(range(50), key=lambda index: (-found[index], -index))[:7]
    assert sorted(index for _, index in choose([counts], [(1 << 50) - 1], 7)) == sorted(best)


def test_a_missing_vector_is_as_far_as_an_unrelated_one() -> None:
    target = [1.0, -1.0, 1.0, -1.0]
    vectors = [pack(target), None, pack([1.0, 1.0, 1.0, 1.0]), pack([-number for number in target])]
    near, missing, unrelated, far = values(compare(make_planes(vectors, 4), make_probes(pack(target)), 15), 4)
    assert near > missing == unrelated > far


def test_only_what_is_looked_at_is_chosen() -> None:
    vectors = [pack([1.0, number / 10]) for number in range(10)]
    counts = compare(make_planes(vectors, 2), make_probes(pack([1.0, 1.0])), (1 << 10) - 1)
    assert sorted(choose([counts, counts], [0b1000000001, 0b10], 5)) == [(0, 0), (0, 9), (1, 1)]
    assert len(choose([counts, counts], [1023, 1023], 5)) == 5
    assert choose([counts, counts], [1023, 1023], 0) == choose([], [], 5) == choose([counts], [0], 5) == []


def test_of_a_long_vector_the_largest_numbers_are_looked_at() -> None:
    vector = [1.0 + place / 1536 for place in range(1536)]
    probes = make_probes(pack(vector))
    places = {index // 3 for column in (*probes.planes, *probes.inverted) for index in column}
    assert len(places) == MAX_PLACES
    assert min(places) > 1536 / 2


def test_positions_of_a_mask() -> None:
    assert [*positions(0)] == []
    assert [*positions(0b101001)] == [5, 3, 0]
