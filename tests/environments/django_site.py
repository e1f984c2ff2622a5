"""A Django project of one module: its pages answer with what the tests put into `BODIES`."""

from __future__ import annotations

from typing import Any, Callable, Dict

import django
from django.conf import settings
from django.http import StreamingHttpResponse
from django.urls import path

BODIES: Dict[str, Callable[[], Any]] = {}
"""Functions that make a body, by kind; those of an async body are awaited."""
NOTICES_VISITORS_WHO_LEAVE = django.VERSION >= (5,)


def blocking(request: object) -> StreamingHttpResponse:
    return StreamingHttpResponse(BODIES["blocking"](), content_type="text/plain")


async def awaited(request: object) -> StreamingHttpResponse:
    return StreamingHttpResponse(await BODIES["async"](), content_type="text/plain")


urlpatterns = [path("blocking", blocking), path("async", awaited)]


def set_up() -> None:
    """Configure Django, once in a process."""
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="s", USE_I18N=False)
        django.setup()
