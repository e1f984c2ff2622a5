"""The MCP tools' answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from sekha._api.compat.controller import similarities
from sekha._api.response import Answer
from sekha._utils.json_access import as_list, as_object, get
from sekha.errors import (
    BODY_LIMIT,
    SekhaAPIError,
    SekhaNotFoundError,
    SekhaServerError,
    SekhaValidationError,
)
from sekha.type_guards import extract_text
from sekha.types import ConversationListItem, MemoryExport, MemoryStats


def tool_result(answer: Answer) -> Any:
    """What an MCP tool says, out of its envelope if it has one (D22, D23).

    Raises:
        SekhaAPIError: ``success`` is false.
    """
    data = answer.json()
    envelope = as_object(data)
    if envelope is None or "success" not in envelope:
        return data
    if envelope["success"] is True:
        return envelope.get("data", envelope)
    words = str(envelope.get("error") or "the tool failed and does not say why")
    cls: type[SekhaAPIError] = SekhaServerError
    if "not found" in words.lower():
        cls = SekhaNotFoundError
    elif words.lower().startswith(("cannot specify", "invalid input")):
        cls = SekhaValidationError
    raise cls(words, status_code=answer.status, body=answer.text[:BODY_LIMIT])


def tool_hits(answer: Answer) -> object:
    """Hits of ``memory_search`` with scores where higher is better (D18)."""
    data = tool_result(answer)
    results = as_list(get(data, "results"))
    if results:
        similarities(results, distances_if_equal=" " in str(get(results[0], "timestamp")))
    if results is not None:
        data.setdefault("total_results", len(results))
    return data


def stats(answer: dict[str, Any], rows: Sequence[ConversationListItem]) -> MemoryStats:
    """Statistics, from what the server said and the conversations they are about for the rest (D24, D25)."""
    scores = [float(row["metadata"].get("importance_score") or 0) for row in rows]
    counted = {
        "total_conversations": len(rows),
        "total_messages": None,
        "average_importance": math.fsum(scores) / len(scores) if scores else 0.0,
        "folders": sorted({row["folder"] for row in rows}),
        "labels": sorted({row["label"] for row in rows}),
    }
    return cast(MemoryStats, {**counted, **{name: value for name, value in answer.items() if value is not None}})


def export(data: MemoryExport, format: str, *, include_metadata: bool) -> MemoryExport:
    """An export as it was asked for; servers only repeat the wishes (D45)."""
    data["format"] = format
    data["include_metadata"] = include_metadata
    if not include_metadata:
        for message in data["messages"]:
            message.pop("metadata", None)
    if format == "markdown":
        data["content"] = _markdown(data)
    return data


def _markdown(data: MemoryExport) -> str:
    about = data["conversation"]
    lines = [f"# {about['label']}", "", f"Folder: {about['folder']}", f"Created: {about['created_at']}"]
    for message in data["messages"]:
        lines += ["", f"## {message['role'].capitalize()}", "", extract_text(message["content"])]
    return "\n".join(lines) + "\n"
