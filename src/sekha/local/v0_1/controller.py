"""The controller 0.1 and its MCP tools with their mistakes; what is not overridden here, they do as documented."""

from __future__ import annotations

import sqlite3
from typing import Any, Dict, List, Optional

from pydantic import ConfigDict
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from sekha.local.controller import Controller, FolderBody, IdBody, ThresholdBody
from sekha.local.mcp import ExportBody, McpTools, PruneBody, UpdateBody, envelope
from sekha.local.memory import PINNED, Hit
from sekha.local.memory_0_1 import Memory01, Missing, Panic
from sekha.local.serde import parse, single
from sekha.local.shapes import export_row, hit_row, label_row, list_row, prune_row, spaced
from sekha.local.store import Conversation, Filter
from sekha.local.web import (
    HANDLERS,
    U32,
    AppError,
    Body,
    MessageIn,
    boolean,
    check_key,
    empty,
    path_id,
    query_string,
    routes,
    u32,
)
from sekha.local.wire_0_1 import Closed, Wire

DEFAULT_MCP_KEY = "dev_default_key_change_me_1234567890"
SHORTEST_KEY = 32
_METRICS = (
    "# HELP sekha_conversations_total Total number of conversations\n"
    "# TYPE sekha_conversations_total gauge\n"
    "sekha_conversations_total 0\n"
)


class CreateBody(Body):
    label: str
    folder: str
    messages: List[MessageIn]


class QueryBody(Body):
    query: str
    filters: Any = None
    limit: Optional[U32] = None
    offset: Optional[U32] = None


class StatsBody(Body):
    model_config = ConfigDict(title="MemoryStatsArgs")

    folder: Optional[str] = None
    label: Optional[str] = None


class Controller01(Controller):
    """The REST routes; each method is one mistake (or two)."""

    parse = staticmethod(parse)

    def __init__(self, memory: Memory01) -> None:
        super().__init__(memory)
        self.memory01 = memory

    async def create(self, request: Request) -> Response:
        """`importance_score` is ignored: it is always 5, and not answered."""
        body = await self.parse(request, CreateBody)
        messages = [(message.role, message.content) for message in body.messages]
        made = await self.memory.create(body.label, body.folder, messages)
        head = {"id": made.id, "conversation_id": made.id, "label": made.label, "folder": made.folder}
        counts = {"status": made.status, "message_count": made.message_count, "created_at": made.created_at}
        return JSONResponse({**head, **counts}, 201)

    async def get(self, request: Request) -> Response:
        """`message_count` is always 0."""
        found = self._one(request)
        head = {"id": found.id, "label": found.label, "folder": found.folder, "status": found.status}
        return JSONResponse({**head, "message_count": 0, "created_at": found.created_at})

    async def list_all(self, request: Request) -> Response:
        """Any filter leaves nothing; page times page_size wraps round at 2^32; an unreadable database is empty."""
        flags, numbers = {"pinned": boolean, "archived": boolean}, {"page": u32, "page_size": u32}
        given = query_string(request, {"label": str, "folder": str, **flags, **numbers})
        page, size = given.get("page", 1), given.get("page_size", 50)
        found: List[Conversation] = []
        total = 0
        if not given.keys() - numbers.keys():
            try:
                found = self.store.conversations(Filter(), size, (page - 1) * size % 2**32)
                total = self.store.count(Filter())
            except sqlite3.Error:
                found = []
        rows = [list_row(one) for one in found]
        return JSONResponse({"results": rows, "total": total, "page": page, "page_size": size})

    async def count(self, request: Request) -> Response:
        """Label and folder together are no error but a 200 with one; the count is 0. A failure has no body."""
        given = query_string(request, {"label": str, "folder": str})
        if len(given) == 2:
            return JSONResponse({"count": 0, "error": "Cannot specify both label and folder"})
        try:
            return await super().count(request)
        except sqlite3.Error:
            return empty(500)

    async def delete(self, request: Request) -> Response:
        """Vectors are kept in one collection and deleted from another: it fails where there is one."""
        found = self._one(request)
        if self.memory01.vectors.embedded(found.id):
            raise AppError(500, "Chroma error: Collection not found: messages")
        return await super().delete(request)

    async def label(self, request: Request) -> Response:
        """Any failure of the database is a 404."""
        try:
            return await super().label(request)
        except sqlite3.Error as error:
            raise AppError(404, f"Database error: {error}") from error

    async def folder(self, request: Request) -> Response:
        """The label is overwritten with the folder."""
        path_id(request)
        body = await self.parse(request, FolderBody)
        self.memory.update(self._one(request).id, label=body.folder, folder=body.folder)
        return empty()

    async def pin(self, request: Request) -> Response:
        """A missing id is 500."""
        return self._change(request, importance=PINNED)

    async def archive(self, request: Request) -> Response:
        """A missing id is 500."""
        return self._change(request, status="archived")

    async def query(self, request: Request) -> Response:
        """`offset` and `filters` are not looked at, the first page is 0, and the total is what is on the page."""
        body = await self.parse(request, QueryBody)
        limit, offset = 10 if body.limit is None else body.limit, body.offset or 0
        hits, total = await self.memory.search(body.query, Filter(), limit)
        page = -(-offset // limit) if limit else 1
        rows = [_hit_row(hit, round(hit.score, 7)) for hit in hits]
        return JSONResponse({"results": rows, "total": total, "page": page, "page_size": limit})

    async def prune_dry_run(self, request: Request) -> Response:
        """Counts are 0, and nothing is ever recommended for the archive."""
        found = await self.memory01.previews((await self.parse(request, ThresholdBody)).threshold_days)
        return JSONResponse({"suggestions": [prune_row(one) for one in found], "total": len(found)})

    async def suggest_labels(self, request: Request) -> Response:
        """A model that is down suggests all the same (see `Memory01.suggested`)."""
        identity = str((await self.parse(request, IdBody)).conversation_id)
        suggestions = [label_row(*suggested) for suggested in await self.memory01.suggested(identity)]
        return JSONResponse({"conversation_id": identity, "suggestions": suggestions})

    async def rebuild_embeddings(self, request: Request) -> Response:
        """Nothing is rebuilt."""
        return empty(202)

    async def metrics(self, request: Request) -> Response:
        """The numbers are always 0."""
        return PlainTextResponse(_METRICS)

    def _one(self, request: Request) -> Conversation:
        found = self.store.get(path_id(request))
        if found is None:
            raise AppError(404, "Conversation not found")
        return found

    def _change(self, request: Request, **columns: Any) -> Response:
        identity = path_id(request)
        if not self.store.update(identity, **columns):
            raise Missing(identity)
        return empty()


class McpTools01(McpTools):
    """The MCP tools; each method is one mistake (or two)."""

    parse = staticmethod(parse)

    async def memory_search(self, request: Request) -> Response:
        """Labels, importance and all other filters are not looked at; neither is `offset`."""
        body = await self.parse(request, QueryBody)
        limit = 10 if body.limit is None else body.limit
        hits, total = await self.memory.search(body.query, Filter(), limit)
        rows = [_hit_row(hit, hit.score) for hit in hits]
        for row in rows:
            row["timestamp"] = spaced(row["timestamp"])
        return envelope({"query": body.query, "total_results": total, "limit": limit, "results": rows})

    async def memory_update(self, request: Request) -> Response:
        """`status` and `importance_score` are reported as updated, but not written."""
        body = await self.parse(request, UpdateBody)
        identity = self.memory.get(str(body.conversation_id)).id
        given: Dict[str, Optional[str]] = {"label": body.label, "folder": body.folder}
        columns = {name: value for name, value in given.items() if value is not None}
        if columns:
            self.memory.update(identity, **columns)
        fields = {"label/folder": columns or None, "status": body.status, "importance_score": body.importance_score}
        updated = [name for name, value in fields.items() if value is not None]
        message = "Conversation updated successfully"
        return envelope({"conversation_id": identity, "updated_fields": updated, "message": message})

    async def memory_prune(self, request: Request) -> Response:
        """Previews are asked of the wrong server: as soon as there is a candidate, it fails."""
        body = await self.parse(request, PruneBody)
        if self.memory.candidates(body.threshold_days):
            return empty(500)
        answer = {"threshold_days": body.threshold_days, "importance_threshold": body.importance_threshold}
        return envelope({**answer, "total_suggestions": 0, "estimated_token_savings": 0, "suggestions": []})

    async def memory_export(self, request: Request) -> Response:
        """`format` and `include_metadata` are only echoed."""
        body = await self.parse(request, ExportBody)
        found = self.memory.get(str(body.conversation_id))
        rows = [export_row(message, {}) for message in self.memory.messages(found.id)]
        answer = {"conversation": self.conversation(found), "messages": rows, "format": body.format or "json"}
        return envelope({**answer, "include_metadata": body.include_metadata})

    async def memory_stats(self, request: Request) -> Response:
        """One folder or one label, whatever else is asked for; messages are not counted."""
        body = await self.parse(request, StatsBody)
        if body.folder is not None and body.label is not None:
            return envelope(None, "Cannot specify both folder and label")
        labels = None if body.label is None else [body.label]
        found = self.memory.store.conversations(Filter(labels=labels, folder=body.folder))
        average = sum(one.importance for one in found) / len(found) if found else 0.0
        answer = {"total_conversations": len(found), "average_importance": single(average)}
        if labels is not None:
            return envelope({**answer, "labels": labels})
        folders = sorted({one.folder for one in found}) if body.folder is None else [body.folder]
        return envelope({**answer, "folders": folders})

    def conversation(self, found: Conversation) -> Dict[str, Any]:
        """`word_count` counts bytes."""
        return {**super().conversation(found), "word_count": found.bytes}


def _hit_row(hit: Hit, score: float) -> Dict[str, Any]:
    """The score is a distance, and the preview ends at byte 100."""
    row = hit_row(hit)
    row["metadata"]["content_preview"] = hit.message.content.encode()[:100].decode(errors="ignore")
    return {**row, "score": score}


def _missing(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"Entity not found: Conversation {error} not found", "code": 500}, 500)


def _panic(_: Request, error: Exception) -> Response:
    return Closed()


def controller_0_1(memory: Memory01, mcp_api_key: str) -> ASGIApp:
    """The application of the controller's port; only the MCP tools ask for a key, and it must not be short."""

    key = mcp_api_key if len(mcp_api_key) >= SHORTEST_KEY else "\0"  # which no header can hold

    def guard(request: Request) -> None:
        if request.url.path.startswith("/mcp/"):
            check_key(request, key)

    table = [*Controller01(memory).table(), *McpTools01(memory).table()]
    handlers = {**HANDLERS, Missing: _missing, Panic: _panic}
    app = Starlette(routes=routes(table, guard), exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Wire(app)
