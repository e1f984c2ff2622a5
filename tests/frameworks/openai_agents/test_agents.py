"""`sekha.integrations.openai_agents` with the SDK's runner, sessions and filters."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    ModelSettings,
    OpenAIConversationsSession,
    OpenAIResponsesCompactionSession,
    OutputGuardrailTripwireTriggered,
    RunConfig,
    Runner,
    SQLiteSession,
    function_tool,
    handoff,
    input_guardrail,
    output_guardrail,
    trace,
)
from agents.extensions import handoff_filters
from agents.run import CallModelData, ModelInputData

from sekha import AsyncSekhaClient, SekhaClient, SekhaConnectionError, SekhaValidationError, SekhaWarning
from sekha.integrations.openai_agents import RememberingSession, memory_tools, recall_filter
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Memory, Scope
from sekha.testing import async_check_no_feedback_loop, async_check_no_leak

from .scripted import Scripted, calls, closed_later, says, sqlite

SHIP = "We ship on Fridays."
ASK = "When do we ship?"
HOWS = ["run", "streamed"]
ANN = Scope("shop", "ann")


@function_tool
def clock() -> str:
    """The time."""
    return "It is noon."


class Watched(AsyncMemory):
    """A memory that notes what it is asked."""

    asked: list[str]

    async def block(self, query: str, **options: Any) -> str:
        self.__dict__.setdefault("asked", []).append(query)
        found = await super().block(query, **options)
        return found or f"<memory>{len(self.asked)}: {query}</memory>"


async def run(how: str, agent: Agent[Any], text: Any, **options: Any) -> Any:
    if how == "run":
        return await Runner.run(agent, text, **options)
    streamed = Runner.run_streamed(agent, text, **options)
    async for _ in streamed.stream_events():
        pass
    return streamed


def recalling(memory: AsyncMemory, **options: Any) -> RunConfig:
    return RunConfig(call_model_input_filter=recall_filter(memory), **options)


def texts(items: list[Any]) -> list[str]:
    """What stands in the input of a model, item by item."""
    found = []
    for item in items:
        content = item.get("content") or item.get("output") or item.get("name")
        found.append(content if isinstance(content, str) else "|".join(part.get("text", "") for part in content))
    return found


async def stored(client: AsyncSekhaClient) -> list[tuple[str, str, str]]:
    """All that is remembered: label, role and text."""
    rows = [row async for row in client.controller.iter_conversations()]
    return [
        (row["label"], message["role"], str(message["content"]))
        for row in reversed(rows)
        for message in await client.controller.get_messages(row["conversation_id"])
    ]


# What must hold for every adapter


async def test_no_user_sees_what_another_has_said(client: AsyncSekhaClient) -> None:
    class Adapter:
        def __init__(self, user: str) -> None:
            self.memory = AsyncMemory(client, Scope("shop", user))

        async def remember(self, messages: Any) -> None:
            session = RememberingSession(sqlite("s1"), self.memory)
            await Runner.run(Agent("a", model=Scripted([says("I see.")])), list(messages), session=session)

        async def block(self, query: str) -> str:
            model = Scripted([says("I see.")])
            session = RememberingSession(sqlite("s2"), self.memory)
            await Runner.run(Agent("a", model=model), query, session=session, run_config=recalling(session.memory))
            return str(model.inputs)

    await async_check_no_leak(Adapter)


@pytest.mark.parametrize("how", HOWS)
async def test_what_was_recalled_is_not_remembered(client: AsyncSekhaClient, how: str) -> None:
    async def run_turn(session: str, text: str) -> object:
        model = Scripted([calls("clock")], [says("I see.")])
        remembering = RememberingSession(sqlite(session), AsyncMemory(client, ANN))
        config = recalling(remembering.memory)
        agent = Agent("a", model=model, tools=[clock])
        await run(how, agent, text, session=remembering, run_config=config)
        return model.inputs

    await async_check_no_feedback_loop(run_turn, client.in_folder("/shop", "ann"))


@pytest.mark.parametrize("how", HOWS)
async def test_a_turn_with_tools_is_asked_for_once(client: AsyncSekhaClient, how: str) -> None:
    memory = Watched(client, ANN)
    await memory.remember([{"role": "user", "content": SHIP}])
    session = RememberingSession(sqlite("s2"), memory)
    model = Scripted([says("Let me see."), calls("clock")], [calls("clock", id="c2")], [says("On Fridays.")])
    agent = Agent("a", model=model, tools=[clock])
    result = await run(how, agent, ASK, session=session, run_config=recalling(memory))

    assert memory.asked == [ASK]
    block = model.inputs[0][0]["content"]
    assert SHIP in block
    noon = "It is noon."
    assert [texts(given) for given in model.inputs] == [
        [block, ASK],
        [block, ASK, "Let me see.", "clock", noon],
        [block, ASK, "Let me see.", "clock", noon, "clock", noon],
    ]
    assert block not in texts(result.to_input_list())
    assert block not in texts(await session.get_items())
    said = [("s2", "user", ASK), ("s2", "assistant", "Let me see."), ("s2", "assistant", "On Fridays.")]
    assert (await stored(client))[1:] == said


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", ["plain", "without tools", "one text"])
async def test_a_handoff_belongs_to_the_turn(client: AsyncSekhaClient, how: str, kind: str) -> None:
    memory = Watched(client, ANN)
    second = Scripted([calls("clock", id="c3")], [says("I am b.")])
    first = Scripted([calls("clock", id="c1")], [calls("transfer_to_b", id="c2")])
    b = Agent("b", model=second, tools=[clock])
    to_b = handoff(b, input_filter=handoff_filters.remove_all_tools if kind == "without tools" else None)
    config = recalling(memory, nest_handoff_history=kind == "one text")
    await run(how, Agent("a", model=first, tools=[clock], handoffs=[to_b]), ASK, run_config=config)

    assert memory.asked == [ASK]
    for given in [*first.inputs, *second.inputs]:
        assert texts(given).count(f"<memory>1: {ASK}</memory>") == 1
        if kind != "one text" or given in first.inputs:
            assert texts(given)[:2] == [f"<memory>1: {ASK}</memory>", ASK]


@pytest.mark.parametrize("traced", [False, True])
async def test_the_same_question_in_another_run_is_asked_anew(client: AsyncSekhaClient, traced: bool) -> None:
    memory = Watched(client, ANN)
    model = Scripted([calls("clock")], [says("1")], [calls("clock")], [says("2")])
    agent, config = Agent("a", model=model, tools=[clock]), recalling(memory)
    if traced:
        with trace("both"):
            await Runner.run(agent, ASK, run_config=config)
            await Runner.run(agent, ASK, run_config=config)
    else:
        await Runner.run(agent, ASK, run_config=config)
        await Runner.run(agent, ASK, run_config=config)
    assert [texts(given)[0][8:11] for given in model.inputs] == ["1: ", "1: ", "2: ", "2: "]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("traced", [False, True])
async def test_runs_at_the_same_time_do_not_mix(client: AsyncSekhaClient, how: str, traced: bool) -> None:
    """One agent, one filter and one memory for all of them."""
    memory = Watched(client, ANN)
    everybody = asyncio.Barrier(5) if hasattr(asyncio, "Barrier") else None

    async def meets(_: Any) -> list[Any]:
        if everybody is not None:
            await everybody.wait()
        else:
            await asyncio.sleep(0.05)
        return [calls("clock")]

    async def answers(given: Any) -> list[Any]:
        return [says(f"That was {texts(given)[1]}")]

    agent = Agent("a", model=Scripted(*[meets] * 5, answers), tools=[clock])
    config = recalling(memory)

    async def one(number: int) -> None:
        session = RememberingSession(sqlite(f"s{number}"), memory)
        result = await run(how, agent, f"Question {number}", session=session, run_config=config)
        assert result.final_output == f"That was Question {number}"

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(5)))

    if traced:
        with trace("all"):
            await all_of_them()
    else:
        await all_of_them()
    assert isinstance(agent.model, Scripted)
    for given in agent.model.inputs:
        block, question = texts(given)[:2]
        assert block.endswith(f"{question}</memory>")
    assert sorted(memory.asked) == [f"Question {number}" for number in range(5)]
    by_session = {label: [text for own, _, text in await stored(client) if own == label] for label in ("s0", "s4")}
    assert by_session == {
        "s0": ["Question 0", "That was Question 0"],
        "s4": ["Question 4", "That was Question 4"],
    }


# Turns that fail


@input_guardrail
async def no_input(*_: Any) -> GuardrailFunctionOutput:
    """Reject all."""
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)


@output_guardrail
async def no_output(*_: Any) -> GuardrailFunctionOutput:
    """Reject all."""
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("case", ["input", "output", "turns", "model", "first"])
async def test_a_turn_that_failed_is_not_remembered(client: AsyncSekhaClient, how: str, case: str) -> None:
    session = RememberingSession(sqlite("s1"), AsyncMemory(client, ANN))
    endless = Scripted([calls("clock")], [calls("clock", id="c2")], [calls("clock", id="c3")])
    agent, expected = {
        "input": (
            Agent("a", model=Scripted([says("Bad.")]), input_guardrails=[no_input]),
            InputGuardrailTripwireTriggered,
        ),
        "output": (
            Agent("a", model=Scripted([says("Bad.")]), output_guardrails=[no_output]),
            OutputGuardrailTripwireTriggered,
        ),
        "turns": (Agent("a", model=endless, tools=[clock]), MaxTurnsExceeded),
        "model": (Agent("a", model=Scripted([calls("clock")], RuntimeError("gone")), tools=[clock]), RuntimeError),
        "first": (Agent("a", model=Scripted(RuntimeError("gone"))), RuntimeError),
    }[case]
    with pytest.raises(expected):
        await run(how, agent, "Failed.", session=session, max_turns=2)
    assert await stored(client) == []
    assert texts(await session.get_items())[0] == "Failed."  # the SDK keeps what was said

    await run(how, Agent("a", model=Scripted([says("Noted.")])), SHIP, session=session)
    assert await stored(client) == [("s1", "user", SHIP), ("s1", "assistant", "Noted.")]


async def test_a_turn_that_is_tried_again_is_stored_once(client: AsyncSekhaClient) -> None:
    session = RememberingSession(sqlite("s1"), AsyncMemory(client, ANN))
    agent = Agent("a", model=Scripted(RuntimeError("gone"), [says("Noted.")]))
    with pytest.raises(RuntimeError):
        await Runner.run(agent, SHIP, session=session)
    await session.pop_item()
    assert await session.get_items() == []
    await Runner.run(agent, SHIP, session=session)
    assert await stored(client) == [("s1", "user", SHIP), ("s1", "assistant", "Noted.")]


async def test_what_is_taken_back_before_the_answer_is_not_remembered(client: AsyncSekhaClient) -> None:
    session = RememberingSession(sqlite("s1"), AsyncMemory(client, ANN))
    await session.add_items([{"role": "user", "content": "My PIN is 1234."}])
    await session.pop_item()
    await session.add_items([{"role": "user", "content": SHIP}])
    await session.clear_session()
    assert await session.pop_item() is None
    await session.add_items([{"role": "user", "content": "Hello."}])
    await session.add_items([{"role": "assistant", "content": "Hi."}])
    assert await stored(client) == [("s1", "user", "Hello."), ("s1", "assistant", "Hi.")]


async def test_a_stream_that_is_cancelled_is_not_remembered(client: AsyncSekhaClient) -> None:
    session = RememberingSession(sqlite("s1"), AsyncMemory(client, ANN))
    streamed = Runner.run_streamed(Agent("a", model=Scripted([says("A long answer.")])), SHIP, session=session)
    async for event in streamed.stream_events():
        if event.type == "raw_response_event":
            streamed.cancel()
    assert await stored(client) == []
    await Runner.run(Agent("a", model=Scripted([says("Hi.")])), "Hello.", session=session)
    assert await stored(client) == [("s1", "user", "Hello."), ("s1", "assistant", "Hi.")]


async def test_a_cancellation_while_it_remembers_goes_through(client: AsyncSekhaClient) -> None:
    class Slow(AsyncMemory):
        async def remember(self, *args: Any, **options: Any) -> Any:
            await super().remember(*args, **options)
            stored_it.set()
            await asyncio.Event().wait()

    stored_it = asyncio.Event()
    session = RememberingSession(sqlite("s1"), Slow(client, ANN))
    agent = Agent("a", model=Scripted([says("Noted.")]))
    task = asyncio.create_task(Runner.run(agent, SHIP, session=session))
    await stored_it.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert texts(await session.get_items()) == [SHIP, "Noted."]
    again = RememberingSession(session.underlying_session, AsyncMemory(client, ANN))
    await Runner.run(Agent("a", model=Scripted([says("Hi.")])), "Hello.", session=again)
    assert [text for _, _, text in await stored(client)] == [SHIP, "Noted.", "Hello.", "Hi."]


@pytest.mark.parametrize("how", HOWS)
async def test_a_run_goes_on_without_memory(how: str) -> None:
    errors: list[Any] = []
    async with AsyncSekhaClient(controller_url="http://127.0.0.1:9", api_key="sk-none", max_retries=0) as gone:
        model = Scripted([says("Hi.")])
        session = RememberingSession(sqlite("s1"), AsyncMemory(gone, ANN))
        with pytest.warns(SekhaWarning) as caught:
            result = await run(how, Agent("a", model=model), ASK, session=session, run_config=recalling(session.memory))
        assert result.final_output == "Hi."
        assert len(caught) == 2
        assert "unavailable" in model.inputs[0][0]["content"]
        assert texts(model.inputs[0])[1] == ASK

        told = AsyncMemory(gone, ANN, on_error=errors.append)
        await run(how, Agent("a", model=model), ASK, session=RememberingSession(sqlite("s2"), told))
        assert [type(error) for error in errors] == [SekhaConnectionError]

        strict = RememberingSession(sqlite("s3"), AsyncMemory(gone, ANN, on_error="raise"))
        with pytest.raises(SekhaConnectionError):
            await run(how, Agent("a", model=model), ASK, session=strict)
        with pytest.raises(SekhaConnectionError):
            await run(how, Agent("a", model=model), ASK, run_config=recalling(strict.memory))


# Sessions


def test_run_sync(sekha: LocalSekha) -> None:
    """In a thread whose event loop is closed afterwards: the SDK leaves its own open."""

    def in_thread() -> list[str]:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        client = AsyncSekhaClient(**sekha.options)
        for text in (SHIP, ASK):
            session = RememberingSession(sqlite(text), AsyncMemory(client, ANN))
            model = Scripted([says("Noted.")])
            Runner.run_sync(Agent("a", model=model), text, session=session, run_config=recalling(session.memory))
        loop.run_until_complete(client.aclose())
        loop.close()
        return texts(model.inputs[0])

    with ThreadPoolExecutor(1) as thread:
        assert SHIP in thread.submit(in_thread).result()[0]


async def test_a_run_that_is_resumed_elsewhere_is_remembered_whole(client: AsyncSekhaClient, tmp_path: Any) -> None:
    @function_tool(needs_approval=True)
    def pay() -> str:
        """Pay."""
        return "Paid."

    def session() -> RememberingSession:
        return RememberingSession(sqlite("s1", tmp_path / "sessions.db"), AsyncMemory(client, ANN))

    agent = Agent("a", model=Scripted([calls("pay")], [says("It is paid.")]), tools=[pay])
    await Runner.run(Agent("a", model=Scripted([says("Hi.")])), "Hello.", session=session())
    first = await Runner.run(agent, "Pay it.", session=session())
    state = first.to_state()
    for interruption in first.interruptions:
        state.approve(interruption)
    result = await asyncio.create_task(Runner.run(agent, state, session=session()))
    assert result.final_output == "It is paid."
    assert [text for _, _, text in await stored(client)] == ["Hello.", "Hi.", "Pay it.", "It is paid."]


async def test_a_result_of_a_tool_is_no_answer(client: AsyncSekhaClient) -> None:
    session = RememberingSession(sqlite("s1"), AsyncMemory(client, ANN))
    model = Scripted([calls("clock")], [calls("clock", id="c2")])
    agent = Agent("a", model=model, tools=[clock], tool_use_behavior="stop_on_first_tool")
    result = await Runner.run(agent, "What time is it?", session=session)
    assert result.final_output == "It is noon."
    assert await stored(client) == []
    await session.memory.remember([{"role": "user", "content": "What time is it?"}])
    assert len(await stored(client)) == 1


async def test_a_message_of_the_agent_alone_is_remembered_alone(client: AsyncSekhaClient) -> None:
    session = RememberingSession(sqlite("s1"), AsyncMemory(client, ANN))
    await session.add_items([{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi."}])
    await session.add_items([{"role": "assistant", "content": "Are you there?"}])
    assert [text for _, _, text in await stored(client)] == ["Hello.", "Hi.", "Are you there?"]


async def test_answers_with_the_same_id_are_all_remembered(client: AsyncSekhaClient) -> None:
    session = RememberingSession(sqlite("s1"), AsyncMemory(client, ANN))
    agent = Agent("a", model=Scripted([says("One.", "__fake_id__")], [says("Two.", "__fake_id__")]))
    await Runner.run(agent, "1", session=session)
    await Runner.run(agent, "2", session=session)
    assert [text for _, _, text in await stored(client)] == ["1", "One.", "2", "Two."]


async def test_parts_images_and_thoughts_pass_by(client: AsyncSekhaClient) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"}
    question: Any = {"role": "user", "content": [{"type": "input_text", "text": "What is it?"}, image]}
    thought: Any = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}
    session = RememberingSession(sqlite("s1"), AsyncMemory(client, ANN), tool_results=True)
    model = Scripted([calls("clock")], [says("A dot.")])
    agent = Agent("a", model=model, tools=[clock])
    result = await Runner.run(agent, [question], session=session, run_config=recalling(session.memory))
    assert model.inputs[0][-1] == question
    await session.add_items([{"role": "user", "content": [image]}, thought, {"role": "assistant", "content": "Hm?"}])
    assert await session.get_items(2) == [thought, {"role": "assistant", "content": "Hm?"}]
    assert result.to_input_list()[0] == question
    said = ["What is it?", "[clock] It is noon.", "A dot.", "Hm?"]
    assert [text for _, _, text in await stored(client)] == said


async def test_the_session_becomes_the_label_and_is_not_recalled(client: AsyncSekhaClient) -> None:
    plain, named = AsyncMemory(client, ANN), AsyncMemory(client, Scope("shop", "ann", "own"))
    for memory, session_id in ((plain, "s1"), (named, "s2")):
        session = RememberingSession(sqlite(session_id), memory)
        agent = Agent("a", model=Scripted([says("Noted.")]))
        await Runner.run(agent, f"{SHIP} {session_id}", session=session)
    assert [label for label, role, _ in await stored(client) if role == "user"] == ["s1", "own"]

    session = RememberingSession(sqlite("s1"), plain)
    model = Scripted([says("Noted.")])
    await Runner.run(Agent("a", model=model), ASK, session=session, run_config=recalling(session.memory))
    assert f"{SHIP} s2" in str(model.inputs)
    assert f"{SHIP} s1" not in str(model.inputs)


async def test_the_wrapper_is_for_sessions_that_want_it(client: AsyncSekhaClient) -> None:
    class Wants(SQLiteSession):
        async def get_items(self, limit: Any = None, *, wrapper: Any = None) -> Any:
            seen.append(wrapper)
            return await super().get_items(limit)

        async def add_items(self, items: Any, *, wrapper: Any = None) -> None:
            seen.append(wrapper)
            await super().add_items(items)

        async def pop_item(self, *, wrapper: Any = None) -> Any:
            return await super().pop_item()

        async def clear_session(self, *, wrapper: Any = None) -> None:
            await super().clear_session()

    def agent() -> Agent[Any]:
        return Agent("a", model=Scripted([calls("clock")], [says("Noted.")]), tools=[clock])

    seen: list[Any] = []
    await Runner.run(agent(), SHIP, session=closed_later(Wants("s0")), context="mine")
    naked = [getattr(wrapper, "context", None) for wrapper in seen]
    seen.clear()
    session = RememberingSession(closed_later(Wants("s1")), AsyncMemory(client, ANN))
    await Runner.run(agent(), SHIP, session=session, context="mine")
    assert [getattr(wrapper, "context", None) for wrapper in seen] == naked
    assert len(await stored(client)) == 2


async def test_what_only_some_sessions_have_is_passed_on(client: AsyncSekhaClient) -> None:
    class Special(SQLiteSession):
        mode = "auto"

        async def run_compaction(self, args: Any = None) -> None:
            compacted.append(args)

    compacted: list[Any] = []
    inner = Special("s1")
    closed_later(inner)
    session = RememberingSession(inner, AsyncMemory(client, ANN))
    assert isinstance(session, RememberingSession)
    assert isinstance(session, Special)
    session.session_id, session.mode = "s2", "input"
    session.session_settings = None
    assert (inner.session_id, inner.mode, session.mode, inner.session_settings) == ("s2", "input", "input", None)
    del session.mode
    assert inner.mode == "auto"
    assert session.memory.scope.session == "s2"
    with pytest.raises(AttributeError):
        _ = session.nonsense
    await Runner.run(Agent("a", model=Scripted([says("Noted.")])), SHIP, session=session)
    assert [args["response_id"] for args in compacted] == ["resp_1"]


class Conversations:
    """What a session asks of OpenAI's client."""

    def __init__(self) -> None:
        self.created: list[list[Any]] = []
        self.conversations = self.items = self

    async def create(self, conversation_id: str = "", *, items: list[Any]) -> Any:
        if conversation_id:
            self.created.append(items)
        return SimpleNamespace(id="conv_1")

    def list(self, **_: Any) -> Any:
        return _nothing()


async def _nothing() -> AsyncIterator[Any]:
    for item in list[Any]():
        yield item


async def test_openai_gets_the_same_of_a_conversation(client: AsyncSekhaClient) -> None:
    """The SDK takes ids out of what it stores there, and knows such sessions by their class."""
    sent = []
    for remembers in (False, True):
        openai: Any = Conversations()
        inner = OpenAIConversationsSession(openai_client=openai)
        session: Any = RememberingSession(inner, AsyncMemory(client, ANN)) if remembers else inner
        if remembers:
            assert session.memory.scope.session is None
        agent = Agent("a", model=Scripted([calls("clock")], [says("Noon.")]), tools=[clock])
        await Runner.run(agent, "What time is it?", session=session)
        sent.append(openai.created)
    assert sent[0] == sent[1]
    assert "msg_1" not in str(sent)
    assert await stored(client) == [("conv_1", "user", "What time is it?"), ("conv_1", "assistant", "Noon.")]


async def test_a_history_that_is_compacted_is_remembered_once(client: AsyncSekhaClient) -> None:
    async def compact(**_: Any) -> Any:
        return SimpleNamespace(output=[{"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}], usage=None)

    openai: Any = SimpleNamespace(responses=SimpleNamespace(compact=compact))
    inner = sqlite("s1")
    compacting = OpenAIResponsesCompactionSession("s1", inner, client=openai, should_trigger_compaction=lambda _: True)
    session = RememberingSession(compacting, AsyncMemory(client, ANN))
    for text in ("One.", "Two."):
        await Runner.run(Agent("a", model=Scripted([says(f"{text} Noted.")])), text, session=session)
    assert [item.get("type") for item in await inner.get_items()] == ["compaction"]
    assert [text for _, _, text in await stored(client)] == ["One.", "One. Noted.", "Two.", "Two. Noted."]


# Filters


async def test_a_filter_of_your_own_comes_first(client: AsyncSekhaClient) -> None:
    memory = Watched(client, ANN)

    def masked(data: CallModelData[Any]) -> ModelInputData:
        items: list[Any] = [{**item, "content": "When do we ***?"} for item in data.model_data.input]
        return ModelInputData(input=items, instructions="Be brief.")

    async def masked_later(data: CallModelData[Any]) -> ModelInputData:
        await asyncio.sleep(0)
        return masked(data)

    for own in (masked, masked_later):
        model = Scripted([says("Hi.")])
        config = RunConfig(call_model_input_filter=recall_filter(memory, after=own, limit=2, max_tokens=50))
        await Runner.run(Agent("a", model=model), ASK, run_config=config)
        assert texts(model.inputs[0])[1:] == ["When do we ***?"]
    assert memory.asked == ["When do we ***?"] * 2


async def test_the_items_of_the_run_are_passed_on_themselves(client: AsyncSekhaClient) -> None:
    items: list[Any] = [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": ASK}]
    data = CallModelData(ModelInputData(list(items), "Be brief."), Agent("a"), None)
    changed: Any = recall_filter(Watched(client, ANN))(data)
    found = await changed
    assert [found.input[0] is items[0], found.input[2] is items[1], found.instructions] == [True, True, "Be brief."]
    assert data.model_data.input == items


async def test_nothing_is_put_into_what_openai_goes_on_with(client: AsyncSekhaClient) -> None:
    """With `previous_response_id` the later calls have only results of tools."""
    memory = Watched(client, ANN)
    model = Scripted([calls("clock")], [says("Noon.")])
    agent = Agent("a", model=model, tools=[clock])
    await Runner.run(agent, ASK, previous_response_id="resp_0", run_config=recalling(memory))
    assert [len(texts(given)) for given in model.inputs] == [2, 1]
    assert memory.asked == [ASK]


async def test_an_agent_as_a_tool_has_a_turn_of_its_own(client: AsyncSekhaClient) -> None:
    memory = Watched(client, ANN)
    inner, outer = Scripted([says("Noon.")]), Scripted([calls("ask", '{"input": "The time?"}')], [says("It is noon.")])
    tool = Agent("b", model=inner).as_tool("ask", "Ask for the time.")  # it inherits the filter
    config = recalling(memory)
    await Runner.run(Agent("a", model=outer, tools=[tool]), ASK, run_config=config)
    assert memory.asked == [ASK, "The time?"]
    assert [texts(given)[:2] for given in outer.inputs] == [[f"<memory>1: {ASK}</memory>", ASK]] * 2
    assert texts(inner.inputs[0]) == ["<memory>2: The time?</memory>", "The time?"]


async def test_a_stream_that_stops_after_a_call_is_not_remembered(client: AsyncSekhaClient) -> None:
    session = RememberingSession(sqlite("s1"), AsyncMemory(client, ANN))
    agent = Agent("a", model=Scripted([says("Let me see."), calls("clock")], [says("Noon.")]), tools=[clock])
    streamed = Runner.run_streamed(agent, "What time is it?", session=session)
    async for event in streamed.stream_events():
        if event.type == "raw_response_event":
            streamed.cancel(mode="after_turn")
    assert await stored(client) == []


async def test_an_image_alone_asks_for_nothing(client: AsyncSekhaClient) -> None:
    memory = Watched(client, ANN)
    image: Any = {"role": "user", "content": [{"type": "input_image", "image_url": "https://x.example/y.png"}]}
    model = Scripted([says("A dot.")])
    with trace("both"):
        await Runner.run(Agent("a", model=model), ASK, run_config=recalling(memory))
        await Runner.run(Agent("a", model=model), [image], run_config=recalling(memory))
    assert memory.asked == [ASK]
    assert model.inputs[1] == [image]


# Tools


async def test_a_model_uses_the_memory_by_itself(client: AsyncSekhaClient) -> None:
    memory = AsyncMemory(client, ANN)
    settings = ModelSettings(tool_choice="auto")
    first = Scripted([calls("remember", '{"text": "Ann likes tea."}')], [says("I shall.")])
    await Runner.run(Agent("a", model=first, tools=[*memory_tools(memory)], model_settings=settings), "Note it.")
    second = Scripted([calls("search_memory", '{"query": "tea", "limit": 3}')], [says("Tea.")])
    session = RememberingSession(sqlite("s2"), memory, tool_results=True)
    agent = Agent("a", model=second, tools=[*memory_tools(session.memory)], model_settings=settings)
    await Runner.run(agent, "What does Ann like?", session=session)
    assert "Ann likes tea." in texts(second.inputs[-1])[-1]
    assert [text for _, _, text in await stored(client)] == ["Ann likes tea.", "What does Ann like?", "Tea."]


async def test_a_call_that_cannot_be_made_is_a_result_for_the_model(client: AsyncSekhaClient) -> None:
    model = Scripted([calls("search_memory", '{"limit": 3}')], [calls("remember", "no JSON", "c2")], [says("Well.")])
    await Runner.run(Agent("a", model=model, tools=[*memory_tools(AsyncMemory(client, ANN))]), "What do I like?")
    results = [item["output"] for item in model.inputs[-1] if item.get("type") == "function_call_output"]
    assert results[0] == "query: is required"
    assert "JSON" in results[1]
    assert await stored(client) == []


# Bad arguments


async def test_what_cannot_be_used_is_refused_at_once(sekha: LocalSekha, client: AsyncSekhaClient) -> None:
    memory: Any = AsyncMemory(client, ANN)
    session: Any = sqlite("s1")
    other: Any
    with SekhaClient(**sekha.options) as blocking:
        for other in (Memory(blocking, ANN), client, None):
            for make in (partial(RememberingSession, session), recall_filter, memory_tools):
                with pytest.raises(SekhaValidationError, match=r"^memory: must be an AsyncMemory, not") as refused:
                    make(other)
                assert refused.value.field == "memory"
    options: list[dict[str, Any]] = [{"limit": 0}, {"min_score": 2}, {"max_tokens": "many"}]
    for option in options:
        with pytest.raises(SekhaValidationError) as refused:
            recall_filter(memory, **option)
        assert [refused.value.field] == list(option)
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"^RememberingSession cannot be pickled or copied"):
            copied(RememberingSession(session, memory))
    for other in (None, "s1", SQLiteSession, object()):
        with pytest.raises(SekhaValidationError, match="must be a session of the Agents SDK") as refused:
            RememberingSession(other, memory)
        assert refused.value.field == "underlying"
    with pytest.raises(SekhaValidationError, match=r"^after: must be a function, not str"):
        recall_filter(memory, after="trim")  # type: ignore[arg-type]  # that is what is tested
