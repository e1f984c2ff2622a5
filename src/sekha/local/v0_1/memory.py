"""The memory of the controller 0.1, with its known bugs."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from ctypes import c_float
from datetime import date
from functools import lru_cache
from typing import AbstractSet, Deque, Dict, List, Optional, Sequence, Tuple

from sekha.local import tasks
from sekha.local.documented.memory import DAY_NS, PINNED_IMPORTANCE, Memory, logger
from sekha.local.models import ChatModel, ChatRequest, Embedder, ModelError, answer_text
from sekha.local.models.placeholder import ExtractiveModel, HashEmbedder
from sekha.local.records import (
    NO_DATES,
    Conversation,
    Dates,
    Filter,
    Message,
    NewMessage,
    NotFound,
    PruneCandidate,
    SearchResult,
    format_timestamp,
)
from sekha.local.store import Store
from sekha.local.vectors import Target, pack
from sekha.local.worker import Runner

MAX_CONCURRENT_EMBEDDINGS = 5
"""Permits for embeddings. Each write acquires two, one after the other, so that many concurrent writes deadlock."""

EMBEDDING_SECONDS = 0.01
"""Simulated duration of an embedding by the built-in model; without it, writes would not overlap."""

MAX_NEIGHBORS = 32
"""Number of neighbors of a vector in the index; of more similar vectors, it does not find all."""

_NUMBERS = re.compile(r"\d+")
_MAX_THRESHOLD_DAYS = 95_000_000  # no earlier dates exist
_USABLE_BUDGET = 0.85  # of the tokens


class HandlerCrashed(Exception):
    """The handler crashes: the connection closes without a response."""


class NotFoundAs500(Exception):
    """There is no conversation with this id, and the status is 500 instead of 404."""


class FairSemaphore:
    """A semaphore that serves waiters in order, and does not yield to the event loop if a permit is free."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: Deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the permit was assigned in the meantime: pass it on
                self._release()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._release()

    def _release(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Store01(Store):
    """The database with the queries of the controller 0.1."""

    profile = "controller-0.1"

    @staticmethod
    def searchable_text(text: str) -> str:
        """Return the text unchanged: words are split at spaces and punctuation in every script."""
        return text

    @staticmethod
    def full_text_query(query: str) -> str:
        """Return the query unchanged."""
        return query

    def full_text_search(self, query: str, limit: int, ranked: bool = False) -> List[Message]:
        """Return the oldest messages first, independent of relevance."""
        return super().full_text_search(query, limit, ranked)

    def count_labels_containing(self, part: str) -> int:
        """Treat `%` and `_` as wildcards, and ignore the case of A to Z only."""
        query = "SELECT COUNT(*) FROM conversations WHERE label LIKE '%' || ? || '%'"
        return int(self._db.execute(query, (part,)).fetchone()[0])

    def has_vectors(self, identity: str) -> bool:
        """Return whether any message of a conversation has a vector."""
        query = """SELECT COUNT(*) FROM conversations c JOIN messages m ON m.conversation = c.number
            JOIN vectors v ON v.message = m.number WHERE c.id = ?"""
        return bool(self._db.execute(query, (identity,)).fetchone()[0])

    def has_collection(self) -> bool:
        """Return whether there is a collection of vectors: it is created with the first of them."""
        return bool(self._db.execute("SELECT EXISTS (SELECT 1 FROM vectors)").fetchone()[0])

    def nearest(self, model: int, target: Sequence[float], limit: int) -> List[Tuple[float, Message]]:
        """Return the messages with the nearest vectors, best first, with their similarity."""
        if not any(target):  # a text without a word
            return []
        similarity, hidden = Target(pack(target)).similarity, self._hidden_from_search()
        scored = [(similarity(vector), -number) for number, vector in self.vectors(model) if number not in hidden]
        scored.sort(reverse=True)
        found = self.messages_by_number([-number for _, number in scored[:limit]])
        return [(score, found[-number]) for score, number in scored[:limit]]

    def _hidden_from_search(self) -> AbstractSet[int]:
        """Hide every third of many similar vectors: the graph of the real index keeps few neighbors and loses some."""
        crowds: Dict[str, List[int]] = {}
        query = "SELECT number, content FROM messages JOIN vectors ON message = number ORDER BY number"
        for number, content in self._db.execute(query):
            crowds.setdefault(without_numbers(content), []).append(number)
        return {number for crowd in crowds.values() if len(crowd) > MAX_NEIGHBORS for number in crowd[2::3]}


class Memory01(Memory):
    """The memory; each docstring says how the method differs from the documentation."""

    def __init__(self, store: Store01, embedder: Embedder, chat: ChatModel, runner: Runner) -> None:
        super().__init__(store, embedder, chat, runner)
        self.store01 = store
        self._permits = FairSemaphore(MAX_CONCURRENT_EMBEDDINGS)

    def now(self) -> str:
        """Return milliseconds, the precision of the database trigger that sets update times."""
        return super().now()[:-6]

    async def _embed(self, text: str) -> Tuple[str, Sequence[float]]:
        """Return the model and the vector of a text; raise ModelError for an empty text, too."""
        if not text:
            raise ModelError("an empty text has no embedding")
        async with self._permits:
            if isinstance(self._embedder, HashEmbedder):
                await asyncio.sleep(EMBEDDING_SECONDS)
            model, vectors = await self._embedder.embed([text])
        return model, vectors[0]

    async def create(
        self,
        label: str,
        folder: str,
        messages: Sequence[NewMessage],
        importance: Optional[int] = None,
        dates: Dates = NO_DATES,  # not stored
    ) -> Conversation:
        """Store the conversation, then message by message without a transaction; after an error, the rest is missing.

        A write holds one permit while it waits for another: with about eight concurrent writes or more, all deadlock
        until their clients disconnect. While the first write creates the collection of vectors, concurrent writes are
        stored without vectors.
        """
        created, _ = self.store.add(label, folder, 5 if importance is None else importance, [])
        for message in messages:
            had_collection = self.store01.has_collection()
            async with self._permits:
                model, vector = await self._try_embed(message.content, had_collection)
            if vector is not None and has_split_preview(message.content):
                raise HandlerCrashed
            with self.store.write():
                numbers = self.store.append(created.id, created.created_at, [message])
                if model is not None and vector is not None:
                    self.store.set_vectors(self.store.model(model, len(vector)), {numbers[0]: vector})
        return created._replace(message_count=len(messages))

    async def _try_embed(self, text: str, had_collection: bool) -> Tuple[Optional[str], Optional[Sequence[float]]]:
        try:
            embedded = await self._embed(text)
            if not had_collection and self.store01.has_collection():
                raise ModelError("the collection was created by another write at the same time")
            return embedded
        except ModelError as error:
            logger.warning("a message is stored without a vector: %s", error)
            return None, None

    async def search(self, query: str, matching: Filter, limit: int, offset: int = 0) -> Tuple[List[SearchResult], int]:
        """Return distances as scores, ignore filters and offset, and return no results if the model fails."""
        try:
            model, vector = await self._embed(query)
        except ModelError as error:
            logger.warning("the search has no results: %s", error)
            return [], 0
        found = self.store01.nearest(self.store.model(model, len(vector)), vector, limit)
        return [SearchResult(to_float32(1.0 - similarity), message) for similarity, message in found], len(found)

    async def full_text_search(self, query: str, limit: int) -> List[Message]:
        """Return the matches of the unchanged query, or nothing."""
        return await self.run(self.store.full_text_search, query, limit)

    async def context(
        self, query: str, preferred_labels: Sequence[str], budget: int, excluded_folders: Sequence[str]
    ) -> List[Message]:
        """Rank search results, pinned messages and preferred labels together, with duplicates.

        Folders are excluded from the search results only, and by prefix: `/work` excludes `/workshop`. A search result
        counts as importance 5, independent of its similarity. The weight of a day of age is unknown; here it is one
        point of ten.
        """
        results, _ = await self.search(query, Filter(), 200)
        prefixes = tuple(excluded_folders)
        candidates = [(5, one.message) for one in results if not one.message.folder.startswith(prefixes)]
        week_ago = format_timestamp(time.time_ns() - 7 * DAY_NS)
        for matching in (
            Filter(status="active", min_importance=PINNED_IMPORTANCE),
            Filter(status="active", labels=preferred_labels, start=week_ago),
        ):
            candidates += [(message.importance, message) for message in self.store.messages(matching)]
        today = _date(format_timestamp(time.time_ns()))

        def rank(entry: Tuple[int, Message]) -> float:
            importance, message = entry
            days = (today - _date(message.timestamp)).days
            label = 1.0 if message.label in preferred_labels else 0.0
            return 0.5 * importance + 0.3 * max(0, 10 - days) + label

        used, usable = 0, int(budget * _USABLE_BUDGET)
        chosen: List[Message] = []
        for _, message in sorted(candidates, key=rank, reverse=True):
            tokens = len(message.content.encode()) // 4
            if used >= usable:
                break
            if used + tokens <= usable:
                chosen.append(message)
                used += tokens
        return chosen

    async def summarize(self, identity: str, level: str) -> str:
        """Summarize the last day, whatever the level; an unknown id is 500."""
        try:
            return await super().summarize(identity, "daily")
        except NotFound as error:
            raise NotFoundAs500(str(error)) from error

    async def suggest_pruning_with_model(self, threshold_days: int) -> List[PruneCandidate]:
        """Suggest conversations by age alone, oldest first; fail if the model fails for one of them."""
        candidates: List[PruneCandidate] = []
        for one in sorted(await self.unused_conversations(threshold_days), key=lambda one: one.created_at):
            try:
                preview = await tasks.summarize(self._chat, [f"Conversation: {one.label}"], "daily")
            except ModelError as error:
                raise ModelError(f"LLM Bridge error: {error}") from error
            candidates.append(PruneCandidate(one._replace(message_count=0), 0, preview, "keep"))
        return candidates

    async def unused_conversations(self, threshold_days: int) -> List[Conversation]:
        """Crash if the date does not exist."""
        if abs(threshold_days) > _MAX_THRESHOLD_DAYS:
            raise HandlerCrashed
        return await super().unused_conversations(threshold_days)

    async def archive_all(self, identities: Sequence[str]) -> None:
        """Archive one after another: those before an unknown ID stay archived."""
        for identity in identities:
            if not self.store.update(identity, status="archived", updated_at=self.now()):
                raise NotFoundAs500(identity)

    async def suggest_labels_with_model(self, identity: str) -> List[Tuple[str, bool]]:
        """Return labels for a conversation, and whether each exists; an unknown ID is 500.

        The answer of the model is split at commas, even if it is prose. If the model fails, the alphabetically first
        existing label is suggested.
        """
        try:
            if isinstance(self._chat, ExtractiveModel):
                return await self.suggest_labels(identity)
            await self.get(identity)
        except NotFound as error:
            raise NotFoundAs500(str(error)) from error
        text = "\n".join(message.content for message in await self.messages(identity))
        if not text:
            return []
        labels = sorted({one.label for one in self.store.conversations(Filter())})
        task = f"Suggest up to five labels for this conversation, only the labels, with commas between:\n\n{text}"
        try:
            answer = answer_text(await self._chat.complete(ChatRequest([{"role": "user", "content": task}])))
        except ModelError as error:
            logger.warning("the model cannot suggest labels: %s", error)
            return [(label, True) for label in labels[:1] if label]
        suggestions = [label for label in (part.strip() for part in answer.split(",")) if label]
        return [(label, label in labels) for label in suggestions[:5]]


@lru_cache(maxsize=65_536)
def without_numbers(text: str) -> str:
    """Return a key that is equal for texts that differ only in numbers."""
    return _NUMBERS.sub("#", " ".join(text.casefold().split()))


def has_split_preview(text: str) -> bool:
    """Return whether byte 100 of a text is inside a character, where the controller crashes with a preview."""
    data = text.encode()
    return len(data) > 100 and data[100] & 0xC0 == 0x80


def to_float32(number: float) -> float:
    """Round a number to a 32-bit float."""
    return c_float(number).value


def _date(timestamp: str) -> date:
    return date.fromisoformat(timestamp[:10])
