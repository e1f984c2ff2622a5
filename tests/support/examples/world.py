"""The memory that the blocks find: a local Sekha whose content is put back before each of them."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Type
from uuid import UUID, uuid4

import httpx
import pytest

from sekha.local import LocalSekha
from sekha.local.text import cosine_similarity, hash_embedding

DOCUMENTED = "documented"
REAL = "controller-0.1"
PROFILES = (DOCUMENTED, REAL)
KEY = "sk-examples-canary-0123456789-0123456789-01"
ROUNDING = 0.01
"""How much a similarity may differ from that of the whole vectors: the store keeps them in bytes."""
KNOWN = "550e8400-e29b-41d4-a716-446655440000"
"""The id that the specification writes down."""


class Seed(NamedTuple):
    """A conversation that is there before a block runs; without a time it is of today."""

    label: str
    folder: str
    importance: int
    texts: Sequence[str]
    time: str = ""
    archived: bool = False
    id: str = ""

    @property
    def moment(self) -> datetime:
        """When it was stored and last changed."""
        return datetime.fromisoformat(f"{self.time}+00:00") if self.time else datetime.now(timezone.utc)

    def within(self, start: str, end: str = "9999-12-31T00:00:00") -> bool:
        """Whether it was last changed between two moments, both included."""
        return datetime.fromisoformat(f"{start}+00:00") <= self.moment <= datetime.fromisoformat(f"{end}+00:00")

    def __hash__(self) -> int:
        return hash((self.label, self.texts[0]))

    def unused_for(self, days: int) -> bool:
        """Whether nobody has changed it for so long."""
        return self.moment <= datetime.now(timezone.utc) - timedelta(days=days)


AUTHENTICATION = Seed(
    "Authentication",
    "/work",
    10,
    ["How to implement authentication?", "We implement authentication with short-lived tokens and a refresh route."],
    id=KNOWN,
)
API_DESIGN = Seed(
    "API Design",
    "/work/engineering",
    10,
    ["How shall we go on with the API design?", "The API design discussion ended with plural nouns and cursor pages."],
    "2026-03-01T09:00:00",
)
ARCHITECTURE = Seed(
    "Architecture",
    "/work",
    5,
    ["Which architecture decisions are open?", "Our architecture discussion led to twelve microservices."],
    "2026-04-01T09:00:00",
)
SECURITY = Seed(
    "Review",
    "/work",
    9,
    ["What are security code review best practices?", "Security code review best practices: never trust any input."],
    "2026-05-01T09:00:00",
)
DEPLOYMENT = Seed(
    "Deployment",
    "/work",
    6,
    ["What is our deployment strategy?", "Our deployment strategy: docker images on kubernetes, blue and green."],
    "2026-05-02T09:00:00",
)
DECISIONS = Seed(
    "Decisions", "/work", 7, ["Important decisions and action items: hire a tester.", "Action items are noted."]
)
OLD_DECISIONS = Seed(
    "Decisions", "/work", 7, ["Important decisions and action items: buy a printer."], "2025-02-01T09:00:00"
)
TECHNICAL = Seed(
    "technical", "/work", 8, ["Project architecture decisions: PostgreSQL, and no queue."], "2026-06-01T09:00:00"
)
SEEDS = (
    AUTHENTICATION,
    API_DESIGN,
    ARCHITECTURE,
    SECURITY,
    DEPLOYMENT,
    DECISIONS,
    OLD_DECISIONS,
    TECHNICAL,
    Seed("technical", "/work", 6, ["Project architecture decisions: perhaps a queue."], "2026-06-02T09:00:00"),
    Seed("technical", "/other", 7, ["Lunch is at noon."], "2026-06-03T09:00:00"),
    Seed("untechnical", "/work", 9, ["Project architecture decisions: the poster."], "2026-06-04T09:00:00"),
    Seed("important", "/home", 9, ["The passport is in the drawer.", "Noted.", "And the key?"], "2026-01-01T00:00:00"),
    Seed("important", "/work", 3, ["The bicycle is in the cellar."], "2025-12-31T23:59:59"),
    Seed("important", "/home", 10, ["The party is next year."], "2027-01-01T00:00:00"),
    Seed("work", "/work/plans", 2, ["We plan a trip.", "To the sea?"], "2026-07-01T09:00:00"),
    Seed("work", "/work", 10, ["The alarm code is in the safe."], "2026-12-31T23:59:59"),
    Seed("working", "/work", 3, ["The kettle is broken."], "2024-07-01T09:00:00"),
    Seed("Done", "/work", 1, ["The old printer was sold."], "2024-01-01T09:00:00", archived=True),
)


class World:
    """A local Sekha for all blocks.

    Args:
        folder: Where its data are.
        profile: Which servers it is.
    """

    def __init__(self, folder: Path, profile: str) -> None:
        self._data = folder / "memory.db"
        self._seeded = folder / "seeded.db"
        self._sekha = LocalSekha(self._data, no_key=True, profile=profile)  # blocks give the bridge no key
        self._documented = profile == DOCUMENTED
        self.profile = profile
        self.redis_url = ""  # of a test that needs one
        self.ids: Dict[Seed, str] = {}
        self.exceptions: Set[str] = set()
        self.excepted: Set[str] = set()

    def __enter__(self) -> World:
        with ExitStack() as stack:
            sekha = stack.enter_context(self._sekha)
            self.options: Dict[str, Any] = {**sekha.options}
            key = self.options.get("mcp_api_key", KEY)  # where the MCP tools have another, REST asks for none
            headers = {"authorization": f"Bearer {key}"}
            self._server = stack.enter_context(httpx.Client(base_url=sekha.controller_url, headers=headers))
            self._bridge = stack.enter_context(httpx.Client(base_url=sekha.bridge_url))
            self.ids = {seed: self._store(seed) for seed in SEEDS}
            with closing(sqlite3.connect(self._data)) as data, closing(sqlite3.connect(self._seeded)) as copy:
                data.backup(copy)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._open.close()

    def reset(self) -> None:
        """Everything is as it was in the beginning."""
        with closing(sqlite3.connect(self._seeded)) as copy, closing(sqlite3.connect(self._data)) as data:
            data.execute("PRAGMA synchronous = OFF")  # nobody needs it after a power cut
            copy.backup(data)
        self.exceptions, self.excepted = set(), set()

    def except_for(self, decision: str) -> bool:
        """Whether this is a server that a decision says cannot deliver; the expectation must list the decision."""
        if self._documented:
            return False
        assert decision in self.exceptions, f"the expectation does not list {decision}"
        self.excepted.add(decision)
        return True

    def _store(self, seed: Seed) -> str:
        messages = [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(seed.texts)]
        stored = self.tool(
            "memory_store",
            label=seed.label,
            folder=seed.folder,
            importance_score=seed.importance,
            messages=messages,
        )
        identity = seed.id or str(uuid4())
        with closing(sqlite3.connect(self._data)) as data, data:
            new = {"new": identity, "old": stored["id"], "time": f"{seed.time}.000000000"}
            data.execute("UPDATE conversations SET id = :new WHERE id = :old", new)
            if seed.time:
                data.execute("UPDATE conversations SET created_at = :time, updated_at = :time WHERE id = :new", new)
                own = "conversation = (SELECT number FROM conversations WHERE id = :new)"
                data.execute(f"UPDATE messages SET timestamp = :time WHERE {own}", new)
            if seed.archived:
                data.execute("UPDATE conversations SET status = 'archived' WHERE id = :new", new)
        return identity

    # The server, looked at without the library

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """The controller's answer to a GET."""
        return self._server.get(path, params=parameters)

    def post(self, path: str, **body: Any) -> Any:
        """What the controller answers to a POST."""
        answer = self._server.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def tool(self, name: str, **arguments: Any) -> Any:
        """What an MCP tool answers."""
        answer = self.post(f"/mcp/tools/{name}", **arguments)
        assert answer["success"] is True, answer
        return answer["data"]

    def hits(self, query: str, limit: int = 10) -> List[Any]:
        """What the controller finds, with scores that are similarities."""
        found = self.post("/api/v1/query", query=query, limit=limit)["results"]
        assert isinstance(found, list)
        meant = hash_embedding(query)
        for hit in found:
            near = cosine_similarity(meant, hash_embedding(hit["content"]))  # which is never below 0
            if self._documented:  # what shares words with the query may rank above what is as near
                assert hit["score"] >= near - ROUNDING
            else:
                hit["score"] = 1 - hit["score"]  # D18
                assert max(0.0, hit["score"]) == pytest.approx(near, abs=ROUNDING)
        scores = [hit["score"] for hit in found]
        assert scores == sorted(scores, reverse=True)
        return found

    def bridge(self, path: str, **body: Any) -> Any:
        """What the bridge answers."""
        answer = self._bridge.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def answer_to(self, text: str, **options: Any) -> str:
        """What the model says to a text."""
        body = {"messages": [{"role": "user", "content": text}], **options}
        return str(self.bridge("/v1/chat/completions", **body)["choices"][0]["message"]["content"])

    def conversation(self, identity: str) -> Any:
        """A conversation as it is now, with its messages."""
        export = self.tool("memory_export", conversation_id=identity)
        return {**export["conversation"], "messages": [(m["role"], m["content"]) for m in export["messages"]]}

    def added(self) -> List[Any]:
        """The conversations that were not there in the beginning, the first one first."""
        page = self.get("/api/v1/conversations", page_size=1000).json()
        known = set(self.ids.values())
        new = [row["conversation_id"] for row in page["results"] if row["conversation_id"] not in known]
        assert all(UUID(identity) for identity in new)
        return [self.conversation(identity) for identity in reversed(new)]
