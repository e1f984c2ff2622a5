"""`SekhaMemoryMiddleware` in agents of `create_agent`: what the model sees, what the state has, and what is stored."""

from __future__ import annotations

import inspect
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
import pytest
from blockbuster import blockbuster_ctx
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, PIIMiddleware, SummarizationMiddleware, hook_config
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from sekha import AsyncSekhaClient, SekhaClient, SekhaConnectionError, SekhaValidationError, SekhaWarning
from sekha.integrations.langchain import SekhaMemoryMiddleware, SekhaRetriever, memory_tools
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Scope
from sekha.testing import ScriptedSekha, async_check_no_feedback_loop, async_check_no_leak, cut_after_work, hold

from .scripted import ScriptedModel, Shop, call, config, shown, wait_for

FRIDAYS = "We ship on Fridays."
WHEN = "When do we ship?"
CREATE, QUERY = "POST /api/v1/conversations", "POST /api/v1/query"


def clock() -> str:
    """Tell the time."""
    return "It is noon."


def lines(faulty: ScriptedSekha, line: str) -> int:
    """How often a request came."""
    return sum(request.line == line for request in faulty.requests)


# What the model sees


async def test_the_model_sees_the_memory_as_data_and_the_state_does_not(shop: Shop) -> None:
    await shop.remember(FRIDAYS)
    agent = shop.agent(system_prompt="Be brief.", checkpointer=InMemorySaver())
    result = await shop.run(agent, WHEN)
    (seen,) = shop.model.seen
    assert shown(seen) == [("system", "Be brief."), ("human", "<memory>"), ("human", WHEN)]
    assert FRIDAYS in str(seen[1].content)
    assert result.keys() == {"messages"}
    assert shown(result["messages"]) == [("human", WHEN), ("ai", "I see.")]
    assert shown(agent.get_state(config()).values["messages"]) == [("human", WHEN), ("ai", "I see.")]


async def test_all_calls_of_a_turn_see_the_same_and_the_memory_is_asked_once(
    faulty_shop: Shop, faulty: ScriptedSekha
) -> None:
    shop = faulty_shop
    await shop.remember(FRIDAYS)
    shop.model.answers[:] = [call("clock"), call("clock", "c2"), AIMessage("On Friday.")]
    await shop.run(shop.agent(tools=[clock]), WHEN)
    first, second, third = shop.model.seen
    assert shown(third) == [
        ("human", "<memory>"),
        ("human", WHEN),
        *[("ai", ""), ("tool", "It is noon.")] * 2,
    ]
    assert third[: len(second)] == second
    assert second[: len(first)] == first
    assert lines(faulty, QUERY) == 1
    assert await shop.stored() == [
        ("earlier", "user", FRIDAYS),
        ("t1", "assistant", "On Friday."),
        ("t1", "user", WHEN),
    ]


async def test_messages_pass_through_as_they_are(shop: Shop) -> None:
    await shop.remember(FRIDAYS)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}
    asked = HumanMessage([{"type": "text", "text": WHEN}, image], id="m5", name="ann")
    chat = [
        SystemMessage("Be kind.", id="m1"),
        HumanMessage("What time is it?", id="m2"),
        AIMessage([{"type": "text", "text": "I look."}], id="m3", tool_calls=call("clock").tool_calls),
        ToolMessage("It is noon.", id="m4", tool_call_id="c1", name="clock"),
        asked,
    ]
    await shop.run(shop.agent(), {"messages": chat})
    (seen,) = shop.model.seen
    assert [one for one in seen if not str(one.content).startswith("<memory>")] == chat
    assert seen.index(asked) == len(seen) - 1
    assert [row[1:] for row in await shop.stored() if row[0] == "t1"] == [("assistant", "I see."), ("user", WHEN)]


async def test_nothing_is_put_in_if_nothing_is_found(shop: Shop) -> None:
    await shop.run(shop.agent(), WHEN)
    assert shown(shop.model.seen[0]) == [("human", WHEN)]


async def test_options_are_those_of_the_block(shop: Shop) -> None:
    for text in (FRIDAYS, "We ship by train.", "Ann likes tea."):
        await shop.remember(text)
    await shop.run(shop.agent(limit=1), WHEN)
    assert str(shop.model.seen[0][0].content).count("<message ") == 1
    await shop.remember("ships " * 1000)
    await shop.run(shop.agent(max_tokens=100), WHEN, "t2")
    assert len(str(shop.model.seen[1][0].content)) <= 400


# Whose memory, and which session


async def test_the_thread_is_the_session_unless_the_scope_has_one(shop: Shop) -> None:
    thread = UUID(int=7)
    await shop.run(shop.agent(), FRIDAYS, thread)
    await shop.run(shop.agent(shop.memory(session="s1")), "We ship by train.", "t2")
    await shop.invoke(shop.agent(), {"messages": [HumanMessage("Ann likes tea.")]})
    labels = {text: label for label, role, text in await shop.stored() if role == "user"}
    assert labels.pop("Ann likes tea.") not in (str(thread), "s1")
    assert labels == {FRIDAYS: str(thread), "We ship by train.": "s1"}


async def test_the_running_thread_is_left_out(shop: Shop) -> None:
    await shop.run(shop.agent(), FRIDAYS, "t1")
    await shop.run(shop.agent(), WHEN, "t1")
    assert shown(shop.model.seen[1]) == [("human", WHEN)]


@dataclass
class Context:
    """Who is logged in."""

    user: str


async def test_one_agent_serves_many_users_at_a_time(shop: Shop) -> None:
    users = [f"user {number} \U0001f642/.." for number in range(6)]
    for user in users:
        await shop.remember(f"We ship on day {users.index(user)}.", user)
    agent = shop.agent(
        lambda runtime: shop.memory(runtime.context.user), checkpointer=InMemorySaver(), context_schema=Context
    )
    async with anyio.create_task_group() as tasks:
        for user in users:
            tasks.start_soon(partial(shop.run, agent, f"{WHEN} {user}", user, context=Context(user)))
    for seen in shop.model.seen:
        number = users.index(str(seen[1].content).removeprefix(f"{WHEN} "))
        assert f"We ship on day {number}." in str(seen[0].content)
        assert str(seen[0].content).count("We ship") == 1
    for user in users:
        rows = await shop.stored(Scope("shop", user).folder)
        assert [row for row in rows if row[0] == user] == [
            (user, "assistant", "I see."),
            (user, "user", f"{WHEN} {user}"),
        ]


async def test_no_user_sees_what_another_has_said(shop: Shop) -> None:
    """With one agent for all of them, and ids that are easily mixed up."""
    agent = shop.agent(lambda runtime: shop.memory(runtime.context.user), context_schema=Context)
    threads = iter(range(1000))

    class Through:
        def __init__(self, user: str) -> None:
            self.user = user

        async def remember(self, messages: Any, **options: Any) -> Any:
            await shop.run(agent, {"messages": list(messages)}, next(threads), context=Context(self.user))

        async def block(self, query: str, **options: Any) -> str:
            await shop.run(agent, query, next(threads), context=Context(self.user))
            return str(shop.model.seen[-1])

    await async_check_no_leak(Through)


async def test_what_was_recalled_is_not_stored_again(shop: Shop) -> None:
    agent = shop.agent(checkpointer=InMemorySaver())

    async def run_turn(session: str, text: str, /) -> object:
        await shop.run(agent, text, session)
        return shop.model.seen[-1]

    await async_check_no_feedback_loop(run_turn, shop.client.in_folder("/shop", "ann"))


# What is remembered


async def test_each_turn_is_stored_once_with_a_checkpointer(shop: Shop) -> None:
    agent = shop.agent(checkpointer=InMemorySaver())
    for number in range(3):
        shop.model.answers[:] = [AIMessage(f"answer {number}")]
        await shop.run(agent, f"question {number}")
    assert await shop.stored() == [
        *[("t1", "assistant", f"answer {number}") for number in range(3)],
        *[("t1", "user", f"question {number}") for number in range(3)],
    ]
    assert len(shop.model.seen[-1]) == 5


async def test_of_a_chat_that_comes_as_a_whole_the_last_turn_is_stored(shop: Shop) -> None:
    chat: list[Any] = []
    for number in range(3):
        chat.append({"role": "user", "content": f"question {number}"})
        shop.model.answers[:] = [AIMessage(f"answer {number}")]
        result = await shop.run(shop.agent(), {"messages": chat})
        chat.append({"role": "assistant", "content": result["messages"][-1].content})
    assert len(await shop.stored()) == 6


async def test_several_messages_of_the_user_are_one_turn(shop: Shop) -> None:
    await shop.run(shop.agent(), {"messages": [HumanMessage(FRIDAYS), HumanMessage("Ann likes tea.")]})
    assert [text for *_, text in await shop.stored()] == ["I see.", "Ann likes tea.", FRIDAYS]


async def test_results_of_tools_are_stored_on_request(shop: Shop) -> None:
    shop.model.answers[:] = [call("clock")]
    await shop.run(shop.agent(tools=[clock], tool_results=True), "What time is it?")
    assert "[clock] It is noon." in [text for *_, text in await shop.stored()]


@pytest.mark.parametrize("function", [False, True])
async def test_a_turn_that_fails_is_not_stored_and_one_that_is_resumed_is_stored_once(
    shop: Shop, function: bool
) -> None:
    memory = shop.memory()
    agent = shop.agent((lambda runtime: shop.memory()) if function else memory, checkpointer=InMemorySaver())
    shop.model.answers[:] = [ConnectionError("the model is down")]
    with pytest.raises(ConnectionError):
        await shop.run(agent, FRIDAYS)
    assert await shop.stored() == []
    await shop.invoke(agent, None, config())
    await shop.invoke(agent, None, config())  # nothing is left to do
    assert await shop.stored() == [("t1", "assistant", "I see."), ("t1", "user", FRIDAYS)]


async def test_a_message_that_is_sent_again_after_a_failed_turn_is_stored_once(shop: Shop) -> None:
    agent = shop.agent(checkpointer=InMemorySaver())
    for _ in range(2):
        shop.model.answers[:] = [ConnectionError("the model is down")]
        with pytest.raises(ConnectionError):
            await shop.run(agent, FRIDAYS)
    await shop.run(agent, FRIDAYS)
    await shop.run(agent, FRIDAYS)  # this one is said once more
    assert await shop.stored() == [("t1", "assistant", "I see.")] * 2 + [("t1", "user", FRIDAYS)] * 2


async def test_a_turn_that_is_interrupted_is_stored_when_it_has_ended(faulty_shop: Shop, faulty: ScriptedSekha) -> None:
    """In the meantime it lies with the checkpointer, and another process may resume it."""
    shop = faulty_shop
    await shop.remember(FRIDAYS)

    def ask_boss() -> str:
        """Ask the boss."""
        return f"The boss says {interrupt('may we?')}."

    shop.model.answers[:] = [call("ask_boss"), AIMessage("On Friday.")]
    checkpointer = InMemorySaver()
    await shop.run(shop.agent(tools=[ask_boss], checkpointer=checkpointer), WHEN)
    assert lines(faulty, CREATE) == 1
    again = shop.agent(tools=[ask_boss], checkpointer=checkpointer)
    await shop.invoke(again, Command(resume="yes"), config())
    before, after = shop.model.seen
    assert after[: len(before)] == before
    assert shown(after)[-1] == ("tool", "The boss says yes.")
    assert lines(faulty, QUERY) == 1
    assert await shop.stored() == [
        ("earlier", "user", FRIDAYS),
        ("t1", "assistant", "On Friday."),
        ("t1", "user", WHEN),
    ]


async def test_an_interrupted_turn_that_is_given_up_is_not_stored(shop: Shop) -> None:
    def ask_boss() -> str:
        """Ask the boss."""
        return str(interrupt("may we?"))

    agent = shop.agent(tools=[ask_boss], checkpointer=InMemorySaver())
    shop.model.answers[:] = [call("ask_boss")]
    await shop.run(agent, "Ask the boss!")
    await shop.run(agent, FRIDAYS)
    assert await shop.stored() == [("t1", "assistant", "I see."), ("t1", "user", FRIDAYS)]


class Guard(AgentMiddleware[Any, Any]):
    """Ends a run before the model is called."""

    @hook_config(can_jump_to=["end"])
    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Block what is about secrets."""
        blocked = "secret" in str(state["messages"][-1].content)
        return {"messages": [AIMessage("Blocked.")], "jump_to": "end"} if blocked else None


@pytest.mark.parametrize("first", [True, False])
async def test_a_turn_that_is_blocked_before_the_memory_is_asked_is_not_stored(shop: Shop, first: bool) -> None:
    agent = shop.agent(
        before=[Guard()] if first else [], after=[] if first else [Guard()], checkpointer=InMemorySaver()
    )
    await shop.run(agent, FRIDAYS)
    await shop.run(agent, "a secret")
    texts = [text for *_, text in await shop.stored()]
    assert texts == (["I see.", FRIDAYS] if first else ["Blocked.", "I see.", FRIDAYS, "a secret"])


async def test_a_summary_is_not_stored_and_what_it_replaces_is(shop: Shop) -> None:
    """It comes in the middle of the turn, and the user's message is away at its end."""
    options: dict[str, Any] = {"trigger": ("messages", 3), "keep": ("messages", 1)}
    if "trigger" not in inspect.signature(SummarizationMiddleware).parameters:  # LangChain 1.0
        options = {"max_tokens_before_summary": 3, "messages_to_keep": 1, "token_counter": len}
    shrink = SummarizationMiddleware(shop.model, **options)
    shop.model.answers[:] = [call("clock"), AIMessage("A summary."), AIMessage("At noon.")]
    result = await shop.run(shop.agent(tools=[clock], after=[shrink]), FRIDAYS)
    assert FRIDAYS not in [one.content for one in result["messages"]]
    assert [text for *_, text in await shop.stored()] == ["At noon.", FRIDAYS]


async def test_what_other_middleware_has_redacted_is_stored_redacted(shop: Shop) -> None:
    shop.model.answers[:] = [AIMessage("Write to bob@example.com.")]
    hide = [PIIMiddleware("email", apply_to_input=True, apply_to_output=True)]
    for number, where in enumerate(("before", "after")):
        agent = shop.agent(**{where: hide})
        await shop.run(agent, f"I am ann@example.com, number {number}.", f"t{number}")
    texts = [text for *_, text in await shop.stored()]
    assert len(texts) == 4
    assert "@" not in str(texts)
    assert sum("REDACTED" in text for text in texts) == 3


async def test_an_agent_in_a_graph_remembers_its_turns(shop: Shop) -> None:
    await shop.remember(FRIDAYS)
    graph = StateGraph(MessagesState)
    graph.add_node("agent", shop.agent())
    graph.add_node("second", shop.agent())
    graph.add_edge(START, "agent")
    graph.add_edge("agent", "second")
    shop.model.answers[:] = [AIMessage("one"), AIMessage("two")]
    result = await shop.run(graph.compile(checkpointer=InMemorySaver()), WHEN)
    assert result.keys() == {"messages"}
    assert shown(result["messages"]) == [("human", WHEN), ("ai", "one"), ("ai", "two")]
    assert {row[2] for row in await shop.stored()} == {FRIDAYS, WHEN, "one", "two"}


# Streams


@pytest.mark.parametrize("mode", ["values", "updates", "messages"])
async def test_a_stream_that_ends_well_is_stored(shop: Shop, mode: str) -> None:
    await shop.remember(FRIDAYS)
    shop.model.answers[:] = [AIMessage("On Friday, as always.")]
    chunks = await shop.stream(shop.agent(), WHEN, stream_mode=mode)
    if mode == "messages":
        assert "".join(str(message.content) for message, _ in chunks) == "On Friday, as always."
    assert [row[1:] for row in await shop.stored() if row[0] == "t1"] == [
        ("assistant", "On Friday, as always."),
        ("user", WHEN),
    ]


async def test_a_stream_that_is_cut_is_not_stored(shop: Shop) -> None:
    shop.model.answers[:] = [AIMessage("On Friday, as always.")]
    shop.model.chunks_before_error = 2
    with pytest.raises(ConnectionError):
        await shop.stream(shop.agent(), WHEN, stream_mode="messages")
    assert await shop.stored() == []


async def test_a_stream_that_is_left_is_not_stored(shop: Shop) -> None:
    if shop.kind == "blocking":
        for _ in shop.agent().stream({"messages": [HumanMessage(WHEN)]}, stream_mode="values"):
            break
    else:
        stream = shop.agent().astream({"messages": [HumanMessage(WHEN)]}, stream_mode="values")
        await stream.__anext__()
        await stream.aclose()
    assert await shop.stored() == []


@pytest.mark.parametrize("kind", ["thread", "async"])
async def test_the_event_loop_is_not_blocked(kind: str, sekha: LocalSekha) -> None:
    """As `langgraph dev` checks it."""
    with SekhaClient(**sekha.options) as blocking:
        async with AsyncSekhaClient(**sekha.options) as client:
            shop = Shop(kind, blocking, client)
            shop.model.answers[:] = [call("search_memory", query="ship"), call("remember", "c2", text="Ann likes tea.")]
            agent = shop.agent(tools=memory_tools(shop.memory()), checkpointer=InMemorySaver())
            with blockbuster_ctx(excluded_modules=["sekha.local"]):
                result = await shop.run(agent, FRIDAYS)
                await shop.invoke(SekhaRetriever(shop.memory()), WHEN)
            assert [one.status for one in result["messages"] if isinstance(one, ToolMessage)] == ["success"] * 2
            assert {text for *_, text in await shop.stored()} == {"Ann likes tea.", FRIDAYS, "I see."}


# Failures


async def test_the_run_goes_on_if_the_memory_is_down(faulty_shop: Shop, faulty: ScriptedSekha) -> None:
    with faulty.refusing(), pytest.warns(SekhaWarning) as caught:
        result = await faulty_shop.run(faulty_shop.agent(), WHEN)
    assert result["messages"][-1].content == "I see."
    assert "unavailable" in str(faulty_shop.model.seen[0][0].content)
    assert [str(one.message).partition(":")[0] for one in caught] == [
        "the memory search failed, and nothing is recalled",
        "the turn was not stored",
    ]
    if faulty_shop.kind == "blocking":  # else there are tasks and threads between
        assert {Path(one.filename).parent for one in caught} == {Path(__file__).parent}


async def test_an_error_ends_the_run_if_the_memory_says_so(faulty_shop: Shop, faulty: ScriptedSekha) -> None:
    agent = faulty_shop.agent(faulty_shop.memory(on_error="raise"), checkpointer=InMemorySaver())
    with faulty.refusing(), pytest.raises(SekhaConnectionError):
        await faulty_shop.run(agent, WHEN)
    assert faulty_shop.model.seen == []
    await faulty_shop.invoke(agent, None, config())
    assert len(await faulty_shop.stored()) == 2


@pytest.mark.parametrize("function", [False, True])
async def test_what_may_be_stored_is_not_stored_again(faulty_shop: Shop, faulty: ScriptedSekha, function: bool) -> None:
    """The answer to the write is lost, and the last step is run once more."""
    memory = faulty_shop.memory(on_error="raise")
    source = (lambda runtime: faulty_shop.memory(on_error="raise")) if function else memory
    agent = faulty_shop.agent(source, checkpointer=InMemorySaver())
    faulty.fail(CREATE, cut_after_work())
    with pytest.raises(SekhaConnectionError) as caught:
        await faulty_shop.run(agent, FRIDAYS)
    assert caught.value.may_have_been_applied
    await faulty_shop.invoke(agent, None, config())
    assert len(await faulty_shop.stored()) == 2


@pytest.mark.parametrize("faulty_shop", ["thread", "async"], indirect=True)
async def test_a_cancelled_write_is_not_made_again(faulty_shop: Shop, faulty: ScriptedSekha) -> None:
    agent = faulty_shop.agent(checkpointer=InMemorySaver())
    answered = threading.Event()
    faulty.fail(CREATE, hold(answered))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(faulty_shop.run, agent, FRIDAYS)
        await wait_for(lambda: lines(faulty, CREATE) == 1)
        tasks.cancel_scope.cancel()
        answered.set()
    await faulty_shop.invoke(agent, None, config())
    assert len(await faulty_shop.stored()) == 2
    assert lines(faulty, CREATE) == 1


# Bad input


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"memory": None}, "memory"),
        ({"memory": "ann"}, "memory"),
        ({"limit": 0}, "limit"),
        ({"min_score": 2}, "min_score"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
async def test_bad_arguments_are_refused(shop: Shop, options: dict[str, Any], field: str) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        SekhaMemoryMiddleware(**{"memory": shop.memory(), **options})
    assert caught.value.field == field


async def test_a_function_that_returns_no_memory_is_refused(shop: Shop) -> None:
    with pytest.raises(SekhaValidationError, match=r"^memory: must be an AsyncMemory or a Memory, not str"):
        await shop.run(shop.agent(lambda runtime: "ann"), WHEN)
    assert shop.model.seen == []


async def test_an_async_memory_is_refused_in_blocking_calls(faulty: ScriptedSekha) -> None:
    async with faulty.async_client() as client:
        memory = AsyncMemory(client, Scope("shop", "ann"))
        model = ScriptedModel()
        agent = create_agent(model, middleware=[SekhaMemoryMiddleware(memory)])
        with pytest.raises(SekhaValidationError, match=r"^memory: is an AsyncMemory, which sync calls cannot use"):
            await anyio.to_thread.run_sync(lambda: agent.invoke({"messages": [HumanMessage(WHEN)]}))
    assert (faulty.requests, model.seen) == ([], [])
