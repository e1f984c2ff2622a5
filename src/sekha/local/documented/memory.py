"""The memory: operations on the store and the models, which REST routes and MCP tools only translate."""

from __future__ import annotations

import logging
import time
from typing import Any, Dict, List, Optional, Sequence, Tuple

from sekha.local import tasks
from sekha.local.models import ChatModel, Embedder, ModelError
from sekha.local.store import (
    NO_DATES,
    Conversation,
    Dates,
    Filter,
    Message,
    NewMessage,
    NotFound,
    PruneCandidate,
    SearchResult,
    Store,
    format_timestamp,
)
from sekha.local.text import extract_keywords, extractive_summary, split_words

logger: logging.Logger = logging.getLogger("sekha.local")
DAY_NS = 86_400 * 10**9
SUMMARY_WINDOWS = {"daily": DAY_NS, "weekly": 7 * DAY_NS, "monthly": 30 * DAY_NS}
PINNED_IMPORTANCE = 10
MIN_IMPORTANCE_TO_KEEP = 5.0
"""Conversations of less importance are recommended for the archive."""


class Memory:
    """The memory behind the controller and its MCP tools.

    Args:
        store: The database.
        embedder: The model that makes the vectors.
        chat: The model that writes summaries.
    """

    def __init__(self, store: Store, embedder: Embedder, chat: ChatModel) -> None:
        self.store = store
        self._embedder = embedder
        self._chat = chat

    def get(self, identity: str) -> Conversation:
        """Return a conversation; raise NotFound if there is none."""
        found = self.store.get(identity)
        if found is None:
            raise NotFound(identity)
        return found

    def messages(self, identity: str) -> List[Message]:
        """Return the messages of a conversation in their order."""
        return self.store.messages(Filter(), identity)

    def update(self, identity: str, **columns: Any) -> None:
        """Change columns of a conversation; raise NotFound if there is none."""
        if not self.store.update(identity, **columns):
            raise NotFound(identity)

    def delete(self, identity: str) -> None:
        """Delete a conversation; raise NotFound if there is none."""
        if not self.store.delete(identity):
            raise NotFound(identity)

    async def create(
        self,
        label: str,
        folder: str,
        messages: Sequence[NewMessage],
        importance: Optional[int] = None,
        dates: Dates = NO_DATES,
    ) -> Conversation:
        """Store a conversation with its vectors, or without them if no model answers (see `rebuild`)."""
        vectors: List[Optional[Sequence[float]]] = [None] * len(messages)
        model: Optional[str] = None
        try:
            if messages:
                model, found = await self._embedder.embed([one.content for one in messages], purpose="passage")
                vectors = [*found]
        except ModelError as error:
            logger.warning("a conversation is stored without vectors: %s", error)
        importance = 5 if importance is None else importance
        return self.store.add(label, folder, importance, messages, vectors, model, dates)

    async def search(self, query: str, matching: Filter, limit: int, offset: int = 0) -> Tuple[List[SearchResult], int]:
        """Return the messages nearest to a text, best first, and their number; raise ModelError without a vector."""
        if not query.strip():
            return [], 0
        model, vectors = await self._embedder.embed([query], purpose="query")
        found, total = self.store.nearest(vectors[0], model, matching, limit, offset)
        return [SearchResult(min(1.0, max(0.0, score)), message) for score, message in found], total

    async def context(
        self, query: str, preferred_labels: Sequence[str], budget: int, excluded_folders: Sequence[str]
    ) -> List[Message]:
        """Return the messages that a model should see for a query, the most useful first, each once.

        Similarity counts most, then a preferred label, importance and recency. They fit into `budget` tokens of four
        bytes; longer messages are left out, not truncated. Archived conversations are left out.
        """
        results, _ = await self.search(query, Filter(not_status="archived"), 200)
        scores = {result.message.id: (result.score, result.message) for result in results}
        for matching in (
            Filter(status="active", min_importance=PINNED_IMPORTANCE),
            Filter(status="active", labels=preferred_labels),
        ):
            for message in self.store.messages(matching):
                scores.setdefault(message.id, (0.0, message))
        month_ago = format_timestamp(time.time_ns() - 30 * DAY_NS)

        def rank(entry: Tuple[float, Message]) -> float:
            score, message = entry
            label = 0.25 if message.label in preferred_labels else 0.0
            return (
                score
                + label
                + 0.01 * min(message.importance, PINNED_IMPORTANCE)
                + (0.02 if message.timestamp > month_ago else 0.0)
            )

        remaining = 4 * budget
        chosen: List[Message] = []
        for _, message in sorted(scores.values(), key=rank, reverse=True):
            size = len(message.content.encode())
            is_excluded = any(_is_in_folder(message.folder, folder) for folder in excluded_folders)
            if size <= remaining and budget and not is_excluded:
                chosen.append(message)
                remaining -= size
        return chosen

    async def summarize(self, identity: str, level: str) -> str:
        """Summarize the messages of a conversation of the last day, week or month."""
        self.get(identity)
        since = format_timestamp(time.time_ns() - SUMMARY_WINDOWS[level])
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

    def suggest_pruning(
        self, threshold_days: int, min_importance: float = MIN_IMPORTANCE_TO_KEEP
    ) -> List[PruneCandidate]:
        """Return the active conversations without a change for some days, with a recommendation for each."""
        return [
            PruneCandidate(
                conversation,
                conversation.bytes // 4,
                extractive_summary("\n".join(message.content for message in self.messages(conversation.id)), 1)[:200],
                "archive" if conversation.importance < min_importance else "keep",
            )
            for conversation in self.unused_conversations(threshold_days)
        ]

    def unused_conversations(self, threshold_days: int) -> List[Conversation]:
        """Return the active conversations without a change for some days."""
        last_change = format_timestamp(time.time_ns() - threshold_days * DAY_NS)
        return self.store.conversations(Filter(status="active", end=last_change))

    def archive_all(self, identities: Sequence[str]) -> None:
        """Archive conversations: all, or none if one of them does not exist (NotFound)."""
        with self.store.transaction():
            for identity in identities:
                self.update(identity, status="archived")

    def suggest_labels(self, identity: str) -> List[Tuple[str, bool]]:
        """Return up to five labels for a conversation, each with whether it exists already."""
        own = self.get(identity)
        text = "\n".join(message.content for message in self.messages(identity))
        words = set(split_words(text))
        labels = dict.fromkeys(other.label for other in self.store.conversations(Filter()) if other.id != own.id)
        existing = [label for label in labels if split_words(label) and words.issuperset(split_words(label))]
        new = [word for word in extract_keywords(text) if word not in map(str.casefold, existing)]
        return [*((label, True) for label in existing), *((word, False) for word in new)][:5]

    def stats(self, matching: Filter) -> Dict[str, Any]:
        """Return statistics of the conversations that match a filter."""
        found = self.store.conversations(matching)
        importance = [conversation.importance for conversation in found]
        return {
            "total_conversations": len(found),
            "total_messages": sum(conversation.message_count for conversation in found),
            "average_importance": round(sum(importance) / len(found), 4) if found else 0.0,
            "folders": sorted({conversation.folder for conversation in found}),
            "labels": sorted({conversation.label for conversation in found}),
        }

    async def rebuild(self) -> None:
        """Rebuild the vectors of all messages, after the embedder has changed or was down."""
        last = -1
        try:
            while True:
                texts = self.store.contents_after(last, 64)
                if not texts:
                    return
                model, vectors = await self._embedder.embed([text for _, text in texts], purpose="passage")
                self.store.set_vectors(model, {number: vector for (number, _), vector in zip(texts, vectors)})
                last = texts[-1][0]
        except ModelError as error:
            logger.error("rebuilding the vectors stopped: %s", error)


def _is_in_folder(folder: str, parent: str) -> bool:
    return bool(parent) and f"{folder}/".startswith(f"{parent.rstrip('/')}/")
