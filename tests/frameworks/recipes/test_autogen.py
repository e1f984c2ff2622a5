"""docs/recipes/autogen.md: the program as it stands there, and what its parts do."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, List

from autogen_core import FunctionCall, Image
from autogen_core.models import CreateResult, RequestUsage, UserMessage
from autogen_ext.models.replay import ReplayChatCompletionClient
from PIL import Image as Picture

from sekha import AsyncSekhaClient
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Scope
from sekha.testing import async_check_no_feedback_loop, async_check_no_leak

from .programs import check_two_sessions

PAGE, TITLE = "autogen.md", "chat.py"
INFO: Any = {
    "vision": True,
    "function_calling": True,
    "json_output": False,
    "structured_output": False,
    "family": "unknown",
}


def model(*answers: Any) -> ReplayChatCompletionClient:
    return ReplayChatCompletionClient(answers, model_info=INFO)


def test_the_program_of_the_page(any_sekha: LocalSekha, tmp_path: Path) -> None:
    check_two_sessions(PAGE, TITLE, any_sekha, tmp_path, "Noted.", "On Fridays.")


async def test_users_and_sessions(recipe: ModuleType, sekha: LocalSekha) -> None:
    async with AsyncSekhaClient(**sekha.options) as client:

        class Remembering:
            """One turn for each call, through the agent."""

            def __init__(self, user: str) -> None:
                self.memory = AsyncMemory(client, Scope("shop", user))

            async def remember(self, messages: Any) -> None:
                agent = recipe.make_agent(model("I see."), self.memory)
                await recipe.ask(agent, self.memory, messages[0]["content"])

            async def block(self, query: str) -> str:
                asked = model("I see.")
                await recipe.make_agent(asked, self.memory).run(task=query)
                return str(asked.create_calls)

        await async_check_no_leak(Remembering)


async def test_what_was_recalled_is_not_remembered(recipe: ModuleType, sekha: LocalSekha) -> None:
    async with AsyncSekhaClient(**sekha.options) as client:

        async def turn(session: str, text: str) -> Any:
            memory = AsyncMemory(client, Scope("shop", "ann", session))
            asked = model("I see.")
            await recipe.ask(recipe.make_agent(asked, memory), memory, text)
            return asked.create_calls

        await async_check_no_feedback_loop(turn, client.in_folder("/shop", "ann"))


async def test_a_turn_with_a_tool_has_one_block_before_what_was_said(recipe: ModuleType, sekha: LocalSekha) -> None:
    usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
    call = FunctionCall(id="c1", name="search_memory", arguments='{"query": "tea"}')
    calls = CreateResult(finish_reason="function_calls", content=[call], usage=usage, cached=False)
    async with AsyncSekhaClient(**sekha.options) as client:
        memory = AsyncMemory(client, Scope("shop", "ann", "s1"))
        await memory.remember([{"role": "user", "content": "I like tea, and we ship on Fridays."}])
        asked = model(calls, "On Fridays.", "You like tea.")
        memory = memory.in_session("s2")
        agent = recipe.make_agent(asked, memory)
        assert await recipe.ask(agent, memory, "When do we ship?") == "On Fridays."
        await recipe.ask(agent, memory, "What do I like to drink, tea or coffee?")

        kinds = [[type(one).__name__ for one in call["messages"]] for call in asked.create_calls]
        first, second, third = kinds
        assert first == ["SystemMessage", "UserMessage", "UserMessage"]
        assert second == [*first, "AssistantMessage", "FunctionExecutionResultMessage"]
        assert third[-2:] == ["UserMessage", "UserMessage"]
        blocks: List[List[str]] = [
            [one.content for one in call["messages"] if getattr(one, "source", "") == "memory"]
            for call in asked.create_calls
        ]
        assert blocks[0] == blocks[1]
        assert [len(one) for one in blocks] == [1, 1, 1], "of earlier turns, none stays"
        results = asked.create_calls[1]["messages"][-1].content
        assert "I like tea" in results[0].content
        history = str(await agent.save_state())
        assert history.count("<memory") == 1, "the result of the tool, and nothing else"


async def test_a_picture_and_a_memory_that_is_down(recipe: ModuleType) -> None:
    problems: List[Any] = []
    async with AsyncSekhaClient(controller_url="http://127.0.0.1:9", api_key="sk-x", max_retries=0) as client:
        memory = AsyncMemory(client, Scope("shop", "ann"), on_error=problems.append)
        context = recipe.SekhaContext(memory)
        picture = Image(Picture.new("RGB", (1, 1)))
        await context.add_message(UserMessage(content=["What is this?", picture], source="user"))
        block, said = await context.get_messages()
    assert "unavailable" in block.content
    assert said.content[1] is picture
    assert len(problems) == 1
