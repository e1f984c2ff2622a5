"""The one table of endpoints: what is called, may it be repeated, and how its answer is read.

One documented route is missing: `PUT .../folder` overwrites the label on the controller 0.1 (D14), so the folder is set
together with the label that is there.
"""

from __future__ import annotations

from typing import Any, Final, List

from sekha._api import compat as dialect
from sekha._api.model import Endpoint, Repeat, Service
from sekha._api.response import Answer, Reader
from sekha.types import (
    BridgeSummary,
    ChatCompletion,
    Conversation,
    ConversationCount,
    ConversationListResponse,
    Embedding,
    Extraction,
    FullTextResponse,
    ImportanceScore,
    LabelSuggestion,
    MemoryContext,
    MemoryExport,
    MemoryPruneResponse,
    MemorySearchResponse,
    MemoryStored,
    MemoryUpdated,
    Message,
    ModelInfo,
    ProviderHealth,
    PruneResponse,
    QueryResponse,
    RouteDecision,
    ServiceHealth,
    SummaryResponse,
)
from sekha.types._mcp import ServerStats


def _text(answer: Answer) -> str:
    return answer.text


_UNWELL = frozenset({500, 502, 503, 504})
_NOTHING: Reader[None] = Reader(None, meaning=dialect.controller_meaning)

# ---- the controller's REST routes ----------------------------------------------------------------------------

CREATE_CONVERSATION: Final = Endpoint(
    "create_conversation",
    Service.CONTROLLER,
    "POST",
    "/api/v1/conversations",
    Repeat.UNSAFE,
    Reader[Conversation](Conversation, dialect.conversation, meaning=dialect.controller_meaning),
    writes=True,
    slow=True,
    stores=True,
)
GET_CONVERSATION: Final = Endpoint(
    "get_conversation",
    Service.CONTROLLER,
    "GET",
    "/api/v1/conversations/{id}",
    Repeat.SAFE,
    Reader[Conversation](Conversation, dialect.conversation, meaning=dialect.controller_meaning),
)
LIST_CONVERSATIONS: Final = Endpoint(
    "list_conversations",
    Service.CONTROLLER,
    "GET",
    "/api/v1/conversations",
    Repeat.SAFE,
    Reader[ConversationListResponse](ConversationListResponse, meaning=dialect.controller_meaning),
)
UPDATE_LABEL: Final = Endpoint(
    "update_label",
    Service.CONTROLLER,
    "PUT",
    "/api/v1/conversations/{id}/label",
    Repeat.SAFE,
    _NOTHING,
    writes=True,
)
PIN_CONVERSATION: Final = Endpoint(
    "pin_conversation",
    Service.CONTROLLER,
    "PUT",
    "/api/v1/conversations/{id}/pin",
    Repeat.SAFE,
    _NOTHING,
    writes=True,
)
ARCHIVE_CONVERSATION: Final = Endpoint(
    "archive_conversation",
    Service.CONTROLLER,
    "PUT",
    "/api/v1/conversations/{id}/archive",
    Repeat.SAFE,
    _NOTHING,
    writes=True,
)
DELETE_CONVERSATION: Final = Endpoint(
    "delete_conversation",
    Service.CONTROLLER,
    "DELETE",
    "/api/v1/conversations/{id}",
    Repeat.SAFE,
    Reader[None](None, meaning=dialect.delete_meaning),
    writes=True,
)
COUNT_CONVERSATIONS: Final = Endpoint(
    "count_conversations",
    Service.CONTROLLER,
    "GET",
    "/api/v1/conversations/count",
    Repeat.SAFE,
    Reader[ConversationCount](ConversationCount, dialect.count, meaning=dialect.controller_meaning),
)
QUERY: Final = Endpoint(
    "query",
    Service.CONTROLLER,
    "POST",
    "/api/v1/query",
    Repeat.SAFE,
    Reader[QueryResponse](QueryResponse, dialect.hits, meaning=dialect.controller_meaning),
)
FULL_TEXT_SEARCH: Final = Endpoint(
    "full_text_search",
    Service.CONTROLLER,
    "POST",
    "/api/v1/search/fts",
    Repeat.SAFE,
    Reader[FullTextResponse](FullTextResponse, meaning=dialect.full_text_meaning),
)
ASSEMBLE_CONTEXT: Final = Endpoint(
    "assemble_context",
    Service.CONTROLLER,
    "POST",
    "/api/v1/context/assemble",
    Repeat.SAFE,
    Reader[List[Message]](List[Message], dialect.context, meaning=dialect.controller_meaning),
)
SUMMARIZE: Final = Endpoint(
    "summarize",
    Service.CONTROLLER,
    "POST",
    "/api/v1/summarize",
    Repeat.COSTLY,
    Reader[SummaryResponse](SummaryResponse, dialect.summary, meaning=dialect.controller_meaning),
    slow=True,
)
PRUNE_DRY_RUN: Final = Endpoint(
    "prune_dry_run",
    Service.CONTROLLER,
    "POST",
    "/api/v1/prune/dry-run",
    Repeat.COSTLY,
    Reader[PruneResponse](PruneResponse, meaning=dialect.controller_meaning),
    slow=True,
)
PRUNE_EXECUTE: Final = Endpoint(
    "prune_execute",
    Service.CONTROLLER,
    "POST",
    "/api/v1/prune/execute",
    Repeat.SAFE,
    _NOTHING,
    writes=True,
)
SUGGEST_LABELS: Final = Endpoint(
    "suggest_labels",
    Service.CONTROLLER,
    "POST",
    "/api/v1/labels/suggest",
    Repeat.COSTLY,
    Reader[List[LabelSuggestion]](List[LabelSuggestion], dialect.labels, meaning=dialect.controller_meaning),
    slow=True,
)
REBUILD_EMBEDDINGS: Final = Endpoint(
    "rebuild_embeddings",
    Service.CONTROLLER,
    "POST",
    "/api/v1/rebuild-embeddings",
    Repeat.SAFE,
    _NOTHING,
)
CONTROLLER_HEALTH: Final = Endpoint(
    "health",
    Service.CONTROLLER,
    "GET",
    "/health",
    Repeat.SAFE,
    Reader[ServiceHealth](ServiceHealth, dialect.controller_health, accepts=_UNWELL),
)
CONTROLLER_METRICS: Final = Endpoint(
    "metrics",
    Service.CONTROLLER,
    "GET",
    "/metrics",
    Repeat.SAFE,
    Reader[str](str, _text, meaning=dialect.controller_meaning),
)

# ---- its MCP tools -------------------------------------------------------------------------------------------

MEMORY_STORE: Final = Endpoint(
    "memory_store",
    Service.MCP,
    "POST",
    "/mcp/tools/memory_store",
    Repeat.UNSAFE,
    Reader[MemoryStored](MemoryStored, dialect.tool_result),
    writes=True,
    slow=True,
    stores=True,
)
MEMORY_SEARCH: Final = Endpoint(
    "memory_search",
    Service.MCP,
    "POST",
    "/mcp/tools/memory_search",
    Repeat.SAFE,
    Reader[MemorySearchResponse](MemorySearchResponse, dialect.tool_hits),
)
MEMORY_UPDATE: Final = Endpoint(
    "memory_update",
    Service.MCP,
    "POST",
    "/mcp/tools/memory_update",
    Repeat.SAFE,
    Reader[MemoryUpdated](MemoryUpdated, dialect.tool_result),
    writes=True,
)
MEMORY_GET_CONTEXT: Final = Endpoint(
    "memory_get_context",
    Service.MCP,
    "POST",
    "/mcp/tools/memory_get_context",
    Repeat.SAFE,
    Reader[MemoryContext](MemoryContext, dialect.tool_result),
)
MEMORY_EXPORT: Final = Endpoint(
    "memory_export",
    Service.MCP,
    "POST",
    "/mcp/tools/memory_export",
    Repeat.SAFE,
    Reader[MemoryExport](MemoryExport, dialect.tool_result),
)
MEMORY_PRUNE: Final = Endpoint(
    "memory_prune",
    Service.MCP,
    "POST",
    "/mcp/tools/memory_prune",
    Repeat.COSTLY,
    Reader[MemoryPruneResponse](MemoryPruneResponse, dialect.tool_result, meaning=dialect.prune_meaning),
    slow=True,
)
MEMORY_STATS: Final = Endpoint(
    "memory_stats",
    Service.MCP,
    "POST",
    "/mcp/tools/memory_stats",
    Repeat.SAFE,
    Reader[ServerStats](ServerStats, dialect.tool_result),
)

# ---- the bridge ----------------------------------------------------------------------------------------------

COMPLETE: Final = Endpoint(
    "complete",
    Service.BRIDGE,
    "POST",
    "/v1/chat/completions",
    Repeat.UNSAFE,
    Reader[ChatCompletion](ChatCompletion, dialect.completion),
    writes=True,
    slow=True,
)
STREAM_COMPLETE: Final = Endpoint(
    "stream_complete",
    Service.BRIDGE,
    "POST",
    "/v1/chat/completions",
    Repeat.UNSAFE,
    Reader[ChatCompletion](ChatCompletion, dialect.completion),
    writes=True,
    slow=True,
)
EMBED: Final = Endpoint(
    "embed",
    Service.BRIDGE,
    "POST",
    "/embed",
    Repeat.SAFE,
    Reader[Embedding](Embedding, dialect.embedding),
)
BRIDGE_HEALTH: Final = Endpoint(
    "health",
    Service.BRIDGE,
    "GET",
    "/health",
    Repeat.SAFE,
    Reader[ServiceHealth](ServiceHealth, dialect.bridge_health, accepts=_UNWELL),
)
MODELS: Final = Endpoint(
    "models",
    Service.BRIDGE,
    "GET",
    "/api/v1/models",
    Repeat.SAFE,
    Reader[List[ModelInfo]](List[ModelInfo]),
)
TASKS: Final = Endpoint(
    "tasks",
    Service.BRIDGE,
    "GET",
    "/api/v1/tasks",
    Repeat.SAFE,
    Reader[List[str]](List[str]),
)
ROUTE: Final = Endpoint(
    "route",
    Service.BRIDGE,
    "POST",
    "/api/v1/route",
    Repeat.SAFE,
    Reader[RouteDecision](RouteDecision),
)
PROVIDER_HEALTH: Final = Endpoint(
    "provider_health",
    Service.BRIDGE,
    "GET",
    "/api/v1/health/providers",
    Repeat.SAFE,
    Reader[ProviderHealth](ProviderHealth),
)
BRIDGE_SUMMARIZE: Final = Endpoint(
    "summarize",
    Service.BRIDGE,
    "POST",
    "/api/v1/summarize",
    Repeat.COSTLY,
    Reader[BridgeSummary](BridgeSummary),
    slow=True,
)
EXTRACT: Final = Endpoint(
    "extract",
    Service.BRIDGE,
    "POST",
    "/api/v1/extract",
    Repeat.SAFE,
    Reader[Extraction](Extraction),
)
SCORE: Final = Endpoint(
    "score",
    Service.BRIDGE,
    "POST",
    "/api/v1/score",
    Repeat.SAFE,
    Reader[ImportanceScore](ImportanceScore, dialect.importance),
)

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    CREATE_CONVERSATION,
    GET_CONVERSATION,
    LIST_CONVERSATIONS,
    UPDATE_LABEL,
    PIN_CONVERSATION,
    ARCHIVE_CONVERSATION,
    DELETE_CONVERSATION,
    COUNT_CONVERSATIONS,
    QUERY,
    FULL_TEXT_SEARCH,
    ASSEMBLE_CONTEXT,
    SUMMARIZE,
    PRUNE_DRY_RUN,
    PRUNE_EXECUTE,
    SUGGEST_LABELS,
    REBUILD_EMBEDDINGS,
    CONTROLLER_HEALTH,
    CONTROLLER_METRICS,
    MEMORY_STORE,
    MEMORY_SEARCH,
    MEMORY_UPDATE,
    MEMORY_GET_CONTEXT,
    MEMORY_EXPORT,
    MEMORY_PRUNE,
    MEMORY_STATS,
    COMPLETE,
    STREAM_COMPLETE,
    EMBED,
    BRIDGE_HEALTH,
    MODELS,
    TASKS,
    ROUTE,
    PROVIDER_HEALTH,
    BRIDGE_SUMMARIZE,
    EXTRACT,
    SCORE,
)
"""Every endpoint there is; the documentation's table of what is repeated when is compared with it."""
