"""Interruptions of threads: while they wait for others, and at random moments in a process of their own."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sekha import SekhaClient
from sekha._concurrency import primitives, slots
from sekha._concurrency.primitives import InterruptibleLock, Semaphore
from sekha._http import pool_state
from sekha._sync import transport, write_gate
from sekha._sync.http import pool
from sekha._transport import rate_limit, write_locks
from support import facts
from support.facts import MESSAGES
from support.interrupting import Interruption, held, interrupted_at, interrupted_between, is_free
from support.replies import after, answer
from support.server import FakeServer

LAYERS = (transport, pool, primitives, slots, pool_state, rate_limit, write_gate, write_locks)
QUERY, CREATE = "POST /api/v1/query", "POST /api/v1/conversations"


@pytest.mark.slow
@pytest.mark.promise("R5", "W8")
@pytest.mark.parametrize("between", [False, True], ids=["before a line", "in a line"])
@pytest.mark.parametrize("what", ["a connection", "a write slot"])
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # what is interrupted before anybody has it is collected
def test_wherever_a_wait_is_interrupted_others_get_their_turn(what: str, between: bool, server: FakeServer) -> None:
    """The one before has what it waits for, and one after it waits for the same."""
    server.always(QUERY, after(0.004, answer(facts.hits())))
    server.always(CREATE, after(0.004, answer(facts.CREATED, 201)))
    server.always("GET /health", answer(facts.HEALTHY))
    interrupted = interrupted_between if between else interrupted_at
    connections = 1 if what == "a connection" else 5
    with SekhaClient(
        controller_url=server.url,
        bridge_url=server.url,
        api_key="k",
        max_connections=connections,
        max_concurrent_writes=1,
        max_retries=0,
        timeout=5.0,
        deadline=5.0,
        rate_limit_requests=10**9,
    ) as client:

        def call() -> Any:
            if what == "a connection":
                return client.controller.query("x")
            return client.controller.create_conversation(messages=MESSAGES)

        call()
        number, there_was_one = 0, True
        while there_was_one:
            number += 1
            threads = [threading.Thread(target=call) for _ in range(2)]
            for thread in threads:
                thread.start()
            with interrupted(number, Interruption(), *LAYERS) as happened:
                with contextlib.suppress(Interruption):
                    call()
            there_was_one = happened()
            for thread in threads:
                thread.join(10)
                assert not thread.is_alive()
            assert held(client) == [], f"interruption {number}"
        assert number > 100


@pytest.mark.promise("W8")
def test_a_lock_is_free_wherever_its_holder_was_interrupted() -> None:
    number, there_was_one = 0, True
    while there_was_one:
        number += 1
        lock = InterruptibleLock()
        with interrupted_at(number, Interruption(), primitives) as happened:
            with contextlib.suppress(Interruption):
                assert lock.run(lambda: 7) == 7
        there_was_one = happened()
        assert is_free(lock._lock), f"interruption {number}"
    assert number > 2


@pytest.mark.promise("W8")
def test_a_lock_that_python_has_not_released_is_free_all_the_same() -> None:
    """As Python 3.9 may do it, between the end of the block and the release."""
    lock = InterruptibleLock()

    def step() -> None:
        lock._lock.acquire()
        raise Interruption

    with pytest.raises(Interruption):
        lock.run(step)
    assert is_free(lock._lock)


@pytest.mark.promise("W8")
def test_a_slot_whose_holder_is_gone_without_a_word_is_found_by_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(primitives, "_SWEEP_INTERVAL", 0.01)
    writes = Semaphore(1)
    first, second = writes.slot(), writes.slot()
    assert first.acquire(None)
    assert second.acquire(0.02) is False
    second.release()
    del first
    assert second.acquire(5.0)
    assert writes._slots.get().lost == 1


def run(*command: str) -> str:
    """What the program says."""
    tests = Path(__file__).parents[1]
    program = str(tests / "support" / "random_interruptions.py")
    done = subprocess.run(
        [sys.executable, *(program if word == "PROGRAM" else word for word in command)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.promise("R5", "W8")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_signals_at_random_moments_take_nothing_away(count: int) -> None:
    assert "held: []" in run("PROGRAM", "signals", str(count))


@pytest.mark.slow
@pytest.mark.promise("R5", "W8")
@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="gevent is not installed")
def test_greenlets_killed_at_random_moments_take_nothing_away() -> None:
    assert "held: []" in run("-m", "gevent.monkey", "PROGRAM", "gevent", "2000")
