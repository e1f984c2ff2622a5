"""The public paths of classes and functions that are defined in private modules, and the names of any class."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def exported_from_sekha(definition: T) -> T:
    """Decorate a class or function of the package's root, so that reprs, warnings and tracebacks show that path."""
    public: Any = definition
    public.__module__ = "sekha"
    return definition


def class_name(value: object) -> str:
    """Return the name of an object's class with its module, so that namesakes differ: ``httpx2.Client``."""
    cls = value if isinstance(value, type) else type(value)
    modules = [] if cls.__module__ == "builtins" else [one for one in cls.__module__.split(".") if one[:1] != "_"]
    name = ".".join([*modules, cls.__qualname__])
    return f"the class {name}" if isinstance(value, type) else name
