"""Bodies of any kind that a server may answer a query with, and what must come of them at each status."""

from __future__ import annotations

from typing import Dict, List, Tuple, Type

from sekha import (
    SekhaAPIError,
    SekhaAuthError,
    SekhaConflictError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaValidationError,
)
from sekha.errors import BODY_LIMIT

REFUSALS: Dict[int, Type[SekhaAPIError]] = {
    400: SekhaValidationError,
    401: SekhaAuthError,
    403: SekhaPermissionError,
    404: SekhaNotFoundError,
    409: SekhaConflictError,
    413: SekhaValidationError,
    415: SekhaValidationError,
    422: SekhaValidationError,
    429: SekhaRateLimitError,
    500: SekhaServerError,
    502: SekhaServerError,
    503: SekhaServerError,
    504: SekhaServerError,
}
LONG = b"It is so" + b"!" * 50_000
# The body, what the error says, and the first wrong place where it should have been an answer.
BODIES: List[Tuple[bytes, str, str]] = [
    (b'{"error": "It is so", "code": 7, "results": []}', "It is so", "total: "),
    (b'{"results": [{"conversation_id": "x"}], "detail": "It is so"}', "It is so", "results[0].message_id: "),
    (b'{"results": {"x": "It is so"}, "total": 0}', "It is so", "results: "),
    (b'["It is so"]', "It is so", "the response: "),
    (b"5", "5", "the response: "),
    (b'"It is so"', "It is so", "the response: "),
    (b"null", "", "the response: "),
    (b"", "the response was empty", "not valid JSON"),
    (b"<!doctype html><html><h1>It is so</h1></html>", "HTML page", "not valid JSON"),
    (b'{"error": "It is so', "It is so", "not valid JSON"),
    (b'{"error": "It is so \xff\xfe"}', "It is so", "not valid JSON"),
    (LONG, "It is so", "not valid JSON"),
]
TYPES = ("application/json", "text/html; charset=utf-8", "")


def check_refusal(error: SekhaAPIError, status: int, data: bytes, words: str, content_type: str) -> None:
    """Check the error that a body became with a status."""
    assert type(error) is REFUSALS[status]
    assert (error.status_code, error.method, error.path) == (status, "POST", "/api/v1/query")
    assert words in error.message or ("html" in content_type and "HTML page" in error.message)
    assert error.body == data.decode("utf-8", "replace")[:BODY_LIMIT]
    assert error.code == (7 if b"7" in data else None)
    assert f"status {status}, POST /api/v1/query" in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 2500
