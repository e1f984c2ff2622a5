"""A plugin for the SDK's own tests: each `SQLiteSession` that they make is in a session of ours, which remembers."""

from __future__ import annotations

from typing import Any

import agents
import agents.memory
import pytest

from sekha import AsyncSekhaClient, SekhaClient
from sekha.integrations.openai_agents import RememberingSession
from sekha.local import LocalSekha
from sekha.memory import AsyncMemory, Scope

REAL: Any = agents.SQLiteSession
LOCAL = LocalSekha()
MADE: list[int] = []


class _IsAlso(type(REAL)):  # type: ignore[misc]  # the metaclass of a class that is not known to mypy here
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, REAL)


class Replaced(REAL, metaclass=_IsAlso):  # type: ignore[misc]  # as above
    """Makes sessions of ours; what tests derive from it stays as it is."""

    def __new__(cls, *args: Any, **options: Any) -> Any:
        if cls is not Replaced:
            return super().__new__(cls)
        MADE.append(1)
        memory = AsyncMemory(AsyncSekhaClient(**LOCAL.options), Scope("sdk", "tests"))
        return RememberingSession(REAL(*args, **options), memory)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart() -> None:
    """Replace the class before any of the tests is imported."""
    LOCAL.start()
    for module in (agents, agents.memory):
        module.SQLiteSession = Replaced  # type: ignore[attr-defined]  # it is loaded when it is first asked for


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say that sessions of ours were tested, and what they have remembered."""
    with SekhaClient(**LOCAL.options) as client:
        remembered = sum(1 for _ in client.controller.iter_conversations())
    terminalreporter.write_line(f"sessions: {len(MADE)}; remembered: {remembered}")


def pytest_unconfigure() -> None:
    """Stop the server."""
    LOCAL.stop()
