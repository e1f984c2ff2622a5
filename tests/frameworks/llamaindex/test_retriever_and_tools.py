"""`SekhaRetriever` and `memory_tools`."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import MetadataMode, QueryBundle
from llama_index.core.tools.calling import acall_tool, call_tool

from sekha import SekhaValidationError, SekhaWarning
from sekha.integrations.llamaindex import SekhaRetriever, memory_tools
from sekha.memory import AsyncMemory
from sekha.testing import ScriptedSekha, answer_with

from .scripted import ScriptedLLM
from .shop import Shop

FRIDAYS, ASKED = "We ship on Fridays.", "When do we ship?"
REFUSED = "^memory: is an AsyncMemory, which sync calls cannot use; pass a Memory, or use the async calls"


@pytest.mark.parametrize("asked", [ASKED, QueryBundle(ASKED)])
async def test_nodes_have_text_score_and_where_they_are_from(shop: Shop, asked: Any) -> None:
    shop.say(FRIDAYS)
    (found,) = await SekhaRetriever(shop.memory()).aretrieve(asked)
    (message,) = shop.blocking.controller.query(ASKED)["results"]
    assert (found.text, found.node_id) == (FRIDAYS, message["message_id"])
    assert 0 < (found.score or 0) <= 1
    assert found.metadata == {
        "role": "user",
        "label": "s1",
        "timestamp": message["timestamp"],
        "conversation_id": message["conversation_id"],
        "message_id": message["message_id"],
    }
    shown = found.node.get_content(MetadataMode.LLM)
    assert message["message_id"] not in shown
    assert "label: s1" in shown
    assert found.node.get_content(MetadataMode.EMBED) == FRIDAYS


async def test_its_limits(shop: Shop) -> None:
    for number in range(4):
        shop.say(f"Ship {number} is white.", f"s{number}")
    assert len(await SekhaRetriever(shop.memory(), limit=3).aretrieve("white ship")) == 3
    assert await SekhaRetriever(shop.memory(), min_score=1.0).aretrieve("nothing of that") == []
    left_out = await SekhaRetriever(shop.memory(session="s1")).aretrieve("white ship")
    assert len(left_out) == 3
    assert "s1" not in {node.metadata["label"] for node in left_out}


async def test_it_works_in_blocking_code(shop: Shop) -> None:
    shop.say(FRIDAYS)
    retriever = SekhaRetriever(shop.memory())
    if isinstance(shop.memory(), AsyncMemory):
        with pytest.raises(SekhaValidationError, match=REFUSED):
            retriever.retrieve(ASKED)
    else:
        assert [node.text for node in retriever.retrieve(ASKED)] == [FRIDAYS]


async def test_a_query_engine_answers_from_it(shop: Shop) -> None:
    shop.say(FRIDAYS)
    llm = ScriptedLLM("On Fridays.")
    engine = RetrieverQueryEngine(SekhaRetriever(shop.memory()), get_response_synthesizer(llm=llm))
    answer = await engine.aquery(ASKED)
    assert str(answer) == "On Fridays."
    assert FRIDAYS in llm.seen[0][-1][1]
    assert [node.text for node in answer.source_nodes] == [FRIDAYS]


@pytest.mark.parametrize(("options", "field"), [({"limit": 0}, "limit"), ({"min_score": "high"}, "min_score")])
async def test_arguments_that_cannot_be_used_are_refused(shop: Shop, options: Any, field: str) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        SekhaRetriever(shop.memory(), **options)
    assert caught.value.field == field


async def test_a_memory_that_is_down_is_reported(faulty: ScriptedSekha, faulty_shop: Shop) -> None:
    faulty.fail("POST /api/v1/query", answer_with(503, {"error": "down"}), times=None)
    faulty.fail("POST /api/v1/search/fts", answer_with(503, {"error": "down"}), times=None)
    with pytest.warns(SekhaWarning, match="the memory search failed"):
        assert await SekhaRetriever(faulty_shop.memory()).aretrieve(ASKED) == []
    search = memory_tools(faulty_shop.memory())[0]
    with pytest.warns(SekhaWarning, match="the memory search failed"):
        output = await search.acall(query="ships")  # type: ignore[attr-defined]  # it is an AsyncBaseTool
    assert (output.is_error, "could not be searched" in output.content) == (True, True)


# Tools


async def test_a_model_is_told_what_the_memory_says_of_its_tools(shop: Shop) -> None:
    memory = shop.memory()
    for tool, schema in zip(memory_tools(memory), memory.tool_schemas("openai")):
        told = tool.metadata.to_openai_tool()
        del schema["function"]["parameters"]["additionalProperties"]  # LlamaIndex leaves it out
        assert told == schema


async def test_they_store_and_find(shop: Shop) -> None:
    search, remember = memory_tools(shop.memory())
    stored: Any = await acall_tool(remember, {"text": "Ann likes tea."})
    assert (str(stored), stored.is_error) == ("Remembered.", False)
    found: Any = await acall_tool(search, {"query": "tea", "limit": 3})
    assert "Ann likes tea." in found.content
    assert (found.tool_name, found.is_error, found.raw_output) == ("search_memory", False, found.content)
    assert [one[1:] for one in shop.stored()] == [("assistant", "Ann likes tea.")]
    blocking = call_tool(search, {"query": "tea"})
    if isinstance(shop.memory(), AsyncMemory):
        assert blocking.is_error
        assert blocking.content.startswith("Encountered error: memory: is an AsyncMemory")
    else:
        assert blocking.content == found.content


async def test_a_model_is_told_of_its_mistakes(shop: Shop) -> None:
    llm = ScriptedLLM(("search_memory", {"query": "tea", "limit": 100}), ("remember", {}), "Sorry.")
    await FunctionAgent(llm=llm, tools=memory_tools(shop.memory())).run("Hello!")
    assert llm.seen[1][-1] == ("tool", "limit: must be at most 20")
    assert llm.seen[2][-1] == ("tool", "text: is required")
