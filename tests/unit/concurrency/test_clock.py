"""The clock: time, sleep and random."""

from __future__ import annotations

from sekha._concurrency.clock import Clock


def test_the_clock_never_jumps_back_and_chance_is_a_fraction() -> None:
    clock = Clock()
    times = [clock.now() for _ in range(100)]
    assert times == sorted(times)
    chances = [clock.chance() for _ in range(100)]
    assert all(0 <= chance < 1 for chance in chances)
    assert len(set(chances)) > 50


async def test_the_clock_waits_nothing_when_asked_for_nothing() -> None:
    await Clock().async_sleep(0)
    Clock().sleep(0)
