"""Memory for the OpenAI Agents SDK: a session that stores turns, a filter that recalls, and tools for the model.

Install the extra: `pip install 'sekha-python-sdk[openai-agents]'`.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from typing import Any, Optional, cast

from sekha._api.memory_tools import DEFAULT_RESULTS
from sekha._api.turns import place_block
from sekha._api.validation import argument_error
from sekha._async.memory import MAX_TOKENS
from sekha._utils.public import class_name
from sekha.memory import AsyncMemory

from ._agents_runs import Messages, RunTurns, TurnSession
from ._extra import extra_imports
from ._shared import check_memory, for_session

with extra_imports("openai-agents"):
    from agents import FunctionTool, Session, TResponseInputItem, get_current_trace
    from agents.run import CallModelData, CallModelInputFilter, ModelInputData
    from agents.tool_context import ToolContext

__all__ = ["RememberingSession", "memory_tools", "recall_filter"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


class RememberingSession(TurnSession, Session):
    """Session that keeps its history in another session, and stores each turn when the agent has answered.

    A turn that fails, is interrupted or is rejected by a guardrail is not stored. All methods of the other session are
    available.

    Args:
        underlying: Any session of the SDK.
        memory: The memory to use. If its scope has no session, the ID of `underlying` is the label.
        tool_results: Whether to also store tool results.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.

    Example:
        ```python title="python -m asyncio"
        from agents import SQLiteSession
        from sekha.integrations.openai_agents import RememberingSession
        from sekha.memory import AsyncMemory, Scope

        session = RememberingSession(
            SQLiteSession("s1"), AsyncMemory(client, Scope("shop", "ann"))
        )
        await session.add_items([{"role": "user", "content": "We ship on Fridays."}])
        await session.add_items(
            [{"role": "assistant", "content": "Noted."}]
        )  # `Runner` does that
        print(len(await session.get_items()), session.memory.scope.session)  # 2 s1
        session.close()  # as that of SQLite
        ```
    """

    def __init__(self, underlying: Session, memory: AsyncMemory, *, tool_results: bool = False) -> None:
        self._memory = check_memory(memory, AsyncMemory)
        self._tool_results = tool_results
        super().__init__(underlying)

    @property
    def memory(self) -> AsyncMemory:
        """The memory of this session; with it, `recall_filter` excludes messages of the session itself."""
        try:
            session_id = self.session_id
        except ValueError:  # a conversation of OpenAI has no id before its first request
            session_id = None
        return for_session(self._memory, session_id)

    async def _remember(self, turn: Messages) -> None:
        messages = [{**item, "id": None} for item in turn]  # some models give all answers the same id
        await self.memory.remember(messages, tool_results=self._tool_results)


def recall_filter(
    memory: AsyncMemory,
    *,
    limit: int = DEFAULT_RESULTS,
    min_score: Optional[float] = None,
    max_tokens: int = MAX_TOKENS,
    after: Optional[CallModelInputFilter] = None,
) -> CallModelInputFilter:
    """Create a filter for `RunConfig` that adds memories before the user's message, to the request but not the session.

    The memory is searched once per user message, however often the model is called in that run.

    Args:
        memory: Whose memory it is, such as `RememberingSession.memory`.
        limit: Maximum number of memories.
        min_score: Minimum score of a memory, 0 to 1; default: none.
        max_tokens: Maximum number of tokens of all memories.
        after: Your own filter, which is applied first.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it.

    Example:
        ```python title="python -m asyncio"
        from agents import RunConfig
        from sekha.integrations.openai_agents import recall_filter
        from sekha.memory import AsyncMemory, Scope

        memory = AsyncMemory(client, Scope("shop", "ann", session="s2"))
        config = RunConfig(
            call_model_input_filter=recall_filter(memory)
        )  # for `Runner.run(..., run_config=config)`
        print(
            await memory.block("When do we ship?") or "nothing to recall"
        )  # nothing to recall
        ```
    """
    known = check_memory(memory, AsyncMemory)
    if after is not None and not callable(after):
        raise argument_error("after", f"must be a function, not {class_name(after)}")
    make_turn = partial(known.turn, limit=limit, min_score=min_score, max_tokens=max_tokens)
    make_turn()  # invalid options raise an error now
    turns = RunTurns(make_turn, current_trace=get_current_trace)

    async def add_memories(data: CallModelData[Any]) -> ModelInputData:
        changed = data.model_data if after is None else after(data)
        given = await changed if inspect.isawaitable(changed) else changed
        items = cast("Messages", given.input)
        placed = place_block(items, await turns.block(data.agent, items))
        return replace(given, input=cast("list[TResponseInputItem]", placed))

    return add_memories


def memory_tools(memory: AsyncMemory) -> list[FunctionTool]:
    """Create the tools ``search_memory`` and ``remember``, with which a model uses the memory itself.

    Args:
        memory: The memory to use. No argument of a tool can select another one.

    Raises:
        SekhaValidationError: The argument is not an `AsyncMemory`.

    Example:
        ```python title="python -m asyncio"
        from agents import Agent
        from sekha.integrations.openai_agents import memory_tools
        from sekha.memory import AsyncMemory, Scope

        memory = AsyncMemory(client, Scope("shop", "ann"))
        agent = Agent("helper", tools=[*memory_tools(memory)])
        print(await memory.call_tool("remember", '{"text": "Ann likes tea."}'))  # Remembered.
        ```
    """
    known = check_memory(memory, AsyncMemory)

    def tool(name: str, description: str, parameters: dict[str, Any]) -> FunctionTool:
        async def call(context: ToolContext[Any], arguments: str) -> str:
            return (await known.call_tool(name, arguments)).text

        return FunctionTool(name, description, parameters, call, strict_json_schema=False)

    return [tool(**schema["function"]) for schema in known.tool_schemas("openai")]
