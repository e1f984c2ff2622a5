# Generated from src/sekha/_async/memory_checks.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""Checks for framework adapters: no user sees the messages of another, and recalled text is not stored again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, Protocol
from uuid import uuid4

from sekha._utils.public import exported_from

from .client import SekhaClient

USERS = (
    "ann",
    "Ann",
    "ann ",
    "an",
    "ann/notes",
    "ann%2Fnotes",
    "../ann",
    ".",
    "42",
    "4",
    "jos\u00e9",
    "jose\u0301",
    "\U0001f642",
)
"""IDs that could be mistaken for each other, or for a path."""

_TRACES = ("<memory>", "</memory>", "&lt;memory")


@exported_from("sekha.testing")
class Remembers(Protocol):
    """Interface that the leak test requires of a memory; an `Memory` has it."""

    def remember(self, messages: Sequence[Mapping[str, object]], /) -> object:
        """Store the messages of a turn."""
        ...

    def block(self, query: str, /) -> object:
        """Return the text that a model would see of the memory."""
        ...


@exported_from("sekha.testing")
def check_no_leak(make_memory: Callable[[str], Remembers], *, users: Sequence[str] = USERS) -> None:
    """Check that each user finds their own memories, and none of another user.

    Each user stores a code, and then asks for it.

    Args:
        make_memory: Returns the memory of a user with your adapter. It is called twice for each user; if there are
            sessions, the second memory must be in another session. Earlier content does not matter.
        users: User IDs; by default IDs that could be mistaken for each other, or for a path.

    Raises:
        AssertionError: A user sees the code of another, or does not find their own.

    Example:
        ```python
        from sekha.memory import Memory, Scope
        from sekha.testing import check_no_leak

        check_no_leak(lambda user: Memory(client, Scope("shop", user)))
        ```
    """
    door, codes = uuid4().hex[:8], {user: uuid4().hex for user in users}
    for user, code in codes.items():
        make_memory(user).remember([{"role": "user", "content": f"The code of door {door} is {code}."}])
    for user, code in codes.items():
        seen = str(make_memory(user).block(f"What is the code of door {door}?"))
        leaked = [other for other, secret in codes.items() if other != user and secret in seen]
        assert not leaked, f"user {user!r} sees the code of {leaked[0]!r}: {seen}"
        assert code in seen, f"user {user!r} does not find in a new session what was remembered: {seen or 'nothing'}"


class RunsTurn(Protocol):
    """Runs a turn of an agent."""

    def __call__(self, session: str, text: str, /) -> object:
        """Send a message in a session; return everything that the model received."""
        ...


@exported_from("sekha.testing")
def check_no_feedback_loop(run_turn: RunsTurn, client: SekhaClient) -> None:
    """Check that the model receives recalled memories, and that they are not stored again.

    Runs three turns, each in its own session: one that states a fact, and two that ask for it. Then it reads everything
    that is stored.

    Args:
        run_turn: Runs a turn of your agent. It is called with the session and the user's message, and returns
            everything that the model received as text.
        client: A client of the memory, or its view of a folder; nothing else may be stored there in the meantime.

    Raises:
        AssertionError: Nothing was stored or recalled, or recalled text was stored again.

    Example:
        ```python
        from sekha.memory import Memory, Scope, with_block
        from sekha.testing import check_no_feedback_loop


        def run_turn(session, text):
            memory = Memory(client, Scope("shop", "ann", session))
            chat = [{"role": "user", "content": text}]
            request = with_block(chat, memory.block(text))
            memory.remember([*chat, {"role": "assistant", "content": "I see."}])
            return request


        check_no_feedback_loop(run_turn, client.in_folder("/shop/ann"))
        ```
    """
    door, code = uuid4().hex[:8], uuid4().hex
    question = f"What is the code of door {door}?"
    run_turn(f"session-1-{door}", f"The code of door {door} is {code}.")
    for number, text in enumerate((question, f"Tell me again: {question}"), start=2):
        seen = str(run_turn(f"session-{number}-{door}", text))
        assert code in seen, f"the model does not receive what the user said in an earlier session: {seen}"
    stored = _stored(client)
    assert stored, "nothing was stored"
    for message in stored:
        trace = next((one for one in _TRACES if one in message["content"].lower()), None)
        assert trace is None, f"a block of memories was stored: {message['content']}"
    said = [message["content"] for message in stored if message["role"] != "assistant" and code in message["content"]]
    assert len(said) == 1, f"the user said it once, but it is stored {len(said)} times: {said}"


def _stored(client: SekhaClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for row in client.controller.iter_conversations():
        messages: Sequence[Any] = client.controller.get_messages(row["conversation_id"])
        found += ({"role": message["role"], "content": str(message["content"])} for message in messages)
    return found
