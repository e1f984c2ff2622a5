"""A local server behind a proxy that injects scripted faults."""

from __future__ import annotations

import difflib
import http.client
import json
import math
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
from sekha._concurrency.process_bound import ProcessBound
from sekha._sync.base import ClientOptions
from sekha.local import LocalSekha, LocalSekhaError
from sekha.local.server import Options
from sekha.testing._clock import FakeClock, use_clock
from sekha.testing._exchange import Exchange
from sekha.testing._faults import Fault, answer_with, relay
from sekha.testing._sockets import ReceivedRequest, SocketServer

ServerName = Literal["controller", "bridge"]
_SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie", "x-api-key", "api-key")


@dataclass(frozen=True)
class SeenRequest:
    """A request that a `ScriptedSekha` has received.

    Attributes:
        server: ``controller`` (with the MCP tools) or ``bridge``.
        method: Such as ``POST``.
        path: The path without the query.
        query: The query, decoded.
        headers: The headers, names in lower case; keys are masked.
        body: The bytes of the body.
        connection: The number of its connection, from 1, for each server.
        time: The time of arrival, in seconds since 1970.
        fault: The name of the injected fault; None if there was none.
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
class _ScriptedFault:
    """A fault, and the requests that it applies to."""

    line: str
    fault: Fault
    times: Optional[int]
    server: Optional[ServerName]
    remaining: float

    def matches(self, request: ReceivedRequest, route: str, server: ServerName) -> bool:
        return (
            self.remaining > 0
            and (self.server or server) == server
            and (request.line == self.line or ("{" in self.line and _without_names(self.line) == _without_names(route)))
        )


class ScriptedSekha(ProcessBound):
    """A local server for tests, with scripted faults, recorded requests, and a fake clock.

    It is a proxy for a `sekha.local.LocalSekha`, so responses are real unless a fault is scripted. At the end of a
    ``with`` block without an exception, `check` is called.

    Args:
        sekha: A running local server, which keeps running; by default, one is started and stopped.
        clock: The clock of its clients and of its delays; a new `FakeClock` by default.

    Attributes:
        requests: Every request so far (`SeenRequest`), in the order of arrival.
        sekha: The local server itself; requests to its own URLs get no faults, and are not recorded.
        clock: The clock.

    Example:
        ```python
        from sekha import SekhaConnectionError
        from sekha.testing import ScriptedSekha, cut_after_work

        with ScriptedSekha() as sekha, sekha.client() as client:
            sekha.fail("POST /api/v1/conversations", cut_after_work())
            try:
                message = {"role": "user", "content": "Hello"}
                client.controller.create_conversation(messages=[message])
            except SekhaConnectionError as error:
                print(error.may_have_been_applied)  # True
            print(client.controller.count_conversations()["count"])  # 1
            print([request.line for request in sekha.requests])
            # ['POST /api/v1/conversations', 'GET /api/v1/conversations/count']
        ```
    """

    def __init__(self, sekha: Optional[LocalSekha] = None, *, clock: Optional[Clock] = None) -> None:
        self._owns_sekha = sekha is None
        self.sekha: LocalSekha = LocalSekha() if sekha is None else sekha
        self.clock: Clock = FakeClock() if clock is None else clock
        self.requests: List[SeenRequest] = []
        self._proxies: Dict[ServerName, _FaultProxy] = {}
        self._script: List[_ScriptedFault] = []
        self._problems: List[str] = []
        self._lock = threading.Lock()
        self._stack = ExitStack()

    def start(self) -> None:
        """Start the proxies, and the local server unless it is already running."""
        with ExitStack() as stack:
            if self._owns_sekha:
                stack.enter_context(self.sekha)
            urls: Dict[ServerName, str] = {
                "controller": self.sekha.controller_url,
                "bridge": self.sekha.bridge_url,
            }
            for name, url in urls.items():
                proxy = self._proxies[name] = _FaultProxy(self, name, url, self.sekha.routes[name])
                stack.callback(proxy.close)
            stack.callback(self._proxies.clear)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Close every connection and stop, without a `check`."""
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

    # Clients

    @property
    def controller_url(self) -> str:
        """URL of the controller and the MCP tools."""
        return self._proxy("controller").url

    @property
    def bridge_url(self) -> str:
        """URL of the bridge."""
        return self._proxy("bridge").url

    @property
    def api_key(self) -> str:
        """The API key that clients must send; any key is accepted if none is required."""
        return self.sekha.api_key

    @property
    def options(self) -> Options:
        """Settings for your own client: `SekhaClient(**sekha.options)`. It uses the real clock; see `use_clock`."""
        return {**self.sekha.options, "controller_url": self.controller_url, "bridge_url": self.bridge_url}

    def client(self, **options: Unpack[ClientOptions]) -> SekhaClient:
        """Create a sync client that uses the clock; close it at the end.

        Args:
            options: Settings, as for `sekha.SekhaClient`.
        """
        settings: Dict[str, Any] = {**self.options, **options}
        client = SekhaClient(**settings)
        use_clock(client, self.clock)
        return client

    def async_client(self, **options: Unpack[AsyncClientOptions]) -> AsyncSekhaClient:
        """Create an async client that uses the clock; close it at the end.

        Args:
            options: Settings, as for `sekha.AsyncSekhaClient`.
        """
        settings: Dict[str, Any] = {**self.options, **options}
        client = AsyncSekhaClient(**settings)
        use_clock(client, self.clock)
        return client

    # The script

    def fail(self, line: str, fault: Fault, times: Optional[int] = 1, *, server: Optional[ServerName] = None) -> None:
        """Script a fault for the next requests of this kind. Faults for the same requests are triggered in order.

        Args:
            line: Method and path: ``GET /api/v1/conversations/{id}`` for any, with an id in it for that one.
            fault: The fault, such as `cut_after_work()`.
            times: The number of requests that get the fault; None for all requests, even if there are none.
            server: ``controller`` or ``bridge``, for routes that both have, such as ``GET /health``; default: either.

        Raises:
            ValueError: The route is unknown, or `times` is less than 1.

        Example:
            ```python
            from sekha.testing import ScriptedSekha, answer_with

            with ScriptedSekha() as sekha, sekha.client() as client:
                overloaded = answer_with(503, {"error": "overloaded"}, {"retry-after": "7"})
                sekha.fail("GET /api/v1/conversations/count", overloaded, times=2)
                print(client.controller.count_conversations()["count"])  # 0
                print(len(sekha.requests), sekha.clock.waits)  # 3 [7.0, 7.0]
            ```
        """
        if times is not None and times < 1:
            raise ValueError(f"times={times}: must be at least 1")
        names: Sequence[ServerName] = ("controller", "bridge") if server is None else (server,)
        known = [route for name in names for route in self._proxy(name).routes]
        method, _, path = line.partition(" ")
        if not (
            any(_without_names(line) == _without_names(route) for route in known)
            or ("{" not in line and any(self._proxy(name).route(method, path) for name in names))
        ):
            close = difflib.get_close_matches(line, known, 3, 0.5)
            raise ValueError(f"unknown route {line!r}{'; similar: ' if close else ''}{', '.join(close)}")
        with self._lock:
            self._script.append(_ScriptedFault(line, fault, times, server, math.inf if times is None else times))

    def refuse(self, server: Optional[ServerName] = None) -> None:
        """Refuse connections from now on, until `accept`; open ones are closed.

        A refused connection cannot be observed, so `check` does not fail if there was none.

        Args:
            server: ``controller`` or ``bridge``; both by default.
        """
        for name, proxy in self._proxies.items():
            if server in (None, name):
                proxy.refuse()

    def accept(self) -> None:
        """Accept connections again, on the same ports."""
        for proxy in self._proxies.values():
            proxy.listen()

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
        """Fail if a scripted fault was not triggered, or if a request had an unknown route.

        Each problem is reported once.

        Raises:
            AssertionError: There are problems; the message lists all of them.
        """
        __tracebackhide__ = True  # pytest then shows the message only
        with self._lock:
            problems, self._problems = self._problems, []
            for one in self._script:
                if one.times is not None and one.remaining:
                    done = one.times - int(one.remaining)
                    problems.append(f"{one.fault.name} on {one.line} happened {done} of {one.times} times")
            self._script.clear()
        if problems:
            raise AssertionError("local server: " + "; ".join(problems))

    # For the proxies

    def _proxy(self, name: ServerName) -> _FaultProxy:
        if name not in self._proxies:
            raise LocalSekhaError("this ScriptedSekha is not running: use it in a `with` block, or call start()")
        return self._proxies[name]

    def _record(self, request: ReceivedRequest, proxy: _FaultProxy) -> Optional[Fault]:
        """Record a request, and return the next fault for it."""
        route = proxy.route(request.method, request.path)
        with self._lock:
            if not route:
                self._problems.append(f"{request.line}: the {proxy.name} has no such route")
            fault: Optional[Fault] = None
            for one in self._script:
                if one.matches(request, route, proxy.name):
                    one.remaining -= 1
                    fault = one.fault
                    break
            seen = SeenRequest(
                server=proxy.name,
                method=request.method,
                path=request.path,
                query=request.query,
                headers={name: self._mask(name, value) for name, value in request.headers.items()},
                body=request.body,
                connection=request.connection,
                time=time.time(),
                fault=None if fault is None else fault.name,
            )
            self.requests.append(seen)
        return fault

    def _mask(self, name: str, value: str) -> str:
        if name in _SECRET_HEADERS:
            return "Bearer ***" if value.startswith("Bearer ") else "***"
        return value.replace(self.api_key, "***")

    def _add_problem(self, problem: str) -> None:
        with self._lock:
            self._problems.append(problem)


class _FaultProxy(SocketServer):
    """A proxy in front of one of the two servers."""

    def __init__(self, owner: ScriptedSekha, name: ServerName, url: str, routes: Sequence[str]) -> None:
        self._owner = owner
        self.name: ServerName = name
        self.routes = routes
        self._patterns = [(route, re.compile(_without_names(re.escape(route), "[^/]+"))) for route in routes]
        parts = urlsplit(url)
        self._upstream_address = (parts.hostname or "", parts.port or 0)
        super().__init__()

    def route(self, method: str, path: str) -> str:
        """Return the route of a request, such as ``GET /api/v1/conversations/{id}``; empty if there is none."""
        line = f"{method} {path}"
        return next((route for route, pattern in self._patterns if pattern.fullmatch(line)), "")

    def serve(self, connection: socket.socket, request: ReceivedRequest) -> bool:
        fault = self._owner._record(request, self)
        play = relay if fault is None else fault.play
        if "transfer-encoding" in request.headers:
            self._owner._add_problem(f"{request.line}: chunked request bodies are not supported; send Content-Length")
            play = answer_with(411, None, {"connection": "close"}).play
        exchange = Exchange(
            request, connection, self._upstream_address, self._wait, self.closing, self._owner._add_problem
        )
        try:
            return play(exchange)
        except OSError:
            return False  # the client disconnected, or Sekha closed the connection itself
        except http.client.HTTPException:
            return False  # Sekha closed it in the middle of its response
        except Exception as error:
            self._owner._add_problem(f"{fault.name if fault else 'no fault'} on {request.line} raised {error!r}")
            return False
        finally:
            exchange.end()

    def _wait(self, seconds: float) -> None:
        clock = self._owner.clock
        if isinstance(clock, FakeClock):
            clock.move(seconds)
        else:
            self.closing.wait(seconds)


def _without_names(line: str, replacement: str = "{}") -> str:
    """Replace the placeholders of a route, such as `{id}`."""
    return re.sub(r"\\?\{[^/]*?\\?\}", lambda _: replacement, line)
