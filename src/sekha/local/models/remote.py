"""Models on another server, which is OpenAI-compatible or an Ollama.

The path of the URL decides which: with `/v1` it is OpenAI (`/v1/chat/completions`, `/v1/embeddings`, `/v1/models`),
with `/api` Ollama (`/api/chat`, `/api/embed`, `/api/tags`). A server whose URL has neither gets one request for
`/api/version`: it is an Ollama if that succeeds, else OpenAI-compatible.
"""

from __future__ import annotations

import json
import math
from typing import Any, AsyncGenerator, AsyncIterator, Dict, List, Mapping, Optional, Sequence, Tuple, Union
from urllib.parse import urlsplit

import httpx

from sekha._http.httpx_proxy import httpx_proxy
from sekha._http.models import HTTPSettings
from sekha._http.proxies import proxy_for
from sekha._http.tls import ssl_context
from sekha.local.models import ChatRequest, ModelError, ModelInfo, Purpose

_TIMEOUT = httpx.Timeout(300.0, connect=5.0)
_PROBE_TIMEOUT = httpx.Timeout(3.0)
_CONNECTION = HTTPSettings(verify=True, cert=None, proxy=None, trust_env=True, max_connections=100, http_client=None)


class _ModelServer:
    """A server of models: its kind, its models, and requests that fail with ModelError."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the URL of a model must look like http://host:port/v1, not {url!r}")
        root, mark, _ = url.partition("/v1")
        self._kind = "openai" if mark else ""
        if not mark:
            root, mark, _ = url.partition("/api")
            self._kind = "ollama" if mark else ""
        self._root = root.rstrip("/")
        self._names: List[str] = []
        proxy = proxy_for(_CONNECTION, url)
        self._client = httpx.AsyncClient(
            timeout=_TIMEOUT,
            verify=ssl_context(_CONNECTION, url),
            proxy=httpx_proxy(proxy, None) if proxy is not None else None,
            trust_env=False,  # both are decided here, as for a Sekha
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def kind(self) -> str:
        """Return `openai` or `ollama`."""
        if not self._kind:
            try:
                answer = await self._client.get(f"{self._root}/api/version", timeout=_PROBE_TIMEOUT)
            except httpx.HTTPError as error:
                raise self._error(error) from error
            self._kind = "ollama" if answer.is_success else "openai"
        return self._kind

    async def models(self) -> List[str]:
        """Return the names of the models that the server has now."""
        openai = await self.kind() == "openai"
        answer = await self.request_json("GET", "/v1/models" if openai else "/api/tags", timeout=_PROBE_TIMEOUT)
        models = _get_path(answer, "data" if openai else "models")
        self._names = [str(_get_path(model, "id" if openai else "name")) for model in models]
        return self._names

    async def choose_model(self, requested: Optional[str], embeds: bool) -> str:
        """Return the requested model if the server has it, else the first that fits."""
        try:
            names = self._names or await self.models()
        except ModelError:  # not every server lists them; the request itself will show whether the model is there
            names = []
        known = {name: name for name in names}
        known.update((name[: -len(":latest")], name) for name in names if name.endswith(":latest"))
        if requested in known:
            return known[requested]
        fitting = [name for name in names if ("embed" in name.lower()) is embeds]
        return next(iter(fitting or names), requested or "default")

    async def request_json(self, method: str, path: str, body: Any = None, timeout: httpx.Timeout = _TIMEOUT) -> Any:
        """Send a request and return the JSON of its response."""
        try:
            answer = await self._client.request(method, self._root + path, json=body, timeout=timeout)
            found: Any = answer.json() if answer.is_success else None
        except (httpx.HTTPError, ValueError) as error:
            raise self._error(error) from error
        if found is None:
            raise self._error(f"HTTP {answer.status_code}: {answer.text[:300]}")
        return found

    async def stream_json(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[Dict[str, Any]]:
        """Yield the JSON objects of a streamed answer: server-sent events, or one a line."""
        try:
            async with self._client.stream("POST", self._root + path, json=body) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise self._error(f"HTTP {answer.status_code}: {answer.text[:300]}")
                async for line in answer.aiter_lines():
                    data = line[5:].strip() if line.startswith("data:") else line.strip()
                    if data.startswith("{"):
                        yield json.loads(data)
        except (httpx.HTTPError, ValueError) as error:
            raise self._error(error) from error

    def _error(self, reason: object) -> ModelError:
        text = str(reason) or type(reason).__name__
        return ModelError(f"{self._kind or 'model'} server {self._root}: {text}")


def _get_path(answer: Any, *path: Union[str, int]) -> Any:
    """Return the value at a path in an answer; raise ModelError if there is none."""
    found = answer
    try:
        for step in path:
            found = found[step]
    except (KeyError, IndexError, TypeError) as error:
        raise ModelError(f"the model's answer has no {path}: {str(answer)[:300]}") from error
    return found


class RemoteEmbedder:
    """An embedding model on another server; see the module for the kinds of servers."""

    def __init__(self, url: str) -> None:
        self._server = _ModelServer(url)
        self._dimension: Optional[int] = None

    async def embed(
        self, texts: Sequence[str], model: Optional[str] = None, *, purpose: Optional[Purpose] = None
    ) -> Tuple[str, List[List[float]]]:
        name = await self._server.choose_model(model, embeds=True)
        body = {"model": name, "input": list(texts)}
        if await self._server.kind() == "openai":
            data = _get_path(await self._server.request_json("POST", "/v1/embeddings", body), "data")
            found = [_get_path(item, "embedding") for item in sorted(data, key=lambda item: int(item.get("index", 0)))]
        else:
            found = _get_path(await self._server.request_json("POST", "/api/embed", body), "embeddings")
        if len(found) != len(texts):
            raise ModelError(f"the model {name} gave {len(found)} vectors for {len(texts)} texts")
        vectors = [_normalize([float(number) for number in vector]) for vector in found]
        self._dimension = len(vectors[0]) if vectors else self._dimension
        return name, vectors

    async def info(self) -> ModelInfo:
        kind, model = await self._server.kind(), await self._server.choose_model(None, embeds=True)
        await self._server.models()
        return ModelInfo(kind, kind, model, self._dimension, model)

    async def close(self) -> None:
        await self._server.close()


class RemoteChat:
    """A chat model on another server; see the module for the kinds of servers."""

    def __init__(self, url: str) -> None:
        self._server = _ModelServer(url)

    async def name(self, requested: Optional[str]) -> str:
        return requested or await self._server.choose_model(None, embeds=False)

    async def complete(self, request: ChatRequest) -> str:
        path, body = await self._chat_request(request, stream=False)
        answer = await self._server.request_json("POST", path, body)
        message = _get_path(answer, *(("choices", 0, "message") if path.startswith("/v1") else ("message",)))
        return str(_get_path(message, "content") or "")

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str, None]:
        path, body = await self._chat_request(request, stream=True)
        async for part in self._server.stream_json(path, body):
            if "error" in part:
                raise ModelError(f"the model {body['model']} stopped: {part['error']}")
            if path.startswith("/v1"):  # the last event of OpenAI has no choices, only the usage
                part = _get_path(part, "choices", 0, "delta") if part.get("choices") else {"content": ""}
            else:
                part = _get_path(part, "message")
            if part.get("content"):
                yield str(part["content"])

    async def info(self) -> ModelInfo:
        kind, model = await self._server.kind(), await self._server.choose_model(None, embeds=False)
        await self._server.models()
        return ModelInfo(kind, kind, model)

    async def close(self) -> None:
        await self._server.close()

    async def _chat_request(self, request: ChatRequest, stream: bool) -> Tuple[str, Dict[str, Any]]:
        messages = [{"role": role, "content": content} for role, content in request.messages]
        model = await self._server.choose_model(request.model, embeds=False)
        body: Dict[str, Any] = {"model": model, "messages": messages, "stream": stream}
        limits = {"temperature": request.temperature, "max_tokens": request.max_tokens}
        if await self._server.kind() == "openai":
            return "/v1/chat/completions", {
                **body,
                **{name: limit for name, limit in limits.items() if limit is not None},
            }
        options = {"temperature": request.temperature, "num_predict": request.max_tokens}
        return "/api/chat", {**body, "options": {name: limit for name, limit in options.items() if limit is not None}}


def _normalize(vector: List[float]) -> List[float]:
    """Scale a vector to length 1."""
    length = math.sqrt(sum(number * number for number in vector))
    return [number / length for number in vector] if length else vector
