"""Both flavours are the same: names, signatures, documentation; and every method is a row of the table of endpoints."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set, Tuple

import anyio
import pytest

import sekha
import sekha._async
import sekha._sync
import sekha.memory
import sekha.testing
from sekha._api import endpoints as _endpoints
from sekha._api.endpoints import ENDPOINTS
from support import facts
from support.calls import BY_NAME, CALLS
from support.facts import BRIDGE_KEY, MCP_KEY, MESSAGES, REST_KEY
from support.replies import DONE, answer, chunked, delta
from support.server import FakeServer

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
unasync: Any = importlib.import_module("unasync")
sys.path.pop(0)

MODULES = sorted(
    module.name.partition("_async.")[2] for module in pkgutil.walk_packages(sekha._async.__path__, "sekha._async.")
)
SERVICES = {
    "controller": (sekha.AsyncMemoryController, sekha.MemoryController),
    "bridge": (sekha.AsyncBridgeClient, sekha.BridgeClient),
    "mcp": (sekha.AsyncMCPClient, sekha.MCPClient),
}
CLASSES = [*SERVICES.values(), (sekha.AsyncSekhaClient, sekha.SekhaClient)]
CLASSES += [(sekha.AsyncStream, sekha.Stream), (sekha.AsyncMemoryStream, sekha.MemoryStream)]
CLASSES += [(sekha.memory.AsyncMemory, sekha.memory.Memory), (sekha.memory.AsyncTurn, sekha.memory.Turn)]
EXPORTED = ("sekha", "sekha.memory", "sekha.testing")
"""What modules of the trees say that they are, of what is exported."""
AT_ONCE = {
    *("__init__", "with_options", "in_folder", "iter_conversations", "text_stream"),
    *("in_scope", "in_session", "remember_stream", "tool_schemas", "turn"),
}
"""What is not awaited; `remember_stream` is a generator."""
HOUSEKEEPING = {"aclose", "with_options", "in_folder", "close"}


def translated(text: str) -> str:
    """A text of the awaited flavour in the words of the blocking one, by the generator's own rules."""
    literal = f"x = {text!r}\n"
    scope: Dict[str, Any] = {}
    exec(unasync.render(literal).text, scope)
    return str(scope["x"])


def is_ours(cls: Any) -> bool:
    """Whether a class is defined in one of the trees; those that the package exports show its public path."""
    module: str = cls.__module__
    return module in EXPORTED or module.startswith(("sekha._async", "sekha._sync"))


def members(cls: Any) -> Dict[str, Any]:
    """Everything public of a class and of its bases of ours, and the special methods that differ."""
    found: Dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if is_ours(base):
            found.update(vars(base))
    public = {name: value for name, value in found.items() if not name.startswith("_") or name == "__init__"}
    return {name: value for name, value in public.items() if not inspect.isclass(value)}  # services are looked at alone


def names_of(cls: Any) -> Set[str]:
    """Public names, as the blocking flavour calls them."""
    return {translated(name) for name in members(cls)}


@pytest.mark.promise("C9")
def test_the_package_has_every_name_twice() -> None:
    awaited = {name for name in sekha.__all__ if "sync" in name.lower()}
    assert {translated(name) for name in awaited} < set(sekha.__all__)
    assert len(awaited) == 7
    for name in sekha.__all__:
        assert hasattr(sekha, name)


@pytest.mark.promise("C9")
@pytest.mark.parametrize("module", MODULES)
def test_modules_have_the_same_names(module: str) -> None:
    awaited, blocking = (importlib.import_module(f"sekha.{tree}.{module}") for tree in ("_async", "_sync"))

    def own(one: Any) -> Set[str]:
        return {
            name for name, value in vars(one).items() if getattr(value, "__module__", "") in (one.__name__, *EXPORTED)
        }

    assert {translated(name) for name in own(awaited)} == own(blocking)
    assert translated(awaited.__doc__ or "").strip() == (blocking.__doc__ or "").strip()


@pytest.mark.promise("C9")
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


@pytest.mark.promise("C9")
@pytest.mark.parametrize(("awaited", "blocking"), CLASSES, ids=lambda cls: cls.__name__)
def test_what_is_awaited_blocks_in_the_other(awaited: Any, blocking: Any) -> None:
    others = {translated(name): value for name, value in members(awaited).items()}
    for name, method in members(blocking).items():
        assert not inspect.iscoroutinefunction(method), name
        assert not inspect.isasyncgenfunction(method), name
        if callable(method):
            assert inspect.iscoroutinefunction(inspect.unwrap(others[name])) != (name in AT_ONCE), name


@pytest.mark.promise("C9")
def test_factories_are_twins() -> None:
    awaited, blocking = sekha.create_async_sekha_client, sekha.create_sekha_client
    assert shape(awaited) == shape(blocking)
    assert translated(awaited.__doc__ or "") == blocking.__doc__


@pytest.mark.parametrize(("awaited", "blocking"), CLASSES, ids=lambda cls: cls.__name__)
def test_every_public_method_is_documented(awaited: Any, blocking: Any) -> None:
    for name, method in members(blocking).items():
        if callable(method) and name != "__init__":
            assert inspect.getdoc(method), name


@pytest.mark.promise("C9")
def test_the_generated_tree_is_that_of_its_source_without_a_word_of_async() -> None:
    """The generator looks for such words in code, comments and documentation."""
    assert unasync.check(Path(__file__).parents[2]) == []
    for module in MODULES:
        source = inspect.getsource(importlib.import_module(f"sekha._sync.{module}"))
        assert not re.search(r"async|await", source.partition("\n\n")[2], re.IGNORECASE), module


WORKFLOWS: Dict[str, Tuple[Any, ...]] = {
    "store_and_query": (MESSAGES, "hello"),
    "complete_with_context": ("Hello", "hello"),
    "stream_with_context": ("Hello", "hello"),
    "complete_with_memory": ("Hello", "hello"),
    "stream_with_memory": ("Hello", "hello"),
    "build_messages": ("Hello", "hello"),
    "health_check": (),
}
WALKS: Dict[str, Dict[str, Any]] = {
    "controller.iter_conversations": {"label": "Hello Sekha!", "page_size": 7},
    "controller.import_conversations": {"conversations": [{"messages": MESSAGES}]},
    "controller.sync_notes": {"path": Path(__file__).parents[1] / "README.md", "journal": os.devnull},
}
"""Methods with tests of their own, whose requests the table of calls does not tell, and their keywords."""
MANY = {name.partition(".")[2] for name in WALKS}
KEYS: Dict[str, Any] = {"api_key": REST_KEY, "mcp_api_key": MCP_KEY, "bridge_api_key": BRIDGE_KEY}


def scripted(name: str, server: FakeServer, bridge: FakeServer) -> None:
    """Write down what a method is answered."""
    calls = [BY_NAME[name]] if name in BY_NAME else CALLS
    for call in calls:
        for wire in call.wires:
            (bridge if call.service == "bridge" else server).always(wire.line, wire.reply)
    if name not in BY_NAME:
        streamed = chunked(delta("Hi", "stop"), DONE)
        bridge.always("POST /v1/chat/completions", streamed if "stream" in name else answer(facts.COMPLETION))


def made(client: Any, name: str) -> Any:
    """Call a method by its name."""
    if name in BY_NAME:
        return BY_NAME[name].on(client)
    service, _, method = name.rpartition(".")
    return getattr(getattr(client, service) if service else client, method)(
        *WORKFLOWS.get(name, ()), **WALKS.get(name, {})
    )


def sent(*servers: FakeServer) -> List[Tuple[bytes, bytes]]:
    """Every byte of every request since the last time, in an order that does not depend on threads."""
    found = [(seen.head, seen.body) for server in servers for seen in server.seen]
    for server in servers:
        server.seen.clear()
    return sorted(found)


@pytest.mark.promise("C9")
@pytest.mark.parametrize("name", [*BY_NAME, *WALKS, *WORKFLOWS])
def test_every_method_sends_the_same_bytes_in_both_flavours(name: str, server: FakeServer, bridge: FakeServer) -> None:
    scripted(name, server, bridge)
    options: Any = {"controller_url": server.url, "bridge_url": bridge.url, "headers": {"X-Team": "Ada"}, **KEYS}
    with sekha.SekhaClient(**options) as client:
        result = made(client, name)
        if isinstance(result, sekha.Stream):
            result.get_final_text()
        elif isinstance(result, Iterator):
            list(result)

    async def awaited() -> None:
        async with sekha.AsyncSekhaClient(**options) as other:
            result = made(other, name)
            if hasattr(result, "__aiter__"):
                assert [one async for one in result]
            else:
                result = await result
            if isinstance(result, sekha.AsyncStream):
                await result.get_final_text()

    blocking = sent(server, bridge)
    assert blocking
    for backend in ("asyncio", "trio"):
        anyio.run(awaited, backend=backend)
        assert sent(server, bridge) == blocking


@pytest.mark.promise("C9")
def test_every_method_is_among_those() -> None:
    names = {f"{service}.{name}" for service in SERVICES for name in methods(service)}
    workflows = {name for name, value in members(sekha.AsyncSekhaClient).items() if inspect.isfunction(value)}
    assert {*BY_NAME, *WALKS} == names
    assert set(WORKFLOWS) == workflows - HOUSEKEEPING - {"__init__"}


# The table of endpoints

FINDING = {"FULL_TEXT_SEARCH", "LIST_CONVERSATIONS", "MEMORY_EXPORT"}
CREATING = {"CREATE_CONVERSATION", "MEMORY_STORE", "GET_CONVERSATION", "PIN_CONVERSATION"}
SYNCING = {"LIST_CONVERSATIONS", "MEMORY_EXPORT", "UPDATE_LABEL", "DELETE_CONVERSATION", "ARCHIVE_CONVERSATION"}
SEARCHING = {"LIST_CONVERSATIONS", "FULL_TEXT_SEARCH", "GET_CONVERSATION"}
"""What a search may call besides the row of its name."""


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
        "filtered_page": {"LIST_CONVERSATIONS"},
        "AsyncConversationIterator": {"LIST_CONVERSATIONS"},
        "count_messages": {"MEMORY_EXPORT"},
        "count_all": {"MEMORY_EXPORT"},
        "_count_or_none": {"MEMORY_EXPORT"},
        "delete_all": {"DELETE_CONVERSATION", "ARCHIVE_CONVERSATION"},
        "create_if_missing": {*CREATING, *FINDING},
        "AsyncFullTextSearch": {"GET_CONVERSATION"},
        "async_import_all": {*CREATING, "CONTROLLER_HEALTH", "LIST_CONVERSATIONS", "MEMORY_EXPORT"},
        "async_sync_all": {*CREATING, *SYNCING, "CONTROLLER_HEALTH"},
    }
    sources = {name: inspect.getsource(value) for name, value in _functions(cls)}
    found: Dict[str, Set[str]] = {}
    for name, source in sources.items():
        words = set(re.findall(r"\w+", source))
        used = words & rows
        for helper in words & set(helpers):
            used |= helpers[helper]
        if re.search(r"\bawait search\(", source):  # as a word it is in texts, too
            used |= SEARCHING
        if "create_if_missing" in source:  # the operation, not the method of that name
            used |= CREATING
        if re.search(r"\bawait replace_conversation\(", source):
            used |= {*CREATING, "MEMORY_EXPORT", "DELETE_CONVERSATION", "ARCHIVE_CONVERSATION"}
        found[name] = used
    for _ in range(3):  # methods call methods
        for name, source in sources.items():
            for other in set(re.findall(r"self\.(\w+)\(", source)) & set(sources):
                found[name] |= found[other]
    return found


def _functions(cls: Any) -> Iterator[Tuple[str, Any]]:
    for base in cls.__mro__:
        if is_ours(base):
            for name, value in vars(base).items():
                if inspect.isfunction(value):
                    yield name, value


@pytest.mark.promise("C13")
def test_every_method_makes_calls_of_the_table() -> None:
    reached: Set[str] = set()
    for service, (awaited, _) in SERVICES.items():
        used = used_by(awaited)
        for name in methods(service):
            assert used[name], f"{service}.{name}"
            reached |= used[name]
    table = {name for name, value in vars(_endpoints).items() if any(value is row for row in ENDPOINTS)}
    assert reached == table


COMBINATIONS = {
    "controller.create_conversation": {*CREATING, *FINDING},
    "controller.pin_conversation": {"PIN_CONVERSATION", "GET_CONVERSATION"},
    "controller.archive_conversation": {"ARCHIVE_CONVERSATION", "GET_CONVERSATION"},
    "controller.delete_conversation": {"DELETE_CONVERSATION", "GET_CONVERSATION"},
    "controller.summarize": {"SUMMARIZE", "GET_CONVERSATION"},
    "controller.full_text_search": {"FULL_TEXT_SEARCH", "GET_CONVERSATION"},
    "mcp.memory_get_context": {"MEMORY_GET_CONTEXT", "GET_CONVERSATION"},
    "mcp.memory_export": {"MEMORY_EXPORT", "GET_CONVERSATION"},
    "controller.replace_conversation": {*CREATING, "MEMORY_EXPORT", "DELETE_CONVERSATION", "ARCHIVE_CONVERSATION"},
    "controller.delete_conversations": {"DELETE_CONVERSATION", "ARCHIVE_CONVERSATION", "LIST_CONVERSATIONS"},
    "controller.get_conversation": {"GET_CONVERSATION", "MEMORY_EXPORT"},
    "controller.get_messages": {"MEMORY_EXPORT", "GET_CONVERSATION"},
    "controller.iter_conversations": {"LIST_CONVERSATIONS"},
    "controller.import_conversations": {
        *CREATING,
        "CONTROLLER_HEALTH",
        "LIST_CONVERSATIONS",
        "MEMORY_EXPORT",
    },
    "controller.sync_notes": {*CREATING, *SYNCING, "CONTROLLER_HEALTH"},
    "controller.update_label": {"UPDATE_LABEL", "GET_CONVERSATION"},
    "controller.update_folder": {"UPDATE_LABEL", "GET_CONVERSATION"},
    "controller.count_conversations": {"COUNT_CONVERSATIONS", "LIST_CONVERSATIONS"},
    "controller.query": {"QUERY", *SEARCHING},
    "controller.assemble_context": {"ASSEMBLE_CONTEXT", "QUERY", *SEARCHING},
    "mcp.memory_search": {"MEMORY_SEARCH", *SEARCHING},
    "controller.prune_execute": {"PRUNE_EXECUTE", "LIST_CONVERSATIONS"},
    "mcp.memory_stats": {"MEMORY_STATS", "LIST_CONVERSATIONS", "MEMORY_EXPORT"},
    "mcp.memory_update": {
        "MEMORY_UPDATE",
        "ARCHIVE_CONVERSATION",
        "PIN_CONVERSATION",
        "MEMORY_GET_CONTEXT",
        "GET_CONVERSATION",
    },
}
"""What a method may call besides the row of its name, or instead of it; in the view of a folder, it asks first."""


@pytest.mark.promise("C13")
def test_every_method_has_its_row_or_a_stated_combination() -> None:
    names = {id(value): name for name, value in vars(_endpoints).items()}
    own = {f"{row.service.value}.{row.name}": {names[id(row)]} for row in ENDPOINTS}
    found = {
        f"{service}.{name}": rows
        for service, (awaited, _) in SERVICES.items()
        for name, rows in used_by(awaited).items()
        if name in methods(service)
    }
    assert found == {**own, **COMBINATIONS}
    assert set(COMBINATIONS) >= set(found) - set(own)


PARTS = {
    "store_and_query": {"controller.create_conversation", "controller.query", "controller.full_text_search"},
    "complete_with_context": {"controller.assemble_context", "bridge.complete"},
    "stream_with_context": {"controller.assemble_context", "bridge.stream_complete"},
    "complete_with_memory": {"controller.query", "controller.full_text_search", "bridge.complete"},
    "stream_with_memory": {"controller.query", "controller.full_text_search", "bridge.stream_complete"},
    "build_messages": {"controller.assemble_context"},
    "health_check": {"controller.health", "controller.list_conversations", "bridge.health", "mcp.memory_stats"},
}
"""The rows that a workflow calls."""


@pytest.mark.promise("C13")
@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_workflow_is_a_stated_combination(name: str, server: FakeServer, bridge: FakeServer) -> None:
    scripted(name, server, bridge)
    with sekha.SekhaClient(controller_url=server.url, bridge_url=bridge.url, **KEYS) as client:
        result = made(client, name)
        if isinstance(result, sekha.Stream):
            result.get_final_text()
    rows = {f"{row.service.value}.{row.name}": row for row in ENDPOINTS}
    expected = sorted((one.startswith("bridge"), f"{rows[one].method} {rows[one].path}") for one in PARTS[name])
    assert sorted([(False, line) for line in server.lines] + [(True, line) for line in bridge.lines]) == expected


@pytest.mark.promise("C13")
def test_every_row_is_the_method_of_its_name() -> None:
    for row in ENDPOINTS:
        assert row.name in methods(row.service.value), row.name
    without = {"get_messages", "update_folder", "replace_conversation", "delete_conversations", *MANY}
    assert {(row.service.value, row.name) for row in ENDPOINTS} == {
        (service, name) for service in SERVICES for name in methods(service) - without
    }


@pytest.mark.promise("C13")
def test_the_table_of_calls_in_these_tests_is_complete() -> None:
    assert {call.name for call in CALLS} == {
        f"{service}.{name}" for service in SERVICES for name in methods(service) - MANY
    }
    classes = {(row.service.value, row.name): row.retry_if_unknown.name for row in ENDPOINTS}
    for call in CALLS:
        if call.method not in ("get_messages", "update_folder", "replace_conversation", "delete_conversations"):
            assert classes[call.service, call.method] == call.repeat, call.name
