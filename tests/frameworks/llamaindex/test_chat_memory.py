"""`memory_for` with the agents and chat engines of LlamaIndex: what the model sees, and what is remembered."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
import warnings
from pathlib import Path
from typing import Any, List, Tuple

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.chat_engine import CondensePlusContextChatEngine, ContextChatEngine, SimpleChatEngine
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import InsertMethod, StaticMemoryBlock
from llama_index.core.workflow import Context, JsonPickleSerializer, JsonSerializer

from sekha import SekhaError, SekhaValidationError, SekhaWarning
from sekha.integrations.llamaindex import SekhaRetriever, memory_for, memory_tools
from sekha.memory import AsyncMemory, Scope
from sekha.testing import (
    ScriptedSekha,
    answer_with,
    async_check_no_feedback_loop,
    async_check_no_leak,
    check_no_feedback_loop,
    check_no_leak,
    hold,
)
from support.facts import REST_KEY

from .scripted import ScriptedLLM
from .shop import Shop

FRIDAYS, ASKED = "We ship on Fridays.", "When do we ship?"
CREATE, QUERY = "POST /api/v1/conversations", "POST /api/v1/query"


def clock() -> str:
    """The time."""
    return "It is noon."


def is_block(role: str, text: str) -> bool:
    return role == "user" and text.startswith("<memory>") and text.endswith("</memory>")


def check_seen(seen: List[Tuple[str, str]], code: str = FRIDAYS, question: str = ASKED) -> None:
    """The block is a message of the user right before the question, and is nowhere else."""
    position = max(i for i, (role, text) in enumerate(seen) if role == "user" and question in text)
    assert is_block(*seen[position - 1])
    assert code in seen[position - 1][1]
    others = [*seen[: position - 1], *seen[position:]]
    assert not [text for _, text in others if "<memory>" in text or code in text]


# The main job


@pytest.mark.parametrize("agent", [FunctionAgent, ReActAgent])
@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_is_given_what_other_sessions_say(shop: Shop, agent: Any, streaming: bool) -> None:
    first, second = ("Thought: I can answer.\nAnswer: Noted.", "Thought: I can answer.\nAnswer: On Fridays.")
    texts = (first, second) if agent is ReActAgent else ("Noted.", "On Fridays.")
    llm = ScriptedLLM(*texts)
    worker = agent(llm=llm, tools=[clock], system_prompt="Be brief.", streaming=streaming)
    await worker.run(FRIDAYS, memory=shop.chat("s1"))
    chat = shop.chat("s2")
    output = await worker.run(ASKED, memory=chat)
    assert str(output) == "On Fridays."
    check_seen(llm.seen[1])
    assert [message.role.value for message in await chat.aget_all()] == ["user", "assistant"]
    assert shop.stored() == sorted(
        [
            ("s1", "assistant", "Noted."),
            ("s1", "user", FRIDAYS),
            ("s2", "assistant", "On Fridays."),
            ("s2", "user", ASKED),
        ]
    )


@pytest.mark.parametrize("call", ["chat", "stream_chat", "achat", "astream_chat"])
async def test_a_chat_engine_is_given_what_other_sessions_say(shop: Shop, call: str) -> None:
    async def say(llm: ScriptedLLM, session: str, text: str) -> str:
        engine = SimpleChatEngine.from_defaults(llm=llm, memory=shop.chat(session), system_prompt="Be brief.")
        if call == "chat":
            return str(await asyncio.to_thread(engine.chat, text))
        if call == "achat":
            return str(await engine.achat(text))
        if call == "stream_chat":
            return await asyncio.to_thread(lambda: "".join(engine.stream_chat(text).response_gen))
        stream = await engine.astream_chat(text)
        return "".join([chunk async for chunk in stream.async_response_gen()])

    assert await say(ScriptedLLM("It is noted."), "s1", FRIDAYS) == "It is noted."
    llm = ScriptedLLM("On Fridays.")
    assert await say(llm, "s2", ASKED) == "On Fridays."
    check_seen(llm.seen[0])
    assert shop.stored()[-2:] == [("s2", "assistant", "On Fridays."), ("s2", "user", ASKED)]


@pytest.mark.parametrize("engine", [ContextChatEngine, CondensePlusContextChatEngine])
async def test_engines_that_put_the_turn_after_the_answer(shop: Shop, engine: Any) -> None:
    """They ask the chat memory with the question, which is not in it yet."""
    shop.say(FRIDAYS)
    shop.say("We ship in boxes.", "s0", "bob")
    script = ["When is it shipped?", "On Fridays."][engine is ContextChatEngine :]
    llm = ScriptedLLM(*script, *script)
    talk = engine.from_defaults(SekhaRetriever(shop.memory("bob")), llm=llm, memory=shop.chat())
    await talk.achat(ASKED)
    seen = llm.seen[-1]
    assert [FRIDAYS in text for _, text in seen if "<memory>" in text] == [True]
    assert [role for role, text in seen if "<memory>" in text] == ["user"]
    assert "in boxes" in str(seen)
    assert [one for one in shop.stored() if one[0] == "s2"] == [
        ("s2", "assistant", "On Fridays."),
        ("s2", "user", ASKED),
    ]


async def test_what_was_said_a_minute_ago_in_another_session_is_remembered(shop: Shop) -> None:
    """The block of a session that goes on is not that of its last turn."""
    llm = ScriptedLLM()
    agent, chat = FunctionAgent(llm=llm), shop.chat("s2")
    await agent.run(ASKED, memory=chat)
    await agent.run(FRIDAYS, memory=shop.chat("s1"))
    await agent.run(ASKED, memory=chat)
    assert not [text for _, text in llm.seen[0] if "<memory>" in text]
    check_seen(llm.seen[2])


async def test_the_same_question_after_a_reset_is_asked_again(shop: Shop) -> None:
    llm, chat = ScriptedLLM(), shop.chat("s2")
    await FunctionAgent(llm=llm).run(ASKED, memory=chat)
    await chat.areset()
    shop.say(FRIDAYS)
    await FunctionAgent(llm=llm).run(ASKED, memory=chat)
    check_seen(llm.seen[1])


# Once a turn


async def test_calls_of_tools_are_given_the_same_block(faulty: ScriptedSekha, faulty_shop: Shop) -> None:
    faulty_shop.say(FRIDAYS)
    del faulty.requests[:]
    llm = ScriptedLLM(("clock", {}), ("clock", {}), "On Fridays.")
    chat = faulty_shop.chat()
    await FunctionAgent(llm=llm, tools=[clock], system_prompt="Be brief.").run(ASKED, memory=chat)
    assert [len(seen) for seen in llm.seen] == [3, 5, 7]
    for seen in llm.seen:
        check_seen(seen)
        assert seen[: len(llm.seen[0])] == llm.seen[0]
    assert [request.line for request in faulty.requests].count(QUERY) == 1
    assert [text for _, _, text in faulty_shop.stored()[1:]] == ["I call.", "I call.", "On Fridays.", ASKED]
    roles = [message.role.value for message in await chat.aget_all()]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "assistant"]


async def test_a_react_agent_asks_once_even_if_it_has_to_be_corrected(faulty: ScriptedSekha, faulty_shop: Shop) -> None:
    faulty_shop.say(FRIDAYS)
    del faulty.requests[:]
    llm = ScriptedLLM(
        "Thought: I need a tool.\nAction: clock\nAction Input: {}",
        "Thought: hm.\nAction:",
        "Thought: I can answer.\nAnswer: On Fridays.",
    )
    await ReActAgent(llm=llm, tools=[clock]).run(ASKED, memory=faulty_shop.chat())
    assert len(llm.seen) == 3
    assert [request.line for request in faulty.requests].count(QUERY) == 1
    assert all(FRIDAYS in str(seen) for seen in llm.seen)
    assert faulty_shop.stored()[1:] == [("s2", "assistant", "On Fridays."), ("s2", "user", ASKED)]


async def test_agents_that_hand_over_ask_once(faulty: ScriptedSekha, faulty_shop: Shop) -> None:
    faulty_shop.say(FRIDAYS)
    del faulty.requests[:]
    llm = ScriptedLLM(("handoff", {"to_agent": "second", "reason": "it knows"}), ("clock", {}), "On Fridays.")
    options: Any = {"llm": llm, "tools": [clock], "description": "An agent."}
    agents = [FunctionAgent(name=name, can_handoff_to=["second"], **options) for name in ("first", "second")]
    workflow = AgentWorkflow(agents=agents, root_agent="first")
    await workflow.run(user_msg=ASKED, memory=faulty_shop.chat())
    assert len(llm.seen) == 3
    for seen in llm.seen:
        check_seen(seen)
    assert [request.line for request in faulty.requests].count(QUERY) == 1
    assert [text for _, _, text in faulty_shop.stored()[1:]] == ["I call.", "I call.", "On Fridays.", ASKED]


async def test_a_model_uses_the_tools_and_their_results_are_not_remembered(shop: Shop) -> None:
    shop.say(FRIDAYS)
    action = 'Thought: I look.\nAction: search_memory\nAction Input: {"query": "ship"}'
    llm = ScriptedLLM(action, "Thought: I can answer.\nAnswer: On Fridays.")
    agent = ReActAgent(llm=llm, tools=memory_tools(shop.memory()))
    output = await agent.run("Hello!", memory=shop.chat())
    assert str(output) == "On Fridays."
    assert FRIDAYS in llm.seen[1][-1][1]
    assert shop.stored() == [("s1", "user", FRIDAYS), ("s2", "assistant", "On Fridays."), ("s2", "user", "Hello!")]


async def test_programs_of_a_code_agent_and_their_results_are_not_remembered(
    faulty: ScriptedSekha, faulty_shop: Shop
) -> None:
    faulty_shop.say(FRIDAYS)
    del faulty.requests[:]
    llm = ScriptedLLM("I look. <execute>day()</execute>", "It prints. <execute>print()</execute>", "On Fridays.")
    agent = CodeActAgent(code_execute_fn=lambda code: {"day()": "Friday", "print()": ""}[code], llm=llm)
    chat = faulty_shop.chat()
    await agent.run(ASKED, memory=chat)
    assert "Friday" in llm.seen[1][-1][1]
    assert all(FRIDAYS in str(seen) for seen in llm.seen)
    assert len(await chat.aget_all()) == 6
    assert [request.line for request in faulty.requests].count(QUERY) == 1
    assert faulty_shop.stored()[1:] == [("s2", "assistant", "On Fridays."), ("s2", "user", ASKED)]


# What must never happen


async def test_no_user_sees_what_another_said(shop: Shop) -> None:
    class Agent:
        def __init__(self, user: str) -> None:
            self.user = user

        async def remember(self, messages: Any, /) -> None:
            await FunctionAgent(llm=ScriptedLLM()).run(messages[0]["content"], memory=shop.chat(None, self.user))

        async def block(self, query: str, /) -> str:
            llm = ScriptedLLM()
            await FunctionAgent(llm=llm).run(query, memory=shop.chat(None, self.user))
            return str(llm.seen)

    await async_check_no_leak(Agent)


def test_no_user_sees_what_another_said_in_blocking_code(server: Any) -> None:
    from sekha import SekhaClient

    with SekhaClient(**server.options) as client:
        shop: Any = Shop("Memory", client, None)  # type: ignore[arg-type]  # not used in blocking code

        class Engine:
            def __init__(self, user: str) -> None:
                self.llm = ScriptedLLM()
                self.engine = SimpleChatEngine.from_defaults(llm=self.llm, memory=shop.chat(None, user))

            def remember(self, messages: Any, /) -> None:
                self.engine.chat(messages[0]["content"])

            def block(self, query: str, /) -> str:
                self.engine.chat(query)
                return str(self.llm.seen)

        check_no_leak(Engine)

        def run_turn(session: str, text: str, /) -> object:
            llm = ScriptedLLM(lambda: f"You said: {llm.seen[0]}")
            SimpleChatEngine.from_defaults(llm=llm, memory=shop.chat(session, "loop")).chat(text)
            return llm.seen

        check_no_feedback_loop(run_turn, client.in_folder("/shop", "loop"))


@pytest.mark.parametrize("agent", [FunctionAgent, ReActAgent])
async def test_what_was_recalled_is_not_remembered_again(shop: Shop, agent: Any) -> None:
    async def run_turn(session: str, text: str, /) -> object:
        llm = ScriptedLLM(lambda: f"{'Thought: so.' * (agent is ReActAgent)}\nAnswer: You said {llm.seen[0][1:]}")
        await agent(llm=llm).run(text, memory=shop.chat(session))
        return llm.seen

    await async_check_no_feedback_loop(run_turn, shop.client.in_folder("/shop", "ann"))


async def test_users_at_the_same_time_do_not_mix(shop: Shop) -> None:
    users = [f"user {number}" for number in range(6)]
    llm = ScriptedLLM(*[lambda: asyncio.sleep(0.01, "Noted.")] * 12)
    agent = FunctionAgent(llm=llm)
    await asyncio.gather(*(agent.run(f"My code is {user}.", memory=shop.chat("s1", user)) for user in users))
    await asyncio.gather(*(agent.run(f"What is my code? I am {user}.", memory=shop.chat("s2", user)) for user in users))
    for seen in llm.seen[6:]:
        (asked,) = (text for role, text in seen if text.startswith("What"))
        assert f"My code is {asked[-7:]}" in str(seen)
        assert str(seen).count("My code is") == 1


async def test_what_is_said_while_an_answer_is_put_is_remembered_with_the_next(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = shop.chat("s1", async_database_uri=f"sqlite+aiosqlite:///{tmp_path / 'history.db'}")
    await chat.aput(ChatMessage(role="user", content=FRIDAYS))
    read, is_read, go_on = type(chat.sql_store).get_messages, asyncio.Event(), asyncio.Event()

    async def read_slowly(*args: Any, **options: Any) -> Any:
        found = await read(*args, **options)
        is_read.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(type(chat.sql_store), "get_messages", read_slowly)
    answering = asyncio.ensure_future(chat.aput(ChatMessage(role="assistant", content="Noted.")))
    await is_read.wait()
    asking = asyncio.ensure_future(chat.aput(ChatMessage(role="user", content="Ann likes tea.")))
    await asyncio.wait({asking}, timeout=0.2)  # it could be put now
    go_on.set()
    await asyncio.gather(answering, asking)
    await chat.aput(ChatMessage(role="assistant", content="I see."))
    assert [text for *_, text in shop.stored()] == ["I see.", "Noted.", "Ann likes tea.", FRIDAYS]


async def test_a_cut_stream_is_not_remembered(shop: Shop) -> None:
    engine = SimpleChatEngine.from_defaults(llm=ScriptedLLM(ValueError("cut"), "Noted."), memory=shop.chat("s1"))
    stream = await engine.astream_chat(FRIDAYS)
    with pytest.raises(ValueError, match="cut"):
        [chunk async for chunk in stream.async_response_gen()]
    with pytest.raises(ValueError, match="cut"):
        await stream.awrite_response_to_history_task  # type: ignore[misc]  # there is one
    assert shop.stored() == []


async def test_a_turn_that_is_tried_again_is_remembered_once(shop: Shop) -> None:
    agent, chat = FunctionAgent(llm=ScriptedLLM(ValueError("overloaded"), "Noted.")), shop.chat("s1")
    with pytest.raises(Exception, match="overloaded"):
        await agent.run(FRIDAYS, memory=chat)
    assert shop.stored() == []
    await agent.run(FRIDAYS, memory=chat)
    assert shop.stored() == [("s1", "assistant", "Noted."), ("s1", "user", FRIDAYS)]


async def test_what_no_longer_fits_into_the_chat_memory_is_not_remembered_twice(shop: Shop) -> None:
    agent, chat = FunctionAgent(llm=ScriptedLLM()), shop.chat("s1", token_limit=60, token_flush_size=10)
    texts = [f"{FRIDAYS} Line {number}.{' ship' * 20}" for number in range(4)]
    for text in texts:
        await agent.run(text, memory=chat)
    assert len(await chat.aget_all()) == 8
    assert [text for _, role, text in shop.stored() if role == "user"] == texts
    assert len(shop.stored()) == 8


async def test_a_cancelled_write_is_not_repeated(faulty: ScriptedSekha, faulty_shop: Shop) -> None:
    go_on = threading.Event()
    faulty.fail(CREATE, hold(go_on))
    chat = faulty_shop.chat("s1")
    engine = SimpleChatEngine.from_defaults(llm=ScriptedLLM(), memory=chat)
    task = asyncio.ensure_future(engine.achat(FRIDAYS))
    while CREATE not in [request.line for request in faulty.requests]:  # noqa: ASYNC110 - the proxy has no event
        await asyncio.sleep(0.01)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await FunctionAgent(llm=ScriptedLLM()).run(ASKED, memory=chat)
    said = [("user", FRIDAYS), ("assistant", "Noted."), ("user", ASKED), ("assistant", "Noted.")]
    assert faulty_shop.stored() == sorted(("s1", *one) for one in said)


# A memory that fails


async def test_a_memory_that_is_down_does_not_stop_the_agent(faulty: ScriptedSekha, faulty_shop: Shop) -> None:
    for line in (QUERY, "POST /api/v1/search/fts", CREATE):
        faulty.fail(line, answer_with(503, {"error": "down"}), times=None)
    llm, chat = ScriptedLLM(("clock", {}), "I do not know."), faulty_shop.chat("s1")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        output = await FunctionAgent(llm=llm, tools=[clock]).run(ASKED, memory=chat)
    assert str(output) == "I do not know."
    assert "is unavailable" in llm.seen[0][-2][1]
    assert llm.seen[1][: len(llm.seen[0])] == llm.seen[0]
    assert [str(one.message).partition(":")[0] for one in warned if one.category is SekhaWarning] == [
        "the memory search failed, and nothing is recalled",
        "the turn was not stored",
    ]


async def test_an_error_is_raised_if_that_is_wanted(faulty: ScriptedSekha, faulty_shop: Shop) -> None:
    faulty.fail(QUERY, answer_with(503, {"error": "down"}), times=None)
    chat = memory_for(faulty_shop.memory(on_error="raise"), "s1")
    with pytest.raises(SekhaError, match="down"):
        await SimpleChatEngine.from_defaults(llm=ScriptedLLM(), memory=chat).achat(ASKED)


# What passes through


async def test_images_and_messages_of_several_parts_pass_through(shop: Shop) -> None:
    shop.say(FRIDAYS)
    image = ImageBlock(image=b"iVBORw0KGgo=", image_mimetype="image/png")
    blocks = [TextBlock(text=ASKED), image, TextBlock(text="It is on the picture.")]
    llm = ScriptedLLM()
    await FunctionAgent(llm=llm).run(ChatMessage(role="user", blocks=blocks), memory=shop.chat())
    assert [type(block).__name__ for block in llm.given[0][-1].blocks] == ["TextBlock", "ImageBlock", "TextBlock"]
    assert FRIDAYS in llm.seen[0][-2][1]
    assert ("s2", "user", f"{ASKED}\nIt is on the picture.") in shop.stored()

    llm = ScriptedLLM()
    await FunctionAgent(llm=llm).run(ChatMessage(role="user", blocks=[image]), memory=shop.chat("s3"))
    assert [role for role, _ in llm.seen[0]] == ["user"]
    assert [one for one in shop.stored() if one[0] == "s3"] == [("s3", "assistant", "Noted.")]


async def test_a_history_that_is_given_is_not_remembered(shop: Shop) -> None:
    history = [ChatMessage(role="user", content="Old."), ChatMessage(role="assistant", content="Very old.")]
    llm = ScriptedLLM()
    await FunctionAgent(llm=llm).run(FRIDAYS, chat_history=history, memory=shop.chat("s1"))
    assert [text for _, text in llm.seen[0]] == ["Old.", "Very old.", FRIDAYS]
    assert shop.stored() == [("s1", "assistant", "Noted."), ("s1", "user", FRIDAYS)]


async def test_a_question_at_the_end_of_a_history_is_remembered(shop: Shop) -> None:
    said = [("user", "Old."), ("assistant", "Very old."), ("user", FRIDAYS)]
    history = [ChatMessage(role=role, content=text) for role, text in said]
    await FunctionAgent(llm=ScriptedLLM()).run(chat_history=history, memory=shop.chat("s1"))
    assert shop.stored() == [("s1", "assistant", "Noted."), ("s1", "user", FRIDAYS)]


async def test_whole_turns_can_be_put_at_once(shop: Shop) -> None:
    said = [("user", "One."), ("assistant", "1"), ("user", "Two."), ("assistant", "2"), ("user", "Three.")]
    chat = shop.chat("s1")
    await chat.aput_messages([ChatMessage(role=role, content=text) for role, text in said])
    assert shop.stored() == sorted(("s1", *one) for one in said[:-1])
    await chat.aput(ChatMessage(role="assistant", content="3"))
    assert shop.stored() == sorted(("s1", *one) for one in [*said, ("assistant", "3")])


async def test_other_blocks_are_data_of_the_user_too(shop: Shop) -> None:
    shop.say(FRIDAYS)
    other = StaticMemoryBlock(name="rules", static_content="Ships are white.")
    llm = ScriptedLLM()
    chat = shop.chat(memory_blocks=[other], max_tokens=300)
    await FunctionAgent(llm=llm, system_prompt="Be brief.").run(ASKED, memory=chat)
    assert [role for role, _ in llm.seen[0]] == ["system", "user", "user"]
    assert is_block(*llm.seen[0][1])
    assert "Ships are white." in llm.seen[0][2][1]
    llm = ScriptedLLM()
    chat = shop.chat("s3", memory_blocks=[other], insert_method=InsertMethod.SYSTEM)
    await FunctionAgent(llm=llm).run(ASKED, memory=chat)
    assert [(role, "white" in text, FRIDAYS in text) for role, text in llm.seen[0]] == [
        ("system", True, False),
        ("user", False, True),
        ("user", False, False),
    ]


# Sessions and arguments


async def test_which_session_it_is(shop: Shop) -> None:
    assert memory_for(shop.memory(session="s1")).session_id == "s1"
    assert memory_for(shop.memory(session="s1"), "s2").session_id == "s2"
    one, two = memory_for(shop.memory()), memory_for(shop.memory())
    assert one.session_id != two.session_id
    await FunctionAgent(llm=ScriptedLLM()).run(FRIDAYS, memory=memory_for(shop.memory(session="s1"), "s2"))
    assert {label for label, _, _ in shop.stored()} == {"s2"}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"min_score": 2}, "min_score"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"session_id": " "}, "session"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(options: Any, field: str) -> None:
    memory = AsyncMemory(lambda scope: _client(), Scope("shop", "ann"))
    with pytest.raises(SekhaValidationError) as caught:
        memory_for(memory, **options)
    assert caught.value.field == field


@pytest.mark.parametrize("make", [memory_for, memory_tools, SekhaRetriever])
def test_anything_but_a_memory_is_refused(make: Any) -> None:
    with pytest.raises(SekhaValidationError, match=r"^memory: must be an AsyncMemory or a Memory, not"):
        make(_client())


def _client() -> Any:
    from sekha import AsyncSekhaClient

    return AsyncSekhaClient(controller_url="http://localhost:1", api_key="sk-0123456789-0123456789-0123456789")


# Other processes


async def test_a_turn_goes_on_in_another_process(shop: Shop, tmp_path: Path) -> None:
    """The history is in the framework's own store; one process has the question, another the answer."""
    uri = f"sqlite+aiosqlite:///{tmp_path}/chat.db"
    await shop.chat("s1", async_database_uri=uri).aput(ChatMessage(role="user", content=FRIDAYS))
    await shop.chat("s1", async_database_uri=uri).aput(ChatMessage(role="assistant", content="Noted."))
    assert shop.stored() == [("s1", "assistant", "Noted."), ("s1", "user", FRIDAYS)]


@pytest.mark.parametrize("serializer", [JsonSerializer(), JsonPickleSerializer()])
async def test_the_context_of_a_workflow_has_no_memory_and_no_key(shop: Shop, serializer: Any) -> None:
    shop.say("Our ships are white.")
    agent = FunctionAgent(llm=ScriptedLLM())
    context = Context(agent)
    await agent.run(FRIDAYS, ctx=context, memory=shop.chat("s1"))
    with pytest.warns(Warning, match="key: memory"):
        saved = json.dumps(context.to_dict(serializer=serializer))
    assert REST_KEY not in saved
    again = Context.from_dict(agent, json.loads(saved), serializer=serializer)
    chat = shop.chat("s2")
    await agent.run(ASKED, ctx=again, memory=chat)
    assert ("s2", "user", ASKED) in shop.stored()


async def test_a_chat_memory_says_that_it_cannot_be_stored(shop: Shop) -> None:
    chat = shop.chat("s1")
    for store in (pickle.dumps, type(chat).to_dict):
        with pytest.raises(TypeError, match="cannot be pickled"):
            store(chat)  # type: ignore[operator]  # either takes it
    assert REST_KEY not in f"{chat!r}{chat.model_dump()}"
