"""One small application for each ASGI framework: the page `/blocking` streams a blocking body, `/async` an async one.

The frameworks are imported by name, since they are not installed where only types are checked.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Awaitable, Callable, Dict

from support.packages import require_packages

Blocking = Callable[[], Any]
Awaited = Callable[[], Awaitable[Any]]


def starlette(blocking: Blocking, awaited: Awaited) -> Any:
    return _starlette(import_module("starlette.responses").StreamingResponse, blocking, awaited)


def starlette_closing(stream: Awaited) -> Any:
    """The recipe of docs/recipes/fastapi.md: the response closes its stream."""
    require_packages("environments", "starlette")
    streaming_response: Any = import_module("starlette.responses").StreamingResponse

    class TextResponse(streaming_response):  # type: ignore[misc]  # its class is not known where only types are checked
        def __init__(self, stream: Any) -> None:
            super().__init__(stream.text_stream(), media_type="text/plain")
            self.stream = stream

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async with self.stream:
                await super().__call__(scope, receive, send)

    async def page(request: Any) -> Any:
        return TextResponse(await stream())

    route = import_module("starlette.routing").Route
    return import_module("starlette.applications").Starlette(routes=[route("/async", page)])


def sse_starlette(blocking: Blocking, awaited: Awaited) -> Any:
    return _starlette(import_module("sse_starlette.sse").EventSourceResponse, blocking, awaited)


def _starlette(response: Any, blocking: Blocking, awaited: Awaited) -> Any:
    async def blocking_page(request: Any) -> Any:
        return response(blocking())

    async def async_page(request: Any) -> Any:
        return response(await awaited())

    route = import_module("starlette.routing").Route
    pages = [route("/blocking", blocking_page), route("/async", async_page)]
    return import_module("starlette.applications").Starlette(routes=pages)


def fastapi(blocking: Blocking, awaited: Awaited) -> Any:
    response = import_module("fastapi.responses").StreamingResponse
    app = import_module("fastapi").FastAPI()

    def blocking_page() -> Any:  # FastAPI runs it in a thread
        return response(blocking(), media_type="text/plain")

    async def async_page() -> Any:
        return response(await awaited(), media_type="text/plain")

    app.get("/blocking")(blocking_page)
    app.get("/async")(async_page)
    return app


def litestar(blocking: Blocking, awaited: Awaited) -> Any:
    litestar = import_module("litestar")

    def blocking_page() -> Any:
        return litestar.response.Stream(blocking(), media_type="text/plain")

    async def async_page() -> Any:
        return litestar.response.Stream(await awaited(), media_type="text/plain")

    pages = [litestar.get("/blocking", sync_to_thread=True)(blocking_page), litestar.get("/async")(async_page)]
    return litestar.Litestar(pages, openapi_config=None)


def quart(blocking: Blocking, awaited: Awaited) -> Any:
    app = import_module("quart").Quart(__name__)

    async def blocking_page() -> Any:
        return app.response_class(blocking(), mimetype="text/plain")

    async def async_page() -> Any:
        return app.response_class(await awaited(), mimetype="text/plain")

    app.get("/blocking")(blocking_page)
    app.get("/async")(async_page)
    return app


def django(blocking: Blocking, awaited: Awaited) -> Any:
    site = import_module("environments.django_site")
    site.set_up()
    site.BODIES.update({"blocking": blocking, "async": awaited})
    return import_module("django.core.handlers.asgi").ASGIHandler()


APPS: Dict[str, Callable[[Blocking, Awaited], Any]] = {
    app.__name__: app for app in (starlette, fastapi, sse_starlette, litestar, quart, django)
}
"""By the name of the package."""
ONLY_ASYNCIO = ("quart", "django", "sse_starlette")


def app_of(framework: str, blocking: Blocking, awaited: Awaited) -> Any:
    """Make an application, or skip the test where its framework is not installed."""
    require_packages("environments", framework)
    return APPS[framework](blocking, awaited)
