"""The calls that are timed on a store, one caller after another, through the client."""

from __future__ import annotations

import inspect
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from keeping.serving import Server
from keeping.texts import FOLDERS, LABELS
from sekha import SekhaClient

SECONDS = 3.0
"""How long a call is repeated, at most."""
REPEATS = 100
"""How often a call is repeated, at most."""
LONG = 5_000.0
"""A call that takes more milliseconds is made once."""

Call = Callable[[], object]


class Timed(NamedTuple):
    """What a call took: milliseconds that a caller waited, and of the server's processor."""

    p50: float
    p95: float
    processor: float
    repeats: int


def time_call(server: Server, call: Call, repeats: int = REPEATS) -> Timed:
    """Time a call, again and again after a first time, unless that takes very long."""
    server.settle()
    before = server.processor_ms()
    waited = [_wait_for(call)]
    if waited[0] < LONG:
        waited, before, end = [], server.processor_ms(), time.perf_counter() + SECONDS
        while len(waited) < repeats and (len(waited) < 3 or time.perf_counter() < end):
            waited.append(_wait_for(call))
    used = server.processor_ms() - before
    return Timed(statistics.median(waited), percentile(waited, 0.95), used / len(waited), len(waited))


def _wait_for(call: Call) -> float:
    """Call once; return how many milliseconds it took."""
    began = time.perf_counter()
    call()
    return 1000.0 * (time.perf_counter() - began)


def percentile(figures: Sequence[float], part: float) -> float:
    """The figure below which a part of them is."""
    return sorted(figures)[min(len(figures) - 1, int(part * len(figures)))]


class Sample:
    """What calls are about: conversations and words that are in the store, another one each time.

    Args:
        client: A client of the server.
        seed: What decides which.
    """

    def __init__(self, client: SekhaClient, seed: int = 7) -> None:
        self.chance = random.Random(seed)
        self._client = client
        total = client.controller.list_conversations(page_size=1)["total"]
        pages = {1 + int(self.chance.random() * max(1, total // 20)) for _ in range(10)}
        rows = [
            row
            for page in sorted(pages)
            for row in client.controller.list_conversations(page=page, page_size=20)["results"]
        ]
        self._ids = [row["conversation_id"] for row in rows]
        exports = [client.mcp.memory_export(identity) for identity in self._ids[:30]]
        self._texts = [str(message["content"]) for export in exports for message in export["messages"]]

    def one(self, among: Sequence[str]) -> str:
        """One of some."""
        return among[int(len(among) * self.chance.random())]

    def identity(self) -> str:
        """A conversation."""
        return self.one(self._ids)

    def has(self, identity: str) -> bool:
        """Whether other calls are about a conversation."""
        return identity in self._ids

    def words(self, number: int, letters: int = 5) -> str:
        """Words that are in one message, of so many letters at least."""
        text = self.one(self._texts)
        words = [word for word in text.replace(".", "").split() if len(word) >= letters] or text.split()
        return " ".join(self.one(words) for _ in range(number))

    def question(self) -> str:
        """A question, with words that say little."""
        return f"What was it that we said about the {self.words(2)} and our {self.words(1)}?"


def calls(client: SekhaClient) -> Iterable[tuple[str, Call]]:
    """The calls, by name."""
    controller, sample = client.controller, Sample(client)

    def search(**filters: object) -> Call:
        def call() -> object:
            given = {name: sample.one(value) if isinstance(value, tuple) else value for name, value in filters.items()}
            return controller.query(sample.question(), filters=given or None)

        return call

    def store() -> object:
        messages = [{"role": role, "content": sample.question()} for role in ("user", "assistant")]
        return controller.create_conversation(label="Stored", folder="/bench", messages=messages)

    newest: list[str] = []

    def delete() -> None:
        if not newest:
            rows = controller.list_conversations(page_size=2 * REPEATS)["results"]
            newest.extend(row["conversation_id"] for row in rows[::-1] if not sample.has(row["conversation_id"]))
        controller.delete_conversation(newest.pop())

    return [
        ("store (2 messages)", store),
        ("delete", delete),
        ("get", lambda: controller.get_conversation(sample.identity())),
        ("memory_export", lambda: client.mcp.memory_export(sample.identity())),
        ("list, page 1 of 50", controller.list_conversations),
        ("list with a folder", lambda: controller.list_conversations(folder=sample.one(FOLDERS))),
        ("count with a label", lambda: controller.count_conversations(label=sample.one(LABELS))),
        ("query", search()),
        ("query in a folder", search(folder=FOLDERS)),
        ("query in a label", search(label=LABELS)),
        ("query, min_importance 8", search(min_importance=8)),
        ("full_text_search, 2 words", lambda: controller.full_text_search(sample.words(2))),
        ("full_text_search, a common word", lambda: controller.full_text_search(sample.one(COMMON_WORDS))),
        ("assemble_context", lambda: controller.assemble_context(sample.question())),
        ("memory_stats", client.mcp.memory_stats),
        ("health_check", client.health_check),
        ("suggest_labels", lambda: controller.suggest_labels(sample.identity())),
        ("prune_dry_run, 0 days, limit 100", lambda: prune(client)),
    ]


COMMON_WORDS = ("people", "years", "through", "because", "should", "first")
"""Words that many messages have."""


def prune(client: SekhaClient) -> Mapping[str, Any]:
    """What is not used, of a server without a limit all of it."""
    call: Callable[..., Any] = client.controller.prune_dry_run
    limit = {"limit": 100} if "limit" in inspect.signature(call).parameters else {}
    return dict(call(threshold_days=0, **limit))
