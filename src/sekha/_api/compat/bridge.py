"""Responses of the bridge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sekha._api.compat.health import model_down_error
from sekha._api.model import Response
from sekha._utils.json_access import as_list, as_object, get


def normalize_completion(response: Response) -> object:
    """Add ``usage`` to a chat completion; token counts that are missing are None."""
    data = response.json()
    found = as_object(data)
    return data if found is None else add_usage(found)


def add_usage(data: dict[str, Any]) -> dict[str, Any]:
    """Return a completion or chunk with ``usage``, whose missing counts are None."""
    unknown = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
    return {**data, "usage": {**unknown, **(as_object(data.get("usage")) or {})}}


def normalize_chunk(data: object) -> object:
    """Return a chunk with a list of choices that each have a delta; model servers omit them or set them to null."""
    found = as_object(data)
    if found is None:
        return data
    choices = found.get("choices")
    if choices is None:
        found["choices"] = []
    for choice in map(as_object, as_list(choices) or ()):
        if choice is not None and choice.get("delta") is None:
            choice["delta"] = {}
    return add_usage(found) if isinstance(found.get("usage"), dict) else found


def completion_to_chunks(data: object) -> list[dict[str, Any]] | None:
    """Return a plain completion as two chunks, text and finish reason, for a bridge that does not stream (D31).

    Returns None if it is not a completion.
    """
    found = as_object(data)
    choices = [as_object(choice) for choice in as_list(get(data, "choices")) or ()]
    if found is None or not choices:
        return None
    common = {key: value for key, value in found.items() if key not in ("choices", "usage")}
    common["object"] = "chat.completion.chunk"
    texts: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for position, choice in enumerate(choices):
        message = as_object(get(choice, "message"))
        if choice is None or message is None:
            return None
        index = choice.get("index", position)
        texts.append({"index": index, "delta": message, "finish_reason": None})
        ends.append({"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")})
    end = {**common, "choices": ends}
    return [{**common, "choices": texts}, add_usage({**end, "usage": found["usage"]}) if found.get("usage") else end]


def normalize_embedding(response: Response) -> object:
    """Return an embedding in the shapes of both OpenAI and the bridge (D29, D30)."""
    data = response.json()
    found = as_object(data)
    if found is None:
        return data
    if "data" not in found and "embedding" in found:
        found["data"] = [{"object": "embedding", "index": 0, "embedding": found["embedding"]}]
    items = as_list(found.get("data"))
    if "embedding" not in found and items:
        found["embedding"] = get(items[0], "embedding")
    vector, tokens = as_list(found.get("embedding")) or [], found.get("tokens_used")
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, **(as_object(found.get("usage")) or {})}
    return {"object": "list", "model": "", "dimension": len(vector), **found, "usage": usage}


def join_embeddings(responses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one response for a list of texts, from one for each text (D30)."""
    tokens = [response.get("tokens_used") for response in responses]
    total = sum(cast("list[int]", tokens)) if all(isinstance(n, int) for n in tokens) else None
    items = [{**response["data"][0], "index": index} for index, response in enumerate(responses)]
    joined = {**responses[0], "data": items, "usage": {"prompt_tokens": total, "total_tokens": total}}
    if total is not None:
        joined["tokens_used"] = total
    return joined


def normalize_importance(response: Response) -> object:
    """Return a score; raise an error if the model was down and the response only looks like a score (D64)."""
    data = response.json()
    if get(data, "reasoning") == "Failed to score importance":
        raise model_down_error(response, "the bridge", "score")
    return data
