"""Responses of the MCP tools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from sekha._api.compat.controller import add_both_ids, add_both_ids_to_each, distances_to_similarities
from sekha._api.model import Response
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


def unwrap_tool_result(response: Response) -> Any:
    """Return the result of an MCP tool, without its envelope if there is one (D22, D23).

    Raises:
        SekhaAPIError: ``success`` is false.
    """
    data = response.json()
    envelope = as_object(data)
    if envelope is None or "success" not in envelope:
        return data
    if envelope["success"] is True:
        return envelope.get("data", envelope)
    message = str(envelope.get("error") or "the tool failed without an error message")
    cls: type[SekhaAPIError] = SekhaServerError
    if "not found" in message.lower():
        cls = SekhaNotFoundError
    elif message.lower().startswith(("cannot specify", "invalid input")):
        cls = SekhaValidationError
    raise cls(message, status_code=response.status, body=response.text[:BODY_LIMIT])


def unwrap_conversation(response: Response) -> Any:
    """Return the result of a tool for one conversation, with its ID under both names."""
    data = unwrap_tool_result(response)
    add_both_ids(data)
    return data


def unwrap_export(response: Response) -> Any:
    """Return an export whose conversation has its ID under both names."""
    data = unwrap_tool_result(response)
    add_both_ids(get(data, "conversation"))
    return data


def unwrap_suggestions(response: Response) -> Any:
    """Return pruning suggestions, each with its ID under both names."""
    data = unwrap_tool_result(response)
    add_both_ids_to_each(get(data, "suggestions"))
    return data


def normalize_search_results(response: Response) -> object:
    """Return search results with scores for which higher is better (D18)."""
    data = unwrap_tool_result(response)
    results = as_list(get(data, "results"))
    if results and get(data, "score_kind") != "similarity":
        distances_to_similarities(results, distances_if_equal=" " in str(get(results[0], "timestamp")))
    if results is not None:
        data.setdefault("total_results", len(results))
    return data


def complete_stats(reported: dict[str, Any], rows: Sequence[ConversationListItem]) -> MemoryStats:
    """Return statistics: the numbers of the server, completed from the conversations that they count (D24, D25)."""
    scores = [float(row["metadata"].get("importance_score") or 0) for row in rows]
    counted = {
        "total_conversations": len(rows),
        "total_messages": None,
        "average_importance": math.fsum(scores) / len(scores) if scores else 0.0,
        "folders": sorted({row["folder"] for row in rows}),
        "labels": sorted({row["label"] for row in rows}),
    }
    return cast(MemoryStats, {**counted, **{name: value for name, value in reported.items() if value is not None}})


def apply_export_options(data: MemoryExport, format: str, *, include_metadata: bool) -> MemoryExport:
    """Return an export with the options applied, which servers only repeat (D45)."""
    data["format"] = format
    data["include_metadata"] = include_metadata
    if not include_metadata:
        for message in data["messages"]:
            message.pop("metadata", None)
    if format == "markdown":
        data["content"] = _markdown(data)
    return data


def _markdown(data: MemoryExport) -> str:
    conversation = data["conversation"]
    lines = [
        f"# {conversation['label']}",
        "",
        f"Folder: {conversation['folder']}",
        f"Created: {conversation['created_at']}",
    ]
    for message in data["messages"]:
        lines += ["", f"## {message['role'].capitalize()}", "", extract_text(message["content"])]
    return "\n".join(lines) + "\n"
