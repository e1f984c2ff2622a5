"""
Models behind a URL: any server that speaks like OpenAI or like Ollama.

Which of the two is told by the path of the URL: `/v1` in it means OpenAI (`/v1/chat/completions`, `/v1/embeddings`,
`/v1/models`), `/api` means Ollama (`/api/chat`, `/api/embed`, `/api/tags`). A URL with neither is asked once for
`/api/version`, which Ollama knows; a server that does not is taken for OpenAI.
"""

from __future__ import annotations

import json
import math
from typing import Any, AsyncGenerator, AsyncIterator, Dict, List, Mapping, Optional, Sequence, Tuple, Union
from urllib.parse import urlsplit

import httpx

from sekha.local.models import ChatRequest, ModelError, ModelInfo

_TIMEOUT = httpx.Timeout(300.0, connect=5.0)
_PROBE = httpx.Timeout(3.0)


class _Remote:
    """What both kinds of models share: the kind of server, its models, and requests that fail with ModelError."""

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
        self._client = httpx.AsyncClient(timeout=_TIMEOUT, verify=parts.scheme == "https")

    async def close(self) -> None:
        await self._client.aclose()

    async def kind(self) -> str:
        """`openai` or `ollama`."""
        if not self._kind:
            try:
                answer = await self._client.get(f"{self._root}/api/version", timeout=_PROBE)
            except httpx.HTTPError as error:
                raise self._error(error) from error
            self._kind = "ollama" if answer.is_success else "openai"
        return self._kind

    async def models(self) -> List[str]:
        """The models that the server has now."""
        openai = await self.kind() == "openai"
        answer = await self.ask("GET", "/v1/models" if openai else "/api/tags", timeout=_PROBE)
        models = _dig(answer, "data" if openai else "models")
        self._names = [str(_dig(model, "id" if openai else "name")) for model in models]
        return self._names

    async def choose(self, wanted: Optional[str], embeds: bool) -> str:
        """The model that was asked for if the server has it, else the first that fits."""
        try:
            names = self._names or await self.models()
        except ModelError:  # not every server tells; the request itself will show whether it is there
            names = []
        known = {name: name for name in names}
        known.update((name[: -len(":latest")], name) for name in names if name.endswith(":latest"))
        if wanted in known:
            return known[wanted]
        fitting = [name for name in names if ("embed" in name.lower()) is embeds]
        return next(iter(fitting or names), wanted or "default")

    async def ask(self, method: str, path: str, body: Any = None, timeout: httpx.Timeout = _TIMEOUT) -> Any:
        """One request and its JSON answer."""
        try:
            answer = await self._client.request(method, self._root + path, json=body, timeout=timeout)
            found: Any = answer.json() if answer.is_success else None
        except (httpx.HTTPError, ValueError) as error:
            raise self._error(error) from error
        if found is None:
            raise self._error(f"HTTP {answer.status_code}: {answer.text[:300]}")
        return found

    async def lines(self, path: str, body: Mapping[str, Any]) -> AsyncIterator[Dict[str, Any]]:
        """The JSON objects of a streamed answer: server-sent events or one in each line."""
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


def _dig(answer: Any, *path: Union[str, int]) -> Any:
    """What lies at a path in an answer; ModelError if the answer is not made like that."""
    found = answer
    try:
        for step in path:
            found = found[step]
    except (KeyError, IndexError, TypeError) as error:
        raise ModelError(f"the model's answer has no {path}: {str(answer)[:300]}") from error
    return found


class RemoteEmbedder:
    """Vectors from a server; see the module for which servers."""

    def __init__(self, url: str) -> None:
        self._remote = _Remote(url)
        self._dimension: Optional[int] = None

    async def embed(self, texts: Sequence[str], model: Optional[str] = None) -> Tuple[str, List[List[float]]]:
        name = await self._remote.choose(model, embeds=True)
        body = {"model": name, "input": list(texts)}
        if await self._remote.kind() == "openai":
            data = _dig(await self._remote.ask("POST", "/v1/embeddings", body), "data")
            found = [_dig(item, "embedding") for item in sorted(data, key=lambda item: int(item.get("index", 0)))]
        else:
            found = _dig(await self._remote.ask("POST", "/api/embed", body), "embeddings")
        if len(found) != len(texts):
            raise ModelError(f"the model {name} gave {len(found)} vectors for {len(texts)} texts")
        vectors = [_unit([float(number) for number in vector]) for vector in found]
        self._dimension = len(vectors[0]) if vectors else self._dimension
        return name, vectors

    async def info(self) -> ModelInfo:
        kind, model = await self._remote.kind(), await self._remote.choose(None, embeds=True)
        await self._remote.models()
        return ModelInfo(kind, kind, model, self._dimension)

    async def close(self) -> None:
        await self._remote.close()


class RemoteChat:
    """Answers from a server; see the module for which servers."""

    def __init__(self, url: str) -> None:
        self._remote = _Remote(url)

    async def name(self, wanted: Optional[str]) -> str:
        return wanted or await self._remote.choose(None, embeds=False)

    async def complete(self, request: ChatRequest) -> str:
        path, body = await self._body(request, stream=False)
        answer = await self._remote.ask("POST", path, body)
        message = _dig(answer, *(("choices", 0, "message") if path.startswith("/v1") else ("message",)))
        return str(_dig(message, "content") or "")

    async def stream(self, request: ChatRequest) -> AsyncGenerator[str, None]:
        path, body = await self._body(request, stream=True)
        async for part in self._remote.lines(path, body):
            if "error" in part:
                raise ModelError(f"the model {body['model']} stopped: {part['error']}")
            if path.startswith("/v1"):  # the last event of OpenAI has no choices, only the usage
                part = _dig(part, "choices", 0, "delta") if part.get("choices") else {"content": ""}
            else:
                part = _dig(part, "message")
            if part.get("content"):
                yield str(part["content"])

    async def info(self) -> ModelInfo:
        kind, model = await self._remote.kind(), await self._remote.choose(None, embeds=False)
        await self._remote.models()
        return ModelInfo(kind, kind, model)

    async def close(self) -> None:
        await self._remote.close()

    async def _body(self, request: ChatRequest, stream: bool) -> Tuple[str, Dict[str, Any]]:
        messages = [{"role": role, "content": content} for role, content in request.messages]
        model = await self._remote.choose(request.model, embeds=False)
        body: Dict[str, Any] = {"model": model, "messages": messages, "stream": stream}
        limits = {"temperature": request.temperature, "max_tokens": request.max_tokens}
        if await self._remote.kind() == "openai":
            return "/v1/chat/completions", {
                **body,
                **{name: limit for name, limit in limits.items() if limit is not None},
            }
        options = {"temperature": request.temperature, "num_predict": request.max_tokens}
        return "/api/chat", {**body, "options": {name: limit for name, limit in options.items() if limit is not None}}


def _unit(vector: List[float]) -> List[float]:
    length = math.sqrt(sum(number * number for number in vector))
    return [number / length for number in vector] if length else vector
