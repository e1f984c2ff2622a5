"""Memory for agents of Pydantic AI: recalled before a run, stored when the run has succeeded.

Install the extra: `pip install 'sekha-python-sdk[pydantic-ai]'`.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Optional, Union

from sekha._api.memory_tools import DEFAULT_RESULTS, tool_schemas
from sekha._async.memory import MAX_TOKENS
from sekha.memory import AsyncMemory, AsyncTurn

from ._extra import extra_imports
from ._pydantic_ai_messages import messages_of_run, place_of_block, prompt_text
from ._shared import check_memory, for_session, recall_options

with extra_imports("pydantic-ai"):
    from pydantic_ai import DeferredToolRequests, FunctionToolset, RunContext, Tool, __version__
    from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering, WrapModelRequestHandler
    from pydantic_ai.messages import ModelResponse, UserPromptPart
    from pydantic_ai.models import ModelRequestContext
    from pydantic_ai.run import AgentRunResult
    from pydantic_ai.tools import AgentDepsT

__all__ = ["SekhaMemory"]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


_REQUEST_IS_ITS_OWN = tuple(int(number) for number in __version__.split(".")[:2]) >= (2, 54)
"""Whether `before_model_request` changes one request; before 2.54 its result became the history of the run."""


@dataclass
class SekhaMemory(AbstractCapability[AgentDepsT]):
    """Capability with the memory of the user for whom an agent runs.

    The memory is searched once per run. Results are added as quoted data before the prompt of each request, and not to
    the messages that the run returns. When the run has succeeded, the prompt and the answer are stored.

    Args:
        memory: An `AsyncMemory`, or a function that returns one for the context of a run, for an agent with many users.
            If its scope has no session, the conversation of the run is the session.
        tools: Whether to add the tools ``search_memory`` and ``remember``.
        limit: Maximum number of recalled results, 1 or more; default 5.
        min_score: Minimum score of a result, 0 to 1; default: none.
        max_tokens: Maximum number of tokens of the recalled block, counted as four bytes each.

    Raises:
        SekhaValidationError: An argument is invalid; ``field`` names it. For a memory from a function, the run raises
            this error.

    Example:
        ```python title="python -m asyncio"
        from pydantic_ai import Agent
        from pydantic_ai.models.test import TestModel
        from sekha.integrations.pydantic_ai import SekhaMemory
        from sekha.memory import AsyncMemory, Scope

        memory = AsyncMemory(client, Scope("shop", "ann"))
        agent = Agent(TestModel(), capabilities=[SekhaMemory(memory)])
        result = await agent.run("When do we ship?")
        print(result.output)  # success (no tool calls)
        ```
    """

    memory: Union[AsyncMemory, Callable[[RunContext[AgentDepsT]], AsyncMemory]]
    tools: bool = field(default=False, kw_only=True)
    limit: int = field(default=DEFAULT_RESULTS, kw_only=True)
    min_score: Optional[float] = field(default=None, kw_only=True)
    max_tokens: int = field(default=MAX_TOKENS, kw_only=True)
    _turn: Optional[AsyncTurn] = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not callable(self.memory):
            check_memory(self.memory, AsyncMemory)
        recall_options(limit=self.limit, min_score=self.min_score, max_tokens=self.max_tokens)

    @classmethod
    def get_serialization_name(cls) -> Optional[str]:
        """Return None: a memory cannot be part of the file of an agent."""
        return None

    def get_ordering(self) -> CapabilityOrdering:
        """Return that other capabilities come first: those that rewrite the history must not see the block."""
        return CapabilityOrdering(position="innermost")

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> SekhaMemory[AgentDepsT]:
        """Return the capability of one run."""
        found = self.memory if isinstance(self.memory, AsyncMemory) else self.memory(ctx)
        run = copy(self)
        run.memory = memory = for_session(check_memory(found, AsyncMemory), ctx.conversation_id)
        run._turn = memory.turn(limit=self.limit, min_score=self.min_score, max_tokens=self.max_tokens)
        return run

    def get_toolset(self) -> Optional[FunctionToolset[AgentDepsT]]:
        """Return the tools for the model, if enabled."""
        if not self.tools:
            return None
        return FunctionToolset([self._tool(**schema["function"]) for schema in tool_schemas("openai")])

    if _REQUEST_IS_ITS_OWN:

        async def before_model_request(
            self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
        ) -> ModelRequestContext:
            """Add the block to a request."""
            return await self._add_block(ctx, request_context)

    else:

        async def wrap_model_request(
            self,
            ctx: RunContext[AgentDepsT],
            *,
            request_context: ModelRequestContext,
            handler: WrapModelRequestHandler,
        ) -> ModelResponse:
            """Add the block to a request."""
            return await handler(await self._add_block(ctx, request_context))

    async def after_run(self, ctx: RunContext[AgentDepsT], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        """Store the messages of a run."""
        if self._turn is not None:
            output = None if isinstance(result.output, DeferredToolRequests) else result.output
            said = messages_of_run(result.all_messages(), result.new_messages(), ctx.prompt, output)
            numbered = [{"id": f"{ctx.run_id}/{number}", **message} for number, message in enumerate(said)]
            await check_memory(self.memory, AsyncMemory).remember(numbered)
        return result

    async def _add_block(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        messages: list[Any] = request_context.messages
        place = place_of_block(messages, ctx.prompt, ctx.run_id)
        if self._turn is None or place is None:
            return request_context
        i, j = place
        parts = messages[i].parts
        block = await self._turn.block(prompt_text(parts[j].content if ctx.prompt is None else ctx.prompt))
        if block:  # in a copy, since these are the messages of the history
            part = UserPromptPart(block, timestamp=parts[j].timestamp)
            request = replace(messages[i], parts=[*parts[:j], part, *parts[j:]])
            request_context.messages = [*messages[:i], request, *messages[i + 1 :]]
        return request_context

    def _tool(self, name: str, description: str, parameters: dict[str, Any]) -> Tool[AgentDepsT]:
        async def call(**arguments: object) -> str:
            return (await check_memory(self.memory, AsyncMemory).call_tool(name, arguments)).text

        return Tool.from_schema(call, name, description, parameters)
