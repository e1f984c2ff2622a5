"""A shop with one agent: what its users say, and what its model is given."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Callable

import pytest
from google.adk.agents import LlmAgent, RunConfig
from google.adk.agents.run_config import StreamingMode
from google.adk.events import Event
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.sessions.session import Session
from google.genai import types
from pydantic import PrivateAttr

from sekha import AsyncSekhaClient
from sekha.integrations.adk import SekhaMemoryService, recall_before_model, remember_after_agent
from sekha.testing import ScriptedSekha, use_clock


def text(*texts: str, role: str = "model") -> types.Content:
    """A content that consists of texts."""
    return types.Content(role=role, parts=[types.Part(text=one) for one in texts])


def call(name: str, **arguments: Any) -> types.Content:
    """A call of a tool."""
    return types.Content(role="model", parts=[types.Part(function_call=types.FunctionCall(name=name, args=arguments))])


class ScriptedModel(BaseLlm):
    """Says what was written down for it, one after the other, and then "Noted."; it keeps what it is given."""

    _said: list[Any] = PrivateAttr(default_factory=list)
    _given: list[LlmRequest] = PrivateAttr(default_factory=list)

    def say(self, *said: Any) -> ScriptedModel:
        """Write down what it says: contents, lists of responses, or errors."""
        self._said += said
        return self

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        """Say the next of it."""
        self._given.append(llm_request.model_copy(deep=True))
        said = self._said.pop(0) if self._said else text("Noted.")
        if isinstance(said, Exception):
            raise said
        for one in said if isinstance(said, list) else [LlmResponse(content=said)]:
            if isinstance(one, Exception):
                raise one
            yield one

    @property
    def given(self) -> list[LlmRequest]:
        """All requests so far."""
        return self._given


def seen(request: LlmRequest) -> str:
    """All texts that a request has, the instructions too."""
    parts = [part for content in request.contents for part in content.parts or []]
    results = [str(part.function_response.response) for part in parts if part.function_response]
    return "\n".join([str(request.config.system_instruction), *(part.text or "" for part in parts), *results])


class Shop:
    """A runner of one agent, whose turns are run one by one."""

    def __init__(self, memory: Any, **options: Any) -> None:
        self.model = ScriptedModel(model="scripted")
        self.memory = memory
        self.sessions = InMemorySessionService()
        callbacks = {"before_model_callback": recall_before_model, "after_agent_callback": remember_after_agent}
        agent = LlmAgent(name="seller", model=self.model, **{**callbacks, **options})
        self.runner = Runner(app_name="shop", agent=agent, session_service=self.sessions, memory_service=memory)

    async def session(self, user: str = "ann", id: str = "s1") -> Session:
        """A session, which is made if there is none."""
        found = await self.sessions.get_session(app_name="shop", user_id=user, session_id=id)
        return found or await self.sessions.create_session(app_name="shop", user_id=user, session_id=id)

    async def turn(self, said: Any, user: str = "ann", session: str = "s1", stream: bool = False) -> list[Event]:
        """One turn, read to its end."""
        await self.session(user, session)
        return [event async for event in self.run(said, user, session, stream)]

    def run(
        self, said: Any, user: str = "ann", session: str = "s1", stream: bool = False
    ) -> AsyncGenerator[Event, None]:
        """One turn, which is yours to read."""
        message = said if isinstance(said, types.Content) else text(said, role="user")
        mode = RunConfig(streaming_mode=StreamingMode.SSE if stream else StreamingMode.NONE)
        return self.runner.run_async(user_id=user, session_id=session, new_message=message, run_config=mode)


@pytest.fixture
async def client(faulty: ScriptedSekha) -> AsyncIterator[AsyncSekhaClient]:
    """A client of it."""
    async with AsyncSekhaClient(**faulty.options, max_retries=0) as client:
        use_clock(client, faulty.clock)
        yield client


@pytest.fixture
def memory(client: AsyncSekhaClient) -> SekhaMemoryService:
    """The service."""
    return SekhaMemoryService(client)


@pytest.fixture
def shop(memory: SekhaMemoryService) -> Shop:
    """A shop that recalls and remembers."""
    return Shop(memory)


Stored = Callable[[], Any]


@pytest.fixture
def stored(faulty: ScriptedSekha) -> Stored:
    """What is stored: folder, label, role and text, sorted."""

    async def read() -> list[tuple[str, str, str, str]]:
        found: list[tuple[str, str, str, str]] = []
        async with AsyncSekhaClient(**faulty.sekha.options) as client:  # without faults
            async for row in client.controller.iter_conversations():
                messages: Any = await client.controller.get_messages(row["conversation_id"])
                found += ((row["folder"], row["label"], one["role"], str(one["content"]).strip()) for one in messages)
        return sorted(found)

    return read


@pytest.fixture
def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
