"""Streamed chat completions: chunks from bytes, text from chunks, and the whole completion from all of them."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, cast

from pydantic_core import ValidationError, from_json

from sekha._api.compat.bridge import FAILURES, add_usage, completion_to_chunks, find_failure, normalize_chunk
from sekha._api.error_response import describe_body, error_in_success, has_error, truncate
from sekha._api.schemas import validator_for
from sekha._api.validation import error_path, format_path
from sekha._http.sse import Event, EventDecoder, EventTooLong
from sekha._utils.json_access import as_object, get
from sekha.errors import (
    BODY_LIMIT,
    SekhaDecodeError,
    SekhaError,
    SekhaStreamError,
)
from sekha.types import ChatChoice, ChatCompletion, ChatCompletionChunk, ChatMessage

_COMMON_KEYS = ("id", "created", "model")
"""Keys that are the same in all chunks of a completion."""
_CHUNK_KEYS: Final = frozenset({*_COMMON_KEYS, "object", "choices", "usage", "error", "provider", "system_fingerprint"})
"""Keys of chunks; an event with other keys, and without choices and usage, is not recognized."""
_KEEP_ALIVES: Final = frozenset({"ping", "keepalive", "keep-alive", "keep_alive", "heartbeat"})
"""Names of events that only keep a connection open."""
_FIELDS: Final = (b":", b"data", b"event", b"id", b"retry")
"""Possible starts of a line of server-sent events."""
_MAX_SHOWN: Final = 200
"""Characters of unrecognized content that are quoted in an error."""
_MAX_BLANKS: Final = 1024
"""Bytes of whitespace after which the type of a body is decided."""


def chunk_text(chunk: ChatCompletionChunk) -> str:
    """Return the text that a chunk adds to the first choice."""
    for choice in chunk["choices"]:
        if not choice.get("index"):
            return choice["delta"].get("content") or ""
    return ""


def body_kind(start: bytes, *, events: bool) -> Literal["events", "plain"] | None:
    """Return the type of a body by its first bytes: events, or one JSON value or page; None if there are too few bytes.

    Args:
        start: The bytes so far.
        events: Whether the ``Content-Type`` is that of events, which decides if the bytes are ambiguous.
    """
    first = b"" if BOM_UTF8.startswith(start) else start.removeprefix(BOM_UTF8).lstrip()
    if first[:1] in (b"{", b"[", b"<"):
        return "plain"
    if first.startswith(_FIELDS):
        return "events"
    if any(field.startswith(first) for field in _FIELDS) and len(start) <= _MAX_BLANKS:
        return None
    return "events" if events else "plain"


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
                if chunk.get(key):  # Azure starts with a chunk of empty strings and a 0
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
        """Whether there is a choice, and every choice so far has a finish reason."""
        return bool(self._finish_reasons) and len(self._finish_reasons) == len(self._texts)

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

    The body contains server-sent events, or the plain completion of a bridge that cannot stream, depending on its first
    bytes. A stream is complete with ``[DONE]`` or with the finish reasons of all choices. Four ends are errors: the
    bytes end before either of them, the bytes end inside an event, an event contains an error, or there was no finish
    reason and an unrecognized event.

    Args:
        events: Whether the response says that it is a stream of events.
        limit: Maximum size in bytes of one event, or of the plain completion.
        method: HTTP method of the call, for errors.
        path: Path template of the call, for errors.

    Attributes:
        done: Whether ``[DONE]`` or an error has arrived, after which nothing is decoded.
        accumulator: The chunks so far.
    """

    def __init__(self, *, events: bool, limit: int, method: str, path: str) -> None:
        self._says_events = events
        self._kind: Literal["events", "plain"] | None = None
        self._start = b""
        self._events = EventDecoder(limit)
        self._limit = limit
        self.call_details: dict[str, Any] = {"method": method, "path": path, "may_have_been_applied": True}
        self._plain: list[bytes] = []
        self._plain_size = 0
        self._at_end = False
        self._not_understood = ""
        self._has_event = False
        self._validator = validator_for(ChatCompletionChunk)
        self.done: bool = False
        self.accumulator: CompletionAccumulator = CompletionAccumulator()

    def feed(self, data: bytes) -> Iterator[ChatCompletionChunk]:
        """Yield the chunks that these bytes complete.

        Raises:
            SekhaServerError: The stream contains an error; nothing after it is decoded.
            SekhaDecodeError: An event is not a chunk, or too long.
        """
        if not self._has_event and len(self._start) < BODY_LIMIT:
            self._start = (self._start + data)[:BODY_LIMIT]
        if self._kind is None:
            self._plain.append(data)
            self._kind = body_kind(b"".join(self._plain), events=self._says_events)
            if self._kind == "events":
                data = b"".join(self._plain)
                self._plain = []
        elif self._kind == "plain":
            self._plain.append(data)
        if self._kind == "events":
            return self._decode_events(self._events.feed(data))
        self._plain_size += len(data)
        if self._plain_size > self._limit:
            raise self._decode_error(f"it is longer than {self._limit} bytes", b"")
        return iter(())

    def finish(self) -> Iterator[ChatCompletionChunk]:
        """Yield the chunks that were not complete when the bytes ended.

        Raises:
            SekhaStreamError: The response is truncated; ``text`` is what had arrived.
        """
        if self._kind == "plain" or (self._kind is None and not self._says_events):
            yield from self._decode_plain_completion(b"".join(self._plain))
        else:
            self._at_end = True
            yield from self._decode_events(self._events.feed(b"".join(self._plain)))
            yield from self._decode_events(self._events.finish())
            if not self.is_complete:
                if not self._has_event and body_kind(self._start, events=False) == "plain":
                    raise self._decode_error("neither events nor JSON", self._start, show=True)
                raise self.truncated_error("the stream ended without [DONE] or a finish_reason")
        self.done = True

    @property
    def is_complete(self) -> bool:
        """Whether all content has arrived, so that a broken connection does not matter."""
        return self.done or self.accumulator.has_finish_reason

    def truncated_error(self, problem: str) -> SekhaStreamError:
        """Return the error for a stream that ended here."""
        text = self.accumulator.text
        return SekhaStreamError(f"{problem} (after {len(text)} characters)", text=text, **self.call_details)

    def _decode_events(self, events: Iterable[Event]) -> Iterator[ChatCompletionChunk]:
        try:
            for event in events:
                self._has_event = True
                chunk = self._decode_event(event)
                if chunk is not None:
                    yield chunk
                if self.done:
                    return
        except EventTooLong as error:
            raise self._decode_error(str(error), b"") from None

    def _decode_event(self, event: Event) -> ChatCompletionChunk | None:
        if event.name:
            name = event.name.strip().lower()
            if name in _KEEP_ALIVES:
                return None
            if any(word in name for word in FAILURES):
                raise self._server_error(event.data)
        try:
            chunk: ChatCompletionChunk = self._validator.validate_json(event.data, strict=True)
        except ValidationError:  # rare: most chunks are valid as they are
            return self._decode_leniently(event)
        if not chunk["choices"] and chunk.get("usage") is None and has_error(chunk):
            raise self._server_error(event.data)
        if chunk.get("usage") is not None:
            chunk = cast("ChatCompletionChunk", add_usage(cast("dict[str, Any]", chunk)))
        return self._accept(chunk)

    def _accept(self, chunk: ChatCompletionChunk) -> ChatCompletionChunk:
        self.accumulator.add(chunk)
        failure = find_failure(cast("Mapping[str, Any]", chunk))
        if failure is not None:
            raise self._server_error(json.dumps(failure))
        return chunk

    def _decode_leniently(self, event: Event) -> ChatCompletionChunk | None:
        text = event.data.strip()
        if not text or text == "null":
            return None
        if text.strip('"').upper() == "[DONE]":
            if self._not_understood and not self.accumulator.has_finish_reason:
                problem = "an event is not a chunk, and there was no finish_reason"
                raise self._decode_error(problem, self._not_understood.encode(), show=True)
            self.done = True
            return None
        try:
            data: object = from_json(event.data)
        except ValueError:
            if event.name and not self._at_end:
                self._not_understood = self._not_understood or event.data
                return None
            if self._at_end and self.is_complete:
                return None  # the content is complete, and the truncated event would have added nothing to it
            if self._at_end:
                raise self.truncated_error("the stream ended in the middle of an event") from None
            raise self._decode_error("an event is not valid JSON", event.data.encode(), show=True) from None
        found = as_object(data)
        if found is not None and not found.get("choices") and found.get("usage") is None:
            if str(found.get("type")).lower() in _KEEP_ALIVES:
                return None
            if has_error(found):
                raise self._server_error(event.data)
            if not _CHUNK_KEYS.issuperset(found):
                self._not_understood = self._not_understood or event.data
        return self._validate(normalize_chunk(data), event.data)

    def _validate(self, data: object, source: str) -> ChatCompletionChunk:
        try:
            chunk: ChatCompletionChunk = self._validator.validate_python(data, strict=True)
        except ValidationError as error:
            failure = find_failure(as_object(data) or {})
            if failure is not None:
                raise self._server_error(json.dumps(failure)) from None
            first = cast("Mapping[str, Any]", error.errors(include_url=False, include_context=False)[0])
            path = format_path(error_path(first, data)).replace("the request", "a chunk")
            raise self._decode_error(f"{path}: {first['msg']}", source.encode()) from None
        return self._accept(chunk)

    def _decode_plain_completion(self, body: bytes) -> Iterator[ChatCompletionChunk]:
        body = body.removeprefix(BOM_UTF8)
        try:
            data: object = from_json(body)
        except ValueError:
            raise self._decode_error("neither events nor JSON", body, show=True) from None
        if not get(data, "choices") and has_error(data):
            raise self._server_error(body.decode("utf-8", "replace"))
        chunks = completion_to_chunks(data)
        if chunks is None:
            failure = find_failure(as_object(data) or {})
            if failure is not None:
                raise self._server_error(json.dumps(failure))
            raise self._decode_error("it is not a chat completion", body, show=True)
        for chunk in chunks:
            yield self._validate(normalize_chunk(chunk), "")

    def _server_error(self, body: str) -> SekhaError:
        self.done = True
        error = error_in_success(self.call_details["method"], self.call_details["path"], {}, body.encode())
        error.may_have_been_applied = True
        error.text = self.accumulator.text
        return error

    def _decode_error(self, problem: str, body: bytes, *, show: bool = False) -> SekhaDecodeError:
        self.done = True
        text = body.decode("utf-8", "replace")[:BODY_LIMIT]
        if show and text.strip():
            problem = f"{problem}: {truncate(describe_body(text), _MAX_SHOWN)}"
        return SekhaDecodeError(f"the stream cannot be decoded: {problem}", body=text, **self.call_details)
