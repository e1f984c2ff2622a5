"""Blocking streams that WSGI frameworks send to a visitor: their servers close a body that nobody reads any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Callable, Dict, List

import pytest

from sekha import SekhaClient
from support import facts
from support.facts import MESSAGES
from support.packages import require_packages
from support.replies import DONE, answer, chunked, delta
from support.server import FakeServer


def flask(body: Callable[[], Any]) -> Any:
    app = import_module("flask").Flask(__name__)
    app.add_url_rule("/blocking", view_func=lambda: app.response_class(body(), mimetype="text/plain"))
    return app


def django(body: Callable[[], Any]) -> Any:
    site = import_module("environments.django_site")
    site.set_up()
    site.BODIES.update({"blocking": body})
    return import_module("django.core.handlers.wsgi").WSGIHandler()


APPS = {app.__name__: app for app in (flask, django)}


@pytest.fixture
def client(bridge: FakeServer) -> Iterator[SekhaClient]:
    """A client with a single connection."""
    options: Any = {"controller_url": bridge.url, "bridge_url": bridge.url, "api_key": "k", "max_connections": 1}
    with SekhaClient(**options, timeout=5) as client:
        yield client


@pytest.fixture(params=["text stream", "generator"])
def body(request: pytest.FixtureRequest, client: SekhaClient) -> Callable[[], Any]:
    def text_stream() -> Any:
        return client.bridge.stream_complete(MESSAGES).text_stream()

    def generator() -> Iterator[str]:
        with client.bridge.stream_complete(MESSAGES) as stream:
            yield from stream.text_stream()

    return text_stream if request.param == "text stream" else generator


def visit(framework: str, body: Callable[[], Any]) -> Any:
    """Ask for the page as a server does, and return the body of the response."""
    require_packages("environments", framework, "werkzeug")
    environ: Dict[str, Any] = import_module("werkzeug.test").create_environ("/blocking")
    statuses: List[str] = []
    response = APPS[framework](body)(environ, lambda status, headers, failure=None: statuses.append(status))
    assert statuses == ["200 OK"]
    return response


@pytest.mark.promise("W10")
@pytest.mark.parametrize("framework", APPS)
def test_a_visitor_gets_the_whole_text(framework: str, body: Callable[[], Any], bridge: FakeServer) -> None:
    bridge.on("POST /v1/chat/completions", chunked(delta("Once "), delta("upon "), delta("a time", "stop"), DONE))
    response = visit(framework, body)
    assert list(response) == [b"Once ", b"upon ", b"a time"]
    response.close()


@pytest.mark.promise("W10")
@pytest.mark.parametrize("framework", APPS)
def test_a_visitor_who_leaves_frees_the_connection(
    framework: str, body: Callable[[], Any], bridge: FakeServer, client: SekhaClient
) -> None:
    bridge.on("POST /v1/chat/completions", chunked(delta("Once "), threading.Event(), DONE))
    bridge.on("GET /health", answer(facts.HEALTHY))
    response = visit(framework, body)
    assert next(iter(response)) == b"Once "
    response.close()
    client.bridge.health()
