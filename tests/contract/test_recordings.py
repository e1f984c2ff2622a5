"""The table of recorded answers knows every route of the contract."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest

from support.recorded import FILES, FOLDER, ID, Exchange, exchanges, reason, row_of

CONTRACT: List[Dict[str, Any]] = json.loads((FOLDER.parent / "contract.json").read_text(encoding="utf-8"))
ROUTES = [(route, path) for route in CONTRACT for path in (route["path"], *route.get("aliases", ()))]
NOT_USED = {"/api/v1/conversations/{id}/folder", "/", "/metrics/"}


def asked(service: str, method: str, path: str, status: int = 200) -> Exchange:
    """A recorded request with an empty answer."""
    return Exchange("made up", service == "bridge", method, path, None, False, status, {}, b"", "")


@pytest.mark.parametrize(("route", "path"), ROUTES, ids=lambda one: one if isinstance(one, str) else one["service"])
def test_every_route_has_its_method_or_a_reason(route: Dict[str, Any], path: str) -> None:
    exchange = asked(route["service"], route["method"], path.replace("{id}", ID))
    row = row_of(exchange)
    assert (row is None) == (path in NOT_USED)
    if row is None:
        assert reason(exchange)
    else:
        assert row.service == route["service"]
        assert route["path"] in row.line


@pytest.mark.parametrize(
    ("service", "method", "path", "status", "words"),
    [
        ("controller", "OPTIONS", "/api/v1/conversations", 200, "OPTIONS"),
        ("controller", "POST", f"/api/v1/conversations/{ID}", 405, "another method"),
        ("bridge", "PUT", "/embeddings", 405, "another method"),
        ("controller", "GET", "/api/v1/conversations/count/", 404, "slash"),
        ("controller", "GET", "/api/v1/nothing", 429, "no such route"),
        ("mcp", "GET", "/mcp/tools", 404, "no such route"),
    ],
)
def test_what_no_method_asks_for_has_a_reason(service: str, method: str, path: str, status: int, words: str) -> None:
    exchange = asked(service, method, path, status)
    assert row_of(exchange) is None
    assert words in reason(exchange)


def test_a_route_that_nobody_knows_is_no_reason() -> None:
    with pytest.raises(LookupError, match="GET /api/v2/new"):
        reason(asked("controller", "GET", "/api/v2/new"))


def test_every_file_is_played() -> None:
    assert {f"{file}.jsonl" for file in FILES} == {path.name for path in FOLDER.iterdir()}
    assert sum(1 for file in FILES for _ in exchanges(file)) == 521
