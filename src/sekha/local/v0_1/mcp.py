"""The MCP tools of the controller 0.1, with their known bugs; they do as documented where nothing is overridden."""

from __future__ import annotations

from typing import Any, ClassVar, Dict, List, Optional

from starlette.requests import Request
from starlette.responses import Response

from sekha.local.documented import mcp as documented
from sekha.local.documented.mcp import ExportBody, McpTools, PruneBody, UpdateBody, envelope
from sekha.local.http import U32, Body, empty_response
from sekha.local.records import Conversation, Filter, SearchResult
from sekha.local.rows import export_row, search_row, space_separated
from sekha.local.v0_1.bodies import parse
from sekha.local.v0_1.memory import to_float32


class MessageIn(Body):
    role: str
    content: str  # no content parts
    timestamp: ClassVar[None] = None  # not stored


class StoreBody(documented.StoreBody):
    messages: List[MessageIn]  # type: ignore[assignment]  # narrower than documented: no content parts
    status: Any = None  # not stored


class QueryBody(Body):
    query: str
    filters: Any = None
    limit: Optional[U32] = None
    offset: Optional[U32] = None


class StatsBody(Body):
    folder: Optional[str] = None
    label: Optional[str] = None


class McpTools01(McpTools):
    """The tools; each docstring says how the method differs from the documentation."""

    parse = staticmethod(parse)

    async def memory_store(self, request: Request) -> Response:
        """Reject content parts."""
        return await self.store_conversation(await self.parse(request, StoreBody))

    async def memory_search(self, request: Request) -> Response:
        """Ignore all filters, and `offset`."""
        body = await self.parse(request, QueryBody)
        limit = 10 if body.limit is None else body.limit
        results, total = await self.memory.search(body.query, Filter(), limit)
        rows = [search_row_with_distance(result, result.score) for result in results]
        for row in rows:
            row["timestamp"] = space_separated(row["timestamp"])
        return envelope({"query": body.query, "total_results": total, "limit": limit, "results": rows})

    async def memory_update(self, request: Request) -> Response:
        """Report `status` and `importance_score` as updated, but do not store them."""
        body = await self.parse(request, UpdateBody)
        identity = (await self.memory.get(str(body.conversation_id))).id
        given: Dict[str, Optional[str]] = {"label": body.label, "folder": body.folder}
        columns = {name: value for name, value in given.items() if value is not None}
        if columns:
            await self.memory.update(identity, **columns)
        fields = {"label/folder": columns or None, "status": body.status, "importance_score": body.importance_score}
        updated = [name for name, value in fields.items() if value is not None]
        message = "Conversation updated successfully"
        return envelope({"conversation_id": identity, "updated_fields": updated, "message": message})

    async def memory_prune(self, request: Request) -> Response:
        """Fail if there is a candidate; the real server asks the wrong server for its preview."""
        body = await self.parse(request, PruneBody)
        if await self.memory.unused_conversations(body.threshold_days):
            return empty_response(500)
        threshold = to_float32(body.importance_threshold)
        answer = {"threshold_days": body.threshold_days, "importance_threshold": threshold}
        return envelope({**answer, "total_suggestions": 0, "estimated_token_savings": 0, "suggestions": []})

    async def memory_export(self, request: Request) -> Response:
        """Echo `format` and `include_metadata`, but ignore them."""
        body = await self.parse(request, ExportBody)
        found = await self.memory.get(str(body.conversation_id))
        rows = [export_row(message, {}) for message in await self.memory.messages(found.id)]
        answer = {"conversation": await self.describe(found), "messages": rows, "format": body.format or "json"}
        return envelope({**answer, "include_metadata": body.include_metadata})

    async def memory_stats(self, request: Request) -> Response:
        """Ignore all filters but folder and label, and do not count messages."""
        body = await self.parse(request, StatsBody)
        if body.folder is not None and body.label is not None:
            return envelope(None, "Cannot specify both folder and label")
        labels = None if body.label is None else [body.label]
        found = self.memory.store.conversations(Filter(labels=labels, folder=body.folder))
        average = sum(one.importance for one in found) / len(found) if found else 0.0
        answer = {"total_conversations": len(found), "average_importance": to_float32(average)}
        if labels is not None:
            return envelope({**answer, "labels": labels})
        folders = sorted({one.folder for one in found}) if body.folder is None else [body.folder]
        return envelope({**answer, "folders": folders})

    async def describe(self, conversation: Conversation) -> Dict[str, Any]:
        """Count bytes as `word_count`."""
        return {**await super().describe(conversation), "word_count": conversation.bytes}


def search_row_with_distance(result: SearchResult, score: float) -> Dict[str, Any]:
    """Return the row of a search result: its score is a distance, and its preview ends at byte 100."""
    row = search_row(result)
    row["metadata"]["content_preview"] = result.message.content.encode()[:100].decode(errors="ignore")
    return {**row, "score": score}
