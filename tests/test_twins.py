"""Both flavours are the same: names, signatures, documentation; and every method is a row of the table of endpoints."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set, Tuple

import pytest

import sekha
import sekha._async
import sekha._sync
from sekha import _endpoints
from sekha._endpoints import ENDPOINTS
from support.calls import CALLS

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
unasync: Any = importlib.import_module("unasync")
sys.path.pop(0)

MODULES = sorted(module.name for module in pkgutil.iter_modules(sekha._async.__path__))
SERVICES = {
    "controller": (sekha.AsyncMemoryController, sekha.MemoryController),
    "bridge": (sekha.AsyncBridgeClient, sekha.BridgeClient),
    "mcp": (sekha.AsyncMCPClient, sekha.MCPClient),
}
CLASSES = [*SERVICES.values(), (sekha.AsyncSekhaClient, sekha.SekhaClient), (sekha.AsyncStream, sekha.Stream)]
HOUSEKEEPING = {"aclose", "with_options", "close"}


def translated(text: str) -> str:
    """A text of the awaited flavour in the words of the blocking one, by the generator's own rules."""
    literal = f"x = {text!r}\n"
    scope: Dict[str, Any] = {}
    exec(unasync.render(literal).text, scope)
    return str(scope["x"])


def members(cls: Any) -> Dict[str, Any]:
    """Everything public of a class and of its bases of ours, and the special methods that differ."""
    found: Dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith(("sekha._async", "sekha._sync")):
            found.update(vars(base))
    return {name: value for name, value in found.items() if not name.startswith("_") or name == "__init__"}


def names_of(cls: Any) -> Set[str]:
    """Public names, as the blocking flavour calls them."""
    return {translated(name) for name in members(cls)}


def test_the_package_has_every_name_twice() -> None:
    awaited = {name for name in sekha.__all__ if "sync" in name.lower()}
    assert {translated(name) for name in awaited} < set(sekha.__all__)
    assert len(awaited) == 6
    for name in sekha.__all__:
        assert hasattr(sekha, name)


@pytest.mark.parametrize("module", MODULES)
def test_modules_have_the_same_names(module: str) -> None:
    awaited, blocking = (importlib.import_module(f"sekha.{tree}.{module}") for tree in ("_async", "_sync"))

    def own(one: Any) -> Set[str]:
        return {name for name, value in vars(one).items() if getattr(value, "__module__", "") == one.__name__}

    assert {translated(name) for name in own(awaited)} == own(blocking)
    assert translated(awaited.__doc__ or "").strip() == (blocking.__doc__ or "").strip()


@pytest.mark.parametrize(("awaited", "blocking"), CLASSES, ids=lambda cls: cls.__name__)
def test_classes_have_the_same_methods(awaited: Any, blocking: Any) -> None:
    assert names_of(awaited) == names_of(blocking)
    assert translated(inspect.getdoc(awaited) or "") == inspect.getdoc(blocking)
    others = {translated(name): value for name, value in members(awaited).items()}
    for name, method in members(blocking).items():
        if not callable(method):
            continue
        other = others[name]
        assert shape(other) == shape(method), name
        assert translated(inspect.getdoc(other) or "") == (inspect.getdoc(method) or ""), name


def shape(function: Any) -> List[Tuple[str, Any, str, str]]:
    """Names, kinds, defaults and annotations of the parameters, translated."""
    return [
        (one.name, one.kind, repr(one.default), translated(str(one.annotation)))
        for one in inspect.signature(function).parameters.values()
    ]


@pytest.mark.parametrize(("awaited", "blocking"), CLASSES, ids=lambda cls: cls.__name__)
def test_what_is_awaited_blocks_in_the_other(awaited: Any, blocking: Any) -> None:
    others = {translated(name): value for name, value in members(awaited).items()}
    for name, method in members(blocking).items():
        assert not inspect.iscoroutinefunction(method), name
        assert not inspect.isasyncgenfunction(method), name
        at_once = name in ("__init__", "with_options", "iter_conversations", "text_stream")
        if callable(method):
            assert inspect.iscoroutinefunction(others[name]) != at_once, name


def test_factories_are_twins() -> None:
    awaited, blocking = sekha.create_async_sekha_client, sekha.create_sekha_client
    assert shape(awaited) == shape(blocking)
    assert translated(awaited.__doc__ or "") == blocking.__doc__


@pytest.mark.parametrize(("awaited", "blocking"), CLASSES, ids=lambda cls: cls.__name__)
def test_every_public_method_is_documented(awaited: Any, blocking: Any) -> None:
    for name, method in members(blocking).items():
        if callable(method) and name != "__init__":
            assert inspect.getdoc(method), name


# The table of endpoints


def methods(service: str) -> Set[str]:
    """The methods of a service that make calls."""
    return {
        name for name, value in members(SERVICES[service][0]).items() if callable(value) and not name.startswith("__")
    } - HOUSEKEEPING


def used_by(cls: Any) -> Dict[str, Set[str]]:
    """Which rows each method names in its source, or in that of the helpers it calls."""
    rows = {name for name, value in vars(_endpoints).items() if isinstance(value, type(ENDPOINTS[0]))}
    helpers = {
        "all_conversations": {"LIST_CONVERSATIONS"},
        "AsyncConversationIterator": {"LIST_CONVERSATIONS"},
        "count_messages": {"MEMORY_EXPORT"},
        "count_all": {"MEMORY_EXPORT"},
        "_count_or_none": {"MEMORY_EXPORT"},
    }
    sources = {name: inspect.getsource(value) for name, value in _functions(cls)}
    found: Dict[str, Set[str]] = {}
    for name, source in sources.items():
        words = set(re.findall(r"\w+", source))
        used = words & rows
        for helper in words & set(helpers):
            used |= helpers[helper]
        found[name] = used
    for _ in range(3):  # methods call methods
        for name, source in sources.items():
            for other in set(re.findall(r"self\.(\w+)\(", source)) & set(sources):
                found[name] |= found[other]
    return found


def _functions(cls: Any) -> Iterator[Tuple[str, Any]]:
    for base in cls.__mro__:
        if base.__module__.startswith("sekha._async"):
            for name, value in vars(base).items():
                if inspect.isfunction(value):
                    yield name, value


def test_every_method_makes_calls_of_the_table() -> None:
    reached: Set[str] = set()
    for service, (awaited, _) in SERVICES.items():
        used = used_by(awaited)
        for name in methods(service):
            assert used[name], f"{service}.{name}"
            reached |= used[name]
    table = {name for name, value in vars(_endpoints).items() if any(value is row for row in ENDPOINTS)}
    assert reached == table


def test_every_row_is_the_method_of_its_name() -> None:
    for row in ENDPOINTS:
        assert row.name in methods(row.service.value), row.name
    without = {"get_messages", "iter_conversations", "update_folder"}
    assert {(row.service.value, row.name) for row in ENDPOINTS} == {
        (service, name) for service in SERVICES for name in methods(service) - without
    }


def test_the_table_of_calls_in_these_tests_is_complete() -> None:
    assert {call.name for call in CALLS} == {
        f"{service}.{name}" for service in SERVICES for name in methods(service) - {"iter_conversations"}
    }
    classes = {(row.service.value, row.name): row.repeat.name for row in ENDPOINTS}
    for call in CALLS:
        if call.method not in ("get_messages", "update_folder"):
            assert classes[call.service, call.method] == call.repeat, call.name
