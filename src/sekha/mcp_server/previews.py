"""Rows of the memory become previews: short enough that an answer never floods the context of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sekha._api.memory_tools import PREVIEW
from sekha._api.prompts import quote_texts, shorten
from sekha._api.words import Word, excerpt
from sekha._utils.json_access import get
from sekha.type_guards import extract_image_urls, extract_text
from sekha.types import MemoryStats, PruneSuggestion, SearchResult

from .results import Preview, Statistics, Suggestion

MAX_NAME = 200
"""Characters of a label or a folder."""

MAX_NAMES = 50
"""Labels, or folders, in the statistics."""


def preview_of(result: SearchResult, words: Sequence[Word]) -> Preview:
    """Return a search result as it is shown: of a long text the part with the words that were searched for."""
    text = extract_text(result["content"])
    metadata: Mapping[str, object] = result.get("metadata") or {}
    role = get(metadata, "role")
    preview = Preview(
        conversation_id=result["conversation_id"],
        score=round(result["score"], 3),
        role=role if isinstance(role, str) else None,
        date=result["timestamp"] or None,
        label=shorten(result["label"], MAX_NAME),
        folder=shorten(result["folder"], MAX_NAME),
        preview=excerpt(text, words, PREVIEW),
    )
    if len(text) > PREVIEW:
        preview["truncated"] = True
    return preview


def suggestion_of(row: PruneSuggestion) -> Suggestion:
    """Return what pruning suggests as it is shown."""
    return Suggestion(
        conversation_id=row["conversation_id"],
        label=shorten(row["conversation_label"], MAX_NAME),
        last_used=row["last_accessed"],
        messages=row["message_count"],
        importance_score=row["importance_score"],
        recommendation=row["recommendation"],
        preview=shorten(row["preview"], PREVIEW),
    )


def statistics_of(stats: MemoryStats) -> Statistics:
    """Return statistics with at most so many names of folders and labels."""
    return Statistics(
        total_conversations=stats["total_conversations"],
        total_messages=stats["total_messages"],
        average_importance=stats["average_importance"],
        total_folders=len(stats["folders"]),
        total_labels=len(stats["labels"]),
        folders=_names(stats["folders"]),
        labels=_names(stats["labels"]),
    )


def shorten_names(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a conversation with a label and a folder that are not too long: imported titles may have any length."""
    return {**row, "label": shorten(row["label"], MAX_NAME), "folder": shorten(row["folder"], MAX_NAME)}


def quote_rows(rows: Sequence[Mapping[str, Any]], text: str) -> str:
    """Return rows as quoted data for a model.

    Args:
        rows: What is shown of each.
        text: The name of what is quoted; all else is cited with it.
    """
    return quote_texts(({name: value for name, value in row.items() if name != text}, row[text]) for row in rows)


def text_of(content: Any) -> str:
    """Return the text of a message; an image becomes a line with its address, one in the message itself only a word."""
    images = (
        "[image]" if url.lower().startswith("data:") else f"[image: {url}]" for url in extract_image_urls(content)
    )
    return "\n".join(filter(None, (extract_text(content), *images)))


def _names(names: Sequence[str]) -> list[str]:
    return [shorten(name, MAX_NAME) for name in names[:MAX_NAMES]]
