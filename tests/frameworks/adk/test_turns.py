"""Turns of an agent: what its model is given, and what is stored of them."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from google.adk.agents import LlmAgent
from google.adk.memory import InMemoryMemoryService
from google.adk.models import LlmResponse
from google.adk.sessions import InMemorySessionService
from google.genai import types

from sekha import AsyncSekhaClient, SekhaError, SekhaServerError, SekhaValidationError, SekhaWarning
from sekha.integrations.adk import SekhaMemoryService, recall_before_model, remember_after_agent
from sekha.testing import (
    ScriptedSekha,
    answer_with,
    async_check_no_feedback_loop,
    async_check_no_leak,
    cut_after_work,
    hold,
)

from .conftest import Shop, Stored, call, seen, text

CREATE, QUERY, WORDS = "POST /api/v1/conversations", "POST /api/v1/query", "POST /api/v1/search/fts"
SHIP, ASKED = "We ship on Fridays.", "When do we ship?"
TURN = [("/shop/ann", "s1", "assistant", "Noted."), ("/shop/ann", "s1", "user", SHIP)]


def asked(faulty: ScriptedSekha) -> int:
    """How often the memory was searched."""
    return sum(request.line == QUERY for request in faulty.requests)


def clock() -> str:
    """Tell the time."""
    return "It is noon."


# The main job


async def test_what_was_said_in_one_session_is_known_in_the_next(shop: Shop, stored: Stored) -> None:
    await shop.turn(SHIP)
    assert await stored() == TURN
    await shop.turn(ASKED, session="s2")
    block, question = shop.model.given[-1].contents
    assert (block.role, question) == ("user", text(ASKED, role="user"))
    assert block.parts[0].text.startswith("<memory>\n")
    assert SHIP in block.parts[0].text
    assert SHIP not in str(shop.model.given[-1].config.system_instruction)
    assert "<memory>" not in (await shop.session(id="s2")).model_dump_json()


async def test_the_first_turn_is_given_nothing(shop: Shop) -> None:
    await shop.turn(SHIP)
    assert shop.model.given[0].contents == [text(SHIP, role="user")]


async def test_a_running_session_is_not_told_what_it_has_said(shop: Shop) -> None:
    await shop.turn(SHIP)
    await shop.turn(ASKED)
    assert [content.parts[0].text for content in shop.model.given[-1].contents] == [SHIP, "Noted.", ASKED]


async def test_all_calls_of_the_model_in_a_turn_get_the_same_block_before_the_message(
    memory: SekhaMemoryService, faulty: ScriptedSekha
) -> None:
    shop = Shop(memory, tools=[clock])
    await shop.turn(SHIP)
    before = asked(faulty)
    shop.model.say(call("clock"), call("clock"), text("On Friday at noon."))
    await shop.turn(ASKED, session="s2")
    assert asked(faulty) == before + 1
    requests = [request.contents for request in shop.model.given[1:]]
    assert [len(request) for request in requests] == [2, 4, 6]
    assert all(request[:2] == requests[0] for request in requests)
    assert "It is noon." in str(requests[1][3].parts[0].function_response.response)


async def test_a_block_is_before_the_message_when_another_agent_takes_over(
    memory: SekhaMemoryService, stored: Stored, faulty: ScriptedSekha
) -> None:
    callbacks: Any = {"before_model_callback": recall_before_model, "after_agent_callback": remember_after_agent}
    shop = Shop(memory)
    await shop.turn(SHIP)
    helper = LlmAgent(name="helper", model=shop.model, description="Helps.", **callbacks)
    both = Shop(memory, sub_agents=[helper])
    helper.model = both.model
    both.model.say(call("transfer_to_agent", agent_name="helper"), text("On Fridays."))
    await both.turn(ASKED, session="s2")
    contents = both.model.given[-1].contents
    assert SHIP in contents[0].parts[0].text
    assert contents[1] == text(ASKED, role="user")
    assert sum("<memory>" in (part.text or "") for one in contents for part in one.parts) == 1
    assert await stored() == sorted(  # both agents have the callback, and each message is there once
        [*TURN, ("/shop/ann", "s2", "user", ASKED), ("/shop/ann", "s2", "assistant", "On Fridays.")]
    )


# Whose it is


class Adapter:
    """Each message is a turn in a session of its own."""

    def __init__(self, shop: Shop, user: str, session: str) -> None:
        self._shop, self._user, self._session = shop, user, session

    async def remember(self, messages: Sequence[Mapping[str, object]], /) -> object:
        """Say it."""
        return [await self._shop.turn(str(message["content"]), self._user, self._session) for message in messages]

    async def block(self, query: str, /) -> object:
        """Ask, and look at what the model was given."""
        await self._shop.turn(query, self._user, self._session)
        return seen(self._shop.model.given[-1])


async def test_no_user_sees_what_another_said(shop: Shop) -> None:
    sessions = map(str, range(100))
    await async_check_no_leak(lambda user: Adapter(shop, user, next(sessions)))


async def test_what_was_recalled_is_not_remembered(shop: Shop, client: AsyncSekhaClient) -> None:
    async def run_turn(session: str, said: str, /) -> object:
        await shop.turn(said, session=session)
        return seen(shop.model.given[-1])

    await async_check_no_feedback_loop(run_turn, client.in_folder("/shop", "ann"))


async def test_users_at_the_same_time_do_not_mix(shop: Shop, stored: Stored) -> None:
    users = ["ann", "bob", "zoë", "s1"]
    await asyncio.gather(*(shop.turn(f"The code of {user} is {user * 2}.", user, "s1") for user in users))
    await asyncio.gather(*(shop.turn(f"What is the code of {user}?", user, "s2") for user in users))
    for request in shop.model.given[len(users) :]:
        user = next(user for user in users if f"What is the code of {user}?" in seen(request))
        assert {other for other in users if f"is {other * 2}." in seen(request)} == {user}
    assert len(await stored()) == 4 * len(users)


async def test_a_tenant_may_have_a_client_of_its_own(client: AsyncSekhaClient, stored: Stored) -> None:
    asked: list[Any] = []

    def client_of(scope: Any) -> AsyncSekhaClient:
        asked.append(scope)
        return client.in_folder("/tenant")

    shop = Shop(SekhaMemoryService(client_of))
    await shop.turn(SHIP)
    assert {row[0] for row in await stored()} == {"/tenant/shop/ann"}
    assert {(scope.app, scope.user) for scope in asked} == {("shop", "ann")}


# What is stored


async def test_only_what_was_said_is_stored(memory: SekhaMemoryService, stored: Stored) -> None:
    shop = Shop(memory, tools=[clock])
    picture = types.Part(inline_data=types.Blob(data=b"\x89PNG", mime_type="image/png"))
    said = types.Content(role="user", parts=[types.Part(text="What is this,"), picture, types.Part(text="and when?")])
    thought = types.Part(text="I wonder.", thought=True)
    shop.model.say(
        types.Content(role="model", parts=[thought, *call("clock").parts]),
        types.Content(role="model", parts=[thought, types.Part(text="A ship at noon.")]),
    )
    await shop.turn(said)
    expected = [("assistant", "A ship at noon."), ("user", "What is this,\nand when?")]
    assert [row[2:] for row in await stored()] == expected
    assert shop.model.given[0].contents == [said]


async def test_a_stream_is_stored_once_when_it_has_ended(shop: Shop, stored: Stored) -> None:
    whole = LlmResponse(content=text("On Fridays."), partial=False)
    parts = [LlmResponse(content=text("On "), partial=True), LlmResponse(content=text("Fridays."), partial=True)]
    shop.model.say([*parts, whole])
    events = await shop.turn(ASKED, stream=True)
    assert [bool(event.partial) for event in events] == [True, True, False]
    assert [row[2:] for row in await stored()] == [("assistant", "On Fridays."), ("user", ASKED)]


async def test_a_turn_that_fails_is_not_stored(shop: Shop, stored: Stored) -> None:
    shop.model.say([LlmResponse(content=text("On "), partial=True), RuntimeError("the model is gone")])
    with pytest.raises(RuntimeError, match="the model is gone"):
        await shop.turn(ASKED, stream=True)
    assert await stored() == []


async def test_a_turn_that_is_left_is_not_stored(shop: Shop, stored: Stored) -> None:
    parts = [LlmResponse(content=text("On "), partial=True), LlmResponse(content=text("On Fridays."), partial=False)]
    shop.model.say(parts)
    await shop.session()
    events = shop.run(ASKED, stream=True)
    await events.__anext__()
    await events.aclose()
    assert await stored() == []


async def test_a_turn_is_stored_once_however_often_it_is_given(
    shop: Shop, memory: SekhaMemoryService, stored: Stored
) -> None:
    await shop.turn(SHIP)
    session = await shop.session()
    for _ in range(3):
        await memory.add_session_to_memory(session)
    await memory.add_events_to_memory(app_name="shop", user_id="ann", session_id="s1", events=session.events)
    assert await stored() == TURN


# When the memory fails


async def test_a_memory_that_is_down_lets_the_run_go_on_and_the_model_know(
    shop: Shop, faulty: ScriptedSekha, stored: Stored
) -> None:
    for line in (QUERY, WORDS, CREATE):
        faulty.fail(line, answer_with(503), times=None)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", SekhaWarning)
        events = await shop.turn(ASKED)
    assert [str(warning.message).split(":")[0] for warning in warned] == [
        "the memory search failed, and nothing is recalled",
        "the turn was not stored",
    ]
    assert [event.content.parts[0].text for event in events] == ["Noted."]
    block, question = shop.model.given[0].contents
    assert "is unavailable" in block.parts[0].text
    assert question == text(ASKED, role="user")
    assert await stored() == []


async def test_a_memory_that_is_down_can_end_the_run(client: AsyncSekhaClient, faulty: ScriptedSekha) -> None:
    faulty.fail(QUERY, answer_with(503), times=None)
    with pytest.raises(SekhaServerError):
        await Shop(SekhaMemoryService(client, on_error="raise")).turn(ASKED)


async def test_what_may_have_been_stored_is_not_stored_again(
    client: AsyncSekhaClient, faulty: ScriptedSekha, stored: Stored
) -> None:
    problems: list[SekhaError] = []
    memory = SekhaMemoryService(client, on_error=problems.append)
    shop = Shop(memory)
    faulty.fail(CREATE, cut_after_work())
    await shop.turn(SHIP)
    await memory.add_session_to_memory(await shop.session())
    assert [problem.may_have_been_applied for problem in problems] == [True]
    assert await stored() == TURN


async def test_a_run_that_is_cancelled_while_it_remembers_stores_nothing_twice(
    shop: Shop, memory: SekhaMemoryService, faulty: ScriptedSekha, stored: Stored
) -> None:
    answer = threading.Event()
    faulty.fail(CREATE, hold(answer))
    run = asyncio.ensure_future(shop.turn(SHIP))
    while await stored() != TURN:  # noqa: ASYNC110  # a server stores it, which sets no event
        await asyncio.sleep(0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    answer.set()
    await memory.add_session_to_memory(await shop.session())
    assert await stored() == TURN


async def test_callbacks_without_the_service_say_what_is_missing() -> None:
    shop = Shop(InMemoryMemoryService())
    with pytest.raises(SekhaValidationError, match="memory_service: must be a SekhaMemoryService, not InMemoryMemory"):
        await shop.turn(ASKED)
    assert isinstance(shop.sessions, InMemorySessionService)
