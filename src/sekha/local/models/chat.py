"""A chat model on another server."""

from __future__ import annotations

import json
from typing import Any, AsyncGenerator, Dict, Iterator, Optional, Protocol

from sekha._api.chat_stream import ChatStreamDecoder
from sekha._api.compat.bridge import find_failure
from sekha._api.error_response import describe_body, has_error, truncate
from sekha._utils.json_access import as_list, as_object, as_text, get
from sekha.errors import SekhaError, SekhaStreamError
from sekha.local.models import ChatRequest, Completion, ModelError, ModelInfo, StreamCutOff, ollama
from sekha.local.models.model_server import MAX_ANSWER, ModelServer
from sekha.local.models.settings import ServerSettings

_MAX_SHOWN = 300


class _Decoder(Protocol):
    """Decodes the bytes of a streamed answer to chunks."""

    @property
    def is_complete(self) -> bool:
        """Whether all content has arrived."""
        ...

    @property
    def done(self) -> bool:
        """Whether the stream is complete."""
        ...

    def feed(self, data: bytes) -> Iterator[Completion]:
        """Yield the chunks that these bytes complete."""
        ...

    def finish(self) -> Iterator[Completion]:
        """Yield the remaining chunks at the end of the bytes; raise SekhaStreamError if the stream is incomplete."""
        ...


class RemoteChat:
    """A chat model on another server.

    Args:
        settings: The server and its model.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._server = ModelServer(settings)

    async def name(self, requested: Optional[str]) -> str:
        return requested or await self._server.model()

    async def complete(self, request: ChatRequest) -> Completion:
        name = await self.name(request.model)
        if await self._server.kind() == "openai":
            answer = await self._server.request_json("/chat/completions", openai_body(request, name, stream=False))
            return self._checked(answer, name)
        answer = await self._server.request_json("/chat", ollama.request_body(request, name, stream=False))
        if has_error(answer, certain=True) or as_object(get(answer, "message")) is None:
            raise self._failed(name, answer)
        return ollama.read_completion(answer)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Completion, None]:
        name = await self.name(request.model)
        if await self._server.kind() == "openai":
            path, body = "/chat/completions", openai_body(request, name, stream=True)
        else:
            path, body = "/chat", ollama.request_body(request, name, stream=True)
        decoder: Optional[_Decoder] = None
        characters = 0
        try:
            async with self._server.stream(path, body) as (content_type, pieces):
                decoder = _decoder(content_type) if path == "/chat/completions" else ollama.LineDecoder()
                async for data in pieces:
                    for chunk in decoder.feed(data):
                        characters += _count_characters(chunk)
                        yield chunk
                    if decoder.done:
                        return
                for chunk in decoder.finish():
                    yield chunk
        except (ModelError, SekhaError) as error:
            if decoder is None:
                raise
            if not decoder.is_complete or decoder.done:  # otherwise, the connection was lost after the last content
                raise self._interrupted(name, error, characters) from error

    async def info(self) -> ModelInfo:
        model, kind = await self._server.check(), await self._server.kind()
        return ModelInfo(kind, kind, model)

    async def check(self) -> None:
        await self._server.check_settings()

    async def close(self) -> None:
        await self._server.close()

    def _checked(self, answer: Any, name: str) -> Completion:
        """Return an answer as a completion in OpenAI format; raise ModelError for an error or another format."""
        found = as_object(answer)
        choices = [_filled_choice(place, choice) for place, choice in enumerate(as_list(get(answer, "choices")) or ())]
        if found is None or not choices or None in choices or find_failure(found) is not None:
            raise self._failed(name, answer)
        return {**found, "choices": choices}

    def _interrupted(self, name: str, error: Exception, characters: int) -> ModelError:
        reason = error.message if isinstance(error, SekhaError) else str(error).removeprefix(f"{self._server}: ")
        if isinstance(error, (StreamCutOff, SekhaStreamError)):
            return StreamCutOff(f"{self._server}: the answer of {name} was interrupted: {reason}")
        return self._server.error(f"the answer of {name} was interrupted after {characters} characters: {reason}")

    def _failed(self, name: str, answer: Any) -> ModelError:
        said = truncate(describe_body(json.dumps(answer, ensure_ascii=False)), _MAX_SHOWN)
        return self._server.error(f"{name} returned no answer: {said}")


def _decoder(content_type: str) -> _Decoder:
    is_events = content_type.startswith("text/event-stream")
    return ChatStreamDecoder(events=is_events, limit=MAX_ANSWER, method="POST", path="/chat/completions")


def _filled_choice(place: int, choice: Any) -> Optional[Dict[str, Any]]:
    """Return a choice, completed with keys that some servers omit; None if it has no message."""
    found, message = as_object(choice), as_object(get(choice, "message"))
    if found is None or message is None:
        return None
    return {"index": place, "finish_reason": None, **found, "message": {"role": "assistant", **message}}


def _count_characters(chunk: Completion) -> int:
    return sum(len(as_text(get(choice, "delta", "content"))) for choice in chunk["choices"])


def openai_body(request: ChatRequest, name: str, *, stream: bool) -> Dict[str, Any]:
    """Return the body of a request in OpenAI format; options that are None are omitted."""
    limits = {"temperature": request.temperature, "max_tokens": request.max_tokens}
    given = {key: value for key, value in limits.items() if value is not None}
    return {**given, **request.options, "model": name, "messages": list(request.messages), "stream": stream}
