"""docs/recipes/smolagents.md: the programs as they stand there, and what their parts do."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, List

import pytest
from smolagents import AgentGenerationError, ChatMessage, LogLevel, MessageRole, ToolCallingAgent
from smolagents.models import ChatMessageToolCall, ChatMessageToolCallFunction

from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.memory import Memory, Scope
from sekha.testing import check_no_feedback_loop, check_no_leak

from .programs import check_program, check_two_sessions, load, stored

PAGE, TITLE, TOOLS = "smolagents.md", "chat.py", "tools.py"
SEARCH = "<code>\nprint(search_memory(query='tea'))\n</code>"
ANSWER = "<code>\nfinal_answer('On Fridays.')\n</code>"


def scripted(recipe: ModuleType, *answers: Any) -> Any:
    """The model of the page, with other answers, which keeps all its requests."""
    waiting = list(answers)
    requests: List[Any] = []

    class Scripted(recipe.ScriptedModel):
        def generate(self, messages: Any, **options: Any) -> ChatMessage:
            requests.append([(one.role.value, str(one.content)) for one in messages])
            answer = waiting.pop(0) if len(waiting) > 1 else (waiting or ["<code>\nfinal_answer('I see.')\n</code>"])[0]
            return answer if isinstance(answer, ChatMessage) else ChatMessage(MessageRole.ASSISTANT, answer)

    model = Scripted()
    model.requests = requests
    return model


def fail(*messages: Any, **options: Any) -> Any:
    raise RuntimeError("the model is gone")


def test_the_program_of_the_page(any_sekha: LocalSekha, tmp_path: Path) -> None:
    check_two_sessions(PAGE, TITLE, any_sekha, tmp_path, "I see.", "I see.")


def test_users(recipe: ModuleType, client: SekhaClient) -> None:
    class Remembering:
        """One turn for each call, through the agent."""

        def __init__(self, user: str) -> None:
            self.memory = Memory(client, Scope("shop", user))

        def remember(self, messages: Any) -> None:
            self.block(messages[0]["content"])

        def block(self, text: str) -> str:
            model = scripted(recipe)
            recipe.ask(recipe.make_agent(model, self.memory), self.memory, text)
            return str(model.requests)

    check_no_leak(Remembering)


def test_what_was_recalled_is_not_remembered(recipe: ModuleType, client: SekhaClient) -> None:
    def turn(session: str, text: str) -> Any:
        memory = Memory(client, Scope("shop", "ann", session))
        model = scripted(recipe)
        recipe.ask(recipe.make_agent(model, memory), memory, text)
        return model.requests

    check_no_feedback_loop(turn, client.in_folder("/shop", "ann"))


def test_a_task_with_a_tool_and_the_next_one(recipe: ModuleType, client: SekhaClient) -> None:
    memory = Memory(client, Scope("shop", "ann", "s1"))
    memory.remember([{"role": "user", "content": "I like tea, and we ship on Fridays."}])
    memory = memory.in_session("s2")
    model = scripted(recipe, SEARCH, ANSWER)
    agent = recipe.make_agent(model, memory)
    assert recipe.ask(agent, memory, "When do we ship?") == "On Fridays."
    first, second = model.requests
    assert [role for role, _ in first] == ["system", "user"]
    assert "&lt;memory" not in first[0][1]
    assert "<memory" not in first[0][1]
    assert first[1] == second[1]
    assert first[1][1].index("I like tea") < first[1][1].index("When do we ship?")
    assert "I like tea" in second[-1][1]
    recipe.ask(agent, memory, "And who?")
    (task,) = (text for role, text in model.requests[2] if "When do we ship?" in text and role == "user")
    assert "<memory" not in task, "of the first task, no block stays"
    assert {one["content"] for one in stored(client) if one["label"] == "s2"} == {
        "When do we ship?",
        "On Fridays.",
        "And who?",
    }


def test_a_task_that_was_not_done_is_not_remembered(recipe: ModuleType, client: SekhaClient) -> None:
    memory = Memory(client, Scope("shop", "ann", "s1"))
    agent = recipe.make_agent(scripted(recipe, SEARCH), memory)
    agent.max_steps = 1
    recipe.ask(agent, memory, "When do we ship?")
    assert stored(client) == []


def test_of_a_task_that_fails_no_block_stays(recipe: ModuleType, client: SekhaClient) -> None:
    memory = Memory(client, Scope("shop", "ann", "s1"))
    memory.remember([{"role": "user", "content": "We ship on Fridays."}])
    memory = memory.in_session("s2")
    model = scripted(recipe)
    agent = recipe.make_agent(model, memory)
    answer, model.generate = model.generate, fail
    with pytest.raises(AgentGenerationError):
        recipe.ask(agent, memory, "When do we ship?")
    model.generate = answer
    assert recipe.ask(agent, memory, "What is your name?") == "I see."
    (request,) = model.requests
    assert [text for role, text in request if "When do we ship?" in text and "<memory" in text and role == "user"] == []


def test_a_memory_that_is_down(recipe: ModuleType, down: SekhaClient) -> None:
    problems: List[Any] = []
    memory = Memory(down, Scope("shop", "ann"), on_error=problems.append)
    model = scripted(recipe)
    assert recipe.ask(recipe.make_agent(model, memory), memory, "When?") == "I see."
    assert "unavailable" in model.requests[0][1][1]
    assert len(problems) == 2


def test_the_tools_of_the_server(
    sekha: LocalSekha, client: SekhaClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_program(PAGE, TOOLS, sekha, tmp_path)
    recipe = load(PAGE, TITLE, sekha, tmp_path, monkeypatch)
    tools = load(PAGE, TOOLS, sekha, tmp_path, monkeypatch)
    for user in ("ann", "bob"):
        turn = [{"role": "user", "content": f"This is {user}; we ship on Fridays."}]
        Memory(client, Scope("shop", user)).remember(turn)

    def call(name: str, **arguments: Any) -> ChatMessage:
        function = ChatMessageToolCallFunction(name=name, arguments=arguments)
        return ChatMessage(MessageRole.ASSISTANT, "", tool_calls=[ChatMessageToolCall(function, "c1", "function")])

    model = scripted(recipe, call("memory_search", query="When do we ship?"), call("final_answer", answer="Fridays."))
    with tools.sekha_tools(Scope("shop", "ann").folder) as found:
        agent = ToolCallingAgent(tools=found, model=model, verbosity_level=LogLevel.ERROR)
        assert agent.run("When do we ship?") == "Fridays."
    assert "This is ann" in str(model.requests[1])
    assert "bob" not in str(model.requests[1])
