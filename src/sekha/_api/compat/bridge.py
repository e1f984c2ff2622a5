"""The bridge's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from sekha._api.compat.health import model_is_down
from sekha._api.response import Answer
from sekha._utils.json_access import as_list, as_object, get


def completion(answer: Answer) -> object:
    """A chat completion; tokens that were not counted are None."""
    data = answer.json()
    found = as_object(data)
    return data if found is None else with_usage(found)


def with_usage(data: dict[str, Any]) -> dict[str, Any]:
    """A completion that always has ``usage``."""
    unknown = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
    return {**data, "usage": {**unknown, **(as_object(data.get("usage")) or {})}}


def chunk(data: object) -> object:
    """A chunk with a list of choices that each have a delta; model servers leave them out or make them null."""
    found = as_object(data)
    if found is None:
        return data
    choices = found.get("choices")
    if choices is None:
        found["choices"] = []
    for choice in map(as_object, as_list(choices) or ()):
        if choice is not None and choice.get("delta") is None:
            choice["delta"] = {}
    return with_usage(found) if isinstance(found.get("usage"), dict) else found


def chunks_of_completion(data: object) -> list[dict[str, Any]] | None:
    """A plain completion as two chunks, for a bridge that does not stream (D31): the text, then how it ended.

    None if it is no completion.
    """
    found = as_object(data)
    choices = [as_object(choice) for choice in as_list(get(data, "choices")) or ()]
    if found is None or not choices:
        return None
    head = {key: value for key, value in found.items() if key not in ("choices", "usage")}
    head["object"] = "chat.completion.chunk"
    texts: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for position, choice in enumerate(choices):
        message = as_object(get(choice, "message"))
        if choice is None or message is None:
            return None
        index = choice.get("index", position)
        texts.append({"index": index, "delta": message, "finish_reason": None})
        ends.append({"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")})
    end = {**head, "choices": ends}
    return [{**head, "choices": texts}, with_usage({**end, "usage": found["usage"]}) if found.get("usage") else end]


def embedding(answer: Answer) -> object:
    """An embedding in both shapes, OpenAI's and the bridge's (D29, D30)."""
    data = answer.json()
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


def joined_embeddings(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One answer for a list of texts, from one answer for each (D30)."""
    tokens = [answer.get("tokens_used") for answer in answers]
    total = sum(cast("list[int]", tokens)) if all(isinstance(n, int) for n in tokens) else None
    items = [{**answer["data"][0], "index": index} for index, answer in enumerate(answers)]
    joined = {**answers[0], "data": items, "usage": {"prompt_tokens": total, "total_tokens": total}}
    if total is not None:
        joined["tokens_used"] = total
    return joined


def importance(answer: Answer) -> object:
    """A score, unless the model was down and the answer only looks like one (D64)."""
    data = answer.json()
    if get(data, "reasoning") == "Failed to score importance":
        raise model_is_down(answer, "the bridge", "score")
    return data
