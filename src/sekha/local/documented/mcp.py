"""The seven MCP tools of the local controller: `POST /mcp/tools/<tool>`, each answer in an envelope."""

from __future__ import annotations

from typing import Any, Dict, List, Optional
from uuid import UUID

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sekha.local.memory import Memory
from sekha.local.shapes import Filters, Narrowed, export_row, hit_row, markdown, prune_row, spaced
from sekha.local.store import Conversation
from sekha.local.web import I32, I64, U32, Body, MessageIn, Table, parse


class StoreBody(Body):
    label: str
    folder: str
    messages: List[MessageIn]
    importance_score: Optional[I32] = None


class SearchBody(Filters):
    query: str
    filters: Narrowed = None
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


class IdBody(Body):
    conversation_id: UUID


class ExportBody(IdBody):
    format: Optional[str] = None
    include_metadata: bool = True


class McpTools:
    """The tools over a memory; a profile with other manners is a subclass."""

    parse = staticmethod(parse)

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def table(self) -> Table:
        """Every route: method, path, handler."""
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
        body = await self.parse(request, StoreBody)
        messages = [(message.role, message.content) for message in body.messages]
        made = await self.memory.create(body.label, body.folder, messages, body.importance_score)
        return envelope({"conversation_id": made.id, "id": made.id, "label": made.label, "folder": made.folder})

    async def memory_search(self, request: Request) -> Response:
        body = await self.parse(request, SearchBody)
        limit = 10 if body.limit is None else body.limit
        hits, total = await self.memory.search(body.query, body.of_store(body.filters), limit, body.offset or 0)
        results = [hit_row(hit) for hit in hits]
        return envelope({"query": body.query, "total_results": total, "limit": limit, "results": results})

    async def memory_update(self, request: Request) -> Response:
        body = await self.parse(request, UpdateBody)
        given = {"label": body.label, "folder": body.folder, "status": body.status, "importance": body.importance_score}
        columns: Dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        identity = str(body.conversation_id)
        if columns:
            self.memory.update(identity, **columns)
        else:
            self.memory.get(identity)
        names = {"label": "label/folder", "folder": "label/folder", "importance": "importance_score"}
        updated = list(dict.fromkeys(names.get(name, name) for name in columns))
        message = "Conversation updated successfully"
        return envelope({"conversation_id": identity, "updated_fields": updated, "message": message})

    async def memory_prune(self, request: Request) -> Response:
        body = await self.parse(request, PruneBody)
        found = self.memory.prune(body.threshold_days, body.importance_threshold)
        rows = [prune_row(candidate) for candidate in found]
        for row in rows:
            row["last_accessed"] = spaced(row["last_accessed"])
        answer = {"threshold_days": body.threshold_days, "importance_threshold": body.importance_threshold}
        savings = sum(candidate.tokens for candidate in found)
        return envelope(
            {**answer, "total_suggestions": len(rows), "estimated_token_savings": savings, "suggestions": rows}
        )

    async def memory_get_context(self, request: Request) -> Response:
        identity = str((await self.parse(request, IdBody)).conversation_id)
        row = self.conversation(self.memory.get(identity))
        return envelope({"conversation_id": row.pop("id"), **row})

    async def memory_export(self, request: Request) -> Response:
        body = await self.parse(request, ExportBody)
        found = self.memory.get(str(body.conversation_id))
        messages = self.memory.messages(found.id)
        metadata: Optional[Dict[str, Any]] = {} if body.include_metadata else None
        rows = [export_row(message, metadata) for message in messages]
        answer = {"conversation": self.conversation(found), "messages": rows, "format": body.format or "json"}
        if body.format == "markdown":
            answer["content"] = markdown(found, messages)
        return envelope({**answer, "include_metadata": body.include_metadata})

    async def memory_stats(self, request: Request) -> Response:
        body = await self.parse(request, Filters)
        if body.folder is not None and body.label is not None:
            return envelope(None, "Cannot specify both folder and label")
        return envelope(self.memory.stats(body.of_store()))

    def conversation(self, found: Conversation) -> Dict[str, Any]:
        """What the tools tell about a conversation."""
        words = sum(len(message.content.split()) for message in self.memory.messages(found.id))
        head = {"id": found.id, "label": found.label, "folder": found.folder, "status": found.status}
        counts = {"importance_score": found.importance, "word_count": words, "session_count": 1}
        return {**head, **counts, "created_at": spaced(found.created_at), "updated_at": spaced(found.updated_at)}


def envelope(data: Any, error: Optional[str] = None) -> Response:
    """How a tool answers: always 200, with what went wrong inside."""
    return JSONResponse({"success": error is None, "data": data, "error": error})
