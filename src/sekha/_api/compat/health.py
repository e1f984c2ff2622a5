"""Health of the services in one shape, and responses that only look like results."""

from __future__ import annotations

from typing import Any

from sekha._api.error_response import error_from_response
from sekha._api.model import Response
from sekha._utils.json_access import as_object, get
from sekha.errors import (
    BODY_LIMIT,
    SekhaAuthError,
    SekhaClosedError,
    SekhaConfigError,
    SekhaConnectionError,
    SekhaError,
    SekhaPermissionError,
    SekhaServerError,
)
from sekha.types import ServiceHealth

_DEFAULT_ERROR = "the database or the vector store does not work"


def normalize_controller_health(response: Response) -> object:
    """Return the health of any controller in one shape: 0.1, newer ones, and the older text ``OK`` (D33)."""
    found = _parse_object(response)
    if response.status >= 400:
        problem = get(found, "error") or _words(response, _DEFAULT_ERROR)
        return {**found, "status": "unhealthy", "checks": _checks(found.get("checks")), "error": str(problem)}
    if not found and response.text.strip().strip('"').upper() != "OK":
        return _no_report("controller")
    return {"status": "healthy", **found, "checks": _checks(found.get("checks"))}


def normalize_bridge_health(response: Response) -> object:
    """Return the health of a bridge with the documented ``checks``, derived from its providers (D32)."""
    found = _parse_object(response)
    if response.status >= 400:
        problem = found.get("detail") or _words(response, "the bridge is not ready")
        return {**found, "status": "unhealthy", "checks": _checks(found.get("checks")), "error": str(problem)}
    if not found:
        return _no_report("bridge")
    checks = as_object(found.get("checks"))
    if checks is None:
        providers = as_object(get(found, "ollama_status", "providers")) or {}
        checks = {name: _provider_status(state) for name, state in providers.items()}
    return {"status": "healthy", **found, "checks": _checks(checks)}


def _words(response: Response, if_unavailable: str) -> str:
    """Return what an error response says; servers say 503 without a body, and proxies any other status."""
    if not response.body.strip() and response.status == 503:
        return if_unavailable
    status, headers, body, problem = response
    return error_from_response("", "", status, headers, body, problem=problem).message


def _provider_status(state: object) -> str:
    breaker = get(state, "circuit_breaker", "state")
    return "ok" if breaker == "closed" else str(breaker or "unknown")


def _no_report(server: str) -> dict[str, Any]:
    # For instance the error page of a proxy.
    return {"status": "unhealthy", "checks": {}, "error": f"the answer is no health report of a Sekha {server}"}


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


def health_from_error(error: SekhaError) -> ServiceHealth:
    """Return the health of a service whose health check failed."""
    status = "unhealthy"
    if isinstance(error, SekhaConfigError):
        status = "not_configured"
    elif isinstance(error, (SekhaAuthError, SekhaPermissionError)):
        status = "unauthorized"
    elif isinstance(error, (SekhaConnectionError, SekhaClosedError)):
        status = "unreachable"
    return ServiceHealth(status=status, checks={}, error=str(error))


def model_down_error(response: Response, server: str, what: str) -> SekhaServerError:
    """Return the error for a response that a server made up because its model is down."""
    return SekhaServerError(
        f"the model behind {server} is down: the answer is no {what}. See health_check()",
        status_code=response.status,
        body=response.text[:BODY_LIMIT],
    )
