"""A program that imports an export; it is there to be killed.

Arguments: address of the controller, export, journal, flavour (``blocking``, ``asyncio`` or ``trio``).
"""

from __future__ import annotations

import sys

import anyio

from sekha import AsyncSekhaClient, SekhaClient
from sekha.exports import read_export
from sekha.types import ImportReport


async def awaited(url: str, export: str, journal: str) -> ImportReport:
    """Import by the async client."""
    async with AsyncSekhaClient(controller_url=url, api_key="k") as client:
        return await client.controller.import_conversations(read_export(export), journal=journal)


def main() -> None:
    """Import, and print how many are in the memory then."""
    url, export, journal, flavour = sys.argv[1:]
    if flavour == "blocking":
        with SekhaClient(controller_url=url, api_key="k") as client:
            report = client.controller.import_conversations(read_export(export), journal=journal)
    else:
        report = anyio.run(awaited, url, export, journal, backend=flavour)
    print(report["stored"] + report["already_stored"], report["failed"])


if __name__ == "__main__":
    main()
