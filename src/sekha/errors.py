"""Every error of the library.

SekhaError
├── SekhaConfigError              settings are missing or contradict each other
├── SekhaClosedError              the client was closed before or during the call
├── SekhaDecodeError              a 2xx answer that does not have the promised shape
├── SekhaAPIError                 a server refused (4xx) or failed (5xx)
│   ├── SekhaValidationError      400, 413, 415, 422; also what is refused before sending (a ValueError)
│   ├── SekhaAuthError            401
│   ├── SekhaPermissionError      403
│   ├── SekhaNotFoundError        404
│   ├── SekhaConflictError        409
│   ├── SekhaRateLimitError       429
│   └── SekhaServerError          5xx
└── SekhaConnectionError          no answer: network, DNS, TLS
    ├── SekhaTimeoutError         a timeout or the deadline passed
    └── SekhaStreamError          a stream was cut; ``text`` is what had arrived

SekhaWarning                      nothing failed, but something needs attention
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sekha.types._controller import Conversation

__all__ = [
    "SekhaAPIError",
    "SekhaAuthError",
    "SekhaClosedError",
    "SekhaConfigError",
    "SekhaConflictError",
    "SekhaConnectionError",
    "SekhaDecodeError",
    "SekhaError",
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
"""Characters of an answer that an error keeps."""

ELLIPSIS = "\u2026"
"""Stands where the text of a server was truncated."""


class SekhaError(Exception):
    """Base class of everything that the library raises.

    Attributes:
        message: What went wrong, in the server's own words where it said any.
        method: HTTP method of the call, if there was one.
        path: Path template of the endpoint, such as ``/api/v1/conversations/{id}``.
        attempts: Attempts that were made.
        elapsed: Seconds from the start of the call.
        sent: False if nothing was sent.
        may_have_been_applied: True if a write was sent and its outcome is unknown: look before you repeat it.
        conversation: What ``store_and_query`` had stored before its search failed.
        text: What had arrived of a model's answer when it failed; empty otherwise.

    Example:
        ```python
        from sekha import SekhaError

        error = SekhaError("no such memory", method="GET", path="/health", attempts=1, elapsed=0.25)
        print(error)  # no such memory (GET /health, 1 attempt in 0.25 s)
        ```
    """

    sent: bool = False
    text: str = ""
    _retryable: bool = True  # False where a retry cannot help, whatever the status says

    def __init__(
        self,
        message: str = "",
        *,
        method: str | None = None,
        path: str | None = None,
        attempts: int = 0,
        elapsed: float | None = None,
        sent: bool | None = None,
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
    """A setting is missing, cannot be used, or contradicts another; the message says which and how to mend it."""


class SekhaClosedError(SekhaError):
    """The client was closed before or during this call."""


class SekhaDecodeError(SekhaError):
    """A 2xx answer that does not have the promised shape.

    Attributes:
        status_code: The status on the wire.
        body: The beginning of the answer.
    """

    sent = True

    def __init__(self, message: str = "", *, status_code: int = 200, body: str | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.status_code = status_code
        self.body = body

    def _details(self) -> Iterable[str]:
        yield f"status {self.status_code}"
        yield from super()._details()


class SekhaAPIError(SekhaError):
    """A server refused the call (4xx) or failed (5xx).

    Attributes:
        status_code: The status on the wire; 400 for what was refused before sending.
        code: The server's own error code, if it gave one.
        body: The beginning of the answer, as text.
        retry_after: Seconds the server asks to wait, if it said so.
    """

    sent = True

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int = 0,
        code: int | str | None = None,
        body: str | None = None,
        retry_after: float | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.status_code = status_code
        self.code = code
        self.body = body
        self.retry_after = retry_after

    def _details(self) -> Iterable[str]:
        if self.sent:
            yield f"status {self.status_code}"
        yield from super()._details()


class SekhaValidationError(SekhaAPIError, ValueError):
    """The input is not acceptable: 400, 413, 415 or 422, or refused before anything was sent.

    Attributes:
        field: The argument at fault, such as ``messages[1].content``, if known.
    """

    def __init__(self, message: str = "", *, field: str | None = None, **details: Any) -> None:
        super().__init__(message, **details)
        self.field = field


class SekhaAuthError(SekhaAPIError):
    """The key was not accepted (401)."""


class SekhaPermissionError(SekhaAPIError):
    """The key is not allowed to do this (403)."""


class SekhaNotFoundError(SekhaAPIError):
    """There is no such conversation, model or route (404).

    Attributes:
        archived: For ``prune_execute``: the ids that had been archived before the unknown one.
    """

    archived: list[str]

    def __init__(self, message: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.archived = []


class SekhaConflictError(SekhaAPIError):
    """The server's state does not allow this (409)."""


class SekhaRateLimitError(SekhaAPIError):
    """Too many requests (429); ``retry_after`` says how long to wait."""


class SekhaServerError(SekhaAPIError):
    """The server failed (5xx), or answered 2xx with an error, in a stream too."""


class SekhaConnectionError(SekhaError):
    """No answer: the server cannot be reached, or the connection broke."""

    _asked: bool = True  # False where this client did not even try to reach the server


class SekhaTimeoutError(SekhaConnectionError):
    """A timeout or the deadline passed, while a stream is read too; ``text`` is what had arrived of it."""


class SekhaStreamError(SekhaConnectionError):
    """A stream ended before it was complete.

    Attributes:
        text: What had arrived until then.
    """

    sent = True

    def __init__(self, message: str = "", *, text: str = "", **details: Any) -> None:
        super().__init__(message, **details)
        self.text = text


class SekhaWarning(UserWarning):
    """The call succeeds, but not quite as asked; the text says how."""
