"""The one table of endpoints against the contract and section 4 of the decisions (C13, R1, S4, C10)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekha._api import endpoints as module
from sekha._api.endpoints import ENDPOINTS
from sekha._api.model import Endpoint, RetryIfUnknown
from unit.vectors import Exchange, exchanges

CONTRACT: List[Dict[str, Any]] = json.loads((Path(__file__).parents[2] / "data" / "contract.json").read_text("utf-8"))

NOT_OFFERED = {
    ("controller", "update_folder"): "D14: 0.1 overwrites the label, so the label route is used",
    ("bridge", "root"): "says nothing that health and models do not",
    ("bridge", "metrics"): "not part of the documented surface",
}
ids = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.service.value}.{e.name}")


def test_every_row_of_the_contract_is_in_the_table_with_its_method_and_path_or_left_out_for_a_reason() -> None:
    contract = {(row["service"], row["name"]): (row["method"], row["path"]) for row in CONTRACT}
    table = {(e.service.value, e.name): (e.method, e.path) for e in ENDPOINTS if e.name != "stream_complete"}
    assert {name: contract[name] for name in contract if name not in NOT_OFFERED} == table
    assert set(NOT_OFFERED) <= set(contract)


def test_streaming_is_the_same_route_as_completing() -> None:
    one, other = module.COMPLETE, module.STREAM_COMPLETE
    assert (one.method, one.path) == (other.method, other.path)
    assert (one.retry_if_unknown, one.outcome_matters) == (other.retry_if_unknown, other.outcome_matters)


def test_the_table_holds_every_endpoint_of_its_module_once() -> None:
    defined = [value for value in vars(module).values() if isinstance(value, Endpoint)]
    assert len(defined) == len(ENDPOINTS)
    assert {id(value) for value in defined} == {id(value) for value in ENDPOINTS}
    assert len({(e.service, e.name) for e in ENDPOINTS}) == len(ENDPOINTS)


# Section 4 of the decisions, word by word.
SAFE = [
    "get_conversation",
    "list_conversations",
    "query",
    "full_text_search",
    "memory_search",
    "assemble_context",
    "count_conversations",
    "update_label",
    "pin_conversation",
    "archive_conversation",
    "delete_conversation",
    "prune_execute",
    "memory_update",
    "memory_stats",
    "memory_export",
    "memory_get_context",
    "embed",
    "score",
    "extract",
    "route",
    "health",
    "metrics",
    "models",
    "tasks",
    "provider_health",
    "rebuild_embeddings",
]
UNSAFE = ["create_conversation", "memory_store", "complete", "stream_complete"]
COSTLY = ["summarize", "prune_dry_run", "suggest_labels", "memory_prune"]


@pytest.mark.promise("R1")
@ids
def test_what_may_be_repeated_is_what_the_decisions_say(endpoint: Endpoint[Any]) -> None:
    expected = [(RetryIfUnknown.YES, SAFE), (RetryIfUnknown.NO, UNSAFE), (RetryIfUnknown.ONCE, COSTLY)]
    assert [endpoint.retry_if_unknown] == [repeat for repeat, names in expected if endpoint.name in names]
    if endpoint.method == "GET":
        assert endpoint.retry_if_unknown is RetryIfUnknown.YES
        assert not endpoint.outcome_matters


@ids
def test_a_write_is_known_as_one(endpoint: Endpoint[Any]) -> None:
    writes = [
        "create_conversation",
        "memory_store",
        "complete",
        "stream_complete",
        "update_label",
        "pin_conversation",
        "prune_execute",
        "archive_conversation",
        "delete_conversation",
        "memory_update",
    ]
    assert endpoint.outcome_matters is (endpoint.name in writes)


@ids
def test_what_a_model_or_an_embedder_keeps_busy_gets_more_time(endpoint: Endpoint[Any]) -> None:
    slow = {*UNSAFE, *COSTLY}  # completions, creates and costly calls
    assert endpoint.waits_for_model is (endpoint.name in slow)


@ids
def test_only_creates_and_stores_count_as_concurrent_writes(endpoint: Endpoint[Any]) -> None:
    assert endpoint.uses_write_slot is (endpoint.name in ("create_conversation", "memory_store"))


@ids
def test_a_path_is_absolute_has_at_most_one_id_and_nothing_to_escape(endpoint: Endpoint[Any]) -> None:
    parts = urlsplit(endpoint.path)
    assert endpoint.path.startswith("/")
    assert not endpoint.path.endswith("/")
    assert "//" not in endpoint.path
    assert (parts.query, parts.fragment) == ("", "")
    assert endpoint.path.count("{") == endpoint.path.count("{id}") <= 1


def test_the_recorded_exchanges_use_every_row_of_the_table() -> None:
    used: Set[Tuple[str, str]] = {(e.endpoint.method, e.endpoint.path) for e in exchanges() if e.endpoint is not None}
    assert {(e.method, e.path) for e in ENDPOINTS} == used


# ---- requests ----------------------------------------------------------------------------------------------------

WITH_ID = [endpoint for endpoint in ENDPOINTS if "{id}" in endpoint.path]


@given(st.sampled_from(WITH_ID), st.text(st.characters(codec="utf-8"), min_size=1))
def test_an_id_cannot_leave_its_segment(endpoint: Endpoint[Any], id: str) -> None:
    path = endpoint.request(id=id).path
    template, found = endpoint.path.split("/"), path.split("/")
    assert path.isascii()
    assert "?" not in path
    assert "#" not in path
    assert len(found) == len(template)
    for segment, expected in zip(found, template):
        assert unquote(segment) == (id if expected == "{id}" else expected)


@pytest.mark.parametrize("exchange", exchanges("story"), ids=lambda e: str(e.name))
def test_what_was_recorded_can_be_asked_for_again(exchange: Exchange) -> None:
    endpoint = exchange.endpoint
    if endpoint is None:
        assert exchange.path.endswith("/folder"), "the one route that is not offered"
        return
    id = exchange.path.split("/")[4] if "{id}" in endpoint.path else ""
    query = dict(parse_qsl(urlsplit(exchange.path).query))
    request = endpoint.request(exchange.body, id=id, query=query)
    assert request.path == exchange.path
    assert json.loads(request.content or b"null") == exchange.body
