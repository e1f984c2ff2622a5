"""What the adapters have in common: which memory they take, and in which session."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from sekha import AsyncSekhaClient, SekhaClient, SekhaValidationError
from sekha.integrations._shared import (
    async_call,
    blocking,
    check_memory,
    check_source,
    for_session,
    memory_of,
    recall_options,
)
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Memory, Scope

SETTINGS: Any = {"controller_url": "http://localhost:1", "api_key": "sk-test-key-0123456789-0123456789-0123"}


@pytest.fixture
def memory() -> Memory:
    return Memory(SekhaClient(**SETTINGS), Scope("shop", "ann"))


def test_a_memory_of_a_kind_that_the_framework_uses_is_taken(memory: Memory) -> None:
    other = AsyncMemory(AsyncSekhaClient(**SETTINGS), Scope("shop", "ann"))
    assert check_memory(memory, Memory) is memory
    assert check_memory(other, AsyncMemory) is other
    assert check_memory(memory, AsyncMemory, Memory) is memory


@pytest.mark.parametrize("kind", [None, "memory", "client", "class"])
def test_anything_else_is_refused(kind: Any, memory: Memory) -> None:
    wrong: Any = {"memory": memory, "client": memory.client, "class": AsyncMemory, None: None}[kind]
    with pytest.raises(SekhaValidationError, match=r"^memory: must be an AsyncMemory, not ") as caught:
        check_memory(wrong, AsyncMemory)
    assert caught.value.field == "memory"
    if kind != "memory":
        with pytest.raises(SekhaValidationError, match=r"^memory: must be an AsyncMemory or a Memory, not "):
            check_memory(wrong, AsyncMemory, Memory)


@pytest.mark.parametrize("session", ["s1", "jos\u00e9 \U0001f642", " s 1 "])
def test_the_session_of_the_framework_is_that_of_the_memory(session: str, memory: Memory) -> None:
    found = for_session(memory, session)
    assert found.scope == Scope("shop", "ann", session)
    assert for_session(found, "another").scope.session == session


@pytest.mark.parametrize("session", [None, "", "  ", 7, ["s1"]])
def test_what_is_no_session_is_none(session: object, memory: Memory) -> None:
    assert for_session(memory, session) is memory


def test_a_function_makes_the_memory_of_each_run(memory: Memory) -> None:
    found = memory_of(lambda run: memory.in_scope(Scope("shop", run)), "bob", "s1")
    assert found.scope == Scope("shop", "bob", "s1")
    assert memory_of(memory, "bob", None) is memory
    wrong: Any = str
    with pytest.raises(SekhaValidationError, match=r"^memory: must be an AsyncMemory or a Memory, not str"):
        memory_of(wrong, "bob", "s1")


@pytest.mark.parametrize("wrong", [None, "memory", 7])
def test_neither_a_memory_nor_a_function_is_refused(wrong: object, memory: Memory) -> None:
    check_source(memory)
    check_source(lambda run: memory)
    with pytest.raises(SekhaValidationError, match=r"^memory: must be an AsyncMemory or a Memory, not "):
        check_source(wrong)


def test_blocking_calls_need_a_memory_for_them(memory: Memory) -> None:
    other = AsyncMemory(AsyncSekhaClient(**SETTINGS), Scope("shop", "ann"))
    assert blocking(memory) is memory
    with pytest.raises(
        SekhaValidationError, match=r"^memory: is an AsyncMemory, which sync calls cannot use"
    ) as caught:
        blocking(other)
    assert caught.value.field == "memory"


async def test_async_code_uses_a_memory_of_either_client_type(sekha: LocalSekha) -> None:
    turn = [{"role": "user", "content": "We ship on Fridays."}]
    with SekhaClient(**sekha.options) as client:
        memory = Memory(client, Scope("shop", "ann", "s1"))
        assert (await async_call(memory, "remember", turn, tool_results=True))["label"] == "s1"
    async with AsyncSekhaClient(**sekha.options) as awaited:
        found = await async_call(AsyncMemory(awaited, Scope("shop", "ann")), "recall", "ship", limit=1)
    assert [one["content"] for one in found] == ["We ship on Fridays."]


def test_an_async_function_is_no_source_of_a_memory(memory: Memory) -> None:
    async def find(run: object) -> Memory:
        return memory  # pragma: no cover  # it is not awaited

    wrong: Any = find
    with pytest.raises(SekhaValidationError, match="or a Memory; the function must not be async") as caught:
        memory_of(wrong, "ann", None)
    assert caught.value.field == "memory"


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"min_score": 2.0}, {"max_tokens": "many"}])
def test_options_of_a_recall_are_checked_when_they_are_given(wrong: Dict[str, object]) -> None:
    assert recall_options(limit=3, min_score=None) == {"limit": 3}
    with pytest.raises(SekhaValidationError) as caught:
        recall_options(**wrong)
    assert [caught.value.field] == list(wrong)
