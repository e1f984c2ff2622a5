"""docs/recipes/dspy.md: the programs as they stand there, and what their parts do."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List

import dspy
import pytest
from dspy.utils import DummyLM

from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.memory import Memory, Scope
from sekha.testing import check_no_feedback_loop, check_no_leak

from .programs import check_two_sessions, load, stored

PAGE, TITLE, TOOLS = "dspy.md", "chat.py", "tools.py"


def run(recipe: ModuleType, text: str, memory: Any) -> List[Dict[str, Any]]:
    """Run the module once; what the model was given."""
    lm = DummyLM([{"answer": "I see."}])
    with dspy.context(lm=lm):
        assert recipe.Helper()(question=text, memory=memory).answer == "I see."
    sent: List[Dict[str, Any]] = lm.history[-1]["messages"]
    return sent


def test_the_program_of_the_page(any_sekha: LocalSekha, tmp_path: Path) -> None:
    check_two_sessions(PAGE, TITLE, any_sekha, tmp_path, "Noted.", "On Fridays.")


def test_users(recipe: ModuleType, client: SekhaClient) -> None:
    class Remembering:
        """One turn for each call, through the module."""

        def __init__(self, user: str) -> None:
            self.memory = Memory(client, Scope("shop", user))

        def remember(self, messages: Any) -> None:
            run(recipe, messages[0]["content"], self.memory)

        def block(self, text: str) -> str:
            return str(run(recipe, text, self.memory))

    check_no_leak(Remembering)


def test_what_was_recalled_is_not_remembered(recipe: ModuleType, client: SekhaClient) -> None:
    def turn(session: str, text: str) -> Any:
        return run(recipe, text, Memory(client, Scope("shop", "ann", session)))

    check_no_feedback_loop(turn, client.in_folder("/shop", "ann"))


def test_the_memory_is_data_before_the_question(recipe: ModuleType, client: SekhaClient) -> None:
    memory = Memory(client, Scope("shop", "ann", "s1"))
    memory.remember([{"role": "user", "content": "We ship on Fridays."}])
    system, user = run(recipe, "When do we ship?", memory.in_session("s2"))
    assert "We ship on Fridays." not in system["content"]
    assert user["content"].index("<memory>") < user["content"].index("When do we ship?")


def test_without_a_memory_nothing_is_remembered(recipe: ModuleType, client: SekhaClient) -> None:
    assert "Nothing." in run(recipe, "When do we ship?", None)[-1]["content"]
    assert stored(client) == []


def test_a_call_that_fails_is_not_remembered(recipe: ModuleType, client: SekhaClient) -> None:
    with dspy.context(lm=DummyLM([{"no_answer": "x"}] * 2)), pytest.raises(Exception, match="answer"):
        recipe.Helper()(question="When do we ship?", memory=Memory(client, Scope("shop", "ann")))
    assert stored(client) == []


def test_a_memory_that_is_down(recipe: ModuleType, down: SekhaClient) -> None:
    problems: List[Any] = []
    sent = run(recipe, "When?", Memory(down, Scope("shop", "ann"), on_error=problems.append))
    assert "unavailable" in sent[-1]["content"]
    assert len(problems) == 2


async def test_the_tools_of_the_server(
    sekha: LocalSekha, client: SekhaClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load(PAGE, TOOLS, sekha, tmp_path, monkeypatch)
    for user in ("ann", "bob"):
        turn = [{"role": "user", "content": f"This is {user}; we ship on Fridays."}]
        Memory(client, Scope("shop", user)).remember(turn)
    search = {"next_thought": "I search.", "next_tool_name": "memory_search"}
    lm = DummyLM(
        [
            {**search, "next_tool_args": '{"query": "When do we ship?"}'},
            {"next_thought": "I know it.", "next_tool_name": "finish", "next_tool_args": "{}"},
            {"reasoning": "It says so.", "answer": "On Fridays."},
        ]
    )
    with dspy.context(lm=lm):
        assert await recipe.ask("When do we ship?", Scope("shop", "ann").folder) == "On Fridays."
    seen = str(lm.history[1]["messages"])
    assert "This is ann" in seen
    assert "bob" not in seen
