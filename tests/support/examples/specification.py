"""What each Python block of the specification must print or leave, by its heading."""

from __future__ import annotations

import ast
import re
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Type
from uuid import UUID

import pytest

import sekha.types
from sekha import SekhaClient, SekhaClosedError, SekhaConfig, SekhaServerError
from sekha.types import ClientConfig

from .running import Ran
from .world import (
    API_DESIGN,
    ARCHITECTURE,
    AUTHENTICATION,
    DECISIONS,
    DEPLOYMENT,
    KEY,
    KNOWN,
    OLD_DECISIONS,
    SECURITY,
    SEEDS,
    TECHNICAL,
    Seed,
    World,
)

Check = Callable[[Ran, World], None]


class Undelivered(NamedTuple):
    """What the controller 0.1 or the bridge 0.2 cannot deliver; the documented profile must."""

    decision: str
    """Where it is decided; the check asks `World.except_for` about it."""
    reason: str
    raises: Tuple[Type[BaseException], ...] = ()
    """The error with which the block ends."""


class Expectation(NamedTuple):
    """How a block is completed, and what it must do then."""

    check: Check
    ids: Tuple[str, ...] = (KNOWN,)
    """What stands for each ``"..."``, in turn; the last for all that follow."""
    ellipses: Tuple[Tuple[str, str], ...] = ()
    """Further placeholders, and what stands for them."""
    after: str = ""
    """Lines that look, with ``await``, at what the block leaves."""
    environment: Optional[Mapping[str, str]] = None
    """Variables that are set; ``{...}`` is filled from the client's options."""
    exceptions: Tuple[Undelivered, ...] = ()
    """All in which the profile `REAL` differs; one that the check does not ask about is an error."""


EXPECTED: Dict[str, Expectation] = {}
"""By heading; the second block below one has `` 2`` behind it."""

MESSAGES = '[{"role": "user", "content": "Hello"}]'
CONVERSATION = '{"label": "Filled in", "messages": [{"role": "user", "content": "Hello"}]}'


def expect(heading: str, **details: Any) -> Callable[[Check], Check]:
    """Enters a check into the table."""

    def enter(check: Check) -> Check:
        assert heading not in EXPECTED, heading
        EXPECTED[heading] = Expectation(check, **details)
        return check

    return enter


def completed(source: str, expected: Expectation, world: World) -> str:
    """A block with values in the place of its placeholders."""
    options = world.options
    source = source.replace('"http://localhost:8080"', repr(options["controller_url"]))
    source = source.replace('"http://localhost:5001"', repr(options["bridge_url"]))
    source = re.sub(r'"sk-your-api-key(-here)?"', repr(KEY), source)
    for placeholder, value in expected.ellipses:
        assert placeholder in source, f"there is no {placeholder} any more"
        source = source.replace(placeholder, value)
    ids = iter(expected.ids)
    last = expected.ids[-1]
    source = re.sub(r'"\.\.\."', lambda _: repr(next(ids, last)), source)
    assert "..." not in re.sub(r"\w?\.\.\.\"", "", source), "a placeholder is left"
    return source


# Helpers of the checks


def seeds(keep: Callable[[Seed], bool]) -> List[Seed]:
    """The conversations of the beginning that a rule keeps; at least one, and not all."""
    kept = [seed for seed in SEEDS if keep(seed)]
    assert 0 < len(kept) < len(SEEDS), "the rule shows nothing"
    return kept


def same_moment(text: str) -> datetime:
    """A printed ISO time stamp as a moment."""
    moment = datetime.fromisoformat(text)
    assert moment.utcoffset() == timedelta(0)
    return moment


def is_now(text: str) -> None:
    """A printed ISO time stamp is of this minute."""
    assert abs(datetime.now(timezone.utc) - same_moment(text)) < timedelta(minutes=1)


def quotes(answer: str, seed: Seed, *others: Seed) -> None:
    """An answer quotes what a conversation said, and not what others said."""
    assert seed.texts[-1] in answer, answer
    for other in others:
        assert other.texts[-1] not in answer, answer


def counts(stats: Any, chosen: Sequence[Seed]) -> None:
    """Statistics are those of these conversations."""
    assert stats["total_conversations"] == len(chosen)
    assert stats["total_messages"] == sum(len(seed.texts) for seed in chosen)
    average = sum(seed.importance for seed in chosen) / len(chosen)
    assert stats["average_importance"] == pytest.approx(average, abs=1e-4)
    assert stats["labels"] == sorted({seed.label for seed in chosen})


def pieces(ran: Ran, world: World) -> None:
    """What streams is printed as it comes."""
    if world.except_for("D31"):
        assert len(ran.prints) == 1
    else:
        assert len(ran.prints) > 3, "it came in one piece"


UNSTREAMED = Undelivered("D31", "the bridge ignores `stream`: the text is one chunk, and the end another without text")


def at(world: World) -> SekhaClient:
    """A client to ask the same in another way."""
    return SekhaClient(**world.options)


def works(ran: Ran, world: World) -> None:
    """All clients that the block made reach the three services."""
    assert ran.names["statuses"]
    for statuses in ran.names["statuses"]:
        assert {name: status["status"] for name, status in statuses.items()} == dict.fromkeys(
            ("controller", "bridge", "mcp"), "healthy"
        )


LOOK_AT_ALL = """
statuses = []
for one in made:
    statuses.append(await one.health_check())
"""


# Quick Start


@expect("Unified Client (Recommended)")
def _(ran: Ran, world: World) -> None:
    answer = world.answer_to("Explain quantum computing")
    chosen = seeds(lambda seed: seed.label == "important" and seed.within("2026-01-01T00:00:00"))
    assert ran.lines == [answer, f"Total conversations: {len(chosen)}"]
    counts(ran.names["stats"], chosen)
    (stored,) = world.added()
    assert stored["label"] == "My Conversation"
    assert stored["messages"] == [("user", "Hello Sekha!"), ("assistant", "Hello! I'll remember this.")]


@expect("Convenience Workflows (NEW in v0.2.0)")
def _(ran: Ran, world: World) -> None:
    (stored,) = world.added()
    assert stored["label"] == "Planning"
    assert stored["messages"] == [("user", "Discussed project timeline"), ("assistant", "2 week sprint cycle")]
    results = ran.names["results"]
    assert [hit["message_id"] for hit in results] == [hit["message_id"] for hit in world.hits("timeline")]
    assert results[0]["content"] == "Discussed project timeline"
    assert results.conversation["id"] == stored["id"]
    assert all(hit["conversation_id"] != stored["id"] for hit in results.related)
    quotes(ran.names["response"]["choices"][0]["message"]["content"], ARCHITECTURE, SECURITY, DEPLOYMENT)
    with at(world) as client:
        whole = client.complete_with_context(
            "Explain our deployment strategy", "deployment docker kubernetes", model="gpt-4"
        )
    text = whole["choices"][0]["message"]["content"] or ""
    quotes(text, DEPLOYMENT)
    assert ran.printed == f"{text}Controller: healthy\nBridge: healthy\n"


@expect(
    "Async Context Manager",
    ellipses=(("{...}", CONVERSATION), ("messages=[...]", f"messages={MESSAGES}")),
    after="""
try:
    await client.controller.health()
except Exception as error:
    closed = error
""",
)
def _(ran: Ran, world: World) -> None:
    (stored,) = world.added()
    assert stored["label"] == "Filled in"
    assert isinstance(ran.names["closed"], SekhaClosedError)


# Client Initialization


@expect("SekhaClient (Unified)", after=LOOK_AT_ALL)
def _(ran: Ran, world: World) -> None:
    works(ran, world)
    assert len(ran.names["made"]) == 3
    assert ran.names["made"][-1] is ran.names["client"]
    config = ran.names["config"]
    assert isinstance(config, SekhaConfig)
    assert (config.controller_url, config.timeout, config.max_retries) == (world.options["controller_url"], 30.0, 3)
    assert KEY not in repr(config)


@expect("MemoryController (Controller Only)", after="found = await client.list_conversations()")
def _(ran: Ran, world: World) -> None:
    assert ran.names["found"]["total"] == len(SEEDS)


# Controller


@expect("Create Conversation")
def _(ran: Ran, world: World) -> None:
    identity, label, time = ran.lines
    assert label == "API Design Discussion"
    is_now(time)
    (stored,) = world.added()
    assert stored["id"] == str(UUID(identity))
    assert (stored["label"], stored["folder"], stored["importance_score"]) == (label, "/work/engineering", 8)
    assert stored["messages"] == [
        ("user", "How should we design the REST API?"),
        ("assistant", "Consider RESTful principles..."),
    ]
    assert ran.names["conversation"]["importance_score"] == 8


@expect("Query (Semantic Search)")
def _(ran: Ran, world: World) -> None:
    found = world.hits("How to implement authentication?")
    assert len(found) == 10
    labels = {text: seed.label for seed in SEEDS for text in seed.texts}
    expected: List[str] = []
    for hit in found:
        assert hit["label"] == labels[hit["content"]]
        expected += [f"[{hit['score']:.2f}] {hit['label']}", f"  Content: {hit['content'][:100]}..."]
    assert ran.lines == expected
    assert ran.lines[:2] == ["[1.00] Authentication", "  Content: How to implement authentication?..."]
    scores = [float(line[1:5]) for line in ran.lines[::2]]
    assert scores == sorted(scores, reverse=True)


@expect(
    "Assemble Context",
    exceptions=(
        Undelivered(
            "D5",
            "the list is the server's, and this one forgets nearness: what is pinned and of today comes first",
        ),
    ),
)
def _(ran: Ran, world: World) -> None:
    context = world.post(
        "/api/v1/context/assemble",
        query="Continue our API design discussion",
        context_budget=8000,
        preferred_labels=["API Design", "Architecture"],
    )
    system, *remembered, question = ran.names["messages"]
    assert (system["role"], question["role"]) == ("system", "user")
    once: Dict[str, Tuple[str, str]] = {}
    for message in context:
        once.setdefault(message["id"], (message["role"], message["content"]))
    assert [(m["role"], m["content"]) for m in remembered] == list(once.values())
    cited = {m["content"]: m["metadata"]["citation"] for m in remembered}
    for seed in (API_DESIGN, ARCHITECTURE):
        assert all((cited[text]["label"], cited[text]["folder"]) == (seed.label, seed.folder) for text in seed.texts)
    if world.except_for("D5"):
        assert {text for seed in SEEDS if seed.importance == 10 for text in seed.texts} <= cited.keys()
    else:
        assert {m["content"] for m in remembered[:2]} == set(API_DESIGN.texts)


@expect("List Conversations")
def _(ran: Ran, world: World) -> None:
    pinned = seeds(lambda seed: seed.folder == "/work" and seed.importance == 10)
    assert ran.lines[0] == f"Total: {len(pinned)}"
    assert sorted(ran.lines[1:]) == sorted(f"{seed.label} - /work" for seed in pinned)
    rows = {
        row["conversation_id"]: row["metadata"]["importance_score"] for row in ran.names["conversations"]["results"]
    }
    assert rows == {world.ids[seed]: 10 for seed in pinned}


@expect("Get Conversation")
def _(ran: Ran, world: World) -> None:
    assert ran.lines == [AUTHENTICATION.label, str(len(AUTHENTICATION.texts))]


@expect("Update Label/Folder")
def _(ran: Ran, world: World) -> None:
    now = world.conversation(KNOWN)
    assert (now["label"], now["folder"]) == ("Updated Label", "/work/archived")
    assert ran.values == [None, None]


@expect(
    "Pin/Archive/Delete",
    ids=("architecture", "security", "deployment"),
    exceptions=(
        Undelivered(
            "D49", "it cannot delete a conversation with messages: the error says what to do", (SekhaServerError,)
        ),
    ),
)
def _(ran: Ran, world: World) -> None:
    pinned, archived, deleted = (world.ids[seed] for seed in (ARCHITECTURE, SECURITY, DEPLOYMENT))
    assert world.conversation(pinned)["importance_score"] == 10
    assert world.conversation(pinned)["status"] == "active"
    assert world.conversation(archived)["status"] == "archived"
    if world.except_for("D49"):
        assert isinstance(ran.error, SekhaServerError)
        assert "archive_conversation()" in ran.error.message
        assert "empty Chroma collection named `messages`" in ran.error.message
        left = world.conversation(deleted)
        assert (left["status"], [text for _, text in left["messages"]]) == ("active", DEPLOYMENT.texts)
        assert ran.values == [None, None]
    else:
        assert world.get(f"/api/v1/conversations/{deleted}").status_code == 404
        assert ran.values == [None, None, None]


@expect("Summarize")
def _(ran: Ran, world: World) -> None:
    *summary, time = ran.lines
    assert AUTHENTICATION.texts[-1] in " ".join(summary)
    is_now(time)


@expect("Prune (Dry Run and Execute)")
def _(ran: Ran, world: World) -> None:
    old = seeds(lambda seed: seed.unused_for(90) and not seed.archived)
    unimportant = [seed for seed in old if seed.importance <= 3]
    assert 0 < len(unimportant) < len(old)
    assert ran.lines == [f"Found {len(old)} candidates"]
    importance = {row["conversation_id"]: row["importance_score"] for row in ran.names["suggestions"]["suggestions"]}
    assert importance == {world.ids[seed]: seed.importance for seed in old}
    assert sorted(ran.names["to_archive"]) == sorted(world.ids[seed] for seed in unimportant)
    for seed in SEEDS:
        status = "archived" if seed.archived or seed in unimportant else "active"
        assert world.conversation(world.ids[seed])["status"] == status, seed


@expect("Suggest Labels")
def _(ran: Ran, world: World) -> None:
    suggestions = world.post("/api/v1/labels/suggest", conversation_id=KNOWN)["suggestions"]
    expected: List[str] = []
    for suggestion in suggestions:
        expected += [f"{suggestion['label']} ({suggestion['confidence']:.0%})", f"  Reason: {suggestion['reason']}"]
    assert ran.lines == expected
    assert any("authentication" in line.lower() for line in expected)
    assert all(re.fullmatch(r".+ \(\d+%\)", line) for line in expected[::2])


# Bridge


@expect("Complete (Chat Completion)")
def _(ran: Ran, world: World) -> None:
    answer = world.bridge(
        "/v1/chat/completions",
        model="gpt-4",
        temperature=0.7,
        max_tokens=1000,
        messages=[
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Explain quantum computing"},
        ],
    )
    assert answer["usage"]["total_tokens"] > 0
    text = answer["choices"][0]["message"]["content"]
    assert ran.lines == [text, f"Tokens used: {answer['usage']['total_tokens']}"]


@expect("Stream Complete (Streaming)", exceptions=(UNSTREAMED,))
def _(ran: Ran, world: World) -> None:
    assert ran.printed == world.answer_to("Tell me a story", model="gpt-4")
    pieces(ran, world)


@expect("Embed (Text Embeddings)")
def _(ran: Ran, world: World) -> None:
    answer = world.bridge("/embed", text="Semantic search query text", model="text-embedding-ada-002")
    assert ran.lines == [f"Embedding dimension: {len(answer['embedding'])}"]
    assert ran.names["embedding"] == answer["embedding"]


@expect("Health Check")
def _(ran: Ran, world: World) -> None:
    status, checks = ran.lines
    assert status == "healthy"
    assert {check["status"] for check in ast.literal_eval(checks).values()} == {"ok"}


# MCP


@expect("Memory Stats")
def _(ran: Ran, world: World) -> None:
    chosen = seeds(
        lambda seed: seed.label in ("important", "work") and seed.within("2026-01-01T00:00:00", "2026-12-31T23:59:59")
    )
    assert ran.lines == [
        f"Total: {len(chosen)}",
        f"Total messages: {sum(len(seed.texts) for seed in chosen)}",
        f"Labels: {sorted({seed.label for seed in chosen})}",
    ]
    counts(ran.names["stats"], chosen)


@expect("Memory Search")
def _(ran: Ran, world: World) -> None:
    chosen = seeds(lambda seed: seed.label == "technical" and seed.importance >= 7)
    assert len(chosen) == ran.names["results"]["total_results"] == 2
    assert [line.split(" (")[0] for line in ran.lines[::2]] == ["technical", "technical"]
    assert sorted(ran.lines[1::2]) == sorted(f"  {seed.texts[0][:100]}..." for seed in chosen)
    assert ran.lines[1] == f"  {TECHNICAL.texts[0]}..."
    scores = [float(line.split("score: ")[1].rstrip(")")) for line in ran.lines[::2]]
    known = {hit["content"]: hit["score"] for hit in world.hits("project architecture decisions", 1000)}
    assert scores == [float(f"{known[hit['content']]:.2f}") for hit in ran.names["results"]["results"]]
    assert 0 <= scores[1] < scores[0] <= 1


# Workflows


@expect("1. Store and Query")
def _(ran: Ran, world: World) -> None:
    (stored,) = world.added()
    assert (stored["label"], stored["folder"]) == ("Planning Meeting", "/work/meetings")
    found = world.hits("timeline sprint")
    assert ran.lines == [f"Stored conversation and found {len(found)} related items"]
    assert [hit["message_id"] for hit in ran.names["results"]] == [hit["message_id"] for hit in found]
    assert {hit["content"] for hit in found[:2]} == {text for _, text in stored["messages"]}


@expect("2. Complete with Context")
def _(ran: Ran, world: World) -> None:
    quotes(ran.printed, ARCHITECTURE, SECURITY, DEPLOYMENT)


@expect("3. Complete with Memory")
def _(ran: Ran, world: World) -> None:
    found = [hit["content"] for hit in world.hits("deployment strategies docker kubernetes", 5)]
    assert found[0] == DEPLOYMENT.texts[-1]
    quoted = re.findall("“(.+?)”", ran.printed)
    assert quoted
    assert all(any(sentence in text for text in found) for sentence in quoted)


@expect("4. Stream with Context", exceptions=(UNSTREAMED,))
def _(ran: Ran, world: World) -> None:
    with at(world) as client:
        whole = client.complete_with_context(
            "Explain our deployment strategy in detail",
            "deployment infrastructure",
            model="gpt-4",
            context_budget=3000,
        )
    text = whole["choices"][0]["message"]["content"] or ""
    quotes(text, DEPLOYMENT)
    assert ran.printed == text
    pieces(ran, world)


@expect("5. Health Check")
def _(ran: Ran, world: World) -> None:
    assert ran.lines == ["Controller: healthy", "Bridge: healthy", "Mcp: healthy"]


# Errors; the other cases of this block are in test_examples


@expect("Error Handling", ids=("00000000-0000-4000-8000-000000000000",))
def _(ran: Ran, world: World) -> None:
    assert ran.lines == ["Conversation not found"]


# Configuration


@expect(
    "Environment Variables",
    environment={
        "SEKHA_CONTROLLER_URL": "{controller_url}",
        "SEKHA_API_KEY": "{api_key}",
        "SEKHA_BRIDGE_URL": "{bridge_url}",
        "SEKHA_TIMEOUT": "30.0",
        "SEKHA_MAX_RETRIES": "3",
    },
    after=LOOK_AT_ALL,
)
def _(ran: Ran, world: World) -> None:
    works(ran, world)


@expect("Rate Limiting")
def _(ran: Ran, world: World) -> None:
    config = ran.names["config"]
    assert isinstance(config, ClientConfig)
    assert (config.base_url, config.api_key) == (world.options["controller_url"], KEY)
    assert (config.rate_limit_requests, config.rate_limit_window) == (1000, 60.0)


@expect("Retry Configuration", after=LOOK_AT_ALL.replace("one.health_check()", "one.controller.count_conversations()"))
def _(ran: Ran, world: World) -> None:
    assert [answer["count"] for answer in ran.names["statuses"]] == [len(SEEDS)]


# Types


@expect("Type Hints")
def _(ran: Ran, world: World) -> None:
    imported = ran.names.keys() & set(sekha.types.__all__)
    assert len(imported) == 17
    assert all(ran.names[name] is getattr(sekha.types, name) for name in imported)
    assert ran.names["MessageRole"].USER == "user"


@expect("Type Guards")
def _(ran: Ran, world: World) -> None:
    assert ran.names["message"] == {"role": "user", "content": "Hello"}
    assert ran.names["text"] == "Hello"
    assert "urls" not in ran.names


# Examples


@expect("Store Daily Standup")
def _(ran: Ran, world: World) -> None:
    (stored,) = world.added()
    standup = ran.names["standup"]
    assert stored["id"] == standup["id"]
    today = datetime.now()
    assert stored["label"] in (f"Standup {day:%Y-%m-%d}" for day in (today, today - timedelta(days=1)))
    assert (stored["folder"], stored["importance_score"]) == ("/work/meetings/standup", 5)
    ((role, text),) = stored["messages"]
    assert role == "user"
    assert "- Waiting on database migration approval" in text


@expect("AI-Powered Code Review")
def _(ran: Ran, world: World) -> None:
    quotes(ran.printed, SECURITY, DEPLOYMENT)


@expect("Weekly Review")
def _(ran: Ran, world: World) -> None:
    found = world.hits("important decisions and action items")
    contents = {hit["content"] for hit in found}
    assert DECISIONS.texts[0] in contents
    assert OLD_DECISIONS.texts[0] in contents
    new = {text for seed in SEEDS if not seed.unused_for(7) for text in seed.texts}
    assert ran.lines == [f"Found {len(contents & new)} important conversations this week"]


# Migration


@expect(
    "Breaking Changes",
    ellipses=(("SekhaClient(...)", "SekhaClient(**options)"), ("complete(...)", f"complete({MESSAGES})")),
)
def _(ran: Ran, world: World) -> None:
    completion, stats = ran.values
    assert completion["choices"][0]["message"]["content"] == world.answer_to("Hello")
    counts(stats, SEEDS)


@expect(
    "Breaking Changes 2",
    ellipses=(
        ("SekhaClient(...)", "SekhaClient(**options)"),
        (".complete(...)", f".complete({MESSAGES})"),
        ("complete_with_memory(...)", 'complete_with_memory("What about deployment?", "deployment strategy")'),
    ),
)
def _(ran: Ran, world: World) -> None:
    completion, stats, remembered, health = ran.values
    assert completion["choices"][0]["message"]["content"] == world.answer_to("Hello")
    counts(stats, SEEDS)
    quotes(remembered["choices"][0]["message"]["content"], DEPLOYMENT)
    assert {status["status"] for status in health.values()} == {"healthy"}
