"""Failed attempts, as docs/guides/retries.md has them: the faults, and how often each is followed by another."""

from __future__ import annotations

from typing import Dict, Tuple, Type

from sekha import (
    SekhaAPIError,
    SekhaAuthError,
    SekhaConflictError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaTimeoutError,
    SekhaValidationError,
)
from support.calls import BY_NAME, MODELS, Call
from support.replies import DROP, HANG, RESET, answer, app_error, body, cut, empty, text
from support.server import Reply

TURNED_AWAY: Dict[str, Tuple[Reply, Type[SekhaError]]] = {
    "408": (empty(408), SekhaAPIError),
    "425": (empty(425), SekhaAPIError),
    "429": (text("Rate limit exceeded. Please try again later.", 429), SekhaRateLimitError),
    "503 with Retry-After": (empty(503, retry_after="2"), SekhaServerError),
}
UNKNOWN: Dict[str, Tuple[Reply, Type[SekhaError]]] = {
    "500": (app_error("Database error: locked", 500), SekhaServerError),
    "500 that speaks of the bridge": (app_error("Embedding error: LLM Bridge error: down", 500), SekhaServerError),
    "502": (body(b"<html>Bad Gateway</html>", 502, "text/html"), SekhaServerError),
    "503": (empty(503), SekhaServerError),
    "504": (empty(504), SekhaServerError),
    "closed": (DROP, SekhaConnectionError),
    "reset": (RESET, SekhaConnectionError),
    "cut": (cut(), SekhaConnectionError),
    "no answer": (HANG, SekhaTimeoutError),
}
REFUSED: Dict[str, Tuple[Reply, Type[SekhaError]]] = {
    "400": (text("Failed to parse the request body as JSON: EOF", 400), SekhaValidationError),
    "401": (answer({"error": "Invalid API key"}, 401), SekhaAuthError),
    "403": (empty(403), SekhaPermissionError),
    "404": (app_error("Conversation not found", 404), SekhaNotFoundError),
    "409": (empty(409), SekhaConflictError),
    "413": (text("Failed to buffer the request body: length limit exceeded", 413), SekhaValidationError),
    "418": (empty(418), SekhaAPIError),
    "421": (empty(421), SekhaAPIError),
    "422": (text("Failed to deserialize the JSON body", 422), SekhaValidationError),
    "507": (app_error("the disk is full, and nothing was stored", 507), SekhaServerError),
    "302": (empty(302, location="http://127.0.0.1:9/"), SekhaAPIError),
}
MISFITS: Dict[str, Tuple[Reply, Type[SekhaError]]] = {
    "no JSON": (body(b"OK"), SekhaDecodeError),
    "empty": (empty(200), SekhaDecodeError),
    "another format": (answer({"unexpected": True}), SekhaDecodeError),
}
FAULTS = {**TURNED_AWAY, **UNKNOWN, **REFUSED, **MISFITS}
UNREACHABLE: Dict[str, Type[SekhaError]] = {
    "refused": SekhaConnectionError,
    "connect timeout": SekhaTimeoutError,
    "pool timeout": SekhaTimeoutError,
}

# Requests with max_retries 0, 1 and 3, as docs/guides/retries.md has them under "What is retried".
AGAIN, ONCE_MORE, NEVER = (1, 2, 4), (1, 2, 2), (1, 1, 1)
CLASSES = ("YES", "ONCE", "NO")
DOCUMENTED: Dict[str, Tuple[Tuple[int, int, int], ...]] = {
    **dict.fromkeys([*UNREACHABLE, *TURNED_AWAY], (AGAIN, AGAIN, AGAIN)),
    **dict.fromkeys(UNKNOWN, (AGAIN, ONCE_MORE, NEVER)),
    "500 that speaks of the bridge": (AGAIN, NEVER, NEVER),
    **dict.fromkeys([*REFUSED, *MISFITS], (NEVER, NEVER, NEVER)),
}
OF_THE_BRIDGE = {"500": (NEVER, NEVER, NEVER), "500 that speaks of the bridge": (NEVER, NEVER, NEVER)}
RETRIES = (0, 1, 3)
SAMPLES = (
    "controller.query",
    "controller.create_conversation",
    "controller.summarize",
    "mcp.memory_search",
    "mcp.memory_store",
    "mcp.memory_prune",
    "bridge.embed",
    "bridge.complete",
    "bridge.stream_complete",
    "bridge.summarize",
)


def can_end_with(call: Call, fault: str) -> bool:
    """Whether a call can fail like this before its result is there: a stream has its result with its head."""
    return not ("stream" in call.name and (fault in MISFITS or fault == "cut"))


def documented(call: Call, fault: str) -> Dict[int, int]:
    """Attempts by max_retries, as documented."""
    rows = {**DOCUMENTED, **OF_THE_BRIDGE} if call.service == MODELS else DOCUMENTED
    return dict(zip(RETRIES, rows[fault][CLASSES.index(call.repeat)]))


CASES = [(BY_NAME[name], fault) for name in SAMPLES for fault in FAULTS if can_end_with(BY_NAME[name], fault)]
"""Every sample with every fault after which its request may have arrived."""
