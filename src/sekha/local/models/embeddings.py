"""Embeddings of a model on another server."""

from __future__ import annotations

import math
import struct
from base64 import b64decode
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from sekha._api.error_response import truncate
from sekha._utils.json_access import as_list, get
from sekha.local.models import ModelInfo, Purpose
from sekha.local.models.model_server import ModelServer, without_latest
from sekha.local.models.settings import ServerSettings

_MAX_SHOWN = 100


class RemoteEmbedder:
    """An embedding model on another server.

    Args:
        settings: The server and its model.
        query_prefix: Prefix of search queries.
        passage_prefix: Prefix of stored texts.
    """

    def __init__(self, settings: ServerSettings, query_prefix: str = "", passage_prefix: str = "") -> None:
        self._server = ModelServer(settings)
        self._prefixes: Mapping[Optional[Purpose], str] = {"query": query_prefix, "passage": passage_prefix}
        self._dimension: Optional[int] = None

    async def embed(
        self, texts: Sequence[str], model: Optional[str] = None, *, purpose: Optional[Purpose] = None
    ) -> Tuple[str, List[List[float]]]:
        prefix = self._prefixes.get(purpose, "")
        name = model or await self._server.model()
        body = {"model": name, "input": [prefix + text for text in texts]}
        is_openai = await self._server.kind() == "openai"
        path = "/embeddings" if is_openai else "/embed"
        answer = await self._server.request_json(path, body, allow_nan=True)
        try:
            found = read_openai(answer) if is_openai else read_ollama(answer)
            vectors = normalize_vectors(found, len(texts))
        except ValueError as error:
            raise self._server.error(f"the embeddings of {name} cannot be used: {error}") from error
        if model is None and vectors:
            self._dimension = len(vectors[0])
        return name if purpose is None else self._kept_as(name), vectors

    async def info(self) -> ModelInfo:
        model, kind = await self._server.check(), await self._server.kind()
        return ModelInfo(kind, kind, model, self._dimension, self._kept_as(model))

    async def check(self) -> None:
        await self._server.check_settings()

    async def close(self) -> None:
        await self._server.close()

    def _kept_as(self, name: str) -> str:
        """Return the name of vectors in the store; it differs for another prefix of passages."""
        prefix = self._prefixes["passage"]
        return f"{without_latest(name)} ({prefix})" if prefix else without_latest(name)


def read_openai(answer: Any) -> List[Any]:
    """Return the vectors of an answer in OpenAI format, in the order of their texts.

    Raises:
        ValueError: Vectors are missing, or their order is not clear.
    """
    rows = as_list(get(answer, "data"))
    if rows is None:
        raise ValueError(f"the answer has no list `data`: {_show(answer)}")
    places = [get(row, "index") for row in rows]
    if all(place is None for place in places):
        return [get(row, "embedding") for row in rows]
    by_place = {place: get(row, "embedding") for place, row in zip(places, rows) if type(place) is int}
    if sorted(by_place) != list(range(len(rows))):
        raise ValueError(f"the answer must have each `index` from 0 to {len(rows) - 1} once, but has {_show(places)}")
    return [by_place[place] for place in range(len(rows))]


def read_ollama(answer: Any) -> List[Any]:
    """Return the vectors of an Ollama answer; raise ValueError if they are missing."""
    vectors = as_list(get(answer, "embeddings"))
    if vectors is None:
        raise ValueError(f"the answer has no list `embeddings`: {_show(answer)}")
    return vectors


def normalize_vectors(found: Sequence[Any], count: int) -> List[List[float]]:
    """Normalize vectors to length 1, and check their number.

    Args:
        found: The vectors of a model: lists of numbers, or base64 of 32-bit floats.
        count: The number of texts.

    Raises:
        ValueError: Their number is wrong, they differ in length, or one of them is not a vector.
    """
    if len(found) != count:
        raise ValueError(f"the answer has {len(found)} vectors for {count} texts")
    vectors = [_normalize(_numbers(vector)) for vector in found]
    lengths = sorted({len(vector) for vector in vectors})
    if len(lengths) > 1:
        raise ValueError(f"the vectors have different lengths: {', '.join(map(str, lengths))}")
    return vectors


def _numbers(vector: Any) -> List[float]:
    """Return the components of a vector; raise ValueError if one is not a finite number."""
    values: Optional[Sequence[Any]] = _decode(vector) if isinstance(vector, str) else as_list(vector)
    if values is None:
        raise ValueError(f"a vector is {_show(vector)}")
    if not values:
        raise ValueError("a vector is empty")
    numbers: List[float] = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"a vector contains {_show(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ValueError("a vector contains a number that is not finite")
        numbers.append(number)
    return numbers


def _decode(text: str) -> Sequence[float]:
    try:
        data = b64decode(text, validate=True)
        return struct.unpack(f"<{len(data) // 4}f", data)
    except (ValueError, struct.error):
        raise ValueError(f"a vector is the text {_show(text)}, which is not base64 of 32-bit floats") from None


def _normalize(vector: List[float]) -> List[float]:
    """Scale a vector to length 1."""
    largest = max(map(abs, vector))
    if not largest:
        raise ValueError("a vector contains only zeros")
    scaled = [number / largest for number in vector]  # to avoid overflow and underflow of squares
    length = math.sqrt(sum(number * number for number in scaled))
    return [number / length for number in scaled]


def _show(value: Any) -> str:
    return truncate(repr(value), _MAX_SHOWN)
