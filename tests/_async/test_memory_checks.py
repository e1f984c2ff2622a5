"""The checks for adapters pass for a good one, and fail for each way in which one can be wrong."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Callable

import pytest

from sekha import AsyncSekhaClient
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Scope, with_block
from sekha.testing import async_check_no_feedback_loop, async_check_no_leak


@pytest.fixture(params=["documented", "controller-0.1"])
async def one(request: pytest.FixtureRequest, sekha: LocalSekha, sekha_0_1: LocalSekha) -> AsyncIterator[Any]:
    """A client of an empty local Sekha of either kind."""
    async with AsyncSekhaClient(**(sekha if request.param == "documented" else sekha_0_1).options) as client:
        yield client


# The leak test


@pytest.mark.promise("F4", "E10")
async def test_the_memory_itself_does_not_leak(one: AsyncSekhaClient) -> None:
    await async_check_no_leak(lambda user: AsyncMemory(one, Scope("shop", user)))
    sessions = map(str, range(100))
    await async_check_no_leak(
        lambda user: AsyncMemory(one, Scope("shop", user, session=next(sessions))), users=["ann", "bob"]
    )


class Adapter:
    """An adapter of somebody, which may do it wrong."""

    def __init__(self, client: AsyncSekhaClient, *, forgets: bool = False) -> None:
        self._controller = client.controller
        self._forgets = forgets

    async def remember(self, messages: Sequence[Mapping[str, object]]) -> object:
        """Store them, or not."""
        return None if self._forgets else await self._controller.create_conversation(messages=messages)

    async def block(self, query: str) -> object:
        """All that is found."""
        return (await self._controller.query(query, limit=20))["results"]


@pytest.mark.promise("E10")
async def test_an_adapter_that_takes_all_users_for_one_leaks(one: AsyncSekhaClient) -> None:
    with pytest.raises(AssertionError, match="user 'ann' sees the code of"):
        await async_check_no_leak(lambda user: Adapter(one))


@pytest.mark.promise("E10")
@pytest.mark.parametrize(
    "wrong",
    [str.lower, str.strip, lambda user: user.partition("/")[0], partial(unicodedata.normalize, "NFC")],
)
async def test_an_adapter_that_takes_some_users_for_one_leaks(
    wrong: Callable[[str], str], one: AsyncSekhaClient
) -> None:
    with pytest.raises(AssertionError, match="sees the code of"):
        await async_check_no_leak(lambda user: AsyncMemory(one, Scope("shop", wrong(user) or "nobody")))


@pytest.mark.promise("E10")
async def test_an_adapter_that_finds_nothing_does_not_pass(one: AsyncSekhaClient) -> None:
    with pytest.raises(AssertionError, match="user 'ann' does not find in a new session"):
        await async_check_no_leak(lambda user: Adapter(one.in_folder("/users", user), forgets=True))
    with pytest.raises(AssertionError, match="in a new session"):
        await async_check_no_leak(lambda user: AsyncMemory(one, Scope("shop", user, session="s1")))


# The loop test


class Agent:
    """An agent of somebody, which may do it wrong.

    Args:
        client: The client.
        recalls: Whether the model is given memories.
        stores: What is stored of a turn, given the chat, the request and the block.
        session: The session, if it is always the same.
    """

    def __init__(self, client: AsyncSekhaClient, stores: Any, *, recalls: bool = True, session: str = "") -> None:
        self._client, self._stores, self._recalls, self._session = client, stores, recalls, session

    async def run(self, session: str, text: str) -> object:
        """A turn; the model answers with all that it was given."""
        memory = AsyncMemory(self._client, Scope("shop", "ann", self._session or session))
        chat = [{"role": "user", "content": text}]
        block = await memory.block(text) if self._recalls else ""
        request = with_block(chat, block)
        answer = {"role": "assistant", "content": f"You said: {request}"}
        stored = self._stores(chat, request, block)
        if self._stores in GOOD:
            await memory.remember([*stored, answer])
        elif stored:  # past what `remember` takes out
            await memory.client.controller.create_conversation(messages=stored, label=memory.scope.session)
        return request


def _chat(chat: Any, request: Any, block: str) -> Any:
    return chat


def _request(chat: Any, request: Any, block: str) -> Any:
    return request


GOOD = (_chat, _request)


@pytest.mark.promise("F2", "E10")
@pytest.mark.parametrize("stores", GOOD)
async def test_the_memory_itself_does_not_remember_what_it_recalled(stores: Any, one: AsyncSekhaClient) -> None:
    await async_check_no_feedback_loop(Agent(one, stores).run, one.in_folder("/shop", "ann"))


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "stores its request": (lambda chat, request, block: [*request], {}, "a block of memories was stored"),
    "escapes": (
        lambda chat, request, block: [{"role": "user", "content": block.replace("<", "&lt;") + chat[0]["content"]}],
        {},
        "a block of memories was stored",
    ),
    "takes the tags away": (
        lambda chat, request, block: [{"role": "user", "content": block.replace("memory>", "") + chat[0]["content"]}],
        {},
        "a block of memories was stored|the user said it once, but it is stored 3 times",
    ),
    "recalls nothing": (
        _chat,
        {"recalls": False},
        "the model does not receive what the user said in an earlier session",
    ),
    "has one session": (
        _chat,
        {"session": "s1"},
        "the model does not receive what the user said in an earlier session",
    ),
    "stores nothing": (lambda *_: [], {}, "the model does not receive what the user said in an earlier session"),
}


@pytest.mark.promise("E10")
@pytest.mark.parametrize("name", WRONG)
async def test_an_agent_that_does_it_wrong_does_not_pass(name: str, one: AsyncSekhaClient) -> None:
    stores, options, problem = WRONG[name]
    with pytest.raises(AssertionError, match=problem):
        await async_check_no_feedback_loop(Agent(one, stores, **options).run, one.in_folder("/shop", "ann"))


@pytest.mark.promise("E10")
async def test_an_empty_memory_does_not_pass(one: AsyncSekhaClient) -> None:
    with pytest.raises(AssertionError, match="nothing was stored"):
        await async_check_no_feedback_loop(Agent(one, _chat).run, one.in_folder("/elsewhere"))
