"""Which method of a client library does what, once the client has a memory: each is called with made-up arguments."""

from __future__ import annotations

import inspect
from typing import Any, Dict, Iterator, Tuple

import pytest

from sekha import SekhaValidationError
from sekha.memory import Memory, Turn

SKIPPED = ("with_raw_response", "with_streaming_response", "with_options", "copy", "close")
MADE_UP: Dict[str, Any] = {
    "messages": [{"role": "user", "content": "Hello"}],
    "input": "Hello",
    "file": b"x",
    "max_tokens": 10,
    "tools": [],
    "requests": [],
    "body": {},
}


class Asked(Exception):
    """The memory was asked."""


class Sent(Exception):
    """A request would have been sent without a memory."""


def groups_of(client: Any, monkeypatch: pytest.MonkeyPatch) -> Dict[str, str]:
    """The group of each method of a blocking client with a memory.

    Args:
        client: The client.
        monkeypatch: Replaces what would be sent and asked.

    Returns:
        By the path of the method: ``covered``, ``refused``, ``passed on``; or ``sends nothing`` by itself, as do helpers.
    """

    def asked(*_: object, **__: object) -> None:
        raise Asked

    def sent(*_: object, **__: object) -> None:
        raise Sent

    monkeypatch.setattr(Turn, "with_memory", asked)
    for name in ("request", "get_api_list"):
        monkeypatch.setattr(type(client), name, sent)
    return {path: _group(method) for path, method in methods_of(client)}


def methods_of(owner: Any, path: str = "") -> Iterator[Tuple[str, Any]]:
    """The public methods of a client and its resources, with their paths."""
    for name in sorted(set(dir(owner))):
        if name.startswith("_") or name in SKIPPED:
            continue
        value = getattr(owner, name)
        place = f"{path}{name}"
        if "resources" in _module_of(value):
            yield from methods_of(value, f"{place}.")
        elif path and callable(value) and not isinstance(value, type):
            yield place, value


def _module_of(value: Any) -> str:
    guarded = vars(value).get("_guarded") if hasattr(value, "__dict__") else None
    return type(guarded[1]() if guarded else value).__module__


def _group(method: Any) -> str:
    try:
        signature = inspect.signature(method)
    except ValueError:
        return "sends nothing"
    needed = [p for p in signature.parameters.values() if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if any(p.kind is p.VAR_POSITIONAL for p in needed):  # what is refused takes everything
        needed = []
    arguments = {p.name: MADE_UP.get(p.name, "made-up") for p in needed}
    try:
        made = method(**arguments)
        if hasattr(made, "__enter__"):
            made.__enter__()
    except Asked:
        return "covered"
    except Sent:
        return "passed on"
    except SekhaValidationError:
        return "refused"
    return "sends nothing"


assert Memory
