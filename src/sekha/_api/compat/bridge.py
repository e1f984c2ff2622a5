"""Responses of the bridge."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from sekha._api.compat.health import model_down_error
from sekha._api.error_response import error_in_success, has_error
from sekha._api.model import Response
from sekha._utils.json_access import as_list, as_object, get
from sekha.errors import BODY_LIMIT

_NO_ERROR = (None, False, "")
"""Values of ``error`` in a response that is not an error."""
FAILURES = ("error", "exception", "fail", "fatal", "abort", "cancel", "timeout")
"""Words in a finish reason, or in the name of an event, that mean that the model failed or was stopped."""
_DIGITS = re.compile(r"[0-9]{1,18}")


def normalize_completion(response: Response) -> object:
    """Return a chat completion with ``usage`` (missing token counts are None), and with text as content.

    Raises:
        SekhaServerError: The model failed, which servers report with status 200.
    """
    data = response.json()
    found = as_object(data)
    if found is None:
        return data
    for choice in _choices(found):
        _normalize_choice(choice, "message")
    failure = found if not found.get("choices") and has_error(found) else find_failure(found)
    if failure is not None:
        error = error_in_success("", "", response.headers, json.dumps(failure).encode(), status=response.status)
        error.body = response.text[:BODY_LIMIT]
        error.text = str(next((get(choice, "message", "content") for choice in _choices(found)), None) or "")
        raise error
    return add_usage(_with_integers(found, "created"))


def find_failure(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the part of a completion or chunk that reports a failure of the model; None without a failure."""
    if data.get("error", data.get("Error")) not in _NO_ERROR:
        return data
    for choice in _choices(data):
        if choice.get("error") not in _NO_ERROR:
            return choice
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and any(word in reason.lower() for word in FAILURES):
            return {"error": f"the model failed (finish_reason: {reason})"}
    return None


def _choices(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [choice for choice in map(as_object, as_list(data.get("choices")) or ()) if choice is not None]


def _normalize_choice(choice: dict[str, Any], key: str) -> None:
    """Make the index of a choice an integer, and the content of its message or delta a text."""
    _with_integers(choice, "index")
    message = as_object(choice.get(key)) or {}
    content = message.get("content")
    part = as_object(content)
    parts: list[Any] | None = as_list(content) if part is None else [part]
    if parts is not None and all(
        isinstance(part, str) or get(part, "type") or get(part, "text") is not None for part in parts
    ):
        message["content"] = "".join(map(_part_text, parts))
        message["content_parts"] = content  # a thought, for instance, is not part of the text


def _part_text(part: object) -> str:
    text = part if isinstance(part, str) else get(part, "text")
    return text if isinstance(text, str) else ""


def _with_integers(data: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Turn numbers that some servers send as floats or texts into integers, in place."""
    for key in keys:
        value = data.get(key)
        if (isinstance(value, float) and math.isfinite(value)) or (isinstance(value, str) and _DIGITS.fullmatch(value)):
            data[key] = int(value)
    return data


def add_usage(data: dict[str, Any]) -> dict[str, Any]:
    """Return a completion or chunk with ``usage``, whose missing counts are None."""
    unknown = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
    return {**data, "usage": _with_integers({**unknown, **(as_object(data.get("usage")) or {})}, *unknown)}


def normalize_chunk(data: object) -> object:
    """Return a chunk in the documented format.

    Model servers omit choices and deltas or set them to null, send numbers and texts in other types, or send the text
    as those of the older kind of completions.
    """
    found = as_object(data)
    if found is None:
        return data
    choices = found.get("choices")
    if choices is None:
        found["choices"] = []
    for choice in _choices(found):
        if choice.get("delta") is None:
            text = choice.get("text")
            choice["delta"] = {"content": text} if isinstance(text, str) else {}
        _normalize_choice(choice, "delta")
    _with_integers(found, "created")
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
    """Return an embedding in the formats of both OpenAI and the bridge (D29, D30)."""
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
