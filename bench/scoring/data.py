"""What is asked, and good answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEY = "sk-sekha-canary0123456789abcdef0123456789abcdef"  # the published SDK takes only such a beginning
ID = "f8bde2b0-8bdb-4020-a508-27bf903a3617"
ASK = [{"role": "user", "content": "How do we deploy?"}]
UNLIMITED = 10**9  # requests in a minute: limiters are not what is compared


def chunk(delta: Mapping[str, Any] | None, finish: str | None = None) -> dict[str, Any]:
    """A chunk in OpenAI's shape."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


COMPLETED = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
CONVERSATION = {
    "id": ID,
    "conversation_id": ID,
    "label": "Deployment",
    "folder": "/work",
    "status": "active",
    "message_count": 2,
    "importance_score": 5,
    "created_at": "2026-01-31T09:30:00",
    "updated_at": "2026-01-31T09:30:00",
}
