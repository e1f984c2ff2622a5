"""The bridge 0.2 with its mistakes; what is not overridden here, it does as documented."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Awaitable, Dict, List, Optional, Type, TypeVar
from uuid import uuid4

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from sekha.local import bridge, tasks
from sekha.local.bridge import Bridge, ExtractBody, RouteBody, ScoreBody, SummarizeBody, bridge_app
from sekha.local.memory import WINDOWS
from sekha.local.models import ChatModel, ChatRequest, Embedder, ModelError, usage

BREAKER_SECONDS = 60.0
BREAKER_FAILURES = 3
PROVIDER = "ollama"
EMBEDDING_MODEL, CHAT_MODEL, VISION_MODEL = "nomic-embed-text", "llama3.1:8b", "llama3.2-vision:11b"
_MODELS = {"embedding": EMBEDDING_MODEL, "chat_smart": CHAT_MODEL, "vision": VISION_MODEL}
_UNNAMED = ("/embed", "/embeddings", "/summarize")  # where an answer names the model that is the default
_HTTP = re.compile(r".*?: HTTP \d{3}: ", re.DOTALL)
_Body = TypeVar("_Body", bound=BaseModel)
_Found = TypeVar("_Found")


class MessageIn(BaseModel):
    role: str
    content: str


class ChatBody(bridge.ChatBody):
    messages: List[MessageIn]  # type: ignore[assignment]  # a text only, no parts


class EmbedBody(BaseModel):
    text: str
    model: Optional[str] = None


class ExtractResponse(BaseModel):
    entities: Dict[str, List[str]]


class Breaker:
    """Three failed calls in a row, and the only provider is not called for a minute; then one call decides."""

    def __init__(self) -> None:
        self.state = "closed"
        self._failures = 0
        self._failed: Optional[datetime] = None
        self._opened = 0.0
        self._changed = _now()

    def allows(self) -> bool:
        """Whether a call may be made now."""
        if self.state == "open" and time.monotonic() - self._opened >= BREAKER_SECONDS:
            self._become("half_open")
        return self.state != "open"

    def succeeded(self) -> None:
        """A call was answered."""
        self._failures = 0
        if self.state != "closed":
            self._become("closed")

    def failed(self) -> None:
        """A call was not answered."""
        self._failures += 1
        self._failed = _now()
        if self._failures >= BREAKER_FAILURES or self.state == "half_open":
            self._opened = time.monotonic()
            self._become("open")

    def row(self) -> Dict[str, Any]:
        """What the bridge tells about it."""
        self.allows()
        failed: Dict[str, Any] = {"last_failure": None, "time_since_failure": None}
        if self._failed is not None:
            since: timedelta = _now() - self._failed
            failed = {"last_failure": _iso(self._failed), "time_since_failure": str(since)}
        counts = {"state": self.state, "failure_count": self._failures, "success_count": 0}
        return {**counts, **failed, "last_state_change": _iso(self._changed)}

    def _become(self, state: str) -> None:
        self.state = state
        self._changed = _now()


class Bridge02(Bridge):
    """The routes; each method is one mistake (or two)."""

    def __init__(self, embedder: Embedder, chat: ChatModel) -> None:
        super().__init__(embedder, chat)
        self.breaker: Breaker = Breaker()

    async def parse(self, request: Request, model: Type[_Body]) -> _Body:
        """JSON as Python's own module reads it, half a surrogate pair and NaN included."""
        return await bridge._parse(request, model, _load)

    async def chat(self, request: Request) -> Response:
        """
        `stream` is ignored, content parts are refused, `temperature: 0` becomes 0.7.

        The answer names the model that was asked for, whichever answered; a name may ask for a size that nobody has.
        """
        body = await self.parse(request, ChatBody)
        for message in body.messages:
            if message.role not in bridge._ROLES:
                raise HTTPException(500, f"{message.role!r} is not a valid MessageRole")
        messages = [(message.role, message.content) for message in body.messages]
        asked = ChatRequest(messages, body.model, body.temperature or 0.7, body.max_tokens or 2000)
        task = _task(body.model)
        if task != "chat_smart":
            raise HTTPException(500, f"No providers available for task '{task}' (vision=False)")
        text = await self._ask(self._complete(asked), body.model)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        head = {"id": f"chatcmpl-{uuid4().hex[:8]}", "object": "chat.completion", "created": int(time.time())}
        model = body.model or CHAT_MODEL
        return JSONResponse({**head, "model": model, "choices": [choice], "usage": usage(asked, text)})

    async def embed(self, request: Request) -> Response:
        """`text` and no other name, one text and no list; an empty one counts as a failure of the provider."""
        body = await self.parse(request, EmbedBody)
        vector = await self._call("embedding", "Embedding generation", self._vector(body))
        numbers = [round(number, 7) for number in vector]
        model = body.model or _default(request, EMBEDDING_MODEL)
        answer = {"embedding": numbers, "model": model, "tokens_used": len(body.text) // 4}
        return JSONResponse({**answer, "dimension": len(numbers)})

    async def summarize(self, request: Request) -> Response:
        """The model is named `default` on one of the two paths."""
        body = await self.parse(request, SummarizeBody)
        if body.level not in WINDOWS:
            raise HTTPException(400, f"Invalid level: {body.level}. Must be daily, weekly, or monthly")
        work = tasks.summarize(self.chat_model, body.messages, body.level, body.model)
        summary = await self._ask(work, body.model)
        answer = {"summary": summary, "model": body.model or _default(request, CHAT_MODEL), "level": body.level}
        tokens = (sum(map(len, body.messages)) + len(summary)) // 4
        return JSONResponse({**answer, "tokens_used": tokens, "message_count": len(body.messages)})

    async def extract(self, request: Request) -> Response:
        """What the model says is not JSON is nothing found, but JSON of another shape is an error."""
        body = await self.parse(request, ExtractBody)
        found = await self._ask(tasks.extract_json(self.chat_model, body.text, body.model), body.model)
        nothing: Dict[str, List[str]] = {kind: [] for kind in tasks.KINDS}
        try:
            answer = ExtractResponse(entities=nothing if found is None else found)
        except ValidationError as error:
            raise HTTPException(500, str(error)) from error
        return JSONResponse({"entities": answer.entities, "model": body.model or "default"})

    async def score(self, request: Request) -> Response:
        """A failure looks like a score of 5."""
        body = await self.parse(request, ScoreBody)
        try:
            score, reasoning = await self._ask(tasks.score(self.chat_model, body.conversation, body.model), body.model)
        except HTTPException:
            score, reasoning = 5.0, "Failed to score importance"
        return JSONResponse({"score": score, "reasoning": reasoning, "model": body.model or "default"})

    async def route(self, request: Request) -> Response:
        """A preferred model that does not exist is matched all the same."""
        body = await self.parse(request, RouteBody)
        if body.task not in bridge._TASKS:
            raise HTTPException(400, f"Invalid task '{body.task}'. Valid tasks: {list(bridge._TASKS)}")
        if body.task not in _MODELS or (body.require_vision and body.task != "vision"):
            vision = f"(vision={body.require_vision})"
            raise HTTPException(503, f"No providers available for task '{body.task}' {vision}")
        if not self.breaker.allows() or (body.max_cost is not None and body.max_cost < 0.0):
            raise HTTPException(503, f"No suitable providers available for task '{body.task}'")
        known = body.preferred_model in _MODELS.values()
        answer = {"provider_id": PROVIDER, "model_id": body.preferred_model if known else _MODELS[body.task]}
        reason = "Matched preferred model" if body.preferred_model else "Selected by priority (1)"
        return JSONResponse({**answer, "estimated_cost": 0.0, "reason": reason, "provider_type": PROVIDER})

    async def root(self, request: Request) -> Response:
        """As the real one calls itself."""
        features = ["Multi-provider support", "Automatic routing", "Cost estimation", "Circuit breakers"]
        head = {"service": "Sekha LLM Bridge", "version": "2.0.0", "docs": "/docs", "health": "/health"}
        return JSONResponse({**head, "features": [*features, "Provider fallback"]})

    async def health(self, request: Request) -> Response:
        """No `checks`; nobody is asked whether the models are there, only the breaker counts."""
        providers = self._rows()
        ollama: Dict[str, Any] = {"status": "healthy", "providers": providers, "models_count": len(_MODELS)}
        ollama.update(has_embedding=True, has_chat=True)
        status = "healthy" if self.breaker.state == "closed" else "degraded"
        answer = {"status": status, "ollama_status": ollama, "models_loaded": list(_MODELS.values())}
        return JSONResponse({**answer, "timestamp": _iso(_now())})

    async def models(self, request: Request) -> Response:
        """Those of its configuration, whether they are there or not."""
        dimension = (await self.embedder.info()).dimension if await self._reachable() else None
        rows: List[Dict[str, Any]] = []
        for task, model in _MODELS.items():
            row: Dict[str, Any] = {"model_id": model, "provider_id": PROVIDER, "task": task, "context_window": 8192}
            row["dimension"] = (dimension or 768) if task == "embedding" else None
            rows.append({**row, "supports_vision": task == "vision", "supports_audio": False})
        return JSONResponse(rows)

    async def providers(self, request: Request) -> Response:
        """One provider, as its breaker stands."""
        answer = {"providers": self._rows(), "total_providers": 1, "total_models": len(_MODELS)}
        return JSONResponse({**answer, "healthy_providers": int(self.breaker.state == "closed")})

    def _rows(self) -> Dict[str, Any]:
        row = {"provider_type": PROVIDER, "circuit_breaker": self.breaker.row(), "models_count": len(_MODELS)}
        return {PROVIDER: row}

    async def _reachable(self) -> bool:
        try:
            await self.embedder.info()
        except ModelError:
            return False
        return True

    async def _complete(self, asked: ChatRequest) -> str:
        return await self.chat_model.complete(asked)

    async def _vector(self, body: EmbedBody) -> List[float]:
        if not body.text:
            raise _Failure("list index out of range")
        try:
            body.text.encode()
        except UnicodeEncodeError as error:
            raise _Failure(f"litellm.APIConnectionError: {error}") from error
        return (await self.embedder.embed([body.text], body.model))[1][0]

    async def _ask(self, work: Awaitable[_Found], model: Optional[str]) -> _Found:
        """A call of the chat model; a known model is called whatever it is for."""
        if model == EMBEDDING_MODEL:
            work = _does_not_chat(model, work)
        return await self._call("chat_smart", "Chat completion", work)

    async def _call(self, task: str, what: str, work: Awaitable[_Found]) -> _Found:
        """A call of the provider, if its breaker lets it through; what fails counts."""
        if not self.breaker.allows():
            _drop(work)
            raise HTTPException(500, f"No suitable providers available for task '{task}'")
        try:
            found = await work
        except (ModelError, _Failure) as error:
            self.breaker.failed()
            reason = str(error)
            if isinstance(error, ModelError):
                reason = f"litellm.APIConnectionError: OllamaException - {_HTTP.sub('', reason)}"
            raise HTTPException(500, f"{what} failed for {PROVIDER}: {reason}") from error
        self.breaker.succeeded()
        return found


class _Failure(Exception):
    """A call failed inside the bridge."""


async def _does_not_chat(model: str, work: Awaitable[_Found]) -> _Found:
    _drop(work)
    raise ModelError(json.dumps({"error": f'"{model}" does not support generate'}, separators=(",", ":")))


def _drop(work: Awaitable[Any]) -> None:
    close = getattr(work, "close", None)  # a coroutine that nobody will await
    if close is not None:
        close()


def _task(model: Optional[str]) -> str:
    """The task that the name of a model asks for."""
    name = (model or "").lower()
    if model in _MODELS.values():
        return "chat_smart"
    if "mini" in name or "small" in name:
        return "chat_small"
    return "chat_large" if "large" in name else "chat_smart"


def _default(request: Request, model: str) -> str:
    return model if request.url.path in _UNNAMED else "default"


def _load(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        place = error.pos if isinstance(error, json.JSONDecodeError) else 0
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        one: Dict[str, Any] = {"type": "json_invalid", "loc": ["body", place], "msg": "JSON decode error"}
        raise bridge._invalid({**one, "input": {}, "ctx": {"error": reason}}) from error


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def bridge_0_2(found: Bridge02) -> ASGIApp:
    """The application of the bridge's port."""
    return CORSMiddleware(
        bridge_app(found), allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], allow_credentials=True
    )
