"""Chat completions in pieces: chunks from bytes, text from chunks, and the whole answer from all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from sekha._api import compat as _dialect
from sekha._api.error_response import error_from_response
from sekha._api.validation import error_path, format_path
from sekha._http.sse import Event, EventDecoder, EventTooLong
from sekha._utils.json_access import get
from sekha.errors import BODY_LIMIT, SekhaDecodeError, SekhaError, SekhaServerError, SekhaStreamError
from sekha.types import ChatChoice, ChatCompletion, ChatCompletionChunk, ChatMessage

_HEAD = ("id", "created", "model")


@cache
def _chunk_adapter() -> TypeAdapter[ChatCompletionChunk]:
    return TypeAdapter(ChatCompletionChunk)


def chunk_text(chunk: ChatCompletionChunk) -> str:
    """The text that a chunk adds to the first choice."""
    for choice in chunk["choices"]:
        if not choice.get("index"):
            return choice["delta"].get("content") or ""
    return ""


class CollectedCompletion:
    """Adds up chunks to what `complete` would have answered."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._roles: dict[int, str] = {}
        self._texts: dict[int, list[str]] = {}
        self._reasons: dict[int, str | None] = {}
        self._usage: object = None

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Take in the next chunk."""
        if len(self._head) < len(_HEAD):
            for key in _HEAD:
                if chunk.get(key):  # Azure begins with a chunk of empty strings and a 0
                    self._head.setdefault(key, chunk.get(key))
        if chunk.get("usage") is not None:
            self._usage = chunk.get("usage")
        for choice in chunk["choices"]:
            index, delta = choice.get("index") or 0, choice["delta"]
            self._texts.setdefault(index, []).append(delta.get("content") or "")
            if delta.get("role"):
                self._roles[index] = str(delta.get("role"))
            if choice.get("finish_reason"):
                self._reasons[index] = choice.get("finish_reason")

    @property
    def says_its_end(self) -> bool:
        """Whether a chunk gave a reason why it ends."""
        return bool(self._reasons)

    @property
    def text(self) -> str:
        """The text of the first choice so far."""
        return "".join(self._texts.get(0, ()))

    def completion(self) -> ChatCompletion:
        """All chunks so far as one completion; numbers that no chunk had are None."""
        choices = [
            ChatChoice(
                index=index,
                message=ChatMessage(role=self._roles.get(index, "assistant"), content="".join(texts)),
                finish_reason=self._reasons.get(index),
            )
            for index, texts in sorted(self._texts.items())
        ]
        data = {"id": "", "created": 0, "model": "", **self._head, "choices": choices, "usage": self._usage}
        return cast(ChatCompletion, _dialect.with_usage({**data, "object": "chat.completion"}))


class ChunkReader:
    """Bytes of an answer become chunks: from server-sent events, or from a plain completion of a bridge that cannot
    stream.

    Args:
        events: Whether the answer says that it is a stream of events.
        limit: Bytes that one event, or the plain completion, may have.
        method: HTTP method of the call, for errors.
        path: Path template of the call, for errors.
    """

    def __init__(self, *, events: bool, limit: int, method: str, path: str) -> None:
        self._decoder = EventDecoder(limit) if events else None
        self._limit = limit
        self.call_details: dict[str, Any] = {"method": method, "path": path, "may_have_been_applied": True}
        self._plain: list[bytes] = []
        self._plain_size = 0
        self._ending = False
        self._shape = _chunk_adapter()
        self.done: bool = False
        self.collected: CollectedCompletion = CollectedCompletion()

    def feed(self, piece: bytes) -> Iterator[ChatCompletionChunk]:
        """The chunks that a piece of the answer completes.

        Raises:
            SekhaServerError: The stream carries an error; nothing after it is looked at.
            SekhaDecodeError: An event is no chunk, or too long.
        """
        if self._decoder is None:
            self._plain.append(piece)
            self._plain_size += len(piece)
            if self._plain_size > self._limit:
                raise self._misfit(f"it is longer than {self._limit} bytes", b"")
            return iter(())
        return self._chunks(self._decoder.feed(piece))

    def finish(self) -> Iterator[ChatCompletionChunk]:
        """The chunks that were still open when the answer ended.

        Raises:
            SekhaStreamError: The answer was cut; what had arrived is in its ``text``.
        """
        if self._decoder is None:
            yield from self._from_completion(b"".join(self._plain))
        else:
            self._ending = True
            yield from self._chunks(self._decoder.finish())
            if not self.has_said_its_end:
                raise self.cut("the stream ended without [DONE] and without a finish_reason")
        self.done = True

    @property
    def has_said_its_end(self) -> bool:
        """Whether the answer is complete, so that a connection that breaks now takes nothing away."""
        return self.done or self.collected.says_its_end

    def cut(self, problem: str) -> SekhaStreamError:
        """The error for a stream that broke off here."""
        text = self.collected.text
        return SekhaStreamError(f"{problem} (after {len(text)} characters)", text=text, **self.call_details)

    def _chunks(self, events: Iterable[Event]) -> Iterator[ChatCompletionChunk]:
        try:
            for event in events:
                chunk = self._chunk(event)
                if chunk is not None:
                    yield chunk
                if self.done:
                    return
        except EventTooLong as error:
            raise self._misfit(str(error), b"") from None

    def _chunk(self, event: Event) -> ChatCompletionChunk | None:
        if event.name == "error":
            raise self._server_error(event.data)
        if event.name == "ping":
            return None
        try:
            chunk = self._shape.validate_json(event.data, strict=True)
        except ValidationError:  # most say it in just these words
            return self._from_other_words(event)
        if get(chunk, "error") is not None:
            raise self._server_error(event.data)
        if chunk.get("usage") is not None:
            chunk = cast("ChatCompletionChunk", _dialect.with_usage(cast("dict[str, Any]", chunk)))
        self.collected.add(chunk)
        return chunk

    def _from_other_words(self, event: Event) -> ChatCompletionChunk | None:
        text = event.data.strip()
        if not text:
            return None
        if text == "[DONE]":
            self.done = True
            return None
        try:
            data: object = from_json(event.data)
        except ValueError:
            if self._ending and self.has_said_its_end:
                return None  # the answer was complete; what was cut only told about it
            if self._ending:
                raise self.cut("the stream was cut in the middle of an event") from None
            raise self._misfit("an event is no JSON", event.data.encode()) from None
        if get(data, "error") is not None:
            raise self._server_error(event.data)
        return self._checked(_dialect.chunk(data), event.data)

    def _checked(self, data: object, source: str) -> ChatCompletionChunk:
        try:
            chunk = self._shape.validate_python(data, strict=True)
        except ValidationError as error:
            first = cast("Mapping[str, Any]", error.errors(include_url=False, include_context=False)[0])
            problem = f"{format_path(error_path(first, data)).replace('the request', 'a chunk')}: {first['msg']}"
            raise self._misfit(problem, source.encode()) from None
        self.collected.add(chunk)
        return chunk

    def _from_completion(self, body: bytes) -> Iterator[ChatCompletionChunk]:
        try:
            data: object = from_json(body)
        except ValueError:
            raise self._misfit("neither events nor JSON", body) from None
        if get(data, "error") is not None:
            raise self._server_error(body.decode("utf-8", "replace"))
        chunks = _dialect.chunks_of_completion(data)
        if chunks is None:
            raise self._misfit("it is no chat completion", body)
        for chunk in chunks:
            yield self._checked(chunk, "")

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

    def _misfit(self, problem: str, body: bytes) -> SekhaDecodeError:
        self.done = True
        shown = body.decode("utf-8", "replace")[:BODY_LIMIT]
        return SekhaDecodeError(f"the stream cannot be read: {problem}", body=shown, **self.call_details)
