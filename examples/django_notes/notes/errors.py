"""What a visitor gets when Sekha fails, from whichever view."""

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
    """Turns the errors of the library into answers: a page, or JSON below `/api/`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Called by Django with what a view raised."""
        if not isinstance(error, SekhaError):
            return None
        logger.warning("%s", error)  # one line: what, where, how often; never a key
        status, message = described(error)
        if error.may_have_been_applied:
            message += " Your note may have been stored: search for it before you send it again."
        page = {"status": status, "error": message, "may_have_been_stored": error.may_have_been_applied}
        if request.path.startswith("/api/"):
            response: HttpResponse = JsonResponse(page, status=status)
        else:
            response = render(request, "notes/error.html", page, status=status)
        if status == 503 and not error.may_have_been_applied:  # nobody shall repeat that without a look
            asked = error.retry_after if isinstance(error, SekhaRateLimitError) else None
            response["Retry-After"] = str(math.ceil(asked or 5))
        return response


def described(error: SekhaError) -> tuple[int, str]:
    """The status, and words for a visitor: what Sekha said beyond that, and where it runs, is for the log alone."""
    if isinstance(error, SekhaValidationError):
        return 400, error.message
    if isinstance(error, (SekhaConnectionError, SekhaRateLimitError)):
        return 503, "The memory is busy or cannot be reached at the moment."
    return 502, "The memory could not do this. Its keeper finds the reason in the log."  # also where our key is wrong
