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

DETAILS = "The exit code is 1 if a service is not healthy."
EXAMPLES = ("sekha health", "sekha health --json")

_COLUMNS = (
    Column("SERVICE", Shrink.NO),
    Column("STATUS", Shrink.NO),
    Column("ADDRESS", Shrink.NO, optional=True),
    Column("DETAIL", Shrink.WRAP),
)
_COLORS = {"healthy": "green", "degraded": "yellow", "not_configured": "yellow", "unknown": "yellow"}


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
                Text(found["status"], _COLORS.get(found["status"], "red")),
                addresses[service] or "-",
                _describe(service, found, refused, has_tools_key=config.mcp_api_key is not None),
            )
            for service, found in health.items()
        ]
        echo_table(_COLUMNS, rows)
    return OK if all(found["status"] == "healthy" for found in health.values()) else FAILED


def _describe(service: str, found: "ServiceHealth", refused: Sequence[str], *, has_tools_key: bool) -> str:
    """Return the problem of a service, or the status of its components."""
    if service in refused and service != "bridge" and not has_tools_key:
        if service == "controller":
            return "API key rejected: set SEKHA_API_KEY to a key that the server accepts"
        if "controller" in refused:  # the message of the library would suggest a separate key for the tools
            return "same API key, also rejected"
    return one_line(found.get("error") or format_checks(found["checks"]))


def format_checks(checks: object) -> str:
    """Return the components of a service with their status, and the error of each that has one."""
    from sekha._utils.json_access import as_object, get

    def describe(name: str, check: object) -> str:
        reason = get(check, "error")
        return f"{name} {get(check, 'status')}" + (f" ({reason})" if isinstance(reason, str) and reason else "")

    return ", ".join(describe(name, check) for name, check in (as_object(checks) or {}).items())
