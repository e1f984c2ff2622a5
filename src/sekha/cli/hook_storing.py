"""Storing what is on its way, so that nothing is stored twice and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sekha.cli.hook_state import HookState
from sekha.errors import SekhaAuthError, SekhaConnectionError, SekhaError, SekhaPermissionError, SekhaRateLimitError

if TYPE_CHECKING:
    from sekha._sync.client import SekhaClient

MAX_TRIES = 3
"""How often a conversation is tried that the server does not store, before it is left out."""
_CONCERNS_ALL = (SekhaAuthError, SekhaConnectionError, SekhaPermissionError, SekhaRateLimitError)


def deliver(client: SekhaClient, state: HookState) -> Iterator[str]:
    """Store what is on its way, the oldest first; yield a line about each part of it.

    Raises:
        SekhaError: The memory failed. What is not stored is on its way still, and the next run goes on with it.
        OSError: A file cannot be read or written.
    """
    failed: SekhaError | None = None
    for name in state.outbox():
        turns = state.turns(name)
        conversations = [turn.conversation for turn in turns]
        try:
            report = client.controller.import_conversations(
                conversations, concurrency=1, journal=state.journal(name), drop_images=True
            )
        except SekhaError as error:
            if isinstance(error, _CONCERNS_ALL):
                raise
            failed = failed or error
            continue
        number = len(conversations) - report["failed"]
        where = ", ".join(sorted({str(one["folder"]) for one in conversations}))
        if number:
            yield f"{number:,} of {len(conversations):,} turns are stored in {where}"
        tries = state.count_try(name) if report["failed"] else 0
        is_last = tries >= MAX_TRIES
        for failure in report["failures"]:
            outlook = "it is left out now" if is_last else "the next run tries it again"
            yield f"turn {failure['position']} is not stored: {failure['error']}; {outlook}"
        if not report["failed"] or is_last:
            state.finish(name)
    if failed is not None:
        raise failed
