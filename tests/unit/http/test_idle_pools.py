"""The pools of all clients: when each is looked at, and when none is."""

from __future__ import annotations

import gc
from typing import List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._http.idle_pools import IdlePools
from sekha._http.models import KEEPALIVE_EXPIRY


class Pool:
    """A pool whose connections became idle at some times."""

    def __init__(self, *idle: float) -> None:
        self.now = 0.0
        self.idle = sorted(idle)
        self.looks = 0

    def close_expired(self) -> Optional[float]:
        self.looks += 1
        self.idle = [since for since in self.idle if since + KEEPALIVE_EXPIRY > self.now]
        return self.idle[0] + KEEPALIVE_EXPIRY - self.now if self.idle else None


def look(pools: IdlePools, *each: Pool, now: float) -> List[int]:
    """How often each pool was looked at by a call."""
    before = [pool.looks for pool in each]
    for pool in each:
        pool.now = now
    pools.close_expired(now)
    return [pool.looks - count for pool, count in zip(each, before)]


def test_pools_are_looked_at_only_when_something_can_expire() -> None:
    pools, idle, empty = IdlePools(), Pool(100.0, 101.5), Pool()
    for pool in (idle, empty):
        pools.add(pool)
    times = [(100.5, 1), (101.0, 0), (101.9, 0), (102.0, 1), (103.0, 0), (103.5, 1), (105.4, 0), (105.5, 1), (200.0, 1)]
    assert [(now, look(pools, idle, empty, now=now)) for now, _ in times] == [(now, [n, n]) for now, n in times]
    assert idle.idle == []


def test_a_clock_that_is_another_one_is_no_reason_not_to_look() -> None:
    pools, pool = IdlePools(), Pool()
    pools.add(pool)
    assert [look(pools, pool, now=now) for now in (50_000.0, 1000.0, 50_000.5, 50_001.0)] == [[1], [1], [1], [0]]


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 1.0, 1.75, 2.0]), st.integers(-1, 2)), max_size=40))
def test_after_a_call_nothing_is_idle_for_longer_than_it_may(steps: List[Tuple[float, int]]) -> None:
    pools, now = IdlePools(), 100.0
    each = [Pool() for _ in range(3)]
    for pool in each:
        pools.add(pool)
    for seconds, number in steps:
        now += seconds
        if number >= 0:
            each[number].idle.append(now)
        look(pools, *each, now=now)
        assert all(since + KEEPALIVE_EXPIRY > now for pool in each for since in pool.idle)


def test_a_pool_is_dropped_with_its_client() -> None:
    pools, kept = IdlePools(), Pool()
    pools.add(kept)
    pools.add(Pool())
    gc.collect()
    pools.close_expired(1.0)
    assert [reference() for reference in pools._pools.values()] == [kept]


def test_a_call_that_was_interrupted_leaves_the_rest_to_the_next() -> None:
    class Interrupted(Pool):
        def close_expired(self) -> Optional[float]:
            super().close_expired()
            raise KeyboardInterrupt

    pools, first, last = IdlePools(), Interrupted(), Pool(0.0)
    for pool in (first, last):
        pools.add(pool)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            look(pools, first, last, now=3.0)
    del first, pool
    gc.collect()
    assert look(pools, last, now=3.0) == [1]
    assert last.idle == []
