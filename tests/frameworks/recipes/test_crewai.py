"""docs/recipes/crewai.md: the program as it stands there, and what its parts do."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, List

import pytest

from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.memory import Memory, Scope
from sekha.testing import check_no_feedback_loop, check_no_leak

from .programs import check_two_sessions

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ImportWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]
"""What CrewAI and its 130 packages do when they are imported and when they end is theirs."""
PAGE, TITLE = "crewai.md", "chat.py"


def ask(recipe: ModuleType, memory: Memory, text: str, *, tools: bool = False) -> List[Any]:
    """Run a crew; what its model was given."""
    recipe.seen.clear()
    crew = recipe.make_crew(recipe.ScriptedLLM(model="scripted"), memory)
    if not tools:  # each of them would start a process
        crew.agents[0].mcps = None
    assert recipe.ask(crew, memory, text) == "I see."
    return list(recipe.seen)


def test_the_program_of_the_page(any_sekha: LocalSekha, tmp_path: Path) -> None:
    check_two_sessions(PAGE, TITLE, any_sekha, tmp_path, "I see.", "I see.")


def test_users(recipe: ModuleType, client: SekhaClient) -> None:
    class Remembering:
        """One turn for each call, through a crew."""

        def __init__(self, user: str) -> None:
            self.memory = Memory(client, Scope("shop", user))

        def remember(self, messages: Any) -> None:
            ask(recipe, self.memory, messages[0]["content"])

        def block(self, text: str) -> str:
            return str(ask(recipe, self.memory, text))

    check_no_leak(Remembering)


def test_what_was_recalled_is_not_remembered(recipe: ModuleType, client: SekhaClient) -> None:
    def turn(session: str, text: str) -> Any:
        return ask(recipe, Memory(client, Scope("shop", "ann", session)), text)

    check_no_feedback_loop(turn, client.in_folder("/shop", "ann"))


def test_the_memory_is_data_before_the_question(recipe: ModuleType, client: SekhaClient) -> None:
    memory = Memory(client, Scope("shop", "ann", "s1"))
    memory.remember([{"role": "user", "content": 'We ship on {"day": "Fridays"}, {question} or not.'}])
    ((system, user, *_), *_) = ask(recipe, memory.in_session("s2"), "When do we ship?")
    assert (system["role"], user["role"]) == ("system", "user")
    assert "<memory>" not in system["content"]
    assert '{"day": "Fridays"}' in user["content"]
    assert user["content"].index("<memory>") < user["content"].rindex("When do we ship?")


def test_the_tool_finds_what_is_of_this_user(
    recipe: ModuleType, client: SekhaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in ("ann", "bob"):
        turn = [{"role": "user", "content": f"This is {user}; we ship on Fridays."}]
        Memory(client, Scope("shop", user)).remember(turn)
    answers: List[Any] = []

    def call(self: Any, messages: Any, tools: Any = None, **options: Any) -> Any:
        answers.append([dict(message) for message in messages])
        if len(answers) > 1:
            return "I see."
        (name,) = (tool["function"]["name"] for tool in tools)
        return [{"id": "c1", "type": "function", "function": {"name": name, "arguments": '{"query": "Who ships?"}'}}]

    monkeypatch.setattr(recipe.ScriptedLLM, "call", call)
    monkeypatch.setattr(recipe.ScriptedLLM, "supports_function_calling", lambda self: True, raising=False)
    memory = Memory(client, Scope("shop", "ann"))
    crew = recipe.make_crew(recipe.ScriptedLLM(model="scripted"), memory)
    assert crew.kickoff(inputs={"memory": "", "question": "Who ships?"}).raw == "I see."
    assert "This is ann" in str(answers[1])
    assert "bob" not in str(answers[1])


def test_a_memory_that_is_down(recipe: ModuleType, down: SekhaClient) -> None:
    problems: List[Any] = []
    seen = ask(recipe, Memory(down, Scope("shop", "ann"), on_error=problems.append), "When?")
    assert "unavailable" in seen[0][1]["content"]
    assert len(problems) == 2
