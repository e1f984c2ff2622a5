"""Memory for LlamaIndex: a chat memory that stores each turn, a memory block, a retriever, and tools.

Install the extra: `pip install 'sekha-python-sdk[llamaindex]'`. A `Memory` supports sync and async code, an
`AsyncMemory` async code only.
"""

from __future__ import annotations

from typing import Any, Dict, List, NoReturn, Optional, Union
from uuid import uuid4

from typing_extensions import TypeAlias

from sekha._concurrency.primitives import AsyncSemaphore
from sekha.memory import AsyncMemory, Memory, ToolResult

from ._extra import extra_imports
from ._llamaindex_turns import Turns, count_answered, place_block, role_of, shorten_block, to_node
from ._shared import async_call, blocking, check_memory, recall_options

with extra_imports("llamaindex"):
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.bridge.pydantic import BaseModel, PrivateAttr
    from llama_index.core.llms import ChatMessage
    from llama_index.core.memory import BaseMemoryBlock, InsertMethod
    from llama_index.core.memory import Memory as ChatMemory
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
    from llama_index.core.tools import BaseTool, FunctionTool, ToolMetadata, ToolOutput
    from llama_index.core.utils import get_tokenizer

__all__ = ["SekhaMemoryBlock", "SekhaRetriever", "memory_for", "memory_tools"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


_Memory: TypeAlias = Union[AsyncMemory, Memory]
_STAYS = "a chat memory of memory_for(...) cannot be pickled; create it in the process that uses it"


def memory_for(memory: _Memory, session_id: Optional[str] = None, **options: Any) -> ChatMemory:
    """Create a chat memory for agents and chat engines that recalls before the model is called and stores each turn.

    Args:
        memory: The memory to use.
        session_id: The current session; default: the session of the scope, else a new one.
        options: ``limit``, ``min_score`` and ``max_tokens`` as for `AsyncMemory.block`; others as for LlamaIndex's
            `Memory.from_defaults`. Additional ``memory_blocks`` are also sent as user messages, unless
            ``insert_method`` is set.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.

    Example:
        ```python
        from llama_index.core.chat_engine import SimpleChatEngine
        from llama_index.core.llms import MockLLM
        from sekha.integrations.llamaindex import memory_for
        from sekha.memory import Memory, Scope

        memory = Memory(client, Scope("shop", "ann"))
        SimpleChatEngine.from_defaults(llm=MockLLM(), memory=memory_for(memory, "s1")).chat(
            "We ship on Fridays."
        )
        print(memory.recall("When do we ship?", limit=1)[0]["content"])  # We ship on Fridays.
        ```
    """
    memory = check_memory(memory, AsyncMemory, Memory)
    if session_id is not None or memory.scope.session is None:
        memory = memory.in_session(uuid4().hex if session_id is None else session_id)
    recall = {name: options.pop(name) for name in ("limit", "min_score", "max_tokens") if name in options}
    block = SekhaMemoryBlock(memory, **recall, accept_short_term_memory=False)
    options = {"insert_method": InsertMethod.USER, **options, "session_id": memory.scope.session}
    return _ChatMemory.from_defaults(**{**options, "memory_blocks": [block, *(options.get("memory_blocks") or ())]})


class SekhaMemoryBlock(BaseMemoryBlock[List[ChatMessage]]):
    """Memory block for your own chat memory; `memory_for` does more.

    Recalled memories are sent as a user message, whatever the ``insert_method``. The block stores only the messages
    that no longer fit into the chat memory.

    Args:
        memory: The memory to use. If its scope has no session, the ``session_id`` of the chat memory is the session.
        limit: As for `AsyncMemory.block`.
        min_score: As for `AsyncMemory.block`.
        max_tokens: As for `AsyncMemory.block`.
        options: Fields of `BaseMemoryBlock`, such as ``name`` and ``priority``.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.

    Example:
        ```python
        from llama_index.core.memory import Memory as ChatMemory
        from sekha.integrations.llamaindex import SekhaMemoryBlock
        from sekha.memory import Memory, Scope

        block = SekhaMemoryBlock(Memory(client, Scope("shop", "ann")), max_tokens=500)
        chat_memory = ChatMemory.from_defaults(session_id="s1", memory_blocks=[block])
        ```
    """

    name: str = "sekha"
    _turns: Turns = PrivateAttr()

    def __init__(
        self,
        memory: _Memory,
        *,
        limit: Optional[int] = None,
        min_score: Optional[float] = None,
        max_tokens: Optional[int] = None,
        **options: Any,
    ) -> None:
        turns = Turns(memory, limit=limit, min_score=min_score, max_tokens=max_tokens)
        super().__init__(**options)
        self._turns = turns

    async def _aget(
        self, messages: Optional[List[ChatMessage]] = None, session_id: Optional[str] = None, **block_kwargs: Any
    ) -> List[ChatMessage]:
        return _messages(await self._turns.block(messages or [], session_id))

    async def _aput(self, messages: List[ChatMessage]) -> None:
        await self._turns.remember(messages)

    async def atruncate(self, content: List[ChatMessage], tokens_to_truncate: int) -> Optional[List[ChatMessage]]:
        """Remove the last results until the block is shorter by the given number of tokens; None if nothing is left."""
        block = (content[0].content or "") if content else ""
        return _messages(shorten_block(block, tokens_to_truncate, get_tokenizer())) or None


class _ChatMemory(ChatMemory):
    _putting: AsyncSemaphore = PrivateAttr(default_factory=lambda: AsyncSemaphore(1))

    async def aget(self, input: Union[str, ChatMessage, None] = None, **block_kwargs: Any) -> List[ChatMessage]:
        return place_block(await super().aget(input, **block_kwargs), lambda text: _messages(text)[0])

    async def aput(self, message: ChatMessage) -> None:
        await self.aput_messages([message])

    async def aput_messages(self, messages: List[ChatMessage]) -> None:
        answered = count_answered(messages)
        slot = self._putting.slot()
        try:  # of turns at the same time, no message comes between what is read and what is put
            await slot.acquire(None)
            earlier = await self.sql_store.get_messages(self.session_id) if answered else []
            await super().aput_messages(messages)
        finally:
            slot.release()
        for turns in (block._turns for block in self.memory_blocks if isinstance(block, SekhaMemoryBlock)):
            if any(role_of(message) == "user" for message in messages):
                turns.end(self.session_id)
            await turns.remember([*earlier[count_answered(earlier) :], *messages[:answered]], self.session_id)

    def to_dict(self, **kwargs: Any) -> NoReturn:
        raise TypeError(_STAYS)  # then the context of a workflow leaves it out, and warns

    def __getstate__(self) -> NoReturn:
        raise TypeError(_STAYS)


def _messages(block: str) -> List[ChatMessage]:
    return [ChatMessage(role="user", content=block)] if block else []


class SekhaRetriever(BaseRetriever):
    """Retriever that returns memories from a user's other sessions as nodes.

    Args:
        memory: The memory to use.
        limit: Maximum number of nodes, 1 or more; default 5.
        min_score: Minimum score of a node, 0 to 1; default: none.
        options: Options of `BaseRetriever`, such as ``callback_manager``.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.

    Example:
        ```python
        from sekha.integrations.llamaindex import SekhaRetriever
        from sekha.memory import Memory, Scope

        memory = Memory(client, Scope("shop", "ann"))
        memory.remember([{"role": "user", "content": "We ship on Fridays."}])
        for node in SekhaRetriever(memory, limit=3).retrieve("When do we ship?"):
            print(node.text, node.metadata["role"])  # We ship on Fridays. user
        ```
    """

    def __init__(
        self, memory: _Memory, *, limit: Optional[int] = None, min_score: Optional[float] = None, **options: Any
    ) -> None:
        self._memory: _Memory = check_memory(memory, AsyncMemory, Memory)
        self._options = recall_options(limit=limit, min_score=min_score)
        super().__init__(**options)

    def _retrieve(self, query_bundle: QueryBundle) -> List[NodeWithScore]:
        return _nodes(blocking(self._memory).recall(query_bundle.query_str, **self._options))

    async def _aretrieve(self, query_bundle: QueryBundle) -> List[NodeWithScore]:
        return _nodes(await async_call(self._memory, "recall", query_bundle.query_str, **self._options))


def _nodes(results: Any) -> List[NodeWithScore]:
    return [NodeWithScore(node=TextNode(**to_node(result)), score=result["score"]) for result in results]


def memory_tools(memory: _Memory) -> List[BaseTool]:
    """Create the tools ``search_memory`` and ``remember``, with which a model uses the memory itself.

    Args:
        memory: The memory to use.

    Raises:
        SekhaValidationError: The argument is not a memory; ``field`` names it.

    Example:
        ```python
        from sekha.integrations.llamaindex import memory_tools
        from sekha.memory import Memory, Scope

        search, remember = memory_tools(Memory(client, Scope("shop", "ann")))
        print(remember(text="Ann likes tea."))  # Remembered.
        ```
    """
    check_memory(memory, AsyncMemory, Memory)
    return [_tool(memory, **schema["function"]) for schema in memory.tool_schemas("openai")]


def _tool(memory: _Memory, name: str, description: str, parameters: Dict[str, Any]) -> BaseTool:
    class Arguments(BaseModel):
        @classmethod
        def model_json_schema(cls, *args: Any, **kwargs: Any) -> Dict[str, Any]:
            return parameters

    def call(**arguments: Any) -> Any:
        return _text_unless_error(blocking(memory).call_tool(name, arguments))

    async def acall(**arguments: Any) -> Any:
        return _text_unless_error(await async_call(memory, "call_tool", name, arguments))

    def output(result: Union[str, ToolResult]) -> Optional[ToolOutput]:
        if isinstance(result, str):
            return None
        return ToolOutput(name, result.text, raw_input={}, raw_output=result.text, is_error=True)

    return FunctionTool(call, ToolMetadata(description, name, Arguments), acall, callback=output)


def _text_unless_error(result: ToolResult) -> Union[str, ToolResult]:
    return result if result.is_error else result.text
