"""What model servers send in a stream: chunks of all shapes, and what comes between them."""

from __future__ import annotations

from typing import Any, Dict, List, Optional


def chunk(content: Optional[str] = None, finish: Optional[str] = None, **more: Any) -> Dict[str, Any]:
    """A chunk with a piece of text."""
    delta = {} if content is None else {"content": content}
    return {"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


NOISE = [
    ": keep-alive\n\n",
    ":\n",
    "data:\n\n",
    "data: \n\n",
    "event: ping\ndata: {}\n\n",
    'event: ping\ndata: {"type": "ping"}\n\n',
    "event: ping\n\n",
    "id: 7\n\n",
    "retry: 3000\n\n",
    "\n\n\n",
    "event: message\nid: 4\n\n",
]
"""What keeps a stream alive."""

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
SERVERS: Dict[str, List[Dict[str, Any]]] = {
    "openai": [
        {**chunk(), "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
        chunk("Hel", logprobs=None),
        chunk("lo"),
        chunk(None, "stop"),
        {"id": "c1", "choices": [], "usage": USAGE},
    ],
    "azure": [
        {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{"x": 1}]},
        {**chunk("Hel"), "choices": [{"index": 0, "delta": {"content": "Hel"}, "content_filter_offsets": {"a": 1}}]},
        chunk("lo"),
        chunk(None, "stop"),
        {"id": "c1", "choices": [], "usage": USAGE},
    ],
    "vllm": [
        {**chunk(""), "usage": None},
        {**chunk("Hel"), "usage": {**USAGE, "completion_tokens": 1}},
        {**chunk("lo"), "usage": None},
        {**chunk("", "stop"), "usage": None, "choices": [{**chunk("", "stop")["choices"][0], "stop_reason": None}]},
        {"id": "c1", "choices": [], "usage": USAGE},
    ],
    "llama.cpp": [
        {"id": "c1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": None}, "finish_reason": None}]},
        chunk("Hello"),
        {**chunk(None, "stop"), "usage": USAGE, "timings": {"predicted_ms": 1.5}},
    ],
    "ollama": [
        chunk("Hello", system_fingerprint="fp_ollama"),
        {
            "id": "c1",
            "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}],
            "usage": USAGE,
        },
    ],
    "litellm": [
        {"id": "c1", "choices": [{"index": 0, "delta": {"content": "Hello", "role": "assistant", "tool_calls": None}}]},
        {"id": "c1", "choices": [{"finish_reason": "stop", "index": 0, "delta": {}}]},
        {"id": "c1", "choices": [{"index": 0, "delta": {}}], "usage": {**USAGE, "details": None}},
    ],
    "nulls": [
        {"id": "c1", "choices": None},
        {"id": "c1", "choices": [{"index": 0, "delta": None}]},
        {
            "id": None,
            "model": None,
            "created": None,
            "object": None,
            "choices": [{"index": None, "delta": {"content": "Hello", "role": None}}],
        },
        {"choices": [{"delta": {"content": None}, "finish_reason": "stop"}], "usage": None},
        {"usage": USAGE},
    ],
}
"""The same answer, "Hello", as different servers stream it."""
