"""Conversion of error responses to exceptions."""

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

from sekha._utils.json_access import as_list, as_object, get
from sekha.errors import (
    BODY_LIMIT,
    ELLIPSIS,
    SekhaAPIError,
    SekhaAuthError,
    SekhaConflictError,
    SekhaError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaValidationError,
)

_MESSAGE_LIMIT = 2000
"""Maximum characters of the server's text in a message; bridge 0.2 forwards 1800 from other servers."""
_PAGE_LIMIT = 120
"""Maximum characters of a page in a message."""
_MESSAGE_KEYS = (
    "error",
    "errors",
    "detail",
    "message",
    "msg",
    "error_message",
    "error_description",
    "reason",
    "title",
)
"""Keys under which servers send error messages, case-insensitive."""
_SECRET_HEADERS = frozenset({"set-cookie", "authorization", "proxy-authorization"})
"""Response headers that errors omit; keys in others are masked."""
_ADDRESSES = frozenset({"location", "content-location"})
"""Headers that hold a URL."""
_MAX_NESTING = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_CHARSET = re.compile(
    r"charset\s*=\s*[\"']?((?:utf|iso|latin|windows|cp|ascii|us-|shift|euc|gb|big5|koi8)[\w.:-]*)", re.I
)
_MARKUP = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|title)\b.*?(?:</\1\s*>|\Z)|<[^>]*(?:>|\Z)", re.I | re.S)

_HEADER_VALUE = re.compile(r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, *)?[^,]+")
"""A value in a list of values; a date has a comma after its day of the week."""

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
    """Return the error class for an HTTP status other than success."""
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
    problem: str = "",
) -> SekhaAPIError:
    """Return the error for one response.

    Args:
        method: HTTP method of the call.
        path: Path template of the endpoint.
        status: HTTP status, 200 to 599.
        headers: Response headers; names are looked up in lower case.
        body: Response body, any bytes.
        cls: The class to use if the status alone is misleading.
        hint: Advice for the caller, appended to the server's message.
        problem: Why the body is incomplete, if it is.
    """
    content_type, location = headers.get("content-type", ""), headers.get("location", "")
    text = _decode(body, content_type)
    message, code = _message_and_code(text, content_type)
    if 300 <= status < 400 and (location or status in _REDIRECTS):
        message = f"redirected to {_without_query(location) or '?'}; redirects are not followed"
    elif status == 304:
        message = "Not Modified, although the request was not conditional: a cache responded incorrectly"
    elif not message:
        message = f"{_status_phrase(status)} ({problem or _nothing_said(status)})"
    elif problem:
        message = f"{message} ({problem})"
    return (cls or error_class(status))(
        f"{message}. {hint}" if hint else message,
        status_code=status,
        code=code,
        body=text[:BODY_LIMIT],
        retry_after=parse_retry_after(headers.get("retry-after"), date=headers.get("date")),
        method=method,
        path=path,
    )


def keep_headers(error: SekhaError, headers: Mapping[str, str]) -> None:
    """Store the response headers in an error, except those that may contain secrets.

    Queries are removed from URLs.
    """
    if isinstance(error, SekhaAPIError):
        lower = ((name.lower(), value) for name, value in headers.items())
        kept = {
            name: _without_query(value) if name in _ADDRESSES else value
            for name, value in lower
            if name not in _SECRET_HEADERS
        }
        if kept:  # otherwise its pickle stays as in earlier versions
            error._headers = kept


def parse_retry_after(value: str | None, *, date: str | None = None, now: float | None = None) -> float | None:
    """Return the seconds of a ``Retry-After`` header, a number or an HTTP date; None for anything else.

    Args:
        value: The header. Several lines are joined by commas; the longest time is used.
        date: The ``Date`` header of the same response: the clock of the server, which may differ from the local one.
        now: The local time, for responses without ``Date``; default: now.
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


def has_error(data: object, *, certain: bool = False) -> bool:
    """Return whether a JSON object with status 200 is an error by its content.

    Args:
        data: The object, which has no key of the expected result.
        certain: Whether a message alone is not enough, because a success may have a ``message`` as well.
    """
    found = _lower_keys(data)
    if any(str(found.get(key)).lower() in ("error", "failed") for key in ("object", "type", "status")):
        return True
    error = found.get("error")
    if error or found.get("success") is False:
        return True
    if certain:
        return False
    words = {key: found.get(key) for key in ("errors", "detail", "message", "msg")}
    return (error is not None and error is not False) or bool(_find_message(words)[0])


def error_in_success(
    method: str, path: str, headers: Mapping[str, str], body: bytes, *, status: int = 200
) -> SekhaServerError:
    """Return the error for an error body with a 2xx status."""
    error = error_from_response(method, path, status, headers, body, cls=SekhaServerError)
    assert isinstance(error, SekhaServerError)
    return error


def describe_body(text: str, content_type: str = "") -> str:
    """Return the text of a body for a message: an error message, the text of a page, or its start."""
    return _message_and_code(text, content_type)[0]


def _message_and_code(text: str, content_type: str) -> tuple[str, int | str | None]:
    """Return the message and the code of an error body, in any format that servers use."""
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    try:
        message, code = _find_message(data)
    except RecursionError:  # a list of lists of lists
        message, code = "", None
    if message:
        return truncate(message, _MESSAGE_LIMIT), code
    if "html" in content_type.lower() or text.lstrip()[:1] == "<":
        page = _page_text(text)
        return f"an HTML page instead of JSON: {truncate(page, _PAGE_LIMIT)}" if page else "", None
    return truncate(text.strip(), _MESSAGE_LIMIT), None


def _page_text(page: str) -> str:
    """Return the text of an HTML page in one line; its title if it has no other."""
    from html import unescape  # rarely needed

    page = page[:BODY_LIMIT]
    texts = (_MARKUP.sub(" ", page), re.sub(r"<[^>]*(?:>|\Z)", " ", page), page)
    return next(filter(None, (" ".join(unescape(text).split()) for text in texts)), "")


def _decode(body: bytes, content_type: str) -> str:
    """Decode a body: as UTF-8, else in its declared charset, else with replacement characters."""
    charset = _CHARSET.search(content_type)
    try:
        return body.decode("utf-8") if charset is None or b"\0" not in body else body.decode(charset[1])
    except (UnicodeError, LookupError):
        pass
    try:
        return body.decode(charset[1] if charset else "utf-8", "replace")
    except (UnicodeError, LookupError):
        return body.decode("utf-8", "replace")


def _lower_keys(data: object) -> dict[str, object]:
    return {key.lower(): value for key, value in (as_object(data) or {}).items()}


def truncate(text: str, limit: int) -> str:
    """Return text from a server, truncated to a number of characters with an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + ELLIPSIS


def _find_message(data: object, depth: int = 0) -> tuple[str, int | str | None]:
    found = _lower_keys(data)
    own_code = found.get("code")
    code = own_code if isinstance(own_code, (int, str)) and not isinstance(own_code, bool) else None
    for key in _MESSAGE_KEYS:
        value = found.get(key)
        if depth < _MAX_NESTING:  # {"error": {"message": ..., "code": ...}}
            message, inner_code = _find_message(value, depth + 1)
            if message:
                return message, code if inner_code is None else inner_code
        details = as_list(value)
        if details:  # {"detail": [{"loc": [...], "msg": ...}]}
            value = "; ".join(_format_detail(detail) for detail in details[:5])
        if isinstance(value, str) and value.strip():
            return value, code
    return "", None


def _format_detail(detail: object) -> str:
    path = ".".join(str(part) for part in as_list(get(detail, "loc")) or ())
    problem = str(get(detail, "msg") or get(detail, "message") or detail)
    return f"{path}: {problem}" if path else problem


def _nothing_said(status: int) -> str:
    return "the server reported an error without a message" if status < 300 else "the response was empty"


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
