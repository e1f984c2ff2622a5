"""How the response of a server that refused or failed becomes an error."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

from sekha._utils.json_access import as_list, get
from sekha.errors import (
    BODY_LIMIT,
    ELLIPSIS,
    SekhaAPIError,
    SekhaAuthError,
    SekhaConflictError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaValidationError,
)

_MESSAGE_LIMIT = 2000
"""Characters of the server's text that stand in a message; the bridge 0.2 forwards 1800 from other servers."""

_HEADER_VALUE = re.compile(r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, *)?[^,]+")
"""A value in a list of values; a date has a comma behind its day of the week."""

_ERROR_CLASSES: dict[int, type[SekhaAPIError]] = {
    400: SekhaValidationError,
    401: SekhaAuthError,
    403: SekhaPermissionError,
    404: SekhaNotFoundError,
    409: SekhaConflictError,
    413: SekhaValidationError,
    415: SekhaValidationError,
    422: SekhaValidationError,
    429: SekhaRateLimitError,
}


def error_class(status: int) -> type[SekhaAPIError]:
    """Return the class of error for an HTTP status that is no success."""
    return _ERROR_CLASSES.get(status, SekhaServerError if status >= 500 else SekhaAPIError)


def error_from_response(
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    cls: type[SekhaAPIError] | None = None,
    hint: str = "",
) -> SekhaAPIError:
    """Return the error for one response.

    Args:
        method: HTTP method of the call.
        path: Path template of the endpoint.
        status: HTTP status, 100 to 599.
        headers: Response headers; names are looked up in lower case.
        body: Response body, any bytes.
        cls: The class to use where the status alone would mislead.
        hint: What the caller can do, appended to the server's message.
    """
    text = body.decode("utf-8", "replace")
    message, code = _message_and_code(text, headers.get("content-type", ""))
    if 300 <= status < 400:
        message = f"redirected to {_without_query(headers.get('location', '')) or '?'}; redirects are not followed"
    message = message or f"{_status_phrase(status)} (the answer was empty)"
    return (cls or error_class(status))(
        f"{message}. {hint}" if hint else message,
        status_code=status,
        code=code,
        body=text[:BODY_LIMIT],
        retry_after=parse_retry_after(headers.get("retry-after"), date=headers.get("date")),
        method=method,
        path=path,
    )


def parse_retry_after(value: str | None, *, date: str | None = None, now: float | None = None) -> float | None:
    """Return the seconds of a ``Retry-After`` header, a number or an HTTP date; None for anything else.

    Args:
        value: The header. Several lines of it are joined by commas: the longest time counts.
        date: The ``Date`` header of the same response: the clock of the server, which may differ from ours.
        now: Our time, for responses without that; default: now.
    """
    started_at = _parse_date(date)
    if started_at is None:
        started_at = time.time() if now is None else now
    times = [_parse_seconds(part.strip(), started_at) for part in _HEADER_VALUE.findall(value or "")]
    return max((seconds for seconds in times if seconds is not None), default=None)


def _parse_seconds(value: str, started_at: float) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        at = _parse_date(value)
        if at is None:
            return None
        seconds = at - started_at
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _parse_date(value: str | None) -> float | None:
    """Return the time of an HTTP date in seconds since 1970, None for anything else."""
    try:
        date = parsedate_to_datetime(value or "")
        return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()  # HTTP's dates are GMT
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def _message_and_code(text: str, content_type: str) -> tuple[str, int | str | None]:
    """Return the message and the code of an error body, in any of the forms that servers use."""
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    try:
        message, code = _find_message(data)
    except RecursionError:  # a list of lists of lists
        message, code = "", None
    if message:
        return _truncate(message, _MESSAGE_LIMIT), code
    if "html" in content_type.lower() or text.lstrip()[:1] == "<":
        return f"an HTML page instead of JSON: {_truncate(' '.join(text.split()), 120)}" if text.strip() else "", None
    return _truncate(text.strip(), _MESSAGE_LIMIT), None


def _truncate(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS


def _find_message(data: object) -> tuple[str, int | str | None]:
    for key in ("error", "detail", "message"):
        parent, value = data, get(data, key)
        if get(value, "message") is not None:  # {"error": {"message": ..., "code": ...}}
            parent, value = value, get(value, "message")
        details = as_list(value)
        if details:  # {"detail": [{"loc": [...], "msg": ...}]}
            value = "; ".join(_format_detail(detail) for detail in details[:5])
        if isinstance(value, str) and value.strip():
            code = get(parent, "code")
            return value, code if isinstance(code, (int, str)) else None
    return "", None


def _format_detail(detail: object) -> str:
    path = ".".join(str(part) for part in as_list(get(detail, "loc")) or ())
    problem = str(get(detail, "msg") or detail)
    return f"{path}: {problem}" if path else problem


def _status_phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"status {status}"


def _without_query(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))
    except ValueError:
        return "?"
