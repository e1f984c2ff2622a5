"""The places of a pool: random stories, told to the code and to a model of it."""

from __future__ import annotations

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


def rung(turn: Waiter[int]) -> bool:
    """Whether a caller was woken."""
    return isinstance(turn.wakeup, Bell) and turn.wakeup.rung


def test_who_waits_knows_how_many_were_ahead() -> None:
    places: PoolState[int] = PoolState(1, IDLE_SECONDS)
    assert [places.acquire(Bell).ahead for _ in range(4)] == [0, 0, 1, 2]


def test_who_must_not_wait_gets_a_place_beyond_the_limit_that_does_not_stay() -> None:
    places: PoolState[str] = PoolState(1, IDLE_SECONDS)
    assert places.acquire(None).is_assigned
    places.attach("own", replaces=None)
    waiting = places.acquire(Bell)
    for name in ("first", "second"):
        at_once = places.acquire(None)
        assert (at_once.is_assigned, at_once.connection) == (True, None)
        places.attach(name, replaces=None)
    for name in ("first", "own"):  # whichever comes back first is closed
        assert not places.release(name, 0.0)
        places.free_slot(name)
    assert not waiting.is_assigned
    assert places.release("second", 0.0)
    assert (waiting.is_assigned, waiting.connection) == (True, "second")


class Stories(RuleBasedStateMachine):
    """Callers come, wait, connect, call, leave, forget and break off in any order."""

    @initialize(limit=st.integers(1, 4))
    def begin(self, limit: int) -> None:
        self.limit = limit
        self.places: PoolState[int] = PoolState(limit, IDLE_SECONDS)
        self.now = 100.0
        self.made = 0
        self.making: List[Waiter[int]] = []  # those who may make a connection
        self.used: List[int] = []
        self.idle: List[Any] = []  # (since, connection), the longest idle first
        self.waiting: List[Waiter[int]] = []  # first come, first
        self.forgotten: List[int] = []
        self.closed = False

    def next_one(self, connection: Optional[int]) -> bool:
        """In the model, a place goes to the first who waits, unless it was one too many."""
        if not self.waiting or len(self.making) + len(self.used) + len(self.forgotten) >= self.limit:
            return False
        turn = self.waiting.pop(0)
        assert turn.is_assigned
        assert rung(turn)
        assert turn.connection == connection
        assert not self.places.cancel_wait(turn)
        if connection is None:
            self.making.append(turn)
        else:
            self.used.append(connection)
        return True

    @rule()
    def enter(self) -> None:
        if self.closed:
            with pytest.raises(SekhaClosedError):
                self.places.acquire(Bell)
            return
        taken = len(self.making) + len(self.used) + len(self.forgotten)
        turn = self.places.acquire(Bell)
        if self.idle:
            _, connection = self.idle.pop()
            assert (turn.is_assigned, turn.connection) == (True, connection)
            self.used.append(connection)
        elif taken < self.limit:
            assert (turn.is_assigned, turn.connection) == (True, None)
            self.making.append(turn)
        else:
            assert not turn.is_assigned
            self.waiting.append(turn)

    @precondition(lambda self: not self.closed)
    @rule()
    def enter_at_once(self) -> None:
        turn = self.places.acquire(None)
        connection = self.idle.pop()[1] if self.idle else None
        assert (turn.is_assigned, turn.connection) == (True, connection)
        if connection is None:
            self.making.append(turn)
        else:
            self.used.append(connection)

    @precondition(lambda self: self.making)
    @rule(data=st.data())
    def connect(self, data: Any) -> None:
        self.making.remove(data.draw(st.sampled_from(self.making)))
        self.made += 1
        if self.closed:
            with pytest.raises(SekhaClosedError):
                self.places.attach(self.made, replaces=None)
            self.places.free_slot(None)
        else:
            self.places.attach(self.made, replaces=None)
            self.used.append(self.made)

    @precondition(lambda self: self.making)
    @rule(data=st.data())
    def fail_to_connect(self, data: Any) -> None:
        self.making.remove(data.draw(st.sampled_from(self.making)))
        self.places.free_slot(None)
        if not self.closed:
            self.next_one(None)

    @precondition(lambda self: self.used and not self.closed)
    @rule(data=st.data())
    def connect_anew(self, data: Any) -> None:
        old = data.draw(st.sampled_from(self.used))
        self.made += 1
        self.places.attach(self.made, replaces=old)
        self.used[self.used.index(old)] = self.made

    @precondition(lambda self: self.used)
    @rule(data=st.data())
    def give_back(self, data: Any) -> None:
        connection = data.draw(st.sampled_from(self.used))
        self.used.remove(connection)
        others = len(self.making) + len(self.used) + len(self.forgotten)
        if self.closed or others >= self.limit:
            assert not self.places.release(connection, self.now)
            self.places.free_slot(connection)
        else:
            assert self.places.release(connection, self.now)
            if not self.next_one(connection):
                self.idle.append((self.now, connection))

    @precondition(lambda self: self.used)
    @rule(data=st.data())
    def lose(self, data: Any) -> None:
        connection = data.draw(st.sampled_from(self.used))
        self.used.remove(connection)
        self.places.free_slot(connection)
        if not self.closed:
            self.next_one(None)

    @precondition(lambda self: self.used and not self.closed)
    @rule(data=st.data())
    def forget(self, data: Any) -> None:
        connection = data.draw(st.sampled_from(self.used))
        self.used.remove(connection)
        self.places.abandon(connection)
        self.forgotten.append(connection)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: Any) -> None:
        turn = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(turn)
        assert self.places.cancel_wait(turn)

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.5]))
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        expected = self.forgotten + [one for since, one in self.idle if since + IDLE_SECONDS < self.now]
        found = []
        while (connection := self.places.pop_expired(self.now)) is not None:
            found.append(connection)
            self.places.free_slot(connection)
        assert found == expected
        self.idle = [(since, one) for since, one in self.idle if one not in expected]
        while self.forgotten:
            self.forgotten.pop()
            self.next_one(None)

    @precondition(lambda self: not self.closed)
    @rule(yes=st.integers(0, 4))
    def close(self, yes: int) -> None:
        if yes:
            return  # most stories go on
        used, unused = self.places.close()
        assert sorted(used) == sorted(self.used)
        assert sorted(unused) == sorted([one for _, one in self.idle] + self.forgotten)
        for turn in self.waiting:
            assert rung(turn)
            with pytest.raises(SekhaClosedError):
                self.places.cancel_wait(turn)
        self.idle, self.forgotten, self.waiting, self.closed = [], [], [], True

    @invariant()
    def nobody_waits_while_there_is_a_place(self) -> None:
        if not hasattr(self, "places"):
            return
        assert not any(turn.is_assigned for turn in self.waiting)
        if self.waiting:
            assert not self.idle
            assert len(self.making) + len(self.used) + len(self.forgotten) >= self.limit
        if self.idle:
            assert len(self.making) + len(self.used) + len(self.forgotten) + len(self.idle) <= self.limit


Stories.TestCase.settings = settings(max_examples=50, stateful_step_count=30)
TestStories = Stories.TestCase


def test_of_many_idle_ones_those_that_were_idle_for_longest_expire_at_once() -> None:
    places: PoolState[int] = PoolState(6, IDLE_SECONDS, max_idle=2)
    for connection in range(4):
        places.acquire(Bell)
        places.attach(connection, replaces=None)
    for connection in range(4):
        assert places.release(connection, 100.0 + connection)
    for connection in (0, 1):
        assert places.pop_expired(103.0) == connection
        places.free_slot(connection)
    assert places.pop_expired(103.0) is None
    assert [places.acquire(Bell).connection for _ in range(3)] == [3, 2, None]
