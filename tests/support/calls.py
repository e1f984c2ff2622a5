"""Every public method once: how it is called, what must stand on the wire, and an answer that it accepts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Tuple

from support import facts
from support.facts import ID, MESSAGES
from support.replies import DONE, answer, chunked, delta, empty, text, tool
from support.server import FakeServer, Reply

REST, TOOLS, MODELS = "controller", "mcp", "bridge"


@dataclass(frozen=True)
class Wire:
    """A request that must be seen: method and path, query, JSON body, and what is answered to it."""

    line: str
    reply: Reply
    body: Any = None
    query: Dict[str, str] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """Whose key must be in it, judged by its path alone."""
        return TOOLS if "/mcp/" in self.line else REST


@dataclass(frozen=True)
class Call:
    """One call of a public method with everything that it puts on the wire."""

    service: str
    method: str
    args: Tuple[Any, ...]
    kwargs: Dict[str, Any]
    wires: Tuple[Wire, ...]
    repeat: str
    """YES, NO or ONCE, copied from section 4 of the decisions by hand."""
    writes: bool = False

    @property
    def name(self) -> str:
        """``service.method``."""
        return f"{self.service}.{self.method}"

    def script(self, server: FakeServer, bridge: FakeServer) -> FakeServer:
        """Write its answers down; gives the server that is asked."""
        asked = bridge if self.service == MODELS else server
        for wire in self.wires:
            asked.on(wire.line, wire.reply)
        return asked

    def on(self, client: Any) -> Any:
        """Make the call."""
        return getattr(getattr(client, self.service), self.method)(*self.args, **self.kwargs)


def _call(
    service: str, method: str, *wires: Wire, args: Any = (), repeat: str = "YES", writes: bool = False, **kwargs: Any
) -> Call:
    return Call(service, method, tuple(args), kwargs, wires, repeat, writes)


_ONE = f"/api/v1/conversations/{ID}"
_CREATE = {"label": "Hello Sekha!", "folder": "/", "messages": MESSAGES}
_CHAT = {"messages": MESSAGES, "model": "llama3", "temperature": 0.5, "max_tokens": 100}

CALLS: List[Call] = [
    _call(
        REST,
        "create_conversation",
        Wire("POST /api/v1/conversations", answer(facts.CREATED, 201), _CREATE),
        args=[{"messages": MESSAGES}],
        repeat="NO",
        writes=True,
    ),
    _call(
        REST,
        "replace_conversation",
        Wire("POST /mcp/tools/memory_export", tool(facts.EXPORT), {"conversation_id": ID}),
        Wire(
            "POST /api/v1/conversations",
            answer(facts.CREATED, 201),
            {"label": "Hello Sekha!", "folder": "/work", "messages": [{"role": "user", "content": "New."}]},
        ),
        Wire(f"DELETE {_ONE}", empty()),
        args=[ID],
        messages=[{"role": "user", "content": "New."}],
        writes=True,
    ),
    _call(REST, "get_conversation", Wire(f"GET {_ONE}", answer({**facts.READ, "message_count": 2})), args=[ID]),
    _call(
        REST,
        "get_messages",
        Wire("POST /mcp/tools/memory_export", tool(facts.EXPORT), {"conversation_id": ID}),
        args=[ID],
    ),
    _call(
        REST,
        "list_conversations",
        Wire("GET /api/v1/conversations", answer(facts.rows(facts.row())), query={"page": "2", "page_size": "7"}),
        page=2,
        page_size=7,
    ),
    _call(
        REST,
        "update_label",
        Wire(f"PUT {_ONE}/label", empty(), {"label": "New", "folder": "/new"}),
        args=[ID],
        label="New",
        folder="/new",
        writes=True,
    ),
    _call(
        REST,
        "update_folder",
        Wire(f"GET {_ONE}", answer(facts.READ)),
        Wire(f"PUT {_ONE}/label", empty(), {"label": "Hello Sekha!", "folder": "/new"}),
        args=[ID],
        folder="/new",
        writes=True,
    ),
    _call(REST, "pin_conversation", Wire(f"PUT {_ONE}/pin", empty()), args=[ID], writes=True),
    _call(REST, "archive_conversation", Wire(f"PUT {_ONE}/archive", empty()), args=[ID], writes=True),
    _call(REST, "delete_conversation", Wire(f"DELETE {_ONE}", empty()), args=[ID], writes=True),
    _call(
        REST,
        "delete_conversations",
        Wire("GET /api/v1/conversations", answer(facts.rows(facts.row())), query={"page": "1", "page_size": "1000"}),
        Wire(f"DELETE {_ONE}", empty()),
        folder="/work",
        dry_run=False,
        writes=True,
    ),
    _call(
        REST,
        "count_conversations",
        Wire(
            "GET /api/v1/conversations/count",
            answer({"count": 3, "label": None, "folder": "/work & play"}),
            query={"folder": "/work & play"},
        ),
        folder="/work & play",
    ),
    _call(
        REST,
        "query",
        Wire("POST /api/v1/query", answer(facts.hits(facts.hit())), {"query": "hello", "limit": 3, "offset": 0}),
        args=["hello"],
        limit=3,
    ),
    _call(
        REST,
        "full_text_search",
        Wire(
            "POST /api/v1/search/fts",
            answer({"results": [facts.MESSAGE], "total": 1}),
            {"query": '"C++" "it\'s"', "limit": 4},
        ),
        args=["C++ it's"],
        limit=4,
    ),
    _call(
        REST,
        "assemble_context",
        Wire(
            "POST /api/v1/context/assemble",
            answer([facts.remembered()]),
            {"query": "hello", "preferred_labels": ["A"], "context_budget": 100, "excluded_folders": ["/no/"]},
        ),
        args=["hello"],
        context_budget=100,
        preferred_labels=["A"],
        excluded_folders=["/no"],
    ),
    _call(
        REST,
        "summarize",
        Wire(
            "POST /api/v1/summarize",
            answer(
                {
                    "conversation_id": ID,
                    "level": "weekly",
                    "summary": "A greeting.",
                    "generated_at": "2026-01-31T09:30:00",
                }
            ),
            {"conversation_id": ID, "level": "weekly"},
        ),
        args=[ID],
        level="weekly",
        repeat="ONCE",
    ),
    _call(
        REST,
        "prune_dry_run",
        Wire(
            "POST /api/v1/prune/dry-run",
            answer({"suggestions": [facts.SUGGESTION], "total": 1}),
            {"threshold_days": 90},
        ),
        repeat="ONCE",
    ),
    _call(
        REST,
        "prune_execute",
        Wire("GET /api/v1/conversations", answer(facts.rows(facts.row())), query={"page": "1", "page_size": "1000"}),
        Wire("POST /api/v1/prune/execute", empty(), {"conversation_ids": [ID]}),
        args=[[ID]],
        writes=True,
    ),
    _call(
        REST,
        "suggest_labels",
        Wire(
            "POST /api/v1/labels/suggest",
            answer(
                {
                    "conversation_id": ID,
                    "suggestions": [
                        {"label": "Greeting", "confidence": 0.6, "is_existing": False, "reason": "It says hello."}
                    ],
                }
            ),
            {"conversation_id": ID},
        ),
        args=[ID],
        repeat="ONCE",
    ),
    _call(REST, "rebuild_embeddings", Wire("POST /api/v1/rebuild-embeddings", empty(202))),
    _call(REST, "health", Wire("GET /health", answer(facts.HEALTHY))),
    _call(REST, "metrics", Wire("GET /metrics", text("sekha_conversations_total 0\n"))),
    _call(
        TOOLS,
        "memory_store",
        Wire("POST /mcp/tools/memory_store", tool(facts.STORED), {**_CREATE, "importance_score": 7}),
        importance_score=7,
        messages=MESSAGES,
        repeat="NO",
        writes=True,
    ),
    _call(
        TOOLS,
        "memory_search",
        Wire("POST /mcp/tools/memory_search", tool(facts.tool_hits(facts.hit())), {"query": "hello", "limit": 10}),
        args=[{"query": "hello"}],
    ),
    _call(
        TOOLS,
        "memory_update",
        Wire(
            "POST /mcp/tools/memory_update",
            tool({"conversation_id": ID, "updated_fields": ["label/folder"], "message": "updated"}),
            {"conversation_id": ID, "label": "New"},
        ),
        args=[ID],
        label="New",
        writes=True,
    ),
    _call(
        TOOLS,
        "memory_get_context",
        Wire("POST /mcp/tools/memory_get_context", tool(facts.CONTEXT), {"conversation_id": ID}),
        args=[ID],
    ),
    _call(
        TOOLS,
        "memory_prune",
        Wire(
            "POST /mcp/tools/memory_prune",
            tool(
                {
                    "threshold_days": 30,
                    "importance_threshold": 5.0,
                    "total_suggestions": 0,
                    "estimated_token_savings": 0,
                    "suggestions": [],
                }
            ),
            {"threshold_days": 30, "importance_threshold": 5.0},
        ),
        repeat="ONCE",
    ),
    _call(
        TOOLS,
        "memory_export",
        Wire(
            "POST /mcp/tools/memory_export",
            tool(facts.EXPORT),
            {"conversation_id": ID, "format": "markdown", "include_metadata": False},
        ),
        args=[ID],
        format="markdown",
        include_metadata=False,
    ),
    _call(
        TOOLS,
        "memory_stats",
        Wire("POST /mcp/tools/memory_stats", tool(facts.STATS), {"folder": "/work"}),
        Wire("GET /api/v1/conversations", answer(facts.rows(facts.row())), query={"page": "1", "page_size": "1000"}),
        Wire("POST /mcp/tools/memory_export", tool(facts.EXPORT), {"conversation_id": ID}),
        args=[{"folder": "/work"}],
    ),
    _call(
        MODELS,
        "complete",
        Wire("POST /v1/chat/completions", answer(facts.COMPLETION), _CHAT),
        args=[MESSAGES],
        model="llama3",
        temperature=0.5,
        max_tokens=100,
        repeat="NO",
        writes=True,
    ),
    _call(
        MODELS,
        "stream_complete",
        Wire("POST /v1/chat/completions", chunked(delta("Hi"), delta("", "stop"), DONE), {**_CHAT, "stream": True}),
        args=[MESSAGES],
        model="llama3",
        temperature=0.5,
        max_tokens=100,
        repeat="NO",
        writes=True,
    ),
    _call(
        MODELS,
        "embed",
        Wire("POST /embed", answer(facts.EMBEDDING), {"text": "hello", "model": "nomic"}),
        args=["hello"],
        model="nomic",
    ),
    _call(MODELS, "health", Wire("GET /health", answer(facts.BRIDGE_HEALTHY))),
    _call(
        MODELS,
        "models",
        Wire("GET /api/v1/models", answer([{"model_id": "llama3", "provider_id": "ollama", "task": "chat_smart"}])),
    ),
    _call(MODELS, "tasks", Wire("GET /api/v1/tasks", answer(["embedding", "chat_smart"]))),
    _call(
        MODELS,
        "route",
        Wire(
            "POST /api/v1/route",
            answer({"provider_id": "ollama", "model_id": "llava", "estimated_cost": 0.0, "reason": "vision"}),
            {"task": "vision", "require_vision": True, "max_cost": 0.5, "preferred_model": "llava", "context_size": 9},
        ),
        args=["vision"],
        preferred_model="llava",
        require_vision=True,
        max_cost=0.5,
        context_size=9,
    ),
    _call(
        MODELS,
        "provider_health",
        Wire(
            "GET /api/v1/health/providers",
            answer(
                {
                    "providers": {"ollama": {"provider_type": "ollama", "circuit_breaker": {"state": "closed"}}},
                    "total_providers": 1,
                    "healthy_providers": 1,
                    "total_models": 2,
                }
            ),
        ),
    ),
    _call(
        MODELS,
        "summarize",
        Wire(
            "POST /api/v1/summarize",
            answer({"summary": "Two texts.", "model": "llama3", "tokens_used": 3, "level": "daily"}),
            {"messages": ["One.", "Two."], "level": "daily"},
        ),
        args=[["One.", "Two."]],
        repeat="ONCE",
    ),
    _call(
        MODELS,
        "extract",
        Wire(
            "POST /api/v1/extract", answer({"entities": {"people": ["Ada"]}, "model": "llama3"}), {"text": "Ada wrote."}
        ),
        args=["Ada wrote."],
    ),
    _call(
        MODELS,
        "score",
        Wire(
            "POST /api/v1/score",
            answer({"score": 7, "reasoning": "It decides.", "model": "llama3"}),
            {"conversation": "We decided."},
        ),
        args=["We decided."],
    ),
]
"""All calls that make requests in a fixed order; `iter_conversations`, `import_conversations` and the workflows have
tests of their own."""

BY_NAME: Dict[str, Call] = {call.name: call for call in CALLS}
