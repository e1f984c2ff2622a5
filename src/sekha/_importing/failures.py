"""What the failure of one conversation means for the others."""

from __future__ import annotations

from typing import NamedTuple

from sekha.errors import SekhaAPIError, SekhaAuthError, SekhaConnectionError, SekhaError, SekhaValidationError

_MAX_FAILURE_STREAK = 3
"""Consecutive failures that may not be the fault of a conversation, after which no more requests are made."""
_GATEWAY_STATUSES = (502, 503, 504)


class FailureVerdict(NamedTuple):
    """What a failure to store an item means.

    Attributes:
        is_reported: Whether the report lists it.
        streak: Consecutive failures so far that may not be the fault of a conversation.
        ends_import: Whether the next items would fare no better.
    """

    is_reported: bool
    streak: int
    ends_import: bool


def judge_failure(error: SekhaError, streak: int) -> FailureVerdict:
    """Return what the failure of an item means.

    1. It is certainly not stored, and the key, the client or the server is at fault: the import ends, and the item is
       left to the next run.
    2. It is certainly not stored, and is refused: the import goes on, unless that happens several times in a row for
       another reason than its content.
    3. Its outcome is unknown: the import goes on, unless the connection or a gateway failed, or that happens several
       times in a row.

    Args:
        error: The error of the item.
        streak: Consecutive failures before it that may not be the fault of a conversation.
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
