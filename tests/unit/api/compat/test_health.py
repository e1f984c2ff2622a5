"""Health in one shape, and models that are down."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from sekha._api import endpoints
from sekha._api.compat.health import add_key_check, health_from_error
from sekha._api.model import Endpoint
from sekha.errors import (
    SekhaAPIError,
    SekhaAuthError,
    SekhaClosedError,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaNotFoundError,
    SekhaPermissionError,
    SekhaRateLimitError,
    SekhaServerError,
    SekhaTimeoutError,
)
from support import facts
from unit.vectors import answer, parse, recorded

# ---- shapes of several servers (D5, D7, D9, D22, D23, D29-D33, D43) ------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "body", "status", "expected"),
    [
        (endpoints.CONTROLLER_HEALTH, "OK", 200, ("healthy", {})),
        (endpoints.CONTROLLER_HEALTH, {"status": "healthy", "version": "2", "uptime_seconds": 0}, 200, ("healthy", {})),
        (endpoints.CONTROLLER_HEALTH, b"", 503, ("unhealthy", {})),
        (endpoints.CONTROLLER_HEALTH, {"status": "healthy"}, 503, ("unhealthy", {})),
        (endpoints.CONTROLLER_HEALTH, {"status": "degraded"}, 200, ("degraded", {})),
        (endpoints.CONTROLLER_HEALTH, {"status": "healthy", "checks": {"db": True, "llm": "slow"}}, 200,
         ("healthy", {"db": {"status": "ok"}, "llm": {"status": "slow"}})),
        (endpoints.CONTROLLER_HEALTH, {"status": "healthy", "checks": None}, 200, ("healthy", {})),
        (endpoints.BRIDGE_HEALTH, {"detail": "no provider"}, 503, ("unhealthy", {})),
        (endpoints.BRIDGE_HEALTH, b"", 500, ("unhealthy", {})),
        (endpoints.BRIDGE_HEALTH, {"status": "degraded", "checks": {"a": False}}, 200,
         ("degraded", {"a": {"status": "failed"}})),
    ],
)  # fmt: skip
def test_health_has_one_shape_and_is_never_an_error(
    endpoint: Endpoint[Any], body: Any, status: int, expected: Any
) -> None:
    found = parse(endpoint, answer(body, status))
    assert (found["status"], found["checks"]) == expected
    if status >= 400:
        assert found["error"]
    else:
        assert not found.get("error")


@pytest.mark.parametrize("endpoint", [endpoints.CONTROLLER_HEALTH, endpoints.BRIDGE_HEALTH])
@pytest.mark.parametrize("body", ["<html>Please log in</html>", "[]", "5"])
def test_a_200_from_somebody_else_is_not_healthy(endpoint: Endpoint[Any], body: str) -> None:
    found = parse(endpoint, answer(body, content_type="text/html"))
    assert found["status"] == "unhealthy"
    assert found["error"]


@pytest.mark.promise("C7", "W4")
@pytest.mark.parametrize("endpoint", [endpoints.CONTROLLER_HEALTH, endpoints.BRIDGE_HEALTH])
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"error": "boom"}, "boom"),
        ({"error": {"message": "boom", "code": 500}}, "boom"),
        ({"error": {}}, '{"error": {}}'),
        ({"error": True, "message": "boom"}, "boom"),
        ({"Error": "boom"}, "boom"),
        ({"errors": [{"message": "boom"}]}, "boom"),
        ({"detail": "boom"}, "boom"),
        ({"message": "boom", "code": 500}, "boom"),
        ({"object": "error", "message": "boom"}, "boom"),
        ({"success": False}, '{"success": false}'),
        ({"success": False, "error": "boom"}, "boom"),
        ({"status": "error"}, '{"status": "error"}'),
        ({"status": "Error", "message": "boom"}, "boom"),
        ({"status": "failed", "detail": "boom"}, "boom"),
        ({"status": None, "error": "boom"}, "boom"),
        ({"status": 500, "error": "Internal Server Error", "path": "/health"}, "Internal Server Error"),
        ({"checks": {}, "error": "boom"}, "boom"),
    ],
)
def test_an_error_that_comes_with_200_is_not_healthy(endpoint: Endpoint[Any], body: Any, error: str) -> None:
    found = parse(endpoint, answer(body))
    assert (found["status"], found["checks"], found["error"]) == ("unhealthy", {}, error)


@pytest.mark.parametrize(
    "body",
    [
        {"status": "degraded", "error": "the model is slow"},
        {"status": "healthy", "error": None},
        {"status": "healthy", "message": "all is well"},
        {"status": "ok", "detail": "all is well", "errors": []},
    ],
)
def test_a_server_that_says_its_status_has_it(body: Any) -> None:
    of_a_bridge: Dict[str, Any] = {"models_loaded": []}
    for endpoint, more in ((endpoints.CONTROLLER_HEALTH, {}), (endpoints.BRIDGE_HEALTH, of_a_bridge)):
        found = parse(endpoint, answer({**body, **more}))
        assert found == {**body, **more, "checks": {}}


@pytest.mark.parametrize(
    "body", [{"hello": "world"}, {"version": "1.0"}, {"name": "a", "tagline": "b"}, {"error": None}]
)
def test_an_object_that_says_nothing_of_health_is_no_report(body: Any) -> None:
    for endpoint, service in ((endpoints.CONTROLLER_HEALTH, "a controller"), (endpoints.BRIDGE_HEALTH, "a bridge")):
        found = parse(endpoint, answer(body))
        assert found["status"] == "unhealthy"
        assert str(found.get("error")).startswith(f"this address is not {service}: ")


@pytest.mark.parametrize(
    ("name", "status", "checks"),
    [
        ("health", "healthy", {"stub": {"status": "ok"}}),
        ("breaker_half_open_health", "degraded", {"stub": {"status": "half_open"}}),
        ("down_health_after", "degraded", {"stub": {"status": "open"}}),
    ],
)
def test_the_checks_of_a_bridge_are_its_providers(name: str, status: str, checks: Dict[str, Any]) -> None:
    found = parse(endpoints.BRIDGE_HEALTH, recorded(name, "bridge").answer)
    assert (found["status"], found["checks"]) == (status, checks)


# ---- models that are down (D64), and other answers that mean something else (D15, D16, D49, D59) -------------------


def test_an_answer_that_only_looks_like_a_summary_or_a_score_is_an_error() -> None:
    body = {"conversation_id": "x", "level": "daily", "summary": "3 messages (LLM offline) ", "generated_at": "t"}
    with pytest.raises(SekhaServerError, match="model of the controller is down"):
        parse(endpoints.SUMMARIZE, answer(body))
    with pytest.raises(SekhaServerError, match="model of the bridge is down"):
        parse(endpoints.SCORE, recorded("breaker_open_score", "bridge").answer)


# ---- what only our side knows (D27, D38) ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SekhaConfigError("no bridge_url"), "not_configured"),
        (SekhaAuthError("no", status_code=401), "unauthorized"),
        (SekhaPermissionError("no", status_code=403), "unauthorized"),
        (SekhaConnectionError("refused"), "unreachable"),
        (SekhaTimeoutError("slow"), "unreachable"),
        (SekhaClosedError("closed"), "unknown"),
        (SekhaServerError("down", status_code=500), "unhealthy"),
        (SekhaRateLimitError("many", status_code=429), "unhealthy"),
    ],
)
def test_the_error_of_a_health_check_becomes_a_status(error: SekhaError, status: str) -> None:
    assert health_from_error(error, "bridge") == {"status": status, "checks": {}, "error": str(error)}


@pytest.mark.promise("W4")
@pytest.mark.parametrize(
    ("service", "name"),
    [("controller", "a controller"), ("bridge", "a bridge"), ("mcp", "a controller with MCP tools")],
)
@pytest.mark.parametrize(
    "error",
    [
        SekhaDecodeError("odd"),
        SekhaNotFoundError("no", status_code=404),
        SekhaAPIError("no such method", status_code=405),
        SekhaAPIError("redirected", status_code=302),
        SekhaServerError("not implemented", status_code=501),
    ],
)
def test_an_answer_of_another_service_says_so(error: SekhaError, service: str, name: str) -> None:
    found = health_from_error(error, service)
    assert found == {"status": "unhealthy", "checks": {}, "error": f"this address is not {name}: {error}"}


@pytest.mark.promise("W4")
def test_what_was_not_asked_is_unknown_and_not_unreachable() -> None:
    error = SekhaTimeoutError("no time left")
    error._asked = False
    assert health_from_error(error, "mcp")["status"] == "unknown"
    found = health_from_error(ValueError("http://user:secret@host"), "mcp")
    assert found == {"status": "unknown", "checks": {}, "error": "the check itself failed: ValueError"}


@pytest.mark.promise("W4")
@pytest.mark.parametrize(
    ("of_itself", "of_the_key", "status", "error"),
    [
        ("healthy", "healthy", "healthy", None),
        ("degraded", "healthy", "degraded", None),
        ("healthy", "unauthorized", "unauthorized", "of the key"),
        ("degraded", "unauthorized", "unauthorized", "of the key"),
        ("healthy", "unhealthy", "unhealthy", "of the key"),
        ("healthy", "unreachable", "unhealthy", "of the key"),
        ("healthy", "unknown", "unknown", "of the key"),
        ("unhealthy", "unauthorized", "unhealthy", "of itself"),
        ("unreachable", "unreachable", "unreachable", "of itself"),
    ],
)
def test_a_controller_is_as_well_as_its_answer_to_the_key(
    of_itself: str, of_the_key: str, status: str, error: Any
) -> None:
    checks = {"database": {"status": "ok"}}
    health: Any = {
        "status": of_itself,
        "checks": checks,
        "error": None if status == of_itself == "healthy" else "of itself",
    }
    if of_itself in ("healthy", "degraded"):
        del health["error"]
    found = add_key_check(health, {"status": of_the_key, "checks": {}, "error": "of the key"})
    assert (found["status"], found.get("error"), found["checks"]) == (status, error, checks)


@pytest.mark.parametrize(
    ("endpoint", "body", "name"),
    [
        (endpoints.BRIDGE_HEALTH, facts.HEALTHY, "a bridge"),
        (endpoints.BRIDGE_HEALTH, {"status": "healthy", "version": "2", "uptime_seconds": 0}, "a bridge"),
        (endpoints.BRIDGE_HEALTH, {"status": "UP"}, "a bridge"),
        (endpoints.BRIDGE_HEALTH, {"ok": True}, "a bridge"),
        (endpoints.BRIDGE_HEALTH, "OK", "a bridge"),
        (endpoints.CONTROLLER_HEALTH, facts.BRIDGE_HEALTHY, "a controller"),
    ],
)
def test_the_health_of_another_service_is_not_healthy(endpoint: Endpoint[Any], body: Any, name: str) -> None:
    found = parse(endpoint, answer(body))
    assert found["status"] == "unhealthy"
    assert found["error"].startswith(f"this address is not {name}: ")
