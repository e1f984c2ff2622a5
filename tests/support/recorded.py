"""What the real controller 0.1 and the real bridge 0.2 answered: each answer goes to the public method that it is for.

`ROWS` says which method that is, and which of its arguments stand in the recorded request; `ELSEWHERE` says why no
public method makes a request. Both stand on the contract of the servers, so that other recordings can be played too.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Type
from urllib.parse import parse_qsl, urlsplit

import sekha
from support import facts
from support.replies import DROP, HANG, answer
from support.server import ReceivedRequest, Reply

FOLDER = Path(__file__).parents[1] / "data" / "transcripts"
FILES = ("story", "controller", "controller-parallel", "mcp", "bridge")

Data = Dict[str, Any]


# ---- recorded exchanges ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Exchange:
    """A recorded request and what came of it.

    Attributes:
        status: None if there was no answer; ``fault`` is what the recorder's client called that.
        body: The request's body: data, text that is no JSON, or None.
        answer: The body of the answer, byte for byte.
    """

    name: str
    bridge: bool
    method: str
    target: str
    body: Any
    clipped_request: bool
    status: Optional[int]
    headers: Dict[str, str]
    answer: bytes
    fault: str

    @property
    def path(self) -> str:
        """The path without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> Data:
        """The query, with numbers and booleans as such."""
        return {key: _value(text) for key, text in parse_qsl(urlsplit(self.target).query, keep_blank_values=True)}

    @property
    def streams(self) -> bool:
        """Whether a stream is asked for."""
        return isinstance(self.body, dict) and self.body.get("stream") is True

    @property
    def data(self) -> Any:
        """The answer as data; None if it is no JSON."""
        try:
            return json.loads(self.answer)
        except ValueError:
            return None

    @property
    def words(self) -> List[str]:
        """What the server says in an error: each of these must stand in ours."""
        data = self.data if isinstance(self.data, dict) else {}
        for key in ("error", "detail"):
            if isinstance(data.get(key), str):
                return [data[key]]
            if isinstance(data.get(key), list):
                return [str(item["msg"]) for item in data[key][:3]]
        return [self.answer.decode().strip()]

    @property
    def reply(self) -> Reply:
        """The answer for the fake server: the recorded status, headers and body, byte for byte."""
        if self.status is None:
            return HANG if "Timeout" in self.fault else DROP
        headers = dict(self.headers)
        body = self.answer
        if headers.get("transfer-encoding") == "chunked":
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif self.method != "HEAD":  # what was clipped, or a path that was taken out, is missing from the length
            headers["content-length"] = str(len(body))
        lines = [f"HTTP/1.1 {self.status} Recorded", *(f"{name}: {value}" for name, value in headers.items())]
        return Reply(("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body,))


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def exchanges(file: str) -> Iterator[Exchange]:
    """The exchanges of a file, in the order in which they happened."""
    for line in (FOLDER / f"{file}.jsonl").read_text(encoding="utf-8").splitlines():
        recorded = json.loads(line)
        request, response = recorded["request"], recorded["response"]
        body = request["body"]
        clipped = isinstance(body, dict) and "$clipped" in body
        yield Exchange(
            name=recorded["name"],
            bridge=recorded["service"] == "bridge",
            method=request["method"],
            target=request["path"],
            body=None if clipped else body,
            clipped_request=clipped,
            status=response["status"],
            headers=response["headers"],
            answer=response["body_text"].encode(),
            fault=(response.get("error") or {}).get("type", ""),
        )


# ---- to which method they go -----------------------------------------------------------------------------------

ID = "11111111-2222-4333-8444-555555555555"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CHAT_PATH = "/v1/chat/completions"
_CHAT = [{"role": "user", "content": "hello"}]


@dataclass(frozen=True)
class Row:
    """Which public method makes a request, and how its arguments are found.

    Attributes:
        service: ``controller``, ``mcp`` or ``bridge``: where the method is.
        line: Method and path that the method asks for; ``{id}`` is the id of a conversation.
        usual: Arguments that are used where the recorded ones are missing or refused.
        taken: Arguments that are taken from the recorded body or query, by their name there.
        aliases: Other paths of the same route.
        writes: Whether an unknown outcome must be told.
        expected: From the answer and the arguments to what the method must give.
        before: What else the method asks for, by line.
    """

    service: str
    name: str
    line: str
    usual: Data
    taken: Dict[str, str]
    aliases: Tuple[str, ...] = ()
    writes: bool = False
    expected: Callable[[Any, Data], Any] = lambda data, arguments: data
    before: Callable[[Data], Dict[str, Reply]] = lambda arguments: {}

    def takes(self, exchange: Exchange) -> bool:
        """Whether the recorded request is one of this method's."""
        method, path = self.line.split(" ")
        if exchange.method != method or exchange.bridge != (self.service == "bridge"):
            return False
        if path == _CHAT_PATH and exchange.streams != (self.name == "stream_complete"):
            return False
        if "{id}" in path:
            head, tail = path.split("{id}")
            found = re.fullmatch(re.escape(head) + r"([^/]+)" + re.escape(tail), exchange.path)
            return found is not None and found[1] != "count"
        return exchange.path in (path, *self.aliases)

    def arguments(self, exchange: Exchange) -> Data:
        """The arguments with which the method makes the recorded request, as far as it can make it."""
        given = exchange.body if isinstance(exchange.body, dict) else exchange.query
        found = {ours: given[theirs] for theirs, ours in self.taken.items() if given.get(theirs) is not None}
        id = _UUID.search(exchange.path) if "{id}" in self.line else None
        if id is not None:
            found["conversation_id"] = id[0]
        return {**self.usual, **found}

    def is_made_by(self, seen: ReceivedRequest, exchange: Exchange) -> bool:
        """Whether what was sent is the recorded request, apart from defaults that are sent too."""
        if exchange.clipped_request or isinstance(exchange.body, (str, list)):
            return False
        wanted, sent = (exchange.body, seen.json) if exchange.body is not None else (exchange.query, seen.query)
        path = self.line.split(" ")[1] if exchange.path in self.aliases else exchange.path
        is_there = [key in (sent or {}) and str(sent[key]) == str(value) for key, value in wanted.items()]
        return seen.path == path and all(is_there)

    def asks(self, arguments: Data) -> str:
        """The line that must be seen on the wire."""
        return self.line.replace("{id}", str(arguments.get("conversation_id")))


def _row(service: str, name: str, line: str, *taken: str, usual: Optional[Data] = None, **more: Any) -> Row:
    renamed = {one.split(">")[0]: one.split(">")[-1] for one in taken}
    return Row(service, name, line, usual or {}, renamed, **more)


def _stored(data: Data, arguments: Data) -> Data:
    return {**data, "importance_score": 5}


def _read(data: Data, arguments: Data) -> Data:
    return {**data, "message_count": data["message_count"] or None}  # D17; counting is another request


def _hits(data: Data, arguments: Data) -> Data:
    """D18: distances become similarities; D19: pages are counted here."""
    hits = _turned(data["results"], data["page"] == 0)[: arguments["limit"]]
    return {**data, "results": hits, "page": 1, "page_size": arguments["limit"]}


def _tool_hits(data: Data, arguments: Data) -> Data:
    hits = _turned(data["results"], True)[: arguments["limit"]]
    return {**data, "results": hits, "limit": arguments["limit"], "query": arguments["query"]}


def _turned(hits: List[Data], if_equal: bool) -> List[Data]:
    distances = [hit["score"] for hit in hits]
    if not distances or (distances[0] == distances[-1] and not if_equal):
        return hits
    assert distances == sorted(distances), "the controller 0.1 lists the nearest first"
    return [{**hit, "score": 1 - hit["score"], "distance": hit["score"]} for hit in hits]


def _context(data: List[Data], arguments: Data) -> List[Data]:
    """D60: excluded folders are taken out once more; of messages that are there twice the first is left."""

    def excluded(folder: str) -> bool:
        return any((folder + "/").startswith(root.rstrip("/") + "/") for root in arguments["excluded_folders"])

    kept: Dict[str, Data] = {}
    for message in data:
        if not excluded(message["metadata"]["citation"]["folder"]):
            kept.setdefault(message["id"], message)
    return list(kept.values())


def _listed(arguments: Data) -> Dict[str, Reply]:
    """D41: ids are looked up before they are archived."""
    rows = [facts.row(id) for id in arguments["conversation_ids"]]
    return {"GET /api/v1/conversations": answer(facts.rows(*rows))}


def _exported(data: Data, arguments: Data) -> Data:
    """D45: the format is ours."""
    exported = {**data, "format": arguments["format"], "include_metadata": arguments["include_metadata"]}
    if not arguments["include_metadata"]:
        dropped = [{key: value for key, value in one.items() if key != "metadata"} for one in data["messages"]]
        exported["messages"] = dropped
    return exported


def _updated(data: Data, arguments: Data) -> Data:
    """D58: what was written, by the names of the arguments."""
    return {**data, "updated_fields": [name for name in arguments if name != "conversation_id"]}


def _embedded(data: Data, arguments: Data) -> Data:
    """D29, D30: both shapes."""
    tokens = {"prompt_tokens": data["tokens_used"], "total_tokens": data["tokens_used"]}
    return {**data, "data": [{"object": "embedding", "index": 0, "embedding": data["embedding"]}], "usage": tokens}


def _bridge_health(data: Data, arguments: Data) -> Data:
    """D32: checks are made from the providers."""
    states = {name: one["circuit_breaker"]["state"] for name, one in data["ollama_status"]["providers"].items()}
    return {**data, "checks": {name: {"status": "ok" if is_ == "closed" else is_} for name, is_ in states.items()}}


_ONE = {"conversation_id": ID}
_REST, _TOOL = "/api/v1/conversations", "POST /mcp/tools/"
_CREATE: Data = {"label": "A", "folder": "/a", "messages": _CHAT}
_EXPORT: Data = {**_ONE, "format": "json", "include_metadata": True}
_TEXTS: Data = {"messages": ["hello"]}

ROWS: Tuple[Row, ...] = (
    # The controller. Importance and filters are left out: they need other requests (D3, D11, D20), and the answers that
    # were recorded for them are those to requests without them.
    _row(
        "controller",
        "create_conversation",
        f"POST {_REST}",
        "label",
        "folder",
        "messages",
        usual=_CREATE,
        writes=True,
        expected=_stored,
    ),
    _row("controller", "list_conversations", f"GET {_REST}", "page", "page_size"),
    _row("controller", "count_conversations", f"GET {_REST}/count", "label>label_contains", "folder"),
    _row(
        "controller",
        "get_conversation",
        f"GET {_REST}/{{id}}",
        usual={**_ONE, "count_messages": False},
        expected=_read,
    ),
    _row(
        "controller",
        "update_label",
        f"PUT {_REST}/{{id}}/label",
        "label",
        "folder",
        usual={**_ONE, "label": "A", "folder": "/a"},
        writes=True,
    ),
    _row("controller", "pin_conversation", f"PUT {_REST}/{{id}}/pin", usual=_ONE, writes=True),
    _row("controller", "archive_conversation", f"PUT {_REST}/{{id}}/archive", usual=_ONE, writes=True),
    _row("controller", "delete_conversation", f"DELETE {_REST}/{{id}}", usual=_ONE, writes=True),
    _row(
        "controller",
        "query",
        "POST /api/v1/query",
        "query",
        "limit",
        usual={"query": "hello", "limit": 1000},
        expected=_hits,
    ),
    _row(
        "controller",
        "full_text_search",
        "POST /api/v1/search/fts",
        "query",
        "limit",
        usual={"query": "hello", "raw": True},
    ),
    _row(
        "controller",
        "assemble_context",
        "POST /api/v1/context/assemble",
        "query",
        "context_budget",
        "preferred_labels",
        "excluded_folders",
        usual={"query": "hello", "excluded_folders": []},
        expected=_context,
    ),
    _row("controller", "summarize", "POST /api/v1/summarize", "conversation_id", "level", usual=_ONE),
    _row("controller", "prune_dry_run", "POST /api/v1/prune/dry-run", "threshold_days"),
    _row(
        "controller",
        "prune_execute",
        "POST /api/v1/prune/execute",
        "conversation_ids",
        usual={"conversation_ids": [ID]},
        writes=True,
        before=_listed,
    ),
    _row(
        "controller",
        "suggest_labels",
        "POST /api/v1/labels/suggest",
        "conversation_id",
        usual=_ONE,
        expected=lambda data, arguments: data["suggestions"],
    ),
    _row("controller", "rebuild_embeddings", "POST /api/v1/rebuild-embeddings"),
    _row("controller", "health", "GET /health"),
    _row("controller", "metrics", "GET /metrics"),
    # Its MCP tools. What `memory_update` and `memory_stats` do for other arguments takes other requests (D24, D58).
    _row(
        "mcp",
        "memory_store",
        f"{_TOOL}memory_store",
        "label",
        "folder",
        "messages",
        "importance_score",
        usual=_CREATE,
        writes=True,
    ),
    _row(
        "mcp",
        "memory_search",
        f"{_TOOL}memory_search",
        "query",
        "limit",
        usual={"query": "hello", "limit": 1000},
        expected=_tool_hits,
    ),
    _row(
        "mcp",
        "memory_update",
        f"{_TOOL}memory_update",
        "conversation_id",
        "label",
        "folder",
        usual={**_ONE, "label": "A"},
        writes=True,
        expected=_updated,
    ),
    _row("mcp", "memory_get_context", f"{_TOOL}memory_get_context", "conversation_id", usual=_ONE),
    _row(
        "mcp",
        "memory_export",
        f"{_TOOL}memory_export",
        "conversation_id",
        "format",
        "include_metadata",
        usual=_EXPORT,
        expected=_exported,
    ),
    _row("mcp", "memory_prune", f"{_TOOL}memory_prune", "threshold_days", "importance_threshold"),
    _row(
        "mcp",
        "memory_stats",
        f"{_TOOL}memory_stats",
        "folder",
        "label",
        usual={"count_messages": False},
        before=lambda arguments: {"GET /api/v1/conversations": answer(facts.rows())},
    ),
    # The bridge
    *(
        _row(
            "bridge",
            name,
            f"POST {_CHAT_PATH}",
            "messages",
            "model",
            "temperature",
            "max_tokens",
            usual={"messages": _CHAT},
            aliases=(f"/api{_CHAT_PATH}",),
            writes=True,
        )
        for name in ("complete", "stream_complete")
    ),
    _row(
        "bridge",
        "embed",
        "POST /embed",
        "text",
        "model",
        usual={"text": "hello"},
        aliases=("/embeddings", "/api/v1/embed"),
        expected=_embedded,
    ),
    _row(
        "bridge",
        "summarize",
        "POST /api/v1/summarize",
        "messages",
        "level",
        "model",
        usual=_TEXTS,
        aliases=("/summarize",),
    ),
    _row("bridge", "extract", "POST /api/v1/extract", "text", "model", usual={"text": "hello"}, aliases=("/extract",)),
    _row(
        "bridge",
        "score",
        "POST /api/v1/score",
        "conversation",
        "model",
        usual={"conversation": "hello"},
        aliases=("/score", "/score_importance"),
    ),
    _row(
        "bridge",
        "route",
        "POST /api/v1/route",
        "task",
        "preferred_model",
        "require_vision",
        "max_cost",
        "context_size",
        usual={"task": "embedding"},
    ),
    _row("bridge", "health", "GET /health", expected=_bridge_health),
    _row("bridge", "models", "GET /api/v1/models"),
    _row("bridge", "tasks", "GET /api/v1/tasks"),
    _row("bridge", "provider_health", "GET /api/v1/health/providers"),
)

_PAGES = ("/", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json", "/metrics")
ELSEWHERE: Tuple[Tuple[str, Callable[[Exchange], bool]], ...] = (
    (
        "browsers ask with OPTIONS and tools with HEAD; the client has no use for them",
        lambda x: x.method in ("OPTIONS", "HEAD"),
    ),
    ("the folder is set over the label route (D14)", lambda x: x.path.endswith("/folder")),
    ("a path with a slash at its end is another one; the client never asks for it", lambda x: x.path.endswith("/")),
    ("the bridge's pages for people and for Prometheus", lambda x: x.bridge and x.path in _PAGES),
    ("the model server behind the bridge", lambda x: x.path.startswith("/__stub__/")),
    ("another method than the route has", lambda x: _is_a_route(x.path, x.bridge)),
    ("no such route", lambda x: x.status in (404, 429)),
)


def _is_a_route(path: str, bridge: bool) -> bool:
    lines = [(row, row.line.split(" ")[1]) for row in ROWS if bridge == (row.service == "bridge")]
    patterns = [re.escape(one).replace(r"\{id\}", "[^/]+") for row, own in lines for one in (own, *row.aliases)]
    return any(re.fullmatch(pattern, path) for pattern in patterns)


def row_of(exchange: Exchange) -> Optional[Row]:
    """The public method that makes a request; None if there is none."""
    return next((row for row in ROWS if row.takes(exchange)), None)


def reason(exchange: Exchange) -> str:
    """Why no public method makes a request."""
    for words, holds in ELSEWHERE:
        if holds(exchange):
            return words
    raise LookupError(f"neither a method nor a reason for {exchange.method} {exchange.target} ({exchange.name})")


# ---- what must come of them ------------------------------------------------------------------------------------

_CLASSES: Dict[int, Type[sekha.SekhaError]] = {
    400: sekha.SekhaValidationError,
    401: sekha.SekhaAuthError,
    403: sekha.SekhaPermissionError,
    404: sekha.SekhaNotFoundError,
    409: sekha.SekhaConflictError,
    413: sekha.SekhaValidationError,
    415: sekha.SekhaValidationError,
    422: sekha.SekhaValidationError,
    429: sekha.SekhaRateLimitError,
}
_FTS = ("fts5", "no such column", "unterminated string", "malformed match", "unknown special query")


def error_class(exchange: Exchange, row: Optional[Row]) -> Optional[Type[sekha.SekhaError]]:
    """The error that must be raised; None if the answer is a result."""
    status, words, name = exchange.status, exchange.words[0], row.name if row else ""
    if status is None:
        return sekha.SekhaTimeoutError if "Timeout" in exchange.fault else sekha.SekhaConnectionError
    if 200 <= status < 300:
        data = exchange.data if row and isinstance(exchange.data, dict) else {}
        if name == "count_conversations" and "error" in data:
            return sekha.SekhaValidationError  # D43
        if data.get("success") is False:
            return sekha.SekhaValidationError if "cannot specify" in words.lower() else None
        if str(data.get("summary")).endswith("(LLM offline)"):
            return sekha.SekhaServerError  # D64
        if data.get("reasoning") == "Failed to score importance":
            return sekha.SekhaServerError  # D64
        return None
    if name == "health" and status >= 500:
        return None  # D33: how it is, is the answer
    if row is not None and row.service == "controller":
        if status >= 500 and words.startswith("Entity not found"):
            return sekha.SekhaNotFoundError  # D15
        if status == 404 and words.startswith("Database error"):
            return sekha.SekhaServerError  # D16
        if name == "full_text_search" and status == 500 and any(sign in words for sign in _FTS):
            return sekha.SekhaValidationError  # D53
    fallback = sekha.SekhaServerError if status >= 500 else sekha.SekhaAPIError
    return _CLASSES.get(status, fallback)


def problems_of_error(raised: sekha.SekhaError, exchange: Exchange, row: Optional[Row]) -> Iterator[str]:
    """What is wrong with an error that a recorded answer became."""
    error: Any = raised
    if type(raised) is not error_class(exchange, row):
        yield f"{error!r} is no {error_class(exchange, row)}"
        return
    unknown = True
    if exchange.status is not None:
        if error.status_code != exchange.status:
            yield f"status_code is {error.status_code}"
        if not (row and exchange.status == 200):  # where a 200 is an error, the words are ours, except for D43
            yield from (
                f"{words!r} is not in {error.message!r}" for words in exchange.words if words not in error.message
            )
            if error.body != exchange.answer.decode()[:10_000]:
                yield f"body is {error.body!r}"
        if exchange.status == 429 and error.retry_after != 60:
            yield f"retry_after is {error.retry_after}"
        unknown = exchange.status >= 500 and isinstance(error, sekha.SekhaServerError)
        unknown = unknown and "Collection not found" not in error.message  # D49: nothing was deleted
    if error.may_have_been_applied != bool(row and row.writes and unknown):
        yield f"may_have_been_applied is {error.may_have_been_applied}"
    if error.sent is not True or error.attempts != 1:
        yield f"sent {error.sent}, attempts {error.attempts}"


_TIMES = {"timestamp", "created_at", "updated_at", "generated_at", "last_accessed", "last_failure", "last_state_change"}
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:\+00:00|Z)?")


def problems_of_result(result: Any, exchange: Exchange, row: Row, arguments: Data) -> Iterator[str]:
    """What is wrong with a result that an answer became: nothing may be lost, nothing changed but as decided."""
    data = exchange.data
    if not exchange.answer:
        if row.name == "health":
            data = {"status": "unhealthy", "checks": {}}
        yield from differences(data, result)
        return
    if row.service == "mcp":
        data = data["data"]
    expected = exchange.answer.decode() if row.name == "metrics" else row.expected(data, arguments)
    yield from differences(expected, result)


def differences(expected: Any, found: Any, place: str = "") -> Iterator[str]:
    """Where something is not as it was recorded; keys that we add are no difference."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            where = f"{place}.{key}"
            if key not in found:
                yield f"{where} is lost"
            elif key == "ollama_status":  # no key of ours: kept to the letter, its time stamps too
                yield from [] if found[key] == value else [f"{where} was changed"]
            elif key in _TIMES and isinstance(value, str):
                yield from differences(_regular(value), found[key], where)
            else:
                yield from differences(value, found[key], where)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{place} has {len(found)} items instead of {len(expected)}"
        for index, (one, other) in enumerate(zip(expected, found)):
            yield from differences(one, other, f"{place}[{index}]")
    elif expected != found or isinstance(expected, bool) != isinstance(found, bool):
        yield f"{place} is {found!r} instead of {expected!r}"


def _regular(text: str) -> str:
    found = _TIME.fullmatch(text)
    assert found, text
    return f"{found[1]}T{found[2]}.{(found[3] or '')[:6]:0<6}+00:00"


@dataclass
class Tally:
    """What was done with the exchanges of a file.

    Attributes:
        as_recorded: Given to the public method that made the recorded request.
        with_others: Given to the public method, which made it with other arguments: the client refuses the recorded
            ones before it sends anything, or has no such argument, or they were not recorded in full.
        elsewhere: No public method makes the request; given to the transport.
        results: Answers that were a result.
        errors: Answers that became an error, no answer included.
    """

    as_recorded: int = 0
    with_others: int = 0
    elsewhere: int = 0
    results: int = 0
    errors: int = 0


TOTALS: Dict[str, Tally] = {
    "story": Tally(as_recorded=28, with_others=6, elsewhere=1, results=34, errors=1),
    "controller": Tally(as_recorded=103, with_others=86, elsewhere=20, results=99, errors=110),
    "controller-parallel": Tally(as_recorded=22, with_others=0, elsewhere=0, results=11, errors=11),
    "mcp": Tally(as_recorded=50, with_others=41, elsewhere=11, results=34, errors=68),
    "bridge": Tally(as_recorded=90, with_others=48, elsewhere=15, results=79, errors=74),
}
"""What must come out: no exchange is left out silently."""

__all__ = ["FILES", "TOTALS", "Exchange", "Row", "Tally", "error_class", "exchanges", "reason", "row_of"]
