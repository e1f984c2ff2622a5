"""Mocks of httpx see the calls of a client with an `http_client`, and of no other, as docs/guides/testing.md says."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple
from unittest import mock

import httpx
import pytest

from sekha import AsyncSekhaClient, SekhaClient, SekhaConfigError, SekhaConnectionError, SekhaTimeoutError
from support import facts
from support.facts import MESSAGES
from support.packages import require_packages
from support.replies import DONE, answer, chunked, delta
from support.server import FakeServer

require_packages("environments", "httpx2", "pook", "pytest_httpx", "respx", "vcr")

pook: Any = import_module("pook")
pytest_httpx: Any = import_module("pytest_httpx")
respx: Any = import_module("respx")
vcr: Any = import_module("vcr")

QUERY, CHAT = "POST /api/v1/query", "POST /v1/chat/completions"
MOCKED = facts.hits(facts.hit(label="mocked"))
EVENTS = (delta("mock"), delta("ed", "stop"), DONE)
CASSETTE = {"match_on": ["method", "path"], "filter_headers": ["authorization"]}
EVENT_STREAM = {"content-type": "text/event-stream"}


class World(NamedTuple):
    """What a mock needs.

    Attributes:
        url: Address of the server, which must not be asked.
        request: The test, whose fixture pytest-httpx's mock is.
        cassette: What vcrpy has recorded.
    """

    url: str
    request: pytest.FixtureRequest
    cassette: Path


def mocked_response(request: httpx.Request) -> httpx.Response:
    """What all mocks answer."""
    if request.url.path == "/api/v1/query":
        return httpx.Response(200, json=MOCKED)
    assert json.loads(request.content)["stream"]
    return httpx.Response(200, headers=EVENT_STREAM, content=b"".join(EVENTS))


@contextmanager
def by_respx(world: World) -> Iterator[None]:
    with respx.mock(assert_all_called=False) as router:
        router.route().mock(side_effect=mocked_response)
        yield


@contextmanager
def by_pytest_httpx(world: World) -> Iterator[None]:
    httpx_mock = world.request.getfixturevalue("httpx_mock")
    httpx_mock.add_response(url=f"{world.url}/api/v1/query", json=MOCKED)
    stream = pytest_httpx.IteratorStream(EVENTS)
    httpx_mock.add_response(url=f"{world.url}/v1/chat/completions", headers=EVENT_STREAM, stream=stream)
    yield


@contextmanager
def by_pook(world: World) -> Iterator[None]:
    pook.on()
    try:
        pook.post(f"{world.url}/api/v1/query").reply(200).json(MOCKED)
        events = pook.post(f"{world.url}/v1/chat/completions").reply(200).headers(EVENT_STREAM)
        events.body(b"".join(EVENTS))
        yield
    finally:
        pook.off()


@contextmanager
def by_vcrpy(world: World) -> Iterator[None]:
    """A cassette that was recorded before, and no request that is not in it."""
    with vcr.use_cassette(str(world.cassette), record_mode="none", **CASSETTE):
        yield


@contextmanager
def by_mock_patch(world: World) -> Iterator[None]:
    def send(request: httpx.Request, **options: Any) -> httpx.Response:
        return mocked_response(request)

    async def async_send(request: httpx.Request, **options: Any) -> httpx.Response:
        return mocked_response(request)

    with (
        mock.patch("httpx.Client.send", side_effect=send),
        mock.patch("httpx.AsyncClient.send", side_effect=async_send),
    ):
        yield


Mocking = Callable[[World], AbstractContextManager[None]]
MOCKS: List[Mocking] = [by_respx, by_pytest_httpx, by_pook, by_vcrpy, by_mock_patch]


def calls(url: str, **options: Any) -> List[str]:
    """Make a call and read a stream; return the label and the text."""
    with SekhaClient(controller_url=url, bridge_url=url, api_key="k", **options) as client:
        label = client.controller.query("x")["results"][0]["label"]
        return [label, client.bridge.stream_complete(MESSAGES).get_final_text()]


async def async_calls(url: str, **options: Any) -> List[str]:
    """Do the same in a task."""
    async with AsyncSekhaClient(controller_url=url, bridge_url=url, api_key="k", **options) as client:
        label = (await client.controller.query("x"))["results"][0]["label"]
        return [label, await (await client.bridge.stream_complete(MESSAGES)).get_final_text()]


@pytest.fixture(scope="module")
def cassette(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What vcrpy has recorded of a server that answers as the mocks do."""
    cassette = tmp_path_factory.mktemp("cassettes") / "cassette.yaml"
    server = FakeServer()
    server.on(QUERY, answer(MOCKED))
    server.on(CHAT, chunked(*EVENTS))
    with vcr.use_cassette(str(cassette), record_mode="once", **CASSETTE), httpx.Client() as http_client:
        assert calls(server.url, http_client=http_client) == ["mocked", "mocked"]
    server.close()
    server.check()
    assert "Bearer" not in cassette.read_text("utf-8")
    return cassette


@pytest.fixture
def world(server: FakeServer, request: pytest.FixtureRequest, cassette: Path) -> World:
    """A server that answers otherwise than the mocks."""
    server.always(QUERY, answer(facts.hits(facts.hit(label="real"))))
    server.always(CHAT, chunked(delta("real", "stop"), DONE))
    return World(server.url, request, cassette)


@pytest.mark.parametrize("mocking", MOCKS)
def test_a_client_of_httpx_is_seen(mocking: Mocking, world: World, server: FakeServer) -> None:
    with mocking(world), httpx.Client() as http_client:
        assert calls(world.url, http_client=http_client) == ["mocked", "mocked"]
    assert server.seen == []


@pytest.mark.parametrize("mocking", MOCKS)
async def test_an_async_client_of_httpx_is_seen(mocking: Mocking, world: World, server: FakeServer) -> None:
    with mocking(world):
        async with httpx.AsyncClient() as http_client:
            assert await async_calls(world.url, http_client=http_client) == ["mocked", "mocked"]
    assert server.seen == []


def test_a_transport_of_the_user_is_asked(world: World, server: FakeServer) -> None:
    with httpx.Client(transport=httpx.MockTransport(mocked_response)) as http_client:
        assert calls(world.url, http_client=http_client) == ["mocked", "mocked"]
    assert server.seen == []


async def test_an_async_transport_of_the_user_is_asked(world: World, server: FakeServer) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(mocked_response)) as http_client:
        assert await async_calls(world.url, http_client=http_client) == ["mocked", "mocked"]
    assert server.seen == []


@pytest.mark.httpx_mock(assert_all_responses_were_requested=False)
@pytest.mark.parametrize("mocking", MOCKS)
async def test_any_other_client_is_not_seen(mocking: Mocking, world: World, server: FakeServer) -> None:
    """Not even a cassette that promises to send nothing."""
    with mocking(world):
        assert calls(world.url) == ["real", "real"]
        assert await async_calls(world.url) == ["real", "real"]
    assert server.lines == [QUERY, CHAT] * 2


@pytest.mark.httpx_mock(assert_all_responses_were_requested=False)
@pytest.mark.parametrize(
    ("mocking", "seen"), [(by_respx, True), (by_pytest_httpx, True), (by_pook, False), (by_mock_patch, False)]
)
def test_through_a_proxy_only_some_mocks_see_it(
    mocking: Mocking, seen: bool, world: World, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, the transport of httpx sends the calls, and no client of it."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with mocking(world):
        if seen:
            assert calls(world.url) == ["mocked", "mocked"]
        else:
            with pytest.raises(SekhaConnectionError, match="through the proxy"):
                calls(world.url, max_retries=0)
    assert server.seen == []


def test_what_a_mock_does_not_expect_is_its_own_error(world: World) -> None:
    with SekhaClient(controller_url=world.url, api_key="k", http_client=httpx.Client()) as client:
        with respx.mock, pytest.raises(respx.models.AllMockedAssertionError):
            client.controller.query("x")
        with by_pook(world._replace(url="http://elsewhere.test")), pytest.raises(pook.exceptions.PookNoMatches):
            client.controller.query("x")
        with vcr.use_cassette(str(world.cassette), record_mode="none"):  # its server has another port
            with pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException):
                client.controller.query("x")


@pytest.mark.httpx_mock(assert_all_requests_were_expected=False)
def test_what_pytest_httpx_does_not_expect_is_a_timeout(world: World, httpx_mock: Any) -> None:
    with SekhaClient(controller_url=world.url, api_key="k", http_client=httpx.Client(), max_retries=0) as client:
        with pytest.raises(SekhaTimeoutError) as caught:
            client.controller.query("x")
    assert "No response can be found" in str(caught.value.__cause__)
    assert len(httpx_mock.get_requests()) == 1


def test_a_client_of_httpx2_is_refused_by_its_name() -> None:
    httpx2: Any = import_module("httpx2")
    for cls, http_client in ((SekhaClient, httpx2.Client()), (AsyncSekhaClient, httpx2.AsyncClient())):
        name = type(http_client).__name__
        with pytest.raises(SekhaConfigError, match=rf"^http_client: must be an httpx\.{name}, not httpx2\.{name}$"):
            cls(controller_url="http://127.0.0.1:9", api_key="k", http_client=http_client)
