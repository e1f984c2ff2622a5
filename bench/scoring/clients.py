"""The clients that are compared: how each makes a read, a write, a completion and a stream, by its documentation.

The judge imports this file without any of the libraries; only the child processes call what needs one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Any

from scoring.data import ASK, COMPLETED, CONVERSATION, ID, KEY, UNLIMITED, chunk

Event = list[str]
"""The lines of a server-sent event, without their ends."""


class Client:
    """What the faults ask of a client.

    Attributes:
        name: The head of its column.
        requirement: How pip finds it.
        distribution: The name under which it is installed.
        module: The package whose errors are its own.
        has: What it has beside reads and writes: completion, stream, chunks (in OpenAI's shape); and what is an option
            of it: deadline, connections (their number), limit (of the answer's size).
        found: A good answer to a read.
        optional: A key that may be missing there; `enum` is one whose values are a closed list.
        stored, completed: Good answers to a write and to a completion.
        aside: Paths that it asks for by itself.
        quiet: Its documented way to switch telemetry off.
        note: What to know about its column.
    """

    name = ""
    requirement = ""
    distribution = ""
    module = ""
    has: frozenset[str] = frozenset()
    found: Mapping[str, Any] = {}
    enum = ""
    optional = ""
    stored: Mapping[str, Any] = {}
    completed: Mapping[str, Any] = {}
    aside: Mapping[str, Any] = {}
    quiet: Mapping[str, str] = {}
    note = ""

    @property
    def folder(self) -> str:
        """The name of its environment."""
        return self.name.replace(" ", "-")

    # What the server sends

    def event(self, text: str) -> Event:
        """A piece of text in a stream, in OpenAI's shape."""
        return [f"data: {json.dumps(chunk({'content': text}), ensure_ascii=False)}"]

    @property
    def end(self) -> Sequence[Event]:
        """How a stream says that it is whole."""
        return [[f"data: {json.dumps(chunk({}, finish='stop'))}"], ["data: [DONE]"]]

    @property
    def failure(self) -> Event:
        """An error in a stream."""
        return ['data: {"error": {"message": "the model fell over", "type": "server_error", "code": "oops"}}']

    def odd_chunks(self) -> Sequence[Event]:
        """The text ``Hello``, in all the shapes of C8."""
        chunks: list[dict[str, Any]] = [
            {**chunk({}), "choices": []},
            chunk({"role": "assistant", "content": None}),
            chunk({"content": "Hel"}),
            chunk(None),
            {**chunk({}), "choices": None},
            chunk({"content": "lo"}),
            chunk({}, finish="stop"),
            {**chunk({}), "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        ]
        return [[f"data: {json.dumps(each)}"] for each in chunks] + [["data: [DONE]"]]

    def refusal(self, words: str) -> Mapping[str, Any]:
        """The body of an error."""
        return {"error": words, "detail": words}

    # What the child does

    def open(self, url: str, **wishes: Any) -> Any:
        """An async client; wishes: key, timeout, deadline, connections, limit."""
        raise NotImplementedError

    def open_blocking(self, url: str) -> Any:
        """A blocking client."""
        raise NotImplementedError

    async def read(self, client: Any, id: str = ID) -> Any:
        """Something by its id."""
        raise NotImplementedError

    def read_blocking(self, client: Any) -> Any:
        """The same, blocking."""
        raise NotImplementedError

    async def write(self, client: Any, number: float = 0.5) -> Any:
        """Something new is stored; a number of the caller is in it where there is a place for one."""
        raise NotImplementedError

    async def complete(self, client: Any, number: float = 0.5) -> Any:
        """A model answers."""
        raise NotImplementedError

    def stream(self, client: Any) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """A model answers piece by piece; the exit does no more than the library's documentation does."""
        raise NotImplementedError

    async def text(self, client: Any) -> str:
        """The whole text of a stream, in the way that the documentation shows."""
        raise NotImplementedError


class Ours(Client):
    """This library, from the source beside this script."""

    name = "ours"
    distribution = "sekha-python-sdk"
    module = "sekha"
    has = frozenset({"completion", "stream", "chunks", "deadline", "connections", "limit"})
    found = CONVERSATION
    enum, optional = "status", "updated_at"
    stored = CONVERSATION
    completed = COMPLETED

    def open(self, url: str, **wishes: Any) -> Any:
        from sekha import AsyncSekhaClient

        names = {"connections": "max_connections", "limit": "max_response_bytes"}
        options = {names.get(name, name): value for name, value in wishes.items() if name != "key"}
        key = wishes.get("key", KEY)
        options.update(api_key=key, bridge_api_key=key, rate_limit_requests=UNLIMITED)
        return AsyncSekhaClient(controller_url=url, bridge_url=url, **options)

    def open_blocking(self, url: str) -> Any:
        from sekha import SekhaClient

        return SekhaClient(controller_url=url, bridge_url=url, api_key=KEY, bridge_api_key=KEY)

    async def read(self, client: Any, id: str = ID) -> Any:
        return await client.controller.get_conversation(id)

    def read_blocking(self, client: Any) -> Any:
        return client.controller.get_conversation(ID)

    async def write(self, client: Any, number: float = 0.5) -> Any:
        return await client.controller.create_conversation(label="Deployment", folder="/work", messages=ASK)

    async def complete(self, client: Any, number: float = 0.5) -> Any:
        return await client.bridge.complete(ASK, model="m", temperature=number)

    @asynccontextmanager
    async def stream(self, client: Any) -> AsyncIterator[AsyncIterator[str]]:
        async with await client.bridge.stream_complete(ASK, model="m") as stream:
            yield stream.text_stream()

    async def text(self, client: Any) -> str:
        stream = await client.bridge.stream_complete(ASK, model="m")
        return str(await stream.get_final_text())


class Published(Client):
    """The published SDK of the same name; its page on PyPI and `help()` say how it is used."""

    name = "published"
    requirement = "sekha-python-sdk==0.2.0"
    distribution = "sekha-python-sdk"
    module = "sekha"
    has = frozenset({"completion", "stream", "chunks"})
    found = CONVERSATION
    enum, optional = "status", "updated_at"
    stored = CONVERSATION
    completed = COMPLETED
    note = "streams are used as its `help()` says; the `await` that its page puts before them is a `TypeError`"

    def open(self, url: str, **wishes: Any) -> Any:
        key, timeout = wishes.get("key", KEY), wishes.get("timeout", 30.0)
        return import_module("sekha").SekhaClient(
            controller_url=url,
            bridge_url=url,
            api_key=key,
            bridge_api_key=key,
            timeout=timeout,
            rate_limit_requests=UNLIMITED,
        )

    def open_blocking(self, url: str) -> Any:
        return import_module("sekha").SyncSekhaClient(
            import_module("sekha.types").ClientConfig(base_url=url, api_key=KEY)
        )

    async def read(self, client: Any, id: str = ID) -> Any:
        return await client.controller.get_conversation(id)

    def read_blocking(self, client: Any) -> Any:
        return client.get_conversation(ID)

    async def write(self, client: Any, number: float = 0.5) -> Any:
        conversation = {"label": "Deployment", "folder": "/work", "messages": ASK}
        return await client.controller.create_conversation(conversation)

    async def complete(self, client: Any, number: float = 0.5) -> Any:
        return await client.bridge.complete(messages=ASK, model="m", temperature=number)

    @asynccontextmanager
    async def stream(self, client: Any) -> AsyncIterator[AsyncIterator[str]]:
        chunks = client.bridge.stream_complete(messages=ASK, model="m")
        yield ((each["choices"][0]["delta"] or {}).get("content") or "" async for each in chunks if each.get("choices"))

    async def text(self, client: Any) -> str:
        text = ""
        async for each in client.bridge.stream_complete(messages=ASK, model="m"):
            text += (each["choices"][0].get("delta", {}).get("content", "") or "") if "choices" in each else ""
        return text


class OpenAI(Client):
    """The client of OpenAI's API."""

    name = "openai"
    requirement = "openai>=3"
    distribution = module = "openai"
    has = frozenset({"completion", "stream", "chunks", "connections"})
    found: Mapping[str, Any] = {"id": ID, "object": "model", "created": 1, "owned_by": "us"}
    enum, optional = "object", "owned_by"
    stored: Mapping[str, Any] = {"id": "conv_1", "object": "conversation", "created_at": 1, "metadata": {}}
    completed = COMPLETED

    def refusal(self, words: str) -> Mapping[str, Any]:
        return {"error": {"message": words, "type": "invalid_request_error", "code": "invalid_api_key"}}

    def open(self, url: str, **wishes: Any) -> Any:
        openai = import_module("openai")
        options = {"timeout": wishes["timeout"]} if "timeout" in wishes else {}
        if "connections" in wishes:
            limits = import_module("httpx2").Limits(max_connections=wishes["connections"])
            options["http_client"] = openai.DefaultAsyncHttpx2Client(limits=limits)
        return openai.AsyncOpenAI(base_url=url, api_key=wishes.get("key", KEY), **options)

    def open_blocking(self, url: str) -> Any:
        return import_module("openai").OpenAI(base_url=url, api_key=KEY)

    async def read(self, client: Any, id: str = ID) -> Any:
        return await client.models.retrieve(id)

    def read_blocking(self, client: Any) -> Any:
        return client.models.retrieve(ID)

    async def write(self, client: Any, number: float = 0.5) -> Any:
        return await client.conversations.create(items=[{"type": "message", **ASK[0]}])

    async def complete(self, client: Any, number: float = 0.5) -> Any:
        return await client.chat.completions.create(messages=ASK, model="m", temperature=number)

    @asynccontextmanager
    async def stream(self, client: Any) -> AsyncIterator[AsyncIterator[str]]:
        async with await client.chat.completions.create(messages=ASK, model="m", stream=True) as chunks:
            yield (
                (each.choices[0].delta.content if each.choices[0].delta else "") or ""
                async for each in chunks
                if each.choices
            )

    async def text(self, client: Any) -> str:
        async with client.chat.completions.stream(messages=ASK, model="m") as stream:
            completion = await stream.get_final_completion()
        return str(completion.choices[0].message.content)


class Mem0(Client):
    """The client of Mem0's platform; it takes no timeout, but an httpx client."""

    name = "mem0ai"
    requirement = distribution = "mem0ai"
    module = "mem0"
    has = frozenset({"connections"})
    found: Mapping[str, Any] = {"id": ID, "memory": "We ship on Fridays.", "user_id": "u", "status": "ACTIVE"}
    enum, optional = "status", "user_id"
    stored: Mapping[str, Any] = {"results": [{"id": ID, "event": "ADD", "memory": "We ship on Fridays."}]}
    aside: Mapping[str, Any] = {
        "/v1/ping/": {"status": "ok", "org_id": "o", "project_id": "p", "user_email": "someone@example.org"}
    }
    quiet: Mapping[str, str] = {"MEM0_TELEMETRY": "False"}
    note = "asks its server for `/v1/ping/` when it is made; that is counted only in R2 and R14"

    def open(self, url: str, **wishes: Any) -> Any:
        options: dict[str, Any] = {}
        if {"timeout", "connections"} & set(wishes):
            httpx = import_module("httpx")
            limits = httpx.Limits(max_connections=wishes.get("connections", 100))
            options["client"] = httpx.AsyncClient(timeout=wishes.get("timeout", 300), limits=limits)
        return import_module("mem0").AsyncMemoryClient(api_key=wishes.get("key", KEY), host=url, **options)

    def open_blocking(self, url: str) -> Any:
        return import_module("mem0").MemoryClient(api_key=KEY, host=url)

    async def read(self, client: Any, id: str = ID) -> Any:
        return await client.get(memory_id=id)

    def read_blocking(self, client: Any) -> Any:
        return client.get(memory_id=ID)

    async def write(self, client: Any, number: float = 0.5) -> Any:
        return await client.add(ASK, user_id="u", metadata={"number": number})


class LangGraph(Client):
    """The client of LangGraph's server; its stream is of another shape than OpenAI's."""

    name = "langgraph-sdk"
    requirement = distribution = "langgraph-sdk"
    module = "langgraph_sdk"
    has = frozenset({"completion", "stream", "deadline"})
    found: Mapping[str, Any] = {
        "thread_id": ID,
        "created_at": "2026-01-31T09:30:00Z",
        "updated_at": "2026-01-31T09:30:00Z",
        "metadata": {},
        "status": "idle",
        "values": {},
    }
    enum, optional = "status", "updated_at"
    stored = found
    completed: Mapping[str, Any] = {"messages": [{"type": "ai", "content": "Hello"}]}
    note = "`timeout` is documented as total seconds, so R4 is asked of it"

    def event(self, text: str) -> Event:
        data = [{"type": "AIMessageChunk", "content": text}, {}]
        return ["event: messages", f"data: {json.dumps(data, ensure_ascii=False)}"]

    @property
    def end(self) -> Sequence[Event]:
        return [["event: end", 'data: {"run_id": "r", "status": "success"}']]

    @property
    def failure(self) -> Event:
        return ["event: error", 'data: {"error": "ServerError", "message": "the model fell over"}']

    def open(self, url: str, **wishes: Any) -> Any:
        timeout = wishes.get("deadline", wishes.get("timeout"))
        return import_module("langgraph_sdk").get_client(url=url, api_key=wishes.get("key", KEY), timeout=timeout)

    def open_blocking(self, url: str) -> Any:
        return import_module("langgraph_sdk").get_sync_client(url=url, api_key=KEY)

    async def read(self, client: Any, id: str = ID) -> Any:
        return await client.threads.get(id)

    def read_blocking(self, client: Any) -> Any:
        return client.threads.get(ID)

    async def write(self, client: Any, number: float = 0.5) -> Any:
        return await client.threads.create(metadata={"number": number})

    async def complete(self, client: Any, number: float = 0.5) -> Any:
        return await client.runs.wait(None, "agent", input={"messages": ASK}, metadata={"number": number})

    @asynccontextmanager
    async def stream(self, client: Any) -> AsyncIterator[AsyncIterator[str]]:
        parts = client.runs.stream(None, "agent", input={"messages": ASK}, stream_mode="messages-tuple")
        yield (
            each.data[0]["content"] if each.event == "messages" else "<error>" * (each.event == "error")
            async for each in parts
        )


CLIENTS: tuple[Client, ...] = (Ours(), Published(), OpenAI(), Mem0(), LangGraph())
BY_NAME = {client.name: client for client in CLIENTS}
