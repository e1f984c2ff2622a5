"""Statistics of a data file, which `sekha serve` prints at its start."""

from __future__ import annotations

import asyncio
from typing import Callable, Coroutine, NamedTuple, Optional

from sekha._concurrency.clock import monotonic
from sekha.local.backup import LAST_BACKUP
from sekha.local.embedding import EmbeddingStatus
from sekha.local.store import Store
from sekha.local.worker import Runner

_WAIT_SECONDS = 1.0  # for the model to report its name


class Contents(NamedTuple):
    """Statistics of a data file.

    Attributes:
        conversations: Number of conversations.
        messages: Number of messages.
        last_backup: Time of the last backup in UTC; None if there was none.
        embedded: Number of messages that the model can find; None if not known.
    """

    conversations: int
    messages: int
    last_backup: Optional[str]
    embedded: Optional[EmbeddingStatus]


async def find_contents(
    store: Store, runner: Runner, count: Optional[Callable[[], Coroutine[None, None, EmbeddingStatus]]]
) -> Contents:
    """Count the conversations and messages of a store; wait up to a second for its model."""
    conversations, messages = await store.read(runner, lambda one: one.count_all())
    last_backup = await store.read(runner, lambda one: one.fact(LAST_BACKUP))
    embedded = None if count is None or not messages else await _count(count)
    return Contents(conversations, messages, last_backup, embedded)


async def _count(count: Callable[[], Coroutine[None, None, EmbeddingStatus]]) -> Optional[EmbeddingStatus]:
    limit = monotonic() + _WAIT_SECONDS
    while monotonic() < limit:
        found = await count()
        if found.model is not None or found.error is not None:
            return found
        await asyncio.sleep(0.01)
    return None
