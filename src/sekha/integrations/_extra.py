"""Import what an extra brings: what is missing or not supported is reported in one sentence."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from ._versions import SUPPORTED


@contextmanager
def extra_imports(extra: str) -> Generator[None, None, None]:
    """Import in this block what an extra brings.

    Args:
        extra: The name of the extra.

    Raises:
        ModuleNotFoundError: The package is not installed, or something that it needs.
        ImportError: Its version is not supported.
    """
    package, floor, below, python = SUPPORTED[extra]
    module = f"sekha.integrations.{extra.replace('-', '_')}"
    install = f"pip install 'sekha-python-sdk[{extra}]'"
    if sys.version_info[:2] < _numbers(python):
        raise ModuleNotFoundError(f"{module} requires Python {python} or later and its extra: {install}", name=package)
    try:
        installed = version(package)
    except PackageNotFoundError:
        raise ModuleNotFoundError(f"{module} requires its extra: {install}", name=package) from None
    if not _is_between(_numbers(installed), floor, below):
        supported = f"{floor} and later" + (f", below {below}" if below else "")
        raise ImportError(f"{module} supports {package} {supported}, not {installed}: {install}", name=package)
    try:
        yield
    except ModuleNotFoundError as missing:  # half of an installation
        raise ModuleNotFoundError(f"{module} requires its extra: {install}", name=missing.name) from missing


def _is_between(found: tuple[int, ...], floor: str, below: str) -> bool:
    return found >= _numbers(floor) and not (below and found >= _numbers(below))


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version without zeros at the end: ``(1, 2)`` for ``1.2.0rc1``."""
    release = re.match(r"(?:\d+!)?\d+(?:\.\d+)*", version)
    numbers = [int(number) for number in release.group().rpartition("!")[2].split(".")] if release else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
