"""Responses to visitors when Sekha fails, for all views."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from sekha import (
    SekhaConnectionError,
    SekhaError,
    SekhaRateLimitError,
    SekhaValidationError,
)

logger = logging.getLogger(__name__)


class SekhaErrorMiddleware:
    """Turns errors of the library into responses: a page, or JSON under `/api/`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Called by Django with the exception of a view."""
        if not isinstance(error, SekhaError):
            return None
        logger.warning("%s", error)  # one line with call, error and attempts; never a key
        status, message = described(error)
        if error.may_have_been_applied:
            message += " Your note may have been stored: search for it before you send it again."
        page = {"status": status, "error": message, "may_have_been_stored": error.may_have_been_applied}
        if request.path.startswith("/api/"):
            response: HttpResponse = JsonResponse(page, status=status)
        else:
            response = render(request, "notes/error.html", page, status=status)
        if status == 503 and not error.may_have_been_applied:  # otherwise clients might retry a write that succeeded
            asked = error.retry_after if isinstance(error, SekhaRateLimitError) else None
            response["Retry-After"] = str(math.ceil(asked or 5))
        return response


def described(error: SekhaError) -> tuple[int, str]:
    """Return the status and a public message; addresses and the server's message go to the log."""
    if isinstance(error, SekhaValidationError):
        return 400, error.message
    if isinstance(error, (SekhaConnectionError, SekhaRateLimitError)):
        return 503, "The memory is busy or cannot be reached at the moment."
    return 502, "The memory failed. The administrator finds the reason in the log."  # also if the API key is wrong
