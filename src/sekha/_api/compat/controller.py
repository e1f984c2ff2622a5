"""The controller's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sekha._api.compat.health import model_is_down
from sekha._api.response import Answer
from sekha._utils.json_access import as_list, as_object, get
from sekha.errors import (
    SekhaValidationError,
)


def conversation(answer: Answer) -> object:
    """A conversation; older and newer servers name its id differently."""
    data = answer.json()
    found = as_object(data)
    if found is not None:
        if "id" not in found and "conversation_id" in found:
            found["id"] = found["conversation_id"]
        found.setdefault("message_count", None)
    return data


def hits(answer: Answer) -> object:
    """Hits of ``query`` with scores where higher is better (D18)."""
    data = answer.json()
    similarities(get(data, "results"), distances_if_equal=get(data, "page") == 0)
    return data


def similarities(results: object, *, distances_if_equal: bool) -> None:
    """Turn cosine distances into similarities, in place.

    A server lists its best hit first: scores that rise along the list are distances.
    """
    found: list[dict[str, Any]] = [hit for hit in as_list(results) or () if isinstance(hit, dict)]
    scores: list[Any] = [hit.get("score") for hit in found]
    if not scores or not all(isinstance(score, (int, float)) for score in (scores[0], scores[-1])):
        return
    if scores[0] > scores[-1] or (scores[0] == scores[-1] and not distances_if_equal):
        return
    if all(isinstance(score, (int, float)) for score in scores):
        for hit in found:
            hit["distance"] = hit["score"]
            hit["score"] = 1 - hit["score"]


def context(answer: Answer) -> object:
    """The messages of a context: a bare list, or under ``messages`` (D5)."""
    data = answer.json()
    return data if as_object(data) is None else get(data, "messages")


def citation_of(message: Mapping[str, Any]) -> dict[str, str]:
    """Label and folder of a remembered message, from ``metadata.citation`` or beside the content (D7)."""
    found: dict[str, str] = {}
    for name in ("label", "folder"):
        value = get(message, "metadata", "citation", name) or get(message, "metadata", name) or message.get(name)
        if isinstance(value, str):
            found[name] = value
    return found


def labels(answer: Answer) -> object:
    """Suggested labels: a list, or under ``suggestions`` (D9)."""
    data = answer.json()
    return data if as_object(data) is None else get(data, "suggestions")


def count(answer: Answer) -> object:
    """A count; the controller admits some errors with a 200 (D43)."""
    data = answer.json()
    if get(data, "error"):
        raise SekhaValidationError(str(get(data, "error")), status_code=answer.status)
    return data


def summary(answer: Answer) -> object:
    """A summary, unless the model was down and the answer only looks like one (D64)."""
    data = answer.json()
    text = get(data, "summary")
    if isinstance(text, str) and text.rstrip().endswith("(LLM offline)"):
        raise model_is_down(answer, "the controller", "summary")
    return data
