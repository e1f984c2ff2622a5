"""A local Sekha behind a loopback socket that does to its answers what a test has written down."""

from __future__ import annotations

import difflib
import http.client
import json
import re
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Dict, Generator, List, Literal, Optional, Sequence, Type
from urllib.parse import urlsplit

from typing_extensions import Unpack

from sekha import AsyncSekhaClient, SekhaClient
from sekha._async.base import AsyncClientOptions
from sekha._concurrency.clock import Clock
from sekha._sync.base import ClientOptions
from sekha.local import LocalSekha, LocalSekhaError
from sekha.local.server import Options
from sekha.testing._clock import FakeClock, use_clock
from sekha.testing._exchange import Exchange
from sekha.testing._faults import Fault, answer_with, relay
from sekha.testing._sockets import Seen, SocketServer

ServerName = Literal["controller", "bridge"]
_SECRET = ("authorization", "proxy-authorization", "cookie", "x-api-key", "api-key")


@dataclass(frozen=True)
class SeenRequest:
    """A request that a `ScriptedSekha` has seen.

    Attributes:
        server: ``controller`` (with the MCP tools) or ``bridge``.
        method: Such as ``POST``.
        path: The path without the query.
        query: The query, decoded.
        headers: The headers, names in lower case; keys are masked.
        body: The bytes of the body.
        connection: The number of the connection that it came on, from 1, for each server.
        time: When it was there, in seconds since 1970.
        fault: The fault that was played, by name; None for a plain answer.
    """

    server: ServerName
    method: str
    path: str
    query: Dict[str, str]
    headers: Dict[str, str]
    body: bytes
    connection: int
    time: float
    fault: Optional[str]

    @property
    def line(self) -> str:
        """Method and path, such as ``GET /health``."""
        return f"{self.method} {self.path}"

    @property
    def json(self) -> Any:
        """The body as data; None if there is none."""
        return json.loads(self.body) if self.body else None


@dataclass
class _Scripted:
    """A fault that was written down."""

    line: str
    fault: Fault
    times: int
    server: Optional[ServerName]
    left: int

    def is_for(self, request: Seen, route: str, server: ServerName) -> bool:
        return (
            self.left > 0
            and (self.server or server) == server
            and (request.line == self.line or ("{" in self.line and _nameless(self.line) == _nameless(route)))
        )


class ScriptedSekha:
    """A local Sekha for tests: faults can be scripted, every request is noted, and time passes only on its clock.

    It listens on ports of its own before a `sekha.local.LocalSekha`, so its answers are real ones wherever no fault is
    written down. Used in a ``with`` block it fails in the end, as `check` does, if the block did not.

    Args:
        sekha: A local Sekha that runs, and goes on afterwards; without it, one is started and stopped.
        clock: The clock of its clients and of its delays; a new `FakeClock` by default.

    Attributes:
        requests: Every request so far (`SeenRequest`), in the order of arrival.
        sekha: The local Sekha itself; its own addresses know no fault, and note nothing.
        clock: The clock.

    Example:
        ```python
        from sekha import SekhaConnectionError
        from sekha.testing import ScriptedSekha, cut_after_work

        with ScriptedSekha() as sekha, sekha.client() as client:
            sekha.fail("POST /api/v1/conversations", cut_after_work())
            try:
                client.controller.create_conversation(messages=[{"role": "user", "content": "Hello"}])
            except SekhaConnectionError as error:
                print(error.may_have_been_applied)  # True
            print(client.controller.count_conversations()["count"])  # 1
            print([request.line for request in sekha.requests])
            # ['POST /api/v1/conversations', 'GET /api/v1/conversations/count']
        ```
    """

    def __init__(self, sekha: Optional[LocalSekha] = None, *, clock: Optional[Clock] = None) -> None:
        self._is_lent = sekha is not None
        self.sekha: LocalSekha = LocalSekha() if sekha is None else sekha
        self.clock: Clock = FakeClock() if clock is None else clock
        self.requests: List[SeenRequest] = []
        self._servers: Dict[ServerName, _Front] = {}
        self._script: List[_Scripted] = []
        self._problems: List[str] = []
        self._lock = threading.Lock()
        self._stack = ExitStack()

    def start(self) -> None:
        """Start what is to be started; then it answers."""
        with ExitStack() as stack:
            if not self._is_lent:
                stack.enter_context(self.sekha)
            urls: Dict[ServerName, str] = {
                "controller": self.sekha.controller_url,
                "bridge": self.sekha.bridge_url,
            }
            for name, url in urls.items():
                front = self._servers[name] = _Front(self, name, url, self.sekha.routes[name])
                stack.callback(front.close)
            stack.callback(self._servers.clear)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Close every connection and stop; what was not asked for is not told (see `check`)."""
        self._stack.close()

    def __enter__(self) -> ScriptedSekha:
        self.start()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()
        if kind is None:
            self.check()

    # How it is reached

    @property
    def controller_url(self) -> str:
        """Address of controller and MCP tools."""
        return self._front("controller").url

    @property
    def bridge_url(self) -> str:
        """Address of the bridge."""
        return self._front("bridge").url

    @property
    def api_key(self) -> str:
        """A key that is accepted."""
        return self.sekha.api_key

    @property
    def options(self) -> Options:
        """What connects a client of your own: `SekhaClient(**sekha.options)`. It waits really, see `use_clock`."""
        return {**self.sekha.options, "controller_url": self.controller_url, "bridge_url": self.bridge_url}

    def client(self, **options: Unpack[ClientOptions]) -> SekhaClient:
        """A blocking client that reads the clock; close it in the end.

        Args:
            options: Settings, as for `sekha.SekhaClient`.
        """
        settings: Dict[str, Any] = {**self.options, **options}
        client = SekhaClient(**settings)
        use_clock(client, self.clock)
        return client

    def async_client(self, **options: Unpack[AsyncClientOptions]) -> AsyncSekhaClient:
        """An awaited client that reads the clock; close it in the end.

        Args:
            options: Settings, as for `sekha.AsyncSekhaClient`.
        """
        settings: Dict[str, Any] = {**self.options, **options}
        client = AsyncSekhaClient(**settings)
        use_clock(client, self.clock)
        return client

    # What tests say

    def fail(self, line: str, fault: Fault, times: int = 1, *, server: Optional[ServerName] = None) -> None:
        """Let something happen to the next requests of this kind. Faults of the same requests happen in their order.

        Args:
            line: Method and path: ``GET /api/v1/conversations/{id}`` for any, with an id in it for that one.
            fault: What happens, such as `cut_after_work()`.
            times: To how many requests.
            server: ``controller`` or ``bridge``, for routes that both have, such as ``GET /health``; else both count.

        Raises:
            ValueError: There is no such route, or nothing would happen.

        Example:
            ```python
            from sekha.testing import ScriptedSekha, answer_with

            with ScriptedSekha() as sekha, sekha.client() as client:
                overloaded = answer_with(503, {"error": "overloaded", "code": 503}, {"retry-after": "7"})
                sekha.fail("GET /api/v1/conversations/count", overloaded, times=2)
                print(client.controller.count_conversations()["count"])  # 0
                print(len(sekha.requests), sekha.clock.waits)  # 3 [7.0, 7.0]
            ```
        """
        if times < 1:
            raise ValueError(f"times={times}: a fault happens at least once")
        names: Sequence[ServerName] = ("controller", "bridge") if server is None else (server,)
        known = [route for name in names for route in self._front(name).routes]
        method, _, path = line.partition(" ")
        if not (
            any(_nameless(line) == _nameless(route) for route in known)
            or ("{" not in line and any(self._front(name).route(method, path) for name in names))
        ):
            close = difflib.get_close_matches(line, known, 3, 0.5)
            raise ValueError(f"there is no route {line!r}{'; near it: ' if close else ''}{', '.join(close)}")
        with self._lock:
            self._script.append(_Scripted(line, fault, times, server, times))

    def refuse(self, server: Optional[ServerName] = None) -> None:
        """Refuse connections from now on, until `accept`; those that are open end.

        Nobody sees a refused connection, so nothing fails if there was none.

        Args:
            server: ``controller`` or ``bridge``; both by default.
        """
        for name, front in self._servers.items():
            if server in (None, name):
                front.refuse()

    def accept(self) -> None:
        """Take connections again, on the same ports."""
        for front in self._servers.values():
            front.listen()

    @contextmanager
    def refusing(self, server: Optional[ServerName] = None) -> Generator[None, None, None]:
        """Refuse connections in this block.

        Args:
            server: ``controller`` or ``bridge``; both by default.

        Example:
            ```python
            from sekha import SekhaConnectionError
            from sekha.testing import ScriptedSekha

            with ScriptedSekha() as sekha, sekha.client() as client:
                with sekha.refusing():
                    try:
                        client.controller.health()
                    except SekhaConnectionError as error:
                        print(error.attempts, error.sent)  # 4 False
                print(client.controller.health()["status"])  # healthy
            ```
        """
        self.refuse(server)
        try:
            yield
        finally:
            self.accept()

    def check(self) -> None:
        """Fail if a fault has not happened as it was written down, or if a request came that no route is for.

        What was told is not told again.

        Raises:
            AssertionError: It says all of it.
        """
        __tracebackhide__ = True  # pytest shows the words alone
        with self._lock:
            problems, self._problems = self._problems, []
            for one in self._script:
                if one.left:
                    done = one.times - one.left
                    problems.append(f"{one.fault.name} on {one.line} happened {done} of {one.times} times")
            self._script.clear()
        if problems:
            raise AssertionError("local Sekha: " + "; ".join(problems))

    # What the servers ask

    def _front(self, name: ServerName) -> _Front:
        if name not in self._servers:
            raise LocalSekhaError("this ScriptedSekha is not running: use it in a `with` block, or call start()")
        return self._servers[name]

    def _take(self, request: Seen, front: _Front) -> Optional[Fault]:
        """Notes a request, and gives the fault that is next for it."""
        route = front.route(request.method, request.path)
        with self._lock:
            if not route:
                self._problems.append(f"{request.line} came to the {front.name}, which has no such route")
            fault: Optional[Fault] = None
            for one in self._script:
                if one.is_for(request, route, front.name):
                    one.left -= 1
                    fault = one.fault
                    break
            seen = SeenRequest(
                server=front.name,
                method=request.method,
                path=request.path,
                query=request.query,
                headers={name: self._masked(name, value) for name, value in request.headers.items()},
                body=request.body,
                connection=request.connection,
                time=time.time(),
                fault=None if fault is None else fault.name,
            )
            self.requests.append(seen)
        return fault

    def _masked(self, name: str, value: str) -> str:
        if name in _SECRET:
            return "Bearer ***" if value.startswith("Bearer ") else "***"
        return value.replace(self.api_key, "***")

    def _complain(self, problem: str) -> None:
        with self._lock:
            self._problems.append(problem)


class _Front(SocketServer):
    """What stands before one of the two servers."""

    def __init__(self, owner: ScriptedSekha, name: ServerName, url: str, routes: Sequence[str]) -> None:
        self._owner = owner
        self.name: ServerName = name
        self.routes = routes
        self._patterns = [(route, re.compile(_nameless(re.escape(route), "[^/]+"))) for route in routes]
        parts = urlsplit(url)
        self._sekha = (parts.hostname or "", parts.port or 0)
        super().__init__()

    def route(self, method: str, path: str) -> str:
        """The route of a request, such as ``GET /api/v1/conversations/{id}``; empty if there is none."""
        line = f"{method} {path}"
        return next((route for route, pattern in self._patterns if pattern.fullmatch(line)), "")

    def serve(self, connection: socket.socket, request: Seen) -> bool:
        fault = self._owner._take(request, self)
        play = relay if fault is None else fault.play
        if "transfer-encoding" in request.headers:
            self._owner._complain(f"{request.line}: a body in chunks is not understood here; send its length")
            play = answer_with(411, None, {"connection": "close"}).play
        exchange = Exchange(request, connection, self._sekha, self._wait, self.closing, self._owner._complain)
        try:
            return play(exchange)
        except OSError:
            return False  # the client left, or Sekha ended the connection itself
        except http.client.HTTPException:
            return False  # Sekha ended it in the middle of its answer
        except Exception as error:
            self._owner._complain(f"{fault.name if fault else 'no fault'} on {request.line} raised {error!r}")
            return False
        finally:
            exchange.end()

    def _wait(self, seconds: float) -> None:
        clock = self._owner.clock
        if isinstance(clock, FakeClock):
            clock.move(seconds)
        else:
            self.closing.wait(seconds)


def _nameless(line: str, instead: str = "{}") -> str:
    """A line whose placeholders have no names."""
    return re.sub(r"\\?\{[^/]*?\\?\}", lambda _: instead, line)
