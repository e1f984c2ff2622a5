"""Responses of the REST routes of the controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sekha._api.compat.health import model_down_error
from sekha._api.model import Response
from sekha._utils.json_access import as_list, as_object, get
from sekha.errors import (
    SekhaValidationError,
)


def normalize_conversation(response: Response) -> object:
    """Return a conversation with ``id``, which older and newer servers name differently."""
    data = response.json()
    found = as_object(data)
    if found is not None:
        add_both_ids(found)
        found.setdefault("message_count", None)
    return data


def normalize_conversations(response: Response) -> object:
    """Return a page of conversations, each with its ID under both names."""
    data = response.json()
    add_both_ids_to_each(get(data, "results"))
    return data


def normalize_suggestions(response: Response) -> object:
    """Return pruning suggestions, each with its ID under both names."""
    data = response.json()
    add_both_ids_to_each(get(data, "suggestions"))
    return data


def add_both_ids(conversation: object) -> None:
    """Set the ID of a conversation under both names, in place: servers use one of them, depending on the route."""
    found = as_object(conversation)
    if found is not None:
        for name, other in (("id", "conversation_id"), ("conversation_id", "id")):
            if name not in found and other in found:
                found[name] = found[other]


def add_both_ids_to_each(conversations: object) -> None:
    """Set the ID of each conversation of a list under both names, in place."""
    for conversation in as_list(conversations) or ():
        add_both_ids(conversation)


def normalize_results(response: Response) -> object:
    """Return search results with scores for which higher is better (D18)."""
    data = response.json()
    if get(data, "score_kind") != "similarity":
        distances_to_similarities(get(data, "results"), distances_if_equal=get(data, "page") == 0)
    return data


def distances_to_similarities(results: object, *, distances_if_equal: bool) -> None:
    """Turn cosine distances into similarities, in place.

    Servers list the best result first: scores that rise along the list are distances.
    """
    found: list[dict[str, Any]] = [result for result in as_list(results) or () if isinstance(result, dict)]
    scores: list[Any] = [result.get("score") for result in found]
    if not scores or not all(isinstance(score, (int, float)) for score in (scores[0], scores[-1])):
        return
    if scores[0] > scores[-1] or (scores[0] == scores[-1] and not distances_if_equal):
        return
    if all(isinstance(score, (int, float)) for score in scores):
        for result in found:
            result["distance"] = result["score"]
            result["score"] = 1 - result["score"]


def normalize_context(response: Response) -> object:
    """Return the messages of a context: a list, or the value of ``messages`` (D5)."""
    data = response.json()
    return data if as_object(data) is None else get(data, "messages")


def get_citation(message: Mapping[str, Any]) -> dict[str, str]:
    """Return label and folder of a message, from ``metadata.citation`` or from the message itself (D7)."""
    found: dict[str, str] = {}
    for name in ("label", "folder"):
        value = get(message, "metadata", "citation", name) or get(message, "metadata", name) or message.get(name)
        if isinstance(value, str):
            found[name] = value
    return found


def normalize_labels(response: Response) -> object:
    """Return suggested labels: a list, or the value of ``suggestions`` (D9)."""
    data = response.json()
    return data if as_object(data) is None else get(data, "suggestions")


def normalize_count(response: Response) -> object:
    """Return a count; the controller reports some errors with status 200 (D43)."""
    data = response.json()
    if get(data, "error"):
        raise SekhaValidationError(str(get(data, "error")), status_code=response.status)
    return data


def normalize_summary(response: Response) -> object:
    """Return a summary; raise an error if the model was down and the response only looks like a summary (D64)."""
    data = response.json()
    text = get(data, "summary")
    if isinstance(text, str) and text.rstrip().endswith("(LLM offline)"):
        raise model_down_error(response, "the controller", "summary")
    return data
