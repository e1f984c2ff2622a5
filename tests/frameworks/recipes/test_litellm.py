"""docs/recipes/litellm.md: the program as it stands there, and what its parts do."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, Iterator, List

import litellm
import pytest

from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.memory import Memory, Scope
from sekha.testing import check_no_feedback_loop, check_no_leak

from .programs import check_two_sessions, stored

pytestmark = pytest.mark.filterwarnings("ignore:.*ReadOnly.*:UserWarning")
"""LiteLLM imports its types when it is first called, and pydantic warns about some of them."""
PAGE, TITLE = "litellm.md", "chat.py"
CALL = {"id": "c1", "type": "function", "function": {"name": "search_memory", "arguments": '{"query": "tea"}'}}


class Scripted(litellm.CustomLLM):
    """A model of LiteLLM with the answers of a test."""

    def __init__(self, *answers: Any) -> None:
        super().__init__()
        self.answers, self.requests = list(answers), []

    def completion(self, *args: Any, messages: Any, **options: Any) -> litellm.ModelResponse:
        self.requests.append(messages)
        message = self.answers.pop(0) if self.answers else {"role": "assistant", "content": "I see."}
        return litellm.ModelResponse(choices=[{"message": message}])

    def streaming(self, *args: Any, messages: Any, **options: Any) -> Iterator[Any]:
        self.requests.append(messages)
        for text in ("I ", "see."):
            yield {"text": text, "is_finished": False, "finish_reason": "", "index": 0, "tool_use": None, "usage": None}
        yield {"text": "", "is_finished": True, "finish_reason": "stop", "index": 0, "tool_use": None, "usage": None}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    scripted = Scripted()
    monkeypatch.setattr(litellm, "custom_provider_map", [{"provider": "scripted", "custom_handler": scripted}])
    return scripted


def ask(recipe: ModuleType, memory: Memory, text: str) -> List[Any]:
    chat = [{"role": "user", "content": text}]
    recipe.ask(chat, memory, model="scripted/any")
    return chat


def test_the_program_of_the_page(any_sekha: LocalSekha, tmp_path: Path) -> None:
    check_two_sessions(PAGE, TITLE, any_sekha, tmp_path, "I see.", "I see.")


def test_users(recipe: ModuleType, client: SekhaClient, model: Scripted) -> None:
    class Remembering:
        """One turn for each call."""

        def __init__(self, user: str) -> None:
            self.memory = Memory(client, Scope("shop", user))

        def remember(self, messages: Any) -> None:
            ask(recipe, self.memory, messages[0]["content"])

        def block(self, text: str) -> str:
            ask(recipe, self.memory, text)
            return str(model.requests[-1])

    check_no_leak(Remembering)


def test_what_was_recalled_is_not_remembered(recipe: ModuleType, client: SekhaClient, model: Scripted) -> None:
    def turn(session: str, text: str) -> Any:
        ask(recipe, Memory(client, Scope("shop", "ann", session)), text)
        return model.requests[-1]

    check_no_feedback_loop(turn, client.in_folder("/shop", "ann"))


def test_a_turn_with_a_tool_has_one_block(recipe: ModuleType, client: SekhaClient, model: Scripted) -> None:
    memory = Memory(client, Scope("shop", "ann", "s1"))
    memory.remember([{"role": "user", "content": "I like tea, and we ship on Fridays."}])
    model.answers = [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "assistant", "content": "On Fridays."},
    ]
    chat = ask(recipe, memory.in_session("s2"), "When do we ship?")
    first, second = model.requests
    assert [one["role"] for one in first] == ["user", "user"]
    assert [one["role"] for one in second] == ["user", "user", "assistant", "tool"]
    assert first == second[:2]
    assert "I like tea" in second[-1]["content"]
    assert [one["role"] for one in chat] == ["user", "assistant", "tool", "assistant"]
    assert {one["content"] for one in stored(client) if one["label"] == "s2"} == {"When do we ship?", "On Fridays."}


def test_a_model_that_never_stops_is_not_remembered(recipe: ModuleType, client: SekhaClient, model: Scripted) -> None:
    model.answers = [{"role": "assistant", "content": None, "tool_calls": [CALL]}] * 9
    with pytest.raises(RuntimeError, match="does not stop"):
        ask(recipe, Memory(client, Scope("shop", "ann")), "When do we ship?")
    assert len(model.requests) == 8
    assert stored(client) == []


def test_a_stream_is_remembered_when_it_has_ended(client: SekhaClient, model: Scripted) -> None:
    memory = Memory(client, Scope("shop", "ann"))
    chat = [{"role": "user", "content": "Hello!"}]
    chunks = litellm.completion(model="scripted/any", messages=chat, stream=True)
    for _ in memory.remember_stream(chat, chunks, text_of=lambda chunk: chunk.choices[0].delta.content):
        assert stored(client) == []
    assert [one["content"] for one in stored(client)] == ["Hello!", "I see."]


def test_a_memory_that_is_down(recipe: ModuleType, model: Scripted, down: SekhaClient) -> None:
    problems: List[Any] = []
    ask(recipe, Memory(down, Scope("shop", "ann"), on_error=problems.append), "When?")
    assert "unavailable" in model.requests[0][0]["content"]
    assert len(problems) == 2
