"""The servers of `tests/local`, for the tests that replay what real servers were asked."""

from __future__ import annotations

from local.conftest import api, bridge, shared

__all__ = ["api", "bridge", "shared"]
