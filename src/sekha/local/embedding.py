"""Compute embeddings in the background, so that storing never waits for a model."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from contextlib import suppress
from itertools import accumulate, islice
from typing import Awaitable, Callable, Deque, Dict, List, NamedTuple, Optional, Sequence, Tuple

from sekha._concurrency.clock import monotonic
from sekha.local.database import MAX_INTEGER
from sekha.local.models import Embedder, ModelError
from sekha.local.models.placeholder import HashEmbedder
from sekha.local.store import Store
from sekha.local.worker import Runner

logger: logging.Logger = logging.getLogger("sekha.local")

BATCH_TEXTS = 64
RETRY_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)
"""Delays before retries while the model is not available."""

PATIENCE_SECONDS = 30.0
"""Time without a response of the model after which health reports an error."""

_BATCH_CHARACTERS = 16_000
_SETTLE_SECONDS = 0.5  # maximum wait of a search for the embeddings of new messages
_PROBE = "Sekha"  # a text that every model can embed

Queued = Tuple[int, str]
"""The number and the text of a message."""


class EmbeddingStatus(NamedTuple):
    """Number of messages that have an embedding of the current model.

    Attributes:
        messages: Number of all messages.
        embedded: Number of messages that have a vector of the model.
        model: The name of its vectors in the store; None before its first response.
        by_meaning: Whether it is a model, not the built-in word hashing.
        error: The error of the model; None if it is available.
    """

    messages: int
    embedded: int
    model: Optional[str]
    by_meaning: bool
    error: Optional[str]

    def __str__(self) -> str:
        """Return the status as text: `9,120 of 10,000 messages searchable by meaning`."""
        how = "by meaning" if self.by_meaning else "by parts of words"
        return f"{self.embedded:,} of {self.messages:,} messages searchable {how}"


class Embedding:
    """Computes embeddings of messages with the current model.

    The store is the queue: messages without a vector of the model are embedded, newest first. These are new messages,
    messages that were stored while the model was not available, and messages with vectors of another model. A text that
    the model rejects, while it embeds others, is marked and found by its words only.

    Args:
        store: The database.
        embedder: The model.
        runner: Runs the calls of the store.
        on_ready: Called once, when all stored messages have vectors, with the number of the model and the dimension of
            its vectors.
    """

    def __init__(
        self,
        store: Store,
        embedder: Embedder,
        runner: Runner,
        on_ready: Optional[Callable[[int, int], Awaitable[None]]] = None,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._runner = runner
        self._run = runner.run
        self._on_ready = on_ready
        self._new: Deque[Queued] = deque()
        self._below: Optional[int] = MAX_INTEGER  # messages with smaller numbers may have no vector; None: all have one
        self._again: Optional[int] = None  # messages with smaller numbers are embedded again
        self._has_backlog = False
        self._model: Optional[int] = None
        self._dimension = 0
        self._name: Optional[str] = None
        self._error: Optional[str] = None
        self._asked_at: Optional[float] = None
        self._work: Optional[asyncio.Event] = None  # both belong to the event loop of `embed_all`
        self._idle: Optional[asyncio.Event] = None

    def add(self, messages: Sequence[Queued]) -> None:
        """Queue new messages."""
        self._new.extend(messages)
        if messages and self._idle is not None and self._error is None:
            self._idle.clear()
            self._go_on()

    def rebuild(self) -> None:
        """Embed all messages again, starting with those without a vector."""
        self._below = self._again = MAX_INTEGER
        self._go_on()

    async def settle(self) -> None:
        """Wait briefly for the embeddings of new messages, unless there is a backlog."""
        if self._idle is not None and not self._has_backlog and len(self._new) <= 4 * BATCH_TEXTS:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._idle.wait(), _SETTLE_SECONDS)

    def answered(self, model: int) -> None:
        """Record that a model has answered a search: it is available again, or has changed."""
        if model != self._model:
            self._model, self._below = None, MAX_INTEGER
            self._go_on()
        elif self._error is not None:
            self._go_on()

    async def status(self) -> EmbeddingStatus:
        """Return the current status."""
        messages, embedded = await self._store.read(self._runner, lambda store: store.embedded(self._model))
        by_meaning = not isinstance(self._embedder, HashEmbedder)
        error, waited = self._error, monotonic() - (self._asked_at or monotonic())
        if error is None and waited > PATIENCE_SECONDS:
            error = f"no response from the model for {waited:.0f} s"
        return EmbeddingStatus(messages, embedded, self._name, by_meaning, error)

    async def embed_all(self) -> None:
        """Embed all messages without a vector, then new ones, until this is cancelled."""
        self._work, self._idle = asyncio.Event(), asyncio.Event()
        failures = 0
        while True:
            self._work.clear()
            batch: List[Queued] = []
            try:
                batch = await self._next_batch()
                if batch:
                    await self._embed(batch)
            except (ModelError, sqlite3.Error) as error:
                self._new.extendleft(reversed(batch))
                if self._error is None:
                    logger.warning("storing messages without embeddings; they are computed later: %s", error)
                self._error = str(error)
                self._idle.set()  # do not wait for an unavailable model
                await self._wait(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1
            else:
                failures, self._error = 0, None
                if not batch:
                    self._idle.set()
                    await self._tell_ready()
                    await self._wait(None)

    async def _tell_ready(self) -> None:
        on_ready, self._on_ready = self._on_ready, None
        if on_ready is not None and self._model is not None:
            with suppress(sqlite3.Error):  # for example a damaged page, which the check of the file reports
                await on_ready(self._model, self._dimension)

    async def _next_batch(self) -> List[Queued]:
        """Return messages to embed: new ones, then those without a vector, then those of a rebuild."""
        if self._new:
            batch = _begin([*islice(self._new, BATCH_TEXTS)])
            for _ in batch:
                self._new.popleft()
            return batch
        if self._model is None and self._below is not None and (await self._run(self._store.count_all))[1]:
            name, vector = await self._probe()
            await self._set_model(name, len(vector))
        if self._below is not None and self._model is not None:
            missing = await self._run(self._store.without_vector, self._model, BATCH_TEXTS, self._below)
            batch = _begin(missing)
            self._below = batch[-1][0] if batch else None
            self._has_backlog = len(missing) == BATCH_TEXTS
            if batch:
                return batch
        self._below = None
        if self._again is not None:
            batch = _begin(await self._run(self._store.contents_below, self._again, BATCH_TEXTS))
            self._has_backlog = bool(batch)
            self._again = batch[-1][0] if batch else None
            return batch
        return []

    async def _embed(self, batch: Sequence[Queued]) -> None:
        """Embed messages and store their vectors; raise ModelError if the model is not available."""
        found: Dict[int, Optional[Sequence[float]]] = {}
        try:
            name, vectors = await self._ask([text for _, text in batch])
            found.update((number, vector) for (number, _), vector in zip(batch, vectors))
            dimension = len(vectors[0])
        except ModelError:
            name, vector = await self._probe()  # if this fails too, the cause is not one of the texts
            dimension = len(vector)
            for number, text in batch:
                found[number] = await self._embed_one(text)
        await self._set_model(name, dimension)
        await self._run(self._store.set_vectors, self._model, found)

    async def _embed_one(self, text: str) -> Optional[Sequence[float]]:
        """Embed a text; return None if the model rejects it but embeds others."""
        try:
            return (await self._ask([text]))[1][0]
        except ModelError as error:
            await self._probe()
            logger.warning("the model rejects a message, which is found by its words only: %s", error)
            return None

    async def _probe(self) -> Tuple[str, Sequence[float]]:
        name, vectors = await self._ask([_PROBE])
        return name, vectors[0]

    async def _ask(self, texts: Sequence[str]) -> Tuple[str, List[List[float]]]:
        self._asked_at = monotonic()
        try:
            return await self._embedder.embed(texts, purpose="passage")
        finally:
            self._asked_at = None

    async def _set_model(self, name: str, dimension: int) -> None:
        model = await self._run(self._store.model, name, dimension)
        if model != self._model:
            self._model, self._dimension, self._name, self._below = model, dimension, name, MAX_INTEGER

    def _go_on(self) -> None:
        if self._work is not None:
            self._work.set()

    async def _wait(self, seconds: Optional[float]) -> None:
        """Wait for work, at most for some seconds."""
        assert self._work is not None
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._work.wait(), seconds)


def _begin(messages: Sequence[Queued]) -> List[Queued]:
    """Return the first messages, as many as fit in one request."""
    lengths = accumulate(len(text) for _, text in messages)
    fitting = sum(length <= _BATCH_CHARACTERS for length in lengths)
    return [*messages[: max(1, fitting)]]
