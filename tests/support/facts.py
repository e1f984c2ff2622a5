"""What the fake servers say, in the form of the real controller 0.1 and the real bridge 0.2."""

from __future__ import annotations

from typing import Any, Dict, List

ID = "3f0c1a52-8d1e-4c55-9d0a-2f6f0b1c7e11"
OTHER_ID = "7b9e4f60-1c2d-4e3f-8a5b-6c7d8e9f0a1b"
MESSAGE_ID = "0d9c8b7a-6f5e-4d3c-9b2a-1f0e9d8c7b6a"
NIL = "00000000-0000-0000-0000-000000000000"

REST_KEY = "sk-rest-CANARY-1111"
MCP_KEY = "sk-mcp-CANARY-2222-padded-to-32-characters"
BRIDGE_KEY = "sk-bridge-CANARY-3333"

MESSAGES: List[Dict[str, str]] = [{"role": "user", "content": "Hello Sekha!"}]

CREATED: Dict[str, Any] = {
    "id": ID,
    "conversation_id": ID,
    "label": "Hello Sekha!",
    "folder": "/",
    "status": "active",
    "message_count": 1,
    "created_at": "2026-01-31T09:30:00.123456789",
}
READ: Dict[str, Any] = {
    "id": ID,
    "label": "Hello Sekha!",
    "folder": "/work",
    "status": "active",
    "message_count": 0,
    "created_at": "2026-01-31T09:30:00.123456789",
}
STORED: Dict[str, Any] = {"conversation_id": ID, "id": ID, "label": "Hello Sekha!", "folder": "/"}
MESSAGE: Dict[str, Any] = {
    "id": MESSAGE_ID,
    "conversation_id": ID,
    "role": "user",
    "content": "Hello Sekha!",
    "timestamp": "2026-01-31T09:30:00.123456789",
    "embedding_id": None,
    "metadata": {},
}
CONTEXT: Dict[str, Any] = {
    "conversation_id": ID,
    "label": "Hello Sekha!",
    "status": "active",
    "folder": "/work",
    "importance_score": 5,
    "word_count": 12,
    "session_count": 1,
    "created_at": "2026-01-31 09:30:00.123456789",
    "updated_at": "2026-01-31 09:30:00.123",
}
EXPORT: Dict[str, Any] = {
    "conversation": {("id" if key == "conversation_id" else key): value for key, value in CONTEXT.items()},
    "messages": [{key: MESSAGE[key] for key in ("id", "role", "content", "timestamp", "metadata")}],
    "format": "json",
    "include_metadata": True,
}
SUGGESTION: Dict[str, Any] = {
    "conversation_id": ID,
    "conversation_label": "Hello Sekha!",
    "last_accessed": "2025-01-31T09:30:00.123",
    "message_count": 0,
    "token_estimate": 0,
    "importance_score": 5.0,
    "preview": "A greeting.",
    "recommendation": "keep",
}
COMPLETION: Dict[str, Any] = {
    "id": "chatcmpl-1a2b3c4d",
    "object": "chat.completion",
    "created": 1767225600,
    "model": "llama3",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi there."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4},
}
EMBEDDING: Dict[str, Any] = {"embedding": [0.25, -0.5], "model": "nomic-embed-text", "tokens_used": 3, "dimension": 2}
HEALTHY: Dict[str, Any] = {
    "status": "healthy",
    "timestamp": "2026-01-31T09:30:00.123456789+00:00",
    "checks": {"database": {"status": "ok"}, "chroma": {"status": "ok"}},
}
BRIDGE_HEALTHY: Dict[str, Any] = {
    "status": "healthy",
    "ollama_status": {"status": "healthy", "providers": {"ollama": {"circuit_breaker": {"state": "closed"}}}},
    "models_loaded": ["llama3"],
    "timestamp": "2026-01-31T09:30:00.123456",
}
STATS: Dict[str, Any] = {"total_conversations": 1, "average_importance": 5.0, "folders": ["/work"]}
NO_CONVERSATION = f"Entity not found: Conversation {ID} not found"


def row(
    id: str = ID,
    label: str = "Hello Sekha!",
    folder: str = "/work",
    importance: int = 5,
    status: str = "active",
    timestamp: str = "2026-01-31T09:30:00.123",
) -> Dict[str, Any]:
    """A conversation in a list."""
    return {
        "conversation_id": id,
        "message_id": NIL,
        "score": 1.0,
        "content": label,
        "metadata": {"folder": folder, "status": status, "importance_score": importance},
        "label": label,
        "folder": folder,
        "timestamp": timestamp,
    }


def rows(*found: Dict[str, Any], page: int = 1, page_size: int = 50, total: Any = None) -> Dict[str, Any]:
    """A page of conversations."""
    return {
        "results": list(found),
        "total": len(found) if total is None else total,
        "page": page,
        "page_size": page_size,
    }


def hit(
    distance: float = 0.25,
    id: str = ID,
    label: str = "Hello Sekha!",
    folder: str = "/work",
    timestamp: str = "2026-01-31T09:30:00.123456789",
    content: str = "Hello Sekha!",
    message_id: str = MESSAGE_ID,
) -> Dict[str, Any]:
    """A message that was found."""
    ids = {"conversation_id": id, "message_id": message_id}
    return {
        **ids,
        "score": distance,
        "content": content,
        "metadata": {**ids, "content_preview": content, "role": "user", "timestamp": timestamp},
        "label": label,
        "folder": folder,
        "timestamp": timestamp,
    }


def hits(*found: Dict[str, Any], page_size: int = 10) -> Dict[str, Any]:
    """What ``query`` finds."""
    return {"results": list(found), "total": len(found), "page": 0, "page_size": page_size}


def tool_hits(*found: Dict[str, Any], limit: int = 10) -> Dict[str, Any]:
    """What ``memory_search`` finds."""
    spaced = [{**one, "timestamp": one["timestamp"].replace("T", " ")} for one in found]
    return {"query": "hello", "total_results": len(spaced), "limit": limit, "results": spaced}


def remembered(
    content: str = "Hello Sekha!",
    folder: str = "/work",
    label: str = "Greeting",
    role: str = "user",
    timestamp: str = "2026-01-31T09:30:00.123456789",
    **more: Any,
) -> Dict[str, Any]:
    """A message of a context."""
    citation = {"label": label, "folder": folder, "timestamp": timestamp.replace("T", " ")}
    found = {**MESSAGE, "content": content, "role": role, "timestamp": timestamp, "metadata": {"citation": citation}}
    return {**found, **more}
