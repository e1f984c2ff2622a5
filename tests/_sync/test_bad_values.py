# Generated from tests/_async/test_bad_values.py: do not edit.
# To change it, edit that file, then run: python tools/unasync.py
"""What JSON or the servers cannot carry is refused before a byte is sent, wherever in the arguments it stands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from sekha import SekhaClient, SekhaValidationError
from support import facts
from support.facts import ID, MESSAGES
from support.mutants import at
from support.replies import answer
from support.server import FakeServer

BAD = (float("nan"), float("inf"), float("-inf"), "\0", "text with \0 in it", "\ud800", "text with \udfff in it")
PARTS = [{"type": "text", "text": "Hello"}, {"type": "image_url", "image_url": {"url": "http://x.test/a.png"}}]
TALK = [*MESSAGES, {"role": "user", "content": PARTS, "name": "Ada", "extra": {"deep": ["x", 1.5]}}]
PERIOD = {"start_date": "2026-01-01", "end_date": "2026-02-01"}
FILTERS = {
    **{"label": "A", "labels": ["A", "B"], "exclude_labels": ["C"], "folder": "/work", "min_importance": 5},
    **{"roles": ["user"], **PERIOD},
}
STORED = {"messages": TALK, "label": "L", "folder": "/", "importance_score": 5}

# A good value for every argument that is no switch, by its name, or by method and name where that differs.
GOOD: dict[str, Any] = {
    **dict.fromkeys(("query", "prompt", "context_query", "search_query", "system", "text", "task"), "x"),
    **dict.fromkeys(("label", "label_contains", "folder", "model", "preferred_model", "conversation"), "x"),
    **dict.fromkeys(("limit", "offset", "page", "page_size", "context_budget", "max_tokens", "context_size"), 5),
    **dict.fromkeys(("importance_score", "min_importance", "importance_threshold", "threshold_days"), 5),
    **dict.fromkeys(("temperature", "max_cost", "min_score"), 0.5),
    **{name: ["A", "B"] for name in ("labels", "preferred_labels", "folders", "excluded_folders", "input")},
    **PERIOD,
    "conversation_id": ID,
    "conversation_ids": [ID, ID],
    "messages": TALK,
    "extra_body": {"top_p": 0.5, "stop": ["x"], "metadata": {"team": "x"}},
    "on_memory_error": "ignore",
    "filters": FILTERS,
    "roles": ["user", "tool"],
    "level": "daily",
    "format": "json",
    "status": "archived",
    "bridge.summarize.messages": ["a", "b"],
    "controller.create_conversation.conversation": STORED,
    "controller.replace_conversation.conversation": STORED,
    "mcp.memory_store.request": STORED,
    "mcp.memory_search.request": {"query": "x", "limit": 5, **FILTERS},
    "mcp.memory_stats.request": {"labels": ["A"], "folder": "/", **PERIOD},
}
NEEDED = {
    "controller.create_conversation": ("messages",),
    "controller.replace_conversation": ("messages",),
    "mcp.memory_store": ("messages",),
    "mcp.memory_search": ("query",),
    "bridge.embed": ("input",),
}
"""What has to be given besides, unless it is in the dictionary of the call or has another name."""


OTHERS = ("close", "close", "with_options", "in_folder", "import_conversations", "sync_notes")
"""What is tested elsewhere: the last two tell of a bad conversation and go on to the next."""


def methods(client: SekhaClient) -> Iterator[tuple[str, Any]]:
    """Every public method that takes anything but switches."""
    for service in ("controller", "mcp", "bridge", ""):
        thing = getattr(client, service) if service else client
        for name, method in inspect.getmembers(thing, inspect.ismethod):
            if not name.startswith("_") and name not in OTHERS and arguments(method):
                yield f"{service}.{name}".lstrip("."), method


def arguments(method: Any) -> list[inspect.Parameter]:
    """The parameters of a method that are no switches."""
    return [one for one in inspect.signature(method).parameters.values() if "bool" not in str(one.annotation)]


def good(name: str, argument: str) -> Any:
    """A good value for an argument."""
    return GOOD.get(f"{name}.{argument}", GOOD.get(argument))


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all texts and numbers inside a value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*place, index))
    else:
        yield place


def put(value: Any, place: tuple[Any, ...], bad: Any) -> Any:
    """A copy with something else at one place."""
    if not place:
        return bad
    items = dict(value) if isinstance(value, dict) else list(value)
    items[place[0]] = put(value[place[0]], place[1:], bad)
    return items


def called(place: tuple[Any, ...]) -> str:
    """A place as errors call it."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.lstrip(".")


def refusal(method: Any, keywords: dict[str, Any]) -> SekhaValidationError:
    """How a call is refused."""
    with pytest.raises(SekhaValidationError) as caught:
        method(**keywords)
    error = caught.value
    assert (error.sent, error.status_code, error.may_have_been_applied) == (False, 400, False)
    assert str(error).startswith(f"{error.field}: ")
    str(error).encode()  # what is wrong with the value is not wrong with the error
    return error


def others(name: str, method: Any, argument: str) -> dict[str, Any]:
    """Good values for what a call needs besides one argument."""
    needed = {one.name for one in arguments(method) if one.default is inspect.Parameter.empty}
    if argument not in ("conversation", "request") and (name, argument) != ("bridge.embed", "text"):
        needed |= set(NEEDED.get(name, ()))
    return {one: MESSAGES if one == "messages" else good(name, one) for one in needed - {argument}}


@pytest.mark.promise("C11")
def test_what_cannot_be_sent_is_refused_by_its_place(
    client: SekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    tried: set[str] = set()
    wrong: list[Any] = []
    for name, method in methods(client):
        for parameter in arguments(method):
            value = good(name, parameter.name)
            assert value is not None, f"{name} has a new argument, {parameter.name}"
            flat = parameter.name in ("conversation", "request") and isinstance(value, dict)
            for place in leaves(value):
                for bad in BAD:
                    keywords = {**others(name, method, parameter.name), parameter.name: put(value, place, bad)}
                    error = refusal(method, keywords)
                    tried.add(name)
                    if error.field != called(place if flat else (parameter.name, *place)):
                        wrong.append((name, keywords, error.field))
    assert wrong == []
    assert len(tried) > 30
    assert server.connections == bridge.connections == 0


@pytest.mark.promise("C11")
@pytest.mark.parametrize("bad", ["\0", "a\0b", "\ud800", 5, None])
def test_keys_that_cannot_be_sent_are_refused_by_their_place(
    bad: Any, client: SekhaClient, server: FakeServer, bridge: FakeServer
) -> None:
    for name, method in methods(client):
        for parameter in arguments(method):
            value = good(name, parameter.name)
            flat = parameter.name in ("conversation", "request") and isinstance(value, dict)
            for place in {leaf[:end] for leaf in leaves(value) for end in range(len(leaf))}:
                if isinstance(at(value, place), dict):
                    more = put(value, place, {**at(value, place), bad: 1})
                    error = refusal(method, {**others(name, method, parameter.name), parameter.name: more})
                    expected = called(place if flat else (parameter.name, *place))
                    assert error.field == (expected or "the request"), (name, place)
    assert server.connections == bridge.connections == 0


@pytest.mark.promise("C11")
def test_the_good_values_are_good(client: SekhaClient, server: FakeServer) -> None:
    """So it was the bad ones that were refused."""
    server.on("GET /health", answer({**facts.HEALTHY, "keeps": ["name", "extra"]}))
    server.always("POST /api/v1/conversations", answer(facts.CREATED, 201))
    client.controller.create_conversation(STORED)
    assert server.seen[1].json["messages"][1]["extra"] == {"deep": ["x", 1.5]}
