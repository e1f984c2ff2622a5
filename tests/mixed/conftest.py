"""A fixture for the tests of real servers, whose calls are the same for every kind of client."""

from __future__ import annotations

from typing import Any

import pytest

from support.programs import KINDS


@pytest.fixture(params=KINDS)
def kind(request: Any) -> str:
    """Each kind of client in turn."""
    return str(request.param)
