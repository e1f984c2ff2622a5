# Generated from tests/_async/test_memory_checks.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""The checks for adapters pass for a good one, and fail for each way in which one can be wrong."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Callable

import pytest

from sekha import SekhaClient
from sekha.local import LocalSekha
from sekha.memory import Memory, Scope, with_block
from sekha.testing import check_no_feedback_loop, check_no_leak


@pytest.fixture(params=["documented", "controller-0.1"])
def one(request: pytest.FixtureRequest, sekha: LocalSekha, sekha_0_1: LocalSekha) -> Iterator[Any]:
    """A client of an empty local Sekha of either kind."""
    with SekhaClient(**(sekha if request.param == "documented" else sekha_0_1).options) as client:
        yield client


# The leak test


@pytest.mark.promise("F4", "E10")
def test_the_memory_itself_does_not_leak(one: SekhaClient) -> None:
    check_no_leak(lambda user: Memory(one, Scope("shop", user)))
    sessions = map(str, range(100))
    check_no_leak(
        lambda user: Memory(one, Scope("shop", user, session=next(sessions))), users=["ann", "bob"]
    )


class Adapter:
    """An adapter of somebody, which may do it wrong."""

    def __init__(self, client: SekhaClient, *, forgets: bool = False) -> None:
        self._controller = client.controller
        self._forgets = forgets

    def remember(self, messages: Sequence[Mapping[str, object]]) -> object:
        """Store them, or not."""
        return None if self._forgets else self._controller.create_conversation(messages=messages)

    def block(self, query: str) -> object:
        """All that is found."""
        return (self._controller.query(query, limit=20))["results"]


@pytest.mark.promise("E10")
def test_an_adapter_that_takes_all_users_for_one_leaks(one: SekhaClient) -> None:
    with pytest.raises(AssertionError, match="user 'ann' sees the code of"):
        check_no_leak(lambda user: Adapter(one))


@pytest.mark.promise("E10")
@pytest.mark.parametrize(
    "wrong",
    [str.lower, str.strip, lambda user: user.partition("/")[0], partial(unicodedata.normalize, "NFC")],
)
def test_an_adapter_that_takes_some_users_for_one_leaks(
    wrong: Callable[[str], str], one: SekhaClient
) -> None:
    with pytest.raises(AssertionError, match="sees the code of"):
        check_no_leak(lambda user: Memory(one, Scope("shop", wrong(user) or "nobody")))


@pytest.mark.promise("E10")
def test_an_adapter_that_finds_nothing_does_not_pass(one: SekhaClient) -> None:
    with pytest.raises(AssertionError, match="user 'ann' does not find in a new session"):
        check_no_leak(lambda user: Adapter(one.in_folder("/users", user), forgets=True))
    with pytest.raises(AssertionError, match="in a new session"):
        check_no_leak(lambda user: Memory(one, Scope("shop", user, session="s1")))


# The loop test


class Agent:
    """An agent of somebody, which may do it wrong.

    Args:
        client: The client.
        recalls: Whether the model is given memories.
        stores: What is stored of a turn, given the chat, the request and the block.
        session: The session, if it is always the same.
    """

    def __init__(self, client: SekhaClient, stores: Any, *, recalls: bool = True, session: str = "") -> None:
        self._client, self._stores, self._recalls, self._session = client, stores, recalls, session

    def run(self, session: str, text: str) -> object:
        """A turn; the model answers with all that it was given."""
        memory = Memory(self._client, Scope("shop", "ann", self._session or session))
        chat = [{"role": "user", "content": text}]
        block = memory.block(text) if self._recalls else ""
        request = with_block(chat, block)
        answer = {"role": "assistant", "content": f"You said: {request}"}
        stored = self._stores(chat, request, block)
        if self._stores in GOOD:
            memory.remember([*stored, answer])
        elif stored:  # past what `remember` takes out
            memory.client.controller.create_conversation(messages=stored, label=memory.scope.session)
        return request


def _chat(chat: Any, request: Any, block: str) -> Any:
    return chat


def _request(chat: Any, request: Any, block: str) -> Any:
    return request


GOOD = (_chat, _request)


@pytest.mark.promise("F2", "E10")
@pytest.mark.parametrize("stores", GOOD)
def test_the_memory_itself_does_not_remember_what_it_recalled(stores: Any, one: SekhaClient) -> None:
    check_no_feedback_loop(Agent(one, stores).run, one.in_folder("/shop", "ann"))


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
def test_an_agent_that_does_it_wrong_does_not_pass(name: str, one: SekhaClient) -> None:
    stores, options, problem = WRONG[name]
    with pytest.raises(AssertionError, match=problem):
        check_no_feedback_loop(Agent(one, stores, **options).run, one.in_folder("/shop", "ann"))


@pytest.mark.promise("E10")
def test_an_empty_memory_does_not_pass(one: SekhaClient) -> None:
    with pytest.raises(AssertionError, match="nothing was stored"):
        check_no_feedback_loop(Agent(one, _chat).run, one.in_folder("/elsewhere"))
