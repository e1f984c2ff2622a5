"""`sekha serve` in a process of its own: what it costs, and how long others wait for it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

LAST_SETTING = "SEKHA_RATE_LIMIT_REQUESTS="
PATIENCE = 900.0
"""Seconds after which a server that is still busy is not waited for."""


class Server:
    """A server that keeps its data in a file, until it is left.

    Args:
        file: Where the data is kept; None for memory.
        options: More options of the command.

    Attributes:
        settings: What it has printed: names and values.
        start_seconds: How long it took until it had printed them.
    """

    def __init__(self, file: Path | None, options: Sequence[str] = ()) -> None:
        data = [] if file is None else ["--data", str(file)]
        command = [sys.executable, "-m", "sekha", "serve", "--port", "0", "--bridge-port", "0", *data, *options]
        began = time.perf_counter()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.settings: dict[str, str] = {}
        for line in self._process.stdout:
            name, _, value = line.strip().partition("=")
            self.settings[name] = value
            if line.startswith(LAST_SETTING):
                break
        self.start_seconds = time.perf_counter() - began
        if not self.settings:
            raise RuntimeError(f"the server did not start: {self._process.communicate()[1]}")
        self._errors = threading.Thread(target=self._process.communicate, daemon=True)
        self._errors.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGINT)
        self._errors.join(60)
        if self._process.poll() is None:
            self._process.kill()
            self._errors.join()

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of a client for it, which waits as long as it takes and asks once."""
        names = {"controller_url": "SEKHA_CONTROLLER_URL", "bridge_url": "SEKHA_BRIDGE_URL", "api_key": "SEKHA_API_KEY"}
        given = {name: self.settings[setting] for name, setting in names.items()}
        return {**given, "rate_limit_requests": None, "proxy": "none", "timeout": PATIENCE, "max_retries": 0}

    def processor_ms(self) -> float:
        """How many milliseconds of processor time it has used, in all its threads."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) * 1000.0 / os.sysconf("SC_CLK_TCK")
        except FileNotFoundError:  # not Linux
            parts = _ps(self._process.pid, "time").replace("-", ":").split(":")
            return 1000.0 * sum(float(part) * 60.0**place for place, part in enumerate(reversed(parts)))

    def memory_mib(self) -> float:
        """How much memory it has in use."""
        try:
            lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
        except FileNotFoundError:
            return int(_ps(self._process.pid, "rss")) / 1024

    def health(self) -> dict[str, Any]:
        """Its report of health."""
        with closing(connect(self.settings["SEKHA_CONTROLLER_URL"])) as connection:
            return dict(json.loads(ask_health(connection)[0]))

    def settle(self, patience: float = PATIENCE) -> None:
        """Wait until it has nothing left to do: all has its vector, and its processor time stands still."""
        end = time.monotonic() + patience
        before = -1000.0
        while time.monotonic() < end:
            used = self.processor_ms()
            searchable = self.health().get("searchable") or {}
            if used - before <= 40.0 and searchable.get("embedded") == searchable.get("messages"):
                return
            before = used
            time.sleep(0.5)

    @contextmanager
    def watched(self) -> Iterator[Callable[[], float]]:
        """Ask for its health all the time, in a process of its own; the function returns the longest answer in ms."""
        command = [sys.executable, __file__, self.settings["SEKHA_CONTROLLER_URL"]]
        watch = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        longest: list[float] = []
        assert watch.stdout is not None
        watch.stdout.readline()
        try:
            yield lambda: longest[0]
        finally:
            longest.append(float(watch.communicate("stop\n")[0]))


def connect(url: str) -> http.client.HTTPConnection:
    """A connection to an address."""
    address = urlsplit(url)
    assert address.hostname is not None
    return http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)


def ask_health(connection: http.client.HTTPConnection) -> tuple[bytes, float]:
    """Ask for health once; return the body, and how many seconds it took."""
    began = time.perf_counter()
    try:
        connection.request("GET", "/health")
        body = connection.getresponse().read()
    except http.client.HTTPException:  # it was idle for too long
        connection.close()
        connection.request("GET", "/health")
        body = connection.getresponse().read()
    return body, time.perf_counter() - began


def watch(url: str) -> None:
    """Ask for health until a line comes in; print a line at the beginning, and the longest answer in ms at the end."""
    stop = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.readline()
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    with closing(connect(url)) as connection:
        ask_health(connection)
        print("watching", flush=True)
        longest = 0.0
        while not stop.wait(0.02):
            longest = max(longest, ask_health(connection)[1])
    print(1000.0 * longest)


def _ps(process: int, what: str) -> str:
    command = ["ps", "-o", f"{what}=", "-p", str(process)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    watch(sys.argv[1])
