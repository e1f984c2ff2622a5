"""What people read of the project: public docstrings, and pages without their code."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Iterator, Tuple

MODULES = [
    "sekha",
    *(f"sekha.{name}" for name in ("config", "errors", "events", "exports", "gates", "memory", "testing")),
    *(f"sekha.{name}" for name in ("type_guards", "types")),
]
"""The public modules."""


def public_docstrings() -> Iterator[Tuple[str, str]]:
    """The docstrings of what the public modules export, and of its public methods."""
    for name in MODULES:
        module = import_module(name)
        for exported in module.__all__:
            thing = getattr(module, exported)
            yield f"{name}.{exported}", inspect.getdoc(thing) or ""
            if inspect.isclass(thing):
                for method, value in inspect.getmembers(thing):
                    if not method.startswith("_"):
                        yield f"{name}.{exported}.{method}", inspect.getdoc(value) or ""


def without_blocks(text: str) -> str:
    """A text without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """A text without its code."""
    return re.sub(r"`[^`\n]*`", "", without_blocks(text))
