"""The tests of one integration: of that which the variable `INTEGRATION` names, in an environment that has it.

`nox -s integrations` makes the environments, at the oldest and at the newest version that are supported. In the run of
all tests none of these frameworks is installed, and their folders are left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import List, Optional

import pytest

from sekha import AsyncSekhaClient
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Scope
from support.integrations import RECIPES, chosen

FOLDER = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path) -> Optional[bool]:
    """Leave out the folders of other integrations, and all without one."""
    integration = chosen()
    if collection_path.parent == FOLDER / RECIPES and collection_path.name.startswith("test_"):
        return integration != f"recipe-{collection_path.stem[len('test_') :]}" or None
    if collection_path == FOLDER / "test_adapter.py":
        return not integration or integration.startswith("recipe-") or None
    if collection_path.parent != FOLDER or not collection_path.is_dir():
        return None
    wanted = RECIPES if integration.startswith("recipe-") else integration.replace("-", "_")
    return collection_path.name != wanted or None


def pytest_report_header() -> List[str]:
    """Name what is left out."""
    integration = chosen()
    return [f"integration: {integration}" if integration else "tests/frameworks: nox -s integrations runs them"]


@pytest.fixture
def anyio_backend() -> str:
    """The frameworks run on asyncio only."""
    return "asyncio"


@pytest.fixture
async def each(any_sekha: LocalSekha) -> AsyncIterator[AsyncSekhaClient]:
    """A client of an empty local Sekha of each profile."""
    async with AsyncSekhaClient(**any_sekha.options) as client:
        yield client


@pytest.fixture
async def client(sekha: LocalSekha) -> AsyncIterator[AsyncSekhaClient]:
    """A client of an empty local Sekha."""
    async with AsyncSekhaClient(**sekha.options) as client:
        yield client


@pytest.fixture
async def ann(client: AsyncSekhaClient) -> AsyncMemory:
    """The memory of a user who has said something in an earlier session."""
    memory = AsyncMemory(client, Scope("shop", "ann"))
    await memory.in_session("earlier").remember([{"role": "user", "content": "We ship on Fridays."}])
    return memory
