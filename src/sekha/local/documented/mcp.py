"""The seven MCP tools of the local controller: `POST /mcp/tools/<tool>`, each result in an envelope."""

from __future__ import annotations

from typing import Any, Dict, List, Optional
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import Literal

from sekha.local.documented.memory import Memory
from sekha.local.filters import Filters, OptionalFilters
from sekha.local.http import I32, I64, U32, Body, MessageIn, RouteTable, Timestamp, parse
from sekha.local.records import Conversation, Dates, NewMessage
from sekha.local.rows import export_row, markdown, prune_row, search_row, space_separated


class StoreBody(Body):
    label: str
    folder: str
    messages: List[MessageIn]
    importance_score: Optional[I32] = None
    created_at: Timestamp = None
    updated_at: Timestamp = None
    status: Literal["active", "archived"] = "active"


class SearchBody(Filters):
    query: str
    filters: OptionalFilters = None
    limit: Optional[U32] = None
    offset: Optional[U32] = None


class UpdateBody(Body):
    conversation_id: UUID
    label: Optional[str] = None
    folder: Optional[str] = None
    status: Optional[str] = None
    importance_score: Optional[I32] = None


class PruneBody(Body):
    threshold_days: I64 = 30
    importance_threshold: float = 5.0
    limit: Optional[U32] = None


class IdBody(Body):
    conversation_id: UUID


class ExportBody(IdBody):
    format: Optional[str] = None
    include_metadata: bool = True


class McpTools:
    """The tools of a memory. Another version of the tools is a subclass."""

    parse = staticmethod(parse)

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def table(self) -> RouteTable:
        """Return every route: method, path, handler."""
        tools = [
            ("memory_store", self.memory_store),
            ("memory_search", self.memory_search),
            ("memory_update", self.memory_update),
            ("memory_prune", self.memory_prune),
            ("memory_get_context", self.memory_get_context),
            ("memory_export", self.memory_export),
            ("memory_stats", self.memory_stats),
        ]
        return [("POST", f"/mcp/tools/{name}", tool) for name, tool in tools]

    async def memory_store(self, request: Request) -> Response:
        return await self.store_conversation(await self.parse(request, StoreBody))

    async def store_conversation(self, body: StoreBody) -> Response:
        """Store a conversation of a validated body."""
        messages = [NewMessage(message.role, message.content, message.timestamp) for message in body.messages]
        dates = Dates(body.created_at, body.updated_at, body.status)
        created = await self.memory.create(body.label, body.folder, messages, body.importance_score, dates)
        ids = {"conversation_id": created.id, "id": created.id}
        return envelope({**ids, "label": created.label, "folder": created.folder})

    async def memory_search(self, request: Request) -> Response:
        body = await self.parse(request, SearchBody)
        limit = 10 if body.limit is None else body.limit
        matching = body.to_store_filter(body.filters)
        results, total = await self.memory.search(body.query, matching, limit, body.offset or 0)
        rows = [search_row(result) for result in results]
        answer = {"query": body.query, "total_results": total, "limit": limit, "results": rows}
        return envelope({**answer, "score_kind": "similarity"})

    async def memory_update(self, request: Request) -> Response:
        body = await self.parse(request, UpdateBody)
        given = {"label": body.label, "folder": body.folder, "status": body.status, "importance": body.importance_score}
        columns: Dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        identity = str(body.conversation_id)
        if columns:
            await self.memory.update(identity, **columns)
        else:
            await self.memory.get(identity)
        names = {"label": "label/folder", "folder": "label/folder", "importance": "importance_score"}
        updated = list(dict.fromkeys(names.get(name, name) for name in columns))
        message = "Conversation updated successfully"
        return envelope({"conversation_id": identity, "updated_fields": updated, "message": message})

    async def memory_prune(self, request: Request) -> Response:
        body = await self.parse(request, PruneBody)
        found = await self.memory.suggest_pruning(body.threshold_days, body.importance_threshold, body.limit)
        rows = [prune_row(candidate) for candidate in found.candidates]
        for row in rows:
            row["last_accessed"] = space_separated(row["last_accessed"])
        answer = {"threshold_days": body.threshold_days, "importance_threshold": body.importance_threshold}
        sums = {"total_suggestions": found.total, "estimated_token_savings": found.tokens}
        return envelope({**answer, **sums, "suggestions": rows})

    async def memory_get_context(self, request: Request) -> Response:
        identity = str((await self.parse(request, IdBody)).conversation_id)
        row = await self.describe(await self.memory.get(identity))
        return envelope({"conversation_id": row.pop("id"), **row})

    async def memory_export(self, request: Request) -> Response:
        body = await self.parse(request, ExportBody)
        found = await self.memory.get(str(body.conversation_id))
        messages = await self.memory.messages(found.id)
        metadata: Optional[Dict[str, Any]] = {} if body.include_metadata else None
        rows = [export_row(message, metadata) for message in messages]
        answer = {"conversation": await self.describe(found), "messages": rows, "format": body.format or "json"}
        if body.format == "markdown":
            answer["content"] = markdown(found, messages)
        return envelope({**answer, "include_metadata": body.include_metadata})

    async def memory_stats(self, request: Request) -> Response:
        body = await self.parse(request, Filters)
        if body.folder is not None and body.label is not None:
            return envelope(None, "Cannot specify both folder and label")
        return envelope(await self.memory.stats(body.to_store_filter()))

    async def describe(self, conversation: Conversation) -> Dict[str, Any]:
        """Return the fields of a conversation."""
        messages = await self.memory.messages(conversation.id)
        return {
            "id": conversation.id,
            "label": conversation.label,
            "folder": conversation.folder,
            "status": conversation.status,
            "importance_score": conversation.importance,
            "word_count": sum(len(message.content.split()) for message in messages),
            "session_count": 1,
            "created_at": space_separated(conversation.created_at),
            "updated_at": space_separated(conversation.updated_at),
        }


def envelope(data: Any, error: Optional[str] = None) -> Response:
    """Wrap the result of a tool; the status is 200 even for an error."""
    return JSONResponse({"success": error is None, "data": data, "error": error})
