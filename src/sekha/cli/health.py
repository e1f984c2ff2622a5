"""`sekha health`: check the three services."""

from sekha.cli.connection import config_from
from sekha.cli.exits import FAILED, OK
from sekha.cli.options import BridgeUrl, Json, Url
from sekha.cli.tables import Column, Shrink, echo_table
from sekha.cli.terminal import echo_json, one_line

_COLUMNS = (
    Column("SERVICE", Shrink.NO),
    Column("STATUS", Shrink.NO),
    Column("ADDRESS", optional=True),
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
    if json:
        echo_json({service: {**found, "address": addresses[service]} for service, found in health.items()})
    else:
        rows = [
            (
                service,
                Text(found["status"], _COLOURS.get(found["status"], "red")),
                addresses[service] or "-",
                one_line(found.get("error") or format_checks(found["checks"])),
            )
            for service, found in health.items()
        ]
        echo_table(_COLUMNS, rows)
    return OK if all(found["status"] == "healthy" for found in health.values()) else FAILED


def format_checks(checks: object) -> str:
    """Return the parts of a service with their statuses, and why one is not well."""
    from sekha._utils.json_access import as_object, get

    def describe(name: str, check: object) -> str:
        reason = get(check, "error")
        return f"{name} {get(check, 'status')}" + (f" ({reason})" if isinstance(reason, str) and reason else "")

    return ", ".join(describe(name, check) for name, check in (as_object(checks) or {}).items())
