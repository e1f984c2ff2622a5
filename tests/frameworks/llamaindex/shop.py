"""A shop whose customers talk to agents of LlamaIndex."""

from __future__ import annotations

from typing import Any, List, Tuple, Union

from llama_index.core.memory import Memory as ChatMemory

from sekha import AsyncSekhaClient, SekhaClient
from sekha.integrations.llamaindex import memory_for
from sekha.memory import AsyncMemory, Memory, Scope


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
