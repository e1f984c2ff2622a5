"""What the memory of the real controller 0.1 does differently, wrong or not at all."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from datetime import date
from typing import Deque, List, Optional, Sequence, Tuple, Union

from sekha.local import tasks
from sekha.local.memory import DAY, PINNED, Candidate, Hit, Memory, NotFound, logger
from sekha.local.models import ChatModel, ChatRequest, Embedder, ExtractiveModel, HashEmbedder, ModelError
from sekha.local.serde import single
from sekha.local.store import Conversation, Filter, Message, Store, stamp

PERMITS = 5
"""How many embeddings may be made at once; each write needs two of these permits, one after the other."""

TAKES = 0.01
"""Seconds that an embedding takes where no server makes it: without them nothing would ever overlap."""

_LONGEST_AGO = 95_000_000  # days; further back no date can be
_ENOUGH = 0.85  # of a budget of tokens


class Panic(Exception):
    """The real controller's handler dies: nobody answers, and the connection closes."""


class Missing(Exception):
    """There is no such conversation, where the real controller says 500 instead of 404."""


class Permits:
    """A semaphore that is fair: who comes first is served first, and what is free is taken without a pause."""

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
            if not turn.cancelled():  # it was given, but nobody is there to take it
                self._give()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._give()

    def _give(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Store01(Store):
    """The database with the queries of the real controller."""

    def update(self, identity: str, **columns: Union[str, int]) -> bool:
        """A trigger writes the time of a change, in milliseconds."""
        return super().update(identity, **{"updated_at": stamp(time.time_ns())[:-6], **columns})

    def find(self, query: str, limit: int, ranked: bool = False) -> List[Message]:
        """The oldest first, however well they match."""
        return super().find(query, limit, ranked)

    def count_label(self, part: str) -> int:
        """`%` and `_` in the text are wildcards; only A to Z have another case."""
        query = "SELECT COUNT(*) FROM conversations WHERE label LIKE '%' || ? || '%'"
        return int(self._db.execute(query, (part,)).fetchone()[0])

    def embedded(self, identity: str) -> bool:
        """Whether any message of a conversation has a vector."""
        query = "SELECT COUNT(*) FROM messages WHERE conversation_id = ? AND vector IS NOT NULL"
        return bool(self._db.execute(query, (identity,)).fetchone()[0])


class Memory01(Memory):
    """The memory with the mistakes of the real controller."""

    def __init__(self, store: Store01, embedder: Embedder, chat: ChatModel) -> None:
        super().__init__(store, embedder, chat)
        self.vectors = store
        self._permits = Permits(PERMITS)

    async def _embed(self, text: str) -> Tuple[str, Sequence[float]]:
        """The vector of a text; ModelError without one. An empty text has none."""
        if not text:
            raise ModelError("an empty text has no embedding")
        async with self._permits:
            if isinstance(self._embedder, HashEmbedder):
                await asyncio.sleep(TAKES)
            model, vectors = await self._embedder.embed([text])
        return model, vectors[0]

    async def create(
        self, label: str, folder: str, messages: Sequence[Tuple[str, str]], importance: Optional[int] = None
    ) -> Conversation:
        """
        No transaction: first the conversation, then message by message, so that what fails leaves the rest behind.

        A write holds one permit while it waits for another: from about eight at once, all wait for each other until
        their clients give up.
        """
        made = self.store.add(label, folder, 5 if importance is None else importance, [], [], None)
        for message in messages:
            async with self._permits:
                model, vector = await self._try(message[1])
            if vector is not None and splits_at_100(message[1]):
                raise Panic
            self.store.append(made.id, made.created_at, [message], [vector], model)
        return made._replace(message_count=len(messages))

    async def _try(self, text: str) -> Tuple[Optional[str], Optional[Sequence[float]]]:
        try:
            return await self._embed(text)
        except ModelError as error:
            logger.warning("a message is stored without a vector: %s", error)
            return None, None

    async def search(self, query: str, which: Filter, limit: int, offset: int = 0) -> Tuple[List[Hit], int]:
        """Scores are distances; filters and offset are not looked at; a model that fails has found nothing."""
        try:
            model, vector = await self._embed(query)
        except ModelError as error:
            logger.warning("nothing is found: %s", error)
            return [], 0
        found, _ = self.store.nearest(vector, model, Filter(), limit)
        return [Hit(single(1.0 - nearness), message) for nearness, message in found], len(found)

    async def context(
        self, query: str, preferred_labels: Sequence[str], budget: int, excluded_folders: Sequence[str]
    ) -> List[Message]:
        """
        Three lists one after the other, ranked but not freed of duplicates; only the first leaves folders out.

        Nearness is forgotten: what was found by it has importance 5. Excluded are all folders that begin with the same
        letters. How much a day of age costs is not known; here it is one point of ten.
        """
        hits, _ = await self.search(query, Filter(), 200)
        prefixes = tuple(excluded_folders)
        found = [(5, hit.message) for hit in hits if not hit.message.folder.startswith(prefixes)]
        week_ago = stamp(time.time_ns() - 7 * DAY)
        for which in (
            Filter(status="active", at_least=PINNED),
            Filter(status="active", labels=preferred_labels, start=week_ago),
        ):
            found += [(message.importance, message) for message in self.store.messages(which)]
        today = _day(stamp(time.time_ns()))

        def rank(entry: Tuple[int, Message]) -> float:
            importance, message = entry
            days = (today - _day(message.timestamp)).days
            label = 1.0 if message.label in preferred_labels else 0.0
            return 0.5 * importance + 0.3 * max(0, 10 - days) + label

        used, enough = 0, int(budget * _ENOUGH)
        chosen: List[Message] = []
        for _, message in sorted(found, key=rank, reverse=True):
            tokens = len(message.content.encode()) // 4
            if used >= enough:
                break
            if used + tokens <= enough:
                chosen.append(message)
                used += tokens
        return chosen

    async def summarize(self, identity: str, level: str) -> str:
        """Only the last day is looked at, whatever the level; a missing id is 500."""
        try:
            return await super().summarize(identity, "daily")
        except NotFound as error:
            raise Missing(str(error)) from error

    async def previews(self, threshold_days: int) -> List[Candidate]:
        """What may be archived, by age alone, the oldest first; a model is asked about each, and one failure is all."""
        found: List[Candidate] = []
        for one in sorted(self.candidates(threshold_days), key=lambda one: one.created_at):
            try:
                preview = await tasks.summarize(self._chat, [f"Conversation: {one.label}"], "daily")
            except ModelError as error:
                raise ModelError(f"LLM Bridge error: {error}") from error
            found.append(Candidate(one._replace(message_count=0), 0, preview, "keep"))
        return found

    def candidates(self, threshold_days: int) -> List[Conversation]:
        """Beyond the calendar, there is nobody to answer."""
        if abs(threshold_days) > _LONGEST_AGO:
            raise Panic
        return super().candidates(threshold_days)

    def archive_all(self, identities: Sequence[str]) -> None:
        """One after the other: those before a missing one stay archived."""
        for identity in identities:
            if not self.store.update(identity, status="archived"):
                raise Missing(identity)

    async def suggested(self, identity: str) -> List[Tuple[str, bool]]:
        """
        Labels for a conversation, each with whether it is in use already; a missing id is 500.

        What a model says is cut at its commas, prose or not. Where it says nothing, the first label of the alphabet is
        suggested as if it fitted.
        """
        try:
            if isinstance(self._chat, ExtractiveModel):
                return self.suggest_labels(identity)
            self.get(identity)
        except NotFound as error:
            raise Missing(str(error)) from error
        text = "\n".join(message.content for message in self.messages(identity))
        if not text:
            return []
        labels = sorted({one.label for one in self.store.conversations(Filter())})
        task = f"Suggest up to five labels for this conversation, only the labels, with commas between:\n\n{text}"
        try:
            answer = await self._chat.complete(ChatRequest([("user", task)]))
        except ModelError as error:
            logger.warning("no model suggests labels: %s", error)
            return [(label, True) for label in labels[:1] if label]
        found = [label for label in (part.strip() for part in answer.split(",")) if label]
        return [(label, label in labels) for label in found[:5]]


def splits_at_100(text: str) -> bool:
    """Whether byte 100 of a text lies inside a character: there the real controller cuts its preview, and dies."""
    data = text.encode()
    return len(data) > 100 and data[100] & 0xC0 == 0x80


def _day(timestamp: str) -> date:
    return date.fromisoformat(timestamp[:10])
