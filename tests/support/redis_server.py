"""A Redis of the tests, as the package of the system has it: on a free port, with nothing on disk."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import List

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from .programs import free_ports, program


class RedisServer:
    """A Redis that can be killed and started again on the same port.

    Args:
        options: Further options of the command, such as ``--requirepass``.
    """

    def __init__(self, *options: str) -> None:
        self._command = program("redis-server")
        self.options: List[str] = list(options)
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        """Start it, and wait until it answers."""
        where = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp"]
        self._process = subprocess.Popen(
            [self._command, *where, *self.options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        limit = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None, "redis-server does not start"
            assert time.monotonic() < limit, "redis-server does not answer"
            time.sleep(0.02)
        return self

    def _answers(self) -> bool:
        with self.client() as client:
            try:
                client.ping()
            except RedisConnectionError as error:
                return "Authentication" in type(error).__name__
        return True

    def client(self, **options: object) -> Redis:
        """Return a client of it."""
        return Redis(host="127.0.0.1", port=self.port, **options)  # type: ignore[arg-type]  # a plain dictionary

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it no longer answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(how)
            process.wait(20)
