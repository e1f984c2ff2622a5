"""`chat.completions` and `responses` with a memory."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from frameworks.chat_clients import FACT, QUESTION, ChatClientTests, Dialect, World, chunks_of, is_block, settled, user
from sekha import SekhaClient, SekhaValidationError
from sekha.integrations.openai import with_memory
from sekha.local import LocalSekha
from sekha.memory import Memory, Scope, Turn
from support.replies import event

CLOCK = {"name": "clock", "parameters": {"type": "object", "properties": {}}}


class OfOpenAI(Dialect):
    def client(self, url: str, is_async: bool) -> Any:
        return (AsyncOpenAI if is_async else OpenAI)(base_url=f"{url}/v1", api_key="sk-no-key", max_retries=0)

    def with_memory(self, client: Any, memory: Any, **options: Any) -> Any:
        return with_memory(client, memory, **options)


class Completions(OfOpenAI):
    line = "POST /v1/chat/completions"

    def raw(self, client: Any) -> Any:
        return client.chat.completions

    def ask(self, client: Any, messages: List[Any], **options: Any) -> Any:
        resource = client if hasattr(client, "create") else client.chat.completions
        return resource.create(model="a-model", messages=messages, **options)

    def text_of(self, result: Any) -> str:
        return str(result.choices[0].message.content)

    def after_call(self, result: Any) -> List[Any]:
        message = result.choices[0].message
        return [message, {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "It is noon."}]

    def says(self, text: str) -> Dict[str, Any]:
        return self._completion({"role": "assistant", "content": text}, "stop")

    def calls(self) -> Dict[str, Any]:
        call = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
        return self._completion({"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls")

    def events(self, answer: Dict[str, Any]) -> List[bytes]:
        first, *words = answer["choices"][0]["message"]["content"].split(" ")
        deltas: List[Any] = [{"role": "assistant", "content": first}, *({"content": f" {word}"} for word in words)]
        choices: List[Any] = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
        choices += [[{"index": 0, "delta": {}, "finish_reason": "stop"}], []]
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "a-model"}
        return [*(event({**head, "choices": one}) for one in choices), event("[DONE]")]

    def _completion(self, message: Dict[str, Any], reason: str) -> Dict[str, Any]:
        choices = [{"index": 0, "message": message, "finish_reason": reason}]
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "a-model", "choices": choices}


class Responses(OfOpenAI):
    line = "POST /v1/responses"
    chat = "input"

    def raw(self, client: Any) -> Any:
        return client.responses

    def ask(self, client: Any, messages: List[Any], **options: Any) -> Any:
        resource = client if hasattr(client, "create") else client.responses
        return resource.create(model="a-model", input=messages, **options)

    def text_of(self, result: Any) -> str:
        return str(result.output_text)

    def after_call(self, result: Any) -> List[Any]:
        output = {"type": "function_call_output", "call_id": "c1", "output": "It is noon."}
        return [*result.output, output]

    def says(self, text: str) -> Dict[str, Any]:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        reasoning = {"type": "reasoning", "id": "rs_1", "summary": []}
        message = {"type": "message", "id": "m_1", "role": "assistant", "status": "completed", "content": content}
        return self._response([reasoning, message])

    def calls(self) -> Dict[str, Any]:
        call = {"type": "function_call", "id": "f_1", "call_id": "c1", "name": "clock", "arguments": "{}"}
        return self._response([call])

    def events(self, answer: Dict[str, Any]) -> List[bytes]:
        words = answer["output"][-1]["content"][0]["text"].split(" ")
        running = {**answer, "status": "in_progress", "output": []}
        events: List[Any] = [{"type": "response.created", "response": running}]
        for index, item in enumerate(answer["output"]):
            events += [{"type": "response.output_item.added", "output_index": index, "item": {**item, "content": []}}]
        place = {"item_id": "m_1", "output_index": 1, "content_index": 0}
        part = {"type": "output_text", "text": "", "annotations": []}
        events += [{"type": "response.content_part.added", "part": part, **place}]
        events += [{"type": "response.output_text.delta", "delta": word, "logprobs": [], **place} for word in words]
        events += [{"type": "response.completed", "response": answer}]
        return [event({**one, "sequence_number": number}, one["type"]) for number, one in enumerate(events)]

    def _response(self, output: List[Any]) -> Dict[str, Any]:
        head = {"id": "r_1", "object": "response", "created_at": 1, "model": "a-model", "status": "completed"}
        return {**head, "output": output, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}


class TestCompletions(ChatClientTests):
    dialect = Completions()

    async def test_the_helper_for_streams(self, world: World) -> None:
        world.stream(self.dialect.says("Noted."))
        completions: Any = world.client().chat.completions
        if not hasattr(completions, "stream"):  # before 1.92 it is in beta
            completions = world.client().beta.chat.completions
        manager = completions.stream(model="a-model", messages=[user(FACT)])
        if world.kind == "blocking":
            with manager as stream:
                said = stream.get_final_completion().choices[0].message.content
        else:
            async with manager as stream:
                said = (await stream.get_final_completion()).choices[0].message.content
        assert said == "Noted."
        assert world.stored() == [[("user", FACT), ("assistant", "Noted.")]]

    async def test_parse(self, world: World) -> None:
        from pydantic import BaseModel

        class Code(BaseModel):
            code: int

        world.reply(self.dialect.says('{"code": 4711}'))
        completions: Any = world.client().chat.completions
        if not hasattr(completions, "parse"):  # before 1.92 it is in beta
            completions = world.client().beta.chat.completions
        result = await settled(completions.parse(model="a-model", messages=[user(QUESTION)], response_format=Code))
        assert result.choices[0].message.parsed == Code(code=4711)
        assert world.stored() == [[("user", QUESTION), ("assistant", '{"code": 4711}')]]

    async def test_several_answers_are_refused(self, world: World) -> None:
        for options in ({"n": 2}, {"extra_body": {"n": 2}}):
            with pytest.raises(SekhaValidationError, match="which one to store") as caught:
                await settled(self.dialect.ask(world.client(), [user(FACT)], **options))
            assert caught.value.field == "n"
        world.reply(self.dialect.says("Noted."))
        await settled(self.dialect.ask(world.client(), [user(FACT)], n=1))

    async def test_a_filtered_answer_is_not_remembered(self, world: World) -> None:
        filtered = self.dialect.says("I will")
        filtered["choices"][0]["finish_reason"] = "content_filter"
        world.reply(filtered)
        await settled(self.dialect.ask(world.client(), [user(FACT)]))
        assert world.stored() == []

    async def test_a_stream_with_calls_of_tools_goes_on(self, world: World) -> None:
        call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "a-model"}
        delta = {"role": "assistant", "content": "Wait.", "tool_calls": [call]}
        choices: Any = [[{"index": 0, "delta": delta, "finish_reason": None}]]
        choices += [[{"index": 0, "delta": {}, "finish_reason": "stop"}]]  # some servers say so
        from support.replies import chunked

        world.model.on(self.dialect.line, chunked(*(event({**head, "choices": one}) for one in choices)))
        stream = await settled(self.dialect.ask(world.client(), [user(FACT)], stream=True))
        [chunk async for chunk in chunks_of(stream)]
        assert world.stored() == []

    async def test_the_bridge_of_the_local_sekha_is_such_a_model(self, world: World) -> None:
        world.stores("s0", FACT)
        url, key = world.sekha.options["bridge_url"], world.sekha.options["api_key"]
        mine = self.dialect.client(url, world.kind != "blocking").with_options(api_key=key)
        client = with_memory(mine, world.memory())
        result = await settled(self.dialect.ask(client, [user(QUESTION)]))
        assert "4711" in self.dialect.text_of(result)
        assert world.stored()[1:] == [[("user", QUESTION), ("assistant", self.dialect.text_of(result))]]
        result = await settled(self.dialect.ask(client, [user(f"{QUESTION} Tell me.")], stream=True))
        if world.kind == "async":  # the bridge 0.2 does not stream, and this library sees nothing at all
            with pytest.warns(match="is incomplete"):
                assert [chunk async for chunk in chunks_of(result)] == []
        else:
            text = "".join([one.choices[0].delta.content or "" async for one in chunks_of(result) if one.choices])
            assert "4711" in text
            assert world.stored()[2:] == [[("user", f"{QUESTION} Tell me."), ("assistant", text)]]
        await settled(mine.close())


class TestResponses(ChatClientTests):
    dialect = Responses()

    async def test_a_text_is_a_message_of_the_user(self, world: World) -> None:
        world.stores("s0", FACT)
        world.reply(self.dialect.says("It is 4711."))
        await settled(world.client().responses.create(model="a-model", input=QUESTION, instructions="Be brief."))
        assert [is_block(one) for one in world.sent] == [True, False]
        assert json.loads(world.model.seen[-1].body)["instructions"] == "Be brief."
        assert world.stored()[1:] == [[("user", QUESTION), ("assistant", "It is 4711.")]]

    async def test_the_helper_for_streams(self, world: World) -> None:
        world.stream(self.dialect.says("Noted."))
        manager = world.client().responses.stream(model="a-model", input=FACT)
        if world.kind == "blocking":
            with manager as stream:
                said = stream.get_final_response().output_text
        else:
            async with manager as stream:
                said = (await stream.get_final_response()).output_text
        assert said == "Noted."
        assert world.stored() == [[("user", FACT), ("assistant", "Noted.")]]

    async def test_parse_and_raw_of_the_whole_client(self, world: World) -> None:
        from pydantic import BaseModel

        class Code(BaseModel):
            code: int

        world.reply(self.dialect.says('{"code": 4711}'), self.dialect.says("Noted."))
        result = await settled(world.client().responses.parse(model="a-model", input=QUESTION, text_format=Code))
        assert result.output_parsed == Code(code=4711)
        raw = await settled(world.client().with_raw_response.responses.create(model="a-model", input=FACT))
        assert self.dialect.text_of(await settled(raw.parse())) == "Noted."
        said = [[("user", QUESTION), ("assistant", '{"code": 4711}')], [("user", FACT), ("assistant", "Noted.")]]
        assert world.stored() == said

    @pytest.mark.parametrize(
        ("field", "options"),
        [
            ("previous_response_id", {"previous_response_id": "r_1"}),
            ("conversation", {"extra_body": {"conversation": "c_1"}}),
            ("background", {"extra_body": {"background": True}}),
        ],
    )
    async def test_what_the_server_keeps_is_refused(self, world: World, field: str, options: Any) -> None:
        with pytest.raises(SekhaValidationError, match="responses") as caught:
            await settled(self.dialect.ask(world.client(), [user(FACT)], **options))
        assert caught.value.field == field

    async def test_a_prompt_without_input_is_refused(self, world: World) -> None:
        body = {"model": "a-model", "prompt": {"id": "p_1"}}
        with pytest.raises(SekhaValidationError, match="without input") as caught:
            await settled(world.client().post("/responses", cast_to=object, body=body))
        assert caught.value.field == "prompt"

    async def test_a_failed_response_is_not_remembered(self, world: World) -> None:
        failed = {**self.dialect.says("I"), "status": "failed"}
        world.reply(failed)
        with pytest.warns(match="is incomplete"):
            await settled(self.dialect.ask(world.client(), [user(FACT)]))
        assert world.stored() == []


AZURE = {"azure_endpoint": "http://127.0.0.1:9", "api_version": "v", "api_key": "k", "azure_deployment": "d"}
CLOUDS: Dict[str, Dict[str, Any]] = {
    "AzureOpenAI": AZURE,
    "AsyncAzureOpenAI": AZURE,
    "BedrockOpenAI": {"api_key": "k", "base_url": "http://127.0.0.1:9"},
    "AsyncBedrockOpenAI": {"api_key": "k", "base_url": "http://127.0.0.1:9"},
}


@pytest.mark.parametrize("name", [name for name in CLOUDS if hasattr(openai, name)])
async def test_clients_of_clouds_have_the_memory(name: str, sekha: LocalSekha, monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        pass

    def asked(*_: object) -> None:
        raise Asked

    monkeypatch.setattr(Turn, "with_memory", asked)
    with SekhaClient(**sekha.options) as client:
        mine = getattr(openai, name)(**CLOUDS[name])
        made = with_memory(mine, Memory(client, Scope("shop", "ann")))
        assert type(made) is type(mine)
        assert str(made.base_url) == str(mine.base_url)
        for one in (made, made.with_options(timeout=7)):
            for dialect in (Completions(), Responses()):
                with pytest.raises(Asked):
                    await settled(dialect.ask(one, [user(FACT)]))
        await settled(mine.close())
