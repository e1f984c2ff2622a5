"""docs/recipes/agno.md: the program as it stands there, and what its parts do."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List

import pytest
from agno.db.in_memory import InMemoryDb
from agno.media import Image
from agno.models.message import Message
from agno.models.response import ModelResponse

from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.memory import Memory, Scope
from sekha.testing import check_no_feedback_loop, check_no_leak

from .programs import check_two_sessions, stored

PAGE, TITLE = "agno.md", "chat.py"
CALL = {"id": "c1", "type": "function", "function": {"name": "search_memory", "arguments": '{"query": "tea"}'}}


def scripted(recipe: ModuleType, *answers: ModelResponse) -> Any:
    """The model of the page, with other answers, which keeps all its requests."""
    waiting, requests = list(answers), []

    class Scripted(recipe.ScriptedModel):
        def invoke(self, messages: List[Message], **options: Any) -> ModelResponse:
            requests.append([(one.role, one.content, one.images) for one in messages])
            return waiting.pop(0) if waiting else ModelResponse(role="assistant", content="I see.")

    model = Scripted(id="scripted")
    model.requests = requests
    return model


def test_the_program_of_the_page(any_sekha: LocalSekha, tmp_path: Path) -> None:
    check_two_sessions(PAGE, TITLE, any_sekha, tmp_path, "I see.", "I see.")


def test_users_of_one_agent(recipe: ModuleType, client: SekhaClient) -> None:
    model = scripted(recipe)
    agent = recipe.make_agent(model, client)
    runs: Dict[str, int] = {}

    class Remembering:
        """One turn for each call, through the agent, each in a session of its own."""

        def __init__(self, user: str) -> None:
            self.user = user
            runs[user] = runs.get(user, 0) + 1

        def remember(self, messages: Any) -> None:
            self.block(messages[0]["content"])

        def block(self, text: str) -> str:
            agent.run(text, user_id=self.user, session_id=f"{self.user} {runs[self.user]}")
            return str(model.requests[-1])

    check_no_leak(Remembering)


def test_what_was_recalled_is_not_remembered(recipe: ModuleType, client: SekhaClient) -> None:
    def turn(session: str, text: str) -> Any:
        model = scripted(recipe)
        recipe.make_agent(model, client).run(text, user_id="ann", session_id=session)
        return model.requests

    check_no_feedback_loop(turn, client.in_folder("/shop", "ann"))


@pytest.mark.parametrize("stream", [False, True])
def test_a_turn_with_a_tool_and_the_history(recipe: ModuleType, client: SekhaClient, stream: bool) -> None:
    turn = [{"role": "user", "content": "I like tea, and we ship on Fridays."}]
    Memory(client, Scope("shop", "ann", "s1")).remember(turn)
    answers = [ModelResponse(role="assistant", tool_calls=[CALL]), ModelResponse(role="assistant", content="Fridays.")]
    model = scripted(recipe, *answers)
    agent = recipe.make_agent(model, client)
    agent.db, agent.add_history_to_context = InMemoryDb(), True

    def run(text: str) -> None:
        result = agent.run(text, user_id="ann", session_id="s2", stream=stream)
        if stream:
            list(result)

    run("When do we ship?")
    first, second = model.requests
    assert [role for role, _, _ in first] == ["user", "user"]
    assert [role for role, _, _ in second] == ["user", "user", "assistant", "tool"]
    assert "I like tea" in first[0][1]
    assert first[0] == second[0]
    assert "I like tea" in second[-1][1]
    run("And what do I drink?")
    roles = [role for role, _, _ in model.requests[2]]
    assert roles == ["user", "assistant", "tool", "assistant", "user", "user"]
    users = [content for role, content, _ in model.requests[2] if role == "user"]
    assert ["<memory" in content for content in users] == [False, True, False], "of the first turn, no block stays"
    (session,) = agent.db.get_sessions()
    for one in session.runs:
        assert isinstance(one.input.input_content, str)
        assert not any("<memory" in str(message.content) for message in one.messages if message.role == "user")
    said = {one["content"] for one in stored(client) if one["label"] == "s2"}
    assert said == {"When do we ship?", "Fridays.", "And what do I drink?", "I see."}


def test_pictures_pass_through(recipe: ModuleType, client: SekhaClient) -> None:
    model = scripted(recipe)
    picture = Image(content=b"png")
    recipe.make_agent(model, client).run("What is this?", images=[picture], user_id="ann", session_id="s1")
    assert model.requests[-1][-1][2] == [picture]


def test_without_a_user_nothing_is_recalled_or_remembered(recipe: ModuleType, client: SekhaClient) -> None:
    model = scripted(recipe)
    assert recipe.make_agent(model, client).run("Hello", session_id="s1").content == "I see."
    assert json.dumps([one[:2] for one in model.requests[-1]]) == '[["user", "Hello"]]'
    assert stored(client) == []


@pytest.mark.filterwarnings("ignore::sekha.SekhaWarning")
def test_a_memory_that_is_down(recipe: ModuleType, down: SekhaClient) -> None:
    model = scripted(recipe)
    assert recipe.make_agent(model, down).run("When?", user_id="ann", session_id="s1").content == "I see."
    assert "unavailable" in model.requests[-1][0][1]
