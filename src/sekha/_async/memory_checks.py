"""Checks for adapters of frameworks: no user sees what another said, and nothing is remembered that was recalled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable, Protocol
from uuid import uuid4

from sekha._utils.public import exported_from

from .client import AsyncSekhaClient

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
"""Ids that somebody might take for the same, or for a path."""

_TRACES = ("<memory>", "</memory>", "&lt;memory")


@exported_from("sekha.testing")
class AsyncRemembers(Protocol):
    """What the leak test needs of a memory; an `AsyncMemory` has it, and an adapter is given it in a few lines."""

    async def remember(self, messages: Sequence[Mapping[str, object]], /) -> object:
        """Store the messages of a turn."""
        ...

    async def block(self, query: str, /) -> object:
        """What a model would see of the memory; it is searched as a text."""
        ...


@exported_from("sekha.testing")
async def async_check_no_leak(make_memory: Callable[[str], AsyncRemembers], *, users: Sequence[str] = USERS) -> None:
    """Check that each user finds what is theirs, and nothing of any other.

    Each user remembers a code; then each asks for it.

    Args:
        make_memory: Returns the memory of a user with your adapter. It is called twice for each: if there are
            sessions, the second memory is in another one than the first. What was stored before does not matter.
        users: Their ids; by default some that are easily taken for each other, or for a path.

    Raises:
        AssertionError: A user sees the code of another, or does not find the own one.

    Example:
        ```python
        from sekha.memory import AsyncMemory, Scope
        from sekha.testing import async_check_no_leak

        await async_check_no_leak(lambda user: AsyncMemory(client, Scope("shop", user)))
        ```
    """
    door, codes = uuid4().hex[:8], {user: uuid4().hex for user in users}
    for user, code in codes.items():
        await make_memory(user).remember([{"role": "user", "content": f"The code of door {door} is {code}."}])
    for user, code in codes.items():
        seen = str(await make_memory(user).block(f"What is the code of door {door}?"))
        leaked = [other for other, secret in codes.items() if other != user and secret in seen]
        assert not leaked, f"user {user!r} sees the code of {leaked[0]!r}: {seen}"
        assert code in seen, f"user {user!r} does not find in a new session what was remembered: {seen or 'nothing'}"


class AsyncRunsTurn(Protocol):
    """Runs a turn of an agent."""

    async def __call__(self, session: str, text: str, /) -> object:
        """Say something in a session; return all that the model was given."""
        ...


@exported_from("sekha.testing")
async def async_check_no_feedback_loop(run_turn: AsyncRunsTurn, client: AsyncSekhaClient) -> None:
    """Check that what was recalled is given to the model, and is not remembered again.

    It runs three turns, each in a session of its own: one that says something, and two that ask for it. Then it reads
    all that is stored.

    Args:
        run_turn: Runs a turn of your agent: it is called with the session and with what the user says, and returns all
            that the model was given, which is searched as a text.
        client: A client of the memory, or its view of a folder; nothing else may be stored there meanwhile.

    Raises:
        AssertionError: Nothing was stored or recalled; or what was recalled is stored again.

    Example:
        ```python
        from sekha.memory import AsyncMemory, Scope, with_block
        from sekha.testing import async_check_no_feedback_loop


        async def run_turn(session, text):
            memory = AsyncMemory(client, Scope("shop", "ann", session))
            chat = [{"role": "user", "content": text}]
            request = with_block(chat, await memory.block(text))
            await memory.remember([*chat, {"role": "assistant", "content": "I see."}])
            return request


        await async_check_no_feedback_loop(run_turn, client.in_folder("/shop/ann"))
        ```
    """
    door, code = uuid4().hex[:8], uuid4().hex
    question = f"What is the code of door {door}?"
    await run_turn(f"session-1-{door}", f"The code of door {door} is {code}.")
    for number, text in enumerate((question, f"Tell me again: {question}"), start=2):
        seen = str(await run_turn(f"session-{number}-{door}", text))
        assert code in seen, f"the model does not receive what the user said in an earlier session: {seen}"
    stored = await _stored(client)
    assert stored, "nothing was stored"
    for message in stored:
        trace = next((one for one in _TRACES if one in message["content"].lower()), None)
        assert trace is None, f"a block of memories was stored: {message['content']}"
    said = [message["content"] for message in stored if message["role"] != "assistant" and code in message["content"]]
    assert len(said) == 1, f"the user said it once, but it is stored {len(said)} times: {said}"


async def _stored(client: AsyncSekhaClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async for row in client.controller.iter_conversations():
        messages: Sequence[Any] = await client.controller.get_messages(row["conversation_id"])
        found += ({"role": message["role"], "content": str(message["content"])} for message in messages)
    return found
