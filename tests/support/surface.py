"""The public surface: every import path and name that users may rely on, as data that any Python describes alike.

    python tests/support/surface.py --write

writes it to ``tests/data/public_surface.json``. What has changed there since the last commit is what users notice.
"""

from __future__ import annotations

import argparse
import enum
import inspect
import json
import re
import sys
import types
from collections.abc import Callable as AbstractCallable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Dict, Generic, List, Literal, Union

import typing_extensions
from typing_extensions import get_args, get_origin, get_type_hints, is_typeddict

FILE = Path(__file__).parents[1] / "data" / "public_surface.json"
MODULES = (
    "sekha",
    "sekha.cli",
    "sekha.config",
    "sekha.errors",
    "sekha.events",
    "sekha.exports",
    "sekha.local",
    "sekha.memory",
    "sekha.testing",
    "sekha.type_guards",
    "sekha.types",
    "pytest_sekha",
)
SUBMODULES = {"sekha": ("type_guards", "types")}
"""Modules that are there without an import of their own."""
NOT_CONSTRUCTED = (
    "Answer",
    "AsyncMemoryStream",
    "AsyncStream",
    "AsyncTurn",
    "Exchange",
    "MemoryStream",
    "Stream",
    "Turn",
)
"""What users are given and never make: how these are constructed is our own business."""
_SPECIAL = [f"__{name}__" for name in ("aenter", "aexit", "aiter", "anext", "enter", "exit", "iter", "next")]
_UNIONS = (Union, getattr(types, "UnionType", Union))  # the second is that of `X | Y`, from Python 3.10
_NOTHING = inspect.Parameter.empty


def surface() -> Dict[str, Any]:
    """Everything public by module, and the programs."""
    modules = {name: _module(name) for name in MODULES}
    return {"modules": modules, "entry points": _entry_points(), "commands": _commands()}


def text(data: object) -> str:
    """What is in the file."""
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


def public_path(thing: Any) -> str:
    """Where a class or function says that it is from; of a private module only that it is one."""
    module = str(thing.__module__)
    is_private = any(part.startswith("_") for part in module.split("."))
    return f"{'(private)' if is_private else module}.{thing.__qualname__}"


def _module(name: str) -> Dict[str, Any]:
    module = import_module(name)
    return {public: _described(name, public, getattr(module, public)) for public in module.__all__}


def _described(module: str, name: str, value: Any) -> Any:
    if module == "pytest_sekha":
        return {"kind": "fixture", "signature": _signature(inspect.unwrap(value))}
    home = getattr(value, "__module__", None)
    if inspect.isclass(value):
        is_described_there = home != module and home in MODULES
        return f"see {public_path(value)}" if is_described_there else _class(value)
    if inspect.isfunction(value):
        return {"kind": "function", "shown": public_path(value), "signature": _signature(value)}
    is_alias = get_origin(value) is not None
    return {"kind": "type alias" if is_alias else "constant", "type": type_text(value if is_alias else type(value))}


def _class(cls: Any) -> Dict[str, Any]:
    described: Dict[str, Any] = {"shown": public_path(cls)}
    if is_typeddict(cls):
        needed = {True: "required", False: "not required"}
        hints = get_type_hints(cls)
        keys = {key: f"{type_text(hint)}, {needed[key in cls.__required_keys__]}" for key, hint in hints.items()}
        return {**described, "kind": "TypedDict", "keys": keys}
    bases = [base for base in cls.__mro__[1:-1] if _is_public(base) or not (_is_ours(base) or base is Generic)]
    described["bases"] = ", ".join(base.__name__ for base in bases)
    if issubclass(cls, enum.Enum):
        return {**described, "kind": "enum", "members": {one.name: one.value for one in cls}}
    return {**described, "kind": "class", "members": _members(cls)}


def _members(cls: Any) -> Dict[str, str]:
    """What is public of a class and of its bases of ours; what only its instances have is in its documentation."""
    listed = (inspect.getdoc(cls) or "").partition("\nAttributes:\n")[2].partition("\n\n")[0]
    members = dict.fromkeys(re.findall(r"^    (\w+): ", listed, re.MULTILINE), "attribute")
    hints: Dict[str, Any] = {}
    ours = [base for base in reversed(cls.__mro__) if _is_ours(base)]
    for base in ours:
        hints.update(vars(base).get("__annotations__", {}))
        for name in {**hints, **vars(base)}:
            if not name.startswith("_") or name in _SPECIAL:
                members[name] = _member(getattr(base, name, _NOTHING), vars(base).get(name), hints.get(name))
    is_made = any("__init__" in vars(base) or "__new__" in vars(base) for base in ours)
    if is_made and cls.__name__ not in NOT_CONSTRUCTED:
        members["(constructor)"] = _signature(cls)
    return members


def _member(value: Any, descriptor: Any, hint: Any) -> str:
    if isinstance(descriptor, property):
        return f"property{_signature(descriptor.fget)}"
    if inspect.isroutine(value):
        kind = "async def " if inspect.iscoroutinefunction(inspect.unwrap(value)) else "def "
        return f"{'@classmethod ' if isinstance(descriptor, classmethod) else ''}{kind}{_signature(value)}"
    shown = "attribute" if hint is None else f"attribute: {type_text(hint)}"
    return f"{shown} = {value!r}" if isinstance(value, (bool, int, float, str, type(None))) else shown


def _is_ours(cls: Any) -> bool:
    return str(cls.__module__).partition(".")[0] == "sekha"


def _is_public(cls: Any) -> bool:
    modules = map(import_module, MODULES)
    return any(cls.__name__ in one.__all__ and getattr(one, cls.__name__) is cls for one in modules)


def _signature(function: Any) -> str:
    """A signature whose annotations are texts; what a class returns is no news."""
    signature = inspect.signature(function)
    parameters = [
        one if one.annotation is _NOTHING else one.replace(annotation=_Shown(_annotation(function, one)))
        for one in signature.parameters.values()
    ]
    returned = signature.return_annotation
    if inspect.isclass(function) or returned is _NOTHING:
        return str(inspect.Signature(parameters))
    return str(inspect.Signature(parameters, return_annotation=_Shown(type_text(returned))))


def _annotation(function: Any, parameter: inspect.Parameter) -> str:
    """A type as text; of ``**options`` the names that they may have."""
    shown = type_text(parameter.annotation)
    if parameter.kind is not parameter.VAR_KEYWORD or not shown.startswith("Unpack["):
        return shown
    code = inspect.unwrap(function.__init__ if inspect.isclass(function) else function)
    options = eval(shown[len("Unpack[") : -1], code.__globals__)
    return f"Unpack[{', '.join(sorted(get_type_hints(options)))}]"


class _Shown:
    """An annotation that `inspect` shows as it is."""

    def __init__(self, shown: str) -> None:
        self.shown = shown

    def __repr__(self) -> str:
        return self.shown


def type_text(hint: Any) -> str:
    """A type as text: as it stands in the source where Python keeps that, else without names of modules."""
    if isinstance(hint, str):
        return hint
    if hint is None or hint is type(None):
        return "None"
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in _UNIONS:
        return " | ".join(type_text(one) for one in arguments)
    if origin in (Literal, typing_extensions.Literal):  # on Python 3.9 these are two
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin is AbstractCallable:
        return f"Callable[{list(map(type_text, arguments[0]))}, {type_text(arguments[1])}]"
    if origin is not None:
        return f"{origin.__name__}[{', '.join(type_text(one) for one in arguments)}]"
    return getattr(hint, "__forward_arg__", None) or getattr(hint, "__name__", None) or str(hint).rpartition(".")[2]


def _entry_points() -> Dict[str, str]:
    """What the installed package adds to the system, and ``python -m``."""
    found = metadata.distribution("sekha-python-sdk").entry_points
    return {f"{one.group}: {one.name}": one.value for one in found}


def _commands() -> Dict[str, List[str]]:
    """The commands of ``sekha`` with their options and arguments."""
    import typer

    from sekha.cli.app import program

    names = list(getattr(typer.main.get_command(program([])), "commands", ()))
    return {name: _options(typer.main.get_command(program([name])), name) for name in names}


def _options(group: Any, name: str) -> List[str]:
    return sorted("/".join([*one.opts, *one.secondary_opts]) for one in group.commands[name].params)


def main() -> None:
    parser = argparse.ArgumentParser(description="Show the public surface, or write it to its file.")
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name} instead of the standard output")
    if parser.parse_args().write:
        FILE.write_text(text(surface()), encoding="utf-8")
    else:
        sys.stdout.write(text(surface()))


if __name__ == "__main__":
    main()
