"""Streamed completions: cuts, errors inside, chunks of real model servers, the collected answer (C1, C3, C5, C8)."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Optional, Type

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from sekha._api.chat_stream import ChatStreamDecoder, body_kind, chunk_text
from sekha.errors import SekhaDecodeError, SekhaError, SekhaServerError, SekhaStreamError
from sekha.types import ChatCompletion, ChatCompletionChunk
from support.chunks import NOISE, SERVERS, USAGE, chunk
from unit.vectors import recorded

PATH = "/v1/chat/completions"
DONE = "data: [DONE]\n\n"


def reader(*, events: bool = True, limit: int = 1 << 20) -> ChatStreamDecoder:
    return ChatStreamDecoder(events=events, limit=limit, method="POST", path=PATH)


def sse(*chunks: object) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)


class Read:
    """What reading a stream gave: chunks, their text, and how it ended."""

    def __init__(self, pieces: Iterable[bytes], **settings: Any) -> None:
        self.decoder = reader(**settings)
        self.chunks: List[ChatCompletionChunk] = []
        self.error: Optional[SekhaError] = None
        try:
            for piece in pieces:
                for one in self.decoder.feed(piece):
                    self.chunks.append(one)
                if self.decoder.done:
                    return
            for one in self.decoder.finish():
                self.chunks.append(one)
        except SekhaError as error:
            self.error = error

    @property
    def text(self) -> str:
        return "".join(map(chunk_text, self.chunks))

    @property
    def completion(self) -> ChatCompletion:
        return self.decoder.accumulator.completion()


def read(text: str, **settings: Any) -> Read:
    return Read([text.encode()], **settings)


def in_bytes(text: str) -> Read:
    data = text.encode()
    return Read(data[i : i + 1] for i in range(len(data)))


def test_numbers_that_no_chunk_has_are_none() -> None:
    found = read(sse(chunk("Hi", "stop"), {"choices": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}}) + DONE)
    assert found.chunks[-1].get("usage") == {"prompt_tokens": 1, "completion_tokens": None, "total_tokens": 1}
    assert found.decoder.accumulator.completion()["usage"] == found.chunks[-1].get("usage")


# ---- how a stream may end (C1) -----------------------------------------------------------------------------------


@pytest.mark.promise("C1")
@pytest.mark.parametrize(
    "ending",
    [
        DONE,
        "data: [DONE]",
        "data:[DONE]\r\n\r\n",
        sse(chunk(None, "stop")),
        sse(chunk(None, "stop")) + DONE,
        sse(chunk(None, "length")).rstrip(),
        sse(chunk(None, "stop"), {"choices": [], "usage": {"prompt_tokens": 1, "total_tokens": 2}}),
    ],
)
def test_done_or_a_finish_reason_is_a_good_end(ending: str) -> None:
    for found in (read(sse(chunk("Hel"), chunk("lo")) + ending), in_bytes(sse(chunk("Hel"), chunk("lo")) + ending)):
        assert found.error is None
        assert found.text == "Hello"
        assert found.decoder.done


@pytest.mark.promise("C1")
@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("", ""),
        (": nothing but a comment\n\n", ""),
        (sse(chunk("Hel"), chunk("lo")), "Hello"),
        (sse(chunk("Hel"), chunk("lo"))[:-1], "Hello"),
        (sse(chunk("Hel")) + 'data: {"choices": [{"delta": {"cont', "Hel"),
        (sse(chunk("Hel")) + "data: [DON", "Hel"),
        (sse(chunk("Hel")) + "dat", "Hel"),
    ],
)
def test_a_stream_that_ends_without_either_is_cut_and_keeps_the_text_so_far(wire: str, text: str) -> None:
    for found in (read(wire), in_bytes(wire)):
        assert isinstance(found.error, SekhaStreamError)
        assert found.error.text == text
        assert found.error.sent
        assert found.error.may_have_been_applied
        assert (found.error.method, found.error.path) == ("POST", PATH)
        assert found.text == text


@pytest.mark.promise("C1")
def test_a_cut_inside_a_character_is_a_cut_and_no_odd_letter() -> None:
    whole = (sse(chunk("é")) + 'data: {"choices": [{"delta": {"content": "日').encode()
    found = Read([whole[:-1]])
    assert isinstance(found.error, SekhaStreamError)
    assert found.error.text == found.text == "é"


@pytest.mark.promise("C1")
@given(st.data())
def test_a_stream_cut_anywhere_before_its_end_is_an_error_with_what_had_arrived(data: st.DataObject) -> None:
    texts = ["Größe ", "日本", "\U0001f600", " end"]
    wire = "".join(f"data: {json.dumps(chunk(text), ensure_ascii=False)}\n\n" for text in texts).encode()
    found = Read([wire[: data.draw(st.integers(0, len(wire)))]])
    assert isinstance(found.error, SekhaStreamError)
    assert found.error.text == found.text
    assert "".join(texts).startswith(found.text)


def test_nothing_after_done_is_looked_at() -> None:
    found = read(sse(chunk("a")) + DONE + sse(chunk("b")) + "data: garbage\n\n")
    assert found.error is None
    assert found.text == "a"


# ---- keep-alives (C3) --------------------------------------------------------------------------------------------


@pytest.mark.promise("C3")
@given(st.lists(st.lists(st.sampled_from(NOISE), max_size=3), min_size=5, max_size=5))
def test_keep_alives_between_any_two_events_change_nothing(noise: List[List[str]]) -> None:
    parts = [sse(chunk("a")), sse(chunk("b")), sse(chunk(None, "stop")), DONE, ""]
    found = read("".join("".join(before) + part for before, part in zip(noise, parts)))
    clean = read("".join(parts))
    assert found.error is clean.error is None
    assert found.chunks == clean.chunks


# ---- errors inside a stream (C5) ---------------------------------------------------------------------------------


@pytest.mark.promise("C5")
@pytest.mark.parametrize(
    ("event", "cls", "words"),
    [
        ('event: error\ndata: {"message": "out of memory"}\n\n', SekhaServerError, "out of memory"),
        ('event: error\ndata: {"error": {"message": "overloaded", "code": 9}}\n\n', SekhaServerError, "overloaded"),
        ("event: error\ndata: plain words\n\n", SekhaServerError, "plain words"),
        ("event: error\n\n", SekhaServerError, ""),
        ('data: {"error": {"message": "model crashed"}}\n\n', SekhaServerError, "model crashed"),
        ('data: {"error": "model crashed"}\n\n', SekhaServerError, "model crashed"),
        ('data: {"error": {}}\n\n', SekhaServerError, ""),
        ("data: <html>\n\n", SekhaDecodeError, "not valid JSON"),
        ("data: {'single': 'quotes'}\n\n", SekhaDecodeError, "not valid JSON"),
        ("data: 5\n\n", SekhaDecodeError, "a chunk"),
        ('data: ["list"]\n\n', SekhaDecodeError, "a chunk"),
        ('data: {"choices": "text"}\n\n', SekhaDecodeError, "choices"),
        ('data: {"choices": [{"delta": {"content": 5}}]}\n\n', SekhaDecodeError, "choices[0].delta.content"),
        ('data: {"choices": [5]}\n\n', SekhaDecodeError, "choices[0]"),
    ],
)
def test_an_error_or_nonsense_inside_a_stream_raises_and_nothing_after_it_is_given(
    event: str, cls: Type[SekhaError], words: str
) -> None:
    wire = sse(chunk("before")) + event + sse(chunk("after"), chunk(None, "stop")) + DONE
    for found in (read(wire), in_bytes(wire)):
        assert type(found.error) is cls
        assert words in str(found.error)
        assert found.text == "before"
        assert found.error.may_have_been_applied
        assert found.decoder.done


def test_an_error_that_is_null_is_none() -> None:
    found = read(sse({**chunk("a"), "error": None}) + DONE)
    assert found.error is None
    assert found.text == "a"


def test_an_event_that_is_too_long_is_refused() -> None:
    found = read(sse(chunk("x" * 500)) + DONE, limit=200)
    assert isinstance(found.error, SekhaDecodeError)
    assert "200 bytes" in str(found.error)


# ---- chunks of real model servers (C8) ---------------------------------------------------------------------------


@pytest.mark.promise("C8")
@pytest.mark.parametrize("server", SERVERS)
def test_the_chunks_of_every_model_server_add_up_to_the_answer_without_streaming(server: str) -> None:
    head = {"created": 1700000000, "model": "m", "object": "chat.completion.chunk"}
    chunks = [{**head, **chunk} if chunk.get("id") else chunk for chunk in SERVERS[server]]
    for found in (read(sse(*chunks) + DONE), in_bytes(sse(*chunks) + DONE)):
        assert found.error is None
        assert found.text == "Hello"
        assert found.decoder.accumulator.text == "Hello"
        completion = found.completion
        assert completion["id"] == "c1"
        assert completion["model"] == "m"
        assert completion["created"] == 1700000000
        assert completion["object"] == "chat.completion"
        assert {key: completion["usage"].get(key) for key in USAGE} == USAGE
        assert completion["choices"] == [
            {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        ]
        TypeAdapter(ChatCompletion).validate_python(completion, strict=True)


@pytest.mark.promise("C6")
def test_what_a_server_adds_to_a_chunk_is_kept() -> None:
    odd = {**chunk("a"), "new": {"deep": [1]}}
    odd["choices"][0]["later"] = None
    odd["choices"][0]["delta"]["reasoning_content"] = "hm"
    found = read(sse(odd) + DONE)
    assert found.chunks == [odd]


chunks = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(st.none(), st.text(max_size=3)),
        "model": st.one_of(st.none(), st.text(max_size=3)),
        "usage": st.one_of(st.none(), st.just({}), st.just(USAGE)),
        "choices": st.one_of(
            st.none(),
            st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "index": st.one_of(st.none(), st.integers(0, 2)),
                        "finish_reason": st.sampled_from([None, "stop", "length"]),
                        "delta": st.one_of(
                            st.none(),
                            st.fixed_dictionaries(
                                {},
                                optional={
                                    "role": st.sampled_from([None, "assistant"]),
                                    "content": st.one_of(st.none(), st.text(max_size=4)),
                                },
                            ),
                        ),
                    },
                ),
                max_size=2,
                unique_by=lambda choice: int(str(choice.get("index") or 0)),
            ),
        ),
    },
)


@pytest.mark.promise("C8")
@given(st.lists(chunks, max_size=5))
def test_no_shape_of_chunks_breaks_the_text_or_the_collected_answer(stream: List[Dict[str, Any]]) -> None:
    found = read(sse(*stream) + DONE)
    assert found.error is None
    assert len(found.chunks) == len(stream)
    assert found.text == found.decoder.accumulator.text
    completion = TypeAdapter(ChatCompletion).validate_python(found.completion, strict=True)
    first = [choice for choice in completion["choices"] if choice["index"] == 0]
    assert [choice["message"]["content"] for choice in first] in ([], [found.text])
    assert [choice["index"] for choice in completion["choices"]] == sorted(
        {choice.get("index") or 0 for chunk in found.chunks for choice in chunk["choices"]}
    )


def test_several_choices_are_kept_apart() -> None:
    stream = [
        {"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}}]},
        {"choices": [{"index": 0, "delta": {"content": "A"}, "finish_reason": "stop"}]},
        {"choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "length"}]},
    ]
    found = read(sse(*stream) + DONE)
    assert found.text == "aA"
    said = [(choice["message"]["content"], choice["finish_reason"]) for choice in found.completion["choices"]]
    assert said == [("aA", "stop"), ("bB", "length")]


# ---- a bridge that does not stream (D31) -------------------------------------------------------------------------


def test_a_recorded_plain_completion_becomes_a_chunk_with_the_text_and_one_with_the_end() -> None:
    body = recorded("chat_openai_extras", "bridge").answer.body
    said = json.loads(body)
    for pieces in ([body], [body[i : i + 7] for i in range(0, len(body), 7)]):
        found = Read(pieces, events=False)
        assert found.error is None
        text, end = found.chunks
        assert chunk_text(text) == said["choices"][0]["message"]["content"]
        assert text["choices"][0].get("finish_reason") is None
        assert "usage" not in text
        assert (chunk_text(end), end["choices"][0].get("finish_reason")) == ("", "stop")
        assert end.get("usage") == said["usage"]
        assert found.completion == said


@pytest.mark.parametrize(
    ("body", "cls", "words"),
    [
        ("", SekhaDecodeError, "JSON"),
        ('{"choices": [{"mess', SekhaDecodeError, "JSON"),
        ("<html>proxy</html>", SekhaDecodeError, "JSON"),
        ("[]", SekhaDecodeError, "not a chat completion"),
        ("{}", SekhaDecodeError, "not a chat completion"),
        ('{"choices": [{"index": 0}]}', SekhaDecodeError, "not a chat completion"),
        ('{"choices": [{"message": {"content": 5}}]}', SekhaDecodeError, "content"),
        ('{"error": {"message": "no model"}}', SekhaServerError, "no model"),
    ],
)
def test_an_answer_that_is_neither_stream_nor_completion_is_an_error(
    body: str, cls: Type[SekhaError], words: str
) -> None:
    found = read(body, events=False)
    assert type(found.error) is cls
    assert words in str(found.error)
    assert found.chunks == []


def test_a_plain_completion_that_is_too_long_is_refused() -> None:
    found = Read([b"x" * 60, b"x" * 60], events=False, limit=100)
    assert isinstance(found.error, SekhaDecodeError)
    assert "100 bytes" in str(found.error)


# ---- what a body is by its first bytes -----------------------------------------------------------------------------


@pytest.mark.promise("W6")
@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"data: x", "events"),
        (b"data:", "events"),
        (b": comment", "events"),
        (b"event: x", "events"),
        (b"\xef\xbb\xbf\r\n\nid", "events"),
        (b"retry:5", "events"),
        (b"{", "plain"),
        (b"\xef\xbb\xbf [", "plain"),
        (b"\n\n<", "plain"),
        (b"", None),
        (b"\xef", None),
        (b"\xef\xbb\xbf", None),
        (b"\n \n", None),
        (b"dat", None),
        (b"e", None),
        (b"busy", "by its type"),
        (b"evil", "by its type"),
        (b"5", "by its type"),
        (b"\n" * 2000, "by its type"),
    ],
)
def test_the_first_bytes_say_what_a_body_is(start: bytes, kind: Optional[str]) -> None:
    for says_events, by_type in ((True, "events"), (False, "plain")):
        assert body_kind(start, events=says_events) == (by_type if kind == "by its type" else kind)


@pytest.mark.promise("C5", "W6")
def test_words_under_the_type_of_a_stream_are_shown() -> None:
    for wire in ("upstream connect error", "upstream connect error\n\n", "\n\nupstream connect error"):
        for found in (read(wire), in_bytes(wire)):
            assert isinstance(found.error, SekhaDecodeError)
            assert "neither events nor JSON: upstream connect error" in str(found.error)
            assert (found.error.body or "").strip() == "upstream connect error"
