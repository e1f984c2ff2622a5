"""Decide whether an import continues after the failure of a conversation."""

from __future__ import annotations

from typing import NamedTuple

from sekha.errors import SekhaAPIError, SekhaAuthError, SekhaConnectionError, SekhaError, SekhaValidationError

_MAX_FAILURE_STREAK = 3
"""Maximum number of consecutive failures that are not caused by the conversation itself."""
_GATEWAY_STATUSES = (502, 503, 504)


class FailureVerdict(NamedTuple):
    """The consequences of a failure to store an item.

    Attributes:
        is_reported: Whether the report lists it.
        streak: Number of consecutive failures that are not caused by the conversation itself.
        ends_import: Whether the import ends, since the next items would fail, too.
    """

    is_reported: bool
    streak: int
    ends_import: bool


def judge_failure(error: SekhaError, streak: int) -> FailureVerdict:
    """Return the consequences of the failure of an item.

    1. The item was certainly not stored, because of the API key, the client or the server: the import ends, and the
       next run retries the item.
    2. The item was certainly not stored, since the server rejected it: the import continues, unless this happens
       several times in a row for another reason than the content.
    3. The outcome is unknown: the import continues, unless the connection or a gateway failed, or this happens several
       times in a row.

    Args:
        error: The error of the item.
        streak: Number of consecutive failures before it that are not caused by the conversation itself.

    Returns:
        The consequences.
    """
    status = error.status_code if isinstance(error, SekhaAPIError) else 0
    if not error.may_have_been_applied:
        if status == 0 or status >= 500 or isinstance(error, SekhaAuthError):
            return FailureVerdict(False, streak, True)
        streak += not isinstance(error, SekhaValidationError)
        return FailureVerdict(True, streak, streak >= _MAX_FAILURE_STREAK)
    streak += 1
    is_unreachable = isinstance(error, SekhaConnectionError) or status in _GATEWAY_STATUSES
    return FailureVerdict(True, streak, is_unreachable or streak >= _MAX_FAILURE_STREAK)
