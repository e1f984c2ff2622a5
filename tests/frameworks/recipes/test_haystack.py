"""docs/recipes/haystack.md: the program as it stands there, and what its parts do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import ModuleType
from typing import Any, List

import pytest
from haystack.components.generators.chat import MockChatGenerator
from haystack.dataclasses import ChatMessage, ToolCall

from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.memory import Memory, Scope
from sekha.testing import check_no_feedback_loop, check_no_leak

from .programs import check_two_sessions, stored

PAGE, TITLE = "haystack.md", "chat.py"


class Seen:
    """A generator that answers what it is told to, and keeps what it was given."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers) or ["I see."]
        self.requests: List[List[ChatMessage]] = []
        self.generator = MockChatGenerator(response_fn=self.answer)

    def answer(self, messages: List[ChatMessage]) -> Any:
        self.requests.append(list(messages))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_the_program_of_the_page(any_sekha: LocalSekha, tmp_path: Path) -> None:
    check_two_sessions(PAGE, TITLE, any_sekha, tmp_path, "I see.", "I see.")


def test_users_of_one_agent(recipe: ModuleType, client: SekhaClient) -> None:
    seen = Seen()
    agent = recipe.make_agent(seen.generator)

    class Remembering:
        """One turn for each call, through the agent."""

        def __init__(self, user: str) -> None:
            self.memory = Memory(client, Scope("shop", user))

        def remember(self, messages: Any) -> None:
            recipe.ask(agent, self.memory, [ChatMessage.from_user(messages[0]["content"])])

        def block(self, query: str) -> str:
            before = len(seen.requests)
            agent.run(messages=[ChatMessage.from_user(query)], hook_context={"memory": self.memory})
            return "\n".join(message.text or "" for message in seen.requests[before])

    check_no_leak(Remembering)


def test_what_was_recalled_is_not_remembered(recipe: ModuleType, client: SekhaClient) -> None:
    def turn(session: str, text: str) -> Any:
        seen = Seen()
        memory = Memory(client, Scope("shop", "ann", session))
        recipe.ask(recipe.make_agent(seen.generator), memory, [ChatMessage.from_user(text)])
        return seen.requests

    check_no_feedback_loop(turn, client.in_folder("/shop", "ann"))


@pytest.mark.parametrize("asynchronous", [False, True], ids=["run", "run_async"])
def test_a_turn_with_a_tool_has_one_block(recipe: ModuleType, client: SekhaClient, asynchronous: bool) -> None:
    call = ChatMessage.from_assistant(tool_calls=[ToolCall("search_memory", {"query": "tea"}, id="c1")])
    seen = Seen(call, "On Fridays.")
    agent = recipe.make_agent(seen.generator)
    memory = Memory(client, Scope("shop", "ann", "s1"))
    memory.remember([{"role": "user", "content": "I like tea, and we ship on Fridays."}])
    memory = memory.in_session("s2")
    chat = [ChatMessage.from_system("Be brief."), ChatMessage.from_user("When do we ship?")]
    if asynchronous:
        tools = recipe.memory_tools(memory)
        result = asyncio.run(agent.run_async(messages=chat, hook_context={"memory": memory}, tools=tools))
    else:
        result = recipe.ask(agent, memory, chat)
    first, second = ([one.role.value for one in request] for request in seen.requests)
    assert first == ["system", "user", "user"]
    assert second == ["system", "user", "user", "assistant", "tool"]
    assert "I like tea" in (seen.requests[0][1].text or "")
    assert seen.requests[0][1].text == seen.requests[1][1].text
    assert "I like tea" in str(seen.requests[1][-1].tool_call_result)
    assert [one.role.value for one in result["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    said = {one["content"] for one in stored(client) if one["label"] == "s2"}
    assert said == {"When do we ship?", "On Fridays."}


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_answer_that_was_interrupted_is_not_remembered(recipe: ModuleType, client: SekhaClient, reason: str) -> None:
    seen = Seen(ChatMessage.from_assistant("On Fri", meta={"finish_reason": reason}))
    memory = Memory(client, Scope("shop", "ann", "s1"))
    result = recipe.ask(recipe.make_agent(seen.generator), memory, [ChatMessage.from_user("When?")])
    assert result["exit_reason"] == reason
    assert stored(client) == []


def test_a_memory_that_is_down(recipe: ModuleType, down: SekhaClient) -> None:
    problems: List[Any] = []
    seen = Seen()
    memory = Memory(down, Scope("shop", "ann"), on_error=problems.append)
    result = recipe.ask(recipe.make_agent(seen.generator), memory, [ChatMessage.from_user("When?")])
    assert result["last_message"].text == "I see."
    assert "unavailable" in (seen.requests[0][0].text or "")
    assert len(problems) == 2
