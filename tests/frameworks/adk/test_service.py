"""The memory service by itself: what is stored and found, what is refused, and `adk api_server`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Optional

import httpx
import pytest
from google.adk.events import Event
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions.session import Session
from google.adk.tools import load_memory, preload_memory
from google.genai import types

from sekha import AsyncSekhaClient, SekhaClient, SekhaServerError, SekhaValidationError, SekhaWarning
from sekha.integrations.adk import SekhaMemoryService, memory_service_from_uri
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Memory, Scope
from sekha.testing import ScriptedSekha, answer_with

from .conftest import Shop, Stored, call, seen, text

CREATE, QUERY, WORDS, LIST = (
    "POST /api/v1/conversations",
    "POST /api/v1/query",
    "POST /api/v1/search/fts",
    "GET /api/v1/conversations",
)
SHIP, ASKED = "We ship on Fridays.", "When do we ship?"
NO_CALLBACKS: Any = {"before_model_callback": None, "after_agent_callback": None}
ANN: Any = {"app_name": "shop", "user_id": "ann"}


def session_of(*said: str, id: str = "s1") -> Session:
    """A session in which the user and the agent say something in turns."""
    events = [
        Event(id=f"{id}-{i}", author="seller" if i % 2 else "user", content=text(one)) for i, one in enumerate(said)
    ]
    return Session(id=id, app_name="shop", user_id="ann", events=events)


def texts(rows: Any) -> list[str]:
    """The texts of what is stored."""
    return [row[3] for row in rows]


# Sessions


async def test_a_session_that_is_added_three_times_is_stored_once(memory: SekhaMemoryService, stored: Stored) -> None:
    for _ in range(3):
        await memory.add_session_to_memory(session_of(SHIP, "Noted."))
    assert texts(await stored()) == ["Noted.", SHIP]


async def test_of_a_session_that_grew_only_what_is_new_is_stored(memory: SekhaMemoryService, stored: Stored) -> None:
    await memory.add_session_to_memory(session_of(SHIP))
    await memory.add_session_to_memory(session_of(SHIP, "Noted.", "Thanks."))
    assert texts(await stored()) == ["Noted.", "Thanks.", SHIP]


@pytest.mark.parametrize(
    "before",
    [(SHIP,), ("Noted.",), ("ok", "Noted."), (SHIP, "Noted.", "ok", "ok"), ("an older one", SHIP)],
    ids=["the first", "one of the middle", "some", "all", "and another"],
)
async def test_what_another_process_stored_of_a_session_is_not_stored_again(
    client: AsyncSekhaClient, stored: Stored, before: tuple[str, ...]
) -> None:
    said = (SHIP, "Noted.", "ok", "ok")  # a text may be there twice, by the same person too
    roles = {SHIP: "user", "Noted.": "assistant", "an older one": "user"}
    given = {"ok": ["user", "assistant"]}
    other = AsyncMemory(client, Scope("shop", "ann", "s1"))  # it stored some, and died
    for one in before:
        role = roles.get(one) or given["ok"].pop(0)
        await other.remember([{"role": role, "content": one}])
    memory = SekhaMemoryService(client)
    await asyncio.gather(*(memory.add_session_to_memory(session_of(*said)) for _ in range(3)))
    expected = sorted([*said, *(one for one in before if one not in said)])
    assert sorted(texts(await stored())) == expected


async def test_the_same_words_of_two_sessions_are_stored_for_both(client: AsyncSekhaClient, stored: Stored) -> None:
    await SekhaMemoryService(client).add_session_to_memory(session_of(SHIP))
    await SekhaMemoryService(client).add_session_to_memory(session_of(SHIP, id="s2"))
    assert [row[1] for row in await stored()] == ["s1", "s2"]


async def test_what_is_stored_is_read_once_for_each_session(memory: SekhaMemoryService, faulty: ScriptedSekha) -> None:
    for said in (SHIP,), (SHIP, "Noted."), (SHIP, "Noted.", "ok"):
        await memory.add_session_to_memory(session_of(*said))
    lists = [request for request in faulty.requests if request.line == LIST]
    assert len(lists) == 1


async def test_if_it_is_not_known_what_is_stored_nothing_is(
    memory: SekhaMemoryService, faulty: ScriptedSekha, stored: Stored
) -> None:
    faulty.fail(LIST, answer_with(503))
    with pytest.warns(SekhaWarning, match="the turn was not stored: "):
        await memory.add_session_to_memory(session_of(SHIP))
    assert await stored() == []
    await memory.add_session_to_memory(session_of(SHIP))
    assert texts(await stored()) == [SHIP]


async def test_without_the_key_of_the_mcp_tools_a_session_of_others_is_not_stored_twice(
    sekha_0_1: LocalSekha,
) -> None:
    """The controller 0.1 shows messages only by these tools."""
    options: Any = {name: value for name, value in sekha_0_1.options.items() if name != "mcp_api_key"}
    async with AsyncSekhaClient(**options) as poor:
        await SekhaMemoryService(poor).add_session_to_memory(session_of(SHIP))
        with pytest.warns(SekhaWarning, match="the turn was not stored: .* set SEKHA_MCP_API_KEY"):
            await SekhaMemoryService(poor).add_session_to_memory(session_of(SHIP, "Noted."))
        assert (await poor.controller.count_conversations())["count"] == 1


async def test_what_was_refused_is_stored_when_it_is_added_again(
    client: AsyncSekhaClient, faulty: ScriptedSekha, stored: Stored
) -> None:
    memory = SekhaMemoryService(client, on_error="raise")
    faulty.fail(CREATE, answer_with(413))
    with pytest.raises(Exception, match="413"):
        await memory.add_session_to_memory(session_of(SHIP))
    await memory.add_session_to_memory(session_of(SHIP))
    assert texts(await stored()) == [SHIP]


async def test_a_session_without_words_asks_nothing(memory: SekhaMemoryService, faulty: ScriptedSekha) -> None:
    silent = types.Content(role="model", parts=[types.Part(text="Hm.", thought=True)])
    events = [Event(author="a", content=one) for one in (None, types.Content(role="model"), silent, call("clock"))]
    for event in [*events, Event(author="a", content=text("x"), partial=True)]:
        await memory.add_session_to_memory(Session(id="s1", **ANN, events=[event]))
    assert faulty.requests == []


# Events and entries


async def test_events_are_stored_once(memory: SekhaMemoryService, stored: Stored) -> None:
    events = session_of(SHIP, "Noted.").events
    for part in events[:1], events, events[1:]:
        await memory.add_events_to_memory(**ANN, events=part, session_id="s1")
    assert [row[:3] for row in await stored()] == [("/shop/ann", "s1", "assistant"), ("/shop/ann", "s1", "user")]


async def test_facts_are_stored_without_a_session(memory: SekhaMemoryService) -> None:
    entries = [
        MemoryEntry(content=text("Ann likes tea."), author="user"),
        MemoryEntry(content=text("Ann lives in York."), id="f1"),
    ]
    await memory.add_memory(**ANN, memories=entries)
    await memory.add_memory(**ANN, memories=entries[1:])
    found = (await memory.search_memory(**ANN, query="What about Ann?")).memories
    assert sorted(entry.content.parts[0].text for entry in found) == ["Ann likes tea.", "Ann lives in York."]


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (MemoryEntry(content=types.Content(parts=[])), "memories[1].content"),
        (MemoryEntry(content=text(" \n")), "memories[1].content"),
        (MemoryEntry(content=text("x"), custom_metadata={"ttl": 5}), "memories[1].custom_metadata"),
    ],
)
async def test_an_entry_that_cannot_be_kept_is_refused(
    memory: SekhaMemoryService, faulty: ScriptedSekha, entry: MemoryEntry, field: str
) -> None:
    with pytest.raises(SekhaValidationError) as refused:
        await memory.add_memory(**ANN, memories=[MemoryEntry(content=text("Ann likes tea.")), entry])
    assert refused.value.field == field
    assert faulty.requests == []


async def test_metadata_is_refused(memory: SekhaMemoryService, faulty: ScriptedSekha) -> None:
    with pytest.raises(SekhaValidationError, match="custom_metadata: must be empty"):
        await memory.add_events_to_memory(**ANN, events=session_of(SHIP).events, custom_metadata={"ttl": 5})
    with pytest.raises(SekhaValidationError, match="custom_metadata: must be empty"):
        await memory.add_memory(**ANN, memories=[MemoryEntry(content=text("x"))], custom_metadata={"ttl": 5})
    assert faulty.requests == []


async def test_deleting_is_refused(memory: SekhaMemoryService, faulty: ScriptedSekha) -> None:
    with pytest.raises(NotImplementedError, match="cannot delete single messages"):
        await memory.delete_memory(**ANN, memory_id="m1")
    assert faulty.requests == []


# Searching


async def test_an_entry_has_all_that_adk_asks_for(memory: SekhaMemoryService) -> None:
    await memory.add_session_to_memory(session_of(SHIP))
    [entry] = (await memory.search_memory(**ANN, query=ASKED)).memories
    assert (entry.author, entry.content) == ("user", text(SHIP, role="user"))
    assert entry.id
    assert entry.timestamp is not None
    assert entry.timestamp[:2] == "20"
    assert entry.custom_metadata["session_id"] == "s1"
    assert 0 < entry.custom_metadata["score"] <= 1


async def test_another_user_finds_nothing(memory: SekhaMemoryService) -> None:
    await memory.add_session_to_memory(session_of(SHIP))
    for app, user in ("shop", "bob"), ("bank", "ann"):
        assert (await memory.search_memory(app_name=app, user_id=user, query=ASKED)).memories == []


async def test_at_most_so_many_are_found(client: AsyncSekhaClient) -> None:
    memory = SekhaMemoryService(client, limit=2)
    await memory.add_session_to_memory(session_of(*(f"We ship {n} boxes." for n in range(4))))
    assert len((await memory.search_memory(**ANN, query=ASKED)).memories) == 2


async def test_a_memory_that_is_down_is_not_empty(memory: SekhaMemoryService, faulty: ScriptedSekha) -> None:
    faulty.fail(QUERY, answer_with(503), times=None)
    with pytest.warns(SekhaWarning, match="the memory search failed"):
        [entry] = (await memory.search_memory(**ANN, query=ASKED)).memories
    assert "could not be searched" in entry.content.parts[0].text
    assert entry.id is None


async def test_a_memory_that_is_down_can_be_an_error(client: AsyncSekhaClient, faulty: ScriptedSekha) -> None:
    faulty.fail(QUERY, answer_with(503), times=None)
    with pytest.raises(SekhaServerError):
        await SekhaMemoryService(client, on_error="raise").search_memory(**ANN, query=ASKED)


# ADK's own tools


async def test_a_model_can_load_memories(memory: SekhaMemoryService) -> None:
    shop = Shop(memory, tools=[load_memory])
    await shop.turn(SHIP)
    shop.model.say(call("load_memory", query=ASKED), text("On Fridays."))
    await shop.turn("And now?", session="s2")
    assert SHIP in seen(shop.model.given[-1])


async def test_a_model_can_be_given_memories_by_adk(memory: SekhaMemoryService) -> None:
    shop = Shop(memory, tools=[preload_memory], before_model_callback=None)
    await shop.turn(SHIP)
    await shop.turn(ASKED, session="s2")
    given = seen(shop.model.given[-1])
    assert f"user: {SHIP}\n" in given[given.index("<PAST_CONVERSATIONS>") : given.index("</PAST_CONVERSATIONS>")]


async def test_adks_tools_find_the_running_session_too(memory: SekhaMemoryService) -> None:
    shop = Shop(memory, tools=[preload_memory], before_model_callback=None)
    await shop.turn(SHIP)
    await shop.turn(ASKED)
    assert f"user: {SHIP}\n" in seen(shop.model.given[-1])


@pytest.mark.parametrize("end", ["</PAST_CONVERSATIONS>", "< / past_conversations >", "<PAST_CONVERSATIONS >"])
async def test_no_memory_ends_the_quotation_of_adk(memory: SekhaMemoryService, end: str) -> None:
    shop = Shop(memory, tools=[preload_memory], before_model_callback=None)
    await shop.turn(f"We ship {end} on <b>Fridays</b>.")
    await shop.turn(ASKED, session="s2")
    given = seen(shop.model.given[-1])
    assert (given.count("<PAST_CONVERSATIONS>"), given.count("</PAST_CONVERSATIONS>")) == (1, 1)
    assert f"We ship &lt;{end[1:]} on <b>Fridays</b>." in given


# Bad input


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"client": None}, "client"),
        ({"limit": 0}, "limit"),
        ({"min_score": 2}, "min_score"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"on_error": "ignore"}, "on_error"),
    ],
)
async def test_an_argument_that_cannot_be_used_is_named(
    client: AsyncSekhaClient, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(SekhaValidationError) as refused:
        SekhaMemoryService(**{"client": client, **arguments})
    assert refused.value.field == field


def test_a_blocking_client_or_a_memory_is_refused(faulty: ScriptedSekha) -> None:
    with faulty.client() as blocking:
        for wrong in blocking, Memory(blocking, Scope("shop", "ann")):
            with pytest.raises(SekhaValidationError, match="client: must be an AsyncSekhaClient, or a function"):
                SekhaMemoryService(wrong)  # type: ignore[arg-type]  # what is tested


# `services.yaml`


@pytest.fixture
def settings(faulty: ScriptedSekha, monkeypatch: pytest.MonkeyPatch) -> ScriptedSekha:
    """Settings in the environment."""
    monkeypatch.setenv("SEKHA_CONTROLLER_URL", faulty.controller_url)
    monkeypatch.setenv("SEKHA_API_KEY", faulty.api_key)
    monkeypatch.setenv("SEKHA_MCP_API_KEY", str(faulty.options.get("mcp_api_key", faulty.api_key)))
    return faulty


async def test_a_service_is_made_from_an_address(settings: ScriptedSekha) -> None:
    host = settings.controller_url.removeprefix("http://")
    for uri in "sekha://", "sekha:///", f"sekha://{host}":
        service = memory_service_from_uri(uri, agents_dir="agents")
        await service.add_session_to_memory(session_of(SHIP))
        assert len((await service.search_memory(**ANN, query=ASKED)).memories) == 1
        await service._client.aclose()


async def test_another_machine_is_asked_by_https(settings: ScriptedSekha) -> None:
    service = memory_service_from_uri("sekha://memory.example:8443")
    assert "https://memory.example:8443" in repr(service._client)


@pytest.mark.parametrize(
    "uri", ["", "sekha", "memory://", "sekha://host/path", "sekha://key@host", "sekha://host?limit=3", "sekha://host#a"]
)
def test_an_address_that_says_more_is_refused(settings: ScriptedSekha, uri: str) -> None:
    with pytest.raises(SekhaValidationError, match="uri: must be sekha:// or sekha://host:port"):
        memory_service_from_uri(uri)


@pytest.mark.parametrize("uri", ["sekha://host:99999", "sekha://host:port", "sekha://[::1"])
def test_an_address_that_cannot_be_read_is_refused(settings: ScriptedSekha, uri: str) -> None:
    with pytest.raises(SekhaValidationError, match="uri: its host or port is invalid") as refused:
        memory_service_from_uri(uri)
    assert refused.value.field == "uri"


AGENT = """
from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmResponse
from google.genai import types
from sekha.integrations.adk import recall_before_model, remember_after_agent


class Echo(BaseLlm):
    async def generate_content_async(self, llm_request, stream=False):
        said = " | ".join(part.text or "" for content in llm_request.contents for part in content.parts)
        yield LlmResponse(content=types.Content(role="model", parts=[types.Part(text=f"I was given: {said}")]))


root_agent = LlmAgent(
    name="seller",
    model=Echo(model="echo"),
    before_model_callback=recall_before_model,
    after_agent_callback=remember_after_agent,
)
"""
SERVICES = """
services:
  - scheme: sekha
    type: memory
    class: sekha.integrations.adk.memory_service_from_uri
"""


@pytest.mark.slow
def test_adks_own_server_remembers(tmp_path: Path, sekha: LocalSekha, free_port: int) -> None:
    agents = tmp_path / "agents"
    (agents / "shop").mkdir(parents=True)
    (agents / "shop" / "__init__.py").write_text("from . import agent\n", "utf-8")
    (agents / "shop" / "agent.py").write_text(AGENT, "utf-8")
    (agents / "services.yaml").write_text(SERVICES, "utf-8")
    host = sekha.controller_url.removeprefix("http://")
    options = ["--port", str(free_port), "--memory_service_uri", f"sekha://{host}"]
    environment = {**os.environ, "SEKHA_API_KEY": sekha.api_key, "HOME": str(tmp_path)}
    log = tmp_path / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "google.adk.cli", "api_server", *options, str(agents)],
            env=environment,
            cwd=tmp_path,
            stdout=output,
            stderr=output,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{free_port}", timeout=60, trust_env=False) as browser:
            wait_for(browser, server, log)
            assert say(browser, "s1", SHIP) == f"I was given: {SHIP}"
            answer = say(browser, "s2", ASKED)
            assert "<memory>" in answer
            assert f"\n{SHIP}\n" in answer
            memory = browser.patch("/apps/shop/users/ann/memory", json={"session_id": "s1"})
            assert memory.status_code == 200, memory.text
    finally:
        server.terminate()
        server.wait(60)
    with SekhaClient(**sekha.options) as client:
        rows = client.in_folder("/shop", "ann").controller.list_conversations()["results"]
        assert sorted(row["label"] for row in rows) == ["s1", "s2"]


def wait_for(browser: httpx.Client, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + 120
    problem: Optional[Exception] = None
    while server.poll() is None and time.monotonic() < end:
        try:
            assert browser.get("/list-apps").json() == ["shop"]
            return
        except httpx.TransportError as error:
            problem = error
            time.sleep(0.1)
    raise AssertionError(f"{problem}\n{log.read_text('utf-8', 'replace')}")


def say(browser: httpx.Client, session: str, said: str) -> str:
    """One turn by HTTP; the answer."""
    browser.post(f"/apps/shop/users/ann/sessions/{session}", json={}).raise_for_status()
    message = {"role": "user", "parts": [{"text": said}]}
    turn = {"appName": "shop", "userId": "ann", "sessionId": session, "newMessage": message}
    events = browser.post("/run", json=turn).raise_for_status().json()
    return str(events[-1]["content"]["parts"][0]["text"])
