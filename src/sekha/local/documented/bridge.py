"""The bridge: chat, embeddings and small tasks, with errors in the format of FastAPI."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime, timezone
from typing import Any, AsyncGenerator, Callable, Dict, List, Mapping, Optional, Type, TypeVar, Union
from uuid import uuid4

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticKnownError, from_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from typing_extensions import Annotated

from sekha.local import tasks
from sekha.local.documented.memory import SUMMARY_WINDOWS, logger
from sekha.local.http import (
    JSON_CONTENT_TYPE,
    Content,
    RouteTable,
    build_routes,
    client_disconnected,
    find_key_problem,
    is_list,
    is_object,
    read_body,
)
from sekha.local.models import ChatModel, ChatRequest, Completion, Embedder, ModelError, ModelInfo, StreamCutOff
from sekha.local.models.placeholder import ExtractiveModel

MAX_BODY = 32 * 2**20
ROLES = ("system", "user", "assistant", "function")
TASKS = ("embedding", "chat_small", "chat_large", "chat_smart", "vision", "audio", "image_generation")
_NO_KEY_NEEDED = ("/", "/health", "/metrics/")
_BodyType = TypeVar("_BodyType", bound=BaseModel)


def _as_texts(value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    if is_list(value):
        return value
    raise PydanticKnownError("string_type")


class ChatMessageIn(BaseModel):
    role: str
    content: Content


class ChatOptions(BaseModel):
    model: Optional[str] = None
    temperature: Optional[Annotated[float, Field(ge=0, le=2)]] = 0.7
    max_tokens: Optional[Annotated[int, Field(ge=1)]] = 2000
    stream: Optional[bool] = False


class ChatBody(ChatOptions):
    messages: List[ChatMessageIn]


class AnyChatMessage(BaseModel):
    """A message for a model on a server, which may support more keys than the bridge, such as tool calls."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: Union[str, List[Dict[str, Any]], None] = None


class AnyChatBody(ChatOptions):
    """A request to a model on a server; unknown keys are passed on to the model."""

    model_config = ConfigDict(extra="allow")

    messages: List[AnyChatMessage]


class EmbedBody(BaseModel):
    text: Annotated[List[str], BeforeValidator(_as_texts)] = Field(validation_alias=AliasChoices("text", "input"))
    model: Optional[str] = None


class SummarizeBody(BaseModel):
    messages: List[str]
    level: str = "daily"
    model: Optional[str] = None


class ExtractBody(BaseModel):
    text: str
    model: Optional[str] = None


class ScoreBody(BaseModel):
    conversation: str
    model: Optional[str] = None


class RouteBody(BaseModel):
    task: str
    preferred_model: Optional[str] = None
    require_vision: bool = False
    max_cost: Optional[float] = None
    context_size: Optional[int] = None


class Bridge:
    """The routes of the bridge over two models.

    Another version of the bridge is a subclass that overrides the handlers that differ.
    """

    def __init__(self, embedder: Embedder, chat: ChatModel) -> None:
        self.embedder = embedder
        self.chat_model = chat
        self._counts = {"chat": 0, "embedding": 0}
        self._started = _utc_timestamp()

    async def parse(self, request: Request, model: Type[_BodyType]) -> _BodyType:
        """Parse the JSON body of a request."""
        return await parse_body(request, model, _load_json)

    def table(self) -> RouteTable:
        """Return every route: method, path, handler."""
        return [
            *(("POST", path, self.chat) for path in ("/v1/chat/completions", "/api/v1/chat/completions")),
            *(("POST", path, self.embed) for path in ("/embed", "/embeddings", "/api/v1/embed")),
            *(("POST", path, self.summarize) for path in ("/api/v1/summarize", "/summarize")),
            *(("POST", path, self.extract) for path in ("/api/v1/extract", "/extract")),
            *(("POST", path, self.score) for path in ("/api/v1/score", "/score", "/score_importance")),
            ("POST", "/api/v1/route", self.route),
            ("GET", "/", self.root),
            ("GET", "/health", self.health),
            ("GET", "/metrics/", self.metrics),
            ("GET", "/api/v1/models", self.models),
            ("GET", "/api/v1/tasks", self.tasks),
            ("GET", "/api/v1/health/providers", self.providers),
        ]

    async def chat(self, request: Request) -> Response:
        is_built_in = isinstance(self.chat_model, ExtractiveModel)
        body: Union[ChatBody, AnyChatBody] = (
            await self.parse(request, ChatBody) if is_built_in else await self.parse(request, AnyChatBody)
        )
        for message in body.messages:
            if message.role not in (ROLES if is_built_in else (*ROLES, "tool", "developer")):
                raise HTTPException(500, f"{message.role!r} is not a valid MessageRole")
        messages = [message.model_dump(exclude_unset=True) for message in body.messages]
        options = dict(body.model_extra or {})
        max_tokens = body.max_tokens
        if "max_completion_tokens" in options and "max_tokens" not in body.model_fields_set:
            max_tokens = None
        chat = ChatRequest(messages, body.model, body.temperature, max_tokens, options)
        head: Dict[str, Any] = {"id": f"chatcmpl-{uuid4().hex[:8]}", "created": int(time.time())}
        self._counts["chat"] += 1
        head["model"] = await self.chat_model.name(body.model)
        if body.stream:
            chunks = self.chat_model.stream(chat)
            first = await _first_chunk(chunks)  # an unreachable model is an error, not an empty stream
            events = _sse_events({**head, "object": "chat.completion.chunk"}, first, chunks, request)
            return StreamingResponse(events, 200, {"cache-control": "no-cache"}, "text/event-stream")
        answer = await self.chat_model.complete(chat)
        return JSONResponse(_fill(answer, {**head, "object": "chat.completion"}))

    async def embed(self, request: Request) -> Response:
        body = await self.parse(request, EmbedBody)
        self._counts["embedding"] += 1
        if not body.text or not all(body.text):
            raise HTTPException(500, "Embedding generation failed: a text is empty")
        model, vectors = await self.embedder.embed(body.text, body.model)
        tokens = sum(len(text) // 4 for text in body.text)
        rows = [[round(number, 7) for number in vector] for vector in vectors]
        flat = {"embedding": rows[0], "model": model, "tokens_used": tokens, "dimension": len(rows[0])}
        data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
        counts = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONResponse({**flat, "object": "list", "data": data, "usage": counts})

    async def summarize(self, request: Request) -> Response:
        body = await self.parse(request, SummarizeBody)
        if body.level not in SUMMARY_WINDOWS:
            raise HTTPException(400, f"Invalid level: {body.level}. Must be daily, weekly, or monthly")
        summary = await tasks.summarize(self.chat_model, body.messages, body.level, body.model)
        answer = {"summary": summary, "model": await self.chat_model.name(body.model), "level": body.level}
        tokens = (sum(map(len, body.messages)) + len(summary)) // 4
        return JSONResponse({**answer, "tokens_used": tokens, "message_count": len(body.messages)})

    async def extract(self, request: Request) -> Response:
        body = await self.parse(request, ExtractBody)
        found = await tasks.extract(self.chat_model, body.text, body.model)
        return JSONResponse({"entities": found, "model": await self.chat_model.name(body.model)})

    async def score(self, request: Request) -> Response:
        body = await self.parse(request, ScoreBody)
        score, reasoning = await tasks.score(self.chat_model, body.conversation, body.model)
        return JSONResponse({"score": score, "reasoning": reasoning, "model": await self.chat_model.name(body.model)})

    async def route(self, request: Request) -> Response:
        body = await self.parse(request, RouteBody)
        if body.task not in TASKS:
            raise HTTPException(400, f"Invalid task '{body.task}'. Valid tasks: {list(TASKS)}")
        model = self.embedder if body.task == "embedding" else self.chat_model
        if body.require_vision or body.task in TASKS[4:]:
            vision = body.require_vision
            raise HTTPException(503, f"No providers available for task '{body.task}' (vision={vision})")
        try:
            info = await model.info() if (body.max_cost or 0.0) >= 0.0 else None
        except ModelError:
            info = None
        if info is None:
            raise HTTPException(503, f"No suitable providers available for task '{body.task}'")
        reason = "Matched preferred model" if body.preferred_model else "Selected by priority (1)"
        answer = {"provider_id": info.provider, "model_id": info.model, "estimated_cost": 0.0}
        return JSONResponse({**answer, "reason": reason, "provider_type": info.kind})

    async def root(self, request: Request) -> Response:
        features = ["Chat completions", "Streaming", "Embeddings"]
        answer = {"service": "Sekha LLM Bridge (local)", "version": "2.0.0", "docs": "/docs", "health": "/health"}
        return JSONResponse({**answer, "features": features})

    async def health(self, request: Request) -> Response:
        models = await self._describe_models()
        loaded = [info.model for info in models.values() if isinstance(info, ModelInfo)]
        checks = {
            name: {"status": "ok", "model": info.model} if isinstance(info, ModelInfo) else {"status": "error", **info}
            for name, info in models.items()
        }
        status = "healthy" if len(loaded) == len(models) else "degraded"
        ollama: Dict[str, Any] = {
            "status": status,
            "providers": self._provider_rows(models),
            "models_count": len(loaded),
        }
        ollama.update({f"has_{name}": check["status"] == "ok" for name, check in checks.items()})
        answer = {"status": status, "ollama_status": ollama, "models_loaded": loaded}
        return JSONResponse({**answer, "timestamp": _utc_timestamp(), "checks": checks})

    async def metrics(self, request: Request) -> Response:
        lines = ["# HELP bridge_requests_total Requests served", "# TYPE bridge_requests_total counter"]
        lines += [f'bridge_requests_total{{task="{task}"}} {count}' for task, count in self._counts.items()]
        return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")

    async def models(self, request: Request) -> Response:
        rows: List[Dict[str, Any]] = []
        for task, info in (("embedding", await self.embedder.info()), ("chat_smart", await self.chat_model.info())):
            row = {"model_id": info.model, "provider_id": info.provider, "task": task, "context_window": 8192}
            rows.append({**row, "dimension": info.dimension, "supports_vision": False, "supports_audio": False})
        return JSONResponse(rows)

    async def tasks(self, request: Request) -> Response:
        return JSONResponse(list(TASKS))

    async def providers(self, request: Request) -> Response:
        providers = self._provider_rows(await self._describe_models())
        rows = providers.values()
        healthy = sum(row["circuit_breaker"]["state"] == "closed" for row in rows)
        answer = {"providers": providers, "total_providers": len(providers), "healthy_providers": healthy}
        return JSONResponse({**answer, "total_models": sum(row["models_count"] for row in rows)})

    async def _describe_models(self) -> Dict[str, Union[ModelInfo, Dict[str, str]]]:
        """Return a description of each model, or the error of an unavailable one."""
        described = await asyncio.gather(_describe(self.embedder), _describe(self.chat_model))
        return dict(zip(("embedding", "chat"), described))

    def _provider_rows(self, models: Mapping[str, Union[ModelInfo, Dict[str, str]]]) -> Dict[str, Dict[str, Any]]:
        found: Dict[str, Dict[str, Any]] = {}
        for task, info in models.items():
            reachable = isinstance(info, ModelInfo)
            name = info.provider if isinstance(info, ModelInfo) else f"{task}-server"
            breaker: Dict[str, Any] = {
                "state": "closed" if reachable else "open",
                "failure_count": 0,
                "success_count": 0,
            }
            breaker.update(last_failure=None, last_state_change=self._started, time_since_failure=None)
            entry = found.setdefault(name, {"provider_type": name, "circuit_breaker": breaker, "models_count": 0})
            entry["models_count"] += reachable
        return found


async def _describe(model: Union[Embedder, ChatModel]) -> Union[ModelInfo, Dict[str, str]]:
    try:
        return await model.info()
    except ModelError as error:
        return {"error": str(error)}


def _fill(answer: Completion, head: Mapping[str, Any]) -> Completion:
    """Return an answer of a model, completed with model name and time."""
    return {**answer, **{key: value for key, value in head.items() if not answer.get(key)}}


async def _first_chunk(chunks: AsyncGenerator[Completion, None]) -> Completion:
    async for chunk in chunks:
        return chunk
    raise ModelError("the model's answer is empty")


async def _sse_events(
    head: Dict[str, Any], first: Completion, chunks: AsyncGenerator[Completion, None], request: Request
) -> AsyncGenerator[str, None]:
    """Yield server-sent events: the role, the chunks, the end. An error of the model is an event, too.

    If the answer is interrupted, so is the response: the connection is closed without an end.
    """

    def event(chunk: Completion) -> str:
        return f"data: {json.dumps(_fill(chunk, head), ensure_ascii=False)}\n\n"

    try:
        if not any(choice["delta"].get("role") for choice in first["choices"]):
            yield event(
                {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
            )
        yield event(first)
        async for chunk in chunks:
            yield event(chunk)
    except StreamCutOff as error:
        logger.warning("%s", error)
        request.scope["sekha.close"]()
        return
    except ModelError as error:
        yield f"data: {json.dumps({'error': {'message': str(error), 'type': 'server_error'}})}\n\n"
        return
    finally:
        await chunks.aclose()
    yield "data: [DONE]\n\n"


async def parse_body(request: Request, model: Type[_BodyType], load: Callable[[bytes], Any]) -> _BodyType:
    """Parse the JSON body of a request; raise InvalidRequest with all errors."""
    data = await read_body(request, MAX_BODY)
    if data is None:
        raise HTTPException(413, "Request body too large")
    content_type = request.headers.get("content-type")
    if not data:
        raise InvalidRequest({"type": "missing", "loc": ["body"], "msg": "Field required", "input": None})
    if content_type and not JSON_CONTENT_TYPE.fullmatch(content_type):
        value: Any = data.decode("utf-8", "replace")
    else:
        value = load(data)
    if not is_object(value):
        message = "Input should be a valid dictionary or object to extract fields from"
        raise InvalidRequest({"type": "model_attributes_type", "loc": ["body"], "msg": message, "input": value})
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        raise InvalidRequest(*({**one, "loc": ["body", *one["loc"]]} for one in errors)) from error


def _load_json(data: bytes) -> Any:
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError as error:
        column = int(str(error).rpartition(" ")[2])
        raise invalid_json(column, str(error)) from error


class InvalidRequest(Exception):
    """A body does not match its schema; the response is 422 with a list of errors."""

    def __init__(self, *errors: Any) -> None:
        super().__init__(str(errors))
        self.errors: List[Any] = [*errors]


def invalid_json(position: int, reason: str) -> InvalidRequest:
    """Return the error for a body that is not JSON."""
    error: Dict[str, Any] = {"type": "json_invalid", "loc": ["body", position], "msg": "JSON decode error", "input": {}}
    return InvalidRequest({**error, "ctx": {"error": reason}})


def _on_error(_: Request, error: Exception) -> Response:
    if isinstance(error, InvalidRequest):
        return JSONResponse({"detail": error.errors}, 422)
    if isinstance(error, HTTPException):
        return JSONResponse({"detail": error.detail}, error.status_code, headers=dict(error.headers or {}))
    assert isinstance(error, ModelError)
    headers = {"retry-after": error.retry_after} if error.retry_after else None
    return JSONResponse({"detail": str(error)}, error.status, headers)


def _utc_timestamp() -> str:
    return datetime.now(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds")


def bridge_app(bridge: Bridge, api_key: Optional[str] = None) -> Starlette:
    """Build the application of the bridge's port; if there is a key, all except health and metrics require it."""

    def guard(request: Request) -> None:
        problem = None
        if api_key is not None and request.scope["path"] not in _NO_KEY_NEEDED:
            problem = find_key_problem(request, api_key)
        if problem is not None:
            hint = "; the bridge requires the same key as the controller: bridge_api_key, SEKHA_BRIDGE_API_KEY"
            raise HTTPException(401, f"{problem}{hint}", {"www-authenticate": "Bearer"})

    handlers: Dict[Any, Any] = dict.fromkeys((InvalidRequest, HTTPException, ModelError), _on_error)
    handlers[ClientDisconnect] = client_disconnected
    routes = build_routes(bridge.table(), guard)
    for route in routes:
        (route.methods or set()).discard("HEAD")
    return Starlette(routes=routes, exception_handlers=handlers)
