"""A shop whose customers talk to agents of LlamaIndex, on a local Sekha of either profile."""

from __future__ import annotations

from typing import Any, AsyncIterator, Iterator, List, Tuple, Union

import pytest
from llama_index.core.memory import Memory as ChatMemory

from sekha import AsyncSekhaClient, SekhaClient
from sekha.integrations.llamaindex import memory_for
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Memory, Scope
from sekha.testing import ScriptedSekha, use_clock


class Shop:
    """The memories of customers, all of one client type.

    Args:
        kind: The name of the client type.
        blocking: A client.
        client: The same for async code.
    """

    def __init__(self, kind: str, blocking: SekhaClient, client: AsyncSekhaClient) -> None:
        self.kind, self.blocking, self.client = kind, blocking, client

    def memory(self, user: str = "ann", session: Any = None, **options: Any) -> Union[AsyncMemory, Memory]:
        """The memory of a customer."""
        scope = Scope("shop", user, session)
        if self.kind == "AsyncMemory":
            return AsyncMemory(self.client, scope, **options)
        return Memory(self.blocking, scope, **options)

    def chat(self, session: Any = "s2", user: str = "ann", **options: Any) -> ChatMemory:
        """A chat memory for it."""
        return memory_for(self.memory(user), session, **options)

    def stored(self) -> List[Tuple[str, str, str]]:
        """All that is stored, sorted: label, role and text."""
        controller = self.blocking.controller
        return sorted(
            (row["label"], message["role"], str(message["content"]))
            for row in controller.iter_conversations()
            for message in controller.get_messages(row["conversation_id"])
        )

    def say(self, text: str, session: str = "s1", user: str = "ann") -> None:
        """Let a customer have said something."""
        memory = Memory(self.blocking, Scope("shop", user, session))
        memory.remember([{"role": "user", "content": text}])


@pytest.fixture(params=["documented", "controller-0.1"])
def server(request: pytest.FixtureRequest, sekha: LocalSekha, sekha_0_1: LocalSekha) -> LocalSekha:
    """An empty local Sekha of either profile."""
    return sekha if request.param == "documented" else sekha_0_1


@pytest.fixture
async def shop(request: pytest.FixtureRequest, server: LocalSekha) -> AsyncIterator[Shop]:
    """A shop: of each client type, on one of the profiles."""
    kind = "AsyncMemory" if request.getfixturevalue("sekha") is server else "Memory"
    with SekhaClient(**server.options) as blocking:
        async with AsyncSekhaClient(**server.options) as client:
            yield Shop(kind, blocking, client)


@pytest.fixture
def faulty(sekha: LocalSekha) -> Iterator[ScriptedSekha]:
    """An empty local Sekha whose script must have been played in the end."""
    with ScriptedSekha(sekha) as scripted:
        yield scripted


@pytest.fixture(params=["AsyncMemory", "Memory"])
async def faulty_shop(request: pytest.FixtureRequest, faulty: ScriptedSekha) -> AsyncIterator[Shop]:
    """A shop on it."""
    with SekhaClient(**faulty.options, max_retries=0) as blocking:
        async with AsyncSekhaClient(**faulty.options, max_retries=0) as client:
            use_clock(blocking, faulty.clock)
            use_clock(client, faulty.clock)
            yield Shop(request.param, blocking, client)
