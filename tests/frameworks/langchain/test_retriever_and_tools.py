"""`SekhaRetriever` and `memory_tools`, alone, in agents and in graphs."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnablePassthrough
from langchain_core.tools import create_retriever_tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from pydantic import ValidationError

from sekha import SekhaConnectionError, SekhaValidationError, SekhaWarning
from sekha.integrations.langchain import SekhaRetriever, memory_tools
from sekha.memory import AsyncMemory, Memory, Scope
from sekha.testing import ScriptedSekha, async_check_no_leak

from .scripted import Shop, call, config, shown
from .test_middleware import FRIDAYS, WHEN, Context

# The retriever


async def test_documents_have_texts_ids_and_metadata(shop: Shop) -> None:
    await shop.remember(FRIDAYS)
    (document,) = await shop.invoke(SekhaRetriever(shop.memory()), WHEN)
    assert document.page_content == FRIDAYS
    assert document.metadata.keys() == {"score", "label", "timestamp", "conversation_id", "message_id"}
    assert document.id == document.metadata["message_id"]
    assert document.metadata["label"] == "earlier"
    row = await shop.client.controller.get_messages(document.metadata["conversation_id"])
    assert str(row[0]["content"]) == FRIDAYS


async def test_k_is_that_of_the_call_or_of_the_retriever(shop: Shop) -> None:
    for number in range(4):
        await shop.remember(f"We ship on day {number}.")
    retriever = SekhaRetriever(shop.memory(), k=3, tags=["memory"])
    assert retriever.tags == ["memory"]
    assert len(await shop.invoke(retriever, WHEN)) == 3
    assert len(await shop.invoke(retriever, WHEN, k=2)) == 2
    assert await shop.invoke(SekhaRetriever(shop.memory(), min_score=1.0), "something else") == []


@pytest.mark.parametrize("k", [0, -1, 1.5, "3", True])
async def test_a_bad_k_is_refused(shop: Shop, k: Any) -> None:
    with pytest.raises(SekhaValidationError, match=r"^k: must be a whole number, 1 or more") as caught:
        SekhaRetriever(shop.memory(), k=k)
    assert caught.value.field == "k"
    with pytest.raises(SekhaValidationError, match=r"^k: must be a whole number, 1 or more"):
        await shop.invoke(SekhaRetriever(shop.memory()), WHEN, k=k)


async def test_other_bad_arguments_are_refused(shop: Shop) -> None:
    wrong: Any = shop.client
    with pytest.raises(SekhaValidationError, match=r"^memory: must be an AsyncMemory or a Memory, not ") as caught:
        SekhaRetriever(wrong)
    assert caught.value.field == "memory"
    with pytest.raises(SekhaValidationError, match=r"^min_score: "):
        SekhaRetriever(shop.memory(), min_score=3)
    with pytest.raises(ValidationError, match="top_k"):
        SekhaRetriever(shop.memory(), top_k=3)


async def test_a_retriever_can_be_configured_and_be_a_tool(shop: Shop) -> None:
    for number in range(3):
        await shop.remember(f"We ship on day {number}.")
    retriever = SekhaRetriever(shop.memory(), tags=["memory"], name="said", metadata={"of": "ann"})
    configurable = retriever.configurable_fields(k=ConfigurableField(id="k"))
    assert len(await shop.invoke(configurable.with_config(configurable={"k": 1}), WHEN)) == 1
    assert len(await shop.invoke(retriever.bind(k=2), WHEN)) == 2
    assert retriever.model_copy(update={"k": 2}).k == 2
    found = await shop.invoke(create_retriever_tool(retriever, "said", "What was said."), {"query": WHEN})
    assert found.count("We ship on day") == 3


async def test_a_retriever_works_in_a_chain_in_batches_and_streams(shop: Shop) -> None:
    await shop.remember(FRIDAYS)
    retriever = SekhaRetriever(shop.memory())
    chain = {"found": retriever, "question": RunnablePassthrough()} | RunnableLambda(lambda given: given)
    result = await shop.invoke(chain, WHEN)
    assert (result["found"][0].page_content, result["question"]) == (FRIDAYS, WHEN)
    many = retriever.batch if shop.kind == "blocking" else retriever.abatch
    found: Any = many([WHEN] * 3)
    batches = found if shop.kind == "blocking" else await found
    assert [[one.page_content for one in batch] for batch in batches] == [[FRIDAYS]] * 3


async def test_in_a_graph_the_running_thread_is_left_out(shop: Shop) -> None:
    await shop.remember(FRIDAYS)
    await shop.run(shop.agent(), "We ship by train.", "t1")
    found: list[str] = []

    async def aretrieve(state: MessagesState) -> dict[str, Any]:
        found.extend(one.page_content for one in await SekhaRetriever(shop.memory()).ainvoke(WHEN))
        return {}

    def retrieve(state: MessagesState) -> dict[str, Any]:
        found.extend(one.page_content for one in SekhaRetriever(shop.memory()).invoke(WHEN))
        return {}

    graph = StateGraph(MessagesState)
    graph.add_node("retrieve", retrieve if shop.kind == "blocking" else aretrieve)
    graph.add_edge(START, "retrieve")
    await shop.run(graph.compile(), WHEN, "t1")
    assert found == [FRIDAYS]


async def test_documents_of_one_user_are_not_found_by_another(shop: Shop) -> None:
    class Through:
        def __init__(self, user: str) -> None:
            self.user = user

        async def remember(self, messages: Any, **options: Any) -> Any:
            await shop.invoke(memory_tools(shop.memory(self.user))[1], {"text": messages[0]["content"]})

        async def block(self, query: str, **options: Any) -> str:
            documents = await shop.invoke(SekhaRetriever(shop.memory(self.user)), query)
            searched = await shop.invoke(memory_tools(shop.memory(self.user))[0], {"query": query})
            return f"{documents} {searched}"

    await async_check_no_leak(Through)


async def test_a_failed_search_is_reported(faulty_shop: Shop, faulty: ScriptedSekha) -> None:
    with faulty.refusing():
        with pytest.warns(SekhaWarning, match="the memory search failed"):
            assert await faulty_shop.invoke(SekhaRetriever(faulty_shop.memory()), WHEN) == []
        with pytest.raises(SekhaConnectionError):
            await faulty_shop.invoke(SekhaRetriever(faulty_shop.memory(on_error="raise")), WHEN)


async def test_an_async_memory_is_refused_in_blocking_calls(faulty: ScriptedSekha) -> None:
    async with faulty.async_client() as client:
        memory = AsyncMemory(client, Scope("shop", "ann"))
        blocking: list[Callable[[], object]] = [
            lambda: SekhaRetriever(memory).invoke(WHEN),
            lambda: memory_tools(memory)[0].invoke({"query": WHEN}),
        ]
        for attempt in blocking:
            with pytest.raises(SekhaValidationError, match=r"^memory: is an AsyncMemory, which sync calls cannot"):
                await anyio.to_thread.run_sync(attempt)
    assert faulty.requests == []


async def test_a_retriever_shows_no_key_and_says_why_it_is_not_pickled(shop: Shop) -> None:
    retriever = SekhaRetriever(shop.memory())
    assert "ann" in repr(retriever)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(retriever)


# The tools


def results(messages: list[Any]) -> dict[str, tuple[str, str]]:
    """Status and text of each result, by the id of the call."""
    return {one.tool_call_id: (one.status, str(one.content)) for one in messages if isinstance(one, ToolMessage)}


async def test_models_are_told_of_our_schemas(shop: Shop) -> None:
    tools = memory_tools(shop.memory())
    assert [convert_to_openai_tool(one) for one in tools] == shop.memory().tool_schemas("openai")
    assert [sorted(one.args) for one in tools] == [["limit", "query"], ["text"]]


async def test_an_agent_searches_and_remembers(shop: Shop) -> None:
    await shop.remember(FRIDAYS)
    shop.model.answers[:] = [
        AIMessage(
            "",
            tool_calls=[
                *call("search_memory", "c1", query="ship", limit=1).tool_calls,
                *call("remember", "c2", text="Ann likes tea.").tool_calls,
                *call("search_memory", "c3", query="ship", limit=100).tool_calls,
                *call("search_memory", "c4").tool_calls,
                *call("remember", "c5", text="tea", user="bob").tool_calls,
            ],
        )
    ]
    result = await shop.run(shop.agent(tools=memory_tools(shop.memory())), WHEN)
    found = results(result["messages"])
    assert FRIDAYS in found["c1"][1]
    assert (found["c1"][0], found["c2"]) == ("success", ("success", "Remembered."))
    assert found["c3"] == ("error", "limit: must be at most 20")
    assert found["c4"] == ("error", "query: is required")
    assert found["c5"][0] == "error"
    assert found["c5"][1].startswith("user: ")
    assert shown(shop.model.seen[1])[-1][1] == found["c5"][1]
    assert ("t1", "assistant", "Ann likes tea.") in await shop.stored()


async def test_tools_are_for_the_user_of_the_run(shop: Shop) -> None:
    await shop.remember(FRIDAYS, "bob")
    tools = memory_tools(lambda runtime: shop.memory(runtime.context.user))
    agent = shop.agent(
        lambda runtime: shop.memory(runtime.context.user), tools=tools, context_schema=Context, max_tokens=1
    )
    for user in ("ann", "bob"):
        shop.model.answers[:] = [call("search_memory", query="ship")]
        result = await shop.run(agent, "Hello!", f"thread of {user}", context=Context(user))
        assert (FRIDAYS in results(result["messages"])["c1"][1]) is (user == "bob")


async def test_a_function_needs_a_graph_that_runs(shop: Shop) -> None:
    def memory_of(runtime: Runtime[Context]) -> Any:
        return shop.memory(runtime.context.user)

    search, _ = memory_tools(memory_of)
    with pytest.raises(SekhaValidationError, match=r"^memory: is a function of the runtime of a graph"):
        await shop.invoke(search, {"query": "ship"})
    with pytest.raises(SekhaValidationError, match=r"^memory: must be an AsyncMemory or a Memory, not "):
        memory_tools(None)  # type: ignore[arg-type]  # a user of no type checker may


async def test_a_memory_that_is_down_is_an_error_for_the_model(faulty_shop: Shop, faulty: ScriptedSekha) -> None:
    faulty_shop.model.answers[:] = [
        AIMessage(
            "", tool_calls=call("search_memory", query="a").tool_calls + call("remember", "c2", text="a").tool_calls
        )
    ]
    agent = faulty_shop.agent(tools=memory_tools(faulty_shop.memory()))
    with faulty.refusing(), pytest.warns(SekhaWarning):
        found = results((await faulty_shop.run(agent, "Hello!"))["messages"])
    assert found == {
        "c1": ("error", "The memory could not be searched. That does not mean that there is nothing in it."),
        "c2": ("error", "This could not be remembered."),
    }


def test_threads_of_tools_do_not_mix(faulty: ScriptedSekha) -> None:
    """Tools are told of the thread that calls them."""
    with faulty.client() as client:
        search, remember = memory_tools(Memory(client, Scope("shop", "ann")))
        remember.invoke({"text": FRIDAYS}, config("t1"))
        assert FRIDAYS not in search.invoke({"query": "ship"}, config("t1"))
        assert FRIDAYS in search.invoke({"query": "ship"}, config("t2"))
