"""The REST routes of the local controller, and the application that serves them together with the MCP tools."""

from __future__ import annotations

import sqlite3
import time
from typing import Any, Dict, List, Mapping, Optional
from uuid import UUID

from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from typing_extensions import Annotated, Literal

from sekha.local.backup import LAST_BACKUP
from sekha.local.database import VERSION
from sekha.local.documented.mcp import McpTools
from sekha.local.documented.memory import PINNED_IMPORTANCE, SUMMARY_WINDOWS, Memory
from sekha.local.filters import Filters, OptionalFilters
from sekha.local.http import (
    EXCEPTION_HANDLERS,
    I64,
    U32,
    AppError,
    Body,
    MessageIn,
    RouteTable,
    Timestamp,
    USize,
    build_routes,
    check_key,
    empty_response,
    parse,
    parse_bool,
    parse_query,
    parse_u32,
    path_id,
)
from sekha.local.records import Conversation, Dates, Filter, NewMessage, format_timestamp
from sekha.local.rows import conversation_row, label_row, message_row, prune_row, search_row, space_separated

_NO_KEY_NEEDED = ("/health", "/metrics")
_FEATURES = {
    "filters": True, "keeps": ["timestamp"], "keeps_dates": True, "parallel_writes": True, "deletes": True,
    "prune_limit": True,
}  # fmt: skip
"""Capabilities in its health report, beyond those of controller 0.1."""


class CreateBody(Body):
    label: str
    folder: str
    messages: List[MessageIn]
    importance_score: Optional[Annotated[int, Field(ge=1, le=10)]] = None
    created_at: Timestamp = None
    updated_at: Timestamp = None
    status: Literal["active", "archived"] = "active"


class LabelBody(Body):
    label: str
    folder: str


class FolderBody(Body):
    folder: str


class QueryBody(Body):
    query: str
    filters: OptionalFilters = None
    limit: Optional[U32] = None
    offset: Optional[U32] = None


class SearchBody(Body):
    query: str
    limit: USize = 10


class ContextBody(Body):
    query: str
    preferred_labels: List[str]
    context_budget: USize
    excluded_folders: List[str] = Field(default_factory=list)


class SummaryBody(Body):
    conversation_id: UUID
    level: str


class ThresholdBody(Body):
    threshold_days: I64
    limit: Optional[U32] = None


class IdBody(Body):
    conversation_id: UUID


class IdsBody(Body):
    conversation_ids: List[UUID]


class Controller:
    """The 19 REST routes of a memory, as documented.

    Another version of the controller, such as one with its known bugs, is a subclass that overrides the handlers that
    differ.
    """

    parse = staticmethod(parse)

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.store = memory.store

    def table(self) -> RouteTable:
        """Return every route: method, path, handler."""
        one = "/api/v1/conversations/{id}"
        return [
            ("POST", "/api/v1/conversations", self.create),
            ("GET", "/api/v1/conversations", self.list_conversations),
            ("GET", "/api/v1/conversations/count", self.count),
            ("GET", one, self.get),
            ("DELETE", one, self.delete),
            ("PUT", f"{one}/label", self.update_label),
            ("PUT", f"{one}/folder", self.update_folder),
            ("PUT", f"{one}/pin", self.pin),
            ("PUT", f"{one}/archive", self.archive),
            ("POST", "/api/v1/query", self.query),
            ("POST", "/api/v1/search/fts", self.full_text_search),
            ("POST", "/api/v1/context/assemble", self.assemble_context),
            ("POST", "/api/v1/summarize", self.summarize),
            ("POST", "/api/v1/prune/dry-run", self.prune_dry_run),
            ("POST", "/api/v1/prune/execute", self.prune_execute),
            ("POST", "/api/v1/labels/suggest", self.suggest_labels),
            ("POST", "/api/v1/rebuild-embeddings", self.rebuild_embeddings),
            ("GET", "/health", self.health),
            ("GET", "/metrics", self.metrics),
        ]

    async def create(self, request: Request) -> Response:
        body = await self.parse(request, CreateBody)
        messages = [NewMessage(message.role, message.content, message.timestamp) for message in body.messages]
        dates = Dates(body.created_at, body.updated_at, body.status)
        created = await self.memory.create(body.label, body.folder, messages, body.importance_score, dates)
        extra = {"conversation_id": created.id, "importance_score": created.importance}
        return JSONResponse({**_row(created), **extra}, 201)

    async def get(self, request: Request) -> Response:
        found = await self.memory.run(self.store.get, path_id(request))
        if found is None:
            raise AppError(404, "Conversation not found")
        return JSONResponse(_row(found))

    async def list_conversations(self, request: Request) -> Response:
        flags, numbers = {"pinned": parse_bool, "archived": parse_bool}, {"page": parse_u32, "page_size": parse_u32}
        query = parse_query(request, {"label": str, "folder": str, **flags, **numbers})
        pinned, archived = query.get("pinned"), query.get("archived")
        matching = Filter(
            labels=[query["label"]] if "label" in query else None,
            folder=query.get("folder"),
            min_importance=PINNED_IMPORTANCE if pinned else None,
            below_importance=PINNED_IMPORTANCE if pinned is False else None,
            status="archived" if archived else None,
            not_status="archived" if archived is False else None,
        )
        page, size = query.get("page", 1), query.get("page_size", 50)
        rows = await self.memory.run(self.store.conversations, matching, size, (page - 1) * size) if page else []
        results, total = [conversation_row(one) for one in rows], await self.memory.run(self.store.count, matching)
        return JSONResponse({"results": results, "total": total, "page": page, "page_size": size})

    async def count(self, request: Request) -> Response:
        query = parse_query(request, {"label": str, "folder": str})
        label, folder = query.get("label"), query.get("folder")
        if label is not None and folder is not None:
            raise AppError(400, "Cannot specify both label and folder")
        if label is None:
            count = await self.memory.run(self.store.count, Filter(folder=folder))
        else:
            count = await self.memory.run(self.store.count_labels_containing, label)
        return JSONResponse({"count": count, "label": label, "folder": folder})

    async def delete(self, request: Request) -> Response:
        await self.memory.delete(path_id(request))
        return empty_response()

    async def update_label(self, request: Request) -> Response:
        identity, body = path_id(request), await self.parse(request, LabelBody)
        await self.memory.update(identity, label=body.label, folder=body.folder)
        return empty_response()

    async def update_folder(self, request: Request) -> Response:
        identity, body = path_id(request), await self.parse(request, FolderBody)
        await self.memory.update(identity, folder=body.folder)
        return empty_response()

    async def pin(self, request: Request) -> Response:
        await self.memory.update(path_id(request), importance=PINNED_IMPORTANCE)
        return empty_response()

    async def archive(self, request: Request) -> Response:
        await self.memory.update(path_id(request), status="archived")
        return empty_response()

    async def query(self, request: Request) -> Response:
        body = await self.parse(request, QueryBody)
        limit, offset = 10 if body.limit is None else body.limit, body.offset or 0
        matching = (body.filters or Filters()).to_store_filter()
        results, total = await self.memory.search(body.query, matching, limit, offset)
        page = offset // limit + 1 if limit else 1
        rows = [search_row(result) for result in results]
        answer = {"results": rows, "total": total, "page": page, "page_size": limit, "score_kind": "similarity"}
        return JSONResponse(answer)

    async def full_text_search(self, request: Request) -> Response:
        body = await self.parse(request, SearchBody)
        found = await self.memory.full_text_search(body.query, body.limit)
        return JSONResponse({"results": [message_row(message) for message in found], "total": len(found)})

    async def assemble_context(self, request: Request) -> Response:
        body = await self.parse(request, ContextBody)
        found = await self.memory.context(body.query, body.preferred_labels, body.context_budget, body.excluded_folders)
        rows = [message_row(message) for message in found]
        for row, message in zip(rows, found):
            citation = {
                "label": message.label,
                "folder": message.folder,
                "timestamp": space_separated(message.timestamp),
            }
            row["metadata"] = {"citation": citation}
        return JSONResponse(rows)

    async def summarize(self, request: Request) -> Response:
        body = await self.parse(request, SummaryBody)
        if body.level not in SUMMARY_WINDOWS:
            raise AppError(400, "Invalid level: must be daily, weekly, or monthly")
        identity = str(body.conversation_id)
        summary = await self.memory.summarize(identity, body.level)
        answer = {"conversation_id": identity, "level": body.level, "summary": summary}
        return JSONResponse({**answer, "generated_at": format_timestamp(time.time_ns())})

    async def prune_dry_run(self, request: Request) -> Response:
        body = await self.parse(request, ThresholdBody)
        found = await self.memory.suggest_pruning(body.threshold_days, limit=body.limit)
        return JSONResponse({"suggestions": [prune_row(one) for one in found.candidates], "total": found.total})

    async def prune_execute(self, request: Request) -> Response:
        body = await self.parse(request, IdsBody)
        await self.memory.archive_all([str(identity) for identity in body.conversation_ids])
        return empty_response()

    async def suggest_labels(self, request: Request) -> Response:
        identity = str((await self.parse(request, IdBody)).conversation_id)
        suggestions = [label_row(*one) for one in await self.memory.suggest_labels(identity)]
        return JSONResponse({"conversation_id": identity, "suggestions": suggestions})

    async def rebuild_embeddings(self, request: Request) -> Response:
        self.memory.embedding.rebuild()
        return empty_response(202)

    async def health(self, request: Request) -> Response:
        problem = await self.find_problem()
        if problem is not None:
            found = {"database": {"status": "error", "error": problem}}
            return JSONResponse({**health_report("unhealthy", found), "error": problem}, 503)
        searchable = await self.memory.embedding.status()
        checks = {**HEALTHY, "embeddings": {"status": "ok"}}
        if searchable.error is not None or searchable.embedded < searchable.messages:
            reason = str(searchable) if searchable.error is None else f"{searchable}: {searchable.error}"
            checks["embeddings"] = {"status": "working" if searchable.error is None else "error", "error": reason}
        report = health_report("healthy" if searchable.error is None else "degraded", checks)
        counts = {"messages": searchable.messages, "embedded": searchable.embedded, "model": searchable.model}
        data: Dict[str, Any] = {"kind": "memory", "version": VERSION}
        if self.store.file is not None:
            read = self.store.read(self.memory.runner, lambda store: store.fact(LAST_BACKUP))
            data = {**data, "kind": "file", "last_backup": await read}
        return JSONResponse({**report, "searchable": counts, "data": data, **_FEATURES})

    async def local(self, request: Request) -> Response:
        """Return the path of the data file, for `sekha backup` and `sekha doctor`."""
        file = self.store.file
        found = {"file": file and file.path, "identity": file and file.identity, "version": VERSION}
        return JSONResponse(found)

    async def find_problem(self) -> Optional[str]:
        """Return the reason why the memory cannot be used, or None."""
        problem = None if self.store.file is None else self.store.file.problem()
        if problem is None:
            try:
                await self.store.read(self.memory.runner, lambda store: store.count_all())
            except sqlite3.Error as error:
                return str(error)
        return problem

    async def metrics(self, request: Request) -> Response:
        lines: List[str] = []
        counts = await self.memory.run(self.store.count_all)
        for name, number in zip(("conversations", "messages"), counts):
            lines.append(f"# HELP sekha_{name}_total Total number of {name}")
            lines.append(f"# TYPE sekha_{name}_total gauge\nsekha_{name}_total {number}\n")
        return PlainTextResponse("\n".join(lines))


HEALTHY: Mapping[str, Mapping[str, str]] = {"database": {"status": "ok"}, "chroma": {"status": "ok"}}


def health_report(status: str, checks: Mapping[str, object]) -> Dict[str, Any]:
    """Return a health report with the current time."""
    return {"status": status, "timestamp": f"{format_timestamp(time.time_ns())}+00:00", "checks": checks}


def _row(conversation: Conversation) -> Dict[str, Any]:
    return {
        "id": conversation.id,
        "label": conversation.label,
        "folder": conversation.folder,
        "status": conversation.status,
        "message_count": conversation.message_count,
        "created_at": conversation.created_at,
    }


def controller_app(controller: Controller, tools: McpTools, api_key: Optional[str]) -> Starlette:
    """Build the application of the controller's port: REST and MCP; all except health and metrics require the key."""

    def guard(request: Request) -> None:
        if request.scope["path"] not in _NO_KEY_NEEDED:
            check_key(request, api_key)

    routes = build_routes([*controller.table(), *tools.table(), ("GET", "/local", controller.local)], guard)
    app = Starlette(routes=routes, exception_handlers=EXCEPTION_HANDLERS)
    app.router.redirect_slashes = False
    return app
