"""A model that answers by a script, and agents that use it with a memory, blocking and in async code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

from sekha import AsyncSekhaClient, SekhaClient
from sekha.integrations.langchain import SekhaMemoryMiddleware
from sekha.memory import AsyncMemory, Memory, Scope

AnyMemory = Memory | AsyncMemory
KINDS = ("blocking", "thread", "async")
"""A `Memory` in blocking calls, a `Memory` in async calls, and an `AsyncMemory`."""


class ScriptedModel(BaseChatModel):
    """A model whose answers are messages, errors, or functions of the messages; then it says "I see."."""

    answers: list[Any] = Field(default_factory=list)
    seen: list[list[BaseMessage]] = Field(default_factory=list)
    chunks_before_error: int = 0

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **options: Any) -> Any:
        """Take tools; they are called by the script."""
        return self

    def _next(self, messages: list[BaseMessage]) -> AIMessage:
        self.seen.append(list(messages))
        answer = self.answers.pop(0) if self.answers else AIMessage("I see.")
        if isinstance(answer, BaseException):
            raise answer
        found: AIMessage = answer(messages) if callable(answer) else answer
        return found

    def _generate(self, messages: list[BaseMessage], *args: Any, **options: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    def _stream(self, messages: list[BaseMessage], *args: Any, **options: Any) -> Iterator[ChatGenerationChunk]:
        answer = self._next(messages)
        for number, word in enumerate(str(answer.content).split(" ")):
            if self.chunks_before_error and number == self.chunks_before_error:
                raise ConnectionError("the stream was cut")
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"{' ' if number else ''}{word}"))
        calls = [
            tool_call_chunk(name=one["name"], args=str(one["args"]).replace("'", '"'), id=one["id"], index=index)
            for index, one in enumerate(answer.tool_calls)
        ]
        yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=calls))


def call(name: str, id: str = "c1", **arguments: Any) -> AIMessage:
    """An answer that calls a tool."""
    return AIMessage("", tool_calls=[{"name": name, "args": arguments, "id": id}])


def shown(messages: list[BaseMessage]) -> list[tuple[str, str]]:
    """What a model was given: types and texts, a block of memories as `<memory>`."""
    return [
        (one.type, "<memory>" if str(one.content).startswith("<memory>\n") else str(one.content)) for one in messages
    ]


def config(thread: Any = "t1") -> Any:
    """The configuration of a thread."""
    return {"configurable": {"thread_id": thread}}


class Shop:
    """An application with agents for users."""

    def __init__(self, kind: str, blocking: SekhaClient, client: AsyncSekhaClient) -> None:
        self.kind = kind
        self.blocking = blocking
        self.client = client
        self.model = ScriptedModel()

    def memory(self, user: str = "ann", session: str | None = None, **options: Any) -> AnyMemory:
        """The memory of a user, of the client type that is tested."""
        scope = Scope("shop", user, session)
        return AsyncMemory(self.client, scope, **options) if self.kind == "async" else self.of(scope, **options)

    def of(self, scope: Scope, **options: Any) -> Memory:
        """The memory of a scope in blocking code."""
        return Memory(self.blocking, scope, **options)

    def agent(self, memory: Any = None, tools: Any = (), before: Any = (), after: Any = (), **options: Any) -> Any:
        """An agent with memory; others stand before and after it in the list."""
        ours = {
            name: options.pop(name) for name in ("limit", "min_score", "max_tokens", "tool_results") & options.keys()
        }
        middleware = [*before, SekhaMemoryMiddleware(self.memory() if memory is None else memory, **ours), *after]
        return create_agent(self.model, list(tools), middleware=middleware, **options)

    async def run(self, agent: Any, said: Any, thread: Any = "t1", **options: Any) -> Any:
        """Run an agent to its end."""
        given = {"messages": [{"role": "user", "content": said}]} if isinstance(said, str) else said
        return await self.invoke(agent, given, config(thread), **options)

    async def invoke(self, runnable: Any, *args: Any, **options: Any) -> Any:
        """Call `invoke` in a thread, or `ainvoke`."""
        if self.kind == "blocking":
            return await anyio.to_thread.run_sync(lambda: runnable.invoke(*args, **options))
        return await runnable.ainvoke(*args, **options)

    async def stream(self, agent: Any, said: str, **options: Any) -> list[Any]:
        """Read all of a stream."""
        given = ({"messages": [{"role": "user", "content": said}]}, config())
        if self.kind == "blocking":
            return await anyio.to_thread.run_sync(lambda: list(agent.stream(*given, **options)))
        return [chunk async for chunk in agent.astream(*given, **options)]

    async def remember(self, text: str, user: str = "ann", session: str = "earlier") -> None:
        """Let a user have said something in another session."""
        await AsyncMemory(self.client, Scope("shop", user, session)).remember([{"role": "user", "content": text}])

    async def stored(self, folder: str = "/shop/ann") -> list[tuple[str, str, str]]:
        """All that is stored in a folder: label, role and text."""
        found: list[tuple[str, str, str]] = []
        async for row in self.client.controller.iter_conversations(folder=folder):
            messages: Any = await self.client.controller.get_messages(row["conversation_id"])
            found += ((row["label"], message["role"], str(message["content"])) for message in messages)
        return sorted(found)


async def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something has happened."""
    with anyio.fail_after(30):
        while not condition():  # noqa: ASYNC110  # a server in a thread makes it true, and sets no event
            await anyio.sleep(0.01)


Shops = AsyncIterator[Shop]
