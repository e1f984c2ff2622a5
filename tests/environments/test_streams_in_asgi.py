"""Streams that ASGI frameworks send to a visitor: a text stream as it is, or a generator around it as in the recipe."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import anyio.to_thread
import pytest

from environments.asgi_apps import APPS, ONLY_ASYNCIO, app_of, starlette_closing
from sekha import AsyncSekhaClient, SekhaClient
from support import facts
from support.asgi import visit
from support.facts import MESSAGES
from support.replies import DONE, answer, chunked, delta
from support.server import FakeServer


@dataclass
class Sekha:
    """A bridge that streams, and clients with a single connection."""

    server: FakeServer
    left: threading.Event
    blocking: SekhaClient
    awaited: AsyncSekhaClient

    def text_stream(self) -> Any:
        return self.blocking.bridge.stream_complete(MESSAGES).text_stream()

    async def async_text_stream(self) -> Any:
        return (await self.awaited.bridge.stream_complete(MESSAGES)).text_stream()

    def generator(self) -> Any:
        def pieces() -> Iterator[str]:
            with self.blocking.bridge.stream_complete(MESSAGES) as stream:
                yield from stream.text_stream()

        return pieces()

    async def async_generator(self) -> Any:
        async def pieces() -> AsyncIterator[str]:
            async with await self.awaited.bridge.stream_complete(MESSAGES) as stream:
                async for text in stream.text_stream():
                    yield text

        return pieces()


@pytest.fixture
async def sekha(bridge: FakeServer) -> AsyncIterator[Sekha]:
    options: Any = {"controller_url": bridge.url, "bridge_url": bridge.url, "api_key": "k", "max_connections": 1}
    with SekhaClient(**options, timeout=5) as client:
        async with AsyncSekhaClient(**options, timeout=5) as awaited:
            yield Sekha(bridge, threading.Event(), client, awaited)


def application(framework: str, sekha: Sekha, body: str) -> Any:
    if body == "text stream":
        return app_of(framework, sekha.text_stream, sekha.async_text_stream)
    return app_of(framework, sekha.generator, sekha.async_generator)


def said(framework: str, text: str) -> str:
    """The text of a body."""
    if framework != "sse_starlette":
        return text
    return "".join(line[len("data: ") :] for line in text.split("\r\n") if line.startswith("data: "))


PAGES = [
    (framework, page, backend)
    for framework in APPS
    for page in ("/async", "/blocking")
    for backend in ("asyncio", "trio")
    if not (backend == "trio" and framework in ONLY_ASYNCIO)
    if (framework, page) != ("django", "/blocking")  # Django itself warns of any blocking body under ASGI
]
each_page = pytest.mark.parametrize(("framework", "page", "anyio_backend"), PAGES)


@pytest.mark.promise("W10")
@each_page
@pytest.mark.parametrize("body", ["text stream", "generator"])
async def test_a_visitor_gets_the_whole_text(framework: str, page: str, body: str, sekha: Sekha) -> None:
    app = application(framework, sekha, body)
    sekha.server.on("POST /v1/chat/completions", chunked(delta("Once "), delta("upon "), delta("a time", "stop"), DONE))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen = await visit(app, page)
    assert (seen.status, said(framework, seen.text)) == (200, "Once upon a time")
    assert len(seen.pieces) >= 3
    assert [str(one.message) for one in caught] == []


@pytest.mark.promise("W10")
@each_page
@pytest.mark.parametrize("body", ["text stream", "generator"])
async def test_a_visitor_who_leaves_frees_the_connection(framework: str, page: str, body: str, sekha: Sekha) -> None:
    app = application(framework, sekha, body)
    if framework == "django" and not import_module("environments.django_site").NOTICES_VISITORS_WHO_LEAVE:
        pytest.skip("Django before 5.0 reads the body to its end")
    rest = threading.Event()  # never
    sekha.server.on("POST /v1/chat/completions", chunked(delta("Once "), sekha.left, delta("upon "), rest, DONE))
    sekha.server.on("GET /health", answer(facts.HEALTHY))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen = await visit(app, page, leave=sekha.left.set)
        if body == "text stream":
            await garbage_is_collected()
    assert said(framework, seen.text) == "Once "
    if page == "/async":
        await sekha.awaited.bridge.health()
    else:
        await anyio.to_thread.run_sync(sekha.blocking.bridge.health)
    categories = {one.category for one in caught}
    # Frameworks that close nothing leave a stream to the garbage collector, which says so; the generator closes it.
    assert categories <= ({ResourceWarning} if body == "text stream" else set()), [str(one.message) for one in caught]


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_response_that_closes_its_stream_leaves_nothing_to_the_garbage_collector(
    leaves: bool, sekha: Sekha
) -> None:
    more = (sekha.left,) if leaves else ()
    sekha.server.on("POST /v1/chat/completions", chunked(delta("Once "), *more, delta("upon", "stop"), DONE))
    sekha.server.on("GET /health", answer(facts.HEALTHY))
    app = starlette_closing(lambda: sekha.awaited.bridge.stream_complete(MESSAGES))
    gc.disable()
    try:
        seen = await visit(app, "/async", leave=sekha.left.set if leaves else None)
        assert seen.text == ("Once " if leaves else "Once upon")
        await sekha.awaited.bridge.health()
    finally:
        gc.enable()


async def garbage_is_collected() -> None:
    """Let the event loop and worker threads lose what they have of an application that has ended."""
    for _ in range(3):
        await anyio.sleep(0.01)
        gc.collect()


@pytest.fixture(autouse=True)
def _little_garbage() -> Iterator[None]:
    """Collections look at the objects of one test."""
    gc.freeze()
    yield
    gc.unfreeze()
