"""The public paths of classes and functions that are defined in private modules, and the names of any class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")


def exported_from(module: str) -> Callable[[T], T]:
    """Return a decorator for what users import from `module`, so that reprs, warnings and tracebacks show that path."""

    def export(definition: T) -> T:
        public: Any = definition
        public.__module__ = module
        return definition

    return export


def load_late(package: str, name: str, places: Mapping[str, str]) -> object:
    """Return what a package loads when it is first asked for.

    Args:
        package: The package.
        name: The name that was asked for.
        places: The modules that define such names.

    Raises:
        AttributeError: There is no such name.
    """
    if name not in places:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    value: object = getattr(import_module(places[name]), name)
    setattr(import_module(package), name, value)
    return value


exported_from_sekha = exported_from("sekha")
"""A decorator for classes and functions of the package's root."""


def class_name(value: object) -> str:
    """Return the name of an object's class with its module, so that namesakes differ: ``httpx2.Client``."""
    cls = value if isinstance(value, type) else type(value)
    modules = [] if cls.__module__ == "builtins" else [one for one in cls.__module__.split(".") if one[:1] != "_"]
    name = ".".join([*modules, cls.__qualname__])
    return f"the class {name}" if isinstance(value, type) else name
