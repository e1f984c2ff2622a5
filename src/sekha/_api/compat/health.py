"""Health of the services in one format, and detection of responses that are not real results."""

from __future__ import annotations

import json
from typing import Any

from sekha._api.error_response import describe_body, error_from_response, has_error
from sekha._api.model import Response
from sekha._utils.json_access import as_object, get
from sekha.errors import (
    BODY_LIMIT,
    SekhaAPIError,
    SekhaAuthError,
    SekhaClosedError,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaDecodeError,
    SekhaError,
    SekhaPermissionError,
    SekhaServerError,
)
from sekha.types import ServiceHealth

_DEFAULT_ERROR = "the database or the vector store failed"

_SERVERS = {"controller": "a controller", "bridge": "a bridge", "mcp": "a controller with MCP tools"}

_NO_ROUTE = frozenset({404, 405, 410, 501})
"""Statuses of servers without the requested route."""

_NOT_WELL = frozenset({"unhealthy", "unreachable", "unauthorized", "unknown", "not_configured"})

_OF_A_BRIDGE = frozenset({"ollama_status", "models_loaded"})
"""Keys that every bridge reports, and no controller does."""

_OF_A_REPORT = frozenset({"status", "checks"})
"""Keys of which every controller reports at least one."""

NO_FOLDER = "/sekha-health-check/no-such-folder"
"""Filter for statistics in a health check: it matches nothing, which is cheap on every server."""


def normalize_controller_health(response: Response) -> object:
    """Return the health of any controller in one format: 0.1, newer ones, and the older text ``OK`` (D33)."""
    found = _parse_object(response)
    if response.status >= 400 or _is_error(found):
        return _unhealthy(response, found, _DEFAULT_ERROR)
    is_text = not found and response.text.strip().strip('"').upper() == "OK"
    if found.keys() & _OF_A_BRIDGE or not (is_text or found.keys() & _OF_A_REPORT):
        return _no_report("controller")
    return _report(found, found.get("checks"))


def normalize_bridge_health(response: Response) -> object:
    """Return the health of a bridge with the documented ``checks``, derived from its providers (D32)."""
    found = _parse_object(response)
    if response.status >= 400 or _is_error(found):
        return _unhealthy(response, found, "the bridge is not ready")
    checks = as_object(found.get("checks"))
    if not found.keys() & _OF_A_BRIDGE and (checks is None or checks.keys() & {"database", "chroma"}):
        return _no_report("bridge")  # for instance the controller
    if checks is None:
        providers = as_object(get(found, "ollama_status", "providers")) or {}
        checks = {name: _provider_status(state) for name, state in providers.items()}
    return _report(found, checks)


def _report(found: dict[str, Any], checks: object) -> dict[str, Any]:
    """Return a report in one format; an error in addition to the status is kept as text."""
    report = {"status": "healthy", **found, "checks": _checks(checks)}
    error = report.get("error")
    if error is not None and not isinstance(error, str):
        report["error"] = describe_body(json.dumps({"error": error})) if error else None
    return report


def _is_error(found: dict[str, Any]) -> bool:
    """Return whether a health report is an error: it has no status, or an error as its status."""
    status = found.get("status")
    if isinstance(status, str) and not has_error({"status": status}, certain=True):
        return False
    return has_error(found)


def _unhealthy(response: Response, found: dict[str, Any], if_unavailable: str) -> dict[str, Any]:
    error = _words(response, if_unavailable)
    return {**found, "status": "unhealthy", "checks": _checks(found.get("checks")), "error": error}


def _words(response: Response, if_unavailable: str) -> str:
    """Return the message of an error response; servers send 503 without a body, and proxies any status."""
    if not response.body.strip() and response.status == 503:
        return if_unavailable
    status, headers, body, problem = response
    return error_from_response("", "", status, headers, body, problem=problem).message


def _provider_status(state: object) -> str:
    breaker = get(state, "circuit_breaker", "state")
    return "ok" if breaker == "closed" else str(breaker or "unknown")


def _no_report(service: str) -> dict[str, Any]:
    # For instance the error page of a proxy.
    error = f"this address is not {_SERVERS[service]}: the response is not a health report of a Sekha {service}"
    return {"status": "unhealthy", "checks": {}, "error": error}


def _parse_object(response: Response) -> dict[str, Any]:
    try:
        return as_object(response.json()) or {}
    except ValueError:
        return {}


def _checks(checks: object) -> dict[str, Any]:
    return {
        name: check if get(check, "status") is not None else {"status": _check_status(check)}
        for name, check in (as_object(checks) or {}).items()
    }


def _check_status(check: Any) -> str:
    return ("ok" if check else "failed") if isinstance(check, bool) else str(check)


def health_from_error(error: Exception, service: str) -> ServiceHealth:
    """Return the health of a service whose health check failed.

    Args:
        error: The error.
        service: ``controller``, ``bridge`` or ``mcp``.
    """
    if not isinstance(error, SekhaError):  # an unknown error, whose text may contain anything
        return ServiceHealth(status="unknown", checks={}, error=f"the check itself failed: {type(error).__name__}")
    text = f"this address is not {_SERVERS[service]}: {error}" if _is_of_another_service(error) else str(error)
    return ServiceHealth(status=_status_from_error(error), checks={}, error=text)


def _status_from_error(error: SekhaError) -> str:
    if isinstance(error, SekhaConfigError):
        return "not_configured"
    if isinstance(error, SekhaClosedError):
        return "unknown"
    if isinstance(error, SekhaConnectionError):
        return "unreachable" if error._asked else "unknown"
    return "unauthorized" if isinstance(error, (SekhaAuthError, SekhaPermissionError)) else "unhealthy"


def _is_of_another_service(error: SekhaError) -> bool:
    if isinstance(error, SekhaAPIError):
        return error.status_code in _NO_ROUTE or 300 <= error.status_code < 400
    return isinstance(error, SekhaDecodeError)


def add_key_check(health: ServiceHealth, key_check: ServiceHealth) -> ServiceHealth:
    """Return the health of a controller, combined with the result of a call that requires the key.

    Args:
        health: Its own report, without a key.
        key_check: ``healthy``, or the status for the failed call.
    """
    if health["status"] in _NOT_WELL or key_check["status"] == "healthy":
        return health
    found = health.copy()
    found["status"] = "unhealthy" if key_check["status"] == "unreachable" else key_check["status"]  # it has responded
    found["error"] = key_check.get("error")
    return found


def model_down_error(response: Response, server: str, what: str) -> SekhaServerError:
    """Return the error for a response that a server fabricated because its model is down."""
    return SekhaServerError(
        f"the model of {server} is down: the response is not a {what}. Check health_check()",
        status_code=response.status,
        body=response.text[:BODY_LIMIT],
    )
