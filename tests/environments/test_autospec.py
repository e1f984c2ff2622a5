"""Mocks that are made from the classes know the services and the signatures of their methods."""

from __future__ import annotations

import inspect
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, get_type_hints
from unittest.mock import AsyncMock, MagicMock, Mock, create_autospec, patch

import pytest

import sekha
from sekha import AsyncSekhaClient, AsyncStream, SekhaClient, Stream
from support.calls import CALLS

SERVICES = ("controller", "bridge", "mcp")
MADE = {
    "create_autospec(instance=True)": lambda cls: create_autospec(cls, instance=True),
    "create_autospec()": lambda cls: create_autospec(cls)(),
}


@pytest.mark.parametrize("cls", [SekhaClient, AsyncSekhaClient])
@pytest.mark.parametrize("made", MADE)
def test_an_autospec_has_every_method_of_the_services_with_its_signature(made: str, cls: Any) -> None:
    mock = MADE[made](cls)
    services = get_type_hints(cls)
    for call in CALLS:
        method = getattr(getattr(mock, call.service), call.method)
        _, *parameters = inspect.signature(getattr(services[call.service], call.method)).parameters.values()
        assert list(inspect.signature(method).parameters.values()) == parameters
        with pytest.raises(TypeError):
            method(no_such_argument=1)
        result = call.on(mock)
        assert inspect.iscoroutine(result) is (cls is AsyncSekhaClient)
        if inspect.iscoroutine(result):
            result.close()
    for service in SERVICES:
        with pytest.raises(AttributeError):
            getattr(mock, service).no_such_method  # noqa: B018 - looking it up is what fails
    with pytest.raises(AttributeError):
        mock.no_such_service  # noqa: B018 - the same


def test_answers_of_a_blocking_mock() -> None:
    client = create_autospec(SekhaClient, instance=True)
    client.controller.query.return_value = {"results": []}
    assert client.controller.query("login", limit=3) == {"results": []}
    client.controller.query.assert_called_once_with("login", limit=3)
    assert isinstance(client, SekhaClient)
    assert isinstance(client.controller, sekha.MemoryController)


async def test_answers_of_an_async_mock() -> None:
    client = create_autospec(AsyncSekhaClient, instance=True)
    client.__aenter__.return_value = client
    assert isinstance(client.controller.query, AsyncMock)
    client.controller.query.return_value = {"results": []}
    async with client as entered:
        assert await entered.controller.query("login", limit=3) == {"results": []}
    client.controller.query.assert_awaited_once_with("login", limit=3)
    with pytest.raises(TypeError, match="query"):
        await client.controller.query()


def test_a_patched_class_gives_such_clients() -> None:
    with patch("sekha.SekhaClient", autospec=True) as made:
        made.return_value.bridge.complete.return_value = {"choices": []}
        answer: Any = sekha.SekhaClient(controller_url="http://localhost:8080").bridge.complete([])
        assert answer == {"choices": []}
        with pytest.raises(TypeError, match="messages"):
            made.return_value.bridge.complete()


@pytest.mark.parametrize("cls", [SekhaClient, AsyncSekhaClient])
@pytest.mark.parametrize("kind", [Mock, MagicMock])
def test_a_spec_has_the_services(kind: Any, cls: Any) -> None:
    mock = kind(spec=cls)
    for service in SERVICES:
        assert getattr(mock, service).anything() is not None
    with pytest.raises(AttributeError):
        mock.no_such_service  # noqa: B018 - looking it up is what fails


async def test_mocks_of_streams_give_what_they_are_told() -> None:
    stream = create_autospec(Stream, instance=True)
    stream.text_stream.return_value = ["Once ", "upon"]
    assert "".join(stream.text_stream()) == "Once upon"
    awaited = create_autospec(AsyncStream, instance=True)
    awaited.__aiter__.return_value = ["Once ", "upon"]
    assert [one async for one in awaited] == ["Once ", "upon"]


@pytest.mark.parametrize(
    "made", [MagicMock, lambda spec: create_autospec(spec, instance=True)], ids=["MagicMock", "create_autospec"]
)
def test_a_mock_is_a_context_manager_of_its_own_flavour_only(made: Any) -> None:
    for cls, is_async in ((SekhaClient, False), (AsyncSekhaClient, True)):
        mock = made(cls)
        assert isinstance(mock, AbstractAsyncContextManager) is is_async
        assert isinstance(mock, AbstractContextManager) is not is_async


@pytest.mark.parametrize("cls", [sekha.AsyncMemoryStream, sekha.MemoryStream])
def test_an_autospec_of_a_stream_has_its_sources(cls: Any) -> None:
    stream = create_autospec(cls, instance=True)
    stream.memories, stream.memory_error = [], None
    with pytest.raises(AttributeError):
        stream.no_such_attribute  # noqa: B018 - looking it up is what fails


async def test_streaming_calls_of_an_async_mock_are_awaited() -> None:
    client = create_autospec(AsyncSekhaClient, instance=True)
    for method in (client.stream_with_context, client.stream_with_memory, client.bridge.stream_complete):
        assert isinstance(method, AsyncMock)
        method.return_value = create_autospec(sekha.AsyncMemoryStream, instance=True)
        assert isinstance(await method([]), AsyncStream)
