"""Packages that only some tests need: without them those tests are skipped, and never in the run of all tests."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

REQUIRE_ALL = "REQUIRE_ALL_PACKAGES"
"""The variable with which the session `tests` of noxfile.py forbids such skips."""


def require_packages(extra: str, *packages: str) -> None:
    """Skip the current test, or the module that is being imported, if a package is not installed.

    Args:
        extra: The extra of pyproject.toml that brings the packages.
        packages: Names to import.
    """
    missing = [package for package in packages if find_spec(package) is None]
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)} (extra {extra})"
    if os.environ.get(REQUIRE_ALL):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)
