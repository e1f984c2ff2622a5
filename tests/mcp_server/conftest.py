"""The memory behind the server, in both profiles."""

from __future__ import annotations

from typing import Any

import pytest

from sekha.local import LocalSekha


@pytest.fixture(params=["documented", "controller-0.1"])
def options(request: pytest.FixtureRequest) -> Any:
    """The settings of an empty local server, of each profile."""
    name = "sekha" if request.param == "documented" else "sekha_0_1"
    found: LocalSekha = request.getfixturevalue(name)
    return found.options
