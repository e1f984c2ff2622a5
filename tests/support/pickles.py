"""Pickles of the public classes: one object of each, and what its pickles hold.

``tests/data/pickles.json`` has those that version 0.2 made (commit 5235914), before its modules were moved. Write it
again only for a new example, with the code of that commit:

    PYTHONPATH=<its src> python tests/support/pickles.py --write tests/data/pickles.json

The other way round, ``--write FILE`` with the code of today and ``--check FILE`` with that of version 0.2 show that the
old version reads new pickles. So this module uses public names alone, those of version 0.2.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import pickle
import pickletools
import sys
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterator, List, Set, Tuple, cast

import sekha
from sekha import errors, types
from sekha.local import LocalSekhaError
from sekha.testing import Fault, SeenRequest

FILE = Path(__file__).parents[1] / "data" / "pickles.json"
PROTOCOLS = (2, 5)
NO_VALUES = {
    *("AsyncBridgeClient", "AsyncMCPClient", "AsyncMemoryController", "AsyncSekhaClient"),
    *("BridgeClient", "MCPClient", "MemoryController", "SekhaClient"),  # connections
    *("AsyncMemoryStream", "AsyncStream", "MemoryStream", "Stream"),
    *("AsyncMemory", "AsyncTurn", "Memory", "Turn"),
    *("AsyncRemembers", "Remembers"),  # protocols
    *("LocalSekha", "ScriptedSekha", "Answer", "Exchange"),  # servers, and sockets of theirs
    *("Clock", "FakeClock"),  # a lock, or nothing to keep
}
"""Public classes whose objects are bound to their process, so that no pickle of them is kept."""
NEW = {"Recalled", "Scope", "SekhaInUseError", "ToolResult", "WaitEvent"}
"""Public classes that version 0.2 does not have."""
MARKS = frozenset({"_pickles_secrets", "_left_out"})
"""What a config of today notes besides its settings; version 0.2 keeps it and does not read it."""


def examples() -> Dict[str, Any]:
    """An object of each public class that is a value, with something in every field."""
    found: Dict[str, Any] = {
        name: _error(getattr(errors, name)) for name in dir(errors) if _is_error(name) and name not in NEW
    }
    found["LocalSekhaError"] = _error(LocalSekhaError)
    found["SekhaError, empty"] = sekha.SekhaError()
    found["SekhaWarning"] = sekha.SekhaWarning("look at it")
    found["SekhaConfig"] = sekha.SekhaConfig(**_SETTINGS, verify="/ca.pem", cert=("/cert.pem", "/key.pem"))
    found["SekhaConfig, empty"] = sekha.SekhaConfig()
    found["ClientConfig"] = sekha.ClientConfig("http://localhost:8080", "sk-example", None, 0, 5, 1.5)
    found["ClientConfig, empty"] = sekha.ClientConfig()
    attempt = ("controller", "GET", "/health", "localhost:8080", 1)
    found["RequestEvent"] = sekha.RequestEvent(*attempt)
    found["ResponseEvent"] = sekha.ResponseEvent(*attempt, 500, sekha.SekhaServerError, 0.25)
    found["RetryEvent"] = sekha.RetryEvent(*attempt, None, sekha.SekhaConnectionError, 0.25, 1.5)
    for enum in (types.ConversationStatus, types.MessageRole, types.PruneRecommendation, types.SummaryLevel):
        found[enum.__name__] = list(enum)
    found["SearchResults"] = types.SearchResults([_hit("new"), _hit("old")], _conversation("new"))
    found["UnreadableConversation"] = types.UnreadableConversation("chats.jsonl:3", "has no messages")
    found["Fault"] = Fault("any", bool)
    found["SeenRequest"] = SeenRequest("bridge", "GET", "/", {"a": "b"}, {"c": "d"}, b"{}", 1, 1.5, "print")
    return found


_TIME = "2026-01-31T09:30:00.000000+00:00"
_SETTINGS: Dict[str, Any] = {
    "controller_url": "http://localhost:8080",
    "api_key": "sk-example-1",
    "bridge_url": "https://localhost:5001/bridge",
    "bridge_api_key": "sk-example-2",
    "mcp_api_key": "sk-example-3",
    "timeout": None,
    "max_retries": 0,
    "deadline": 7.5,
    "rate_limit_requests": 5,
    "rate_limit_window": 1.5,
    "max_connections": 6,
    "max_concurrent_writes": 2,
    "max_response_bytes": 4096,
    "proxy": "http://localhost:3128",
    "trust_env": False,
    "headers": {"X-Request-ID": "example"},
    "on_request": print,
    "on_response": print,
    "on_retry": print,
    "tracing": False,
}


def _is_error(name: str) -> bool:
    value = getattr(errors, name)
    return isinstance(value, type) and issubclass(value, sekha.SekhaError)


def _error(cls: Any) -> Any:
    details: Dict[str, Any] = {"method": "POST", "path": "/api/v1/conversations", "attempts": 2, "elapsed": 1.5}
    details.update(sent=True, may_have_been_applied=True)
    if issubclass(cls, sekha.SekhaAPIError):
        details.update(status_code=418, code="E7", body="{}", retry_after=7.5)
    if issubclass(cls, sekha.SekhaDecodeError):
        details.update(status_code=201, body="<html>")
    if issubclass(cls, sekha.SekhaStreamError):
        details["text"] = "so far"
    if issubclass(cls, sekha.SekhaValidationError):
        details["field"] = "messages[1].content"
    error = cls("what went wrong", **details)
    if isinstance(error, sekha.SekhaNotFoundError):
        error.archived = ["a", "b"]
    error.conversation = _conversation("new")
    error._final = True  # a private mark of version 0.2, which later ones keep and do not read
    error.__cause__ = sekha.SekhaConnectionError("the network")  # pickles of exceptions leave causes out
    return error


def _conversation(id: str) -> types.Conversation:
    found = {"id": id, "label": "A", "folder": "/", "status": "active", "message_count": 1, "created_at": _TIME}
    return cast(types.Conversation, found)  # as version 0.2 had it, which gave one name of the id


def _hit(conversation: str) -> types.SearchResult:
    return {
        "conversation_id": conversation,
        "message_id": "m",
        "score": 0.5,
        "content": "Hi",
        "label": "A",
        "folder": "/",
        "timestamp": _TIME,
    }


def facts(thing: Any) -> Tuple[Any, ...]:
    """What has to be the same of two objects; errors are never equal as such."""
    is_error = isinstance(thing, BaseException)
    value = (str(thing), thing.args[:1]) if is_error else thing  # since version 0.3, the status is the second argument
    attributes = {name: value for name, value in getattr(thing, "__dict__", {}).items() if name not in MARKS}
    return type(thing), value, attributes, None if is_error else repr(thing)


class _Reader(pickle.Unpickler):
    """Loads a pickle, and notes what it takes from our modules."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.taken: Set[Tuple[str, str]] = set()

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "sekha":
            self.taken.add((module, name))
        return super().find_class(module, name)


def taken(data: bytes) -> Set[Tuple[str, str]]:
    """The modules and names of ours that must exist where a pickle is loaded."""
    reader = _Reader(data)
    reader.load()
    return reader.taken


def words(data: bytes) -> FrozenSet[str]:
    """All text in a pickle: the names in its states, and what they hold."""
    return frozenset(word for _, word, _ in pickletools.genops(data) if isinstance(word, str))


def made() -> Dict[str, Dict[str, str]]:
    """The pickles of this version, by example and protocol."""
    return {name: {str(protocol): dumped(one, protocol) for protocol in PROTOCOLS} for name, one in examples().items()}


def dumped(thing: Any, protocol: int) -> str:
    """A pickle of an example, with the keys of a config: version 0.2 leaves none out."""
    if isinstance(thing, (sekha.SekhaConfig, types.ClientConfig)) and hasattr(thing, "with_secrets"):
        thing = thing.with_secrets()
    return base64.b64encode(pickle.dumps(thing, protocol)).decode()


def kept(file: Path = FILE) -> Iterator[Tuple[str, int, bytes]]:
    """The pickles in a file: name of the example, protocol, data."""
    for name, pickles in json.loads(file.read_text(encoding="utf-8")).items():
        for protocol, data in pickles.items():
            yield name, int(protocol), base64.b64decode(data)


def problems(file: Path) -> List[str]:
    """The pickles of a file that cannot be loaded, or that are not what this version makes of the same fields."""
    expected, found = examples(), []
    for name, protocol, data in kept(file):
        try:
            loaded: object = pickle.loads(data)
        except Exception as error:
            found.append(f"{name}, protocol {protocol}: {error!r}")
        else:
            if facts(loaded) != facts(expected[name]):
                found.append(f"{name}, protocol {protocol}: {facts(loaded)} is not {facts(expected[name])}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Write pickles of the public classes, or read them.")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", type=Path, metavar="FILE")
    choice.add_argument("--check", type=Path, metavar="FILE")
    options = parser.parse_args()
    print(f"sekha {sekha.__version__} of {Path(sekha.__file__ or '').parent} on Python {sys.version.split()[0]}")
    if options.write:
        options.write.write_text(json.dumps(made(), indent=1) + "\n", encoding="utf-8")
        return 0
    found = problems(options.check)
    print("\n".join(found) or f"all {len([*kept(options.check)])} pickles are read")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
