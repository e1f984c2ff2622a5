"""Contexts that the library builds from the results of a search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, cast

from sekha._api.search import IsEcho
from sekha.type_guards import extract_text
from sekha.types import Message, SearchResult

CONTEXT_RESULTS = 50
"""Number of results for the first request of a context; four times as many are requested, like the server does."""

BEST_RESULTS = 5
"""Number of hybrid results before a context of the server, including those that match words."""

BYTES_PER_TOKEN = 4
"""Bytes per token, as the controller counts them."""


def fills_budget(context_budget: int) -> Callable[[Sequence[SearchResult]], bool]:
    """Return the condition that results fill a context of the given number of tokens."""
    available = context_budget * BYTES_PER_TOKEN

    def is_enough(results: Sequence[SearchResult]) -> bool:
        sizes = map(_size, results)
        return sum(size for size in sizes if size <= available) >= available

    return is_enough


def context_from_results(
    results: Iterable[SearchResult], context_budget: int, preferred_labels: Sequence[str]
) -> list[Message]:
    """Return the messages of a context: preferred labels first, then the best, as many as fit.

    A message that is too long for the remaining budget is skipped.

    Args:
        results: Results of a search, best first.
        context_budget: Maximum number of tokens.
        preferred_labels: Labels of messages to rank first.
    """
    left = context_budget * BYTES_PER_TOKEN
    chosen: dict[tuple[str, str], Message] = {}
    for result in sorted(results, key=lambda result: result["label"] not in preferred_labels):
        size, key = _size(result), (result["message_id"], result["content"])
        if size <= left and key not in chosen:
            left -= size
            chosen[key] = _message(result)
    return list(chosen.values())


def has_best(results: Sequence[SearchResult]) -> bool:
    """Return whether there are enough results to put before a context of the server."""
    return len(results) >= BEST_RESULTS


def best_results(results: Iterable[SearchResult], is_echo: IsEcho | None) -> list[SearchResult]:
    """Return the best results that are not echoes; `is_echo` is not called for the rest."""
    return list(islice((result for result in results if is_echo is None or not is_echo(result)), BEST_RESULTS))


def fill_up(before: Sequence[Message], context: Iterable[Message], context_budget: int) -> list[Message]:
    """Return the messages of a context that still fit after others and are not among them.

    A context without others before it is returned unchanged, since the server has applied the budget.
    """
    if not before:
        return list(context)
    left = context_budget * BYTES_PER_TOKEN - sum(map(_length, before))
    known = {(message.get("id"), str(message["content"])) for message in before}
    added: list[Message] = []
    for message in context:
        if _length(message) <= left and (message.get("id"), str(message["content"])) not in known:
            left -= _length(message)
            added.append(message)
    return added


def without_repeated_ids(context: Iterable[Message]) -> list[Message]:
    """Return the messages of a context without duplicates (controller 0.1); those without an ID are kept."""
    unique: dict[object, Message] = {}
    for number, message in enumerate(context):
        id = message.get("id")
        unique.setdefault(number if id is None else (id, str(message["content"])), message)
    return list(unique.values())


def without_echoes(context: Iterable[Message], is_echo: IsEcho | None) -> list[Message]:
    """Return the messages of a context that are not echoes, treating them like search results."""
    return [message for message in context if is_echo is None or not is_echo(cast(SearchResult, message))]


def _size(result: SearchResult) -> int:
    return len(result["content"].encode())


def _length(message: Message) -> int:
    return len(extract_text(message["content"]).encode())


def _message(result: SearchResult) -> Message:
    timestamp = result["timestamp"]
    metadata: Any = result.get("metadata") or {}
    message: dict[str, Any] = {
        "id": result["message_id"],
        "conversation_id": result["conversation_id"],
        "role": metadata.get("role") or "user",
        "content": result["content"],
        "timestamp": metadata.get("timestamp") or timestamp,
        "metadata": {"citation": {"label": result["label"], "folder": result["folder"], "timestamp": timestamp}},
        "score": result["score"],
    }
    if "found_by" in result:
        message["found_by"] = result["found_by"]
    return cast(Message, message)
