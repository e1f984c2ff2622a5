"""Streamed chat completions: chunks from bytes, text from chunks, and the whole completion from all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from pydantic_core import ValidationError, from_json

from sekha._api.compat.bridge import add_usage, completion_to_chunks, normalize_chunk
from sekha._api.error_response import error_from_response
from sekha._api.schemas import validator_for
from sekha._api.validation import error_path, format_path
from sekha._http.sse import Event, EventDecoder, EventTooLong
from sekha._utils.json_access import get
from sekha.errors import (
    BODY_LIMIT,
    SekhaDecodeError,
    SekhaError,
    SekhaServerError,
    SekhaStreamError,
)
from sekha.types import ChatChoice, ChatCompletion, ChatCompletionChunk, ChatMessage

_COMMON_KEYS = ("id", "created", "model")
"""Keys that are the same in all chunks of a completion."""


def chunk_text(chunk: ChatCompletionChunk) -> str:
    """Return the text that a chunk adds to the first choice."""
    for choice in chunk["choices"]:
        if not choice.get("index"):
            return choice["delta"].get("content") or ""
    return ""


class CompletionAccumulator:
    """Collects chunks into the completion that `complete` would have returned."""

    def __init__(self) -> None:
        self._common: dict[str, Any] = {}
        self._roles: dict[int, str] = {}
        self._texts: dict[int, list[str]] = {}
        self._finish_reasons: dict[int, str | None] = {}
        self._usage: object = None

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Add the next chunk."""
        if len(self._common) < len(_COMMON_KEYS):
            for key in _COMMON_KEYS:
                if chunk.get(key):  # Azure begins with a chunk of empty strings and a 0
                    self._common.setdefault(key, chunk.get(key))
        if chunk.get("usage") is not None:
            self._usage = chunk.get("usage")
        for choice in chunk["choices"]:
            index, delta = choice.get("index") or 0, choice["delta"]
            self._texts.setdefault(index, []).append(delta.get("content") or "")
            if delta.get("role"):
                self._roles[index] = str(delta.get("role"))
            if choice.get("finish_reason"):
                self._finish_reasons[index] = choice.get("finish_reason")

    @property
    def has_finish_reason(self) -> bool:
        """Whether a chunk had a finish reason."""
        return bool(self._finish_reasons)

    @property
    def text(self) -> str:
        """The text of the first choice so far."""
        return "".join(self._texts.get(0, ()))

    def completion(self) -> ChatCompletion:
        """Return the chunks so far as one completion; numbers that no chunk had are None."""
        choices = [
            ChatChoice(
                index=index,
                message=ChatMessage(role=self._roles.get(index, "assistant"), content="".join(texts)),
                finish_reason=self._finish_reasons.get(index),
            )
            for index, texts in sorted(self._texts.items())
        ]
        data = {"id": "", "created": 0, "model": "", **self._common, "choices": choices, "usage": self._usage}
        return cast(ChatCompletion, add_usage({**data, "object": "chat.completion"}))


class ChatStreamDecoder:
    """Decodes the body of a response into chunks.

    The body has server-sent events, or it is the plain completion of a bridge that cannot stream. A stream is complete
    with ``[DONE]`` or with a finish reason. Three ends are errors: the bytes end before either of them, the bytes end
    inside an event, or an event carries an error.

    Args:
        events: Whether the response is a stream of events.
        limit: Bytes that one event, or the plain completion, may have.
        method: HTTP method of the call, for errors.
        path: Path template of the call, for errors.

    Attributes:
        done: Whether ``[DONE]`` or an error has arrived, so that nothing more is decoded.
        accumulator: The chunks so far.
    """

    def __init__(self, *, events: bool, limit: int, method: str, path: str) -> None:
        self._events = EventDecoder(limit) if events else None
        self._limit = limit
        self.call_details: dict[str, Any] = {"method": method, "path": path, "may_have_been_applied": True}
        self._plain: list[bytes] = []
        self._plain_size = 0
        self._at_end = False
        self._validator = validator_for(ChatCompletionChunk)
        self.done: bool = False
        self.accumulator: CompletionAccumulator = CompletionAccumulator()

    def feed(self, data: bytes) -> Iterator[ChatCompletionChunk]:
        """Yield the chunks that these bytes complete.

        Raises:
            SekhaServerError: The stream carries an error; nothing after it is decoded.
            SekhaDecodeError: An event is not a chunk, or too long.
        """
        if self._events is None:
            self._plain.append(data)
            self._plain_size += len(data)
            if self._plain_size > self._limit:
                raise self._decode_error(f"it is longer than {self._limit} bytes", b"")
            return iter(())
        return self._decode_events(self._events.feed(data))

    def finish(self) -> Iterator[ChatCompletionChunk]:
        """Yield the chunks that were not complete when the bytes ended.

        Raises:
            SekhaStreamError: The response is truncated; its ``text`` is what had arrived.
        """
        if self._events is None:
            yield from self._decode_plain_completion(b"".join(self._plain))
        else:
            self._at_end = True
            yield from self._decode_events(self._events.finish())
            if not self.is_complete:
                raise self.truncated_error("the stream ended without [DONE] and without a finish_reason")
        self.done = True

    @property
    def is_complete(self) -> bool:
        """Whether all content has arrived, so that a connection that breaks now does no harm."""
        return self.done or self.accumulator.has_finish_reason

    def truncated_error(self, problem: str) -> SekhaStreamError:
        """Return the error for a stream that ended here."""
        text = self.accumulator.text
        return SekhaStreamError(f"{problem} (after {len(text)} characters)", text=text, **self.call_details)

    def _decode_events(self, events: Iterable[Event]) -> Iterator[ChatCompletionChunk]:
        try:
            for event in events:
                chunk = self._decode_event(event)
                if chunk is not None:
                    yield chunk
                if self.done:
                    return
        except EventTooLong as error:
            raise self._decode_error(str(error), b"") from None

    def _decode_event(self, event: Event) -> ChatCompletionChunk | None:
        if event.name == "error":
            raise self._server_error(event.data)
        if event.name == "ping":
            return None
        try:
            chunk: ChatCompletionChunk = self._validator.validate_json(event.data, strict=True)
        except ValidationError:  # rare: most chunks are valid as they are
            return self._decode_leniently(event)
        if get(chunk, "error") is not None:
            raise self._server_error(event.data)
        if chunk.get("usage") is not None:
            chunk = cast("ChatCompletionChunk", add_usage(cast("dict[str, Any]", chunk)))
        self.accumulator.add(chunk)
        return chunk

    def _decode_leniently(self, event: Event) -> ChatCompletionChunk | None:
        text = event.data.strip()
        if not text:
            return None
        if text == "[DONE]":
            self.done = True
            return None
        try:
            data: object = from_json(event.data)
        except ValueError:
            if self._at_end and self.is_complete:
                return None  # the content is complete, and the truncated event would have added nothing to it
            if self._at_end:
                raise self.truncated_error("the stream was cut in the middle of an event") from None
            raise self._decode_error("an event is no JSON", event.data.encode()) from None
        if get(data, "error") is not None:
            raise self._server_error(event.data)
        return self._validate(normalize_chunk(data), event.data)

    def _validate(self, data: object, source: str) -> ChatCompletionChunk:
        try:
            chunk: ChatCompletionChunk = self._validator.validate_python(data, strict=True)
        except ValidationError as error:
            first = cast("Mapping[str, Any]", error.errors(include_url=False, include_context=False)[0])
            path = format_path(error_path(first, data)).replace("the request", "a chunk")
            raise self._decode_error(f"{path}: {first['msg']}", source.encode()) from None
        self.accumulator.add(chunk)
        return chunk

    def _decode_plain_completion(self, body: bytes) -> Iterator[ChatCompletionChunk]:
        try:
            data: object = from_json(body)
        except ValueError:
            raise self._decode_error("neither events nor JSON", body) from None
        if get(data, "error") is not None:
            raise self._server_error(body.decode("utf-8", "replace"))
        chunks = completion_to_chunks(data)
        if chunks is None:
            raise self._decode_error("it is no chat completion", body)
        for chunk in chunks:
            yield self._validate(chunk, "")

    def _server_error(self, body: str) -> SekhaError:
        self.done = True
        error = error_from_response(
            self.call_details["method"],
            self.call_details["path"],
            200,
            {"content-type": "application/json"},
            body.encode(),
            cls=SekhaServerError,
        )
        error.may_have_been_applied = True
        return error

    def _decode_error(self, problem: str, body: bytes) -> SekhaDecodeError:
        self.done = True
        text = body.decode("utf-8", "replace")[:BODY_LIMIT]
        return SekhaDecodeError(f"the stream cannot be read: {problem}", body=text, **self.call_details)
