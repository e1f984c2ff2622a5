"""The table of endpoints: route, whether a call may be retried, and how a response is parsed.

One documented route is missing: `PUT .../folder` overwrites the label on the controller 0.1 (D14), so the folder is set
together with the current label.
"""

from __future__ import annotations

from typing import Any, Final, List, TypeVar

from sekha._api.compat.bridge import normalize_completion, normalize_embedding, normalize_importance
from sekha._api.compat.controller import (
    normalize_context,
    normalize_conversation,
    normalize_conversations,
    normalize_count,
    normalize_labels,
    normalize_results,
    normalize_suggestions,
    normalize_summary,
)
from sekha._api.compat.error_overrides import controller_override, delete_override, full_text_override, prune_override
from sekha._api.compat.health import normalize_bridge_health, normalize_controller_health
from sekha._api.compat.mcp import (
    normalize_search_results,
    unwrap_conversation,
    unwrap_export,
    unwrap_suggestions,
    unwrap_tool_result,
)
from sekha._api.model import Endpoint, Response, ResponseParser, RetryIfUnknown, Service
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

T = TypeVar("T")

YES, ONCE, NO = RetryIfUnknown.YES, RetryIfUnknown.ONCE, RetryIfUnknown.NO

# Flags of `Endpoint`, for the last column of the table.
MODEL: Final = {"waits_for_model": True}
WRITES: Final = {"outcome_matters": True}
GENERATES: Final = {**WRITES, **MODEL}
STORES: Final = {**GENERATES, "uses_write_slot": True}
AT_ONCE: Final = {"sent_at_once": True}

_ROWS: list[Endpoint[Any]] = []
_UNHEALTHY = frozenset({500, 502, 503, 504})


def _get_text(response: Response) -> str:
    return response.text


def _rest(name: str, route: str, retry: RetryIfUnknown, parser: ResponseParser[T], **flags: bool) -> Endpoint[T]:
    method, path = route.split(" ")
    return _row(Endpoint(name, Service.CONTROLLER, method, path, retry, parser, **flags))


def _tool(name: str, retry: RetryIfUnknown, parser: ResponseParser[T], **flags: bool) -> Endpoint[T]:
    return _row(Endpoint(name, Service.MCP, "POST", f"/mcp/tools/{name}", retry, parser, **flags))


def _bridge(name: str, route: str, retry: RetryIfUnknown, parser: ResponseParser[T], **flags: bool) -> Endpoint[T]:
    method, path = route.split(" ")
    return _row(Endpoint(name, Service.BRIDGE, method, path, retry, parser, **flags))


def _row(endpoint: Endpoint[T]) -> Endpoint[T]:
    _ROWS.append(endpoint)
    return endpoint


# ---- parsers -------------------------------------------------------------------------------------------------------

_CONVERSATION = ResponseParser[Conversation](Conversation, normalize_conversation, map_error=controller_override)
_CONVERSATIONS = ResponseParser[ConversationListResponse](
    ConversationListResponse, normalize_conversations, map_error=controller_override
)
_COUNT = ResponseParser[ConversationCount](ConversationCount, normalize_count, map_error=controller_override)
_NOTHING = ResponseParser[None](None, map_error=controller_override)
_DELETED = ResponseParser[None](None, map_error=delete_override)
_RESULTS = ResponseParser[QueryResponse](QueryResponse, normalize_results, map_error=controller_override)
_FULL_TEXT = ResponseParser[FullTextResponse](FullTextResponse, map_error=full_text_override)
_CONTEXT = ResponseParser[List[Message]](List[Message], normalize_context, map_error=controller_override)
_SUMMARY = ResponseParser[SummaryResponse](SummaryResponse, normalize_summary, map_error=controller_override)
_PRUNE = ResponseParser[PruneResponse](PruneResponse, normalize_suggestions, map_error=controller_override)
_LABELS = ResponseParser[List[LabelSuggestion]](List[LabelSuggestion], normalize_labels, map_error=controller_override)
_CONTROLLER_HEALTH = ResponseParser[ServiceHealth](ServiceHealth, normalize_controller_health, ok_statuses=_UNHEALTHY)
_METRICS = ResponseParser[str](str, _get_text, map_error=controller_override)

_STORED = ResponseParser[MemoryStored](MemoryStored, unwrap_conversation)
_FOUND = ResponseParser[MemorySearchResponse](MemorySearchResponse, normalize_search_results)
_UPDATED = ResponseParser[MemoryUpdated](MemoryUpdated, unwrap_conversation)
_DETAILS = ResponseParser[MemoryContext](MemoryContext, unwrap_conversation)
_EXPORT = ResponseParser[MemoryExport](MemoryExport, unwrap_export)
_TOOL_PRUNE = ResponseParser[MemoryPruneResponse](MemoryPruneResponse, unwrap_suggestions, map_error=prune_override)
_STATS = ResponseParser[ServerStats](ServerStats, unwrap_tool_result)

_COMPLETION = ResponseParser[ChatCompletion](ChatCompletion, normalize_completion)
_EMBEDDING = ResponseParser[Embedding](Embedding, normalize_embedding)
_BRIDGE_HEALTH = ResponseParser[ServiceHealth](ServiceHealth, normalize_bridge_health, ok_statuses=_UNHEALTHY)
_MODELS = ResponseParser[List[ModelInfo]](List[ModelInfo])
_TASKS = ResponseParser[List[str]](List[str])
_ROUTE = ResponseParser[RouteDecision](RouteDecision)
_PROVIDERS = ResponseParser[ProviderHealth](ProviderHealth)
_BRIDGE_SUMMARY = ResponseParser[BridgeSummary](BridgeSummary)
_EXTRACTION = ResponseParser[Extraction](Extraction)
_SCORE = ResponseParser[ImportanceScore](ImportanceScore, normalize_importance)

# ---- the REST routes of the controller -------------------------------------------------------------------------------

CREATE_CONVERSATION = _rest("create_conversation", "POST /api/v1/conversations", NO, _CONVERSATION, **STORES)
GET_CONVERSATION = _rest("get_conversation", "GET /api/v1/conversations/{id}", YES, _CONVERSATION)
LIST_CONVERSATIONS = _rest("list_conversations", "GET /api/v1/conversations", YES, _CONVERSATIONS)
UPDATE_LABEL = _rest("update_label", "PUT /api/v1/conversations/{id}/label", YES, _NOTHING, **WRITES)
PIN_CONVERSATION = _rest("pin_conversation", "PUT /api/v1/conversations/{id}/pin", YES, _NOTHING, **WRITES)
ARCHIVE_CONVERSATION = _rest("archive_conversation", "PUT /api/v1/conversations/{id}/archive", YES, _NOTHING, **WRITES)
DELETE_CONVERSATION = _rest("delete_conversation", "DELETE /api/v1/conversations/{id}", YES, _DELETED, **WRITES)
COUNT_CONVERSATIONS = _rest("count_conversations", "GET /api/v1/conversations/count", YES, _COUNT)
QUERY = _rest("query", "POST /api/v1/query", YES, _RESULTS)
FULL_TEXT_SEARCH = _rest("full_text_search", "POST /api/v1/search/fts", YES, _FULL_TEXT)
ASSEMBLE_CONTEXT = _rest("assemble_context", "POST /api/v1/context/assemble", YES, _CONTEXT)
SUMMARIZE = _rest("summarize", "POST /api/v1/summarize", ONCE, _SUMMARY, **MODEL)
PRUNE_DRY_RUN = _rest("prune_dry_run", "POST /api/v1/prune/dry-run", ONCE, _PRUNE, **MODEL)
PRUNE_EXECUTE = _rest("prune_execute", "POST /api/v1/prune/execute", YES, _NOTHING, **WRITES)
SUGGEST_LABELS = _rest("suggest_labels", "POST /api/v1/labels/suggest", ONCE, _LABELS, **MODEL)
REBUILD_EMBEDDINGS = _rest("rebuild_embeddings", "POST /api/v1/rebuild-embeddings", YES, _NOTHING)
CONTROLLER_HEALTH = _rest("health", "GET /health", YES, _CONTROLLER_HEALTH, **AT_ONCE)
CONTROLLER_METRICS = _rest("metrics", "GET /metrics", YES, _METRICS)

# ---- its MCP tools ---------------------------------------------------------------------------------------------------

MEMORY_STORE = _tool("memory_store", NO, _STORED, **STORES)
MEMORY_SEARCH = _tool("memory_search", YES, _FOUND)
MEMORY_UPDATE = _tool("memory_update", YES, _UPDATED, **WRITES)
MEMORY_GET_CONTEXT = _tool("memory_get_context", YES, _DETAILS)
MEMORY_EXPORT = _tool("memory_export", YES, _EXPORT)
MEMORY_PRUNE = _tool("memory_prune", ONCE, _TOOL_PRUNE, **MODEL)
MEMORY_STATS = _tool("memory_stats", YES, _STATS)

# ---- the bridge ------------------------------------------------------------------------------------------------------

COMPLETE = _bridge("complete", "POST /v1/chat/completions", NO, _COMPLETION, **GENERATES)
STREAM_COMPLETE = _bridge("stream_complete", "POST /v1/chat/completions", NO, _COMPLETION, **GENERATES)
EMBED = _bridge("embed", "POST /embed", YES, _EMBEDDING)
BRIDGE_HEALTH = _bridge("health", "GET /health", YES, _BRIDGE_HEALTH, **AT_ONCE)
MODELS = _bridge("models", "GET /api/v1/models", YES, _MODELS)
TASKS = _bridge("tasks", "GET /api/v1/tasks", YES, _TASKS)
ROUTE = _bridge("route", "POST /api/v1/route", YES, _ROUTE)
PROVIDER_HEALTH = _bridge("provider_health", "GET /api/v1/health/providers", YES, _PROVIDERS)
BRIDGE_SUMMARIZE = _bridge("summarize", "POST /api/v1/summarize", ONCE, _BRIDGE_SUMMARY, **MODEL)
EXTRACT = _bridge("extract", "POST /api/v1/extract", YES, _EXTRACTION)
SCORE = _bridge("score", "POST /api/v1/score", YES, _SCORE)

ENDPOINTS: Final = tuple(_ROWS)
"""All rows, in the order of the table; the documentation's table of retries is compared with it."""
