"""Memory for LangChain and LangGraph: a middleware for agents, a retriever, and tools.

Install the extra: `pip install 'sekha-python-sdk[langchain]'`. A `Memory` supports sync and async calls, an
`AsyncMemory` async calls only.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Callable, List, Optional, Union

from pydantic import ConfigDict
from typing_extensions import NotRequired, TypeAlias

from sekha._api.memory_tools import tool_schemas
from sekha._api.recalled import StoredIds
from sekha._api.validation import argument_error
from sekha.memory import AsyncMemory, Memory, ToolResult

from ._extra import extra_imports
from ._langchain_data import Turn, begin_turn, check_k, document_fields, end_turn, put_block
from ._shared import async_call, blocking, check_memory, check_source, memory_of, recall_options

with extra_imports("langchain"):
    from langchain.agents.middleware.types import AgentMiddleware, AgentState, OmitFromSchema
    from langchain_core.documents import Document
    from langchain_core.messages import HumanMessage
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import ensure_config
    from langchain_core.tools import BaseTool, StructuredTool, ToolException
    from langgraph.runtime import Runtime, get_runtime

__all__ = ["SekhaMemoryMiddleware", "SekhaRetriever", "memory_tools"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


AnyMemory: TypeAlias = Union[Memory, AsyncMemory]
MemorySource: TypeAlias = Union[Memory, AsyncMemory, Callable[[Runtime[Any]], AnyMemory]]


class SekhaRetriever(BaseRetriever):
    """Retriever that returns memories of a user as documents. In a graph, the current thread is excluded.

    Args:
        memory: The memory to use.
        k: Maximum number of documents, 1 or more; `invoke` can override it.
        min_score: Minimum score of a document, 0 to 1; default: none.
        options: Fields of `BaseRetriever`: ``name``, ``tags``, ``metadata``.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.
        pydantic.ValidationError: An option is unknown.

    Example:
        ```python
        from sekha.integrations.langchain import SekhaRetriever
        from sekha.memory import Memory, Scope

        memory = Memory(client, Scope("shop", "ann"))
        memory.remember([{"role": "user", "content": "We ship on Fridays."}])
        for document in SekhaRetriever(memory, k=3).invoke("When do we ship?"):
            print(document.page_content)  # We ship on Fridays.
        # metadata: conversation_id, label, message_id, score, timestamp
        ```
    """

    model_config = ConfigDict(extra="forbid")

    memory: Union[Memory, AsyncMemory]
    k: int
    min_score: Optional[float]

    def __init__(self, memory: AnyMemory, *, k: int = 5, min_score: Optional[float] = None, **options: Any) -> None:
        recall_options(min_score=min_score)
        check_memory(memory, AsyncMemory, Memory)
        options.update(memory=memory, k=check_k(k), min_score=min_score)
        super().__init__(**options)

    def _get_relevant_documents(self, query: str, *, run_manager: Any, k: Optional[int] = None) -> List[Document]:
        memory, limit = blocking(_for_run(self.memory)), check_k(self.k if k is None else k)
        return [Document(**document_fields(one)) for one in memory.recall(query, limit=limit, min_score=self.min_score)]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: Any, k: Optional[int] = None
    ) -> List[Document]:
        memory, limit = _for_run(self.memory), check_k(self.k if k is None else k)
        found = await async_call(memory, "recall", query, limit=limit, min_score=self.min_score)
        return [Document(**document_fields(one)) for one in found]


class _State(AgentState[Any]):
    sekha_turn: NotRequired[Annotated[Optional[Turn], OmitFromSchema()]]


class SekhaMemoryMiddleware(AgentMiddleware[Any, Any]):
    """Middleware that recalls before an agent starts, and stores the turn when it has succeeded.

    All calls of the model in a turn get the same memories, before the last user message; the messages in the state are
    not changed. The thread is the session, unless the scope has one.

    Args:
        memory: The memory to use, or a function that returns it for the `Runtime` of a run.
        limit: Maximum number of results, 1 or more.
        min_score: Minimum score of a result, 0 to 1; default: none.
        max_tokens: Maximum number of tokens of all memories.
        tool_results: Whether to also store tool results.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.

    Example:
        ```python
        from langchain.agents import create_agent
        from langchain_core.language_models import FakeListChatModel

        from sekha.integrations.langchain import SekhaMemoryMiddleware
        from sekha.memory import Memory, Scope

        memory = Memory(client, Scope("shop", "ann"))
        model = FakeListChatModel(responses=["Noted."])  # put a real model in its place
        agent = create_agent(model, middleware=[SekhaMemoryMiddleware(memory)])
        chat = {"messages": [{"role": "user", "content": "We ship on Fridays."}]}
        agent.invoke(chat, {"configurable": {"thread_id": "t1"}})
        print(memory.recall("When do we ship?", limit=1)[0]["label"])  # t1
        ```
    """

    state_schema = _State

    def __init__(
        self,
        memory: MemorySource,
        *,
        limit: int = 5,
        min_score: Optional[float] = None,
        max_tokens: int = 1000,
        tool_results: bool = False,
    ) -> None:
        super().__init__()
        check_source(memory)
        self._source, self._tool_results, self._stored = memory, tool_results, StoredIds()
        self._options = recall_options(limit=limit, min_score=min_score, max_tokens=max_tokens)

    def before_agent(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any]:
        memory, (query, turn) = blocking(self._memory(runtime)), begin_turn(state["messages"])
        return {"sekha_turn": {**turn, "block": memory.block(query, **self._options)}}

    async def abefore_agent(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any]:
        memory, (query, turn) = self._memory(runtime), begin_turn(state["messages"])
        return {"sekha_turn": {**turn, "block": await async_call(memory, "block", query, **self._options)}}

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        return handler(_with_memory(request))

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        return await handler(_with_memory(request))

    def after_agent(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any]:
        said = end_turn(state["messages"], state.get("sekha_turn"))
        blocking(self._memory(runtime)).remember(said, tool_results=self._tool_results)
        return {"sekha_turn": None}

    async def aafter_agent(self, state: Any, runtime: Runtime[Any]) -> dict[str, Any]:
        said = end_turn(state["messages"], state.get("sekha_turn"))
        await async_call(self._memory(runtime), "remember", said, tool_results=self._tool_results)
        return {"sekha_turn": None}

    def _memory(self, runtime: Runtime[Any]) -> AnyMemory:
        memory = _for_run(self._source, runtime)
        if callable(
            self._source
        ):  # the function returns a new one for each hook: the middleware keeps the record of stored messages
            memory = memory.in_scope(memory.scope)
            memory._stored = self._stored
        return memory


def memory_tools(memory: MemorySource) -> List[BaseTool]:
    """Create the tools ``search_memory`` and ``remember``. A failure is a `ToolMessage` with the status ``"error"``.

    Args:
        memory: The memory to use, or a function that returns it for the `Runtime` of a run.

    Raises:
        SekhaValidationError: The argument is not a memory; ``field`` is ``"memory"``.

    Example:
        ```python
        from sekha.integrations.langchain import memory_tools
        from sekha.memory import Memory, Scope

        search, remember = memory_tools(Memory(client, Scope("shop", "ann")))
        print(remember.invoke({"text": "Ann likes tea."}))  # Remembered.
        print("Ann likes tea." in search.invoke({"query": "tea"}))  # True
        ```
    """
    check_source(memory)

    def tool(name: str, description: str, schema: dict[str, Any]) -> BaseTool:
        def call(**arguments: Any) -> str:
            return _text(blocking(_for_run(memory)).call_tool(name, arguments))

        async def acall(**arguments: Any) -> str:
            return _text(await async_call(_for_run(memory), "call_tool", name, arguments))

        plain = StructuredTool(name=name, description=description, args_schema=schema, func=call, coroutine=acall)
        plain.handle_tool_error = True
        return plain

    return [tool(one["name"], one["description"], one["input_schema"]) for one in tool_schemas("anthropic")]


def _for_run(source: MemorySource, runtime: Optional[Runtime[Any]] = None) -> AnyMemory:
    """Return the memory for the current run of a graph, if there is one."""
    if callable(source) and runtime is None:
        with suppress(KeyError, RuntimeError):  # outside a graph
            runtime = get_runtime()
        if runtime is None:
            raise argument_error("memory", "is a function of the runtime of a graph, and no graph is running")
    thread = ensure_config().get("configurable", {}).get("thread_id")
    return memory_of(source, runtime, None if thread is None else str(thread))


def _with_memory(request: Any) -> Any:
    return request.override(messages=put_block(request.messages, request.state.get("sekha_turn"), HumanMessage))


def _text(result: ToolResult) -> str:
    if result.is_error:
        raise ToolException(result.text)
    return result.text
