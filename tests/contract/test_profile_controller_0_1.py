"""
The proof that the profile `controller-0.1` is faithful: it is asked what the real servers were asked.

Every request of the recordings is sent again, in order, and status, content type and body must be the same. What may
differ stands in the tables of this module, each with its reason. Of a body that is refused, the status and the field
count, not the wording.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import httpx
import pytest

from contract.replay import Comparison, Exchange, Ids, recorded, send
from local.conftest import change
from local.stub_models import NAMES, StubModels, stub_models
from sekha.local import LocalSekha
from sekha.local.v0_1 import bridge as bridge_02

ASIDE: Dict[str, Dict[str, str]] = {
    "controller": {
        "score": "the vectors are those of our own embedding; that they are distances is tested by their order",
        "summary": "what a model says",
        "preview": "what a model says",
    },
    "bridge": {
        "embedding": "the vectors are those of our own embedding",
        "dimension": "our own embedding has 384 numbers, the recorded one 768",
        "content": "what a model says",
        "reasoning": "what a model says",
        "score": "what a model says",
        "summary": "what a model says",
        "entities": "what a model says",
        "completion_tokens": "the words of what a model says",
        "total_tokens": "the words of what a model says",
        "created": "a time",
        "id": "random",
        "time_since_failure": "a time",
    },
}
"""Fields whose values are compared by type only."""
for _service in ("story", "mcp"):
    ASIDE[_service] = ASIDE["controller"]


class Tolerated(NamedTuple):
    """What more may differ in one exchange, and why."""

    reason: str
    aside: Tuple[str, ...] = ()  # these fields count by type only
    rows: Tuple[str, ...] = ()  # of these lists only length and shape of rows
    order: bool = False  # of rows
    ends: str = ""  # from this text on, the body may differ


_NEAREST = "which messages are nearest, and in which order, is the embedding's matter"
_TOKENS = "counts the summary, which a model wrote"
_LIBRARY = "the text goes on with the words of a library of the real bridge"
TOLERATED: Dict[Tuple[str, str], Tolerated] = {
    **{("story", name): Tolerated(_NEAREST, rows=("results",)) for name in ("query_docker", "query_offset_ignored")},
    **{("story", name): Tolerated(_NEAREST, order=True) for name in ("query_all", "context_docker")},
    ("story", "context_excluding_work"): Tolerated(_NEAREST, order=True),
    ("story", "mcp_search"): Tolerated(_NEAREST, rows=("results",)),
    ("story", "suggest_labels"): Tolerated("what a model says", aside=("suggestions",)),
    **{
        ("controller", name): Tolerated(_NEAREST, rows=("results",))
        for name in ("query_filters", "query_filters_odd", "query_nulls", "query_emoji_long")
    },
    ("controller", "context_small_budget"): Tolerated(_NEAREST, aside=("",)),
    ("controller", "create_array_of_objects"): Tolerated("names the field, not its number in the list", ends="type: "),
    **{
        ("controller", name): Tolerated("what a model says", aside=("suggestions",))
        for name in ("labels_ok", "labels_unicode")
    },
    **{
        ("bridge", name): Tolerated(_TOKENS, aside=("tokens_used",))
        for name in (
            *("summarize_daily", "summarize_default_level", "summarize_model", "summarize_empty_messages"),
            *("summarize_controller_shape", "v1_summarize_daily", "v1_summarize_weekly", "v1_summarize_monthly"),
            *("v1_summarize_default_level", "v1_summarize_model", "v1_summarize_empty_messages"),
            *("v1_summarize_controller_shape", "summarize_many", "summarize_unicode"),
        )
    },
    ("bridge", "metrics"): Tolerated("counters of the process", ends="# HELP "),
    ("bridge", "embed_bad_utf8_escape"): Tolerated(_LIBRARY, ends=" in position "),
    ("bridge", "backend_garbage_chat"): Tolerated(_LIBRARY, ends="litellm.APIConnectionError: "),
    ("bridge", "down_chat"): Tolerated(_LIBRARY, ends="OllamaException - "),
    ("bridge", "down_summarize"): Tolerated(_LIBRARY, ends="OllamaException - "),
}

NOT_REPLAYED: Dict[Tuple[str, str], str] = {
    ("bridge", "openapi"): "the description that FastAPI makes is not served",
    ("bridge", "redoc"): "the page that FastAPI makes is not served",
    ("bridge", "chat_temperature_zero_seen_by_backend"): "asks the backend of the recording; see the test of it below",
    ("bridge", "backend_slow_chat"): "the recorded bridge was set to a timeout of 5 s",
}

_DIED = (500, '{"error":"stub fault"}')
FAULTS: Dict[str, Tuple[int, str]] = {
    "create_embedding_down": _DIED,
    "summarize_llm_down": _DIED,
    "labels_llm_down": _DIED,
    "backend_500_chat": (500, '{"error":"stub says no"}'),
    "backend_404_chat": (404, '{"error":"model \\"llama3.1:8b\\" not found, try pulling it first"}'),
    "backend_garbage_chat": (200, '{"message":{"content":"'),
    "breaker_failure_1": _DIED,
    "breaker_failure_2": _DIED,
}
"""What the models answered during an exchange."""

SAID: Dict[str, str] = {
    "extract_answer_wrong_shape": '{"people": "Ada", "year": 1843}',
    "extract_answer_fenced": '```json\n{"people": ["Ada"], "concepts": []}\n```',
    "chat_answer_empty": "",
}
"""The text of the chat model during an exchange."""


class World:
    """A profile with models that can fail, and all that the recordings do not show."""

    def __init__(self, stack: ExitStack, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = file
        self.monkeypatch = monkeypatch
        self.models: StubModels = stack.enter_context(stub_models())
        url = self.models.url
        sekha = stack.enter_context(
            LocalSekha(
                file,
                profile="controller-0.1",
                llm_url=url,
                embeddings_url=url,
                api_key="sk-any",
                allowed_hosts=["example.test"],  # the recorded requests of web pages come from there
                **NAMES,
            )
        )
        nobody = "http://127.0.0.1:9/api"
        down = stack.enter_context(LocalSekha(profile="controller-0.1", llm_url=nobody, embeddings_url=nobody))
        self.key = sekha.options.get("mcp_api_key", "")
        urls = {"controller": sekha.controller_url, "bridge": sekha.bridge_url, "bridge_down": down.bridge_url}
        clients = {name: httpx.Client(base_url=url, verify=False, timeout=30) for name, url in urls.items()}
        self.clients = {name: stack.enter_context(client) for name, client in clients.items()}
        self.clients.update(story=self.clients["controller"], mcp=self.clients["controller"])

    def create(self, label: str, folder: str, *texts: str) -> None:
        messages = [{"role": "user", "content": text} for text in texts]
        body = {"label": label, "folder": folder, "messages": messages}
        assert self.clients["controller"].post("/api/v1/conversations", json=body).status_code == 201

    def rename(self, ids: Ids) -> None:
        identity = ids.here("1360d073-ec69-40c9-ac57-db04ce8e93bd")
        headers = {"authorization": f"Bearer {self.key}"}
        body = {"conversation_id": identity, "label": "Mcp: alpha", "folder": "/mcp/alpha"}
        answer = self.clients["mcp"].post("/mcp/tools/memory_update", json=body, headers=headers)
        assert answer.status_code == 200

    def chat(self, status: int, target: str = "bridge") -> None:
        body = {"messages": [{"role": "user", "content": "x"}]}
        assert self.clients[target].post("/v1/chat/completions", json=body).status_code == status

    def fail(self) -> None:
        self.models.fault = _DIED
        self.chat(500)
        self.models.fault = None

    def use_up(self) -> None:
        for _ in range(1000):
            self.clients["controller"].get("/metrics", headers={"x-forwarded-for": "203.0.113.9"})

    def forget_vectors(self) -> None:
        change(self.file, "DELETE FROM vectors")

    def minute(self, seconds: float) -> None:
        self.monkeypatch.setattr(bridge_02, "BREAKER_SECONDS", seconds)


BEFORE: Dict[Tuple[str, str], Callable[[World, Ids], None]] = {
    # Some exchanges are kept back; what they did is seen in the lists and numbers after them.
    ("controller", "create_ascii_150"): lambda world, _: world.create("Rig: extra", "/rig/extra", "extra"),
    ("controller", "create_missing_label"): lambda world, _: world.create(
        "Rig: many", "/rig/many", *["one of sixty equal lines"] * 60
    ),
    ("controller", "get_ok"): lambda world, _: world.create("Rig: nul\0label", "/rig/nul"),
    ("mcp", "store_missing_folder"): lambda world, _: world.create("", ""),
    ("mcp", "update_status_seen"): lambda world, ids: world.rename(ids),
    ("bridge", "breaker_failure_4"): lambda world, _: world.fail(),
    ("bridge", "down_extract"): lambda world, _: world.chat(500, "bridge_down"),
    # What happened outside of the exchanges.
    ("controller", "delete_embedded_with_collection"): lambda world, _: world.forget_vectors(),
    ("controller", "rate_limit_first_of_list"): lambda world, _: world.use_up(),
    ("bridge", "backend_404_chat"): lambda world, _: world.chat(200),
    ("bridge", "breaker_failure_1"): lambda world, _: world.chat(200),
    ("bridge", "breaker_half_open_providers"): lambda world, _: world.minute(0.0),
    ("bridge", "breaker_empty_text_1"): lambda world, _: world.minute(60.0),
}
"""What must happen before an exchange so that the server stands as the recorded one did."""


NOT_JSON = "Failed to parse the request body as JSON: "
NOT_AS_EXPECTED = "Failed to deserialize the JSON body into the target type: "
FIELD = re.compile(r"((?:\w|\.|\[\d+\])+: )?(?:(?:missing|duplicate) field `\w+`)?")


def is_same_refusal(there: str, here: str) -> bool:
    """Whether two texts refuse a body in the same way, because of the same field; the wording does not count.

    Where a parser notices that something is not JSON does not count either.
    """
    if there.startswith(NOT_AS_EXPECTED) and here.startswith(NOT_AS_EXPECTED):
        fields = [FIELD.match(text[len(NOT_AS_EXPECTED) :]) for text in (there, here)]
        return len({field and field.group() for field in fields}) == 1
    return there.startswith(NOT_JSON) and here.startswith(NOT_JSON)


def compare(exchange: Exchange, answer: Optional[httpx.Response], ids: Ids) -> List[str]:
    """What differs between the recorded answer and this one, in lines."""
    if answer is None or exchange.status is None:
        return [] if answer is None and exchange.status is None else ["one of both did not answer"]
    if answer.status_code != exchange.status:
        return [f"status {exchange.status} there, {answer.status_code} here: {answer.text[:300]}"]
    found: List[str] = []
    for name in ("content-type", "allow"):
        values = [headers.get(name) for headers in (exchange.answer_headers, answer.headers)]
        if len({frozenset(re.split(r",\s*", value or "")) for value in values}) > 1:
            found.append(f"{name} {values[0]} there, {values[1]} here")
    there, here = exchange.text, answer.text
    if exchange.service == "bridge":  # the name of its provider is a setting, and pydantic puts its version into links
        there = there.replace('"stub"', '"ollama"').replace("for stub:", "for ollama:")
        there, here = (re.sub(r"pydantic\.dev/\d+\.\d+/", "pydantic.dev/", text) for text in (there, here))
    tolerated = TOLERATED.get((exchange.service, exchange.name), Tolerated(""))
    if tolerated.ends:
        there, here = (text.partition(tolerated.ends)[0] for text in (there, here))
    try:
        bodies = [json.loads(text) for text in (there, here)]
    except ValueError:
        there = ids.here(there).replace("http://127.0.0.1:5001", str(answer.url.join("/"))[:-1])
        return found if there == here or is_same_refusal(there, here) else [*found, f"{there!r} there, {here!r} here"]
    if tolerated.order:
        for body in bodies:
            rows: List[Dict[str, Any]] = body if isinstance(body, list) else body["results"]
            rows.sort(key=lambda row: str(row["content"]))
    aside = {**ASIDE[exchange.service], **dict.fromkeys(tolerated.aside, tolerated.reason)}
    return [*found, *Comparison(ids, aside, tolerated.rows).differences(*bodies)]


COUNTS = {
    "story": {"alike": 28, "tolerated": 7},
    "controller": {"alike": 201, "tolerated": 8},
    "mcp": {"alike": 102},
    "bridge": {"alike": 130, "tolerated": 19, "not replayed": 4},
}


@pytest.mark.parametrize("service", list(COUNTS))
def test_the_recorded_requests_are_answered_alike(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    ids, wrong, counts = Ids(), [], Counter[str]()
    with ExitStack() as stack:
        world = World(stack, tmp_path / "memory.db", monkeypatch)
        for exchange in recorded(service):
            key = (service, exchange.name)
            if key in NOT_REPLAYED:
                counts["not replayed"] += 1
                continue
            if key in BEFORE:
                BEFORE[key](world, ids)
            world.models.fault, world.models.text = FAULTS.get(exchange.name), SAID.get(exchange.name)
            headers = {
                name: value.replace("<api-key>", world.key)
                for name, value in exchange.headers.items()
                if name == "authorization"
            }
            if exchange.method == "OPTIONS":  # what a browser sends with it is not in the recording
                headers["access-control-request-method"] = "POST"
            answer = send(world.clients[exchange.target], exchange, ids, headers)
            world.models.fault = world.models.text = None
            wrong += [f"{exchange.name}: {line}" for line in compare(exchange, answer, ids)]
            counts["tolerated" if key in TOLERATED else "alike"] += 1
    assert not wrong, "\n" + "\n".join(wrong)
    record_property("exchanges", dict(counts))
    assert counts == COUNTS[service]
