"""All errors and warnings of the library.

SekhaError
├── SekhaConfigError          a setting is missing, invalid, or conflicts with another
│   └── SekhaInUseError       another import or sync is using the journal
├── SekhaClosedError          the client was closed, or the stream is another process's
├── SekhaDecodeError          a 2xx response that does not have the documented shape
├── SekhaAPIError             a server rejected the request (4xx) or failed (5xx)
│   ├── SekhaValidationError  400, 413, 415, 422, or an invalid argument (a ValueError)
│   ├── SekhaAuthError        401
│   ├── SekhaPermissionError  403
│   ├── SekhaNotFoundError    404
│   ├── SekhaConflictError    409
│   ├── SekhaRateLimitError   429
│   └── SekhaServerError      5xx
└── SekhaConnectionError      no response: network, DNS, TLS
    ├── SekhaTimeoutError     a timeout or the deadline passed
    └── SekhaStreamError      a stream ended early; ``text`` is what had arrived

SekhaWarning                  the call succeeded, but something needs attention
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Optional, Union, cast

if TYPE_CHECKING:
    from sekha.types._controller import Conversation
    from sekha.types._imports import ImportReport, SyncReport

__all__ = [
    "SekhaAPIError",
    "SekhaAuthError",
    "SekhaClosedError",
    "SekhaConfigError",
    "SekhaConflictError",
    "SekhaConnectionError",
    "SekhaDecodeError",
    "SekhaError",
    "SekhaInUseError",
    "SekhaNotFoundError",
    "SekhaPermissionError",
    "SekhaRateLimitError",
    "SekhaServerError",
    "SekhaStreamError",
    "SekhaTimeoutError",
    "SekhaValidationError",
    "SekhaWarning",
]


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name.startswith("__"))]


BODY_LIMIT = 10_000
"""Characters of a response body that an error keeps."""

ELLIPSIS = "\u2026"
"""Marks where text from a server was truncated."""


class SekhaError(Exception):
    """Base class of all errors that the library raises.

    Attributes:
        message: What went wrong; the server's own message if it sent one.
        method: HTTP method of the call, if there was one.
        path: Path template of the endpoint, such as ``/api/v1/conversations/{id}``.
        attempts: Number of attempts made.
        elapsed: Seconds since the start of the call.
        sent: Whether the request was sent.
        may_have_been_applied: True if a write was sent and its outcome is unknown. Check whether it took effect before
            you retry it.
        conversation: The conversation that was stored before the error: by ``store_and_query`` if its search failed, or
            by ``replace_conversation`` if the old conversation could not be deleted or archived.
        text: The part of a model's answer that had arrived before the error; empty otherwise.
        report: The report of ``import_conversations`` or ``sync_notes`` up to the error; None for other calls, and if
            nothing had started.

    Example:
        ```python
        from sekha import SekhaError

        error = SekhaError(
            "no such memory", method="GET", path="/health", attempts=1, elapsed=0.25
        )
        print(error)  # no such memory (GET /health, 1 attempt in 0.25 s)
        ```
    """

    sent: bool = False
    text: str = ""
    if TYPE_CHECKING:
        report: Union[ImportReport, SyncReport, None]
    else:  # the type is not imported with the errors; only a report that exists is part of a pickle
        report = None
    _retryable: bool = True  # False if a retry cannot help, whatever the status

    def __init__(
        self,
        message: str = "",
        *,
        method: Optional[str] = None,
        path: Optional[str] = None,
        attempts: int = 0,
        elapsed: Optional[float] = None,
        sent: Optional[bool] = None,
        may_have_been_applied: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.method = method
        self.path = path
        self.attempts = attempts
        self.elapsed = elapsed
        if sent is not None:
            self.sent = sent
        self.may_have_been_applied = may_have_been_applied
        self.conversation: Conversation | None = None

    def _arguments(self) -> tuple[object, ...]:
        """Return the value of ``args``: errors that are sent between processes as JSON are recreated from it alone."""
        return (self.message,)

    def __reduce__(self) -> tuple[Any, ...]:
        cls, args, *state = cast("tuple[Any, ...]", super().__reduce__())
        return (cls, args[:1] if args == self._arguments() else args, *state)  # version 0.2 accepts only a message

    def __setstate__(self, state: Optional[dict[str, Any]]) -> None:
        is_ours = self.args == self._arguments()
        vars(self).update(state or {})
        if is_ours:
            self.args: tuple[Any, ...] = self._arguments()

    def _details(self) -> Iterable[str]:
        if self.method and self.path:
            yield f"{self.method} {self.path}"
        if self.attempts:
            tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
            yield tries if self.elapsed is None else f"{tries} in {self.elapsed:.2f} s"
        if self.may_have_been_applied:
            yield "it may have been applied"

    def __str__(self) -> str:
        details = ", ".join(self._details())
        message = " ".join(self.message.split())
        return f"{message} ({details})" if details else message


class SekhaConfigError(SekhaError):
    """A setting is missing, invalid, or conflicts with another one; the message names it and the fix."""


class SekhaInUseError(SekhaConfigError):
    """Another import or sync is using the journal; retry when it has finished."""


class SekhaClosedError(SekhaError):
    """The client was closed before or during this call, or the stream belongs to the parent of this forked process."""


class SekhaDecodeError(SekhaError):
    """A 2xx response does not have the documented shape.

    Attributes:
        status_code: HTTP status of the response.
        body: The start of the response body.
        is_too_long: Whether the response is longer than ``max_response_bytes``.
    """

    sent = True
    is_too_long: bool = False

    def __init__(
        self,
        message: str = "",
        status_code: int = 200,
        *,
        body: Optional[str] = None,
        is_too_long: bool = False,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.status_code = status_code
        self.body = body
        if is_too_long:  # otherwise its pickle stays as in earlier versions
            self.is_too_long = True
        self.args: tuple[Any, ...] = self._arguments()

    def _arguments(self) -> tuple[object, ...]:
        return (self.message, self.status_code)

    def _details(self) -> Iterable[str]:
        yield f"status {self.status_code}"
        yield from super()._details()


class _ResponseHeaders(Mapping[str, str]):
    """Read-only headers; names are case-insensitive.

    Args:
        values: Values by name, in lower case.
    """

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[str(name).lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)


class SekhaAPIError(SekhaError):
    """A server rejected the request (4xx) or failed (5xx).

    Attributes:
        status_code: HTTP status of the response; 400 for an argument that was rejected before sending. An error that
            you create without a status gets the status of its class, or None if its class has several.
        code: The server's own error code, if any.
        body: The start of the response body, as text.
        retry_after: Seconds to wait before a retry, if the server sent ``Retry-After``.

    Example:
        ```python
        from sekha import SekhaAPIError

        try:
            client.controller.get_conversation("3f0c1a52-8d1e-4c55-9d0a-2f6f0b1c7e11")
        except SekhaAPIError as error:
            print(
                error.status_code, error.headers["Content-Type"], error.request_id
            )  # 404 application/json None
        ```
    """

    sent = True
    _headers: dict[str, str] = {}  # noqa: RUF012 - never changed; older pickles have none
    _only_status: Any = None  # for classes with exactly one status; an error from a server always has a status

    def __init__(
        self,
        message: str = "",
        status_code: Optional[int] = None,
        *,
        code: Union[int, str, None] = None,
        body: Optional[str] = None,
        retry_after: Optional[float] = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.status_code: int = self._only_status if status_code is None else status_code
        self.code = code
        self.body = body
        self.retry_after = retry_after
        self.args: tuple[Any, ...] = self._arguments()

    @property
    def headers(self) -> Mapping[str, str]:
        """The response headers, with case-insensitive names; empty if nothing was sent.

        ``Set-Cookie`` and headers that may contain keys are omitted.
        """
        return _ResponseHeaders(self._headers)

    @property
    def request_id(self) -> Optional[str]:
        """The request ID from the server or a proxy: the header ``X-Request-Id``, else ``Request-Id``."""
        return self._headers.get("x-request-id") or self._headers.get("request-id") or None

    def _arguments(self) -> tuple[object, ...]:
        known = cast("int | None", self.status_code)
        return (self.message,) if known is None else (self.message, known)

    def _details(self) -> Iterable[str]:
        known = cast("int | None", self.status_code)
        if self.sent and known is not None:
            yield f"status {self.status_code}"
        yield from super()._details()


class SekhaValidationError(SekhaAPIError, ValueError):
    """The input is invalid: the server responded 400, 413, 415 or 422, or nothing was sent.

    Attributes:
        field: The invalid argument, such as ``messages[1].content``, if known.
    """

    def __init__(
        self, message: str = "", status_code: Optional[int] = None, *, field: Optional[str] = None, **details: Any
    ) -> None:
        super().__init__(message, status_code, **details)
        self.field = field


class SekhaAuthError(SekhaAPIError):
    """The API key is missing or invalid (401)."""

    _only_status = 401


class SekhaPermissionError(SekhaAPIError):
    """The API key does not permit this (403)."""

    _only_status = 403


class SekhaNotFoundError(SekhaAPIError):
    """The conversation, model or route does not exist (404).

    Attributes:
        archived: For ``prune_execute``: IDs of the conversations that were archived before the unknown one.
    """

    archived: list[str]
    _only_status = 404

    def __init__(self, message: str = "", status_code: Optional[int] = None, **details: Any) -> None:
        super().__init__(message, status_code, **details)
        self.archived = []


class SekhaConflictError(SekhaAPIError):
    """The request conflicts with the state of the server (409)."""

    _only_status = 409


class SekhaRateLimitError(SekhaAPIError):
    """Too many requests (429); ``retry_after`` is the number of seconds to wait, if known."""

    _only_status = 429


class SekhaServerError(SekhaAPIError):
    """The server failed (5xx), or returned 2xx with an error in the body or stream."""


class SekhaConnectionError(SekhaError):
    """No response: the server cannot be reached, or the connection failed."""

    _asked: bool = True  # False if this client did not try to reach the server
    _at_deadline: bool = False  # True if the deadline of the call ended a wait, not a timeout


class SekhaTimeoutError(SekhaConnectionError):
    """A timeout or the deadline passed. For a stream, ``text`` is what had arrived."""


class SekhaStreamError(SekhaConnectionError):
    """A stream ended before it was complete.

    Attributes:
        text: The text that had arrived.
    """

    sent = True

    def __init__(self, message: str = "", *, text: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.text = text


class SekhaWarning(UserWarning):
    """The call succeeded, but not exactly as requested; the message explains the difference."""
