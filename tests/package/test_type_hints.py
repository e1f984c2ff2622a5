"""`typing.get_type_hints` works for everything public: frameworks that inject or check arguments call it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Dict, Optional, Tuple, get_type_hints

import pytest

import sekha
from support.surface import MODULES


def public() -> Dict[str, Any]:
    """Every public function, class and method, with what they inherit from private classes of ours."""
    exported = {
        f"{name}.{one}": getattr(import_module(name), one) for name in MODULES for one in import_module(name).__all__
    }
    found = {name: value for name, value in exported.items() if inspect.isclass(value) or inspect.isfunction(value)}
    for name, value in list(found.items()):
        found.update((f"{name}.{method}", function) for method, function in methods(value) if inspect.isclass(value))
    return found


def methods(cls: Any) -> Iterator[Tuple[str, Any]]:
    for base in reversed(getattr(cls, "__mro__", ())):
        if base.__module__.partition(".")[0] in ("sekha", "pytest_sekha"):
            for name, value in vars(base).items():
                function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
                is_public = not name.startswith("_") or (name.startswith("__") and name.endswith("__"))
                if is_public and inspect.isfunction(function):
                    yield name, function


PUBLIC = public()


@pytest.mark.parametrize("name", PUBLIC)
def test_type_hints_of_everything_public_can_be_evaluated(name: str) -> None:
    value = PUBLIC[name]
    assert isinstance(get_type_hints(value), dict)
    # On Python 3.9, no union can be written `X | Y`. Newer ones evaluate it: so they look at what is written.
    for annotation in getattr(inspect.unwrap(value), "__annotations__", {}).values():
        text = getattr(annotation, "__forward_arg__", annotation)
        nodes = ast.walk(ast.parse(text)) if isinstance(text, str) else ()
        assert not any(isinstance(node, ast.BitOr) for node in nodes), f"{text}: write it with Optional or Union"


@pytest.mark.parametrize("made", [sekha.SekhaClient, sekha.AsyncSekhaClient, sekha.SekhaConfig])
def test_type_hints_are_the_types_themselves(made: Any) -> None:
    assert get_type_hints(made.__init__)["api_key"] == Optional[str]


def test_nothing_public_is_forgotten() -> None:
    assert {"sekha.SekhaClient.__init__", "sekha.AsyncSekhaClient.complete_with_context"} <= set(PUBLIC)
    assert {"sekha.config.SekhaConfig.from_env", "sekha.MemoryController.query", "sekha.ClientConfig"} <= set(PUBLIC)
    assert {"sekha.types.Conversation", "sekha.testing.ScriptedSekha.fail", "sekha.exports.read_export"} <= set(PUBLIC)
    assert len(PUBLIC) > 350
