"""How services are, in one shape, and the answers that only look like one."""

from __future__ import annotations

from typing import Any

from sekha._api.response import Answer
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

_UNWELL = "the database or the vector store does not work"


def controller_health(answer: Answer) -> object:
    """One shape for the health of all controllers: 0.1, newer ones, and the old text ``OK`` (D33)."""
    found = _object_or_nothing(answer)
    if answer.status >= 400:
        why = get(found, "error") or answer.text.strip()[:500]
        return {**found, "status": "unhealthy", "checks": _checks(found.get("checks")), "error": str(why or _UNWELL)}
    if not found and answer.text.strip().strip('"').upper() != "OK":
        return _no_report("controller")
    return {"status": "healthy", **found, "checks": _checks(found.get("checks"))}


def bridge_health(answer: Answer) -> object:
    """The health of a bridge with the documented ``checks``, derived from its providers (D32)."""
    found = _object_or_nothing(answer)
    if answer.status >= 400:
        why = found.get("detail") or answer.text.strip()[:500] or "the bridge is not ready"
        return {**found, "status": "unhealthy", "checks": _checks(found.get("checks")), "error": str(why)}
    if not found:
        return _no_report("bridge")
    checks = as_object(found.get("checks"))
    if checks is None:
        providers = as_object(get(found, "ollama_status", "providers")) or {}
        checks = {name: _provider_word(state) for name, state in providers.items()}
    return {"status": "healthy", **found, "checks": _checks(checks)}


def _provider_word(state: object) -> str:
    breaker = get(state, "circuit_breaker", "state")
    return "ok" if breaker == "closed" else str(breaker or "unknown")


def _no_report(server: str) -> dict[str, Any]:
    # A proxy's page, for instance: something answers, but it is not what was asked.
    return {"status": "unhealthy", "checks": {}, "error": f"the answer is no health report of a Sekha {server}"}


def _object_or_nothing(answer: Answer) -> dict[str, Any]:
    try:
        return as_object(answer.json()) or {}
    except ValueError:
        return {}


def _checks(checks: object) -> dict[str, Any]:
    return {
        name: check if get(check, "status") is not None else {"status": _check_word(check)}
        for name, check in (as_object(checks) or {}).items()
    }


def _check_word(check: Any) -> str:
    return ("ok" if check else "failed") if isinstance(check, bool) else str(check)


def health_of(error: SekhaError) -> ServiceHealth:
    """What the error of a health check says of the service."""
    status = "unhealthy"
    if isinstance(error, SekhaConfigError):
        status = "not_configured"
    elif isinstance(error, (SekhaAuthError, SekhaPermissionError)):
        status = "unauthorized"
    elif isinstance(error, (SekhaConnectionError, SekhaClosedError)):
        status = "unreachable"
    return ServiceHealth(status=status, checks={}, error=str(error))


def model_is_down(answer: Answer, server: str, what: str) -> SekhaServerError:
    return SekhaServerError(
        f"the model behind {server} is down: the answer is no {what}. See health_check()",
        status_code=answer.status,
        body=answer.text[:BODY_LIMIT],
    )
