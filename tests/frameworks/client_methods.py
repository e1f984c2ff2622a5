"""Which method of a client library does what, once the client has a memory: each is called with made-up arguments."""

from __future__ import annotations

import inspect
from typing import Any, Dict, Iterator, Set, Tuple, Type

import pytest

from sekha import SekhaValidationError
from sekha.memory import Turn

OTHERS = ("with_raw_response", "with_streaming_response", "with_options", "copy", "close")
"""What leads to the same methods again, or to none."""
MADE_UP: Dict[str, Any] = {
    "messages": [{"role": "user", "content": "Hello"}],
    "input": "Hello",
    "model": "a-model",
    "max_tokens": 10,
    "file": b"x",
    "tools": [],
    "requests": [],
}


class Asked(Exception):
    """The memory was asked."""


class Sent(Exception):
    """A request would have been sent without a memory."""


def groups_of(client: Any, monkeypatch: pytest.MonkeyPatch) -> Dict[str, Set[str]]:
    """The methods of a blocking client with a memory, by what they do.

    Args:
        client: The client.
        monkeypatch: Replaces what would be sent and asked.

    Returns:
        The paths of methods that are ``covered``, ``refused``, ``passed on``, or do ``something else``: helpers that
        send nothing, and methods that need better arguments.
    """
    monkeypatch.setattr(Turn, "with_memory", _raises(Asked))
    for name in ("request", "get_api_list"):
        monkeypatch.setattr(type(client), name, _raises(Sent))
    groups: Dict[str, Set[str]] = {}
    for path, method in _methods_of(client):
        groups.setdefault(_group(method), set()).add(path)
    return groups


def _raises(error: Type[Exception]) -> Any:
    def function(*_: object, **__: object) -> None:
        raise error

    return function


def _methods_of(owner: Any, path: str = "") -> Iterator[Tuple[str, Any]]:
    for name in dir(owner):
        if name.startswith("_") or name in OTHERS:
            continue
        value = getattr(owner, name)
        if hasattr(value, "with_raw_response") or ".resources." in type(value).__module__:
            yield from _methods_of(value, f"{path}{name}.")
        elif path and callable(value) and not isinstance(value, type):
            yield f"{path}{name}", value


def _group(method: Any) -> str:
    parameters = inspect.signature(method).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    keywords = {
        p.name: MADE_UP.get(p.name, "made-up")
        for p in parameters
        if p.kind is p.KEYWORD_ONLY and (p.default is p.empty or p.name in MADE_UP)
    }
    try:
        made = method(*(MADE_UP.get(p.name, "made-up") for p in positional if p.default is p.empty), **keywords)
        if hasattr(made, "__enter__"):
            made.__enter__()
    except Asked:
        return "covered"
    except Sent:
        return "passed on"
    except SekhaValidationError:
        return "refused"
    except Exception:  # what is made up does not do
        return "something else"
    return "something else"
