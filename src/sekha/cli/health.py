"""`sekha health`: check the three services."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sekha.cli.connection import config_from
from sekha.cli.exits import FAILED, OK
from sekha.cli.options import BridgeUrl, Json, Url
from sekha.cli.tables import Column, Shrink, echo_table
from sekha.cli.terminal import echo_json, one_line

if TYPE_CHECKING:
    from sekha.types import ServiceHealth

_COLUMNS = (
    Column("SERVICE", Shrink.NO),
    Column("STATUS", Shrink.NO),
    Column("ADDRESS", Shrink.NO, optional=True),
    Column("DETAIL", Shrink.WRAP),
)
_COLOURS = {"healthy": "green", "degraded": "yellow", "not_configured": "yellow", "unknown": "yellow"}


def run(url: Url = None, bridge_url: BridgeUrl = None, json: Json = False) -> int:
    """Print a table; return 0 if all services are healthy, else 1."""
    from rich.text import Text

    from sekha import SekhaClient

    config = config_from(url, bridge_url)
    with SekhaClient(config) as client:
        health = client.health_check()
    addresses = {"controller": config.controller_url, "bridge": config.bridge_url, "mcp": config.controller_url}
    refused = [service for service, found in health.items() if found["status"] == "unauthorized"]
    if json:
        echo_json({service: {**found, "address": addresses[service]} for service, found in health.items()})
    else:
        rows = [
            (
                service,
                Text(found["status"], _COLOURS.get(found["status"], "red")),
                addresses[service] or "-",
                _describe(service, found, refused, has_tools_key=config.mcp_api_key is not None),
            )
            for service, found in health.items()
        ]
        echo_table(_COLUMNS, rows)
    return OK if all(found["status"] == "healthy" for found in health.values()) else FAILED


def _describe(service: str, found: "ServiceHealth", refused: Sequence[str], *, has_tools_key: bool) -> str:
    """Return why a service is not well, or its parts."""
    if service in refused and service != "bridge" and not has_tools_key:
        if service == "controller":
            return "the key is refused: set SEKHA_API_KEY to a key that it accepts"
        if "controller" in refused:  # or the advice would be that the tools have a key of their own
            return "the same key is refused here"
    return one_line(found.get("error") or format_checks(found["checks"]))


def format_checks(checks: object) -> str:
    """Return the parts of a service with their statuses, and why one is not well."""
    from sekha._utils.json_access import as_object, get

    def describe(name: str, check: object) -> str:
        reason = get(check, "error")
        return f"{name} {get(check, 'status')}" + (f" ({reason})" if isinstance(reason, str) and reason else "")

    return ", ".join(describe(name, check) for name, check in (as_object(checks) or {}).items())
