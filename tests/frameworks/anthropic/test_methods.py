"""Each method of the installed version is covered, refused or passed on; what is new has to be looked at."""

from __future__ import annotations

import pytest
from anthropic import Anthropic

from frameworks.client_methods import groups_of
from sekha import SekhaClient
from sekha.integrations.anthropic import with_memory
from sekha.memory import Memory, Scope

MESSAGES = ("messages.", "beta.messages.")
COVERED = {f"{place}{name}" for place in MESSAGES for name in ("create", "parse", "stream")}
REFUSED = (
    "messages.batches.create",
    "beta.messages.batches.create",
    "completions.",
    "beta.deployments.",
    "beta.sessions.",
)
"""What asks a model in a chat; of the places that end with a dot, all POST requests."""
BATCHES = ("cancel", "delete", "list", "results", "retrieve")
READS = {
    *(f"{place}batches.{name}" for place in MESSAGES for name in BATCHES),
    *(f"{place}count_tokens" for place in MESSAGES),
}
"""What of the covered places asks no model."""
HELPERS = {"beta.messages.thread", "beta.messages.tool_runner"}
"""What asks with covered methods later."""
PASSED_ON = (
    *("files", "models", "organization", "skills", "user_profiles"),
    *("beta.agents", "beta.compliance", "beta.deployment_runs", "beta.dreams", "beta.environments", "beta.files"),
    *("beta.memory_stores", "beta.models", "beta.organization", "beta.skills", "beta.tunnels", "beta.user_profiles"),
    *("beta.vaults", "beta.webhooks"),
)


def test_each_method_is_covered_refused_or_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with SekhaClient(controller_url="http://127.0.0.1:9", api_key="sk-canary-key-with-32-characters") as client:
        mine = Anthropic(api_key="sk-no-key")
        groups = groups_of(with_memory(mine, Memory(client, Scope("shop", "ann"))), monkeypatch)
        mine.close()
    every = set().union(*groups.values())
    assert groups["covered"] == COVERED & every
    assert [path for path in groups["refused"] if not path.startswith(REFUSED)] == []
    assert "messages.batches.create" in groups["refused"]
    unknown = every - COVERED - groups["refused"] - READS - HELPERS
    rest = {path for path in unknown if not path.startswith(tuple(f"{name}." for name in PASSED_ON))}
    assert {path for path in rest if not path.startswith(REFUSED)} == set(), "look at these, and decide"
