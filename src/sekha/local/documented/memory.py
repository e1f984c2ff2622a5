"""What the local Sekha does with its store and its models; the REST routes and the MCP tools only translate."""

from __future__ import annotations

import logging
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from sekha.local import tasks, words
from sekha.local.models import ChatModel, Embedder, ModelError
from sekha.local.store import Conversation, Filter, Message, Store, stamp

logger: logging.Logger = logging.getLogger("sekha.local")
DAY = 86_400 * 10**9
WINDOWS = {"daily": DAY, "weekly": 7 * DAY, "monthly": 30 * DAY}
PINNED = 10
KEEP_FROM = 5.0
"""Conversations of less importance than this are recommended for the archive."""


class NotFound(Exception):
    """There is no conversation with this id."""


class Hit(NamedTuple):
    """A message that was found, and how near it is (0 to 1)."""

    score: float
    message: Message


class Candidate(NamedTuple):
    """A conversation that nobody has touched for long."""

    conversation: Conversation
    tokens: int
    preview: str
    recommendation: str


class Memory:
    """
    The memory behind the controller and its MCP tools.

    Args:
        store: Where it is kept.
        embedder: Gives texts their vectors.
        chat: Writes summaries.
    """

    def __init__(self, store: Store, embedder: Embedder, chat: ChatModel) -> None:
        self.store = store
        self._embedder = embedder
        self._chat = chat

    def get(self, identity: str) -> Conversation:
        """A conversation; NotFound if there is none."""
        found = self.store.get(identity)
        if found is None:
            raise NotFound(identity)
        return found

    def messages(self, identity: str) -> List[Message]:
        """The messages of a conversation in their order."""
        return self.store.messages(Filter(), identity)

    def update(self, identity: str, **columns: Any) -> None:
        """Changes columns of a conversation; NotFound if there is none."""
        if not self.store.update(identity, **columns):
            raise NotFound(identity)

    def delete(self, identity: str) -> None:
        """Removes a conversation; NotFound if there is none."""
        if not self.store.delete(identity):
            raise NotFound(identity)

    async def create(
        self, label: str, folder: str, messages: Sequence[Tuple[str, str]], importance: Optional[int] = None
    ) -> Conversation:
        """Stores a conversation with its vectors; where no model answers, without them (see `rebuild`)."""
        vectors: List[Optional[Sequence[float]]] = [None] * len(messages)
        model: Optional[str] = None
        try:
            if messages:
                model, found = await self._embedder.embed([content for _, content in messages])
                vectors = [*found]
        except ModelError as error:
            logger.warning("a conversation is stored without vectors: %s", error)
        return self.store.add(label, folder, 5 if importance is None else importance, messages, vectors, model)

    async def search(self, query: str, which: Filter, limit: int, offset: int = 0) -> Tuple[List[Hit], int]:
        """The messages nearest to a text, best first, and how many there are in all; ModelError without a vector."""
        if not query.strip():
            return [], 0
        model, vectors = await self._embedder.embed([query])
        found, total = self.store.nearest(vectors[0], model, which, limit, offset)
        return [Hit(min(1.0, max(0.0, score)), message) for score, message in found], total

    async def context(
        self, query: str, preferred_labels: Sequence[str], budget: int, excluded_folders: Sequence[str]
    ) -> List[Message]:
        """
        The messages that a model should see for a query, the most useful first, each once.

        Nearness counts most, then a preferred label, importance and youth. They fit into `budget` tokens of four bytes;
        what is too long is left out, not cut. Archived conversations stay out.
        """
        hits, _ = await self.search(query, Filter(not_status="archived"), 200)
        scores = {hit.message.id: (hit.score, hit.message) for hit in hits}
        for which in (Filter(status="active", at_least=PINNED), Filter(status="active", labels=preferred_labels)):
            for message in self.store.messages(which):
                scores.setdefault(message.id, (0.0, message))
        month_ago = stamp(time.time_ns() - 30 * DAY)

        def rank(entry: Tuple[float, Message]) -> float:
            score, message = entry
            label = 0.25 if message.label in preferred_labels else 0.0
            return (
                score
                + label
                + 0.01 * min(message.importance, PINNED)
                + (0.02 if message.timestamp > month_ago else 0.0)
            )

        left = 4 * budget
        chosen: List[Message] = []
        for _, message in sorted(scores.values(), key=rank, reverse=True):
            size = len(message.content.encode())
            if size <= left and budget and not any(_inside(message.folder, folder) for folder in excluded_folders):
                chosen.append(message)
                left -= size
        return chosen

    async def summarize(self, identity: str, level: str) -> str:
        """What the messages of a conversation said in the last day, week or month."""
        self.get(identity)
        since = stamp(time.time_ns() - WINDOWS[level])
        messages = self.store.messages(Filter(start=since), identity)
        if not messages:
            return "No messages to summarize"
        try:
            return await tasks.summarize(
                self._chat, [f"{message.role}: {message.content}" for message in messages], level
            )
        except ModelError as error:
            logger.warning("no summary: %s", error)
            return f"{level.capitalize()} summary: {len(messages)} messages (LLM offline)"

    def prune(self, threshold_days: int, keep_from: float = KEEP_FROM) -> List[Candidate]:
        """The active conversations that nobody has changed for some days, with a recommendation for each."""
        return [
            Candidate(
                conversation,
                conversation.bytes // 4,
                words.summary("\n".join(message.content for message in self.messages(conversation.id)), 1)[:200],
                "archive" if conversation.importance < keep_from else "keep",
            )
            for conversation in self.candidates(threshold_days)
        ]

    def candidates(self, threshold_days: int) -> List[Conversation]:
        """The active conversations that nobody has changed for some days."""
        return self.store.conversations(Filter(status="active", end=stamp(time.time_ns() - threshold_days * DAY)))

    def archive_all(self, identities: Sequence[str]) -> None:
        """Archives conversations, all or, if one of them does not exist (NotFound), none."""
        with self.store.transaction():
            for identity in identities:
                self.update(identity, status="archived")

    def suggest_labels(self, identity: str) -> List[Tuple[str, bool]]:
        """Up to five labels for a conversation, each with whether it is in use already."""
        own = self.get(identity)
        text = "\n".join(message.content for message in self.messages(identity))
        said = set(words.words(text))
        labels = dict.fromkeys(other.label for other in self.store.conversations(Filter()) if other.id != own.id)
        existing = [label for label in labels if words.words(label) and said.issuperset(words.words(label))]
        new = [word for word in words.keywords(text) if word not in map(str.casefold, existing)]
        return [*((label, True) for label in existing), *((word, False) for word in new)][:5]

    def stats(self, which: Filter) -> Dict[str, Any]:
        """Numbers about the conversations that a filter leaves."""
        found = self.store.conversations(which)
        importance = [conversation.importance for conversation in found]
        return {
            "total_conversations": len(found),
            "total_messages": sum(conversation.message_count for conversation in found),
            "average_importance": round(sum(importance) / len(found), 4) if found else 0.0,
            "folders": sorted({conversation.folder for conversation in found}),
            "labels": sorted({conversation.label for conversation in found}),
        }

    async def rebuild(self) -> None:
        """Makes the vectors of all messages anew, after the embedder changed or was down."""
        last = -1
        try:
            while True:
                texts = self.store.texts(last, 64)
                if not texts:
                    return
                model, vectors = await self._embedder.embed([content for _, content in texts])
                self.store.set_vectors(model, {number: vector for (number, _), vector in zip(texts, vectors)})
                last = texts[-1][0]
        except ModelError as error:
            logger.error("rebuilding the vectors stopped: %s", error)


def _inside(folder: str, parent: str) -> bool:
    return bool(parent) and f"{folder}/".startswith(f"{parent.rstrip('/')}/")
