"""A memory in runs of an agent: recalled before them, remembered after those that have ended well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic_ai import Agent, BinaryContent, ModelRetry, NativeOutput, Tool, ToolReturn
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.test import TestModel

from sekha import AsyncSekhaClient, SekhaError, SekhaValidationError, SekhaWarning
from sekha.integrations.pydantic_ai import SekhaMemory
from sekha.memory import AsyncMemory, Memory, Scope
from sekha.testing import async_check_no_feedback_loop, async_check_no_leak

from .support import Script, stored, user_texts

CALL = ToolCallPart("clock", {}, "call-1")


@dataclass
class Visitor:
    """Who uses the application."""

    user: str


def of_visitor(client: AsyncSekhaClient) -> SekhaMemory[Visitor]:
    """The memory of whoever uses the agent."""
    return SekhaMemory(lambda ctx: AsyncMemory(client, Scope("shop", ctx.deps.user)))


def clock() -> str:
    """The time."""
    return "It is noon."


# What the model sees


async def test_the_block_comes_before_the_prompt(ann: AsyncMemory) -> None:
    script = Script()
    agent = Agent(script.model, system_prompt="Be brief.", instructions="Be kind.", capabilities=[SekhaMemory(ann)])
    result = await agent.run("When do we ship?")
    (request,) = script.requests[0]
    assert isinstance(request, ModelRequest)
    assert [part.part_kind for part in request.parts] == ["system-prompt", "user-prompt", "user-prompt"]
    block, prompt = script.users[0]
    assert "We ship on Fridays." in block
    assert prompt == "When do we ship?"
    assert "Fridays" not in str(request.instructions)
    assert user_texts(result.all_messages()) == ["When do we ship?"]
    assert "Fridays" not in str(result.all_messages())


async def test_no_block_if_nothing_is_known(client: AsyncSekhaClient) -> None:
    script = Script()
    memory = AsyncMemory(client, Scope("shop", "bob"))
    await Agent(script.model, capabilities=[SekhaMemory(memory)]).run("When do we ship?")
    assert script.users == [["When do we ship?"]]


async def test_earlier_messages_stay_as_they_are(ann: AsyncMemory) -> None:
    script = Script("Noted.", "On Fridays.")
    agent = Agent(script.model, capabilities=[SekhaMemory(ann)])
    first = await agent.run("I am in Oslo.")
    second = await agent.run("When do we ship?", message_history=first.all_messages())
    last = script.users[-1]
    assert [last[0], last[-1]] == ["I am in Oslo.", "When do we ship?"]
    assert len(last) == 3
    assert "Fridays" in last[1]
    assert user_texts(second.all_messages()) == ["I am in Oslo.", "When do we ship?"]


async def test_images_pass_through(ann: AsyncMemory) -> None:
    script, image = Script(), BinaryContent(b"\x89PNG", media_type="image/png")
    await Agent(script.model, capabilities=[SekhaMemory(ann)]).run(["When do we ship", image, "this?"])
    (request,) = script.requests[0]
    assert isinstance(request.parts[0], UserPromptPart)
    assert "Fridays" in str(request.parts[0].content)
    assert isinstance(request.parts[1], UserPromptPart)
    assert request.parts[1].content == ["When do we ship", image, "this?"]
    assert await stored(ann.client) == [("user", "When do we ship\nthis?"), ("assistant", "I see.")]


async def test_an_image_alone_asks_for_nothing(ann: AsyncMemory) -> None:
    script = Script()
    prompt = [BinaryContent(b"\x89PNG", media_type="image/png")]
    await Agent(script.model, capabilities=[SekhaMemory(ann)]).run(prompt)
    assert script.blocks == []
    assert await stored(ann.client) == [("assistant", "I see.")]


async def test_options_of_the_recall(ann: AsyncMemory) -> None:
    for options in ({"min_score": 1.0}, {"max_tokens": 1}):
        script = Script()
        await Agent(script.model, capabilities=[SekhaMemory(ann, **options)]).run("When do we ship?")
        assert script.blocks == []
    await ann.in_session("earlier").remember([{"role": "user", "content": "We ship to Oslo."}])
    script = Script()
    await Agent(script.model, capabilities=[SekhaMemory(ann, limit=1)]).run("When do we ship?")
    assert script.blocks[0].count("<message") == 1


# Tool loops


async def test_a_turn_with_tools_asks_once(ann: AsyncMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = count_blocks(monkeypatch)
    script = Script(CALL, ToolCallPart("clock", {}, "call-2"), "At noon.")
    agent = Agent(script.model, tools=[clock], capabilities=[SekhaMemory(ann)])
    result = await agent.run("When do we ship?")
    assert asked == ["When do we ship?"]
    assert len(script.requests) == 3
    assert len(set(script.blocks)) == 1
    assert len(script.blocks) == 3
    for request in script.requests:
        assert request[0] == script.requests[0][0]  # before the prompt, and so before all calls
    assert "Fridays" not in str(result.all_messages())
    assert await stored(ann.client) == [("user", "When do we ship?"), ("assistant", "At noon.")]


async def test_what_a_tool_shows_is_not_said_by_the_user(ann: AsyncMemory) -> None:
    def look() -> ToolReturn:
        return ToolReturn("Look.", content=["A page from the web.", BinaryContent(b"\x89PNG", media_type="image/png")])

    script = Script(ToolCallPart("look", {}, "call-1"), "I have seen it.")
    agent = Agent(script.model, tools=[look], capabilities=[SekhaMemory(ann)])
    await agent.run("When do we ship?")
    assert "Fridays" in script.users[1][0]
    assert script.users[1][1] == "When do we ship?"
    assert await stored(ann.client) == [("user", "When do we ship?"), ("assistant", "I have seen it.")]


async def test_what_is_said_beside_calls_is_remembered(ann: AsyncMemory) -> None:
    script = Script(["Let me look.", CALL], "It is noon.")
    await Agent(script.model, tools=[clock], capabilities=[SekhaMemory(ann)]).run("What time is it?")
    assert await stored(ann.client) == [
        ("user", "What time is it?"),
        ("assistant", "Let me look."),
        ("assistant", "It is noon."),
    ]


# What is remembered


async def test_one_agent_for_many_users_does_not_leak(each: AsyncSekhaClient) -> None:
    script = Script()
    agent = Agent(script.model, deps_type=Visitor, capabilities=[of_visitor(each)])

    class OfAgent:
        def __init__(self, user: str) -> None:
            self._visitor = Visitor(user)

        async def remember(self, messages: Sequence[Mapping[str, object]]) -> None:
            await agent.run(str(messages[0]["content"]), deps=self._visitor)

        async def block(self, query: str) -> object:
            await agent.run(query, deps=self._visitor)
            return script.requests[-1]

    await async_check_no_leak(OfAgent)


async def test_nothing_recalled_is_remembered(each: AsyncSekhaClient) -> None:
    script = Script("I see.")
    agent = Agent(script.model, capabilities=[SekhaMemory(AsyncMemory(each, Scope("shop", "ann")), tools=True)])

    async def run_turn(session: str, text: str) -> object:
        await agent.run(text, conversation_id=session)
        return script.requests[-1]

    await async_check_no_feedback_loop(run_turn, each.in_folder("/shop", "ann"))


async def test_a_model_that_repeats_the_block_teaches_nothing(ann: AsyncMemory) -> None:
    script = Script()

    def parrot(messages: list[ModelMessage], info: Any) -> ModelResponse:
        return ModelResponse(parts=[TextPart(f"I know: {user_texts(messages)[0]} That is all.")])

    model = script.model
    model.function = parrot
    await Agent(model, capabilities=[SekhaMemory(ann)]).run("When do we ship?")
    said = dict(await stored(ann.client))
    assert "Fridays" not in said["assistant"]
    assert said["assistant"].startswith("I know:")


async def test_a_history_that_is_passed_again_is_not_stored_again(ann: AsyncMemory) -> None:
    agent = Agent(Script("One.", "Two.").model, capabilities=[SekhaMemory(ann)])
    first = await agent.run("Say one.")
    await agent.run("Say two.", message_history=first.all_messages())
    assert await stored(ann.client) == [
        ("user", "Say one."),
        ("assistant", "One."),
        ("user", "Say two."),
        ("assistant", "Two."),
    ]


async def test_a_prompt_may_be_the_end_of_the_history(ann: AsyncMemory) -> None:
    """As web frameworks pass it that get the whole chat from the browser."""
    script = Script("On Fridays.")
    history: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart("Hello!")]),
        ModelResponse(parts=[TextPart("Hello.")]),
        ModelRequest(parts=[UserPromptPart("When do we ship?")]),
    ]
    await Agent(script.model, capabilities=[SekhaMemory(ann)]).run(message_history=history)
    assert script.users[0][0] == "Hello!"
    assert "Fridays" in script.users[0][1]
    assert script.users[0][2] == "When do we ship?"
    assert await stored(ann.client) == [("user", "When do we ship?"), ("assistant", "On Fridays.")]


async def test_an_answer_that_was_sent_back_is_not_remembered(ann: AsyncMemory) -> None:
    agent = Agent(Script("Nonsense.", "On Fridays.").model, capabilities=[SekhaMemory(ann)])

    @agent.output_validator
    def check(text: str) -> str:
        if text == "Nonsense.":
            raise ModelRetry("Try again.")
        return text

    await agent.run("When do we ship?")
    assert await stored(ann.client) == [("user", "When do we ship?"), ("assistant", "On Fridays.")]


async def test_a_tool_that_wants_another_try_changes_nothing(ann: AsyncMemory) -> None:
    tries = []

    def often() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ModelRetry("Try again.")
        return "done"

    script = Script(["First.", ToolCallPart("often", {}, "a")], ["Second.", ToolCallPart("often", {}, "b")], "Third.")
    await Agent(script.model, tools=[often], capabilities=[SekhaMemory(ann)]).run("Go on.")
    assert [text for _, text in await stored(ann.client)] == ["Go on.", "First.", "Second.", "Third."]


@dataclass
class Place:
    """An answer with fields."""

    city: str


@pytest.mark.parametrize("says", [[], ["Here it is."]])
async def test_a_structured_answer_is_remembered_as_json(says: list[str], ann: AsyncMemory) -> None:
    script = Script([*says, ToolCallPart("final_result", {"city": "Oslo"})])
    result = await Agent(script.model, output_type=Place, capabilities=[SekhaMemory(ann)]).run("Where are we?")
    assert result.output == Place("Oslo")
    said = [("assistant", text) for text in (*says, '{"city":"Oslo"}')]
    assert await stored(ann.client) == [("user", "Where are we?"), *said]


async def test_an_answer_that_is_json_already_is_remembered_once(ann: AsyncMemory) -> None:
    script = Script('{"city": "Oslo"}')
    model = script.model
    agent = Agent(model, output_type=NativeOutput(Place), capabilities=[SekhaMemory(ann)])
    assert (await agent.run("Where are we?")).output == Place("Oslo")
    assert await stored(ann.client) == [("user", "Where are we?"), ("assistant", '{"city": "Oslo"}')]


async def test_a_structured_answer_that_was_sent_back_is_not_remembered(ann: AsyncMemory) -> None:
    script = Script(ToolCallPart("final_result", {"town": 1}), ToolCallPart("final_result", {"city": "Oslo"}))
    await Agent(script.model, output_type=Place, capabilities=[SekhaMemory(ann)]).run("Where are we?")
    assert await stored(ann.client) == [("user", "Where are we?"), ("assistant", '{"city":"Oslo"}')]


class Order:
    """An object of the program."""


async def test_an_object_of_the_program_is_not_said_by_anybody(ann: AsyncMemory) -> None:
    def order(what: str) -> Any:
        return Order()

    script = Script(ToolCallPart("final_result", {"what": "tea"}))
    result = await Agent(script.model, output_type=order, capabilities=[SekhaMemory(ann)]).run("Order tea.")
    assert isinstance(result.output, Order)
    assert await stored(ann.client) == [("user", "Order tea.")]


async def test_a_run_that_waits_for_an_approval_is_remembered_in_two_parts(ann: AsyncMemory) -> None:
    from pydantic_ai import DeferredToolRequests, DeferredToolResults

    script = Script(CALL, "At noon.")
    agent = Agent(
        script.model,
        output_type=[str, DeferredToolRequests],
        tools=[Tool(clock, requires_approval=True)],
        capabilities=[SekhaMemory(ann)],
    )
    first = await agent.run("When do we ship?")
    assert isinstance(first.output, DeferredToolRequests)
    assert await stored(ann.client) == [("user", "When do we ship?")]
    approved = DeferredToolResults(approvals={"call-1": True})
    await agent.run(message_history=first.all_messages(), deferred_tool_results=approved)
    assert script.users[1][1:] == ["When do we ship?"]
    assert await stored(ann.client) == [("user", "When do we ship?"), ("assistant", "At noon.")]


async def test_a_run_that_fails_is_not_remembered(ann: AsyncMemory) -> None:
    def fail() -> str:
        raise ValueError("broken")

    agent = Agent(Script(ToolCallPart("fail", {})).model, tools=[fail], capabilities=[SekhaMemory(ann)])
    with pytest.raises(ValueError, match="broken"):
        await agent.run("When do we ship?")
    assert await stored(ann.client) == []
    agent = Agent(Script().model, capabilities=[SekhaMemory(ann)])
    await agent.run("When do we ship?")
    assert await stored(ann.client) == [("user", "When do we ship?"), ("assistant", "I see.")]


# Streams


async def test_streams_that_end_well_are_remembered(ann: AsyncMemory) -> None:
    script = Script("On Fridays. ")
    agent = Agent(script.model, capabilities=[SekhaMemory(ann)])
    async with agent.run_stream("When do we ship?") as run:
        assert [text async for text in run.stream_text(delta=True, debounce_by=None)] == ["On ", "Fridays. ", " "]
    assert "Fridays" in script.users[0][0]
    assert "<memory>" not in str(run.all_messages())
    async with agent.run_stream("And then?") as run:
        await run.get_output()
    async with agent.iter("Once more?") as steps:
        async for _ in steps:
            pass
    assert [text.strip() for _, text in await stored(ann.client)] == [
        "When do we ship?",
        "On Fridays.",
        "And then?",
        "On Fridays.",
        "Once more?",
        "On Fridays.",
    ]


async def test_a_stream_of_events_is_remembered(ann: AsyncMemory) -> None:
    script = Script(CALL, "On Fridays.")
    agent = Agent(script.model, tools=[clock], capabilities=[SekhaMemory(ann)])
    await read_events(agent.run_stream_events("When do we ship?"), stop_at="")
    assert len(set(script.blocks)) == 1
    assert len(script.blocks) == 2
    assert [text.strip() for _, text in await stored(ann.client)] == ["When do we ship?", "On Fridays."]


async def test_a_stream_with_tools_and_fields_is_remembered(ann: AsyncMemory) -> None:
    script = Script(CALL, ToolCallPart("final_result", {"city": "Oslo"}))
    agent = Agent(script.model, tools=[clock], output_type=Place, capabilities=[SekhaMemory(ann)])
    async with agent.run_stream("Where are we?") as run:
        assert [place async for place in run.stream_output()][-1] == Place("Oslo")
    assert await stored(ann.client) == [("user", "Where are we?"), ("assistant", '{"city":"Oslo"}')]


async def test_streams_that_are_left_are_not_remembered(ann: AsyncMemory) -> None:
    agent = Agent(Script("One two three.").model, capabilities=[SekhaMemory(ann)])
    async with agent.run_stream("Count.") as run:
        async for _ in run.stream_text(delta=True, debounce_by=None):
            break
    async with agent.run_stream("Count."):
        pass
    with pytest.raises(KeyError):
        async with agent.run_stream("Count.") as run:
            raise KeyError
    await read_events(agent.run_stream_events("Count."), stop_at="PartDeltaEvent")
    async with agent.iter("Count.") as steps:
        async for _ in steps:
            break
    assert await stored(ann.client) == []


# Whose memory, and which session


async def test_the_conversation_is_the_session(ann: AsyncMemory) -> None:
    script = Script()
    agent = Agent(script.model, capabilities=[SekhaMemory(ann)])
    await agent.run("Our boats are green.", conversation_id="c1")
    await agent.run("What colour are our boats?", conversation_id="c1")
    assert "green" not in str(script.blocks)  # the model sees the running conversation anyway
    await agent.run("What colour are our boats?", conversation_id="c2")
    assert "green" in script.blocks[-1]
    rows = [row async for row in ann.client.controller.iter_conversations()]
    assert sorted(row["label"] for row in rows) == ["c1", "c1", "c2", "earlier"]


async def test_a_session_of_the_scope_wins(ann: AsyncMemory) -> None:
    await Agent(Script().model, capabilities=[SekhaMemory(ann.in_session("mine"))]).run("Hello!", conversation_id="c1")
    rows = [row async for row in ann.client.controller.iter_conversations()]
    assert sorted(row["label"] for row in rows) == ["earlier", "mine"]


async def test_runs_side_by_side_do_not_mix(client: AsyncSekhaClient) -> None:
    users = [f"user{i}" for i in range(6)]
    for user in users:
        memory = AsyncMemory(client, Scope("shop", user, "earlier"))
        await memory.remember([{"role": "user", "content": f"My door is that of {user}."}])
    script, waiting = Script(), asyncio.Barrier(len(users)) if hasattr(asyncio, "Barrier") else None

    async def wait() -> str:
        if waiting is not None:
            await waiting.wait()
        return "done"

    script = Script(*[ToolCallPart("wait", {})] * len(users), "I see.")
    agent = Agent(script.model, tools=[wait], deps_type=Visitor, capabilities=[of_visitor(client)])
    await asyncio.gather(*(agent.run(f"Which door? {user}", deps=Visitor(user)) for user in users))
    assert len(script.blocks) == 2 * len(users)
    for texts in script.users:
        user = texts[-1].rpartition(" ")[2]
        assert f"that of {user}." in texts[0]
        assert texts[0].count("that of") == 1
    for user in users:
        said = await stored(client.in_folder("/shop", user))
        assert said == [("user", f"Which door? {user}"), ("assistant", "I see.")]


async def test_a_memory_for_one_run(ann: AsyncMemory) -> None:
    script = Script()
    agent = Agent(script.model)
    await agent.run("When do we ship?", capabilities=[SekhaMemory(ann)])
    await agent.run("When do we ship?")
    assert len(script.blocks) == 1
    assert len(await stored(ann.client)) == 2


@pytest.mark.parametrize("wrong", [None, "ann", Scope("shop", "ann")])
def test_what_is_no_memory_is_refused(wrong: Any) -> None:
    with pytest.raises(SekhaValidationError, match="must be an AsyncMemory") as caught:
        SekhaMemory(wrong)
    assert caught.value.field == "memory"


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"min_score": 2.0}, {"max_tokens": 0}])
async def test_an_option_that_cannot_be_used_is_named_at_once(ann: AsyncMemory, wrong: dict[str, Any]) -> None:
    with pytest.raises(SekhaValidationError) as caught:
        SekhaMemory(ann, **wrong)
    assert [caught.value.field] == list(wrong)


async def test_a_function_that_returns_no_memory_is_refused(ann: AsyncMemory) -> None:
    script = Script()
    memory: Any = SekhaMemory(lambda ctx: None)  # type: ignore[arg-type,return-value]  # it is wrong
    with pytest.raises(SekhaValidationError, match="must be an AsyncMemory, not None"):
        await Agent(script.model, capabilities=[memory]).run("Hello!")
    assert script.requests == []


def test_a_blocking_memory_is_refused(sekha: Any) -> None:
    from sekha import SekhaClient

    with (
        SekhaClient(**sekha.options) as client,
        pytest.raises(SekhaValidationError, match=r"must be an AsyncMemory, not sekha\.memory\.Memory"),
    ):
        SekhaMemory(Memory(client, Scope("shop", "ann")))  # type: ignore[arg-type]  # it is wrong


# Failures


@pytest.fixture
async def gone() -> Any:
    async with AsyncSekhaClient(controller_url="http://localhost:9", api_key="sk-key", max_retries=0) as client:
        yield AsyncMemory(client, Scope("shop", "ann"))


async def test_a_memory_that_is_down_does_not_stop_a_run(gone: AsyncMemory) -> None:
    script = Script(CALL, "I see.")
    agent = Agent(script.model, tools=[clock], capabilities=[SekhaMemory(gone)])
    with pytest.warns(SekhaWarning) as caught:
        result = await agent.run("When do we ship?")
    assert result.output == "I see."
    assert len(caught) == 2  # one for the recall, one for what is not remembered
    assert len(script.blocks) == 2
    assert all("unavailable" in block for block in script.blocks)


async def test_a_memory_that_is_down_can_stop_a_run(gone: AsyncMemory) -> None:
    script = Script()
    strict = AsyncMemory(gone.client, Scope("shop", "ann"), on_error="raise")
    with pytest.raises(SekhaError):
        await Agent(script.model, capabilities=[SekhaMemory(strict)]).run("When do we ship?")
    assert script.requests == []


async def test_a_run_that_is_cancelled_while_it_remembers(ann: AsyncMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()
    create = type(ann.client.controller).create_conversation

    async def slowly(self: Any, **options: Any) -> Any:
        result = await create(self, **options)
        begun.set()
        await asyncio.Event().wait()
        return result

    monkeypatch.setattr(type(ann.client.controller), "create_conversation", slowly)
    agent = Agent(Script().model, capabilities=[SekhaMemory(ann)])
    run = asyncio.ensure_future(agent.run("When do we ship?"))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    monkeypatch.undo()
    assert await stored(ann.client) == [("user", "When do we ship?"), ("assistant", "I see.")]


# Tools


async def test_tools_only_if_wanted(ann: AsyncMemory) -> None:
    script = Script()
    await Agent(script.model, capabilities=[SekhaMemory(ann)]).run("Hello!")
    await Agent(script.model, capabilities=[SekhaMemory(ann, tools=True)]).run("Hello!")
    assert [sorted(names) for names in script.tools] == [[], ["remember", "search_memory"]]


async def test_the_tools_are_those_of_the_user(client: AsyncSekhaClient, ann: AsyncMemory) -> None:
    script = Script(
        ToolCallPart("remember", {"text": "Likes tea."}), ToolCallPart("search_memory", {"query": "ship tea"}), "Well."
    )
    capability = of_visitor(client)
    capability.tools = True
    agent = Agent(script.model, deps_type=Visitor, capabilities=[capability])
    result = await agent.run("Hello!", deps=Visitor("ann"))
    returns = [
        str(part.content)
        for message in result.all_messages()
        for part in message.parts
        if part.part_kind == "tool-return"
    ]
    assert returns[0] == "Remembered."
    assert "We ship on Fridays." in returns[1]
    script = Script(ToolCallPart("search_memory", {"query": "ship tea"}), "Well.")
    result = await agent.run("Hello!", deps=Visitor("bob"), model=script.model)
    assert "Nothing was found" in str(result.all_messages())
    assert ("assistant", "Likes tea.") in await stored(ann.client)
    assert "Fridays" not in str(await stored(ann.client))


async def test_a_wrong_call_of_a_tool_is_told_to_the_model(ann: AsyncMemory) -> None:
    script = Script(
        ToolCallPart("search_memory", {"limit": 3}), ToolCallPart("search_memory", {"query": "ship"}), "Well."
    )
    result = await Agent(script.model, capabilities=[SekhaMemory(ann, tools=True)]).run("Hello!")
    assert "query: is required" in str(script.requests[1])
    assert "Fridays" in str(script.requests[2][-1])
    assert result.output == "Well."


# With other things of the framework


async def test_a_history_that_is_rewritten_does_not_get_the_block(ann: AsyncMemory) -> None:
    from pydantic_ai.capabilities import ProcessHistory

    seen: list[str] = []

    def shorten(messages: list[ModelMessage]) -> list[ModelMessage]:
        seen.append(str(messages))
        return messages[-3:]

    for order in (0, 1):
        capabilities: list[Any] = [SekhaMemory(ann), ProcessHistory(shorten)]
        script = Script(CALL, "I see.")
        agent = Agent(script.model, tools=[clock], capabilities=capabilities[::-1] if order else capabilities)
        result = await agent.run("When do we ship?")
        assert len(script.blocks) == 2
        assert "<memory>" not in str(result.all_messages())
    assert "<memory>" not in str(seen)


async def test_a_reminder_behind_the_prompt_does_not_move_the_block(ann: AsyncMemory) -> None:
    from pydantic_ai.capabilities import ProcessHistory

    def remind(messages: list[ModelMessage]) -> list[ModelMessage]:
        return [*messages, ModelRequest(parts=[UserPromptPart("Mind the time.")])]

    script = Script(CALL, "I see.")
    capabilities: list[Any] = [SekhaMemory(ann), ProcessHistory(remind)]
    await Agent(script.model, tools=[clock], capabilities=capabilities).run("When do we ship?")
    for texts in script.users:
        assert texts[0] == script.blocks[0]
        assert texts[1] == "When do we ship?"


async def test_a_prompt_that_was_cut_off_the_history(ann: AsyncMemory) -> None:
    from pydantic_ai.capabilities import ProcessHistory

    script = Script(CALL, "I see.")
    capabilities: list[Any] = [SekhaMemory(ann), ProcessHistory(lambda messages: messages[-1:])]
    agent = Agent(script.model, tools=[clock], capabilities=capabilities)
    await agent.run("When do we ship?")
    assert [len(request) for request in script.requests] == [1, 1]
    assert len(script.blocks) == 1  # there is no prompt any more before which it could stand


async def test_the_test_model(ann: AsyncMemory) -> None:
    result = await Agent(TestModel(), capabilities=[SekhaMemory(ann, tools=True)]).run("Hello!")
    assert "Nothing was found" in result.output or "Fridays" in result.output


def test_a_blocking_run(sekha: Any) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # the framework would make one that nobody closes
    client = AsyncSekhaClient(**sekha.options)
    memory = AsyncMemory(client, Scope("shop", "ann"))
    script = Script()
    agent = Agent(script.model, capabilities=[SekhaMemory(memory)])
    agent.run_sync("We ship on Fridays.")
    agent.run_sync("When do we ship?")
    assert "Fridays" in script.blocks[0]
    loop.run_until_complete(client.aclose())
    asyncio.set_event_loop(None)
    loop.close()


def count_blocks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queries for which memories are asked from now on."""
    asked: list[str] = []
    block = AsyncMemory.block

    async def counted(self: AsyncMemory, query: str, **options: Any) -> str:
        asked.append(query)
        return await block(self, query, **options)

    monkeypatch.setattr(AsyncMemory, "block", counted)
    return asked


async def read_events(events: Any, *, stop_at: str) -> None:
    """Read events, which are a context manager since Pydantic AI 2."""
    if hasattr(events, "__aenter__"):
        async with events as stream:
            async for event in stream:
                if type(event).__name__ == stop_at:
                    break
        return
    async for event in events:
        if type(event).__name__ == stop_at:
            break
    await events.aclose()
