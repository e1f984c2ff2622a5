"""A memory in runs of an agent: recalled before them, remembered after those that have ended well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from agent_framework import (
    Agent,
    AgentSession,
    Content,
    ContextProvider,
    InMemoryHistoryProvider,
    Message,
    WorkflowBuilder,
    tool,
)

from sekha import AsyncSekhaClient, SekhaClient, SekhaError, SekhaValidationError, SekhaWarning
from sekha.integrations.agent_framework import SekhaContextProvider
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Memory, Scope
from sekha.testing import async_check_no_feedback_loop, async_check_no_leak

from .support import Script, call, labels, stored


def clock() -> str:
    """The time."""
    return "It is noon."


def agent_of(script: Script, memory: Any, *others: ContextProvider, **options: Any) -> Agent[Any]:
    """An agent with a history, other providers, and a memory."""
    tools = options.pop("functions", [clock])
    provider = SekhaContextProvider(memory, **options)
    return Agent(script, tools=tools, context_providers=[InMemoryHistoryProvider(), *others, provider])


def of_visitor(client: AsyncSekhaClient) -> Any:
    """The memory of whoever the session is of."""
    return lambda session: AsyncMemory(client, Scope("shop", session.state["user"]))


def session_of(user: str, id: str | None = None) -> AgentSession:
    """The session of a visitor."""
    session = AgentSession(session_id=id)
    session.state["user"] = user
    return session


# What the model sees


async def test_the_block_comes_before_the_prompt(ann: AsyncMemory) -> None:
    script = Script()
    provider = SekhaContextProvider(ann)
    history = InMemoryHistoryProvider()
    agent = Agent(script, instructions="Be brief.", context_providers=[history, provider])
    session = agent.create_session()
    result = await agent.run("When do we ship?", session=session)
    assert result.text == "I see."
    roles = [(role, "Fridays" in text) for role, text in script.texts[0] if role != "system"]
    assert roles == [("user", True), ("user", False)]
    assert script.texts[0][-1] == ("user", "When do we ship?")
    assert "Fridays" not in str(session.state)
    attribution = next(message for message in script.requests[0] if "<memory>" in message.text).additional_properties
    assert attribution["_attribution"]["source_id"] == "sekha"


async def test_no_block_if_nothing_is_known(client: AsyncSekhaClient) -> None:
    script = Script()
    await agent_of(script, AsyncMemory(client, Scope("shop", "bob"))).run("When do we ship?")
    assert script.texts == [[("user", "When do we ship?")]]


async def test_the_history_has_no_block(ann: AsyncMemory) -> None:
    script = Script("Noted.", "On Fridays.")
    agent = agent_of(script, ann)
    session = agent.create_session()
    await agent.run("We ship from Oslo.", session=session)
    await agent.run("When do we ship?", session=session)
    first, second = script.texts
    assert [text for _, text in first][1:] == ["We ship from Oslo."]
    assert [second[0], second[1], second[3]] == [
        ("user", "We ship from Oslo."),
        ("assistant", "Noted."),
        ("user", "When do we ship?"),
    ]
    assert "Fridays" in second[2][1]
    assert "Oslo" not in second[2][1]  # the model sees the running session anyway


async def test_a_turn_with_tools_asks_once(ann: AsyncMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = count_blocks(monkeypatch)
    script = Script(call("clock", {}), call("clock", {}, "call-2"), "At noon.")
    await agent_of(script, ann).run("When do we ship?")
    assert asked == ["When do we ship?"]
    assert len(script.requests) == 3
    assert len(set(script.blocks)) == 1
    for texts in script.texts:
        assert texts[0][1] == script.blocks[0]
        assert texts[1] == ("user", "When do we ship?")
    assert await stored(ann.client) == [("user", "When do we ship?"), ("assistant", "At noon.")]


async def test_images_pass_through(ann: AsyncMemory) -> None:
    script = Script()
    image = Content.from_data(b"\x89PNG", media_type="image/png")
    await agent_of(script, ann).run(Message("user", ["When do we ship this?", image]))
    last = script.requests[0][-1]
    assert [content.type for content in last.contents] == ["text", "data"]
    assert len(script.blocks) == 1
    assert await stored(ann.client) == [("user", "When do we ship this?"), ("assistant", "I see.")]


async def test_an_image_alone_asks_for_nothing(ann: AsyncMemory) -> None:
    script = Script()
    await agent_of(script, ann).run(Message("user", [Content.from_data(b"\x89PNG", media_type="image/png")]))
    assert script.blocks == []


async def test_options_of_the_recall(ann: AsyncMemory) -> None:
    for options in ({"min_score": 1.0}, {"max_tokens": 1}):
        script = Script()
        await agent_of(script, ann, **options).run("When do we ship?")
        assert script.blocks == []
    await ann.in_session("earlier").remember([{"role": "user", "content": "We ship to Oslo."}])
    script = Script()
    await agent_of(script, ann, limit=1).run("When do we ship?")
    assert script.blocks[0].count("<message") == 1


async def test_the_result_of_a_call_follows_it(ann: AsyncMemory) -> None:
    """A tool that runs in the browser: its result is the input of the next run."""
    script = Script(call("open_page", {}), "It is open.")
    agent = agent_of(script, ann)
    session = agent.create_session()
    page = {"type": "object", "properties": {}}
    from agent_framework import FunctionTool

    await agent.run("When do we ship?", session=session, tools=[FunctionTool(name="open_page", input_model=page)])
    result = Message("tool", [Content.from_function_result(call_id="call-1", result="opened")])
    await agent.run([result, Message("user", ["When do we ship, then?"])], session=session)
    kinds = [[content.type for content in message.contents] for message in script.requests[1]]
    assert kinds == [["text"], ["function_call"], ["function_result"], ["text"]]
    assert len(script.blocks) == 1


async def test_an_approval_follows_its_call(ann: AsyncMemory) -> None:
    script = Script(call("pay", {}), "It is paid.")

    @tool(approval_mode="always_require")
    def pay() -> str:
        """Pay."""
        return "paid"

    agent = agent_of(script, ann, functions=[pay])
    session = agent.create_session()
    first = await agent.run("When do we ship?", session=session)
    (request,) = first.user_input_requests
    answer = Message("user", [request.to_function_approval_response(approved=True)])
    last = await agent.run([answer, Message("user", ["When do we ship, then?"])], session=session)
    assert last.text == "It is paid."
    assert len(script.blocks) == 1
    assert await stored(ann.client) == [
        ("user", "When do we ship?"),
        ("user", "When do we ship, then?"),
        ("assistant", "It is paid."),
    ]


# What is remembered


async def test_one_agent_for_many_users_does_not_leak(each: AsyncSekhaClient) -> None:
    script = Script()
    agent = agent_of(script, of_visitor(each))

    class OfAgent:
        def __init__(self, user: str) -> None:
            self._session = session_of(user)

        async def remember(self, messages: Sequence[Mapping[str, object]]) -> None:
            await agent.run(str(messages[0]["content"]), session=self._session)

        async def block(self, query: str) -> object:
            await agent.run(query, session=self._session)
            return script.texts[-1]

    await async_check_no_leak(OfAgent)


async def test_nothing_recalled_is_remembered(each: AsyncSekhaClient) -> None:
    script = Script()
    agent = agent_of(script, AsyncMemory(each, Scope("shop", "ann")), tools=True)

    async def run_turn(session: str, text: str) -> object:
        await agent.run(text, session=AgentSession(session_id=session))
        return script.texts[-1]

    await async_check_no_feedback_loop(run_turn, each.in_folder("/shop", "ann"))


class Weather(ContextProvider):
    """Another provider."""

    async def before_run(self, *, agent: Any, session: Any, context: Any, state: Any) -> None:
        """Add the weather."""
        context.extend_messages(self, [Message("user", ["It rains."]), Message("assistant", ["I know."])])


async def test_what_other_providers_add_is_not_remembered(ann: AsyncMemory) -> None:
    script = Script()
    await agent_of(script, ann, Weather("weather")).run("When do we ship?")
    assert ("user", "It rains.") in script.texts[0]
    assert await stored(ann.client) == [("user", "When do we ship?"), ("assistant", "I see.")]


async def test_what_comes_after_it_still_works(ann: AsyncMemory) -> None:
    script = Script()
    providers = [SekhaContextProvider(ann), Weather("weather"), InMemoryHistoryProvider()]
    agent = Agent(script, context_providers=providers)
    session = agent.create_session()
    await agent.run("When do we ship?", session=session)
    await agent.run("And to where?", session=session)
    assert script.texts[1][-1] == ("user", "And to where?")
    assert ("assistant", "I see.") in script.texts[1]
    assert "<memory>" not in str(session.state)
    assert len(await stored(ann.client)) == 4


async def test_a_chat_that_is_passed_whole_is_not_stored_again(ann: AsyncMemory) -> None:
    script = Script("One.", "Two.")
    provider = SekhaContextProvider(ann)
    agent = Agent(script, context_providers=[provider])
    chat = [Message("user", ["Say one."])]
    chat += (await agent.run(chat)).messages
    chat.append(Message("user", ["Say two."]))
    await agent.run(chat)
    assert await stored(ann.client) == [
        ("user", "Say one."),
        ("assistant", "One."),
        ("user", "Say two."),
        ("assistant", "Two."),
    ]


async def test_a_message_with_an_id_is_stored_once(ann: AsyncMemory) -> None:
    """As a web page sends it again if the user wants another answer."""
    agent, session = agent_of(Script("One.", "Another."), ann), AgentSession(session_id="s1")
    message = Message("user", ["Say something."], message_id="m1")
    await agent.run(message, session=session)
    await agent.run(message, session=session)
    assert await stored(ann.client) == [("user", "Say something."), ("assistant", "One."), ("assistant", "Another.")]


async def test_a_run_that_fails_is_not_remembered(ann: AsyncMemory) -> None:
    script = Script(ValueError("broken"), "I see.")
    agent = agent_of(script, ann)
    session = agent.create_session()
    with pytest.raises(ValueError, match="broken"):
        await agent.run("When do we ship?", session=session)
    assert await stored(ann.client) == []
    await agent.run("When do we ship?", session=session)
    assert await stored(ann.client) == [("user", "When do we ship?"), ("assistant", "I see.")]


# Streams


async def test_streams_that_end_well_are_remembered(ann: AsyncMemory) -> None:
    script = Script("On Fridays.", call("clock", {}), "At noon.")
    agent = agent_of(script, ann)
    assert [update.text async for update in agent.run("When do we ship?", stream=True)] == ["On ", "Fridays. "]
    assert "Fridays" in script.blocks[0]
    stream = agent.run("At what time?", stream=True)
    assert (await stream.get_final_response()).text.strip() == "At noon."
    assert len(script.blocks) == 3
    assert await stored(ann.client) == [
        ("user", "When do we ship?"),
        ("assistant", "On Fridays."),
        ("user", "At what time?"),
        ("assistant", "At noon."),
    ]


async def test_a_stream_that_is_left_is_not_remembered(ann: AsyncMemory) -> None:
    agent = agent_of(Script("One two three."), ann)
    stream = agent.run("Count.", stream=True)
    async for _ in stream:
        break
    await asyncio.sleep(0)
    assert await stored(ann.client) == []


async def test_a_stream_that_fails_is_not_remembered(ann: AsyncMemory) -> None:
    agent = agent_of(Script(ValueError("broken")), ann)
    with pytest.raises(ValueError, match="broken"):
        async for _ in agent.run("Count.", stream=True):
            pass
    assert await stored(ann.client) == []


# Whose memory, and which session


async def test_the_session_of_the_framework_is_that_of_the_memory(ann: AsyncMemory) -> None:
    script = Script()
    agent = agent_of(script, ann)
    await agent.run("Our boats are green.", session=AgentSession(session_id="s1"))
    await agent.run("What colour are our boats?", session=AgentSession(session_id="s1"))
    assert "green" not in str(script.blocks)
    await agent.run("What colour are our boats?", session=AgentSession(session_id="s2"))
    assert "green" in script.blocks[-1]
    assert await labels(ann.client) == ["earlier", "s1", "s1", "s2"]


async def test_a_session_of_the_scope_wins(ann: AsyncMemory) -> None:
    await agent_of(Script(), ann.in_session("mine")).run("Hello!", session=AgentSession(session_id="s1"))
    assert await labels(ann.client) == ["earlier", "mine"]


async def test_several_agents_in_a_workflow_remember_each_message_once(ann: AsyncMemory) -> None:
    scripts = [Script("From one."), Script("From two.")]
    memory = ann.in_session("w1")  # of the whole workflow
    agents = [
        Agent(script, name=name, context_providers=[SekhaContextProvider(memory)])
        for name, script in zip(("one", "two"), scripts)
    ]
    workflow = WorkflowBuilder(start_executor=agents[0]).add_edge(*agents).build()
    await workflow.run("When do we ship?")
    for script in scripts:
        assert "Fridays" in script.blocks[0]
        assert "From one." not in script.blocks[0]
    assert ("assistant", "From one.") in scripts[1].texts[0]
    assert await stored(ann.client) == [
        ("user", "When do we ship?"),
        ("assistant", "From one."),
        ("assistant", "From two."),
    ]


async def test_runs_side_by_side_do_not_mix(client: AsyncSekhaClient) -> None:
    users = [f"user{i}" for i in range(6)]
    for user in users:
        memory = AsyncMemory(client, Scope("shop", user, "earlier"))
        await memory.remember([{"role": "user", "content": f"My door is that of {user}."}])
    arrived: list[int] = []
    everybody = asyncio.Event()

    async def wait() -> str:
        """Wait for all others."""
        arrived.append(1)
        if len(arrived) == len(users):
            everybody.set()
        await everybody.wait()
        return "done"

    script = Script(*[call("wait", {})] * len(users), "I see.")
    agent = agent_of(script, of_visitor(client), functions=[wait])
    await asyncio.gather(*(agent.run(f"Which door? {user}", session=session_of(user)) for user in users))
    assert len(script.blocks) == 2 * len(users)
    for texts in script.texts:
        user = texts[1][1].rpartition(" ")[2]
        assert f"that of {user}." in texts[0][1]
        assert texts[0][1].count("that of") == 1
    for user in users:
        said = await stored(client.in_folder("/shop", user))
        assert said == [("user", f"Which door? {user}"), ("assistant", "I see.")]


@pytest.mark.parametrize("wrong", [None, "ann", Scope("shop", "ann")])
def test_what_is_no_memory_is_refused(wrong: Any) -> None:
    with pytest.raises(SekhaValidationError, match="must be an AsyncMemory") as caught:
        SekhaContextProvider(wrong)
    assert caught.value.field == "memory"


def test_a_blocking_memory_is_refused(sekha: LocalSekha) -> None:
    with SekhaClient(**sekha.options) as client:
        blocking: Any = Memory(client, Scope("shop", "ann"))
        with pytest.raises(SekhaValidationError, match=r"must be an AsyncMemory, not sekha\.memory\.Memory"):
            SekhaContextProvider(blocking)


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"min_score": 2.0}, {"max_tokens": 0}])
async def test_an_option_that_cannot_be_used_is_named_at_once(client: AsyncSekhaClient, wrong: dict[str, Any]) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        SekhaContextProvider(AsyncMemory(client, Scope("shop", "ann")), **wrong)
    assert [caught.value.field] == list(wrong)


async def test_a_function_that_returns_no_memory_is_refused() -> None:
    script = Script()
    with pytest.raises(SekhaValidationError, match="must be an AsyncMemory, not None"):
        await agent_of(script, lambda session: None).run("Hello!")
    assert script.requests == []


# Failures


@pytest.fixture
async def gone() -> Any:
    async with AsyncSekhaClient(controller_url="http://localhost:9", api_key="sk-key", max_retries=0) as client:
        yield AsyncMemory(client, Scope("shop", "ann"))


async def test_a_memory_that_is_down_does_not_stop_a_run(gone: AsyncMemory) -> None:
    script = Script(call("clock", {}), "I see.")
    with pytest.warns(SekhaWarning) as caught:
        result = await agent_of(script, gone).run("When do we ship?")
    assert result.text == "I see."
    assert len(caught) == 2  # one for the recall, one for what is not remembered
    assert len(script.blocks) == 2
    assert all("unavailable" in block for block in script.blocks)


async def test_a_memory_that_is_down_can_stop_a_run(gone: AsyncMemory) -> None:
    script = Script()
    strict = AsyncMemory(gone.client, Scope("shop", "ann"), on_error="raise")
    with pytest.raises(SekhaError):
        await agent_of(script, strict).run("When do we ship?")
    assert script.requests == []


async def test_a_run_that_is_cancelled_while_it_remembers(ann: AsyncMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()
    create = type(ann.client.controller).create_conversation

    async def slowly(self: Any, **options: Any) -> Any:
        await create(self, **options)
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(type(ann.client.controller), "create_conversation", slowly)
    agent, session = agent_of(Script(), ann), AgentSession(session_id="s1")
    message = Message("user", ["When do we ship?"], message_id="m1")
    run = asyncio.ensure_future(agent.run(message, session=session))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    monkeypatch.undo()
    assert await stored(ann.client) == [("user", "When do we ship?"), ("assistant", "I see.")]
    await agent.run(message, session=session)  # the user tries it again
    assert [text for _, text in await stored(ann.client)].count("When do we ship?") == 1


# Tools


async def test_tools_only_if_wanted(ann: AsyncMemory) -> None:
    script = Script()
    await agent_of(script, ann).run("Hello!")
    await agent_of(script, ann, tools=True).run("Hello!")
    assert script.tools == [["clock"], ["clock", "remember", "search_memory"]]


async def test_the_tools_are_those_of_the_user(client: AsyncSekhaClient, ann: AsyncMemory) -> None:
    script = Script(
        call("remember", {"text": "Likes tea."}), call("search_memory", {"query": "ship tea"}, "call-2"), "Well."
    )
    agent = agent_of(script, of_visitor(client), tools=True)
    result = await agent.run("Hello!", session=session_of("ann"))
    returned = results(result.messages)
    assert returned[0] == "Remembered."
    assert "We ship on Fridays." in returned[1]
    script = Script(call("search_memory", {"query": "ship tea"}), "Well.")
    result = await agent_of(script, of_visitor(client), tools=True).run("Hello!", session=session_of("bob"))
    assert "Nothing was found" in results(result.messages)[0]
    assert ("assistant", "Likes tea.") in await stored(ann.client)
    assert "Fridays" not in str(await stored(ann.client))


async def test_a_tool_that_fails_is_told_to_the_model(gone: AsyncMemory) -> None:
    script = Script(call("search_memory", {"query": "ship"}), "Well.")
    with pytest.warns(SekhaWarning):
        result = await agent_of(script, gone, tools=True).run("Hello!")
    assert "could not be searched" in results(result.messages)[0]
    assert result.text == "Well."


def results(messages: Sequence[Message]) -> list[str]:
    """What tools have returned."""
    contents = [content for message in messages for content in message.contents]
    return [str(content.result) for content in contents if content.type == "function_result"]


def count_blocks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries for which memories are asked from now on."""
    asked: list[str] = []
    block = AsyncMemory.block

    async def counted(self: AsyncMemory, query: str, **options: Any) -> str:
        asked.append(query)
        return await block(self, query, **options)

    monkeypatch.setattr(AsyncMemory, "block", counted)
    return asked
