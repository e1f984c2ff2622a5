"""The calls of `support.patched`, which it imports once it has patched the standard library."""

from __future__ import annotations

import gc
import os
import sys
from functools import partial
from typing import Any, Callable, List

from sekha import SekhaClient, SekhaClosedError, SekhaConnectionError, SekhaError, SekhaTimeoutError
from sekha._concurrency.clock import Clock
from support.facts import MESSAGES
from support.interrupting import held

SIDE_BY_SIDE = 20


class MovedClock(Clock):
    """A clock that can be moved on. That of `sekha.testing` would load trio, which eventlet breaks."""

    moved = 0.0

    def now(self) -> float:
        """Return the time."""
        return super().now() + self.moved


class Program:
    """All that is done with one client.

    Args:
        framework: The framework.
        url: Address of the servers.
        ca: Path of the certificate of their authority.
    """

    def __init__(self, framework: Any, url: str, ca: str) -> None:
        self.framework = framework
        self.url, self.ca = url, ca
        self.client = self.make()

    def make(self, **options: Any) -> SekhaClient:
        """Return another client."""
        settings = {"controller_url": self.url, "bridge_url": f"{self.url}/bridge", "api_key": "k", "verify": self.ca}
        return SekhaClient(**{**settings, "max_retries": 0, **options})

    def query(self, number: int = 0) -> Any:
        """Make a call; return what it found."""
        return self.client.controller.query("x")["total"]

    def search(self, number: int) -> Any:
        """Make one that the server answers when all are there."""
        return self.client.controller.full_text_search("x")["total"]

    def stream(self, number: int) -> str:
        """Read a stream, of which the same is true."""
        return self.client.bridge.stream_complete(MESSAGES).get_final_text()

    def calls(self) -> None:
        """Calls one after the other, on connections that are idle, were idle for too long, or are gone."""
        for _ in range(3):
            assert self.query() == 0
        clock = MovedClock()
        self.client._controller_transport.use_clock(clock)
        clock.moved = 3.0
        assert self.query() == 0
        assert self.client.controller.metrics() == "up 1"  # the server closes its connection
        assert self.client.with_options(max_retries=2).controller.query("x")["total"] == 0

    def side_by_side(self) -> None:
        """The server answers when all are there; so none may block the others."""
        for call, result in ((self.search, 0), (self.stream, "Hello")):
            assert self.framework.map(call, SIDE_BY_SIDE) == [result] * SIDE_BY_SIDE

    def streams(self) -> None:
        """A stream that is read, and one that is left."""
        with self.client.bridge.stream_complete(MESSAGES) as stream:
            assert next(stream.text_stream()) == "Hel"
        assert self.client.bridge.stream_complete(MESSAGES).get_final_text() == "Hello"

    def threads(self) -> None:
        """What a blocking client does in threads."""
        services = self.client.health_check()
        assert {name: one["status"] for name, one in services.items()} == dict.fromkeys(services, "healthy"), services
        assert len(self.client.bridge.embed(["a", "b", "c"])["data"]) == 3

    def timeouts(self) -> None:
        """Timeouts, ours and those of the framework, while nothing arrives."""
        for view in (self.client.with_options(timeout=0.1), self.client.with_options(deadline=0.1)):
            self.query()  # there is a connection
            error = failure(view.controller.count_conversations)
            assert isinstance(error, SekhaTimeoutError), error
            assert (error.sent, held(self.client)) == (True, [])
        for seconds in (0, 0.1):
            self.query()
            try:
                with self.framework.timeout(seconds):
                    self.client.controller.count_conversations()
            except self.framework.timeout:
                pass
            else:
                raise AssertionError("no timeout")
            assert held(self.client) == []
            assert self.query() == 0

    def interruptions(self) -> None:
        """Interruptions wherever a greenlet waits: nothing stays taken, and no connection is open that nobody has."""
        before, client = descriptors(), self.make()

        def fresh() -> None:
            with self.make() as another:
                another.controller.query("x")

        def stream() -> None:
            client.bridge.stream_complete(MESSAGES).get_final_text()

        def left() -> None:
            with client.bridge.stream_complete(MESSAGES) as stream:
                next(stream)

        read = partial(client.controller.query, "x")
        write = partial(client.controller.create_conversation, messages=MESSAGES)
        for call in (read, write, stream, left, fresh, client.health_check):
            number = 1
            while self.framework.interrupted_at(number, call):
                for _ in range(200):  # other threads of a health check come to their end
                    if not held(client):
                        break
                    self.framework.sleep(0.005)
                assert held(client) == [], (call, number)
                number += 1
            assert number > 1, call
        client.close()
        for _ in range(200):  # what closes its connection as it is interrupted may take a moment more
            gc.collect()
            if descriptors() == before:
                break
            self.framework.sleep(0.005)
        assert descriptors() == before

    def closing(self) -> None:
        """Closing a stream, or the client, ends the calls that wait, and leaves no descriptor open."""
        before, client = descriptors(), self.make()
        streams = [client.bridge.stream_complete(MESSAGES) for _ in range(2)]
        assert [next(stream.text_stream()) for stream in streams] == ["Hel", "Hel"]
        calls = [*(stream.get_final_text for stream in streams), client.controller.count_conversations]
        waiting = [self.framework.spawn(failure, call) for call in calls]
        self.framework.sleep(0.02)
        for close, ended in ((streams[0].close, waiting[:1]), (client.close, waiting[1:])):
            close()
            errors = [self.framework.wait(one) for one in ended]
            assert all(isinstance(error, (SekhaClosedError, SekhaConnectionError)) for error in errors), errors
        streams[1].close()
        client.close()
        assert descriptors() == before

    def all(self) -> None:
        """All of it."""
        self.calls()
        self.side_by_side()
        self.closing()
        self.streams()
        self.threads()
        self.timeouts()
        self.interruptions()
        assert held(self.client) == []
        self.client.close()


def failure(call: Callable[[], Any]) -> Any:
    """Return how a call fails."""
    try:
        return f"it has not failed: {call()}"
    except SekhaError as error:
        return error


def descriptors() -> List[str]:
    """Return the numbers of all open sockets, where the system lists them."""
    folder = "/proc/self/fd"
    if not os.path.isdir(folder):
        return []
    links = [(name, f"{folder}/{name}") for name in os.listdir(folder)]
    return sorted(name for name, path in links if os.path.islink(path) and os.readlink(path).startswith("socket:"))


def main(framework: Any, when: str, plain_url: str, tls_url: str, ca: str) -> None:
    """Run the program."""
    programs = [Program(framework, url, ca) for url in (plain_url, tls_url)]
    if when == "late":
        for program in programs:
            program.query()
        framework.patch()
    for program in programs:
        program.all()
    sys.stdout.write("all is well\n")
