"""What is timed: how each library makes the call that its users make most, an answer of about 8 KB.

Only the child processes call what needs a library; this file imports none.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any, cast

from timing import BODY, HITS

Call = Callable[[], object]
AsyncCall = Callable[[], Awaitable[object]]

ASK = [{"role": "user", "content": "How do we deploy?"}]
KEY = "sk-sekha-" + "k" * 32  # the published SDK wants one that looks so
UNLIMITED = 10**9
CONNECTIONS = 100


class Subject:
    """A library.

    Attributes:
        name: What the table calls it.
        requirements: What pip installs for it.
        distribution: The name under which it is installed.
        module: What its users import.
        trio: Whether it works there.
        streams: Whether it reads streams of chat chunks, blocking.
        shared: Whether many callers may use a client at the same time.
    """

    name = ""
    requirements: tuple[str, ...] = ()
    distribution = ""
    module = ""
    trio = False
    streams = False
    shared = True

    def open(self, url: str) -> Any:
        """A blocking client."""
        raise NotImplementedError

    def open_async(self, url: str) -> Any:
        """An async client."""
        raise NotImplementedError

    def call(self, client: Any, url: str) -> Call:
        """One call by a blocking client."""
        raise NotImplementedError

    def async_call(self, client: Any, url: str) -> AsyncCall:
        """One call by an async client; it is written like the blocking one where the methods have the same names."""
        return cast("AsyncCall", self.call(client, url))

    def stream(self, client: Any, url: str, model: str) -> Iterator[object]:
        """The chunks of a stream, read as data."""
        raise NotImplementedError


class HTTPX(Subject):
    """The yardstick: what one writes without a client library."""

    name = "httpx"
    distribution = module = "httpx"
    trio = streams = True

    def _limits(self) -> Any:
        return import_module("httpx").Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)

    def open(self, url: str) -> Any:
        return import_module("httpx").Client(limits=self._limits(), timeout=60)

    def open_async(self, url: str) -> Any:
        return import_module("httpx").AsyncClient(limits=self._limits(), timeout=60)

    def call(self, client: Any, url: str) -> Call:
        return lambda: client.post(url + "/api/v1/query", json=BODY).json()

    def async_call(self, client: Any, url: str) -> AsyncCall:
        async def call() -> object:
            return (await client.post(url + "/api/v1/query", json=BODY)).json()

        return call

    def stream(self, client: Any, url: str, model: str) -> Iterator[object]:
        body = {"model": model, "messages": ASK, "stream": True}
        with client.stream("POST", url + "/v1/chat/completions", json=body) as response:
            for line in response.iter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    yield json.loads(line[6:])


class Ours(Subject):
    """This library."""

    name = "ours"
    requirements = (".",)
    distribution = "sekha-python-sdk"
    module = "sekha"
    trio = streams = True

    def open(self, url: str) -> Any:
        options = {"rate_limit_requests": UNLIMITED, "max_connections": CONNECTIONS}
        return import_module("sekha").SekhaClient(controller_url=url, bridge_url=url, api_key=KEY, **options)

    def open_async(self, url: str) -> Any:
        options = {"rate_limit_requests": UNLIMITED, "max_connections": CONNECTIONS}
        return import_module("sekha").AsyncSekhaClient(controller_url=url, bridge_url=url, api_key=KEY, **options)

    def call(self, client: Any, url: str) -> Call:
        return lambda: client.controller.query("docker", limit=HITS)

    def stream(self, client: Any, url: str, model: str) -> Iterator[object]:
        chunks: Iterator[object] = client.bridge.stream_complete(ASK, model=model)
        return chunks


class HTTPCore(Subject):
    """What httpx itself stands on; nothing is checked or typed."""

    name = "httpcore"
    requirements = ("httpcore[asyncio,trio]",)
    distribution = module = "httpcore"
    trio = True
    _limits: Mapping[str, float] = {
        "max_connections": CONNECTIONS,
        "max_keepalive_connections": CONNECTIONS,
        "keepalive_expiry": 5.0,  # as httpx sets it
    }

    def open(self, url: str) -> Any:
        return import_module("httpcore").ConnectionPool(**self._limits)

    def open_async(self, url: str) -> Any:
        return import_module("httpcore").AsyncConnectionPool(**self._limits)

    def _arguments(self, url: str) -> tuple[str, str, dict[str, Any]]:
        headers = {"host": url[7:], "content-type": "application/json", "authorization": f"Bearer {KEY}"}
        return "POST", url + "/api/v1/query", {"headers": headers, "content": json.dumps(BODY).encode()}

    def call(self, client: Any, url: str) -> Call:
        method, target, options = self._arguments(url)
        return lambda: json.loads(client.request(method, target, **options).content)

    def async_call(self, client: Any, url: str) -> AsyncCall:
        method, target, options = self._arguments(url)

        async def call() -> object:
            return json.loads((await client.request(method, target, **options)).content)

        return call


class Socket(Subject):
    """A bare socket and ``json.loads``: what no client can do without, on this machine."""

    name = "bare socket"
    trio = streams = True
    shared = False

    def open(self, url: str) -> Any:
        host, port = url[7:].split(":")
        return socket.create_connection((host, int(port)))

    def open_async(self, url: str) -> Any:
        client = self.open(url)
        client.setblocking(False)
        return client

    def call(self, client: Any, url: str) -> Call:
        request = post(url, "/api/v1/query", BODY)

        def call() -> object:
            client.sendall(request)
            data = client.recv(65536)
            start, end = body_of(data)
            while len(data) < end:
                data += client.recv(65536)
            return json.loads(data[start:])

        return call

    def async_call(self, client: Any, url: str) -> AsyncCall:
        request = post(url, "/api/v1/query", BODY)
        send, receive = _socket_methods(client)

        async def call() -> object:
            await send(request)
            data = await receive(65536)
            start, end = body_of(data)
            while len(data) < end:
                data += await receive(65536)
            return json.loads(data[start:])

        return call

    def stream(self, client: Any, url: str, model: str) -> Iterator[object]:
        client.sendall(post(url, "/v1/chat/completions", {"model": model, "messages": ASK, "stream": True}))
        with client.makefile("rb") as lines:  # the lines that frame the body look like no data
            for line in lines:
                if line.startswith(b"data: {"):
                    yield json.loads(line[6:])
                elif line == b"0\r\n":
                    lines.readline()
                    return


def post(url: str, path: str, data: Mapping[str, Any]) -> bytes:
    """The bytes of a request."""
    body = json.dumps(data).encode()
    return f"POST {path} HTTP/1.1\r\nhost: {url[7:]}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def body_of(data: bytes) -> tuple[int, int]:
    """Where the body of a response begins and ends; the headers have arrived in one piece."""
    start = data.index(b"\r\n\r\n") + 4
    return start, start + int(data.split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])


def _socket_methods(
    client: socket.socket,
) -> tuple[Callable[[bytes], Awaitable[Any]], Callable[[int], Awaitable[bytes]]]:
    """How the running loop sends and receives; without a transport or a stream, which take longer."""
    try:
        loop = import_module("asyncio").get_running_loop()
    except RuntimeError:
        on_trio: Any = import_module("trio").socket.from_stdlib_socket(client)
        return on_trio.send, on_trio.recv  # a socket that is empty takes a short request in one piece
    return partial(loop.sock_sendall, client), partial(loop.sock_recv, client)


class Published(Subject):
    """The published SDK of the same name; its blocking client has no search."""

    name = "published sdk"
    requirements = ("sekha-python-sdk==0.2.0",)
    distribution = "sekha-python-sdk"
    module = "sekha"

    def open_async(self, url: str) -> Any:
        return import_module("sekha").SekhaClient(
            controller_url=url, bridge_url=url, api_key=KEY, bridge_api_key=KEY, rate_limit_requests=UNLIMITED
        )

    def async_call(self, client: Any, url: str) -> AsyncCall:
        return lambda: client.controller.query("docker", limit=HITS)


class OpenAI(Subject):
    """The client of OpenAI's API: a chat completion of the same size."""

    name = "openai"
    requirements = ("openai",)
    distribution = module = "openai"
    streams = True

    def open(self, url: str) -> Any:
        return import_module("openai").OpenAI(base_url=url + "/v1", api_key=KEY)

    def open_async(self, url: str) -> Any:
        return import_module("openai").AsyncOpenAI(base_url=url + "/v1", api_key=KEY)

    def call(self, client: Any, url: str) -> Call:
        return lambda: client.chat.completions.create(messages=ASK, model="m")

    def stream(self, client: Any, url: str, model: str) -> Iterator[object]:
        chunks: Iterator[object] = client.chat.completions.create(messages=ASK, model=model, stream=True)
        return chunks


class Mem0(Subject):
    """The client of Mem0's platform: a search with ten hits."""

    name = "mem0ai"
    requirements = ("mem0ai",)
    distribution = "mem0ai"
    module = "mem0"

    def open(self, url: str) -> Any:
        return import_module("mem0").MemoryClient(api_key=KEY, host=url)

    def open_async(self, url: str) -> Any:
        return import_module("mem0").AsyncMemoryClient(api_key=KEY, host=url)

    def call(self, client: Any, url: str) -> Call:
        return lambda: client.search("docker", filters={"user_id": "u"}, top_k=HITS)


class LangGraph(Subject):
    """The client of LangGraph's server: a search in its store with ten hits."""

    name = "langgraph-sdk"
    requirements = ("langgraph-sdk",)
    distribution = "langgraph-sdk"
    module = "langgraph_sdk"

    def open(self, url: str) -> Any:
        return import_module("langgraph_sdk").get_sync_client(url=url, api_key=KEY)

    def open_async(self, url: str) -> Any:
        return import_module("langgraph_sdk").get_client(url=url, api_key=KEY)

    def call(self, client: Any, url: str) -> Call:
        return lambda: client.store.search_items(("memories",), query="docker", limit=HITS)


HTTPX_ITSELF = HTTPX()
SUBJECTS: tuple[Subject, ...] = (Ours(), Socket(), HTTPCore(), Published(), OpenAI(), Mem0(), LangGraph())
BY_NAME = {subject.name: subject for subject in (HTTPX_ITSELF, *SUBJECTS)}
