"""The limiter: exact in every window, in order, and nobody waits with a lock in the hand (R12)."""

from __future__ import annotations

import sys
import threading
import time
from bisect import bisect_left
from typing import Callable, Deque, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._concurrency.clock import Clock
from sekha._transport.rate_limit import Ticket, TokenBucket, new_ticket
from support.clock import FakeClock

# Times are multiples of 1/64 s, so that sums are exact and a boundary is one.
TICK = 1 / 64


def join(bucket: TokenBucket) -> Ticket:
    """Join the queue with a new ticket."""
    ticket = new_ticket()
    bucket.join(ticket)
    return ticket


def most_in_a_window(times: List[float], window: float) -> int:
    """Requests in the fullest window; the window is open at its end."""
    times = sorted(times)
    return max((bisect_left(times, start + window) - i for i, start in enumerate(times)), default=0)


@pytest.mark.promise("R12")
def test_as_many_as_there_are_tokens_pass_at_once_and_the_next_one_window_later() -> None:
    bucket = TokenBucket(3, 60.0)
    assert [bucket.try_take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.try_take(59.0)
    assert bucket.try_take(60.0)


@pytest.mark.promise("R12")
def test_each_token_comes_back_one_window_after_it_was_taken() -> None:
    bucket = TokenBucket(2, 10.0)
    assert bucket.try_take(0.0)
    assert bucket.try_take(6.0)
    assert not bucket.try_take(9.0)
    assert bucket.try_take(10.0)
    assert not bucket.try_take(15.0)
    assert bucket.try_take(16.0)


@pytest.mark.promise("R12", "W4")
def test_what_is_sent_at_once_is_counted() -> None:
    bucket = TokenBucket(2, 10.0)
    for now in (0.0, 1.0, 2.0):
        bucket.take_now(now)
    assert not bucket.try_take(10.5), "two are still out"
    assert bucket.try_take(11.0)
    assert not bucket.try_take(11.5)
    assert bucket.try_take(12.0)


def test_what_is_sent_at_once_for_years_takes_no_memory() -> None:
    bucket = TokenBucket(2, 10.0)
    bucket.drain(0.0)
    for second in range(1000):
        bucket.take_now(float(second))
    assert len(bucket._taken) <= 10


@pytest.mark.promise("W4")
def test_what_is_sent_at_once_lets_those_who_wait_wait_longer() -> None:
    bucket = TokenBucket(1, 10.0)
    assert bucket.try_take(0.0)
    ticket = join(bucket)
    bucket.take_now(5.0)
    assert bucket.claim(ticket, 10.0) > 0
    assert bucket.claim(ticket, 15.0) == 0.0


@pytest.mark.promise("R12")
def test_nobody_overtakes_the_queue() -> None:
    bucket = TokenBucket(1, 10.0)
    assert bucket.try_take(0.0)
    ticket = join(bucket)
    assert not bucket.try_take(10.0), "the token belongs to the one who waits"
    assert bucket.claim(ticket, 10.0) == 0.0
    assert not bucket.try_take(10.0)
    assert bucket.try_take(20.0)


@pytest.mark.promise("R12")
def test_those_who_wait_are_served_in_their_order() -> None:
    bucket = TokenBucket(1, 10.0)
    assert bucket.try_take(0.0)
    tickets = [join(bucket) for _ in range(3)]
    assert bucket.claim(tickets[2], 10.0) > 0
    assert bucket.claim(tickets[1], 10.0) > 0
    assert bucket.claim(tickets[0], 10.0) == 0.0
    assert bucket.claim(tickets[2], 20.0) > 0
    assert bucket.claim(tickets[1], 20.0) == 0.0
    assert bucket.claim(tickets[2], 30.0) == 0.0


@pytest.mark.promise("R12")
def test_who_leaves_takes_nothing_and_frees_its_place() -> None:
    bucket = TokenBucket(1, 10.0)
    assert bucket.try_take(0.0)
    first, second = join(bucket), join(bucket)
    assert bucket.claim(second, 10.0) > 0
    bucket.leave(first)
    assert bucket.claim(second, 10.0) == 0.0


@pytest.mark.promise("R12")
def test_leaving_twice_or_after_being_served_does_nothing() -> None:
    bucket = TokenBucket(1, 10.0)
    ticket, other = join(bucket), join(bucket)
    assert bucket.claim(ticket, 0.0) == 0.0
    bucket.leave(ticket)
    bucket.leave(ticket)
    assert bucket.claim(other, 9.0) > 0
    assert bucket.claim(other, 10.0) == 0.0


@pytest.mark.promise("R12")
def test_the_wait_that_is_told_is_never_past_the_moment_when_a_token_is_there() -> None:
    bucket = TokenBucket(2, 10.0)
    assert bucket.try_take(1.0)
    assert bucket.try_take(4.0)
    ticket = join(bucket)
    now, asked = 5.0, 0
    while (wait := bucket.claim(ticket, now)) > 0:
        now, asked = now + wait, asked + 1
        assert now <= 11.0
    assert now == pytest.approx(11.0)
    assert asked < 100


@pytest.mark.promise("R12")
def test_the_servers_429_empties_the_bucket_for_one_window() -> None:
    bucket = TokenBucket(5, 60.0)
    assert bucket.try_take(0.0)
    bucket.drain(10.0)
    assert not bucket.try_take(69.0)
    assert [bucket.try_take(70.0) for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.promise("R12")
def test_emptying_a_bucket_of_a_billion_tokens_costs_nothing() -> None:
    bucket = TokenBucket(10**9, 60.0)
    bucket.drain(0.0)
    assert not bucket.try_take(59.0)
    assert bucket.try_take(60.0)


@pytest.mark.promise("R12")
def test_a_short_pause_that_the_server_asks_for_brings_no_token_back_early() -> None:
    bucket = TokenBucket(2, 60.0)
    assert [bucket.try_take(0.0) for _ in range(2)] == [True, True]
    bucket.drain(1.0, 2.0)
    assert not bucket.try_take(3.0), "two have passed in this window"
    assert bucket.try_take(60.0)


@pytest.mark.promise("R12")
def test_those_who_wait_when_the_bucket_is_emptied_go_on_waiting() -> None:
    bucket = TokenBucket(1, 10.0)
    assert bucket.try_take(0.0)
    ticket = join(bucket)
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


@pytest.mark.promise("R12")
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
                assert now >= drained
            elif not waiting:
                in_window = sum(time > now - window for time in passed)
                assert in_window >= capacity or now < drained, "refused although there was room"
        elif step == "join":
            queue.append(join(bucket))
        elif step == "claim" and queue:
            index = number % len(queue)
            before = sum(time > now - window for time in passed)
            wait = bucket.claim(queue[index], now)
            assert wait >= 0
            if wait == 0:
                assert before + index < capacity, "it took the token of one before it"
                assert now >= drained
                passed.append(now)
                del queue[index]
        elif step == "leave" and queue:
            bucket.leave(queue.pop(number % len(queue)))
        elif step == "drain":
            seconds = number * 0.25 if number else None
            bucket.drain(now, seconds)
            drained = max(drained, now + min(window if seconds is None else seconds, window))
    assert most_in_a_window(passed, window) <= capacity


@pytest.mark.promise("R12")
@given(st.integers(1, 5), st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=30))
def test_everybody_who_waits_gets_through_at_the_first_possible_moment(capacity: int, pauses: List[float]) -> None:
    bucket = TokenBucket(capacity, 1.0)
    now = 0.0
    waiting: dict[int, Ticket] = {}
    passed: List[float] = []
    for number, pause in enumerate(pauses):
        now += pause
        waiting[number] = join(bucket)
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


@pytest.mark.promise("R12")
@given(st.integers(1, 4), st.lists(st.integers(0, 64 * 6), min_size=1, max_size=60))
def test_no_window_is_too_full_when_threads_come_with_old_times(capacity: int, ticks: List[int]) -> None:
    bucket, latest = TokenBucket(capacity, 1.0), 0.0
    passed: List[float] = []
    for tick in ticks:
        latest = max(latest, tick * TICK)
        if bucket.try_take(tick * TICK):
            passed.append(latest)
    assert most_in_a_window(passed, 1.0) <= capacity


joining_and_leaving = st.lists(st.one_of(st.just(-1), st.integers(0, 30)), max_size=120)


@pytest.mark.promise("R12")
@given(st.integers(0, 3), joining_and_leaving)
def test_places_in_the_queue_are_right_whoever_leaves(capacity: int, steps: List[int]) -> None:
    bucket, model = TokenBucket(capacity + 1, 1.0), list[Ticket]()
    ever: List[Ticket] = []
    for step in steps:
        if step < 0:
            model.append(join(bucket))
            ever.append(model[-1])
        elif ever:
            bucket.leave(ever[step % len(ever)])  # perhaps for the second time
            model = [ticket for ticket in model if ticket != ever[step % len(ever)]]
        assert bucket._queue == model
    for ticket in model:
        bucket.leave(ticket)
    assert not bucket._queue, "who is gone is forgotten"


def cost_of_a_look(waiting: int) -> float:
    """Seconds that the last of many waiters needs to ask how long it takes; the quickest of some tries."""
    bucket = TokenBucket(1, 10.0)
    assert bucket.try_take(0.0)
    last = [join(bucket) for _ in range(waiting)][-1]
    spent: List[float] = []
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(50):
            assert bucket.claim(last, 1.0) > 0
        spent.append(time.perf_counter() - start)
    return min(spent)


@pytest.mark.promise("R12")
def test_a_look_costs_the_same_however_many_wait() -> None:
    assert cost_of_a_look(100_000) < 20 * cost_of_a_look(100)


@pytest.mark.promise("R12")
def test_jumps_of_the_wall_clock_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    before = clock.now()
    for jump in (86_400.0, -86_400.0):
        monkeypatch.setattr(time, "time", lambda: 1e9 + jump)  # noqa: B023
        assert before <= clock.now() <= time.monotonic()


def in_threads(work: Callable[[], object], count: int = 64) -> None:
    """Do the same in many threads that begin together."""
    start, errors = threading.Barrier(count), list[BaseException]()

    def run() -> None:
        start.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # interrupt each other as often as possible
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    finally:
        sys.setswitchinterval(interval)
    assert not errors


class Noted(Deque[float]):
    """Remembers all that ever was in it, and lets another thread go first whenever it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.ever: List[float] = []

    def append(self, value: float) -> None:
        self.ever.append(value)
        super().append(value)

    def __len__(self) -> int:
        length = super().__len__()
        time.sleep(1e-6)
        return length


@pytest.mark.promise("R12")
def test_it_is_exact_with_64_threads() -> None:
    bucket, taken = TokenBucket(100, 1000.0), list[int]()
    bucket._taken = Noted()

    def work() -> None:
        for _ in range(5):
            if bucket.try_take(1.0):
                taken.append(1)

    in_threads(work)
    assert len(taken) == 100


@pytest.mark.promise("R12")
def test_it_is_exact_with_64_threads_that_wait() -> None:
    bucket, clock, passed = TokenBucket(10, 1.0), FakeClock(), Noted()
    bucket._taken = passed

    def work() -> None:
        for _ in range(3):
            if bucket.try_take(clock.now()):
                continue
            ticket = join(bucket)
            while (wait := bucket.claim(ticket, clock.now())) > 0:
                assert wait <= 1.0
                clock.sleep(wait)

    in_threads(work)
    assert len(passed.ever) == 64 * 3
    assert passed.ever == sorted(passed.ever)
    assert most_in_a_window(passed.ever, 1.0) <= 10
    assert not bucket._queue


def test_a_server_says_for_how_long_it_has_seen_enough() -> None:
    bucket = TokenBucket(5, 60.0)
    bucket.drain(0.0, 1.0)
    assert not bucket.try_take(0.9)
    assert bucket.try_take(1.0)
    bucket.drain(10.0, 600.0)
    assert bucket.try_take(70.0)
