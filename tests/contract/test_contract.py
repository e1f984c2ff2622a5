"""Every endpoint of tests/data/contract.json: paths, methods, statuses, fields, refusals."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Set, Tuple

import httpx
import pytest

from local.conftest import CONTRACT, UNKNOWN, create

T_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(\d{3}|\d{6}|\d{9}))?")
NIL = "00000000-0000-0000-0000-000000000000"
MESSAGES = [{"role": "user", "content": "We decided to deploy on Friday."}]
BODIES: Dict[str, Dict[str, Any]] = {
    "create_conversation": {"label": "Contract", "folder": "/contract", "messages": MESSAGES},
    "update_label": {"label": "Contract", "folder": "/contract"},
    "update_folder": {"folder": "/contract"},
    "query": {"query": "deploy"},
    "full_text_search": {"query": "deploy"},
    "assemble_context": {"query": "deploy", "preferred_labels": [], "context_budget": 1000},
    "summarize": {"conversation_id": "ID", "level": "daily"},
    "prune_dry_run": {"threshold_days": -1},
    "prune_execute": {"conversation_ids": ["ID"]},
    "suggest_labels": {"conversation_id": "ID"},
    "memory_store": {"label": "Contract", "folder": "/contract", "messages": MESSAGES},
    "memory_search": {"query": "deploy"},
    "memory_update": {"conversation_id": "ID", "label": "Contract"},
    "memory_prune": {"threshold_days": -1},
    "memory_get_context": {"conversation_id": "ID"},
    "memory_export": {"conversation_id": "ID"},
    "memory_stats": {},
    "complete": {"messages": MESSAGES},
    "embed": {"text": "deploy"},
    "bridge:summarize": {"messages": ["We decided to deploy on Friday."]},
    "extract": {"text": "Ada Lovelace wrote to Charles Babbage about the API."},
    "score": {"conversation": "We decided on the release."},
    "route": {"task": "chat_smart"},
}
TIMES = {"T": T_FORM, "space-format": re.compile(T_FORM.pattern.replace("T", " ", 1))}
TIMES["RFC3339 +00:00"] = re.compile(T_FORM.pattern + r"\+00:00")


def _name(endpoint: Dict[str, Any]) -> str:
    return f"{endpoint['service']}:{endpoint['name']}"


def _body(endpoint: Dict[str, Any], identity: str) -> Any:
    body = BODIES.get(_name(endpoint), BODIES.get(endpoint["name"]))
    if body is None:
        return None
    return {
        name: identity if value == "ID" else [identity] if value == ["ID"] else value for name, value in body.items()
    }


def _controller(*, body: bool = False, path_id: bool = False) -> List[Any]:
    found = [one for one in CONTRACT if one["service"] != "bridge"]
    if body:
        found = [one for one in found if any(field["in"] == "body" for field in one["request_fields"].values())]
    if path_id:
        found = [one for one in found if "{id}" in one["path"]]
    return [pytest.param(one, id=_name(one)) for one in found]


@pytest.fixture(scope="module")
def clients(api: httpx.Client, bridge: httpx.Client) -> Tuple[httpx.Client, httpx.Client]:
    return api, bridge


def _matches(shape: Any, value: Any, path: str = "$") -> None:
    """What the contract says about a value, as far as a word of it can be checked."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), path
        if any(name.startswith("<") for name in shape):  # keys that are not known beforehand
            return
        missing: Set[str] = set(shape) - set(value)
        assert not missing, f"{path}: without {missing}"
        for name, inner in shape.items():
            _matches(inner, value[name], f"{path}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), path
        for item in value:
            _matches(shape[0], item, f"{path}[]")
    elif isinstance(shape, str):
        words = shape.split(" (")[0]
        if words in TIMES and not path.endswith("data.results[].timestamp"):  # there: see test_mcp
            assert TIMES[words].fullmatch(value), f"{path}: {value}"
        kinds: Dict[str, Any] = {"uuid": str, "string": str, "int": int, "bool": bool, "float": float, "object": dict}
        if words in kinds:
            assert isinstance(value, kinds[words]), f"{path}: {value!r} is no {words}"
        if words == "uuid":
            assert len(value) == 36, path
        if words == "null":
            assert value is None, path


@pytest.mark.parametrize("endpoint", [pytest.param(one, id=_name(one)) for one in CONTRACT])
def test_succeeds_with_the_fields_of_the_contract(
    clients: Tuple[httpx.Client, httpx.Client], endpoint: Dict[str, Any]
) -> None:
    identity = create(clients[0], "We decided to deploy on Friday.", "After the review.", label="Contract")
    client = clients[endpoint["service"] == "bridge"]
    for path in [endpoint["path"], *endpoint.get("aliases", [])]:
        body = _body(endpoint, identity)
        answer = client.request(endpoint["method"], path.format(id=identity), json=body)
        assert answer.status_code == endpoint["success_status"], answer.text
        shape = endpoint["response_shape"]
        if shape is None:
            assert answer.content == b""
        elif isinstance(shape, str):
            assert answer.headers["content-type"].startswith("text/plain")
        else:
            assert answer.headers["content-type"] == "application/json"
            if endpoint["service"] == "mcp" or endpoint["name"] in ("query", "assemble_context", "prune_dry_run"):
                assert answer.json() not in ([], {})
            _matches(shape, answer.json())


@pytest.mark.parametrize("endpoint", [pytest.param(one, id=_name(one)) for one in CONTRACT])
def test_refuses_another_method(clients: Tuple[httpx.Client, httpx.Client], endpoint: Dict[str, Any]) -> None:
    bridge = endpoint["service"] == "bridge"
    answer = clients[bridge].request("PATCH", endpoint["path"].format(id=UNKNOWN))
    assert answer.status_code == 405
    assert endpoint["method"] in answer.headers["allow"].split(", ")
    assert answer.text == ('{"detail":"Method Not Allowed"}' if bridge else "")


@pytest.mark.parametrize("endpoint", _controller())
def test_asks_for_a_key(api: httpx.Client, endpoint: Dict[str, Any]) -> None:
    url = api.base_url.join(endpoint["path"].format(id=UNKNOWN))
    for header, status, error in [
        (None, 401, "Missing authorization header"),
        ("Bearer größe".encode(), 401, "Missing authorization header"),
        (b"bearer key", 400, "Invalid authorization format"),
        (b"Basic key", 400, "Invalid authorization format"),
        (b"Bearer", 400, "Invalid authorization format"),
    ]:
        headers = [] if header is None else [(b"authorization", header)]
        answer = api.send(httpx.Request(endpoint["method"], url, headers=headers, content=b"{"))
        if endpoint["path"] in ("/health", "/metrics"):
            assert answer.status_code == 200
        else:
            assert (answer.status_code, answer.json()) == (status, {"error": error})


@pytest.mark.parametrize("endpoint", _controller(body=True))
def test_refuses_bodies_as_the_contract_says(api: httpx.Client, endpoint: Dict[str, Any]) -> None:
    path = endpoint["path"].format(id=UNKNOWN)
    json_type = {"content-type": "application/json"}

    def refused(status: int, beginning: str, **request: Any) -> str:
        answer = api.request(endpoint["method"], path, **request)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text.startswith(beginning)
        return answer.text

    wrong_type = "Expected request with `Content-Type: application/json`"
    assert refused(415, wrong_type, content=b"{}") == wrong_type
    refused(415, wrong_type, content=b"{}", headers={"content-type": "text/plain"})
    refused(415, wrong_type, data={"label": "x"})
    for content in (b"", b"{", b"nope", b'{"query": NaN}', b'{"query": "\\ud800"}', b"[" * 5000, b'"\xff"'):
        refused(400, "Failed to parse the request body as JSON: ", content=content, headers=json_type)
    for content in (b"null", b"3", b'"text"'):
        beginning = "Failed to deserialize the JSON body into the target type: invalid type: "
        refused(422, beginning, content=content, headers=json_type)
    required = [name for name, field in endpoint["request_fields"].items() if field["required"]]
    required = [name for name in required if endpoint["request_fields"][name]["in"] == "body"]
    full = _body(endpoint, UNKNOWN)
    for name in required:
        rest = {key: value for key, value in full.items() if key != name}
        text = refused(422, "Failed to deserialize the JSON body into the target type: ", json=rest)
        assert f"missing field `{name}`" in text
        text = refused(422, "Failed to deserialize the JSON body into the target type: ", json={**full, name: None})
        assert f"{name}: invalid type: null, expected a" in text


@pytest.mark.parametrize("path", ["/api/v1/conversations", "/mcp/tools/memory_store"])
@pytest.mark.parametrize("excess", [1, 3 * 2**20])
def test_refuses_bodies_above_2_mib(api: httpx.Client, path: str, excess: int) -> None:
    body = b'{"label": "x", "folder": "/long", "messages": [], "more": "%s"}'
    room = 2 * 2**20 - len(body) + 2
    headers = {"content-type": "application/json"}
    assert api.post(path, content=body % (b"x" * room), headers=headers).status_code in (200, 201)
    answer = api.post(path, content=body % (b"x" * (room + excess)), headers=headers)
    assert (answer.status_code, answer.text) == (413, "Failed to buffer the request body: length limit exceeded")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("endpoint", _controller(path_id=True))
def test_refuses_bad_ids_before_the_body(api: httpx.Client, endpoint: Dict[str, Any]) -> None:
    answer = api.request(endpoint["method"], endpoint["path"].format(id="nope"), content=b"{")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("Invalid URL: Cannot parse `id` with value `nope`: UUID parsing failed: ")


@pytest.mark.parametrize("endpoint", _controller())
def test_tells_that_an_id_is_unknown(api: httpx.Client, endpoint: Dict[str, Any]) -> None:
    body = _body(endpoint, UNKNOWN)
    if "{id}" not in endpoint["path"] and UNKNOWN not in str(body):
        return
    answer = api.request(endpoint["method"], endpoint["path"].format(id=UNKNOWN), json=body)
    assert answer.status_code == 404
    if endpoint["service"] == "mcp":
        assert answer.content == b""
    elif endpoint["name"] == "get_conversation":
        assert answer.json() == {"error": "Conversation not found", "code": 404}
    else:
        error = f"Entity not found: Conversation {UNKNOWN} not found"
        assert answer.json() == {"error": error, "code": 404}


@pytest.mark.parametrize("form", [UNKNOWN.upper(), UNKNOWN.replace("-", ""), f"urn:uuid:{UNKNOWN}", f"{{{UNKNOWN}}}"])
def test_knows_the_other_forms_of_an_id(api: httpx.Client, form: str) -> None:
    identity = create(api, "x")
    form = form.replace(UNKNOWN, identity).replace(UNKNOWN.replace("-", ""), identity.replace("-", ""))
    answer = api.get(f"/api/v1/conversations/{form}")
    assert answer.status_code == (404 if UNKNOWN in form.lower() else 200)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/health/", "/api/v1/conversations/", "/mcp/tools", "/mcp/tools/memory_query"]
)
def test_unknown_routes_are_404_without_a_body(api: httpx.Client, path: str) -> None:
    answer = api.post(path, json={})
    assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.sekha+json", "APPLICATION/JSON"])
def test_accepts_other_names_of_json(api: httpx.Client, kind: str) -> None:
    answer = api.post("/api/v1/query", content=b'{"query": "x", "unknown": [1]}', headers={"content-type": kind})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("page=-1", "page: invalid digit found in string"),
        ("page=two", "page: invalid digit found in string"),
        ("page_size=1.5", "page_size: invalid digit found in string"),
        ("page=", "page: cannot parse integer from empty string"),
        ("page=4294967296", "page: number too large to fit in target type"),
        ("pinned=yes", "pinned: provided string was not `true` or `false`"),
        ("archived=1", "archived: provided string was not `true` or `false`"),
        ("label=a&label=b", "duplicate field `label`"),
    ],
)
def test_refuses_query_strings(api: httpx.Client, query: str, reason: str) -> None:
    answer = api.get(f"/api/v1/conversations?{query}")
    assert (answer.status_code, answer.text) == (400, f"Failed to deserialize query string: {reason}")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("query", {"query": 1}, "query: invalid type: integer `1`, expected a string"),
        ("query", {"query": "x", "limit": 1.0}, "limit: invalid type: floating point `1.0`, expected an integer"),
        ("query", {"query": "x", "limit": -1}, "limit: invalid value: integer `-1`"),
        ("query", {"query": "x", "limit": 2**32}, "limit: invalid value: integer `4294967296`"),
        ("query", {"query": "x", "limit": True}, "limit: invalid type: boolean `true`, expected an integer"),
        ("search/fts", {"query": "x", "limit": None}, "limit: invalid type: null, expected an integer"),
        ("conversations", {"label": "x", "folder": "x", "messages": "hi"}, "messages: invalid type: string"),
        (
            "conversations",
            {"label": "x", "folder": "x", "messages": [{"role": "user"}]},
            "messages[0]: missing field `content`",
        ),
        (
            "conversations",
            {"label": "x", "folder": "x", "messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content: invalid type: sequence, expected a string",
        ),
        (
            "conversations",
            {"label": "x", "folder": "x", "messages": [], "importance_score": 11},
            "importance_score: invalid value: integer `11`",
        ),
        ("summarize", {"conversation_id": "nope", "level": "daily"}, "conversation_id: UUID parsing failed: "),
        ("prune/execute", {"conversation_ids": ["nope"]}, "conversation_ids[0]: UUID parsing failed: "),
    ],
)
def test_names_the_field(api: httpx.Client, path: str, body: Any, reason: str) -> None:
    answer = api.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == 422
    assert answer.text.startswith(f"Failed to deserialize the JSON body into the target type: {reason}")


def test_head_is_get_without_a_body(api: httpx.Client, bridge: httpx.Client) -> None:
    answer = api.head("/health")
    assert (answer.status_code, answer.content) == (200, b"")
    assert bridge.head("/health").status_code == 405
