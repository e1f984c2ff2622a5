"""Models on servers: what they say comes through as it is, and what they do wrong is told as theirs."""

from __future__ import annotations

import base64
import json
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Generator, List, Tuple

import httpx
import pytest

from sekha import (
    SekhaAuthError,
    SekhaClient,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaStreamError,
    SekhaValidationError,
)
from sekha.local import LocalSekha, LocalSekhaError
from sekha.local.models import ModelError, ModelSettingsError
from sekha.local.models.embeddings import normalize_vectors, read_ollama, read_openai
from sekha.local.models.model_server import pick_model
from support.replies import DONE, answer, body, chunked, delta, empty, event, raw, text
from support.server import FakeServer, Reply, Step, eventually

MESSAGES = [{"role": "user", "content": "Hi"}]
OPENAI, OLLAMA = "POST /v1/chat/completions", "POST /api/chat"
MODELS_OF = {"openai": "GET /v1/models", "ollama": "GET /api/tags"}


def listing(kind: str, *names: str) -> Reply:
    """The list of models of a server."""
    if kind == "openai":
        return answer({"object": "list", "data": [{"id": name, "object": "model"} for name in names]})
    return answer({"models": [{"name": name, "model": name} for name in names]})


def line(said: str = "", **more: Any) -> bytes:
    """A line of a streamed answer of an Ollama."""
    given = {"model": "llama3", "message": {"role": "assistant", "content": said}, "done": False, **more}
    return json.dumps(given, ensure_ascii=False).encode() + b"\n"


def lines(*steps: Any, end: Any = "keep") -> Reply:
    return chunked(*steps, content_type="application/x-ndjson", end=end)


@contextmanager
def chat_of(
    server: FakeServer, kind: str = "openai", **options: Any
) -> Generator[Tuple[SekhaClient, LocalSekha], None, None]:
    """A client of a local Sekha whose chat model is on a server that has one only."""
    server.always(MODELS_OF[kind], listing(kind, "llama3"))
    url = server.url + ("/v1" if kind == "openai" else "/api")
    with LocalSekha(llm_url=url, **options) as sekha, SekhaClient(**sekha.options, max_retries=0) as client:
        yield client, sekha


def sent(server: FakeServer) -> Dict[str, Any]:
    """The body of the last request that the model got."""
    found: Dict[str, Any] = json.loads(server.seen[-1].body)
    return found


# Streams


@pytest.mark.promise("C1")
@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        ("openai", chunked(delta("Half"), delta(" an"))),
        ("openai", chunked(delta("Half"), b'data: {"choices": [{"index": 0, "del')),
        ("openai", raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", delta("Half"), end="close")),
        ("ollama", lines(line("Half"), line(" an"))),
        ("ollama", lines(line("Half"), b'{"message": {"content": "an')),
    ],
)
def test_a_stream_that_was_cut_is_cut_for_the_client_too(
    server: FakeServer, kind: str, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    server.on(OPENAI if kind == "openai" else OLLAMA, reply)
    with chat_of(server, kind) as (client, sekha), client.bridge.stream_complete(MESSAGES) as stream:
        reasons: List[Any] = []
        with pytest.raises(SekhaStreamError, match=r"broke|cut|ended") as caught:
            reasons.extend(chunk["choices"][0].get("finish_reason") for chunk in stream)
        assert caught.value.text.startswith("Half")
        assert set(reasons) == {None}
        server.on(OPENAI if kind == "openai" else OLLAMA, reply)
        request = {"messages": MESSAGES, "stream": True}
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(f"{sekha.bridge_url}/v1/chat/completions", json=request, verify=False)
    assert "the answer of llama3 was interrupted" in caplog.text


@pytest.mark.promise("C1")
@pytest.mark.parametrize("reply", [chunked(), chunked(b": nothing\n\n")])
def test_a_stream_of_nothing_is_an_error(server: FakeServer, reply: Reply) -> None:
    server.on(OPENAI, reply)
    with chat_of(server) as (client, _):
        with pytest.raises(SekhaServerError, match="was interrupted") as caught:
            client.bridge.stream_complete(MESSAGES)
        assert caught.value.status_code == 502


@pytest.mark.parametrize(
    ("kind", "reply", "said"),
    [
        (
            "openai",
            chunked(delta("Half"), event({"error": {"message": "out of memory"}})),
            "after 4 characters: out of memory",
        ),
        ("openai", chunked(delta("Half"), event("boom", "error")), "after 4 characters: .*boom"),
        ("openai", chunked(delta("Half"), event("nonsense")), "after 4 characters: .*nonsense"),
        ("openai", chunked(delta("Half"), end="reset"), "after 4 characters: "),
        ("ollama", lines(line("Half"), b'{"error": "out of memory"}\n'), "after 4 characters: out of memory"),
        ("ollama", lines(line("Half"), b"nonsense\n"), "after 4 characters: nonsense"),
        ("ollama", lines(line("Half"), b'{"message": {"content": NaN}}\n'), "after 4 characters: "),
        ("ollama", lines(line("Half"), b"[]\n"), "after 4 characters: "),
        ("ollama", lines(line("Half"), end="reset"), "after 4 characters: "),
    ],
)
def test_what_goes_wrong_in_a_stream_is_told_with_its_place(
    server: FakeServer, kind: str, reply: Reply, said: str
) -> None:
    server.on(OPENAI if kind == "openai" else OLLAMA, reply)
    with chat_of(server, kind) as (client, _), client.bridge.stream_complete(MESSAGES) as stream:
        problem = f"{kind} server {server.url}.*llama3 was interrupted {said}"
        with pytest.raises(SekhaServerError, match=problem) as caught:
            list(stream)
    assert caught.value.text == "Half"


@pytest.mark.promise("C2")
@pytest.mark.parametrize("kind", ["openai", "ollama"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_separators_of_lines_in_a_text_are_text(server: FakeServer, kind: str, size: int) -> None:
    said = "one\u2028two\u2029three\x85four\x0bfive 東京"
    if kind == "openai":
        data = event(json.dumps({"choices": [{"index": 0, "delta": {"content": said}}]}, ensure_ascii=False))
        data += delta(finish_reason="stop") + DONE
    else:
        data = line(said) + line(done=True, done_reason="stop")
    pieces = [data[place : place + size] for place in range(0, len(data), size)]
    server.on(OPENAI if kind == "openai" else OLLAMA, (chunked if kind == "openai" else lines)(*pieces))
    with chat_of(server, kind) as (client, _), client.bridge.stream_complete(MESSAGES) as stream:
        assert "".join(stream.text_stream()) == said


@pytest.mark.parametrize(
    "reply",
    [
        chunked(delta("All"), delta(finish_reason="stop"), DONE),
        chunked(delta("All"), delta(finish_reason="stop")),
        chunked(delta("All"), delta(finish_reason="stop"), end="reset"),
        chunked(b": keep-alive\n\n", event({}, "ping"), delta("All"), delta(finish_reason="stop"), DONE, end="reset"),
        answer(
            {"choices": [{"index": 0, "message": {"role": "assistant", "content": "All"}, "finish_reason": "stop"}]}
        ),
    ],
)
def test_a_stream_is_complete_with_its_reason(server: FakeServer, reply: Reply) -> None:
    server.on(OPENAI, reply)
    with chat_of(server) as (client, _), client.bridge.stream_complete(MESSAGES) as stream:
        completion = stream.get_final_completion()
    choice = completion["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("All", "stop")


@pytest.mark.parametrize(
    "data",
    [line("All", done=True), line("All") + line(done=True)[:-1], line("All") + line(done=True) * 2],
)
def test_a_stream_of_an_ollama_is_complete_when_it_is_done(server: FakeServer, data: bytes) -> None:
    server.on(OLLAMA, lines(data))
    with chat_of(server, "ollama") as (client, _), client.bridge.stream_complete(MESSAGES) as stream:
        choice = stream.get_final_completion()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("All", "stop")


def test_an_endless_line_is_given_up(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.local.models.ollama._MAX_LINE", 1000)
    server.on(OLLAMA, lines(line("Half"), *[b"x" * 500] * 9))
    with chat_of(server, "ollama") as (client, _), client.bridge.stream_complete(MESSAGES) as stream:
        with pytest.raises(SekhaServerError, match="after 4 characters: a line is longer than 1000 bytes"):
            list(stream)


def test_a_stream_that_says_done_without_a_reason_gets_none_of_ours(server: FakeServer) -> None:
    server.on(OPENAI, chunked(delta("All"), DONE))
    with chat_of(server) as (client, _), client.bridge.stream_complete(MESSAGES) as stream:
        assert stream.get_final_completion()["choices"][0]["finish_reason"] is None


# What a model says beside its text

CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"town": "Rome"}'}}


@pytest.mark.parametrize("reason", ["length", "tool_calls", "content_filter", "stop", "something_new"])
def test_the_reason_of_an_end_comes_through(server: FakeServer, reason: str) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    message = {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None}
    whole = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    server.on(OPENAI, answer({"model": "llama3-0301", "choices": [whole], "usage": usage, "system_fingerprint": "fp"}))
    chunks = [
        event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None, "tool_calls": [CALL]}}]}),
        event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "model": "llama3-0301"}),
        event({"choices": [], "usage": usage}),
    ]
    server.on(OPENAI, chunked(*chunks, DONE))
    with chat_of(server) as (client, sekha):
        found: Dict[str, Any] = {**client.bridge.complete(MESSAGES)}
        assert found["choices"] == [whole]
        assert (found["model"], found["usage"], found["system_fingerprint"]) == ("llama3-0301", usage, "fp")
        assert found["id"].startswith("chatcmpl-")
        request = {"messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}
        streamed = httpx.post(f"{sekha.bridge_url}/v1/chat/completions", json=request, verify=False)
    assert sent(server)["stream_options"] == {"include_usage": True}
    events = [json.loads(one[6:]) for one in streamed.text.split("\n\n") if one.startswith("data: {")]
    assert [one["choices"][0]["delta"] for one in events if one["choices"]] == [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {},
    ]
    assert (events[-2]["choices"][0]["finish_reason"], events[-2]["model"]) == (reason, "llama3-0301")
    assert (events[0]["model"], events[-1]["usage"]) == ("llama3", usage)
    assert streamed.text.endswith("data: [DONE]\n\n")


def test_tokens_are_not_counted_for_a_model_that_does_not_say_them(server: FakeServer) -> None:
    message = {"role": "assistant", "content": "All said."}
    server.on(OPENAI, answer({"choices": [{"index": 0, "message": message, "finish_reason": "length"}]}))
    with chat_of(server) as (client, _):
        found = client.bridge.complete(MESSAGES)
    assert found["choices"][0]["finish_reason"] == "length"
    assert found["usage"]["total_tokens"] is None


def test_what_an_ollama_says_is_translated(server: FakeServer) -> None:
    function = {"name": "weather", "arguments": {"town": "Rome"}}
    message = {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [{"function": function}]}
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}
    server.on(OLLAMA, answer({"model": "llama3", "message": message, **end}))
    with chat_of(server, "ollama") as (client, sekha):
        whole: Dict[str, Any] = {**client.bridge.complete(MESSAGES)}
        choice = whole["choices"][0]
        (call,) = choice["message"]["tool_calls"]
        assert (choice["finish_reason"], choice["message"]["reasoning"]) == ("tool_calls", "Hm.")
        assert call["id"].startswith("call_")
        assert (call["type"], call["function"]) == ("function", {"name": "weather", "arguments": '{"town": "Rome"}'})
        assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
        server.on(OLLAMA, lines(line("Hel"), line(message=message), line(message=message), line("lo", **end)))
        request = {"messages": MESSAGES, "stream": True}
        streamed = httpx.post(f"{sekha.bridge_url}/v1/chat/completions", json=request, verify=False)
        events = [json.loads(one[6:]) for one in streamed.text.split("\n\n") if one.startswith("data: {")]
        calls = [call for one in events for call in one["choices"][0]["delta"].get("tool_calls", [])]
        assert [call["index"] for call in calls] == [0, 1]
        assert len({call["id"] for call in calls}) == 2
        assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"
        assert events[-1]["usage"]["total_tokens"] == 5
        server.on(OLLAMA, lines(line("Half"), line(" a", done=True, done_reason="length")))
        with client.bridge.stream_complete(MESSAGES) as stream:
            completion = stream.get_final_completion()
        assert completion["choices"][0]["finish_reason"] == "length"
        assert completion["choices"][0]["message"]["content"] == "Half a"


# What a request says beside its messages

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
TOLD: List[Dict[str, Any]] = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "How is it?", "name": "ada"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "And here?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        ],
    },
]


def test_what_the_bridge_does_not_know_goes_to_the_model(server: FakeServer) -> None:
    more: Dict[str, Any] = {
        **{"tools": TOOLS, "tool_choice": "auto", "response_format": {"type": "json_object"}, "stop": ["\n"]},
        **{"top_p": 0.5, "seed": 7, "n": 2, "logit_bias": {"50256": -100}, "x_of_a_vendor": {"deep": [1]}},
    }
    message = {"role": "assistant", "content": "Yes."}
    choices = [{"index": place, "message": message, "finish_reason": "stop"} for place in range(2)]
    server.always(OPENAI, answer({"choices": choices}))
    with chat_of(server) as (client, sekha):
        client.bridge.complete(MESSAGES, model="gpt-4", temperature=0.5, max_tokens=9, extra_body=more)
        assert sent(server) == {
            **{"messages": MESSAGES, "model": "gpt-4", "temperature": 0.5, "max_tokens": 9, "stream": False},
            **more,
        }
        request = {"messages": TOLD, "temperature": None, "max_completion_tokens": 5}
        found = httpx.post(f"{sekha.bridge_url}/v1/chat/completions", json=request, verify=False)
        assert found.json()["choices"] == choices
        assert sent(server) == {"messages": TOLD, "model": "llama3", "max_completion_tokens": 5, "stream": False}
        for wrong in ({"role": "user", "content": 7}, {"content": "x"}, {"role": "user", "content": ["x"]}):
            found = httpx.post(f"{sekha.bridge_url}/v1/chat/completions", json={"messages": [wrong]}, verify=False)
            assert found.status_code == 422


def test_what_is_for_the_model_is_translated_for_an_ollama(server: FakeServer) -> None:
    schema = {"type": "object"}
    more: Dict[str, Any] = {
        **{"tools": TOOLS, "top_p": 0.5, "seed": 7, "stop": "\n", "max_completion_tokens": 5, "keep_alive": "5m"},
        **{"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}, "options": {"num_ctx": 99}},
    }
    server.on(OLLAMA, answer({"message": {"role": "assistant", "content": "Yes."}, "done": True}))
    server.on(OLLAMA, answer({"message": {"role": "assistant", "content": "{}"}, "done": True}))
    with chat_of(server, "ollama") as (client, sekha):
        request = {"messages": TOLD, "temperature": 0.5, **more}
        assert httpx.post(f"{sekha.bridge_url}/v1/chat/completions", json=request, verify=False).status_code == 200
        got = sent(server)
        assert got.pop("options") == {
            **{"temperature": 0.5, "num_predict": 5, "top_p": 0.5, "seed": 7, "stop": ["\n"], "num_ctx": 99}
        }
        first, second, third, fourth, fifth = got.pop("messages")
        assert (first, second) == (TOLD[0], TOLD[1])
        function = {"name": "weather", "arguments": {"town": "Rome"}}
        assert third == {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
        assert (fourth["role"], fourth["content"], fourth["tool_name"]) == ("tool", "sunny", "weather")
        assert fifth == {"role": "user", "content": "And here?\nhttps://x.test/a.png", "images": ["aGk="]}
        assert got == {"model": "llama3", "stream": False, "tools": TOOLS, "keep_alive": "5m", "format": schema}
        client.bridge.complete(MESSAGES, extra_body={"response_format": {"type": "json_object"}})
        assert sent(server)["format"] == "json"


def test_the_stand_in_takes_what_is_documented_and_tells_that_it_was_cut() -> None:
    with LocalSekha() as sekha, SekhaClient(**sekha.options) as client:
        found = client.bridge.complete(MESSAGES, max_tokens=2, extra_body={"tools": TOOLS})
        assert found["choices"][0]["finish_reason"] == "length"
        with pytest.raises(SekhaValidationError, match=r"messages\.0\.content"):
            client.bridge._transport.send(_complete([{"role": "user", "content": None}]))


def _complete(messages: Any) -> Any:
    from sekha._api import endpoints

    return endpoints.COMPLETE.request({"messages": messages})


# What a model's server refuses


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, SekhaAuthError, "the model's server, not Sekha, requires a key .set SEKHA_LLM_KEY.: openai server"),
        (403, SekhaPermissionError, "the model's server, not Sekha, requires a key"),
        (429, SekhaRateLimitError, "the model's server, not Sekha, has received too many requests"),
        (400, SekhaValidationError, "openai server http.*: HTTP 400: it says why"),
    ],
)
def test_what_the_model_refuses_comes_through_as_its_own(server: FakeServer, status: int, kind: Any, said: str) -> None:
    reply = answer({"error": {"message": "it says why", "type": "x"}}, status, retry_after="7")
    server.always(OPENAI, reply)
    with chat_of(server) as (client, _):
        with pytest.raises(kind, match=said) as caught:
            client.bridge.complete(MESSAGES)
        assert "it says why" in str(caught.value)
        assert (caught.value.status_code, caught.value.retry_after) == (status, 7.0)
        with pytest.raises(kind, match=said):
            client.bridge.stream_complete(MESSAGES)


FAULTS: List[Tuple[Reply, str]] = [
    (answer({"error": "boom"}, 500), "HTTP 500: boom"),
    (text("<html><title>Bad</title></html>", 502), "HTTP 502"),
    (empty(500), "HTTP 500"),
    (empty(405), "HTTP 405"),
    (
        empty(307, location="https://other.test/v1?key=x"),
        "redirect to https://other.test/v1, which is not followed",
    ),
    (answer({"error": "not loaded"}), "llama3 returned no answer: not loaded"),
    (answer({"choices": []}), "llama3 returned no answer"),
    (answer({"choices": [None]}), "llama3 returned no answer"),
    (answer({"choices": [{"message": "x"}]}), "llama3 returned no answer"),
    (answer({"choices": [{"message": {"content": "x"}, "finish_reason": "error"}]}), "llama3 returned no answer"),
    (answer([1]), "llama3 returned no answer"),
    (answer(None), "llama3 returned no answer"),
    (body(b'{"choices": [{"message": {"content": "\\ud800"}}]}'), "the response is not JSON"),
    (body(b'{"choices": [{"message": {"content": "x"}, "logprobs": NaN}]}'), "the response is not JSON"),
    (body(b"[" * 5000), "the response is not JSON"),
    (text("nonsense"), "the response is not JSON .*: nonsense"),
    (raw(end="reset"), "openai server"),
]


def test_what_the_model_does_wrong_is_a_502_with_the_reason(server: FakeServer) -> None:
    with chat_of(server) as (client, _):
        for reply, said in FAULTS:
            server.on(OPENAI, reply)
            with pytest.raises(SekhaServerError, match=said) as caught:
                client.bridge.complete(MESSAGES)
            assert caught.value.status_code == 502
        assert client.bridge.health()["status"] == "healthy", "the bridge itself is well"


@pytest.mark.parametrize("status", [200, 500])
def test_an_endless_answer_is_given_up(server: FakeServer, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    monkeypatch.setattr("sekha.local.models.model_server.MAX_ANSWER", 100_000)
    server.always(OPENAI, chunked(*[b"x" * 1000] * 200, status=status))
    with chat_of(server) as (client, _):
        with pytest.raises(SekhaServerError, match="the response is larger than 100000 bytes"):
            client.bridge.complete(MESSAGES)
        if status == 500:
            with pytest.raises(SekhaServerError, match="the response is larger than 100000 bytes"):
                client.bridge.stream_complete(MESSAGES)


def test_a_client_that_leaves_ends_the_stream_of_the_model(server: FakeServer) -> None:
    more: List[Step] = [0.02, delta(" more")]
    server.on(OPENAI, chunked(delta("One"), *more * 500))
    with chat_of(server) as (client, _):
        with client.bridge.stream_complete(MESSAGES) as stream:
            assert next(stream)["choices"]
            assert server.open_connections == 1
        eventually(lambda: server.open_connections == 0)
        assert client.bridge.health()["status"] == "healthy"


def test_a_server_that_is_silent_is_told_with_the_time(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sekha.local.models.model_server._ANSWER_SECONDS", 0.1)
    server.on(OPENAI, raw(end="hang"))
    server.on(OPENAI, chunked(delta("Half"), end="hang"))
    with chat_of(server) as (client, _):
        with pytest.raises(SekhaServerError, match=r"openai server .*: no response within 0.1 s"):
            client.bridge.complete(MESSAGES)
        with client.bridge.stream_complete(MESSAGES) as stream:
            with pytest.raises(SekhaServerError, match=r"after 4 characters: no response within 0.1 s"):
                list(stream)


@pytest.mark.parametrize("given", [{"data": "x"}, {"data": [{"id": 7}]}, {"data": [None]}, {"error": "busy"}, 7, None])
def test_a_list_of_models_that_is_none_is_told_by_the_health(server: FakeServer, given: Any) -> None:
    server.always("GET /v1/models", answer(given))
    with LocalSekha(llm_url=f"{server.url}/v1") as sekha, SekhaClient(**sekha.options) as client:
        health: Dict[str, Any] = {**client.bridge.health()}
    assert "the response is not a list of models" in health["checks"]["chat"]["error"]


def test_a_server_that_is_not_ready_says_when(server: FakeServer) -> None:
    server.on(OPENAI, answer({"error": {"message": "Loading model"}}, 503, retry_after="2"))
    with chat_of(server) as (client, _), pytest.raises(SekhaServerError, match="Loading model") as caught:
        client.bridge.complete(MESSAGES)
    assert (caught.value.status_code, caught.value.retry_after) == (503, 2.0)


# Keys


def test_a_key_is_sent_and_shown_nowhere(server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    key = "sk-of-the-model-1234"
    server.on(OPENAI, answer({"error": f"Incorrect API key provided: {key}"}, 401))
    server.on(OPENAI, empty(307, location=f"http://127.0.0.1:9/{key}"))
    server.on("GET /v1/models", listing("openai", "llama3"))
    url = f"{server.url}/v1"
    with LocalSekha(llm_url=url, llm_key=key) as sekha, SekhaClient(**sekha.options, max_retries=0) as client:
        with pytest.raises(SekhaAuthError, match=r"rejects the key in SEKHA_LLM_KEY.*provided: [*]{3} ") as caught:
            client.bridge.complete(MESSAGES)
        with pytest.raises(SekhaServerError, match="which is not followed") as redirected:
            client.bridge.complete(MESSAGES)
        shown = [repr(sekha), repr(vars(sekha)), repr(caught.value), str(redirected.value)]
        shown += [record.getMessage() for record in caplog.records if record.name.startswith("sekha")]
        shown += [str(caught.value.body), str(redirected.value.body)]
    assert not [part for part in shown if key in part]
    assert [seen.headers.get("authorization") for seen in server.seen] == [f"Bearer {key}"] * 3


def test_a_key_that_is_refused_at_the_start_is_said(server: FakeServer) -> None:
    server.on("GET /v1/models", answer({"error": "no"}, 401))
    with pytest.raises(
        LocalSekhaError, match=r"rejects the key in SEKHA_EMBEDDINGS_KEY: openai server .*: HTTP 401: no"
    ):
        LocalSekha(embeddings_url=f"{server.url}/v1", embeddings_key="sk-wrong").start()


# Names


@pytest.mark.parametrize(
    ("wanted", "names", "chosen"),
    [
        (None, ["one"], "one"),
        ("one", ["two", "one"], "one"),
        ("one", ["one:latest"], "one"),
        ("one:latest", ["one"], "one:latest"),
        ("one", None, "one"),
        (None, None, "does not list its models: set one with"),
        (None, ["bge-m3", "qwen3:8b"], "has several models: set one with llm_model; it has bge-m3, qwen3:8b"),
        ("one", ["one:8b", "two"], "has no model one (set with llm_model); it has one:8b, two"),
        ("one", [], "has no model one (set with llm_model); it has none"),
        (None, [str(number) for number in range(25)], "17, 18, 19 and 5 more"),
    ],
)
def test_no_name_is_guessed(wanted: Any, names: Any, chosen: str) -> None:
    try:
        found = pick_model(wanted, names, "llm_model")
    except ModelSettingsError as error:
        found = str(error)
    assert found == chosen or (" " in chosen and chosen in found)


def test_a_server_without_a_model_may_get_one_later(server: FakeServer) -> None:
    with pytest.raises(ModelError, match="has no model"):
        pick_model(None, [], "llm_model")
    server.on("GET /api/tags", listing("ollama"), listing("ollama", "llama3:latest"))
    server.on(OLLAMA, answer({"message": {"content": "Yes."}, "done": True}))
    with LocalSekha(llm_url=f"{server.url}/api") as sekha, SekhaClient(**sekha.options) as client:
        assert client.bridge.complete(MESSAGES)["model"] == "llama3:latest"


@pytest.mark.parametrize("kind", ["openai", "ollama"])
def test_which_of_several_models_has_to_be_said(server: FakeServer, kind: str) -> None:
    url = server.url + ("/v1" if kind == "openai" else "/api")
    server.always(MODELS_OF[kind], listing(kind, "bge-m3:latest", "qwen3:8b"))
    both = {"llm_url": url, "embeddings_url": url}
    several = (
        f"{kind} server {url} has several models: set one with llm_model .--llm-model.; it has bge-m3:latest, qwen3:8b"
    )
    with pytest.raises(LocalSekhaError, match=several):
        LocalSekha(llm_url=url).start()
    with pytest.raises(LocalSekhaError, match="has several models: set one with embeddings_model"):
        LocalSekha(**both, llm_model="qwen3:8b").start()  # type: ignore[arg-type]  # of texts
    with pytest.raises(
        LocalSekhaError, match=f"{url} has no model gpt-4 .set with llm_model .*; it has bge-m3:latest, qwen3:8b"
    ):
        LocalSekha(llm_url=url, llm_model="gpt-4").start()
    with LocalSekha(**both, llm_model="qwen3:8b", embeddings_model="bge-m3") as sekha:  # type: ignore[arg-type]
        with SekhaClient(**sekha.options) as client:
            assert [row["model_id"] for row in client.bridge.models()] == ["bge-m3", "qwen3:8b"]


def test_a_server_that_is_started_later_is_asked_then(server: FakeServer) -> None:
    late = FakeServer(listening=False)
    url = late.url
    with LocalSekha(llm_url=url) as sekha, SekhaClient(**sekha.options, max_retries=0) as client:
        with pytest.raises(SekhaServerError, match=f"model server {url}") as caught:
            client.bridge.complete(MESSAGES)
        assert caught.value.status_code == 502
        late.listen()
        late.on("GET /api/version", answer({"version": "0.5"}))
        late.on("GET /api/tags", listing("ollama", "one", "two"), listing("ollama", "one"))
        late.on(OLLAMA, answer({"message": {"content": "Yes."}, "done": True}))
        with pytest.raises(SekhaServerError, match="has several models"):
            client.bridge.complete(MESSAGES)
        assert client.bridge.complete(MESSAGES)["model"] == "one"
    late.close()
    late.check()


@pytest.mark.parametrize(
    "version",
    [empty(404), answer({"error": "Unexpected endpoint"}), body(b"<html>", content_type="text/html"), answer(["x"])],
)
def test_what_is_no_ollama_is_asked_as_openai(server: FakeServer, version: Reply) -> None:
    server.on("GET /api/version", version)
    server.on("GET /v1/models", listing("openai", "llama3"))
    with LocalSekha(llm_url=server.url):
        pass


def test_a_server_that_does_not_list_its_models_needs_a_name(server: FakeServer) -> None:
    server.always("GET /v1beta/openai/models", empty(404))
    url = f"{server.url}/v1beta/openai"
    with pytest.raises(LocalSekhaError, match="does not list its models: set one with llm_model"):
        LocalSekha(llm_url=url).start()
    lax = {"choices": [{"message": {"content": "Yes."}}]}
    server.on("POST /v1beta/openai/chat/completions", answer(lax))
    with LocalSekha(llm_url=url, llm_model="gemini") as sekha, SekhaClient(**sekha.options) as client:
        assert client.bridge.complete(MESSAGES)["model"] == "gemini"
        assert client.bridge.health()["status"] == "healthy"


def test_a_model_that_is_gone_is_told_by_the_health(server: FakeServer) -> None:
    server.on("GET /api/tags", listing("ollama", "llama3"), listing("ollama", "llama3"), listing("ollama", "a", "b"))
    with LocalSekha(llm_url=f"{server.url}/api") as sekha, SekhaClient(**sekha.options) as client:
        assert client.bridge.health()["status"] == "healthy"
        health: Dict[str, Any] = {**client.bridge.health()}
        assert health["status"] == "degraded"
        assert "has several models" in health["checks"]["chat"]["error"]


# Embeddings


def floats(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def rows(*vectors: Any) -> Dict[str, Any]:
    return {"data": [{"index": place, "embedding": vector} for place, vector in enumerate(vectors)]}


BAD_VECTORS: List[Tuple[Any, str]] = [
    (rows(None, None), "a vector is None"),
    (rows([1.0], None), "a vector is None"),
    (rows([1.0], {"x": 1}), "a vector is {'x': 1}"),
    (rows([1.0], []), "a vector is empty"),
    (rows([1.0], ""), "a vector is empty"),
    (rows([1.0], "nonsense!"), "not base64 of 32-bit floats"),
    (rows([1.0], base64.b64encode(b"12345").decode()), "not base64 of 32-bit floats"),
    (rows([1.0], floats(float("nan"))), "not finite"),
    (rows([1.0], ["1.0"]), "a vector contains '1.0'"),
    (rows([1.0], [None]), "a vector contains None"),
    (rows([1.0], [True]), "a vector contains True"),
    (rows([1.0], [[1.0]]), "a vector contains .*"),
    (rows([1.0], [float("nan")]), "not finite"),
    (rows([1.0], [float("-inf")]), "not finite"),
    (rows([1.0], [10**400]), "not finite"),
    (rows([1.0], [0, 0.0]), "only zeros"),
    (rows([1.0], [1.0, 2.0]), "different lengths: 1, 2"),
    (rows([1.0]), "1 vectors for 2 texts"),
    (rows([1.0], [1.0], [1.0]), "3 vectors for 2 texts"),
    ({"data": [{"index": 0, "embedding": [1.0]}] * 2}, "must have each `index` from 0 to 1 once"),
    ({"data": [{"index": 0, "embedding": [1.0]}, {"embedding": [1.0]}]}, "each `index`"),
    ({"data": [{"index": 1, "embedding": [1.0]}, {"index": 2, "embedding": [1.0]}]}, "each `index`"),
    ({"data": [{"index": "0", "embedding": [1.0]}, {"index": "1", "embedding": [1.0]}]}, "each `index`"),
    ({"data": [{"index": True, "embedding": [1.0]}, {"index": False, "embedding": [1.0]}]}, "each `index`"),
    ({"data": [1, 2]}, "a vector is None"),
    ({"data": None}, "no list `data`"),
    ({"error": "no such model"}, "no list `data`: .*no such model"),
    ([], "no list `data`"),
]


@pytest.mark.parametrize(("given", "said"), BAD_VECTORS)
def test_what_is_no_vector_is_told(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        normalize_vectors(read_openai(given), 2)


@pytest.mark.parametrize("given", [None, [], {"embeddings": None}, {"embeddings": {}}, {"error": "no such model"}])
def test_what_is_no_list_of_vectors_is_told(given: Any) -> None:
    with pytest.raises(ValueError, match="no list `embeddings`"):
        read_ollama(given)


def test_what_is_no_vector_is_the_models_error(server: FakeServer) -> None:
    server.always("GET /v1/models", listing("openai", "bge-m3"))
    with LocalSekha(embeddings_url=f"{server.url}/v1") as sekha, SekhaClient(**sekha.options, max_retries=0) as client:
        for given, _ in BAD_VECTORS:
            server.always("POST /v1/embeddings", answer(given))
            found = httpx.post(f"{sekha.bridge_url}/embed", json={"text": ["a", "b"]}, verify=False)
            assert (found.status_code, "bge-m3 cannot be used" in found.json()["detail"]) == (502, True), found.text
        for reply in (body(b'{"data": ['), answer({"error": "busy"}, 503), answer({"error": "boom"}, 500), empty(200)):
            server.always("POST /v1/embeddings", reply)
            with pytest.raises(SekhaServerError, match=f"openai server {server.url}/v1: "):
                client.bridge.embed("a")
        client.controller.create_conversation(messages=[{"role": "user", "content": "Stored all the same."}])
        assert client.controller.count_conversations()["count"] == 1


def test_vectors_are_taken_in_the_order_of_their_texts() -> None:
    given = {"data": [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": floats(3.0, 4.0)}]}
    assert normalize_vectors(read_openai(given), 2) == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 1.0]]
    for rest in ({"index": None}, {}):
        given = {"data": [{**rest, "embedding": [5]}, {**rest, "embedding": [-5]}]}
        assert normalize_vectors(read_openai(given), 2) == [[1.0], [-1.0]]
    assert normalize_vectors([], 0) == []


def test_vectors_of_any_size_get_the_length_1() -> None:
    for size in (1e-300, 1e-160, 1.0, 1e160, 1e300):
        assert normalize_vectors([[3 * size, -4 * size]], 1)[0] == [pytest.approx(0.6), pytest.approx(-0.8)]


def test_prefixes_tell_what_is_searched_for_from_what_is_stored(server: FakeServer) -> None:
    server.always("GET /api/tags", listing("ollama", "nomic-embed-text:latest"))
    server.always("POST /api/embed", answer({"embeddings": [[1.0, 0.0]]}))
    settings: Dict[str, Any] = {"query_prefix": "search_query: ", "passage_prefix": "search_document: "}
    with LocalSekha(embeddings_url=f"{server.url}/api", **settings) as sekha:
        with SekhaClient(**sekha.options) as client:
            create_one = client.controller.create_conversation(
                messages=[{"role": "user", "content": "The cat sleeps."}]
            )
            hits = client.controller.query("cat")["results"]
            assert [hit["conversation_id"] for hit in hits] == [create_one["id"]]
            client.bridge.embed("neither")
    inputs = [json.loads(seen.body)["input"] for seen in server.seen if seen.line == "POST /api/embed"]
    assert ["search_document: The cat sleeps."] in inputs
    assert ["search_query: cat"] in inputs
    assert inputs[-1] == ["neither"]


def test_another_prefix_for_passages_is_another_model(server: FakeServer, tmp_path: Path) -> None:
    server.always("GET /api/tags", listing("ollama", "nomic-embed-text:latest"))
    server.always("POST /api/embed", answer({"embeddings": [[1.0, 0.0]]}))
    for count, prefix in enumerate(("", "passage: ", "passage: ")):
        before = len(server.seen)
        settings: Dict[str, Any] = {"embeddings_url": f"{server.url}/api", "passage_prefix": prefix, "no_key": True}
        with LocalSekha(tmp_path / "memory.db", **settings) as sekha, SekhaClient(**sekha.options) as client:
            if count == 0:
                client.controller.create_conversation(messages=[{"role": "user", "content": "The cat sleeps."}])
            eventually(lambda: client.mcp.memory_stats().get("searchable_messages") == 1)
        inputs = [json.loads(seen.body)["input"] for seen in server.seen[before:] if seen.line == "POST /api/embed"]
        assert ([f"{prefix}The cat sleeps."] in inputs) is (count < 2)
