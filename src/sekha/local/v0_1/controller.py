"""The REST routes of the controller 0.1, with their known bugs; they do as documented where nothing is overridden."""

from __future__ import annotations

import sqlite3
from typing import Any, Dict, List

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from sekha.local.documented.controller import HEALTHY, Controller, FolderBody, IdBody, ThresholdBody, health_report
from sekha.local.documented.memory import PINNED_IMPORTANCE
from sekha.local.http import (
    EXCEPTION_HANDLERS,
    AppError,
    Body,
    build_routes,
    check_key,
    empty_response,
    parse_bool,
    parse_query,
    parse_u32,
    path_id,
)
from sekha.local.records import Conversation, Filter, NewMessage
from sekha.local.rows import conversation_row, label_row, prune_row
from sekha.local.v0_1.bodies import parse
from sekha.local.v0_1.edge import NoResponse, ServerEdge
from sekha.local.v0_1.mcp import McpTools01, MessageIn, QueryBody, search_row_with_distance
from sekha.local.v0_1.memory import HandlerCrashed, Memory01, NotFoundAs500

DEFAULT_MCP_KEY = "dev_default_key_change_me_1234567890"
MIN_KEY_LENGTH = 32
_METRICS = (
    "# HELP sekha_conversations_total Total number of conversations\n"
    "# TYPE sekha_conversations_total gauge\n"
    "sekha_conversations_total 0\n"
)


class CreateBody(Body):
    label: str
    folder: str
    messages: List[MessageIn]


class Controller01(Controller):
    """The routes; each docstring says how the method differs from the documentation."""

    parse = staticmethod(parse)

    def __init__(self, memory: Memory01) -> None:
        super().__init__(memory)
        self.memory01 = memory

    async def create(self, request: Request) -> Response:
        """Ignore `importance_score`: it is always 5, and missing in the response."""
        body = await self.parse(request, CreateBody)
        messages = [NewMessage(message.role, message.content) for message in body.messages]
        created = await self.memory.create(body.label, body.folder, messages)
        return JSONResponse({**_row(created, created.message_count), "conversation_id": created.id}, 201)

    async def get(self, request: Request) -> Response:
        """Return 0 as `message_count`."""
        return JSONResponse(_row(self._find(request), message_count=0))

    async def list_conversations(self, request: Request) -> Response:
        """Return no results with any filter, or from an unreadable database; wrap page times page_size at 2^32."""
        flags, numbers = {"pinned": parse_bool, "archived": parse_bool}, {"page": parse_u32, "page_size": parse_u32}
        query = parse_query(request, {"label": str, "folder": str, **flags, **numbers})
        page, size = query.get("page", 1), query.get("page_size", 50)
        found: List[Conversation] = []
        total = 0
        if not query.keys() - numbers.keys():
            try:
                found = self.store.conversations(Filter(), size, (page - 1) * size % 2**32)
                total = self.store.count(Filter())
            except sqlite3.Error:
                found = []
        rows = [conversation_row(one) for one in found]
        return JSONResponse({"results": rows, "total": total, "page": page, "page_size": size})

    async def count(self, request: Request) -> Response:
        """Return 200 and a count of 0 for label and folder together; an error of the database has no body."""
        query = parse_query(request, {"label": str, "folder": str})
        if len(query) == 2:
            return JSONResponse({"count": 0, "error": "Cannot specify both label and folder"})
        try:
            return await super().count(request)
        except sqlite3.Error:
            return empty_response(500)

    async def delete(self, request: Request) -> Response:
        """Fail if a message has a vector; the real server deletes it from the wrong collection."""
        if self.memory01.store01.has_vectors(self._find(request).id):
            raise AppError(500, "Chroma error: Collection not found: messages")
        return await super().delete(request)

    async def update_label(self, request: Request) -> Response:
        """Return 404 for any error of the database."""
        try:
            return await super().update_label(request)
        except sqlite3.Error as error:
            raise AppError(404, f"Database error: {error}") from error

    async def update_folder(self, request: Request) -> Response:
        """Overwrite the label with the folder."""
        path_id(request)  # an ID that is not a UUID is rejected before the body is read
        body = await self.parse(request, FolderBody)
        await self.memory.update(self._find(request).id, label=body.folder, folder=body.folder)
        return empty_response()

    async def pin(self, request: Request) -> Response:
        """Return 500 for an unknown id."""
        return self._update(request, importance=PINNED_IMPORTANCE)

    async def archive(self, request: Request) -> Response:
        """Return 500 for an unknown id."""
        return self._update(request, status="archived")

    async def query(self, request: Request) -> Response:
        """Ignore `offset` and `filters`, count pages from 0, and return the number of rows as the total."""
        body = await self.parse(request, QueryBody)
        limit, offset = 10 if body.limit is None else body.limit, body.offset or 0
        results, total = await self.memory.search(body.query, Filter(), limit)
        page = -(-offset // limit) if limit else 1
        rows = [search_row_with_distance(result, round(result.score, 7)) for result in results]
        return JSONResponse({"results": rows, "total": total, "page": page, "page_size": limit})

    async def prune_dry_run(self, request: Request) -> Response:
        """Return counts of 0, and recommend to archive nothing."""
        body = await self.parse(request, ThresholdBody)
        found = await self.memory01.suggest_pruning_with_model(body.threshold_days)
        return JSONResponse({"suggestions": [prune_row(one) for one in found], "total": len(found)})

    async def suggest_labels(self, request: Request) -> Response:
        """Suggest a label even if the model fails (see `Memory01.suggest_labels_with_model`)."""
        identity = str((await self.parse(request, IdBody)).conversation_id)
        suggestions = [label_row(*one) for one in await self.memory01.suggest_labels_with_model(identity)]
        return JSONResponse({"conversation_id": identity, "suggestions": suggestions})

    async def rebuild_embeddings(self, request: Request) -> Response:
        """Rebuild nothing."""
        return empty_response(202)

    async def health(self, request: Request) -> Response:
        """Report neither reasons nor capabilities."""
        if await self.find_problem() is not None:
            return empty_response(503)
        return JSONResponse(health_report("healthy", HEALTHY))

    async def metrics(self, request: Request) -> Response:
        """Return 0 for all numbers."""
        return PlainTextResponse(_METRICS)

    def _find(self, request: Request) -> Conversation:
        found = self.store.get(path_id(request))
        if found is None:
            raise AppError(404, "Conversation not found")
        return found

    def _update(self, request: Request, **columns: Any) -> Response:
        identity = path_id(request)
        if not self.store.update(identity, updated_at=self.memory.now(), **columns):
            raise NotFoundAs500(identity)
        return empty_response()


def _row(conversation: Conversation, message_count: int) -> Dict[str, Any]:
    return {
        "id": conversation.id,
        "label": conversation.label,
        "folder": conversation.folder,
        "status": conversation.status,
        "message_count": message_count,
        "created_at": conversation.created_at,
    }


def _on_not_found(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"Entity not found: Conversation {error} not found", "code": 500}, 500)


def _on_crash(_: Request, error: Exception) -> Response:
    return NoResponse()


def controller_01_app(memory: Memory01, mcp_api_key: str) -> ASGIApp:
    """Build the application of the controller's port; only the MCP tools need a key, of at least 32 characters."""
    key = mcp_api_key if len(mcp_api_key) >= MIN_KEY_LENGTH else "\0"  # no header can contain it

    def guard(request: Request) -> None:
        if request.scope["path"].startswith("/mcp/"):
            check_key(request, key)

    table = [*Controller01(memory).table(), *McpTools01(memory).table()]
    handlers = {**EXCEPTION_HANDLERS, NotFoundAs500: _on_not_found, HandlerCrashed: _on_crash}
    app = Starlette(routes=build_routes(table, guard), exception_handlers=handlers)
    app.router.redirect_slashes = False
    return ServerEdge(app)
