"""`sekha health`: how the three services are."""

from __future__ import annotations

import argparse

from sekha.cli.connection import add_connection_arguments, config_from
from sekha.cli.terminal import fail, styled
from sekha.errors import SekhaError

_COLOURS = {"healthy": "green", "degraded": "yellow", "not_configured": "yellow"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_connection_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print a table; 0 if all services are healthy, else 1."""
    from sekha import SekhaClient

    try:
        config = config_from(args)
        with SekhaClient(config) as client:
            health = client.health_check()
    except SekhaError as error:
        return fail("health", error)
    addresses = {"controller": config.controller_url, "bridge": config.bridge_url, "mcp": config.controller_url}
    print(styled(f"{'SERVICE':12}{'STATUS':16}{'ADDRESS':32}DETAIL", "bold"))
    for service, found in health.items():
        detail = " ".join((found.get("error") or _parts(found["checks"])).split())
        status = styled(f"{found['status']:16}", _COLOURS.get(found["status"], "red"))
        print(f"{service:12}{status}{addresses[service] or '-':32}{detail}".rstrip())
    return 0 if all(found["status"] == "healthy" for found in health.values()) else 1


def _parts(checks: object) -> str:
    from sekha._json import as_object, get

    return ", ".join(f"{name} {get(check, 'status')}" for name, check in (as_object(checks) or {}).items())
