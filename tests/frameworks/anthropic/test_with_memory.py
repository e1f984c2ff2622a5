"""`messages` with a memory."""

from __future__ import annotations

import json
from inspect import signature
from typing import Any, Dict, List

import anthropic
import pytest
from anthropic import Anthropic, AnthropicVertex, AsyncAnthropic

from frameworks.chat_clients import FACT, QUESTION, ChatClientTests, Dialect, World, chunks_of, is_block, settled, user
from sekha import SekhaClient, SekhaValidationError
from sekha.integrations.anthropic import with_memory
from sekha.local import LocalSekha
from sekha.memory import Memory, Scope, Turn
from support.replies import answer, event
from support.server import FakeServer


class Messages(Dialect):
    line = "POST /v1/messages"

    def client(self, url: str, is_async: bool) -> Any:
        return (AsyncAnthropic if is_async else Anthropic)(base_url=url, api_key="sk-no-key", max_retries=0)

    def with_memory(self, client: Any, memory: Any, **options: Any) -> Any:
        return with_memory(client, memory, **options)

    def raw(self, client: Any) -> Any:
        return client.messages

    def ask(self, client: Any, messages: List[Any], **options: Any) -> Any:
        resource = client if hasattr(client, "create") else client.messages
        return resource.create(model="a-model", max_tokens=100, messages=messages, **options)

    def text_of(self, result: Any) -> str:
        return "".join(block.text for block in result.content)

    def after_call(self, result: Any) -> List[Any]:
        found = {"type": "tool_result", "tool_use_id": "c1", "content": "It is noon."}
        return [{"role": "assistant", "content": result.content}, {"role": "user", "content": [found]}]

    def says(self, text: str, reason: str = "end_turn") -> Dict[str, Any]:
        return self._message([{"type": "text", "text": text}], reason)

    def calls(self) -> Dict[str, Any]:
        return self._message([{"type": "tool_use", "id": "c1", "name": "clock", "input": {}}], "tool_use")

    def events(self, answer: Dict[str, Any]) -> List[bytes]:
        first, *words = answer["content"][0]["text"].split(" ")
        start = {**answer, "content": [], "stop_reason": None}
        texts = [first, *(f" {word}" for word in words)]
        delta = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
        events: List[Any] = [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": t}} for t in texts),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}},
            {"type": "message_stop"},
        ]
        return [event(one, one["type"]) for one in events]

    def _message(self, content: List[Any], reason: str) -> Dict[str, Any]:
        usage = {"input_tokens": 1, "output_tokens": 1}
        head = {"id": "m_1", "type": "message", "role": "assistant", "model": "a-model", "stop_sequence": None}
        return {**head, "content": content, "stop_reason": reason, "usage": usage}


class TestMessages(ChatClientTests):
    dialect = Messages()

    async def test_the_helper_for_streams(self, world: World) -> None:
        for beta in (False, True):
            world.stream(Messages().says(f"Noted {beta}."))
            client: Any = world.client(f"s-{beta}")
            messages = client.beta.messages if beta else client.messages
            if not hasattr(messages, "stream"):
                continue
            manager = messages.stream(model="a-model", max_tokens=100, messages=[user(FACT)])
            if world.kind == "blocking":
                with manager as stream:
                    assert "".join(stream.text_stream) == f"Noted {beta}."
            else:
                async with manager as stream:
                    assert (await stream.get_final_text()) == f"Noted {beta}."
            assert world.stored()[-1] == [("user", FACT), ("assistant", f"Noted {beta}.")]

    async def test_system_and_cached_parts_stay(self, world: World) -> None:
        world.stores("s0", FACT)
        world.reply(self.dialect.says("It is 4711."))
        cached = {"cache_control": {"type": "ephemeral"}}
        system = [{"type": "text", "text": "Be brief.", **cached}]
        messages = [
            {"role": "user", "content": [{"type": "text", "text": "Hi.", **cached}]},
            {"role": "assistant", "content": "Hi!"},
            {"role": "user", "content": [{"type": "text", "text": QUESTION, **cached}]},
        ]
        await settled(self.dialect.ask(world.client(), messages, system=system))
        assert json.loads(world.model.seen[-1].body)["system"] == system
        assert [one for one in world.sent if not is_block(one)] == messages
        assert is_block(world.sent[2])

    async def test_a_breakpoint_of_the_cache_that_moves_leaves_the_turn_the_same(self, world: World) -> None:
        world.stores("s0", FACT)
        client = world.client()
        cached = {"cache_control": {"type": "ephemeral"}}
        world.reply(self.dialect.calls(), self.dialect.says("It is noon."))
        result = await settled(
            self.dialect.ask(client, [{"role": "user", "content": [{"type": "text", "text": QUESTION, **cached}]}])
        )
        block = world.sent[0]
        world.stores("s9", f"{FACT} Really.")
        await settled(self.dialect.ask(client, [user(QUESTION), *self.dialect.after_call(result)]))
        assert world.sent[0] == block

    @pytest.mark.parametrize("reason", ["refusal", "pause_turn"])
    async def test_what_is_no_answer_is_not_remembered(self, world: World, reason: str) -> None:
        for streams in (False, True):
            said = Messages().says("Hm.", reason)
            (world.stream if streams else world.reply)(said)
            options: Any = {"stream": True} if streams else {}
            result = await settled(self.dialect.ask(world.client(), [user(FACT)], **options))
            if streams:
                [chunk async for chunk in chunks_of(result)]
            assert world.stored() == []

    async def test_a_paused_turn_goes_on(self, world: World) -> None:
        client = world.client()
        world.reply(Messages().says("I look.", "pause_turn"), self.dialect.says("It is 4711."))
        paused = await settled(self.dialect.ask(client, [user(QUESTION)]))
        await settled(self.dialect.ask(client, [user(QUESTION), {"role": "assistant", "content": paused.content}]))
        assert world.stored() == [[("user", QUESTION), ("assistant", "I look."), ("assistant", "It is 4711.")]]

    async def test_a_tool_runner_makes_one_turn(self, world: World) -> None:
        tool = getattr(anthropic, "beta_tool" if world.kind == "blocking" else "beta_async_tool", None)
        if tool is None:
            pytest.skip("this version has no tool runner")

        def blocking_clock() -> str:
            """Tell the time."""
            return "It is noon."

        async def async_clock() -> str:
            """Tell the time."""
            return "It is noon."

        world.stores("s0", FACT)
        called = self.dialect.calls()
        called["content"][0]["name"] = "clock"
        world.reply(called, self.dialect.says("It is noon, and 4711."))
        clock = tool(blocking_clock if world.kind == "blocking" else async_clock, name="clock")
        threads: Any = (
            {"thread": False} if "thread" in signature(world.mine.beta.messages.tool_runner).parameters else {}
        )
        runner = world.client().beta.messages.tool_runner(
            model="a-model", max_tokens=100, messages=[user(QUESTION)], tools=[clock], **threads
        )
        message = await settled(runner.until_done())
        assert message.content[0].text == "It is noon, and 4711."
        assert [is_block(one) for one in world.sent] == [True, False, False, False]
        assert world.stored()[1:] == [[("user", QUESTION), ("assistant", "It is noon, and 4711.")]]

    async def test_a_thread_is_refused(self, world: World) -> None:
        with pytest.raises(SekhaValidationError, match="Anthropic stores its history") as caught:
            await settled(self.dialect.ask(world.client(), [user(FACT)], extra_body={"thread": {"type": "create"}}))
        assert caught.value.field == "thread"

    async def test_a_summary_is_made_without_memories(self, world: World) -> None:
        world.stores("s0", FACT)
        world.reply(self.dialect.says("They talked."))
        options = {"extra_body": {"compaction": {"type": "summarize"}}}
        await settled(self.dialect.ask(world.client(), [user(QUESTION)], **options))
        assert world.sent == [user(QUESTION)]
        assert len(world.stored()) == 1


def test_a_client_of_a_cloud_sends_memories(sekha: LocalSekha, server: FakeServer) -> None:
    line = "POST /projects/p/locations/europe-west1/publishers/anthropic/models/a-model:rawPredict"
    server.on(line, answer(Messages().says("It is 4711.")))
    with SekhaClient(**sekha.options) as client:
        memory = Memory(client, Scope("shop", "ann", "s1"))
        memory.in_session("s0").remember([user(FACT)])
        mine = AnthropicVertex(base_url=server.url, region="europe-west1", project_id="p", access_token="t")
        with_memory(mine, memory).messages.create(model="a-model", max_tokens=10, messages=[user(QUESTION)])
        assert FACT in str(server.only.body)
        assert [result["content"] for result in memory.in_session("s2").recall("It is 4711.", limit=1)] == [
            "It is 4711."
        ]
        mine.close()


AWS = {"aws_region": "eu-central-1", "aws_access_key": "a", "aws_secret_key": "s"}
CLOUDS: Dict[str, Dict[str, Any]] = {
    "AnthropicBedrock": AWS,
    "AnthropicBedrockMantle": AWS,
    "AnthropicAWS": {"api_key": "k", "aws_region": "eu-central-1", "workspace_id": "w"},
    "AnthropicVertex": {"region": "europe-west1", "project_id": "p", "access_token": "t"},
    "AnthropicFoundry": {"api_key": "k", "resource": "r"},
    "AnthropicGoogleCloud": {"skip_auth": True, "project": "p", "location": "l", "workspace_id": "w"},
}


def test_the_clients_of_all_clouds_are_known() -> None:
    found = {
        name for name in dir(anthropic) if name.startswith("Anthropic") and hasattr(getattr(anthropic, name), "post")
    }
    assert found - {"Anthropic"} <= set(CLOUDS)
    assert {"AnthropicBedrock", "AnthropicVertex"} <= found


@pytest.mark.parametrize("name", [name for name in CLOUDS if hasattr(anthropic, name)])
@pytest.mark.parametrize("is_async", [False, True])
async def test_clients_of_clouds_have_the_memory(
    name: str, is_async: bool, sekha: LocalSekha, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = getattr(anthropic, f"Async{name}" if is_async else name)

    class Asked(Exception):
        pass

    def asked(*_: object) -> None:
        raise Asked

    monkeypatch.setattr(Turn, "with_memory", asked)
    with SekhaClient(**sekha.options) as client:
        mine = cls(**CLOUDS[name])
        made = with_memory(mine, Memory(client, Scope("shop", "ann")))
        assert type(made) is cls
        for one in (made, made.with_options(timeout=7)):
            for messages in (one.messages, one.beta.messages):
                with pytest.raises(Asked):
                    await settled(Messages().ask(messages, [user(FACT)]))
        with pytest.raises(SekhaValidationError, match="is not supported"):
            await settled(made.post("/v1/complete", cast_to=object, body={}))
        await settled(mine.close())
