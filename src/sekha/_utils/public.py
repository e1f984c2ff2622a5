"""The public paths of classes and functions that are defined in private modules."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def exported_from_sekha(definition: T) -> T:
    """Decorate a class or function of the package's root, so that reprs, warnings and tracebacks show that path."""
    public: Any = definition
    public.__module__ = "sekha"
    return definition
