"""Errors whose status is misleading, and what is added to their messages."""

from __future__ import annotations

import json
from typing import Any, Optional, Type

import pytest

from sekha._api import endpoints
from sekha._api.compat.error_overrides import add_hints, find_conversation_id
from sekha._api.error_response import error_from_response
from sekha._api.model import Endpoint, Service
from sekha.errors import SekhaAPIError, SekhaNotFoundError, SekhaRateLimitError, SekhaServerError, SekhaValidationError
from unit.vectors import Exchange, answer, exchanges, parse, recorded

UNKNOWN = "1a111111-2222-4333-8444-55555555555a"


# ---- full text (D53) ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "exchange", [e for e in exchanges("controller") if e.name.startswith("fts_syntax")], ids=lambda e: str(e.name)
)
def test_every_recorded_fts_syntax_error_is_a_validation_error_and_final(exchange: Exchange) -> None:
    with pytest.raises(SekhaValidationError, match="raw=True") as caught:
        parse(endpoints.FULL_TEXT_SEARCH, exchange.answer)
    assert caught.value.status_code == 500
    assert not caught.value._retryable


# ---- models that are down (D64), and other answers that mean something else (D15, D16, D49, D59) -------------------


@pytest.mark.parametrize(
    ("endpoint", "status", "words", "cls", "hint"),
    [
        (endpoints.PIN_CONVERSATION, 500, "Entity not found: x", SekhaNotFoundError, ""),
        (endpoints.SUMMARIZE, 500, "Entity not found: x", SekhaNotFoundError, ""),
        (endpoints.UPDATE_LABEL, 404, "Entity not found: x", SekhaNotFoundError, ""),
        (endpoints.UPDATE_LABEL, 404, "Database error: locked", SekhaServerError, ""),
        (endpoints.UPDATE_LABEL, 500, "Database error: locked", SekhaServerError, ""),
        (endpoints.DELETE_CONVERSATION, 404, "Conversation not found", SekhaNotFoundError, ""),
        (
            endpoints.DELETE_CONVERSATION,
            500,
            "Chroma error: Collection not found: messages",
            SekhaServerError,
            "archive_conversation",
        ),
        (endpoints.DELETE_CONVERSATION, 500, "Chroma error: down", SekhaServerError, ""),
        (endpoints.FULL_TEXT_SEARCH, 500, "Database error: disk", SekhaServerError, ""),
        (endpoints.MEMORY_PRUNE, 500, "", SekhaServerError, "prune_dry_run"),
        (endpoints.MEMORY_GET_CONTEXT, 404, "", SekhaNotFoundError, ""),
    ],
)
def test_what_an_error_means_is_told_where_the_status_misleads(
    endpoint: Endpoint[Any], status: int, words: str, cls: Type[SekhaAPIError], hint: str
) -> None:
    with pytest.raises(SekhaAPIError) as caught:
        parse(endpoint, answer({"error": words} if words else b"", status))
    assert type(caught.value) is cls
    assert caught.value.status_code == status
    assert words in caught.value.message
    assert hint in caught.value.message


def test_what_cannot_be_deleted_says_what_to_do_and_is_final() -> None:
    with pytest.raises(SekhaServerError, match="named `messages`") as caught:
        parse(endpoints.DELETE_CONVERSATION, recorded("delete_embedded", "story").answer)
    assert not caught.value._retryable


# ---- what only our side knows (D27, D38) ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["auth_wrong", "auth_short", "auth_missing"])
def test_a_401_of_the_tools_says_which_key_was_sent_and_which_is_needed(name: str) -> None:
    found = recorded(name, "mcp").answer
    error = error_from_response("POST", "/x", found.status, found.headers, found.body)
    add_hints(error, Service.MCP, key_name="api_key")
    assert json.loads(found.text)["error"] in error.message
    assert "The key sent was api_key" in error.message
    assert "SEKHA_MCP_API_KEY" in error.message


@pytest.mark.parametrize(
    ("service", "asked", "told"),
    [
        (Service.CONTROLLER, None, 60.0),
        (Service.MCP, None, 60.0),
        (Service.BRIDGE, None, None),
        (Service.CONTROLLER, "7", 7.0),
    ],
)
def test_a_429_of_the_controller_says_when_to_come_back(
    service: Service, asked: Optional[str], told: Optional[float]
) -> None:
    error = error_from_response("GET", "/x", 429, {"retry-after": asked} if asked else {}, b"Rate limit exceeded.")
    add_hints(error, service, key_name="api_key")
    assert isinstance(error, SekhaRateLimitError)
    assert error.retry_after == told


def test_an_error_of_another_kind_is_not_explained() -> None:
    for service, status in ((Service.CONTROLLER, 401), (Service.MCP, 500), (Service.BRIDGE, 401)):
        error = error_from_response("GET", "/x", status, {}, b"words")
        add_hints(error, service, key_name="api_key")
        assert error.message == "words"


@pytest.mark.parametrize(
    ("words", "id"),
    [
        (f"Entity not found: Conversation {UNKNOWN.upper()} not found", UNKNOWN),
        ("no id here", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_conversation_that_an_error_speaks_of_is_found(words: str, id: Optional[str]) -> None:
    assert find_conversation_id(words) == id
