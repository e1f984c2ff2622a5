"""The bridge 0.2 with its known bugs; it does as documented where nothing is overridden."""

from __future__ import annotations

import json
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

from sekha._concurrency.clock import monotonic
from sekha.local import tasks
from sekha.local.documented.bridge import (
    ROLES,
    TASKS,
    Bridge,
    ChatOptions,
    ExtractBody,
    RouteBody,
    ScoreBody,
    SummarizeBody,
    bridge_app,
    invalid_json,
    parse_body,
)
from sekha.local.documented.memory import SUMMARY_WINDOWS
from sekha.local.models import ChatModel, ChatRequest, Embedder, ModelError, answer_text, count_tokens

BREAKER_SECONDS = 60.0
BREAKER_FAILURES = 3
PROVIDER = "ollama"
EMBEDDING_MODEL, CHAT_MODEL, VISION_MODEL = "nomic-embed-text", "llama3.1:8b", "llama3.2-vision:11b"
_MODELS = {"embedding": EMBEDDING_MODEL, "chat_smart": CHAT_MODEL, "vision": VISION_MODEL}
_NAMING_PATHS = ("/embed", "/embeddings", "/summarize")  # their responses name the default model, others say "default"
_BodyType = TypeVar("_BodyType", bound=BaseModel)
_Result = TypeVar("_Result")


class MessageIn(BaseModel):
    role: str
    content: str


class ChatBody(ChatOptions):
    messages: List[MessageIn]


class EmbedBody(BaseModel):
    text: str
    model: Optional[str] = None


class ExtractResponse(BaseModel):
    entities: Dict[str, List[str]]


class CircuitBreaker:
    """The circuit breaker of the only provider.

    It opens after three consecutive failures: then no call is made for a minute. After that it is half open: the next
    call closes it, or opens it for another minute.
    """

    def __init__(self) -> None:
        self.state = "closed"
        self._failures = 0
        self._failed_at: Optional[datetime] = None
        self._opened_at = 0.0
        self._changed_at = _utc_now()

    def try_call(self) -> bool:
        """Return whether a call may be made now; an open breaker becomes half open when its time is over."""
        if self.state == "open" and monotonic() - self._opened_at >= BREAKER_SECONDS:
            self._set_state("half_open")
        return self.state != "open"

    def record_success(self) -> None:
        """Record a call that succeeded."""
        self._failures = 0
        if self.state != "closed":
            self._set_state("closed")

    def record_failure(self) -> None:
        """Record a call that failed."""
        self._failures += 1
        self._failed_at = _utc_now()
        if self._failures >= BREAKER_FAILURES or self.state == "half_open":
            self._opened_at = monotonic()
            self._set_state("open")

    def row(self) -> Dict[str, Any]:
        """Return its state as the bridge reports it."""
        self.try_call()
        failed: Dict[str, Any] = {"last_failure": None, "time_since_failure": None}
        if self._failed_at is not None:
            since: timedelta = _utc_now() - self._failed_at
            failed = {"last_failure": _iso(self._failed_at), "time_since_failure": str(since)}
        counts = {"state": self.state, "failure_count": self._failures, "success_count": 0}
        return {**counts, **failed, "last_state_change": _iso(self._changed_at)}

    def _set_state(self, state: str) -> None:
        self.state = state
        self._changed_at = _utc_now()


class Bridge02(Bridge):
    """The routes; each docstring says how the method differs from the documentation."""

    def __init__(self, embedder: Embedder, chat: ChatModel) -> None:
        super().__init__(embedder, chat)
        self.breaker: CircuitBreaker = CircuitBreaker()

    async def parse(self, request: Request, model: Type[_BodyType]) -> _BodyType:
        """Accept all that Python's json accepts, including lone surrogates and NaN."""
        return await parse_body(request, model, _load_json)

    async def chat(self, request: Request) -> Response:
        """Ignore `stream`, refuse content parts, and replace `temperature: 0` by 0.7.

        The response has the name of the requested model, even if another one answered. A name with "mini", "small" or
        "large" selects a task without a provider.
        """
        body = await self.parse(request, ChatBody)
        for message in body.messages:
            if message.role not in ROLES:
                raise HTTPException(500, f"{message.role!r} is not a valid MessageRole")
        messages = [message.model_dump() for message in body.messages]
        chat = ChatRequest(messages, _known(body.model), body.temperature or 0.7, body.max_tokens or 2000)
        task = _task_of_model(body.model)
        if task != "chat_smart":
            raise HTTPException(500, f"No providers available for task '{task}' (vision=False)")
        text = await self._call_chat(self._complete(chat), body.model)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        head = {"id": f"chatcmpl-{uuid4().hex[:8]}", "object": "chat.completion", "created": int(time.time())}
        model = body.model or CHAT_MODEL
        return JSONResponse({**head, "model": model, "choices": [choice], "usage": count_tokens(chat, text)})

    async def embed(self, request: Request) -> Response:
        """Accept one text, in `text` only; count an empty one as a failure of the provider."""
        body = await self.parse(request, EmbedBody)
        vector = await self._call("embedding", "Embedding generation", self._embed(body))
        numbers = [round(number, 7) for number in vector]
        model = body.model or _default_model_name(request, EMBEDDING_MODEL)
        answer = {"embedding": numbers, "model": model, "tokens_used": len(body.text) // 4}
        return JSONResponse({**answer, "dimension": len(numbers)})

    async def summarize(self, request: Request) -> Response:
        """Name the model `default` on one of the two paths."""
        body = await self.parse(request, SummarizeBody)
        if body.level not in SUMMARY_WINDOWS:
            raise HTTPException(400, f"Invalid level: {body.level}. Must be daily, weekly, or monthly")
        work = tasks.summarize(self.chat_model, body.messages, body.level, _known(body.model))
        summary = await self._call_chat(work, body.model)
        answer = {
            "summary": summary,
            "model": body.model or _default_model_name(request, CHAT_MODEL),
            "level": body.level,
        }
        tokens = (sum(map(len, body.messages)) + len(summary)) // 4
        return JSONResponse({**answer, "tokens_used": tokens, "message_count": len(body.messages)})

    async def extract(self, request: Request) -> Response:
        """Return no entities if the model's answer is not JSON; fail if it is JSON of another structure."""
        body = await self.parse(request, ExtractBody)
        found = await self._call_chat(tasks.extract_json(self.chat_model, body.text, _known(body.model)), body.model)
        nothing: Dict[str, List[str]] = {kind: [] for kind in tasks.ENTITIES}
        try:
            answer = ExtractResponse(entities=nothing if found is None else found)
        except ValidationError as error:
            raise HTTPException(500, str(error)) from error
        return JSONResponse({"entities": answer.entities, "model": body.model or "default"})

    async def score(self, request: Request) -> Response:
        """Return a score of 5 after a failure."""
        body = await self.parse(request, ScoreBody)
        try:
            work = tasks.score(self.chat_model, body.conversation, _known(body.model))
            score, reasoning = await self._call_chat(work, body.model)
        except HTTPException:
            score, reasoning = 5.0, "Failed to score importance"
        return JSONResponse({"score": score, "reasoning": reasoning, "model": body.model or "default"})

    async def route(self, request: Request) -> Response:
        """Report a preferred model as matched even if it does not exist."""
        body = await self.parse(request, RouteBody)
        if body.task not in TASKS:
            raise HTTPException(400, f"Invalid task '{body.task}'. Valid tasks: {list(TASKS)}")
        if body.task not in _MODELS or (body.require_vision and body.task != "vision"):
            vision = f"(vision={body.require_vision})"
            raise HTTPException(503, f"No providers available for task '{body.task}' {vision}")
        if not self.breaker.try_call() or (body.max_cost is not None and body.max_cost < 0.0):
            raise HTTPException(503, f"No suitable providers available for task '{body.task}'")
        known = body.preferred_model in _MODELS.values()
        answer = {"provider_id": PROVIDER, "model_id": body.preferred_model if known else _MODELS[body.task]}
        reason = "Matched preferred model" if body.preferred_model else "Selected by priority (1)"
        return JSONResponse({**answer, "estimated_cost": 0.0, "reason": reason, "provider_type": PROVIDER})

    async def root(self, request: Request) -> Response:
        """Return its own name and features."""
        features = ["Multi-provider support", "Automatic routing", "Cost estimation", "Circuit breakers"]
        head = {"service": "Sekha LLM Bridge", "version": "2.0.0", "docs": "/docs", "health": "/health"}
        return JSONResponse({**head, "features": [*features, "Provider fallback"]})

    async def health(self, request: Request) -> Response:
        """Leave out `checks`, and report the state of the breaker without looking at the models."""
        providers = self._provider_row()
        ollama: Dict[str, Any] = {"status": "healthy", "providers": providers, "models_count": len(_MODELS)}
        ollama.update(has_embedding=True, has_chat=True)
        status = "healthy" if self.breaker.state == "closed" else "degraded"
        answer = {"status": status, "ollama_status": ollama, "models_loaded": list(_MODELS.values())}
        return JSONResponse({**answer, "timestamp": _iso(_utc_now())})

    async def models(self, request: Request) -> Response:
        """List the models of its configuration, whether they exist or not."""
        dimension = (await self.embedder.info()).dimension if await self._embedder_is_reachable() else None
        rows: List[Dict[str, Any]] = []
        for task, model in _MODELS.items():
            row: Dict[str, Any] = {"model_id": model, "provider_id": PROVIDER, "task": task, "context_window": 8192}
            row["dimension"] = (dimension or 768) if task == "embedding" else None
            rows.append({**row, "supports_vision": task == "vision", "supports_audio": False})
        return JSONResponse(rows)

    async def providers(self, request: Request) -> Response:
        """List one provider with the state of its breaker."""
        answer = {"providers": self._provider_row(), "total_providers": 1, "total_models": len(_MODELS)}
        return JSONResponse({**answer, "healthy_providers": int(self.breaker.state == "closed")})

    def _provider_row(self) -> Dict[str, Any]:
        row = {"provider_type": PROVIDER, "circuit_breaker": self.breaker.row(), "models_count": len(_MODELS)}
        return {PROVIDER: row}

    async def _embedder_is_reachable(self) -> bool:
        try:
            await self.embedder.info()
        except ModelError:
            return False
        return True

    async def _complete(self, chat: ChatRequest) -> str:
        return answer_text(await self.chat_model.complete(chat))

    async def _embed(self, body: EmbedBody) -> List[float]:
        if not body.text:
            raise _Failure("list index out of range")
        try:
            body.text.encode()
        except UnicodeEncodeError as error:
            raise _Failure(f"litellm.APIConnectionError: {error}") from error
        return (await self.embedder.embed([body.text], _known(body.model)))[1][0]

    async def _call_chat(self, work: Awaitable[_Result], model: Optional[str]) -> _Result:
        """Call the chat model; fail like the provider if the named model is the one for embeddings."""
        if model == EMBEDDING_MODEL:
            work = _refuse_to_chat(model, work)
        return await self._call("chat_smart", "Chat completion", work)

    async def _call(self, task: str, what: str, work: Awaitable[_Result]) -> _Result:
        """Call the provider unless its breaker is open, and record the outcome."""
        if not self.breaker.try_call():
            _discard(work)
            raise HTTPException(500, f"No suitable providers available for task '{task}'")
        try:
            result = await work
        except (ModelError, _Failure) as error:
            self.breaker.record_failure()
            reason = str(error)
            if isinstance(error, ModelError):
                reason = f"litellm.APIConnectionError: OllamaException - {error.body or reason}"
            raise HTTPException(500, f"{what} failed for {PROVIDER}: {reason}") from error
        self.breaker.record_success()
        return result


class _Failure(Exception):
    """A call has failed inside the bridge."""


async def _refuse_to_chat(model: str, work: Awaitable[_Result]) -> _Result:
    _discard(work)
    raise ModelError(json.dumps({"error": f'"{model}" does not support generate'}, separators=(",", ":")))


def _discard(work: Awaitable[Any]) -> None:
    close = getattr(work, "close", None)  # otherwise, Python warns of a coroutine that was never awaited
    if close is not None:
        close()


def _known(model: Optional[str]) -> Optional[str]:
    """Return the name of a model if the bridge supports it; otherwise it uses its default model."""
    return model if model in _MODELS.values() else None


def _task_of_model(model: Optional[str]) -> str:
    """Return the task that a model name selects."""
    name = (model or "").lower()
    if model in _MODELS.values():
        return "chat_smart"
    if "mini" in name or "small" in name:
        return "chat_small"
    return "chat_large" if "large" in name else "chat_smart"


def _default_model_name(request: Request, model: str) -> str:
    return model if request.url.path in _NAMING_PATHS else "default"


def _load_json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        position = error.pos if isinstance(error, json.JSONDecodeError) else 0
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise invalid_json(position, reason) from error


def _utc_now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def bridge_02_app(bridge: Bridge02) -> ASGIApp:
    """Build the application of the bridge's port."""
    return CORSMiddleware(
        bridge_app(bridge), allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], allow_credentials=True
    )
