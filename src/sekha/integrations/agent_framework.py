"""Memory for agents of Microsoft's Agent Framework: recalled before a run, stored after it.

Install the extra: `pip install 'sekha-python-sdk[agent-framework]'`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, Optional, Union
from weakref import WeakKeyDictionary

from sekha._api.memory_tools import DEFAULT_RESULTS, tool_schemas
from sekha._async.memory import MAX_TOKENS
from sekha.memory import AsyncMemory

from ._extra import extra_imports
from ._shared import check_memory, for_session, recall_options

with extra_imports("agent-framework"):
    from agent_framework import (
        AgentSession,
        ContextProvider,
        FunctionTool,
        Message,
        SessionContext,
        SupportsAgentRun,
    )

__all__ = ["SekhaContextProvider"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


class SekhaContextProvider(ContextProvider):
    """Context provider with the memory of the user for whom an agent runs.

    The memory is searched once per run. Results are added as quoted data in a user message before those of the run, and
    not to the history. When the run has succeeded, its new messages and the answer are stored. Add it after the history
    provider.

    Args:
        memory: An `AsyncMemory`, or a function that returns one for the session of a run, for an agent with many users.
            If its scope has no session, the session of the run is used.
        source_id: Name of the provider, with which the framework identifies its messages.
        tools: Whether to add the tools ``search_memory`` and ``remember``.
        limit: Maximum number of recalled results, 1 or more; default 5.
        min_score: Minimum score of a result, 0 to 1; default: none.
        max_tokens: Maximum number of tokens of the recalled block, counted as four bytes each.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it. For a memory from a function, the run raises
            this error.

    Example:
        ```python title="python -m asyncio"
        from agent_framework import (
            Agent,
            BaseChatClient,
            ChatResponse,
            InMemoryHistoryProvider,
            Message,
        )
        from sekha.integrations.agent_framework import SekhaContextProvider
        from sekha.memory import AsyncMemory, Scope


        class Polite(BaseChatClient):  # in place of a real one
            async def _inner_get_response(self, *, messages, stream, options, **kwargs):
                return ChatResponse(messages=[Message("assistant", ["You are welcome."])])


        memory = AsyncMemory(client, Scope("shop", "ann"))
        agent = Agent(
            Polite(),
            context_providers=[InMemoryHistoryProvider(), SekhaContextProvider(memory)],
        )
        print(
            (await agent.run("Thank you.", session=agent.create_session())).text
        )  # You are welcome.
        ```
    """

    def __init__(
        self,
        memory: Union[AsyncMemory, Callable[[AgentSession], AsyncMemory]],
        *,
        source_id: str = "sekha",
        tools: bool = False,
        limit: int = DEFAULT_RESULTS,
        min_score: Optional[float] = None,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        super().__init__(source_id)
        self._memory = memory if callable(memory) else check_memory(memory, AsyncMemory)
        self._tools = tools
        self._options = recall_options(limit=limit, min_score=min_score, max_tokens=max_tokens)
        self._running: WeakKeyDictionary[SessionContext, AsyncMemory] = WeakKeyDictionary()

    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Add memories to the messages of a run."""
        found = self._memory(session) if callable(self._memory) else self._memory
        memory = for_session(check_memory(found, AsyncMemory), context.session_id)
        self._running[context] = memory
        if self._tools:
            tools = [_tool(memory, **schema["function"]) for schema in tool_schemas("openai")]
            context.extend_tools(self.source_id, tools)
        block = await memory.block(_query(context.input_messages), **self._options)
        if block:
            context.extend_messages(self, [Message("user", [block])])

    async def after_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        """Store the messages of a run."""
        memory = self._running.pop(context, None)
        if memory is not None and context.response is not None:
            new = [_plain(message, message.message_id) for message in _new(context.input_messages)]
            await memory.remember([*new, *map(_plain, context.response.messages)])


def _tool(memory: AsyncMemory, name: str, description: str, parameters: dict[str, Any]) -> FunctionTool:
    async def call(**arguments: object) -> str:
        return (await memory.call_tool(name, arguments)).text

    return FunctionTool(name=name, description=description, func=call, input_model=parameters)


def _plain(message: Message, id: Optional[str] = None) -> dict[str, object]:
    return {"id": id, "role": message.role, "content": message.text}


def _new(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages after the last answer: earlier ones belong to another run or agent."""
    answers = [i for i, message in enumerate(messages) if message.role == "assistant"]
    return messages[answers[-1] + 1 if answers else 0 :]


def _query(messages: Sequence[Message]) -> str:
    """Return the last message of the user; empty if the messages are results of tool calls in the history.

    A block would separate these calls from their results.
    """
    contents = [content for message in messages for content in message.contents]
    called = {content.call_id for content in contents if content.type == "function_call"}
    answered = {content.call_id for content in contents if content.type == "function_result"}
    approved = [content.function_call for content in contents if content.type == "function_approval_response"]
    if not called.issuperset({*answered, *(call.call_id for call in approved if call is not None)}):
        return ""
    return next((one.text for one in reversed(messages) if one.role == "user" and one.text.strip()), "")
