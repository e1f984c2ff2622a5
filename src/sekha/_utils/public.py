"""The public paths of classes and functions that are defined in private modules, and the names of any class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def exported_from(module: str) -> Callable[[T], T]:
    """Return a decorator for what users import from `module`, so that reprs, warnings and tracebacks show that path."""

    def export(definition: T) -> T:
        public: Any = definition
        public.__module__ = module
        return definition

    return export


exported_from_sekha = exported_from("sekha")
"""A decorator for classes and functions of the package's root."""


def class_name(value: object) -> str:
    """Return the name of an object's class with its module, so that namesakes differ: ``httpx2.Client``."""
    cls = value if isinstance(value, type) else type(value)
    modules = [] if cls.__module__ == "builtins" else [one for one in cls.__module__.split(".") if one[:1] != "_"]
    name = ".".join([*modules, cls.__qualname__])
    return f"the class {name}" if isinstance(value, type) else name
