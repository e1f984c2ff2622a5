"""What the servers say differently from the documentation, and its translation; D numbers are those of the decisions.

Everything here goes from data to data. A function that takes an `Answer` gives what was promised, not yet validated.
"""

from sekha._api.compat.bridge import (
    chunk,
    chunks_of_completion,
    completion,
    embedding,
    importance,
    joined_embeddings,
    with_usage,
)
from sekha._api.compat.controller import (
    citation_of,
    context,
    conversation,
    count,
    hits,
    labels,
    summary,
)
from sekha._api.compat.error_overrides import (
    controller_meaning,
    delete_meaning,
    explain,
    full_text_meaning,
    id_in,
    prune_meaning,
)
from sekha._api.compat.health import (
    bridge_health,
    controller_health,
    health_of,
)
from sekha._api.compat.mcp import (
    export,
    stats,
    tool_hits,
    tool_result,
)
from sekha._api.compat.requests import (
    as_text,
    chat_messages,
    full_text_query,
    has_parts,
    label_for,
    padded,
    refuses_parts,
    temperature,
)

__all__ = [
    "as_text",
    "bridge_health",
    "chat_messages",
    "chunk",
    "chunks_of_completion",
    "citation_of",
    "completion",
    "context",
    "controller_health",
    "controller_meaning",
    "conversation",
    "count",
    "delete_meaning",
    "embedding",
    "explain",
    "export",
    "full_text_meaning",
    "full_text_query",
    "has_parts",
    "health_of",
    "hits",
    "id_in",
    "importance",
    "joined_embeddings",
    "label_for",
    "labels",
    "padded",
    "prune_meaning",
    "refuses_parts",
    "stats",
    "summary",
    "temperature",
    "tool_hits",
    "tool_result",
    "with_usage",
]
