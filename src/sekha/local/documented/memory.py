"""The memory: operations on the store and the models, on which REST routes and MCP tools are based."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import Any, Dict, List, Optional, Sequence, Tuple

from sekha.local import tasks
from sekha.local.embedding import Embedding
from sekha.local.models import ChatModel, Embedder, ModelError
from sekha.local.models.placeholder import HashEmbedder
from sekha.local.ranking import HASHED_WORDS_WEIGHT, MODEL_WORDS_WEIGHT
from sekha.local.records import (
    NO_DATES,
    Conversation,
    Dates,
    Filter,
    Message,
    NewMessage,
    NotFound,
    PruneCandidate,
    Pruning,
    SearchResult,
    format_timestamp,
)
from sekha.local.search import HybridSearch, Query
from sekha.local.store import Store
from sekha.local.text import extract_keywords, extractive_summary, split_words
from sekha.local.worker import Runner

logger: logging.Logger = logging.getLogger("sekha.local")
DAY_NS = 86_400 * 10**9
SUMMARY_WINDOWS = {"daily": DAY_NS, "weekly": 7 * DAY_NS, "monthly": 30 * DAY_NS}
PINNED_IMPORTANCE = 10
QUERY_SECONDS = 10.0
"""Timeout of the embedding model for a search; after it, the search is by words only."""
_NEWEST = 300  # maximum number of pinned or preferred messages to consider for a context
_PREVIEWED = 1000  # characters of a conversation to select its preview from
MIN_IMPORTANCE_TO_KEEP = 5.0
"""Archiving is recommended for conversations with a lower importance."""


class Memory:
    """The memory behind the controller and its MCP tools.

    Args:
        store: The database.
        embedder: The model that makes the vectors.
        chat: The model that writes summaries.
        runner: Runs the calls of the store.
    """

    def __init__(self, store: Store, embedder: Embedder, chat: ChatModel, runner: Runner) -> None:
        self.store = store
        self.runner = runner
        self.run = runner.run
        self.embedding = Embedding(store, embedder, runner, self._warm_up)
        self._hybrid = HybridSearch(store)
        self._embedder = embedder
        self._chat = chat

    def now(self) -> str:
        """Return the current time for a created or updated record."""
        return format_timestamp(time.time_ns())

    async def get(self, identity: str) -> Conversation:
        """Return a conversation; raise NotFound if there is none."""
        found = await self.run(self.store.get, identity)
        if found is None:
            raise NotFound(identity)
        return found

    async def messages(self, identity: str) -> List[Message]:
        """Return the messages of a conversation in their order."""
        return await self.run(self.store.messages, Filter(), identity)

    async def update(self, identity: str, **columns: Any) -> None:
        """Change columns of a conversation; raise NotFound if there is none."""
        if not await self.run(partial(self.store.update, identity, **{"updated_at": self.now(), **columns})):
            raise NotFound(identity)

    async def delete(self, identity: str) -> None:
        """Delete a conversation; raise NotFound if there is none."""
        if await self.run(self.store.delete, identity) is None:
            raise NotFound(identity)

    async def create(
        self,
        label: str,
        folder: str,
        messages: Sequence[NewMessage],
        importance: Optional[int] = None,
        dates: Dates = NO_DATES,
    ) -> Conversation:
        """Store a conversation; its messages are embedded after that."""
        importance = 5 if importance is None else importance
        dates = dates._replace(created_at=dates.created_at or dates.updated_at or self.now())
        created, numbers = await self.run(self.store.add, label, folder, importance, messages, dates)
        self.embedding.add([(number, message.content) for number, message in zip(numbers, messages)])
        return created

    async def search(self, query: str, matching: Filter, limit: int, offset: int = 0) -> Tuple[List[SearchResult], int]:
        """Return the best results for a text, best first, and the number of messages that match the filter.

        The search is by words and by vectors; by words only if the model does not respond.
        """
        if not query.strip():
            return [], 0
        await self.embedding.settle()
        wanted = await self._query(query)
        while await self.run(self._hybrid.prepare, wanted):
            pass  # lets other calls run in between
        return await self.run(self._hybrid.find, wanted, matching, limit, offset)

    async def _warm_up(self, model: int, dimension: int) -> None:
        """Load the index in memory, so that the first search need not wait for it."""
        while await self.run(self._hybrid.warm_up, model, dimension):
            pass

    async def _query(self, text: str) -> Query:
        try:
            name, vectors = await asyncio.wait_for(self._embedder.embed([text], purpose="query"), QUERY_SECONDS)
        except (ModelError, asyncio.TimeoutError) as error:
            reason = str(error) or f"no response from the embedding model within {QUERY_SECONDS:g} s"
            logger.warning("searching by words only: %s", reason)
            return Query(text, None, None, 1.0)
        model = await self.run(self.store.model, name, len(vectors[0]))
        self.embedding.answered(model)
        is_hashed = isinstance(self._embedder, HashEmbedder)
        return Query(text, vectors[0], model, HASHED_WORDS_WEIGHT if is_hashed else MODEL_WORDS_WEIGHT)

    async def full_text_search(self, query: str, limit: int) -> List[Message]:
        """Return the messages that match an FTS5 query, most relevant first.

        If there are none, and the query has no operators, return messages with any of its words.
        """
        return await self.run(self._hybrid.full_text_search, query, limit)

    async def context(
        self, query: str, preferred_labels: Sequence[str], budget: int, excluded_folders: Sequence[str]
    ) -> List[Message]:
        """Return the most relevant messages for a query as context for a model, best first, without duplicates.

        Similarity has the highest weight, then a preferred label, importance and recency. The total is at most `budget`
        tokens of four bytes; longer messages are omitted, not truncated. Archived conversations are omitted.
        """
        results, _ = await self.search(query, Filter(not_status="archived"), 200)
        scores = {result.message.id: (result.score, result.message) for result in results}
        for matching in (
            Filter(status="active", min_importance=PINNED_IMPORTANCE),
            Filter(status="active", labels=preferred_labels),
        ):
            for message in await self.run(self.store.newest_messages, matching, _NEWEST):
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
        await self.get(identity)
        since = format_timestamp(time.time_ns() - SUMMARY_WINDOWS[level])
        messages = await self.run(self.store.messages, Filter(start=since), identity)
        if not messages:
            return "No messages to summarize"
        try:
            return await tasks.summarize(
                self._chat, [f"{message.role}: {message.content}" for message in messages], level
            )
        except ModelError as error:
            logger.warning("no summary: %s", error)
            return f"{level.capitalize()} summary: {len(messages)} messages (LLM offline)"

    async def suggest_pruning(
        self, threshold_days: int, min_importance: float = MIN_IMPORTANCE_TO_KEEP, limit: Optional[int] = None
    ) -> Pruning:
        """Return the active conversations that were not updated for some days, with a recommendation for each.

        Those to archive are first, least recently updated first.
        """
        given = () if limit is None else (limit,)
        found, total, tokens = await self.run(self.store.useless, _unused(threshold_days), min_importance, *given)
        candidates = [
            PruneCandidate(
                conversation,
                conversation.bytes // 4,
                await self.run(self._preview, conversation.id),
                "archive" if conversation.importance < min_importance else "keep",
            )
            for conversation in found
        ]
        return Pruning(candidates, total, tokens)

    def _preview(self, identity: str) -> str:
        return extractive_summary(self.store.beginning(identity, _PREVIEWED), 1)[:200]

    async def unused_conversations(self, threshold_days: int) -> List[Conversation]:
        """Return the active conversations that were not updated for some days."""
        return await self.run(self.store.conversations, _unused(threshold_days))

    async def archive_all(self, identities: Sequence[str]) -> None:
        """Archive conversations: all, or none if one of them does not exist (raises NotFound)."""
        await self.run(self.store.archive, identities, self.now())

    async def suggest_labels(self, identity: str) -> List[Tuple[str, bool]]:
        """Return up to five labels for a conversation, and whether each exists."""
        own = await self.get(identity)
        text = "\n".join(message.content for message in await self.messages(identity))
        words = set(split_words(text))
        labels = await self.run(self.store.labels, own.id)
        existing = [label for label in labels if split_words(label) and words.issuperset(split_words(label))]
        new = [word for word in extract_keywords(text) if word not in map(str.casefold, existing)]
        return [*((label, True) for label in existing), *((word, False) for word in new)][:5]

    async def stats(self, matching: Filter) -> Dict[str, Any]:
        """Return statistics of the conversations that match a filter."""
        found = await self.run(self.store.statistics, matching)
        searchable = (await self.embedding.status()).embedded if matching == Filter() else None
        return {
            "total_conversations": found.conversations,
            "total_messages": found.messages,
            "average_importance": round(found.average_importance, 4),
            "folders": found.folders,
            "labels": found.labels,
            **({} if searchable is None else {"searchable_messages": searchable}),
        }


def _unused(days: int) -> Filter:
    """Return the filter of the active conversations that were not updated for some days."""
    return Filter(status="active", end=format_timestamp(time.time_ns() - days * DAY_NS))


def _is_in_folder(folder: str, parent: str) -> bool:
    return bool(parent) and f"{folder}/".startswith(f"{parent.rstrip('/')}/")
