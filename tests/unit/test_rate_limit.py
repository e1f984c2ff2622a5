"""The limiter: exact in every window, in order, and nobody waits with a lock in the hand (R12)."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._rate_limit import Ticket, TokenBucket

# Times are multiples of 1/64 s, so that sums are exact and a boundary is one.
TICK = 1 / 64


def most_in_a_window(times: List[float], window: float) -> int:
    """Requests in the fullest window; the window is open at its end."""
    times = sorted(times)
    return max((bisect_left(times, start + window) - i for i, start in enumerate(times)), default=0)


def test_as_many_as_there_are_tokens_pass_at_once_and_the_next_one_window_later() -> None:
    bucket = TokenBucket(3, 60.0)
    assert [bucket.try_take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.try_take(59.0)
    assert bucket.try_take(60.0)


def test_each_token_comes_back_one_window_after_it_was_taken() -> None:
    bucket = TokenBucket(2, 10.0)
    assert bucket.try_take(0.0)
    assert bucket.try_take(6.0)
    assert not bucket.try_take(9.0)
    assert bucket.try_take(10.0)
    assert not bucket.try_take(15.0)
    assert bucket.try_take(16.0)


def test_nobody_overtakes_the_queue() -> None:
    bucket = TokenBucket(1, 10.0)
    assert bucket.try_take(0.0)
    ticket = bucket.join()
    assert not bucket.try_take(10.0), "the token belongs to the one who waits"
    assert bucket.claim(ticket, 10.0) == 0.0
    assert not bucket.try_take(10.0)
    assert bucket.try_take(20.0)


def test_those_who_wait_are_served_in_their_order() -> None:
    bucket = TokenBucket(1, 10.0)
    assert bucket.try_take(0.0)
    tickets = [bucket.join() for _ in range(3)]
    assert bucket.claim(tickets[2], 10.0) > 0
    assert bucket.claim(tickets[1], 10.0) > 0
    assert bucket.claim(tickets[0], 10.0) == 0.0
    assert bucket.claim(tickets[2], 20.0) > 0
    assert bucket.claim(tickets[1], 20.0) == 0.0
    assert bucket.claim(tickets[2], 30.0) == 0.0


def test_who_leaves_takes_nothing_and_frees_its_place() -> None:
    bucket = TokenBucket(1, 10.0)
    assert bucket.try_take(0.0)
    first, second = bucket.join(), bucket.join()
    assert bucket.claim(second, 10.0) > 0
    bucket.leave(first)
    assert bucket.claim(second, 10.0) == 0.0


def test_leaving_twice_or_after_being_served_does_nothing() -> None:
    bucket = TokenBucket(1, 10.0)
    ticket, other = bucket.join(), bucket.join()
    assert bucket.claim(ticket, 0.0) == 0.0
    bucket.leave(ticket)
    bucket.leave(ticket)
    assert bucket.claim(other, 9.0) > 0
    assert bucket.claim(other, 10.0) == 0.0


def test_the_wait_that_is_told_is_never_past_the_moment_when_a_token_is_there() -> None:
    bucket = TokenBucket(2, 10.0)
    assert bucket.try_take(1.0)
    assert bucket.try_take(4.0)
    ticket = bucket.join()
    now, asked = 5.0, 0
    while (wait := bucket.claim(ticket, now)) > 0:
        now, asked = now + wait, asked + 1
        assert now <= 11.0
    assert now == pytest.approx(11.0)
    assert asked < 100


def test_the_servers_429_empties_the_bucket_for_one_window() -> None:
    bucket = TokenBucket(5, 60.0)
    assert bucket.try_take(0.0)
    bucket.drain(10.0)
    assert not bucket.try_take(69.0)
    assert [bucket.try_take(70.0) for _ in range(6)] == [True] * 5 + [False]


def test_emptying_a_bucket_of_a_billion_tokens_costs_nothing() -> None:
    bucket = TokenBucket(10**9, 60.0)
    bucket.drain(0.0)
    assert not bucket.try_take(59.0)
    assert bucket.try_take(60.0)


def test_those_who_wait_when_the_bucket_is_emptied_go_on_waiting() -> None:
    bucket = TokenBucket(1, 10.0)
    assert bucket.try_take(0.0)
    ticket = bucket.join()
    bucket.drain(5.0)
    assert bucket.claim(ticket, 10.0) > 0
    assert bucket.claim(ticket, 15.0) == 0.0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(0, 64 * 3)),
        st.tuples(st.sampled_from(["take", "join", "claim", "leave", "drain"]), st.integers(0, 5)),
    ),
    max_size=80,
)


@given(st.integers(1, 4), st.sampled_from([1.0, 2.0]), steps)
def test_no_window_sees_more_than_the_limit_and_the_served_keep_their_order(
    capacity: int, window: float, steps: List[tuple[str, int]]
) -> None:
    bucket = TokenBucket(capacity, window)
    now, drained = 1000.0, float("-inf")
    passed: List[float] = []
    queue: List[Ticket] = []
    for step, number in steps:
        if step == "pass":
            now += number * TICK
        elif step == "take":
            waiting = bool(queue)
            if bucket.try_take(now):
                assert not waiting
                passed.append(now)
                assert now >= drained + window
            elif not waiting:
                in_window = sum(time > now - window for time in passed)
                assert in_window >= capacity or now < drained + window, "refused although there was room"
        elif step == "join":
            queue.append(bucket.join())
        elif step == "claim" and queue:
            index = number % len(queue)
            before = sum(time > now - window for time in passed)
            wait = bucket.claim(queue[index], now)
            assert wait >= 0
            if wait == 0:
                assert before + index < capacity, "it took the token of one before it"
                assert now >= drained + window
                passed.append(now)
                del queue[index]
        elif step == "leave" and queue:
            bucket.leave(queue.pop(number % len(queue)))
        elif step == "drain":
            bucket.drain(now)
            drained = now
    assert most_in_a_window(passed, window) <= capacity


@given(st.integers(1, 5), st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=30))
def test_everybody_who_waits_gets_through_at_the_first_possible_moment(capacity: int, pauses: List[float]) -> None:
    bucket = TokenBucket(capacity, 1.0)
    now = 0.0
    waiting: dict[int, Ticket] = {}
    passed: List[float] = []
    for number, pause in enumerate(pauses):
        now += pause
        waiting[number] = bucket.join()
        for earlier, ticket in list(waiting.items()):
            if bucket.claim(ticket, now) == 0:
                passed.append(now)
                del waiting[earlier]
    for _ in range(10_000):
        if not waiting:
            break
        waits = {}
        for earlier, ticket in list(waiting.items()):
            waits[earlier] = bucket.claim(ticket, now)
            if waits[earlier] == 0:
                passed.append(now)
                del waiting[earlier], waits[earlier]
        now += max(min(waits.values(), default=0.0), 1e-9)
    assert len(passed) == len(pauses)
    assert most_in_a_window(passed, 1.0 - 1e-6) <= capacity


def test_it_is_exact_with_64_threads() -> None:
    bucket = TokenBucket(100, 1000.0)
    start, taken = threading.Barrier(64), []  # type: threading.Barrier, List[int]

    def work() -> None:
        start.wait()
        for _ in range(50):
            if bucket.try_take(1.0):
                taken.append(1)

    threads = [threading.Thread(target=work) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 100
