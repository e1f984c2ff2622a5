"""`SekhaMemoryBlock` in a chat memory that is made without `memory_for`."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import InsertMethod, StaticMemoryBlock
from llama_index.core.memory import Memory as ChatMemory
from llama_index.core.utils import get_tokenizer

from sekha.integrations.llamaindex import SekhaMemoryBlock, memory_for
from sekha.testing import ScriptedSekha
from support.facts import REST_KEY

from .scripted import ScriptedLLM
from .shop import Shop

FRIDAYS, ASKED = "We ship on Fridays.", "When do we ship?"
QUERY = "POST /api/v1/query"


def user(text: str) -> ChatMessage:
    return ChatMessage(role="user", content=text)


@pytest.mark.parametrize("insert_method", list(InsertMethod))
async def test_it_is_data_of_the_user_whatever_the_chat_memory_does(shop: Shop, insert_method: Any) -> None:
    shop.say(FRIDAYS)
    block = SekhaMemoryBlock(shop.memory(), max_tokens=200)
    chat = ChatMemory.from_defaults(session_id="s2", memory_blocks=[block], insert_method=insert_method)
    llm = ScriptedLLM()
    await FunctionAgent(llm=llm, system_prompt="Be brief.").run(ASKED, memory=chat)
    assert [(role, FRIDAYS in text) for role, text in llm.seen[0]] == [
        ("system", False),
        ("user", True),
        ("user", False),
    ]
    assert [message.content for message in await chat.aget_all()] == [ASKED, "Noted."]


async def test_it_remembers_what_no_longer_fits_into_the_short_term_memory(shop: Shop) -> None:
    block = SekhaMemoryBlock(shop.memory())
    chat = ChatMemory.from_defaults(session_id="s2", memory_blocks=[block], token_limit=60, token_flush_size=10)
    await FunctionAgent(llm=ScriptedLLM()).run(f"{FRIDAYS}{' ship' * 20}", memory=chat)
    assert shop.stored() == []
    await FunctionAgent(llm=ScriptedLLM()).run(f"{ASKED}{' ship' * 20}", memory=chat)
    assert {one[:2] for one in shop.stored()} == {("s2", "user"), ("s2", "assistant")}
    assert [text[: len(FRIDAYS)] for _, role, text in shop.stored() if role == "user"] == [FRIDAYS]


async def test_it_asks_once_for_each_question_of_a_session(faulty: ScriptedSekha, faulty_shop: Shop) -> None:
    faulty_shop.say(FRIDAYS)
    block = SekhaMemoryBlock(faulty_shop.memory())

    async def count(*messages: ChatMessage, session_id: Any = "s2") -> int:
        del faulty.requests[:]
        await block.aget(list(messages), session_id=session_id)
        return [request.line for request in faulty.requests].count(QUERY)

    answer = ChatMessage(role="assistant", content="On Fridays.")
    call = ChatMessage(role="assistant", additional_kwargs={"tool_calls": [{"id": "c1"}]})
    result = ChatMessage(role="tool", content="It is noon.", additional_kwargs={"tool_call_id": "c1"})
    assert await count(user(ASKED)) == 1
    assert await count(user(ASKED), user(ASKED)) == 0
    assert await count(user(ASKED), call, result, user(ASKED)) == 0
    assert await count(user(ASKED), call, result, answer) == 0
    assert await count(user(ASKED), answer, user(ASKED)) == 1
    assert await count(user(ASKED), session_id="s3") == 1
    assert await count(user(ASKED), session_id=None) == 1
    assert await count(user(ASKED), session_id=None) == 1
    assert await count() == 0
    assert await count(user("")) == 0


async def test_sessions_that_rest_for_long_are_forgotten(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.integrations._llamaindex_turns._MAX_SESSIONS", 3)
    block = SekhaMemoryBlock(shop.memory())
    for number in range(6):
        await block.aget([user(ASKED)], session_id=f"s{number}")
    assert list(block._turns._recalled) == ["s3", "s4", "s5"]


async def test_a_block_that_may_be_shortened_keeps_the_best_results(shop: Shop) -> None:
    shop.say(FRIDAYS)
    for number in range(4):
        shop.say(f"Ship number {number} is {'very ' * 40}big.", f"s1{number}")
    block = SekhaMemoryBlock(shop.memory(), priority=1)
    whole = (await block.aget([user(ASKED)], session_id="s2"))[0].content or ""
    tokens = len(get_tokenizer()(whole))
    assert FRIDAYS in whole
    assert tokens > 200
    chat = ChatMemory.from_defaults(session_id="s2", memory_blocks=[block], token_limit=tokens - 50)
    await chat.aput(user(ASKED))
    shortened = (await chat.aget())[0].content or ""
    assert FRIDAYS in shortened
    assert 0 < shortened.count("</message>") < whole.count("</message>")
    assert shortened.endswith("\n</memory>")
    assert len(get_tokenizer()(shortened)) <= tokens - 50 - len(get_tokenizer()(ASKED))
    assert await block.atruncate(await block.aget([user(ASKED)], session_id="s2"), tokens) is None
    assert await block.atruncate([], 10) is None


async def test_a_block_stands_in_full_by_default(shop: Shop) -> None:
    shop.say(FRIDAYS)
    chat = memory_for(shop.memory(), "s2", token_limit=20)
    await chat.aput(user(ASKED))
    assert FRIDAYS in str((await chat.aget())[0].content)


async def test_two_blocks_have_names(shop: Shop) -> None:
    shop.say(FRIDAYS)
    shop.say("Boxes are brown.", "s1", "bob")
    blocks = [SekhaMemoryBlock(shop.memory(who), name=who) for who in ("ann", "bob")]
    chat = ChatMemory.from_defaults(session_id="s2", memory_blocks=[*blocks, StaticMemoryBlock(static_content="Hi.")])
    await chat.aput(user(ASKED))
    texts = [str(message.content) for message in await chat.aget()]
    assert [[FRIDAYS in text, "brown" in text] for text in texts if "earlier conversations" in text] == [
        [True, False],
        [False, True],
    ]


async def test_it_shows_no_key_and_cannot_be_pickled(shop: Shop) -> None:
    block = SekhaMemoryBlock(shop.memory())
    assert REST_KEY not in f"{block!r}{block.model_dump()}"
    with pytest.raises(TypeError, match="create a client in each process"):
        pickle.dumps(block)
