"""A program that keeps a folder of notes in step; it is there to be killed.

Arguments: address of the controller, folder, flavour (``blocking``, ``asyncio`` or ``trio``).
"""

from __future__ import annotations

import sys

import anyio

import sekha._async.controller.import_run
import sekha._async.controller.orphans
import sekha._sync.controller.import_run
import sekha._sync.controller.orphans
from sekha import AsyncSekhaClient, SekhaClient
from sekha.types import SyncReport

GRACE = 0.5
"""Seconds after which a request counts as lost; on one machine none takes as long."""


async def awaited(url: str, folder: str) -> SyncReport:
    """Sync by the async client."""
    async with AsyncSekhaClient(controller_url=url, api_key="k") as client:
        return await client.controller.sync_notes(folder, delete=True)


def main() -> None:
    """Sync, and print how many notes are in the memory then."""
    url, folder, flavour = sys.argv[1:]
    for module in (
        sekha._async.controller.import_run,
        sekha._async.controller.orphans,
        sekha._sync.controller.import_run,
        sekha._sync.controller.orphans,
    ):
        module.IN_FLIGHT_GRACE = GRACE  # type: ignore[attr-defined]  # they share a constant
    if flavour == "blocking":
        with SekhaClient(controller_url=url, api_key="k") as client:
            report = client.controller.sync_notes(folder, delete=True)
    else:
        report = anyio.run(awaited, url, folder, backend=flavour)
    print(report["seen"] - report["failed"], report["failed"])


if __name__ == "__main__":
    main()
