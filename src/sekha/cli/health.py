"""`sekha health`: check the three services."""

from sekha.cli.connection import config_from
from sekha.cli.exits import FAILED, OK
from sekha.cli.options import BridgeUrl, Json, Url
from sekha.cli.terminal import echo_json, echo_table, one_line

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
                one_line(found.get("error") or _format_checks(found["checks"])),
            )
            for service, found in health.items()
        ]
        echo_table(("SERVICE", "STATUS", "ADDRESS", "DETAIL"), rows)
    return OK if all(found["status"] == "healthy" for found in health.values()) else FAILED


def _format_checks(checks: object) -> str:
    from sekha._utils.json_access import as_object, get

    return ", ".join(f"{name} {get(check, 'status')}" for name, check in (as_object(checks) or {}).items())
