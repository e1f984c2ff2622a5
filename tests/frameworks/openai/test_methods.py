"""Each method of the installed version is covered, refused or passed on; what is new has to be looked at."""

from __future__ import annotations

import pytest
from openai import OpenAI

from frameworks.client_methods import groups_of
from sekha import SekhaClient, SekhaValidationError
from sekha.integrations import openai as adapter
from sekha.memory import Memory, Scope

COMPLETIONS = [f"{place}completions." for place in ("chat.", "beta.chat.")]
RESPONSES = ["responses.", "beta.responses."]
COVERED = {f"{place}{name}" for place in COMPLETIONS + RESPONSES for name in ("create", "parse", "stream")}
REFUSED = (
    *("batches.create", "completions.create", "responses.connect", "beta.responses.connect"),
    *("live.", "realtime.", "beta.agents.", "beta.chatkit.", "beta.realtime.", "beta.threads."),
)
"""What asks a model in a chat; of the places that end with a dot, all POST requests and connections."""
READS = {
    *(f"{place}{name}" for place in COMPLETIONS for name in ("delete", "list", "messages.list", "retrieve", "update")),
    *(f"{place}{name}" for place in RESPONSES for name in ("cancel", "compact", "delete", "retrieve")),
    *(f"{place}{name}" for place in RESPONSES for name in ("input_items.list", "input_tokens.count")),
}
"""What of the covered places asks no model in a chat."""
PASSED_ON = (
    *("admin", "audio", "batches", "containers", "content_provenance_checks", "conversations", "decisions"),
    *("embeddings", "evals", "files", "fine_tuning", "images", "models", "moderations", "safety", "skills", "uploads"),
    *("vector_stores", "videos", "webhooks", "beta.assistants"),
)


def test_each_method_is_covered_refused_or_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with SekhaClient(controller_url="http://127.0.0.1:9", api_key="sk-canary-key-with-32-characters") as client:
        mine = OpenAI(api_key="sk-no-key")
        groups = groups_of(adapter.with_memory(mine, Memory(client, Scope("shop", "ann"))), monkeypatch)
        mine.close()
    every = set().union(*groups.values())
    assert groups["covered"] == COVERED & every
    assert [path for path in groups["refused"] if not path.startswith(REFUSED)] == []
    assert {"completions.create", "batches.create"} <= groups["refused"]
    connections = {path for path in every if path.endswith(".connect")}
    assert connections == set(adapter._CONNECTIONS) & every  # pyright: ignore[reportPrivateUsage] - the list is for it
    assert connections <= groups["refused"]
    unknown = every - COVERED - groups["refused"] - READS
    known = tuple(f"{name}." for name in PASSED_ON)
    rest = {path for path in unknown if not path.startswith(known)}
    assert {path for path in rest if not path.startswith(REFUSED)} == set(), "look at these, and decide"


def test_what_is_refused_says_what_is_covered() -> None:
    with SekhaClient(controller_url="http://127.0.0.1:9", api_key="sk-canary-key-with-32-characters") as client:
        mine = OpenAI(api_key="sk-no-key")
        made = adapter.with_memory(mine, Memory(client, Scope("shop", "ann")))
        with pytest.raises(SekhaValidationError) as caught:
            made.completions.create(model="a-model", prompt="Hello")
        assert str(caught.value).startswith("POST /completions: is not supported; a client with memory supports ")
        assert "chat.completions and responses. Use the client without memory" in str(caught.value)
        if "responses.connect" in adapter._CONNECTIONS and hasattr(mine.responses, "connect"):
            with pytest.raises(SekhaValidationError, match=r"responses\.connect: is not supported"):
                made.responses.connect()
            assert "create" in dir(made.responses)
        with pytest.raises(AttributeError):
            made.responses.nothing  # noqa: B018 - it raises
        mine.close()
