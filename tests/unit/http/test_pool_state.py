"""The places of a pool: random stories, told to the code and to a model of it."""

from __future__ import annotations

import gc
from typing import Any, List, Optional

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sekha._concurrency.primitives import Wakeup
from sekha._http.pool_state import PoolState, Waiter
from sekha.errors import SekhaClosedError

IDLE_SECONDS = 2.0


class Bell(Wakeup):
    """What a caller waits for."""

    rung = False

    def set(self) -> None:
        self.rung = True


def rung(turn: Waiter[Any]) -> bool:
    """Whether a caller was woken."""
    return isinstance(turn.wakeup, Bell) and turn.wakeup.rung


def enter(places: PoolState[Any], make_wakeup: Any = Bell) -> Waiter[Any]:
    """A caller that has asked."""
    turn: Waiter[Any] = Waiter()
    places.acquire(turn, make_wakeup)
    return turn


def one_of(turns: List[Waiter[int]], data: Any) -> Waiter[int]:
    """Any of them. Its index is drawn: Hypothesis would keep a caller, which then could not be lost."""
    at: int = data.draw(st.integers(0, len(turns) - 1))
    return turns[at]


def test_who_waits_knows_how_many_were_ahead() -> None:
    places: PoolState[int] = PoolState(1, IDLE_SECONDS)
    turns = [enter(places) for _ in range(4)]
    assert [turn.ahead for turn in turns] == [0, 0, 1, 2]


def test_who_must_not_wait_gets_a_place_beyond_the_limit_that_does_not_stay() -> None:
    places: PoolState[str] = PoolState(1, IDLE_SECONDS)
    own = enter(places)
    assert own.is_admitted
    places.attach(own, "own")
    waiting = enter(places)
    at_once = [enter(places, None), enter(places, None)]
    for turn, name in zip(at_once, ("first", "second")):
        assert (turn.is_admitted, places.take_idle(turn)) == (True, None)
        places.attach(turn, name)
    for turn in (at_once[0], own):  # whichever comes back first is closed
        assert not places.release(turn, 0.0)
        places.free_slot(turn)
    assert not waiting.is_admitted
    assert places.release(at_once[1], 0.0)
    places.free_slot(at_once[1])
    assert (waiting.is_admitted, places.take_idle(waiting)) == (True, "second")


def test_a_lost_place_is_found_beside_one_beyond_the_limit() -> None:
    places: PoolState[int] = PoolState(1, IDLE_SECONDS)
    lost, at_once = enter(places), enter(places, None)
    assert lost.is_admitted
    assert at_once.is_admitted
    del lost
    gc.collect()
    places.slots.free_lost()
    assert places.slots.lost == 1


class Stories(RuleBasedStateMachine):
    """Callers come, wait, connect, call, leave, forget and break off in any order."""

    @initialize(limit=st.integers(1, 4))
    def begin(self, limit: int) -> None:
        self.limit = limit
        self.places: PoolState[int] = PoolState(limit, IDLE_SECONDS)
        self.now = 100.0
        self.made = 0
        self.making: List[Waiter[int]] = []  # those who may make a connection
        self.used: List[Waiter[int]] = []
        self.idle: List[Any] = []  # (since, connection), the longest idle first
        self.waiting: List[Waiter[int]] = []  # first come, first
        self.forgotten: List[Waiter[int]] = []
        self.closed = False

    def next_one(self, connection: Optional[int]) -> bool:
        """In the model, a place goes to the first who waits, unless it was one too many."""
        if not self.waiting or len(self.making) + len(self.used) + len(self.forgotten) >= self.limit:
            return False
        turn = self.waiting.pop(0)
        assert turn.is_admitted
        assert rung(turn)
        assert self.places.take_idle(turn) == turn.connection == connection
        if connection is None:
            self.making.append(turn)
        else:
            self.used.append(turn)
        return True

    @rule()
    def enter(self) -> None:
        if self.closed:
            with pytest.raises(SekhaClosedError):
                enter(self.places)
            return
        taken = len(self.making) + len(self.used) + len(self.forgotten)
        turn = enter(self.places)
        if self.idle:
            _, connection = self.idle.pop()
            assert (turn.is_admitted, self.places.take_idle(turn)) == (True, connection)
            self.used.append(turn)
        elif taken < self.limit:
            assert (turn.is_admitted, self.places.take_idle(turn)) == (True, None)
            self.making.append(turn)
        else:
            assert not turn.is_admitted
            self.waiting.append(turn)

    @precondition(lambda self: not self.closed)
    @rule()
    def enter_at_once(self) -> None:
        turn = enter(self.places, None)
        connection = self.idle.pop()[1] if self.idle else None
        assert (turn.is_admitted, self.places.take_idle(turn)) == (True, connection)
        if connection is None:
            self.making.append(turn)
        else:
            self.used.append(turn)

    @precondition(lambda self: self.making)
    @rule(data=st.data())
    def connect(self, data: Any) -> None:
        turn = one_of(self.making, data)
        self.making.remove(turn)
        self.made += 1
        if self.closed:
            with pytest.raises(SekhaClosedError):
                self.places.attach(turn, self.made)
            self.places.free_slot(turn)
        else:
            self.places.attach(turn, self.made)
            self.used.append(turn)

    @precondition(lambda self: self.making)
    @rule(data=st.data())
    def fail_to_connect(self, data: Any) -> None:
        turn = one_of(self.making, data)
        self.making.remove(turn)
        self.places.free_slot(turn)
        if not self.closed:
            self.next_one(None)

    @precondition(lambda self: self.used and not self.closed)
    @rule(data=st.data())
    def connect_anew(self, data: Any) -> None:
        turn = one_of(self.used, data)
        self.made += 1
        self.places.drop(turn)
        self.places.attach(turn, self.made)
        assert turn.connection == self.made

    @precondition(lambda self: self.used)
    @rule(data=st.data())
    def give_back(self, data: Any) -> None:
        turn = one_of(self.used, data)
        connection = turn.connection
        self.used.remove(turn)
        others = len(self.making) + len(self.used) + len(self.forgotten)
        if self.closed or others >= self.limit:
            assert not self.places.release(turn, self.now)
            assert turn.connection == connection
            self.places.free_slot(turn)
        else:
            assert self.places.release(turn, self.now)
            self.places.free_slot(turn)
            if not self.next_one(connection):
                self.idle.append((self.now, connection))
        assert turn.connection is None

    @precondition(lambda self: self.used)
    @rule(data=st.data(), times=st.integers(1, 3))
    def lose(self, data: Any, times: int) -> None:
        turn = one_of(self.used, data)
        self.used.remove(turn)
        for _ in range(times):  # whoever was interrupted does it again
            self.places.free_slot(turn)
        if not self.closed:
            self.next_one(None)

    @precondition(lambda self: self.used and not self.closed)
    @rule(data=st.data())
    def forget(self, data: Any) -> None:
        turn = one_of(self.used, data)
        self.used.remove(turn)
        self.places.abandon(turn)
        self.forgotten.append(turn)

    @precondition(lambda self: self.used and not self.closed)
    @rule(data=st.data())
    def be_lost_without_a_word(self, data: Any) -> None:
        turn = one_of(self.used, data)
        lost = self.places.slots.lost
        self.used.remove(turn)
        del turn
        gc.collect()
        self.places.slots.free_lost()
        assert self.places.slots.lost == lost + 1
        self.next_one(None)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: Any) -> None:
        turn = one_of(self.waiting, data)
        self.waiting.remove(turn)
        assert not turn.is_admitted
        self.places.free_slot(turn)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.5]))
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        for turn in self.places.abandoned.copy():
            self.places.free_abandoned(turn)
        while self.forgotten:
            self.forgotten.pop()
            self.next_one(None)
        assert not self.places.abandoned

    @precondition(lambda self: self.making and not self.closed)
    @rule(data=st.data())
    def close_what_was_idle_for_long(self, data: Any) -> None:
        turn = one_of(self.making, data)
        expected = [one for since, one in self.idle if since + IDLE_SECONDS <= self.now]
        found = []
        while (connection := self.places.take_expired(turn, self.now)) is not None:
            assert turn.connection == connection
            found.append(connection)
            self.places.drop(turn)
        assert found == expected
        self.idle = [(since, one) for since, one in self.idle if one not in expected]
        assert self.places.next_expiry() == (self.idle[0][0] + IDLE_SECONDS if self.idle else None)

    @precondition(lambda self: not self.closed)
    @rule(yes=st.integers(0, 4))
    def close(self, yes: int) -> None:
        if yes:
            return  # most stories go on
        in_use = sorted(turn.connection for turn in self.used if turn.connection is not None)
        others = [one for _, one in self.idle] + [turn.connection for turn in self.forgotten]
        used, unused = self.places.close()
        assert sorted(used) == in_use
        assert sorted(unused) == sorted(others)
        for turn in self.waiting:
            assert rung(turn)
            with pytest.raises(SekhaClosedError):
                self.places.raise_if_closed()
            self.places.free_slot(turn)
        self.idle, self.forgotten, self.waiting, self.closed = [], [], [], True

    @invariant()
    def nobody_waits_while_there_is_a_place(self) -> None:
        if not hasattr(self, "places"):
            return
        assert not any(turn.is_admitted for turn in self.waiting)
        if self.waiting:
            assert not self.idle
            assert len(self.making) + len(self.used) + len(self.forgotten) >= self.limit
        if self.idle:
            assert len(self.making) + len(self.used) + len(self.forgotten) + len(self.idle) <= self.limit


Stories.TestCase.settings = settings(max_examples=50, stateful_step_count=30)
TestStories = Stories.TestCase


def test_of_many_idle_ones_those_that_were_idle_for_longest_expire_at_once() -> None:
    places: PoolState[int] = PoolState(6, IDLE_SECONDS, max_idle=2)
    turns = [enter(places) for _ in range(4)]
    for connection, turn in enumerate(turns):
        places.attach(turn, connection)
    for connection, turn in enumerate(turns):
        assert places.release(turn, 100.0 + connection)
        places.free_slot(turn)
    turn = enter(places)
    for connection in (0, 1):
        assert places.take_expired(turn, 103.0) == connection
        places.drop(turn)
    assert places.take_expired(turn, 103.0) is None
    others = [turn, enter(places), enter(places)]
    assert [places.take_idle(other) for other in others] == [3, 2, None]


def test_those_that_are_about_to_be_taken_do_not_expire() -> None:
    places: PoolState[int] = PoolState(2, IDLE_SECONDS, max_idle=0)
    turns = [enter(places), enter(places)]
    waiting = [enter(places) for _ in range(3)]
    for connection, turn in enumerate(turns):
        places.attach(turn, connection)
    for turn in turns:
        assert places.release(turn, 100.0)
        assert places.take_expired(turn, 100.0) is None
        places.free_slot(turn)
    assert [places.take_idle(turn) for turn in waiting[:2]] == [1, 0]
